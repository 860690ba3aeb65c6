/* Operators, and how values come into places. */
#include "rules/check.h"

#include <string.h>

#include "base/limits.h"
#include "base/require.h"

static bool is_number(const struct type *t)
{
    return t->kind == TYPE_INT || t->kind == TYPE_AMOUNT || t->kind == TYPE_RATIO;
}

void check_no_ratio(struct checker *k, const struct node *n)
{
    if (n->type->kind == TYPE_RATIO) {
        compile_fail(k->c, n->token, "a division must be rounded: round(…, unit, half_up)");
    }
}

/* The sum of two word lists, or none if that is too long to be of use. */
static void join_words(struct checker *k, struct type *t, const struct type *a,
                       const struct type *b)
{
    t->words = NULL;
    t->word_count = 0;
    if (a->words == NULL || b->words == NULL || a->word_count + b->word_count > RULES_FIELDS_MAX) {
        return;
    }
    struct bytes *words = compile_new(k->c, a->word_count + b->word_count, sizeof *words);
    memcpy(words, a->words, a->word_count * sizeof *words);
    uint32_t count = a->word_count;
    for (uint32_t i = 0; i < b->word_count; i++) {
        bool there = false;
        for (uint32_t j = 0; j < a->word_count; j++) {
            there |= bytes_equal(a->words[j], b->words[i]);
        }
        if (!there) {
            words[count++] = b->words[i];
        }
    }
    t->words = words;
    t->word_count = count;
}

const struct type *check_join(struct checker *k, uint32_t token, const struct type *a,
                              const struct type *b)
{
    if (a == b) {
        return a;
    }
    if (a == NULL || b == NULL) {
        return a == NULL ? b : a;
    }
    if (a->kind != b->kind) {
        return NULL;
    }
    if (a->kind == TYPE_AMOUNT) {
        bool same =
            dim_equal(&a->unit.dim, &b->unit.dim) && num_scale_equal(a->unit.scale, b->unit.scale);
        return same ? a : NULL;
    }
    if (a->kind == TYPE_RECORD) {
        return type_equal(a, b) ? a : NULL;
    }
    if (a->kind == TYPE_STRING || a->kind == TYPE_BYTES) {
        struct type *t = check_new_type(k, a->kind);
        t->size_max = a->size_max > b->size_max ? a->size_max : b->size_max;
        join_words(k, t, a, b);
        return t;
    }
    if (a->kind == TYPE_LIST) {
        struct type *t = check_new_type(k, TYPE_LIST);
        t->item = check_join(k, token, a->item, b->item);
        t->list_max = a->list_max > b->list_max ? a->list_max : b->list_max;
        t->by = a->by == b->by ? a->by : -1;
        bool fits = t->item != NULL || (a->item == NULL && b->item == NULL);
        return fits ? t : NULL;
    }
    return a->kind == TYPE_RATIO ? NULL : a;
}

/* ---- into places ---- */

static _Noreturn void too_fine(struct checker *k, const struct node *n, const struct type *to)
{
    const char *unit = check_type_text(k, to);
    compile_fail(k->c, n->token,
                 "this amount is finer than %s is measured; write "
                 "round(…, %s, half_up)",
                 unit, unit);
}

/* A literal of the scale of `to`: n itself may serve other places, so it is copied. */
static struct node *fold_literal(struct checker *k, struct node *n, const struct type *to)
{
    int128 count = 0;
    int64_t narrow = 0;
    struct unit from = check_unit(n->type);
    enum num_end e = num_convert(n->constant.as.number, from.scale, to->unit.scale, &count);
    if (e == NUM_INEXACT) {
        too_fine(k, n, to);
    }
    if (e != NUM_OK || num_narrow(count, &narrow) != NUM_OK) {
        compile_fail(k->c, n->token, "this amount is too large");
    }
    struct node *literal = compile_new(k->c, 1, sizeof *literal);
    *literal = *n;
    literal->type = to;
    literal->constant.as.number = count;
    return literal;
}

struct node *check_convert(struct checker *k, struct node *n, const struct type *to, bool always)
{
    require(to->kind == TYPE_AMOUNT);
    if (n->kind == NODE_LITERAL) {
        return fold_literal(k, n, to);
    }
    int128 factor = 0;
    struct unit from = check_unit(n->type);
    if (num_scale_factor(from.scale, to->unit.scale, &factor) != NUM_OK) {
        too_fine(k, n, to);
    }
    if (factor == 1 && !always) {
        return n;
    }
    struct node *convert = compile_new(k->c, 1, sizeof *convert);
    convert->kind = NODE_CONVERT;
    convert->token = n->token;
    convert->depth = n->depth + 1;
    convert->type = to;
    convert->a = n;
    convert->factor_a = factor;
    convert->index = always; /* into a place: 64 bits; between operands: 128 */
    return convert;
}

static const char *words_text(struct checker *k, const struct type *t)
{
    struct bytes text = bytes_text("");
    for (uint32_t i = 0; i < t->word_count; i++) {
        text = compile_printf(k->c, "%.*s%s%.*s", BYTES_ARG(text), i == 0 ? "" : ", ",
                              BYTES_ARG(t->words[i]));
    }
    return (const char *)text.data;
}

static struct node *coerce_text(struct checker *k, struct node *n, const struct type *want)
{
    const struct type *have = n->type;
    for (uint32_t i = 0; want->words != NULL && i < have->word_count; i++) {
        bool listed = false;
        for (uint32_t j = 0; j < want->word_count; j++) {
            listed |= bytes_equal(want->words[j], have->words[i]);
        }
        if (!listed) {
            compile_fail(k->c, n->token, "\"%.*s\" is not one of %s", BYTES_ARG(have->words[i]),
                         words_text(k, want));
        }
    }
    if (want->words != NULL && have->words == NULL) {
        compile_fail(k->c, n->token, "any text may stand here; only %s are allowed",
                     words_text(k, want));
    }
    if (have->size_max > want->size_max) {
        compile_fail(k->c, n->token, "this may be %u bytes long; there is room for %u",
                     have->size_max, want->size_max);
    }
    return n;
}

static struct node *coerce_amount(struct checker *k, struct node *n, const struct type *want)
{
    struct unit have = check_unit(n->type);
    if (!is_number(n->type) || !dim_equal(&have.dim, &want->unit.dim)) {
        compile_fail(k->c, n->token, "an amount in %s is expected here, not %s",
                     check_type_text(k, want), check_type_text(k, n->type));
    }
    return check_convert(k, n, want, true);
}

static bool list_fits(const struct checker *k, const struct node *n, const struct type *want)
{
    const struct type *have = n->type;
    bool literal = n->kind == NODE_LIST;
    bool ordered = want->by < 0 || have->by == want->by || have->list_max == 0 ||
                   (literal && (k->mode == CHECK_TEST || k->schedule_args));
    return have->list_max <= want->list_max && ordered;
}

/* Items of an expression are not converted: scales equal, lengths and words inside. */
static bool items_fit(const struct type *have, const struct type *want)
{
    if (have == NULL) {
        return true;
    }
    if (have->kind != want->kind) {
        return false;
    }
    if (have->kind == TYPE_STRING && want->words != NULL) {
        for (uint32_t i = 0; i < have->word_count; i++) {
            bool listed = false;
            for (uint32_t j = 0; j < want->word_count; j++) {
                listed |= bytes_equal(want->words[j], have->words[i]);
            }
            if (!listed) {
                return false;
            }
        }
        return have->words != NULL;
    }
    if (have->kind == TYPE_STRING || have->kind == TYPE_BYTES) {
        return have->size_max <= want->size_max;
    }
    if (have->kind == TYPE_LIST) {
        return have->list_max <= want->list_max && (want->by < 0 || have->by == want->by) &&
               items_fit(have->item, want->item);
    }
    return type_equal(have, want);
}

static bool coerce_party(struct checker *k, struct node *n)
{
    if (k->mode != CHECK_TEST || n->kind != NODE_LITERAL || n->type->kind != TYPE_STRING) {
        return false;
    }
    if (!value_party_valid(n->constant.as.text)) {
        compile_fail(k->c, n->token, "\"%.*s\" is not a party name",
                     BYTES_ARG(n->constant.as.text));
    }
    n->type = check_new_type(k, TYPE_PARTY);
    return true;
}

void check_party(struct checker *k, const struct node *n)
{
    if (n->type->kind == TYPE_STRING) {
        compile_fail(k->c, n->token,
                     "a text is never a party; parties come from the header, "
                     "signers, arguments and rows");
    }
}

struct node *check_coerce(struct checker *k, struct node *n, const struct type *want)
{
    check_no_ratio(k, n);
    if (want->kind == TYPE_AMOUNT) {
        return coerce_amount(k, n, want);
    }
    if (want->kind == TYPE_PARTY && coerce_party(k, n)) {
        return n;
    }
    if (want->kind == TYPE_PARTY) {
        check_party(k, n);
    }
    if (n->type->kind != want->kind || (want->kind == TYPE_RECORD && !type_equal(n->type, want))) {
        compile_fail(k->c, n->token, "%s is expected here, not %s", check_type_text(k, want),
                     check_type_text(k, n->type));
    }
    if (want->kind == TYPE_STRING || want->kind == TYPE_BYTES) {
        return coerce_text(k, n, want);
    }
    if (want->kind == TYPE_LIST &&
        (!list_fits(k, n, want) || !items_fit(n->type->item, want->item))) {
        compile_fail(k->c, n->token, "%s does not fit into %s", check_type_text(k, n->type),
                     check_type_text(k, want));
    }
    return n;
}

/* ---- arithmetic ---- */

/* An int quotient beside an amount has lost its remainder. */
static void no_int_quotient(struct checker *k, const struct node *n)
{
    if (n->kind == NODE_DIVIDE && n->type->kind == TYPE_INT) {
        compile_fail(k->c, n->token,
                     "this division of whole numbers loses its remainder; "
                     "multiply first and round(…) once");
    }
}

static _Noreturn void cannot(struct checker *k, const struct node *n, const char *what)
{
    const char *hint = "";
    const struct dim *a = &n->a->type->unit.dim;
    const struct dim *b = &n->b->type->unit.dim;
    struct unit energy;
    if (n->a->type->kind == TYPE_AMOUNT && n->b->type->kind == TYPE_AMOUNT &&
        unit_find(k->c->env->registry, bytes_text("Wh"), &energy) &&
        dim_equal(a, &energy.dim) != dim_equal(b, &energy.dim) && a->count == 1 && b->count == 1) {
        hint = "; an amount of energy must first be multiplied by a price";
    }
    compile_fail(k->c, n->token, "cannot %s %s and %s%s", what, check_type_text(k, n->a->type),
                 check_type_text(k, n->b->type), hint);
}

/* Brings two amounts (or an amount and an int) to one scale: factors in the node. */
static struct unit common_unit(struct checker *k, struct node *n, const char *what)
{
    check_no_ratio(k, n->a);
    check_no_ratio(k, n->b);
    struct unit a = check_unit(n->a->type);
    struct unit b = check_unit(n->b->type);
    if (!dim_equal(&a.dim, &b.dim)) {
        cannot(k, n, what);
    }
    no_int_quotient(k, n->a);
    no_int_quotient(k, n->b);
    struct unit u = a;
    if (num_scale_gcd(a.scale, b.scale, &u.scale) != NUM_OK ||
        num_scale_factor(a.scale, u.scale, &n->factor_a) != NUM_OK ||
        num_scale_factor(b.scale, u.scale, &n->factor_b) != NUM_OK) {
        compile_fail(k->c, n->token, "these units are too far apart");
    }
    return u;
}

static struct node *check_sum(struct checker *k, struct node *n)
{
    enum type_kind a = n->a->type->kind;
    enum type_kind b = n->b->type->kind;
    bool add = n->kind == NODE_ADD;
    const char *what = add ? "add" : "subtract";
    if (a == TYPE_INT && b == TYPE_INT) {
        n->type = n->a->type;
    } else if (is_number(n->a->type) && is_number(n->b->type)) {
        struct unit u = common_unit(k, n, what);
        n->type = check_amount_type(k, n->token, &u);
    } else if ((a == TYPE_TIMESTAMP && b == TYPE_DURATION) ||
               (a == TYPE_DURATION && b == TYPE_DURATION)) {
        n->type = n->a->type;
    } else if (add && a == TYPE_DURATION && b == TYPE_TIMESTAMP) {
        n->type = n->b->type;
    } else if (!add && a == TYPE_TIMESTAMP && b == TYPE_TIMESTAMP) {
        n->type = check_new_type(k, TYPE_DURATION);
    } else if (add && a == b && (a == TYPE_STRING || a == TYPE_BYTES)) {
        struct type *t = check_new_type(k, a);
        t->size_max = n->a->type->size_max + n->b->type->size_max;
        n->type = t;
    } else if (add && a == TYPE_LIST && b == TYPE_LIST) {
        const struct type *joined = check_join(k, n->token, n->a->type, n->b->type);
        if (joined == NULL) {
            compile_fail(k->c, n->token, "a list holds one type");
        }
        struct type *t = check_new_type(k, TYPE_LIST);
        t->item = joined->item;
        t->list_max = n->a->type->list_max + n->b->type->list_max;
        n->type = t;
    } else {
        cannot(k, n, what);
    }
    if (n->type->size_max > CONTRACT_BYTES_MAX || n->type->list_max > 100 * RULES_LIST_MAX) {
        compile_fail(k->c, n->token, "this becomes too long");
    }
    return n;
}

static struct node *check_product(struct checker *k, struct node *n)
{
    const struct type *a = n->a->type;
    const struct type *b = n->b->type;
    bool divide = n->kind == NODE_DIVIDE;
    if (!is_number(a) || !is_number(b)) {
        cannot(k, n, divide ? "divide" : "multiply");
    }
    if (a->kind == TYPE_INT && b->kind == TYPE_INT) {
        n->type = a;
        return n;
    }
    no_int_quotient(k, n->a);
    no_int_quotient(k, n->b);
    if (b->kind == TYPE_RATIO && (divide || a->kind == TYPE_RATIO)) {
        check_no_ratio(k, n->b);
    }
    struct unit ua = check_unit(a);
    struct unit ub = check_unit(b);
    struct unit u;
    if (!unit_multiply(&ua, &ub, divide ? -1 : 1, &u)) {
        compile_fail(k->c, n->token, "the unit of this becomes too large; round(…) a part first");
    }
    if (divide || a->kind == TYPE_RATIO || b->kind == TYPE_RATIO) {
        struct type *t = check_new_type(k, TYPE_RATIO);
        t->unit = u;
        n->type = t;
    } else {
        n->type = check_amount_type(k, n->token, &u);
    }
    return n;
}

static struct node *check_sign(struct checker *k, struct node *n)
{
    enum type_kind a = n->a->type->kind;
    if (n->kind == NODE_NOT) {
        if (a != TYPE_BOOL) {
            compile_fail(k->c, n->token, "'!' turns a condition around, not %s",
                         check_type_text(k, n->a->type));
        }
    } else {
        check_no_ratio(k, n->a);
        if (a != TYPE_INT && a != TYPE_AMOUNT && a != TYPE_DURATION) {
            compile_fail(k->c, n->token, "%s has no sign", check_type_text(k, n->a->type));
        }
    }
    n->type = n->a->type;
    return n;
}

/* ---- comparison ---- */

/* Types whose values can be compared for equality: no records anywhere. */
static bool has_equality(const struct type *t)
{
    while (t != NULL && t->kind == TYPE_LIST) {
        t = t->item;
    }
    return t == NULL || (t->kind != TYPE_RECORD && t->kind != TYPE_RATIO);
}

/* In tests a text may stand for a party on one side. */
static void align_parties(struct checker *k, struct node *n)
{
    if (n->a->type->kind == TYPE_PARTY && n->b->type->kind == TYPE_STRING) {
        n->b = check_coerce(k, n->b, n->a->type);
    } else if (n->b->type->kind == TYPE_PARTY && n->a->type->kind == TYPE_STRING) {
        n->a = check_coerce(k, n->a, n->b->type);
    }
}

static struct node *check_comparison(struct checker *k, struct node *n)
{
    bool equality = n->kind == NODE_EQ || n->kind == NODE_NE;
    align_parties(k, n);
    enum type_kind a = n->a->type->kind;
    enum type_kind b = n->b->type->kind;
    if (is_number(n->a->type) && is_number(n->b->type)) {
        if (a != TYPE_INT || b != TYPE_INT) {
            (void)common_unit(k, n, "compare");
        }
    } else if (a != b) {
        cannot(k, n, "compare");
    } else if (!has_equality(n->a->type)) {
        compile_fail(k->c, n->token, "records are not compared; compare their fields");
    } else if (a == TYPE_LIST) {
        if (!equality || check_join(k, n->token, n->a->type, n->b->type) == NULL) {
            compile_fail(k->c, n->token, "lists of one type are compared by == and != only");
        }
    } else if (a == TYPE_PARTY && !equality) {
        compile_fail(k->c, n->token, "parties are compared by == and != only");
    }
    n->type = check_new_type(k, TYPE_BOOL);
    return n;
}

static struct node *check_in(struct checker *k, struct node *n)
{
    const struct table *t = NULL;
    if (n->b->kind == NODE_NAME && check_find_local(k, n->b->name) == NULL) {
        t = program_table(k->p, n->b->name);
    }
    n->type = check_new_type(k, TYPE_BOOL);
    if (t != NULL) {
        if (t->key_count != 1) {
            compile_fail(k->c, n->token, "'in' looks into tables of one key; write has(%.*s[…])",
                         BYTES_ARG(t->name));
        }
        if (k->mode == CHECK_CLOCK_DATED || k->mode == CHECK_CONSTANT) {
            compile_fail(k->c, n->token, "tables cannot be read here");
        }
        struct node *keys[1] = {n->a};
        check_keys(k, keys, 1, t->row->fields, false);
        n->a = keys[0];
        n->b = NULL; /* the name has been resolved; it is no node of its own */
        n->kind = NODE_IN_TABLE;
        n->ref.table = t;
        size_t size = type_is_text(n->a->type) ? (size_t)n->a->type->size_max * 2 + 2 : 16;
        k->key_size_max = size > k->key_size_max ? size : k->key_size_max;
        return n;
    }
    n->a = check_expr(k, n->a, NULL);
    n->b = check_expr(k, n->b, NULL);
    check_no_ratio(k, n->a);
    const struct type *item = n->b->type->kind == TYPE_LIST ? n->b->type->item : NULL;
    bool empty = n->b->type->kind == TYPE_LIST && item == NULL;
    if (item != NULL && item->kind == TYPE_PARTY) {
        n->a = check_coerce(k, n->a, item);
    }
    bool same = empty || (item != NULL && check_join(k, n->token, item, n->a->type) != NULL);
    if (!same || !has_equality(n->a->type)) {
        compile_fail(k->c, n->token, "'in' looks for a value in a list of its own type");
    }
    n->kind = NODE_IN_LIST;
    return n;
}

/* ---- logic ---- */

static struct node *check_logic(struct checker *k, struct node *n)
{
    const struct fact *before = k->facts;
    n->a = check_condition(k, n->a);
    presence_assume(k, n->a, n->kind == NODE_AND);
    n->b = check_condition(k, n->b);
    k->facts = before;
    n->type = n->a->type;
    return n;
}

static struct node *check_choice(struct checker *k, struct node *n, const struct type *want)
{
    const struct fact *before = k->facts;
    n->a = check_condition(k, n->a);
    presence_assume(k, n->a, true);
    n->b = check_expr(k, n->b, want);
    k->facts = before;
    presence_assume(k, n->a, false);
    n->c = check_expr(k, n->c, want);
    k->facts = before;
    check_no_ratio(k, n->b);
    check_no_ratio(k, n->c);
    enum type_kind b = n->b->type->kind;
    enum type_kind c = n->c->type->kind;
    bool amounts =
        is_number(n->b->type) && is_number(n->c->type) && (b == TYPE_AMOUNT || c == TYPE_AMOUNT);
    if (amounts) {
        struct unit ub = check_unit(n->b->type);
        struct unit uc = check_unit(n->c->type);
        struct unit u = ub;
        if (!dim_equal(&ub.dim, &uc.dim) || num_scale_gcd(ub.scale, uc.scale, &u.scale) != NUM_OK) {
            compile_fail(k->c, n->token, "both outcomes must be of one kind, not %s and %s",
                         check_type_text(k, n->b->type), check_type_text(k, n->c->type));
        }
        n->type = check_amount_type(k, n->token, &u);
        if (!num_scale_equal(ub.scale, uc.scale)) {
            n->b = check_convert(k, n->b, n->type, true);
            n->c = check_convert(k, n->c, n->type, true);
            n->b->index = n->b->kind == NODE_CONVERT ? 0 : n->b->index;
            n->c->index = n->c->kind == NODE_CONVERT ? 0 : n->c->index;
        }
        return n;
    }
    n->type = check_join(k, n->token, n->b->type, n->c->type);
    if (n->type == NULL) {
        compile_fail(k->c, n->token, "both outcomes must be of one kind, not %s and %s",
                     check_type_text(k, n->b->type), check_type_text(k, n->c->type));
    }
    return n;
}

struct node *check_operator(struct checker *k, struct node *n)
{
    if (n->kind == NODE_AND || n->kind == NODE_OR) {
        return check_logic(k, n);
    }
    if (n->kind == NODE_COND) {
        return check_choice(k, n, NULL);
    }
    if (n->kind == NODE_IN) {
        return check_in(k, n);
    }
    n->a = check_expr(k, n->a, NULL);
    if (n->kind == NODE_NOT || n->kind == NODE_NEGATE) {
        return check_sign(k, n);
    }
    n->b = check_expr(k, n->b, NULL);
    if (n->kind == NODE_ADD || n->kind == NODE_SUBTRACT) {
        return check_sum(k, n);
    }
    if (n->kind == NODE_MULTIPLY || n->kind == NODE_DIVIDE) {
        return check_product(k, n);
    }
    if (n->kind == NODE_MODULO) {
        if (n->a->type->kind != TYPE_INT || n->b->type->kind != TYPE_INT) {
            compile_fail(k->c, n->token, "'%%' is for whole numbers only");
        }
        n->type = n->a->type;
        return n;
    }
    return check_comparison(k, n);
}
