/* From tokens to declarations, statements and expressions: recursive descent over the grammar of
 * section 2. The recursion follows the nesting of the text, which is limited: expressions to
 * RULES_NESTING_MAX, blocks to RULES_BLOCKS_MAX, trees of chained operators to
 * RULES_TREE_DEPTH_MAX. Types are resolved while parsing, so records and measures are declared
 * before they are used. */
#ifndef RULES_PARSE_H
#define RULES_PARSE_H

#include "rules/compile.h"
#include "rules/program.h"

struct parser {
    struct compile *c;
    struct rules_program *p;
    uint32_t at;      /* token */
    uint32_t nesting; /* of expressions */
    uint32_t blocks;
    struct bytes clause;     /* in force */
    struct pointers clauses; /* numbers used so far, as struct bytes* */
};

/* The whole text into c->program. */
void parse_contract(struct compile *c);

/* One expression and nothing else: for tools and tests. */
struct node *parse_only_expr(struct compile *c);

/* ---- shared by the files of the parser ---- */
struct node *parse_expr(struct parser *x);
struct node *parse_record_literal(struct parser *x); /* [Name] { ... } */
const struct type *parse_type(struct parser *x);
struct block *parse_block(struct parser *x);
struct place parse_place(struct parser *x);
void parse_arguments(struct parser *x, struct node ***args, struct bytes **names, uint32_t *count);
struct test *parse_test(struct parser *x);
struct field *parse_fields(struct parser *x, const char *open, const char *close, uint32_t *count);
struct type *parse_new_type(struct parser *x, enum type_kind kind, uint32_t size_max);
/* How much there is in a type, and how deep. */
uint32_t parse_type_nodes(const struct type *t);
uint32_t parse_type_depth(const struct type *t);
/* clause numbers: 1.2.3 */
struct bytes parse_clause_number(struct parser *x);
/* A plain or quotient unit; false (and nothing taken) if the token is no unit. */
bool parse_unit(struct parser *x, struct unit *ret, struct bytes *ret_name);

static inline struct token *parse_peek(struct parser *x)
{
    return &x->c->tokens[x->at];
}

static inline struct token *parse_ahead(struct parser *x, uint32_t n)
{
    size_t i = (size_t)x->at + n;
    return &x->c->tokens[i < x->c->token_count ? i : x->c->token_count - 1];
}

/* Takes the token if it is this word or operator. */
bool parse_take(struct parser *x, const char *text);

/* Says what the token before the present one was. */
static inline void parse_mark(struct parser *x, enum token_role role)
{
    x->c->tokens[x->at - 1].role = role;
}

/* The same as parse_take, or an error that says what is expected. */
void parse_expect(struct parser *x, const char *text, const char *where);

/* Any name, also a reserved one: fields, parts. */
struct bytes parse_any_name(struct parser *x, const char *what);

/* A name that a variable, field or table may have: small first letter, not reserved. */
struct bytes parse_small_name(struct parser *x, const char *what);

struct bytes parse_string(struct parser *x, const char *what);

/* An int of the text, between 0 and max. */
uint64_t parse_int(struct parser *x, const char *what, uint64_t max);

#endif
