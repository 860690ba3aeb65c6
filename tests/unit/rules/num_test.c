/* Exact numbers: limits of every operation, all rounding modes against the definition of each, and
 * decimal text there and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "rules/num.h"
#include "tests/unit/rules/seed.h"

enum { RANDOM_ROUNDS = 200000 };

static void sums_stop_at_128_bits(void **state)
{
    (void)state;
    int128 r = 7;
    assert_int_equal(num_add(INT128_MAX, 1, &r), NUM_OVERFLOW);
    assert_int_equal(num_sub(INT128_MIN, 1, &r), NUM_OVERFLOW);
    assert_int_equal(num_mul(INT128_MIN, -1, &r), NUM_OVERFLOW);
    assert_int_equal(num_mul((int128)1 << 64, (int128)1 << 63, &r), NUM_OVERFLOW);
    assert_int_equal(num_neg(INT128_MIN, &r), NUM_OVERFLOW);
    assert_true(r == 7); /* written on success only */
    assert_int_equal(num_add(INT128_MAX, INT128_MIN, &r), NUM_OK);
    assert_true(r == -1);
    assert_int_equal(num_sub(INT128_MIN, INT128_MIN, &r), NUM_OK);
    assert_true(r == 0);
    assert_int_equal(num_mul((int128)1 << 64, -((int128)1 << 63), &r), NUM_OK);
    assert_true(r == INT128_MIN);
    assert_int_equal(num_mul(INT64_MIN, INT64_MIN, &r), NUM_OK);
    assert_true(r == (int128)1 << 126);
    assert_int_equal(num_neg(INT128_MAX, &r), NUM_OK);
    assert_true(r == INT128_MIN + 1);
}

static void ints_stop_at_64_bits(void **state)
{
    (void)state;
    int64_t r = 7;
    assert_int_equal(num_int_add(INT64_MAX, 1, &r), NUM_OVERFLOW);
    assert_int_equal(num_int_sub(INT64_MIN, 1, &r), NUM_OVERFLOW);
    assert_int_equal(num_int_mul(INT64_MIN, -1, &r), NUM_OVERFLOW);
    assert_int_equal(num_int_div(INT64_MIN, -1, &r), NUM_OVERFLOW);
    assert_int_equal(num_int_mod(INT64_MIN, -1, &r), NUM_OVERFLOW);
    assert_int_equal(num_int_neg(INT64_MIN, &r), NUM_OVERFLOW);
    assert_int_equal(num_int_div(1, 0, &r), NUM_DIVIDE);
    assert_int_equal(num_int_mod(1, 0, &r), NUM_DIVIDE);
    assert_int_equal(num_narrow((int128)INT64_MAX + 1, &r), NUM_OVERFLOW);
    assert_int_equal(num_narrow((int128)INT64_MIN - 1, &r), NUM_OVERFLOW);
    assert_int_equal(r, 7);
    assert_int_equal(num_narrow(INT64_MIN, &r), NUM_OK);
    assert_true(r == INT64_MIN);
}

static void division_truncates_and_remainder_follows_the_dividend(void **state)
{
    (void)state;
    static const int64_t cases[][4] = {/* a, b, a / b, a % b */
                                       {7, 2, 3, 1},
                                       {-7, 2, -3, -1},
                                       {7, -2, -3, 1},
                                       {-7, -2, 3, -1},
                                       {6, -1, -6, 0},
                                       {0, 5, 0, 0},
                                       {INT64_MIN, 1, INT64_MIN, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t q, m;
        assert_int_equal(num_int_div(cases[i][0], cases[i][1], &q), NUM_OK);
        assert_int_equal(num_int_mod(cases[i][0], cases[i][1], &m), NUM_OK);
        assert_true(q == cases[i][2]);
        assert_true(m == cases[i][3]);
    }
}

static struct num_ratio ratio(int128 num, int128 den)
{
    return (struct num_ratio){num, den};
}

static void scales_stay_in_lowest_terms(void **state)
{
    (void)state;
    struct num_ratio r;
    int128 f;
    assert_true(num_scale_equal(num_scale(10, 100), ratio(1, 10)));
    /* EUR/kWh to 0.00001 times Wh to 0.001: 10^-8 EUR * Wh / kWh = 10^-11 EUR */
    struct num_ratio price = num_scale(1, 100000000), wh = num_scale(1, 1000);
    assert_int_equal(num_scale_mul(price, wh, &r), NUM_OK);
    assert_true(num_scale_equal(r, ratio(1, 100000000000)));
    assert_int_equal(num_scale_div(r, num_scale(1, 100), &r), NUM_OK);
    assert_true(num_scale_equal(r, ratio(1, 1000000000))); /* what a cent count is divided by */
    assert_int_equal(num_scale_gcd(ratio(3, 4), ratio(5, 6), &r), NUM_OK);
    assert_true(num_scale_equal(r, ratio(1, 12)));
    assert_int_equal(num_scale_gcd(ratio(100, 1), ratio(1000, 1), &r), NUM_OK);
    assert_true(num_scale_equal(r, ratio(100, 1)));
    assert_int_equal(num_scale_factor(ratio(100, 1), ratio(1, 1000), &f), NUM_OK);
    assert_true(f == 100000);
    assert_int_equal(num_scale_factor(ratio(1, 1000), ratio(1, 100), &f), NUM_INEXACT);
    assert_int_equal(num_scale_mul(ratio(INT128_MAX, 1), ratio(2, 1), &r), NUM_OVERFLOW);
    assert_int_equal(num_scale_mul(ratio(INT128_MAX, 2), ratio(2, 1), &r), NUM_OK);
    assert_true(num_scale_equal(r, ratio(INT128_MAX, 1)));
    assert_int_equal(num_scale_gcd(ratio(1, INT128_MAX), ratio(1, 2), &r), NUM_OVERFLOW);
    assert_true(num_gcd(0, 5) == 5);
    assert_true(num_gcd(0, 0) == 0);
    assert_true(num_abs(INT128_MIN) == (uint128)1 << 127);
}

static void conversion_is_exact_or_refused(void **state)
{
    (void)state;
    int128 r;
    assert_int_equal(num_convert(402, ratio(100, 1), ratio(1, 1000), &r), NUM_OK);
    assert_true(r == 40200000); /* 40.2 kWh in mWh */
    assert_int_equal(num_convert(500, ratio(1, 1000), ratio(1, 4), &r), NUM_OK);
    assert_true(r == 2);
    assert_int_equal(num_convert(-501, ratio(1, 1000), ratio(1, 4), &r), NUM_INEXACT);
    assert_int_equal(num_convert(INT128_MAX, ratio(2, 1), ratio(1, 1), &r), NUM_OVERFLOW);
}

static void ratios_are_never_reduced(void **state)
{
    (void)state;
    struct num_ratio r;
    assert_int_equal(num_ratio_make(1000, -3, &r), NUM_OK);
    assert_true(r.num == 1000 && r.den == -3);
    assert_int_equal(num_ratio_mul(r, 3, &r), NUM_OK);
    assert_true(r.num == 3000 && r.den == -3);
    assert_int_equal(num_ratio_div(r, -2, &r), NUM_OK);
    assert_true(r.num == 3000 && r.den == 6);
    assert_int_equal(num_ratio_make(1, 0, &r), NUM_DIVIDE);
    assert_int_equal(num_ratio_div(r, 0, &r), NUM_DIVIDE);
    assert_int_equal(num_ratio_mul(r, INT128_MAX, &r), NUM_OVERFLOW);
    assert_int_equal(num_ratio_div(r, INT128_MAX, &r), NUM_OVERFLOW);
}

/* Whether r is num / den rounded as the mode is defined; the products must fit. */
static bool is_rounding(int128 num, int128 den, enum num_mode mode, int128 r)
{
    if (den < 0) {
        num = -num;
        den = -den;
    }
    int128 error = num - r * den;
    int128 size = error < 0 ? -error : error;
    bool outward = (error < 0) == (num > 0); /* r lies further from zero than the exact value */
    switch (mode) {
    case NUM_HALF_UP:
        return 2 * size < den || (2 * size == den && outward);
    case NUM_HALF_EVEN:
        return 2 * size < den || (2 * size == den && r % 2 == 0);
    case NUM_DOWN:
        return error == 0 || (size < den && !outward);
    case NUM_UP:
        return error == 0 || (size < den && outward);
    case NUM_FLOOR:
        return error >= 0 && error < den;
    case NUM_CEILING:
        return error <= 0 && -error < den;
    }
    return false;
}

static void rounding_follows_every_mode_for_all_small_ratios(void **state)
{
    (void)state;
    for (int num = -70; num <= 70; num++) {
        for (int den = -13; den <= 13; den++) {
            for (int k = 0; k < 6 * 16; k++) {
                enum num_mode mode = (enum num_mode)(k % 6);
                int128 p = 1 + k / 24, q = 1 + k / 6 % 4;
                int64_t r;
                enum num_end end = num_round(ratio(num, den), ratio(p, q), mode, &r);
                assert_int_equal(end, den == 0 ? NUM_DIVIDE : NUM_OK);
                assert_true(den == 0 || is_rounding(num * p, den * q, mode, r));
            }
        }
    }
}

static void rounding_follows_every_mode_for_random_ratios(void **state)
{
    (void)state;
    struct seed s = seed_start("rounding");
    int done = 0;
    for (int i = 0; i < RANDOM_ROUNDS; i++) {
        int128 num = seed_signed(&s, 120), den = seed_signed(&s, 120);
        int128 p = 1 + (int128)seed_below(&s, 1000), q = 1 + (int128)seed_below(&s, 1000);
        enum num_mode mode = (enum num_mode)seed_below(&s, 6);
        if (i % 3 == 0) { /* an exact half, which random numbers rarely hit */
            den = den / 4096 * 2 + 2;
            num = den / 2 * (2 * (num % 1000) + 1);
            p = q = 1;
        }
        if (den == 0 || num_abs(num) > INT128_MAX / 4000 || num_abs(den) > INT128_MAX / 4000) {
            continue; /* the check below multiplies again */
        }
        int128 r;
        assert_int_equal(num_round_wide(ratio(num, den), ratio(p, q), mode, &r), NUM_OK);
        assert_true(is_rounding(num * p, den * q, mode, r));
        done++;
    }
    assert_true(done > RANDOM_ROUNDS / 2);
}

static void rounding_known_values(void **state)
{
    (void)state;
    static const struct {
        int num, den;
        int64_t want[6]; /* half_up half_even down up floor ceiling */
    } cases[] = {
        {5, 2, {3, 2, 2, 3, 2, 3}},   {-5, 2, {-3, -2, -2, -3, -3, -2}},
        {7, 2, {4, 4, 3, 4, 3, 4}},   {-7, 2, {-4, -4, -3, -4, -4, -3}},
        {1, 3, {0, 0, 0, 1, 0, 1}},   {-1, 3, {0, 0, 0, -1, -1, 0}},
        {2, 3, {1, 1, 0, 1, 0, 1}},   {4, -2, {-2, -2, -2, -2, -2, -2}},
        {-1, -2, {1, 0, 0, 1, 0, 1}}, {0, -5, {0, 0, 0, 0, 0, 0}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (int m = 0; m < 6; m++) {
            int64_t r;
            assert_int_equal(
                num_round(ratio(cases[i].num, cases[i].den), ratio(1, 1), (enum num_mode)m, &r),
                NUM_OK);
            assert_true(r == cases[i].want[m]);
        }
    }
}

static void rounding_stops_at_its_limits(void **state)
{
    (void)state;
    int64_t r = 7;
    int128 w = 7;
    struct num_ratio one = {1, 1};
    assert_int_equal(num_round(ratio(INT128_MAX, 1), ratio(2, 1), NUM_DOWN, &r), NUM_OVERFLOW);
    assert_int_equal(num_round(ratio(1, INT128_MAX), ratio(1, 2), NUM_DOWN, &r), NUM_OVERFLOW);
    assert_int_equal(num_round(ratio((int128)INT64_MAX + 1, 1), one, NUM_DOWN, &r), NUM_OVERFLOW);
    /* 2^63 - 1/2 rounds out of 64 bits, or stays in, by mode */
    assert_int_equal(num_round(ratio((int128)INT64_MAX * 2 + 1, 2), one, NUM_HALF_UP, &r),
                     NUM_OVERFLOW);
    assert_int_equal(num_round_wide(ratio(INT128_MIN, -1), one, NUM_DOWN, &w), NUM_OVERFLOW);
    assert_true(r == 7 && w == 7);
    assert_int_equal(num_round(ratio((int128)INT64_MAX * 2 + 1, 2), one, NUM_DOWN, &r), NUM_OK);
    assert_true(r == INT64_MAX);
    assert_int_equal(num_round(ratio((int128)INT64_MIN * 2 - 1, 2), one, NUM_CEILING, &r), NUM_OK);
    assert_true(r == INT64_MIN);
    assert_int_equal(num_round_wide(ratio(INT128_MIN, 1), one, NUM_DOWN, &w), NUM_OK);
    assert_true(w == INT128_MIN);
    /* the greatest denominator: twice the remainder would not fit */
    assert_int_equal(num_round(ratio(INT128_MAX - 1, INT128_MAX), one, NUM_HALF_UP, &r), NUM_OK);
    assert_true(r == 1);
    assert_int_equal(num_round(ratio(INT128_MIN, INT128_MIN), one, NUM_HALF_EVEN, &r), NUM_OK);
    assert_true(r == 1);
}

static void modes_have_words(void **state)
{
    (void)state;
    for (int m = NUM_HALF_UP; m <= NUM_CEILING; m++) {
        enum num_mode back;
        assert_true(num_mode_parse(bytes_text(num_mode_name((enum num_mode)m)), &back));
        assert_int_equal(back, m);
    }
    enum num_mode none;
    assert_false(num_mode_parse(bytes_text("half_odd"), &none));
    assert_false(num_mode_parse(bytes_text(""), &none));
    assert_string_equal(num_end_name(NUM_OVERFLOW), "overflow");
    assert_string_equal(num_end_name(NUM_CIVIL), "civil");
}

static void numbers_print_in_full(void **state)
{
    (void)state;
    char text[NUM_TEXT_MAX];
    static const struct {
        int64_t count;
        uint64_t multiple;
        unsigned decimals;
        const char *want;
    } cases[] = {
        {-785, 1, 2, "-7.85"},
        {29, 25, 2, "7.25"},
        {13000, 1, 5, "0.13000"},
        {0, 1, 2, "0.00"},
        {0, 1, 0, "0"},
        {-5, 1, 3, "-0.005"},
        {7, 1, 0, "7"},
        {1, 1, 9, "0.000000001"},
        {-1, 0, 2, "0.00"},
        {INT64_MIN, 1, 2, "-92233720368547758.08"},
        {1000000000000000000, 1000, 3, "1000000000000000000.000"},
        {INT64_MAX, UINT64_MAX, 0, "170141183460469231704017187605319778305"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t n = num_print_decimal(cases[i].count, cases[i].multiple, cases[i].decimals, text);
        assert_string_equal(text, cases[i].want);
        assert_int_equal(n, strlen(text));
    }
    num_print(INT128_MAX, text);
    assert_string_equal(text, "170141183460469231731687303715884105727");
    num_print(INT128_MIN, text);
    assert_string_equal(text, "-170141183460469231731687303715884105728");
    num_print_decimal(INT128_MIN, UINT64_MAX, 9, text); /* 2^127 * (2^64 - 1) */
    assert_string_equal(text, "-3138550867693340381747753528143363976319490418516.133150720");
    num_print_decimal((int128)1 << 64, 1, 1, text);
    assert_string_equal(text, "1844674407370955161.6");
}

static void quanta_have_the_fewest_decimals(void **state)
{
    (void)state;
    static const struct {
        int num, den;
        uint64_t multiple;
        unsigned decimals;
    } cases[] = {{1, 100, 1, 2}, {1, 4, 25, 2},         {1, 1000, 1, 3}, {1, 1, 1, 0},
                 {5, 1, 5, 0},   {1, 1000000000, 1, 9}, {3, 8, 375, 3},  {1, 512, 1953125, 9}};
    uint64_t multiple;
    unsigned decimals;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct num_ratio q = {cases[i].num, cases[i].den};
        assert_int_equal(num_quantum_decimals(q, &multiple, &decimals), NUM_OK);
        assert_int_equal(multiple, cases[i].multiple);
        assert_int_equal(decimals, cases[i].decimals);
    }
    assert_int_equal(num_quantum_decimals(ratio(1, 3), &multiple, &decimals), NUM_INEXACT);
    assert_int_equal(num_quantum_decimals(ratio(1, 1024), &multiple, &decimals), NUM_INEXACT);
    assert_int_equal(num_quantum_decimals(ratio((int128)1 << 64, 1), &multiple, &decimals),
                     NUM_OVERFLOW);
}

static void decimal_text_is_read_strictly(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t count;
        unsigned decimals;
    } good[] = {{"40.2", 402, 1},
                {"-0.05", -5, 2},
                {"0", 0, 0},
                {"-0", 0, 0},
                {"007", 7, 0},
                {"9223372036854775807", INT64_MAX, 0},
                {"1.000000000", 1000000000, 9}};
    static const char *const bad[] = {
        "",   "-",  ".5",  "5.",   "1.0000000001", "+1",  "1e3",
        " 1", "1 ", "--1", "1.-2", "1.2.3",        "0x1", "12345678901234567890"};
    int128 count;
    unsigned decimals;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_int_equal(num_decimal_parse(bytes_text(good[i].text), &count, &decimals), NUM_OK);
        assert_true(count == good[i].count);
        assert_int_equal(decimals, good[i].decimals);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(num_decimal_parse(bytes_text(bad[i]), &count, &decimals), NUM_FORM);
    }
    assert_int_equal(
        num_decimal_parse(bytes_text("-9999999999999999999.999999999"), &count, &decimals), NUM_OK);
    assert_true(count == -(num_power10(28) - 1));
}

static void int_text_is_read_strictly(void **state)
{
    (void)state;
    int64_t r = 7;
    static const char *const bad[] = {"", "-", "+1", "1.0", "1a", " 1", "0x10", "--1"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(num_int_parse(bytes_text(bad[i]), &r), NUM_FORM);
    }
    assert_int_equal(num_int_parse(bytes_text("9223372036854775808"), &r), NUM_OVERFLOW);
    assert_int_equal(num_int_parse(bytes_text("-9223372036854775809"), &r), NUM_OVERFLOW);
    assert_int_equal(num_int_parse(bytes_text("18446744073709551616"), &r), NUM_OVERFLOW);
    assert_int_equal(num_int_parse(bytes_text("99999999999999999999999x"), &r), NUM_FORM);
    assert_int_equal(num_int_parse(bytes_of("1\0", 2), &r), NUM_FORM);
    assert_true(r == 7);
    assert_int_equal(num_int_parse(bytes_text("-9223372036854775808"), &r), NUM_OK);
    assert_true(r == INT64_MIN);
    assert_int_equal(num_int_parse(bytes_text("00000000000000000000000000000042"), &r), NUM_OK);
    assert_true(r == 42);
}

static void text_goes_there_and_back(void **state)
{
    (void)state;
    struct seed s = seed_start("text");
    for (int i = 0; i < RANDOM_ROUNDS; i++) {
        int64_t v = (int64_t)seed_signed(&s, 63), back;
        unsigned decimals = (unsigned)seed_below(&s, 10), back_decimals;
        char text[NUM_TEXT_MAX];
        int128 count;
        size_t size = num_print(v, text);
        assert_int_equal(num_int_parse(bytes_of(text, size), &back), NUM_OK);
        assert_true(back == v);
        size = num_print_decimal(v, 1, decimals, text);
        assert_int_equal(num_decimal_parse(bytes_of(text, size), &count, &back_decimals), NUM_OK);
        assert_true(count == v);
        assert_int_equal(back_decimals, decimals);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_stop_at_128_bits),
        cmocka_unit_test(ints_stop_at_64_bits),
        cmocka_unit_test(division_truncates_and_remainder_follows_the_dividend),
        cmocka_unit_test(scales_stay_in_lowest_terms),
        cmocka_unit_test(conversion_is_exact_or_refused),
        cmocka_unit_test(ratios_are_never_reduced),
        cmocka_unit_test(rounding_follows_every_mode_for_all_small_ratios),
        cmocka_unit_test(rounding_follows_every_mode_for_random_ratios),
        cmocka_unit_test(rounding_known_values),
        cmocka_unit_test(rounding_stops_at_its_limits),
        cmocka_unit_test(modes_have_words),
        cmocka_unit_test(numbers_print_in_full),
        cmocka_unit_test(quanta_have_the_fewest_decimals),
        cmocka_unit_test(decimal_text_is_read_strictly),
        cmocka_unit_test(int_text_is_read_strictly),
        cmocka_unit_test(text_goes_there_and_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
