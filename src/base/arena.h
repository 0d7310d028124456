/* struct arena: bump allocation with one common end. Everything taken from it dies at arena_fini or
 * arena_reset. Chunks come from malloc and double up to 64 KiB, so an arena is for configuration
 * time (plans, documents, decoded messages); the hot path uses slabs. Not thread-safe. */
#pragma once

#include "base/text.h"

struct arena_chunk;

struct arena {
    struct arena_chunk *chunks; /* newest first */
    char *next;
    char *end;
    size_t chunk_size; /* of the next chunk */
    size_t used;       /* bytes handed out, for limits and reports */
};

void arena_init(struct arena *arena);
void arena_fini(struct arena *arena);
/* Frees everything; the arena is then as after arena_init. */
void arena_reset(struct arena *arena);
/* Zeroed, aligned to 16. Never NULL: out of memory at configuration time aborts. */
void *arena_alloc(struct arena *arena, size_t size);
/* Uninitialised, aligned to 1: for bytes. */
char *arena_bytes(struct arena *arena, size_t size);
/* A copy that is followed by a NUL which the view does not count. */
struct text arena_copy(struct arena *arena, struct text t);
struct text arena_format(struct arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#define arena_new(arena, type) ((type *)arena_alloc((arena), sizeof(type)))
#define arena_new_array(arena, type, count) ((type *)arena_alloc((arena), sizeof(type) * (count)))
