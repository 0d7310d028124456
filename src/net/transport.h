/* transport: a bidirectional byte stream (tcp, memory; later tls, proxy_protocol). Owned by whoever
 * embeds or opened it; belongs to one loop. Non-blocking, edge-triggered: on_ready fires when one
 * of readable, writable and hung_up turns from false to true, so an owner who leaves one set
 * remembers it; it also fires once after a connect ends. It never fires from within a call of the
 * owner's. The owner sets on_ready before or right after opening. To give others a turn before
 * everything is read: clear readable, then loop_rearm(loop, &watch). */
#pragma once

#include "base/text.h"
#include "net/address.h"
#include "net/loop.h"

#include <sys/uio.h>

enum io {
    IO_OK,     /* *out_size > 0 bytes moved */
    IO_AGAIN,  /* nothing now; on_ready tells when */
    IO_END,    /* read: orderly end of stream */
    IO_FAILED, /* reset, or another error: transport->failure says which errno */
};

struct transport;
struct memory_end;

struct transport_type {
    const char *name;
    /* May move less than asked. A read shorter than size clears `readable` without a second
     * call. */
    enum io (*read)(struct transport *transport, void *into, size_t size, size_t *out_size);
    enum io (*write)(struct transport *transport, const struct iovec *parts, int count,
                     size_t *out_size);
    /* Ends our direction (FIN). */
    void (*shutdown)(struct transport *transport);
    /* Closes at once; with reset the peer sees RST. The struct may be freed afterwards. */
    void (*close)(struct transport *transport, bool reset);
    /* The descriptor for splice(2), or -1 where bytes are transformed. */
    int (*descriptor)(struct transport *transport);
};

struct transport {
    const struct transport_type *type;
    struct loop *loop;
    union {
        struct watch watch; /* tcp; fd is -1 in the others */
        struct {
            int no_fd;
            struct memory_end *end;
        } memory;
    };
    void (*on_ready)(struct transport *transport);
    bool readable : 1;   /* a read may make progress */
    bool writable : 1;   /* a write may make progress */
    bool hung_up : 1;    /* the peer has closed its direction or reset; a read tells which */
    bool connecting : 1; /* connect(2) under way */
    int16_t failure;     /* errno of IO_FAILED */
};

_Static_assert(sizeof(struct transport) <= 64, "two for every proxied connection");

static inline enum io transport_read(struct transport *t, void *into, size_t size, size_t *out_size)
{
    return t->type->read(t, into, size, out_size);
}
static inline enum io transport_write(struct transport *t, const struct iovec *parts, int count,
                                      size_t *out_size)
{
    return t->type->write(t, parts, count, out_size);
}
static inline void transport_shutdown(struct transport *t)
{
    t->type->shutdown(t);
}
static inline void transport_close(struct transport *t, bool reset)
{
    t->type->close(t, reset);
}

/* Takes over a connected, non-blocking descriptor (from accept4). Starts writable and not readable;
 * what has already arrived is told in the next turn. On false the descriptor is closed. */
bool tcp_open(struct transport *transport, struct loop *loop, int fd, struct error *error);
/* Starts connecting (TCP_NODELAY set); on_ready fires when done: `connecting` is then false and
 * `failure` 0 or the errno. May complete at once (connecting false on return); on false, `failure`
 * holds the errno and there is nothing to close. */
bool tcp_connect(struct transport *transport, struct loop *loop, const struct address *to,
                 struct error *error);

/* Two transports joined back to back in memory, each way bounded by `capacity` bytes; for running
 * the whole proxy in a test with no sockets. Closing with unread bytes resets, as TCP does. */
void memory_open(struct transport *a, struct transport *b, struct loop *loop, size_t capacity);
