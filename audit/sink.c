#include "audit/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/require.h"
#include "storage/dir.h"

enum { SINK_BUFFER = 64 << 10, SINK_PIECE_MAX = 256 << 20, SINK_PATH_MAX = 4096 + LAYOUT_PATH_MAX };

void sink_init(struct sink *s, const char *dir, bool compare)
{
    require(s != NULL);
    *s = (struct sink){.dir = dir, .compare = compare};
}

void sink_begin(struct sink_file *f, const char *path)
{
    require(f != NULL);
    *f = (struct sink_file){.written = 0};
    snprintf(f->path, sizeof(f->path), "%s", path);
    buf_init(&f->buffer, SINK_PIECE_MAX);
}

void sink_drop(struct sink_file *f)
{
    buf_done(&f->buffer);
}

static err system_failed(const char *path, struct errtext *reterr)
{
    enum err_code code = errno == ENOSPC || errno == EDQUOT ? ERR_FULL : ERR_IO;
    return err_fail(reterr, code, "%s: %s", path, strerror(errno));
}

static void differs(struct sink *s, const struct sink_file *f, const char *how)
{
    finding_set(&s->finding, FINDING_EXPORT, "the file %s %s", f->path, how);
    s->finding.has_position = s->has_position;
    s->finding.position = s->position;
}

/* ---- writing ---- */

static err parent_make(const char *path, struct errtext *reterr)
{
    char parent[SINK_PATH_MAX];
    snprintf(parent, sizeof(parent), "%s", path);
    char *slash = strrchr(parent, '/');
    require(slash != NULL);
    *slash = '\0';
    return dir_make(parent, reterr);
}

static err piece_write(const char *path, const struct sink_file *f, struct errtext *reterr)
{
    int flags = O_WRONLY | O_CLOEXEC | O_CREAT | (f->written == 0 ? O_EXCL : 0);
    if (f->written == 0) {
        TRY(parent_make(path, reterr));
    }
    int fd = open(path, flags, 0644);
    if (fd < 0) {
        return system_failed(path, reterr);
    }
    size_t done = 0;
    while (done < f->buffer.size) {
        ssize_t n =
            pwrite(fd, f->buffer.data + done, f->buffer.size - done, (off_t)(f->written + done));
        if (n <= 0) {
            err e = system_failed(path, reterr);
            close(fd);
            return e;
        }
        done += (size_t)n;
    }
    return close(fd) == 0 ? err_ok() : system_failed(path, reterr);
}

/* ---- comparing ---- */

static err piece_compare(struct sink *s, const char *path, const struct sink_file *f,
                         struct errtext *reterr)
{
    uint8_t theirs[SINK_BUFFER];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        if (errno == ENOENT || errno == ENOTDIR) {
            differs(s, f, "is missing");
            return err_ok();
        }
        return system_failed(path, reterr);
    }
    size_t done = 0;
    while (done < f->buffer.size && s->finding.kind == FINDING_NONE) {
        size_t want =
            f->buffer.size - done < sizeof(theirs) ? f->buffer.size - done : sizeof(theirs);
        ssize_t n = pread(fd, theirs, want, (off_t)(f->written + done));
        if (n < 0) {
            err e = system_failed(path, reterr);
            close(fd);
            return e;
        }
        if (n == 0) {
            differs(s, f, "ends too early");
        } else if (memcmp(theirs, f->buffer.data + done, (size_t)n) != 0) {
            differs(s, f, "is not what the ledger gives");
        }
        done += (size_t)n;
    }
    close(fd);
    return err_ok();
}

/* ---- both ---- */

static void path_of(const struct sink *s, const struct sink_file *f, char path[SINK_PATH_MAX])
{
    int n = snprintf(path, SINK_PATH_MAX, "%s/%s", s->dir, f->path);
    require(n > 0 && n < SINK_PATH_MAX);
}

static err piece_out(struct sink *s, struct sink_file *f, struct errtext *reterr)
{
    char path[SINK_PATH_MAX];
    path_of(s, f, path);
    if (s->finding.kind == FINDING_NONE) {
        TRY(s->compare ? piece_compare(s, path, f, reterr) : piece_write(path, f, reterr));
    }
    s->bytes += f->buffer.size;
    f->written += f->buffer.size;
    buf_clear(&f->buffer);
    return err_ok();
}

err sink_put(struct sink *s, struct sink_file *f, struct bytes bytes, struct errtext *reterr)
{
    require(s != NULL);
    buf_put_bytes(&f->buffer, bytes);
    if (f->buffer.overflow) {
        return err_fail(reterr, ERR_LIMIT, "%s: more than %d bytes at once", f->path,
                        SINK_PIECE_MAX);
    }
    return f->buffer.size < SINK_BUFFER ? err_ok() : piece_out(s, f, reterr);
}

err sink_close(struct sink *s, struct sink_file *f, struct errtext *reterr)
{
    char path[SINK_PATH_MAX];
    err e = f->buffer.size > 0 || f->written == 0 ? piece_out(s, f, reterr) : err_ok();
    path_of(s, f, path);
    if (!failed(e) && s->compare && s->finding.kind == FINDING_NONE) {
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        off_t end = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
        if (fd >= 0) {
            close(fd);
        }
        if (end != (off_t)f->written) {
            differs(s, f, "goes on where the ledger has no more");
        }
    }
    s->files++;
    sink_drop(f);
    return e;
}

err sink_write(struct sink *s, const char *path, struct bytes content, struct errtext *reterr)
{
    struct sink_file f;
    sink_begin(&f, path);
    err e = sink_put(s, &f, content, reterr);
    if (failed(e)) {
        sink_drop(&f);
        return e;
    }
    return sink_close(s, &f, reterr);
}

err sink_sync(struct sink *s, struct errtext *reterr)
{
    require(!s->compare);
    int fd = open(s->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return system_failed(s->dir, reterr);
    }
    bool synced = syncfs(fd) == 0;
    err e = synced ? err_ok() : system_failed(s->dir, reterr);
    close(fd);
    return e;
}
