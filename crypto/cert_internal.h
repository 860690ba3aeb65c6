/* Inside crypto/ only: what cert.c and cert_issue.c share. */
#ifndef CRYPTO_CERT_INTERNAL_H
#define CRYPTO_CERT_INTERNAL_H

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "crypto/cert.h"

struct cert {
    X509 *x509; /* owned */
};

struct cert_key {
    EVP_PKEY *pkey; /* owned */
};

/* Takes ownership of x509. */
struct cert *cert_wrap(X509 *x509);

#endif
