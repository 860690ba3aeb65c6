/* Bytes that may be held: of a connection, inside the server's. What does not fit is refused;
 * nothing grows. */
#ifndef NET_BUDGET_H
#define NET_BUDGET_H

#include <stdbool.h>
#include <stddef.h>

#include "base/require.h"

struct budget {
    size_t used, max;
    struct budget *parent; /* NULL, or one that counts as well */
};

static inline bool budget_take(struct budget *b, size_t size)
{
    for (struct budget *at = b; at != NULL; at = at->parent) {
        require(at->used <= at->max);
        if (size > at->max - at->used) {
            return false;
        }
    }
    for (struct budget *at = b; at != NULL; at = at->parent) {
        at->used += size;
    }
    return true;
}

static inline void budget_give(struct budget *b, size_t size)
{
    for (struct budget *at = b; at != NULL; at = at->parent) {
        require(size <= at->used);
        at->used -= size;
    }
}

#endif
