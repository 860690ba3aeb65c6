#include "tests/sim/driver/trap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

_Noreturn void trap_lost(const char *fact, const char *file, int line)
{
    (void)fprintf(stderr, "%s:%d: the history is another one: not %s\n", file, line, fact);
    (void)fflush(stderr);
    _exit(TRAP_LOST);
}

struct lab *trap_lab(const char *roles, uint32_t off, bool pre_vote)
{
    struct lab *l = mem_new(1, sizeof *l);
    l->inflight = 8;
    l->cache_bytes = 1 << 20;
    l->pre_vote = pre_vote;
    l->switches_off = off;
    lab_init(l, roles);
    return l;
}

struct lab *trap_led(const char *roles, uint32_t off, bool pre_vote)
{
    struct lab *l = trap_lab(roles, off, pre_vote);
    lab_campaign(l, 1, LAB_ALL);
    NEED(lab_leads(l, 1));
    lab_settle(l, 1, LAB_ALL);
    return l;
}

void trap_free(struct lab *l)
{
    lab_done(l);
    free(l);
}

struct packet *trap_append(uint64_t term, uint64_t prev, uint64_t prev_term, uint64_t commit)
{
    struct packet *p = packet_new(PACKET_APPEND);
    p->m.type = RAFT_APPEND_ENTRIES;
    p->m.append_entries = (struct raft_append_entries){
        .term = term, .prev_log_index = prev, .prev_log_term = prev_term, .leader_commit = commit};
    return p;
}

/* Content of a configuration: one letter a node, from 1 on: v a voter, s a standby. */
static void put_conf(struct buf *b, const char *roles)
{
    struct conf conf = {.count = (uint32_t)strlen(roles)};
    for (uint32_t i = 0; i < conf.count; i++) {
        conf.servers[i].id = i + 1;
        conf.servers[i].member = roles[i] == 'v' ? CONSENSUS_VOTER : CONSENSUS_STANDBY;
    }
    conf_encode(&conf, b);
}

void trap_entry(struct packet *p, uint64_t term, enum entry_type type, const char *content)
{
    struct buf b;
    uint32_t count = p->m.append_entries.n_entries++;
    buf_init(&b, CONF_BYTES_MAX);
    if (type == ENTRY_CHANGE) {
        put_conf(&b, content);
    } else {
        buf_put_text(&b, content);
    }
    p->entries = mem_resize(p->entries, count + 1, sizeof *p->entries);
    p->entries[count] = entry_new(term, type, buf_bytes(&b));
    buf_done(&b);
}

bool trap_give(struct lab *l, uint64_t from, uint64_t to, struct packet *p)
{
    p->from = from;
    err e = lab_receive(l, from, to, p);
    packet_free(p);
    return !failed(e) && !failed(consensus_check(l->nodes[to].c, NULL));
}

struct packet *trap_find(struct lab *l, enum packet_kind kind, uint64_t a, uint64_t b)
{
    for (uint32_t i = 0; i < l->net_count; i++) {
        struct packet *p = l->net[i];
        if (p->kind == kind && p->from == a && p->to == b) {
            return p;
        }
    }
    return NULL;
}

bool trap_two_leaders(const struct lab *l)
{
    for (uint64_t a = 1; a <= l->size; a++) {
        for (uint64_t b = a + 1; b <= l->size; b++) {
            if (lab_leads(l, a) && lab_leads(l, b) && l->nodes[a].c->term == l->nodes[b].c->term) {
                return true;
            }
        }
    }
    return false;
}

bool trap_elects(struct lab *l, uint32_t set)
{
    for (int i = 0; i < 40; i++) {
        for (uint64_t id = 1; id <= l->size; id++) {
            if ((set & LAB_BIT(id)) == 0 || !l->nodes[id].up) {
                continue;
            }
            if (lab_leads(l, id)) {
                return true;
            }
            lab_timeout(l, id);
            lab_deliver(l, set, 4);
        }
    }
    return false;
}
