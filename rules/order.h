/* Taking positions out of an array in order, without allocating: a binary heap of positions.
 * Building costs O(n), each pop O(log n), so whoever needs only the first k pays only for them.
 * `before` must be a strict total order of the positions: then the result depends on the order
 * alone, never on the heap. Pure; any thread. */
#ifndef RULES_ORDER_H
#define RULES_ORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct order {
    uint32_t *heap; /* the caller's, room for `count` positions */
    size_t count;   /* positions still in the heap */
    const void *ctx;
    bool (*before)(const void *ctx, uint32_t a, uint32_t b); /* a comes out before b */
};

/* Fills the heap with the positions 0 to count - 1. */
void order_build(struct order *o);

/* The first position, without taking it; the heap must not be empty. */
uint32_t order_first(const struct order *o);

/* Takes the first position; the heap must not be empty. */
uint32_t order_pop(struct order *o);

#endif
