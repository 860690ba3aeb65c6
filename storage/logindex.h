/* Where each entry of the log is: an array by index that grows at its end, is cut at its end when
 * the log is truncated and at its start when a snapshot covers it. 32 bytes an entry. */
#ifndef STORAGE_LOGINDEX_H
#define STORAGE_LOGINDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct logplace {
    uint64_t term;
    uint64_t segment; /* number of the file */
    uint32_t offset;  /* of the record in it */
    uint32_t size;    /* of the data */
    uint8_t type;
};

struct logindex {
    struct logplace *places; /* owned */
    size_t head, count, capacity;
    uint64_t first; /* index of the first entry; first + count - 1 is the last */
};

/* An empty log whose first entry will be first (>= 1). Allocates nothing yet. */
void logindex_init(struct logindex *x, uint64_t first);

/* Frees the array; accepts an all-zero struct. */
void logindex_done(struct logindex *x);

/* Forgets all entries; the next one will be first. */
void logindex_clear(struct logindex *x, uint64_t first);

static inline uint64_t logindex_last(const struct logindex *x)
{
    return x->first + x->count - 1;
}

/* The entry, or NULL when index is not in the log. */
const struct logplace *logindex_get(const struct logindex *x, uint64_t index);

/* Appends the entry with index last + 1. */
void logindex_add(struct logindex *x, const struct logplace *place);

/* Forgets entries from index on; first <= index. */
void logindex_cut(struct logindex *x, uint64_t index);

/* Forgets entries before index; index <= last + 1. */
void logindex_trim(struct logindex *x, uint64_t index);

#endif
