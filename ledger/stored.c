#include "ledger/stored.h"

#include <stdio.h>

#include "base/require.h"
#include "ledger/read.h"
#include "ledger/record.h"
#include "ledger/state.h"

err stored_genesis(struct kv *kv, struct buf *ret, struct errtext *reterr)
{
    require(kv != NULL);
    return kv_get(kv, FAMILY_META, bytes_text(GENESIS_KEY), ret, reterr);
}

static err number_get(struct kv *kv, size_t family, uint64_t number, struct buf *ret,
                      struct errtext *reterr)
{
    struct buf key;
    buf_init(&key, sizeof(number));
    buf_put_u64(&key, number);
    err e = kv_get(kv, family, buf_bytes(&key), ret, reterr);
    buf_done(&key);
    return e;
}

err stored_block(struct kv *kv, uint64_t height, struct buf *ret, struct errtext *reterr)
{
    require(kv != NULL);
    return number_get(kv, FAMILY_BLOCKS, height, ret, reterr);
}

err stored_record(struct kv *kv, uint64_t position, struct buf *value, struct ledger_record *ret,
                  struct errtext *reterr)
{
    require(kv != NULL);
    TRY(number_get(kv, FAMILY_RECORDS, position, value, reterr));
    if (failed(record_read(buf_bytes(value), ret))) {
        return err_fail(reterr, ERR_CORRUPT, "the stored record %llu does not decode",
                        (unsigned long long)position);
    }
    return err_ok();
}

/* A node's own: u8 version | u8 first of its day | u64 when | the note. */
enum { HEAD_VALUE_VERSION = 1, HEAD_VALUE_NODE_BYTES = 1 + 8 };

err stored_head(struct kv *kv, uint64_t size, struct buf *ret, struct errtext *reterr)
{
    require(kv != NULL);
    struct buf first;
    struct bytes key;
    struct bytes value;
    buf_init(&first, sizeof(size));
    buf_put_u64(&first, size);
    struct kv_range range = {.family = FAMILY_HEADS, .lower = buf_bytes(&first)};
    struct kv_iter *it = kv_iter_open(kv, &range);
    buf_done(&first);
    bool found = kv_iter_next(it, &key, &value);
    struct cursor c = cursor_of(found ? value : bytes_of(NULL, 0));
    bool sound = cursor_u8(&c) == HEAD_VALUE_VERSION;
    (void)cursor_bytes(&c, HEAD_VALUE_NODE_BYTES);
    buf_put_bytes(ret, cursor_bytes(&c, cursor_left(&c)));
    TRY(kv_iter_close(it, reterr));
    if (found && (!sound || !cursor_done(&c))) {
        return err_fail(reterr, ERR_CORRUPT, "a stored head does not decode");
    }
    return found ? err_ok()
                 : err_fail(reterr, ERR_NOT_FOUND, "no head of size %llu or more is kept",
                            (unsigned long long)size);
}

/* ---- comparing ---- */

/* How people call an entry of a family. */
static const char *const ENTRY_NAMES[FAMILIES_REPLICATED] = {
    [FAMILY_META] = "fact",
    [FAMILY_PARTIES] = "party",
    [FAMILY_CONTRACTS] = "contract text",
    [FAMILY_ACCOUNTS] = "account",
    [FAMILY_ROWS] = "row",
    [FAMILY_TIMERS] = "timer",
    [FAMILY_REQUESTS] = "answered request",
    [FAMILY_VOIDS] = "void request",
    [FAMILY_BLOCKS] = "block",
    [FAMILY_RECORDS] = "record",
    [FAMILY_POSTINGS] = "posting",
    [FAMILY_NODES] = "node",
    [FAMILY_TREE] = "tile of the tree",
};

/* Keys are texts with octets between them; what is no text is shown in hex. */
static void key_print(struct bytes key, struct buf *ret)
{
    for (size_t i = 0; i < key.size; i++) {
        uint8_t octet = key.data[i];
        if (octet > ' ' && octet < 0x7f && octet != '\\') {
            buf_put_u8(ret, octet);
        } else {
            buf_printf(ret, "\\%02x", octet);
        }
    }
}

/* The record that an entry of these families belongs to. */
static bool position_of(size_t family, struct bytes key, struct bytes value, uint64_t *ret)
{
    struct posting_value posting;
    if (family == FAMILY_RECORDS && key.size == sizeof(*ret)) {
        struct cursor c = cursor_of(key);
        *ret = cursor_u64(&c);
        return true;
    }
    if (family == FAMILY_POSTINGS && !failed(posting_value_decode(value, &posting))) {
        *ret = posting.position;
        return true;
    }
    return false;
}

struct pair {
    struct bytes key, value;
    bool is;
};

static void differs(size_t family, const struct pair *mine, const struct pair *theirs,
                    struct stored_difference *ret)
{
    int order = !mine->is ? 1 : !theirs->is ? -1 : bytes_compare(mine->key, theirs->key);
    const struct pair *about = order <= 0 ? mine : theirs;
    const char *how = order == 0 ? "is another one" : order < 0 ? "is missing" : "should not exist";
    struct buf text;
    *ret = (struct stored_difference){.is = true};
    ret->has_position = position_of(family, about->key, about->value, &ret->position);
    buf_init(&text, sizeof(ret->text) - 32);
    key_print(about->key, &text);
    const char *name = ENTRY_NAMES[family] == NULL ? "entry" : ENTRY_NAMES[family];
    snprintf(ret->text, sizeof(ret->text), "the %s %.*s %s", name, (int)text.size,
             (const char *)text.data, how);
    buf_done(&text);
}

static err family_compare(struct kv *mine, struct kv *theirs, size_t family,
                          struct stored_difference *ret, struct errtext *reterr)
{
    struct kv_range range = {.family = family};
    struct kv_iter *a = kv_iter_open(mine, &range);
    struct kv_iter *b = kv_iter_open(theirs, &range);
    struct pair x;
    struct pair y;
    do {
        x.is = kv_iter_next(a, &x.key, &x.value);
        y.is = kv_iter_next(b, &y.key, &y.value);
        if (x.is != y.is ||
            (x.is && (!bytes_equal(x.key, y.key) || !bytes_equal(x.value, y.value)))) {
            differs(family, &x, &y, ret);
        }
    } while (x.is && y.is && !ret->is);
    err e = kv_iter_close(a, reterr);
    return iter_end(b, e, reterr);
}

err stored_compare(struct kv *mine, struct kv *theirs, struct stored_difference *ret,
                   struct errtext *reterr)
{
    require(mine != NULL);
    require(theirs != NULL);
    *ret = (struct stored_difference){0};
    TRY(family_compare(mine, theirs, FAMILY_POSTINGS, ret, reterr));
    for (size_t family = 0; family < FAMILIES_REPLICATED && !ret->is; family++) {
        TRY(family_compare(mine, theirs, family, ret, reterr));
    }
    return err_ok();
}
