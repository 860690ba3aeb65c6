/* Merkle trees of RFC 6962 section 2.1 over SHA-256.
 *
 *   leaf hash  = SHA-256(0x00 || record)
 *   inner hash = SHA-256(0x01 || left || right), left being the largest full power of two
 *   the root of no leaves is SHA-256 of nothing
 *
 * A tree that only grows needs its *peaks*: the roots of the full subtrees whose sizes are the
 * binary digits of its size, largest first. For 5 = 4 + 1 leaves:
 *
 *        peak 0
 *       /      \
 *      .        .
 *     / \      / \
 *    0   1    2   3    4 = peak 1
 */
#ifndef CRYPTO_MERKLE_H
#define CRYPTO_MERKLE_H

#include "base/buf.h"
#include "base/cursor.h"
#include "base/err.h"
#include "crypto/sha256.h"

enum {
    MERKLE_DEPTH_MAX = 64, /* a position is 64 bits wide */
    MERKLE_HASH_SIZE = SHA256_SIZE,
};

struct merkle_hash {
    uint8_t bytes[MERKLE_HASH_SIZE];
};

/* The peaks of a growing tree. A plain value: copy it to try something, keep it in a batch. */
struct merkle {
    uint64_t size; /* leaves; popcount(size) peaks are in use */
    struct merkle_hash peaks[MERKLE_DEPTH_MAX];
};

/* The hash of a record as a leaf. Any thread. */
void merkle_leaf(struct bytes record, struct merkle_hash *ret);

/* The hash of two subtrees; ret may be one of them. Any thread. */
void merkle_node(const struct merkle_hash *left, const struct merkle_hash *right,
                 struct merkle_hash *ret);

/* An empty tree. */
void merkle_init(struct merkle *m);

/* Adds one leaf hash. Size stays below 2^63. */
void merkle_add(struct merkle *m, const struct merkle_hash *leaf);

/* The root at the present size. */
void merkle_root(const struct merkle *m, struct merkle_hash *ret);

/* u64 size, then the peaks: for storing beside the state they belong to. */
void merkle_encode(const struct merkle *m, struct buf *ret);

/* Reads what merkle_encode wrote; on bad input the cursor is bad and ret is an empty tree. */
void merkle_decode(struct cursor *c, struct merkle *ret);

/* The root over count leaf hashes in memory. */
void merkle_root_of(const struct merkle_hash leaves[], size_t count, struct merkle_hash *ret);

/* The inclusion path (RFC 6962 section 2.1.1) of leaf index among count leaves, index < count,
 * nearest sibling first. ret has room for MERKLE_DEPTH_MAX hashes; returns how many it wrote.
 * Cost: count hashes. */
size_t merkle_path(const struct merkle_hash leaves[], size_t count, size_t index,
                   struct merkle_hash ret[]);

/* Whether path proves that leaf stands at index of the tree of that size and root (RFC 9162
 * section 2.1.3.2). All arguments may come from outside. */
bool merkle_path_proves(const struct merkle_hash *leaf, uint64_t index, uint64_t size,
                        const struct merkle_hash path[], size_t count,
                        const struct merkle_hash *root);

/* ---- a tree whose hashes are kept somewhere ---- */

/* Where the hashes of full subtrees come from. `hash` tells that of the subtree of 2^level leaves
 * which begins at leaf index * 2^level, and is asked only for what lies within the size that the
 * caller named; what it fails with is what the caller gets. */
struct merkle_source {
    void *ctx;
    err (*hash)(void *ctx, unsigned level, uint64_t index, struct merkle_hash *ret,
                struct errtext *reterr);
};

/* An inclusion path or a consistency proof, in the order of RFC 6962. */
struct merkle_proof {
    size_t count;
    struct merkle_hash hashes[MERKLE_DEPTH_MAX];
};

/* A tree of some size, as someone says it is. */
struct merkle_head {
    uint64_t size;
    struct merkle_hash root;
};

/* The root at a size below 2^63: one hash asked for a binary digit of it. Errors: the source's. */
err merkle_root_from(const struct merkle_source *source, uint64_t size, struct merkle_hash *ret,
                     struct errtext *reterr) ERR_MUST_USE;

/* The inclusion path (RFC 6962 section 2.1.1) of leaf index < size < 2^63: at most two hashes asked
 * for a level. Errors: the source's. */
err merkle_inclusion_from(const struct merkle_source *source, uint64_t index, uint64_t size,
                          struct merkle_proof *ret, struct errtext *reterr) ERR_MUST_USE;

/* The proof (RFC 6962 section 2.1.2) that the tree of `size` < 2^63 begins with the one of `old` <=
 * size: empty for old 0 and for old = size. As many hashes asked. Errors: the source's. */
err merkle_consistency_from(const struct merkle_source *source, uint64_t old, uint64_t size,
                            struct merkle_proof *ret, struct errtext *reterr) ERR_MUST_USE;

/* Whether the proof shows that tree `now` begins with tree `old` (RFC 9162 section 2.1.4.2). A tree
 * of no leaves begins every other one, and has one root. All may come from outside. */
bool merkle_consistency_proves(const struct merkle_head *old, const struct merkle_head *now,
                               const struct merkle_hash path[], size_t count);

#endif
