/* Checkpoints: when they are taken, which of them a majority agrees upon, when the log is cut. */
#include "server/checkpoint.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/require.h"
#include "server/checkpoint_work.h"
#include "server/parts.h"

/* Of all log ever written, between two checkpoints: so a state is read through 16 times a byte of
 * log, however large it has become. */
enum { CHECKPOINT_SHARE = 16 };

enum { BULK_THREADS = 1, CHUNK_THREADS = 1, CHUNK_JOBS_MAX = SERVE_QUEUE_MAX + FETCH_WINDOW + 2 };

struct checkpoint_paths checkpoint_paths_of(const struct node *n)
{
    return (struct checkpoint_paths){&n->checkpoints.files, n->config.data,
                                     &n->checkpoints.stop};
}

static unsigned long long llu(uint64_t v)
{
    return (unsigned long long)v;
}

/* ---- the list ---- */

struct checkpoint *checkpoint_find(const struct node *n, uint64_t index)
{
    struct checkpoint *c = n->checkpoints.newest;
    while (c != NULL && c->manifest->id.index != index) {
        c = c->next;
    }
    return c;
}

static void checkpoint_free(struct checkpoint *c)
{
    require(c->readers == 0);
    manifest_free(c->manifest);
    free(c);
}

struct checkpoint *checkpoint_add(struct node *n, struct manifest *m, bool whole)
{
    struct checkpoint **at = &n->checkpoints.newest;
    require(m != NULL);
    while (*at != NULL && (*at)->manifest->id.index > m->id.index) {
        at = &(*at)->next;
    }
    struct checkpoint *c = *at;
    if (c != NULL && c->manifest->id.index == m->id.index) {
        manifest_free(c->manifest); /* made again, or installed: the files are the new ones */
    } else {
        c = mem_new(1, sizeof *c);
        c->next = *at;
        *at = c;
    }
    c->manifest = m;
    c->whole = whole;
    c->refuted = false;
    return c;
}

/* ---- letting go ---- */

struct drop_job {
    struct pool_job job;
    struct node *node;
    uint64_t index;
    bool all; /* the manifest too */
    err result;
    struct errtext why;
};

static void drop_run(struct pool_job *job) /* worker */
{
    struct drop_job *d = (struct drop_job *)job;
    struct checkpoint_paths p = checkpoint_paths_of(d->node);
    d->result = d->all ? work_drop(&p, d->index, &d->why) : work_drop_files(&p, d->index, &d->why);
}

static void drop_done(struct pool_job *job)
{
    struct drop_job *d = (struct drop_job *)job;
    if (failed(d->result)) {
        log_warn("the checkpoint of entry %llu was not removed: %s", llu(d->index), d->why.text);
    }
    free(d);
}

static void drop(struct node *n, uint64_t index, bool all)
{
    struct drop_job *d = mem_new(1, sizeof *d);
    *d = (struct drop_job){
        .job = {.run = drop_run, .done = drop_done}, .node = n, .index = index, .all = all};
    if (failed(pool_submit(n->checkpoints.bulk, &d->job))) {
        free(d); /* the next start removes it */
    }
}

static uint64_t wanted_by(const struct node *n, const struct checkpoint_told *t);

/* Somebody reads it, or fetches it from another node, which may die. */
static bool is_pulled(const struct node *n, const struct checkpoint *c)
{
    for (size_t i = 0; i < NODES_MAX; i++) {
        if (wanted_by(n, &n->checkpoints.told[i]) == c->manifest->id.index) {
            return true;
        }
    }
    return c->readers > 0 ||
           (c->pulled_ns != 0 && loop_now_ns(n->loop) - c->pulled_ns < SERVE_IDLE_NS);
}

/* Files are kept of what Raft may offer, of what is newer (it may be agreed upon soon) and of what
 * somebody pulls; names of some more, so that who installs an older one can compare. */
static void let_go(struct node *n)
{
    struct consensus_status s;
    size_t count = 0;
    consensus_status(n->consensus, &s);
    for (struct checkpoint **at = &n->checkpoints.newest; *at != NULL;) {
        struct checkpoint *c = *at;
        uint64_t index = c->manifest->id.index;
        bool old = index < s.snapshot_index || (c->refuted && index != s.snapshot_index);
        count++;
        if (c->whole && old && !is_pulled(n, c)) {
            c->whole = false;
            drop(n, index, false);
        }
        if (count > CHECKPOINTS_KEPT_MAX && !c->whole && c->readers == 0) {
            *at = c->next;
            drop(n, index, true);
            checkpoint_free(c);
        } else {
            at = &c->next;
        }
    }
}

/* ---- taking ---- */

struct take_job {
    struct pool_job job;
    struct node *node;
    struct manifest *before; /* owned: of the last one of the same store, or NULL */
    struct manifest *made;
    err result;
    struct errtext why;
};

static struct take_job *take_job_new(struct node *n, void (*run)(struct pool_job *),
                                     void (*done)(struct pool_job *))
{
    struct take_job *t = mem_new(1, sizeof *t);
    t->job = (struct pool_job){.run = run, .done = done};
    t->node = n;
    return t;
}

static void flush_run(struct pool_job *job) /* worker */
{
    struct take_job *t = (struct take_job *)job;
    t->result = kv_flush(t->node->kv, &t->why);
}

static void flush_done(struct pool_job *job)
{
    struct take_job *t = (struct take_job *)job;
    t->node->checkpoints.flushing = false;
    if (failed(t->result)) {
        log_warn("before a checkpoint: %s", t->why.text);
    }
    free(t);
}

static void take_end(struct node *n)
{
    struct checkpoints *k = &n->checkpoints;
    entry_unref(k->mark.conf);
    k->mark = (struct consensus_mark){0};
    k->taking = TAKING_NOTHING;
}

static void examine_run(struct pool_job *job) /* worker */
{
    struct take_job *t = (struct take_job *)job;
    struct checkpoint_paths p = checkpoint_paths_of(t->node);
    t->result = work_finish(&p, &t->node->checkpoints.mark, t->before, &t->made, &t->why);
}

static void examine_done(struct pool_job *job)
{
    struct take_job *t = (struct take_job *)job;
    struct node *n = t->node;
    if (failed(t->result) && n->checkpoints.closing) {
        log_info("the checkpoint of entry %llu is given up: %s", llu(n->checkpoints.mark.index),
                 t->why.text);
    } else if (failed(t->result)) {
        log_error("the checkpoint of entry %llu failed: %s", llu(n->checkpoints.mark.index),
                  t->why.text);
    } else {
        const struct checkpoint_id *id = &t->made->id;
        log_info("checkpoint at height %llu: %u files, %llu bytes", llu(id->height),
                 t->made->file_count, llu(t->made->total_bytes));
        n->checkpoints.described = id->index;
        checkpoint_add(n, t->made, true);
    }
    take_end(n);
    manifest_free(t->before);
    free(t);
    if (!n->checkpoints.closing) {
        checkpoint_tell(n);
        checkpoint_judge(n);
    }
}

static void copy_run(struct pool_job *job) /* worker; apply waits */
{
    struct take_job *t = (struct take_job *)job;
    struct checkpoint_paths p = checkpoint_paths_of(t->node);
    struct checkpoint_path state = checkpoint_path(&p, "checkpoints/new", "state");
    t->result = work_clear_new(&p, &t->why);
    if (!failed(t->result)) {
        t->result = kv_checkpoint(t->node->kv, state.text, &t->why);
    }
}

/* The manifest of the last checkpoint that was made from this very store: a copy, for the list may
 * let go of it meanwhile. */
static struct manifest *described_before(const struct node *n)
{
    struct manifest *m = NULL;
    struct errtext why;
    const struct checkpoint *c = checkpoint_find(n, n->checkpoints.described);
    if (n->checkpoints.described == 0 || c == NULL ||
        failed(manifest_decode(c->manifest->wire, &m, &why))) {
        return NULL;
    }
    return m;
}

static void copy_done(struct pool_job *job)
{
    struct take_job *t = (struct take_job *)job;
    struct node *n = t->node;
    struct checkpoints *k = &n->checkpoints;
    loop_post(n->loop, &n->apply_task);
    if (failed(t->result)) {
        log_error("the checkpoint of entry %llu failed: %s", llu(k->mark.index), t->why.text);
    } else if (!k->closing) {
        struct take_job *next = take_job_new(n, examine_run, examine_done);
        next->before = described_before(n);
        if (!failed(pool_submit(k->bulk, &next->job))) {
            k->taking = TAKING_EXAMINE;
            free(t);
            return;
        }
        manifest_free(next->before);
        free(next);
    }
    take_end(n);
    free(t);
}

static void start_flush(struct node *n)
{
    struct take_job *t = take_job_new(n, flush_run, flush_done);
    if (failed(pool_submit(n->checkpoints.chunks, &t->job))) {
        free(t);
        return;
    }
    n->checkpoints.flushing = true;
}

static void start_copy(struct node *n)
{
    struct checkpoints *k = &n->checkpoints;
    if (k->taking != TAKING_NOTHING) {
        log_warn("no checkpoint at height %llu: the one before is not complete; make "
                 "checkpoint_bytes larger on all nodes",
                 llu(ledger_head(n->ledger).height));
        return;
    }
    if (consensus_mark(n->consensus, &k->mark) != CONSENSUS_OK) {
        return; /* an install is about to replace this state */
    }
    struct take_job *t = take_job_new(n, copy_run, copy_done);
    if (failed(pool_submit(k->chunks, &t->job))) {
        free(t);
        take_end(n);
        return;
    }
    k->taking = TAKING_COPY;
}

/* Between two checkpoints: of the log's length alone, so that every node finds the same. */
static uint64_t unit_at(const struct node *n, uint64_t log_bytes)
{
    uint64_t unit = n->config.checkpoint_bytes;
    require(unit > 0);
    while (unit < log_bytes / CHECKPOINT_SHARE) {
        unit *= 2;
    }
    return unit;
}

void checkpoint_applied(struct node *n, uint64_t bytes_before)
{
    uint64_t unit = unit_at(n, bytes_before);
    uint64_t after = ledger_head(n->ledger).log_bytes;
    uint64_t ahead = unit / 16 < CHECKPOINT_AHEAD_BYTES ? unit / 16 : CHECKPOINT_AHEAD_BYTES;
    struct checkpoints *k = &n->checkpoints;
    require(after > bytes_before);
    if (k->closing) {
        return;
    }
    if (after / unit > bytes_before / unit) {
        start_copy(n);
    } else if ((after + ahead) / unit > (bytes_before + ahead) / unit && !k->flushing &&
               k->taking == TAKING_NOTHING) {
        start_flush(n);
    }
}

bool checkpoint_pauses(const struct node *n)
{
    return n->checkpoints.taking == TAKING_COPY;
}

/* ---- agreement ---- */

static void put_word(struct buf *b, const struct checkpoint *c)
{
    const struct checkpoint_id *id = &c->manifest->id;
    buf_put_u64(b, id->index);
    buf_put_u64(b, id->height);
    buf_put(b, id->digest, 32);
    buf_put(b, id->state_digest, 32);
}

/* The newest ones, the one that this peer wants among them: it may be older by now. */
static void tell_one(struct node *n, uint64_t peer, uint64_t wanted)
{
    const struct checkpoint *extra = wanted == 0 ? NULL : checkpoint_find(n, wanted);
    uint64_t wants = n->checkpoints.fetch.phase == FETCH_IDLE ? 0 : n->checkpoints.fetch.id.index;
    uint8_t count = 0;
    struct buf items;
    struct buf head;
    buf_init(&items, CHECKPOINTS_TOLD_MAX * CHECKPOINT_ID_BYTES);
    buf_init(&head, 16);
    for (const struct checkpoint *c = n->checkpoints.newest; c != NULL; c = c->next) {
        bool room = count + 1 < CHECKPOINTS_TOLD_MAX || extra == NULL;
        if (c == extra || (room && count < CHECKPOINTS_TOLD_MAX)) {
            put_word(&items, c);
            extra = c == extra ? NULL : extra;
            count++;
        }
    }
    buf_put_u8(&head, CHECKPOINTS_VERSION);
    buf_put_u64(&head, wants);
    buf_put_u8(&head, count);
    struct bytes parts[] = {buf_bytes(&head), buf_bytes(&items)};
    if (count > 0 || wants != 0) {
        err e = peer_send(n->links, peer, FRAME_CHECKPOINTS, parts, 2);
        (void)e; /* A node that is down hears the next one. */
    }
    buf_done(&items);
    buf_done(&head);
}

/* What a node wants, by what it told lately. */
static uint64_t wanted_by(const struct node *n, const struct checkpoint_told *t)
{
    bool fresh = t->id != 0 && loop_now_ns(n->loop) - t->heard_ns < SERVE_IDLE_NS;
    return fresh ? t->list.wants : 0;
}

void checkpoint_tell(struct node *n)
{
    uint64_t ids[NODES_MAX];
    size_t peers = peer_ids(n->links, ids);
    for (size_t i = 0; i < peers; i++) {
        uint64_t wanted = 0;
        for (size_t k = 0; k < NODES_MAX; k++) {
            const struct checkpoint_told *t = &n->checkpoints.told[k];
            wanted = t->id == ids[i] ? wanted_by(n, t) : wanted;
        }
        tell_one(n, ids[i], wanted);
    }
}

static struct checkpoint_told *told_of(struct node *n, uint64_t id)
{
    struct checkpoint_told *slot = NULL;
    for (size_t i = 0; i < NODES_MAX; i++) {
        struct checkpoint_told *t = &n->checkpoints.told[i];
        if (t->id == id) {
            return t;
        }
        slot = slot == NULL && (t->id == 0 || node_row(n, t->id) == NULL) ? t : slot;
    }
    return slot;
}

void checkpoint_heard(struct node *n, uint64_t from, struct bytes frame)
{
    struct frame_checkpoints f;
    struct checkpoint_told *t = told_of(n, from);
    if (t == NULL || !frame_checkpoints_read(frame, &f)) {
        host_frame_refused(n, from, "a malformed list of checkpoints");
        return;
    }
    bool news = t->id != from || t->list.count != f.count ||
                memcmp(t->list.items, f.items, sizeof f.items) != 0;
    bool asks = f.wants != 0 && (t->id != from || t->list.wants != f.wants);
    *t = (struct checkpoint_told){from, loop_now_ns(n->loop), f};
    if (asks) {
        checkpoint_tell(n);
    }
    if (news) {
        checkpoint_judge(n);
        loop_post(n->loop, &n->checkpoints.fetch.task);
    }
}

/* What a voter has told of that place: NULL nothing. */
static const struct frame_checkpoint *word_of(const struct node *n, uint64_t voter, uint64_t index)
{
    for (size_t i = 0; i < NODES_MAX; i++) {
        const struct checkpoint_told *t = &n->checkpoints.told[i];
        for (uint8_t k = 0; t->id == voter && k < t->list.count; k++) {
            if (t->list.items[k].index == index) {
                return &t->list.items[k];
            }
        }
    }
    return NULL;
}

static bool same_state(const struct frame_checkpoint *a, const struct frame_checkpoint *b)
{
    return a->height == b->height && memcmp(a->digest, b->digest, 32) == 0 &&
           memcmp(a->state_digest, b->state_digest, 32) == 0;
}

static struct frame_checkpoint word_for(const struct checkpoint_id *id)
{
    struct frame_checkpoint w = {.index = id->index, .height = id->height};
    memcpy(w.digest, id->digest, 32);
    memcpy(w.state_digest, id->state_digest, 32);
    return w;
}

/* Those whose words count: the voters but this node, and how many voters there are. */
struct electorate {
    uint64_t others[NODES_MAX];
    size_t other_count, all;
    bool self; /* this node votes too */
};

static void electorate_add(const struct node *n, uint64_t id, struct electorate *e)
{
    e->all++;
    if (id != n->id) {
        e->others[e->other_count++] = id;
    }
}

/* The voters that this node knows: by its log, or, if it joins and has none, by the bootstrap table
 * that its operator gave. */
static void electorate_known(const struct node *n, struct electorate *ret)
{
    struct consensus_status s;
    consensus_status(n->consensus, &s);
    *ret = (struct electorate){.self = s.member == CONSENSUS_VOTER};
    for (uint32_t i = 0; i < s.peer_count; i++) {
        if (s.peers[i].member == CONSENSUS_VOTER) {
            electorate_add(n, s.peers[i].id, ret);
        }
    }
    ret->all += ret->self;
    for (size_t i = 0; s.voters == 0 && i < n->members.count; i++) {
        if (n->members.rows[i].wish == LEDGER_WISH_VOTER) {
            electorate_add(n, n->members.rows[i].id, ret);
        }
    }
}

/* The voters when the checkpoint that is being fetched was made, as it says itself. False: it is
 * not that one, or says nothing that can be. */
static bool electorate_offered(const struct node *n, const struct checkpoint_id *id,
                               struct electorate *ret)
{
    const struct fetch *f = &n->checkpoints.fetch;
    uint64_t ids[NODES_MAX];
    if (f->phase != FETCH_AGREE || f->manifest == NULL ||
        !checkpoint_id_equal(&f->manifest->id, id)) {
        return false;
    }
    size_t count = consensus_conf_voters(f->manifest->conf, ids);
    *ret = (struct electorate){0};
    for (size_t i = 0; i < count; i++) {
        electorate_add(n, ids[i], ret);
    }
    return count >= VOTERS_MIN;
}

static enum checkpoint_verdict judged_by(const struct node *n, const struct checkpoint_id *id,
                                         const struct electorate *e)
{
    struct frame_checkpoint words[NODES_MAX + 1];
    size_t count = 0;
    const struct frame_checkpoint ours = word_for(id);
    const struct checkpoint *own = checkpoint_find(n, id->index);
    if (e->self && own != NULL) {
        words[count++] = word_for(&own->manifest->id);
    }
    for (size_t i = 0; i < e->other_count; i++) {
        const struct frame_checkpoint *w = word_of(n, e->others[i], id->index);
        if (w != NULL) {
            words[count++] = *w;
        }
    }
    for (size_t i = 0; i < count; i++) {
        size_t votes = 0;
        for (size_t k = 0; k < count; k++) {
            votes += same_state(&words[i], &words[k]);
        }
        if (votes > e->all / 2) {
            return same_state(&words[i], &ours) ? CHECKPOINT_AGREED : CHECKPOINT_REFUTED;
        }
    }
    return CHECKPOINT_UNDECIDED;
}

/* A node that was away may know voters who are gone, and who never confirm anything: then a
 * majority of those who voted there is as good. Each of them is known to this node by its key, and
 * they are two at least, so that no node alone can make up both a state and its voters. */
enum checkpoint_verdict checkpoint_verdict(const struct node *n, const struct checkpoint_id *id)
{
    struct electorate e;
    electorate_known(n, &e);
    enum checkpoint_verdict verdict = judged_by(n, id, &e);
    if (verdict == CHECKPOINT_UNDECIDED && electorate_offered(n, id, &e) &&
        judged_by(n, id, &e) == CHECKPOINT_AGREED) {
        return CHECKPOINT_AGREED;
    }
    return verdict;
}

/* ---- cutting the log ---- */

/* How many entries up to index the tail for slow followers has. Cost: a step an entry. */
static uint32_t trailing_to(const struct node *n, uint64_t index)
{
    uint64_t bytes = 0;
    uint32_t count = 0;
    struct logstore_info info;
    while (count < UINT32_MAX && !failed(logstore_peek(n->log, index - count, &info))) {
        bytes += info.size;
        if (bytes > n->config.log_tail_bytes) {
            break;
        }
        count++;
    }
    return count;
}

static void hand_over(struct node *n, const struct checkpoint *c)
{
    const struct manifest *m = c->manifest;
    struct buf id;
    buf_init(&id, CHECKPOINT_ID_BYTES);
    checkpoint_id_encode(&m->id, &id);
    struct consensus_mark mark = {m->id.index, m->id.term, m->conf_index,
                                  entry_new(m->id.term, ENTRY_CHANGE, m->conf)};
    enum consensus_answer answer =
        consensus_snapshot(n->consensus, &mark, trailing_to(n, m->id.index), buf_bytes(&id));
    if (answer == CONSENSUS_OK) {
        n->checkpoints.cutting = m->id.index;
    }
    entry_unref(mark.conf);
    buf_done(&id);
}

static void refute(struct node *n, struct checkpoint *c)
{
    c->refuted = true;
    alarm_raise(n, ALARM_DIVERGED, n->id,
                "this node has another state than a majority at height %llu: its checkpoint is "
                "not used",
                llu(c->manifest->id.height));
}

void checkpoint_judge(struct node *n)
{
    struct checkpoints *k = &n->checkpoints;
    struct consensus_status s;
    if (k->closing || n->failure[0] != '\0' || n->failing[0] != '\0') {
        return;
    }
    consensus_status(n->consensus, &s);
    for (struct checkpoint *c = k->newest; c != NULL && !s.installing; c = c->next) {
        if (c->manifest->id.index <= s.snapshot_index || c->refuted) {
            continue;
        }
        enum checkpoint_verdict verdict = checkpoint_verdict(n, &c->manifest->id);
        if (verdict == CHECKPOINT_REFUTED) {
            refute(n, c);
        } else if (verdict == CHECKPOINT_AGREED && c->whole && k->cutting == 0) {
            hand_over(n, c);
            break;
        }
    }
    let_go(n);
}

void checkpoint_recorded(struct node *n, uint64_t index, uint64_t log_first)
{
    n->checkpoints.cutting = 0;
    log_info("the checkpoint of entry %llu is agreed upon; the log begins at entry %llu now",
             llu(index), llu(log_first));
    loop_post(n->loop, &n->checkpoints.fetch.task); /* judges again, outside of the driver */
}

/* ---- life ---- */

static err load(struct node *n, struct errtext *reterr)
{
    struct checkpoint_paths p = checkpoint_paths_of(n);
    uint64_t indexes[CHECKPOINTS_KEPT_MAX];
    size_t count = 0;
    TRY(work_list(&p, indexes, CHECKPOINTS_KEPT_MAX, &count, reterr));
    for (size_t i = 0; i < count; i++) {
        struct checkpoint_path dir = checkpoint_dir(&p, indexes[i], NULL);
        struct manifest *m = NULL;
        bool whole = false;
        TRY(work_manifest(&p, dir.text, &m, reterr));
        err e = work_whole(&p, dir.text, m, &whole, reterr);
        if (failed(e)) {
            manifest_free(m);
            return e;
        }
        checkpoint_add(n, m, whole);
    }
    return err_ok();
}

err checkpoint_open(struct node *n, struct errtext *reterr)
{
    struct checkpoints *k = &n->checkpoints;
    require(k->files.open != NULL);
    TRY(pool_new(n->loop, BULK_THREADS, CHECKPOINT_JOBS_MAX, &k->bulk, reterr));
    pool_yields(k->bulk); /* minutes of reading and hashing: heartbeats and blocks go first */
    TRY(pool_new(n->loop, CHUNK_THREADS, CHUNK_JOBS_MAX, &k->chunks, reterr));
    return load(n, reterr);
}

void checkpoint_drain(struct node *n)
{
    n->checkpoints.closing = true;
    atomic_store(&n->checkpoints.stop, true); /* minutes of reading: the next start does it again */
    if (n->checkpoints.chunks != NULL) {
        pool_drain(n->checkpoints.chunks);
    }
    if (n->checkpoints.bulk != NULL) {
        pool_drain(n->checkpoints.bulk);
    }
}

void checkpoint_close(struct node *n)
{
    struct checkpoints *k = &n->checkpoints;
    loop_timer_stop(n->loop, &k->serve.timer);
    pool_free(k->chunks);
    pool_free(k->bulk);
    k->chunks = k->bulk = NULL;
    while (k->newest != NULL) {
        struct checkpoint *c = k->newest;
        k->newest = c->next;
        checkpoint_free(c);
    }
    entry_unref(k->mark.conf);
    fetch_done(n);
}
