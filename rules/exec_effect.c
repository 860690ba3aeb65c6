/* Statements with effects: postings, rows, emits, timers. In each: operands, then the charge, then
 * the checks (section 21, 13). */
#include <string.h>

#include "base/require.h"
#include "rules/canon.h"
#include "rules/eval.h"
#include "rules/input.h"

void effect_begin(struct machine *m, const char *kind, bool with_clause, uint32_t line)
{
    buf_put_text(&m->effects, m->first_effect ? "[\"" : ",[\"");
    buf_put_text(&m->effects, kind);
    buf_put_text(&m->effects, "\",");
    m->first_effect = false;
    if (with_clause) {
        canon_put_string(&m->effects, m->clause);
        buf_put_u8(&m->effects, ',');
    }
    canon_put_uint(&m->effects, line);
    buf_put_u8(&m->effects, ',');
}

void effect_end(struct machine *m)
{
    buf_put_u8(&m->effects, ']');
    require(!m->effects.overflow); /* the static bound says so */
}

static void eval_place(struct machine *m, const struct place *place, struct value *keys)
{
    machine_charge(m, 1);
    for (uint32_t i = 0; i < place->key_count; i++) {
        keys[i] = eval(m, place->keys[i]);
    }
}

/* ---- postings ---- */

static void put_account(struct machine *m, const struct family *f, const struct value *keys)
{
    canon_put_string(&m->effects, f->name);
    buf_put_u8(&m->effects, ',');
    canon_put_keys(&m->effects, m->p->env.registry, f->keys, keys, f->key_count);
    buf_put_u8(&m->effects, ',');
}

static void move(struct machine *m, int64_t *balance, int64_t quanta, bool debit)
{
    machine_check(m, debit ? num_int_sub(*balance, quanta, balance)
                           : num_int_add(*balance, quanta, balance));
}

static void post(struct machine *m, const struct stmt *s, struct account_entry *from,
                 struct account_entry *to, int64_t quanta)
{
    const struct family *f = from != NULL ? from->family : to->family;
    int64_t *debit = from != NULL ? &from->now : &overlay_issuance(m, f)->now;
    int64_t *credit = to != NULL ? &to->now : &overlay_issuance(m, f)->now;
    move(m, debit, quanta, true);
    move(m, credit, quanta, false);
    struct rules_posting *p = machine_push(m, &m->postings, sizeof *p);
    p->kind = from == NULL ? RULES_ISSUE : to == NULL ? RULES_RETIRE : RULES_TRANSFER;
    p->debit = from != NULL ? from->key : f->issuance;
    p->credit = to != NULL ? to->key : f->issuance;
    p->quanta = quanta;
    p->debit_family = f->index;
    p->credit_family = to != NULL ? to->family->index : f->index;
    p->unit = (const char *)f->type->measure->name.data;
    p->clause = m->clause;
    p->line = s->line;
}

void exec_posting(struct machine *m, const struct stmt *s)
{
    static const char *const kinds[] = {"transfer", "issue", "retire"};
    struct value from_keys[RULES_KEYS_MAX];
    struct value to_keys[RULES_KEYS_MAX];
    struct value amount = eval(m, s->value);
    if (s->kind != STMT_ISSUE) {
        eval_place(m, &s->from, from_keys);
    }
    if (s->kind != STMT_RETIRE) {
        eval_place(m, &s->to, to_keys);
    }
    machine_charge(m, 200);
    if (amount.as.number < 0) {
        machine_fault(m, RULES_FAULT_NEGATIVE);
    }
    if (amount.as.number == 0) {
        return;
    }
    struct account_entry *from =
        s->kind == STMT_ISSUE ? NULL : overlay_account(m, s->from.ref.family, from_keys);
    struct account_entry *to =
        s->kind == STMT_RETIRE ? NULL : overlay_account(m, s->to.ref.family, to_keys);
    post(m, s, from, to, (int64_t)amount.as.number);
    effect_begin(m, kinds[s->kind - STMT_TRANSFER], true, s->line);
    if (from != NULL) {
        put_account(m, from->family, from->keys);
    }
    if (to != NULL) {
        put_account(m, to->family, to->keys);
    }
    canon_put_value(&m->effects, m->p->env.registry, s->value->type, amount);
    effect_end(m);
}

/* ---- rows ---- */

/* A copy of a row that may be changed. */
static struct value *copy_row(struct machine *m, const struct type *row, const struct value *from)
{
    struct value *copy = arena_new(m->arena, row->field_count, sizeof *copy);
    memcpy(copy, from, row->field_count * sizeof *copy);
    return copy;
}

void exec_set(struct machine *m, const struct stmt *s)
{
    struct value keys[RULES_KEYS_MAX];
    const struct table *t = s->to.ref.table;
    eval_place(m, &s->to, keys);
    struct value v = eval(m, s->value);
    machine_charge(m, 100);
    struct row_entry *e = overlay_row(m, t, keys);
    if (s->to.kind == PLACE_ROW) {
        struct value *row = arena_new(m->arena, t->row->field_count, sizeof *row);
        memcpy(row, keys, t->key_count * sizeof *row);
        uint32_t fields = t->row->field_count - t->key_count;
        if (fields > 0) {
            memcpy(row + t->key_count, v.as.fields, fields * sizeof *row);
        }
        overlay_write(m, e, row);
        return;
    }
    if (e->now == NULL) {
        machine_fault(m, RULES_FAULT_ROW);
    }
    struct value *row = copy_row(m, t->row, e->now);
    row[s->to.index] = v;
    overlay_write(m, e, row);
}

/* A row that `add` begins: numbers at zero, optional fields absent; fault if it has others. */
static struct value *new_row(struct machine *m, const struct table *t, const struct value *keys)
{
    struct value *row = arena_new(m->arena, t->row->field_count, sizeof *row);
    memcpy(row, keys, t->key_count * sizeof *row);
    for (uint32_t i = t->key_count; i < t->row->field_count; i++) {
        const struct field *f = &t->row->fields[i];
        bool number = f->type->kind == TYPE_INT || f->type->kind == TYPE_AMOUNT;
        if (!number && !f->optional) {
            machine_fault(m, RULES_FAULT_ROW);
        }
        row[i].present = !f->optional;
    }
    return row;
}

static void add_to_tally(struct machine *m, const struct stmt *s, const struct value *keys,
                         int128 v)
{
    machine_charge(m, 5);
    struct tally_entry *e = overlay_tally(m, s->to.ref.tally, keys);
    int64_t sum = 0;
    machine_check(m, num_int_add((int64_t)e->sum, (int64_t)v, &sum));
    e->sum = sum;
}

void exec_add(struct machine *m, const struct stmt *s)
{
    struct value keys[RULES_KEYS_MAX];
    int128 v = eval(m, s->value).as.number;
    eval_place(m, &s->to, keys);
    if (s->to.kind == PLACE_TALLY) {
        add_to_tally(m, s, keys, v);
        return;
    }
    machine_charge(m, 100);
    const struct table *t = s->to.ref.table;
    struct row_entry *e = overlay_row(m, t, keys);
    struct value *row = NULL;
    if (e->now == NULL) {
        row = new_row(m, t, keys);
        overlay_write(m, e, row);
    } else {
        row = copy_row(m, t->row, e->now);
    }
    struct value *field = &row[s->to.index];
    int64_t sum = 0;
    int64_t old = field->present ? (int64_t)field->as.number : 0;
    machine_check(m, num_int_add(old, (int64_t)v, &sum));
    field->as.number = sum;
    field->present = true;
    overlay_write(m, e, row);
}

void exec_remove(struct machine *m, const struct stmt *s)
{
    struct value keys[RULES_KEYS_MAX];
    eval_place(m, &s->to, keys);
    machine_charge(m, 100);
    struct row_entry *e = overlay_row(m, s->to.ref.table, keys);
    if (e->now != NULL) {
        overlay_write(m, e, NULL);
    }
}

/* ---- the outside ---- */

void exec_emit(struct machine *m, const struct stmt *s)
{
    struct value v = eval(m, s->value);
    machine_charge(m, 100);
    effect_begin(m, "emit", true, s->line);
    canon_put_string(&m->effects, s->name);
    buf_put_u8(&m->effects, ',');
    size_t start = m->effects.size;
    canon_put_value(&m->effects, m->p->env.registry, s->value->type, v);
    struct rules_emit *e = machine_push(m, &m->emits, sizeof *e);
    e->name = s->name;
    e->json = arena_copy(m->arena, bytes_of(m->effects.data + start, m->effects.size - start));
    e->clause = m->clause;
    e->line = s->line;
    effect_end(m);
}

/* ---- timers ---- */

/* The `dated` of the scheduled event, with its arguments and `now` = t. */
static int32_t timer_legal(struct machine *m, const struct event *h, const struct value *args,
                           struct civil_time at)
{
    if (h->dated == NULL) {
        require(m->has_legal);
        return m->legal;
    }
    struct value *frame = m->frame;
    struct civil_time now = m->now;
    m->frame = arena_new(m->arena, (size_t)h->slot_count + 1, sizeof *m->frame);
    if (h->arg_count > 0) {
        memcpy(m->frame, args, h->arg_count * sizeof *args);
    }
    m->now = at;
    int32_t legal = (int32_t)eval(m, h->dated).as.number;
    m->frame = frame;
    m->now = now;
    return legal;
}

static void put_schedule(struct machine *m, const struct stmt *s, const struct value *args,
                         struct rules_schedule *timer)
{
    const struct rules_registry *r = m->p->env.registry;
    struct civil_time at = {timer->at.seconds, timer->at.nanos};
    size_t start = m->effects.size + (m->first_effect ? 0 : 1); /* the comma before it */
    effect_begin(m, "schedule", true, s->line);
    canon_put_string(&m->effects, s->event->name);
    buf_put_u8(&m->effects, ',');
    canon_put_fields(&m->effects, r, s->event->args, args, s->event->arg_count);
    buf_put_u8(&m->effects, ',');
    canon_put_time(&m->effects, at);
    buf_put_u8(&m->effects, ',');
    canon_put_day(&m->effects, timer->legal);
    effect_end(m);
    m->p->env.sha256(m->effects.data + start, m->effects.size - start, timer->hash);
}

void exec_schedule(struct machine *m, const struct stmt *s)
{
    const struct event *h = s->event;
    struct value *args = arena_new(m->arena, (size_t)h->arg_count + 1, sizeof *args);
    for (uint32_t i = 0; i < s->arg_count; i++) {
        args[s->arg_order[i]] = eval(m, s->args[i]);
    }
    struct civil_time at = eval(m, s->when).as.time;
    machine_charge(m, 100);
    struct civil_time least;
    bool early =
        civil_time_add(m->now, (int128)RULES_TIMER_DELAY_S * 1000000000, &least) != NUM_OK ||
        civil_time_compare(at, least) < 0;
    if (early) {
        machine_fault(m, RULES_FAULT_RANGE);
    }
    if (m->timers_waiting + m->schedules.count >= RULES_TIMERS_WAITING_MAX) {
        char *why =
            arena_printf(m->arena, "timers is full (at most %d rows)", RULES_TIMERS_WAITING_MAX);
        machine_reject(m, "0.5", m->line, bytes_text(why));
    }
    int32_t legal = timer_legal(m, h, args, at);
    uint32_t ordinal = (uint32_t)m->schedules.count;
    struct rules_schedule *timer = machine_push(m, &m->schedules, sizeof *timer);
    *timer = (struct rules_schedule){
        .at = {at.seconds, at.nanos},
        .event = h->name,
        .legal = legal,
        .ordinal = ordinal,
        .clause = m->clause,
        .line = s->line,
    };
    struct buf encoded;
    buf_init_in(&encoded, m->arena, RULES_JSON_BYTES_MAX);
    input_encode(&encoded, h->args, args, h->arg_count);
    timer->args = buf_bytes(&encoded);
    if (encoded.overflow) {
        machine_fault(m, RULES_FAULT_OVERFLOW);
    }
    put_schedule(m, s, args, timer);
}
