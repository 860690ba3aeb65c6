/* Static bounds: the published ones of the shipped contract, and that the greatest input reaches
 * the bound of steps and no more. The contract is read from the path given. */
#include "helper.h"

static const char *contract_path;

static char *read_contract(void)
{
    static char text[1 << 18];
    FILE *f = fopen(contract_path, "rb");
    assert_non_null(f);
    size_t size = fread(text, 1, sizeof text - 1, f);
    (void)fclose(f);
    text[size] = '\0';
    return text;
}

static void test_published(void **state)
{
    static const struct {
        const char *event;
        struct rules_bound bound;
    } cases[] = {
        {"admit", {121, 1, 470, 144}},
        {"metering", {1089093, 6021, 1824732, 1140864}},
        {"close", {2578405, 12040, 5899850, 2166432}},
    };
    struct law law = law_compile(read_contract());
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct rules_event_facts *f =
            rules_program_event_find(law.program, bytes_text(cases[i].event));
        assert_non_null(f);
        assert_int_equal(f->bound.steps, cases[i].bound.steps);
        assert_int_equal(f->bound.effects, cases[i].bound.effects);
        assert_int_equal(f->bound.bytes, cases[i].bound.bytes);
        assert_int_equal(f->bound.arena, cases[i].bound.arena);
    }
    law_done(&law);
}

static void give(struct rules_run *run, const char *table, char kind, int count, const char *row)
{
    struct buf out;
    buf_init(&out, 1 << 20);
    for (int i = 0; i < count; i++) {
        char line[256];
        (void)snprintf(line, sizeof line, "{\"given\":\"%s\",\"key\":[\"%c%03d\"],\"row\":%s}",
                       table, kind, i, row);
        (void)law_line(run, line, &out);
    }
    buf_done(&out);
}

static void put_readings(struct buf *line, char kind, int count, const char *energy)
{
    buf_put_u8(line, '[');
    for (int i = 0; i < count; i++) {
        buf_printf(line, "%s{\"meter\":\"%c%03d\",\"energy\":\"%s\"}", i > 0 ? "," : "", kind, i,
                   energy);
    }
    buf_put_u8(line, ']');
}

/* 20 producers and 150 members: every share is positive, so every effect happens. */
static void test_greatest_input(void **state)
{
    struct law law = law_compile(read_contract());
    struct rules_run *run = rules_run_new(law.program);
    struct buf line;
    struct buf out;
    buf_init(&line, 1 << 20);
    buf_init(&out, 16 << 20);
    give(run, "producer", 'p', 20, "{\"price\":\"0.13 EUR/kWh\"}");
    give(run, "member", 'c', 150, "{\"since\":\"2026-07-01\"}");
    buf_put_text(&line,
                 "{\"event\":\"metering\",\"by\":[\"enedis\"],\"now\":\"2026-07-01T10:00:00Z\","
                 "\"args\":{\"start\":\"2026-07-01T10:00:00Z\",\"made\":");
    put_readings(&line, 'p', 20, "7501 Wh");
    buf_put_text(&line, ",\"used\":");
    put_readings(&line, 'c', 150, "1000 Wh");
    buf_put_text(&line, "}}");
    buf_put_u8(&line, 0);
    const char *have = law_line(run, (const char *)line.data, &out);
    assert_non_null(strstr(have, "\"end\":\"accepted\",\"spent\":1089093}"));
    buf_done(&line);
    buf_done(&out);
    rules_run_free(run);
    law_done(&law);
}

int main(int argc, char **argv)
{
    contract_path = argc > 1 ? argv[1] : "contracts/solar.rules";
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_published),
        cmocka_unit_test(test_greatest_input),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
