/* The product in one thread and virtual time: one seed, one history.
 *
 * The nodes are the product's own: node_open() with all that it opens. What is replaced, when the
 * program is linked, is what touches the operating system:
 *
 *     seam_loop.c  net/loop.h, net/pool.h     seam_kv.c    storage/kv.h
 *     seam_peer.c  net/peer.h                 seam_edge.c  clock, random, log, require, files
 *     seam_grpc.c  net/grpc.h (the server)    seam_log.c   storage/logstore.h without its thread
 *
 *     world.c      random, time, events       machine.c    a node: start, turns, crash
 *     fixture.c    keys, genesis, requests    client.c     what clients do and are told
 *     faults.c     what goes wrong            check.c      what must never happen
 *     model.c      what the ledger must hold  sim.c        one history; the program
 *     officer.c    who takes part             view.c       the configuration in force
 *
 * A *machine* is what a node runs on: its disks and clocks outlive the *process* (struct node). A
 * *step* is one event: a turn of a node's loop, a frame that arrives, a write that is done, ... */
#ifndef TESTS_SIM_PRODUCT_WORLD_H
#define TESTS_SIM_PRODUCT_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/bytes.h"
#include "base/clock.h"

enum {
    SIM_FOUNDERS_MAX = 7,
    SIM_NODES_MAX = 24, /* machines of one history: those that found and those that join */
    SIM_CLIENTS_MAX = 6,
};

/* 2026-11-02T08:00:00Z: the wall clock when a history starts, a minute after its genesis. */
#define SIM_EPOCH_NS UINT64_C(1793606400000000000)

/* What may go wrong; each class can be switched off, which is how a failing seed is made small. */
#define SIM_FAULTS(X)                                                                              \
    X(DELAY, "delay")         /* slow links */                                                     \
    X(RESET, "reset")         /* connections break, and what was under way is gone */              \
    X(PARTITION, "partition") /* one way and both ways */                                          \
    X(KILL, "kill")           /* the process dies at any call; what it wrote is there */           \
    X(POWER, "power")         /* the machine too: what was not synced may be gone, or torn */      \
    X(PAUSE, "pause")         /* a process stands still for longer than an election */             \
    X(CLOCK, "clock")         /* wall clocks skew and jump, monotonic ones drift */                \
    X(SLOW_DISK, "slow-disk") /* syncs are slow, or stall */                                       \
    X(BAD_DISK, "bad-disk")   /* one write or sync answers EIO */                                  \
    X(FULL_DISK, "full-disk") /* no space is left for a while */                                   \
    X(ROT, "rot")             /* bits flip in what was written */                                  \
    X(STOP, "stop")           /* SIGTERM, and leadership is handed over */                         \
    X(LOST_CALL, "lost-call") /* a client's call or its answer is lost */                          \
    X(MEMBER, "member")       /* nodes come, get and lose votes, go and are replaced */            \
    X(TRANSFER, "transfer")   /* an officer hands leadership over */                               \
    X(WIPE, "wipe")           /* a machine comes back under its old number with an empty disk */   \
    X(BAD_STATE, "bad-state") /* the state database cannot write, flush or read */

enum sim_fault {
#define SIM_FAULT_ENUM(name, text) FAULT_##name,
    SIM_FAULTS(SIM_FAULT_ENUM)
#undef SIM_FAULT_ENUM
        FAULT_COUNT,
};

struct options {
    uint64_t seed;
    uint64_t steps; /* with faults; then all heals and the history ends by itself */
    uint32_t nodes; /* 3, 5 or 7; 0: by the seed */
    uint32_t off;   /* bit f: fault f never happens */
    bool trace;     /* prints every step */
    bool expected;  /* a violation is what is looked for */
    uint64_t first; /* seed of the first history of this run */
};

struct machine;
struct net;
struct client;
struct checker;
struct model;
struct fixture;
struct happening;
struct sim_officer;

/* What is counted over all histories: a thing that never happens was never tested. */
#define SIM_COUNTS(X)                                                                              \
    X(turns, "turns of a loop")                                                                    \
    X(frames, "frames delivered")                                                                  \
    X(frames_lost, "frames lost")                                                                  \
    X(resets, "connections reset")                                                                 \
    X(partitions, "partitions")                                                                    \
    X(pauses, "pauses")                                                                            \
    X(jumps, "clocks jump")                                                                        \
    X(kills, "kills")                                                                              \
    X(power_cuts, "power cuts")                                                                    \
    X(stops, "SIGTERM")                                                                            \
    X(restarts, "starts")                                                                          \
    X(slow_disks, "disks slow or stalled")                                                         \
    X(bad_disks, "EIO: log and files")                                                             \
    X(bad_states, "EIO: state database")                                                           \
    X(full_disks, "disks full")                                                                    \
    X(full_states, "state database refused: full")                                                 \
    X(rots, "bits flipped")                                                                        \
    X(disk_stops, "stopped by its own disk")                                                       \
    X(elections, "elections")                                                                      \
    X(blocks, "blocks")                                                                            \
    X(timers, "timers run")                                                                        \
    X(cuts, "log cut behind a checkpoint")                                                         \
    X(heads, "heads of the tree signed")                                                           \
    X(installs, "checkpoints installed")                                                           \
    X(far_installs, "... by a node far behind")                                                    \
    X(join_installs, "... by a node that joins")                                                   \
    X(adds, "nodes added")                                                                         \
    X(joins, "nodes that joined are level")                                                        \
    X(promotions, "promotions asked")                                                              \
    X(demotions, "demotions asked")                                                                \
    X(removals, "removals asked")                                                                  \
    X(replacements, "replacements asked")                                                          \
    X(votes_given, "votes given")                                                                  \
    X(votes_taken, "votes taken back")                                                             \
    X(parted, "nodes taken out")                                                                   \
    X(left, "removed nodes that stop themselves")                                                  \
    X(wipes, "disks wiped")                                                                        \
    X(recognised, "wiped nodes that are recognised")                                               \
    X(change_rejected, "changes rejected by the ledger")                                           \
    X(change_pending, "changes refused: one pends")                                                \
    X(change_risky, "changes refused: the quorum")                                                 \
    X(change_refused, "changes refused: by the table")                                             \
    X(transfers, "leadership handed over on command")                                              \
    X(transfers_refused, "... refused or failed")                                                  \
    X(calls, "calls")                                                                              \
    X(committed, "answers COMMITTED")                                                              \
    X(rejected, "... with outcome rejected")                                                       \
    X(refused, "answers REFUSED")                                                                  \
    X(unknown, "answers UNKNOWN")                                                                  \
    X(reads, "linearizable reads")                                                                 \
    X(local_reads, "local reads")                                                                  \
    X(watched, "records watched")

struct world {
    struct options options;
    uint64_t now_ns;   /* the true time, from 0 */
    uint64_t steps;    /* done */
    uint64_t sequence; /* of the next event: equal times run in order of making */
    uint64_t random, random_net, random_product, random_work,
        random_member; /* streams of their own */
    struct happening **heap;
    size_t heap_count, heap_capacity;
    uint32_t founders;
    uint32_t nodes; /* machines so far: those after the founders have joined */
    struct machine *machines[SIM_NODES_MAX];
    struct net *net; /* what lies between the machines */
    struct client *clients[SIM_CLIENTS_MAX];
    uint32_t client_count;
    uint64_t checkpoint_bytes; /* of log between two checkpoints */
    uint64_t pace_ms;          /* clients think up to so long between two calls */
    struct checker *checker;
    struct model *model;
    struct sim_officer *officer;
    struct fixture *fixture;      /* of the process, not of the history */
    uint32_t chance[FAULT_COUNT]; /* how often, in a million, when one is drawn; 0: never */
    bool healing;                 /* no new faults */
    struct counts {
#define SIM_COUNT_FIELD(name, text) uint64_t name;
        SIM_COUNTS(SIM_COUNT_FIELD)
#undef SIM_COUNT_FIELD
    } counts;
};

/* ---- random: SplitMix64; each kind of decision has its own stream ---- */
uint64_t draw(uint64_t *stream);
/* A number below n (> 0). */
uint64_t draw_below(uint64_t *stream, uint64_t n);
/* True so often in a million. */
bool draw_chance(uint64_t *stream, uint32_t ppm);

/* ---- events ---- */
struct happening {
    uint64_t at_ns, sequence;
    void (*run)(struct happening *event);  /* frees what it is embedded in */
    void (*drop)(struct happening *event); /* frees it without running: the history is over */
    struct world *world;
};

/* Schedules an event, which belongs to the world from now on, after_ns from now. */
void world_after(struct world *w, struct happening *event, uint64_t after_ns);

/* Runs the next event; false: there is none. */
bool world_step(struct world *w);

/* Drops all events. */
void world_clear(struct world *w);

/* ---- telling ---- */
/* One line of the trace, if it is wanted: nothing in it may depend on keys or addresses. */
void trace(const struct world *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Something happened that never may: prints the seed and what it was, and ends the program. */
_Noreturn void violation(const struct world *w, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
