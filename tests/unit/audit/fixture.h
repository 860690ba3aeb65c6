/* A small sound ledger, what a source would hand out of it, and a source that does. */
#ifndef TESTS_UNIT_AUDIT_FIXTURE_H
#define TESTS_UNIT_AUDIT_FIXTURE_H

#include "audit/source.h"
#include "world.h"

enum { BLOCKS = 8, HEADS_MAX = 4, RECORDS_MAX = 64 };

/* What a source hands out, to be changed by a test. */
struct kept {
    struct bytes blocks[BLOCKS + 1]; /* by height */
    struct bytes records[RECORDS_MAX], outcomes[RECORDS_MAX], effects[RECORDS_MAX];
    uint32_t ends[RECORDS_MAX];
    uint64_t first[BLOCKS + 2]; /* position of a block's first record */
    struct bytes heads[HEADS_MAX];
    uint64_t head_sizes[HEADS_MAX];
    size_t head_count;
    struct bytes genesis, signatures;
    uint64_t last; /* height */
};

struct fixture {
    struct world w;
    struct kept kept; /* sound */
};

/* Setup and teardown of cmocka: *state is the fixture. */
int fixture_up(void **state);
int fixture_down(void **state);

/* A source that hands out what is kept; kept outlives it. */
struct source *fixture_source(const struct kept *kept);

/* A copy with one bit changed, in the world's arena. */
struct bytes fixture_flipped(struct world *w, struct bytes b, size_t at);

/* Removes a directory with all in it. */
void fixture_remove(const char *dir);

#endif
