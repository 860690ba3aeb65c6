/* What the reads share. */
#ifndef LEDGER_READ_H
#define LEDGER_READ_H

#include "ledger/ledger.h"
#include "storage/kv.h"

/* Items of a page: 0 asks for the most. */
static inline uint32_t page_limit(uint32_t limit)
{
    return limit == 0 || limit > LEDGER_PAGE_MAX ? LEDGER_PAGE_MAX : limit;
}

/* Closes an iterator; the first of the two errors counts. */
err iter_end(struct kv_iter *it, err e, struct errtext *reterr) ERR_MUST_USE;

/* LIMIT, with its reason. */
err no_room(struct errtext *reterr);

/* A copy in the arena, or false if there is no room: what is queried may be of any size. */
bool keep(struct arena *a, struct bytes from, struct bytes *ret);

#endif
