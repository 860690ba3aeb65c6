#include "base/cursor.h"

#include "base/require.h"

struct bytes cursor_bytes(struct cursor *c, size_t size)
{
    require(c->at <= c->size);
    if (c->bad || size > c->size - c->at) {
        c->bad = true;
        return (struct bytes){NULL, 0};
    }
    struct bytes b = {size == 0 ? c->data : c->data + c->at, size};
    c->at += size;
    return b;
}

static uint64_t read_big_endian(struct cursor *c, unsigned size)
{
    struct bytes b = cursor_bytes(c, size);
    uint64_t v = 0;
    for (size_t i = 0; i < b.size; i++) {
        v = v << 8 | b.data[i];
    }
    return v;
}

uint8_t cursor_u8(struct cursor *c)
{
    return (uint8_t)read_big_endian(c, 1);
}

uint16_t cursor_u16(struct cursor *c)
{
    return (uint16_t)read_big_endian(c, 2);
}

uint32_t cursor_u32(struct cursor *c)
{
    return (uint32_t)read_big_endian(c, 4);
}

uint64_t cursor_u64(struct cursor *c)
{
    return read_big_endian(c, 8);
}

int64_t cursor_i64(struct cursor *c)
{
    return (int64_t)read_big_endian(c, 8);
}

struct bytes cursor_sized(struct cursor *c, size_t size_max)
{
    uint32_t size = cursor_u32(c);
    if (size > size_max) {
        c->bad = true;
    }
    return cursor_bytes(c, size);
}

void cursor_copy(struct cursor *c, void *ret, size_t size)
{
    struct bytes b = cursor_bytes(c, size);
    if (b.size == size && size > 0) {
        memcpy(ret, b.data, size);
    } else {
        memset(ret, 0, size);
    }
}

size_t cursor_left(const struct cursor *c)
{
    return c->bad ? 0 : c->size - c->at;
}

bool cursor_done(const struct cursor *c)
{
    return !c->bad && c->at == c->size;
}
