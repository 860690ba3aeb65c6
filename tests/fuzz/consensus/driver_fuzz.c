/* A running node among peers that lie: well-formed packets with any content in any order, between
 * writes that are done late, time that passes, commands, reads and snapshots. The node goes on, and
 * what it has applied stays applied. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/cursor.h"
#include "base/mem.h"
#include "base/require.h"
#include "tests/unit/consensus/lab.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { OPS_MAX = 200, ENTRIES_MAX = 4 };

/* A number near one that means something to the node, or anything. */
static uint64_t number(struct cursor *in, uint64_t base)
{
    int8_t delta = (int8_t)cursor_u8(in);
    if (delta == -128) {
        return cursor_u64(in) % RAFT_NUMBER_MAX;
    }
    int64_t n = (int64_t)base + delta % 4;
    return n < 0 ? 0 : (uint64_t)n;
}

static uint64_t index_of(struct cursor *in, const struct consensus *c)
{
    uint8_t choice = cursor_u8(in);
    uint64_t base = choice % 4 == 0   ? memlog_last(&c->log)
                    : choice % 4 == 1 ? c->commit
                    : choice % 4 == 2 ? c->log.first
                                      : 1;
    return number(in, base);
}

/* Three voters and standbys, the roles and one id changed at will. */
static struct entry *some_conf(struct cursor *in, uint64_t term)
{
    struct conf conf = {.count = 3u + cursor_u8(in) % 2};
    struct buf bytes;
    uint8_t roles = cursor_u8(in);
    for (uint32_t i = 0; i < conf.count; i++) {
        conf.servers[i].id = 1 + i + (roles >> 4 == i ? 4u : 0u);
        conf.servers[i].member = (roles >> i) & 1 ? CONSENSUS_STANDBY : CONSENSUS_VOTER;
    }
    buf_init(&bytes, CONF_BYTES_MAX);
    conf_encode(&conf, &bytes);
    struct entry *e = entry_new(term, ENTRY_CHANGE, buf_bytes(&bytes));
    buf_done(&bytes);
    return e;
}

static struct entry *some_entry(struct cursor *in, uint64_t term)
{
    uint8_t type = cursor_u8(in);
    if (type % 4 == 0) {
        return some_conf(in, term);
    }
    return entry_new(term, type % 4 == 1 ? ENTRY_BARRIER : ENTRY_COMMAND,
                     type % 4 == 1 ? bytes_of(NULL, 0) : bytes_text("payload"));
}

static uint64_t clamp(uint64_t n, uint64_t least, uint64_t most)
{
    return n < least ? least : n > most ? most : n;
}

/* Mostly what the codec takes; that it refuses the rest is for the other target to show. */
static void fill_append(struct cursor *in, const struct consensus *c, struct packet *p)
{
    struct raft_append_entries *m = &p->m.append_entries;
    m->term = number(in, c->term);
    m->prev_log_index = index_of(in, c);
    m->prev_log_term = consensus_term_at(c, m->prev_log_index);
    uint8_t odd = cursor_u8(in);
    if (odd % 8 == 0 || (m->prev_log_term == 0 && m->prev_log_index != 0)) {
        m->prev_log_term = clamp(number(in, c->term), 1, m->term);
    }
    m->leader_commit = index_of(in, c);
    m->n_entries = odd / 8 % (ENTRIES_MAX + 1);
    p->entries = mem_new(ENTRIES_MAX, sizeof *p->entries);
    uint64_t least = m->prev_log_term > 0 ? m->prev_log_term : 1;
    for (uint32_t i = 0; i < m->n_entries; i++) {
        least = clamp(number(in, c->term), least, m->term);
        p->entries[i] = some_entry(in, least);
    }
}

static void fill_install(struct cursor *in, const struct consensus *c, struct packet *p)
{
    struct raft_install_snapshot *m = &p->m.install_snapshot;
    m->term = number(in, c->term);
    m->last_index = index_of(in, c) + cursor_u8(in) % 8;
    m->last_term = clamp(number(in, c->term), 1, m->term);
    p->snapshot.index = m->last_index;
    p->snapshot.term = m->last_term;
    p->snapshot.conf_index = clamp(index_of(in, c), 1, m->last_index);
    p->snapshot.conf = some_conf(in, 1);
}

static struct packet *some_packet(struct cursor *in, const struct consensus *c, uint64_t from)
{
    static const enum packet_kind kinds[] = {
        PACKET_APPEND,  PACKET_APPEND_RESULT, PACKET_VOTE, PACKET_VOTE_RESULT,
        PACKET_INSTALL, PACKET_TIMEOUT_NOW,   PACKET_READ, PACKET_READ_ACK,
    };
    struct packet *p = packet_new(kinds[cursor_u8(in) % 8]);
    p->from = from;
    p->m.type = (enum raft_message_type)p->kind;
    switch (p->kind) {
    case PACKET_APPEND:
        fill_append(in, c, p);
        break;
    case PACKET_APPEND_RESULT:
        p->m.append_entries_result.version = 2;
        p->m.append_entries_result.term = number(in, c->term);
        p->m.append_entries_result.rejected = cursor_u8(in) % 2 ? index_of(in, c) : 0;
        p->m.append_entries_result.last_log_index = index_of(in, c);
        p->m.append_entries_result.features = cursor_u8(in) % 2;
        break;
    case PACKET_VOTE:
        p->m.request_vote.version = 2;
        p->m.request_vote.term = number(in, c->term);
        p->m.request_vote.candidate_id = from;
        p->m.request_vote.last_log_index = index_of(in, c);
        p->m.request_vote.last_log_term = number(in, c->term);
        p->m.request_vote.pre_vote = cursor_u8(in) % 2;
        p->m.request_vote.disrupt_leader = cursor_u8(in) % 2;
        break;
    case PACKET_VOTE_RESULT:
        p->m.request_vote_result.version = 2;
        p->m.request_vote_result.term = number(in, c->term);
        p->m.request_vote_result.vote_granted = cursor_u8(in) % 2;
        p->m.request_vote_result.pre_vote = cursor_u8(in) % 2;
        break;
    case PACKET_INSTALL:
        fill_install(in, c, p);
        break;
    case PACKET_TIMEOUT_NOW:
        p->m.timeout_now.term = number(in, c->term);
        p->m.timeout_now.last_log_index = index_of(in, c);
        p->m.timeout_now.last_log_term = number(in, c->term);
        break;
    case PACKET_READ:
    case PACKET_READ_ACK:
        p->term = number(in, c->term);
        p->seq = number(in, c->round.seq);
        break;
    }
    return p;
}

static void apply(struct lab_node *x, uint64_t *state_term)
{
    struct consensus_next next;
    while (!failed(consensus_next(x->c, &next))) {
        require(next.index == x->applied + 1);
        require(next.term >= *state_term); /* terms never fall along the log */
        *state_term = next.term;
        x->applied = next.index;
        entry_unref(next.entry);
        consensus_applied(x->c, next.index);
    }
}

static void one_op(struct lab *l, struct cursor *in, uint64_t *state_term)
{
    struct lab_node *x = &l->nodes[1];
    struct consensus_position at;
    struct packet *p = NULL;
    enum consensus_answer answer = CONSENSUS_OK;
    err e = err_ok();
    switch (cursor_u8(in) % 20) {
    case 0:
        lab_timeout(l, 1);
        break;
    case 1:
        l->now_ms += cursor_u8(in);
        consensus_tick(x->c);
        break;
    case 2:
        answer = consensus_submit(x->c, bytes_text("command"), &at);
        break;
    case 3:
        answer = x->read_count + x->c->round.waiting < LAB_READS_MAX - 1 ? consensus_read(x->c, 1)
                                                                         : CONSENSUS_BUSY;
        break;
    case 4:
        answer = lab_snapshot(l, 1, cursor_u8(in) % 4, bytes_text("m"));
        break;
    case 5:
        consensus_fetched(x->c, cursor_u8(in) % 8 != 0);
        break;
    case 6:
        answer = consensus_change(x->c, 1 + cursor_u8(in) % 5, CONSENSUS_STANDBY);
        break;
    case 7:
        answer = consensus_transfer(x->c, 1 + cursor_u8(in) % 3);
        break;
    case 8:
        apply(x, state_term);
        break;
    case 9:
    case 10:
    case 11:
        if (x->job_count > 0) {
            lab_sync_one(l, 1);
        }
        break;
    case 12:
        consensus_peer_gone(x->c, 1 + cursor_u8(in) % 5);
        break;
    case 13:
        answer = consensus_promote(x->c, 1 + cursor_u8(in) % 5);
        break;
    default:
        p = some_packet(in, x->c, 2 + cursor_u8(in) % 3);
        e = lab_receive(l, p->from, 1, p);
        packet_free(p);
        break;
    }
    (void)answer; /* any answer will do */
    (void)e;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cursor in = cursor_of(bytes_of(data, size));
    struct lab *l = mem_new(1, sizeof *l);
    uint64_t state_term = 0;
    l->inflight = 4;
    l->cache_bytes = 20;
    uint8_t start = cursor_u8(&in);
    l->pre_vote = start % 2;
    lab_init(l, "vvvs");
    if (start & 2) { /* it leads honest peers before it is left alone with liars */
        lab_campaign(l, 1, LAB_ALL);
        lab_deliver(l, LAB_ALL, 20);
        require(lab_leads(l, 1));
    }
    for (int i = 0; i < OPS_MAX && cursor_left(&in) > 0; i++) {
        one_op(l, &in, &state_term);
        lab_lose_all(l);
        require(!failed(consensus_check(l->nodes[1].c, NULL))); /* no lie stops a node */
        if (consensus_wants_reset(l->nodes[1].c)) {
            break;
        }
    }
    lab_done(l);
    free(l);
    return 0;
}
