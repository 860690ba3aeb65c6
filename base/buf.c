#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/mem.h"
#include "base/require.h"

void buf_init(struct buf *b, size_t size_max)
{
    require(b != NULL);
    require(size_max > 0);
    *b = (struct buf){.size_max = size_max};
}

void buf_init_in(struct buf *b, struct arena *arena, size_t size_max)
{
    require(arena != NULL);
    buf_init(b, size_max);
    b->arena = arena;
}

void buf_done(struct buf *b)
{
    require(b != NULL);
    if (b->arena == NULL) {
        free(b->data);
    }
    *b = (struct buf){.size_max = b->size_max, .arena = b->arena};
}

static void grow(struct buf *b, size_t capacity)
{
    if (b->arena == NULL) {
        b->data = mem_resize(b->data, capacity, 1);
    } else {
        uint8_t *data = arena_new(b->arena, capacity, 1);
        if (b->size > 0) {
            memcpy(data, b->data, b->size);
        }
        b->data = data;
    }
    b->capacity = capacity;
}

void buf_clear(struct buf *b)
{
    require(b != NULL);
    b->size = 0;
    b->overflow = false;
}

void buf_consume(struct buf *b, size_t size)
{
    require(size <= b->size);
    b->size -= size;
    if (b->size > 0 && size > 0) {
        memmove(b->data, b->data + size, b->size);
    }
}

uint8_t *buf_room(struct buf *b, size_t size)
{
    require(b->size_max > 0);
    if (b->overflow || size > b->size_max - b->size) {
        b->overflow = true;
        return NULL;
    }
    size_t need = b->size + size;
    if (need > b->capacity || b->data == NULL) {
        size_t capacity = b->capacity < 64 ? 64 : b->capacity;
        while (capacity < need) {
            capacity *= 2;
        }
        if (capacity > b->size_max && b->size_max >= need) {
            capacity = b->size_max;
        }
        grow(b, capacity);
    }
    return b->data + b->size;
}

void buf_added(struct buf *b, size_t size)
{
    require(size <= b->capacity - b->size);
    b->size += size;
}

void buf_put(struct buf *b, const void *data, size_t size)
{
    uint8_t *room = buf_room(b, size);
    if (room != NULL && size > 0) {
        memcpy(room, data, size);
        b->size += size;
    }
}

void buf_put_bytes(struct buf *b, struct bytes bytes)
{
    buf_put(b, bytes.data, bytes.size);
}

void buf_put_text(struct buf *b, const char *text)
{
    buf_put(b, text, strlen(text));
}

static void put_big_endian(struct buf *b, uint64_t v, unsigned size)
{
    uint8_t *room = buf_room(b, size);
    if (room == NULL) {
        return;
    }
    for (unsigned i = 0; i < size; i++) {
        room[i] = (uint8_t)(v >> (8 * (size - 1 - i)));
    }
    b->size += size;
}

void buf_put_u8(struct buf *b, uint8_t v)
{
    put_big_endian(b, v, 1);
}

void buf_put_u16(struct buf *b, uint16_t v)
{
    put_big_endian(b, v, 2);
}

void buf_put_u32(struct buf *b, uint32_t v)
{
    put_big_endian(b, v, 4);
}

void buf_put_u64(struct buf *b, uint64_t v)
{
    put_big_endian(b, v, 8);
}

void buf_put_i64(struct buf *b, int64_t v)
{
    put_big_endian(b, (uint64_t)v, 8);
}

void buf_put_sized(struct buf *b, struct bytes bytes)
{
    if (bytes.size > UINT32_MAX) {
        b->overflow = true;
        return;
    }
    buf_put_u32(b, (uint32_t)bytes.size);
    buf_put_bytes(b, bytes);
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    require(fmt != NULL);
    va_start(ap, fmt);
    va_list again;
    va_copy(again, ap);
    int size = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    require(size >= 0);
    char *room = (char *)buf_room(b, (size_t)size + 1);
    if (room != NULL) {
        vsnprintf(room, (size_t)size + 1, fmt, again);
        b->size += (size_t)size;
    }
    va_end(again);
}
