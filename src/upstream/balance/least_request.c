/* Power of two (or more) choices: of `choices` random endpoints the one with the fewest requests
 * under way for its weight. */
#include "upstream/balance/balance.h"

static bool is_less_loaded(const struct endpoint *a, const struct endpoint *b)
{
    return ((uint64_t)a->active + 1) * b->weight < ((uint64_t)b->active + 1) * a->weight;
}

static struct endpoint *pick(struct cluster *cluster)
{
    struct random *random = &cluster->upstreams->random;
    uint32_t count = cluster->endpoint_count;
    uint32_t first = random_below(random, count);
    struct endpoint *best = cluster->endpoints[first];
    for (uint32_t i = 1; i < cluster->config->choices; i++) {
        /* Another one than the first, so that two endpoints are always compared. */
        uint32_t at = (first + 1 + random_below(random, count - 1)) % count;
        if (is_less_loaded(cluster->endpoints[at], best)) {
            best = cluster->endpoints[at];
        }
    }
    return best;
}

const struct balance_type balance_least_request = { .name = "least_request", .pick = pick };
