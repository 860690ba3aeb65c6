/* The cases of data/auction.json through contracts/market.rules: orders become events, the close
 * fires, and price, volume, what each order was served and its cents are compared, and how much of
 * a party's own orders was taken out. Equal prices are served in order of time, and a party may
 * trade with itself, in 2026; cases of the other conventions take place in 2027, when the contract
 * has these. Its two price limits are those of the case. */
#include "tests/vectors/vectors.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "crypto/sha256.h"
#include "rules/rules.h"

enum { CASES = 15, TEXT_MAX = 256 << 10, LIMIT_MAX = 900000 };

#define SLOT "-07-02T10:00:00Z"
#define NOW "-07-02T08:00:00Z"
#define CLOSE "-07-02T09:45:00Z"

static const char *path;

struct market {
    struct rules_registry *registry;
    struct rules_program *program;
    struct rules_run *run;
    const char *year;
    json_t *result;        /* of the last event */
    json_t *bids, *offers; /* ids of the accepted orders, in order of time */
};

/* Puts a price, a count of 0.00001 EUR/kWh, in the place of the one that a term has. */
static void set_limit(char *text, const char *term, int64_t price)
{
    char *at = strstr(text, term);
    assert_non_null(at);
    at = strchr(at, '=');
    assert_non_null(at);
    char number[32];
    assert_true(price >= 0 && price <= LIMIT_MAX);
    snprintf(number, sizeof number, "%" PRId64 ".%05" PRId64, price / 100000, price % 100000);
    memcpy(at + 2, number, 7); /* "0.04000" */
}

static void compile(struct market *m, const json_t *params)
{
    char *text = mem_new(1, TEXT_MAX);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    size_t size = fread(text, 1, TEXT_MAX - 1, f);
    assert_int_equal(fclose(f), 0);
    const json_t *least = vectors_get(params, "floor"), *most = vectors_get(params, "ceil");
    set_limit(text, "term lowest", json_is_null(least) ? 0 : json_integer_value(least));
    set_limit(text, "term highest", json_is_null(most) ? LIMIT_MAX : json_integer_value(most));
    struct rules_diag diag;
    m->registry = rules_registry_default();
    struct rules_env env = {m->registry, sha256};
    if (failed(rules_compile(&env, bytes_of(text, size), &m->program, &diag))) {
        fail_msg("%s:%u:%u: %s", path, diag.line, diag.column, diag.message);
    }
    free(text);
    m->run = rules_run_new(m->program);
}

static json_t *in_year(const struct market *m, const char *rest)
{
    return json_sprintf("%s%s", m->year, rest);
}

/* Takes over the line. */
static void feed(struct market *m, json_t *line)
{
    struct buf out;
    struct errtext why;
    char *text = json_dumps(line, JSON_COMPACT);
    buf_init(&out, (size_t)16 << 20);
    if (failed(rules_run_line(m->run, bytes_text(text), &out, &why))) {
        fail_msg("%s: %s", text, why.text);
    }
    json_decref(m->result);
    m->result = out.size == 0 ? NULL : json_loadb((const char *)out.data, out.size, 0, NULL);
    buf_done(&out);
    free(text);
    json_decref(line);
}

static bool accepted(const struct market *m)
{
    const json_t *outcome = vectors_get(m->result, "outcome");
    return strcmp(vectors_text(outcome, "end"), "accepted") == 0;
}

/* "5000.000 Wh" with `decimals` after the point, as a count of its last digit. */
static int64_t count_of(const json_t *amount, int decimals)
{
    const char *text = json_string_value(amount);
    assert_non_null(text);
    int64_t count = 0;
    int after = -1;
    for (; *text != ' ' && *text != 0; text++) {
        if (*text == '.') {
            after = 0;
        } else {
            assert_true(isdigit((unsigned char)*text));
            count = count * 10 + (*text - '0');
            after += after >= 0 ? 1 : 0;
        }
    }
    assert_int_equal(after, decimals);
    return count;
}

static void give_member(struct market *m, const char *party)
{
    feed(m, json_pack("{s:s, s:[s], s:{s:s}}", "given", "member", "key", party, "row", "since",
                      "2026-07-01"));
    feed(m, json_pack("{s:s, s:[s], s:s}", "given", "wallet", "key", party, "amount",
                      "1000000.00 EUR"));
}

/* An order becomes an event; true if it was accepted. */
static bool place(struct market *m, const json_t *order)
{
    char party[2] = {(char)tolower((unsigned char)vectors_text(order, "party")[0]), 0};
    char quantity[64], limit[64];
    int64_t mwh = vectors_int(order, "qty_mwh"), price = vectors_int(order, "price");
    bool bid = strcmp(vectors_text(order, "side"), "bid") == 0;
    snprintf(quantity, sizeof quantity, "%" PRId64 ".%03" PRId64 " Wh", mwh / 1000, mwh % 1000);
    snprintf(limit, sizeof limit, "%" PRId64 ".%05" PRId64 " EUR/kWh", price / 100000,
             price % 100000);
    give_member(m, party);
    feed(m, json_pack("{s:s, s:[s], s:o, s:{s:o, s:s, s:s}}", "event", bid ? "buy" : "sell", "by",
                      party, "now", in_year(m, NOW), "args", "start", in_year(m, SLOT), "energy",
                      quantity, "limit", limit));
    if (accepted(m)) {
        json_array_append_new(bid ? m->bids : m->offers, json_string(vectors_text(order, "id")));
    }
    return accepted(m);
}

/* Orders of one side that were served, in order of time: the weights and shares of the
 * apportionment of the money are energy and cents. */
static int64_t put_fills(json_t *fills, const json_t *ids, const json_t *apportioned)
{
    int64_t volume = 0;
    const json_t *energies = json_array_get(apportioned, 4), *sums = json_array_get(apportioned, 5);
    assert_int_equal(json_array_size(ids), json_array_size(energies));
    for (size_t i = 0; i < json_array_size(ids); i++) {
        int64_t mwh = count_of(json_array_get(energies, i), 3);
        int64_t cents = count_of(json_array_get(sums, i), 2);
        volume += mwh;
        if (mwh > 0) {
            json_array_append_new(fills, json_pack("{s:O, s:I, s:I}", "order",
                                                   json_array_get(ids, i), "qty_mwh",
                                                   (json_int_t)mwh, "cents", (json_int_t)cents));
        }
    }
    return volume;
}

/* The energy of own orders that were taken out; both sides are made known. */
static int64_t netted(const struct market *m)
{
    size_t i;
    const json_t *e;
    int64_t sum = 0;
    json_array_foreach(vectors_get(m->result, "effects"), i, e)
    {
        if (strcmp(json_string_value(json_array_get(e, 0)), "emit") == 0) {
            sum += count_of(vectors_get(json_array_get(e, 4), "energy"), 3);
        }
    }
    assert_int_equal(sum % 2, 0);
    return sum / 2;
}

/* What the clearing of the last event says. */
static json_t *cleared(const struct market *m)
{
    size_t i, sides = 0;
    const json_t *t, *price = json_null();
    json_t *fills = json_array();
    int64_t volume[2] = {0};
    json_array_foreach(vectors_get(m->result, "trace"), i, t)
    {
        const char *clause = json_string_value(json_array_get(t, 0));
        const char *kind = json_string_value(json_array_get(t, 2));
        if (strcmp(clause, "7") == 0 && strcmp(kind, "clear") == 0) {
            price = json_array_get(t, 3);
        } else if (strcmp(clause, "9") == 0 && strcmp(kind, "apportion") == 0) {
            assert_true(sides < 2);
            volume[sides] = put_fills(fills, sides == 0 ? m->bids : m->offers, t);
            sides++;
        }
    }
    assert_int_equal(volume[0], volume[1]);
    return json_pack("{s:I, s:o, s:o, s:I}", "volume_mwh", (json_int_t)volume[0], "price",
                     json_is_null(price) ? json_null() : json_integer(count_of(price, 5)), "fills",
                     fills, "netted", (json_int_t)netted(m));
}

/* The part of the case's result that is compared. */
static json_t *expected(const json_t *one)
{
    size_t i;
    const json_t *w, *want = vectors_get(one, "expect");
    json_t *fills = json_array(), *rejected = json_array();
    json_int_t own = 0;
    json_array_foreach(vectors_get(want, "fills"), i, w)
    {
        json_array_append_new(fills, json_pack("{s:O, s:O, s:O}", "order", vectors_get(w, "order"),
                                               "qty_mwh", vectors_get(w, "qty_mwh"), "cents",
                                               vectors_get(w, "cents")));
    }
    json_array_foreach(vectors_get(want, "rejected"), i, w)
    {
        json_array_append(rejected, vectors_get(w, "order"));
    }
    json_array_foreach(vectors_get(want, "netted"), i, w)
    {
        own += vectors_int(w, "qty_mwh");
    }
    return json_pack("{s:O, s:O, s:o, s:o, s:I}", "volume_mwh", vectors_get(want, "volume_mwh"),
                     "price", vectors_get(want, "price"), "fills", fills, "rejected", rejected,
                     "netted", own);
}

static void market_clears_as_expected(void **state)
{
    const json_t *one = *state, *params = vectors_get(one, "params"), *order;
    bool first = strcmp(vectors_text(params, "ration"), "time") == 0 &&
                 strcmp(vectors_text(params, "self_trade"), "allow") == 0;
    struct market m = {
        .year = first ? "2026" : "2027", .bids = json_array(), .offers = json_array()};
    json_t *rejected = json_array(), *want = expected(one);
    size_t i;
    compile(&m, params);
    feed(&m, json_pack("{s:s, s:[s], s:o, s:{s:o}}", "event", "open", "by", "market.quartier",
                       "now", in_year(&m, NOW), "args", "start", in_year(&m, SLOT)));
    assert_true(accepted(&m));
    json_array_foreach(vectors_get(one, "orders"), i, order)
    {
        if (!place(&m, order)) {
            json_array_append(rejected, vectors_get(order, "id"));
        }
    }
    feed(&m, json_pack("{s:o}", "tick", in_year(&m, CLOSE)));
    assert_true(accepted(&m));
    json_t *got = cleared(&m);
    json_object_set_new(got, "rejected", rejected);
    vectors_expect(got, want);
    json_decref(want);
    json_decref(m.bids);
    json_decref(m.offers);
    json_decref(m.result);
    rules_run_free(m.run);
    rules_program_free(m.program);
    rules_registry_free(m.registry);
}

int main(int argc, char **argv)
{
    path = argv[1];
    return argc == 3 ? vectors_run_json(argv[2], CASES, market_clears_as_expected) : 2;
}
