#include "ledger/headkeys.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cursor.h"
#include "base/mem.h"
#include "base/require.h"
#include "ledger/families.h"
#include "ledger/range.h"

#define KEY_PREFIX "headkey/" /* of FAMILY_META, then u64 node, 32 key */

enum { HEAD_KEY_VERSION = 1, HEAD_KEY_BYTES = sizeof(KEY_PREFIX) - 1 + 8 + 32 };

void headkeys_done(struct head_keys *k)
{
    require(k != NULL);
    free(k->list);
    *k = (struct head_keys){0};
}

static int key_compare(const struct head_key *a, const struct head_key *b)
{
    if (a->node != b->node) {
        return a->node < b->node ? -1 : 1;
    }
    if (a->from != b->from) {
        return a->from < b->from ? -1 : 1;
    }
    return memcmp(a->key, b->key, sizeof(a->key));
}

static struct head_key *key_insert(struct head_keys *k, const struct head_key *key)
{
    k->list = mem_resize(k->list, k->count + 1, sizeof(*k->list));
    size_t at = k->count++;
    while (at > 0 && key_compare(&k->list[at - 1], key) > 0) {
        k->list[at] = k->list[at - 1];
        at--;
    }
    k->list[at] = *key;
    return &k->list[at];
}

/* "headkey/" | u64 node | 32 key -> u8 version | u64 from | u64 until */
static void key_put(const struct head_keys *k, const struct head_key *key, struct kv_batch *batch)
{
    struct buf name;
    struct buf value;
    buf_init(&name, HEAD_KEY_BYTES);
    buf_init(&value, 1 + 2 * sizeof(uint64_t));
    buf_put_text(&name, KEY_PREFIX);
    buf_put_u64(&name, key->node);
    buf_put(&name, key->key, sizeof(key->key));
    buf_put_u8(&value, HEAD_KEY_VERSION);
    buf_put_u64(&value, key->from);
    buf_put_u64(&value, key->until);
    require(!name.overflow);
    require(!value.overflow);
    kv_batch_put(batch, k->kv, FAMILY_META, buf_bytes(&name), buf_bytes(&value));
    buf_done(&name);
    buf_done(&value);
}

static bool key_read(struct head_keys *k, struct bytes name, struct bytes value)
{
    struct head_key key = {.from_size = HEAD_KEY_UNKNOWN, .until_size = HEAD_KEY_UNKNOWN};
    struct cursor n = cursor_of(name);
    struct cursor c = cursor_of(value);
    (void)cursor_bytes(&n, sizeof(KEY_PREFIX) - 1);
    key.node = cursor_u64(&n);
    cursor_copy(&n, key.key, sizeof(key.key));
    uint8_t version = cursor_u8(&c);
    key.from = cursor_u64(&c);
    key.until = cursor_u64(&c);
    if (!cursor_done(&n) || !cursor_done(&c) || version != HEAD_KEY_VERSION ||
        (key.until != 0 && key.until < key.from)) {
        return false;
    }
    (void)key_insert(k, &key);
    return true;
}

err headkeys_load(struct head_keys *k, struct errtext *reterr)
{
    require(k != NULL);
    require(k->count == 0);
    struct kv_iter *it =
        range_open(k->kv, FAMILY_META, bytes_text(KEY_PREFIX), bytes_of(NULL, 0));
    struct bytes name;
    struct bytes value;
    bool sound = true;
    while (sound && kv_iter_next(it, &name, &value)) {
        sound = key_read(k, name, value);
    }
    struct errtext why;
    err e = kv_iter_close(it, &why);
    if (failed(e)) {
        return err_fail(reterr, e.code, "read the head keys: %s", why.text);
    }
    return sound ? err_ok() : err_fail(reterr, ERR_CORRUPT, "a stored head key does not decode");
}

static bool is_now(const struct head_keys_now *now, const uint8_t key[32])
{
    for (size_t i = 0; i < 2; i++) {
        if (now->keys[i] != NULL && memcmp(now->keys[i], key, 32) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_known(const struct head_keys *k, uint64_t node, const uint8_t key[32])
{
    for (size_t i = 0; i < k->count; i++) {
        if (k->list[i].node == node && memcmp(k->list[i].key, key, 32) == 0) {
            return true;
        }
    }
    return false;
}

bool headkeys_taken(const struct head_keys *k, const uint8_t key[32])
{
    require(k != NULL);
    for (size_t i = 0; i < k->count; i++) {
        if (memcmp(k->list[i].key, key, 32) == 0) {
            return true;
        }
    }
    return false;
}

void headkeys_set(struct head_keys *k, const struct head_keys_now *now, struct kv_batch *batch)
{
    static const uint8_t NONE[32];
    require(k != NULL);
    require(now != NULL);
    for (size_t i = 0; i < k->count; i++) {
        struct head_key *key = &k->list[i];
        if (key->node == now->node && key->until == 0 && !is_now(now, key->key)) {
            key->until = now->height;
            key_put(k, key, batch);
        }
    }
    for (size_t i = 0; i < 2; i++) {
        if (now->keys[i] == NULL || memcmp(now->keys[i], NONE, sizeof(NONE)) == 0 ||
            is_known(k, now->node, now->keys[i])) {
            continue;
        }
        struct head_key key = {.node = now->node,
                               .from = now->height,
                               .from_size = HEAD_KEY_UNKNOWN,
                               .until_size = HEAD_KEY_UNKNOWN};
        memcpy(key.key, now->keys[i], sizeof(key.key));
        key_put(k, key_insert(k, &key), batch);
    }
}
