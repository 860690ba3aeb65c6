/* The host of the Raft driver: its clock, its log on disk, its packets and its timer. The driver
 * may not be called from inside these functions, so whatever follows from them is posted. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/require.h"
#include "crypto/random.h"
#include "server/parts.h"
#include "storage/dir.h"

/* A write on its way through the log store, with the views it needs. */
struct write {
    struct write *next; /* of those that failed */
    struct logstore_job job;
    struct consensus_job *from;
    struct buf record; /* SNAPSHOT, INSTALL: what the log keeps of the checkpoint */
    struct logstore_entry entries[];
};

static uint64_t host_now_ms(void *ctx)
{
    struct node *n = ctx;
    uint64_t now = clock_monotonic_ns(&n->clock) / NS_PER_MS;
    n->clock_ms = now > n->clock_ms ? now : n->clock_ms;
    return n->clock_ms;
}

static uint64_t host_wall_ns(void *ctx)
{
    struct node *n = ctx;
    return clock_wall_ns(&n->clock);
}

static void set_snapshot(struct write *w, const struct consensus_job *job)
{
    const struct consensus_snapshot *s = &job->snapshot;
    const struct checkpoint_record record = {
        .installed = job->kind == CONSENSUS_JOB_INSTALL,
        .conf_index = s->conf_index,
        .conf = entry_bytes(s->conf),
        .id = s->manifest == NULL ? bytes_of(NULL, 0) : entry_bytes(s->manifest),
    };
    buf_init(&w->record, CHECKPOINT_RECORD_BYTES_MAX);
    checkpoint_record_encode(&record, &w->record);
    require(!w->record.overflow);
    w->job.kind = record.installed ? LOGSTORE_INSTALL : LOGSTORE_SNAPSHOT;
    w->job.snapshot = (struct logstore_snapshot){
        .index = s->index,
        .term = s->term,
        .log_first = record.installed ? s->index + 1 : job->log_first,
        .manifest = buf_bytes(&w->record),
    };
}

static void write_free(struct write *w)
{
    buf_done(&w->record);
    free(w);
}

static void set_job(struct write *w, struct consensus_job *job)
{
    struct logstore_job *to = &w->job;
    *to =
        (struct logstore_job){.ctx = w, .term = job->term, .vote = job->vote, .first = job->first};
    switch (job->kind) {
    case CONSENSUS_JOB_HARD:
        to->kind = LOGSTORE_HARD;
        return;
    case CONSENSUS_JOB_ENTRIES:
        to->kind = LOGSTORE_ENTRIES;
        to->entries = w->entries;
        to->entries_count = job->count;
        for (uint32_t i = 0; i < job->count; i++) {
            const struct entry *e = job->entries[i];
            w->entries[i] = (struct logstore_entry){e->term, (uint8_t)e->type, entry_bytes(e)};
        }
        return;
    case CONSENSUS_JOB_SNAPSHOT:
    case CONSENSUS_JOB_INSTALL:
        set_snapshot(w, job);
        return;
    }
}

static void host_write(void *ctx, struct consensus_job *job)
{
    struct node *n = ctx;
    struct write *w = mem_new(1, sizeof *w + job->count * sizeof w->entries[0]);
    w->from = job;
    set_job(w, job);
    err e = logstore_submit(n->log, &w->job);
    if (failed(e)) {
        die("the log refuses a write of %u entries: %s", job->count, err_name(e.code));
    }
    if (job->kind == CONSENSUS_JOB_ENTRIES) {
        n->appended = true;
        apply_appended(n, job);
    }
}

/* Writes that are done, in order. After a failed one nothing is reported any more: an entry that
 * may not be on disk must never be acknowledged, nor a term or a vote be told. The driver goes on
 * for a moment, so that a leader can hand over, which needs no write of its own. */
static void log_done(void *ctx)
{
    struct node *n = ctx;
    struct logstore_job *job;
    while ((job = logstore_completed(n->log)) != NULL) {
        struct write *w = job->ctx;
        if (failed(job->result) || n->unwritten != NULL) {
            w->next = n->unwritten;
            n->unwritten = w;
            node_fail_as_leader(n, "the log cannot be written: %s", logstore_failure(n->log));
            continue;
        }
        if (job->kind == LOGSTORE_INSTALL) {
            install_switch(n); /* the driver goes on from the new state */
        }
        consensus_done(n->consensus, w->from);
        if (job->kind == LOGSTORE_SNAPSHOT) {
            checkpoint_recorded(n, job->snapshot.index, job->snapshot.log_first);
        }
        write_free(w);
    }
}

static void log_wakes_loop(void *ctx) /* writer thread */
{
    struct node *n = ctx;
    loop_wake_trigger(n->log_wake);
}

static void host_send(void *ctx, uint64_t to, struct packet *p)
{
    struct node *n = ctx;
    if (!members_speaks_to(n, to)) {
        packet_free(p);
        return;
    }
    buf_clear(&n->packet);
    packet_encode(p, &n->packet);
    packet_free(p);
    require(!n->packet.overflow);
    struct bytes part = buf_bytes(&n->packet);
    err e = peer_send(n->links, to, FRAME_RAFT, &part, 1);
    (void)e; /* Lost like any packet: Raft repeats itself; peer links count it. */
}

static void host_committed(void *ctx)
{
    struct node *n = ctx;
    loop_post(n->loop, &n->apply_task);
}

static struct entry *host_load(void *ctx, uint64_t index)
{
    struct node *n = ctx;
    struct logstore_info info;
    struct errtext why = {"it is not in the log"};
    struct buf data;
    struct entry *entry = NULL;
    buf_init(&data, PEER_FRAME_BYTES_MAX);
    if (!failed(logstore_peek(n->log, index, &info)) &&
        !failed(logstore_read(n->log, index, &data, &why))) {
        entry = entry_new(info.term, (enum entry_type)info.type, buf_bytes(&data));
    } else {
        log_error("entry %llu cannot be read back: %s", (unsigned long long)index, why.text);
    }
    buf_done(&data);
    return entry;
}

static void host_state(void *ctx, enum consensus_role role, uint64_t term)
{
    struct node *n = ctx;
    n->role = role;
    n->term = term;
    loop_post(n->loop, &n->state_task);
}

static void host_read(void *ctx, uint64_t cookie, bool ok)
{
    reads_confirmed(ctx, cookie, ok);
}

static void host_fetch(void *ctx, const struct consensus_snapshot *s)
{
    fetch_wanted(ctx, s);
}

static void host_restored(void *ctx, const struct consensus_snapshot *s)
{
    struct node *n = ctx;
    require(s->index == ledger_applied_index(n->ledger));
    loop_post(n->loop, &n->restored_task);
}

/* The state has jumped: those who wait for what it skipped, and those who wait for a height. */
static void restored(struct loop_task *task)
{
    struct node *n = task->ctx;
    struct ledger_head head = ledger_head(n->ledger);
    gossip_note(n, &head);
    submit_state_replaced(n);
    heads_state_replaced(n);
    reads_reached(n);
    watch_wake(n);
    checkpoint_tell(n);
}

static void note_leader(struct node *n, uint64_t term, uint64_t leader)
{
    n->leaders[term % LEADERS_KEPT].term = term;
    n->leaders[term % LEADERS_KEPT].leader = leader;
}

/* Acts upon a change of role or term, outside the driver. */
static void state_changed(struct loop_task *task)
{
    struct node *n = task->ctx;
    if (n->role == n->role_seen && n->term == n->term_seen) {
        return;
    }
    bool led = n->role_seen == CONSENSUS_LEADER;
    if (led || n->term != n->term_seen) {
        submit_leadership_lost(n);
        reads_fail_all(n);
    }
    if (n->role == CONSENSUS_LEADER) {
        note_leader(n, n->term, n->id);
    }
    if (led || n->role == CONSENSUS_LEADER) {
        log_info("%s of term %llu", consensus_role_name(n->role), (unsigned long long)n->term);
    }
    heads_wake(n);
    n->role_seen = n->role;
    n->term_seen = n->term;
    n->tail.known = false;
    loop_post(n->loop, &n->pump_task);
    loop_post(n->loop, &n->members.task);
}

/* Only the leader of the present term appends. The driver's own hint may be of an earlier one. */
static void note_appender(struct node *n, uint64_t from)
{
    struct consensus_status s;
    if (n->appended) {
        n->appended = false;
        consensus_status(n->consensus, &s);
        note_leader(n, s.term, from);
    }
}

uint64_t host_leader_of(const struct node *n, uint64_t term)
{
    bool known = term != 0 && n->leaders[term % LEADERS_KEPT].term == term;
    return known ? n->leaders[term % LEADERS_KEPT].leader : 0;
}

static void arm_timer(struct node *n)
{
    uint64_t due = consensus_timeout_ms(n->consensus);
    uint64_t now = host_now_ms(n);
    loop_timer_start(n->loop, &n->consensus_timer, due > now ? (due - now) * NS_PER_MS : 0, 0);
}

static void tick(struct loop_timer *timer)
{
    struct node *n = timer->ctx;
    if (n->failure[0] != '\0') {
        return;
    }
    uint64_t due = consensus_timeout_ms(n->consensus);
    uint64_t now = host_now_ms(n);
    if (n->role == CONSENSUS_LEADER && now > due) {
        pace_note(&n->pace.heartbeat, (now - due) * (NS_PER_MS / NS_PER_US));
    }
    consensus_tick(n->consensus);
}

/* Every turn, after whatever happened: is the driver sound, and when does it want its tick? */
static void after_turn(struct loop_hook *hook)
{
    struct node *n = hook->ctx;
    struct errtext why;
    if (failed(consensus_check(n->consensus, &why))) {
        node_fail(n, "%s", why.text);
    } else {
        arm_timer(n);
    }
    if (consensus_wants_reset(n->consensus)) {
        loop_post(n->loop, &n->reset_task);
    }
    if (n->failure[0] != '\0') {
        loop_stop(n->loop);
    }
    uint64_t began_ns = loop_turn_ns(n->loop);
    uint64_t now_ns = clock_monotonic_ns(&n->clock);
    pace_note(&n->pace.stall, now_ns > began_ns ? (now_ns - began_ns) / NS_PER_US : 0);
}

void host_frame_refused(struct node *n, uint64_t from, const char *why)
{
    n->frames_refused++;
    if ((n->frames_refused & (n->frames_refused - 1)) == 0) {
        log_warn("a frame of node %llu was refused (%llu so far of all nodes): %s",
                 (unsigned long long)from, (unsigned long long)n->frames_refused, why);
    }
}

/* A frame that no sound node sends. Its connection is cut, for what follows on it cannot be trusted
 * either; who does it again and again is named. */
static void frame_malformed(struct node *n, uint64_t from, const char *why)
{
    struct garbled *g = NULL;
    for (size_t i = 0; i < NODES_MAX && (g == NULL || g->id != from); i++) {
        struct garbled *k = &n->garbled[i];
        bool usable = k->id == from || k->id == 0 || node_row(n, k->id) == NULL;
        g = usable && (g == NULL || k->id == from) ? k : g;
    }
    host_frame_refused(n, from, why);
    err e = peer_drop(n->links, from, PEER_REASON_BAD_FRAME);
    (void)e; /* it is closed already, or has just left the table */
    if (g == NULL) {
        return; /* NODES_MAX nodes of the table garble: this one is no news */
    }
    *g = g->id == from ? *g : (struct garbled){.id = from};
    g->count++;
    if (g->count >= GARBLED_FRAMES_ALARM) {
        alarm_raise(n, ALARM_PEER_GARBLES, from, "node %llu has sent %llu malformed frames: %s",
                    (unsigned long long)from, (unsigned long long)g->count, why);
    }
}

void host_receive(struct node *n, uint64_t from, struct bytes frame)
{
    struct errtext why = {""};
    if (n->failure[0] != '\0') {
        return;
    }
    n->appended = false;
    err e = consensus_receive(n->consensus, from, frame, &why);
    note_appender(n, from);
    if (n->role != CONSENSUS_LEADER && from == host_leader_of(n, n->term)) {
        pace_heard(&n->pace, from, n->term, clock_monotonic_ns(&n->clock));
    }
    if (err_is(e, ERR_CONFLICT)) {
        alarm_raise(n, ALARM_PEER_LIES, from, "node %llu contradicts what is committed: %s",
                    (unsigned long long)from, why.text);
    } else if (err_is(e, ERR_INVALID)) {
        frame_malformed(n, from, why.text);
    } else if (failed(e)) {
        host_frame_refused(n, from, why.text);
    }
}

bool host_leads(const struct node *n)
{
    return consensus_ready(n->consensus);
}

uint64_t host_leader(const struct node *n)
{
    struct consensus_status s;
    consensus_status(n->consensus, &s);
    return s.leader;
}

/* The first start of a founder: entry 1 names the founders as voters, the same bytes on each. */
static err found(struct node *n, struct errtext *reterr)
{
    uint64_t ids[NODES_MAX];
    size_t count = 0;
    const struct ledger_node *nodes = ledger_nodes(n->ledger, &count);
    require(count <= NODES_MAX);
    for (size_t i = 0; i < count; i++) {
        ids[i] = nodes[i].id;
    }
    struct buf conf;
    buf_init(&conf, PEER_FRAME_BYTES_MAX);
    err e = consensus_found(ids, (uint32_t)count, &conf);
    if (failed(e)) {
        buf_done(&conf);
        return err_fail(reterr, e.code, "the genesis must name 3 to %d nodes, not %zu",
                        INSTITUTIONS_MAX, count);
    }
    struct logstore_job hard = {.kind = LOGSTORE_HARD, .term = 1};
    struct logstore_entry first = {.term = 1, .type = ENTRY_CHANGE, .data = buf_bytes(&conf)};
    struct logstore_job entries = {
        .kind = LOGSTORE_ENTRIES, .first = 1, .entries = &first, .entries_count = 1};
    e = logstore_submit(n->log, &hard);
    if (!failed(e)) {
        e = logstore_submit(n->log, &entries);
    }
    logstore_drain(n->log);
    for (struct logstore_job *job; (job = logstore_completed(n->log)) != NULL;) {
        e = failed(job->result) ? job->result : e;
    }
    buf_done(&conf);
    return failed(e)
               ? err_fail(reterr, e.code, "cannot write the log: %s", logstore_failure(n->log))
               : e;
}

/* What the driver needs of the log: term and type of each entry, and the configurations. */
static err read_log(struct node *n, const struct logstore_recovered *r,
                    struct consensus_stored *list, struct errtext *reterr)
{
    for (uint64_t i = r->first; i <= r->last; i++) {
        struct logstore_info info;
        struct consensus_stored *s = &list[i - r->first];
        err e = logstore_peek(n->log, i, &info);
        require(!failed(e));
        *s = (struct consensus_stored){info.term, (enum entry_type)info.type, NULL};
        if (s->type == ENTRY_CHANGE) {
            s->entry = host_load(n, i);
            if (s->entry == NULL) {
                return err_fail(reterr, ERR_CORRUPT, "entry %llu of the log cannot be read",
                                (unsigned long long)i);
            }
        }
        if (s->type == ENTRY_COMMAND && i > ledger_applied_index(n->ledger)) {
            chain_push(&n->chain, i, s->term, NULL);
        }
    }
    return err_ok();
}

/* The checkpoint that the log refers to, as the driver knows it. The references are the caller's.
 */
static err read_snapshot(const struct node *n, struct consensus_snapshot *ret,
                         struct errtext *reterr)
{
    const struct logstore_snapshot *s = &n->recovered.snapshot;
    struct checkpoint_record record;
    *ret = (struct consensus_snapshot){0};
    if (s->index == 0) {
        return err_ok();
    }
    if (!checkpoint_record_decode(s->manifest, &record)) {
        return err_fail(reterr, ERR_CORRUPT, "what the log keeps of its checkpoint is malformed");
    }
    *ret = (struct consensus_snapshot){
        .index = s->index,
        .term = s->term,
        .conf_index = record.conf_index,
        .conf = entry_new(s->term, ENTRY_CHANGE, record.conf),
        .manifest = entry_new(s->term, ENTRY_COMMAND, record.id),
        .source = n->id,
    };
    return err_ok();
}

static err start_driver(struct node *n, struct errtext *reterr)
{
    const struct logstore_recovered *r = &n->recovered;
    uint64_t count = r->last + 1 - r->first;
    struct consensus_options options = {
        .id = n->id,
        .election_ms = n->config.election_timeout_ms,
        .heartbeat_ms = n->config.heartbeat_ms,
        .install_ms = 10000,
        .pin_ms = 600000,
        .inflight = BLOCKS_IN_FLIGHT_MAX,
        .cache_bytes_max = LOG_CACHE_BYTES_MAX,
        .pre_vote = true,
        .snapshots = true,
    };
    const struct consensus_host host = {
        n,         host_now_ms, host_wall_ns, host_write, host_send,     host_committed,
        host_load, host_state,  host_read,    host_fetch, host_restored,
    };
    struct consensus_disk disk = {
        .term = r->term,
        .vote = r->vote,
        .first = r->first,
        .count = count,
        .applied = ledger_applied_index(n->ledger),
    };
    TRY(read_snapshot(n, &disk.snapshot, reterr));
    struct consensus_stored *list = mem_new(count + 1, sizeof *list);
    disk.stored = list;
    random_bytes(&options.seed, sizeof options.seed);
    n->term = n->term_seen = r->term; /* until the driver tells another one */
    err e = read_log(n, r, list, reterr);
    if (!failed(e)) {
        e = consensus_open(&host, &options, &disk, &n->consensus, reterr);
    }
    for (uint64_t i = 0; i < count; i++) {
        entry_unref(list[i].entry);
    }
    free(list);
    consensus_snapshot_unref(&disk.snapshot);
    return e;
}

err host_open_log(struct node *n, struct errtext *reterr)
{
    char path[4096];
    struct logstore_options options = {
        .done_ctx = n,
        .on_done = log_wakes_loop,
        .segment_bytes = n->config.log_segment_bytes,
    };
    snprintf(path, sizeof path, "%s/log", n->config.data);
    TRY(dir_make(path, reterr));
    if (n->log_wake == NULL) {
        n->log_wake = loop_wake_new(n->loop, log_done, n);
    }
    TRY(logstore_open(path, &options, &n->log, &n->recovered, reterr));
    if (n->recovered.cut_bytes > 0) {
        log_warn("cut a torn last write of %llu bytes off the log; nothing in it was acknowledged",
                 (unsigned long long)n->recovered.cut_bytes);
    }
    return err_ok();
}

err host_open(struct node *n, struct errtext *reterr)
{
    const struct logstore_recovered *r = &n->recovered;
    uint64_t applied = ledger_applied_index(n->ledger);
    TRY(consensus_self_test(reterr));
    bool empty = r->last < r->first && r->snapshot.index == 0;
    /* Who is in the genesis founds; everybody else joins and gets the log from the others. */
    const struct ledger_node *own = ledger_node_find(n->ledger, n->id);
    bool founder = own != NULL && own->added_height == 0;
    if (empty && (applied > 0 || (founder && r->term > 1))) {
        return err_fail(reterr, ERR_CORRUPT,
                        "%s/log is empty although this node has voted or holds blocks: a node "
                        "whose log is lost may not come back under its number; restore it or "
                        "replace the node",
                        n->config.data);
    }
    if (empty && founder) { /* a crash may have come between its two writes: then once more */
        TRY(found(n, reterr));
        logstore_close(n->log);
        n->log = NULL;
        TRY(host_open_log(n, reterr));
    }
    if (r->last < applied) {
        return err_fail(reterr, ERR_CORRUPT,
                        "%s/log ends at entry %llu although entry %llu is applied", n->config.data,
                        (unsigned long long)r->last, (unsigned long long)applied);
    }
    TRY(start_driver(n, reterr));
    loop_hook_add(n->loop, &n->after_turn);
    log_info("log: entries %llu to %llu, term %llu; applied %llu", (unsigned long long)r->first,
             (unsigned long long)r->last, (unsigned long long)r->term, (unsigned long long)applied);
    return err_ok();
}

/* Stops driver and log; what was written and not reported is on disk. */
static void close_both(struct node *n)
{
    consensus_close(n->consensus);
    n->consensus = NULL;
    while (n->unwritten != NULL) {
        struct write *w = n->unwritten;
        n->unwritten = w->next;
        consensus_job_free(w->from);
        write_free(w);
    }
    if (n->log != NULL) {
        logstore_drain(n->log);
        for (struct logstore_job *job; (job = logstore_completed(n->log)) != NULL;) {
            struct write *w = job->ctx;
            consensus_job_free(w->from);
            write_free(w);
        }
        logstore_close(n->log);
        n->log = NULL;
    }
}

void host_reopen(struct node *n, void (*between)(struct node *n))
{
    struct errtext why;
    require(!n->applying_begun);
    loop_hook_remove(n->loop, &n->after_turn);
    loop_timer_stop(n->loop, &n->consensus_timer);
    scrub_stop(n); /* it reads the log */
    close_both(n);
    entry_unref(n->applying.entry);
    n->applying = (struct consensus_next){0};
    chain_cut(&n->chain, 0);
    n->tail.known = false;
    n->checkpoints.cutting = 0;
    if (between != NULL) {
        between(n);
    }
    err e = host_open_log(n, &why);
    n->role = CONSENSUS_FOLLOWER;
    n->term = n->recovered.term;
    if (!failed(e)) {
        e = host_open(n, &why);
    }
    if (failed(e)) {
        die("the log was not opened again: %s", why.text);
    }
    loop_post(n->loop, &n->state_task);
    loop_post(n->loop, &n->apply_task);
}

/* The driver gave an install up; there is no other way to do it than to start over from disk, as
 * after a crash (design of the Raft core). */
static void reset(struct loop_task *task)
{
    struct node *n = task->ctx;
    if (n->failure[0] != '\0' || !consensus_wants_reset(n->consensus) || n->applying_begun) {
        return; /* asked again every turn: a block that was begun is finished first */
    }
    manifest_free(fetch_end(n));
    host_reopen(n, NULL);
}

void host_init(struct node *n)
{
    buf_init(&n->packet, PEER_FRAME_BYTES_MAX);
    loop_timer_init(&n->consensus_timer, tick, n);
    loop_task_init(&n->state_task, state_changed, n);
    loop_task_init(&n->reset_task, reset, n);
    loop_task_init(&n->restored_task, restored, n);
    n->after_turn = (struct loop_hook){.run = after_turn, .ctx = n};
}

void host_close(struct node *n)
{
    if (n->consensus != NULL) {
        loop_hook_remove(n->loop, &n->after_turn);
        loop_timer_stop(n->loop, &n->consensus_timer);
    }
    close_both(n);
    loop_wake_free(n->log_wake);
    n->log_wake = NULL;
    chain_done(&n->chain);
    buf_done(&n->packet);
}
