/* An ordered map of byte strings for one block: what the block has changed and not yet written. A
 * skip list (Pugh 1990) in an arena: nodes are never removed, only marked, so that an undo is a
 * store. Levels come from a counter, not from the keys, so no choice of keys makes it slow, and two
 * nodes build the same list. Loop only. */
#ifndef LEDGER_ORDERED_H
#define LEDGER_ORDERED_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/bytes.h"

enum { ORDERED_LEVELS = 20 }; /* 4^20 nodes at a branching of 4: never reached */

/* What a node says about its key. */
enum ordered_state {
    ORDERED_UNSET,   /* nothing: the store below answers */
    ORDERED_PUT,     /* the key has this value */
    ORDERED_REMOVED, /* the key is gone */
};

struct ordered_node {
    struct bytes key;
    struct bytes value; /* ORDERED_PUT */
    size_t capacity;    /* bytes at value.data that may be overwritten */
    int64_t number;     /* for maps to numbers */
    enum ordered_state state;
    uint32_t levels;
    struct ordered_node *next[]; /* levels of them */
};

struct ordered {
    struct arena *arena; /* not owned */
    struct ordered_node *first[ORDERED_LEVELS];
    uint64_t count;
};

/* An empty map whose nodes will live in the arena. */
void ordered_init(struct ordered *o, struct arena *arena);

/* The node of the key, or NULL. */
struct ordered_node *ordered_find(const struct ordered *o, struct bytes key);

/* The node of the key; if there is none it is added, in state UNSET, with a copy of the key. */
struct ordered_node *ordered_add(struct ordered *o, struct bytes key);

/* The first node whose key is at least key, or NULL; its next[0] is the following one. */
struct ordered_node *ordered_at_least(const struct ordered *o, struct bytes key);

/* The last node whose key is at most key (below: less than key), or NULL. */
struct ordered_node *ordered_at_most(const struct ordered *o, struct bytes key);
struct ordered_node *ordered_below(const struct ordered *o, struct bytes key);

/* The first node of all, or NULL. */
struct ordered_node *ordered_first(const struct ordered *o);

/* Copies a value into the node, over the old one if there is room and keep_old is false. */
void ordered_set(struct ordered *o, struct ordered_node *node, struct bytes value, bool keep_old);

#endif
