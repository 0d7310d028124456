/* Growth of arrays by doubling. */
#include "base/array.h"

#include "base/ensure.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

void *array_grow(void *items, size_t count, size_t *capacity, size_t size)
{
    if (count == *capacity) {
        *capacity = count ? count * 2 : 4;
        ensure(*capacity <= SIZE_MAX / size);
        items = realloc(items, *capacity * size);
        ensure(items != NULL);
    }
    memset((char *)items + count * size, 0, size);
    return items;
}
