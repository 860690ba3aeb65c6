/* The evaluator of expressions: one walk over the typed tree, charging as it goes (5, 12.1). */
#include "rules/eval.h"

#include <string.h>

#include "base/require.h"
#include "rules/canon.h"

_Noreturn void machine_fault(struct machine *m, enum rules_fault fault)
{
    require(fault != RULES_FAULT_NONE);
    m->end = RULES_FAULT;
    m->fault = fault;
    longjmp(m->stop, 1);
}

_Noreturn void machine_reject(struct machine *m, const char *clause, uint32_t line,
                              struct bytes why)
{
    m->end = RULES_REJECTED;
    m->clause = bytes_text(clause);
    m->line = line;
    m->why = why;
    longjmp(m->stop, 1);
}

void machine_check(struct machine *m, enum num_end end)
{
    switch (end) {
    case NUM_OK:
        return;
    case NUM_OVERFLOW:
        machine_fault(m, RULES_FAULT_OVERFLOW);
    case NUM_DIVIDE:
        machine_fault(m, RULES_FAULT_DIVIDE);
    case NUM_FORM:
        machine_fault(m, RULES_FAULT_FORM);
    case NUM_RANGE:
        machine_fault(m, RULES_FAULT_RANGE);
    case NUM_NEGATIVE:
        machine_fault(m, RULES_FAULT_NEGATIVE);
    case NUM_WEIGHTS:
        machine_fault(m, RULES_FAULT_WEIGHTS);
    case NUM_CIVIL:
        machine_fault(m, RULES_FAULT_CIVIL);
    case NUM_INEXACT:
        break;
    }
    require(false);
}

void *machine_push(struct machine *m, struct vector *v, size_t size)
{
    require(v->count <= v->capacity);
    if (v->count == v->capacity) {
        size_t capacity = v->capacity == 0 ? 8 : v->capacity * 2;
        void *at = arena_new(m->arena, capacity, size);
        if (v->count > 0) {
            memcpy(at, v->at, v->count * size);
        }
        v->at = at;
        v->capacity = capacity;
    }
    return (char *)v->at + size * v->count++;
}

int64_t eval_text_steps(size_t size)
{
    return 1 + (int64_t)(size / 16);
}

static struct value of_number(int128 number)
{
    return (struct value){.as.number = number, .present = true};
}

static struct value of_truth(bool truth)
{
    return (struct value){.as.truth = truth, .present = true};
}

static struct value of_text(struct bytes text)
{
    return (struct value){.as.text = text, .present = true};
}

/* ---- arithmetic ---- */

static int128 scaled(struct machine *m, int128 v, int128 factor)
{
    if (factor > 1) {
        machine_check(m, num_mul(v, factor, &v));
    }
    return v;
}

static struct value concatenate(struct machine *m, const struct node *n, struct value a,
                                struct value b)
{
    if (n->type->kind == TYPE_LIST) {
        size_t count = a.as.list.count + b.as.list.count;
        machine_charge(m, (int64_t)count);
        struct value *items = arena_new(m->arena, count + 1, sizeof *items);
        if (a.as.list.count > 0) {
            memcpy(items, a.as.list.items, a.as.list.count * sizeof *items);
        }
        if (b.as.list.count > 0) {
            memcpy(items + a.as.list.count, b.as.list.items, b.as.list.count * sizeof *items);
        }
        return (struct value){.as.list = {items, count}, .present = true};
    }
    struct bytes x = a.as.text;
    struct bytes y = b.as.text;
    machine_charge(m, (int64_t)(x.size / 16 + y.size / 16));
    uint8_t *text = arena_new(m->arena, x.size + y.size + 1, 1);
    if (x.size > 0) {
        memcpy(text, x.data, x.size);
    }
    if (y.size > 0) {
        memcpy(text + x.size, y.data, y.size);
    }
    return of_text(bytes_of(text, x.size + y.size));
}

/* Sums with an instant or a duration. */
static struct value eval_time_sum(struct machine *m, const struct node *n, struct value a,
                                  struct value b)
{
    bool add = n->kind == NODE_ADD;
    enum type_kind ka = n->a->type->kind;
    enum type_kind kb = n->b->type->kind;
    struct value v = {.present = true};
    if (ka == TYPE_TIMESTAMP && kb == TYPE_TIMESTAMP) {
        int64_t nanos = 0;
        machine_check(m, civil_time_sub(a.as.time, b.as.time, &nanos));
        return of_number(nanos);
    }
    if (ka == TYPE_DURATION && kb == TYPE_DURATION) {
        int64_t nanos = 0;
        int64_t x = (int64_t)a.as.number;
        int64_t y = (int64_t)b.as.number;
        machine_check(m, add ? num_int_add(x, y, &nanos) : num_int_sub(x, y, &nanos));
        return of_number(nanos);
    }
    struct value instant = ka == TYPE_TIMESTAMP ? a : b;
    struct value delta = ka == TYPE_TIMESTAMP ? b : a;
    int128 nanos = add ? delta.as.number : -delta.as.number;
    machine_check(m, civil_time_add(instant.as.time, nanos, &v.as.time));
    return v;
}

static struct value eval_sum(struct machine *m, const struct node *n)
{
    struct value a = eval(m, n->a);
    struct value b = eval(m, n->b);
    bool add = n->kind == NODE_ADD;
    if (n->type->kind == TYPE_AMOUNT) {
        int128 sum = 0;
        int128 x = scaled(m, a.as.number, n->factor_a);
        int128 y = scaled(m, b.as.number, n->factor_b);
        machine_check(m, add ? num_add(x, y, &sum) : num_sub(x, y, &sum));
        return of_number(sum);
    }
    if (n->type->kind == TYPE_INT) {
        int64_t sum = 0;
        int64_t x = (int64_t)a.as.number;
        int64_t y = (int64_t)b.as.number;
        machine_check(m, add ? num_int_add(x, y, &sum) : num_int_sub(x, y, &sum));
        return of_number(sum);
    }
    if (n->type->kind == TYPE_TIMESTAMP || n->type->kind == TYPE_DURATION) {
        return eval_time_sum(m, n, a, b);
    }
    return concatenate(m, n, a, b);
}

static struct value of_ratio(struct machine *m, struct num_ratio ratio)
{
    struct num_ratio *kept = arena_new(m->arena, 1, sizeof *kept);
    *kept = ratio;
    return (struct value){.as.ratio = kept, .present = true};
}

static struct value eval_int_product(struct machine *m, const struct node *n, int64_t a, int64_t b)
{
    int64_t v = 0;
    if (n->kind == NODE_MULTIPLY) {
        machine_check(m, num_int_mul(a, b, &v));
    } else if (n->kind == NODE_DIVIDE) {
        machine_check(m, num_int_div(a, b, &v));
    } else {
        machine_check(m, num_int_mod(a, b, &v));
    }
    return of_number(v);
}

static struct value eval_product(struct machine *m, const struct node *n)
{
    struct value a = eval(m, n->a);
    struct value b = eval(m, n->b);
    if (n->type->kind == TYPE_INT) {
        return eval_int_product(m, n, (int64_t)a.as.number, (int64_t)b.as.number);
    }
    struct num_ratio r = {0};
    if (n->kind == NODE_DIVIDE) {
        if (n->a->type->kind == TYPE_RATIO) {
            machine_check(m, num_ratio_div(*a.as.ratio, b.as.number, &r));
        } else {
            machine_check(m, num_ratio_make(a.as.number, b.as.number, &r));
        }
        return of_ratio(m, r);
    }
    if (n->type->kind == TYPE_RATIO) {
        bool first = n->a->type->kind == TYPE_RATIO;
        machine_check(m, num_ratio_mul(first ? *a.as.ratio : *b.as.ratio,
                                       first ? b.as.number : a.as.number, &r));
        return of_ratio(m, r);
    }
    int128 v = 0;
    machine_check(m, num_mul(a.as.number, b.as.number, &v));
    return of_number(v);
}

static struct value eval_negate(struct machine *m, const struct node *n)
{
    struct value a = eval(m, n->a);
    if (n->type->kind == TYPE_AMOUNT) {
        int128 v = 0;
        machine_check(m, num_neg(a.as.number, &v));
        return of_number(v);
    }
    int64_t v = 0;
    machine_check(m, num_int_neg((int64_t)a.as.number, &v));
    return of_number(v);
}

static struct value eval_convert(struct machine *m, const struct node *n)
{
    struct value a = eval(m, n->a);
    a.as.number = scaled(m, a.as.number, n->factor_a);
    if (n->index != 0) {
        int64_t narrow = 0; /* into a place: 64 bits */
        machine_check(m, num_narrow(a.as.number, &narrow));
    }
    return a;
}

static struct value eval_round(struct machine *m, const struct node *n)
{
    struct value a = eval(m, n->a);
    machine_charge(m, 1);
    struct num_ratio exact = {0};
    if (n->a->type->kind == TYPE_RATIO) {
        exact = *a.as.ratio;
    } else {
        exact = (struct num_ratio){a.as.number, 1};
    }
    int64_t rounded = 0;
    machine_check(m, num_round(exact, n->factor, n->mode, &rounded));
    struct value v = of_number(rounded);
    const struct rules_registry *r = m->p->env.registry;
    trace_begin(m, "round");
    canon_put_value(&m->trace, r, n->a->type, a);
    buf_put_u8(&m->trace, ',');
    canon_put_value(&m->trace, r, n->type, v);
    buf_printf(&m->trace, ",\"%s\"", num_mode_name(n->mode));
    trace_end(m);
    return v;
}

/* ---- comparison ---- */

static bool is_number(const struct type *t)
{
    return t->kind == TYPE_INT || t->kind == TYPE_AMOUNT;
}

static bool holds(enum node_kind kind, int order)
{
    if (kind == NODE_EQ || kind == NODE_NE) {
        return (order == 0) == (kind == NODE_EQ);
    }
    if (kind == NODE_LT || kind == NODE_LE) {
        return order < 0 || (order == 0 && kind == NODE_LE);
    }
    require(kind == NODE_GT || kind == NODE_GE);
    return order > 0 || (order == 0 && kind == NODE_GE);
}

/* The operands of a comparison that are evaluated already. */
static bool compare(struct machine *m, const struct node *n, struct value a, struct value b)
{
    const struct type *t = n->a->type;
    if (is_number(t)) {
        int128 x = scaled(m, a.as.number, n->factor_a);
        int128 y = scaled(m, b.as.number, n->factor_b);
        return holds(n->kind, (x > y) - (x < y));
    }
    if (type_is_text(t)) {
        struct bytes x = a.as.text;
        struct bytes y = b.as.text;
        machine_charge(m, eval_text_steps(x.size < y.size ? x.size : y.size));
        return holds(n->kind, bytes_compare(x, y));
    }
    if (t->kind == TYPE_LIST) {
        size_t x = a.as.list.count;
        size_t y = b.as.list.count;
        machine_charge(m, 4 * (int64_t)(x < y ? x : y));
        const struct type *list = t->item != NULL ? t : n->b->type;
        bool equal = (x == 0 && y == 0) || (x == y && value_equal(list, a, b));
        return equal == (n->kind == NODE_EQ);
    }
    return holds(n->kind, value_compare(t, a, b));
}

static bool is_comparison(enum node_kind kind)
{
    return kind == NODE_EQ || kind == NODE_NE || kind == NODE_LT || kind == NODE_LE ||
           kind == NODE_GT || kind == NODE_GE;
}

bool eval_conjuncts(struct machine *m, const struct node *n, struct conjunct *ret)
{
    if (n->kind == NODE_AND) {
        machine_charge(m, 1);
        return eval_conjuncts(m, n->a, ret) && eval_conjuncts(m, n->b, ret);
    }
    bool held = false;
    if (is_comparison(n->kind)) {
        machine_charge(m, 1);
        ret->left = eval(m, n->a);
        ret->right = eval(m, n->b);
        held = compare(m, n, ret->left, ret->right);
    } else {
        held = eval(m, n).as.truth;
    }
    if (!held) {
        ret->failed = n;
        return false;
    }
    ret->index++;
    return true;
}

static struct value eval_in_list(struct machine *m, const struct node *n)
{
    struct value x = eval(m, n->a);
    struct value list = eval(m, n->b);
    int64_t each = type_is_text(n->a->type) ? eval_text_steps(x.as.text.size) : 1;
    machine_charge(m, (int64_t)list.as.list.count * each);
    for (size_t i = 0; i < list.as.list.count; i++) {
        if (value_equal(n->a->type, x, list.as.list.items[i])) {
            return of_truth(true);
        }
    }
    return of_truth(false);
}

/* ---- reads ---- */

static void eval_keys(struct machine *m, const struct node *n, struct value *keys)
{
    for (uint32_t i = 0; i < n->count; i++) {
        keys[i] = eval(m, n->items[i]);
    }
}

/* The row that a ROW or SEEK node finds, or NULL. */
static const struct value *find_row(struct machine *m, const struct node *n)
{
    struct value keys[RULES_KEYS_MAX];
    eval_keys(m, n, keys);
    machine_charge(m, 50);
    struct row_entry *e = n->kind == NODE_ROW ? overlay_row(m, n->ref.table, keys)
                                              : overlay_seek(m, n->ref.table, keys);
    return e == NULL ? NULL : e->now;
}

static struct value eval_row(struct machine *m, const struct node *n)
{
    const struct value *row = find_row(m, n);
    if (row == NULL) {
        machine_fault(m, RULES_FAULT_ROW);
    }
    return (struct value){.as.fields = row, .present = true};
}

static struct value eval_scan(struct machine *m, const struct node *n)
{
    struct value keys[RULES_KEYS_MAX];
    eval_keys(m, n, keys);
    struct value rows = overlay_scan(m, n->ref.table, keys, n->count);
    machine_charge(m, 50 * (int64_t)rows.as.list.count);
    return rows;
}

static struct value eval_in_table(struct machine *m, const struct node *n)
{
    struct value key[1] = {eval(m, n->a)};
    machine_charge(m, 50);
    return of_truth(overlay_row(m, n->ref.table, key)->now != NULL);
}

static struct value eval_tally(struct machine *m, const struct node *n)
{
    struct value keys[RULES_KEYS_MAX];
    eval_keys(m, n, keys);
    machine_charge(m, 4);
    return of_number(overlay_tally(m, n->ref.tally, keys)->sum);
}

static struct value eval_balance(struct machine *m, const struct node *n)
{
    struct value keys[RULES_KEYS_MAX];
    eval_keys(m, n, keys);
    machine_charge(m, 50);
    return of_number(overlay_account(m, n->ref.family, keys)->now);
}

static struct value eval_term(struct machine *m, const struct node *n)
{
    int32_t day = m->legal;
    if (n->a != NULL) {
        day = (int32_t)eval(m, n->a).as.number;
        machine_charge(m, 4);
    }
    const struct term *t = n->ref.term;
    const struct value *found = NULL;
    for (size_t i = 0; i < t->count && t->values[i].from <= day; i++) {
        found = &t->values[i].value;
    }
    if (found == NULL) {
        machine_fault(m, RULES_FAULT_TERM);
    }
    return *found;
}

static struct value eval_item(struct machine *m, const struct node *n)
{
    struct value list = eval(m, n->a);
    int128 index = eval(m, n->b).as.number;
    if (index < 0 || index >= (int128)list.as.list.count) {
        machine_fault(m, RULES_FAULT_ITEM);
    }
    return list.as.list.items[(size_t)index];
}

static struct value eval_field(struct machine *m, const struct node *n)
{
    struct value v = eval(m, n->a).as.fields[n->index];
    if (!v.present) {
        require(m->in_test); /* elsewhere the checker has seen to it */
        machine_fault(m, RULES_FAULT_ROW);
    }
    return v;
}

/* ---- makers ---- */

static struct value eval_list(struct machine *m, const struct node *n)
{
    struct value *items = arena_new(m->arena, (size_t)n->count + 1, sizeof *items);
    for (uint32_t i = 0; i < n->count; i++) {
        items[i] = eval(m, n->items[i]);
    }
    return (struct value){.as.list = {items, n->count}, .present = true};
}

static struct value eval_record(struct machine *m, const struct node *n)
{
    struct value *fields = arena_new(m->arena, (size_t)n->type->field_count + 1, sizeof *fields);
    for (uint32_t i = 0; i < n->count; i++) {
        fields[n->order[i]] = eval(m, n->items[i]);
    }
    return (struct value){.as.fields = fields, .present = true};
}

/* ---- leaves and logic ---- */

static struct value eval_literal(struct machine *m, const struct node *n)
{
    return n->constant;
}

static struct value eval_slot(struct machine *m, const struct node *n)
{
    return m->frame[n->slot];
}

static struct value eval_now(struct machine *m, const struct node *n)
{
    return (struct value){.as.time = m->now, .present = true};
}

static struct value eval_has_row(struct machine *m, const struct node *n)
{
    return of_truth(find_row(m, n->a) != NULL);
}

static struct value eval_has_field(struct machine *m, const struct node *n)
{
    return of_truth(eval(m, n->a).as.fields[n->index].present);
}

static struct value eval_has_slot(struct machine *m, const struct node *n)
{
    return of_truth(m->frame[n->slot].present);
}

static struct value eval_not(struct machine *m, const struct node *n)
{
    return of_truth(!eval(m, n->a).as.truth);
}

static struct value eval_comparison(struct machine *m, const struct node *n)
{
    struct value a = eval(m, n->a);
    struct value b = eval(m, n->b);
    return of_truth(compare(m, n, a, b));
}

static struct value eval_and(struct machine *m, const struct node *n)
{
    return of_truth(eval(m, n->a).as.truth && eval(m, n->b).as.truth);
}

static struct value eval_or(struct machine *m, const struct node *n)
{
    return of_truth(eval(m, n->a).as.truth || eval(m, n->b).as.truth);
}

static struct value eval_choice(struct machine *m, const struct node *n)
{
    return eval(m, eval(m, n->a).as.truth ? n->b : n->c);
}

/* ---- the walk ---- */

/* The kinds that only the parser makes have no entry. */
static struct value (*const walkers[])(struct machine *m, const struct node *n) = {
    [NODE_LITERAL] = eval_literal,
    [NODE_SLOT] = eval_slot,
    [NODE_NOW] = eval_now,
    [NODE_TERM] = eval_term,
    [NODE_FIELD] = eval_field,
    [NODE_ITEM] = eval_item,
    [NODE_ROW] = eval_row,
    [NODE_SEEK] = eval_row,
    [NODE_SCAN] = eval_scan,
    [NODE_TALLY] = eval_tally,
    [NODE_BALANCE] = eval_balance,
    [NODE_HAS_ROW] = eval_has_row,
    [NODE_HAS_FIELD] = eval_has_field,
    [NODE_HAS_SLOT] = eval_has_slot,
    [NODE_IN_TABLE] = eval_in_table,
    [NODE_IN_LIST] = eval_in_list,
    [NODE_NOT] = eval_not,
    [NODE_NEGATE] = eval_negate,
    [NODE_ADD] = eval_sum,
    [NODE_SUBTRACT] = eval_sum,
    [NODE_MULTIPLY] = eval_product,
    [NODE_DIVIDE] = eval_product,
    [NODE_MODULO] = eval_product,
    [NODE_EQ] = eval_comparison,
    [NODE_NE] = eval_comparison,
    [NODE_LT] = eval_comparison,
    [NODE_LE] = eval_comparison,
    [NODE_GT] = eval_comparison,
    [NODE_GE] = eval_comparison,
    [NODE_AND] = eval_and,
    [NODE_OR] = eval_or,
    [NODE_COND] = eval_choice,
    [NODE_LIST] = eval_list,
    [NODE_RECORD] = eval_record,
    [NODE_ROUND] = eval_round,
    [NODE_CALL] = eval_call,
    [NODE_MACRO] = eval_macro,
    [NODE_CONVERT] = eval_convert,
};

struct value eval(struct machine *m, const struct node *n)
{
    require(walkers[n->kind] != NULL);
    machine_charge(m, 1);
    return walkers[n->kind](m, n);
}
