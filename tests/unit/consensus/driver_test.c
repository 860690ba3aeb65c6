/* The driver: submit, commit, apply; what waits for the disk; what is kept in memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tests/unit/consensus/lab.h"

static struct lab *lab_of(const char *roles, uint64_t cache_bytes)
{
    struct lab *l = mem_new(1, sizeof *l);
    l->inflight = 8;
    l->cache_bytes = cache_bytes;
    lab_init(l, roles);
    return l;
}

static struct lab *lab_led(const char *roles, uint64_t cache_bytes)
{
    struct lab *l = lab_of(roles, cache_bytes);
    lab_campaign(l, 1, LAB_ALL);
    assert_true(lab_leads(l, 1));
    lab_settle(l, 1, LAB_ALL);
    assert_true(consensus_ready(l->nodes[1].c));
    return l;
}

static void lab_free(struct lab *l)
{
    lab_done(l);
    free(l);
}

static void a_command_is_committed_at_its_position(void **state)
{
    (void)state;
    struct lab *l = lab_led("vvv", 1 << 20);
    struct consensus_position at = {0};
    struct consensus_next next;
    struct consensus *c = l->nodes[1].c;
    assert_int_equal(consensus_submit(c, bytes_text("block"), &at), CONSENSUS_OK);
    assert_int_equal(at.index, l->nodes[1].applied + 1);
    assert_int_equal(at.term, c->term);
    assert_true(err_is(consensus_next(c, &next), ERR_AGAIN));
    lab_sync_one(l, 1);
    assert_true(err_is(consensus_next(c, &next), ERR_AGAIN)); /* our disk alone is no majority */
    uint32_t calls = l->nodes[1].committed_calls;
    lab_deliver_link(l, 1, 2);
    struct packet *p = l->net[l->net_count - 1];
    assert_int_equal(p->kind, PACKET_APPEND_RESULT);
    assert_false(failed(lab_receive(l, 2, 1, p)));
    assert_int_equal(l->nodes[1].committed_calls, calls + 1);
    assert_false(failed(consensus_next(c, &next)));
    assert_int_equal(next.index, at.index);
    assert_int_equal(next.term, at.term); /* so it is COMMITTED */
    assert_int_equal(next.type, ENTRY_COMMAND);
    assert_true(bytes_equal(entry_bytes(next.entry), bytes_text("block")));
    entry_unref(next.entry);
    assert_true(err_is(consensus_next(c, &next), ERR_AGAIN)); /* once */
    l->nodes[1].applied = at.index;
    consensus_applied(c, at.index);
    consensus_applied(c, at.index - 1); /* ignored */
    struct consensus_status status;
    consensus_status(c, &status);
    assert_int_equal(status.applied, at.index);
    assert_int_equal(status.commit, at.index);
    lab_free(l);
}

static void only_the_leader_takes_commands(void **state)
{
    (void)state;
    struct lab *l = lab_of("vvv", 1 << 20);
    assert_int_equal(lab_command(l, 1, 1), CONSENSUS_NOT_LEADER);
    lab_campaign(l, 1, LAB_ALL);
    assert_int_equal(lab_command(l, 2, 1), CONSENSUS_NOT_LEADER);
    assert_int_equal(lab_command(l, 1, 1), CONSENSUS_OK);
    lab_free(l);
}

static void twice_the_window_is_the_limit(void **state)
{
    (void)state;
    struct lab *l = lab_led("vvv", 1 << 20);
    for (int i = 0; i < 16; i++) {
        assert_int_equal(lab_command(l, 1, 1), CONSENSUS_OK);
    }
    assert_int_equal(lab_command(l, 1, 1), CONSENSUS_BUSY);
    lab_settle(l, 1, LAB_ALL);
    assert_int_equal(lab_command(l, 1, 1), CONSENSUS_OK);
    lab_free(l);
}

/* The one that led alone loses its entry; the recipe of promise 3 sees another term there. */
static void a_lost_command_shows_another_term(void **state)
{
    (void)state;
    struct lab *l = lab_led("vvv", 1 << 20);
    struct consensus_position at;
    assert_int_equal(consensus_submit(l->nodes[1].c, bytes_text("lost"), &at), CONSENSUS_OK);
    lab_deliver(l, LAB_BIT(1), 1);
    lab_campaign(l, 2, LAB_BIT(2) | LAB_BIT(3));
    assert_true(lab_leads(l, 2));
    lab_command(l, 2, 4);
    lab_settle(l, 2, LAB_ALL);
    lab_settle(l, 2, LAB_ALL);
    assert_false(lab_leads(l, 1));
    assert_true(l->nodes[1].applied >= at.index);
    assert_int_not_equal(l->decided[at.index], at.term);
    assert_int_not_equal(consensus_term_at(l->nodes[1].c, at.index), at.term);
    assert_int_equal(l->contradictions, 0);
    lab_free(l);
}

/* Trap T5: the candidate's requests and the voter's answer wait for the disk. */
static void nothing_leaves_before_term_and_vote_are_durable(void **state)
{
    (void)state;
    struct lab *l = lab_of("vvv", 1 << 20);
    lab_timeout(l, 1);
    assert_int_equal(core_role(l->nodes[1].c), CONSENSUS_CANDIDATE);
    assert_int_equal(l->nodes[1].job_count, 1);
    assert_int_equal(l->nodes[1].jobs[0]->kind, CONSENSUS_JOB_HARD);
    assert_int_equal(l->nodes[1].jobs[0]->vote, 1);
    assert_int_equal(l->net_count, 0);
    lab_sync_one(l, 1);
    assert_int_equal(l->net_count, 2);
    lab_timeout(l, 2); /* forgets nothing, but waits no more for a leader */
    lab_sync(l, 2);
    struct packet *ask = l->net[0];
    ask->m.request_vote.term = 5;
    uint32_t count = l->net_count;
    assert_false(failed(lab_receive(l, 1, 2, ask)));
    assert_int_equal(l->nodes[2].jobs[l->nodes[2].job_count - 1]->kind, CONSENSUS_JOB_HARD);
    assert_int_equal(l->net_count, count);
    lab_sync(l, 2);
    assert_int_equal(l->net[l->net_count - 1]->kind, PACKET_VOTE_RESULT);
    lab_free(l);
}

/* Eight blocks of the greatest size to one follower: frames stay within their limit. */
static void large_blocks_are_cut_into_frames(void **state)
{
    (void)state;
    struct lab *l = lab_led("vvv", UINT32_MAX);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(lab_command(l, 1, BLOCK_BYTES_MAX), CONSENSUS_OK);
    }
    lab_deliver(l, LAB_BIT(1) | LAB_BIT(2), 6);
    lab_settle(l, 1, LAB_ALL); /* node 3 gets all of them at once */
    assert_int_equal(l->nodes[3].applied, l->nodes[1].applied);
    assert_true(l->frame_bytes_max > BLOCK_BYTES_MAX);
    assert_true(l->frame_bytes_max <= PEER_FRAME_BYTES_MAX);
    lab_free(l);
}

/* Payloads that are stored and applied leave memory; a follower that needs them gets them from
 * disk. */
static void a_slow_follower_is_served_from_disk(void **state)
{
    (void)state;
    struct lab *l = lab_led("vvv", 500);
    lab_down(l, 3);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(lab_command(l, 1, 100), CONSENSUS_OK);
        lab_deliver(l, LAB_BIT(1) | LAB_BIT(2), 6);
    }
    lab_settle(l, 1, LAB_BIT(1) | LAB_BIT(2));
    struct consensus_status status;
    consensus_status(l->nodes[1].c, &status);
    assert_true(status.cache_bytes <= 500);
    assert_true(status.applied >= 20);
    /* One that is silent costs no reading: it is only asked whether it lives. */
    uint64_t loads = l->nodes[1].loads;
    lab_settle(l, 1, LAB_BIT(1) | LAB_BIT(2));
    for (int i = 0; i < 20; i++) {
        lab_timeout(l, 1);
        lab_deliver(l, LAB_BIT(1) | LAB_BIT(2), 6);
    }
    uint64_t silent_loads = l->nodes[1].loads;
    for (int i = 0; i < 20; i++) {
        lab_timeout(l, 1);
        lab_deliver(l, LAB_BIT(1) | LAB_BIT(2), 6);
    }
    assert_true(silent_loads >= loads);
    assert_int_equal(l->nodes[1].loads, silent_loads);
    lab_up(l, 3);
    lab_settle(l, 1, LAB_ALL);
    lab_settle(l, 1, LAB_ALL);
    assert_true(l->nodes[1].loads >= silent_loads + 10);
    assert_int_equal(l->nodes[3].applied, l->nodes[1].applied);
    lab_free(l);
}

/* A payload is kept until it is on disk, whatever it weighs; then it can be read back, also to be
 * applied: a host that applies slowly must not make the log grow in memory. */
static void what_is_not_stored_stays_in_memory(void **state)
{
    (void)state;
    struct lab *l = lab_led("vvv", 0);
    struct consensus *c = l->nodes[1].c;
    struct consensus_next next;
    lab_command(l, 1, 100);
    assert_int_equal(c->log.bytes, 100); /* being written */
    while (l->nodes[1].job_count > 0) {
        lab_sync_one(l, 1);
    }
    assert_int_equal(c->log.bytes, 0); /* stored, not committed */
    struct packet *p = packet_new(PACKET_APPEND_RESULT);
    p->from = 2;
    p->m.append_entries_result = (struct raft_append_entries_result){
        .version = 2, .term = c->term, .last_log_index = memlog_last(&c->log)};
    assert_false(failed(lab_receive(l, 2, 1, p)));
    packet_free(p);
    assert_int_equal(c->commit, memlog_last(&c->log));
    uint64_t loads = l->nodes[1].loads;
    assert_false(failed(consensus_next(c, &next)));
    assert_int_equal(next.entry->size, 100);
    assert_int_equal(l->nodes[1].loads, loads + 1);
    entry_unref(next.entry);
    consensus_applied(c, next.index);
    lab_free(l);
}

/* After a restart only configurations are in memory; the rest is read when it is applied. */
static void a_restart_reads_what_it_applies(void **state)
{
    (void)state;
    struct lab *l = lab_led("vvv", 1 << 20);
    for (int i = 0; i < 5; i++) {
        lab_command(l, 1, 100);
    }
    lab_settle(l, 1, LAB_ALL);
    uint64_t applied = l->nodes[3].applied;
    lab_down(l, 3);
    lab_up(l, 3);
    assert_int_equal(l->nodes[3].loads, 0);
    assert_int_equal(l->nodes[3].c->log.bytes, 0);
    lab_settle(l, 1, LAB_ALL);
    assert_int_equal(l->nodes[3].applied, applied);
    assert_int_equal(l->nodes[3].loads, 5);
    lab_free(l);
}

static void an_entry_that_reads_back_wrong_stops_the_node(void **state)
{
    (void)state;
    const enum err_code codes[] = {ERR_IO, ERR_CORRUPT};
    for (int i = 0; i < 2; i++) {
        struct lab *l = lab_led("vvv", 1 << 20);
        struct errtext text = {""};
        struct consensus_next next;
        lab_command(l, 1, 100);
        lab_settle(l, 1, LAB_ALL);
        lab_down(l, 3);
        lab_up(l, 3);
        l->nodes[3].load = i == 0 ? LAB_LOAD_NOTHING : LAB_LOAD_ANOTHER;
        lab_settle(l, 1, LAB_ALL);
        struct consensus *c = l->nodes[3].c;
        assert_true(err_is(consensus_check(c, &text), codes[i]));
        assert_string_not_equal(text.text, "");
        assert_true(err_is(consensus_next(c, &next), codes[i]));
        lab_free(l);
    }
}

/* The leader's stamp: the lower median, without those that were never heard. */
static void clocks_travel_with_heartbeats(void **state)
{
    (void)state;
    const uint64_t second = 1000000000;
    struct lab *l = lab_of("vvvs", 1 << 20);
    l->nodes[1].clock_ns = 100 * second;
    l->nodes[2].clock_ns = 105 * second;
    l->nodes[3].clock_ns = UINT64_MAX; /* it may say anything */
    l->nodes[4].clock_ns = 1;          /* does not vote */
    struct consensus *c = l->nodes[1].c;
    assert_int_equal(consensus_median_clock(c, 100 * second), 100 * second);
    lab_campaign(l, 1, LAB_BIT(1) | LAB_BIT(2));
    lab_settle(l, 1, LAB_BIT(1) | LAB_BIT(2));
    assert_int_equal(consensus_median_clock(c, 100 * second), 100 * second);
    lab_settle(l, 1, LAB_ALL);
    uint64_t median = consensus_median_clock(c, 100 * second);
    assert_true(median >= 105 * second && median < 106 * second);
    l->now_ms += 3000; /* carried on by the monotonic clock */
    assert_true(consensus_median_clock(c, 100 * second) >= median + 3 * second);
    struct consensus_status status;
    consensus_status(c, &status);
    assert_int_equal(status.peer_count, 3);
    assert_int_equal(status.peers[0].id, 2);
    assert_int_equal(status.peers[0].clock_ns, 105 * second);
    assert_int_equal(status.peers[2].member, CONSENSUS_STANDBY);
    lab_free(l);
}

static void status_says_who_is_where(void **state)
{
    (void)state;
    struct lab *l = lab_led("vvvs", 1 << 20);
    struct consensus_status s;
    lab_down(l, 3);
    uint64_t down_ms = l->now_ms;
    lab_command(l, 1, 10);
    lab_settle(l, 1, LAB_ALL);
    consensus_status(l->nodes[1].c, &s);
    assert_int_equal(s.role, CONSENSUS_LEADER);
    assert_int_equal(s.member, CONSENSUS_VOTER);
    assert_int_equal(s.leader, 1);
    assert_int_equal(s.voters, 3);
    assert_true(s.ready);
    assert_int_equal(s.first_index, 1);
    assert_int_equal(s.last_index, s.commit);
    assert_int_equal(s.stored, s.commit);
    assert_int_equal(s.peers[0].match, s.last_index);
    assert_true(s.peers[1].match < s.last_index);
    assert_true(s.peers[1].contacted && s.peers[1].last_contact_ms <= down_ms);
    assert_true(s.peers[0].last_contact_ms > down_ms);
    consensus_status(l->nodes[2].c, &s);
    assert_int_equal(s.role, CONSENSUS_FOLLOWER);
    assert_int_equal(s.leader, 1);
    assert_false(s.ready);
    assert_int_equal(s.peers[0].match, 0);
    assert_string_equal(consensus_role_name(s.role), "follower");
    lab_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_command_is_committed_at_its_position),
        cmocka_unit_test(only_the_leader_takes_commands),
        cmocka_unit_test(twice_the_window_is_the_limit),
        cmocka_unit_test(a_lost_command_shows_another_term),
        cmocka_unit_test(nothing_leaves_before_term_and_vote_are_durable),
        cmocka_unit_test(large_blocks_are_cut_into_frames),
        cmocka_unit_test(a_slow_follower_is_served_from_disk),
        cmocka_unit_test(what_is_not_stored_stays_in_memory),
        cmocka_unit_test(a_restart_reads_what_it_applies),
        cmocka_unit_test(an_entry_that_reads_back_wrong_stops_the_node),
        cmocka_unit_test(clocks_travel_with_heartbeats),
        cmocka_unit_test(status_says_who_is_where),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
