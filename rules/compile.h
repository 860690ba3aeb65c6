/* What all passes of the compiler share: the text, its tokens, the arena of the program, and the
 * one way to stop.
 *
 * The passes run in order: lex, parse, check (types, units, presence, authority), cost. The first
 * error ends the compilation: compile_fail writes the diagnostic and jumps to the frame of
 * rules_compile. Everything a pass builds lies in the arena, so a jump leaks nothing; and no pass
 * has to look at the results of another for failure. */
#ifndef RULES_COMPILE_H
#define RULES_COMPILE_H

#include <setjmp.h>

#include "base/arena.h"
#include "rules/lex.h"
#include "rules/rules.h"

struct compile {
    const struct rules_env *env;
    struct arena *arena; /* the program's */
    struct bytes text;
    struct token *tokens;
    size_t token_count;
    struct rules_program *program; /* being built */
    struct rules_diag *diag;       /* the caller's */
    enum err_code code;            /* written before the jump */
    bool bare; /* an expression by itself: blanks, characters and words are CEL's */
    jmp_buf fail;
};

/* Ends the compilation with a message at a token (index into tokens). */
_Noreturn void compile_fail(struct compile *c, uint32_t token, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* The same at an octet of the text, for the lexer. */
_Noreturn void compile_fail_at(struct compile *c, size_t offset, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Zeroed memory of the program; a contract that needs too much ends the compilation. */
void *compile_new(struct compile *c, size_t count, size_t size);

/* printf into the program's memory. */
struct bytes compile_printf(struct compile *c, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* A growing array of pointers in the program's memory. */
struct pointers {
    void **at;
    size_t count, capacity;
};
void compile_push(struct compile *c, struct pointers *list, void *item);

/* For printf's "%.*s". */
#define BYTES_ARG(b) (int)(b).size, (const char *)(b).data

#endif
