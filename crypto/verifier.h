/* Checks Ed25519 signatures. A verifier holds one reused context and a small cache of decoded
 * public keys (one check costs 115 us, decoding a key some 10 us more). It belongs to one thread
 * at a time: each worker has its own.
 *
 * Implementations differ on edge cases (cofactor, points of small order), so every node uses this
 * one and verdicts are not computed again by other means. */
#ifndef CRYPTO_VERIFIER_H
#define CRYPTO_VERIFIER_H

#include <stdbool.h>

#include "crypto/sign.h"

struct verifier;

/* A new verifier, freed with verifier_free. Any thread. */
struct verifier *verifier_new(void);

/* Accepts NULL. */
void verifier_free(struct verifier *v);

/* Whether signature is public's signature of the message. All three may come from outside; a
 * public key that is no point of the curve answers false. One thread at a time. */
bool verifier_check(struct verifier *v, const uint8_t public[SIGN_PUBLIC_SIZE],
                    struct bytes message, const uint8_t signature[SIGN_SIGNATURE_SIZE]);

#endif
