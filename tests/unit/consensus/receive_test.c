/* Frames that no honest, healthy peer would send now: each is refused and nothing changes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tests/unit/consensus/lab.h"

static struct lab *lab_led(const char *roles)
{
    struct lab *l = mem_new(1, sizeof *l);
    l->inflight = 8;
    l->cache_bytes = 1 << 20;
    l->pre_vote = true;
    lab_init(l, roles);
    lab_campaign(l, 1, LAB_ALL);
    assert_true(lab_leads(l, 1));
    lab_settle(l, 1, LAB_ALL);
    return l;
}

static void lab_free(struct lab *l)
{
    lab_done(l);
    free(l);
}

static struct packet *append(uint64_t term, uint64_t prev, uint64_t prev_term, uint64_t entry_term)
{
    struct packet *p = packet_new(PACKET_APPEND);
    p->m.type = RAFT_APPEND_ENTRIES;
    p->m.append_entries = (struct raft_append_entries){
        .term = term, .prev_log_index = prev, .prev_log_term = prev_term};
    if (entry_term != 0) {
        p->entries = mem_new(1, sizeof *p->entries);
        p->entries[0] = entry_new(entry_term, ENTRY_COMMAND, bytes_text("another"));
        p->m.append_entries.n_entries = 1;
    }
    return p;
}

/* The answer of node `to`; its log, commit index and term must be as before when it refuses. */
static enum err_code give(struct lab *l, uint64_t from, uint64_t to, struct packet *p)
{
    struct consensus *c = l->nodes[to].c;
    uint64_t last = memlog_last(&c->log);
    uint64_t commit = c->commit;
    uint64_t term = c->term;
    p->from = from;
    if (p->kind == PACKET_VOTE) {
        p->m.request_vote.candidate_id = from;
    }
    err e = lab_receive(l, from, to, p);
    packet_free(p);
    if (failed(e)) {
        assert_int_equal(memlog_last(&c->log), last);
        assert_int_equal(c->commit, commit);
        assert_int_equal(c->term, term);
        assert_false(failed(consensus_check(c, NULL)));
    }
    return e.code;
}

static void a_node_does_not_hear_itself_or_nobody(void **state)
{
    (void)state;
    struct lab *l = lab_led("vvv");
    struct errtext text = {""};
    assert_true(err_is(consensus_receive(l->nodes[2].c, 2, bytes_text("x"), &text), ERR_INVALID));
    assert_true(err_is(consensus_receive(l->nodes[2].c, 0, bytes_text("x"), &text), ERR_INVALID));
    assert_true(err_is(consensus_receive(l->nodes[2].c, 1, bytes_text("x"), &text), ERR_INVALID));
    assert_string_not_equal(text.text, "");
    lab_free(l);
}

static void terms_do_not_jump_to_the_end(void **state)
{
    (void)state;
    struct lab *l = lab_led("vvv");
    uint64_t term = l->nodes[2].c->term;
    assert_int_equal(give(l, 3, 2, append(term + TERM_JUMP_MAX + 1, 1, 1, 0)), ERR_INVALID);
    assert_int_equal(give(l, 3, 2, append(term + TERM_JUMP_MAX, 1, 1, 0)), ERR_OK);
    lab_free(l);
}

static void a_second_leader_of_a_term_is_reported(void **state)
{
    (void)state;
    struct lab *l = lab_led("vvv");
    uint64_t term = l->nodes[1].c->term;
    assert_int_equal(give(l, 3, 1, append(term, 1, 1, 0)), ERR_CONFLICT);
    assert_true(lab_leads(l, 1));
    lab_free(l);
}

/* What is committed stays, whoever says otherwise; what is late and says so is only late. */
static void committed_entries_are_not_replaced(void **state)
{
    (void)state;
    struct lab *l = lab_led("vvv");
    lab_command(l, 1, 10);
    lab_settle(l, 1, LAB_ALL);
    struct consensus *c = l->nodes[2].c;
    uint64_t commit = c->commit;
    uint64_t term = c->term;
    assert_true(commit >= 3);
    uint64_t below = consensus_term_at(c, commit - 1);
    assert_int_equal(give(l, 3, 2, append(term + 1, commit - 1, below, term + 1)), ERR_CONFLICT);
    assert_int_equal(give(l, 3, 2, append(term + 1, commit, below + 1, 0)), ERR_CONFLICT);
    struct packet *p = packet_new(PACKET_INSTALL);
    p->m.type = RAFT_INSTALL_SNAPSHOT;
    p->m.install_snapshot = (struct raft_install_snapshot){
        .term = term + 1, .last_index = commit, .last_term = below + 1};
    p->snapshot = (struct consensus_snapshot){.index = commit, .term = below + 1, .conf_index = 1};
    p->snapshot.conf = entry_ref(l->nodes[2].entries[0]);
    assert_int_equal(give(l, 3, 2, p), ERR_CONFLICT);
    assert_int_equal(give(l, 3, 2, append(1, commit - 1, 1, 1)), ERR_OK);
    assert_int_equal(consensus_term_at(c, commit), term);
    lab_free(l);
}

static void votes_nobody_asked_for_are_refused(void **state)
{
    (void)state;
    struct lab *l = lab_led("vvv");
    struct packet *p = packet_new(PACKET_VOTE_RESULT);
    p->m.type = RAFT_REQUEST_VOTE_RESULT;
    p->m.request_vote_result = (struct raft_request_vote_result){
        .version = 2, .term = l->nodes[2].c->term + 2, .vote_granted = true, .pre_vote = true};
    assert_int_equal(give(l, 3, 2, p), ERR_INVALID);
    lab_free(l);
}

/* Trap T19: a vote result for one that is no candidate is dropped. */
static void late_votes_are_dropped(void **state)
{
    (void)state;
    struct lab *l = lab_led("vvv");
    for (uint64_t to = 1; to <= 2; to++) {
        uint64_t steps = l->nodes[to].c->counters.steps;
        struct packet *p = packet_new(PACKET_VOTE_RESULT);
        p->m.type = RAFT_REQUEST_VOTE_RESULT;
        p->m.request_vote_result = (struct raft_request_vote_result){
            .version = 2, .term = l->nodes[to].c->term, .vote_granted = true};
        assert_int_equal(give(l, 3, to, p), ERR_OK);
        assert_int_equal(l->nodes[to].c->counters.steps, steps);
    }
    lab_free(l);
}

/* Trap T6: an old rejection must not put the next index below the match index. */
static void old_rejections_are_dropped(void **state)
{
    (void)state;
    struct lab *l = lab_led("vvv");
    struct consensus *c = l->nodes[1].c;
    uint64_t steps = c->counters.steps;
    struct packet *p = packet_new(PACKET_APPEND_RESULT);
    p->m.type = RAFT_APPEND_ENTRIES_RESULT;
    p->m.append_entries_result = (struct raft_append_entries_result){
        .version = 2, .term = c->term, .rejected = 1, .last_log_index = 1};
    assert_int_equal(give(l, 2, 1, p), ERR_OK);
    assert_int_equal(c->counters.stale_rejects, 1);
    assert_int_equal(c->counters.steps, steps);
    lab_free(l);
}

/* Trap T2: the answer to an earlier term acknowledges nothing. */
static void replies_to_earlier_terms_say_nothing(void **state)
{
    (void)state;
    struct lab *l = lab_led("vvv");
    assert_int_equal(give(l, 3, 2, append(1, 1, 1, 0)), ERR_OK);
    assert_int_equal(l->net_count, 1);
    const struct raft_append_entries_result *m = &l->net[0]->m.append_entries_result;
    assert_int_equal(l->net[0]->kind, PACKET_APPEND_RESULT);
    assert_int_equal(m->rejected, 0);
    assert_int_equal(m->last_log_index, 0);
    lab_free(l);
}

/* Trap T14a: a candidate behind our term learns it from our refusal. */
static void refused_pre_votes_tell_our_term(void **state)
{
    (void)state;
    struct lab *l = lab_led("vvv");
    uint64_t term = l->nodes[2].c->term;
    struct packet *p = packet_new(PACKET_VOTE);
    p->m.type = RAFT_REQUEST_VOTE;
    p->m.request_vote = (struct raft_request_vote){
        .version = 2, .term = 1, .last_log_index = 1, .last_log_term = 1, .pre_vote = true};
    assert_int_equal(give(l, 3, 2, p), ERR_OK);
    assert_int_equal(l->net_count, 1);
    assert_int_equal(l->net[0]->kind, PACKET_VOTE_RESULT);
    assert_false(l->net[0]->m.request_vote_result.vote_granted);
    assert_int_equal(l->net[0]->m.request_vote_result.term, term);
    lab_free(l);
}

/* A host that has no way to fetch one is never asked to. */
static void snapshots_nobody_can_install_are_refused(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct lab *l = lab_led("vvv");
        struct consensus *c = l->nodes[2].c;
        c->options.snapshots = i == 1;
        struct packet *p = packet_new(PACKET_INSTALL);
        p->m.type = RAFT_INSTALL_SNAPSHOT;
        p->m.install_snapshot = (struct raft_install_snapshot){
            .term = c->term, .last_index = memlog_last(&c->log) + 9, .last_term = c->term};
        p->snapshot = (struct consensus_snapshot){
            .index = p->m.install_snapshot.last_index, .term = c->term, .conf_index = 1};
        p->snapshot.conf = entry_ref(l->nodes[2].entries[0]);
        assert_int_equal(give(l, 1, 2, p), i == 1 ? ERR_OK : ERR_UNSUPPORTED);
        assert_int_equal(l->nodes[2].fetches, i);
        lab_free(l);
    }
}

/* Trap T7: entry 1 once more, for a log that has been compacted. */
static void late_first_entries_are_dropped(void **state)
{
    (void)state;
    struct lab *l = lab_led("vvv");
    struct consensus *c = l->nodes[2].c;
    lab_command(l, 1, 10);
    lab_settle(l, 1, LAB_ALL);
    assert_int_equal(lab_snapshot(l, 2, 0, bytes_text("manifest")), CONSENSUS_OK);
    lab_sync(l, 2);
    assert_true(c->log.first > 1);
    uint64_t steps = c->counters.steps;
    assert_int_equal(give(l, 1, 2, append(c->term, 0, 0, 1)), ERR_OK);
    assert_int_equal(c->counters.stale_first, 1);
    assert_int_equal(c->counters.steps, steps);
    lab_free(l);
}

/* Trap T8: a configuration in the middle of a message is recorded where it stands. */
static void configurations_come_first_in_their_message(void **state)
{
    (void)state;
    struct lab *l = lab_led("vvvs");
    struct consensus *c = l->nodes[4].c;
    lab_command(l, 1, 10);
    lab_deliver(l, LAB_BIT(1) | LAB_BIT(2) | LAB_BIT(3), 6);
    assert_int_equal(consensus_change(l->nodes[1].c, 3, CONSENSUS_STANDBY), CONSENSUS_OK);
    uint64_t index = memlog_last(&l->nodes[1].c->log);
    lab_deliver(l, LAB_BIT(1) | LAB_BIT(2), 6);
    lab_timeout(l, 1);
    lab_deliver(l, LAB_ALL, 1);
    lab_settle(l, 1, LAB_ALL);
    assert_true(c->counters.splits > 0);
    assert_int_equal(c->raft.configuration_committed_index, index);
    assert_int_equal(c->raft.configuration_uncommitted_index, 0);
    lab_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_node_does_not_hear_itself_or_nobody),
        cmocka_unit_test(terms_do_not_jump_to_the_end),
        cmocka_unit_test(a_second_leader_of_a_term_is_reported),
        cmocka_unit_test(committed_entries_are_not_replaced),
        cmocka_unit_test(votes_nobody_asked_for_are_refused),
        cmocka_unit_test(late_votes_are_dropped),
        cmocka_unit_test(old_rejections_are_dropped),
        cmocka_unit_test(replies_to_earlier_terms_say_nothing),
        cmocka_unit_test(refused_pre_votes_tell_our_term),
        cmocka_unit_test(snapshots_nobody_can_install_are_refused),
        cmocka_unit_test(late_first_entries_are_dropped),
        cmocka_unit_test(configurations_come_first_in_their_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
