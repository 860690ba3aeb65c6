#include "server/chain.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/require.h"

static struct chained **slot(const struct chain *c, size_t i)
{
    return &c->items[(c->first + i) & (c->capacity - 1)];
}

void chained_free(struct chained *b)
{
    if (b != NULL) {
        entry_unref(b->entry);
        free(b->verified);
        free(b);
    }
}

/* Frees a block, or leaves that to the end of its check. */
static void release(struct chained *b)
{
    if (b->checking) {
        b->gone = true;
    } else {
        chained_free(b);
    }
}

void chain_done(struct chain *c)
{
    for (size_t i = 0; i < c->count; i++) {
        release(*slot(c, i));
    }
    free(c->items);
    *c = (struct chain){0};
}

static void grow(struct chain *c)
{
    size_t capacity = c->capacity == 0 ? 16 : c->capacity * 2;
    struct chained **items = mem_new(capacity, sizeof *items);
    for (size_t i = 0; i < c->count; i++) {
        items[i] = *slot(c, i);
    }
    free(c->items);
    c->items = items;
    c->capacity = capacity;
    c->first = 0;
}

struct chained *chain_push(struct chain *c, uint64_t index, uint64_t term, struct entry *entry)
{
    require(c->count == 0 || chain_last(c)->index < index);
    if (c->count == c->capacity) {
        grow(c);
    }
    struct chained *b = mem_new(1, sizeof *b);
    *b = (struct chained){.index = index, .term = term, .entry = entry_ref(entry)};
    *slot(c, c->count++) = b;
    return b;
}

void chain_cut(struct chain *c, uint64_t index)
{
    while (c->count > 0 && chain_last(c)->index >= index) {
        release(chain_last(c));
        c->count--;
    }
}

void chain_drop(struct chain *c, uint64_t index)
{
    while (c->count > 0 && (*slot(c, 0))->index <= index) {
        release(*slot(c, 0));
        c->first = (c->first + 1) & (c->capacity - 1);
        c->count--;
    }
}

struct chained *chain_find(const struct chain *c, uint64_t index)
{
    for (size_t i = 0; i < c->count; i++) {
        struct chained *b = *slot(c, i);
        if (b->index >= index) {
            return b->index == index ? b : NULL;
        }
    }
    return NULL;
}

struct chained *chain_at(const struct chain *c, size_t i)
{
    require(i < c->count);
    return *slot(c, i);
}

struct chained *chain_last(const struct chain *c)
{
    return c->count == 0 ? NULL : *slot(c, c->count - 1);
}
