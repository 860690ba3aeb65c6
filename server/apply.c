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

/* An honest leader's stamp is at most CLOCK_AHEAD_NS_MAX over the voters' median, and this node may
 * be half a median away: what is further ahead is said aloud, and followed all the same, for one
 * node's clock decides nothing (docs/adr/0005-void-blocks.md). */
static void check_stamp(struct node *n, const struct chained *b, const struct block *block)
{
    uint64_t now = clock_wall_ns(&n->clock);
    if (b->term != n->term || n->role == CONSENSUS_LEADER || block->time_ns <= now ||
        block->time_ns - now <= CLOCK_AHEAD_NS_MAX) {
        return;
    }
    uint64_t leader = host_leader_of(n, b->term);
    const struct ledger_node *row = node_row(n, leader);
    alarm_raise(n, ALARM_BLOCK_EARLY, leader,
                "node %llu of %.*s stamped a block %llu ms ahead of this node's clock",
                (unsigned long long)leader, row == NULL ? 1 : (int)row->institution.size,
                row == NULL ? "?" : (const char *)row->institution.data,
                (unsigned long long)((block->time_ns - now) / NS_PER_MS));
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
    if (!failed(e)) {
        check_stamp(n, b, block);
    }
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

/* The entry that was out is in the state. */
static void entry_applied(struct node *n)
{
    uint64_t index = n->applying.index;
    entry_unref(n->applying.entry);
    n->applying = (struct consensus_next){0};
    n->applying_begun = false;
    chain_drop(&n->chain, index);
    consensus_applied(n->consensus, index);
    loop_post(n->loop, &n->pump_task);
}

static void finish_block(struct node *n)
{
    uint64_t bytes_before = ledger_head(n->ledger).log_bytes;
    const struct ledger_result *r = ledger_apply_finish(n->ledger);
    if (r == NULL) {
        node_fail_as_leader(n, "the state cannot be written: %s", ledger_failure(n->ledger));
        return;
    }
    gossip_note(n, &r->head);
    entry_applied(n);
    checkpoint_applied(n, bytes_before);
    submit_settle(n, r);
    reads_reached(n);
    watch_wake(n);
    heads_wake(n);
    if (r->nodes_changed) {
        members_wake(n);
        heads_members(n);
    }
}

/* What was committed is no block: every node finds the same and passes over it. Stopping instead
 * would let one hostile leader stop all nodes, and again at each start. */
static void pass_void(struct node *n, const char *why)
{
    uint64_t term = n->applying.term;
    uint64_t leader = host_leader_of(n, term);
    const struct ledger_node *row = node_row(n, leader);
    struct bytes name = row == NULL ? bytes_text("a leader not known") : row->name;
    alarm_raise(n, ALARM_VOID_BLOCK, leader,
                "entry %llu, proposed in term %llu by %.*s, is no block of this ledger: %s",
                (unsigned long long)n->applying.index, (unsigned long long)term, (int)name.size,
                (const char *)name.data, why);
    if (!ledger_apply_void(n->ledger, n->applying.index)) {
        node_fail_as_leader(n, "the state cannot be written: %s", ledger_failure(n->ledger));
        return;
    }
    entry_applied(n);
    reads_reached(n);
    /* What this node built on it, if it is the one, is void as well. */
    n->tail.known = false;
    for (size_t i = 0; i < n->chain.count; i++) {
        chain_at(&n->chain, i)->judged = false;
    }
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
            pass_void(n, why.text);
            return true;
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
        if (next.type == ENTRY_CHANGE) {
            members_wake(n);
        }
        loop_post(n->loop, &n->pump_task);
    }
    return true;
}

static void apply_task(struct loop_task *task)
{
    struct node *n = task->ctx;
    uint64_t until_ns = clock_monotonic_ns(&n->clock) + APPLY_SLICE_NS;
    while (n->failure[0] == '\0' && n->failing[0] == '\0' && !checkpoint_pauses(n)) {
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

/* Judges a block that is appended, once; an err means that its bytes cannot be had. */
static err judge(struct node *n, struct chained *b, const struct ledger_block_facts *last,
                 struct errtext *reterr)
{
    struct errtext why;
    struct buf data;
    if (b->judged) {
        return err_ok();
    }
    buf_init(&data, BLOCK_BYTES_MAX);
    err e = b->entry == NULL ? logstore_read(n->log, b->index, &data, reterr) : err_ok();
    if (err_is(e, ERR_LIMIT)) {
        b->judged = true; /* longer than a block can be */
        b->follows = false;
        e = err_ok();
    } else if (!failed(e)) {
        struct bytes wire = b->entry == NULL ? buf_bytes(&data) : entry_bytes(b->entry);
        b->follows = !failed(ledger_block_follows(last, wire, &b->facts, &why));
        b->judged = true;
    }
    buf_done(&data);
    return e;
}

err apply_tail(struct node *n, struct ledger_block_facts *ret, struct errtext *reterr)
{
    struct ledger_head head = ledger_head(n->ledger);
    struct ledger_block_facts last = {.height = head.height, .time_ns = head.time_ns};
    memcpy(last.hash, head.block_hash, sizeof last.hash);
    for (size_t i = 0; i < n->chain.count; i++) {
        struct chained *b = chain_at(&n->chain, i);
        TRY(judge(n, b, &last, reterr));
        if (b->follows) {
            last = b->facts;
        }
    }
    *ret = last;
    return err_ok();
}
