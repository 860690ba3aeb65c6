/* The small parts: the index of entries, latency figures, directories. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "storage/dir.h"
#include "storage/latency.h"
#include "storage/logindex.h"

static void index_grows_cuts_and_trims(void **state)
{
    struct logindex x;
    logindex_init(&x, 1);
    assert_int_equal(logindex_last(&x), 0);
    assert_null(logindex_get(&x, 0));
    assert_null(logindex_get(&x, 1));
    for (uint64_t i = 1; i <= 5000; i++) {
        struct logplace p = {i, 1, (uint32_t)i, 0, 1};
        logindex_add(&x, &p);
        if (i % 3 == 0) {
            logindex_trim(&x, i - 1);
        }
    }
    assert_int_equal(x.first, 4997);
    assert_int_equal(logindex_last(&x), 5000);
    assert_int_equal(logindex_get(&x, 4999)->term, 4999);
    assert_null(logindex_get(&x, 4996));
    logindex_cut(&x, 5000);
    assert_null(logindex_get(&x, 5000));
    logindex_cut(&x, 6000); /* beyond the end: nothing to cut */
    assert_int_equal(logindex_last(&x), 4999);
    logindex_trim(&x, 5000);
    assert_int_equal(x.count, 0);
    assert_int_equal(logindex_last(&x), 4999);
    logindex_clear(&x, 9);
    assert_int_equal(logindex_last(&x), 8);
    logindex_done(&x);
}

static void latency_is_known_within_a_quarter(void **state)
{
    struct latency l = {0};
    assert_int_equal(latency_quantile(&l, 990), 0);
    for (uint64_t i = 1; i <= 1000; i++) {
        latency_add(&l, i * 1000);
    }
    static const uint64_t permille[] = {1, 10, 100, 500, 900, 990, 999, 1000};
    for (size_t i = 0; i < sizeof permille / sizeof permille[0]; i++) {
        uint64_t truth = permille[i] * 1000;
        uint64_t got = latency_quantile(&l, permille[i]);
        assert_true(got >= truth);
        assert_true(got <= truth + truth / 4);
    }
    assert_int_equal(l.max_ns, 1000000);
    latency_add(&l, 0);
    latency_add(&l, UINT64_MAX);
    assert_int_equal(latency_quantile(&l, 1000), UINT64_MAX);
}

static void directories(void **state)
{
    char base[] = "/tmp/concordat-dir-XXXXXX";
    char path[200];
    struct errtext why = {""};
    struct stat st;
    assert_non_null(mkdtemp(base));
    snprintf(path, sizeof path, "%s/a/b/c/", base);
    assert_false(failed(dir_make(path, &why)));
    assert_false(failed(dir_make(path, &why)));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    assert_false(failed(dir_sync(path, &why)));
    uint64_t room = 0;
    assert_false(failed(dir_free_bytes(path, &room, &why)));
    assert_true(room > 0);
    snprintf(path, sizeof path, "%s/a/file", base);
    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    close(fd);
    assert_true(err_is(dir_make(path, &why), ERR_IO));
    assert_non_null(strstr(why.text, path));
    assert_true(err_is(dir_make("", &why), ERR_IO));
    snprintf(path, sizeof path, "%s/link", base);
    assert_int_equal(symlink("/tmp", path), 0);
    assert_false(failed(dir_remove(base, &why)));
    assert_int_not_equal(stat(base, &st), 0);
    assert_int_equal(stat("/tmp", &st), 0);
    assert_false(failed(dir_remove(base, &why)));
    assert_true(err_is(dir_sync(base, &why), ERR_IO));
    assert_true(err_is(dir_free_bytes(base, &room, &why), ERR_IO));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(index_grows_cuts_and_trims),
        cmocka_unit_test(latency_is_known_within_a_quarter),
        cmocka_unit_test(directories),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
