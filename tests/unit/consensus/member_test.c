/* Changes of configuration, transfer, snapshots. */
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

static enum consensus_member member(const struct lab *l, uint64_t id)
{
    struct conf conf;
    driver_conf(l->nodes[1].c, &conf);
    return conf_member(&conf, id);
}

static void a_standby_becomes_a_voter_and_leaves(void **state)
{
    (void)state;
    struct lab *l = lab_led("vvvs");
    struct consensus *c = l->nodes[1].c;
    assert_int_equal(consensus_promote(c, 4), CONSENSUS_OK); /* it is level */
    assert_int_equal(consensus_change(c, 4, CONSENSUS_STRANGER), CONSENSUS_PENDING);
    lab_settle(l, 1, LAB_ALL);
    assert_int_equal(member(l, 4), CONSENSUS_VOTER);
    assert_int_equal(consensus_promote(c, 4), CONSENSUS_BAD_MEMBER);
    assert_int_equal(consensus_change(c, 4, CONSENSUS_STRANGER), CONSENSUS_OK);
    lab_settle(l, 1, LAB_ALL);
    assert_int_equal(member(l, 4), CONSENSUS_STRANGER);
    lab_free(l);
}

/* A standby that lags catches up first. */
static void a_lagging_standby_is_promoted_later(void **state)
{
    (void)state;
    struct lab *l = lab_led("vvvs");
    struct consensus *c = l->nodes[1].c;
    for (int i = 0; i < 5; i++) {
        lab_command(l, 1, 10);
        lab_deliver(l, LAB_BIT(1) | LAB_BIT(2) | LAB_BIT(3), 6);
    }
    enum consensus_answer answer = consensus_promote(c, 4);
    assert_int_equal(answer, CONSENSUS_BUSY);
    for (int i = 0; i < 50 && answer == CONSENSUS_BUSY; i++) {
        lab_timeout(l, 1);
        lab_deliver(l, LAB_ALL, 6);
        answer = consensus_promote(c, 4);
    }
    assert_int_equal(answer, CONSENSUS_OK);
    lab_settle(l, 1, LAB_ALL);
    assert_int_equal(member(l, 4), CONSENSUS_VOTER);
    lab_free(l);
}

static void impossible_changes_are_refused(void **state)
{
    (void)state;
    struct lab *l = lab_led("vvvs");
    struct consensus *c = l->nodes[1].c;
    uint64_t last = memlog_last(&c->log);
    assert_int_equal(consensus_change(l->nodes[2].c, 4, CONSENSUS_VOTER), CONSENSUS_NOT_LEADER);
    assert_int_equal(consensus_promote(l->nodes[2].c, 4), CONSENSUS_NOT_LEADER); /* trap T18 */
    assert_int_equal(consensus_transfer(l->nodes[2].c, 3), CONSENSUS_NOT_LEADER);
    assert_int_equal(consensus_change(c, 1, CONSENSUS_STANDBY), CONSENSUS_BAD_MEMBER); /* T4 */
    assert_int_equal(consensus_change(c, 1, CONSENSUS_STRANGER), CONSENSUS_BAD_MEMBER);
    assert_int_equal(consensus_change(c, 0, CONSENSUS_STANDBY), CONSENSUS_BAD_MEMBER);
    assert_int_equal(consensus_change(c, 9, CONSENSUS_STRANGER), CONSENSUS_BAD_MEMBER);
    assert_int_equal(consensus_change(c, 2, CONSENSUS_VOTER), CONSENSUS_BAD_MEMBER);
    assert_int_equal(consensus_promote(c, 1), CONSENSUS_BAD_MEMBER);
    assert_int_equal(consensus_promote(c, 9), CONSENSUS_BAD_MEMBER);
    assert_int_equal(consensus_transfer(c, 1), CONSENSUS_BAD_MEMBER);
    assert_int_equal(consensus_transfer(c, 4), CONSENSUS_BAD_MEMBER);
    assert_int_equal(memlog_last(&c->log), last);
    lab_free(l);
}

/* Trap T14b: one voter cannot become two, for the second would refuse to vote. */
static void a_quorum_must_know_that_it_is_one(void **state)
{
    (void)state;
    struct lab *l = lab_led("vs");
    assert_int_equal(consensus_promote(l->nodes[1].c, 2), CONSENSUS_NO_QUORUM);
    assert_string_equal(consensus_answer_name(CONSENSUS_NO_QUORUM), "the new quorum is not ready");
    lab_free(l);
}

static void leadership_moves_to_one_that_is_level(void **state)
{
    (void)state;
    struct lab *l = lab_led("vvv");
    struct consensus *c = l->nodes[1].c;
    lab_command(l, 1, 10);
    assert_int_equal(consensus_transfer(c, 2), CONSENSUS_BUSY); /* trap T20 */
    lab_settle(l, 1, LAB_ALL);
    assert_int_equal(consensus_transfer(c, 2), CONSENSUS_OK);
    struct consensus_position at;
    assert_int_equal(consensus_submit(c, bytes_text("x"), &at), CONSENSUS_TRANSFERRING);
    assert_int_equal(consensus_read(c, 1), CONSENSUS_TRANSFERRING);
    assert_int_equal(consensus_transfer(c, 3), CONSENSUS_TRANSFERRING);
    struct consensus_status s;
    consensus_status(c, &s);
    assert_int_equal(s.transferee, 2);
    lab_deliver(l, LAB_ALL, 10);
    assert_true(lab_leads(l, 2));
    assert_false(lab_leads(l, 1));
    lab_free(l);
}

/* The leader's disk does not finish a write any more. The others have the entries, so one of them
 * can take over, and nothing that the leader sends for it needs a write of its own. */
static void leadership_moves_though_the_own_disk_is_dead(void **state)
{
    (void)state;
    struct lab *l = lab_led("vvv");
    struct consensus *c = l->nodes[1].c;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(lab_command(l, 1, 10), CONSENSUS_OK);
    }
    assert_int_equal(l->nodes[1].job_count, 3);
    assert_int_equal(consensus_transfer(c, 2), CONSENSUS_BUSY); /* it has nothing of it yet */
    for (int i = 0; i < 4; i++) {
        for (uint64_t to = 2; to <= 3; to++) {
            lab_carry(l, 1, to);
            lab_sync(l, to);
            lab_carry(l, to, 1);
        }
    }
    assert_int_equal(c->commit, memlog_last(&c->log)); /* without our disk */
    assert_int_equal(consensus_transfer(c, 2), CONSENSUS_OK);
    lab_carry(l, 1, 2);
    lab_sync(l, 2);
    lab_carry(l, 2, 3);
    lab_sync(l, 3);
    lab_carry(l, 3, 2);
    lab_sync(l, 2);
    assert_true(lab_leads(l, 2));
    assert_int_equal(l->nodes[1].job_count, 3);
    lab_carry(l, 2, 1);
    assert_false(lab_leads(l, 1));
    lab_lose_all(l);
    lab_timeout(l, 2);
    for (int i = 0; i < 4; i++) { /* and its commands are committed without us */
        lab_carry(l, 2, 3);
        lab_sync(l, 3);
        lab_carry(l, 3, 2);
        lab_sync(l, 2);
    }
    assert_true(consensus_ready(l->nodes[2].c));
    lab_free(l);
}

/* Whoever has not been heard of for an election timeout is not asked to lead. */
static void leadership_does_not_move_to_the_silent(void **state)
{
    (void)state;
    struct lab *l = lab_led("vvv");
    struct consensus *c = l->nodes[1].c;
    for (int i = 0; i < 12; i++) {
        lab_timeout(l, 1);
        lab_deliver(l, LAB_BIT(1) | LAB_BIT(3), 6);
    }
    assert_true(lab_leads(l, 1));
    assert_int_equal(consensus_transfer(c, 2), CONSENSUS_BUSY);
    assert_int_equal(consensus_transfer(c, 3), CONSENSUS_OK);
    lab_free(l);
}

/* ---- snapshots ---- */

static void take_snapshot(struct lab *l, uint32_t trailing)
{
    assert_int_equal(lab_snapshot(l, 1, trailing, bytes_text("manifest")), CONSENSUS_OK);
    assert_int_equal(lab_snapshot(l, 1, trailing, bytes_text("manifest")),
                     CONSENSUS_BUSY); /* one at a time */
    lab_sync(l, 1);
}

/* A leader with a compacted log and a follower that has slept. */
static struct lab *lab_far_behind(void)
{
    struct lab *l = lab_led("vvv");
    lab_down(l, 3);
    for (int i = 0; i < 10; i++) {
        lab_command(l, 1, 10);
        lab_deliver(l, LAB_BIT(1) | LAB_BIT(2), 6);
    }
    lab_settle(l, 1, LAB_BIT(1) | LAB_BIT(2));
    take_snapshot(l, 2);
    assert_int_equal(l->nodes[1].c->log.first, l->nodes[1].applied - 1);
    assert_int_equal(l->nodes[1].first, l->nodes[1].c->log.first);
    lab_up(l, 3);
    for (int i = 0; i < 10 && l->nodes[3].fetches == 0; i++) {
        lab_timeout(l, 1);
        lab_deliver(l, LAB_ALL, 6);
    }
    assert_int_equal(l->nodes[3].fetches, 1);
    assert_true(l->nodes[3].c->installing);
    return l;
}

static void a_node_far_behind_installs_a_snapshot(void **state)
{
    (void)state;
    struct lab *l = lab_far_behind();
    struct lab_node *x = &l->nodes[3];
    struct consensus_next next;
    const struct consensus_snapshot *pending = &x->c->pending;
    assert_int_equal(pending->source, 1);
    assert_true(bytes_equal(entry_bytes(pending->manifest), bytes_text("manifest")));
    assert_true(err_is(consensus_next(x->c, &next), ERR_AGAIN)); /* nothing meanwhile */
    assert_int_equal(lab_snapshot(l, 1, 0, bytes_text("newer")), CONSENSUS_BUSY);
    lab_timeout(l, 1); /* the manifest may come again */
    lab_deliver(l, LAB_ALL, 6);
    assert_int_equal(x->fetches, 1);
    consensus_fetched(x->c, true);
    assert_int_equal(x->restores, 0); /* not before it is durable */
    lab_sync(l, 3);
    assert_int_equal(x->restores, 1);
    assert_int_equal(x->first, x->snapshot.index + 1);
    lab_command(l, 1, 10);
    lab_settle(l, 1, LAB_ALL);
    assert_int_equal(x->applied, l->nodes[1].applied);
    lab_down(l, 3); /* and it starts from there */
    lab_up(l, 3);
    lab_settle(l, 1, LAB_ALL);
    assert_int_equal(x->applied, l->nodes[1].applied);
    assert_int_equal(l->contradictions, 0);
    lab_free(l);
}

/* A peer that was offered a checkpoint and then stays away must not keep the log growing. */
static void a_silent_peer_holds_nothing_back(void **state)
{
    (void)state;
    struct lab *l = lab_far_behind();
    lab_command(l, 1, 10);
    lab_settle(l, 1, LAB_BIT(1) | LAB_BIT(2));
    assert_int_equal(lab_snapshot(l, 1, 0, bytes_text("newer")), CONSENSUS_BUSY);
    lab_down(l, 3);
    uint64_t until = l->now_ms + (PIN_SILENT_ELECTIONS + 1) * 1000;
    while (l->now_ms < until) {
        lab_timeout(l, 1);
        lab_deliver(l, LAB_BIT(1) | LAB_BIT(2), 6);
    }
    assert_true(lab_leads(l, 1));
    assert_int_equal(lab_snapshot(l, 1, 0, bytes_text("newer")), CONSENSUS_OK);
    lab_sync(l, 1);
    lab_free(l);
}

static void a_failed_fetch_starts_over(void **state)
{
    (void)state;
    struct lab *l = lab_far_behind();
    struct lab_node *x = &l->nodes[3];
    assert_false(consensus_wants_reset(x->c));
    consensus_fetched(x->c, false);
    consensus_fetched(x->c, true); /* too late */
    assert_true(consensus_wants_reset(x->c));
    lab_down(l, 3);
    lab_up(l, 3);
    assert_false(x->c->installing);
    for (int i = 0; i < 400 && x->fetches < 2; i++) {
        lab_timeout(l, 1);
        lab_deliver(l, LAB_ALL, 6);
    }
    assert_int_equal(x->fetches, 2);
    consensus_fetched(x->c, true);
    lab_settle(l, 1, LAB_ALL);
    assert_int_equal(x->applied, l->nodes[1].applied);
    lab_free(l);
}

static void a_snapshot_needs_something_new(void **state)
{
    (void)state;
    struct lab *l = lab_led("vvv");
    take_snapshot(l, 0);
    assert_int_equal(l->nodes[1].snapshot.index, l->nodes[1].applied);
    assert_int_equal(l->nodes[1].count, 0);
    assert_int_equal(lab_snapshot(l, 1, 0, bytes_of(NULL, 0)), CONSENSUS_BUSY);
    lab_command(l, 1, 10);
    lab_settle(l, 1, LAB_ALL);
    take_snapshot(l, 0);
    lab_free(l);
}

/* Making a checkpoint takes a while; the log goes on, and configurations with it. */
static void a_marked_place_is_offered_later(void **state)
{
    (void)state;
    struct lab *l = lab_led("vvs");
    struct consensus *c = l->nodes[1].c;
    struct consensus_mark mark;
    lab_command(l, 1, 10);
    lab_settle(l, 1, LAB_ALL);
    assert_int_equal(consensus_mark(c, &mark), CONSENSUS_OK);
    assert_int_equal(mark.index, l->nodes[1].applied);
    assert_int_equal(mark.conf_index, 1);
    assert_int_equal(consensus_change(c, 3, CONSENSUS_STRANGER), CONSENSUS_OK);
    lab_command(l, 1, 10);
    lab_settle(l, 1, LAB_BIT(1) | LAB_BIT(2));
    assert_true(l->nodes[1].applied > mark.index + 1);
    assert_int_equal(consensus_snapshot(c, &mark, 1, bytes_text("manifest")), CONSENSUS_OK);
    lab_sync(l, 1);
    assert_int_equal(c->snapshot.index, mark.index);
    assert_int_equal(c->snapshot.conf_index, 1); /* not the one that came after it */
    assert_true(bytes_equal(entry_bytes(c->snapshot.conf), entry_bytes(mark.conf)));
    assert_int_equal(c->log.first, mark.index);
    assert_int_equal(consensus_snapshot(c, &mark, 1, bytes_text("again")), CONSENSUS_BUSY);
    entry_unref(mark.conf);
    lab_down(l, 1); /* the state of this lab is then that of the snapshot */
    lab_up(l, 1);
    assert_int_equal(l->nodes[1].c->conf_index, 1);
    lab_free(l);
}

static void nothing_is_marked_while_entries_are_out(void **state)
{
    (void)state;
    struct lab *l = lab_led("v");
    struct consensus *c = l->nodes[1].c;
    struct consensus_mark mark;
    struct consensus_next next;
    lab_command(l, 1, 10);
    while (l->nodes[1].job_count > 0) {
        lab_sync_one(l, 1);
    }
    assert_false(failed(consensus_next(c, &next)));
    assert_int_equal(consensus_mark(c, &mark), CONSENSUS_BUSY);
    consensus_applied(c, next.index);
    entry_unref(next.entry);
    assert_int_equal(consensus_mark(c, &mark), CONSENSUS_OK);
    assert_int_equal(mark.index, next.index);
    entry_unref(mark.conf);
    lab_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_standby_becomes_a_voter_and_leaves),
        cmocka_unit_test(a_lagging_standby_is_promoted_later),
        cmocka_unit_test(impossible_changes_are_refused),
        cmocka_unit_test(a_quorum_must_know_that_it_is_one),
        cmocka_unit_test(leadership_moves_to_one_that_is_level),
        cmocka_unit_test(leadership_moves_though_the_own_disk_is_dead),
        cmocka_unit_test(leadership_does_not_move_to_the_silent),
        cmocka_unit_test(a_node_far_behind_installs_a_snapshot),
        cmocka_unit_test(a_silent_peer_holds_nothing_back),
        cmocka_unit_test(a_failed_fetch_starts_over),
        cmocka_unit_test(a_marked_place_is_offered_later),
        cmocka_unit_test(nothing_is_marked_while_entries_are_out),
        cmocka_unit_test(a_snapshot_needs_something_new),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
