/* Who takes part, as this node knows it, and the work of the leader that makes it so.
 *
 *   ledger's table --+
 *                    +--> rows --> peer links, status         wishes + configuration --> plan
 *   configuration ---+                                              plan --> one change (leader)
 *
 * The rows that count are those in force and those that were removed but are still in the
 * configuration: a node that leaves is needed until its vote is gone. A node that joins uses the
 * bootstrap table instead until its own ledger has reached the height of that table.
 *
 * Nothing is kept from one step to the next: a leader that comes anew derives the same plan.
 * Loop thread only, driven by timers and tasks. */
#ifndef SERVER_MEMBERS_H
#define SERVER_MEMBERS_H

#include "net/grpc.h"
#include "net/peer.h"
#include "server/bootstrap.h"
#include "server/identity.h"
#include "server/plan.h"
#include "server/refusal.h"

struct node;

/* What is known of another node's disk since its link came up, and what it says of ours. */
struct member_peer {
    uint64_t id;            /* 0: free */
    bool proven;            /* its disk is the one first seen, on the link that is up now */
    bool other_disk;        /* it shows another disk than it had: `shown` */
    uint8_t shown[DISK_ID_SIZE];
    bool calls_us_stranger; /* it says that about us */
};

struct members {
    struct arena arena; /* of rows */
    struct ledger_node rows[NODES_MAX];
    size_t count;
    struct bootstrap bootstrap; /* count 0: none, or not needed any more */
    struct arena bootstrap_arena;
    struct disk_identity disk;
    struct member_peer peers[NODES_MAX];
    uint64_t in_configuration[NODES_MAX]; /* ids, as of the last look */
    size_t in_configuration_count;
    bool stale;                /* the table has changed since the last look */
    bool removed;              /* this node stops because it takes no part any more */
    unsigned unwanted_seconds; /* others refuse this node since */
    struct loop_task task;
    struct loop_timer timer; /* while something is pending */
    struct plan plan;
    uint64_t slow_seconds, handed_over_ns; /* slow disk: since, and the last hand-over for it */
    bool disk_slow;                        /* for SLOW_SECONDS now (leadership.c) */
};

void members_init(struct node *n);
void members_done(struct node *n);

/* Reads the bootstrap file, finds this node's id and opens data/identity: before the links. */
err members_open(struct node *n, struct errtext *reterr) ERR_MUST_USE;

/* Makes the rows from ledger (or bootstrap) and configuration. Before the driver is open: from the
 * table alone. */
void members_rows(struct node *n);

/* The table or the configuration may have changed: looks soon. */
void members_wake(struct node *n);

/* Once a second: does this node still take part, is its disk slow? */
void members_second(struct node *n);

/* Of rows; NULL: none. */
const struct ledger_node *members_find(const struct node *n, uint64_t id);

/* The situation as this node sees it, and the plan that follows. */
void members_view(struct node *n, struct plan_view *ret);

/* For a leader, before an admitted request of governance enters the log: true, or the refusal. */
bool members_admit(struct node *n, struct bytes envelope, struct refusal *ret);

/* Whether the envelope asks for a change of the node table other than an update. */
bool members_is_change(struct node *n, struct bytes envelope);

/* Disks: a link came up or went down; frames DISK and STRANGER. */
void members_link(struct node *n, uint64_t peer, enum peer_direction direction, bool up);
void members_disk(struct node *n, uint64_t from, struct bytes frame);
void members_stranger(struct node *n, uint64_t from, struct bytes frame);

/* Whether frames of Raft are taken from this node, and sent to it. */
bool members_hears(const struct node *n, uint64_t id);
bool members_speaks_to(const struct node *n, uint64_t id);

/* ---- leadership.c: leadership to another voter, under load ---- */

struct leadership {
    uint64_t target; /* 0: none is under way */
    uint64_t until_ns;
    bool any; /* the target was chosen here */
    struct loop_timer timer;
    struct grpc_call_ref call; /* who asked: a call here, ... */
    bool has_call;
    uint64_t peer, token; /* ... or a node, peer != 0 */
    char what[64];        /* why, for the log */
};

/* A call that this node handed to the leader. */
struct leadership_asked {
    struct grpc_call_ref call;
    uint64_t token, leader, until_ns; /* token 0: none */
};

void leadership_init(struct node *n);
void leadership_done(struct node *n);
/* The best voter to lead instead; 0: none. */
uint64_t leadership_best(struct node *n);
/* Begins; true, or why not. target 0: any. Nobody waits for its end. */
bool leadership_begin(struct node *n, uint64_t target, const char *what, struct refusal *ret);
/* No block may be proposed: the target has to become level. */
bool leadership_holds(const struct node *n);
void leadership_asked(struct node *n, uint64_t from, struct bytes frame);
void leadership_answered(struct node *n, uint64_t from, struct bytes frame);
void leadership_second(struct node *n);
struct pending_change;
/* What is under way, in the arena. */
struct pending_change *members_pending(struct node *n, struct arena *a, size_t *ret_count);
void transfer_call(struct grpc_call *call, struct bytes message);
void nodes_call(struct grpc_call *call, struct bytes message);

#endif
