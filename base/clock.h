/* Time comes in from the edge: a struct of two functions, so that a whole cluster can run in
 * virtual time. Nothing at or under the ledger's apply is ever given one. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

#define NS_PER_US UINT64_C(1000)
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S UINT64_C(1000000000)

struct clock {
    void *ctx;
    uint64_t (*monotonic_ns)(void *ctx); /* never goes back */
    uint64_t (*wall_ns)(void *ctx);      /* Unix time; may jump */
};

/* The machine's clocks (CLOCK_MONOTONIC, CLOCK_REALTIME). Any thread. */
struct clock clock_system(void);

static inline uint64_t clock_monotonic_ns(const struct clock *c)
{
    return c->monotonic_ns(c->ctx);
}

static inline uint64_t clock_wall_ns(const struct clock *c)
{
    return c->wall_ns(c->ctx);
}

#endif
