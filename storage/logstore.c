#include "storage/logstore.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/require.h"
#include "storage/logstore_own.h"

/* ---- open and close ---- */

static err lock_dir(struct logstore *ls, struct errtext *reterr)
{
    struct logpath path = logdir_path(&ls->dir, LOG_NAME_LOCK);
    const struct fileops *ops = &ls->dir.ops;
    int fd = ops->open(ops->ctx, path.text, O_RDWR | O_CREAT);
    if (fd < 0) {
        return logdir_fail(reterr, "open", path.text, fd);
    }
    int rc = ops->lock(ops->ctx, fd);
    if (rc != 0) {
        ops->close(ops->ctx, fd);
        return rc == -EWOULDBLOCK
                   ? err_fail(reterr, ERR_AGAIN, "%s is in use by another process", ls->dir.path)
                   : logdir_fail(reterr, "lock", path.text, rc);
    }
    ls->lock_fd = fd;
    return err_ok();
}

static void queue_init(struct logqueue *q)
{
    int rc = pthread_mutex_init(&q->lock, NULL);
    rc |= pthread_cond_init(&q->work, NULL);
    rc |= pthread_cond_init(&q->idle, NULL);
    require(rc == 0);
    q->waiting_tail = &q->waiting;
    q->done_tail = &q->done;
}

static void close_fd(struct logstore *ls, int fd)
{
    if (fd >= 0) {
        ls->dir.ops.close(ls->dir.ops.ctx, fd);
    }
}

/* Frees a store whose thread does not run. */
static void store_free(struct logstore *ls)
{
    require(!ls->thread_runs);
    close_fd(ls, ls->writer.root_fd);
    close_fd(ls, ls->writer.segment_fd);
    close_fd(ls, ls->read_fd);
    close_fd(ls, ls->lock_fd);
    buf_done(&ls->writer.group);
    logindex_done(&ls->index);
    free((void *)(uintptr_t)ls->snapshot.manifest.data);
    pthread_cond_destroy(&ls->queue.idle);
    pthread_cond_destroy(&ls->queue.work);
    pthread_mutex_destroy(&ls->queue.lock);
    free(ls);
}

static struct logstore *store_new(const char *dir, const struct logstore_options *o)
{
    struct logstore *ls = mem_new(1, sizeof *ls);
    ls->dir.ops = o->files.open != NULL ? o->files : fileops_system();
    ls->clock = o->clock.monotonic_ns != NULL ? o->clock : clock_system();
    snprintf(ls->dir.path, sizeof ls->dir.path, "%s", dir);
    ls->no_thread = o->no_thread;
    ls->done_ctx = o->done_ctx;
    ls->on_done = o->on_done;
    ls->lock_fd = -1;
    ls->read_fd = -1;
    ls->writer.root_fd = -1;
    ls->writer.segment_fd = -1;
    ls->writer.segment_bytes = o->segment_bytes != 0 ? o->segment_bytes : LOG_SEGMENT_BYTES;
    buf_init(&ls->writer.group, log_group_size(LOG_JOB_BYTES_MAX));
    logindex_init(&ls->index, 1);
    queue_init(&ls->queue);
    return ls;
}

err logstore_open(const char *dir, const struct logstore_options *o, struct logstore **ret,
                  struct logstore_recovered *ret_recovered, struct errtext *reterr)
{
    require(dir != NULL && o != NULL);
    require(ret != NULL && ret_recovered != NULL);
    if (strlen(dir) >= sizeof(((struct logdir *)0)->path)) {
        return err_fail(reterr, ERR_LIMIT, "the path of the log is too long");
    }
    require(o->segment_bytes <= LOG_SEGMENT_BYTES_MAX);
    struct logstore *ls = store_new(dir, o);
    struct logstore_recovered recovered = {0};
    err e = lock_dir(ls, reterr);
    if (!failed(e)) {
        e = logrecover_run(ls, &recovered, reterr);
    }
    if (!failed(e) && !ls->no_thread) {
        int rc = pthread_create(&ls->thread, NULL, logwriter_main, ls);
        ls->thread_runs = rc == 0;
        e = rc == 0 ? e : err_fail(reterr, ERR_IO, "start the log writer: %s", strerror(rc));
    }
    if (failed(e)) {
        store_free(ls);
        return e;
    }
    *ret = ls;
    *ret_recovered = recovered;
    return err_ok();
}

void logstore_close(struct logstore *ls)
{
    if (ls == NULL) {
        return;
    }
    if (ls->thread_runs) {
        pthread_mutex_lock(&ls->queue.lock);
        ls->queue.stop = true;
        pthread_cond_signal(&ls->queue.work);
        pthread_mutex_unlock(&ls->queue.lock);
        int rc = pthread_join(ls->thread, NULL);
        require(rc == 0);
        ls->thread_runs = false;
    } else {
        logstore_run(ls);
    }
    if (!failed(ls->writer.failed)) {
        /* Damage of the last group can from now on be told from a torn write. Should this fail,
         * what is on disk is as good as after a crash, which the next start copes with. */
        struct log_root root = ls->writer.root;
        root.group_synced = ls->writer.group_next - 1;
        err e = logwriter_root(ls, &root, NULL);
        (void)e;
    }
    store_free(ls);
}

/* ---- jobs ---- */

static err check_entries(struct logstore *ls, const struct logstore_job *job)
{
    require(job->entries_count > 0);
    require(job->first > 0);
    require(job->first <= ls->submitted_last + 1);
    require(job->first > ls->submitted_snapshot);
    size_t left = LOG_JOB_BYTES_MAX;
    for (size_t i = 0; i < job->entries_count; i++) {
        size_t size = job->entries[i].data.size;
        if (size > LOG_ENTRY_BYTES_MAX || size + LOG_RECORD_HEAD_BYTES > left) {
            return err_fail(NULL, ERR_LIMIT, "entry or job too large");
        }
        left -= size + LOG_RECORD_HEAD_BYTES;
    }
    uint64_t term = job->first == ls->submitted_last + 1 ? ls->submitted_term_last : 1;
    for (size_t i = 0; i < job->entries_count; i++) {
        const struct logstore_entry *entry = &job->entries[i];
        require(entry->type >= 1 && entry->type <= LOG_ENTRY_TYPE_MAX);
        require(entry->term >= term);
        term = entry->term;
    }
    require(term <= ls->submitted_term);
    ls->submitted_last = job->first + job->entries_count - 1;
    ls->submitted_term_last = term;
    return err_ok();
}

static err check_snapshot(struct logstore *ls, struct logstore_job *job)
{
    struct logstore_snapshot *s = &job->snapshot;
    require(s->index >= ls->submitted_snapshot && s->index > 0);
    require(s->term > 0 && s->term <= ls->submitted_term);
    require(s->log_first > 0 && s->log_first <= s->index + 1);
    if (s->manifest.size > LOG_MANIFEST_BYTES_MAX) {
        return err_fail(NULL, ERR_LIMIT, "manifest too large");
    }
    if (job->kind == LOGSTORE_INSTALL) {
        require(s->log_first == s->index + 1);
        ls->submitted_last = s->index;
        ls->submitted_term_last = s->term;
    } else {
        /* Covered entries are completed, so the loop knows where they are. */
        require(s->index <= logindex_last(&ls->index));
        if (s->log_first < ls->index.first) {
            s->log_first = ls->index.first;
        }
        const struct logplace *keep = logindex_get(&ls->index, s->log_first);
        if (keep == NULL) {
            keep = logindex_get(&ls->index, s->log_first - 1);
        }
        job->own.segment = keep != NULL ? keep->segment : ls->segment_first;
    }
    ls->submitted_snapshot = s->index;
    return err_ok();
}

err logstore_submit(struct logstore *ls, struct logstore_job *job)
{
    require(ls != NULL);
    require(job != NULL);
    job->own.next = NULL;
    switch (job->kind) {
    case LOGSTORE_HARD:
        require(job->term >= ls->submitted_term);
        ls->submitted_term = job->term;
        break;
    case LOGSTORE_ENTRIES:
        TRY(check_entries(ls, job));
        break;
    case LOGSTORE_SNAPSHOT:
    case LOGSTORE_INSTALL:
        TRY(check_snapshot(ls, job));
        break;
    }
    struct logqueue *q = &ls->queue;
    pthread_mutex_lock(&q->lock);
    *q->waiting_tail = job;
    q->waiting_tail = &job->own.next;
    q->unfinished++;
    pthread_cond_signal(&q->work);
    pthread_mutex_unlock(&q->lock);
    return err_ok();
}

static void settle_entries(struct logstore *ls, const struct logstore_job *job)
{
    struct logindex *x = &ls->index;
    require(job->first >= x->first);
    logindex_cut(x, job->first);
    require(logindex_last(x) + 1 == job->first);
    uint64_t offset = job->own.offset;
    for (size_t i = 0; i < job->entries_count; i++) {
        const struct logstore_entry *entry = &job->entries[i];
        struct logplace place = {entry->term, job->own.segment, (uint32_t)offset,
                                 (uint32_t)entry->data.size, entry->type};
        logindex_add(x, &place);
        offset += LOG_RECORD_HEAD_BYTES + entry->data.size;
    }
    ls->segment_newest = job->own.segment;
}

static void settle_snapshot(struct logstore *ls, const struct logstore_job *job)
{
    free((void *)(uintptr_t)ls->snapshot.manifest.data);
    ls->snapshot = job->snapshot;
    size_t size = job->snapshot.manifest.size;
    ls->snapshot.manifest = bytes_of(mem_copy(job->snapshot.manifest.data, size), size);
    if (job->kind == LOGSTORE_INSTALL) {
        logindex_clear(&ls->index, job->snapshot.index + 1);
        ls->segment_newest = job->own.segment;
    } else {
        logindex_trim(&ls->index, job->snapshot.log_first);
    }
    ls->segment_first = job->own.segment;
    pthread_mutex_lock(&ls->queue.lock);
    ls->queue.unlink_below = ls->segment_first;
    pthread_cond_signal(&ls->queue.work);
    pthread_mutex_unlock(&ls->queue.lock);
}

struct logstore_job *logstore_completed(struct logstore *ls)
{
    require(ls != NULL);
    struct logqueue *q = &ls->queue;
    pthread_mutex_lock(&q->lock);
    struct logstore_job *job = q->done;
    if (job != NULL) {
        q->done = job->own.next;
        if (q->done == NULL) {
            q->done_tail = &q->done;
        }
    }
    pthread_mutex_unlock(&q->lock);
    if (job == NULL || failed(job->result)) {
        return job;
    }
    switch (job->kind) {
    case LOGSTORE_HARD:
        break;
    case LOGSTORE_ENTRIES:
        settle_entries(ls, job);
        break;
    case LOGSTORE_SNAPSHOT:
    case LOGSTORE_INSTALL:
        settle_snapshot(ls, job);
        break;
    }
    return job;
}

void logstore_drain(struct logstore *ls)
{
    require(ls != NULL);
    if (!ls->thread_runs) {
        logstore_run(ls);
        return;
    }
    pthread_mutex_lock(&ls->queue.lock);
    while (ls->queue.unfinished > 0) {
        pthread_cond_wait(&ls->queue.idle, &ls->queue.lock);
    }
    pthread_mutex_unlock(&ls->queue.lock);
}

void logstore_run(struct logstore *ls)
{
    require(ls != NULL);
    require(!ls->thread_runs);
    pthread_mutex_lock(&ls->queue.lock);
    struct logstore_job *jobs = logqueue_take(&ls->queue);
    pthread_mutex_unlock(&ls->queue.lock);
    logwriter_execute(ls, jobs);
}

const char *logstore_failure(struct logstore *ls)
{
    pthread_mutex_lock(&ls->queue.lock);
    const char *text = ls->queue.failure.text; /* written once, before any job failed */
    pthread_mutex_unlock(&ls->queue.lock);
    return text;
}

/* ---- reading back ---- */

err logstore_peek(const struct logstore *ls, uint64_t index, struct logstore_info *ret)
{
    require(ls != NULL);
    require(ret != NULL);
    const struct logplace *place = logindex_get(&ls->index, index);
    if (place == NULL) {
        return err_fail(NULL, ERR_NOT_FOUND, "not in the log");
    }
    *ret = (struct logstore_info){place->term, place->size, place->type};
    return err_ok();
}

static err reader_open(struct logstore *ls, uint64_t segment, struct errtext *reterr)
{
    if (ls->read_fd >= 0 && ls->read_segment == segment) {
        return err_ok();
    }
    close_fd(ls, ls->read_fd);
    ls->read_fd = -1;
    struct log_segment head;
    TRY(logdir_open_segment(&ls->dir, segment, &ls->read_fd, &head, reterr));
    ls->read_segment = segment;
    ls->read_seed = log_seed(head.salt);
    return err_ok();
}

static int64_t read_at(struct logstore *ls, void *ret, size_t size, uint64_t offset)
{
    return ls->dir.ops.pread(ls->dir.ops.ctx, ls->read_fd, ret, size, offset);
}

err logstore_read(struct logstore *ls, uint64_t index, struct buf *ret, struct errtext *reterr)
{
    require(ls != NULL);
    require(ret != NULL);
    const struct logplace *place = logindex_get(&ls->index, index);
    if (place == NULL) {
        return err_fail(reterr, ERR_NOT_FOUND, "entry %" PRIu64 " is not in the log", index);
    }
    buf_clear(ret);
    uint8_t *room = buf_room(ret, place->size);
    if (room == NULL) {
        buf_clear(ret);
        return err_fail(reterr, ERR_LIMIT, "entry %" PRIu64 " is too large here", index);
    }
    TRY(reader_open(ls, place->segment, reterr));
    struct logpath path = logdir_segment_path(&ls->dir, place->segment);
    uint8_t head[LOG_RECORD_HEAD_BYTES];
    int64_t have = read_at(ls, head, sizeof head, place->offset);
    int64_t have_data = have < 0 ? 0 : read_at(ls, room, place->size, place->offset + sizeof head);
    if (have < 0 || have_data < 0) {
        return logdir_fail(reterr, "read", path.text, (int)(have < 0 ? have : have_data));
    }
    struct bytes data = bytes_of(room, place->size);
    struct log_record_head h;
    log_record_head_decode(head, &h);
    if (have != sizeof head || have_data != (int64_t)place->size || h.size != place->size ||
        h.index != index || h.term != place->term || h.type != place->type ||
        h.crc != log_record_crc(head, data, ls->read_seed)) {
        return err_fail(reterr, ERR_CORRUPT, "%s: damaged at offset %" PRIu32, path.text,
                        place->offset);
    }
    buf_added(ret, place->size);
    return err_ok();
}

void logstore_stats(struct logstore *ls, struct logstore_stats *ret)
{
    require(ls != NULL);
    require(ret != NULL);
    pthread_mutex_lock(&ls->queue.lock);
    const struct logfigures *f = &ls->queue.figures;
    *ret = (struct logstore_stats){
        .groups_count = f->groups_count,
        .jobs_count = f->jobs_count,
        .bytes_written = f->bytes_written,
        .syncs_count = f->sync.count,
        .sync_max_ns = f->sync.max_ns,
        .sync_p50_ns = latency_quantile(&f->sync, 500),
        .sync_p99_ns = latency_quantile(&f->sync, 990),
        .sync_recent_ns = latency_quantile(f->before.count > 0 ? &f->before : &f->recent, 900),
        .jobs_waiting = ls->queue.unfinished,
    };
    pthread_mutex_unlock(&ls->queue.lock);
    ret->segments_count = ls->segment_newest - ls->segment_first + 1;
    ret->disk_bytes = ret->segments_count * ls->writer.segment_bytes;
}
