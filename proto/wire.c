#include "proto/wire.h"

#include "base/require.h"
#include "base/utf8.h"

enum { VARINT_BYTES_MAX = 10, FIELD_NUMBER_MAX = (1 << 29) - 1 };

/* Protobuf encoding guide, "Base 128 Varints": least significant group first. The tenth byte may
 * only hold the top bit; more would be cut off silently, and differently by different readers. */
static uint64_t varint_read(struct cursor *c)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < VARINT_BYTES_MAX; i++) {
        uint8_t byte = cursor_u8(c);
        if (i == VARINT_BYTES_MAX - 1 && byte > 1) {
            break;
        }
        v |= (uint64_t)(byte & 0x7f) << (7 * i);
        if ((byte & 0x80) == 0) {
            return v;
        }
    }
    cursor_fail(c);
    return 0;
}

static uint64_t fixed_read(struct cursor *c, unsigned size)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < size; i++) {
        v |= (uint64_t)cursor_u8(c) << (8 * i); /* little-endian, unlike our own formats */
    }
    return v;
}

static void value_read(struct cursor *c, struct wire_field *f, uint64_t type)
{
    switch (type) {
    case WIRE_VARINT:
        f->type = WIRE_VARINT;
        f->value = varint_read(c);
        return;
    case WIRE_FIXED64:
        f->type = WIRE_FIXED64;
        f->value = fixed_read(c, 8);
        return;
    case WIRE_FIXED32:
        f->type = WIRE_FIXED32;
        f->value = fixed_read(c, 4);
        return;
    case WIRE_BYTES: {
        uint64_t size = varint_read(c);
        f->type = WIRE_BYTES;
        if (size > cursor_left(c)) {
            cursor_fail(c);
            return;
        }
        f->bytes = cursor_bytes(c, (size_t)size);
        return;
    }
    default:
        cursor_fail(c);
    }
}

bool wire_next(struct cursor *c, struct wire_field *ret)
{
    require(c != NULL);
    require(ret != NULL);
    if (!cursor_ok(c) || cursor_left(c) == 0) {
        return false;
    }
    struct wire_field f = {0};
    uint64_t tag = varint_read(c);
    if (tag >> 3 == 0 || tag >> 3 > FIELD_NUMBER_MAX) {
        cursor_fail(c);
        return false;
    }
    f.number = (uint32_t)(tag >> 3);
    value_read(c, &f, tag & 7);
    if (!cursor_ok(c)) {
        return false;
    }
    *ret = f;
    return true;
}

void wire_put_varint(struct buf *b, uint64_t v)
{
    while (v >= 0x80) {
        buf_put_u8(b, (uint8_t)(v | 0x80));
        v >>= 7;
    }
    buf_put_u8(b, (uint8_t)v);
}

void wire_put_tag(struct buf *b, uint32_t number, enum wire_type type)
{
    require(number >= 1);
    require(number <= FIELD_NUMBER_MAX);
    wire_put_varint(b, (uint64_t)number << 3 | type);
}

void wire_put_uint(struct buf *b, uint32_t number, uint64_t v)
{
    wire_put_tag(b, number, WIRE_VARINT);
    wire_put_varint(b, v);
}

void wire_put_fixed64(struct buf *b, uint32_t number, uint64_t v)
{
    wire_put_tag(b, number, WIRE_FIXED64);
    for (unsigned i = 0; i < 8; i++) {
        buf_put_u8(b, (uint8_t)(v >> (8 * i)));
    }
}

void wire_put_bytes(struct buf *b, uint32_t number, struct bytes bytes)
{
    wire_put_tag(b, number, WIRE_BYTES);
    wire_put_varint(b, bytes.size);
    buf_put_bytes(b, bytes);
}

size_t wire_varint_size(uint64_t v)
{
    size_t size = 1;
    while (v >= 0x80) {
        v >>= 7;
        size++;
    }
    return size;
}

size_t wire_tag_size(uint32_t number)
{
    return wire_varint_size((uint64_t)number << 3);
}

size_t wire_bytes_size(uint32_t number, size_t size)
{
    return wire_tag_size(number) + wire_varint_size(size) + size;
}

bool wire_text_valid(struct bytes text)
{
    return text.size == 0 || (memchr(text.data, 0, text.size) == NULL && utf8_valid(text));
}
