/* An election without waiting, when the process that led is known to be gone.
 *
 * A follower that has a leader refuses to vote (section 4.2.3 of Ongaro's dissertation) until its
 * own election timeout is over, and so a killed leader is missed for the longest of several random
 * timeouts. But a closed connection says at once that the process is gone. So the followers that
 * see it ask for pre-votes one after another, in the order of the configuration, a slot apart: by
 * the time of the one that completes a majority all before it have let the leader go, and it wins
 * without a rival. If its log is behind, the turns begin again.
 *
 *     leader gone   0: first asks, refused    slot: second asks, wins (of three)
 *         |---------|-------------------------|------------------> new leader
 *
 * Nothing of safety rests on it: it is an election timeout that is over early, which Raft allows at
 * any time. If the leader lives after all (only the connection broke), the others still have it,
 * refuse the pre-vote, which changes no term, and its next heartbeat ends the haste. */
#include "base/require.h"
#include "consensus/driver.h"

/* Turns that nobody has, before the first one's comes again: whoever has won the pre-votes needs
 * the time to write its vote to disk and have others write theirs; a rival would split them. */
enum { SPARE_SLOTS = 2 };

/* Time between two turns: more than the way of a vote and back, which heartbeats allow for. */
static uint64_t slot_ms(const struct consensus *c)
{
    return c->options.heartbeat_ms / 2 + 1;
}

/* This node's turn among the voters without the one that is gone, and how many they are; false:
 * it does not vote. */
static bool turn_of(const struct consensus *c, uint64_t gone, uint64_t *ret_turn,
                    uint64_t *ret_count)
{
    struct conf conf;
    bool votes = false;
    *ret_count = 0;
    driver_conf(c, &conf);
    for (uint32_t i = 0; i < conf.count; i++) {
        const struct conf_server *s = &conf.servers[i];
        if (s->member != CONSENSUS_VOTER || s->id == gone) {
            continue;
        }
        if (s->id == c->options.id) {
            votes = true;
            *ret_turn = *ret_count;
        }
        (*ret_count)++;
    }
    return votes;
}

static uint64_t leader_of(const struct consensus *c)
{
    return core_role(c) == CONSENSUS_FOLLOWER ? c->raft.follower_state.current_leader.id : 0;
}

void consensus_peer_gone(struct consensus *c, uint64_t id)
{
    uint64_t turn = 0;
    uint64_t count = 0;
    if (driver_failed(c) || id == 0 || leader_of(c) != id || !c->options.pre_vote ||
        !turn_of(c, id, &turn, &count)) {
        return;
    }
    uint64_t now = now_ms(c);
    c->haste = (struct haste){.leader = id,
                              .term = raft_current_term(&c->raft),
                              .at_ms = now + turn * slot_ms(c),
                              .end_ms = now + c->options.election_ms,
                              .pause_ms = (count + SPARE_SLOTS) * slot_ms(c)};
}

void haste_heard(struct consensus *c, uint64_t id)
{
    if (c->haste.leader == id) {
        c->haste = (struct haste){0};
    }
}

uint64_t haste_timeout_ms(const struct consensus *c)
{
    return c->haste.leader != 0 ? c->haste.at_ms : UINT64_MAX;
}

void haste_tick(struct consensus *c)
{
    struct haste *h = &c->haste;
    uint64_t now = now_ms(c);
    if (h->leader == 0 || now < h->at_ms) {
        return;
    }
    bool waits = leader_of(c) == h->leader ||
                 (core_role(c) == CONSENSUS_CANDIDATE && c->raft.candidate_state.in_pre_vote);
    if (!waits || now >= h->end_ms || raft_current_term(&c->raft) != h->term) {
        *h = (struct haste){0}; /* somebody leads, or is about to; or timeouts take over */
        return;
    }
    h->at_ms = now + h->pause_ms;
    /* The core's timer is over: it lies at most two timeouts after its start. */
    c->raft.election_timer_start = now - 2 * (uint64_t)c->options.election_ms;
    require(raft_timeout(&c->raft) <= now);
}
