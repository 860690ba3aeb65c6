/* What is asked of the tree over the records (RFC 6962). Leaf i is the record of position i
 * (ledger_record.bytes in ledger/ledger.h); ledger_head.root is the root after the last block.
 * Every size up to the present number of records can be asked, also one within a block. Each
 * function can fail with IO, or CORRUPT that names the tile, besides what it says.
 *
 * Cost: under a millisecond; a few tiles of 8 KiB are read. Loop only, as all of the ledger. */
#ifndef LEDGER_TREE_H
#define LEDGER_TREE_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "crypto/merkle.h"

struct ledger;

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

#endif
