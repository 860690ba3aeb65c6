#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "base/require.h"
#include "storage/logstore_own.h"

struct logpath logdir_path(const struct logdir *d, const char *name)
{
    struct logpath p;
    int n = snprintf(p.text, sizeof p.text, "%s/%s", d->path, name);
    require(n > 0 && (size_t)n < sizeof p.text);
    return p;
}

struct logpath logdir_segment_path(const struct logdir *d, uint64_t number)
{
    require(number > 0);
    char name[40];
    snprintf(name, sizeof name, "segment-%016" PRIx64, number);
    return logdir_path(d, name);
}

err logdir_fail(struct errtext *reterr, const char *what, const char *path, int rc)
{
    require(rc < 0);
    enum err_code code = rc == -ENOSPC || rc == -EDQUOT ? ERR_FULL : ERR_IO;
    return err_fail(reterr, code, "%s %s: %s", what, path, strerror(-rc));
}

/* One small file: written, synced, closed. */
static int write_file(const struct logdir *d, const char *path, struct bytes content)
{
    int fd = d->ops.open(d->ops.ctx, path, O_RDWR | O_CREAT | O_TRUNC);
    if (fd < 0) {
        return fd;
    }
    int rc = d->ops.pwrite(d->ops.ctx, fd, content.data, content.size, 0);
    if (rc == 0) {
        rc = d->ops.fdatasync(d->ops.ctx, fd);
    }
    d->ops.close(d->ops.ctx, fd);
    return rc;
}

err logdir_replace(const struct logdir *d, const char *name, struct bytes content,
                   struct errtext *reterr)
{
    struct logpath target = logdir_path(d, name);
    struct logpath fresh = logdir_path(d, LOG_NAME_FILE_NEW);
    int rc = write_file(d, fresh.text, content);
    if (rc == 0) {
        rc = d->ops.rename(d->ops.ctx, fresh.text, target.text);
    }
    if (rc == 0) {
        rc = d->ops.dirsync(d->ops.ctx, d->path);
    }
    return rc == 0 ? err_ok() : logdir_fail(reterr, "write", target.text, rc);
}

err logdir_read(const struct logdir *d, const char *path, struct buf *ret, size_t size_max,
                struct errtext *reterr)
{
    buf_clear(ret);
    int fd = d->ops.open(d->ops.ctx, path, O_RDONLY);
    if (fd == -ENOENT) {
        return err_fail(reterr, ERR_NOT_FOUND, "%s is missing", path);
    }
    if (fd < 0) {
        return logdir_fail(reterr, "open", path, fd);
    }
    err e = err_ok();
    int64_t size = d->ops.size(d->ops.ctx, fd);
    if (size < 0) {
        e = logdir_fail(reterr, "size of", path, (int)size);
        goto out;
    }
    uint8_t *room = (uint64_t)size <= size_max ? buf_room(ret, (size_t)size) : NULL;
    if (room == NULL) {
        e = err_fail(reterr, ERR_CORRUPT, "%s: damaged: %" PRId64 " bytes long", path, size);
        goto out;
    }
    int64_t have = d->ops.pread(d->ops.ctx, fd, room, (size_t)size, 0);
    if (have < 0) {
        e = logdir_fail(reterr, "read", path, (int)have);
        goto out;
    }
    buf_added(ret, (size_t)have);
out:
    d->ops.close(d->ops.ctx, fd);
    return e;
}

/* The last record of a group may end in zeros, which a file that was copied may not hold: of an
 * entry, and what aligns the group. Everything before them has a head that is not zero. */
enum { ZEROS_MAX = LOG_ENTRY_BYTES_MAX + LOG_GROUP_ALIGN };

/* The bytes up to end, and as many zeros as may belong to them. */
static int64_t read_written(const struct logdir *d, int fd, int64_t end, int64_t size,
                            struct buf *ret)
{
    int64_t want = end + ZEROS_MAX < size ? end + ZEROS_MAX : size;
    uint8_t *room = buf_room(ret, (size_t)want);
    require(room != NULL); /* it holds LOG_SEGMENT_BYTES_MAX */
    int64_t have = d->ops.pread(d->ops.ctx, fd, room, (size_t)end, 0);
    if (have == end) {
        memset(room + end, 0, (size_t)(want - end));
        have = want;
    }
    if (have > 0) {
        buf_added(ret, (size_t)have);
    }
    return have;
}

err logdir_read_segment(const struct logdir *d, uint64_t number, struct buf *ret,
                        uint64_t *ret_size, struct errtext *reterr)
{
    struct logpath path = logdir_segment_path(d, number);
    buf_clear(ret);
    int fd = d->ops.open(d->ops.ctx, path.text, O_RDONLY);
    if (fd < 0) {
        return logdir_fail(reterr, "open", path.text, fd);
    }
    err e = err_ok();
    int64_t size = d->ops.size(d->ops.ctx, fd);
    int64_t end = size < 0 ? size : d->ops.data_end(d->ops.ctx, fd);
    if (end < 0 || size > LOG_SEGMENT_BYTES_MAX) {
        e = end < 0 ? logdir_fail(reterr, "size of", path.text, (int)end)
                    : err_fail(reterr, ERR_CORRUPT, "%s: damaged: %" PRId64 " bytes long",
                               path.text, size);
        goto out;
    }
    require(end <= size);
    int64_t have = read_written(d, fd, end, size, ret);
    if (have < 0) {
        e = logdir_fail(reterr, "read", path.text, (int)have);
        goto out;
    }
    *ret_size = (uint64_t)size;
out:
    d->ops.close(d->ops.ctx, fd);
    return e;
}

static int fill_segment(const struct logdir *d, int fd, const struct log_segment *s, uint64_t size)
{
    uint8_t head[LOG_SEGMENT_HEAD_BYTES];
    log_segment_encode(s, head);
    int rc = d->ops.fallocate(d->ops.ctx, fd, size);
    if (rc == 0) {
        rc = d->ops.pwrite(d->ops.ctx, fd, head, sizeof head, 0);
    }
    if (rc == 0) {
        rc = d->ops.fdatasync(d->ops.ctx, fd);
    }
    return rc;
}

err logdir_make_segment(const struct logdir *d, const struct log_segment *s, uint64_t size,
                        int *ret_fd, struct errtext *reterr)
{
    require(size >= LOG_SEGMENT_HEAD_BYTES);
    struct logpath fresh = logdir_path(d, LOG_NAME_SEGMENT_NEW);
    struct logpath target = logdir_segment_path(d, s->number);
    int fd = d->ops.open(d->ops.ctx, fresh.text, O_RDWR | O_CREAT | O_TRUNC);
    if (fd < 0) {
        return logdir_fail(reterr, "make", fresh.text, fd);
    }
    int rc = fill_segment(d, fd, s, size);
    if (rc == 0) {
        rc = d->ops.rename(d->ops.ctx, fresh.text, target.text);
    }
    if (rc != 0) {
        d->ops.close(d->ops.ctx, fd);
        (void)d->ops.unlink(d->ops.ctx, fresh.text); /* gives reserved room back, if it can */
        return logdir_fail(reterr, "make", target.text, rc);
    }
    rc = d->ops.dirsync(d->ops.ctx, d->path);
    if (rc != 0) {
        d->ops.close(d->ops.ctx, fd);
        return logdir_fail(reterr, "sync", d->path, rc);
    }
    *ret_fd = fd;
    return err_ok();
}

err logdir_open_segment(const struct logdir *d, uint64_t number, int *ret_fd,
                        struct log_segment *ret, struct errtext *reterr)
{
    struct logpath path = logdir_segment_path(d, number);
    int fd = d->ops.open(d->ops.ctx, path.text, O_RDWR);
    if (fd == -ENOENT) {
        return err_fail(reterr, ERR_CORRUPT, "%s is missing", path.text);
    }
    if (fd < 0) {
        return logdir_fail(reterr, "open", path.text, fd);
    }
    uint8_t head[LOG_SEGMENT_HEAD_BYTES];
    int64_t have = d->ops.pread(d->ops.ctx, fd, head, sizeof head, 0);
    if (have < 0) {
        d->ops.close(d->ops.ctx, fd);
        return logdir_fail(reterr, "read", path.text, (int)have);
    }
    struct log_segment s;
    err e = log_segment_decode(bytes_of(head, (size_t)have), &s);
    if (!failed(e) && s.number != number) {
        e = err_fail(reterr, ERR_CORRUPT, "number");
    }
    if (failed(e)) {
        d->ops.close(d->ops.ctx, fd);
        return err_is(e, ERR_UNSUPPORTED)
                   ? err_fail(reterr, e.code, "%s: a newer format", path.text)
                   : err_fail(reterr, e.code, "%s: damaged at offset 0", path.text);
    }
    *ret_fd = fd;
    *ret = s;
    return err_ok();
}
