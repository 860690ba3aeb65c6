/* A histogram of times in ns with logarithmic buckets: each is 1/64 of its power of two wide, so a
 * percentile read from it is at most 1.6 % too high, whatever its size, in fixed memory. */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdint.h>

enum {
    HISTOGRAM_SUB_BITS = 6,
    HISTOGRAM_BUCKETS = (64 - HISTOGRAM_SUB_BITS + 1) << HISTOGRAM_SUB_BITS
};

/* Embedded by its owner; all zero is an empty one. */
struct histogram {
    uint64_t counts[HISTOGRAM_BUCKETS];
    uint64_t count, sum_ns, max_ns;
};

/* Counts one time. */
void histogram_add(struct histogram *h, uint64_t ns);

/* The time that at least per_mille of 1000 do not exceed (upper end of its bucket, at most max_ns);
 * 0 when empty. */
uint64_t histogram_at(const struct histogram *h, uint32_t per_mille);

#endif
