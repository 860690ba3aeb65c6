/* The built-in functions: one array is the only way to add one, so that none can lack a signature,
 * a cost or an evaluation. */
#ifndef RULES_BUILTIN_H
#define RULES_BUILTIN_H

#include "rules/program.h"

struct machine;

/* Letters of a signature: s string, y bytes, b bool, i int, d date, t timestamp, u duration, l
 * list, z zone literal, m mode literal of add_months. */
struct builtin {
    const char *name;
    bool method;        /* the first parameter is the receiver */
    const char *params; /* "*" for min and max: any number of one ordered type */
    char result;        /* a letter, or * for the type of the parameters */
    uint32_t choice;    /* which getter */
    void (*apply)(struct machine *m, const struct node *n, const struct value *args,
                  struct value *ret);
};

const struct builtin *builtin_at(size_t index); /* NULL at the end */
const char *builtin_name(const struct builtin *b);

#endif
