/* Small fast random numbers for balancing, sampling and jitter; never for secrets. One generator
 * per worker. random_bytes is for secrets (getrandom). */
#pragma once

#include <stdint.h>
#include <stddef.h>

struct random {
    uint64_t state[2];
};

void random_init(struct random *random, uint64_t seed);
/* Seeded by the system. */
void random_init_system(struct random *random);
uint64_t random_next(struct random *random);
/* Uniform in [0, below); below must be at least 1. */
static inline uint32_t random_below(struct random *random, uint32_t below)
{
    return (uint32_t)(((random_next(random) >> 32) * (uint64_t)below) >> 32);
}
void random_bytes(void *out, size_t size);
