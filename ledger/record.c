#include "ledger/record.h"

#include "base/cursor.h"
#include "base/require.h"
#include "crypto/sha256.h"
#include "ledger/read.h"

/* A stored record, besides the record's own bytes:
 *   u8 version | u8 end | u32 line | sized clause, text, kind, action, record, outcome, effects,
 *   leaves: those under accounts_root, 32 bytes each */
enum { RECORD_VALUE_VERSION = 2 };

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

static void outcome_copy(struct ledger *l, const struct recording *what,
                         const struct rules_out *out, struct ledger_outcome *ret)
{
    struct arena *a = &l->apply.arena;
    *ret = (struct ledger_outcome){
        .position = l->apply.head.position,
        .end = end_of(out->end),
        .line = out->end == RULES_ACCEPTED ? 0 : out->line,
        .contract = arena_copy(a, what->contract),
        .action = arena_copy(a, what->action),
        .contract_version = (uint64_t)out->version,
    };
    if (out->end != RULES_ACCEPTED) {
        ret->clause = arena_copy(a, out->clause);
    }
    if (out->end == RULES_REJECTED) {
        ret->text = arena_copy(a, out->why);
    }
    if (out->end == RULES_FAULT) {
        ret->kind = bytes_text(rules_fault_name(out->fault));
    }
}

static void value_put(struct ledger *l, const struct ledger_outcome *outcome,
                      const struct record *record, const struct rules_out *out)
{
    struct buf *value = &l->value;
    buf_clear(&l->record);
    record_encode(record, &l->record);
    require(!l->record.overflow);
    buf_clear(value);
    buf_put_u8(value, RECORD_VALUE_VERSION);
    buf_put_u8(value, (uint8_t)outcome->end);
    buf_put_u32(value, outcome->line);
    buf_put_sized(value, outcome->clause);
    buf_put_sized(value, outcome->text);
    buf_put_sized(value, outcome->kind);
    buf_put_sized(value, outcome->action);
    buf_put_sized(value, buf_bytes(&l->record));
    buf_put_sized(value, out->outcome);
    buf_put_sized(value, out->effects);
    buf_put_sized(value, buf_bytes(&l->accounts.leaves));
    require(!value->overflow);
}

static void record_count(struct ledger_result *result, enum rules_end end)
{
    switch (end) {
    case RULES_ACCEPTED:
        result->accepted++;
        break;
    case RULES_REJECTED:
        result->rejected++;
        break;
    case RULES_FAULT:
        result->faults++;
        break;
    }
}

/* What an accepted event read, under the key of its record; l->key holds it. A block that read too
 * much keeps those of its first events. */
static void inputs_put(struct ledger *l, const struct rules_out *out)
{
    struct apply *ap = &l->apply;
    struct bytes noted = ap->noted;
    ap->noted = bytes_of(NULL, 0);
    if (out->end != RULES_ACCEPTED || noted.size == 0 || l->options.keep_traces ||
        ap->noted_bytes + noted.size > INPUTS_BLOCK_BYTES_MAX) {
        return;
    }
    ap->noted_bytes += noted.size;
    kv_batch_put(l->batch, l->kv, FAMILY_INPUTS, buf_bytes(&l->key), noted);
}

void record_write(struct ledger *l, const struct recording *what, const struct rules_out *out,
                  struct ledger_outcome *ret)
{
    require(l != NULL);
    require(ret != NULL);
    struct ledger_head *head = &l->apply.head;
    rules_digest(sha256, head->digest, what->event_hash, what->text_hash, out);
    struct record record = {
        .position = head->position,
        .height = head->height,
        .time_ns = head->time_ns,
        .kind = what->kind,
        .schedule_position = what->schedule_position,
        .index = what->index,
        .contract = what->contract,
        .contract_version = (uint64_t)out->version,
        .has_legal_date = out->has_legal,
        .legal_date = out->has_legal ? out->legal : 0,
    };
    memcpy(record.request_hash, what->request_hash, 32);
    memcpy(record.text_hash, what->text_hash, 32);
    memcpy(record.digest, head->digest, 32);
    uint8_t seal[32];
    record_seal(what->salt, what->index, seal);
    record_sealed_hash(seal, out->outcome, record.outcome_hash);
    record_sealed_hash(seal, out->effects, record.effects_hash);
    record_sealed_hash(seal, out->trace, record.trace_hash);
    struct posting_place place = {head->position, head->time_ns};
    accounts_record(&l->accounts, &place, out, record.accounts_root);

    outcome_copy(l, what, out, ret);
    value_put(l, ret, &record, out);
    tiles_add(l->tiles, buf_bytes(&l->record));
    buf_clear(&l->key);
    buf_put_u64(&l->key, head->position);
    kv_batch_put(l->batch, l->kv, FAMILY_RECORDS, buf_bytes(&l->key), buf_bytes(&l->value));
    if (l->options.keep_traces || out->end != RULES_ACCEPTED) {
        kv_batch_put(l->batch, l->kv, FAMILY_TRACES, buf_bytes(&l->key), out->trace);
    }
    inputs_put(l, out);
    record_count(&l->apply.result, out->end);
    head->position++;
}

err record_read(struct bytes value, struct ledger_record *ret)
{
    require(ret != NULL);
    struct cursor c = cursor_of(value);
    struct ledger_record r = {0};
    uint8_t version = cursor_u8(&c);
    uint8_t end = cursor_u8(&c);
    r.outcome.line = cursor_u32(&c);
    r.outcome.clause = cursor_sized(&c, NAME_BYTES_MAX);
    r.outcome.text = cursor_sized(&c, ROW_BYTES_MAX);
    r.outcome.kind = cursor_sized(&c, NAME_BYTES_MAX);
    r.outcome.action = cursor_sized(&c, NAME_BYTES_MAX);
    r.bytes = cursor_sized(&c, RECORD_BYTES_MAX);
    r.outcome_json = cursor_sized(&c, ROW_BYTES_MAX);
    r.effects_json = cursor_sized(&c, ROW_BYTES_MAX);
    r.leaves = cursor_sized(&c, ROW_BYTES_MAX);
    if (!cursor_done(&c) || version != RECORD_VALUE_VERSION || end < LEDGER_ACCEPTED ||
        end > LEDGER_FAULT || failed(record_decode(r.bytes, &r.record, NULL))) {
        return (err){ERR_CORRUPT};
    }
    r.outcome.end = (enum ledger_end)end;
    r.outcome.position = r.record.position;
    r.outcome.contract = r.record.contract;
    r.outcome.contract_version = r.record.contract_version;
    *ret = r;
    return err_ok();
}

err request_entry_load(const struct ledger *l, const struct ledger_request_id *request,
                       struct request_entry *ret, struct errtext *reterr)
{
    require(l != NULL);
    require(ret != NULL);
    struct buf key;
    struct buf value;
    buf_init(&key, ROW_BYTES_MAX);
    buf_init(&value, 256);
    request_entry_key(request->party, request->id, &key);
    err e = kv_get(l->kv, FAMILY_REQUESTS, buf_bytes(&key), &value, reterr);
    if (!failed(e)) {
        e = request_entry_decode(buf_bytes(&value), ret);
        if (failed(e)) {
            (void)err_fail(reterr, e.code, "a stored request entry does not decode");
        }
    }
    buf_done(&key);
    buf_done(&value);
    return e;
}

static bool answer_outcome(struct arena *a, const struct ledger_record *record,
                           struct ledger_outcome *ret)
{
    *ret = record->outcome;
    return keep(a, ret->clause, &ret->clause) && keep(a, ret->text, &ret->text) &&
           keep(a, ret->kind, &ret->kind) && keep(a, ret->contract, &ret->contract) &&
           keep(a, ret->action, &ret->action);
}

err answer_load(const struct ledger *l, const struct request_entry *entry, struct arena *a,
                struct ledger_answer *ret, struct errtext *reterr)
{
    require(l != NULL);
    require(ret != NULL);
    if (entry->count == 0 || entry->count > EVENTS_MAX) {
        return err_fail(reterr, ERR_CORRUPT, "a stored request entry does not decode");
    }
    struct ledger_answer answer = {.height = entry->height, .outcome_count = entry->count};
    memcpy(answer.request_hash, entry->hash, sizeof(answer.request_hash));
    answer.outcomes = arena_try(a, entry->count, sizeof(*answer.outcomes));
    if (answer.outcomes == NULL) {
        return no_room(reterr);
    }
    struct buf first;
    buf_init(&first, sizeof(uint64_t));
    buf_put_u64(&first, entry->position);
    struct kv_range range = {.family = FAMILY_RECORDS, .lower = buf_bytes(&first)};
    struct kv_iter *it = kv_iter_open(l->kv, &range);
    buf_done(&first);
    struct bytes key;
    struct bytes value;
    uint32_t count = 0;
    err e = err_ok();
    while (!failed(e) && count < entry->count && kv_iter_next(it, &key, &value)) {
        struct ledger_record record;
        e = record_read(value, &record);
        if (failed(e) || record.record.position != entry->position + count) {
            e = err_fail(reterr, ERR_CORRUPT, "record %llu does not decode",
                         (unsigned long long)(entry->position + count));
            continue;
        }
        if (!answer_outcome(a, &record, &answer.outcomes[count++])) {
            e = no_room(reterr);
        }
        answer.time_ns = record.record.time_ns;
        memcpy(answer.digest, record.record.digest, sizeof(answer.digest));
    }
    TRY(iter_end(it, e, reterr));
    if (count < entry->count) {
        return err_fail(reterr, ERR_CORRUPT, "records of a request are missing");
    }
    *ret = answer;
    return err_ok();
}
