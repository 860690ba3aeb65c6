/* The walk that bounds an event before it ever runs: steps, effects, bytes, arena (section 12). */
#include "rules/cost.h"

#include <string.h>

#include "base/require.h"
#include "rules/builtin.h"
#include "rules/compile.h"

/* ---- saturating arithmetic ---- */

static int64_t plus(int64_t a, int64_t b)
{
    int64_t r = 0;
    return __builtin_add_overflow(a, b, &r) ? INT64_MAX : r;
}

static int64_t times(int64_t a, int64_t b)
{
    int64_t r = 0;
    return __builtin_mul_overflow(a, b, &r) ? INT64_MAX : r;
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static void add(struct rules_bound *to, struct rules_bound b)
{
    to->steps = plus(to->steps, b.steps);
    to->effects = plus(to->effects, b.effects);
    to->bytes = plus(to->bytes, b.bytes);
    to->arena = plus(to->arena, b.arena);
}

static struct rules_bound scaled(struct rules_bound b, int64_t n)
{
    return (struct rules_bound){times(b.steps, n), times(b.effects, n), times(b.bytes, n),
                                times(b.arena, n)};
}

/* The larger branch, component by component. */
static struct rules_bound either(struct rules_bound a, struct rules_bound b)
{
    return (struct rules_bound){larger(a.steps, b.steps), larger(a.effects, b.effects),
                                larger(a.bytes, b.bytes), larger(a.arena, b.arena)};
}

/* ---- types ---- */

static int64_t fields_json(const struct rules_registry *r, const struct field *fields,
                           uint32_t count)
{
    int64_t size = 2;
    for (uint32_t i = 0; i < count; i++) {
        size = plus(size, plus((int64_t)fields[i].name.size + 4, cost_json(r, fields[i].type)));
    }
    return size;
}

static int64_t suffix_size(const struct rules_registry *r, const struct type *t)
{
    if (t->measure != NULL) {
        return 1 + (int64_t)t->measure->name.size;
    }
    struct buf text;
    buf_init(&text, 4096);
    unit_print_suffix(r, &t->unit, &text);
    int64_t size = (int64_t)text.size;
    buf_done(&text);
    return size;
}

/* Recursion follows the type, whose nesting the parser limits. */
int64_t cost_json(const struct rules_registry *r, const struct type *t)
{
    switch (t->kind) {
    case TYPE_BOOL:
        return 5;
    case TYPE_INT:
        return 20;
    case TYPE_DATE:
        return 12;
    case TYPE_TIMESTAMP:
        return 32;
    case TYPE_DURATION:
        return 24;
    case TYPE_PARTY:
        return 66;
    case TYPE_STRING:
        return 2 + 6 * (int64_t)t->size_max;
    case TYPE_BYTES:
        return 2 + 2 * (int64_t)t->size_max;
    case TYPE_AMOUNT:
        return 64 + suffix_size(r, t);
    case TYPE_RATIO:
        return 96 + suffix_size(r, t);
    case TYPE_RECORD:
        return fields_json(r, t->fields, t->field_count);
    case TYPE_LIST:
        if (t->item == NULL) {
            return 2;
        }
        return plus(2, times((int64_t)t->list_max, plus(cost_json(r, t->item), 1)));
    }
    return 0;
}

int64_t cost_size(const struct type *t)
{
    int64_t size = 16;
    switch (t->kind) {
    case TYPE_STRING:
    case TYPE_BYTES:
        return 16 + (int64_t)t->size_max;
    case TYPE_PARTY:
        return 80;
    case TYPE_RECORD:
        for (uint32_t i = 0; i < t->field_count; i++) {
            size = plus(size, cost_size(t->fields[i].type));
        }
        return size;
    case TYPE_LIST:
        return t->item == NULL ? 16 : plus(16, times((int64_t)t->list_max, cost_size(t->item)));
    case TYPE_BOOL:
    case TYPE_INT:
    case TYPE_DATE:
    case TYPE_DURATION:
    case TYPE_TIMESTAMP:
    case TYPE_AMOUNT:
    case TYPE_RATIO:
        return 16;
    }
    return 16;
}

/* ---- expressions ---- */

struct walk {
    const struct rules_registry *registry;
};

static struct rules_bound cost_expr(const struct walk *w, const struct node *n);

static struct rules_bound cost_items(const struct walk *w, struct node *const *items,
                                     uint32_t count)
{
    struct rules_bound b = {0};
    for (uint32_t i = 0; i < count; i++) {
        add(&b, cost_expr(w, items[i]));
    }
    return b;
}

static int64_t text_steps(const struct type *t)
{
    return 1 + (int64_t)(t->size_max / 16);
}

static int64_t compare_steps(const struct type *a, const struct type *b)
{
    if (type_is_text(a)) {
        return text_steps(a->size_max < b->size_max ? a : b);
    }
    if (a->kind == TYPE_LIST) {
        return 4 * (int64_t)(a->list_max < b->list_max ? a->list_max : b->list_max);
    }
    return 0;
}

/* The steps of a call besides its node and arguments. */
static int64_t call_steps(const struct node *n)
{
    if (n->ref.builtin->params[0] == '*') {
        return (int64_t)n->count;
    }
    int64_t steps = 0;
    for (uint32_t i = 0; i < n->count; i++) {
        enum type_kind kind = n->items[i]->type->kind;
        if (kind == TYPE_STRING || kind == TYPE_BYTES) {
            steps += text_steps(n->items[i]->type);
        }
    }
    if (strcmp(builtin_name(n->ref.builtin), "contains") == 0) {
        steps =
            plus(steps, times(text_steps(n->items[0]->type), (int64_t)n->items[1]->type->size_max));
    }
    return steps;
}

static bool makes_text(const struct node *n)
{
    const char *name = builtin_name(n->ref.builtin);
    return strcmp(name, "string") == 0 || strcmp(name, "bytes") == 0;
}

static struct rules_bound cost_macro(const struct walk *w, const struct node *n)
{
    struct rules_bound each = {.steps = 1};
    if (n->b != NULL) {
        add(&each, cost_expr(w, n->b));
    }
    if (n->c != NULL) {
        add(&each, cost_expr(w, n->c));
    }
    struct rules_bound b = scaled(each, (int64_t)n->a->type->list_max);
    if (n->ref.macro == MACRO_MAP || n->ref.macro == MACRO_FILTER) {
        b.arena = plus(b.arena, cost_size(n->type));
    }
    return b;
}

static struct rules_bound cost_read(const struct node *n)
{
    struct rules_bound b = {.steps = 50};
    if (n->kind == NODE_SCAN) {
        b.steps = 50 * (int64_t)n->ref.table->max;
    }
    b.arena = n->kind == NODE_BALANCE ? 0 : cost_size(n->type);
    return b;
}

static struct rules_bound cost_concatenation(const struct node *n)
{
    struct rules_bound b = {0};
    if (n->type->kind == TYPE_LIST) {
        b.steps = (int64_t)n->type->list_max;
        b.arena = cost_size(n->type);
    } else if (type_is_text(n->type)) {
        b.steps = (int64_t)(n->a->type->size_max / 16 + n->b->type->size_max / 16);
        b.arena = cost_size(n->type);
    }
    return b;
}

static bool is_comparison(enum node_kind kind)
{
    return kind == NODE_EQ || kind == NODE_NE || kind == NODE_LT || kind == NODE_LE ||
           kind == NODE_GT || kind == NODE_GE;
}

/* What a node costs besides its step and its operands; most cost nothing more. */
static struct rules_bound cost_own(const struct walk *w, const struct node *n)
{
    struct rules_bound b = {0};
    enum node_kind kind = n->kind;
    if (kind == NODE_TERM) {
        b.steps = n->a != NULL ? 4 : 0;
    } else if (kind == NODE_ROW || kind == NODE_SEEK || kind == NODE_SCAN || kind == NODE_BALANCE) {
        b = cost_read(n);
    } else if (kind == NODE_TALLY) {
        b.steps = 4;
    } else if (kind == NODE_IN_TABLE) {
        b = (struct rules_bound){.steps = 50, .arena = cost_size(n->ref.table->row)};
    } else if (kind == NODE_IN_LIST) {
        b.steps = times((int64_t)n->b->type->list_max,
                        type_is_text(n->a->type) ? text_steps(n->a->type) : 1);
    } else if (kind == NODE_ADD) {
        b = cost_concatenation(n);
    } else if (is_comparison(kind)) {
        b.steps = compare_steps(n->a->type, n->b->type);
    } else if (kind == NODE_LIST || kind == NODE_RECORD) {
        b.arena = cost_size(n->type);
    } else if (kind == NODE_ROUND) {
        b.steps = 1;
        b.bytes = 40 + 14 + cost_json(w->registry, n->a->type) + cost_json(w->registry, n->type);
    } else if (kind == NODE_CALL) {
        b.steps = call_steps(n);
        b.arena = makes_text(n) ? cost_size(n->type) : 0;
    }
    return b;
}

static struct rules_bound cost_expr(const struct walk *w, const struct node *n)
{
    struct rules_bound b = {.steps = 1};
    if (n->kind == NODE_HAS_ROW) {
        return cost_expr(w, n->a); /* the two are one node */
    }
    if (n->kind == NODE_COND) {
        add(&b, cost_expr(w, n->a));
        add(&b, either(cost_expr(w, n->b), cost_expr(w, n->c)));
        return b;
    }
    if (n->a != NULL) {
        add(&b, cost_expr(w, n->a));
    }
    if (n->kind == NODE_MACRO) {
        add(&b, cost_macro(w, n));
        return b;
    }
    if (n->b != NULL) {
        add(&b, cost_expr(w, n->b));
    }
    add(&b, cost_items(w, n->items, n->count));
    add(&b, cost_own(w, n));
    return b;
}

/* ---- statements ---- */

static struct rules_bound cost_block(const struct walk *w, const struct block *block);

static struct rules_bound cost_place(const struct walk *w, const struct place *p)
{
    struct rules_bound b = cost_items(w, p->keys, p->key_count);
    b.steps = plus(b.steps, 1);
    return b;
}

static int64_t keys_json(const struct walk *w, const struct field *keys, uint32_t count)
{
    int64_t size = 0;
    for (uint32_t i = 0; i < count; i++) {
        size = plus(size, cost_json(w->registry, keys[i].type) + 1);
    }
    return size;
}

/* The entry of a require: the greatest pair of sides among its compared conjuncts. */
static int64_t sides_json(const struct walk *w, const struct node *n)
{
    int64_t most = 0;
    while (n->kind == NODE_AND) {
        most = larger(most, sides_json(w, n->b));
        n = n->a;
    }
    if (is_comparison(n->kind) && n->a->type->kind != TYPE_LIST) {
        int64_t pair = cost_json(w->registry, n->a->type) + cost_json(w->registry, n->b->type) + 2;
        most = larger(most, pair);
    }
    return most;
}

static struct rules_bound cost_posting(const struct walk *w, const struct stmt *s)
{
    const struct place *places[2] = {s->kind == STMT_ISSUE ? NULL : &s->from,
                                     s->kind == STMT_RETIRE ? NULL : &s->to};
    struct rules_bound b = {.steps = 200, .effects = 1, .bytes = 40, .arena = 64};
    add(&b, cost_expr(w, s->value));
    for (size_t i = 0; i < 2; i++) {
        if (places[i] != NULL) {
            const struct family *f = places[i]->ref.family;
            add(&b, cost_place(w, places[i]));
            b.bytes += (int64_t)f->name.size + 6 + keys_json(w, f->keys, f->key_count);
        }
    }
    b.bytes += cost_json(w->registry, s->value->type);
    return b;
}

static struct rules_bound cost_row_write(const struct walk *w, const struct stmt *s)
{
    const struct table *t = s->to.ref.table;
    const struct type *row = t->row;
    struct rules_bound b = {.steps = 100, .effects = 1, .bytes = 40, .arena = cost_size(row)};
    b.bytes = plus(b.bytes, (int64_t)t->name.size + 4 + keys_json(w, row->fields, t->key_count));
    b.bytes = plus(b.bytes, fields_json(w->registry, row->fields + t->key_count,
                                        row->field_count - t->key_count));
    add(&b, cost_place(w, &s->to));
    if (s->kind != STMT_REMOVE) {
        add(&b, cost_expr(w, s->value));
    }
    return b;
}

static struct rules_bound cost_schedule(const struct walk *w, const struct stmt *s)
{
    const struct event *h = s->event;
    struct rules_bound b = {.steps = 100, .effects = 1, .bytes = 40, .arena = 128};
    add(&b, cost_items(w, s->args, s->arg_count));
    add(&b, cost_expr(w, s->when));
    if (h->dated != NULL) {
        add(&b, cost_expr(w, h->dated));
    }
    b.bytes = plus(b.bytes, (int64_t)h->name.size + 60);
    for (uint32_t i = 0; i < h->arg_count; i++) {
        b.bytes = plus(b.bytes, plus((int64_t)h->args[i].name.size + 4,
                                     cost_json(w->registry, h->args[i].type)));
    }
    return b;
}

static int64_t log2_ceiling(int64_t n)
{
    int64_t log = 0;
    for (int64_t power = 1; power < n; power *= 2) {
        log++;
    }
    return log;
}

static struct rules_bound cost_apportion(const struct walk *w, const struct stmt *s)
{
    int64_t n = (int64_t)s->list->type->list_max;
    int64_t total = cost_json(w->registry, s->value->type);
    int64_t weight = cost_json(w->registry, s->weight->type);
    struct rules_bound b = {.steps = 20 + n * (8 + log2_ceiling(n))};
    b.bytes = 40 + 6 + total + n * (2 + total + weight);
    b.arena = 32 * n;
    add(&b, cost_expr(w, s->value));
    add(&b, cost_expr(w, s->list));
    add(&b, scaled(cost_expr(w, s->weight), n));
    add(&b, scaled(cost_block(w, s->body), n));
    return b;
}

static struct rules_bound cost_clear(const struct walk *w, const struct stmt *s)
{
    struct rules_bound b = {.steps = 40, .bytes = 40 + 8};
    b.bytes += cost_json(w->registry, s->sides[0].price->type);
    for (size_t i = 0; i < 2; i++) {
        const struct side *side = &s->sides[i];
        int64_t n = (int64_t)side->list->type->list_max;
        struct rules_bound order = cost_expr(w, side->quantity);
        add(&order, cost_expr(w, side->price));
        add(&b, cost_expr(w, side->list));
        add(&b, scaled(order, n));
        add(&b, scaled(cost_block(w, i == 0 ? s->body : s->other), n));
        b.steps = plus(b.steps, n * (8 + log2_ceiling(n)));
        b.bytes = plus(b.bytes, 2 + n * (1 + cost_json(w->registry, side->quantity->type)));
        b.arena = plus(b.arena, 64 * n);
    }
    return b;
}

static struct rules_bound cost_if(const struct walk *w, const struct stmt *s)
{
    struct rules_bound b = cost_expr(w, s->value);
    struct rules_bound other = {0};
    if (s->other != NULL) {
        other = cost_block(w, s->other);
    }
    add(&b, either(cost_block(w, s->body), other));
    b.bytes = plus(b.bytes, 40 + 6);
    return b;
}

static struct rules_bound cost_for(const struct walk *w, const struct stmt *s)
{
    struct rules_bound each = cost_block(w, s->body);
    each.steps = plus(each.steps, 1);
    struct rules_bound b = cost_expr(w, s->value);
    add(&b, scaled(each, (int64_t)s->value->type->list_max));
    b.bytes = plus(b.bytes, 40 + 8);
    return b;
}

static struct rules_bound cost_add(const struct walk *w, const struct stmt *s)
{
    if (s->to.kind != PLACE_TALLY) {
        return cost_row_write(w, s);
    }
    struct rules_bound b = {.steps = 5, .arena = 64};
    add(&b, cost_expr(w, s->value));
    add(&b, cost_place(w, &s->to));
    return b;
}

static struct rules_bound cost_told(const struct walk *w, const struct stmt *s)
{
    struct rules_bound b = cost_expr(w, s->value);
    if (s->kind == STMT_LET) {
        b.bytes = plus(b.bytes, 40 + (int64_t)s->name.size + 3);
        b.bytes = plus(b.bytes, cost_json(w->registry, s->value->type));
    } else if (s->kind == STMT_REQUIRE) {
        b.bytes = plus(b.bytes, 40 + 24 + sides_json(w, s->value));
    } else {
        require(s->kind == STMT_EMIT);
        b.steps = plus(b.steps, 100);
        b.effects = plus(b.effects, 1);
        b.bytes = plus(b.bytes, 40 + (int64_t)s->name.size);
        b.bytes = plus(b.bytes, cost_json(w->registry, s->value->type));
    }
    return b;
}

static struct rules_bound cost_statement(const struct walk *w, const struct stmt *s)
{
    switch (s->kind) {
    case STMT_CLAUSE:
    case STMT_TALLY:
        return (struct rules_bound){0};
    case STMT_LET:
    case STMT_REQUIRE:
    case STMT_EMIT:
        return cost_told(w, s);
    case STMT_IF:
        return cost_if(w, s);
    case STMT_FOR:
        return cost_for(w, s);
    case STMT_APPORTION:
        return cost_apportion(w, s);
    case STMT_CLEAR:
        return cost_clear(w, s);
    case STMT_TRANSFER:
    case STMT_ISSUE:
    case STMT_RETIRE:
        return cost_posting(w, s);
    case STMT_SET:
    case STMT_REMOVE:
        return cost_row_write(w, s);
    case STMT_ADD:
        return cost_add(w, s);
    case STMT_SCHEDULE:
        return cost_schedule(w, s);
    }
    return (struct rules_bound){0};
}

static struct rules_bound cost_block(const struct walk *w, const struct block *block)
{
    struct rules_bound b = {0};
    for (size_t i = 0; i < block->count; i++) {
        add(&b, cost_statement(w, block->at[i]));
        b.steps = plus(b.steps, 1);
    }
    return b;
}

struct rules_bound cost_event(const struct compile *c, const struct event *e)
{
    require(e->body != NULL);
    struct walk w = {c->env->registry};
    struct rules_bound b = {.bytes = 4};
    if (e->dated != NULL) {
        add(&b, cost_expr(&w, e->dated));
    }
    add(&b, cost_block(&w, e->body));
    return b;
}
