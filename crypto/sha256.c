/* The EVP interface fetches the algorithm and allocates for each context, some 0.35 us a digest;
 * hashing small records is a hot path. The plain functions work on memory of the caller, are the
 * same code underneath, and are merely marked deprecated. */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "crypto/sha256.h"

#include <assert.h>
#include <string.h>

#include <openssl/sha.h>

#include "base/require.h"

static_assert(sizeof(SHA256_CTX) <= sizeof(struct sha256), "the context fits the opaque struct");
static_assert(_Alignof(SHA256_CTX) <= _Alignof(struct sha256), "and is aligned in it");
static_assert(SHA256_DIGEST_LENGTH == SHA256_SIZE, "FIPS 180-4");

static SHA256_CTX *context(struct sha256 *s)
{
    require(s != NULL);
    return (SHA256_CTX *)(void *)s->opaque;
}

void sha256_init(struct sha256 *s)
{
    require(SHA256_Init(context(s)) == 1);
}

void sha256_add(struct sha256 *s, const void *data, size_t size)
{
    require(data != NULL || size == 0);
    if (size > 0) {
        require(SHA256_Update(context(s), data, size) == 1);
    }
}

void sha256_add_bytes(struct sha256 *s, struct bytes b)
{
    sha256_add(s, b.data, b.size);
}

void sha256_add_u32(struct sha256 *s, uint32_t v)
{
    uint32_t big = __builtin_bswap32(v);
    static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "bswap makes it big-endian");
    sha256_add(s, &big, sizeof big);
}

void sha256_add_u64(struct sha256 *s, uint64_t v)
{
    uint64_t big = __builtin_bswap64(v);
    sha256_add(s, &big, sizeof big);
}

void sha256_end(struct sha256 *s, uint8_t digest[SHA256_SIZE])
{
    require(digest != NULL);
    require(SHA256_Final(digest, context(s)) == 1);
}

void sha256(const void *data, size_t size, uint8_t digest[SHA256_SIZE])
{
    struct sha256 s;
    sha256_init(&s);
    sha256_add(&s, data, size);
    sha256_end(&s, digest);
}

void sha256_tagged(const char *tag, const struct bytes parts[], size_t count,
                   uint8_t digest[SHA256_SIZE])
{
    require(tag != NULL);
    require(parts != NULL || count == 0);
    size_t length = strlen(tag);
    require(length > 0 && tag[length - 1] == '\n');
    struct sha256 s;
    sha256_init(&s);
    sha256_add(&s, tag, length);
    for (size_t i = 0; i < count; i++) {
        sha256_add_bytes(&s, parts[i]);
    }
    sha256_end(&s, digest);
}
