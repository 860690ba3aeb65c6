#include "ledger/timers.h"

#include "base/cursor.h"
#include "base/limits.h"
#include "base/require.h"

enum { TIMER_VERSION = 1, TIMER_KEY_SIZE = 1 + 8 + 4 + 8 + 4, TIMER_VALUE_BYTES_MAX = 1 << 20 };

static void key_of(const struct timer *t, struct buf *key)
{
    buf_init(key, TIMER_KEY_SIZE);
    buf_put_u8(key, 't');
    buf_put_u64(key, (uint64_t)t->at.seconds ^ UINT64_C(1) << 63);
    buf_put_u32(key, t->at.nanos);
    buf_put_u64(key, t->position);
    buf_put_u32(key, t->ordinal);
    require(!key->overflow);
}

/* The key of a contract's count of waiting timers. */
struct waiting_key {
    uint8_t data[1 + NAME_BYTES_MAX];
    size_t size;
};

static struct waiting_key waiting_key_of(struct bytes contract)
{
    require(contract.size <= NAME_BYTES_MAX);
    struct waiting_key key = {.size = 1 + contract.size};
    key.data[0] = 'n';
    memcpy(key.data + 1, contract.data, contract.size);
    return key;
}

uint64_t timers_waiting(struct rows *timers, struct bytes contract)
{
    require(timers != NULL);
    struct waiting_key key = waiting_key_of(contract);
    struct bytes row;
    if (!rows_get(timers, bytes_of(key.data, key.size), &row)) {
        return 0;
    }
    struct cursor c = cursor_of(row);
    uint64_t count = cursor_u64(&c);
    require(cursor_done(&c));
    return count;
}

static void waiting_set(struct rows *timers, struct bytes contract, uint64_t count)
{
    struct waiting_key key = waiting_key_of(contract);
    if (count == 0) {
        rows_remove(timers, bytes_of(key.data, key.size));
        return;
    }
    struct buf value;
    buf_init(&value, 8);
    buf_put_u64(&value, count);
    rows_put(timers, bytes_of(key.data, key.size), buf_bytes(&value));
    buf_done(&value);
}

void timers_add(struct rows *timers, const struct timer *timer)
{
    require(timers != NULL);
    require(timer->contract.size <= NAME_BYTES_MAX);
    struct buf key;
    struct buf value;
    key_of(timer, &key);
    buf_init(&value, TIMER_VALUE_BYTES_MAX);
    buf_put_u8(&value, TIMER_VERSION);
    buf_put_u32(&value, (uint32_t)timer->legal);
    buf_put(&value, timer->hash, sizeof(timer->hash));
    buf_put(&value, timer->salt, sizeof(timer->salt));
    buf_put_sized(&value, timer->contract);
    buf_put_sized(&value, timer->event);
    buf_put_sized(&value, timer->args);
    require(!value.overflow);
    rows_put(timers, buf_bytes(&key), buf_bytes(&value));
    buf_done(&key);
    buf_done(&value);
    waiting_set(timers, timer->contract, timers_waiting(timers, timer->contract) + 1);
}

void timers_remove(struct rows *timers, const struct timer *timer)
{
    require(timers != NULL);
    uint64_t waiting = timers_waiting(timers, timer->contract);
    require(waiting > 0);
    struct buf key;
    key_of(timer, &key);
    rows_remove(timers, buf_bytes(&key));
    buf_done(&key);
    waiting_set(timers, timer->contract, waiting - 1);
}

struct first {
    struct arena *arena;
    struct timer *timer;
    bool found;
};

static bool first_row(void *to, struct bytes key, struct bytes row)
{
    struct first *first = to;
    struct timer *t = first->timer;
    struct cursor k = cursor_of(key);
    (void)cursor_u8(&k);
    t->at.seconds = (int64_t)(cursor_u64(&k) ^ UINT64_C(1) << 63);
    t->at.nanos = cursor_u32(&k);
    t->position = cursor_u64(&k);
    t->ordinal = cursor_u32(&k);
    struct cursor c = cursor_of(row);
    uint8_t version = cursor_u8(&c);
    t->legal = (int32_t)cursor_u32(&c);
    cursor_copy(&c, t->hash, sizeof(t->hash));
    cursor_copy(&c, t->salt, sizeof(t->salt));
    struct bytes contract = cursor_sized(&c, NAME_BYTES_MAX);
    struct bytes event = cursor_sized(&c, NAME_BYTES_MAX);
    struct bytes args = cursor_sized(&c, TIMER_VALUE_BYTES_MAX);
    if (!cursor_done(&k) || !cursor_done(&c) || version != TIMER_VERSION) {
        die("state database: a stored timer does not decode");
    }
    t->contract = arena_copy(first->arena, contract);
    t->event = arena_copy(first->arena, event);
    t->args = arena_copy(first->arena, args);
    first->found = true;
    return false;
}

bool timers_first(struct rows *timers, struct arena *a, struct timer *ret)
{
    require(timers != NULL);
    require(ret != NULL);
    struct first first = {a, ret, false};
    rows_scan(timers, bytes_text("t"), &first, first_row);
    return first.found;
}
