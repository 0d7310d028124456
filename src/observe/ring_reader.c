/* Ticking while records come, sleeping while none do. */
#include "observe/ring_reader.h"

static struct ring_reader *reader_of_timer(struct timer *timer)
{
    return list_owner(timer, struct ring_reader, tick);
}

/* On a worker's thread. */
static void on_wake(void *owner)
{
    struct ring_reader *reader = owner;
    if (!atomic_exchange(&reader->posted, true)) {
        loop_post(reader->loop, &reader->letter);
    }
}

static bool is_any_half_full(const struct ring_reader *reader)
{
    for (unsigned i = 0; i < reader->count; i++) {
        if (ring_fill(reader->rings[i]) > ring_capacity(reader->rings[i]) / 2) {
            return true;
        }
    }
    return false;
}

static void on_receive(struct letter *letter)
{
    struct ring_reader *reader = list_owner(letter, struct ring_reader, letter);
    atomic_store(&reader->posted, false); /* first: from here on a wake may post it again */
    if (reader->delay_ms == 0 || is_any_half_full(reader)) {
        ring_reader_drain(reader);
    } else if (!timer_is_running(&reader->tick)) {
        timer_start(reader->loop, &reader->tick, reader->delay_ms);
    }
}

static void on_tick(struct timer *timer)
{
    ring_reader_drain(reader_of_timer(timer));
}

/* Whether every ring's next record will wake us. */
static bool sleep_all(struct ring_reader *reader)
{
    for (unsigned i = 0; i < reader->count; i++) {
        if (!ring_sleep(reader->rings[i])) {
            return false;
        }
    }
    return true;
}

void ring_reader_start(struct ring_reader *reader, struct loop *loop, struct ring *const *rings,
                       unsigned count, uint64_t delay_ms,
                       enum drained (*on_drain)(struct ring_reader *reader, unsigned index))
{
    *reader = (struct ring_reader){ .loop = loop,
                                     .rings = rings,
                                     .count = count,
                                     .delay_ms = delay_ms,
                                     .on_drain = on_drain,
                                     .letter = { .on_receive = on_receive } };
    timer_init(&reader->tick, on_tick);
    for (unsigned i = 0; i < count; i++) {
        ring_on_wake(rings[i], (struct ring_wake){ on_wake, reader });
    }
    ring_reader_drain(reader);
}

void ring_reader_drain(struct ring_reader *reader)
{
    bool found = false, more = false, blocked = false;
    for (unsigned i = 0; i < reader->count && !blocked; i++) {
        found = found || ring_fill(reader->rings[i]) > 0;
        enum drained drained = reader->on_drain(reader, i);
        more = more || drained == DRAINED_SOME;
        blocked = drained == DRAINED_BLOCKED;
    }
    if (blocked) {
        timer_start(reader->loop, &reader->tick, RING_READER_RETRY_MS);
    } else if (more) {
        timer_start(reader->loop, &reader->tick, 0);
    } else if (found && reader->delay_ms > 0) {
        timer_start(reader->loop, &reader->tick, reader->delay_ms);
    } else if (sleep_all(reader)) {
        timer_stop(&reader->tick);
    } else {
        timer_start(reader->loop, &reader->tick, reader->delay_ms);
    }
}

void ring_reader_stop(struct ring_reader *reader)
{
    for (unsigned i = 0; i < reader->count; i++) {
        ring_on_wake(reader->rings[i], (struct ring_wake){ NULL, NULL });
    }
    while (atomic_load(&reader->posted)) {
        loop_turn(reader->loop, 0);
    }
    timer_stop(&reader->tick);
}
