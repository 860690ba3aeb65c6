/* Proof that a record stands in a ledger, as one text that needs nothing else
 * (c2sp.org/tlog-proof): what a receipt is.
 *
 *     c2sp.org/tlog-proof@v1
 *     extra BASE64             the record
 *     index 73894              its position
 *     BASE64                   the inclusion path, from the leaf's sibling up
 *     ...
 *                              an empty line
 *     checkpoint               a signed note (crypto/note.h, crypto/checkpoint.h)
 */
#ifndef CRYPTO_PROOF_H
#define CRYPTO_PROOF_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "crypto/merkle.h"

struct proof {
    struct bytes extra; /* empty: none */
    uint64_t index;     /* below 2^63 */
    struct merkle_hash path[MERKLE_DEPTH_MAX];
    size_t path_count;
    struct bytes note; /* the checkpoint with its signatures */
};

/* Appends the text. extra is at most PROOF_EXTRA_BYTES_MAX. Any thread, as both. */
void proof_print(const struct proof *p, struct buf *ret);

/* Reads a text of at most PROOF_BYTES_MAX; extra is in the arena, note a view into wire. Checks
 * the form only. INVALID with the line, LIMIT. */
err proof_parse(struct bytes wire, struct arena *a, struct proof *ret,
                struct errtext *reterr) ERR_MUST_USE;

#endif
