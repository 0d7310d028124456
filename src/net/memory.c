/* Two transports joined in memory, behaving like a TCP connection with a small socket buffer. News
 * for the other end travels as a letter through the loop, so that on_ready never comes from within
 * a call. Both ends and the letters under way share one allocation; the last of them frees it. */
#include "net/transport.h"

#include "base/ensure.h"

#include <errno.h>
#include <stdlib.h>

struct memory_end {
    struct letter news;
    struct transport *transport; /* NULL once closed */
    struct memory_end *peer;
    bool news_posted;
    bool finished; /* no more will be written towards this end */
    bool reset;    /* by the peer */
    bool shut;     /* we have finished our direction */
    size_t start;  /* of what is waiting to be read here */
    size_t held;
    char *ring;
};

struct memory_pair {
    struct memory_end ends[2];
    size_t capacity; /* of each ring */
    char rings[];
};

static struct memory_pair *pair_of(struct memory_end *end)
{
    struct memory_end *first = end < end->peer ? end : end->peer;
    return list_owner(first, struct memory_pair, ends);
}

static void free_when_unused(struct memory_end *end)
{
    if (!end->transport && !end->peer->transport && !end->news_posted &&
        !end->peer->news_posted) {
        free(pair_of(end));
    }
}

static void on_news(struct letter *letter)
{
    struct memory_end *end = list_owner(letter, struct memory_end, news);
    struct transport *t = end->transport;
    end->news_posted = false;
    if (t == NULL) {
        free_when_unused(end);
        return;
    }
    bool readable = end->held > 0 || end->finished || end->reset;
    bool writable = end->peer->held < pair_of(end)->capacity || end->reset || !end->peer->transport;
    bool hung_up = end->finished || end->reset;
    bool news = (readable && !t->readable) || (writable && !t->writable) ||
                (hung_up && !t->hung_up);
    t->readable |= readable;
    t->writable |= writable;
    t->hung_up |= hung_up;
    if (news) {
        t->on_ready(t);
    }
}

static void tell(struct memory_end *end)
{
    if (end->transport && !end->news_posted) {
        end->news_posted = true;
        loop_post(end->transport->loop, &end->news);
    }
}

static size_t take_bytes(struct memory_end *end, char *into, size_t size)
{
    size_t capacity = pair_of(end)->capacity;
    size_t taken = 0;
    while (taken < size && end->held > 0) {
        size_t run = capacity - end->start < end->held ? capacity - end->start : end->held;
        run = run < size - taken ? run : size - taken;
        memcpy(into + taken, end->ring + end->start, run);
        end->start = (end->start + run) % capacity;
        end->held -= run;
        taken += run;
    }
    return taken;
}

static size_t put_bytes(struct memory_end *end, const char *from, size_t size)
{
    size_t capacity = pair_of(end)->capacity;
    size_t put = 0;
    while (put < size && end->held < capacity) {
        size_t at = (end->start + end->held) % capacity;
        size_t run = at < end->start ? end->start - at : capacity - at;
        run = run < size - put ? run : size - put;
        memcpy(end->ring + at, from + put, run);
        end->held += run;
        put += run;
    }
    return put;
}

static enum io memory_read(struct transport *t, void *into, size_t size, size_t *out_size)
{
    struct memory_end *end = t->memory.end;
    ensure(end != NULL && size > 0);
    *out_size = take_bytes(end, into, size);
    if (*out_size > 0) {
        if (*out_size < size && !t->hung_up) {
            t->readable = false;
        }
        if (end->peer->transport && !end->peer->transport->writable) {
            tell(end->peer);
        }
        return IO_OK;
    }
    t->readable = false;
    if (end->reset) {
        t->failure = ECONNRESET;
        return IO_FAILED;
    }
    return end->finished ? IO_END : IO_AGAIN;
}

static enum io memory_write(struct transport *t, const struct iovec *parts, int count,
                            size_t *out_size)
{
    struct memory_end *end = t->memory.end;
    ensure(end != NULL && count > 0);
    *out_size = 0;
    if (end->reset || end->shut || !end->peer->transport) {
        t->writable = false;
        t->failure = end->reset ? ECONNRESET : EPIPE;
        return IO_FAILED;
    }
    bool all = true;
    for (int i = 0; i < count && all; i++) {
        size_t put = put_bytes(end->peer, parts[i].iov_base, parts[i].iov_len);
        *out_size += put;
        all = put == parts[i].iov_len;
    }
    if (!all) {
        t->writable = false;
    }
    if (*out_size == 0) {
        return IO_AGAIN;
    }
    tell(end->peer);
    return IO_OK;
}

static void memory_shutdown(struct transport *t)
{
    struct memory_end *end = t->memory.end;
    ensure(end != NULL);
    end->shut = true;
    end->peer->finished = true;
    tell(end->peer);
}

static void memory_close(struct transport *t, bool reset)
{
    struct memory_end *end = t->memory.end;
    if (end == NULL) {
        return;
    }
    end->peer->finished = true;
    end->peer->reset |= reset || end->held > 0;
    end->transport = NULL;
    t->memory.end = NULL;
    t->readable = t->writable = false;
    tell(end->peer);
    free_when_unused(end);
}

static int memory_descriptor(struct transport *t)
{
    return -1;
}

static const struct transport_type memory_type = {
    .name = "memory",
    .read = memory_read,
    .write = memory_write,
    .shutdown = memory_shutdown,
    .close = memory_close,
    .descriptor = memory_descriptor,
};

static void open_end(struct memory_pair *pair, int which, struct transport *t, struct loop *loop)
{
    pair->ends[which] = (struct memory_end){
        .news = { .on_receive = on_news },
        .transport = t,
        .peer = &pair->ends[!which],
        .ring = pair->rings + (size_t)which * pair->capacity,
    };
    t->type = &memory_type;
    t->loop = loop;
    t->memory.no_fd = -1;
    t->memory.end = &pair->ends[which];
    t->readable = t->hung_up = t->connecting = false;
    t->writable = true;
    t->failure = 0;
}

void memory_open(struct transport *a, struct transport *b, struct loop *loop, size_t capacity)
{
    ensure(capacity > 0);
    struct memory_pair *pair = malloc(sizeof(*pair) + 2 * capacity);
    ensure(pair != NULL);
    pair->capacity = capacity;
    open_end(pair, 0, a, loop);
    open_end(pair, 1, b, loop);
}
