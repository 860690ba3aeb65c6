/* The cases of data/currency.json through contracts/local.rules: each step becomes an event; its
 * end, its postings and the balances after the last step are compared. Cases with vouchers, gifts
 * or demurrage are skipped: the contract has none. The contract gives reasons, not the codes of the
 * cases, so these are not compared. It is compiled as if in force since the first case. */
#include "tests/vectors/vectors.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "crypto/sha256.h"
#include "rules/rules.h"

enum { CASES = 10, TEXT_MAX = 256 << 10 };

static const char *path;

struct currency {
    struct rules_registry *registry;
    struct rules_program *program;
    struct rules_run *run;
    json_t *result;   /* of the last event */
    json_t *balances; /* "wallet[a] MLC": cents */
};

static void compile(struct currency *c)
{
    char *text = mem_new(1, TEXT_MAX);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    size_t size = fread(text, 1, TEXT_MAX - 1, f);
    assert_int_equal(fclose(f), 0);
    char *date = strstr(text, "effective 2026-");
    assert_non_null(date);
    memcpy(date, "effective 2026-01", 17);
    struct rules_diag diag;
    c->registry = rules_registry_default();
    struct rules_env env = {c->registry, sha256};
    if (failed(rules_compile(&env, bytes_of(text, size), &c->program, &diag))) {
        fail_msg("%s:%u:%u: %s", path, diag.line, diag.column, diag.message);
    }
    free(text);
    c->run = rules_run_new(c->program);
}

/* Takes over the line. */
static void feed(struct currency *c, json_t *line)
{
    struct buf out;
    struct errtext why;
    char *text = json_dumps(line, JSON_COMPACT);
    assert_non_null(text);
    buf_init(&out, (size_t)16 << 20);
    if (failed(rules_run_line(c->run, bytes_text(text), &out, &why))) {
        fail_msg("%s: %s", text, why.text);
    }
    json_decref(c->result);
    c->result = out.size == 0 ? NULL : json_loadb((const char *)out.data, out.size, 0, NULL);
    buf_done(&out);
    free(text);
    json_decref(line);
}

static json_t *amount(int64_t cents, const char *unit)
{
    char text[64];
    snprintf(text, sizeof text, "%" PRId64 ".%02" PRId64 " %s", cents / 100, cents % 100, unit);
    return json_string(text);
}

/* An event of that day, or of the first of March; by and args are taken over. */
static void event(struct currency *c, const json_t *step, const char *name, json_t *by,
                  json_t *args)
{
    char now[64];
    const json_t *day = json_object_get(step, "day");
    snprintf(now, sizeof now, "%sT12:00:00Z", day == NULL ? "2026-03-01" : json_string_value(day));
    feed(c, json_pack("{s:s, s:o, s:s, s:o}", "event", name, "by", by, "now", now, "args", args));
}

static json_t *one_signer(const char *party)
{
    return json_pack("[s]", party);
}

static json_t *officers(const json_t *signed_by)
{
    json_t *list = json_array();
    size_t i;
    const json_t *who;
    json_array_foreach(signed_by, i, who)
    {
        json_array_append_new(list, json_sprintf("association.%s", json_string_value(who)));
    }
    return list;
}

/* The step as an event; a member leaves by a decision that the contract only reads. */
static void play(struct currency *c, const json_t *step)
{
    const char *op = vectors_text(step, "op"), *who = vectors_text(step, "who");
    if (strcmp(op, "admit") == 0) {
        event(c, step, op, one_signer("association.board"),
              json_pack("{s:s, s:s}", "who", who, "kind", vectors_text(step, "kind")));
    } else if (strcmp(op, "issue") == 0) {
        event(c, step, "buy", one_signer("bank.cooperative"),
              json_pack("{s:s, s:s, s:o}", "ref", vectors_text(step, "ref"), "who", who, "paid",
                        amount(vectors_int(step, "eur"), "EUR")));
    } else if (strcmp(op, "pay") == 0) {
        event(c, step, op, one_signer(who),
              json_pack("{s:s, s:o, s:s}", "to_who", vectors_text(step, "to"), "coins",
                        amount(vectors_int(step, "mlc"), "CIG"), "memo", ""));
    } else if (strcmp(op, "redeem") == 0) {
        event(c, step, op, one_signer(who),
              json_pack("{s:o}", "coins", amount(vectors_int(step, "mlc"), "CIG")));
    } else if (strcmp(op, "redeem_large") == 0) {
        event(
            c, step, op, officers(vectors_get(step, "signed")),
            json_pack("{s:s, s:o}", "who", who, "coins", amount(vectors_int(step, "mlc"), "CIG")));
    } else {
        assert_string_equal(op, "leave");
        feed(c, json_pack("{s:s, s:[s], s:{s:s, s:s}}", "given", "member", "key", who, "row",
                          "kind", "business", "status", "left"));
    }
}

static bool covered(const json_t *one)
{
    static const char *const known[] = {"admit", "issue", "pay", "redeem", "redeem_large", "leave"};
    size_t i;
    const json_t *step;
    json_array_foreach(vectors_get(one, "steps"), i, step)
    {
        bool found = false;
        for (size_t k = 0; k < sizeof known / sizeof known[0]; k++) {
            found = found || strcmp(known[k], vectors_text(step, "op")) == 0;
        }
        if (!found || json_object_get(step, "earmark") != NULL) {
            return false;
        }
    }
    return true;
}

static const char *item_text(const json_t *list, size_t i)
{
    const char *text = json_string_value(json_array_get(list, i));
    assert_non_null(text);
    return text;
}

/* An account as the cases write it: "wallet[a]", "fund_fees". */
static json_t *account(const json_t *effect, size_t at)
{
    const char *family = item_text(effect, at);
    const json_t *keys = json_array_get(effect, at + 1);
    if (json_array_size(keys) > 0) {
        return json_sprintf("%s[%s]", family, item_text(keys, 0));
    }
    return json_string(strcmp(family, "fund") == 0 ? "fund_fees" : family);
}

static void add_balance(json_t *balances, const json_t *posting, const char *side, int64_t cents)
{
    char name[128];
    snprintf(name, sizeof name, "%s %s", vectors_text(posting, side),
             vectors_text(posting, "measure"));
    int64_t sum = json_integer_value(json_object_get(balances, name)) + cents;
    if (sum == 0) {
        json_object_del(balances, name);
    } else {
        json_object_set_new(balances, name, json_integer(sum));
    }
}

/* The postings of the last event, which are booked. */
static json_t *postings(struct currency *c)
{
    json_t *list = json_array();
    size_t i;
    const json_t *e;
    json_array_foreach(json_object_get(c->result, "effects"), i, e)
    {
        const char *kind = item_text(e, 0);
        bool transfer = strcmp(kind, "transfer") == 0, issue = strcmp(kind, "issue") == 0;
        if (!transfer && !issue && strcmp(kind, "retire") != 0) {
            continue;
        }
        int64_t whole = 0, rest = 0;
        char unit[16];
        const char *text = item_text(e, transfer ? 7 : 5);
        assert_int_equal(sscanf(text, "%" SCNd64 ".%2" SCNd64 " %15s", &whole, &rest, unit), 3);
        json_t *p = json_pack("{s:o, s:o, s:I, s:s}", "from",
                              issue ? json_string("issuance") : account(e, 3), "to",
                              transfer ? account(e, 5)
                              : issue  ? account(e, 3)
                                       : json_string("issuance"),
                              "amount", (json_int_t)(whole * 100 + rest), "measure",
                              strcmp(unit, "CIG") == 0 ? "MLC" : unit);
        add_balance(c->balances, p, "from", -(whole * 100 + rest));
        add_balance(c->balances, p, "to", whole * 100 + rest);
        json_array_append_new(list, p);
    }
    return list;
}

static void currency_moves_as_expected(void **state)
{
    const json_t *one = *state, *step, *want;
    size_t i;
    if (!covered(one)) {
        skip(); /* the contract has no vouchers, gifts or demurrage */
    }
    struct currency c = {.balances = json_object()};
    compile(&c);
    json_array_foreach(vectors_get(one, "steps"), i, step)
    {
        want = json_array_get(vectors_get(one, "expect"), i);
        play(&c, step);
        const json_t *outcome = json_object_get(c.result, "outcome");
        bool accepted = outcome == NULL || strcmp(vectors_text(outcome, "end"), "accepted") == 0;
        if (accepted != json_is_true(vectors_get(want, "accepted"))) {
            fail_msg("step %zu: %s", i + 1, json_dumps(outcome, 0));
        }
        vectors_expect(postings(&c), vectors_get(want, "postings"));
        int64_t reserve = json_integer_value(json_object_get(c.balances, "reserve EUR"));
        int64_t out = -json_integer_value(json_object_get(c.balances, "issuance MLC"));
        assert_int_equal(reserve, vectors_int(want, "reserve"));
        assert_int_equal(out, vectors_int(want, "circulation"));
    }
    vectors_expect(json_incref(c.balances), vectors_get(one, "final_balances"));
    json_decref(c.balances);
    json_decref(c.result);
    rules_run_free(c.run);
    rules_program_free(c.program);
    rules_registry_free(c.registry);
}

int main(int argc, char **argv)
{
    path = argv[1];
    return argc == 3 ? vectors_run_json(argv[2], CASES, currency_moves_as_expected) : 2;
}
