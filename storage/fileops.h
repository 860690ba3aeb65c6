/* The file calls that storage makes, as a struct of functions: a node uses the system's, tests use
 * a disk in memory that loses unsynced writes, tears them, fills up or answers EIO when told to.
 * Every function answers a negative errno on failure. None retries a failed write or sync: after a
 * failed sync the kernel may have dropped the pages, so the caller must stop. */
#ifndef STORAGE_FILEOPS_H
#define STORAGE_FILEOPS_H

#include <stddef.h>
#include <stdint.h>

struct fileops {
    void *ctx;
    /* open(2); files are created with mode 0600; the descriptor closes on exec. */
    int (*open)(void *ctx, const char *path, int flags);
    void (*close)(void *ctx, int fd);
    /* Bytes read; less than size only at the end of the file. */
    int64_t (*pread)(void *ctx, int fd, void *ret, size_t size, uint64_t offset);
    /* All of the bytes, or an error. */
    int (*pwrite)(void *ctx, int fd, const void *data, size_t size, uint64_t offset);
    int (*fdatasync)(void *ctx, int fd);
    /* Reserves size bytes from the start, which read as zero. */
    int (*fallocate)(void *ctx, int fd, uint64_t size);
    int64_t (*size)(void *ctx, int fd);
    /* From here to the end of the file there are only zeros, which need not be read: room that was
     * reserved and never written. At most the size. */
    int64_t (*data_end)(void *ctx, int fd);
    int (*rename)(void *ctx, const char *from, const char *to);
    int (*unlink)(void *ctx, const char *path);
    /* A directory of mode 0700; an empty one goes away. */
    int (*mkdir)(void *ctx, const char *path);
    int (*rmdir)(void *ctx, const char *path);
    /* A second name of a file. */
    int (*link)(void *ctx, const char *from, const char *to);
    /* Makes creations, renames and unlinks in a directory durable. */
    int (*dirsync)(void *ctx, const char *path);
    /* Calls on_name for each name in a directory, in no particular order, without "." and "..". */
    int (*list)(void *ctx, const char *path, void *arg, void (*on_name)(void *arg, const char *));
    /* Locks an open file against every other process; -EWOULDBLOCK if it is locked. */
    int (*lock)(void *ctx, int fd);
    uint64_t (*random)(void *ctx);
};

/* The operating system's files. Every function may be called from any thread. */
struct fileops fileops_system(void);

#endif
