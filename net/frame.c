#include "net/frame.h"

#include <string.h>

#include "base/cursor.h"
#include "base/require.h"

void frame_reader_init(struct frame_reader *r, size_t size_max)
{
    require(r != NULL);
    require(size_max > 0 && size_max <= UINT32_MAX);
    *r = (struct frame_reader){.size_max = size_max};
    buf_init(&r->partial, FRAME_HEADER_SIZE + size_max);
}

void frame_reader_done(struct frame_reader *r)
{
    require(r != NULL);
    buf_done(&r->partial);
    r->delivered = false;
}

static uint32_t length_of(const uint8_t header[FRAME_HEADER_SIZE])
{
    struct cursor c = cursor_of(bytes_of(header, FRAME_HEADER_SIZE));
    return cursor_u32(&c);
}

/* Moves up to `want` bytes in all into the partial frame. Returns whether they are there. */
static bool gather(struct frame_reader *r, struct bytes *input, size_t want)
{
    require(want <= r->partial.size_max);
    if (r->partial.size < want) {
        size_t missing = want - r->partial.size;
        size_t take = missing < input->size ? missing : input->size;
        /* Room for the whole at once: a large frame is not moved again as it grows. */
        uint8_t *room = buf_room(&r->partial, missing);
        require(room != NULL);
        if (take > 0) {
            memcpy(room, input->data, take);
        }
        buf_added(&r->partial, take);
        *input = bytes_of(input->data + take, input->size - take);
    }
    return r->partial.size >= want;
}

static void deliver(const uint8_t *data, size_t length, struct frame *ret, bool *ret_there)
{
    ret->type = data[FRAME_HEADER_SIZE - 1];
    ret->bytes = bytes_of(data + FRAME_HEADER_SIZE, length);
    *ret_there = true;
}

err frame_next(struct frame_reader *r, struct bytes *input, struct frame *ret, bool *ret_there)
{
    require(r != NULL);
    require(input->data != NULL || input->size == 0);
    if (r->delivered) {
        buf_clear(&r->partial);
        r->delivered = false;
    }
    *ret_there = false;
    if (r->partial.size == 0 && input->size >= FRAME_HEADER_SIZE) {
        size_t length = length_of(input->data);
        if (length > r->size_max) {
            return err_fail(NULL, ERR_LIMIT, "frame too large");
        }
        size_t whole = FRAME_HEADER_SIZE + length;
        if (input->size >= whole) { /* the common case: nothing is copied */
            deliver(input->data, length, ret, ret_there);
            *input = bytes_of(input->data + whole, input->size - whole);
            return err_ok();
        }
    }
    if (input->size == 0 || !gather(r, input, FRAME_HEADER_SIZE)) {
        return err_ok();
    }
    size_t length = length_of(r->partial.data);
    if (length > r->size_max) {
        return err_fail(NULL, ERR_LIMIT, "frame too large");
    }
    if (gather(r, input, FRAME_HEADER_SIZE + length)) {
        deliver(r->partial.data, length, ret, ret_there);
        r->delivered = true;
    }
    return err_ok();
}

void frame_put(struct buf *ret, uint8_t type, const struct bytes parts[], size_t count)
{
    require(ret != NULL);
    require(parts != NULL || count == 0);
    size_t length = 0;
    for (size_t i = 0; i < count; i++) {
        length += parts[i].size;
    }
    require(length <= UINT32_MAX);
    buf_put_u32(ret, (uint32_t)length);
    buf_put_u8(ret, type);
    for (size_t i = 0; i < count; i++) {
        buf_put_bytes(ret, parts[i]);
    }
}

void frame_put_hello(struct buf *ret, const struct frame_hello *hello)
{
    require(hello != NULL);
    size_t before = ret->size;
    buf_put_u32(ret, FRAME_HELLO_SIZE);
    buf_put_u8(ret, FRAME_TYPE_HELLO);
    buf_put_u16(ret, hello->version);
    buf_put(ret, hello->ledger_id, SHA256_SIZE);
    buf_put_u64(ret, hello->from);
    buf_put_u64(ret, hello->to);
    require(ret->overflow || ret->size == before + FRAME_HEADER_SIZE + FRAME_HELLO_SIZE);
}

void frame_put_welcome(struct buf *ret)
{
    buf_put_u32(ret, 2);
    buf_put_u8(ret, FRAME_TYPE_WELCOME);
    buf_put_u16(ret, FRAME_VERSION);
}

void frame_put_refusal(struct buf *ret, uint8_t reason, const char *text)
{
    require(text != NULL);
    size_t length = strnlen(text, FRAME_REFUSAL_TEXT_MAX);
    const struct bytes parts[] = {{&reason, 1}, {(const uint8_t *)text, length}};
    frame_put(ret, FRAME_TYPE_REFUSAL, parts, 2);
}

err frame_read_hello(struct bytes bytes, struct frame_hello *ret)
{
    require(ret != NULL);
    struct cursor c = cursor_of(bytes);
    memset(ret, 0, sizeof *ret);
    ret->version = cursor_u16(&c);
    if (cursor_ok(&c) && ret->version != FRAME_VERSION) {
        return err_ok(); /* the rest may have another form; the caller refuses the version */
    }
    cursor_copy(&c, ret->ledger_id, SHA256_SIZE);
    ret->from = cursor_u64(&c);
    ret->to = cursor_u64(&c);
    return cursor_done(&c) ? err_ok() : err_fail(NULL, ERR_INVALID, "malformed hello");
}

err frame_read_welcome(struct bytes bytes, uint16_t *ret_version)
{
    require(ret_version != NULL);
    struct cursor c = cursor_of(bytes);
    uint16_t version = cursor_u16(&c);
    if (!cursor_done(&c)) {
        return err_fail(NULL, ERR_INVALID, "malformed welcome");
    }
    *ret_version = version;
    return err_ok();
}

err frame_read_refusal(struct bytes bytes, uint8_t *ret_reason, char *ret_text)
{
    require(ret_reason != NULL);
    require(ret_text != NULL);
    struct cursor c = cursor_of(bytes);
    uint8_t reason = cursor_u8(&c);
    struct bytes text = cursor_bytes(&c, cursor_left(&c));
    if (!cursor_done(&c) || text.size > FRAME_REFUSAL_TEXT_MAX) {
        return err_fail(NULL, ERR_INVALID, "malformed refusal");
    }
    for (size_t i = 0; i < text.size; i++) {
        uint8_t octet = text.data[i];
        ret_text[i] = (char)(octet >= ' ' && octet <= '~' ? octet : '?');
    }
    ret_text[text.size] = '\0';
    *ret_reason = reason;
    return err_ok();
}
