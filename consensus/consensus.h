/* Order and durability: a guarded driver around libraft's I/O-free core.
 *
 * It is pure. Events go in (a frame from a peer, a tick, a finished write, a request), effects come
 * out through `struct consensus_host` (write this, send that, there is something to apply). It
 * reads no clock, does no I/O and has no threads, so a whole cluster runs in one thread from a
 * seed.
 *
 *     frames, ticks, requests            +-----------+   write(job) ------> disk, in order
 *   ---------------------------------->  | consensus |   send(to, packet) -> peer links
 *     consensus_done(job), in order      +-----------+   committed() ------> host pulls:
 *   ---------------------------------->                    consensus_next / consensus_applied
 *
 * Glossary. index: position in Raft's log, from 1. commit: a majority has it on disk. stored: on
 * this node's disk. applied: in this node's state. window: entries under way to one follower.
 *
 * Promises.
 *  1. Nothing leaves the node before the latest term and vote are durable.
 *  2. Only what is committed and stored here is handed out to be applied, once, in order.
 *  3. A command is COMMITTED when what is applied at its index has its term; LOST when another term
 *     was applied there; while leadership is gone and neither is known it is UNKNOWN, and its
 *     client must ask again with the same request id. Recipe: keep (index, term) of
 *     consensus_submit; compare with consensus_next; when state(role, term) says that this node no
 *     longer leads that term, answer UNKNOWN to everybody who still waits. An index below a
 *     snapshot that was restored is UNKNOWN too.
 *  4. The committed log never changes: what contradicts it is refused and reported, not followed.
 *
 * Threads: loop only, every function. No function may be called from inside a host callback.
 * After every call that takes an event the host asks consensus_check; an error there means that
 * this node must stop. */
#ifndef CONSENSUS_CONSENSUS_H
#define CONSENSUS_CONSENSUS_H

#include "base/err.h"
#include "base/limits.h"
#include "consensus/objects.h"

struct consensus;

enum consensus_role { /* what this node does now */
                      CONSENSUS_UNAVAILABLE = 0,
                      CONSENSUS_FOLLOWER = 1,
                      CONSENSUS_CANDIDATE = 2,
                      CONSENSUS_LEADER = 3,
};

enum consensus_member {                        /* what a node is in the configuration */
                        CONSENSUS_STANDBY = 0, /* receives the log, does not vote */
                        CONSENSUS_VOTER = 1,
                        CONSENSUS_STRANGER = 255, /* not in it; as a wish: remove it */
};

/* Answers to requests. Everything but OK has changed nothing. */
enum consensus_answer {
    CONSENSUS_OK = 0,
    CONSENSUS_NOT_LEADER,   /* ask the leader */
    CONSENSUS_BUSY,         /* not now, try again soon: window full, leadership too fresh, ... */
    CONSENSUS_TRANSFERRING, /* leadership is being handed over: try again soon */
    CONSENSUS_PENDING,      /* a change of configuration is under way: after it */
    CONSENSUS_NO_QUORUM,    /* the new configuration might be unable to elect (trap T14b) */
    CONSENSUS_BAD_MEMBER,   /* unknown id, own id, or not in the role this needs */
};

const char *consensus_role_name(enum consensus_role role);
const char *consensus_answer_name(enum consensus_answer answer);

/* What the driver asks of its host. ctx comes first in each call. None of these may call back. */
struct consensus_host {
    void *ctx;
    /* Monotonic milliseconds, never smaller than before. */
    uint64_t (*now_ms)(void *ctx);
    /* Wall clock, Unix ns: goes into heartbeats, decides nothing here. */
    uint64_t (*wall_ns)(void *ctx);
    /* Takes a place in the one queue of writes; when it is durable the host calls consensus_done
     * with it, in the same order. A write that fails is never reported: the node stops. */
    void (*write)(void *ctx, struct consensus_job *job);
    /* Send to node `to`, in order with what was sent to it before; the host owns p. It may drop
     * it (Raft repeats itself), never change the order on one connection. */
    void (*send)(void *ctx, uint64_t to, struct packet *p);
    /* There is something for consensus_next. */
    void (*committed)(void *ctx);
    /* The entry at index (> 0), read back from this node's disk; the caller takes the reference.
     * NULL when it cannot be read, which stops the node. Only asked for entries that are stored. */
    struct entry *(*load)(void *ctx, uint64_t index);
    /* The role or the term of this node has changed. Not leader any more: see promise 3. */
    void (*state)(void *ctx, enum consensus_role role, uint64_t term);
    /* A read is settled. ok: the state as it is now, until the next event, is linearizable. */
    void (*read)(void *ctx, uint64_t cookie, bool ok);
    /* Start to fetch this checkpoint from s->source; later consensus_fetched. s is borrowed. */
    void (*fetch)(void *ctx, const struct consensus_snapshot *s);
    /* The state is now at s: applied == s->index. s is borrowed. */
    void (*restored)(void *ctx, const struct consensus_snapshot *s);
};

struct consensus_options {
    uint64_t id;              /* of this node, > 0, never reused */
    uint32_t seed;            /* random for each start: election timeouts */
    uint32_t election_ms;     /* 1000 suits a LAN */
    uint32_t heartbeat_ms;    /* 100; should exceed the p99 of a disk sync */
    uint32_t install_ms;      /* repeat a manifest after: 5000 to 10000 */
    uint32_t pin_ms;          /* a peer that fetches holds back newer snapshots at most this long */
    uint32_t inflight;        /* entries under way to a follower: BLOCKS_IN_FLIGHT_MAX */
    uint64_t cache_bytes_max; /* payloads kept in memory: LOG_CACHE_BYTES_MAX */
    bool pre_vote;            /* true */
    bool snapshots;           /* the host can fetch and install them; else offers are refused */
#ifdef CONSENSUS_TEST_SWITCHES
    uint32_t switches_off; /* enum guard in driver.h: guards to do without */
#endif
};

/* An entry found on disk at start. */
struct consensus_stored {
    uint64_t term;
    enum entry_type type;
    struct entry *entry; /* needed for ENTRY_CHANGE; else NULL: it is loaded when it is wanted */
};

/* What the node finds on disk at start. The caller keeps everything; entries are referenced. */
struct consensus_disk {
    uint64_t term, vote;                /* 0, 0: a new node that joins */
    struct consensus_snapshot snapshot; /* index 0: none */
    uint64_t first;                     /* index of stored[0]; snapshot.index + 1 or less */
    uint64_t applied;                   /* what the state contains */
    uint64_t count;
    const struct consensus_stored *stored;
};

/* Proves that the libraft that is linked follows the memory contract this driver is written for.
 * UNSUPPORTED if not: do not start. */
err consensus_self_test(struct errtext *reterr) ERR_MUST_USE;

/* The bytes of entry 1 (term 1, ENTRY_CHANGE) of a network founded by these voters; every founder
 * writes the same. ids in any order, distinct, > 0; count >= INSTITUTIONS_MIN (trap T14: fewer
 * cannot grow) unless it is 1. Appends to ret. INVALID otherwise. */
err consensus_found(const uint64_t *ids, uint32_t count, struct buf *ret) ERR_MUST_USE;

/* Starts from what is on disk; calls the host's functions already (write, state, ...). The host
 * struct is copied, ctx is borrowed. On success *ret is the caller's: consensus_close. On failure
 * nothing is left. CORRUPT: the disk's content contradicts itself. */
err consensus_open(const struct consensus_host *host, const struct consensus_options *options,
                   const struct consensus_disk *disk, struct consensus **ret,
                   struct errtext *reterr) ERR_MUST_USE;

/* Stops. No host function is called. Jobs that were not handed back are the host's:
 * consensus_job_free. Accepts NULL. */
void consensus_close(struct consensus *c);

/* OK while the node may go on. CORRUPT: the core or the disk contradicts the log; IO: an entry
 * could not be read back. The reason is in reterr. Stays failed for ever. */
err consensus_check(const struct consensus *c, struct errtext *reterr) ERR_MUST_USE;

/* ---- events ---- */

/* A frame from the authenticated peer `from`. The bytes are borrowed. INVALID: malformed, refused,
 * nothing changed; cut the link and count it. UNSUPPORTED: a version we do not have, or a snapshot
 * that this host cannot install. CONFLICT: the
 * peer contradicts what is committed, or claims to lead the term that we lead: nothing was
 * followed; raise the alarm. */
err consensus_receive(struct consensus *c, uint64_t from, struct bytes frame,
                      struct errtext *reterr) ERR_MUST_USE;

/* When (now_ms) consensus_tick wants to be called; ask again after every event. */
uint64_t consensus_timeout_ms(const struct consensus *c);

/* Time has passed. Early is harmless. */
void consensus_tick(struct consensus *c);

/* The process of peer id has ended: its connection was closed by its side (not: has timed out, was
 * replaced by a newer one). If it led, an election begins within some heartbeats instead of after
 * the election timeout. Harmless when it is not true; does nothing without pre-votes. Ask
 * consensus_timeout_ms again. */
void consensus_peer_gone(struct consensus *c, uint64_t id);

/* A job is durable. Takes the job and frees it. In the order of write(). */
void consensus_done(struct consensus *c, struct consensus_job *job);

/* ---- apply: pulled by the host, at its own pace ---- */

struct consensus_next {
    uint64_t index, term;
    enum entry_type type;
    struct entry *entry; /* ENTRY_COMMAND: a reference for the caller; else NULL */
};

/* The next committed entry, each one once. Barriers and configurations are the driver's business;
 * the host only records that the index is applied. Several may be out at once.
 * AGAIN: nothing now (committed() will be called). IO, CORRUPT: it cannot be read back: stop. */
err consensus_next(struct consensus *c, struct consensus_next *ret) ERR_MUST_USE;

/* The state contains everything up to index, which consensus_next has given out. What is at or
 * below the last one is ignored. Settles reads. */
void consensus_applied(struct consensus *c, uint64_t index);

/* ---- requests ---- */

struct consensus_position {
    uint64_t index, term;
};

/* Appends a command of 1 to BLOCK_BYTES_MAX bytes (copied) to the log. OK says where it stands, not
 * that it is committed: promise 3. BUSY when twice the window is uncommitted. */
enum consensus_answer consensus_submit(struct consensus *c, struct bytes data,
                                       struct consensus_position *ret) ERR_MUST_USE;

/* Asks for a linearizable read: read(cookie, ok) is called once, now or later. All reads that wait
 * share one round of confirmation; those that come while it runs share the next. BUSY at
 * READS_WAITING_MAX or before the leader has committed in its own term. */
enum consensus_answer consensus_read(struct consensus *c, uint64_t cookie) ERR_MUST_USE;

/* Changes one other node: STANDBY adds it or takes its vote, STRANGER removes it, VOTER gives it a
 * vote (consensus_promote is the careful way). OK: proposed. */
enum consensus_answer consensus_change(struct consensus *c, uint64_t id,
                                       enum consensus_member wish) ERR_MUST_USE;

/* The voters of a configuration in its bytes (a mark's, a snapshot's), in its order; 0 if they are
 * none. Any thread. */
size_t consensus_conf_voters(struct bytes conf, uint64_t ret_ids[NODES_MAX]);

/* Makes a standby a voter once it is level. BUSY: call again every heartbeat. */
enum consensus_answer consensus_promote(struct consensus *c, uint64_t id) ERR_MUST_USE;

/* Hands leadership to a voter that is level. BUSY: stop submitting, call again, or try another one:
 * it lacks entries, or has been silent. OK: begun; done when this node is follower, failed when it
 * still leads and status.transferee is 0. Needs no write of this node: it works while writes are
 * stuck (never after consensus_check has failed), unless a change of configuration is among them,
 * which nobody has been sent yet. */
enum consensus_answer consensus_transfer(struct consensus *c, uint64_t id) ERR_MUST_USE;

/* A place in the log of which the host makes a checkpoint, with what Raft must know of it. Taking
 * one lasts; meanwhile the log goes on. */
struct consensus_mark {
    uint64_t index, term; /* the last entry that the checkpoint contains */
    uint64_t conf_index;  /* where the configuration in force there stands */
    struct entry *conf;   /* that configuration: a reference of the mark's owner */
};

/* Marks the state as it is: at `applied`, with all given out applied. The caller owns the reference
 * in *ret. BUSY: entries are out, a checkpoint is being installed, or nothing is applied yet. */
enum consensus_answer consensus_mark(const struct consensus *c,
                                     struct consensus_mark *ret) ERR_MUST_USE;

/* The checkpoint of that mark (of this run or of an earlier one) is complete and may be offered to
 * others; the mark stays the caller's. manifest is copied, at most MANIFEST_BYTES_MAX. The log
 * keeps `trailing` entries up to it. When the host gets the job back that this writes, the log is
 * cut. BUSY: not now (a peer fetches the last one, one is being written); or never, if it is not
 * newer than status.snapshot_index or the log does not hold it. */
enum consensus_answer consensus_snapshot(struct consensus *c, const struct consensus_mark *mark,
                                         uint32_t trailing, struct bytes manifest) ERR_MUST_USE;

/* The checkpoint that fetch() asked for is there, complete and verified (ok), or cannot be had. */
void consensus_fetched(struct consensus *c, bool ok);

/* A fetch has failed and all writes are done: close, read the disk, open again. There is no other
 * way to give an installation up. */
bool consensus_wants_reset(const struct consensus *c);

/* ---- status ---- */

struct consensus_peer {
    uint64_t id;
    enum consensus_member member;
    uint64_t match;           /* leader only: the highest index known to be on its disk; else 0 */
    bool contacted;           /* heard of since start */
    uint64_t last_contact_ms; /* now_ms of its last packet, if contacted */
    uint64_t clock_ns;        /* its wall clock as it said then, 0: it has not */
};

struct consensus_status {
    enum consensus_role role;
    enum consensus_member member; /* what this node is in the configuration */
    uint64_t id, term, vote;
    uint64_t leader;     /* a hint, may be dead; 0: none known */
    uint64_t transferee; /* 0: none */
    bool ready;          /* leads and has committed in its own term */
    bool changing;       /* a change of configuration is in the log and not known as committed */
    bool installing;     /* a checkpoint is being fetched */
    uint64_t commit, stored, given, applied;
    uint64_t first_index, last_index; /* of the log; first > last: empty */
    uint64_t snapshot_index;
    uint64_t cache_bytes; /* payloads in memory */
    uint32_t reads_waiting;
    uint32_t voters;
    uint32_t peer_count;
    struct consensus_peer peers[NODES_MAX]; /* the configuration without this node, by id */
};

/* All of it at one moment. */
void consensus_status(const struct consensus *c, struct consensus_status *ret);

/* Leads, has committed in its own term and does not hand over. */
bool consensus_ready(const struct consensus *c);

/* Term of the entry at index, or 0 when the log does not have it (below first: unless it is the
 * snapshot's last). */
uint64_t consensus_term_at(const struct consensus *c, uint64_t index);

/* The lower median of the voters' wall clocks, own_ns being ours; the others as they last said,
 * carried on by now_ms; voters never heard of are left out. Bounds the leader's stamps. */
uint64_t consensus_median_clock(const struct consensus *c, uint64_t own_ns);

#endif
