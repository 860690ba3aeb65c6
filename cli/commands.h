/* The commands, one constant each; command_table.c lists them in the order of the overview. */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include "cli/command.h"

extern const struct command KEYGEN_INSTITUTION, KEYGEN_NODE, KEYGEN_CLIENT, KEYGEN_PARTY;
extern const struct command GENESIS_CREATE, GENESIS_SIGN, GENESIS_SHOW;

#endif
