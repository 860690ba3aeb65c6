/* Leadership goes to another voter: before this node stops, or when its disk is worse than the
 * other's. */
#include "base/log.h"
#include "base/require.h"
#include "server/parts.h"

/* A voter in reach that has said its disk is better than `worse`, or any if worse is ROOM. */
static bool fits(struct node *n, const struct consensus_peer *peer, enum disk_level worse)
{
    struct peer_status link;
    const struct told *t = gossip_of(n, peer->id);
    if (peer->member != CONSENSUS_VOTER || failed(peer_status(n->links, peer->id, &link)) ||
        !link.out_up) {
        return false;
    }
    return worse == DISK_ROOM || (t != NULL && t->id == peer->id && t->disk_level < worse);
}

bool handover_begin(struct node *n, enum disk_level worse)
{
    require(n != NULL);
    struct consensus_status s;
    consensus_status(n->consensus, &s);
    uint64_t best = 0;
    uint64_t match = 0;
    for (uint32_t i = 0; i < s.peer_count; i++) {
        if (fits(n, &s.peers[i], worse) && s.peers[i].match > match) {
            best = s.peers[i].id;
            match = s.peers[i].match;
        }
    }
    if (best == 0 || consensus_transfer(n->consensus, best) != CONSENSUS_OK) {
        return false;
    }
    log_info("handing leadership over to node %llu", (unsigned long long)best);
    return true;
}
