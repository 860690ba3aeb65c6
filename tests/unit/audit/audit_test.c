/* An audit against a source that lies: a sound ledger is handed out block by block, and one thing
 * in it is changed. Each must be found, of the right kind and at the right position. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "audit/replay.h"
#include "base/limits.h"
#include "crypto/checkpoint.h"
#include "crypto/note.h"
#include "fixture.h"
#include "ledger/tree.h"
#include "proto/block.h"
#include "proto/envelope.h"

/* ---- auditing ---- */

static void audit(const struct kept *kept, struct finding *finding, struct replay_result *result)
{
    char work[] = "/tmp/concordat-audit-XXXXXX";
    struct source *source = fixture_source(kept);
    struct replay *r = NULL;
    struct errtext why = {{0}};
    assert_non_null(mkdtemp(work));
    struct replay_options options = {.work = work};
    err e = replay_open(&options, source, &r, finding, &why);
    if (!failed(e) && r != NULL) {
        e = replay_run(r, NULL, finding, &why);
        *result = replay_result(r);
    }
    if (failed(e)) {
        fail_msg("%s", why.text);
    }
    replay_close(r);
    source->close(source);
    fixture_remove(work);
}

static void a_sound_ledger_has_nothing_wrong(void **state)
{
    struct fixture *f = *state;
    struct finding finding;
    struct replay_result result = {0};
    audit(&f->kept, &finding, &result);
    assert_string_equal(finding.text, "");
    assert_int_equal(finding.kind, FINDING_NONE);
    assert_int_equal(result.blocks, BLOCKS);
    assert_int_equal(result.heads, 3);
    assert_int_equal(result.claims, ledger_head(f->w.ledger).position);
    assert_int_equal(result.cosigned_size, result.head.position);
    assert_memory_equal(result.head.digest, ledger_head(f->w.ledger).digest, 32);
}

/* The record with one field changed by the caller. */
static struct record record_of(struct bytes wire)
{
    struct record r;
    assert_false(failed(record_decode(wire, &r, NULL)));
    return r;
}

static struct bytes encoded(struct world *w, const struct record *r)
{
    struct buf wire;
    buf_init(&wire, RECORD_BYTES_MAX);
    record_encode(r, &wire);
    struct bytes kept = arena_copy(&w->arena, buf_bytes(&wire));
    buf_done(&wire);
    return kept;
}

/* The faults: each changes one thing of what is handed out. */
typedef void (*fault)(struct fixture *f, struct kept *k);

static void genesis_changed(struct fixture *f, struct kept *k)
{
    k->genesis = fixture_flipped(&f->w, k->genesis, k->genesis.size / 2);
}
static void founder_forged(struct fixture *f, struct kept *k)
{
    k->signatures = fixture_flipped(&f->w, k->signatures, k->signatures.size - 1);
}
static void signature_broken(struct fixture *f, struct kept *k)
{
    /* the last octets of an envelope are its signature's */
    k->blocks[3] = fixture_flipped(&f->w, k->blocks[3], k->blocks[3].size - 1);
}
static void body_changed(struct fixture *f, struct kept *k)
{
    k->blocks[3] = fixture_flipped(&f->w, k->blocks[3], BLOCK_HEADER_SIZE + 60);
}
static void blocks_swapped(struct fixture *f, struct kept *k)
{
    (void)f;
    struct bytes third = k->blocks[3];
    k->blocks[3] = k->blocks[4];
    k->blocks[4] = third;
}
static void block_time_changed(struct fixture *f, struct kept *k)
{
    k->blocks[3] = fixture_flipped(&f->w, k->blocks[3], 2 + 8 + 32 + 7);
}
static void block_cut(struct fixture *f, struct kept *k)
{
    (void)f;
    k->blocks[3].size--;
}
static void blocks_end_early(struct fixture *f, struct kept *k)
{
    (void)f;
    k->last = 6;
}
static void record_outcome_changed(struct fixture *f, struct kept *k)
{
    struct record r = record_of(k->records[2]);
    r.outcome_hash[0] ^= 1;
    k->records[2] = encoded(&f->w, &r);
}
static void record_posting_changed(struct fixture *f, struct kept *k)
{
    struct record r = record_of(k->records[2]);
    r.effects_hash[0] ^= 1;
    k->records[2] = encoded(&f->w, &r);
}
static void record_trace_changed(struct fixture *f, struct kept *k)
{
    struct record r = record_of(k->records[2]);
    r.trace_hash[31] ^= 1;
    k->records[2] = encoded(&f->w, &r);
}
static void record_text_changed(struct fixture *f, struct kept *k)
{
    struct record r = record_of(k->records[2]);
    r.text_hash[0] ^= 1;
    k->records[2] = encoded(&f->w, &r);
}
static void record_digest_changed(struct fixture *f, struct kept *k)
{
    struct record r = record_of(k->records[2]);
    r.digest[0] ^= 1;
    k->records[2] = encoded(&f->w, &r);
}
static void record_chain_changed(struct fixture *f, struct kept *k)
{
    struct record r = record_of(k->records[2]);
    r.accounts_root[0] ^= 1;
    k->records[2] = encoded(&f->w, &r);
}
static void record_legal_date_changed(struct fixture *f, struct kept *k)
{
    struct record r = record_of(k->records[2]);
    r.legal_date++;
    k->records[2] = encoded(&f->w, &r);
}
static void record_left_out(struct fixture *f, struct kept *k)
{
    (void)f;
    k->first[4] = k->first[3];
}
static void record_invented(struct fixture *f, struct kept *k)
{
    struct record r = record_of(k->records[2]);
    r.position++;
    r.index++;
    k->records[k->first[9]] = encoded(&f->w, &r);
    k->first[9]++;
}
static void revoked_key_signs(struct fixture *f, struct kept *k)
{
    /* instead of the last block one whose request a revoked key has signed, recorded all the same
     */
    struct plan plan = {.actions = {{"test.bank", "open", "{\"who\":\"dora\"}"}},
                        .signers = {KEY_PMO},
                        .on_behalf = "pmo.roquefort",
                        .id = 10};
    struct bytes envelope = world_envelope(&f->w, &plan);
    struct arena a;
    struct block *block = NULL;
    struct buf wire;
    arena_init(&a, BLOCK_ARENA_MAX);
    assert_false(failed(block_decode(k->blocks[8], &a, &block, NULL)));
    block->envelopes = &envelope;
    buf_init(&wire, BLOCK_BYTES_MAX);
    block_encode(block, &wire);
    k->blocks[8] = arena_copy(&f->w.arena, buf_bytes(&wire));
    buf_done(&wire);
    arena_done(&a);
    struct record r = record_of(k->records[k->first[8]]);
    envelope_request_hash(envelope, r.request_hash);
    k->records[k->first[8]] = encoded(&f->w, &r);
}
static void outcome_shown_otherwise(struct fixture *f, struct kept *k)
{
    k->outcomes[3] = fixture_flipped(&f->w, k->outcomes[3], 5);
}
static void effects_shown_otherwise(struct fixture *f, struct kept *k)
{
    k->effects[2] = fixture_flipped(&f->w, k->effects[2], k->effects[2].size / 2);
}
static void refusal_shown_as_accepted(struct fixture *f, struct kept *k)
{
    (void)f;
    k->ends[3] = LEDGER_ACCEPTED;
}
static void cosignature_broken(struct fixture *f, struct kept *k)
{
    k->heads[1] = fixture_flipped(&f->w, k->heads[1], k->heads[1].size - 20);
}

/* A head of that size with another root, signed by the first nodes. */
static struct bytes lie_signed_by(struct world *w, uint64_t size, unsigned signers)
{
    struct buf note;
    struct checkpoint c = {.origin = bytes_text(WORLD_ORIGIN), .size = size};
    buf_init(&note, NOTE_BYTES_MAX);
    checkpoint_print(&c, &note);
    struct bytes text = arena_copy(&w->arena, buf_bytes(&note));
    buf_put_u8(&note, '\n');
    for (unsigned i = 0; i < signers; i++) {
        world_cosign(w, i + 1, text, 1000, &note);
    }
    struct bytes kept = arena_copy(&w->arena, buf_bytes(&note));
    buf_done(&note);
    return kept;
}
static void one_signs_another_root(struct fixture *f, struct kept *k)
{
    k->heads[1] = lie_signed_by(&f->w, k->head_sizes[1], 1);
}
static void majority_signs_another_root(struct fixture *f, struct kept *k)
{
    k->heads[1] = lie_signed_by(&f->w, k->head_sizes[1], 2);
}
static void head_beyond_the_end(struct fixture *f, struct kept *k)
{
    k->head_sizes[2] += 5;
    k->heads[2] = lie_signed_by(&f->w, k->head_sizes[2], 3);
}
static void head_is_no_note(struct fixture *f, struct kept *k)
{
    (void)f;
    k->heads[0].size -= 40;
}

static const struct {
    const char *name;
    fault plant;
    enum finding_kind kind;
    int64_t height, position; /* -1: not told */
} FAULTS[] = {
    {"genesis", genesis_changed, FINDING_GENESIS, -1, -1},
    {"founder's signature", founder_forged, FINDING_GENESIS, -1, -1},
    {"signature", signature_broken, FINDING_REQUEST, 3, 2},
    {"body", body_changed, FINDING_RECORD, 3, 2},
    {"block order", blocks_swapped, FINDING_BLOCK, 3, -1},
    {"block time", block_time_changed, FINDING_RECORD, 3, 2},
    {"block cut", block_cut, FINDING_BLOCK, 3, -1},
    {"missing block", blocks_end_early, FINDING_HEAD, -1, -1},
    {"record: outcome", record_outcome_changed, FINDING_RECORD, 3, 2},
    {"record: posting", record_posting_changed, FINDING_RECORD, 3, 2},
    {"record: trace", record_trace_changed, FINDING_RECORD, 3, 2},
    {"record: contract text", record_text_changed, FINDING_RECORD, 3, 2},
    {"record: digest", record_digest_changed, FINDING_RECORD, 3, 2},
    {"record: account chain", record_chain_changed, FINDING_RECORD, 3, 2},
    {"record: legal date", record_legal_date_changed, FINDING_RECORD, 3, 2},
    {"record left out", record_left_out, FINDING_RECORD, 3, 2},
    {"record invented", record_invented, FINDING_RECORD, 8, 8},
    {"key validity", revoked_key_signs, FINDING_REQUEST, 8, 7},
    {"outcome shown", outcome_shown_otherwise, FINDING_DECISION, 4, 3},
    {"effects shown", effects_shown_otherwise, FINDING_DECISION, 3, 2},
    {"end shown", refusal_shown_as_accepted, FINDING_DECISION, 4, 3},
    {"cosignature", cosignature_broken, FINDING_COSIGNATURE, 7, 6},
    {"too few cosign", one_signs_another_root, FINDING_COSIGNATURE, 7, 6},
    {"head", majority_signs_another_root, FINDING_HEAD, 7, 6},
    {"head beyond the end", head_beyond_the_end, FINDING_HEAD, -1, -1},
    {"no note", head_is_no_note, FINDING_HEAD, -1, -1},
};

static void each_planted_fault_is_found_where_it_is(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof(FAULTS) / sizeof(*FAULTS); i++) {
        struct kept lies = f->kept;
        struct finding finding;
        struct replay_result result;
        FAULTS[i].plant(f, &lies);
        audit(&lies, &finding, &result);
        if (finding.kind != FAULTS[i].kind ||
            (FAULTS[i].height >= 0 &&
             (!finding.has_height || finding.height != (uint64_t)FAULTS[i].height)) ||
            (FAULTS[i].position >= 0 &&
             (!finding.has_position || finding.position != (uint64_t)FAULTS[i].position))) {
            fail_msg("%s: found %s at %d/%d: %s", FAULTS[i].name, finding_name(finding.kind),
                     finding.has_height ? (int)finding.height : -1,
                     finding.has_position ? (int)finding.position : -1, finding.text);
        }
    }
}

/* ---- going on ---- */

static void an_audit_goes_on_where_it_stopped(void **state)
{
    struct fixture *f = *state;
    struct kept half = f->kept;
    char work[] = "/tmp/concordat-audit-XXXXXX";
    struct finding finding;
    struct errtext why = {{0}};
    assert_non_null(mkdtemp(work));
    struct replay_options options = {.work = work};
    half.last = 5;
    half.head_count = 1;
    for (int run = 0; run < 2; run++) {
        struct source *source = fixture_source(run == 0 ? &half : &f->kept);
        struct replay *r = NULL;
        assert_false(failed(replay_open(&options, source, &r, &finding, &why)));
        assert_false(failed(replay_run(r, NULL, &finding, &why)));
        assert_string_equal(finding.text, "");
        assert_int_equal(replay_result(r).blocks, run == 0 ? 5 : BLOCKS - 5);
        assert_int_equal(replay_result(r).heads, run == 0 ? 1 : 3);
        replay_close(r);
        source->close(source);
    }
    fixture_remove(work);
}

static void what_was_found_is_found_again(void **state)
{
    struct fixture *f = *state;
    static const fault PLANTED[] = {record_posting_changed, signature_broken,
                                    effects_shown_otherwise, majority_signs_another_root};
    for (size_t i = 0; i < sizeof(PLANTED) / sizeof(*PLANTED); i++) {
        struct kept lies = f->kept;
        char work[] = "/tmp/concordat-audit-XXXXXX";
        struct finding finding[2];
        struct errtext why = {{0}};
        assert_non_null(mkdtemp(work));
        struct replay_options options = {.work = work};
        PLANTED[i](f, &lies);
        for (int run = 0; run < 2; run++) {
            struct source *source = fixture_source(&lies);
            struct replay *r = NULL;
            assert_false(failed(replay_open(&options, source, &r, &finding[run], &why)));
            assert_false(failed(replay_run(r, NULL, &finding[run], &why)));
            replay_close(r);
            source->close(source);
        }
        assert_int_not_equal(finding[0].kind, FINDING_NONE);
        assert_int_not_equal(finding[1].kind, FINDING_NONE);
        assert_int_equal(finding[0].height, finding[1].height);
        assert_int_equal(finding[0].position, finding[1].position);
        fixture_remove(work);
    }
}

static const char STRANGERS[] =
    "log other.example/x+9d33e6b5+AZXQ6qCJxMRgdQyBuxzdALJZyHjmc2Qcy1e0FzBmeuFD\n"
    "quorum none\n";

static void a_policy_from_elsewhere_counts(void **state)
{
    struct fixture *f = *state;
    struct finding finding;
    struct errtext why = {{0}};
    struct buf policy;
    buf_init(&policy, POLICY_BYTES_MAX);
    assert_false(
        failed(ledger_policy(f->w.ledger, ledger_head(f->w.ledger).position, &policy, &why)));
    for (int run = 0; run < 2; run++) {
        char work[] = "/tmp/concordat-audit-XXXXXX";
        assert_non_null(mkdtemp(work));
        struct bytes text = buf_bytes(&policy);
        if (run == 1) { /* of another ledger, whose nodes have other keys */
            text = bytes_text(STRANGERS);
        }
        struct replay_options options = {.work = work, .policy = text};
        struct source *source = fixture_source(&f->kept);
        struct replay *r = NULL;
        assert_false(failed(replay_open(&options, source, &r, &finding, &why)));
        assert_false(failed(replay_run(r, NULL, &finding, &why)));
        assert_int_equal(finding.kind, run == 0 ? FINDING_NONE : FINDING_COSIGNATURE);
        replay_close(r);
        source->close(source);
        fixture_remove(work);
    }
    buf_done(&policy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_sound_ledger_has_nothing_wrong, fixture_up, fixture_down),
        cmocka_unit_test_setup_teardown(each_planted_fault_is_found_where_it_is, fixture_up,
                                        fixture_down),
        cmocka_unit_test_setup_teardown(an_audit_goes_on_where_it_stopped, fixture_up,
                                        fixture_down),
        cmocka_unit_test_setup_teardown(what_was_found_is_found_again, fixture_up, fixture_down),
        cmocka_unit_test_setup_teardown(a_policy_from_elsewhere_counts, fixture_up, fixture_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
