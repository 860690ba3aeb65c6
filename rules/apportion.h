/* Sharing a whole number exactly: largest remainder (Hamilton). Each share is the floor of
 * total * weight / sum; the missing units go one each to the largest remainders, ties to the
 * earlier item. Hence the shares sum to the total, each is less than one unit from the exact
 * value, and weight zero gets zero. Usable without the language. Pure; any thread. */
#ifndef RULES_APPORTION_H
#define RULES_APPORTION_H

#include <stddef.h>

#include "rules/num.h"

/* Working memory of the caller, `count` of each; its content means nothing before or after. */
struct apportion_scratch {
    uint128 *remainders;
    uint32_t *heap;
};

/* Shares total over count weights into ret_shares (count entries, not overlapping weights; written
 * on NUM_OK only). Checked in this order: NEGATIVE (the total or any weight), OVERFLOW of the sum
 * of weights (128 bits, also when the total is 0), total 0 gives zeros, WEIGHTS (sum 0), OVERFLOW
 * of total * weight (128 bits). count is below 2^32. O(n), plus O(log n) per missing unit. */
enum num_end apportion(int128 total, const int128 *weights, size_t count,
                       struct apportion_scratch scratch, int128 *ret_shares) NUM_MUST_USE;

#endif
