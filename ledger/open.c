/* Opening: the genesis state is written once; later starts load it and check that it belongs. */
#include <stdlib.h>

#include "base/mem.h"
#include "base/require.h"
#include "crypto/sha256.h"
#include "ledger/record.h"
#include "ledger/state.h"
#include "ledger/timers.h"

/* ---- tables made of genesis ---- */

static void institutions_make(struct ledger *l)
{
    const struct genesis *g = l->genesis;
    l->institutions = arena_new(&l->arena, g->institution_count, sizeof(*l->institutions));
    for (uint32_t i = 0; i < g->institution_count; i++) {
        const struct institution *from = &g->institutions[i];
        struct ledger_named_key *officers =
            arena_new(&l->arena, from->officer_count + 1, sizeof(*officers));
        for (uint32_t k = 0; k < from->officer_count; k++) {
            officers[k].name = from->officers[k].name;
            memcpy(officers[k].key, from->officers[k].key, sizeof(officers[k].key));
        }
        l->institutions[i] = (struct ledger_institution){
            .name = from->name,
            .certificates = from->ca_certs,
            .certificate_count = from->ca_cert_count,
            .governance_keys = (const uint8_t(*)[32])from->governance_keys,
            .governance_key_count = from->governance_key_count,
            .officers = officers,
            .officer_count = from->officer_count,
        };
    }
}

static err registry_make(struct ledger *l, struct errtext *reterr)
{
    struct buf lines;
    buf_init(&lines, GENESIS_BYTES_MAX);
    for (uint32_t i = 0; i < l->genesis->measure_count; i++) {
        buf_put_bytes(&lines, l->genesis->measures[i]);
        buf_put_u8(&lines, '\n');
    }
    err e = rules_registry_parse(buf_bytes(&lines), &l->registry, reterr);
    buf_done(&lines);
    return failed(e) ? err_wrapf(reterr, e, "genesis: measures") : e;
}

static err genesis_read(struct ledger *l, struct bytes genesis, struct errtext *reterr)
{
    if (genesis.size > GENESIS_BYTES_MAX) {
        return err_fail(reterr, ERR_INVALID, "genesis: longer than %d bytes", GENESIS_BYTES_MAX);
    }
    arena_init(&l->arena, 64 * (size_t)GENESIS_BYTES_MAX);
    struct bytes kept = arena_copy(&l->arena, genesis);
    TRY(genesis_decode(kept, &l->arena, &l->genesis, reterr));
    genesis_ledger_id(kept, l->id);
    l->zone = arena_text(&l->arena, l->genesis->zone);
    int32_t day = 0;
    if (!rules_day_in_zone(rules_time_of_ns(l->genesis->created_ns), l->zone, &day)) {
        return err_fail(reterr, ERR_INVALID,
                        "genesis: zone '%.100s' is not known, or was not at the time of creation",
                        l->zone);
    }
    institutions_make(l);
    return registry_make(l, reterr);
}

/* ---- the state of height 0 ---- */

static void party_found(struct ledger *l, enum party_kind kind, const char *name,
                        struct bytes institution)
{
    struct party form = {.kind = kind,
                         .name = (char *)(uintptr_t)name,
                         .institution = arena_text(&l->arena, institution)};
    (void)parties_add(&l->parties, &form);
}

static void found_institution(struct ledger *l, const struct institution *from)
{
    const char *name =
        arena_printf(&l->arena, "ledger.%.*s", (int)from->name.size, (const char *)from->name.data);
    party_found(l, PARTY_GOVERNANCE, name, from->name);
    struct party *party = parties_find(&l->parties, bytes_text(name));
    for (uint32_t i = 0; i < from->governance_key_count; i++) {
        parties_add_key(&l->parties, party, from->governance_keys[i], 0);
    }
    parties_put(&l->parties, l->batch, party);
    for (uint32_t i = 0; i < from->officer_count; i++) {
        const struct officer *officer = &from->officers[i];
        const char *full = arena_printf(&l->arena, "%s.%.*s", name, (int)officer->name.size,
                                        (const char *)officer->name.data);
        require(strlen(full) <= NAME_BYTES_MAX); /* genesis_decode has checked */
        party_found(l, PARTY_OFFICER, full, from->name);
        party = parties_find(&l->parties, bytes_text(full));
        parties_add_key(&l->parties, party, officer->key, 0);
        parties_put(&l->parties, l->batch, party);
    }
}

/* Names and keys are unique: genesis_decode has checked. */
static void found_parties(struct ledger *l)
{
    const struct genesis *g = l->genesis;
    for (uint32_t i = 0; i < g->institution_count; i++) {
        found_institution(l, &g->institutions[i]);
    }
    for (uint32_t i = 0; i < g->party_count; i++) {
        const struct party_entry *from = &g->parties[i];
        party_found(l, PARTY_PLAIN, arena_text(&l->arena, from->name), from->institution);
        struct party *party = parties_find(&l->parties, from->name);
        for (uint32_t k = 0; k < from->key_count; k++) {
            parties_add_key(&l->parties, party, from->keys[k], 0);
        }
        parties_put(&l->parties, l->batch, party);
    }
}

static err found_contracts(struct ledger *l, struct errtext *reterr)
{
    for (uint32_t i = 0; i < l->genesis->contract_count; i++) {
        const struct ledger_contract *contract = NULL;
        struct errtext why = {{0}};
        enum deploy_end end =
            contracts_deploy(&l->contracts, l->genesis->contracts[i], 0, l->batch, &contract, &why);
        if (end != DEPLOY_OK) {
            return err_fail(reterr, ERR_INVALID, "genesis: contracts[%u]: %s", i, why.text);
        }
    }
    return err_ok();
}

static err found(struct ledger *l, struct bytes genesis, struct errtext *reterr)
{
    struct merkle_hash root;
    found_parties(l);
    nodes_found(&l->nodes, l->genesis, l->batch);
    TRY(found_contracts(l, reterr));
    l->head = (struct ledger_head){.time_ns = l->genesis->created_ns};
    tiles_root(l->tiles, &root);
    memcpy(l->head.root, root.bytes, sizeof(l->head.root));
    kv_batch_put(l->batch, l->kv, FAMILY_META, bytes_text(GENESIS_KEY), genesis);
    head_put(l, &l->head, 0);
    TRY(kv_commit(l->kv, l->batch, true, reterr));
    kv_batch_clear(l->batch);
    return err_ok();
}

static err load(struct ledger *l, struct errtext *reterr)
{
    TRY(head_load(l, reterr));
    TRY(void_blocks_load(l, reterr));
    TRY(parties_load(&l->parties, reterr));
    TRY(contracts_load(&l->contracts, reterr));
    TRY(nodes_load(&l->nodes, reterr));
    TRY(tiles_load(l->tiles, &l->head, reterr));
    return accounts_check(&l->accounts, reterr);
}

static err open_state(struct ledger *l, struct bytes genesis, struct errtext *reterr)
{
    struct buf stored;
    buf_init(&stored, GENESIS_BYTES_MAX);
    err e = kv_get(l->kv, FAMILY_META, bytes_text(GENESIS_KEY), &stored, reterr);
    if (err_is(e, ERR_NOT_FOUND)) {
        e = found(l, genesis, reterr);
    } else if (!failed(e) && !bytes_equal(buf_bytes(&stored), genesis)) {
        e = err_fail(reterr, ERR_CONFLICT, "this state belongs to another ledger");
    } else if (!failed(e)) {
        e = load(l, reterr);
    }
    buf_done(&stored);
    return e;
}

static void prepare(struct ledger *l, struct kv *kv)
{
    const uint64_t *seed = l->options.map_seed;
    l->kv = kv;
    l->batch = kv_batch_new();
    l->verifier = verifier_new();
    l->timer_next_ns = UINT64_MAX;
    accounts_init(&l->accounts, kv, seed);
    rows_init(&l->rows, kv, FAMILY_ROWS, seed);
    rows_init(&l->timers, kv, FAMILY_TIMERS, seed);
    l->timers.cached = false;
    parties_init(&l->parties, kv, seed);
    nodes_init(&l->nodes, kv);
    l->tiles = tiles_new(kv);
    buf_init(&l->key, ROW_BYTES_MAX);
    buf_init(&l->value, 2 * (size_t)ROW_BYTES_MAX);
    buf_init(&l->record, RECORD_BYTES_MAX);
    arena_init(&l->apply.arena, RULES_APPLY_ARENA_MAX);
    arena_init(&l->apply.envelope_arena, 2 * RULES_APPLY_ARENA_MAX);
    arena_init(&l->apply.event_arena, RULES_APPLY_ARENA_MAX);
    arena_reserve(&l->apply.event_arena, RULES_ARENA_RESERVE);
    arena_init(&l->apply.requests_arena, RULES_APPLY_ARENA_MAX);
    inputs_init(&l->inputs);
    store_init(l);
}

err ledger_open(struct kv *kv, struct bytes genesis, const struct ledger_options *options,
                struct ledger **ret, struct errtext *reterr)
{
    require(kv != NULL);
    require(options != NULL);
    require(ret != NULL);
    struct ledger *l = mem_new(1, sizeof(*l));
    l->options = *options;
    prepare(l, kv);
    err e = genesis_read(l, genesis, reterr);
    if (!failed(e)) {
        struct rules_env env = {l->registry, sha256};
        contracts_init(&l->contracts, kv, &env);
        e = open_state(l, genesis, reterr);
    }
    if (failed(e)) {
        ledger_close(l);
        return e;
    }
    timer_next_update(l);
    *ret = l;
    return err_ok();
}

void ledger_close(struct ledger *l)
{
    if (l == NULL) {
        return;
    }
    if (l->contracts.kv != NULL) {
        contracts_done(&l->contracts);
    }
    accounts_done(&l->accounts);
    rows_done(&l->rows);
    rows_done(&l->timers);
    parties_done(&l->parties);
    nodes_done(&l->nodes);
    tiles_free(l->tiles);
    rules_registry_free(l->registry);
    verifier_free(l->verifier);
    kv_batch_free(l->batch);
    buf_done(&l->key);
    buf_done(&l->value);
    buf_done(&l->record);
    inputs_done(&l->inputs);
    arena_done(&l->apply.arena);
    arena_done(&l->apply.envelope_arena);
    arena_done(&l->apply.event_arena);
    arena_done(&l->apply.requests_arena);
    arena_done(&l->arena);
    free(l);
}

/* ---- facts ---- */

struct ledger_head ledger_head(const struct ledger *l)
{
    require(l != NULL);
    return l->head;
}

uint64_t ledger_applied_index(const struct ledger *l)
{
    require(l != NULL);
    return l->applied_index;
}

err ledger_flush(struct ledger *l, uint64_t *ret_durable_index, struct errtext *reterr)
{
    require(l != NULL);
    require(ret_durable_index != NULL);
    TRY(kv_flush(l->kv, reterr));
    *ret_durable_index = l->applied_index;
    return err_ok();
}

const uint8_t *ledger_id(const struct ledger *l)
{
    require(l != NULL);
    return l->id;
}

struct bytes ledger_origin(const struct ledger *l)
{
    require(l != NULL);
    return l->genesis->origin;
}

uint64_t ledger_head_interval_ns(const struct ledger *l)
{
    require(l != NULL);
    return (uint64_t)l->genesis->head_interval_ms * 1000000;
}

uint64_t ledger_timer_next_ns(const struct ledger *l)
{
    require(l != NULL);
    return l->timer_next_ns;
}

const struct ledger_institution *ledger_institutions(const struct ledger *l, size_t *ret_count)
{
    require(l != NULL);
    *ret_count = l->genesis->institution_count;
    return l->institutions;
}

const struct ledger_node *ledger_nodes(const struct ledger *l, size_t *ret_count)
{
    require(l != NULL);
    *ret_count = l->nodes.live_count;
    return l->nodes.live;
}

const struct ledger_node *ledger_nodes_ever(const struct ledger *l, size_t *ret_count)
{
    require(l != NULL);
    *ret_count = l->nodes.ever_count;
    return l->nodes.ever;
}

const struct ledger_node *ledger_node_find(const struct ledger *l, uint64_t id)
{
    require(l != NULL);
    for (size_t i = 0; i < l->nodes.ever_count; i++) {
        if (l->nodes.ever[i].id == id) {
            return &l->nodes.ever[i];
        }
    }
    return NULL;
}

bool ledger_party_find(const struct ledger *l, struct bytes name, struct ledger_party *ret)
{
    require(l != NULL);
    const struct party *party = parties_find(&l->parties, name);
    if (party == NULL || party->added_height > l->head.height) {
        return false;
    }
    /* Keys are appended: those of the block being applied stand last and are left out. */
    size_t count = 0;
    while (count < party->key_count && party->keys[count].added_height <= l->head.height) {
        count++;
    }
    *ret = (struct ledger_party){bytes_text(party->name), bytes_text(party->institution),
                                 party->keys, count};
    return true;
}
