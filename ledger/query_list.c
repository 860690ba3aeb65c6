/* Reads that walk whole tables: rows, trial balance, contracts. */
#include "base/require.h"
#include "ledger/range.h"
#include "ledger/read.h"
#include "ledger/record.h"
#include "ledger/state.h"

enum { TRIAL_LINES_MAX = 8192 }; /* families of all contracts: far below in practice */

/* ---- rows ---- */

struct rows_scan {
    const struct ledger *l;
    const struct rules_program *program;
    size_t table;
    struct arena *arena;
    struct errtext *reterr;
};

static err row_keep(const struct rows_scan *scan, struct bytes key, struct bytes row,
                    struct bytes *ret)
{
    struct buf json;
    buf_init(&json, ROW_BYTES_MAX);
    buf_put_text(&json, "{\"key\":");
    err e = rules_key_print(scan->program, key, &json);
    buf_put_text(&json, ",\"row\":");
    if (!failed(e)) {
        e = rules_row_print(scan->program, scan->table, row, &json);
    }
    buf_put_text(&json, "}");
    if (failed(e)) {
        e = err_fail(scan->reterr, ERR_CORRUPT, "a stored row does not decode");
    } else if (json.overflow || !keep(scan->arena, buf_bytes(&json), ret)) {
        e = no_room(scan->reterr);
    }
    buf_done(&json);
    return e;
}

static err rows_page(const struct rows_scan *scan, struct bytes prefix,
                     const struct ledger_rows_query *query, struct ledger_rows *ret)
{
    uint32_t limit = page_limit(query->limit);
    struct ledger_rows rows = {.json = arena_try(scan->arena, limit, sizeof(struct bytes))};
    if (rows.json == NULL) {
        return no_room(scan->reterr);
    }
    struct kv_iter *it = range_open(scan->l->kv, FAMILY_ROWS, prefix, query->token);
    struct bytes key;
    struct bytes row;
    size_t bytes = 0;
    err e = err_ok();
    while (!failed(e) && kv_iter_next(it, &key, &row)) {
        if (rows.count == limit || bytes >= RECORDS_ANSWER_BYTES_MAX) {
            e = keep(scan->arena, key, &rows.token) ? e : no_room(scan->reterr);
            break;
        }
        e = row_keep(scan, key, row, &rows.json[rows.count]);
        if (!failed(e)) {
            bytes += rows.json[rows.count].size;
            rows.count++;
        }
    }
    TRY(iter_end(it, e, scan->reterr));
    *ret = rows;
    return err_ok();
}

err ledger_query_rows(const struct ledger *l, const struct ledger_rows_query *query,
                      struct arena *a, struct ledger_rows *ret, struct errtext *reterr)
{
    require(l != NULL);
    require(ret != NULL);
    const struct ledger_contract *contract =
        contracts_find(&l->contracts, query->place.contract, 0, next_height(l));
    if (contract == NULL) {
        return err_fail(reterr, ERR_NOT_FOUND, "contract: '%.*s' is not known",
                        (int)(query->place.contract.size < 64 ? query->place.contract.size : 64),
                        (const char *)query->place.contract.data);
    }
    struct rows_scan scan = {l, contract->program, 0, a, reterr};
    struct buf prefix;
    buf_init(&prefix, ROW_BYTES_MAX);
    err e = rules_row_prefix(contract->program, query->place.place, &prefix, &scan.table, reterr);
    if (!failed(e) && query->token.size > 0 &&
        !bytes_has_prefix(query->token, buf_bytes(&prefix))) {
        e = err_fail(reterr, ERR_INVALID, "page token: not one of this list");
    }
    if (!failed(e)) {
        e = rows_page(&scan, buf_bytes(&prefix), query, ret);
    }
    buf_done(&prefix);
    return e;
}

/* ---- trial balance ---- */

struct trial_sum {
    wide_sum debits, credits;
};

struct trial_scan {
    const struct ledger *l;
    struct arena *arena;
    struct ledger_trial_line *lines;
    struct trial_sum *sums;
    size_t count, last;
};

static bool trial_is(const struct ledger_trial_line *line, struct bytes contract,
                     struct bytes family)
{
    return bytes_equal(line->contract, contract) && bytes_equal(line->family, family);
}

/* The line of a family: mostly the one before, since accounts come in key order; an issuance
 * account comes after all families of its contract. */
static bool trial_line(struct trial_scan *scan, struct bytes contract, struct bytes family,
                       size_t *ret)
{
    if (scan->last < scan->count && trial_is(&scan->lines[scan->last], contract, family)) {
        *ret = scan->last;
        return true;
    }
    for (size_t i = 0; i < scan->count; i++) {
        if (trial_is(&scan->lines[i], contract, family)) {
            scan->last = i;
            *ret = i;
            return true;
        }
    }
    if (scan->count == TRIAL_LINES_MAX) {
        return false;
    }
    struct ledger_trial_line *line = &scan->lines[scan->count];
    *line = (struct ledger_trial_line){0};
    scan->sums[scan->count] = (struct trial_sum){0};
    scan->last = scan->count;
    *ret = scan->count++;
    return keep(scan->arena, contract, &line->contract) && keep(scan->arena, family, &line->family);
}

static err trial_add(struct trial_scan *scan, struct bytes key, struct bytes value,
                     struct errtext *reterr)
{
    struct account_value v;
    struct bytes contract;
    struct bytes family;
    if (failed(account_value_decode(value, &v)) ||
        !account_key_split(key, &contract, &family, NULL)) {
        return err_fail(reterr, ERR_CORRUPT, "a stored account does not decode");
    }
    size_t at = 0;
    if (!trial_line(scan, contract, family, &at)) {
        return no_room(reterr);
    }
    scan->lines[at].accounts++;
    if (v.balance < 0) {
        scan->sums[at].debits += v.balance;
    } else {
        scan->sums[at].credits += v.balance;
    }
    return err_ok();
}

static bool trial_measure(const struct ledger *l, const struct ledger_trial_line *line,
                          struct rules_measure *ret)
{
    const struct ledger_contract *contract =
        contracts_find(&l->contracts, line->contract, 0, next_height(l));
    size_t count = contract == NULL ? 0 : rules_program_facts(contract->program)->family_count;
    for (size_t i = 0; i < count; i++) {
        const struct rules_family_facts *family = rules_program_family(contract->program, i);
        if (bytes_equal(family->name, line->family)) {
            *ret = family->measure;
            return true;
        }
    }
    return false;
}

static err trial_close(struct trial_scan *scan, size_t at, struct errtext *reterr)
{
    struct ledger_trial_line *line = &scan->lines[at];
    const struct trial_sum *sum = &scan->sums[at];
    struct rules_measure measure;
    if (!trial_measure(scan->l, line, &measure)) {
        return err_fail(reterr, ERR_CORRUPT, "an account belongs to no family of a contract");
    }
    if (sum->debits < INT64_MIN || sum->credits > INT64_MAX) {
        return err_fail(reterr, ERR_LIMIT, "the balances of %.*s add up beyond 64 bits",
                        (int)line->family.size, (const char *)line->family.data);
    }
    line->debits = (int64_t)sum->debits;
    line->credits = (int64_t)sum->credits;
    struct buf text;
    buf_init(&text, 256);
    rules_amount_print(measure, line->debits, &text);
    bool kept = keep(scan->arena, buf_bytes(&text), &line->debits_amount);
    buf_clear(&text);
    rules_amount_print(measure, line->credits, &text);
    kept = kept && keep(scan->arena, buf_bytes(&text), &line->credits_amount) &&
           keep(scan->arena, bytes_text(measure.unit), &line->measure);
    buf_done(&text);
    return kept ? err_ok() : no_room(reterr);
}

err ledger_query_trial(const struct ledger *l, struct arena *a, struct ledger_trial *ret,
                       struct errtext *reterr)
{
    require(l != NULL);
    require(ret != NULL);
    struct trial_scan scan = {.l = l, .arena = a};
    scan.lines = arena_try(a, TRIAL_LINES_MAX, sizeof(*scan.lines));
    scan.sums = arena_try(a, TRIAL_LINES_MAX, sizeof(*scan.sums));
    if (scan.lines == NULL || scan.sums == NULL) {
        return no_room(reterr);
    }
    struct kv_range range = {.family = FAMILY_ACCOUNTS};
    struct kv_iter *it = kv_iter_open(l->kv, &range);
    struct bytes key;
    struct bytes value;
    err e = err_ok();
    while (!failed(e) && kv_iter_next(it, &key, &value)) {
        e = trial_add(&scan, key, value, reterr);
    }
    e = iter_end(it, e, reterr);
    for (size_t i = 0; !failed(e) && i < scan.count; i++) {
        e = trial_close(&scan, i, reterr);
    }
    TRY(e);
    *ret = (struct ledger_trial){scan.lines, scan.count};
    return err_ok();
}

/* ---- accounts ---- */

static err account_keep(const struct ledger *l, struct bytes key, struct bytes value,
                        struct arena *a, struct ledger_account_name *ret, struct errtext *reterr)
{
    struct account_value v;
    struct bytes contract;
    struct bytes family;
    bool issuance = false;
    size_t number = 0;
    if (failed(account_value_decode(value, &v)) ||
        !account_key_split(key, &contract, &family, &issuance)) {
        return err_fail(reterr, ERR_CORRUPT, "a stored account does not decode");
    }
    const struct ledger_contract *c = contracts_find(&l->contracts, contract, 0, next_height(l));
    struct buf place;
    buf_init(&place, ROW_BYTES_MAX);
    err e = err_ok();
    if (c == NULL || failed(rules_account_print(c->program, key, &place, &number))) {
        e = err_fail(reterr, ERR_CORRUPT, "an account belongs to no family of a contract");
    } else if (!keep(a, contract, &ret->place.contract) ||
               !keep(a, buf_bytes(&place), &ret->place.place)) {
        e = no_room(reterr);
    }
    ret->postings = v.count;
    ret->issuance = issuance;
    buf_done(&place);
    return e;
}

err ledger_query_accounts(const struct ledger *l, const struct ledger_accounts_query *query,
                          struct arena *a, struct ledger_accounts *ret, struct errtext *reterr)
{
    require(l != NULL);
    require(ret != NULL);
    uint32_t limit = page_limit(query->limit);
    struct ledger_accounts found = {.accounts = arena_try(a, limit, sizeof(*found.accounts))};
    if (found.accounts == NULL) {
        return no_room(reterr);
    }
    struct kv_range range = {.family = FAMILY_ACCOUNTS, .lower = query->token};
    struct kv_iter *it = kv_iter_open(l->kv, &range);
    struct bytes key;
    struct bytes value;
    err e = err_ok();
    while (!failed(e) && kv_iter_next(it, &key, &value)) {
        if (found.count == limit) {
            e = keep(a, key, &found.token) ? e : no_room(reterr);
            break;
        }
        e = account_keep(l, key, value, a, &found.accounts[found.count], reterr);
        found.count += failed(e) ? 0 : 1;
    }
    TRY(iter_end(it, e, reterr));
    *ret = found;
    return err_ok();
}

/* ---- contracts ---- */

const struct ledger_contract *ledger_contracts(const struct ledger *l, struct arena *a,
                                               size_t *ret_count)
{
    require(l != NULL);
    require(ret_count != NULL);
    struct ledger_contract *list = arena_new(a, l->contracts.count + 1, sizeof(*list));
    size_t count = 0;
    for (size_t i = 0; i < l->contracts.count; i++) {
        if (l->contracts.list[i].height <= l->head.height) {
            list[count++] = l->contracts.list[i];
        }
    }
    *ret_count = count;
    return list;
}

bool ledger_contract_find(const struct ledger *l, struct bytes name, uint64_t version,
                          struct ledger_contract *ret)
{
    require(l != NULL);
    require(ret != NULL);
    const struct ledger_contract *found =
        contracts_find(&l->contracts, name, version, next_height(l));
    if (found == NULL) {
        return false;
    }
    *ret = *found;
    return true;
}
