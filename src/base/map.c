/* Open addressing with linear probing and backward-shift deletion; at most 3/4 full. */
#include "base/map.h"

#include "base/ensure.h"
#include "base/hash.h"

#include <stdlib.h>

void map_init(struct map *map)
{
    *map = (struct map){ 0 };
}

void map_fini(struct map *map)
{
    free(map->entries);
    map_init(map);
}

/* The slot that holds the key, or the free one where it would go. */
static size_t find_slot(const struct map *map, struct text key, uint64_t hash)
{
    size_t mask = map->capacity - 1;
    size_t slot = hash & mask;
    while (map->entries[slot].key.at != NULL) {
        const struct map_entry *entry = &map->entries[slot];
        if (entry->hash == hash && text_equal(entry->key, key)) {
            return slot;
        }
        slot = (slot + 1) & mask;
    }
    return slot;
}

void *map_find(const struct map *map, struct text key)
{
    if (map->count == 0) {
        return NULL;
    }
    const struct map_entry *entry = &map->entries[find_slot(map, key, hash_text(key))];
    return entry->key.at ? entry->value : NULL;
}

static void grow(struct map *map)
{
    struct map old = *map;
    map->capacity = old.capacity ? old.capacity * 2 : 16;
    map->entries = calloc(map->capacity, sizeof(*map->entries));
    ensure(map->entries != NULL);
    for (size_t i = 0; i < old.capacity; i++) {
        if (old.entries[i].key.at != NULL) {
            map->entries[find_slot(map, old.entries[i].key, old.entries[i].hash)] = old.entries[i];
        }
    }
    free(old.entries);
}

void *map_put(struct map *map, struct text key, void *value)
{
    ensure(value != NULL);
    if ((map->count + 1) * 4 > map->capacity * 3) {
        grow(map);
    }
    uint64_t hash = hash_text(key);
    struct map_entry *entry = &map->entries[find_slot(map, key, hash)];
    void *before = entry->key.at ? entry->value : NULL;
    if (entry->key.at == NULL) {
        map->count++;
    }
    *entry = (struct map_entry){ .key = key.at ? key : TEXT(""), .value = value, .hash = hash };
    return before;
}

void *map_remove(struct map *map, struct text key)
{
    if (map->count == 0) {
        return NULL;
    }
    size_t mask = map->capacity - 1;
    size_t hole = find_slot(map, key, hash_text(key));
    if (map->entries[hole].key.at == NULL) {
        return NULL;
    }
    void *value = map->entries[hole].value;
    for (size_t slot = (hole + 1) & mask; map->entries[slot].key.at; slot = (slot + 1) & mask) {
        size_t home = map->entries[slot].hash & mask;
        if (((slot - home) & mask) >= ((slot - hole) & mask)) {
            map->entries[hole] = map->entries[slot];
            hole = slot;
        }
    }
    map->entries[hole] = (struct map_entry){ 0 };
    map->count--;
    return value;
}

const struct map_entry *map_next(const struct map *map, size_t *cursor)
{
    while (*cursor < map->capacity) {
        const struct map_entry *entry = &map->entries[(*cursor)++];
        if (entry->key.at != NULL) {
            return entry;
        }
    }
    return NULL;
}
