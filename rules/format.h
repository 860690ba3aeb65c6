/* One layout for contract texts. Line breaks stay where the author put them; indentation, blanks
 * between words, columns of declarations and of comments, and empty lines are made uniform. Tokens,
 * their order and comments never change, so neither does the code hash, and a text that has been
 * formatted stays as it is. */
#ifndef RULES_FORMAT_H
#define RULES_FORMAT_H

#include "rules/rules.h"

/* Appends the text of a compiled program in that layout. LIMIT: it would be longer than a contract
 * may be. Any thread. */
err rules_format(const struct rules_program *program, struct buf *out,
                 struct errtext *reterr) ERR_MUST_USE;

#endif
