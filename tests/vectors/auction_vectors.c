/* Uniform-price auctions on the 15 cases of data/auction.json: the clearing is the product's; what
 * a contract would do around it (refusing, netting self trades, rationing pro rata, sharing cents)
 * is done here on top of the same numbers and apportionment. */
#include "tests/vectors/vectors.h"

#include <stdlib.h>
#include <string.h>

#include "rules/apportion.h"
#include "rules/clear.h"

enum { CASES = 15, ORDERS_MAX = 32 };

struct placed {
    const char *id, *party;
    int64_t quantity, price, seq;
    int128 share, cents;
};

/* One side in order of seq. */
struct side {
    struct placed orders[ORDERS_MAX];
    size_t count;
};

static int by_seq(const void *a, const void *b)
{
    const struct placed *x = a, *y = b;
    return (x->seq > y->seq) - (x->seq < y->seq);
}

static const char *refusal(const json_t *params, int64_t quantity, int64_t price)
{
    const json_t *floor = vectors_get(params, "floor"), *ceil = vectors_get(params, "ceil");
    if (quantity <= 0) {
        return "QTY";
    }
    bool low = json_is_integer(floor) && price < json_integer_value(floor);
    bool high = json_is_integer(ceil) && price > json_integer_value(ceil);
    return low || high ? "LIMIT" : NULL;
}

/* Sorts the orders into sides; returns the list of the refused. */
static json_t *read_orders(const json_t *one, struct side *bids, struct side *offers)
{
    json_t *refused = json_array(), *order;
    size_t i;
    json_array_foreach(vectors_get(one, "orders"), i, order)
    {
        struct placed p = {.id = vectors_text(order, "id"),
                           .party = vectors_text(order, "party"),
                           .quantity = vectors_int(order, "qty_mwh"),
                           .price = vectors_int(order, "price"),
                           .seq = vectors_int(order, "seq")};
        const char *why = refusal(vectors_get(one, "params"), p.quantity, p.price);
        if (why != NULL) {
            json_array_append_new(refused, json_pack("{s:s, s:s}", "order", p.id, "why", why));
            continue;
        }
        bool bid = strcmp(vectors_text(order, "side"), "bid") == 0;
        struct side *side = bid ? bids : offers;
        assert_true(side->count < ORDERS_MAX);
        side->orders[side->count++] = p;
    }
    qsort(bids->orders, bids->count, sizeof bids->orders[0], by_seq);
    qsort(offers->orders, offers->count, sizeof offers->orders[0], by_seq);
    return refused;
}

/* The party's open order with the best price, the earlier of equals; NULL if it has none. */
static struct placed *best_own(struct side *side, const char *party, int sign)
{
    struct placed *best = NULL;
    for (size_t i = 0; i < side->count; i++) {
        struct placed *p = &side->orders[i];
        if (p->quantity > 0 && strcmp(p->party, party) == 0 &&
            (best == NULL || (p->price - best->price) * sign > 0)) {
            best = p;
        }
    }
    return best;
}

/* Cancels each party's bids against its own offers while they cross; returns the pairs. */
static json_t *net_self_trades(struct side *bids, struct side *offers)
{
    json_t *pairs = json_array();
    for (size_t i = 0; i < bids->count; i++) {
        const char *party = bids->orders[i].party;
        struct placed *bid = best_own(bids, party, 1), *offer = best_own(offers, party, -1);
        while (bid != NULL && offer != NULL && bid->price >= offer->price) {
            int64_t q = bid->quantity < offer->quantity ? bid->quantity : offer->quantity;
            json_array_append_new(pairs,
                                  json_pack("{s:s, s:s, s:s, s:I}", "party", party, "bid", bid->id,
                                            "offer", offer->id, "qty_mwh", (json_int_t)q));
            bid->quantity -= q;
            offer->quantity -= q;
            bid = best_own(bids, party, 1);
            offer = best_own(offers, party, -1);
        }
    }
    return pairs;
}

static struct clear_price clear_sides(struct side *bids, struct side *offers)
{
    struct side *sides[2] = {bids, offers};
    struct clear_order orders[2][ORDERS_MAX];
    int128 shares[2][ORDERS_MAX];
    uint32_t scratch[2][ORDERS_MAX];
    struct clear_side in[2];
    for (size_t s = 0; s < 2; s++) {
        for (size_t i = 0; i < sides[s]->count; i++) {
            const struct placed *p = &sides[s]->orders[i];
            orders[s][i] = (struct clear_order){p->quantity, p->price};
        }
        in[s] = (struct clear_side){orders[s], sides[s]->count, scratch[s], shares[s]};
    }
    struct clear_price price;
    assert_int_equal(clear_auction(&in[0], &in[1], &price), NUM_OK);
    for (size_t s = 0; s < 2; s++) {
        for (size_t i = 0; i < sides[s]->count; i++) {
            sides[s]->orders[i].share = shares[s][i];
        }
    }
    return price;
}

static void share_out(int128 total, const int128 *weights, size_t count, int128 *ret)
{
    uint128 remainders[ORDERS_MAX];
    uint32_t heap[ORDERS_MAX];
    struct apportion_scratch scratch = {remainders, heap};
    assert_int_equal(apportion(total, weights, count, scratch, ret), NUM_OK);
}

/* Shares what each price group got over its quantities; only the marginal group changes. */
static void ration_pro_rata(struct side *side)
{
    for (size_t i = 0; i < side->count; i++) {
        int128 weights[ORDERS_MAX] = {0}, shares[ORDERS_MAX], volume = 0;
        for (size_t j = 0; j < side->count; j++) {
            if (side->orders[j].price == side->orders[i].price) {
                weights[j] = side->orders[j].quantity;
                volume += side->orders[j].share;
            }
        }
        share_out(volume, weights, side->count, shares);
        for (size_t j = 0; j < side->count; j++) {
            if (side->orders[j].price == side->orders[i].price) {
                side->orders[j].share = shares[j];
            }
        }
    }
}

static int128 share_cents(struct side *side, int128 total_cents)
{
    int128 weights[ORDERS_MAX], cents[ORDERS_MAX], volume = 0;
    for (size_t i = 0; i < side->count; i++) {
        weights[i] = side->orders[i].share;
        volume += weights[i];
    }
    share_out(total_cents, weights, side->count, cents);
    for (size_t i = 0; i < side->count; i++) {
        side->orders[i].cents = cents[i];
    }
    return volume;
}

static void put_fills(json_t *fills, const struct side *side, const char *name, int128 price)
{
    for (size_t i = 0; i < side->count; i++) {
        const struct placed *p = &side->orders[i];
        if (p->share > 0) {
            char exact[NUM_TEXT_MAX];
            num_print(p->share * price, exact);
            json_array_append_new(fills, json_pack("{s:s, s:s, s:s, s:o, s:s, s:o}", "order", p->id,
                                                   "party", p->party, "side", name, "qty_mwh",
                                                   vectors_integer(p->share), "exact_e11", exact,
                                                   "cents", vectors_integer(p->cents)));
        }
    }
}

static void auction_clears_as_expected(void **state)
{
    const json_t *one = *state, *params = vectors_get(one, "params");
    struct side bids = {0}, offers = {0};
    json_t *refused = read_orders(one, &bids, &offers);
    bool net = strcmp(vectors_text(params, "self_trade"), "net") == 0;
    json_t *netted = net ? net_self_trades(&bids, &offers) : json_array();
    struct clear_price p = clear_sides(&bids, &offers);
    if (strcmp(vectors_text(params, "ration"), "pro_rata") == 0 && p.traded) {
        ration_pro_rata(&bids);
        ration_pro_rata(&offers);
    }
    json_t *fills = json_array();
    json_t *got =
        json_pack("{s:o, s:o, s:o}", "netted", netted, "rejected", refused, "fills", fills);
    int128 volume = 0;
    if (p.traded) {
        int64_t cents = 0;
        for (size_t i = 0; i < bids.count; i++) {
            volume += bids.orders[i].share;
        }
        struct num_ratio exact = {volume * p.price, 1}, per_cent = {1, 1000000000};
        assert_int_equal(num_round(exact, per_cent, NUM_HALF_UP, &cents), NUM_OK);
        assert_true(share_cents(&bids, cents) == share_cents(&offers, cents));
        put_fills(fills, &bids, "bid", p.price);
        put_fills(fills, &offers, "offer", p.price);
        json_object_set_new(got, "pl", vectors_integer(p.least));
        json_object_set_new(got, "pu", vectors_integer(p.greatest));
        json_object_set_new(got, "total_cents", json_integer(cents));
    }
    json_object_set_new(got, "volume_mwh", vectors_integer(volume));
    json_object_set_new(got, "price", p.traded ? vectors_integer(p.price) : json_null());
    vectors_expect(got, vectors_get(one, "expect"));
}

int main(int argc, char **argv)
{
    return argc == 2 ? vectors_run_json(argv[1], CASES, auction_clears_as_expected) : 2;
}
