/* The Args message and the JSON form: what is taken, what is refused, with which words. */
#include "helper.h"

static const char law_text[] =
    "rules 1 contract t.t version 1 effective 2026-01-01\n"
    "measure EUR to 0.01 measure Wh to 0.001 measure EUR/kWh to 0.00001 measure h to 0.25\n"
    "party boss = \"boss\"\n"
    "record R { k: party, e: Wh, o?: int }\n"
    "on go(b?: bool, i?: int, s?: string(5), y?: bytes(3), d?: date, t?: timestamp, u?: duration,\n"
    "      p?: party, a?: EUR, h?: h, price?: EUR/kWh, w?: \"x\" | \"yy\", l?: list<int, max 3>,\n"
    "      r?: R, by_k?: list<R by k, max 3>)\n"
    "    signed by boss dated date(\"2026-01-01\") {\n"
    "if has(b) { emit out { v: b } }\nif has(i) { emit out { v: i } }\nif has(s) { emit out { v: s "
    "} }\n"
    "if has(y) { emit out { v: y } }\nif has(d) { emit out { v: d } }\nif has(t) { emit out { v: t "
    "} }\n"
    "if has(u) { emit out { v: u } }\nif has(p) { emit out { v: p } }\nif has(a) { emit out { v: a "
    "} }\n"
    "if has(h) { emit out { v: h } }\nif has(price) { emit out { v: price } }\nif has(w) { emit "
    "out { v: w } }\n"
    "if has(l) { emit out { v: l } }\nif has(r) { emit out { v: r } }\nif has(by_k) { emit out { "
    "v: by_k } }\n"
    "}\n";

/* Applies Args bytes; the outcome or trace text, in the arena. */
static const char *apply(const struct law *law, struct bytes args, struct arena *arena)
{
    static const struct rules_store nothing = {0};
    struct bytes boss = bytes_text("boss");
    struct rules_event ev = {
        .name = bytes_text("go"),
        .signers = &boss,
        .signer_count = 1,
        .args = args,
        .now = rules_time_of_ns(UINT64_C(1782901230) * 1000000000),
    };
    struct rules_out out;
    rules_apply(law->program, &ev, &nothing, arena, &out);
    if (out.end == RULES_ACCEPTED && out.emit_count == 0) {
        return "nothing";
    }
    if (out.end == RULES_ACCEPTED) { /* {"v":VALUE} */
        struct bytes json = out.emits[0].json;
        return arena_text(arena, bytes_of(json.data + 5, json.size - 6));
    }
    return arena_text(arena, out.why);
}

struct json_case {
    const char *json;
    const char *want; /* the value in canonical form, or the reason */
    bool refused;
};

static const struct json_case json_cases[] = {
    {"{\"b\":true}", "true", false},
    {"{\"i\":-0}", "0", false},
    {"{\"i\":-9223372036854775808}", "-9223372036854775808", false},
    {"{\"i\":9223372036854775808}", "args.i: out of range", true},
    {"{\"i\":1.0}", "args.i: int expected", true},
    {"{\"i\":1e2}", "args.i: int expected", true},
    {"{\"i\":\"1\"}", "args.i: int expected", true},
    {"{\"i\":null}", "args.i: int expected", true},
    {"{\"s\":\"h\\u00e9\\u00e9\"}", "\"h\u00e9\u00e9\"", false},
    {"{\"s\":\"h\\u00e9\\u00e9x\"}", "args.s: longer than 5 bytes", true},
    {"{\"s\":\"\"}", "\"\"", false},
    {"{\"s\":\"\\ud83d\\ude00\"}", "\"\U0001F600\"", false},
    {"{\"s\":\"\\ud83d\"}", "a lone surrogate", true},
    {"{\"y\":\"00ff\"}", "\"00ff\"", false},
    {"{\"y\":\"00FF\"}", "args.y: bytes expected", true},
    {"{\"y\":\"00ff00ff\"}", "args.y: longer than 3 bytes", true},
    {"{\"d\":\"0001-01-01\"}", "\"0001-01-01\"", false},
    {"{\"d\":\"2026-02-29\"}", "args.d: date expected", true},
    {"{\"t\":\"2026-07-01T10:00:00.120Z\"}", "\"2026-07-01T10:00:00.12Z\"", false},
    {"{\"t\":\"2026-07-01t12:00:00+02:00\"}", "\"2026-07-01T10:00:00Z\"", false},
    {"{\"t\":\"2026-07-01T10:00:60Z\"}", "args.t: timestamp expected", true},
    {"{\"t\":\"0001-01-01T00:00:00+01:00\"}", "args.t: timestamp expected", true},
    {"{\"u\":\"1m30.5s\"}", "\"90.5s\"", false},
    {"{\"u\":\"1d\"}", "args.u: duration expected", true},
    {"{\"p\":\"a.b_c:d-1\"}", "\"a.b_c:d-1\"", false},
    {"{\"p\":\"A\"}", "args.p: not a party name", true},
    {"{\"p\":\"\"}", "args.p: not a party name", true},
    {"{\"p\":5}", "args.p: party expected", true},
    {"{\"a\":\"-7.85 EUR\"}", "\"-7.85 EUR\"", false},
    {"{\"a\":\"7.850 EUR\"}", "\"7.85 EUR\"", false},
    {"{\"a\":\"7.855 EUR\"}", "args.a: finer than EUR is measured", true},
    {"{\"a\":\"7.85EUR\"}", "args.a: EUR expected", true},
    {"{\"a\":\"7.85  EUR\"}", "args.a: EUR expected", true},
    {"{\"a\":\"+7.85 EUR\"}", "args.a: EUR expected", true},
    {"{\"a\":\"7.85 CIG\"}", "args.a: EUR expected", true},
    {"{\"a\":7}", "args.a: EUR expected", true},
    {"{\"h\":\"45 min\"}", "\"0.75 h\"", false},
    {"{\"h\":\"50 min\"}", "args.h: finer than h is measured", true},
    {"{\"price\":\"130 EUR/MWh\"}", "\"0.13000 EUR/kWh\"", false},
    {"{\"price\":\"0.13 EUR\"}", "args.price: EUR/kWh expected", true},
    {"{\"w\":\"yy\"}", "\"yy\"", false},
    {"{\"w\":\"y\"}", "args.w: not one of x, yy", true},
    {"{\"l\":[]}", "[]", false},
    {"{\"l\":[1,2,3]}", "[1,2,3]", false},
    {"{\"l\":[1,2,3,4]}", "args.l: more than 3 items", true},
    {"{\"l\":[1,\"2\"]}", "args.l[1]: int expected", true},
    {"{\"l\":{}}", "args.l: list expected", true},
    {"{\"r\":{\"e\":\"1 kWh\",\"k\":\"anna\"}}", "{\"k\":\"anna\",\"e\":\"1000.000 Wh\"}", false},
    {"{\"r\":{\"k\":\"anna\"}}", "args.r.e: missing", true},
    {"{\"r\":{\"k\":\"anna\",\"e\":\"1 Wh\",\"z\":1}}", "args.r.z: not declared", true},
    {"{\"r\":[]}", "args.r: R expected", true},
    {"{\"z\":1,\"i\":\"x\"}", "args.i: int expected", true},
    {"{\"z\":1,\"i\":1}", "args.z: not declared", true},
    {"{\"by_k\":[{\"k\":\"a\",\"e\":\"1 Wh\"},{\"k\":\"b\",\"e\":\"1 Wh\",\"o\":5}]}",
     "[{\"k\":\"a\",\"e\":\"1.000 Wh\"},{\"k\":\"b\",\"e\":\"1.000 Wh\",\"o\":5}]", false},
    {"{\"by_k\":[{\"k\":\"b\",\"e\":\"1 Wh\"},{\"k\":\"b\",\"e\":\"1 Wh\"}]}",
     "args.by_k[1]: not in ascending order of k", true},
    {"{\"by_k\":[{\"k\":\"b\",\"e\":\"1 Wh\"},{\"k\":\"a\",\"e\":\"x\"}]}",
     "args.by_k[1].e: Wh expected", true},
    {"{\"i\":1,\"i\":2}", "a member is given twice", true},
    {"[]", "an object is expected", true},
};

/* JSON becomes an Args message, and that gives the same value. */
static void test_json(void **state)
{
    struct law law = law_compile(law_text);
    for (size_t i = 0; i < sizeof json_cases / sizeof json_cases[0]; i++) {
        struct arena arena;
        struct buf args;
        struct errtext why = {{0}};
        arena_init(&arena, (size_t)1 << 30);
        buf_init(&args, 1 << 20);
        err e = rules_args_from_json(law.program, bytes_text("go"), bytes_text(json_cases[i].json),
                                     &args, &why);
        const char *have = failed(e) ? why.text : apply(&law, buf_bytes(&args), &arena);
        if (failed(e) != json_cases[i].refused || strcmp(have, json_cases[i].want) != 0) {
            fail_msg("%s\n have %s\n want %s", json_cases[i].json, have, json_cases[i].want);
        }
        buf_done(&args);
        arena_done(&arena);
    }
    law_done(&law);
}

struct wire_case {
    const char *bytes;
    size_t size;
    const char *want;
};
#define WIRE(text) text, sizeof text - 1

/* Messages as other encoders may write them, and as nobody should. */
static void test_wire(void **state)
{
    static const struct wire_case cases[] = {
        {WIRE(""), "nothing"},
        {WIRE("\x0a\x07\x0a\x01i\x12\x02\x10\x0e"), "7"},
        {WIRE("\x0a\x07\x12\x02\x10\x0e\x0a\x01i"), "7"},            /* value before name */
        {WIRE("\x0a\x09\x0a\x01i\x12\x04\x10\x02\x10\x0e"), "7"},    /* the last of a oneof */
        {WIRE("\x0a\x0a\x0a\x01i\x12\x02\x10\x0e\x1a\x01x"), "7"},   /* unknown field */
        {WIRE("\x0a\x09\x0a\x01i\x12\x04\x10\x8e\x80\x00"), "7"},    /* long varint */
        {WIRE("\x0a\x05\x0a\x01i\x12\x00"), "args.i: int expected"}, /* no kind */
        {WIRE("\x0a\x03\x0a\x01i"), "args.i: int expected"},
        {WIRE("\x0a\x07\x0a\x01i\x12\x02\x10\x0e\x0a\x07\x0a\x01i\x12\x02\x10\x0e"),
         "args.i: given twice"},
        {WIRE("\x0a\x08\x0a\x01p\x12\x03\x1a\x01\xff"), "args: malformed"}, /* not UTF-8 */
        {WIRE("\x0a\x08\x0a\x01\xff\x12\x03\x1a\x01x"), "args: malformed"},
        {WIRE("\x0a\x08\x0a\x01i"), "args: malformed"}, /* too short */
        {WIRE("\x0b"), "args: malformed"},              /* a group */
        {WIRE("\x00\x00"), "args: malformed"},          /* field 0 */
        {WIRE("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"), "args: malformed"},
        {WIRE("\x0a\x0b\x0a\x01"
              "d\x12\x06\x28\x80\x80\x80\x80\x10"),
         "args.d: date expected"},
        {WIRE("\x0a\x0c\x0a\x01"
              "a\x12\x07\x42\x05\x1a\x03"
              "EUR"),
         "\"0.00 EUR\""},
        {WIRE("\x0a\x0e\x0a\x01"
              "a\x12\x09\x42\x07\x10\x0a\x1a\x03"
              "EUR"),
         "args.a: EUR expected"},
        {WIRE("\x0a\x0e\x0a\x01"
              "a\x12\x09\x42\x07\x08\x02\x1a\x03"
              "EUR"),
         "\"1.00 EUR\""},
    };
    struct law law = law_compile(law_text);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct arena arena;
        arena_init(&arena, (size_t)1 << 30);
        const char *have = apply(&law, bytes_of(cases[i].bytes, cases[i].size), &arena);
        if (strcmp(have, cases[i].want) != 0) {
            fail_msg("case %zu\n have %s\n want %s", i, have, cases[i].want);
        }
        arena_done(&arena);
    }
    law_done(&law);
}

/* Nine lists in one another are one too many. */
static void test_depth(void **state)
{
    for (unsigned depth = 1; depth <= 9; depth++) {
        uint8_t message[64];
        size_t at = sizeof message;
        for (unsigned i = 0; i < depth; i++) { /* Value { list { items: ... } } from the inside */
            size_t inner = sizeof message - at;
            if (i > 0) {
                message[--at] = (uint8_t)inner;
                message[--at] = 0x0a;
                inner += 2;
            }
            message[--at] = (uint8_t)inner;
            message[--at] = 0x4a;
        }
        size_t value = sizeof message - at;
        uint8_t whole[96] = {0x0a, (uint8_t)(value + 5), 0x0a, 0x01, 'l', 0x12, (uint8_t)value};
        memcpy(whole + 7, message + at, value);
        struct law law = law_compile(law_text);
        struct arena arena;
        arena_init(&arena, (size_t)1 << 30);
        const char *have = apply(&law, bytes_of(whole, value + 7), &arena);
        const char *want = depth == 1   ? "[]"
                           : depth <= 8 ? "args.l[0]: int expected"
                                        : "args: malformed";
        assert_string_equal(have, want);
        arena_done(&arena);
        law_done(&law);
    }
}

/* What the host writes for its own actions it can read back. */
static void test_host_fields(void **state)
{
    struct buf args;
    buf_init(&args, 4096);
    rules_args_put_text(&args, "party", bytes_text("anna"));
    rules_args_put_octets(&args, "key", bytes_of("\x00\xff", 2));
    rules_args_put_int(&args, "count", INT64_MIN);
    rules_args_put_date(&args, "from", -719162);
    rules_args_put_bool(&args, "yes", false);
    struct rules_arg arg;
    size_t at = 0;
    bool more = false;
    assert_false(failed(rules_args_next(buf_bytes(&args), &at, &arg, &more)));
    assert_true(more && arg.kind == RULES_ARG_TEXT && bytes_equal(arg.name, bytes_text("party")) &&
                bytes_equal(arg.bytes, bytes_text("anna")));
    assert_false(failed(rules_args_next(buf_bytes(&args), &at, &arg, &more)));
    assert_true(more && arg.kind == RULES_ARG_OCTETS &&
                bytes_equal(arg.bytes, bytes_of("\x00\xff", 2)));
    assert_false(failed(rules_args_next(buf_bytes(&args), &at, &arg, &more)));
    assert_true(more && arg.kind == RULES_ARG_INT && arg.number == INT64_MIN);
    assert_false(failed(rules_args_next(buf_bytes(&args), &at, &arg, &more)));
    assert_true(more && arg.kind == RULES_ARG_DATE && arg.day == -719162);
    assert_false(failed(rules_args_next(buf_bytes(&args), &at, &arg, &more)));
    assert_true(more && arg.kind == RULES_ARG_BOOL && !arg.truth);
    assert_false(failed(rules_args_next(buf_bytes(&args), &at, &arg, &more)));
    assert_false(more);
    at = 0;
    assert_true(err_is(rules_args_next(bytes_of(args.data, 3), &at, &arg, &more), ERR_INVALID));
    buf_done(&args);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_wire),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_host_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
