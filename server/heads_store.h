/* What a node keeps of the heads of the tree.
 *
 *   data/signed    the last head this node signed, durable before its lines leave the node:
 *                  u8 version 1 | u32 size, note | u32 CRC-32C. This node's own, like
 *                  data/identity: it survives whatever becomes of the state, and after a restart
 *                  the same bytes are sent again
 *   family heads   the complete checkpoints, u64 size: u8 version 1 | u8 first of its UTC day |
 *                  u64 wall clock ns | note. The last HEADS_STORED_MAX and the first of each day.
 *                  Not synced, not replicated: other nodes have them too */
#ifndef SERVER_HEADS_STORE_H
#define SERVER_HEADS_STORE_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/limits.h"
#include "storage/fileops.h"
#include "storage/kv.h"

enum { HEADS_MARK_BYTES_MAX = 1 + 4 + HEAD_NOTE_BYTES_MAX + 4 };

/* Decodes strictly; the note is a view. CORRUPT with the remedy, UNSUPPORTED. */
err heads_mark_decode(struct bytes wire, struct bytes *ret_note,
                      struct errtext *reterr) ERR_MUST_USE;
void heads_mark_encode(struct bytes note, struct buf *ret);

/* Appends the note in data/signed to ret, nothing if there is none. CORRUPT, UNSUPPORTED, IO. */
err heads_mark_read(const struct fileops *files, const char *data, struct buf *ret,
                    struct errtext *reterr) ERR_MUST_USE;

/* Makes the note the mark, durably: two syncs. Any thread, one at a time. FULL, IO. */
err heads_mark_write(const struct fileops *files, const char *data, struct bytes note,
                     struct errtext *reterr) ERR_MUST_USE;

/* Which complete checkpoints there are: the newest ones, oldest first in a ring. */
struct heads_kept {
    uint64_t size;
    bool first_of_day;
};
struct heads_store {
    struct heads_kept ring[HEADS_STORED_MAX];
    size_t first, count;
    uint64_t day; /* of the newest */
};

struct heads_stored {
    uint64_t size, time_ns; /* size 0: there is none */
    struct buf note;        /* initialised and owned by the caller */
};

/* Reads which there are, and the newest into ret. CORRUPT, IO. */
err heads_store_load(struct heads_store *s, struct kv *kv, struct heads_stored *ret,
                     struct errtext *reterr) ERR_MUST_USE;

/* Stores one of a larger size than all others and thins the older ones. FULL, IO, CORRUPT: the
 * database takes no more writes. */
err heads_store_put(struct heads_store *s, struct kv *kv, const struct heads_stored *head,
                    struct errtext *reterr) ERR_MUST_USE;

/* The complete checkpoint of the least size >= this one. NOT_FOUND. */
err heads_store_find(struct kv *kv, uint64_t size, struct heads_stored *ret,
                     struct errtext *reterr) ERR_MUST_USE;

#endif
