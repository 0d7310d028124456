/* A test bed for the proxy: one worker without a thread, fed from serialized xDS resources, between
 * raw client sockets and raw backend sockets on loopback. A test is a script: what a client says,
 * what a backend hears, what it answers, what the client hears. The worker's loop is turned while a
 * call waits, so everything runs in one thread and in a fixed order.
 *
 * Cluster "c" has the backends 0 to backends - 1, cluster "m" (for mirrors) has MIRROR_BACKEND. */
#pragma once

#include "base/metric.h"
#include "proxy/compile.h"
#include "proxy/series.h"
#include "proxy/worker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define BED_BACKENDS   4 /* at most, of cluster "c" */
#define MIRROR_BACKEND BED_BACKENDS
#define BED_WAIT_MS    5000 /* what does not come by then never does */

#define GET "GET /a HTTP/1.1\r\nHost: h\r\n\r\n"
#define OK  "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

/* 0 and NULL: the proxy's default. */
struct bed_setup {
    unsigned backends; /* 0: 1 */
    unsigned dead;     /* bit i: backend i does not listen */
    uint32_t timeout_ms;
    uint32_t per_try_timeout_ms;
    const char *retry_on; /* words of RetryPolicy.retry_on; NULL: no retries */
    uint32_t retries;
    uint32_t retry_status; /* of retriable-status-codes */
    uint32_t mirror_percent;
    uint32_t header_timeout_ms;
    uint32_t idle_timeout_ms;
    uint32_t stream_idle_timeout_ms;
    uint32_t connect_timeout_ms;
    uint32_t body_stall_timeout_ms;
    uint64_t body_bytes;
    uint32_t request_line_bytes;
    uint32_t max_requests;
    uint32_t max_connections; /* of the worker */
    unsigned health;          /* 1: the listener answers /healthz and /readyz by itself */
    bool no_listener;         /* the plan has none: it was removed */
    int small_buffers;        /* bytes of the backends' receive buffers */
};

struct bed {
    struct bed_setup setup;
    struct worker *worker;
    struct plan *plan;
    struct metrics *metrics;
    struct proxy_metrics *proxy_metrics;
    struct ring *log;
    uint16_t port;
    int listening[BED_BACKENDS + 1];
    uint16_t ports[BED_BACKENDS + 1];
    unsigned removed; /* bit i: backend i left cluster "c" */
};

/* One side of a connection, client or backend. */
struct peer {
    struct bed *bed;
    int fd;
    char *bytes; /* received and not yet heard: [start, size) */
    size_t start;
    size_t size;
    size_t room;
    bool ended;
    bool reset;
};

void bed_open(struct bed *bed, const struct bed_setup *setup);
/* All peers must be closed. Nothing may be left: neither slab objects nor references of the plan.
 */
void bed_close(struct bed *bed);
/* Compiles the resources of `setup` (and of bed->removed) anew and hands the plan to the worker. */
void bed_configure(struct bed *bed, const struct bed_setup *setup);
/* Turns the loop until nothing moves any more. */
void bed_settle(struct bed *bed);
void bed_wait(struct bed *bed, unsigned ms);
/* Access-log lines since the last call, NUL-terminated; valid until the next. */
const char *bed_log(struct bed *bed);
/* Neither exchanges nor chunks nor client connections are held. */
void bed_must_be_idle(struct bed *bed);

void client_open(struct bed *bed, struct peer *out_client);
/* With a receive buffer of so many bytes. */
void client_open_small(struct bed *bed, struct peer *out_client, int bytes);
/* The next connection to this backend; waits for it. */
void backend_accept(struct bed *bed, unsigned backend, struct peer *out_backend);
bool backend_is_asked(struct bed *bed, unsigned backend);
/* A client and the connection to backend 0 that a first GET opened; both idle afterwards. */
void bed_pair(struct bed *bed, struct peer *out_client, struct peer *out_backend);
/* Closes both, then the bed. */
void bed_end(struct bed *bed, struct peer *client, struct peer *backend);

/* Says all of it, turning the loop where the socket is full. */
void peer_say(struct peer *peer, const char *words);
void peer_say_bytes(struct peer *peer, struct text bytes);
/* What the socket takes at once; the number of bytes. */
size_t peer_say_some(struct peer *peer, struct text bytes);
/* Hears up to and including `until`; a NUL-terminated view, valid until the next call. */
const char *peer_hear(struct peer *peer, const char *until);
struct text peer_hear_bytes(struct peer *peer, size_t size);
/* The head of a message, and then exactly this body. */
void peer_hear_message(struct peer *peer, const char *head_begins, const char *body);
void peer_hear_exactly(struct peer *peer, const char *words);
void peer_hear_end(struct peer *peer);
void peer_hear_reset(struct peer *peer);
/* Reset or end, whichever comes; nothing else. */
void peer_hear_gone(struct peer *peer);
/* Nothing has come, also after everything has settled. */
void peer_hear_nothing(struct peer *peer);
/* Ends its direction. */
void peer_end(struct peer *peer);
void peer_close(struct peer *peer);
void peer_reset(struct peer *peer);
