/* Registry, versions, facts, and keys and rows as people write and read them. */
#include "helper.h"

/* ---- registry ---- */

static void test_registry(void **state)
{
    static const struct {
        const char *text, *why;
    } bad[] = {
        {"measure EUR", "line 1: measure UNIT to NUMBER expected"},
        {"measure EUR to 0.01 x", "line 1: measure UNIT to NUMBER expected"},
        {"measure EUR to 0", "line 1: 0 is no quantum: a positive decimal is needed"},
        {"measure EUR to -1", "line 1: -1 is no quantum: a positive decimal is needed"},
        {"measure eur to 1", "line 1: eur is no unit"},
        {"measure EU to 1", "line 1: EU is no unit"},
        {"measure EUR/kWh to 1", "line 1: EUR/kWh is no unit"},
        {"measure Wh to 1\nmeasure kWh to 1",
         "line 2: there is a measure of this dimension already"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct rules_registry *r = NULL;
        struct errtext why = {{0}};
        assert_true(err_is(rules_registry_parse(bytes_text(bad[i].text), &r, &why), ERR_INVALID));
        assert_string_equal(why.text, bad[i].why);
    }
    struct rules_registry *r = NULL;
    const char *good = "// ours\n\nmeasure EUR to 0.01\nmeasure h to 0.25 // quarter-hours\n";
    assert_false(failed(rules_registry_parse(bytes_text(good), &r, NULL)));
    assert_int_equal(rules_registry_count(r), 2);
    struct rules_measure h = rules_registry_at(r, 1);
    assert_string_equal(h.unit, "h");
    assert_true(h.quantum_num == 1 && h.quantum_den == 4 && h.decimals == 2);
    assert_true(rules_registry_find(r, bytes_text("EUR"), &h));
    assert_false(rules_registry_find(r, bytes_text("CIG"), &h));
    struct buf text;
    buf_init(&text, 100);
    rules_amount_print(rules_registry_at(r, 1), -29, &text);
    rules_amount_print(rules_registry_at(r, 0), INT64_MIN, &text);
    assert_true(bytes_equal(buf_bytes(&text), bytes_text("-7.25 h-92233720368547758.08 EUR")));
    buf_done(&text);
    rules_registry_free(r);
}

/* ---- versions ---- */

#define HEAD(version, date, replaces)                                                              \
    "rules 1 contract t.t version " version " effective " date replaces                            \
    " \"title\"\nmeasure EUR to 0.01 measure Wh to 0.001 party boss = \"boss\"\n"
#define BODY_TABLE "table t [k: party, d: date] max 5 { e: Wh, s: string(8) }\n"
#define BODY_ACCOUNT "account w [k: party]: EUR\n"

static void test_pick(void **state)
{
    struct law v1 = law_compile(HEAD("1", "2026-01-01", ""));
    struct law v2 = law_compile(HEAD("2", "2026-06-01", " replaces 1"));
    struct law v3 = law_compile(HEAD("3", "2026-06-01", " replaces 2"));
    struct law v4 = law_compile(HEAD("4", "2026-03-01", " replaces 3"));
    const struct rules_program *all[] = {v3.program, v1.program, v2.program, v4.program};
    static const struct {
        const char *day;
        int64_t version; /* 0: none */
    } cases[] = {{"2025-12-31", 0}, {"2026-01-01", 1}, {"2026-02-28", 1}, {"2026-03-01", 4},
                 {"2026-05-31", 4}, {"2026-06-01", 3}, {"9999-12-31", 3}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int32_t day = 0;
        assert_true(rules_day_parse(bytes_text(cases[i].day), &day));
        const struct rules_program *p = rules_pick(all, 4, day);
        assert_int_equal(p == NULL ? 0 : rules_program_facts(p)->version, cases[i].version);
    }
    law_done(&v1);
    law_done(&v2);
    law_done(&v3);
    law_done(&v4);
}

static void test_successor(void **state)
{
    static const struct {
        const char *next, *why; /* why NULL: it may follow */
    } cases[] = {
        {HEAD("2", "2026-06-01", " replaces 1") BODY_TABLE BODY_ACCOUNT, NULL},
        {HEAD("2", "2026-06-01", "") BODY_TABLE BODY_ACCOUNT, "replaces it"},
        {HEAD("2", "2026-06-01", " replaces 1") BODY_TABLE, "account 'w' is dropped"},
        {HEAD("2", "2026-06-01", " replaces 1") BODY_ACCOUNT, "table 't' is dropped"},
        {HEAD("2", "2026-06-01", " replaces 1") BODY_TABLE "account w [k: date]: EUR\n",
         "the key 'k'"},
        {HEAD("2", "2026-06-01", " replaces 1") BODY_TABLE "account w [k: party]: Wh\n",
         "account 'w'"},
        {HEAD("2", "2026-06-01", " replaces 1") BODY_ACCOUNT
         "table t [k: party, d: date] max 4 { e: Wh, s: string(8) }\n",
         "max is lowered"},
        {HEAD("2", "2026-06-01", " replaces 1") BODY_ACCOUNT
         "table t [k: party, d: date] max 9 { e: Wh, s: string(8), x?: int }\n",
         NULL},
        {HEAD("2", "2026-06-01", " replaces 1") BODY_ACCOUNT
         "table t [k: party, d: date] max 9 { e: Wh, s: string(8), x: int }\n",
         "must be optional"},
        {HEAD("2", "2026-06-01", " replaces 1") BODY_ACCOUNT
         "table t [k: party, d: date] max 9 { e: Wh, x?: int, s: string(8) }\n",
         "come last"},
        {HEAD("2", "2026-06-01", " replaces 1") BODY_ACCOUNT
         "table t [k: party, d: date] max 9 { e: Wh, s: string(9) }\n",
         "'s' is changed"},
        {HEAD("2", "2026-06-01", " replaces 1") BODY_ACCOUNT
         "table t [k: party, d: date] max 9 { e: Wh }\n",
         "drops a field"},
    };
    struct law first = law_compile(HEAD("1", "2026-01-01", "") BODY_TABLE BODY_ACCOUNT);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct law next = law_compile(cases[i].next);
        struct errtext why = {{0}};
        err e = rules_successor_check(first.program, next.program, &why);
        if (failed(e) != (cases[i].why != NULL) ||
            (cases[i].why != NULL && strstr(why.text, cases[i].why) == NULL)) {
            fail_msg("case %zu: %s", i, why.text);
        }
        law_done(&next);
    }
    law_done(&first);
}

#define USER "rules 1 contract u.u version 1 effective 2026-01-01 measure Wh to 0.001\n"

static void test_uses(void **state)
{
    static const struct {
        const char *user, *why;
    } cases[] = {
        {USER "uses t [k: party, d: date] max 5 { s: string(8) } from t.t", NULL},
        {USER "uses t [k: party, d: date] { s: string(8), e: Wh } from t.t", NULL},
        {USER "uses t [k: party, d: date] max 4 { s: string(8) } from t.t", "more rows"},
        {USER "uses t [k: party] { s: string(8) } from t.t", "2 keys"},
        {USER "uses t [k: party, d: int] { s: string(8) } from t.t", "the key 'd'"},
        {USER "uses t [k: party, d: date] { s?: string(8) } from t.t", "no such field 's'"},
        {USER "uses t [k: party, d: date] { s: string(7) } from t.t", "no such field 's'"},
        {USER "uses t [k: party, d: date] { z: int } from t.t", "no such field 'z'"},
        {USER "uses v [k: party, d: date] { z: int } from t.t", "has no table 'v'"},
        {USER "uses v [k: party, d: date] { z: int } from other.one", NULL},
    };
    struct law owner = law_compile(HEAD("1", "2026-01-01", "") BODY_TABLE);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct law user = law_compile(cases[i].user);
        struct errtext why = {{0}};
        err e = rules_uses_check(user.program, owner.program, &why);
        if (failed(e) != (cases[i].why != NULL) ||
            (cases[i].why != NULL && strstr(why.text, cases[i].why) == NULL)) {
            fail_msg("case %zu: %s", i, why.text);
        }
        law_done(&user);
    }
    law_done(&owner);
}

/* ---- a row of another contract is read with that contract's layout ---- */

struct other {
    const struct rules_program *owner;
    struct bytes key, row;
};

static bool other_get(void *ctx, struct bytes key, struct bytes *ret_row)
{
    struct other *o = ctx;
    *ret_row = o->row;
    return bytes_equal(key, o->key);
}

static const struct rules_program *other_owner(void *ctx, struct bytes contract)
{
    struct other *o = ctx;
    return bytes_equal(contract, bytes_text("t.t")) ? o->owner : NULL;
}

static void test_uses_layout(void **state)
{
    struct law owner = law_compile(HEAD("1", "2026-01-01", "") BODY_TABLE);
    struct law user =
        law_compile(USER "party boss = \"boss\"\n"
                         "uses t [k: party, d: date] { s: string(8) } from t.t\n"
                         "on look(k: party) signed by boss dated date(\"2026-01-01\") {\n"
                         "emit out { s: t[k, date(\"1970-01-02\")].s }\n}\n");
    static const char key[] = "t.t\0t\0anna\0\0\x80\0\0\x01";
    static const char row[] = "\x01\x80\0\0\0\0\0\0\x07\x01\0\0\0\x03"
                              "abc";
    struct other o = {owner.program, bytes_of(key, sizeof key - 1), bytes_of(row, sizeof row - 1)};
    struct rules_store store = {.ctx = &o, .get = other_get, .owner = other_owner};
    struct bytes boss = bytes_text("boss");
    struct buf args;
    struct arena arena;
    struct rules_out out;
    buf_init(&args, 100);
    arena_init(&arena, (size_t)1 << 30);
    rules_args_put_text(&args, "k", bytes_text("anna"));
    struct rules_event ev = {.name = bytes_text("look"),
                             .signers = &boss,
                             .signer_count = 1,
                             .args = buf_bytes(&args),
                             .now = {1782901230, 0}};
    rules_apply(user.program, &ev, &store, &arena, &out);
    assert_int_equal(out.end, RULES_ACCEPTED);
    assert_true(bytes_equal(out.emits[0].json, bytes_text("{\"s\":\"abc\"}")));
    struct buf text;
    buf_init(&text, 1000);
    assert_false(failed(rules_key_print(owner.program, o.key, &text)));
    assert_false(failed(rules_row_print(owner.program, 0, o.row, &text)));
    assert_true(bytes_equal(buf_bytes(&text), bytes_text("[\"anna\",\"1970-01-02\"]"
                                                         "{\"e\":\"0.007 Wh\",\"s\":\"abc\"}")));
    assert_true(failed(rules_row_print(owner.program, 0, bytes_of(row, 5), &text)));
    assert_true(failed(rules_key_print(owner.program, bytes_of(key, 8), &text)));
    buf_done(&text);
    buf_done(&args);
    arena_done(&arena);
    law_done(&owner);
    law_done(&user);
}

/* ---- names ---- */

static void test_names(void **state)
{
    static const struct {
        const char *text, *want; /* want NULL: refused */
    } accounts[] = {
        {"w[anna]", "w[anna]"},
        {" w [ \"anna\" ] ", "w[anna]"},
        {"fund", "fund"},
        {"both[anna, -5]", "both[anna, -5]"},
        {"flag[true, x\\y]", "flag[true, x\\\\y]"},
        {"w", NULL},
        {"w[anna, bob]", NULL},
        {"w[Anna]", NULL},
        {"both[anna, five]", NULL},
        {"z[anna]", NULL},
        {"w[anna", NULL},
        {"", NULL},
        {"flag[maybe, a]", NULL},
    };
    struct law law = law_compile(HEAD("1", "2026-01-01", "") BODY_TABLE BODY_ACCOUNT
                                 "account fund: EUR\naccount both [k: party, n: int]: Wh\n"
                                 "account flag [b: bool, s: string]: Wh\n");
    for (size_t i = 0; i < sizeof accounts / sizeof accounts[0]; i++) {
        struct buf key;
        struct buf text;
        struct errtext why = {{0}};
        size_t family = 99;
        buf_init(&key, 1000);
        buf_init(&text, 1000);
        err e = rules_account_key(law.program, bytes_text(accounts[i].text), &key, &family, &why);
        if (failed(e) != (accounts[i].want == NULL)) {
            fail_msg("%s: %s", accounts[i].text, why.text);
        }
        if (!failed(e)) {
            size_t again = 98;
            assert_false(failed(rules_account_print(law.program, buf_bytes(&key), &text, &again)));
            assert_true(bytes_equal(buf_bytes(&text), bytes_text(accounts[i].want)));
            assert_int_equal(family, again);
        } else {
            assert_true(key.size == 0 && why.text[0] != '\0');
        }
        buf_done(&key);
        buf_done(&text);
    }
    struct buf prefix;
    size_t table = 99;
    buf_init(&prefix, 1000);
    assert_false(
        failed(rules_row_prefix(law.program, bytes_text("t[anna]"), &prefix, &table, NULL)));
    assert_true(bytes_equal(buf_bytes(&prefix), bytes_of("t.t\0t\0anna\0\0", 12)));
    assert_true(
        failed(rules_row_prefix(law.program, bytes_text("t[anna, x]"), &prefix, &table, NULL)));
    buf_clear(&prefix);
    size_t family = 99;
    assert_false(
        failed(rules_account_print(law.program, bytes_of("t.t\1fund\0", 9), &prefix, &family)));
    assert_true(bytes_equal(buf_bytes(&prefix), bytes_text("fund (issued)")));
    buf_done(&prefix);
    law_done(&law);
}

static void test_facts(void **state)
{
    struct law law =
        law_compile(HEAD("1", "2026-01-01", "") BODY_TABLE
                    "on go(k: party, l?: list<int, max 3>) signed by boss dated day(now, "
                    "\"UTC\") { }\n");
    const struct rules_facts *f = rules_program_facts(law.program);
    assert_true(bytes_equal(f->contract, bytes_text("t.t")));
    assert_true(bytes_equal(f->title, bytes_text("title")));
    assert_true(f->version == 1 && f->replaces == 0 && f->event_count == 1 && !f->schedules);
    const struct rules_event_facts *e = rules_program_event_find(law.program, bytes_text("go"));
    assert_true(e == rules_program_event(law.program, 0) && e->arg_count == 2 && !e->clock);
    assert_true(bytes_equal(e->signature, bytes_text("go(k: party, l?: list<int, max 3>)")));
    assert_true(e->signer_count == 1 && bytes_equal(e->signers[0], bytes_text("boss")));
    assert_true(bytes_equal(rules_program_table(law.program, 0)->signature,
                            bytes_text("t [k: party, d: date] max 5 {e: Wh, s: string(8)}")));
    assert_null(rules_program_event_find(law.program, bytes_text("stop")));
    law_done(&law);
}

/* Wording and layout do not change the code; anything else does. */
static void test_code_hash(void **state)
{
    static const struct {
        const char *text;
        bool same;
    } cases[] = {
        {"rules 1 contract a.b version 1 effective 2026-7-1 \"other\" // comment\nterm x: int = "
         "0x0a",
         true},
        {"rules 1 contract a.b version 1 effective 2026-07-01\nterm x: int = 010 test \"t\" { then "
         "true }",
         true},
        {"rules 1 contract a.b version 1 effective 2026-07-01\nterm x: int = 11", false},
        {"rules 1 contract a.b version 1 effective 2026-07-01\nterm y: int = 10", false},
    };
    struct law first = law_compile(
        "rules 1 contract a.b version 1 effective 2026-07-01 \"title\" term x: int = 10");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct law law = law_compile(cases[i].text);
        assert_int_equal(memcmp(rules_program_facts(law.program)->code_hash,
                                rules_program_facts(first.program)->code_hash,
                                RULES_HASH_SIZE) == 0,
                         cases[i].same);
        law_done(&law);
    }
    law_done(&first);
}

/* A test that states something else fails, with its line and both sides. */
static void test_own_tests(void **state)
{
    static const struct {
        const char *steps, *why;
    } cases[] = {
        {"then 1 + 1 == 2", NULL},
        {"then 1 + 1 == 3", "does not hold: 2 and 3"},
        {"then t[\"a\", date(\"2026-01-01\")].e == 0 Wh", "cannot be computed: row"},
        {"when go(n: 5) by \"boss\"", NULL},
        {"when go(n: 5) by \"eve\"", "this was rejected by clause 0.2: not signed by boss"},
        {"when go(n: 5) by \"boss\" rejected by clause 1",
         "another end was stated; this was accepted"},
        {"when go(n: 0) by \"boss\" rejected by clause 1",
         "another end was stated; this was a fault: divide"},
        {"when go(n: 9) by \"boss\" rejected by clause 1", NULL},
        {"when go(n: 9) by \"eve\" rejected by clause 0", NULL},
        {"given w[\"a\"] = 5 EUR given w[\"a\"] = 1 EUR then balance(w[\"a\"]) == 6 EUR", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[2048];
        (void)snprintf(text, sizeof text, "%s%s\ntest \"x\" {\n%s\n}\n",
                       HEAD("1", "2026-01-01", "") BODY_TABLE BODY_ACCOUNT
                       "on go(n: int) signed by boss dated day(now, \"UTC\") {\n"
                       "clause 1 \"x\"\nlet y = 10 / n\nrequire n < 9\n}",
                       "", cases[i].steps);
        struct law law = law_compile(text);
        struct rules_test_result r;
        rules_test_run(law.program, 0, &r);
        if (r.passed != (cases[i].why == NULL) ||
            (cases[i].why != NULL && strstr(r.message, cases[i].why) == NULL)) {
            fail_msg("%s: %s", cases[i].steps, r.message);
        }
        assert_true(r.passed || r.line == 11);
        law_done(&law);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_registry),    cmocka_unit_test(test_pick),
        cmocka_unit_test(test_successor),   cmocka_unit_test(test_uses),
        cmocka_unit_test(test_uses_layout), cmocka_unit_test(test_names),
        cmocka_unit_test(test_facts),       cmocka_unit_test(test_code_hash),
        cmocka_unit_test(test_own_tests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
