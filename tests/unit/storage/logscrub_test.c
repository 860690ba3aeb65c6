/* The scrub of closed segments: sound ones pass in steps, every flipped byte is found with its
 * place, a segment that was dropped is no damage. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "storage/dir.h"
#include "storage/logscrub.h"

enum { ENTRIES = 60, ENTRY_BYTES = 1000 };

static char dir[64];
static struct logstore *ls;

static void run(struct logstore_job *job)
{
    assert_false(failed(logstore_submit(ls, job)));
    logstore_run(ls);
    assert_ptr_equal(logstore_completed(ls), job);
    assert_false(failed(job->result));
}

static int up(void **state)
{
    struct logstore_recovered r;
    struct logstore_options o = {.segment_bytes = 16 << 10, .no_thread = true};
    struct errtext why = {""};
    uint8_t data[ENTRY_BYTES];
    snprintf(dir, sizeof dir, "/tmp/concordat-scrub-XXXXXX");
    if (mkdtemp(dir) == NULL || failed(logstore_open(dir, &o, &ls, &r, &why))) {
        return 1;
    }
    struct logstore_job hard = {.kind = LOGSTORE_HARD, .term = 1};
    run(&hard);
    for (uint64_t i = 1; i <= ENTRIES; i++) {
        memset(data, (int)i, sizeof data);
        struct logstore_entry entry = {1, 1, bytes_of(data, sizeof data)};
        struct logstore_job job = {
            .kind = LOGSTORE_ENTRIES, .first = i, .entries = &entry, .entries_count = 1};
        run(&job);
    }
    return 0;
}

static int down(void **state)
{
    logstore_close(ls);
    return failed(dir_remove(dir, NULL));
}

/* Reads one segment in steps of a byte or more. */
static err scrub(uint64_t segment, uint64_t *ret_bytes, uint32_t *ret_steps, struct errtext *why)
{
    struct logscrub *s = logscrub_new(ls, segment);
    struct logscrub_step step = {0};
    err e = err_ok();
    *ret_bytes = 0;
    *ret_steps = 0;
    while (!failed(e) && !step.done) {
        e = logscrub_run(s, 1, &step, why);
        *ret_bytes += failed(e) ? 0 : step.bytes;
        *ret_steps += 1;
    }
    logscrub_free(s);
    return e;
}

static void sound_segments_pass(void **state)
{
    uint64_t first = 0;
    uint64_t end = 0;
    uint64_t all = 0;
    struct errtext why;
    logscrub_range(ls, &first, &end);
    assert_int_equal(first, 1);
    assert_true(end > 3);
    for (uint64_t i = first; i < end; i++) {
        uint64_t bytes = 0;
        uint32_t steps = 0;
        assert_false(failed(scrub(i, &bytes, &steps, &why)));
        assert_true(steps > 5); /* one a group */
        all += bytes;
    }
    assert_true(all > (uint64_t)(ENTRIES - 16) * ENTRY_BYTES);
}

static void flip(const char *path, off_t at)
{
    uint8_t byte = 0;
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= 0x10;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

static void each_flipped_byte_is_found(void **state)
{
    char path[128];
    struct errtext why = {""};
    uint64_t size = 0;
    uint32_t steps = 0;
    snprintf(path, sizeof path, "%s/segment-%016x", dir, 2);
    assert_false(failed(scrub(2, &size, &steps, &why)));
    for (off_t at = 8; at < (off_t)size; at += 37) {
        uint64_t bytes = 0;
        flip(path, at);
        err e = scrub(2, &bytes, &steps, &why);
        bool padding = !failed(e); /* a group's padding is checked, a segment's reserve is not */
        assert_true(padding ? at < 64 : err_is(e, ERR_CORRUPT));
        assert_true(padding || strstr(why.text, path) != NULL);
        assert_true(padding || strstr(why.text, "damaged at offset") != NULL);
        flip(path, at);
    }
    assert_false(failed(scrub(2, &size, &steps, &why)));
}

static void a_dropped_segment_is_no_damage(void **state)
{
    char path[128];
    struct errtext why;
    uint64_t bytes = 0;
    uint32_t steps = 0;
    snprintf(path, sizeof path, "%s/segment-%016x", dir, 1);
    assert_int_equal(unlink(path), 0);
    assert_true(err_is(scrub(1, &bytes, &steps, &why), ERR_NOT_FOUND));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(sound_segments_pass, up, down),
        cmocka_unit_test_setup_teardown(each_flipped_byte_is_found, up, down),
        cmocka_unit_test_setup_teardown(a_dropped_segment_is_no_damage, up, down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
