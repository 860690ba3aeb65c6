/* Traps of the log: what is appended, acknowledged, committed, applied. */
#include "tests/sim/driver/trap.h"

/* T2. The answer to a message of an earlier term is read by whoever leads then. */
static bool stale_messages_are_answered_with_nothing(uint32_t off)
{
    struct lab *l = trap_led("vvv", off, true);
    NEED(trap_give(l, 3, 2, trap_append(1, 1, 1, 0)));
    const struct packet *p = trap_find(l, PACKET_APPEND_RESULT, 2, 3);
    NEED(p != NULL && p->m.append_entries_result.term > 1);
    bool nothing =
        p->m.append_entries_result.rejected == 0 && p->m.append_entries_result.last_log_index == 0;
    trap_free(l);
    return nothing;
}

static struct packet *rejection(const struct lab *l, uint64_t rejected, uint64_t last)
{
    struct packet *p = packet_new(PACKET_APPEND_RESULT);
    p->m.type = RAFT_APPEND_ENTRIES_RESULT;
    p->m.append_entries_result = (struct raft_append_entries_result){
        .version = 2, .term = l->nodes[1].c->term, .rejected = rejected, .last_log_index = last};
    return p;
}

/* Does node 2, reachable again, get what it has missed? */
static bool catches_up(struct lab *l)
{
    for (int i = 0; i < 30; i++) {
        lab_timeout(l, 1);
        lab_deliver(l, LAB_ALL, 6);
    }
    NEED(lab_leads(l, 1));
    return memlog_last(&l->nodes[2].c->log) == memlog_last(&l->nodes[1].c->log);
}

/* T6. Node 2 was silent and is probed; an old rejection of what it has acknowledged arrives. */
static bool old_rejections(uint32_t off)
{
    struct lab *l = trap_led("vvv", off, true);
    uint32_t two = LAB_BIT(1) | LAB_BIT(3);
    for (int i = 0; i < 5; i++) {
        NEED(lab_command(l, 1, 10) == CONSENSUS_OK);
        lab_settle(l, 1, LAB_ALL);
    }
    raft_index match = 0;
    NEED(raft_match_index(&l->nodes[1].c->raft, 2, &match) == 0 && match > 4);
    for (int i = 0; i < 14; i++) {
        lab_timeout(l, 1);
        lab_deliver(l, two, 6);
    }
    for (int i = 0; i < 5; i++) {
        NEED(lab_command(l, 1, 10) == CONSENSUS_OK);
        lab_deliver(l, two, 6);
    }
    NEED(trap_give(l, 2, 1, rejection(l, match, 1)));
    lab_lose_all(l);
    bool level = catches_up(l);
    trap_free(l);
    return level;
}

/* T6, T15. A peer rejects the snapshot and says that its log ends below what it has acknowledged:
 * the core would put the next index below the match index, which its own asserts forbid. */
static bool impossible_rejections(uint32_t off)
{
    struct lab *l = trap_led("vvv", off, true);
    struct consensus *c = l->nodes[1].c;
    uint32_t two = LAB_BIT(1) | LAB_BIT(3);
    for (int i = 0; i < 5; i++) {
        NEED(lab_command(l, 1, 10) == CONSENSUS_OK);
        lab_settle(l, 1, LAB_ALL);
    }
    raft_index match = 0;
    NEED(raft_match_index(&c->raft, 2, &match) == 0 && match > 4);
    for (int i = 0; i < 5; i++) {
        NEED(lab_command(l, 1, 10) == CONSENSUS_OK);
        lab_settle(l, 1, two);
    }
    NEED(lab_snapshot(l, 1, 0, bytes_text("manifest")) == CONSENSUS_OK);
    lab_sync(l, 1);
    uint64_t snapshot = c->snapshot.index;
    NEED(snapshot > match + 1);
    NEED(trap_give(l, 2, 1, rejection(l, match + 1, match))); /* it speaks: it is offered one */
    for (int i = 0; i < 3 && trap_find(l, PACKET_INSTALL, 1, 2) == NULL; i++) {
        lab_timeout(l, 1);
    }
    NEED(trap_find(l, PACKET_INSTALL, 1, 2) != NULL);
    lab_lose_all(l);
    uint64_t steps = c->counters.steps;
    NEED(trap_give(l, 2, 1, rejection(l, snapshot, 0)));
    bool untouched = c->counters.steps == steps;
    trap_free(l);
    return untouched;
}

/* T7. The first entries once more, for a log that begins later. */
static bool first_entries_come_late(uint32_t off)
{
    struct lab *l = trap_led("vvv", off, true);
    struct consensus *c = l->nodes[2].c;
    NEED(lab_command(l, 1, 10) == CONSENSUS_OK);
    lab_settle(l, 1, LAB_ALL);
    NEED(lab_snapshot(l, 2, 0, bytes_text("manifest")) == CONSENSUS_OK);
    lab_sync(l, 2);
    NEED(c->log.first > 1);
    uint64_t last = raft_last_index(&c->raft);
    struct packet *p = trap_append(c->term, 0, 0, c->commit);
    trap_entry(p, 1, ENTRY_CHANGE, "vvv");
    bool runs = trap_give(l, 1, 2, p);
    bool same = runs && raft_last_index(&c->raft) == last;
    trap_free(l);
    return same;
}

/* T8. The configuration stands third in the message and becomes committed. */
static bool configuration_within_a_message(uint32_t off)
{
    struct lab *l = trap_lab("vvv", off, true);
    const struct consensus *c = l->nodes[2].c;
    struct packet *p = trap_append(2, 1, 1, 1);
    trap_entry(p, 2, ENTRY_COMMAND, "a");
    trap_entry(p, 2, ENTRY_COMMAND, "b");
    trap_entry(p, 2, ENTRY_CHANGE, "vvvs");
    NEED(trap_give(l, 1, 2, p));
    lab_sync(l, 2);
    NEED(trap_give(l, 1, 2, trap_append(2, 4, 2, 4)));
    lab_sync(l, 2);
    NEED(c->commit == 4);
    bool known =
        c->raft.configuration_committed_index == 4 && c->raft.configuration_uncommitted_index == 0;
    trap_free(l);
    return known;
}

/* T9. Two configurations follow each other; the second is replaced, the first stays. */
static bool configuration_after_configuration(uint32_t off)
{
    struct lab *l = trap_lab("vvv", off, true);
    struct conf conf;
    struct packet *p = trap_append(2, 1, 1, 1);
    trap_entry(p, 2, ENTRY_CHANGE, "vvvs");
    NEED(trap_give(l, 1, 2, p));
    lab_sync(l, 2);
    p = trap_append(2, 2, 2, 1);
    trap_entry(p, 2, ENTRY_CHANGE, "vvvv");
    NEED(trap_give(l, 1, 2, p));
    lab_sync(l, 2);
    p = trap_append(3, 2, 2, 1);
    trap_entry(p, 3, ENTRY_COMMAND, "c");
    NEED(trap_give(l, 3, 2, p));
    lab_sync(l, 2);
    driver_conf(l->nodes[2].c, &conf);
    bool first = conf_member(&conf, 4) == CONSENSUS_STANDBY;
    trap_free(l);
    return first;
}

/* T10. A later heartbeat that stands on an earlier entry. */
static bool commit_index_grows(uint32_t off)
{
    struct lab *l = trap_lab("vvv", off, true);
    const struct consensus *c = l->nodes[2].c;
    struct packet *p = trap_append(2, 1, 1, 7);
    for (int i = 0; i < 6; i++) {
        trap_entry(p, 2, ENTRY_COMMAND, "a");
    }
    NEED(trap_give(l, 1, 2, p));
    NEED(c->commit == 7);
    NEED(trap_give(l, 1, 2, trap_append(2, 3, 2, 20)));
    bool grows = c->commit >= 7;
    trap_free(l);
    return grows;
}

/* T11. What is being written is replaced by another leader; then the first write is done. */
static bool replaced_writes_are_not_acknowledged(uint32_t off)
{
    struct lab *l = trap_lab("vvv", off, true);
    struct packet *p = trap_append(2, 1, 1, 1);
    for (int i = 0; i < 3; i++) {
        trap_entry(p, 2, ENTRY_COMMAND, "a");
    }
    NEED(trap_give(l, 1, 2, p)); /* term; entries 2 to 4 */
    p = trap_append(3, 2, 2, 1);
    for (int i = 0; i < 2; i++) {
        trap_entry(p, 3, ENTRY_COMMAND, "b");
    }
    NEED(trap_give(l, 3, 2, p)); /* term; entries 3 and 4 */
    NEED(l->nodes[2].job_count == 4);
    lab_lose_all(l);
    for (int i = 0; i < 3; i++) {
        lab_sync_one(l, 2);
    }
    NEED(l->nodes[2].entries[2]->term == 2); /* on disk is still the old entry 3 */
    bool honest = l->nodes[2].c->raft.last_stored <= 2;
    for (uint32_t i = 0; i < l->net_count; i++) {
        const struct packet *q = l->net[i];
        honest =
            honest && (q->kind != PACKET_APPEND_RESULT || q->m.append_entries_result.rejected > 0 ||
                       q->m.append_entries_result.last_log_index <= 2);
    }
    trap_free(l);
    return honest;
}

/* T23. The core takes any number of entries that nobody else has. */
static bool uncommitted_is_bounded(uint32_t off)
{
    struct lab *l = trap_led("vvv", off, true);
    struct consensus *c = l->nodes[1].c;
    for (int i = 0; i < 100; i++) {
        if (lab_command(l, 1, 10) != CONSENSUS_OK) {
            break;
        }
        lab_deliver(l, LAB_BIT(1), 1);
    }
    bool bounded = memlog_last(&c->log) - c->commit <= 2 * (uint64_t)c->options.inflight;
    trap_free(l);
    return bounded;
}

/* The others have an entry on disk, so it is committed; this leader has not, and crashes. */
static bool applied_is_stored(uint32_t off)
{
    struct lab *l = trap_led("vvv", off, true);
    struct lab_node *x = &l->nodes[1];
    NEED(lab_command(l, 1, 10) == CONSENSUS_OK);
    for (uint64_t to = 2; to <= 3; to++) {
        lab_carry(l, 1, to);
        lab_sync(l, to);
        lab_carry(l, to, 1);
    }
    NEED(x->job_count > 0 && x->c->commit == memlog_last(&x->c->log));
    lab_apply(l, 1);
    bool within = x->applied < x->first + x->count;
    trap_free(l);
    return within;
}

const struct trap trap_logs[] = {
    {"T2: stale messages are answered with nothing", GUARD_STALE_REPLY,
     stale_messages_are_answered_with_nothing, false},
    {"T6: an old rejection starves nobody", GUARD_STALE_REJECT, old_rejections, true},
    {"T6, T15: an impossible rejection is dropped", GUARD_REGRESS, impossible_rejections, true},
    {"T7: first entries that come late are dropped", GUARD_STALE_FIRST, first_entries_come_late,
     true},
    {"T8: a configuration is first in its message", GUARD_SPLIT, configuration_within_a_message,
     false},
    {"T9: a second configuration commits the first", GUARD_CONFIRM,
     configuration_after_configuration, false},
    {"T10: the commit index grows", GUARD_MONOTONE, commit_index_grows, false},
    {"T11: replaced writes are not acknowledged", GUARD_CANCEL,
     replaced_writes_are_not_acknowledged, false},
    {"T23: what is not committed is bounded", GUARD_WINDOW, uncommitted_is_bounded, false},
    {"2.2: what is applied is stored", GUARD_STORED, applied_is_stored, false},
};
const size_t trap_logs_count = sizeof trap_logs / sizeof trap_logs[0];
