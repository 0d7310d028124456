/* struct ring_reader: the main thread's end of the workers' rings. While records come it looks
 * every `delay_ms`, so that a busy worker pays nothing for waking; when a look finds nothing it
 * sleeps, and the next record of a worker (or a ring half full) wakes it through the loop's
 * mailbox. Used by the access log and by the operator log's pump. Embedded in its owner; main
 * thread only. */
#pragma once

#include "base/ring.h"
#include "net/loop.h"

#include <stdatomic.h>

enum drained {
    DRAINED_ALL,     /* the ring is empty */
    DRAINED_SOME,    /* enough for one turn, more is there */
    DRAINED_BLOCKED, /* the output takes no more for now */
};

struct ring_reader {
    struct loop *loop;
    struct ring *const *rings;
    unsigned count;
    uint64_t delay_ms;
    struct timer tick;
    struct letter letter;
    _Atomic bool posted;
    /* Takes what ring `index` has. */
    enum drained (*on_drain)(struct ring_reader *reader, unsigned index);
};

/* How long the reader waits before it tries a blocked output again. */
#define RING_READER_RETRY_MS 5

/* Before the workers start. The rings stay the caller's and outlive the reader; delay_ms 0: each
 * record is looked at right after its wake. Sets loop, rings, count, delay_ms and on_drain. */
void ring_reader_start(struct ring_reader *reader, struct loop *loop, struct ring *const *rings,
                       unsigned count, uint64_t delay_ms,
                       enum drained (*on_drain)(struct ring_reader *reader, unsigned index));
/* Looks now; arranges for the next look. */
void ring_reader_drain(struct ring_reader *reader);
/* After the producers have ended and outside the loop's turns: a letter on its way is received
 * first. */
void ring_reader_stop(struct ring_reader *reader);
