/* The key-value store on a real disk. */
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "storage/dir.h"
#include "storage/kv.h"

enum { ACCOUNTS, ROWS };
static const struct kv_family families[] = {{.name = "accounts", .point_lookup = true},
                                            {.name = "rows"}};
static char dir[64];
static struct errtext why;

static int make_dir(void **state)
{
    snprintf(dir, sizeof dir, "/tmp/concordat-kv-XXXXXX");
    why.text[0] = '\0';
    return mkdtemp(dir) == NULL;
}

static int drop_dir(void **state)
{
    return failed(dir_remove(dir, NULL));
}

static struct kv *open_kv(void)
{
    struct kv_options o = {.families = families, .families_count = 2};
    struct kv *kv = NULL;
    err e = kv_open(dir, &o, &kv, &why);
    if (failed(e)) {
        print_error("%s\n", why.text);
    }
    assert_false(failed(e));
    return kv;
}

static void put(struct kv_batch *b, const struct kv *kv, size_t family, const char *key,
                const char *value)
{
    kv_batch_put(b, kv, family, bytes_text(key), bytes_text(value));
}

static void put_now(struct kv *kv, size_t family, const char *key, const char *value)
{
    struct kv_batch *b = kv_batch_new();
    put(b, kv, family, key, value);
    assert_false(failed(kv_commit(kv, b, false, &why)));
    kv_batch_free(b);
}

static void assert_value(struct kv *kv, size_t family, const char *key, const char *want)
{
    struct buf value;
    buf_init(&value, 1 << 20);
    err e = kv_get(kv, family, bytes_text(key), &value, &why);
    if (want == NULL) {
        assert_true(err_is(e, ERR_NOT_FOUND));
        assert_int_equal(value.size, 0);
    } else {
        assert_false(failed(e));
        assert_true(bytes_equal(buf_bytes(&value), bytes_text(want)));
    }
    buf_done(&value);
}

static void batches_take_effect_as_a_whole(void **state)
{
    struct kv *kv = open_kv();
    struct kv_batch *b = kv_batch_new();
    put(b, kv, ACCOUNTS, "a", "1");
    put(b, kv, ROWS, "a", "row");
    put(b, kv, ACCOUNTS, "b", "2");
    put(b, kv, ACCOUNTS, "empty", "");
    kv_batch_delete(b, kv, ACCOUNTS, bytes_text("b"));
    assert_int_equal(kv_batch_count(b), 5);
    assert_true(kv_batch_bytes(b) > 10);
    assert_value(kv, ACCOUNTS, "a", NULL);
    assert_false(failed(kv_commit(kv, b, true, &why)));
    assert_value(kv, ACCOUNTS, "a", "1");
    assert_value(kv, ROWS, "a", "row");
    assert_value(kv, ACCOUNTS, "b", NULL);
    assert_value(kv, ACCOUNTS, "empty", "");
    kv_batch_clear(b);
    assert_int_equal(kv_batch_count(b), 0);
    kv_batch_delete_range(b, kv, ACCOUNTS, bytes_text("a"), bytes_text("b"));
    assert_false(failed(kv_commit(kv, b, false, &why)));
    assert_value(kv, ACCOUNTS, "a", NULL);
    assert_value(kv, ACCOUNTS, "empty", "");
    kv_batch_free(b);
    kv_batch_free(NULL);
    kv_close(kv);
    kv = open_kv();
    assert_value(kv, ROWS, "a", "row");
    assert_value(kv, ACCOUNTS, "a", NULL);
    struct buf small;
    buf_init(&small, 2);
    assert_true(err_is(kv_get(kv, ROWS, bytes_text("a"), &small, &why), ERR_LIMIT));
    assert_int_equal(small.size, 0);
    buf_done(&small);
    kv_close(kv);
    kv_close(NULL);
}

/* The keys of a range, separated by spaces. */
static void assert_keys(struct kv *kv, const struct kv_range *range, const char *seek,
                        const char *want)
{
    char got[200] = "";
    size_t used = 0;
    struct kv_iter *it = kv_iter_open(kv, range);
    if (seek != NULL) {
        kv_iter_seek(it, bytes_text(seek));
    }
    struct bytes key;
    struct bytes value;
    while (kv_iter_next(it, &key, &value)) {
        used += (size_t)snprintf(got + used, sizeof got - used, "%s%.*s", used > 0 ? " " : "",
                                 (int)key.size, (const char *)key.data);
        assert_true(bytes_equal(value, bytes_text("v")));
    }
    assert_false(kv_iter_next(it, &key, &value)); /* the end stays the end */
    assert_false(failed(kv_iter_close(it, &why)));
    assert_string_equal(got, want);
}

static void ranges(void **state)
{
    struct kv *kv = open_kv();
    static const char *const keys[] = {"a", "b", "b1", "b2", "b\xff", "b\xff\xff", "c", "d"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        put_now(kv, ROWS, keys[i], "v");
        if (i == 3) {
            assert_false(failed(kv_flush(kv, &why)));
        }
    }
    struct kv_range all = {.family = ROWS, .fill_cache = true};
    assert_keys(kv, &all, NULL, "a b b1 b2 b\xff b\xff\xff c d");
    struct kv_range middle = {ROWS, bytes_text("b1"), bytes_text("c"), false, true};
    assert_keys(kv, &middle, NULL, "b1 b2 b\xff b\xff\xff");
    middle.reverse = true;
    assert_keys(kv, &middle, NULL, "b\xff\xff b\xff b2 b1");
    assert_keys(kv, &middle, "b3", "b2 b1");
    assert_keys(kv, &middle, "z", "b\xff\xff b\xff b2 b1");
    middle.reverse = false;
    assert_keys(kv, &middle, "b2", "b2 b\xff b\xff\xff");
    assert_keys(kv, &middle, "a", "b1 b2 b\xff b\xff\xff");
    assert_keys(kv, &middle, "c", "");
    struct kv_prefix_room room;
    struct kv_range prefix = kv_range_prefix(ROWS, bytes_text("b"), &room);
    assert_keys(kv, &prefix, NULL, "b b1 b2 b\xff b\xff\xff");
    prefix = kv_range_prefix(ROWS, bytes_text("b\xff"), &room);
    assert_keys(kv, &prefix, NULL, "b\xff b\xff\xff");
    prefix = kv_range_prefix(ROWS, bytes_text("\xff"), &room);
    assert_int_equal(prefix.upper.size, 0); /* nothing is beyond: to the end */
    assert_keys(kv, &prefix, NULL, "");
    prefix = kv_range_prefix(ROWS, bytes_text("x"), &room);
    assert_keys(kv, &prefix, NULL, "");
    struct kv_range other = {.family = ACCOUNTS};
    assert_keys(kv, &other, NULL, "");
    kv_close(kv);
}

/* An iterator shows the store as it was when it was opened. */
static void iterators_are_snapshots(void **state)
{
    struct kv *kv = open_kv();
    put_now(kv, ROWS, "a", "v");
    struct kv_range all = {.family = ROWS};
    struct kv_iter *it = kv_iter_open(kv, &all);
    put_now(kv, ROWS, "b", "v");
    struct bytes key;
    struct bytes value;
    assert_true(kv_iter_next(it, &key, &value));
    assert_false(kv_iter_next(it, &key, &value));
    assert_false(failed(kv_iter_close(it, &why)));
    kv_close(kv);
}

static void open_refusals(void **state)
{
    struct kv *other = NULL;
    struct kv_options o = {.families = families, .families_count = 2, .read_only = true};
    assert_true(err_is(kv_open(dir, &o, &other, &why), ERR_NOT_FOUND));
    struct kv *kv = open_kv();
    o.read_only = false;
    assert_true(err_is(kv_open(dir, &o, &other, &why), ERR_AGAIN));
    kv_close(kv);
    o.families_count = 1;
    assert_true(err_is(kv_open(dir, &o, &other, &why), ERR_UNSUPPORTED));
    assert_non_null(strstr(why.text, "rows"));
    assert_true(err_is(kv_open("/proc/version/state", &o, &other, &why), ERR_IO));
}

/* A store whose CURRENT file is gone is not taken for a new, empty one. */
static void lost_head_is_refused(void **state)
{
    struct kv *other = NULL;
    struct kv_options o = {.families = families, .families_count = 2};
    struct kv *kv = open_kv();
    put_now(kv, ROWS, "a", "v");
    kv_close(kv);
    char path[100];
    snprintf(path, sizeof path, "%s/CURRENT", dir);
    assert_int_equal(unlink(path), 0);
    assert_true(err_is(kv_open(dir, &o, &other, &why), ERR_CORRUPT));
    assert_non_null(strstr(why.text, "CURRENT"));
}

static void checkpoint_is_a_copy(void **state)
{
    char copy[100];
    struct kv *kv = open_kv();
    snprintf(copy, sizeof copy, "%s/copy", dir);
    put_now(kv, ROWS, "a", "old");
    assert_false(failed(kv_checkpoint(kv, copy, &why)));
    assert_true(err_is(kv_checkpoint(kv, copy, &why), ERR_EXISTS));
    put_now(kv, ROWS, "a", "new");
    struct kv_options o = {.families = families, .families_count = 2, .read_only = true};
    struct kv *there = NULL;
    assert_false(failed(kv_open(copy, &o, &there, &why)));
    assert_value(there, ROWS, "a", "old");
    assert_value(kv, ROWS, "a", "new");
    assert_false(failed(kv_verify(there, &why)));
    kv_close(there);
    kv_close(kv);
}

static void killed_process_loses_nothing(void **state)
{
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    pid_t child = fork();
    if (child == 0) {
        struct kv *kv = open_kv();
        for (int i = 0;; i++) {
            char key[20];
            snprintf(key, sizeof key, "%06d", i);
            put_now(kv, ACCOUNTS, key, "v");
            put_now(kv, ROWS, key, "v");
            if (write(pipes[1], &i, sizeof i) != sizeof i) {
                _exit(1);
            }
        }
    }
    close(pipes[1]);
    int acked = 0;
    for (int i = 0; i < 300; i++) {
        assert_int_equal(read(pipes[0], &acked, sizeof acked), sizeof acked);
    }
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    close(pipes[0]);
    struct kv *kv = open_kv();
    for (int i = 0; i <= acked; i++) {
        char key[20];
        snprintf(key, sizeof key, "%06d", i);
        assert_value(kv, ACCOUNTS, key, "v");
        assert_value(kv, ROWS, key, "v");
    }
    kv_close(kv);
}

/* The path of the first file whose name ends so. */
static void find_file(const char *end, char *ret, size_t size)
{
    DIR *d = opendir(dir);
    assert_non_null(d);
    ret[0] = '\0';
    for (const struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
        size_t length = strlen(e->d_name);
        if (length > strlen(end) && strcmp(e->d_name + length - strlen(end), end) == 0) {
            snprintf(ret, size, "%s/%s", dir, e->d_name);
        }
    }
    closedir(d);
    assert_true(ret[0] != '\0');
}

static void fill(struct kv *kv)
{
    struct kv_batch *b = kv_batch_new();
    uint64_t x = 1;
    for (int i = 0; i < 2000; i++) {
        char key[20];
        uint64_t noise[8];
        for (size_t k = 0; k < 8; k++) {
            noise[k] = x = x * UINT64_C(6364136223846793005) + 1442695040888963407;
        }
        snprintf(key, sizeof key, "%06d", i);
        kv_batch_put(b, kv, ROWS, bytes_text(key), bytes_of(noise, sizeof noise));
    }
    assert_false(failed(kv_commit(kv, b, false, &why)));
    kv_batch_free(b);
}

static void damaged_table_is_named(void **state)
{
    struct kv *kv = open_kv();
    fill(kv);
    assert_false(failed(kv_flush(kv, &why)));
    assert_false(failed(kv_verify(kv, &why)));
    kv_close(kv);
    char path[400];
    find_file(".sst", path, sizeof path);
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    uint8_t byte = 0;
    assert_int_equal(pread(fd, &byte, 1, 30000), 1);
    byte ^= 0x10;
    assert_int_equal(pwrite(fd, &byte, 1, 30000), 1);
    close(fd);
    kv = open_kv();
    assert_true(err_is(kv_verify(kv, &why), ERR_CORRUPT));
    assert_non_null(strstr(why.text, ".sst"));
    kv_close(kv);
}

/* A write-ahead log that was cut off: what is there is a prefix of the batches, over all families.
 */
static void torn_log_leaves_a_prefix(void **state)
{
    pid_t child = fork();
    if (child == 0) {
        struct kv *kv = open_kv();
        struct kv_batch *b = kv_batch_new();
        for (int i = 0; i < 100; i++) {
            char key[20];
            snprintf(key, sizeof key, "%06d", i);
            kv_batch_clear(b);
            put(b, kv, ACCOUNTS, key, "v");
            put(b, kv, ROWS, key, "v");
            if (failed(kv_commit(kv, b, false, &why))) {
                _exit(1);
            }
        }
        _exit(0); /* without closing */
    }
    int status = 1;
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
    char path[400];
    struct stat st;
    find_file(".log", path, sizeof path);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(truncate(path, st.st_size / 2), 0);
    struct kv *kv = open_kv();
    int have[2] = {0, 0};
    for (size_t family = 0; family < 2; family++) {
        struct kv_range all = {.family = family};
        struct kv_iter *it = kv_iter_open(kv, &all);
        struct bytes key;
        struct bytes value;
        while (kv_iter_next(it, &key, &value)) {
            char want[20];
            snprintf(want, sizeof want, "%06d", have[family]++);
            assert_true(bytes_equal(key, bytes_text(want)));
        }
        assert_false(failed(kv_iter_close(it, &why)));
    }
    assert_int_equal(have[ACCOUNTS], have[ROWS]);
    assert_in_range(have[ROWS], 30, 70);
    kv_close(kv);
}

static void figures(void **state)
{
    struct kv *kv = open_kv();
    struct kv_stats s;
    fill(kv);
    kv_stats(kv, &s);
    assert_true(s.write_buffer_bytes > 100000);
    assert_false(failed(kv_flush(kv, &why)));
    kv_stats(kv, &s);
    assert_int_equal(s.keys_estimate, 2000);
    assert_true(s.disk_bytes > 100000);
    assert_false(s.writes_stopped);
    kv_close(kv);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(batches_take_effect_as_a_whole, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(ranges, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(iterators_are_snapshots, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(open_refusals, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(lost_head_is_refused, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(checkpoint_is_a_copy, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(killed_process_loses_nothing, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(damaged_table_is_named, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(torn_log_leaves_a_prefix, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(figures, make_dir, drop_dir),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
