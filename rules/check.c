/* The checker's frame: header, terms, tests, and values that are known when compiling (sections 3
 * to 8). Expressions, operators, calls and statements are in check_*.c. */
#include "rules/check.h"

#include <string.h>

#include "base/limits.h"
#include "base/require.h"
#include "rules/cost.h"
#include "rules/eval.h"

/* ---- look-ups ---- */

const struct event *program_event(const struct rules_program *p, struct bytes name)
{
    for (size_t i = 0; i < p->event_count; i++) {
        if (bytes_equal(p->events[i]->name, name)) {
            return p->events[i];
        }
    }
    return NULL;
}

const struct table *program_table(const struct rules_program *p, struct bytes name)
{
    for (size_t i = 0; i < p->table_count; i++) {
        if (bytes_equal(p->tables[i]->name, name)) {
            return p->tables[i];
        }
    }
    return NULL;
}

const struct family *program_family(const struct rules_program *p, struct bytes name)
{
    for (size_t i = 0; i < p->family_count; i++) {
        if (bytes_equal(p->families[i]->name, name)) {
            return p->families[i];
        }
    }
    return NULL;
}

const struct measure *program_measure(const struct rules_program *p, const struct unit *unit)
{
    for (size_t i = 0; i < p->measure_count; i++) {
        const struct measure *m = p->measures[i];
        if (num_scale_equal(m->unit.scale, unit->scale) && dim_equal(&m->unit.dim, &unit->dim)) {
            return m;
        }
    }
    return NULL;
}

/* ---- terms ---- */

static struct value evaluate_constant(struct checker *k, const struct node *n)
{
    static const struct rules_store nothing = {0};
    struct arena arena;
    arena_init(&arena, (size_t)RULES_APPLY_ARENA_MAX);
    struct machine *m = arena_new(&arena, 1, sizeof *m);
    machine_init(m, k->p, &nothing, &arena);
    m->frame = arena_new(&arena, (size_t)k->slot_count + 1, sizeof *m->frame);
    m->end = RULES_ACCEPTED;
    struct value v = {0};
    struct value *kept = compile_new(k->c, 1, sizeof *kept);
    if (setjmp(m->stop) == 0) {
        *kept = eval(m, n);
    }
    enum rules_end end = m->end;
    enum rules_fault fault = m->fault;
    if (end == RULES_ACCEPTED && type_is_text(n->type)) {
        void *text = arena_try(k->c->arena, kept->as.text.size + 1, 1);
        if (text != NULL && kept->as.text.size > 0) {
            memcpy(text, kept->as.text.data, kept->as.text.size);
        }
        kept->as.text.data = text != NULL ? text : kept->as.text.data;
    }
    v = *kept;
    arena_done(&arena);
    if (end != RULES_ACCEPTED) {
        compile_fail(k->c, n->token, "this value cannot be computed (%s)", rules_fault_name(fault));
    }
    return v;
}

static void check_terms(struct checker *k)
{
    k->mode = CHECK_CONSTANT;
    for (size_t i = 0; i < k->p->term_count; i++) {
        struct term *t = k->p->terms[i];
        if (t->type->kind == TYPE_LIST || t->type->kind == TYPE_RECORD) {
            compile_fail(k->c, t->token,
                         "a term is a single value; lists and records are kept in "
                         "tables");
        }
        for (size_t v = 0; v < t->count; v++) {
            k->locals = NULL;
            k->facts = NULL;
            k->slot_count = 0;
            t->values[v].expr = check_into(k, t->values[v].expr, t->type);
            t->values[v].value = evaluate_constant(k, t->values[v].expr);
        }
    }
}

/* ---- events ---- */

static void resolve_signers(struct checker *k, struct event *e)
{
    for (uint32_t i = 0; i < e->signer_count; i++) {
        const struct party *found = NULL;
        for (size_t p = 0; p < k->p->party_count; p++) {
            if (bytes_equal(k->p->parties[p]->name, e->signers[i])) {
                found = k->p->parties[p];
            }
        }
        if (found == NULL) {
            compile_fail(k->c, e->signer_tokens[i], "there is no party '%.*s' in the header",
                         BYTES_ARG(e->signers[i]));
        }
        e->signers[i] = found->text;
    }
}

static void bind_arguments(struct checker *k, struct event *e)
{
    k->locals = NULL;
    k->facts = NULL;
    k->slot_count = 0;
    k->established = 0;
    k->key_size_max = 0;
    k->tallies = (struct pointers){0};
    for (uint32_t i = 0; i < e->arg_count; i++) {
        if (lex_reserved(k->c->bare, e->args[i].name)) {
            compile_fail(k->c, e->args[i].token,
                         "'%.*s' is a word of the language and cannot be "
                         "an argument",
                         BYTES_ARG(e->args[i].name));
        }
        struct local *l = check_bind(k, e->args[i].name, e->args[i].token, e->args[i].type);
        require(l->slot == i);
        l->optional = e->args[i].optional;
        k->slots[i] = (struct slot_facts){UINT64_C(1) << i, (int32_t)i};
    }
    if (e->signed_by == SIGNED_BY_ANYONE) {
        struct local *l = check_bind(k, e->who, e->signer_tokens[0], check_new_type(k, TYPE_PARTY));
        e->who_slot = l->slot;
        k->slots[l->slot] = (struct slot_facts){SLOT_WHO, -1};
    }
}

static void check_dated(struct checker *k, struct event *e)
{
    if (e->dated == NULL) {
        return;
    }
    k->mode = e->signed_by == SIGNED_BY_CLOCK ? CHECK_CLOCK_DATED : CHECK_DATED;
    e->dated = check_expr(k, e->dated, NULL);
    if (e->dated->type->kind != TYPE_DATE) {
        compile_fail(k->c, e->dated->token, "the day whose law applies is a date, not %s",
                     check_type_text(k, e->dated->type));
    }
}

static void check_bound(struct checker *k, const struct event *e, int64_t have, int64_t limit,
                        const char *what)
{
    if (have > limit) {
        compile_fail(k->c, e->token, "'%.*s' may need %lld %s; an event may have %lld",
                     BYTES_ARG(e->name), (long long)have, what, (long long)limit);
    }
}

static void put_field_list(struct checker *k, struct buf *out, const struct field *fields,
                           uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        buf_put_text(out, i > 0 ? ", " : "");
        buf_put_bytes(out, fields[i].name);
        buf_put_text(out, fields[i].optional ? "?: " : ": ");
        type_print(fields[i].type, k->c->env->registry, out);
    }
}

static struct bytes keep_text(struct checker *k, struct buf *text)
{
    struct bytes kept = compile_printf(k->c, "%.*s", (int)text->size, (const char *)text->data);
    buf_done(text);
    return kept;
}

static void fill_event_facts(struct checker *k, struct event *e)
{
    struct rules_event_facts *f = &e->facts;
    f->name = e->name;
    f->clock = e->signed_by == SIGNED_BY_CLOCK;
    f->anyone = e->signed_by == SIGNED_BY_ANYONE;
    f->signers = e->signers;
    f->signer_count = e->signer_count;
    f->arg_count = e->arg_count;
    struct buf text;
    buf_init(&text, 256 << 10);
    buf_put_bytes(&text, e->name);
    buf_put_text(&text, "(");
    put_field_list(k, &text, e->args, e->arg_count);
    buf_put_text(&text, ")");
    f->signature = keep_text(k, &text);
}

static void check_events(struct checker *k)
{
    for (size_t i = 0; i < k->p->event_count; i++) {
        struct event *e = k->p->events[i];
        k->event = e;
        resolve_signers(k, e);
        bind_arguments(k, e);
        check_dated(k, e);
        k->mode = CHECK_BODY;
        check_event_body(k, e);
        e->slot_count = k->slot_count;
        e->key_size_max = k->key_size_max;
        fill_event_facts(k, e);
    }
    /* bounds once all bodies are checked: schedules count the dates of other events */
    for (size_t i = 0; i < k->p->event_count; i++) {
        struct event *e = k->p->events[i];
        e->facts.bound = cost_event(k->c, e);
        check_bound(k, e, e->facts.bound.steps, RULES_STEPS_MAX, "steps");
        check_bound(k, e, e->facts.bound.effects, RULES_EFFECTS_MAX, "effects");
        check_bound(k, e, e->facts.bound.bytes, RULES_BYTES_MAX, "bytes of effects and trace");
        check_bound(k, e, e->facts.bound.arena, RULES_ARENA_MAX, "bytes of memory");
    }
}

/* ---- tables and accounts ---- */

static void fill_table_facts(struct checker *k)
{
    for (size_t i = 0; i < k->p->table_count; i++) {
        struct table *t = k->p->tables[i];
        struct buf text;
        buf_init(&text, 256 << 10);
        buf_put_bytes(&text, t->name);
        buf_put_text(&text, " [");
        put_field_list(k, &text, t->row->fields, t->key_count);
        buf_put_text(&text, "]");
        if (t->max > 0) {
            buf_printf(&text, " max %u", t->max);
        }
        buf_put_text(&text, " {");
        put_field_list(k, &text, t->row->fields + t->key_count, t->row->field_count - t->key_count);
        buf_put_text(&text, "}");
        t->facts = (struct rules_table_facts){
            .name = t->name,
            .owner = t->owner,
            .key_count = t->key_count,
            .field_count = t->row->field_count - t->key_count,
            .max = t->max,
            .signature = keep_text(k, &text),
        };
    }
    for (size_t i = 0; i < k->p->family_count; i++) {
        struct family *f = k->p->families[i];
        const struct measure *m = f->type->measure;
        f->facts = (struct rules_family_facts){
            .name = f->name,
            .key_count = f->key_count,
            .measure = {(const char *)m->name.data, (uint64_t)m->quantum.num,
                        (uint64_t)m->quantum.den, (uint8_t)m->decimals},
            .unlimited = f->unlimited,
            .overdraft = f->overdraft,
        };
    }
}

/* ---- tests ---- */

static void check_given(struct checker *k, struct step *s)
{
    check_place(k, &s->place);
    if (s->place.kind == PLACE_ACCOUNT) {
        s->value = check_into(k, s->value, s->place.ref.family->type);
    } else if (s->place.kind == PLACE_ROW) {
        const struct table *t = s->place.ref.table;
        struct type *body = check_new_type(k, TYPE_RECORD);
        body->name = t->name;
        body->fields = t->row->fields + t->key_count;
        body->field_count = t->row->field_count - t->key_count;
        if (s->value->kind != NODE_RECORD || s->value->name.size > 0) {
            compile_fail(k->c, s->value->token, "a whole row is written as its fields: { … }");
        }
        s->value = check_record(k, s->value, body);
    } else {
        compile_fail(k->c, s->place.token, "a whole row or an account is given");
    }
}

static struct node *check_instant(struct checker *k, struct node *n)
{
    n = check_expr(k, n, NULL);
    if (n->type->kind != TYPE_TIMESTAMP) {
        compile_fail(k->c, n->token, "a timestamp is expected here, not %s",
                     check_type_text(k, n->type));
    }
    return n;
}

static void check_step(struct checker *k, struct step *s)
{
    switch (s->kind) {
    case STEP_GIVEN:
        check_given(k, s);
        return;
    case STEP_THEN:
        s->value = check_condition(k, s->value);
        return;
    case STEP_WAIT:
        s->value = check_instant(k, s->value);
        return;
    case STEP_WHEN:
        s->event = program_event(k->p, s->name);
        if (s->event == NULL) {
            compile_fail(k->c, s->name_token, "there is no event '%.*s'", BYTES_ARG(s->name));
        }
        s->arg_order = compile_new(k->c, s->arg_count + 1, sizeof *s->arg_order);
        check_event_args(k, s->event, s->args, s->arg_names, s->arg_order, s->arg_count);
        if (s->value != NULL) {
            s->value = check_instant(k, s->value);
        }
        return;
    }
}

static void check_tests(struct checker *k)
{
    k->mode = CHECK_TEST;
    for (size_t i = 0; i < k->p->test_count; i++) {
        struct test *t = k->p->tests[i];
        k->locals = NULL;
        k->facts = NULL;
        k->slot_count = 0;
        for (size_t s = 0; s < t->count; s++) {
            check_step(k, t->steps[s]);
        }
        t->slot_count = k->slot_count;
    }
}

void check_program(struct compile *c)
{
    require(c->program != NULL);
    struct checker k = {.c = c, .p = c->program};
    k.slots = compile_new(c, RULES_SLOTS_MAX, sizeof *k.slots);
    check_terms(&k);
    check_events(&k);
    fill_table_facts(&k);
    check_tests(&k);
    struct rules_facts *f = &c->program->facts;
    f->event_count = c->program->event_count;
    f->table_count = c->program->table_count;
    f->family_count = c->program->family_count;
    f->test_count = c->program->test_count;
}
