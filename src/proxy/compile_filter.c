/* typed_per_filter_config -> configurations of filters: URL rewriting and session persistence; the
 * lookup of the most specific entry. CORS: compile_cors.c. */
#include "base/hash.h"
#include "http/uri.h"
#include "proxy/compile_parts.h"
#include "xds/message.h"

#include "envoy/extensions/filters/http/stateful_session/v3/stateful_session.pb-c.h"
#include "envoy/extensions/http/stateful_session/cookie/v3/cookie.pb-c.h"
#include "envoy/extensions/http/stateful_session/header/v3/header.pb-c.h"
#include "weft/v1/weft.pb-c.h"

#include <stdio.h>

#define SESSION_NAME  "envoy.filters.http.stateful_session"
#define SESSION_ROUTE Envoy__Extensions__Filters__Http__StatefulSession__V3__StatefulSessionPerRoute
#define SESSION_DESCRIPTOR                                                                         \
    envoy__extensions__filters__http__stateful_session__v3__stateful_session_per_route__descriptor
#define SESSION_CASE(which)                                                                        \
    ENVOY__EXTENSIONS__FILTERS__HTTP__STATEFUL_SESSION__V3__STATEFUL_SESSION_PER_ROUTE__##which
#define COOKIE_STATE Envoy__Extensions__Http__StatefulSession__Cookie__V3__CookieBasedSessionState
#define COOKIE_DESCRIPTOR                                                                          \
    envoy__extensions__http__stateful_session__cookie__v3__cookie_based_session_state__descriptor
#define HEADER_STATE Envoy__Extensions__Http__StatefulSession__Header__V3__HeaderBasedSessionState
#define HEADER_DESCRIPTOR                                                                          \
    envoy__extensions__http__stateful_session__header__v3__header_based_session_state__descriptor

#define OVERRIDE Envoy__Config__Route__V3__Route__TypedPerFilterConfigEntry

#define KEYS_MAX 16

static bool is_known(struct text filter)
{
    static const char *const known[] = {
        SESSION_NAME,
        "envoy.filters.http.cors",
        "envoy.filters.http.header_mutation",
        "envoy.filters.http.router",
        "weft.direct_response",
        "weft.inherit",
        "weft.url_rewrite",
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (text_equal(filter, text_from_string(known[i]))) {
            return true;
        }
    }
    return false;
}

void compile_set_overrides(struct host_compile *compile, enum level level,
                           ProtobufCMessage *const *entries, size_t count)
{
    compile->overrides[level] = (struct level_overrides){ entries, count };
    for (size_t i = 0; i < count; i++) {
        /* All maps of Any are alike. */
        struct text filter = text_from_string(((const OVERRIDE *)entries[i])->key);
        if (!is_known(filter)) {
            char where[160];
            int size = snprintf(where, sizeof(where), "typed_per_filter_config[\"%.*s\"]",
                                TEXT_ARG(text_first(filter, 100)));
            compile_note(compile->notes, text_of(where, (size_t)size));
        }
    }
}

bool compile_override_at(struct host_compile *compile, enum level level, const char *filter,
                         const ProtobufCMessageDescriptor *descriptor,
                         ProtobufCMessage **out_message, struct error *error)
{
    const struct level_overrides *overrides = &compile->overrides[level];
    struct xds_override found;
    bool is_there;
    *out_message = NULL;
    if (overrides->count == 0) {
        return true;
    }
    if (!xds_override_find(overrides->entries, overrides->count, text_from_string(filter),
                           compile->scratch, &is_there, &found, error)) {
        return false;
    }
    if (!is_there || found.disabled || found.config == NULL) {
        return true;
    }
    return xds_any_decode(found.config, descriptor, compile->scratch, out_message, error) ||
           error_prefix(error, "typed_per_filter_config[\"%s\"]", filter);
}

bool compile_override(struct host_compile *compile, enum level level, const char *filter,
                      const ProtobufCMessageDescriptor *descriptor, ProtobufCMessage **out_message,
                      struct error *error)
{
    *out_message = NULL;
    for (int at = (int)level; at >= LEVEL_ROUTES; at--) {
        const struct level_overrides *overrides = &compile->overrides[at];
        if (overrides->count > 0 &&
            xds_map_find(overrides->entries, overrides->count, text_from_string(filter)) != NULL) {
            return compile_override_at(compile, (enum level)at, filter, descriptor, out_message,
                                       error);
        }
    }
    return true;
}

/* What goes upstream must be a path in the normal form, too. */
static bool rewrite_path(struct host_compile *compile, const char *from, struct text *out_path,
                         struct error *error)
{
    struct text path = text_from_string(from);
    if (path.size == 0) {
        *out_path = text_of("", 0);
        return true;
    }
    return compile_path(compile, path, out_path, error);
}

static bool merge_rewrite(struct host_compile *compile, struct url_rewrite *rewrite,
                          const Weft__V1__UrlRewrite *message, struct error *error)
{
    struct text matched;
    if (message->host[0] != '\0') {
        rewrite->host = compile_copy(compile, message->host);
    }
    if (!message->has_full_path && !message->has_prefix) {
        return true;
    }
    rewrite->has_full_path = message->has_full_path;
    rewrite->has_prefix = !message->has_full_path;
    if (!rewrite_path(compile, message->full_path, &rewrite->full_path, error)) {
        return error_prefix(error, "full_path");
    }
    if (!rewrite_path(compile, message->prefix, &rewrite->prefix, error)) {
        return error_prefix(error, "prefix");
    }
    if (!rewrite_path(compile, message->matched_prefix, &matched, error)) {
        return error_prefix(error, "matched_prefix");
    }
    if (matched.size > 0) {
        rewrite->matched_prefix = matched;
    }
    return true;
}

static bool check_host(struct text host, struct error *error)
{
    struct text name;
    uint32_t port;
    return host.size == 0 || authority_parse(host, &name, &port) ||
           error_set(error, "host rewrite: \"%.*s\" is no host name",
                     TEXT_ARG(text_first(host, 100)));
}

/* RouteAction.prefix_rewrite: a route that matches no prefix replaces the whole path. */
static bool plain_rewrite(struct host_compile *compile, struct url_rewrite *rewrite,
                          const struct route_entry *entry, struct text prefix, struct error *error)
{
    rewrite->matched_prefix = entry->route.matched_prefix;
    if (prefix.size == 0) {
        return true;
    }
    bool whole = entry->path_kind == PATH_IS || entry->path_kind == PATH_REGEX;
    rewrite->has_full_path = whole;
    rewrite->has_prefix = !whole;
    struct text *to = whole ? &rewrite->full_path : &rewrite->prefix;
    return compile_path(compile, prefix, to, error) || error_prefix(error, "prefix_rewrite");
}

bool compile_rewrite(struct host_compile *compile, enum level level,
                     const struct route_entry *entry, struct text host, struct text prefix,
                     const struct url_rewrite **out_rewrite, struct error *error)
{
    ProtobufCMessage *message;
    *out_rewrite = NULL;
    if (!compile_override_at(compile, level, "weft.url_rewrite", &weft__v1__url_rewrite__descriptor,
                             &message, error)) {
        return false;
    }
    if (host.size == 0 && prefix.size == 0 && message == NULL) {
        return true;
    }
    struct url_rewrite *rewrite = arena_new(compile->arena, struct url_rewrite);
    rewrite->host = arena_copy(compile->arena, host);
    if (!plain_rewrite(compile, rewrite, entry, prefix, error)) {
        return false;
    }
    if (message && !merge_rewrite(compile, rewrite, (const Weft__V1__UrlRewrite *)message, error)) {
        return error_prefix(error, "typed_per_filter_config[\"weft.url_rewrite\"]");
    }
    *out_rewrite = rewrite;
    return check_host(rewrite->host, error);
}

/* Bytes that could end a cookie's attribute or the header field. */
static bool is_attribute_text(struct text t)
{
    for (size_t i = 0; i < t.size; i++) {
        unsigned char c = (unsigned char)t.at[i];
        if (c < ' ' || c >= 0x7f || c == ';' || c == ',') {
            return false;
        }
    }
    return true;
}

static uint32_t to_seconds(uint64_t ms)
{
    uint64_t seconds = ms / 1000 + (ms % 1000 != 0);
    return seconds < UINT32_MAX ? (uint32_t)seconds : UINT32_MAX;
}

static bool name_session(struct host_compile *compile, struct session_policy *policy,
                         const char *name, const char *path, struct error *error)
{
    policy->name = compile_copy(compile, name);
    policy->path = compile_copy(compile, path);
    if (!field_name_is_valid(policy->name)) {
        return error_set(error, "name: \"%.*s\" is no name of a cookie or header",
                         TEXT_ARG(text_first(policy->name, 100)));
    }
    return is_attribute_text(policy->path) || error_set(error, "path: not allowed in a cookie");
}

static bool cookie_state(struct host_compile *compile, struct session_policy *policy,
                         const COOKIE_STATE *state, struct error *error)
{
    const Envoy__Type__Http__V3__Cookie *cookie = state->cookie;
    if (cookie == NULL) {
        return error_set(error, "cookie: missing");
    }
    bool http_only = false;
    struct text attributes = text_of("", 0);
    for (size_t i = 0; i < cookie->n_attributes; i++) {
        struct text name = text_from_string(cookie->attributes[i]->name);
        struct text value = text_from_string(cookie->attributes[i]->value);
        if (!field_name_is_valid(name) || !is_attribute_text(value)) {
            return error_set(error, "cookie.attributes[%zu]: not allowed in a cookie", i);
        }
        attributes = arena_format(compile->arena, "%.*s; %.*s%s%.*s", TEXT_ARG(attributes),
                                  TEXT_ARG(name), value.size > 0 ? "=" : "", TEXT_ARG(value));
        http_only |= text_equal_nocase(name, TEXT("httponly"));
    }
    policy->attributes = http_only
                             ? attributes
                             : arena_format(compile->arena, "%.*s; HttpOnly", TEXT_ARG(attributes));
    policy->ttl_s = to_seconds(xds_duration_ms(cookie->ttl, 0));
    return name_session(compile, policy, cookie->name, cookie->path, error) ||
           error_prefix(error, "cookie");
}

static bool session_keys(struct host_compile *compile, struct session_policy *policy,
                         const Weft__V1__SessionState *state, struct error *error)
{
    if (state->n_keys > KEYS_MAX) {
        return error_set(error, "keys: more than %d", KEYS_MAX);
    }
    policy->keys = arena_alloc(compile->arena, (state->n_keys + 1) * sizeof(*policy->keys));
    policy->key_count = (uint16_t)state->n_keys;
    for (size_t i = 0; i < state->n_keys; i++) {
        static const uint64_t halves[2][2] = { { 1, 1 }, { 2, 2 } };
        struct text key = xds_bytes(state->keys[i]);
        if (key.size < 16) {
            return error_set(error, "keys[%zu]: shorter than 16 bytes", i);
        }
        /* Keys of any length become the 16 bytes that the token's hash takes. */
        policy->keys[i][0] = hash_keyed(halves[0], key);
        policy->keys[i][1] = hash_keyed(halves[1], key);
    }
    return true;
}

static bool weft_state(struct host_compile *compile, struct session_policy *policy,
                       const Weft__V1__SessionState *state, struct error *error)
{
    policy->by_header = state->carrier == WEFT__V1__SESSION_STATE__CARRIER__HEADER;
    policy->ttl_s = to_seconds(state->cookie_lifetime_ms);
    policy->absolute_s = to_seconds(state->absolute_timeout_ms);
    policy->idle_s = to_seconds(state->idle_timeout_ms);
    policy->attributes = TEXT("; HttpOnly; SameSite=Strict");
    policy->secure_on_https = true;
    return name_session(compile, policy, state->name, state->cookie_path, error) &&
           session_keys(compile, policy, state, error);
}

static bool session_state(struct host_compile *compile, struct session_policy *policy,
                          const Google__Protobuf__Any *any, struct error *error)
{
    ProtobufCMessage *state;
    if (xds_any_is(any, &COOKIE_DESCRIPTOR)) {
        return xds_any_decode(any, &COOKIE_DESCRIPTOR, compile->scratch, &state, error) &&
               cookie_state(compile, policy, (const COOKIE_STATE *)state, error);
    }
    if (xds_any_is(any, &HEADER_DESCRIPTOR)) {
        policy->by_header = true;
        return xds_any_decode(any, &HEADER_DESCRIPTOR, compile->scratch, &state, error) &&
               name_session(compile, policy, ((const HEADER_STATE *)state)->name, "", error);
    }
    if (xds_any_is(any, &weft__v1__session_state__descriptor)) {
        return xds_any_decode(any, &weft__v1__session_state__descriptor, compile->scratch, &state,
                              error) &&
               weft_state(compile, policy, (const Weft__V1__SessionState *)state, error);
    }
    return error_set(error, "session_state: missing or of a type that is not supported");
}

bool compile_session(struct host_compile *compile, enum level level,
                     const struct session_policy **out_policy, struct error *error)
{
    ProtobufCMessage *message;
    *out_policy = NULL;
    if (!compile_override(compile, level, SESSION_NAME, &SESSION_DESCRIPTOR, &message, error)) {
        return false;
    }
    const SESSION_ROUTE *route = (const SESSION_ROUTE *)message;
    if (route == NULL || route->override_case != SESSION_CASE(OVERRIDE_STATEFUL_SESSION)) {
        return true;
    }
    const Envoy__Config__Core__V3__TypedExtensionConfig *state =
        route->stateful_session->session_state;
    if (state == NULL) {
        return true; /* an empty filter does nothing */
    }
    if (route->stateful_session->strict) {
        compile_note(compile->notes, TEXT("StatefulSession.strict"));
    }
    struct session_policy *policy = arena_new(compile->arena, struct session_policy);
    *out_policy = policy;
    return session_state(compile, policy, state->typed_config, error) ||
           error_prefix(error, "typed_per_filter_config[\"%s\"]", SESSION_NAME);
}
