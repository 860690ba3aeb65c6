/* Inside crypto/ only: what several files need of libcrypto. */
#ifndef CRYPTO_OPENSSL_H
#define CRYPTO_OPENSSL_H

#include <openssl/evp.h>

#include "base/buf.h"
#include "base/err.h"

/* Writes code and "what: reason of libcrypto" into reterr and empties libcrypto's queue, so that
 * an old reason is never taken for a new one. */
err openssl_fail(struct errtext *reterr, enum err_code code, const char *what);

/* Reads the first private key of a PEM text. Encrypted ones are refused: there is nobody to ask
 * for a passphrase. The caller owns *ret. INVALID. */
err openssl_key_from_pem(struct bytes pem, EVP_PKEY **ret, struct errtext *reterr) ERR_MUST_USE;

/* Appends the key as unencrypted PEM PKCS#8 to ret. */
void openssl_key_to_pem(const EVP_PKEY *key, struct buf *ret);

#endif
