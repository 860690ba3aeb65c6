/* Calls: has, balance, built-in functions, and the macros over lists. */
#include "rules/check.h"

#include <string.h>

#include "base/limits.h"
#include "base/require.h"
#include "rules/builtin.h"

/* ---- has, balance ---- */

static struct node *has_argument(struct checker *k, struct node *n, struct node *arg)
{
    struct local *l = check_find_local(k, arg->name);
    if (l == NULL || l->kind != LOCAL_VALUE || !l->optional) {
        compile_fail(k->c, arg->token,
                     "'%.*s' is never absent; has(…) asks for optional fields, "
                     "optional arguments and rows",
                     BYTES_ARG(arg->name));
    }
    n->kind = NODE_HAS_SLOT;
    n->slot = l->slot;
    n->count = 0;
    return n;
}

static struct node *has_field(struct checker *k, struct node *n, struct node *arg)
{
    struct node *record = check_expr(k, arg->a, NULL);
    const struct type *t = record->type;
    for (uint32_t i = 0; t->kind == TYPE_RECORD && i < t->field_count; i++) {
        if (bytes_equal(t->fields[i].name, arg->name)) {
            if (!t->fields[i].optional) {
                compile_fail(k->c, arg->token, "'%.*s' is never absent", BYTES_ARG(arg->name));
            }
            n->kind = NODE_HAS_FIELD;
            n->a = record;
            n->index = i;
            n->count = 0;
            return n;
        }
    }
    compile_fail(k->c, arg->token, "there is no field '%.*s' here", BYTES_ARG(arg->name));
}

static struct node *check_has(struct checker *k, struct node *n)
{
    if (n->count != 1) {
        compile_fail(k->c, n->token, "has(…) asks for one field, argument or row");
    }
    struct node *arg = n->items[0];
    n->type = check_new_type(k, TYPE_BOOL);
    if (arg->kind == NODE_NAME) {
        return has_argument(k, n, arg);
    }
    if (arg->kind == NODE_DOT) {
        return has_field(k, n, arg);
    }
    if (arg->kind == NODE_INDEX) {
        arg = check_expr(k, arg, NULL);
        if (arg->kind == NODE_ROW || arg->kind == NODE_SEEK) {
            n->kind = NODE_HAS_ROW;
            n->a = arg;
            n->count = 0;
            return n;
        }
        if (arg->kind == NODE_SCAN) {
            compile_fail(k->c, arg->token, "has(…) asks for one row; write all %u keys",
                         arg->ref.table->key_count);
        }
    }
    compile_fail(k->c, n->token,
                 "has(…) asks for an optional field, an optional argument or a row");
}

static struct node *check_balance(struct checker *k, struct node *n)
{
    if (k->mode != CHECK_BODY && k->mode != CHECK_TEST) {
        compile_fail(k->c, n->token, "balances cannot be read here");
    }
    struct node *arg = n->count == 1 ? n->items[0] : NULL;
    struct node *name = arg != NULL && arg->kind == NODE_INDEX ? arg->a : arg;
    const struct family *f =
        name != NULL && name->kind == NODE_NAME ? program_family(k->p, name->name) : NULL;
    if (f == NULL || (arg->kind == NODE_INDEX && arg->at_most)) {
        compile_fail(k->c, n->token, "balance(…) asks for an account of this contract");
    }
    uint32_t count = arg->kind == NODE_INDEX ? arg->count : 0;
    if (count != f->key_count) {
        compile_fail(k->c, arg->token, "%.*s has %u keys, not %u", BYTES_ARG(f->name), f->key_count,
                     count);
    }
    n->items = arg->items;
    n->count = count;
    check_keys(k, n->items, n->count, f->keys, false);
    size_t size = 0;
    for (uint32_t i = 0; i < n->count; i++) {
        size += type_is_text(n->items[i]->type) ? (size_t)n->items[i]->type->size_max * 2 + 2 : 16;
    }
    k->key_size_max = size > k->key_size_max ? size : k->key_size_max;
    n->kind = NODE_BALANCE;
    n->ref.family = f;
    n->type = f->type;
    return n;
}

/* ---- built-in functions ---- */

static bool letter_matches(char letter, const struct node *n)
{
    switch (letter) {
    case 's':
        return n->type->kind == TYPE_STRING;
    case 'y':
        return n->type->kind == TYPE_BYTES;
    case 'b':
        return n->type->kind == TYPE_BOOL;
    case 'i':
        return n->type->kind == TYPE_INT;
    case 'd':
        return n->type->kind == TYPE_DATE;
    case 't':
        return n->type->kind == TYPE_TIMESTAMP;
    case 'u':
        return n->type->kind == TYPE_DURATION;
    case 'l':
        return n->type->kind == TYPE_LIST;
    case 'z':
    case 'm':
        return n->type->kind == TYPE_STRING && n->kind == NODE_LITERAL;
    default:
        return false;
    }
}

static bool builtin_matches(const struct builtin *b, const struct node *n, bool method)
{
    if (b->method != method || !bytes_equal(n->name, bytes_text(b->name)) ||
        strlen(b->params) != n->count) {
        return false;
    }
    for (uint32_t i = 0; i < n->count; i++) {
        if (!letter_matches(b->params[i], n->items[i])) {
            return false;
        }
    }
    return true;
}

/* Longest text of string(x) and bytes(x), section 12.2. */
static uint32_t text_size(const struct type *t)
{
    switch (t->kind) {
    case TYPE_BOOL:
        return 5;
    case TYPE_INT:
        return 20;
    case TYPE_DURATION:
        return 22;
    case TYPE_TIMESTAMP:
        return 30;
    case TYPE_STRING:
    case TYPE_BYTES:
    case TYPE_DATE:
    case TYPE_PARTY:
    case TYPE_AMOUNT:
    case TYPE_RATIO:
    case TYPE_RECORD:
    case TYPE_LIST:
        return t->size_max;
    }
    return t->size_max;
}

static const struct type *builtin_type(struct checker *k, const struct builtin *b,
                                       const struct node *n)
{
    static const struct {
        char letter;
        enum type_kind kind;
    } kinds[] = {{'s', TYPE_STRING}, {'y', TYPE_BYTES},     {'b', TYPE_BOOL},    {'i', TYPE_INT},
                 {'d', TYPE_DATE},   {'t', TYPE_TIMESTAMP}, {'u', TYPE_DURATION}};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (kinds[i].letter == b->result) {
            struct type *t = check_new_type(k, kinds[i].kind);
            if (type_is_text(t)) {
                t->size_max = text_size(n->items[0]->type);
            }
            return t;
        }
    }
    require(false);
    return NULL;
}

/* A literal that does not convert is an error of the contract, not a fault of an event. */
static void check_literal_argument(struct checker *k, const struct builtin *b, const struct node *n)
{
    const struct node *arg = n->items[0];
    if (arg->kind != NODE_LITERAL || arg->type->kind != TYPE_STRING || n->count != 1) {
        return;
    }
    struct bytes text = arg->constant.as.text;
    int32_t day;
    int64_t nanos;
    struct civil_time time;
    bool bad = (b->result == 'd' && civil_day_parse(text, &day) != NUM_OK) ||
               (b->result == 't' && civil_time_parse(text, &time) != NUM_OK) ||
               (b->result == 'u' && civil_duration_parse(text, &nanos) != NUM_OK);
    if (bad) {
        compile_fail(k->c, arg->token, "\"%.*s\" is not a %s", BYTES_ARG(text),
                     b->result == 'd'   ? "date, e.g. 2026-07-01"
                     : b->result == 't' ? "timestamp, e.g. 2026-07-01T10:00:00Z"
                                        : "duration, e.g. 15m");
    }
}

static void check_zone(struct checker *k, struct node *n, const struct node *arg)
{
    if (civil_zone_parse(arg->constant.as.text, &n->zone) != NUM_OK) {
        compile_fail(k->c, arg->token,
                     "\"%.*s\" is not a zone; these are: UTC, +hh:mm, -hh:mm, "
                     "Europe/Paris, Amsterdam, Brussels, Berlin, Madrid, Rome",
                     BYTES_ARG(arg->constant.as.text));
    }
}

static void check_months_mode(struct checker *k, struct node *n, const struct node *arg)
{
    static const char *const words[] = {"down", "up", "fail"};
    for (uint32_t i = 0; i < 3; i++) {
        if (bytes_equal(arg->constant.as.text, bytes_text(words[i]))) {
            n->choice = i;
            return;
        }
    }
    compile_fail(k->c, arg->token,
                 "what to do when the day does not exist is \"down\", \"up\" or "
                 "\"fail\"");
}

static const char *argument_types(struct checker *k, const struct node *n)
{
    struct bytes text = bytes_text("");
    for (uint32_t i = 0; i < n->count && i < 4; i++) {
        text = compile_printf(k->c, "%.*s%s%s", BYTES_ARG(text), i == 0 ? "" : ", ",
                              check_type_text(k, n->items[i]->type));
    }
    return (const char *)text.data;
}

static struct node *check_builtin(struct checker *k, struct node *n, bool method)
{
    bool named = false;
    for (size_t i = 0; builtin_at(i) != NULL; i++) {
        const struct builtin *b = builtin_at(i);
        named |= b->method == method && bytes_equal(n->name, bytes_text(b->name));
        if (!builtin_matches(b, n, method)) {
            continue;
        }
        n->kind = NODE_CALL;
        n->ref.builtin = b;
        n->choice = b->choice;
        n->type = builtin_type(k, b, n);
        for (uint32_t p = 0; p < n->count; p++) {
            if (b->params[p] == 'z') {
                check_zone(k, n, n->items[p]);
            } else if (b->params[p] == 'm') {
                check_months_mode(k, n, n->items[p]);
            }
        }
        if (n->count > 0) {
            check_literal_argument(k, b, n);
        }
        return n;
    }
    if (!named) {
        compile_fail(k->c, n->token, "there is no function '%.*s' here", BYTES_ARG(n->name));
    }
    compile_fail(k->c, n->token, "%.*s is not for (%s)", BYTES_ARG(n->name), argument_types(k, n));
}

/* ---- min and max ---- */

static struct node *check_extreme(struct checker *k, struct node *n)
{
    bool amounts = false;
    bool numbers = n->count > 0;
    for (uint32_t i = 0; i < n->count; i++) {
        check_no_ratio(k, n->items[i]);
        enum type_kind kind = n->items[i]->type->kind;
        amounts |= kind == TYPE_AMOUNT;
        numbers &= kind == TYPE_AMOUNT || kind == TYPE_INT;
    }
    const struct type *first = n->count > 0 ? n->items[0]->type : NULL;
    bool same = first != NULL && (numbers || first->kind == TYPE_DATE ||
                                  first->kind == TYPE_TIMESTAMP || first->kind == TYPE_DURATION);
    for (uint32_t i = 1; same && !numbers && i < n->count; i++) {
        same = n->items[i]->type->kind == first->kind;
    }
    if (!same) {
        compile_fail(k->c, n->token,
                     "%.*s compares numbers of one dimension, dates, timestamps or "
                     "durations, not (%s)",
                     BYTES_ARG(n->name), argument_types(k, n));
    }
    n->type = first;
    if (amounts) {
        struct unit u = check_unit(first);
        for (uint32_t i = 1; i < n->count; i++) {
            struct unit v = check_unit(n->items[i]->type);
            if (!dim_equal(&u.dim, &v.dim)) {
                compile_fail(k->c, n->items[i]->token, "cannot compare %s and %s",
                             check_type_text(k, first), check_type_text(k, n->items[i]->type));
            }
            if (num_scale_gcd(u.scale, v.scale, &u.scale) != NUM_OK) {
                compile_fail(k->c, n->token, "these units are too far apart");
            }
        }
        n->type = check_amount_type(k, n->token, &u);
        for (uint32_t i = 0; i < n->count; i++) {
            n->items[i] = check_convert(k, n->items[i], n->type, false);
        }
    }
    size_t index = 0;
    while (!bytes_equal(n->name, bytes_text(builtin_at(index)->name))) {
        index++;
    }
    n->kind = NODE_CALL;
    n->ref.builtin = builtin_at(index);
    n->choice = builtin_at(index)->choice;
    return n;
}

/* ---- macros ---- */

static bool macro_named(struct bytes name, uint32_t count, enum macro *ret)
{
    static const struct {
        const char *name;
        uint32_t count;
        enum macro macro;
    } macros[] = {{"all", 2, MACRO_ALL},
                  {"exists", 2, MACRO_EXISTS},
                  {"exists_one", 2, MACRO_EXISTS_ONE},
                  {"filter", 2, MACRO_FILTER},
                  {"map", 2, MACRO_MAP},
                  {"map", 3, MACRO_MAP},
                  {"sum", 2, MACRO_SUM}};
    for (size_t i = 0; i < sizeof macros / sizeof macros[0]; i++) {
        if (macros[i].count == count && bytes_equal(name, bytes_text(macros[i].name))) {
            *ret = macros[i].macro;
            return true;
        }
    }
    return false;
}

/* b is the predicate (or NULL), c the value (or NULL). */
static void macro_type(struct checker *k, struct node *n)
{
    if (n->ref.macro == MACRO_SUM) {
        check_no_ratio(k, n->c);
        if (n->c->type->kind != TYPE_INT && n->c->type->kind != TYPE_AMOUNT) {
            compile_fail(k->c, n->c->token, "numbers are summed, not %s",
                         check_type_text(k, n->c->type));
        }
        n->type = n->c->type;
    } else if (n->ref.macro == MACRO_MAP) {
        check_no_ratio(k, n->c);
        struct type *list = check_new_type(k, TYPE_LIST);
        list->item = n->c->type;
        list->list_max = n->a->type->list_max;
        n->type = list;
    } else if (n->ref.macro == MACRO_FILTER) {
        n->type = n->a->type;
    } else {
        n->type = check_new_type(k, TYPE_BOOL);
    }
}

static struct node *check_macro(struct checker *k, struct node *n, enum macro macro)
{
    struct node *name = n->items[0];
    n->a = check_expr(k, n->a, NULL);
    if (n->a->type->kind != TYPE_LIST) {
        compile_fail(k->c, n->token, "%.*s goes through a list, not %s", BYTES_ARG(n->name),
                     check_type_text(k, n->a->type));
    }
    if (name->kind != NODE_NAME || name->in_parens || lex_reserved(k->c->bare, name->name)) {
        compile_fail(k->c, name->token, "a name for one item is expected here");
    }
    const struct type *item = n->a->type->item;
    struct local *outer = k->locals;
    const struct fact *facts = k->facts;
    struct local *l =
        check_bind(k, name->name, name->token, item != NULL ? item : check_new_type(k, TYPE_INT));
    k->slots[l->slot].mentions = authority_mentions(k, n->a);
    k->slots[l->slot].path_of = authority_path_of(k, n->a);
    n->slot = l->slot;
    n->ref.macro = macro;
    n->kind = NODE_MACRO;
    bool value = macro == MACRO_MAP || macro == MACRO_SUM;
    struct node *predicate = value && n->count == 2 ? NULL : n->items[1];
    n->b = predicate == NULL ? NULL : check_condition(k, predicate);
    n->c = value ? check_expr(k, n->items[n->count - 1], NULL) : NULL;
    n->count = 0;
    k->locals = outer;
    k->facts = facts;
    macro_type(k, n);
    return n;
}

struct node *check_apply(struct checker *k, struct node *n)
{
    enum macro macro;
    bool method = n->a != NULL;
    if (method && macro_named(n->name, n->count, &macro)) {
        return check_macro(k, n, macro);
    }
    if (!method && bytes_equal(n->name, bytes_text("has"))) {
        return check_has(k, n);
    }
    if (!method && bytes_equal(n->name, bytes_text("balance"))) {
        return check_balance(k, n);
    }
    if (method) {
        struct node **items = compile_new(k->c, n->count + 1, sizeof(struct node *));
        items[0] = n->a;
        if (n->count > 0) {
            memcpy(items + 1, n->items, n->count * sizeof(struct node *));
        }
        n->items = items;
        n->count++;
        n->a = NULL;
    }
    for (uint32_t i = 0; i < n->count; i++) {
        n->items[i] = check_expr(k, n->items[i], NULL);
    }
    if (!method &&
        (bytes_equal(n->name, bytes_text("min")) || bytes_equal(n->name, bytes_text("max")))) {
        return check_extreme(k, n);
    }
    return check_builtin(k, n, method);
}
