/* Largest remainders (section 7.1), without the language. */
#include "rules/apportion.h"

#include "base/require.h"
#include "rules/order.h"

/* Larger remainder first, then the earlier item. */
static bool larger_remainder(const void *ctx, uint32_t a, uint32_t b)
{
    const uint128 *remainders = ctx;
    return remainders[a] != remainders[b] ? remainders[a] > remainders[b] : a < b;
}

/* Quotient and remainder; the 64-bit case, which is nearly every one, is several times faster. */
static uint128 divide(uint128 a, uint128 b, uint128 *ret_rest)
{
    require(b != 0);
    uint128 q;
    if (a <= UINT64_MAX && b <= UINT64_MAX) {
        q = (uint64_t)a / (uint64_t)b;
    } else {
        q = a / b;
    }
    *ret_rest = a - q * b;
    return q;
}

/* NEGATIVE before OVERFLOW, over all weights. */
static enum num_end sum_weights(const int128 *weights, size_t count, int128 *ret_sum,
                                int128 *ret_greatest)
{
    int128 sum = 0, greatest = 0;
    bool overflow = false;
    for (size_t i = 0; i < count; i++) {
        if (weights[i] < 0) {
            return NUM_NEGATIVE;
        }
        overflow = overflow || num_add(sum, weights[i], &sum) != NUM_OK;
        greatest = weights[i] > greatest ? weights[i] : greatest;
    }
    if (overflow) {
        return NUM_OVERFLOW;
    }
    *ret_sum = sum;
    *ret_greatest = greatest;
    return NUM_OK;
}

/* The floors; returns how many units they leave over. */
static int128 share_floors(int128 total, int128 sum, const int128 *weights, size_t count,
                           struct apportion_scratch scratch, int128 *shares)
{
    int128 left = total;
    for (size_t i = 0; i < count; i++) {
        uint128 product = (uint128)total * (uint128)weights[i]; /* fits: checked for the greatest */
        shares[i] = (int128)divide(product, (uint128)sum, &scratch.remainders[i]);
        left -= shares[i];
    }
    require(left >= 0);
    require(count == 0 || left < (int128)count);
    return left;
}

enum num_end apportion(int128 total, const int128 *weights, size_t count,
                       struct apportion_scratch scratch, int128 *ret_shares)
{
    require(count <= UINT32_MAX);
    require(count == 0 || (weights != NULL && ret_shares != NULL && weights != ret_shares));
    require(count == 0 || (scratch.remainders != NULL && scratch.heap != NULL));
    if (total < 0) {
        return NUM_NEGATIVE;
    }
    int128 sum, greatest, product;
    enum num_end end = sum_weights(weights, count, &sum, &greatest);
    if (end != NUM_OK) {
        return end;
    }
    if (total > 0 && sum == 0) {
        return NUM_WEIGHTS;
    }
    if (num_mul(total, greatest, &product) != NUM_OK) {
        return NUM_OVERFLOW;
    }
    if (total == 0) {
        for (size_t i = 0; i < count; i++) {
            ret_shares[i] = 0;
        }
        return NUM_OK;
    }
    int128 left = share_floors(total, sum, weights, count, scratch, ret_shares);
    if (left == 0) {
        return NUM_OK;
    }
    struct order order = {scratch.heap, count, scratch.remainders, larger_remainder};
    order_build(&order);
    for (; left > 0; left--) {
        uint32_t i = order_pop(&order);
        require(scratch.remainders[i] > 0); /* so weight 0 gets 0 and nobody gains a whole unit */
        ret_shares[i]++;
    }
    return NUM_OK;
}
