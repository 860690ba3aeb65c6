/* One history from a seed, and the program that runs many.
 *
 *   driver_sim --seed S --count N [--off GUARD[,GUARD...]] [--expect-violation]
 *       [--profile general|votes|disks] [--trace]
 *
 * Prints the seed of the first history that goes wrong, and exits 1. With --expect-violation it
 * must find one: that is how a guard shows that it is needed. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "tests/sim/driver/sim.h"

/* ---- the loop ---- */

/* Events of a stopped process are seen when it goes on. */
static bool postponed(struct sim *s, const struct node *x, struct event *e)
{
    bool to_node = e->kind == EVENT_FRAME || e->kind == EVENT_TIMER || e->kind == EVENT_DISK ||
                   e->kind == EVENT_APPLY || e->kind == EVENT_FETCH || e->kind == EVENT_GONE;
    if (!to_node || !x->alive || s->now_us >= x->paused_until_us) {
        return false;
    }
    e->at_us = x->paused_until_us;
    sim_push(s, *e);
    return true;
}

/* An event of a running node; false when it was of an earlier life. */
static bool node_event(struct node *x, const struct event *e)
{
    bool current = e->arg == x->incarnation;
    switch (e->kind) {
    case EVENT_FRAME:
        node_receive(x, e->frame);
        return true;
    case EVENT_TIMER:
        if (e->arg == x->timer_generation) {
            x->timer_at_us = 0;
            consensus_tick(x->c);
            return true;
        }
        return false;
    case EVENT_DISK:
        if (current) {
            node_synced(x);
        }
        return current;
    case EVENT_APPLY:
        if (current) {
            node_apply(x);
        }
        return current;
    case EVENT_FETCH:
        node_fetched(x, e->arg);
        return true;
    case EVENT_GONE:
        consensus_peer_gone(x->c, e->arg);
        return true;
    case EVENT_CRASH:
        if (current && x->sim->cfg.faults) {
            bool brief = sim_chance(x->sim, 0.7);
            chaos_crash(x, brief ? sim_between(x->sim, 1 * SIM_MS, 60 * SIM_MS)
                                 : sim_between(x->sim, 60 * SIM_MS, 1500 * SIM_MS));
        }
        return false;
    case EVENT_STOP:
    case EVENT_RESTART:
    case EVENT_CLIENT:
    case EVENT_READ:
    case EVENT_FAULT:
    case EVENT_ADMIN:
    case EVENT_HEAL:
        break;
    }
    return false;
}

static void world_event(struct sim *s, const struct event *e)
{
    struct node *x = &s->nodes[e->id];
    const struct params *p = &s->cfg;
    switch (e->kind) {
    case EVENT_CLIENT:
        chaos_client(s);
        sim_at(s, sim_between(s, p->client_us / 2, p->client_us * 3 / 2), EVENT_CLIENT, 0, 0);
        break;
    case EVENT_READ:
        chaos_read(s);
        sim_at(s, sim_between(s, 2 * SIM_MS, 100 * SIM_MS), EVENT_READ, 0, 0);
        break;
    case EVENT_FAULT:
        if (p->faults) {
            chaos_fault(s);
            sim_at(s, sim_between(s, p->fault_us / 4, p->fault_us * 2), EVENT_FAULT, 0, 0);
        }
        break;
    case EVENT_ADMIN:
        if (p->faults) {
            chaos_admin(s);
        }
        if (p->faults && e->arg == 0) {
            sim_at(s, sim_between(s, p->admin_us / 4, p->admin_us * 2), EVENT_ADMIN, 0, 0);
        }
        break;
    case EVENT_RESTART:
        if (x->exists && !x->alive) {
            node_start(x);
        }
        break;
    case EVENT_HEAL:
        chaos_heal(s);
        break;
    case EVENT_STOP:
        node_stop(x, true);
        x->exists = false;
        break;
    case EVENT_FRAME:
    case EVENT_TIMER:
    case EVENT_DISK:
    case EVENT_APPLY:
    case EVENT_FETCH:
    case EVENT_CRASH:
    case EVENT_GONE:
        if (x->alive && node_event(x, e) && x->alive && !s->violated) {
            check_node(x);
            node_upkeep(x);
            if (x->alive) {
                check_node(x);
            }
        }
        break;
    }
}

static void run_until(struct sim *s, uint64_t until_us)
{
    while (s->heap_count > 0 && s->heap[0].at_us <= until_us && !s->violated) {
        struct event e = sim_pop(s);
        s->now_us = e.at_us;
        s->events++;
        if (!postponed(s, &s->nodes[e.id], &e)) {
            world_event(s, &e);
            free(e.frame);
        }
    }
    s->now_us = s->violated ? s->now_us : until_us;
}

/* ---- liveness ---- */

static void heal_everything(struct sim *s)
{
    s->cfg.faults = false;
    s->cfg.client_us = 200 * SIM_MS;
    chaos_heal(s);
    /* Without membership changes under way, a majority of the voters must do. */
    uint32_t may_die = !s->cfg.membership && sim_chance(s, 0.5) ? (s->cfg.founders - 1) / 2 : 0;
    for (uint64_t id = 1; may_die > 0 && id <= s->cfg.founders; id++) {
        if (sim_chance(s, 0.5)) {
            may_die--;
            node_stop(&s->nodes[id], true);
            s->nodes[id].exists = false;
        }
    }
    for (uint64_t id = 1; id < s->next_id; id++) {
        struct node *x = &s->nodes[id];
        x->slow_until_us = 0;
        x->paused_until_us = 0;
        if (x->removed && x->exists) {
            node_stop(x, true);
            x->exists = false;
        }
        if (x->exists && !x->alive) {
            node_start(x);
        }
    }
}

/* A leader that commits, and everybody in its configuration is close behind. */
static bool agreed(struct sim *s, const struct node *leader)
{
    const struct consensus *c = leader->c;
    struct conf conf;
    if (!consensus_ready(c) || s->check.acked_max == 0 || c->commit + 1000 < memlog_last(&c->log)) {
        return false;
    }
    driver_conf(c, &conf);
    for (uint32_t i = 0; i < conf.count; i++) {
        const struct node *x = &s->nodes[conf.servers[i].id];
        if (x->exists && (!x->alive || x->applied + 200 < c->commit)) {
            return false;
        }
    }
    return true;
}

static void check_liveness(struct sim *s)
{
    uint64_t end_us = s->now_us + 120000 * SIM_MS;
    heal_everything(s);
    while (s->now_us < end_us && !s->violated) {
        run_until(s, s->now_us + 500 * SIM_MS);
        const struct node *leader = node_some_leader(s);
        if (leader != NULL && !s->violated && agreed(s, leader)) {
            return;
        }
    }
    struct buf text;
    buf_init(&text, sizeof s->violation / 2);
    for (uint64_t id = 1; id < s->next_id && !s->violated; id++) {
        const struct consensus *c = s->nodes[id].c;
        if (c != NULL) {
            buf_printf(&text, " %llu:%s t%llu a%llu/c%llu/l%llu%s", llu(id),
                       consensus_role_name(core_role(c)), llu(c->term), llu(c->applied),
                       llu(c->commit), llu(memlog_last(&c->log)),
                       c->installing ? " installing" : "");
        }
    }
    sim_violation(s, "LIVENESS no agreement 120 s after healing:%.*s", (int)text.size,
                  (const char *)text.data);
    buf_done(&text);
}

/* ---- one history ---- */

static void found(struct sim *s)
{
    uint64_t ids[NODES_MAX];
    for (uint32_t i = 0; i < s->cfg.founders; i++) {
        ids[i] = s->cfg.founders - i; /* any order gives the same bytes */
    }
    buf_init(&s->founding, CONF_BYTES_MAX);
    if (failed(consensus_found(ids, s->cfg.founders, &s->founding))) {
        sim_violation(s, "FOUNDING failed");
    }
    s->next_id = s->cfg.founders + 1;
    for (uint64_t id = 1; id <= s->cfg.founders && !s->violated; id++) {
        node_create(s, id, true);
    }
}

static void clean_up(struct sim *s)
{
    for (uint64_t id = 1; id <= SIM_ID_MAX; id++) {
        if (s->nodes[id].sim != NULL) {
            node_free(&s->nodes[id]);
        }
    }
    for (uint64_t i = 0; i < s->heap_count; i++) {
        free(s->heap[i].frame);
    }
    free(s->heap);
    check_done(&s->check);
    buf_done(&s->founding);
}

static void run_history(struct sim *s)
{
    s->random = s->seed * UINT64_C(0x2545F4914F6CDD1D) + 99;
    chaos_configure(s);
    found(s);
    sim_at(s, 10 * SIM_MS, EVENT_CLIENT, 0, 0);
    sim_at(s, 12 * SIM_MS, EVENT_READ, 0, 0);
    sim_at(s, s->profile == PROFILE_GENERAL ? 2000 * SIM_MS : 300 * SIM_MS, EVENT_FAULT, 0, 0);
    sim_at(s, 500 * SIM_MS, EVENT_ADMIN, 0, 0);
    run_until(s, s->cfg.chaos_us);
    if (!s->violated) {
        check_liveness(s);
    }
    clean_up(s);
}

/* ---- the program ---- */

struct arguments {
    uint64_t seed, count;
    uint32_t off;
    enum profile profile;
    bool expect, trace;
};

static const struct {
    const char *name;
    enum guard guard;
} guards[] = {
    {"split", GUARD_SPLIT},
    {"confirm", GUARD_CONFIRM},
    {"monotone", GUARD_MONOTONE},
    {"stale-first", GUARD_STALE_FIRST},
    {"bump", GUARD_BUMP},
    {"own-term", GUARD_OWN_TERM},
    {"tick-clamp", GUARD_TICK_CLAMP},
    {"cancel", GUARD_CANCEL},
    {"replay-conf", GUARD_REPLAY_CONF},
    {"gate", GUARD_GATE},
    {"install-drop", GUARD_INSTALL_DROP},
    {"caught-up", GUARD_CAUGHT_UP},
    {"version", GUARD_VERSION},
    {"stale-reject", GUARD_STALE_REJECT},
    {"aware", GUARD_AWARE},
    {"stale-reply", GUARD_STALE_REPLY},
    {"true-term", GUARD_TRUE_TERM},
    {"change-gate", GUARD_CHANGE_GATE},
    {"pin", GUARD_PIN},
    {"confirm-read", GUARD_CONFIRM_READ},
};

static bool parse_guards(const char *text, uint32_t *ret)
{
    while (*text != '\0') {
        size_t size = strcspn(text, ",");
        uint32_t found_guard = 0;
        for (size_t i = 0; i < sizeof guards / sizeof guards[0]; i++) {
            if (strlen(guards[i].name) == size && strncmp(guards[i].name, text, size) == 0) {
                found_guard = (uint32_t)guards[i].guard;
            }
        }
        if (found_guard == 0) {
            return false;
        }
        *ret |= found_guard;
        text += size + (text[size] == ',');
    }
    return true;
}

static bool parse_profile(const char *text, enum profile *ret)
{
    static const char *const names[] = {"general", "votes", "disks"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(text, names[i]) == 0) {
            *ret = (enum profile)i;
            return true;
        }
    }
    return false;
}

static bool parse(int argc, char **argv, struct arguments *ret)
{
    for (int i = 1; i < argc; i++) {
        bool more = i + 1 < argc;
        if (strcmp(argv[i], "--trace") == 0) {
            ret->trace = true;
        } else if (strcmp(argv[i], "--expect-violation") == 0) {
            ret->expect = true;
        } else if (strcmp(argv[i], "--seed") == 0 && more) {
            ret->seed = strtoull(argv[++i], NULL, 0);
        } else if (strcmp(argv[i], "--count") == 0 && more) {
            ret->count = strtoull(argv[++i], NULL, 0);
        } else if (strcmp(argv[i], "--off") == 0 && more) {
            if (!parse_guards(argv[++i], &ret->off)) {
                return false;
            }
        } else if (strcmp(argv[i], "--profile") == 0 && more) {
            if (!parse_profile(argv[++i], &ret->profile)) {
                return false;
            }
        } else {
            return false;
        }
    }
    return true;
}

/* For the signal handler only. */
static volatile sig_atomic_t crash_is_expected;
static volatile uint64_t crash_seed;

/* A check inside the driver has failed, or the core has crashed: that, too, is a violation. */
static void on_crash(int signal_number)
{
    char text[128];
    int size =
        snprintf(text, sizeof text, "seed %llu: signal %d\n", llu(crash_seed), signal_number);
    if (size < 0 || write(STDOUT_FILENO, text, (size_t)size) < 0) {
        _exit(3);
    }
    _exit(crash_is_expected ? 0 : 2);
}

static void add_stats(struct stats *sum, const struct stats *n)
{
    const uint64_t *from = (const uint64_t *)n;
    uint64_t *to = (uint64_t *)sum;
    static_assert(sizeof *n % sizeof *from == 0, "counters only");
    for (size_t i = 0; i < sizeof *n / sizeof *from; i++) {
        to[i] += from[i];
    }
}

static void print_stats(const struct stats *t)
{
    const struct consensus_counters *g = &t->guards;
    printf("elections %llu, commits %llu, acknowledged %llu, reads %llu in %llu rounds (refused "
           "%llu), crashes %llu\n",
           llu(t->elections), llu(t->commits), llu(t->acked), llu(t->reads), llu(g->rounds),
           llu(t->reads_refused), llu(t->crashes));
    printf(
        "snapshots %llu, installs %llu (failed fetches %llu, resets %llu), changes %llu (refused "
        "%llu), promotions %llu, transfers %llu\n",
        llu(t->snapshots), llu(t->installs), llu(t->install_fails), llu(t->resets), llu(t->changes),
        llu(t->changes_refused), llu(t->promotions), llu(t->transfers));
    printf("frames %llu (dropped %llu), steps %llu, loads %llu; guards at work: commit went back "
           "%llu, orphan writes %llu, splits %llu, confirmed %llu, stale first %llu, stale "
           "rejections %llu\n",
           llu(t->frames), llu(t->dropped), llu(g->steps), llu(g->loads), llu(g->regressions),
           llu(g->orphans), llu(g->splits), llu(g->confirms), llu(g->stale_first),
           llu(g->stale_rejects));
}

int main(int argc, char **argv)
{
    struct arguments a = {.seed = 1, .count = 1};
    struct stats total = {0};
    if (!parse(argc, argv, &a)) {
        (void)fprintf(stderr, "usage: driver_sim --seed S --count N [--off GUARD,...] "
                              "[--expect-violation] [--profile general|votes|disks] [--trace]\n");
        return 2;
    }
    crash_is_expected = a.expect;
    (void)signal(SIGABRT, on_crash);
    (void)signal(SIGSEGV, on_crash);
    for (uint64_t seed = a.seed; seed < a.seed + a.count; seed++) {
        struct sim *s = mem_new(1, sizeof *s);
        s->seed = seed;
        s->switches_off = a.off;
        s->trace = a.trace;
        s->profile = a.profile;
        crash_seed = seed;
        run_history(s);
        add_stats(&total, &s->stats);
        bool violated = s->violated;
        if (violated) {
            printf("seed %llu t=%.3f: %s\n", llu(seed), (double)s->now_us / 1e6, s->violation);
        }
        free(s);
        if (violated) {
            return a.expect ? 0 : 1;
        }
    }
    printf("ok: seeds %llu to %llu\n", llu(a.seed), llu(a.seed + a.count - 1));
    print_stats(&total);
    return a.expect ? 1 : 0;
}
