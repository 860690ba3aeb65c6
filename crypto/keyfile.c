#include "crypto/keyfile.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/require.h"

static err fail_errno(struct errtext *reterr, const char *what, const char *path)
{
    int code = errno;
    return err_fail(reterr, code == ENOENT ? ERR_NOT_FOUND : ERR_IO, "%s %s: %s", what, path,
                    strerror(code));
}

/* Reads up to the end of the file, or one byte more than there may be. */
static err read_all(int fd, const char *path, struct buf *ret, struct errtext *reterr)
{
    for (;;) {
        uint8_t piece[4096];
        ssize_t got = read(fd, piece, sizeof piece);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return fail_errno(reterr, "read", path);
        }
        buf_put(ret, piece, (size_t)got);
        mem_wipe(piece, sizeof piece);
        if (ret->overflow) {
            return err_fail(reterr, ERR_LIMIT, "%s: longer than %zu bytes", path, ret->size_max);
        }
        if (got == 0) {
            return err_ok();
        }
    }
}

static err check_private(int fd, const char *path, struct errtext *reterr)
{
    struct stat st;
    if (fstat(fd, &st) != 0) {
        return fail_errno(reterr, "stat", path);
    }
    if ((st.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        return err_fail(reterr, ERR_DENIED,
                        "%s: a private key that others can read (mode %04o): run chmod 600 %s",
                        path, (unsigned)(st.st_mode & 07777), path);
    }
    return err_ok();
}

static err read_file(const char *path, bool secret, struct buf *ret, struct errtext *reterr)
{
    require(path != NULL);
    require(ret != NULL);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        return fail_errno(reterr, "open", path);
    }
    buf_clear(ret);
    if (secret) {
        (void)buf_room(ret, ret->size_max); /* growing later would leave copies behind */
    }
    err e = secret ? check_private(fd, path, reterr) : err_ok();
    if (!failed(e)) {
        e = read_all(fd, path, ret, reterr);
    }
    close(fd);
    if (failed(e)) {
        mem_wipe(ret->data, ret->size);
        buf_clear(ret);
    }
    return e;
}

err keyfile_read_secret(const char *path, struct buf *ret, struct errtext *reterr)
{
    return read_file(path, true, ret, reterr);
}

err keyfile_read_public(const char *path, struct buf *ret, struct errtext *reterr)
{
    return read_file(path, false, ret, reterr);
}

static err write_all(int fd, const char *path, struct bytes content, struct errtext *reterr)
{
    size_t done = 0;
    while (done < content.size) {
        ssize_t put = write(fd, content.data + done, content.size - done);
        if (put < 0 && errno != EINTR) {
            return fail_errno(reterr, "write", path);
        }
        done += put > 0 ? (size_t)put : 0;
    }
    return fsync(fd) == 0 ? err_ok() : fail_errno(reterr, "sync", path);
}

/* A new name is durable once its directory is. */
static err sync_directory(const char *path, struct errtext *reterr)
{
    char *copy = mem_text(path);
    const char *directory = dirname(copy);
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    err e = err_ok();
    if (fd < 0 || fsync(fd) != 0) {
        e = fail_errno(reterr, "sync", directory);
    }
    if (fd >= 0) {
        close(fd);
    }
    free(copy);
    return e;
}

/* Writes a file that must not exist yet. */
static err write_new(const char *path, mode_t mode, struct bytes content, struct errtext *reterr)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd < 0 && errno == EEXIST) {
        return err_fail(reterr, ERR_EXISTS, "%s exists already and is not overwritten", path);
    }
    if (fd < 0) {
        return fail_errno(reterr, "create", path);
    }
    err e = fchmod(fd, mode) == 0 ? err_ok() : fail_errno(reterr, "chmod", path);
    if (!failed(e)) {
        e = write_all(fd, path, content, reterr);
    }
    if (close(fd) != 0 && !failed(e)) {
        e = fail_errno(reterr, "close", path);
    }
    if (failed(e)) {
        unlink(path);
    }
    return e;
}

err keyfile_write_secret(const char *path, struct bytes content, struct errtext *reterr)
{
    require(path != NULL);
    require(content.size > 0);
    TRY(write_new(path, S_IRUSR | S_IWUSR, content, reterr));
    return sync_directory(path, reterr);
}

err keyfile_write_public(const char *path, struct bytes content, struct errtext *reterr)
{
    require(path != NULL);
    char temporary[PATH_MAX];
    int length = snprintf(temporary, sizeof temporary, "%s.new.%ld", path, (long)getpid());
    if (length < 0 || (size_t)length >= sizeof temporary) {
        return err_fail(reterr, ERR_IO, "%s: the path is too long", path);
    }
    if (unlink(temporary) != 0 && errno != ENOENT) {
        return fail_errno(reterr, "replace", temporary);
    }
    TRY(write_new(temporary, S_IRUSR | S_IWUSR | S_IRGRP | S_IROTH, content, reterr));
    if (rename(temporary, path) != 0) {
        err e = fail_errno(reterr, "rename to", path);
        unlink(temporary);
        return e;
    }
    return sync_directory(path, reterr);
}

void keyfile_wipe(struct buf *b)
{
    require(b != NULL);
    if (b->data != NULL) {
        mem_wipe(b->data, b->capacity);
    }
    buf_done(b);
}
