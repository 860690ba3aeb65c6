#include "crypto/verifier.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/require.h"

struct slot {
    EVP_PKEY *pkey; /* owned; NULL: empty */
    uint8_t public[SIGN_PUBLIC_SIZE];
};

struct verifier {
    EVP_MD_CTX *ctx; /* owned */
    struct slot slots[VERIFIER_KEYS_MAX];
};

struct verifier *verifier_new(void)
{
    struct verifier *v = mem_new(1, sizeof *v);
    v->ctx = EVP_MD_CTX_new();
    require(v->ctx != NULL);
    return v;
}

void verifier_free(struct verifier *v)
{
    if (v == NULL) {
        return;
    }
    for (size_t i = 0; i < VERIFIER_KEYS_MAX; i++) {
        EVP_PKEY_free(v->slots[i].pkey);
    }
    EVP_MD_CTX_free(v->ctx);
    free(v);
}

/* The decoded key; a key has one slot, in which a newcomer replaces the one before. Whoever
 * chooses keys so that they meet in one slot costs themselves the decoding, no more. */
static EVP_PKEY *find_key(struct verifier *v, const uint8_t public[SIGN_PUBLIC_SIZE])
{
    size_t at = ((size_t) public[0] << 8 | public[1]) % VERIFIER_KEYS_MAX;
    struct slot *slot = &v->slots[at];
    if (slot->pkey != NULL && memcmp(slot->public, public, SIGN_PUBLIC_SIZE) == 0) {
        return slot->pkey;
    }
    EVP_PKEY *pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, public, SIGN_PUBLIC_SIZE);
    if (pkey == NULL) {
        ERR_clear_error();
        return NULL;
    }
    EVP_PKEY_free(slot->pkey);
    slot->pkey = pkey;
    memcpy(slot->public, public, SIGN_PUBLIC_SIZE);
    return pkey;
}

bool verifier_check(struct verifier *v, const uint8_t public[SIGN_PUBLIC_SIZE],
                    struct bytes message, const uint8_t signature[SIGN_SIGNATURE_SIZE])
{
    require(v != NULL);
    require(message.data != NULL || message.size == 0);
    EVP_PKEY *pkey = find_key(v, public);
    if (pkey == NULL) {
        return false;
    }
    EVP_MD_CTX_reset(v->ctx);
    /* For Ed25519 the digest must be NULL; only 1 means valid, 0 and negative do not. */
    int valid = EVP_DigestVerifyInit(v->ctx, NULL, NULL, NULL, pkey);
    if (valid == 1) {
        valid =
            EVP_DigestVerify(v->ctx, signature, SIGN_SIGNATURE_SIZE, message.data, message.size);
    }
    if (valid != 1) {
        ERR_clear_error();
    }
    return valid == 1;
}
