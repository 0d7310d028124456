/* struct timer_wheel: the timers of one loop, in 7 levels of 64 slots; a slot of level n spans 64^n
 * milliseconds. Inside net only; the rest of the program sees timer_start and its kin (net/loop.h).
 *
 * A timer's level is that of the highest six bits in which its time differs from the wheel's, so
 * all slots in use of a level lie ahead, and everything on a lower level comes before everything on
 * a higher one: the next slot is the first bit of the first level in use. */
#pragma once

#include "net/loop.h"

#define TIMER_WHEEL_LEVELS 7
#define TIMER_WHEEL_SLOTS  64
/* The end of time, 139 years; later times are cut to it. */
#define TIMER_WHEEL_END (((uint64_t)1 << (6 * TIMER_WHEEL_LEVELS)) - 1)

struct timer_wheel {
    uint64_t now_ms;  /* everything up to here has expired */
    uint64_t next_ms; /* no slot begins before; UINT64_MAX: none in use */
    uint64_t used[TIMER_WHEEL_LEVELS]; /* bit n: slot n is set up, and may hold timers */
    struct list slots[TIMER_WHEEL_LEVELS][TIMER_WHEEL_SLOTS];
};

void timer_wheel_init(struct timer_wheel *wheel, uint64_t now_ms);
/* Stops all timers. */
void timer_wheel_fini(struct timer_wheel *wheel);
/* Links a timer that is not linked, for its due_ms. */
void timer_wheel_add(struct timer_wheel *wheel, struct timer *timer);
/* Expires what is due up to now_ms, in order of due time. Callbacks may start and stop any
 * timer. */
void timer_wheel_advance(struct timer_wheel *wheel, uint64_t now_ms);
