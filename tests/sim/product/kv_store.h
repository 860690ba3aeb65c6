/* The content of a state database in memory: a skip list of (family, key), and a journal of how to
 * take the batches since the last flush back. */
#ifndef TESTS_SIM_PRODUCT_KV_STORE_H
#define TESTS_SIM_PRODUCT_KV_STORE_H

#include <stdbool.h>

#include "base/bytes.h"

enum { LEVELS = 14 };

struct pair {
    uint8_t *value; /* owned */
    size_t value_size, key_size;
    uint64_t life; /* of the process that wrote it */
    uint8_t *key;  /* behind next; the first byte is the family */
    struct pair *next[];
};

/* How to take one write back: the pair as it was. */
struct undo {
    uint8_t *key, *value; /* owned; value NULL: it was not there */
    size_t key_size, value_size;
};

struct store {
    struct store *next;
    uint64_t token;    /* stands in the file CURRENT of its directory; 0: read from a checkpoint */
    struct pair *head; /* has LEVELS levels and no key */
    uint64_t random;
    size_t count;
    struct undo *undo; /* owned */
    size_t undo_count, undo_capacity;
    size_t *marks; /* marks[i]: undo_count before batch i since the last flush */
    size_t mark_count, mark_capacity;
    size_t alive_marks; /* batches that were written before the process died */
    bool ghost;         /* it is dead: what it still writes is taken back */
};

struct store *store_new(void);
void store_free(struct store *s);

/* Order of a pair and a key. */
int pair_order(const struct pair *p, struct bytes key);

/* The last pair before the key (the head if there is none); ret_before: on each level, or NULL. */
struct pair *store_before(struct store *s, struct bytes key, struct pair *ret_before[LEVELS]);

/* The pair of the key, or NULL. */
struct pair *store_find(struct store *s, struct bytes key);
struct pair *store_put(struct store *s, struct bytes key, const uint8_t *value, size_t size);
void store_remove(struct store *s, struct bytes key);

/* A batch begins; before each of its writes the pair is noted as it is. */
void journal_mark(struct store *s);
void journal_note(struct store *s, struct bytes key);

/* What was written is durable. */
void journal_clear(struct store *s);

/* Takes batches back until only `keep` of those since the last flush are left. */
void journal_roll_back(struct store *s, size_t keep);

#endif
