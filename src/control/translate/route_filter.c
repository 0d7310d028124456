/* Filters as parts of a Route or ClusterWeight: header modifiers, CORS, session persistence (design
 * note 0001, "Routes"). */
#include "control/translate/parts.h"

#include "base/hash.h"

#include "envoy/extensions/filters/http/cors/v3/cors.pb-c.h"
#include "envoy/extensions/filters/http/stateful_session/v3/stateful_session.pb-c.h"
#include "envoy/extensions/http/stateful_session/cookie/v3/cookie.pb-c.h"
#include "envoy/extensions/http/stateful_session/header/v3/header.pb-c.h"
#include "envoy/type/http/v3/http.pb-c.h"

#define STATEFUL_TYPE(name)                                                                        \
    envoy__extensions__filters__http__stateful_session__v3__##name##__descriptor
#define STATEFUL_WORD(name) ENVOY__EXTENSIONS__FILTERS__HTTP__STATEFUL_SESSION__V3__##name
#define COOKIE_TYPE(name)                                                                          \
    envoy__extensions__http__stateful_session__cookie__v3__##name##__descriptor
#define HEADER_TYPE(name)                                                                          \
    envoy__extensions__http__stateful_session__header__v3__##name##__descriptor
#define APPEND_WORD(name) CORE_WORD(HEADER_VALUE_OPTION__HEADER_APPEND_ACTION__##name)

/* ---- headers --------------------------------------------------------------------------------- */

/* Envoy reads header values as format strings. */
static char *compose_header_value(struct translation *translation, struct text value)
{
    size_t percents = 0;
    for (size_t i = 0; i < value.size; i++) {
        percents += value.at[i] == '%';
    }
    if (percents == 0 || !translation->options->for_envoy) {
        return compose_string(&translation->arena, value);
    }
    char *out = arena_bytes(&translation->arena, value.size + percents + 1);
    size_t size = 0;
    for (size_t i = 0; i < value.size; i++) {
        if (value.at[i] == '%') {
            out[size++] = '%';
        }
        out[size++] = value.at[i];
    }
    out[size] = 0;
    return out;
}

static void add_header(struct translation *translation, struct header_edits *edits,
                       const struct http_header *header,
                       Envoy__Config__Core__V3__HeaderValueOption__HeaderAppendAction action)
{
    struct arena *arena = &translation->arena;
    Envoy__Config__Core__V3__HeaderValueOption *option =
        compose_new(arena, &CORE_TYPE(header_value_option));
    option->header = compose_new(arena, &CORE_TYPE(header_value));
    option->header->key = compose_string(arena, header->name);
    option->header->value = compose_header_value(translation, header->value);
    option->append_action = action;
    option->keep_empty_value = true;
    COMPOSE_ADD(arena, edits, add, option);
}

void compose_header_edits(struct translation *translation, const struct header_modifier *modifier,
                          struct header_edits *edits)
{
    for (size_t i = 0; i < modifier->set.count; i++) {
        add_header(translation, edits, &modifier->set.items[i],
                   APPEND_WORD(OVERWRITE_IF_EXISTS_OR_ADD));
    }
    for (size_t i = 0; i < modifier->add.count; i++) {
        add_header(translation, edits, &modifier->add.items[i],
                   APPEND_WORD(APPEND_IF_EXISTS_OR_ADD));
    }
    for (size_t i = 0; i < modifier->remove.count; i++) {
        COMPOSE_ADD(&translation->arena, edits, remove,
                    compose_string(&translation->arena, modifier->remove.items[i]));
    }
}

/* ---- CORS ------------------------------------------------------------------------------------ */

/* Browsers leave a scheme's own port out of Origin. */
static struct text without_default_port(struct text origin)
{
    if (text_starts_with(origin, TEXT("http://")) && text_ends_with(origin, TEXT(":80"))) {
        return text_first(origin, origin.size - 3);
    }
    if (text_starts_with(origin, TEXT("https://")) && text_ends_with(origin, TEXT(":443"))) {
        return text_first(origin, origin.size - 4);
    }
    return origin;
}

/* A star becomes [^/:]+ and dots are taken literally. */
static char *compose_origin_regex(struct arena *arena, struct text origin)
{
    char *out = arena_bytes(arena, origin.size * 6 + 1);
    size_t size = 0;
    for (size_t i = 0; i < origin.size; i++) {
        char c = text_lower_byte(origin.at[i]);
        if (c == '*') {
            memcpy(out + size, "[^/:]+", 6);
            size += 6;
            continue;
        }
        bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '/' || c == ':' ||
                     c == '-' || c == '_';
        if (!plain) {
            out[size++] = '\\';
        }
        out[size++] = c;
    }
    out[size] = 0;
    return out;
}

static Envoy__Type__Matcher__V3__StringMatcher *compose_origin(struct arena *arena,
                                                               struct text origin)
{
    Envoy__Type__Matcher__V3__StringMatcher *matcher =
        compose_new(arena, &MATCHER_TYPE(string_matcher));
    origin = without_default_port(origin);
    if (origin.size > 1 && text_find_byte(origin, '*') < origin.size) {
        matcher->match_pattern_case =
            MATCHER_WORD(STRING_MATCHER__MATCH_PATTERN_SAFE_REGEX);
        matcher->safe_regex =
            compose_new(arena, &MATCHER_TYPE(regex_matcher));
        matcher->safe_regex->regex = compose_origin_regex(arena, origin);
        return matcher;
    }
    matcher->match_pattern_case = MATCHER_WORD(STRING_MATCHER__MATCH_PATTERN_EXACT);
    matcher->exact = compose_string(arena, origin);
    for (size_t i = 0; i < origin.size; i++) {
        matcher->exact[i] = text_lower_byte(matcher->exact[i]);
    }
    return matcher;
}

static char *join(struct arena *arena, const struct text_list *list)
{
    size_t size = 1;
    for (size_t i = 0; i < list->count; i++) {
        size += list->items[i].size + 2;
    }
    char *out = arena_bytes(arena, size);
    size = 0;
    for (size_t i = 0; i < list->count; i++) {
        if (i) {
            memcpy(out + size, ", ", 2);
            size += 2;
        }
        if (list->items[i].size) {
            memcpy(out + size, list->items[i].at, list->items[i].size);
        }
        size += list->items[i].size;
    }
    out[size] = 0;
    return out;
}

ProtobufCMessage *compose_cors(struct arena *arena, const struct cors *cors)
{
    Envoy__Extensions__Filters__Http__Cors__V3__CorsPolicy *policy =
        compose_new(arena, &envoy__extensions__filters__http__cors__v3__cors_policy__descriptor);
    for (size_t i = 0; i < cors->allow_origins.count; i++) {
        COMPOSE_ADD(arena, policy, allow_origin_string_match,
                    compose_origin(arena, cors->allow_origins.items[i]));
    }
    policy->allow_methods = join(arena, &cors->allow_methods);
    policy->allow_headers = join(arena, &cors->allow_headers);
    policy->expose_headers = join(arena, &cors->expose_headers);
    policy->max_age = (char *)(uintptr_t)arena_format(arena, "%d", cors->max_age_s).at;
    if (cors->allow_credentials) {
        policy->allow_credentials = compose_bool(arena, true);
    }
    return &policy->base;
}

/* ---- session persistence --------------------------------------------------------------------- */

static char *session_name(struct arena *arena, const struct session_persistence *session,
                          struct text key)
{
    struct text name = session->type == SESSION_HEADER ? session->header->name
                       : session->cookie               ? session->cookie->name
                                                       : TEXT("");
    if (name.size) {
        return compose_string(arena, name);
    }
    return (char *)(uintptr_t)arena_format(arena, "weft-session-%08x",
                                           (uint32_t)hash_stable(key)).at;
}

static struct text cookie_path(const struct session_persistence *session)
{
    return session->cookie && session->cookie->path.size ? session->cookie->path : TEXT("/");
}

static bool is_permanent(const struct session_persistence *session)
{
    return session->cookie && session->cookie->lifetime_type == COOKIE_PERMANENT;
}

/* What Envoy's own states cannot say: an end that the client does not choose, and signatures. */
static ProtobufCMessage *compose_weft_state(struct translation *translation,
                                            const struct session_persistence *session, char *name)
{
    struct arena *arena = &translation->arena;
    Weft__V1__SessionState *state = compose_new(arena, &weft__v1__session_state__descriptor);
    state->name = name;
    state->absolute_timeout_ms = (uint64_t)session->absolute_timeout_ms;
    if (session->type == SESSION_HEADER) {
        state->carrier = WEFT__V1__SESSION_STATE__CARRIER__HEADER;
    } else {
        state->cookie_path = compose_string(arena, cookie_path(session));
        state->cookie_lifetime_ms = is_permanent(session) ? state->absolute_timeout_ms : 0;
    }
    const struct text_list *keys = &translation->options->session_keys;
    state->keys = arena_new_array(arena, ProtobufCBinaryData, keys->count);
    for (size_t i = 0; i < keys->count; i++) {
        struct text key = arena_copy(arena, keys->items[i]);
        state->keys[state->n_keys++] =
            (ProtobufCBinaryData){ .len = key.size, .data = (uint8_t *)(uintptr_t)key.at };
    }
    return &state->base;
}

static void add_attribute(struct arena *arena, Envoy__Type__Http__V3__Cookie *cookie,
                          struct text name, struct text value)
{
    Envoy__Type__Http__V3__CookieAttribute *attribute =
        compose_new(arena, &envoy__type__http__v3__cookie_attribute__descriptor);
    attribute->name = compose_string(arena, name);
    attribute->value = compose_string(arena, value);
    COMPOSE_ADD(arena, cookie, attributes, attribute);
}

static ProtobufCMessage *compose_envoy_state(struct arena *arena,
                                             const struct session_persistence *session, char *name)
{
    if (session->type == SESSION_HEADER) {
        Envoy__Extensions__Http__StatefulSession__Header__V3__HeaderBasedSessionState *state =
            compose_new(arena, &HEADER_TYPE(header_based_session_state));
        state->name = name;
        return &state->base;
    }
    Envoy__Extensions__Http__StatefulSession__Cookie__V3__CookieBasedSessionState *state =
        compose_new(arena, &COOKIE_TYPE(cookie_based_session_state));
    Envoy__Type__Http__V3__Cookie *cookie =
        compose_new(arena, &envoy__type__http__v3__cookie__descriptor);
    cookie->name = name;
    cookie->path = compose_string(arena, cookie_path(session));
    if (is_permanent(session)) {
        cookie->ttl = compose_duration_ms(arena, (uint64_t)session->absolute_timeout_ms);
    }
    add_attribute(arena, cookie, TEXT("HttpOnly"), TEXT(""));
    add_attribute(arena, cookie, TEXT("SameSite"), TEXT("Strict"));
    state->cookie = cookie;
    return &state->base;
}

ProtobufCMessage *compose_session(struct translation *translation,
                                  const struct session_persistence *session, struct text key)
{
    struct arena *arena = &translation->arena;
    bool own = !translation->options->for_envoy &&
               (session->has_absolute_timeout || translation->options->session_keys.count);
    char *name = session_name(arena, session, key);
    ProtobufCMessage *state = own ? compose_weft_state(translation, session, name)
                                  : compose_envoy_state(arena, session, name);
    Envoy__Config__Core__V3__TypedExtensionConfig *config =
        compose_new(arena, &CORE_TYPE(typed_extension_config));
    config->name = compose_string(
        arena, own ? TEXT("weft.session_state")
                   : session->type == SESSION_HEADER
                         ? TEXT("envoy.http.stateful_session.header")
                         : TEXT("envoy.http.stateful_session.cookie"));
    config->typed_config = compose_any(arena, state);
    Envoy__Extensions__Filters__Http__StatefulSession__V3__StatefulSession *stateful =
        compose_new(arena, &STATEFUL_TYPE(stateful_session));
    stateful->session_state = config;
    Envoy__Extensions__Filters__Http__StatefulSession__V3__StatefulSessionPerRoute *per_route =
        compose_new(arena, &STATEFUL_TYPE(stateful_session_per_route));
    per_route->override_case =
        STATEFUL_WORD(STATEFUL_SESSION_PER_ROUTE__OVERRIDE_STATEFUL_SESSION);
    per_route->stateful_session = stateful;
    return &per_route->base;
}
