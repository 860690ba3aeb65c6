/* Random histories of jobs on a disk that fails at every call in turn. After each failure the log
 * is opened again and must be exactly the state after some job: not before the last acknowledged
 * one, not after the last submitted one. LOGFAULT_SEED and LOGFAULT_COUNT choose other histories.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "logmodel.h"
#include "simdisk.h"

enum { JOBS = 24, JOBS_AFTER = 6 };

static struct history history; /* large; tests run one after the other */
static struct history after;

static err open_on(struct simdisk *d, struct logstore **ls, struct logstore_recovered *r,
                   struct errtext *why)
{
    struct logstore_options o = {
        .files = simdisk_ops(d), .segment_bytes = MODEL_SEGMENT_BYTES, .no_thread = true};
    return logstore_open("log", &o, ls, r, why);
}

static uint64_t setting(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text == NULL ? otherwise : strtoull(text, NULL, 10);
}

struct round {
    uint64_t seed, call;
    enum simdisk_fault fault;
    bool power; /* the power goes too, not only the process */
};

static void bad(const struct round *r, const char *what, const struct errtext *why)
{
    print_error("LOGFAULT_SEED=%llu, fault %d at call %llu, power %d: %s %s\n",
                (unsigned long long)r->seed, (int)r->fault, (unsigned long long)r->call, r->power,
                what, why == NULL ? "" : why->text);
    fail();
}

static void restart(struct simdisk *d, bool power)
{
    if (power) {
        simdisk_power_cut(d);
    } else {
        simdisk_process_death(d);
    }
}

/* Opens the log after a fault; in one of two rounds the power goes again meanwhile. */
static struct logstore *reopen(struct simdisk *d, const struct round *r,
                               struct logstore_recovered *ret)
{
    struct logstore *ls = NULL;
    struct errtext why = {""};
    uint64_t random = r->seed * 977 + r->call;
    if (simdisk_draw(&random) % 2 == 0) {
        simdisk_arm(d, SIMDISK_CUT, 1 + simdisk_draw(&random) % 8);
        bool opened = !failed(open_on(d, &ls, ret, &why));
        if (opened && !d->dead) {
            simdisk_arm(d, SIMDISK_NONE, 0);
            return ls;
        }
        if (!d->faulted) {
            bad(r, "refused", &why);
        }
        logstore_close(opened ? ls : NULL); /* removing left-overs may have met the cut */
        simdisk_power_cut(d);
    }
    if (failed(open_on(d, &ls, ret, &why))) {
        bad(r, "refused", &why);
    }
    return ls;
}

/* What was recovered takes further jobs, and ends well. */
static void go_on(struct simdisk *d, const struct round *r, struct logstore *ls,
                  const struct model *state)
{
    struct logstore_recovered recovered;
    struct errtext why = {""};
    history_start(&after, ls, state, r->seed ^ r->call);
    history_play(&after, JOBS_AFTER);
    if (after.failed || after.acked != JOBS_AFTER) {
        snprintf(why.text, sizeof why.text, "%zu of %zu, %s", after.acked, after.submitted,
                 logstore_failure(ls));
        bad(r, "does not go on:", &why);
    }
    logstore_close(ls);
    restart(d, true);
    if (failed(open_on(d, &ls, &recovered, &why))) {
        bad(r, "refused after a clean end", &why);
    }
    if (!model_matches(&after.states[JOBS_AFTER], ls, &recovered) || recovered.cut_bytes != 0) {
        bad(r, "differs after a clean end", NULL);
    }
    logstore_close(ls);
}

/* One history with a fault at one call; false: the history ended before that call. */
static bool play_round(const struct round *r)
{
    struct simdisk d;
    struct logstore *ls = NULL;
    struct logstore_recovered recovered;
    struct errtext why = {""};
    struct model empty;
    simdisk_init(&d, r->seed * 31 + r->call);
    simdisk_arm(&d, r->fault, r->call);
    model_init(&empty);
    history_start(&history, NULL, &empty, r->seed);
    if (!failed(open_on(&d, &ls, &recovered, &why))) {
        history.ls = ls;
        history_play(&history, JOBS);
        if (history.after_fail_ok) {
            bad(r, "a job after a failed one was acknowledged", NULL);
        }
        if (r->fault == SIMDISK_NO_SPACE && history.failed && history.failure != ERR_FULL) {
            bad(r, "a full disk was not called full", NULL);
        }
        logstore_close(ls);
    } else if (!d.faulted) {
        bad(r, "cannot be opened", &why);
    }
    bool hit = d.faulted;
    restart(&d, r->power);
    ls = reopen(&d, r, &recovered);
    int n = history_find(&history, ls, &recovered);
    if (n < 0) {
        snprintf(why.text, sizeof why.text, "acked %zu, submitted %zu; term %llu, log %llu to %llu",
                 history.acked, history.submitted, (unsigned long long)recovered.term,
                 (unsigned long long)recovered.first, (unsigned long long)recovered.last);
        bad(r, "neither lost nor kept: no state matches:", &why);
    }
    go_on(&d, r, ls, &history.states[n]);
    simdisk_done(&d);
    return hit;
}

static void every_call(enum simdisk_fault fault, bool power, uint64_t count_default)
{
    uint64_t from = setting("LOGFAULT_SEED", 1);
    uint64_t count = setting("LOGFAULT_COUNT", count_default);
    uint64_t rounds = 0;
    for (uint64_t seed = from; seed < from + count; seed++) {
        struct round r = {seed, 1, fault, power};
        while (play_round(&r)) {
            r.call++;
        }
        assert_true(r.call > JOBS); /* the faults did reach into the history */
        rounds += r.call;
    }
    print_message("%llu histories from seed %llu, %llu faults\n", (unsigned long long)count,
                  (unsigned long long)from, (unsigned long long)rounds);
}

static void power_cut_at_every_call(void **state)
{
    every_call(SIMDISK_CUT, true, 40);
}

static void kill_at_every_call(void **state)
{
    every_call(SIMDISK_CUT, false, 15);
}

static void io_error_at_every_call(void **state)
{
    every_call(SIMDISK_EIO, false, 10);
    every_call(SIMDISK_EIO, true, 10);
}

static void disk_full_at_every_call(void **state)
{
    every_call(SIMDISK_NO_SPACE, true, 10);
}

/* A log of some segments with a snapshot, whose last jobs are entries; how it ends is the caller's
 * choice. */
static void make_log(struct simdisk *d, uint64_t seed, bool clean)
{
    struct logstore *ls = NULL;
    struct logstore_recovered recovered;
    struct model empty;
    simdisk_init(d, seed);
    model_init(&empty);
    assert_false(failed(open_on(d, &ls, &recovered, NULL)));
    history_start(&history, ls, &empty, seed);
    for (size_t i = 0; i < 40; i++) {
        history_play(&history, 1); /* one job a group */
    }
    assert_false(history.failed);
    if (!clean) {
        simdisk_arm(d, SIMDISK_CUT, 1); /* the clean end is not written */
    }
    logstore_close(ls);
    simdisk_process_death(d);
}

/* The log with one byte changed is refused, or is what it was; or, when its end was not recorded,
 * lacks the group that was written last. */
static void flip(const struct simdisk *sound, const char *name, size_t at, bool clean,
                 size_t *refused)
{
    struct simdisk d;
    struct logstore *ls = NULL;
    struct logstore_recovered recovered;
    struct errtext why = {""};
    size_t size = 0;
    simdisk_copy(&d, sound, at);
    uint8_t *data = simdisk_bytes(&d, name, &size);
    data[at] ^= (uint8_t)(1U << (at * 7 % 8));
    err e = open_on(&d, &ls, &recovered, &why);
    if (failed(e)) {
        assert_true(err_is(e, ERR_CORRUPT));
        assert_non_null(strstr(why.text, "log/"));
        (*refused)++;
    } else {
        size_t n = history.submitted;
        bool same = model_matches(&history.states[n], ls, &recovered);
        if (!same && !clean && recovered.cut_bytes > 0) {
            same = model_matches(&history.states[n - 1], ls, &recovered);
        }
        if (!same) {
            print_error("%s, byte %zu: opened, and differs\n", name, at);
            fail();
        }
        logstore_close(ls);
    }
    simdisk_done(&d);
}

static void flip_all(uint64_t seed, bool clean)
{
    struct simdisk d;
    size_t refused = 0;
    size_t tried = 0;
    make_log(&d, seed, clean);
    for (size_t i = 0; simdisk_name(&d, i) != NULL; i++) {
        const char *name = simdisk_name(&d, i);
        size_t size = 0;
        const uint8_t *data = simdisk_bytes(&d, name, &size);
        assert_true(data != NULL || size == 0);
        for (size_t at = 0; at < size; at++) {
            flip(&d, name, at, clean, &refused);
            tried++;
        }
    }
    print_message("seed %llu: %zu bytes, %zu refused\n", (unsigned long long)seed, tried, refused);
    assert_true(refused > 500);
    simdisk_done(&d);
}

static void every_flipped_byte_after_a_clean_end(void **state)
{
    flip_all(1, true);
    flip_all(2, true);
}

static void every_flipped_byte_after_a_kill(void **state)
{
    flip_all(3, false);
    flip_all(4, false);
}

static void every_missing_file_is_refused(void **state)
{
    struct simdisk sound;
    make_log(&sound, 5, true);
    for (size_t i = 0; simdisk_name(&sound, i) != NULL; i++) {
        const char *name = simdisk_name(&sound, i);
        struct simdisk d;
        struct logstore *ls = NULL;
        struct logstore_recovered recovered;
        struct errtext why = {""};
        if (strcmp(name, "lock") == 0) {
            continue;
        }
        simdisk_copy(&d, &sound, 1);
        simdisk_remove(&d, name);
        if (!err_is(open_on(&d, &ls, &recovered, &why), ERR_CORRUPT)) {
            print_error("without %s: not refused\n", name);
            fail();
        }
        simdisk_done(&d);
    }
    simdisk_done(&sound);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(power_cut_at_every_call),
        cmocka_unit_test(kill_at_every_call),
        cmocka_unit_test(io_error_at_every_call),
        cmocka_unit_test(disk_full_at_every_call),
        cmocka_unit_test(every_flipped_byte_after_a_clean_end),
        cmocka_unit_test(every_flipped_byte_after_a_kill),
        cmocka_unit_test(every_missing_file_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
