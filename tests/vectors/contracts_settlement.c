/* The cases of data/settlement.json through contracts/solar-bill.rules: prices and rates are put
 * where sellers register them, the metered energy where the key contract keeps it. The lines, the
 * postings in order, the balances, the documents are compared. The energy of a restatement is not
 * taken from the case: it comes out of contracts/solar-shares.rules, slot by slot. */
#include "tests/vectors/contract_run.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { CASES = 11 };

#define PERIOD "2026-07-01"
#define SINCE "2026-01-01"

static const char *bill_path, *shares_path;

struct bills {
    struct contract_run c;
    json_t *balances; /* "ar[A]": cents */
    json_t *moved;    /* the same of the last event alone */
};

/* ---- names and amounts ---- */

/* A party has no capitals. */
static json_t *party(const char *name)
{
    char text[64];
    size_t n = 0;
    for (; name[n] != 0 && n + 1 < sizeof text; n++) {
        text[n] = name[n] >= 'A' && name[n] <= 'Z' ? (char)(name[n] - 'A' + 'a') : name[n];
    }
    return json_stringn(text, n);
}

static json_t *payee(const char *name)
{
    return strcmp(name, "PMO") == 0 ? json_string("pmo.bourg") : party(name);
}

static json_t *energy(int64_t mwh)
{
    return json_sprintf("%" PRId64 ".%03" PRId64 " Wh", mwh / 1000, mwh % 1000);
}

static json_t *price(int64_t e5)
{
    return json_sprintf("%" PRId64 ".%05" PRId64 " EUR/kWh", e5 / 100000, e5 % 100000);
}

static json_t *rate(int64_t bp)
{
    return json_sprintf("%" PRId64 ".%02" PRId64 " pct", bp / 100, bp % 100);
}

/* ---- what sellers and the key contract hold ---- */

static void put_prices(struct bills *x, const json_t *line, json_t *item)
{
    const char *seller = vectors_text(line, "payee");
    const json_t *fixed = json_object_get(line, "net_cents");
    int64_t bp = vectors_int(line, "vat_bp");
    bool reverse = json_is_true(vectors_get(line, "reverse_charge"));
    json_t *row = fixed == NULL ? json_pack("{s:o}", "price", price(vectors_int(line, "price_e5")))
                                : json_pack("{s:o}", "fixed",
                                            contract_run_amount(json_integer_value(fixed), "EUR"));
    json_t *code = fixed == NULL ? json_sprintf("e%" PRId64, vectors_int(line, "price_e5"))
                                 : json_sprintf("f%" PRId64, (int64_t)json_integer_value(fixed));
    json_t *vat = json_sprintf("%s%" PRId64, reverse ? "r" : "v", bp);
    contract_run_given(&x->c, "tariff", json_pack("[o, O, s]", payee(seller), code, SINCE), row);
    contract_run_given(&x->c, "vat", json_pack("[o, O, s]", payee(seller), vat, SINCE),
                       json_pack("{s:o, s:b}", "rate", rate(bp), "reverse", reverse));
    json_object_set_new(item, "tariff", code);
    json_object_set_new(item, "vat", vat);
}

/* Adds up what the lines of a pair say, as the key would have given it. */
static void put_supply(struct bills *x, const json_t *lines)
{
    json_t *sums = json_object();
    size_t i;
    const json_t *l;
    json_array_foreach(lines, i, l)
    {
        if (strcmp(vectors_text(l, "kind"), "local_energy") == 0) {
            char pair[160];
            snprintf(pair, sizeof pair, "%s/%s", vectors_text(l, "payee"),
                     vectors_text(l, "payer"));
            int64_t sum = json_integer_value(json_object_get(sums, pair)) + vectors_int(l, "mwh");
            json_object_set_new(sums, pair, json_integer(sum));
            contract_run_given(&x->c, "supply",
                               json_pack("[s, o, o]", PERIOD, payee(vectors_text(l, "payee")),
                                         party(vectors_text(l, "payer"))),
                               json_pack("{s:o}", "energy", energy(sum)));
        }
    }
    json_decref(sums);
}

static json_t *item(struct bills *x, const json_t *line, size_t number)
{
    const char *kind = vectors_text(line, "kind");
    json_t *one = json_pack("{s:I, s:s, s:o, s:o}", "no", (json_int_t)number + 1, "kind",
                            strcmp(kind, "local_energy") == 0 ? "local"
                            : strcmp(kind, "surplus") == 0    ? "surplus"
                                                              : "fee",
                            "payer", party(vectors_text(line, "payer")), "payee",
                            payee(vectors_text(line, "payee")));
    put_prices(x, line, one);
    if (json_object_get(line, "mwh") != NULL) {
        json_object_set_new(one, "energy", energy(vectors_int(line, "mwh")));
    }
    return one;
}

static void settle(struct bills *x, int revision, const json_t *lines)
{
    json_t *list = json_array();
    size_t i;
    const json_t *l;
    put_supply(x, lines);
    json_array_foreach(lines, i, l)
    {
        json_array_append_new(list, item(x, l, i));
    }
    contract_run_feed(&x->c, json_pack("{s:s, s:[s], s:s, s:{s:s, s:i, s:o}}", "event", "settle",
                                       "by", "pmo.bourg", "now", "2026-08-05T10:00:00Z", "args",
                                       "period", PERIOD, "revision", revision, "lines", list));
    if (!contract_run_accepted(&x->c)) {
        fail_msg("revision %d: %s", revision, contract_run_why(&x->c));
    }
}

/* ---- what came out ---- */

static void add(json_t *sums, const char *name, int64_t cents)
{
    int64_t sum = json_integer_value(json_object_get(sums, name)) + cents;
    if (sum == 0) {
        json_object_del(sums, name);
    } else {
        json_object_set_new(sums, name, json_integer(sum));
    }
}

/* An account as the cases write it, without capitals. */
static void account(const json_t *effect, size_t at, char *text, size_t size)
{
    const char *key = json_string_value(json_array_get(json_array_get(effect, at + 1), 0));
    bool own = key != NULL && strcmp(key, "pmo.bourg") == 0;
    snprintf(text, size, "%s[%s]", json_string_value(json_array_get(effect, at)),
             own           ? "pmo"
             : key == NULL ? ""
                           : key);
}

/* The postings of the last event in order, which are booked. */
static json_t *postings(struct bills *x)
{
    json_t *list = json_array();
    size_t i;
    const json_t *e;
    json_object_clear(x->moved);
    json_array_foreach(vectors_get(x->c.result, "effects"), i, e)
    {
        if (strcmp(json_string_value(json_array_get(e, 0)), "transfer") == 0) {
            char from[96], to[96];
            int64_t cents = contract_run_cents(json_array_get(e, 7));
            account(e, 3, from, sizeof from);
            account(e, 5, to, sizeof to);
            json_array_append_new(list, json_pack("[s, s, I]", from, to, (json_int_t)cents));
            add(x->balances, from, -cents);
            add(x->balances, to, cents);
            add(x->moved, from, -cents);
            add(x->moved, to, cents);
        }
    }
    return list;
}

static json_t *wanted_postings(const json_t *want)
{
    json_t *list = json_array();
    size_t i;
    const json_t *p;
    json_array_foreach(want, i, p)
    {
        json_array_append_new(list, json_pack("[o, o, I]", party(vectors_text(p, "from")),
                                              party(vectors_text(p, "to")),
                                              (json_int_t)vectors_int(p, "cents")));
    }
    return list;
}

/* Names without capitals. */
static json_t *lower(const json_t *sums)
{
    json_t *low = json_object();
    const char *name;
    json_t *cents;
    json_object_foreach((json_t *)(uintptr_t)sums, name, cents)
    {
        json_t *key = party(name);
        json_object_set(low, json_string_value(key), cents);
        json_decref(key);
    }
    return low;
}

static void expect_list(json_t *got, json_t *want)
{
    vectors_expect(got, want);
    json_decref(want);
}

static const json_t *line_row(const struct bills *x, int revision, size_t i)
{
    return contract_run_row(&x->c, "line",
                            json_pack("[s, i, I]", PERIOD, revision, (json_int_t)i + 1));
}

static const json_t *document(const struct bills *x, int revision, const char *payer)
{
    return contract_run_row(&x->c, "document",
                            json_pack("[s, i, o]", PERIOD, revision, party(payer)));
}

static void bill_is_as_expected(const json_t *one)
{
    struct bills x = {.balances = json_object(), .moved = json_object()};
    const json_t *want = vectors_get(one, "expect"), *l;
    const char *payer;
    json_t *gross;
    size_t i;
    contract_run_open(&x.c, bill_path, NULL);
    settle(&x, 1, vectors_get(one, "lines"));
    json_array_foreach(vectors_get(want, "lines"), i, l)
    {
        const json_t *row = line_row(&x, 1, i);
        assert_int_equal(contract_run_cents(vectors_get(row, "net")), vectors_int(l, "net_cents"));
        assert_int_equal(contract_run_cents(vectors_get(row, "tax")), vectors_int(l, "vat_cents"));
    }
    json_object_foreach(vectors_get(want, "payer_gross_cents"), payer, gross)
    {
        const json_t *row = document(&x, 1, payer);
        assert_int_equal(contract_run_cents(vectors_get(row, "gross")), json_integer_value(gross));
        assert_string_equal(vectors_text(row, "kind"), "invoice");
    }
    /* A posting of zero is none. */
    expect_list(postings(&x), wanted_postings(vectors_get(want, "postings")));
    expect_list(json_incref(x.balances), lower(vectors_get(want, "balances")));
    json_decref(x.balances);
    json_decref(x.moved);
    contract_run_close(&x.c);
}

/* ---- restatement ---- */

static json_t *readings(const json_t *values, char side)
{
    json_t *list = json_array(), *v;
    size_t i;
    json_array_foreach(values, i, v)
    {
        json_array_append_new(list,
                              json_pack("{s:o, s:o}", "meter", json_sprintf("%c%02zu", side, i + 1),
                                        "energy", energy(json_integer_value(v))));
    }
    return list;
}

static void join_all(struct contract_run *shares, const json_t *values, char side)
{
    for (size_t i = 0; i < json_array_size(values); i++) {
        contract_run_given(shares, "point",
                           json_pack("[s, o]", side == 'p' ? "made" : "used",
                                     json_sprintf("%c%02zu", side, i + 1)),
                           json_pack("{s:s}", "since", PERIOD));
    }
}

static int64_t mwh_of(const json_t *amount)
{
    int64_t whole = 0, rest = 0;
    assert_int_equal(sscanf(json_string_value(amount), "%" SCNd64 ".%3" SCNd64, &whole, &rest), 2);
    return whole * 1000 + rest;
}

static const char *item_text(const json_t *list, size_t i)
{
    return json_string_value(json_array_get(list, i));
}

/* What an event did to "p01>c01" (energy given) and "p01>buyer" (surplus). */
static void add_energy(const struct contract_run *shares, json_t *given)
{
    size_t i;
    const json_t *e;
    json_array_foreach(vectors_get(shares->result, "effects"), i, e)
    {
        char pair[96];
        const json_t *key = json_array_get(e, 3);
        if (strcmp(item_text(e, 0), "put") == 0 && strcmp(item_text(e, 2), "supply") == 0) {
            snprintf(pair, sizeof pair, "%s>%s", item_text(key, 1), item_text(key, 2));
            json_object_set_new(given, pair,
                                json_integer(mwh_of(vectors_get(json_array_get(e, 4), "energy"))));
        } else if (strcmp(item_text(e, 0), "transfer") == 0) {
            bool to = strcmp(item_text(e, 5), "surplus") == 0;
            bool from = strcmp(item_text(e, 3), "surplus") == 0;
            const char *maker = item_text(json_array_get(e, to ? 6 : 4), 0);
            if (to || from) {
                int64_t more = mwh_of(json_array_get(e, 7));
                snprintf(pair, sizeof pair, "%s>buyer", maker);
                add(given, pair, to ? more : -more);
            }
        }
    }
}

/* Meters the slots that differ from those before; all, if there were none. A correction posts
 * differences, which are added to what was given. */
static void meter(struct contract_run *shares, const json_t *slots, const json_t *before,
                  json_t *given)
{
    size_t i;
    const json_t *slot;
    json_array_foreach(slots, i, slot)
    {
        if (before != NULL && json_equal(slot, json_array_get(before, i))) {
            continue;
        }
        contract_run_feed(
            shares, json_pack("{s:s, s:[s], s:s, s:{s:o, s:i, s:o, s:o}}", "event", "metering",
                              "by", "grid.operator", "now", "2026-08-01T10:00:00Z", "args", "start",
                              json_sprintf("2026-07-02T10:%02zu:00Z", 15 * i), "revision",
                              before == NULL ? 1 : 2, "made", readings(vectors_get(slot, "p"), 'p'),
                              "used", readings(vectors_get(slot, "c"), 'c')));
        assert_true(contract_run_accepted(shares));
        add_energy(shares, given);
    }
}

/* Bill lines from the energy given, in the order of the case, whose own figures are compared. */
static json_t *lines_of(const json_t *one, const json_t *given, const char *when)
{
    json_t *lines = json_array();
    size_t i;
    const json_t *l;
    json_array_foreach(vectors_get(vectors_get(one, "expect"), "lines"), i, l)
    {
        const char *maker = vectors_text(l, "payee"), *taker = vectors_text(l, "payer");
        bool surplus = strcmp(taker, "buyer") == 0;
        size_t number = (size_t)(maker[2] - '1');
        char pair[96], name[32];
        snprintf(pair, sizeof pair, "%s>%s", maker, taker);
        snprintf(name, sizeof name, "mwh_%s", when);
        assert_int_equal(json_integer_value(json_object_get(given, pair)), vectors_int(l, name));
        json_array_append_new(
            lines,
            json_pack(
                "{s:s, s:s, s:s, s:O, s:I, s:I, s:b}", "kind", surplus ? "surplus" : "local_energy",
                "payer", taker, "payee", maker, "mwh", vectors_get(given, pair), "price_e5",
                surplus ? json_integer_value(vectors_get(one, "surplus_price_e5"))
                        : json_integer_value(json_array_get(vectors_get(one, "price_e5"), number)),
                "vat_bp",
                surplus ? (json_int_t)0
                        : json_integer_value(json_array_get(vectors_get(one, "vat_bp"), number)),
                "reverse_charge", false));
    }
    return lines;
}

static void check_lines(const struct bills *x, const json_t *want, int revision, const char *when)
{
    size_t i;
    const json_t *l;
    json_array_foreach(want, i, l)
    {
        char net[32], vat[32];
        snprintf(net, sizeof net, "net_%s", when);
        snprintf(vat, sizeof vat, "vat_%s", when);
        const json_t *row = line_row(x, revision, i);
        assert_int_equal(contract_run_cents(vectors_get(row, "net")), vectors_int(l, net));
        assert_int_equal(contract_run_cents(vectors_get(row, "tax")), vectors_int(l, vat));
    }
}

static void restatement_is_as_expected(const json_t *one)
{
    struct bills x = {.balances = json_object(), .moved = json_object()};
    struct contract_run shares;
    const json_t *want = vectors_get(one, "expect"), *d;
    const json_t *before = vectors_get(one, "slots_before"), *first = json_array_get(before, 0);
    json_t *given = json_object();
    const char *payer;
    assert_string_equal(vectors_text(one, "key"), "K2");
    contract_run_open(&shares, shares_path, NULL);
    contract_run_open(&x.c, bill_path, NULL);
    join_all(&shares, vectors_get(first, "p"), 'p');
    join_all(&shares, vectors_get(first, "c"), 'c');
    meter(&shares, before, NULL, given);
    json_t *lines = lines_of(one, given, "before");
    settle(&x, 1, lines);
    check_lines(&x, vectors_get(want, "lines"), 1, "before");
    json_decref(postings(&x));
    json_t *numbers = json_object();
    json_object_foreach(vectors_get(want, "documents"), payer, d)
    {
        json_object_set(numbers, payer, vectors_get(document(&x, 1, payer), "no"));
    }
    meter(&shares, vectors_get(one, "slots_after"), before, given);
    json_decref(lines);
    lines = lines_of(one, given, "after");
    settle(&x, 2, lines);
    check_lines(&x, vectors_get(want, "lines"), 2, "after");
    expect_list(postings(&x), wanted_postings(vectors_get(want, "postings")));
    vectors_expect(json_incref(x.moved), vectors_get(want, "net_by_account"));
    json_object_foreach(vectors_get(want, "documents"), payer, d)
    {
        const json_t *row = document(&x, 2, payer);
        bool credit = strcmp(vectors_text(d, "kind"), "CREDIT_NOTE") == 0;
        assert_string_equal(vectors_text(row, "kind"), credit ? "credit_note" : "debit_note");
        assert_int_equal(contract_run_cents(vectors_get(row, "gross")),
                         vectors_int(d, "gross_cents"));
        assert_int_equal(vectors_int(row, "cites"), vectors_int(numbers, payer));
    }
    json_decref(numbers);
    json_decref(lines);
    json_decref(given);
    json_decref(x.balances);
    json_decref(x.moved);
    contract_run_close(&x.c);
    contract_run_close(&shares);
}

/* ---- premium, credit ---- */

static void premium_is_as_expected(const json_t *one)
{
    struct bills x = {.balances = json_object(), .moved = json_object()};
    const json_t *want = vectors_get(one, "expect"), *weight;
    json_t *shares = json_array();
    size_t i;
    contract_run_open(&x.c, bill_path, NULL);
    contract_run_given(&x.c, "tariff", json_pack("[s, s, s]", "pmo.bourg", "premium", SINCE),
                       json_pack("{s:o}", "price", price(vectors_int(one, "premium_e5"))));
    json_array_foreach(vectors_get(one, "statute_weights"), i, weight)
    {
        contract_run_given(&x.c, "statute", json_pack("[s, o]", "all", json_sprintf("m%zu", i)),
                           json_pack("{s:O}", "weight", weight));
    }
    contract_run_feed(&x.c,
                      json_pack("{s:s, s:[s], s:s, s:{s:s, s:o, s:o}}", "event", "share_premium",
                                "by", "pmo.bourg", "now", "2026-08-05T10:00:00Z", "args", "period",
                                PERIOD, "injected", energy(vectors_int(one, "injected_mwh")),
                                "withdrawn", energy(vectors_int(one, "withdrawn_mwh"))));
    assert_true(contract_run_accepted(&x.c));
    assert_int_equal(mwh_of(contract_run_let(&x.c, "shared")), vectors_int(want, "shared_mwh"));
    assert_int_equal(contract_run_cents(contract_run_let(&x.c, "total")),
                     vectors_int(want, "cents"));
    json_t *moved = postings(&x), *p;
    json_array_foreach(moved, i, p)
    {
        json_array_append(shares, json_array_get(p, 2));
    }
    vectors_expect(shares, vectors_get(want, "shares_cents"));
    json_decref(moved);
    json_decref(x.balances);
    json_decref(x.moved);
    contract_run_close(&x.c);
}

static void credit_is_as_expected(const json_t *one)
{
    struct contract_run c;
    const json_t *want = vectors_get(one, "expect");
    contract_run_open(&c, bill_path, NULL);
    contract_run_feed(
        &c,
        json_pack("{s:s, s:[s], s:s, s:{s:s, s:s, s:o, s:o}}", "event", "cap_credit", "by",
                  "pmo.bourg", "now", "2026-08-05T10:00:00Z", "args", "period", PERIOD, "who", "a",
                  "charge", contract_run_amount(vectors_int(one, "energy_charge_cents"), "EUR"),
                  "value", contract_run_amount(vectors_int(one, "surplus_value_cents"), "EUR")));
    assert_true(contract_run_accepted(&c));
    const json_t *row = contract_run_row(&c, "credit", json_pack("[s, s]", PERIOD, "a"));
    assert_int_equal(contract_run_cents(vectors_get(row, "credited")),
                     vectors_int(want, "credited_cents"));
    assert_int_equal(contract_run_cents(vectors_get(row, "to_pay")),
                     vectors_int(want, "to_pay_cents"));
    assert_int_equal(contract_run_cents(vectors_get(row, "lost")), vectors_int(want, "lost_cents"));
    contract_run_close(&c);
}

static void months_are_settled_as_expected(void **state)
{
    const json_t *one = *state;
    const char *type = vectors_text(one, "type");
    if (strcmp(type, "bill") == 0) {
        bill_is_as_expected(one);
    } else if (strcmp(type, "restatement") == 0) {
        restatement_is_as_expected(one);
    } else if (strcmp(type, "premium") == 0) {
        premium_is_as_expected(one);
    } else {
        assert_string_equal(type, "net_billing");
        credit_is_as_expected(one);
    }
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        return 2;
    }
    bill_path = argv[1];
    shares_path = argv[2];
    return vectors_run_json(argv[3], CASES, months_are_settled_as_expected);
}
