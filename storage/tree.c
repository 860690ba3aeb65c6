#include "storage/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/require.h"

enum { PATH_BYTES = 4096, COPY_BYTES = 64 << 10 };

struct path {
    char text[PATH_BYTES];
};

static err fail(struct errtext *reterr, const char *what, const char *path, int rc)
{
    require(rc < 0);
    enum err_code code = rc == -ENOSPC || rc == -EDQUOT ? ERR_FULL
                         : rc == -ENOENT                ? ERR_NOT_FOUND
                                                        : ERR_IO;
    return err_fail(reterr, code, "%s %s: %s", what, path, strerror(-rc));
}

static err path_in(const char *dir, const char *name, struct path *ret, struct errtext *reterr)
{
    int n = snprintf(ret->text, sizeof ret->text, "%s/%s", dir, name);
    return n > 0 && (size_t)n < sizeof ret->text
               ? err_ok()
               : err_fail(reterr, ERR_LIMIT, "the path %.200s/%s is too long", dir, name);
}

static void parent_of(const char *path, struct path *ret)
{
    const char *slash = strrchr(path, '/');
    size_t size = slash == NULL ? 0 : (size_t)(slash - path);
    require(size < sizeof ret->text);
    if (size == 0) {
        memcpy(ret->text, slash == NULL ? "." : "/", 2);
        return;
    }
    memcpy(ret->text, path, size);
    ret->text[size] = '\0';
}

static err sync_parent(const struct fileops *ops, const char *path, struct errtext *reterr)
{
    struct path parent;
    parent_of(path, &parent);
    int rc = ops->dirsync(ops->ctx, parent.text);
    return rc == 0 ? err_ok() : fail(reterr, "sync", parent.text, rc);
}

err tree_exists(const struct fileops *ops, const char *path, bool *ret, struct errtext *reterr)
{
    require(path != NULL);
    require(ret != NULL);
    int fd = ops->open(ops->ctx, path, O_RDONLY);
    if (fd < 0 && fd != -ENOENT) {
        return fail(reterr, "open", path, fd);
    }
    if (fd >= 0) {
        ops->close(ops->ctx, fd);
    }
    *ret = fd >= 0;
    return err_ok();
}

err tree_size(const struct fileops *ops, const char *path, uint64_t *ret, struct errtext *reterr)
{
    require(ret != NULL);
    int fd = ops->open(ops->ctx, path, O_RDONLY);
    if (fd < 0) {
        return fail(reterr, "open", path, fd);
    }
    int64_t size = ops->size(ops->ctx, fd);
    ops->close(ops->ctx, fd);
    if (size < 0) {
        return fail(reterr, "size of", path, (int)size);
    }
    *ret = (uint64_t)size;
    return err_ok();
}

err tree_read(const struct fileops *ops, const char *path, size_t size_max, struct buf *ret,
              struct errtext *reterr)
{
    require(ret != NULL);
    uint64_t size = 0;
    buf_clear(ret);
    TRY(tree_size(ops, path, &size, reterr));
    uint8_t *room = size <= size_max ? buf_room(ret, (size_t)size) : NULL;
    if (room == NULL && size > 0) {
        return err_fail(reterr, ERR_LIMIT, "%s is too large: %llu bytes", path,
                        (unsigned long long)size);
    }
    int fd = ops->open(ops->ctx, path, O_RDONLY);
    if (fd < 0) {
        return fail(reterr, "open", path, fd);
    }
    int64_t have = size == 0 ? 0 : ops->pread(ops->ctx, fd, room, (size_t)size, 0);
    ops->close(ops->ctx, fd);
    if (have < 0) {
        return fail(reterr, "read", path, (int)have);
    }
    buf_added(ret, (size_t)have);
    return err_ok();
}

static int write_new(const struct fileops *ops, const char *path, struct bytes content)
{
    int fd = ops->open(ops->ctx, path, O_RDWR | O_CREAT | O_TRUNC);
    if (fd < 0) {
        return fd;
    }
    int rc = ops->pwrite(ops->ctx, fd, content.data, content.size, 0);
    if (rc == 0) {
        rc = ops->fdatasync(ops->ctx, fd);
    }
    ops->close(ops->ctx, fd);
    return rc;
}

err tree_replace(const struct fileops *ops, const char *dir, const char *name, struct bytes content,
                 struct errtext *reterr)
{
    struct path fresh;
    struct path target;
    TRY(path_in(dir, "file.new", &fresh, reterr));
    TRY(path_in(dir, name, &target, reterr));
    int rc = write_new(ops, fresh.text, content);
    if (rc == 0) {
        rc = ops->rename(ops->ctx, fresh.text, target.text);
    }
    if (rc == 0) {
        rc = ops->dirsync(ops->ctx, dir);
    }
    return rc == 0 ? err_ok() : fail(reterr, "write", target.text, rc);
}

/* ---- directories ---- */

struct listing {
    struct tree_names *names;
    bool too_many, too_long;
};

static void take_name(void *arg, const char *name)
{
    struct listing *l = arg;
    size_t size = strlen(name);
    if (size > TREE_NAME_BYTES_MAX) {
        l->too_long = true;
        return;
    }
    if (l->names->count == TREE_FILES_MAX) {
        l->too_many = true;
        return;
    }
    if ((l->names->count & (l->names->count - 1)) == 0) {
        size_t room = l->names->count == 0 ? 1 : 2 * l->names->count;
        l->names->list = mem_resize(l->names->list, room, sizeof *l->names->list);
    }
    memcpy(l->names->list[l->names->count++].text, name, size + 1);
}

static int compare_names(const void *a, const void *b)
{
    const struct tree_name *x = a;
    const struct tree_name *y = b;
    return strcmp(x->text, y->text);
}

err tree_list(const struct fileops *ops, const char *dir, struct tree_names *ret,
              struct errtext *reterr)
{
    require(ret != NULL);
    struct tree_names names = {0};
    struct listing l = {.names = &names};
    int rc = ops->list(ops->ctx, dir, &l, take_name);
    if (rc != 0 || l.too_many || l.too_long) {
        tree_names_done(&names);
        return rc != 0 ? fail(reterr, "list", dir, rc)
                       : err_fail(reterr, ERR_LIMIT, "%s holds %s", dir,
                                  l.too_many ? "too many files" : "a name that is too long");
    }
    if (names.count > 1) {
        qsort(names.list, names.count, sizeof *names.list, compare_names);
    }
    *ret = names;
    return err_ok();
}

void tree_names_done(struct tree_names *names)
{
    require(names != NULL);
    free(names->list);
    *names = (struct tree_names){0};
}

err tree_make(const struct fileops *ops, const char *dir, struct errtext *reterr)
{
    require(dir != NULL);
    int rc = ops->mkdir(ops->ctx, dir);
    if (rc != 0 && rc != -EEXIST) {
        return fail(reterr, "make", dir, rc);
    }
    return sync_parent(ops, dir, reterr);
}

static int sync_file(const struct fileops *ops, const char *path)
{
    int fd = ops->open(ops->ctx, path, O_RDONLY);
    if (fd < 0) {
        return fd;
    }
    int rc = ops->fdatasync(ops->ctx, fd);
    ops->close(ops->ctx, fd);
    return rc;
}

err tree_sync(const struct fileops *ops, const char *dir, struct errtext *reterr)
{
    struct tree_names names;
    TRY(tree_list(ops, dir, &names, reterr));
    err e = err_ok();
    for (size_t i = 0; i < names.count && !failed(e); i++) {
        struct path path;
        e = path_in(dir, names.list[i].text, &path, reterr);
        int rc = failed(e) ? 0 : sync_file(ops, path.text);
        if (rc != 0) {
            e = fail(reterr, "sync", path.text, rc);
        }
    }
    tree_names_done(&names);
    int rc = failed(e) ? 0 : ops->dirsync(ops->ctx, dir);
    return rc == 0 ? e : fail(reterr, "sync", dir, rc);
}

err tree_unlink(const struct fileops *ops, const char *path, struct errtext *reterr)
{
    require(path != NULL);
    int rc = ops->unlink(ops->ctx, path);
    return rc == 0 || rc == -ENOENT ? err_ok() : fail(reterr, "remove", path, rc);
}

static err remove_flat(const struct fileops *ops, const char *dir, struct errtext *reterr)
{
    struct tree_names names;
    err e = tree_list(ops, dir, &names, reterr);
    if (failed(e)) {
        return err_is(e, ERR_NOT_FOUND) ? err_ok() : e;
    }
    for (size_t i = 0; i < names.count && !failed(e); i++) {
        struct path path;
        e = path_in(dir, names.list[i].text, &path, reterr);
        if (!failed(e)) {
            e = tree_unlink(ops, path.text, reterr);
        }
    }
    tree_names_done(&names);
    int rc = failed(e) ? 0 : ops->rmdir(ops->ctx, dir);
    return rc == 0 || rc == -ENOENT ? e : fail(reterr, "remove", dir, rc);
}

err tree_remove(const struct fileops *ops, const char *dir, const char *sub, struct errtext *reterr)
{
    require(dir != NULL);
    bool there = false;
    TRY(tree_exists(ops, dir, &there, reterr));
    if (!there) {
        return err_ok();
    }
    if (sub != NULL) {
        struct path inner;
        TRY(path_in(dir, sub, &inner, reterr));
        TRY(remove_flat(ops, inner.text, reterr));
    }
    TRY(remove_flat(ops, dir, reterr));
    return sync_parent(ops, dir, reterr);
}

err tree_move(const struct fileops *ops, const char *from, const char *to, struct errtext *reterr)
{
    require(from != NULL);
    require(to != NULL);
    struct path a;
    struct path b;
    int rc = ops->rename(ops->ctx, from, to);
    if (rc != 0) {
        return fail(reterr, "rename", from, rc);
    }
    parent_of(from, &a);
    parent_of(to, &b);
    if (strcmp(a.text, b.text) != 0) {
        TRY(sync_parent(ops, from, reterr));
    }
    return sync_parent(ops, to, reterr);
}

/* ---- clones ---- */

static int copy_bytes(const struct fileops *ops, int from, int to)
{
    uint8_t *chunk = mem_new(COPY_BYTES, 1);
    uint64_t at = 0;
    int64_t have = ops->pread(ops->ctx, from, chunk, COPY_BYTES, at);
    int rc = 0;
    while (have > 0 && rc == 0) {
        rc = ops->pwrite(ops->ctx, to, chunk, (size_t)have, at);
        at += (uint64_t)have;
        have = rc != 0 ? 0 : ops->pread(ops->ctx, from, chunk, COPY_BYTES, at);
    }
    free(chunk);
    if (rc == 0 && have == 0) {
        rc = ops->fdatasync(ops->ctx, to);
    }
    return have < 0 ? (int)have : rc;
}

static int copy_file(const struct fileops *ops, const char *from, const char *to)
{
    int in = ops->open(ops->ctx, from, O_RDONLY);
    if (in < 0) {
        return in;
    }
    int out = ops->open(ops->ctx, to, O_RDWR | O_CREAT | O_TRUNC);
    int rc = out < 0 ? out : copy_bytes(ops, in, out);
    if (out >= 0) {
        ops->close(ops->ctx, out);
    }
    ops->close(ops->ctx, in);
    return rc;
}

static bool never_changes(const char *name)
{
    size_t size = strlen(name);
    return size > 4 && strcmp(name + size - 4, ".sst") == 0;
}

static err clone_file(const struct fileops *ops, const char *from, const char *to, const char *name,
                      struct errtext *reterr)
{
    struct path a;
    struct path b;
    TRY(path_in(from, name, &a, reterr));
    TRY(path_in(to, name, &b, reterr));
    int rc = never_changes(name) ? ops->link(ops->ctx, a.text, b.text) : -EXDEV;
    if (rc == -EXDEV || rc == -EPERM || rc == -EMLINK) {
        rc = copy_file(ops, a.text, b.text);
    }
    return rc == 0 ? err_ok() : fail(reterr, "copy", a.text, rc);
}

err tree_clone(const struct fileops *ops, const char *from, const char *to, struct errtext *reterr)
{
    struct tree_names names;
    TRY(tree_list(ops, from, &names, reterr));
    err e = tree_make(ops, to, reterr);
    for (size_t i = 0; i < names.count && !failed(e); i++) {
        e = clone_file(ops, from, to, names.list[i].text, reterr);
    }
    tree_names_done(&names);
    int rc = failed(e) ? 0 : ops->dirsync(ops->ctx, to);
    return rc == 0 ? e : fail(reterr, "sync", to, rc);
}
