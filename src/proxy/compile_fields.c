/* HeaderValueOption and removals of one level -> header modifier filters. What a list says in order
 * stays in order: where the fixed order inside a modifier (remove, set, add) would change it, a
 * further modifier follows. Fields that frame messages or name the host are left out and noted. */
#include "base/ensure.h"
#include "proxy/compile_parts.h"
#include "xds/message.h"

#include <stdlib.h>

#include "envoy/extensions/filters/http/header_mutation/v3/header_mutation.pb-c.h"

#define OPTION    Envoy__Config__Core__V3__HeaderValueOption
#define MUTATION  Envoy__Config__Common__MutationRules__V3__HeaderMutation
#define PER_ROUTE Envoy__Extensions__Filters__Http__HeaderMutation__V3__HeaderMutationPerRoute
#define MUTATIONS Envoy__Extensions__Filters__Http__HeaderMutation__V3__Mutations
#define DESCRIPTOR                                                                                 \
    envoy__extensions__filters__http__header_mutation__v3__header_mutation_per_route__descriptor

#define APPEND_ACTION(which)                                                                       \
    ENVOY__CONFIG__CORE__V3__HEADER_VALUE_OPTION__HEADER_APPEND_ACTION__##which

/* Control planes still send HeaderValueOption.append. */
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

/* The order within a modifier. */
enum step { STEP_REMOVE, STEP_SET, STEP_REPLACE, STEP_ADD_ABSENT, STEP_ADD };

struct edit {
    enum step step;
    struct header_value value;
};

struct edits {
    struct edit *items;
    size_t count;
    size_t capacity;
};

static bool is_fixed(struct text name)
{
    switch (field_id_of(name)) {
    case FIELD_HOST:
    case FIELD_CONTENT_LENGTH:
    case FIELD_TRANSFER_ENCODING:
    case FIELD_CONNECTION:
    case FIELD_KEEP_ALIVE:
    case FIELD_PROXY_CONNECTION:
    case FIELD_TE:
    case FIELD_TRAILER:
    case FIELD_UPGRADE:
    case FIELD_EXPECT:
        return true;
    default:
        return false;
    }
}

/* False: leave it out. */
static bool check_name(struct host_compile *compile, struct text name, bool *out_valid,
                       struct error *error)
{
    *out_valid = true;
    if (name.size > 0 && name.at[0] == ':') {
        compile_note(compile->notes, TEXT("header modifier of a name with a colon"));
        return false;
    }
    if (!field_name_is_valid(name)) {
        *out_valid = false;
        return error_set(error, "\"%.*s\" is no header name", TEXT_ARG(text_first(name, 100)));
    }
    if (is_fixed(name)) {
        compile_note(compile->notes, TEXT("header modifier of host or a framing field"));
        return false;
    }
    return true;
}

static bool is_command_byte(char c)
{
    return (c >= 'A' && c <= 'Z') || c == '_' || (c >= '0' && c <= '9');
}

/* "%NAME%" or "%NAME(...)%": a substitution of Envoy's access log language. */
static bool is_command(struct text t)
{
    size_t i = 1;
    while (i < t.size && is_command_byte(t.at[i])) {
        i++;
    }
    if (i == 1 || i == t.size) {
        return false;
    }
    if (t.at[i] == '(') {
        size_t close = text_find_byte(text_from(t, i), ')');
        return i + close + 1 < t.size && t.at[i + close + 1] == '%';
    }
    return t.at[i] == '%';
}

/* "%%" is a percent sign; a lonely one stays. */
static bool unescape(struct host_compile *compile, const char *from, struct text *out_value,
                     struct error *error)
{
    struct text value = text_from_string(from);
    char *into = arena_bytes(compile->arena, value.size + 1);
    size_t size = 0;
    for (size_t i = 0; i < value.size; i++) {
        if (value.at[i] == '%' && is_command(text_from(value, i))) {
            return error_set(error,
                             "\"%.*s\" is a substitution, which is not supported; write "
                             "\"%%%%\" for a percent sign",
                             TEXT_ARG(text_first(value, 100)));
        }
        into[size++] = value.at[i];
        if (value.at[i] == '%' && i + 1 < value.size && value.at[i + 1] == '%') {
            i++;
        }
    }
    *out_value = text_of(into, size);
    return field_value_is_valid(*out_value) ||
           error_set(error, "the value holds a control character");
}

static bool step_of(const OPTION *option, enum step *out_step)
{
    if (option->append != NULL) {
        *out_step = option->append->value ? STEP_ADD : STEP_SET;
        return true;
    }
    switch (option->append_action) {
    case APPEND_ACTION(ADD_IF_ABSENT):
        *out_step = STEP_ADD_ABSENT;
        return true;
    case APPEND_ACTION(OVERWRITE_IF_EXISTS):
        *out_step = STEP_REPLACE;
        return true;
    case APPEND_ACTION(APPEND_IF_EXISTS_OR_ADD):
        *out_step = STEP_ADD;
        return true;
    default:
        *out_step = STEP_SET;
        return option->append_action < 4;
    }
}

static bool add_option(struct host_compile *compile, struct edits *edits, const OPTION *option,
                       struct error *error)
{
    bool valid;
    if (option->header == NULL) {
        return error_set(error, "header: missing");
    }
    struct text name = text_from_string(option->header->key);
    if (!check_name(compile, name, &valid, error)) {
        return valid || error_prefix(error, "header.key");
    }
    struct edit edit = { .step = STEP_SET };
    if (!step_of(option, &edit.step)) {
        return error_set(error, "append_action: not defined");
    }
    if (option->header->raw_value.len > 0) {
        return error_set(error, "header.raw_value: not supported; use value");
    }
    if (!unescape(compile, option->header->value, &edit.value.value, error)) {
        return error_prefix(error, "header.value");
    }
    if (edit.value.value.size == 0 && !option->keep_empty_value) {
        return true; /* dropped, as the API says */
    }
    edit.value.name = arena_copy(compile->arena, name);
    *array_add(edits) = edit;
    return true;
}

static bool add_removal(struct host_compile *compile, struct edits *edits, const char *name,
                        struct error *error)
{
    bool valid;
    if (!check_name(compile, text_from_string(name), &valid, error)) {
        return valid;
    }
    *array_add(edits) = (struct edit){ STEP_REMOVE, { .name = compile_copy(compile, name) } };
    return true;
}

static void put_edit(struct header_modifier *modifier, const struct edit *edit)
{
    switch (edit->step) {
    case STEP_REMOVE:
        modifier->remove[modifier->remove_count++] = edit->value.name;
        break;
    case STEP_SET:
        modifier->set[modifier->set_count++] = edit->value;
        break;
    case STEP_REPLACE:
        modifier->replace[modifier->replace_count++] = edit->value;
        break;
    case STEP_ADD_ABSENT:
        modifier->add_absent[modifier->add_absent_count++] = edit->value;
        break;
    case STEP_ADD:
        modifier->add[modifier->add_count++] = edit->value;
        break;
    }
}

/* One modifier of edits[from, to). */
static const struct header_modifier *make_modifier(struct arena *arena, const struct edits *edits,
                                                   size_t from, size_t to)
{
    size_t counts[STEP_ADD + 1] = { 0 };
    for (size_t i = from; i < to; i++) {
        counts[edits->items[i].step]++;
    }
    struct header_modifier *modifier = arena_new(arena, struct header_modifier);
    modifier->remove = arena_new_array(arena, struct text, counts[STEP_REMOVE]);
    modifier->set = arena_new_array(arena, struct header_value, counts[STEP_SET]);
    modifier->replace = arena_new_array(arena, struct header_value, counts[STEP_REPLACE]);
    modifier->add_absent = arena_new_array(arena, struct header_value, counts[STEP_ADD_ABSENT]);
    modifier->add = arena_new_array(arena, struct header_value, counts[STEP_ADD]);
    for (size_t i = from; i < to; i++) {
        put_edit(modifier, &edits->items[i]);
    }
    return modifier;
}

/* The end of the run that one modifier can do in its own order. */
static size_t run_end(const struct edits *edits, size_t from)
{
    size_t to = from + 1;
    while (to < edits->count && edits->items[to].step >= edits->items[to - 1].step) {
        to++;
    }
    return to;
}

static struct filter *make_filters(struct host_compile *compile, struct edits *edits,
                                   const struct filter_type *type, uint16_t *out_count)
{
    uint16_t count = 0;
    for (size_t i = 0; i < edits->count; i = run_end(edits, i)) {
        count++;
    }
    struct filter *filters = arena_new_array(compile->arena, struct filter, count);
    struct filter *next = filters;
    for (size_t i = 0; i < edits->count;) {
        size_t to = run_end(edits, i);
        *next++ = (struct filter){ type, make_modifier(compile->arena, edits, i, to) };
        i = to;
    }
    *out_count = count;
    array_free(edits);
    return filters;
}

static bool add_options(struct host_compile *compile, struct edits *edits, char *const *removes,
                        size_t remove_count, OPTION *const *adds, size_t add_count,
                        const char *direction, struct error *error)
{
    for (size_t i = 0; i < remove_count; i++) {
        if (!add_removal(compile, edits, removes[i], error)) {
            return error_prefix(error, "%s_headers_to_remove[%zu]", direction, i);
        }
    }
    for (size_t i = 0; i < add_count; i++) {
        if (!add_option(compile, edits, adds[i], error)) {
            return error_prefix(error, "%s_headers_to_add[%zu]", direction, i);
        }
    }
    return true;
}

static bool add_mutations(struct host_compile *compile, struct edits *edits,
                          MUTATION *const *mutations, size_t count, struct error *error)
{
    for (size_t i = 0; i < count; i++) {
        const MUTATION *mutation = mutations[i];
        bool added = false;
        switch (mutation->action_case) {
        case ENVOY__CONFIG__COMMON__MUTATION_RULES__V3__HEADER_MUTATION__ACTION_REMOVE:
            added = add_removal(compile, edits, mutation->remove, error);
            break;
        case ENVOY__CONFIG__COMMON__MUTATION_RULES__V3__HEADER_MUTATION__ACTION_APPEND:
            added = add_option(compile, edits, mutation->append, error);
            break;
        default:
            added = error_set(error, "action: not supported; use append or remove");
            break;
        }
        if (!added) {
            return error_prefix(error, "header_mutation: mutations[%zu]", i);
        }
    }
    return true;
}

static bool add_filter_mutations(struct host_compile *compile, enum level level,
                                 struct edits *requests, struct edits *responses,
                                 struct error *error)
{
    ProtobufCMessage *message;
    if (!compile_override_at(compile, level, "envoy.filters.http.header_mutation", &DESCRIPTOR,
                             &message, error)) {
        return false;
    }
    const MUTATIONS *mutations = message ? ((const PER_ROUTE *)message)->mutations : NULL;
    return mutations == NULL || (add_mutations(compile, requests, mutations->request_mutations,
                                               mutations->n_request_mutations, error) &&
                                 add_mutations(compile, responses, mutations->response_mutations,
                                               mutations->n_response_mutations, error));
}

bool compile_fields(struct host_compile *compile, enum level level,
                    const struct field_options *options, struct error *error)
{
    struct edits requests = { 0 };
    struct edits responses = { 0 };
    struct level_fields *fields = &compile->fields[level];
    bool read =
        add_options(compile, &requests, options->request_removes, options->request_remove_count,
                    options->request_adds, options->request_add_count, "request", error) &&
        add_options(compile, &responses, options->response_removes, options->response_remove_count,
                    options->response_adds, options->response_add_count, "response", error) &&
        add_filter_mutations(compile, level, &requests, &responses, error);
    *fields = (struct level_fields){ 0 };
    if (read) {
        fields->requests = make_filters(compile, &requests, &request_header_modifier_filter,
                                        &fields->request_count);
        fields->responses = make_filters(compile, &responses, &response_header_modifier_filter,
                                         &fields->response_count);
    }
    array_free(&requests);
    array_free(&responses);
    return read;
}
