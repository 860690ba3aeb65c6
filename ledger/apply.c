/* Applying a block in slices.
 *
 *   begin > TIMERS > LOAD > EVENTS > LOAD ... > DONE > finish
 *                     |       ^
 *                     +-TRIAL-+    an atomic request is first evaluated as a whole and taken back
 *
 * Nothing is visible before finish: rows, timers and balances lie in overlays, tables carry the
 * block's height, everything else is in the batch. */
#include "ledger/apply.h"

#include "base/require.h"
#include "crypto/sha256.h"
#include "ledger/govern.h"
#include "ledger/outcome.h"
#include "ledger/record.h"
#include "ledger/state.h"
#include "ledger/timers.h"
#include "rules/civil.h"

/* Rejection of the events of an atomic request in which another one did not succeed. Clause 0 is
 * the ledger's; 0.1 to 0.6 are the language's. */
#define CLAUSE_ATOMIC "0.7"

static err block_check(const struct ledger_block_facts *last, const struct block *block,
                       struct errtext *reterr)
{
    if (block->height != last->height + 1) {
        return err_fail(reterr, ERR_CONFLICT, "the log holds block %llu after block %llu",
                        (unsigned long long)block->height, (unsigned long long)last->height);
    }
    if (memcmp(block->previous, last->hash, sizeof(block->previous)) != 0) {
        return err_fail(reterr, ERR_CONFLICT, "block %llu does not name the block before it",
                        (unsigned long long)block->height);
    }
    if (block->time_ns <= last->time_ns) {
        return err_fail(reterr, ERR_CONFLICT, "block %llu is not later than the block before it",
                        (unsigned long long)block->height);
    }
    if (block->time_ns >= BLOCK_TIME_NS_MAX) {
        return err_fail(reterr, ERR_CONFLICT, "block %llu is stamped after the year 2199",
                        (unsigned long long)block->height);
    }
    return err_ok();
}

static struct ledger_block_facts facts_of(const struct ledger_head *head)
{
    struct ledger_block_facts facts = {.height = head->height, .time_ns = head->time_ns};
    memcpy(facts.hash, head->block_hash, sizeof(facts.hash));
    return facts;
}

err ledger_block_follows(const struct ledger_block_facts *last, struct bytes wire,
                         struct ledger_block_facts *ret, struct errtext *reterr)
{
    require(last != NULL);
    require(ret != NULL);
    struct arena a;
    struct block *block;
    arena_init(&a, BLOCK_ARENA_MAX + EVENTS_MAX * 32 + ARENA_SLACK);
    err e = block_decode(wire, &a, &block, reterr);
    if (!failed(e)) {
        e = block_check(last, block, reterr);
    }
    if (!failed(e)) {
        uint8_t(*hashes)[32] = arena_new(&a, block->envelope_count + 1, sizeof *hashes);
        for (uint32_t i = 0; i < block->envelope_count; i++) {
            envelope_request_hash(block->envelopes[i], hashes[i]);
        }
        ret->height = block->height;
        ret->time_ns = block->time_ns;
        block_hash(block, (const uint8_t(*)[32])hashes, ret->hash);
    }
    arena_done(&a);
    return e;
}

err ledger_apply_begin(struct ledger *l, const struct ledger_input *input, struct errtext *reterr)
{
    require(l != NULL);
    require(input != NULL);
    struct apply *ap = &l->apply;
    require(ap->phase == APPLY_IDLE);
    arena_reset(&ap->arena);
    struct block *block = NULL;
    TRY(block_decode(input->block, &ap->arena, &block, reterr));
    const struct ledger_block_facts last = facts_of(&l->head);
    TRY(block_check(&last, block, reterr));
    ap->input = *input;
    ap->block = block;
    ap->hashes = arena_new(&ap->arena, block->envelope_count + 1, 32);
    for (uint32_t i = 0; i < block->envelope_count; i++) {
        envelope_request_hash(block->envelopes[i], ap->hashes[i]);
    }
    ap->head = l->head;
    ap->head.height = block->height;
    ap->head.time_ns = block->time_ns;
    ap->head.log_bytes += input->block.size;
    block_hash(block, (const uint8_t(*)[32])ap->hashes, ap->head.block_hash);
    ap->cost = (struct ledger_cost){0};
    arena_reset(&ap->requests_arena);
    ordered_init(&ap->requests, &ap->requests_arena);
    ap->envelope = 0;
    ap->timers_fired = 0;
    ap->timers_due = false;
    ap->noted_bytes = 0;
    ap->day = ledger_day(l, block->time_ns);
    ap->result = (struct ledger_result){
        .applied = arena_new(&ap->arena, block->envelope_count + 1, sizeof(struct ledger_applied)),
        .applied_count = block->envelope_count,
        .position_first = l->head.position,
    };
    ap->phase = l->timer_next_ns <= block->time_ns ? APPLY_TIMERS : APPLY_LOAD;
    return err_ok();
}

/* Evaluates, and notes what was read for a later explanation. */
static void run_noted(struct ledger *l, const struct rules_program *program,
                      const struct rules_event *ev, const uint8_t *salt, struct rules_out *ret)
{
    struct inputs_head head = {
        .timers_due = ev->timers_due,
        .timer = ev->timer,
        .timers_waiting = ev->timers_waiting,
        .at = ev->now,
        .legal = ev->legal,
        .args = ev->args,
    };
    memcpy(head.salt, salt, sizeof(head.salt));
    struct rules_store store;
    inputs_begin(&l->inputs, &head, &l->store, &store);
    rules_apply(program, ev, &store, &l->apply.event_arena, ret);
    l->apply.noted = inputs_end(&l->inputs);
}

/* ---- timers ---- */

void apply_timer(struct ledger *l, const struct timer *timer, struct recording *ret_what,
                 struct rules_out *ret)
{
    struct apply *ap = &l->apply;
    ap->noted = bytes_of(NULL, 0);
    timers_remove(&l->timers, timer);
    bool known = false;
    const struct rules_program *program =
        contracts_pick(&l->contracts, timer->contract, timer->legal, ap->head.height, &known);
    struct rules_event ev = {
        .name = timer->event,
        .now = timer->at,
        .has_legal = true,
        .legal = timer->legal,
        .args = timer->args,
        .timer = true,
        .timers_waiting = timers_waiting(&l->timers, timer->contract),
    };
    memcpy(ev.hash, timer->hash, sizeof(ev.hash));
    *ret_what = (struct recording){
        .kind = RECORD_TIMER,
        .schedule_position = timer->position,
        .index = timer->ordinal,
        .contract = timer->contract,
        .action = timer->event,
    };
    memcpy(ret_what->salt, timer->salt, sizeof(ret_what->salt));
    memcpy(ret_what->event_hash, timer->hash, sizeof(ret_what->event_hash));
    if (program == NULL) {
        rules_refuse(&ev, "legal_date: no version in force", &ap->event_arena, ret);
    } else {
        memcpy(ret_what->text_hash, rules_program_facts(program)->text_hash, 32);
        run_noted(l, program, &ev, timer->salt, ret);
    }
    struct effects_of of = {timer->contract, ap->head.position, timer->salt};
    effects_apply(l, &of, ret);
}

static void timer_fire(struct ledger *l, const struct timer *timer)
{
    struct recording what;
    struct rules_out out;
    struct ledger_outcome outcome;
    apply_timer(l, timer, &what, &out);
    record_write(l, &what, &out, &outcome);
    l->apply.result.timers++;
}

bool apply_timer_due(struct ledger *l, struct timer *ret)
{
    struct apply *ap = &l->apply;
    uint64_t at_ns = 0;
    arena_reset(&ap->envelope_arena);
    return timers_first(&l->timers, &ap->envelope_arena, ret) &&
           rules_time_to_ns(ret->at, &at_ns) && at_ns <= ap->head.time_ns;
}

static void step_timer(struct ledger *l)
{
    struct apply *ap = &l->apply;
    struct timer timer;
    bool due = apply_timer_due(l, &timer);
    if (!due || ap->timers_fired == RULES_TIMERS_MAX) {
        ap->timers_due = due;
        ap->phase = APPLY_LOAD;
        return;
    }
    arena_reset(&ap->event_arena);
    timer_fire(l, &timer);
    ap->timers_fired++;
}

/* ---- one event ---- */

static int32_t legal_of(const struct ledger *l, const struct event *event)
{
    return event->has_legal_date ? event->legal_date : l->apply.day;
}

static const struct rules_program *program_of(const struct ledger *l, const struct event *event,
                                              bool *ret_known)
{
    return contracts_pick(&l->contracts, event->contract, legal_of(l, event), l->apply.head.height,
                          ret_known);
}

/* Rules 11.3: an event that finds no program is a recorded rejection 0.1 with version 0. */
static void refuse_event(struct ledger *l, const struct rules_event *ev, const struct event *event,
                         bool known, struct rules_out *ret)
{
    struct arena *a = &l->apply.event_arena;
    const char *why = NULL;
    if (!known) {
        why = arena_printf(a, "contract: '%.*s' is not known", (int)event->contract.size,
                           (const char *)event->contract.data);
    } else if (!civil_day_valid(ev->legal)) {
        why = "legal_date: out of range";
    } else {
        char day[11];
        rules_day_print(ev->legal, day);
        why = arena_printf(a, "legal_date: no version in force on %s", day);
    }
    struct rules_event named = *ev;
    if (!civil_day_valid(named.legal)) {
        named.has_legal = false;
        named.legal = 0;
    }
    rules_refuse(&named, why, a, ret);
}

void apply_evaluate(struct ledger *l, uint32_t index, struct rules_out *ret)
{
    struct apply *ap = &l->apply;
    ap->noted = bytes_of(NULL, 0);
    const struct event *event = &ap->request.envelope->body.events[index];
    if (ap->request.governance) {
        govern_apply(l, &ap->request, event, &ap->event_arena, ret);
        return;
    }
    bool known = false;
    const struct rules_program *program = program_of(l, event, &known);
    struct rules_event ev = {
        .name = event->action,
        .signers = ap->request.signers,
        .signer_count = ap->request.signer_count,
        .now = rules_time_of_ns(ap->head.time_ns),
        .has_legal = true,
        .legal = legal_of(l, event),
        .args = event->args,
        .timers_due = ap->timers_due,
    };
    event_hash(ap->request.hash, index, ev.hash);
    if (program == NULL || !civil_day_valid(ev.legal)) {
        refuse_event(l, &ev, event, known, ret);
        return;
    }
    if (rules_program_facts(program)->schedules) {
        ev.timers_waiting = timers_waiting(&l->timers, event->contract);
    }
    run_noted(l, program, &ev, ap->request.envelope->body.salt, ret);
}

void apply_effects(struct ledger *l, uint32_t index, const struct rules_out *out)
{
    const struct body *body = &l->apply.request.envelope->body;
    struct effects_of of = {body->events[index].contract, l->apply.head.position, body->salt};
    effects_apply(l, &of, out);
}

static void event_record(struct ledger *l, uint32_t index, const struct rules_out *out)
{
    struct apply *ap = &l->apply;
    const struct body *body = &ap->request.envelope->body;
    const struct event *event = &body->events[index];
    struct recording what = {
        .kind = ap->request.governance ? RECORD_GOVERNANCE : RECORD_EVENT,
        .index = index,
        .contract = event->contract,
        .action = event->action,
    };
    memcpy(what.request_hash, ap->request.hash, sizeof(what.request_hash));
    memcpy(what.salt, body->salt, sizeof(what.salt));
    event_hash(ap->request.hash, index, what.event_hash);
    bool known = false;
    const struct rules_program *program =
        ap->request.governance ? NULL : program_of(l, event, &known);
    if (program != NULL && out->version != 0) {
        memcpy(what.text_hash, rules_program_facts(program)->text_hash, sizeof(what.text_hash));
    }
    record_write(l, &what, out, &ap->result.applied[ap->envelope].answer.outcomes[index]);
}

/* ---- one request ---- */

static bool entry_find(struct ledger *l, const struct request *request, struct request_entry *ret,
                       bool *ret_finished)
{
    const struct body *body = &request->envelope->body;
    request_entry_key(body->on_behalf, body->request_id, &l->key);
    struct ordered_node *node = ordered_find(&l->apply.requests, buf_bytes(&l->key));
    *ret_finished = node == NULL;
    if (node != NULL) {
        err e = request_entry_decode(node->value, ret);
        require(!failed(e));
        return true;
    }
    struct ledger_request_id id = {.party = body->on_behalf};
    memcpy(id.id, body->request_id, sizeof(id.id));
    struct errtext why = {{0}};
    err e = request_entry_load(l, &id, ret, &why);
    if (failed(e) && !err_is(e, ERR_NOT_FOUND)) {
        die("state database: %s", why.text);
    }
    return !failed(e);
}

/* Decides whether the request is recorded, and if not why; admission's checks on the state before
 * the block, the signatures, and room in the block. */
static enum reason request_judge(struct ledger *l, struct ledger_applied *applied,
                                 struct ledger_refusal *refusal)
{
    struct apply *ap = &l->apply;
    struct request *request = &ap->request;
    struct request_input input = {ap->block->envelopes[ap->envelope], ap->head.height,
                                  ap->head.time_ns};
    enum reason reason = request_decode(l, &input, &ap->envelope_arena, request, refusal);
    if (reason != REASON_NONE) {
        return reason;
    }
    struct request_entry entry = {0};
    bool finished = false;
    bool answered = entry_find(l, request, &entry, &finished);
    if (answered && memcmp(entry.hash, request->hash, sizeof(entry.hash)) == 0) {
        struct errtext why = {{0}};
        err e = finished ? answer_load(l, &entry, &ap->arena, &applied->answer, &why) : err_ok();
        if (failed(e) && !err_is(e, ERR_LIMIT)) {
            die("state database: %s", why.text);
        }
        return REASON_DUPLICATE;
    }
    reason = request_check(l, &input, request, refusal);
    bool keys_found = request->signer_count == request->envelope->signature_count;
    bool verified =
        keys_found && ((ap->input.verified != NULL && ap->input.verified[ap->envelope]) ||
                       request_verify(l, request));
    if (keys_found && !verified) {
        /* Before any other reason is listed under the request's id: a forged copy must not be able
         * to say something about it. */
        return REASON_BAD_SIGNATURE;
    }
    if (reason != REASON_NONE) {
        return reason;
    }
    if (answered) {
        return REASON_REQUEST_ID_REUSED;
    }
    return ledger_cost_add(l, &ap->cost, &request->cost) ? REASON_NONE : REASON_BLOCK_FULL;
}

/* Reasons that the signed request itself earned are also found under its id; those of a copy that
 * nobody is known to have signed are listed with the block alone. */
static bool listed_by_id(enum reason reason)
{
    return reason == REASON_EXPIRED || reason == REASON_KEY_REVOKED ||
           reason == REASON_TOO_COSTLY || reason == REASON_BLOCK_FULL;
}

static void request_void(struct ledger *l, struct ledger_applied *applied, enum reason reason)
{
    struct apply *ap = &l->apply;
    applied->reason = reason;
    ap->result.voids++;
    struct void_entry entry = {
        .height = ap->head.height,
        .index = ap->envelope,
        .reason = reason,
        .request_hash = ap->hashes[ap->envelope],
        .envelope = ap->request.envelope,
        .by_id = listed_by_id(reason),
    };
    void_put(l, &entry);
    ap->envelope++;
}

static void step_load(struct ledger *l)
{
    struct apply *ap = &l->apply;
    if (ap->envelope == ap->block->envelope_count) {
        ap->phase = APPLY_DONE;
        return;
    }
    arena_reset(&ap->envelope_arena);
    struct ledger_applied *applied = &ap->result.applied[ap->envelope];
    struct ledger_refusal refusal;
    enum reason reason = request_judge(l, applied, &refusal);
    memcpy(applied->request_hash, ap->hashes[ap->envelope], sizeof(applied->request_hash));
    if (ap->request.envelope != NULL) {
        const struct body *body = &ap->request.envelope->body;
        applied->on_behalf = arena_copy(&ap->arena, body->on_behalf);
        memcpy(applied->request_id, body->request_id, sizeof(applied->request_id));
    }
    if (reason != REASON_NONE) {
        request_void(l, applied, reason);
        return;
    }
    const struct body *body = &ap->request.envelope->body;
    applied->answer = (struct ledger_answer){
        .height = ap->head.height,
        .time_ns = ap->head.time_ns,
        .outcomes = arena_new(&ap->arena, body->event_count, sizeof(struct ledger_outcome)),
        .outcome_count = body->event_count,
    };
    memcpy(applied->answer.request_hash, ap->request.hash, 32);
    ap->event = 0;
    ap->failure.is = false;
    ap->phase = APPLY_EVENTS;
    if (body->atomic) {
        rows_mark(&l->rows);
        rows_mark(&l->timers);
        accounts_mark(&l->accounts);
        ap->phase = APPLY_TRIAL;
    }
}

static void failure_keep(struct apply *ap, uint32_t index, const struct rules_out *out)
{
    struct arena *a = &ap->envelope_arena;
    ap->failure.is = true;
    ap->failure.index = index;
    ap->failure.out = *out;
    ap->failure.out.clause = arena_copy(a, out->clause);
    ap->failure.out.why = arena_copy(a, out->why);
    ap->failure.out.outcome = arena_copy(a, out->outcome);
    ap->failure.out.effects = arena_copy(a, out->effects);
    ap->failure.out.trace = arena_copy(a, out->trace);
}

static void step_trial(struct ledger *l)
{
    struct apply *ap = &l->apply;
    struct rules_out out;
    arena_reset(&ap->event_arena);
    apply_evaluate(l, ap->event, &out);
    if (out.end == RULES_ACCEPTED) {
        apply_effects(l, ap->event, &out);
        ap->event++;
    } else {
        failure_keep(ap, ap->event, &out);
    }
    if (!ap->failure.is && ap->event < ap->request.envelope->body.event_count) {
        return;
    }
    rows_rollback(&l->rows);
    rows_rollback(&l->timers);
    accounts_rollback(&l->accounts);
    ap->event = 0;
    ap->phase = APPLY_EVENTS;
}

/* What stands in the record of an event whose atomic request failed at another one. */
static void failed_with(struct ledger *l, uint32_t index, struct rules_out *ret)
{
    struct apply *ap = &l->apply;
    const struct event *event = &ap->request.envelope->body.events[index];
    bool known = false;
    const struct rules_program *program = program_of(l, event, &known);
    const struct rules_out *cause = &ap->failure.out;
    const char *why =
        arena_printf(&ap->event_arena, "event %u of this atomic request was not accepted (%s %.*s)",
                     ap->failure.index, cause->end == RULES_FAULT ? "fault in clause" : "clause",
                     (int)cause->clause.size, (const char *)cause->clause.data);
    struct outcome_form form = {
        .event = event->action,
        .version = program == NULL ? 0 : rules_program_facts(program)->version,
        .now_ns = ap->head.time_ns,
        .clause = CLAUSE_ATOMIC,
        .why = bytes_text(why),
    };
    outcome_make(&form, &ap->event_arena, ret);
}

static void request_end(struct ledger *l)
{
    struct apply *ap = &l->apply;
    struct ledger_applied *applied = &ap->result.applied[ap->envelope];
    const struct body *body = &ap->request.envelope->body;
    memcpy(applied->answer.digest, ap->head.digest, sizeof(ap->head.digest));
    struct request_entry entry = {
        .height = ap->head.height,
        .position = applied->answer.outcomes[0].position,
        .count = body->event_count,
    };
    memcpy(entry.hash, ap->request.hash, sizeof(entry.hash));
    request_entry_key(body->on_behalf, body->request_id, &l->key);
    request_entry_put(&entry, &l->value);
    struct ordered_node *node = ordered_add(&ap->requests, buf_bytes(&l->key));
    ordered_set(&ap->requests, node, buf_bytes(&l->value), false);
    ap->envelope++;
    ap->phase = APPLY_LOAD;
}

static void step_event(struct ledger *l)
{
    struct apply *ap = &l->apply;
    const struct body *body = &ap->request.envelope->body;
    struct rules_out out;
    arena_reset(&ap->event_arena);
    if (!ap->failure.is) {
        apply_evaluate(l, ap->event, &out);
        require(!body->atomic || out.end == RULES_ACCEPTED);
        apply_effects(l, ap->event, &out);
    } else if (ap->event == ap->failure.index) {
        out = ap->failure.out;
    } else {
        failed_with(l, ap->event, &out);
    }
    event_record(l, ap->event, &out);
    ap->event++;
    if (ap->event == body->event_count) {
        request_end(l);
    }
}

bool ledger_apply_step(struct ledger *l, uint32_t event_budget)
{
    require(l != NULL);
    require(l->apply.phase != APPLY_IDLE);
    for (uint32_t spent = 0; spent == 0 || spent < event_budget; spent++) {
        switch (l->apply.phase) {
        case APPLY_IDLE:
            require(false);
            break;
        case APPLY_TIMERS:
            step_timer(l);
            break;
        case APPLY_LOAD:
            step_load(l);
            break;
        case APPLY_TRIAL:
            step_trial(l);
            break;
        case APPLY_EVENTS:
            step_event(l);
            break;
        case APPLY_DONE:
            return true;
        }
    }
    return l->apply.phase == APPLY_DONE;
}

const struct ledger_result *ledger_apply_finish(struct ledger *l)
{
    require(l != NULL);
    struct apply *ap = &l->apply;
    require(ap->phase == APPLY_DONE);
    bool timers_changed = l->timers.overlay.count > 0;
    rows_write(&l->rows, l->batch);
    rows_write(&l->timers, l->batch);
    accounts_write(&l->accounts, l->batch);
    for (const struct ordered_node *n = ordered_first(&ap->requests); n != NULL; n = n->next[0]) {
        kv_batch_put(l->batch, l->kv, FAMILY_REQUESTS, n->key, n->value);
    }
    buf_clear(&l->key);
    buf_put_u64(&l->key, ap->head.height);
    kv_batch_put(l->batch, l->kv, FAMILY_BLOCKS, buf_bytes(&l->key), ap->input.block);
    tiles_grow(l->tiles, l->batch);
    require(tiles_size(l->tiles) == ap->head.position);
    struct merkle_hash root;
    tiles_root(l->tiles, &root);
    memcpy(ap->head.root, root.bytes, sizeof(ap->head.root));
    head_put(l, &ap->head, ap->input.raft_index);
    if (failed(kv_commit(l->kv, l->batch, false, &l->failure))) {
        return NULL;
    }
    kv_batch_clear(l->batch);
    l->head = ap->head;
    l->applied_index = ap->input.raft_index;
    if (timers_changed) {
        timer_next_update(l);
    }
    ap->result.nodes_changed = nodes_publish(&l->nodes);
    ap->result.head = l->head;
    ap->phase = APPLY_IDLE;
    return &ap->result;
}

err ledger_block_apply(struct ledger *l, const struct ledger_input *input,
                       const struct ledger_result **ret, struct errtext *reterr)
{
    require(l != NULL);
    require(ret != NULL);
    TRY(ledger_apply_begin(l, input, reterr));
    while (!ledger_apply_step(l, EVENTS_MAX)) {
    }
    *ret = ledger_apply_finish(l);
    return *ret == NULL ? err_fail(reterr, ERR_IO, "%s", l->failure.text) : err_ok();
}
