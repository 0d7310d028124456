/* struct ring: bytes from one producing thread (a worker) to one consuming thread (main),
 * lock-free. The producer reserves room, formats in place and commits; a record that does not fit
 * is dropped and counted, the producer never waits. Records carry no header: the consumer sees
 * spans of whole records back to back, ready for one write(2). Log lines end in LF.
 *
 * Waking costs the producer no system call unless the consumer sleeps: ring_flush, called once at
 * the end of a turn, calls on_wake when the consumer has declared itself asleep (once per sleep) or
 * when the ring became half full (once per drain). */
#pragma once

#include "base/text.h"

#include <stdbool.h>
#include <stdint.h>

struct ring;

struct ring_wake {
    /* On the producer's thread; must be thread-safe, e.g. loop_post. */
    void (*on_wake)(void *owner);
    void *owner;
};

#define RING_CAPACITY_DEFAULT ((size_t)256 * 1024)

/* capacity is rounded up to a power of two of at least 4096. Pages are committed on first touch.
 * Aborts without memory. */
struct ring *ring_new(size_t capacity);
void ring_free(struct ring *ring);
/* Before the producer starts. Without it ring_flush never wakes. */
void ring_on_wake(struct ring *ring, struct ring_wake wake);

/* --- the producer --- */
/* `size` contiguous bytes (at most half the capacity) to write into, or NULL: then the record is
 * lost and counted. */
char *ring_reserve(struct ring *ring, size_t size);
/* Like ring_reserve, but a NULL is not counted: the caller tries otherwise or calls ring_drop. */
char *ring_try_reserve(struct ring *ring, size_t size);
/* Publishes the first `size` bytes (0: nothing) of the last reservation. */
void ring_commit(struct ring *ring, size_t size);
/* Reserve, copy, commit. */
bool ring_put(struct ring *ring, struct text record);
void ring_drop(struct ring *ring);
/* Once at the end of a turn. */
void ring_flush(struct ring *ring);

/* --- the consumer --- */
/* The next contiguous span, empty where there is none. Stays valid until consumed. */
struct text ring_peek(struct ring *ring);
void ring_consume(struct ring *ring, size_t size);
/* Declares the consumer asleep. Returns false (and does not) where records are waiting. */
bool ring_sleep(struct ring *ring);

/* --- any thread --- */
uint64_t ring_dropped(const struct ring *ring);
uint64_t ring_records(const struct ring *ring); /* committed since ring_new */
size_t ring_fill(const struct ring *ring);      /* bytes waiting, approximately */
size_t ring_capacity(const struct ring *ring);
