/* What goes wrong, and when. */
#ifndef TESTS_SIM_PRODUCT_FAULTS_H
#define TESTS_SIM_PRODUCT_FAULTS_H

#include "tests/sim/product/world.h"

/* Chooses by the seed what this history suffers from, and starts it. */
void faults_start(struct world *w);

/* Everything works again, at once. */
void faults_heal(struct world *w);

/* "rot": the number of the fault, or FAULT_COUNT. */
enum sim_fault fault_parse(const char *text);
const char *fault_name(enum sim_fault fault);

#endif
