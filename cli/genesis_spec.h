/* The description of a genesis that people write: JSON, with paths of certificates, public keys and
 * contract texts relative to its folder.
 *
 *   { "origin": "concordat.example/roquefort", "zone": "Europe/Paris", "public_reading": false,
 *     "measures": ["measure EUR to 0.01"],
 *     "institutions": [{"name": "ville", "ca": ["ville/ca.crt"],
 *                       "governance": ["ville/governance.key.pub"],
 *                       "officers": {"anna": "ville/officer-anna.key.pub"}}],
 *     "nodes": [{"id": 1, "institution": "ville", "name": "ville", "peer": "10.0.0.1:7102",
 *                "client": "10.0.0.1:7101", "certificate": "ville/node/node.crt",
 *                "head_key": "ville/node/head.key.pub"}],
 *     "parties": [{"name": "enedis", "institution": "energie", "keys": ["enedis.key.pub"]}],
 *     "contracts": ["solar.rules"] }
 *
 * measures, officers, parties, contracts and public_reading may be left out. */
#ifndef CLI_GENESIS_SPEC_H
#define CLI_GENESIS_SPEC_H

#include "proto/genesis.h"

/* Reads the description and all files it names into *ret (whose created_ns the caller has set), in
 * the arena. INVALID with the path of the bad member; IO, NOT_FOUND of a file. */
err genesis_spec_read(const char *path, struct arena *a, struct genesis *ret,
                      struct errtext *reterr) ERR_MUST_USE;

#endif
