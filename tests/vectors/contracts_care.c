/* The cases of data/care.json through contracts/care.rules and contracts/care-recovery.rules. What
 * registries hold (agreements, mandates known by that day, highest rates, officers) is put where
 * the contracts read it; each filing and review is an event, and its end, codes, amounts, postings,
 * deadlines and the balances after it are compared. A refusal has no effects: its code is the first
 * word of its reason, its cost what was claimed. */
#include "tests/vectors/contract_run.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rules/civil.h"

enum { CASES = 18 };

static const char *care_path, *recovery_path;

struct care {
    struct contract_run c;
    const json_t *one;   /* the case */
    const json_t *lines; /* of the last filing */
    json_t *balances;    /* "avail": cents; every family has one account in a case */
    json_t *known;       /* officers that were put there */
    char id[96];         /* of the last claim */
};

/* ---- names, days ---- */

static int32_t day_of(const char *text)
{
    int32_t day = 0;
    assert_int_equal(civil_day_parse(bytes_text(text), &day), NUM_OK);
    return day;
}

static json_t *day_before(const json_t *before)
{
    char text[16];
    if (json_is_null(before)) {
        return json_string("9999-12-31");
    }
    size_t size = civil_day_print(day_of(json_string_value(before)) - 1, text);
    return json_stringn(text, size);
}

/* A name as the ledger writes it: parties have no capitals. */
static json_t *party(const char *name)
{
    char text[64];
    snprintf(text, sizeof text, "%s", name);
    for (char *p = text; *p != 0; p++) {
        *p = (char)tolower((unsigned char)*p);
    }
    return json_string(text);
}

static json_t *rate(int64_t cents)
{
    return contract_run_amount(cents, "EUR/h");
}

/* ---- what the registries and the books hold ---- */

static void put_budget(struct care *x)
{
    const json_t *b = vectors_get(x->one, "budget"), *p = vectors_get(x->one, "params");
    bool full = strcmp(vectors_text(p, "short_policy"), "FULL_OR_NOTHING") == 0;
    json_t *row = json_pack(
        "{s:o, s:s, s:s, s:s, s:b, s:s, s:s, s:s}", "holder", party(vectors_text(b, "holder")),
        "law", vectors_text(b, "law"), "from", vectors_text(b, "from"), "before",
        vectors_text(b, "before"), "any_period", true, "short", full ? "full" : "partial", "late",
        vectors_text(p, "late_policy"), "hours", vectors_text(p, "over_hours_policy"));
    const json_t *above = vectors_get(p, "review_above_cents");
    if (!json_is_null(above)) {
        json_object_set_new(row, "review_above",
                            contract_run_amount(json_integer_value(above), "EUR"));
    }
    int64_t spent = vectors_int(b, "spent_cents"), grant = vectors_int(b, "grant_cents");
    const char *id = vectors_text(b, "id");
    contract_run_given(&x->c, "budget", json_pack("[s]", id), row);
    contract_run_raise(&x->c, "avail", json_pack("[s]", id), grant - spent);
    contract_run_raise(&x->c, "spent", json_pack("[s]", id), spent);
    json_object_set_new(x->balances, "avail", json_integer(grant - spent));
    json_object_set_new(x->balances, "spent", json_integer(spent));
    const json_t *own = json_object_get(x->one, "deposit_cents");
    if (own != NULL) {
        contract_run_raise(&x->c, "deposit", json_pack("[o]", party(vectors_text(b, "holder"))),
                           json_integer_value(own));
        json_object_set_new(x->balances, "deposit", json_integer(json_integer_value(own)));
    }
}

static void put_agreement(struct care *x)
{
    const json_t *a = vectors_get(x->one, "agreement"), *cap;
    size_t i;
    json_t *row =
        json_pack("{s:o, s:o, s:s, s:o, s:O, s:b, s:s, s:o}", "holder",
                  party(vectors_text(vectors_get(x->one, "budget"), "holder")), "caregiver",
                  party(vectors_text(a, "carer")), "kind", vectors_text(a, "carer_kind"), "rate",
                  rate(vectors_int(a, "cents_per_hour")), "functions", vectors_get(a, "functions"),
                  "top_up", json_is_true(vectors_get(a, "top_up")), "from", vectors_text(a, "from"),
                  "until", day_before(vectors_get(a, "before")));
    assert_true(json_is_null(vectors_get(a, "max_minutes_per_month")));
    contract_run_given(&x->c, "agreement", json_pack("[s]", vectors_text(a, "id")), row);
    json_array_foreach(vectors_get(x->one, "caps"), i, cap)
    {
        contract_run_given(&x->c, "cap",
                           json_pack("[s, s, s]",
                                     vectors_text(vectors_get(x->one, "budget"), "law"),
                                     vectors_text(cap, "carer_kind"), vectors_text(cap, "from")),
                           json_pack("{s:o}", "rate", rate(vectors_int(cap, "cents_per_hour"))));
    }
}

static void put_weeks(struct care *x)
{
    size_t i;
    const json_t *w;
    json_array_foreach(json_object_get(x->one, "paid_before"), i, w)
    {
        int32_t monday = 0;
        char text[16];
        assert_int_equal(civil_day_monday(day_of(vectors_text(w, "day")), &monday), NUM_OK);
        size_t size = civil_day_print(monday, text);
        contract_run_given(
            &x->c, "week",
            json_pack("[o, o]", party(vectors_text(w, "carer")), json_stringn(text, size)),
            json_pack("{s:I}", "minutes", (json_int_t)vectors_int(w, "minutes")));
    }
}

static const json_t *mandate(const struct care *x, const char *id)
{
    size_t i;
    const json_t *m;
    json_array_foreach(vectors_get(x->one, "mandates"), i, m)
    {
        if (strcmp(vectors_text(m, "id"), id) == 0) {
            return m;
        }
    }
    fail_msg("no mandate %s", id);
    return NULL;
}

/* A mandate that was passed on is one of the holder at the end of its chain. */
static void put_mandate(struct care *x, const json_t *m)
{
    const json_t *above = vectors_get(m, "parent"), *root = m;
    const char *action = json_string_value(json_array_get(vectors_get(m, "actions"), 0));
    while (!json_is_null(vectors_get(root, "parent"))) {
        root = mandate(x, vectors_text(root, "parent"));
    }
    json_t *row = json_pack("{s:s, s:s, s:s, s:o, s:s}", "issuer", "register", "scope",
                            strcmp(action, "CLAIM") == 0 ? "approve" : "view", "from",
                            vectors_text(m, "from"), "until", day_before(vectors_get(m, "before")),
                            "state", "active");
    const json_t *most = vectors_get(m, "max_cents_per_act");
    if (!json_is_null(most)) {
        json_object_set_new(row, "limit", contract_run_amount(json_integer_value(most), "EUR"));
    }
    if (!json_is_null(above)) {
        const json_t *parent = mandate(x, json_string_value(above));
        json_object_set_new(row, "parent", json_copy((json_t *)(uintptr_t)above));
        json_object_set_new(row, "issuer", party(vectors_text(parent, "holder")));
    }
    contract_run_given(&x->c, "attestation", json_pack("[s]", vectors_text(m, "id")), row);
    contract_run_given(
        &x->c, "latest",
        json_pack("[o, o]", party(vectors_text(root, "subject")), party(vectors_text(m, "holder"))),
        json_pack("{s:s}", "id", vectors_text(m, "id")));
}

/* Those that the ledger knows by that day. */
static void put_mandates(struct care *x, const char *at)
{
    size_t i;
    const json_t *m;
    json_array_foreach(vectors_get(x->one, "mandates"), i, m)
    {
        if (strcmp(vectors_text(m, "recorded"), at) <= 0) {
            put_mandate(x, m);
        }
    }
}

/* An officer serves the institution that named it first. */
static void put_officers(struct care *x, const json_t *step)
{
    size_t i;
    const json_t *r;
    json_array_foreach(vectors_get(step, "reviewers"), i, r)
    {
        const char *who = vectors_text(r, "person");
        if (json_object_get(x->known, who) == NULL) {
            json_object_set_new(x->known, who, json_true());
            contract_run_given(&x->c, "officer", json_pack("[o]", party(who)),
                               json_pack("{s:s, s:s}", "of", vectors_text(r, "institution"),
                                         "until", "2099-12-31"));
        }
    }
}

/* ---- events ---- */

static void event(struct care *x, const char *name, const char *at, const char *who, json_t *args)
{
    contract_run_feed(&x->c, json_pack("{s:s, s:[o], s:o, s:o}", "event", name, "by", party(who),
                                       "now", json_sprintf("%sT12:00:00Z", at), "args", args));
}

static void submit(struct care *x, const json_t *step)
{
    const char *agreement = vectors_text(vectors_get(x->one, "agreement"), "id");
    const char *at = vectors_text(step, "at");
    json_int_t no = vectors_int(step, "no"), attempt = vectors_int(step, "version");
    json_t *lines = json_array(), *l;
    size_t i;
    x->lines = vectors_get(step, "lines");
    json_array_foreach(x->lines, i, l)
    {
        json_array_append_new(lines,
                              json_pack("{s:s, s:I, s:o, s:s}", "day", vectors_text(l, "day"),
                                        "minutes", (json_int_t)vectors_int(l, "minutes"), "rate",
                                        rate(vectors_int(l, "cents_per_hour")), "care",
                                        vectors_text(l, "function")));
    }
    put_mandates(x, at);
    if (json_is_true(json_object_get(step, "sampled"))) {
        contract_run_given(&x->c, "sample", json_pack("[s, I]", agreement, no),
                           json_pack("{s:s}", "drawn", at));
    }
    snprintf(x->id, sizeof x->id, "%s/%" JSON_INTEGER_FORMAT "/%" JSON_INTEGER_FORMAT, agreement,
             no, attempt);
    event(x, "submit", at, vectors_text(step, "actor"),
          json_pack("{s:s, s:s, s:I, s:I, s:s, s:s, s:s, s:o}", "agreement_id", agreement,
                    "budget_id", vectors_text(vectors_get(x->one, "budget"), "id"), "no", no,
                    "attempt", attempt, "since", vectors_text(step, "period_from"), "before",
                    vectors_text(step, "period_before"), "handed_over",
                    vectors_text(step, "handed_over_on"), "lines", lines));
}

/* Two officers: the first proposes, the second confirms the amount that came out. */
static void review(struct care *x, const json_t *step)
{
    const json_t *two = vectors_get(step, "reviewers"), *a;
    json_t *allow = json_array();
    size_t i;
    put_officers(x, step);
    json_array_foreach(vectors_get(step, "allow"), i, a)
    {
        const json_t *l = json_array_get(x->lines, (size_t)vectors_int(a, "line") - 1);
        json_array_append_new(allow, json_pack("{s:s, s:I}", "day", vectors_text(l, "day"),
                                               "minutes", (json_int_t)vectors_int(a, "minutes")));
    }
    event(x, "propose", vectors_text(step, "at"), vectors_text(json_array_get(two, 0), "person"),
          json_pack("{s:s, s:o}", "id", x->id, "allow", allow));
    if (!contract_run_accepted(&x->c)) {
        return;
    }
    json_t *pay = json_copy((json_t *)(uintptr_t)contract_run_let(&x->c, "pay"));
    event(x, "confirm", vectors_text(step, "at"), vectors_text(json_array_get(two, 1), "person"),
          json_pack("{s:s, s:o}", "id", x->id, "pay", pay));
}

/* ---- what came out ---- */

static void book(struct care *x, const char *family, int64_t cents)
{
    int64_t sum = json_integer_value(json_object_get(x->balances, family)) + cents;
    json_object_set_new(x->balances, family, json_integer(sum));
}

static json_t *account(const json_t *effect, size_t at)
{
    return json_sprintf("%s[%s]", json_string_value(json_array_get(effect, at)),
                        json_string_value(json_array_get(json_array_get(effect, at + 1), 0)));
}

static void check_postings(struct care *x, const json_t *want)
{
    json_t *got = json_array(), *lower = json_array();
    size_t i;
    const json_t *e;
    json_array_foreach(vectors_get(x->c.result, "effects"), i, e)
    {
        if (strcmp(json_string_value(json_array_get(e, 0)), "transfer") == 0) {
            int64_t cents = contract_run_cents(json_array_get(e, 7));
            book(x, json_string_value(json_array_get(e, 3)), -cents);
            book(x, json_string_value(json_array_get(e, 5)), cents);
            json_array_append_new(got, json_pack("{s:o, s:o, s:I}", "from", account(e, 3), "to",
                                                 account(e, 5), "cents", (json_int_t)cents));
        }
    }
    json_array_foreach(want, i, e)
    {
        const char *to = vectors_text(e, "to");
        json_array_append_new(
            lower, json_pack("{s:s, s:o, s:I}", "from", vectors_text(e, "from"), "to",
                             strncmp(to, "payable", 7) == 0 ? party(to) : json_string(to), "cents",
                             (json_int_t)vectors_int(e, "cents")));
    }
    vectors_expect(got, lower);
    json_decref(lower);
}

static void check_balances(const struct care *x, const json_t *after)
{
    const char *family;
    json_t *cents;
    json_object_foreach((json_t *)(uintptr_t)after, family, cents)
    {
        if (json_integer_value(json_object_get(x->balances, family)) != json_integer_value(cents)) {
            fail_msg("%s stands at %" JSON_INTEGER_FORMAT ", not %" JSON_INTEGER_FORMAT, family,
                     json_integer_value(json_object_get(x->balances, family)),
                     json_integer_value(cents));
        }
    }
}

/* The lines that carry a code, and the minutes of the week that it names. */
static void check_code_place(const struct care *x, const json_t *code)
{
    json_t *got = json_array(), *l;
    size_t i;
    json_array_foreach(x->lines, i, l)
    {
        const json_t *row =
            contract_run_row(&x->c, "line", json_pack("[s, s]", x->id, vectors_text(l, "day")));
        const char *has = json_string_value(json_object_get(row, "code"));
        if (has != NULL && strcmp(has, vectors_text(code, "code")) == 0) {
            json_array_append_new(got, json_integer((json_int_t)i + 1));
        }
    }
    vectors_expect(got, vectors_get(code, "lines"));
    if (json_object_get(code, "week") != NULL) {
        size_t first = (size_t)json_integer_value(json_array_get(vectors_get(code, "lines"), 0));
        int32_t day = day_of(vectors_text(json_array_get(x->lines, first - 1), "day"));
        int32_t monday = 0, year = 0, week = civil_day_iso_week(day, &year);
        char text[32];
        snprintf(text, sizeof text, "%04d-W%02d", year, week);
        assert_string_equal(text, vectors_text(code, "week"));
        assert_int_equal(civil_day_monday(day, &monday), NUM_OK);
        text[civil_day_print(monday, text)] = 0;
        const char *carer = vectors_text(vectors_get(x->one, "agreement"), "carer");
        const json_t *row =
            contract_run_row(&x->c, "week", json_pack("[o, s]", party(carer), text));
        assert_int_equal(vectors_int(row, "minutes"), vectors_int(code, "minutes_in_week"));
    }
}

/* Of the reasons that the event wrote, or the one of a refusal. */
static void check_codes(const struct care *x, const json_t *want)
{
    json_t *got = json_array(), *plain = json_array();
    size_t i;
    const json_t *e;
    const char *why = contract_run_why(&x->c);
    json_array_foreach(vectors_get(x->c.result, "effects"), i, e)
    {
        const json_t *table = json_array_get(e, 2), *row = json_array_get(e, 4);
        if (json_is_string(table) && strcmp(json_string_value(table), "reason") == 0) {
            json_int_t cents = contract_run_cents(vectors_get(row, "amount"));
            const json_t *code = json_array_get(json_array_get(e, 3), 1);
            json_array_append_new(got, json_pack("[O, I]", code, cents));
            assert_true(cents > 0 || json_is_true(vectors_get(row, "hold")));
        }
    }
    if (!contract_run_accepted(&x->c) && strncmp(why, "REPLAY", 6) != 0) {
        json_int_t claimed = contract_run_cents(contract_run_let(&x->c, "claimed"));
        json_array_append_new(got, json_pack("[o, I]", json_stringn(why, 3), claimed));
    }
    json_array_foreach(want, i, e)
    {
        json_array_append_new(plain, json_pack("[s, I]", vectors_text(e, "code"),
                                               (json_int_t)vectors_int(e, "cents")));
        if (json_object_get(e, "lines") != NULL) {
            check_code_place(x, e);
        }
    }
    vectors_expect(got, plain);
    json_decref(plain);
}

/* A let of the trace, 0 where it was not reached. */
static int64_t cents_of(const struct care *x, const char *let)
{
    const json_t *v = contract_run_let(&x->c, let);
    return v == NULL ? 0 : contract_run_cents(v);
}

static void check_outcome(const struct care *x, const char *want)
{
    char text[32] = "REJECTED";
    if (strncmp(contract_run_why(&x->c), "REPLAY", 6) == 0) {
        snprintf(text, sizeof text, "REPLAY");
    } else if (contract_run_accepted(&x->c)) {
        const json_t *row = contract_run_row(&x->c, "claim", json_pack("[s]", x->id));
        snprintf(text, sizeof text, "%s", vectors_text(row, "status"));
    }
    for (char *p = text; *p != 0; p++) {
        *p = (char)toupper((unsigned char)*p);
    }
    if (strcmp(text, want) != 0) {
        fail_msg("%s, not %s: %s", text, want, contract_run_why(&x->c));
    }
}

static void check_chain(const struct care *x, const json_t *want)
{
    static const char *const lets[] = {"chain", "chain_above"};
    json_t *got = json_array();
    for (size_t i = 0; i < 2; i++) {
        const json_t *v = contract_run_let(&x->c, lets[i]);
        if (v != NULL && json_string_length(v) > 0) {
            json_array_append_new(got, json_copy((json_t *)(uintptr_t)v));
        }
    }
    vectors_expect(got, want);
}

static void check_day(const struct care *x, const json_t *want, const char *let)
{
    if (want != NULL) {
        assert_string_equal(json_string_value(contract_run_let(&x->c, let)),
                            json_string_value(want));
    }
}

static int64_t unpaid(const struct care *x)
{
    size_t i;
    const json_t *e;
    json_array_foreach(vectors_get(x->c.result, "effects"), i, e)
    {
        if (strcmp(json_string_value(json_array_get(e, 0)), "emit") == 0) {
            return contract_run_cents(vectors_get(json_array_get(e, 4), "unpaid"));
        }
    }
    fail_msg("nothing was emitted");
    return -1;
}

static void check_amounts(const struct care *x, const json_t *want)
{
    if (json_object_get(want, "claimed_cents") != NULL) {
        assert_int_equal(cents_of(x, "claimed"), vectors_int(want, "claimed_cents"));
        assert_int_equal(cents_of(x, "payable_sum"), vectors_int(want, "payable_cents"));
        check_chain(x, vectors_get(want, "chain"));
    }
    if (json_object_get(want, "from_budget_cents") != NULL) {
        assert_int_equal(cents_of(x, "paid"), vectors_int(want, "from_budget_cents"));
        assert_int_equal(cents_of(x, "taken") - cents_of(x, "paid"),
                         vectors_int(want, "held_cents"));
        assert_int_equal(cents_of(x, "own"),
                         json_integer_value(json_object_get(want, "from_deposit_cents")));
        assert_int_equal(unpaid(x), vectors_int(want, "unpaid_cents"));
    }
    if (json_object_get(want, "released_cents") != NULL) {
        assert_int_equal(cents_of(x, "released"), vectors_int(want, "released_cents"));
    }
    check_day(x, json_object_get(want, "cure_before"), "file_until");
    bool late = strncmp(contract_run_why(&x->c), "R04", 3) == 0;
    check_day(x, json_object_get(want, "deadline"), late ? "decide_until" : "file_until");
}

static void check_step(struct care *x, const json_t *step, const json_t *want)
{
    bool reviews = strcmp(vectors_text(step, "do"), "review") == 0;
    if (reviews) {
        review(x, step);
    } else {
        submit(x, step);
    }
    if (json_is_false(json_object_get(want, "accepted"))) {
        assert_false(contract_run_accepted(&x->c));
        assert_string_equal(vectors_text(want, "reject"), "FOUR_EYES");
        const char *why = vectors_text(want, "why");
        assert_memory_equal(contract_run_why(&x->c), why, strlen(why));
    } else {
        check_outcome(x, vectors_text(want, "outcome"));
        check_codes(x, vectors_get(want, "codes"));
        check_amounts(x, want);
    }
    check_postings(x, vectors_get(want, "postings"));
    check_balances(x, vectors_get(want, "after"));
}

static void claims_end_as_expected(const json_t *one)
{
    struct care x = {.one = one, .balances = json_object(), .known = json_object()};
    size_t i;
    const json_t *step;
    contract_run_open(&x.c, care_path, NULL);
    put_budget(&x);
    put_agreement(&x);
    put_weeks(&x);
    json_array_foreach(vectors_get(one, "steps"), i, step)
    {
        print_message("step %zu\n", i + 1);
        check_step(&x, step, json_array_get(vectors_get(one, "expect"), i));
    }
    json_decref(x.balances);
    json_decref(x.known);
    contract_run_close(&x.c);
}

/* ---- the small computations ---- */

static void penalties_are_as_expected(const json_t *one)
{
    struct contract_run c;
    size_t i;
    const json_t *n;
    contract_run_open(&c, recovery_path, NULL);
    json_array_foreach(vectors_get(one, "days"), i, n)
    {
        char text[16];
        int32_t last = day_of("2024-01-10");
        size_t size = civil_day_print(last + (int32_t)json_integer_value(n), text);
        contract_run_feed(&c, json_pack("{s:s, s:[s], s:s, s:{s:o, s:s, s:s, s:o}}", "event",
                                        "late_decision", "by", "gemeente.dam", "now",
                                        "2025-01-01T12:00:00Z", "args", "ref",
                                        json_sprintf("r%zu", i), "holder", "holder.1", "last_day",
                                        "2024-01-10", "decided", json_stringn(text, size)));
        assert_true(contract_run_accepted(&c));
        const json_t *row =
            contract_run_row(&c, "penalty", json_pack("[o]", json_sprintf("r%zu", i)));
        assert_int_equal(contract_run_cents(vectors_get(row, "amount")),
                         json_integer_value(json_array_get(vectors_get(one, "expect"), i)));
    }
    contract_run_close(&c);
}

static void free_amount_is_as_expected(const json_t *one)
{
    struct contract_run c;
    const json_t *want = vectors_get(one, "expect");
    char text[16];
    int32_t before = day_of("2026-01-01");
    assert_int_equal(vectors_int(one, "days_in_year"), 365);
    size_t size = civil_day_print(before - (int32_t)vectors_int(one, "days_used"), text);
    contract_run_open(&c, recovery_path, NULL);
    contract_run_feed(&c,
                      json_pack("{s:s, s:[s], s:s, s:{s:s, s:s, s:o, s:o, s:s, s:o}}", "event",
                                "account_free", "by", "gemeente.dam", "now", "2026-02-01T12:00:00Z",
                                "args", "ref", "r", "holder", "holder.1", "annual",
                                contract_run_amount(vectors_int(one, "annual_grant_cents"), "EUR"),
                                "since", json_stringn(text, size), "before", "2026-01-01", "drawn",
                                contract_run_amount(vectors_int(one, "drawn_cents"), "EUR")));
    assert_true(contract_run_accepted(&c));
    const json_t *row = contract_run_row(&c, "free", json_pack("[s]", "r"));
    assert_int_equal(contract_run_cents(vectors_get(row, "grant")),
                     vectors_int(want, "grant_for_period_cents"));
    assert_int_equal(contract_run_cents(vectors_get(row, "full")),
                     vectors_int(want, "full_year_free_cents"));
    assert_int_equal(contract_run_cents(vectors_get(row, "part")),
                     vectors_int(want, "free_for_period_cents"));
    assert_null(contract_run_row(&c, "recovery", json_pack("[s]", "r")));
    assert_int_equal(vectors_int(want, "proposed_receivable_cents"), 0);
    contract_run_close(&c);
}

static int64_t local_seconds(const json_t *row, const char *name)
{
    char text[40];
    struct civil_time t;
    struct civil_zone zone;
    int32_t offset = 0;
    snprintf(text, sizeof text, "%sZ", vectors_text(row, name));
    assert_int_equal(civil_time_parse(bytes_text(text), &t), NUM_OK);
    assert_int_equal(civil_zone_parse(bytes_text(vectors_text(row, "zone")), &zone), NUM_OK);
    assert_int_equal(civil_zone_offset(zone, t.seconds - 7200, &offset), NUM_OK);
    return t.seconds - offset;
}

static json_t *civil_answer(const json_t *row)
{
    const char *fn = vectors_text(row, "fn");
    if (strcmp(fn, "shift") == 0) {
        return json_integer((local_seconds(row, "to_local") - local_seconds(row, "from_local")) /
                            60);
    }
    int32_t day = day_of(vectors_text(row, "date")), year = 0;
    char text[16];
    if (strcmp(fn, "iso_week") == 0) {
        int32_t week = civil_day_iso_week(day, &year);
        return json_sprintf("%04d-W%02d", year, week);
    }
    assert_string_equal(fn, "deadline");
    day += 7 * (int32_t)vectors_int(row, "weeks");
    bool roll = strcmp(vectors_text(row, "roll"), "next_working_day") == 0;
    while (roll && civil_day_weekday(day) > 5) {
        day++;
    }
    size_t size = civil_day_print(day, text);
    return json_stringn(text, size);
}

static void civil_time_is_as_expected(const json_t *one)
{
    json_t *got = json_array();
    size_t i;
    const json_t *row;
    json_array_foreach(vectors_get(one, "rows"), i, row)
    {
        json_array_append_new(got, civil_answer(row));
    }
    vectors_expect(got, vectors_get(one, "expect"));
}

static void care_is_decided_as_expected(void **state)
{
    const json_t *one = *state;
    const char *kind = vectors_text(one, "kind");
    if (strcmp(kind, "claims") == 0) {
        claims_end_as_expected(one);
    } else if (strcmp(kind, "tiers") == 0) {
        penalties_are_as_expected(one);
    } else if (strcmp(kind, "free_amount") == 0) {
        free_amount_is_as_expected(one);
    } else {
        assert_string_equal(kind, "civil_time");
        civil_time_is_as_expected(one);
    }
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        return 2;
    }
    care_path = argv[1];
    recovery_path = argv[2];
    return vectors_run_json(argv[3], CASES, care_is_decided_as_expected);
}
