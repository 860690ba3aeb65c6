/* Files of agreed checkpoints for nodes that are too far behind: chunk by chunk, at a limited rate,
 * so that heartbeats and blocks on the same link wait for a chunk at most. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/require.h"
#include "server/checkpoint_work.h"
#include "server/parts.h"

enum { READING_MAX = FETCH_WINDOW };

struct read_job {
    struct pool_job job;
    struct node *node;
    struct checkpoint *from; /* readers counts this job */
    struct serve_request request;
    struct checkpoint_path path;
    uint64_t total;
    int64_t have; /* bytes read, or a negative errno */
    uint8_t data[];
};

static void answer(struct node *n, uint64_t peer, const struct frame_chunk *chunk)
{
    struct buf head;
    buf_init(&head, CHUNK_HEAD_BYTES);
    frame_chunk_head(chunk, &head);
    struct bytes parts[] = {buf_bytes(&head), chunk->data};
    err e = peer_send(n->links, peer, FRAME_CHUNK, parts, 2);
    (void)e; /* It asks again. */
    buf_done(&head);
}

static void refuse(struct node *n, const struct serve_request *r, enum chunk_status status)
{
    answer(n, r->peer,
           &(struct frame_chunk){.index = r->fetch.index,
                                 .file = r->fetch.file,
                                 .offset = r->fetch.offset,
                                 .status = status});
}

static void serve_some(struct node *n);

static void read_run(struct pool_job *job) /* worker */
{
    struct read_job *r = (struct read_job *)job;
    const struct fileops *ops = &r->node->checkpoints.files;
    int fd = ops->open(ops->ctx, r->path.text, O_RDONLY);
    r->have = fd;
    if (fd >= 0) {
        r->have =
            ops->pread(ops->ctx, fd, r->data, r->request.fetch.length, r->request.fetch.offset);
        ops->close(ops->ctx, fd);
    }
}

static void read_done(struct pool_job *job)
{
    struct read_job *r = (struct read_job *)job;
    struct node *n = r->node;
    const struct frame_fetch *f = &r->request.fetch;
    r->from->readers--;
    n->checkpoints.serve.reading--;
    if (r->have != (int64_t)f->length) {
        log_warn("%s cannot be read: %s", r->path.text,
                 r->have < 0 ? strerror((int)-r->have) : "it is too short");
        refuse(n, &r->request, CHUNK_UNREADABLE);
    } else {
        answer(n, r->request.peer,
               &(struct frame_chunk){.index = f->index,
                                     .file = f->file,
                                     .offset = f->offset,
                                     .total = r->total,
                                     .data = bytes_of(r->data, f->length)});
    }
    free(r);
    if (!n->checkpoints.closing) {
        serve_some(n);
    }
}

/* The manifest is in memory. */
static void serve_manifest(struct node *n, const struct serve_request *r,
                           const struct checkpoint *c)
{
    struct bytes wire = c->manifest->wire;
    uint64_t left = r->fetch.offset < wire.size ? wire.size - r->fetch.offset : 0;
    if (left == 0) {
        host_frame_refused(n, r->peer, "it asks for bytes that a manifest does not have");
        return;
    }
    size_t size = left < r->fetch.length ? (size_t)left : r->fetch.length;
    answer(n, r->peer,
           &(struct frame_chunk){.index = r->fetch.index,
                                 .file = r->fetch.file,
                                 .offset = r->fetch.offset,
                                 .total = wire.size,
                                 .data = bytes_of(wire.data + r->fetch.offset, size)});
}

static void serve_file(struct node *n, const struct serve_request *r, struct checkpoint *c)
{
    const struct frame_fetch *f = &r->fetch;
    struct checkpoint_paths p = checkpoint_paths_of(n);
    const struct manifest *m = c->manifest;
    if (f->file >= m->file_count || f->offset > m->files[f->file].size ||
        f->length > m->files[f->file].size - f->offset) {
        host_frame_refused(n, r->peer, "it asks for bytes that a checkpoint does not have");
        return;
    }
    struct read_job *job = mem_new(1, sizeof *job + f->length);
    job->job = (struct pool_job){.run = read_run, .done = read_done};
    job->node = n;
    job->from = c;
    job->request = *r;
    job->total = m->files[f->file].size;
    job->path = checkpoint_dir(&p, m->id.index, "state/");
    size_t used = strlen(job->path.text);
    require(used + strlen(m->files[f->file].name) < sizeof job->path.text);
    memcpy(job->path.text + used, m->files[f->file].name, strlen(m->files[f->file].name) + 1);
    if (failed(pool_submit(n->checkpoints.chunks, &job->job))) {
        free(job); /* it asks again */
        return;
    }
    c->readers++;
    n->checkpoints.serve.reading++;
}

static void serve_one(struct node *n, const struct serve_request *r)
{
    struct consensus_status s;
    struct checkpoint *c = checkpoint_find(n, r->fetch.index);
    consensus_status(n->consensus, &s);
    /* What Raft offers here was agreed upon; so was what it offered before. */
    if (c == NULL || !c->whole || c->refuted || c->manifest->id.index > s.snapshot_index) {
        refuse(n, r, CHUNK_UNKNOWN);
        return;
    }
    c->pulled_ns = loop_now_ns(n->loop);
    if (r->fetch.file == FETCH_MANIFEST) {
        serve_manifest(n, r, c);
    } else {
        serve_file(n, r, c);
    }
}

/* ---- the rate ---- */

static void refill(struct node *n)
{
    struct serve *v = &n->checkpoints.serve;
    uint64_t now = loop_now_ns(n->loop);
    uint64_t depth = (uint64_t)FETCH_WINDOW * FETCH_CHUNK_BYTES;
    uint64_t since_us = (now - v->refilled_ns) / NS_PER_US;
    since_us = since_us < 1000000 ? since_us : 1000000; /* a second fills it, and nothing wraps */
    uint64_t earned = since_us * (n->config.snapshot_rate / 1000) / 1000;
    if (earned > 0) {
        v->refilled_ns = now;
        v->tokens = v->tokens + earned < depth ? v->tokens + earned : depth;
    }
}

static void serve_some(struct node *n)
{
    struct serve *v = &n->checkpoints.serve;
    refill(n);
    while (v->count > 0 && v->reading < READING_MAX) {
        struct serve_request *r = &v->queue[v->first];
        if (v->tokens < r->fetch.length) {
            loop_timer_start(n->loop, &v->timer, NS_PER_MS, 0);
            return;
        }
        v->tokens -= r->fetch.length;
        struct serve_request now = *r;
        v->first = (v->first + 1) % SERVE_QUEUE_MAX;
        v->count--;
        serve_one(n, &now);
    }
}

static void serve_later(struct loop_timer *timer)
{
    serve_some(timer->ctx);
}

void serve_init(struct node *n)
{
    loop_timer_init(&n->checkpoints.serve.timer, serve_later, n);
}

static size_t waiting_of(const struct serve *v, uint64_t peer)
{
    size_t count = 0;
    for (size_t i = 0; i < v->count; i++) {
        count += v->queue[(v->first + i) % SERVE_QUEUE_MAX].peer == peer;
    }
    return count;
}

void serve_asked(struct node *n, uint64_t from, struct bytes frame)
{
    struct serve *v = &n->checkpoints.serve;
    struct serve_request r = {.peer = from};
    if (!frame_fetch_read(frame, &r.fetch)) {
        host_frame_refused(n, from, "a malformed request for a checkpoint");
        return;
    }
    /* One that asks again after a stall may have two windows here; more is not honest. */
    if (v->count == SERVE_QUEUE_MAX || waiting_of(v, from) >= 2 * FETCH_WINDOW) {
        return;
    }
    v->queue[(v->first + v->count++) % SERVE_QUEUE_MAX] = r;
    serve_some(n);
}
