/* Receipts and consistency proofs that are true, and all the ways in which they are not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/consistency.h"
#include "crypto/proof.h"
#include "sample.h"

static struct sample sample;
static struct buf policy;
static struct verify_trust trust;

static int set_up(void **state)
{
    struct errtext why;
    (void)state;
    sample_make(&sample);
    sample_golden("policy", &policy);
    return failed(verify_trust(buf_bytes(&policy), true, &trust, &why));
}

static int tear_down(void **state)
{
    (void)state;
    verify_trust_done(&trust);
    sample_done(&sample);
    buf_done(&policy);
    return 0;
}

static err check(struct bytes wire, struct errtext *why)
{
    struct verify_receipt receipt;
    struct arena a;
    arena_init(&a, 1 << 20);
    err e = verify_receipt(&trust, wire, &a, &receipt, why);
    if (!failed(e)) {
        assert_int_equal(receipt.record.position, 6);
        assert_int_equal(receipt.head.checkpoint.size, SAMPLE_SIZE);
    }
    arena_done(&a);
    return e;
}

/* The reason must be told, and must hold these words. */
static void is_refused(err e, const struct errtext *why, const char *words)
{
    assert_true(failed(e));
    if (strstr(why->text, words) == NULL) {
        fail_msg("'%s' does not tell of '%s'", why->text, words);
    }
}

/* The receipt of record 6 under a checkpoint that these nodes have signed. */
static void refused_when_signed_by(const int *nodes, size_t count, const char *words)
{
    const struct sample_signers by = {nodes, count, 1780001000};
    struct errtext why = {""};
    struct buf note;
    struct buf receipt;
    buf_init(&note, SAMPLE_TEXT_MAX);
    buf_init(&receipt, SAMPLE_TEXT_MAX);
    sample_note(&sample, SAMPLE_SIZE, &by, &note);
    sample_receipt(&sample, 6, buf_bytes(&note), &receipt);
    err e = check(buf_bytes(&receipt), &why);
    if (words == NULL) {
        assert_false(failed(e));
    } else {
        is_refused(e, &why, words);
    }
    buf_done(&note);
    buf_done(&receipt);
}

static void a_majority_of_institutions_must_have_cosigned(void **state)
{
    static const int TWO[] = {SAMPLE_VILLE_2, SAMPLE_SIGRA};
    static const int ONE[] = {SAMPLE_ENEDIS};
    static const int SAME[] = {SAMPLE_VILLE, SAMPLE_VILLE_2};
    static const int REVOKED[] = {SAMPLE_ENEDIS, SAMPLE_SIGRA_OLD};
    static const int THREE[] = {SAMPLE_ENEDIS, SAMPLE_SIGRA_OLD, SAMPLE_VILLE};
    (void)state;
    refused_when_signed_by(TWO, 2, NULL);
    refused_when_signed_by(ONE, 1, "too few have cosigned: 2 are needed; missing: sigra ville");
    refused_when_signed_by(SAME, 2, "missing: enedis sigra");
    refused_when_signed_by(REVOKED, 2, "missing: sigra ville");
    refused_when_signed_by(THREE, 3, NULL); /* two count, and the third one is no lie */
}

static void a_key_counts_from_its_size_on(void **state)
{
    static const int NODES[] = {SAMPLE_ENEDIS, SAMPLE_SIGRA};
    static const int OLD[] = {SAMPLE_ENEDIS, SAMPLE_SIGRA_OLD};
    const struct sample_signers early = {NODES, 2, 1};
    const struct sample_signers then = {OLD, 2, 1};
    struct verify_head head;
    struct errtext why;
    struct buf note;
    (void)state;
    buf_init(&note, SAMPLE_TEXT_MAX);
    sample_note(&sample, 4, &early, &note);
    is_refused(verify_head(&trust, buf_bytes(&note), &head, &why), &why, "missing: sigra ville");
    buf_clear(&note);
    sample_note(&sample, 4, &then, &note);
    assert_false(failed(verify_head(&trust, buf_bytes(&note), &head, &why)));
    assert_int_equal(head.voices.count, 4);
    buf_done(&note);
}

/* A receipt with its parts exchanged for those of another place, size or tree. */
static void refused_with(const struct proof *p, const char *words)
{
    struct errtext why = {""};
    struct buf b;
    buf_init(&b, SAMPLE_TEXT_MAX);
    proof_print(p, &b);
    is_refused(check(buf_bytes(&b), &why), &why, words);
    buf_done(&b);
}

static void a_proof_of_another_index_size_or_tree_is_refused(void **state)
{
    static const int NODES[] = {SAMPLE_VILLE, SAMPLE_ENEDIS};
    const struct sample_signers by = {NODES, 2, 1780001000};
    struct proof p;
    struct proof other;
    struct buf golden;
    struct buf smaller;
    struct buf note;
    struct arena a;
    (void)state;
    arena_init(&a, 1 << 20);
    sample_golden("receipt", &golden);
    assert_false(failed(proof_parse(buf_bytes(&golden), &a, &p, NULL)));
    other = p;
    other.index = 7;
    refused_with(&other, "the record is of position 6, the proof of 7");
    other = p;
    other.path_count = merkle_path(sample.leaves, SAMPLE_SIZE, 7, other.path);
    refused_with(&other, "does not stand at position 6");
    other = p;
    other.path_count--;
    refused_with(&other, "does not stand at position 6");
    other = p;
    buf_init(&smaller, SAMPLE_TEXT_MAX);
    sample_note(&sample, 12, &by, &smaller);
    other.note = buf_bytes(&smaller);
    refused_with(&other, "does not stand at position 6");
    sample.leaves[2].bytes[0] ^= 1; /* another ledger, with the same record */
    other = p;
    other.path_count = merkle_path(sample.leaves, SAMPLE_SIZE, 6, other.path);
    refused_with(&other, "does not stand at position 6");
    buf_init(&note, SAMPLE_TEXT_MAX);
    sample_note(&sample, SAMPLE_SIZE, &by, &note);
    other = p;
    other.note = buf_bytes(&note);
    refused_with(&other, "does not stand at position 6");
    sample.leaves[2].bytes[0] ^= 1;
    other = p;
    other.extra = buf_bytes(&sample.records[7]);
    other.index = 7;
    refused_with(&other, "does not stand at position 7");
    buf_done(&golden);
    buf_done(&smaller);
    buf_done(&note);
    arena_done(&a);
}

static void claims_about_a_record_are_checked(void **state)
{
    struct buf files[6];
    static const char *const NAMES[6] = {"receipt", "request", "outcome",
                                         "effects", "trace",   "timer.receipt"};
    struct verify_receipt receipt;
    struct verify_receipt timer;
    const struct envelope *e = NULL;
    struct arena a;
    struct errtext why;
    uint8_t keys[1][SIGN_PUBLIC_SIZE];
    (void)state;
    arena_init(&a, 1 << 20);
    for (int i = 0; i < 6; i++) {
        sample_golden(NAMES[i], &files[i]);
    }
    sign_key_public(sample.signer, keys[0]);
    assert_false(failed(verify_receipt(&trust, buf_bytes(&files[0]), &a, &receipt, &why)));
    assert_false(failed(verify_receipt(&trust, buf_bytes(&files[5]), &a, &timer, &why)));
    struct verify_claim c = {.envelope = buf_bytes(&files[1]),
                             .keys = (const uint8_t(*)[SIGN_PUBLIC_SIZE])keys,
                             .key_count = 1,
                             .outcome = buf_bytes(&files[2]),
                             .effects = buf_bytes(&files[3]),
                             .trace = buf_bytes(&files[4])};
    const struct verify_claim whole = c;
    assert_false(failed(verify_claim(&trust, &receipt.record, &c, &a, &e, &why)));
    assert_true(bytes_equal(e->body.on_behalf, bytes_text("pmo.roquefort")));
    c.outcome = c.effects;
    is_refused(verify_claim(&trust, &receipt.record, &c, &a, &e, &why), &why, "the outcome is not");
    c = whole;
    c.effects = bytes_text("");
    is_refused(verify_claim(&trust, &receipt.record, &c, &a, &e, &why), &why, "list of effects");
    c = whole;
    c.trace = c.effects;
    is_refused(verify_claim(&trust, &receipt.record, &c, &a, &e, &why), &why, "the trace is not");
    c = (struct verify_claim){.outcome = whole.outcome};
    is_refused(verify_claim(&trust, &receipt.record, &c, &a, &e, &why), &why, "without the salt");
    c = whole;
    keys[0][0] ^= 1;
    is_refused(verify_claim(&trust, &receipt.record, &c, &a, &e, &why), &why, "has not signed");
    keys[0][0] ^= 1;
    is_refused(verify_claim(&trust, &timer.record, &c, &a, &e, &why), &why, "of position 8");
    files[1].data[files[1].size - 1] ^= 1; /* the last byte of the signature */
    is_refused(verify_claim(&trust, &receipt.record, &c, &a, &e, &why), &why, "is forged");
    files[1].data[50] ^= 1; /* in the body */
    is_refused(verify_claim(&trust, &receipt.record, &c, &a, &e, &why), &why, "another request");
    for (int i = 0; i < 6; i++) {
        buf_done(&files[i]);
    }
    arena_done(&a);
}

static err check_growth(const struct consistency *c, struct bytes old, struct errtext *why)
{
    struct verify_head before;
    struct verify_head now;
    struct buf b;
    buf_init(&b, SAMPLE_TEXT_MAX);
    consistency_print(c, &b);
    err e = verify_consistency(&trust, buf_bytes(&b), old, &before, &now, why);
    if (!failed(e)) {
        assert_int_equal(before.checkpoint.size, SAMPLE_OLD);
        assert_int_equal(now.checkpoint.size, SAMPLE_SIZE);
    }
    buf_done(&b);
    return e;
}

static void a_tree_that_was_rewritten_is_refused(void **state)
{
    static const int NODES[] = {SAMPLE_VILLE, SAMPLE_ENEDIS};
    const struct sample_signers by = {NODES, 2, 1780001000};
    struct consistency c;
    struct consistency other;
    struct errtext why = {""};
    struct buf wire;
    struct buf old;
    struct buf note;
    (void)state;
    sample_golden("consistency", &wire);
    sample_golden("checkpoint", &old);
    buf_init(&note, SAMPLE_TEXT_MAX);
    assert_false(failed(consistency_parse(buf_bytes(&wire), &c, NULL)));
    assert_false(failed(check_growth(&c, buf_bytes(&old), &why)));
    other = c;
    other.old_size = 5;
    is_refused(check_growth(&other, buf_bytes(&old), &why), &why, "begins at size 5");
    other = c;
    other.path[0].bytes[3] ^= 4;
    is_refused(check_growth(&other, buf_bytes(&old), &why), &why, "does not begin with");
    sample.leaves[2].bytes[0] ^= 1; /* cosigned by a majority, and yet another past */
    sample_note(&sample, SAMPLE_OLD, &by, &note);
    sample.leaves[2].bytes[0] ^= 1;
    is_refused(check_growth(&c, buf_bytes(&note), &why), &why, "does not begin with");
    buf_done(&wire);
    buf_done(&old);
    buf_done(&note);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_majority_of_institutions_must_have_cosigned),
        cmocka_unit_test(a_key_counts_from_its_size_on),
        cmocka_unit_test(a_proof_of_another_index_size_or_tree_is_refused),
        cmocka_unit_test(claims_about_a_record_are_checked),
        cmocka_unit_test(a_tree_that_was_rewritten_is_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
