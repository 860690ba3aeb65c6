/* What the text formats of a transparency log have in common: lines, decimals, hashes. Inside
 * crypto/ only. Any thread. */
#ifndef CRYPTO_LINES_H
#define CRYPTO_LINES_H

#include <stdbool.h>

#include "base/buf.h"
#include "crypto/merkle.h"

/* Takes the next line off the front, without its newline; false when none that ends is left. */
bool lines_next(struct bytes *rest, struct bytes *ret);

/* Splits at the first separator; false if there is none. */
bool lines_split(struct bytes text, char separator, struct bytes *ret_before,
                 struct bytes *ret_after);

/* A decimal without leading zeros, below 2^63. */
bool lines_decimal(struct bytes text, uint64_t *ret);

/* The one padded base64 form of at most size_max bytes, for which ret has room. */
bool lines_base64(struct bytes text, uint8_t *ret, size_t size_max, size_t *ret_size);

/* base64 of exactly 32 bytes. */
bool lines_hash(struct bytes text, struct merkle_hash *ret);

/* Appends base64 of the bytes and a newline. */
void lines_put_base64(struct bytes b, struct buf *ret);

#endif
