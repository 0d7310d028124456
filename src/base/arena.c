/* Bump allocation over a list of malloc'd chunks. */
#include "base/arena.h"

#include "base/ensure.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define FIRST_CHUNK 1024
#define LARGEST_CHUNK 65536

struct arena_chunk {
    struct arena_chunk *older;
    size_t size; /* of bytes[] */
    _Alignas(16) char bytes[];
};

void arena_init(struct arena *arena)
{
    *arena = (struct arena){ .chunk_size = FIRST_CHUNK };
}

void arena_fini(struct arena *arena)
{
    struct arena_chunk *chunk = arena->chunks;
    while (chunk) {
        struct arena_chunk *older = chunk->older;
        free(chunk);
        chunk = older;
    }
    arena_init(arena);
}

void arena_reset(struct arena *arena)
{
    arena_fini(arena);
}

static void add_chunk(struct arena *arena, size_t least)
{
    size_t size = arena->chunk_size ? arena->chunk_size : FIRST_CHUNK;
    ensure(least <= SIZE_MAX / 4);
    if (size < least) {
        size = least;
    }
    struct arena_chunk *chunk = malloc(sizeof(*chunk) + size);
    ensure(chunk != NULL);
    chunk->size = size;
    chunk->older = arena->chunks;
    arena->chunks = chunk;
    arena->next = chunk->bytes;
    arena->end = chunk->bytes + size;
    arena->chunk_size = size * 2 < LARGEST_CHUNK ? size * 2 : LARGEST_CHUNK;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    size_t gap = (size_t)(-(uintptr_t)arena->next & 15);
    ensure(size <= SIZE_MAX / 4);
    if (arena->next == NULL || (size_t)(arena->end - arena->next) < gap + size) {
        add_chunk(arena, size + 16);
        gap = (size_t)(-(uintptr_t)arena->next & 15);
    }
    char *at = arena->next + gap;
    arena->next = at + size;
    arena->used += size;
    return memset(at, 0, size);
}

char *arena_bytes(struct arena *arena, size_t size)
{
    if (arena->next == NULL || (size_t)(arena->end - arena->next) < size) {
        add_chunk(arena, size);
    }
    char *at = arena->next;
    arena->next += size;
    arena->used += size;
    return at;
}

struct text arena_copy(struct arena *arena, struct text t)
{
    char *at = arena_bytes(arena, t.size + 1);
    if (t.size > 0) {
        memcpy(at, t.at, t.size);
    }
    at[t.size] = '\0';
    return text_of(at, t.size);
}

struct text arena_format(struct arena *arena, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    va_list again;
    va_copy(again, list);
    ensure(format != NULL);
    int size = vsnprintf(NULL, 0, format, list);
    va_end(list);
    ensure(size >= 0);
    char *at = arena_bytes(arena, (size_t)size + 1);
    vsnprintf(at, (size_t)size + 1, format, again);
    va_end(again);
    return text_of(at, (size_t)size);
}
