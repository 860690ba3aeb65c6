/* Random events through contracts, and what must hold of each (docs/TESTING.md):
 *   - it costs no more than its static bound: steps, effects, bytes of effects and trace;
 *   - the same event on the same state gives the same bytes;
 *   - refusals and faults have no effects; every measure sums to zero over all accounts;
 *   - shares of `apportion` are those of a naive oracle; what `clear` buys is what it sells.
 * The last line is the digest over everything: another build must print the same one.
 *
 *   rules_property [--seed S] [--count N] CONTRACT... */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/require.h"
#include "crypto/sha256.h"
#include "rules/json.h"
#include "rules/memory.h"
#include "rules/program.h"
#include "rules_random.h"

enum { LIFE_EVENTS = 500 }; /* then the state begins anew, before tables are full */

struct run {
    struct rules_program *program;
    struct random_law random;
    struct memory state;
    struct arena arena; /* of one event */
    uint8_t digest[RULES_HASH_SIZE];
    uint64_t events, ends[4], timers, shared, cleared;
    uint64_t index; /* of the life */
};

#define must(fact, ...)                                                                            \
    do {                                                                                           \
        if (!(fact)) {                                                                             \
            fprintf(stderr, "%s, event %llu: ", (const char *)u->program->facts.contract.data,    \
                    (unsigned long long)u->events);                                                \
            fprintf(stderr, __VA_ARGS__);                                                          \
            fprintf(stderr, "\n");                                                                 \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

/* ---- apportion and clear, as the trace tells them ---- */

/* The whole number of quanta in "-7.85 EUR", "40*1/3 EUR" or 3. */
static int128 quanta_of(const struct raw *v)
{
    if (v->kind == RAW_INT) {
        return v->as.number;
    }
    int128 n = 0;
    bool negative = false;
    for (size_t i = 0; v->kind == RAW_TEXT && i < v->as.text.size; i++) {
        uint8_t c = v->as.text.data[i];
        if (c == ' ' || c == '*') {
            break;
        }
        negative = negative || c == '-';
        if (c >= '0' && c <= '9') {
            n = n * 10 + (c - '0');
        }
    }
    return negative ? -n : n;
}

/* The remainder that an item leaves, and how many items stand before it in the order of the missing
 * units: larger remainders, then earlier items. */
static int128 naive_share(int128 total, int128 sum, const struct raw *weights, size_t i)
{
    size_t count = weights->as.list.count;
    int128 given = 0;
    int128 mine = total * quanta_of(&weights->as.list.items[i]) % sum;
    int128 before = 0;
    for (size_t k = 0; k < count; k++) {
        int128 product = total * quanta_of(&weights->as.list.items[k]);
        given += product / sum;
        before += product % sum > mine || (product % sum == mine && k < i);
    }
    return total * quanta_of(&weights->as.list.items[i]) / sum + (before < total - given);
}

static void check_apportion(struct run *u, const struct raw *e)
{
    int128 total = quanta_of(&e->as.list.items[3]);
    const struct raw *weights = &e->as.list.items[4];
    const struct raw *shares = &e->as.list.items[5];
    int128 sum = 0;
    int128 got = 0;
    must(weights->as.list.count == shares->as.list.count, "a share for each weight");
    for (size_t i = 0; i < weights->as.list.count; i++) {
        sum += quanta_of(&weights->as.list.items[i]);
        got += quanta_of(&shares->as.list.items[i]);
    }
    must(got == total || weights->as.list.count == 0, "the shares sum to the total");
    for (size_t i = 0; i < weights->as.list.count; i++) {
        int128 want = total == 0 ? 0 : naive_share(total, sum, weights, i);
        must(quanta_of(&shares->as.list.items[i]) == want, "share %zu differs", i);
    }
    u->shared++;
}

static void check_clear(struct run *u, const struct raw *e)
{
    int128 sides[2] = {0, 0};
    for (size_t s = 0; s < 2; s++) {
        const struct raw *shares = &e->as.list.items[4 + s];
        for (size_t i = 0; i < shares->as.list.count; i++) {
            int128 share = quanta_of(&shares->as.list.items[i]);
            must(share >= 0, "a share below zero");
            sides[s] += share;
        }
    }
    must(sides[0] == sides[1], "what is bought is sold");
    must(e->as.list.items[3].kind != RAW_NONE || sides[0] == 0, "no price, no trade");
    u->cleared++;
}

static void check_trace(struct run *u, struct bytes trace)
{
    struct arena a;
    struct raw list;
    arena_init(&a, (size_t)RULES_APPLY_ARENA_MAX);
    must(json_parse(trace, &a, &list) == NULL && list.kind == RAW_LIST, "the trace is a list");
    for (size_t i = 0; i < list.as.list.count; i++) {
        const struct raw *e = &list.as.list.items[i];
        must(e->kind == RAW_LIST && e->as.list.count >= 3, "a trace entry has a kind");
        struct bytes kind = e->as.list.items[2].as.text;
        if (bytes_equal(kind, bytes_text("apportion"))) {
            check_apportion(u, e);
        } else if (bytes_equal(kind, bytes_text("clear"))) {
            check_clear(u, e);
        }
    }
    arena_done(&a);
}

/* ---- bounds, sums, sameness ---- */

static void check_bound(struct run *u, const struct rules_event *ev, const struct rules_out *out)
{
    const struct rules_event_facts *f = rules_program_event_find(u->program, ev->name);
    size_t effects =
        out->posting_count + out->row_count + out->emit_count + out->schedule_count;
    must(f != NULL, "events are declared");
    must(out->spent <= f->bound.steps, "%lld steps of %lld", (long long)out->spent,
         (long long)f->bound.steps);
    must((int64_t)effects <= f->bound.effects, "%zu effects of %lld", effects,
         (long long)f->bound.effects);
    must((int64_t)(out->effects.size + out->trace.size) <= f->bound.bytes, "%zu bytes of %lld",
         out->effects.size + out->trace.size, (long long)f->bound.bytes);
    must(out->end == RULES_ACCEPTED || (effects == 0 && out->effects.size == 2),
         "only what is accepted has effects");
}

static void check_same(struct run *u, const struct rules_event *ev, const struct rules_out *out)
{
    struct arena a;
    struct rules_out again;
    arena_init(&a, (size_t)RULES_APPLY_ARENA_MAX);
    rules_apply(u->program, ev, &u->state.store, &a, &again);
    must(bytes_equal(out->outcome, again.outcome) && bytes_equal(out->effects, again.effects) &&
             bytes_equal(out->trace, again.trace),
         "the same event gives other bytes");
    arena_done(&a);
}

/* The family of an account key; issuance accounts included. */
static const struct family *family_of(const struct rules_program *p, struct bytes key)
{
    for (size_t i = 0; i < p->family_count; i++) {
        const struct family *f = p->families[i];
        if (bytes_has_prefix(key, f->prefix) || bytes_equal(key, f->issuance)) {
            return f;
        }
    }
    return NULL;
}

static void check_sums(struct run *u)
{
    const struct rules_program *p = u->program;
    for (size_t i = 0; i < p->family_count; i++) {
        const struct measure *m = p->families[i]->type->measure;
        int128 sum = 0;
        const struct tree_node *n = tree_above(&u->state.accounts, bytes_of("", 0), true);
        for (; n != NULL; n = tree_above(&u->state.accounts, n->key, false)) {
            const struct family *f = family_of(p, n->key);
            must(f != NULL, "an account belongs to a family");
            sum += f->type->measure == m ? *(const int64_t *)n->value : 0;
        }
        must(sum == 0, "the accounts in %s do not sum to zero", (const char *)m->name.data);
    }
}

/* ---- one event ---- */

static void do_event(struct run *u, const struct rules_event *ev)
{
    struct rules_out out;
    rules_apply(u->program, ev, &u->state.store, &u->arena, &out);
    u->events++;
    u->index++;
    u->ends[out.end]++;
    check_bound(u, ev, &out);
    check_trace(u, out.trace);
    if (u->events % 16 == 0) {
        check_same(u, ev, &out);
    }
    rules_digest(sha256, u->digest, ev->hash, u->program->facts.text_hash, &out);
    if (out.end == RULES_ACCEPTED) {
        memory_apply(&u->state, &out, u->index);
    }
    if (u->events % 64 == 0) {
        check_sums(u);
    }
}

static void do_timers(struct run *u, struct rules_time now)
{
    struct memory_timer *t;
    for (size_t fired = 0; fired < RULES_TIMERS_MAX && (t = memory_fire(&u->state, now)) != NULL;
         fired++) {
        struct rules_event ev = {
            .name = t->event,
            .now = t->at,
            .has_legal = true,
            .legal = t->legal,
            .args = t->args,
            .timer = true,
            .timers_waiting = u->state.waiting,
        };
        memcpy(ev.hash, t->hash, sizeof ev.hash);
        arena_reset(&u->arena);
        do_event(u, &ev);
        u->timers++;
    }
}

static void do_contract(struct run *u, uint64_t count)
{
    memory_init(&u->state);
    while (u->events < count) {
        struct rules_event ev;
        arena_reset(&u->arena);
        random_event(&u->random, &u->arena, &ev);
        struct arena kept = u->arena; /* the event outlives the timers before it */
        arena_init(&u->arena, (size_t)RULES_APPLY_ARENA_MAX);
        do_timers(u, ev.now);
        ev.timers_due = memory_due(&u->state, ev.now);
        ev.timers_waiting = u->state.waiting;
        do_event(u, &ev);
        arena_done(&u->arena);
        u->arena = kept;
        if (u->index >= LIFE_EVENTS) {
            check_sums(u);
            memory_done(&u->state);
            memory_init(&u->state);
            u->index = 0;
        }
    }
    check_sums(u);
    memory_done(&u->state);
}

/* ---- all ---- */

static struct rules_program *compile(const char *path, const struct rules_registry *registry)
{
    struct rules_env env = {registry, sha256};
    struct rules_program *p = NULL;
    struct rules_diag diag;
    char *text = mem_new(CONTRACT_BYTES_MAX + 1, 1);
    FILE *f = fopen(path, "rb");
    size_t size = f == NULL ? 0 : fread(text, 1, CONTRACT_BYTES_MAX, f);
    if (f == NULL || fclose(f) != 0 ||
        failed(rules_compile(&env, bytes_of(text, size), &p, &diag))) {
        fprintf(stderr, "%s does not compile\n", path);
        exit(1);
    }
    free(text);
    return p;
}

/* A contract that acts on rows of another one finds none here. */
static bool uses_others(const struct rules_program *p)
{
    for (size_t i = 0; i < p->table_count; i++) {
        if (p->tables[i]->uses) {
            return true;
        }
    }
    return false;
}

static void one_contract(const char *path, uint64_t seed, uint64_t count,
                         uint8_t digest[RULES_HASH_SIZE])
{
    struct rules_registry *registry = rules_registry_default();
    struct run u = {.program = compile(path, registry)};
    random_law_init(&u.random, u.program, seed);
    arena_init(&u.arena, (size_t)RULES_APPLY_ARENA_MAX);
    do_contract(&u, count);
    printf("%-28.*s %llu events: %llu accepted, %llu rejected, %llu faults; %llu timers, %llu "
           "shared out, %llu cleared\n",
           (int)u.program->facts.contract.size, (const char *)u.program->facts.contract.data,
           (unsigned long long)u.events, (unsigned long long)u.ends[RULES_ACCEPTED],
           (unsigned long long)u.ends[RULES_REJECTED], (unsigned long long)u.ends[RULES_FAULT],
           (unsigned long long)u.timers, (unsigned long long)u.shared,
           (unsigned long long)u.cleared);
    if (u.ends[RULES_ACCEPTED] == 0 && !uses_others(u.program)) {
        fprintf(stderr, "nothing was accepted, so nothing but the input check was tested\n");
        exit(1);
    }
    uint8_t both[2 * RULES_HASH_SIZE];
    memcpy(both, digest, RULES_HASH_SIZE);
    memcpy(both + RULES_HASH_SIZE, u.digest, RULES_HASH_SIZE);
    sha256(both, sizeof both, digest);
    arena_done(&u.arena);
    rules_program_free(u.program);
    rules_registry_free(registry);
}

int main(int argc, char **argv)
{
    uint64_t seed = (uint64_t)time(NULL);
    uint64_t count = 100000;
    int first = 1;
    while (first + 1 < argc && strncmp(argv[first], "--", 2) == 0) {
        uint64_t value = strtoull(argv[first + 1], NULL, 0);
        if (strcmp(argv[first], "--seed") == 0) {
            seed = value;
        } else if (strcmp(argv[first], "--count") == 0) {
            count = value;
        } else {
            break;
        }
        first += 2;
    }
    if (first >= argc || argv[first][0] == '-') {
        fprintf(stderr, "usage: rules_property [--seed S] [--count N] CONTRACT...\n");
        return 2;
    }
    uint8_t digest[RULES_HASH_SIZE] = {0};
    printf("seed %llu\n", (unsigned long long)seed);
    uint64_t each = count / (uint64_t)(argc - first) + 1;
    for (int i = first; i < argc; i++) {
        one_contract(argv[i], seed + (uint64_t)i, each, digest);
    }
    printf("digest ");
    for (size_t i = 0; i < RULES_HASH_SIZE; i++) {
        printf("%02x", digest[i]);
    }
    printf("\n");
    return 0;
}
