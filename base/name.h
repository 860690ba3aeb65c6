/* The rules for names that enter the ledger, certificates and file names, in one place. All are
 * lower-case ASCII, so that two names that look the same are the same. */
#ifndef BASE_NAME_H
#define BASE_NAME_H

#include <stdbool.h>

#include "base/bytes.h"

/* An institution: [a-z0-9-], 1 to NAME_BYTES_MAX, not beginning with '-'. It has no dot and no
 * slash, so it is one segment of a URI and one label of a key name. Any thread. */
bool name_institution_valid(struct bytes name);

/* A party, node, client or officer: [a-z0-9._:-], 1 to NAME_BYTES_MAX, not beginning with '-' or
 * '.', so that it is never an option or a hidden file. Any thread. */
bool name_party_valid(struct bytes name);

/* Whether a valid party name is kept for the platform itself: "clock", "ledger", "ledger.*". */
bool name_party_reserved(struct bytes name);

/* The origin of a ledger, such as "concordat.example/roquefort": segments of [a-z0-9._-] between
 * single slashes, 1 to ORIGIN_BYTES_MAX bytes in all; no segment begins with '.' or '-' and none
 * is "node", "client" or "officer", so that a certificate's URI reads in one way only. */
bool name_origin_valid(struct bytes origin);

/* host:port, the host being a DNS name, an IPv4 address or an IPv6 address in brackets: only its
 * characters are checked, the resolver does the rest. At most ADDRESS_BYTES_MAX. Any thread. */
bool name_address_valid(struct bytes address);

#endif
