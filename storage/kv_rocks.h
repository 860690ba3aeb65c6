/* What the two halves of the store on RocksDB share; nobody else includes it. */
#ifndef STORAGE_KV_ROCKS_H
#define STORAGE_KV_ROCKS_H

#include <rocksdb/c.h>

#include "base/limits.h"
#include "storage/kv.h"
#include "storage/kv_pack.h"

struct kv {
    rocksdb_t *db;
    rocksdb_options_t *db_options;
    rocksdb_options_t *family_options[KV_FAMILIES_MAX + 1]; /* the last is "default"'s */
    rocksdb_column_family_handle_t *families[KV_FAMILIES_MAX + 1];
    const char *names[KV_FAMILIES_MAX + 1]; /* point into name_room */
    char name_room[KV_FAMILIES_MAX][KV_FAMILY_NAME_MAX + 1];
    size_t families_count; /* without "default", which stays empty */
    bool sequence[KV_FAMILIES_MAX];
    rocksdb_cache_t *cache;
    rocksdb_readoptions_t *read;
    rocksdb_writeoptions_t *write, *write_sync;
    rocksdb_flushoptions_t *flush;
};

/* Takes RocksDB's message (freed) and finds our code in its first words. */
err kv_rocks_fail(struct errtext *reterr, char *text, const char *what);

/* The handle of a family of kv. */
rocksdb_column_family_handle_t *kv_rocks_family(const struct kv *kv, size_t family);

/* The pack that an iterator of a sequence stands on. CORRUPT. */
err kv_rocks_view(const rocksdb_iterator_t *it, struct pack_view *ret) ERR_MUST_USE;

static inline const char *kv_rocks_chars(struct bytes b)
{
    return b.size == 0 ? "" : (const char *)b.data;
}

#endif
