/* The graph as a whole: its options, the order of its steps, its end, and the states of sockets
 * that come in later. */
#include "control/gateway/builder.h"

#include "base/clock.h"
#include "base/ensure.h"

#include <stdlib.h>

struct graph_options graph_options_defaults(void)
{
    static struct text addresses[2];
    addresses[0] = TEXT("127.0.0.1");
    addresses[1] = TEXT("::1");
    return (struct graph_options){
        .controller_name = TEXT(WEFT_CONTROLLER),
        .default_addresses = { addresses, 2 },
        .cluster_domain = TEXT("cluster.local"),
        .max_listeners = 4096,
        .max_sockets = 1024,
    };
}

static struct text_list copy_list(struct arena *arena, struct text_list list)
{
    struct text_list copy = { arena_new_array(arena, struct text, list.count), list.count };
    for (size_t i = 0; i < list.count; i++) {
        copy.items[i] = arena_copy(arena, list.items[i]);
    }
    return copy;
}

static struct graph_options copy_options(struct arena *arena, const struct graph_options *options)
{
    struct graph_options copy = *options;
    copy.controller_name = arena_copy(arena, options->controller_name);
    copy.cluster_domain = arena_copy(arena, options->cluster_domain);
    copy.bundle_version = arena_copy(arena, options->bundle_version);
    copy.default_addresses = copy_list(arena, options->default_addresses);
    copy.address_pool = copy_list(arena, options->address_pool);
    struct graph_port_map *ports =
        arena_new_array(arena, struct graph_port_map, options->port_map_count);
    if (options->port_map_count) {
        memcpy(ports, options->port_map, options->port_map_count * sizeof(*ports));
    }
    copy.port_map = ports;
    return copy;
}

/* ---- what the steps share -------------------------------------------------------------------- */

void builder_hold(struct builder *builder, const struct object *object)
{
    /* The reference count is not part of what makes objects read-only. */
    *array_add(&builder->graph->held) = object_ref((struct object *)(uintptr_t)object);
}

struct text builder_key(char into[BUILDER_KEY_MAX], struct text a, struct text b, struct text c)
{
    struct text parts[] = { a, b, c };
    size_t size = 0;
    for (size_t i = 0; i < 3; i++) {
        size_t room = BUILDER_KEY_MAX - 1 - size;
        size_t take = parts[i].size < room ? parts[i].size : room;
        if (i && size < BUILDER_KEY_MAX - 1 && (i == 1 || c.size)) {
            into[size++] = '/';
            take = take < room - 1 ? take : room - 1;
        }
        if (take) {
            memcpy(into + size, parts[i].at, take);
        }
        size += take;
    }
    return text_of(into, size);
}

int object_compare_age(const struct object *a, const struct object *b)
{
    if (a->creation_us != b->creation_us) {
        return a->creation_us < b->creation_us ? -1 : 1;
    }
    int order = text_compare(a->name_space, b->name_space);
    order = order ? order : text_compare(a->name, b->name);
    return order ? order : (int)a->kind - (int)b->kind;
}

/* ---- policies that cannot be read (decisions 9) ---------------------------------------------- */

static void guard(struct builder *builder, struct text key)
{
    struct text kept = arena_copy(&builder->scratch, key);
    map_put(&builder->invalid_policies, kept, (void *)(uintptr_t)kept.at);
}

static void collect_policies(struct builder *builder)
{
    struct invalid_policy_list list = store_invalid_policies(builder->store);
    for (size_t i = 0; i < list.count; i++) {
        const struct invalid_policy *policy = &list.items[i];
        char bytes[BUILDER_KEY_MAX];
        if (policy->target_count == 0) {
            guard(builder, builder_key(bytes, TEXT(""), policy->name_space, TEXT("")));
        }
        for (size_t k = 0; k < policy->target_count; k++) {
            const struct policy_target *target = &policy->targets[k];
            struct text key = builder_key(bytes, target->kind, policy->name_space, target->name);
            if (target->section_name.size) {
                char longer[BUILDER_KEY_MAX];
                guard(builder, builder_key(longer, key, target->section_name, TEXT("")));
            } else {
                guard(builder, key);
            }
        }
    }
}

bool builder_policy_invalid(const struct builder *builder, const struct object *object,
                            struct text section)
{
    const struct map *guarded = &builder->invalid_policies;
    if (guarded->count == 0) {
        return false;
    }
    char bytes[BUILDER_KEY_MAX];
    char longer[BUILDER_KEY_MAX];
    struct text whole = builder_key(bytes, object->kind_text, object->name_space, object->name);
    if (map_find(guarded, whole) ||
        (section.size && map_find(guarded, builder_key(longer, whole, section, TEXT(""))))) {
        return true;
    }
    return map_find(guarded, builder_key(bytes, TEXT(""), object->name_space, TEXT(""))) != NULL;
}

/* ---- evaluation ------------------------------------------------------------------------------ */

static int compare_clusters(const void *a, const void *b)
{
    return text_compare((*(struct graph_cluster *const *)a)->name,
                        (*(struct graph_cluster *const *)b)->name);
}

static void collect_clusters(struct builder *builder)
{
    struct graph *graph = builder->graph;
    graph->clusters = arena_new_array(builder->arena, struct graph_cluster *,
                                      builder->clusters.count);
    for (size_t i = 0; i < builder->clusters.count; i++) {
        struct graph_cluster *cluster = builder->clusters.items[i];
        if (cluster->served && cluster->state == BACKEND_RESOLVED) {
            graph->clusters[graph->cluster_count++] = cluster;
        }
    }
    qsort(graph->clusters, graph->cluster_count, sizeof(*graph->clusters), compare_clusters);
}

static void builder_fini(struct builder *builder)
{
    size_t cursor = 0;
    const struct map_entry *entry;
    while ((entry = map_next(&builder->slices_by_service, &cursor)) != NULL) {
        struct slice_list *list = entry->value;
        array_free(&list->array);
    }
    map_fini(&builder->slices_by_service);
    map_fini(&builder->invalid_policies);
    map_fini(&builder->tls_services);
    map_fini(&builder->taken);
    map_fini(&builder->hosts);
    array_free(&builder->sockets);
    array_free(&builder->clusters);
    arena_fini(&builder->scratch);
}

struct graph *graph_build(const struct store *store, const struct graph_options *options,
                          const struct graph *previous, struct finding_list *findings)
{
    struct graph *graph = calloc(1, sizeof(*graph));
    ensure(graph != NULL);
    arena_init(&graph->arena);
    graph->options = copy_options(&graph->arena, options);
    graph->now_us = options->now_us ? options->now_us : clock_wall_us();
    struct builder builder = { .graph = graph, .arena = &graph->arena, .store = store,
                               .options = &graph->options, .previous = previous,
                               .findings = findings };
    arena_init(&builder.scratch);
    collect_policies(&builder);
    build_classes(&builder);
    build_gateways(&builder);
    build_addresses(&builder);
    build_listeners(&builder);
    build_slices(&builder);
    build_tls_services(&builder);
    build_routes(&builder);
    collect_clusters(&builder);
    build_statuses(&builder);
    builder_fini(&builder);
    return graph;
}

void graph_free(struct graph *graph)
{
    if (!graph) {
        return;
    }
    for (size_t i = 0; i < graph->held.count; i++) {
        object_unref(graph->held.items[i]);
    }
    array_free(&graph->held);
    map_fini(&graph->routes_by_key);
    map_fini(&graph->gateways_by_key);
    map_fini(&graph->listener_sets_by_key);
    map_fini(&graph->classes_by_key);
    map_fini(&graph->sockets_by_name);
    map_fini(&graph->clusters_by_name);
    map_fini(&graph->listeners_by_key);
    arena_fini(&graph->arena);
    free(graph);
}

bool graph_set_listener_state(struct graph *graph, struct text name, enum listener_state state,
                              struct text message)
{
    struct graph_socket *socket = map_find(&graph->sockets_by_name, name);
    if (!socket) {
        return false;
    }
    struct text told = state == LISTENER_BOUND ? TEXT("") : message;
    if (socket->state == state && text_equal(socket->message, told)) {
        return true;
    }
    socket->state = state;
    socket->message = arena_copy(&graph->arena, told);
    for (size_t i = 0; i < socket->listener_count; i++) {
        if (i && socket->listeners[i]->gateway == socket->listeners[i - 1]->gateway) {
            continue;
        }
        programmed_update(socket->listeners[i]->gateway);
    }
    return true;
}
