/* The ring of records. Positions only grow; a record never wraps: where the rest of a lap is too
 * short the producer leaves it and notes in `lap_end` how far the lap is filled. One lap_end is
 * enough: the producer ends the next lap only when the consumer has left this one. */
#include "base/ring.h"

#include "base/ensure.h"

#include <stdalign.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>

struct ring {
    char *bytes;
    uint64_t capacity;
    struct ring_wake wake;

    alignas(64) _Atomic uint64_t head; /* the producer's line */
    _Atomic uint64_t lap_end;          /* offset, of the lap before head's */
    _Atomic uint64_t dropped;
    _Atomic uint64_t records;
    uint64_t known_tail;
    uint64_t reserved_from;
    uint64_t reserved_size;
    uint64_t flushed;
    bool told_half_full;

    alignas(64) _Atomic uint64_t tail; /* the consumer's line */
    alignas(64) _Atomic bool asleep;
};

struct ring *ring_new(size_t capacity)
{
    size_t rounded = 4096;
    while (rounded < capacity) {
        rounded *= 2;
    }
    struct ring *ring = aligned_alloc(alignof(struct ring), sizeof(*ring));
    ensure(ring != NULL);
    *ring = (struct ring){ .capacity = rounded };
    ring->bytes = mmap(NULL, rounded, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ensure(ring->bytes != MAP_FAILED);
    return ring;
}

void ring_free(struct ring *ring)
{
    if (ring) {
        munmap(ring->bytes, ring->capacity);
        free(ring);
    }
}

void ring_on_wake(struct ring *ring, struct ring_wake wake)
{
    ring->wake = wake;
}

static uint64_t relaxed(const _Atomic uint64_t *value)
{
    return atomic_load_explicit(value, memory_order_relaxed);
}

static void count(_Atomic uint64_t *counter)
{
    atomic_store_explicit(counter, relaxed(counter) + 1, memory_order_relaxed);
}

/* Whether [from, from + size) is free; asks the consumer's line only when it must. */
static bool is_free(struct ring *ring, uint64_t end)
{
    if (end - ring->known_tail <= ring->capacity) {
        return true;
    }
    ring->known_tail = atomic_load_explicit(&ring->tail, memory_order_acquire);
    return end - ring->known_tail <= ring->capacity;
}

char *ring_try_reserve(struct ring *ring, size_t size)
{
    uint64_t head = relaxed(&ring->head);
    uint64_t offset = head & (ring->capacity - 1);
    uint64_t rest = ring->capacity - offset;
    uint64_t from = size <= rest ? head : head + rest;
    if (size > ring->capacity / 2 || !is_free(ring, from + size)) {
        ring->reserved_size = 0;
        return NULL;
    }
    ring->reserved_from = from;
    ring->reserved_size = size;
    return ring->bytes + (from & (ring->capacity - 1));
}

char *ring_reserve(struct ring *ring, size_t size)
{
    char *at = ring_try_reserve(ring, size);
    if (!at) {
        ring_drop(ring);
    }
    return at;
}

void ring_commit(struct ring *ring, size_t size)
{
    ensure(size <= ring->reserved_size);
    ring->reserved_size = 0;
    if (size == 0) {
        return;
    }
    uint64_t head = relaxed(&ring->head);
    uint64_t end = ring->reserved_from + size;
    if (ring->reserved_from != head) {
        atomic_store_explicit(&ring->lap_end, head & (ring->capacity - 1), memory_order_relaxed);
    } else if ((end & (ring->capacity - 1)) == 0) {
        atomic_store_explicit(&ring->lap_end, ring->capacity, memory_order_relaxed);
    }
    count(&ring->records);
    atomic_store_explicit(&ring->head, end, memory_order_release);
}

bool ring_put(struct ring *ring, struct text record)
{
    char *at = ring_reserve(ring, record.size);
    if (!at || record.size == 0) {
        return false;
    }
    memcpy(at, record.at, record.size);
    ring_commit(ring, record.size);
    return true;
}

void ring_drop(struct ring *ring)
{
    count(&ring->dropped);
}

void ring_flush(struct ring *ring)
{
    uint64_t head = relaxed(&ring->head);
    if (head == ring->flushed || !ring->wake.on_wake) {
        return;
    }
    ring->flushed = head;
    /* Pairs with the fence of ring_sleep: either we see it asleep or it sees the records. */
    atomic_thread_fence(memory_order_seq_cst);
    bool half_full = head - relaxed(&ring->tail) > ring->capacity / 2;
    bool asleep = atomic_load_explicit(&ring->asleep, memory_order_relaxed) &&
                  atomic_exchange(&ring->asleep, false);
    if (asleep || (half_full && !ring->told_half_full)) {
        ring->wake.on_wake(ring->wake.owner);
    }
    ring->told_half_full = half_full;
}

struct text ring_peek(struct ring *ring)
{
    for (;;) {
        uint64_t tail = relaxed(&ring->tail);
        uint64_t head = atomic_load_explicit(&ring->head, memory_order_acquire);
        uint64_t offset = tail & (ring->capacity - 1);
        uint64_t lap = tail - offset;
        if (head - lap < ring->capacity) {
            return text_of(ring->bytes + offset, head - tail);
        }
        uint64_t lap_end = relaxed(&ring->lap_end);
        if (offset < lap_end) {
            return text_of(ring->bytes + offset, lap_end - offset);
        }
        atomic_store_explicit(&ring->tail, lap + ring->capacity, memory_order_release);
    }
}

void ring_consume(struct ring *ring, size_t size)
{
    atomic_store_explicit(&ring->tail, relaxed(&ring->tail) + size, memory_order_release);
}

bool ring_sleep(struct ring *ring)
{
    atomic_store_explicit(&ring->asleep, true, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst);
    if (ring_peek(ring).size == 0) {
        return true;
    }
    atomic_store(&ring->asleep, false);
    return false;
}

uint64_t ring_dropped(const struct ring *ring)
{
    return relaxed(&ring->dropped);
}

uint64_t ring_records(const struct ring *ring)
{
    return relaxed(&ring->records);
}

size_t ring_fill(const struct ring *ring)
{
    uint64_t tail = relaxed(&ring->tail);
    uint64_t head = relaxed(&ring->head);
    return head > tail ? head - tail : 0;
}

size_t ring_capacity(const struct ring *ring)
{
    return ring->capacity;
}
