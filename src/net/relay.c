/* splice(2) from socket to pipe to socket. Pipes are kept in a pool per thread, because making one
 * costs more than moving a small body and raising many lowers the user's limit. */
#include "net/relay.h"

#include "base/ensure.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#define POOL_MAX       64
#define LEAST_CAPACITY (16 * 1024) /* below, copying is faster */
#define TURN_MAX       (1024 * 1024)
#define SPLICE_FLAGS   (SPLICE_F_MOVE | SPLICE_F_NONBLOCK)

struct pooled_pipe {
    int pipe[2];
    size_t capacity;
};

static __thread struct {
    size_t count;
    struct pooled_pipe pipes[POOL_MAX];
} pool;

static pthread_once_t prepare_once = PTHREAD_ONCE_INIT;
static pthread_key_t thread_end; /* its destructor closes what a thread leaves in its pool */

static void close_pool(void *value)
{
    while (pool.count > 0) {
        const struct pooled_pipe *pooled = &pool.pipes[--pool.count];
        close(pooled->pipe[0]);
        close(pooled->pipe[1]);
    }
}

static void prepare(void)
{
    ensure(pthread_key_create(&thread_end, close_pool) == 0);
    signal(SIGPIPE, SIG_IGN);
}

static bool make_pipe(struct relay *relay)
{
    if (pipe2(relay->pipe, O_NONBLOCK | O_CLOEXEC) != 0) {
        relay->pipe[0] = relay->pipe[1] = -1;
        return false;
    }
    int capacity = fcntl(relay->pipe[1], F_GETPIPE_SZ);
    if (capacity < LEAST_CAPACITY) {
        close(relay->pipe[0]);
        close(relay->pipe[1]);
        relay->pipe[0] = relay->pipe[1] = -1;
        return false;
    }
    relay->capacity = (size_t)capacity;
    return true;
}

bool relay_open(struct relay *relay)
{
    pthread_once(&prepare_once, prepare);
    relay->held = 0;
    relay->moved = 0;
    if (pool.count > 0) {
        const struct pooled_pipe *pooled = &pool.pipes[--pool.count];
        relay->pipe[0] = pooled->pipe[0];
        relay->pipe[1] = pooled->pipe[1];
        relay->capacity = pooled->capacity;
        return true;
    }
    return make_pipe(relay);
}

void relay_close(struct relay *relay)
{
    if (relay->pipe[0] < 0) {
        return;
    }
    if (relay->held == 0 && pool.count < POOL_MAX && pthread_setspecific(thread_end, &pool) == 0) {
        pool.pipes[pool.count++] = (struct pooled_pipe){
            .pipe = { relay->pipe[0], relay->pipe[1] },
            .capacity = relay->capacity,
        };
    } else {
        close(relay->pipe[0]);
        close(relay->pipe[1]);
    }
    relay->pipe[0] = relay->pipe[1] = -1;
    relay->held = 0;
}

static ssize_t move(int from, int to, size_t size)
{
    ssize_t moved;
    do {
        moved = splice(from, NULL, to, NULL, size, SPLICE_FLAGS);
    } while (moved < 0 && errno == EINTR);
    return moved;
}

enum step { STEP_MOVED, STEP_BLOCKED, STEP_ENDED, STEP_FAILED };

/* Takes from the source what fits. The pipe is counted in pages, not bytes: with something in it
 * EAGAIN may mean that it is full, and then says nothing about the source. */
static enum step fill(struct relay *relay, struct transport *source, uint64_t limit)
{
    uint64_t left = limit - relay->moved - relay->held;
    size_t room = relay->capacity - relay->held;
    if (!source->readable || room == 0) {
        return STEP_BLOCKED;
    }
    int fd = source->type->descriptor(source);
    ssize_t got = move(fd, relay->pipe[1], left < room ? (size_t)left : room);
    if (got > 0) {
        relay->held += (size_t)got;
        return STEP_MOVED;
    }
    if (got == 0) {
        return STEP_ENDED;
    }
    if (errno != EAGAIN) {
        source->failure = (int16_t)errno;
        return STEP_FAILED;
    }
    if (relay->held == 0) {
        source->readable = false;
    }
    return STEP_BLOCKED;
}

static enum step drain(struct relay *relay, struct transport *sink)
{
    if (!sink->writable) {
        return STEP_BLOCKED;
    }
    ssize_t put = move(relay->pipe[0], sink->type->descriptor(sink), relay->held);
    if (put > 0) {
        relay->held -= (size_t)put;
        relay->moved += (size_t)put;
        return STEP_MOVED;
    }
    if (put < 0 && errno != EAGAIN) {
        sink->failure = (int16_t)errno;
        return STEP_FAILED;
    }
    sink->writable = false;
    return STEP_BLOCKED;
}

enum relay_result relay_run(struct relay *relay, struct transport *source, struct transport *sink,
                            uint64_t limit)
{
    ensure(relay->pipe[0] >= 0 && relay->moved + relay->held <= limit);
    uint64_t pause_at = relay->moved + TURN_MAX;
    for (;;) {
        enum step in = STEP_BLOCKED;
        if (relay->moved + relay->held < limit) {
            in = fill(relay, source, limit);
        }
        if (in == STEP_FAILED) {
            return RELAY_SOURCE_FAILED;
        }
        enum step out = relay->held > 0 ? drain(relay, sink) : STEP_BLOCKED;
        if (out == STEP_FAILED) {
            return RELAY_SINK_FAILED;
        }
        if (relay->moved == limit) {
            return RELAY_DONE;
        }
        if (in == STEP_ENDED && relay->held == 0) {
            return RELAY_END;
        }
        if (in != STEP_MOVED && out != STEP_MOVED) {
            return RELAY_BLOCKED;
        }
        if (relay->moved >= pause_at && source->readable) {
            source->readable = false;
            loop_rearm(source->loop, &source->watch);
            return RELAY_BLOCKED;
        }
    }
}
