/* A uniform-price double auction: who buys and sells how much, and at which one price.
 *
 * Bids are served by falling price, offers by rising price, equal prices in list order, while the
 * bid's price is not below the offer's. With lb, lo the last matched prices and nb, no the prices
 * of the first bid and offer not completely served, every price in [max(lo, nb), min(lb, no)]
 * clears this volume; the price is its middle, rounded down. Invariants: bought = sold; no buyer
 * pays more and no seller gets less than its limit. Usable without the language. Pure; any thread.
 */
#ifndef RULES_CLEAR_H
#define RULES_CLEAR_H

#include <stddef.h>

#include "rules/num.h"

/* One order, in quanta of the market's measures. Quantity 0 takes no part; a price may be < 0. */
struct clear_order {
    int128 quantity, price;
};

struct clear_side {
    const struct clear_order *orders; /* in list order, the time priority */
    size_t count;                     /* below 2^32 */
    uint32_t *scratch;                /* the caller's, count entries */
    int128 *ret_shares;               /* the caller's, count entries: what each order got */
};

struct clear_price {
    bool traded;            /* false: no price, all shares are zero */
    int128 price;           /* floor((least + greatest) / 2) */
    int128 least, greatest; /* the ends of the interval of clearing prices */
};

/* Clears the two sides. Writes both ret_shares and *ret on NUM_OK only. NEGATIVE if any quantity
 * is below zero. O(n) plus O(log n) per order served. */
enum num_end clear_auction(const struct clear_side *bids, const struct clear_side *offers,
                           struct clear_price *ret) NUM_MUST_USE;

#endif
