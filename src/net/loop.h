/* struct loop: one event loop per thread (epoll, edge-triggered), with millisecond timers and a
 * mailbox other threads may post to. All calls but loop_post are for the owning thread.
 *
 * A watch is registered once per descriptor for reading and writing, edge-triggered
 * (EPOLLIN|EPOLLOUT|EPOLLRDHUP|EPOLLET): on_ready tells what became ready; the owner keeps its own
 * "may read", "may write" flags and clears them on EAGAIN (or on a short read). So a request costs
 * no epoll_ctl. Nothing is destroyed inside its own callback without care: after loop_unwatch no
 * further event of this turn reaches the watch, so the owner may free it at once.
 *
 * Descriptors are close-on-exec, and a watched one must not be duplicated: a copy that outlives the
 * close would keep the registration, and with it events for a watch that is gone.
 *
 * The loop reads the clock once a turn: loop_now_ms / loop_now_ns are the turn's time. */
#pragma once

#include "base/error.h"
#include "base/list.h"

#include <stdbool.h>
#include <stdint.h>

struct loop;

enum ready { READY_READ = 1, READY_WRITE = 2, READY_CLOSED = 4 /* peer hung up or error */ };

struct watch {
    int fd;         /* -1 while unwatched */
    uint32_t flags; /* the loop's own */
    void (*on_ready)(struct watch *watch, unsigned ready);
};

/* A one-shot timer inside its owner. Start again from its own callback to repeat. */
struct timer {
    struct list link;
    uint64_t due_ms;  /* UINT64_MAX while paused */
    uint64_t wake_ms; /* when the wheel looks at it next */
    void (*on_expire)(struct timer *timer);
};

/* A message to another thread's loop; the sender allocates it, on_receive owns it. */
struct letter {
    struct letter *next;
    void (*on_receive)(struct letter *letter);
};

struct loop *loop_new(struct error *error);
/* Letters nobody has received yet are received now, so that whoever they carry is freed; timers are
 * stopped. Watches must be gone. */
void loop_free(struct loop *loop);
/* Runs until loop_stop; a loop_stop from before it returns at once. */
void loop_run(struct loop *loop);
/* One turn that waits at most wait_ms (-1: no limit); for tests and embedding. */
void loop_turn(struct loop *loop, int wait_ms);
void loop_stop(struct loop *loop);

/* False (with errno set): the system refuses, out of memory or of max_user_watches. */
bool loop_watch(struct loop *loop, struct watch *watch, int fd, struct error *error);
/* Level-triggered, for reading only (listeners, eventfd, inotify). */
bool loop_watch_level(struct loop *loop, struct watch *watch, int fd, struct error *error);
/* Which directions a level-triggered watch reports from now on; either may be off. */
void loop_set_level(struct loop *loop, struct watch *watch, bool reading, bool writing);
/* Has an edge-triggered watch told again, in the next turn, what is ready then: for an owner that
 * stops halfway to let others have their turn. */
void loop_rearm(struct loop *loop, struct watch *watch);
/* Ends watching; harmless when not watched. */
void loop_unwatch(struct loop *loop, struct watch *watch);
/* The same without a system call, for a descriptor the caller closes right afterwards. */
void loop_forget(struct loop *loop, struct watch *watch);

void timer_init(struct timer *timer, void (*on_expire)(struct timer *timer));
/* (Re)starts; expires at the earliest delay_ms from the turn's time, at most 2 ms later when idle.
 * Starting a running timer with a later time is O(1) and touches no list (lazy). */
void timer_start(struct loop *loop, struct timer *timer, uint64_t delay_ms);
void timer_stop(struct timer *timer);
/* As timer_stop, but touches no list: for the hot path. The timer stays linked, so its owner still
 * calls timer_stop before it goes. */
void timer_pause(struct timer *timer);
bool timer_is_running(const struct timer *timer);

/* From any thread; letters of one thread arrive in order. Wakes the loop, which must live until the
 * call returns: whoever frees a loop first joins the threads that may post to it. */
void loop_post(struct loop *loop, struct letter *letter);
/* Called at the end of every turn (after events, timers and letters), e.g. to flush batched writes.
 * At most 4, called in the order of registration, for the life of the loop. */
void loop_on_turn_end(struct loop *loop, void (*on_end)(void *owner), void *owner);

uint64_t loop_now_ms(const struct loop *loop);
uint64_t loop_now_ns(const struct loop *loop);
/* How long the turn before the last wait took, for the lag metric and shedding; 0 where it was too
 * short to notice (within one kernel tick, at most 10 ms). */
uint64_t loop_lag_ns(const struct loop *loop);

_Static_assert(sizeof(struct watch) <= 24, "one in every connection");
_Static_assert(sizeof(struct timer) <= 40, "several in every connection");
