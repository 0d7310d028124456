/* The rules of an HTTPRoute: what their backendRefs and mirrors lead to, which filters Weft has,
 * and the conditions that follow. A rule with a filter Weft lacks stays in force and answers
 * 500: the filter may be a guard, and without the rule a wider one would answer. */
#include "control/gateway/builder.h"

#include "base/hash.h"

#include <stdio.h>

#define PATH_MAX_BYTES 96

struct verdict {
    enum backend_state first_failure;
    struct text message; /* of the first failure */
    size_t failures;
    size_t refused_rules;
    struct text refusal; /* of the first refused rule */
};

static const char *filter_names[] = {
    [FILTER_REQUEST_HEADER_MODIFIER] = "RequestHeaderModifier",
    [FILTER_RESPONSE_HEADER_MODIFIER] = "ResponseHeaderModifier",
    [FILTER_REQUEST_MIRROR] = "RequestMirror",
    [FILTER_REQUEST_REDIRECT] = "RequestRedirect",
    [FILTER_URL_REWRITE] = "URLRewrite",
    [FILTER_EXTENSION_REF] = "ExtensionRef",
    [FILTER_CORS] = "CORS",
    [FILTER_EXTERNAL_AUTH] = "ExternalAuth",
};

const char *backend_state_reason(enum backend_state state)
{
    static const char *reasons[] = {
        [BACKEND_RESOLVED] = "ResolvedRefs",
        [BACKEND_NOT_FOUND] = "BackendNotFound",
        [BACKEND_INVALID_KIND] = "InvalidKind",
        [BACKEND_NOT_PERMITTED] = "RefNotPermitted",
        [BACKEND_UNSUPPORTED_PROTOCOL] = "UnsupportedProtocol",
        [BACKEND_UNSUPPORTED_VALUE] = "UnsupportedValue",
        [BACKEND_POLICY_INVALID] = "policy_invalid",
    };
    return reasons[state];
}

static void note_failure(struct builder *builder, struct verdict *verdict,
                         enum backend_state state, const char *path)
{
    if (state == BACKEND_POLICY_INVALID) {
        return;
    }
    if (verdict->failures++ == 0) {
        verdict->first_failure = state;
        verdict->message = arena_format(builder->arena, "%s: %s", path,
                                        backend_state_reason(state));
    }
}

/* ---- filters --------------------------------------------------------------------------------- */

static bool backend_filter_is_supported(enum route_filter_type type)
{
    return type == FILTER_REQUEST_HEADER_MODIFIER || type == FILTER_RESPONSE_HEADER_MODIFIER ||
           type == FILTER_URL_REWRITE;
}

static void refuse_rule(struct builder *builder, struct graph_route *route,
                        struct graph_rule *rule, size_t filter, struct verdict *verdict)
{
    enum route_filter_type type = rule->spec->filters.items[filter].type;
    char path[PATH_MAX_BYTES];
    snprintf(path, sizeof(path), "spec.rules[%zu].filters[%zu]", rule->index, filter);
    rule->refusal = "filter_unsupported";
    if (verdict->refused_rules++ == 0) {
        verdict->refusal = arena_format(builder->arena, "%s: %s is not supported", path,
                                        filter_names[type]);
    }
    BUILDER_FINDING(builder, route->object, path, FINDING_ERROR,
                    "UnsupportedValue: Weft has no filter %s; requests that match this rule are "
                    "answered 500",
                    filter_names[type]);
}

static void resolve_mirror(struct builder *builder, struct graph_route *route,
                           struct graph_rule *rule, size_t filter, struct verdict *verdict)
{
    const struct request_mirror *mirror = rule->spec->filters.items[filter].request_mirror;
    rule->mirrors[filter] = backend_resolve(builder, route->object, mirror->backend_ref);
    if (rule->mirrors[filter].state == BACKEND_RESOLVED) {
        return;
    }
    char path[PATH_MAX_BYTES];
    snprintf(path, sizeof(path), "spec.rules[%zu].filters[%zu].requestMirror.backendRef",
             rule->index, filter);
    backend_tell(builder, route->object, path, mirror->backend_ref, rule->mirrors[filter].state);
    note_failure(builder, verdict, rule->mirrors[filter].state, path);
}

static void build_filters(struct builder *builder, struct graph_route *route,
                          struct graph_rule *rule, struct verdict *verdict)
{
    const struct route_filter_list *filters = &rule->spec->filters;
    rule->mirrors = arena_new_array(builder->arena, struct graph_backend, filters->count);
    for (size_t i = 0; i < filters->count; i++) {
        switch (filters->items[i].type) {
        case FILTER_EXTENSION_REF:
        case FILTER_EXTERNAL_AUTH:
            refuse_rule(builder, route, rule, i, verdict);
            break;
        case FILTER_REQUEST_MIRROR:
            resolve_mirror(builder, route, rule, i, verdict);
            break;
        default:
            break;
        }
    }
}

/* ---- backends -------------------------------------------------------------------------------- */

static void judge_backend_filters(struct builder *builder, struct graph_route *route,
                                  struct graph_backend *backend, const char *path)
{
    const struct route_filter_list *filters = &backend->ref->filters;
    for (size_t i = 0; i < filters->count; i++) {
        if (backend_filter_is_supported(filters->items[i].type)) {
            continue;
        }
        char at[PATH_MAX_BYTES + 32];
        snprintf(at, sizeof(at), "%s.filters[%zu]", path, i);
        BUILDER_FINDING(builder, route->object, at, FINDING_ERROR,
                        "UnsupportedValue: Weft has no filter %s on a backendRef; this share of "
                        "the requests is answered 500",
                        filter_names[filters->items[i].type]);
        if (backend->state == BACKEND_RESOLVED) {
            backend->state = BACKEND_UNSUPPORTED_VALUE;
            backend->cluster = NULL;
        }
    }
}

static void build_backends(struct builder *builder, struct graph_route *route,
                           struct graph_rule *rule, struct verdict *verdict)
{
    const struct backend_ref_list *refs = &rule->spec->backend_refs;
    rule->backends = arena_new_array(builder->arena, struct graph_backend, refs->count);
    for (size_t i = 0; i < refs->count; i++) {
        struct graph_backend *backend = &rule->backends[i];
        *backend = backend_resolve(builder, route->object, &refs->items[i].ref);
        backend->ref = &refs->items[i];
        if (backend->state == BACKEND_RESOLVED && refs->items[i].filters.count == 0) {
            continue;
        }
        char path[PATH_MAX_BYTES];
        snprintf(path, sizeof(path), "spec.rules[%zu].backendRefs[%zu]", rule->index, i);
        backend_tell(builder, route->object, path, &refs->items[i].ref, backend->state);
        judge_backend_filters(builder, route, backend, path);
        if (backend->state != BACKEND_RESOLVED) {
            note_failure(builder, verdict, backend->state, path);
        }
    }
}

/* ---- hashes ---------------------------------------------------------------------------------- */

static uint64_t mix(uint64_t hash, uint64_t value)
{
    hash ^= value + 0x9e3779b97f4a7c15u + (hash << 6) + (hash >> 2);
    return hash * 0xff51afd7ed558ccdu;
}

static uint64_t mix_backend(uint64_t hash, const struct graph_backend *backend)
{
    hash = mix(hash, backend->state);
    if (backend->cluster) {
        hash = mix(hash, hash_stable(backend->cluster->name));
        /* Its session persistence goes into the route. */
        hash = mix(hash, backend->cluster->session ? backend->cluster->object->spec_hash : 0);
    }
    return hash;
}

static uint64_t hash_route(const struct graph_route *route)
{
    uint64_t hash = mix(route->object->spec_hash, (uint64_t)route->object->creation_us);
    hash = mix(hash, hash_stable(route->object->key));
    for (size_t i = 0; i < route->rule_count; i++) {
        const struct graph_rule *rule = &route->rules[i];
        hash = mix(hash, rule->refusal ? hash_stable(text_from_string(rule->refusal)) : 0);
        for (size_t k = 0; k < rule->spec->backend_refs.count; k++) {
            hash = mix_backend(hash, &rule->backends[k]);
        }
        for (size_t k = 0; k < rule->spec->filters.count; k++) {
            hash = mix_backend(hash, &rule->mirrors[k]);
        }
    }
    return hash;
}

/* ---- conditions ------------------------------------------------------------------------------ */

static void judge_parent(struct builder *builder, const struct graph_route *route,
                         const struct verdict *verdict, struct graph_parent *parent)
{
    parent->conditions[ROUTE_RESOLVED_REFS] =
        verdict->failures ? condition_make("ResolvedRefs", CONDITION_FALSE,
                                           backend_state_reason(verdict->first_failure),
                                           verdict->message)
                          : condition_make("ResolvedRefs", CONDITION_TRUE, "ResolvedRefs",
                                           TEXT("all references are resolved"));
    struct condition *accepted = &parent->conditions[ROUTE_ACCEPTED];
    if (verdict->refused_rules == 0 || accepted->status != CONDITION_TRUE) {
        return;
    }
    if (verdict->refused_rules == route->rule_count) {
        *accepted = condition_make("Accepted", CONDITION_FALSE, "UnsupportedValue",
                                   verdict->refusal);
        return;
    }
    struct text message =
        arena_format(builder->arena, "Dropped Rule: %.*s; requests that match it are answered 500",
                     TEXT_ARG(verdict->refusal));
    parent->conditions[ROUTE_PARTIALLY_INVALID] =
        condition_make("PartiallyInvalid", CONDITION_TRUE, "UnsupportedValue", message);
}

static void mark_clusters(const struct graph_backend *backends, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (backends[i].cluster) {
            backends[i].cluster->served = true;
        }
    }
}

void build_rules(struct builder *builder, struct graph_route *route, bool served)
{
    const struct http_route *spec = route->object->http_route;
    struct verdict verdict = { 0 };
    route->rule_count = spec->rules.count;
    route->rules = arena_new_array(builder->arena, struct graph_rule, route->rule_count);
    for (size_t i = 0; i < route->rule_count; i++) {
        struct graph_rule *rule = &route->rules[i];
        rule->spec = &spec->rules.items[i];
        rule->index = i;
        build_filters(builder, route, rule, &verdict);
        build_backends(builder, route, rule, &verdict);
        if (builder_policy_invalid(builder, route->object, rule->spec->name)) {
            rule->refusal = "policy_invalid";
        }
        if (served) {
            mark_clusters(rule->backends, rule->spec->backend_refs.count);
            mark_clusters(rule->mirrors, rule->spec->filters.count);
        }
    }
    for (size_t i = 0; i < route->parent_count; i++) {
        judge_parent(builder, route, &verdict, &route->parents[i]);
    }
    route->input_hash = hash_route(route);
}
