/* The table of balancing algorithms, and what all share: avoiding the endpoint just tried. */
#include "upstream/balance/balance.h"

static const struct balance_type *const types[] = {
    [BALANCE_LEAST_REQUEST] = &balance_least_request,
    [BALANCE_ROUND_ROBIN] = &balance_round_robin,
    [BALANCE_RANDOM] = &balance_random,
};

#define TRIES_TO_AVOID 4

struct endpoint *cluster_pick(struct cluster *cluster, const struct endpoint *avoid)
{
    if (cluster->endpoint_count == 0) {
        return NULL;
    }
    if (cluster->endpoint_count == 1) {
        return cluster->endpoints[0];
    }
    const struct balance_type *type = types[cluster->config->balance];
    struct endpoint *picked = type->pick(cluster);
    for (int i = 0; picked == avoid && i < TRIES_TO_AVOID; i++) {
        picked = type->pick(cluster);
    }
    if (picked == avoid) {
        uint32_t at = random_below(&cluster->upstreams->random, cluster->endpoint_count);
        picked = cluster->endpoints[at];
        if (picked == avoid) {
            picked = cluster->endpoints[(at + 1) % cluster->endpoint_count];
        }
    }
    return picked;
}
