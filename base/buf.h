/* A growing buffer of owned bytes, and the only way to write a binary format: big-endian puts.
 * It has a greatest size; a put beyond it sets `overflow`, changes nothing and is a no-op from
 * then on, so an encoder checks once at its end. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

struct arena;

struct buf {
    uint8_t *data; /* owned, or the arena's */
    size_t size, capacity, size_max;
    struct arena *arena; /* NULL: the heap */
    bool overflow;
};

/* An empty buffer that may grow to size_max bytes; allocates nothing yet. */
void buf_init(struct buf *b, size_t size_max);

/* The same in an arena, which must have room: nothing is given back before the arena is, and what
 * grows leaves its former place behind, so the whole takes up to twice the final capacity. */
void buf_init_in(struct buf *b, struct arena *arena, size_t size_max);

/* Frees the bytes; accepts an all-zero struct; the buffer may be initialised again. */
void buf_done(struct buf *b);

/* Forgets the content, keeps the memory. */
void buf_clear(struct buf *b);

/* Drops the first size bytes; size <= b->size. Cost: a move of the rest. */
void buf_consume(struct buf *b, size_t size);

/* Room for size more bytes at the end, or NULL (and overflow) if that is too much. */
uint8_t *buf_room(struct buf *b, size_t size);

/* Counts size bytes that were written into the room as content. */
void buf_added(struct buf *b, size_t size);

void buf_put(struct buf *b, const void *data, size_t size);
void buf_put_bytes(struct buf *b, struct bytes bytes);
void buf_put_text(struct buf *b, const char *text);
void buf_put_u8(struct buf *b, uint8_t v);
void buf_put_u16(struct buf *b, uint16_t v);
void buf_put_u32(struct buf *b, uint32_t v);
void buf_put_u64(struct buf *b, uint64_t v);
void buf_put_i64(struct buf *b, int64_t v);
/* u32 length, then the bytes. */
void buf_put_sized(struct buf *b, struct bytes bytes);
/* printf into the buffer, without NUL. */
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static inline struct bytes buf_bytes(const struct buf *b)
{
    return bytes_of(b->data, b->size);
}

#endif
