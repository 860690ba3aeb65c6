#include "storage/logscrub.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "base/cursor.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/require.h"
#include "storage/logstore_own.h"

struct logscrub {
    struct logdir dir;
    uint64_t segment;
    uint64_t offset; /* 0: its head is not read yet */
    uint64_t group_next, group_limit;
    uint32_t seed;
    struct buf group; /* owned */
};

void logscrub_range(const struct logstore *ls, uint64_t *ret_first, uint64_t *ret_end)
{
    require(ls != NULL);
    *ret_first = ls->segment_first;
    *ret_end = ls->segment_newest;
}

struct logscrub *logscrub_new(const struct logstore *ls, uint64_t segment)
{
    require(segment >= ls->segment_first);
    require(segment < ls->segment_newest);
    struct logscrub *s = mem_new(1, sizeof *s);
    s->dir = ls->dir;
    s->segment = segment;
    buf_init(&s->group, LOG_SEGMENT_BYTES_MAX);
    return s;
}

void logscrub_free(struct logscrub *s)
{
    if (s != NULL) {
        buf_done(&s->group);
        free(s);
    }
}

static err damaged(const struct logscrub *s, const char *path, struct errtext *reterr)
{
    return err_fail(reterr, ERR_CORRUPT, "%s: damaged at offset %llu", path,
                    (unsigned long long)s->offset);
}

static err open_segment(const struct logscrub *s, uint64_t number, int *ret_fd,
                        struct errtext *reterr)
{
    struct logpath path = logdir_segment_path(&s->dir, number);
    int fd = s->dir.ops.open(s->dir.ops.ctx, path.text, O_RDONLY);
    if (fd == -ENOENT) {
        return err_fail(reterr, ERR_NOT_FOUND, "%s is not there", path.text);
    }
    if (fd < 0) {
        return logdir_fail(reterr, "open", path.text, fd);
    }
    *ret_fd = fd;
    return err_ok();
}

/* Exactly size bytes into s->group; CORRUPT if the file ends before. */
static err read_at(struct logscrub *s, int fd, uint64_t offset, size_t size, struct errtext *reterr)
{
    struct logpath path = logdir_segment_path(&s->dir, s->segment);
    buf_clear(&s->group);
    uint8_t *room = buf_room(&s->group, size);
    if (room == NULL) {
        return damaged(s, path.text, reterr);
    }
    int64_t have = s->dir.ops.pread(s->dir.ops.ctx, fd, room, size, offset);
    if (have < 0) {
        return logdir_fail(reterr, "read", path.text, (int)have);
    }
    buf_added(&s->group, (size_t)have);
    return (uint64_t)have == size ? err_ok() : damaged(s, path.text, reterr);
}

static err read_head(struct logscrub *s, uint64_t number, struct log_segment *ret,
                     struct errtext *reterr)
{
    int fd = -1;
    TRY(open_segment(s, number, &fd, reterr));
    err e = read_at(s, fd, 0, LOG_SEGMENT_HEAD_BYTES, reterr);
    s->dir.ops.close(s->dir.ops.ctx, fd);
    TRY(e);
    bool sound = !failed(log_segment_decode(buf_bytes(&s->group), ret)) && ret->number == number;
    struct logpath path = logdir_segment_path(&s->dir, number);
    return sound ? err_ok() : err_fail(reterr, ERR_CORRUPT, "%s: damaged at offset 0", path.text);
}

/* The next segment's head tells which groups of this one were synced: all below its first. */
static err begin(struct logscrub *s, struct errtext *reterr)
{
    struct log_segment own;
    struct log_segment next;
    TRY(read_head(s, s->segment, &own, reterr));
    TRY(read_head(s, s->segment + 1, &next, reterr));
    s->offset = LOG_SEGMENT_HEAD_BYTES;
    s->group_next = own.group_first;
    s->group_limit = next.group_first;
    s->seed = log_seed(own.salt);
    return err_ok();
}

static err check_group(struct logscrub *s, int fd, uint64_t *ret_size, struct errtext *reterr)
{
    struct logpath path = logdir_segment_path(&s->dir, s->segment);
    struct log_group g;
    TRY(read_at(s, fd, s->offset, LOG_GROUP_HEAD_BYTES, reterr));
    if (!log_group_head_decode(buf_bytes(&s->group), 0, s->seed, &g) || g.number != s->group_next) {
        return damaged(s, path.text, reterr);
    }
    struct cursor c = cursor_of(bytes_of(s->group.data + LOG_RECORD_HEAD_BYTES,
                                         LOG_GROUP_HEAD_BYTES - LOG_RECORD_HEAD_BYTES));
    size_t size = log_group_size(cursor_u32(&c));
    TRY(read_at(s, fd, s->offset, size, reterr));
    if (!log_group_decode(buf_bytes(&s->group), 0, s->seed, &g)) {
        return damaged(s, path.text, reterr);
    }
    *ret_size = size;
    return err_ok();
}

err logscrub_run(struct logscrub *s, uint64_t bytes_max, struct logscrub_step *ret,
                 struct errtext *reterr)
{
    require(s != NULL);
    require(ret != NULL);
    struct logscrub_step step = {0};
    int fd = -1;
    if (s->offset == 0) {
        TRY(begin(s, reterr));
    }
    TRY(open_segment(s, s->segment, &fd, reterr));
    err e = err_ok();
    while (!failed(e) && s->group_next < s->group_limit &&
           (step.bytes == 0 || step.bytes < bytes_max)) {
        uint64_t size = 0;
        e = check_group(s, fd, &size, reterr);
        s->offset += size;
        step.bytes += size;
        s->group_next += !failed(e);
    }
    s->dir.ops.close(s->dir.ops.ctx, fd);
    TRY(e);
    step.done = s->group_next >= s->group_limit;
    *ret = step;
    return err_ok();
}
