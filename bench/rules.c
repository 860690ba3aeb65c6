/* What evaluation costs, alone and on one core: bench/rules [--json] FOLDER_OF_THE_PROJECT
 *
 *   node    one node of a typed tree: sums over a list of 10,000 numbers
 *   solar   a full quarter-hour of solar.rules: 150 members, 20 producers
 *   care    a claim of care.rules, with its lines
 *
 * Each is evaluated for half a second; the figure is the least of ten parts' means. Cost: 3 s. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "bench/law.h"

enum { PARTS = 10 };
#define PART_NS (50 * NS_PER_MS)

static const char NODES[] =
    "rules 1 contract bench.nodes version 1 effective 2026-01-01\n"
    "party p = \"p\"\n"
    "on go(l: list<int, max 10000>) signed by p dated date(\"2026-01-01\") {\n"
    "clause 1 \"sums\"\n"
    "let x = l.sum(i, (i + 3) * 2 - i * 7 + (i > 5 ? i : 5))\n"
    "}\n";

struct figure {
    const char *name;
    uint64_t ns;
    int64_t steps;
    size_t effects, trace, args, arena;
};

static struct figure measure(struct law_host *h, const char *name, struct bytes line)
{
    struct clock clock = clock_system();
    struct rules_event ev;
    struct rules_out out;
    struct figure f = {.name = name, .ns = UINT64_MAX};
    if (!law_host_event(h, line, &ev)) {
        fprintf(stderr, "%s: no event\n", name);
        exit(1);
    }
    for (int part = 0; part < PARTS; part++) {
        uint64_t begin = clock_monotonic_ns(&clock);
        uint64_t spent = 0;
        uint64_t rounds = 0;
        while (spent < PART_NS) {
            law_host_try(h, &ev, &out);
            rounds++;
            spent = clock_monotonic_ns(&clock) - begin;
        }
        f.ns = spent / rounds < f.ns ? spent / rounds : f.ns;
    }
    if (out.end != RULES_ACCEPTED) {
        fprintf(stderr, "%s: %.*s\n", name, (int)out.outcome.size,
                (const char *)out.outcome.data);
        exit(1);
    }
    f.steps = out.spent;
    f.effects = out.effects.size;
    f.trace = out.trace.size;
    f.args = ev.args.size;
    f.arena = h->arena.used;
    return f;
}

static void show(const struct figure *f, bool json)
{
    double each = (double)f->ns / (double)f->steps;
    if (json) {
        printf("{\"figure\":\"rules_%s\",\"ns\":%llu,\"steps\":%lld,\"ns_per_step\":%.2f,"
               "\"args_bytes\":%zu,\"effects_bytes\":%zu,\"trace_bytes\":%zu,"
               "\"arena_bytes\":%zu}\n",
               f->name, (unsigned long long)f->ns, (long long)f->steps, each, f->args, f->effects,
               f->trace, f->arena);
    } else {
        printf("%-6s %10.1f us  %8lld steps  %6.2f ns a step  arguments %zu, effects %zu, trace "
               "%zu, arena %zu bytes\n",
               f->name, (double)f->ns / 1000, (long long)f->steps, each, f->args, f->effects,
               f->trace, f->arena);
    }
}

static void bench_nodes(bool json)
{
    struct law_host h;
    struct buf line;
    law_host_init(&h, bytes_of(NODES, sizeof NODES - 1));
    buf_init(&line, 1 << 20);
    buf_put_text(&line, "{\"event\":\"go\",\"by\":[\"p\"],\"now\":\"2026-01-01T10:00:00Z\","
                        "\"args\":{\"l\":[0");
    for (unsigned i = 1; i < 10000; i++) {
        buf_printf(&line, ",%u", i % 11);
    }
    buf_put_text(&line, "]}}");
    struct figure f = measure(&h, "node", buf_bytes(&line));
    show(&f, json);
    buf_done(&line);
    law_host_done(&h);
}

static char *in_project(const char *root, const char *path)
{
    size_t size = strlen(root) + strlen(path) + 2;
    char *all = malloc(size);
    if (all == NULL) {
        exit(1);
    }
    (void)snprintf(all, size, "%s/%s", root, path);
    return all;
}

static void open_contract(struct law_host *h, const char *root, const char *path)
{
    size_t size = 0;
    char *name = in_project(root, path);
    char *text = law_read_file(name, &size);
    law_host_init(h, bytes_of(text, size));
    free(text);
    free(name);
}

static void bench_solar(const char *root, bool json)
{
    struct law_host h;
    open_contract(&h, root, "contracts/solar.rules");
    char *line = law_host_solar(&h);
    struct figure f = measure(&h, "solar", bytes_text(line));
    show(&f, json);
    free(line);
    law_host_done(&h);
}

/* Whether the line is a claim that would be paid. */
static bool accepted_claim(struct law_host *h, const char *line)
{
    struct rules_event ev;
    struct rules_out out;
    if (strstr(line, "\"event\":\"submit\"") == NULL ||
        !law_host_event(h, bytes_text(line), &ev)) {
        return false;
    }
    law_host_try(h, &ev, &out);
    return out.end == RULES_ACCEPTED;
}

/* The lines before the first claim that is accepted make the state. */
static void bench_care(const char *root, bool json)
{
    struct law_host h;
    size_t size = 0;
    open_contract(&h, root, "contracts/care.rules");
    char *name = in_project(root, "tests/vectors/contracts_events/care.events.jsonl");
    char *text = law_read_file(name, &size);
    char *rest = text;
    char *line;
    while ((line = strsep(&rest, "\n")) != NULL && !accepted_claim(&h, line)) {
        if (line[0] != '\0') {
            law_host_do(&h, bytes_text(line));
        }
    }
    if (line != NULL) {
        struct figure f = measure(&h, "care", bytes_text(line));
        show(&f, json);
    }
    free(text);
    free(name);
    law_host_done(&h);
}

int main(int argc, char **argv)
{
    bool json = argc == 3 && strcmp(argv[1], "--json") == 0;
    if (argc != 2 + json) {
        fprintf(stderr, "usage: rules [--json] FOLDER_OF_THE_PROJECT\n");
        return 2;
    }
    const char *root = argv[argc - 1];
    bench_nodes(json);
    bench_solar(root, json);
    bench_care(root, json);
    return 0;
}
