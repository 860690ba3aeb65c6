#include "simdisk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/require.h"

enum { SECTOR = 16 }; /* smaller than a real one: more ways to tear */

struct simwrite {
    uint64_t offset;
    size_t size;
    uint8_t *data; /* NULL: the file grows to offset + size */
};

struct simfile {
    uint8_t *seen, *safe; /* owned: page cache, disk */
    size_t seen_size, safe_size;
    struct simwrite *pending; /* owned: written since the last sync */
    size_t pending_count;
};

/* SplitMix64. */
uint64_t simdisk_draw(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

void simdisk_init(struct simdisk *d, uint64_t seed)
{
    *d = (struct simdisk){.random = seed};
}

static void pending_clear(struct simfile *f)
{
    for (size_t i = 0; i < f->pending_count; i++) {
        free(f->pending[i].data);
    }
    free(f->pending);
    f->pending = NULL;
    f->pending_count = 0;
}

void simdisk_done(struct simdisk *d)
{
    for (size_t i = 0; i < d->files_count; i++) {
        pending_clear(d->files[i]);
        free(d->files[i]->seen);
        free(d->files[i]->safe);
        free(d->files[i]);
    }
    for (size_t i = 0; i < d->log_count; i++) {
        free(d->log[i].name);
    }
    free(d->files);
    free(d->log);
    *d = (struct simdisk){0};
}

static void grow(uint8_t **data, size_t *size, size_t need)
{
    if (need > *size) {
        *data = mem_resize(*data, need, 1);
        memset(*data + *size, 0, need - *size);
        *size = need;
    }
}

static void apply(uint8_t **data, size_t *size, const struct simwrite *w)
{
    grow(data, size, (size_t)w->offset + w->size);
    if (w->data != NULL && w->size > 0) {
        memcpy(*data + w->offset, w->data, w->size);
    }
}

static void pend(struct simfile *f, uint64_t offset, const void *data, size_t size)
{
    f->pending = mem_resize(f->pending, f->pending_count + 1, sizeof f->pending[0]);
    struct simwrite *w = &f->pending[f->pending_count++];
    *w = (struct simwrite){offset, size, data == NULL ? NULL : mem_copy(data, size)};
    apply(&f->seen, &f->seen_size, w);
}

static const char *leaf(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

/* The inode of a name as the process sees it, + 1; 0: none. */
static size_t lookup(const struct simdisk *d, const char *name)
{
    for (size_t i = d->log_count; i > 0; i--) {
        if (strcmp(d->log[i - 1].name, name) == 0) {
            return d->log[i - 1].linked ? d->log[i - 1].inode + 1 : 0;
        }
    }
    return 0;
}

static void link_name(struct simdisk *d, const char *name, size_t inode, bool linked)
{
    d->log = mem_resize(d->log, d->log_count + 1, sizeof d->log[0]);
    d->log[d->log_count++] = (struct simname){mem_text(name), inode, linked};
}

void simdisk_arm(struct simdisk *d, enum simdisk_fault fault, uint64_t nth)
{
    d->fault = fault;
    d->fault_at = d->calls + nth;
    d->faulted = false;
}

/* Counts a changing call. 0: go on; else what to answer. *ret_partly: take effect in part. */
static int count_call(struct simdisk *d, bool allocates, bool *ret_partly)
{
    *ret_partly = false;
    if (d->dead) {
        return -EIO;
    }
    d->calls++;
    if (d->fault == SIMDISK_NO_SPACE && d->calls >= d->fault_at && allocates) {
        d->faulted = true;
        return -ENOSPC;
    }
    if (d->calls != d->fault_at) {
        return 0;
    }
    switch (d->fault) {
    case SIMDISK_NONE:
    case SIMDISK_NO_SPACE:
        return 0;
    case SIMDISK_CUT:
        d->dead = true;
        d->faulted = true;
        *ret_partly = true;
        return -EIO;
    case SIMDISK_EIO:
        d->faulted = true;
        *ret_partly = true;
        return -EIO;
    }
    return 0;
}

static struct simfile *file_of(struct simdisk *d, int fd)
{
    require(fd >= 0 && (size_t)fd < sizeof d->fds / sizeof d->fds[0]);
    require(d->fds[fd] > 0);
    return d->files[d->fds[fd] - 1];
}

static int op_open(void *ctx, const char *path, int flags)
{
    struct simdisk *d = ctx;
    const char *name = leaf(path);
    size_t inode = lookup(d, name);
    bool partly;
    if (d->dead) {
        return -EIO;
    }
    if (inode == 0 && (flags & O_CREAT) == 0) {
        return -ENOENT;
    }
    if (inode == 0 || (flags & O_TRUNC) != 0) {
        int rc = count_call(d, false, &partly);
        if (rc != 0) {
            return rc;
        }
        /* A truncated file is a new inode: what was synced under the old one may come back. */
        d->files = mem_resize(d->files, d->files_count + 1, sizeof d->files[0]);
        d->files[d->files_count] = mem_new(1, sizeof *d->files[0]);
        inode = ++d->files_count;
        link_name(d, name, inode - 1, true);
    }
    for (size_t fd = 0; fd < sizeof d->fds / sizeof d->fds[0]; fd++) {
        if (d->fds[fd] == 0) {
            d->fds[fd] = inode;
            return (int)fd;
        }
    }
    return -EMFILE;
}

static void op_close(void *ctx, int fd)
{
    struct simdisk *d = ctx;
    if (!d->dead) {
        (void)file_of(d, fd);
    }
    d->fds[fd] = 0;
}

static int64_t op_pread(void *ctx, int fd, void *ret, size_t size, uint64_t offset)
{
    struct simdisk *d = ctx;
    if (d->dead) {
        return -EIO;
    }
    const struct simfile *f = file_of(d, fd);
    if (offset >= f->seen_size) {
        return 0;
    }
    size_t have = f->seen_size - (size_t)offset < size ? f->seen_size - (size_t)offset : size;
    memcpy(ret, f->seen + offset, have);
    return (int64_t)have;
}

static int op_pwrite(void *ctx, int fd, const void *data, size_t size, uint64_t offset)
{
    struct simdisk *d = ctx;
    bool partly;
    int rc = count_call(d, false, &partly);
    if (rc != 0 && !partly) {
        return rc;
    }
    if (rc != 0) {
        size = (size_t)(simdisk_draw(&d->random) % (size + 1));
    }
    pend(file_of(d, fd), offset, data, size);
    return rc;
}

static void make_safe(struct simfile *f)
{
    for (size_t i = 0; i < f->pending_count; i++) {
        apply(&f->safe, &f->safe_size, &f->pending[i]);
    }
    pending_clear(f);
}

static int op_fdatasync(void *ctx, int fd)
{
    struct simdisk *d = ctx;
    bool partly;
    int rc = count_call(d, false, &partly);
    if (rc == 0) {
        make_safe(file_of(d, fd));
    } else if (partly && !d->dead) {
        pending_clear(file_of(d, fd)); /* marked clean by the kernel, and never written */
    }
    return rc;
}

static int op_fallocate(void *ctx, int fd, uint64_t size)
{
    struct simdisk *d = ctx;
    bool partly;
    int rc = count_call(d, true, &partly);
    if (rc == 0) {
        pend(file_of(d, fd), 0, NULL, (size_t)size);
    }
    return rc;
}

static int64_t op_size(void *ctx, int fd)
{
    struct simdisk *d = ctx;
    return d->dead ? -EIO : (int64_t)file_of(d, fd)->seen_size;
}

/* Exactly behind the last byte that is not zero: the least that a file system may say. */
static int64_t op_data_end(void *ctx, int fd)
{
    struct simdisk *d = ctx;
    size_t end = d->dead ? 0 : file_of(d, fd)->seen_size;
    while (end > 0 && file_of(d, fd)->seen[end - 1] == 0) {
        end--;
    }
    return d->dead ? -EIO : (int64_t)end;
}

static int op_rename(void *ctx, const char *from, const char *to)
{
    struct simdisk *d = ctx;
    bool partly;
    int rc = count_call(d, false, &partly);
    size_t inode = lookup(d, leaf(from));
    if (rc != 0 || inode == 0) {
        return rc != 0 ? rc : -ENOENT;
    }
    link_name(d, leaf(to), inode - 1, true);
    link_name(d, leaf(from), inode - 1, false);
    return 0;
}

static int op_unlink(void *ctx, const char *path)
{
    struct simdisk *d = ctx;
    bool partly;
    int rc = count_call(d, false, &partly);
    size_t inode = lookup(d, leaf(path));
    if (rc != 0 || inode == 0) {
        return rc != 0 ? rc : -ENOENT;
    }
    link_name(d, leaf(path), inode - 1, false);
    return 0;
}

/* The operation made a name that is still there. */
static bool name_lives(const struct simdisk *d, size_t at)
{
    bool lives = d->log[at].linked;
    for (size_t later = at + 1; later < d->log_count && lives; later++) {
        lives = strcmp(d->log[later].name, d->log[at].name) != 0;
    }
    return lives;
}

/* What is durable may be told shorter: the names that are there. */
static void log_compact(struct simdisk *d)
{
    size_t kept = 0;
    bool lives[256];
    size_t count = d->log_count;
    if (count > sizeof lives) {
        return;
    }
    for (size_t at = 0; at < count; at++) {
        lives[at] = name_lives(d, at);
    }
    for (size_t at = 0; at < count; at++) {
        if (lives[at]) {
            d->log[kept++] = d->log[at];
        } else {
            free(d->log[at].name);
        }
    }
    d->log_count = kept;
}

static int op_dirsync(void *ctx, const char *path)
{
    struct simdisk *d = ctx;
    bool partly;
    int rc = count_call(d, false, &partly);
    if (rc == 0) {
        log_compact(d);
        d->durable_ops = d->log_count;
    }
    return rc;
}

const char *simdisk_name(const struct simdisk *d, size_t i)
{
    for (size_t at = 0; at < d->log_count; at++) {
        if (name_lives(d, at) && i-- == 0) {
            return d->log[at].name;
        }
    }
    return NULL;
}

static int op_list(void *ctx, const char *path, void *arg, void (*on_name)(void *, const char *))
{
    const struct simdisk *d = ctx;
    if (d->dead) {
        return -EIO;
    }
    for (size_t at = 0; at < d->log_count; at++) {
        if (name_lives(d, at)) {
            on_name(arg, d->log[at].name);
        }
    }
    return 0;
}

static int op_lock(void *ctx, int fd)
{
    const struct simdisk *d = ctx;
    return d->dead ? -EIO : d->locked ? -EWOULDBLOCK : 0;
}

static uint64_t op_random(void *ctx)
{
    struct simdisk *d = ctx;
    return simdisk_draw(&d->random);
}

struct fileops simdisk_ops(struct simdisk *d)
{
    return (struct fileops){
        .ctx = d,
        .open = op_open,
        .close = op_close,
        .pread = op_pread,
        .pwrite = op_pwrite,
        .fdatasync = op_fdatasync,
        .fallocate = op_fallocate,
        .size = op_size,
        .data_end = op_data_end,
        .rename = op_rename,
        .unlink = op_unlink,
        .dirsync = op_dirsync,
        .list = op_list,
        .lock = op_lock,
        .random = op_random,
    };
}

/* Of what was written and not synced: nothing, everything, or single sectors. */
static void settle(struct simdisk *d, struct simfile *f)
{
    uint64_t mode = simdisk_draw(&d->random) % 4;
    for (size_t i = 0; i < f->pending_count; i++) {
        const struct simwrite *w = &f->pending[i];
        if (mode == 0 || (w->data == NULL && simdisk_draw(&d->random) % 2 == 0)) {
            continue;
        }
        if (mode == 1 || w->data == NULL) {
            apply(&f->safe, &f->safe_size, w);
            continue;
        }
        for (size_t at = 0; at < w->size;) {
            size_t step = SECTOR - (size_t)((w->offset + at) % SECTOR);
            step = step < w->size - at ? step : w->size - at;
            struct simwrite part = {w->offset + at, step, w->data + at};
            if (simdisk_draw(&d->random) % (mode == 2 ? 2 : 8) != 0) {
                apply(&f->safe, &f->safe_size, &part);
            }
            at += step;
        }
    }
    pending_clear(f);
    free(f->seen);
    f->seen = mem_copy(f->safe, f->safe_size);
    f->seen_size = f->safe_size;
}

void simdisk_process_death(struct simdisk *d)
{
    memset(d->fds, 0, sizeof d->fds);
    d->dead = false;
    d->fault = SIMDISK_NONE;
}

void simdisk_power_cut(struct simdisk *d)
{
    for (size_t i = 0; i < d->files_count; i++) {
        settle(d, d->files[i]);
    }
    /* A journal keeps the order of directory operations: some first ones survive. */
    size_t keep =
        d->durable_ops + (size_t)(simdisk_draw(&d->random) % (d->log_count - d->durable_ops + 1));
    while (d->log_count > keep) {
        free(d->log[--d->log_count].name);
    }
    d->durable_ops = keep;
    simdisk_process_death(d);
}

void simdisk_copy(struct simdisk *to, const struct simdisk *from, uint64_t seed)
{
    simdisk_init(to, seed);
    for (size_t i = 0; simdisk_name(from, i) != NULL; i++) {
        const char *name = simdisk_name(from, i);
        const struct simfile *f = from->files[lookup(from, name) - 1];
        to->files = mem_resize(to->files, to->files_count + 1, sizeof to->files[0]);
        struct simfile *copy = mem_new(1, sizeof *copy);
        copy->seen = mem_copy(f->seen, f->seen_size);
        copy->safe = mem_copy(f->seen, f->seen_size);
        copy->seen_size = copy->safe_size = f->seen_size;
        to->files[to->files_count] = copy;
        link_name(to, name, to->files_count++, true);
    }
    to->durable_ops = to->log_count;
}

uint8_t *simdisk_bytes(struct simdisk *d, const char *name, size_t *ret_size)
{
    size_t inode = lookup(d, name);
    if (inode == 0) {
        return NULL;
    }
    *ret_size = d->files[inode - 1]->seen_size;
    return d->files[inode - 1]->seen;
}

void simdisk_remove(struct simdisk *d, const char *name)
{
    size_t inode = lookup(d, name);
    require(inode > 0);
    link_name(d, name, inode - 1, false);
    d->durable_ops = d->log_count;
}
