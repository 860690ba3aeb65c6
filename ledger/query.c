/* Reads of the last finished block. They go to the database, never to what the block being applied
 * holds in memory. */
#include "base/cursor.h"
#include "base/require.h"
#include "ledger/range.h"
#include "ledger/read.h"
#include "ledger/record.h"
#include "ledger/state.h"

enum { RECORDS_SCANNED_MAX = 10000 }; /* of one filtered page: some 20 ms */

static bool keep_amount(struct arena *a, struct rules_measure measure, int64_t quanta,
                        struct bytes *ret)
{
    struct buf text;
    buf_init(&text, 256);
    rules_amount_print(measure, quanta, &text);
    bool kept = keep(a, buf_bytes(&text), ret);
    buf_done(&text);
    return kept;
}

static err contract_of(const struct ledger *l, struct bytes name,
                       const struct ledger_contract **ret, struct errtext *reterr)
{
    *ret = contracts_find(&l->contracts, name, 0, next_height(l));
    if (*ret == NULL) {
        return err_fail(reterr, ERR_NOT_FOUND, "contract: '%.*s' is not known",
                        (int)(name.size < 64 ? name.size : 64), (const char *)name.data);
    }
    return err_ok();
}

/* ---- requests ---- */

static err void_find(const struct ledger *l, const struct ledger_request_id *request,
                     struct ledger_request_state *ret, struct errtext *reterr)
{
    struct buf key;
    struct buf value;
    buf_init(&key, ROW_BYTES_MAX);
    buf_init(&value, 256);
    void_id_key(request->party, request->id, &key);
    err e = kv_get(l->kv, FAMILY_VOIDS, buf_bytes(&key), &value, reterr);
    struct void_value v = {0};
    if (!failed(e) && failed(void_decode(buf_bytes(&value), &v))) {
        e = err_fail(reterr, ERR_CORRUPT, "a stored void request does not decode");
    }
    buf_done(&key);
    buf_done(&value);
    if (err_is(e, ERR_NOT_FOUND)) {
        *ret = (struct ledger_request_state){.found = LEDGER_FOUND_NOTHING};
        return err_ok();
    }
    TRY(e);
    *ret = (struct ledger_request_state){
        .found = LEDGER_FOUND_VOID, .reason = v.reason, .height = v.height};
    memcpy(ret->request_hash, v.request_hash, sizeof(ret->request_hash));
    return err_ok();
}

err ledger_query_request(const struct ledger *l, const struct ledger_request_id *request,
                         struct arena *a, struct ledger_request_state *ret, struct errtext *reterr)
{
    require(l != NULL);
    require(ret != NULL);
    struct request_entry entry = {0};
    err e = request_entry_load(l, request, &entry, reterr);
    if (err_is(e, ERR_NOT_FOUND)) {
        return void_find(l, request, ret, reterr);
    }
    TRY(e);
    struct ledger_answer answer;
    TRY(answer_load(l, &entry, a, &answer, reterr));
    *ret = (struct ledger_request_state){.found = LEDGER_FOUND_ANSWER, .answer = answer};
    return err_ok();
}

/* ---- accounts ---- */

static err account_find(const struct ledger *l, const struct ledger_place *place, struct buf *key,
                        struct rules_measure *ret_measure, struct errtext *reterr)
{
    const struct ledger_contract *contract = NULL;
    TRY(contract_of(l, place->contract, &contract, reterr));
    size_t family = 0;
    TRY(rules_account_key(contract->program, place->place, key, &family, reterr));
    *ret_measure = rules_program_family(contract->program, family)->measure;
    return err_ok();
}

static err balance_read(const struct ledger *l, struct bytes key, struct rules_measure measure,
                        struct arena *a, struct ledger_balance *ret)
{
    struct buf value;
    buf_init(&value, 256);
    err e = kv_get(l->kv, FAMILY_ACCOUNTS, key, &value, NULL);
    struct account_value v = {0};
    if (!failed(e)) {
        e = account_value_decode(buf_bytes(&value), &v);
    } else if (err_is(e, ERR_NOT_FOUND)) {
        e = err_ok();
    }
    buf_done(&value);
    TRY(e);
    struct ledger_balance b = {.quanta = v.balance, .postings = v.count};
    memcpy(b.chain, v.chain, sizeof(b.chain));
    if (!keep(a, key, &b.key) || !keep(a, bytes_text(measure.unit), &b.measure) ||
        !keep_amount(a, measure, v.balance, &b.amount)) {
        return (err){ERR_LIMIT};
    }
    *ret = b;
    return err_ok();
}

err ledger_query_balance(const struct ledger *l, const struct ledger_place *place, struct arena *a,
                         struct ledger_balance *ret, struct errtext *reterr)
{
    require(l != NULL);
    require(ret != NULL);
    struct buf key;
    buf_init(&key, ROW_BYTES_MAX);
    struct rules_measure measure;
    err e = account_find(l, place, &key, &measure, reterr);
    if (!failed(e)) {
        e = balance_read(l, buf_bytes(&key), measure, a, ret);
        if (failed(e)) {
            (void)err_fail(reterr, e.code, "the account cannot be read");
        }
    }
    buf_done(&key);
    return e;
}

/* ---- statements ---- */

struct statement_scan {
    const struct ledger *l;
    const struct rules_program *program;
    struct rules_measure measure;
    struct bytes account;
    struct arena *arena;
};

static err posting_keep(const struct statement_scan *scan, const struct posting_value *v,
                        uint64_t number, struct ledger_posting *ret)
{
    struct buf counter;
    buf_init(&counter, ROW_BYTES_MAX);
    size_t family = 0;
    err e = rules_account_print(scan->program, v->counter, &counter, &family);
    struct ledger_posting p = {
        .number = number,
        .position = v->position,
        .ordinal = v->ordinal,
        .time_ns = v->time_ns,
        .quanta = v->quanta,
        .balance = v->balance,
    };
    if (!failed(e) && (!keep(scan->arena, buf_bytes(&counter), &p.counter) ||
                       !keep(scan->arena, v->clause, &p.clause) ||
                       !keep_amount(scan->arena, scan->measure, v->quanta, &p.amount) ||
                       !keep_amount(scan->arena, scan->measure, v->balance, &p.balance_amount))) {
        e = (err){ERR_LIMIT};
    }
    buf_done(&counter);
    TRY(e);
    *ret = p;
    return err_ok();
}

static err statement_page(const struct statement_scan *scan, uint64_t first, uint32_t limit,
                          struct ledger_statement *ret)
{
    struct buf value;
    buf_init(&value, ROW_BYTES_MAX);
    err e = err_ok();
    uint64_t last = ret->balance.postings;
    for (uint64_t n = first; !failed(e) && n <= last && ret->count < limit; n++) {
        struct posting_value v;
        e = posting_load(scan->l->kv, scan->account, n, &value, &v, NULL);
        if (!failed(e)) {
            e = posting_keep(scan, &v, n, &ret->postings[ret->count]);
            ret->count += !failed(e);
        }
    }
    buf_done(&value);
    TRY(e);
    if (first + ret->count <= last) {
        struct buf token;
        buf_init(&token, 8);
        buf_put_u64(&token, first + ret->count);
        bool kept = keep(scan->arena, buf_bytes(&token), &ret->token);
        buf_done(&token);
        return kept ? err_ok() : (err){ERR_LIMIT};
    }
    return err_ok();
}

static err statement_read(const struct statement_scan *scan,
                          const struct ledger_statement_query *query, struct ledger_statement *ret)
{
    TRY(balance_read(scan->l, scan->account, scan->measure, scan->arena, &ret->balance));
    uint64_t first = 1;
    if (query->token.size > 0) {
        struct cursor c = cursor_of(query->token);
        first = cursor_u64(&c);
        if (!cursor_done(&c) || first == 0) {
            return (err){ERR_INVALID};
        }
    } else if (query->from_position > 0) {
        TRY(posting_find(scan->l->kv, scan->account, ret->balance.postings, query->from_position,
                         &first, NULL));
    }
    if (first > ret->balance.postings) {
        return err_ok();
    }
    uint32_t limit = page_limit(query->limit);
    ret->postings = arena_try(scan->arena, limit, sizeof(*ret->postings));
    if (ret->postings == NULL) {
        return (err){ERR_LIMIT};
    }
    return statement_page(scan, first, limit, ret);
}

err ledger_query_statement(const struct ledger *l, const struct ledger_statement_query *query,
                           struct arena *a, struct ledger_statement *ret, struct errtext *reterr)
{
    require(l != NULL);
    require(ret != NULL);
    struct buf key;
    buf_init(&key, ROW_BYTES_MAX);
    struct statement_scan scan = {.l = l, .arena = a};
    err e = account_find(l, &query->place, &key, &scan.measure, reterr);
    if (!failed(e)) {
        const struct ledger_contract *contract = NULL;
        e = contract_of(l, query->place.contract, &contract, reterr);
        require(!failed(e));
        scan.program = contract->program;
        scan.account = buf_bytes(&key);
        struct ledger_statement statement = {0};
        e = statement_read(&scan, query, &statement);
        if (failed(e)) {
            (void)err_fail(reterr, e.code, "%s",
                           err_is(e, ERR_INVALID) ? "page token: not one of this list"
                                                  : "the statement cannot be read");
        } else {
            *ret = statement;
        }
    }
    buf_done(&key);
    return e;
}

/* ---- records and blocks ---- */

static bool record_keep(struct arena *a, struct bytes value, struct ledger_record *ret)
{
    struct bytes kept;
    if (!keep(a, value, &kept)) {
        return false;
    }
    err e = record_read(kept, ret);
    require(!failed(e)); /* the same bytes decoded before */
    return true;
}

err ledger_query_records(const struct ledger *l, const struct ledger_records_query *query,
                         struct arena *a, struct ledger_records *ret, struct errtext *reterr)
{
    require(l != NULL);
    require(ret != NULL);
    uint32_t limit = page_limit(query->limit);
    struct ledger_records found = {.next = query->from};
    found.records = arena_try(a, limit, sizeof(*found.records));
    if (found.records == NULL) {
        return no_room(reterr);
    }
    struct buf first;
    buf_init(&first, 8);
    buf_put_u64(&first, query->from);
    struct kv_range range = {.family = FAMILY_RECORDS, .lower = buf_bytes(&first)};
    struct kv_iter *it = kv_iter_open(l->kv, &range);
    buf_done(&first);
    struct bytes key;
    struct bytes value;
    size_t bytes = 0;
    err e = err_ok();
    for (uint32_t scanned = 0;
         !failed(e) && found.count < limit && bytes < RECORDS_ANSWER_BYTES_MAX &&
         scanned < RECORDS_SCANNED_MAX && kv_iter_next(it, &key, &value);
         scanned++) {
        struct ledger_record record;
        if (failed(record_read(value, &record))) {
            e = err_fail(reterr, ERR_CORRUPT, "a stored record does not decode");
        } else if (query->contract.size > 0 &&
                   !bytes_equal(query->contract, record.record.contract)) {
            found.next = record.record.position + 1;
        } else if (!record_keep(a, value, &found.records[found.count])) {
            e = found.count == 0 ? no_room(reterr) : err_ok();
            break;
        } else {
            found.next = record.record.position + 1;
            found.count++;
            bytes += value.size;
        }
    }
    TRY(iter_end(it, e, reterr));
    *ret = found;
    return err_ok();
}

err ledger_query_block(const struct ledger *l, uint64_t height, struct buf *ret,
                       struct errtext *reterr)
{
    require(l != NULL);
    require(ret != NULL);
    struct buf key;
    buf_init(&key, 8);
    buf_put_u64(&key, height);
    buf_clear(ret);
    err e = kv_get(l->kv, FAMILY_BLOCKS, buf_bytes(&key), ret, reterr);
    buf_done(&key);
    if (err_is(e, ERR_NOT_FOUND)) {
        return err_fail(reterr, e.code, "there is no block %llu", (unsigned long long)height);
    }
    return e;
}

err ledger_query_voids(const struct ledger *l, uint64_t height, struct arena *a,
                       struct ledger_voids *ret, struct errtext *reterr)
{
    require(l != NULL);
    require(ret != NULL);
    struct ledger_voids found = {.voids = arena_try(a, EVENTS_MAX, sizeof(struct ledger_void))};
    if (found.voids == NULL) {
        return no_room(reterr);
    }
    struct buf prefix;
    buf_init(&prefix, 16);
    buf_put_u8(&prefix, 'b');
    buf_put_u64(&prefix, height);
    struct kv_iter *it = range_open(l->kv, FAMILY_VOIDS, buf_bytes(&prefix), bytes_of(NULL, 0));
    buf_done(&prefix);
    struct bytes key;
    struct bytes value;
    err e = err_ok();
    while (!failed(e) && found.count < EVENTS_MAX && kv_iter_next(it, &key, &value)) {
        struct void_value v;
        struct cursor c = cursor_of(key);
        (void)cursor_bytes(&c, 9);
        struct ledger_void *to = &found.voids[found.count];
        to->index = cursor_u32(&c);
        if (!cursor_done(&c) || failed(void_decode(value, &v))) {
            e = err_fail(reterr, ERR_CORRUPT, "a stored void request does not decode");
            continue;
        }
        to->reason = v.reason;
        memcpy(to->request_hash, v.request_hash, sizeof(to->request_hash));
        found.count++;
    }
    TRY(iter_end(it, e, reterr));
    *ret = found;
    return err_ok();
}
