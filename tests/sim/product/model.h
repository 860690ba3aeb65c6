/* What the ledger must hold: built from the first node that reaches each height, and compared with
 * every other node and with everything that clients are told. */
#ifndef TESTS_SIM_PRODUCT_MODEL_H
#define TESTS_SIM_PRODUCT_MODEL_H

#include "ledger/ledger.h"
#include "proto/service.h"
#include "tests/sim/product/fixture.h"
#include "tests/sim/product/machine.h"

/* What is known of a request. */
struct fate {
    uint64_t height, position; /* height 0: it is not recorded */
    enum ledger_end end;
    uint32_t open;  /* attempts whose end the client does not know yet */
    bool maybe;     /* an attempt ended with UNKNOWN, or without an answer: it may come any time */
    bool forbidden; /* a client was told that it never will be recorded */
};

struct model *model_new(struct world *w);
void model_free(struct model *model);

/* The number of the next request that nobody has sent. */
uint64_t model_next_request(struct model *model);
struct fate *model_fate(struct model *model, uint64_t number);

/* A block was applied; raft_index: where it stood. */
void model_applied(struct machine *m, const struct ledger_result *r, uint64_t raft_index);

/* Blocks applied somewhere. */
uint64_t model_height(const struct model *model);

/* The greatest height of which a client was told. Reads that begin now must see it. */
uint64_t model_floor(const struct model *model);

/* A client was told COMMITTED. */
void model_check_answer(struct model *model, uint64_t number, const struct submit_reply *reply);

/* A client was told REFUSED: `never` if that is for ever. */
void model_check_refusal(struct model *model, uint64_t number, bool never);

/* A client was told a balance; floor: model_floor when it asked, 0 for a local read. */
void model_check_balance(struct model *model, uint32_t wallet, const struct balance_reply *reply,
                         uint64_t floor);

/* A client was told of a record. */
void model_check_record(struct model *model, const struct watch_entry *entry);

#endif
