/* Where a ledger is read from by somebody who believes none of it: a backup, an exported directory,
 * a node. A source hands out bytes and claims; nothing of it is true before audit/replay.h has
 * computed the same.
 *
 * Functions return an err only when the source itself fails: IO (cannot be read), CORRUPT (the
 * container is broken: the text says which file), TIMEOUT (nobody answers). One thread. */
#ifndef AUDIT_SOURCE_H
#define AUDIT_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

/* What a source says a record is. */
struct claim {
    struct bytes record; /* canonical bytes */
    uint32_t end;        /* enum ledger_end */
    struct bytes outcome, effects;
};

/* A block and the records that the source says it made. Views last until the next call. */
struct archived {
    struct bytes block;
    const struct claim *claims; /* in order of position; NULL: this source makes no claims here */
    size_t claim_count;
};

struct source {
    /* The founding document into genesis, and its signatures into signatures (left empty if this
     * source does not hold them). Both initialised by the caller, who owns them. */
    err (*genesis)(struct source *s, struct buf *genesis, struct buf *signatures,
                   struct errtext *reterr);
    /* Where the next block's first record stands: 0, or more when an audit goes on. */
    err (*begin)(struct source *s, uint64_t position);
    /* The block of a height; heights are asked for in ascending order. NOT_FOUND: the source ends
     * before it. */
    err (*block)(struct source *s, uint64_t height, struct archived *ret, struct errtext *reterr);
    /* The note of the cosigned head of the least size that is at least `size`. NOT_FOUND: none. */
    err (*head)(struct source *s, uint64_t size, struct buf *note, struct errtext *reterr);
    /* Frees all; accepts what a failed opening left. */
    void (*close)(struct source *s);
};

/* A state database: of a backup, or of a node that is stopped. It is opened for reading only, so
 * nothing in it changes. kv families are those of ledger/. NOT_FOUND, CORRUPT, IO. */
err source_backup(const char *dir, struct source **ret, struct errtext *reterr) ERR_MUST_USE;

/* A directory that `concordat export` made. NOT_FOUND, CORRUPT, IO. */
err source_directory(const char *dir, struct source **ret, struct errtext *reterr) ERR_MUST_USE;

#endif
