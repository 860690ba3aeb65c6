#include "ledger/accounts.h"

#include <stdlib.h>

#include "base/cursor.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/require.h"
#include "crypto/account.h"
#include "crypto/merkle.h"
#include "ledger/families.h"
#include "ledger/range.h"

enum { ACCOUNT_VERSION = 1, POSTING_VERSION = 2, UNIT_BYTES_MAX = 64 };

/* A posting that waits for the end of the block. */
struct posting_node {
    struct posting_node *next;
    uint64_t number;
    uint32_t size;
    uint8_t value[];
};

struct accounts_undo {
    struct ledger_account *account;
    int64_t balance;
};

void accounts_init(struct accounts *a, struct kv *kv, const uint64_t map_seed[2])
{
    require(a != NULL);
    require(kv != NULL);
    *a = (struct accounts){.kv = kv};
    map_init(&a->cache, map_seed[0], map_seed[1]);
    map_init(&a->groups, map_seed[0], map_seed[1]);
    arena_init(&a->postings, OVERLAY_BYTES_MAX);
    buf_init(&a->value, ROW_BYTES_MAX);
    buf_init(&a->posting_key, ROW_BYTES_MAX);
    buf_init(&a->leaves, ROW_BYTES_MAX);
}

static void free_values(struct map *m)
{
    size_t at = 0;
    struct bytes key;
    void *value;
    while (map_next(m, &at, &key, &value)) {
        free(value);
    }
    map_done(m);
}

void accounts_done(struct accounts *a)
{
    require(a != NULL);
    size_t at = 0;
    struct bytes key;
    void *group;
    while (map_next(&a->groups, &at, &key, &group)) {
        free(((struct account_group *)group)->unit);
    }
    free_values(&a->cache);
    free_values(&a->groups);
    free(a->dirty);
    free(a->undo);
    free(a->touched);
    arena_done(&a->postings);
    buf_done(&a->value);
    buf_done(&a->posting_key);
    buf_done(&a->leaves);
    *a = (struct accounts){0};
}

err posting_load(struct kv *kv, struct bytes account, uint64_t number, struct buf *value,
                 struct posting_value *ret, struct errtext *reterr)
{
    struct buf key;
    require(kv != NULL);
    buf_init(&key, ROW_BYTES_MAX);
    posting_key_of(account, number, &key);
    buf_clear(value);
    err e = kv_get(kv, FAMILY_POSTINGS, buf_bytes(&key), value, reterr);
    buf_done(&key);
    if (!failed(e)) {
        e = posting_value_decode(buf_bytes(value), ret);
    }
    return err_is(e, ERR_NOT_FOUND) || err_is(e, ERR_CORRUPT)
               ? err_fail(reterr, ERR_CORRUPT, "posting %llu of an account does not decode",
                          (unsigned long long)number)
               : e;
}

err posting_find(struct kv *kv, struct bytes account, uint64_t count, uint64_t position,
                 uint64_t *ret, struct errtext *reterr)
{
    uint64_t first = 1;
    uint64_t last = count + 1;
    struct buf value;
    struct posting_value v = {0};
    buf_init(&value, ROW_BYTES_MAX);
    err e = err_ok();
    while (!failed(e) && first < last) {
        uint64_t middle = first + (last - first) / 2;
        e = posting_load(kv, account, middle, &value, &v, reterr);
        if (!failed(e) && v.position < position) {
            first = middle + 1;
        } else {
            last = middle;
        }
    }
    buf_done(&value);
    *ret = first;
    return e;
}

bool account_key_split(struct bytes key, struct bytes *ret_contract, struct bytes *ret_family,
                       bool *ret_issuance)
{
    size_t contract = 0;
    while (contract < key.size && key.data[contract] > 1) {
        contract++;
    }
    size_t family = contract + 1;
    while (family < key.size && key.data[family] != 0) {
        family++;
    }
    if (contract == 0 || family >= key.size || family == contract + 1) {
        return false;
    }
    *ret_contract = bytes_of(key.data, contract);
    *ret_family = bytes_of(key.data + contract + 1, family - contract - 1);
    if (ret_issuance != NULL) {
        *ret_issuance = key.data[contract] == 1;
    }
    return true;
}

/* The running sum that an account belongs to. */
static struct account_group *group_of(struct accounts *a, struct bytes key, struct bytes unit)
{
    struct bytes contract;
    struct bytes family;
    bool whole = account_key_split(key, &contract, &family, NULL);
    require(whole);
    struct buf *name = &a->posting_key;
    buf_clear(name);
    buf_put_bytes(name, contract);
    buf_put_u8(name, 0);
    buf_put_bytes(name, unit);
    struct account_group *found = map_get(&a->groups, buf_bytes(name));
    if (found == NULL) {
        found = mem_new(1, sizeof(*found));
        found->unit = mem_new(unit.size + 1, 1);
        memcpy(found->unit, unit.data, unit.size);
        map_put(&a->groups, buf_bytes(name), found);
    }
    return found;
}

err account_value_decode(struct bytes value, struct account_value *ret)
{
    struct cursor c = cursor_of(value);
    struct account_value v = {0};
    if (cursor_u8(&c) != ACCOUNT_VERSION) {
        cursor_fail(&c);
    }
    v.balance = cursor_i64(&c);
    v.count = cursor_u64(&c);
    cursor_copy(&c, v.chain, sizeof(v.chain));
    v.unit = cursor_sized(&c, UNIT_BYTES_MAX);
    if (!cursor_done(&c) || v.unit.size == 0) {
        return (err){ERR_CORRUPT};
    }
    *ret = v;
    return err_ok();
}

/* u8 version | i64 balance | u64 postings | 32 chain | sized unit */
static void account_value_put(const struct ledger_account *account, struct buf *value)
{
    buf_clear(value);
    buf_put_u8(value, ACCOUNT_VERSION);
    buf_put_i64(value, account->posted);
    buf_put_u64(value, account->count);
    buf_put(value, account->chain, sizeof(account->chain));
    buf_put_sized(value, bytes_text(account->group->unit));
}

/* The first group that does not sum to zero is named. */
static err groups_check(const struct accounts *a, struct errtext *reterr)
{
    size_t at = 0;
    struct bytes key;
    void *found;
    while (map_next(&a->groups, &at, &key, &found)) {
        const struct account_group *group = found;
        if (group->sum != 0) {
            int contract = (int)(key.size - strlen(group->unit) - 1);
            return err_fail(reterr, ERR_CORRUPT, "the accounts of %.*s in %s do not sum to zero",
                            contract, (const char *)key.data, group->unit);
        }
    }
    return err_ok();
}

err accounts_check(struct accounts *a, struct errtext *reterr)
{
    require(a != NULL);
    require(a->dirty_count == 0);
    struct kv_iter *it = range_open(a->kv, FAMILY_ACCOUNTS, bytes_of(NULL, 0), bytes_of(NULL, 0));
    struct bytes key;
    struct bytes value;
    struct bytes contract;
    struct bytes family;
    err e = err_ok();
    while (!failed(e) && kv_iter_next(it, &key, &value)) {
        struct account_value v;
        if (failed(account_value_decode(value, &v)) ||
            !account_key_split(key, &contract, &family, NULL)) {
            e = err_fail(reterr, ERR_CORRUPT, "a stored account does not decode");
            continue;
        }
        group_of(a, key, v.unit)->sum += v.balance;
    }
    struct errtext why;
    err closed = kv_iter_close(it, &why);
    if (!failed(e) && failed(closed)) {
        return err_fail(reterr, closed.code, "read the accounts: %s", why.text);
    }
    return failed(e) ? e : groups_check(a, reterr);
}

/* The account in memory; read from the database if it is not there yet. */
static struct ledger_account *account_of(struct accounts *a, struct bytes key)
{
    struct ledger_account *account = map_get(&a->cache, key);
    if (account != NULL) {
        return account;
    }
    account = mem_new(1, sizeof(*account) + key.size);
    account->key_size = (uint32_t)key.size;
    memcpy(account->key, key.data, key.size);
    struct errtext why;
    buf_clear(&a->value);
    err e = kv_get(a->kv, FAMILY_ACCOUNTS, key, &a->value, &why);
    if (!failed(e)) {
        struct account_value v;
        if (failed(account_value_decode(buf_bytes(&a->value), &v))) {
            die("state database: a stored account does not decode");
        }
        account->balance = v.balance;
        account->posted = v.balance;
        account->committed = v.balance;
        account->count = v.count;
        memcpy(account->chain, v.chain, sizeof(account->chain));
        account->group = group_of(a, key, v.unit);
    } else if (!err_is(e, ERR_NOT_FOUND)) {
        die("state database: %s", why.text);
    }
    map_put(&a->cache, key, account);
    return account;
}

int64_t accounts_balance(struct accounts *a, struct bytes key)
{
    require(a != NULL);
    require(key.size > 0);
    return account_of(a, key)->balance;
}

/* An account has one contract and one unit for ever, so what it belongs to is found once. */
static void group_take(struct accounts *a, struct ledger_account *account, const char *unit)
{
    if (account->group == NULL) {
        account->group = group_of(a, account_key(account), bytes_text(unit));
    }
    require(strcmp(account->group->unit, unit) == 0);
}

static void move(struct accounts *a, struct ledger_account *account, int64_t quanta)
{
    if (a->undo_on) {
        if (a->undo_count == a->undo_capacity) {
            a->undo_capacity = a->undo_capacity * 2 + 64;
            a->undo = mem_resize(a->undo, a->undo_capacity, sizeof(*a->undo));
        }
        a->undo[a->undo_count++] = (struct accounts_undo){account, account->balance};
    }
    bool overflow = __builtin_add_overflow(account->balance, quanta, &account->balance);
    require(!overflow);
    if (!account->dirty) {
        if (a->dirty_count == a->dirty_capacity) {
            a->dirty_capacity = a->dirty_capacity * 2 + 64;
            a->dirty = mem_resize(a->dirty, a->dirty_capacity, sizeof(struct ledger_account *));
        }
        a->dirty[a->dirty_count++] = account;
        account->dirty = true;
    }
}

void accounts_move(struct accounts *a, const struct rules_posting *posting)
{
    require(a != NULL);
    require(posting->quanta > 0);
    struct ledger_account *debit = account_of(a, posting->debit);
    struct ledger_account *credit = account_of(a, posting->credit);
    group_take(a, debit, posting->unit);
    group_take(a, credit, posting->unit);
    require(debit->group == credit->group);
    move(a, debit, -posting->quanta);
    move(a, credit, posting->quanta);
}

void accounts_mark(struct accounts *a)
{
    require(a != NULL);
    require(!a->undo_on);
    a->undo_on = true;
    a->undo_count = 0;
}

void accounts_rollback(struct accounts *a)
{
    require(a != NULL);
    require(a->undo_on);
    for (size_t i = a->undo_count; i > 0; i--) {
        a->undo[i - 1].account->balance = a->undo[i - 1].balance;
    }
    a->undo_on = false;
    a->undo_count = 0;
}

void accounts_keep(struct accounts *a)
{
    require(a != NULL);
    require(a->undo_on);
    a->undo_on = false;
    a->undo_count = 0;
}

void posting_key_of(struct bytes account, uint64_t number, struct buf *key)
{
    require(key != NULL);
    buf_clear(key);
    buf_put_sized(key, account);
    buf_put_u64(key, number);
}

/* One side of a posting: the account's next link. */
struct link {
    struct ledger_account *account;
    struct bytes counter, clause;
    int64_t quanta;
    uint32_t ordinal;
};

static void touch(struct accounts *a, struct ledger_account *account, uint64_t position)
{
    if (account->record == position + 1) {
        return;
    }
    account->record = position + 1;
    if (a->touched_count == a->touched_capacity) {
        a->touched_capacity = a->touched_capacity * 2 + 64;
        a->touched = mem_resize(a->touched, a->touched_capacity, sizeof(struct ledger_account *));
    }
    a->touched[a->touched_count++] = account;
}

/* Keeps the value as the account's next posting of this block. */
static void posting_keep(struct accounts *a, struct ledger_account *account, struct bytes value)
{
    struct posting_node *node = arena_new(&a->postings, 1, sizeof(*node) + value.size);
    node->number = account->count;
    node->size = (uint32_t)value.size;
    memcpy(node->value, value.data, value.size);
    if (account->last == NULL) {
        account->first = node;
    } else {
        account->last->next = node;
    }
    account->last = node;
}

static struct account_head head_of(const struct ledger_account *account)
{
    struct account_head head = {.count = account->count};
    memcpy(head.chain, account->chain, sizeof(head.chain));
    return head;
}

static void post(struct accounts *a, const struct posting_place *place, const struct link *link)
{
    struct ledger_account *account = link->account;
    bool overflow = __builtin_add_overflow(account->posted, link->quanta, &account->posted);
    require(!overflow);
    struct account_head head = head_of(account);
    const struct account_posting posting = {
        .position = place->position,
        .ordinal = link->ordinal,
        .quanta = link->quanta,
        .balance = account->posted,
        .counter = link->counter,
    };
    account_chain_add(&head, &posting);
    account->count = head.count;
    memcpy(account->chain, head.chain, sizeof(account->chain));

    struct buf *value = &a->value;
    buf_clear(value);
    buf_put_u8(value, POSTING_VERSION);
    buf_put_u64(value, place->position);
    buf_put_u32(value, link->ordinal);
    buf_put_u64(value, place->time_ns);
    buf_put_i64(value, link->quanta);
    buf_put_i64(value, account->posted);
    buf_put_sized(value, link->clause);
    buf_put_sized(value, link->counter);
    buf_put(value, account->chain, sizeof(account->chain));
    posting_keep(a, account, buf_bytes(value));
    touch(a, account, place->position);
}

err posting_value_decode(struct bytes value, struct posting_value *ret)
{
    struct cursor c = cursor_of(value);
    struct posting_value v = {0};
    if (cursor_u8(&c) != POSTING_VERSION) {
        cursor_fail(&c);
    }
    v.position = cursor_u64(&c);
    v.ordinal = cursor_u32(&c);
    v.time_ns = cursor_u64(&c);
    v.quanta = cursor_i64(&c);
    v.balance = cursor_i64(&c);
    v.clause = cursor_sized(&c, NAME_BYTES_MAX);
    v.counter = cursor_sized(&c, ROW_BYTES_MAX);
    cursor_copy(&c, v.chain, sizeof(v.chain));
    if (!cursor_done(&c)) {
        return (err){ERR_CORRUPT};
    }
    *ret = v;
    return err_ok();
}

static int by_key(const void *left, const void *right)
{
    const struct ledger_account *const *l = left;
    const struct ledger_account *const *r = right;
    return bytes_compare(account_key(*l), account_key(*r));
}

static void touched_root(struct accounts *a, uint8_t ret_root[32])
{
    memset(ret_root, 0, 32);
    buf_clear(&a->leaves);
    if (a->touched_count == 0) {
        return;
    }
    qsort(a->touched, a->touched_count, sizeof(struct ledger_account *), by_key);
    struct merkle tree;
    merkle_init(&tree);
    for (size_t i = 0; i < a->touched_count; i++) {
        struct account_head head = head_of(a->touched[i]);
        struct merkle_hash leaf;
        account_leaf(account_key(a->touched[i]), &head, &leaf);
        buf_put(&a->leaves, leaf.bytes, sizeof(leaf.bytes));
        merkle_add(&tree, &leaf);
    }
    struct merkle_hash root;
    merkle_root(&tree, &root);
    memcpy(ret_root, root.bytes, 32);
}

void accounts_record(struct accounts *a, const struct posting_place *place,
                     const struct rules_out *out, uint8_t ret_root[32])
{
    require(a != NULL);
    require(!a->undo_on);
    a->touched_count = 0;
    for (size_t i = 0; i < out->posting_count; i++) {
        const struct rules_posting *p = &out->postings[i];
        struct link debit = {account_of(a, p->debit), p->credit, p->clause, -p->quanta,
                             (uint32_t)i};
        struct link credit = {account_of(a, p->credit), p->debit, p->clause, p->quanta,
                              (uint32_t)i};
        post(a, place, &debit);
        post(a, place, &credit);
    }
    touched_root(a, ret_root);
}

static void account_write(struct accounts *a, struct kv_batch *batch,
                          struct ledger_account *account)
{
    account->committed = account->posted;
    account->dirty = false;
    for (const struct posting_node *n = account->first; n != NULL; n = n->next) {
        posting_key_of(account_key(account), n->number, &a->posting_key);
        kv_batch_put(batch, a->kv, FAMILY_POSTINGS, buf_bytes(&a->posting_key),
                     bytes_of(n->value, n->size));
    }
    account->first = NULL;
    account->last = NULL;
    if (account->count > 0) { /* else only a rolled back evaluation touched it */
        account_value_put(account, &a->value);
        kv_batch_put(batch, a->kv, FAMILY_ACCOUNTS, account_key(account), buf_bytes(&a->value));
    }
}

void accounts_write(struct accounts *a, struct kv_batch *batch)
{
    require(a != NULL);
    require(!a->undo_on);
    if (a->dirty_count > 0) {
        qsort(a->dirty, a->dirty_count, sizeof(struct ledger_account *), by_key);
    }
    for (size_t i = 0; i < a->dirty_count; i++) {
        struct ledger_account *account = a->dirty[i];
        require(account->balance == account->posted);
        account->group->sum += (wide_sum)account->posted - account->committed;
    }
    for (size_t i = 0; i < a->dirty_count; i++) {
        require(a->dirty[i]->group->sum == 0);
        account_write(a, batch, a->dirty[i]);
    }
    a->dirty_count = 0;
    arena_reset(&a->postings);
    if (a->cache.count > ACCOUNTS_CACHED_MAX) {
        free_values(&a->cache); /* simple and rare: those in use come back by reading */
    }
}
