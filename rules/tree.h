/* An ordered map from byte strings to records of one size, in an arena: a balanced (AA) tree, so
 * that no choice of keys makes it slow and its order is the order of the octets. Nothing is ever
 * taken out. */
#ifndef RULES_TREE_H
#define RULES_TREE_H

#include "base/arena.h"
#include "base/bytes.h"

struct tree_node {
    struct tree_node *left, *right;
    uint32_t level;
    struct bytes key; /* in the arena */
    void *value;      /* in the arena, never NULL */
};

struct tree {
    struct tree_node *root;
    struct arena *arena;
    size_t count;
};

/* The value of a key, or NULL. */
void *tree_get(const struct tree *t, struct bytes key);

/* Adds a key that is not there, copied, with a zeroed value of size bytes. */
struct tree_node *tree_add(struct tree *t, struct bytes key, size_t size);

/* The first node with a key above (or, if inclusive, not below) the given one, or NULL. */
const struct tree_node *tree_above(const struct tree *t, struct bytes key, bool inclusive);

/* The last node with a key below (or, if inclusive, not above) the given one, or NULL. */
const struct tree_node *tree_below(const struct tree *t, struct bytes key, bool inclusive);

#endif
