/* storage/kv.h in memory, with RocksDB's promises: a batch takes effect as a whole; after a kill
 * everything is there; after a power cut the state is as it was after some earlier batch, at or
 * after the last flush. A store is a skip list of (family, key) and a journal of how to take the
 * batches since the last flush back. */
#include "storage/kv.h"

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/require.h"
#include "tests/sim/product/machine.h"

enum { LEVELS = 14, FLUSH_PPM = 15000 };

struct pair {
    uint8_t *value; /* owned */
    size_t value_size, key_size;
    uint64_t life; /* of the process that wrote it */
    uint8_t *key;  /* behind next; the first byte is the family */
    struct pair *next[];
};

/* How to take one write back: the pair as it was. */
struct undo {
    uint8_t *key, *value; /* owned; value NULL: it was not there */
    size_t key_size, value_size;
};

struct store {
    struct store *next;
    char *dir;
    struct pair *head; /* has LEVELS levels and no key */
    uint64_t random;
    size_t count;
    struct undo *undo; /* owned */
    size_t undo_count, undo_capacity;
    size_t *marks; /* marks[i]: undo_count before batch i since the last flush */
    size_t mark_count, mark_capacity;
    size_t alive_marks; /* batches that were written before the process died */
    bool ghost;         /* it is dead: what it still writes is taken back */
};

struct kv_disk {
    struct store *stores;
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
    struct store *store;
    struct pair *at; /* gives this one next; NULL: the end */
    struct buf lower, upper;
    bool reverse;
};

/* ---- the list ---- */

static struct pair *pair_new(size_t levels, const uint8_t *key, size_t key_size)
{
    struct pair *p = mem_new(1, sizeof *p + levels * sizeof p->next[0] + key_size);
    p->key = (uint8_t *)&p->next[levels];
    p->key_size = key_size;
    if (key_size > 0) {
        memcpy(p->key, key, key_size);
    }
    return p;
}

static int order(const struct pair *p, struct bytes key)
{
    return bytes_compare(bytes_of(p->key, p->key_size), key);
}

/* The last pair before the key (the head if there is none); ret_before: on each level. */
static struct pair *seek_before(struct store *s, struct bytes key, struct pair *ret_before[LEVELS])
{
    struct pair *p = s->head;
    for (size_t level = LEVELS; level-- > 0;) {
        while (p->next[level] != NULL && order(p->next[level], key) < 0) {
            p = p->next[level];
        }
        if (ret_before != NULL) {
            ret_before[level] = p;
        }
    }
    return p;
}

static struct pair *find(struct store *s, struct bytes key)
{
    struct pair *p = seek_before(s, key, NULL)->next[0];
    return p != NULL && order(p, key) == 0 ? p : NULL;
}

static struct pair *list_put(struct store *s, struct bytes key, const uint8_t *value, size_t size)
{
    struct pair *before[LEVELS];
    struct pair *p = seek_before(s, key, before)->next[0];
    if (p == NULL || order(p, key) != 0) {
        size_t levels = 1;
        while (levels < LEVELS && draw(&s->random) % 4 == 0) {
            levels++;
        }
        p = pair_new(levels, key.data, key.size);
        for (size_t i = 0; i < levels; i++) {
            p->next[i] = before[i]->next[i];
            before[i]->next[i] = p;
        }
        s->count++;
    }
    free(p->value);
    p->value = mem_copy(value, size);
    p->value_size = size;
    return p;
}

static void list_remove(struct store *s, struct bytes key)
{
    struct pair *before[LEVELS];
    struct pair *p = seek_before(s, key, before)->next[0];
    if (p == NULL || order(p, key) != 0) {
        return;
    }
    for (size_t i = 0; i < LEVELS && before[i]->next[i] == p; i++) {
        before[i]->next[i] = p->next[i];
    }
    free(p->value);
    free(p);
    s->count--;
}

/* ---- the journal ---- */

static void journal_clear(struct store *s)
{
    for (size_t i = 0; i < s->undo_count; i++) {
        free(s->undo[i].key);
        free(s->undo[i].value);
    }
    s->undo_count = 0;
    s->mark_count = 0;
}

static void journal_mark(struct store *s)
{
    if (s->mark_count == s->mark_capacity) {
        s->mark_capacity = s->mark_capacity == 0 ? 64 : 2 * s->mark_capacity;
        s->marks = mem_resize(s->marks, s->mark_capacity, sizeof *s->marks);
    }
    s->marks[s->mark_count++] = s->undo_count;
}

static void journal_note(struct store *s, struct bytes key)
{
    const struct pair *old = find(s, key);
    if (s->undo_count == s->undo_capacity) {
        s->undo_capacity = s->undo_capacity == 0 ? 256 : 2 * s->undo_capacity;
        s->undo = mem_resize(s->undo, s->undo_capacity, sizeof *s->undo);
    }
    s->undo[s->undo_count++] = (struct undo){
        .key = mem_copy(key.data, key.size),
        .key_size = key.size,
        .value = old == NULL ? NULL : mem_copy(old->value, old->value_size),
        .value_size = old == NULL ? 0 : old->value_size,
    };
}

/* Takes batches back until only `keep` of those since the last flush are left. */
static void roll_back(struct store *s, size_t keep)
{
    while (s->mark_count > keep) {
        size_t first = s->marks[--s->mark_count];
        while (s->undo_count > first) {
            struct undo *u = &s->undo[--s->undo_count];
            struct bytes key = bytes_of(u->key, u->key_size);
            if (u->value == NULL) {
                list_remove(s, key);
            } else {
                list_put(s, key, u->value, u->value_size);
            }
            free(u->key);
            free(u->value);
        }
    }
}

/* ---- the disk ---- */

static struct store *store_new(struct kv_disk *d, const char *dir)
{
    struct store *s = mem_new(1, sizeof *s);
    s->dir = mem_text(dir);
    s->head = pair_new(LEVELS, NULL, 0);
    s->random = 1;
    s->next = d->stores;
    d->stores = s;
    return s;
}

static void store_free(struct store *s)
{
    while (s->head != NULL) {
        struct pair *next = s->head->next[0];
        free(s->head->value);
        free(s->head);
        s->head = next;
    }
    journal_clear(s);
    free(s->undo);
    free(s->marks);
    free(s->dir);
    free(s);
}

static struct store *store_of(const struct kv_disk *d, const char *dir)
{
    struct store *s = d->stores;
    while (s != NULL && strcmp(s->dir, dir) != 0) {
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
            roll_back(s, s->alive_marks);
            s->ghost = false;
        }
        if (power) {
            roll_back(s, (size_t)draw_below(random, s->mark_count + 1));
            journal_clear(s);
        }
    }
}

/* ---- storage/kv.h ---- */

err kv_open(const char *dir, const struct kv_options *o, struct kv **ret, struct errtext *reterr)
{
    struct machine *m = machine_running();
    require(m != NULL);
    struct store *s = store_of(m->kv_disk, dir);
    if (s == NULL && o->read_only) {
        return err_fail(reterr, ERR_NOT_FOUND, "%s: there is no store", dir);
    }
    struct kv *kv = mem_new(1, sizeof *kv);
    kv->machine = m;
    kv->store = s == NULL ? store_new(m->kv_disk, dir) : s;
    *ret = kv;
    return err_ok();
}

void kv_close(struct kv *kv)
{
    free(kv);
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
    full_key(&full, family, key);
    const struct pair *p = find(kv->store, buf_bytes(&full));
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
    const struct pair *p = seek_before(kv->store, buf_bytes(&from), NULL)->next[0];
    for (; p != NULL && order(p, buf_bytes(&to)) < 0; p = p->next[0]) {
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
        list_put(s, key, op->data + op->key_size, op->value_size)->life = kv->machine->life;
    } else {
        list_remove(s, key);
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
        return err_fail(reterr, ERR_FULL, "No space left on device");
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
    const struct pair *p = find(kv->store, buf_bytes(&full));
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
    it->store = kv->store;
    it->reverse = range->reverse;
    full_key(&it->lower, range->family, range->lower);
    if (range->upper.size > 0) {
        full_key(&it->upper, range->family, range->upper);
    } else {
        full_key(&it->upper, range->family + 1, bytes_of(NULL, 0));
    }
    it->at = range->reverse
                 ? or_null(it->store, seek_before(it->store, buf_bytes(&it->upper), NULL))
                 : seek_before(it->store, buf_bytes(&it->lower), NULL)->next[0];
    return it;
}

bool kv_iter_next(struct kv_iter *it, struct bytes *ret_key, struct bytes *ret_value)
{
    struct pair *p = it->at;
    if (p == NULL || order(p, buf_bytes(&it->lower)) < 0 || order(p, buf_bytes(&it->upper)) >= 0) {
        it->at = NULL;
        return false;
    }
    *ret_key = bytes_of(p->key + 1, p->key_size - 1);
    *ret_value = bytes_of(p->value, p->value_size);
    it->at = it->reverse
                 ? or_null(it->store, seek_before(it->store, bytes_of(p->key, p->key_size), NULL))
                 : p->next[0];
    return true;
}

void kv_iter_seek(struct kv_iter *it, struct bytes key)
{
    struct buf full;
    full_key(&full, it->lower.data[0], key);
    struct bytes wanted = buf_bytes(&full);
    struct pair *before = seek_before(it->store, wanted, NULL);
    struct pair *after = before->next[0];
    if (!it->reverse) {
        if (bytes_compare(wanted, buf_bytes(&it->lower)) < 0) {
            after = seek_before(it->store, buf_bytes(&it->lower), NULL)->next[0];
        }
        it->at = after;
    } else if (bytes_compare(wanted, buf_bytes(&it->upper)) >= 0) {
        it->at = or_null(it->store, seek_before(it->store, buf_bytes(&it->upper), NULL));
    } else {
        it->at = after != NULL && order(after, wanted) == 0 ? after : or_null(it->store, before);
    }
    buf_done(&full);
}

err kv_iter_close(struct kv_iter *it, struct errtext *reterr)
{
    (void)reterr;
    buf_done(&it->lower);
    buf_done(&it->upper);
    free(it);
    return err_ok();
}

err kv_flush(struct kv *kv, struct errtext *reterr)
{
    (void)reterr;
    if (machine_acts(kv->machine)) {
        journal_clear(kv->store);
    }
    return err_ok();
}

err kv_checkpoint(struct kv *kv, const char *dir, struct errtext *reterr)
{
    struct machine *m = kv->machine;
    if (store_of(m->kv_disk, dir) != NULL) {
        return err_fail(reterr, ERR_EXISTS, "%s is there already", dir);
    }
    if (machine_acts(m)) {
        struct store *copy = store_new(m->kv_disk, dir);
        for (const struct pair *p = kv->store->head->next[0]; p != NULL; p = p->next[0]) {
            list_put(copy, bytes_of(p->key, p->key_size), p->value, p->value_size);
        }
    }
    return err_ok();
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
