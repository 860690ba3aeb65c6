/* Linearizable reads without a log entry (section 6.4 of Ongaro's dissertation): a majority that is
 * still in our term when asked proves that nobody else led when the read began. One round of
 * questions runs at a time and answers for all reads that came before it started. */
#include <stdlib.h>

#include "base/mem.h"
#include "base/require.h"
#include "consensus/driver.h"

struct read {
    uint64_t cookie;
    uint64_t round; /* confirmed by this round or a later one */
    uint64_t index; /* what must be applied: the commit index when the read began */
    struct read *next;
};

void read_init(struct consensus *c)
{
    c->round = (struct read_round){0};
    c->round.tail = &c->round.reads;
}

void read_done(struct consensus *c)
{
    while (c->round.reads != NULL) {
        struct read *r = c->round.reads;
        c->round.reads = r->next;
        free(r);
    }
    read_init(c);
}

static bool acked(const struct read_round *round, uint64_t id)
{
    for (uint32_t i = 0; i < round->ack_count; i++) {
        if (round->acks[i] == id) {
            return true;
        }
    }
    return false;
}

/* Asks every voter that has not answered in the round. */
static void ask(struct consensus *c)
{
    struct conf conf;
    driver_conf(c, &conf);
    for (uint32_t i = 0; i < conf.count; i++) {
        const struct conf_server *s = &conf.servers[i];
        if (s->id == c->options.id || s->member != CONSENSUS_VOTER || acked(&c->round, s->id)) {
            continue;
        }
        struct packet *p = packet_new(PACKET_READ);
        p->term = raft_current_term(&c->raft);
        p->seq = c->round.seq;
        driver_post(c, p, s->id);
    }
}

static void start_round(struct consensus *c)
{
    require(!c->round.running);
    c->round.seq++;
    c->round.running = true;
    c->round.acks[0] = c->options.id; /* we are in our own term, too */
    c->round.ack_count = 1;
    c->counters.rounds++;
    ask(c);
}

/* A majority of the voters of the core's present configuration. Configurations differ by one
 * server, so it meets every majority that could have elected somebody else before the round. */
static bool confirmed(const struct consensus *c)
{
    struct conf conf;
    uint32_t count = 0;
    if (!guard_on(c, GUARD_CONFIRM_READ)) {
        return true;
    }
    driver_conf(c, &conf);
    for (uint32_t i = 0; i < conf.count; i++) {
        const struct conf_server *s = &conf.servers[i];
        count += s->member == CONSENSUS_VOTER && acked(&c->round, s->id);
    }
    return count > conf_voters(&conf) / 2;
}

static uint64_t latest_confirmed(const struct consensus *c)
{
    return c->round.running ? c->round.seq - 1 : c->round.seq;
}

static void answer(struct consensus *c, struct read *r, bool ok)
{
    c->round.waiting--;
    c->host.read(c->host.ctx, r->cookie, ok);
    free(r);
}

static void refuse_all(struct consensus *c)
{
    struct read *r = c->round.reads;
    c->round.reads = NULL;
    c->round.tail = &c->round.reads;
    c->round.running = false;
    while (r != NULL) {
        struct read *next = r->next;
        answer(c, r, false);
        r = next;
    }
    require(c->round.waiting == 0);
}

/* Both the round and the index grow along the queue, so the first that waits ends the walk. */
static void answer_confirmed(struct consensus *c)
{
    while (c->round.reads != NULL && c->round.reads->round <= latest_confirmed(c) &&
           c->round.reads->index <= c->applied) {
        struct read *r = c->round.reads;
        c->round.reads = r->next;
        if (c->round.reads == NULL) {
            c->round.tail = &c->round.reads;
        }
        answer(c, r, true);
    }
}

void read_settle(struct consensus *c)
{
    if (core_role(c) != CONSENSUS_LEADER) {
        refuse_all(c);
        return;
    }
    for (;;) {
        if (c->round.running && confirmed(c)) {
            c->round.running = false;
        }
        answer_confirmed(c);
        if (c->round.running || c->round.waiting == 0 || c->round.wanted <= c->round.seq) {
            return;
        }
        start_round(c); /* which a single voter has confirmed at once */
    }
}

void read_repeat(struct consensus *c)
{
    if (!driver_failed(c) && c->round.running && core_role(c) == CONSENSUS_LEADER) {
        ask(c);
    }
}

void read_receive(struct consensus *c, const struct packet *p)
{
    if (p->term != raft_current_term(&c->raft)) {
        return;
    }
    struct packet *a = packet_new(PACKET_READ_ACK);
    a->term = p->term;
    a->seq = p->seq;
    driver_post(c, a, p->from);
}

void read_receive_ack(struct consensus *c, const struct packet *p)
{
    if (core_role(c) != CONSENSUS_LEADER || p->term != raft_current_term(&c->raft) ||
        !c->round.running || p->seq != c->round.seq || acked(&c->round, p->from) ||
        c->round.ack_count == READ_ACKS_MAX) {
        return;
    }
    struct conf conf;
    driver_conf(c, &conf);
    if (conf_member(&conf, p->from) != CONSENSUS_VOTER) {
        return; /* nor may strangers fill the list */
    }
    c->round.acks[c->round.ack_count++] = p->from;
    read_settle(c);
}

enum consensus_answer consensus_read(struct consensus *c, uint64_t cookie)
{
    if (driver_failed(c) || core_role(c) != CONSENSUS_LEADER) {
        return CONSENSUS_NOT_LEADER;
    }
    if (raft_transferee(&c->raft) != 0) {
        return CONSENSUS_TRANSFERRING;
    }
    if (!consensus_ready(c) || c->round.waiting == READS_WAITING_MAX) {
        return CONSENSUS_BUSY;
    }
    struct read *r = mem_new(1, sizeof *r);
    *r = (struct read){.cookie = cookie, .round = c->round.seq + 1, .index = c->commit};
    c->round.wanted = r->round;
    *c->round.tail = r;
    c->round.tail = &r->next;
    c->round.waiting++;
    read_settle(c);
    pace_set(c);
    return CONSENSUS_OK;
}
