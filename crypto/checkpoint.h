/* The head of a tree as the text of a signed note (c2sp.org/tlog-checkpoint): origin, size and
 * root, a line each. Ours has no further lines, and none is accepted: nobody could check them. */
#ifndef CRYPTO_CHECKPOINT_H
#define CRYPTO_CHECKPOINT_H

#include "base/buf.h"
#include "base/err.h"
#include "crypto/merkle.h"

struct checkpoint {
    struct bytes origin;
    uint64_t size; /* leaves, below 2^63 */
    struct merkle_hash root;
};

/* Appends the three lines. The origin has no newline and is not empty. Any thread. */
void checkpoint_print(const struct checkpoint *c, struct buf *ret);

/* Reads the text of a note; origin is a view into it. INVALID with the reason. Any thread. */
err checkpoint_parse(struct bytes text, struct checkpoint *ret, struct errtext *reterr)
    ERR_MUST_USE;

#endif
