#include "tests/sim/product/seeds.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/require.h"
#include "tests/sim/product/faults.h"

enum { LINE_BYTES = 512, TEXT_BYTES = 2048 };

/* ---- the list ---- */

void seeds_run(const char *path, const struct options *o, run_history *run, void *ctx)
{
    char line[LINE_BYTES];
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        fprintf(stderr, "sim: cannot open %s\n", path);
        exit(2);
    }
    while (fgets(line, sizeof line, file) != NULL) {
        unsigned long long seed = 0;
        unsigned long long steps = 0;
        unsigned nodes = 0;
        char off[LINE_BYTES];
        if (line[0] == '#' || line[0] == '\n') {
            continue;
        }
        if (sscanf(line, "%llu %llu %u %511s", &seed, &steps, &nodes, off) != 4) {
            fprintf(stderr, "sim: %s: not a seed: %s", path, line);
            exit(2);
        }
        struct options one = *o;
        one.seed = seed;
        one.steps = steps;
        one.nodes = nodes;
        one.off = strcmp(off, "-") == 0 ? 0 : faults_parse(off);
        run(ctx, &one);
    }
    fclose(file);
}

/* ---- making a failing seed small ---- */

struct attempt {
    bool failed;
    uint64_t step; /* at which it failed; 0: not said */
    char text[TEXT_BYTES];
};

static void read_all(int fd, char text[TEXT_BYTES])
{
    size_t size = 0;
    ssize_t got = 1;
    while (got > 0 && size < TEXT_BYTES - 1) {
        got = read(fd, text + size, TEXT_BYTES - 1 - size);
        size += got > 0 ? (size_t)got : 0;
    }
    text[size] = '\0';
}

static struct attempt try_it(const struct options *o, run_history *run, void *ctx)
{
    struct attempt a = {.failed = false};
    int ends[2];
    int status = 0;
    fflush(stdout);
    fflush(stderr);
    require(pipe(ends) == 0);
    pid_t child = fork();
    require(child >= 0);
    if (child == 0) {
        close(ends[0]);
        dup2(ends[1], STDERR_FILENO);
        run(ctx, o);
        _exit(0);
    }
    close(ends[1]);
    read_all(ends[0], a.text);
    close(ends[0]);
    require(waitpid(child, &status, 0) == child);
    a.failed =
        !WIFEXITED(status) || WEXITSTATUS(status) != 0 || strstr(a.text, "VIOLATION") != NULL;
    const char *at = strstr(a.text, ", step ");
    a.step = at == NULL ? 0 : strtoull(at + 7, NULL, 10);
    return a;
}

/* What was found, without where: another violation may take its place, and is one as well. */
static bool keep_if_fails(struct options *best, const struct options *other, run_history *run,
                          void *ctx, struct attempt *last)
{
    struct attempt a = try_it(other, run, ctx);
    if (a.failed) {
        *best = *other;
        *last = a;
    }
    return a.failed;
}

static void fewer_steps(struct options *best, run_history *run, void *ctx, struct attempt *last)
{
    if (last->step != 0 && last->step < best->steps) {
        best->steps = last->step; /* the same history until then */
        return;
    }
    for (uint64_t cut = best->steps / 2; cut > 16; cut /= 2) {
        struct options other = *best;
        other.steps -= cut;
        (void)keep_if_fails(best, &other, run, ctx, last);
    }
}

bool minimise(const struct options *o, run_history *run, void *ctx)
{
    struct options best = *o;
    struct attempt last = try_it(&best, run, ctx);
    if (!last.failed) {
        printf("seed %llu does not fail\n", (unsigned long long)o->seed);
        return false;
    }
    fewer_steps(&best, run, ctx, &last);
    struct options small = best;
    small.nodes = 3;
    if (best.nodes != 3) {
        small.steps = o->steps;
        (void)keep_if_fails(&best, &small, run, ctx, &last);
    }
    for (enum sim_fault f = 0; f < FAULT_COUNT; f++) {
        struct options other = best;
        other.off |= UINT32_C(1) << f;
        if ((best.off >> f & 1) == 0) {
            (void)keep_if_fails(&best, &other, run, ctx, &last);
        }
    }
    fewer_steps(&best, run, ctx, &last);
    printf("%ssim --seed %llu --steps %llu", last.text, (unsigned long long)best.seed,
           (unsigned long long)best.steps);
    if (best.nodes != 0) {
        printf(" --nodes %u", best.nodes);
    }
    const char *before = " --off ";
    for (enum sim_fault f = 0; f < FAULT_COUNT; f++) {
        if ((best.off >> f & 1) != 0) {
            printf("%s%s", before, fault_name(f));
            before = ",";
        }
    }
    putchar('\n');
    return true;
}
