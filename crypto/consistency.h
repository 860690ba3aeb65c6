/* Proof that a tree only grew, in the form in which witnesses are asked
 * (c2sp.org/tlog-witness, add-checkpoint):
 *
 *     old SIZE                 of the tree that one knows already
 *     BASE64                   the consistency proof (RFC 6962 section 2.1.2)
 *     ...
 *                              an empty line
 *     checkpoint               of the larger tree: a signed note
 */
#ifndef CRYPTO_CONSISTENCY_H
#define CRYPTO_CONSISTENCY_H

#include "base/buf.h"
#include "base/err.h"
#include "base/limits.h"
#include "crypto/merkle.h"

struct consistency {
    uint64_t old_size; /* below 2^63 */
    struct merkle_hash path[MERKLE_DEPTH_MAX];
    size_t path_count;
    struct bytes note;
};

/* Appends the text. Any thread, as both. */
void consistency_print(const struct consistency *c, struct buf *ret);

/* Reads a text of at most PROOF_BYTES_MAX; note is a view into wire. Checks the form only. INVALID
 * with the reason, LIMIT. */
err consistency_parse(struct bytes wire, struct consistency *ret,
                      struct errtext *reterr) ERR_MUST_USE;

#endif
