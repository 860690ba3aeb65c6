/* What the tests of the language share: compile a text, run lines through it. */
#ifndef TESTS_UNIT_RULES_HELPER_H
#define TESTS_UNIT_RULES_HELPER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/sha256.h"
#include "rules/rules.h"

/* A program with its registry. */
struct law {
    struct rules_registry *registry;
    struct rules_program *program;
};

static inline struct law law_compile(const char *text)
{
    struct law law = {rules_registry_default(), NULL};
    struct rules_env env = {law.registry, sha256};
    struct rules_diag diag;
    if (failed(rules_compile(&env, bytes_text(text), &law.program, &diag))) {
        fail_msg("line %u column %u: %s", diag.line, diag.column, diag.message);
    }
    return law;
}

static inline void law_done(struct law *law)
{
    rules_program_free(law->program);
    rules_registry_free(law->registry);
}

/* The result lines of one input line, in the buffer, with a NUL. */
static inline const char *law_line(struct rules_run *run, const char *line, struct buf *out)
{
    struct errtext why;
    buf_clear(out);
    if (failed(rules_run_line(run, bytes_text(line), out, &why))) {
        fail_msg("%s: %s", line, why.text);
    }
    buf_put_u8(out, 0);
    return (const char *)out->data;
}

#endif
