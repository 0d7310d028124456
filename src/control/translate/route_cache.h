/* Packed Routes of HTTPRoutes, kept from one translation to the next: when one of ten thousand
 * changes, the others are copied. Owned by the translator; private to control/translate. */
#pragma once

#include "control/translate/parts.h"

struct route_cache {
    struct map by_route; /* object key -> struct cached_route, one of several ports */
    struct buffer bytes; /* of the route that is being packed */
    ARRAY_OF(uint32_t) ends;
};

void route_cache_fini(struct route_cache *cache);
/* The packed Route; good until the next call. */
struct text route_cache_get(struct route_cache *cache, struct translation *translation,
                            const struct route_source *source);
/* Forgets routes that the graph does not have. */
void route_cache_sweep(struct route_cache *cache, const struct graph *graph);
