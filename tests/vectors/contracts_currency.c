/* The cases of data/currency.json through contracts/local.rules: each step becomes an event; its
 * end, the code of a refusal, its postings and the balances after the last step are compared. The
 * contract is compiled as if in force since the first case; demurrage, which it has only from 2027
 * on, is taken then. */
#include "tests/vectors/contract_run.h"

#include <stdio.h>
#include <string.h>

enum { CASES = 10 };

static const char *path;

struct currency {
    struct contract_run c;
    json_t *balances; /* "wallet[a] MLC": cents */
};

static json_t *cents(const json_t *step, const char *name, const char *unit)
{
    return contract_run_amount(vectors_int(step, name), unit);
}

/* An event of that day, or of the first of March; by and args are taken over. */
static void event(struct currency *x, const json_t *step, const char *name, json_t *by,
                  json_t *args)
{
    char now[64];
    const json_t *day = json_object_get(step, "day");
    bool later = strcmp(name, "demurrage") == 0;
    snprintf(now, sizeof now, "%sT12:00:00Z",
             later         ? "2027-03-01"
             : day == NULL ? "2026-03-01"
                           : json_string_value(day));
    contract_run_feed(&x->c, json_pack("{s:s, s:o, s:s, s:o}", "event", name, "by", by, "now", now,
                                       "args", args));
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

/* Adds a member of the step to the arguments, if it is there. */
static void also(json_t *args, const json_t *step, const char *name)
{
    const json_t *value = json_object_get(step, name);
    if (value != NULL) {
        json_object_set_new(args, name, json_deep_copy(value));
    }
}

/* What members do, and what the board does for one member. */
static bool play_member(struct currency *x, const json_t *step, const char *op)
{
    const json_t *named = json_object_get(step, "who");
    const char *who = named == NULL ? "" : json_string_value(named);
    if (strcmp(op, "admit") == 0) {
        json_t *args = json_pack("{s:s, s:s}", "who", who, "kind", vectors_text(step, "kind"));
        also(args, step, "category");
        event(x, step, op, one_signer("association.board"), args);
    } else if (strcmp(op, "leave") == 0) {
        event(x, step, op, one_signer("association.board"), json_pack("{s:s}", "who", who));
    } else if (strcmp(op, "pay") == 0) {
        json_t *args = json_pack("{s:s, s:o, s:s}", "to_who", vectors_text(step, "to"), "coins",
                                 cents(step, "mlc", "CIG"), "memo", "");
        also(args, step, "earmark");
        event(x, step, op, one_signer(who), args);
    } else if (strcmp(op, "redeem") == 0) {
        event(x, step, op, one_signer(who), json_pack("{s:o}", "coins", cents(step, "mlc", "CIG")));
    } else if (strcmp(op, "redeem_large") == 0) {
        event(x, step, op, officers(vectors_get(step, "signed")),
              json_pack("{s:s, s:o}", "who", who, "coins", cents(step, "mlc", "CIG")));
    } else {
        return false;
    }
    return true;
}

static void play(struct currency *x, const json_t *step)
{
    const char *op = vectors_text(step, "op");
    if (play_member(x, step, op)) {
        return;
    }
    if (strcmp(op, "issue") == 0) {
        event(x, step, "buy", one_signer("bank.cooperative"),
              json_pack("{s:s, s:s, s:o}", "ref", vectors_text(step, "ref"), "who",
                        vectors_text(step, "who"), "paid", cents(step, "eur", "EUR")));
    } else if (strcmp(op, "own_funds") == 0) {
        event(x, step, op, one_signer("bank.cooperative"),
              json_pack("{s:s, s:o}", "ref", "own", "amount", cents(step, "eur", "EUR")));
    } else if (strcmp(op, "voucher") == 0) {
        event(x, step, "give_voucher", one_signer("association.board"),
              json_pack("{s:s, s:s, s:o}", "who", vectors_text(step, "who"), "category",
                        vectors_text(step, "earmark"), "amount", cents(step, "mlc", "EUR")));
    } else if (strcmp(op, "gift") == 0) {
        event(x, step, op, one_signer("association.board"),
              json_pack("{s:s, s:o, s:I}", "to_who", vectors_text(step, "to"), "base",
                        cents(step, "base", "EUR"), "sponsors",
                        (json_int_t)json_array_size(vectors_get(step, "sponsors"))));
    } else {
        assert_string_equal(op, "demurrage");
        event(x, step, op, one_signer("association.board"),
              json_pack("{s:O}", "who", vectors_get(step, "idle")));
    }
}

static const char *item_text(const json_t *list, size_t i)
{
    const char *text = json_string_value(json_array_get(list, i));
    assert_non_null(text);
    return text;
}

/* An account as the cases write it: "wallet[a]", "voucher[a,clothing]", "fund_fees". */
static json_t *account(const json_t *effect, size_t at)
{
    const char *family = item_text(effect, at);
    const json_t *keys = json_array_get(effect, at + 1);
    if (json_array_size(keys) == 2) {
        return json_sprintf("%s[%s,%s]", family, item_text(keys, 0), item_text(keys, 1));
    }
    if (json_array_size(keys) == 1) {
        return json_sprintf("%s[%s]", family, item_text(keys, 0));
    }
    return json_string(strcmp(family, "fund") == 0 ? "fund_fees" : family);
}

static void add_balance(json_t *balances, const json_t *posting, const char *side, int64_t moved)
{
    char name[128];
    snprintf(name, sizeof name, "%s %s", vectors_text(posting, side),
             vectors_text(posting, "measure"));
    int64_t sum = json_integer_value(json_object_get(balances, name)) + moved;
    if (sum == 0) {
        json_object_del(balances, name);
    } else {
        json_object_set_new(balances, name, json_integer(sum));
    }
}

/* The postings of the last event, which are booked. */
static json_t *postings(struct currency *x)
{
    json_t *list = json_array();
    size_t i;
    const json_t *e;
    json_array_foreach(json_object_get(x->c.result, "effects"), i, e)
    {
        const char *kind = item_text(e, 0);
        bool transfer = strcmp(kind, "transfer") == 0, issue = strcmp(kind, "issue") == 0;
        if (!transfer && !issue && strcmp(kind, "retire") != 0) {
            continue;
        }
        const json_t *moved = json_array_get(e, transfer ? 7 : 5);
        int64_t size = contract_run_cents(moved);
        const char *unit = strchr(json_string_value(moved), ' ') + 1;
        json_t *p = json_pack(
            "{s:o, s:o, s:I, s:s}", "from", issue ? json_string("issuance") : account(e, 3), "to",
            transfer ? account(e, 5)
            : issue  ? account(e, 3)
                     : json_string("issuance"),
            "amount", (json_int_t)size, "measure", strcmp(unit, "CIG") == 0 ? "MLC" : unit);
        add_balance(x->balances, p, "from", -size);
        add_balance(x->balances, p, "to", size);
        json_array_append_new(list, p);
    }
    return list;
}

/* The code of a refusal is the first word of its reason; two are refusals of the ledger itself. */
static void check_code(const struct currency *x, const char *code)
{
    const char *clause = vectors_text(vectors_get(x->c.result, "outcome"), "clause");
    if (strcmp(code, "BALANCE") == 0) {
        assert_string_equal(clause, "0.4");
    } else if (strcmp(code, "TWO_SIGNATURES") == 0) {
        assert_string_equal(clause, "0.2");
    } else {
        assert_memory_equal(contract_run_why(&x->c), code, strlen(code));
    }
}

/* The payments of twelve months, and whether they were made known. */
static void check_volume(const struct currency *x, const json_t *want)
{
    size_t i;
    const json_t *e;
    bool alarm = false;
    assert_int_equal(contract_run_cents(contract_run_let(&x->c, "twelve_months")),
                     vectors_int(want, "volume_12_months"));
    json_array_foreach(vectors_get(x->c.result, "effects"), i, e)
    {
        alarm = alarm || strcmp(item_text(e, 0), "emit") == 0;
    }
    assert_int_equal(alarm, json_is_true(vectors_get(want, "alarm")));
}

static void check_step(struct currency *x, const json_t *want, size_t number)
{
    bool accepted = contract_run_accepted(&x->c);
    if (accepted != json_is_true(vectors_get(want, "accepted"))) {
        fail_msg("step %zu: %s", number, json_dumps(vectors_get(x->c.result, "outcome"), 0));
    }
    if (!accepted) {
        check_code(x, vectors_text(want, "reject"));
    } else if (json_object_get(want, "volume_12_months") != NULL) {
        check_volume(x, want);
    }
    vectors_expect(postings(x), vectors_get(want, "postings"));
    int64_t reserve = json_integer_value(json_object_get(x->balances, "reserve EUR"));
    int64_t out = -json_integer_value(json_object_get(x->balances, "issuance MLC"));
    assert_int_equal(reserve, vectors_int(want, "reserve"));
    assert_int_equal(out, vectors_int(want, "circulation"));
}

static void currency_moves_as_expected(void **state)
{
    const json_t *one = *state, *step;
    size_t i;
    struct currency x = {.balances = json_object()};
    contract_run_open(&x.c, path, "2026-01-01");
    json_array_foreach(vectors_get(one, "steps"), i, step)
    {
        play(&x, step);
        check_step(&x, json_array_get(vectors_get(one, "expect"), i), i + 1);
    }
    vectors_expect(json_incref(x.balances), vectors_get(one, "final_balances"));
    json_decref(x.balances);
    contract_run_close(&x.c);
}

int main(int argc, char **argv)
{
    path = argv[1];
    return argc == 3 ? vectors_run_json(argv[2], CASES, currency_moves_as_expected) : 2;
}
