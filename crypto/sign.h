/* Ed25519 keys and signatures (RFC 8032, pure): requests, governance and tree heads. Checking is
 * in crypto/verifier.h. A key is named by its key id, SHA-256 of the 32 public bytes. */
#ifndef CRYPTO_SIGN_H
#define CRYPTO_SIGN_H

#include "base/bytes.h"
#include "base/err.h"

enum {
    SIGN_SEED_SIZE = 32,
    SIGN_PUBLIC_SIZE = 32,
    SIGN_SIGNATURE_SIZE = 64,
    SIGN_KEY_ID_SIZE = 32,
    SIGN_PUBLIC_TEXT_SIZE = 8 + 44 + 1, /* "ed25519:", base64, NUL */
};

struct sign_key; /* a private key; opaque, wiped when freed */

/* A new random key, which the caller owns and frees with sign_key_free. Any thread. */
struct sign_key *sign_key_generate(void);

/* The key of a seed (RFC 8032 section 5.1.5); the caller wipes the seed. Any thread. */
struct sign_key *sign_key_from_seed(const uint8_t seed[SIGN_SEED_SIZE]);

/* Wipes and frees; accepts NULL. */
void sign_key_free(struct sign_key *key);

/* The public half. */
void sign_key_public(const struct sign_key *key, uint8_t ret_public[SIGN_PUBLIC_SIZE]);

/* Signs a message of any length. A key may be used by one thread at a time. */
void sign_message(struct sign_key *key, struct bytes message,
                  uint8_t ret_signature[SIGN_SIGNATURE_SIZE]);

/* Reads a PEM PKCS#8 file; the caller owns *ret_key. DENIED with the remedy when group or others
 * may read it; NOT_FOUND, IO; INVALID when it is not an unencrypted Ed25519 key. */
err sign_key_read(const char *path, struct sign_key **ret_key, struct errtext *reterr) ERR_MUST_USE;

/* Writes the key as PEM PKCS#8, mode 0600. EXISTS: a key file is never overwritten. IO. */
err sign_key_write(const struct sign_key *key, const char *path,
                   struct errtext *reterr) ERR_MUST_USE;

/* key_id = SHA-256(public). Any thread. */
void sign_key_id(const uint8_t public[SIGN_PUBLIC_SIZE], uint8_t ret_id[SIGN_KEY_ID_SIZE]);

/* "ed25519:" and padded base64 of the public bytes, with a NUL. */
void sign_public_print(const uint8_t public[SIGN_PUBLIC_SIZE],
                       char ret_text[SIGN_PUBLIC_TEXT_SIZE]);

/* Reads that text. INVALID with a reason. */
err sign_public_parse(struct bytes text, uint8_t ret_public[SIGN_PUBLIC_SIZE],
                      struct errtext *reterr) ERR_MUST_USE;

#endif
