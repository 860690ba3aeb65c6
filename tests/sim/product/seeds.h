/* Seeds that failed: made small, kept in a list, run again. */
#ifndef TESTS_SIM_PRODUCT_SEEDS_H
#define TESTS_SIM_PRODUCT_SEEDS_H

#include "tests/sim/product/world.h"

/* Runs one history; a violation ends the process. */
typedef void run_history(void *ctx, const struct options *o);

/* Runs each line of the list, with what else the options say. */
void seeds_run(const char *path, const struct options *o, run_history *run, void *ctx);

/* Looks for fewer steps, nodes and faults with which the seed still fails, each try in a process of
 * its own, and prints the command. False: it does not fail at all. */
bool minimise(const struct options *o, run_history *run, void *ctx);

#endif
