/* X.509 certificates of institutions: ECDSA P-256 keys, the institution's own CA, and the
 * certificates it issues to its nodes, clients and officers. Makes and reads them; whether one is
 * trusted is decided by net/tls and net/peer. */
#ifndef CRYPTO_CERT_H
#define CRYPTO_CERT_H

#include "base/buf.h"
#include "base/err.h"
#include "crypto/identity.h"
#include "crypto/sha256.h"

enum {
    CERT_SPKI_SIZE = 91,     /* DER SubjectPublicKeyInfo of a P-256 point, uncompressed */
    CERT_ALT_NAMES_MAX = 16, /* DNS names and addresses of one certificate */
};

struct cert;     /* a certificate; opaque, immutable, any thread */
struct cert_key; /* a private key; opaque; one thread at a time */

/* What tools and checks need to know of a certificate. Times are Unix seconds. */
struct cert_facts {
    bool has_identity; /* a readable SAN URI; a CA has none */
    struct identity identity;
    bool is_ca;
    int64_t not_before_s, not_after_s;
    uint8_t spki_sha256[SHA256_SIZE]; /* of the DER SubjectPublicKeyInfo: names the public key */
    uint8_t fingerprint[SHA256_SIZE]; /* of the whole DER certificate */
};

/* What a new certificate says. Texts are views that must outlive the call. */
struct cert_spec {
    const struct identity *identity;   /* of the holder; its SAN URI */
    const char *const *dns_names;      /* dns_count; "localhost", "node1.example" */
    const char *const *addresses;      /* address_count; "127.0.0.1", "::1" */
    size_t dns_count, address_count;   /* at most CERT_ALT_NAMES_MAX together */
    int64_t not_before_s, not_after_s; /* Unix seconds */
};

/* A new P-256 key, which the caller owns. Any thread. */
struct cert_key *cert_key_generate(void);

/* Wipes and frees; accepts NULL. */
void cert_key_free(struct cert_key *key);

/* Reads a PEM key file of mode 0600; the caller owns *ret_key. DENIED with the remedy, NOT_FOUND,
 * IO, INVALID when it is not an unencrypted P-256 key. */
err cert_key_read(const char *path, struct cert_key **ret_key, struct errtext *reterr) ERR_MUST_USE;

/* Writes PEM PKCS#8, mode 0600, never over an existing file. EXISTS, IO. */
err cert_key_write(const struct cert_key *key, const char *path,
                   struct errtext *reterr) ERR_MUST_USE;

/* The key as PEM PKCS#8 in memory, appended to ret, which the caller wipes (keyfile_wipe). */
void cert_key_pem(const struct cert_key *key, struct buf *ret);

/* DER SubjectPublicKeyInfo of the public half: what the node table names a node's key by. */
void cert_key_spki(const struct cert_key *key, uint8_t ret_spki[CERT_SPKI_SIZE]);

/* A self-signed CA certificate of an institution, path length 0. The caller owns *ret. INVALID
 * when the names are not valid or the times are not in order. */
err cert_make_ca(const char *institution, const struct cert_key *key, int64_t not_before_s,
                 int64_t not_after_s, struct cert **ret) ERR_MUST_USE;

/* Issues a certificate for the public key of `holder`, signed by the CA. The caller owns *ret.
 * Nodes may be servers and clients; clients and officers only clients. INVALID with a reason. */
struct cert_issuer {
    const struct cert *ca;
    const struct cert_key *key;
};
err cert_issue(const struct cert_spec *spec, struct cert_issuer issuer,
               const struct cert_key *holder, struct cert **ret,
               struct errtext *reterr) ERR_MUST_USE;

/* Accepts NULL. */
void cert_free(struct cert *cert);

/* One certificate from DER of at most CERT_BYTES_MAX, nothing after it. INVALID, LIMIT. */
err cert_from_der(struct bytes der, struct cert **ret, struct errtext *reterr) ERR_MUST_USE;

/* The first certificate of a PEM text. INVALID. */
err cert_from_pem(struct bytes pem, struct cert **ret, struct errtext *reterr) ERR_MUST_USE;

/* The first certificate of a PEM file. NOT_FOUND, IO, INVALID. */
err cert_read(const char *path, struct cert **ret, struct errtext *reterr) ERR_MUST_USE;

/* Writes or replaces a PEM file, mode 0644. IO. */
err cert_write(const struct cert *cert, const char *path, struct errtext *reterr) ERR_MUST_USE;

/* Appends DER, or PEM, to ret. */
void cert_der(const struct cert *cert, struct buf *ret);
void cert_pem(const struct cert *cert, struct buf *ret);

/* Appends the DER SubjectPublicKeyInfo of a certificate: how the node table names its key. */
void cert_spki(const struct cert *cert, struct buf *ret);

/* Reads the facts; a certificate without a readable identity has has_identity false and, if
 * reterr is not NULL, the reason there. */
void cert_read_facts(const struct cert *cert, struct cert_facts *ret, struct errtext *reterr);

/* The same of OpenSSL's own object, for net/; x509 is not owned. Any thread. */
void cert_facts_of_x509(const struct x509_st *x509, struct cert_facts *ret, struct errtext *reterr);

/* Whether `cert` carries a signature by the key of `ca`, which is a CA: DENIED otherwise. Times,
 * purposes and revocation are not looked at. */
err cert_signed_by(const struct cert *cert, const struct cert *ca,
                   struct errtext *reterr) ERR_MUST_USE;

#endif
