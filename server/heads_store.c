#include "server/heads_store.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/crc32c.h"
#include "base/cursor.h"
#include "base/require.h"
#include "ledger/families.h"
#include "storage/smallfile.h"

enum { MARK_VERSION = 1, STORED_VERSION = 1, PATH_BYTES_MAX = 4096 };
static const char MARK_NAME[] = "signed";
#define DAY_NS (UINT64_C(86400) * NS_PER_S)

/* ---- the mark ---- */

void heads_mark_encode(struct bytes note, struct buf *ret)
{
    size_t start = ret->size;
    require(note.size > 0);
    require(note.size <= HEAD_NOTE_BYTES_MAX);
    buf_put_u8(ret, MARK_VERSION);
    buf_put_sized(ret, note);
    if (!ret->overflow) {
        buf_put_u32(ret, crc32c(0, ret->data + start, ret->size - start));
    }
}

err heads_mark_decode(struct bytes wire, struct bytes *ret_note, struct errtext *reterr)
{
    struct cursor c = cursor_of(wire);
    require(ret_note != NULL);
    uint8_t version = cursor_u8(&c);
    struct bytes note = cursor_sized(&c, HEAD_NOTE_BYTES_MAX);
    uint32_t crc = cursor_u32(&c);
    if (cursor_ok(&c) && version != MARK_VERSION) {
        return err_fail(reterr, ERR_UNSUPPORTED, "version %u is not known", version);
    }
    if (!cursor_done(&c) || note.size == 0 || crc != crc32c(0, wire.data, wire.size - 4)) {
        return err_fail(reterr, ERR_CORRUPT,
                        "the file is damaged; this node can no longer prove which heads of the "
                        "tree it has signed, and must not sign two of one size: replace it "
                        "(`concordat node replace`)");
    }
    *ret_note = note;
    return err_ok();
}

err heads_mark_read(const struct fileops *files, const char *data, struct buf *ret,
                    struct errtext *reterr)
{
    char path[PATH_BYTES_MAX];
    struct buf wire;
    struct bytes note;
    snprintf(path, sizeof path, "%s/%s", data, MARK_NAME);
    buf_init(&wire, HEADS_MARK_BYTES_MAX);
    err e = smallfile_read(files, path, &wire, reterr);
    if (err_is(e, ERR_NOT_FOUND)) {
        e = err_ok();
    } else if (!failed(e)) {
        e = heads_mark_decode(buf_bytes(&wire), &note, reterr);
        if (!failed(e)) {
            buf_put_bytes(ret, note);
        }
        e = failed(e) ? err_wrapf(reterr, e, "%s", path) : e;
    }
    buf_done(&wire);
    return e;
}

err heads_mark_write(const struct fileops *files, const char *data, struct bytes note,
                     struct errtext *reterr)
{
    struct buf wire;
    buf_init(&wire, HEADS_MARK_BYTES_MAX);
    heads_mark_encode(note, &wire);
    require(!wire.overflow);
    err e = smallfile_write(files, data, MARK_NAME, buf_bytes(&wire), reterr);
    buf_done(&wire);
    return e;
}

/* ---- complete checkpoints ---- */

static struct bytes key_of(uint64_t size, uint8_t room[8])
{
    for (size_t i = 0; i < 8; i++) {
        room[i] = (uint8_t)(size >> (8 * (7 - i)));
    }
    return bytes_of(room, 8);
}

struct stored_view {
    bool first_of_day;
    uint64_t size, time_ns;
    struct bytes note;
};

static bool decode(struct bytes key, struct bytes value, struct stored_view *ret)
{
    struct cursor k = cursor_of(key);
    struct cursor c = cursor_of(value);
    struct stored_view v = {.size = cursor_u64(&k)};
    uint8_t version = cursor_u8(&c);
    uint8_t first = cursor_u8(&c);
    v.time_ns = cursor_u64(&c);
    v.note = cursor_bytes(&c, cursor_left(&c));
    if (!cursor_done(&k) || !cursor_done(&c) || version != STORED_VERSION || first > 1 ||
        v.size == 0 || v.note.size == 0) {
        return false;
    }
    v.first_of_day = first == 1;
    *ret = v;
    return true;
}

static err damaged(struct errtext *reterr)
{
    return err_fail(reterr, ERR_CORRUPT, "a stored checkpoint of the tree does not decode");
}

static err take(const struct stored_view *v, struct heads_stored *ret, struct errtext *reterr)
{
    buf_clear(&ret->note);
    buf_put_bytes(&ret->note, v->note);
    if (ret->note.overflow) {
        return damaged(reterr);
    }
    ret->size = v->size;
    ret->time_ns = v->time_ns;
    return err_ok();
}

err heads_store_load(struct heads_store *s, struct kv *kv, struct heads_stored *ret,
                     struct errtext *reterr)
{
    const struct kv_range range = {.family = FAMILY_HEADS, .reverse = true, .fill_cache = false};
    struct kv_iter *it = kv_iter_open(kv, &range);
    struct bytes key, value;
    struct stored_view v;
    err e = err_ok();
    *s = (struct heads_store){.first = 0};
    ret->size = 0;
    while (!failed(e) && s->count < HEADS_STORED_MAX && kv_iter_next(it, &key, &value)) {
        if (!decode(key, value, &v)) {
            e = damaged(reterr);
            break;
        }
        if (s->count == 0) {
            s->day = v.time_ns / DAY_NS;
            e = take(&v, ret, reterr);
        }
        s->count++;
        s->ring[HEADS_STORED_MAX - s->count] = (struct heads_kept){v.size, v.first_of_day};
    }
    s->first = HEADS_STORED_MAX - s->count;
    err closed = kv_iter_close(it, failed(e) ? NULL : reterr);
    return failed(e) ? e : closed;
}

/* Room for one more in the ring: the oldest leaves it, and the database unless it began a day. */
static void thin(struct heads_store *s, struct kv *kv, struct kv_batch *b)
{
    uint8_t room[8];
    if (s->count < HEADS_STORED_MAX) {
        return;
    }
    const struct heads_kept *oldest = &s->ring[s->first];
    if (!oldest->first_of_day) {
        kv_batch_delete(b, kv, FAMILY_HEADS, key_of(oldest->size, room));
    }
    s->first = (s->first + 1) % HEADS_STORED_MAX;
    s->count--;
}

err heads_store_put(struct heads_store *s, struct kv *kv, const struct heads_stored *head,
                    struct errtext *reterr)
{
    uint8_t room[8];
    struct buf value;
    uint64_t day = head->time_ns / DAY_NS;
    bool first_of_day = s->count == 0 || day != s->day;
    struct kv_batch *b = kv_batch_new();
    require(head->size > 0);
    thin(s, kv, b);
    buf_init(&value, 16 + NOTE_BYTES_MAX);
    buf_put_u8(&value, STORED_VERSION);
    buf_put_u8(&value, first_of_day);
    buf_put_u64(&value, head->time_ns);
    buf_put_bytes(&value, buf_bytes(&head->note));
    require(!value.overflow);
    kv_batch_put(b, kv, FAMILY_HEADS, key_of(head->size, room), buf_bytes(&value));
    err e = kv_commit(kv, b, false, reterr);
    s->ring[(s->first + s->count++) % HEADS_STORED_MAX] =
        (struct heads_kept){head->size, first_of_day};
    s->day = day;
    buf_done(&value);
    kv_batch_free(b);
    return e;
}

err heads_store_find(struct kv *kv, uint64_t size, struct heads_stored *ret,
                     struct errtext *reterr)
{
    uint8_t room[8];
    const struct kv_range range = {.family = FAMILY_HEADS, .lower = key_of(size, room)};
    struct kv_iter *it = kv_iter_open(kv, &range);
    struct bytes key, value;
    struct stored_view v;
    err e = err_fail(reterr, ERR_NOT_FOUND, "no checkpoint covers %llu records yet",
                     (unsigned long long)size);
    if (kv_iter_next(it, &key, &value)) {
        e = decode(key, value, &v) ? take(&v, ret, reterr) : damaged(reterr);
    }
    err closed = kv_iter_close(it, NULL);
    return failed(closed) ? err_fail(reterr, closed.code, "stored checkpoints") : e;
}
