/* The rows of all contracts: a block's own changes (an ordered overlay) over a cache of whole rows
 * over the database. Serves rules' store. A database that cannot answer stops the process.
 *
 *   get        overlay, then cache, then database (kept in the cache, absence too)
 *   scan       database in key order, merged with the overlay
 *   count      kept per first key once asked for, since a full scan at every new row would make a
 *              table of N rows cost N * N
 *
 * Views that reads return are valid until the next call of any rows function. Loop only. */
#ifndef LEDGER_ROWS_H
#define LEDGER_ROWS_H

#include "base/buf.h"
#include "base/map.h"
#include "ledger/ordered.h"
#include "storage/kv.h"

struct rows_undo;
struct rows {
    struct kv *kv; /* not owned */
    size_t family;
    bool cached;      /* false: nothing is kept between blocks */
    struct map cache; /* key to struct row_cached */
    size_t cache_bytes;
    struct arena arena; /* of the overlay */
    struct ordered overlay;
    struct arena counts_arena;
    struct ordered counts; /* first-key prefix to number of rows, overlay included */
    struct rows_undo *undo;
    size_t undo_count, undo_capacity;
    bool undo_on;
    struct buf got, found_key, found_row;
};

/* No rows changed yet; cached is true. kv must outlive it. */
void rows_init(struct rows *r, struct kv *kv, size_t family, const uint64_t map_seed[2]);

/* Frees; accepts an all-zero struct. */
void rows_done(struct rows *r);

bool rows_get(struct rows *r, struct bytes key, struct bytes *ret_row);

/* The greatest key that begins with prefix and is not above key. */
bool rows_seek_at_most(struct rows *r, struct bytes prefix, struct bytes key, struct bytes *ret_key,
                       struct bytes *ret_row);

/* Calls on_row for every row whose key begins with prefix, in key order, until it answers false. */
void rows_scan(struct rows *r, struct bytes prefix, void *to,
               bool (*on_row)(void *to, struct bytes key, struct bytes row));

uint64_t rows_count(struct rows *r, struct bytes prefix);

/* Changes of the block, kept in the overlay. */
void rows_put(struct rows *r, struct bytes key, struct bytes row);
void rows_remove(struct rows *r, struct bytes key);

/* From here on changes can be taken back: rows_rollback takes all of them back, rows_keep none. */
void rows_mark(struct rows *r);
void rows_rollback(struct rows *r);
void rows_keep(struct rows *r);

/* Adds the overlay to the batch in key order, brings the cache up to it and forgets it: to be
 * called when the batch is about to be committed or the process to die. */
void rows_write(struct rows *r, struct kv_batch *batch);

#endif
