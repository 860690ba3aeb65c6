#include "ledger/rows.h"

#include <stdlib.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/require.h"
#include "ledger/range.h"

struct row_cached {
    size_t size, capacity;
    bool present;
    uint8_t data[];
};

struct rows_undo {
    struct ordered_node *node;
    struct bytes value;
    size_t capacity;
    enum ordered_state state;
};

void rows_init(struct rows *r, struct kv *kv, size_t family, const uint64_t map_seed[2])
{
    require(r != NULL);
    require(kv != NULL);
    *r = (struct rows){.kv = kv, .family = family, .cached = true};
    map_init(&r->cache, map_seed[0], map_seed[1]);
    arena_init(&r->arena, OVERLAY_BYTES_MAX);
    arena_init(&r->counts_arena, ROW_COUNTS_BYTES_MAX);
    ordered_init(&r->overlay, &r->arena);
    ordered_init(&r->counts, &r->counts_arena);
    buf_init(&r->got, ROW_BYTES_MAX);
    buf_init(&r->found_key, ROW_BYTES_MAX);
    buf_init(&r->found_row, ROW_BYTES_MAX);
}

static void cache_clear(struct rows *r)
{
    size_t at = 0;
    struct bytes key;
    void *value;
    while (map_next(&r->cache, &at, &key, &value)) {
        free(value);
    }
    map_done(&r->cache);
    r->cache_bytes = 0;
}

void rows_done(struct rows *r)
{
    require(r != NULL);
    cache_clear(r);
    arena_done(&r->arena);
    arena_done(&r->counts_arena);
    free(r->undo);
    buf_done(&r->got);
    buf_done(&r->found_key);
    buf_done(&r->found_row);
    *r = (struct rows){0};
}

/* Sets the cached state of a key; beyond the bound new keys are left out. */
static void cache_set(struct rows *r, struct bytes key, bool present, struct bytes row)
{
    struct row_cached *old = map_get(&r->cache, key);
    if (old != NULL && row.size <= old->capacity) {
        old->present = present;
        old->size = row.size;
        if (row.size > 0) {
            memcpy(old->data, row.data, row.size);
        }
        return;
    }
    if (old == NULL && (!r->cached || r->cache_bytes >= ROW_CACHE_BYTES_MAX)) {
        return;
    }
    struct row_cached *fresh = mem_new(1, sizeof(*fresh) + row.size);
    *fresh = (struct row_cached){row.size, row.size, present};
    if (row.size > 0) {
        memcpy(fresh->data, row.data, row.size);
    }
    r->cache_bytes += sizeof(*fresh) + row.size + key.size + ROW_CACHE_SLOT_BYTES;
    free(map_put(&r->cache, key, fresh));
}

/* The row as the last finished block left it. */
static bool committed_get(struct rows *r, struct bytes key, struct bytes *ret_row)
{
    struct row_cached *cached = map_get(&r->cache, key);
    if (cached != NULL) {
        *ret_row = bytes_of(cached->data, cached->size);
        return cached->present;
    }
    struct errtext why;
    buf_clear(&r->got);
    err e = kv_get(r->kv, r->family, key, &r->got, &why);
    if (failed(e) && !err_is(e, ERR_NOT_FOUND)) {
        die("state database: %s", why.text);
    }
    bool present = !failed(e);
    *ret_row = present ? buf_bytes(&r->got) : bytes_of(NULL, 0);
    cache_set(r, key, present, *ret_row);
    return present;
}

bool rows_get(struct rows *r, struct bytes key, struct bytes *ret_row)
{
    require(r != NULL);
    require(ret_row != NULL);
    struct ordered_node *node = ordered_find(&r->overlay, key);
    if (node != NULL && node->state != ORDERED_UNSET) {
        *ret_row = node->value;
        return node->state == ORDERED_PUT;
    }
    return committed_get(r, key, ret_row);
}

/* The greatest database key in [prefix, key] that the overlay says nothing about, into found_*. */
static bool committed_at_most(struct rows *r, struct bytes prefix, struct bytes key)
{
    struct buf upper;
    buf_init(&upper, ROW_BYTES_MAX);
    buf_put_bytes(&upper, key);
    buf_put_u8(&upper, 0); /* the first key above `key` */
    struct kv_range range = {.family = r->family,
                             .lower = prefix,
                             .upper = buf_bytes(&upper),
                             .reverse = true,
                             .fill_cache = true};
    struct kv_iter *it = kv_iter_open(r->kv, &range);
    struct bytes k;
    struct bytes v;
    bool found = false;
    while (!found && kv_iter_next(it, &k, &v)) {
        struct ordered_node *node = ordered_find(&r->overlay, k);
        if (node == NULL || node->state == ORDERED_UNSET) {
            buf_clear(&r->found_key);
            buf_clear(&r->found_row);
            buf_put_bytes(&r->found_key, k);
            buf_put_bytes(&r->found_row, v);
            found = true;
        }
    }
    range_close(it);
    buf_done(&upper);
    return found;
}

bool rows_seek_at_most(struct rows *r, struct bytes prefix, struct bytes key, struct bytes *ret_key,
                       struct bytes *ret_row)
{
    require(r != NULL);
    require(ret_key != NULL);
    require(ret_row != NULL);
    if (bytes_compare(key, prefix) < 0) {
        return false;
    }
    struct ordered_node *node = ordered_at_most(&r->overlay, key);
    while (node != NULL && node->state != ORDERED_PUT) {
        node = ordered_below(&r->overlay, node->key);
    }
    if (node != NULL && !bytes_has_prefix(node->key, prefix)) {
        node = NULL;
    }
    bool below = committed_at_most(r, prefix, key);
    struct bytes below_key = buf_bytes(&r->found_key);
    if (below && !bytes_has_prefix(below_key, prefix)) {
        below = false; /* between the last key of the prefix and a `key` beyond it */
    }
    if (node != NULL && (!below || bytes_compare(node->key, below_key) > 0)) {
        *ret_key = node->key;
        *ret_row = node->value;
        return true;
    }
    *ret_key = below_key;
    *ret_row = buf_bytes(&r->found_row);
    return below;
}

void rows_scan(struct rows *r, struct bytes prefix, void *to,
               bool (*on_row)(void *to, struct bytes key, struct bytes row))
{
    require(r != NULL);
    require(on_row != NULL);
    struct kv_iter *it = range_open(r->kv, r->family, prefix, bytes_of(NULL, 0));
    struct ordered_node *node = ordered_at_least(&r->overlay, prefix);
    struct bytes key;
    struct bytes row;
    bool below = kv_iter_next(it, &key, &row);
    bool more = true;
    while (more) {
        bool above = node != NULL && bytes_has_prefix(node->key, prefix);
        if (!above && !below) {
            break;
        }
        int order = !above ? 1 : !below ? -1 : bytes_compare(node->key, key);
        if (order > 0) {
            more = on_row(to, key, row);
            below = kv_iter_next(it, &key, &row);
            continue;
        }
        if (node->state == ORDERED_PUT) {
            more = on_row(to, node->key, node->value);
        } else if (node->state == ORDERED_UNSET && order == 0) {
            more = on_row(to, key, row);
        }
        if (order == 0) {
            below = kv_iter_next(it, &key, &row);
        }
        node = node->next[0];
    }
    range_close(it);
}

static bool count_row(void *to, struct bytes key, struct bytes row)
{
    uint64_t *count = to;
    (*count)++;
    return true;
}

uint64_t rows_count(struct rows *r, struct bytes prefix)
{
    require(r != NULL);
    struct ordered_node *known = ordered_find(&r->counts, prefix);
    if (known != NULL) {
        require(known->number >= 0);
        return (uint64_t)known->number;
    }
    uint64_t count = 0;
    rows_scan(r, prefix, &count, count_row);
    if (r->counts_arena.used < ROW_COUNTS_BYTES_MAX / 2) {
        ordered_add(&r->counts, prefix)->number = (int64_t)count;
    }
    return count;
}

/* The counted prefix that a row belongs to, or NULL. First keys are never prefixes of each other
 * (fixed sizes, or closed by 00 00), so it can only be the greatest one not above the key. */
static struct ordered_node *counted_of(struct rows *r, struct bytes key)
{
    struct ordered_node *node = ordered_at_most(&r->counts, key);
    return node != NULL && bytes_has_prefix(key, node->key) ? node : NULL;
}

static void change(struct rows *r, struct bytes key, enum ordered_state state, struct bytes row)
{
    struct ordered_node *counted = counted_of(r, key);
    if (counted != NULL) {
        struct bytes old;
        bool before = rows_get(r, key, &old);
        counted->number += (state == ORDERED_PUT) - before;
    }
    struct ordered_node *node = ordered_add(&r->overlay, key);
    if (r->undo_on) {
        if (r->undo_count == r->undo_capacity) {
            r->undo_capacity = r->undo_capacity * 2 + 64;
            r->undo = mem_resize(r->undo, r->undo_capacity, sizeof(*r->undo));
        }
        r->undo[r->undo_count++] =
            (struct rows_undo){node, node->value, node->capacity, node->state};
    }
    if (state == ORDERED_PUT) {
        ordered_set(&r->overlay, node, row, r->undo_on);
    } else {
        node->state = ORDERED_REMOVED;
    }
}

void rows_put(struct rows *r, struct bytes key, struct bytes row)
{
    require(r != NULL);
    require(key.size > 0);
    change(r, key, ORDERED_PUT, row);
}

void rows_remove(struct rows *r, struct bytes key)
{
    require(r != NULL);
    require(key.size > 0);
    change(r, key, ORDERED_REMOVED, bytes_of(NULL, 0));
}

void rows_mark(struct rows *r)
{
    require(r != NULL);
    require(!r->undo_on);
    r->undo_on = true;
    r->undo_count = 0;
}

static void counts_clear(struct rows *r)
{
    arena_reset(&r->counts_arena);
    ordered_init(&r->counts, &r->counts_arena);
}

void rows_rollback(struct rows *r)
{
    require(r != NULL);
    require(r->undo_on);
    for (size_t i = r->undo_count; i > 0; i--) {
        const struct rows_undo *u = &r->undo[i - 1];
        u->node->state = u->state;
        u->node->value = u->value;
        u->node->capacity = u->capacity;
    }
    counts_clear(r); /* some were taken while the changes stood */
    r->undo_on = false;
    r->undo_count = 0;
}

void rows_keep(struct rows *r)
{
    require(r != NULL);
    require(r->undo_on);
    r->undo_on = false;
    r->undo_count = 0;
}

void rows_write(struct rows *r, struct kv_batch *batch)
{
    require(r != NULL);
    require(batch != NULL);
    require(!r->undo_on);
    if (r->cache_bytes >= ROW_CACHE_BYTES_MAX) {
        cache_clear(r); /* simple and rare: the working set comes back by reading */
    }
    for (const struct ordered_node *n = ordered_first(&r->overlay); n != NULL; n = n->next[0]) {
        switch (n->state) {
        case ORDERED_UNSET:
            break;
        case ORDERED_PUT:
            kv_batch_put(batch, r->kv, r->family, n->key, n->value);
            cache_set(r, n->key, true, n->value);
            break;
        case ORDERED_REMOVED:
            kv_batch_delete(batch, r->kv, r->family, n->key);
            cache_set(r, n->key, false, bytes_of(NULL, 0));
            break;
        }
    }
    arena_reset(&r->arena);
    ordered_init(&r->overlay, &r->arena);
    if (r->counts_arena.used >= ROW_COUNTS_BYTES_MAX / 2) {
        counts_clear(r);
    }
}
