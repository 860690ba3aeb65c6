/* Civil time against a calendar that only knows how to go to the next day, and against known
 * instants; strict text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "rules/civil.h"
#include "tests/unit/rules/seed.h"

enum { RANDOM_ROUNDS = 100000 };

static bool is_leap(int32_t year)
{
    return year % 400 == 0 || (year % 4 == 0 && year % 100 != 0);
}

static int32_t length_of(int32_t year, int32_t month)
{
    if (month == 2) {
        return is_leap(year) ? 29 : 28;
    }
    return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
}

static int32_t day_at(int32_t year, int32_t month, int32_t day)
{
    int32_t r = 0;
    assert_int_equal(civil_day_make((struct civil_date){year, month, day}, &r), NUM_OK);
    return r;
}

static void every_day_from_year_1_to_9999(void **state)
{
    (void)state;
    int32_t year = 1, month = 1, date = 1, of_year = 1, weekday = 1, first = CIVIL_DAY_MIN;
    for (int32_t day = CIVIL_DAY_MIN; day <= CIVIL_DAY_MAX; day++) {
        struct civil_date d = civil_day_split(day);
        int32_t back = 0, monday = 0;
        bool good = d.year == year && d.month == month && d.day == date;
        good = good && civil_day_make(d, &back) == NUM_OK && back == day;
        good = good && civil_day_weekday(day) == weekday && civil_day_of_year(day) == of_year;
        good = good && civil_day_month(day) == first;
        good = good && civil_day_monday(day, &monday) == NUM_OK && monday == day - weekday + 1;
        char text[CIVIL_DATE_TEXT_MAX];
        size_t size = civil_day_print(day, text);
        good = good && civil_day_parse(bytes_of(text, size), &back) == NUM_OK && back == day;
        if (!good) {
            fail_msg("day %d, %d-%d-%d", day, year, month, date);
        }
        weekday = weekday % 7 + 1;
        of_year++;
        if (++date > length_of(year, month)) {
            date = 1;
            first = day + 1;
            month++;
        }
        if (month > 12) {
            month = of_year = 1;
            year++;
        }
    }
    assert_int_equal(year, 10000);
    assert_int_equal(day_at(1970, 1, 1), 0);
    assert_int_equal(civil_day_weekday(0), 4); /* a Thursday */
}

/* ISO 8601: week 1 has the first Thursday, equivalently 4 January. */
static void every_iso_week(void **state)
{
    (void)state;
    for (int32_t day = CIVIL_DAY_MIN; day <= CIVIL_DAY_MAX; day++) {
        int32_t year, own = civil_day_split(day).year;
        int32_t week = civil_day_iso_week(day, &year);
        assert_in_range(week, 1, 53);
        assert_true(year >= own - 1 && year <= own + 1);
        if (year < 1 || year > 9998) {
            continue;
        }
        int32_t fourth = day_at(year, 1, 4);
        int32_t start = fourth - civil_day_weekday(fourth) + 1 + 7 * (week - 1);
        assert_true(day >= start && day < start + 7);
    }
}

static void dates_that_do_not_exist_are_refused(void **state)
{
    (void)state;
    static const struct civil_date bad[] = {{0, 1, 1},     {10000, 1, 1}, {2025, 0, 1},
                                            {2025, 13, 1}, {2025, 1, 0},  {2025, 1, 32},
                                            {2025, 2, 29}, {1900, 2, 29}, {2025, 4, 31}};
    static const char *const texts[] = {
        "",           "2025-1-01",   "2025-01-1",   "25-01-01",    "2025/01/01", "2025-02-29",
        "0000-01-01", "10000-01-01", "2025-01-01 ", "+2025-01-01", "2025-01",    "2025-01-0a"};
    int32_t r = 7;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(civil_day_make(bad[i], &r), NUM_FORM);
    }
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_int_equal(civil_day_parse(bytes_text(texts[i]), &r), NUM_FORM);
    }
    assert_int_equal(r, 7);
    assert_int_equal(civil_day_parse(bytes_text("2024-02-29"), &r), NUM_OK);
    assert_int_equal(r, day_at(2024, 2, 29));
}

static void days_and_months_stay_in_range(void **state)
{
    (void)state;
    int32_t r = 7;
    assert_int_equal(civil_day_add(CIVIL_DAY_MAX, 1, &r), NUM_RANGE);
    assert_int_equal(civil_day_add(CIVIL_DAY_MIN, -1, &r), NUM_RANGE);
    assert_int_equal(civil_day_add(1, INT64_MAX, &r), NUM_RANGE);
    assert_int_equal(civil_day_add(-1, INT64_MIN, &r), NUM_RANGE);
    int32_t last = day_at(9999, 12, 31), first = day_at(1, 1, 1), jan = day_at(2025, 1, 31);
    assert_int_equal(civil_day_add_months(last, 1, CIVIL_MISSING_DOWN, &r), NUM_RANGE);
    assert_int_equal(civil_day_add_months(first, -1, CIVIL_MISSING_DOWN, &r), NUM_RANGE);
    assert_int_equal(civil_day_add_months(jan, INT64_MAX, CIVIL_MISSING_UP, &r), NUM_RANGE);
    assert_int_equal(civil_day_add_months(jan, INT64_MIN, CIVIL_MISSING_UP, &r), NUM_RANGE);
    assert_int_equal(civil_day_add_months(jan, 1, CIVIL_MISSING_FAIL, &r), NUM_CIVIL);
    assert_int_equal(r, 7);
    assert_int_equal(civil_day_add(CIVIL_DAY_MIN, CIVIL_DAY_MAX - CIVIL_DAY_MIN, &r), NUM_OK);
    assert_int_equal(r, CIVIL_DAY_MAX);
    assert_int_equal(civil_day_add_months(last, -(9999 * 12 - 1), CIVIL_MISSING_FAIL, &r), NUM_OK);
    assert_int_equal(r, day_at(1, 1, 31));
    assert_int_equal(civil_day_add_months(jan, 1, CIVIL_MISSING_DOWN, &r), NUM_OK);
    assert_int_equal(r, day_at(2025, 2, 28));
    assert_int_equal(civil_day_add_months(jan, 1, CIVIL_MISSING_UP, &r), NUM_OK);
    assert_int_equal(r, day_at(2025, 3, 1));
}

static void zones_are_those_of_the_language(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int32_t offset_s;
        bool summer;
    } good[] = {{"UTC", 0, false},
                {"+00:00", 0, false},
                {"-00:00", 0, false},
                {"+05:30", 19800, false},
                {"-23:59", -86340, false},
                {"02:00", 7200, false},
                {"Europe/Paris", 3600, true},
                {"Europe/Amsterdam", 3600, true},
                {"Europe/Brussels", 3600, true},
                {"Europe/Berlin", 3600, true},
                {"Europe/Madrid", 3600, true},
                {"Europe/Rome", 3600, true}};
    static const char *const bad[] = {
        "",       "utc",     "Z",       "+5:30",       "+24:00",
        "+00:60", "+0000",   "+01:00 ", "Europe/Wien", "Europe/Athens",
        "Europe", "++01:00", "-+1:00",  "US/Central"};
    struct civil_zone z = {0};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_int_equal(civil_zone_parse(bytes_text(good[i].text), &z), NUM_OK);
        assert_int_equal(z.offset_s, good[i].offset_s);
        assert_int_equal(z.summer, good[i].summer);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(civil_zone_parse(bytes_text(bad[i]), &z), NUM_CIVIL);
    }
}

static const struct civil_zone paris = {3600, true};

/* The last Sunday of a month, found by walking. */
static int64_t change_of(int32_t year, int32_t month)
{
    int32_t found = 0;
    for (int32_t d = 1; d <= 31; d++) {
        int32_t day = day_at(year, month, d);
        found = (day + 4) % 7 == 0 ? day : found; /* day 3, 1970-01-04, is a Sunday */
    }
    return (int64_t)found * 86400 + 3600;
}

static void summer_time_begins_and_ends_by_the_rule_in_every_year(void **state)
{
    (void)state;
    int32_t offset;
    for (int32_t year = 1997; year <= 9999; year++) {
        int64_t spring = change_of(year, 3), autumn = change_of(year, 10);
        assert_int_equal(civil_zone_offset(paris, spring - 1, &offset), NUM_OK);
        assert_int_equal(offset, 3600);
        assert_int_equal(civil_zone_offset(paris, spring, &offset), NUM_OK);
        assert_int_equal(offset, 7200);
        assert_int_equal(civil_zone_offset(paris, autumn - 1, &offset), NUM_OK);
        assert_int_equal(offset, 7200);
        assert_int_equal(civil_zone_offset(paris, autumn, &offset), NUM_OK);
        assert_int_equal(offset, 3600);
    }
    assert_true(change_of(1997, 3) == 859683600);   /* 1997-03-30T01:00:00Z */
    assert_true(change_of(2025, 10) == 1761440400); /* 2025-10-26T01:00:00Z */
}

static void midnight_is_the_first_instant_of_its_day(void **state)
{
    (void)state;
    static const struct civil_zone zones[] = {{0, false},     {3600, true},    {0, true},
                                              {7200, true},   {-3600, true}, /* 00:00 is skipped */
                                              {19800, false}, {-86340, false}, {86340, false}};
    for (size_t i = 0; i < sizeof zones / sizeof zones[0]; i++) {
        int32_t from = zones[i].summer ? day_at(1997, 1, 1) : CIVIL_DAY_MIN + 1;
        for (int32_t day = from; day < CIVIL_DAY_MAX; day += day < 40000 ? 1 : 97) {
            struct civil_time t, before;
            int32_t at = 0, ahead = 0;
            assert_int_equal(civil_day_midnight(day, zones[i], &t), NUM_OK);
            assert_int_equal(civil_time_day(t, zones[i], &at), NUM_OK);
            assert_int_equal(at, day);
            assert_int_equal(civil_time_add(t, -1, &before), NUM_OK);
            enum num_end end = civil_time_day(before, zones[i], &ahead);
            if (zones[i].summer && day == from) {
                assert_int_equal(end, NUM_CIVIL);
            } else {
                assert_int_equal(end, NUM_OK);
                assert_int_equal(ahead, day - 1);
            }
        }
    }
}

static void local_days_stop_at_1997_and_at_the_years(void **state)
{
    (void)state;
    struct civil_time t = {0};
    struct civil_parts parts;
    int32_t r = 7;
    struct civil_time start = {852073200, 0}; /* 1996-12-31T23:00:00Z, 1997 in Paris */
    assert_int_equal(civil_time_day(start, paris, &r), NUM_OK);
    assert_int_equal(r, day_at(1997, 1, 1));
    r = 7;
    start.seconds--;
    assert_int_equal(civil_time_day(start, paris, &r), NUM_CIVIL);
    assert_int_equal(civil_time_split(start, paris, &parts), NUM_CIVIL);
    assert_int_equal(civil_day_midnight(day_at(1996, 12, 31), paris, &t), NUM_CIVIL);
    struct civil_zone east = {3600, false}, west = {-3600, false};
    struct civil_time last = {CIVIL_SECONDS_MAX, 999999999}, first = {CIVIL_SECONDS_MIN, 0};
    assert_int_equal(civil_time_day(last, paris, &r), NUM_RANGE);
    assert_int_equal(civil_time_day(last, east, &r), NUM_RANGE);
    assert_int_equal(civil_time_day(first, west, &r), NUM_RANGE);
    assert_int_equal(civil_time_split(first, west, &parts), NUM_RANGE);
    assert_int_equal(civil_day_midnight(CIVIL_DAY_MIN, east, &t), NUM_RANGE);
    assert_int_equal(r, 7);
    assert_int_equal(civil_day_midnight(CIVIL_DAY_MAX, paris, &t), NUM_OK);
    assert_true(t.seconds == CIVIL_SECONDS_MAX - 86399 - 3600);
}

static void an_instant_splits_into_what_the_clocks_show(void **state)
{
    (void)state;
    struct civil_time t = {1234567890, 56789000}; /* 2009-02-13T23:31:30.056789Z */
    struct civil_parts p;
    assert_int_equal(civil_time_split(t, (struct civil_zone){0, false}, &p), NUM_OK);
    assert_int_equal(p.date.year, 2009);
    assert_int_equal(p.date.month, 2);
    assert_int_equal(p.date.day, 13);
    assert_int_equal(p.hour, 23);
    assert_int_equal(p.minute, 31);
    assert_int_equal(p.second, 30);
    assert_int_equal(p.milli, 56);
    assert_int_equal(p.weekday, 5);
    assert_int_equal(p.day_of_year, 43);
    assert_int_equal(civil_time_split(t, paris, &p), NUM_OK);
    assert_int_equal(p.date.day, 14);
    assert_int_equal(p.hour, 0);
    t = (struct civil_time){-1, 999999999}; /* one nanosecond before 1970 */
    assert_int_equal(civil_time_split(t, (struct civil_zone){0, false}, &p), NUM_OK);
    assert_int_equal(p.date.year, 1969);
    assert_int_equal(p.hour * 10000 + p.minute * 100 + p.second, 235959);
    assert_int_equal(p.milli, 999);
}

static void instants_move_and_compare_exactly(void **state)
{
    (void)state;
    struct civil_time t = {0, 1}, r = {7, 7};
    int64_t d = 7;
    assert_int_equal(civil_time_add(t, -2, &r), NUM_OK);
    assert_true(r.seconds == -1 && r.nanos == 999999999);
    assert_int_equal(civil_time_sub(r, t, &d), NUM_OK);
    assert_int_equal(d, -2);
    assert_true(civil_time_compare(r, t) < 0);
    assert_true(civil_time_compare(t, r) > 0);
    assert_true(civil_time_compare(t, t) == 0);
    struct civil_time last = {CIVIL_SECONDS_MAX, 999999999}, first = {CIVIL_SECONDS_MIN, 0};
    assert_int_equal(civil_time_add(last, 1, &r), NUM_RANGE);
    assert_int_equal(civil_time_add(first, -1, &r), NUM_RANGE);
    assert_int_equal(civil_time_add(last, INT128_MAX, &r), NUM_RANGE);
    assert_int_equal(civil_time_add(first, INT128_MIN, &r), NUM_RANGE);
    assert_int_equal(civil_time_sub(last, first, &d), NUM_OVERFLOW);
    assert_int_equal(civil_time_make(CIVIL_SECONDS_MAX + 1, &r), NUM_RANGE);
    assert_int_equal(civil_time_make(INT64_MIN, &r), NUM_RANGE);
    assert_int_equal(civil_time_add(first, -(int128)INT64_MIN, &r), NUM_OK);
    assert_int_equal(civil_time_sub(r, first, &d), NUM_OVERFLOW); /* 2^63 */
    assert_int_equal(civil_time_sub(first, r, &d), NUM_OK);
    assert_true(d == INT64_MIN);
}

static void timestamps_are_read_strictly(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t seconds;
        uint32_t nanos;
        const char *print;
    } good[] = {
        {"2009-02-13T23:31:30Z", 1234567890, 0, "2009-02-13T23:31:30Z"},
        {"2026-07-01t10:00:00.5+02:00", 1782892800, 500000000, "2026-07-01T08:00:00.5Z"},
        {"1970-01-01T00:00:00.000000001Z", 0, 1, "1970-01-01T00:00:00.000000001Z"},
        {"1969-12-31T23:59:59.100Z", -1, 100000000, "1969-12-31T23:59:59.1Z"},
        {"0001-01-01T00:00:00Z", CIVIL_SECONDS_MIN, 0, "0001-01-01T00:00:00Z"},
        {"0001-01-01T00:00:00-00:01", CIVIL_SECONDS_MIN + 60, 0, "0001-01-01T00:01:00Z"},
        {"9999-12-31T23:59:59.999999999Z", CIVIL_SECONDS_MAX, 999999999,
         "9999-12-31T23:59:59.999999999Z"},
        {"2024-02-29T00:00:00-23:59", 1709251140, 0, "2024-02-29T23:59:00Z"},
    };
    static const char *const bad[] = {"",
                                      "2009-02-13",
                                      "2009-02-13T23:31:30",
                                      "2009-02-13T23:31:30z",
                                      "2009-02-13 23:31:30Z",
                                      "2009-02-13T23:31:60Z",
                                      "2009-02-13T24:00:00Z",
                                      "2009-02-13T23:60:00Z",
                                      "2009-02-13T23:31:30.Z",
                                      "2009-02-13T23:31:30.1234567890Z",
                                      "2009-02-13T23:31:30,5Z",
                                      "2009-02-30T00:00:00Z",
                                      "2009-02-13T23:31:30+24:00",
                                      "2009-02-13T23:31:30+01:60",
                                      "2009-02-13T23:31:30+0100",
                                      "2009-02-13T23:31:30+01",
                                      "2009-02-13T23:31:30ZZ",
                                      "0000-12-31T23:59:59Z",
                                      "2009-2-13T23:31:30Z",
                                      "2009-02-13T23:31Z",
                                      "2009-02-13T3:31:30Z",
                                      "-009-02-13T23:31:30Z"};
    struct civil_time t = {7, 7};
    char text[CIVIL_TIME_TEXT_MAX];
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(civil_time_parse(bytes_text(bad[i]), &t), NUM_FORM);
    }
    assert_int_equal(civil_time_parse(bytes_text("0001-01-01T00:00:00+00:01"), &t), NUM_RANGE);
    assert_int_equal(civil_time_parse(bytes_text("9999-12-31T23:59:59-00:01"), &t), NUM_RANGE);
    assert_true(t.seconds == 7 && t.nanos == 7);
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_int_equal(civil_time_parse(bytes_text(good[i].text), &t), NUM_OK);
        assert_true(t.seconds == good[i].seconds);
        assert_int_equal(t.nanos, good[i].nanos);
        assert_int_equal(civil_time_print(t, text), strlen(good[i].print));
        assert_string_equal(text, good[i].print);
    }
}

static void durations_are_read_exactly_and_truncated_once(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t nanos;
    } good[] = {
        {"0", 0},
        {"+0", 0},
        {"-0", 0},
        {"0s", 0},
        {"900s", 900000000000},
        {"-1.5s", -1500000000},
        {"+1h30m", 5400000000000},
        {"1m1ms1us1ns", 60001001001},
        {"1.s", 1000000000},
        {".5m", 30000000000},
        {"0.1h0.1h", 720000000000},
        {"2ms", 2000000},
        {"1h1h", 7200000000000},
        {"0.4ns", 0},
        {"0.4ns0.6ns", 1},
        {"-0.9ns", 0},
        {"-0.5ns0.6ns", -1},
        {"1.9999999999s", 1999999999},
        {"0.33333333333333333333h", 1199999999999},
        {"0.3333333333333333333333us0.6666666666666666666667us", 1000},
        {"9223372036854775807ns", INT64_MAX},
        {"-9223372036854775808ns", INT64_MIN},
        {"9223372036.854775807s", INT64_MAX},
        {"2562047.788015215501944444444444444h", INT64_MAX - 1},
        {"0000000000000000000000000000000000000000000000001s", 1000000000},
    };
    static const char *const bad[] = {
        "",      "+",      "-",    "s",  "1",  "00", "-1", ".s", "1x",  "1 s", "1s ",  "--1s",
        "1s-1s", "1.2.3s", "1e3s", "1u", "1n", "1d", "1.", ".",  "0.0", "1s1", "1mss", "\xc2\xb5s"};
    static const char *const far[] = {"9223372036854775808ns", "-9223372036854775809ns", "2562048h",
                                      "99999999999999999999999999999999999999999999999999999999h",
                                      "9223372036854775807ns0.5ns0.5ns"};
    int64_t r = 7;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(civil_duration_parse(bytes_text(bad[i]), &r), NUM_FORM);
    }
    for (size_t i = 0; i < sizeof far / sizeof far[0]; i++) {
        assert_int_equal(civil_duration_parse(bytes_text(far[i]), &r), NUM_OVERFLOW);
    }
    assert_int_equal(r, 7);
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_int_equal(civil_duration_parse(bytes_text(good[i].text), &r), NUM_OK);
        assert_true(r == good[i].nanos);
    }
}

static void the_longest_duration_text_is_read(void **state)
{
    (void)state;
    static char text[DURATION_TEXT_BYTES_MAX + 2];
    int64_t r = 7;
    for (size_t size = DURATION_TEXT_BYTES_MAX - 1; size <= DURATION_TEXT_BYTES_MAX + 1; size++) {
        /* 0.999...9ns and as much as it lacks give one nanosecond only if no digit is lost */
        size_t half = size / 2;
        memset(text, '9', half);
        memcpy(text, ".", 1);
        memcpy(text + half - 2, "ns", 2);
        memset(text + half, '0', size - half);
        memcpy(text + half, ".", 1);
        text[half + half - 3] = '1';
        memcpy(text + size - 2, "ns", 2);
        enum num_end end = civil_duration_parse(bytes_of(text, size), &r);
        assert_int_equal(end, size <= DURATION_TEXT_BYTES_MAX ? NUM_OK : NUM_FORM);
        assert_int_equal(r, 1);
    }
}

static void text_goes_there_and_back(void **state)
{
    (void)state;
    struct seed s = seed_start("civil text");
    for (int i = 0; i < RANDOM_ROUNDS; i++) {
        uint64_t span = (uint64_t)(CIVIL_SECONDS_MAX - CIVIL_SECONDS_MIN) + 1;
        struct civil_time t = {CIVIL_SECONDS_MIN + (int64_t)seed_below(&s, span),
                               (uint32_t)seed_below(&s, 1000000000)};
        struct civil_time back;
        char text[CIVIL_TIME_TEXT_MAX];
        size_t size = civil_time_print(t, text);
        assert_int_equal(civil_time_parse(bytes_of(text, size), &back), NUM_OK);
        assert_int_equal(civil_time_compare(t, back), 0);
        int64_t d = (int64_t)seed_signed(&s, 63), again;
        size = civil_duration_print(d, text);
        assert_int_equal(civil_duration_parse(bytes_of(text, size), &again), NUM_OK);
        assert_true(d == again);
    }
    char text[CIVIL_DURATION_TEXT_MAX];
    assert_int_equal(civil_duration_print(INT64_MIN, text), CIVIL_DURATION_TEXT_MAX - 1);
    assert_string_equal(text, "-9223372036.854775808s");
    civil_duration_print(-1500000000, text);
    assert_string_equal(text, "-1.5s");
    civil_duration_print(0, text);
    assert_string_equal(text, "0s");
    civil_duration_print(-1, text);
    assert_string_equal(text, "-0.000000001s");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_day_from_year_1_to_9999),
        cmocka_unit_test(every_iso_week),
        cmocka_unit_test(dates_that_do_not_exist_are_refused),
        cmocka_unit_test(days_and_months_stay_in_range),
        cmocka_unit_test(zones_are_those_of_the_language),
        cmocka_unit_test(summer_time_begins_and_ends_by_the_rule_in_every_year),
        cmocka_unit_test(midnight_is_the_first_instant_of_its_day),
        cmocka_unit_test(local_days_stop_at_1997_and_at_the_years),
        cmocka_unit_test(an_instant_splits_into_what_the_clocks_show),
        cmocka_unit_test(instants_move_and_compare_exactly),
        cmocka_unit_test(timestamps_are_read_strictly),
        cmocka_unit_test(durations_are_read_exactly_and_truncated_once),
        cmocka_unit_test(the_longest_duration_text_is_read),
        cmocka_unit_test(text_goes_there_and_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
