/* What a record costs a node apart from network and Raft: blocks of transfers are applied to a real
 * state database, and the processor time of each stage is told for one record. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/require.h"
#include "crypto/random.h"
#include "crypto/sha256.h"
#include "rules/rules.h"
#include "tests/unit/ledger/world.h"

enum { JSON_MAX_BYTES = 160, ACCOUNTS_LEAST = 2 };

struct stages {
    struct world world;
    struct rules_registry *registry;
    struct rules_program *program;
    uint32_t blocks, events, accounts;
    uint64_t random;
    uint64_t begin_ns, step_ns, finish_ns; /* of this thread */
};

static uint64_t spent_ns(clockid_t id)
{
    struct timespec t;
    require(clock_gettime(id, &t) == 0);
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

/* A step of a linear congruential generator (Knuth's MMIX): spread is all that is needed. */
static uint32_t draw(struct stages *s)
{
    s->random = s->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(s->random >> 33);
}

/* The arguments of one transfer, in the arena. */
static struct bytes args_make(struct stages *s, struct arena *a)
{
    char json[JSON_MAX_BYTES];
    uint32_t debtor = draw(s) % s->accounts;
    uint32_t creditor = (debtor + 1 + draw(s) % (s->accounts - 1)) % s->accounts;
    int size = snprintf(json, sizeof json,
                        "{\"debtor\":\"s.%" PRIu32 "\",\"creditor\":\"s.%" PRIu32
                        "\",\"amount\":\"1.%02u EUR\"}",
                        debtor, creditor, (unsigned)(draw(s) % 100));
    struct buf args;
    struct errtext why;
    buf_init_in(&args, a, 4096);
    if (failed(rules_args_from_json(s->program, bytes_text("pay"), bytes_of(json, (size_t)size),
                                    &args, &why))) {
        die("%s", why.text);
    }
    return buf_bytes(&args);
}

/* One signed request of many transfers, in the arena. */
static struct bytes envelope_make(struct stages *s, struct arena *a)
{
    struct event *events = arena_new(a, s->events, sizeof *events);
    struct buf bytes;
    uint8_t public[SIGN_PUBLIC_SIZE];
    uint8_t input[SIGNING_INPUT_SIZE];
    struct signature signature;
    for (uint32_t i = 0; i < s->events; i++) {
        events[i] = (struct event){.contract = bytes_text("transfer.roquefort"),
                                   .action = bytes_text("pay"),
                                   .args = args_make(s, a)};
    }
    struct body body = {
        .event_count = s->events, .events = events, .on_behalf = bytes_text("pmo.roquefort")};
    memcpy(body.ledger_id, ledger_id(s->world.ledger), sizeof body.ledger_id);
    random_bytes(body.request_id, sizeof body.request_id);
    random_bytes(body.salt, sizeof body.salt);
    buf_init_in(&bytes, a, BODY_BYTES_MAX);
    body_encode(&body, &bytes);
    struct bytes encoded = buf_bytes(&bytes);
    request_signing_input(encoded, input);
    sign_key_public(s->world.keys[KEY_PMO], public);
    sign_key_id(public, signature.key_id);
    sign_message(s->world.keys[KEY_PMO], bytes_of(input, sizeof input), signature.value);
    buf_init_in(&bytes, a, ENVELOPE_BYTES_MAX);
    envelope_encode(encoded, &signature, 1, &bytes);
    require(!bytes.overflow);
    return buf_bytes(&bytes);
}

static void apply_block(struct stages *s, struct bytes block)
{
    struct world *w = &s->world;
    static const bool VERIFIED[1] = {true}; /* by workers, in a node */
    struct ledger_input input = {w->raft_index + 1, block, VERIFIED};
    struct errtext why;
    uint64_t at[4];
    at[0] = spent_ns(CLOCK_THREAD_CPUTIME_ID);
    if (failed(ledger_apply_begin(w->ledger, &input, &why))) {
        die("%s", why.text);
    }
    at[1] = spent_ns(CLOCK_THREAD_CPUTIME_ID);
    while (!ledger_apply_step(w->ledger, EVENTS_MAX)) {
    }
    at[2] = spent_ns(CLOCK_THREAD_CPUTIME_ID);
    const struct ledger_result *result = ledger_apply_finish(w->ledger);
    at[3] = spent_ns(CLOCK_THREAD_CPUTIME_ID);
    if (result == NULL || result->accepted != s->events) {
        die("not all transfers of a block were accepted");
    }
    w->raft_index++;
    w->head = result->head;
    w->time_ns = result->head.time_ns;
    s->begin_ns += at[1] - at[0];
    s->step_ns += at[2] - at[1];
    s->finish_ns += at[3] - at[2];
}

static void run(struct stages *s)
{
    for (uint32_t i = 0; i < s->blocks; i++) {
        arena_reset(&s->world.arena);
        struct bytes envelope = envelope_make(s, &s->world.arena);
        apply_block(s, world_block(&s->world, &envelope, 1));
    }
}

static uint32_t number(const char *text, uint32_t least)
{
    unsigned long value = strtoul(text, NULL, 10);
    return value < least || value > UINT32_MAX ? 0 : (uint32_t)value;
}

int main(int argc, char **argv)
{
    static struct stages s;
    static const char *const CONTRACTS[] = {"contracts/transfer.rules"};
    s.blocks = argc == 4 ? number(argv[1], 1) : 0;
    s.events = argc == 4 ? number(argv[2], 1) : 0;
    s.accounts = argc == 4 ? number(argv[3], ACCOUNTS_LEAST) : 0;
    if (s.blocks == 0 || s.events == 0 || s.events > EVENTS_MAX || s.accounts == 0) {
        fprintf(stderr,
                "usage: stages BLOCKS EVENTS ACCOUNTS   (EVENTS at most %d)\n"
                "example: stages 100 1000 100000\n",
                EVENTS_MAX);
        return 2;
    }
    world_open(&s.world, CONTRACTS, 1);
    struct rules_diag diag;
    s.registry = rules_registry_default();
    struct rules_env env = {s.registry, sha256};
    struct bytes text = world_file(&s.world, CONTRACTS[0]);
    require(!failed(rules_compile(&env, text, &s.program, &diag)));
    uint64_t made = spent_ns(CLOCK_THREAD_CPUTIME_ID);
    uint64_t all = spent_ns(CLOCK_PROCESS_CPUTIME_ID);
    run(&s);
    struct errtext why;
    require(!failed(kv_flush(s.world.kv, &why)));
    made = spent_ns(CLOCK_THREAD_CPUTIME_ID) - made;
    all = spent_ns(CLOCK_PROCESS_CPUTIME_ID) - all;
    uint64_t applied = s.begin_ns + s.step_ns + s.finish_ns;
    uint64_t count = (uint64_t)s.blocks * s.events;
    printf("{\"figure\":\"stages\",\"records\":%" PRIu64 ",\"events_a_block\":%u,\"accounts\":%u"
           ",\"begin_ns\":%" PRIu64 ",\"events_ns\":%" PRIu64 ",\"finish_ns\":%" PRIu64
           ",\"background_ns\":%" PRIu64 ",\"apply_ns\":%" PRIu64 "}\n",
           count, s.events, s.accounts, s.begin_ns / count, s.step_ns / count, s.finish_ns / count,
           (all - made) / count, (applied + all - made) / count);
    rules_program_free(s.program);
    rules_registry_free(s.registry);
    world_close(&s.world);
    return 0;
}
