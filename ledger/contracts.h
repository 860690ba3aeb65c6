/* Contracts by name, version and legal date, all compiled. A version counts from the block after
 * the one that deployed it. */
#ifndef LEDGER_CONTRACTS_H
#define LEDGER_CONTRACTS_H

#include "ledger/ledger.h"
#include "rules/rules.h"
#include "storage/kv.h"

/* The reserved contract of governance, whose actions are in ledger/govern.h. */
#define GOVERNANCE_CONTRACT "ledger"

struct contracts {
    struct kv *kv;                /* not owned */
    struct rules_env env;         /* registry not owned */
    struct ledger_contract *list; /* owned; by name, then version */
    size_t count, capacity;
};

void contracts_init(struct contracts *c, struct kv *kv, const struct rules_env *env);

/* Frees the programs; accepts an all-zero struct. */
void contracts_done(struct contracts *c);

/* Reads and compiles the stored texts. CORRUPT, IO. */
err contracts_load(struct contracts *c, struct errtext *reterr) ERR_MUST_USE;

/* One version, or the highest if version is 0, deployed below that height; NULL if none. */
const struct ledger_contract *contracts_find(const struct contracts *c, struct bytes name,
                                             uint64_t version, uint64_t below);

/* The version in force on a day (rules 8.2) among those deployed below that height, or NULL;
 * *ret_known says whether the contract exists at all. */
const struct rules_program *contracts_pick(const struct contracts *c, struct bytes name,
                                           int32_t day, uint64_t below, bool *ret_known);

/* Why a text is not deployed: the number after "1." of the clause. Stable. */
enum deploy_end {
    DEPLOY_OK = 0,
    DEPLOY_TEXT = 1,    /* 1.1 it does not compile, or is over a limit of the language */
    DEPLOY_NAME = 2,    /* 1.2 the name is reserved */
    DEPLOY_VERSION = 3, /* 1.3 not above the version on the ledger, or breaks what it kept */
    DEPLOY_USES = 4,    /* 1.4 a `uses` table does not fit the contract it belongs to */
    DEPLOY_TEST = 5,    /* 1.5 an example in the text fails */
    DEPLOY_LIMIT = 6,   /* 1.6 no room for more contracts */
};

/* Checks a text as rules 8.2 demands; accepted, it is kept with that height and added to the batch.
 * Otherwise reterr says why and nothing changes. */
enum deploy_end contracts_deploy(struct contracts *c, struct bytes text, uint64_t height,
                                 struct kv_batch *batch, const struct ledger_contract **ret,
                                 struct errtext *reterr);

#endif
