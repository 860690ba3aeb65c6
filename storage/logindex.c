#include "storage/logindex.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/require.h"

void logindex_init(struct logindex *x, uint64_t first)
{
    require(x != NULL);
    require(first > 0);
    *x = (struct logindex){.first = first};
}

void logindex_done(struct logindex *x)
{
    require(x != NULL);
    free(x->places);
    *x = (struct logindex){0};
}

void logindex_clear(struct logindex *x, uint64_t first)
{
    require(first > 0);
    x->head = 0;
    x->count = 0;
    x->first = first;
}

const struct logplace *logindex_get(const struct logindex *x, uint64_t index)
{
    if (index < x->first || index - x->first >= x->count) {
        return NULL;
    }
    return &x->places[x->head + (size_t)(index - x->first)];
}

void logindex_add(struct logindex *x, const struct logplace *place)
{
    require(place->term > 0);
    require(place->segment > 0);
    if (x->head + x->count == x->capacity) {
        x->capacity = x->capacity == 0 ? 1024 : x->capacity * 2;
        x->places = mem_resize(x->places, x->capacity, sizeof x->places[0]);
    }
    x->places[x->head + x->count] = *place;
    x->count++;
}

void logindex_cut(struct logindex *x, uint64_t index)
{
    require(index >= x->first);
    if (index - x->first < x->count) {
        x->count = (size_t)(index - x->first);
    }
}

void logindex_trim(struct logindex *x, uint64_t index)
{
    require(index <= logindex_last(x) + 1);
    if (index <= x->first) {
        return;
    }
    size_t drop = (size_t)(index - x->first);
    x->head += drop;
    x->count -= drop;
    x->first = index;
    /* Moving less than half of the array for each half dropped costs one move an entry. */
    if (x->head > x->capacity / 2) {
        memmove(x->places, x->places + x->head, x->count * sizeof x->places[0]);
        x->head = 0;
    }
}
