/* Frames from peers. The core trusts what it is fed; so everything a defective, late or lying peer
 * could send is caught here. */
#include "base/require.h"
#include "consensus/codec.h"
#include "consensus/driver.h"

/* ---- checks against this node's state ---- */

/* The term that the message speaks of. */
static uint64_t packet_term(const struct packet *p)
{
    switch (p->kind) {
    case PACKET_APPEND:
        return p->m.append_entries.term;
    case PACKET_APPEND_RESULT:
        return p->m.append_entries_result.term;
    case PACKET_VOTE:
        return p->m.request_vote.term;
    case PACKET_VOTE_RESULT:
        return p->m.request_vote_result.term;
    case PACKET_INSTALL:
        return p->m.install_snapshot.term;
    case PACKET_TIMEOUT_NOW:
        return p->m.timeout_now.term;
    case PACKET_READ:
    case PACKET_READ_ACK:
        return p->term;
    }
    return 0;
}

/* Is index^term something else than what is committed here? While a snapshot is being installed
 * the core knows nothing but the snapshot. */
static bool denies(const struct consensus *c, uint64_t index, uint64_t term)
{
    if (c->installing) {
        return index == c->pending.index && term != c->pending.term;
    }
    uint64_t ours = index <= c->commit ? consensus_term_at(c, index) : 0;
    return ours != 0 && ours != term;
}

/* Does a message of a leader, not late, deny what is committed here? No leader that was elected
 * can (Leader Completeness, section 5.4.3 of the Raft paper), and the core would stop or, in the
 * part of the log that it no longer has, follow. */
static bool denies_committed(const struct consensus *c, const struct packet *p)
{
    const struct raft_append_entries *ae = &p->m.append_entries;
    const struct raft_install_snapshot *is = &p->m.install_snapshot;
    uint64_t term = raft_current_term(&c->raft);
    if (p->kind == PACKET_INSTALL && is->term >= term) {
        return denies(c, is->last_index, is->last_term);
    }
    if (p->kind != PACKET_APPEND || ae->term < term) {
        return false;
    }
    bool denied = ae->prev_log_index > 0 && denies(c, ae->prev_log_index, ae->prev_log_term);
    for (uint32_t i = 0; i < ae->n_entries && !denied; i++) {
        denied = denies(c, ae->prev_log_index + 1 + i, p->entries[i]->term);
    }
    return denied;
}

static err check_against_state(const struct consensus *c, const struct packet *p,
                               struct errtext *reterr)
{
    uint64_t term = raft_current_term(&c->raft);
    uint64_t theirs = packet_term(p);
    unsigned long long from = p->from;
    if (theirs > term && theirs - term > TERM_JUMP_MAX) {
        return err_fail(reterr, ERR_INVALID, "node %llu jumps from term %llu to %llu", from,
                        (unsigned long long)term, (unsigned long long)theirs);
    }
    if (p->kind == PACKET_INSTALL && !c->options.snapshots) {
        return err_fail(reterr, ERR_UNSUPPORTED, "node %llu offers a snapshot, which we never take",
                        from);
    }
    bool leads = p->kind == PACKET_APPEND || p->kind == PACKET_INSTALL;
    if (leads && theirs == term && core_role(c) == CONSENSUS_LEADER) {
        return err_fail(reterr, ERR_CONFLICT, "node %llu claims to lead term %llu, as we do", from,
                        (unsigned long long)term);
    }
    if (denies_committed(c, p)) {
        return err_fail(reterr, ERR_CONFLICT, "node %llu denies entries committed before %llu",
                        from, (unsigned long long)c->commit);
    }
    const struct raft_request_vote_result *v = &p->m.request_vote_result;
    if (p->kind == PACKET_VOTE_RESULT && v->pre_vote && v->vote_granted && v->term > term + 1) {
        return err_fail(reterr, ERR_INVALID, "node %llu grants a vote nobody has asked for", from);
    }
    return err_ok();
}

/* ---- AppendEntries ---- */

/* T9: the core tracks one configuration that is not committed. When a second one follows it in the
 * leader's log, the first must have been committed; without being told so, a truncation of the
 * second rolls both back. */
static void confirm_configuration(struct consensus *c, const struct raft_append_entries *ae,
                                  const struct entry *first)
{
    uint64_t index = c->raft.configuration_uncommitted_index;
    uint64_t next = ae->prev_log_index + 1;
    if (first->type != ENTRY_CHANGE || index == 0 || index >= next || c->installing ||
        ae->term != raft_current_term(&c->raft) || !guard_on(c, GUARD_CONFIRM)) {
        return;
    }
    const struct memlog_item *item = memlog_at(&c->log, index);
    if (item == NULL || consensus_term_at(c, ae->prev_log_index) != ae->prev_log_term ||
        consensus_term_at(c, next) == first->term) {
        return;
    }
    require(item->entry != NULL);
    c->counters.confirms++;
    driver_must(c, driver_feed_configuration(c, index, item->entry));
}

/* Feeds the entries [from, to) of the packet as one message. */
static void append_part(struct consensus *c, const struct packet *p, uint32_t from, uint32_t to)
{
    struct raft_message m = p->m;
    struct raft_append_entries *ae = &m.append_entries;
    struct raft_event e = {.type = RAFT_RECEIVE};
    struct input in = {.entries = p->entries,
                       .first = ae->prev_log_index + 1,
                       .stale = ae->term < raft_current_term(&c->raft)};
    require(to - from <= APPEND_ENTRIES_MAX);
    m.server_address = "";
    if (from > 0) {
        ae->prev_log_term = p->entries[from - 1]->term;
        ae->prev_log_index += from;
    }
    if (to > from) {
        confirm_configuration(c, ae, p->entries[from]);
    }
    if (driver_failed(c)) {
        return;
    }
    /* The one block that the core may free; the real bytes are in the entries. */
    void *batch = to > from ? raft_malloc(1) : NULL;
    require(to == from || batch != NULL);
    for (uint32_t i = from; i < to; i++) {
        struct entry *entry = p->entries[i];
        c->batch[i - from] = (struct raft_entry){.term = entry->term,
                                                 .type = (enum raft_entry_type)entry->type,
                                                 .buf = {entry->data, entry->size},
                                                 .batch = batch};
    }
    ae->n_entries = to - from;
    ae->entries = c->batch;
    e.receive.message = &m;
    driver_must(c, driver_step(c, &e, &in));
}

static void receive_append(struct consensus *c, const struct packet *p)
{
    uint32_t count = packet_entry_count(p);
    uint32_t from = 0;
    /* T7: a late message that starts at entry 1 would be appended at the end of a log that has been
     * compacted. */
    if (count > 0 && p->m.append_entries.prev_log_index == 0 && c->log.first > 1 &&
        guard_on(c, GUARD_STALE_FIRST)) {
        c->counters.stale_first++;
        return;
    }
    /* T8: the core records a configuration at the index of the message's first entry; so each one
     * comes first in a message of its own. */
    for (uint32_t i = 1; i < count && guard_on(c, GUARD_SPLIT) && !driver_failed(c); i++) {
        if (p->entries[i]->type == ENTRY_CHANGE) {
            c->counters.splits++;
            append_part(c, p, from, i);
            from = i;
        }
    }
    if (!driver_failed(c)) {
        append_part(c, p, from, count);
    }
}

/* ---- the other messages ---- */

static void receive_plain(struct consensus *c, const struct packet *p)
{
    struct raft_message m = p->m;
    struct raft_event e = {.type = RAFT_RECEIVE};
    m.server_address = "";
    e.receive.message = &m;
    driver_must(c, driver_step(c, &e, NULL));
}

static void receive_install(struct consensus *c, const struct packet *p)
{
    struct raft_message m = p->m;
    struct raft_event e = {.type = RAFT_RECEIVE};
    struct input in = {.offered = &p->snapshot,
                       .stale = m.install_snapshot.term < raft_current_term(&c->raft)};
    struct conf conf;
    if (c->installing && guard_on(c, GUARD_INSTALL_DROP)) {
        return; /* 0.22.1 would leak configuration and data; the manifest comes again */
    }
    if (failed(conf_decode(entry_bytes(p->snapshot.conf), &conf)) ||
        failed(conf_to_core(&conf, &m.install_snapshot.conf))) {
        driver_must(c, RAFT_MALFORMED);
        return;
    }
    m.install_snapshot.data = (struct raft_buffer){NULL, 0};
    m.server_address = "";
    e.receive.message = &m;
    driver_must(c, driver_step(c, &e, &in)); /* 0.22.1 owns conf from here on */
}

/* T6: a rejection below what that peer has acknowledged is an old one. Taken seriously it puts the
 * next index below the match index, and the peer gets nothing for ever. The same follows when the
 * peer rejects a later entry and says that its log ends below what it has acknowledged: then it is
 * an old message too, or the peer has lost its disk (T15) and must be replaced. */
static bool rejects_acknowledged(const struct consensus *c, const struct packet *p)
{
    const struct raft_append_entries_result *m = &p->m.append_entries_result;
    raft_index match = 0;
    if (m->rejected == 0 || m->term != raft_current_term(&c->raft) ||
        core_role(c) != CONSENSUS_LEADER || raft_match_index(&c->raft, p->from, &match) != 0) {
        return false;
    }
    return (m->rejected <= match && guard_on(c, GUARD_STALE_REJECT)) ||
           (m->rejected > match && m->last_log_index < match && guard_on(c, GUARD_REGRESS));
}

static void receive_append_result(struct consensus *c, const struct packet *p)
{
    if (rejects_acknowledged(c, p)) {
        c->counters.stale_rejects++;
        return;
    }
    receive_plain(c, p);
}

/* T19: in any other state the core reads a member of a union that is not there. */
static void receive_vote_result(struct consensus *c, struct packet *p)
{
    if (!guard_on(c, GUARD_VERSION)) {
        p->m.request_vote_result.version = 0;
    }
    if (core_role(c) == CONSENSUS_CANDIDATE || !guard_on(c, GUARD_CANDIDATE)) {
        receive_plain(c, p);
    }
}

static void dispatch(struct consensus *c, struct packet *p)
{
    switch (p->kind) {
    case PACKET_APPEND:
        receive_append(c, p);
        break;
    case PACKET_APPEND_RESULT:
        receive_append_result(c, p);
        break;
    case PACKET_VOTE_RESULT:
        receive_vote_result(c, p);
        break;
    case PACKET_INSTALL:
        receive_install(c, p);
        break;
    case PACKET_VOTE:
    case PACKET_TIMEOUT_NOW:
        receive_plain(c, p);
        break;
    case PACKET_READ:
        read_receive(c, p);
        break;
    case PACKET_READ_ACK:
        read_receive_ack(c, p);
        break;
    }
}

err consensus_receive(struct consensus *c, uint64_t from, struct bytes frame,
                      struct errtext *reterr)
{
    struct packet *p = NULL;
    if (driver_failed(c)) {
        return consensus_check(c, reterr);
    }
    if (from == 0 || from == c->options.id) {
        return err_fail(reterr, ERR_INVALID, "a frame comes from node %llu, not from a peer",
                        (unsigned long long)from);
    }
    TRY(packet_decode(frame, from, &p, reterr));
    err e = check_against_state(c, p, reterr);
    if (!failed(e)) {
        status_contact(c, from, p->clock_ns);
        if (p->kind == PACKET_APPEND || p->kind == PACKET_INSTALL) {
            haste_heard(c, from);
        }
        dispatch(c, p);
    }
    packet_free(p);
    return e;
}
