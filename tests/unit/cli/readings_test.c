/* Files of readings: both forms, exact numbers, and where each mistake is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/readings.h"

static err parse(const char *text, struct readings *r, struct errtext *why)
{
    return readings_parse("f.csv", bytes_text(text), r, why);
}

static void a_wide_file_is_read(void **state)
{
    (void)state;
    struct readings r;
    struct errtext why;
    assert_false(failed(parse("\xef\xbb\xbfts,p02,c10,c02_own,c02,p01\r\n"
                              "1664835300,1,2,9,3,4\r\n"
                              "\r\n"
                              "1664834400,0.5,,x,\"12.25\", 7.125 \r\n"
                              "1664836200,,,0.1,,",
                              &r, &why)));
    assert_int_equal(r.point_count, 4);
    assert_string_equal(r.points[0], "c02");
    assert_string_equal(r.points[1], "c10");
    assert_string_equal(r.points[2], "p01");
    assert_string_equal(r.points[3], "p02");
    assert_string_equal(r.ignored, "c02_own");
    assert_int_equal(r.blank_lines, 1);
    assert_int_equal(r.slot_count, 2);
    /* In order of time, readings in order of names; the blank one is not there. */
    assert_int_equal(r.slots[0].start_s, 1664834400);
    assert_int_equal(r.slots[0].line, 4);
    assert_int_equal(r.slots[0].count, 3);
    const struct reading *first = &r.items[r.slots[0].first];
    assert_int_equal(first[0].point, 0);
    assert_int_equal(first[0].mwh, 12250);
    assert_int_equal(first[1].point, 2);
    assert_int_equal(first[1].mwh, 7125);
    assert_int_equal(first[2].point, 3);
    assert_int_equal(first[2].mwh, 500);
    assert_int_equal(r.slots[1].count, 4);
    assert_int_equal(r.items[r.slots[1].first].mwh, 3000);
    assert_true(readings_is_producer("p01"));
    assert_false(readings_is_producer("c01"));
    readings_done(&r);
}

static void a_long_file_is_read(void **state)
{
    (void)state;
    struct readings r;
    struct errtext why;
    assert_false(failed(parse("ts,point,wh\n"
                              "2022-10-03T22:15:00Z,p01,1.5\n"
                              "2022-10-04T00:00+02:00,c02,2\n"
                              "1664834400,c01,0.001\n",
                              &r, &why)));
    assert_int_equal(r.slot_count, 2);
    assert_int_equal(r.slots[0].start_s, 1664834400);
    assert_int_equal(r.slots[0].count, 2);
    assert_int_equal(r.items[0].mwh, 1);
    assert_string_equal(r.points[r.items[0].point], "c01");
    assert_string_equal(r.points[r.items[1].point], "c02");
    assert_int_equal(r.slots[1].start_s, 1664835300);
    assert_int_equal(r.items[2].mwh, 1500);
    readings_done(&r);
}

static void mistakes_are_placed(void **state)
{
    static const struct {
        const char *text, *place;
    } cases[] = {
        {"", "f.csv:1:1: "},
        {"\n\n", "f.csv:1:1: "},
        {"c01,p01\n1,2\n", "f.csv:1:1: "},
        {"ts\n1\n", "f.csv:1:1: "},
        {"ts,a,b\n1,2,3\n", "f.csv:1:1: "},
        {"ts,c01,c01\n1,2,3\n", "f.csv:1:8: "},
        {"ts,c01\n1\n", "f.csv:2:1: "},
        {"ts,c01\n1,2,3\n", "f.csv:2:3: "},
        {"ts,c01\n1,2\n1,3\n", "f.csv:3:1: "},
        {"ts,c01\nmonday,2\n", "f.csv:2:1: "},
        {"ts,c01\n123456789012,2\n", "f.csv:2:1: "},
        {"ts,c01\n2022-13-01T00:00:00Z,2\n", "f.csv:2:1: "},
        {"ts,c01\n2022-10-01T24:00:00Z,2\n", "f.csv:2:1: "},
        {"ts,c01\n2022-10-01T00:00:00,2\n", "f.csv:2:1: "},
        {"ts,c01\n1,x\n", "f.csv:2:3: "},
        {"ts,c01\n1,-1\n", "f.csv:2:3: "},
        {"ts,c01\n1,1.2345\n", "f.csv:2:3: "},
        {"ts,c01\n1,1.\n", "f.csv:2:3: "},
        {"ts,c01\n1,.5\n", "f.csv:2:3: "},
        {"ts,c01\n1,1e3\n", "f.csv:2:3: "},
        {"ts,c01\n1,1 2\n", "f.csv:2:3: "},
        {"ts,c01\n1,1234567890123456\n", "f.csv:2:3: "},
        {"ts,c01\n1,\"2\n", "f.csv:2:3: "},
        {"ts,point,wh\n1,c01\n", "f.csv:2:3: "},
        {"ts,point,wh\n1,c01,2,3\n", "f.csv:2:7: "},
        {"ts,point,wh\n1,x01,2\n", "f.csv:2:3: "},
        {"ts,point,wh\n1,c01,\n", "f.csv:2:7: "},
        {"ts,point,wh\n1,c01,2\n2,c01,2\n1,c01,2\n", "f.csv:4:1: "},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct readings r;
        struct errtext why = {""};
        assert_true(err_is(parse(cases[i].text, &r, &why), ERR_INVALID));
        if (strncmp(why.text, cases[i].place, strlen(cases[i].place)) != 0) {
            fail_msg("case %zu: '%s' does not begin with '%s'", i, why.text, cases[i].place);
        }
        assert_null(r.slots);
    }
}

static void the_greatest_reading_fits(void **state)
{
    (void)state;
    struct readings r;
    struct errtext why;
    assert_false(failed(parse("ts,c01\n1,999999999999999.999\n", &r, &why)));
    assert_true(r.items[0].mwh == INT64_C(999999999999999999));
    readings_done(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wide_file_is_read),
        cmocka_unit_test(a_long_file_is_read),
        cmocka_unit_test(mistakes_are_placed),
        cmocka_unit_test(the_greatest_reading_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
