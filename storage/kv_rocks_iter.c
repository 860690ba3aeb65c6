#include "storage/kv_rocks.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/require.h"

struct kv_iter {
    rocksdb_iterator_t *it;
    rocksdb_readoptions_t *read;
    uint8_t *lower, *upper; /* owned: RocksDB keeps pointers to the bounds */
    bool reverse;
    size_t lower_size, upper_size;
    /* of a sequence: pairs come out of packs */
    bool sequence, broken;
    struct pack_view view; /* count 0: none */
    uint32_t index;        /* of the pair given out last */
    struct buf sought;     /* kv_iter_seek's key until a pair is found; empty: none */
    uint8_t key[KV_PACK_KEY_SIZE];
    enum { ITER_FRESH, ITER_READY, ITER_ON_PAIR } at; /* READY: on the pair to give out next */
};

err kv_rocks_view(const rocksdb_iterator_t *it, struct pack_view *ret)
{
    size_t key_size = 0;
    size_t size = 0;
    const char *key = rocksdb_iter_key(it, &key_size);
    const char *value = rocksdb_iter_value(it, &size);
    return pack_open(bytes_of(key, key_size), bytes_of(value, size), ret);
}

/* ---- ranges ---- */

static_assert(sizeof((struct kv_prefix_room *)0)->data > KV_PREFIX_BYTES_MAX, "a prefix fits");

struct kv_range kv_range_prefix(size_t family, struct bytes prefix, struct kv_prefix_room *room)
{
    require(prefix.size <= KV_PREFIX_BYTES_MAX);
    require(room != NULL);
    struct kv_range range = {.family = family, .lower = prefix, .fill_cache = true};
    /* The first key beyond: the prefix without its trailing 0xff octets, the last one raised. */
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

struct kv_iter *kv_iter_open(struct kv *kv, const struct kv_range *range)
{
    require(range != NULL);
    require(range->family < kv->families_count);
    struct kv_iter *it = mem_new(1, sizeof *it);
    it->reverse = range->reverse;
    it->sequence = kv->sequence[range->family];
    buf_init(&it->sought, KV_PREFIX_BYTES_MAX);
    it->read = rocksdb_readoptions_create();
    rocksdb_readoptions_set_verify_checksums(it->read, 1);
    rocksdb_readoptions_set_fill_cache(it->read, range->fill_cache);
    if (range->lower.size > 0) {
        it->lower = mem_copy(range->lower.data, range->lower.size);
        it->lower_size = range->lower.size;
    }
    if (range->upper.size > 0) {
        it->upper = mem_copy(range->upper.data, range->upper.size);
        it->upper_size = range->upper.size;
    }
    /* A pack may begin below the bound that lies in it: a sequence checks its bounds itself. */
    if (it->lower != NULL && !it->sequence) {
        rocksdb_readoptions_set_iterate_lower_bound(it->read, (const char *)it->lower,
                                                    it->lower_size);
    }
    if (it->upper != NULL && !it->sequence) {
        rocksdb_readoptions_set_iterate_upper_bound(it->read, (const char *)it->upper,
                                                    it->upper_size);
    }
    it->it = rocksdb_create_iterator_cf(kv->db, it->read, kv_rocks_family(kv, range->family));
    return it;
}

/* ---- pairs out of packs ---- */

/* Takes the pack that RocksDB's iterator stands on, from its near end on; false: there is none. */
static bool pack_take(struct kv_iter *it)
{
    it->view.count = 0;
    if (!rocksdb_iter_valid(it->it)) {
        return false;
    }
    if (failed(kv_rocks_view(it->it, &it->view))) {
        it->view.count = 0;
        it->broken = true;
        return false;
    }
    it->index = it->reverse ? it->view.count - 1 : 0;
    return true;
}

/* Goes to the pack in which the pairs at or after (reverse: at or before) a key begin. */
static bool pack_seek(struct kv_iter *it, struct bytes key)
{
    if (key.size == 0) {
        (it->reverse ? rocksdb_iter_seek_to_last : rocksdb_iter_seek_to_first)(it->it);
        return pack_take(it);
    }
    rocksdb_iter_seek_for_prev(it->it, kv_rocks_chars(key), key.size);
    if (!rocksdb_iter_valid(it->it) && !it->reverse) {
        rocksdb_iter_seek_to_first(it->it);
    }
    return pack_take(it);
}

static bool pack_step(struct kv_iter *it)
{
    if (it->view.count == 0) {
        return false;
    }
    if (it->reverse ? it->index > 0 : it->index + 1 < it->view.count) {
        it->index = it->reverse ? it->index - 1 : it->index + 1;
        return true;
    }
    (it->reverse ? rocksdb_iter_prev : rocksdb_iter_next)(it->it);
    return pack_take(it);
}

/* Where the pair lies: before, within or behind what is to be given out, in the iterator's order.
 */
static int pair_side(const struct kv_iter *it, struct bytes key)
{
    struct bytes sought = buf_bytes(&it->sought);
    bool below = it->lower != NULL && bytes_compare(key, bytes_of(it->lower, it->lower_size)) < 0;
    bool above = it->upper != NULL && bytes_compare(key, bytes_of(it->upper, it->upper_size)) >= 0;
    if (it->reverse) {
        bool early = sought.size > 0 && bytes_compare(key, sought) > 0;
        return below ? 1 : above || early ? -1 : 0;
    }
    bool early = sought.size > 0 && bytes_compare(key, sought) < 0;
    return above ? 1 : below || early ? -1 : 0;
}

static bool next_packed(struct kv_iter *it, struct bytes *ret_key, struct bytes *ret_value)
{
    struct bytes lower = bytes_of(it->lower, it->lower_size);
    struct bytes upper = bytes_of(it->upper, it->upper_size);
    bool there = false;
    switch (it->at) {
    case ITER_FRESH:
        there = pack_seek(it, it->reverse ? upper : lower);
        break;
    case ITER_READY:
        there = pack_seek(it, buf_bytes(&it->sought));
        break;
    case ITER_ON_PAIR:
        there = pack_step(it);
        break;
    }
    it->at = ITER_ON_PAIR;
    for (; there; there = pack_step(it)) {
        pack_key_put(it->view.first + it->index, it->key);
        struct bytes key = bytes_of(it->key, sizeof it->key);
        int side = pair_side(it, key);
        if (side > 0) {
            break;
        }
        if (side == 0) {
            buf_clear(&it->sought);
            *ret_key = key;
            *ret_value = pack_value(&it->view, it->index);
            return true;
        }
    }
    it->view.count = 0; /* it stays at its end */
    return false;
}

/* ---- pairs ---- */

bool kv_iter_next(struct kv_iter *it, struct bytes *ret_key, struct bytes *ret_value)
{
    require(it != NULL);
    require(ret_key != NULL && ret_value != NULL);
    if (it->sequence) {
        return next_packed(it, ret_key, ret_value);
    }
    switch (it->at) {
    case ITER_FRESH:
        (it->reverse ? rocksdb_iter_seek_to_last : rocksdb_iter_seek_to_first)(it->it);
        break;
    case ITER_READY:
        break;
    case ITER_ON_PAIR:
        if (rocksdb_iter_valid(it->it)) {
            (it->reverse ? rocksdb_iter_prev : rocksdb_iter_next)(it->it);
        }
        break;
    }
    it->at = ITER_ON_PAIR;
    if (!rocksdb_iter_valid(it->it)) {
        return false;
    }
    size_t size = 0;
    const char *data = rocksdb_iter_key(it->it, &size);
    *ret_key = bytes_of(data, size);
    data = rocksdb_iter_value(it->it, &size);
    *ret_value = bytes_of(data, size);
    return true;
}

void kv_iter_seek(struct kv_iter *it, struct bytes key)
{
    require(it != NULL);
    it->at = ITER_READY;
    if (it->sequence) {
        buf_clear(&it->sought);
        buf_put_bytes(&it->sought, key);
        require(!it->sought.overflow);
        return;
    }
    (it->reverse ? rocksdb_iter_seek_for_prev : rocksdb_iter_seek)(it->it, kv_rocks_chars(key),
                                                                   key.size);
}

err kv_iter_close(struct kv_iter *it, struct errtext *reterr)
{
    require(it != NULL);
    char *text = NULL;
    bool broken = it->broken;
    rocksdb_iter_get_error(it->it, &text);
    rocksdb_iter_destroy(it->it);
    rocksdb_readoptions_destroy(it->read);
    buf_done(&it->sought);
    free(it->lower);
    free(it->upper);
    free(it);
    if (text == NULL && broken) {
        return err_fail(reterr, ERR_CORRUPT, "read the state: a pack does not decode");
    }
    return text == NULL ? err_ok() : kv_rocks_fail(reterr, text, "read the state");
}
