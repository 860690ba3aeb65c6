/* A state in memory, for tests in the text and streams (sections 14, 18). */
#include "rules/memory.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/require.h"

/* Tools only: what a large stream of events leaves behind. */
#define MEMORY_BYTES_MAX ((size_t)8 << 30)

struct stored_row {
    bool present;
    uint8_t *data; /* owned, heap */
    size_t size;
};

static bool get_row(void *ctx, struct bytes key, struct bytes *ret_row)
{
    struct memory *m = ctx;
    const struct stored_row *r = tree_get(&m->rows, key);
    if (r == NULL || !r->present) {
        return false;
    }
    *ret_row = bytes_of(r->data, r->size);
    return true;
}

static bool seek_row(void *ctx, struct bytes prefix, struct bytes key, struct bytes *ret_key,
                     struct bytes *ret_row)
{
    struct memory *m = ctx;
    const struct tree_node *n = tree_below(&m->rows, key, true);
    for (; n != NULL && bytes_has_prefix(n->key, prefix); n = tree_below(&m->rows, n->key, false)) {
        const struct stored_row *r = n->value;
        if (r->present) {
            *ret_key = n->key;
            *ret_row = bytes_of(r->data, r->size);
            return true;
        }
    }
    return false;
}

static void scan_rows(void *ctx, struct bytes prefix, void *to,
                      bool (*on_row)(void *to, struct bytes key, struct bytes row))
{
    struct memory *m = ctx;
    const struct tree_node *n = tree_above(&m->rows, prefix, true);
    for (; n != NULL && bytes_has_prefix(n->key, prefix); n = tree_above(&m->rows, n->key, false)) {
        const struct stored_row *r = n->value;
        if (r->present && !on_row(to, n->key, bytes_of(r->data, r->size))) {
            return;
        }
    }
}

static bool count_row(void *to, struct bytes key, struct bytes row)
{
    uint64_t *count = to;
    (*count)++;
    return true;
}

static uint64_t count_rows(void *ctx, struct bytes prefix)
{
    uint64_t count = 0;
    scan_rows(ctx, prefix, &count, count_row);
    return count;
}

static int64_t get_balance(void *ctx, struct bytes account)
{
    struct memory *m = ctx;
    const int64_t *balance = tree_get(&m->accounts, account);
    return balance == NULL ? 0 : *balance;
}

void memory_init(struct memory *m)
{
    require(m != NULL);
    *m = (struct memory){0};
    arena_init(&m->arena, MEMORY_BYTES_MAX);
    m->rows.arena = &m->arena;
    m->accounts.arena = &m->arena;
    m->timers.arena = &m->arena;
    m->store = (struct rules_store){
        .ctx = m,
        .get = get_row,
        .seek_at_most = seek_row,
        .scan = scan_rows,
        .count = count_rows,
        .balance = get_balance,
    };
}

void memory_done(struct memory *m)
{
    require(m != NULL);
    const struct tree_node *n = tree_above(&m->rows, bytes_of("", 0), true);
    for (; n != NULL; n = tree_above(&m->rows, n->key, false)) {
        free(((struct stored_row *)n->value)->data);
    }
    arena_done(&m->arena);
}

void memory_put(struct memory *m, struct bytes key, struct bytes row)
{
    struct stored_row *r = tree_get(&m->rows, key);
    if (r == NULL) {
        r = tree_add(&m->rows, key, sizeof *r)->value;
    }
    free(r->data);
    r->data = mem_copy(row.data, row.size);
    r->size = row.size;
    r->present = true;
}

void memory_remove(struct memory *m, struct bytes key)
{
    struct stored_row *r = tree_get(&m->rows, key);
    require(r != NULL);
    require(r->present);
    r->present = false;
}

bool memory_add(struct memory *m, struct bytes account, int64_t quanta)
{
    int64_t *balance = tree_get(&m->accounts, account);
    if (balance == NULL) {
        balance = tree_add(&m->accounts, account, sizeof *balance)->value;
    }
    return num_int_add(*balance, quanta, balance) == NUM_OK;
}

/* Timers stand in order of time, log index, ordinal. */
static struct bytes timer_key(struct rules_time at, uint64_t index, uint32_t ordinal,
                              struct buf *out)
{
    buf_put_u64(out, (uint64_t)at.seconds ^ UINT64_C(1) << 63);
    buf_put_u32(out, at.nanos);
    buf_put_u64(out, index);
    buf_put_u32(out, ordinal);
    return buf_bytes(out);
}

static void add_timer(struct memory *m, const struct rules_schedule *s, uint64_t index)
{
    struct buf key;
    buf_init(&key, 64);
    struct memory_timer *t =
        tree_add(&m->timers, timer_key(s->at, index, s->ordinal, &key), sizeof *t)->value;
    buf_done(&key);
    t->at = s->at;
    t->event = arena_copy(&m->arena, s->event);
    t->args = arena_copy(&m->arena, s->args);
    t->legal = s->legal;
    memcpy(t->hash, s->hash, RULES_HASH_SIZE);
    m->waiting++;
}

void memory_apply(struct memory *m, const struct rules_out *out, uint64_t index)
{
    require(out->end == RULES_ACCEPTED);
    for (size_t i = 0; i < out->posting_count; i++) {
        const struct rules_posting *p = &out->postings[i];
        require(p->quanta > 0);
        require(memory_add(m, p->debit, -p->quanta));
        require(memory_add(m, p->credit, p->quanta));
    }
    for (size_t i = 0; i < out->row_count; i++) {
        const struct rules_row_change *c = &out->rows[i];
        if (c->removed) {
            memory_remove(m, c->key);
        } else {
            memory_put(m, c->key, c->row);
        }
    }
    for (size_t i = 0; i < out->schedule_count; i++) {
        add_timer(m, &out->schedules[i], index);
    }
}

static struct memory_timer *first_due(const struct memory *m, struct rules_time now)
{
    const struct tree_node *n = tree_above(&m->timers, bytes_of("", 0), true);
    for (; n != NULL; n = tree_above(&m->timers, n->key, false)) {
        struct memory_timer *t = n->value;
        if (t->at.seconds > now.seconds ||
            (t->at.seconds == now.seconds && t->at.nanos > now.nanos)) {
            return NULL;
        }
        if (!t->fired) {
            return t;
        }
    }
    return NULL;
}

struct memory_timer *memory_fire(struct memory *m, struct rules_time now)
{
    struct memory_timer *t = first_due(m, now);
    if (t != NULL) {
        t->fired = true;
        m->waiting--;
    }
    return t;
}

bool memory_due(const struct memory *m, struct rules_time now)
{
    return first_due(m, now) != NULL;
}
