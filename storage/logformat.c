#include "storage/logformat.h"

#include <string.h>

#include "base/crc32c.h"
#include "base/cursor.h"
#include "base/limits.h"
#include "base/require.h"

#define MAGIC_BYTES 8
static const char magic_segment[MAGIC_BYTES + 1] = "CCLOGSEG";
static const char magic_root[MAGIC_BYTES + 1] = "CCLOGTRM";
static const char magic_snapshot[MAGIC_BYTES + 1] = "CCLOGSNP";

static_assert(LOG_ROOT_SLOT_BYTES <= LOG_ROOT_SLOT_STRIDE, "a slot fits its place");
static_assert(LOG_SEGMENT_HEAD_BYTES % LOG_GROUP_ALIGN == 0, "the first group is aligned");

/* ---- fixed blocks: magic, version, ..., crc in the last four bytes ---- */

static void block_finish(struct buf *b, uint8_t *ret, size_t size)
{
    require(b->size <= size - 4);
    while (b->size < size - 4) {
        buf_put_u8(b, 0);
    }
    buf_put_u32(b, crc32c(0, b->data, b->size));
    require(b->size == size);
    memcpy(ret, b->data, size);
    buf_done(b);
}

/* A cursor behind magic and version of a block whose crc is right. */
static err block_open(struct bytes block, const char *magic, struct cursor *ret)
{
    require(block.size > MAGIC_BYTES + 8);
    struct cursor tail = cursor_of(bytes_of(block.data + block.size - 4, 4));
    if (crc32c(0, block.data, block.size - 4) != cursor_u32(&tail)) {
        return err_fail(NULL, ERR_CORRUPT, "checksum");
    }
    struct cursor c = cursor_of(bytes_of(block.data, block.size - 4));
    if (!bytes_equal(cursor_bytes(&c, MAGIC_BYTES), bytes_text(magic))) {
        return err_fail(NULL, ERR_CORRUPT, "magic");
    }
    if (cursor_u32(&c) != LOG_FORMAT_VERSION) {
        return err_fail(NULL, ERR_UNSUPPORTED, "version");
    }
    *ret = c;
    return err_ok();
}

static bool rest_is_zero(struct cursor *c)
{
    bool zero = true;
    while (cursor_left(c) > 0) {
        zero = cursor_u8(c) == 0 && zero;
    }
    return zero;
}

void log_segment_encode(const struct log_segment *s, uint8_t *ret)
{
    require(s->number > 0);
    require(s->group_first > 0);
    struct buf b;
    buf_init(&b, LOG_SEGMENT_HEAD_BYTES);
    buf_put_text(&b, magic_segment);
    buf_put_u32(&b, LOG_FORMAT_VERSION);
    buf_put_u32(&b, 0);
    buf_put_u64(&b, s->number);
    buf_put_u64(&b, s->salt);
    buf_put_u64(&b, s->group_first);
    block_finish(&b, ret, LOG_SEGMENT_HEAD_BYTES);
}

err log_segment_decode(struct bytes head, struct log_segment *ret)
{
    if (head.size != LOG_SEGMENT_HEAD_BYTES) {
        return err_fail(NULL, ERR_CORRUPT, "size");
    }
    struct cursor c;
    TRY(block_open(head, magic_segment, &c));
    uint32_t reserved = cursor_u32(&c);
    struct log_segment s = {0};
    s.number = cursor_u64(&c);
    s.salt = cursor_u64(&c);
    s.group_first = cursor_u64(&c);
    if (reserved != 0 || !rest_is_zero(&c) || s.number == 0 || s.group_first == 0) {
        return err_fail(NULL, ERR_CORRUPT, "fields");
    }
    *ret = s;
    return err_ok();
}

/* ---- records and groups ---- */

uint32_t log_seed(uint64_t salt)
{
    uint8_t octets[8];
    for (int i = 0; i < 8; i++) {
        octets[i] = (uint8_t)(salt >> (56 - 8 * i));
    }
    return crc32c(0, octets, sizeof octets);
}

/* Over size, index, term, type and data: everything but the crc itself. */
uint32_t log_record_crc(const uint8_t *head, struct bytes data, uint32_t seed)
{
    uint32_t crc = crc32c(seed, head, 4);
    crc = crc32c(crc, head + 8, LOG_RECORD_HEAD_BYTES - 8);
    return crc32c(crc, data.data, data.size);
}

static void put_at_u32(struct buf *b, size_t at, uint32_t v)
{
    require(at + 4 <= b->size);
    for (size_t i = 0; i < 4; i++) {
        b->data[at + i] = (uint8_t)(v >> (24 - 8 * i));
    }
}

static void record_head_put(struct buf *b, const struct log_record *r)
{
    buf_put_u32(b, (uint32_t)r->data.size);
    buf_put_u32(b, 0); /* the crc, when the rest is there */
    buf_put_u64(b, r->index);
    buf_put_u64(b, r->term);
    buf_put_u8(b, r->type);
}

void log_record_put(struct buf *b, const struct log_record *r, uint32_t seed)
{
    require(r->data.size <= LOG_ENTRY_BYTES_MAX);
    require(r->type >= 1 && r->type <= LOG_ENTRY_TYPE_MAX);
    size_t at = b->size;
    record_head_put(b, r);
    buf_put_bytes(b, r->data);
    if (!b->overflow) {
        put_at_u32(b, at + 4, log_record_crc(b->data + at, r->data, seed));
    }
}

void log_record_head_decode(const uint8_t *head, struct log_record_head *ret)
{
    struct cursor c = cursor_of(bytes_of(head, LOG_RECORD_HEAD_BYTES));
    ret->size = cursor_u32(&c);
    ret->crc = cursor_u32(&c);
    ret->index = cursor_u64(&c);
    ret->term = cursor_u64(&c);
    ret->type = cursor_u8(&c);
    require(cursor_done(&c));
}

size_t log_group_size(size_t body_size)
{
    require(body_size <= LOG_SEGMENT_BYTES_MAX);
    size_t size = LOG_GROUP_HEAD_BYTES + body_size;
    return (size + LOG_GROUP_ALIGN - 1) / LOG_GROUP_ALIGN * LOG_GROUP_ALIGN;
}

size_t log_group_begin(struct buf *b)
{
    require(b->size % LOG_GROUP_ALIGN == 0);
    size_t at = b->size;
    uint8_t *room = buf_room(b, LOG_GROUP_HEAD_BYTES);
    if (room != NULL) {
        memset(room, 0, LOG_GROUP_HEAD_BYTES);
        buf_added(b, LOG_GROUP_HEAD_BYTES);
    }
    return at;
}

void log_group_end(struct buf *b, size_t at, const struct log_group *g, uint32_t seed)
{
    require(!b->overflow);
    require(b->size >= at + LOG_GROUP_HEAD_BYTES);
    size_t body_size = b->size - at - LOG_GROUP_HEAD_BYTES;
    size_t size = log_group_size(body_size);
    while (b->size < at + size) {
        buf_put_u8(b, 0);
    }
    struct buf extra;
    buf_init(&extra, 16);
    buf_put_u32(&extra, (uint32_t)body_size);
    buf_put_u32(&extra, g->count);
    buf_put_u32(&extra,
                crc32c(seed, b->data + at + LOG_GROUP_HEAD_BYTES, size - LOG_GROUP_HEAD_BYTES));
    buf_put_u32(&extra, 0);
    struct log_record head = {g->index_synced, g->number, LOG_TYPE_GROUP, buf_bytes(&extra)};
    struct buf octets;
    buf_init(&octets, LOG_GROUP_HEAD_BYTES);
    record_head_put(&octets, &head);
    buf_put_bytes(&octets, head.data);
    put_at_u32(&octets, 4, log_record_crc(octets.data, head.data, seed));
    require(octets.size == LOG_GROUP_HEAD_BYTES);
    memcpy(b->data + at, octets.data, octets.size);
    buf_done(&octets);
    buf_done(&extra);
}

bool log_group_head_decode(struct bytes segment, size_t at, uint32_t seed, struct log_group *ret)
{
    if (at > segment.size || segment.size - at < LOG_GROUP_HEAD_BYTES) {
        return false;
    }
    const uint8_t *data = segment.data + at;
    struct log_record_head head;
    log_record_head_decode(data, &head);
    struct bytes extra = bytes_of(data + LOG_RECORD_HEAD_BYTES, 16);
    if (head.type != LOG_TYPE_GROUP || head.size != extra.size || head.term == 0 ||
        log_record_crc(data, extra, seed) != head.crc) {
        return false;
    }
    struct cursor c = cursor_of(extra);
    size_t body_size = cursor_u32(&c);
    struct log_group g = {.number = head.term, .index_synced = head.index};
    g.count = cursor_u32(&c);
    size_t left = segment.size - at;
    if (body_size <= left && log_group_size(body_size) <= left) {
        g.size = log_group_size(body_size);
        g.body = bytes_of(data + LOG_GROUP_HEAD_BYTES, body_size);
    }
    *ret = g;
    return true;
}

bool log_group_decode(struct bytes segment, size_t at, uint32_t seed, struct log_group *ret)
{
    struct log_group g;
    if (!log_group_head_decode(segment, at, seed, &g) || g.size == 0) {
        return false;
    }
    const uint8_t *data = segment.data + at;
    struct cursor c = cursor_of(bytes_of(data + LOG_RECORD_HEAD_BYTES + 8, 8));
    uint32_t crc = cursor_u32(&c);
    if (cursor_u32(&c) != 0 ||
        crc32c(seed, data + LOG_GROUP_HEAD_BYTES, g.size - LOG_GROUP_HEAD_BYTES) != crc) {
        return false;
    }
    *ret = g;
    return true;
}

bool log_record_next(struct bytes *body, struct log_record *ret, bool *ret_bad)
{
    if (body->size == 0) {
        return false;
    }
    struct log_record_head head;
    *ret_bad = true;
    if (body->size < LOG_RECORD_HEAD_BYTES) {
        return false;
    }
    log_record_head_decode(body->data, &head);
    if (head.size > LOG_ENTRY_BYTES_MAX || head.size > body->size - LOG_RECORD_HEAD_BYTES ||
        head.index == 0 || head.term == 0 || head.type == 0 || head.type > LOG_ENTRY_TYPE_MAX) {
        return false;
    }
    *ret_bad = false;
    *ret = (struct log_record){head.index, head.term, head.type,
                               bytes_of(body->data + LOG_RECORD_HEAD_BYTES, head.size)};
    body->data += LOG_RECORD_HEAD_BYTES + head.size;
    body->size -= LOG_RECORD_HEAD_BYTES + head.size;
    return true;
}

/* ---- term and vote ---- */

void log_root_encode(const struct log_root *r, uint8_t *ret)
{
    require(r->sequence > 0);
    require(r->slot_first <= 1);
    struct buf b;
    buf_init(&b, LOG_ROOT_SLOT_BYTES);
    buf_put_text(&b, magic_root);
    buf_put_u32(&b, LOG_FORMAT_VERSION);
    buf_put_u64(&b, r->sequence);
    buf_put_u64(&b, r->term);
    buf_put_u64(&b, r->vote);
    buf_put_u64(&b, r->segment_last);
    buf_put_u64(&b, r->group_synced);
    buf_put_u32(&b, r->slot_first);
    block_finish(&b, ret, LOG_ROOT_SLOT_BYTES);
}

static err root_slot_decode(struct bytes slot, struct log_root *ret)
{
    struct cursor c;
    TRY(block_open(slot, magic_root, &c));
    struct log_root r = {0};
    r.sequence = cursor_u64(&c);
    r.term = cursor_u64(&c);
    r.vote = cursor_u64(&c);
    r.segment_last = cursor_u64(&c);
    r.group_synced = cursor_u64(&c);
    r.slot_first = cursor_u32(&c);
    if (!rest_is_zero(&c) || r.sequence == 0 || r.slot_first > 1) {
        return err_fail(NULL, ERR_CORRUPT, "fields");
    }
    *ret = r;
    return err_ok();
}

err log_root_decode(struct bytes file, struct log_root *ret)
{
    if (file.size != LOG_ROOT_FILE_BYTES) {
        return err_fail(NULL, ERR_CORRUPT, "size");
    }
    struct log_root a = {0};
    struct log_root b = {0};
    err err_a = root_slot_decode(bytes_of(file.data, LOG_ROOT_SLOT_BYTES), &a);
    err err_b =
        root_slot_decode(bytes_of(file.data + LOG_ROOT_SLOT_STRIDE, LOG_ROOT_SLOT_BYTES), &b);
    if (err_is(err_a, ERR_UNSUPPORTED) || err_is(err_b, ERR_UNSUPPORTED)) {
        return err_fail(NULL, ERR_UNSUPPORTED, "version");
    }
    if (failed(err_a) && failed(err_b)) {
        return err_fail(NULL, ERR_CORRUPT, "both slots");
    }
    bool use_a = !failed(err_a) && (failed(err_b) || a.sequence >= b.sequence);
    struct log_root r = use_a ? a : b;
    if (failed(err_a) || failed(err_b)) {
        r.slot_durable = use_a ? 0 : 1;
    } else if (a.sequence == b.sequence) {
        r.slot_durable = r.slot_first; /* its sync came before the other was written */
    } else {
        r.slot_durable = use_a ? 1 : 0; /* the newer may not be synced; the older is */
    }
    *ret = r;
    return err_ok();
}

/* ---- the last snapshot ---- */

void log_snapshot_encode(struct buf *b, const struct log_snapshot *s)
{
    require(b->size == 0);
    require(s->manifest.size <= LOG_MANIFEST_BYTES_MAX);
    buf_put_text(b, magic_snapshot);
    buf_put_u32(b, LOG_FORMAT_VERSION);
    buf_put_u64(b, s->index);
    buf_put_u64(b, s->term);
    buf_put_u64(b, s->log_first);
    buf_put_u64(b, s->segment_first);
    buf_put_u32(b, (uint32_t)s->manifest.size);
    require(b->size == LOG_SNAPSHOT_HEAD_BYTES);
    buf_put_bytes(b, s->manifest);
    buf_put_u32(b, crc32c(0, b->data, b->size));
}

err log_snapshot_decode(struct bytes file, struct log_snapshot *ret)
{
    if (file.size < LOG_SNAPSHOT_HEAD_BYTES + 4) {
        return err_fail(NULL, ERR_CORRUPT, "size");
    }
    struct cursor c;
    TRY(block_open(file, magic_snapshot, &c));
    struct log_snapshot s = {0};
    s.index = cursor_u64(&c);
    s.term = cursor_u64(&c);
    s.log_first = cursor_u64(&c);
    s.segment_first = cursor_u64(&c);
    s.manifest = cursor_sized(&c, LOG_MANIFEST_BYTES_MAX);
    if (!cursor_done(&c) || s.index == 0 || s.term == 0 || s.log_first == 0 ||
        s.log_first - 1 > s.index || s.segment_first == 0) {
        return err_fail(NULL, ERR_CORRUPT, "fields");
    }
    *ret = s;
    return err_ok();
}
