/* How often a leader's heartbeat beats. Almost all that an idle ledger costs is waking up for
 * heartbeats and their answers. While every peer has everything and knows that it is committed, and
 * nobody waits for an answer, a heartbeat says one thing only: the leader lives. For that half as
 * many are enough; several still come within the shortest election timeout, so a follower that
 * misses some does not stand for election. Whatever is proposed, changed or asked sets the full
 * pace at once, and a peer that lacks something keeps it. */
#include "base/require.h"
#include "consensus/driver.h"

enum {
    CALM_TIMES = 2,        /* so many times as far apart are the heartbeats of a calm leader ... */
    CALM_PER_ELECTION = 5, /* ... if so many still fall into an election timeout */
};

static uint32_t calm_ms(const struct consensus *c)
{
    uint32_t slow = c->options.heartbeat_ms * CALM_TIMES;
    uint32_t most = c->options.election_ms / CALM_PER_ELECTION;
    slow = slow < most ? slow : most;
    return slow > c->options.heartbeat_ms ? slow : c->options.heartbeat_ms;
}

/* c->told is the last index only if every peer has acknowledged it (tell_committed). */
static bool is_calm(struct consensus *c)
{
    uint64_t last = raft_last_index(&c->raft);
    return core_role(c) == CONSENSUS_LEADER && c->told == last &&
           raft_commit_index(&c->raft) == last && c->round.waiting == 0 &&
           raft_transferee(&c->raft) == 0 && c->raft.configuration_uncommitted_index == 0;
}

void pace_set(struct consensus *c)
{
    uint32_t ms = is_calm(c) ? calm_ms(c) : c->options.heartbeat_ms;
    require(ms < c->options.election_ms);
    if (ms != c->pace_ms) {
        c->pace_ms = ms;
        raft_set_heartbeat_timeout(&c->raft, ms);
    }
}
