/* Reads: pages that join without gap or overlap, statements whose chain can be recomputed, the
 * trial balance, and questions that have no answer. Settles the solar contract's own example. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "crypto/merkle.h"
#include "crypto/sha256.h"
#include "ledger/accounts.h"
#include "ledger/families.h"
#include "rules/rules.h"
#include "world.h"

static const char *const SOLAR[] = {"tests/vectors/rules/solar.rules",
                                    "tests/unit/ledger/bank.rules"};
#define S "solar.roquefort"

#define assert_text(b, text) assert_string_equal(world_text(w, b), text)
#define assert_ok(e) assert_false(failed(e))

static void admit(struct world *w)
{
    struct plan plan = {.signers = {KEY_PMO}, .on_behalf = "pmo.roquefort", .id = 1};
    plan.actions[0] =
        (struct action){S, "admit", "{\"meter\":\"school\",\"price\":\"0.13 EUR/kWh\"}"};
    plan.actions[1] =
        (struct action){S, "admit", "{\"meter\":\"hall\",\"price\":\"0.12 EUR/kWh\"}"};
    plan.actions[2] = (struct action){S, "admit", "{\"meter\":\"bakery\"}"};
    plan.actions[3] = (struct action){S, "admit", "{\"meter\":\"clinic\"}"};
    plan.actions[4] = (struct action){S, "admit", "{\"meter\":\"home\"}"};
    struct bytes envelope = world_envelope(w, &plan);
    assert_int_equal(world_apply(w, &envelope, 1)->accepted, 5);
}

/* The example in the text of the contract, half an hour earlier each, signed by the grid. */
static void meter(struct world *w)
{
    struct plan plan = {.signers = {KEY_ENEDIS}, .on_behalf = "enedis", .id = 2};
    plan.actions[0] = (struct action){
        S, "metering",
        "{\"start\":\"2026-07-15T09:00:00Z\",\"made\":[{\"meter\":\"hall\",\"energy\":\"40.2 "
        "kWh\"},"
        "{\"meter\":\"school\",\"energy\":\"60.1 "
        "kWh\"}],\"used\":[{\"meter\":\"bakery\",\"energy\":"
        "\"50 kWh\"},{\"meter\":\"clinic\",\"energy\":\"30.7 kWh\"},{\"meter\":\"home\",\"energy\":"
        "\"15 kWh\"}]}"};
    plan.actions[1] =
        (struct action){S, "metering",
                        "{\"start\":\"2026-07-15T09:15:00Z\",\"made\":[{\"meter\":\"hall\","
                        "\"energy\":\"0.001 Wh\"},"
                        "{\"meter\":\"school\",\"energy\":\"0.001 "
                        "Wh\"}],\"used\":[{\"meter\":\"bakery\",\"energy\":"
                        "\"0.001 Wh\"},{\"meter\":\"clinic\",\"energy\":\"0.001 Wh\"}]}"};
    plan.actions[2] = (struct action){
        S, "metering", "{\"start\":\"2026-07-15T09:00:00Z\",\"made\":[],\"used\":[]}"};
    struct bytes envelope = world_envelope(w, &plan);
    const struct ledger_result *r = world_apply(w, &envelope, 1);
    assert_int_equal(r->accepted, 2);
    assert_text(r->applied[0].answer.outcomes[2].clause, "2");
    assert_text(r->applied[0].answer.outcomes[2].text, "this quarter-hour is already shared");
}

static void close_month(struct world *w)
{
    w->time_ns = UINT64_C(1785535199) * 1000000000; /* 2026-07-31T21:59:59Z */
    int32_t july = 0;
    assert_true(rules_day_parse(bytes_text("2026-07-01"), &july));
    struct plan plan = {.signers = {KEY_PMO}, .on_behalf = "pmo.roquefort", .id = 3};
    plan.actions[0] = (struct action){S, "close", "{\"period\":\"2026-07-01\"}", {0}, true, july};
    assert_int_equal(world_do(w, &plan).end, LEDGER_ACCEPTED);
}

static int up(void **state)
{
    static struct world w;
    world_open(&w, SOLAR, 2);
    admit(&w);
    meter(&w);
    *state = &w;
    return 0;
}

static int down(void **state)
{
    world_close(*state);
    return 0;
}

static struct ledger_rows rows_of(struct world *w, const char *place, struct bytes token,
                                  uint32_t limit)
{
    struct ledger_rows_query q = {{bytes_text(S), bytes_text(place)}, token, limit};
    struct ledger_rows rows;
    struct errtext why;
    assert_ok(ledger_query_rows(w->ledger, &q, &w->arena, &rows, &why));
    return rows;
}

static void a_month_is_settled_to_the_cent(void **state)
{
    struct world *w = *state;
    struct ledger_rows rows = rows_of(w, "supply[2026-07-01, hall]", bytes_of(NULL, 0), 0);
    assert_int_equal(rows.count, 3);
    assert_text(
        rows.json[1],
        "{\"key\":[\"2026-07-01\",\"hall\",\"clinic\"],\"row\":{\"energy\":\"12304.487 Wh\"}}");
    assert_string_equal(world_balance(w, S, "origin[bakery]"), "50000.001 Wh");
    close_month(w);
    static const char *const EXPECTED[][2] = {
        {"wallet[bakery]", "-7.85 EUR"}, {"wallet[clinic]", "-4.83 EUR"},
        {"wallet[home]", "-2.35 EUR"},   {"wallet[school]", "7.62 EUR"},
        {"wallet[hall]", "4.71 EUR"},    {"wallet[pmo.roquefort]", "0.47 EUR"},
        {"vat_due", "2.51 EUR"},         {"wallet[supplier.surplus]", "-0.28 EUR"},
    };
    for (size_t i = 0; i < sizeof(EXPECTED) / sizeof(EXPECTED[0]); i++) {
        assert_string_equal(world_balance(w, S, EXPECTED[i][0]), EXPECTED[i][1]);
    }
    assert_int_equal(rows_of(w, "supply", bytes_of(NULL, 0), 0).count, 0);
}

static void rows_come_in_pages(void **state)
{
    struct world *w = *state;
    struct ledger_rows all = rows_of(w, "supply", bytes_of(NULL, 0), 0);
    assert_int_equal(all.count, 6);
    assert_int_equal(all.token.size, 0);
    struct bytes token = bytes_of(NULL, 0);
    size_t at = 0;
    do {
        struct ledger_rows page = rows_of(w, "supply", token, 4);
        for (size_t i = 0; i < page.count; i++) {
            assert_true(bytes_equal(page.json[i], all.json[at++]));
        }
        token = page.token;
    } while (token.size > 0);
    assert_int_equal(at, all.count);
    struct ledger_rows_query bad = {{bytes_text(S), bytes_text("supply")}, bytes_text("x"), 4};
    struct ledger_rows rows;
    struct errtext why;
    assert_int_equal(ledger_query_rows(w->ledger, &bad, &w->arena, &rows, &why).code, ERR_INVALID);
}

static void a_statement_runs_and_its_chain_can_be_followed(void **state)
{
    struct world *w = *state;
    close_month(w);
    struct ledger_statement_query q = {.place = {bytes_text(S), bytes_text("wallet[bakery]")},
                                       .limit = 2};
    struct errtext why;
    int64_t balance = 0;
    uint64_t number = 0;
    do {
        struct ledger_statement s;
        assert_ok(ledger_query_statement(w->ledger, &q, &w->arena, &s, &why));
        assert_text(s.balance.amount, "-7.85 EUR");
        assert_int_equal(s.balance.postings, 6);
        for (size_t i = 0; i < s.count; i++) {
            balance += s.postings[i].quanta;
            assert_int_equal(s.postings[i].balance, balance);
            assert_int_equal(s.postings[i].number, ++number);
            assert_text(s.postings[i].clause, "5");
            assert_int_equal(s.postings[i].position, 8);
        }
        if (number == 2) {
            assert_text(s.postings[0].counter, "wallet[hall]");
            assert_text(s.postings[1].counter, "wallet[pmo.roquefort]");
        }
        q.token = s.token;
    } while (q.token.size > 0);
    assert_int_equal(number, 6);
    assert_int_equal(balance, -785);

    /* From a position, and an issuing account. */
    q = (struct ledger_statement_query){.place = {bytes_text(S), bytes_text("origin[bakery]")},
                                        .from_position = 6};
    struct ledger_statement s;
    assert_ok(ledger_query_statement(w->ledger, &q, &w->arena, &s, &why));
    assert_int_equal(s.count, 1);
    assert_int_equal(s.postings[0].position, 6);
    assert_text(s.postings[0].balance_amount, "50000.001 Wh");
    assert_text(s.postings[0].counter, "origin (issued)");
    q.from_position = 7;
    assert_ok(ledger_query_statement(w->ledger, &q, &w->arena, &s, &why));
    assert_int_equal(s.count, 0);
    q.token = bytes_text("bad");
    assert_int_equal(ledger_query_statement(w->ledger, &q, &w->arena, &s, &why).code, ERR_INVALID);
}

/* docs/formats/state.md, followed by hand: each link from the stored postings, the head in the
 * account, and the root in the record that touched it. */
static void a_chain_is_what_the_format_says(void **state)
{
    struct world *w = *state;
    struct ledger_place place = {bytes_text(S), bytes_text("origin[home]")};
    struct ledger_balance b;
    struct errtext why;
    assert_ok(ledger_query_balance(w->ledger, &place, &w->arena, &b, &why));
    assert_int_equal(b.postings, 2);
    uint8_t chain[32] = {0};
    struct buf key;
    struct buf value;
    buf_init(&key, 1024);
    buf_init(&value, 1024);
    for (uint64_t n = 1; n <= b.postings; n++) {
        posting_key_of(b.key, n, &key);
        assert_ok(kv_get(w->kv, FAMILY_POSTINGS, buf_bytes(&key), &value, &why));
        struct posting_value v;
        assert_ok(posting_value_decode(buf_bytes(&value), &v));
        struct buf link;
        buf_init(&link, 1024);
        buf_put_text(&link, "concordat/posting/v1\n");
        buf_put(&link, chain, sizeof(chain));
        buf_put_u64(&link, n);
        buf_put_u64(&link, v.position);
        buf_put_u32(&link, v.ordinal);
        buf_put_i64(&link, v.quanta);
        buf_put_i64(&link, v.balance);
        buf_put_bytes(&link, v.counter);
        sha256(link.data, link.size, chain);
        buf_done(&link);
    }
    assert_memory_equal(chain, b.chain, 32);
    buf_done(&key);
    buf_done(&value);
}

/* A payment touches two accounts: the root in its record is over their two leaves. */
static void a_record_names_the_accounts_it_touched(void **state)
{
    struct world *w = *state;
    struct plan plan = {.signers = {KEY_TELLER},
                        .on_behalf = "teller",
                        .id = 9,
                        .actions = {{"test.bank", "open", "{\"who\":\"anna\"}"}}};
    struct ledger_outcome o = world_do(w, &plan);
    struct ledger_records_query q = {.from = o.position};
    struct ledger_records page;
    struct errtext why;
    assert_ok(ledger_query_records(w->ledger, &q, &w->arena, &page, &why));
    struct ledger_place place = {bytes_text("test.bank"), bytes_text("purse[anna]")};
    struct ledger_balance b;
    assert_ok(ledger_query_balance(w->ledger, &place, &w->arena, &b, &why));
    static const char ISSUED[] = "test.bank\001purse";
    struct bytes keys[2] = {b.key, bytes_of(ISSUED, sizeof(ISSUED))};
    struct merkle_hash leaves[2];
    for (size_t i = 0; i < 2; i++) {
        struct buf value;
        struct buf leaf;
        buf_init(&value, 1024);
        buf_init(&leaf, 1024);
        assert_ok(kv_get(w->kv, FAMILY_ACCOUNTS, keys[i], &value, &why));
        struct account_value v;
        assert_ok(account_value_decode(buf_bytes(&value), &v));
        assert_int_equal(v.balance, i == 0 ? 1000 : -1000);
        buf_put_sized(&leaf, keys[i]);
        buf_put_u64(&leaf, 1);
        buf_put(&leaf, v.chain, sizeof(v.chain));
        merkle_leaf(buf_bytes(&leaf), &leaves[i]);
        buf_done(&value);
        buf_done(&leaf);
    }
    struct merkle_hash root;
    merkle_root_of(leaves, 2, &root);
    assert_memory_equal(page.records[0].record.accounts_root, root.bytes, 32);
}

static void the_trial_balance_sums_to_zero(void **state)
{
    struct world *w = *state;
    close_month(w);
    struct ledger_trial trial;
    struct errtext why;
    assert_ok(ledger_query_trial(w->ledger, &w->arena, &trial, &why));
    assert_int_equal(trial.count, 3); /* wallet and vat_due apart: tax leaves the wallets */
    int64_t euro = 0;
    for (size_t i = 0; i < trial.count; i++) {
        const struct ledger_trial_line *line = &trial.lines[i];
        assert_text(line->contract, S);
        if (bytes_equal(line->measure, bytes_text("EUR"))) {
            euro += line->debits + line->credits;
        } else {
            assert_text(line->family, "origin");
            assert_int_equal(line->debits + line->credits, 0);
            assert_int_equal(line->accounts, 4);
            assert_text(line->credits_amount, "95700.002 Wh");
        }
    }
    assert_int_equal(euro, 0);
}

static void records_can_be_watched_in_pages_and_by_contract(void **state)
{
    struct world *w = *state;
    struct plan plan = {.signers = {KEY_TELLER},
                        .on_behalf = "teller",
                        .id = 9,
                        .actions = {{"test.bank", "open", "{\"who\":\"anna\"}"}}};
    assert_int_equal(world_do(w, &plan).end, LEDGER_ACCEPTED);
    struct ledger_records_query q = {.limit = 4};
    struct ledger_records page;
    struct errtext why;
    uint64_t next = 0;
    uint8_t digest[32] = {0};
    do {
        q.from = next;
        assert_ok(ledger_query_records(w->ledger, &q, &w->arena, &page, &why));
        for (size_t i = 0; i < page.count; i++) {
            const struct ledger_record *r = &page.records[i];
            assert_int_equal(r->record.position, next++);
            /* The chain of digests can be recomputed from what is published. */
            uint8_t hash[32];
            event_hash(r->record.request_hash, r->record.index, hash);
            struct rules_out out = {.outcome = r->outcome_json, .effects = r->effects_json};
            uint8_t salted[32];
            uint8_t salt[32];
            static const uint8_t IDS[] = {1, 2, 9};
            memset(salt, IDS[r->record.height - 1] ^ 0x5a, sizeof(salt));
            record_salted_hash(salt, r->record.index, out.outcome, salted);
            assert_memory_equal(salted, r->record.outcome_hash, 32);
            record_salted_hash(salt, r->record.index, out.effects, salted);
            assert_memory_equal(salted, r->record.effects_hash, 32);
            memcpy(digest, r->record.digest, 32);
        }
        assert_int_equal(page.next, next);
    } while (page.count > 0);
    assert_int_equal(next, 9);
    assert_memory_equal(digest, ledger_head(w->ledger).digest, 32);
    q = (struct ledger_records_query){.contract = bytes_text("test.bank")};
    assert_ok(ledger_query_records(w->ledger, &q, &w->arena, &page, &why));
    assert_int_equal(page.count, 1);
    assert_int_equal(page.next, 9);
    struct buf block;
    buf_init(&block, BLOCK_BYTES_MAX);
    assert_ok(ledger_query_block(w->ledger, 3, &block, &why));
    assert_int_equal(ledger_query_block(w->ledger, 4, &block, &why).code, ERR_NOT_FOUND);
    buf_done(&block);
}

static void questions_without_an_answer(void **state)
{
    struct world *w = *state;
    const struct {
        const char *contract, *place;
        enum err_code code;
    } cases[] = {
        {"nobody", "wallet[a]", ERR_NOT_FOUND},
        {S, "nothing[a]", ERR_NOT_FOUND},
        {S, "wallet", ERR_INVALID},
        {S, "wallet[a, b]", ERR_INVALID},
        {S, "wallet[A!]", ERR_INVALID},
        {S, "", ERR_INVALID},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct ledger_place place = {bytes_text(cases[i].contract), bytes_text(cases[i].place)};
        struct ledger_balance b;
        struct errtext why = {{0}};
        err e = ledger_query_balance(w->ledger, &place, &w->arena, &b, &why);
        assert_true(failed(e));
        if (i == 0) {
            assert_int_equal(e.code, cases[i].code);
        }
        assert_true(why.text[0] != '\0');
    }
    assert_string_equal(world_balance(w, S, "wallet[never-seen]"), "0.00 EUR");
    size_t count = 0;
    assert_non_null(ledger_institutions(w->ledger, &count));
    assert_int_equal(count, 3);
    const struct ledger_node *nodes = ledger_nodes(w->ledger, &count);
    assert_int_equal(count, 3);
    assert_text(nodes[2].institution, "ville");
    assert_int_equal(nodes[2].head_key.size, 32);
    assert_int_equal(nodes[2].head_key_next.size, 0);
    assert_text(ledger_origin(w->ledger), "concordat.example/test");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, up, down)
    const struct CMUnitTest tests[] = {
        T(a_month_is_settled_to_the_cent),
        T(rows_come_in_pages),
        T(a_statement_runs_and_its_chain_can_be_followed),
        T(a_chain_is_what_the_format_says),
        T(a_record_names_the_accounts_it_touched),
        T(the_trial_balance_sums_to_zero),
        T(records_can_be_watched_in_pages_and_by_contract),
        T(questions_without_an_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
