/* Series handles of one worker: a direct-mapped cache over (route, method, status, failure). A slot
 * taken over by other values gives its handle back, so a reload cannot pile up handles. */
#include "proxy/series.h"

#include "base/ensure.h"
#include "base/hash.h"
#include "proxy/exchange.h"

#include <stdio.h>
#include <stdlib.h>

#define SLOTS 512

static const struct metric_definition definitions[] = {
    { METRIC_HISTOGRAM,
      "http_server_request_duration_seconds",
      "Time from the first byte of a request to the last byte of its response.",
      { "http_request_method", "http_response_status_code", "http_route", "error_type" },
      0 },
    { METRIC_HISTOGRAM,
      "http_client_request_duration_seconds",
      "Time spent waiting for backends, all attempts of an exchange.",
      { "server_address", "http_response_status_code" },
      0 },
    { METRIC_GAUGE, "http_server_active_requests", "Exchanges under way.", { NULL }, 0 },
    { METRIC_GAUGE, "weft_server_open_connections", "Client connections open.", { NULL }, 0 },
    { METRIC_COUNTER,
      "http_server_request_body_bytes_total",
      "Bytes of request bodies.",
      { "http_route" },
      0 },
    { METRIC_COUNTER,
      "http_server_response_body_bytes_total",
      "Bytes of response bodies.",
      { "http_route" },
      0 },
    { METRIC_COUNTER,
      "weft_retries_total",
      "Attempts beyond the first of an exchange.",
      { "server_address" },
      0 },
    { METRIC_COUNTER,
      "weft_mirrors_total",
      "Mirrored requests by how they ended.",
      { "outcome" },
      0 },
};

struct proxy_metrics *proxy_metrics_new(struct metrics *metrics)
{
    struct proxy_metrics *proxy = calloc(1, sizeof(*proxy));
    ensure(proxy != NULL);
    struct metric_family **families[] = {
        &proxy->server_duration, &proxy->client_duration, &proxy->server_active,
        &proxy->server_connections, &proxy->request_bytes, &proxy->response_bytes,
        &proxy->retries, &proxy->mirrors,
    };
    for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
        *families[i] = metric_register(metrics, &definitions[i]);
    }
    return proxy;
}

void proxy_metrics_free(struct proxy_metrics *metrics)
{
    free(metrics);
}

struct slot {
    uint64_t key; /* 0: free */
    struct metric_series *server;
    struct metric_series *client;
    struct metric_series *request_bytes;
    struct metric_series *response_bytes;
    struct metric_series *retries;
};

struct series_cache {
    struct proxy_metrics *metrics;
    unsigned worker;
    struct metric_series *active;
    struct metric_series *connections;
    struct metric_series *mirrors[MIRROR_OUTCOMES];
    struct slot slots[SLOTS];
};

struct series_cache *series_cache_new(struct proxy_metrics *metrics, unsigned worker)
{
    struct series_cache *cache = calloc(1, sizeof(*cache));
    ensure(cache != NULL);
    cache->metrics = metrics;
    cache->worker = worker;
    if (metrics) {
        cache->active = metric_take(metrics->server_active, worker, NULL);
        cache->connections = metric_take(metrics->server_connections, worker, NULL);
    }
    return cache;
}

static void empty_slot(struct slot *slot)
{
    metric_give(slot->server);
    metric_give(slot->client);
    metric_give(slot->request_bytes);
    metric_give(slot->response_bytes);
    metric_give(slot->retries);
    *slot = (struct slot){ 0 };
}

void series_cache_free(struct series_cache *cache)
{
    for (unsigned i = 0; i < SLOTS; i++) {
        empty_slot(&cache->slots[i]);
    }
    metric_give(cache->active);
    metric_give(cache->connections);
    for (unsigned i = 0; i < MIRROR_OUTCOMES; i++) {
        metric_give(cache->mirrors[i]);
    }
    free(cache);
}

static const char *const method_names[] = {
    [METHOD_OTHER] = "_OTHER", [METHOD_GET] = "GET",         [METHOD_HEAD] = "HEAD",
    [METHOD_POST] = "POST",    [METHOD_PUT] = "PUT",         [METHOD_DELETE] = "DELETE",
    [METHOD_PATCH] = "PATCH",  [METHOD_OPTIONS] = "OPTIONS", [METHOD_CONNECT] = "CONNECT",
    [METHOD_TRACE] = "TRACE",
};

static uint64_t mix(uint64_t a)
{
    a ^= a >> 33;
    a *= 0xff51afd7ed558ccdu;
    a ^= a >> 33;
    return a;
}

static void fill_slot(struct series_cache *cache, struct slot *slot,
                      const struct exchange *exchange)
{
    struct proxy_metrics *metrics = cache->metrics;
    char status[8];
    char upstream[8];
    struct text route = exchange->route ? exchange->route->key : TEXT("");
    struct text backend = exchange->target ? exchange->target->cluster_name : TEXT("");
    struct text status_text =
        text_of(status, (size_t)snprintf(status, sizeof(status), "%u", exchange->status));
    struct text reason = text_from_string(failure_row((enum failure)exchange->failure)->reason);
    const struct text server[] = { text_from_string(method_names[exchange->request.method_id]),
                                   status_text, route, reason };
    slot->server = metric_take(metrics->server_duration, cache->worker, server);
    slot->request_bytes = metric_take(metrics->request_bytes, cache->worker, &route);
    slot->response_bytes = metric_take(metrics->response_bytes, cache->worker, &route);
    if (exchange->attempts > 0) {
        const struct text client[] = {
            backend, text_of(upstream, (size_t)snprintf(upstream, sizeof(upstream), "%u",
                                                        exchange->upstream_status)) };
        slot->client = metric_take(metrics->client_duration, cache->worker, client);
        slot->retries = metric_take(metrics->retries, cache->worker, &backend);
    }
}

void series_count_exchange(struct series_cache *cache, const struct exchange *exchange,
                           uint64_t total_ns)
{
    if (cache->metrics == NULL) {
        return;
    }
    /* Addresses may be reused by a later plan, so its generation is part of the key. */
    uint64_t generation = exchange->plan ? exchange->plan->plan->generation : 0;
    uint64_t key = mix((uintptr_t)exchange->route ^ mix(generation)) ^
                   mix((uintptr_t)exchange->target + 1) ^
                   mix(((uint64_t)exchange->status << 48) |
                       ((uint64_t)exchange->upstream_status << 32) |
                       ((uint64_t)exchange->failure << 16) |
                       ((uint64_t)exchange->request.method_id << 8) | (exchange->attempts > 0));
    key |= 1;
    struct slot *slot = &cache->slots[(key >> 8) % SLOTS];
    if (slot->key != key) {
        empty_slot(slot);
        slot->key = key;
        fill_slot(cache, slot, exchange);
    }
    histogram_observe(slot->server, total_ns);
    metric_add(slot->request_bytes, (int64_t)exchange->request_body_bytes);
    metric_add(slot->response_bytes, (int64_t)exchange->response_body_bytes);
    if (slot->client) {
        histogram_observe(slot->client, exchange->upstream_ns);
        metric_add(slot->retries, (int64_t)exchange->attempts - 1);
    }
}

void series_count_mirror(struct series_cache *cache, enum mirror_outcome outcome)
{
    static const char *const names[MIRROR_OUTCOMES] = {
        [MIRROR_DONE] = "done",           [MIRROR_FAILED] = "failed",
        [MIRROR_LAGGED] = "lagged",       [MIRROR_TIMED_OUT] = "timed_out",
        [MIRROR_NOT_STARTED] = "not_started",
    };
    if (cache->metrics == NULL) {
        return;
    }
    if (cache->mirrors[outcome] == NULL) {
        struct text name = text_from_string(names[outcome]);
        cache->mirrors[outcome] = metric_take(cache->metrics->mirrors, cache->worker, &name);
    }
    metric_add(cache->mirrors[outcome], 1);
}

void series_set_open(struct series_cache *cache, uint32_t connections, uint32_t exchanges)
{
    if (cache->metrics) {
        metric_set(cache->connections, connections);
        metric_set(cache->active, exchanges);
    }
}
