/* One walk over a decoded message: violated constraints, unknown fields and types. Called by the
 * plan compiler before it reads a resource, and by `weft check`. Content of Anys goes into the
 * caller's arena. The rule table is constraints.tsv; which gaps are dangerous stands in
 * guarded_messages. */
#include "xds/inspect.h"

#include "base/hash.h"
#include "xds/constraints.h"
#include "xds/constraint_check.h"
#include "xds/guard.h"
#include "xds/message.h"

#include <stdio.h>
#include <string.h>

#define REPORTS_MAX 100
#define CACHE_SLOTS 512 /* more than there are message types */
#define PATH_BYTES  512

/* The constraints of one message type, its fields looked up. */
struct type_rules {
    const ProtobufCMessageDescriptor *descriptor;
    const struct constraint *rules;
    const ProtobufCFieldDescriptor **fields;
    size_t count;
};

struct inspector {
    struct arena *arena;
    const struct inspect_events *events;
    struct type_rules *cache; /* by address of descriptor, open addressing */
    size_t violations;
    size_t refusals;
    size_t reported;
};

/* The way from one message to a message inside it. */
struct step {
    const struct step *parent;
    const ProtobufCMessage *owner;
    const ProtobufCFieldDescriptor *field;
    size_t index;
    const char *key;  /* of a map */
    bool entered_any; /* the message behind this step is an Any of a known type */
};

/* Where an unknown field or type may not be skipped over: it could widen who or what matches, or
 * leave out a guard. Names end with a dot where a whole package is meant. */
static const char *const guarded_messages[] = {
    "envoy.config.core.v3.CidrRange",
    "envoy.config.core.v3.TransportSocket",
    "envoy.config.listener.v3.Filter",
    "envoy.config.listener.v3.FilterChainMatch",
    "envoy.config.listener.v3.ListenerFilter",
    "envoy.config.rbac.",
    "envoy.config.route.v3.CookieMatcher",
    "envoy.config.route.v3.HeaderMatcher",
    "envoy.config.route.v3.QueryParameterMatcher",
    "envoy.config.route.v3.RouteMatch",
    "envoy.extensions.filters.http.api_key_auth.",
    "envoy.extensions.filters.http.basic_auth.",
    "envoy.extensions.filters.http.ext_authz.",
    "envoy.extensions.filters.http.jwt_authn.",
    "envoy.extensions.filters.http.oauth2.",
    "envoy.extensions.filters.http.rbac.",
    "envoy.extensions.filters.network.http_connection_manager.v3.HttpFilter",
    "envoy.extensions.filters.network.rbac.",
    "envoy.extensions.transport_sockets.tls.",
    "envoy.type.matcher.v3.",
};

static const struct {
    const char *message;
    uint32_t field;
} guarded_fields[] = {
    { "envoy.config.listener.v3.Listener", 32 }, /* filter_chain_matcher */
};

static bool is_guarded(struct text name)
{
    for (size_t i = 0; i < sizeof(guarded_messages) / sizeof(guarded_messages[0]); i++) {
        struct text guarded = text_from_string(guarded_messages[i]);
        bool package = text_ends_with(guarded, TEXT("."));
        if (package ? text_starts_with(name, guarded) : text_equal(name, guarded))
            return true;
    }
    return false;
}

static size_t write_path(const struct step *step, char *out, size_t size)
{
    size_t used = step->parent ? write_path(step->parent, out, size) : 0;
    bool value_of_entry = step->parent && step->parent->key;
    if (used >= size - 1 || value_of_entry)
        return used;
    const char *dot = used ? "." : "";
    int wrote;
    if (step->key)
        wrote =
            snprintf(out + used, size - used, "%s%s[\"%s\"]", dot, step->field->name, step->key);
    else if (step->field->label == PROTOBUF_C_LABEL_REPEATED && step->index != SIZE_MAX)
        wrote = snprintf(out + used, size - used, "%s%s[%zu]", dot, step->field->name, step->index);
    else
        wrote = snprintf(out + used, size - used, "%s%s", dot, step->field->name);
    used += (size_t)wrote;
    return used < size ? used : size - 1;
}

static void report_violation(struct inspector *inspector, const struct step *step, const char *what)
{
    inspector->violations++;
    if (!inspector->events->on_violation || inspector->violations > REPORTS_MAX)
        return;
    char path[PATH_BYTES] = "";
    size_t size = step ? write_path(step, path, sizeof(path)) : 0;
    inspector->events->on_violation(inspector->events->owner, text_of(path, size),
                                    text_from_string(what));
}

static void report_unsupported(struct inspector *inspector, const struct step *step,
                               struct inspect_unsupported *found)
{
    inspector->refusals += found->refuse;
    if (!inspector->events->on_unsupported || inspector->reported >= REPORTS_MAX)
        return;
    inspector->reported++;
    char path[PATH_BYTES] = "";
    found->path = text_of(path, step ? write_path(step, path, sizeof(path)) : 0);
    inspector->events->on_unsupported(inspector->events->owner, found);
    found->path = text_of(NULL, 0);
}

/* The message itself, or one it is part of up to the Any that carries it, is guarded. */
static bool in_guarded(const ProtobufCMessage *message, const struct step *step)
{
    if (message && is_guarded(text_from_string(message->descriptor->name)))
        return true;
    for (; step && !step->entered_any; step = step->parent) {
        if (is_guarded(text_from_string(step->owner->descriptor->name)))
            return true;
    }
    return false;
}

static bool field_is_guarded(const ProtobufCMessage *message, uint32_t field)
{
    for (size_t i = 0; i < sizeof(guarded_fields) / sizeof(guarded_fields[0]); i++) {
        if (guarded_fields[i].field == field &&
            strcmp(guarded_fields[i].message, message->descriptor->name) == 0)
            return true;
    }
    return false;
}

static void check_unknown_fields(struct inspector *inspector, const ProtobufCMessage *message,
                                 const struct step *step)
{
    for (unsigned i = 0; i < message->n_unknown_fields; i++) {
        uint32_t field = message->unknown_fields[i].tag;
        struct inspect_unsupported found = {
            .message = text_from_string(message->descriptor->name),
            .field = field,
            .refuse = in_guarded(message, step) || field_is_guarded(message, field),
        };
        report_unsupported(inspector, step, &found);
    }
}

/* An HttpFilter may say itself that it can be left out. */
static bool may_be_left_out(const ProtobufCMessage *owner)
{
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field_by_name(owner->descriptor, "is_optional");
    return field &&
           *(const protobuf_c_boolean *)(const void *)((const char *)owner + field->offset);
}

static void report_unknown_type(struct inspector *inspector, const Google__Protobuf__Any *any,
                                const struct step *step)
{
    struct text url = text_from_string(any->type_url);
    size_t slash = url.size;
    while (slash > 0 && url.at[slash - 1] != '/')
        slash--;
    const ProtobufCMessage *owner = step ? step->owner : NULL;
    bool guarded = in_guarded(NULL, step) && !(owner && may_be_left_out(owner));
    struct inspect_unsupported found = {
        .message = text_from_string(owner ? owner->descriptor->name : any->base.descriptor->name),
        .field = step ? step->field->id : 0,
        .type_url = url,
        .refuse = guarded || is_guarded(text_from(url, slash)),
    };
    report_unsupported(inspector, step, &found);
}

static const struct constraint *find_rules(const char *message, size_t *out_count)
{
    size_t low = 0, high = constraints_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (strcmp(constraints[middle].message, message) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    size_t end = low;
    while (end < constraints_count && strcmp(constraints[end].message, message) == 0)
        end++;
    *out_count = end - low;
    return &constraints[low];
}

static const struct type_rules *rules_of(struct inspector *inspector,
                                         const ProtobufCMessageDescriptor *descriptor)
{
    size_t slot = ((uintptr_t)descriptor >> 5) % CACHE_SLOTS;
    struct type_rules *found = &inspector->cache[slot];
    while (found->descriptor && found->descriptor != descriptor) {
        slot = (slot + 1) % CACHE_SLOTS;
        found = &inspector->cache[slot];
    }
    if (found->descriptor)
        return found;
    found->descriptor = descriptor;
    found->rules = find_rules(descriptor->name, &found->count);
    found->fields = arena_alloc(inspector->arena, found->count * sizeof(*found->fields) + 1);
    for (size_t i = 0; i < found->count; i++)
        found->fields[i] =
            protobuf_c_message_descriptor_get_field_by_name(descriptor, found->rules[i].field);
    return found;
}

static void check_rules(struct inspector *inspector, const ProtobufCMessage *message,
                        const struct step *step)
{
    const struct type_rules *rules = rules_of(inspector, message->descriptor);
    for (size_t i = 0; i < rules->count; i++) {
        char what[CONSTRAINT_TEXT_MAX];
        struct step inner = { step, message, rules->fields[i], SIZE_MAX, NULL, false };
        if (constraint_check(message, rules->fields[i], &rules->rules[i], what))
            continue;
        bool oneof = rules->rules[i].rule == RULE_REQUIRED_ONEOF;
        report_violation(inspector, oneof ? step : &inner, what);
    }
}

static void check_enums(struct inspector *inspector, const ProtobufCMessage *message,
                        const ProtobufCFieldDescriptor *field, const struct step *step)
{
    const char *base = (const char *)message;
    const int *values = (const int *)(const void *)(base + field->offset);
    size_t count = 1;
    if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        values = *(const int *const *)(const void *)values;
        count = *(const size_t *)(const void *)(base + field->quantifier_offset);
    }
    for (size_t i = 0; i < count; i++) {
        if (protobuf_c_enum_descriptor_get_value(field->descriptor, values[i]))
            continue;
        char what[CONSTRAINT_TEXT_MAX];
        const ProtobufCEnumDescriptor *type = field->descriptor;
        snprintf(what, sizeof(what), "%d is no value of %s", values[i], type->short_name);
        struct step inner = { step, message, field, i, NULL, false };
        report_violation(inspector, &inner, what);
    }
}

static void inspect_tree(struct inspector *inspector, const ProtobufCMessage *message,
                         const struct step *step, unsigned depth);

static void inspect_any(struct inspector *inspector, const ProtobufCMessage *message,
                        const struct step *step, unsigned depth)
{
    const Google__Protobuf__Any *any = (const Google__Protobuf__Any *)message;
    if (!any->type_url || any->type_url[0] == '\0') {
        if (any->value.len > 0)
            report_violation(inspector, step, "a value without a type_url");
        return;
    }
    const ProtobufCMessageDescriptor *descriptor = registry_find(text_from_string(any->type_url));
    if (!descriptor) {
        report_unknown_type(inspector, any, step);
        return;
    }
    struct error error;
    ProtobufCMessage *inner;
    if (!xds_decode_as(descriptor, xds_bytes(any->value), inspector->arena, &inner, &error)) {
        report_violation(inspector, step, error.text);
        return;
    }
    struct step entered = { 0 };
    if (step) {
        entered = *step;
        entered.entered_any = true;
    }
    inspect_tree(inspector, inner, step ? &entered : NULL, depth + 1);
}

static void inspect_children(struct inspector *inspector, const ProtobufCMessage *message,
                             const ProtobufCFieldDescriptor *field, const struct step *parent,
                             unsigned depth)
{
    const char *base = (const char *)message;
    bool repeated = field->label == PROTOBUF_C_LABEL_REPEATED;
    struct step step = { parent, message, field, 0, NULL, false };
    if (!repeated) {
        const ProtobufCMessage *child =
            *(const ProtobufCMessage *const *)(const void *)(base + field->offset);
        if (child)
            inspect_tree(inspector, child, &step, depth + 1);
        return;
    }
    bool map = xds_field_is_map(message->descriptor, field);
    size_t count = *(const size_t *)(const void *)(base + field->quantifier_offset);
    const ProtobufCMessage *const *items =
        *(const ProtobufCMessage *const *const *)(const void *)(base + field->offset);
    for (step.index = 0; step.index < count; step.index++) {
        if (map)
            step.key = xds_map_key(items[step.index]);
        inspect_tree(inspector, items[step.index], &step, depth + 1);
    }
}

static bool is_set(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    return !(field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) ||
           *(const uint32_t *)(const void *)((const char *)message + field->quantifier_offset) ==
               field->id;
}

static void inspect_tree(struct inspector *inspector, const ProtobufCMessage *message,
                         const struct step *step, unsigned depth)
{
    if (depth > GUARD_DEPTH_MAX) {
        report_violation(inspector, step, "nested deeper than 64 messages");
        return;
    }
    check_unknown_fields(inspector, message, step);
    if (message->descriptor == &google__protobuf__any__descriptor) {
        inspect_any(inspector, message, step, depth);
        return;
    }
    const char *duration = constraint_check_duration(message);
    if (duration)
        report_violation(inspector, step, duration);
    check_rules(inspector, message, step);
    for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
        if (!is_set(message, field))
            continue;
        if (field->type == PROTOBUF_C_TYPE_MESSAGE)
            inspect_children(inspector, message, field, step, depth);
        else if (field->type == PROTOBUF_C_TYPE_ENUM)
            check_enums(inspector, message, field, step);
    }
}

size_t inspect_message(const ProtobufCMessage *message, struct arena *arena,
                       const struct inspect_events *events)
{
    struct inspector inspector = { .arena = arena, .events = events };
    inspector.cache = arena_new_array(arena, struct type_rules, CACHE_SLOTS);
    inspect_tree(&inspector, message, NULL, 1);
    return inspector.violations + inspector.refusals;
}

/* Collects what inspect_or_refuse says, and passes everything on. */
struct collector {
    const struct inspect_events *events;
    struct error *error;
    size_t used;
};

static void collect(struct collector *collector, struct text path, struct text what)
{
    char *out = collector->error->text;
    size_t room = ERROR_TEXT_MAX - collector->used;
    if (room <= 1)
        return;
    int wrote = snprintf(out + collector->used, room, "%s%.*s%s%.*s", collector->used ? "; " : "",
                         TEXT_ARG(path), path.size ? ": " : "", TEXT_ARG(what));
    collector->used += (size_t)wrote < room ? (size_t)wrote : room - 1;
}

static void collect_violation(void *owner, struct text path, struct text what)
{
    struct collector *collector = owner;
    collect(collector, path, what);
    if (collector->events && collector->events->on_violation)
        collector->events->on_violation(collector->events->owner, path, what);
}

static void collect_unsupported(void *owner, const struct inspect_unsupported *found)
{
    struct collector *collector = owner;
    if (found->refuse) {
        char what[256];
        int size;
        if (found->type_url.size)
            size = snprintf(what, sizeof(what),
                            "type %.*s is not supported, and skipping it here "
                            "could open a door",
                            TEXT_ARG(text_first(found->type_url, 150)));
        else
            size = snprintf(what, sizeof(what),
                            "field %u of %.*s is not supported, and skipping "
                            "it could open a door",
                            found->field, TEXT_ARG(text_first(found->message, 150)));
        collect(collector, found->path, text_of(what, (size_t)size));
    }
    if (collector->events && collector->events->on_unsupported)
        collector->events->on_unsupported(collector->events->owner, found);
}

bool inspect_or_refuse(const ProtobufCMessage *message, struct arena *arena,
                       const struct inspect_events *events, struct error *error)
{
    struct collector collector = { .events = events, .error = error };
    struct inspect_events collecting = { &collector, collect_violation, collect_unsupported };
    error->text[0] = '\0';
    return inspect_message(message, arena, &collecting) == 0;
}
