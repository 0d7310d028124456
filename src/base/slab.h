/* struct slab: objects of one size for the hot path, no malloc. One thread owns a slab. Memory
 * comes in aligned blocks by mmap; objects are handed out last-freed-first, so that a busy worker
 * stays in its cache. Blocks without live objects are kept while the slab is in use, a few at most,
 * and go back to the system with slab_trim. */
#pragma once

#include "base/list.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct slab_block;

struct slab {
    size_t object_size;
    size_t block_size;   /* power of two; blocks are aligned to it */
    size_t per_block;
    size_t limit;        /* objects at most, 0: none */
    size_t live;         /* objects handed out */
    size_t blocks;       /* blocks mapped */
    size_t empty_blocks; /* of them with no live object */
    size_t takes;        /* since the last slab_trim */
    struct list partial; /* blocks with a free object */
    struct list full;
};

/* object_size is rounded up to 16. limit 0: bounded by the system only. */
void slab_init(struct slab *slab, size_t object_size, size_t limit);
/* All objects must have been given back. */
void slab_fini(struct slab *slab);
/* Uninitialised; NULL at the limit or when the system has no memory. */
void *slab_take(struct slab *slab);
void slab_give(struct slab *slab, void *object);
/* For a quiet moment: where nothing was taken since the last call, all empty blocks but one go back
 * to the system. True where empty blocks are left to look at again. */
bool slab_trim(struct slab *slab);
