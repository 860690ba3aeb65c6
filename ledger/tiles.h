/* The Merkle tree over the records (RFC 6962; crypto/merkle.h), kept in tiles of height 8 as
 * c2sp.org/tlog-tiles cuts them.
 *
 *   level   a tile of level l holds 256 hashes of the tree's height 8 l, beginning at number 256 n
 *   full    it has all of them: written once, in the batch of the block that completed it
 *   edge    the tile of each level that is not full yet: in memory, with all inner hashes, which
 *           a growing tree computes anyway
 *
 *      height 16   [ 0 .................... ]                  level 2: edge
 *      height  8   [ 0 ............... 255 ] [ 256 ... ]       level 1: tile 0 full, tile 1 edge
 *      height  0   [0...255] [256...511] ...  [ ... ]          level 0: leaves
 *
 * Every hash of a full subtree lies in one tile, so a root, an inclusion path or a consistency
 * proof of any size that the tree has had takes O(log n) tiles. A full tile that is read is checked
 * against the hash above it, up to the edge, and so against the root.
 *
 * Cost: an inner hash a record, and 32.3 bytes on disk; memory: TILES_CACHED_MAX tiles of 16 KiB
 * and the edge of 128 KiB, whatever the size. Loop only. */
#ifndef LEDGER_TILES_H
#define LEDGER_TILES_H

#include "ledger/ledger.h"
#include "ledger/tree.h"
#include "storage/kv.h"

enum {
    TILE_HEIGHT = 8,
    TILE_WIDTH = 1 << TILE_HEIGHT,
    TILE_LEVELS = 8, /* 2^63 leaves have no more */
};

struct tiles;

/* An empty tree. kv must outlive it. */
struct tiles *tiles_new(struct kv *kv);
void tiles_free(struct tiles *t); /* accepts NULL */

/* Sets the edge from the last records and tiles of a tree of head->position leaves, and compares
 * with head->root. CORRUPT: a tile or record is missing, or they give another root; reterr names
 * the tile. IO. At most 255 records and 255 tiles a level are read. */
err tiles_load(struct tiles *t, const struct ledger_head *head, struct errtext *reterr)
    ERR_MUST_USE;

/* A record of the block being applied: seen by nobody before tiles_grow. */
void tiles_add(struct tiles *t, struct bytes record);

/* The end of the block: the tree has its records, and the tiles that became full are in the batch,
 * which is to be committed before anything else is asked. */
void tiles_grow(struct tiles *t, struct kv_batch *batch);

/* Leaves, and the root over them. */
uint64_t tiles_size(const struct tiles *t);
void tiles_root(struct tiles *t, struct merkle_hash *ret);

/* The tree as a source of hashes up to its present size. CORRUPT names the tile, IO. */
struct merkle_source tiles_source(struct tiles *t);

/* The first `width` hashes of a tile, 32 bytes each. NOT_FOUND: the tree does not reach so far;
 * CORRUPT, IO. */
err tiles_read(struct tiles *t, const struct ledger_tile *which, struct buf *ret,
               struct errtext *reterr) ERR_MUST_USE;

#endif
