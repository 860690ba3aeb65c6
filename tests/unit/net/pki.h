/* Certificates for the tests of net/: made at run time by crypto/cert. */
#ifndef TESTS_UNIT_NET_PKI_H
#define TESTS_UNIT_NET_PKI_H

#include "base/buf.h"
#include "crypto/cert.h"
#include "net/tls.h"

struct pki_ca {
    char institution[32];
    struct cert *cert;
    struct cert_key *key;
    struct buf pem; /* of the certificate */
};

struct pki_holder {
    struct buf chain, key; /* PEM */
};

void pki_ca_make(struct pki_ca *ca, const char *institution);
void pki_ca_done(struct pki_ca *ca);

/* A certificate for concordat://concordat.example/test/<institution>/<kind>/<name>, valid from
 * now + from_s to now + until_s; localhost, 127.0.0.1 and ::1. */
struct pki_want {
    enum identity_kind kind;
    const char *institution, *name;
    int64_t from_s, until_s;
};
void pki_issue(const struct pki_ca *ca, const struct pki_want *want, struct pki_holder *ret);
void pki_holder_done(struct pki_holder *holder);

/* A usual pair: valid for a day. */
void pki_issue_plain(const struct pki_ca *ca, enum identity_kind kind, const char *name,
                     struct pki_holder *ret);

/* A context trusting the CA for its institution; holder NULL: no certificate. Dies on error. */
struct tls_ctx *pki_ctx(bool server, const struct pki_ca *ca, const struct pki_holder *holder);

#endif
