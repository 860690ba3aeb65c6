/* The common layout and the search for what no test depends on. */
#include "tests/unit/rules/helper.h"

#include "base/limits.h"
#include "rules/format.h"
#include "rules/mutate.h"

#define HEAD "rules 1\ncontract a.b version 1 effective 2026-07-01\n"

static void format(const char *text, struct buf *out)
{
    struct law law = law_compile(text);
    struct errtext why;
    buf_clear(out);
    if (failed(rules_format(law.program, out, &why))) {
        fail_msg("%s", why.text);
    }
    buf_put_u8(out, 0);
    law_done(&law);
}

/* The layout is as expected, stays when it is made again, and leaves the code alone. */
static void check_format(const char *before, const char *after)
{
    struct buf out;
    buf_init(&out, 2 * CONTRACT_BYTES_MAX);
    format(before, &out);
    assert_string_equal((const char *)out.data, after);
    format(after, &out);
    assert_string_equal((const char *)out.data, after);
    struct law a = law_compile(before);
    struct law b = law_compile(after);
    assert_memory_equal(rules_program_facts(a.program)->code_hash,
                        rules_program_facts(b.program)->code_hash, RULES_HASH_SIZE);
    law_done(&a);
    law_done(&b);
    buf_done(&out);
}

static void declarations_stand_in_columns(void **state)
{
    (void)state;
    check_format("\n\n" HEAD
                 "  \"title\"\n\n\n\nmeasure   EUR to 0.01\nmeasure EUR / kWh to 0.001 // why\n"
                 "party a=\"x\"//one\nparty longer =  \"y\" //   two\n"
                 "  // alone\n"
                 "term t:EUR=3   EUR from 2026 - 07 - 01 ,-4 EUR from 2027-01-01\n"
                 "table  one[k:int]max 3{a?:list < party,max  2 >,b:\"x\"|\"y\"}\n"
                 "table three [k: int, l: date] {\na: int,\nb?: int\n}\n"
                 "account w[k:int]:EUR overdraft unlimited\naccount v:EUR\n\n\n",
                 HEAD "\"title\"\n\nmeasure EUR     to 0.01\nmeasure EUR/kWh to 0.001  // why\n"
                      "party a      = \"x\"        //one\nparty longer = \"y\"        //   two\n"
                      "// alone\n"
                      "term t: EUR = 3 EUR from 2026-07-01, -4 EUR from 2027-01-01\n"
                      "table one   [k: int] max 3 { a?: list<party, max 2>, b: \"x\" | \"y\" }\n"
                      "table three [k: int, l: date] {\n  a: int,\n  b?: int\n}\n"
                      "account w [k: int]: EUR overdraft unlimited\naccount v: EUR\n");
}

static void statements_are_indented(void **state)
{
    (void)state;
    check_format(
        HEAD
        "measure EUR to 0.01\nrecord R{a:int}\nparty p = \"x\"\ntable t [k: int] {a: EUR, b: int}\n"
        "account w: EUR overdraft unlimited\naccount v: EUR\n"
        "on e(x: int, l: list<R, max 3>)\nsigned by p dated day(now,\"UTC\"){\nclause 1.10 "
        "\"one\"\n"
        "require !( x==-1 )&& - x<3 ||x%2==0\nelse \"no\"\n"
        "if x>1{set t[x]={a:1 EUR,b:- 2}}\nelse if x<0 {\n\n\n"
        "// a word\nadd 1 EUR to t[ x ] . a }else{ remove t[x] }\n"
        "let y = x > 0 ? round(1 EUR/3,EUR,half_up):2 EUR\n"
        "for i in [ R { a : 1 } ] + l {\ntransfer y\nfrom w\nto v\n}\n}\n"
        "test \"all\" {\nwhen e(x: 1, l: [\nR{a: 3},\nR{a: 4}]) by \"x\"\nthen balance(v)==2 "
        "EUR\n}",
        HEAD "measure EUR to 0.01\nrecord R { a: int }\nparty p = \"x\"\n"
             "table t [k: int] { a: EUR, b: int }\n"
             "account w: EUR overdraft unlimited\naccount v: EUR\n"
             "on e(x: int, l: list<R, max 3>)\n    signed by p dated day(now, \"UTC\") {\n"
             "  clause 1.10 \"one\"\n"
             "  require !(x == -1) && -x < 3 || x % 2 == 0\n      else \"no\"\n"
             "  if x > 1 { set t[x] = { a: 1 EUR, b: -2 } }\n  else if x < 0 {\n\n"
             "    // a word\n    add 1 EUR to t[x].a } else { remove t[x] }\n"
             "  let y = x > 0 ? round(1 EUR / 3, EUR, half_up) : 2 EUR\n"
             "  for i in [R{a: 1}] + l {\n    transfer y\n        from w\n        to v\n  }\n}\n"
             "test \"all\" {\n  when e(x: 1, l: [\n      R{a: 3},\n      R{a: 4}]) by \"x\"\n"
             "  then balance(v) == 2 EUR\n}\n");
}

/* The contracts that are delivered: whatever their layout, formatting keeps their code. */
static void contracts_keep_their_code(void **state)
{
    char **path = *state;
    for (; *path != NULL; path++) {
        struct buf text;
        struct buf out;
        FILE *f = fopen(*path, "rb");
        assert_non_null(f);
        buf_init(&text, CONTRACT_BYTES_MAX + 1);
        buf_init(&out, 2 * CONTRACT_BYTES_MAX);
        uint8_t *room = buf_room(&text, CONTRACT_BYTES_MAX);
        assert_non_null(room);
        buf_added(&text, fread(room, 1, CONTRACT_BYTES_MAX, f));
        buf_put_u8(&text, 0);
        (void)fclose(f);
        format((const char *)text.data, &out);
        char *after = strdup((const char *)out.data);
        assert_non_null(after);
        check_format((const char *)text.data, after);
        free(after);
        buf_done(&text);
        buf_done(&out);
    }
}

/* ---- mutate ---- */

#define EVENT                                                                                      \
    HEAD "measure EUR to 0.01\nparty p = \"x\"\naccount w: EUR overdraft unlimited\n"              \
         "account v: EUR\n"                                                                        \
         "on e(x: EUR, y?: int) signed by p dated day(now, \"UTC\") {\n  clause 2 \"t\"\n"         \
         "  require x > 0 EUR && has(y) && y < 5 else \"no\"\n"                                    \
         "  transfer round(x / 3, EUR, half_up) from w to v\n}\n"

struct found {
    struct rules_mutation totals;
    char text[2048];
};

static void note(void *to, const struct rules_mutant *m)
{
    static const char *const fates[] = {"killed", "survived", "guarded"};
    struct found *f = to;
    size_t size = strlen(f->text);
    (void)snprintf(f->text + size, sizeof f->text - size, "%u:%u %.*s %s %.*s>%.*s %s\n", m->line,
                   m->column, (int)m->clause.size, (const char *)m->clause.data,
                   rules_change_name(m->change), (int)m->was.size, (const char *)m->was.data,
                   (int)m->now.size, (const char *)m->now.data, fates[m->fate]);
}

static err mutate(const char *text, struct found *ret, struct errtext *reterr)
{
    struct law law = law_compile(text);
    struct rules_env env = {law.registry, sha256};
    *ret = (struct found){0};
    err e = rules_mutate(&env, law.program, ret, note, &ret->totals, reterr);
    law_done(&law);
    return e;
}

static void untested_places_are_found(void **state)
{
    (void)state;
    struct found f;
    struct errtext why;
    assert_false(failed(mutate(EVENT "test \"a\" {\n  when e(x: 2 EUR, y: 1) by \"x\"\n"
                                     "  then balance(v) == 0.67 EUR\n"
                                     "  when e(x: 0 EUR, y: 1) by \"x\" rejected by clause 2\n}\n",
                               &f, &why)));
    assert_string_equal(f.text, "9:11 2 require x > 0 EUR>true killed\n"
                                "9:24 2 require has(y)>true guarded\n"
                                "9:34 2 require y < 5>true survived\n"
                                "9:13 2 comparison >>>= killed\n"
                                "9:36 2 comparison <><= survived\n"
                                "10:30 2 rounding half_up>down killed\n");
    assert_int_equal(f.totals.killed, 3);
    assert_int_equal(f.totals.survived, 2);
    assert_int_equal(f.totals.guarded, 1);
    assert_int_equal(rules_mutation_percent(&f.totals), 60);
}

static void nothing_is_killed_without_tests(void **state)
{
    (void)state;
    struct found f;
    struct errtext why;
    assert_false(failed(mutate(EVENT, &f, &why)));
    assert_int_equal(f.totals.killed, 0);
    assert_int_equal(rules_mutation_percent(&f.totals), 0);
    assert_int_equal(rules_mutation_percent(&(struct rules_mutation){0}), 100);
}

static void a_failing_test_is_said_first(void **state)
{
    (void)state;
    struct found f;
    struct errtext why;
    assert_true(failed(mutate(EVENT "test \"bad\" {\n  then balance(v) == 1 EUR\n}\n", &f, &why)));
    assert_string_equal(why.text, "test \"bad\" fails at line 13: does not hold: \"0.00 EUR\" and "
                                  "\"1 EUR\"");
}

int main(int argc, char **argv)
{
    (void)argc;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(declarations_stand_in_columns),
        cmocka_unit_test(statements_are_indented),
        cmocka_unit_test_prestate(contracts_keep_their_code, argv + 1),
        cmocka_unit_test(untested_places_are_found),
        cmocka_unit_test(nothing_is_killed_without_tests),
        cmocka_unit_test(a_failing_test_is_said_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
