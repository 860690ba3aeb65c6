/* The keys that nodes sign tree heads with, and when each counted: made from the node table, kept
 * for ever, so that the policy of any tree size can be written. A key is never given twice.
 *
 *   from    height of the block that brought the key, as a node's current or next one; genesis: 0
 *   until   height of the block that took it away: rotated, or the node removed; 0: it counts
 *
 * A change holds from the tree's size after that block on. Loop only. */
#ifndef LEDGER_HEADKEYS_H
#define LEDGER_HEADKEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "storage/kv.h"

struct head_key {
    uint64_t node; /* Raft id */
    uint8_t key[32];
    uint64_t from, until;           /* heights */
    uint64_t from_size, until_size; /* sizes of the tree there; HEAD_KEY_UNKNOWN until asked for */
};
#define HEAD_KEY_UNKNOWN UINT64_MAX

struct head_keys {
    struct kv *kv; /* not owned */
    struct head_key *list; /* ascending by node, then from, then key */
    size_t count;
};

/* Frees; accepts an all-zero struct. */
void headkeys_done(struct head_keys *k);

/* Reads the stored keys. CORRUPT, IO. */
err headkeys_load(struct head_keys *k, struct errtext *reterr) ERR_MUST_USE;

/* Whether the key is or was any node's, the block so far included. */
bool headkeys_taken(const struct head_keys *k, const uint8_t key[32]);

/* What a node's row says after a block: the keys that count from now on, those that are zeros left
 * out; all others of the node end here. Changes go into the batch, too. */
struct head_keys_now {
    uint64_t node, height;
    const uint8_t *keys[2]; /* 32 bytes each; NULL: none */
};
void headkeys_set(struct head_keys *k, const struct head_keys_now *now, struct kv_batch *batch);

#endif
