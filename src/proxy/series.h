/* The proxy's metrics: families registered once per process, and per worker a small cache of series
 * handles so that counting an exchange costs a few stores. */
#pragma once

#include "base/metric.h"
#include "http/head.h"

struct exchange;

struct proxy_metrics {
    struct metric_family *server_duration; /* method, status, route, reason */
    struct metric_family *client_duration; /* backend, status */
    struct metric_family *server_active;
    struct metric_family *server_connections;
    struct metric_family *request_bytes;   /* route */
    struct metric_family *response_bytes;  /* route */
    struct metric_family *retries;         /* backend, kind */
    struct metric_family *mirrors;         /* outcome */
};

/* Registers all families; lives as long as the registry. */
struct proxy_metrics *proxy_metrics_new(struct metrics *metrics);
void proxy_metrics_free(struct proxy_metrics *metrics);

enum mirror_outcome {
    MIRROR_DONE,
    MIRROR_FAILED,
    MIRROR_LAGGED,
    MIRROR_TIMED_OUT,
    MIRROR_NOT_STARTED,
    MIRROR_OUTCOMES,
};

struct series_cache;

/* metrics NULL: nothing is counted. */
struct series_cache *series_cache_new(struct proxy_metrics *metrics, unsigned worker);
void series_cache_free(struct series_cache *cache);
/* An ended exchange. */
void series_count_exchange(struct series_cache *cache, const struct exchange *exchange,
                           uint64_t total_ns);
void series_count_mirror(struct series_cache *cache, enum mirror_outcome outcome);
/* Connections and exchanges open now. */
void series_set_open(struct series_cache *cache, uint32_t connections, uint32_t exchanges);
