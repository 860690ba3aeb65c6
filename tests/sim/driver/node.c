/* One node: the host of a driver, with its disk, its links and its state. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/require.h"
#include "tests/sim/driver/sim.h"

/* ---- small things ---- */

void node_chain_set(struct node *x, uint64_t index, uint64_t chain)
{
    if (index >= x->chain_capacity) {
        uint64_t capacity = x->chain_capacity == 0 ? 1024 : x->chain_capacity * 2;
        while (capacity <= index) {
            capacity *= 2;
        }
        x->chain = mem_resize(x->chain, capacity, sizeof *x->chain);
        memset(x->chain + x->chain_capacity, 0, (capacity - x->chain_capacity) * sizeof *x->chain);
        x->chain_capacity = capacity;
    }
    x->chain[index] = chain;
}

static uint64_t manifest_number(const struct consensus_snapshot *snapshot, size_t i)
{
    uint64_t numbers[2];
    require(snapshot->manifest != NULL && snapshot->manifest->size == sizeof numbers);
    memcpy(numbers, snapshot->manifest->data, sizeof numbers);
    return numbers[i];
}

uint64_t node_snapshot_app(const struct consensus_snapshot *snapshot)
{
    return manifest_number(snapshot, 0);
}

uint64_t node_snapshot_chain(const struct consensus_snapshot *snapshot)
{
    return manifest_number(snapshot, 1);
}

static struct node *pick(struct sim *s, bool (*is)(const struct node *))
{
    struct node *found[SIM_ID_MAX + 1];
    uint64_t count = 0;
    for (uint64_t id = 1; id < s->next_id; id++) {
        if (is(&s->nodes[id])) {
            found[count++] = &s->nodes[id];
        }
    }
    return count > 0 ? found[sim_random(s) % count] : NULL;
}

static bool is_leader(const struct node *x)
{
    return x->alive && x->sim->now_us >= x->paused_until_us && core_role(x->c) == CONSENSUS_LEADER;
}

static bool is_alive(const struct node *x)
{
    return x->exists && x->alive;
}

static bool is_down(const struct node *x)
{
    return x->exists && !x->alive;
}

struct node *node_some_leader(struct sim *s)
{
    return pick(s, is_leader);
}

struct node *node_some(struct sim *s, bool alive)
{
    return pick(s, alive ? is_alive : is_down);
}

/* ---- the disk ---- */

static void disk_kick(struct node *x)
{
    bool work = false;
    bool entries = false;
    uint32_t count = 0;
    if (x->syncing > 0) {
        return;
    }
    for (const struct record *r = x->queue; r != NULL; r = r->next) {
        count++;
        work = work || r->job != NULL;
        entries = entries || (r->job != NULL && r->job->kind == CONSENSUS_JOB_ENTRIES);
    }
    if (!work) {
        return;
    }
    struct sim *s = x->sim;
    uint64_t latency = sim_between(s, s->cfg.disk_lo, s->cfg.disk_hi);
    bool slow = entries && s->cfg.faults && sim_chance(s, s->cfg.slow_entries);
    if (s->now_us < x->slow_until_us || slow) {
        latency = sim_between(s, 50 * SIM_MS, 800 * SIM_MS);
    }
    x->syncing = count;
    sim_at(s, latency, EVENT_DISK, x->id, x->incarnation);
}

static void disk_queue(struct node *x, struct record *r)
{
    *x->queue_tail = r;
    x->queue_tail = &r->next;
    disk_kick(x);
}

static struct record *queue_pop(struct node *x)
{
    struct record *r = x->queue;
    if (r != NULL) {
        x->queue = r->next;
        if (x->queue == NULL) {
            x->queue_tail = &x->queue;
        }
    }
    return r;
}

static void disk_push(struct disk *k, struct entry *e, uint64_t chain)
{
    if (k->count == k->capacity) {
        k->capacity = k->capacity == 0 ? 64 : 2 * k->capacity;
        k->entries = mem_resize(k->entries, k->capacity, sizeof(struct entry *));
        k->chain = mem_resize(k->chain, k->capacity, sizeof *k->chain);
    }
    k->entries[k->count] = entry_ref(e);
    k->chain[k->count++] = chain;
}

static void disk_append(struct node *x, const struct consensus_job *job, const uint64_t *chain)
{
    struct disk *k = &x->disk;
    while (k->count > 0 && k->first + k->count - 1 >= job->first) {
        entry_unref(k->entries[--k->count]);
    }
    if (k->first + k->count != job->first) {
        sim_violation(x->sim, "DISK gap at node %llu: log ends at %llu, write starts at %llu",
                      llu(x->id), llu(k->first + k->count - 1), llu(job->first));
        return;
    }
    for (uint32_t i = 0; i < job->count; i++) {
        disk_push(k, job->entries[i], chain[i]);
        check_log_matching(x, job->first + i, job->entries[i]->term, chain[i]);
    }
}

static void disk_drop(struct node *x, uint64_t drop)
{
    struct disk *k = &x->disk;
    if (drop > k->count) {
        sim_violation(x->sim, "DISK trim beyond the log at node %llu", llu(x->id));
        return;
    }
    if (drop == 0) {
        return;
    }
    k->base = k->chain[drop - 1];
    for (uint64_t i = 0; i < drop; i++) {
        entry_unref(k->entries[i]);
    }
    k->count -= drop;
    memmove(k->entries, k->entries + drop, k->count * sizeof(struct entry *));
    memmove(k->chain, k->chain + drop, k->count * sizeof *k->chain);
    k->first += drop;
}

static void disk_snapshot(struct node *x, const struct consensus_job *job)
{
    struct disk *k = &x->disk;
    struct consensus_snapshot snapshot = consensus_snapshot_ref(&job->snapshot);
    consensus_snapshot_unref(&k->snapshot);
    k->snapshot = snapshot;
    if (job->kind == CONSENSUS_JOB_SNAPSHOT) {
        disk_drop(x, job->log_first > k->first ? job->log_first - k->first : 0);
        return;
    }
    disk_drop(x, k->count);
    k->first = snapshot.index + 1;
    k->applied = snapshot.index;
    k->app = node_snapshot_app(&snapshot);
    k->base = node_snapshot_chain(&snapshot);
}

/* The record is durable now. */
static void disk_apply(struct node *x, const struct record *r)
{
    struct disk *k = &x->disk;
    if (r->job == NULL) {
        k->applied = r->applied;
        k->app = r->app;
        return;
    }
    switch (r->job->kind) {
    case CONSENSUS_JOB_HARD:
        k->term = r->job->term;
        k->vote = r->job->vote;
        break;
    case CONSENSUS_JOB_ENTRIES:
        disk_append(x, r->job, r->chain);
        break;
    case CONSENSUS_JOB_SNAPSHOT:
    case CONSENSUS_JOB_INSTALL:
        disk_snapshot(x, r->job);
        break;
    }
}

static void record_free(struct record *r)
{
    free(r->chain);
    free(r);
}

void node_synced(struct node *x)
{
    uint32_t count = x->syncing;
    uint64_t incarnation = x->incarnation;
    for (; count > 0 && x->alive && x->incarnation == incarnation; count--) {
        struct record *r = queue_pop(x);
        disk_apply(x, r);
        if (r->job != NULL) {
            consensus_done(x->c, r->job);
        }
        record_free(r);
    }
    x->syncing = 0;
    disk_kick(x);
}

/* ---- what the driver asks of its host ---- */

static uint64_t host_now(void *ctx)
{
    struct node *x = ctx;
    return x->sim->now_us / SIM_MS;
}

static uint64_t host_wall(void *ctx)
{
    struct node *x = ctx; /* every node's clock is a second off the next one's */
    return (x->id + 1000) * NS_PER_S + x->sim->now_us * NS_PER_US;
}

static void host_write(void *ctx, struct consensus_job *job)
{
    struct node *x = ctx;
    struct sim *s = x->sim;
    struct record *r = mem_new(1, sizeof *r);
    r->job = job;
    /* Around a write is where a crash hurts. */
    double crash = job->kind == CONSENSUS_JOB_ENTRIES ? s->cfg.crash_point / 20
                   : job->kind == CONSENSUS_JOB_HARD  ? s->cfg.crash_vote
                                                      : s->cfg.crash_point;
    if (s->cfg.faults && sim_chance(s, crash)) {
        sim_at(s, sim_between(s, 0, s->cfg.disk_hi + s->cfg.delay_hi), EVENT_CRASH, x->id,
               x->incarnation);
    }
    if (job->kind == CONSENSUS_JOB_ENTRIES) {
        r->chain = mem_new(job->count, sizeof *r->chain);
        for (uint32_t i = 0; i < job->count; i++) {
            uint64_t index = job->first + i;
            uint64_t before = index == 1 ? 1 : x->chain[index - 1];
            r->chain[i] = sim_hash_entry(before, job->entries[i]);
            node_chain_set(x, index, r->chain[i]);
        }
    }
    disk_queue(x, r);
}

/* What is sent of the log is the log. */
static void check_sent(struct node *x, const struct packet *p)
{
    if (x->c == NULL || p->kind != PACKET_APPEND) {
        return;
    }
    for (uint32_t i = 0; i < packet_entry_count(p); i++) {
        uint64_t index = p->m.append_entries.prev_log_index + 1 + i;
        uint64_t term = p->entries[i]->term;
        if (consensus_term_at(x->c, index) == term) { /* not held since a truncation */
            check_log_matching(x, index, term, x->chain[index]);
        }
    }
}

static struct frame *frame_of(const struct packet *p)
{
    struct buf bytes;
    buf_init(&bytes, PEER_FRAME_BYTES_MAX);
    packet_encode(p, &bytes);
    struct frame *frame = mem_new(1, sizeof *frame + bytes.size);
    frame->from = p->from;
    frame->size = bytes.size;
    memcpy(frame->data, bytes.data, bytes.size);
    buf_done(&bytes);
    return frame;
}

static void host_send(void *ctx, uint64_t to, struct packet *p)
{
    struct node *x = ctx;
    struct sim *s = x->sim;
    bool twice = !s->cfg.fifo && s->cfg.faults && sim_chance(s, s->cfg.duplicate);
    uint32_t copies = twice ? 2 : 1;
    require(p->from == x->id && p->to == to && to != x->id && to <= SIM_ID_MAX);
    s->stats.frames++;
    check_sent(x, p);
    for (; copies > 0; copies--) {
        uint64_t delay = sim_between(s, s->cfg.delay_lo, s->cfg.delay_hi);
        if (s->cfg.faults && sim_chance(s, s->cfg.tail)) {
            delay += sim_between(s, 0, s->cfg.tail_us);
        }
        if (s->cut[x->id][to] || (s->cfg.faults && sim_chance(s, s->cfg.drop))) {
            s->stats.dropped++;
            s->fifo_at[x->id][to] = 0;
            continue;
        }
        uint64_t when = s->now_us + delay;
        if (s->cfg.fifo && when <= s->fifo_at[x->id][to]) {
            when = s->fifo_at[x->id][to] + 1;
        }
        s->fifo_at[x->id][to] = when;
        sim_push(
            s, (struct event){.at_us = when, .kind = EVENT_FRAME, .id = to, .frame = frame_of(p)});
    }
    packet_free(p);
}

static void host_committed(void *ctx)
{
    struct node *x = ctx;
    struct sim *s = x->sim;
    if (!x->applying) {
        x->applying = true;
        sim_at(s, sim_between(s, 0, s->cfg.apply_us), EVENT_APPLY, x->id, x->incarnation);
    }
}

static struct entry *host_load(void *ctx, uint64_t index)
{
    struct node *x = ctx;
    const struct disk *k = &x->disk;
    if (index < k->first || index - k->first >= k->count) {
        sim_violation(x->sim, "LOAD node %llu: %llu is not on disk", llu(x->id), llu(index));
        return NULL;
    }
    return entry_ref(k->entries[index - k->first]);
}

static void host_state(void *ctx, enum consensus_role role, uint64_t term)
{
    struct node *x = ctx;
    struct sim *s = x->sim;
    sim_say(s, "node %llu is %s in term %llu", llu(x->id), consensus_role_name(role), llu(term));
    if (role == CONSENSUS_LEADER) {
        check_leader(x, term);
        if (s->cfg.faults && sim_chance(s, 0.5)) {
            sim_at(s, sim_between(s, 1, 4 * SIM_MS), EVENT_ADMIN, 0, 1);
        }
    }
}

static void host_read(void *ctx, uint64_t cookie, bool ok)
{
    struct node *x = ctx;
    if (!ok) {
        x->sim->stats.reads_refused++;
        return;
    }
    x->sim->stats.reads++;
    if (x->applied < cookie) {
        sim_violation(x->sim, "STALE READ node %llu: at %llu, %llu was acknowledged before",
                      llu(x->id), llu(x->applied), llu(cookie));
    }
}

static void host_fetch(void *ctx, const struct consensus_snapshot *snapshot)
{
    struct node *x = ctx;
    struct sim *s = x->sim;
    uint64_t latency = sim_chance(s, 0.1) ? sim_between(s, 1000 * SIM_MS, 15000 * SIM_MS)
                                          : sim_between(s, 20 * SIM_MS, 1500 * SIM_MS);
    sim_say(s, "node %llu fetches snapshot %llu from %llu", llu(x->id), llu(snapshot->index),
            llu(snapshot->source));
    sim_at(s, latency, EVENT_FETCH, x->id, ++x->fetch_generation);
}

static void host_restored(void *ctx, const struct consensus_snapshot *snapshot)
{
    struct node *x = ctx;
    check_restored(x, snapshot);
    x->applied = snapshot->index;
    x->noted = snapshot->index;
    x->app = node_snapshot_app(snapshot);
    node_chain_set(x, snapshot->index, node_snapshot_chain(snapshot));
    x->sim->stats.installs++;
}

/* ---- events ---- */

void node_apply(struct node *x)
{
    struct sim *s = x->sim;
    struct consensus_next batch[SIM_APPLY_BATCH_MAX];
    uint64_t want = sim_between(s, 1, SIM_APPLY_BATCH_MAX);
    uint64_t count = 0;
    x->applying = false;
    while (count < want && !failed(consensus_next(x->c, &batch[count]))) {
        count++;
    }
    for (uint64_t i = 0; i < count; i++) {
        const struct consensus_next *next = &batch[i];
        if (next->index != x->applied + 1) {
            sim_violation(s, "APPLY ORDER node %llu: %llu after %llu", llu(x->id), llu(next->index),
                          llu(x->applied));
        }
        x->applied = next->index;
        x->app = sim_mix(x->app, next->term);
        if (next->entry != NULL) {
            x->app = sim_hash_entry(x->app, next->entry);
        }
        check_applied(x, next->index, next);
        struct record *r = mem_new(1, sizeof *r);
        r->applied = x->applied;
        r->app = x->app;
        disk_queue(x, r);
        entry_unref(next->entry);
    }
    if (count > 0) {
        consensus_applied(x->c, x->applied);
    }
    if (count == want) {
        host_committed(x);
    }
}

void node_receive(struct node *x, struct frame *frame)
{
    struct errtext text;
    err e = consensus_receive(x->c, frame->from, bytes_of(frame->data, frame->size), &text);
    if (failed(e)) { /* nobody lies here */
        sim_violation(x->sim, "FRAME node %llu: %s", llu(x->id), text.text);
    }
}

void node_fetched(struct node *x, uint64_t generation)
{
    struct sim *s = x->sim;
    if (generation != x->fetch_generation || !x->c->installing) {
        return;
    }
    uint64_t from = x->c->pending.source;
    const struct node *source = &s->nodes[from];
    bool ok =
        source->alive && source->c->snapshot.index == x->c->pending.index && !s->cut[from][x->id];
    if (!ok && source->alive && sim_chance(s, 0.5)) {
        ok = true; /* the source has kept the older checkpoint */
    }
    s->stats.install_fails += !ok;
    consensus_fetched(x->c, ok);
}

void node_schedule(struct node *x)
{
    if (!x->alive) {
        return;
    }
    uint64_t at = consensus_timeout_ms(x->c) * SIM_MS;
    uint64_t now = x->sim->now_us;
    at = at <= now ? now + 1 : at;
    if (at != x->timer_at_us) {
        x->timer_at_us = at;
        sim_at(x->sim, at - now, EVENT_TIMER, x->id, ++x->timer_generation);
    }
}

static void take_snapshot(struct node *x)
{
    struct sim *s = x->sim;
    if (x->applied < x->c->snapshot.index + s->cfg.threshold || x->applied < 1) {
        return;
    }
    uint64_t manifest[2] = {x->app, x->chain[x->applied]};
    struct consensus_mark mark;
    if (consensus_mark(x->c, &mark) == CONSENSUS_OK) {
        s->stats.snapshots += consensus_snapshot(x->c, &mark, s->cfg.trailing,
                                                 bytes_of(manifest, sizeof manifest)) ==
                              CONSENSUS_OK;
        entry_unref(mark.conf);
    }
}

void node_upkeep(struct node *x)
{
    if (consensus_wants_reset(x->c)) { /* a failed installation */
        x->sim->stats.resets++;
        sim_say(x->sim, "node %llu starts over", llu(x->id));
        node_stop(x, false);
        node_start(x);
    } else if (!x->c->installing) {
        take_snapshot(x);
    }
}

/* ---- life ---- */

static void trace_emit(struct raft_tracer *t, int type, const void *info)
{
    const struct node *x = t->impl;
    const struct raft_tracer_info *i = info;
    printf("[%10.3f]   %llu %s\n", (double)x->sim->now_us / 1e6, llu(x->id), i->diagnostic.message);
}

/* Only configurations are read back; the rest of the log stays on disk until it is wanted. */
static struct consensus_stored *stored_of(const struct disk *k)
{
    struct consensus_stored *stored = mem_new(k->count + 1, sizeof *stored);
    for (uint64_t i = 0; i < k->count; i++) {
        struct entry *e = k->entries[i];
        stored[i] = (struct consensus_stored){.term = e->term, .type = e->type};
        stored[i].entry = e->type == ENTRY_CHANGE ? e : NULL;
    }
    return stored;
}

static void restart_memory(struct node *x)
{
    const struct disk *k = &x->disk;
    x->incarnation++;
    x->applying = false;
    x->queue = NULL;
    x->queue_tail = &x->queue;
    x->syncing = 0;
    x->timer_at_us = 0;
    x->applied = k->applied;
    x->app = k->app;
    x->noted = k->snapshot.index;
    if (k->first > 1) {
        node_chain_set(x, k->first - 1, k->base);
    }
    for (uint64_t i = 0; i < k->count; i++) {
        node_chain_set(x, k->first + i, k->chain[i]);
    }
    if (k->snapshot.index >= k->first && k->snapshot.index > 0 &&
        x->chain[k->snapshot.index] != node_snapshot_chain(&k->snapshot)) {
        sim_violation(x->sim, "SNAPSHOT CHAIN node %llu", llu(x->id));
    }
}

void node_start(struct node *x)
{
    struct sim *s = x->sim;
    const struct disk *k = &x->disk;
    const struct consensus_host host = {
        .ctx = x,
        .now_ms = host_now,
        .wall_ns = host_wall,
        .write = host_write,
        .send = host_send,
        .committed = host_committed,
        .load = host_load,
        .state = host_state,
        .read = host_read,
        .fetch = host_fetch,
        .restored = host_restored,
    };
    const struct consensus_options options = {
        .id = x->id,
        .seed = (uint32_t)sim_random(s),
        .election_ms = s->cfg.election_ms,
        .heartbeat_ms = s->cfg.heartbeat_ms,
        .install_ms = s->cfg.install_ms,
        .pin_ms = 20000,
        .inflight = s->cfg.inflight,
        .cache_bytes_max = s->cfg.cache_bytes,
        .pre_vote = s->cfg.pre_vote,
        .snapshots = true,
        .switches_off = s->switches_off,
    };
    restart_memory(x);
    struct consensus_stored *stored = stored_of(k);
    const struct consensus_disk disk = {.term = k->term,
                                        .vote = k->vote,
                                        .snapshot = k->snapshot,
                                        .first = k->first,
                                        .applied = k->applied,
                                        .count = k->count,
                                        .stored = stored};
    struct errtext text;
    err e = consensus_open(&host, &options, &disk, &x->c, &text);
    free(stored);
    if (failed(e)) {
        sim_violation(s, "START node %llu: %s", llu(x->id), text.text);
        return;
    }
    x->alive = true;
    if (s->trace) {
        x->tracer = (struct raft_tracer){.impl = x, .version = 2, .emit = trace_emit};
        x->c->raft.tracer = &x->tracer;
    }
    if (core_role(x->c) == CONSENSUS_LEADER) {
        check_leader(x, raft_current_term(&x->c->raft));
    }
    check_node(x);
}

/* A crash, or the end: the first `keep` records of the queue have reached the disk. */
static void queue_drop(struct node *x, uint64_t keep)
{
    struct record *r = queue_pop(x);
    for (uint64_t i = 0; r != NULL; i++, r = queue_pop(x)) {
        if (i < keep) {
            disk_apply(x, r);
        }
        consensus_job_free(r->job);
        record_free(r);
    }
}

static void add_counters(struct consensus_counters *sum, const struct consensus_counters *n)
{
    sum->steps += n->steps;
    sum->regressions += n->regressions;
    sum->orphans += n->orphans;
    sum->splits += n->splits;
    sum->confirms += n->confirms;
    sum->stale_first += n->stale_first;
    sum->stale_rejects += n->stale_rejects;
    sum->loads += n->loads;
    sum->rounds += n->rounds;
}

void node_stop(struct node *x, bool lose)
{
    uint64_t count = 0;
    if (!x->alive) {
        return;
    }
    x->alive = false;
    add_counters(&x->sim->stats.guards, &x->c->counters);
    consensus_close(x->c);
    x->c = NULL;
    for (const struct record *r = x->queue; r != NULL; r = r->next) {
        count++;
    }
    uint64_t keep = lose ? sim_between(x->sim, 0, count) : count;
    queue_drop(x, keep);
}

void node_create(struct sim *s, uint64_t id, bool founder)
{
    struct node *x = &s->nodes[id];
    *x = (struct node){.sim = s, .id = id, .exists = true};
    x->disk.first = 1;
    x->disk.app = 7;
    node_chain_set(x, 0, 1);
    if (founder) {
        struct entry *e = entry_new(1, ENTRY_CHANGE, buf_bytes(&s->founding));
        x->disk.term = 1;
        disk_push(&x->disk, e, sim_hash_entry(1, e));
        check_log_matching(x, 1, 1, x->disk.chain[0]);
        entry_unref(e);
    }
    node_start(x);
}

void node_free(struct node *x)
{
    node_stop(x, false);
    queue_drop(x, 0); /* of a start that failed */
    for (uint64_t i = 0; i < x->disk.count; i++) {
        entry_unref(x->disk.entries[i]);
    }
    consensus_snapshot_unref(&x->disk.snapshot);
    free(x->disk.entries);
    free(x->disk.chain);
    free(x->chain);
    *x = (struct node){0};
}
