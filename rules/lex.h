/* Tokens of a contract text: those of CEL, and decimals. */
#ifndef RULES_LEX_H
#define RULES_LEX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "rules/num.h"

/* The numbers are those of the token hash (section 13.4). */
enum token_kind {
    TOKEN_END = 0,
    TOKEN_NAME = 1,
    TOKEN_INT = 2,
    TOKEN_DECIMAL = 3,
    TOKEN_STRING = 4,
    TOKEN_BYTES = 5,
    TOKEN_OPERATOR = 6,
};

/* What the parser found a token to be, where its text alone does not say it. Only tools that write
 * texts anew ask. */
enum token_role {
    ROLE_PLAIN,
    ROLE_SIGN,    /* - or ! before an operand */
    ROLE_JOINED,  /* the slash of a unit, the dashes of a date, < of a list type */
    ROLE_CLOSING, /* > of a list type, ? of an optional field */
    ROLE_CHOICE,  /* : of a choice */
    ROLE_AT_MOST, /* <= before a last key */
    ROLE_BLOCK,   /* { before statements or steps */
    ROLE_NAMED,   /* braces of a record literal with a name */
    ROLE_MODE,    /* a way of rounding */
};

struct token {
    enum token_kind kind;
    enum token_role role;
    uint32_t offset, line, column; /* octets from 0; line and column (code points) from 1 */
    uint32_t size;                 /* octets in the text */
    struct bytes text; /* name, operator: as written; string, bytes: decoded; decimal, int: as
                          written */
    uint64_t number;   /* int: the value, at most 2^63 */
    bool silent;       /* not part of the token hash: titles and tests */
};

struct compile;

/* Fills c->tokens, the last one being TOKEN_END; ends the compilation on a bad text. */
void lex_run(struct compile *c);

/* The token is this word or operator. */
static inline bool token_is(const struct token *t, const char *text)
{
    return (t->kind == TOKEN_NAME || t->kind == TOKEN_OPERATOR) &&
           bytes_equal(t->text, bytes_text(text));
}

/* A word that no variable may have (section 1); in a bare expression only those of CEL. */
bool lex_reserved(bool bare, struct bytes name);

#endif
