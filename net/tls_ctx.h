/* What tls.c and tls_ctx.c share; nobody else includes it. */
#ifndef NET_TLS_CTX_H
#define NET_TLS_CTX_H

#include <openssl/ssl.h>

#include "net/tls.h"

enum { TLS_ALPN_WIRE_MAX = 64 };

struct tls_trust {
    X509 *cert;        /* owned */
    char *institution; /* owned; NULL: anybody */
};

struct tls_ctx {
    SSL_CTX *ssl_ctx;       /* owned */
    BIO_METHOD *bio_method; /* owned */
    size_t refs;
    bool server, want_identity, forgive_expiry;
    uint64_t not_after_s;
    tls_accept *accept;
    void *accept_ctx;
    struct tls_trust *trust; /* owned */
    size_t trust_count;
    uint8_t alpn[TLS_ALPN_WIRE_MAX]; /* length-prefixed names (RFC 7301 3.1) */
    unsigned alpn_size;
};

struct tls {
    struct tls_ctx *ctx; /* a reference */
    SSL *ssl;            /* owned */
    struct buf *out;     /* not owned */
    struct bytes in;     /* what is being fed and not yet taken */
    struct tls_peer peer;
    uint8_t *leaf, *spki, *root;  /* owned by OpenSSL's allocator */
    struct errtext refusal;       /* why we refused the other side's certificate, or "" */
    char alpn[TLS_ALPN_WIRE_MAX]; /* what was agreed, a text */
    bool has_peer, open, ended, broken;
};

/* SSL_CTX_set_cert_verify_callback: the chain first, then identity, institution and accept. */
int tls_verify(X509_STORE_CTX *store, void *arg);

/* SSL_CTX_set_verify: forgives what the context's policy forgives. */
int tls_forgive(int ok, X509_STORE_CTX *store);

/* Makes the BIO method that reads tls->in and writes tls->out; NULL without memory. */
BIO_METHOD *tls_bio_method(void);

#endif
