/* The genesis: what the founding institutions agree on and sign. ledger_id is the SHA-256 of its
 * bytes. Canonical big-endian; every list is strictly ascending; docs/formats/records.md shows it.
 */
#ifndef PROTO_GENESIS_H
#define PROTO_GENESIS_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/limits.h"

#define GENESIS_TAG "concordat/genesis/v1\n"

enum {
    GENESIS_VERSION = 1,
    GENESIS_SIG_VERSION = 1,
    GENESIS_SIGNING_INPUT_SIZE = sizeof(GENESIS_TAG) - 1 + 32,
};

struct officer {
    struct bytes name;
    uint8_t key[32]; /* Ed25519 public key */
};

struct institution {
    struct bytes name;      /* ascending */
    struct bytes *ca_certs; /* DER, ascending by octets, at least one */
    uint32_t ca_cert_count;
    uint8_t (*governance_keys)[32]; /* Ed25519 public keys, ascending, at least one */
    uint32_t governance_key_count;
    struct officer *officers; /* ascending by name */
    uint32_t officer_count;
};

struct node_entry {
    uint64_t id; /* ascending, from 1 */
    struct bytes institution, name;
    struct bytes peer_address, client_address; /* host:port */
    struct bytes transport_key,
        next_transport_key;                  /* SubjectPublicKeyInfo, DER; next may be empty */
    uint8_t head_key[32], next_head_key[32]; /* Ed25519; next may be zeros */
};

struct party_entry {
    struct bytes name; /* ascending */
    struct bytes institution;
    uint8_t (*keys)[32]; /* Ed25519 public keys, ascending, 1 to PARTY_KEYS_MAX */
    uint32_t key_count;
};

/* Limits that governance may change later; never above those of base/limits.h. */
struct genesis_limits {
    uint32_t body_bytes_max, events_max;
    uint64_t request_steps_max, request_effects_max, request_bytes_max;
};

/* What the institutions decide, and by how many of them. Numbers are never reused. */
enum proposal_kind {
    PROPOSAL_CONTRACT_DEPLOY = 1,
    PROPOSAL_INSTITUTION_ADD = 2,
    PROPOSAL_INSTITUTION_REMOVE = 3,
    PROPOSAL_NODE_ADD = 4,
    PROPOSAL_NODE_REPLACE = 5,
    PROPOSAL_NODE_REMOVE = 6,
    PROPOSAL_KEY_ROTATE = 7,
    PROPOSAL_REGISTRY_EXTEND = 8,
    PROPOSAL_LIMITS_CHANGE = 9,
    PROPOSAL_FORK_SETTLE = 10,
    PROPOSAL_ERASE = 11,
};
enum threshold_rule {
    THRESHOLD_MAJORITY = 1,
    THRESHOLD_TWO_THIRDS = 2,
    THRESHOLD_ALL_BUT_CONCERNED = 3,
};
struct threshold {
    enum proposal_kind kind; /* ascending */
    enum threshold_rule rule;
};

struct genesis {
    struct bytes origin;
    uint64_t created_ns;
    struct bytes *measures; /* registry lines "measure Wh to 1", ascending by octets */
    uint32_t measure_count;
    struct bytes zone; /* of the civil day: "Europe/Paris" */
    struct genesis_limits limits;
    uint32_t head_interval_ms;
    bool public_reading;
    struct threshold *thresholds; /* ascending by kind; a kind that is not listed: majority */
    uint32_t threshold_count;
    struct institution *institutions; /* INSTITUTIONS_MIN to INSTITUTIONS_MAX */
    uint32_t institution_count;
    struct node_entry *nodes; /* at most NODES_MAX */
    uint32_t node_count;
    struct party_entry *parties;
    uint32_t party_count;
    struct bytes *contracts; /* initial texts, ascending by octets */
    uint32_t contract_count;
};

/* Decodes and checks a genesis: every list ascending, names and addresses well formed, every
 * institution named exists, every institution has a node, no key used twice, limits within those of
 * base/limits.h. Certificates and contracts are not looked into. *ret is in the arena; views point
 * into wire. INVALID with the path, LIMIT, UNSUPPORTED (version). The arena needs GENESIS_ARENA_MAX
 * bytes at most. */
err genesis_decode(struct bytes wire, struct arena *a, struct genesis **ret,
                   struct errtext *reterr) ERR_MUST_USE;

/* Appends the bytes. Lists must be ascending: genesis_sort does that. What is written is worth a
 * genesis_decode before it is signed, which makes all the checks. */
void genesis_encode(const struct genesis *genesis, struct buf *buf);

/* Puts every list into order, in place. */
void genesis_sort(struct genesis *genesis);

/* The default limits: those of base/limits.h. */
struct genesis_limits genesis_limits_default(void);

/* The rule for a kind. */
enum threshold_rule genesis_threshold(const struct genesis *genesis, enum proposal_kind kind);

/* How many of `institutions` must agree under a rule; for THRESHOLD_ALL_BUT_CONCERNED one is the
 * one concerned, who has no vote. */
uint32_t threshold_count(enum threshold_rule rule, uint32_t institutions);

/* ledger_id = SHA-256(genesis bytes). */
void genesis_ledger_id(struct bytes wire, uint8_t ret[32]);

/* What an institution signs: GENESIS_TAG || ledger_id. */
void genesis_signing_input(const uint8_t ledger_id[32], uint8_t ret[GENESIS_SIGNING_INPUT_SIZE]);

/* genesis.sig: one signature of each founding institution, made with one of its governance keys. */
struct genesis_signature {
    struct bytes institution; /* ascending */
    uint8_t key[32];          /* the governance public key */
    uint8_t value[64];
};

struct genesis_sig {
    uint8_t ledger_id[32];
    struct genesis_signature signatures[INSTITUTIONS_MAX];
    uint32_t count; /* may be incomplete while institutions are still signing */
};

/* Decodes a genesis.sig; ret is written only on success; views point into wire. Signatures are not
 * verified here. INVALID, UNSUPPORTED (version). */
err genesis_sig_decode(struct bytes wire, struct genesis_sig *ret,
                       struct errtext *reterr) ERR_MUST_USE;

/* Appends the bytes; institutions must ascend. */
void genesis_sig_encode(const struct genesis_sig *sig, struct buf *buf);

/* Puts a signature in its place, instead of an earlier one of the same institution. FULL beyond
 * INSTITUTIONS_MAX. */
err genesis_sig_put(struct genesis_sig *sig, struct genesis_signature signature) ERR_MUST_USE;

/* Checks a complete genesis.sig against the genesis in everything but the mathematics: ledger id,
 * every institution is there, each key is one of its governance keys. DENIED with who is missing.
 */
err genesis_sig_check(const struct genesis_sig *sig, const struct genesis *genesis,
                      const uint8_t ledger_id[32], struct errtext *reterr) ERR_MUST_USE;

/* A whole genesis.sig, mathematics included: every institution of the genesis (decoded from wire)
 * has signed. INVALID, UNSUPPORTED, DENIED with who is missing or whose signature is false. */
err genesis_sig_verify(struct bytes wire, struct bytes sig_wire, const struct genesis *genesis,
                       struct errtext *reterr) ERR_MUST_USE;

#endif
