/* Contracts.Simulate and Contracts.Explain: decisions tried, and told again. Each may take as long
 * as the dearest event, so they do not run where they arrive: they stand in a short queue, and one
 * runs a turn of the loop, between which heartbeats and blocks go on. Beyond the queue: BUSY.
 *
 *   call --decode--> read (linearizable, or not if local) --> queue --> one a turn --> reply */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/require.h"
#include "proto/service.h"
#include "rules/explain.h"
#include "server/parts.h"
#include "server/query.h"

enum decide_state { DECIDE_READING, DECIDE_QUEUED };

struct decide {
    struct read_wait wait; /* first */
    struct node *node;
    struct grpc_call_ref ref;
    struct arena arena; /* request and answer */
    enum decide_state state;
    struct decide *next; /* QUEUED */
    char institution[NAME_BYTES_MAX + 1];
    bool has_language;
    enum rules_language language;
    const struct simulate_request *simulate; /* one of the two */
    const struct explain_request *explain;
};

/* ---- what both answer with ---- */

static struct at at_of(const struct node *n)
{
    struct ledger_head head = ledger_head(n->ledger);
    struct at at = {.height = head.height, .time_ns = head.time_ns, .size = head.position};
    memcpy(at.digest, head.digest, 32);
    return at;
}

/* A trace that would fill the answer is told in words alone. */
static struct bytes trace_of(struct bytes trace)
{
    return trace.size > TRACE_ANSWER_BYTES_MAX ? bytes_of(NULL, 0) : trace;
}

/* Empty where there is no language, or the decision is too large for words. */
static struct bytes words_of(struct decide *d, const struct rules_program *program,
                             const struct rules_decision *decision)
{
    struct buf text;
    struct errtext why;
    struct bytes kept = bytes_of(NULL, 0);
    if (!d->has_language) {
        return kept;
    }
    buf_init(&text, EXPLAIN_TEXT_BYTES_MAX);
    if (!failed(rules_explain(program, decision, d->language, &text, &why))) {
        uint8_t *copy = arena_try(&d->arena, text.size + 1, 1);
        if (copy != NULL) {
            memcpy(copy, text.data, text.size);
            kept = bytes_of(copy, text.size);
        }
    }
    buf_done(&text);
    return kept;
}

/* ---- simulate ---- */

static uint64_t time_of(const struct node *n, const struct simulate_request *q)
{
    uint64_t least = ledger_head(n->ledger).time_ns + 1;
    uint64_t now = clock_wall_ns(&n->clock);
    return q->has_now ? q->now_ns : now > least ? now : least;
}

static void answer_simulated(struct decide *d, const struct ledger_simulation *s, struct buf *reply)
{
    struct simulated *events = arena_try(&d->arena, s->count, sizeof *events);
    if (events == NULL) {
        reply->overflow = true; /* the answer fills the arena: then it is too large for a message */
        return;
    }
    struct simulate_reply r = {
        .at = at_of(d->node),
        .now_ns = s->now_ns,
        .accepted = s->accepted,
        .event_count = s->count,
        .events = events,
    };
    for (size_t i = 0; i < s->count; i++) {
        const struct ledger_simulated *from = &s->events[i];
        struct rules_decision all = {from->outcome_json, from->effects_json, from->trace_json};
        events[i] = (struct simulated){
            .outcome = services_outcome(&from->outcome),
            .timer = from->timer,
            .outcome_json = from->outcome_json,
            .effects = from->effects_json,
            .trace = trace_of(from->trace_json),
            .words = words_of(d, from->program, &all),
        };
    }
    simulate_reply_encode(&r, reply);
}

static err run_simulate(struct decide *d, struct buf *reply, struct refusal *no)
{
    const struct simulate_request *q = d->simulate;
    struct node *n = d->node;
    struct bytes signers[SIGNATURES_MAX];
    size_t count = q->signer_count < SIGNATURES_MAX ? q->signer_count : SIGNATURES_MAX;
    for (size_t i = 0; i < count; i++) {
        signers[i] = q->signers[i].party;
    }
    struct ledger_simulation_query query = {
        .envelope = q->envelope,
        .body = q->body,
        .signers = signers,
        .signer_count = count,
        .now_ns = time_of(n, q),
    };
    if (query.now_ns <= ledger_head(n->ledger).time_ns) {
        *no = refusal_of(REASON_BAD_REQUEST,
                         "now: that is before the ledger's last block; time does not go back");
        return err_ok();
    }
    struct ledger_simulation s;
    struct ledger_refusal refused;
    if (!ledger_simulate(n->ledger, &query, &d->arena, &s, &refused)) {
        *no = refusal_of(refused.reason, "%s", refused.text);
        return err_ok();
    }
    answer_simulated(d, &s, reply);
    return err_ok();
}

/* ---- explain ---- */

/* A trace shows what a request said, which records hide behind salted hashes. So it is for those
 * who hold it anyway: the institution of this node, and those whose parties signed it. */
static bool may_see(const struct decide *d, const struct ledger_explanation *x)
{
    struct bytes asks = bytes_text(d->institution);
    const struct ledger_node *self = node_row(d->node, d->node->id);
    if (self != NULL && bytes_equal(self->institution, asks)) {
        return true;
    }
    for (size_t i = 0; i < x->signer_count; i++) {
        struct ledger_party party;
        if (ledger_party_find(d->node->ledger, x->signers[i], &party) &&
            bytes_equal(party.institution, asks)) {
            return true;
        }
    }
    return false;
}

static err find_position(struct decide *d, uint64_t *ret, struct refusal *no,
                         struct errtext *reterr)
{
    const struct explain_request *q = d->explain;
    if (q->has_position) {
        *ret = q->position;
        return err_ok();
    }
    struct ledger_request_id id = {.party = q->party};
    struct ledger_answer answer = {.outcome_count = 0};
    memcpy(id.id, q->request_id.data, sizeof id.id); /* check_explain has measured it */
    TRY(query_answer(d->node, &id, &d->arena, &answer, no, reterr));
    if (no->reason != REASON_NONE) {
        return err_ok();
    }
    if (q->event_index >= answer.outcome_count) {
        *no = refusal_of(REASON_BAD_REQUEST, "event_index: the request has %zu events",
                         answer.outcome_count);
        return err_ok();
    }
    *ret = answer.outcomes[q->event_index].position;
    return err_ok();
}

static void answer_explained(struct decide *d, const struct ledger_explanation *x,
                             struct buf *reply)
{
    struct rules_decision all = {x->record.outcome_json, x->record.effects_json, x->trace_json};
    struct explain_reply r = {
        .at = at_of(d->node),
        .outcome = services_outcome(&x->record.outcome),
        .height = x->record.record.height,
        .time_ns = x->record.record.time_ns,
        .outcome_json = x->record.outcome_json,
        .effects = x->record.effects_json,
        .trace = trace_of(x->trace_json),
        .recomputed = x->recomputed,
        .words = words_of(d, x->program, &all),
    };
    explain_reply_encode(&r, reply);
}

static err run_explain(struct decide *d, struct buf *reply, struct refusal *no,
                       struct errtext *reterr)
{
    uint64_t position = 0;
    struct ledger_explanation x;
    TRY(find_position(d, &position, no, reterr));
    if (no->reason != REASON_NONE) {
        return err_ok();
    }
    err e = ledger_explain(d->node->ledger, position, &d->arena, &x, reterr);
    if (err_is(e, ERR_NOT_FOUND) || err_is(e, ERR_LIMIT)) {
        *no = refusal_of(err_is(e, ERR_LIMIT) ? REASON_TOO_LARGE : REASON_NOT_FOUND, "%s",
                         reterr->text);
        return err_ok();
    }
    TRY(e);
    if (!may_see(d, &x)) {
        *no = refusal_of(REASON_DENIED,
                         "record %llu is told to clients of the institutions whose parties signed "
                         "the request, or by the node of one's own institution",
                         (unsigned long long)position);
        return err_ok();
    }
    answer_explained(d, &x, reply);
    return err_ok();
}

/* ---- the queue ---- */

static void decide_free(struct decide *d)
{
    require(d->node->decisions.count > 0);
    d->node->decisions.count--;
    arena_done(&d->arena);
    free(d);
}

static void answer(struct decide *d, struct grpc_call *call)
{
    struct buf reply;
    struct errtext why = {""};
    struct refusal no = {.reason = REASON_NONE};
    buf_init(&reply, GRPC_MESSAGE_BYTES_MAX);
    err e = d->simulate != NULL ? run_simulate(d, &reply, &no) : run_explain(d, &reply, &no, &why);
    if (failed(e)) {
        refusal_send_broken(call, &why);
    } else if (no.reason != REASON_NONE) {
        refusal_send(call, &no);
    } else if (reply.overflow) {
        no = refusal_of(REASON_TOO_LARGE, "the answer is over %d bytes; try fewer events",
                        GRPC_MESSAGE_BYTES_MAX);
        refusal_send(call, &no);
    } else {
        grpc_call_reply(call, buf_bytes(&reply));
    }
    buf_done(&reply);
}

static void run_one(struct loop_task *task)
{
    struct node *n = task->ctx;
    struct decide_queue *queue = &n->decisions;
    struct decide *d = queue->first;
    if (d == NULL) {
        return;
    }
    queue->first = d->next;
    queue->last = queue->first == NULL ? &queue->first : queue->last;
    struct grpc_call *call = grpc_server_find(n->grpc, d->ref);
    require(call != NULL); /* a call that goes takes its decision along: decide_cancel */
    answer(d, call);
    decide_free(d);
    if (queue->first != NULL) {
        loop_post(n->loop, task); /* in the next turn: heartbeats and blocks come between */
    }
}

static void enqueue(struct decide *d)
{
    struct decide_queue *queue = &d->node->decisions;
    d->state = DECIDE_QUEUED;
    d->next = NULL;
    *queue->last = d;
    queue->last = &d->next;
    loop_post(d->node->loop, &queue->task);
}

static void dequeue(struct decide *d)
{
    struct decide_queue *queue = &d->node->decisions;
    struct decide **at = &queue->first;
    while (*at != d) {
        at = &(*at)->next;
    }
    *at = d->next;
    queue->last = d->next == NULL ? at : queue->last;
}

static void read_ready(struct read_wait *w, const struct refusal *refusal)
{
    struct decide *d = (struct decide *)w;
    struct grpc_call *call = grpc_server_find(d->node->grpc, d->ref);
    if (call != NULL && refusal == NULL) {
        enqueue(d);
        return;
    }
    if (call != NULL) {
        refusal_send(call, refusal);
    }
    decide_free(d);
}

/* ---- calls ---- */

static err take_language(struct decide *d, struct bytes language, struct errtext *reterr)
{
    d->has_language = language.size > 0;
    if (d->has_language && !rules_language_parse(language, &d->language)) {
        return err_fail(reterr, ERR_INVALID, "language: en, fr or nl");
    }
    return err_ok();
}

static err check_simulate(struct decide *d, struct bytes message, bool *ret_local,
                          struct errtext *reterr)
{
    struct simulate_request *q;
    if (message.size > SIMULATE_BYTES_MAX) {
        return err_fail(reterr, ERR_LIMIT, "a dry run is asked in %d bytes", SIMULATE_BYTES_MAX);
    }
    TRY(simulate_request_decode(message, &d->arena, &q, reterr));
    if ((q->envelope.size > 0) == (q->body.size > 0)) {
        return err_fail(reterr, ERR_INVALID, "one of envelope and body is expected");
    }
    if (q->signer_count > SIGNATURES_MAX) {
        return err_fail(reterr, ERR_LIMIT, "signers: more than %d", SIGNATURES_MAX);
    }
    d->simulate = q;
    *ret_local = q->local;
    return take_language(d, q->language, reterr);
}

static err check_explain(struct decide *d, struct bytes message, bool *ret_local,
                         struct errtext *reterr)
{
    struct explain_request *q;
    if (message.size > QUERY_BYTES_MAX) {
        return err_fail(reterr, ERR_LIMIT, "a query is at most %d bytes", QUERY_BYTES_MAX);
    }
    TRY(explain_request_decode(message, &d->arena, &q, reterr));
    if (!q->has_position && (q->party.size == 0 || q->request_id.size != 16)) {
        return err_fail(reterr, ERR_INVALID,
                        "a position, or party and request_id (16 bytes) are expected");
    }
    d->explain = q;
    *ret_local = q->local;
    return take_language(d, q->language.size == 0 ? bytes_text("en") : q->language, reterr);
}

static void refuse_busy(struct grpc_call *call)
{
    struct refusal no =
        refusal_of(REASON_BUSY, "%d dry runs and explanations wait already", DECISIONS_MAX);
    refusal_send(call, &no);
}

void decide_call(struct grpc_call *call, struct bytes message)
{
    struct node *n = grpc_call_server_ctx(call);
    struct errtext why;
    bool local = false;
    if (n->decisions.count == DECISIONS_MAX) {
        refuse_busy(call);
        return;
    }
    n->decisions.count++;
    struct decide *d = mem_new(1, sizeof *d);
    d->node = n;
    d->ref = grpc_call_ref_of(call);
    d->wait.on_ready = read_ready;
    memcpy(d->institution, grpc_call_peer(call)->identity.institution, sizeof d->institution);
    arena_init(&d->arena, LEDGER_QUERY_ARENA_MAX);
    err e = strcmp(grpc_call_method(call)->path, METHOD_SIMULATE) == 0
                ? check_simulate(d, message, &local, &why)
                : check_explain(d, message, &local, &why);
    if (failed(e)) {
        struct refusal no = refusal_of(REASON_BAD_REQUEST, "%s", why.text);
        refusal_send(call, &no);
        decide_free(d);
        return;
    }
    grpc_call_set_user(call, d);
    if (local) {
        enqueue(d);
    } else {
        reads_begin(n, &d->wait);
    }
}

void decide_cancel(struct grpc_call *call)
{
    struct decide *d = grpc_call_user(call);
    if (d == NULL) {
        return;
    }
    switch (d->state) {
    case DECIDE_READING:
        reads_cancel(d->node, &d->wait);
        break;
    case DECIDE_QUEUED:
        dequeue(d);
        break;
    }
    decide_free(d);
}

void decide_init(struct node *n)
{
    n->decisions.last = &n->decisions.first;
    loop_task_init(&n->decisions.task, run_one, n);
}
