/* Start: the self-test, what is taken from disk and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tests/unit/consensus/lab.h"

static void the_linked_core_is_the_right_one(void **state)
{
    (void)state;
    struct errtext text = {""};
    assert_false(failed(consensus_self_test(&text)));
    assert_string_equal(text.text, "");
}

static struct entry *change(uint64_t term, uint64_t voter)
{
    struct buf b;
    buf_init(&b, CONF_BYTES_MAX);
    assert_false(failed(consensus_found(&voter, 1, &b)));
    struct entry *e = entry_new(term, ENTRY_CHANGE, buf_bytes(&b));
    buf_done(&b);
    return e;
}

/* ---- a host for a node that never gets as far as to do anything ---- */

struct written {
    struct consensus_job *job;
};

static uint64_t host_now(void *ctx)
{
    (void)ctx;
    return 1000;
}

static void host_write(void *ctx, struct consensus_job *job)
{
    struct written *w = ctx;
    consensus_job_free(w->job);
    w->job = job;
}

static void host_state(void *ctx, enum consensus_role role, uint64_t term)
{
    (void)ctx;
    (void)role;
    (void)term;
}

static err open_disk(const struct consensus_disk *disk, struct errtext *text)
{
    struct written w = {NULL};
    const struct consensus_host host = {
        .ctx = &w, .now_ms = host_now, .write = host_write, .state = host_state};
    const struct consensus_options options = {.id = 9,
                                              .seed = 1,
                                              .election_ms = 1000,
                                              .heartbeat_ms = 100,
                                              .install_ms = 5000,
                                              .inflight = 8,
                                              .cache_bytes_max = 1 << 20,
                                              .pre_vote = true};
    struct consensus *c = NULL;
    err e = consensus_open(&host, &options, disk, &c, text);
    if (!failed(e)) {
        consensus_close(c);
    }
    consensus_job_free(w.job);
    return e;
}

/* A sound disk: entries 4 to 6, a snapshot at 5, the state at 5; each test spoils one thing. */
struct sound {
    struct entry *conf;
    struct consensus_stored stored[3];
    struct consensus_disk disk;
};

static void sound_init(struct sound *s)
{
    s->conf = change(1, 1);
    s->stored[0] = (struct consensus_stored){2, ENTRY_COMMAND, NULL};
    s->stored[1] = (struct consensus_stored){3, ENTRY_COMMAND, NULL};
    s->stored[2] = (struct consensus_stored){3, ENTRY_CHANGE, s->conf};
    s->disk = (struct consensus_disk){
        .term = 3,
        .vote = 1,
        .snapshot = {.index = 5, .term = 3, .conf_index = 1, .conf = s->conf},
        .first = 4,
        .applied = 5,
        .count = 3,
        .stored = s->stored,
    };
}

static void check_spoilt(void (*spoil)(struct sound *s))
{
    struct sound s;
    struct errtext text = {""};
    sound_init(&s);
    spoil(&s);
    assert_true(err_is(open_disk(&s.disk, &text), ERR_CORRUPT));
    assert_string_not_equal(text.text, "");
    entry_unref(s.conf);
}

static void no_first(struct sound *s)
{
    s->disk.first = 0;
}
static void gap_after_snapshot(struct sound *s)
{
    s->disk.first = 7;
    s->disk.applied = 7;
}
static void log_ends_below_snapshot(struct sound *s)
{
    s->disk.count = 1;
    s->disk.applied = 4;
}
static void snapshot_of_another_term(struct sound *s)
{
    s->disk.snapshot.term = 2;
}
static void snapshot_without_configuration(struct sound *s)
{
    s->disk.snapshot.conf = NULL;
}
static void snapshot_of_the_future(struct sound *s)
{
    s->disk.snapshot.conf_index = 6;
}
static void state_beyond_the_log(struct sound *s)
{
    s->disk.applied = 7;
}
static void state_before_the_log(struct sound *s)
{
    s->disk.applied = 2;
}
static void term_falls(struct sound *s)
{
    s->stored[2].term = 2;
}
static void term_above_ours(struct sound *s)
{
    s->disk.term = 2;
}
static void term_zero(struct sound *s)
{
    s->stored[0].term = 0;
}
static void no_term_at_all(struct sound *s)
{
    s->disk.term = 0;
}
static void unknown_type(struct sound *s)
{
    s->stored[0].type = (enum entry_type)4;
}
static void configuration_missing(struct sound *s)
{
    s->stored[2].entry = NULL;
}
static void log_starts_with_a_command(struct sound *s)
{
    s->disk.snapshot = (struct consensus_snapshot){0};
    s->disk.first = 1;
    s->disk.applied = 1;
}

static void contradictions_on_disk_are_refused(void **state)
{
    (void)state;
    struct sound s;
    struct errtext text = {""};
    sound_init(&s);
    assert_false(failed(open_disk(&s.disk, &text)));
    entry_unref(s.conf);
    void (*const spoils[])(struct sound *) = {
        no_first,
        gap_after_snapshot,
        log_ends_below_snapshot,
        snapshot_of_another_term,
        snapshot_without_configuration,
        snapshot_of_the_future,
        state_beyond_the_log,
        state_before_the_log,
        term_falls,
        term_above_ours,
        term_zero,
        no_term_at_all,
        unknown_type,
        configuration_missing,
        log_starts_with_a_command,
    };
    for (size_t i = 0; i < sizeof spoils / sizeof spoils[0]; i++) {
        check_spoilt(spoils[i]);
    }
}

static void an_empty_disk_is_a_joiner(void **state)
{
    (void)state;
    const struct consensus_disk disk = {.first = 1};
    assert_false(failed(open_disk(&disk, NULL)));
}

/* Trap T4: a new term, durable before anything else. */
static void a_single_voter_starts_in_a_new_term(void **state)
{
    (void)state;
    struct lab *l = mem_new(1, sizeof *l);
    l->inflight = 8;
    l->cache_bytes = 1 << 20;
    lab_init(l, "v");
    assert_true(lab_leads(l, 1));
    assert_int_equal(l->nodes[1].term, 2);
    assert_int_equal(l->nodes[1].vote, 1);
    assert_int_equal(lab_command(l, 1, 10), CONSENSUS_OK);
    lab_sync(l, 1);
    uint64_t applied = l->nodes[1].applied;
    assert_true(applied >= 2);
    lab_down(l, 1);
    lab_up(l, 1);
    assert_int_equal(l->nodes[1].term, 3);
    assert_true(l->nodes[1].applied > applied); /* a barrier of its own term */
    lab_done(l);
    free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_linked_core_is_the_right_one),
        cmocka_unit_test(contradictions_on_disk_are_refused),
        cmocka_unit_test(an_empty_disk_is_a_joiner),
        cmocka_unit_test(a_single_voter_starts_in_a_new_term),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
