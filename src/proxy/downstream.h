/* A client's connection: accepts, reads request heads, hands each to an exchange, keeps the time
 * limits between and during requests. Owned by the worker. */
#pragma once

#include "http/h1.h"
#include "proxy/worker.h"

struct exchange;

struct downstream {
    struct transport transport; /* first */
    struct wire wire;
    struct timer timer;
    struct list link; /* worker->idle, ->busy or ->closed */
    struct worker *worker;
    struct worker_listener *listener;
    struct exchange *exchange; /* NULL between requests */
    struct address peer;
    uint32_t requests;      /* begun on this connection */
    uint64_t head_since_ns; /* first byte of the head being read, 0: none yet */
    uint64_t progress;      /* bytes moved on the watched direction when last looked at */
    struct h1_head_reader reader;
    uint8_t timer_purpose; /* enum downstream_timer */
    bool running;          /* inside the request loop */
    bool lingering;        /* shut down; reading away what still comes */
    bool closed;
};

/* A client that has just been answered may have its next request on the way: closing at once would
 * lose it. */
#define DOWNSTREAM_RETIRED_MS 1000

enum downstream_timer {
    TIMER_NONE, TIMER_IDLE, TIMER_HEADER, TIMER_BODY, TIMER_READER, TIMER_LINGER, TIMER_TUNNEL,
};

_Static_assert(sizeof(struct downstream) <= 320, "ten thousand of them idle");

void downstream_accept(struct listener *listener, int fd, const struct address *peer);
/* The exchange is over and its response delivered. keep: the connection may serve another one. */
void downstream_exchange_ended(struct downstream *downstream, bool keep);
/* The exchange is over in the middle of something: the connection is reset. */
void downstream_exchange_aborted(struct downstream *downstream);
/* Unsent bytes are held: the client must take them at a minimum rate. */
void downstream_watch_slow_reader(struct downstream *downstream);
/* Bytes of a body of declared length are waited for. */
void downstream_watch_slow_body(struct downstream *downstream);
void downstream_watch_tunnel(struct downstream *downstream, uint32_t idle_ms);
void downstream_unwatch(struct downstream *downstream);
/* Idle connections of one listener that no longer accepts, or of all (NULL): each is closed unless
 * a request comes within DOWNSTREAM_RETIRED_MS, and that is answered with `Connection: close`. */
void downstream_retire_idle(struct worker *worker, const struct worker_listener *listener);
void downstream_close_all(struct worker *worker);
/* Closes an idle connection (shed.c). */
void downstream_shed(struct downstream *downstream);
void downstream_reap(struct worker *worker);
