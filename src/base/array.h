/* Growable arrays of any type, for configuration time.
 *   struct { struct thing *items; size_t count, capacity; } things = { 0 };
 *   *array_add(&things) = thing;      a zeroed new last item
 *   array_free(&things);                                                                        */
#pragma once

#include <stddef.h>

#define ARRAY_OF(type)                                                                             \
    struct {                                                                                       \
        type *items;                                                                               \
        size_t count;                                                                              \
        size_t capacity;                                                                           \
    }

/* Room for one more item of `size` bytes; the item is zeroed. Aborts without memory. */
void *array_grow(void *items, size_t count, size_t *capacity, size_t size);

#define array_add(array)                                                                           \
    ((array)->items = array_grow((array)->items, (array)->count, &(array)->capacity,               \
                                 sizeof(*(array)->items)),                                         \
     &(array)->items[(array)->count++])

#define array_free(array)                                                                          \
    (free((array)->items), (array)->items = NULL, (array)->count = 0, (array)->capacity = 0)
