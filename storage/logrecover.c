/* What a node finds when it starts. Nothing is changed before everything was read and found sound;
 * then a torn end is wiped, what was read is synced (the page cache may hold more than the disk),
 * and the root records how far the log was synced, so that later damage below is told from a torn
 * write. */
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

struct found {
    uint64_t *segments; /* owned: numbers, sorted */
    size_t segments_count;
    bool too_many, root, snapshot, rest;
};

struct recovery {
    struct logstore *ls;
    struct logstore_recovered *out;
    struct errtext *reterr;
    struct found found;
    struct log_root root;
    struct log_snapshot snapshot; /* index 0: none; manifest points into snapshot_file */
    struct buf snapshot_file, segment_file;
    struct log_segment head; /* of the segment being read */
    uint64_t group_next;     /* 0: not known yet */
    uint64_t last;           /* of the log so far; meaningful when group_next is known */
    bool base_known;
    struct bytes last_group;  /* in the last segment: a view of segment_file; empty: none */
    size_t torn_at, torn_end; /* in the last segment */
};

static void on_name(void *arg, const char *name)
{
    struct found *f = arg;
    static const char prefix[] = "segment-";
    f->root = f->root || strcmp(name, LOG_NAME_ROOT) == 0;
    f->snapshot = f->snapshot || strcmp(name, LOG_NAME_SNAPSHOT) == 0;
    f->rest =
        f->rest || strcmp(name, LOG_NAME_SEGMENT_NEW) == 0 || strcmp(name, LOG_NAME_FILE_NEW) == 0;
    size_t skip = sizeof prefix - 1;
    if (strncmp(name, prefix, skip) != 0 || strlen(name) != skip + 16 ||
        strspn(name + skip, "0123456789abcdef") != 16) {
        return;
    }
    if (f->segments_count == LOG_SEGMENTS_MAX) {
        f->too_many = true;
        return;
    }
    f->segments[f->segments_count++] = strtoull(name + skip, NULL, 16);
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static err list_files(struct recovery *r)
{
    struct logdir *d = &r->ls->dir;
    r->found.segments = mem_new(LOG_SEGMENTS_MAX, sizeof r->found.segments[0]);
    int rc = d->ops.list(d->ops.ctx, d->path, &r->found, on_name);
    if (rc != 0) {
        return logdir_fail(r->reterr, "list", d->path, rc);
    }
    if (r->found.too_many) {
        return err_fail(r->reterr, ERR_LIMIT, "%s: more than %d log segments", d->path,
                        LOG_SEGMENTS_MAX);
    }
    qsort(r->found.segments, r->found.segments_count, sizeof r->found.segments[0], by_number);
    return err_ok();
}

/* Puts the file before what a decoder found. */
static err blame(struct recovery *r, err e, const char *name)
{
    require(failed(e));
    struct logpath path = logdir_path(&r->ls->dir, name);
    const char *what = err_is(e, ERR_UNSUPPORTED) ? "a newer format" : "damaged at offset 0";
    return err_fail(r->reterr, e.code, "%s: %s", path.text, what);
}

static err read_root(struct recovery *r)
{
    struct logpath path = logdir_path(&r->ls->dir, LOG_NAME_ROOT);
    struct buf b;
    buf_init(&b, LOG_ROOT_FILE_BYTES);
    err e = logdir_read(&r->ls->dir, path.text, &b, LOG_ROOT_FILE_BYTES, r->reterr);
    if (!failed(e)) {
        e = log_root_decode(buf_bytes(&b), &r->root);
        if (failed(e)) {
            e = blame(r, e, LOG_NAME_ROOT);
        }
    }
    buf_done(&b);
    return e;
}

static err read_snapshot(struct recovery *r)
{
    if (!r->found.snapshot) {
        return err_ok();
    }
    struct logpath path = logdir_path(&r->ls->dir, LOG_NAME_SNAPSHOT);
    TRY(logdir_read(&r->ls->dir, path.text, &r->snapshot_file, r->snapshot_file.size_max,
                    r->reterr));
    err e = log_snapshot_decode(buf_bytes(&r->snapshot_file), &r->snapshot);
    return failed(e) ? blame(r, e, LOG_NAME_SNAPSHOT) : e;
}

/* Every segment from the oldest that is needed to the last that was made must be there. */
static err check_segments(struct recovery *r)
{
    const struct found *f = &r->found;
    uint64_t need = r->ls->segment_first;
    uint64_t made = r->root.segment_last;
    for (size_t i = 0; i < f->segments_count; i++) {
        if (f->segments[i] == need) {
            need++;
        }
    }
    uint64_t newest = f->segments_count > 0 ? f->segments[f->segments_count - 1] : 0;
    bool gap = newest >= need || made >= need;
    bool none_yet = made == 0 && r->ls->segment_first == 1 && newest == 0;
    if (gap || (need == r->ls->segment_first && !none_yet)) {
        struct logpath path = logdir_segment_path(&r->ls->dir, need);
        return err_fail(r->reterr, ERR_CORRUPT, "%s is missing", path.text);
    }
    if (newest > made + 1) {
        struct logpath path = logdir_path(&r->ls->dir, LOG_NAME_ROOT);
        return err_fail(r->reterr, ERR_CORRUPT, "%s is older than the log", path.text);
    }
    return err_ok();
}

/* One entry: the log continues, or is cut back first. */
static bool take_record(struct recovery *r, const struct log_record *record, size_t offset)
{
    struct logindex *x = &r->ls->index;
    if (record->index > r->last + 1) {
        return false;
    }
    if (record->index < x->first) {
        /* Cut back below where the oldest segment begins: what was there is gone with it. */
        logindex_clear(x, record->index);
    }
    logindex_cut(x, record->index);
    const struct logplace *before = logindex_get(x, record->index - 1);
    if (before != NULL && before->term > record->term) {
        return false;
    }
    struct logplace place = {record->term, r->head.number, (uint32_t)offset,
                             (uint32_t)record->data.size, record->type};
    logindex_add(x, &place);
    r->last = record->index;
    return true;
}

static bool on_group(void *ctx, const struct log_group *g, size_t at)
{
    struct recovery *r = ctx;
    if (!r->base_known) {
        r->last = g->index_synced;
        if (r->last == UINT64_MAX) {
            return false;
        }
        logindex_clear(&r->ls->index, r->last + 1);
        r->base_known = true;
    }
    if (g->index_synced != r->last) {
        return false;
    }
    r->last_group = bytes_of(r->segment_file.data + at, g->size);
    const uint8_t *start = g->body.data;
    struct bytes body = g->body;
    struct log_record record;
    bool bad = false;
    uint32_t count = 0;
    while (log_record_next(&body, &record, &bad)) {
        size_t head = (size_t)(record.data.data - start) - LOG_RECORD_HEAD_BYTES;
        if (!take_record(r, &record, at + LOG_GROUP_HEAD_BYTES + head)) {
            return false;
        }
        count++;
    }
    return !bad && count == g->count && count > 0;
}

static err damaged_at(struct recovery *r, uint64_t segment, size_t at, const char *reason)
{
    struct logpath path = logdir_segment_path(&r->ls->dir, segment);
    return err_fail(r->reterr, ERR_CORRUPT, "%s: damaged at offset %zu: %s", path.text, at, reason);
}

/* group_limit: first group of the segment behind it, 0 for the last one. */
static err read_segment(struct recovery *r, uint64_t number, uint64_t group_limit)
{
    uint64_t size = 0;
    TRY(logdir_read_segment(&r->ls->dir, number, &r->segment_file, &size, r->reterr));
    struct log_scan s = {.segment = buf_bytes(&r->segment_file), .seed = log_seed(r->head.salt)};
    r->last_group = bytes_of(NULL, 0);
    s.group_next = r->head.group_first;
    s.group_limit = group_limit;
    s.at = LOG_SEGMENT_HEAD_BYTES;
    s.ctx = r;
    s.on_group = on_group;
    if (s.segment.size < LOG_SEGMENT_HEAD_BYTES) {
        return damaged_at(r, number, s.segment.size, "the file is cut off");
    }
    if (group_limit != 0 && group_limit < s.group_next) {
        return damaged_at(r, number + 1, 0, "its groups do not follow the segment before");
    }
    switch (log_scan_run(&s)) {
    case LOG_SCAN_CLEAN:
        break;
    case LOG_SCAN_TORN:
        r->torn_at = s.at;
        r->torn_end = s.dirty_end;
        break;
    case LOG_SCAN_DAMAGED:
        return damaged_at(r, number, s.at, s.reason);
    }
    if (group_limit == 0 && s.group_next <= r->root.group_synced) {
        return damaged_at(r, number, s.at, "it was recorded as synced");
    }
    r->group_next = s.group_next;
    r->ls->writer.offset = s.at;
    r->ls->writer.segment_size = size;
    r->ls->writer.seed = s.seed;
    return err_ok();
}

/* Reads the segments in order; each head is needed before the segment before it is judged. */
static err read_segments(struct recovery *r)
{
    const struct found *f = &r->found;
    size_t at = 0;
    while (at < f->segments_count && f->segments[at] < r->ls->segment_first) {
        at++;
    }
    for (size_t i = at; i < f->segments_count; i++) {
        int fd = -1;
        TRY(logdir_open_segment(&r->ls->dir, f->segments[i], &fd, &r->head, r->reterr));
        r->ls->dir.ops.close(r->ls->dir.ops.ctx, fd);
        if (r->group_next != 0 && r->head.group_first != r->group_next) {
            return damaged_at(r, f->segments[i], 0, "its groups do not follow the segment before");
        }
        struct log_segment behind = {0};
        if (i + 1 < f->segments_count) {
            TRY(logdir_open_segment(&r->ls->dir, f->segments[i + 1], &fd, &behind, r->reterr));
            r->ls->dir.ops.close(r->ls->dir.ops.ctx, fd);
        }
        TRY(read_segment(r, f->segments[i], behind.group_first));
    }
    if (f->segments_count > 0 && r->head.number > r->root.segment_last &&
        r->group_next != r->head.group_first) {
        return blame(r, err_fail(NULL, ERR_CORRUPT, "old"), LOG_NAME_ROOT);
    }
    return err_ok();
}

/* Entries, snapshot, term and vote must fit each other. */
static err check_whole(struct recovery *r)
{
    struct logindex *x = &r->ls->index;
    uint64_t log_first = r->snapshot.index > 0 ? r->snapshot.log_first : 1;
    const char *dir = r->ls->dir.path;
    if (!r->base_known) {
        logindex_clear(x, log_first);
        r->last = log_first - 1;
    }
    if (x->first > log_first) {
        return err_fail(r->reterr, ERR_CORRUPT,
                        "%s: entries from %" PRIu64 " to %" PRIu64 " are missing", dir, log_first,
                        x->first - 1);
    }
    if (r->last < log_first - 1 || r->last < r->snapshot.index) {
        return err_fail(r->reterr, ERR_CORRUPT,
                        "%s: the log ends at %" PRIu64 ", before its snapshot at %" PRIu64, dir,
                        r->last, r->snapshot.index);
    }
    const struct logplace *last = logindex_get(x, r->last);
    uint64_t term = last != NULL ? last->term : 0;
    if (r->root.term < term || r->root.term < r->snapshot.term) {
        return err_fail(r->reterr, ERR_CORRUPT, "%s/%s: its term %" PRIu64 " is older than the log",
                        dir, LOG_NAME_ROOT, r->root.term);
    }
    const struct logplace *covered = logindex_get(x, r->snapshot.index);
    if (covered != NULL && covered->term != r->snapshot.term) {
        return err_fail(r->reterr, ERR_CORRUPT, "%s: the log contradicts its snapshot at %" PRIu64,
                        dir, r->snapshot.index);
    }
    logindex_trim(x, log_first);
    return err_ok();
}

static int write_zeros(struct logdir *d, int fd, size_t from, size_t to)
{
    static const uint8_t zeros[4096];
    int rc = 0;
    for (size_t at = from; at < to && rc == 0;) {
        size_t size = to - at < sizeof zeros ? to - at : sizeof zeros;
        rc = d->ops.pwrite(d->ops.ctx, fd, zeros, size, at);
        at += size;
    }
    return rc;
}

/* The last group may be in the page cache alone. When its sync failed in an earlier process, the
 * kernel has marked the pages clean, and a sync would write nothing; so it is written again. All
 * groups before it were synced before it was written. */
static err settle_end(struct recovery *r)
{
    struct logwriter *w = &r->ls->writer;
    struct logdir *d = &r->ls->dir;
    struct logpath path = logdir_segment_path(d, w->segment_number);
    int rc = write_zeros(d, w->segment_fd, r->torn_at, r->torn_end);
    if (rc == 0 && r->last_group.size > 0) {
        require(w->offset >= r->last_group.size);
        rc = d->ops.pwrite(d->ops.ctx, w->segment_fd, r->last_group.data, r->last_group.size,
                           w->offset - r->last_group.size);
    }
    if (rc != 0) {
        return logdir_fail(r->reterr, "write", path.text, rc);
    }
    rc = d->ops.fdatasync(d->ops.ctx, w->segment_fd);
    if (rc == 0) {
        rc = d->ops.dirsync(d->ops.ctx, d->path);
    }
    return rc == 0 ? err_ok() : logdir_fail(r->reterr, "sync", path.text, rc);
}

/* A new directory: the root first, so that a segment without one is always a loss. */
static err make_root(struct recovery *r)
{
    r->root = (struct log_root){.sequence = 1};
    struct buf b;
    buf_init(&b, LOG_ROOT_FILE_BYTES);
    uint8_t *room = buf_room(&b, LOG_ROOT_FILE_BYTES);
    require(room != NULL);
    memset(room, 0, LOG_ROOT_FILE_BYTES);
    buf_added(&b, LOG_ROOT_FILE_BYTES);
    log_root_encode(&r->root, room);
    log_root_encode(&r->root, room + LOG_ROOT_SLOT_STRIDE);
    err e = logdir_replace(&r->ls->dir, LOG_NAME_ROOT, buf_bytes(&b), r->reterr);
    buf_done(&b);
    return e;
}

static err open_writer(struct recovery *r)
{
    struct logstore *ls = r->ls;
    struct logwriter *w = &ls->writer;
    struct logpath path = logdir_path(&ls->dir, LOG_NAME_ROOT);
    int fd = ls->dir.ops.open(ls->dir.ops.ctx, path.text, O_RDWR);
    if (fd < 0) {
        return logdir_fail(r->reterr, "open", path.text, fd);
    }
    w->root_fd = fd;
    w->root = r->root;
    w->last = r->last;
    w->group_next = r->group_next != 0 ? r->group_next : 1;
    uint64_t newest = r->head.number;
    if (newest == 0) {
        return logwriter_roll(ls, 0, r->reterr);
    }
    struct log_segment head;
    TRY(logdir_open_segment(&ls->dir, newest, &w->segment_fd, &head, r->reterr));
    w->segment_number = newest;
    TRY(settle_end(r));
    struct log_root root = r->root;
    root.segment_last = newest;
    root.group_synced = w->group_next - 1;
    return logwriter_root(ls, &root, r->reterr);
}

/* What a crash left behind: half-made files, and segments that a snapshot covers. */
static void remove_rest(struct recovery *r)
{
    struct logdir *d = &r->ls->dir;
    if (r->found.rest) {
        (void)d->ops.unlink(d->ops.ctx, logdir_path(d, LOG_NAME_SEGMENT_NEW).text);
        (void)d->ops.unlink(d->ops.ctx, logdir_path(d, LOG_NAME_FILE_NEW).text);
    }
    for (size_t i = 0; i < r->found.segments_count; i++) {
        if (r->found.segments[i] < r->ls->segment_first && r->found.segments[i] > 0) {
            struct logpath path = logdir_segment_path(d, r->found.segments[i]);
            (void)d->ops.unlink(d->ops.ctx, path.text);
        }
    }
    r->ls->unlinked_below = r->ls->segment_first;
}

/* Hands over what was found; the manifest is copied for the store. */
static void publish(struct recovery *r)
{
    struct logstore *ls = r->ls;
    const struct log_snapshot *s = &r->snapshot;
    ls->snapshot = (struct logstore_snapshot){s->index, s->term, s->log_first, {0}};
    if (s->index > 0) {
        void *copy = mem_copy(s->manifest.data, s->manifest.size);
        ls->snapshot.manifest = bytes_of(copy, s->manifest.size);
    }
    const struct logplace *last = logindex_get(&ls->index, r->last);
    ls->segment_newest = ls->writer.segment_number;
    ls->submitted_last = r->last;
    ls->submitted_term_last = last != NULL ? last->term : s->term;
    ls->submitted_term = r->root.term;
    ls->submitted_snapshot = s->index;
    *r->out = (struct logstore_recovered){
        .fresh = r->root.term == 0 && r->last == 0 && s->index == 0,
        .term = r->root.term,
        .vote = r->root.vote,
        .first = ls->index.first,
        .last = r->last,
        .snapshot = ls->snapshot,
        .cut_bytes = r->torn_end - r->torn_at,
    };
}

static err recover_files(struct recovery *r)
{
    TRY(list_files(r));
    if (!r->found.root) {
        if (r->found.segments_count > 0 || r->found.snapshot) {
            struct logpath path = logdir_path(&r->ls->dir, LOG_NAME_ROOT);
            return err_fail(r->reterr, ERR_CORRUPT, "%s is missing", path.text);
        }
        TRY(make_root(r));
    } else {
        TRY(read_root(r));
    }
    TRY(read_snapshot(r));
    r->ls->segment_first = r->snapshot.index > 0 ? r->snapshot.segment_first : 1;
    TRY(check_segments(r));
    TRY(read_segments(r));
    TRY(check_whole(r));
    TRY(open_writer(r));
    remove_rest(r);
    publish(r);
    return err_ok();
}

err logrecover_run(struct logstore *ls, struct logstore_recovered *ret, struct errtext *reterr)
{
    struct recovery r = {.ls = ls, .out = ret, .reterr = reterr};
    buf_init(&r.snapshot_file, LOG_SNAPSHOT_HEAD_BYTES + LOG_MANIFEST_BYTES_MAX + 4);
    buf_init(&r.segment_file, LOG_SEGMENT_BYTES_MAX);
    err e = recover_files(&r);
    free(r.found.segments);
    buf_done(&r.snapshot_file);
    buf_done(&r.segment_file);
    return e;
}
