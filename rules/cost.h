/* Static bounds (section 12): one walk over the tree with the declared maxima in place of real
 * sizes. What the evaluator charges is never more. All sums saturate. */
#ifndef RULES_COST_H
#define RULES_COST_H

#include "rules/program.h"

struct compile;

struct rules_bound cost_event(const struct compile *c, const struct event *e);

/* Greatest canonical JSON and greatest size in memory of a value of the type. */
int64_t cost_json(const struct rules_registry *registry, const struct type *t);
int64_t cost_size(const struct type *t);

#endif
