/* The simulation of the product; see world.h. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/require.h"
#include "tests/sim/product/check.h"
#include "tests/sim/product/client.h"
#include "tests/sim/product/faults.h"
#include "tests/sim/product/model.h"
#include "tests/sim/product/officer.h"
#include "tests/sim/product/seeds.h"
#ifdef SIM_PLANTED
#include "tests/sim/product/bugs.h"
#endif

enum { QUIET_EVERY = 64, STEPS_DEFAULT = 20000 };

#define HEAL_NS (180 * NS_PER_S) /* all must be well again after that */

static const char HELP[] =
    "usage: sim [--seed S] [--count N] [--steps N] [--nodes 3|5|7] [--off FAULT[,FAULT...]]\n"
    "           [--profile NAME] [--trace] [--minimise] [--seeds FILE]\n"
    "\n"
    "Runs whole nodes, with clients and faults, in one thread and virtual time: one seed, one\n"
    "history. Ends with 0 when nothing happened that never may, with 3 and the seed otherwise.\n"
    "\n"
    "  --seed S       the first seed (1)\n"
    "  --count N      so many seeds, one after the other (1)\n"
    "  --steps N      events with faults; then all heals and must become well (20000)\n"
    "  --nodes N      3, 5 or 7; by default the seed says\n"
    "  --off F,...    these faults never happen; a list of all: --off help\n"
    "  --profile NAME general (all faults), calm (none), network, disks, crashes: some classes\n"
    "  --trace        every step on standard output: the same bytes for the same seed\n"
    "  --minimise     finds fewer steps, nodes and faults with which the seed still fails, and\n"
    "                 prints the command\n"
    "  --seeds FILE   runs each line of a list: seed, steps, nodes, faults off (- for none), why\n"
    "\n"
    "examples:\n"
    "  sim --seed 1 --count 200\n"
    "  sim --seed 17 --trace | less\n"
    "  sim --seed 17 --minimise\n"
    "  sim --seed 17 --steps 4000 --off pause,clock\n";

/* ---- one history ---- */

static bool is_well(const struct world *w, struct errtext *ret)
{
    for (uint32_t i = 0; i < w->client_count; i++) {
        if (!client_is_idle(w->clients[i])) {
            snprintf(ret->text, sizeof ret->text, "client %u waits", i);
            return false;
        }
    }
    return check_is_well(w, ret);
}

static void heal(struct world *w)
{
    uint64_t until_ns = w->now_ns + HEAL_NS;
    struct errtext why = {""};
    trace(w, "everything heals");
    faults_heal(w);
    for (uint64_t i = 1; i % QUIET_EVERY != 0 || !is_well(w, &why); i++) {
        if (!world_step(w) || w->now_ns > until_ns) {
            violation(w, "not well %llu s after everything has healed: %s",
                      (unsigned long long)(HEAL_NS / NS_PER_S), why.text);
        }
    }
}

static void take_down(struct world *w)
{
    for (uint32_t i = 0; i < w->nodes; i++) {
        machine_free(w->machines[i]);
    }
    world_clear(w);
    for (uint32_t i = 0; i < w->client_count; i++) {
        client_free(w->clients[i]);
    }
    officer_free(w->officer);
    seam_net_free(w);
    checker_free(w->checker);
    model_free(w->model);
}

/* How often, and in how many histories. */
struct tally {
    struct counts times, histories;
};

static void add_counts(const struct counts *of, struct tally *sum)
{
#define SIM_COUNT_ADD(name, text)                                                                  \
    sum->times.name += of->name;                                                                   \
    sum->histories.name += of->name > 0;
    SIM_COUNTS(SIM_COUNT_ADD)
#undef SIM_COUNT_ADD
}

static void history(const struct options *o, struct fixture *fixtures[], struct tally *sum)
{
    struct world w = {.options = *o, .random = o->seed};
    w.random_net = draw(&w.random);
    w.random_product = draw(&w.random);
    w.random_work = draw(&w.random);
    w.random_member = draw(&w.random);
    w.founders = o->nodes != 0 ? o->nodes : 3 + 2 * (uint32_t)(draw_below(&w.random, 8) / 3);
    w.nodes = w.founders;
    if (fixtures[w.founders] == NULL) {
        fixtures[w.founders] = fixture_new(w.founders);
    }
    w.fixture = fixtures[w.founders];
    w.net = seam_net_new();
    w.checker = checker_new(&w);
    w.model = model_new(&w);
    for (uint32_t i = 0; i < w.nodes; i++) {
        w.machines[i] = machine_new(&w, i);
        machine_start_after(w.machines[i], draw_below(&w.random, 500 * NS_PER_MS));
    }
    faults_start(&w);
    w.officer = officer_new(&w, false);
    static const uint64_t PACES_MS[] = {20, 100, 500, 2000};
    w.pace_ms = PACES_MS[draw_below(&w.random, 4)];
    w.checkpoint_bytes = UINT64_C(8192) << draw_below(&w.random, 5);
    w.client_count = SIM_CLIENTS_MAX;
    for (uint32_t i = 0; i < w.client_count; i++) {
        w.clients[i] = client_new(&w, i);
    }
    while (w.steps < o->steps && world_step(&w)) {
    }
    heal(&w);
    check_end(&w);
    trace(&w, "well: height %llu, %llu steps", (unsigned long long)model_height(w.model),
          (unsigned long long)w.steps);
    take_down(&w);
    add_counts(&w.counts, sum);
}

/* ---- the program ---- */

struct run {
    struct options options;
    struct fixture *fixtures[SIM_FOUNDERS_MAX + 1];
    struct tally sum;
    uint64_t count, done;
    bool minimise;
    const char *seeds_path;
};

static void run_one(void *ctx, const struct options *o)
{
    struct run *run = ctx;
    history(o, run->fixtures, &run->sum);
    run->done++;
}

static void print_count(const char *text, uint64_t times, uint64_t histories)
{
    printf("%12llu  in %6llu histories  %s%s\n", (unsigned long long)times,
           (unsigned long long)histories, text, times == 0 ? "  (never: not tested)" : "");
}

static void print_counts(const struct tally *sum, uint64_t histories)
{
    printf("%llu histories\n", (unsigned long long)histories);
#define SIM_COUNT_PRINT(name, text) print_count(text, sum->times.name, sum->histories.name);
    SIM_COUNTS(SIM_COUNT_PRINT)
#undef SIM_COUNT_PRINT
}

static uint64_t number_of(const char *option, const char *text)
{
    char *end = NULL;
    uint64_t value = text == NULL ? 0 : strtoull(text, &end, 10);
    if (text == NULL || end == text || *end != '\0') {
        fprintf(stderr, "sim: %s needs a number; see sim --help\n", option);
        exit(2);
    }
    return value;
}

static void take_bug(struct options *o, const char *name)
{
#ifdef SIM_PLANTED
    o->expected = true;
    if (bugs_plant(name) != BUG_COUNT) {
        return;
    }
    fprintf(stderr, "sim: no bug '%s'; see bugs.h\n", name);
#else
    (void)o;
    fprintf(stderr, "sim: %s: bugs are planted in sim_bugs alone\n", name);
#endif
    exit(2);
}

/* An option without a value; false: it is none of these. */
static bool take_flag(struct run *run, const char *name)
{
    if (strcmp(name, "--help") == 0) {
        fputs(HELP, stdout);
        exit(0);
    }
    bool is_trace = strcmp(name, "--trace") == 0;
    bool is_minimise = strcmp(name, "--minimise") == 0;
    run->options.trace = run->options.trace || is_trace;
    run->minimise = run->minimise || is_minimise;
    return is_trace || is_minimise;
}

static void take_option(struct run *run, const char *name, const char *value)
{
    struct options *o = &run->options;
    if (value == NULL) {
        fprintf(stderr, "sim: unknown option, or one without its value: %s\n%s", name, HELP);
        exit(2);
    }
    if (strcmp(name, "--bug") == 0) {
        take_bug(o, value);
    } else if (strcmp(name, "--off") == 0) {
        o->off |= faults_parse(value);
    } else if (strcmp(name, "--profile") == 0) {
        o->off |= faults_profile(value);
    } else if (strcmp(name, "--seeds") == 0) {
        run->seeds_path = value;
    } else if (strcmp(name, "--seed") == 0) {
        o->seed = number_of(name, value);
    } else if (strcmp(name, "--steps") == 0) {
        o->steps = number_of(name, value);
    } else if (strcmp(name, "--nodes") == 0) {
        o->nodes = (uint32_t)number_of(name, value);
    } else if (strcmp(name, "--count") == 0) {
        run->count = number_of(name, value);
    } else {
        take_option(run, name, NULL);
    }
}

static void parse(int argc, char **argv, struct run *run)
{
    const struct options *o = &run->options;
    for (int i = 1; i < argc; i++) {
        if (!take_flag(run, argv[i])) {
            take_option(run, argv[i], argv[i + 1]);
            i++;
        }
    }
    if (o->nodes != 0 && o->nodes != 3 && o->nodes != 5 && o->nodes != 7) {
        fprintf(stderr, "sim: --nodes is 3, 5 or 7\n");
        exit(2);
    }
}

static void run_all(struct run *run)
{
    struct options o = run->options;
    o.first = o.seed;
    if (run->seeds_path != NULL) {
        seeds_run(run->seeds_path, &o, run_one, run);
        return;
    }
    for (uint64_t i = 0; i < run->count; i++) {
        run_one(run, &o);
        o.seed++;
    }
}

int main(int argc, char **argv)
{
    struct run run = {.options = {.seed = 1, .steps = STEPS_DEFAULT}, .count = 1};
    bool expected;
    parse(argc, argv, &run);
    expected = run.options.expected;
    if (run.minimise) {
        return minimise(&run.options, run_one, &run) ? 3 : 0;
    }
    run_all(&run);
    for (size_t i = 0; i <= SIM_FOUNDERS_MAX; i++) {
        fixture_free(run.fixtures[i]);
    }
    if (!run.options.trace) {
        print_counts(&run.sum, run.done);
    }
    if (expected) {
        fprintf(stderr, "sim: the planted bug was not found in %llu histories\n",
                (unsigned long long)run.done);
    }
    if (machine_has_jumped()) { /* a leak checker would find what those stacks held */
        fflush(NULL);
        _exit(expected);
    }
    return expected;
}
