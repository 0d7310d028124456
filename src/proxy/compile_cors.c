/* envoy.extensions.filters.http.cors.v3.CorsPolicy -> cors_policy. Exact origins are taken apart,
 * so that case and default ports do not count; patterns become regular expressions. */
#include "proxy/compile_parts.h"
#include "xds/message.h"

#include "envoy/extensions/filters/http/cors/v3/cors.pb-c.h"

#define CORS_NAME  "envoy.filters.http.cors"
#define POLICY     Envoy__Extensions__Filters__Http__Cors__V3__CorsPolicy
#define STRING     Envoy__Type__Matcher__V3__StringMatcher
#define CASE(kind) ENVOY__TYPE__MATCHER__V3__STRING_MATCHER__MATCH_PATTERN_##kind

#define ORIGINS_MAX 1000

static struct text lower(struct arena *arena, struct text t)
{
    char *at = arena_bytes(arena, t.size + 1);
    for (size_t i = 0; i < t.size; i++) {
        at[i] = text_lower_byte(t.at[i]);
    }
    return text_of(at, t.size);
}

/* scheme://host[:port], host "*", "*.name" or a name. */
static bool exact_origin(struct host_compile *compile, struct cors_origin *origin, struct text t,
                         struct error *error)
{
    size_t colon = text_find(t, TEXT("://"));
    if (text_equal(t, TEXT("*"))) {
        origin->any = true;
        return true;
    }
    if (colon == 0 || colon == t.size) {
        return error_set(error, "exact: \"%.*s\" is no origin; write scheme://host[:port]",
                         TEXT_ARG(text_first(t, 100)));
    }
    origin->scheme = lower(compile->arena, text_first(t, colon));
    struct text host = text_from(t, colon + 3);
    size_t from = host.size > 0 && host.at[0] == '[' ? text_find_byte(host, ']') : 0;
    size_t end = from + text_find_byte(text_from(host, from), ':');
    uint64_t port = 0;
    if (end < host.size && !text_parse_u64(text_from(host, end + 1), 65535, &port)) {
        return error_set(error, "exact: \"%.*s\" has no valid port", TEXT_ARG(text_first(t, 100)));
    }
    origin->port = (uint32_t)port;
    host = text_first(host, end);
    if (text_equal(host, TEXT("*")) || text_starts_with(host, TEXT("*."))) {
        origin->wildcard = true;
        host = text_from(host, host.size > 1 ? 2 : 1);
    }
    origin->host = lower(compile->arena, host);
    return host.size > 0 || origin->wildcard || error_set(error, "exact: the origin has no host");
}

static struct text quoted(struct host_compile *compile, const char *before, const char *literal,
                          const char *after)
{
    struct text t = text_from_string(literal);
    char *at = arena_bytes(compile->scratch, 2 * t.size + 1);
    size_t size = 0;
    for (size_t i = 0; i < t.size; i++) {
        bool plain = (t.at[i] >= 'a' && t.at[i] <= 'z') || (t.at[i] >= 'A' && t.at[i] <= 'Z') ||
                     (t.at[i] >= '0' && t.at[i] <= '9') || (unsigned char)t.at[i] >= 0x80;
        if (!plain) {
            at[size++] = '\\';
        }
        at[size++] = t.at[i];
    }
    return arena_format(compile->scratch, "%s%.*s%s", before, (int)size, at, after);
}

static bool read_origin(struct host_compile *compile, struct cors_origin *origin,
                        const STRING *message, struct error *error)
{
    struct text pattern;
    bool ignore_case = message->ignore_case;
    switch (message->match_pattern_case) {
    case CASE(EXACT):
        return exact_origin(compile, origin, text_from_string(message->exact), error);
    case CASE(PREFIX):
        pattern = quoted(compile, "", message->prefix, ".*");
        break;
    case CASE(SUFFIX):
        pattern = quoted(compile, ".*", message->suffix, "");
        break;
    case CASE(CONTAINS):
        pattern = quoted(compile, ".*", message->contains, ".*");
        break;
    case CASE(SAFE_REGEX):
        pattern = text_from_string(message->safe_regex->regex);
        ignore_case = false;
        break;
    default:
        return error_set(error, "match_pattern: none is set");
    }
    const struct regex *regex = compile_regex(compile, pattern, ignore_case, error);
    if (regex == NULL) {
        return false;
    }
    /* As Envoy has it: a pattern that matches the star itself means every origin. */
    origin->any = regex_match(regex, TEXT("*")) == REGEX_YES;
    origin->regex = (void *)(uintptr_t)regex;
    return true;
}

static struct text listed(struct host_compile *compile, const char *list)
{
    return text_trim(compile_copy(compile, list));
}

static bool is_enabled(struct host_compile *compile, const POLICY *message)
{
    const Envoy__Config__Core__V3__RuntimeFractionalPercent *enabled = message->filter_enabled;
    if (enabled == NULL || enabled->default_value == NULL) {
        return true;
    }
    if (enabled->default_value->numerator > 0 && enabled->default_value->numerator < 100) {
        compile_note(compile->notes, TEXT("CorsPolicy.filter_enabled of a share"));
    }
    return enabled->default_value->numerator > 0;
}

static bool read_lists(struct host_compile *compile, struct cors_policy *policy,
                       const POLICY *message, struct error *error)
{
    uint64_t seconds;
    policy->allow_methods = listed(compile, message->allow_methods);
    policy->allow_headers = listed(compile, message->allow_headers);
    policy->expose_headers = listed(compile, message->expose_headers);
    policy->max_age = listed(compile, message->max_age);
    policy->allow_credentials = xds_bool(message->allow_credentials, false);
    if (!field_value_is_valid(policy->allow_methods) ||
        !field_value_is_valid(policy->allow_headers) ||
        !field_value_is_valid(policy->expose_headers)) {
        return error_set(error, "a list of names holds a control character");
    }
    return policy->max_age.size == 0 || text_parse_u64(policy->max_age, UINT32_MAX, &seconds) ||
           error_set(error, "max_age: \"%.*s\" is no number of seconds",
                     TEXT_ARG(text_first(policy->max_age, 100)));
}

bool compile_cors(struct host_compile *compile, const struct cors_policy **out_policy,
                  struct error *error)
{
    ProtobufCMessage *decoded;
    *out_policy = NULL;
    if (!compile_override(compile, LEVEL_ROUTE, CORS_NAME,
                          &envoy__extensions__filters__http__cors__v3__cors_policy__descriptor,
                          &decoded, error)) {
        return false;
    }
    const POLICY *message = (const POLICY *)decoded;
    if (message == NULL || !is_enabled(compile, message)) {
        return true;
    }
    if (message->n_allow_origin_string_match > ORIGINS_MAX) {
        return error_set(error, "allow_origin_string_match: more than %d", ORIGINS_MAX);
    }
    struct cors_policy *policy = arena_new(compile->arena, struct cors_policy);
    policy->origins = arena_new_array(compile->arena, struct cors_origin,
                                      message->n_allow_origin_string_match + 1);
    for (size_t i = 0; i < message->n_allow_origin_string_match; i++) {
        if (!read_origin(compile, &policy->origins[policy->origin_count++],
                         message->allow_origin_string_match[i], error)) {
            return error_prefix(error, "%s: allow_origin_string_match[%zu]", CORS_NAME, i);
        }
    }
    *out_policy = policy;
    return read_lists(compile, policy, message, error) || error_prefix(error, CORS_NAME);
}
