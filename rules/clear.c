/* The double auction (section 7.2), without the language. */
#include "rules/clear.h"

#include "base/require.h"
#include "rules/order.h"

/* Higher price first, then the earlier order. */
static bool bid_before(const void *ctx, uint32_t a, uint32_t b)
{
    const struct clear_order *orders = ctx;
    return orders[a].price != orders[b].price ? orders[a].price > orders[b].price : a < b;
}

/* Lower price first, then the earlier order. */
static bool offer_before(const void *ctx, uint32_t a, uint32_t b)
{
    const struct clear_order *orders = ctx;
    return orders[a].price != orders[b].price ? orders[a].price < orders[b].price : a < b;
}

static bool has_negative(const struct clear_side *side)
{
    require(side->count <= UINT32_MAX);
    require(side->count == 0 || (side->orders != NULL && side->ret_shares != NULL));
    for (size_t i = 0; i < side->count; i++) {
        if (side->orders[i].quantity < 0) {
            return true;
        }
    }
    return false;
}

/* One side being walked: its orders by price, the first of them not completely served. */
struct walk {
    const struct clear_side *side;
    struct order order;
};

/* Drops what is completely served, which orders of quantity 0 are from the start. */
static void skip_served(struct walk *w)
{
    while (w->order.count > 0) {
        uint32_t i = order_first(&w->order);
        if (w->side->ret_shares[i] < w->side->orders[i].quantity) {
            break;
        }
        (void)order_pop(&w->order);
    }
}

static struct walk walk_start(const struct clear_side *side,
                              bool (*before)(const void *ctx, uint32_t a, uint32_t b))
{
    struct walk w = {side, {side->scratch, side->count, side->orders, before}};
    for (size_t i = 0; i < side->count; i++) {
        side->ret_shares[i] = 0;
    }
    order_build(&w.order);
    skip_served(&w);
    return w;
}

static bool walk_open(const struct walk *w)
{
    return w->order.count > 0;
}

static int128 walk_price(const struct walk *w)
{
    return w->side->orders[order_first(&w->order)].price;
}

static int128 walk_rest(const struct walk *w)
{
    uint32_t i = order_first(&w->order);
    return w->side->orders[i].quantity - w->side->ret_shares[i];
}

static void walk_serve(struct walk *w, int128 quantity)
{
    uint32_t i = order_first(&w->order);
    require(quantity > 0);
    w->side->ret_shares[i] += quantity;
    require(w->side->ret_shares[i] <= w->side->orders[i].quantity);
    skip_served(w);
}

enum num_end clear_auction(const struct clear_side *bids, const struct clear_side *offers,
                           struct clear_price *ret)
{
    require(ret != NULL);
    if (has_negative(bids) || has_negative(offers)) {
        return NUM_NEGATIVE;
    }
    struct walk b = walk_start(bids, bid_before);
    struct walk o = walk_start(offers, offer_before);
    struct clear_price p = {.traded = false};
    while (walk_open(&b) && walk_open(&o) && walk_price(&b) >= walk_price(&o)) {
        p.traded = true;
        p.greatest = walk_price(&b); /* the last matched bid and offer bound the price ... */
        p.least = walk_price(&o);
        int128 bid_rest = walk_rest(&b), offer_rest = walk_rest(&o);
        int128 quantity = bid_rest < offer_rest ? bid_rest : offer_rest;
        walk_serve(&b, quantity);
        walk_serve(&o, quantity);
    }
    if (p.traded) { /* ... and so do the first bid and offer that want more */
        if (walk_open(&b) && walk_price(&b) > p.least) {
            p.least = walk_price(&b);
        }
        if (walk_open(&o) && walk_price(&o) < p.greatest) {
            p.greatest = walk_price(&o);
        }
        require(p.least <= p.greatest);
        /* floor((least + greatest) / 2); the difference fits unsigned where the sum may not. */
        uint128 width = (uint128)p.greatest - (uint128)p.least;
        p.price = (int128)((uint128)p.least + width / 2);
    }
    *ret = p;
    return NUM_OK;
}
