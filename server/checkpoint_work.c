#include "server/checkpoint_work.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/require.h"
#include "crypto/sha256.h"
#include "ledger/ledger.h"
#include "storage/kv.h"
#include "storage/tree.h"

enum { HASH_BYTES = 256 << 10, INDEX_DIGITS = 16 };

/* ---- paths ---- */

struct checkpoint_path checkpoint_path(const struct checkpoint_paths *p, const char *name,
                                       const char *sub)
{
    struct checkpoint_path path;
    int n = sub == NULL ? snprintf(path.text, sizeof path.text, "%s/%s", p->data, name)
                        : snprintf(path.text, sizeof path.text, "%s/%s/%s", p->data, name, sub);
    require(n > 0 && (size_t)n < sizeof path.text); /* config.c bounds the data directory */
    return path;
}

struct checkpoint_path checkpoint_dir(const struct checkpoint_paths *p, uint64_t index,
                                      const char *sub)
{
    char name[64];
    snprintf(name, sizeof name, "checkpoints/%016" PRIx64, index);
    return checkpoint_path(p, name, sub);
}

static struct checkpoint_path in_state(const char *dir, const char *name)
{
    struct checkpoint_path path;
    int n = snprintf(path.text, sizeof path.text, "%s/state/%s", dir, name);
    require(n > 0 && (size_t)n < sizeof path.text);
    return path;
}

static struct checkpoint_path state_of(const char *dir)
{
    struct checkpoint_path path;
    int n = snprintf(path.text, sizeof path.text, "%s/state", dir);
    require(n > 0 && (size_t)n < sizeof path.text);
    return path;
}

/* ---- hashes and digests ---- */

static bool stopped(const struct checkpoint_paths *p)
{
    return p->stop != NULL && atomic_load_explicit(p->stop, memory_order_relaxed);
}

static err hash_file(const struct checkpoint_paths *p, const char *path, struct manifest_file *ret,
                     struct errtext *reterr)
{
    const struct fileops *ops = p->files;
    struct sha256 s;
    int fd = ops->open(ops->ctx, path, O_RDONLY);
    if (fd < 0) {
        return err_fail(reterr, ERR_IO, "open %s: %s", path, strerror(-fd));
    }
    uint8_t *chunk = mem_new(HASH_BYTES, 1);
    int64_t have = 0;
    ret->size = 0;
    sha256_init(&s);
    while (!stopped(p) && (have = ops->pread(ops->ctx, fd, chunk, HASH_BYTES, ret->size)) > 0) {
        sha256_add(&s, chunk, (size_t)have);
        ret->size += (uint64_t)have;
    }
    sha256_end(&s, ret->hash);
    free(chunk);
    ops->close(ops->ctx, fd);
    if (stopped(p)) {
        return err_fail(reterr, ERR_AGAIN, "this node stops");
    }
    return have == 0 ? err_ok()
                     : err_fail(reterr, ERR_IO, "read %s: %s", path, strerror((int)-have));
}

static err examine(const struct checkpoint_paths *p, const char *state, struct ledger_facts *ret,
                   struct errtext *reterr)
{
    struct kv_options options = {.read_only = true, .block_cache_bytes = CHECKPOINT_CACHE_BYTES};
    struct kv *kv = NULL;
    ledger_kv_families(&options);
    TRY(kv_open(state, &options, &kv, reterr));
    err e = ledger_examine_until(kv, p->stop, ret, reterr);
    kv_close(kv);
    return e;
}

static void id_of(const struct ledger_facts *facts, uint64_t term, struct checkpoint_id *ret)
{
    *ret = (struct checkpoint_id){
        .index = facts->applied_index,
        .term = term,
        .height = facts->head.height,
        .position = facts->head.position,
    };
    memcpy(ret->digest, facts->head.digest, 32);
    memcpy(ret->state_digest, facts->state_digest, 32);
}

/* ---- taking ---- */

err work_clear_new(const struct checkpoint_paths *p, struct errtext *reterr)
{
    struct checkpoint_path all = checkpoint_path(p, "checkpoints", NULL);
    struct checkpoint_path fresh = checkpoint_path(p, "checkpoints", "new");
    TRY(tree_make(p->files, all.text, reterr));
    TRY(tree_remove(p->files, fresh.text, "state", reterr));
    return tree_make(p->files, fresh.text, reterr);
}

/* Takes the hash of a table that an earlier copy of the same store has, too. */
static bool described(const struct manifest *before, const char *name, uint64_t size,
                      struct manifest_file *ret)
{
    size_t length = strlen(name);
    bool table = length > 4 && strcmp(name + length - 4, ".sst") == 0;
    uint32_t low = 0;
    uint32_t high = before == NULL || !table ? 0 : before->file_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const struct manifest_file *f = &before->files[middle];
        int order = strcmp(f->name, name);
        if (order == 0) {
            *ret = *f;
            return f->size == size;
        }
        low = order < 0 ? middle + 1 : low;
        high = order < 0 ? high : middle;
    }
    return false;
}

static err describe_files(const struct checkpoint_paths *p, const struct tree_names *names,
                          const struct manifest *before, struct manifest *m, struct errtext *reterr)
{
    struct checkpoint_path dir = checkpoint_path(p, "checkpoints", "new");
    m->files = mem_new(names->count + 1, sizeof *m->files);
    for (size_t i = 0; i < names->count; i++) {
        struct manifest_file *f = &m->files[m->file_count++];
        const char *name = names->list[i].text;
        if (!manifest_name_valid(bytes_text(name))) {
            return err_fail(reterr, ERR_INVALID, "%s/state/%s is no file of a state", dir.text,
                            name);
        }
        struct checkpoint_path path = in_state(dir.text, name);
        uint64_t size = 0;
        TRY(tree_size(p->files, path.text, &size, reterr));
        if (!described(before, name, size, f)) {
            memcpy(f->name, name, strlen(name) + 1);
            TRY(hash_file(p, path.text, f, reterr));
        }
        m->total_bytes += f->size;
    }
    return err_ok();
}

static err write_manifest(const struct checkpoint_paths *p, const char *dir, struct manifest *m,
                          struct manifest **ret, struct errtext *reterr)
{
    struct buf wire;
    buf_init(&wire, MANIFEST_BYTES_MAX);
    manifest_encode(m, &wire);
    err e = wire.overflow ? err_fail(reterr, ERR_LIMIT, "a checkpoint of %u files", m->file_count)
                          : manifest_decode(buf_bytes(&wire), ret, reterr);
    if (!failed(e)) {
        e = tree_replace(p->files, dir, "manifest", buf_bytes(&wire), reterr);
        if (failed(e)) {
            manifest_free(*ret);
            *ret = NULL;
        }
    }
    buf_done(&wire);
    return e;
}

err work_finish(const struct checkpoint_paths *p, const struct consensus_mark *mark,
                const struct manifest *before, struct manifest **ret, struct errtext *reterr)
{
    struct checkpoint_path dir = checkpoint_path(p, "checkpoints", "new");
    struct checkpoint_path state = checkpoint_path(p, "checkpoints/new", "state");
    struct checkpoint_path target = checkpoint_dir(p, mark->index, NULL);
    struct tree_names names = {0};
    struct ledger_facts facts;
    TRY(tree_sync(p->files, state.text, reterr));
    TRY(tree_list(p->files, state.text, &names, reterr));
    struct manifest m = {.conf_index = mark->conf_index, .conf = entry_bytes(mark->conf)};
    struct manifest *made = NULL;
    err e = examine(p, state.text, &facts, reterr);
    if (!failed(e) && facts.applied_index != mark->index) {
        e = err_fail(reterr, ERR_CONFLICT, "the copy is of entry %" PRIu64 ", not %" PRIu64,
                     facts.applied_index, mark->index);
    }
    if (!failed(e)) {
        id_of(&facts, mark->term, &m.id);
        e = describe_files(p, &names, before, &m, reterr);
    }
    tree_names_done(&names);
    if (!failed(e)) {
        e = write_manifest(p, dir.text, &m, &made, reterr);
    }
    free(m.files);
    if (!failed(e)) {
        e = tree_remove(p->files, target.text, "state", reterr);
    }
    if (!failed(e)) {
        e = tree_move(p->files, dir.text, target.text, reterr);
    }
    if (failed(e)) {
        manifest_free(made);
        return e;
    }
    *ret = made;
    return e;
}

/* ---- reading ---- */

err work_manifest(const struct checkpoint_paths *p, const char *dir, struct manifest **ret,
                  struct errtext *reterr)
{
    struct checkpoint_path path;
    struct buf wire;
    int n = snprintf(path.text, sizeof path.text, "%s/manifest", dir);
    require(n > 0 && (size_t)n < sizeof path.text);
    buf_init(&wire, MANIFEST_BYTES_MAX);
    err e = tree_read(p->files, path.text, MANIFEST_BYTES_MAX, &wire, reterr);
    if (!failed(e)) {
        e = manifest_decode(buf_bytes(&wire), ret, reterr);
        e = failed(e) ? err_wrapf(reterr, e, "%s", path.text) : e;
    }
    buf_done(&wire);
    return e;
}

/* Bytes of a file that are there: 0 if it is missing or longer than it may be. */
static err size_of(const struct checkpoint_paths *p, const char *dir, const struct manifest_file *f,
                   uint64_t *ret, struct errtext *reterr)
{
    uint64_t size = 0;
    err e = tree_size(p->files, in_state(dir, f->name).text, &size, reterr);
    if (failed(e) && !err_is(e, ERR_NOT_FOUND)) {
        return e;
    }
    *ret = failed(e) || size > f->size ? 0 : size;
    return err_ok();
}

err work_whole(const struct checkpoint_paths *p, const char *dir, const struct manifest *m,
               bool *ret, struct errtext *reterr)
{
    bool whole = true;
    for (uint32_t i = 0; i < m->file_count && whole; i++) {
        uint64_t have = 0;
        bool there = false;
        TRY(size_of(p, dir, &m->files[i], &have, reterr));
        TRY(tree_exists(p->files, in_state(dir, m->files[i].name).text, &there, reterr));
        whole = there && have == m->files[i].size;
    }
    *ret = whole;
    return err_ok();
}

/* ---- fetching ---- */

static err make_empty(const struct fileops *ops, const char *path, struct errtext *reterr)
{
    int fd = ops->open(ops->ctx, path, O_RDWR | O_CREAT);
    if (fd < 0) {
        return err_fail(reterr, ERR_IO, "make %s: %s", path, strerror(-fd));
    }
    ops->close(ops->ctx, fd);
    return err_ok();
}

err work_stage(const struct checkpoint_paths *p, const struct manifest *m, bool resume,
               uint64_t *ret_have, struct errtext *reterr)
{
    struct checkpoint_path dir = checkpoint_path(p, "staging", NULL);
    struct checkpoint_path state = checkpoint_path(p, "staging", "state");
    if (!resume) {
        TRY(tree_remove(p->files, dir.text, "state", reterr));
        TRY(tree_make(p->files, dir.text, reterr));
        TRY(tree_make(p->files, state.text, reterr));
        /* Last: a manifest stands for a directory that was made for it. */
        TRY(tree_replace(p->files, dir.text, "manifest", m->wire, reterr));
    }
    for (uint32_t i = 0; i < m->file_count; i++) {
        TRY(size_of(p, dir.text, &m->files[i], &ret_have[i], reterr));
        if (ret_have[i] == 0) {
            struct checkpoint_path path = in_state(dir.text, m->files[i].name);
            TRY(tree_unlink(p->files, path.text, reterr)); /* too long, perhaps */
            TRY(make_empty(p->files, path.text, reterr));
        }
    }
    return err_ok();
}

static err check_files(const struct checkpoint_paths *p, const char *dir, const struct manifest *m,
                       uint64_t *ret_have, uint32_t *ret_damaged, struct errtext *reterr)
{
    for (uint32_t i = 0; i < m->file_count; i++) {
        const struct manifest_file *f = &m->files[i];
        struct checkpoint_path path = in_state(dir, f->name);
        struct manifest_file found = {{0}, 0, {0}};
        TRY(hash_file(p, path.text, &found, reterr));
        if (found.size == f->size && memcmp(found.hash, f->hash, sizeof f->hash) == 0) {
            continue;
        }
        ++*ret_damaged;
        if (ret_have != NULL) {
            ret_have[i] = 0;
            TRY(tree_unlink(p->files, path.text, reterr));
            TRY(make_empty(p->files, path.text, reterr));
        }
    }
    return err_ok();
}

/* A file that the manifest does not name is nothing that was agreed upon. */
static err check_names(const struct checkpoint_paths *p, const char *state,
                       const struct manifest *m, struct errtext *reterr)
{
    struct tree_names names = {0};
    TRY(tree_list(p->files, state, &names, reterr));
    bool same = names.count == m->file_count;
    for (uint32_t i = 0; i < m->file_count && same; i++) {
        same = strcmp(names.list[i].text, m->files[i].name) == 0;
    }
    tree_names_done(&names);
    return same ? err_ok()
                : err_fail(reterr, ERR_CONFLICT, "%s holds other files than its manifest", state);
}

err work_verify(const struct checkpoint_paths *p, const char *dir, const struct manifest *m,
                uint64_t *ret_have, uint32_t *ret_damaged, struct errtext *reterr)
{
    struct checkpoint_path state = state_of(dir);
    struct ledger_facts facts;
    struct checkpoint_id id;
    *ret_damaged = 0;
    TRY(check_files(p, dir, m, ret_have, ret_damaged, reterr));
    if (*ret_damaged > 0) {
        return err_ok();
    }
    TRY(check_names(p, state.text, m, reterr));
    TRY(tree_sync(p->files, state.text, reterr));
    TRY(examine(p, state.text, &facts, reterr));
    id_of(&facts, m->id.term, &id);
    return checkpoint_id_equal(&id, &m->id)
               ? err_ok()
               : err_fail(reterr, ERR_CONFLICT,
                          "the files are not the state that their manifest names");
}

/* ---- installing ---- */

err work_ready(const struct checkpoint_paths *p, struct errtext *reterr)
{
    struct checkpoint_path from = checkpoint_path(p, "staging", NULL);
    struct checkpoint_path to = checkpoint_path(p, "install", NULL);
    TRY(tree_remove(p->files, to.text, "state", reterr));
    return tree_move(p->files, from.text, to.text, reterr);
}

/* A copy of install/ as a checkpoint of this node: Raft may offer it to others from now on. */
static err keep_copy(const struct checkpoint_paths *p, const struct manifest *m,
                     struct errtext *reterr)
{
    struct checkpoint_path from = checkpoint_path(p, "install", "state");
    struct checkpoint_path fresh = checkpoint_path(p, "checkpoints", "new");
    struct checkpoint_path state = checkpoint_path(p, "checkpoints/new", "state");
    struct checkpoint_path target = checkpoint_dir(p, m->id.index, NULL);
    TRY(work_clear_new(p, reterr));
    TRY(tree_clone(p->files, from.text, state.text, reterr));
    TRY(tree_replace(p->files, fresh.text, "manifest", m->wire, reterr));
    TRY(tree_remove(p->files, target.text, "state", reterr));
    return tree_move(p->files, fresh.text, target.text, reterr);
}

static err switch_state(const struct checkpoint_paths *p, struct errtext *reterr)
{
    struct checkpoint_path now = checkpoint_path(p, "state", NULL);
    struct checkpoint_path old = checkpoint_path(p, "state.old", NULL);
    struct checkpoint_path next = checkpoint_path(p, "install", "state");
    bool there = false;
    TRY(tree_exists(p->files, now.text, &there, reterr));
    if (there) {
        TRY(tree_remove(p->files, old.text, NULL, reterr));
        TRY(tree_move(p->files, now.text, old.text, reterr));
    }
    return tree_move(p->files, next.text, now.text, reterr);
}

/* What an install that was never recorded, or is done, has left. */
static err remove_rest(const struct checkpoint_paths *p, struct errtext *reterr)
{
    struct checkpoint_path install = checkpoint_path(p, "install", NULL);
    struct checkpoint_path old = checkpoint_path(p, "state.old", NULL);
    TRY(tree_remove(p->files, install.text, "state", reterr));
    return tree_remove(p->files, old.text, NULL, reterr);
}

err work_adopt(const char *state, struct errtext *reterr)
{
    struct kv_options options = {.block_cache_bytes = CHECKPOINT_CACHE_BYTES};
    struct kv *kv = NULL;
    ledger_kv_families(&options);
    TRY(kv_open(state, &options, &kv, reterr));
    err e = ledger_adopt(kv, reterr);
    kv_close(kv);
    return e;
}

err work_install(const struct checkpoint_paths *p, uint64_t index,
                 err (*adopt)(const char *state, struct errtext *reterr), bool *ret_switched,
                 struct errtext *reterr)
{
    struct checkpoint_path now = checkpoint_path(p, "state", NULL);
    struct checkpoint_path install = checkpoint_path(p, "install", NULL);
    struct checkpoint_path next = checkpoint_path(p, "install", "state");
    struct manifest *m = NULL;
    bool there = false;
    *ret_switched = false;
    err e = work_manifest(p, install.text, &m, reterr);
    if (err_is(e, ERR_NOT_FOUND)) {
        return remove_rest(p, reterr);
    }
    TRY(e);
    if (m->id.index != index) { /* fetched, and not recorded before the crash */
        manifest_free(m);
        return remove_rest(p, reterr);
    }
    e = tree_exists(p->files, next.text, &there, reterr);
    if (!failed(e) && there) {
        e = keep_copy(p, m, reterr);
    }
    if (!failed(e) && there) {
        e = switch_state(p, reterr);
    }
    if (!failed(e)) { /* after a crash again: data/install is there until all is done */
        e = adopt(now.text, reterr);
    }
    manifest_free(m);
    TRY(e);
    TRY(remove_rest(p, reterr));
    *ret_switched = true;
    return e;
}

/* ---- restoring ---- */

err work_set_aside(const struct checkpoint_paths *p, struct errtext *reterr)
{
    struct checkpoint_path now = checkpoint_path(p, "state", NULL);
    struct checkpoint_path damaged = checkpoint_path(p, "state.damaged", NULL);
    bool there = false;
    TRY(tree_exists(p->files, now.text, &there, reterr));
    if (!there) {
        return err_ok();
    }
    TRY(tree_remove(p->files, damaged.text, NULL, reterr));
    return tree_move(p->files, now.text, damaged.text, reterr);
}

static err put_in_place(const struct checkpoint_paths *p, uint64_t index, struct errtext *reterr)
{
    struct checkpoint_path from = checkpoint_dir(p, index, "state");
    struct checkpoint_path now = checkpoint_path(p, "state", NULL);
    struct checkpoint_path fresh = checkpoint_path(p, "state.new", NULL);
    TRY(tree_remove(p->files, fresh.text, NULL, reterr));
    TRY(tree_clone(p->files, from.text, fresh.text, reterr));
    TRY(work_set_aside(p, reterr));
    return tree_move(p->files, fresh.text, now.text, reterr);
}

err work_restore(const struct checkpoint_paths *p, uint64_t index_min, uint64_t index_max,
                 uint64_t *ret_index, struct errtext *reterr)
{
    uint64_t indexes[CHECKPOINTS_KEPT_MAX];
    size_t count = 0;
    TRY(work_list(p, indexes, CHECKPOINTS_KEPT_MAX, &count, reterr));
    for (size_t i = 0; i < count; i++) {
        struct checkpoint_path dir = checkpoint_dir(p, indexes[i], NULL);
        struct manifest *m = NULL;
        uint32_t damaged = 0;
        bool whole = false;
        if (indexes[i] < index_min || indexes[i] > index_max ||
            failed(work_manifest(p, dir.text, &m, reterr))) {
            continue;
        }
        bool good = !failed(work_whole(p, dir.text, m, &whole, reterr)) && whole &&
                    !failed(work_verify(p, dir.text, m, NULL, &damaged, reterr)) && damaged == 0;
        manifest_free(m);
        if (good) {
            TRY(put_in_place(p, indexes[i], reterr));
            *ret_index = indexes[i];
            return err_ok();
        }
    }
    return err_fail(reterr, ERR_NOT_FOUND, "no sound checkpoint from entry %" PRIu64 " to %" PRIu64,
                    index_min, index_max);
}

/* ---- letting go ---- */

err work_drop_files(const struct checkpoint_paths *p, uint64_t index, struct errtext *reterr)
{
    struct checkpoint_path state = checkpoint_dir(p, index, "state");
    return tree_remove(p->files, state.text, NULL, reterr);
}

err work_drop(const struct checkpoint_paths *p, uint64_t index, struct errtext *reterr)
{
    struct checkpoint_path dir = checkpoint_dir(p, index, NULL);
    return tree_remove(p->files, dir.text, "state", reterr);
}

/* The index that a directory is named after, or 0. */
static uint64_t index_of(const char *name)
{
    uint64_t index = 0;
    for (size_t i = 0; i < INDEX_DIGITS; i++) {
        char c = name[i];
        bool digit = c >= '0' && c <= '9';
        if (!digit && !(c >= 'a' && c <= 'f')) {
            return 0;
        }
        index = index << 4 | (uint64_t)(digit ? c - '0' : c - 'a' + 10);
    }
    return name[INDEX_DIGITS] == '\0' ? index : 0;
}

err work_list(const struct checkpoint_paths *p, uint64_t *ret, size_t most, size_t *ret_count,
              struct errtext *reterr)
{
    struct checkpoint_path all = checkpoint_path(p, "checkpoints", NULL);
    struct tree_names names = {0};
    *ret_count = 0;
    err e = tree_list(p->files, all.text, &names, reterr);
    if (err_is(e, ERR_NOT_FOUND)) {
        return err_ok();
    }
    for (size_t i = names.count; i > 0 && !failed(e); i--) { /* names ascend as indexes do */
        struct checkpoint_path dir = checkpoint_path(p, "checkpoints", names.list[i - 1].text);
        struct manifest *m = NULL;
        uint64_t index = index_of(names.list[i - 1].text);
        err read = index == 0 ? (err){ERR_INVALID} : work_manifest(p, dir.text, &m, reterr);
        bool good = !failed(read) && *ret_count < most && m->id.index == index;
        manifest_free(m);
        if (good) {
            ret[(*ret_count)++] = index;
        } else if (err_is(read, ERR_IO)) {
            e = read; /* it may be sound */
        } else {
            e = tree_remove(p->files, dir.text, "state", reterr);
        }
    }
    tree_names_done(&names);
    return e;
}
