/* Who disturbs: clients, operators, and what breaks. */
#include <string.h>

#include "tests/sim/driver/sim.h"

/* ---- the parameters of a history ---- */

static void configure_votes(struct sim *s)
{
    struct params *p = &s->cfg;
    p->founders = 3 + 2 * (uint32_t)(sim_random(s) % 2);
    p->small = false;
    p->election_ms = 200;
    p->heartbeat_ms = 40;
    p->delay_lo = 1 * SIM_MS;
    p->delay_hi = 40 * SIM_MS;
    p->disk_lo = 30 * SIM_MS;
    p->disk_hi = 90 * SIM_MS;
    p->fault_us = 400 * SIM_MS;
    p->pre_vote = false;
    p->membership = false;
    p->crash_vote = 0.25;
    p->crash_point = 0.02;
}

static void configure_disks(struct sim *s)
{
    struct params *p = &s->cfg;
    p->founders = 5;
    p->small = false;
    p->election_ms = 200;
    p->heartbeat_ms = 40;
    p->delay_lo = 1 * SIM_MS;
    p->delay_hi = 10 * SIM_MS;
    p->disk_lo = 1 * SIM_MS;
    p->disk_hi = 10 * SIM_MS;
    p->slow_entries = 0.3;
    p->crash_point = 0;
    p->crash_vote = 0;
    p->client_us = 10 * SIM_MS;
    p->fault_us = 400 * SIM_MS;
    p->pre_vote = false;
    p->membership = false;
}

void chaos_configure(struct sim *s)
{
    struct params *p = &s->cfg;
    *p = (struct params){.faults = true};
    p->small = sim_chance(s, 0.12);
    p->founders = p->small ? 1 : 3 + 2 * (uint32_t)(sim_random(s) % 3);
    p->election_ms = (uint32_t)sim_between(s, 200, 1000);
    p->heartbeat_ms = p->election_ms / (uint32_t)sim_between(s, 5, 12);
    p->install_ms = sim_chance(s, 0.5) ? 30000 : (uint32_t)sim_between(s, 500, 5000);
    p->inflight =
        sim_chance(s, 0.3) ? (uint32_t)sim_between(s, 1, 4) : (uint32_t)sim_between(s, 8, 64);
    p->threshold = (uint32_t)sim_between(s, 10, 400);
    p->trailing = sim_chance(s, 0.3) ? 0 : (uint32_t)sim_between(s, 1, 200);
    p->delay_lo = sim_between(s, 50, 2000);
    p->delay_hi = p->delay_lo +
                  (sim_chance(s, 0.5) ? sim_between(s, 100, 5000) : sim_between(s, 5000, 60000));
    p->disk_lo = sim_between(s, 20, 2000);
    p->disk_hi =
        p->disk_lo + (sim_chance(s, 0.7) ? sim_between(s, 100, 8000) : sim_between(s, 8000, 80000));
    p->apply_us = sim_chance(s, 0.5) ? 100 : sim_between(s, 1 * SIM_MS, 80 * SIM_MS);
    p->cache_bytes = sim_chance(s, 0.3) ? 1 << 20 : sim_between(s, 0, 2000);
    p->client_us = sim_between(s, 3 * SIM_MS, 80 * SIM_MS);
    p->fault_us = sim_between(s, 100 * SIM_MS, 4000 * SIM_MS);
    p->admin_us = sim_between(s, 20 * SIM_MS, 600 * SIM_MS);
    p->chaos_us = sim_between(s, 20000 * SIM_MS, 60000 * SIM_MS);
    p->fifo = sim_chance(s, 0.4);
    p->drop = sim_chance(s, 0.5) ? 0 : (double)sim_between(s, 1, 120) / 1000;
    p->duplicate = sim_chance(s, 0.5) ? 0 : (double)sim_between(s, 1, 150) / 1000;
    p->tail = sim_chance(s, 0.5) ? 0 : (double)sim_between(s, 1, 60) / 1000;
    p->tail_us = sim_chance(s, 0.7) ? 300 * SIM_MS : 4000 * SIM_MS;
    p->crash_point = sim_chance(s, 0.5) ? 0 : (double)sim_between(s, 1, 100) / 1000;
    p->crash_vote = p->crash_point;
    p->pre_vote = sim_chance(s, 0.75);
    p->membership = p->small || sim_chance(s, 0.6);
    switch (s->profile) {
    case PROFILE_GENERAL:
        break;
    case PROFILE_VOTES:
        configure_votes(s);
        break;
    case PROFILE_DISKS:
        configure_disks(s);
        break;
    }
}

/* ---- clients ---- */

void chaos_client(struct sim *s)
{
    struct node *x = node_some_leader(s);
    uint64_t burst = sim_chance(s, 0.1) ? sim_between(s, 2, 40) : 1;
    for (; x != NULL && burst > 0; burst--) {
        uint64_t data[4] = {sim_random(s), s->now_us, x->id, burst};
        struct consensus_position at;
        if (consensus_submit(x->c, bytes_of(data, sim_between(s, 8, 32)), &at) != CONSENSUS_OK) {
            break;
        }
    }
    if (x != NULL) {
        check_node(x);
    }
}

/* What was acknowledged before a read must be in what it sees: the cookie says how far. */
void chaos_read(struct sim *s)
{
    struct node *x = node_some_leader(s);
    if (x != NULL) {
        for (uint64_t count = sim_between(s, 1, 3); count > 0; count--) {
            if (consensus_read(x->c, s->check.acked_max) != CONSENSUS_OK) {
                break;
            }
        }
        check_node(x);
    }
}

/* ---- operators ---- */

static uint64_t some_server(struct sim *s, const struct conf *conf)
{
    return conf->servers[sim_random(s) % conf->count].id;
}

/* A whim: some change of a present member, in the middle of anything. */
static void admin_whim(struct sim *s, struct node *x, const struct conf *conf)
{
    uint64_t id = some_server(s, conf);
    enum consensus_answer answer = CONSENSUS_OK;
    if (conf_member(conf, id) == CONSENSUS_STANDBY) {
        answer = consensus_promote(x->c, id);
    } else if (conf_voters(conf) > (s->cfg.small ? 1u : 2u)) {
        answer = consensus_change(x->c, id, CONSENSUS_STANDBY);
    }
    s->stats.changes_refused += answer != CONSENSUS_OK;
}

/* A new errand: add a node, or remove or demote one. */
static void admin_begin(struct sim *s, const struct conf *conf)
{
    uint32_t voters = conf_voters(conf);
    bool grow = conf->count < 3 || (conf->count < 7 && sim_chance(s, 0.5));
    if (grow) {
        if (s->next_id > SIM_ID_MAX) {
            return;
        }
        bool lone = voters == 1 && (s->switches_off & GUARD_AWARE) == 0;
        s->errand.id = s->next_id++;
        s->errand.wish = sim_chance(s, 0.85) && !lone ? CONSENSUS_VOTER : CONSENSUS_STANDBY;
        node_create(s, s->errand.id, false);
    } else if (voters > (s->cfg.small ? 1u : 2u)) {
        s->errand.id = some_server(s, conf);
        s->errand.wish = sim_chance(s, 0.2) ? CONSENSUS_STANDBY : CONSENSUS_STRANGER;
    }
    s->errand.give_up_us = s->now_us + 15000 * SIM_MS;
}

/* One more attempt at the errand; true when it is done. */
static bool admin_try(struct sim *s, struct node *x, const struct conf *conf)
{
    struct errand *e = &s->errand;
    enum consensus_member is = conf_member(conf, e->id);
    enum consensus_answer answer = CONSENSUS_OK;
    if (is == e->wish) {
        return consensus_ready(x->c) && x->c->raft.configuration_uncommitted_index == 0;
    }
    if (e->wish == CONSENSUS_VOTER && is == CONSENSUS_STRANGER) {
        answer = consensus_change(x->c, e->id, CONSENSUS_STANDBY);
    } else if (e->wish == CONSENSUS_VOTER) {
        answer = consensus_promote(x->c, e->id);
        s->stats.promotions += answer == CONSENSUS_OK;
    } else if (e->id == x->id) { /* leadership moves away first */
        for (uint32_t i = 0; i < conf->count; i++) {
            if (conf->servers[i].id != x->id &&
                consensus_transfer(x->c, conf->servers[i].id) == CONSENSUS_OK) {
                break;
            }
        }
    } else {
        answer = consensus_change(x->c, e->id, e->wish);
    }
    s->stats.changes_refused += answer != CONSENSUS_OK;
    return false;
}

static void admin_finish(struct sim *s)
{
    struct node *x = &s->nodes[s->errand.id];
    sim_say(s, "operator: node %llu is as wished", llu(x->id));
    s->stats.changes++;
    if (s->errand.wish == CONSENSUS_STRANGER) {
        x->removed = true;
        if (sim_chance(s, 0.5)) {
            node_stop(x, true);
            x->exists = false;
        } else { /* it lingers and disturbs */
            sim_at(s, sim_between(s, 0, 8000 * SIM_MS), EVENT_STOP, x->id, 0);
        }
    }
    s->errand.id = 0;
}

void chaos_admin(struct sim *s)
{
    struct node *x = node_some_leader(s);
    struct conf conf;
    if (x == NULL) {
        return;
    }
    driver_conf(x->c, &conf);
    if (sim_chance(s, 0.15)) {
        uint64_t to = some_server(s, &conf);
        s->stats.transfers += consensus_transfer(x->c, to) == CONSENSUS_OK;
    } else if (s->cfg.membership && sim_chance(s, 0.1)) {
        admin_whim(s, x, &conf);
    } else if (s->cfg.membership) {
        if (s->errand.id == 0) {
            admin_begin(s, &conf);
        }
        if (s->errand.id != 0 && !s->violated) {
            if (admin_try(s, x, &conf)) {
                admin_finish(s);
            } else if (s->now_us > s->errand.give_up_us) {
                s->errand.id = 0;
            }
        }
    }
    if (x->alive) {
        check_node(x);
    }
}

/* ---- faults ---- */

void chaos_heal(struct sim *s)
{
    memset(s->cut, 0, sizeof s->cut);
}

/* Most of the others see that the connection to x was closed, whether x has crashed or not. */
static void close_links(struct sim *s, uint64_t x)
{
    for (uint64_t id = 1; id < s->next_id; id++) {
        if (id != x && sim_chance(s, 0.8)) {
            sim_at(s, sim_between(s, 0, s->cfg.delay_hi), EVENT_GONE, id, x);
        }
    }
}

void chaos_crash(struct node *x, uint64_t down_us)
{
    if (x == NULL) {
        return;
    }
    sim_say(x->sim, "node %llu crashes", llu(x->id));
    x->sim->stats.crashes++;
    node_stop(x, true);
    close_links(x->sim, x->id);
    sim_at(x->sim, down_us, EVENT_RESTART, x->id, 0);
}

static void heal_later(struct sim *s)
{
    sim_at(s, sim_between(s, 200 * SIM_MS, 6000 * SIM_MS), EVENT_HEAL, 0, 0);
}

static void fault_crash(struct sim *s, struct node *leader)
{
    struct node *x = sim_chance(s, 0.4) && leader != NULL ? leader : node_some(s, true);
    bool brief = sim_chance(s, 0.8);
    chaos_crash(x, sim_between(s, 5 * SIM_MS, brief ? 1500 * SIM_MS : 8000 * SIM_MS));
}

static void fault_crash_all(struct sim *s)
{
    for (uint64_t id = 1; id < s->next_id; id++) {
        if (s->nodes[id].alive) {
            chaos_crash(&s->nodes[id], sim_between(s, 5 * SIM_MS, 1500 * SIM_MS));
        }
    }
}

static void fault_partition(struct sim *s)
{
    uint64_t side = sim_random(s);
    chaos_heal(s);
    for (uint64_t a = 1; a < s->next_id; a++) {
        for (uint64_t b = 1; b < s->next_id; b++) {
            s->cut[a][b] = ((side >> a) & 1) != ((side >> b) & 1);
        }
    }
    heal_later(s);
}

static void fault_one_way(struct sim *s, const struct node *leader)
{
    for (int i = 0; i < 3; i++) {
        uint64_t a = sim_random(s) % s->next_id;
        s->cut[a][sim_random(s) % s->next_id] = true;
    }
    if (leader != NULL && sim_chance(s, 0.5)) {
        for (uint64_t a = 1; a < s->next_id; a++) {
            s->cut[a][leader->id] = sim_chance(s, 0.7);
        }
    }
    heal_later(s);
}

static void fault_lonely_leader(struct sim *s, const struct node *leader)
{
    for (uint64_t a = 1; leader != NULL && a < s->next_id; a++) {
        s->cut[a][leader->id] = true;
        s->cut[leader->id][a] = true;
    }
    heal_later(s);
}

void chaos_fault(struct sim *s)
{
    struct node *leader = node_some_leader(s);
    struct node *x = leader;
    if (leader != NULL && sim_chance(s, 0.1)) {
        close_links(s, leader->id); /* it lives, only its connections broke */
    }
    switch (sim_random(s) % 10) {
    case 0:
    case 1:
        fault_crash(s, leader);
        break;
    case 2:
        if (sim_chance(s, 0.15)) {
            fault_crash_all(s);
        }
        break;
    case 3:
    case 4:
        fault_partition(s);
        break;
    case 5:
        fault_one_way(s, leader);
        break;
    case 6:
        fault_lonely_leader(s, leader);
        break;
    case 7: /* a slow disk */
        x = sim_chance(s, 0.5) && leader != NULL ? leader : node_some(s, true);
        if (x != NULL) {
            x->slow_until_us = s->now_us + sim_between(s, 500 * SIM_MS, 4000 * SIM_MS);
        }
        break;
    default: /* a stopped process */
        x = sim_chance(s, 0.3) && leader != NULL ? leader : node_some(s, true);
        if (x != NULL) {
            x->paused_until_us = s->now_us + sim_between(s, 20 * SIM_MS, 4000 * SIM_MS);
        }
        break;
    }
}
