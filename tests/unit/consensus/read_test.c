/* Linearizable reads: one round of questions for all that wait. */
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

static uint32_t rounds(const struct lab *l)
{
    return (uint32_t)l->nodes[1].c->counters.rounds;
}

static uint32_t under_way(const struct lab *l, enum packet_kind kind)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < l->net_count; i++) {
        count += l->net[i]->kind == kind;
    }
    return count;
}

static void reads_share_a_round(void **state)
{
    (void)state;
    struct lab *l = lab_led("vvv");
    struct lab_node *x = &l->nodes[1];
    assert_int_equal(consensus_read(x->c, 1), CONSENSUS_OK);
    assert_int_equal(rounds(l), 1);
    assert_int_equal(under_way(l, PACKET_READ), 2);
    for (uint64_t cookie = 2; cookie <= 100; cookie++) { /* while the first round runs */
        assert_int_equal(consensus_read(x->c, cookie), CONSENSUS_OK);
    }
    assert_int_equal(rounds(l), 1);
    assert_int_equal(under_way(l, PACKET_READ), 2);
    assert_int_equal(x->read_count, 0);
    lab_deliver_link(l, 1, 2);
    lab_deliver_link(l, 2, 1); /* two of three confirm the first round: the second starts */
    assert_int_equal(x->read_count, 1);
    assert_int_equal(x->reads[0].cookie, 1);
    assert_true(x->reads[0].ok);
    assert_int_equal(rounds(l), 2);
    lab_deliver(l, LAB_ALL, 4);
    assert_int_equal(x->read_count, 100);
    for (uint64_t i = 0; i < 100; i++) {
        assert_int_equal(x->reads[i].cookie, i + 1);
        assert_true(x->reads[i].ok);
    }
    assert_int_equal(rounds(l), 2);
    lab_free(l);
}

/* An answer to the round before proves nothing about a read that came after it began. */
static void late_answers_do_not_count(void **state)
{
    (void)state;
    struct lab *l = lab_led("vvv");
    struct lab_node *x = &l->nodes[1];
    assert_int_equal(consensus_read(x->c, 1), CONSENSUS_OK);
    assert_int_equal(consensus_read(x->c, 2), CONSENSUS_OK);
    struct packet *ack = packet_new(PACKET_READ_ACK);
    ack->from = 2;
    ack->term = x->c->term;
    ack->seq = x->c->round.seq;
    assert_false(failed(lab_receive(l, 2, 1, ack)));
    assert_int_equal(x->read_count, 1);
    assert_false(failed(lab_receive(l, 2, 1, ack))); /* the same again */
    ack->seq += 2;                                   /* a round that has not begun */
    assert_false(failed(lab_receive(l, 2, 1, ack)));
    ack->seq -= 1;
    ack->term -= 1; /* another term */
    assert_false(failed(lab_receive(l, 2, 1, ack)));
    assert_int_equal(x->read_count, 1);
    ack->term += 1;
    assert_false(failed(lab_receive(l, 7, 1, ack))); /* a stranger */
    assert_int_equal(x->read_count, 1);
    assert_false(failed(lab_receive(l, 2, 1, ack)));
    assert_int_equal(x->read_count, 2);
    packet_free(ack);
    lab_free(l);
}

static void standbys_do_not_confirm(void **state)
{
    (void)state;
    struct lab *l = lab_led("vvvss");
    struct lab_node *x = &l->nodes[1];
    assert_int_equal(consensus_read(x->c, 1), CONSENSUS_OK);
    assert_int_equal(under_way(l, PACKET_READ), 2);
    for (uint64_t from = 4; from <= 5; from++) {
        struct packet *ack = packet_new(PACKET_READ_ACK);
        ack->from = from;
        ack->term = x->c->term;
        ack->seq = x->c->round.seq;
        assert_false(failed(lab_receive(l, from, 1, ack)));
        packet_free(ack);
    }
    assert_int_equal(x->read_count, 0);
    lab_free(l);
}

static void lost_questions_are_asked_again(void **state)
{
    (void)state;
    struct lab *l = lab_led("vvv");
    struct lab_node *x = &l->nodes[1];
    assert_int_equal(consensus_read(x->c, 1), CONSENSUS_OK);
    lab_lose_all(l);
    lab_timeout(l, 1);
    assert_int_equal(under_way(l, PACKET_READ), 2);
    lab_deliver(l, LAB_ALL, 4);
    assert_int_equal(x->read_count, 1);
    assert_int_equal(rounds(l), 1);
    lab_free(l);
}

/* Confirmed is not enough: what was committed when the read began must be applied. */
static void a_read_waits_for_the_state(void **state)
{
    (void)state;
    struct lab *l = lab_led("vvv");
    struct lab_node *x = &l->nodes[1];
    struct consensus_next next;
    assert_int_equal(lab_command(l, 1, 10), CONSENSUS_OK);
    while (x->job_count > 0) {
        lab_sync_one(l, 1);
    }
    struct packet *p = packet_new(PACKET_APPEND_RESULT);
    p->from = 2;
    p->m.append_entries_result = (struct raft_append_entries_result){
        .version = 2, .term = x->c->term, .last_log_index = memlog_last(&x->c->log)};
    assert_false(failed(lab_receive(l, 2, 1, p)));
    packet_free(p);
    assert_true(x->c->commit > x->c->applied);
    assert_int_equal(consensus_read(x->c, 1), CONSENSUS_OK);
    struct packet *ack = packet_new(PACKET_READ_ACK);
    ack->from = 3;
    ack->term = x->c->term;
    ack->seq = x->c->round.seq;
    assert_false(failed(lab_receive(l, 3, 1, ack)));
    packet_free(ack);
    assert_int_equal(x->read_count, 0);
    assert_false(failed(consensus_next(x->c, &next)));
    entry_unref(next.entry);
    assert_int_equal(x->read_count, 0);
    x->applied = next.index;
    consensus_applied(x->c, next.index);
    assert_int_equal(x->read_count, 1);
    assert_true(x->reads[0].ok);
    lab_free(l);
}

static void lost_leadership_refuses_reads(void **state)
{
    (void)state;
    struct lab *l = lab_led("vvv");
    struct lab_node *x = &l->nodes[1];
    assert_int_equal(consensus_read(x->c, 1), CONSENSUS_OK);
    assert_int_equal(consensus_read(x->c, 2), CONSENSUS_OK);
    lab_lose_all(l);
    for (int i = 0; i < 30 && lab_leads(l, 1); i++) { /* alone: it steps down */
        lab_timeout(l, 1);
        lab_lose_all(l);
    }
    assert_false(lab_leads(l, 1));
    assert_int_equal(x->read_count, 2);
    assert_false(x->reads[0].ok);
    assert_false(x->reads[1].ok);
    assert_int_equal(consensus_read(x->c, 3), CONSENSUS_NOT_LEADER);
    lab_free(l);
}

/* Before its own-term commit a leader does not know all that was acknowledged. */
static void a_fresh_leader_does_not_read(void **state)
{
    (void)state;
    struct lab *l = lab_led("vvv");
    lab_command(l, 1, 10);
    lab_deliver(l, LAB_ALL, 4);
    lab_campaign(l, 2, LAB_BIT(2) | LAB_BIT(3));
    assert_true(lab_leads(l, 2));
    struct lab_node *x = &l->nodes[2];
    assert_false(consensus_ready(x->c));
    assert_int_equal(consensus_read(x->c, 1), CONSENSUS_BUSY);
    lab_settle(l, 2, LAB_ALL);
    assert_int_equal(consensus_read(x->c, 2), CONSENSUS_OK);
    lab_deliver(l, LAB_ALL, 4);
    assert_int_equal(x->read_count, 1);
    lab_free(l);
}

static void waiting_reads_are_bounded(void **state)
{
    (void)state;
    struct lab *l = lab_led("vvv");
    for (uint64_t i = 0; i < READS_WAITING_MAX; i++) {
        assert_int_equal(consensus_read(l->nodes[1].c, i), CONSENSUS_OK);
    }
    assert_int_equal(consensus_read(l->nodes[1].c, 0), CONSENSUS_BUSY);
    struct consensus_status s;
    consensus_status(l->nodes[1].c, &s);
    assert_int_equal(s.reads_waiting, READS_WAITING_MAX);
    lab_free(l); /* frees them without a call */
}

static void a_single_voter_reads_at_once(void **state)
{
    (void)state;
    struct lab *l = lab_led("v");
    for (uint64_t i = 0; i < 3; i++) {
        assert_int_equal(consensus_read(l->nodes[1].c, i), CONSENSUS_OK);
        assert_int_equal(l->nodes[1].read_count, i + 1);
    }
    lab_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_share_a_round),
        cmocka_unit_test(late_answers_do_not_count),
        cmocka_unit_test(standbys_do_not_confirm),
        cmocka_unit_test(lost_questions_are_asked_again),
        cmocka_unit_test(a_read_waits_for_the_state),
        cmocka_unit_test(lost_leadership_refuses_reads),
        cmocka_unit_test(a_fresh_leader_does_not_read),
        cmocka_unit_test(waiting_reads_are_bounded),
        cmocka_unit_test(a_single_voter_reads_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
