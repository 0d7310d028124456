/* struct map: text -> pointer, open addressing, for configuration time and compiled plans (reads
 * are safe from many threads once nobody writes). Keys are views: whoever inserts keeps them
 * alive. */
#pragma once

#include "base/text.h"

struct map_entry {
    struct text key; /* at == NULL: free */
    void *value;
    uint64_t hash;
};

struct map {
    struct map_entry *entries;
    size_t capacity; /* 0 or a power of two */
    size_t count;
};

void map_init(struct map *map);
void map_fini(struct map *map);
/* The value, or NULL where there is none. */
void *map_find(const struct map *map, struct text key);
/* Inserts or replaces; returns the value that was there before, or NULL. value must not be NULL. */
void *map_put(struct map *map, struct text key, void *value);
/* Removes; returns the value that was there, or NULL. */
void *map_remove(struct map *map, struct text key);
/* Walks all entries in no order: start with *cursor = 0, NULL ends. Do not change the map
 * meanwhile. */
const struct map_entry *map_next(const struct map *map, size_t *cursor);
