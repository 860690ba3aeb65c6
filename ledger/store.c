/* The state behind the block being applied: what rules reads, where its effects go, and the entries
 * that close a block. */
#include "base/cursor.h"
#include "base/require.h"
#include "ledger/state.h"
#include "ledger/timers.h"

enum { HEAD_VERSION = 3, VOID_VERSION = 1, HEAD_BYTES_MAX = 256 };

int32_t ledger_day(const struct ledger *l, uint64_t now_ns)
{
    require(l != NULL);
    struct rules_time now = rules_time_of_ns(now_ns);
    int32_t day = 0;
    if (rules_day_in_zone(now, l->zone, &day)) {
        return day;
    }
    /* Before 1997 the European zones are not defined; a block is only ever stamped so in a test. */
    bool utc = rules_day_in_zone(now, "UTC", &day);
    require(utc);
    return day;
}

static bool store_get(void *ctx, struct bytes key, struct bytes *ret_row)
{
    struct ledger *l = ctx;
    return rows_get(&l->rows, key, ret_row);
}

static bool store_seek(void *ctx, struct bytes prefix, struct bytes key, struct bytes *ret_key,
                       struct bytes *ret_row)
{
    struct ledger *l = ctx;
    return rows_seek_at_most(&l->rows, prefix, key, ret_key, ret_row);
}

static void store_scan(void *ctx, struct bytes prefix, void *to,
                       bool (*on_row)(void *to, struct bytes key, struct bytes row))
{
    struct ledger *l = ctx;
    rows_scan(&l->rows, prefix, to, on_row);
}

static uint64_t store_count(void *ctx, struct bytes prefix)
{
    struct ledger *l = ctx;
    return rows_count(&l->rows, prefix);
}

static int64_t store_balance(void *ctx, struct bytes account)
{
    struct ledger *l = ctx;
    return accounts_balance(&l->accounts, account);
}

static const struct rules_program *store_owner(void *ctx, struct bytes contract)
{
    struct ledger *l = ctx;
    const struct ledger_contract *newest =
        contracts_find(&l->contracts, contract, 0, next_height(l));
    return newest == NULL ? NULL : newest->program;
}

void store_init(struct ledger *l)
{
    require(l != NULL);
    l->store = (struct rules_store){
        .ctx = l,
        .get = store_get,
        .seek_at_most = store_seek,
        .scan = store_scan,
        .count = store_count,
        .balance = store_balance,
        .owner = store_owner,
    };
}

static void schedule_apply(struct ledger *l, const struct effects_of *of,
                           const struct rules_schedule *schedule)
{
    struct timer timer = {
        .at = schedule->at,
        .position = of->position,
        .ordinal = schedule->ordinal,
        .legal = schedule->legal,
        .contract = of->contract,
        .event = schedule->event,
        .args = schedule->args,
    };
    memcpy(timer.hash, schedule->hash, sizeof(timer.hash));
    memcpy(timer.salt, of->salt, sizeof(timer.salt));
    timers_add(&l->timers, &timer);
}

void effects_apply(struct ledger *l, const struct effects_of *of, const struct rules_out *out)
{
    require(l != NULL);
    require(out->end == RULES_ACCEPTED ||
            out->posting_count + out->row_count + out->schedule_count == 0);
    for (size_t i = 0; i < out->posting_count; i++) {
        accounts_move(&l->accounts, &out->postings[i]);
    }
    for (size_t i = 0; i < out->row_count; i++) {
        const struct rules_row_change *change = &out->rows[i];
        if (change->removed) {
            rows_remove(&l->rows, change->key);
        } else {
            rows_put(&l->rows, change->key, change->row);
        }
    }
    for (size_t i = 0; i < out->schedule_count; i++) {
        schedule_apply(l, of, &out->schedules[i]);
    }
}

void timer_next_update(struct ledger *l)
{
    require(l != NULL);
    struct arena a;
    arena_init(&a, RULES_APPLY_ARENA_MAX);
    struct timer timer;
    l->timer_next_ns = UINT64_MAX;
    uint64_t at_ns = 0;
    if (timers_first(&l->timers, &a, &timer) && rules_time_to_ns(timer.at, &at_ns)) {
        l->timer_next_ns = at_ns;
    }
    arena_done(&a);
}

/* ---- the entries that close a block ---- */

static const char HEAD_KEY[] = "head";
static const char APPLIED_KEY[] = "applied";

/* u8 version | u64 height | u64 position | u64 time | 32 block hash | 32 digest | u64 bytes of all
 * blocks | 32 root. The Raft index is this node's own: a joiner's log begins elsewhere. */
void head_put(struct ledger *l, const struct ledger_head *head, uint64_t raft_index)
{
    require(l != NULL);
    require(head != NULL);
    buf_clear(&l->value);
    buf_put_u8(&l->value, HEAD_VERSION);
    buf_put_u64(&l->value, head->height);
    buf_put_u64(&l->value, head->position);
    buf_put_u64(&l->value, head->time_ns);
    buf_put(&l->value, head->block_hash, sizeof(head->block_hash));
    buf_put(&l->value, head->digest, sizeof(head->digest));
    buf_put_u64(&l->value, head->log_bytes);
    buf_put(&l->value, head->root, sizeof(head->root));
    kv_batch_put(l->batch, l->kv, FAMILY_META, bytes_text(HEAD_KEY), buf_bytes(&l->value));
    buf_clear(&l->value);
    buf_put_u64(&l->value, raft_index);
    kv_batch_put(l->batch, l->kv, FAMILY_LOCAL, bytes_text(APPLIED_KEY), buf_bytes(&l->value));
}

static err missing(err e, const char *what, struct errtext *reterr)
{
    return err_is(e, ERR_NOT_FOUND) ? err_fail(reterr, ERR_CORRUPT, "the state has no %s", what)
                                    : e;
}

err head_read(struct kv *kv, struct ledger_head *ret, uint64_t *ret_applied, struct errtext *reterr)
{
    struct buf value;
    struct ledger_head head;
    buf_init(&value, HEAD_BYTES_MAX);
    err e = kv_get(kv, FAMILY_META, bytes_text(HEAD_KEY), &value, reterr);
    if (failed(e)) {
        buf_done(&value);
        return missing(e, "head", reterr);
    }
    struct cursor c = cursor_of(buf_bytes(&value));
    uint8_t version = cursor_u8(&c);
    head.height = cursor_u64(&c);
    head.position = cursor_u64(&c);
    head.time_ns = cursor_u64(&c);
    cursor_copy(&c, head.block_hash, sizeof(head.block_hash));
    cursor_copy(&c, head.digest, sizeof(head.digest));
    head.log_bytes = cursor_u64(&c);
    cursor_copy(&c, head.root, sizeof(head.root));
    if (!cursor_done(&c) || version != HEAD_VERSION) {
        buf_done(&value);
        return err_fail(reterr, ERR_CORRUPT, "the head of the state does not decode");
    }
    e = kv_get(kv, FAMILY_LOCAL, bytes_text(APPLIED_KEY), &value, reterr);
    c = cursor_of(buf_bytes(&value));
    uint64_t applied = cursor_u64(&c);
    bool whole = cursor_done(&c);
    buf_done(&value);
    if (failed(e)) {
        return missing(e, "applied index", reterr);
    }
    if (!whole) {
        return err_fail(reterr, ERR_CORRUPT, "the applied index does not decode");
    }
    *ret = head;
    *ret_applied = applied;
    return err_ok();
}

err head_load(struct ledger *l, struct errtext *reterr)
{
    require(l != NULL);
    return head_read(l->kv, &l->head, &l->applied_index, reterr);
}

/* 'b' | u64 height | u32 envelope -> version, reason, request hash
 * 'r' | party 00 id               -> version, reason, request hash, u64 height: the latest */
void void_put(struct ledger *l, const struct void_entry *entry)
{
    require(l != NULL);
    require(entry->reason != REASON_NONE);
    buf_clear(&l->value);
    buf_put_u8(&l->value, VOID_VERSION);
    buf_put_u32(&l->value, (uint32_t)entry->reason);
    buf_put(&l->value, entry->request_hash, 32);
    buf_clear(&l->key);
    buf_put_u8(&l->key, 'b');
    buf_put_u64(&l->key, entry->height);
    buf_put_u32(&l->key, entry->index);
    kv_batch_put(l->batch, l->kv, FAMILY_VOIDS, buf_bytes(&l->key), buf_bytes(&l->value));
    if (!entry->by_id) {
        return;
    }
    require(entry->envelope != NULL);
    buf_put_u64(&l->value, entry->height);
    void_id_key(entry->envelope->body.on_behalf, entry->envelope->body.request_id, &l->key);
    kv_batch_put(l->batch, l->kv, FAMILY_VOIDS, buf_bytes(&l->key), buf_bytes(&l->value));
}

void void_id_key(struct bytes party, const uint8_t id[16], struct buf *key)
{
    require(key != NULL);
    buf_clear(key);
    buf_put_u8(key, 'r');
    buf_put_bytes(key, party);
    buf_put_u8(key, 0);
    buf_put(key, id, REQUEST_ID_SIZE);
}

err void_decode(struct bytes value, struct void_value *ret)
{
    struct cursor c = cursor_of(value);
    struct void_value v = {0};
    uint8_t version = cursor_u8(&c);
    v.reason = (enum reason)cursor_u32(&c);
    cursor_copy(&c, v.request_hash, sizeof(v.request_hash));
    if (cursor_left(&c) > 0) {
        v.height = cursor_u64(&c);
    }
    if (!cursor_done(&c) || version != VOID_VERSION) {
        return (err){ERR_CORRUPT};
    }
    *ret = v;
    return err_ok();
}
