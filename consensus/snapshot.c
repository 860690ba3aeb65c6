/* Checkpoints: taken here, offered to peers that are too far behind, installed from them. Only the
 * manifest goes through the core; files travel between hosts. */
#include "base/require.h"
#include "consensus/driver.h"

/* ---- receiving ---- */

void snapshot_offered(struct consensus *c, const struct raft_update *u,
                      const struct consensus_snapshot *offered)
{
    require(!c->installing || !guard_on(c, GUARD_INSTALL_DROP));
    c->installing = true;
    c->fetched = false;
    c->pending_meta = u->snapshot.metadata; /* its configuration is ours until it is persisted */
    raft_free(u->snapshot.chunk.base);
    struct consensus_snapshot pending = consensus_snapshot_ref(offered);
    consensus_snapshot_unref(&c->pending);
    c->pending = pending;
    /* T11: the core has forgotten its log; no write that is under way may be reported. */
    for (struct consensus_job *j = c->jobs; j != NULL; j = j->next) {
        if (j->kind == CONSENSUS_JOB_ENTRIES && guard_on(c, GUARD_CANCEL)) {
            j->ack = 0;
        }
    }
    c->host.fetch(c->host.ctx, &c->pending);
}

void consensus_fetched(struct consensus *c, bool ok)
{
    if (driver_failed(c) || !c->installing || c->fetched || c->reset) {
        return;
    }
    if (!ok) {
        c->reset = true; /* no event gives an installation up: start over from disk */
        return;
    }
    c->fetched = true;
    struct consensus_job *job = driver_new_job(c, CONSENSUS_JOB_INSTALL);
    job->snapshot = consensus_snapshot_ref(&c->pending);
    driver_write(c, job);
}

bool consensus_wants_reset(const struct consensus *c)
{
    return c->reset && c->jobs == NULL;
}

void snapshot_install_done(struct consensus *c)
{
    struct raft_event e = {.type = RAFT_PERSISTED_SNAPSHOT};
    require(c->installing && c->fetched);
    e.persisted_snapshot.metadata = c->pending_meta; /* 0.22.1 owns its configuration */
    e.persisted_snapshot.last = true;
    c->pending_meta = (struct raft_snapshot_metadata){0};
    c->installing = false;
    consensus_snapshot_unref(&c->snapshot);
    c->snapshot = c->pending;
    c->pending = (struct consensus_snapshot){0};
    uint64_t index = c->snapshot.index;
    memlog_restart(&c->log, index + 1);
    c->applied = index;
    c->given = index;
    c->conf_fed = index;
    c->conf_fed_index = c->snapshot.conf_index;
    c->commit = c->commit < index ? index : c->commit;
    c->announced = c->announced < index ? index : c->announced;
    driver_set_conf(c, c->snapshot.conf, c->snapshot.conf_index);
    c->host.restored(c->host.ctx, &c->snapshot);
    driver_must(c, driver_step(c, &e, NULL));
}

/* ---- offering ---- */

void snapshot_pin(struct consensus *c, uint64_t id, uint64_t index)
{
    struct pin *slot = NULL;
    for (uint32_t i = 0; i < NODES_MAX; i++) {
        struct pin *p = &c->pins[i];
        if (p->id == id) {
            if (p->index == index) {
                return;
            }
            slot = p;
            break;
        }
        if (slot == NULL && p->id == 0) {
            slot = p;
        }
    }
    if (slot != NULL) {
        *slot = (struct pin){.id = id, .index = index, .since_ms = now_ms(c)};
    }
}

/* Is this pin still good for something? A peer that fetches answers heartbeats all the while; one
 * that does not for so long is down, and may stay so. One that restarts is back sooner. */
static bool pin_holds(const struct consensus *c, const struct pin *p, uint32_t trailing)
{
    raft_index match = 0;
    return now_ms(c) - p->since_ms < c->options.pin_ms &&
           !status_silent(c, p->id, PIN_SILENT_ELECTIONS) &&
           raft_match_index(&c->raft, p->id, &match) == 0 &&
           (match < p->index || match + trailing < c->applied);
}

/* T21: while a peer fetches a snapshot, and until its log has joined ours, no newer one is taken:
 * it would need that one next, and so on for ever. */
static bool pinned(struct consensus *c, uint32_t trailing)
{
    bool held = false;
    if (core_role(c) != CONSENSUS_LEADER || !guard_on(c, GUARD_PIN)) {
        return false;
    }
    for (uint32_t i = 0; i < NODES_MAX; i++) {
        struct pin *p = &c->pins[i];
        if (p->id != 0 && pin_holds(c, p, trailing)) {
            held = true;
        } else {
            *p = (struct pin){0}; /* for good: it has joined, or is offered a newer one later */
        }
    }
    return held;
}

/* ---- taking ---- */

enum consensus_answer consensus_mark(const struct consensus *c, struct consensus_mark *ret)
{
    require(ret != NULL);
    uint64_t term = consensus_term_at(c, c->applied);
    if (driver_failed(c) || c->installing || c->given != c->applied || c->conf == NULL ||
        c->applied == 0 || term == 0) {
        return CONSENSUS_BUSY;
    }
    *ret = (struct consensus_mark){c->applied, term, c->conf_index, entry_ref(c->conf)};
    return CONSENSUS_OK;
}

enum consensus_answer consensus_snapshot(struct consensus *c, const struct consensus_mark *mark,
                                         uint32_t trailing, struct bytes manifest)
{
    require(manifest.size <= MANIFEST_BYTES_MAX);
    require(mark->conf != NULL && mark->conf_index <= mark->index);
    const struct memlog_item *item = memlog_at(&c->log, mark->index);
    if (driver_failed(c) || c->installing || mark->index <= c->snapshot.index ||
        mark->index > c->applied || item == NULL || pinned(c, trailing)) {
        return CONSENSUS_BUSY;
    }
    require(item->term == mark->term); /* what is applied stays as it is */
    for (const struct consensus_job *j = c->jobs; j != NULL; j = j->next) {
        if (j->kind == CONSENSUS_JOB_SNAPSHOT) {
            return CONSENSUS_BUSY;
        }
    }
    struct consensus_job *job = driver_new_job(c, CONSENSUS_JOB_SNAPSHOT);
    job->snapshot = (struct consensus_snapshot){.index = mark->index,
                                                .term = mark->term,
                                                .conf_index = mark->conf_index,
                                                .conf = entry_ref(mark->conf),
                                                .source = c->options.id};
    if (manifest.size > 0) {
        job->snapshot.manifest = entry_new(mark->term, ENTRY_COMMAND, manifest);
    }
    job->trailing = trailing;
    bool trims = mark->index > trailing && mark->index - trailing >= c->log.first;
    job->log_first = trims ? mark->index - trailing + 1 : c->log.first;
    driver_write(c, job);
    return CONSENSUS_OK;
}

void snapshot_job_done(struct consensus *c, const struct consensus_job *job)
{
    struct raft_event e = {.type = RAFT_SNAPSHOT};
    const struct consensus_snapshot *s = &job->snapshot;
    struct conf conf;
    /* An installation has begun or ended meanwhile: the core must not hear of an older one. */
    if (c->installing || s->index <= c->snapshot.index || memlog_at(&c->log, s->index) == NULL) {
        return;
    }
    e.snapshot.metadata.index = s->index;
    e.snapshot.metadata.term = s->term;
    e.snapshot.metadata.configuration_index = s->conf_index;
    e.snapshot.trailing = job->trailing;
    if (failed(conf_decode(entry_bytes(s->conf), &conf)) ||
        failed(conf_to_core(&conf, &e.snapshot.metadata.configuration))) {
        driver_must(c, RAFT_MALFORMED);
        return;
    }
    consensus_snapshot_unref(&c->snapshot);
    c->snapshot = consensus_snapshot_ref(s);
    driver_must(c, driver_step(c, &e, NULL)); /* 0.22.1 owns the configuration */
    memlog_trim(&c->log, job->log_first);
}
