#include "storage/fileops.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/require.h"

static int sys_open(void *ctx, const char *path, int flags)
{
    require(path != NULL);
    int fd = open(path, flags | O_CLOEXEC, 0600);
    return fd >= 0 ? fd : -errno;
}

static void sys_close(void *ctx, int fd)
{
    require(fd >= 0);
    (void)close(fd); /* what counts was synced before; close reports nothing we could act on */
}

static int64_t sys_pread(void *ctx, int fd, void *ret, size_t size, uint64_t offset)
{
    require(fd >= 0);
    size_t have = 0;
    while (have < size) {
        ssize_t n = pread(fd, (uint8_t *)ret + have, size - have, (off_t)(offset + have));
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return -errno;
        }
        if (n == 0) {
            break;
        }
        have += (size_t)n;
    }
    return (int64_t)have;
}

static int sys_pwrite(void *ctx, int fd, const void *data, size_t size, uint64_t offset)
{
    require(fd >= 0);
    size_t done = 0;
    while (done < size) {
        ssize_t n = pwrite(fd, (const uint8_t *)data + done, size - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return n < 0 ? -errno : -EIO;
        }
        done += (size_t)n;
    }
    return 0;
}

static int sys_fdatasync(void *ctx, int fd)
{
    require(fd >= 0);
    return fdatasync(fd) == 0 ? 0 : -errno;
}

static int sys_fallocate(void *ctx, int fd, uint64_t size)
{
    require(fd >= 0);
    return -posix_fallocate(fd, 0, (off_t)size);
}

static int64_t sys_size(void *ctx, int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 ? (int64_t)st.st_size : -errno;
}

/* lseek(2): a file system without holes has one at the end of each file. What was written and not
 * synced is data; what was reserved is a hole until it is written, or read into the page cache. */
static int64_t sys_data_end(void *ctx, int fd)
{
    off_t end = 0;
    for (;;) {
        off_t data = lseek(fd, end, SEEK_DATA);
        if (data < 0) {
            return errno == ENXIO ? (int64_t)end : errno == EINVAL ? sys_size(ctx, fd) : -errno;
        }
        end = lseek(fd, data, SEEK_HOLE);
        if (end < 0) {
            return -errno;
        }
    }
}

static int sys_rename(void *ctx, const char *from, const char *to)
{
    return rename(from, to) == 0 ? 0 : -errno;
}

static int sys_unlink(void *ctx, const char *path)
{
    return unlink(path) == 0 ? 0 : -errno;
}

static int sys_mkdir(void *ctx, const char *path)
{
    return mkdir(path, 0700) == 0 ? 0 : -errno;
}

static int sys_rmdir(void *ctx, const char *path)
{
    return rmdir(path) == 0 ? 0 : -errno;
}

static int sys_link(void *ctx, const char *from, const char *to)
{
    return link(from, to) == 0 ? 0 : -errno;
}

static int sys_dirsync(void *ctx, const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    int rc = fsync(fd) == 0 ? 0 : -errno;
    (void)close(fd);
    return rc;
}

static int sys_list(void *ctx, const char *path, void *arg, void (*on_name)(void *, const char *))
{
    DIR *dir = opendir(path);
    if (dir == NULL) {
        return -errno;
    }
    int rc = 0;
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(dir);
        if (entry == NULL) {
            rc = -errno;
            break;
        }
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            on_name(arg, entry->d_name);
        }
    }
    (void)closedir(dir);
    return rc;
}

static int sys_lock(void *ctx, int fd)
{
    require(fd >= 0);
    return flock(fd, LOCK_EX | LOCK_NB) == 0 ? 0 : -errno;
}

static uint64_t sys_random(void *ctx)
{
    uint64_t value = 0;
    if (getrandom(&value, sizeof value, 0) != (ssize_t)sizeof value) {
        die("no random numbers: %s", strerror(errno));
    }
    return value;
}

struct fileops fileops_system(void)
{
    return (struct fileops){
        .ctx = NULL,
        .open = sys_open,
        .close = sys_close,
        .pread = sys_pread,
        .pwrite = sys_pwrite,
        .fdatasync = sys_fdatasync,
        .fallocate = sys_fallocate,
        .size = sys_size,
        .data_end = sys_data_end,
        .rename = sys_rename,
        .unlink = sys_unlink,
        .mkdir = sys_mkdir,
        .rmdir = sys_rmdir,
        .link = sys_link,
        .dirsync = sys_dirsync,
        .list = sys_list,
        .lock = sys_lock,
        .random = sys_random,
    };
}
