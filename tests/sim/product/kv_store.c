#include "tests/sim/product/kv_store.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tests/sim/product/world.h"

/* ---- the list ---- */

static struct pair *pair_new(size_t levels, const uint8_t *key, size_t key_size)
{
    struct pair *p = mem_new(1, sizeof *p + levels * sizeof p->next[0] + key_size);
    p->key = (uint8_t *)&p->next[levels];
    p->key_size = key_size;
    if (key_size > 0) {
        memcpy(p->key, key, key_size);
    }
    return p;
}

int pair_order(const struct pair *p, struct bytes key)
{
    return bytes_compare(bytes_of(p->key, p->key_size), key);
}

struct pair *store_before(struct store *s, struct bytes key, struct pair *ret_before[LEVELS])
{
    struct pair *p = s->head;
    for (size_t level = LEVELS; level-- > 0;) {
        while (p->next[level] != NULL && pair_order(p->next[level], key) < 0) {
            p = p->next[level];
        }
        if (ret_before != NULL) {
            ret_before[level] = p;
        }
    }
    return p;
}

struct pair *store_find(struct store *s, struct bytes key)
{
    struct pair *p = store_before(s, key, NULL)->next[0];
    return p != NULL && pair_order(p, key) == 0 ? p : NULL;
}

struct pair *store_put(struct store *s, struct bytes key, const uint8_t *value, size_t size)
{
    struct pair *before[LEVELS];
    struct pair *p = store_before(s, key, before)->next[0];
    if (p == NULL || pair_order(p, key) != 0) {
        size_t levels = 1;
        while (levels < LEVELS && draw(&s->random) % 4 == 0) {
            levels++;
        }
        p = pair_new(levels, key.data, key.size);
        for (size_t i = 0; i < levels; i++) {
            p->next[i] = before[i]->next[i];
            before[i]->next[i] = p;
        }
        s->count++;
    }
    free(p->value);
    p->value = mem_copy(value, size);
    p->value_size = size;
    return p;
}

void store_remove(struct store *s, struct bytes key)
{
    struct pair *before[LEVELS];
    struct pair *p = store_before(s, key, before)->next[0];
    if (p == NULL || pair_order(p, key) != 0) {
        return;
    }
    for (size_t i = 0; i < LEVELS && before[i]->next[i] == p; i++) {
        before[i]->next[i] = p->next[i];
    }
    free(p->value);
    free(p);
    s->count--;
}

/* ---- the journal ---- */

void journal_clear(struct store *s)
{
    for (size_t i = 0; i < s->undo_count; i++) {
        free(s->undo[i].key);
        free(s->undo[i].value);
    }
    s->undo_count = 0;
    s->mark_count = 0;
}

void journal_mark(struct store *s)
{
    if (s->mark_count == s->mark_capacity) {
        s->mark_capacity = s->mark_capacity == 0 ? 64 : 2 * s->mark_capacity;
        s->marks = mem_resize(s->marks, s->mark_capacity, sizeof *s->marks);
    }
    s->marks[s->mark_count++] = s->undo_count;
}

void journal_note(struct store *s, struct bytes key)
{
    const struct pair *old = store_find(s, key);
    if (s->undo_count == s->undo_capacity) {
        s->undo_capacity = s->undo_capacity == 0 ? 256 : 2 * s->undo_capacity;
        s->undo = mem_resize(s->undo, s->undo_capacity, sizeof *s->undo);
    }
    s->undo[s->undo_count++] = (struct undo){
        .key = mem_copy(key.data, key.size),
        .key_size = key.size,
        .value = old == NULL ? NULL : mem_copy(old->value, old->value_size),
        .value_size = old == NULL ? 0 : old->value_size,
    };
}

void journal_roll_back(struct store *s, size_t keep)
{
    while (s->mark_count > keep) {
        size_t first = s->marks[--s->mark_count];
        while (s->undo_count > first) {
            struct undo *u = &s->undo[--s->undo_count];
            struct bytes key = bytes_of(u->key, u->key_size);
            if (u->value == NULL) {
                store_remove(s, key);
            } else {
                store_put(s, key, u->value, u->value_size);
            }
            free(u->key);
            free(u->value);
        }
    }
}

/* ---- the store ---- */

struct store *store_new(void)
{
    struct store *s = mem_new(1, sizeof *s);
    s->head = pair_new(LEVELS, NULL, 0);
    s->random = 1;
    return s;
}

void store_free(struct store *s)
{
    while (s->head != NULL) {
        struct pair *next = s->head->next[0];
        free(s->head->value);
        free(s->head);
        s->head = next;
    }
    journal_clear(s);
    free(s->undo);
    free(s->marks);
    free(s);
}
