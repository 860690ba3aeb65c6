#include <dirent.h>
#include <errno.h>
#include <rocksdb/c.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/require.h"
#include "storage/kv.h"

/* Options that RocksDB's C interface takes as plain numbers. */
enum {
    RECOVER_POINT_IN_TIME = 2, /* write-ahead log: the prefix before the first damage */
    INFO_LOG_ERRORS_ONLY = 3,  /* RocksDB's own text log in the directory */
    INFO_LOG_FILES = 2,
    INFO_LOG_BYTES = 1 << 20,
    BLOOM_BITS = 10, /* a key: of a hundred lookups of absent keys one reads a block */
    BLOCK_BYTES = 16 << 10,
    TABLE_FORMAT = 5,
    TABLE_FILE_BYTES = 32 << 20,
    ARENA_BYTES = 128 << 10, /* steps in which a memtable grows: many families share the buffer */
};

struct kv {
    rocksdb_t *db;
    rocksdb_options_t *db_options;
    rocksdb_options_t *family_options[KV_FAMILIES_MAX + 1]; /* the last is "default"'s */
    rocksdb_column_family_handle_t *families[KV_FAMILIES_MAX + 1];
    const char *names[KV_FAMILIES_MAX + 1]; /* point into name_room */
    char name_room[KV_FAMILIES_MAX][KV_FAMILY_NAME_MAX + 1];
    size_t families_count; /* without "default", which stays empty */
    rocksdb_cache_t *cache;
    rocksdb_readoptions_t *read;
    rocksdb_writeoptions_t *write, *write_sync;
    rocksdb_flushoptions_t *flush;
};

struct kv_batch {
    rocksdb_writebatch_t *batch;
};

struct kv_iter {
    rocksdb_iterator_t *it;
    rocksdb_readoptions_t *read;
    uint8_t *lower, *upper; /* owned: RocksDB keeps pointers to the bounds */
    bool reverse;
    enum { ITER_FRESH, ITER_READY, ITER_ON_PAIR } at; /* READY: on the pair to give out next */
};

/* Takes RocksDB's message (freed) and finds our code in its first words. */
static err fail_rocks(struct errtext *reterr, char *text, const char *what)
{
    require(text != NULL);
    enum err_code code = ERR_IO;
    if (strncmp(text, "Corruption", 10) == 0) {
        code = ERR_CORRUPT;
    } else if (strstr(text, "No space left") != NULL || strstr(text, "Disk quota") != NULL ||
               strstr(text, "NoSpace") != NULL) {
        code = ERR_FULL;
    } else if (strstr(text, "While lock file") != NULL || strstr(text, "lock hold by") != NULL) {
        code = ERR_AGAIN;
    } else if (strstr(text, "CURRENT: No such file") != NULL) {
        code = ERR_NOT_FOUND;
    } else if (strncmp(text, "Invalid argument: Column families not opened", 44) == 0) {
        code = ERR_UNSUPPORTED;
    }
    err e = err_fail(reterr, code, "%s: %s", what, text);
    rocksdb_free(text);
    return e;
}

/* ---- open and close ---- */

static bool name_valid(const char *name)
{
    size_t size = name == NULL ? 0 : strlen(name);
    if (size == 0 || size > KV_FAMILY_NAME_MAX || strcmp(name, "default") == 0) {
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        char c = name[i];
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '_') {
            return false;
        }
    }
    return true;
}

static size_t write_buffer_of(const struct kv_options *o)
{
    return o->write_buffer_bytes != 0 ? o->write_buffer_bytes : KV_WRITE_BUFFER_BYTES;
}

static rocksdb_options_t *options_of_db(const struct kv_options *o)
{
    rocksdb_options_t *x = rocksdb_options_create();
    size_t write_buffer = write_buffer_of(o);
    rocksdb_options_set_create_if_missing(x, !o->read_only);
    rocksdb_options_set_create_missing_column_families(x, !o->read_only);
    rocksdb_options_set_paranoid_checks(x, 1);
    rocksdb_options_set_wal_recovery_mode(x, RECOVER_POINT_IN_TIME);
    rocksdb_options_set_atomic_flush(x, 1); /* all families reach the same applied index */
    rocksdb_options_set_db_write_buffer_size(x, write_buffer);
    rocksdb_options_set_max_total_wal_size(x, 4 * (uint64_t)write_buffer);
    rocksdb_options_set_max_open_files(x, KV_OPEN_FILES_MAX);
    rocksdb_options_set_max_background_jobs(x, KV_BACKGROUND_JOBS);
    rocksdb_options_set_max_file_opening_threads(x, 1);
    rocksdb_options_set_bytes_per_sync(x, 1 << 20); /* no burst when a table file is finished */
    rocksdb_options_set_info_log_level(x, INFO_LOG_ERRORS_ONLY);
    rocksdb_options_set_keep_log_file_num(x, INFO_LOG_FILES);
    rocksdb_options_set_max_log_file_size(x, INFO_LOG_BYTES);
    rocksdb_options_set_stats_dump_period_sec(x, 0);
    return x;
}

static rocksdb_options_t *options_of_family(const struct kv *kv, const struct kv_options *o,
                                            bool point_lookup)
{
    rocksdb_options_t *x = rocksdb_options_create_copy(kv->db_options);
    rocksdb_block_based_table_options_t *table = rocksdb_block_based_options_create();
    size_t write_buffer = write_buffer_of(o);
    rocksdb_block_based_options_set_block_cache(table, kv->cache);
    rocksdb_block_based_options_set_block_size(table, BLOCK_BYTES);
    rocksdb_block_based_options_set_format_version(table, TABLE_FORMAT);
    rocksdb_block_based_options_set_cache_index_and_filter_blocks(table, 1); /* bounds memory */
    rocksdb_block_based_options_set_cache_index_and_filter_blocks_with_high_priority(table, 1);
    if (point_lookup) {
        rocksdb_block_based_options_set_filter_policy(
            table, rocksdb_filterpolicy_create_bloom_full(BLOOM_BITS));
    }
    rocksdb_options_set_block_based_table_factory(x, table);
    rocksdb_options_set_write_buffer_size(x, write_buffer);
    rocksdb_options_set_arena_block_size(x, ARENA_BYTES);
    rocksdb_options_set_target_file_size_base(x, TABLE_FILE_BYTES);
    rocksdb_options_set_compression(x, rocksdb_lz4_compression);
    rocksdb_block_based_options_destroy(table);
    return x;
}

static void kv_prepare(struct kv *kv, const struct kv_options *o)
{
    kv->families_count = o->families_count;
    kv->cache = rocksdb_cache_create_lru(o->block_cache_bytes != 0 ? o->block_cache_bytes
                                                                   : KV_BLOCK_CACHE_BYTES);
    kv->db_options = options_of_db(o);
    for (size_t i = 0; i < o->families_count; i++) {
        memcpy(kv->name_room[i], o->families[i].name, strlen(o->families[i].name) + 1);
        kv->names[i] = kv->name_room[i];
        kv->family_options[i] = options_of_family(kv, o, o->families[i].point_lookup);
    }
    kv->names[o->families_count] = "default"; /* RocksDB has it always; nothing is in it */
    kv->family_options[o->families_count] = options_of_family(kv, o, false);
    kv->read = rocksdb_readoptions_create();
    rocksdb_readoptions_set_verify_checksums(kv->read, 1);
    kv->write = rocksdb_writeoptions_create();
    kv->write_sync = rocksdb_writeoptions_create();
    rocksdb_writeoptions_set_sync(kv->write_sync, 1);
    kv->flush = rocksdb_flushoptions_create();
    rocksdb_flushoptions_set_wait(kv->flush, 1);
}

static void kv_release(struct kv *kv)
{
    for (size_t i = 0; i <= kv->families_count; i++) {
        if (kv->families[i] != NULL) {
            rocksdb_column_family_handle_destroy(kv->families[i]);
        }
    }
    if (kv->db != NULL) {
        rocksdb_close(kv->db);
    }
    for (size_t i = 0; i <= kv->families_count; i++) {
        rocksdb_options_destroy(kv->family_options[i]);
    }
    rocksdb_flushoptions_destroy(kv->flush);
    rocksdb_writeoptions_destroy(kv->write_sync);
    rocksdb_writeoptions_destroy(kv->write);
    rocksdb_readoptions_destroy(kv->read);
    rocksdb_options_destroy(kv->db_options);
    rocksdb_cache_destroy(kv->cache);
    free(kv);
}

/* RocksDB makes a new store where CURRENT is missing, and removes what lies about. Files that only
 * a store has say that there was one. */
static err check_head(const char *dir, struct errtext *reterr)
{
    DIR *d = opendir(dir);
    if (d == NULL) {
        return err_fail(reterr, ERR_IO, "open %s: %s", dir, strerror(errno));
    }
    bool head = false;
    bool body = false;
    for (const struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
        head = head || strcmp(e->d_name, "CURRENT") == 0;
        body = body || strncmp(e->d_name, "MANIFEST-", 9) == 0 || strstr(e->d_name, ".sst") != NULL;
    }
    closedir(d);
    return head || !body ? err_ok() : err_fail(reterr, ERR_CORRUPT, "%s/CURRENT is missing", dir);
}

err kv_open(const char *dir, const struct kv_options *o, struct kv **ret, struct errtext *reterr)
{
    require(dir != NULL && o != NULL && ret != NULL);
    require(o->families_count > 0 && o->families_count <= KV_FAMILIES_MAX);
    for (size_t i = 0; i < o->families_count; i++) {
        require(name_valid(o->families[i].name));
    }
    TRY(check_head(dir, reterr));
    struct kv *kv = mem_new(1, sizeof *kv);
    kv_prepare(kv, o);
    int count = (int)o->families_count + 1;
    const rocksdb_options_t *const *options = (const rocksdb_options_t *const *)kv->family_options;
    char *text = NULL;
    if (o->read_only) {
        kv->db = rocksdb_open_for_read_only_column_families(kv->db_options, dir, count, kv->names,
                                                            options, kv->families, 0, &text);
    } else {
        kv->db = rocksdb_open_column_families(kv->db_options, dir, count, kv->names, options,
                                              kv->families, &text);
    }
    if (text != NULL) {
        err e = fail_rocks(reterr, text, dir);
        kv->db = NULL;
        memset(kv->families, 0, sizeof kv->families);
        kv_release(kv);
        return e;
    }
    *ret = kv;
    return err_ok();
}

void kv_close(struct kv *kv)
{
    if (kv != NULL) {
        kv_release(kv);
    }
}

/* ---- single keys ---- */

static rocksdb_column_family_handle_t *family_of(const struct kv *kv, size_t family)
{
    require(kv != NULL);
    require(family < kv->families_count);
    return kv->families[family];
}

static const char *chars(struct bytes b)
{
    return b.size == 0 ? "" : (const char *)b.data;
}

err kv_get(struct kv *kv, size_t family, struct bytes key, struct buf *ret, struct errtext *reterr)
{
    require(ret != NULL);
    buf_clear(ret);
    char *text = NULL;
    rocksdb_pinnableslice_t *value =
        rocksdb_get_pinned_cf(kv->db, kv->read, family_of(kv, family), chars(key), key.size, &text);
    if (text != NULL) {
        return fail_rocks(reterr, text, "read the state");
    }
    if (value == NULL) {
        return err_fail(reterr, ERR_NOT_FOUND, "no such key");
    }
    size_t size = 0;
    const char *data = rocksdb_pinnableslice_value(value, &size);
    buf_put(ret, data, size);
    rocksdb_pinnableslice_destroy(value);
    if (ret->overflow) {
        buf_clear(ret);
        return err_fail(reterr, ERR_LIMIT, "a stored value of %zu bytes is too large here", size);
    }
    return err_ok();
}

/* ---- batches ---- */

struct kv_batch *kv_batch_new(void)
{
    struct kv_batch *b = mem_new(1, sizeof *b);
    b->batch = rocksdb_writebatch_create();
    return b;
}

void kv_batch_free(struct kv_batch *b)
{
    if (b != NULL) {
        rocksdb_writebatch_destroy(b->batch);
        free(b);
    }
}

void kv_batch_clear(struct kv_batch *b)
{
    require(b != NULL);
    rocksdb_writebatch_clear(b->batch);
}

void kv_batch_put(struct kv_batch *b, const struct kv *kv, size_t family, struct bytes key,
                  struct bytes value)
{
    require(b != NULL);
    rocksdb_writebatch_put_cf(b->batch, family_of(kv, family), chars(key), key.size, chars(value),
                              value.size);
}

void kv_batch_delete(struct kv_batch *b, const struct kv *kv, size_t family, struct bytes key)
{
    require(b != NULL);
    rocksdb_writebatch_delete_cf(b->batch, family_of(kv, family), chars(key), key.size);
}

void kv_batch_delete_range(struct kv_batch *b, const struct kv *kv, size_t family,
                           struct bytes first, struct bytes last)
{
    require(b != NULL);
    require(bytes_compare(first, last) <= 0);
    rocksdb_writebatch_delete_range_cf(b->batch, family_of(kv, family), chars(first), first.size,
                                       chars(last), last.size);
}

size_t kv_batch_count(const struct kv_batch *b)
{
    require(b != NULL);
    return (size_t)rocksdb_writebatch_count(b->batch);
}

size_t kv_batch_bytes(const struct kv_batch *b)
{
    require(b != NULL);
    size_t size = 0;
    (void)rocksdb_writebatch_data(b->batch, &size);
    return size;
}

err kv_commit(struct kv *kv, const struct kv_batch *b, bool sync, struct errtext *reterr)
{
    require(kv != NULL);
    require(b != NULL);
    char *text = NULL;
    rocksdb_write(kv->db, sync ? kv->write_sync : kv->write, b->batch, &text);
    return text == NULL ? err_ok() : fail_rocks(reterr, text, "write the state");
}

/* ---- ranges ---- */

static_assert(sizeof((struct kv_prefix_room *)0)->data > KV_PREFIX_BYTES_MAX, "a prefix fits");

struct kv_range kv_range_prefix(size_t family, struct bytes prefix, struct kv_prefix_room *room)
{
    require(prefix.size <= KV_PREFIX_BYTES_MAX);
    require(room != NULL);
    struct kv_range range = {.family = family, .lower = prefix, .fill_cache = true};
    /* The first key beyond: the prefix without its trailing 0xff octets, the last one raised. */
    size_t size = prefix.size;
    while (size > 0 && prefix.data[size - 1] == 0xff) {
        size--;
    }
    if (size > 0) {
        memcpy(room->data, prefix.data, size);
        room->data[size - 1]++;
        range.upper = bytes_of(room->data, size);
    }
    return range;
}

struct kv_iter *kv_iter_open(struct kv *kv, const struct kv_range *range)
{
    require(range != NULL);
    struct kv_iter *it = mem_new(1, sizeof *it);
    it->reverse = range->reverse;
    it->read = rocksdb_readoptions_create();
    rocksdb_readoptions_set_verify_checksums(it->read, 1);
    rocksdb_readoptions_set_fill_cache(it->read, range->fill_cache);
    if (range->lower.size > 0) {
        it->lower = mem_copy(range->lower.data, range->lower.size);
        rocksdb_readoptions_set_iterate_lower_bound(it->read, (const char *)it->lower,
                                                    range->lower.size);
    }
    if (range->upper.size > 0) {
        it->upper = mem_copy(range->upper.data, range->upper.size);
        rocksdb_readoptions_set_iterate_upper_bound(it->read, (const char *)it->upper,
                                                    range->upper.size);
    }
    it->it = rocksdb_create_iterator_cf(kv->db, it->read, family_of(kv, range->family));
    return it;
}

bool kv_iter_next(struct kv_iter *it, struct bytes *ret_key, struct bytes *ret_value)
{
    require(it != NULL);
    require(ret_key != NULL && ret_value != NULL);
    switch (it->at) {
    case ITER_FRESH:
        (it->reverse ? rocksdb_iter_seek_to_last : rocksdb_iter_seek_to_first)(it->it);
        break;
    case ITER_READY:
        break;
    case ITER_ON_PAIR:
        if (rocksdb_iter_valid(it->it)) {
            (it->reverse ? rocksdb_iter_prev : rocksdb_iter_next)(it->it);
        }
        break;
    }
    it->at = ITER_ON_PAIR;
    if (!rocksdb_iter_valid(it->it)) {
        return false;
    }
    size_t size = 0;
    const char *data = rocksdb_iter_key(it->it, &size);
    *ret_key = bytes_of(data, size);
    data = rocksdb_iter_value(it->it, &size);
    *ret_value = bytes_of(data, size);
    return true;
}

void kv_iter_seek(struct kv_iter *it, struct bytes key)
{
    require(it != NULL);
    (it->reverse ? rocksdb_iter_seek_for_prev : rocksdb_iter_seek)(it->it, chars(key), key.size);
    it->at = ITER_READY;
}

err kv_iter_close(struct kv_iter *it, struct errtext *reterr)
{
    require(it != NULL);
    char *text = NULL;
    rocksdb_iter_get_error(it->it, &text);
    rocksdb_iter_destroy(it->it);
    rocksdb_readoptions_destroy(it->read);
    free(it->lower);
    free(it->upper);
    free(it);
    return text == NULL ? err_ok() : fail_rocks(reterr, text, "read the state");
}

/* ---- the whole store ---- */

err kv_flush(struct kv *kv, struct errtext *reterr)
{
    require(kv != NULL);
    char *text = NULL;
    /* The sync alone makes it durable; writing the tables lets go of the write-ahead log. */
    rocksdb_flush_wal(kv->db, 1, &text);
    for (size_t i = 0; i < kv->families_count && text == NULL; i++) {
        rocksdb_flush_cf(kv->db, kv->flush, kv->families[i], &text);
    }
    return text == NULL ? err_ok() : fail_rocks(reterr, text, "flush the state");
}

err kv_checkpoint(struct kv *kv, const char *dir, struct errtext *reterr)
{
    require(kv != NULL);
    require(dir != NULL);
    struct stat st;
    if (lstat(dir, &st) == 0) {
        return err_fail(reterr, ERR_EXISTS, "checkpoint %s: it is there already", dir);
    }
    char *text = NULL;
    rocksdb_checkpoint_t *c = rocksdb_checkpoint_object_create(kv->db, &text);
    if (text == NULL) {
        rocksdb_checkpoint_create(c, dir, 0, &text); /* 0: flush always, copy no log */
        rocksdb_checkpoint_object_destroy(c);
    }
    return text == NULL ? err_ok() : fail_rocks(reterr, text, "make a checkpoint of the state");
}

err kv_verify(struct kv *kv, struct errtext *reterr)
{
    require(kv != NULL);
    for (size_t family = 0; family < kv->families_count; family++) {
        struct kv_range all = {.family = family};
        struct kv_iter *it = kv_iter_open(kv, &all);
        struct bytes key;
        struct bytes value;
        while (kv_iter_next(it, &key, &value)) {
            require(value.data != NULL || value.size == 0);
        }
        TRY(kv_iter_close(it, reterr));
    }
    return err_ok();
}

static uint64_t figure(struct kv *kv, size_t family, const char *name)
{
    uint64_t value = 0;
    return rocksdb_property_int_cf(kv->db, kv->families[family], name, &value) == 0 ? value : 0;
}

void kv_stats(struct kv *kv, struct kv_stats *ret)
{
    require(kv != NULL);
    require(ret != NULL);
    struct kv_stats s = {0};
    for (size_t i = 0; i < kv->families_count; i++) {
        s.keys_estimate += figure(kv, i, "rocksdb.estimate-num-keys");
        s.disk_bytes += figure(kv, i, "rocksdb.total-sst-files-size");
        s.write_buffer_bytes += figure(kv, i, "rocksdb.size-all-mem-tables");
        s.table_memory_bytes += figure(kv, i, "rocksdb.estimate-table-readers-mem");
    }
    s.block_cache_bytes = rocksdb_cache_get_usage(kv->cache);
    s.writes_stopped = figure(kv, 0, "rocksdb.is-write-stopped") != 0;
    *ret = s;
}
