/* The translator: which resources there are, which of them changed, and in which order they are
 * told. Remembers for every resource the hash of its inputs and of its bytes. */
#include "control/translate/route_cache.h"

#include "base/ensure.h"
#include "base/hash.h"
#include "xds/registry.h"

#include <stdio.h>
#include <stdlib.h>

enum resource_type { RESOURCE_CLUSTER, RESOURCE_ENDPOINTS, RESOURCE_LISTENER, RESOURCE_ROUTES,
                     RESOURCE_TYPES };

/* What was told of one resource. */
struct told {
    uint64_t input_hash;
    uint64_t bytes_hash;
    uint64_t turn; /* the last translate that still had it */
    char name[];   /* NUL-terminated; the map's key points here */
};

struct translator {
    struct translate_options options;
    struct arena arena;              /* of the options */
    struct map told[RESOURCE_TYPES]; /* name -> struct told */
    struct route_cache cache;
    uint64_t turn;
};

/* One call of translate. */
struct run {
    struct translator *translator;
    const struct translate_sink *sink;
    struct translation translation;
    struct translate_counts counts;
    struct buffer bytes;
    /* The virtual hosts that were encoded last: sockets of one Gateway on several addresses have
     * the same ones. */
    struct buffer hosts;
    uint64_t hosts_hash;
    bool hosts_known;
};

static struct text type_url(enum resource_type type)
{
    switch (type) {
    case RESOURCE_CLUSTER:
        return TYPE_CLUSTER;
    case RESOURCE_ENDPOINTS:
        return TYPE_ENDPOINTS;
    case RESOURCE_LISTENER:
        return TYPE_LISTENER;
    case RESOURCE_ROUTES:
    case RESOURCE_TYPES:
        break;
    }
    return TYPE_ROUTES;
}

struct translate_options translate_options_defaults(void)
{
    return (struct translate_options){
        .connect_timeout_ms = 5000,
        .header_timeout_ms = 10000,
        .idle_timeout_ms = 75000,
        .stream_idle_timeout_ms = 300000,
        .max_header_bytes = 65536,
        .max_header_fields = 100,
    };
}

struct translator *translator_new(const struct translate_options *options)
{
    ensure(options->connect_timeout_ms > 0);
    struct translator *translator = calloc(1, sizeof(*translator));
    ensure(translator != NULL);
    arena_init(&translator->arena);
    translator->options = *options;
    struct text_list *keys = &translator->options.session_keys;
    keys->items = arena_new_array(&translator->arena, struct text, keys->count);
    for (size_t i = 0; i < keys->count; i++) {
        keys->items[i] = arena_copy(&translator->arena, options->session_keys.items[i]);
    }
    return translator;
}

void translator_reset(struct translator *translator)
{
    for (size_t i = 0; i < RESOURCE_TYPES; i++) {
        size_t cursor = 0;
        const struct map_entry *entry;
        while ((entry = map_next(&translator->told[i], &cursor)) != NULL) {
            free(entry->value);
        }
        map_fini(&translator->told[i]);
    }
}

void translator_free(struct translator *translator)
{
    if (!translator) {
        return;
    }
    translator_reset(translator);
    route_cache_fini(&translator->cache);
    for (size_t i = 0; i < translator->options.session_keys.count; i++) {
        struct text key = translator->options.session_keys.items[i];
        explicit_bzero((char *)(uintptr_t)key.at, key.size);
    }
    arena_fini(&translator->arena);
    free(translator);
}

/* ---- one resource ---------------------------------------------------------------------------- */

static struct told *told_find(struct run *run, enum resource_type type, struct text name)
{
    struct map *map = &run->translator->told[type];
    struct told *told = map_find(map, name);
    if (told) {
        return told;
    }
    told = calloc(1, sizeof(*told) + name.size + 1);
    ensure(told != NULL);
    memcpy(told->name, name.at, name.size);
    map_put(map, text_of(told->name, name.size), told);
    return told;
}

/* Marks the resource as there; false where its inputs are those of the last time. */
static bool needs_encoding(struct run *run, enum resource_type type, struct text name,
                           uint64_t input_hash, struct told **out_told)
{
    struct told *told = told_find(run, type, name);
    bool known = told->turn != 0 && told->input_hash == input_hash;
    told->turn = run->translator->turn;
    told->input_hash = input_hash;
    *out_told = told;
    run->counts.unchanged += known;
    return !known;
}

/* Tells the bytes in run->bytes where they are new. */
static void tell(struct run *run, enum resource_type type, struct text name, struct told *told)
{
    struct translate_resource resource = { .type_url = type_url(type), .name = name,
                                           .bytes = buffer_text(&run->bytes) };
    uint64_t hash = hash_stable(resource.bytes);
    run->counts.encoded++;
    if (told->bytes_hash == hash && hash != 0) {
        return;
    }
    told->bytes_hash = hash;
    run->counts.changed++;
    snprintf(resource.version, sizeof(resource.version), "%016llx", (unsigned long long)hash);
    graph_find_origin(run->translation.graph, name, &resource.origin);
    run->sink->on_resource(run->sink->owner, &resource);
}

/* ---- all resources --------------------------------------------------------------------------- */

static void translate_clusters(struct run *run)
{
    const struct graph *graph = run->translation.graph;
    for (size_t i = 0; i < graph->cluster_count; i++) {
        const struct graph_cluster *cluster = graph->clusters[i];
        struct told *told;
        if (needs_encoding(run, RESOURCE_CLUSTER, cluster->name, hash_cluster(cluster), &told)) {
            buffer_clear(&run->bytes);
            encode_cluster(&run->translation, cluster, &run->bytes);
            tell(run, RESOURCE_CLUSTER, cluster->name, told);
        }
    }
    for (size_t i = 0; i < graph->cluster_count; i++) {
        const struct graph_cluster *cluster = graph->clusters[i];
        struct told *told;
        if (cluster->discovery == CLUSTER_EDS &&
            needs_encoding(run, RESOURCE_ENDPOINTS, cluster->name, hash_endpoints(cluster),
                           &told)) {
            buffer_clear(&run->bytes);
            encode_endpoints(&run->translation, cluster, &run->bytes);
            tell(run, RESOURCE_ENDPOINTS, cluster->name, told);
        }
    }
}

static void translate_listeners(struct run *run)
{
    const struct graph *graph = run->translation.graph;
    for (size_t i = 0; i < graph->socket_count; i++) {
        const struct graph_socket *socket = graph->sockets[i];
        struct told *told;
        if (needs_encoding(run, RESOURCE_LISTENER, socket->name, 1, &told)) {
            buffer_clear(&run->bytes);
            encode_listener(&run->translation, socket, &run->bytes);
            tell(run, RESOURCE_LISTENER, socket->name, told);
        }
    }
}

static void translate_routes(struct run *run)
{
    const struct graph *graph = run->translation.graph;
    for (size_t i = 0; i < graph->socket_count; i++) {
        const struct graph_socket *socket = graph->sockets[i];
        uint64_t hash = hash_routes(socket);
        struct told *told;
        if (!needs_encoding(run, RESOURCE_ROUTES, socket->routes_name, hash, &told)) {
            continue;
        }
        if (!run->hosts_known || run->hosts_hash != hash) {
            buffer_clear(&run->hosts);
            encode_virtual_hosts(&run->translation, socket, &run->hosts);
            run->hosts_hash = hash;
            run->hosts_known = true;
        }
        buffer_clear(&run->bytes);
        encode_routes(&run->translation, socket, buffer_text(&run->hosts), &run->bytes);
        tell(run, RESOURCE_ROUTES, socket->routes_name, told);
    }
}

static void remove_gone(struct run *run, enum resource_type type)
{
    struct map *map = &run->translator->told[type];
    ARRAY_OF(struct told *) gone = { 0 };
    size_t cursor = 0;
    const struct map_entry *entry;
    while ((entry = map_next(map, &cursor)) != NULL) {
        struct told *told = entry->value;
        if (told->turn != run->translator->turn) {
            *array_add(&gone) = told;
        }
    }
    for (size_t i = 0; i < gone.count; i++) {
        struct text name = text_from_string(gone.items[i]->name);
        map_remove(map, name);
        run->counts.removed++;
        run->sink->on_removed(run->sink->owner, type_url(type), name);
        free(gone.items[i]);
    }
    array_free(&gone);
}

struct translate_counts translate(struct translator *translator, const struct graph *graph,
                                  const struct translate_sink *sink)
{
    struct run run = { .translator = translator, .sink = sink };
    run.translation.options = &translator->options;
    run.translation.graph = graph;
    run.translation.cache = &translator->cache;
    arena_init(&run.translation.arena);
    buffer_init(&run.bytes);
    buffer_init(&run.hosts);
    translator->turn++;
    translate_clusters(&run);
    translate_listeners(&run);
    translate_routes(&run);
    if (run.hosts_known) {
        route_cache_sweep(&translator->cache, graph);
    }
    remove_gone(&run, RESOURCE_LISTENER);
    remove_gone(&run, RESOURCE_ROUTES);
    remove_gone(&run, RESOURCE_CLUSTER);
    remove_gone(&run, RESOURCE_ENDPOINTS);
    buffer_fini(&run.bytes);
    buffer_fini(&run.hosts);
    arena_fini(&run.translation.arena);
    return run.counts;
}
