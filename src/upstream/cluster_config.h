/* A compiled destination: what a Cluster and its ClusterLoadAssignment say, immutable, shared by
 * all workers, reference counted (atomic). Made by cluster_compile on the main thread; each worker
 * keeps its own struct cluster (pools, balancing) beside it, found by `id`. */
#pragma once

#include "base/arena.h"
#include "net/address.h"

#include <stdatomic.h>

enum endpoint_health { ENDPOINT_HEALTHY, ENDPOINT_DRAINING, ENDPOINT_UNHEALTHY };

struct endpoint_config {
    struct address address;
    struct text text;     /* "10.0.0.1:80" */
    struct text hostname; /* may be empty */
    uint32_t weight;      /* at least 1 */
    uint8_t health;       /* enum endpoint_health */
    uint64_t affinity;    /* stable key of this endpoint for session persistence */
};

enum balance_kind { BALANCE_LEAST_REQUEST, BALANCE_ROUND_ROBIN, BALANCE_RANDOM };

struct cluster_config {
    _Atomic uint32_t references;
    struct arena arena;
    uint32_t id;      /* stable for a name during the life of the process */
    struct text name; /* key */
    enum balance_kind balance;
    uint32_t choices; /* of least request, default 2 */
    uint32_t connect_timeout_ms;
    uint32_t idle_timeout_ms;
    uint32_t max_requests_per_connection; /* 0: no limit */
    bool http2;                           /* speaks HTTP/2 with prior knowledge */
    struct endpoint_config *endpoints;    /* sorted by address */
    uint32_t endpoint_count;
    uint32_t healthy_count; /* endpoints that new requests may go to are the first ones */
    uint64_t total_weight;  /* of the healthy ones */
    bool dns_failed;        /* a name that has never resolved */
};

struct cluster_config *cluster_config_ref(struct cluster_config *config);
void cluster_config_unref(struct cluster_config *config);

/* The id of a name, new or known; UINT32_MAX when CLUSTER_NAMES_MAX names have been seen. Main
 * thread. */
#define CLUSTER_NAMES_MAX 1000000u
uint32_t cluster_id_of(struct text name);
/* All ids are below. */
uint32_t cluster_id_limit(void);
