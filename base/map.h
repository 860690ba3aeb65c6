/* A hash map from byte strings to pointers. Keys are copied; values belong to the caller.
 * SipHash-1-3 with a key from the edge keeps hostile keys from colliding on purpose; nothing that
 * is replicated may depend on the order of iteration. Linear probing, at most 3/4 full; a lookup
 * costs one hash and, on average, under two compares. */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include <stdint.h>

#include "base/bytes.h"

struct map_slot;
struct map {
    struct map_slot *slots; /* owned */
    size_t count, capacity;
    uint64_t seed[2];
};

/* Allocates nothing until the first put. */
void map_init(struct map *m, uint64_t seed0, uint64_t seed1);

/* Frees the table and its keys, not the values. */
void map_done(struct map *m);

/* The value of the key, or NULL. */
void *map_get(const struct map *m, struct bytes key);

/* Sets the value (not NULL) of the key; returns the value it replaces, or NULL. */
void *map_put(struct map *m, struct bytes key, void *value);

/* Removes the key; returns its value, or NULL. */
void *map_remove(struct map *m, struct bytes key);

/* Walks all entries: start with *at = 0; returns false at the end. No put or remove meanwhile. */
bool map_next(const struct map *m, size_t *at, struct bytes *ret_key, void **ret_value);

#endif
