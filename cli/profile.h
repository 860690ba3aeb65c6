/* A profile: whom to ask and who one is, so that commands are short. JSON:
 *
 *   { "origin": "concordat.example/roquefort", "ledger_id": "64 hex digits",
 *     "nodes": [ {"name": "ville", "address": "127.0.0.1:7101"} ],
 *     "ca": ["ville/ca.crt"], "cert": "client.crt", "key": "client.key",
 *     "parties": {"enedis": "enedis.key"}, "governance": {"ville": "governance.key"},
 *     "officers": {"ville.anna": "officer.key"} }
 *
 * Paths are relative to the profile's folder. Only origin, ledger_id, nodes, ca, cert and key must
 * be there. */
#ifndef CLI_PROFILE_H
#define CLI_PROFILE_H

#include "base/arena.h"
#include "cli/command.h"

enum { PROFILE_NODES_MAX = 16, PROFILE_CAS_MAX = 32, PROFILE_KEYS_MAX = 256 };

struct profile_node {
    const char *name, *address;
};

struct profile_key {
    const char *name, *path;
};

struct profile {
    struct arena arena; /* holds all texts */
    const char *path;
    const char *origin;
    uint8_t ledger_id[32];
    struct profile_node nodes[PROFILE_NODES_MAX];
    size_t node_count;
    const char *cas[PROFILE_CAS_MAX];
    size_t ca_count;
    const char *cert, *key;
    /* Names as signing parties: "enedis", "ledger.ville", "ledger.ville.anna". */
    struct profile_key keys[PROFILE_KEYS_MAX];
    size_t key_count;
};

/* Reads the profile that the command line, the environment or the home folder names. On failure
 * *ret is empty; reterr says file, line and remedy. IO, NOT_FOUND, INVALID, LIMIT. */
err profile_load(const struct given *g, struct profile *ret, struct errtext *reterr) ERR_MUST_USE;

/* Frees the texts; accepts an all-zero struct. */
void profile_done(struct profile *p);

/* The key file of a signing party, or NULL. */
const char *profile_key_path(const struct profile *p, const char *party);

#endif
