/* A log as the checks see it: a chain of hashes, and the configuration in force at each entry. */
#ifndef TESTS_SIM_PRODUCT_VIEW_H
#define TESTS_SIM_PRODUCT_VIEW_H

#include "tests/sim/product/world.h"

/* One entry, and all before it: equal chains mean equal logs. */
struct link {
    uint64_t term, chain;
    uint64_t changed;         /* where the configuration stands that is in force here */
    uint32_t voters, members; /* of it: bit id - 1 */
};

/* A log from index 1; links[0] is before it. */
struct view {
    struct link *links;
    size_t count, capacity; /* count: 1 + entries */
};

/* Empty. */
void view_init(struct view *v);

/* Room for so many links. */
void view_reserve(struct view *v, size_t count);

/* Puts an entry at an index; what was behind it is gone. */
void view_put(struct view *v, uint64_t index, uint64_t term, uint8_t type, struct bytes data);

/* Index of the last entry; its link. */
uint64_t view_last(const struct view *v);
const struct link *view_end(const struct view *v);

#endif
