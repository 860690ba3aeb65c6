/* A small ledger for tests: three institutions, deterministic keys, a real RocksDB in a temporary
 * directory, real contracts, signed requests. Everything dies on surprise. */
#ifndef TESTS_UNIT_LEDGER_WORLD_H
#define TESTS_UNIT_LEDGER_WORLD_H

#include "base/buf.h"
#include "crypto/sign.h"
#include "ledger/ledger.h"
#include "proto/envelope.h"
#include "storage/kv.h"

/* Keys by number. The spare ones belong to nobody at genesis. */
enum world_key {
    KEY_GOVERN_ENERGIE, /* party ledger.energie */
    KEY_GOVERN_SOCIAL,
    KEY_GOVERN_VILLE,
    KEY_OFFICER_ENERGIE, /* party ledger.energie.anne */
    KEY_OFFICER_SOCIAL,
    KEY_OFFICER_VILLE,
    KEY_ENEDIS, /* party enedis, of energie */
    KEY_PMO,    /* party pmo.roquefort, of ville */
    KEY_TELLER, /* party teller, of social */
    KEY_SPARE,  /* and the following */
    WORLD_KEYS = 16,
};

enum { WORLD_CONTRACTS_MAX = 8, WORLD_ACTIONS_MAX = 16, WORLD_NODES = 3 };

#define WORLD_ORIGIN "concordat.example/test"

/* 2026-07-15T10:00:00Z, before the first block. */
#define WORLD_START_NS UINT64_C(1784109600000000000)

struct world {
    char dir[64];
    struct kv *kv;
    struct ledger *ledger;
    struct buf genesis;
    struct sign_key *keys[WORLD_KEYS];
    struct sign_key *heads[WORLD_NODES]; /* tree-head keys of the nodes 1, 2, 3 */
    struct arena arena; /* of everything a test builds and asks */
    uint64_t raft_index, time_ns;
    struct ledger_head head; /* after the last block that was made */
};

/* Makes the genesis with those contract texts (names of files below tests/unit/ledger or the
 * project's root) and opens a ledger in a new directory. */
void world_open(struct world *w, const char *const *contracts, size_t count);

/* The same with the texts themselves, which must live until it returns. */
void world_open_texts(struct world *w, const struct bytes *texts, size_t count);

/* Closes and removes everything. */
void world_close(struct world *w);

/* Opens a ledger of the same genesis in a new empty directory. */
void world_twin(struct world *w, const struct world *of);

/* Closes the ledger and the database and opens them again. */
void world_restart(struct world *w);

/* Goes on with a copy of the directory as it is on disk now, as after kill -9. */
void world_crash(struct world *w);

/* The text of a file of the project, NUL-terminated, in the arena. */
struct bytes world_file(struct world *w, const char *path);

struct action {
    const char *contract, *name;
    const char *json;  /* arguments, by the contract's newest version */
    struct bytes args; /* or encoded, if json is NULL */
    bool has_legal;
    int32_t legal;
};

struct plan {
    struct action actions[WORLD_ACTIONS_MAX]; /* ended by one without contract */
    enum world_key signers[SIGNATURES_MAX];
    size_t signer_count; /* 0: signers[0] alone */
    const char *on_behalf;
    uint8_t id;      /* all 16 octets of the request id, */
    uint32_t serial; /* and unless 0 the first four, big-endian */
    bool atomic;
    uint64_t not_after_ns;
};

/* The signed envelope of a plan, in the arena. */
struct bytes world_envelope(struct world *w, const struct plan *plan);

/* A block after the last one, one second later, in the arena. Does not apply it. */
struct bytes world_block(struct world *w, const struct bytes *envelopes, size_t count);

/* Makes and applies a block; nothing verified beforehand. */
const struct ledger_result *world_apply(struct world *w, const struct bytes *envelopes,
                                        size_t count);

/* Applies a block that exists. */
const struct ledger_result *world_apply_block(struct world *w, struct bytes block);

/* One plan, one block, and the outcome of its event number 0. */
struct ledger_outcome world_do(struct world *w, const struct plan *plan);

/* Admission at the time of the next block. */
struct ledger_admission world_admit(struct world *w, struct bytes envelope);

/* Printed balance, in the arena. */
const char *world_balance(struct world *w, const char *contract, const char *place);

/* Args of a governance action. */
struct bytes world_args_text(struct world *w, struct bytes text);
struct bytes world_args_key(struct world *w, const char *party, enum world_key key);

/* NUL-terminated copy in the arena. */
const char *world_text(struct world *w, struct bytes b);

/* Appends both signature lines of a node (1, 2, 3) over the text of a head. */
void world_cosign(struct world *w, unsigned node, struct bytes text, uint64_t time_s,
                  struct buf *note);

#endif
