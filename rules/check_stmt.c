/* Statements, places, and the order of effects. */
#include "rules/check.h"

#include <string.h>

#include "base/limits.h"
#include "base/require.h"

static void check_block(struct checker *k, struct block *block);

static void count_keys(struct checker *k, const struct place *place)
{
    size_t size = 0;
    for (uint32_t i = 0; i < place->key_count; i++) {
        const struct type *t = place->keys[i]->type;
        size += type_is_text(t) ? (size_t)t->size_max * 2 + 2 : 16;
    }
    k->key_size_max = size > k->key_size_max ? size : k->key_size_max;
}

static void place_keys(struct checker *k, struct place *place, const struct field *fields,
                       uint32_t count)
{
    if (place->key_count != count) {
        compile_fail(k->c, place->token, "%.*s has %u keys, not %u", BYTES_ARG(place->name), count,
                     place->key_count);
    }
    check_keys(k, place->keys, place->key_count, fields, true);
    count_keys(k, place);
}

static void place_field(struct checker *k, struct place *place)
{
    const struct type *row = place->ref.table->row;
    place->kind = PLACE_FIELD;
    for (uint32_t i = 0; i < row->field_count; i++) {
        if (bytes_equal(row->fields[i].name, place->field)) {
            if (i < row->key_count) {
                compile_fail(k->c, place->token, "'%.*s' is a key; it cannot be changed",
                             BYTES_ARG(place->field));
            }
            place->index = i;
            return;
        }
    }
    compile_fail(k->c, place->token, "%.*s has no field '%.*s'", BYTES_ARG(place->name),
                 BYTES_ARG(place->field));
}

void check_place(struct checker *k, struct place *place)
{
    struct local *l = check_find_local(k, place->name);
    if (l != NULL && l->kind == LOCAL_TALLY) {
        place->kind = PLACE_TALLY;
        place->ref.tally = l->tally;
        place_keys(k, place, l->tally->keys, l->tally->key_count);
        if (place->field.size > 0) {
            compile_fail(k->c, place->token, "a tally has no fields");
        }
        return;
    }
    const struct table *t = program_table(k->p, place->name);
    const struct family *f = program_family(k->p, place->name);
    if (t != NULL) {
        place->kind = PLACE_ROW;
        place->ref.table = t;
        place_keys(k, place, t->row->fields, t->key_count);
        if (t->uses && k->mode != CHECK_TEST) {
            compile_fail(k->c, place->token, "'%.*s' belongs to %.*s; only that contract writes it",
                         BYTES_ARG(t->name), BYTES_ARG(t->owner));
        }
        if (place->field.size > 0) {
            place_field(k, place);
        }
        return;
    }
    if (f == NULL) {
        compile_fail(k->c, place->token, "there is no table, account or tally '%.*s' here",
                     BYTES_ARG(place->name));
    }
    place->kind = PLACE_ACCOUNT;
    place->ref.family = f;
    place_keys(k, place, f->keys, f->key_count);
    if (place->field.size > 0) {
        compile_fail(k->c, place->token, "an account has no fields");
    }
}

static const struct family *check_account(struct checker *k, struct place *place)
{
    check_place(k, place);
    if (place->kind != PLACE_ACCOUNT) {
        compile_fail(k->c, place->token, "an account is expected here");
    }
    return place->ref.family;
}

/* ---- postings ---- */

static void check_posting(struct checker *k, struct stmt *s)
{
    const struct family *from = NULL;
    const struct family *to = NULL;
    /* the type of the amount comes from the account, which is written behind it */
    struct node *value = check_expr(k, s->value, NULL);
    if (s->kind != STMT_ISSUE) {
        from = check_account(k, &s->from);
    }
    if (s->kind != STMT_RETIRE) {
        to = check_account(k, &s->to);
    }
    const struct family *any = from != NULL ? from : to;
    if (from != NULL && to != NULL &&
        !num_scale_equal(from->type->unit.scale, to->type->unit.scale)) {
        compile_fail(k->c, s->to.token,
                     "from an account in %s to one in %s nothing can be "
                     "transferred",
                     check_type_text(k, from->type), check_type_text(k, to->type));
    }
    if (from != NULL && to != NULL && !dim_equal(&from->type->unit.dim, &to->type->unit.dim)) {
        compile_fail(k->c, s->to.token,
                     "from an account in %s to one in %s nothing can be "
                     "transferred",
                     check_type_text(k, from->type), check_type_text(k, to->type));
    }
    s->value = check_coerce(k, value, any->type);
    authority_effect(k, s->token);
    if (from != NULL) {
        authority_debit(k, &s->from);
    }
}

/* ---- rows ---- */

static const struct type *body_type(struct checker *k, const struct table *t)
{
    struct type *body = check_new_type(k, TYPE_RECORD);
    body->name = t->name;
    body->fields = t->row->fields + t->key_count;
    body->field_count = t->row->field_count - t->key_count;
    return body;
}

static void check_set(struct checker *k, struct stmt *s)
{
    check_place(k, &s->to);
    if (s->to.kind == PLACE_ROW) {
        if (s->value->kind != NODE_RECORD || s->value->name.size > 0) {
            compile_fail(k->c, s->value->token, "a whole row is written as its fields: { … }");
        }
        s->value = check_record(k, s->value, body_type(k, s->to.ref.table));
    } else if (s->to.kind == PLACE_FIELD) {
        s->value = check_into(k, s->value, s->to.ref.table->row->fields[s->to.index].type);
    } else {
        compile_fail(k->c, s->to.token,
                     "only rows are set; money moves by transfer, tallies by add");
    }
    authority_effect(k, s->token);
    presence_forget(k, s->to.ref.table);
}

static void check_add(struct checker *k, struct stmt *s)
{
    struct node *value = check_expr(k, s->value, NULL);
    check_place(k, &s->to);
    if (s->to.kind == PLACE_TALLY) {
        s->value = check_coerce(k, value, s->to.ref.tally->type);
        return;
    }
    if (s->to.kind != PLACE_FIELD) {
        compile_fail(k->c, s->to.token, "'add' adds to a field of a row or to a tally");
    }
    const struct field *f = &s->to.ref.table->row->fields[s->to.index];
    if (f->type->kind != TYPE_INT && f->type->kind != TYPE_AMOUNT) {
        compile_fail(k->c, s->to.token, "'%.*s' is no number", BYTES_ARG(f->name));
    }
    s->value = check_coerce(k, value, f->type);
    authority_effect(k, s->token);
    presence_forget(k, s->to.ref.table);
}

static void check_remove(struct checker *k, struct stmt *s)
{
    check_place(k, &s->to);
    if (s->to.kind != PLACE_ROW) {
        compile_fail(k->c, s->to.token, "'remove' removes a whole row");
    }
    authority_effect(k, s->token);
    presence_forget(k, s->to.ref.table);
}

/* ---- events ---- */

static void check_emit(struct checker *k, struct stmt *s)
{
    struct node *n = s->value;
    authority_effect(k, s->token);
    if (n->name.size > 0) {
        s->value = check_record(k, n, NULL);
        return;
    }
    struct type *t = check_new_type(k, TYPE_RECORD);
    struct field *fields = compile_new(k->c, n->count + 1, sizeof *fields);
    n->order = compile_new(k->c, n->count + 1, sizeof *n->order);
    for (uint32_t i = 0; i < n->count; i++) {
        n->items[i] = check_expr(k, n->items[i], NULL);
        check_no_ratio(k, n->items[i]);
        const struct type *amount = n->items[i]->type;
        while (amount != NULL && amount->kind == TYPE_LIST) {
            amount = amount->item;
        }
        if (amount != NULL && amount->kind == TYPE_AMOUNT && amount->measure == NULL) {
            compile_fail(k->c, n->items[i]->token,
                         "an emitted amount must be in a declared "
                         "measure; write round(…, unit, half_up)");
        }
        fields[i] = (struct field){n->names[i], n->items[i]->type, false, n->items[i]->token};
        n->order[i] = i;
    }
    t->fields = fields;
    t->field_count = n->count;
    n->type = t;
}

void check_event_args(struct checker *k, const struct event *e, struct node **args,
                      const struct bytes *names, uint32_t *order, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t a = 0;
        while (a < e->arg_count && !bytes_equal(e->args[a].name, names[i])) {
            a++;
        }
        if (a == e->arg_count) {
            compile_fail(k->c, args[i]->token, "%.*s has no argument '%.*s'", BYTES_ARG(e->name),
                         BYTES_ARG(names[i]));
        }
        args[i] = check_into(k, args[i], e->args[a].type);
        order[i] = a;
    }
}

static void check_schedule(struct checker *k, struct stmt *s)
{
    s->event = program_event(k->p, s->name);
    if (s->event == NULL || s->event->signed_by != SIGNED_BY_CLOCK) {
        compile_fail(k->c, s->name_token,
                     "'%.*s' is no event of this contract that is signed by "
                     "clock",
                     BYTES_ARG(s->name));
    }
    s->arg_order = compile_new(k->c, s->arg_count + 1, sizeof *s->arg_order);
    k->schedule_args = true;
    check_event_args(k, s->event, s->args, s->arg_names, s->arg_order, s->arg_count);
    k->schedule_args = false;
    bool *given = compile_new(k->c, s->event->arg_count + 1, sizeof *given);
    for (uint32_t i = 0; i < s->arg_count; i++) {
        given[s->arg_order[i]] = true;
    }
    for (uint32_t i = 0; i < s->event->arg_count; i++) {
        if (!given[i] && !s->event->args[i].optional) {
            compile_fail(k->c, s->name_token, "the argument '%.*s' is missing",
                         BYTES_ARG(s->event->args[i].name));
        }
    }
    s->when = check_expr(k, s->when, NULL);
    if (s->when->type->kind != TYPE_TIMESTAMP) {
        compile_fail(k->c, s->when->token, "a timer fires at a timestamp, not %s",
                     check_type_text(k, s->when->type));
    }
    authority_effect(k, s->token);
    k->p->facts.schedules = true;
}

/* ---- blocks ---- */

static void bind_value(struct checker *k, struct bytes name, uint32_t token, const struct type *t,
                       uint32_t *ret_slot)
{
    *ret_slot = check_bind(k, name, token, t)->slot;
}

/* The variable of a loop carries what its list carries. */
static void bind_item(struct checker *k, struct bytes name, uint32_t token, const struct node *list,
                      uint32_t *ret_slot)
{
    if (list->type->kind != TYPE_LIST || list->type->item == NULL) {
        compile_fail(k->c, list->token, "a list is expected here, not %s",
                     check_type_text(k, list->type));
    }
    bind_value(k, name, token, list->type->item, ret_slot);
    k->slots[*ret_slot].mentions = authority_mentions(k, list);
    k->slots[*ret_slot].path_of = authority_path_of(k, list);
}

/* A block that may run not at all, or several times. */
static void check_loop_body(struct checker *k, struct block *block)
{
    uint64_t established = k->established;
    const struct fact *facts = k->facts;
    presence_forget_writes(k, block);
    const struct fact *in_loop = k->facts;
    check_block(k, block);
    k->established = established;
    (void)facts;
    k->facts = in_loop; /* what the body wrote is forgotten afterwards too */
}

static void check_let(struct checker *k, struct stmt *s)
{
    s->value = check_expr(k, s->value, NULL);
    if (s->value->type->kind == TYPE_LIST && s->value->type->item == NULL) {
        compile_fail(k->c, s->value->token, "a list without items has no type");
    }
    uint64_t mentions = authority_mentions(k, s->value);
    int32_t path_of = authority_path_of(k, s->value);
    bind_value(k, s->name, s->name_token, s->value->type, &s->slot);
    k->slots[s->slot] = (struct slot_facts){mentions, path_of};
}

static void check_require(struct checker *k, struct stmt *s)
{
    if (bytes_equal(s->clause, bytes_text("0"))) {
        compile_fail(k->c, s->token, "a require stands under a clause; write clause N \"…\" above");
    }
    s->value = check_condition(k, s->value);
    presence_assume(k, s->value, true);
    authority_assume(k, s->value);
}

static void check_if(struct checker *k, struct stmt *s)
{
    s->value = check_condition(k, s->value);
    const struct fact *facts = k->facts;
    uint64_t established = k->established;
    presence_assume(k, s->value, true);
    authority_assume(k, s->value);
    check_block(k, s->body);
    uint64_t first = k->established;
    k->facts = facts;
    k->established = established;
    presence_assume(k, s->value, false);
    if (s->other != NULL) {
        check_block(k, s->other);
    }
    k->established &= first;
    k->facts = facts;
    presence_forget_writes(k, s->body);
    presence_forget_writes(k, s->other);
}

static void check_for(struct checker *k, struct stmt *s)
{
    s->value = check_expr(k, s->value, NULL);
    struct local *outer = k->locals;
    bind_item(k, s->name, s->name_token, s->value, &s->slot);
    check_loop_body(k, s->body);
    k->locals = outer;
}

static bool fields_equal(const struct field *a, const struct field *b, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!bytes_equal(a[i].name, b[i].name) || !type_equal(a[i].type, b[i].type)) {
            return false;
        }
    }
    return true;
}

/* Tallies of one name in one event are one: their sums last the whole event. */
static void check_tally(struct checker *k, struct stmt *s)
{
    check_name_free(k, s->name, s->name_token);
    for (size_t i = 0; i < k->tallies.count; i++) {
        struct tally *t = k->tallies.at[i];
        if (!bytes_equal(t->name, s->name)) {
            continue;
        }
        if (t->key_count != s->tally->key_count || !type_equal(t->type, s->tally->type) ||
            !fields_equal(t->keys, s->tally->keys, t->key_count)) {
            compile_fail(k->c, s->name_token,
                         "the tally '%.*s' of this event has other keys or "
                         "another measure above",
                         BYTES_ARG(s->name));
        }
        s->tally = t;
    }
    if (k->tallies.count == 0 || s->tally->index >= k->tallies.count ||
        k->tallies.at[s->tally->index] != s->tally) {
        s->tally->index = (uint32_t)k->tallies.count;
        compile_push(k->c, &k->tallies, s->tally);
    }
    struct local *l = compile_new(k->c, 1, sizeof *l);
    *l =
        (struct local){.name = s->name, .outer = k->locals, .kind = LOCAL_TALLY, .tally = s->tally};
    k->locals = l;
}

static void check_apportion(struct checker *k, struct stmt *s)
{
    s->value = check_expr(k, s->value, NULL);
    check_no_ratio(k, s->value);
    if (s->value->type->kind != TYPE_AMOUNT && s->value->type->kind != TYPE_INT) {
        compile_fail(k->c, s->value->token, "an amount is shared, not %s",
                     check_type_text(k, s->value->type));
    }
    s->list = check_expr(k, s->list, NULL);
    struct local *outer = k->locals;
    bind_item(k, s->name, s->name_token, s->list, &s->slot);
    const struct fact *facts = k->facts;
    s->weight = check_expr(k, s->weight, NULL);
    k->facts = facts;
    check_no_ratio(k, s->weight);
    if (s->weight->type->kind != TYPE_AMOUNT && s->weight->type->kind != TYPE_INT) {
        compile_fail(k->c, s->weight->token, "a weight is an amount or an int, not %s",
                     check_type_text(k, s->weight->type));
    }
    bind_value(k, s->share_name, s->name_token, s->value->type, &s->share_slot);
    k->slots[s->share_slot].mentions = authority_mentions(k, s->value);
    check_loop_body(k, s->body);
    k->locals = outer;
}

static void check_order(struct checker *k, struct side *side, uint32_t *outer_slot)
{
    side->list = check_expr(k, side->list, NULL);
    struct local *outer = k->locals;
    bind_item(k, side->name, side->name_token, side->list, outer_slot);
    side->quantity = check_expr(k, side->quantity, NULL);
    side->price = check_expr(k, side->price, NULL);
    k->locals = outer;
    if (side->quantity->type->measure == NULL || side->price->type->measure == NULL) {
        compile_fail(k->c, side->name_token,
                     "quantity and price of an order are in declared "
                     "measures");
    }
}

static void check_side_body(struct checker *k, struct stmt *s, size_t i)
{
    struct side *side = &s->sides[i];
    struct local *outer = k->locals;
    struct local *l = compile_new(k->c, 1, sizeof *l);
    *l = (struct local){
        .name = side->name, .outer = k->locals, .slot = side->slot, .type = side->list->type->item};
    check_name_free(k, side->name, side->name_token);
    k->locals = l;
    check_loop_body(k, i == 0 ? s->body : s->other);
    k->locals = outer;
}

static void check_clear(struct checker *k, struct stmt *s)
{
    check_order(k, &s->sides[0], &s->sides[0].slot);
    check_order(k, &s->sides[1], &s->sides[1].slot);
    const struct side *b = &s->sides[0];
    const struct side *o = &s->sides[1];
    if (b->quantity->type->measure != o->quantity->type->measure ||
        b->price->type->measure != o->price->type->measure) {
        compile_fail(k->c, s->token, "bids and offers are in the same measures");
    }
    struct local *outer = k->locals;
    bind_value(k, s->share_name, s->name_token, b->quantity->type, &s->share_slot);
    bind_value(k, s->price_name, s->name_token, b->price->type, &s->price_slot);
    check_side_body(k, s, 0);
    check_side_body(k, s, 1);
    k->locals = outer;
}

static void check_statement(struct checker *k, struct stmt *s)
{
    switch (s->kind) {
    case STMT_CLAUSE:
        return;
    case STMT_LET:
        check_let(k, s);
        return;
    case STMT_REQUIRE:
        check_require(k, s);
        return;
    case STMT_IF:
        check_if(k, s);
        return;
    case STMT_FOR:
        check_for(k, s);
        return;
    case STMT_TALLY:
        check_tally(k, s);
        return;
    case STMT_APPORTION:
        check_apportion(k, s);
        return;
    case STMT_CLEAR:
        check_clear(k, s);
        return;
    case STMT_TRANSFER:
    case STMT_ISSUE:
    case STMT_RETIRE:
        check_posting(k, s);
        return;
    case STMT_SET:
        check_set(k, s);
        return;
    case STMT_ADD:
        check_add(k, s);
        return;
    case STMT_REMOVE:
        check_remove(k, s);
        return;
    case STMT_EMIT:
        check_emit(k, s);
        return;
    case STMT_SCHEDULE:
        check_schedule(k, s);
        return;
    }
}

static void check_block(struct checker *k, struct block *block)
{
    struct local *outer = k->locals;
    for (size_t i = 0; i < block->count; i++) {
        check_statement(k, block->at[i]);
    }
    k->locals = outer;
}

void check_event_body(struct checker *k, struct event *e)
{
    require(k->mode == CHECK_BODY);
    require(e->body != NULL);
    check_block(k, e->body);
}
