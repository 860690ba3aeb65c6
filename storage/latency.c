#include "storage/latency.h"

#include <stddef.h>

#include "base/require.h"

/* Durations below 4 ns have a step each; from there on the step is the octave and the two bits
 * behind the leading one. */
static uint64_t step_of(uint64_t ns)
{
    if (ns < 4) {
        return ns;
    }
    uint64_t octave = 63 - (uint64_t)__builtin_clzll(ns);
    return (octave - 1) * 4 + ((ns >> (octave - 2)) & 3);
}

/* The least duration of the next step, less one. */
static uint64_t step_last(uint64_t step)
{
    if (step < 4) {
        return step;
    }
    uint64_t octave = step / 4 + 1;
    uint64_t width = UINT64_C(1) << (octave - 2);
    return (4 + step % 4) * width + (width - 1);
}

void latency_add(struct latency *l, uint64_t ns)
{
    require(l != NULL);
    uint64_t step = step_of(ns);
    require(step < LATENCY_STEPS);
    l->counts[step]++;
    l->count++;
    if (ns > l->max_ns) {
        l->max_ns = ns;
    }
}

uint64_t latency_quantile(const struct latency *l, uint64_t permille)
{
    require(l != NULL);
    require(permille <= 1000);
    uint64_t want = (l->count * permille + 999) / 1000;
    uint64_t seen = 0;
    for (uint64_t step = 0; step < LATENCY_STEPS && want > 0; step++) {
        seen += l->counts[step];
        if (seen >= want) {
            uint64_t last = step_last(step);
            return last < l->max_ns ? last : l->max_ns;
        }
    }
    return 0;
}
