/* Waiting timers (rules 8.3). They are rows of their own family, so they share overlay and undo:
 *
 *   't' | i64 seconds, sign flipped | u32 nanos | u64 position | u32 ordinal   the timer, in firing
 * order 'n' | contract                                                             how many wait */
#ifndef LEDGER_TIMERS_H
#define LEDGER_TIMERS_H

#include "ledger/rows.h"
#include "rules/rules.h"

struct timer {
    struct rules_time at;
    uint64_t position; /* of the record that scheduled it */
    uint32_t ordinal;
    int32_t legal;
    uint8_t hash[32], salt[32];
    struct bytes contract, event, args; /* views */
};

/* Adds a waiting timer. */
void timers_add(struct rows *timers, const struct timer *timer);

/* Takes away a timer that was got. */
void timers_remove(struct rows *timers, const struct timer *timer);

/* The earliest waiting timer, its texts copied into the arena; false if there is none. */
bool timers_first(struct rows *timers, struct arena *a, struct timer *ret);

/* How many wait for a contract. */
uint64_t timers_waiting(struct rows *timers, struct bytes contract);

#endif
