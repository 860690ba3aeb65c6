#include "audit/replay.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit/heads.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/require.h"
#include "crypto/policy.h"
#include "ledger/stored.h"
#include "ledger/tree.h"
#include "proto/genesis.h"
#include "storage/dir.h"
#include "storage/kv.h"

enum { PROGRESS_BLOCKS = 64 };

struct replay {
    struct replay_options options;
    struct source *source; /* not owned */
    struct kv *kv;
    struct ledger *ledger;
    struct verifier *verifier;
    struct arena arena; /* of one head */
    struct buf note;    /* the next head that was not reached yet */
    struct buf scratch; /* a stored record */
    bool has_note;      /* note holds one */
    uint64_t note_size;
    struct replay_result result;
};

const char *finding_name(enum finding_kind kind)
{
    static const char *const NAMES[] = {
#define FINDING_NAME(name, text) text,
        FINDINGS(FINDING_NAME)
#undef FINDING_NAME
    };
    require((size_t)kind < sizeof(NAMES) / sizeof(*NAMES));
    return NAMES[kind];
}

void finding_set(struct finding *f, enum finding_kind kind, const char *fmt, ...)
{
    va_list args;
    require(f != NULL);
    *f = (struct finding){.kind = kind};
    va_start(args, fmt);
    vsnprintf(f->text, sizeof(f->text), fmt, args);
    va_end(args);
}

static void finding_at_height(struct finding *f, uint64_t height)
{
    f->has_height = true;
    f->height = height;
}

static void finding_at(struct finding *f, uint64_t height, uint64_t position)
{
    finding_at_height(f, height);
    f->has_position = true;
    f->position = position;
}

/* ---- opening ---- */

static void genesis_check(struct replay *r, struct bytes genesis, struct bytes signatures,
                          struct finding *finding)
{
    struct arena a;
    struct genesis *g = NULL;
    struct errtext why;
    uint8_t id[32];
    genesis_ledger_id(genesis, id);
    if (r->options.has_ledger_id && memcmp(id, r->options.ledger_id, sizeof(id)) != 0) {
        finding_set(finding, FINDING_GENESIS, "the genesis is not the one of the ledger asked for");
        return;
    }
    arena_init(&a, 64 * (size_t)GENESIS_BYTES_MAX);
    if (failed(genesis_decode(genesis, &a, &g, &why))) {
        finding_set(finding, FINDING_GENESIS, "%s", why.text);
    } else if (signatures.size > 0 && failed(genesis_sig_verify(genesis, signatures, g, &why))) {
        finding_set(finding, FINDING_GENESIS, "the founders' signatures: %.400s", why.text);
    }
    arena_done(&a);
}

static err state_open(struct replay *r, struct bytes genesis, struct finding *finding,
                      struct errtext *reterr)
{
    char path[4096];
    struct kv_options options = {0};
    struct ledger_options ledger = {.map_seed = {1, 2}};
    snprintf(path, sizeof(path), "%s/state", r->options.work);
    TRY(dir_make(path, reterr));
    ledger_kv_families(&options);
    TRY(kv_open(path, &options, &r->kv, reterr));
    err e = ledger_open(r->kv, genesis, &ledger, &r->ledger, reterr);
    if (err_is(e, ERR_INVALID)) {
        finding_set(finding, FINDING_GENESIS, "%s", reterr->text);
        return err_ok();
    }
    return e;
}

err replay_open(const struct replay_options *options, struct source *source, struct replay **ret,
                struct finding *finding, struct errtext *reterr)
{
    require(options != NULL);
    require(source != NULL);
    struct buf genesis;
    struct buf signatures;
    struct replay *r = mem_new(1, sizeof(*r));
    *r = (struct replay){.options = *options, .source = source};
    *ret = NULL;
    *finding = (struct finding){0};
    arena_init(&r->arena, 4 << 20);
    buf_init(&r->note, NOTE_BYTES_MAX);
    buf_init(&r->scratch, ROW_BYTES_MAX);
    buf_init(&genesis, GENESIS_BYTES_MAX);
    buf_init(&signatures, GENESIS_BYTES_MAX);
    r->verifier = verifier_new();
    err e = source->genesis(source, &genesis, &signatures, reterr);
    if (!failed(e)) {
        genesis_check(r, buf_bytes(&genesis), buf_bytes(&signatures), finding);
    }
    if (!failed(e) && finding->kind == FINDING_NONE) {
        e = state_open(r, buf_bytes(&genesis), finding, reterr);
    }
    buf_done(&genesis);
    buf_done(&signatures);
    if (failed(e) || finding->kind != FINDING_NONE) {
        replay_close(r);
        return e;
    }
    *ret = r;
    return err_ok();
}

void replay_close(struct replay *r)
{
    if (r == NULL) {
        return;
    }
    ledger_close(r->ledger);
    kv_close(r->kv);
    verifier_free(r->verifier);
    arena_done(&r->arena);
    buf_done(&r->note);
    buf_done(&r->scratch);
    free(r);
}

/* ---- comparing a block ---- */

/* Why a request that the source recorded is not recorded here. */
static const struct ledger_applied *void_of(const struct ledger_result *result,
                                            const uint8_t request_hash[32])
{
    for (size_t i = 0; i < result->applied_count; i++) {
        const struct ledger_applied *a = &result->applied[i];
        if (a->reason != REASON_NONE && memcmp(a->request_hash, request_hash, 32) == 0) {
            return a;
        }
    }
    return NULL;
}

/* Where two records that should be the same differ, in the order of their fields. */
static const char *field_that_differs(const struct record *x, const struct record *y)
{
    if (x->time_ns != y->time_ns || x->height != y->height || x->position != y->position) {
        return "position, height or time";
    }
    if (x->kind != y->kind || x->index != y->index ||
        x->schedule_position != y->schedule_position ||
        memcmp(x->request_hash, y->request_hash, 32) != 0) {
        return "the request or timer it is about";
    }
    if (!bytes_equal(x->contract, y->contract) || x->contract_version != y->contract_version ||
        memcmp(x->text_hash, y->text_hash, 32) != 0) {
        return "the contract or its text";
    }
    if (x->has_legal_date != y->has_legal_date || x->legal_date != y->legal_date) {
        return "the legal date";
    }
    if (memcmp(x->outcome_hash, y->outcome_hash, 32) != 0) {
        return "the outcome";
    }
    if (memcmp(x->effects_hash, y->effects_hash, 32) != 0) {
        return "the effects: postings and rows";
    }
    if (memcmp(x->trace_hash, y->trace_hash, 32) != 0) {
        return "the trace";
    }
    return memcmp(x->digest, y->digest, 32) != 0 ? "the digest" : "the accounts' root";
}

static void claim_differs(const struct ledger_result *result, const struct claim *claim,
                          const struct ledger_record *mine, uint64_t position,
                          struct finding *finding)
{
    struct record theirs;
    struct errtext why;
    if (failed(record_decode(claim->record, &theirs, &why))) {
        finding_set(finding, FINDING_RECORD, "record %llu: %.300s", (unsigned long long)position,
                    why.text);
        return;
    }
    const struct ledger_applied *voided = void_of(result, theirs.request_hash);
    if (voided != NULL) {
        finding_set(finding, FINDING_REQUEST,
                    "record %llu stands for a request that may not enter the ledger: %s",
                    (unsigned long long)position, reason_name(voided->reason));
    } else if (mine == NULL) {
        finding_set(finding, FINDING_RECORD, "record %llu is more than the block gives",
                    (unsigned long long)position);
    } else {
        finding_set(finding, FINDING_RECORD, "record %llu differs from what was computed in %s",
                    (unsigned long long)position, field_that_differs(&theirs, &mine->record));
    }
}

static err claim_check(struct replay *r, const struct ledger_result *result,
                       const struct claim *claim, uint64_t position, struct finding *finding,
                       struct errtext *reterr)
{
    struct ledger_record mine;
    if (position >= result->head.position) {
        claim_differs(result, claim, NULL, position, finding);
        return err_ok();
    }
    TRY(stored_record(r->kv, position, &r->scratch, &mine, reterr));
    r->result.claims++;
    if (!bytes_equal(mine.bytes, claim->record)) {
        claim_differs(result, claim, &mine, position, finding);
    } else if (claim->outcome.data == NULL) {
        return err_ok(); /* the source keeps the records alone */
    } else if (claim->end != (uint32_t)mine.outcome.end ||
               !bytes_equal(mine.outcome_json, claim->outcome)) {
        finding_set(finding, FINDING_DECISION,
                    "record %llu: the outcome shown is not the one "
                    "recorded",
                    (unsigned long long)position);
    } else if (!bytes_equal(mine.effects_json, claim->effects)) {
        finding_set(finding, FINDING_DECISION,
                    "record %llu: the effects shown are not those "
                    "recorded",
                    (unsigned long long)position);
    }
    return err_ok();
}

static err claims_check(struct replay *r, const struct ledger_result *result,
                        const struct archived *block, struct finding *finding,
                        struct errtext *reterr)
{
    uint64_t position = result->position_first;
    if (block->claims == NULL) {
        return err_ok();
    }
    for (size_t i = 0; i < block->claim_count && finding->kind == FINDING_NONE; i++, position++) {
        TRY(claim_check(r, result, &block->claims[i], position, finding, reterr));
        if (finding->kind != FINDING_NONE) {
            finding_at(finding, result->head.height, position);
        }
    }
    if (finding->kind == FINDING_NONE && position < result->head.position) {
        finding_set(finding, FINDING_RECORD, "record %llu is missing",
                    (unsigned long long)position);
        finding_at(finding, result->head.height, position);
    }
    return err_ok();
}

/* ---- heads ---- */

/* Reads on to the next head; a note that is none is a finding. */
static err head_fetch(struct replay *r, uint64_t size, struct finding *finding,
                      struct errtext *reterr)
{
    uint64_t told = 0;
    r->has_note = false;
    buf_clear(&r->note);
    err e = r->source->head(r->source, size, &r->note, reterr);
    if (err_is(e, ERR_NOT_FOUND)) {
        return err_ok();
    }
    TRY(e);
    if (!head_size(buf_bytes(&r->note), &told) || told < size) {
        finding_set(finding, FINDING_HEAD, "what stands for a head of size %llu or more is none",
                    (unsigned long long)size);
    } else {
        r->has_note = true;
        r->note_size = told;
    }
    return err_ok();
}

static err policy_judge(struct replay *r, struct bytes text, const char *whose,
                        struct checkpoint *ret, struct finding *finding)
{
    struct policy *policy = NULL;
    struct note note;
    struct errtext why;
    arena_reset(&r->arena);
    if (failed(note_parse(buf_bytes(&r->note), &note, &why)) ||
        failed(policy_parse(text, &r->arena, &policy, &why)) ||
        failed(policy_check(policy, &note, r->verifier, ret, &why))) {
        finding_set(finding, FINDING_COSIGNATURE, "the head of size %llu, by %s: %.300s",
                    (unsigned long long)r->note_size, whose, why.text);
    }
    return err_ok();
}

/* The head in r->note, which the replay has reached. */
static err head_check(struct replay *r, struct finding *finding, struct errtext *reterr)
{
    struct merkle_hash root;
    struct checkpoint told;
    struct buf policy;
    buf_init(&policy, POLICY_BYTES_MAX);
    err e = ledger_policy(r->ledger, r->note_size, &policy, reterr);
    if (!failed(e)) {
        e = policy_judge(r, buf_bytes(&policy), "the ledger's own policy", &told, finding);
    }
    buf_done(&policy);
    TRY(e);
    if (finding->kind != FINDING_NONE) {
        return err_ok();
    }
    TRY(ledger_tree_root(r->ledger, r->note_size, &root, reterr));
    if (memcmp(root.bytes, told.root.bytes, sizeof(root.bytes)) != 0) {
        finding_set(finding, FINDING_HEAD, "the root of the head of size %llu is not the ledger's",
                    (unsigned long long)r->note_size);
        return err_ok();
    }
    r->result.heads++;
    r->result.cosigned_size = r->note_size;
    return err_ok();
}

static err heads_check(struct replay *r, struct finding *finding, struct errtext *reterr)
{
    uint64_t size = ledger_head(r->ledger).position;
    while (r->has_note && r->note_size <= size && finding->kind == FINDING_NONE) {
        TRY(head_check(r, finding, reterr));
        if (finding->kind != FINDING_NONE) {
            finding_at(finding, ledger_head(r->ledger).height, r->note_size - 1);
            return err_ok();
        }
        TRY(head_fetch(r, r->note_size + 1, finding, reterr));
    }
    return err_ok();
}

/* ---- running ---- */

static err block_replay(struct replay *r, uint64_t height, const struct archived *block,
                        struct finding *finding, struct errtext *reterr)
{
    const struct ledger_result *result = NULL;
    struct errtext why;
    struct ledger_input input = {.raft_index = height, .block = block->block};
    if (failed(ledger_apply_begin(r->ledger, &input, &why))) {
        finding_set(finding, FINDING_BLOCK, "block %llu: %.300s", (unsigned long long)height,
                    why.text);
        finding_at_height(finding, height);
        return err_ok();
    }
    while (!ledger_apply_step(r->ledger, EVENTS_MAX)) {
    }
    result = ledger_apply_finish(r->ledger);
    if (result == NULL) {
        return err_fail(reterr, ERR_FULL, "%s: %s", r->options.work, ledger_failure(r->ledger));
    }
    r->result.blocks++;
    r->result.records += result->head.position - result->position_first;
    r->result.signatures += result->applied_count;
    TRY(claims_check(r, result, block, finding, reterr));
    return finding->kind == FINDING_NONE ? heads_check(r, finding, reterr) : err_ok();
}

/* The policy given from elsewhere must agree with the newest head that was reached. */
static err policy_check_given(struct replay *r, struct finding *finding, struct errtext *reterr)
{
    struct checkpoint told;
    if (r->options.policy.size == 0 || finding->kind != FINDING_NONE) {
        return err_ok();
    }
    if (r->result.cosigned_size == 0) {
        finding_set(finding, FINDING_COSIGNATURE, "there is no cosigned head for the policy given");
        return err_ok();
    }
    TRY(head_fetch(r, r->result.cosigned_size, finding, reterr));
    return finding->kind != FINDING_NONE
               ? err_ok()
               : policy_judge(r, r->options.policy, "the policy given", &told, finding);
}

/* After the last block: nothing may be said of what is not there. */
static err end_check(struct replay *r, struct finding *finding, struct errtext *reterr)
{
    if (r->has_note) {
        finding_set(finding, FINDING_HEAD,
                    "a head of size %llu is signed, and the blocks end at %llu records",
                    (unsigned long long)r->note_size,
                    (unsigned long long)ledger_head(r->ledger).position);
    }
    return policy_check_given(r, finding, reterr);
}

/* ---- going on ---- */

/* The size of the newest head of the source that is at most `most`; 0: none. */
static err head_at_most(struct replay *r, uint64_t most, uint64_t *ret, struct errtext *reterr)
{
    struct heads all = {0};
    err e = heads_read(r->source, &all, reterr);
    *ret = 0;
    for (size_t i = 0; !failed(e) && i < all.count; i++) {
        uint64_t size = 0;
        *ret = head_size(all.notes[i], &size) && size <= most ? size : *ret;
    }
    heads_done(&all);
    return e;
}

/* The last block that an earlier run applied is compared once more: that run may have ended, by a
 * kill or because something was wrong, between applying and comparing. */
static err last_check(struct replay *r, uint64_t first, struct finding *finding,
                      struct errtext *reterr)
{
    struct archived block;
    struct buf mine;
    struct ledger_result result = {.head = ledger_head(r->ledger), .position_first = first};
    uint64_t height = result.head.height;
    err e = r->source->block(r->source, height, &block, reterr);
    if (err_is(e, ERR_NOT_FOUND)) {
        finding_set(finding, FINDING_BLOCK, "block %llu is missing, which was there before",
                    (unsigned long long)height);
        finding_at_height(finding, height);
        return err_ok();
    }
    TRY(e);
    buf_init(&mine, BLOCK_BYTES_MAX);
    e = stored_block(r->kv, height, &mine, reterr);
    if (!failed(e) && !bytes_equal(buf_bytes(&mine), block.block)) {
        finding_set(finding, FINDING_BLOCK, "block %llu is not the one that was there before",
                    (unsigned long long)height);
        finding_at_height(finding, height);
    }
    buf_done(&mine);
    TRY(e);
    return finding->kind == FINDING_NONE ? claims_check(r, &result, &block, finding, reterr)
                                         : err_ok();
}

/* At height 0 all begins; else at the last block, and at the newest head before its end. */
static err begin(struct replay *r, struct finding *finding, struct errtext *reterr)
{
    struct ledger_head head = ledger_head(r->ledger);
    uint64_t first = 0;
    uint64_t from = 1;
    if (head.height == 0) {
        TRY(r->source->begin(r->source, 0));
    } else {
        TRY(ledger_size_at(r->ledger, head.height - 1, &first, reterr));
        TRY(r->source->begin(r->source, first));
        TRY(last_check(r, first, finding, reterr));
        TRY(head_at_most(r, first, &from, reterr));
        from = from == 0 ? 1 : from;
    }
    if (finding->kind == FINDING_NONE) {
        TRY(head_fetch(r, from, finding, reterr));
    }
    return finding->kind == FINDING_NONE ? heads_check(r, finding, reterr) : err_ok();
}

static err run(struct replay *r, const volatile bool *stop, struct finding *finding,
               struct errtext *reterr)
{
    TRY(begin(r, finding, reterr));
    uint64_t next = ledger_head(r->ledger).height + 1;
    for (uint64_t height = next; finding->kind == FINDING_NONE; height++) {
        struct archived block;
        if (r->options.until_size > 0 && ledger_head(r->ledger).position >= r->options.until_size) {
            return policy_check_given(r, finding, reterr);
        }
        err e = r->source->block(r->source, height, &block, reterr);
        if (err_is(e, ERR_NOT_FOUND)) {
            return end_check(r, finding, reterr);
        }
        TRY(e);
        TRY(block_replay(r, height, &block, finding, reterr));
        r->result.head = ledger_head(r->ledger);
        if (r->options.progress != NULL && height % PROGRESS_BLOCKS == 0) {
            r->options.progress(r->options.ctx, &r->result.head);
        }
        if (stop != NULL && *stop) {
            return err_fail(reterr, ERR_CANCELLED, "stopped at height %llu",
                            (unsigned long long)height);
        }
    }
    return err_ok();
}

err replay_run(struct replay *r, const volatile bool *stop, struct finding *finding,
               struct errtext *reterr)
{
    require(r != NULL);
    require(finding != NULL);
    struct errtext why = {{0}};
    *finding = (struct finding){0};
    err e = run(r, stop, finding, &why);
    if (err_is(e, ERR_CORRUPT) || err_is(e, ERR_INVALID) || err_is(e, ERR_LIMIT)) {
        /* what a sound source never holds */
        finding_set(finding, FINDING_SOURCE, "%s", why.text);
        finding_at(finding, ledger_head(r->ledger).height + 1, ledger_head(r->ledger).position);
        return err_ok();
    }
    return failed(e) ? err_fail(reterr, e.code, "%s", why.text) : e;
}

struct replay_result replay_result(const struct replay *r)
{
    require(r != NULL);
    struct replay_result result = r->result;
    result.head = ledger_head(r->ledger);
    return result;
}

struct ledger *replay_ledger(struct replay *r)
{
    return r == NULL ? NULL : r->ledger;
}

struct kv *replay_kv(struct replay *r)
{
    return r == NULL ? NULL : r->kv;
}
