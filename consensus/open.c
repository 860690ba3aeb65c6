/* Start: what is on disk becomes the core's state. And the proof that the core is the one this
 * driver is written for. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/require.h"
#include "consensus/driver.h"

/* ---- self-test ---- */

/* The version number alone does not tell: later sources changed who owns the memory of a step and
 * kept the number. Then update.entries.batch would not be the caller's array. */
static bool submit_keeps_array(struct raft *r)
{
    struct raft_entry change = {.term = 1, .type = RAFT_CHANGE};
    struct raft_entry command = {.type = RAFT_COMMAND};
    struct raft_event e = {.type = RAFT_START, .time = 1};
    struct raft_update u = {0};
    const struct conf conf = {.count = 1, .servers = {{1, CONSENSUS_VOTER}}};
    struct buf bytes;
    buf_init(&bytes, CONF_BYTES_MAX);
    conf_encode(&conf, &bytes);
    change.buf = (struct raft_buffer){bytes.data, bytes.size};
    e.start.term = 2;
    e.start.voted_for = 1;
    e.start.start_index = 1;
    e.start.entries = &change;
    e.start.n_entries = 1;
    int rv = raft_step(r, &e, &u);
    buf_done(&bytes);
    if (rv != 0 || raft_state(r) != RAFT_LEADER) {
        return false;
    }
    command.term = raft_current_term(r);
    command.batch = raft_malloc(1);
    e = (struct raft_event){.type = RAFT_SUBMIT, .time = 1};
    e.submit.entries = &command;
    e.submit.n = 1;
    u = (struct raft_update){0};
    rv = raft_step(r, &e, &u);
    bool kept = rv == 0 && (u.flags & RAFT_UPDATE_ENTRIES) && u.entries.batch == &command &&
                u.entries.n == 1 && u.entries.index == 2;
    raft_free(command.batch);
    return kept;
}

err consensus_self_test(struct errtext *reterr)
{
    struct raft *r = mem_new(1, sizeof *r);
    if (raft_init(r, NULL, NULL, 1, "1") != 0) {
        free(r);
        return err_fail(reterr, ERR_UNSUPPORTED, "libraft does not start");
    }
    r->tracer = NULL;
    bool kept = submit_keeps_array(r);
    raft_close(r, NULL);
    free(r);
    return kept ? err_ok()
                : err_fail(reterr, ERR_UNSUPPORTED,
                           "libraft is not 0.22.1: it keeps memory that 0.22.1 gives back");
}

/* ---- founding ---- */

err consensus_found(const uint64_t *ids, uint32_t count, struct buf *ret)
{
    struct conf conf = {0};
    if (count == 0 || count > NODES_MAX || (count > 1 && count < INSTITUTIONS_MIN)) {
        return (err){ERR_INVALID};
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = conf.count;
        if (ids[i] == 0 || ids[i] >= RAFT_NUMBER_MAX ||
            conf_member(&conf, ids[i]) != CONSENSUS_STRANGER) {
            return (err){ERR_INVALID};
        }
        for (; at > 0 && conf.servers[at - 1].id > ids[i]; at--) {
            conf.servers[at] = conf.servers[at - 1];
        }
        conf.servers[at] = (struct conf_server){ids[i], CONSENSUS_VOTER};
        conf.count++;
    }
    conf_encode(&conf, ret);
    return ret->overflow ? (err){ERR_LIMIT} : err_ok();
}

/* ---- start ---- */

static err contradiction(struct errtext *reterr, const char *what)
{
    return err_fail(reterr, ERR_CORRUPT, "the Raft log on disk contradicts itself: %s", what);
}

static err check_entries(const struct consensus_disk *disk, struct errtext *reterr)
{
    uint64_t term_min = 1;
    for (uint64_t i = 0; i < disk->count; i++) {
        const struct consensus_stored *s = &disk->stored[i];
        struct conf conf;
        if (s->term < term_min || s->term > disk->term) {
            return contradiction(reterr, "terms are out of order");
        }
        term_min = s->term;
        bool known =
            s->type == ENTRY_COMMAND || s->type == ENTRY_BARRIER || s->type == ENTRY_CHANGE;
        if (!known) {
            return contradiction(reterr, "an entry of unknown type");
        }
        if (s->type == ENTRY_CHANGE &&
            (s->entry == NULL || failed(conf_decode(entry_bytes(s->entry), &conf)))) {
            return contradiction(reterr, "a malformed configuration");
        }
    }
    return err_ok();
}

/* The core checks none of this, and fails in silence. */
static err check_disk(const struct consensus_disk *disk, struct errtext *reterr)
{
    const struct consensus_snapshot *s = &disk->snapshot;
    uint64_t last = disk->first + disk->count - 1;
    struct conf conf;
    if (disk->first == 0 || disk->count >= UINT32_MAX || last >= RAFT_NUMBER_MAX ||
        disk->term >= RAFT_NUMBER_MAX) {
        return contradiction(reterr, "numbers out of range");
    }
    if (disk->term == 0 && (disk->vote != 0 || s->index != 0 || disk->count != 0)) {
        return contradiction(reterr, "content but no term");
    }
    if (s->index == 0) {
        bool founded = disk->count == 0 || disk->stored[0].type == ENTRY_CHANGE;
        if (disk->first != 1 || !founded) {
            return contradiction(reterr, "it does not start with a configuration");
        }
    } else {
        if (s->term == 0 || s->term > disk->term || s->conf == NULL || s->conf_index == 0 ||
            s->conf_index > s->index || failed(conf_decode(entry_bytes(s->conf), &conf))) {
            return contradiction(reterr, "the snapshot is malformed");
        }
        if (disk->first > s->index + 1 || last < s->index) {
            return contradiction(reterr, "a gap between snapshot and log");
        }
        if (s->index >= disk->first && disk->stored[s->index - disk->first].term != s->term) {
            return contradiction(reterr, "snapshot and log differ in a term");
        }
    }
    if (disk->applied + 1 < disk->first || disk->applied > last) {
        return contradiction(reterr, "the state is not within the log");
    }
    return check_entries(disk, reterr);
}

static err init_core(struct consensus *c, struct errtext *reterr)
{
    const struct consensus_options *o = &c->options;
    char address[CONF_ADDRESS_BYTES];
    conf_address(o->id, address);
    if (raft_init(&c->raft, NULL, NULL, o->id, address) != 0) {
        return err_fail(reterr, ERR_UNSUPPORTED, "libraft does not start");
    }
    c->raft.tracer = NULL; /* else every step formats its trace for nothing, in a static buffer */
    raft_seed(&c->raft, o->seed);
    c->pace_ms = o->heartbeat_ms;
    raft_set_heartbeat_timeout(&c->raft, c->pace_ms);
    raft_set_install_snapshot_timeout(&c->raft, o->install_ms);
    raft_set_max_inflight_entries(&c->raft, o->inflight);
    raft_set_pre_vote(&c->raft, o->pre_vote);
    raft_set_max_catch_up_round_duration(&c->raft, 20 * o->election_ms);
    c->raft.election_timeout = o->election_ms; /* raft_set_... needs a state, which START gives */
    return err_ok();
}

static void take_log(struct consensus *c, const struct consensus_disk *disk,
                     struct raft_entry *ret_entries)
{
    memlog_init(&c->log, disk->first);
    driver_set_conf(c, disk->snapshot.conf, disk->snapshot.conf_index);
    c->conf_fed_index = disk->snapshot.conf_index;
    for (uint64_t i = 0; i < disk->count; i++) {
        const struct consensus_stored *s = &disk->stored[i];
        uint64_t index = disk->first + i;
        memlog_push(&c->log, s->term, s->type, s->entry);
        ret_entries[i] =
            (struct raft_entry){.term = s->term, .type = (enum raft_entry_type)s->type};
        if (s->type != ENTRY_CHANGE) {
            continue; /* the core reads only the configurations' bytes */
        }
        ret_entries[i].buf = (struct raft_buffer){s->entry->data, s->entry->size};
        if (index <= c->applied) {
            driver_set_conf(c, s->entry, index);
        }
        if (index <= c->conf_fed && index > c->conf_fed_index) {
            c->conf_fed_index = index;
        }
    }
}

/* Is this node the only voter of the latest configuration on disk, committed or not? */
static bool only_voter(const struct consensus *c, const struct consensus_disk *disk)
{
    const struct entry *latest = disk->snapshot.conf;
    struct conf conf;
    for (uint64_t i = disk->count; i > 0; i--) {
        const struct consensus_stored *s = &disk->stored[i - 1];
        if (s->type == ENTRY_CHANGE) {
            bool newer = disk->first + i - 1 > disk->snapshot.index || latest == NULL;
            latest = newer ? s->entry : latest;
            break;
        }
    }
    if (latest == NULL || failed(conf_decode(entry_bytes(latest), &conf))) {
        return false;
    }
    return conf_voters(&conf) == 1 && conf_member(&conf, c->options.id) == CONSENSUS_VOTER;
}

/* T4: the core elects a single voter in its old term. What it sent and lost in a crash would share
 * index and term with what comes next; so it starts in a new term, recorded before anything else.
 */
static void bump_single_voter(struct consensus *c, const struct consensus_disk *disk,
                              struct raft_event *start)
{
    if (!only_voter(c, disk) || !guard_on(c, GUARD_BUMP)) {
        return;
    }
    start->start.term = disk->term + 1;
    start->start.voted_for = c->options.id;
    struct consensus_job *job = driver_new_job(c, CONSENSUS_JOB_HARD);
    job->term = start->start.term;
    job->vote = start->start.voted_for;
    c->gate = job->seq;
    driver_write(c, job);
}

static int start_core(struct consensus *c, const struct consensus_disk *disk,
                      struct raft_entry *entries)
{
    struct raft_snapshot_metadata meta = {.index = disk->snapshot.index,
                                          .term = disk->snapshot.term,
                                          .configuration_index = disk->snapshot.conf_index};
    struct raft_event e = {.type = RAFT_START};
    e.start.term = disk->term;
    e.start.voted_for = disk->vote;
    e.start.start_index = disk->first;
    e.start.entries = entries;
    e.start.n_entries = (unsigned)disk->count;
    if (disk->snapshot.index != 0) {
        struct conf conf;
        if (failed(conf_decode(entry_bytes(disk->snapshot.conf), &conf)) ||
            failed(conf_to_core(&conf, &meta.configuration))) {
            return RAFT_MALFORMED;
        }
        e.start.metadata = &meta; /* 0.22.1 owns its configuration */
    }
    bump_single_voter(c, disk, &e);
    c->role = CONSENSUS_FOLLOWER;
    c->term = e.start.term;
    int rv = driver_step(c, &e, NULL);
    /* T16: what was applied was committed, whatever the core may know of it. */
    uint64_t index = c->raft.configuration_uncommitted_index;
    if (rv == 0 && index != 0 && index <= disk->applied && guard_on(c, GUARD_REPLAY_CONF)) {
        const struct memlog_item *item = memlog_at(&c->log, index);
        require(item != NULL && item->entry != NULL);
        rv = driver_feed_configuration(c, index, item->entry);
    }
    return rv;
}

static bool options_ok(const struct consensus_options *o)
{
    return o->id > 0 && o->id < RAFT_NUMBER_MAX && o->election_ms > 0 && o->heartbeat_ms > 0 &&
           o->heartbeat_ms < o->election_ms && o->install_ms > 0 && o->inflight > 0 &&
           o->election_ms <= 60 * 1000;
}

err consensus_open(const struct consensus_host *host, const struct consensus_options *options,
                   const struct consensus_disk *disk, struct consensus **ret,
                   struct errtext *reterr)
{
    require(host != NULL && options != NULL && disk != NULL && ret != NULL);
    require(options_ok(options));
    TRY(check_disk(disk, reterr));
    struct consensus *c = mem_new(1, sizeof *c);
    c->host = *host;
    c->options = *options;
    c->jobs_tail = &c->jobs;
    c->held_tail = &c->held;
    read_init(c);
    err e = init_core(c, reterr);
    if (failed(e)) {
        free(c);
        return e;
    }
    c->batch = mem_new(APPEND_ENTRIES_MAX, sizeof *c->batch);
    c->applied = disk->applied;
    c->given = disk->applied;
    c->commit = disk->applied;
    /* The core starts with the snapshot's configuration: older ones are not told again. */
    uint64_t snapshot = disk->snapshot.index;
    c->conf_fed = disk->applied > snapshot ? disk->applied : snapshot;
    c->snapshot = consensus_snapshot_ref(&disk->snapshot);
    struct raft_entry *entries = mem_new(disk->count + 1, sizeof *entries);
    take_log(c, disk, entries);
    int rv = start_core(c, disk, entries);
    free(entries);
    driver_must(c, rv);
    e = consensus_check(c, reterr);
    if (failed(e)) {
        consensus_close(c);
        return e;
    }
    *ret = c;
    return err_ok();
}
