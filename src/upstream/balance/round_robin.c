/* Weighted round robin: in turn where weights are equal, else the smooth form (each pick adds its
 * weight to everyone and takes the total off the chosen one), which spreads a heavy endpoint's
 * turns. */
#include "upstream/balance/balance.h"

static struct endpoint *pick(struct cluster *cluster)
{
    if (cluster->equal_weights) {
        return cluster->endpoints[cluster->next++ % cluster->endpoint_count];
    }
    struct endpoint *best = cluster->endpoints[0]; /* there is at least one */
    int64_t total = 0;
    for (uint32_t i = 0; i < cluster->endpoint_count; i++) {
        struct endpoint *endpoint = cluster->endpoints[i];
        endpoint->current_weight += endpoint->weight;
        total += endpoint->weight;
        if (endpoint->current_weight > best->current_weight) {
            best = endpoint;
        }
    }
    best->current_weight -= total;
    return best;
}

const struct balance_type balance_round_robin = { .name = "round_robin", .pick = pick };
