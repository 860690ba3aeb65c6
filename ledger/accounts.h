/* Accounts: balance, number of postings and chain of each, in memory with write-through.
 *
 *   key      contract 00 family 00 components, or contract 01 family 00: the issuance account
 *   balance  as evaluation sees it; can be rolled back
 *   posted   as records have posted it; at the end of a block both must be the same
 *   chain    of the postings (crypto/account.h)
 *
 * Invariant: all accounts of one contract and measure sum to zero, issuance accounts included (a
 * transfer may go from one family of a contract to another of the same measure). It is summed over
 * all stored accounts at opening, and at every block over what the block changed. Memory: about 300
 * bytes an account, and at most ACCOUNTS_CACHED_MAX of them; the rest is read from the database
 * when touched. Loop only. */
#ifndef LEDGER_ACCOUNTS_H
#define LEDGER_ACCOUNTS_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/map.h"
#include "rules/rules.h"
#include "storage/kv.h"

__extension__ typedef __int128 wide_sum; /* sums of int64 that cannot overflow */

/* The accounts of one contract and measure. */
struct account_group {
    wide_sum sum; /* of all balances: zero between blocks */
    char *unit;   /* owned */
};

struct ledger_account {
    int64_t balance, posted, committed;
    uint64_t count;              /* postings */
    uint8_t chain[32];           /* zero while count is 0 */
    struct account_group *group; /* NULL: never posted to */
    uint64_t record;             /* 1 + position of the record that touched it last */
    bool dirty;
    struct posting_node *first, *last; /* its postings of this block, by number */
    uint32_t key_size;
    uint8_t key[];
};

static inline struct bytes account_key(const struct ledger_account *account)
{
    return bytes_of(account->key, account->key_size);
}

struct posting_node;
struct accounts_undo;
struct accounts {
    struct kv *kv;     /* not owned */
    struct map cache;  /* key to struct ledger_account, owned */
    struct map groups; /* contract 00 unit to struct account_group, owned */
    struct ledger_account **dirty;
    size_t dirty_count, dirty_capacity;
    struct accounts_undo *undo;
    size_t undo_count, undo_capacity;
    bool undo_on;
    struct ledger_account **touched; /* by the record being written */
    size_t touched_count, touched_capacity;
    struct arena postings; /* of this block */
    struct buf value, posting_key;
    struct buf leaves; /* of the accounts that the last record touched, in key order */
};

/* Reads nothing yet. kv must outlive it. */
void accounts_init(struct accounts *a, struct kv *kv, const uint64_t map_seed[2]);

/* Frees; accepts an all-zero struct. */
void accounts_done(struct accounts *a);

/* Sums every contract's measures over all stored accounts. CORRUPT: one does not sum to zero, or an
 * account does not decode; IO. */
err accounts_check(struct accounts *a, struct errtext *reterr) ERR_MUST_USE;

/* The balance that evaluation sees; 0 for an account never touched. */
int64_t accounts_balance(struct accounts *a, struct bytes key);

/* Evaluation: moves quanta. The language has checked the ranges. */
void accounts_move(struct accounts *a, const struct rules_posting *posting);

/* Moves after the mark can be taken back. */
void accounts_mark(struct accounts *a);
void accounts_rollback(struct accounts *a);
void accounts_keep(struct accounts *a);

/* Where a record's postings stand. */
struct posting_place {
    uint64_t position, time_ns;
};

/* Recording: posts in order, and gives the RFC 6962 root over (u32 key size || key || u64 count ||
 * chain) of the accounts touched, in key order; zeros if there are none. */
void accounts_record(struct accounts *a, const struct posting_place *place,
                     const struct rules_out *out, uint8_t ret_root[32]);

/* End of a block: checks that evaluation and records agree and that every measure of every contract
 * sums to zero (dies otherwise), adds the changed accounts and their postings to the batch,
 * account by account: neighbours in the database cost a third of what scattered keys do. */
void accounts_write(struct accounts *a, struct kv_batch *batch);

/* A stored account. */
struct account_value {
    int64_t balance;
    uint64_t count;
    uint8_t chain[32];
    struct bytes unit; /* "EUR"; view */
};

/* Stored forms; decoding: CORRUPT. */
err account_value_decode(struct bytes value, struct account_value *ret) ERR_MUST_USE;

struct posting_value {
    uint64_t position, time_ns;
    uint32_t ordinal;
    int64_t quanta, balance;
    struct bytes clause, counter; /* views */
    uint8_t chain[32];            /* of the account, with this posting */
};
err posting_value_decode(struct bytes value, struct posting_value *ret) ERR_MUST_USE;

/* Sets key (initialised) to u32 size || account || u64 number: the postings of one account are a
 * range, whatever its key is a prefix of. */
void posting_key_of(struct bytes account, uint64_t number, struct buf *key);

/* Posting `number` of a stored account; views into value (initialised, the caller's). CORRUPT: it
 * is not there or does not decode; IO. */
err posting_load(struct kv *kv, struct bytes account, uint64_t number, struct buf *value,
                 struct posting_value *ret, struct errtext *reterr) ERR_MUST_USE;

/* The number of the first of an account's `count` postings at or after a position; count + 1 if
 * there is none. Positions rise with numbers: some log2(count) reads. CORRUPT, IO. */
err posting_find(struct kv *kv, struct bytes account, uint64_t count, uint64_t position,
                 uint64_t *ret, struct errtext *reterr) ERR_MUST_USE;

/* Splits an account key; false if it is none. issuance may be NULL. */
bool account_key_split(struct bytes key, struct bytes *ret_contract, struct bytes *ret_family,
                       bool *ret_issuance);

#endif
