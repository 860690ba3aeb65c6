/* A machine and the node's process on it. All calls that the product makes to the operating system
 * come from the machine that runs: machine_running(). */
#ifndef TESTS_SIM_PRODUCT_MACHINE_H
#define TESTS_SIM_PRODUCT_MACHINE_H

#include "base/buf.h"
#include "net/peer.h"
#include "storage/logstore.h"
#include "tests/sim/product/disk.h"
#include "tests/sim/product/world.h"

struct consensus;
struct kv_disk;
struct sim_call;
struct ledger;
struct node;

/* What waits for a node's loop, in the order in which it came. */
enum arrival_kind { INPUT_FRAME, INPUT_LINK, INPUT_WAKE, INPUT_JOB, INPUT_SIGNAL, INPUT_CALL };
struct arrival {
    struct arrival *next;
    enum arrival_kind kind;
    uint64_t peer;      /* FRAME, LINK: whose */
    uint8_t type;       /* FRAME */
    struct bytes bytes; /* FRAME: owned */
    enum peer_direction direction;
    enum peer_link_state state;
    enum peer_reason reason;
    uint64_t epoch; /* LINK, FRAME: of the connection */
    struct loop_wake *wake;
    struct pool *pool; /* JOB: one of its jobs has run */
    int signal;
    struct sim_call *call; /* CALL */
    uint8_t what;          /* CALL: enum call_input */
};

struct machine {
    struct world *world;
    uint32_t number;      /* 0, 1, ... */
    uint64_t id;          /* Raft id of its node */
    uint32_t institution; /* 1, 2, ...: whose it is */

    /* hardware */
    struct disk disk;        /* of everything but the state's pairs */
    struct kv_disk *kv_disk; /* of the state */
    int64_t drift_ppm;       /* of its monotonic clock */
    int64_t wall_ns;         /* its wall clock is ahead of the true time by so much */
    uint64_t mono_base_ns;   /* its monotonic clock at time 0 */
    uint64_t sync_ns;        /* how long a sync takes about */
    uint64_t stalled_until_ns;
    uint64_t full_until_ns; /* its disk has no space until then */
    bool disk_hurt;         /* a fault of its disk may stop the process */
    bool rotten;            /* bits were flipped */
    bool ruined;            /* it will not come back */
    bool wiped;             /* it came back under its old number with an empty disk */
    bool gone;              /* its node was removed, and it has stopped for that */
    bool joins, joined;     /* it did not found the network; it was level once */
    uint32_t met;           /* bit id - 1: nodes whose disks it knows */
    char *bootstrap;        /* owned: the node table that it joins with */
    uint64_t kv_fault;      /* calls to the state database until one fails; 0: none does */
    bool kv_fault_reads;    /* calls that read, else those that write */

    /* process */
    struct node *node;
    uint64_t life; /* counts starts: what belongs to an earlier one is void */
    bool up;       /* from the start to the crash or the end */
    bool dead;     /* crashed inside a call: nothing that it still does has an effect */
    bool stopping; /* was told to stop */
    uint64_t paused_until_ns;
    uint64_t busy_until_ns; /* its last turn took that long */
    uint64_t lag_ns;        /* time that has passed inside this turn */
    uint64_t mono_last_ns;  /* what its clock said last */
    uint64_t fuse;          /* calls until it dies; 0: it does not */
    bool fuse_power;        /* and the power with it */
    uint64_t turn_at_ns;    /* of the turn that is scheduled; UINT64_MAX: none */
    uint64_t turn_sequence; /* which event is the right one */
    struct arrival *inputs, **inputs_tail;
    struct loop *loop;    /* seam_loop.c */
    struct logstore *log; /* seam_log.c */
    bool log_event;       /* a run of the log is scheduled */
    struct ledger *ledger;
    struct consensus *consensus;
    struct peer_links *links;   /* seam_peer.c */
    struct grpc_server *server; /* seam_grpc.c */

    /* bugs.c */
    void *bug_ctx;         /* of the driver's host */
    const char *bug_roots; /* by descriptor: it is the file of term and vote */
};

/* The machine whose code runs now, or NULL. */
struct machine *machine_running(void);

struct machine *machine_new(struct world *w, uint32_t number);
void machine_free(struct machine *m);

/* Starts the process after a time. */
void machine_start_after(struct machine *m, uint64_t after_ns);

/* The process is gone at once; with `power` what was not synced may be gone too. */
void machine_crash(struct machine *m, bool power);

/* Its disk is replaced by an empty one, and it starts again. */
void machine_wipe(struct machine *m);

/* SIGTERM. */
void machine_stop(struct machine *m);

/* Each call with an effect outside the process asks this first: false when the process is dead, so
 * that the call must have none. It may die right here. */
bool machine_acts(struct machine *m);

/* Gives the loop something to do; the input is copied, what it owns is the machine's now. */
void machine_input(struct machine *m, const struct arrival *input);

/* A turn of the loop is due after a time at the latest. */
void machine_turn_after(struct machine *m, uint64_t after_ns);

/* The clocks of this machine now. */
uint64_t machine_mono_ns(struct machine *m);
uint64_t machine_wall_ns(struct machine *m);

/* True ns from now until its monotonic clock says so. */
uint64_t machine_until_ns(const struct machine *m, uint64_t mono_ns);

/* Runs one input and frees it. */
void machine_input_run(struct machine *m, struct arrival *input);

/* Forgets what waits for this wake or pool. */
void machine_input_cancel(struct machine *m, const void *owner);

/* Runs code of the product as this machine; what follows when it dies inside is done on return.
 * May be nested for the same machine. */
void machine_call(struct machine *m, void (*run)(struct machine *m, void *arg), void *arg);

/* After a call that was no turn: takes the process away if it died inside. */
void machine_after_call(struct machine *m);

/* ---- the seams' side ---- */

/* seam_loop.c: one turn of the loop; true: the loop was told to stop. */
bool seam_loop_turn(struct machine *m);
/* Monotonic time of the next turn, 0: at once, UINT64_MAX: nothing is to be done. */
uint64_t seam_loop_next_ns(const struct loop *loop);
void seam_wake_run(struct loop_wake *wake);
void seam_signal_run(struct loop *loop, int number);
/* Calls done of the first job that has run. */
void seam_pool_done(struct pool *pool);

/* seam_peer.c */
void seam_peer_frame(struct machine *m, const struct arrival *input);
void seam_peer_link(struct machine *m, const struct arrival *input);
/* The process of m is gone: its connections end. */
void seam_peer_gone(struct machine *m, bool power);
/* Breaks the connections between two machines. */
void seam_peer_reset(struct world *w, uint32_t a, uint32_t b);
/* Nothing passes from a to b, or everything again. */
void seam_peer_block(struct world *w, uint32_t from, uint32_t to, bool blocked);
struct net *seam_net_new(void);
void seam_net_free(struct world *w);
/* What is sent from here to there takes so much longer. */
void seam_peer_slow(struct world *w, uint32_t from, uint32_t to, uint64_t more_ns);

/* seam_grpc.c */
void seam_grpc_input(struct machine *m, const struct arrival *input);
void seam_grpc_release(struct sim_call *call);

/* seam_kv.c */
struct kv_disk *kv_disk_new(void);
void kv_disk_free(struct kv_disk *d);
/* The process is gone; with power the tail that was not flushed may be gone. */
void kv_disk_crash(struct kv_disk *d, bool power, uint64_t *random);

/* For planted bugs: a batch whose writes are batches of their own; the life in which a pair was
 * written. */
struct kv;
struct kv_batch;
err seam_kv_commit_parts(struct kv *kv, const struct kv_batch *b, bool sync,
                         struct errtext *reterr) ERR_MUST_USE;
uint64_t seam_kv_age(struct kv *kv, size_t family, struct bytes key);

/* Whether any machine ever died inside its own code: what its stack held is lost, as in a crash. */
bool machine_has_jumped(void);

#endif
