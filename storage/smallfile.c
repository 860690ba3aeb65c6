#include "storage/smallfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/require.h"

enum { PATH_MAX_BYTES = 4096 };

static err system_failed(struct errtext *reterr, const char *path, int64_t code)
{
    int number = (int)-code;
    enum err_code kind = number == ENOSPC || number == EDQUOT ? ERR_FULL : ERR_IO;
    return err_fail(reterr, number == ENOENT ? ERR_NOT_FOUND : kind, "%s: %s", path,
                    strerror(number));
}

err smallfile_read(const struct fileops *files, const char *path, struct buf *ret,
                   struct errtext *reterr)
{
    require(files != NULL);
    require(ret != NULL);
    int fd = files->open(files->ctx, path, O_RDONLY);
    if (fd < 0) {
        return system_failed(reterr, path, fd);
    }
    int64_t size = files->size(files->ctx, fd);
    uint8_t *room = size < 0 ? NULL : buf_room(ret, (size_t)size);
    int64_t got = room == NULL ? 0 : files->pread(files->ctx, fd, room, (size_t)size, 0);
    files->close(files->ctx, fd);
    if (size < 0 || got < 0) {
        return system_failed(reterr, path, size < 0 ? size : got);
    }
    if (room == NULL) {
        return err_fail(reterr, ERR_LIMIT, "%s: %lld bytes are too many", path, (long long)size);
    }
    buf_added(ret, (size_t)got);
    return err_ok();
}

/* Writes the new file beside the old one, whole and synced. */
static int write_beside(const struct fileops *f, const char *path, struct bytes content)
{
    int fd = f->open(f->ctx, path, O_WRONLY | O_CREAT | O_TRUNC);
    if (fd < 0) {
        return fd;
    }
    int rv = f->pwrite(f->ctx, fd, content.data, content.size, 0);
    if (rv >= 0) {
        rv = f->fdatasync(f->ctx, fd);
    }
    f->close(f->ctx, fd);
    return rv < 0 ? rv : 0;
}

err smallfile_write(const struct fileops *files, const char *dir, const char *name,
                    struct bytes content, struct errtext *reterr)
{
    char path[PATH_MAX_BYTES];
    char beside[PATH_MAX_BYTES];
    require(files != NULL);
    require(strchr(name, '/') == NULL);
    int size = snprintf(path, sizeof path, "%s/%s", dir, name);
    int beside_size = snprintf(beside, sizeof beside, "%s/%s.new", dir, name);
    if (size >= PATH_MAX_BYTES || beside_size >= PATH_MAX_BYTES) {
        return err_fail(reterr, ERR_IO, "%s: the path is too long", dir);
    }
    int rv = write_beside(files, beside, content);
    if (rv == 0) {
        rv = files->rename(files->ctx, beside, path);
    }
    if (rv == 0) {
        rv = files->dirsync(files->ctx, dir);
    }
    return rv < 0 ? system_failed(reterr, path, rv) : err_ok();
}
