/* The commands, one constant each; command_table.c lists them in the order of the overview. */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include "cli/command.h"

extern const struct command KEYGEN_INSTITUTION, KEYGEN_NODE, KEYGEN_CLIENT, KEYGEN_PARTY;
extern const struct command GENESIS_CREATE, GENESIS_SIGN, GENESIS_SHOW;
extern const struct command CONTRACT_CHECK, CONTRACT_TEST, CONTRACT_DEPLOY, CONTRACT_LIST,
    CONTRACT_GET;
extern const struct command PARTY_ADD, KEY_ADD, KEY_REVOKE;
extern const struct command NODE_LIST, NODE_ADD, NODE_PROMOTE, NODE_DEMOTE, NODE_REMOVE,
    NODE_REPLACE, NODE_UPDATE, NODE_TRANSFER;
extern const struct command SIGN, SUBMIT, IMPORT_READINGS, SIMULATE, EXPLAIN;
extern const struct command RECEIPT_GET, RECEIPT_VERIFY, RECEIPT_SHOW, POLICY, STATEMENT_VERIFY;
extern const struct command CONSISTENCY_GET, CONSISTENCY_VERIFY;
extern const struct command BALANCE, ROWS, STATEMENT, TRIAL_BALANCE, OUTCOME, WATCH, STATUS;
extern const struct command AUDIT, EXPORT;
extern const struct command RULES_CHECK, RULES_TEST, RULES_RUN;
extern const struct command RULES_FMT, RULES_MUTATE, RULES_EXPLAIN;
extern const struct command COMPLETION;

#endif
