/* Heads of the tree at the door of a node: never two roots of one size, never a smaller size
 * after a larger one, over all its lives; and nobody is accused, for all are honest. */
#ifndef TESTS_SIM_PRODUCT_CHECK_HEADS_H
#define TESTS_SIM_PRODUCT_CHECK_HEADS_H

#include "tests/sim/product/machine.h"

/* What a machine has signed. */
struct signed_heads {
    uint64_t *roots; /* by tree size: the beginning of the root; 0: none */
    size_t capacity;
    uint64_t largest;
};

void heads_check_clear(struct signed_heads *t);

/* A frame leaves. */
void heads_check_sent(struct machine *m, struct signed_heads *t, uint8_t type, struct bytes frame);

#endif
