/* Proofs and policies together, as somebody checks a receipt: the true one passes, and one with any
 * byte changed does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/policy.h"
#include "crypto/proof.h"

enum { LEAVES = 11, INDEX = 6, WITNESSES = 3 };

static const char ORIGIN[] = "concordat.example/roquefort";
static const char *const NAMES[WITNESSES] = {"ville", "enedis", "sigra"};

struct world {
    struct sign_key *log_key, *keys[WITNESSES];
    struct note_key log, witnesses[WITNESSES];
    struct verifier *v;
    struct buf policy, receipt;
};

static struct sign_key *make_key(uint8_t n, enum note_kind kind, const char *name,
                                 struct note_key *ret)
{
    uint8_t seed[SIGN_SEED_SIZE] = {n};
    uint8_t public[SIGN_PUBLIC_SIZE];
    struct sign_key *key = sign_key_from_seed(seed);
    sign_key_public(key, public);
    assert_false(failed(note_key_make(kind, name, public, ret, NULL)));
    return key;
}

static void put_record(struct buf *b, int i)
{
    buf_clear(b);
    buf_printf(b, "record %d", i);
}

/* "log", three institutions with a key each, and two of the three as quorum. */
static void make_policy(struct world *w)
{
    buf_put_text(&w->policy, "# a test\nlog ");
    note_key_print(&w->log, &w->policy);
    for (int i = 0; i < WITNESSES; i++) {
        buf_printf(&w->policy, "\nwitness %s/1 ", NAMES[i]);
        note_key_print(&w->witnesses[i], &w->policy);
        buf_printf(&w->policy, "\ngroup %s any %s/1", NAMES[i], NAMES[i]);
    }
    buf_put_text(&w->policy, "\ngroup majority 2 ville enedis sigra\nquorum majority\n");
}

/* The receipt of record INDEX, cosigned by the first `signers` witnesses. */
static void make_receipt(struct world *w, int signers, struct buf *ret)
{
    struct merkle_hash leaves[LEAVES];
    struct buf record;
    struct buf note;
    struct proof p = {.index = INDEX};
    struct checkpoint c = {.origin = bytes_text(ORIGIN), .size = LEAVES};
    buf_init(&record, 64);
    buf_init(&note, 8192);
    for (int i = 0; i < LEAVES; i++) {
        put_record(&record, i);
        merkle_leaf(buf_bytes(&record), &leaves[i]);
    }
    merkle_root_of(leaves, LEAVES, &c.root);
    checkpoint_print(&c, &note);
    uint8_t text[1024];
    size_t size = note.size;
    memcpy(text, note.data, size);
    buf_put_u8(&note, '\n');
    note_sign(&w->log, w->log_key, bytes_of(text, size), 0, &note);
    for (int i = 0; i < signers; i++) {
        note_sign(&w->witnesses[i], w->keys[i], bytes_of(text, size), 1700000000, &note);
    }
    put_record(&record, INDEX);
    p.extra = buf_bytes(&record);
    p.path_count = merkle_path(leaves, LEAVES, INDEX, p.path);
    p.note = buf_bytes(&note);
    buf_clear(ret);
    proof_print(&p, ret);
    assert_false(ret->overflow);
    buf_done(&record);
    buf_done(&note);
}

/* Everything that a verifier does, offline. */
static err check(struct world *w, struct bytes policy, struct bytes receipt, struct errtext *why)
{
    struct arena a;
    struct policy *p = NULL;
    struct proof proof;
    struct note note;
    struct checkpoint c;
    struct merkle_hash leaf;
    arena_init(&a, 1 << 20);
    err e = policy_parse(policy, &a, &p, why);
    if (!failed(e)) {
        e = proof_parse(receipt, &a, &proof, why);
    }
    if (!failed(e)) {
        e = note_parse(proof.note, &note, why);
    }
    if (!failed(e)) {
        e = policy_check(p, &note, w->v, &c, why);
    }
    if (!failed(e)) {
        merkle_leaf(proof.extra, &leaf);
        bool in = merkle_path_proves(&leaf, proof.index, c.size, proof.path, proof.path_count,
                                     &c.root);
        e = in ? e : err_fail(why, ERR_DENIED, "the record is not at this index of the tree");
    }
    arena_done(&a);
    return e;
}

static int set_up(void **state)
{
    static struct world w;
    memset(&w, 0, sizeof w);
    w.v = verifier_new();
    w.log_key = make_key(1, NOTE_ED25519, ORIGIN, &w.log);
    for (int i = 0; i < WITNESSES; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "%s/%s/1", ORIGIN, NAMES[i]);
        w.keys[i] = make_key((uint8_t)(2 + i), NOTE_COSIGNATURE, name, &w.witnesses[i]);
    }
    buf_init(&w.policy, POLICY_BYTES_MAX);
    buf_init(&w.receipt, PROOF_BYTES_MAX);
    make_policy(&w);
    make_receipt(&w, 2, &w.receipt);
    *state = &w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    sign_key_free(w->log_key);
    for (int i = 0; i < WITNESSES; i++) {
        sign_key_free(w->keys[i]);
    }
    verifier_free(w->v);
    buf_done(&w->policy);
    buf_done(&w->receipt);
    return 0;
}

static void a_true_receipt_passes(void **state)
{
    struct world *w = *state;
    struct errtext why = {""};
    err e = check(w, buf_bytes(&w->policy), buf_bytes(&w->receipt), &why);
    assert_string_equal(why.text, "");
    assert_false(failed(e));
}

/* Two of three signed: each signature is needed, so there is no byte that may change. */
static void no_byte_of_a_receipt_may_change(void **state)
{
    struct world *w = *state;
    for (size_t i = 0; i < w->receipt.size; i++) {
        for (int bit = 0; bit < 8; bit++) {
            w->receipt.data[i] ^= (uint8_t)(1 << bit);
            struct errtext why;
            if (!failed(check(w, buf_bytes(&w->policy), buf_bytes(&w->receipt), &why))) {
                fail_msg("byte %zu, bit %d: accepted", i, bit);
            }
            w->receipt.data[i] ^= (uint8_t)(1 << bit);
        }
    }
}

static void no_receipt_may_end_early_or_late(void **state)
{
    struct world *w = *state;
    struct errtext why;
    for (size_t size = 0; size < w->receipt.size; size++) {
        assert_true(
            failed(check(w, buf_bytes(&w->policy), bytes_of(w->receipt.data, size), &why)));
    }
    struct buf longer;
    buf_init(&longer, PROOF_BYTES_MAX);
    buf_put_bytes(&longer, buf_bytes(&w->receipt));
    buf_put_u8(&longer, '\n');
    assert_true(failed(check(w, buf_bytes(&w->policy), buf_bytes(&longer), &why)));
    buf_done(&longer);
}

static void too_few_cosigners_are_named(void **state)
{
    struct world *w = *state;
    struct errtext why;
    struct buf b;
    buf_init(&b, PROOF_BYTES_MAX);
    make_receipt(w, 1, &b);
    assert_true(err_is(check(w, buf_bytes(&w->policy), buf_bytes(&b), &why), ERR_DENIED));
    assert_non_null(strstr(why.text, "enedis sigra"));
    buf_done(&b);
}

/* The policy with one more line. */
static err check_with(struct world *w, const char *line, const struct note_key *key,
                      struct errtext *why)
{
    struct buf b;
    buf_init(&b, POLICY_BYTES_MAX);
    buf_put_bytes(&b, buf_bytes(&w->policy));
    buf_put_text(&b, "# valid ");
    note_key_print(key, &b);
    buf_printf(&b, " %s\n", line);
    err e = check(w, buf_bytes(&b), buf_bytes(&w->receipt), why);
    buf_done(&b);
    return e;
}

static void a_key_counts_within_its_validity_only(void **state)
{
    struct world *w = *state;
    struct errtext why;
    const struct note_key *ville = &w->witnesses[0];
    assert_false(failed(check_with(w, "0 -", ville, &why)));
    assert_false(failed(check_with(w, "11 12", ville, &why)));
    assert_true(err_is(check_with(w, "12 -", ville, &why), ERR_DENIED));  /* not yet */
    assert_true(err_is(check_with(w, "0 11", ville, &why), ERR_DENIED));  /* revoked */
    assert_true(err_is(check_with(w, "0 11", &w->log, &why), ERR_DENIED));
    assert_true(err_is(check_with(w, "5 4", ville, &why), ERR_INVALID));
    assert_true(err_is(check_with(w, "x -", ville, &why), ERR_INVALID));
}

static void policies_that_mislead_are_refused(void **state)
{
    struct world *w = *state;
    static const char *const BAD[] = {
        "",
        "quorum majority\n",
        "quorum none\nquorum none\n",
        "quorum none",
        "group g any\nquorum g\n",
        "group g 0 a\nquorum g\n",
        "group none any a\nquorum none\n",
        "group g any g\nquorum g\n",
        "word\nquorum none\n",
        "quorum none more\n",
        "log x\nquorum none\n",
        "quorum none\n\x01\n",
    };
    struct arena a;
    struct policy *p;
    struct errtext why;
    arena_init(&a, 64 << 20);
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        if (!err_is(policy_parse(bytes_text(BAD[i]), &a, &p, &why), ERR_INVALID)) {
            fail_msg("accepted: %s", BAD[i]);
        }
    }
    /* One key under two names would be counted twice; so would a witness in two groups. */
    struct buf b;
    buf_init(&b, POLICY_BYTES_MAX);
    for (int twice = 0; twice < 2; twice++) {
        buf_clear(&b);
        buf_put_text(&b, "witness a ");
        note_key_print(&w->witnesses[0], &b);
        buf_put_text(&b, "\nwitness b ");
        note_key_print(&w->witnesses[twice == 0 ? 0 : 1], &b);
        buf_put_text(&b, "\ngroup g any a\ngroup h any a b\nquorum h\n");
        assert_true(err_is(policy_parse(buf_bytes(&b), &a, &p, &why), ERR_INVALID));
    }
    buf_done(&b);
    arena_done(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_true_receipt_passes),
        cmocka_unit_test(no_byte_of_a_receipt_may_change),
        cmocka_unit_test(no_receipt_may_end_early_or_late),
        cmocka_unit_test(too_few_cosigners_are_named),
        cmocka_unit_test(a_key_counts_within_its_validity_only),
        cmocka_unit_test(policies_that_mislead_are_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
