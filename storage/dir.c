#include "storage/dir.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/require.h"

enum { WALK_FDS = 16 }; /* directories that a removal keeps open */

static int make_one(const char *path)
{
    if (mkdir(path, 0700) == 0) {
        return 0;
    }
    int reason = errno;
    struct stat st;
    if (reason == EEXIST && stat(path, &st) == 0) {
        return S_ISDIR(st.st_mode) ? 0 : ENOTDIR;
    }
    return reason;
}

err dir_make(const char *path, struct errtext *reterr)
{
    require(path != NULL);
    char part[PATH_MAX];
    size_t size = strlen(path);
    if (size == 0 || size >= sizeof part) {
        return err_fail(reterr, ERR_IO, "make directory \"%s\": the path is not usable", path);
    }
    memcpy(part, path, size + 1);
    for (size_t at = 1; at <= size; at++) {
        if (part[at] != '/' && part[at] != '\0') {
            continue;
        }
        char end = part[at];
        part[at] = '\0';
        int reason = make_one(part);
        if (reason != 0) {
            return err_fail(reterr, ERR_IO, "make directory %s: %s", part, strerror(reason));
        }
        part[at] = end;
    }
    return err_ok();
}

err dir_free_bytes(const char *path, uint64_t *ret_bytes, struct errtext *reterr)
{
    require(path != NULL);
    require(ret_bytes != NULL);
    struct statvfs st;
    if (statvfs(path, &st) != 0) {
        return err_fail(reterr, ERR_IO, "free space of %s: %s", path, strerror(errno));
    }
    *ret_bytes = (uint64_t)st.f_bavail * (uint64_t)st.f_frsize;
    return err_ok();
}

err dir_sync(const char *path, struct errtext *reterr)
{
    require(path != NULL);
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return err_fail(reterr, ERR_IO, "open %s: %s", path, strerror(errno));
    }
    int reason = fsync(fd) == 0 ? 0 : errno;
    (void)close(fd);
    if (reason != 0) {
        return err_fail(reterr, ERR_IO, "sync %s: %s", path, strerror(reason));
    }
    return err_ok();
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *where)
{
    return remove(path) == 0 ? 0 : errno;
}

err dir_remove(const char *path, struct errtext *reterr)
{
    require(path != NULL);
    struct stat st;
    if (lstat(path, &st) != 0 && errno == ENOENT) {
        return err_ok();
    }
    errno = 0;
    int rc = nftw(path, remove_one, WALK_FDS, FTW_DEPTH | FTW_PHYS);
    if (rc != 0) {
        return err_fail(reterr, ERR_IO, "remove %s: %s", path, strerror(rc > 0 ? rc : errno));
    }
    return err_ok();
}
