/* What a state database holds, read without a ledger opened on it and without believing it: for
 * audits of backups (audit/), and to compare two databases entry by entry. Any thread, as long as
 * nobody writes the database. All can fail with IO and CORRUPT besides what they say. */
#ifndef LEDGER_STORED_H
#define LEDGER_STORED_H

#include "ledger/ledger.h"

struct kv;

/* The genesis bytes into ret (initialised, the caller's). NOT_FOUND: it holds none. */
err stored_genesis(struct kv *kv, struct buf *ret, struct errtext *reterr) ERR_MUST_USE;

/* The block of a height, as it stood in the log. NOT_FOUND. */
err stored_block(struct kv *kv, uint64_t height, struct buf *ret,
                 struct errtext *reterr) ERR_MUST_USE;

/* The record of a position; views into value (initialised, the caller's). NOT_FOUND; CORRUPT also
 * if it does not decode. */
err stored_record(struct kv *kv, uint64_t position, struct buf *value, struct ledger_record *ret,
                  struct errtext *reterr) ERR_MUST_USE;

/* The note of the cosigned head of the least size that is at least `size` into ret (initialised,
 * the caller's). NOT_FOUND. */
err stored_head(struct kv *kv, uint64_t size, struct buf *ret, struct errtext *reterr) ERR_MUST_USE;

/* The first entry in which two databases differ. */
struct stored_difference {
    bool is;             /* false: the replicated families are the same */
    bool has_position;   /* the entry tells which record made it */
    uint64_t position;
    char text[LEDGER_TEXT_MAX]; /* for people: "posting 3 of the account ..." */
};

/* Compares the replicated families, entry by entry: postings first, since they name their record.
 * Cost: reads both databases once. */
err stored_compare(struct kv *mine, struct kv *theirs, struct stored_difference *ret,
                   struct errtext *reterr) ERR_MUST_USE;

#endif
