#include "consensus/memlog.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/require.h"

void memlog_init(struct memlog *l, uint64_t first)
{
    require(first > 0);
    *l = (struct memlog){.first = first, .cold = first};
}

/* Weight of an item's payload in the sum that memlog_shed bounds. */
static uint64_t item_bytes(const struct memlog_item *item)
{
    return item->entry == NULL || item->type == ENTRY_CHANGE ? 0 : item->entry->size;
}

static void item_drop(struct memlog *l, struct memlog_item *item)
{
    uint64_t bytes = item_bytes(item);
    require(l->bytes >= bytes);
    l->bytes -= bytes;
    entry_unref(item->entry);
    item->entry = NULL;
}

void memlog_done(struct memlog *l)
{
    for (uint64_t i = 0; i < l->count; i++) {
        item_drop(l, &l->items[i]);
    }
    require(l->bytes == 0);
    free(l->items);
    *l = (struct memlog){0};
}

const struct memlog_item *memlog_at(const struct memlog *l, uint64_t index)
{
    if (index < l->first || index - l->first >= l->count) {
        return NULL;
    }
    return &l->items[index - l->first];
}

void memlog_push(struct memlog *l, uint64_t term, enum entry_type type, struct entry *entry)
{
    require(term > 0);
    require(entry != NULL || type != ENTRY_CHANGE);
    if (l->count == l->capacity) {
        l->capacity = l->capacity == 0 ? 64 : l->capacity * 2;
        l->items = mem_resize(l->items, l->capacity, sizeof *l->items);
    }
    struct memlog_item *item = &l->items[l->count];
    *item = (struct memlog_item){.term = term, .type = type, .entry = entry_ref(entry)};
    l->bytes += item_bytes(item);
    l->count++;
}

void memlog_truncate(struct memlog *l, uint64_t from)
{
    require(from >= l->first);
    while (l->count > 0 && memlog_last(l) >= from) {
        item_drop(l, &l->items[l->count - 1]);
        l->count--;
    }
    l->cold = l->cold < from ? l->cold : from;
}

void memlog_trim(struct memlog *l, uint64_t first)
{
    if (first <= l->first) {
        return;
    }
    uint64_t drop = first - l->first < l->count ? first - l->first : l->count;
    for (uint64_t i = 0; i < drop; i++) {
        item_drop(l, &l->items[i]);
    }
    l->count -= drop;
    if (l->count > 0) {
        memmove(l->items, l->items + drop, l->count * sizeof *l->items);
    }
    l->first = first;
    l->cold = l->cold > first ? l->cold : first;
}

void memlog_restart(struct memlog *l, uint64_t first)
{
    require(first > 0);
    memlog_truncate(l, l->first);
    require(l->count == 0 && l->bytes == 0);
    l->first = first;
    l->cold = first;
}

void memlog_shed(struct memlog *l, uint64_t bytes_max, uint64_t index_max)
{
    while (l->bytes > bytes_max && l->cold <= index_max && l->cold <= memlog_last(l)) {
        struct memlog_item *item = &l->items[l->cold - l->first];
        if (item->type != ENTRY_CHANGE) {
            item_drop(l, item);
        }
        l->cold++;
    }
}
