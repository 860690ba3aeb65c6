/* The parts of applying that a dry run shares (ledger/simulate.c): one event, one timer. For this
 * folder alone. */
#ifndef LEDGER_APPLY_H
#define LEDGER_APPLY_H

#include "ledger/record.h"
#include "ledger/timers.h"

/* Evaluates event `index` of the request in l->apply on the state as it stands; ret lives in its
 * event arena. What was read stays noted for the record. */
void apply_evaluate(struct ledger *l, uint32_t index, struct rules_out *ret);

/* Lays the effects of that event over the state. */
void apply_effects(struct ledger *l, uint32_t index, const struct rules_out *out);

/* The first timer due at the time of l->apply's block, or false; in its envelope arena. */
bool apply_timer_due(struct ledger *l, struct timer *ret);

/* Fires it: removes it, evaluates, lays its effects over the state. */
void apply_timer(struct ledger *l, const struct timer *timer, struct recording *ret_what,
                 struct rules_out *ret);

#endif
