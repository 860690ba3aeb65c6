#include "consensus/driver.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/require.h"
#include "consensus/codec.h"

struct held {
    uint64_t seq;
    struct packet *packet;
    struct held *next;
};

/* ---- failure ---- */

void driver_fail(struct consensus *c, enum err_code code, const char *fmt, ...)
{
    require(code != ERR_OK);
    if (driver_failed(c)) {
        return;
    }
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(c->failure_text.text, sizeof c->failure_text.text, fmt, ap);
    va_end(ap);
    c->failure = (err){code};
}

void driver_must(struct consensus *c, int rv)
{
    if (rv != 0) {
        driver_fail(c, ERR_CORRUPT, "the Raft core refuses to go on: %s (%d)", raft_strerror(rv),
                    rv);
    }
}

err consensus_check(const struct consensus *c, struct errtext *reterr)
{
    return driver_failed(c) ? err_fail(reterr, c->failure.code, "%s", c->failure_text.text)
                            : err_ok();
}

/* ---- writes and packets ---- */

struct consensus_job *driver_new_job(struct consensus *c, enum consensus_job_kind kind)
{
    struct consensus_job *job = mem_new(1, sizeof *job);
    job->kind = kind;
    job->seq = ++c->seq;
    *c->jobs_tail = job;
    c->jobs_tail = &job->next;
    return job;
}

void driver_write(struct consensus *c, struct consensus_job *job)
{
    require(job->seq == c->seq);
    c->host.write(c->host.ctx, job);
}

static void write_hard(struct consensus *c)
{
    struct consensus_job *job = driver_new_job(c, CONSENSUS_JOB_HARD);
    job->term = raft_current_term(&c->raft);
    job->vote = raft_voted_for(&c->raft);
    c->gate = job->seq;
    driver_write(c, job);
}

/* T5: a vote or term that was told and then lost in a crash lets two leaders share a term. So
 * packets wait, in order, until the latest record of both is durable. */
void driver_post(struct consensus *c, struct packet *p, uint64_t to)
{
    require(to != c->options.id);
    p->from = c->options.id;
    p->to = to;
    if (p->kind == PACKET_APPEND || p->kind == PACKET_APPEND_RESULT) {
        p->clock_ns = c->host.wall_ns(c->host.ctx);
    }
    if (c->gate <= c->durable || !guard_on(c, GUARD_GATE)) {
        c->host.send(c->host.ctx, to, p);
        return;
    }
    struct held *held = mem_new(1, sizeof *held);
    *held = (struct held){.seq = c->gate, .packet = p};
    *c->held_tail = held;
    c->held_tail = &held->next;
}

static void release_held(struct consensus *c)
{
    while (c->held != NULL && c->held->seq <= c->durable) {
        struct held *held = c->held;
        c->held = held->next;
        if (c->held == NULL) {
            c->held_tail = &c->held;
        }
        c->host.send(c->host.ctx, held->packet->to, held->packet);
        free(held);
    }
}

static void drop_held(struct consensus *c)
{
    while (c->held != NULL) {
        struct held *held = c->held;
        c->held = held->next;
        packet_free(held->packet);
        free(held);
    }
    c->held_tail = &c->held;
}

/* ---- the log ---- */

struct entry *driver_entry(struct consensus *c, uint64_t index)
{
    const struct memlog_item *item = memlog_at(&c->log, index);
    require(item != NULL);
    if (item->entry != NULL) {
        return entry_ref(item->entry);
    }
    c->counters.loads++;
    struct entry *e = c->host.load(c->host.ctx, index);
    if (e == NULL) {
        driver_fail(c, ERR_IO, "entry %llu of the log cannot be read back",
                    (unsigned long long)index);
        return NULL;
    }
    if (e->term != item->term || e->type != item->type) {
        driver_fail(c, ERR_CORRUPT, "entry %llu of the log reads back as another one",
                    (unsigned long long)index);
        entry_unref(e);
        return NULL;
    }
    return e;
}

/* What is committed and on this node's disk may be applied. The core advances its commit index
 * before the local sync; without this limit the state could be ahead of the log after a crash. */
static uint64_t apply_limit(const struct consensus *c)
{
    uint64_t stored = c->raft.last_stored;
    return c->commit < stored || !guard_on(c, GUARD_STORED) ? c->commit : stored;
}

/* What is on disk can be read back, also to be applied: a host that applies slowly must not make
 * the log grow in memory. */
static void shed(struct consensus *c)
{
    memlog_shed(&c->log, c->options.cache_bytes_max, c->installing ? 0 : c->raft.last_stored);
}

void driver_set_conf(struct consensus *c, struct entry *e, uint64_t index)
{
    entry_ref(e);
    entry_unref(c->conf);
    c->conf = e;
    c->conf_index = index;
}

void driver_conf(const struct consensus *c, struct conf *ret)
{
    err e = conf_from_core(&c->raft.configuration, ret);
    require(!failed(e)); /* every configuration came through conf_decode */
}

uint64_t consensus_term_at(const struct consensus *c, uint64_t index)
{
    const struct memlog_item *item = memlog_at(&c->log, index);
    if (item != NULL) {
        return item->term;
    }
    return index == c->snapshot.index ? c->snapshot.term : 0;
}

/* ---- what an update asks for ---- */

/* T11: a write whose entries the log has lost to a truncation must not be reported as stored: the
 * node would acknowledge what is not on its disk. */
static void truncate_log(struct consensus *c, uint64_t first)
{
    memlog_truncate(&c->log, first);
    for (struct consensus_job *j = c->jobs; j != NULL; j = j->next) {
        if (j->kind == CONSENSUS_JOB_ENTRIES && j->ack >= first && guard_on(c, GUARD_CANCEL)) {
            j->ack = first - 1;
        }
    }
}

static void on_entries(struct consensus *c, const struct raft_update *u, const struct input *in)
{
    uint64_t first = u->entries.index;
    uint32_t count = u->entries.n;
    require(count > 0);
    if (first <= memlog_last(&c->log)) {
        if (first <= c->given || first < c->log.first) {
            driver_fail(c, ERR_CORRUPT, "entry %llu is committed and would be replaced",
                        (unsigned long long)first);
            raft_free(u->entries.batch[0].batch);
            return;
        }
        truncate_log(c, first);
    }
    struct consensus_job *job = driver_new_job(c, CONSENSUS_JOB_ENTRIES);
    job->first = first;
    job->count = count;
    job->ack = first + count - 1;
    job->entries = mem_new(count, sizeof *job->entries);
    for (uint32_t i = 0; i < count; i++) {
        const struct raft_entry *re = &u->entries.batch[i];
        struct bytes data = bytes_of(re->buf.base, re->buf.len);
        struct entry *e = in != NULL && in->entries != NULL
                              ? entry_ref(in->entries[first - in->first + i])
                              : entry_new(re->term, (enum entry_type)re->type, data);
        /* With two voters becoming one, only the leaver might have the change, and nobody could
         * be elected: so it is durable here before it is sent. */
        if (e->type == ENTRY_CHANGE && guard_on(c, GUARD_CHANGE_GATE)) {
            c->gate = job->seq;
        }
        job->entries[i] = e;
        memlog_push(&c->log, e->term, e->type, e);
    }
    raft_free(u->entries.batch[0].batch);
    driver_write(c, job);
}

/* Cuts what the core wants sent into frames: all of its entries go, for it may have counted them
 * as sent, or none. None go to a peer that has been silent for long: the core repeats the whole
 * window every heartbeat until it hears, and a dead peer would cost as much as a living one. */
static void send_append(struct consensus *c, const struct raft_message *m)
{
    struct raft_append_entries ae = m->append_entries;
    uint64_t index = ae.prev_log_index + 1;
    uint64_t end = status_silent(c, m->server_id, 1) ? index : index + ae.n_entries;
    do {
        struct packet *p = packet_new(PACKET_APPEND);
        uint32_t room = codec_append_room(end - index);
        size_t bytes = 0;
        p->m = *m;
        p->m.server_address = NULL;
        p->m.append_entries.entries = NULL;
        p->m.append_entries.prev_log_index = index - 1;
        p->m.append_entries.prev_log_term =
            index - 1 == ae.prev_log_index ? ae.prev_log_term : consensus_term_at(c, index - 1);
        p->m.append_entries.n_entries = 0;
        p->entries = room > 0 ? mem_new(room, sizeof *p->entries) : NULL;
        for (uint32_t i = 0; i < room; i++, index++) {
            struct entry *e = driver_entry(c, index);
            if (e == NULL) {
                packet_free(p);
                return;
            }
            bytes += codec_entry_bytes(e);
            if (i > 0 && bytes > codec_append_bytes_max()) {
                entry_unref(e);
                break;
            }
            p->entries[i] = e;
            p->m.append_entries.n_entries = i + 1;
        }
        driver_post(c, p, m->server_id);
    } while (index < end);
}

/* T2: libraft leaves last_log_index of a reply to an earlier term unset. Were the receiver leader
 * again, it could take it for an acknowledgement of entries that are not there. */
static void mend_append_result(const struct consensus *c, struct packet *p, bool stale)
{
    if (stale && guard_on(c, GUARD_STALE_REPLY)) {
        p->m.append_entries_result.rejected = 0;
        p->m.append_entries_result.last_log_index = 0;
    }
}

/* T14a: libraft echoes the candidate's own term when it refuses a pre-vote, so that a candidate
 * behind ours never learns it, asks for ever, and nobody is elected. */
static void mend_vote_result(const struct consensus *c, struct packet *p)
{
    struct raft_request_vote_result *v = &p->m.request_vote_result;
    uint64_t term = raft_current_term(&c->raft);
    if (v->pre_vote && !v->vote_granted && v->term < term && guard_on(c, GUARD_TRUE_TERM)) {
        v->term = term;
    }
}

static void send_install(struct consensus *c, struct packet *p, uint64_t to)
{
    require(p->m.install_snapshot.last_index == c->snapshot.index);
    p->snapshot = consensus_snapshot_ref(&c->snapshot);
    p->snapshot.source = c->options.id;
    snapshot_pin(c, to, p->snapshot.index);
    driver_post(c, p, to);
}

static void on_message(struct consensus *c, const struct raft_message *m, bool stale)
{
    if (m->type == RAFT_APPEND_ENTRIES) {
        send_append(c, m);
        return;
    }
    struct packet *p = packet_new((enum packet_kind)m->type);
    p->m = *m;
    p->m.server_address = NULL; /* the core's, dangling after this step */
    switch (m->type) {
    case RAFT_APPEND_ENTRIES_RESULT:
        mend_append_result(c, p, stale);
        break;
    case RAFT_REQUEST_VOTE_RESULT:
        mend_vote_result(c, p);
        break;
    case RAFT_INSTALL_SNAPSHOT:
        send_install(c, p, m->server_id);
        return;
    case RAFT_APPEND_ENTRIES:
    case RAFT_REQUEST_VOTE:
    case RAFT_TIMEOUT_NOW:
        break;
    }
    driver_post(c, p, m->server_id);
}

/* ---- one step ---- */

/* raft_step and its update, in the order that the contract demands: term and vote, entries,
 * snapshot, messages, commit index. */
static int core_step(struct consensus *c, struct raft_event *e, const struct input *in)
{
    struct raft_update u = {0};
    e->time = now_ms(c);
    e->capacity = 0; /* T13: a capacity threshold stops half-way through an election */
    int rv = raft_step(&c->raft, e, &u);
    c->counters.steps++;
    if (rv != 0) {
        return rv;
    }
    if (u.flags & (RAFT_UPDATE_CURRENT_TERM | RAFT_UPDATE_VOTED_FOR)) {
        write_hard(c);
    }
    if (u.flags & RAFT_UPDATE_ENTRIES) {
        on_entries(c, &u, in);
    }
    if (u.flags & RAFT_UPDATE_SNAPSHOT) {
        require(in != NULL && in->offered != NULL);
        snapshot_offered(c, &u, in->offered);
    }
    if (u.flags & RAFT_UPDATE_MESSAGES) {
        for (unsigned i = 0; i < u.messages.n && !driver_failed(c); i++) {
            on_message(c, &u.messages.batch[i], in != NULL && in->stale);
        }
    }
    /* T10: the core's commit index can go back, with reordered heartbeats and without. */
    uint64_t commit = raft_commit_index(&c->raft);
    c->counters.regressions += commit < c->commit;
    if (commit > c->commit || !guard_on(c, GUARD_MONOTONE)) {
        c->commit = commit;
    }
    return 0;
}

/* The event that makes the core know the configuration at index as committed. */
static int core_feed(struct consensus *c, uint64_t index, const struct entry *e)
{
    struct raft_event ev = {.type = RAFT_CONFIGURATION};
    struct conf conf;
    if (failed(conf_decode(entry_bytes(e), &conf)) ||
        failed(conf_to_core(&conf, &ev.configuration.conf))) {
        return RAFT_MALFORMED;
    }
    ev.configuration.index = index;
    return core_step(c, &ev, NULL); /* 0.22.1 owns conf from here on */
}

/* Committed configurations are told to the core at once, before any later event: it can hold only
 * one that is not committed (T9). */
static int feed_committed(struct consensus *c)
{
    while (!c->installing && !driver_failed(c) && c->conf_fed < c->commit) {
        const struct memlog_item *item = memlog_at(&c->log, c->conf_fed + 1);
        if (item == NULL) {
            break;
        }
        c->conf_fed++;
        if (item->type != ENTRY_CHANGE) {
            continue;
        }
        c->conf_fed_index = c->conf_fed;
        int rv = core_feed(c, c->conf_fed, item->entry);
        if (rv != 0) {
            return rv;
        }
    }
    return 0;
}

static int core_submit(struct consensus *c, struct entry *e, uint64_t *ret_index)
{
    struct raft_event ev = {.type = RAFT_SUBMIT};
    e->term = raft_current_term(&c->raft); /* the core does not set it */
    struct raft_entry re = {.term = e->term,
                            .type = (enum raft_entry_type)e->type,
                            .buf = {e->data, e->size},
                            .batch = raft_malloc(1)};
    require(re.batch != NULL);
    struct input in = {.entries = &e, .first = raft_last_index(&c->raft) + 1};
    ev.submit.entries = &re;
    ev.submit.n = 1; /* T17: an error half-way through a batch corrupts the trail */
    *ret_index = in.first;
    int rv = core_step(c, &ev, &in);
    if (rv != 0) {
        raft_free(re.batch);
    }
    return rv;
}

/* A new leader needs an entry of its own term to commit what is before it (section 5.4.2 of the
 * Raft paper, Figure 8). The core adds a barrier only when something is uncommitted. */
static int ensure_own_entry(struct consensus *c)
{
    static const uint8_t zeros[8] = {0};
    uint64_t last = raft_last_index(&c->raft);
    c->term_first = last;
    if (consensus_term_at(c, last) == c->term || !guard_on(c, GUARD_OWN_ENTRY)) {
        return 0;
    }
    struct entry *e = entry_new(c->term, ENTRY_BARRIER, bytes_of(zeros, sizeof zeros));
    int rv = core_submit(c, e, &c->term_first);
    entry_unref(e);
    return rv;
}

static int tell_state(struct consensus *c)
{
    enum consensus_role role = core_role(c);
    uint64_t term = raft_current_term(&c->raft);
    if (role == c->role && term == c->term) {
        return 0;
    }
    bool elected = role == CONSENSUS_LEADER && (c->role != role || c->term != term);
    c->role = role;
    c->term = term;
    c->term_first = 0;
    c->told = 0; /* of another term: other entries may stand there now */
    c->host.state(c->host.ctx, role, term);
    return elected ? ensure_own_entry(c) : 0;
}

/* Everything that follows from a step, until nothing more follows. */
static int settle(struct consensus *c)
{
    uint64_t before;
    do {
        before = c->counters.steps;
        int rv = feed_committed(c);
        if (rv == 0) {
            rv = tell_state(c);
        }
        if (rv != 0) {
            return rv;
        }
    } while (c->counters.steps != before && !driver_failed(c));
    uint64_t limit = c->installing ? 0 : apply_limit(c);
    if (limit > c->given && limit > c->announced) {
        c->announced = limit;
        c->host.committed(c->host.ctx);
    }
    tell_committed(c);
    read_settle(c);
    pace_set(c);
    shed(c);
    return 0;
}

int driver_step(struct consensus *c, struct raft_event *e, const struct input *in)
{
    int rv = core_step(c, e, in);
    return rv != 0 || driver_failed(c) ? rv : settle(c);
}

int driver_feed_configuration(struct consensus *c, uint64_t index, const struct entry *e)
{
    int rv = core_feed(c, index, e);
    return rv != 0 || driver_failed(c) ? rv : settle(c);
}

int driver_submit(struct consensus *c, struct entry *e, uint64_t *ret_index)
{
    int rv = core_submit(c, e, ret_index);
    return rv != 0 || driver_failed(c) ? rv : settle(c);
}

/* ---- time, writes, apply ---- */

/* T12: on a leader each RAFT_TIMEOUT checks its contacts, and raft_timeout() can stay in the past;
 * so it is never fed more often than the heartbeat. */
uint64_t consensus_timeout_ms(const struct consensus *c)
{
    uint64_t timeout = raft_timeout(&c->raft);
    uint64_t least = c->last_tick_ms + c->pace_ms;
    if (core_role(c) == CONSENSUS_LEADER) {
        return timeout < least && guard_on(c, GUARD_TICK_CLAMP) ? least : timeout;
    }
    uint64_t haste = haste_timeout_ms(c);
    return haste < timeout ? haste : timeout;
}

void consensus_tick(struct consensus *c)
{
    uint64_t now = now_ms(c);
    if (driver_failed(c) || now < consensus_timeout_ms(c)) {
        return;
    }
    struct raft_event e = {.type = RAFT_TIMEOUT};
    c->last_tick_ms = now;
    haste_tick(c);
    driver_must(c, driver_step(c, &e, NULL));
    read_repeat(c);
}

static void entries_done(struct consensus *c, const struct consensus_job *job)
{
    struct raft_event e = {.type = RAFT_PERSISTED_ENTRIES};
    bool cancel = guard_on(c, GUARD_CANCEL);
    bool live = !c->installing || !cancel;
    e.persisted_entries.index = job->ack;
    if (live && job->ack >= job->first && (job->ack > c->raft.last_stored || !cancel)) {
        driver_must(c, driver_step(c, &e, NULL));
    } else {
        c->counters.orphans++;
    }
}

void consensus_done(struct consensus *c, struct consensus_job *job)
{
    require(job != NULL);
    require(job == c->jobs); /* in order */
    c->jobs = job->next;
    if (c->jobs == NULL) {
        c->jobs_tail = &c->jobs;
    }
    c->durable = job->seq;
    if (!driver_failed(c)) {
        release_held(c);
        switch (job->kind) {
        case CONSENSUS_JOB_HARD:
            break;
        case CONSENSUS_JOB_ENTRIES:
            entries_done(c, job);
            break;
        case CONSENSUS_JOB_SNAPSHOT:
            snapshot_job_done(c, job);
            break;
        case CONSENSUS_JOB_INSTALL:
            snapshot_install_done(c);
            break;
        }
    }
    consensus_job_free(job);
}

err consensus_next(struct consensus *c, struct consensus_next *ret)
{
    if (driver_failed(c)) {
        return c->failure;
    }
    const struct memlog_item *item = memlog_at(&c->log, c->given + 1);
    if (c->installing || c->given >= apply_limit(c) || item == NULL) {
        return (err){ERR_AGAIN};
    }
    struct consensus_next next = {.index = c->given + 1, .term = item->term, .type = item->type};
    if (item->type == ENTRY_COMMAND) {
        next.entry = driver_entry(c, next.index);
        if (next.entry == NULL) {
            return c->failure;
        }
    }
    c->given++;
    *ret = next;
    return err_ok();
}

void consensus_applied(struct consensus *c, uint64_t index)
{
    require(index <= c->given);
    if (driver_failed(c) || index <= c->applied) {
        return;
    }
    while (c->applied < index) {
        c->applied++;
        const struct memlog_item *item = memlog_at(&c->log, c->applied);
        require(item != NULL);
        if (item->type == ENTRY_CHANGE) {
            driver_set_conf(c, item->entry, c->applied);
        }
    }
    read_settle(c);
    shed(c);
}

void consensus_close(struct consensus *c)
{
    if (c == NULL) {
        return;
    }
    if (c->installing) {
        raft_configuration_close(&c->pending_meta.configuration);
    }
    raft_close(&c->raft, NULL); /* without an I/O layer it frees at once */
    memlog_done(&c->log);
    consensus_snapshot_unref(&c->snapshot);
    consensus_snapshot_unref(&c->pending);
    entry_unref(c->conf);
    drop_held(c);
    read_done(c);
    free(c->batch);
    free(c);
}
