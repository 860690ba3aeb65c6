/* Expressions: values, printing, order of evaluation, charges. Each case is one let of an event
 * whose trace shows the value. */
#include "helper.h"

struct expr_case {
    const char *expr, *want; /* want: JSON of the value, or a fault kind */
};

static const char before[] =
    "rules 1 contract t.t version 1 effective 2026-01-01\n"
    "measure EUR to 0.01 measure Wh to 0.001 measure EUR/kWh to 0.00001 measure h to 0.25\n"
    "measure pct to 0.0001\n"
    "party boss = \"boss\"\n"
    "record R { k: party, n: int, o?: int }\n"
    "table t [k: string(8)] { n: int }\n"
    "on go(n: int, l: list<int, max 5>, r: R) signed by boss dated day(now, \"Europe/Paris\") {\n"
    "let y = ";

/* Compiles and runs one expression; the result is in the buffer as text. */
static const char *evaluate(const char *expr, struct buf *out)
{
    char text[4096];
    (void)snprintf(text, sizeof text, "%s%s\n}\n", before, expr);
    struct law law = {rules_registry_default(), NULL};
    struct rules_env env = {law.registry, sha256};
    struct rules_diag diag;
    buf_clear(out);
    if (failed(rules_compile(&env, bytes_text(text), &law.program, &diag))) {
        buf_printf(out, "refused: %s%c", diag.message, 0);
        rules_registry_free(law.registry);
        return (const char *)out->data;
    }
    struct rules_run *run = rules_run_new(law.program);
    const char *have =
        law_line(run,
                 "{\"event\":\"go\",\"by\":[\"boss\"],\"now\":\"2026-07-01T10:20:30.5Z\",\"args\":{"
                 "\"n\":7,\"l\":[3,1,2],\"r\":{\"k\":\"anna\",\"n\":4}}}",
                 out);
    static char result[4096];
    const char *value = strstr(have, "\"let\",\"y\",");
    const char *kind = strstr(have, "\"kind\":\"");
    if (value != NULL) {
        value += 10;
        size_t size =
            (size_t)(strstr(value, "]],\"digest") != NULL ? strstr(value, "]],\"digest") - value
                                                          : strstr(value, "]") - value);
        (void)snprintf(result, sizeof result, "%.*s", (int)size, value);
    } else if (kind != NULL) {
        (void)snprintf(result, sizeof result, "%.*s", (int)strcspn(kind + 8, "\""), kind + 8);
    } else {
        (void)snprintf(result, sizeof result, "%s", have);
    }
    rules_run_free(run);
    law_done(&law);
    return result;
}

static void check_cases(const struct expr_case *cases, size_t count)
{
    struct buf out;
    int failures = 0;
    buf_init(&out, 1 << 20);
    for (size_t i = 0; i < count; i++) {
        const char *have = evaluate(cases[i].expr, &out);
        if (strcmp(have, cases[i].want) != 0) {
            print_error("%s\n have %s\n want %s\n", cases[i].expr, have, cases[i].want);
            failures++;
        }
    }
    buf_done(&out);
    assert_int_equal(failures, 0);
}

static void test_integers(void **state)
{
    static const struct expr_case cases[] = {
        {"1 + 2 * 3", "7"},
        {"(1 + 2) * 3", "9"},
        {"7 / 2", "3"},
        {"-7 / 2", "-3"},
        {"-7 % 2", "-1"},
        {"7 % -2", "1"},
        {"1-1", "0"},
        {"-9223372036854775808", "-9223372036854775808"},
        {"- -5", "5"},
        {"0x7f", "127"},
        {"9223372036854775807 + 1", "overflow"},
        {"-9223372036854775808 / -1", "overflow"},
        {"1 / 0", "divide"},
        {"1 % 0", "divide"},
        {"n > 5 ? 1 : 1 / 0", "1"},
        {"n > 5 || 1 / 0 > 0", "true"},
        {"n > 9 && 1 / 0 > 0", "false"},
        {"1 / 0 > 0 && false", "divide"},
        {"min(3, n, 5)", "3"},
        {"max(3, n, 5)", "7"},
        {"int(\"-12\")", "-12"},
        {"int(\"12a\")", "form"},
        {"int(\"9223372036854775808\")", "overflow"},
        {"1 < 2 == true", "true"},
        {"!(n == 7)", "false"},
        {"!!(n == 7)", "true"},
    };
    check_cases(cases, sizeof cases / sizeof cases[0]);
}

static void test_amounts(void **state)
{
    static const struct expr_case cases[] = {
        {"1 EUR + 0.25 EUR", "\"1.25 EUR\""},
        {"-7.85 EUR", "\"-7.85 EUR\""},
        {"10 EUR / -3", "\"(10/-3) EUR\""},
        {"10.00 EUR / -3", "\"(1000/-3)*1/100 EUR\""},
        {"round(10 EUR / 3, EUR, half_up)", "\"3.33 EUR\""},
        {"round(10 EUR / 3, EUR, up)", "\"3.34 EUR\""},
        {"round(0 EUR - 10 EUR / 3 * 1, EUR, up)",
         "refused: a division must be rounded: round(…, unit, half_up)"},
        {"40.2 kWh", "\"402*100 Wh\""},
        {"40.2 kWh * 0.13 EUR/kWh", "\"5226*1/1000 EUR\""},
        {"round(40.2 kWh * 0.13 EUR/kWh, EUR, half_even)", "\"5.23 EUR\""},
        {"round(2.5 EUR / 1 EUR, int, half_even)", "2"},
        {"round(3.5 EUR / 1 EUR, int, half_even)", "4"},
        {"round(0 EUR - 2.5 EUR, EUR, floor)", "\"-2.50 EUR\""},
        {"7.25 h", "\"725*1/100 h\""},
        {"90 min", "\"90*1/60 h\""},
        {"90 min == 1.5 h", "true"},
        {"20 pct", "\"20*1/100\""},
        {"20 pct * 50 EUR", "\"10.00 EUR\""},
        {"1 + 20 pct", "\"120*1/100\""},
        {"100 Wh > 0.1 kWh", "false"},
        {"100 Wh >= 0.1 kWh", "true"},
        {"min(1 EUR, 0.5 EUR)", "\"5*1/10 EUR\""},
        {"n > 5 ? 1 EUR : 0.25 EUR", "\"1.00 EUR\""},
        {"1 EUR / 0", "divide"},
        {"1 EUR * 1 EUR", "\"1 EUR^2\""},
        {"1 h / 1 EUR", "\"(1/1) h/EUR\""},
        {"1 / 1 h", "\"(1/1) 1/h\""},
        {"[1 EUR, 2 EUR].sum(i, i)", "\"3 EUR\""},
        {"9223372036854775807 EUR * 9223372036854775807 EUR * 1 EUR * 2",
         "\"170141183460469231694793815568465002498 EUR^3\""},
        {"9223372036854775807 EUR * 9223372036854775807 EUR * 1 EUR * 3", "overflow"},
    };
    check_cases(cases, sizeof cases / sizeof cases[0]);
}

static void test_texts_and_lists(void **state)
{
    static const struct expr_case cases[] = {
        {"\"a\" + 'b'", "\"ab\""},
        {"size(\"h\u00e9\")", "2"},
        {"size(b\"h\u00e9\")", "3"},
        {"\"abc\".startsWith(\"ab\")", "true"},
        {"\"abc\".endsWith(\"\")", "true"},
        {"\"abc\".contains(\"bd\")", "false"},
        {"\"a\\u00e9\\n\\\"\"", "\"a\u00e9\\u000a\\\"\""},
        {"r\"\\n\"", "\"\\\\n\""},
        {"b\"\\xff\\000\"", "\"ff00\""},
        {"\"\\x41\\102\"", "\"AB\""},
        {"\"\"\"a\"b\"\"\"", "\"a\\\"b\""},
        {"\"b\" > \"a\"", "true"},
        {"bytes(\"h\u00e9\")", "\"68c3a9\""},
        {"string(b\"\\xff\")", "form"},
        {"string(-5) + string(true)", "\"-5true\""},
        {"bool(\"t\")", "true"},
        {"bool(\"yes\")", "form"},
        {"l", "[3,1,2]"},
        {"l[1]", "1"},
        {"l[3]", "item"},
        {"l.size()", "3"},
        {"l + [9]", "[3,1,2,9]"},
        {"l == [3, 1, 2]", "true"},
        {"l != [3]", "true"},
        {"2 in l", "true"},
        {"5 in l", "false"},
        {"[] == l", "false"},
        {"l.all(i, i > 0)", "true"},
        {"l.exists(i, i == 2)", "true"},
        {"l.exists_one(i, i < 3)", "false"},
        {"l.filter(i, i != 1)", "[3,2]"},
        {"l.map(i, i * n)", "[21,7,14]"},
        {"l.map(i, i > 1, string(i))", "[\"3\",\"2\"]"},
        {"l.sum(i, i)", "6"},
        {"[1, 2, 3].all(e, 6 / (2 - e) == 6)", "divide"},
        {"[3, 2].exists(e, 6 / (2 - e) == -6)", "true"},
        {"r", "{\"k\":\"anna\",\"n\":4}"},
        {"has(r.o) ? r.o : r.n", "4"},
        {"r.k == boss", "false"},
        {"R{ n: 1, k: boss, o: 2 }", "{\"k\":\"boss\",\"n\":1,\"o\":2}"},
        {"\"x\" in t", "false"},
        {"has(t[\"longer than any key\"])", "false"},
        {"t[\"x\"].n", "row"},
    };
    check_cases(cases, sizeof cases / sizeof cases[0]);
}

static void test_time(void **state)
{
    static const struct expr_case cases[] = {
        {"now", "\"2026-07-01T10:20:30.5Z\""},
        {"now + duration(\"1h30m\")", "\"2026-07-01T11:50:30.5Z\""},
        {"duration(\"1h\") - duration(\"90m\")", "\"-1800s\""},
        {"now - timestamp(\"2026-07-01T10:20:00Z\")", "\"30.5s\""},
        {"day(now, \"+14:00\")", "\"2026-07-02\""},
        {"midnight(date(\"2026-07-01\"), \"Europe/Paris\")", "\"2026-06-30T22:00:00Z\""},
        {"month(date(\"2026-07-31\"))", "\"2026-07-01\""},
        {"monday(date(\"2026-07-01\"))", "\"2026-06-29\""},
        {"year(date(\"2026-07-31\"))", "2026"},
        {"days(date(\"2026-02-01\"), date(\"2026-03-01\"))", "28"},
        {"add_months(date(\"2026-01-31\"), 1, \"up\")", "\"2026-03-01\""},
        {"add_months(date(\"2026-01-31\"), 1, \"down\")", "\"2026-02-28\""},
        {"day(timestamp(\"1996-05-05T00:00:00Z\"), \"Europe/Paris\")", "civil"},
        {"now.getHours(\"Europe/Paris\")", "12"},
        {"now.getMonth()", "6"},
        {"now.getDayOfWeek()", "3"},
        {"now.getMilliseconds()", "500"},
        {"duration(\"3730s\").getMinutes()", "62"},
        {"int(now)", "1782901230"},
        {"timestamp(0)", "\"1970-01-01T00:00:00Z\""},
        {"timestamp(\"2026-07-01T12:00:00+02:00\") == timestamp(\"2026-07-01T10:00:00Z\")", "true"},
        {"max(date(\"2026-01-01\"), date(\"2026-02-01\"))", "\"2026-02-01\""},
        {"string(now)", "\"2026-07-01T10:20:30.5Z\""},
        {"date(string(n))", "form"},
    };
    check_cases(cases, sizeof cases / sizeof cases[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_integers),
        cmocka_unit_test(test_amounts),
        cmocka_unit_test(test_texts_and_lists),
        cmocka_unit_test(test_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
