/* TLS 1.3 with certificates on both sides, as a machine of bytes: ciphertext in, plaintext out
 * and back. No sockets. No session tickets or caches (resumption would skip the check of a
 * revoked certificate), no early data, no renegotiation.
 *
 * A tls_ctx is one complete set of keys and trust; to rotate, build a new one and swap it: running
 * connections keep the old one alive. Thread: a ctx may be built anywhere; everything else loop
 * only. */
#ifndef NET_TLS_H
#define NET_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"
#include "crypto/identity.h"

struct tls_ctx;
struct tls;

/* A CA certificate that is trusted, and for whom. */
struct tls_ca {
    struct bytes cert;       /* DER, or PEM (then every certificate in it) */
    const char *institution; /* NULL: for anybody. Else the chain of a certificate whose identity
                                names this institution must end here, and no other's may. */
};

/* Facts of the other side's certificate, after its chain was verified. Identity is present when
 * has_identity (a context without want_identity accepts certificates without a SAN URI). */
struct tls_peer {
    bool has_identity;
    struct identity identity;
    uint64_t not_before_s, not_after_s; /* Unix seconds */
    bool expiry_forgiven;               /* it, or its CA, is outside its validity now */
    struct bytes leaf;                  /* DER; these three are owned by the tls */
    struct bytes spki;                  /* DER of its public key */
    struct bytes root;                  /* DER of the CA its chain ends in */
};

/* The last word on a certificate whose chain holds, before the handshake ends. Returns false to
 * refuse it (the other side gets the alert "bad certificate"), with a reason. Loop thread. */
typedef bool tls_accept(void *ctx, const struct tls_peer *peer, struct errtext *reterr);

enum tls_cert_need {
    TLS_CERT_REQUIRED, /* a server refuses clients without one; a client always requires one */
    TLS_CERT_OPTIONAL, /* a server lets clients without one in: conn_peer() is NULL */
};

struct tls_options {
    bool server;
    const struct tls_ca *cas; /* who may have certified the other side */
    size_t ca_count;
    struct bytes chain;      /* PEM: own certificate first, then its CAs up to the root */
    struct bytes key;        /* PEM private key of the first; empty: none (client only) */
    struct bytes crl;        /* PEM revocation lists; a CA without a list here is not checked, an
                                expired list refuses everybody (unless expiry is forgiven) */
    const char *const *alpn; /* NULL-terminated, best first; NULL: no ALPN */
    enum tls_cert_need need;
    bool want_identity;  /* refuse a certificate without one valid SAN URI */
    bool forgive_expiry; /* between admitted nodes: expiry raises an alarm, cuts no link */
    tls_accept *accept;  /* may be NULL */
    void *accept_ctx;
};

/* Builds a context. INVALID with a reason that names the bad part: unreadable certificate, key
 * that does not belong to it, no CA. The caller owns all inputs; secrets are not kept as text. */
err tls_ctx_new(const struct tls_options *options, struct tls_ctx **ret_ctx,
                struct errtext *reterr) ERR_MUST_USE;

/* Another reference. Returns ctx. */
struct tls_ctx *tls_ctx_ref(struct tls_ctx *ctx);

/* Gives a reference back; accepts NULL. */
void tls_ctx_free(struct tls_ctx *ctx);

/* Unix seconds until which the own certificate is valid; 0 without one. */
uint64_t tls_ctx_not_after_s(const struct tls_ctx *ctx);

/* Starts one side of a connection; server_name: SNI of a client (NULL: none). out takes the
 * ciphertext; it is not owned and outlives the tls. */
struct tls *tls_new(struct tls_ctx *ctx, const char *server_name, struct buf *out);

/* Accepts NULL. */
void tls_free(struct tls *tls);

/* Client: writes its first message. Server: does nothing. DENIED/INVALID as tls_feed. */
err tls_start(struct tls *tls, struct errtext *reterr) ERR_MUST_USE;

/* Feeds received ciphertext. Plaintext goes to on_plain(ctx, view) as it appears; on_plain must
 * not free the tls. DENIED: the other side's certificate was refused or it refused ours; INVALID:
 * not TLS, or broken; an alert may have been put into out: send it before closing. After an
 * error the tls is only fit for tls_free. */
err tls_feed(struct tls *tls, struct bytes cipher, void (*on_plain)(void *ctx, struct bytes plain),
             void *ctx, struct errtext *reterr) ERR_MUST_USE;

/* Encrypts plaintext into out. Only when tls_is_open. INVALID when the session is broken. */
err tls_write(struct tls *tls, struct bytes plain) ERR_MUST_USE;

/* Puts the close_notify alert into out, when the session is open and whole. */
void tls_close(struct tls *tls);

/* The handshake is done. */
bool tls_is_open(const struct tls *tls);

/* The other side has sent its close_notify: no more plaintext will come. */
bool tls_is_ended(const struct tls *tls);

/* Facts of the other side, or NULL without a certificate; valid from tls_is_open to tls_free. */
const struct tls_peer *tls_peer_of(const struct tls *tls);

/* The agreed protocol ("h2"), or "". */
const char *tls_alpn(const struct tls *tls);

#endif
