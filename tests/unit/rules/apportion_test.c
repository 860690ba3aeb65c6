/* Largest remainder: its laws on random input, its order of faults, its limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "rules/apportion.h"
#include "tests/unit/rules/seed.h"

enum { ITEMS_MAX = 10000, ROUNDS = 20000 };

static int128 weights[ITEMS_MAX], shares[ITEMS_MAX];
static uint128 remainders[ITEMS_MAX];
static uint32_t heap[ITEMS_MAX];

static enum num_end split(int128 total, size_t count)
{
    struct apportion_scratch scratch = {remainders, heap};
    return apportion(total, weights, count, scratch, shares);
}

/* |share - total * w / sum| < 1, in whole numbers; the products must fit. */
static void check_share(int128 total, int128 sum, size_t i)
{
    int128 error = shares[i] * sum - total * weights[i];
    assert_true(error < sum);
    assert_true(error > -sum);
    assert_true(shares[i] >= 0);
    assert_true(weights[i] != 0 || shares[i] == 0);
}

/* Whoever was rounded up has a larger remainder, or an equal one and an earlier place, than whoever
 * was rounded down: this fixes the result, given the sum. */
static void check_order(int128 total, int128 sum, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int128 ri = total * weights[i] % sum;
        bool up = shares[i] > total * weights[i] / sum;
        for (size_t j = 0; up && j < count; j++) {
            int128 rj = total * weights[j] % sum;
            bool j_up = shares[j] > total * weights[j] / sum;
            assert_true(j_up || ri > rj || (ri == rj && i < j));
        }
    }
}

static void shares_obey_the_laws(void **state)
{
    (void)state;
    struct seed s = seed_start("apportion");
    for (int round = 0; round < ROUNDS; round++) {
        size_t count = 1 + (size_t)seed_below(&s, 24);
        unsigned bits = round % 2 == 0 ? 4 : 55; /* small numbers make ties */
        int128 sum = 0, total = (int128)num_abs(seed_signed(&s, bits)), got = 0;
        for (size_t i = 0; i < count; i++) {
            bool zero = seed_below(&s, 4) == 0;
            weights[i] = zero ? 0 : (int128)num_abs(seed_signed(&s, bits));
            sum += weights[i];
        }
        enum num_end end = split(total, count);
        assert_int_equal(end, sum == 0 && total > 0 ? NUM_WEIGHTS : NUM_OK);
        if (end != NUM_OK || sum == 0) {
            continue;
        }
        for (size_t i = 0; i < count; i++) {
            check_share(total, sum, i);
            got += shares[i];
        }
        assert_true(got == total);
        check_order(total, sum, count);
    }
}

static void a_full_list_of_equals_gives_the_odd_units_to_the_first(void **state)
{
    (void)state;
    for (size_t i = 0; i < ITEMS_MAX; i++) {
        weights[i] = 3;
    }
    assert_int_equal(split(ITEMS_MAX * 7 + 1234, ITEMS_MAX), NUM_OK);
    for (size_t i = 0; i < ITEMS_MAX; i++) {
        assert_true(shares[i] == (i < 1234 ? 8 : 7));
    }
}

static void faults_come_in_their_order(void **state)
{
    (void)state;
    weights[0] = INT128_MAX;
    weights[1] = 1;
    weights[2] = -1;
    assert_int_equal(split(-1, 0), NUM_NEGATIVE);
    assert_int_equal(split(1, 3), NUM_NEGATIVE); /* before the overflow of the sum */
    assert_int_equal(split(0, 2), NUM_OVERFLOW); /* the sum, also when nothing is shared */
    weights[2] = 0;
    assert_int_equal(split(0, 3), NUM_OVERFLOW); /* and also when it overflowed earlier */
    assert_int_equal(split(1, 0), NUM_WEIGHTS);
    weights[0] = weights[1] = 0;
    assert_int_equal(split(1, 2), NUM_WEIGHTS);
    assert_int_equal(split(0, 2), NUM_OK);
    assert_int_equal(split(0, 0), NUM_OK);
    weights[0] = INT128_MAX / 2 + 1;
    assert_int_equal(split(2, 1), NUM_OVERFLOW); /* total * weight */
    shares[0] = 7;
    assert_int_equal(split(2, 1), NUM_OVERFLOW);
    assert_true(shares[0] == 7); /* written on success only */
}

static void numbers_of_128_bits_are_shared_exactly(void **state)
{
    (void)state;
    weights[0] = INT128_MAX - 2;
    weights[1] = 2;
    assert_int_equal(split(1, 2), NUM_OK);
    assert_true(shares[0] == 1 && shares[1] == 0);
    weights[0] = weights[1] = weights[2] = 1;
    assert_int_equal(split(INT128_MAX, 3), NUM_OK); /* 2^127 - 1 = 3 * q + 1 */
    assert_true(shares[0] == INT128_MAX / 3 + 1);
    assert_true(shares[1] == INT128_MAX / 3 && shares[2] == INT128_MAX / 3);
    assert_true(shares[0] + shares[1] + shares[2] == INT128_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shares_obey_the_laws),
        cmocka_unit_test(a_full_list_of_equals_gives_the_odd_units_to_the_first),
        cmocka_unit_test(faults_come_in_their_order),
        cmocka_unit_test(numbers_of_128_bits_are_shared_exactly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
