/* A worker's clusters: creation on first use, following the plan, life of endpoints. */
#include "upstream/cluster.h"

#include "base/ensure.h"

#include <stdlib.h>

#define IDLE_LIMIT 1024

void upstreams_init(struct upstreams *upstreams, struct loop *loop)
{
    *upstreams = (struct upstreams){ .loop = loop, .idle_limit = IDLE_LIMIT };
    random_init_system(&upstreams->random);
    list_init(&upstreams->closed);
    slab_init(&upstreams->connections, sizeof(struct connection), 0);
}

static struct endpoint *endpoint_new(struct cluster *cluster, const struct endpoint_config *config)
{
    struct endpoint *endpoint = calloc(1, sizeof(*endpoint) + config->text.size + 1);
    ensure(endpoint != NULL);
    char *text = (char *)(endpoint + 1);
    memcpy(text, config->text.at, config->text.size);
    endpoint->address = config->address;
    endpoint->text = text_of(text, config->text.size);
    endpoint->cluster = cluster;
    list_init(&endpoint->idle);
    return endpoint;
}

static void close_idle(struct endpoint *endpoint)
{
    while (!list_is_empty(&endpoint->idle)) {
        pool_close(list_owner(endpoint->idle.next, struct connection, link), false);
    }
}

void endpoint_use(struct endpoint *endpoint)
{
    endpoint->active++;
}

void endpoint_release(struct endpoint *endpoint)
{
    ensure(endpoint->active > 0);
    endpoint->active--;
    if (endpoint->removed && endpoint->connections == 0 && endpoint->active == 0) {
        free(endpoint);
    }
}

/* Takes an endpoint out of service; it is freed with its last connection. */
static void endpoint_retire(struct endpoint *endpoint)
{
    endpoint->active++; /* held while its idle connections close */
    endpoint->removed = true;
    close_idle(endpoint);
    endpoint_release(endpoint);
}

/* The endpoint with this address among the old ones, taken out of their list. */
static struct endpoint *take_old(struct endpoint **old, uint32_t count, uint32_t *hint,
                                 const struct address *address)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = (*hint + i) % count;
        if (old[at] && address_equal(&old[at]->address, address)) {
            struct endpoint *found = old[at];
            old[at] = NULL;
            *hint = at + 1;
            return found;
        }
    }
    return NULL;
}

static void cluster_configure(struct cluster *cluster, struct cluster_config *config)
{
    uint32_t old_count = cluster->endpoint_count + cluster->other_count;
    struct endpoint **old = calloc(old_count + 1, sizeof(*old));
    struct endpoint **fresh = calloc(config->endpoint_count + 1, sizeof(*fresh));
    ensure(old != NULL && fresh != NULL);
    if (old_count > 0) {
        memcpy(old, cluster->endpoints, old_count * sizeof(*old));
    }
    uint32_t hint = 0;
    cluster->equal_weights = true;
    for (uint32_t i = 0; i < config->endpoint_count; i++) {
        const struct endpoint_config *wanted = &config->endpoints[i];
        struct endpoint *endpoint =
            old_count ? take_old(old, old_count, &hint, &wanted->address) : NULL;
        fresh[i] = endpoint ? endpoint : endpoint_new(cluster, wanted);
        fresh[i]->weight = wanted->weight ? wanted->weight : 1;
        fresh[i]->affinity = wanted->affinity;
        if (fresh[i]->weight != fresh[0]->weight) {
            cluster->equal_weights = false;
        }
    }
    free(cluster->endpoints);
    cluster->endpoints = fresh;
    cluster->endpoint_count = config->healthy_count;
    cluster->others = fresh + config->healthy_count;
    cluster->other_count = config->endpoint_count - config->healthy_count;
    for (uint32_t i = 0; i < old_count; i++) {
        if (old[i]) {
            endpoint_retire(old[i]);
        }
    }
    free(old);
    cluster_config_ref(config);
    if (cluster->config) {
        cluster_config_unref(cluster->config);
    }
    cluster->config = config;
}

/* No longer in the plan: endpoints are retired. The struct itself stays until the worker ends, so
 * that exchanges of older plans which still point to it are safe. */
static void cluster_retire(struct cluster *cluster)
{
    uint32_t count = cluster->endpoint_count + cluster->other_count;
    for (uint32_t i = 0; i < count; i++) {
        endpoint_retire(cluster->endpoints[i]);
    }
    free(cluster->endpoints);
    cluster->endpoints = NULL;
    cluster->others = NULL;
    cluster->endpoint_count = 0;
    cluster->other_count = 0;
    if (cluster->config) {
        cluster_config_unref(cluster->config);
        cluster->config = NULL;
    }
}

void upstreams_fini(struct upstreams *upstreams)
{
    for (uint32_t id = 0; id < upstreams->id_limit; id++) {
        if (upstreams->by_id[id]) {
            cluster_retire(upstreams->by_id[id]);
            free(upstreams->by_id[id]);
        }
    }
    free(upstreams->by_id);
    upstreams_reap(upstreams);
    slab_fini(&upstreams->connections);
}

void upstreams_apply(struct upstreams *upstreams, struct cluster_config **by_id, uint32_t id_limit)
{
    for (uint32_t id = 0; id < upstreams->id_limit; id++) {
        struct cluster *cluster = upstreams->by_id[id];
        if (cluster == NULL) {
            continue;
        }
        struct cluster_config *config = id < id_limit ? by_id[id] : NULL;
        if (config == NULL) {
            cluster_retire(cluster);
        } else if (config != cluster->config) {
            cluster_configure(cluster, config);
        }
    }
}

static void grow_table(struct upstreams *upstreams, uint32_t id)
{
    uint32_t limit = upstreams->id_limit ? upstreams->id_limit : 16;
    while (limit <= id) {
        limit *= 2;
    }
    struct cluster **table = realloc(upstreams->by_id, limit * sizeof(*table));
    ensure(table != NULL);
    memset(table + upstreams->id_limit, 0, (limit - upstreams->id_limit) * sizeof(*table));
    upstreams->by_id = table;
    upstreams->id_limit = limit;
}

struct cluster *upstreams_cluster(struct upstreams *upstreams, struct cluster_config *config)
{
    uint32_t id = config->id;
    if (id >= upstreams->id_limit) {
        grow_table(upstreams, id);
    }
    struct cluster *cluster = upstreams->by_id[id];
    if (cluster == NULL) {
        cluster = calloc(1, sizeof(*cluster));
        ensure(cluster != NULL);
        cluster->upstreams = upstreams;
        cluster->next = (uint32_t)random_next(&upstreams->random);
        upstreams->by_id[id] = cluster;
    }
    if (cluster->config == NULL) {
        cluster_configure(cluster, config);
    }
    return cluster;
}

struct endpoint *cluster_find_affinity(struct cluster *cluster, uint64_t affinity)
{
    uint32_t count = cluster->endpoint_count + cluster->other_count;
    for (uint32_t i = 0; i < count; i++) {
        if (cluster->endpoints[i]->affinity == affinity) {
            return cluster->endpoints[i];
        }
    }
    return NULL;
}

void upstreams_close_idle(struct upstreams *upstreams)
{
    for (uint32_t id = 0; id < upstreams->id_limit; id++) {
        struct cluster *cluster = upstreams->by_id[id];
        uint32_t count = cluster ? cluster->endpoint_count + cluster->other_count : 0;
        for (uint32_t i = 0; i < count; i++) {
            close_idle(cluster->endpoints[i]);
        }
    }
}
