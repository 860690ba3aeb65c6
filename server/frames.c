#include "server/frames.h"

#include <string.h>

#include "base/crc32c.h"
#include "base/cursor.h"
#include "base/require.h"
#include "base/utf8.h"

bool frame_forward_read(struct bytes frame, struct frame_forward *ret)
{
    struct cursor c = cursor_of(frame);
    struct frame_forward f = {.token = cursor_u64(&c)};
    f.envelope = cursor_bytes(&c, cursor_left(&c));
    if (!cursor_done(&c) || f.envelope.size == 0) {
        return false;
    }
    *ret = f;
    return true;
}

bool frame_refused_read(struct bytes frame, struct frame_refused *ret)
{
    struct cursor c = cursor_of(frame);
    struct frame_refused f = {.token = cursor_u64(&c)};
    uint16_t reason = cursor_u16(&c);
    uint8_t retry = cursor_u8(&c);
    f.text = cursor_bytes(&c, cursor_left(&c));
    if (!cursor_done(&c) || reason == REASON_NONE || retry > RETRY_NEVER || !utf8_valid(f.text)) {
        return false;
    }
    f.reason = (enum reason)reason;
    f.retry = (enum retry)retry;
    *ret = f;
    return true;
}

bool frame_read_read(struct bytes frame, uint64_t *ret_token)
{
    struct cursor c = cursor_of(frame);
    uint64_t token = cursor_u64(&c);
    if (!cursor_done(&c)) {
        return false;
    }
    *ret_token = token;
    return true;
}

bool frame_ready_read(struct bytes frame, struct frame_ready *ret)
{
    struct cursor c = cursor_of(frame);
    struct frame_ready f = {.token = cursor_u64(&c)};
    uint8_t ok = cursor_u8(&c);
    f.height = cursor_u64(&c);
    if (!cursor_done(&c) || ok > 1) {
        return false;
    }
    f.ok = ok == 1;
    *ret = f;
    return true;
}

bool frame_disk_read(struct bytes frame, uint8_t ret_disk[16])
{
    struct cursor c = cursor_of(frame);
    uint8_t disk[16];
    uint8_t version = cursor_u8(&c);
    cursor_copy(&c, disk, sizeof disk);
    if (!cursor_done(&c) || version != DISK_FRAME_VERSION) {
        return false;
    }
    memcpy(ret_disk, disk, sizeof disk);
    return true;
}

bool frame_transfer_read(struct bytes frame, struct frame_transfer *ret)
{
    struct cursor c = cursor_of(frame);
    struct frame_transfer f = {.token = cursor_u64(&c)};
    f.node = cursor_u64(&c);
    if (!cursor_done(&c)) {
        return false;
    }
    *ret = f;
    return true;
}

bool frame_transferred_read(struct bytes frame, struct frame_transferred *ret)
{
    struct cursor c = cursor_of(frame);
    struct frame_transferred f = {.token = cursor_u64(&c)};
    uint8_t ok = cursor_u8(&c);
    f.leader = cursor_u64(&c);
    f.text = cursor_bytes(&c, cursor_left(&c));
    if (!cursor_done(&c) || ok > 1 || f.text.size > TRANSFER_TEXT_MAX || !utf8_valid(f.text)) {
        return false;
    }
    f.ok = ok == 1;
    *ret = f;
    return true;
}

bool frame_gossip_read(struct bytes frame, struct frame_gossip *ret)
{
    struct cursor c = cursor_of(frame);
    uint8_t version = cursor_u8(&c);
    struct frame_gossip f = {.term = cursor_u64(&c)};
    f.height = cursor_u64(&c);
    f.position = cursor_u64(&c);
    cursor_copy(&c, f.digest, sizeof f.digest);
    f.role = cursor_u8(&c);
    uint8_t flags = cursor_u8(&c);
    f.draining = (flags & GOSSIP_DRAINING) != 0;
    f.disk_slow = (flags & GOSSIP_DISK_SLOW) != 0;
    f.disk_level = (flags & GOSSIP_DISK_STOP) != 0  ? DISK_STOP
                   : (flags & GOSSIP_DISK_LOW) != 0 ? DISK_LOW
                                                    : DISK_ROOM;
    f.disk_free_bytes = cursor_u64(&c);
    f.sync_p99_us = cursor_u64(&c);
    f.certificate_days_left = cursor_i64(&c);
    struct bytes text = cursor_sized(&c, GOSSIP_TEXT_MAX);
    f.cosigned_size = cursor_u64(&c);
    f.cosigned_ns = cursor_u64(&c);
    if (version != GOSSIP_VERSION || !cursor_done(&c)) {
        return false;
    }
    for (size_t i = 0; i < text.size; i++) {
        bool plain = text.data[i] > ' ' && text.data[i] < 127;
        f.version[i] = plain ? (char)text.data[i] : '?';
    }
    *ret = f;
    return true;
}

bool frame_checkpoints_read(struct bytes frame, struct frame_checkpoints *ret)
{
    struct cursor c = cursor_of(frame);
    uint8_t version = cursor_u8(&c);
    struct frame_checkpoints f = {.wants = cursor_u64(&c)};
    f.count = cursor_u8(&c);
    if (version != CHECKPOINTS_VERSION || f.count > CHECKPOINTS_TOLD_MAX) {
        return false;
    }
    for (uint8_t i = 0; i < f.count; i++) {
        struct frame_checkpoint *item = &f.items[i];
        item->index = cursor_u64(&c);
        item->height = cursor_u64(&c);
        cursor_copy(&c, item->digest, sizeof item->digest);
        cursor_copy(&c, item->state_digest, sizeof item->state_digest);
        if (item->index == 0 || (i > 0 && item->index >= item[-1].index)) {
            return false;
        }
    }
    if (!cursor_done(&c)) {
        return false;
    }
    *ret = f;
    return true;
}

bool frame_fetch_read(struct bytes frame, struct frame_fetch *ret)
{
    struct cursor c = cursor_of(frame);
    struct frame_fetch f = {.index = cursor_u64(&c)};
    f.file = cursor_u32(&c);
    f.offset = cursor_u64(&c);
    f.length = cursor_u32(&c);
    if (!cursor_done(&c) || f.index == 0 || f.length == 0 || f.length > FETCH_CHUNK_BYTES) {
        return false;
    }
    *ret = f;
    return true;
}

bool frame_chunk_read(struct bytes frame, struct frame_chunk *ret)
{
    struct cursor c = cursor_of(frame);
    struct frame_chunk f = {.index = cursor_u64(&c)};
    f.file = cursor_u32(&c);
    f.offset = cursor_u64(&c);
    uint8_t status = cursor_u8(&c);
    f.total = cursor_u64(&c);
    uint32_t crc = cursor_u32(&c);
    f.data = cursor_bytes(&c, cursor_left(&c));
    bool sized =
        status == CHUNK_OK ? f.data.size > 0 && f.data.size <= FETCH_CHUNK_BYTES : f.data.size == 0;
    if (!cursor_done(&c) || status > CHUNK_UNREADABLE || !sized ||
        crc != crc32c(0, f.data.data, f.data.size)) {
        return false;
    }
    if (status == CHUNK_OK && (f.offset > f.total || f.data.size > f.total - f.offset)) {
        return false;
    }
    f.status = (enum chunk_status)status;
    *ret = f;
    return true;
}

void frame_chunk_head(const struct frame_chunk *chunk, struct buf *ret)
{
    require(chunk != NULL);
    size_t before = ret->size;
    buf_put_u64(ret, chunk->index);
    buf_put_u32(ret, chunk->file);
    buf_put_u64(ret, chunk->offset);
    buf_put_u8(ret, (uint8_t)chunk->status);
    buf_put_u64(ret, chunk->total);
    buf_put_u32(ret, crc32c(0, chunk->data.data, chunk->data.size));
    require(ret->size - before == CHUNK_HEAD_BYTES);
}

bool frame_head_read(struct bytes frame, struct bytes *ret_note)
{
    struct cursor c = cursor_of(frame);
    uint8_t version = cursor_u8(&c);
    struct bytes note = cursor_bytes(&c, cursor_left(&c));
    if (!cursor_done(&c) || version != HEAD_FRAME_VERSION || note.size == 0 ||
        note.size > NOTE_BYTES_MAX) {
        return false;
    }
    *ret_note = note;
    return true;
}

bool frame_evidence_read(struct bytes frame, struct frame_evidence *ret)
{
    struct cursor c = cursor_of(frame);
    struct frame_evidence f;
    uint8_t version = cursor_u8(&c);
    f.notes[0] = cursor_sized(&c, NOTE_BYTES_MAX);
    f.notes[1] = cursor_sized(&c, NOTE_BYTES_MAX);
    if (!cursor_done(&c) || version != HEAD_FRAME_VERSION || f.notes[0].size == 0 ||
        f.notes[1].size == 0) {
        return false;
    }
    *ret = f;
    return true;
}

bool frame_root_ask_read(struct bytes frame, struct frame_root_ask *ret)
{
    struct cursor c = cursor_of(frame);
    struct frame_root_ask f = {.token = cursor_u64(&c)};
    f.size = cursor_u64(&c);
    if (!cursor_done(&c)) {
        return false;
    }
    *ret = f;
    return true;
}

bool frame_root_is_read(struct bytes frame, struct frame_root_is *ret)
{
    struct cursor c = cursor_of(frame);
    struct frame_root_is f = {.token = cursor_u64(&c)};
    f.size = cursor_u64(&c);
    uint8_t ok = cursor_u8(&c);
    cursor_copy(&c, f.root, sizeof f.root);
    if (!cursor_done(&c) || ok > 1) {
        return false;
    }
    f.ok = ok == 1;
    *ret = f;
    return true;
}
