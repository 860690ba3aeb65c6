#include "ledger/request.h"

#include <stdio.h>

#include "base/cursor.h"
#include "base/require.h"
#include "ledger/govern.h"
#include "ledger/state.h"

enum { REQUEST_ENTRY_VERSION = 1 };

__attribute__((format(printf, 3, 4))) static enum reason
refuse(struct ledger_refusal *refusal, enum reason reason, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    refusal->reason = reason;
    (void)vsnprintf(refusal->text, sizeof(refusal->text), fmt, args);
    va_end(args);
    return reason;
}

static enum reason decode_failed(const struct request *request, err e, const struct errtext *why,
                                 struct ledger_refusal *refusal)
{
    if (err_is(e, ERR_LIMIT)) {
        return refuse(refusal, REASON_TOO_LARGE, "%.200s", why->text);
    }
    /* The one decoding error with a reason of its own: nobody signed. */
    if (strcmp(why->text, "signatures: missing") == 0) {
        return refuse(refusal, REASON_UNSIGNED, "%s", why->text);
    }
    return refuse(refusal, REASON_MALFORMED, "%.200s", why->text);
}

static bool is_governance(const struct event *event)
{
    return bytes_equal(event->contract, bytes_text(GOVERNANCE_CONTRACT));
}

/* Actions of the reserved contract travel alone: their effects are on the tables of who may sign
 * and which text is law, and those change between blocks only. */
static enum reason governance_check(struct request *request, struct ledger_refusal *refusal)
{
    const struct body *body = &request->envelope->body;
    request->governance = is_governance(&body->events[0]);
    for (uint32_t i = 1; i < body->event_count; i++) {
        if (is_governance(&body->events[i]) != request->governance) {
            return refuse(refusal, REASON_MALFORMED,
                          "body.events[%u].contract: actions of 'ledger' stand in requests of "
                          "their own",
                          i);
        }
    }
    if (request->governance && body->atomic) {
        return refuse(refusal, REASON_MALFORMED,
                      "body.atomic: actions of 'ledger' are judged one by one");
    }
    return REASON_NONE;
}

enum reason request_decode(const struct ledger *l, const struct request_input *input,
                           struct arena *a, struct request *ret, struct ledger_refusal *refusal)
{
    require(l != NULL);
    require(ret != NULL);
    require(refusal != NULL);
    *ret = (struct request){0};
    struct envelope *envelope = NULL;
    struct errtext why = {{0}};
    err e = envelope_decode(input->wire, a, &envelope, &why);
    envelope_request_hash(input->wire, ret->hash);
    if (failed(e)) {
        return decode_failed(ret, e, &why, refusal);
    }
    ret->envelope = envelope;
    const struct genesis_limits *limits = &l->genesis->limits;
    if (envelope->body_bytes.size > limits->body_bytes_max) {
        return refuse(refusal, REASON_TOO_LARGE, "body: longer than %u bytes",
                      limits->body_bytes_max);
    }
    if (envelope->body.event_count > limits->events_max) {
        return refuse(refusal, REASON_TOO_LARGE, "body.events: more than %u", limits->events_max);
    }
    if (memcmp(envelope->body.ledger_id, l->id, sizeof(l->id)) != 0) {
        return refuse(refusal, REASON_WRONG_LEDGER, "body.ledger_id: that is another ledger");
    }
    return governance_check(ret, refusal);
}

static enum reason signer_check(const struct ledger *l, uint64_t height, struct request *request,
                                struct ledger_refusal *refusal)
{
    const struct envelope *envelope = request->envelope;
    size_t at = request->signer_count;
    const struct ledger_key *key = NULL;
    struct party *party = parties_find_key(&l->parties, envelope->signatures[at].key_id, &key);
    if (party == NULL || !party_key_known(key, height)) {
        return refuse(refusal, REASON_UNKNOWN_KEY, "signatures[%zu].key_id: no party has this key",
                      at);
    }
    struct bytes name = bytes_text(party->name);
    for (size_t i = 0; i < at; i++) {
        if (bytes_equal(request->signers[i], name)) {
            return refuse(refusal, REASON_SIGNED_TWICE, "signatures[%zu]: %s signed already", at,
                          party->name);
        }
    }
    memcpy(request->checks[at].public_key, key->public_key, 32);
    memcpy(request->checks[at].signature, envelope->signatures[at].value, 64);
    request->signers[at] = name;
    request->parties[at] = party;
    request->signer_count++;
    return REASON_NONE;
}

static enum reason signers_check(const struct ledger *l, uint64_t height, struct request *request,
                                 struct ledger_refusal *refusal)
{
    const struct envelope *envelope = request->envelope;
    for (uint32_t i = 0; i < envelope->signature_count; i++) {
        enum reason reason = signer_check(l, height, request, refusal);
        if (reason != REASON_NONE) {
            return reason;
        }
    }
    /* After all keys are found, so that a revoked one can still be told from a forged one. */
    for (uint32_t i = 0; i < envelope->signature_count; i++) {
        const struct ledger_key *key = NULL;
        (void)parties_find_key(&l->parties, envelope->signatures[i].key_id, &key);
        if (party_key_revoked(key, height)) {
            return refuse(refusal, REASON_KEY_REVOKED,
                          "signatures[%u].key_id: revoked in block %llu", i,
                          (unsigned long long)key->revoked_height);
        }
    }
    for (size_t i = 0; i < request->signer_count; i++) {
        if (bytes_equal(request->signers[i], envelope->body.on_behalf)) {
            return REASON_NONE;
        }
    }
    return refuse(refusal, REASON_NOT_A_SIGNER, "body.on_behalf: '%.*s' did not sign",
                  (int)envelope->body.on_behalf.size, (const char *)envelope->body.on_behalf.data);
}

/* The static bound of one event under the version that would apply; nothing for one that no
 * contract knows, which is recorded as rejection 0.1 without evaluation. */
struct ledger_cost request_event_cost(const struct ledger *l, const struct request_input *input,
                                      const struct event *event)
{
    struct ledger_cost cost = {.events = 1};
    if (is_governance(event)) {
        cost.steps = govern_cost(event->action);
        return cost;
    }
    int32_t day = event->has_legal_date ? event->legal_date : ledger_day(l, input->now_ns);
    bool known = false;
    const struct rules_program *program =
        contracts_pick(&l->contracts, event->contract, day, input->height, &known);
    if (program == NULL) {
        return cost;
    }
    const struct rules_event_facts *facts = rules_program_event_find(program, event->action);
    if (facts != NULL) {
        cost.steps = facts->bound.steps;
        cost.effects = facts->bound.effects;
        cost.bytes = facts->bound.bytes;
    }
    return cost;
}

bool ledger_cost_add(const struct ledger *l, struct ledger_cost *sum,
                     const struct ledger_cost *cost)
{
    require(l != NULL);
    require(sum != NULL);
    const struct genesis_limits *limits = &l->genesis->limits;
    /* No overflow: limits and bounds of an event stay far below 2^62 (base/limits.h). */
    if (sum->events + cost->events > (int64_t)EVENTS_MAX ||
        sum->steps + cost->steps > (int64_t)limits->request_steps_max ||
        sum->effects + cost->effects > (int64_t)limits->request_effects_max ||
        sum->bytes + cost->bytes > (int64_t)limits->request_bytes_max) {
        return false;
    }
    sum->events += cost->events;
    sum->steps += cost->steps;
    sum->effects += cost->effects;
    sum->bytes += cost->bytes;
    return true;
}

enum reason request_check(const struct ledger *l, const struct request_input *input,
                          struct request *request, struct ledger_refusal *refusal)
{
    require(l != NULL);
    require(request->envelope != NULL);
    enum reason reason = signers_check(l, input->height, request, refusal);
    if (reason != REASON_NONE) {
        return reason;
    }
    const struct body *body = &request->envelope->body;
    if (body->not_after_ns != 0 && body->not_after_ns < input->now_ns) {
        return refuse(refusal, REASON_EXPIRED, "body.not_after_ns: that time is past");
    }
    for (uint32_t i = 0; i < body->event_count; i++) {
        struct ledger_cost cost = request_event_cost(l, input, &body->events[i]);
        if (!ledger_cost_add(l, &request->cost, &cost)) {
            return refuse(
                refusal, REASON_TOO_COSTLY,
                "body.events: what %u events may cost is over the limit of a request; the "
                "first %u fit",
                body->event_count, i);
        }
    }
    return REASON_NONE;
}

bool request_verify(struct ledger *l, const struct request *request)
{
    require(l != NULL);
    require(request->signer_count == request->envelope->signature_count);
    uint8_t message[SIGNING_INPUT_SIZE];
    request_signing_input(request->envelope->body_bytes, message);
    for (size_t i = 0; i < request->signer_count; i++) {
        const struct ledger_check *check = &request->checks[i];
        if (!verifier_check(l->verifier, check->public_key, bytes_of(message, sizeof(message)),
                            check->signature)) {
            return false;
        }
    }
    return true;
}

void request_entry_key(struct bytes party, const uint8_t id[16], struct buf *key)
{
    require(key != NULL);
    buf_clear(key);
    buf_put_bytes(key, party); /* holds no 00: names are text without NUL */
    buf_put_u8(key, 0);
    buf_put(key, id, REQUEST_ID_SIZE);
}

void request_entry_put(const struct request_entry *entry, struct buf *value)
{
    require(entry != NULL);
    buf_clear(value);
    buf_put_u8(value, REQUEST_ENTRY_VERSION);
    buf_put(value, entry->hash, sizeof(entry->hash));
    buf_put_u64(value, entry->height);
    buf_put_u64(value, entry->position);
    buf_put_u32(value, entry->count);
}

err request_entry_decode(struct bytes value, struct request_entry *ret)
{
    struct cursor c = cursor_of(value);
    struct request_entry entry = {0};
    if (cursor_u8(&c) != REQUEST_ENTRY_VERSION) {
        cursor_fail(&c);
    }
    cursor_copy(&c, entry.hash, sizeof(entry.hash));
    entry.height = cursor_u64(&c);
    entry.position = cursor_u64(&c);
    entry.count = cursor_u32(&c);
    if (!cursor_done(&c)) {
        return (err){ERR_CORRUPT};
    }
    *ret = entry;
    return err_ok();
}
