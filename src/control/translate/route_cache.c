/* Packed Routes by HTTPRoute and listener port (a redirect may write the port). */
#include "control/translate/route_cache.h"

#include "base/ensure.h"

#include <stdlib.h>

struct cached_route {
    struct cached_route *next; /* the same route at another port */
    uint64_t hash;             /* of what it was packed from */
    uint16_t port;
    bool tls;
    struct buffer bytes;
    ARRAY_OF(size_t) ends; /* of each match in bytes, rule by rule */
    char key[];            /* NUL-terminated; the map's key points here */
};

static void cached_free(struct cached_route *cached)
{
    while (cached) {
        struct cached_route *next = cached->next;
        buffer_fini(&cached->bytes);
        array_free(&cached->ends);
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
}

static struct cached_route *cached_find(struct route_cache *cache,
                                        const struct route_source *source)
{
    struct text key = source->route->object->key;
    uint16_t port = source->listener->spec->port;
    bool tls = source->listener->protocol->is_tls;
    struct cached_route *first = map_find(&cache->by_route, key);
    for (struct cached_route *cached = first; cached; cached = cached->next) {
        if (cached->port == port && cached->tls == tls) {
            return cached;
        }
    }
    struct cached_route *cached = calloc(1, sizeof(*cached) + key.size + 1);
    ensure(cached != NULL);
    memcpy(cached->key, key.at, key.size);
    cached->port = port;
    cached->tls = tls;
    if (first) {
        cached->next = first->next;
        first->next = cached;
    } else {
        map_put(&cache->by_route, text_of(cached->key, key.size), cached);
    }
    return cached;
}

/* All matches of all rules. */
static void pack_all(struct cached_route *cached, struct translation *translation,
                     const struct route_source *source)
{
    struct route_source each = *source;
    buffer_clear(&cached->bytes);
    cached->ends.count = 0;
    for (size_t i = 0; i < source->route->rule_count; i++) {
        each.rule = &source->route->rules[i];
        for (each.match = 0; each.match < each.rule->spec->matches.count; each.match++) {
            xds_pack(&compose_route(translation, &each)->base, &cached->bytes);
            *array_add(&cached->ends) = cached->bytes.size;
            translation_recycle(translation);
        }
    }
    cached->hash = source->route->input_hash;
}

struct text route_cache_get(struct route_cache *cache, struct translation *translation,
                            const struct route_source *source)
{
    struct cached_route *cached = cached_find(cache, source);
    if (cached->ends.count == 0 || cached->hash != source->route->input_hash) {
        pack_all(cached, translation, source);
    }
    size_t index = source->match;
    for (const struct graph_rule *rule = source->route->rules; rule != source->rule; rule++) {
        index += rule->spec->matches.count;
    }
    ensure(index < cached->ends.count);
    size_t start = index ? cached->ends.items[index - 1] : 0;
    return text_of(cached->bytes.bytes + start, cached->ends.items[index] - start);
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
        map_remove(&cache->by_route, text_from_string(gone.items[i]->key));
        cached_free(gone.items[i]);
    }
    array_free(&gone);
}
