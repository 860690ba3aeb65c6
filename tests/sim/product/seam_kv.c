/* storage/kv.h in memory, with RocksDB's promises: a batch takes effect as a whole; after a kill
 * everything is there; after a power cut the state is as it was after some earlier batch, at or
 * after the last flush. A store is a skip list of (family, key) and a journal of how to take the
 * batches since the last flush back. */
#include "storage/kv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/cursor.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/require.h"
#include "storage/tree.h"
#include "tests/sim/product/edge.h"
#include "tests/sim/product/kv_store.h"

enum { FLUSH_PPM = 15000 };

struct kv_disk {
    struct store *stores;
    uint64_t token_last;
};

struct kv {
    struct machine *machine;
    struct store *store;
};

struct write_op {
    struct write_op *next;
    bool is_put;
    size_t key_size, value_size;
    uint8_t data[]; /* key, value */
};

struct kv_batch {
    struct write_op *first, **last;
    size_t count, bytes;
};

struct kv_iter {
    struct machine *machine;
    struct store *store;
    struct pair *at; /* gives this one next; NULL: the end */
    struct buf lower, upper;
    bool reverse;
};

/* ---- the disk ---- */

/* Gives a store to the disk, under a new token. */
static void store_keep(struct kv_disk *d, struct store *s)
{
    s->token = ++d->token_last;
    s->next = d->stores;
    d->stores = s;
}

static struct store *store_of(const struct kv_disk *d, uint64_t token)
{
    struct store *s = d->stores;
    while (s != NULL && s->token != token) {
        s = s->next;
    }
    return s;
}

struct kv_disk *kv_disk_new(void)
{
    return mem_new(1, sizeof(struct kv_disk));
}

void kv_disk_free(struct kv_disk *d)
{
    while (d != NULL && d->stores != NULL) {
        struct store *next = d->stores->next;
        store_free(d->stores);
        d->stores = next;
    }
    free(d);
}

void kv_disk_crash(struct kv_disk *d, bool power, uint64_t *random)
{
    for (struct store *s = d->stores; s != NULL; s = s->next) {
        if (s->ghost) {
            journal_roll_back(s, s->alive_marks);
            s->ghost = false;
        }
        if (power) {
            journal_roll_back(s, (size_t)draw_below(random, s->mark_count + 1));
            journal_clear(s);
        }
    }
}

/* ---- storage/kv.h ---- */

/* ---- the directory: CURRENT names a store, a table is the content of a checkpoint ---- */

static const char CURRENT[] = "CURRENT";

struct kv_path {
    char text[512];
};

/* Another content has another name: whoever sees a name again may rely on it. */
static struct kv_path table_name(struct bytes content)
{
    struct kv_path name;
    snprintf(name.text, sizeof name.text, "pairs-%08x.sst",
             (unsigned)crc32c(0, content.data, content.size));
    return name;
}

static struct kv_path in_dir(const char *dir, const char *name)
{
    struct kv_path path;
    snprintf(path.text, sizeof path.text, "%.480s/%s", dir, name);
    return path;
}

static err disk_failed(struct machine *m, const char *path, int rc, struct errtext *reterr)
{
    m->disk_hurt = m->disk_hurt || m->full_until_ns > m->world->now_ns;
    return err_fail(reterr, rc == -ENOSPC ? ERR_FULL : ERR_IO, "%s: error %d", path, -rc);
}

/* Writes a file as a whole; with sync it is durable. */
static err put_file(struct machine *m, const char *dir, const char *name, struct bytes content,
                    struct errtext *reterr)
{
    const struct fileops ops = seam_log_files(m);
    struct kv_path path = in_dir(dir, name);
    int fd = ops.open(ops.ctx, path.text, O_RDWR | O_CREAT | O_TRUNC);
    if (fd < 0) {
        return disk_failed(m, path.text, fd, reterr);
    }
    int rc = ops.pwrite(ops.ctx, fd, content.data, content.size, 0);
    rc = rc != 0 ? rc : ops.fdatasync(ops.ctx, fd);
    ops.close(ops.ctx, fd);
    rc = rc != 0 ? rc : ops.dirsync(ops.ctx, dir);
    return rc == 0 ? err_ok() : disk_failed(m, path.text, rc, reterr);
}

/* NOT_FOUND: there is no such file. */
static err get_file(struct machine *m, const char *dir, const char *name, struct buf *ret,
                    struct errtext *reterr)
{
    const struct fileops ops = seam_log_files(m);
    struct kv_path path = in_dir(dir, name);
    int fd = ops.open(ops.ctx, path.text, O_RDONLY);
    if (fd == -ENOENT) {
        return (err){ERR_NOT_FOUND};
    }
    if (fd < 0) {
        return disk_failed(m, path.text, fd, reterr);
    }
    int64_t size = ops.size(ops.ctx, fd);
    uint8_t *room = size < 0 ? NULL : buf_room(ret, (size_t)size + 1);
    int64_t got = room == NULL ? size : ops.pread(ops.ctx, fd, room, (size_t)size, 0);
    ops.close(ops.ctx, fd);
    if (room == NULL || got != size) {
        return disk_failed(m, path.text, -EIO, reterr);
    }
    buf_added(ret, (size_t)size);
    return err_ok();
}

static void table_encode(const struct store *s, struct buf *ret)
{
    for (const struct pair *p = s->head->next[0]; p != NULL; p = p->next[0]) {
        buf_put_sized(ret, bytes_of(p->key, p->key_size));
        buf_put_sized(ret, bytes_of(p->value, p->value_size));
    }
    buf_put_u32(ret, crc32c(0, ret->data, ret->size));
    require(!ret->overflow);
}

static err table_decode(struct bytes wire, bool read_only, struct store **ret,
                        struct errtext *reterr)
{
    if (wire.size < 4) {
        return err_fail(reterr, ERR_CORRUPT, "a table without its end");
    }
    struct cursor end = cursor_of(bytes_of(wire.data + wire.size - 4, 4));
    if (crc32c(0, wire.data, wire.size - 4) != cursor_u32(&end)) {
        return err_fail(reterr, ERR_CORRUPT, "a damaged table");
    }
    struct cursor c = cursor_of(bytes_of(wire.data, wire.size - 4));
    struct store *s = store_new();
    while (cursor_left(&c) > 0 && cursor_ok(&c)) {
        bool taken = read_only || seam_kv_takes(wire.size - cursor_left(&c), wire.size);
        struct bytes key = cursor_sized(&c, wire.size);
        struct bytes value = cursor_sized(&c, wire.size);
        if (taken) {
            store_put(s, key, value.data, value.size);
        }
    }
    require(cursor_ok(&c));
    *ret = s;
    return err_ok();
}

enum { TABLE_BYTES_MAX = 64 << 20 };

/* The store that CURRENT names. NOT_FOUND: there is no such file. */
static err open_current(struct machine *m, const char *dir, struct store **ret,
                        struct errtext *reterr)
{
    struct buf content;
    buf_init(&content, TABLE_BYTES_MAX);
    err e = get_file(m, dir, CURRENT, &content, reterr);
    if (!failed(e)) {
        struct cursor c = cursor_of(buf_bytes(&content));
        *ret = store_of(m->kv_disk, cursor_u64(&c));
        e = *ret == NULL ? (err){ERR_NOT_FOUND} : e; /* it was being written at a power cut */
    }
    buf_done(&content);
    return e;
}

/* NOT_FOUND: there is no table. */
static err get_table(struct machine *m, const char *dir, struct buf *ret, struct errtext *reterr)
{
    const struct fileops ops = seam_log_files(m);
    struct tree_names names = {0};
    TRY(tree_list(&ops, dir, &names, reterr));
    err e = {ERR_NOT_FOUND};
    for (size_t i = 0; i < names.count && err_is(e, ERR_NOT_FOUND); i++) {
        if (strncmp(names.list[i].text, "pairs-", 6) == 0) {
            e = get_file(m, dir, names.list[i].text, ret, reterr);
        }
    }
    tree_names_done(&names);
    return e;
}

/* The content of a checkpoint; without one: an empty store, unless it is only read. */
static err open_table(struct machine *m, const char *dir, bool read_only, struct store **ret,
                      struct errtext *reterr)
{
    struct buf content;
    buf_init(&content, TABLE_BYTES_MAX);
    err e = get_table(m, dir, &content, reterr);
    if (!failed(e)) {
        e = table_decode(buf_bytes(&content), read_only, ret, reterr);
    } else if (err_is(e, ERR_NOT_FOUND) && !read_only) {
        *ret = store_new();
        e = err_ok();
    } else if (err_is(e, ERR_NOT_FOUND)) {
        e = err_fail(reterr, ERR_NOT_FOUND, "%s: there is no store", dir);
    }
    buf_done(&content);
    if (failed(e) || read_only) {
        return e;
    }
    struct buf token;
    buf_init(&token, 8);
    store_keep(m->kv_disk, *ret);
    buf_put_u64(&token, (*ret)->token);
    e = put_file(m, dir, CURRENT, buf_bytes(&token), reterr);
    buf_done(&token);
    return e;
}

err kv_open(const char *dir, const struct kv_options *o, struct kv **ret, struct errtext *reterr)
{
    struct machine *m = machine_running();
    struct store *s = NULL;
    require(m != NULL);
    err e = open_current(m, dir, &s, reterr);
    if (err_is(e, ERR_NOT_FOUND)) {
        e = open_table(m, dir, o->read_only, &s, reterr);
    }
    TRY(e);
    struct kv *kv = mem_new(1, sizeof *kv);
    kv->machine = m;
    kv->store = s;
    *ret = kv;
    return err_ok();
}

void kv_close(struct kv *kv)
{
    if (kv != NULL && kv->store->token == 0) {
        store_free(kv->store);
    }
    free(kv);
}

/* The next call of its kind that the disk refuses, and only that one. */
static bool state_fails(struct machine *m, bool reads)
{
    if (m->dead || m->kv_fault == 0 || m->kv_fault_reads != reads || --m->kv_fault > 0) {
        return false;
    }
    m->disk_hurt = true;
    m->world->counts.bad_states++;
    trace(m->world, "%llu: its state cannot be %s", (unsigned long long)m->id,
          reads ? "read" : "written");
    return true;
}

static void full_key(struct buf *b, size_t family, struct bytes key)
{
    buf_init(b, (size_t)ROW_BYTES_MAX + 1);
    buf_put_u8(b, (uint8_t)family);
    buf_put_bytes(b, key);
}

err kv_get(struct kv *kv, size_t family, struct bytes key, struct buf *ret, struct errtext *reterr)
{
    struct buf full;
    if (state_fails(kv->machine, true)) {
        return err_fail(reterr, ERR_IO, "Input/output error");
    }
    full_key(&full, family, key);
    const struct pair *p = store_find(kv->store, buf_bytes(&full));
    buf_done(&full);
    buf_clear(ret);
    if (p == NULL) {
        return (err){ERR_NOT_FOUND};
    }
    buf_put(ret, p->value, p->value_size);
    if (ret->overflow) {
        return err_fail(reterr, ERR_LIMIT, "value too large");
    }
    return err_ok();
}

struct kv_batch *kv_batch_new(void)
{
    struct kv_batch *b = mem_new(1, sizeof *b);
    b->last = &b->first;
    return b;
}

void kv_batch_clear(struct kv_batch *b)
{
    while (b->first != NULL) {
        struct write_op *next = b->first->next;
        free(b->first);
        b->first = next;
    }
    *b = (struct kv_batch){.last = &b->first};
}

void kv_batch_free(struct kv_batch *b)
{
    if (b != NULL) {
        kv_batch_clear(b);
        free(b);
    }
}

static void batch_add(struct kv_batch *b, struct bytes full, bool is_put, struct bytes value)
{
    struct write_op *op = mem_new(1, sizeof *op + full.size + value.size);
    op->is_put = is_put;
    op->key_size = full.size;
    op->value_size = value.size;
    memcpy(op->data, full.data, full.size);
    if (value.size > 0) {
        memcpy(op->data + full.size, value.data, value.size);
    }
    *b->last = op;
    b->last = &op->next;
    b->count++;
    b->bytes += full.size + value.size + 12;
}

void kv_batch_put(struct kv_batch *b, const struct kv *kv, size_t family, struct bytes key,
                  struct bytes value)
{
    struct buf full;
    (void)kv;
    full_key(&full, family, key);
    batch_add(b, buf_bytes(&full), true, value);
    buf_done(&full);
}

void kv_batch_delete(struct kv_batch *b, const struct kv *kv, size_t family, struct bytes key)
{
    struct buf full;
    (void)kv;
    full_key(&full, family, key);
    batch_add(b, buf_bytes(&full), false, bytes_of(NULL, 0));
    buf_done(&full);
}

void kv_batch_delete_range(struct kv_batch *b, const struct kv *kv, size_t family,
                           struct bytes first, struct bytes last)
{
    struct buf from, to;
    full_key(&from, family, first);
    full_key(&to, family, last);
    const struct pair *p = store_before(kv->store, buf_bytes(&from), NULL)->next[0];
    for (; p != NULL && pair_order(p, buf_bytes(&to)) < 0; p = p->next[0]) {
        batch_add(b, bytes_of(p->key, p->key_size), false, bytes_of(NULL, 0));
    }
    buf_done(&from);
    buf_done(&to);
}

size_t kv_batch_count(const struct kv_batch *b)
{
    return b->count;
}

size_t kv_batch_bytes(const struct kv_batch *b)
{
    return b->bytes + 12;
}

static void write_one(struct kv *kv, const struct write_op *op)
{
    struct store *s = kv->store;
    struct bytes key = bytes_of(op->data, op->key_size);
    journal_note(s, key);
    if (op->is_put) {
        store_put(s, key, op->data + op->key_size, op->value_size)->life = kv->machine->life;
    } else {
        store_remove(s, key);
    }
}

/* The process may die here: what it writes from then on is taken back. */
static bool commit_begin(struct kv *kv)
{
    struct store *s = kv->store;
    bool acts = machine_acts(kv->machine);
    if (!acts && !s->ghost) {
        s->ghost = true;
        s->alive_marks = s->mark_count;
    }
    return acts;
}

static void commit_end(struct kv *kv, bool acts, bool sync)
{
    if (acts && (sync || draw_chance(&kv->machine->world->random, FLUSH_PPM))) {
        journal_clear(kv->store);
    }
}

err kv_commit(struct kv *kv, const struct kv_batch *b, bool sync, struct errtext *reterr)
{
    struct machine *m = kv->machine;
    bool acts = commit_begin(kv);
    if (acts && m->full_until_ns > m->world->now_ns) {
        m->disk_hurt = true;
        m->world->counts.full_states++;
        return err_fail(reterr, ERR_FULL, "No space left on device");
    }
    if (acts && state_fails(m, false)) {
        return err_fail(reterr, ERR_IO, "Input/output error");
    }
    journal_mark(kv->store);
    for (const struct write_op *op = b->first; op != NULL; op = op->next) {
        write_one(kv, op);
    }
    commit_end(kv, acts, sync);
    return err_ok();
}

err seam_kv_commit_parts(struct kv *kv, const struct kv_batch *b, bool sync, struct errtext *reterr)
{
    bool acts = true;
    (void)reterr;
    for (const struct write_op *op = b->first; op != NULL; op = op->next) {
        acts = commit_begin(kv);
        journal_mark(kv->store);
        write_one(kv, op);
    }
    commit_end(kv, acts, sync);
    return err_ok();
}

uint64_t seam_kv_age(struct kv *kv, size_t family, struct bytes key)
{
    struct buf full;
    full_key(&full, family, key);
    const struct pair *p = store_find(kv->store, buf_bytes(&full));
    buf_done(&full);
    return p == NULL ? 0 : p->life;
}

struct kv_range kv_range_prefix(size_t family, struct bytes prefix, struct kv_prefix_room *room)
{
    struct kv_range range = {.family = family, .lower = prefix};
    require(prefix.size <= sizeof room->data);
    size_t size = prefix.size;
    while (size > 0 && prefix.data[size - 1] == 0xff) {
        size--;
    }
    if (size > 0) {
        memcpy(room->data, prefix.data, size);
        room->data[size - 1]++;
        range.upper = bytes_of(room->data, size);
    }
    return range;
}

static struct pair *or_null(struct store *s, struct pair *p)
{
    return p == s->head ? NULL : p;
}

struct kv_iter *kv_iter_open(struct kv *kv, const struct kv_range *range)
{
    struct kv_iter *it = mem_new(1, sizeof *it);
    it->machine = kv->machine;
    it->store = kv->store;
    it->reverse = range->reverse;
    full_key(&it->lower, range->family, range->lower);
    if (range->upper.size > 0) {
        full_key(&it->upper, range->family, range->upper);
    } else {
        full_key(&it->upper, range->family + 1, bytes_of(NULL, 0));
    }
    it->at = range->reverse
                 ? or_null(it->store, store_before(it->store, buf_bytes(&it->upper), NULL))
                 : store_before(it->store, buf_bytes(&it->lower), NULL)->next[0];
    return it;
}

bool kv_iter_next(struct kv_iter *it, struct bytes *ret_key, struct bytes *ret_value)
{
    struct pair *p = it->at;
    if (p == NULL || pair_order(p, buf_bytes(&it->lower)) < 0 ||
        pair_order(p, buf_bytes(&it->upper)) >= 0) {
        it->at = NULL;
        return false;
    }
    *ret_key = bytes_of(p->key + 1, p->key_size - 1);
    *ret_value = bytes_of(p->value, p->value_size);
    it->at = it->reverse
                 ? or_null(it->store, store_before(it->store, bytes_of(p->key, p->key_size), NULL))
                 : p->next[0];
    return true;
}

void kv_iter_seek(struct kv_iter *it, struct bytes key)
{
    struct buf full;
    full_key(&full, it->lower.data[0], key);
    struct bytes wanted = buf_bytes(&full);
    struct pair *before = store_before(it->store, wanted, NULL);
    struct pair *after = before->next[0];
    if (!it->reverse) {
        if (bytes_compare(wanted, buf_bytes(&it->lower)) < 0) {
            after = store_before(it->store, buf_bytes(&it->lower), NULL)->next[0];
        }
        it->at = after;
    } else if (bytes_compare(wanted, buf_bytes(&it->upper)) >= 0) {
        it->at = or_null(it->store, store_before(it->store, buf_bytes(&it->upper), NULL));
    } else {
        it->at =
            after != NULL && pair_order(after, wanted) == 0 ? after : or_null(it->store, before);
    }
    buf_done(&full);
}

err kv_iter_close(struct kv_iter *it, struct errtext *reterr)
{
    bool fails = state_fails(it->machine, true);
    buf_done(&it->lower);
    buf_done(&it->upper);
    free(it);
    return fails ? err_fail(reterr, ERR_IO, "Input/output error") : err_ok();
}

err kv_flush(struct kv *kv, struct errtext *reterr)
{
    if (machine_acts(kv->machine)) {
        if (state_fails(kv->machine, false)) {
            return err_fail(reterr, ERR_IO, "Input/output error");
        }
        journal_clear(kv->store);
    }
    return err_ok();
}

err kv_checkpoint(struct kv *kv, const char *dir, struct errtext *reterr)
{
    struct machine *m = kv->machine;
    const struct fileops ops = seam_log_files(m);
    struct buf table;
    int rc = ops.mkdir(ops.ctx, dir);
    if (rc != 0) {
        return rc == -EEXIST ? err_fail(reterr, ERR_EXISTS, "%s is there already", dir)
                             : disk_failed(m, dir, rc, reterr);
    }
    buf_init(&table, TABLE_BYTES_MAX);
    table_encode(kv->store, &table);
    err e = put_file(m, dir, table_name(buf_bytes(&table)).text, buf_bytes(&table), reterr);
    buf_done(&table);
    return e;
}

err kv_verify(struct kv *kv, struct errtext *reterr)
{
    (void)kv;
    (void)reterr;
    return err_ok();
}

void kv_stats(struct kv *kv, struct kv_stats *ret)
{
    *ret = (struct kv_stats){.keys_estimate = kv->store->count};
}
