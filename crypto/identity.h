/* Who a certificate speaks for: exactly one SAN URI
 *
 *     concordat://<origin>/<institution>/<kind>/<name>      kind: node, client or officer
 *
 * read from the right, because an origin may hold slashes (concordat.example/roquefort). */
#ifndef CRYPTO_IDENTITY_H
#define CRYPTO_IDENTITY_H

#include "base/bytes.h"
#include "base/err.h"
#include "base/limits.h"

enum identity_kind { IDENTITY_NODE, IDENTITY_CLIENT, IDENTITY_OFFICER };

struct identity {
    enum identity_kind kind;
    char origin[ORIGIN_BYTES_MAX + 1];
    char institution[NAME_BYTES_MAX + 1];
    char name[NAME_BYTES_MAX + 1];
};

/* Room for the longest URI and its NUL: scheme, three slashes, kind. */
enum { IDENTITY_URI_SIZE = 12 + ORIGIN_BYTES_MAX + 2 * NAME_BYTES_MAX + 3 + 7 + 1 };

struct x509_st; /* OpenSSL's X509, not owned */

/* "node", "client" or "officer": static text. */
const char *identity_kind_name(enum identity_kind kind);

/* Reads a URI. INVALID with a reason. Any thread. */
err identity_parse(struct bytes uri, struct identity *ret, struct errtext *reterr) ERR_MUST_USE;

/* Writes the URI of a valid identity, with a NUL. */
void identity_print(const struct identity *id, char ret_uri[IDENTITY_URI_SIZE]);

/* Whether origin, institution, kind and name are the same. */
bool identity_equal(const struct identity *a, const struct identity *b);

/* The identity in a certificate: INVALID with a reason unless there is exactly one URI among its
 * subject alternative names and that one reads as above. Says nothing about trust. Any thread. */
err identity_of_x509(const struct x509_st *x509, struct identity *ret,
                     struct errtext *reterr) ERR_MUST_USE;

#endif
