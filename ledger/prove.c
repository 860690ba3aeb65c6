/* What proves a statement of an account complete: the material of crypto/statement.h. */
#include "base/require.h"
#include "ledger/range.h"
#include "ledger/read.h"
#include "ledger/record.h"
#include "ledger/state.h"
#include "ledger/stored.h"
#include "ledger/tree.h"

enum { PROVED_RECORDS_MAX = 256, PROVED_POSTINGS_MAX = 4096 }; /* of a page: some 2 MiB */

struct prover {
    const struct ledger *l;
    const struct ledger_prove_query *query;
    struct arena *arena;
    struct bytes account;
    struct errtext *reterr;
};

/* The account with its first `number` postings. */
static err head_after(const struct prover *p, uint64_t number, struct account_head *ret)
{
    struct buf value;
    struct posting_value v = {0};
    *ret = (struct account_head){.count = number};
    if (number == 0) {
        return err_ok();
    }
    buf_init(&value, ROW_BYTES_MAX);
    err e = posting_load(p->l->kv, p->account, number, &value, &v, p->reterr);
    buf_done(&value);
    memcpy(ret->chain, v.chain, sizeof(ret->chain));
    return e;
}

/* How many postings the account had. */
static err count_of(const struct prover *p, uint64_t *ret)
{
    struct buf value;
    struct account_value v;
    buf_init(&value, ROW_BYTES_MAX);
    err e = kv_get(p->l->kv, FAMILY_ACCOUNTS, p->account, &value, p->reterr);
    *ret = 0;
    if (err_is(e, ERR_NOT_FOUND)) {
        e = err_ok();
    } else if (!failed(e) && failed(account_value_decode(buf_bytes(&value), &v))) {
        e = err_fail(p->reterr, ERR_CORRUPT, "a stored account does not decode");
    } else if (!failed(e)) {
        *ret = v.count;
    }
    buf_done(&value);
    return e;
}

err ledger_account_at(const struct ledger *l, struct bytes account, uint64_t size,
                      struct account_head *ret, struct errtext *reterr)
{
    require(l != NULL);
    require(ret != NULL);
    struct prover p = {.l = l, .account = account, .reterr = reterr};
    uint64_t count = 0;
    uint64_t first = 0;
    if (size > l->head.position) {
        return err_fail(reterr, ERR_LIMIT, "the tree has %llu records yet, not %llu",
                        (unsigned long long)l->head.position, (unsigned long long)size);
    }
    TRY(count_of(&p, &count));
    TRY(posting_find(l->kv, p.account, count, size, &first, reterr));
    return head_after(&p, first - 1, ret);
}

/* ---- one record ---- */

/* Postings first to last - 1 are of one record. */
static err postings_copy(const struct prover *p, uint64_t first, uint64_t last,
                         struct statement_entry *ret)
{
    size_t count = (size_t)(last - first);
    struct account_posting *to = arena_try(p->arena, count, sizeof(*to));
    if (to == NULL) {
        return no_room(p->reterr);
    }
    struct buf value;
    buf_init(&value, ROW_BYTES_MAX);
    err e = err_ok();
    for (size_t i = 0; !failed(e) && i < count; i++) {
        struct posting_value v;
        e = posting_load(p->l->kv, p->account, first + i, &value, &v, p->reterr);
        if (failed(e)) {
            break;
        }
        to[i] = (struct account_posting){
            .position = v.position, .ordinal = v.ordinal, .quanta = v.quanta, .balance = v.balance};
        if (!keep(p->arena, v.counter, &to[i].counter)) {
            e = no_room(p->reterr);
        }
    }
    buf_done(&value);
    ret->postings = to;
    ret->posting_count = count;
    return e;
}

/* The way from the account's leaf to the record's accounts_root. */
static err leaf_path(const struct prover *p, const struct ledger_record *record,
                     const struct account_head *after, struct statement_entry *ret)
{
    const struct merkle_hash *leaves = (const void *)record->leaves.data;
    size_t count = record->leaves.size / MERKLE_HASH_SIZE;
    size_t index = 0;
    struct merkle_hash leaf;
    struct merkle_hash root;
    account_leaf(p->account, after, &leaf);
    while (index < count && memcmp(leaves[index].bytes, leaf.bytes, MERKLE_HASH_SIZE) != 0) {
        index++;
    }
    if (index < count) {
        struct merkle_hash path[MERKLE_DEPTH_MAX];
        size_t steps = merkle_path(leaves, count, index, path);
        bool whole = statement_steps(index, count, path, steps, ret->steps);
        require(whole);
        ret->step_count = steps;
        statement_climb(&leaf, ret->steps, steps, &root);
    }
    if (index == count || memcmp(root.bytes, record->record.accounts_root, sizeof(root)) != 0) {
        return err_fail(p->reterr, ERR_CORRUPT,
                        "record %llu: its accounts do not give its accounts_root",
                        (unsigned long long)record->record.position);
    }
    return err_ok();
}

static err entry_make(const struct prover *p, uint64_t position, const struct account_head *after,
                      struct statement_entry *ret)
{
    struct buf value;
    struct ledger_record record;
    struct merkle_proof path;
    buf_init(&value, ROW_BYTES_MAX);
    err e = stored_record(p->l->kv, position, &value, &record, p->reterr);
    if (!failed(e)) {
        e = leaf_path(p, &record, after, ret);
    }
    if (!failed(e) && !keep(p->arena, record.bytes, &ret->record)) {
        e = no_room(p->reterr);
    }
    buf_done(&value);
    TRY(e);
    TRY(ledger_tree_inclusion(p->l, position, p->query->size, &path, p->reterr));
    memcpy(ret->path, path.hashes, path.count * sizeof(*path.hashes));
    ret->path_count = path.count;
    return err_ok();
}

/* ---- the range ---- */

/* The first posting to show: that of the last record below the range. */
static err start_of(const struct prover *p, uint64_t count, uint64_t *ret)
{
    struct buf value;
    struct posting_value v = {0};
    if (p->query->number != 0) {
        *ret = p->query->number;
        return err_ok();
    }
    uint64_t first = 1;
    TRY(posting_find(p->l->kv, p->account, count, p->query->from, &first, p->reterr));
    if (first > 1) {
        buf_init(&value, ROW_BYTES_MAX);
        err e = posting_load(p->l->kv, p->account, first - 1, &value, &v, p->reterr);
        buf_done(&value);
        TRY(e);
        TRY(posting_find(p->l->kv, p->account, count, v.position, &first, p->reterr));
    }
    *ret = first;
    return err_ok();
}

/* Number of the first posting after those of the record that posting `first` belongs to. */
static err record_end(const struct prover *p, uint64_t count, uint64_t first, uint64_t *ret_end,
                      uint64_t *ret_position)
{
    struct buf value;
    struct posting_value v = {0};
    buf_init(&value, ROW_BYTES_MAX);
    err e = posting_load(p->l->kv, p->account, first, &value, &v, p->reterr);
    buf_done(&value);
    *ret_position = v.position;
    TRY(e);
    return posting_find(p->l->kv, p->account, count, v.position + 1, ret_end, p->reterr);
}

static err page_make(const struct prover *p, uint64_t count, uint64_t start,
                     struct ledger_account_proof *ret)
{
    uint64_t to = p->query->to == 0 ? UINT64_MAX : p->query->to;
    uint32_t limit = p->query->limit == 0 || p->query->limit > PROVED_RECORDS_MAX
                         ? PROVED_RECORDS_MAX
                         : p->query->limit;
    ret->entries = arena_try(p->arena, limit, sizeof(*ret->entries));
    if (ret->entries == NULL) {
        return no_room(p->reterr);
    }
    uint64_t at = start;
    while (at <= count && !ret->closed && ret->count < limit && at - start < PROVED_POSTINGS_MAX) {
        uint64_t end = 0;
        uint64_t position = 0;
        struct account_head after;
        struct statement_entry *entry = &ret->entries[ret->count];
        *entry = (struct statement_entry){0};
        TRY(record_end(p, count, at, &end, &position));
        TRY(head_after(p, end - 1, &after));
        TRY(entry_make(p, position, &after, entry));
        TRY(postings_copy(p, at, end, entry));
        ret->closed = position >= to;
        ret->count++;
        at = end;
    }
    ret->next = at <= count && !ret->closed ? at : 0;
    return err_ok();
}

err ledger_prove_account(const struct ledger *l, const struct ledger_prove_query *query,
                         struct arena *a, struct ledger_account_proof *ret, struct errtext *reterr)
{
    require(l != NULL);
    require(ret != NULL);
    struct prover p = {.l = l, .query = query, .arena = a, .reterr = reterr};
    struct ledger_account_proof proof = {0};
    struct ledger_balance balance;
    uint64_t start = 0;
    if (query->to != 0 && query->from > query->to) {
        return err_fail(reterr, ERR_INVALID, "the range ends before it begins");
    }
    TRY(ledger_query_balance(l, &query->place, a, &balance, reterr));
    p.account = balance.key;
    proof.account = balance.key;
    TRY(ledger_account_at(l, p.account, query->size, &proof.after, reterr));
    TRY(start_of(&p, proof.after.count, &start));
    if (start == 0 || start > proof.after.count + 1) {
        return err_fail(reterr, ERR_INVALID, "page token: not one of this list");
    }
    TRY(head_after(&p, start - 1, &proof.before));
    TRY(page_make(&p, proof.after.count, start, &proof));
    *ret = proof;
    return err_ok();
}
