/* The asserts of libraft 0.22.1 that a peer's message could trip, or, in the package's build, the
 * memory that it could corrupt: one test a line of its sources, named after it. Each message is
 * refused or dropped before the core sees it, and nothing changes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tests/unit/consensus/lab.h"

/* Node 1 leads 2 and 3; a few commands are committed everywhere. */
static struct lab *lab_led(void)
{
    struct lab *l = mem_new(1, sizeof *l);
    l->inflight = 8;
    l->cache_bytes = 1 << 20;
    l->pre_vote = true;
    lab_init(l, "vvv");
    lab_campaign(l, 1, LAB_ALL);
    assert_true(lab_leads(l, 1));
    for (int i = 0; i < 3; i++) {
        assert_int_equal(lab_command(l, 1, 10), CONSENSUS_OK);
        lab_settle(l, 1, LAB_ALL);
    }
    return l;
}

static void lab_free(struct lab *l)
{
    lab_done(l);
    free(l);
}

static struct packet *message(enum packet_kind kind)
{
    struct packet *p = packet_new(kind);
    p->m.type = (enum raft_message_type)kind;
    return p;
}

static struct packet *append(uint64_t term, uint64_t prev, uint64_t prev_term)
{
    struct packet *p = message(PACKET_APPEND);
    p->m.append_entries = (struct raft_append_entries){
        .term = term, .prev_log_index = prev, .prev_log_term = prev_term};
    return p;
}

static void add_entry(struct packet *p, uint64_t term, enum entry_type type, struct bytes data)
{
    uint32_t count = p->m.append_entries.n_entries++;
    p->entries = mem_resize(p->entries, count + 1, sizeof *p->entries);
    p->entries[count] = entry_new(term, type, data);
}

static struct packet *install(const struct lab *l, uint64_t term, uint64_t index, uint64_t at_term)
{
    struct packet *p = message(PACKET_INSTALL);
    p->m.install_snapshot = (struct raft_install_snapshot){
        .term = term, .last_index = index, .last_term = at_term, .conf_index = 1};
    p->snapshot = (struct consensus_snapshot){.index = index, .term = at_term, .conf_index = 1};
    p->snapshot.conf = entry_ref(l->nodes[2].entries[0]);
    return p;
}

/* Node `to` answers `code`, the core makes no step, and everything is as before. */
static void expect(struct lab *l, uint64_t from, uint64_t to, struct packet *p, enum err_code code)
{
    struct consensus *c = l->nodes[to].c;
    uint64_t steps = c->counters.steps;
    uint64_t last = memlog_last(&c->log);
    uint64_t commit = c->commit;
    p->from = from;
    assert_int_equal(lab_receive(l, from, to, p).code, code);
    packet_free(p);
    assert_int_equal(c->counters.steps, steps);
    assert_int_equal(memlog_last(&c->log), last);
    assert_int_equal(c->commit, commit);
    assert_false(failed(consensus_check(c, NULL)));
    lab_free(l);
}

/* Nobody is 0: the link says who sends, a frame cannot. */
static void recv_24_31_a_sender_has_a_number(void **state)
{
    (void)state;
    struct lab *l = lab_led();
    struct packet *p = append(l->nodes[1].c->term, 1, 1);
    expect(l, 0, 2, p, ERR_INVALID);
}

static void recv_append_entries_79_two_leaders_of_a_term(void **state)
{
    (void)state;
    struct lab *l = lab_led();
    expect(l, 3, 1, append(l->nodes[1].c->term, 1, 1), ERR_CONFLICT);
}

static void recv_install_snapshot_38_two_leaders_of_a_term(void **state)
{
    (void)state;
    struct lab *l = lab_led();
    uint64_t term = l->nodes[1].c->term;
    expect(l, 3, 1, install(l, term, 99, term), ERR_CONFLICT);
}

static void recv_request_vote_result_84_a_pre_vote_of_a_later_term(void **state)
{
    (void)state;
    struct lab *l = lab_led();
    struct packet *p = message(PACKET_VOTE_RESULT);
    lab_timeout(l, 2);
    lab_timeout(l, 2);
    assert_int_equal(core_role(l->nodes[2].c), CONSENSUS_CANDIDATE);
    p->m.request_vote_result = (struct raft_request_vote_result){
        .version = 2, .term = l->nodes[2].c->term + 2, .vote_granted = true, .pre_vote = true};
    expect(l, 3, 2, p, ERR_INVALID);
}

static void replication_606_no_previous_entry_but_a_term(void **state)
{
    (void)state;
    struct lab *l = lab_led();
    expect(l, 1, 2, append(l->nodes[1].c->term, 0, 1), ERR_INVALID);
}

static void replication_609_a_previous_entry_without_term(void **state)
{
    (void)state;
    struct lab *l = lab_led();
    expect(l, 1, 2, append(l->nodes[1].c->term, 1, 0), ERR_INVALID);
}

static void replication_664_an_entry_of_term_0(void **state)
{
    (void)state;
    struct lab *l = lab_led();
    struct packet *p = append(l->nodes[1].c->term, 0, 0);
    add_entry(p, 0, ENTRY_COMMAND, bytes_text("x"));
    expect(l, 1, 2, p, ERR_INVALID);
}

/* The first entries once more, for a log that begins later: appended at its end. */
static void replication_831_first_entries_for_a_log_that_begins_later(void **state)
{
    (void)state;
    struct lab *l = lab_led();
    struct consensus *c = l->nodes[2].c;
    assert_int_equal(lab_snapshot(l, 2, 0, bytes_text("manifest")), CONSENSUS_OK);
    lab_sync(l, 2);
    assert_true(c->log.first > 1);
    struct packet *p = append(c->term, 0, 0);
    add_entry(p, 1, ENTRY_CHANGE, entry_bytes(l->nodes[3].entries[0]));
    expect(l, 1, 2, p, ERR_OK); /* late, not wrong */
}

static void trail_165_terms_fall_along_the_log(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct lab *l = lab_led();
        const struct consensus *c = l->nodes[2].c;
        struct packet *p = append(c->term, memlog_last(&c->log), c->term);
        add_entry(p, i == 0 ? c->term - 1 : c->term, ENTRY_COMMAND, bytes_text("a"));
        add_entry(p, i == 1 ? c->term - 1 : c->term, ENTRY_COMMAND, bytes_text("b"));
        if (i == 2) {
            p->entries[1]->term = c->term + 1; /* nor do they pass the message's */
        }
        expect(l, 1, 2, p, ERR_INVALID);
    }
}

static void replication_933_a_snapshot_of_nothing(void **state)
{
    (void)state;
    struct lab *l = lab_led();
    expect(l, 1, 2, install(l, l->nodes[1].c->term, 0, 1), ERR_INVALID);
}

static void replication_934_a_snapshot_of_term_0(void **state)
{
    (void)state;
    struct lab *l = lab_led();
    expect(l, 1, 2, install(l, l->nodes[1].c->term, 99, 0), ERR_INVALID);
}

/* Other entries where ours are committed: in the log, at the snapshot, in the compacted part. */
static void trail_266_a_conflict_below_the_compacted_part(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct lab *l = lab_led();
        struct consensus *c = l->nodes[2].c;
        if (i > 0) {
            assert_int_equal(lab_snapshot(l, 2, 0, bytes_text("manifest")), CONSENSUS_OK);
            lab_sync(l, 2);
        }
        uint64_t at = i == 0 ? c->commit - 1 : c->snapshot.index;
        struct packet *p = append(c->term + 1, at, i == 1 ? c->term - 1 : c->term);
        if (i == 2) { /* in the compacted part: its terms are not known here any more */
            p->m.append_entries.prev_log_index = at - 1;
        }
        add_entry(p, c->term + 1, ENTRY_COMMAND, bytes_text("another"));
        expect(l, 3, 2, p, ERR_CONFLICT);
    }
}

static struct packet *rejection(const struct lab *l, uint64_t rejected, uint64_t last)
{
    struct packet *p = message(PACKET_APPEND_RESULT);
    p->m.append_entries_result = (struct raft_append_entries_result){
        .version = 2, .term = l->nodes[1].c->term, .rejected = rejected, .last_log_index = last};
    return p;
}

static void progress_326_343_358_what_was_acknowledged_is_rejected(void **state)
{
    (void)state;
    struct lab *l = lab_led();
    raft_index match = 0;
    assert_int_equal(raft_match_index(&l->nodes[1].c->raft, 2, &match), 0);
    assert_true(match > 2);
    expect(l, 2, 1, rejection(l, match, match - 1), ERR_OK); /* late, not wrong */
}

static void progress_373_a_log_ends_below_what_it_has_acknowledged(void **state)
{
    (void)state;
    struct lab *l = lab_led();
    raft_index match = 0;
    assert_int_equal(raft_match_index(&l->nodes[1].c->raft, 2, &match), 0);
    expect(l, 2, 1, rejection(l, match + 1, match - 1), ERR_OK);
}

/* The core would read past the end of the bytes. */
static void configuration_352_a_count_beyond_the_bytes(void **state)
{
    (void)state;
    static const uint8_t claims[][24] = {
        {1, 1, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, '7', 0, 0},   /* no voter */
        {1, 2, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, '7', 0, 1},   /* one server of two */
        {1, 255, 255, 255, 255, 255, 255, 255, 255, 7},                   /* 2^64 - 1 servers */
        {1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, '0', 0, 1},   /* id 0 */
        {1, 1, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, '7', '7', 1}, /* no end of the text */
        {1, 0},                                                           /* no server */
    };
    for (size_t i = 0; i <= sizeof claims / sizeof claims[0]; i++) {
        bool empty = i == sizeof claims / sizeof claims[0];
        struct bytes b = empty ? bytes_of(NULL, 0) : bytes_of(claims[i], sizeof claims[i]);
        struct lab *l = lab_led();
        const struct consensus *c = l->nodes[2].c;
        struct packet *p = append(c->term, memlog_last(&c->log), c->term);
        add_entry(p, c->term, ENTRY_CHANGE, b);
        expect(l, 1, 2, p, ERR_INVALID);
        l = lab_led();
        p = install(l, l->nodes[1].c->term, 99, 1);
        entry_unref(p->snapshot.conf);
        p->snapshot.conf = entry_new(1, ENTRY_CHANGE, b);
        expect(l, 1, 2, p, ERR_INVALID);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recv_24_31_a_sender_has_a_number),
        cmocka_unit_test(recv_append_entries_79_two_leaders_of_a_term),
        cmocka_unit_test(recv_install_snapshot_38_two_leaders_of_a_term),
        cmocka_unit_test(recv_request_vote_result_84_a_pre_vote_of_a_later_term),
        cmocka_unit_test(replication_606_no_previous_entry_but_a_term),
        cmocka_unit_test(replication_609_a_previous_entry_without_term),
        cmocka_unit_test(replication_664_an_entry_of_term_0),
        cmocka_unit_test(replication_831_first_entries_for_a_log_that_begins_later),
        cmocka_unit_test(trail_165_terms_fall_along_the_log),
        cmocka_unit_test(replication_933_a_snapshot_of_nothing),
        cmocka_unit_test(replication_934_a_snapshot_of_term_0),
        cmocka_unit_test(trail_266_a_conflict_below_the_compacted_part),
        cmocka_unit_test(progress_326_343_358_what_was_acknowledged_is_rejected),
        cmocka_unit_test(progress_373_a_log_ends_below_what_it_has_acknowledged),
        cmocka_unit_test(configuration_352_a_count_beyond_the_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
