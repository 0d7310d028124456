/* HTTPRouteMatch -> RouteMatch (design note 0001, "Routes"). */
#include "control/translate/parts.h"

#define match_pointer Envoy__Config__Route__V3__RouteMatch *

static char *fold(struct arena *arena, struct text name)
{
    char *folded = compose_string(arena, name);
    for (size_t i = 0; i < name.size; i++) {
        folded[i] = text_lower_byte(folded[i]);
    }
    return folded;
}

static Envoy__Type__Matcher__V3__RegexMatcher *compose_regex(struct arena *arena, struct text regex)
{
    Envoy__Type__Matcher__V3__RegexMatcher *matcher =
        compose_new(arena, &MATCHER_TYPE(regex_matcher));
    matcher->regex = compose_string(arena, regex);
    return matcher;
}

static Envoy__Type__Matcher__V3__StringMatcher *
compose_value(struct arena *arena, const struct value_match *match)
{
    Envoy__Type__Matcher__V3__StringMatcher *matcher =
        compose_new(arena, &MATCHER_TYPE(string_matcher));
    if (match->type == MATCH_REGULAR_EXPRESSION) {
        matcher->match_pattern_case =
            MATCHER_WORD(STRING_MATCHER__MATCH_PATTERN_SAFE_REGEX);
        matcher->safe_regex = compose_regex(arena, match->value);
    } else {
        matcher->match_pattern_case = MATCHER_WORD(STRING_MATCHER__MATCH_PATTERN_EXACT);
        matcher->exact = compose_string(arena, match->value);
    }
    return matcher;
}

struct text match_prefix(const struct http_match *match)
{
    struct text value = match->path->value;
    if (match->path->type != PATH_MATCH_PREFIX) {
        return TEXT("");
    }
    return text_ends_with(value, TEXT("/")) ? text_first(value, value.size - 1) : value;
}

static void set_path(struct arena *arena, const struct http_match *match, match_pointer out)
{
    struct text prefix = match_prefix(match);
    switch (match->path->type) {
    case PATH_MATCH_EXACT:
        out->path_specifier_case = ROUTE_WORD(ROUTE_MATCH__PATH_SPECIFIER_PATH);
        out->path = compose_string(arena, match->path->value);
        return;
    case PATH_MATCH_REGULAR_EXPRESSION:
        out->path_specifier_case = ROUTE_WORD(ROUTE_MATCH__PATH_SPECIFIER_SAFE_REGEX);
        out->safe_regex = compose_regex(arena, match->path->value);
        return;
    case PATH_MATCH_PREFIX:
        break;
    }
    if (prefix.size == 0) {
        out->path_specifier_case = ROUTE_WORD(ROUTE_MATCH__PATH_SPECIFIER_PREFIX);
        out->prefix = compose_string(arena, TEXT("/"));
    } else {
        out->path_specifier_case =
            ROUTE_WORD(ROUTE_MATCH__PATH_SPECIFIER_PATH_SEPARATED_PREFIX);
        out->path_separated_prefix = compose_string(arena, prefix);
    }
}

static void add_header(struct arena *arena, struct text name, const struct value_match *match,
                       match_pointer out)
{
    Envoy__Config__Route__V3__HeaderMatcher *header =
        compose_new(arena, &ROUTE_TYPE(header_matcher));
    header->name = fold(arena, name);
    header->header_match_specifier_case =
        ROUTE_WORD(HEADER_MATCHER__HEADER_MATCH_SPECIFIER_STRING_MATCH);
    header->string_match = compose_value(arena, match);
    COMPOSE_ADD(arena, out, headers, header);
}

/* Of several matches on one header the first holds (HTTPRouteMatch.headers). */
static bool is_repeated(const struct value_match_list *list, size_t index, bool nocase)
{
    for (size_t i = 0; i < index; i++) {
        if (nocase ? text_equal_nocase(list->items[i].name, list->items[index].name)
                   : text_equal(list->items[i].name, list->items[index].name)) {
            return true;
        }
    }
    return false;
}

Envoy__Config__Route__V3__RouteMatch *compose_match(struct arena *arena,
                                                    const struct http_match *match)
{
    match_pointer out = compose_new(arena, &ROUTE_TYPE(route_match));
    set_path(arena, match, out);
    if (match->method.size) {
        struct value_match method = { .type = MATCH_EXACT, .value = match->method };
        add_header(arena, TEXT(":method"), &method, out);
    }
    for (size_t i = 0; i < match->headers.count; i++) {
        if (!is_repeated(&match->headers, i, true)) {
            add_header(arena, match->headers.items[i].name, &match->headers.items[i], out);
        }
    }
    for (size_t i = 0; i < match->query_params.count; i++) {
        if (is_repeated(&match->query_params, i, false)) {
            continue;
        }
        Envoy__Config__Route__V3__QueryParameterMatcher *query =
            compose_new(arena, &ROUTE_TYPE(query_parameter_matcher));
        query->name = compose_string(arena, match->query_params.items[i].name);
        query->query_parameter_match_specifier_case =
            ROUTE_WORD(QUERY_PARAMETER_MATCHER__QUERY_PARAMETER_MATCH_SPECIFIER_STRING_MATCH);
        query->string_match = compose_value(arena, &match->query_params.items[i]);
        COMPOSE_ADD(arena, out, query_parameters, query);
    }
    return out;
}
