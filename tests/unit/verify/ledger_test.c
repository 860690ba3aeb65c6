/* What a real ledger proves of its accounts, as texts, judged by the checks of an outsider: the
 * postings of a contract, the tree in its tiles, and the policy that the ledger writes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/consistency.h"
#include "crypto/proof.h"
#include "ledger/tree.h"
#include "verify/verify.h"
#include "world.h"

enum { PAYMENTS = 20, NODES = 3, TEXT_MAX = 1 << 20 };

static const char *const CONTRACTS[] = {"tests/unit/ledger/bank.rules"};
static const char *const INSTITUTIONS[NODES] = {"energie", "social", "ville"};
static const char ORIGIN[] = "concordat.example/test";

struct outside {
    struct world world;
    struct sign_key *keys[NODES];
    struct note_key logs[NODES], witnesses[NODES];
    struct buf policy;
    struct verify_trust trust;
};

static void bank(struct world *w, uint8_t id, const char *action, const char *json)
{
    struct plan plan = {.signers = {KEY_TELLER}, .on_behalf = "teller", .id = id};
    plan.actions[0] = (struct action){"test.bank", action, json};
    assert_int_equal(world_do(w, &plan).end, LEDGER_ACCEPTED);
}

/* Three head keys that sign for the ledger, and who believes two of them. */
static void make_trust(struct outside *o)
{
    struct buf *b = &o->policy;
    buf_init(b, POLICY_BYTES_MAX);
    for (int i = 0; i < NODES; i++) {
        uint8_t seed[SIGN_SEED_SIZE] = {(uint8_t)(100 + i)};
        uint8_t public[SIGN_PUBLIC_SIZE];
        char name[128];
        o->keys[i] = sign_key_from_seed(seed);
        sign_key_public(o->keys[i], public);
        (void)snprintf(name, sizeof name, "%s/%s/%d", ORIGIN, INSTITUTIONS[i], i + 1);
        assert_false(failed(note_key_make(NOTE_ED25519, ORIGIN, public, &o->logs[i], NULL)));
        assert_false(failed(note_key_make(NOTE_COSIGNATURE, name, public, &o->witnesses[i], NULL)));
        buf_put_text(b, "log ");
        note_key_print(&o->logs[i], b);
        buf_printf(b, "\nwitness n%d ", i);
        note_key_print(&o->witnesses[i], b);
        buf_printf(b, "\ngroup %s any n%d\n", INSTITUTIONS[i], i);
    }
    buf_put_text(b, "group most 2 energie social ville\nquorum most\n");
    policy_seal(b);
    assert_false(failed(verify_trust(buf_bytes(b), true, &o->trust, NULL)));
}

static int up(void **state)
{
    static struct outside o;
    world_open(&o.world, CONTRACTS, 1);
    bank(&o.world, 1, "open", "{\"who\":\"anna\"}");
    bank(&o.world, 2, "open", "{\"who\":\"bert\"}");
    bank(&o.world, 3, "open", "{\"who\":\"carl\"}");
    for (uint8_t i = 0; i < PAYMENTS; i++) {
        bank(&o.world, (uint8_t)(10 + i), "pay",
             i % 3 == 0 ? "{\"giver\":\"anna\",\"taker\":\"bert\",\"amount\":\"0.10 EUR\"}"
                        : "{\"giver\":\"bert\",\"taker\":\"carl\",\"amount\":\"0.02 EUR\"}");
    }
    make_trust(&o);
    *state = &o;
    return 0;
}

static int down(void **state)
{
    struct outside *o = *state;
    verify_trust_done(&o->trust);
    for (int i = 0; i < NODES; i++) {
        sign_key_free(o->keys[i]);
    }
    buf_done(&o->policy);
    world_close(&o->world);
    return 0;
}

/* The checkpoint of the ledger's own root at a size, cosigned by two. */
static void cosign(struct outside *o, uint64_t size, struct buf *ret)
{
    struct checkpoint c = {.origin = bytes_text(ORIGIN), .size = size};
    struct buf text;
    buf_init(&text, 4096);
    assert_false(failed(ledger_tree_root(o->world.ledger, size, &c.root, NULL)));
    checkpoint_print(&c, &text);
    buf_put_bytes(ret, buf_bytes(&text));
    buf_put_u8(ret, '\n');
    note_sign(&o->logs[0], o->keys[0], buf_bytes(&text), 0, ret);
    for (int i = 0; i < 2; i++) {
        note_sign(&o->witnesses[i], o->keys[i], buf_bytes(&text), 1784109600, ret);
    }
    buf_done(&text);
}

static size_t make_marks(struct outside *o, const struct ledger_account_proof *p, uint64_t size,
                         struct statement_mark marks[2])
{
    static const uint8_t LEDGER_ID[32] = {7};
    struct buf message;
    buf_init(&message, TEXT_MAX);
    account_mark_put(LEDGER_ID, size, p->account, &p->after, &message);
    for (int i = 0; i < 2; i++) {
        marks[i].name = bytes_text(o->witnesses[i].name);
        memcpy(marks[i].id, o->witnesses[i].id, NOTE_KEY_ID_SIZE);
        sign_message(o->keys[i], buf_bytes(&message), marks[i].signature);
    }
    buf_done(&message);
    return 2;
}

/* The statement of an account over a range, as a node writes it. */
static void write_statement(struct outside *o, const char *place, uint64_t from, uint64_t to,
                            struct buf *ret)
{
    static const uint8_t LEDGER_ID[32] = {7};
    struct ledger_account_proof p = {0};
    struct statement_mark marks[2];
    const uint64_t size = o->world.head.position;
    struct ledger_prove_query q = {.place = {bytes_text("test.bank"), bytes_text(place)},
                                   .from = from,
                                   .to = to,
                                   .size = size,
                                   .limit = 2};
    do {
        q.number = p.next;
        arena_reset(&o->world.arena);
        assert_false(failed(ledger_prove_account(o->world.ledger, &q, &o->world.arena, &p, NULL)));
        if (q.number == 0) {
            statement_put_head(p.account, &p.before, ret);
        }
        for (size_t i = 0; i < p.count; i++) {
            statement_put_entry(&p.entries[i], ret);
        }
    } while (p.next != 0);
    if (!p.closed) {
        statement_put_end(LEDGER_ID, marks, make_marks(o, &p, size, marks), ret);
    }
    struct buf note;
    buf_init(&note, NOTE_BYTES_MAX);
    cosign(o, size, &note);
    statement_put_note(buf_bytes(&note), ret);
    buf_done(&note);
}

static void check(struct outside *o, struct bytes text, struct verify_statement *ret)
{
    struct errtext why = {""};
    struct arena a;
    arena_init(&a, 1 << 20);
    if (failed(verify_statement(&o->trust, text, NULL, &a, ret, &why))) {
        fail_msg("%s", why.text);
    }
    arena_done(&a);
}

static void a_ledger_s_statements_are_proved(void **state)
{
    struct outside *o = *state;
    struct verify_statement s;
    struct buf b;
    buf_init(&b, TEXT_MAX);
    write_statement(o, "purse[anna]", 0, 0, &b);
    check(o, buf_bytes(&b), &s);
    assert_true(s.ended && s.before == 0 && s.has_opening);
    assert_int_equal(s.opening, 0);
    const int64_t closing = s.closing;
    const uint64_t postings = s.postings;
    assert_true(postings > 5);
    buf_clear(&b);
    write_statement(o, "purse[anna]", 5, 10, &b);
    check(o, buf_bytes(&b), &s);
    assert_true(!s.ended && s.first.position < 5 && s.last.position >= 10);
    assert_true(s.before > 0 && s.postings < postings && s.closing != closing);
    buf_clear(&b);
    write_statement(o, "purse[anna]", 10, 0, &b);
    check(o, buf_bytes(&b), &s);
    assert_true(s.ended && s.before > 0);
    assert_int_equal(s.before + s.postings, postings);
    assert_int_equal(s.closing, closing);
    buf_clear(&b);
    write_statement(o, "purse[dora]", 0, 0, &b);
    check(o, buf_bytes(&b), &s);
    assert_true(s.ended && s.records == 0 && s.closing == 0);
    buf_done(&b);
}

static void every_record_has_its_receipt_and_the_tree_only_grew(void **state)
{
    struct outside *o = *state;
    const uint64_t size = o->world.head.position;
    struct buf note;
    struct buf old;
    struct buf b;
    struct errtext why = {""};
    buf_init(&note, NOTE_BYTES_MAX);
    buf_init(&old, NOTE_BYTES_MAX);
    buf_init(&b, TEXT_MAX);
    cosign(o, size, &note);
    for (uint64_t i = 0; i < size; i++) {
        struct merkle_proof path;
        struct ledger_records records;
        const struct ledger_records_query one = {.from = i, .limit = 1};
        struct verify_receipt receipt;
        struct verify_head was;
        struct verify_head is;
        arena_reset(&o->world.arena);
        assert_false(
            failed(ledger_query_records(o->world.ledger, &one, &o->world.arena, &records, &why)));
        assert_false(failed(ledger_tree_inclusion(o->world.ledger, i, size, &path, &why)));
        struct proof p = {.extra = records.records[0].bytes,
                          .index = i,
                          .path_count = path.count,
                          .note = buf_bytes(&note)};
        memcpy(p.path, path.hashes, sizeof p.path);
        buf_clear(&b);
        proof_print(&p, &b);
        if (failed(verify_receipt(&o->trust, buf_bytes(&b), &o->world.arena, &receipt, &why))) {
            fail_msg("%s", why.text);
        }
        struct consistency c = {.old_size = i + 1, .note = buf_bytes(&note)};
        assert_false(failed(ledger_tree_consistency(o->world.ledger, i + 1, size, &path, &why)));
        memcpy(c.path, path.hashes, sizeof c.path);
        c.path_count = path.count;
        buf_clear(&b);
        buf_clear(&old);
        consistency_print(&c, &b);
        cosign(o, i + 1, &old);
        assert_false(
            failed(verify_consistency(&o->trust, buf_bytes(&b), buf_bytes(&old), &was, &is, &why)));
    }
    buf_done(&note);
    buf_done(&old);
    buf_done(&b);
}

static void its_policy_can_be_read(void **state)
{
    struct outside *o = *state;
    struct verify_trust t;
    struct errtext why = {""};
    struct buf b;
    buf_init(&b, POLICY_BYTES_MAX);
    assert_false(failed(ledger_policy(o->world.ledger, o->world.head.position, &b, &why)));
    if (failed(verify_trust(buf_bytes(&b), true, &t, &why))) {
        fail_msg("%s", why.text);
    }
    verify_trust_done(&t);
    buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ledger_s_statements_are_proved),
        cmocka_unit_test(every_record_has_its_receipt_and_the_tree_only_grew),
        cmocka_unit_test(its_policy_can_be_read),
    };
    return cmocka_run_group_tests(tests, up, down);
}
