/* What goes wrong, and when. */
#ifndef TESTS_SIM_PRODUCT_FAULTS_H
#define TESTS_SIM_PRODUCT_FAULTS_H

#include "tests/sim/product/world.h"

/* Chooses by the seed what this history suffers from, and starts it. */
void faults_start(struct world *w);

/* Everything works again, at once. */
void faults_heal(struct world *w);

/* "rot,kill": the bits of these faults. One that is not known ends the program with the list. */
uint32_t faults_parse(const char *list);

/* "network": the bits of the faults that this profile leaves out; ends the program likewise. */
uint32_t faults_profile(const char *name);

/* "rot": static text. */
const char *fault_name(enum sim_fault fault);

#endif
