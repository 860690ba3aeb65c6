/* What is asked of the tree over the records (RFC 6962). Leaf i is the record of position i
 * (ledger_record.bytes in ledger/ledger.h); ledger_head.root is the root after the last block.
 * Every size up to the present number of records can be asked, also one within a block. Each
 * function can fail with IO, or CORRUPT that names the tile, besides what it says.
 *
 * Cost: under a millisecond; a few tiles of 8 KiB are read. Loop only, as all of the ledger. */
#ifndef LEDGER_TREE_H
#define LEDGER_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "crypto/account.h"
#include "crypto/merkle.h"
#include "crypto/statement.h"
#include "ledger/ledger.h"

/* LIMIT: the tree is not that large yet; so for all. */
err ledger_tree_root(const struct ledger *l, uint64_t size, struct merkle_hash *ret,
                     struct errtext *reterr) ERR_MUST_USE;

/* The inclusion path of a record in the tree of that size. INVALID: index is not below it. */
err ledger_tree_inclusion(const struct ledger *l, uint64_t index, uint64_t size,
                          struct merkle_proof *ret, struct errtext *reterr) ERR_MUST_USE;

/* The proof that the tree of `size` begins with that of `old`. INVALID: old is above size. */
err ledger_tree_consistency(const struct ledger *l, uint64_t old, uint64_t size,
                            struct merkle_proof *ret, struct errtext *reterr) ERR_MUST_USE;

/* A tile of c2sp.org/tlog-tiles, or its first `width` hashes. */
struct ledger_tile {
    uint32_t level, width; /* width 1 to 256 */
    uint64_t index;
};

/* Appends the hashes to ret, 32 bytes each. INVALID: width. NOT_FOUND: the tree does not reach so
 * far yet. LIMIT: ret. */
err ledger_tree_tile(const struct ledger *l, const struct ledger_tile *which, struct buf *ret,
                     struct errtext *reterr) ERR_MUST_USE;

/* Appends the records below a tile of level 0, or the first `width` of them, each after its u16
 * length (an entry bundle of c2sp.org/tlog-tiles). As above; level is 0. */
err ledger_tree_entries(const struct ledger *l, const struct ledger_tile *which, struct buf *ret,
                        struct errtext *reterr) ERR_MUST_USE;

/* Records of the blocks up to a height, so the tree's size after it. NOT_FOUND: no such block yet.
 * Cost: a binary search, some 25 reads. */
err ledger_size_at(const struct ledger *l, uint64_t height, uint64_t *ret_size,
                   struct errtext *reterr) ERR_MUST_USE;

/* Appends the policy in force at that size (crypto/policy.h): the keys of all nodes that counted
 * then or before, with `# valid` lines in tree sizes, a group for each institution and a majority
 * of institutions as quorum, sealed. A function of the records below that size alone. Of more than
 * POLICY_LOGS_MAX keys those that ended first are left out. UNSUPPORTED: fewer than a majority of
 * institutions ever had a node. LIMIT: size; ret. */
err ledger_policy(const struct ledger *l, uint64_t size, struct buf *ret,
                  struct errtext *reterr) ERR_MUST_USE;

/* Whether the genesis lets anybody read the tree, without a certificate. */
bool ledger_public_reading(const struct ledger *l);

/* ---- statements that prove themselves (crypto/statement.h) ---- */

/* The account after the records below a size: what an end mark says. An account that was never
 * posted to has count 0. LIMIT: size. Cost: some 30 reads. */
err ledger_account_at(const struct ledger *l, struct bytes account, uint64_t size,
                      struct account_head *ret, struct errtext *reterr) ERR_MUST_USE;

struct ledger_prove_query {
    struct ledger_place place;
    uint64_t from, to; /* positions: from <= p < to; to 0: to the end */
    uint64_t size;     /* of the checkpoint; records at and above it do not exist */
    uint64_t number;   /* of the posting to go on from (next below); 0: from the start */
    uint32_t limit;    /* records; 0: as many as a page holds */
};

struct ledger_account_proof {
    struct bytes account;            /* stored form */
    struct account_head before;      /* before the first entry */
    struct statement_entry *entries; /* the last record below the range that touched the account,
                                        those in it, and the first one behind it */
    size_t count;
    uint64_t next;             /* go on from this posting; 0: these are the last entries */
    bool closed;               /* the last entry lies behind the range: no end marks are needed */
    struct account_head after; /* below size: what end marks are to say */
};

/* Everything that shows which postings an account has in a range, and that there are no others. In
 * the arena; one of LEDGER_QUERY_ARENA_MAX bytes does. NOT_FOUND, INVALID as ledger_query_balance;
 * INVALID also: range or number. LIMIT: size. Cost: 1 ms a record, at most. */
err ledger_prove_account(const struct ledger *l, const struct ledger_prove_query *query,
                         struct arena *a, struct ledger_account_proof *ret,
                         struct errtext *reterr) ERR_MUST_USE;

#endif
