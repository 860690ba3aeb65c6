/* Expressions: names, fields, rows, items, terms, lists, records, round (sections 5.2 to 5.4). */
#include "rules/check.h"

#include <string.h>

#include "base/limits.h"
#include "base/require.h"
#include "rules/builtin.h"

struct type *check_new_type(struct checker *k, enum type_kind kind)
{
    struct type *t = compile_new(k->c, 1, sizeof *t);
    t->kind = kind;
    t->by = -1;
    t->size_max = kind == TYPE_PARTY ? RULES_PARTY_MAX : 0;
    return t;
}

const struct type *check_amount_type(struct checker *k, uint32_t token, const struct unit *unit)
{
    struct type *t = check_new_type(k, TYPE_AMOUNT);
    (void)token;
    t->unit = *unit;
    t->measure = program_measure(k->p, unit);
    return t;
}

struct unit check_unit(const struct type *t)
{
    return t->kind == TYPE_INT ? unit_one() : t->unit;
}

const char *check_type_text(struct checker *k, const struct type *t)
{
    struct buf out;
    buf_init(&out, 1024);
    if (t->kind == TYPE_AMOUNT || t->kind == TYPE_RATIO) {
        if (t->measure != NULL) {
            buf_put_bytes(&out, t->measure->name);
        } else if (t->unit.dim.count == 0) {
            buf_put_text(&out, "a plain number");
        } else {
            dim_print(k->c->env->registry, &t->unit.dim, &out);
        }
    } else if (t->kind == TYPE_STRING && t->word_count == 1) {
        buf_put_text(&out, "a text");
    } else {
        type_print(t, k->c->env->registry, &out);
    }
    struct bytes text = compile_printf(k->c, "%.*s", (int)out.size, (const char *)out.data);
    buf_done(&out);
    return (const char *)text.data;
}

/* ---- names ---- */

struct local *check_find_local(struct checker *k, struct bytes name)
{
    for (struct local *l = k->locals; l != NULL; l = l->outer) {
        if (bytes_equal(l->name, name)) {
            return l;
        }
    }
    return NULL;
}

static const struct party *find_party(const struct rules_program *p, struct bytes name)
{
    for (size_t i = 0; i < p->party_count; i++) {
        if (bytes_equal(p->parties[i]->name, name)) {
            return p->parties[i];
        }
    }
    return NULL;
}

static const struct term *find_term(const struct rules_program *p, struct bytes name)
{
    for (size_t i = 0; i < p->term_count; i++) {
        if (bytes_equal(p->terms[i]->name, name)) {
            return p->terms[i];
        }
    }
    return NULL;
}

void check_name_free(struct checker *k, struct bytes name, uint32_t token)
{
    bool header = bytes_equal(name, bytes_text("now")) || bytes_equal(name, bytes_text("clock")) ||
                  find_party(k->p, name) != NULL || find_term(k->p, name) != NULL ||
                  program_table(k->p, name) != NULL || program_family(k->p, name) != NULL;
    if (header || check_find_local(k, name) != NULL) {
        compile_fail(k->c, token, "'%.*s' has a meaning here already; choose another name",
                     BYTES_ARG(name));
    }
}

uint32_t check_new_slot(struct checker *k, uint32_t token, uint64_t mentions, int32_t path_of)
{
    if (k->slot_count == RULES_SLOTS_MAX) {
        compile_fail(k->c, token, "at most %d names in one event", RULES_SLOTS_MAX);
    }
    k->slots[k->slot_count] = (struct slot_facts){mentions, path_of};
    return k->slot_count++;
}

struct local *check_bind(struct checker *k, struct bytes name, uint32_t token,
                         const struct type *type)
{
    check_name_free(k, name, token);
    struct local *l = compile_new(k->c, 1, sizeof *l);
    l->name = name;
    l->outer = k->locals;
    l->type = type;
    l->slot = check_new_slot(k, token, 0, -1);
    k->locals = l;
    return l;
}

static struct node *party_literal(struct checker *k, struct node *n, struct bytes text)
{
    n->kind = NODE_LITERAL;
    n->type = check_new_type(k, TYPE_PARTY);
    n->constant = (struct value){.as.text = text, .present = true};
    return n;
}

static struct node *check_term(struct checker *k, struct node *n, const struct term *term)
{
    if (k->mode != CHECK_BODY && !(k->mode == CHECK_TEST && n->a != NULL)) {
        compile_fail(k->c, n->token, "a term has no value here: it depends on the legal date%s",
                     k->mode == CHECK_TEST ? "; name a day: term[date(\"…\")]" : "");
    }
    n->kind = NODE_TERM;
    n->ref.term = term;
    n->type = term->type;
    return n;
}

static void need_present(struct checker *k, const struct node *n, struct bytes name)
{
    if (k->mode != CHECK_TEST && !presence_known(k, n)) {
        compile_fail(k->c, n->token, "'%.*s' may be absent here; test has(…) first",
                     BYTES_ARG(name));
    }
}

static struct node *check_name(struct checker *k, struct node *n)
{
    struct bytes name = n->name;
    struct local *l = check_find_local(k, name);
    if (l != NULL && l->kind == LOCAL_TALLY) {
        compile_fail(k->c, n->token, "'%.*s' is a tally; write its keys: %.*s[…]", BYTES_ARG(name),
                     BYTES_ARG(name));
    }
    if (l != NULL) {
        n->kind = NODE_SLOT;
        n->slot = l->slot;
        n->type = l->type;
        if (l->optional) {
            need_present(k, n, name);
        }
        return n;
    }
    if (bytes_equal(name, bytes_text("now")) && k->mode != CHECK_CONSTANT) {
        n->kind = NODE_NOW;
        n->type = check_new_type(k, TYPE_TIMESTAMP);
        return n;
    }
    if (bytes_equal(name, bytes_text("clock"))) {
        return party_literal(k, n, bytes_text("ledger.clock"));
    }
    const struct party *party = find_party(k->p, name);
    if (party != NULL) {
        return party_literal(k, n, party->text);
    }
    const struct term *term = find_term(k->p, name);
    if (term != NULL) {
        return check_term(k, n, term);
    }
    if (program_table(k->p, name) != NULL) {
        compile_fail(k->c, n->token, "'%.*s' is a table; write the keys of a row: %.*s[…]",
                     BYTES_ARG(name), BYTES_ARG(name));
    }
    if (program_family(k->p, name) != NULL) {
        compile_fail(k->c, n->token, "'%.*s' is an account; what stands on it is balance(%.*s%s)",
                     BYTES_ARG(name), BYTES_ARG(name),
                     program_family(k->p, name)->key_count > 0 ? "[…]" : "");
    }
    compile_fail(k->c, n->token, "there is no '%.*s' here", BYTES_ARG(name));
}

static struct node *check_dot(struct checker *k, struct node *n)
{
    n->a = check_expr(k, n->a, NULL);
    const struct type *t = n->a->type;
    if (t->kind != TYPE_RECORD) {
        compile_fail(k->c, n->token, "%s has no fields", check_type_text(k, t));
    }
    for (uint32_t i = 0; i < t->field_count; i++) {
        if (bytes_equal(t->fields[i].name, n->name)) {
            n->kind = NODE_FIELD;
            n->index = i;
            n->type = t->fields[i].type;
            if (t->fields[i].optional) {
                need_present(k, n, n->name);
            }
            return n;
        }
    }
    compile_fail(k->c, n->token, "%.*s has no field '%.*s'", BYTES_ARG(t->name),
                 BYTES_ARG(n->name));
}

/* ---- look-ups ---- */

void check_keys(struct checker *k, struct node **keys, uint32_t count, const struct field *fields,
                bool strict)
{
    for (uint32_t i = 0; i < count; i++) {
        if (strict) {
            keys[i] = check_into(k, keys[i], fields[i].type);
            continue;
        }
        /* a read may ask for a longer text than any row has: it finds none */
        keys[i] = check_expr(k, keys[i], fields[i].type);
        if (k->mode == CHECK_TEST && fields[i].type->kind == TYPE_PARTY) {
            keys[i] = check_coerce(k, keys[i], fields[i].type);
        }
        if (fields[i].type->kind == TYPE_PARTY) {
            check_party(k, keys[i]);
        }
        if (keys[i]->type->kind != fields[i].type->kind) {
            compile_fail(k->c, keys[i]->token, "the key '%.*s' is %s, not %s",
                         BYTES_ARG(fields[i].name), check_type_text(k, fields[i].type),
                         check_type_text(k, keys[i]->type));
        }
    }
}

static void count_key_size(struct checker *k, const struct node *n, uint32_t first_token)
{
    size_t size = 0;
    for (uint32_t i = 0; i < n->count; i++) {
        size += type_is_text(n->items[i]->type) ? (size_t)n->items[i]->type->size_max * 2 + 2 : 16;
    }
    (void)first_token;
    k->key_size_max = size > k->key_size_max ? size : k->key_size_max;
}

static struct node *check_table(struct checker *k, struct node *n, const struct table *t)
{
    if (k->mode == CHECK_CLOCK_DATED || k->mode == CHECK_CONSTANT) {
        compile_fail(k->c, n->token, "tables cannot be read here");
    }
    if (n->count > t->key_count) {
        compile_fail(k->c, n->token, "%.*s has %u keys, not %u", BYTES_ARG(t->name), t->key_count,
                     n->count);
    }
    check_keys(k, n->items, n->count, t->row->fields, false);
    count_key_size(k, n, n->token);
    n->a = NULL; /* the name has been resolved; it is no node of its own */
    n->ref.table = t;
    n->type = t->row;
    if (n->at_most) {
        enum type_kind last = t->row->fields[t->key_count - 1].type->kind;
        if (n->count != t->key_count ||
            (last != TYPE_INT && last != TYPE_DATE && last != TYPE_TIMESTAMP)) {
            compile_fail(k->c, n->token,
                         "'<=' stands before the last key, which must be an int, "
                         "a date or a timestamp");
        }
        n->kind = NODE_SEEK;
    } else if (n->count == t->key_count) {
        n->kind = NODE_ROW;
    } else {
        if (t->max == 0) {
            compile_fail(k->c, n->token, "%.*s can be scanned only if it says 'max N' rows",
                         BYTES_ARG(t->name));
        }
        struct type *list = check_new_type(k, TYPE_LIST);
        list->item = t->row;
        list->list_max = t->max;
        n->kind = NODE_SCAN;
        n->type = list;
    }
    return n;
}

static struct node *check_index(struct checker *k, struct node *n)
{
    struct bytes name = n->a->kind == NODE_NAME ? n->a->name : (struct bytes){NULL, 0};
    struct local *l = name.size > 0 ? check_find_local(k, name) : NULL;
    const struct table *table = l == NULL ? program_table(k->p, name) : NULL;
    const struct term *term = l == NULL ? find_term(k->p, name) : NULL;
    if (table != NULL) {
        return check_table(k, n, table);
    }
    if (n->at_most) {
        compile_fail(k->c, n->token, "'<=' looks up rows of a table only");
    }
    if (l != NULL && l->kind == LOCAL_TALLY) {
        if (n->count != l->tally->key_count) {
            compile_fail(k->c, n->token, "%.*s has %u keys, not %u", BYTES_ARG(name),
                         l->tally->key_count, n->count);
        }
        check_keys(k, n->items, n->count, l->tally->keys, false);
        count_key_size(k, n, n->token);
        n->a = NULL;
        n->kind = NODE_TALLY;
        n->ref.tally = l->tally;
        n->type = l->tally->type;
        return n;
    }
    if (n->count != 1) {
        compile_fail(k->c, n->token, "one value is expected between the brackets");
    }
    if (term != NULL) {
        n->a = check_expr(k, n->items[0], NULL);
        n->count = 0;
        if (n->a->type->kind != TYPE_DATE) {
            compile_fail(k->c, n->a->token, "a term has a value for a date, not for %s",
                         check_type_text(k, n->a->type));
        }
        return check_term(k, n, term);
    }
    n->a = check_expr(k, n->a, NULL);
    n->b = check_expr(k, n->items[0], NULL);
    n->count = 0;
    if (n->a->type->kind != TYPE_LIST || n->a->type->item == NULL || n->b->type->kind != TYPE_INT) {
        compile_fail(k->c, n->token, "an item is looked up in a list by an int");
    }
    n->kind = NODE_ITEM;
    n->type = n->a->type->item;
    return n;
}

/* ---- the walk ---- */

struct node *check_expr(struct checker *k, struct node *n, const struct type *want)
{
    switch (n->kind) {
    case NODE_LITERAL:
        if (n->type->kind == TYPE_AMOUNT) {
            n->type = check_amount_type(k, n->token, &n->type->unit);
        }
        return n;
    case NODE_NAME:
        return check_name(k, n);
    case NODE_DOT:
        return check_dot(k, n);
    case NODE_INDEX:
        return check_index(k, n);
    case NODE_APPLY:
        return check_apply(k, n);
    case NODE_LIST:
        return check_list(k, n, want);
    case NODE_RECORD:
        return check_record(k, n, want);
    case NODE_ROUND:
        return check_round(k, n);
    case NODE_NOT:
    case NODE_NEGATE:
    case NODE_ADD:
    case NODE_SUBTRACT:
    case NODE_MULTIPLY:
    case NODE_DIVIDE:
    case NODE_MODULO:
    case NODE_EQ:
    case NODE_NE:
    case NODE_LT:
    case NODE_LE:
    case NODE_GT:
    case NODE_GE:
    case NODE_IN:
    case NODE_AND:
    case NODE_OR:
    case NODE_COND:
        return check_operator(k, n);
    case NODE_SLOT:
    case NODE_NOW:
    case NODE_TERM:
    case NODE_FIELD:
    case NODE_ITEM:
    case NODE_ROW:
    case NODE_SEEK:
    case NODE_SCAN:
    case NODE_TALLY:
    case NODE_BALANCE:
    case NODE_HAS_ROW:
    case NODE_HAS_FIELD:
    case NODE_HAS_SLOT:
    case NODE_IN_TABLE:
    case NODE_IN_LIST:
    case NODE_CALL:
    case NODE_MACRO:
    case NODE_CONVERT:
        return n; /* checked already */
    }
    require(false);
    return n;
}

struct node *check_condition(struct checker *k, struct node *n)
{
    n = check_expr(k, n, NULL);
    if (n->type->kind != TYPE_BOOL) {
        compile_fail(k->c, n->token, "a condition is expected here, not %s",
                     check_type_text(k, n->type));
    }
    return n;
}

struct node *check_into(struct checker *k, struct node *n, const struct type *want)
{
    return check_coerce(k, check_expr(k, n, want), want);
}

/* ---- literals of records and lists ---- */

static const struct type *record_named(struct checker *k, const struct node *n)
{
    for (size_t i = 0; i < k->p->record_count; i++) {
        if (bytes_equal(k->p->records[i]->name, n->name)) {
            return k->p->records[i]->type;
        }
    }
    compile_fail(k->c, n->token, "there is no record '%.*s'", BYTES_ARG(n->name));
}

struct node *check_record(struct checker *k, struct node *n, const struct type *type)
{
    if (n->name.size > 0) {
        type = record_named(k, n);
    }
    if (type == NULL || type->kind != TYPE_RECORD) {
        compile_fail(k->c, n->token, "the name of the record must stand before '{' here");
    }
    n->type = type;
    n->order = compile_new(k->c, n->count + 1, sizeof *n->order);
    bool *given = compile_new(k->c, type->field_count + 1, sizeof *given);
    for (uint32_t i = 0; i < n->count; i++) {
        uint32_t f = 0;
        while (f < type->field_count && !bytes_equal(type->fields[f].name, n->names[i])) {
            f++;
        }
        if (f == type->field_count) {
            compile_fail(k->c, n->items[i]->token, "there is no field '%.*s' here",
                         BYTES_ARG(n->names[i]));
        }
        n->items[i] = check_into(k, n->items[i], type->fields[f].type);
        n->order[i] = f;
        given[f] = true;
    }
    for (uint32_t f = 0; f < type->field_count; f++) {
        if (!given[f] && !type->fields[f].optional) {
            compile_fail(k->c, n->token, "the field '%.*s' is missing",
                         BYTES_ARG(type->fields[f].name));
        }
    }
    return n;
}

struct node *check_list(struct checker *k, struct node *n, const struct type *want)
{
    struct type *list = check_new_type(k, TYPE_LIST);
    bool placed = want != NULL && want->kind == TYPE_LIST;
    list->list_max = n->count;
    list->item = placed ? want->item : NULL;
    for (uint32_t i = 0; i < n->count; i++) {
        if (placed) {
            n->items[i] = check_into(k, n->items[i], want->item);
            continue;
        }
        n->items[i] = check_expr(k, n->items[i], NULL);
        check_no_ratio(k, n->items[i]);
        const struct type *t = n->items[i]->type;
        list->item = list->item == NULL ? t : check_join(k, n->items[i]->token, list->item, t);
        if (list->item == NULL) {
            compile_fail(k->c, n->items[i]->token, "a list holds one type");
        }
    }
    if (n->count > RULES_LIST_MAX) {
        compile_fail(k->c, n->token, "a list has at most %d items", RULES_LIST_MAX);
    }
    n->type = list;
    return n;
}

struct node *check_round(struct checker *k, struct node *n)
{
    const struct type *to = n->type;
    n->a = check_expr(k, n->a, NULL);
    const struct type *from = n->a->type;
    if (from->kind != TYPE_INT && from->kind != TYPE_AMOUNT && from->kind != TYPE_RATIO) {
        compile_fail(k->c, n->a->token, "%s cannot be rounded", check_type_text(k, from));
    }
    struct unit have = check_unit(from);
    struct unit need = check_unit(to);
    if (!dim_equal(&have.dim, &need.dim)) {
        compile_fail(k->c, n->token, "%s cannot be rounded to %s", check_type_text(k, from),
                     check_type_text(k, to));
    }
    if (num_scale_div(have.scale, need.scale, &n->factor) != NUM_OK) {
        compile_fail(k->c, n->token, "these units are too far apart");
    }
    return n;
}
