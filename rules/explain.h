/* A decision told to the person whom it concerns: what was decided, under which clause and why,
 * what was missing, what was examined, and what changed. It says what outcome, effects and trace
 * record and what the contract's text says, in plain French, English or Dutch, and decides nothing
 * itself. Titles and reasons are the contract's own words and are not translated. */
#ifndef RULES_EXPLAIN_H
#define RULES_EXPLAIN_H

#include "rules/rules.h"

enum rules_language { RULES_ENGLISH, RULES_FRENCH, RULES_DUTCH };

/* "en", "fr", "nl"; false: none of them. */
bool rules_language_parse(struct bytes text, enum rules_language *ret);

/* The three canonical parts of a result, as rules_apply gives them. */
struct rules_decision {
    struct bytes outcome, effects, trace;
};

/* Appends lines of text. The program must be the version that decided, NULL if the event found none
 * (version 0). INVALID: a part is not what
 * rules_apply makes, or is too large to be read. Any thread. */
err rules_explain(const struct rules_program *program, const struct rules_decision *decision,
                  enum rules_language language, struct buf *out,
                  struct errtext *reterr) ERR_MUST_USE;

/* The same for a result line of rules_run_line. */
err rules_explain_line(const struct rules_program *program, struct bytes line,
                       enum rules_language language, struct buf *out,
                       struct errtext *reterr) ERR_MUST_USE;

#endif
