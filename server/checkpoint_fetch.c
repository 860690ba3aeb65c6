/* A checkpoint on its way from another node into staging/: asked for piece by piece, written by a
 * worker, checked as a whole, and installed when a majority has told its state digest.
 *
 *   IDLE > LOOK > ASK > STAGE > FILES > VERIFY > AGREE > READY > INSTALL > IDLE
 *            ^-----+------------'---------'     (another source, damaged files)
 *
 * The link is one FIFO and so is the worker: pieces come and are written in the order they were
 * asked for. So the length of a file in staging/ says what of it is there, after a crash too (what
 * a power cut made of it the hash tells). */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/require.h"
#include "server/checkpoint_work.h"
#include "server/parts.h"

static unsigned long long llu(uint64_t v)
{
    return (unsigned long long)v;
}

static struct fetch *fetch_of(struct node *n)
{
    return &n->checkpoints.fetch;
}

static void step(struct node *n)
{
    loop_post(n->loop, &fetch_of(n)->task);
}

static void forget_window(struct fetch *f)
{
    f->window_first = f->window_count = 0;
    f->generation++;
}

/* No source is left, or this disk fails: the driver gives the install up, and is
 * offered another. */
static void give_up(struct node *n, const char *why)
{
    struct fetch *f = fetch_of(n);
    log_warn("the checkpoint at height %llu was not fetched: %s; starting over", llu(f->id.height),
             why);
    forget_window(f);
    f->phase = FETCH_IDLE;
    f->failed = true;
    step(n);
}

/* ---- sources ---- */

static bool is_refused(const struct fetch *f, uint64_t id)
{
    for (size_t i = 0; i < f->refused_count; i++) {
        if (f->refused[i] == id) {
            return true;
        }
    }
    return false;
}

static bool is_up(const struct node *n, uint64_t id)
{
    struct peer_status link;
    return id != 0 && !failed(peer_status(n->links, id, &link)) && link.out_up;
}

static bool has_told(const struct node *n, uint64_t id, const struct checkpoint_id *want)
{
    for (size_t i = 0; i < NODES_MAX; i++) {
        const struct checkpoint_told *t = &n->checkpoints.told[i];
        for (uint8_t k = 0; t->id == id && k < t->list.count; k++) {
            const struct frame_checkpoint *item = &t->list.items[k];
            if (item->index == want->index && item->height == want->height &&
                memcmp(item->state_digest, want->state_digest, 32) == 0) {
                return true;
            }
        }
    }
    return false;
}

/* The source that is pulled from, or another one that says it has this state; 0: none. */
static uint64_t pick_source(const struct node *n, uint64_t not_this)
{
    const struct fetch *f = &n->checkpoints.fetch;
    if (f->source != not_this && is_up(n, f->source) && !is_refused(f, f->source)) {
        return f->source;
    }
    uint64_t ids[NODES_MAX];
    size_t count = peer_ids(n->links, ids);
    for (size_t i = 0; i < count; i++) {
        if (ids[i] != not_this && !is_refused(f, ids[i]) && is_up(n, ids[i]) &&
            has_told(n, ids[i], &f->id)) {
            return ids[i];
        }
    }
    return 0;
}

static bool ask(struct node *n, uint32_t file, uint64_t offset, uint32_t length)
{
    const struct fetch *f = fetch_of(n);
    struct buf frame;
    buf_init(&frame, 64);
    buf_put_u64(&frame, f->id.index);
    buf_put_u32(&frame, file);
    buf_put_u64(&frame, offset);
    buf_put_u32(&frame, length);
    struct bytes part = buf_bytes(&frame);
    err e = peer_send(n->links, f->source, FRAME_FETCH, &part, 1);
    buf_done(&frame);
    return !failed(e);
}

static void ask_manifest(struct node *n)
{
    struct fetch *f = fetch_of(n);
    f->asked_ns = loop_now_ns(n->loop);
    (void)ask(n, FETCH_MANIFEST, f->manifest_wire.size, FETCH_CHUNK_BYTES); /* watched */
}

/* Begins with a source; what is staged already is kept if its files turn out to be the same. */
static void begin_with(struct node *n, uint64_t source)
{
    struct fetch *f = fetch_of(n);
    f->source = source;
    f->phase = FETCH_ASK;
    buf_clear(&f->manifest_wire);
    ask_manifest(n);
}

static void look_again(struct node *n)
{
    struct fetch *f = fetch_of(n);
    forget_window(f);
    f->phase = FETCH_LOOK;
    step(n);
}

static void refuse_source(struct node *n, const char *why)
{
    struct fetch *f = fetch_of(n);
    log_warn("node %llu does not serve the checkpoint at height %llu: %s", llu(f->source),
             llu(f->id.height), why);
    if (f->refused_count < NODES_MAX) {
        f->refused[f->refused_count++] = f->source;
    }
    look_again(n);
}

/* ---- the worker's jobs ---- */

enum fetch_work { WORK_LOOK, WORK_STAGE, WORK_VERIFY, WORK_READY };

struct fetch_job {
    struct pool_job job;
    struct node *node;
    enum fetch_work work;
    uint64_t generation; /* of an earlier fetch it means nothing */
    bool resume;
    struct manifest *found; /* LOOK */
    uint32_t damaged;       /* VERIFY */
    err result;
    struct errtext why;
};

/* The fetch stays as it is while a job of it is under way (`working`): the worker reads it. */
static void job_run(struct pool_job *job) /* worker */
{
    struct fetch_job *j = (struct fetch_job *)job;
    struct fetch *f = fetch_of(j->node);
    struct checkpoint_paths p = checkpoint_paths_of(j->node);
    struct checkpoint_path staging = checkpoint_path(&p, "staging", NULL);
    switch (j->work) {
    case WORK_LOOK:
        j->result = work_manifest(&p, staging.text, &j->found, &j->why);
        break;
    case WORK_STAGE:
        j->result = work_stage(&p, f->manifest, j->resume, f->have, &j->why);
        break;
    case WORK_VERIFY:
        j->result = work_verify(&p, staging.text, f->manifest, f->have, &j->damaged, &j->why);
        break;
    case WORK_READY:
        j->result = work_ready(&p, &j->why);
        break;
    }
}

static void job_done(struct pool_job *job);

static void start_work(struct node *n, enum fetch_work work, bool resume)
{
    struct fetch *f = fetch_of(n);
    struct fetch_job *j = mem_new(1, sizeof *j);
    require(!f->working);
    *j = (struct fetch_job){
        .job = {.run = job_run, .done = job_done},
        .node = n,
        .work = work,
        .generation = f->generation,
        .resume = resume,
    };
    if (failed(pool_submit(n->checkpoints.bulk, &j->job))) {
        free(j);
        give_up(n, "this node has too much to do");
        return;
    }
    f->working = true;
}

static void end_look(struct node *n, struct fetch_job *j)
{
    struct fetch *f = fetch_of(n);
    manifest_free(f->staged);
    f->staged = failed(j->result) || f->fresh ? NULL : j->found;
    if (f->staged == NULL) {
        manifest_free(j->found);
    }
    f->fresh = false;
    f->phase = FETCH_ASK;
    f->progress_ns = loop_now_ns(n->loop);
    uint64_t source = pick_source(n, 0);
    if (source != 0) {
        begin_with(n, source);
    } else {
        f->source = 0; /* fetch_watch looks for one */
    }
}

static void count_bytes(struct fetch *f)
{
    f->bytes = 0;
    for (uint32_t i = 0; i < f->manifest->file_count; i++) {
        f->bytes += f->have[i];
    }
}

/* The next piece is the first byte that is not there. */
static void rewind_pieces(struct fetch *f)
{
    f->window_first = f->window_count = 0;
    f->file = 0;
    f->offset = f->have[0];
}

static void pump(struct node *n);

static void end_stage(struct node *n, const struct fetch_job *j)
{
    struct fetch *f = fetch_of(n);
    if (failed(j->result)) {
        give_up(n, j->why.text);
        return;
    }
    count_bytes(f);
    f->total = f->manifest->total_bytes;
    f->told_tenth = f->total == 0 ? 0 : f->bytes * 10 / f->total;
    f->phase = FETCH_FILES;
    f->progress_ns = loop_now_ns(n->loop);
    log_info("fetching the checkpoint at height %llu from node %llu: %llu of %llu bytes are here",
             llu(f->id.height), llu(f->source), llu(f->bytes), llu(f->total));
    rewind_pieces(f);
    pump(n);
}

static void end_verify(struct node *n, const struct fetch_job *j)
{
    struct fetch *f = fetch_of(n);
    if (failed(j->result)) {
        /* Whole files of a wrong state: nothing of it is kept. */
        f->fresh = true;
        refuse_source(n, j->why.text);
        return;
    }
    if (j->damaged == 0) {
        f->phase = FETCH_AGREE;
        f->progress_ns = loop_now_ns(n->loop);
        step(n);
        return;
    }
    log_warn("%u files of the checkpoint at height %llu were damaged on the way", j->damaged,
             llu(f->id.height));
    if (++f->rounds >= FETCH_ROUNDS_MAX) {
        f->rounds = 0;
        refuse_source(n, "its files are not what its manifest says");
        return;
    }
    f->phase = FETCH_FILES;
    f->progress_ns = loop_now_ns(n->loop);
    count_bytes(f);
    rewind_pieces(f);
    pump(n);
}

static void end_ready(struct node *n, const struct fetch_job *j)
{
    struct fetch *f = fetch_of(n);
    if (failed(j->result)) {
        give_up(n, j->why.text);
        return;
    }
    f->phase = FETCH_INSTALL;
    if (f->repair) {
        loop_post(n->loop, &n->repair.task);
    } else {
        consensus_fetched(n->consensus, true);
    }
}

static void job_done(struct pool_job *job)
{
    struct fetch_job *j = (struct fetch_job *)job;
    struct node *n = j->node;
    struct fetch *f = fetch_of(n);
    f->working = false;
    if (n->checkpoints.closing || j->generation != f->generation) {
        manifest_free(j->found);
        free(j);
        step(n); /* another fetch waited for this */
        return;
    }
    switch (j->work) {
    case WORK_LOOK:
        end_look(n, j);
        break;
    case WORK_STAGE:
        end_stage(n, j);
        break;
    case WORK_VERIFY:
        end_verify(n, j);
        break;
    case WORK_READY:
        end_ready(n, j);
        break;
    }
    free(j);
}

/* ---- chunks ---- */

struct chunk_job {
    struct pool_job job;
    struct node *node;
    uint64_t generation;
    struct fetch_piece piece;
    struct checkpoint_path path;
    int rc;
    uint8_t data[];
};

static void write_run(struct pool_job *job) /* worker */
{
    struct chunk_job *c = (struct chunk_job *)job;
    const struct fileops *ops = &c->node->checkpoints.files;
    int fd = ops->open(ops->ctx, c->path.text, O_RDWR | O_CREAT);
    c->rc = fd;
    if (fd >= 0) {
        c->rc = ops->pwrite(ops->ctx, fd, c->data, c->piece.length, c->piece.offset);
        ops->close(ops->ctx, fd);
    }
}

static void tell_progress(struct node *n)
{
    struct fetch *f = fetch_of(n);
    uint64_t tenth = f->total == 0 ? 10 : f->bytes * 10 / f->total;
    if (tenth > f->told_tenth) {
        f->told_tenth = tenth;
        log_info("the checkpoint at height %llu: %llu of %llu bytes (%llu %%)", llu(f->id.height),
                 llu(f->bytes), llu(f->total), llu(tenth * 10));
    }
}

static void write_done(struct pool_job *job)
{
    struct chunk_job *c = (struct chunk_job *)job;
    struct node *n = c->node;
    struct fetch *f = fetch_of(n);
    f->writing--;
    bool current = c->generation == f->generation && f->phase == FETCH_FILES;
    if (current && c->rc < 0) {
        log_error("write %s: %s", c->path.text, strerror(-c->rc));
        give_up(n, "it cannot be written here");
    } else if (current) {
        f->have[c->piece.file] = c->piece.offset + c->piece.length;
        f->bytes += c->piece.length;
        tell_progress(n);
        pump(n);
    } else if (f->phase == FETCH_LOOK) {
        step(n); /* it waited for this */
    }
    free(c);
}

static void write_piece(struct node *n, const struct fetch_piece *piece, struct bytes data)
{
    struct fetch *f = fetch_of(n);
    struct checkpoint_paths p = checkpoint_paths_of(n);
    struct chunk_job *c = mem_new(1, sizeof *c + data.size);
    const char *name = f->manifest->files[piece->file].name;
    c->job = (struct pool_job){.run = write_run, .done = write_done};
    c->node = n;
    c->generation = f->generation;
    c->piece = *piece;
    memcpy(c->data, data.data, data.size);
    c->path = checkpoint_path(&p, "staging/state", name);
    if (failed(pool_submit(n->checkpoints.chunks, &c->job))) {
        free(c);
        give_up(n, "this node has too much to do");
        return;
    }
    f->writing++;
}

/* Asks for what fits the window; verifies when everything is here. */
static void pump(struct node *n)
{
    struct fetch *f = fetch_of(n);
    const struct manifest *m = f->manifest;
    require(f->phase == FETCH_FILES);
    while (f->window_count + f->writing < FETCH_WINDOW) {
        while (f->file < m->file_count && f->offset >= m->files[f->file].size) {
            f->file++;
            f->offset = f->file < m->file_count ? f->have[f->file] : 0;
        }
        if (f->file == m->file_count) {
            break;
        }
        uint64_t left = m->files[f->file].size - f->offset;
        struct fetch_piece piece = {
            .file = f->file,
            .offset = f->offset,
            .length = left < FETCH_CHUNK_BYTES ? (uint32_t)left : FETCH_CHUNK_BYTES,
        };
        if (!ask(n, piece.file, piece.offset, piece.length)) {
            return; /* watched */
        }
        f->asked_ns = loop_now_ns(n->loop);
        f->window[(f->window_first + f->window_count++) % FETCH_WINDOW] = piece;
        f->offset += piece.length;
    }
    if (f->file == m->file_count && f->window_count == 0 && f->writing == 0) {
        f->phase = FETCH_VERIFY;
        start_work(n, WORK_VERIFY, false);
    }
}

static void take_manifest(struct node *n, const struct frame_chunk *c)
{
    struct fetch *f = fetch_of(n);
    struct manifest *m = NULL;
    struct errtext why;
    if (c->file != FETCH_MANIFEST || c->offset != f->manifest_wire.size) {
        return; /* of an earlier question */
    }
    if (c->total > MANIFEST_BYTES_MAX) {
        refuse_source(n, "its manifest is too large");
        return;
    }
    f->progress_ns = loop_now_ns(n->loop);
    buf_put_bytes(&f->manifest_wire, c->data);
    if (f->manifest_wire.size < c->total) {
        ask_manifest(n);
        return;
    }
    if (failed(manifest_decode(buf_bytes(&f->manifest_wire), &m, &why))) {
        refuse_source(n, why.text);
        return;
    }
    if (f->repair) {
        f->id.position = m->id.position; /* no node tells it; the state that is read does */
    }
    if (!checkpoint_id_equal(&m->id, &f->id)) {
        manifest_free(m);
        refuse_source(n, "it has another state there");
        return;
    }
    manifest_free(f->manifest);
    free(f->have);
    f->manifest = m;
    f->have = mem_new(m->file_count, sizeof *f->have);
    f->phase = FETCH_STAGE;
    bool resume = f->staged != NULL && bytes_equal(f->staged->wire, m->wire);
    start_work(n, WORK_STAGE, resume);
}

static void take_piece(struct node *n, const struct frame_chunk *c)
{
    struct fetch *f = fetch_of(n);
    const struct fetch_piece piece = f->window[f->window_first];
    if (f->window_count == 0 || c->file != piece.file || c->offset != piece.offset) {
        return; /* asked for before a stall, and late */
    }
    if (c->data.size != piece.length || c->total != f->manifest->files[piece.file].size) {
        refuse_source(n, "a chunk of another size than was asked for");
        return;
    }
    f->window_first = (f->window_first + 1) % FETCH_WINDOW;
    f->window_count--;
    f->progress_ns = loop_now_ns(n->loop);
    write_piece(n, &piece, c->data);
}

void fetch_chunk(struct node *n, uint64_t from, struct bytes frame)
{
    struct fetch *f = fetch_of(n);
    struct frame_chunk c;
    if (!frame_chunk_read(frame, &c)) {
        host_frame_refused(n, from, "a malformed chunk of a checkpoint");
        return;
    }
    bool wanted = f->phase == FETCH_ASK || f->phase == FETCH_FILES;
    if (!wanted || from != f->source || c.index != f->id.index) {
        return; /* Late, or nobody has asked: nothing follows from it. */
    }
    if (c.status != CHUNK_OK) {
        refuse_source(n, c.status == CHUNK_UNKNOWN ? "it does not have it" : "it cannot read it");
    } else if (f->phase == FETCH_ASK) {
        take_manifest(n, &c);
    } else {
        take_piece(n, &c);
    }
}

/* ---- the way through ---- */

static void agree(struct node *n)
{
    struct fetch *f = fetch_of(n);
    switch (checkpoint_verdict(n, &f->id)) {
    case CHECKPOINT_AGREED:
        f->phase = FETCH_READY;
        start_work(n, WORK_READY, false);
        return;
    case CHECKPOINT_REFUTED:
        alarm_raise(n, ALARM_PEER_LIES, f->source,
                    "the state that node %llu serves at height %llu is not that of a majority",
                    llu(f->source), llu(f->id.height));
        give_up(n, "a majority has another state there");
        return;
    case CHECKPOINT_UNDECIDED:
        break;
    }
    if (!f->waits_said) {
        f->waits_said = true;
        log_info("the checkpoint at height %llu is here; waiting until a majority of the voters "
                 "confirms its digest",
                 llu(f->id.height));
    }
}

static void run_fetch(struct loop_task *task)
{
    struct node *n = task->ctx;
    struct fetch *f = fetch_of(n);
    if (n->checkpoints.closing || n->failure[0] != '\0' || n->failing[0] != '\0') {
        return;
    }
    checkpoint_judge(n);
    if (f->phase == FETCH_LOOK) {
        checkpoint_tell(n); /* so that the others tell of it, and keep it */
    }
    if (f->failed && !f->working) {
        f->failed = false;
        if (!f->repair) {
            consensus_fetched(n->consensus, false);
        }
    } else if (f->phase == FETCH_LOOK && !f->working && f->writing == 0) {
        start_work(n, WORK_LOOK, false);
    } else if (f->phase == FETCH_AGREE) {
        agree(n);
    }
}

static void begin_fetch(struct fetch *f, const struct checkpoint_id *id, uint64_t source,
                        uint64_t now_ns)
{
    f->id = *id;
    f->source = source;
    f->bytes = f->total = f->refused_count = f->rounds = 0;
    f->waits_said = false;
    f->began_ns = f->progress_ns = now_ns;
    forget_window(f);
}

void fetch_repair(struct node *n, const struct checkpoint_id *id)
{
    struct fetch *f = fetch_of(n);
    require(f->phase == FETCH_IDLE);
    begin_fetch(f, id, 0, loop_now_ns(n->loop));
    f->repair = true;
    f->failed = false;
    f->phase = FETCH_LOOK;
    log_info("the damaged state is replaced by the checkpoint at height %llu", llu(id->height));
    step(n);
}

/* Raft's offer comes first: a node that is too far behind has nothing to go on from. */
void fetch_wanted(struct node *n, const struct consensus_snapshot *s)
{
    struct fetch *f = fetch_of(n);
    struct checkpoint_id id = {0};
    bool good = s->manifest != NULL && checkpoint_id_decode(entry_bytes(s->manifest), &id) &&
                id.index == s->index && id.term == s->term;
    require(f->phase == FETCH_IDLE || f->repair);
    begin_fetch(f, &id, s->source, loop_now_ns(n->loop));
    f->repair = false;
    f->failed = !good;
    f->phase = good ? FETCH_LOOK : FETCH_IDLE;
    if (good) {
        log_info("this node is too far behind: node %llu offers a checkpoint at height %llu",
                 llu(s->source), llu(id.height));
    } else {
        log_error("node %llu offers a checkpoint that makes no sense", llu(s->source));
    }
    step(n);
}

/* Nothing has come for a while: the same one again, if it can be reached; else another. */
static void try_again(struct node *n)
{
    struct fetch *f = fetch_of(n);
    uint64_t now = loop_now_ns(n->loop);
    bool often = now - f->progress_ns > 2 * FETCH_STALL_NS;
    uint64_t source = pick_source(n, 0);
    uint64_t other = pick_source(n, f->source);
    source = (often || source == 0) && other != 0 ? other : source;
    f->asked_ns = now;
    if (source == 0) {
        return;
    }
    if (source != f->source) {
        log_info("going on with node %llu", llu(source));
        f->source = source;
        look_again(n);
    } else if (f->phase == FETCH_ASK) {
        begin_with(n, source);
    } else if (f->writing == 0) {
        forget_window(f);
        rewind_pieces(f);
        pump(n);
    }
}

void fetch_watch(struct node *n)
{
    struct fetch *f = fetch_of(n);
    uint64_t now = loop_now_ns(n->loop);
    if (f->phase == FETCH_AGREE && now - f->progress_ns > FETCH_AGREE_NS) {
        give_up(n, "too few voters are left that remember it");
    } else if (f->phase == FETCH_AGREE) {
        step(n);
    }
    if (f->phase != FETCH_ASK && f->phase != FETCH_FILES) {
        return;
    }
    uint64_t patience = is_up(n, f->source) ? FETCH_STALL_NS : FETCH_STALL_NS / 2;
    if (now - f->progress_ns > FETCH_GIVE_UP_NS) {
        give_up(n, "no node that can be reached serves it");
    } else if (now - f->progress_ns > patience && now - f->asked_ns > patience) {
        try_again(n);
    }
}

struct manifest *fetch_end(struct node *n)
{
    struct fetch *f = fetch_of(n);
    struct manifest *m = f->manifest;
    require(!f->working);
    f->manifest = NULL;
    f->phase = FETCH_IDLE;
    f->failed = f->repair = false;
    forget_window(f);
    manifest_free(f->staged);
    f->staged = NULL;
    return m;
}

void fetch_init(struct node *n)
{
    struct fetch *f = fetch_of(n);
    loop_task_init(&f->task, run_fetch, n);
    buf_init(&f->manifest_wire, MANIFEST_BYTES_MAX);
}

void fetch_done(struct node *n)
{
    struct fetch *f = fetch_of(n);
    manifest_free(f->staged);
    manifest_free(f->manifest);
    free(f->have);
    buf_done(&f->manifest_wire);
}
