/* The log on a real disk with its writer thread: order, groups, limits, kill -9, speed. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "storage/dir.h"
#include "storage/fileops.h"
#include "storage/logstore.h"

static char dir[64];
static uint64_t segment_bytes;
static int wake[2]; /* pipe: the writer wakes the loop */

static int make_dir(void **state)
{
    segment_bytes = 0;
    snprintf(dir, sizeof dir, "/tmp/concordat-log-XXXXXX");
    return mkdtemp(dir) == NULL || pipe(wake) != 0;
}

static int drop_dir(void **state)
{
    close(wake[0]);
    close(wake[1]);
    return failed(dir_remove(dir, NULL));
}

static void on_done(void *ctx)
{
    char one = 1;
    ssize_t n = write(wake[1], &one, 1);
    (void)n;
}

static struct logstore *open_log(struct logstore_recovered *ret)
{
    struct logstore_options o = {.on_done = on_done, .segment_bytes = segment_bytes};
    struct logstore *ls = NULL;
    struct errtext why = {""};
    err e = logstore_open(dir, &o, &ls, ret, &why);
    if (failed(e)) {
        print_error("%s\n", why.text);
    }
    assert_false(failed(e));
    return ls;
}

/* Sleeps until the writer says that something is done, and takes it. */
static struct logstore_job *wait_job(struct logstore *ls)
{
    struct logstore_job *job = logstore_completed(ls);
    while (job == NULL) {
        char one;
        ssize_t n = read(wake[0], &one, 1);
        assert_int_equal(n, 1);
        job = logstore_completed(ls);
    }
    assert_false(failed(job->result));
    return job;
}

static void set_term(struct logstore *ls, uint64_t term, uint64_t vote)
{
    struct logstore_job job = {.kind = LOGSTORE_HARD, .term = term, .vote = vote};
    assert_false(failed(logstore_submit(ls, &job)));
    assert_ptr_equal(wait_job(ls), &job);
}

static void append(struct logstore *ls, uint64_t first, uint64_t term, const char *text)
{
    struct logstore_entry entry = {term, 1, bytes_text(text)};
    struct logstore_job job = {
        .kind = LOGSTORE_ENTRIES, .first = first, .entries = &entry, .entries_count = 1};
    assert_false(failed(logstore_submit(ls, &job)));
    assert_ptr_equal(wait_job(ls), &job);
}

static void assert_entry(struct logstore *ls, uint64_t index, const char *text)
{
    struct buf b;
    struct errtext why = {""};
    buf_init(&b, 1 << 20);
    assert_false(failed(logstore_read(ls, index, &b, &why)));
    assert_true(bytes_equal(buf_bytes(&b), bytes_text(text)));
    buf_done(&b);
}

static void keeps_what_it_was_given(void **state)
{
    struct logstore_recovered r;
    struct logstore *ls = open_log(&r);
    assert_true(r.fresh);
    assert_int_equal(r.first, 1);
    assert_int_equal(r.last, 0);
    set_term(ls, 1, 2);
    append(ls, 1, 1, "one");
    append(ls, 2, 1, "two");
    append(ls, 3, 1, "");
    assert_entry(ls, 2, "two");
    set_term(ls, 2, 3);
    append(ls, 2, 2, "new two");
    assert_entry(ls, 1, "one");
    assert_entry(ls, 2, "new two");
    struct logstore_info info;
    assert_true(err_is(logstore_peek(ls, 3, &info), ERR_NOT_FOUND));
    logstore_close(ls);
    ls = open_log(&r);
    assert_false(r.fresh);
    assert_int_equal(r.term, 2);
    assert_int_equal(r.vote, 3);
    assert_int_equal(r.last, 2);
    assert_int_equal(r.cut_bytes, 0);
    assert_entry(ls, 2, "new two");
    logstore_close(ls);
}

static void second_process_is_refused(void **state)
{
    struct logstore_recovered r;
    struct logstore *ls = open_log(&r);
    struct logstore *other = NULL;
    struct errtext why = {""};
    struct logstore_options o = {0};
    assert_true(err_is(logstore_open(dir, &o, &other, &r, &why), ERR_AGAIN));
    assert_non_null(strstr(why.text, "in use by another process"));
    logstore_close(ls);
    assert_true(err_is(logstore_open("/nowhere/at/all", &o, &other, &r, &why), ERR_IO));
}

static void limits(void **state)
{
    struct logstore_recovered r;
    struct logstore *ls = open_log(&r);
    set_term(ls, 1, 0);
    uint8_t *data = mem_new(LOG_ENTRY_BYTES_MAX + 1, 1);
    struct logstore_entry many[9];
    for (size_t i = 0; i < 9; i++) {
        many[i] = (struct logstore_entry){1, 1, bytes_of(data, LOG_ENTRY_BYTES_MAX)};
    }
    struct logstore_job job = {.kind = LOGSTORE_ENTRIES, .first = 1, .entries = many};
    job.entries_count = 9;
    assert_true(err_is(logstore_submit(ls, &job), ERR_LIMIT));
    job.entries_count = 8; /* with their heads still too much */
    assert_true(err_is(logstore_submit(ls, &job), ERR_LIMIT));
    many[7].data.size -= 8 * 25;
    assert_false(failed(logstore_submit(ls, &job)));
    assert_ptr_equal(wait_job(ls), &job);
    job.first = 9;
    job.entries_count = 1;
    many[0].data.size = LOG_ENTRY_BYTES_MAX + 1;
    assert_true(err_is(logstore_submit(ls, &job), ERR_LIMIT));
    struct logstore_job snapshot = {.kind = LOGSTORE_SNAPSHOT};
    snapshot.snapshot =
        (struct logstore_snapshot){8, 1, 9, bytes_of(data, LOG_MANIFEST_BYTES_MAX + 1)};
    assert_true(err_is(logstore_submit(ls, &snapshot), ERR_LIMIT));
    snapshot.snapshot.manifest.size--;
    assert_false(failed(logstore_submit(ls, &snapshot)));
    assert_ptr_equal(wait_job(ls), &snapshot);
    struct buf small;
    buf_init(&small, 2);
    append(ls, 9, 1, "three");
    assert_true(err_is(logstore_read(ls, 9, &small, NULL), ERR_LIMIT));
    assert_true(err_is(logstore_read(ls, 8, &small, NULL), ERR_NOT_FOUND));
    buf_done(&small);
    free(data);
    logstore_close(ls);
}

/* A thousand small jobs come back in order; those that wait share syncs. */
static void groups_share_a_sync(void **state)
{
    enum { JOBS = 1000 };
    struct logstore_recovered r;
    struct logstore *ls = open_log(&r);
    set_term(ls, 1, 0);
    struct logstore_job *jobs = mem_new(JOBS, sizeof *jobs);
    struct logstore_entry *entries = mem_new(JOBS, sizeof *entries);
    for (size_t i = 0; i < JOBS; i++) {
        entries[i] = (struct logstore_entry){1, 1, bytes_text("a small entry")};
        jobs[i] = (struct logstore_job){.kind = LOGSTORE_ENTRIES, .first = i + 1};
        jobs[i].entries = &entries[i];
        jobs[i].entries_count = 1;
        assert_false(failed(logstore_submit(ls, &jobs[i])));
    }
    for (size_t i = 0; i < JOBS; i++) {
        assert_ptr_equal(wait_job(ls), &jobs[i]);
    }
    struct logstore_stats s;
    logstore_stats(ls, &s);
    print_message("%d jobs in %llu groups; sync p50 %llu us, p99 %llu us, max %llu us\n", JOBS,
                  (unsigned long long)s.groups_count, (unsigned long long)s.sync_p50_ns / 1000,
                  (unsigned long long)s.sync_p99_ns / 1000,
                  (unsigned long long)s.sync_max_ns / 1000);
    assert_int_equal(s.jobs_count, JOBS + 1);
    assert_true(s.groups_count < JOBS / 2);
    assert_true(s.syncs_count >= s.groups_count);
    assert_true(s.sync_max_ns > 0 && s.sync_p50_ns <= s.sync_p99_ns);
    assert_int_equal(s.jobs_waiting, 0);
    assert_int_equal(s.segments_count, 1);
    logstore_close(ls);
    ls = open_log(&r);
    assert_int_equal(r.last, JOBS);
    logstore_close(ls);
    free(jobs);
    free(entries);
}

/* The loop reads, looks at figures and takes snapshots while the writer writes. */
static void loop_and_writer_work_at_once(void **state)
{
    enum { FLIGHT = 16, COUNT = 1500, EVERY = 100 };
    static struct logstore_job jobs[FLIGHT];
    static struct logstore_entry entries[FLIGHT];
    static uint8_t data[FLIGHT][3000];
    struct logstore_recovered r;
    struct logstore *ls = open_log(&r);
    struct buf b;
    buf_init(&b, 3000);
    set_term(ls, 1, 0);
    uint64_t sent = 0;
    uint64_t done = 0;
    uint64_t first = 1;
    while (done < COUNT) {
        for (; sent < COUNT && sent - done < FLIGHT; sent++) {
            size_t slot = (size_t)(sent % FLIGHT);
            memset(data[slot], (int)sent, sizeof data[slot]);
            entries[slot] = (struct logstore_entry){1, 1, bytes_of(data[slot], 3000)};
            jobs[slot] = (struct logstore_job){.kind = LOGSTORE_ENTRIES, .first = sent + 1};
            jobs[slot].entries = &entries[slot];
            jobs[slot].entries_count = 1;
            assert_false(failed(logstore_submit(ls, &jobs[slot])));
        }
        assert_ptr_equal(wait_job(ls), &jobs[done % FLIGHT]);
        done++;
        uint64_t index = first + done * 7919 % (done - first + 1);
        assert_false(failed(logstore_read(ls, index, &b, NULL)));
        assert_int_equal(b.size, 3000);
        assert_int_equal(b.data[2999], (uint8_t)(index - 1));
        struct logstore_stats s;
        logstore_stats(ls, &s);
        assert_true(s.jobs_waiting <= FLIGHT);
        if (done % EVERY == 0 && sent == COUNT) {
            struct logstore_job job = {.kind = LOGSTORE_SNAPSHOT};
            job.snapshot = (struct logstore_snapshot){done, 1, done - 50, bytes_text("m")};
            assert_false(failed(logstore_submit(ls, &job)));
            struct logstore_job *back;
            while ((back = wait_job(ls)) != &job) {
                done++;
            }
            first = job.snapshot.log_first;
        }
    }
    logstore_drain(ls);
    assert_null(logstore_completed(ls));
    logstore_close(ls);
    ls = open_log(&r);
    assert_int_equal(r.last, COUNT);
    assert_int_equal(r.first, first);
    logstore_close(ls);
    buf_done(&b);
}

static size_t count_segments(void)
{
    struct fileops ops = fileops_system();
    size_t count = 0;
    char path[120];
    for (unsigned number = 1; number < 20; number++) {
        snprintf(path, sizeof path, "%s/segment-%016x", dir, number);
        int fd = ops.open(ops.ctx, path, O_RDONLY);
        if (fd >= 0) {
            count++;
            ops.close(ops.ctx, fd);
        }
    }
    return count;
}

/* Segments that a snapshot covers go; an installed snapshot empties the log. */
static void snapshots_drop_segments(void **state)
{
    struct logstore_recovered r;
    segment_bytes = 6 << 20;
    struct logstore *ls = open_log(&r);
    set_term(ls, 1, 0);
    uint8_t *data = mem_new(100 << 10, 1);
    uint64_t index = 1;
    for (; index <= 150; index++) {
        struct logstore_entry entry = {1, 1, bytes_of(data, 100 << 10)};
        struct logstore_job job = {.kind = LOGSTORE_ENTRIES, .first = index, .entries = &entry};
        job.entries_count = 1;
        assert_false(failed(logstore_submit(ls, &job)));
        assert_ptr_equal(wait_job(ls), &job);
    }
    assert_int_equal(count_segments(), 3);
    struct logstore_job job = {.kind = LOGSTORE_SNAPSHOT};
    job.snapshot = (struct logstore_snapshot){145, 1, 140, bytes_text("manifest")};
    assert_false(failed(logstore_submit(ls, &job)));
    assert_ptr_equal(wait_job(ls), &job);
    set_term(ls, 2, 0); /* the writer has removed the files when it takes another round */
    set_term(ls, 3, 0);
    assert_int_equal(count_segments(), 1);
    logstore_close(ls);
    ls = open_log(&r);
    assert_int_equal(r.first, 140);
    assert_int_equal(r.last, 150);
    assert_int_equal(r.snapshot.index, 145);
    assert_true(bytes_equal(r.snapshot.manifest, bytes_text("manifest")));
    struct logstore_job install = {.kind = LOGSTORE_INSTALL};
    install.snapshot = (struct logstore_snapshot){1000, 3, 1001, bytes_text("installed")};
    assert_false(failed(logstore_submit(ls, &install)));
    assert_ptr_equal(wait_job(ls), &install);
    append(ls, 1001, 3, "after");
    logstore_close(ls);
    ls = open_log(&r);
    assert_int_equal(r.first, 1001);
    assert_int_equal(r.last, 1001);
    assert_true(bytes_equal(r.snapshot.manifest, bytes_text("installed")));
    assert_entry(ls, 1001, "after");
    logstore_close(ls);
    assert_int_equal(count_segments(), 1);
    free(data);
}

/* Damage that comes while the log is open is met when the entry is read. */
static void damage_is_met_when_read(void **state)
{
    struct logstore_recovered r;
    struct logstore *ls = open_log(&r);
    set_term(ls, 1, 0);
    append(ls, 1, 1, "a payload that will be hurt");
    char path[120];
    snprintf(path, sizeof path, "%s/segment-%016x", dir, 1);
    int fd = open(path, O_WRONLY);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, "X", 1, 64 + 41 + 25 + 3), 1);
    close(fd);
    struct buf b;
    struct errtext why = {""};
    buf_init(&b, 100);
    assert_true(err_is(logstore_read(ls, 1, &b, &why), ERR_CORRUPT));
    assert_non_null(strstr(why.text, "segment-0000000000000001: damaged at offset 105"));
    assert_int_equal(b.size, 0);
    buf_done(&b);
    logstore_close(ls);
}

/* Room that was never written is not read; but zeros at the end of an entry are entry, also when a
 * copy has made a hole of them, as cp --sparse does. */
static void holes_are_not_read(void **state)
{
    static uint8_t zeros[LOG_ENTRY_BYTES_MAX];
    struct logstore_recovered r;
    struct logstore *ls = open_log(&r);
    set_term(ls, 1, 0);
    append(ls, 1, 1, "one");
    struct logstore_entry entry = {1, 1, bytes_of(zeros, sizeof zeros)};
    struct logstore_job job = {
        .kind = LOGSTORE_ENTRIES, .first = 2, .entries = &entry, .entries_count = 1};
    assert_false(failed(logstore_submit(ls, &job)));
    assert_ptr_equal(wait_job(ls), &job);
    logstore_close(ls);
    char path[120];
    snprintf(path, sizeof path, "%s/segment-%016x", dir, 1);
    struct fileops files = fileops_system();
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4096, LOG_SEGMENT_BYTES) != 0) {
        print_message("SKIP: this file system makes no holes\n");
        close(fd);
        return;
    }
    assert_int_equal(files.size(files.ctx, fd), LOG_SEGMENT_BYTES);
    assert_in_range(files.data_end(files.ctx, fd), 64, 64 << 10);
    close(fd);
    ls = open_log(&r);
    assert_int_equal(r.last, 2);
    append(ls, 3, 1, "three");
    logstore_close(ls);
    ls = open_log(&r);
    assert_int_equal(r.last, 3);
    assert_entry(ls, 3, "three");
    logstore_close(ls);
}

/* Writes entries and says each acknowledged index until it is killed. */
static void victim(int out)
{
    struct logstore_recovered r;
    struct logstore *ls = open_log(&r);
    set_term(ls, r.term + 1, 1);
    for (uint64_t index = r.last + 1;; index++) {
        char text[32];
        snprintf(text, sizeof text, "entry %llu", (unsigned long long)index);
        append(ls, index, r.term + 1, text);
        if (write(out, &index, sizeof index) != sizeof index) {
            _exit(1);
        }
    }
}

static void kill_loses_nothing(void **state)
{
    uint64_t acked = 0;
    segment_bytes = 16 << 10; /* some segments a round */
    for (int round = 0; round < 5; round++) {
        int pipes[2];
        assert_int_equal(pipe(pipes), 0);
        pid_t child = fork();
        if (child == 0) {
            victim(pipes[1]);
        }
        close(pipes[1]);
        for (int i = 0; i < 40 + 10 * round; i++) {
            assert_int_equal(read(pipes[0], &acked, sizeof acked), sizeof acked);
        }
        kill(child, SIGKILL);
        uint64_t more = 0;
        while (read(pipes[0], &more, sizeof more) == sizeof more) {
            acked = more;
        }
        close(pipes[0]);
        waitpid(child, NULL, 0);
        struct logstore_recovered r;
        struct logstore *ls = open_log(&r);
        assert_int_equal(r.term, round + 1);
        assert_true(r.last >= acked && r.last <= acked + 1);
        for (uint64_t index = 1; index <= r.last; index++) {
            char text[32];
            snprintf(text, sizeof text, "entry %llu", (unsigned long long)index);
            assert_entry(ls, index, text);
        }
        logstore_close(ls);
    }
}

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
enum { SLOWER = 10 };
#else
enum { SLOWER = 1 };
#endif

static uint64_t cpu_ms(void)
{
    struct timespec t;
    assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t), 0);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / NS_PER_MS;
}

/* In CPU time, for the machine is not ours alone. */
static void opens_fast(void **state)
{
    enum { JOBS = 250, EACH = 1000, OPEN_MS_MAX = 3000 * SLOWER };
    struct logstore_recovered r;
    struct logstore *ls = open_log(&r);
    set_term(ls, 1, 0);
    uint8_t data[300] = {7};
    static struct logstore_entry entries[EACH];
    for (size_t i = 0; i < EACH; i++) {
        entries[i] = (struct logstore_entry){1, 1, bytes_of(data, sizeof data)};
    }
    for (uint64_t i = 0; i < JOBS; i++) {
        struct logstore_job job = {.kind = LOGSTORE_ENTRIES, .first = i * EACH + 1};
        job.entries = entries;
        job.entries_count = EACH;
        assert_false(failed(logstore_submit(ls, &job)));
        assert_ptr_equal(wait_job(ls), &job);
    }
    logstore_close(ls);
    uint64_t from_ms = cpu_ms();
    ls = open_log(&r);
    uint64_t took_ms = cpu_ms() - from_ms;
    print_message("%d entries, %d MB: opened in %llu ms of CPU\n", JOBS * EACH,
                  JOBS * EACH * 325 / 1000000, (unsigned long long)took_ms);
    assert_int_equal(r.last, JOBS * EACH);
    assert_true(took_ms < OPEN_MS_MAX);
    logstore_close(ls);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(keeps_what_it_was_given, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(second_process_is_refused, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(limits, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(groups_share_a_sync, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(loop_and_writer_work_at_once, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(snapshots_drop_segments, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(damage_is_met_when_read, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(holes_are_not_read, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(kill_loses_nothing, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(opens_fast, make_dir, drop_dir),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
