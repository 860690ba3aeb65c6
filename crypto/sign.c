#include "crypto/sign.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "base/hex.h"
#include "base/mem.h"
#include "base/require.h"
#include "crypto/keyfile.h"
#include "crypto/openssl.h"
#include "crypto/random.h"
#include "crypto/sha256.h"

enum { PEM_BYTES_MAX = 4096 }; /* an Ed25519 key is 119 bytes of PEM */

struct sign_key {
    EVP_PKEY *pkey;  /* owned; libcrypto wipes it when freed */
    EVP_MD_CTX *ctx; /* owned; reused for each signature */
};

static struct sign_key *key_of(EVP_PKEY *pkey)
{
    require(pkey != NULL);
    struct sign_key *key = mem_new(1, sizeof *key);
    key->pkey = pkey;
    key->ctx = EVP_MD_CTX_new();
    require(key->ctx != NULL);
    return key;
}

struct sign_key *sign_key_generate(void)
{
    uint8_t seed[SIGN_SEED_SIZE];
    random_bytes(seed, sizeof seed);
    struct sign_key *key = sign_key_from_seed(seed);
    mem_wipe(seed, sizeof seed);
    return key;
}

struct sign_key *sign_key_from_seed(const uint8_t seed[SIGN_SEED_SIZE])
{
    require(seed != NULL);
    return key_of(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, SIGN_SEED_SIZE));
}

void sign_key_free(struct sign_key *key)
{
    if (key != NULL) {
        EVP_MD_CTX_free(key->ctx);
        EVP_PKEY_free(key->pkey);
        free(key);
    }
}

void sign_key_public(const struct sign_key *key, uint8_t ret_public[SIGN_PUBLIC_SIZE])
{
    require(key != NULL);
    size_t size = SIGN_PUBLIC_SIZE;
    require(EVP_PKEY_get_raw_public_key(key->pkey, ret_public, &size) == 1);
    require(size == SIGN_PUBLIC_SIZE);
}

void sign_message(struct sign_key *key, struct bytes message,
                  uint8_t ret_signature[SIGN_SIGNATURE_SIZE])
{
    require(key != NULL);
    require(message.data != NULL || message.size == 0);
    size_t size = SIGN_SIGNATURE_SIZE;
    EVP_MD_CTX_reset(key->ctx);
    require(EVP_DigestSignInit(key->ctx, NULL, NULL, NULL, key->pkey) == 1);
    require(EVP_DigestSign(key->ctx, ret_signature, &size, message.data, message.size) == 1);
    require(size == SIGN_SIGNATURE_SIZE);
}

err sign_key_read(const char *path, struct sign_key **ret_key, struct errtext *reterr)
{
    require(ret_key != NULL);
    struct buf pem;
    EVP_PKEY *pkey = NULL;
    buf_init(&pem, PEM_BYTES_MAX);
    err e = keyfile_read_secret(path, &pem, reterr);
    if (!failed(e)) {
        e = openssl_key_from_pem(buf_bytes(&pem), &pkey, reterr);
        if (!failed(e) && EVP_PKEY_get_id(pkey) != EVP_PKEY_ED25519) {
            EVP_PKEY_free(pkey);
            e = err_fail(reterr, ERR_INVALID, "not an Ed25519 key");
        }
        if (failed(e)) {
            e = err_wrapf(reterr, e, "%s", path);
        }
    }
    keyfile_wipe(&pem);
    if (!failed(e)) {
        *ret_key = key_of(pkey);
    }
    return e;
}

err sign_key_write(const struct sign_key *key, const char *path, struct errtext *reterr)
{
    require(key != NULL);
    struct buf pem;
    buf_init(&pem, PEM_BYTES_MAX);
    openssl_key_to_pem(key->pkey, &pem);
    err e = keyfile_write_secret(path, buf_bytes(&pem), reterr);
    keyfile_wipe(&pem);
    return e;
}

void sign_key_id(const uint8_t public[SIGN_PUBLIC_SIZE], uint8_t ret_id[SIGN_KEY_ID_SIZE])
{
    sha256(public, SIGN_PUBLIC_SIZE, ret_id);
}

static const char text_prefix[] = "ed25519:";

void sign_public_print(const uint8_t public[SIGN_PUBLIC_SIZE], char ret_text[SIGN_PUBLIC_TEXT_SIZE])
{
    size_t prefix = strlen(text_prefix);
    require(prefix + base64_length(SIGN_PUBLIC_SIZE) + 1 == SIGN_PUBLIC_TEXT_SIZE);
    memcpy(ret_text, text_prefix, prefix);
    base64_encode(bytes_of(public, SIGN_PUBLIC_SIZE), ret_text + prefix);
}

err sign_public_parse(struct bytes text, uint8_t ret_public[SIGN_PUBLIC_SIZE],
                      struct errtext *reterr)
{
    uint8_t decoded[SIGN_PUBLIC_TEXT_SIZE];
    size_t size = 0;
    struct bytes prefix = bytes_text(text_prefix);
    if (!bytes_has_prefix(text, prefix)) {
        return err_fail(reterr, ERR_INVALID, "a public key begins with \"ed25519:\"");
    }
    struct bytes digits = bytes_of(text.data + prefix.size, text.size - prefix.size);
    if (digits.size > base64_length(SIGN_PUBLIC_SIZE) ||
        failed(base64_decode(digits, decoded, &size)) || size != SIGN_PUBLIC_SIZE) {
        return err_fail(reterr, ERR_INVALID, "a public key is ed25519: and base64 of 32 bytes");
    }
    memcpy(ret_public, decoded, SIGN_PUBLIC_SIZE);
    return err_ok();
}
