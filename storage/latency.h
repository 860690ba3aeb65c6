/* How long something took: a histogram with four steps an octave, so that a quantile is known
 * within a quarter. Plain data; the owner sees to it that one thread at a time uses it. */
#ifndef STORAGE_LATENCY_H
#define STORAGE_LATENCY_H

#include <stdint.h>

enum { LATENCY_STEPS = 256 };

struct latency {
    uint64_t counts[LATENCY_STEPS];
    uint64_t count, max_ns;
};

/* Counts one duration. */
void latency_add(struct latency *l, uint64_t ns);

/* An upper bound of what permille of a thousand do not exceed; 0 when nothing was counted. */
uint64_t latency_quantile(const struct latency *l, uint64_t permille);

#endif
