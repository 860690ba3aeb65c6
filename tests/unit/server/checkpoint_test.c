/* Checkpoints on disk: made of a real ledger, fetched, damaged, installed with a fault at every
 * file operation, put in the place of a lost state. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/require.h"
#include "ledger/families.h"
#include "server/checkpoint_work.h"
#include "storage/dir.h"
#include "storage/tree.h"
#include "world.h"

static const char *const CONTRACTS[] = {"tests/unit/ledger/bank.rules"};

/* ---- files that fail ---- */

/* The system's files until call number `at`: that one fails (or happens, and the process dies after
 * it), and so does every later one, as for a process that is gone. */
struct faulty {
    struct fileops real;
    uint64_t calls, at; /* at 0: never */
    bool takes_effect;
    bool dead;
};

static bool fails(struct faulty *f)
{
    if (f->dead) {
        return true;
    }
    f->calls++;
    if (f->at != 0 && f->calls == f->at) {
        f->dead = true;
        return !f->takes_effect;
    }
    return false;
}

static int f_open(void *ctx, const char *path, int flags)
{
    struct faulty *f = ctx;
    return fails(f) ? -EIO : f->real.open(f->real.ctx, path, flags);
}

static void f_close(void *ctx, int fd)
{
    struct faulty *f = ctx;
    f->real.close(f->real.ctx, fd);
}

static int64_t f_pread(void *ctx, int fd, void *ret, size_t size, uint64_t offset)
{
    struct faulty *f = ctx;
    return fails(f) ? -EIO : f->real.pread(f->real.ctx, fd, ret, size, offset);
}

static int f_pwrite(void *ctx, int fd, const void *data, size_t size, uint64_t offset)
{
    struct faulty *f = ctx;
    bool bad = fails(f);
    if (bad && f->takes_effect) {
        return -EIO;
    }
    if (bad) { /* half of it */
        (void)f->real.pwrite(f->real.ctx, fd, data, size / 2, offset);
        return -EIO;
    }
    return f->real.pwrite(f->real.ctx, fd, data, size, offset);
}

static int f_fdatasync(void *ctx, int fd)
{
    struct faulty *f = ctx;
    return fails(f) ? -EIO : 0; /* the page cache survives a killed process */
}

static int64_t f_size(void *ctx, int fd)
{
    struct faulty *f = ctx;
    return f->real.size(f->real.ctx, fd);
}

static int f_rename(void *ctx, const char *from, const char *to)
{
    struct faulty *f = ctx;
    return fails(f) ? -EIO : f->real.rename(f->real.ctx, from, to);
}

static int f_unlink(void *ctx, const char *path)
{
    struct faulty *f = ctx;
    return fails(f) ? -EIO : f->real.unlink(f->real.ctx, path);
}

static int f_mkdir(void *ctx, const char *path)
{
    struct faulty *f = ctx;
    return fails(f) ? -EIO : f->real.mkdir(f->real.ctx, path);
}

static int f_rmdir(void *ctx, const char *path)
{
    struct faulty *f = ctx;
    return fails(f) ? -EIO : f->real.rmdir(f->real.ctx, path);
}

static int f_link(void *ctx, const char *from, const char *to)
{
    struct faulty *f = ctx;
    return fails(f) ? -EIO : f->real.link(f->real.ctx, from, to);
}

static int f_dirsync(void *ctx, const char *path)
{
    struct faulty *f = ctx;
    return fails(f) ? -EIO : 0;
}

static int f_list(void *ctx, const char *path, void *arg, void (*on_name)(void *, const char *))
{
    struct faulty *f = ctx;
    return fails(f) ? -EIO : f->real.list(f->real.ctx, path, arg, on_name);
}

static struct fileops faulty_ops(struct faulty *f)
{
    f->real = fileops_system();
    return (struct fileops){
        .ctx = f,
        .open = f_open,
        .close = f_close,
        .pread = f_pread,
        .pwrite = f_pwrite,
        .fdatasync = f_fdatasync,
        .size = f_size,
        .rename = f_rename,
        .unlink = f_unlink,
        .mkdir = f_mkdir,
        .rmdir = f_rmdir,
        .link = f_link,
        .dirsync = f_dirsync,
        .list = f_list,
    };
}

/* ---- a data directory ---- */

struct data {
    char dir[64];
    struct fileops ops;
    struct checkpoint_paths paths;
};

static void data_open(struct data *d)
{
    snprintf(d->dir, sizeof d->dir, "/tmp/concordat-checkpoint-XXXXXX");
    require(mkdtemp(d->dir) != NULL);
    d->ops = fileops_system();
    d->paths = (struct checkpoint_paths){&d->ops, d->dir};
}

static void data_close(struct data *d)
{
    assert_false(failed(dir_remove(d->dir, NULL)));
}

static void put(const struct data *d, const char *name, const char *content)
{
    char path[256];
    char *slash;
    snprintf(path, sizeof path, "%s/%s", d->dir, name);
    slash = strrchr(path, '/');
    *slash = '\0';
    assert_false(failed(dir_make(path, NULL)));
    assert_false(failed(tree_replace(&d->ops, path, slash + 1, bytes_text(content), NULL)));
}

/* The content of a file, "" when it is not there. */
static const char *get(const struct data *d, const char *name)
{
    static char text[256];
    char path[256];
    struct buf b;
    snprintf(path, sizeof path, "%s/%s", d->dir, name);
    buf_init(&b, sizeof text - 1);
    if (failed(tree_read(&d->ops, path, sizeof text - 1, &b, NULL))) {
        buf_clear(&b);
    }
    memcpy(text, b.size == 0 ? (const uint8_t *)"" : b.data, b.size);
    text[b.size] = '\0';
    buf_done(&b);
    return text;
}

static bool there(const struct data *d, const char *name)
{
    char path[256];
    struct stat st;
    snprintf(path, sizeof path, "%s/%s", d->dir, name);
    return lstat(path, &st) == 0;
}

/* ---- installing, with a fault at every operation ---- */

enum { INDEX = 0x2a };

static void put_install(const struct data *d, uint64_t index)
{
    char dir[128];
    struct manifest_file files[] = {{.name = "000001.sst", .size = 3},
                                    {.name = "CURRENT", .size = 3}};
    struct manifest m = {.id = {.index = index, .term = 1, .height = 1},
                         .conf_index = 1,
                         .conf = bytes_text("c"),
                         .files = files,
                         .file_count = 2};
    struct buf wire;
    buf_init(&wire, MANIFEST_BYTES_MAX);
    manifest_encode(&m, &wire);
    put(d, "install/state/000001.sst", "new");
    put(d, "install/state/CURRENT", "new");
    snprintf(dir, sizeof dir, "%s/install", d->dir);
    assert_false(failed(tree_replace(&d->ops, dir, "manifest", buf_bytes(&wire), NULL)));
    buf_done(&wire);
}

static void before_install(struct data *d)
{
    data_open(d);
    put(d, "state/000009.sst", "old");
    put(d, "state/CURRENT", "old");
    put(d, "state.old/CURRENT", "older"); /* left by an earlier crash */
    put(d, "checkpoints/new/state/CURRENT", "half");
    put_install(d, INDEX);
}

/* Whatever happened: the old state or the new one is whole, where a start looks for it. */
static void nothing_is_lost(const struct data *d)
{
    bool old = strcmp(get(d, "state/CURRENT"), "old") == 0 && there(d, "state/000009.sst");
    bool now = strcmp(get(d, "state/CURRENT"), "new") == 0 && there(d, "state/000001.sst");
    bool next = strcmp(get(d, "install/state/CURRENT"), "new") == 0 &&
                there(d, "install/state/000001.sst") && there(d, "install/manifest");
    assert_true(now || next);
    assert_true(now || old || strcmp(get(d, "state.old/CURRENT"), "old") == 0);
}

static void installed_whole(const struct data *d)
{
    assert_string_equal(get(d, "state/CURRENT"), "new");
    assert_string_equal(get(d, "state/000001.sst"), "new");
    assert_false(there(d, "state/000009.sst"));
    assert_false(there(d, "state.old"));
    assert_false(there(d, "install"));
    assert_false(there(d, "checkpoints/new"));
    assert_string_equal(get(d, "checkpoints/000000000000002a/state/CURRENT"), "new");
    assert_string_equal(get(d, "checkpoints/000000000000002a/state/000001.sst"), "new");
    assert_true(there(d, "checkpoints/000000000000002a/manifest"));
}

/* The files here are no database; that a state is adopted before the rest goes is what counts. */
static err adopts_once(const char *state, struct errtext *reterr)
{
    char path[4200];
    struct stat facts;
    (void)reterr;
    (void)snprintf(path, sizeof path, "%s/CURRENT", state);
    assert_int_equal(stat(path, &facts), 0);
    (void)snprintf(path, sizeof path, "%s/../install", state);
    assert_int_equal(stat(path, &facts), 0);
    return err_ok();
}

static void an_install_survives_a_fault_at_every_step(void **state)
{
    (void)state;
    for (int effect = 0; effect < 2; effect++) {
        uint64_t at = 1;
        for (bool faulted = true; faulted; at++) {
            struct data d;
            struct faulty f = {.at = at, .takes_effect = effect == 1};
            struct fileops ops = faulty_ops(&f);
            struct errtext why;
            bool switched = false;
            before_install(&d);
            struct checkpoint_paths broken = {&ops, d.dir};
            err e = work_install(&broken, INDEX, adopts_once, &switched, &why);
            faulted = f.dead;
            assert_true(faulted || !failed(e));
            nothing_is_lost(&d);
            /* The next start, and one more. */
            e = work_install(&d.paths, INDEX, adopts_once, &switched, &why);
            assert_false(failed(e));
            installed_whole(&d);
            assert_false(failed(work_install(&d.paths, INDEX, adopts_once, &switched, &why)));
            assert_false(switched);
            installed_whole(&d);
            data_close(&d);
        }
        assert_true(at > 40); /* it was a long way */
    }
}

static void a_fetch_that_was_not_recorded_is_forgotten(void **state)
{
    (void)state;
    struct data d;
    struct errtext why;
    bool switched = true;
    before_install(&d);
    assert_false(failed(work_install(&d.paths, INDEX - 1, adopts_once, &switched, &why)));
    assert_false(switched);
    assert_string_equal(get(&d, "state/CURRENT"), "old");
    assert_false(there(&d, "install"));
    put_install(&d, INDEX);
    assert_false(failed(work_install(&d.paths, 0, adopts_once, &switched, &why))); /* none at all */
    assert_false(switched);
    assert_string_equal(get(&d, "state/CURRENT"), "old");
    data_close(&d);
}

/* ---- checkpoints of a real ledger ---- */

static struct world *world_of_some_blocks(void)
{
    static struct world w;
    world_open(&w, CONTRACTS, 1);
    for (uint8_t i = 1; i < 4; i++) {
        const struct plan plan = {
            .signers = {KEY_TELLER},
            .on_behalf = "teller",
            .id = i,
            .actions = {{"test.bank", "open", "{\"who\":\"anna\"}"}},
        };
        world_do(&w, &plan);
    }
    return &w;
}

static struct manifest *take_after(const struct data *d, struct world *w,
                                   const struct manifest *before)
{
    struct manifest *m = NULL;
    struct errtext why = {""};
    struct consensus_mark mark = {.index = ledger_applied_index(w->ledger),
                                  .term = 7,
                                  .conf_index = 1,
                                  .conf = entry_new(1, ENTRY_CHANGE, bytes_text("conf"))};
    assert_false(failed(work_clear_new(&d->paths, &why)));
    struct checkpoint_path copy = checkpoint_path(&d->paths, "checkpoints/new", "state");
    assert_false(failed(kv_checkpoint(w->kv, copy.text, &why)));
    err e = work_finish(&d->paths, &mark, before, &m, &why);
    assert_string_equal(failed(e) ? why.text : "", "");
    entry_unref(mark.conf);
    return m;
}

static struct manifest *take(const struct data *d, struct world *w)
{
    return take_after(d, w, NULL);
}

static struct manifest_file *table_of(struct manifest *m)
{
    for (uint32_t i = 0; i < m->file_count; i++) {
        if (strstr(m->files[i].name, ".sst") != NULL) {
            return &m->files[i];
        }
    }
    fail_msg("there is no table");
    return NULL;
}

/* A table of the same name and size is not hashed again; every other file is. */
static void hashes_of_tables_are_taken_over(void **state)
{
    (void)state;
    struct data d;
    struct world *w = world_of_some_blocks();
    data_open(&d);
    assert_false(failed(kv_flush(w->kv, NULL)));
    struct manifest *first = take(&d, w);
    struct manifest_file *table = table_of(first);
    struct manifest_file real = *table;
    memset(table->hash, 0xaa, sizeof table->hash);
    struct manifest *second = take_after(&d, w, first);
    assert_memory_equal(table_of(second)->hash, table->hash, 32); /* it was taken over */
    assert_string_equal(table_of(second)->name, real.name);
    table->size++; /* of another size it is another file */
    struct manifest *third = take_after(&d, w, first);
    assert_memory_equal(table_of(third)->hash, real.hash, 32);
    for (uint32_t i = 0; i < first->file_count; i++) {
        first->files[i].hash[0] ^= 1; /* CURRENT, MANIFEST-...: as they are now */
    }
    struct manifest *fourth = take_after(&d, w, first);
    for (uint32_t i = 0; i < fourth->file_count; i++) {
        bool own = strstr(fourth->files[i].name, ".sst") == NULL;
        assert_true(!own || memcmp(fourth->files[i].hash, third->files[i].hash, 32) == 0);
    }
    manifest_free(first);
    manifest_free(second);
    manifest_free(third);
    manifest_free(fourth);
    world_close(w);
    data_close(&d);
}

/* A node that stops does not wait until a large state is read through. */
static void reading_through_can_be_given_up(void **state)
{
    (void)state;
    struct data d;
    struct world *w = world_of_some_blocks();
    struct errtext why;
    atomic_bool stop = false;
    uint32_t damaged = 0;
    data_open(&d);
    d.paths.stop = &stop;
    struct manifest *m = take(&d, w);
    struct checkpoint_path dir = checkpoint_dir(&d.paths, m->id.index, NULL);
    assert_false(failed(work_verify(&d.paths, dir.text, m, NULL, &damaged, &why)));
    atomic_store(&stop, true);
    assert_true(err_is(work_verify(&d.paths, dir.text, m, NULL, &damaged, &why), ERR_AGAIN));
    assert_int_equal(damaged, 0);
    struct ledger_facts facts;
    assert_true(err_is(ledger_examine_until(w->kv, &stop, &facts, &why), ERR_AGAIN));
    manifest_free(m);
    world_close(w);
    data_close(&d);
}

static void a_checkpoint_says_what_it_holds(void **state)
{
    (void)state;
    struct data d;
    struct world *w = world_of_some_blocks();
    struct errtext why;
    uint8_t digest[32];
    data_open(&d);
    struct manifest *m = take(&d, w);
    struct ledger_head head = ledger_head(w->ledger);
    assert_int_equal(m->id.index, ledger_applied_index(w->ledger));
    assert_int_equal(m->id.term, 7);
    assert_int_equal(m->id.height, head.height);
    assert_int_equal(m->id.position, head.position);
    assert_memory_equal(m->id.digest, head.digest, 32);
    assert_false(failed(ledger_state_digest(w->ledger, digest, &why)));
    assert_memory_equal(m->id.state_digest, digest, 32);
    uint64_t indexes[4];
    size_t count = 0;
    assert_false(failed(work_list(&d.paths, indexes, 4, &count, &why)));
    assert_int_equal(count, 1);
    assert_int_equal(indexes[0], m->id.index);
    bool whole = false;
    struct checkpoint_path dir = checkpoint_dir(&d.paths, m->id.index, NULL);
    assert_false(failed(work_whole(&d.paths, dir.text, m, &whole, &why)));
    assert_true(whole);
    assert_false(failed(work_drop_files(&d.paths, m->id.index, &why)));
    assert_false(failed(work_whole(&d.paths, dir.text, m, &whole, &why)));
    assert_false(whole);
    assert_false(failed(work_list(&d.paths, indexes, 4, &count, &why)));
    assert_int_equal(count, 1); /* it is still known by name */
    assert_false(failed(work_drop(&d.paths, m->id.index, &why)));
    assert_false(failed(work_list(&d.paths, indexes, 4, &count, &why)));
    assert_int_equal(count, 0);
    manifest_free(m);
    world_close(w);
    data_close(&d);
}

static void facts_of(const char *state, struct ledger_facts *ret)
{
    struct kv_options options = {.read_only = true};
    struct kv *kv = NULL;
    ledger_kv_families(&options);
    assert_false(failed(kv_open(state, &options, &kv, NULL)));
    assert_false(failed(ledger_examine(kv, ret, NULL)));
    kv_close(kv);
}

/* Keys of the families from first on, which are this node's own. */
static size_t own_keys(const char *state, size_t first)
{
    struct kv_options options = {.read_only = true};
    struct kv *kv = NULL;
    size_t count = 0;
    ledger_kv_families(&options);
    assert_false(failed(kv_open(state, &options, &kv, NULL)));
    for (size_t family = first; family < options.families_count; family++) {
        struct kv_range range = {.family = family};
        struct kv_iter *it = kv_iter_open(kv, &range);
        struct bytes key;
        struct bytes value;
        while (kv_iter_next(it, &key, &value)) {
            count++;
        }
        assert_false(failed(kv_iter_close(it, NULL)));
    }
    kv_close(kv);
    return count;
}

/* What an event read is evaluated again as it stands: it may not be another node's word. */
static void what_is_the_senders_own_is_forgotten(void **state)
{
    (void)state;
    struct data d;
    struct world *w = world_of_some_blocks();
    struct ledger_facts before;
    struct ledger_facts after;
    data_open(&d);
    struct manifest *m = take(&d, w);
    struct checkpoint_path at = checkpoint_dir(&d.paths, m->id.index, "state");
    assert_true(own_keys(at.text, FAMILY_TRACES) > 0);
    facts_of(at.text, &before);
    assert_false(failed(work_adopt(at.text, NULL)));
    assert_false(failed(work_adopt(at.text, NULL))); /* a start after a crash does it again */
    assert_int_equal(own_keys(at.text, FAMILY_TRACES), 0);
    assert_int_equal(own_keys(at.text, FAMILY_LOCAL), 1);
    facts_of(at.text, &after);
    assert_int_equal(after.applied_index, before.applied_index);
    assert_memory_equal(after.state_digest, before.state_digest, 32);
    manifest_free(m);
    world_close(w);
    data_close(&d);
}

static void copy_to_staging(const struct data *d, const struct manifest *m)
{
    struct errtext why;
    struct checkpoint_path from = checkpoint_dir(&d->paths, m->id.index, "state");
    struct checkpoint_path to = checkpoint_path(&d->paths, "staging", "state");
    uint64_t *have = mem_new(m->file_count, sizeof *have);
    assert_false(failed(work_stage(&d->paths, m, false, have, &why)));
    for (uint32_t i = 0; i < m->file_count; i++) {
        struct buf b;
        char path[CHECKPOINT_PATH_BYTES + 80];
        assert_int_equal(have[i], 0);
        snprintf(path, sizeof path, "%s/%s", from.text, m->files[i].name);
        buf_init(&b, 16 << 20);
        assert_false(failed(tree_read(&d->ops, path, 16 << 20, &b, &why)));
        assert_false(failed(tree_replace(&d->ops, to.text, m->files[i].name, buf_bytes(&b), &why)));
        buf_done(&b);
    }
    free(have);
}

static void damage(const struct data *d, const char *name)
{
    char path[CHECKPOINT_PATH_BYTES];
    uint8_t byte = 0;
    snprintf(path, sizeof path, "%s/staging/state/%s", d->dir, name);
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, 5), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, 5), 1);
    close(fd);
}

static void what_was_fetched_is_checked(void **state)
{
    (void)state;
    struct data d;
    struct world *w = world_of_some_blocks();
    struct errtext why = {""};
    uint32_t damaged = 0;
    data_open(&d);
    struct manifest *m = take(&d, w);
    uint64_t *have = mem_new(m->file_count, sizeof *have);
    copy_to_staging(&d, m);
    struct checkpoint_path staging = checkpoint_path(&d.paths, "staging", NULL);
    assert_false(failed(work_stage(&d.paths, m, true, have, &why)));
    for (uint32_t i = 0; i < m->file_count; i++) {
        assert_int_equal(have[i], m->files[i].size); /* resumed: all of it is here */
    }
    assert_false(failed(work_verify(&d.paths, staging.text, m, have, &damaged, &why)));
    assert_int_equal(damaged, 0);
    /* A byte of one file: found, removed, and alone fetched again. */
    damage(&d, m->files[0].name);
    assert_false(failed(work_verify(&d.paths, staging.text, m, have, &damaged, &why)));
    assert_int_equal(damaged, 1);
    assert_int_equal(have[0], 0);
    assert_int_equal(have[1], m->files[1].size);
    copy_to_staging(&d, m);
    /* Sound files of a state that is not the one that was agreed upon. */
    m->id.state_digest[0] ^= 1;
    assert_int_equal(work_verify(&d.paths, staging.text, m, have, &damaged, &why).code,
                     ERR_CONFLICT);
    m->id.state_digest[0] ^= 1;
    /* A file that nobody named. */
    put(&d, "staging/state/999999.sst", "more");
    assert_int_equal(work_verify(&d.paths, staging.text, m, have, &damaged, &why).code,
                     ERR_CONFLICT);
    free(have);
    manifest_free(m);
    world_close(w);
    data_close(&d);
}

static void a_lost_state_comes_from_the_newest_sound_checkpoint(void **state)
{
    (void)state;
    struct data d;
    struct world *w = world_of_some_blocks();
    struct errtext why = {""};
    uint64_t index = 0;
    data_open(&d);
    struct manifest *m = take(&d, w);
    uint64_t own = m->id.index;
    put(&d, "state/CURRENT", "damaged");
    assert_int_equal(work_restore(&d.paths, own + 1, own + 9, &index, &why).code, ERR_NOT_FOUND);
    assert_int_equal(work_restore(&d.paths, 0, own - 1, &index, &why).code, ERR_NOT_FOUND);
    assert_string_equal(get(&d, "state/CURRENT"), "damaged");
    assert_false(failed(work_restore(&d.paths, 0, own, &index, &why)));
    assert_int_equal(index, own);
    assert_string_equal(get(&d, "state.damaged/CURRENT"), "damaged");
    /* It opens, and is what it was. */
    struct kv_options options = {0};
    struct kv *kv = NULL;
    struct ledger_facts facts;
    struct checkpoint_path path = checkpoint_path(&d.paths, "state", NULL);
    ledger_kv_families(&options);
    assert_false(failed(kv_open(path.text, &options, &kv, &why)));
    assert_false(failed(ledger_examine(kv, &facts, &why)));
    assert_memory_equal(facts.state_digest, m->id.state_digest, 32);
    kv_close(kv);
    /* The state lives on; the checkpoint stays what it was. */
    struct checkpoint_path dir = checkpoint_dir(&d.paths, own, NULL);
    uint32_t damaged = 0;
    assert_false(failed(work_verify(&d.paths, dir.text, m, NULL, &damaged, &why)));
    assert_int_equal(damaged, 0);
    manifest_free(m);
    world_close(w);
    data_close(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_install_survives_a_fault_at_every_step),
        cmocka_unit_test(a_fetch_that_was_not_recorded_is_forgotten),
        cmocka_unit_test(a_checkpoint_says_what_it_holds),
        cmocka_unit_test(hashes_of_tables_are_taken_over),
        cmocka_unit_test(reading_through_can_be_given_up),
        cmocka_unit_test(what_is_the_senders_own_is_forgotten),
        cmocka_unit_test(what_was_fetched_is_checked),
        cmocka_unit_test(a_lost_state_comes_from_the_newest_sound_checkpoint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
