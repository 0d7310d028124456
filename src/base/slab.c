/* Blocks are aligned to their size, so an object finds its block by masking its address. Objects
 * never handed out yet are not touched: a fresh block costs memory only as it is used. */
#include "base/slab.h"

#include "base/ensure.h"

#include <sys/mman.h>

#define SMALL_BLOCK ((size_t)64 * 1024)
#define OBJECTS_PER_BLOCK 16
#define KEPT_EMPTY        4

struct slab_free {
    struct slab_free *next;
};

struct slab_block {
    struct list link;
    struct slab_free *free;
    uint32_t live;
    uint32_t fresh; /* objects from this index on have never been handed out */
};

#define HEADER_SIZE ((sizeof(struct slab_block) + 63) & ~(size_t)63)

void slab_init(struct slab *slab, size_t object_size, size_t limit)
{
    ensure(object_size > 0);
    *slab = (struct slab){ .object_size = (object_size + 15) & ~(size_t)15, .limit = limit };
    slab->block_size = SMALL_BLOCK;
    while (slab->block_size < HEADER_SIZE + slab->object_size * OBJECTS_PER_BLOCK) {
        slab->block_size *= 2;
    }
    slab->per_block = (slab->block_size - HEADER_SIZE) / slab->object_size;
    list_init(&slab->partial);
    list_init(&slab->full);
}

static struct slab_block *map_block(struct slab *slab)
{
    size_t size = slab->block_size;
    char *raw = mmap(NULL, size * 2, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (raw == MAP_FAILED) {
        return NULL;
    }
    size_t before = (size_t)(-(uintptr_t)raw & (size - 1));
    if (before > 0) {
        munmap(raw, before);
    }
    if (before < size) {
        munmap(raw + before + size, size - before);
    }
    struct slab_block *block = (struct slab_block *)(void *)(raw + before);
    block->free = NULL;
    block->live = 0;
    block->fresh = 0;
    list_add_first(&slab->partial, &block->link);
    slab->blocks++;
    slab->empty_blocks++;
    return block;
}

static void unmap_block(struct slab *slab, struct slab_block *block)
{
    list_remove(&block->link);
    slab->blocks--;
    slab->empty_blocks--;
    munmap(block, slab->block_size);
}

void slab_fini(struct slab *slab)
{
    ensure(slab->live == 0);
    while (!list_is_empty(&slab->partial)) {
        unmap_block(slab, list_owner(slab->partial.next, struct slab_block, link));
    }
}

void *slab_take(struct slab *slab)
{
    if (slab->limit != 0 && slab->live >= slab->limit) {
        return NULL;
    }
    struct slab_block *block = list_owner(slab->partial.next, struct slab_block, link);
    if (list_is_empty(&slab->partial) && (block = map_block(slab)) == NULL) {
        return NULL;
    }
    void *object = block->free;
    if (object) {
        block->free = block->free->next;
    } else {
        object = (char *)block + HEADER_SIZE + (size_t)block->fresh++ * slab->object_size;
    }
    if (block->live++ == 0) {
        slab->empty_blocks--;
    }
    slab->live++;
    slab->takes++;
    if (block->live == slab->per_block) {
        list_remove(&block->link);
        list_add_first(&slab->full, &block->link);
    }
    return object;
}

void slab_give(struct slab *slab, void *object)
{
    if (object == NULL) {
        return;
    }
    uintptr_t mask = ~(uintptr_t)(slab->block_size - 1);
    struct slab_block *block = (struct slab_block *)(void *)((uintptr_t)object & mask);
    struct slab_free *entry = object;
    entry->next = block->free;
    block->free = entry;
    if (block->live == slab->per_block) {
        list_remove(&block->link);
        list_add_first(&slab->partial, &block->link);
    }
    ensure(block->live > 0);
    block->live--;
    slab->live--;
    if (block->live == 0) {
        slab->empty_blocks++;
        list_remove(&block->link);
        list_add_last(&slab->partial, &block->link); /* the emptiest is used last */
        while (slab->empty_blocks > KEPT_EMPTY + slab->blocks / 4) {
            unmap_block(slab, list_owner(slab->partial.prev, struct slab_block, link));
        }
    }
}

bool slab_trim(struct slab *slab)
{
    bool busy = slab->takes > 0;
    slab->takes = 0;
    /* Empty blocks are last in the list. */
    while (!busy && slab->empty_blocks > 1) {
        unmap_block(slab, list_owner(slab->partial.prev, struct slab_block, link));
    }
    return slab->empty_blocks > 1;
}
