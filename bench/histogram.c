#include "bench/histogram.h"

#include <stddef.h>

#include "base/require.h"

enum { SUB = 1 << HISTOGRAM_SUB_BITS };

/* Values below 64 have a bucket each; from there on 64 buckets for each power of two. */
static size_t bucket_of(uint64_t ns)
{
    if (ns < SUB) {
        return (size_t)ns;
    }
    unsigned shift = 63U - (unsigned)__builtin_clzll(ns) - HISTOGRAM_SUB_BITS;
    return ((size_t)(shift + 1) << HISTOGRAM_SUB_BITS) + (size_t)((ns >> shift) - SUB);
}

/* The greatest value of a bucket. */
static uint64_t bucket_end(size_t index)
{
    if (index < SUB) {
        return index;
    }
    unsigned shift = (unsigned)(index >> HISTOGRAM_SUB_BITS) - 1;
    uint64_t first = ((uint64_t)(index & (SUB - 1)) + SUB) << shift;
    return first + ((UINT64_C(1) << shift) - 1);
}

void histogram_add(struct histogram *h, uint64_t ns)
{
    size_t index = bucket_of(ns);
    require(index < HISTOGRAM_BUCKETS);
    require(bucket_end(index) >= ns);
    h->counts[index]++;
    h->count++;
    h->sum_ns += ns;
    h->max_ns = ns > h->max_ns ? ns : h->max_ns;
}

uint64_t histogram_at(const struct histogram *h, uint32_t per_mille)
{
    require(per_mille <= 1000);
    uint64_t wanted = (h->count * per_mille + 999) / 1000;
    uint64_t seen = 0;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += h->counts[i];
        if (seen >= wanted && seen > 0) {
            uint64_t end = bucket_end(i);
            return end < h->max_ns ? end : h->max_ns;
        }
    }
    return 0;
}
