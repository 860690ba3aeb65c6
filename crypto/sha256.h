/* SHA-256 (FIPS 180-4), and the one way to hash with a domain tag. Contexts are plain memory:
 * nothing is allocated, nothing must be freed, and each thread uses its own. */
#ifndef CRYPTO_SHA256_H
#define CRYPTO_SHA256_H

#include "base/bytes.h"

enum { SHA256_SIZE = 32 };

/* A running hash; its content belongs to sha256.c. Copying the struct forks the hash. */
struct sha256 {
    uint64_t opaque[14];
};

/* digest = SHA-256(data). Data may be NULL when size is 0. Any thread. */
void sha256(const void *data, size_t size, uint8_t digest[SHA256_SIZE]);

void sha256_init(struct sha256 *s);
void sha256_add(struct sha256 *s, const void *data, size_t size);
void sha256_add_bytes(struct sha256 *s, struct bytes b);
void sha256_add_u32(struct sha256 *s, uint32_t v); /* big-endian */
void sha256_add_u64(struct sha256 *s, uint64_t v); /* big-endian */

/* Writes the digest; the context must be initialised again before its next use. */
void sha256_end(struct sha256 *s, uint8_t digest[SHA256_SIZE]);

/* digest = SHA-256(tag || parts in order). The tag is a text that ends in a newline, such as
 * "concordat/body/v1\n", so that a digest of one kind of thing is never one of another. */
void sha256_tagged(const char *tag, const struct bytes parts[], size_t count,
                   uint8_t digest[SHA256_SIZE]);

#endif
