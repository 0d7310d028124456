/* Balancing: picks one of a cluster's healthy endpoints. One file an algorithm, one line in the
 * table of balance.c. */
#pragma once

#include "upstream/cluster.h"

struct balance_type {
    const char *name;
    /* endpoint_count is at least 1. */
    struct endpoint *(*pick)(struct cluster *cluster);
};

extern const struct balance_type balance_least_request;
extern const struct balance_type balance_round_robin;
extern const struct balance_type balance_random;
