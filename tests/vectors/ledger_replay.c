/* The same random events through two ledgers, each on a database of its own: one is left alone, the
 * other is closed and opened, or killed, at random points. Both must come to the same bytes.
 *
 * The contracts are those that are delivered, so `uses`, timers, shares and an auction are in it;
 * only their parties have the names that the small ledger of the tests knows. Early in the stream
 * the digest over all records is compared with the one that the build file names: what another
 * compiler or a sanitizer makes of it must be the same.
 *
 *   ledger_replay ROOT [--seed S] [--count N] [--digest HEX] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "base/mem.h"
#include "base/require.h"
#include "rules/civil.h"
#include "rules_random.h"
#include "world.h"

enum {
    TEXTS = 5,
    SIGNERS = 3,
    ENVELOPE_EVENTS = 8,
    BLOCK_ENVELOPES = 8,
    GOLDEN_BLOCKS = 100,  /* then the digest is compared */
    FULL_EVENTS = 100000, /* in so many each contract accepts something */
    RESTARTS = 60,        /* one block in so many is followed by a restart, */
    CRASHES = 240,        /* and one in so many by a kill */
};

/* Signers by the bit that stands for them in a set. */
static const char *const NAMES[SIGNERS] = {"enedis", "pmo.roquefort", "teller"};
static const enum world_key KEYS[SIGNERS] = {KEY_ENEDIS, KEY_PMO, KEY_TELLER};

static const struct {
    const char *file, *contract;
    const char *from[SIGNERS], *to[SIGNERS];
} LAWS[TEXTS] = {
    {"contracts/solar-keys.rules", "solar.keys", {"pmo.bourg"}, {"pmo.roquefort"}},
    {"contracts/solar-shares.rules", "solar.shares", {"grid.operator"}, {"enedis"}},
    {"contracts/market.rules", "market.quartier", {"market.quartier"}, {"teller"}},
    {"contracts/vote.rules",
     "council.vote",
     {"clerk.council", "roll.council", "observer.council"},
     {"enedis", "pmo.roquefort", "teller"}},
    {"tests/unit/ledger/clock.rules", "test.clock", {NULL}, {NULL}},
};

struct replay {
    struct world steady, restless;
    struct random_law laws[TEXTS];
    struct seed seed;
    struct plan open[1U << SIGNERS]; /* requests that fill up, by who signs */
    size_t filled[1U << SIGNERS];
    struct bytes ready[BLOCK_ENVELOPES];
    size_t ready_count;
    uint32_t serial;
    uint64_t count; /* of events in all */
    uint64_t blocks, events, restarts, crashes, accepted[TEXTS], others, timers;
};

static uint64_t below(struct replay *r, uint64_t bound)
{
    return seed_below(&r->seed, bound);
}

/* ---- the texts ---- */

/* Appends the text without its tests, its parties renamed. */
static void renamed(struct bytes text, size_t law, struct buf *out)
{
    static const char TESTS[] = "\ntest \"";
    for (size_t i = 0; i < text.size;) {
        if (text.size - i >= sizeof TESTS && memcmp(text.data + i, TESTS, sizeof TESTS - 1) == 0) {
            buf_put_bytes(out, bytes_text("\n"));
            return;
        }
        size_t used = 0;
        for (size_t k = 0; k < SIGNERS && LAWS[law].from[k] != NULL && used == 0; k++) {
            char quoted[64];
            int size = snprintf(quoted, sizeof quoted, "= \"%s\"", LAWS[law].from[k]);
            require(size > 0);
            if (text.size - i >= (size_t)size && memcmp(text.data + i, quoted, (size_t)size) == 0) {
                buf_put_bytes(out, bytes_text("= \""));
                buf_put_bytes(out, bytes_text(LAWS[law].to[k]));
                buf_put_bytes(out, bytes_text("\""));
                used = (size_t)size;
            }
        }
        if (used == 0) {
            buf_put_bytes(out, bytes_of(text.data + i, 1));
            used = 1;
        }
        i += used;
    }
}

static void open_ledgers(struct replay *r, const char *root, uint64_t seed)
{
    struct buf texts[TEXTS];
    struct bytes views[TEXTS];
    char path[512];
    for (size_t i = 0; i < TEXTS; i++) {
        snprintf(path, sizeof path, "%s/%s", root, LAWS[i].file);
        FILE *f = fopen(path, "rb");
        char *text = mem_new(CONTRACT_BYTES_MAX, 1);
        require(f != NULL);
        size_t size = fread(text, 1, CONTRACT_BYTES_MAX, f);
        (void)fclose(f);
        buf_init(&texts[i], 2 * CONTRACT_BYTES_MAX);
        renamed(bytes_of(text, size), i, &texts[i]);
        views[i] = buf_bytes(&texts[i]);
        free(text);
    }
    world_open_texts(&r->steady, views, TEXTS);
    world_twin(&r->restless, &r->steady);
    for (size_t i = 0; i < TEXTS; i++) {
        struct ledger_contract c;
        require(ledger_contract_find(r->steady.ledger, bytes_text(LAWS[i].contract), 0, &c));
        random_law_init(&r->laws[i], c.program, seed + i);
        r->laws[i].party_count = 0; /* who takes part can also sign, but for one */
        for (size_t k = 0; k < SIGNERS; k++) {
            r->laws[i].parties[r->laws[i].party_count++] = bytes_text(NAMES[k]);
        }
        r->laws[i].parties[r->laws[i].party_count++] = bytes_text("a");
        buf_done(&texts[i]);
    }
}

/* ---- requests ---- */

/* Those of the event's signers who have a key; never nobody. */
static unsigned signer_set(const struct rules_event *ev)
{
    unsigned set = 0;
    for (size_t i = 0; i < ev->signer_count; i++) {
        for (unsigned k = 0; k < SIGNERS; k++) {
            set |= bytes_equal(ev->signers[i], bytes_text(NAMES[k])) ? 1U << k : 0;
        }
    }
    return set == 0 ? 4 : set;
}

static void send(struct replay *r, unsigned set)
{
    struct plan *p = &r->open[set];
    for (unsigned k = 0; k < SIGNERS; k++) {
        if ((set >> k & 1) != 0) {
            p->signers[p->signer_count++] = KEYS[k];
            p->on_behalf = NAMES[k];
        }
    }
    p->serial = ++r->serial;
    p->atomic = below(r, 16) == 0;
    r->ready[r->ready_count++] = world_envelope(&r->steady, p);
    *p = (struct plan){.id = 0};
    r->filled[set] = 0;
}

static void add_action(struct replay *r, unsigned set, const struct action *action)
{
    r->open[set].actions[r->filled[set]++] = *action;
    if (r->filled[set] == ENVELOPE_EVENTS) {
        send(r, set);
    }
}

static const char *random_readings(struct replay *r)
{
    static const uint64_t MOST[] = {500, 900, 3, 1000};
    static const char *const METERS[] = {"a", "enedis", "pmo.roquefort", "teller"};
    const char *list = "[";
    for (size_t i = 0; i < 4; i++) {
        list = arena_printf(&r->steady.arena, "%s%s{\"meter\":\"%s\",\"energy\":\"%u Wh\"}", list,
                            i == 0 ? "" : ",", METERS[i], (unsigned)below(r, MOST[i]));
    }
    return arena_printf(&r->steady.arena, "%s]", list);
}

/* A quarter-hour with a reading of everybody, which chance alone would hardly ever find. */
static void add_metering(struct replay *r)
{
    struct arena *a = &r->steady.arena;
    uint64_t quarter = r->steady.time_ns / UINT64_C(900000000000) - 1 - below(r, 200);
    struct civil_time start = {(int64_t)quarter * 900, 0};
    char text[CIVIL_TIME_TEXT_MAX];
    size_t size = civil_time_print(start, text);
    struct civil_zone zone;
    int32_t day = 0;
    require(civil_zone_parse(bytes_text("Europe/Paris"), &zone) == NUM_OK);
    require(civil_time_day(start, zone, &day) == NUM_OK);
    const char *made = random_readings(r), *used = random_readings(r);
    unsigned revision = below(r, 4) == 0 ? 2 : 1;
    struct action metering = {
        .contract = LAWS[1].contract,
        .name = "metering",
        .has_legal = true,
        .legal = day,
        .json = arena_printf(a, "{\"start\":\"%.*s\",\"revision\":%u,\"made\":%s,\"used\":%s}",
                             (int)size, text, revision, made, used),
    };
    add_action(r, 1, &metering);
}

static void add_event(struct replay *r)
{
    size_t law = below(r, TEXTS);
    struct rules_event ev;
    if (law == 1 && below(r, 4) > 0) {
        add_metering(r);
        return;
    }
    /* The law's clock is the ledger's, so that its dates are near. */
    r->laws[law].now.seconds = (int64_t)(r->steady.time_ns / 1000000000);
    random_event(&r->laws[law], &r->steady.arena, &ev);
    /* Who has left stays away: so nobody does before the end is near. */
    if (bytes_equal(ev.name, bytes_text("leave")) && r->events < r->count / 4 * 3) {
        return;
    }
    struct action action = {
        .contract = LAWS[law].contract, .name = world_text(&r->steady, ev.name), .args = ev.args};
    add_action(r, signer_set(&ev), &action);
}

/* ---- blocks ---- */

static void count_ends(struct replay *r, const struct ledger_result *result)
{
    r->timers += result->timers;
    for (size_t i = 0; i < result->applied_count; i++) {
        const struct ledger_applied *one = &result->applied[i];
        for (size_t k = 0; k < one->answer.outcome_count; k++) {
            const struct ledger_outcome *o = &one->answer.outcomes[k];
            r->events++;
            r->others += o->end != LEDGER_ACCEPTED;
            for (size_t law = 0; law < TEXTS && o->end == LEDGER_ACCEPTED; law++) {
                r->accepted[law] += bytes_equal(o->contract, bytes_text(LAWS[law].contract));
            }
        }
    }
}

static void digest_of(struct world *w, char ret[65])
{
    uint8_t digest[32];
    struct errtext why;
    require(!failed(ledger_state_digest(w->ledger, digest, &why)));
    hex_encode(bytes_of(digest, sizeof digest), ret);
}

/* false, and says so: they differ. The whole state is read only if `whole`. */
static bool same(struct replay *r, bool whole)
{
    struct ledger_head a = ledger_head(r->steady.ledger), b = ledger_head(r->restless.ledger);
    char x[65] = "", y[65] = "";
    if (whole) {
        digest_of(&r->steady, x);
        digest_of(&r->restless, y);
    }
    if (a.height == b.height && a.position == b.position && strcmp(x, y) == 0 &&
        memcmp(a.digest, b.digest, sizeof a.digest) == 0 &&
        memcmp(a.block_hash, b.block_hash, sizeof a.block_hash) == 0) {
        return true;
    }
    printf("block %llu: the ledgers differ: %s, %s\n", (unsigned long long)r->blocks, x, y);
    return false;
}

static bool do_block(struct replay *r)
{
    struct bytes block = world_block(&r->steady, r->ready, r->ready_count);
    r->ready_count = 0;
    count_ends(r, world_apply_block(&r->steady, block));
    (void)world_apply_block(&r->restless, block);
    r->blocks++;
    /* Days and deadlines pass. */
    r->steady.time_ns += below(r, 4) == 0 ? below(r, 86400) * 1000000000 : 0;
    if (below(r, CRASHES) == 0) {
        world_crash(&r->restless);
        r->crashes++;
        return same(r, false);
    }
    if (below(r, RESTARTS) == 0) {
        world_restart(&r->restless);
        r->restarts++;
    }
    return same(r, false);
}

static int report(struct replay *r)
{
    int code = same(r, true) ? 0 : 1;
    printf("%llu events in %llu blocks, %llu timers, %llu restarts, %llu crashes; not accepted "
           "%llu; accepted",
           (unsigned long long)r->events, (unsigned long long)r->blocks,
           (unsigned long long)r->timers, (unsigned long long)r->restarts,
           (unsigned long long)r->crashes, (unsigned long long)r->others);
    for (size_t i = 0; i < TEXTS; i++) {
        printf(" %s %llu", LAWS[i].contract, (unsigned long long)r->accepted[i]);
        code = r->events >= FULL_EVENTS && r->accepted[i] == 0 ? 1 : code;
    }
    printf("\n");
    return r->restarts == 0 || r->crashes == 0 || r->timers == 0 ? 1 : code;
}

int main(int argc, char **argv)
{
    static struct replay r;
    uint64_t seed = 1;
    const char *golden = NULL;
    if (argc < 2 || argc % 2 != 0) {
        fprintf(stderr, "usage: ledger_replay ROOT [--seed S] [--count N] [--digest HEX]\n");
        return 2;
    }
    r.count = 100000;
    for (int i = 2; i < argc; i += 2) {
        seed = strcmp(argv[i], "--seed") == 0 ? strtoull(argv[i + 1], NULL, 0) : seed;
        r.count = strcmp(argv[i], "--count") == 0 ? strtoull(argv[i + 1], NULL, 0) : r.count;
        golden = strcmp(argv[i], "--digest") == 0 ? argv[i + 1] : golden;
    }
    printf("seed %llu\n", (unsigned long long)seed);
    r.seed.state = seed;
    open_ledgers(&r, argv[1], seed);
    int code = 0;
    while (code == 0 && r.events < r.count) {
        while (r.ready_count < BLOCK_ENVELOPES) {
            add_event(&r);
        }
        code = do_block(&r) ? 0 : 1;
        if (r.blocks == GOLDEN_BLOCKS) {
            char text[65]; /* of all that was decided, however the state is stored */
            hex_encode(bytes_of(r.steady.head.digest, sizeof r.steady.head.digest), text);
            printf("digest of the records after %d blocks: %s\n", GOLDEN_BLOCKS, text);
            if (golden != NULL && strcmp(golden, text) != 0) {
                printf("the build file says %s\n", golden);
                code = 1;
            }
        }
    }
    code = code == 0 ? report(&r) : code;
    world_close(&r.steady);
    world_close(&r.restless);
    return code;
}
