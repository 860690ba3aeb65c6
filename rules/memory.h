/* A state in memory for tests and streams: rows, balances and timers of one program, with the store
 * that reads them. The same effects that a ledger writes to disk are applied here. */
#ifndef RULES_MEMORY_H
#define RULES_MEMORY_H

#include "rules/program.h"
#include "rules/tree.h"

struct memory_timer {
    struct rules_time at;
    struct bytes event, args; /* owned by the arena */
    int32_t legal;
    uint8_t hash[RULES_HASH_SIZE];
    bool fired;
};

struct memory {
    struct arena arena;
    struct tree rows, accounts, timers;
    uint64_t waiting; /* timers that have not fired */
    struct rules_store store;
};

void memory_init(struct memory *m);
void memory_done(struct memory *m);

void memory_put(struct memory *m, struct bytes key, struct bytes row);
void memory_remove(struct memory *m, struct bytes key);
/* Adds to a balance; false: it would leave 64 bits. */
bool memory_add(struct memory *m, struct bytes account, int64_t quanta);

/* Applies the effects of an accepted event; index is the log index for its timers. */
void memory_apply(struct memory *m, const struct rules_out *out, uint64_t index);

/* The first timer due at `now`, or NULL. It is marked as fired. */
struct memory_timer *memory_fire(struct memory *m, struct rules_time now);
bool memory_due(const struct memory *m, struct rules_time now);

/* The state of a run (run.c), for what evaluates on it without applying. */
struct memory *run_state(struct rules_run *run);

#endif
