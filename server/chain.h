/* The blocks of this node's log that its ledger has not applied yet, oldest first, with what the
 * workers found out about their signatures.
 *
 *    log:      ... [applied] | b7  b8  b9   <- appended; a new leader may cut the end off
 *                              ^ front: applied next
 *
 * The last valid one is what a leader builds on. Loop thread only. */
#ifndef SERVER_CHAIN_H
#define SERVER_CHAIN_H

#include "consensus/objects.h"
#include "ledger/ledger.h"

struct chained {
    uint64_t index, term;
    struct entry *entry;     /* a reference; NULL: on disk only, load it when it is wanted */
    uint32_t envelope_count; /* known once checked */
    bool *verified;          /* owned, one an envelope; NULL: none verified */
    bool checking;           /* a worker has its signatures */
    bool checked;            /* the verdicts are in */
    bool judged, follows;    /* known whether it is a block that follows the last valid one */
    struct ledger_block_facts facts; /* follows: of this block */
    bool gone;                       /* cut off while checking: freed when the worker is done */
};

struct chain {
    struct chained **items; /* ring of capacity a power of two, owned */
    size_t first, count, capacity;
};

void chain_done(struct chain *c);

/* Appends a block; takes a reference to the entry (which may be NULL). index is above the last. */
struct chained *chain_push(struct chain *c, uint64_t index, uint64_t term, struct entry *entry);

/* Removes the blocks from this index on (the log was cut there). */
void chain_cut(struct chain *c, uint64_t index);

/* Removes the blocks up to this index (they are applied). */
void chain_drop(struct chain *c, uint64_t index);

/* The block at this index, or NULL. */
struct chained *chain_find(const struct chain *c, uint64_t index);

/* The oldest but i, i < count. */
struct chained *chain_at(const struct chain *c, size_t i);

/* The newest, or NULL. */
struct chained *chain_last(const struct chain *c);

/* Frees one that was gone, from the end of its check. */
void chained_free(struct chained *b);

#endif
