/* Expressions, by precedence (section 2: Expr to Primary). */
#include "rules/parse.h"

#include <string.h>

#include "base/limits.h"
#include "base/require.h"

bool parse_take(struct parser *x, const char *text)
{
    if (!token_is(parse_peek(x), text)) {
        return false;
    }
    x->at++;
    return true;
}

void parse_expect(struct parser *x, const char *text, const char *where)
{
    if (!parse_take(x, text)) {
        compile_fail(x->c, x->at, "'%s' is expected here, %s", text, where);
    }
}

struct bytes parse_any_name(struct parser *x, const char *what)
{
    struct token *t = parse_peek(x);
    if (t->kind != TOKEN_NAME) {
        compile_fail(x->c, x->at, "%s is expected here", what);
    }
    x->at++;
    return t->text;
}

struct bytes parse_small_name(struct parser *x, const char *what)
{
    struct token *t = parse_peek(x);
    if (t->kind == TOKEN_NAME && lex_reserved(x->c->bare, t->text)) {
        compile_fail(x->c, x->at, "'%.*s' is a word of the language and cannot be %s",
                     BYTES_ARG(t->text), what);
    }
    struct bytes name = parse_any_name(x, what);
    if (name.data[0] < 'a' || name.data[0] > 'z') {
        compile_fail(x->c, x->at - 1, "%s begins with a small letter", what);
    }
    return name;
}

struct bytes parse_string(struct parser *x, const char *what)
{
    struct token *t = parse_peek(x);
    if (t->kind != TOKEN_STRING) {
        compile_fail(x->c, x->at, "%s is expected here, in quotes", what);
    }
    x->at++;
    return t->text;
}

uint64_t parse_int(struct parser *x, const char *what, uint64_t max)
{
    struct token *t = parse_peek(x);
    if (t->kind != TOKEN_INT) {
        compile_fail(x->c, x->at, "%s is expected here: a whole number", what);
    }
    if (t->number > max) {
        compile_fail(x->c, x->at, "%s is at most %llu", what, (unsigned long long)max);
    }
    x->at++;
    return t->number;
}

bool parse_unit(struct parser *x, struct unit *ret, struct bytes *ret_name)
{
    const struct rules_registry *r = x->c->env->registry;
    struct token *t = parse_peek(x);
    if (t->kind != TOKEN_NAME || !unit_find(r, t->text, ret)) {
        return false;
    }
    *ret_name = t->text;
    x->at++;
    struct token *below = parse_ahead(x, 1);
    struct unit divisor = {0};
    if (token_is(parse_peek(x), "/") && below->kind == TOKEN_NAME &&
        unit_find(r, below->text, &divisor)) {
        if (!unit_multiply(ret, &divisor, -1, ret)) {
            compile_fail(x->c, x->at, "this unit is too large");
        }
        *ret_name = compile_printf(x->c, "%.*s/%.*s", BYTES_ARG(*ret_name), BYTES_ARG(below->text));
        x->c->tokens[x->at].role = ROLE_JOINED;
        x->at += 2;
    }
    return true;
}

/* ---- making nodes ---- */

static void grow_depth(struct parser *x, struct node *n, const struct node *child)
{
    if (child == NULL || child->depth < n->depth) {
        return;
    }
    n->depth = child->depth + 1;
    if (n->depth > RULES_TREE_DEPTH_MAX) {
        compile_fail(x->c, n->token, "this expression is too long; name its parts by 'let'");
    }
}

static struct node *make(struct parser *x, enum node_kind kind, uint32_t token)
{
    struct node *n = compile_new(x->c, 1, sizeof *n);
    n->kind = kind;
    n->token = token;
    n->depth = 1;
    return n;
}

static struct node *make_binary(struct parser *x, enum node_kind kind, uint32_t token,
                                struct node *a, struct node *b)
{
    struct node *n = make(x, kind, token);
    n->a = a;
    n->b = b;
    grow_depth(x, n, a);
    grow_depth(x, n, b);
    return n;
}

static void set_items(struct parser *x, struct node *n, const struct pointers *items)
{
    n->items = (struct node **)items->at;
    n->count = (uint32_t)items->count;
    for (uint32_t i = 0; i < n->count; i++) {
        grow_depth(x, n, n->items[i]);
    }
}

static const struct type *new_type(struct parser *x, enum type_kind kind)
{
    struct type *t = compile_new(x->c, 1, sizeof *t);
    t->kind = kind;
    t->by = -1;
    return t;
}

static struct node *literal(struct parser *x, enum type_kind kind, uint32_t token)
{
    struct node *n = make(x, NODE_LITERAL, token);
    n->type = new_type(x, kind);
    n->constant.present = true;
    return n;
}

static struct node *literal_text(struct parser *x)
{
    struct token *t = parse_peek(x);
    struct node *n = make(x, NODE_LITERAL, x->at);
    struct type *type = compile_new(x->c, 1, sizeof *type);
    type->kind = t->kind == TOKEN_STRING ? TYPE_STRING : TYPE_BYTES;
    type->by = -1;
    type->size_max = (uint32_t)t->text.size;
    if (type->kind == TYPE_STRING) {
        struct bytes *word = compile_new(x->c, 1, sizeof *word);
        *word = t->text;
        type->words = word;
        type->word_count = 1;
    }
    n->type = type;
    n->constant = (struct value){.as.text = t->text, .present = true};
    x->at++;
    return n;
}

/* A number with its unit, the number being the present token. */
static struct node *literal_amount(struct parser *x)
{
    uint32_t token = x->at;
    struct token *t = parse_peek(x);
    int128 count = (int128)t->number;
    unsigned decimals = 0;
    if (t->kind == TOKEN_DECIMAL && num_decimal_parse(t->text, &count, &decimals) != NUM_OK) {
        compile_fail(x->c, token, "an amount has at most 19 digits and %d decimals",
                     NUM_DECIMALS_MAX);
    }
    x->at++;
    struct type *type = compile_new(x->c, 1, sizeof *type);
    struct bytes name;
    type->kind = TYPE_AMOUNT;
    type->by = -1;
    if (!parse_unit(x, &type->unit, &name)) {
        compile_fail(x->c, token, "a decimal number needs a unit, e.g. 0.132 EUR/kWh or 5.5 pct");
    }
    if (num_scale_div(type->unit.scale, num_scale(num_power10(decimals), 1), &type->unit.scale) !=
        NUM_OK) {
        compile_fail(x->c, token, "this amount is too small");
    }
    struct node *n = make(x, NODE_LITERAL, token);
    n->type = type;
    n->constant = (struct value){.as.number = count, .present = true};
    return n;
}

static bool unit_follows(struct parser *x, uint32_t n)
{
    struct token *t = parse_ahead(x, n);
    struct unit u;
    return t->kind == TOKEN_NAME && unit_find(x->c->env->registry, t->text, &u);
}

static struct node *literal_int(struct parser *x, bool negative)
{
    struct token *t = parse_peek(x);
    require(t->kind == TOKEN_INT);
    if (!negative && t->number > INT64_MAX) {
        compile_fail(x->c, x->at, "this number is larger than 64 bits allow");
    }
    struct node *n = literal(x, TYPE_INT, x->at);
    n->constant.as.number = negative ? -(int128)t->number : (int128)t->number;
    x->at++;
    return n;
}

/* ---- the grammar, from the inside out ---- */

static void expr_list(struct parser *x, const char *close, struct pointers *items)
{
    if (parse_take(x, close)) {
        return;
    }
    for (;;) {
        compile_push(x->c, items, parse_expr(x));
        if (parse_take(x, close)) {
            return;
        }
        parse_expect(x, ",", "or the end of the list");
    }
}

void parse_arguments(struct parser *x, struct node ***args, struct bytes **names, uint32_t *count)
{
    struct pointers values = {0};
    struct pointers labels = {0};
    while (!token_is(parse_peek(x), ")") && !token_is(parse_peek(x), "}")) {
        struct bytes *name = compile_new(x->c, 1, sizeof *name);
        *name = parse_any_name(x, "the name of a field");
        for (size_t i = 0; i < labels.count; i++) {
            if (bytes_equal(*(struct bytes *)labels.at[i], *name)) {
                compile_fail(x->c, x->at - 1, "'%.*s' is given twice", BYTES_ARG(*name));
            }
        }
        if (labels.count == RULES_FIELDS_MAX) {
            compile_fail(x->c, x->at - 1, "at most %d fields", RULES_FIELDS_MAX);
        }
        parse_expect(x, ":", "between a field and its value");
        compile_push(x->c, &labels, name);
        compile_push(x->c, &values, parse_expr(x));
        if (!parse_take(x, ",")) {
            break;
        }
        if (token_is(parse_peek(x), ")")) {
            compile_fail(x->c, x->at, "another argument is expected after the comma");
        }
    }
    *args = (struct node **)values.at;
    *count = (uint32_t)values.count;
    *names = compile_new(x->c, values.count + 1, sizeof **names);
    for (size_t i = 0; i < labels.count; i++) {
        (*names)[i] = *(struct bytes *)labels.at[i];
    }
}

struct node *parse_record_literal(struct parser *x)
{
    struct node *n = make(x, NODE_RECORD, x->at);
    if (parse_peek(x)->kind == TOKEN_NAME) {
        n->name = parse_any_name(x, "a record");
    }
    enum token_role role = n->name.size > 0 ? ROLE_NAMED : ROLE_PLAIN;
    parse_expect(x, "{", "before the fields of a record");
    parse_mark(x, role);
    parse_arguments(x, &n->items, &n->names, &n->count);
    for (uint32_t i = 0; i < n->count; i++) {
        grow_depth(x, n, n->items[i]);
    }
    parse_expect(x, "}", "after the fields of a record");
    parse_mark(x, role);
    return n;
}

static struct node *parse_round(struct parser *x)
{
    struct node *n = make(x, NODE_ROUND, x->at);
    x->at++;
    parse_expect(x, "(", "after 'round'");
    n->a = parse_expr(x);
    grow_depth(x, n, n->a);
    parse_expect(x, ",", "then the unit and the way of rounding: round(…, EUR, half_up)");
    n->type = parse_type(x);
    if (n->type->kind != TYPE_INT && n->type->kind != TYPE_AMOUNT) {
        compile_fail(x->c, x->at - 1, "only to a measure or to int can be rounded");
    }
    parse_expect(x, ",", "then the way of rounding, e.g. half_up");
    struct bytes mode = parse_any_name(x, "a way of rounding");
    parse_mark(x, ROLE_MODE);
    if (!num_mode_parse(mode, &n->mode)) {
        compile_fail(x->c, x->at - 1,
                     "'%.*s' is no way of rounding; these are: half_up, "
                     "half_even, down, up, floor, ceiling",
                     BYTES_ARG(mode));
    }
    parse_expect(x, ")", "after the way of rounding");
    return n;
}

static struct node *parse_name_or_call(struct parser *x)
{
    struct token *t = parse_peek(x);
    struct node *n = make(x, NODE_NAME, x->at);
    n->name = t->text;
    if (token_is(parse_ahead(x, 1), "{") && t->text.data[0] >= 'A' && t->text.data[0] <= 'Z') {
        return parse_record_literal(x);
    }
    bool callable = !lex_reserved(x->c->bare, t->text) || token_is(t, "round");
    if (!callable) {
        compile_fail(x->c, x->at, "'%.*s' is a word of the language; a value is expected here",
                     BYTES_ARG(t->text));
    }
    x->at++;
    if (parse_take(x, "(")) {
        struct pointers items = {0};
        n->kind = NODE_APPLY;
        expr_list(x, ")", &items);
        set_items(x, n, &items);
    }
    return n;
}

static struct node *parse_primary(struct parser *x)
{
    struct token *t = parse_peek(x);
    uint32_t token = x->at;
    if (t->kind == TOKEN_DECIMAL || (t->kind == TOKEN_INT && unit_follows(x, 1))) {
        return literal_amount(x);
    }
    if (t->kind == TOKEN_INT) {
        return literal_int(x, false);
    }
    if (t->kind == TOKEN_STRING || t->kind == TOKEN_BYTES) {
        return literal_text(x);
    }
    if (token_is(t, "true") || token_is(t, "false")) {
        struct node *n = literal(x, TYPE_BOOL, token);
        n->constant.as.truth = token_is(t, "true");
        x->at++;
        return n;
    }
    if (parse_take(x, "(")) {
        struct node *n = parse_expr(x);
        parse_expect(x, ")", "to close the parenthesis");
        n->in_parens = true;
        return n;
    }
    if (parse_take(x, "[")) {
        struct node *n = make(x, NODE_LIST, token);
        struct pointers items = {0};
        expr_list(x, "]", &items);
        set_items(x, n, &items);
        return n;
    }
    if (token_is(t, "round")) {
        return parse_round(x);
    }
    if (t->kind != TOKEN_NAME) {
        compile_fail(x->c, token, "a value is expected here");
    }
    return parse_name_or_call(x);
}

/* Behind "[": {Expr ","} ["<="] Expr "]" */
static struct node *parse_index(struct parser *x, struct node *of)
{
    struct node *n = make(x, NODE_INDEX, of->token);
    struct pointers items = {0};
    n->a = of;
    grow_depth(x, n, of);
    while (!n->at_most) {
        n->at_most = parse_take(x, "<=");
        if (n->at_most) {
            parse_mark(x, ROLE_AT_MOST);
        }
        compile_push(x->c, &items, parse_expr(x));
        if (!parse_take(x, ",")) {
            break;
        }
    }
    parse_expect(x, "]", n->at_most ? "since '<=' stands before the last key" : "after the keys");
    set_items(x, n, &items);
    return n;
}

static struct node *parse_member(struct parser *x)
{
    struct node *n = parse_primary(x);
    for (;;) {
        if (parse_take(x, "[")) {
            n = parse_index(x, n);
        } else if (parse_take(x, ".")) {
            struct node *dot = make(x, NODE_DOT, x->at);
            dot->name = parse_any_name(x, "the name of a field");
            dot->a = n;
            grow_depth(x, dot, n);
            if (parse_take(x, "(")) {
                struct pointers items = {0};
                dot->kind = NODE_APPLY;
                expr_list(x, ")", &items);
                set_items(x, dot, &items);
            }
            n = dot;
        } else {
            return n;
        }
    }
}

static struct node *parse_unary(struct parser *x)
{
    const char *op = token_is(parse_peek(x), "!") ? "!" : "-";
    uint32_t first = x->at;
    while (parse_take(x, op)) {
        parse_mark(x, ROLE_SIGN);
    }
    uint32_t count = x->at - first;
    if (count > RULES_NESTING_MAX) {
        compile_fail(x->c, first, "too many signs");
    }
    struct node *n = NULL;
    if (op[0] == '-' && count > 0 && parse_peek(x)->kind == TOKEN_INT && !unit_follows(x, 1)) {
        n = literal_int(x, true);
        count--;
    } else {
        n = parse_member(x);
    }
    for (; count > 0; count--) {
        struct node *sign = make(x, op[0] == '!' ? NODE_NOT : NODE_NEGATE, first + count - 1);
        sign->a = n;
        grow_depth(x, sign, n);
        n = sign;
    }
    return n;
}

struct operator
{
    const char *text;
    enum node_kind kind;
};

static bool take_operator(struct parser *x, const struct operator* ops, size_t count,
                          enum node_kind *ret)
{
    for (size_t i = 0; i < count; i++) {
        if (parse_take(x, ops[i].text)) {
            *ret = ops[i].kind;
            return true;
        }
    }
    return false;
}

static struct node *parse_product(struct parser *x)
{
    static const struct operator ops[] = {
        {"*", NODE_MULTIPLY}, {"/", NODE_DIVIDE}, {"%", NODE_MODULO}};
    struct node *n = parse_unary(x);
    enum node_kind kind;
    while (take_operator(x, ops, sizeof ops / sizeof ops[0], &kind)) {
        uint32_t token = x->at - 1;
        n = make_binary(x, kind, token, n, parse_unary(x));
    }
    return n;
}

static struct node *parse_sum(struct parser *x)
{
    static const struct operator ops[] = {{"+", NODE_ADD}, {"-", NODE_SUBTRACT}};
    struct node *n = parse_product(x);
    enum node_kind kind;
    while (take_operator(x, ops, sizeof ops / sizeof ops[0], &kind)) {
        uint32_t token = x->at - 1;
        n = make_binary(x, kind, token, n, parse_product(x));
    }
    return n;
}

static struct node *parse_relation(struct parser *x)
{
    static const struct operator ops[] = {{"==", NODE_EQ}, {"!=", NODE_NE}, {"<", NODE_LT},
                                          {"<=", NODE_LE}, {">", NODE_GT},  {">=", NODE_GE},
                                          {"in", NODE_IN}};
    struct node *n = parse_sum(x);
    enum node_kind kind;
    while (take_operator(x, ops, sizeof ops / sizeof ops[0], &kind)) {
        uint32_t token = x->at - 1;
        n = make_binary(x, kind, token, n, parse_sum(x));
    }
    return n;
}

static struct node *parse_and(struct parser *x)
{
    struct node *n = parse_relation(x);
    while (parse_take(x, "&&")) {
        uint32_t token = x->at - 1;
        n = make_binary(x, NODE_AND, token, n, parse_relation(x));
    }
    return n;
}

static struct node *parse_or(struct parser *x)
{
    struct node *n = parse_and(x);
    while (parse_take(x, "||")) {
        uint32_t token = x->at - 1;
        n = make_binary(x, NODE_OR, token, n, parse_and(x));
    }
    return n;
}

struct node *parse_expr(struct parser *x)
{
    if (++x->nesting > RULES_NESTING_MAX) {
        compile_fail(x->c, x->at, "expressions nest at most %d deep; name parts by 'let'",
                     RULES_NESTING_MAX);
    }
    struct node *n = parse_or(x);
    if (token_is(parse_peek(x), "?")) {
        struct node *cond = make(x, NODE_COND, x->at++);
        cond->a = n;
        cond->b = parse_or(x);
        parse_expect(x, ":", "before what holds otherwise");
        parse_mark(x, ROLE_CHOICE);
        cond->c = parse_expr(x);
        grow_depth(x, cond, cond->a);
        grow_depth(x, cond, cond->b);
        grow_depth(x, cond, cond->c);
        n = cond;
    }
    x->nesting--;
    return n;
}

struct node *parse_only_expr(struct compile *c)
{
    struct parser x = {.c = c, .p = c->program};
    struct node *n = parse_expr(&x);
    if (parse_peek(&x)->kind != TOKEN_END) {
        compile_fail(c, x.at, "the expression should end here");
    }
    return n;
}
