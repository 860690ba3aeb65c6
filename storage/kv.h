/* The state of a node: an ordered key-value store on RocksDB.
 *
 * Glossary: a *family* is a key space of its own (RocksDB: column family); a *batch* is a list of
 * puts and deletes that takes effect as a whole or not at all, over all families.
 *
 * Durability. Batches go to RocksDB's write-ahead log, which is not synced: the Raft log is the
 * durable one. After kill -9 the page cache still holds everything; after a power cut the store
 * comes back as it was after some earlier batch (never after half of one, and never with a gap:
 * point-in-time recovery), and its owner replays the Raft log from the applied index that it reads
 * there. What must survive a power cut is asked for by kv_flush or by kv_commit with sync.
 *
 * Threads: kv_commit, kv_get and iterators may be used from several threads, each batch and each
 * iterator from one at a time. open and close belong to the thread that owns the store. */
#ifndef STORAGE_KV_H
#define STORAGE_KV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"

struct kv_family {
    const char *name;  /* 1 to KV_FAMILY_NAME_MAX letters of [a-z0-9_] */
    bool point_lookup; /* read by whole key: gets a Bloom filter, so that a miss costs no read */
    bool sequence;     /* keys are u64 that only grow: neighbours of a batch are stored together
                        * (storage/kv_pack.h). What is stored is not put again unless it was
                        * deleted; deleting costs the writing of its neighbours. */
};

/* Zero in a size means its default from base/limits.h. */
struct kv_options {
    const struct kv_family *families; /* 1 to KV_FAMILIES_MAX; number i is family i in all calls */
    size_t families_count;
    size_t write_buffer_bytes; /* of all families together, before they are written out */
    size_t block_cache_bytes;  /* of all families together, filters and indexes included */
    bool read_only;            /* of a checkpoint: no lock, no log, nothing is written */
};

struct kv;
struct kv_batch;
struct kv_iter;

/* Opens the store in dir, which must exist; makes it and its missing families when they are not
 * there (unless read_only). The options and names need not outlive the call. On failure nothing
 * is left open.
 * AGAIN: locked by another process. CORRUPT: damaged, reterr names the file. UNSUPPORTED: it holds
 * a family that is not in the options. NOT_FOUND: read_only and there is no store. FULL, IO. */
err kv_open(const char *dir, const struct kv_options *o, struct kv **ret,
            struct errtext *reterr) ERR_MUST_USE;

/* Closes the store; accepts NULL. No batch is lost; iterators must be closed before. */
void kv_close(struct kv *kv);

/* Sets ret (initialised by the caller, who owns it) to the value of key. NOT_FOUND leaves it empty.
 * LIMIT: larger than ret may grow. CORRUPT, IO. */
err kv_get(struct kv *kv, size_t family, struct bytes key, struct buf *ret,
           struct errtext *reterr) ERR_MUST_USE;

/* A new empty batch; the caller frees it. */
struct kv_batch *kv_batch_new(void);
void kv_batch_free(struct kv_batch *b); /* accepts NULL */
void kv_batch_clear(struct kv_batch *b);

/* Adds a write; key and value are copied. family is one of kv's. */
void kv_batch_put(struct kv_batch *b, const struct kv *kv, size_t family, struct bytes key,
                  struct bytes value);
/* Of a sequence: one key that is stored, not put by the same batch, of each neighbourhood. */
void kv_batch_delete(struct kv_batch *b, const struct kv *kv, size_t family, struct bytes key);
/* Deletes every key from first (included) to last (excluded). */
void kv_batch_delete_range(struct kv_batch *b, const struct kv *kv, size_t family,
                           struct bytes first, struct bytes last);

size_t kv_batch_count(const struct kv_batch *b); /* writes in it */
size_t kv_batch_bytes(const struct kv_batch *b); /* what it adds to the write-ahead log */

/* Writes the batch as a whole; with sync it (and all before it) survives a power cut on return.
 * The batch stays the caller's, unchanged. FULL, CORRUPT, IO: after one of these the store no
 * longer takes writes, and the node must stop. */
err kv_commit(struct kv *kv, const struct kv_batch *b, bool sync,
              struct errtext *reterr) ERR_MUST_USE;

struct kv_range {
    size_t family;
    struct bytes lower; /* first key, included; empty: from the start */
    struct bytes upper; /* first key beyond; empty: to the end */
    bool reverse;       /* from the greatest key to the least */
    bool fill_cache;    /* false for scans that would push everything else out of the cache */
};

/* The range of all keys with a prefix. room holds the upper bound and must live as long as the
 * range; prefixes are at most KV_PREFIX_BYTES_MAX long. */
struct kv_prefix_room {
    uint8_t data[256];
};
struct kv_range kv_range_prefix(size_t family, struct bytes prefix, struct kv_prefix_room *room);

/* An iterator over the store as it is now; bounds are copied. The caller closes it. */
struct kv_iter *kv_iter_open(struct kv *kv, const struct kv_range *range);

/* The next pair: true and views that are valid until the next call on it; false at the end or on an
 * error, which kv_iter_close reports. */
bool kv_iter_next(struct kv_iter *it, struct bytes *ret_key, struct bytes *ret_value);

/* Moves so that the next pair is the first at or after key (reverse: at or before), within the
 * bounds. */
void kv_iter_seek(struct kv_iter *it, struct bytes key);

/* Frees the iterator and says whether everything it gave out was sound. Must be asked before a
 * result is used. CORRUPT, IO. */
err kv_iter_close(struct kv_iter *it, struct errtext *reterr) ERR_MUST_USE;

/* Makes everything that was committed so far durable, in all families at once. FULL, IO. */
err kv_flush(struct kv *kv, struct errtext *reterr) ERR_MUST_USE;

/* Makes a complete copy of the store as it is now in dir, which must not exist; files that do not
 * change any more are linked, not copied. EXISTS, FULL, IO. */
err kv_checkpoint(struct kv *kv, const char *dir, struct errtext *reterr) ERR_MUST_USE;

/* Reads every block of every family and checks its checksum. CORRUPT names the file. Any thread. */
err kv_verify(struct kv *kv, struct errtext *reterr) ERR_MUST_USE;

struct kv_stats {
    uint64_t keys_estimate;
    uint64_t disk_bytes;         /* table files */
    uint64_t write_buffer_bytes; /* memory of writes that are not in table files yet */
    uint64_t block_cache_bytes;  /* memory in use */
    uint64_t table_memory_bytes; /* filters and indexes outside the cache */
    bool writes_stopped;         /* RocksDB holds writes back until compaction has caught up */
};

/* Figures for status; cheap. */
void kv_stats(struct kv *kv, struct kv_stats *ret);

#endif
