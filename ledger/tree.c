#include "ledger/tree.h"

#include "base/require.h"
#include "ledger/range.h"
#include "ledger/read.h"
#include "ledger/record.h"
#include "ledger/state.h"

/* Sizes are those of finished blocks: the tree grows when a block is finished. */
static err size_check(const struct ledger *l, uint64_t size, struct errtext *reterr)
{
    uint64_t most = tiles_size(l->tiles);
    if (size > most) {
        return err_fail(reterr, ERR_LIMIT, "the tree has %llu records yet, not %llu",
                        (unsigned long long)most, (unsigned long long)size);
    }
    return err_ok();
}

err ledger_tree_root(const struct ledger *l, uint64_t size, struct merkle_hash *ret,
                     struct errtext *reterr)
{
    require(l != NULL);
    require(ret != NULL);
    TRY(size_check(l, size, reterr));
    struct merkle_source source = tiles_source(l->tiles);
    return merkle_root_from(&source, size, ret, reterr);
}

err ledger_tree_inclusion(const struct ledger *l, uint64_t index, uint64_t size,
                          struct merkle_proof *ret, struct errtext *reterr)
{
    require(l != NULL);
    require(ret != NULL);
    TRY(size_check(l, size, reterr));
    if (index >= size) {
        return err_fail(reterr, ERR_INVALID, "record %llu is not in a tree of %llu records",
                        (unsigned long long)index, (unsigned long long)size);
    }
    struct merkle_source source = tiles_source(l->tiles);
    return merkle_inclusion_from(&source, index, size, ret, reterr);
}

err ledger_tree_consistency(const struct ledger *l, uint64_t old, uint64_t size,
                            struct merkle_proof *ret, struct errtext *reterr)
{
    require(l != NULL);
    require(ret != NULL);
    TRY(size_check(l, size, reterr));
    if (old > size) {
        return err_fail(reterr, ERR_INVALID, "a tree of %llu records does not begin with %llu",
                        (unsigned long long)size, (unsigned long long)old);
    }
    struct merkle_source source = tiles_source(l->tiles);
    return merkle_consistency_from(&source, old, size, ret, reterr);
}

static err width_check(const struct ledger_tile *which, struct errtext *reterr)
{
    return which->width == 0 || which->width > TILE_WIDTH
               ? err_fail(reterr, ERR_INVALID, "a tile is 1 to %d hashes wide", TILE_WIDTH)
               : err_ok();
}

err ledger_tree_tile(const struct ledger *l, const struct ledger_tile *which, struct buf *ret,
                     struct errtext *reterr)
{
    require(l != NULL);
    require(ret != NULL);
    TRY(width_check(which, reterr));
    return tiles_read(l->tiles, which, ret, reterr);
}

err ledger_tree_entries(const struct ledger *l, const struct ledger_tile *which, struct buf *ret,
                        struct errtext *reterr)
{
    require(l != NULL);
    require(ret != NULL);
    TRY(width_check(which, reterr));
    require(which->level == 0);
    uint64_t size = tiles_size(l->tiles);
    if (which->index > size / TILE_WIDTH || which->index * TILE_WIDTH + which->width > size) {
        return err_fail(reterr, ERR_NOT_FOUND, "the tree does not reach to this tile yet");
    }
    uint64_t first = which->index * TILE_WIDTH;
    struct buf lower;
    buf_init(&lower, sizeof(uint64_t));
    buf_put_u64(&lower, first);
    struct kv_range range = {.family = FAMILY_RECORDS, .lower = buf_bytes(&lower)};
    struct kv_iter *it = kv_iter_open(l->kv, &range);
    buf_done(&lower);
    struct bytes key;
    struct bytes value;
    uint32_t count = 0;
    err e = err_ok();
    while (!failed(e) && count < which->width && kv_iter_next(it, &key, &value)) {
        struct ledger_record record;
        e = record_read(value, &record);
        if (failed(e) || record.record.position != first + count) {
            e = err_fail(reterr, ERR_CORRUPT, "record %llu does not decode",
                         (unsigned long long)(first + count));
            continue;
        }
        static_assert(RECORD_BYTES_MAX <= UINT16_MAX, "a record's length fits an entry's");
        buf_put_u16(ret, (uint16_t)record.bytes.size);
        buf_put_bytes(ret, record.bytes);
        count++;
    }
    TRY(iter_end(it, e, reterr));
    if (count < which->width) {
        return err_fail(reterr, ERR_CORRUPT, "record %llu is missing",
                        (unsigned long long)(first + count));
    }
    return ret->overflow ? no_room(reterr) : err_ok();
}

/* ---- sizes and heights ---- */

/* The block of a record. */
static err height_of(const struct ledger *l, uint64_t position, uint64_t *ret,
                     struct errtext *reterr)
{
    struct buf key;
    struct buf value;
    struct ledger_record record;
    buf_init(&key, sizeof(uint64_t));
    buf_init(&value, ROW_BYTES_MAX);
    buf_put_u64(&key, position);
    err e = kv_get(l->kv, FAMILY_RECORDS, buf_bytes(&key), &value, reterr);
    if (err_is(e, ERR_NOT_FOUND) ||
        (!failed(e) && failed(record_read(buf_bytes(&value), &record)))) {
        e = err_fail(reterr, ERR_CORRUPT, "record %llu is missing or does not decode",
                     (unsigned long long)position);
    } else if (!failed(e)) {
        *ret = record.record.height;
    }
    buf_done(&key);
    buf_done(&value);
    return e;
}

err ledger_size_at(const struct ledger *l, uint64_t height, uint64_t *ret_size,
                   struct errtext *reterr)
{
    require(l != NULL);
    require(ret_size != NULL);
    if (height > l->head.height) {
        return err_fail(reterr, ERR_NOT_FOUND, "block %llu does not exist yet",
                        (unsigned long long)height);
    }
    uint64_t low = 0;                 /* records below it are of these blocks */
    uint64_t high = l->head.position; /* those from it on are of later ones */
    if (height == l->head.height) {
        low = high;
    }
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        uint64_t at = 0;
        TRY(height_of(l, middle, &at, reterr));
        if (at <= height) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *ret_size = low;
    return err_ok();
}

bool ledger_public_reading(const struct ledger *l)
{
    require(l != NULL);
    return l->genesis->public_reading;
}
