/* A cluster steered by hand: nothing is written, delivered or timed out before the test says so.
 * Frames pass through the codec. What is applied anywhere is compared with what was applied
 * elsewhere. */
#ifndef TESTS_UNIT_CONSENSUS_LAB_H
#define TESTS_UNIT_CONSENSUS_LAB_H

#include "consensus/driver.h"

enum { LAB_NODES_MAX = 8, LAB_LOG_MAX = 1024, LAB_NET_MAX = 4096, LAB_READS_MAX = 128 };

struct lab;

struct lab_read {
    uint64_t cookie;
    bool ok;
};

struct lab_node {
    struct lab *lab;
    uint64_t id;
    bool up;
    struct consensus *c;
    /* the disk */
    uint64_t term, vote, first, count;
    struct consensus_snapshot snapshot;
    struct entry *entries[LAB_LOG_MAX];
    /* the host */
    struct consensus_job *jobs[LAB_NET_MAX];
    uint32_t job_count;
    uint64_t applied;
    uint64_t loads;
    enum { LAB_LOAD_WELL, LAB_LOAD_NOTHING, LAB_LOAD_ANOTHER } load;
    struct lab_read reads[LAB_READS_MAX];
    uint32_t read_count;
    uint32_t committed_calls, fetches, restores;
    uint64_t clock_ns;
};

struct lab {
    uint64_t now_ms;
    uint32_t inflight;
    uint64_t cache_bytes;
    uint32_t switches_off; /* used when built with the switches */
    bool pre_vote;
    bool keeps_state; /* what was applied is there after a crash */
    struct lab_node nodes[LAB_NODES_MAX + 1];
    uint32_t size;
    struct packet *net[LAB_NET_MAX]; /* under way, owned */
    uint32_t net_count;
    size_t frame_bytes_max;        /* the largest frame that was delivered */
    uint64_t decided[LAB_LOG_MAX]; /* term of what was applied at an index, by anybody */
    uint32_t contradictions;
    err last_err; /* of the last consensus_receive that failed */
};

#define LAB_BIT(id) (1u << (id))
#define LAB_ALL 0xffffu

/* Nodes 1, 2, ... with the same entry 1: 'v' a voter, 's' a standby. All are up. Set inflight,
 * cache_bytes and switches_off before; the rest is zeroed. */
void lab_init(struct lab *l, const char *roles);
void lab_done(struct lab *l);

void lab_up(struct lab *l, uint64_t id);
/* Crash: what was not synced is gone. */
void lab_down(struct lab *l, uint64_t id);

/* Completes the first job of the node. */
void lab_sync_one(struct lab *l, uint64_t id);
/* Completes all jobs and applies what is committed: of one node, of all. */
void lab_sync(struct lab *l, uint64_t id);
void lab_sync_all(struct lab *l);
void lab_apply(struct lab *l, uint64_t id);

/* At most `rounds` times: what is under way among the nodes of the set is delivered. The rest is
 * lost. */
void lab_deliver(struct lab *l, uint32_t set, int rounds);
/* One round over the link from a to b; the rest stays under way. */
void lab_deliver_link(struct lab *l, uint64_t a, uint64_t b);
/* The same, and nobody's disk moves. */
void lab_carry(struct lab *l, uint64_t a, uint64_t b);
/* Encodes the packet and gives the frame to node `to` as coming from `from`. */
err lab_receive(struct lab *l, uint64_t from, uint64_t to, struct packet *p);
void lab_lose_all(struct lab *l);

/* The node's timer fires. */
void lab_timeout(struct lab *l, uint64_t id);
/* Node id becomes leader with the help of the set. */
void lab_campaign(struct lab *l, uint64_t id, uint32_t set);
/* Time passes among the set until nothing changes any more. */
void lab_settle(struct lab *l, uint64_t leader, uint32_t set);
/* Marks what node id has applied and offers it as a checkpoint. */
enum consensus_answer lab_snapshot(struct lab *l, uint64_t id, uint32_t trailing,
                                   struct bytes manifest);
enum consensus_answer lab_command(struct lab *l, uint64_t id, size_t size);
bool lab_leads(const struct lab *l, uint64_t id);

#endif
