/* Hexadecimal and base64 (RFC 4648) text forms of bytes. */
#ifndef BASE_HEX_H
#define BASE_HEX_H

#include "base/bytes.h"
#include "base/err.h"

/* Lower-case hex with a NUL; text has room for 2 * size + 1. */
void hex_encode(struct bytes b, char *text);

/* Exactly size bytes from 2 * size digits of either case. INVALID otherwise. */
err hex_decode(struct bytes text, uint8_t *ret, size_t size) ERR_MUST_USE;

/* Length of the base64 text of size bytes, with padding, without NUL. */
static inline size_t base64_length(size_t size)
{
    return (size + 2) / 3 * 4;
}

/* Padded base64 with a NUL; text has room for base64_length(size) + 1. */
void base64_encode(struct bytes b, char *text);

/* Decodes with or without padding; unused bits are zero. ret has room for text.size / 4 * 3 + 3;
 * *ret_size is written on success. INVALID otherwise. */
err base64_decode(struct bytes text, uint8_t *ret, size_t *ret_size) ERR_MUST_USE;

#endif
