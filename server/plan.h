/* The next change of the Raft configuration, decided from the ledger's node table (what is wished),
 * the configuration (what is) and who answers. Pure: no clock, no memory between two calls, so a
 * new leader goes on where the old one stopped.
 *
 *   table:   standby, voter, removed          configuration:   nobody -> standby -> voter -> nobody
 *
 * One change at a time, in this order:
 *   1. who is wished and not there comes in, as a standby: that touches no quorum
 *   2. a standby that was removed goes
 *   3. a voter that does not answer and is not wished any more loses its vote. If another node
 *      replaces it, that one must be level first: then the ledger has a voter less only for a
 * moment. The dead one goes before its successor votes, because its silence would count against the
 *      larger quorum, and because the present voters must be able to elect with the new one (T14)
 *   4. a standby that is wished as voter and is level gets its vote
 *   5. a voter that answers and is not wished any more loses its vote, its successor having one. A
 *      leader hands over before it is its own turn (T4)
 * No step is taken after which fewer than a quorum of the voters would answer now. */
#ifndef SERVER_PLAN_H
#define SERVER_PLAN_H

#include "consensus/consensus.h"
#include "ledger/ledger.h"

enum { PLAN_NAME_MAX = 2 * NAME_BYTES_MAX + 8, PLAN_WHY_MAX = 256 };
/* Behind by so many entries a standby is near enough for the node it replaces to go: it is level
 * within a second of any load that the network bears. */
#define PLAN_NEAR 1024

enum plan_step {
    PLAN_NOTHING, /* nothing to do, or nothing that may be done now */
    PLAN_ADD,     /* as standby */
    PLAN_PROMOTE,
    PLAN_DEMOTE,
    PLAN_REMOVE,
    PLAN_TRANSFER, /* leadership to `id` */
};

struct plan_node {
    uint64_t id;
    char name[PLAN_NAME_MAX];     /* "ville (node 4)" */
    enum ledger_wish wish;        /* REMOVED also for who is not in the table */
    uint64_t successor;           /* of a removed one, or 0 */
    enum consensus_member member; /* in the configuration */
    bool answers;
    bool dead;          /* silent for so long that nobody waits for it */
    uint64_t silent_ms; /* UINT64_MAX: never heard of */
    uint64_t behind;    /* entries, or blocks for a follower's view; UINT64_MAX: not known */
};

struct plan_view {
    uint64_t self;
    bool leads;    /* else the plan is made to be shown */
    bool changing; /* a change of the configuration is not committed yet */
    size_t count;
    struct plan_node nodes[2 * NODES_MAX];
};

struct plan_pending {
    uint64_t id;
    const char *what; /* "add", "promote", "demote", "remove": static */
    char why[PLAN_WHY_MAX];
};

struct plan {
    enum plan_step step;
    uint64_t id;
    struct plan_pending pending[2 * NODES_MAX];
    size_t pending_count;
};

void plan_make(const struct plan_view *v, struct plan *ret);

/* Whether a quorum would answer now if node `id` became a voter (or ceased to be one), the present
 * voters deciding. If not, why gets the sentence: who is silent, and what to do first. */
bool plan_quorum_holds(const struct plan_view *v, uint64_t id, bool becomes,
                       char why[PLAN_WHY_MAX]);

/* The node of that id, or NULL. */
const struct plan_node *plan_find(const struct plan_view *v, uint64_t id);

/* Whether nothing of the table waits to be done. */
static inline bool plan_is_settled(const struct plan *p)
{
    return p->pending_count == 0;
}

#endif
