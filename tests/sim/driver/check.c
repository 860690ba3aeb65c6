/* What must never happen: the safety properties of the Raft paper (figure 3), and that the core's
 * view of log and configuration is the log's. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tests/sim/driver/sim.h"

static struct position *position_at(struct checker *k, uint64_t index)
{
    if (index >= k->capacity) {
        uint64_t capacity = k->capacity == 0 ? 4096 : k->capacity * 2;
        while (capacity <= index) {
            capacity *= 2;
        }
        k->positions = mem_resize(k->positions, capacity, sizeof *k->positions);
        memset(k->positions + k->capacity, 0, (capacity - k->capacity) * sizeof *k->positions);
        k->capacity = capacity;
    }
    return &k->positions[index];
}

void check_done(struct checker *k)
{
    for (uint64_t i = 0; i < k->capacity; i++) {
        free(k->positions[i].seen);
    }
    free(k->positions);
    free(k->leaders);
    *k = (struct checker){0};
}

/* If two logs contain an entry with the same index and term, they are equal up to it. */
void check_log_matching(struct node *x, uint64_t index, uint64_t term, uint64_t chain)
{
    struct position *p = position_at(&x->sim->check, index);
    for (uint32_t i = 0; i < p->seen_count; i++) {
        if (p->seen[i].term == term) {
            if (p->seen[i].chain != chain) {
                sim_violation(x->sim, "LOG MATCHING node %llu %llu^%llu", llu(x->id), llu(index),
                              llu(term));
            }
            return;
        }
    }
    p->seen = mem_resize(p->seen, p->seen_count + 1, sizeof *p->seen);
    p->seen[p->seen_count++] = (struct seen){term, chain};
}

void check_commit(struct node *x, uint64_t index, uint64_t term, uint64_t by_term)
{
    struct checker *k = &x->sim->check;
    struct position *p = position_at(k, index);
    if (!p->committed) {
        p->committed = true;
        p->chain = x->chain[index];
        p->term = term;
        p->by_term = by_term;
        k->committed_max = index > k->committed_max ? index : k->committed_max;
        x->sim->stats.commits++;
    } else if (p->chain != x->chain[index]) {
        sim_violation(x->sim,
                      "STATE MACHINE SAFETY node %llu index %llu: term %llu here, term %llu "
                      "committed before",
                      llu(x->id), llu(index), llu(term), llu(p->term));
    }
}

/* x->app is the state after applying index. */
void check_applied(struct node *x, uint64_t index, const struct consensus_next *next)
{
    struct checker *k = &x->sim->check;
    uint64_t term = raft_current_term(&x->c->raft);
    check_commit(x, index, next->term, term);
    struct position *p = position_at(k, index);
    if (p->applied && p->app != x->app) {
        sim_violation(x->sim, "STATE DIVERGED node %llu at %llu", llu(x->id), llu(index));
    }
    p->app = x->app;
    p->applied = true;
    if (core_role(x->c) == CONSENSUS_LEADER && next->term == term && next->type == ENTRY_COMMAND) {
        x->sim->stats.acked++; /* a client hears COMMITTED */
        k->acked_max = index > k->acked_max ? index : k->acked_max;
    }
}

void check_restored(struct node *x, const struct consensus_snapshot *snapshot)
{
    struct position *p = position_at(&x->sim->check, snapshot->index);
    if (snapshot->index < x->applied) {
        sim_violation(x->sim, "RESTORE node %llu: snapshot %llu below applied %llu", llu(x->id),
                      llu(snapshot->index), llu(x->applied));
    }
    if (p->applied && p->app != node_snapshot_app(snapshot)) {
        sim_violation(x->sim, "SNAPSHOT DIVERGED node %llu at %llu", llu(x->id),
                      llu(snapshot->index));
    }
}

/* At most one leader a term; it has everything committed in earlier terms. */
void check_leader(struct node *x, uint64_t term)
{
    struct checker *k = &x->sim->check;
    if (term >= k->leaders_capacity) {
        uint64_t capacity = k->leaders_capacity == 0 ? 1024 : k->leaders_capacity * 2;
        while (capacity <= term) {
            capacity *= 2;
        }
        k->leaders = mem_resize(k->leaders, capacity, sizeof *k->leaders);
        memset(k->leaders + k->leaders_capacity, 0,
               (capacity - k->leaders_capacity) * sizeof *k->leaders);
        k->leaders_capacity = capacity;
    }
    if (k->leaders[term] != 0 && k->leaders[term] != x->id) {
        sim_violation(x->sim, "ELECTION SAFETY term %llu: %llu and %llu", llu(term),
                      llu(k->leaders[term]), llu(x->id));
    }
    k->leaders[term] = x->id;
    x->sim->stats.elections++;
    if (x->c == NULL) {
        return; /* a single voter leads before it is open; its log is checked later */
    }
    for (uint64_t i = x->c->snapshot.index + 1; i <= k->committed_max; i++) {
        const struct position *p = position_at(k, i);
        uint64_t has = consensus_term_at(x->c, i);
        if (p->committed && p->by_term < term && has != p->term) {
            sim_violation(x->sim,
                          "LEADER COMPLETENESS leader %llu of term %llu lacks %llu^%llu (has %llu)",
                          llu(x->id), llu(term), llu(i), llu(p->term), llu(has));
            return;
        }
    }
}

/* The latest configuration of the log below `below`, or the snapshot's. */
static const struct entry *latest_conf(const struct consensus *c, uint64_t below,
                                       uint64_t *ret_index)
{
    const struct entry *conf = c->snapshot.conf;
    *ret_index = c->snapshot.conf_index;
    for (uint64_t i = memlog_last(&c->log); i >= c->log.first && c->log.count > 0; i--) {
        const struct memlog_item *item = memlog_at(&c->log, i);
        if (item->type == ENTRY_CHANGE && i < below) {
            if (i > c->snapshot.index || conf == NULL) {
                conf = item->entry;
                *ret_index = i;
            }
            break;
        }
    }
    return conf;
}

static bool same_conf(const struct raft_configuration *core, const struct entry *want)
{
    struct conf conf;
    struct buf bytes;
    if (failed(conf_from_core(core, &conf)) || conf.count == 0) {
        return false;
    }
    buf_init(&bytes, CONF_BYTES_MAX);
    conf_encode(&conf, &bytes);
    bool same = bytes_equal(buf_bytes(&bytes), entry_bytes(want));
    buf_done(&bytes);
    return same;
}

/* The configuration in force is the log's latest; the one a truncation would restore is the one
 * before it. */
static void check_configuration(struct node *x)
{
    const struct consensus *c = x->c;
    uint64_t at = 0;
    uint64_t back_at = 0;
    const struct entry *want = latest_conf(c, UINT64_MAX, &at);
    if (want == NULL) {
        return;
    }
    if (!same_conf(&c->raft.configuration, want)) {
        sim_violation(x->sim, "CONFIGURATION node %llu: core's differs from the log's at %llu",
                      llu(x->id), llu(at));
    }
    uint64_t uncommitted = c->raft.configuration_uncommitted_index;
    if (uncommitted != 0 && uncommitted != at) {
        sim_violation(x->sim, "CONFIGURATION INDEX node %llu: core says %llu, log says %llu",
                      llu(x->id), llu(uncommitted), llu(at));
    }
    if (uncommitted != 0 && uncommitted <= c->conf_fed) {
        sim_violation(x->sim, "CONFIGURATION STUCK node %llu: %llu was fed", llu(x->id),
                      llu(uncommitted));
    }
    const struct entry *back = latest_conf(c, at, &back_at);
    if (uncommitted != 0 && back != NULL && !same_conf(&c->raft.configuration_committed, back)) {
        sim_violation(x->sim, "CONFIGURATION ROLLBACK node %llu: a truncation at %llu goes wrong",
                      llu(x->id), llu(at));
    }
}

/* What the core believes to be stored here, and acknowledges, is on this disk. */
static void check_stored(struct node *x)
{
    const struct disk *k = &x->disk;
    uint64_t index = x->c->raft.last_stored;
    if (x->c->installing) { /* the core has no log then */
        if (index != 0) {
            sim_violation(x->sim, "STORED node %llu: %llu while installing", llu(x->id),
                          llu(index));
        }
        return;
    }
    if (index <= x->c->snapshot.index || index < k->first) {
        return;
    }
    uint64_t want = consensus_term_at(x->c, index);
    uint64_t has = index - k->first < k->count ? k->entries[index - k->first]->term : 0;
    if (want != has) {
        sim_violation(x->sim, "STORED node %llu: %llu^%llu is not on its disk (term %llu)",
                      llu(x->id), llu(index), llu(want), llu(has));
    }
}

static void check_trail(struct node *x)
{
    struct consensus *c = x->c;
    uint64_t last = memlog_last(&c->log);
    if (raft_last_index(&c->raft) != last) {
        sim_violation(x->sim, "TRAIL node %llu: core's last %llu, log's %llu", llu(x->id),
                      llu(raft_last_index(&c->raft)), llu(last));
    }
    if (c->log.count > 0 && c->raft.trail.offset + 1 != c->log.first) {
        sim_violation(x->sim, "TRAIL node %llu: core's first %llu, log's %llu", llu(x->id),
                      llu(c->raft.trail.offset + 1), llu(c->log.first));
    }
    if (c->raft.last_stored > last) {
        sim_violation(x->sim, "STORED node %llu: %llu of %llu", llu(x->id),
                      llu(c->raft.last_stored), llu(last));
    }
    if (c->commit < c->applied) {
        sim_violation(x->sim, "APPLIED node %llu: %llu beyond commit %llu", llu(x->id),
                      llu(c->applied), llu(c->commit));
    }
    if (c->log.bytes > c->options.cache_bytes_max) {
        const struct memlog_item *oldest = memlog_at(&c->log, c->log.cold);
        uint64_t sheddable = c->applied < c->raft.last_stored ? c->applied : c->raft.last_stored;
        if (oldest != NULL && c->log.cold <= sheddable) {
            sim_violation(x->sim, "CACHE node %llu: %llu bytes", llu(x->id), llu(c->log.bytes));
        }
    }
}

void check_node(struct node *x)
{
    struct errtext text;
    struct consensus *c = x->c;
    if (failed(consensus_check(c, &text))) {
        sim_violation(x->sim, "DRIVER node %llu: %s", llu(x->id), text.text);
        return;
    }
    check_stored(x);
    if (!c->installing) {
        check_trail(x);
        for (uint64_t i = x->noted + 1; i <= c->commit && i <= memlog_last(&c->log); i++) {
            if (i >= c->log.first) {
                check_commit(x, i, consensus_term_at(c, i), raft_current_term(&c->raft));
            }
            x->noted = i;
        }
        if (x->sim->events % 16 == 0) {
            check_configuration(x);
        }
    }
    node_schedule(x);
}
