#include "tests/sim/product/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/require.h"
#include "tests/sim/product/world.h"

enum { SECTOR = 16 }; /* smaller than a real one: more ways to tear */

struct disk_write {
    uint64_t offset;
    size_t size;
    uint8_t *data; /* owned; NULL: the file grows to offset + size */
};

struct disk_file {
    uint8_t *seen, *safe; /* owned: page cache, disk */
    size_t seen_size, safe_size;
    struct disk_write *pending; /* owned: since the last sync */
    size_t pending_count;
};

enum disk_op_kind { OP_PUT, OP_REMOVE, OP_RENAME };
struct disk_op {
    enum disk_op_kind kind;
    char *path, *to; /* owned; to: RENAME */
    size_t inode;    /* PUT */
};

/* ---- trees of names ---- */

static struct disk_name *tree_find(const struct disk_tree *t, const char *path)
{
    for (size_t i = 0; i < t->count; i++) {
        if (strcmp(t->names[i].path, path) == 0) {
            return &t->names[i];
        }
    }
    return NULL;
}

static void tree_put(struct disk_tree *t, const char *path, size_t inode)
{
    struct disk_name *name = tree_find(t, path);
    if (name == NULL) {
        t->names = mem_resize(t->names, t->count + 1, sizeof *t->names);
        name = &t->names[t->count++];
        name->path = mem_text(path);
    }
    name->inode = inode;
}

static void tree_take(struct disk_tree *t, const char *path)
{
    struct disk_name *name = tree_find(t, path);
    if (name != NULL) {
        free(name->path);
        *name = t->names[--t->count];
    }
}

static bool below(const char *path, const char *dir)
{
    size_t size = strlen(dir);
    return strncmp(path, dir, size) == 0 && path[size] == '/';
}

static void tree_rename(struct disk_tree *t, const char *from, const char *to)
{
    size_t size = strlen(from);
    tree_take(t, to);
    for (size_t i = 0; i < t->count; i++) {
        char *path = t->names[i].path;
        if (strcmp(path, from) == 0 || below(path, from)) {
            size_t room = strlen(to) + strlen(path + size) + 1;
            t->names[i].path = mem_new(room, 1);
            snprintf(t->names[i].path, room, "%s%s", to, path + size);
            free(path);
        }
    }
}

static void tree_free(struct disk_tree *t)
{
    for (size_t i = 0; i < t->count; i++) {
        free(t->names[i].path);
    }
    free(t->names);
    *t = (struct disk_tree){0};
}

static void tree_copy(struct disk_tree *to, const struct disk_tree *from)
{
    tree_free(to);
    for (size_t i = 0; i < from->count; i++) {
        tree_put(to, from->names[i].path, from->names[i].inode);
    }
}

static void tree_apply(struct disk_tree *t, const struct disk_op *op)
{
    switch (op->kind) {
    case OP_PUT:
        tree_put(t, op->path, op->inode);
        break;
    case OP_REMOVE:
        tree_take(t, op->path);
        break;
    case OP_RENAME:
        tree_rename(t, op->path, op->to);
        break;
    }
}

/* ---- the journal of names ---- */

static void change(struct disk *d, enum disk_op_kind kind, const char *path, const char *to,
                   size_t inode)
{
    d->ops = mem_resize(d->ops, d->ops_count + 1, sizeof *d->ops);
    struct disk_op *op = &d->ops[d->ops_count++];
    *op = (struct disk_op){.kind = kind,
                           .path = mem_text(path),
                           .to = to == NULL ? NULL : mem_text(to),
                           .inode = inode};
    tree_apply(&d->seen, op);
}

static void file_free(struct disk_file *f);

static bool tree_has(const struct disk_tree *t, size_t inode)
{
    for (size_t i = 0; i < t->count; i++) {
        if (t->names[i].inode == inode) {
            return true;
        }
    }
    return false;
}

/* Files without a name and without a descriptor go away. */
static void collect(struct disk *d)
{
    for (size_t inode = 0; inode < d->files_count; inode++) {
        bool used = tree_has(&d->seen, inode) || tree_has(&d->safe, inode);
        for (size_t fd = 0; fd < DISK_FDS && !used; fd++) {
            used = d->fds[fd] == inode + 1;
        }
        if (!used) {
            file_free(d->files[inode]);
            d->files[inode] = NULL;
        }
    }
}

/* The first `count` changes are durable, the others never were. */
static void journal_end(struct disk *d, size_t count)
{
    for (size_t i = 0; i < d->ops_count; i++) {
        if (i < count) {
            tree_apply(&d->safe, &d->ops[i]);
        }
        free(d->ops[i].path);
        free(d->ops[i].to);
    }
    d->ops_count = 0;
}

/* ---- files ---- */

static void pending_clear(struct disk_file *f)
{
    for (size_t i = 0; i < f->pending_count; i++) {
        free(f->pending[i].data);
    }
    free(f->pending);
    f->pending = NULL;
    f->pending_count = 0;
}

static void file_free(struct disk_file *f)
{
    if (f != NULL) {
        pending_clear(f);
        free(f->seen);
        free(f->safe);
        free(f);
    }
}

static void write_to(uint8_t **data, size_t *size, const struct disk_write *w)
{
    size_t need = (size_t)w->offset + w->size;
    if (need > *size) {
        *data = mem_resize(*data, need, 1);
        memset(*data + *size, 0, need - *size);
        *size = need;
    }
    if (w->data != NULL && w->size > 0) {
        memcpy(*data + w->offset, w->data, w->size);
    }
}

static void pend(struct disk_file *f, uint64_t offset, const void *data, size_t size)
{
    f->pending = mem_resize(f->pending, f->pending_count + 1, sizeof f->pending[0]);
    struct disk_write *w = &f->pending[f->pending_count++];
    *w = (struct disk_write){offset, size, data == NULL ? NULL : mem_copy(data, size)};
    write_to(&f->seen, &f->seen_size, w);
}

/* Of what was written and not synced: nothing, everything, or single sectors. */
static void settle(struct disk *d, struct disk_file *f)
{
    uint64_t mode = draw_below(&d->random, 4);
    for (size_t i = 0; i < f->pending_count; i++) {
        const struct disk_write *w = &f->pending[i];
        if (mode == 0 || (w->data == NULL && draw_below(&d->random, 2) == 0)) {
            continue;
        }
        if (mode == 1 || w->data == NULL) {
            write_to(&f->safe, &f->safe_size, w);
            continue;
        }
        for (size_t at = 0; at < w->size;) {
            size_t step = SECTOR - (size_t)((w->offset + at) % SECTOR);
            step = step < w->size - at ? step : w->size - at;
            struct disk_write part = {w->offset + at, step, w->data + at};
            if (draw_below(&d->random, mode == 2 ? 2 : 8) != 0) {
                write_to(&f->safe, &f->safe_size, &part);
            }
            at += step;
        }
    }
    pending_clear(f);
    free(f->seen);
    f->seen = mem_copy(f->safe, f->safe_size);
    f->seen_size = f->safe_size;
}

/* ---- calls ---- */

/* Counts a changing call. 0: go on; else what to answer. *ret_partly: take effect in part. */
static int count_call(struct disk *d, bool *ret_partly)
{
    *ret_partly = false;
    if (d->dead) {
        return -EIO;
    }
    if (++d->calls != d->fault_at || d->fault == DISK_FAULT_NONE) {
        return 0;
    }
    d->dead = d->fault == DISK_FAULT_CUT;
    *ret_partly = true;
    return -EIO;
}

static struct disk_file *file_of(struct disk *d, int fd)
{
    require(fd >= 0 && fd < DISK_FDS);
    require(d->fds[fd] > 0);
    require(d->fds[fd] != DISK_DIRECTORY);
    return d->files[d->fds[fd] - 1];
}

static size_t inode_new(struct disk *d)
{
    size_t inode = 0;
    while (inode < d->files_count && d->files[inode] != NULL) {
        inode++;
    }
    if (inode == d->files_count) {
        d->files = mem_resize(d->files, ++d->files_count, sizeof d->files[0]);
    }
    d->files[inode] = mem_new(1, sizeof *d->files[0]);
    return inode;
}

static bool parent_is_there(const struct disk *d, const char *path)
{
    const char *slash = strrchr(path, '/');
    char *parent = mem_copy(path, strlen(path) + 1);
    require(slash != NULL);
    parent[slash - path] = '\0';
    const struct disk_name *name = tree_find(&d->seen, parent);
    free(parent);
    return name != NULL && name->inode == DISK_DIRECTORY;
}

static int op_open(void *ctx, const char *path, int flags)
{
    struct disk *d = ctx;
    bool partly;
    if (d->dead) {
        return -EIO;
    }
    const struct disk_name *name = tree_find(&d->seen, path);
    if (name == NULL && ((flags & O_CREAT) == 0 || !parent_is_there(d, path))) {
        return -ENOENT;
    }
    if (name != NULL && name->inode == DISK_DIRECTORY && (flags & O_ACCMODE) != O_RDONLY) {
        return -EISDIR;
    }
    size_t inode = name == NULL ? 0 : name->inode;
    if (name == NULL || (flags & O_TRUNC) != 0) {
        int rc = count_call(d, &partly);
        if (rc != 0) {
            return rc;
        }
        /* A truncated file is a new one: what was synced under the old one may come back. */
        inode = inode_new(d);
        change(d, OP_PUT, path, NULL, inode);
    }
    for (int fd = 0; fd < DISK_FDS; fd++) {
        if (d->fds[fd] == 0) {
            d->fds[fd] = inode == DISK_DIRECTORY ? DISK_DIRECTORY : inode + 1;
            return fd;
        }
    }
    return -EMFILE;
}

static void op_close(void *ctx, int fd)
{
    struct disk *d = ctx;
    d->fds[fd] = 0;
}

static int64_t op_pread(void *ctx, int fd, void *ret, size_t size, uint64_t offset)
{
    struct disk *d = ctx;
    if (d->dead) {
        return -EIO;
    }
    if (d->fds[fd] == DISK_DIRECTORY) {
        return -EISDIR;
    }
    const struct disk_file *f = file_of(d, fd);
    if (offset >= f->seen_size) {
        return 0;
    }
    size_t have = f->seen_size - (size_t)offset;
    have = have < size ? have : size;
    memcpy(ret, f->seen + offset, have);
    return (int64_t)have;
}

static int op_pwrite(void *ctx, int fd, const void *data, size_t size, uint64_t offset)
{
    struct disk *d = ctx;
    bool partly;
    int rc = count_call(d, &partly);
    if (rc != 0 && !partly) {
        return rc;
    }
    pend(file_of(d, fd), offset, data, rc == 0 ? size : (size_t)draw_below(&d->random, size + 1));
    return rc;
}

static int op_fdatasync(void *ctx, int fd)
{
    struct disk *d = ctx;
    bool partly;
    int rc = count_call(d, &partly);
    if (d->dead) {
        return rc;
    }
    struct disk_file *f = file_of(d, fd);
    for (size_t i = 0; i < f->pending_count && rc == 0; i++) {
        write_to(&f->safe, &f->safe_size, &f->pending[i]);
    }
    pending_clear(f); /* after an error the kernel calls the pages clean, and never writes them */
    return rc;
}

static int op_fallocate(void *ctx, int fd, uint64_t size)
{
    struct disk *d = ctx;
    bool partly;
    int rc = count_call(d, &partly);
    if (rc == 0) {
        pend(file_of(d, fd), 0, NULL, (size_t)size);
    }
    return rc;
}

static int64_t op_size(void *ctx, int fd)
{
    struct disk *d = ctx;
    return d->dead ? -EIO : (int64_t)file_of(d, fd)->seen_size;
}

/* Exactly behind the last byte that is not zero: the least that a file system may say. */
static int64_t op_data_end(void *ctx, int fd)
{
    struct disk *d = ctx;
    size_t end = d->dead ? 0 : file_of(d, fd)->seen_size;
    while (end > 0 && file_of(d, fd)->seen[end - 1] == 0) {
        end--;
    }
    return d->dead ? -EIO : (int64_t)end;
}

static bool is_empty(const struct disk *d, const char *dir)
{
    for (size_t i = 0; i < d->seen.count; i++) {
        if (below(d->seen.names[i].path, dir)) {
            return false;
        }
    }
    return true;
}

static int op_rename(void *ctx, const char *from, const char *to)
{
    struct disk *d = ctx;
    bool partly;
    int rc = count_call(d, &partly);
    if (rc != 0) {
        return rc;
    }
    if (tree_find(&d->seen, from) == NULL || !parent_is_there(d, to)) {
        return -ENOENT;
    }
    if (!is_empty(d, to)) {
        return -ENOTEMPTY;
    }
    change(d, OP_RENAME, from, to, 0);
    return 0;
}

/* A file (a directory: dir) goes away. */
static int take_away(struct disk *d, const char *path, bool dir)
{
    bool partly;
    int rc = count_call(d, &partly);
    if (rc != 0) {
        return rc;
    }
    const struct disk_name *name = tree_find(&d->seen, path);
    if (name == NULL) {
        return -ENOENT;
    }
    if ((name->inode == DISK_DIRECTORY) != dir) {
        return dir ? -ENOTDIR : -EISDIR;
    }
    if (dir && !is_empty(d, path)) {
        return -ENOTEMPTY;
    }
    change(d, OP_REMOVE, path, NULL, 0);
    return 0;
}

static int op_unlink(void *ctx, const char *path)
{
    return take_away(ctx, path, false);
}

static int op_rmdir(void *ctx, const char *path)
{
    return take_away(ctx, path, true);
}

static int op_mkdir(void *ctx, const char *path)
{
    struct disk *d = ctx;
    bool partly;
    int rc = count_call(d, &partly);
    if (rc != 0) {
        return rc;
    }
    if (tree_find(&d->seen, path) != NULL) {
        return -EEXIST;
    }
    if (!parent_is_there(d, path)) {
        return -ENOENT;
    }
    change(d, OP_PUT, path, NULL, DISK_DIRECTORY);
    return 0;
}

static int op_link(void *ctx, const char *from, const char *to)
{
    struct disk *d = ctx;
    bool partly;
    int rc = count_call(d, &partly);
    if (rc != 0) {
        return rc;
    }
    const struct disk_name *name = tree_find(&d->seen, from);
    if (name == NULL || !parent_is_there(d, to)) {
        return -ENOENT;
    }
    if (tree_find(&d->seen, to) != NULL) {
        return -EEXIST;
    }
    change(d, OP_PUT, to, NULL, name->inode);
    return 0;
}

static int op_dirsync(void *ctx, const char *path)
{
    struct disk *d = ctx;
    bool partly;
    int rc = count_call(d, &partly);
    if (rc == 0 && tree_find(&d->seen, path) == NULL) {
        return -ENOENT;
    }
    if (rc == 0) {
        journal_end(d, d->ops_count);
        collect(d);
    }
    return rc;
}

static int op_list(void *ctx, const char *path, void *arg, void (*on_name)(void *, const char *))
{
    const struct disk *d = ctx;
    size_t size = strlen(path);
    if (d->dead) {
        return -EIO;
    }
    if (tree_find(&d->seen, path) == NULL) {
        return -ENOENT;
    }
    for (size_t i = 0; i < d->seen.count; i++) {
        const char *name = d->seen.names[i].path;
        if (below(name, path) && strchr(name + size + 1, '/') == NULL) {
            on_name(arg, name + size + 1);
        }
    }
    return 0;
}

static int op_lock(void *ctx, int fd)
{
    const struct disk *d = ctx;
    (void)fd;
    return d->dead ? -EIO : 0;
}

static uint64_t op_random(void *ctx)
{
    struct disk *d = ctx;
    return draw(&d->random);
}

struct fileops disk_ops(struct disk *d)
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
        .mkdir = op_mkdir,
        .rmdir = op_rmdir,
        .link = op_link,
        .dirsync = op_dirsync,
        .list = op_list,
        .lock = op_lock,
        .random = op_random,
    };
}

/* ---- what happens to the machine ---- */

void disk_init(struct disk *d, uint64_t seed)
{
    *d = (struct disk){.random = seed};
}

void disk_done(struct disk *d)
{
    journal_end(d, 0);
    free(d->ops);
    tree_free(&d->seen);
    tree_free(&d->safe);
    for (size_t i = 0; i < d->files_count; i++) {
        file_free(d->files[i]);
    }
    free(d->files);
}

void disk_arm(struct disk *d, enum disk_fault fault, uint64_t nth)
{
    d->fault = fault;
    d->fault_at = d->calls + nth;
}

void disk_process_death(struct disk *d)
{
    memset(d->fds, 0, sizeof d->fds);
    d->dead = false;
    d->fault = DISK_FAULT_NONE;
}

void disk_power_cut(struct disk *d)
{
    for (size_t i = 0; i < d->files_count; i++) {
        if (d->files[i] != NULL) {
            settle(d, d->files[i]);
        }
    }
    journal_end(d, (size_t)draw_below(&d->random, d->ops_count + 1));
    tree_copy(&d->seen, &d->safe);
    disk_process_death(d);
    collect(d);
}

void disk_make(struct disk *d, const char *path)
{
    for (const char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        char *above = mem_copy(path, strlen(path) + 1);
        above[slash - path] = '\0';
        tree_put(&d->seen, above, DISK_DIRECTORY);
        tree_put(&d->safe, above, DISK_DIRECTORY);
        free(above);
    }
    tree_put(&d->seen, path, DISK_DIRECTORY);
    tree_put(&d->safe, path, DISK_DIRECTORY);
}

const char *disk_path(const struct disk *d, size_t i)
{
    if (i >= d->seen.count) {
        return NULL;
    }
    return d->seen.names[i].inode == DISK_DIRECTORY ? "" : d->seen.names[i].path;
}

uint8_t *disk_bytes(struct disk *d, const char *path, size_t *ret_size)
{
    const struct disk_name *name = tree_find(&d->seen, path);
    if (name == NULL || name->inode == DISK_DIRECTORY) {
        return NULL;
    }
    *ret_size = d->files[name->inode]->seen_size;
    return d->files[name->inode]->seen;
}
