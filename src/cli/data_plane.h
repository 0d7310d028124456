/* The proxy half of a process: takes xDS in through an ADS client, compiles, binds listeners, feeds
 * plans to the workers. Main thread. */
#pragma once

#include "base/buffer.h"
#include "base/map.h"
#include "base/metric.h"
#include "base/ring.h"
#include "cli/options.h"
#include "cli/parent_link.h"
#include "net/loop.h"
#include "proxy/worker.h"
#include "xds/ads_client.h"

struct compiler;
struct plan;
struct proxy_metrics;
struct resolver;

struct data_plane {
    struct loop *loop;
    const struct run_options *options;
    struct parent_link *link;
    struct compiler *compiler;
    struct resolver *resolver;
    struct ads_client *client;
    struct plan *plan; /* current */
    struct map wanted;  /* "type name" of routes and endpoints asked for -> struct wanted_name */
    struct map sockets; /* listener name -> struct bound_listener */
    struct proxy_metrics *proxy_metrics;
    struct worker *workers[WORKERS_MAX];
    unsigned worker_count;
    struct timer rebind; /* tries again what could not be bound */
    uint64_t rebind_ms;  /* how long it waited last */
    uint64_t round;      /* of looking at which names are wanted */
    bool settled;        /* a first configuration is in force */
    int health_fd;       /* handed down and not listened to yet; -1: none */
    bool failing;        /* some listener could not be bound at the last try */
    bool draining;       /* nothing is bound any more */
    void *owner;
    void (*on_settled)(void *owner); /* after each configuration that came in force */
};

struct data_plane_parts {
    struct loop *loop;
    const struct run_options *options;
    struct parent_link *link;
    struct metrics *metrics;
    struct ring *const *access_rings; /* one a worker, or NULL */
    unsigned workers;
};

bool data_plane_start(struct data_plane *plane, const struct data_plane_parts *parts,
                      const struct ads_client_events *carrier, struct error *error);
/* Begins answering health checks; on a socket handed down by a parent only once this process is
 * ready, since until then the other one's word counts. False: the port cannot be bound. */
bool data_plane_listen_health(struct data_plane *plane, struct error *error);
void data_plane_set_ready(struct data_plane *plane, bool ready);
/* See worker_post_drain. From the first call on no listener is bound. */
void data_plane_drain(struct data_plane *plane, enum worker_drain how);
/* Fields of xDS resources that are ignored, with counts, a line each. */
void data_plane_write_unsupported(const struct data_plane *plane, struct buffer *out);
uint32_t data_plane_connections(const struct data_plane *plane);
/* Every worker has stopped accepting. */
bool data_plane_is_closed(const struct data_plane *plane);
void data_plane_stop(struct data_plane *plane);
