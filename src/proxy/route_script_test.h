/* For tests: RouteConfigurations written as short lines. A script is a list of strings, NULL ends
 * it: "host NAME DOMAIN[,DOMAIN] [inherit=DOMAIN]" "KEY PATH [m:METHOD] [h:NAME=VALUE]
 * [h:NAME~REGEX] [h:NAME] [h:!NAME] [q:NAME=VALUE] [q:NAME~REGEX]" PATH: "=/x" exact, "/x"
 * path_separated_prefix, "^/x" prefix, "~REGEX", "i=/x" and "i/x" without case. Every route
 * forwards to cluster "KEY". */
#pragma once

#include "base/ensure.h"
#include "proxy/compile_parts.h"
#include "xds/compose.h"

#include "weft/v1/weft.pb-c.h"

#include <stdio.h>

static inline struct text next_word(struct text *rest)
{
    struct text word = text_of("", 0);
    while (rest->at != NULL && word.size == 0) {
        text_split(rest, ' ', &word);
    }
    return word;
}

static inline Envoy__Type__Matcher__V3__StringMatcher *script_string(struct arena *arena, char kind,
                                                                     struct text value)
{
    Envoy__Type__Matcher__V3__StringMatcher *matcher =
        compose_new(arena, &envoy__type__matcher__v3__string_matcher__descriptor);
    if (kind == '~') {
        matcher->match_pattern_case =
            ENVOY__TYPE__MATCHER__V3__STRING_MATCHER__MATCH_PATTERN_SAFE_REGEX;
        matcher->safe_regex =
            compose_new(arena, &envoy__type__matcher__v3__regex_matcher__descriptor);
        matcher->safe_regex->regex = compose_string(arena, value);
    } else {
        matcher->match_pattern_case = ENVOY__TYPE__MATCHER__V3__STRING_MATCHER__MATCH_PATTERN_EXACT;
        matcher->exact = compose_string(arena, value);
    }
    return matcher;
}

static inline size_t find_operator(struct text word)
{
    size_t at = 0;
    while (at < word.size && word.at[at] != '=' && word.at[at] != '~') {
        at++;
    }
    return at;
}

static inline void script_header(struct arena *arena, Envoy__Config__Route__V3__RouteMatch *match,
                                 struct text word)
{
    Envoy__Config__Route__V3__HeaderMatcher *header =
        compose_new(arena, &envoy__config__route__v3__header_matcher__descriptor);
    bool absent = word.size > 0 && word.at[0] == '!';
    word = text_from(word, absent);
    size_t at = find_operator(word);
    header->name = compose_string(arena, text_first(word, at));
    if (at == word.size) {
        header->header_match_specifier_case =
            ENVOY__CONFIG__ROUTE__V3__HEADER_MATCHER__HEADER_MATCH_SPECIFIER_PRESENT_MATCH;
        header->present_match = true;
    } else {
        header->header_match_specifier_case =
            ENVOY__CONFIG__ROUTE__V3__HEADER_MATCHER__HEADER_MATCH_SPECIFIER_STRING_MATCH;
        header->string_match = script_string(arena, word.at[at], text_from(word, at + 1));
    }
    header->invert_match = absent;
    COMPOSE_ADD(arena, match, headers, header);
}

#define QUERY_SPECIFIER(which) ENVOY__CONFIG__ROUTE__V3__QUERY_PARAMETER_MATCHER__##which

static inline void script_query(struct arena *arena, Envoy__Config__Route__V3__RouteMatch *match,
                                struct text word)
{
    Envoy__Config__Route__V3__QueryParameterMatcher *query =
        compose_new(arena, &envoy__config__route__v3__query_parameter_matcher__descriptor);
    size_t at = find_operator(word);
    query->name = compose_string(arena, text_first(word, at));
    query->query_parameter_match_specifier_case =
        QUERY_SPECIFIER(QUERY_PARAMETER_MATCH_SPECIFIER_STRING_MATCH);
    query->string_match =
        script_string(arena, at < word.size ? word.at[at] : '=', text_from(word, at + 1));
    COMPOSE_ADD(arena, match, query_parameters, query);
}

static inline void script_path(struct arena *arena, Envoy__Config__Route__V3__RouteMatch *match,
                               struct text word)
{
    if (word.size > 0 && word.at[0] == 'i') {
        match->case_sensitive = compose_bool(arena, false);
        word = text_from(word, 1);
    }
    char kind = word.size > 0 ? word.at[0] : '/';
    struct text rest = text_from(word, 1);
    if (kind == '=') {
        match->path_specifier_case = ENVOY__CONFIG__ROUTE__V3__ROUTE_MATCH__PATH_SPECIFIER_PATH;
        match->path = compose_string(arena, rest);
    } else if (kind == '~') {
        match->path_specifier_case =
            ENVOY__CONFIG__ROUTE__V3__ROUTE_MATCH__PATH_SPECIFIER_SAFE_REGEX;
        match->safe_regex =
            compose_new(arena, &envoy__type__matcher__v3__regex_matcher__descriptor);
        match->safe_regex->regex = compose_string(arena, rest);
    } else if (kind == '^' || word.size <= 1) {
        match->path_specifier_case = ENVOY__CONFIG__ROUTE__V3__ROUTE_MATCH__PATH_SPECIFIER_PREFIX;
        match->prefix = compose_string(arena, kind == '^' ? rest : word);
    } else {
        match->path_specifier_case =
            ENVOY__CONFIG__ROUTE__V3__ROUTE_MATCH__PATH_SPECIFIER_PATH_SEPARATED_PREFIX;
        match->path_separated_prefix = compose_string(arena, word);
    }
}

static inline Envoy__Config__Route__V3__Route *script_route(struct arena *arena, struct text key)
{
    Envoy__Config__Route__V3__Route *route =
        compose_new(arena, &envoy__config__route__v3__route__descriptor);
    route->name = compose_string(arena, key);
    route->match = compose_new(arena, &envoy__config__route__v3__route_match__descriptor);
    route->action_case = ENVOY__CONFIG__ROUTE__V3__ROUTE__ACTION_ROUTE;
    route->route = compose_new(arena, &envoy__config__route__v3__route_action__descriptor);
    route->route->cluster_specifier_case =
        ENVOY__CONFIG__ROUTE__V3__ROUTE_ACTION__CLUSTER_SPECIFIER_CLUSTER;
    route->route->cluster = compose_string(arena, key);
    return route;
}

static inline void script_line(struct arena *arena, Envoy__Config__Route__V3__VirtualHost *host,
                               struct text rest)
{
    Envoy__Config__Route__V3__Route *route = script_route(arena, next_word(&rest));
    script_path(arena, route->match, next_word(&rest));
    while (rest.at != NULL) {
        struct text word = next_word(&rest);
        struct text value = text_from(word, 2);
        if (text_starts_with(word, TEXT("m:"))) {
            script_header(arena, route->match,
                          arena_format(arena, ":method=%.*s", TEXT_ARG(value)));
        } else if (text_starts_with(word, TEXT("h:"))) {
            script_header(arena, route->match, value);
        } else if (text_starts_with(word, TEXT("q:"))) {
            script_query(arena, route->match, value);
        }
    }
    COMPOSE_ADD(arena, host, routes, route);
}

static inline Envoy__Config__Route__V3__VirtualHost *script_host(struct arena *arena,
                                                                 struct text rest)
{
    Envoy__Config__Route__V3__VirtualHost *host =
        compose_new(arena, &envoy__config__route__v3__virtual_host__descriptor);
    host->name = compose_string(arena, next_word(&rest));
    struct text domains = next_word(&rest);
    struct text domain;
    while (text_split(&domains, ',', &domain)) {
        COMPOSE_ADD(arena, host, domains, compose_string(arena, domain));
    }
    struct text word = rest.at ? next_word(&rest) : text_of("", 0);
    if (text_starts_with(word, TEXT("inherit="))) {
        Weft__V1__Inherit *inherit = compose_new(arena, &weft__v1__inherit__descriptor);
        inherit->next_domain = compose_string(arena, text_from(word, 8));
        COMPOSE_ADD(
            arena, host, typed_per_filter_config,
            compose_entry(
                arena,
                &envoy__config__route__v3__virtual_host__typed_per_filter_config_entry__descriptor,
                TEXT("weft.inherit"), compose_any(arena, &inherit->base)));
    }
    return host;
}

static inline Envoy__Config__Route__V3__RouteConfiguration *script_message(struct arena *arena,
                                                                           const char *const *lines)
{
    Envoy__Config__Route__V3__RouteConfiguration *routes =
        compose_new(arena, &envoy__config__route__v3__route_configuration__descriptor);
    Envoy__Config__Route__V3__VirtualHost *host = NULL;
    routes->name = compose_string(arena, TEXT("routes"));
    for (; *lines != NULL; lines++) {
        struct text line = text_from_string(*lines);
        if (text_starts_with(line, TEXT("host "))) {
            host = script_host(arena, text_from(line, 5));
            COMPOSE_ADD(arena, routes, virtual_hosts, host);
        } else {
            ensure(host != NULL);
            script_line(arena, host, line);
        }
    }
    return routes;
}

static inline void script_pack(struct buffer *out, const char *const *lines)
{
    struct arena arena;
    arena_init(&arena);
    buffer_init(out);
    xds_pack(&script_message(&arena, lines)->base, out);
    arena_fini(&arena);
}

/* NULL where it does not compile. */
static inline struct plan_routes *script_compile(const char *const *lines, struct error *error)
{
    struct compile_notes notes;
    struct buffer bytes;
    compile_notes_init(&notes);
    script_pack(&bytes, lines);
    struct plan_routes *routes =
        compile_routes(TEXT("routes"), buffer_text(&bytes), NULL, &notes, error);
    buffer_fini(&bytes);
    compile_notes_fini(&notes);
    return routes;
}
