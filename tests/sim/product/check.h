/* What must never happen, looked at after each step. All figures are kept up incrementally. */
#ifndef TESTS_SIM_PRODUCT_CHECK_H
#define TESTS_SIM_PRODUCT_CHECK_H

#include "ledger/ledger.h"
#include "storage/logstore.h"
#include "tests/sim/product/machine.h"

struct checker *checker_new(struct world *w);
void checker_free(struct checker *c);

/* A turn of the machine's loop is over. */
void check_turn(struct machine *m);

/* The machine's process is gone. */
void check_gone(struct machine *m);

/* The machine's log was opened and says this. */
void check_recovered(struct machine *m, struct logstore *log, const struct logstore_recovered *r);

/* A job was handed to the log; it was reported as durable. */
void check_submitted(struct machine *m, const struct logstore_job *job);
void check_durable(struct machine *m, const struct logstore_job *job);

/* A frame leaves for another node. */
void check_sent(struct machine *m, uint64_t to, uint8_t type, struct bytes frame);

/* The machine's node has opened its state, or another one. */
void check_state_opened(struct machine *m);

/* A block was applied. */
void check_applied(struct machine *m, const struct ledger_result *result);

/* All has healed and is quiet: all nodes must be equal. */
void check_end(struct world *w);

/* All nodes are there, level and as the table wishes; or what is not well. */
bool check_is_well(const struct world *w, struct errtext *ret);

/* The last configuration that is known to be committed: bit id - 1. */
uint32_t check_voters(const struct world *w);
uint32_t check_members(const struct world *w);

/* Its disk has all but a few of the committed entries. */
bool check_is_near(const struct machine *m);

/* The machine has an empty disk: nothing is expected to be there. */
void check_wiped(struct machine *m);

#endif
