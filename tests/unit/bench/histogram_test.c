#include "bench/histogram.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct histogram h;

static int clear(void **state)
{
    (void)state;
    memset(&h, 0, sizeof h);
    return 0;
}

static void test_empty(void **state)
{
    (void)state;
    assert_int_equal(histogram_at(&h, 500), 0);
    assert_int_equal(histogram_at(&h, 1000), 0);
}

/* Every reading is between the exact percentile and 1/64 more. */
static void test_percentiles(void **state)
{
    (void)state;
    for (uint64_t i = 1; i <= 100000; i++) {
        histogram_add(&h, i * 1000);
    }
    static const uint32_t at[] = {1, 500, 900, 990, 999, 1000};
    for (size_t i = 0; i < sizeof at / sizeof at[0]; i++) {
        uint64_t exact = UINT64_C(100000) * at[i];
        uint64_t got = histogram_at(&h, at[i]);
        assert_true(got >= exact);
        assert_true(got <= exact + exact / 64);
    }
    assert_int_equal(h.count, 100000);
    assert_int_equal(h.max_ns, 100000000);
    assert_int_equal(histogram_at(&h, 1000), 100000000);
}

static void test_ends(void **state)
{
    static const uint64_t values[] = {0,         1, 63, 64, 65, 127, 128, 1u << 30, UINT64_MAX / 2,
                                      UINT64_MAX};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        clear(state);
        histogram_add(&h, values[i]);
        assert_true(histogram_at(&h, 0) == values[i]);
        assert_true(histogram_at(&h, 1000) == values[i]);
    }
}

/* One in a thousand is above the 99.9th and not above the greatest. */
static void test_tail(void **state)
{
    (void)state;
    for (int i = 0; i < 999; i++) {
        histogram_add(&h, 10);
    }
    histogram_add(&h, 1000000);
    assert_int_equal(histogram_at(&h, 999), 10);
    assert_int_equal(histogram_at(&h, 1000), 1000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_empty, clear),
        cmocka_unit_test_setup(test_percentiles, clear),
        cmocka_unit_test_setup(test_ends, clear),
        cmocka_unit_test_setup(test_tail, clear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
