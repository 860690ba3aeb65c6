/* All commands, in the order of the overview. */
#include "cli/commands.h"

#include <stddef.h>

const struct command *const COMMANDS[] = {
    &KEYGEN_INSTITUTION,
    &KEYGEN_NODE,
    &KEYGEN_CLIENT,
    &KEYGEN_PARTY,
    &GENESIS_CREATE,
    &GENESIS_SIGN,
    &GENESIS_SHOW,
    &CONTRACT_CHECK,
    &CONTRACT_TEST,
    &CONTRACT_DEPLOY,
    &CONTRACT_LIST,
    &CONTRACT_GET,
    &PARTY_ADD,
    &KEY_ADD,
    &KEY_REVOKE,
    &SIGN,
    &SUBMIT,
    &IMPORT_READINGS,
    &BALANCE,
    &ROWS,
    &STATEMENT,
    &TRIAL_BALANCE,
    &OUTCOME,
    &WATCH,
    &STATUS,
    &RULES_CHECK,
    &RULES_TEST,
    &RULES_RUN,
    &RULES_FMT,
    &RULES_MUTATE,
    &COMPLETION,
    NULL,
};
