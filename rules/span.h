/* Where the parts of a condition stand in the text: for tools that show or change them. */
#ifndef RULES_SPAN_H
#define RULES_SPAN_H

#include "rules/program.h"

/* Tokens [first, last). */
struct span {
    size_t first, last;
};

/* The condition behind the word 'require' or 'if' at token i. */
struct span span_condition(const struct rules_program *p, size_t i);

/* Conjunct `index` of a condition, counted as the trace does (section 21, point 15): && inside
 * parentheses that hold nothing else is flattened. False: there is none. */
bool span_conjunct(const struct rules_program *p, struct span condition, uint32_t index,
                   struct span *ret);

/* The only statement of that word on a line of the code (tests are not looked at); false: none, or
 * several. */
bool span_statement(const struct rules_program *p, uint32_t line, const char *word, size_t *ret);

/* The title of a clause as spelled, or empty. */
struct bytes span_clause_title(const struct rules_program *p, struct bytes number);

/* Appends the tokens on one line, comments left out. */
void span_print(const struct rules_program *p, struct span s, struct buf *out);

#endif
