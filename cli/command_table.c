/* All commands, in the order of the overview. */
#include "cli/commands.h"

#include <stddef.h>

const struct command *const COMMANDS[] = {
    &KEYGEN_INSTITUTION, &KEYGEN_NODE,  &KEYGEN_CLIENT, &KEYGEN_PARTY,
    &GENESIS_CREATE,     &GENESIS_SIGN, &GENESIS_SHOW,  NULL,
};
