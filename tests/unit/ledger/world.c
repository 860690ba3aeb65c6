#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/require.h"
#include "crypto/note.h"
#include "proto/block.h"
#include "proto/genesis.h"
#include "rules/rules.h"

static void must(err e, const struct errtext *why)
{
    if (failed(e)) {
        die("%s: %s", err_name(e.code), why->text);
    }
}

struct bytes world_file(struct world *w, const char *path)
{
    char full[512];
    (void)snprintf(full, sizeof(full), "%s/%s", SOURCE_ROOT, path);
    FILE *f = fopen(full, "rb");
    if (f == NULL) {
        die("cannot open %s", full);
    }
    struct buf text;
    buf_init(&text, 1 << 20);
    for (size_t got = 1; got > 0;) {
        uint8_t *room = buf_room(&text, 4096);
        require(room != NULL);
        got = fread(room, 1, 4096, f);
        buf_added(&text, got);
    }
    (void)fclose(f);
    struct bytes copy = arena_copy(&w->arena, buf_bytes(&text));
    buf_done(&text);
    return copy;
}

const char *world_text(struct world *w, struct bytes b)
{
    return arena_text(&w->arena, b);
}

static void public_of(const struct world *w, enum world_key key, uint8_t ret[32])
{
    sign_key_public(w->keys[key], ret);
}

static void institution_make(struct world *w, struct institution *ret, const char *name,
                             enum world_key govern)
{
    struct arena *a = &w->arena;
    *ret = (struct institution){.name = bytes_text(name),
                                .ca_cert_count = 1,
                                .governance_key_count = 1,
                                .officer_count = 1};
    ret->ca_certs = arena_new(a, 1, sizeof(struct bytes));
    ret->ca_certs[0] = bytes_text(arena_printf(a, "certificate of %s", name));
    ret->governance_keys = arena_new(a, 1, 32);
    public_of(w, govern, ret->governance_keys[0]);
    ret->officers = arena_new(a, 1, sizeof(struct officer));
    ret->officers[0].name = bytes_text("anne");
    public_of(w, govern + 3, ret->officers[0].key);
}

static void node_make(struct world *w, struct node_entry *ret, uint64_t id, const char *institution)
{
    struct arena *a = &w->arena;
    *ret = (struct node_entry){.id = id, .institution = bytes_text(institution)};
    ret->name = bytes_text("one");
    ret->peer_address = bytes_text(arena_printf(a, "127.0.0.1:%u", 7000 + (unsigned)id));
    ret->client_address = bytes_text(arena_printf(a, "127.0.0.1:%u", 8000 + (unsigned)id));
    ret->transport_key = bytes_text(arena_printf(a, "transport key %u", (unsigned)id));
    sign_key_public(w->heads[id - 1], ret->head_key);
}

static void party_make(struct world *w, struct party_entry *ret, const char *name,
                       const char *institution, enum world_key key)
{
    *ret = (struct party_entry){
        .name = bytes_text(name), .institution = bytes_text(institution), .key_count = 1};
    ret->keys = arena_new(&w->arena, 1, 32);
    public_of(w, key, ret->keys[0]);
}

static void genesis_make(struct world *w, const struct bytes *texts, size_t count)
{
    static const char *const NAMES[] = {"energie", "social", "ville"};
    struct bytes measures[] = {
        bytes_text("measure EUR to 0.01"),   bytes_text("measure Wh to 0.001"),
        bytes_text("measure g to 1"),        bytes_text("measure h to 0.25"),
        bytes_text("measure pct to 0.0001"),
    };
    struct institution institutions[3];
    struct node_entry nodes[3];
    struct party_entry parties[3];
    struct bytes contracts[WORLD_CONTRACTS_MAX]; /* genesis_sort moves them */
    for (unsigned i = 0; i < 3; i++) {
        institution_make(w, &institutions[i], NAMES[i], (enum world_key)i);
        node_make(w, &nodes[i], i + 1, NAMES[i]);
    }
    party_make(w, &parties[0], "enedis", "energie", KEY_ENEDIS);
    party_make(w, &parties[1], "pmo.roquefort", "ville", KEY_PMO);
    party_make(w, &parties[2], "teller", "social", KEY_TELLER);
    require(count <= WORLD_CONTRACTS_MAX);
    for (size_t i = 0; i < count; i++) {
        contracts[i] = texts[i];
    }
    struct genesis g = {
        .origin = bytes_text(WORLD_ORIGIN),
        .created_ns = WORLD_START_NS,
        .measures = measures,
        .measure_count = 5,
        .zone = bytes_text("Europe/Paris"),
        .limits = genesis_limits_default(),
        .head_interval_ms = 1000,
        .institutions = institutions,
        .institution_count = 3,
        .nodes = nodes,
        .node_count = 3,
        .parties = parties,
        .party_count = 3,
        .contracts = contracts,
        .contract_count = (uint32_t)count,
    };
    genesis_sort(&g);
    buf_init(&w->genesis, GENESIS_BYTES_MAX);
    genesis_encode(&g, &w->genesis);
    require(!w->genesis.overflow);
}

static void open_at(struct world *w)
{
    struct errtext why = {{0}};
    struct kv_options options = {0};
    ledger_kv_families(&options);
    must(kv_open(w->dir, &options, &w->kv, &why), &why);
    struct ledger_options lo = {.map_seed = {1, 2}};
    must(ledger_open(w->kv, buf_bytes(&w->genesis), &lo, &w->ledger, &why), &why);
    w->head = ledger_head(w->ledger);
    w->raft_index = ledger_applied_index(w->ledger);
    w->time_ns = w->head.time_ns;
}

static void prepare(struct world *w)
{
    *w = (struct world){0};
    arena_init(&w->arena, (size_t)1 << 30);
    (void)snprintf(w->dir, sizeof(w->dir), "/tmp/concordat-ledger-XXXXXX");
    require(mkdtemp(w->dir) != NULL);
    for (uint8_t i = 0; i < WORLD_KEYS; i++) {
        uint8_t seed[SIGN_SEED_SIZE];
        memset(seed, 0x10 + i, sizeof(seed));
        w->keys[i] = sign_key_from_seed(seed);
    }
    for (uint8_t i = 0; i < WORLD_NODES; i++) {
        uint8_t seed[SIGN_SEED_SIZE];
        memset(seed, 0x41 + i, sizeof(seed));
        w->heads[i] = sign_key_from_seed(seed);
    }
}

void world_open_texts(struct world *w, const struct bytes *texts, size_t count)
{
    prepare(w);
    genesis_make(w, texts, count);
    open_at(w);
}

void world_open(struct world *w, const char *const *contracts, size_t count)
{
    struct bytes texts[WORLD_CONTRACTS_MAX];
    require(count <= WORLD_CONTRACTS_MAX);
    prepare(w);
    for (size_t i = 0; i < count; i++) {
        texts[i] = world_file(w, contracts[i]);
    }
    genesis_make(w, texts, count);
    open_at(w);
}

void world_twin(struct world *w, const struct world *of)
{
    prepare(w);
    buf_init(&w->genesis, GENESIS_BYTES_MAX);
    buf_put_bytes(&w->genesis, buf_bytes(&of->genesis));
    open_at(w);
}

static void remove_dir(const char *dir)
{
    char command[128];
    (void)snprintf(command, sizeof(command), "rm -rf %s", dir);
    require(system(command) == 0);
}

void world_close(struct world *w)
{
    ledger_close(w->ledger);
    kv_close(w->kv);
    remove_dir(w->dir);
    for (size_t i = 0; i < WORLD_KEYS; i++) {
        sign_key_free(w->keys[i]);
    }
    for (size_t i = 0; i < WORLD_NODES; i++) {
        sign_key_free(w->heads[i]);
    }
    buf_done(&w->genesis);
    arena_done(&w->arena);
}

void world_restart(struct world *w)
{
    ledger_close(w->ledger);
    kv_close(w->kv);
    open_at(w);
}

void world_crash(struct world *w)
{
    char copy[64] = "/tmp/concordat-ledger-XXXXXX";
    require(mkdtemp(copy) != NULL);
    char command[256];
    (void)snprintf(command, sizeof(command), "rm -rf %s/* && cp -a %s/. %s/ 2>/dev/null", copy,
                   w->dir, copy);
    /* The database removes files that it no longer needs while they are being copied: again then.
     */
    int tries = 0;
    while (system(command) != 0) {
        require(++tries < 20);
    }
    (void)snprintf(command, sizeof(command), "rm -f %s/LOCK", copy);
    require(system(command) == 0);
    ledger_close(w->ledger);
    kv_close(w->kv);
    remove_dir(w->dir);
    memcpy(w->dir, copy, sizeof(copy));
    open_at(w);
}

static struct bytes args_of(struct world *w, const struct action *action)
{
    if (action->json == NULL) {
        return action->args;
    }
    struct ledger_contract contract;
    struct errtext why = {{0}};
    if (!ledger_contract_find(w->ledger, bytes_text(action->contract), 0, &contract)) {
        die("no contract %s", action->contract);
    }
    struct buf args;
    buf_init(&args, ARGS_BYTES_MAX);
    must(rules_args_from_json(contract.program, bytes_text(action->name), bytes_text(action->json),
                              &args, &why),
         &why);
    struct bytes copy = arena_copy(&w->arena, buf_bytes(&args));
    buf_done(&args);
    return copy;
}

static struct bytes sign(struct world *w, const struct plan *plan, struct bytes body)
{
    uint8_t message[SIGNING_INPUT_SIZE];
    request_signing_input(body, message);
    size_t count = plan->signer_count == 0 ? 1 : plan->signer_count;
    struct signature signatures[SIGNATURES_MAX];
    for (size_t i = 0; i < count; i++) {
        uint8_t public[32];
        public_of(w, plan->signers[i], public);
        sign_key_id(public, signatures[i].key_id);
        sign_message(w->keys[plan->signers[i]], bytes_of(message, sizeof(message)),
                     signatures[i].value);
    }
    signatures_sort(signatures, (uint32_t)count);
    struct buf envelope;
    buf_init(&envelope, ENVELOPE_BYTES_MAX);
    envelope_encode(body, signatures, (uint32_t)count, &envelope);
    require(!envelope.overflow);
    struct bytes copy = arena_copy(&w->arena, buf_bytes(&envelope));
    buf_done(&envelope);
    return copy;
}

struct bytes world_envelope(struct world *w, const struct plan *plan)
{
    struct event events[WORLD_ACTIONS_MAX];
    struct body body = {
        .not_after_ns = plan->not_after_ns,
        .atomic = plan->atomic,
        .events = events,
        .on_behalf = bytes_text(plan->on_behalf),
    };
    memcpy(body.ledger_id, ledger_id(w->ledger), sizeof(body.ledger_id));
    memset(body.request_id, plan->id, sizeof(body.request_id));
    memset(body.salt, plan->id ^ 0x5a, sizeof(body.salt));
    for (size_t i = 0; plan->serial != 0 && i < 4; i++) {
        body.request_id[i] = (uint8_t)(plan->serial >> (24 - 8 * i));
    }
    while (body.event_count < WORLD_ACTIONS_MAX &&
           plan->actions[body.event_count].contract != NULL) {
        const struct action *action = &plan->actions[body.event_count];
        events[body.event_count++] = (struct event){
            .contract = bytes_text(action->contract),
            .action = bytes_text(action->name),
            .args = args_of(w, action),
            .has_legal_date = action->has_legal,
            .legal_date = action->legal,
        };
    }
    struct buf bytes;
    buf_init(&bytes, BODY_BYTES_MAX);
    body_encode(&body, &bytes);
    require(!bytes.overflow);
    struct bytes envelope = sign(w, plan, arena_copy(&w->arena, buf_bytes(&bytes)));
    buf_done(&bytes);
    return envelope;
}

struct bytes world_block(struct world *w, const struct bytes *envelopes, size_t count)
{
    struct block block = {
        .height = w->head.height + 1,
        .time_ns = w->time_ns + 1000000000,
        .envelopes = envelopes,
        .envelope_count = (uint32_t)count,
    };
    memcpy(block.previous, w->head.block_hash, sizeof(block.previous));
    struct buf bytes;
    buf_init(&bytes, BLOCK_BYTES_MAX);
    block_encode(&block, &bytes);
    require(!bytes.overflow);
    struct bytes copy = arena_copy(&w->arena, buf_bytes(&bytes));
    buf_done(&bytes);
    return copy;
}

const struct ledger_result *world_apply_block(struct world *w, struct bytes block)
{
    struct errtext why = {{0}};
    const struct ledger_result *result = NULL;
    struct ledger_input input = {w->raft_index + 1, block, NULL};
    must(ledger_block_apply(w->ledger, &input, &result, &why), &why);
    w->raft_index++;
    w->head = result->head;
    w->time_ns = result->head.time_ns;
    return result;
}

const struct ledger_result *world_apply(struct world *w, const struct bytes *envelopes,
                                        size_t count)
{
    return world_apply_block(w, world_block(w, envelopes, count));
}

struct ledger_outcome world_do(struct world *w, const struct plan *plan)
{
    struct bytes envelope = world_envelope(w, plan);
    const struct ledger_result *result = world_apply(w, &envelope, 1);
    if (result->applied[0].reason != REASON_NONE) {
        die("void: %s", reason_name(result->applied[0].reason));
    }
    return result->applied[0].answer.outcomes[0];
}

struct ledger_admission world_admit(struct world *w, struct bytes envelope)
{
    struct ledger_admission admission;
    ledger_admit(w->ledger, envelope, w->time_ns + 1, &w->arena, &admission);
    return admission;
}

const char *world_balance(struct world *w, const char *contract, const char *place)
{
    struct errtext why = {{0}};
    struct ledger_balance balance;
    struct ledger_place p = {bytes_text(contract), bytes_text(place)};
    must(ledger_query_balance(w->ledger, &p, &w->arena, &balance, &why), &why);
    return world_text(w, balance.amount);
}

struct bytes world_args_text(struct world *w, struct bytes text)
{
    struct buf args;
    buf_init(&args, ARGS_BYTES_MAX);
    rules_args_put_text(&args, "text", text);
    struct bytes copy = arena_copy(&w->arena, buf_bytes(&args));
    buf_done(&args);
    return copy;
}

struct bytes world_args_key(struct world *w, const char *party, enum world_key key)
{
    uint8_t public[32];
    public_of(w, key, public);
    struct buf args;
    buf_init(&args, ARGS_BYTES_MAX);
    rules_args_put_text(&args, "party", bytes_text(party));
    rules_args_put_octets(&args, "key", bytes_of(public, sizeof(public)));
    struct bytes copy = arena_copy(&w->arena, buf_bytes(&args));
    buf_done(&args);
    return copy;
}

void world_cosign(struct world *w, unsigned node, struct bytes text, uint64_t time_s,
                  struct buf *note)
{
    static const char *const NAMES[] = {"energie", "social", "ville"};
    uint8_t public[SIGN_PUBLIC_SIZE];
    struct note_key key;
    struct errtext why;
    char name[NOTE_NAME_BYTES_MAX];
    require(node >= 1 && node <= WORLD_NODES);
    struct sign_key *private = w->heads[node - 1];
    sign_key_public(private, public);
    must(note_key_make(NOTE_ED25519, WORLD_ORIGIN, public, &key, &why), &why);
    note_sign(&key, private, text, 0, note);
    (void)snprintf(name, sizeof(name), WORLD_ORIGIN "/%s/%u", NAMES[node - 1], node);
    must(note_key_make(NOTE_COSIGNATURE, name, public, &key, &why), &why);
    note_sign(&key, private, text, time_s, note);
}
