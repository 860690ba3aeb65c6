/* A cluster of drivers in one thread and virtual time: one seed, one history.
 *
 * Frames pass through the real codec; disks lose what was not synced; links cut, delay, repeat and
 * reorder; nodes stop and crash around their writes; members come and go. After each event the
 * checkers compare what every node has with everything that was ever durable or applied.
 *
 *     chaos.c  clients, operators, faults       world.c  random, time, events
 *     node.c   disk, links, state of a node     check.c  what must never happen
 *     sim.c    one history; the program */
#ifndef TESTS_SIM_DRIVER_SIM_H
#define TESTS_SIM_DRIVER_SIM_H

#include "consensus/driver.h"

enum { SIM_ID_MAX = 40, SIM_APPLY_BATCH_MAX = 64 };
#define SIM_MS UINT64_C(1000) /* virtual time is in microseconds */

enum event_kind {
    EVENT_FRAME,
    EVENT_TIMER,
    EVENT_DISK,
    EVENT_APPLY,
    EVENT_FETCH,
    EVENT_CLIENT,
    EVENT_READ,
    EVENT_FAULT,
    EVENT_ADMIN,
    EVENT_RESTART,
    EVENT_HEAL,
    EVENT_STOP,
    EVENT_CRASH,
    EVENT_GONE, /* a connection was closed by the other side */
};

struct frame {
    uint64_t from;
    size_t size;
    uint8_t data[];
};

struct event {
    uint64_t at_us, order;
    enum event_kind kind;
    uint64_t id, arg;
    struct frame *frame; /* FRAME: owned */
};

/* A place in the disk's queue: a job, or how far the state has come. */
struct record {
    struct consensus_job *job; /* NULL: progress */
    uint64_t *chain;           /* ENTRIES: hash of the log up to each */
    uint64_t applied, app;
    struct record *next;
};

/* What survives a crash. */
struct disk {
    uint64_t term, vote;
    struct consensus_snapshot snapshot;
    uint64_t first, applied, count, capacity;
    struct entry **entries;
    uint64_t *chain;
    uint64_t base; /* chain at first - 1 */
    uint64_t app;  /* the state: a hash over what was applied */
};

struct sim;

struct node {
    struct sim *sim;
    uint64_t id;
    bool exists, alive, removed, applying;
    uint64_t incarnation;
    struct consensus *c; /* NULL unless alive */
    struct disk disk;
    struct record *queue, **queue_tail;
    uint32_t syncing; /* records that the sync under way covers */
    uint64_t slow_until_us, paused_until_us, timer_generation, timer_at_us, fetch_generation;
    uint64_t *chain; /* hash of the log in memory up to each index */
    uint64_t chain_capacity;
    uint64_t applied, noted, app;
    struct raft_tracer tracer;
};

enum profile {
    PROFILE_GENERAL,
    PROFILE_VOTES, /* elections all the time, crashes right after a vote was cast */
    PROFILE_DISKS, /* disks so slow that a new leader replaces what is still being written */
};

struct params { /* of one history, drawn from its seed */
    uint32_t founders, election_ms, heartbeat_ms, install_ms, inflight, threshold, trailing;
    uint64_t delay_lo, delay_hi, disk_lo, disk_hi, client_us, fault_us, admin_us, chaos_us;
    uint64_t tail_us, cache_bytes, apply_us;
    double drop, duplicate, tail, crash_point, crash_vote, slow_entries;
    bool fifo, pre_vote, membership, small, faults;
};

struct seen {
    uint64_t term, chain;
};

struct position {      /* all that is known of one index */
    struct seen *seen; /* every entry ever durable or sent */
    uint32_t seen_count;
    bool committed, applied;
    uint64_t chain, term, by_term, app;
};

struct checker {
    struct position *positions;
    uint64_t capacity, committed_max, acked_max;
    uint64_t *leaders; /* by term */
    uint64_t leaders_capacity;
};

struct stats {
    uint64_t elections, commits, acked, reads, reads_refused, crashes, installs, install_fails,
        resets, snapshots, changes, changes_refused, promotions, transfers, frames, dropped;
    struct consensus_counters guards;
};

struct errand { /* what the operator is about: id 0: nothing */
    uint64_t id, give_up_us;
    enum consensus_member wish;
};

struct sim {
    uint64_t seed, random;
    uint32_t switches_off;
    enum profile profile;
    bool trace;
    struct event *heap;
    uint64_t heap_count, heap_capacity;
    uint64_t now_us, order, events;
    struct node nodes[SIM_ID_MAX + 1];
    bool cut[SIM_ID_MAX + 1][SIM_ID_MAX + 1];
    uint64_t fifo_at[SIM_ID_MAX + 1][SIM_ID_MAX + 1];
    uint64_t next_id;
    struct params cfg;
    struct buf founding; /* entry 1 */
    struct checker check;
    struct errand errand;
    struct stats stats;
    bool violated;
    char violation[512];
};

/* ---- world.c ---- */
uint64_t sim_random(struct sim *s);
uint64_t sim_between(struct sim *s, uint64_t lo, uint64_t hi);
bool sim_chance(struct sim *s, double p);
uint64_t sim_mix(uint64_t h, uint64_t x);
uint64_t sim_hash_entry(uint64_t h, const struct entry *e);
void sim_push(struct sim *s, struct event e);
struct event sim_pop(struct sim *s);
void sim_at(struct sim *s, uint64_t delay_us, enum event_kind kind, uint64_t id, uint64_t arg);
void sim_say(struct sim *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The first one stays; the history ends after the event. */
void sim_violation(struct sim *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static inline unsigned long long llu(uint64_t n)
{
    return n;
}

/* ---- check.c ---- */
void check_log_matching(struct node *x, uint64_t index, uint64_t term, uint64_t chain);
void check_commit(struct node *x, uint64_t index, uint64_t term, uint64_t by_term);
void check_applied(struct node *x, uint64_t index, const struct consensus_next *next);
void check_restored(struct node *x, const struct consensus_snapshot *snapshot);
void check_leader(struct node *x, uint64_t term);
void check_node(struct node *x);
void check_done(struct checker *check);

/* ---- node.c ---- */
void node_create(struct sim *s, uint64_t id, bool founder);
void node_start(struct node *x);
/* lose: a random suffix of the unsynced writes is gone. */
void node_stop(struct node *x, bool lose);
void node_free(struct node *x);
void node_schedule(struct node *x);
void node_synced(struct node *x);
void node_apply(struct node *x);
void node_receive(struct node *x, struct frame *frame);
void node_fetched(struct node *x, uint64_t generation);
void node_chain_set(struct node *x, uint64_t index, uint64_t chain);
/* A snapshot when it is due; a restart when an installation has failed. */
void node_upkeep(struct node *x);
/* A running leader, at random; NULL if there is none. */
struct node *node_some_leader(struct sim *s);
struct node *node_some(struct sim *s, bool alive);
uint64_t node_snapshot_app(const struct consensus_snapshot *snapshot);
uint64_t node_snapshot_chain(const struct consensus_snapshot *snapshot);

/* ---- chaos.c ---- */
void chaos_configure(struct sim *s);
void chaos_client(struct sim *s);
void chaos_read(struct sim *s);
void chaos_admin(struct sim *s);
void chaos_fault(struct sim *s);
void chaos_crash(struct node *x, uint64_t down_us);
void chaos_heal(struct sim *s);

#endif
