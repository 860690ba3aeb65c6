/* The trace of a decision that was recorded: read, or evaluated again from what the node kept
 * (ledger/inputs.h), and in both cases checked against the hash in the record. */
#include "base/require.h"
#include "ledger/apply.h"
#include "ledger/origin.h"
#include "ledger/read.h"

struct telling {
    const struct ledger *l;
    struct arena *arena; /* of the answer */
    struct ledger_explanation *ret;
    uint8_t salt[32];
    struct rules_event event; /* what was judged; views in the arena */
};

static err not_kept(const struct telling *t, struct errtext *reterr)
{
    return err_fail(reterr, ERR_NOT_FOUND,
                    "this node does not hold what record %llu read: ask the node of another "
                    "institution (it keeps this of the blocks that it applied itself, up to %d "
                    "bytes an event)",
                    (unsigned long long)t->ret->record.record.position, INPUTS_BYTES_MAX);
}

/* One stored value, copied into the arena; NOT_FOUND, LIMIT, CORRUPT, IO. */
static err load(const struct telling *t, size_t family, uint64_t number, struct bytes *ret,
                struct errtext *reterr)
{
    struct buf key;
    struct buf value;
    buf_init(&key, 8);
    buf_init(&value, ROW_BYTES_MAX);
    buf_put_u64(&key, number);
    err e = kv_get(t->l->kv, family, buf_bytes(&key), &value, reterr);
    if (!failed(e) && !keep(t->arena, buf_bytes(&value), ret)) {
        e = no_room(reterr);
    }
    buf_done(&key);
    buf_done(&value);
    return e;
}

static err load_record(struct telling *t, uint64_t position, struct errtext *reterr)
{
    struct bytes value;
    err e = load(t, FAMILY_RECORDS, position, &value, reterr);
    if (err_is(e, ERR_NOT_FOUND)) {
        return err_fail(reterr, e.code, "there is no record %llu", (unsigned long long)position);
    }
    TRY(e);
    if (failed(record_read(value, &t->ret->record))) {
        return err_fail(reterr, ERR_CORRUPT, "record %llu does not decode",
                        (unsigned long long)position);
    }
    return err_ok();
}

/* ---- what was judged ---- */

/* The parties behind the signatures: keys are never forgotten. */
static void find_signers(struct telling *t, const struct envelope *e)
{
    struct ledger_explanation *x = t->ret;
    for (uint32_t i = 0; i < e->signature_count; i++) {
        const struct ledger_key *key = NULL;
        const struct party *party = parties_find_key(&t->l->parties, e->signatures[i].key_id, &key);
        if (party != NULL) {
            x->signers[x->signer_count++] = bytes_text(party->name);
        }
    }
}

static err find_request(struct telling *t, struct errtext *reterr)
{
    const struct record *r = &t->ret->record.record;
    struct envelope *envelope = NULL;
    TRY(origin_envelope(t->l, r, t->arena, &envelope, reterr));
    const struct body *body = &envelope->body;
    const struct event *event = &body->events[r->index];
    memcpy(t->salt, body->salt, sizeof(t->salt));
    t->ret->on_behalf = body->on_behalf;
    find_signers(t, envelope);
    t->event = (struct rules_event){
        .name = event->action,
        .signers = t->ret->signers,
        .signer_count = t->ret->signer_count,
        .now = rules_time_of_ns(r->time_ns),
        .has_legal = true,
        .legal = event->has_legal_date ? event->legal_date : ledger_day(t->l, r->time_ns),
        .args = event->args,
    };
    return err_ok();
}

/* ---- evaluating again ---- */

struct owners {
    const struct ledger *l;
    uint64_t height;
};

static const struct rules_program *owner_then(void *ctx, struct bytes contract)
{
    const struct owners *o = ctx;
    const struct ledger_contract *newest =
        contracts_find(&o->l->contracts, contract, 0, o->height);
    return newest == NULL ? NULL : newest->program;
}

static bool hash_is(const struct telling *t, struct bytes json, const uint8_t recorded[32])
{
    uint8_t hash[32];
    record_salted_hash(t->salt, t->ret->record.record.index, json, hash);
    return memcmp(hash, recorded, sizeof(hash)) == 0;
}

static err differs(const struct telling *t, struct errtext *reterr)
{
    return err_fail(reterr, ERR_CORRUPT,
                    "what this node keeps of record %llu does not give the recorded hashes: its "
                    "state is damaged; `concordat outcome` still tells what was decided",
                    (unsigned long long)t->ret->record.record.position);
}

static err again(struct telling *t, struct inputs_replay *replay, struct errtext *reterr)
{
    const struct record *r = &t->ret->record.record;
    struct owners owners = {t->l, r->height};
    struct rules_store store;
    struct rules_out out;
    struct arena arena;
    arena_init(&arena, RULES_APPLY_ARENA_MAX);
    replay->owner = owner_then;
    replay->owner_ctx = &owners;
    replay->arena = &arena;
    inputs_store(replay, &store);
    rules_apply(t->ret->program, &t->event, &store, &arena, &out);
    err e = err_ok();
    if (!inputs_replayed(replay) || !hash_is(t, out.trace, r->trace_hash) ||
        !hash_is(t, out.outcome, r->outcome_hash) || !hash_is(t, out.effects, r->effects_hash)) {
        e = differs(t, reterr);
    } else if (!keep(t->arena, out.trace, &t->ret->trace_json)) {
        e = no_room(reterr);
    }
    arena_done(&arena);
    t->ret->recomputed = !failed(e);
    return e;
}

/* A timer's inputs are complete by themselves; those of an event are in the block. */
static void take_head(struct telling *t, const struct inputs_head *head)
{
    t->event.timers_due = head->timers_due;
    t->event.timers_waiting = head->timers_waiting;
    if (!head->timer) {
        return;
    }
    memcpy(t->salt, head->salt, sizeof(t->salt));
    t->event.name = t->ret->record.outcome.action;
    t->event.now = head->at;
    t->event.has_legal = true;
    t->event.legal = head->legal;
    t->event.args = head->args;
    t->event.timer = true;
}

static err recompute(struct telling *t, struct errtext *reterr)
{
    bool timer = t->ret->record.record.kind == RECORD_TIMER;
    struct bytes value;
    struct inputs_head head;
    struct inputs_replay replay;
    err e = load(t, FAMILY_INPUTS, t->ret->record.record.position, &value, reterr);
    if (err_is(e, ERR_NOT_FOUND)) {
        return not_kept(t, reterr);
    }
    TRY(e);
    if (failed(inputs_open(value, &head, &replay)) || head.timer != timer) {
        return differs(t, reterr);
    }
    take_head(t, &head);
    return again(t, &replay, reterr);
}

/* ---- the answer ---- */

static err tell(struct telling *t, struct errtext *reterr)
{
    const struct record *r = &t->ret->record.record;
    bool timer = r->kind == RECORD_TIMER;
    const struct ledger_contract *judge =
        r->contract_version == 0
            ? NULL
            : contracts_find(&t->l->contracts, r->contract, r->contract_version, r->height);
    t->ret->program = judge == NULL ? NULL : judge->program;
    if (!timer) {
        TRY(find_request(t, reterr));
    }
    err e = load(t, FAMILY_TRACES, r->position, &t->ret->trace_json, reterr);
    if (err_is(e, ERR_NOT_FOUND)) {
        return t->ret->program == NULL ? not_kept(t, reterr) : recompute(t, reterr);
    }
    TRY(e);
    if (timer) {
        TRY(origin_salt(t->l, r, t->arena, t->salt, reterr));
    }
    return hash_is(t, t->ret->trace_json, r->trace_hash) ? err_ok() : differs(t, reterr);
}

err ledger_explain(const struct ledger *l, uint64_t position, struct arena *a,
                   struct ledger_explanation *ret, struct errtext *reterr)
{
    require(l != NULL);
    require(a != NULL);
    require(ret != NULL);
    struct ledger_explanation found = {0};
    struct telling t = {.l = l, .arena = a, .ret = &found};
    TRY(load_record(&t, position, reterr));
    if (found.record.record.kind == RECORD_GOVERNANCE) {
        return err_fail(reterr, ERR_NOT_FOUND,
                        "record %llu is an action of the institutions: it has no trace; "
                        "`concordat watch --from %llu` shows its outcome",
                        (unsigned long long)position, (unsigned long long)position);
    }
    TRY(tell(&t, reterr));
    *ret = found;
    return err_ok();
}
