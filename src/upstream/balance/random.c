/* A random endpoint, by weight. */
#include "upstream/balance/balance.h"

static struct endpoint *pick(struct cluster *cluster)
{
    struct random *random = &cluster->upstreams->random;
    if (cluster->equal_weights) {
        return cluster->endpoints[random_below(random, cluster->endpoint_count)];
    }
    uint64_t at = random_next(random) % cluster->config->total_weight;
    for (uint32_t i = 0; i < cluster->endpoint_count; i++) {
        if (at < cluster->endpoints[i]->weight) {
            return cluster->endpoints[i];
        }
        at -= cluster->endpoints[i]->weight;
    }
    return cluster->endpoints[cluster->endpoint_count - 1];
}

const struct balance_type balance_random = { .name = "random", .pick = pick };
