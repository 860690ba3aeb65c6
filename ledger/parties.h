/* Who may sign: parties and their keys, all in memory. A governance key of institution X signs as
 * party `ledger.X`, its officer NAME as `ledger.X.NAME`; other names belong for ever to the
 * institution that registered them first. A key belongs to one party for ever.
 *
 * Changes made by a block carry its height and count from the next one on, so the block being
 * applied and every reader of the last finished block see the tables as they were before it. */
#ifndef LEDGER_PARTIES_H
#define LEDGER_PARTIES_H

#include "base/map.h"
#include "ledger/ledger.h"
#include "storage/kv.h"

enum party_kind { PARTY_PLAIN = 1, PARTY_GOVERNANCE = 2, PARTY_OFFICER = 3 }; /* stored */

struct party_key {
    struct party *party;
    size_t index; /* in party->keys */
};

struct party {
    enum party_kind kind;
    uint64_t added_height;
    char *name, *institution; /* owned */
    struct ledger_key *keys;  /* owned */
    size_t key_count;
};

struct parties {
    struct kv *kv;      /* not owned */
    struct map by_name; /* to struct party, owned */
    struct map by_key;  /* key id to struct party_key, owned */
};

void parties_init(struct parties *p, struct kv *kv, const uint64_t map_seed[2]);

/* Frees; accepts an all-zero struct. */
void parties_done(struct parties *p);

/* Reads the stored tables. CORRUPT, IO. */
err parties_load(struct parties *p, struct errtext *reterr) ERR_MUST_USE;

/* The party of that name, whenever it was added, or NULL. */
struct party *parties_find(const struct parties *p, struct bytes name);

/* The party whose key has this id (SHA-256 of the public key), or NULL. */
struct party *parties_find_key(const struct parties *p, const uint8_t key_id[32],
                               const struct ledger_key **ret_key);

/* Adds a party without keys; the name is new. */
struct party *parties_add(struct parties *p, const struct party *party);

/* Adds a key, which no party has yet, to a party with fewer than PARTY_KEYS_MAX. */
void parties_add_key(struct parties *p, struct party *party, const uint8_t public_key[32],
                     uint64_t height);

/* Revokes key `index` from the next block on. */
void parties_revoke_key(struct party *party, size_t index, uint64_t height);

/* Adds the party's stored form to the batch. */
void parties_put(const struct parties *p, struct kv_batch *batch, const struct party *party);

/* Whether the key counts in the block of that height. */
static inline bool party_key_known(const struct ledger_key *key, uint64_t height)
{
    return key->added_height < height;
}
static inline bool party_key_revoked(const struct ledger_key *key, uint64_t height)
{
    return key->revoked_height != 0 && key->revoked_height < height;
}

#endif
