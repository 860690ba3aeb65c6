/* The writer: executes jobs in order, many entries to one write and one sync. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/limits.h"
#include "base/require.h"
#include "storage/logstore_own.h"

static err sync_timed(struct logstore *ls, int fd, const char *path, struct errtext *reterr)
{
    uint64_t from = clock_monotonic_ns(&ls->clock);
    int rc = ls->dir.ops.fdatasync(ls->dir.ops.ctx, fd);
    uint64_t took = clock_monotonic_ns(&ls->clock) - from;
    pthread_mutex_lock(&ls->queue.lock);
    struct logfigures *f = &ls->queue.figures;
    latency_add(&f->sync, took);
    if (f->recent.count == LOG_RECENT_SYNCS) {
        f->before = f->recent;
        f->recent = (struct latency){.count = 0};
    }
    latency_add(&f->recent, took);
    pthread_mutex_unlock(&ls->queue.lock);
    return rc == 0 ? err_ok() : logdir_fail(reterr, "sync", path, rc);
}

/* Slot after slot, each synced, one that is surely on disk last: a write that is torn, or one slot
 * that rots later, leaves the other with what was acknowledged. */
err logwriter_root(struct logstore *ls, const struct log_root *root, struct errtext *reterr)
{
    struct logwriter *w = &ls->writer;
    require(w->root_fd >= 0);
    require(w->root.slot_durable <= 1);
    struct logpath path = logdir_path(&ls->dir, LOG_NAME_ROOT);
    struct log_root next = *root;
    next.sequence = w->root.sequence + 1;
    next.slot_first = 1 - w->root.slot_durable;
    next.slot_durable = next.slot_first;
    uint8_t slot[LOG_ROOT_SLOT_BYTES];
    log_root_encode(&next, slot);
    const uint64_t order[2] = {next.slot_first, 1 - next.slot_first};
    for (size_t i = 0; i < 2; i++) {
        int rc = ls->dir.ops.pwrite(ls->dir.ops.ctx, w->root_fd, slot, sizeof slot,
                                    order[i] * LOG_ROOT_SLOT_STRIDE);
        if (rc != 0) {
            return logdir_fail(reterr, "write", path.text, rc);
        }
        TRY(sync_timed(ls, w->root_fd, path.text, reterr));
    }
    w->root = next;
    return err_ok();
}

err logwriter_roll(struct logstore *ls, uint64_t size_min, struct errtext *reterr)
{
    struct logwriter *w = &ls->writer;
    struct log_segment s = {w->segment_number + 1, ls->dir.ops.random(ls->dir.ops.ctx),
                            w->group_next};
    uint64_t size = size_min > w->segment_bytes ? size_min : w->segment_bytes;
    int fd = -1;
    TRY(logdir_make_segment(&ls->dir, &s, size, &fd, reterr));
    if (w->segment_fd >= 0) {
        ls->dir.ops.close(ls->dir.ops.ctx, w->segment_fd);
    }
    w->segment_fd = fd;
    w->segment_number = s.number;
    w->segment_size = size;
    w->offset = LOG_SEGMENT_HEAD_BYTES;
    w->seed = log_seed(s.salt);
    struct log_root root = w->root;
    root.segment_last = s.number;
    root.group_synced = w->group_next - 1;
    return logwriter_root(ls, &root, reterr);
}

static size_t job_body_bytes(const struct logstore_job *job)
{
    size_t bytes = 0;
    for (size_t i = 0; i < job->entries_count; i++) {
        bytes += LOG_RECORD_HEAD_BYTES + job->entries[i].data.size;
    }
    return bytes;
}

static void job_encode(struct logwriter *w, struct logstore_job *job)
{
    job->own.segment = w->segment_number;
    job->own.offset = w->offset + w->group.size;
    for (size_t i = 0; i < job->entries_count; i++) {
        const struct logstore_entry *entry = &job->entries[i];
        struct log_record r = {job->first + i, entry->term, entry->type, entry->data};
        log_record_put(&w->group, &r, w->seed);
    }
    w->last = job->first + job->entries_count - 1;
}

/* Jobs from first up to (not including) end, body_size bytes of records, in one write and sync. */
static err write_group(struct logstore *ls, struct logstore_job *first,
                       const struct logstore_job *end, size_t body_size, struct errtext *reterr)
{
    struct logwriter *w = &ls->writer;
    size_t size = log_group_size(body_size);
    if (size > w->segment_size - w->offset) {
        TRY(logwriter_roll(ls, LOG_SEGMENT_HEAD_BYTES + size, reterr));
    }
    require(size <= w->segment_size - w->offset);
    struct log_group g = {.number = w->group_next, .index_synced = w->last};
    buf_clear(&w->group);
    size_t at = log_group_begin(&w->group);
    for (struct logstore_job *job = first; job != end; job = job->own.next) {
        g.count += (uint32_t)job->entries_count;
        job_encode(w, job);
    }
    log_group_end(&w->group, at, &g, w->seed);
    require(w->group.size == size);
    struct logpath path = logdir_segment_path(&ls->dir, w->segment_number);
    int rc = ls->dir.ops.pwrite(ls->dir.ops.ctx, w->segment_fd, w->group.data, size, w->offset);
    if (rc != 0) {
        return logdir_fail(reterr, "write", path.text, rc);
    }
    TRY(sync_timed(ls, w->segment_fd, path.text, reterr));
    w->offset += size;
    w->group_next++;
    pthread_mutex_lock(&ls->queue.lock);
    ls->queue.figures.groups_count++;
    ls->queue.figures.bytes_written += size;
    pthread_mutex_unlock(&ls->queue.lock);
    return err_ok();
}

static err write_snapshot(struct logstore *ls, const struct logstore_job *job,
                          struct errtext *reterr)
{
    struct log_snapshot s = {job->snapshot.index, job->snapshot.term, job->snapshot.log_first,
                             job->own.segment, job->snapshot.manifest};
    struct buf b;
    buf_init(&b, LOG_SNAPSHOT_HEAD_BYTES + LOG_MANIFEST_BYTES_MAX + 4);
    log_snapshot_encode(&b, &s);
    require(!b.overflow);
    err e = logdir_replace(&ls->dir, LOG_NAME_SNAPSHOT, buf_bytes(&b), reterr);
    buf_done(&b);
    return e;
}

/* The rename of the snapshot file is the switch: before it the old log counts, after it the new,
 * empty segment. */
static err write_install(struct logstore *ls, struct logstore_job *job, struct errtext *reterr)
{
    TRY(logwriter_roll(ls, 0, reterr));
    job->own.segment = ls->writer.segment_number;
    TRY(write_snapshot(ls, job, reterr));
    ls->writer.last = job->snapshot.index;
    return err_ok();
}

/* Executes job and, for entries, those behind it that fit the same group; returns the first job
 * that was not executed. */
static struct logstore_job *execute_some(struct logstore *ls, struct logstore_job *job, err *ret)
{
    struct logwriter *w = &ls->writer;
    struct errtext reason = {""};
    struct logstore_job *end = job->own.next;
    err e = w->failed;
    if (!failed(e)) {
        switch (job->kind) {
        case LOGSTORE_HARD: {
            struct log_root root = w->root;
            root.term = job->term;
            root.vote = job->vote;
            root.group_synced = w->group_next - 1;
            e = logwriter_root(ls, &root, &reason);
            break;
        }
        case LOGSTORE_ENTRIES: {
            size_t bytes = job_body_bytes(job);
            while (end != NULL && end->kind == LOGSTORE_ENTRIES &&
                   bytes + job_body_bytes(end) <= LOG_GROUP_BYTES_MAX) {
                bytes += job_body_bytes(end);
                end = end->own.next;
            }
            e = write_group(ls, job, end, bytes, &reason);
            break;
        }
        case LOGSTORE_SNAPSHOT:
            e = write_snapshot(ls, job, &reason);
            break;
        case LOGSTORE_INSTALL:
            e = write_install(ls, job, &reason);
            break;
        }
    }
    if (failed(e) && !failed(w->failed)) {
        w->failed = e;
        pthread_mutex_lock(&ls->queue.lock);
        ls->queue.failure = reason;
        pthread_mutex_unlock(&ls->queue.lock);
    }
    *ret = e;
    return end;
}

static void hand_back(struct logstore *ls, struct logstore_job *from,
                      const struct logstore_job *end, err result)
{
    struct logqueue *q = &ls->queue;
    pthread_mutex_lock(&q->lock);
    struct logstore_job *job = from;
    while (job != end) {
        struct logstore_job *next = job->own.next;
        job->result = result;
        job->own.next = NULL;
        *q->done_tail = job;
        q->done_tail = &job->own.next;
        require(q->unfinished > 0);
        q->unfinished--;
        q->figures.jobs_count++;
        job = next;
    }
    if (q->unfinished == 0) {
        pthread_cond_broadcast(&q->idle);
    }
    pthread_mutex_unlock(&q->lock);
    if (ls->on_done != NULL) {
        ls->on_done(ls->done_ctx);
    }
}

/* Segments below what the loop has let go of. One that cannot be removed is tried again at the next
 * start; it does no harm meanwhile. */
static void forget_segments(struct logstore *ls)
{
    pthread_mutex_lock(&ls->queue.lock);
    uint64_t below = ls->queue.unlink_below;
    pthread_mutex_unlock(&ls->queue.lock);
    for (; ls->unlinked_below < below; ls->unlinked_below++) {
        struct logpath path = logdir_segment_path(&ls->dir, ls->unlinked_below);
        (void)ls->dir.ops.unlink(ls->dir.ops.ctx, path.text);
    }
}

void logwriter_execute(struct logstore *ls, struct logstore_job *jobs)
{
    struct logstore_job *job = jobs;
    while (job != NULL) {
        err e;
        struct logstore_job *end = execute_some(ls, job, &e);
        hand_back(ls, job, end, e);
        job = end;
    }
    if (!failed(ls->writer.failed)) {
        forget_segments(ls);
    }
}

struct logstore_job *logqueue_take(struct logqueue *q)
{
    struct logstore_job *jobs = q->waiting;
    q->waiting = NULL;
    q->waiting_tail = &q->waiting;
    return jobs;
}

void *logwriter_main(void *arg)
{
    struct logstore *ls = arg;
    struct logqueue *q = &ls->queue;
    bool stop = false;
    while (!stop) {
        pthread_mutex_lock(&q->lock);
        while (q->waiting == NULL && !q->stop && q->unlink_below <= ls->unlinked_below) {
            pthread_cond_wait(&q->work, &q->lock);
        }
        struct logstore_job *jobs = logqueue_take(q);
        stop = q->stop && jobs == NULL;
        if (failed(ls->writer.failed)) {
            q->unlink_below = 0; /* nothing is changed after a failure */
        }
        pthread_mutex_unlock(&q->lock);
        logwriter_execute(ls, jobs);
    }
    return NULL;
}
