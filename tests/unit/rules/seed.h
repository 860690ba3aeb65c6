/* Random numbers for property tests: the seed is printed, and CONCORDAT_SEED repeats a run. */
#ifndef TESTS_UNIT_RULES_SEED_H
#define TESTS_UNIT_RULES_SEED_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "rules/num.h"

struct seed {
    uint64_t state;
};

static inline struct seed seed_start(const char *test)
{
    const char *given = getenv("CONCORDAT_SEED");
    uint64_t seed = given != NULL ? strtoull(given, NULL, 0) : (uint64_t)time(NULL);
    printf("%s: CONCORDAT_SEED=%llu\n", test, (unsigned long long)seed);
    return (struct seed){seed};
}

/* SplitMix64: an additive counter through a mixing function. */
static inline uint64_t seed_next(struct seed *s)
{
    uint64_t z = s->state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

/* 0 to bound - 1. */
static inline uint64_t seed_below(struct seed *s, uint64_t bound)
{
    return seed_next(s) % bound;
}

/* Any sign, at most `bits` bits, sizes spread evenly over the powers of two. */
static inline int128 seed_signed(struct seed *s, unsigned bits)
{
    uint128 v = (uint128)seed_next(s) << 64 | seed_next(s);
    v >>= 128 - (1 + seed_below(s, bits));
    return seed_next(s) % 2 == 0 ? (int128)v : -(int128)v;
}

#endif
