#include "base/clock.h"

#include <time.h>

#include "base/require.h"

static uint64_t read_clock(clockid_t id)
{
    struct timespec t;
    int rv = clock_gettime(id, &t);
    require(rv == 0);
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static uint64_t system_monotonic_ns(void *ctx)
{
    (void)ctx;
    return read_clock(CLOCK_MONOTONIC);
}

static uint64_t system_wall_ns(void *ctx)
{
    (void)ctx;
    return read_clock(CLOCK_REALTIME);
}

struct clock clock_system(void)
{
    return (struct clock){NULL, system_monotonic_ns, system_wall_ns};
}
