#include "ledger/inputs.h"

#include <string.h>

#include "base/crc32c.h"
#include "base/limits.h"
#include "base/require.h"

enum { INPUTS_VERSION = 1, FLAG_TIMERS_DUE = 1, FLAG_TIMER = 2 };

enum answer {
    ANSWER_NO_ROW = 1,
    ANSWER_ROW = 2,
    ANSWER_NOT_FOUND = 3,
    ANSWER_FOUND = 4,
    ANSWER_SCAN = 5,
    ANSWER_SCAN_ROW = 6,
    ANSWER_SCAN_END = 7,
    ANSWER_COUNT = 8,
    ANSWER_BALANCE = 9,
};

static_assert(sizeof(struct inputs_head) < 256, "a head is small beside the answers");

void inputs_init(struct inputs *in)
{
    require(in != NULL);
    *in = (struct inputs){0};
    buf_init(&in->bytes, INPUTS_BYTES_MAX);
}

void inputs_done(struct inputs *in)
{
    require(in != NULL);
    buf_done(&in->bytes);
    *in = (struct inputs){0};
}

/* ---- noting ---- */

static struct bytes after(struct bytes key, struct bytes prefix)
{
    require(bytes_has_prefix(key, prefix));
    return bytes_of(key.data + prefix.size, key.size - prefix.size);
}

static bool note_get(void *ctx, struct bytes key, struct bytes *ret_row)
{
    struct inputs *in = ctx;
    bool found = in->store->get(in->store->ctx, key, ret_row);
    buf_put_u8(&in->bytes, found ? ANSWER_ROW : ANSWER_NO_ROW);
    if (found) {
        buf_put_sized(&in->bytes, *ret_row);
    }
    return found;
}

static bool note_seek(void *ctx, struct bytes prefix, struct bytes key, struct bytes *ret_key,
                      struct bytes *ret_row)
{
    struct inputs *in = ctx;
    bool found = in->store->seek_at_most(in->store->ctx, prefix, key, ret_key, ret_row);
    buf_put_u8(&in->bytes, found ? ANSWER_FOUND : ANSWER_NOT_FOUND);
    if (found) {
        buf_put_sized(&in->bytes, after(*ret_key, prefix));
        buf_put_sized(&in->bytes, *ret_row);
    }
    return found;
}

struct noting {
    struct inputs *in;
    struct bytes prefix;
    void *to;
    bool (*on_row)(void *to, struct bytes key, struct bytes row);
};

static bool note_row(void *to, struct bytes key, struct bytes row)
{
    struct noting *n = to;
    buf_put_u8(&n->in->bytes, ANSWER_SCAN_ROW);
    buf_put_sized(&n->in->bytes, after(key, n->prefix));
    buf_put_sized(&n->in->bytes, row);
    return n->on_row(n->to, key, row);
}

static void note_scan(void *ctx, struct bytes prefix, void *to,
                      bool (*on_row)(void *to, struct bytes key, struct bytes row))
{
    struct inputs *in = ctx;
    struct noting n = {in, prefix, to, on_row};
    buf_put_u8(&in->bytes, ANSWER_SCAN);
    in->store->scan(in->store->ctx, prefix, &n, note_row);
    buf_put_u8(&in->bytes, ANSWER_SCAN_END);
}

static uint64_t note_count(void *ctx, struct bytes prefix)
{
    struct inputs *in = ctx;
    uint64_t count = in->store->count(in->store->ctx, prefix);
    buf_put_u8(&in->bytes, ANSWER_COUNT);
    buf_put_u64(&in->bytes, count);
    return count;
}

static int64_t note_balance(void *ctx, struct bytes account)
{
    struct inputs *in = ctx;
    int64_t balance = in->store->balance(in->store->ctx, account);
    buf_put_u8(&in->bytes, ANSWER_BALANCE);
    buf_put_i64(&in->bytes, balance);
    return balance;
}

/* Not noted: which version of another contract owned a table follows from the record's height. */
static const struct rules_program *note_owner(void *ctx, struct bytes contract)
{
    struct inputs *in = ctx;
    return in->store->owner(in->store->ctx, contract);
}

void inputs_begin(struct inputs *in, const struct inputs_head *head,
                  const struct rules_store *store, struct rules_store *ret)
{
    require(in != NULL);
    require(!in->on);
    in->on = true;
    in->store = store;
    struct buf *b = &in->bytes;
    buf_clear(b);
    buf_put_u8(b, INPUTS_VERSION);
    buf_put_u8(b, (uint8_t)((head->timers_due ? FLAG_TIMERS_DUE : 0) |
                            (head->timer ? FLAG_TIMER : 0)));
    buf_put_u64(b, head->timers_waiting);
    if (head->timer) {
        buf_put_i64(b, head->at.seconds);
        buf_put_u32(b, head->at.nanos);
        buf_put_u32(b, (uint32_t)head->legal);
        buf_put(b, head->salt, sizeof(head->salt));
        buf_put_sized(b, head->args);
    }
    *ret = (struct rules_store){
        .ctx = in,
        .get = note_get,
        .seek_at_most = note_seek,
        .scan = note_scan,
        .count = note_count,
        .balance = note_balance,
        .owner = note_owner,
    };
}

struct bytes inputs_end(struct inputs *in)
{
    require(in != NULL);
    require(in->on);
    in->on = false;
    buf_put_u32(&in->bytes, crc32c(0, in->bytes.data, in->bytes.size));
    return in->bytes.overflow ? bytes_of(NULL, 0) : buf_bytes(&in->bytes);
}

/* ---- giving again ---- */

err inputs_open(struct bytes value, struct inputs_head *ret_head, struct inputs_replay *ret)
{
    require(ret_head != NULL);
    require(ret != NULL);
    struct inputs_head head = {0};
    size_t size = value.size < sizeof(uint32_t) ? 0 : value.size - sizeof(uint32_t);
    struct cursor sum = cursor_of(bytes_of(value.data + size, value.size - size));
    if (cursor_u32(&sum) != crc32c(0, value.data, size) || !cursor_done(&sum)) {
        return (err){ERR_CORRUPT};
    }
    struct cursor c = cursor_of(bytes_of(value.data, size));
    uint8_t version = cursor_u8(&c);
    uint8_t flags = cursor_u8(&c);
    head.timers_due = (flags & FLAG_TIMERS_DUE) != 0;
    head.timer = (flags & FLAG_TIMER) != 0;
    head.timers_waiting = cursor_u64(&c);
    if (head.timer) {
        head.at.seconds = cursor_i64(&c);
        head.at.nanos = cursor_u32(&c);
        head.legal = (int32_t)cursor_u32(&c);
        cursor_copy(&c, head.salt, sizeof(head.salt));
        head.args = cursor_sized(&c, INPUTS_BYTES_MAX);
    }
    if (!cursor_ok(&c) || version != INPUTS_VERSION ||
        (flags & ~(FLAG_TIMERS_DUE | FLAG_TIMER)) != 0) {
        return (err){ERR_CORRUPT};
    }
    *ret_head = head;
    *ret = (struct inputs_replay){.answers = c};
    return err_ok();
}

/* The kind of the next answer, if it is one of two; else the replay is bad for good. */
static bool take(struct inputs_replay *r, enum answer yes, enum answer no)
{
    uint8_t kind = r->bad ? 0 : cursor_u8(&r->answers);
    if (kind != yes && kind != no) {
        r->bad = true;
    }
    return !r->bad && kind == yes;
}

static bool sound(struct inputs_replay *r)
{
    r->bad = r->bad || !cursor_ok(&r->answers);
    return !r->bad;
}

static bool replay_get(void *ctx, struct bytes key, struct bytes *ret_row)
{
    struct inputs_replay *r = ctx;
    (void)key;
    if (!take(r, ANSWER_ROW, ANSWER_NO_ROW)) {
        return false;
    }
    *ret_row = cursor_sized(&r->answers, INPUTS_BYTES_MAX);
    return sound(r);
}

static struct bytes key_again(struct inputs_replay *r, struct bytes prefix)
{
    struct bytes rest = cursor_sized(&r->answers, INPUTS_BYTES_MAX);
    uint8_t *key = arena_new(r->arena, prefix.size + rest.size + 1, 1);
    memcpy(key, prefix.data, prefix.size);
    if (rest.size > 0) {
        memcpy(key + prefix.size, rest.data, rest.size);
    }
    return bytes_of(key, prefix.size + rest.size);
}

static bool replay_seek(void *ctx, struct bytes prefix, struct bytes key, struct bytes *ret_key,
                        struct bytes *ret_row)
{
    struct inputs_replay *r = ctx;
    if (!take(r, ANSWER_FOUND, ANSWER_NOT_FOUND)) {
        return false;
    }
    *ret_key = key_again(r, prefix);
    *ret_row = cursor_sized(&r->answers, INPUTS_BYTES_MAX);
    r->bad = r->bad || ret_key->size != key.size;
    return sound(r);
}

static void replay_scan(void *ctx, struct bytes prefix, void *to,
                        bool (*on_row)(void *to, struct bytes key, struct bytes row))
{
    struct inputs_replay *r = ctx;
    bool more = take(r, ANSWER_SCAN, ANSWER_SCAN);
    while (more && take(r, ANSWER_SCAN_ROW, ANSWER_SCAN_END)) {
        struct bytes key = key_again(r, prefix);
        struct bytes row = cursor_sized(&r->answers, INPUTS_BYTES_MAX);
        more = sound(r) && on_row(to, key, row);
    }
}

static uint64_t replay_count(void *ctx, struct bytes prefix)
{
    struct inputs_replay *r = ctx;
    (void)prefix;
    uint64_t count = take(r, ANSWER_COUNT, ANSWER_COUNT) ? cursor_u64(&r->answers) : 0;
    return sound(r) ? count : 0;
}

static int64_t replay_balance(void *ctx, struct bytes account)
{
    struct inputs_replay *r = ctx;
    (void)account;
    int64_t balance = take(r, ANSWER_BALANCE, ANSWER_BALANCE) ? cursor_i64(&r->answers) : 0;
    return sound(r) ? balance : 0;
}

static const struct rules_program *replay_owner(void *ctx, struct bytes contract)
{
    struct inputs_replay *r = ctx;
    return r->owner == NULL ? NULL : r->owner(r->owner_ctx, contract);
}

void inputs_store(struct inputs_replay *replay, struct rules_store *ret)
{
    require(replay != NULL);
    require(replay->arena != NULL);
    *ret = (struct rules_store){
        .ctx = replay,
        .get = replay_get,
        .seek_at_most = replay_seek,
        .scan = replay_scan,
        .count = replay_count,
        .balance = replay_balance,
        .owner = replay_owner,
    };
}

bool inputs_replayed(const struct inputs_replay *replay)
{
    require(replay != NULL);
    return !replay->bad && cursor_done(&replay->answers);
}
