/* Traps of configurations, transfer and snapshots. */
#include <stdlib.h>

#include "base/require.h"
#include "tests/sim/driver/trap.h"

/* T3. Two leaders change the configuration, each without having committed in its own term, and
 * commit different entries with majorities that do not meet (Ongaro, raft-dev, 2015-07-10). Without
 * its guard T14b would refuse the second change too, by another reason. */
static bool change_without_own_commit(uint32_t off)
{
    struct lab *l = trap_lab("vvvvs", off == 0 ? 0 : off | GUARD_AWARE, false);
    l->inflight = 32;
    lab_campaign(l, 1, LAB_ALL);
    lab_settle(l, 1, LAB_ALL);
    NEED(consensus_promote(l->nodes[1].c, 5) == CONSENSUS_OK);
    lab_deliver(l, LAB_BIT(1) | LAB_BIT(5), 4); /* only node 5 gets it */
    lab_campaign(l, 2, LAB_BIT(2) | LAB_BIT(3) | LAB_BIT(4));
    NEED(lab_leads(l, 2));
    enum consensus_answer answer = consensus_change(l->nodes[2].c, 1, CONSENSUS_STANDBY);
    NEED(answer == (off == 0 ? CONSENSUS_BUSY : CONSENSUS_OK));
    lab_deliver(l, LAB_BIT(2) | LAB_BIT(3), 4);
    for (int i = 0; i < 3; i++) {
        lab_timeout(l, 2);
        lab_deliver(l, LAB_BIT(2) | LAB_BIT(3), 6);
    }
    lab_campaign(l, 1, LAB_BIT(1) | LAB_BIT(4) | LAB_BIT(5));
    lab_settle(l, 1, LAB_BIT(1) | LAB_BIT(4) | LAB_BIT(5));
    bool agree = l->contradictions == 0;
    trap_free(l);
    return agree;
}

/* T14b. One voter becomes two and crashes before the second has heard of it: that one will not
 * vote, and the first needs its vote. */
static bool one_voter_becomes_two(uint32_t off)
{
    struct lab *l = trap_lab("vs", off, true);
    lab_settle(l, 1, LAB_ALL);
    enum consensus_answer answer = consensus_promote(l->nodes[1].c, 2);
    NEED(off == 0 || answer == CONSENSUS_OK);
    lab_sync(l, 1);
    lab_down(l, 1);
    lab_lose_all(l);
    lab_up(l, 1);
    bool elects = trap_elects(l, LAB_ALL);
    trap_free(l);
    return elects;
}

/* T16. A restart of nodes whose state contains a configuration. */
static bool applied_configurations_are_told(uint32_t off)
{
    struct lab *l = trap_lab("vvvs", off, true);
    l->keeps_state = true;
    lab_campaign(l, 1, LAB_ALL);
    lab_settle(l, 1, LAB_ALL);
    NEED(consensus_promote(l->nodes[1].c, 4) == CONSENSUS_OK);
    lab_settle(l, 1, LAB_ALL);
    NEED(l->nodes[1].applied == memlog_last(&l->nodes[1].c->log));
    for (uint64_t id = 1; id <= 4; id++) {
        lab_down(l, id);
        lab_up(l, id);
    }
    lab_campaign(l, 1, LAB_ALL);
    NEED(lab_leads(l, 1));
    lab_settle(l, 1, LAB_ALL);
    bool goes_on = consensus_change(l->nodes[1].c, 4, CONSENSUS_STANDBY) == CONSENSUS_OK;
    trap_free(l);
    return goes_on;
}

/* T18. Who is caught up: not somebody unknown, not by a follower. */
static bool strangers_are_not_caught_up(uint32_t off)
{
    struct lab *l = trap_led("vvv", off, true);
    bool refused = consensus_promote(l->nodes[1].c, 9) == CONSENSUS_BAD_MEMBER;
    refused = consensus_promote(l->nodes[2].c, 3) == CONSENSUS_NOT_LEADER && refused;
    trap_free(l);
    return refused;
}

/* T20. The target of a transfer lacks entries: the core calls it at its first acknowledgement, it
 * does not heed, and the leader takes no commands for an election timeout. */
static bool only_a_level_follower_is_called(uint32_t off)
{
    struct lab *l = trap_lab("vvv", off, true);
    l->nodes[1].c->raft.max_inflight_entries = 1;
    lab_campaign(l, 1, LAB_ALL);
    lab_settle(l, 1, LAB_ALL);
    for (int i = 0; i < 4; i++) {
        NEED(lab_command(l, 1, 10) == CONSENSUS_OK);
    }
    enum consensus_answer answer = consensus_transfer(l->nodes[1].c, 2);
    NEED(answer == (off == 0 ? CONSENSUS_BUSY : CONSENSUS_OK));
    lab_deliver(l, LAB_ALL, 20);
    bool works = lab_leads(l, 2) || lab_command(l, 1, 10) == CONSENSUS_OK;
    trap_free(l);
    return works;
}

/* T21. A newer snapshot while a node fetches: that one will not do. */
static bool one_snapshot_is_enough(uint32_t off)
{
    struct lab *l = trap_led("vvv", off, true);
    struct lab_node *x = &l->nodes[3];
    uint32_t two = LAB_BIT(1) | LAB_BIT(2);
    lab_down(l, 3);
    for (int i = 0; i < 10; i++) {
        NEED(lab_command(l, 1, 10) == CONSENSUS_OK);
        lab_settle(l, 1, two);
    }
    NEED(lab_snapshot(l, 1, 2, bytes_text("manifest")) == CONSENSUS_OK);
    lab_sync(l, 1);
    lab_up(l, 3);
    for (int i = 0; i < 10 && x->fetches == 0; i++) {
        lab_timeout(l, 1);
        lab_deliver(l, LAB_ALL, 6);
    }
    NEED(x->fetches == 1);
    for (int i = 0; i < 10; i++) {
        NEED(lab_command(l, 1, 10) == CONSENSUS_OK);
        lab_settle(l, 1, LAB_ALL);
    }
    enum consensus_answer answer = lab_snapshot(l, 1, 2, bytes_text("newer"));
    NEED(answer == (off == 0 ? CONSENSUS_BUSY : CONSENSUS_OK));
    lab_sync(l, 1);
    consensus_fetched(x->c, true);
    lab_settle(l, 1, LAB_ALL);
    for (int i = 0; i < 10 && x->fetches == 1 && x->applied < l->nodes[1].applied; i++) {
        lab_settle(l, 1, LAB_ALL);
    }
    bool enough = x->fetches == 1;
    trap_free(l);
    return enough;
}

/* ---- what the core allocates ---- */

struct heap {
    int64_t blocks;
};

static void *heap_malloc(void *data, size_t size)
{
    ((struct heap *)data)->blocks++;
    return malloc(size);
}

static void heap_free(void *data, void *block)
{
    ((struct heap *)data)->blocks -= block != NULL;
    free(block);
}

static void *heap_calloc(void *data, size_t count, size_t size)
{
    ((struct heap *)data)->blocks++;
    return calloc(count, size);
}

static void *heap_realloc(void *data, void *block, size_t size)
{
    ((struct heap *)data)->blocks += block == NULL;
    return realloc(block, size);
}

static void *heap_aligned_alloc(void *data, size_t alignment, size_t size)
{
    ((struct heap *)data)->blocks++;
    return aligned_alloc(alignment, size);
}

static void heap_aligned_free(void *data, size_t alignment, void *block)
{
    (void)alignment;
    heap_free(data, block);
}

static struct packet *offer(const struct consensus *c)
{
    struct packet *p = packet_new(PACKET_INSTALL);
    uint64_t index = memlog_last(&c->log) + 9;
    p->m.type = RAFT_INSTALL_SNAPSHOT;
    p->m.install_snapshot = (struct raft_install_snapshot){
        .term = c->term, .last_index = index, .last_term = c->term, .conf_index = 1};
    p->snapshot = (struct consensus_snapshot){.index = index, .term = c->term, .conf_index = 1};
    p->snapshot.conf = entry_ref(memlog_at(&c->log, 1)->entry);
    return p;
}

/* 2.3. The manifest comes again while the snapshot is fetched; the core keeps it and forgets it. */
static bool repeated_offers_leak_nothing(uint32_t off)
{
    struct heap heap = {0};
    struct raft_heap counting = {&heap,        heap_malloc,        heap_free,        heap_calloc,
                                 heap_realloc, heap_aligned_alloc, heap_aligned_free};
    raft_heap_set(&counting);
    struct lab *l = trap_led("vvv", off, true);
    for (int i = 0; i < 3; i++) {
        NEED(trap_give(l, 1, 2, offer(l->nodes[2].c)));
    }
    NEED(l->nodes[2].c->installing);
    trap_free(l);
    raft_heap_set_default();
    return heap.blocks == 0;
}

/* 2.2. Two voters become one; the one that leaves has the change, the one that stays crashed before
 * it was on its disk: neither can be elected. */
static bool changes_are_stored_before_they_are_sent(uint32_t off)
{
    struct lab *l = trap_led("vv", off, true);
    NEED(consensus_change(l->nodes[1].c, 2, CONSENSUS_STANDBY) == CONSENSUS_OK);
    lab_carry(l, 1, 2);
    lab_sync(l, 2);
    lab_down(l, 1);
    lab_lose_all(l);
    lab_up(l, 1);
    bool elects = trap_elects(l, LAB_ALL);
    trap_free(l);
    return elects;
}

const struct trap trap_members[] = {
    {"T3: a change waits for an own commit", GUARD_OWN_TERM, change_without_own_commit, false},
    {"T14b: a new quorum knows that it is one", GUARD_AWARE, one_voter_becomes_two, false},
    {"T16: applied configurations are told", GUARD_REPLAY_CONF, applied_configurations_are_told,
     false},
    {"T18: only standbys are caught up", GUARD_CATCH_UP, strangers_are_not_caught_up, true},
    {"T20: only a level follower is called", GUARD_CAUGHT_UP, only_a_level_follower_is_called,
     false},
    {"T21: one snapshot is enough", GUARD_PIN, one_snapshot_is_enough, false},
    {"2.3: repeated offers leak nothing", GUARD_INSTALL_DROP, repeated_offers_leak_nothing, false},
    {"2.2: a change is stored before it is sent", GUARD_CHANGE_GATE,
     changes_are_stored_before_they_are_sent, false},
};
const size_t trap_members_count = sizeof trap_members / sizeof trap_members[0];
