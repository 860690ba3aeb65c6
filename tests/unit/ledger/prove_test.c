/* What proves a statement: every posting of an account, linked from record to record. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ledger/accounts.h"
#include "ledger/families.h"
#include "ledger/tree.h"
#include "proto/record.h"
#include "world.h"

static const char *const CONTRACTS[] = {"tests/unit/ledger/bank.rules"};
enum { PAYMENTS = 30 };

static void bank(struct world *w, uint8_t id, const char *action, const char *json)
{
    struct plan plan = {.signers = {KEY_TELLER}, .on_behalf = "teller", .id = id};
    plan.actions[0] = (struct action){"test.bank", action, json};
    assert_int_equal(world_do(w, &plan).end, LEDGER_ACCEPTED);
}

/* Three holders; anna pays in every third record only. Positions 0 to 2 open the accounts. */
static int up(void **state)
{
    static const char *const PAIRS[] = {
        "{\"giver\":\"anna\",\"taker\":\"bert\",\"amount\":\"0.10 EUR\"}",
        "{\"giver\":\"bert\",\"taker\":\"carl\",\"amount\":\"0.20 EUR\"}",
        "{\"giver\":\"carl\",\"taker\":\"bert\",\"amount\":\"0.05 EUR\"}",
    };
    static struct world w;
    world_open(&w, CONTRACTS, 1);
    bank(&w, 1, "open", "{\"who\":\"anna\"}");
    bank(&w, 2, "open", "{\"who\":\"bert\"}");
    bank(&w, 3, "open", "{\"who\":\"carl\"}");
    for (uint8_t i = 0; i < PAYMENTS; i++) {
        bank(&w, (uint8_t)(10 + i), "pay", PAIRS[i % 3]);
    }
    *state = &w;
    return 0;
}

static int down(void **state)
{
    world_close(*state);
    return 0;
}

/* Checks an entry as a stranger would, and adds it to the chain. Returns its position. */
static uint64_t entry_check(const struct ledger_account_proof *p, const struct statement_entry *e,
                            uint64_t size, const struct merkle_hash *root,
                            struct account_head *chain)
{
    struct record record;
    struct merkle_hash leaf, top;
    assert_false(failed(record_decode(e->record, &record, NULL)));
    merkle_leaf(e->record, &leaf);
    assert_true(merkle_path_proves(&leaf, record.position, size, e->path, e->path_count, root));
    assert_true(e->posting_count > 0);
    for (size_t i = 0; i < e->posting_count; i++) {
        assert_int_equal(e->postings[i].position, record.position);
        account_chain_add(chain, &e->postings[i]);
    }
    account_leaf(p->account, chain, &leaf);
    statement_climb(&leaf, e->steps, e->step_count, &top);
    assert_memory_equal(top.bytes, record.accounts_root, 32);
    return record.position;
}

struct expected {
    uint64_t from, to, size;
    uint64_t first, last; /* positions of the first and last entry; first > last: none */
    bool closed;
};

static void prove(struct world *w, const char *place, const struct expected *x, uint32_t limit)
{
    struct errtext why;
    struct merkle_hash root;
    struct account_head chain = {0};
    struct ledger_account_proof p = {.next = 1};
    struct ledger_prove_query query = {.place = {bytes_text("test.bank"), bytes_text(place)},
                                       .from = x->from,
                                       .to = x->to,
                                       .size = x->size,
                                       .limit = limit};
    assert_false(failed(ledger_tree_root(w->ledger, x->size, &root, &why)));
    uint64_t first = UINT64_MAX;
    uint64_t last = 0;
    for (bool start = true; start || p.next != 0; start = false) {
        query.number = start ? 0 : p.next;
        assert_false(failed(ledger_prove_account(w->ledger, &query, &w->arena, &p, &why)));
        assert_true(start || (chain.count == p.before.count &&
                              memcmp(chain.chain, p.before.chain, 32) == 0));
        chain = p.before;
        for (size_t i = 0; i < p.count; i++) {
            uint64_t at = entry_check(&p, &p.entries[i], x->size, &root, &chain);
            first = first == UINT64_MAX ? at : first;
            last = at;
        }
    }
    if (x->first > x->last) {
        assert_true(first == UINT64_MAX);
    } else {
        assert_int_equal(first, x->first);
        assert_int_equal(last, x->last);
    }
    assert_int_equal(p.closed, x->closed);
    if (!x->closed) { /* then the end marks say where it ends */
        assert_int_equal(chain.count, p.after.count);
        assert_memory_equal(chain.chain, p.after.chain, 32);
    }
}

static void ranges_are_closed_on_both_sides(void **state)
{
    struct world *w = *state;
    static const struct expected CASES[] = {
        {0, 0, 33, 0, 30, false},   /* all: anna touches 0, 3, 6, ... 30 */
        {0, 0, 30, 0, 27, false},   /* a smaller checkpoint knows less */
        {0, 1, 33, 0, 3, true},     /* the record behind it closes it */
        {4, 6, 33, 3, 6, true},     /* nothing within: its neighbours */
        {3, 4, 33, 0, 6, true},     /* one within, one more on each side */
        {4, 4, 33, 3, 6, true},     /* an empty range */
        {31, 0, 33, 30, 30, false}, /* behind the last one */
        {10, 28, 33, 9, 30, true},
        {10, 31, 33, 9, 30, false},
        {0, 0, 0, 1, 0, false}, /* no records at all */
        {0, 0, 1, 0, 0, false},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        for (uint32_t limit = 0; limit <= 3; limit++) {
            prove(w, "purse[anna]", &CASES[i], limit);
        }
    }
    const struct expected never = {0, 0, 33, 1, 0, false};
    prove(w, "purse[dora]", &never, 0);
}

static void what_cannot_be_proved_is_refused(void **state)
{
    struct world *w = *state;
    struct errtext why;
    struct ledger_account_proof p;
    struct ledger_prove_query query = {
        .place = {bytes_text("test.bank"), bytes_text("purse[anna]")}, .size = 33};
    struct ledger_prove_query q = query;
    q.size = 34;
    assert_int_equal(ledger_prove_account(w->ledger, &q, &w->arena, &p, &why).code, ERR_LIMIT);
    q = query;
    q.from = 5;
    q.to = 4;
    assert_int_equal(ledger_prove_account(w->ledger, &q, &w->arena, &p, &why).code, ERR_INVALID);
    q = query;
    q.number = 999;
    assert_int_equal(ledger_prove_account(w->ledger, &q, &w->arena, &p, &why).code, ERR_INVALID);
    q.number = UINT64_MAX;
    assert_int_equal(ledger_prove_account(w->ledger, &q, &w->arena, &p, &why).code, ERR_INVALID);
    q = query;
    q.place.place = bytes_text("purse");
    assert_int_equal(ledger_prove_account(w->ledger, &q, &w->arena, &p, &why).code, ERR_INVALID);
    q.place.contract = bytes_text("test.none");
    assert_int_equal(ledger_prove_account(w->ledger, &q, &w->arena, &p, &why).code, ERR_NOT_FOUND);
}

/* A posting that was changed in the store does not give the record's accounts_root any more. */
static void a_changed_chain_is_not_handed_out(void **state)
{
    struct world *w = *state;
    struct errtext why;
    struct buf key, value;
    struct ledger_account_proof p;
    struct ledger_prove_query query = {
        .place = {bytes_text("test.bank"), bytes_text("purse[anna]")}, .size = 33};
    assert_false(failed(ledger_prove_account(w->ledger, &query, &w->arena, &p, &why)));
    buf_init(&key, 1024);
    buf_init(&value, 4096);
    posting_key_of(p.account, 4, &key);
    assert_false(failed(kv_get(w->kv, FAMILY_POSTINGS, buf_bytes(&key), &value, &why)));
    value.data[value.size - 1] ^= 1;
    struct kv_batch *batch = kv_batch_new();
    kv_batch_put(batch, w->kv, FAMILY_POSTINGS, buf_bytes(&key), buf_bytes(&value));
    assert_false(failed(kv_commit(w->kv, batch, false, &why)));
    kv_batch_free(batch);
    assert_int_equal(ledger_prove_account(w->ledger, &query, &w->arena, &p, &why).code,
                     ERR_CORRUPT);
    assert_string_equal(why.text, "record 9: its accounts do not give its accounts_root");
    buf_done(&key);
    buf_done(&value);
}

static void an_account_at_every_size(void **state)
{
    struct world *w = *state;
    struct errtext why;
    struct ledger_account_proof p;
    struct account_head is, want = {0};
    struct ledger_prove_query query = {
        .place = {bytes_text("test.bank"), bytes_text("purse[anna]")}, .size = 33};
    assert_false(failed(ledger_prove_account(w->ledger, &query, &w->arena, &p, &why)));
    size_t at = 0;
    for (uint64_t size = 0; size <= 33; size++) {
        while (at < p.count && p.entries[at].postings[0].position < size) {
            for (size_t i = 0; i < p.entries[at].posting_count; i++) {
                account_chain_add(&want, &p.entries[at].postings[i]);
            }
            at++;
        }
        assert_false(failed(ledger_account_at(w->ledger, p.account, size, &is, &why)));
        assert_int_equal(is.count, want.count);
        assert_memory_equal(is.chain, want.chain, 32);
    }
    assert_int_equal(ledger_account_at(w->ledger, p.account, 34, &is, &why).code, ERR_LIMIT);
    assert_false(failed(ledger_account_at(w->ledger, bytes_text("never"), 33, &is, &why)));
    assert_int_equal(is.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges_are_closed_on_both_sides),
        cmocka_unit_test(what_cannot_be_proved_is_refused),
        cmocka_unit_test(an_account_at_every_size),
        cmocka_unit_test(a_changed_chain_is_not_handed_out),
    };
    return cmocka_run_group_tests(tests, up, down);
}
