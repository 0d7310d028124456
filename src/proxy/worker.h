/* A worker: one thread, one event loop, its listeners, connections, pools, slabs and counters.
 * Shares with others only the immutable plan, letters and metrics. Started by cli, fed with plans
 * by the main thread. */
#pragma once

#include "base/list.h"
#include "base/metric.h"
#include "base/random.h"
#include "base/ring.h"
#include "base/slab.h"
#include "http/head.h"
#include "net/listener.h"
#include "net/loop.h"
#include "proxy/plan.h"
#include "proxy/wire.h"
#include "upstream/cluster.h"

#include <pthread.h>

#define SCRATCH_SIZE ((size_t)64 * 1024)
#define ENCODE_SIZE  ((size_t)96 * 1024)
#define STAGE_PARTS  8

struct proxy_metrics;

struct worker_options {
    unsigned index;
    unsigned count;           /* of workers */
    uint32_t max_connections; /* downstream, of this worker */
    struct proxy_metrics *metrics;
    struct ring *access_log; /* NULL: none */
    struct loop *main_loop;  /* where answers to the main thread are posted */
};

/* A plan in use by this worker; exchanges count themselves in. */
struct plan_hold {
    struct letter letter; /* carries the last reference back to the main thread */
    struct worker *worker;
    struct plan *plan;
    uint32_t users;
};

/* A socket this worker accepts from. Lives while it is open or has connections; `config`
 * follows the plan. */
struct worker_listener {
    struct listener listener; /* first */
    struct list link;
    struct worker *worker;
    struct text name; /* its own copy */
    int fd;
    const struct plan_listener *config; /* of the current plan; NULL: removed, draining */
    bool health;                        /* answers /healthz and /readyz by itself */
    uint32_t connections;
};

struct worker {
    struct worker_options options;
    struct loop *loop;
    pthread_t thread;
    struct plan_hold *plan; /* current; NULL before the first */
    struct upstreams upstreams;
    struct random random;
    struct slab chunks;
    struct slab large_chunks;
    struct slab downstreams;
    struct slab exchanges;
    struct slab mirrors;
    struct list listeners;
    struct list idle;   /* downstream connections between requests, longest idle first */
    struct list busy;   /* the others */
    struct list closed; /* downstream memory given back at the end of the turn */
    struct list ended;  /* exchanges, likewise */
    struct list mirrors_active;
    struct list mirrors_ended;
    uint32_t connections;
    bool draining;
    bool ended_accepting; /* for good; readable from any thread */
    bool ready; /* what /readyz says */
    struct series_cache *series;
    struct timer trim; /* runs while slabs hold empty blocks */
    /* Scratch of one callback: never held across turns. */
    char *scratch; /* SCRATCH_SIZE */
    char *encode;  /* ENCODE_SIZE */
    struct response_head response;
    struct fields trailers;
};

struct worker *worker_new(const struct worker_options *options, struct error *error);
bool worker_start(struct worker *worker, struct error *error);
/* Drains nothing: stops the loop, joins the thread and frees everything. */
void worker_free(struct worker *worker);

/* From the main thread; each takes one reference of the plan. */
void worker_post_plan(struct worker *worker, struct plan *plan);
/* The worker accepts on fd (which it owns from now on) for the listener of this name. on_done is
 * called on the main loop when listening has begun. */
void worker_post_listen(struct worker *worker, struct text name, int fd, bool health);
/* Stops accepting on it; open connections end after their current exchange, or after their next one
 * where that comes within DOWNSTREAM_RETIRED_MS. */
void worker_post_unlisten(struct worker *worker, struct text name);
enum worker_drain {
    DRAIN_BEGIN,    /* readiness fails, answers say `Connection: close`; accepting goes on */
    DRAIN_STOP,     /* also: the accept queues are emptied, then closed for all processes; idle
                     * connections end soon */
    DRAIN_REPLACED, /* as DRAIN_STOP, but another process accepts from the same sockets: readiness
                     * and the sockets stay as they are */
};
void worker_post_drain(struct worker *worker, enum worker_drain how);
void worker_post_ready(struct worker *worker, bool ready);
/* Open downstream connections, readable from any thread. */
uint32_t worker_connections(const struct worker *worker);
/* DRAIN_STOP or DRAIN_REPLACED has been done: no further connection comes. From any thread. */
bool worker_is_closed(const struct worker *worker);

/* --- the worker's own thread --- */
char *worker_take_chunk(struct worker *worker, bool large);
void worker_give_chunk(struct worker *worker, char *chunk, bool large);
struct plan_hold *plan_hold_ref(struct plan_hold *hold);
void plan_hold_unref(struct plan_hold *hold);
