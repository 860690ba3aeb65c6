/* Who takes part: an officer who asks for changes of the node table and for leadership to be handed
 * over, the machines that join, and what the table says, as far as any node has applied it. */
#ifndef TESTS_SIM_PRODUCT_OFFICER_H
#define TESTS_SIM_PRODUCT_OFFICER_H

#include "ledger/ledger.h"
#include "tests/sim/product/fixture.h"
#include "tests/sim/product/machine.h"

/* `scripted`: the officer does nothing by itself; see officer_ask. */
struct sim_officer *officer_new(struct world *w, bool scripted);
void officer_free(struct sim_officer *o);

/* The machine has applied a block that changes the table, as the first one. */
void officer_table(struct machine *m);

/* What the table wishes of a machine's node. */
enum ledger_wish officer_wish(const struct world *w, uint64_t id);

/* Bit id - 1: nodes that are wished as voters; nodes that are not removed. */
uint32_t officer_voters(const struct world *w);
uint32_t officer_members(const struct world *w);

/* Machines that have lost what they had, or may have. */
uint32_t officer_hurt(const struct world *w);

/* The machine may lose what it has: no quorum is lost with it, now or by a change under way. */
bool officer_may_lose(const struct world *w, const struct machine *m);

/* Nothing that was asked for is still open, and whoever was added has started. */
bool officer_is_idle(const struct world *w);

/* Asks for this until it is answered. Only when it is idle. */
void officer_ask(struct world *w, enum member_what what, uint64_t node);

/* An officer's transfer to a node; 0: to any. Only when it is idle. */
void officer_transfer(struct world *w, uint64_t node);

#endif
