/* A damaged state is replaced while the node runs: the scrub found a place that cannot be read, the
 * log is sound, and the other nodes have the same state. The node fetches the newest checkpoint
 * that a majority confirms and its own log goes on from, puts it in the place of the state, and
 * applies again what came after it. Raft is not asked: the log is all that this node has promised.
 *
 *   scrub finds damage > (a leader hands over) > fetch, as for an install > driver and log closed,
 *   state replaced, all opened again, as after a crash
 *
 * Without such a checkpoint the state is made again from the log, if that begins at entry 1. A
 * crash at any moment leaves the old state, the new one, or none: then the start goes on from the
 * copy of the checkpoint that was kept first. */
#include <inttypes.h>
#include <string.h>

#include "base/log.h"
#include "base/require.h"
#include "server/checkpoint_work.h"
#include "server/parts.h"

void repair_wanted(struct node *n)
{
    if (!n->repair.wanted) {
        n->repair.wanted = true;
        n->repair.said = false;
        log_warn("this node repairs its state from the other nodes");
    }
}

/* Says once why nothing happens. */
static void wait_for(struct node *n, const char *what)
{
    if (!n->repair.said) {
        n->repair.said = true;
        log_warn("the state is not repaired yet: %s", what);
    }
}

/* Which state another node tells of, if this node's log goes on from it. What is not told (the
 * position) the manifest says. */
static bool usable(const struct node *n, const struct frame_checkpoint *item,
                   struct checkpoint_id *ret)
{
    struct logstore_info info;
    const struct checkpoint *own = checkpoint_find(n, item->index);
    uint64_t applied = ledger_applied_index(n->ledger);
    bool follows =
        item->index == applied ||
        (item->index < applied && !failed(logstore_peek(n->log, item->index + 1, &info)));
    *ret = (struct checkpoint_id){.index = item->index, .height = item->height};
    memcpy(ret->digest, item->digest, 32);
    memcpy(ret->state_digest, item->state_digest, 32);
    if (own != NULL) {
        ret->term = own->manifest->id.term;
    } else if (!failed(logstore_peek(n->log, item->index, &info))) {
        ret->term = info.term;
    }
    return follows && ret->term > 0 && checkpoint_verdict(n, ret) == CHECKPOINT_AGREED;
}

static bool choose(const struct node *n, struct checkpoint_id *ret)
{
    bool found = false;
    for (size_t i = 0; i < NODES_MAX; i++) {
        const struct checkpoint_told *t = &n->checkpoints.told[i];
        for (uint8_t k = 0; t->id != 0 && k < t->list.count; k++) {
            struct checkpoint_id id;
            if (usable(n, &t->list.items[k], &id) && (!found || id.index > ret->index)) {
                *ret = id;
                found = true;
            }
        }
    }
    return found;
}

void repair_second(struct node *n)
{
    struct consensus_status s;
    struct checkpoint_id id;
    struct logstore_info first;
    consensus_status(n->consensus, &s);
    if (!n->repair.wanted || n->checkpoints.fetch.phase != FETCH_IDLE || s.installing ||
        n->draining || n->failing[0] != '\0' || n->failure[0] != '\0') {
        return;
    }
    if (n->role == CONSENSUS_LEADER) {
        (void)handover_begin(n, DISK_ROOM); /* asks again each second */
        wait_for(n, "this node leads, and hands over first");
    } else if (alarm_is_raised(n, ALARM_LOG_DAMAGED, n->id)) {
        wait_for(n, "its log is damaged too: replace this node");
    } else if (choose(n, &id)) {
        fetch_repair(n, &id);
    } else if (!failed(logstore_peek(n->log, 1, &first))) {
        n->repair.from_log = true;
        loop_post(n->loop, &n->repair.task);
    } else {
        wait_for(n, "no checkpoint that its log goes on from is confirmed by a majority");
    }
}

/* Everything that reads the state is closed; this puts the sound one in its place. */
static void replace_state(struct node *n)
{
    struct checkpoint_paths p = checkpoint_paths_of(n);
    const uint64_t index = n->repair.from_log ? 0 : n->checkpoints.fetch.id.index;
    struct errtext why;
    bool switched = false;
    pool_drain(n->checkpoints.chunks);
    pool_drain(n->checkpoints.bulk);
    n->checkpoints.described = 0;
    ledger_close(n->ledger);
    kv_close(n->kv);
    n->ledger = NULL;
    n->kv = NULL;
    err e = n->repair.from_log ? work_set_aside(&p, &why)
                               : work_install(&p, index, work_adopt, &switched, &why);
    if (!failed(e) && !switched && !n->repair.from_log) {
        e = err_fail(&why, ERR_CORRUPT, "%s/install is gone", n->config.data);
    }
    if (!failed(e)) {
        e = node_open_state(n, &why);
    }
    if (failed(e)) {
        die("the damaged state was not replaced: %s; mend this and start again", why.text);
    }
    struct manifest *m = fetch_end(n);
    if (m != NULL && !n->repair.from_log) {
        checkpoint_add(n, m, true);
    } else {
        manifest_free(m);
    }
    alarm_clear(n, ALARM_STATE_DAMAGED, n->id);
    log_info("the state was repaired: it is that of height %" PRIu64 " (%s), and this node applies "
             "what came after it again",
             ledger_head(n->ledger).height,
             n->repair.from_log ? "from the log" : "a checkpoint of another node");
}

static void run_repair(struct loop_task *task)
{
    struct node *n = task->ctx;
    const struct fetch *f = &n->checkpoints.fetch;
    bool ready =
        n->repair.from_log ? f->phase == FETCH_IDLE : f->repair && f->phase == FETCH_INSTALL;
    if (!n->repair.wanted || !ready || n->checkpoints.closing || n->failure[0] != '\0' ||
        n->failing[0] != '\0') {
        n->repair.from_log = false;
        return;
    }
    if (n->applying_begun || f->working || n->checkpoints.taking != TAKING_NOTHING) {
        loop_timer_start(n->loop, &n->repair.timer, 10 * NS_PER_MS, 0); /* it ends by itself */
        return;
    }
    host_reopen(n, replace_state);
    n->repair.wanted = n->repair.from_log = false;
    members_wake(n); /* the node table may be an older one */
    loop_post(n->loop, &n->restored_task);
}

static void again(struct loop_timer *timer)
{
    struct node *n = timer->ctx;
    loop_post(n->loop, &n->repair.task);
}

void repair_init(struct node *n)
{
    loop_task_init(&n->repair.task, run_repair, n);
    loop_timer_init(&n->repair.timer, again, n);
}

void repair_done(struct node *n)
{
    loop_timer_stop(n->loop, &n->repair.timer);
}
