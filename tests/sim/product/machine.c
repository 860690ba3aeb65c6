#include "tests/sim/product/machine.h"

#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/require.h"
#include "proto/genesis.h"
#include "server/node.h"
#include "tests/sim/product/check.h"
#include "tests/sim/product/edge.h"
#include "tests/sim/product/fixture.h"
#include "tests/sim/product/officer.h"

enum { CONFIG_ELECTION_MS = 1000, CONFIG_HEARTBEAT_MS = 100 };

/* Whose code runs, and where to go on when it dies inside. Functions like clock_system know no
 * owner, so this cannot be passed to them. */
static struct running {
    struct machine *machine;
    jmp_buf out;
    bool jumped; /* ever: what its stack held is lost, as in a real crash */
} running;

struct machine *machine_running(void)
{
    return running.machine;
}

_Noreturn void machine_jump_out(struct machine *m)
{
    require(running.machine == m);
    m->dead = true;
    m->disk.dead = true;
    running.jumped = true;
    longjmp(running.out, 1);
}

bool machine_has_jumped(void)
{
    return running.jumped;
}

void machine_call(struct machine *m, void (*run)(struct machine *m, void *arg), void *arg)
{
    if (running.machine == m) {
        run(m, arg);
        return;
    }
    require(running.machine == NULL);
    running.machine = m;
    if (setjmp(running.out) == 0) {
        run(m, arg);
    }
    running.machine = NULL;
}

/* ---- clocks ---- */

static uint64_t drifted(const struct machine *m, uint64_t true_ns)
{
    require(true_ns < UINT64_C(500000) * NS_PER_S);
    int64_t ns = (int64_t)true_ns + (int64_t)true_ns * m->drift_ppm / 1000000;
    return m->mono_base_ns + (uint64_t)ns;
}

uint64_t machine_mono_ns(struct machine *m)
{
    if (running.machine == m) {
        bool slow = draw_chance(&m->world->random_product, 4000);
        m->lag_ns += slow ? draw_below(&m->world->random_product, 6 * NS_PER_MS) : 300;
    }
    uint64_t now_ns = drifted(m, m->world->now_ns) + m->lag_ns;
    m->mono_last_ns = now_ns > m->mono_last_ns ? now_ns : m->mono_last_ns;
    return m->mono_last_ns;
}

uint64_t machine_wall_ns(struct machine *m)
{
    return SIM_EPOCH_NS + m->world->now_ns + m->lag_ns + (uint64_t)m->wall_ns;
}

uint64_t machine_until_ns(const struct machine *m, uint64_t mono_ns)
{
    uint64_t now_ns = drifted(m, m->world->now_ns);
    if (mono_ns <= now_ns) {
        return 0;
    }
    uint64_t ns = mono_ns - now_ns;
    ns = ns < 10000 * NS_PER_S ? ns : 10000 * NS_PER_S; /* it is asked again then */
    return ns * 1000000 / (uint64_t)(1000000 + m->drift_ppm) + 2;
}

/* ---- inputs ---- */

static void input_free(struct arrival *input)
{
    if (input->kind == INPUT_CALL) {
        seam_grpc_release(input->call);
    }
    free((void *)(uintptr_t)input->bytes.data);
    free(input);
}

static void inputs_drop(struct machine *m)
{
    while (m->inputs != NULL) {
        struct arrival *next = m->inputs->next;
        input_free(m->inputs);
        m->inputs = next;
    }
    m->inputs_tail = &m->inputs;
}

void machine_input(struct machine *m, const struct arrival *input)
{
    if (!m->up) {
        require(input->kind != INPUT_CALL); /* seam_grpc.c looks first */
        free((void *)(uintptr_t)input->bytes.data);
        return;
    }
    struct arrival *copy = mem_copy(input, sizeof *input);
    copy->next = NULL;
    *m->inputs_tail = copy;
    m->inputs_tail = &copy->next;
    machine_turn_after(m, 1000 + draw_below(&m->world->random, 4000));
}

void machine_input_cancel(struct machine *m, const void *owner)
{
    for (struct arrival **at = &m->inputs; *at != NULL;) {
        struct arrival *input = *at;
        if (input->wake == owner || input->pool == owner) {
            *at = input->next;
            input_free(input);
        } else {
            at = &input->next;
        }
    }
    m->inputs_tail = &m->inputs;
    while (*m->inputs_tail != NULL) {
        m->inputs_tail = &(*m->inputs_tail)->next;
    }
}

void machine_input_run(struct machine *m, struct arrival *input)
{
    switch (input->kind) {
    case INPUT_FRAME:
        seam_peer_frame(m, input);
        break;
    case INPUT_LINK:
        seam_peer_link(m, input);
        break;
    case INPUT_WAKE:
        seam_wake_run(input->wake);
        break;
    case INPUT_JOB:
        seam_pool_done(input->pool);
        break;
    case INPUT_SIGNAL:
        seam_signal_run(m->loop, input->signal);
        break;
    case INPUT_CALL:
        seam_grpc_input(m, input);
        break;
    }
    input_free(input);
}

bool machine_acts(struct machine *m)
{
    if (!m->dead && m->fuse > 0 && --m->fuse == 0) {
        trace(m->world, "%llu dies inside a call", (unsigned long long)m->id);
        m->dead = true;
    }
    return !m->dead;
}

/* ---- the end of a process ---- */

static void close_node(struct machine *m, void *arg)
{
    struct node *node = arg;
    (void)m;
    node_close(node);
}

/* The process is gone; the hardware is as it leaves it. */
static void reap(struct machine *m, bool power)
{
    struct world *w = m->world;
    struct node *node = m->node;
    m->dead = true;
    m->disk.dead = true;
    m->fuse = 0;
    m->node = NULL;
    seam_peer_gone(m, power);
    machine_call(m, close_node, node);
    m->up = false;
    inputs_drop(m);
    if (power) {
        w->counts.power_cuts++;
        disk_power_cut(&m->disk);
    } else {
        w->counts.kills++;
        disk_process_death(&m->disk);
    }
    kv_disk_crash(m->kv_disk, power, &w->random);
    check_gone(m);
    machine_start_after(m, NS_PER_MS * (10 + draw_below(&w->random, 3000)));
}

void machine_crash(struct machine *m, bool power)
{
    require(running.machine == NULL);
    if (m->up) {
        trace(m->world, "%llu %s", (unsigned long long)m->id, power ? "loses power" : "is killed");
        reap(m, power);
    }
}

static char *path_of(const char *format, const char *dir, uint64_t id)
{
    char path[512];
    /* Formats are those of start_config below. */
    snprintf(path, sizeof path, "%s/%s%llu", dir, format, (unsigned long long)id);
    return mem_text(path);
}

void machine_wipe(struct machine *m)
{
    struct world *w = m->world;
    machine_crash(m, true);
    trace(w, "%llu gets an empty disk", (unsigned long long)m->id);
    disk_done(&m->disk);
    disk_init(&m->disk, draw(&w->random_member));
    kv_disk_free(m->kv_disk);
    m->kv_disk = kv_disk_new();
    char *data = path_of("data", "/machine", m->id);
    disk_make(&m->disk, data);
    free(data);
    m->wiped = true;
    m->met = 0;
    w->counts.wipes++;
    check_wiped(m);
}

void machine_stop(struct machine *m)
{
    if (m->up) {
        trace(m->world, "%llu is told to stop", (unsigned long long)m->id);
        m->stopping = true;
        machine_input(m, &(struct arrival){.kind = INPUT_SIGNAL, .signal = SIGTERM});
    }
}

void machine_after_call(struct machine *m)
{
    if (m->dead && m->up) {
        reap(m, m->fuse_power);
    }
}

/* The node says that it has no part in the ledger any more. */
static void takes_no_part(struct machine *m, const char *why)
{
    struct world *w = m->world;
    trace(w, "%llu takes no part: %s", (unsigned long long)m->id, why);
    if (officer_wish(w, m->id) == LEDGER_WISH_REMOVED) {
        w->counts.left += !m->gone;
        m->gone = true;
    } else if (m->wiped) {
        w->counts.recognised++;
        m->ruined = true;
    } else {
        violation(w, "node %llu says it was removed, and was not: %s", (unsigned long long)m->id,
                  why);
    }
}

/* The process ends by itself. */
static void end_itself(struct machine *m, void *arg)
{
    struct errtext why = {""};
    struct node *node = m->node;
    (void)arg;
    err e = node_run(node, &why);
    if (err_is(e, ERR_DENIED)) {
        takes_no_part(m, why.text);
    } else if (failed(e)) {
        trace(m->world, "%llu stops itself: %s", (unsigned long long)m->id, why.text);
        m->world->counts.disk_stops++;
        if (!m->disk_hurt) {
            violation(m->world, "node %llu stopped itself: %s", (unsigned long long)m->id,
                      why.text);
        }
    } else {
        trace(m->world, "%llu has stopped", (unsigned long long)m->id);
        if (!m->stopping) {
            violation(m->world, "node %llu stopped unasked", (unsigned long long)m->id);
        }
    }
    seam_peer_gone(m, false);
    m->node = NULL;
    node_close(node);
}

static void ended(struct machine *m)
{
    machine_call(m, end_itself, NULL);
    if (m->dead) {
        reap(m, m->fuse_power); /* it died while it was closing; what is left of it is lost */
        return;
    }
    m->up = false;
    m->fuse = 0;
    inputs_drop(m);
    disk_process_death(&m->disk);
    kv_disk_crash(m->kv_disk, false, &m->world->random);
    check_gone(m);
    if (m->ruined || (m->gone && draw_below(&m->world->random, 2) == 0)) {
        return; /* one that was removed may be started again; it must not disturb */
    }
    machine_start_after(m, NS_PER_MS * (10 + draw_below(&m->world->random, 2000)));
}

/* ---- turns ---- */

struct turn {
    struct happening event;
    struct machine *machine;
    uint64_t sequence;
};

static void drop_turn(struct happening *event)
{
    free(event);
}

struct turn_result {
    bool stopped;
};

static void run_turn(struct machine *m, void *arg)
{
    struct turn_result *result = arg;
    m->lag_ns = 0;
    result->stopped = seam_loop_turn(m);
}

static void schedule_next(struct machine *m)
{
    struct world *w = m->world;
    uint64_t next_ns = seam_loop_next_ns(m->loop);
    m->busy_until_ns = w->now_ns + m->lag_ns;
    m->lag_ns = 0;
    if (m->inputs != NULL) {
        next_ns = 0;
    }
    if (next_ns != UINT64_MAX) {
        machine_turn_after(m, machine_until_ns(m, next_ns));
    }
}

static void on_turn(struct happening *event)
{
    struct turn *turn = (struct turn *)event;
    struct machine *m = turn->machine;
    struct world *w = m->world;
    bool void_now = !m->up || turn->sequence != m->turn_sequence;
    free(turn);
    if (void_now) {
        w->steps--;
        return;
    }
    m->turn_at_ns = UINT64_MAX;
    if (m->paused_until_ns > w->now_ns) {
        machine_turn_after(m, 0);
        return;
    }
    struct turn_result result = {false};
    w->counts.turns++;
    machine_call(m, run_turn, &result);
    if (m->dead) {
        reap(m, m->fuse_power);
        return;
    }
    check_turn(m);
    if (result.stopped) {
        ended(m);
    } else {
        schedule_next(m);
    }
}

void machine_turn_after(struct machine *m, uint64_t after_ns)
{
    struct world *w = m->world;
    uint64_t at_ns = w->now_ns + after_ns;
    at_ns = at_ns < m->busy_until_ns ? m->busy_until_ns : at_ns;
    at_ns = at_ns < m->paused_until_ns ? m->paused_until_ns : at_ns;
    if (!m->up || at_ns >= m->turn_at_ns) {
        return;
    }
    struct turn *turn = mem_new(1, sizeof *turn);
    *turn = (struct turn){
        .event = {.run = on_turn, .drop = drop_turn}, .machine = m, .sequence = ++m->turn_sequence};
    m->turn_at_ns = at_ns;
    world_after(w, &turn->event, at_ns - w->now_ns);
}

/* ---- starting ---- */

static char *institution_of(const struct machine *m)
{
    char text[32];
    snprintf(text, sizeof text, "inst%u", m->institution);
    return mem_text(text);
}

static char *certificate_of(const struct machine *m)
{
    char path[256];
    fixture_certificate_path(m->world->fixture, m->id, m->institution, path, sizeof path);
    return mem_text(path);
}

static char *text_of(struct bytes b)
{
    char text[64];
    snprintf(text, sizeof text, "%.*s", (int)b.size, (const char *)b.data);
    return mem_text(text);
}

/* The table that it joins with lies where its configuration says. */
static void put_bootstrap(const struct machine *m)
{
    if (m->bootstrap != NULL) {
        FILE *file = fopen(fixture_bootstrap_path(m->world->fixture), "w");
        require(file != NULL);
        require(fputs(m->bootstrap, file) >= 0);
        require(fclose(file) == 0);
    }
}

static void start_config(const struct machine *m, struct config *ret)
{
    const struct fixture *f = m->world->fixture;
    const struct node_entry *row = fixture_node(f, m->id);
    *ret = (struct config){
        .institution = institution_of(m),
        .node = text_of(row->name),
        .bootstrap = m->bootstrap == NULL ? NULL : mem_text(fixture_bootstrap_path(f)),
        .data = path_of("data", "/machine", m->id),
        .genesis = mem_text(fixture_genesis_path(f)),
        .genesis_signatures = mem_text(fixture_signatures_path(f)),
        .listen_client = mem_text("127.0.0.1:1"),
        .listen_peer = mem_text("127.0.0.1:2"),
        .certificate = certificate_of(m),
        .private_key = path_of("key", fixture_dir(f), m->id),
        .head_key = path_of("head", fixture_dir(f), m->id),
        .election_timeout_ms = CONFIG_ELECTION_MS,
        .heartbeat_ms = CONFIG_HEARTBEAT_MS,
        .workers = 2,
        .checkpoint_bytes = m->world->checkpoint_bytes,
        .log_tail_bytes = m->world->checkpoint_bytes / 2,
        .snapshot_rate = SNAPSHOT_RATE_DEFAULT,
        .log_level = LOG_LEVEL_INFO,
    };
}

struct opening {
    struct config config;
    err e;
    struct errtext why;
};

static void open_node(struct machine *m, void *arg)
{
    struct opening *o = arg;
    o->e = node_open(&o->config, &m->node, &o->why);
}

/* It could not start: because of its disk, or this is a bug. */
static void not_opened(struct machine *m, const struct opening *o)
{
    struct world *w = m->world;
    bool damaged = o->e.code == ERR_CORRUPT;
    trace(w, "%llu cannot start: %s", (unsigned long long)m->id, o->why.text);
    if (damaged && m->rotten) {
        m->ruined = true;
        check_gone(m);
        m->up = false;
        return;
    }
    if (!m->disk_hurt) {
        violation(w, "node %llu cannot start: %s", (unsigned long long)m->id, o->why.text);
    }
    m->up = false;
    disk_process_death(&m->disk);
    kv_disk_crash(m->kv_disk, false, &w->random);
    check_gone(m);
    machine_start_after(m, 200 * NS_PER_MS);
}

struct start {
    struct happening event;
    struct machine *machine;
    uint64_t life;
};

static void on_start(struct happening *event)
{
    struct start *s = (struct start *)event;
    struct machine *m = s->machine;
    struct opening o = {.e = {ERR_OK}};
    bool mine = !m->up && s->life == m->life;
    free(s);
    if (!mine) {
        return;
    }
    trace(m->world, "%llu starts", (unsigned long long)m->id);
    m->life++;
    m->up = true;
    m->dead = false;
    m->stopping = false;
    m->busy_until_ns = m->paused_until_ns = 0;
    m->lag_ns = 0;
    m->turn_at_ns = UINT64_MAX;
    m->turn_sequence++;
    m->disk_hurt = m->rotten || m->full_until_ns > m->world->now_ns;
    m->world->counts.restarts++;
    m->kv_fault = 0;
    start_config(m, &o.config);
    put_bootstrap(m);
    machine_call(m, open_node, &o);
    config_done(&o.config);
    if (m->dead) {
        reap(m, m->fuse_power);
    } else if (failed(o.e)) {
        inputs_drop(m);
        not_opened(m, &o);
    } else {
        machine_turn_after(m, 0);
    }
}

void machine_start_after(struct machine *m, uint64_t after_ns)
{
    struct start *s = mem_new(1, sizeof *s);
    *s = (struct start){
        .event = {.run = on_start, .drop = drop_turn}, .machine = m, .life = m->life};
    world_after(m->world, &s->event, after_ns);
}

struct machine *machine_new(struct world *w, uint32_t number)
{
    struct machine *m = mem_new(1, sizeof *m);
    m->world = w;
    m->number = number;
    m->id = number + 1;
    m->institution = number % w->founders + 1;
    m->inputs_tail = &m->inputs;
    m->turn_at_ns = UINT64_MAX;
    m->sync_ns = NS_PER_MS;
    m->mono_base_ns =
        NS_PER_S * (1 + draw_below(number < w->founders ? &w->random : &w->random_member, 1000));
    disk_init(&m->disk, draw(number < w->founders ? &w->random : &w->random_member));
    m->kv_disk = kv_disk_new();
    char *data = path_of("data", "/machine", m->id);
    disk_make(&m->disk, data);
    free(data);
    return m;
}

void machine_free(struct machine *m)
{
    if (m == NULL) {
        return;
    }
    if (m->up) {
        m->dead = true;
        m->disk.dead = true;
        seam_peer_gone(m, false);
        machine_call(m, close_node, m->node);
        m->up = false;
    }
    inputs_drop(m);
    free(m->bootstrap);
    disk_done(&m->disk);
    kv_disk_free(m->kv_disk);
    free(m);
}
