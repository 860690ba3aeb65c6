/* Inside consensus/: the driver's state and what its files share.
 *
 * driver.c   one step of the core and what follows from it
 * open.c     start, stop, self-test
 * receive.c  frames from peers, guarded
 * read.c     linearizable reads
 * haste.c    an election at once when the leader's process is gone
 * member.c   submit, change, promote, transfer
 * snapshot.c checkpoints taken, offered, installed
 * status.c   what an operator sees; clocks
 *
 * A guard stands before each defect or trap of the core that a driver has to know. Its comment says
 * what happens without it; the test build can switch each off to show that it is needed. */
#ifndef CONSENSUS_DRIVER_H
#define CONSENSUS_DRIVER_H

#include <raft.h>

#include "consensus/conf.h"
#include "consensus/consensus.h"
#include "consensus/memlog.h"
#include "consensus/packet.h"

#if RAFT_VERSION_NUMBER != 2201
#error "memory ownership in raft_step() changed after 0.22.1: read the contract again"
#endif

enum guard {
    GUARD_SPLIT = 1 << 0,         /* T8: AppendEntries split at configurations */
    GUARD_CONFIRM = 1 << 1,       /* T9: a second uncommitted configuration commits the first */
    GUARD_MONOTONE = 1 << 2,      /* T10: own maximum of the commit index */
    GUARD_STALE_FIRST = 1 << 3,   /* T7: late AppendEntries with prev 0 */
    GUARD_BUMP = 1 << 4,          /* T4: a single voter starts in a new term */
    GUARD_OWN_TERM = 1 << 5,      /* T3: no configuration before an own-term commit */
    GUARD_TICK_CLAMP = 1 << 6,    /* T12: a leader ticks no faster than its heartbeat */
    GUARD_CANCEL = 1 << 7,        /* T11: writes that the log no longer has are not reported */
    GUARD_REPLAY_CONF = 1 << 8,   /* T16: applied configurations are told at start */
    GUARD_GATE = 1 << 9,          /* T5: nothing leaves before term and vote are durable */
    GUARD_INSTALL_DROP = 1 << 10, /* one installation at a time */
    GUARD_CAUGHT_UP = 1 << 11,    /* T20: transfer only to a level follower */
    GUARD_VERSION = 1 << 12,      /* T1: the version of vote results */
    GUARD_STALE_REJECT = 1 << 13, /* T6: rejections below the match index */
    GUARD_AWARE = 1 << 14,        /* T14b: the new quorum must know that it is one */
    GUARD_STALE_REPLY = 1 << 15,  /* T2: replies to earlier terms acknowledge nothing */
    GUARD_TRUE_TERM = 1 << 16,    /* T14a: refused pre-votes tell our term */
    GUARD_CHANGE_GATE = 1 << 17,  /* a configuration is durable here before it is sent */
    GUARD_PIN = 1 << 18,          /* T21: no newer snapshot while a peer fetches one */
    GUARD_SELF = 1 << 19,         /* T4: a leader does not change its own membership */
    GUARD_CATCH_UP = 1 << 20,     /* T18: only standbys are caught up, by a leader that may */
    GUARD_CANDIDATE = 1 << 21,    /* T19: vote results are for candidates */
    GUARD_WINDOW = 1 << 22,       /* T23: what is not committed is bounded */
    GUARD_STORED = 1 << 23,       /* what is applied is on this node's disk */
    GUARD_OWN_ENTRY = 1 << 24,    /* section 5.4.2: a new leader has an entry of its own term */
    GUARD_REGRESS = 1 << 25,      /* T6, T15: rejections of what was acknowledged */
    GUARD_CONFIRM_READ = 1 << 26, /* T22: who leads is asked of a majority for each read */
};

enum { READ_ACKS_MAX = NODES_MAX };
enum { PIN_SILENT_ELECTIONS = 20 }; /* a process that was killed is back before that */

struct held; /* a packet that waits for the gate */
struct read;

struct pin { /* a peer that fetches our snapshot */
    uint64_t id, index, since_ms;
};

struct contact { /* what a peer's packets say besides their content */
    uint64_t id, contact_ms;
    uint64_t clock_ns, clock_ms; /* what it said and when; 0: nothing yet */
    uint64_t told;               /* as leader: the commit index it was told outside the core */
};

/* Reads: one round is under way at a time; those that arrive meanwhile wait for the next. */
struct read_round {
    uint64_t seq;    /* of the latest round; it runs until a majority has answered */
    uint64_t wanted; /* the latest round that a read asked for: seq or seq + 1 */
    bool running;
    uint64_t acks[READ_ACKS_MAX];
    uint32_t ack_count;
    struct read *reads, **tail; /* owned, in order of arrival */
    uint32_t waiting;
};

/* An election without waiting (haste.c); leader 0: there is no haste. */
struct haste {
    uint64_t leader, term;  /* who is gone, and the term it led */
    uint64_t at_ms, end_ms; /* our next turn; when it is given up */
    uint64_t pause_ms;      /* from turn to turn */
};

struct consensus_counters { /* for tests: how often a guard had work */
    uint64_t steps, regressions, orphans, splits, confirms, stale_first, stale_rejects, loads,
        rounds;
};

struct consensus {
    struct raft raft;
    struct consensus_host host;
    struct consensus_options options;
    struct memlog log;
    struct consensus_snapshot snapshot;         /* the latest durable one */
    struct consensus_snapshot pending;          /* being installed, if installing */
    struct raft_snapshot_metadata pending_meta; /* ours until RAFT_PERSISTED_SNAPSHOT */
    bool installing, fetched, reset;
    uint64_t commit, given, applied, announced;
    uint64_t conf_fed;       /* configurations up to here are known to the core as committed */
    uint64_t conf_fed_index; /* the latest of them */
    struct entry *conf;      /* the latest applied configuration, a reference ... */
    uint64_t conf_index;     /* ... and where it stands */
    uint64_t seq;            /* of the latest job */
    uint64_t durable;        /* of the latest job that is done */
    uint64_t gate;           /* packets wait until this job is done */
    struct consensus_job *jobs, **jobs_tail; /* in flight, in order; the host owns them */
    struct held *held, **held_tail;          /* owned, in order */
    struct read_round round;
    uint64_t last_tick_ms;
    uint32_t pace_ms; /* what the core takes for the heartbeat timeout (pace.c) */
    struct haste haste;
    struct pin pins[NODES_MAX];
    struct contact contacts[NODES_MAX];
    uint64_t told;            /* as leader: the commit index that every peer was told */
    uint64_t term_first;      /* leader: index of our first own-term entry; else 0 */
    enum consensus_role role; /* as last told */
    uint64_t term;            /* as last told */
    err failure;
    struct errtext failure_text;
    struct raft_entry *batch; /* APPEND_ENTRIES_MAX: what the core is shown of a message */
    struct consensus_counters counters;
};

/* Is the guard on? Always, outside the test build. */
static inline bool guard_on(const struct consensus *c, enum guard guard)
{
#ifdef CONSENSUS_TEST_SWITCHES
    return (c->options.switches_off & (uint32_t)guard) == 0;
#else
    (void)c;
    (void)guard;
    return true;
#endif
}

static inline enum consensus_role core_role(const struct consensus *c)
{
    return (enum consensus_role)c->raft.state;
}

static inline uint64_t now_ms(const struct consensus *c)
{
    return c->host.now_ms(c->host.ctx);
}

/* ---- driver.c ---- */

/* What came with an event, to be kept instead of copied. */
struct input {
    struct entry **entries; /* borrowed; entries[0] stands at first */
    uint64_t first;
    const struct consensus_snapshot *offered; /* borrowed */
    bool stale;                               /* the message is of an earlier term */
};

/* Feeds one event and does everything that follows. Returns libraft's code; anything the caller
 * does not expect goes to driver_must. */
int driver_step(struct consensus *c, struct raft_event *e, const struct input *in);

/* A code that is not 0 means that this node must stop. */
void driver_must(struct consensus *c, int rv);

/* Stops the driver: no event is taken any more. The first reason stays. */
void driver_fail(struct consensus *c, enum err_code code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static inline bool driver_failed(const struct consensus *c)
{
    return failed(c->failure);
}

/* Tells the core that the configuration at index is committed. */
int driver_feed_configuration(struct consensus *c, uint64_t index, const struct entry *e);

/* The job takes its place in the queue; fill it and hand it to driver_write. */
struct consensus_job *driver_new_job(struct consensus *c, enum consensus_job_kind kind);
void driver_write(struct consensus *c, struct consensus_job *job);

/* Sends now, or once the latest term and vote are durable: in order either way. Takes p. */
void driver_post(struct consensus *c, struct packet *p, uint64_t to);

/* The entry at index, from memory or disk; the caller takes the reference. NULL: the driver has
 * failed. The log has the index. */
struct entry *driver_entry(struct consensus *c, uint64_t index);

/* The configuration as of `applied` is e (NULL: none), at index. */
void driver_set_conf(struct consensus *c, struct entry *e, uint64_t index);

/* The core's configuration, committed or not. It holds only what conf_decode accepts. */
void driver_conf(const struct consensus *c, struct conf *ret);

/* Appends an entry to the log as leader; its term is set. libraft's code. */
int driver_submit(struct consensus *c, struct entry *e, uint64_t *ret_index);

/* ---- read.c ---- */

void read_init(struct consensus *c);
void read_done(struct consensus *c);
/* Answers what can be answered; all of it with no if this node does not lead. */
void read_settle(struct consensus *c);
/* Asks again those that have not answered: packets get lost. */
void read_repeat(struct consensus *c);
void read_receive(struct consensus *c, const struct packet *p);
void read_receive_ack(struct consensus *c, const struct packet *p);

/* ---- haste.c ---- */

/* A leader speaks: it is not gone. */
void haste_heard(struct consensus *c, uint64_t id);
/* When haste_tick wants to be called; UINT64_MAX: never. */
uint64_t haste_timeout_ms(const struct consensus *c);
/* Ends the core's election timer if it is this node's turn. */
void haste_tick(struct consensus *c);

/* ---- snapshot.c ---- */

void snapshot_offered(struct consensus *c, const struct raft_update *u,
                      const struct consensus_snapshot *offered);
void snapshot_job_done(struct consensus *c, const struct consensus_job *job);
void snapshot_install_done(struct consensus *c);
/* Peer `id` has been sent the snapshot at index. */
void snapshot_pin(struct consensus *c, uint64_t id, uint64_t index);

/* ---- status.c ---- */

/* A packet of a peer has arrived; clock_ns is 0 when it carries none. */
void status_contact(struct consensus *c, uint64_t id, uint64_t clock_ns);
/* Nothing has been heard of the peer for so many election timeouts. */
bool status_silent(const struct consensus *c, uint64_t id, uint32_t elections);
/* Whether a peer that was heard of has not been told of this commit index; from now on it has. */
bool status_tell(struct consensus *c, uint64_t id, uint64_t index);

/* ---- pace.c ---- */

/* Brings the heartbeat to what goes on; after every step, and when a read begins to wait. */
void pace_set(struct consensus *c);

/* ---- tell.c ---- */

/* A leader with nothing under way tells its peers what is committed, each once. */
void tell_committed(struct consensus *c);

#endif
