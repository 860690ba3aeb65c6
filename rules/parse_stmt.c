/* Statements, places and the steps of tests (section 2: Stmt, Place, Step). */
#include "rules/parse.h"

#include <string.h>

#include "base/limits.h"
#include "base/require.h"

static struct stmt *parse_statement(struct parser *x);

struct place parse_place(struct parser *x)
{
    struct place place = {.token = x->at};
    struct token *t = parse_peek(x);
    if (t->kind != TOKEN_NAME) {
        compile_fail(x->c, x->at, "an account, a row or a tally is expected here");
    }
    place.name = parse_any_name(x, "a place");
    if (parse_take(x, "[")) {
        struct pointers keys = {0};
        do {
            compile_push(x->c, &keys, parse_expr(x));
        } while (parse_take(x, ","));
        parse_expect(x, "]", "after the keys");
        place.keys = (struct node **)keys.at;
        place.key_count = (uint32_t)keys.count;
    }
    if (parse_take(x, ".")) {
        place.field = parse_any_name(x, "a field");
    }
    return place;
}

struct bytes parse_clause_number(struct parser *x)
{
    uint32_t first = x->at;
    struct token *t = parse_peek(x);
    if (t->kind != TOKEN_INT && t->kind != TOKEN_DECIMAL) {
        compile_fail(x->c, x->at, "a clause number is expected here, e.g. 4 or 4.2");
    }
    x->at++;
    struct bytes number = t->text;
    while (token_is(parse_peek(x), ".") && parse_ahead(x, 1)->kind == TOKEN_INT) {
        number = compile_printf(x->c, "%.*s.%.*s", BYTES_ARG(number),
                                BYTES_ARG(parse_ahead(x, 1)->text));
        x->at += 2;
    }
    if (number.size > RULES_CLAUSE_MAX) {
        compile_fail(x->c, first, "a clause number has at most %d characters", RULES_CLAUSE_MAX);
    }
    return number;
}

static void parse_clause(struct parser *x, struct stmt *s)
{
    s->kind = STMT_CLAUSE;
    uint32_t token = x->at;
    struct bytes number = parse_clause_number(x);
    size_t zeros = 0;
    while (zeros < number.size && number.data[zeros] == '0') {
        zeros++;
    }
    if (zeros > 0 && (zeros == number.size || number.data[zeros] == '.')) {
        compile_fail(x->c, token, "clause 0 is the ledger's own; contracts begin with 1");
    }
    for (size_t i = 0; i < x->clauses.count; i++) {
        if (bytes_equal(*(struct bytes *)x->clauses.at[i], number)) {
            compile_fail(x->c, token, "clause %.*s is there already", BYTES_ARG(number));
        }
    }
    struct bytes *kept = compile_new(x->c, 1, sizeof *kept);
    *kept = number;
    compile_push(x->c, &x->clauses, kept);
    parse_peek(x)->silent = true; /* the title is for readers: not part of the code */
    (void)parse_string(x, "the title of the clause");
    x->clause = number;
    s->clause = number;
}

struct block *parse_block(struct parser *x)
{
    if (++x->blocks > RULES_BLOCKS_MAX) {
        compile_fail(x->c, x->at, "blocks nest at most %d deep", RULES_BLOCKS_MAX);
    }
    struct bytes clause = x->clause;
    struct pointers list = {0};
    parse_expect(x, "{", "before the statements of a block");
    parse_mark(x, ROLE_BLOCK);
    while (!parse_take(x, "}")) {
        compile_push(x->c, &list, parse_statement(x));
    }
    struct block *b = compile_new(x->c, 1, sizeof *b);
    b->at = (struct stmt **)list.at;
    b->count = list.count;
    x->clause = clause;
    x->blocks--;
    return b;
}

/* Behind 'if'. A chain of else-ifs is taken in a loop; it nests in the tree only. */
static void parse_if(struct parser *x, struct stmt *s)
{
    uint32_t chain = 0;
    for (;;) {
        s->kind = STMT_IF;
        s->value = parse_expr(x);
        s->body = parse_block(x);
        if (!parse_take(x, "else")) {
            return;
        }
        if (!token_is(parse_peek(x), "if")) {
            s->other = parse_block(x);
            return;
        }
        if (++chain > RULES_ELSE_IFS_MAX) {
            compile_fail(x->c, x->at, "at most %d times 'else if' in one chain",
                         RULES_ELSE_IFS_MAX);
        }
        struct stmt *next = compile_new(x->c, 1, sizeof *next);
        next->token = x->at;
        next->line = parse_peek(x)->line;
        next->clause = x->clause;
        s->other = compile_new(x->c, 1, sizeof *s->other);
        s->other->at = compile_new(x->c, 1, sizeof(struct stmt *));
        s->other->at[0] = next;
        s->other->count = 1;
        x->at++;
        s = next;
    }
}

static void parse_for(struct parser *x, struct stmt *s)
{
    s->kind = STMT_FOR;
    s->name_token = x->at;
    s->name = parse_small_name(x, "a variable");
    parse_expect(x, "in", "then the list");
    s->value = parse_expr(x);
    s->body = parse_block(x);
}

static void parse_tally(struct parser *x, struct stmt *s)
{
    s->kind = STMT_TALLY;
    s->name_token = x->at;
    s->name = parse_small_name(x, "a tally");
    s->tally = compile_new(x->c, 1, sizeof *s->tally);
    s->tally->name = s->name;
    s->tally->keys = parse_fields(x, "[", "]", &s->tally->key_count);
    parse_expect(x, ":", "then the measure of the tally");
    s->tally->type = parse_type(x);
    if (s->tally->type->kind != TYPE_AMOUNT && s->tally->type->kind != TYPE_INT) {
        compile_fail(x->c, x->at - 1, "a tally counts a measure or an int");
    }
}

static void parse_apportion(struct parser *x, struct stmt *s)
{
    s->kind = STMT_APPORTION;
    s->value = parse_expr(x);
    parse_expect(x, "over", "then the list among which to share");
    s->list = parse_expr(x);
    parse_expect(x, "as", "then a name for one item");
    s->name_token = x->at;
    s->name = parse_small_name(x, "a variable");
    parse_expect(x, "by", "then the weight of one item");
    s->weight = parse_expr(x);
    parse_expect(x, "giving", "then a name for the share");
    s->share_name = parse_small_name(x, "a variable");
    s->body = parse_block(x);
}

static void parse_side(struct parser *x, struct side *side)
{
    side->list = parse_expr(x);
    parse_expect(x, "as", "then a name for one order");
    side->name_token = x->at;
    side->name = parse_small_name(x, "a variable");
    parse_expect(x, "for", "then the quantity of an order");
    side->quantity = parse_expr(x);
    parse_expect(x, "at", "then the limit price of an order");
    side->price = parse_expr(x);
}

static void parse_clear(struct parser *x, struct stmt *s)
{
    s->kind = STMT_CLEAR;
    parse_side(x, &s->sides[0]);
    parse_expect(x, "against", "then the offers");
    parse_side(x, &s->sides[1]);
    parse_expect(x, "giving", "then a name for the quantity traded");
    s->name_token = x->at;
    s->share_name = parse_small_name(x, "a variable");
    parse_expect(x, "at", "then a name for the price");
    s->price_name = parse_small_name(x, "a variable");
    parse_expect(x, "buyers", "before the block for each bid that trades");
    s->body = parse_block(x);
    parse_expect(x, "sellers", "before the block for each offer that trades");
    s->other = parse_block(x);
}

static void parse_set(struct parser *x, struct stmt *s)
{
    s->kind = STMT_SET;
    s->to = parse_place(x);
    parse_expect(x, "=", "before the new value");
    s->value = token_is(parse_peek(x), "{") ? parse_record_literal(x) : parse_expr(x);
}

static void parse_schedule(struct parser *x, struct stmt *s)
{
    s->kind = STMT_SCHEDULE;
    s->name_token = x->at;
    s->name = parse_any_name(x, "the event to schedule");
    parse_expect(x, "(", "before the arguments of the event");
    parse_arguments(x, &s->args, &s->arg_names, &s->arg_count);
    parse_expect(x, ")", "after the arguments of the event");
    parse_expect(x, "at", "then the time at which it fires");
    s->when = parse_expr(x);
}

static void parse_posting(struct parser *x, struct stmt *s, enum stmt_kind kind)
{
    s->kind = kind;
    s->value = parse_expr(x);
    if (kind != STMT_ISSUE) {
        parse_expect(x, "from", "then the account that is debited");
        s->from = parse_place(x);
    }
    if (kind == STMT_TRANSFER) {
        parse_expect(x, "to", "then the account that is credited");
        s->to = parse_place(x);
    } else if (kind == STMT_ISSUE) {
        parse_expect(x, "into", "then the account that is credited");
        s->to = parse_place(x);
    }
}

/* The statements whose first word has been taken. */
static bool parse_plain(struct parser *x, struct stmt *s)
{
    if (parse_take(x, "let")) {
        s->kind = STMT_LET;
        s->name_token = x->at;
        s->name = parse_small_name(x, "a variable");
        parse_expect(x, "=", "before the value");
        s->value = parse_expr(x);
    } else if (parse_take(x, "require")) {
        s->kind = STMT_REQUIRE;
        s->value = parse_expr(x);
        if (parse_take(x, "else")) {
            s->reason = parse_string(x, "the reason");
            if (s->reason.size > RULES_REASON_MAX) {
                compile_fail(x->c, x->at - 1, "a reason has at most %d bytes", RULES_REASON_MAX);
            }
        }
    } else if (parse_take(x, "add")) {
        s->kind = STMT_ADD;
        s->value = parse_expr(x);
        parse_expect(x, "to", "then the field or tally");
        s->to = parse_place(x);
    } else if (parse_take(x, "remove")) {
        s->kind = STMT_REMOVE;
        s->to = parse_place(x);
    } else if (parse_take(x, "emit")) {
        s->kind = STMT_EMIT;
        s->name_token = x->at;
        s->name = parse_small_name(x, "an event for the outside");
        s->value = parse_record_literal(x);
    } else {
        return false;
    }
    return true;
}

static struct stmt *parse_statement(struct parser *x)
{
    struct stmt *s = compile_new(x->c, 1, sizeof *s);
    s->token = x->at;
    s->line = parse_peek(x)->line;
    s->clause = x->clause;
    if (parse_take(x, "clause")) {
        parse_clause(x, s);
    } else if (parse_take(x, "if")) {
        parse_if(x, s);
    } else if (parse_take(x, "for")) {
        parse_for(x, s);
    } else if (parse_take(x, "tally")) {
        parse_tally(x, s);
    } else if (parse_take(x, "apportion")) {
        parse_apportion(x, s);
    } else if (parse_take(x, "clear")) {
        parse_clear(x, s);
    } else if (parse_take(x, "transfer")) {
        parse_posting(x, s, STMT_TRANSFER);
    } else if (parse_take(x, "issue")) {
        parse_posting(x, s, STMT_ISSUE);
    } else if (parse_take(x, "retire")) {
        parse_posting(x, s, STMT_RETIRE);
    } else if (parse_take(x, "set")) {
        parse_set(x, s);
    } else if (parse_take(x, "schedule")) {
        parse_schedule(x, s);
    } else if (!parse_plain(x, s)) {
        struct token *t = parse_peek(x);
        if (t->kind == TOKEN_END) {
            compile_fail(x->c, x->at, "the text ends inside a block; '}' is missing");
        }
        compile_fail(x->c, x->at,
                     "a statement is expected here: clause, let, require, if, for, "
                     "transfer, set, …, not '%.*s'",
                     BYTES_ARG(t->text));
    }
    return s;
}

/* ---- tests ---- */

static void parse_when(struct parser *x, struct step *s)
{
    s->kind = STEP_WHEN;
    s->name_token = x->at;
    s->name = parse_any_name(x, "the name of an event");
    parse_expect(x, "(", "before the arguments");
    parse_arguments(x, &s->args, &s->arg_names, &s->arg_count);
    parse_expect(x, ")", "after the arguments");
    parse_expect(x, "by", "then who signed");
    s->by = compile_new(x->c, RULES_SIGNERS_MAX, sizeof *s->by);
    do {
        if (s->by_count == RULES_SIGNERS_MAX) {
            compile_fail(x->c, x->at, "at most %d signers", RULES_SIGNERS_MAX);
        }
        struct bytes party = parse_string(x, "a party");
        if (!value_party_valid(party)) {
            compile_fail(x->c, x->at - 1, "\"%.*s\" is not a party name", BYTES_ARG(party));
        }
        s->by[s->by_count++] = party;
    } while (parse_take(x, ","));
    if (parse_take(x, "at")) {
        s->value = parse_expr(x);
    }
    if (parse_take(x, "rejected")) {
        parse_expect(x, "by", "then the clause");
        parse_expect(x, "clause", "then its number");
        s->rejected = parse_clause_number(x);
    }
}

static struct step *parse_step(struct parser *x)
{
    struct step *s = compile_new(x->c, 1, sizeof *s);
    s->token = x->at;
    s->line = parse_peek(x)->line;
    if (parse_take(x, "given")) {
        s->kind = STEP_GIVEN;
        s->place = parse_place(x);
        parse_expect(x, "=", "before the value");
        s->value = token_is(parse_peek(x), "{") ? parse_record_literal(x) : parse_expr(x);
    } else if (parse_take(x, "when")) {
        parse_when(x, s);
    } else if (parse_take(x, "then")) {
        s->kind = STEP_THEN;
        s->value = parse_expr(x);
    } else if (parse_take(x, "wait")) {
        s->kind = STEP_WAIT;
        s->value = parse_expr(x);
    } else {
        compile_fail(x->c, x->at, "a test consists of: given, when, then, wait");
    }
    return s;
}

/* Behind 'test'. */
struct test *parse_test(struct parser *x)
{
    struct test *t = compile_new(x->c, 1, sizeof *t);
    uint32_t first = x->at - 1;
    struct pointers steps = {0};
    t->name = parse_string(x, "the title of the test");
    parse_expect(x, "{", "before the steps of the test");
    parse_mark(x, ROLE_BLOCK);
    while (!parse_take(x, "}")) {
        if (parse_peek(x)->kind == TOKEN_END) {
            compile_fail(x->c, x->at, "the text ends inside a test; '}' is missing");
        }
        compile_push(x->c, &steps, parse_step(x));
    }
    t->steps = (struct step **)steps.at;
    t->count = steps.count;
    for (uint32_t i = first; i < x->at; i++) {
        x->c->tokens[i].silent = true; /* tests are not part of the code */
    }
    return t;
}
