/* The cosigned heads that a source has kept. Nothing of them is proved here. */
#ifndef AUDIT_HEADS_H
#define AUDIT_HEADS_H

#include "audit/source.h"
#include "base/bytes.h"

/* The size that a note says; false if it is no checkpoint. */
bool head_size(struct bytes note, uint64_t *ret);

struct heads {
    struct bytes *notes; /* owned with what they point to; ascending */
    size_t count, capacity;
    uint64_t newest; /* size of the last one; 0: there is none */
};

/* Reads all heads of a source into an all-zero struct; the caller frees it with heads_done, also
 * after a failure. CORRUPT: what stands there is no head, or they do not ascend. */
err heads_read(struct source *s, struct heads *ret, struct errtext *reterr) ERR_MUST_USE;

/* Accepts an all-zero struct. */
void heads_done(struct heads *h);

#endif
