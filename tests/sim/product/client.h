/* Clients: some send requests until each has its answer, some read, one watches. */
#ifndef TESTS_SIM_PRODUCT_CLIENT_H
#define TESTS_SIM_PRODUCT_CLIENT_H

#include "tests/sim/product/world.h"

/* What client number 0, 1, ... does follows from its number. */
struct client *client_new(struct world *w, uint32_t number);
void client_free(struct client *c);

/* The history is healing: it has nothing under way any more. */
bool client_is_idle(const struct client *c);

#endif
