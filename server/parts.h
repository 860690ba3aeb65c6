/* The parts of one node, seen only inside server/. One loop thread owns all of it. */
#ifndef SERVER_PARTS_H
#define SERVER_PARTS_H

#include "base/clock.h"
#include "base/limits.h"
#include "consensus/consensus.h"
#include "ledger/ledger.h"
#include "net/grpc.h"
#include "net/loop.h"
#include "net/peer.h"
#include "server/chain.h"
#include "server/checkpoint.h"
#include "server/config.h"
#include "server/frames.h"
#include "server/heads.h"
#include "server/inflight.h"
#include "server/lies.h"
#include "server/members.h"
#include "server/pace.h"
#include "server/queue.h"
#include "server/reads.h"
#include "server/refusal.h"
#include "server/verify.h"
#include "storage/kv.h"
#include "storage/logstore.h"

/* Types of frames between nodes; numbers are the protocol's. */
enum frame_type {
    FRAME_RAFT = 1,    /* consensus/codec.h */
    FRAME_FORWARD = 2, /* u64 token, envelope: a follower hands a request to the leader */
    FRAME_REFUSED = 3, /* u64 token, u16 reason, u8 retry, text: it did not enter the ledger */
    FRAME_READ = 4,    /* u64 token: what height must a linearizable read see? */
    FRAME_READY = 5,   /* u64 token, u8 ok, u64 height */
    FRAME_GOSSIP = 6,  /* gossip.h */
    FRAME_CHECKPOINTS = 7, /* frames.h: the newest checkpoints of a node */
    FRAME_FETCH = 8,       /* frames.h: bytes of a checkpoint, please */
    FRAME_CHUNK = 9,       /* frames.h: here they are */
    FRAME_DISK = 16,   /* the first on each link: u8 version, 16 disk id of the sender */
    FRAME_STRANGER = 17,    /* u8 version, 16 disk id: the receiver's, not its first */
    FRAME_TRANSFER = 18,    /* u64 token, u64 node: an officer wants that node to lead (0: any) */
    FRAME_TRANSFERRED = 19, /* u64 token, u8 ok, u64 leader, text */
    FRAME_HEAD = 20,     /* u8 version, a signed head of the tree, or a complete checkpoint */
    FRAME_EVIDENCE = 21, /* u8 version, two notes that contradict each other */
    FRAME_ROOT_ASK = 22, /* u64 token, u64 size: which root has your tree there? */
    FRAME_ROOT_IS = 23,  /* u64 token, u64 size, u8 ok, 32 root */
};

/* What another node last said of itself. */
struct told {
    uint64_t id;          /* 0: nothing yet */
    uint64_t received_ns; /* loop time */
    uint64_t term, height, position;
    uint8_t digest[32];
    uint8_t role; /* enum consensus_role */
    bool draining;
    bool disk_slow; /* by its own judgement, against the others */
    enum disk_level disk_level;
    uint64_t disk_free_bytes, sync_p99_us;
    int64_t certificate_days_left;
    char version[GOSSIP_TEXT_MAX + 1];
    uint64_t cosigned_size, cosigned_ns;
};

enum alarm_code {
    ALARM_DIVERGED,      /* another digest than ours at one height */
    ALARM_CLOCK,         /* our own clock runs ahead of the voters' */
    ALARM_PEER_LIES,     /* contradicts what is committed */
    ALARM_PEER_GARBLES,  /* sends malformed frames again and again */
    ALARM_VOID_BLOCK,    /* led while an entry was committed that is no block */
    ALARM_BLOCK_EARLY,   /* stamped a block ahead of our clock */
    ALARM_LOG_DAMAGED,   /* found on this node's disk */
    ALARM_STATE_DAMAGED,
    ALARM_DISK, /* came back with another disk */
    ALARM_TWO_HEADS,    /* signed two heads of one size */
    ALARM_HEAD_DIFFERS, /* signed another root than this node has */
    ALARM_COUNT,
};

/* A digest this node reached, to be compared with what others say of that height. */
struct reached {
    uint64_t height; /* 0: none */
    uint8_t digest[32];
};

/* An alarm that an event raised; those that follow from figures are computed for each status. */
struct raised {
    uint64_t since_ns; /* wall clock; 0: a free place */
    uint64_t last_ns;  /* wall clock of the last time it was raised */
    enum alarm_code code;
    uint64_t node; /* whom it is about; 0: nobody knows */
    char text[256];
};

/* A peer whose link was cut because of a malformed frame, and how often; id 0: a free place. */
struct garbled {
    uint64_t id, count;
};

struct node {
    struct config config;
    struct clock clock;
    struct loop *loop;
    struct kv *kv;
    struct ledger *ledger;
    struct logstore *log;
    struct consensus *consensus;
    struct peer_links *links;
    struct grpc_server *grpc;
    struct verify *verify;
    struct pool *names; /* looks up peers' names: one that hangs must not hold up signatures */
    struct loop_wake *log_wake;
    struct loop_signal *signals[3];
    uint64_t id;          /* Raft id of this node */
    struct bytes genesis; /* owned */
    struct bytes zone;    /* view into genesis */
    uint64_t started_ns;  /* loop time */
    int64_t certificate_not_after_s;

    /* host.c: what the driver asks of this node */
    struct loop_hook after_turn;
    struct loop_timer consensus_timer;
    struct loop_task state_task;
    enum consensus_role role; /* as last told */
    uint64_t term;
    enum consensus_role role_seen; /* as last acted upon */
    uint64_t term_seen;
    struct buf packet; /* encoding of the packet under way */
    uint64_t clock_ms; /* last answer of now_ms: never goes back */
    struct logstore_recovered recovered; /* between opening the log and starting the driver */
    struct loop_task reset_task;         /* an install was given up */
    struct loop_task restored_task;      /* the state was replaced */
    struct pace pace;                    /* how late the loop and the heartbeats were */
    uint64_t frames_refused;
    struct garbled garbled[NODES_MAX];
    struct write *unwritten; /* failed writes: the driver refers to them until it is closed */
    bool appended; /* the frame just received made the log longer */
    struct {
        uint64_t term, leader;
    } leaders[LEADERS_KEPT]; /* by term modulo their number */

    /* apply.c */
    struct chain chain;
    struct loop_task apply_task;
    struct consensus_next applying; /* index 0: nothing is out */
    bool applying_begun;

    /* checkpoint.c */
    struct checkpoints checkpoints;

    /* submit.c */
    struct inflight_table inflight;
    struct block_queue queue; /* QUEUED */
    struct loop_task pump_task;
    bool proposing;   /* inside consensus_submit: signatures are verified already */
    struct buf block; /* encoding of the block under way */
    struct tail {     /* the last block of the log, as far as this leader made it */
        bool known;
        uint64_t index, term;
        struct ledger_block_facts block;
    } tail;

    /* reads.c */
    struct read_list reads;
    struct loop_task reads_task;

    /* decide.c */
    struct decide_queue {
        struct decide *first, **last; /* those that may run */
        size_t count;                 /* these, and those that wait for their read */
        struct loop_task task;
    } decisions;

    /* watch.c */
    struct watcher *watchers;
    struct loop_task watch_task;
    struct health_watch *health_watches; /* status.c */

    /* members.c, disks.c, leadership.c */
    struct members members;
    struct leadership leadership;
    struct leadership_asked leadership_asked;

    struct heads heads; /* heads.c */
    struct lies lies;   /* lies.c */

    /* gossip.c, status.c */
    struct told told[NODES_MAX];
    struct reached reached[CATCH_UP_BLOCKS];     /* by height modulo their number */
    struct loop_timer second_timer, drain_timer; /* node.c */
    struct raised raised[ALARMS_RAISED_MAX]; /* alarms.c */

    struct scrub *scrub; /* scrub.c; owned */

    /* repair.c */
    struct {
        bool wanted;   /* the state is damaged */
        bool said;     /* why it waits */
        bool from_log; /* no checkpoint is needed: all entries are there */
        struct loop_task task;
        struct loop_timer timer;
    } repair;

    /* disk.c */
    uint64_t disk_free_bytes;
    enum disk_level disk_level;  /* of this node */
    enum disk_level disks_short; /* too few voters are better than this; ROOM: enough are */
    uint64_t disk_handed_ns;     /* loop time of the last hand-over for it; 0: none */

    uint16_t client_port;
    bool draining, stopping;
    uint64_t drain_until_ns;
    char failing[ERR_TEXT_MAX]; /* why it will stop once another leads; empty: it will not */
    uint64_t fail_at_ns;
    struct loop_timer fail_timer;
    char failure[ERR_TEXT_MAX]; /* why the node stops by itself; empty: it does not */
};

/* Stops the node with a reason at the end of this turn: its disk or its log cannot be trusted, so
 * it must not answer or vote any more. */
void node_fail(struct node *n, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The same, when others may lead on: this disk takes nothing more, so a leader first hands over,
 * for at most FAIL_HAND_OVER_NS, which needs no write of its own. From now on no request is taken
 * and nothing is proposed or applied. */
void node_fail_as_leader(struct node *n, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Opens data/state and the ledger on it. On failure nothing of it is open. */
err node_open_state(struct node *n, struct errtext *reterr) ERR_MUST_USE;

/* The row of a node, also of one that was removed, or NULL. */
const struct ledger_node *node_row(const struct node *n, uint64_t id);

/* ---- host.c ---- */
void host_init(struct node *n);
/* Opens the log: n->recovered says what is in it. */
err host_open_log(struct node *n, struct errtext *reterr) ERR_MUST_USE;
/* The state is open: founds the network on the first start, starts the driver. */
err host_open(struct node *n, struct errtext *reterr) ERR_MUST_USE;
void host_close(struct node *n);
/* Closes driver and log and opens them again from disk, as after a crash; `between` may replace the
 * state (NULL: it stays open). No block is begun. Cost: reading the log. Dies if that fails. */
void host_reopen(struct node *n, void (*between)(struct node *n));
/* A frame of a peer for the driver. */
void host_receive(struct node *n, uint64_t from, struct bytes frame);
/* Logs a frame that makes no sense, at each doubling of their number: a node that sends nothing
 * else must not fill the disk of this one with log lines. */
void host_frame_refused(struct node *n, uint64_t from, const char *why);
/* Leads and may propose. */
bool host_leads(const struct node *n);
/* The leader's id as far as known, 0 if none or itself unreachable. */
uint64_t host_leader(const struct node *n);
/* Who led this term, if this node knew it and it is not too long ago; else 0. */
uint64_t host_leader_of(const struct node *n, uint64_t term);

/* ---- apply.c ---- */
void apply_init(struct node *n);
/* Blocks were appended to the log: their signatures go to the workers. */
void apply_appended(struct node *n, const struct consensus_job *job);
/* The last valid block of the log, on which the next one builds: entries that are appended and not
 * applied are judged as the apply will judge them. NOT_FOUND: one is not on this disk yet. */
err apply_tail(struct node *n, struct ledger_block_facts *ret, struct errtext *reterr) ERR_MUST_USE;

/* ---- submit.c ---- */
void submit_init(struct node *n);
void submit_done(struct node *n);
void submit_call(struct grpc_call *call, struct bytes message);
void submit_cancel(struct grpc_call *call);
void submit_forwarded(struct node *n, uint64_t from, struct bytes frame);
void submit_refused(struct node *n, uint64_t from, struct bytes frame);
/* The answers of a block that was applied. */
void submit_settle(struct node *n, const struct ledger_result *r);
/* Role or term changed: what was proposed or forwarded is UNKNOWN. */
void submit_leadership_lost(struct node *n);
/* The state was replaced by a later one: what waits for a block is UNKNOWN. */
void submit_state_replaced(struct node *n);
/* A link went down: what was forwarded there is UNKNOWN. */
void submit_link_lost(struct node *n, uint64_t peer);
/* Answers UNKNOWN to what has waited too long. */
void submit_sweep(struct node *n);
/* An outcome as the services tell it; views stay those of the ledger. */
struct event_outcome services_outcome(const struct ledger_outcome *from);
/* Encodes the answer to a request as a SubmitReply; receipt may be empty. */
void submit_encode_answer(const struct ledger_answer *a, bool duplicate, struct bytes receipt,
                          struct arena *arena, struct buf *ret);

/* ---- receipts.c ---- */
/* The request is recorded; its call is answered when a complete checkpoint covers it, or after
 * SUBMIT_TIMEOUT_NS without receipt. */
void receipts_wait(struct node *n, struct grpc_call *call, const struct ledger_request_id *id,
                   const struct ledger_answer *given, bool duplicate);
/* The client of such a call is gone. */
void receipts_cancel(struct waiter *w);

/* ---- gossip.c ---- */
void gossip_send(struct node *n);
/* The ledger has reached this head. */
void gossip_note(struct node *n, const struct ledger_head *head);
/* Brings what this node says of itself up to date. */
void gossip_describe_self(struct node *n);
void gossip_receive(struct node *n, uint64_t from, struct bytes frame);
struct told *gossip_of(struct node *n, uint64_t id);

/* ---- alarms.c ---- */
/* Raises the alarm of this code about this node, or renews it: one a pair. */
void alarm_raise(struct node *n, enum alarm_code code, uint64_t node, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* Its cause is provably gone. Harmless when it is not raised. */
void alarm_clear(struct node *n, enum alarm_code code, uint64_t node);
/* Is it raised? */
bool alarm_is_raised(const struct node *n, enum alarm_code code, uint64_t node);
/* Takes back what mends itself: a clock that is right again. The others stay for a person. */
void alarm_expire(struct node *n);
/* "void-block", and what mends it; static texts. */
const char *alarm_name(enum alarm_code code);
const char *alarm_remedy(enum alarm_code code);
/* The height that the voters have reached: the median of what they say, and at least our own, so
 * that no single node can make others look late. */
uint64_t gossip_height(struct node *n, const struct consensus_status *s);

/* ---- disk.c ---- */
/* The level after one sample, with hysteresis; stop_bytes <= low_bytes. Pure. */
enum disk_level disk_level_next(enum disk_level now, uint64_t free_bytes, uint64_t low_bytes,
                                uint64_t stop_bytes);
/* Once a second: this disk and what the others say of theirs; a leader that runs out of room hands
 * over to a voter that has some. */
void disk_sample(struct node *n);
/* Must this leader refuse a new request for want of room, on its own disk or on others'? */
bool disk_refuses(struct node *n, bool governance, struct refusal *ret);

/* ---- scrub.c ---- */
struct scrub_facts {
    uint64_t last_ns;         /* wall clock at the end of the last whole round; 0: none yet */
    uint64_t bytes, findings; /* of that round */
    bool running;
};
err scrub_open(struct node *n, struct errtext *reterr) ERR_MUST_USE;
void scrub_close(struct node *n);
/* Once a second: the next slice, or a new round when it is time. */
void scrub_second(struct node *n);
/* Waits for the slice under way and gives the round up: before log or state are replaced. */
void scrub_stop(struct node *n);
struct scrub_facts scrub_facts(const struct node *n);

/* ---- repair.c ---- */
void repair_init(struct node *n);
void repair_done(struct node *n);
/* A place of the state cannot be read: replaces it from the other nodes, as soon as that can be. */
void repair_wanted(struct node *n);
/* Once a second: begins, or says what it waits for. */
void repair_second(struct node *n);

/* ---- handover.c ---- */
/* Hands leadership to the most level voter in reach whose disk is better than `worse` (ROOM: any).
 * True: begun. False: there is none, or not now. */
bool handover_begin(struct node *n, enum disk_level worse);

/* ---- watch.c ---- */
void watch_init(struct node *n);
void watch_call(struct grpc_call *call, struct bytes message);
void watch_room(struct grpc_call *call);
void watch_cancel(struct grpc_call *call);
/* New records: watchers that wait go on. */
void watch_wake(struct node *n);

/* ---- decide.c ---- */
void decide_init(struct node *n);
void decide_call(struct grpc_call *call, struct bytes message);
void decide_cancel(struct grpc_call *call);

/* ---- services ---- */
void query_call(struct grpc_call *call, struct bytes message);
void query_cancel(struct grpc_call *call);
void status_call(struct grpc_call *call, struct bytes message);
void health_check_call(struct grpc_call *call, struct bytes message);
void health_watch_call(struct grpc_call *call, struct bytes message);
void health_watch_cancel(struct grpc_call *call);
/* Tells those who watch the health of a service if it changed. */
void health_wake(struct node *n);
/* The table of all methods, and its size. */
const struct grpc_method *services_methods(size_t *ret_count);
/* Who may call: clients and officers of the ledger's institutions. */
enum grpc_status services_admit(struct grpc_call *call, struct errtext *reterr);

/* The tree as pages over HTTPS GET (server/pages.c); ctx is the node. */
void pages_get(void *ctx, struct bytes path, struct grpc_page *ret);

#endif
