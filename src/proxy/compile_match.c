/* RouteMatch -> path and conditions. Whatever cannot be honoured here is an error: a condition left
 * out would let more requests through than was asked for. */
#include "http/uri.h"
#include "proxy/compile_parts.h"
#include "xds/message.h"

#define MATCH   Envoy__Config__Route__V3__RouteMatch
#define HEADER  Envoy__Config__Route__V3__HeaderMatcher
#define QUERY   Envoy__Config__Route__V3__QueryParameterMatcher
#define STRING  Envoy__Type__Matcher__V3__StringMatcher
#define OF(tag) ENVOY__CONFIG__ROUTE__V3__##tag

#define CONDITIONS_MAX 100

/* Control planes still send the deprecated forms of HeaderMatcher. */
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

const struct regex *compile_regex(struct host_compile *compile, struct text pattern,
                                  bool ignore_case, struct error *error)
{
    struct regex *regex = arena_new(compile->arena, struct regex);
    if (!regex_init(regex, pattern, ignore_case, error)) {
        return NULL;
    }
    regex->next = compile->host->regexes;
    compile->host->regexes = regex;
    return regex;
}

static bool set_regex(struct host_compile *compile, struct text_match *match, const char *pattern,
                      struct error *error)
{
    match->kind = TEXT_REGEX;
    match->text = compile_copy(compile, pattern);
    match->regex = compile_regex(compile, match->text, false, error);
    return match->regex != NULL || error_prefix(error, "safe_regex.regex");
}

static bool set_text(struct host_compile *compile, struct text_match *match,
                     enum text_match_kind kind, const char *text)
{
    match->kind = (uint8_t)kind;
    match->text = compile_copy(compile, text);
    return true;
}

bool compile_text_match(struct host_compile *compile, struct text_match *match,
                        const STRING *message, struct error *error)
{
    match->ignore_case = message->ignore_case;
    switch (message->match_pattern_case) {
    case ENVOY__TYPE__MATCHER__V3__STRING_MATCHER__MATCH_PATTERN_EXACT:
        return set_text(compile, match, TEXT_EXACT, message->exact);
    case ENVOY__TYPE__MATCHER__V3__STRING_MATCHER__MATCH_PATTERN_PREFIX:
        return set_text(compile, match, TEXT_PREFIX, message->prefix);
    case ENVOY__TYPE__MATCHER__V3__STRING_MATCHER__MATCH_PATTERN_SUFFIX:
        return set_text(compile, match, TEXT_SUFFIX, message->suffix);
    case ENVOY__TYPE__MATCHER__V3__STRING_MATCHER__MATCH_PATTERN_CONTAINS:
        return set_text(compile, match, TEXT_CONTAINS, message->contains);
    case ENVOY__TYPE__MATCHER__V3__STRING_MATCHER__MATCH_PATTERN_SAFE_REGEX:
        return set_regex(compile, match, message->safe_regex->regex, error);
    default:
        return error_set(error, "match_pattern: none is set");
    }
}

bool compile_path(struct host_compile *compile, struct text path, struct text *out_path,
                  struct error *error)
{
    static const struct path_rules keep_all = { .merge_slashes = false };
    struct text changed;
    if (path.size == 0 || path.at[0] != '/') {
        return error_set(error, "\"%.*s\" does not begin with \"/\"",
                         TEXT_ARG(text_first(path, 100)));
    }
    if (path.size > ROUTE_PATH_MAX) {
        return error_set(error, "%zu bytes, at most %d are allowed", path.size, ROUTE_PATH_MAX);
    }
    if (text_find_byte(path, '?') < path.size) {
        return error_set(error, "\"%.*s\" has a query, a path has none",
                         TEXT_ARG(text_first(path, 100)));
    }
    enum path_result result =
        path_normalize(path, &keep_all, arena_bytes(compile->scratch, path.size), &changed);
    if (result != PATH_SAME && result != PATH_CHANGED) {
        return error_set(error, "\"%.*s\" is no path (%s)", TEXT_ARG(text_first(path, 100)),
                         path_result_name(result));
    }
    *out_path = arena_copy(compile->arena, changed);
    return true;
}

static bool match_path(struct host_compile *compile, struct route_entry *entry, enum path_kind kind,
                       const char *from, const char *field, struct error *error)
{
    struct text path = text_from_string(from);
    entry->path_kind = (uint8_t)kind;
    if (kind == PATH_BYTES && path.size == 0) {
        entry->path = text_of("", 0); /* every path */
        return true;
    }
    if (kind == PATH_ELEMENTS && path.size > 0 && path.at[path.size - 1] == '/') {
        return error_set(error, "%s: \"%.*s\" must not end with \"/\"", field,
                         TEXT_ARG(text_first(path, 100)));
    }
    if (!compile_path(compile, path, &entry->path, error)) {
        return error_prefix(error, "%s", field);
    }
    if (kind != PATH_IS) {
        entry->route.matched_prefix = entry->path;
    }
    return true;
}

static bool compile_path_match(struct host_compile *compile, struct route_entry *entry,
                               const MATCH *message, struct error *error)
{
    entry->ignore_case = !xds_bool(message->case_sensitive, true);
    switch (message->path_specifier_case) {
    case OF(ROUTE_MATCH__PATH_SPECIFIER_PREFIX):
        return match_path(compile, entry, PATH_BYTES, message->prefix, "prefix", error);
    case OF(ROUTE_MATCH__PATH_SPECIFIER_PATH):
        return match_path(compile, entry, PATH_IS, message->path, "path", error);
    case OF(ROUTE_MATCH__PATH_SPECIFIER_PATH_SEPARATED_PREFIX):
        return match_path(compile, entry, PATH_ELEMENTS, message->path_separated_prefix,
                          "path_separated_prefix", error);
    case OF(ROUTE_MATCH__PATH_SPECIFIER_SAFE_REGEX):
        entry->path_kind = PATH_REGEX;
        entry->path = compile_copy(compile, message->safe_regex->regex);
        entry->regex = compile_regex(compile, entry->path, entry->ignore_case, error);
        return entry->regex != NULL || error_prefix(error, "safe_regex.regex");
    case OF(ROUTE_MATCH__PATH_SPECIFIER_CONNECT_MATCHER):
        entry->path_kind = PATH_NEVER; /* CONNECT is refused before routing */
        return true;
    case OF(ROUTE_MATCH__PATH_SPECIFIER_PATH_MATCH_POLICY):
        return error_set(error, "path_match_policy: not supported");
    default:
        return error_set(error, "path_specifier: none is set");
    }
}

static bool header_match(struct host_compile *compile, struct header_condition *condition,
                         const HEADER *message, struct error *error)
{
    struct text_match *match = &condition->match;
    switch (message->header_match_specifier_case) {
    case OF(HEADER_MATCHER__HEADER_MATCH_SPECIFIER_STRING_MATCH):
        return compile_text_match(compile, match, message->string_match, error) ||
               error_prefix(error, "string_match");
    case OF(HEADER_MATCHER__HEADER_MATCH_SPECIFIER_EXACT_MATCH):
        return set_text(compile, match, TEXT_EXACT, message->exact_match);
    case OF(HEADER_MATCHER__HEADER_MATCH_SPECIFIER_PREFIX_MATCH):
        return set_text(compile, match, TEXT_PREFIX, message->prefix_match);
    case OF(HEADER_MATCHER__HEADER_MATCH_SPECIFIER_SUFFIX_MATCH):
        return set_text(compile, match, TEXT_SUFFIX, message->suffix_match);
    case OF(HEADER_MATCHER__HEADER_MATCH_SPECIFIER_CONTAINS_MATCH):
        return set_text(compile, match, TEXT_CONTAINS, message->contains_match);
    case OF(HEADER_MATCHER__HEADER_MATCH_SPECIFIER_SAFE_REGEX_MATCH):
        return set_regex(compile, match, message->safe_regex_match->regex, error);
    case OF(HEADER_MATCHER__HEADER_MATCH_SPECIFIER_RANGE_MATCH):
        match->kind = TEXT_RANGE;
        match->low = message->range_match->start;
        match->high = message->range_match->end;
        return true;
    case OF(HEADER_MATCHER__HEADER_MATCH_SPECIFIER_PRESENT_MATCH):
        condition->absent = message->present_match == message->invert_match;
        match->kind = TEXT_PRESENT;
        condition->invert = false;
        return true;
    default: /* nothing set: the field must be there */
        match->kind = TEXT_PRESENT;
        condition->absent = message->invert_match;
        condition->invert = false;
        return true;
    }
}

static bool compile_header(struct host_compile *compile, struct header_condition *condition,
                           const HEADER *message, struct error *error)
{
    struct text name = text_from_string(message->name);
    condition->name = arena_copy(compile->arena, name);
    condition->invert = message->invert_match;
    condition->missing_is_empty = message->treat_missing_header_as_empty;
    if (text_equal(name, TEXT(":method"))) {
        condition->pseudo = PSEUDO_METHOD;
    } else if (text_equal(name, TEXT(":authority")) || text_equal_nocase(name, TEXT("host"))) {
        condition->pseudo = PSEUDO_AUTHORITY;
    } else if (text_equal(name, TEXT(":path"))) {
        condition->pseudo = PSEUDO_PATH;
    } else if (!field_name_is_valid(name)) {
        return error_set(error,
                         "name: \"%.*s\" is no header name; of the names with a colon "
                         ":method, :authority and :path are supported",
                         TEXT_ARG(text_first(name, 100)));
    } else {
        condition->field_id = (uint8_t)field_id_of(name);
    }
    return header_match(compile, condition, message, error);
}

/* An exact condition on a method that has an id is kept as that. */
static void take_method(struct route_conditions *conditions)
{
    const struct header_condition *last = &conditions->headers[conditions->header_count - 1];
    if (last->pseudo != PSEUDO_METHOD || last->invert || last->match.kind != TEXT_EXACT ||
        last->match.ignore_case || conditions->method != METHOD_OTHER) {
        return;
    }
    for (unsigned id = METHOD_OTHER + 1; id <= METHOD_TRACE; id++) {
        if (text_equal(last->match.text, method_name((enum http_method)id))) {
            conditions->method = (uint8_t)id;
            conditions->headers[--conditions->header_count] = (struct header_condition){ 0 };
            return;
        }
    }
}

static bool compile_query(struct host_compile *compile, struct query_condition *condition,
                          const QUERY *message, struct error *error)
{
    condition->name = compile_copy(compile, message->name);
    if (condition->name.size > ROUTE_PATH_MAX / 3) {
        return error_set(error, "name: longer than %d bytes", ROUTE_PATH_MAX / 3);
    }
    switch (message->query_parameter_match_specifier_case) {
    case OF(QUERY_PARAMETER_MATCHER__QUERY_PARAMETER_MATCH_SPECIFIER_STRING_MATCH):
        return compile_text_match(compile, &condition->match, message->string_match, error) ||
               error_prefix(error, "string_match");
    case OF(QUERY_PARAMETER_MATCHER__QUERY_PARAMETER_MATCH_SPECIFIER_PRESENT_MATCH):
        condition->absent = !message->present_match;
        condition->match.kind = TEXT_PRESENT;
        return true;
    default:
        condition->match.kind = TEXT_PRESENT;
        return true;
    }
}

static bool compile_cookies(struct host_compile *compile, struct route_conditions *conditions,
                            const MATCH *message, struct error *error)
{
    conditions->cookies =
        arena_new_array(compile->arena, struct cookie_condition, message->n_cookies);
    for (size_t i = 0; i < message->n_cookies; i++) {
        struct cookie_condition *condition = &conditions->cookies[i];
        condition->name = compile_copy(compile, message->cookies[i]->name);
        condition->invert = message->cookies[i]->invert_match;
        if (message->cookies[i]->string_match == NULL ||
            !compile_text_match(compile, &condition->match, message->cookies[i]->string_match,
                                error)) {
            return error_prefix(error, "cookies[%zu].string_match", i);
        }
        conditions->cookie_count++;
    }
    return true;
}

static bool compile_conditions(struct host_compile *compile, struct route_conditions *conditions,
                               const MATCH *message, struct error *error)
{
    conditions->headers =
        arena_new_array(compile->arena, struct header_condition, message->n_headers);
    conditions->queries =
        arena_new_array(compile->arena, struct query_condition, message->n_query_parameters);
    for (size_t i = 0; i < message->n_headers; i++) {
        struct header_condition *condition = &conditions->headers[conditions->header_count++];
        if (!compile_header(compile, condition, message->headers[i], error)) {
            return error_prefix(error, "headers[%zu]", i);
        }
        take_method(conditions);
    }
    for (size_t i = 0; i < message->n_query_parameters; i++) {
        struct query_condition *condition = &conditions->queries[conditions->query_count++];
        if (!compile_query(compile, condition, message->query_parameters[i], error)) {
            return error_prefix(error, "query_parameters[%zu]", i);
        }
    }
    conditions->grpc = message->grpc != NULL;
    return compile_cookies(compile, conditions, message, error);
}

/* A share of requests cannot be a condition here; all of them is none. */
static bool fraction_is_whole(const Envoy__Config__Core__V3__RuntimeFractionalPercent *fraction)
{
    static const uint32_t whole[] = { 100, 10000, 1000000 };
    const Envoy__Type__V3__FractionalPercent *value = fraction ? fraction->default_value : NULL;
    return fraction == NULL || (value != NULL && (unsigned)value->denominator < 3 &&
                                value->numerator >= whole[value->denominator]);
}

bool compile_match(struct host_compile *compile, struct route_entry *entry, const MATCH *message,
                   struct error *error)
{
    if (!fraction_is_whole(message->runtime_fraction)) {
        return error_set(error, "runtime_fraction: not supported; use weighted_clusters");
    }
    if (message->n_headers > CONDITIONS_MAX || message->n_query_parameters > CONDITIONS_MAX ||
        message->n_cookies > CONDITIONS_MAX) {
        return error_set(error, "more than %d conditions", CONDITIONS_MAX);
    }
    return compile_path_match(compile, entry, message, error) &&
           compile_conditions(compile, &entry->conditions, message, error);
}
