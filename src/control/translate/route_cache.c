/* Packed Routes by HTTPRoute and listener port (a redirect may write the port). */
#include "control/translate/route_cache.h"

#include "base/ensure.h"

#include <stdlib.h>

/* One allocation: the ends of each match's bytes, rule by rule, then the bytes, then the key. Never
 * changed; another takes its place. */
struct cached_route {
    struct cached_route *next; /* the same route at another port */
    uint64_t hash;             /* of what it was packed from */
    uint16_t port;
    bool tls;
    uint32_t count; /* of matches */
    struct text key;
    uint32_t ends[];
};

static const char *cached_bytes(const struct cached_route *cached)
{
    return (const char *)(cached->ends + cached->count);
}

static void cached_free(struct cached_route *cached)
{
    while (cached) {
        struct cached_route *next = cached->next;
        free(cached);
        cached = next;
    }
}

void route_cache_fini(struct route_cache *cache)
{
    size_t cursor = 0;
    const struct map_entry *entry;
    while ((entry = map_next(&cache->by_route, &cursor)) != NULL) {
        cached_free(entry->value);
    }
    map_fini(&cache->by_route);
    buffer_fini(&cache->bytes);
    array_free(&cache->ends);
}

/* All matches of all rules into the cache's scratch. */
static void pack_all(struct route_cache *cache, struct translation *translation,
                     const struct route_source *source)
{
    struct route_source each = *source;
    buffer_clear(&cache->bytes);
    cache->ends.count = 0;
    for (size_t i = 0; i < source->route->rule_count; i++) {
        each.rule = &source->route->rules[i];
        for (each.match = 0; each.match < each.rule->spec->matches.count; each.match++) {
            xds_pack(&compose_route(translation, &each)->base, &cache->bytes);
            ensure(cache->bytes.size <= UINT32_MAX);
            *array_add(&cache->ends) = (uint32_t)cache->bytes.size;
            translation_recycle(translation);
        }
    }
}

static struct cached_route *cached_new(struct route_cache *cache, struct translation *translation,
                                       const struct route_source *source)
{
    struct text key = source->route->object->key;
    pack_all(cache, translation, source);
    size_t ends_size = cache->ends.count * sizeof(uint32_t);
    struct cached_route *cached =
        malloc(sizeof(*cached) + ends_size + cache->bytes.size + key.size);
    ensure(cached != NULL);
    *cached = (struct cached_route){ .hash = source->route->input_hash,
                                     .port = source->listener->spec->port,
                                     .tls = source->listener->protocol->is_tls,
                                     .count = (uint32_t)cache->ends.count };
    char *bytes = (char *)(cached->ends + cached->count);
    memcpy(cached->ends, cache->ends.items, ends_size);
    memcpy(bytes, cache->bytes.bytes, cache->bytes.size);
    memcpy(bytes + cache->bytes.size, key.at, key.size);
    cached->key = text_of(bytes + cache->bytes.size, key.size);
    return cached;
}

/* The entry of this route and port, packed anew where it is not the current one. */
static const struct cached_route *cached_find(struct route_cache *cache,
                                              struct translation *translation,
                                              const struct route_source *source)
{
    struct cached_route *first = map_find(&cache->by_route, source->route->object->key);
    struct cached_route **link = &first;
    while (*link && ((*link)->port != source->listener->spec->port ||
                     (*link)->tls != source->listener->protocol->is_tls)) {
        link = &(*link)->next;
    }
    struct cached_route *old = *link;
    if (old && old->hash == source->route->input_hash) {
        return old;
    }
    struct cached_route *cached = cached_new(cache, translation, source);
    cached->next = old ? old->next : NULL;
    *link = cached;
    if (link == &first) {
        /* The map's key must live as long as its entry: it moves to the new one's. */
        if (old) {
            map_remove(&cache->by_route, old->key);
        }
        map_put(&cache->by_route, cached->key, cached);
    }
    free(old);
    return cached;
}

struct text route_cache_get(struct route_cache *cache, struct translation *translation,
                            const struct route_source *source)
{
    const struct cached_route *cached = cached_find(cache, translation, source);
    size_t index = source->match;
    for (const struct graph_rule *rule = source->route->rules; rule != source->rule; rule++) {
        index += rule->spec->matches.count;
    }
    ensure(index < cached->count);
    size_t start = index ? cached->ends[index - 1] : 0;
    return text_of(cached_bytes(cached) + start, cached->ends[index] - start);
}

void route_cache_sweep(struct route_cache *cache, const struct graph *graph)
{
    ARRAY_OF(struct cached_route *) gone = { 0 };
    size_t cursor = 0;
    const struct map_entry *entry;
    while ((entry = map_next(&cache->by_route, &cursor)) != NULL) {
        if (!map_find(&graph->routes_by_key, entry->key)) {
            *array_add(&gone) = entry->value;
        }
    }
    for (size_t i = 0; i < gone.count; i++) {
        map_remove(&cache->by_route, gone.items[i]->key);
        cached_free(gone.items[i]);
    }
    array_free(&gone);
}
