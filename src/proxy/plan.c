/* Counting references of a plan and its parts; the last one frees. Any thread. */
#include "proxy/plan.h"

#include "base/ensure.h"
#include "proxy/plan_routes.h"

#include <stdlib.h>

static void take(_Atomic uint32_t *references)
{
    uint32_t before = atomic_fetch_add_explicit(references, 1, memory_order_relaxed);
    ensure(before > 0 && before < UINT32_MAX);
}

/* True where it was the last one. */
static bool give(_Atomic uint32_t *references)
{
    uint32_t before = atomic_fetch_sub_explicit(references, 1, memory_order_acq_rel);
    ensure(before > 0);
    return before == 1;
}

struct virtual_host *virtual_host_ref(struct virtual_host *host)
{
    take(&host->references);
    return host;
}

void virtual_host_unref(struct virtual_host *host)
{
    if (host == NULL || !give(&host->references)) {
        return;
    }
    for (struct regex *regex = host->regexes; regex != NULL; regex = regex->next) {
        regex_fini(regex);
    }
    struct arena arena = host->arena; /* the host lives in it */
    arena_fini(&arena);
}

struct plan_routes *plan_routes_ref(struct plan_routes *routes)
{
    take(&routes->references);
    return routes;
}

void plan_routes_unref(struct plan_routes *routes)
{
    if (routes == NULL || !give(&routes->references)) {
        return;
    }
    for (uint32_t i = 0; i < routes->entry_count; i++) {
        virtual_host_unref(routes->entries[i].host);
    }
    map_fini(&routes->exact);
    map_fini(&routes->suffixes);
    map_fini(&routes->prefixes);
    struct arena arena = routes->arena;
    arena_fini(&arena);
}

struct plan_listener *plan_listener_ref(struct plan_listener *listener)
{
    take(&listener->references);
    return listener;
}

void plan_listener_unref(struct plan_listener *listener)
{
    if (listener == NULL || !give(&listener->references)) {
        return;
    }
    plan_routes_unref(listener->routes);
    struct arena arena = listener->arena;
    arena_fini(&arena);
}

void plan_listener_defaults(struct listener_limits *limits)
{
    *limits = (struct listener_limits){
        .request_line_bytes = 8192,
        .header_bytes = 65536,
        .header_fields = 100,
        .header_timeout_ms = 10000,
        .body_stall_timeout_ms = 10000,
        .idle_timeout_ms = 75000,
        .stream_idle_timeout_ms = 300000,
        .tunnel_idle_timeout_ms = 3600000,
    };
}

struct plan *plan_new(void)
{
    struct plan *plan = calloc(1, sizeof(*plan));
    ensure(plan != NULL);
    atomic_init(&plan->references, 1);
    map_init(&plan->clusters);
    return plan;
}

struct plan *plan_ref(struct plan *plan)
{
    take(&plan->references);
    return plan;
}

void plan_unref(struct plan *plan)
{
    if (plan == NULL || !give(&plan->references)) {
        return;
    }
    for (uint32_t i = 0; i < plan->listener_count; i++) {
        plan_listener_unref(plan->listeners[i]);
    }
    size_t cursor = 0;
    const struct map_entry *entry;
    while ((entry = map_next(&plan->clusters, &cursor)) != NULL) {
        cluster_config_unref(entry->value);
    }
    map_fini(&plan->clusters);
    free(plan->listeners);
    free(plan->clusters_by_id);
    free(plan);
}
