/* The one bounded reader for every binary format. Big-endian. An error is sticky: after the first
 * one each read answers zero or an empty view, so a decoder reads like its format and asks
 * cursor_ok() once at the end. */
#ifndef BASE_CURSOR_H
#define BASE_CURSOR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

struct cursor {
    const uint8_t *data; /* not owned */
    size_t size, at;
    bool bad;
};

static inline struct cursor cursor_of(struct bytes b)
{
    return (struct cursor){b.data, b.size, 0, false};
}

uint8_t cursor_u8(struct cursor *c);
uint16_t cursor_u16(struct cursor *c);
uint32_t cursor_u32(struct cursor *c);
uint64_t cursor_u64(struct cursor *c);
int64_t cursor_i64(struct cursor *c);

/* A view of the next size bytes. */
struct bytes cursor_bytes(struct cursor *c, size_t size);

/* u32 length, at most size_max, then the bytes. */
struct bytes cursor_sized(struct cursor *c, size_t size_max);

/* Copies exactly size bytes; on error the target is zeroed. */
void cursor_copy(struct cursor *c, void *ret, size_t size);

/* Bytes not read yet. */
size_t cursor_left(const struct cursor *c);

/* Everything was there and nothing is left over. */
bool cursor_done(const struct cursor *c);

static inline bool cursor_ok(const struct cursor *c)
{
    return !c->bad;
}

/* For a decoder that finds a value it must refuse. */
static inline void cursor_fail(struct cursor *c)
{
    c->bad = true;
}

#endif
