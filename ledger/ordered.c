#include "ledger/ordered.h"

#include "base/require.h"

void ordered_init(struct ordered *o, struct arena *arena)
{
    require(o != NULL);
    require(arena != NULL);
    *o = (struct ordered){.arena = arena};
}

/* A node is on level n with probability 4^-n: two trailing zero bits of a mixed counter a level
 * (the finaliser of MurmurHash3 spreads the counter). */
static uint32_t levels_of(uint64_t counter)
{
    uint64_t x = counter + UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 33) * UINT64_C(0xff51afd7ed558ccd);
    x = (x ^ x >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
    x ^= x >> 33;
    uint32_t levels = 1;
    while (levels < ORDERED_LEVELS && (x & 3) == 0) {
        levels++;
        x >>= 2;
    }
    return levels;
}

/* The last node before key on each level (NULL: the list's own head). or_equal lets it stand at
 * key itself. */
static void path_to(const struct ordered *o, struct bytes key, bool or_equal,
                    struct ordered_node *path[ORDERED_LEVELS])
{
    struct ordered_node *at = NULL;
    for (int level = ORDERED_LEVELS - 1; level >= 0; level--) {
        struct ordered_node *next = at == NULL ? o->first[level] : at->next[level];
        while (next != NULL) {
            int order = bytes_compare(next->key, key);
            if (order > 0 || (order == 0 && !or_equal)) {
                break;
            }
            at = next;
            next = at->next[level];
        }
        path[level] = at;
    }
}

struct ordered_node *ordered_at_least(const struct ordered *o, struct bytes key)
{
    require(o != NULL);
    struct ordered_node *path[ORDERED_LEVELS];
    path_to(o, key, false, path);
    return path[0] == NULL ? o->first[0] : path[0]->next[0];
}

struct ordered_node *ordered_at_most(const struct ordered *o, struct bytes key)
{
    require(o != NULL);
    struct ordered_node *path[ORDERED_LEVELS];
    path_to(o, key, true, path);
    return path[0];
}

struct ordered_node *ordered_below(const struct ordered *o, struct bytes key)
{
    require(o != NULL);
    struct ordered_node *path[ORDERED_LEVELS];
    path_to(o, key, false, path);
    return path[0];
}

struct ordered_node *ordered_first(const struct ordered *o)
{
    require(o != NULL);
    return o->first[0];
}

struct ordered_node *ordered_find(const struct ordered *o, struct bytes key)
{
    struct ordered_node *node = ordered_at_least(o, key);
    return node != NULL && bytes_equal(node->key, key) ? node : NULL;
}

struct ordered_node *ordered_add(struct ordered *o, struct bytes key)
{
    require(o != NULL);
    struct ordered_node *path[ORDERED_LEVELS];
    path_to(o, key, false, path);
    struct ordered_node *found = path[0] == NULL ? o->first[0] : path[0]->next[0];
    if (found != NULL && bytes_equal(found->key, key)) {
        return found;
    }
    uint32_t levels = levels_of(o->count++);
    size_t size = sizeof(struct ordered_node) + levels * sizeof(struct ordered_node *);
    struct ordered_node *node = arena_new(o->arena, 1, size);
    node->key = arena_copy(o->arena, key);
    node->levels = levels;
    for (uint32_t level = 0; level < levels; level++) {
        struct ordered_node **link =
            path[level] == NULL ? &o->first[level] : &path[level]->next[level];
        node->next[level] = *link;
        *link = node;
    }
    return node;
}

void ordered_set(struct ordered *o, struct ordered_node *node, struct bytes value, bool keep_old)
{
    require(o != NULL);
    require(node != NULL);
    if (!keep_old && value.size <= node->capacity) {
        /* The old value's memory is this arena's and nobody else keeps a view across a set. */
        if (value.size > 0) {
            memmove((void *)(uintptr_t)node->value.data, value.data, value.size);
        }
        node->value.size = value.size;
        node->state = ORDERED_PUT;
        return;
    }
    node->value = arena_copy(o->arena, value);
    node->capacity = value.size;
    node->state = ORDERED_PUT;
}
