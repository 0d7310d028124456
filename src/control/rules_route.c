/* Rules of the five routes. */
#include "control/rules.h"

#include <stdio.h>

#define MATCHES_MAX 128 /* of all rules of a route */

/* ---- parents --------------------------------------------------------------------------------- */

static bool same_parent(const struct parent_ref *a, const struct parent_ref *b)
{
    return text_equal(a->group, b->group) && text_equal(a->kind, b->kind) &&
           text_equal(a->name, b->name) && text_equal(a->name_space, b->name_space);
}

/* A port on both or none, and a sectionName on both or none, and a difference in one of them. */
static bool distinct(const struct parent_ref *a, const struct parent_ref *b)
{
    bool alike = (a->section_name.size > 0) == (b->section_name.size > 0) &&
                 a->has_port == b->has_port;
    return alike && (!text_equal(a->section_name, b->section_name) || a->port != b->port);
}

void rule_parent_refs(struct decode *decode, const struct node *node, const void *self)
{
    const struct {
        struct parent_ref *items;
        size_t count;
    } *refs = self;
    for (size_t i = 1; i < refs->count && i < 32; i++) {
        for (size_t j = 0; j < i; j++) {
            const struct parent_ref *ref = &refs->items[i];
            if (ref->name.at == NULL || !same_parent(ref, &refs->items[j]) ||
                distinct(ref, &refs->items[j])) {
                continue;
            }
            char sub[32];
            snprintf(sub, sizeof(sub), "[%zu]", i);
            decode_error(decode, node, sub, "the same parent as [%zu]; give each its own "
                         "sectionName, or each its own port, or keep one", j);
            break;
        }
    }
}

/* ---- matches --------------------------------------------------------------------------------- */

void rule_path_match(struct decode *decode, const struct node *node, const void *self)
{
    static const char *const inside[] = { "//", "/./", "/../", "%2f", "%2F", "#" };
    static const char *const at_end[] = { "/..", "/." };
    const struct path_match *path = self;
    if (path->type == PATH_MATCH_REGULAR_EXPRESSION) {
        return;
    }
    if (!text_starts_with(path->value, TEXT("/"))) {
        decode_error(decode, node, "value", "\"%.*s\" must begin with \"/\"",
                     TEXT_ARG(text_first(path->value, 100)));
        return;
    }
    for (size_t i = 0; i < sizeof(inside) / sizeof(inside[0]); i++) {
        if (text_find(path->value, text_from_string(inside[i])) < path->value.size) {
            decode_error(decode, node, "value", "must not contain \"%s\"; write the path as it "
                         "arrives, normalized", inside[i]);
            return;
        }
    }
    for (size_t i = 0; i < sizeof(at_end) / sizeof(at_end[0]); i++) {
        if (text_ends_with(path->value, text_from_string(at_end[i]))) {
            decode_error(decode, node, "value", "must not end with \"%s\"; write the path as it "
                         "arrives, normalized", at_end[i]);
            return;
        }
    }
    if (!pattern_matches(PATTERN_URI_PATH, path->value)) {
        decode_error(decode, node, "value", "\"%.*s\" is not valid; must be %s",
                     TEXT_ARG(text_first(path->value, 100)), pattern_words(PATTERN_URI_PATH));
    }
}

static bool is_identifier(struct text t)
{
    for (size_t i = 0; i < t.size; i++) {
        char c = text_lower_byte(t.at[i]);
        if (!(c >= 'a' && c <= 'z') && c != '_' && !(i > 0 && c >= '0' && c <= '9')) {
            return false;
        }
    }
    return t.size > 0;
}

static bool is_grpc_service(struct text t)
{
    struct text part;
    t = text_starts_with(t, TEXT(".")) ? text_from(t, 1) : t;
    if (t.size == 0) {
        return false;
    }
    while (text_split(&t, '.', &part)) {
        if (!is_identifier(part)) {
            return false;
        }
    }
    return true;
}

void rule_grpc_method(struct decode *decode, const struct node *node, const void *self)
{
    const struct grpc_method_match *match = self;
    if (match->service.at == NULL && match->method.at == NULL) {
        decode_error(decode, node, "", "names neither service nor method; give one or both");
    }
    if (match->type != MATCH_EXACT) {
        return;
    }
    if (match->service.at != NULL && !is_grpc_service(match->service)) {
        decode_error(decode, node, "service", "\"%.*s\" is not valid; must be like "
                                              "\"shop.v1.Cart\"",
                     TEXT_ARG(text_first(match->service, 100)));
    }
    if (match->method.at != NULL && !is_identifier(match->method)) {
        decode_error(decode, node, "method", "\"%.*s\" is not valid; must be like \"AddItem\"",
                     TEXT_ARG(text_first(match->method, 100)));
    }
}

/* ---- rules ----------------------------------------------------------------------------------- */

void rule_timeouts(struct decode *decode, const struct node *node, const void *self)
{
    const struct route_timeouts *timeouts = self;
    if (timeouts->has_request && timeouts->has_backend_request && timeouts->request_ms != 0 &&
        timeouts->backend_request_ms > timeouts->request_ms) {
        decode_error(decode, node, "backendRequest",
                     "is longer than request (%lld ms > %lld ms); shorten it or lengthen request",
                     (long long)timeouts->backend_request_ms, (long long)timeouts->request_ms);
    }
}

/* Whether the list replaces a path prefix; *out_index the filter that does. */
static bool replaces_prefix(const struct route_filter_list *filters, size_t *out_index)
{
    for (size_t i = 0; i < filters->count; i++) {
        const struct route_filter *filter = &filters->items[i];
        const struct path_modifier *path = NULL;
        if (filter->request_redirect != NULL) {
            path = filter->request_redirect->path;
        } else if (filter->url_rewrite != NULL) {
            path = filter->url_rewrite->path;
        }
        if (path != NULL && path->type == PATH_REPLACE_PREFIX) {
            *out_index = i;
            return true;
        }
    }
    return false;
}

static bool matches_one_prefix(const struct http_rule *rule)
{
    if (rule->matches.count != 1 || rule->matches.items[0].path == NULL) {
        return false;
    }
    /* A type that was wrong is -1 and has its own finding. */
    int type = (int)rule->matches.items[0].path->type;
    return type == PATH_MATCH_PREFIX || type < 0;
}

static void tell_prefix(struct decode *decode, const struct node *node, const char *sub,
                        const struct route_filter *filter)
{
    char path[128];
    snprintf(path, sizeof(path), "%s.%s.path.replacePrefixMatch", sub,
             filter->url_rewrite ? "urlRewrite" : "requestRedirect");
    decode_error(decode, node, path, "needs exactly one match in this rule, of type PathPrefix; "
                 "split the rule or use replaceFullPath");
}

static bool has_redirect(const struct route_filter_list *filters)
{
    for (size_t i = 0; i < filters->count; i++) {
        if (filters->items[i].request_redirect != NULL) {
            return true;
        }
    }
    return false;
}

void rule_http_rule(struct decode *decode, const struct node *node, const void *self)
{
    const struct http_rule *rule = self;
    char sub[64];
    size_t index;
    if (rule->backend_refs.count > 0 && has_redirect(&rule->filters)) {
        decode_error(decode, node, "backendRefs",
                     "does not go with a RequestRedirect filter; remove one of them");
    }
    if (matches_one_prefix(rule)) {
        return;
    }
    if (replaces_prefix(&rule->filters, &index)) {
        snprintf(sub, sizeof(sub), "filters[%zu]", index);
        tell_prefix(decode, node, sub, &rule->filters.items[index]);
    }
    for (size_t i = 0; i < rule->backend_refs.count; i++) {
        const struct route_filter_list *filters = &rule->backend_refs.items[i].filters;
        if (replaces_prefix(filters, &index)) {
            snprintf(sub, sizeof(sub), "backendRefs[%zu].filters[%zu]", i, index);
            tell_prefix(decode, node, sub, &filters->items[index]);
        }
    }
}

static void check_total(struct decode *decode, const struct node *node, size_t total)
{
    if (total > MATCHES_MAX) {
        decode_error(decode, node, "", "%zu matches in all rules; at most %d are allowed in one "
                     "route; split it", total, MATCHES_MAX);
    }
}

void rule_http_rules(struct decode *decode, const struct node *node, const void *self)
{
    const struct {
        struct http_rule *items;
        size_t count;
    } *rules = self;
    size_t total = 0;
    for (size_t i = 0; i < rules->count; i++) {
        total += rules->items[i].matches.count;
    }
    check_total(decode, node, total);
}

void rule_grpc_rules(struct decode *decode, const struct node *node, const void *self)
{
    const struct {
        struct grpc_rule *items;
        size_t count;
    } *rules = self;
    size_t total = 0;
    for (size_t i = 0; i < rules->count; i++) {
        total += rules->items[i].matches.count;
    }
    check_total(decode, node, total);
}
