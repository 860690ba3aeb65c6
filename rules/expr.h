/* One expression by itself, evaluated without a contract: what tools and the conformance tests of
 * the expression language ask. Blanks, characters and words are those of CEL; there are no tables,
 * accounts, terms or times, only the names that are bound. */
#ifndef RULES_EXPR_H
#define RULES_EXPR_H

#include "rules/program.h"

/* A name and what it stands for. */
struct expr_name {
    struct bytes name;
    const struct type *type;
    struct value value;
};

enum expr_end { EXPR_VALUE, EXPR_FAULT, EXPR_REFUSED };

struct expr_result {
    enum expr_end end;
    const struct type *type; /* VALUE */
    struct value value;      /* VALUE */
    enum rules_fault fault;  /* FAULT */
    struct rules_diag diag;  /* REFUSED: by the compiler */
};

/* Compiles and evaluates a text. The result lives in the arena, which must allow
 * RULES_COMPILE_ARENA_MAX; env and names must live as long. Any thread. */
void expr_evaluate(const struct rules_env *env, struct bytes text, const struct expr_name *names,
                   size_t count, struct arena *arena, struct expr_result *ret);

#endif
