/* From committed entry to answers: pulls what is committed, waits for the verdicts of the workers,
 * applies block by block in slices, settles who waits. */
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/require.h"
#include "proto/block.h"
#include "proto/envelope.h"
#include "server/parts.h"

/* The signatures of one block that arrived, in a worker. */
struct block_check {
    struct node *node;
    struct chained *block;
};

static void block_checked(struct verify_job *job)
{
    struct block_check *check = job->ctx;
    struct node *n = check->node;
    struct chained *b = check->block;
    b->checking = false;
    if (b->gone) {
        chained_free(b);
    } else {
        b->envelope_count = (uint32_t)job->count;
        b->verified = mem_new(job->count, sizeof *b->verified);
        for (size_t i = 0; i < job->count; i++) {
            b->verified[i] = job->items[i].valid;
        }
        b->checked = true;
        loop_post(n->loop, &n->apply_task);
    }
    free(check);
    verify_job_free(job);
}

/* Fills a job with the checks of each envelope whose signers are known already; the others are
 * verified by the apply itself, which knows the state they meet. */
static struct verify_job *make_checks(struct node *n, const struct block *block)
{
    struct verify_job *job = verify_job_new(n->verify, block->envelope_count);
    struct arena a;
    arena_init(&a, ENVELOPE_ARENA_MAX + ARENA_SLACK);
    for (uint32_t i = 0; i < block->envelope_count; i++) {
        struct ledger_admission admission;
        arena_reset(&a);
        if (ledger_checks_of(n->ledger, block->envelopes[i], &a, &admission)) {
            verify_job_set(job, i, &admission);
        }
    }
    arena_done(&a);
    return job;
}

/* Sends a block's signatures to the workers. What cannot be queued is verified by the apply. */
static void start_check(struct node *n, struct chained *b)
{
    struct block *block;
    struct arena a;
    struct errtext why;
    require(b->entry != NULL);
    arena_init(&a, BLOCK_ARENA_MAX + ARENA_SLACK);
    err e = block_decode(entry_bytes(b->entry), &a, &block, &why);
    if (failed(e) || block->envelope_count == 0) {
        b->checked = true;
        arena_done(&a);
        return;
    }
    struct verify_job *job = make_checks(n, block);
    struct block_check *check = mem_new(1, sizeof *check);
    *check = (struct block_check){n, b};
    job->on_done = block_checked;
    job->ctx = check;
    b->checking = true;
    if (failed(verify_submit(job))) {
        b->checking = false;
        b->checked = true;
        free(check);
        verify_job_free(job);
    }
    arena_done(&a);
}

void apply_appended(struct node *n, const struct consensus_job *job)
{
    chain_cut(&n->chain, job->first);
    for (uint32_t i = 0; i < job->count; i++) {
        struct entry *e = job->entries[i];
        if (e->type != ENTRY_COMMAND) {
            continue;
        }
        bool far = n->chain.count >= CHAIN_ENTRIES_MAX; /* checked when its turn comes */
        struct chained *b = chain_push(&n->chain, job->first + i, e->term, far ? NULL : e);
        if (n->proposing) {
            /* Each envelope was verified before it was queued for this block. */
            b->envelope_count = EVENTS_MAX;
            b->verified = mem_new(EVENTS_MAX, sizeof *b->verified);
            memset(b->verified, true, EVENTS_MAX * sizeof *b->verified);
            b->checked = true;
        } else if (!far) {
            start_check(n, b);
        }
    }
}

/* The block that is out to be applied, with its verdicts, or NULL while they are not in. */
static struct chained *checked_block(struct node *n)
{
    struct chained *b = chain_find(&n->chain, n->applying.index);
    require(b != NULL);
    require(b->term == n->applying.term);
    if (b->entry == NULL) {
        b->entry = entry_ref(n->applying.entry);
    }
    if (!b->checked && !b->checking) {
        start_check(n, b);
    }
    return b->checked ? b : NULL;
}

static void finish_block(struct node *n)
{
    const struct ledger_result *r = ledger_apply_finish(n->ledger);
    uint64_t index = n->applying.index;
    entry_unref(n->applying.entry);
    n->applying = (struct consensus_next){0};
    n->applying_begun = false;
    gossip_note(n, &r->head);
    chain_drop(&n->chain, index);
    consensus_applied(n->consensus, index);
    submit_settle(n, r);
    reads_reached(n);
    watch_wake(n);
    loop_post(n->loop, &n->pump_task);
}

/* Applies the block that is out, for at most the rest of this slice; true: it is finished. */
static bool apply_some(struct node *n, uint64_t until_ns)
{
    if (!n->applying_begun) {
        struct chained *b = checked_block(n);
        if (b == NULL) {
            return false;
        }
        struct errtext why;
        const struct ledger_input input = {
            .raft_index = n->applying.index,
            .block = entry_bytes(n->applying.entry),
            .verified = b->verified,
        };
        err e = ledger_apply_begin(n->ledger, &input, &why);
        if (failed(e)) {
            node_fail(n, "entry %llu of the log is no block of this ledger: %s",
                      (unsigned long long)n->applying.index, why.text);
            return false;
        }
        n->applying_begun = true;
    }
    while (!ledger_apply_step(n->ledger, APPLY_STEP_EVENTS)) {
        if (clock_monotonic_ns(&n->clock) >= until_ns) {
            loop_post(n->loop, &n->apply_task);
            return false;
        }
    }
    finish_block(n);
    return true;
}

/* Pulls the next committed entry; false: there is none now. */
static bool pull_next(struct node *n)
{
    struct consensus_next next;
    err e = consensus_next(n->consensus, &next);
    if (err_is(e, ERR_AGAIN)) {
        return false;
    }
    if (failed(e)) {
        node_fail(n, "a committed entry cannot be read: %s", err_name(e.code));
        return false;
    }
    if (next.type == ENTRY_COMMAND && next.index > ledger_applied_index(n->ledger)) {
        n->applying = next;
    } else {
        /* Barriers and configurations are the driver's; after a restart they may come again. */
        entry_unref(next.entry);
        consensus_applied(n->consensus, next.index);
        loop_post(n->loop, &n->pump_task);
    }
    return true;
}

static void apply_task(struct loop_task *task)
{
    struct node *n = task->ctx;
    uint64_t until_ns = clock_monotonic_ns(&n->clock) + APPLY_SLICE_NS;
    while (n->failure[0] == '\0') {
        if (n->applying.index != 0) {
            if (!apply_some(n, until_ns)) {
                return;
            }
        } else if (!pull_next(n)) {
            return;
        }
        if (clock_monotonic_ns(&n->clock) >= until_ns) {
            loop_post(n->loop, &n->apply_task);
            return;
        }
    }
}

void apply_init(struct node *n)
{
    loop_task_init(&n->apply_task, apply_task, n);
}

static err block_facts(struct bytes wire, uint64_t *ret_height, uint64_t *ret_time_ns,
                       uint8_t ret_hash[32], struct errtext *reterr)
{
    struct arena a;
    struct block *block;
    arena_init(&a, BLOCK_ARENA_MAX + EVENTS_MAX * 32 + ARENA_SLACK);
    err e = block_decode(wire, &a, &block, reterr);
    if (!failed(e)) {
        uint8_t(*hashes)[32] = arena_new(&a, block->envelope_count, sizeof *hashes);
        for (uint32_t i = 0; i < block->envelope_count; i++) {
            envelope_request_hash(block->envelopes[i], hashes[i]);
        }
        block_hash(block, (const uint8_t(*)[32])hashes, ret_hash);
        *ret_height = block->height;
        *ret_time_ns = block->time_ns;
    }
    arena_done(&a);
    return e;
}

err apply_tail(struct node *n, uint64_t *ret_height, uint64_t *ret_time_ns, uint8_t ret_hash[32],
               struct errtext *reterr)
{
    struct chained *b = chain_last(&n->chain);
    if (b == NULL) {
        struct ledger_head head = ledger_head(n->ledger);
        *ret_height = head.height;
        *ret_time_ns = head.time_ns;
        memcpy(ret_hash, head.block_hash, 32);
        return err_ok();
    }
    if (b->entry != NULL) {
        return block_facts(entry_bytes(b->entry), ret_height, ret_time_ns, ret_hash, reterr);
    }
    struct buf data;
    buf_init(&data, BLOCK_BYTES_MAX);
    err e = logstore_read(n->log, b->index, &data, reterr);
    if (!failed(e)) {
        e = block_facts(buf_bytes(&data), ret_height, ret_time_ns, ret_hash, reterr);
    }
    buf_done(&data);
    return e;
}
