/* The log as the driver holds it: term and type of every entry, payloads of the newest ones.
 *
 *     first        cold                    last
 *       |  no payload |  payload in memory   |      configurations keep theirs everywhere
 */
#ifndef CONSENSUS_MEMLOG_H
#define CONSENSUS_MEMLOG_H

#include "consensus/objects.h"

struct memlog_item {
    uint64_t term;
    struct entry *entry; /* a reference, or NULL: on disk only */
    enum entry_type type;
};

struct memlog {
    uint64_t first; /* index of items[0] */
    uint64_t count, capacity;
    struct memlog_item *items; /* owned */
    uint64_t cold;             /* below it only configurations have a payload */
    uint64_t bytes;            /* of payloads in memory, configurations left out */
};

/* An empty log whose next entry is `first` (> 0). */
void memlog_init(struct memlog *l, uint64_t first);

/* Gives everything back; accepts an all-zero struct. */
void memlog_done(struct memlog *l);

/* Index of the last entry, first - 1 when there is none. */
static inline uint64_t memlog_last(const struct memlog *l)
{
    return l->first + l->count - 1;
}

/* The item at index, or NULL. Valid until the log changes. */
const struct memlog_item *memlog_at(const struct memlog *l, uint64_t index);

/* Appends; takes its own reference to entry, which may be NULL (on disk only). */
void memlog_push(struct memlog *l, uint64_t term, enum entry_type type, struct entry *entry);

/* Drops every entry from index on. */
void memlog_truncate(struct memlog *l, uint64_t from);

/* Drops every entry below first. */
void memlog_trim(struct memlog *l, uint64_t first);

/* Drops everything; the next entry is first. */
void memlog_restart(struct memlog *l, uint64_t first);

/* Drops payloads, oldest first, while they weigh more than bytes_max, up to and including
 * index_max: what lies above is not on disk yet. */
void memlog_shed(struct memlog *l, uint64_t bytes_max, uint64_t index_max);

#endif
