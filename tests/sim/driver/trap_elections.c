/* Traps of votes, terms and time. */
#include "tests/sim/driver/trap.h"

/* T1. Nodes 4 and 5 grant node 1 a pre-vote and answer late; meanwhile both vote for node 2. */
static bool late_pre_votes(uint32_t off)
{
    struct lab *l = trap_lab("vvvvv", off, true);
    lab_timeout(l, 1);
    lab_timeout(l, 2);
    for (uint64_t to = 3; to <= 5; to++) {
        lab_deliver_link(l, 1, to); /* pre-votes asked ... */
    }
    lab_deliver_link(l, 1, 2);
    lab_deliver_link(l, 2, 1);
    lab_deliver_link(l, 3, 1); /* ... two granted: node 1 begins the election of term 2 */
    NEED(trap_find(l, PACKET_VOTE, 1, 3) != NULL && l->nodes[1].c->term == 2);
    for (int i = 0; i < 2; i++) { /* pre-vote and vote of node 2 */
        for (uint64_t to = 3; to <= 5; to++) {
            lab_deliver_link(l, 2, to);
        }
        for (uint64_t to = 3; to <= 5; to++) {
            lab_deliver_link(l, to, 2);
        }
    }
    NEED(lab_leads(l, 2) && l->nodes[2].c->term == 2);
    lab_deliver_link(l, 4, 1); /* the late grants */
    lab_deliver_link(l, 5, 1);
    bool two = trap_two_leaders(l);
    trap_free(l);
    return !two;
}

/* T4. The only voter crashes with an entry that a standby has and it has not. */
static bool single_voter_starts_again(uint32_t off)
{
    struct lab *l = trap_lab("vs", off, true);
    NEED(lab_leads(l, 1));
    lab_settle(l, 1, LAB_ALL);
    NEED(lab_command(l, 1, 10) == CONSENSUS_OK);
    lab_carry(l, 1, 2);
    lab_sync(l, 2);
    lab_down(l, 1);
    lab_lose_all(l);
    lab_up(l, 1);
    NEED(lab_leads(l, 1));
    NEED(lab_command(l, 1, 20) == CONSENSUS_OK);
    lab_sync(l, 1);
    bool matches = true;
    for (uint64_t i = 0; i < l->nodes[1].count && i < l->nodes[2].count; i++) {
        const struct entry *a = l->nodes[1].entries[i];
        const struct entry *b = l->nodes[2].entries[i];
        matches = matches && (a->term != b->term || bytes_equal(entry_bytes(a), entry_bytes(b)));
    }
    trap_free(l);
    return matches;
}

/* T4. A leader that becomes a standby makes the other one the only voter, which elects itself in
 * the term that still has a leader. */
static bool leader_demotes_itself(uint32_t off)
{
    struct lab *l = trap_led("vv", off, true);
    enum consensus_answer answer = consensus_change(l->nodes[1].c, 1, CONSENSUS_STANDBY);
    NEED(off == 0 || answer == CONSENSUS_OK);
    lab_deliver_link(l, 1, 2);
    lab_timeout(l, 2);
    lab_timeout(l, 2);
    bool two = trap_two_leaders(l);
    trap_free(l);
    return !two;
}

/* T5. Node 2 votes, crashes before its vote is on disk, and votes again. */
static bool a_vote_is_forgotten(uint32_t off)
{
    struct lab *l = trap_lab("vvv", off, false);
    lab_timeout(l, 1);
    lab_sync(l, 1);
    lab_carry(l, 1, 2);
    lab_down(l, 2);
    lab_carry(l, 2, 1);
    lab_up(l, 2);
    lab_lose_all(l);
    lab_timeout(l, 3);
    lab_sync(l, 3);
    lab_carry(l, 3, 2);
    lab_sync(l, 2);
    lab_carry(l, 2, 3);
    NEED(lab_leads(l, 3));
    bool two = trap_two_leaders(l);
    trap_free(l);
    return !two;
}

/* T12. Heartbeats to two followers out of step: each tick of a leader judges its contacts, so they
 * are a heartbeat apart. */
static bool leader_ticks(uint32_t off)
{
    struct lab *l = trap_led("vvv", off, true);
    struct consensus *c = l->nodes[1].c;
    uint32_t two = LAB_BIT(1) | LAB_BIT(2);
    for (int i = 0; i < 4; i++) { /* node 3 is silent: it gets heartbeats only */
        lab_timeout(l, 1);
        lab_deliver(l, two, 4);
    }
    uint64_t ticked = l->now_ms;
    l->now_ms += 50;
    NEED(lab_command(l, 1, 10) == CONSENSUS_OK); /* node 2 gets it now */
    lab_deliver(l, two, 4);
    bool apart = true;
    for (int i = 0; i < 6; i++) {
        lab_timeout(l, 1);
        lab_deliver(l, two, 4);
        apart = apart && l->now_ms - ticked >= c->options.heartbeat_ms;
        ticked = l->now_ms;
    }
    NEED(lab_leads(l, 1));
    trap_free(l);
    return apart;
}

/* T14a. The one with the longer log does not learn the term of the other, and asks for ever. */
static bool terms_are_told(uint32_t off)
{
    struct lab *l = trap_led("vvv", off, true);
    lab_down(l, 2);
    NEED(lab_command(l, 1, 10) == CONSENSUS_OK);
    lab_settle(l, 1, LAB_BIT(1) | LAB_BIT(3));
    lab_down(l, 3);
    lab_down(l, 1);
    lab_up(l, 1);
    l->nodes[2].term += 6; /* it has campaigned alone, without pre-votes */
    l->nodes[2].vote = 0;
    lab_up(l, 2);
    bool elects = trap_elects(l, LAB_BIT(1) | LAB_BIT(2));
    trap_free(l);
    return elects;
}

/* T19. The core would read the state of a candidate that it is not. */
static bool votes_reach_candidates_only(uint32_t off)
{
    struct lab *l = trap_led("vvv", off, true);
    uint64_t steps = l->nodes[2].c->counters.steps;
    struct packet *p = packet_new(PACKET_VOTE_RESULT);
    p->m.type = RAFT_REQUEST_VOTE_RESULT;
    p->m.request_vote_result = (struct raft_request_vote_result){
        .version = 2, .term = l->nodes[2].c->term, .vote_granted = true};
    NEED(trap_give(l, 3, 2, p));
    bool untouched = l->nodes[2].c->counters.steps == steps;
    trap_free(l);
    return untouched;
}

/* Section 5.4.2 of the Raft paper. The log of the new leader is all committed as far as it knows,
 * and the core adds no entry of its own; only one of its own term proves that it is. */
static bool leader_has_an_own_entry(uint32_t off)
{
    struct lab *l = trap_led("vvv", off, true);
    struct consensus *c = l->nodes[2].c;
    lab_settle(l, 1, LAB_ALL);
    lab_down(l, 1);
    NEED(c->commit == memlog_last(&c->log));
    lab_campaign(l, 2, LAB_BIT(2) | LAB_BIT(3));
    NEED(lab_leads(l, 2));
    lab_settle(l, 2, LAB_BIT(2) | LAB_BIT(3));
    NEED(consensus_ready(c));
    bool own = consensus_term_at(c, c->term_first) == c->term;
    trap_free(l);
    return own;
}

/* T22. A leader that was cut off does not know yet that another leads and has committed more. */
static bool reads_are_never_stale(uint32_t off)
{
    struct lab *l = trap_led("vvv", off, true);
    struct lab_node *x = &l->nodes[1];
    uint32_t two = LAB_BIT(2) | LAB_BIT(3);
    lab_campaign(l, 2, two);
    NEED(lab_leads(l, 2) && lab_leads(l, 1));
    lab_settle(l, 2, two);
    NEED(lab_command(l, 2, 10) == CONSENSUS_OK);
    lab_settle(l, 2, two);
    NEED(l->nodes[2].applied > x->applied && lab_leads(l, 1));
    NEED(consensus_read(x->c, 1) == CONSENSUS_OK);
    lab_deliver(l, LAB_ALL, 4);
    bool stale = x->read_count == 1 && x->reads[0].ok;
    trap_free(l);
    return !stale;
}

const struct trap trap_elections[] = {
    {"T1: late pre-votes are no votes", GUARD_VERSION, late_pre_votes, false},
    {"T4: a single voter starts in a new term", GUARD_BUMP, single_voter_starts_again, false},
    {"T4: a leader stays a voter", GUARD_SELF, leader_demotes_itself, false},
    {"T5: a vote is on disk before it is told", GUARD_GATE, a_vote_is_forgotten, false},
    {"T12: a leader ticks once a heartbeat", GUARD_TICK_CLAMP, leader_ticks, false},
    {"T14a: a refused pre-vote tells our term", GUARD_TRUE_TERM, terms_are_told, false},
    {"T19: votes reach candidates only", GUARD_CANDIDATE, votes_reach_candidates_only, true},
    {"T22: reads are never stale", GUARD_CONFIRM_READ, reads_are_never_stale, false},
    {"5.4.2: a leader has an own entry", GUARD_OWN_ENTRY, leader_has_an_own_entry, false},
};
const size_t trap_elections_count = sizeof trap_elections / sizeof trap_elections[0];
