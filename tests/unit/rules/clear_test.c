/* The auction against what defines it: the greatest volume any one price could trade, at a price
 * nobody refuses, served by price and then by place in the list. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "rules/clear.h"
#include "tests/unit/rules/seed.h"

enum { ORDERS_MAX = 16, ROUNDS = 30000 };

struct book {
    struct clear_order orders[ORDERS_MAX];
    int128 shares[ORDERS_MAX];
    uint32_t scratch[ORDERS_MAX];
    size_t count;
};

static enum num_end run(struct book *bids, struct book *offers, struct clear_price *ret)
{
    struct clear_side b = {bids->orders, bids->count, bids->scratch, bids->shares};
    struct clear_side o = {offers->orders, offers->count, offers->scratch, offers->shares};
    return clear_auction(&b, &o, ret);
}

static void fill(struct book *book, struct seed *s)
{
    book->count = (size_t)seed_below(s, ORDERS_MAX + 1);
    for (size_t i = 0; i < book->count; i++) {
        book->orders[i].quantity = (int128)seed_below(s, 8); /* some are 0 */
        book->orders[i].price = (int128)seed_below(s, 12) - 4;
    }
}

static int128 sum_shares(const struct book *book)
{
    int128 sum = 0;
    for (size_t i = 0; i < book->count; i++) {
        assert_true(book->shares[i] >= 0);
        assert_true(book->shares[i] <= book->orders[i].quantity);
        sum += book->shares[i];
    }
    return sum;
}

/* What a side would trade at the price: bids at or above it, offers at or below. */
static int128 willing(const struct book *book, int128 price, int sign)
{
    int128 sum = 0;
    for (size_t i = 0; i < book->count; i++) {
        sum += (book->orders[i].price - price) * sign >= 0 ? book->orders[i].quantity : 0;
    }
    return sum;
}

static int128 greatest_volume(const struct book *bids, const struct book *offers)
{
    int128 best = 0;
    for (int price = -5; price <= 8; price++) {
        int128 b = willing(bids, price, 1), o = willing(offers, price, -1);
        int128 volume = b < o ? b : o;
        best = volume > best ? volume : best;
    }
    return best;
}

/* sign +1 for bids (a higher price is better), -1 for offers. */
static void check_side(const struct book *book, int128 price, int sign)
{
    for (size_t i = 0; i < book->count; i++) {
        int128 better = (book->orders[i].price - price) * sign;
        bool whole = book->shares[i] == book->orders[i].quantity;
        assert_true(better >= 0 || book->shares[i] == 0); /* the limit is kept */
        assert_true(better <= 0 || whole);                /* better than the price: filled */
        for (size_t j = i + 1; j < book->count; j++) {    /* equal prices: the earlier first */
            bool same = book->orders[j].price == book->orders[i].price;
            assert_true(!same || whole || book->shares[j] == 0);
        }
    }
}

static void auctions_obey_the_laws(void **state)
{
    (void)state;
    struct seed s = seed_start("clear");
    int traded = 0;
    for (int round = 0; round < ROUNDS; round++) {
        struct book bids = {0}, offers = {0};
        struct clear_price p;
        fill(&bids, &s);
        fill(&offers, &s);
        assert_int_equal(run(&bids, &offers, &p), NUM_OK);
        int128 bought = sum_shares(&bids);
        assert_true(bought == sum_shares(&offers));
        assert_true(bought == greatest_volume(&bids, &offers));
        assert_int_equal(p.traded, bought > 0);
        if (!p.traded) {
            continue;
        }
        traded++;
        int128 twice = p.least + p.greatest;
        assert_true(2 * p.price <= twice && twice < 2 * p.price + 2); /* the middle, rounded down */
        check_side(&bids, p.price, 1);
        check_side(&offers, p.price, -1);
        check_side(&bids, p.least, 1); /* every price of the interval clears */
        check_side(&offers, p.least, -1);
        check_side(&bids, p.greatest, 1);
        check_side(&offers, p.greatest, -1);
    }
    assert_true(traded > ROUNDS / 4);
}

static void a_quantity_below_zero_is_refused(void **state)
{
    (void)state;
    struct book bids = {.orders = {{5, 1}, {-1, 1}}, .count = 2}, offers = {0};
    struct clear_price p = {.price = 7};
    assert_int_equal(run(&bids, &offers, &p), NUM_NEGATIVE);
    assert_int_equal(run(&offers, &bids, &p), NUM_NEGATIVE);
    assert_true(p.price == 7);
}

static void the_middle_of_extreme_prices_does_not_wrap(void **state)
{
    (void)state;
    struct book bids = {.orders = {{INT128_MAX, INT128_MAX}}, .count = 1};
    struct book offers = {.orders = {{INT128_MAX, INT128_MIN}}, .count = 1};
    struct clear_price p;
    assert_int_equal(run(&bids, &offers, &p), NUM_OK);
    assert_true(p.traded);
    assert_true(p.price == -1); /* floor(-1 / 2) */
    assert_true(bids.shares[0] == INT128_MAX && offers.shares[0] == INT128_MAX);
}

static void nothing_trades_without_two_sides_that_meet(void **state)
{
    (void)state;
    struct book bids = {.orders = {{5, 10}, {0, 99}}, .count = 2};
    struct book offers = {.orders = {{5, 11}, {0, 1}}, .count = 2}, none = {0};
    struct clear_price p;
    assert_int_equal(run(&bids, &offers, &p), NUM_OK);
    assert_false(p.traded);
    assert_int_equal(run(&bids, &none, &p), NUM_OK);
    assert_false(p.traded);
    assert_int_equal(run(&none, &none, &p), NUM_OK);
    assert_false(p.traded);
    assert_true(bids.shares[0] == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(auctions_obey_the_laws),
        cmocka_unit_test(a_quantity_below_zero_is_refused),
        cmocka_unit_test(the_middle_of_extreme_prices_does_not_wrap),
        cmocka_unit_test(nothing_trades_without_two_sides_that_meet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
