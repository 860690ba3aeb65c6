/* A leader's commit index travels with its next message, which on a quiet ledger is the next
 * heartbeat: whoever waits at a follower for an answer would wait for that. So a leader that has
 * nothing more on its way says at once what is committed, to each peer that has it on disk. The
 * message is one that the core could have sent as a heartbeat: no entries, after an entry that the
 * peer has acknowledged and that can never be replaced. So it is never rejected, and lost, late or
 * doubled it is as harmless as a heartbeat. */
#include "base/require.h"
#include "consensus/driver.h"

static void tell(struct consensus *c, uint64_t id, uint64_t index)
{
    struct packet *p = packet_new(PACKET_APPEND);
    p->m.type = RAFT_APPEND_ENTRIES;
    p->m.server_id = id;
    p->m.append_entries.term = raft_current_term(&c->raft);
    p->m.append_entries.prev_log_index = index;
    p->m.append_entries.prev_log_term = consensus_term_at(c, index);
    p->m.append_entries.leader_commit = index;
    require(p->m.append_entries.prev_log_term > 0);
    driver_post(c, p, id);
}

void tell_committed(struct consensus *c)
{
    uint64_t last = raft_last_index(&c->raft);
    if (core_role(c) != CONSENSUS_LEADER || raft_commit_index(&c->raft) != last ||
        c->told == last) {
        return; /* what is still on its way takes the commit index along */
    }
    struct conf conf;
    bool all = true;
    driver_conf(c, &conf);
    for (uint32_t i = 0; i < conf.count; i++) {
        uint64_t id = conf.servers[i].id;
        raft_index match = 0;
        if (id == c->options.id) {
            continue;
        }
        if (raft_match_index(&c->raft, id, &match) != 0 || match != last) {
            all = false; /* its acknowledgement comes back here */
        } else if (status_tell(c, id, last)) {
            tell(c, id, last);
        }
    }
    c->told = all ? last : c->told;
}
