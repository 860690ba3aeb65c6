#include "tests/sim/product/faults.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/require.h"
#include "tests/sim/product/check.h"
#include "tests/sim/product/machine.h"
#include "tests/sim/product/officer.h"

#define TICK_NS (50 * NS_PER_MS)

/* How often in a million ticks of 50 ms, at most. */
static const uint32_t MOST[FAULT_COUNT] = {
    [FAULT_DELAY] = 20000,                                 /* a frame, not a tick */
    [FAULT_RESET] = 40000,                                 /**/
    [FAULT_PARTITION] = 15000, [FAULT_KILL] = 20000,       /**/
    [FAULT_POWER] = 15000,                                 /**/
    [FAULT_PAUSE] = 15000,                                 /**/
    [FAULT_CLOCK] = 15000,                                 /**/
    [FAULT_SLOW_DISK] = 15000, [FAULT_BAD_DISK] = 8000,    /**/
    [FAULT_FULL_DISK] = 6000,                              /**/
    [FAULT_ROT] = 2000,                                    /**/
    [FAULT_STOP] = 8000,                                   /**/
    [FAULT_LOST_CALL] = 50000,                             /* a call, not a tick */
    [FAULT_MEMBER] = 1000000,  [FAULT_TRANSFER] = 1000000, /* the officer's pace */
    [FAULT_WIPE] = 2500,                                   /**/
    [FAULT_BAD_STATE] = 8000,                              /**/
};

const char *fault_name(enum sim_fault fault)
{
    static const char *const NAMES[] = {
#define FAULT_NAME(name, text) text,
        SIM_FAULTS(FAULT_NAME)
#undef FAULT_NAME
    };
    require(fault < FAULT_COUNT);
    return NAMES[fault];
}

static _Noreturn void no_such(const char *what, const char *name)
{
    fprintf(stderr, "sim: no %s '%s'; faults:", what, name);
    for (enum sim_fault f = 0; f < FAULT_COUNT; f++) {
        fprintf(stderr, " %s", fault_name(f));
    }
    fprintf(stderr, "; profiles: general calm network disks crashes members\n");
    exit(2);
}

static uint32_t parse_one(const char *name, size_t size)
{
    for (enum sim_fault f = 0; f < FAULT_COUNT; f++) {
        if (strlen(fault_name(f)) == size && strncmp(fault_name(f), name, size) == 0) {
            return UINT32_C(1) << f;
        }
    }
    no_such("fault", name);
}

uint32_t faults_parse(const char *list)
{
    uint32_t bits = 0;
    for (const char *at = list; *at != '\0';) {
        size_t size = strcspn(at, ",");
        bits |= parse_one(at, size);
        at += size + (at[size] == ',');
    }
    return bits;
}

uint32_t faults_profile(const char *name)
{
    static const struct profile {
        const char *name, *has;
    } PROFILES[] = {
        {"calm", ""},
        {"network", "delay,reset,partition,lost-call,pause"},
        {"disks", "power,slow-disk,bad-disk,full-disk,rot,kill,bad-state,wipe"},
        {"crashes", "kill,power,stop,pause"},
        {"members", "member,transfer,wipe,kill,power,partition,reset,stop"},
    };
    if (strcmp(name, "general") == 0) {
        return 0;
    }
    for (size_t i = 0; i < sizeof PROFILES / sizeof *PROFILES; i++) {
        if (strcmp(PROFILES[i].name, name) == 0) {
            return ~faults_parse(PROFILES[i].has);
        }
    }
    no_such("profile", name);
}

/* ---- one fault of each kind ---- */

static struct machine *any(struct world *w)
{
    return w->machines[draw_below(&w->random, w->nodes)];
}

static uint64_t ms_up_to(struct world *w, uint64_t ms)
{
    return NS_PER_MS * (1 + draw_below(&w->random, ms));
}

struct mend {
    struct happening event;
    uint32_t blocked[SIM_NODES_MAX]; /* from, by bit: to */
};

static void drop_mend(struct happening *event)
{
    free(event);
}

static void block_pairs(struct world *w, const struct mend *mend, bool blocked)
{
    for (uint32_t a = 0; a < w->nodes; a++) {
        for (uint32_t b = 0; b < w->nodes; b++) {
            if ((mend->blocked[a] >> b & 1) != 0) {
                seam_peer_block(w, a, b, blocked);
            }
        }
    }
}

static void on_mend(struct happening *event)
{
    struct mend *mend = (struct mend *)event;
    block_pairs(event->world, mend, false);
    free(mend);
}

static void partition(struct world *w)
{
    uint64_t side = draw(&w->random);
    bool one_way = draw_below(&w->random, 3) == 0;
    struct mend *mend = mem_new(1, sizeof *mend);
    *mend = (struct mend){.event = {.run = on_mend, .drop = drop_mend}};
    for (uint32_t a = 0; a < w->nodes; a++) {
        for (uint32_t b = 0; b < w->nodes; b++) {
            bool here = (side >> a & 1) != 0;
            bool there = (side >> b & 1) != 0;
            if (one_way ? here && !there : here != there) {
                mend->blocked[a] |= UINT32_C(1) << b;
            }
        }
    }
    trace(w, "partition %llx%s", (unsigned long long)(side & ((1u << w->nodes) - 1)),
          one_way ? ", one way" : "");
    block_pairs(w, mend, true);
    world_after(w, &mend->event, ms_up_to(w, draw_below(&w->random, 4) == 0 ? 15000 : 3000));
    w->counts.partitions++;
}

/* The process dies at once, or in one of its next calls. */
static void kill_some(struct world *w, bool power)
{
    struct machine *m = any(w);
    if (!m->up || m->fuse > 0) {
        return;
    }
    if (draw_below(&w->random, 4) == 0) {
        machine_crash(m, power);
    } else {
        m->fuse = 1 + draw_below(&w->random, 60);
        m->fuse_power = power;
    }
}

static void rot_some(struct world *w)
{
    struct machine *m = any(w);
    if (m->gone || !officer_may_lose(w, m)) {
        return; /* more than a minority may not lose what they have */
    }
    const char *oldest = NULL;
    uint32_t segments = 0;
    for (size_t i = 0; disk_path(&m->disk, i) != NULL; i++) {
        const char *path = disk_path(&m->disk, i);
        bool segment = strstr(path, "/segment-") != NULL;
        segments += segment;
        oldest = segment && (oldest == NULL || strcmp(path, oldest) < 0) ? path : oldest;
    }
    if (segments < 2) {
        return; /* in the last one damage may look like a write that was under way */
    }
    size_t size = 0;
    uint8_t *bytes = disk_bytes(&m->disk, oldest, &size);
    size_t at = (size_t)draw_below(&w->random, size);
    bytes[at] ^= (uint8_t)(1u << draw_below(&w->random, 8));
    m->rotten = true;
    m->disk_hurt = true;
    w->counts.rots++;
    trace(w, "%llu: a bit of %s flips at %zu", (unsigned long long)m->id, oldest, at);
}

static void jump_clock(struct world *w)
{
    struct machine *m = any(w);
    uint64_t most_ms = draw_below(&w->random, 4) == 0 ? 3600000 : 5000;
    int64_t by_ns = (int64_t)ms_up_to(w, most_ms) - (int64_t)(most_ms / 2 * NS_PER_MS);
    m->wall_ns += by_ns;
    w->counts.jumps++;
    trace(w, "%llu: its clock jumps by %lld ms", (unsigned long long)m->id,
          (long long)(by_ns / (int64_t)NS_PER_MS));
}

static void slow_disk(struct world *w)
{
    struct machine *m = any(w);
    if (draw_below(&w->random, 2) == 0) {
        m->stalled_until_ns = w->now_ns + ms_up_to(w, 4000);
    } else {
        m->sync_ns = ms_up_to(w, 60);
    }
    w->counts.slow_disks++;
    trace(w, "%llu: its disk is slow", (unsigned long long)m->id);
}

static void pause_some(struct world *w)
{
    struct machine *m = any(w);
    m->paused_until_ns = w->now_ns + ms_up_to(w, 6000);
    w->counts.pauses++;
    trace(w, "%llu pauses", (unsigned long long)m->id);
}

static void slow_link(struct world *w)
{
    uint32_t a = (uint32_t)draw_below(&w->random, w->nodes);
    uint32_t b = (uint32_t)draw_below(&w->random, w->nodes);
    seam_peer_slow(w, a, b, draw_below(&w->random, 2) == 0 ? 0 : ms_up_to(w, 300));
}

static void reset_link(struct world *w)
{
    uint32_t a = (uint32_t)draw_below(&w->random, w->nodes);
    uint32_t b = (uint32_t)draw_below(&w->random, w->nodes);
    if (a != b) {
        trace(w, "the connections of %u and %u break", a + 1, b + 1);
        w->counts.resets++;
        seam_peer_reset(w, a, b);
    }
}

static void fail_disk(struct world *w)
{
    struct machine *m = any(w);
    if (m->up) {
        trace(w, "%llu: a call to its disk will fail", (unsigned long long)m->id);
        disk_arm(&m->disk, DISK_FAULT_EIO, 1 + draw_below(&w->random, 6));
        m->disk_hurt = true;
        w->counts.bad_disks++;
    }
}

static void fail_state(struct world *w)
{
    struct machine *m = any(w);
    if (m->up) {
        trace(w, "%llu: a call to its state will fail", (unsigned long long)m->id);
        m->kv_fault_reads = draw_below(&w->random, 3) == 0;
        m->kv_fault = 1 + draw_below(&w->random, m->kv_fault_reads ? 400 : 20);
    }
}

/* Every node that takes part knows its disk. Whoever has never met it takes the first disk that it
 * shows: that is as far as the promise goes. */
static bool is_known(const struct machine *m)
{
    const struct world *w = m->world;
    uint32_t members = officer_members(w) | check_members(w);
    for (uint32_t i = 0; i < w->nodes; i++) {
        const struct machine *other = w->machines[i];
        bool counts = other != m && (members >> i & 1) != 0 && !other->ruined;
        if (counts && (other->met >> m->number & 1) == 0) {
            return false;
        }
    }
    return true;
}

static void wipe(struct world *w)
{
    struct machine *m = any(w);
    bool there = !m->gone && !m->ruined && !m->wiped && (!m->joins || m->joined);
    if (there && is_known(m) && officer_may_lose(w, m)) {
        machine_wipe(m);
    }
}

static void fill_disk(struct world *w)
{
    struct machine *m = any(w);
    m->full_until_ns = w->now_ns + ms_up_to(w, 3000);
    w->counts.full_disks++;
    trace(w, "%llu: its disk is full", (unsigned long long)m->id);
}

static void happen(struct world *w, enum sim_fault fault)
{
    switch (fault) {
    case FAULT_DELAY:
        slow_link(w);
        break;
    case FAULT_RESET:
        reset_link(w);
        break;
    case FAULT_PARTITION:
        partition(w);
        break;
    case FAULT_KILL:
        kill_some(w, false);
        break;
    case FAULT_POWER:
        kill_some(w, true);
        break;
    case FAULT_PAUSE:
        pause_some(w);
        break;
    case FAULT_CLOCK:
        jump_clock(w);
        break;
    case FAULT_SLOW_DISK:
        slow_disk(w);
        break;
    case FAULT_BAD_DISK:
        fail_disk(w);
        break;
    case FAULT_FULL_DISK:
        fill_disk(w);
        break;
    case FAULT_ROT:
        rot_some(w);
        break;
    case FAULT_STOP:
        w->counts.stops++;
        machine_stop(any(w));
        break;
    case FAULT_WIPE:
        wipe(w);
        break;
    case FAULT_BAD_STATE:
        fail_state(w);
        break;
    case FAULT_LOST_CALL: /* seam_grpc.c */
    case FAULT_MEMBER:    /* officer.c */
    case FAULT_TRANSFER:
    case FAULT_COUNT:
        break;
    }
}

/* ---- the course of things ---- */

static void on_tick(struct happening *event)
{
    struct world *w = event->world;
    if (w->healing) {
        free(event);
        return;
    }
    for (enum sim_fault f = 0; f < FAULT_COUNT; f++) {
        bool own = f == FAULT_MEMBER || f == FAULT_TRANSFER; /* officer.c */
        if (!own && draw_chance(&w->random, w->chance[f])) {
            happen(w, f);
        }
    }
    world_after(w, event, TICK_NS);
}

void faults_start(struct world *w)
{
    for (enum sim_fault f = 0; f < FAULT_COUNT; f++) {
        bool suffers = draw_below(&w->random, 2) == 0;
        uint32_t chance = MOST[f] / (1 + (uint32_t)draw_below(&w->random, 8));
        w->chance[f] = suffers && (w->options.off >> f & 1) == 0 ? chance : 0;
    }
    for (uint32_t i = 0; i < w->nodes; i++) {
        struct machine *m = w->machines[i];
        if (w->chance[FAULT_CLOCK] > 0) {
            m->drift_ppm = (int64_t)draw_below(&w->random, 20001) - 10000;
            m->wall_ns = (int64_t)ms_up_to(w, 4000) - (int64_t)(2000 * NS_PER_MS);
        }
        if (w->chance[FAULT_SLOW_DISK] > 0) {
            m->sync_ns = ms_up_to(w, 20);
        }
    }
    struct happening *tick = mem_new(1, sizeof *tick);
    *tick = (struct happening){.run = on_tick, .drop = drop_mend};
    world_after(w, tick, TICK_NS);
}

void faults_heal(struct world *w)
{
    w->healing = true;
    for (uint32_t i = 0; i < w->nodes; i++) {
        struct machine *m = w->machines[i];
        m->stalled_until_ns = m->full_until_ns = m->paused_until_ns = 0;
        m->sync_ns = NS_PER_MS;
        m->fuse = 0;
        m->kv_fault = 0;
        if (!m->rotten) {
            m->disk.fault = DISK_FAULT_NONE;
        }
        for (uint32_t k = 0; k < w->nodes; k++) {
            seam_peer_block(w, i, k, false);
            seam_peer_slow(w, i, k, 0);
        }
    }
}
