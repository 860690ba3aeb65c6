/* Every kind of decision, effect and trace entry, told in three languages, compared with a text
 * that people have read. With --print after the file name it prints what it has instead. */
#include "tests/unit/rules/helper.h"

#include "rules/explain.h"

static const char CONTRACT[] =
    "rules 1\n"
    "contract test.shop version 4 effective 2026-01-01\n"
    "\"A shop\"\n"
    "measure EUR to 0.01\n"
    "measure Wh to 0.001\n"
    "measure EUR/kWh to 0.00001\n"
    "party office = \"office\"\n"
    "record Item { who: party, energy: Wh, price: EUR/kWh }\n"
    "table seen [id: string(8)] { day: date, note?: string(20) }\n"
    "account purse [who: party]: EUR overdraft 5.00 EUR\n"
    "account fund: EUR\n"
    "on sell(id: string(8), due: date, pay: EUR, items: list<Item by who, max 5>)\n"
    "    signed by office dated day(now, \"UTC\") {\n"
    "  clause 1 \"Each sale is new and of value\"\n"
    "  require !(id in seen) else \"sold already\"\n"
    "  require (due >= day(now, \"UTC\") && pay >= 2 EUR) // both\n"
    "    && pay <= 100 EUR else \"out of bounds\"\n"
    "  clause 2.1 \"The price is shared\"\n"
    "  let third = round(pay / 3, EUR, half_up)\n"
    "  if size(items) > 1 { set seen[id] = { day: due } } else { set seen[id] = { day: due, note: "
    "\"one\" } }\n"
    "  apportion third over items as i by i.energy giving part {\n"
    "    issue part into purse[i.who]\n"
    "  }\n"
    "  clause 2.2 \"The rest is settled\"\n"
    "  for i in items { require i.energy < 9 kWh }\n"
    "  transfer third from fund to purse[office]\n"
    "  emit sold { id: id, part: third }\n"
    "  schedule late(id: id) at now + duration(\"90s\")\n"
    "}\n"
    "on cut(id: string(8), pieces: int) signed by office dated seen[id].day {\n"
    "  clause 3 \"A sale is divided\"\n"
    "  let each = 100 / pieces\n"
    "  require each > 10\n"
    "  retire 1 EUR from purse[office]\n"
    "}\n"
    "on trade(items: list<Item by who, max 5>, offers: list<Item by who, max 5>)\n"
    "    signed by office dated day(now, \"UTC\") {\n"
    "  clause 4 \"The market is cleared\"\n"
    "  clear items as b for b.energy at b.price against offers as o for o.energy at o.price\n"
    "    giving g at price buyers { } sellers { }\n"
    "}\n"
    "on late(id: string(8)) signed by clock {\n"
    "  clause 5 \"A late sale is forgotten\"\n"
    "  remove seen[id]\n"
    "}\n";

#define EVENT(name, args)                                                                          \
    "{\"event\":\"" name "\",\"by\":[\"office\"],\"now\":\"2026-03-01T12:00:00Z\",\"args\":" args  \
    "}"
#define ITEMS                                                                                      \
    "[{\"who\":\"a\",\"energy\":\"1 kWh\",\"price\":\"0.2 EUR/kWh\"},"                             \
    "{\"who\":\"b\",\"energy\":\"3 kWh\",\"price\":\"0.1 EUR/kWh\"}]"

/* In order; each may cause several results. */
static const char *const LINES[] = {
    "{\"given\":\"fund\",\"amount\":\"20.00 EUR\"}",
    EVENT("sell",
          "{\"id\":\"s1\",\"due\":\"2026-04-02\",\"pay\":\"10.00 EUR\",\"items\":" ITEMS "}"),
    EVENT("sell", "{\"id\":\"s1\",\"due\":\"2026-04-02\",\"pay\":\"10.00 EUR\",\"items\":[]}"),
    EVENT("sell", "{\"id\":\"s2\",\"due\":\"2026-02-26\",\"pay\":\"10.00 EUR\",\"items\":[]}"),
    EVENT("sell", "{\"id\":\"s2\",\"due\":\"2026-04-02\",\"pay\":\"1.75 EUR\",\"items\":[]}"),
    EVENT("sell", "{\"id\":\"s2\",\"due\":\"2026-04-02\",\"pay\":\"100.01 EUR\",\"items\":[]}"),
    EVENT("sell",
          "{\"id\":\"s2\",\"due\":\"2026-04-02\",\"pay\":\"9 EUR\",\"items\":[{\"who\":\"a\","
          "\"energy\":\"9 kWh\",\"price\":\"0 EUR/kWh\"}]}"),
    EVENT("sell", "{\"id\":\"s2\",\"due\":\"2026-04-02\",\"pay\":\"90 EUR\",\"items\":" ITEMS "}"),
    EVENT("sell", "{\"id\":7}"),
    EVENT("cut", "{\"id\":\"s1\",\"pieces\":0}"),
    EVENT("cut", "{\"id\":\"s1\",\"pieces\":20}"),
    EVENT("cut", "{\"id\":\"s1\",\"pieces\":5}"),
    EVENT("cut", "{\"id\":\"none\",\"pieces\":5}"),
    EVENT("trade", "{\"items\":" ITEMS ",\"offers\":[{\"who\":\"c\",\"energy\":\"2 kWh\","
                   "\"price\":\"0.15 EUR/kWh\"}]}"),
    EVENT("trade", "{\"items\":[],\"offers\":[]}"),
    EVENT("late", "{\"id\":\"s1\"}"),
    "{\"event\":\"trade\",\"now\":\"2026-03-01T12:00:00Z\",\"args\":{\"items\":[],\"offers\":[]}}",
    EVENT("none", "{}"),
    "{\"tick\":\"2026-03-01T12:05:00Z\"}",
};

static void explain_all(struct buf *out)
{
    static const char *const names[] = {"en", "fr", "nl"};
    struct law law = law_compile(CONTRACT);
    struct rules_run *run = rules_run_new(law.program);
    struct buf results;
    struct errtext why;
    buf_init(&results, 1 << 20);
    for (size_t i = 0; i < sizeof LINES / sizeof LINES[0]; i++) {
        char *line = (char *)(uintptr_t)law_line(run, LINES[i], &results);
        for (char *end = strchr(line, '\n'); end != NULL;
             line = end + 1, end = strchr(line, '\n')) {
            for (size_t n = 0; n < 3; n++) {
                enum rules_language language;
                assert_true(rules_language_parse(bytes_text(names[n]), &language));
                buf_printf(out, "==== %zu %s\n", i, names[n]);
                struct bytes result = bytes_of(line, (size_t)(end - line));
                if (failed(rules_explain_line(law.program, result, language, out, &why))) {
                    fail_msg("%s", why.text);
                }
            }
        }
    }
    buf_done(&results);
    rules_run_free(run);
    law_done(&law);
}

static void decisions_are_told(void **state)
{
    const char *path = *state;
    struct buf have;
    struct buf want;
    buf_init(&have, 1 << 20);
    buf_init(&want, 1 << 20);
    explain_all(&have);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    uint8_t *room = buf_room(&want, 1 << 19);
    assert_non_null(room);
    buf_added(&want, fread(room, 1, 1 << 19, f));
    (void)fclose(f);
    buf_put_u8(&have, 0);
    buf_put_u8(&want, 0);
    assert_string_equal((const char *)have.data, (const char *)want.data);
    buf_done(&have);
    buf_done(&want);
}

/* The parts that a ledger keeps give the same text as the line of a run. */
static void parts_and_lines_agree(void **state)
{
    (void)state;
    struct law law = law_compile(CONTRACT);
    struct buf a;
    struct buf b;
    struct errtext why;
    const struct rules_decision d = {
        bytes_text("{\"event\":\"cut\",\"version\":4,\"now\":\"2026-03-01T12:00:00Z\",\"legal\":"
                   "\"2026-03-01\",\"end\":\"fault\",\"kind\":\"divide\",\"clause\":\"3\","
                   "\"line\":32,\"spent\":9}"),
        bytes_text("[]"), bytes_text("[]")};
    buf_init(&a, 65536);
    buf_init(&b, 65536);
    assert_false(failed(rules_explain(law.program, &d, RULES_FRENCH, &a, &why)));
    buf_printf(&b, "{\"n\":1,\"outcome\":%s,\"effects\":[],\"trace\":[],\"digest\":\"\"}",
               (const char *)d.outcome.data);
    struct bytes line = bytes_text(strdup((const char *)(buf_put_u8(&b, 0), b.data)));
    buf_clear(&b);
    assert_false(failed(rules_explain_line(law.program, line, RULES_FRENCH, &b, &why)));
    assert_int_equal(a.size, b.size);
    assert_memory_equal(a.data, b.data, a.size);
    free((void *)(uintptr_t)line.data);
    buf_done(&a);
    buf_done(&b);
    law_done(&law);
}

/* Whatever stands in a result that somebody made up, it is told or refused, never believed. */
static void strange_results_do_no_harm(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "",
        "7",
        "{}",
        "{\"outcome\":{},\"effects\":[]}",
        "{\"outcome\":[],\"effects\":[],\"trace\":[]}",
        "{\"outcome\":{},\"effects\":{},\"trace\":[]}",
        "{\"outcome\":{},\"effects\":[],\"trace\":7}",
    };
    static const char *const odd[] = {
        "{\"outcome\":{},\"effects\":[],\"trace\":[]}",
        "{\"outcome\":{\"end\":\"rejected\",\"clause\":\"9.9\",\"why\":\"w\"},\"effects\":[7,[]],"
        "\"trace\":[null,[],[\"9\",-1,\"require\",false,99,\"1/0\",\"(1/0) EUR\"]]}",
        "{\"outcome\":{\"end\":\"rejected\",\"clause\":\"0.3\",\"why\":\"the legal date cannot be "
        "found (\"},\"effects\":[],\"trace\":[[\"1\",15,\"round\",\"(1/0)*7 EUR\",\"-\",1],"
        "[\"1\",15,\"require\",false,4000000000],[\"1\",1,\"clear\",null,[],[]],"
        "[\"1\",1,\"let\",\"x\",[[[[[[1]]]]]]]]}",
    };
    struct law law = law_compile(CONTRACT);
    struct buf out;
    struct errtext why;
    buf_init(&out, 65536);
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        assert_true(
            failed(rules_explain_line(law.program, bytes_text(lines[i]), RULES_DUTCH, &out, &why)));
    }
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        assert_false(
            failed(rules_explain_line(law.program, bytes_text(odd[i]), RULES_DUTCH, &out, &why)));
    }
    enum rules_language language;
    assert_false(rules_language_parse(bytes_text("de"), &language));
    buf_done(&out);
    law_done(&law);
}

int main(int argc, char **argv)
{
    if (argc == 3) {
        struct buf out;
        buf_init(&out, 1 << 20);
        explain_all(&out);
        (void)fwrite(out.data, 1, out.size, stdout);
        buf_done(&out);
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(decisions_are_told, argv[1]),
        cmocka_unit_test(parts_and_lines_agree),
        cmocka_unit_test(strange_results_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
