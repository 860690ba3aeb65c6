/* Sorting without recursion, allocation or libc: a heap (used by 7.1 and 7.2). */
#include "rules/order.h"

#include "base/require.h"

/* Moves the position at `at` down until neither child comes before it. */
static void sink(struct order *o, size_t at)
{
    require(at < o->count);
    uint32_t moving = o->heap[at];
    for (size_t child = 2 * at + 1; child < o->count; child = 2 * at + 1) {
        if (child + 1 < o->count && o->before(o->ctx, o->heap[child + 1], o->heap[child])) {
            child++;
        }
        if (!o->before(o->ctx, o->heap[child], moving)) {
            break;
        }
        o->heap[at] = o->heap[child];
        at = child;
    }
    o->heap[at] = moving;
}

void order_build(struct order *o)
{
    require(o->count <= UINT32_MAX);
    require(o->count == 0 || o->heap != NULL);
    for (size_t i = 0; i < o->count; i++) {
        o->heap[i] = (uint32_t)i;
    }
    for (size_t i = o->count / 2; i > 0; i--) {
        sink(o, i - 1);
    }
}

uint32_t order_first(const struct order *o)
{
    require(o->count > 0);
    return o->heap[0];
}

uint32_t order_pop(struct order *o)
{
    uint32_t first = order_first(o);
    o->count--;
    if (o->count > 0) {
        o->heap[0] = o->heap[o->count];
        sink(o, 0);
    }
    return first;
}
