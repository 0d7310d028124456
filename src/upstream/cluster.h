/* One worker's destinations: for every cluster used so far its endpoints, idle connections and
 * counts. Owned by the worker's thread; follows the plan through upstreams_apply. */
#pragma once

#include "base/list.h"
#include "base/random.h"
#include "base/slab.h"
#include "net/loop.h"
#include "net/transport.h"
#include "upstream/cluster_config.h"

struct cluster;

struct endpoint {
    struct address address;
    struct text text;   /* "10.0.0.1:80", in the endpoint's own memory */
    struct cluster *cluster;
    struct list idle;   /* struct connection, most recently used first */
    uint32_t idle_count;
    uint32_t active;    /* exchanges under way */
    uint32_t connections; /* all open ones; the endpoint lives while any is left */
    uint32_t weight;
    uint64_t affinity;
    bool removed;       /* no longer in the configuration: nothing is pooled */
    int64_t current_weight; /* of smooth weighted round robin */
};

struct upstreams {
    struct loop *loop;
    struct random random;
    struct slab connections;
    struct cluster **by_id;
    uint32_t id_limit;
    uint32_t idle_count; /* of all endpoints */
    uint32_t idle_limit; /* at most this many idle connections are kept, default 1,024 */
    struct list closed;  /* connections whose memory is given back by upstreams_reap */
    void *owner;         /* the worker */
};

struct cluster {
    struct upstreams *upstreams;
    struct cluster_config *config; /* one reference */
    struct endpoint **endpoints;   /* those that may be picked: healthy, in the config's order */
    uint32_t endpoint_count;
    struct endpoint **others;      /* draining or unhealthy ones, still known for affinity */
    uint32_t other_count;
    uint32_t next; /* round robin */
    bool equal_weights;
};

/* A pooled connection to an endpoint. `transport` first: its callbacks find the connection. */
struct connection {
    struct transport transport;
    struct list link; /* in endpoint->idle while idle, in upstreams->closed when closed */
    struct timer timer;
    struct endpoint *endpoint;
    void *user;        /* attempt or mirror that holds it, NULL while idle */
    uint32_t requests; /* sent so far */
    bool connecting;
    bool closed;
    uint64_t started_ns; /* connect began */
};

_Static_assert(sizeof(struct connection) <= 144, "kept while idle, up to 1,024 a worker");

void upstreams_init(struct upstreams *upstreams, struct loop *loop);
void upstreams_fini(struct upstreams *upstreams);
/* Follows a new plan: clusters already in use take their new configuration, or are retired. */
void upstreams_apply(struct upstreams *upstreams, struct cluster_config **by_id, uint32_t id_limit);
/* The worker's cluster for this configuration; NULL when out of memory. */
struct cluster *upstreams_cluster(struct upstreams *upstreams, struct cluster_config *config);

/* Picks an endpoint by the cluster's balancing; `avoid` (may be NULL) is the one just tried:
 * another is chosen where there is one. NULL: no healthy endpoint. */
struct endpoint *cluster_pick(struct cluster *cluster, const struct endpoint *avoid);
/* The endpoint with this affinity key, draining ones included, or NULL. */
struct endpoint *cluster_find_affinity(struct cluster *cluster, uint64_t affinity);

/* An idle connection of the endpoint that is believed alive, or NULL. */
struct connection *pool_take(struct endpoint *endpoint);
/* Starts a new one; NULL with errno in *out_errno when not even that is possible. The caller sets
 * transport.on_ready. */
struct connection *pool_connect(struct endpoint *endpoint, int *out_errno);
/* A clean connection comes back to be reused (or is closed: limits, removed endpoint). */
void pool_give(struct connection *connection);
/* Closes at once; the memory stays until upstreams_reap, so callers further up may still look at
 * it. */
void pool_close(struct connection *connection, bool reset);
/* Gives back what pool_close left; at the end of every turn. */
void upstreams_reap(struct upstreams *upstreams);
/* Counts an exchange in and out of an endpoint; a removed endpoint is freed with its last use. */
void endpoint_use(struct endpoint *endpoint);
void endpoint_release(struct endpoint *endpoint);
/* Closes idle connections of all endpoints (drain). */
void upstreams_close_idle(struct upstreams *upstreams);
