/* Do the examples of a contract depend on each of its conditions? One rounding mode, comparison,
 * sign or part of a require is changed at a time, and the tests in the text run on what comes out.
 * A change that no test notices points at a line that could be wrong without anybody seeing it. */
#ifndef RULES_MUTATE_H
#define RULES_MUTATE_H

#include "rules/rules.h"

enum rules_change {
    RULES_CHANGE_MODE,
    RULES_CHANGE_COMPARISON,
    RULES_CHANGE_SIGN,
    RULES_CHANGE_REQUIRE
};

/* "rounding", "comparison", "sign", "require". */
const char *rules_change_name(enum rules_change change);

enum rules_fate {
    RULES_KILLED,   /* a test failed: it depends on this place */
    RULES_SURVIVED, /* every test passed all the same */
    RULES_GUARDED,  /* the compiler itself refuses the changed text */
};

struct rules_mutant {
    enum rules_change change;
    enum rules_fate fate;
    uint32_t line, column; /* from 1; the column counts code points */
    struct bytes clause;   /* under which it stands; "" in the header */
    struct bytes was, now; /* "<=", "<"; for a require the condition and "true" */
    struct bytes test;     /* KILLED: the first test that fails */
};

struct rules_mutation {
    uint32_t killed, survived, guarded;
};

/* Percent of killed and survived that were killed, rounded down; 100 if there are none. */
uint32_t rules_mutation_percent(const struct rules_mutation *m);

/* Tells `on_mutant` of every change in order of the text; the views live during the call. The
 * program must have been compiled with `env`. INVALID: a test fails without any change. Any
 * thread. */
err rules_mutate(const struct rules_env *env, const struct rules_program *program, void *to,
                 void (*on_mutant)(void *to, const struct rules_mutant *m),
                 struct rules_mutation *ret, struct errtext *reterr) ERR_MUST_USE;

#endif
