/* Hierarchical timer wheel. A timer is looked at when its slot begins: it expires, moves to a finer
 * slot, or, when it was put off meanwhile (timer_start only notes the later time), moves on. The
 * list head of a slot whose bit is clear is never read, so an unused level costs no memory. */
#include "net/timer_wheel.h"

#include "base/ensure.h"

void timer_wheel_init(struct timer_wheel *wheel, uint64_t now_ms)
{
    wheel->now_ms = now_ms;
    wheel->next_ms = UINT64_MAX;
    for (int level = 0; level < TIMER_WHEEL_LEVELS; level++) {
        wheel->used[level] = 0;
    }
}

void timer_wheel_fini(struct timer_wheel *wheel)
{
    for (int level = 0; level < TIMER_WHEEL_LEVELS; level++) {
        for (; wheel->used[level]; wheel->used[level] &= wheel->used[level] - 1) {
            struct list *slot = &wheel->slots[level][__builtin_ctzll(wheel->used[level])];
            while (!list_is_empty(slot)) {
                list_remove(slot->next);
            }
        }
    }
}

void timer_wheel_add(struct timer_wheel *wheel, struct timer *timer)
{
    uint64_t at = timer->due_ms <= wheel->now_ms ? wheel->now_ms + 1 : timer->due_ms;
    ensure(wheel->now_ms < TIMER_WHEEL_END);
    at = at < TIMER_WHEEL_END ? at : TIMER_WHEEL_END;
    int level = (63 - __builtin_clzll(at ^ wheel->now_ms)) / 6;
    int shift = 6 * level;
    unsigned slot = (at >> shift) & 63;
    struct list *head = &wheel->slots[level][slot];
    if (!(wheel->used[level] >> slot & 1)) {
        wheel->used[level] |= (uint64_t)1 << slot;
        list_init(head);
    }
    timer->wake_ms = at >> shift << shift;
    list_add_last(head, &timer->link);
    if (timer->wake_ms < wheel->next_ms) {
        wheel->next_ms = timer->wake_ms;
    }
}

/* Finds the earliest slot that holds a timer; clears the bits of those emptied meanwhile. */
static struct list *find_next(struct timer_wheel *wheel)
{
    for (int level = 0; level < TIMER_WHEEL_LEVELS; level++) {
        while (wheel->used[level]) {
            unsigned slot = (unsigned)__builtin_ctzll(wheel->used[level]);
            int shift = 6 * level;
            if (!list_is_empty(&wheel->slots[level][slot])) {
                uint64_t above = wheel->now_ms >> shift >> 6 << 6;
                wheel->next_ms = (above | slot) << shift;
                return &wheel->slots[level][slot];
            }
            wheel->used[level] &= wheel->used[level] - 1;
        }
    }
    wheel->next_ms = UINT64_MAX;
    return NULL;
}

/* Callbacks may stop timers of `due` (they unlink themselves) or put them off (they move on
 * here). */
static void expire(struct timer_wheel *wheel, struct list *due)
{
    while (!list_is_empty(due)) {
        struct timer *timer = list_owner(due->next, struct timer, link);
        list_remove(&timer->link);
        if (timer->due_ms == UINT64_MAX) {
            continue;
        }
        if (timer->due_ms > wheel->now_ms) {
            timer_wheel_add(wheel, timer);
            continue;
        }
        timer->on_expire(timer);
    }
}

void timer_wheel_advance(struct timer_wheel *wheel, uint64_t now_ms)
{
    while (wheel->next_ms <= now_ms) {
        struct list *slot = find_next(wheel);
        if (wheel->next_ms > now_ms) {
            break;
        }
        struct list due;
        list_add_first(slot, &due);
        list_remove(slot);
        wheel->now_ms = wheel->next_ms;
        expire(wheel, &due);
    }
    if (wheel->now_ms < now_ms) {
        wheel->now_ms = now_ms;
    }
}
