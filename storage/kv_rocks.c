#include "storage/kv_rocks.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "base/require.h"

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
    LEVELS = 7,       /* RocksDB's own number */
    LEVELS_PLAIN = 2, /* that are not compressed: the newest tables, and those merged from them */
    ARENA_BYTES = 128 << 10, /* steps in which a memtable grows: many families share the buffer */
};

/* What a batch holds back of one family, to store it as one value. */
struct waiting {
    const struct kv *kv;
    struct pack pack;
};

struct kv_batch {
    rocksdb_writebatch_t *batch;
    struct waiting *waiting[KV_FAMILIES_MAX]; /* owned; of families that are a sequence */
};

err kv_rocks_fail(struct errtext *reterr, char *text, const char *what)
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
    rocksdb_options_set_allow_concurrent_memtable_write(x, 0); /* one thread writes */
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

/* What lies in the upper levels is soon merged and written again, so it is compressed only below
 * them: 7 % less time for a block of transfers. Tables of a sequence do not overlap and move down
 * as they are, if they are compressed alike. */
static void set_compression(rocksdb_options_t *x, const struct kv_family *family)
{
    int levels[LEVELS];
    for (size_t i = 0; i < LEVELS; i++) {
        levels[i] = i < LEVELS_PLAIN ? rocksdb_no_compression : rocksdb_lz4_compression;
    }
    rocksdb_options_set_compression(x, rocksdb_lz4_compression);
    if (!family->sequence) {
        rocksdb_options_set_compression_per_level(x, levels, LEVELS);
    }
}

static rocksdb_options_t *options_of_family(const struct kv *kv, const struct kv_options *o,
                                            const struct kv_family *family)
{
    rocksdb_options_t *x = rocksdb_options_create_copy(kv->db_options);
    rocksdb_block_based_table_options_t *table = rocksdb_block_based_options_create();
    size_t write_buffer = write_buffer_of(o);
    rocksdb_block_based_options_set_block_cache(table, kv->cache);
    rocksdb_block_based_options_set_block_size(table, BLOCK_BYTES);
    rocksdb_block_based_options_set_format_version(table, TABLE_FORMAT);
    rocksdb_block_based_options_set_cache_index_and_filter_blocks(table, 1); /* bounds memory */
    rocksdb_block_based_options_set_cache_index_and_filter_blocks_with_high_priority(table, 1);
    if (family->point_lookup) {
        rocksdb_block_based_options_set_filter_policy(
            table, rocksdb_filterpolicy_create_bloom_full(BLOOM_BITS));
    }
    rocksdb_options_set_block_based_table_factory(x, table);
    rocksdb_options_set_write_buffer_size(x, write_buffer);
    rocksdb_options_set_arena_block_size(x, ARENA_BYTES);
    rocksdb_options_set_target_file_size_base(x, TABLE_FILE_BYTES);
    set_compression(x, family);
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
        kv->sequence[i] = o->families[i].sequence;
        kv->family_options[i] = options_of_family(kv, o, &o->families[i]);
    }
    kv->names[o->families_count] = "default"; /* RocksDB has it always; nothing is in it */
    kv->family_options[o->families_count] = options_of_family(kv, o, &(struct kv_family){0});
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
        err e = kv_rocks_fail(reterr, text, dir);
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

rocksdb_column_family_handle_t *kv_rocks_family(const struct kv *kv, size_t family)
{
    require(kv != NULL);
    require(family < kv->families_count);
    return kv->families[family];
}

/* The value out of the pack that begins at or before its key. */
static err get_packed(struct kv *kv, size_t family, struct bytes key, struct buf *ret,
                      struct errtext *reterr)
{
    uint64_t number = 0;
    if (!pack_key_read(key, &number)) {
        return err_fail(reterr, ERR_NOT_FOUND, "no such key");
    }
    rocksdb_iterator_t *it =
        rocksdb_create_iterator_cf(kv->db, kv->read, kv_rocks_family(kv, family));
    rocksdb_iter_seek_for_prev(it, kv_rocks_chars(key), key.size);
    err e = err_ok();
    if (rocksdb_iter_valid(it)) {
        struct pack_view view;
        if (failed(kv_rocks_view(it, &view))) {
            e = err_fail(reterr, ERR_CORRUPT, "read the state: a pack does not decode");
        } else if (number - view.first < view.count) {
            buf_put_bytes(ret, pack_value(&view, (uint32_t)(number - view.first)));
            rocksdb_iter_destroy(it);
            return err_ok();
        }
    } else {
        char *text = NULL;
        rocksdb_iter_get_error(it, &text);
        e = text == NULL ? err_ok() : kv_rocks_fail(reterr, text, "read the state");
    }
    rocksdb_iter_destroy(it);
    return failed(e) ? e : err_fail(reterr, ERR_NOT_FOUND, "no such key");
}

static err too_large(struct buf *ret, size_t size, struct errtext *reterr)
{
    buf_clear(ret);
    return err_fail(reterr, ERR_LIMIT, "a stored value of %zu bytes is too large here", size);
}

err kv_get(struct kv *kv, size_t family, struct bytes key, struct buf *ret, struct errtext *reterr)
{
    require(ret != NULL);
    buf_clear(ret);
    char *text = NULL;
    require(family < kv->families_count);
    if (kv->sequence[family]) {
        TRY(get_packed(kv, family, key, ret, reterr));
        return ret->overflow ? too_large(ret, ret->size, reterr) : err_ok();
    }
    rocksdb_pinnableslice_t *value = rocksdb_get_pinned_cf(
        kv->db, kv->read, kv_rocks_family(kv, family), kv_rocks_chars(key), key.size, &text);
    if (text != NULL) {
        return kv_rocks_fail(reterr, text, "read the state");
    }
    if (value == NULL) {
        return err_fail(reterr, ERR_NOT_FOUND, "no such key");
    }
    size_t size = 0;
    const char *data = rocksdb_pinnableslice_value(value, &size);
    buf_put(ret, data, size);
    rocksdb_pinnableslice_destroy(value);
    return ret->overflow ? too_large(ret, size, reterr) : err_ok();
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
        for (size_t i = 0; i < KV_FAMILIES_MAX; i++) {
            if (b->waiting[i] != NULL) {
                pack_done(&b->waiting[i]->pack);
                free(b->waiting[i]);
            }
        }
        rocksdb_writebatch_destroy(b->batch);
        free(b);
    }
}

/* Adds what waits in a family to the batch. */
static void settle(const struct kv_batch *b, size_t family)
{
    struct waiting *w = b->waiting[family];
    if (w == NULL || w->pack.count == 0) {
        return;
    }
    uint8_t key[KV_PACK_KEY_SIZE];
    pack_key_put(w->pack.first, key);
    pack_seal(&w->pack);
    const char *keys[1] = {(const char *)key};
    const size_t key_sizes[1] = {sizeof key};
    const char *parts[2] = {kv_rocks_chars(buf_bytes(&w->pack.head)),
                            kv_rocks_chars(buf_bytes(&w->pack.values))};
    const size_t sizes[2] = {w->pack.head.size, w->pack.values.size};
    rocksdb_writebatch_putv_cf(b->batch, w->kv->families[family], 1, keys, key_sizes, 2, parts,
                               sizes);
    pack_clear(&w->pack);
}

static void settle_all(const struct kv_batch *b)
{
    for (size_t i = 0; i < KV_FAMILIES_MAX; i++) {
        settle(b, i);
    }
}

static void put_packed(struct kv_batch *b, const struct kv *kv, size_t family, struct bytes key,
                       struct bytes value)
{
    uint64_t number = 0;
    bool whole = pack_key_read(key, &number);
    require(whole);
    if (b->waiting[family] == NULL) {
        b->waiting[family] = mem_new(1, sizeof *b->waiting[family]);
        pack_init(&b->waiting[family]->pack);
    }
    struct waiting *w = b->waiting[family];
    if (!pack_takes(&w->pack, number, value.size) || w->kv != kv) {
        settle(b, family);
    }
    w->kv = kv;
    pack_add(&w->pack, number, value);
}

void kv_batch_clear(struct kv_batch *b)
{
    require(b != NULL);
    for (size_t i = 0; i < KV_FAMILIES_MAX; i++) {
        if (b->waiting[i] != NULL) {
            pack_clear(&b->waiting[i]->pack);
        }
    }
    rocksdb_writebatch_clear(b->batch);
}

void kv_batch_put(struct kv_batch *b, const struct kv *kv, size_t family, struct bytes key,
                  struct bytes value)
{
    require(b != NULL);
    require(family < kv->families_count);
    if (kv->sequence[family]) {
        put_packed(b, kv, family, key, value);
        return;
    }
    rocksdb_writebatch_put_cf(b->batch, kv_rocks_family(kv, family), kv_rocks_chars(key), key.size,
                              kv_rocks_chars(value), value.size);
}

/* Stores the values of a pack from an index on as a pack of their own. */
static void put_run(struct kv_batch *b, const struct kv *kv, size_t family,
                    const struct pack_view *view, uint32_t from)
{
    for (uint32_t i = from; i < view->count; i++) {
        uint8_t key[KV_PACK_KEY_SIZE];
        pack_key_put(view->first + i, key);
        put_packed(b, kv, family, bytes_of(key, sizeof key), pack_value(view, i));
    }
    settle(b, family);
}

/* Takes a value out of its stored pack: what is before it and what is behind are two packs then. A
 * pack that cannot be read stays as it is, for its readers to tell. */
static void delete_packed(struct kv_batch *b, const struct kv *kv, size_t family, struct bytes key)
{
    uint64_t number = 0;
    struct pack_view view;
    settle(b, family);
    rocksdb_iterator_t *it =
        rocksdb_create_iterator_cf(kv->db, kv->read, kv_rocks_family(kv, family));
    rocksdb_iter_seek_for_prev(it, kv_rocks_chars(key), key.size);
    if (pack_key_read(key, &number) && rocksdb_iter_valid(it) &&
        !failed(kv_rocks_view(it, &view)) && number - view.first < view.count) {
        uint32_t index = (uint32_t)(number - view.first);
        struct pack_view before = view;
        before.count = index;
        rocksdb_writebatch_delete_cf(b->batch, kv_rocks_family(kv, family), kv_rocks_chars(key),
                                     key.size);
        put_run(b, kv, family, &before, 0);
        put_run(b, kv, family, &view, index + 1);
    }
    rocksdb_iter_destroy(it);
}

void kv_batch_delete(struct kv_batch *b, const struct kv *kv, size_t family, struct bytes key)
{
    require(b != NULL);
    require(family < kv->families_count);
    if (kv->sequence[family]) {
        delete_packed(b, kv, family, key);
        return;
    }
    rocksdb_writebatch_delete_cf(b->batch, kv_rocks_family(kv, family), kv_rocks_chars(key),
                                 key.size);
}

void kv_batch_delete_range(struct kv_batch *b, const struct kv *kv, size_t family,
                           struct bytes first, struct bytes last)
{
    require(b != NULL);
    require(bytes_compare(first, last) <= 0);
    settle(b, family);
    rocksdb_writebatch_delete_range_cf(b->batch, kv_rocks_family(kv, family), kv_rocks_chars(first),
                                       first.size, kv_rocks_chars(last), last.size);
}

size_t kv_batch_count(const struct kv_batch *b)
{
    require(b != NULL);
    settle_all(b);
    return (size_t)rocksdb_writebatch_count(b->batch);
}

size_t kv_batch_bytes(const struct kv_batch *b)
{
    require(b != NULL);
    size_t size = 0;
    settle_all(b);
    (void)rocksdb_writebatch_data(b->batch, &size);
    return size;
}

err kv_commit(struct kv *kv, const struct kv_batch *b, bool sync, struct errtext *reterr)
{
    require(kv != NULL);
    require(b != NULL);
    char *text = NULL;
    settle_all(b);
    /* Of this thread: RocksDB else counts each comparison of keys in thread-local storage, 4 % of a
     * block's writes. */
    rocksdb_set_perf_level(rocksdb_disable);
    rocksdb_write(kv->db, sync ? kv->write_sync : kv->write, b->batch, &text);
    return text == NULL ? err_ok() : kv_rocks_fail(reterr, text, "write the state");
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
    return text == NULL ? err_ok() : kv_rocks_fail(reterr, text, "flush the state");
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
    return text == NULL ? err_ok() : kv_rocks_fail(reterr, text, "make a checkpoint of the state");
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
