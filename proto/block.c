#include "proto/block.h"

#include "base/cursor.h"
#include "base/require.h"
#include "crypto/sha256.h"

static void header_encode(const struct block *block, struct buf *buf)
{
    buf_put_u16(buf, BLOCK_VERSION);
    buf_put_u64(buf, block->height);
    buf_put(buf, block->previous, sizeof(block->previous));
    buf_put_u64(buf, block->time_ns);
    buf_put_u32(buf, block->envelope_count);
}

static err header_decode(struct cursor *c, struct block *ret, struct errtext *reterr)
{
    uint16_t version = cursor_u16(c);
    if (cursor_ok(c) && version != BLOCK_VERSION) {
        return err_fail(reterr, ERR_UNSUPPORTED, "block: version %u is not known", version);
    }
    ret->height = cursor_u64(c);
    cursor_copy(c, ret->previous, sizeof(ret->previous));
    ret->time_ns = cursor_u64(c);
    ret->envelope_count = cursor_u32(c);
    if (!cursor_ok(c)) {
        return err_fail(reterr, ERR_INVALID, "block: header cut short");
    }
    if (ret->height == 0) {
        return err_fail(reterr, ERR_INVALID, "block: height 0");
    }
    if (ret->envelope_count > EVENTS_MAX) {
        return err_fail(reterr, ERR_LIMIT, "block: %u envelopes", ret->envelope_count);
    }
    return err_ok();
}

err block_decode(struct bytes wire, struct arena *a, struct block **ret, struct errtext *reterr)
{
    require(a != NULL);
    require(ret != NULL);
    if (wire.size > BLOCK_BYTES_MAX) {
        return err_fail(reterr, ERR_LIMIT, "block: longer than %d bytes", BLOCK_BYTES_MAX);
    }
    struct cursor c = cursor_of(wire);
    struct block block = {0};
    TRY(header_decode(&c, &block, reterr));
    struct block *result = arena_try(a, 1, sizeof(*result));
    struct bytes *envelopes = arena_try(a, block.envelope_count, sizeof(*envelopes));
    if (result == NULL || (envelopes == NULL && block.envelope_count > 0)) {
        return err_fail(reterr, ERR_LIMIT, "block: no room");
    }
    for (uint32_t i = 0; i < block.envelope_count; i++) {
        envelopes[i] = cursor_sized(&c, BLOCK_BYTES_MAX);
    }
    if (!cursor_done(&c)) {
        return err_fail(reterr, ERR_INVALID, "block: %s",
                        cursor_ok(&c) ? "bytes left over" : "envelopes cut short");
    }
    block.envelopes = envelopes;
    *result = block;
    *ret = result;
    return err_ok();
}

void block_encode(const struct block *block, struct buf *buf)
{
    require(block != NULL);
    require(block->height > 0);
    require(block->envelope_count <= EVENTS_MAX);
    header_encode(block, buf);
    for (uint32_t i = 0; i < block->envelope_count; i++) {
        buf_put_sized(buf, block->envelopes[i]);
    }
}

void block_hash(const struct block *block, const uint8_t (*request_hashes)[32], uint8_t ret[32])
{
    require(block != NULL);
    require(block->envelope_count == 0 || request_hashes != NULL);
    struct buf header;
    buf_init(&header, BLOCK_HEADER_SIZE);
    header_encode(block, &header);
    require(header.size == BLOCK_HEADER_SIZE);
    const struct bytes parts[] = {
        buf_bytes(&header),
        bytes_of(request_hashes, (size_t)block->envelope_count * 32),
    };
    sha256_tagged(BLOCK_TAG, parts, 2, ret);
    buf_done(&header);
}
