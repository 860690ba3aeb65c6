/* A dry run of a request on the state of the last finished block.
 *
 * It is apply itself, on a ledger that borrows everything that is only read (contracts, parties,
 * genesis, the database) and has overlays of its own, which are thrown away: so a simulation cannot
 * differ from what a block would decide, and cannot leave anything behind. The block being applied,
 * if any, lies in the overlays of the real ledger and is not seen. */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/require.h"
#include "ledger/apply.h"
#include "ledger/read.h"

struct trial {
    struct ledger *shadow;
    const struct ledger_simulation_query *query;
    struct arena *arena; /* of the answer */
    struct ledger_simulation *ret;
    int64_t steps; /* static bounds so far */
};

__attribute__((format(printf, 3, 4))) static bool
refuse(struct ledger_refusal *refusal, enum reason reason, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    refusal->reason = reason;
    (void)vsnprintf(refusal->text, sizeof(refusal->text), fmt, args);
    va_end(args);
    return false;
}

/* ---- the ledger that is thrown away ---- */

static struct ledger *shadow_open(const struct ledger *l, uint64_t now_ns)
{
    struct ledger *s = mem_new(1, sizeof(*s));
    const uint64_t *seed = l->options.map_seed;
    *s = *l;
    s->batch = NULL; /* nothing is written */
    accounts_init(&s->accounts, s->kv, seed);
    rows_init(&s->rows, s->kv, FAMILY_ROWS, seed);
    rows_init(&s->timers, s->kv, FAMILY_TIMERS, seed);
    s->timers.cached = false;
    buf_init(&s->key, ROW_BYTES_MAX);
    buf_init(&s->value, ROW_BYTES_MAX);
    buf_init(&s->record, RECORD_BYTES_MAX);
    s->apply = (struct apply){.head = l->head};
    s->apply.head.height++;
    s->apply.head.time_ns = now_ns;
    s->apply.day = ledger_day(l, now_ns);
    arena_init(&s->apply.envelope_arena, 2 * RULES_APPLY_ARENA_MAX);
    arena_init(&s->apply.event_arena, RULES_APPLY_ARENA_MAX);
    inputs_init(&s->inputs);
    store_init(s);
    return s;
}

static void shadow_close(struct ledger *s)
{
    accounts_done(&s->accounts);
    rows_done(&s->rows);
    rows_done(&s->timers);
    inputs_done(&s->inputs);
    buf_done(&s->key);
    buf_done(&s->value);
    buf_done(&s->record);
    arena_done(&s->apply.envelope_arena);
    arena_done(&s->apply.event_arena);
    free(s);
}

/* ---- the request ---- */

static bool add_signer(struct request *request, struct bytes name, struct ledger_refusal *refusal)
{
    for (size_t i = 0; i < request->signer_count; i++) {
        if (bytes_equal(request->signers[i], name)) {
            return true;
        }
    }
    if (request->signer_count == SIGNATURES_MAX) {
        return refuse(refusal, REASON_TOO_LARGE, "signers: more than %d", SIGNATURES_MAX);
    }
    request->signers[request->signer_count++] = name;
    return true;
}

/* Parties by their keys, then those that are assumed; nobody at all: on_behalf. */
static bool find_signers(const struct trial *t, struct request *request,
                         struct ledger_refusal *refusal)
{
    const struct ledger *l = t->shadow;
    const struct envelope *e = request->envelope;
    for (uint32_t i = 0; i < e->signature_count; i++) {
        const struct ledger_key *key = NULL;
        const struct party *party = parties_find_key(&l->parties, e->signatures[i].key_id, &key);
        if (party == NULL || !party_key_known(key, next_height(l))) {
            return refuse(refusal, REASON_UNKNOWN_KEY,
                          "signatures[%u].key_id: no party has this key", i);
        }
        if (!add_signer(request, bytes_text(party->name), refusal)) {
            return false;
        }
    }
    for (size_t i = 0; i < t->query->signer_count; i++) {
        if (!add_signer(request, t->query->signers[i], refusal)) {
            return false;
        }
    }
    return request->signer_count > 0 || add_signer(request, e->body.on_behalf, refusal);
}

static bool decode(const struct trial *t, struct arena *a, struct request *ret,
                   struct ledger_refusal *refusal)
{
    struct errtext why = {{0}};
    struct envelope *envelope = NULL;
    err e = err_ok();
    if (t->query->envelope.size > 0) {
        e = envelope_decode(t->query->envelope, a, &envelope, &why);
    } else {
        envelope = arena_new(a, 1, sizeof(*envelope));
        envelope->body_bytes = t->query->body;
        e = body_decode(t->query->body, a, &envelope->body, &why);
    }
    if (failed(e)) {
        return refuse(refusal, err_is(e, ERR_LIMIT) ? REASON_TOO_LARGE : REASON_MALFORMED,
                      "%.200s", why.text);
    }
    *ret = (struct request){.envelope = envelope};
    request_hash(envelope->body_bytes, ret->hash);
    const struct body *body = &envelope->body;
    if (memcmp(body->ledger_id, t->shadow->id, sizeof(body->ledger_id)) != 0) {
        return refuse(refusal, REASON_WRONG_LEDGER, "body.ledger_id: that is another ledger");
    }
    if (body->not_after_ns != 0 && body->not_after_ns < t->query->now_ns) {
        return refuse(refusal, REASON_EXPIRED, "body.not_after_ns: that time is past");
    }
    if (body->event_count > SIMULATE_EVENTS_MAX) {
        return refuse(refusal, REASON_TOO_LARGE, "body.events: a dry run takes at most %d",
                      SIMULATE_EVENTS_MAX);
    }
    for (uint32_t i = 0; i < body->event_count; i++) {
        if (bytes_equal(body->events[i].contract, bytes_text(GOVERNANCE_CONTRACT))) {
            return refuse(refusal, REASON_BAD_REQUEST,
                          "body.events[%u]: actions of 'ledger' have no dry run", i);
        }
    }
    return find_signers(t, ret, refusal);
}

/* ---- bounds: asked before anything is evaluated, so that the loop is not held up ---- */

static bool spend(struct trial *t, int64_t steps, struct ledger_refusal *refusal)
{
    t->steps += steps;
    return t->steps <= SIMULATE_STEPS_MAX ||
           refuse(refusal, REASON_TOO_COSTLY,
                  "a dry run may cost %d steps by static bound, and this one could cost over "
                  "%lld; try fewer events",
                  SIMULATE_STEPS_MAX, (long long)t->steps);
}

static bool spend_events(struct trial *t, const struct request *request,
                         struct ledger_refusal *refusal)
{
    const struct body *body = &request->envelope->body;
    const struct request_input input = {
        .height = next_height(t->shadow),
        .now_ns = t->query->now_ns,
    };
    for (uint32_t i = 0; i < body->event_count; i++) {
        if (!spend(t, request_event_cost(t->shadow, &input, &body->events[i]).steps, refusal)) {
            return false;
        }
    }
    return true;
}

static bool spend_timer(struct trial *t, const struct timer *timer, struct ledger_refusal *refusal)
{
    bool known = false;
    const struct rules_program *program = contracts_pick(&t->shadow->contracts, timer->contract,
                                                         timer->legal, next_height(t->shadow),
                                                         &known);
    const struct rules_event_facts *facts =
        program == NULL ? NULL : rules_program_event_find(program, timer->event);
    return facts == NULL || spend(t, facts->bound.steps, refusal);
}

/* ---- running ---- */

static enum ledger_end end_of(enum rules_end end)
{
    switch (end) {
    case RULES_ACCEPTED:
        return LEDGER_ACCEPTED;
    case RULES_REJECTED:
        return LEDGER_REJECTED;
    case RULES_FAULT:
        return LEDGER_FAULT;
    }
    require(false);
    return LEDGER_FAULT;
}

/* Copies what was decided into the answer and counts its position. */
static bool note(struct trial *t, struct bytes contract, struct bytes action,
                 const struct rules_out *out, struct ledger_refusal *refusal)
{
    struct arena *a = t->arena;
    struct ledger_head *head = &t->shadow->apply.head;
    struct ledger_simulated *s = &t->ret->events[t->ret->count];
    struct ledger_outcome *o = &s->outcome;
    *o = (struct ledger_outcome){
        .position = head->position,
        .end = end_of(out->end),
        .line = out->end == RULES_ACCEPTED ? 0 : out->line,
        .contract_version = (uint64_t)out->version,
    };
    if (out->end == RULES_FAULT) {
        o->kind = bytes_text(rules_fault_name(out->fault));
    }
    struct bytes none = bytes_of(NULL, 0);
    bool kept = keep(a, contract, &o->contract) && keep(a, action, &o->action) &&
                keep(a, out->end == RULES_ACCEPTED ? none : out->clause, &o->clause) &&
                keep(a, out->end == RULES_REJECTED ? out->why : none, &o->text) &&
                keep(a, out->outcome, &s->outcome_json) &&
                keep(a, out->effects, &s->effects_json) && keep(a, out->trace, &s->trace_json);
    if (!kept) {
        return refuse(refusal, REASON_TOO_LARGE, "the answer is too large; try fewer events");
    }
    const struct ledger_contract *judge =
        out->version == 0 ? NULL
                          : contracts_find(&t->shadow->contracts, contract,
                                           (uint64_t)out->version, head->height);
    s->program = judge == NULL ? NULL : judge->program;
    head->position++;
    t->ret->count++;
    return true;
}

static bool run_timers(struct trial *t, struct ledger_refusal *refusal)
{
    struct ledger *s = t->shadow;
    struct timer timer;
    for (uint32_t fired = 0; apply_timer_due(s, &timer); fired++) {
        if (fired == RULES_TIMERS_MAX) {
            s->apply.timers_due = true;
            return true;
        }
        if (!spend_timer(t, &timer, refusal)) {
            return false;
        }
        struct recording what;
        struct rules_out out;
        arena_reset(&s->apply.event_arena);
        apply_timer(s, &timer, &what, &out);
        t->ret->events[t->ret->count].timer = true;
        if (!note(t, timer.contract, timer.event, &out, refusal)) {
            return false;
        }
    }
    return true;
}

static bool run_events(struct trial *t, struct ledger_refusal *refusal)
{
    struct ledger *s = t->shadow;
    const struct body *body = &s->apply.request.envelope->body;
    t->ret->accepted = true;
    for (uint32_t i = 0; i < body->event_count && (t->ret->accepted || !body->atomic); i++) {
        struct rules_out out;
        arena_reset(&s->apply.event_arena);
        apply_evaluate(s, i, &out);
        apply_effects(s, i, &out);
        t->ret->accepted = t->ret->accepted && out.end == RULES_ACCEPTED;
        if (!note(t, body->events[i].contract, body->events[i].action, &out, refusal)) {
            return false;
        }
    }
    return true;
}

bool ledger_simulate(const struct ledger *l, const struct ledger_simulation_query *query,
                     struct arena *a, struct ledger_simulation *ret,
                     struct ledger_refusal *refusal)
{
    require(l != NULL);
    require(query != NULL);
    require(ret != NULL);
    require(refusal != NULL);
    struct ledger_simulation found = {.now_ns = query->now_ns};
    struct trial t = {.query = query, .arena = a, .ret = &found};
    found.events = arena_try(a, (size_t)SIMULATE_EVENTS_MAX + RULES_TIMERS_MAX,
                             sizeof(*found.events));
    if (found.events == NULL) {
        return refuse(refusal, REASON_TOO_LARGE, "there is no room for an answer");
    }
    struct arena request_arena;
    arena_init(&request_arena, (size_t)2 * ENVELOPE_ARENA_MAX);
    t.shadow = shadow_open(l, query->now_ns);
    struct request *request = &t.shadow->apply.request;
    bool done = decode(&t, &request_arena, request, refusal) &&
                spend_events(&t, request, refusal) && run_timers(&t, refusal) &&
                run_events(&t, refusal);
    shadow_close(t.shadow);
    arena_done(&request_arena);
    if (done) {
        *ret = found;
    }
    return done;
}
