/* The event loop: epoll, a timer wheel, a mailbox. A turn is: wait, events, timers, letters, hooks.
 *
 * The mailbox is a stack any thread pushes onto; whoever finds it empty writes the eventfd, which
 * is edge-triggered and therefore never read. A loop looks into its mailbox before it waits, so
 * posting to oneself needs no system call. */
#include "net/loop.h"

#include "base/clock.h"
#include "base/ensure.h"
#include "net/timer_wheel.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define EVENTS_A_TURN 256
#define HOOKS_MAX     4
#define EDGE          (EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET)
#define NS_PER_MS     1000000u
#define DELAY_MAX_MS  (TIMER_WHEEL_END / 2)

enum { WATCH_LEVEL = 1 };

struct hook {
    void (*on_end)(void *owner);
    void *owner;
};

struct loop {
    int epoll_fd;
    int event_fd;
    bool stopping;
    bool in_turn;
    int hook_count;
    uint64_t now_ns;
    uint64_t floor_ms; /* the turn's time, rounded down and up */
    uint64_t ceil_ms;
    uint64_t lag_ns;
    struct hook hooks[HOOKS_MAX];
    struct watch mail_watch;
    int event_at; /* the one being told; event_count outside of telling */
    int event_count;
    struct epoll_event events[EVENTS_A_TURN];
    struct timer_wheel wheel;
    _Alignas(64) struct letter *mailbox; /* newest first; atomic */
};

/* The loop whose turn this thread is in. */
static __thread struct loop *current;

static void set_time(struct loop *loop, uint64_t now_ns)
{
    loop->now_ns = now_ns;
    loop->floor_ms = now_ns / NS_PER_MS;
    loop->ceil_ms = (now_ns + NS_PER_MS - 1) / NS_PER_MS;
}

static void on_mail(struct watch *watch, unsigned ready)
{
}

static bool open_descriptors(struct loop *loop, struct error *error)
{
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll_fd < 0) {
        return error_errno(error, errno, "cannot make an epoll descriptor");
    }
    loop->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (loop->event_fd < 0) {
        return error_errno(error, errno, "cannot make an eventfd");
    }
    loop->mail_watch = (struct watch){ .fd = -1, .on_ready = on_mail };
    return loop_watch(loop, &loop->mail_watch, loop->event_fd, error);
}

static void close_descriptors(struct loop *loop)
{
    if (loop->event_fd >= 0) {
        close(loop->event_fd);
    }
    if (loop->epoll_fd >= 0) {
        close(loop->epoll_fd);
    }
}

struct loop *loop_new(struct error *error)
{
    struct loop *loop = aligned_alloc(64, (sizeof(*loop) + 63) & ~(size_t)63);
    ensure(loop != NULL);
    loop->epoll_fd = loop->event_fd = -1;
    loop->stopping = loop->in_turn = false;
    loop->hook_count = loop->event_at = loop->event_count = 0;
    loop->lag_ns = 0;
    loop->mailbox = NULL;
    set_time(loop, clock_now_ns());
    timer_wheel_init(&loop->wheel, loop->floor_ms);
    if (!open_descriptors(loop, error)) {
        close_descriptors(loop);
        free(loop);
        return NULL;
    }
    return loop;
}

static bool has_mail(struct loop *loop)
{
    return __atomic_load_n(&loop->mailbox, __ATOMIC_RELAXED) != NULL;
}

/* Takes all letters and hands them over in the order they came. */
static void receive(struct loop *loop)
{
    struct letter *letter = __atomic_exchange_n(&loop->mailbox, NULL, __ATOMIC_ACQUIRE);
    struct letter *first = NULL;
    while (letter) {
        struct letter *older = letter->next;
        letter->next = first;
        first = letter;
        letter = older;
    }
    while (first) {
        letter = first;
        first = first->next;
        letter->on_receive(letter);
    }
}

void loop_free(struct loop *loop)
{
    if (loop == NULL) {
        return;
    }
    ensure(!loop->in_turn);
    while (has_mail(loop)) {
        receive(loop);
    }
    timer_wheel_fini(&loop->wheel);
    close_descriptors(loop);
    free(loop);
}

/* A watch that is gone must not hear of the events this turn still holds for it. */
static void drop_events(struct loop *loop, const struct watch *watch)
{
    for (int i = loop->event_at + 1; i < loop->event_count; i++) {
        if (loop->events[i].data.ptr == watch) {
            loop->events[i].data.ptr = NULL;
        }
    }
}

static bool control(struct loop *loop, int operation, struct watch *watch, uint32_t events)
{
    struct epoll_event event = { .events = events, .data.ptr = watch };
    return epoll_ctl(loop->epoll_fd, operation, watch->fd, &event) == 0;
}

static bool add_watch(struct loop *loop, struct watch *watch, int fd, uint32_t events,
                      struct error *error)
{
    ensure(fd >= 0 && watch->on_ready != NULL);
    watch->fd = fd;
    watch->flags = events & EPOLLET ? 0 : WATCH_LEVEL;
    if (!control(loop, EPOLL_CTL_ADD, watch, events)) {
        int reason = errno;
        watch->fd = -1;
        error_errno(error, reason, "cannot watch descriptor %d", fd);
        errno = reason;
        return false;
    }
    return true;
}

bool loop_watch(struct loop *loop, struct watch *watch, int fd, struct error *error)
{
    return add_watch(loop, watch, fd, EDGE, error);
}

bool loop_watch_level(struct loop *loop, struct watch *watch, int fd, struct error *error)
{
    return add_watch(loop, watch, fd, EPOLLIN, error);
}

void loop_set_level(struct loop *loop, struct watch *watch, bool reading, bool writing)
{
    ensure(watch->fd >= 0 && watch->flags & WATCH_LEVEL);
    uint32_t events = (reading ? EPOLLIN : 0) | (writing ? EPOLLOUT : 0);
    ensure(control(loop, EPOLL_CTL_MOD, watch, events));
}

void loop_rearm(struct loop *loop, struct watch *watch)
{
    ensure(watch->fd >= 0 && !(watch->flags & WATCH_LEVEL));
    ensure(control(loop, EPOLL_CTL_MOD, watch, EDGE));
}

void loop_unwatch(struct loop *loop, struct watch *watch)
{
    if (watch->fd >= 0) {
        control(loop, EPOLL_CTL_DEL, watch, 0);
        loop_forget(loop, watch);
    }
}

void loop_forget(struct loop *loop, struct watch *watch)
{
    drop_events(loop, watch);
    watch->fd = -1;
}

void timer_init(struct timer *timer, void (*on_expire)(struct timer *timer))
{
    list_init(&timer->link);
    timer->due_ms = UINT64_MAX;
    timer->wake_ms = 0;
    timer->on_expire = on_expire;
}

void timer_start(struct loop *loop, struct timer *timer, uint64_t delay_ms)
{
    if (!loop->in_turn) {
        set_time(loop, clock_now_ns());
    }
    uint64_t due_ms = loop->ceil_ms + (delay_ms < DELAY_MAX_MS ? delay_ms : DELAY_MAX_MS);
    timer->due_ms = due_ms;
    if (!list_is_empty(&timer->link)) {
        if (due_ms >= timer->wake_ms) {
            return;
        }
        list_remove(&timer->link);
    }
    timer_wheel_add(&loop->wheel, timer);
}

void timer_stop(struct timer *timer)
{
    list_remove(&timer->link);
    timer->due_ms = UINT64_MAX;
}

void timer_pause(struct timer *timer)
{
    timer->due_ms = UINT64_MAX;
}

bool timer_is_running(const struct timer *timer)
{
    return timer->due_ms != UINT64_MAX && !list_is_empty(&timer->link);
}

void loop_post(struct loop *loop, struct letter *letter)
{
    struct letter *newest = __atomic_load_n(&loop->mailbox, __ATOMIC_RELAXED);
    do {
        letter->next = newest;
    } while (!__atomic_compare_exchange_n(&loop->mailbox, &newest, letter, true, __ATOMIC_RELEASE,
                                          __ATOMIC_RELAXED));
    if (newest == NULL && current != loop) {
        uint64_t one = 1;
        ssize_t written = write(loop->event_fd, &one, sizeof(one));
        ensure(written == sizeof(one));
    }
}

void loop_on_turn_end(struct loop *loop, void (*on_end)(void *owner), void *owner)
{
    ensure(loop->hook_count < HOOKS_MAX);
    loop->hooks[loop->hook_count++] = (struct hook){ .on_end = on_end, .owner = owner };
}

static int wait_limit(struct loop *loop, int wait_ms)
{
    uint64_t next_ms = loop->wheel.next_ms;
    if (wait_ms == 0 || loop->stopping || has_mail(loop)) {
        return 0;
    }
    if (next_ms == UINT64_MAX) {
        return wait_ms;
    }
    uint64_t next_ns = next_ms * NS_PER_MS;
    if (next_ns <= loop->now_ns) {
        return 0;
    }
    uint64_t until_ms = (next_ns - loop->now_ns + NS_PER_MS - 1) / NS_PER_MS;
    int limit_ms = until_ms < INT_MAX ? (int)until_ms : INT_MAX;
    return wait_ms < 0 || limit_ms < wait_ms ? limit_ms : wait_ms;
}

static unsigned ready_of(uint32_t events)
{
    unsigned ready = 0;
    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
        ready |= READY_READ;
    }
    if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) {
        ready |= READY_WRITE;
    }
    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
        ready |= READY_CLOSED;
    }
    return ready;
}

static void tell_events(struct loop *loop)
{
    for (loop->event_at = 0; loop->event_at < loop->event_count; loop->event_at++) {
        const struct epoll_event *event = &loop->events[loop->event_at];
        struct watch *watch = event->data.ptr;
        if (watch) {
            watch->on_ready(watch, ready_of(event->events));
        }
    }
}

/* The clock proper costs four times the coarse one; it is read again only when a kernel tick has
 * passed, that is when the turn may have been long. */
static void measure_turn(struct loop *loop)
{
    loop->lag_ns = 0;
    if (clock_coarse_ns() > loop->now_ns) {
        uint64_t began_ns = loop->now_ns;
        set_time(loop, clock_now_ns());
        loop->lag_ns = loop->now_ns - began_ns;
    }
}

void loop_turn(struct loop *loop, int wait_ms)
{
    ensure(!loop->in_turn);
    struct loop *outer = current;
    int count = epoll_wait(loop->epoll_fd, loop->events, EVENTS_A_TURN, wait_limit(loop, wait_ms));
    ensure(count >= 0 || errno == EINTR);
    set_time(loop, clock_now_ns());
    loop->in_turn = true;
    current = loop;
    loop->event_count = count > 0 ? count : 0;
    tell_events(loop);
    timer_wheel_advance(&loop->wheel, loop->floor_ms);
    if (has_mail(loop)) {
        receive(loop);
    }
    for (int i = 0; i < loop->hook_count; i++) {
        loop->hooks[i].on_end(loop->hooks[i].owner);
    }
    measure_turn(loop);
    current = outer;
    loop->in_turn = false;
}

void loop_run(struct loop *loop)
{
    while (!loop->stopping) {
        loop_turn(loop, -1);
    }
    loop->stopping = false;
}

void loop_stop(struct loop *loop)
{
    loop->stopping = true;
}

uint64_t loop_now_ms(const struct loop *loop)
{
    return loop->floor_ms;
}

uint64_t loop_now_ns(const struct loop *loop)
{
    return loop->now_ns;
}

uint64_t loop_lag_ns(const struct loop *loop)
{
    return loop->lag_ns;
}
