/* Ends of events: every fault kind, every rule of clause 0, timers, and what lies between. */
#include "helper.h"

static const char law_text[] =
    "rules 1 contract t.t version 2 effective 2026-01-01\n" /* 1 */
    "measure EUR to 0.01 measure Wh to 0.001 measure EUR/kWh to 0.00001 measure pct to 0.0001\n"
    "party boss = \"boss\" party aide = \"aide\"\n" /* 3 */
    "record Pair { k: party, n: int }\n"
    "table t [k: party] { n: int, note?: string(8) }\n" /* 5 */
    "table m [d: date, n: int] max 2 { v: Wh, o?: int }\n"
    "account w [k: party]: EUR overdraft 1.00 EUR\n" /* 7 */
    "account free: EUR overdraft unlimited\n"
    "term late: int = 5 from 2030-01-01\n" /* 9 */
    "term rate: pct = 10 pct, 20 pct from 2026-06-01\n"
    "on calc(what: string, n: int, d: date, moment: timestamp, u: duration) signed by boss\n" /* 11
                                                                                               */
    "    dated day(now, \"UTC\") {\n"
    "clause 1 \"faults\"\n"
    "if what == \"overflow\" { let x = n + 1 }\n" /* 14 */
    "if what == \"divide\" { let x = 10 / n }\n"
    "if what == \"row\" { let x = t[boss].n }\n" /* 16 */
    "if what == \"item\" { let x = [1, 2][n] }\n"
    "if what == \"range\" { let x = add_days(d, n) }\n" /* 18 */
    "if what == \"form\" { let x = int(what) }\n"
    "if what == \"negative\" { transfer n * 1 EUR from free to w[boss] }\n" /* 20 */
    "if what == \"weights\" { apportion 5 EUR over [0, 0] as i by i giving g { } }\n"
    "if what == \"term\" { let x = late }\n" /* 22 */
    "if what == \"civil\" { let x = add_months(d, 1, \"fail\") }\n"
    "if what == \"sum\" { let x = [n, n].sum(i, i) }\n" /* 24 */
    "if what == \"negate\" { let x = -n }\n"
    "if what == \"time\" { let x = moment + u }\n" /* 26 */
    "if what == \"gap\" { let x = moment - timestamp(\"0001-01-01T00:00:00Z\") }\n"
    "if what == \"rate\" { let x = round(rate * 100, int, down) }\n" /* 28 */
    "}\n"
    "on pay(payer: party, to_who: party, a: EUR) signed by boss and aide dated day(now, \"UTC\") "
    "{\n"
    "transfer a from w[payer] to w[to_who]\n" /* 31 */
    "}\n"
    "on mint(to_who: party, a: EUR) signed by boss dated day(now, \"UTC\") {\n" /* 33 */
    "issue a into w[to_who]\n"
    "}\n"
    "on fill(d: date, n: int, v: Wh) signed by boss dated day(now, \"UTC\") {\n" /* 36 */
    "add v to m[d, n].v\n"
    "}\n"
    "on empty(d: date, n: int) signed by boss dated d {\n" /* 39 */
    "remove m[d, n]\n"
    "add 1 to m[d, n].o\n" /* 41 */
    "}\n"
    "on mine() signed by anyone as me dated day(now, \"UTC\") {\n" /* 43 */
    "clause 2 \"standing\"\n"
    "require me == boss || me == aide else \"nobody knows you\"\n" /* 45 */
    "set t[me] = { n: 1 }\n"
    "}\n"
    "on plan(moment: timestamp, n: int) signed by boss dated day(now, \"UTC\") {\n" /* 48 */
    "for i in [1, 2, 3] { if i <= n { schedule ring(n: n - i) at moment } }\n"
    "}\n"
    "on ring(n: int) signed by clock {\n" /* 51 */
    "clause 3 \"timers\"\n"
    "require n != 7 else \"seven\"\n" /* 53 */
    "add 1 to t[boss].n\n"
    "}\n"
    "on near(d: date) signed by boss dated d {\n" /* 56 */
    "clause 4 \"dated look-ups\"\n"
    "let r = m[date(\"2026-01-01\"), <= 5]\n" /* 58 */
    "}\n";

struct step {
    const char *line; /* NULL: nothing more */
    const char *want; /* must be in what is printed; "" means nothing is printed */
};

static void check_steps(const struct step *steps)
{
    struct law law = law_compile(law_text);
    struct rules_run *run = rules_run_new(law.program);
    struct buf out;
    buf_init(&out, 16 << 20);
    for (size_t i = 0; steps[i].line != NULL; i++) {
        const char *have = law_line(run, steps[i].line, &out);
        bool fine =
            steps[i].want[0] == '\0' ? have[0] == '\0' : strstr(have, steps[i].want) != NULL;
        if (!fine) {
            fail_msg("%s\n have %s\n want %s", steps[i].line, have, steps[i].want);
        }
    }
    buf_done(&out);
    rules_run_free(run);
    law_done(&law);
}

#define CALC(what, n, d, at, u)                                                                    \
    "{\"event\":\"calc\",\"by\":[\"boss\"],\"now\":\"2026-05-05T10:00:00Z\",\"args\":{\"what\":"   \
    "\"" what "\",\"n\":" n ",\"d\":\"" d "\",\"moment\":\"" at "\",\"u\":\"" u "\"}}"
#define FAULT(kind, line)                                                                          \
    "\"end\":\"fault\",\"kind\":\"" kind "\",\"clause\":\"1\",\"line\":" line ","
#define CALC3(what, n, d) CALC(what, n, d, "2026-01-01T00:00:00Z", "0s")

static void test_faults(void **state)
{
    static const struct step steps[] = {
        {CALC3("overflow", "9223372036854775807", "2026-01-31"), FAULT("overflow", "14")},
        {CALC3("overflow", "9223372036854775806", "2026-01-31"),
         "[\"1\",14,\"let\",\"x\",9223372036854775807]"},
        {CALC3("divide", "0", "2026-01-31"), FAULT("divide", "15")},
        {CALC3("divide", "-3", "2026-01-31"), "[\"1\",15,\"let\",\"x\",-3]"},
        {CALC3("row", "0", "2026-01-31"), FAULT("row", "16")},
        {CALC3("item", "2", "2026-01-31"), FAULT("item", "17")},
        {CALC3("item", "-1", "2026-01-31"), FAULT("item", "17")},
        {CALC3("item", "1", "2026-01-31"), "[\"1\",17,\"let\",\"x\",2]"},
        {CALC3("range", "3652059", "2026-01-31"), FAULT("range", "18")},
        {CALC3("form", "0", "2026-01-31"), FAULT("form", "19")},
        {CALC3("negative", "-1", "2026-01-31"), FAULT("negative", "20")},
        {CALC3("weights", "0", "2026-01-31"), FAULT("weights", "21")},
        {CALC3("term", "0", "2026-01-31"), FAULT("term", "22")},
        {CALC3("civil", "0", "2026-01-31"), FAULT("civil", "23")},
        {CALC3("civil", "0", "2026-01-28"), "[\"1\",23,\"let\",\"x\",\"2026-02-28\"]"},
        {CALC3("sum", "4611686018427387904", "2026-01-31"), FAULT("overflow", "24")},
        {CALC3("negate", "-9223372036854775808", "2026-01-31"), FAULT("overflow", "25")},
        {CALC("time", "0", "2026-01-31", "9999-12-31T23:59:59Z", "1s"), FAULT("range", "26")},
        {CALC("time", "0", "2026-01-31", "2026-01-01T00:00:00Z", "-1.5s"),
         "[\"1\",26,\"let\",\"x\",\"2025-12-31T23:59:58.5Z\"]"},
        {CALC3("gap", "0", "2026-01-31"), FAULT("overflow", "27")},
        {CALC3("rate", "0", "2026-01-31"), "[\"1\",28,\"let\",\"x\",10]"},
        {"{\"event\":\"calc\",\"by\":[\"boss\"],\"now\":\"2026-06-01T00:00:00Z\",\"args\":{"
         "\"what\":"
         "\"rate\",\"n\":0,\"d\":\"2026-01-01\",\"moment\":\"2026-01-01T00:00:00Z\",\"u\":\"0s\"}}",
         "\"legal\":\"2026-06-01\",\"end\":\"accepted\""},
        {NULL, NULL},
    };
    check_steps(steps);
}

#define PAY(by, from, to, a)                                                                       \
    "{\"event\":\"pay\",\"by\":[" by                                                               \
    "],\"now\":\"2026-05-05T10:00:00Z\",\"args\":{\"payer\":\"" from "\",\"to_who\":\"" to         \
    "\",\"a\":\"" a "\"}}"
#define BOTH "\"aide\",\"x\",\"boss\""

static void test_clause_zero(void **state)
{
    static const struct step steps[] = {
        {"{\"event\":\"no\\u0001ne\",\"now\":\"2026-05-05T10:00:00Z\"}",
         "{\"event\":\"no\\u0001ne\",\"version\":2,\"now\":\"2026-05-05T10:00:00Z\",\"legal\":null,"
         "\"end\":\"rejected\",\"clause\":\"0.1\",\"line\":0,\"why\":\"event: 'no\\u0001ne' is not "
         "declared\",\"spent\":0}"},
        {PAY("\"boss\"", "a", "b", "0.10 EUR"),
         "\"clause\":\"0.2\",\"line\":0,\"why\":\"not signed by aide\""},
        {PAY("", "a", "b", "0.10 EUR"), "not signed by boss"},
        {PAY(BOTH, "a", "b", "1.00 EUR"),
         "[[\"transfer\",\"0\",31,\"w\",[\"a\"],\"w\",[\"b\"],\"1.00 EUR\"]]"},
        {PAY(BOTH, "a", "b", "0.01 EUR"), "\"legal\":\"2026-05-05\",\"end\":\"rejected\","
                                          "\"clause\":\"0.4\",\"line\":0,\"why\":\"w[a] would "
                                          "stand at -1.01 EUR\",\"spent\":211"},
        {PAY(BOTH, "b", "b", "5.00 EUR"), "\"end\":\"accepted\""}, /* net nothing */
        {PAY(BOTH, "b", "a", "0.00 EUR"), "\"effects\":[],"},
        {PAY(BOTH, "A", "b", "0.00 EUR"), "args.payer: not a party name"},
        {PAY(BOTH, "a", "b", "0.001 EUR"), "args.a: finer than EUR is measured"},
        {PAY(BOTH, "a", "b", "0.010 EUR"), "\"clause\":\"0.4\""},
        {PAY(BOTH, "a", "b", "1 kWh"), "args.a: EUR expected"},
        {PAY(BOTH, "a", "b", "99999999999999999999 EUR"), "args.a: EUR expected"},
        {PAY(BOTH, "a", "b", "9223372036854775808 EUR"), "args.a: out of range"},
        {PAY(BOTH, "a", "b", "9223372036854775807 EUR"), "args.a: out of range"},
        {"{\"event\":\"ring\",\"by\":[\"boss\"],\"now\":\"2026-05-05T10:00:00Z\",\"args\":{\"n\":1}"
         "}",
         "\"clause\":\"0.2\",\"line\":0,\"why\":\"only a timer may do this\""},
        {"{\"event\":\"mine\",\"by\":[\"boss\",\"aide\"],\"now\":\"2026-05-05T10:00:00Z\"}",
         "one signer expected"},
        {"{\"event\":\"mine\",\"by\":[\"eve\"],\"now\":\"2026-05-05T10:00:00Z\"}",
         "\"clause\":\"2\",\"line\":45,\"why\":\"nobody knows you\""},
        {"{\"event\":\"mine\",\"by\":[\"aide\"],\"now\":\"2026-05-05T10:00:00Z\"}",
         "[[\"put\",46,\"t\",[\"aide\"],{\"n\":1}]]"},
        {"{\"event\":\"mine\",\"by\":[\"aide\"],\"now\":\"2026-05-05T10:00:00Z\"}",
         "\"effects\":[],"},
        {"{\"event\":\"mine\",\"by\":[\"aide\"],\"now\":\"2026-05-05T10:00:00Z\",\"legal\":\"2026-"
         "05-04\"}",
         "\"legal\":\"2026-05-05\",\"end\":\"rejected\",\"clause\":\"0.3\",\"line\":0,\"why\":"
         "\"the legal date is "
         "2026-05-05\""},
        {"{\"event\":\"mine\",\"by\":[\"aide\"],\"now\":\"2025-12-31T23:59:59Z\"}",
         "\"clause\":\"0.3\",\"line\":0,\"why\":\"version 2 takes effect on 2026-01-01\""},
        {NULL, NULL},
    };
    check_steps(steps);
}

#define FILL(n)                                                                                    \
    "{\"event\":\"fill\",\"by\":[\"boss\"],\"now\":\"2026-05-05T10:00:00Z\",\"args\":{\"d\":"      \
    "\"2026-01-01\",\"n\":" n ",\"v\":\"1 Wh\"}}"
#define EMPTY(n)                                                                                   \
    "{\"event\":\"empty\",\"by\":[\"boss\"],\"now\":\"2026-05-05T10:00:00Z\",\"args\":{\"d\":"     \
    "\"2026-01-01\",\"n\":" n "}}"
#define NEAR                                                                                       \
    "{\"event\":\"near\",\"by\":[\"boss\"],\"now\":\"2026-05-05T10:00:00Z\",\"args\":{\"d\":"      \
    "\"2026-01-01\"}}"

static void test_rows(void **state)
{
    static const struct step steps[] = {
        {NEAR, "\"end\":\"fault\",\"kind\":\"row\",\"clause\":\"4\",\"line\":58"},
        {FILL("9"), "[\"put\",37,\"m\",[\"2026-01-01\",9],{\"v\":\"1.000 Wh\"}]"},
        {NEAR, "\"kind\":\"row\""},
        {FILL("-1"), "\"end\":\"accepted\""},
        {NEAR, "[\"4\",58,\"let\",\"r\",{\"d\":\"2026-01-01\",\"n\":-1,\"v\":\"1.000 Wh\"}]"},
        {FILL("3"), "\"clause\":\"0.5\",\"line\":37,\"why\":\"m is full (at most 2 rows)\""},
        {FILL("9"), "{\"v\":\"2.000 Wh\"}"},
        /* removed and begun again: one row takes the place of itself */
        {EMPTY("9"), "[[\"put\",41,\"m\",[\"2026-01-01\",9],{\"v\":\"0.000 Wh\",\"o\":1}]]"},
        {EMPTY("3"), "m is full"},
        {FILL("9"), "{\"v\":\"1.000 Wh\",\"o\":1}"},
        {NULL, NULL},
    };
    check_steps(steps);
}

#define PLAN(now, at, n)                                                                           \
    "{\"event\":\"plan\",\"by\":[\"boss\"],\"now\":\"" now "\",\"args\":{\"moment\":\"" at         \
    "\",\"n\":" n "}}"

static void test_timers(void **state)
{
    static const struct step steps[] = {
        {PLAN("2026-05-05T10:00:00Z", "2026-05-05T10:00:59.999999999Z", "1"),
         "\"end\":\"fault\",\"kind\":\"range\",\"clause\":\"0\",\"line\":49"},
        {PLAN("2026-05-05T10:00:00Z", "2026-05-05T10:01:00Z", "2"),
         "[[\"schedule\",\"0\",49,\"ring\",{\"n\":1},\"2026-05-05T10:01:00Z\",\"2026-05-05\"],["
         "\"schedule\","
         "\"0\",49,\"ring\",{\"n\":0},\"2026-05-05T10:01:00Z\",\"2026-05-05\"]]"},
        {"{\"tick\":\"2026-05-05T10:00:59Z\"}", ""},
        {"{\"tick\":\"2026-05-05T10:01:00Z\"}",
         "{\"n\":3,\"outcome\":{\"event\":\"ring\",\"version\":2,\"now\":\"2026-05-05T10:01:00Z\","
         "\"legal\":"
         "\"2026-05-05\",\"end\":\"accepted\",\"spent\":"},
        {"{\"tick\":\"2026-05-05T10:01:00Z\"}", ""},
        {PLAN("2026-05-06T10:00:00Z", "2026-05-06T10:02:00Z", "1"), "\"end\":\"accepted\""},
        /* fires before the event that comes later, with its own time */
        {"{\"event\":\"mine\",\"by\":[\"eve\"],\"now\":\"2026-05-07T10:00:00Z\"}",
         "\"now\":\"2026-05-06T10:02:00Z\",\"legal\":\"2026-05-06\",\"end\":\"accepted\""},
        /* a rejected timer is gone too */
        {PLAN("2026-05-08T10:00:00Z", "2026-05-08T10:02:00Z", "8"), "{\"n\":7}"},
        {"{\"tick\":\"2026-05-08T10:02:00Z\"}",
         "\"end\":\"rejected\",\"clause\":\"3\",\"line\":53,\"why\":\"seven\""},
        {"{\"tick\":\"2026-05-08T10:02:00Z\"}", ""},
        {NULL, NULL},
    };
    check_steps(steps);
}

static size_t count_lines(const char *text)
{
    size_t count = 0;
    for (; *text != '\0'; text++) {
        count += *text == '\n';
    }
    return count;
}

/* 66 timers are due: 64 fire, the event itself is rejected by 0.6, the next one fires the rest. */
static void test_too_many_timers(void **state)
{
    struct law law = law_compile(law_text);
    struct rules_run *run = rules_run_new(law.program);
    struct buf out;
    buf_init(&out, 16 << 20);
    for (int i = 0; i < 22; i++) {
        (void)law_line(run, PLAN("2026-05-05T10:00:00Z", "2026-05-05T11:00:00Z", "3"), &out);
    }
    const char *mine = "{\"event\":\"mine\",\"by\":[\"boss\"],\"now\":\"2026-05-05T11:00:00Z\"}";
    const char *have = law_line(run, mine, &out);
    assert_int_equal(count_lines(have), 65);
    assert_non_null(strstr(have,
                           "\"legal\":null,\"end\":\"rejected\",\"clause\":\"0.6\",\"line\":0,"
                           "\"why\":\"timers are due first\",\"spent\":0},\"effects\":[],"
                           "\"trace\":[]"));
    have = law_line(run, mine, &out);
    assert_int_equal(count_lines(have), 3);
    assert_non_null(strstr(have,
                           "\"event\":\"mine\",\"version\":2,\"now\":\"2026-05-05T11:00:00Z\","
                           "\"legal\":\"2026-05-05\",\"end\":\"accepted\""));
    buf_done(&out);
    rules_run_free(run);
    law_done(&law);
}

static void test_malformed_lines(void **state)
{
    static const char *const lines[] = {
        "{",
        "[]",
        "{}",
        "5",
        "{\"event\":5}",
        "{\"event\":\"mine\"}",
        "{\"event\":\"mine\",\"now\":\"yesterday\"}",
        "{\"event\":\"mine\",\"now\":\"2026-05-05T10:00:00Z\",\"legal\":null}",
        "{\"event\":\"mine\",\"now\":\"2026-05-05T10:00:00Z\",\"by\":\"boss\"}",
        "{\"event\":\"mine\",\"now\":\"2026-05-05T10:00:00Z\",\"args\":[]}",
        "{\"event\":\"mine\",\"event\":\"mine\",\"now\":\"2026-05-05T10:00:00Z\"}",
        "{\"tick\":5}",
        "{\"given\":\"nothing\"}",
        "{\"given\":\"t\",\"key\":[\"a\"]}",
        "{\"given\":\"t\",\"key\":[],\"row\":{\"n\":1}}",
        "{\"given\":\"w\",\"key\":[\"a\"],\"amount\":\"1 Wh\"}",
        "{\"event\":\"\\ud800\",\"now\":\"2026-05-05T10:00:00Z\"}",
    };
    struct law law = law_compile(law_text);
    struct rules_run *run = rules_run_new(law.program);
    struct buf out;
    buf_init(&out, 1 << 20);
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        struct errtext why = {{0}};
        err e = rules_run_line(run, bytes_text(lines[i]), &out, &why);
        if (!err_is(e, ERR_INVALID) || why.text[0] == '\0' || out.size > 0) {
            fail_msg("%s is taken", lines[i]);
        }
    }
    assert_false(failed(rules_run_line(run, bytes_text(""), &out, NULL)));
    buf_done(&out);
    rules_run_free(run);
    law_done(&law);
}

/* Postings balance, and every family sums to zero at every moment. */
static void test_issuance(void **state)
{
    struct law law = law_compile(law_text);
    struct rules_run *run = rules_run_new(law.program);
    struct buf out;
    buf_init(&out, 1 << 20);
    const char *have = law_line(run,
                                "{\"event\":\"mint\",\"by\":[\"boss\"],\"now\":"
                                "\"2026-05-05T10:00:00Z\",\"args\":{\"to_who\":\"a\",\"a\":"
                                "\"92233720368547758.07 EUR\"}}",
                                &out);
    assert_non_null(
        strstr(have, "[[\"issue\",\"0\",34,\"w\",[\"a\"],\"92233720368547758.07 EUR\"]]"));
    have = law_line(run,
                    "{\"event\":\"mint\",\"by\":[\"boss\"],\"now\":\"2026-05-05T10:00:00Z\","
                    "\"args\":{\"to_who\":\"b\",\"a\":\"0.02 EUR\"}}",
                    &out);
    assert_non_null(strstr(have, "\"kind\":\"overflow\",\"clause\":\"0\",\"line\":34"));
    buf_done(&out);
    rules_run_free(run);
    law_done(&law);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_clause_zero),
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_timers),
        cmocka_unit_test(test_too_many_timers),
        cmocka_unit_test(test_malformed_lines),
        cmocka_unit_test(test_issuance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
