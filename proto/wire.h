/* The protobuf wire format (for the strict decoders and for all encoders of this folder): the few
 * field types that our messages use. Internal to proto/. */
#ifndef PROTO_WIRE_H
#define PROTO_WIRE_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cursor.h"

enum wire_type { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

struct wire_field {
    uint32_t number; /* from 1 */
    enum wire_type type;
    uint64_t value;     /* of varint, fixed64 and fixed32 */
    struct bytes bytes; /* of bytes: a view */
};

/* Reads the next field. False at the end, and when the bytes are no protobuf: then c->bad is set
 * (groups count as bad). */
bool wire_next(struct cursor *c, struct wire_field *ret);

void wire_put_varint(struct buf *b, uint64_t v);
void wire_put_tag(struct buf *b, uint32_t number, enum wire_type type);
void wire_put_uint(struct buf *b, uint32_t number, uint64_t v);
void wire_put_fixed64(struct buf *b, uint32_t number, uint64_t v);
void wire_put_bytes(struct buf *b, uint32_t number, struct bytes bytes);

/* Bytes that a varint, a tag, and a tag with length and size bytes take. */
size_t wire_varint_size(uint64_t v);
size_t wire_tag_size(uint32_t number);
size_t wire_bytes_size(uint32_t number, size_t size);

/* The zigzag form of sint32 and sint64. */
static inline uint64_t wire_zigzag(int64_t v)
{
    return ((uint64_t)v << 1) ^ (v < 0 ? UINT64_MAX : 0);
}

static inline int64_t wire_unzigzag(uint64_t v)
{
    return (int64_t)(v >> 1) ^ ((v & 1) != 0 ? -1 : 0);
}

/* UTF-8 without NUL. */
bool wire_text_valid(struct bytes text);

#endif
