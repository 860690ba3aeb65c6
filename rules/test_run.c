/* The worked examples of a contract (section 14). */
#include <stdio.h>
#include <string.h>

#include "base/require.h"
#include "rules/canon.h"
#include "rules/compile.h"
#include "rules/eval.h"
#include "rules/input.h"
#include "rules/memory.h"

struct testing {
    const struct rules_program *p;
    const struct test *test;
    struct memory state;
    struct rules_time now;
    uint64_t results;
    struct rules_test_result *result;
};

static bool fail(struct testing *t, const struct step *s, const char *why, struct bytes what)
{
    t->result->line = s->line;
    (void)snprintf(t->result->message, sizeof t->result->message, "%s%.*s", why, (int)what.size,
                   what.size > 0 ? (const char *)what.data : "");
    return false;
}

/* ---- expressions of a test ---- */

typedef bool test_action(struct testing *t, struct machine *m, const struct step *s);

/* Runs an action with a machine that reads the state of the test; a fault fails the step. */
static bool with_machine(struct testing *t, const struct step *s, test_action *action)
{
    struct arena arena;
    arena_init(&arena, (size_t)RULES_APPLY_ARENA_MAX);
    struct machine *m = arena_new(&arena, 1, sizeof *m);
    bool *ok = arena_new(&arena, 1, sizeof *ok);
    machine_init(m, t->p, &t->state.store, &arena);
    m->in_test = true;
    m->now = (struct civil_time){t->now.seconds, t->now.nanos};
    m->frame = arena_new(&arena, (size_t)t->test->slot_count + 1, sizeof *m->frame);
    if (setjmp(m->stop) == 0) {
        *ok = action(t, m, s);
    } else {
        *ok = fail(t, s, "cannot be computed: ", bytes_text(rules_fault_name(m->fault)));
    }
    bool passed = *ok;
    arena_done(&arena);
    return passed;
}

static bool give(struct testing *t, struct machine *m, const struct step *s)
{
    struct value keys[RULES_KEYS_MAX];
    bool row = s->place.kind == PLACE_ROW;
    const struct field *fields = row ? s->place.ref.table->row->fields : s->place.ref.family->keys;
    struct buf *key = &m->key;
    for (uint32_t i = 0; i < s->place.key_count; i++) {
        keys[i] = eval(m, s->place.keys[i]);
    }
    struct value v = eval(m, s->value);
    buf_clear(key);
    buf_put_bytes(key, row ? s->place.ref.table->prefix : s->place.ref.family->prefix);
    for (uint32_t i = 0; i < s->place.key_count; i++) {
        canon_put_key(key, fields[i].type, keys[i]);
    }
    if (row) {
        const struct type *type = s->place.ref.table->row;
        struct value *values = arena_new(m->arena, type->field_count, sizeof *values);
        if (type->field_count > type->key_count) {
            memcpy(values + type->key_count, v.as.fields,
                   (type->field_count - type->key_count) * sizeof *values);
        }
        canon_put_row(&m->effects, type, values);
        memory_put(&t->state, buf_bytes(key), buf_bytes(&m->effects));
        return true;
    }
    int64_t quanta = (int64_t)v.as.number;
    bool fits = quanta != INT64_MIN && memory_add(&t->state, buf_bytes(key), quanta) &&
                memory_add(&t->state, s->place.ref.family->issuance, -quanta);
    return fits || fail(t, s, "this leaves 64 bits", bytes_text(""));
}

static bool holds(struct testing *t, struct machine *m, const struct step *s)
{
    struct conjunct c = {0};
    if (eval_conjuncts(m, s->value, &c)) {
        t->result->checks++;
        return true;
    }
    struct buf text;
    buf_init(&text, 4096);
    bool sides = c.failed->kind == NODE_EQ || c.failed->kind == NODE_NE ||
                 c.failed->kind == NODE_LT || c.failed->kind == NODE_LE ||
                 c.failed->kind == NODE_GT || c.failed->kind == NODE_GE;
    if (sides) {
        buf_put_text(&text, ": ");
        canon_put_value(&text, t->p->env.registry, c.failed->a->type, c.left);
        buf_put_text(&text, " and ");
        canon_put_value(&text, t->p->env.registry, c.failed->b->type, c.right);
    }
    (void)fail(t, s, "does not hold", buf_bytes(&text));
    buf_done(&text);
    return false;
}

static bool set_now(struct testing *t, struct machine *m, const struct step *s)
{
    struct civil_time now = eval(m, s->value).as.time;
    t->now = (struct rules_time){now.seconds, now.nanos};
    return true;
}

/* ---- events ---- */

/* The end as a failed step shows it: "rejected by clause 5: not a whole month". */
static bool fail_end(struct testing *t, const struct step *s, const char *what,
                     const struct rules_out *out)
{
    char why[400];
    if (out->end == RULES_REJECTED) {
        (void)snprintf(why, sizeof why, "%s rejected by clause %.*s: %.*s", what,
                       BYTES_ARG(out->clause), (int)(out->why.size < 250 ? out->why.size : 250),
                       out->why.size > 0 ? (const char *)out->why.data : "");
    } else {
        (void)snprintf(why, sizeof why, "%s %s%s", what,
                       out->end == RULES_FAULT ? "a fault: " : "accepted",
                       rules_fault_name(out->fault));
    }
    return fail(t, s, why, bytes_text(""));
}

/* Rejected by N or by N.x. */
static bool clause_matches(struct bytes wanted, struct bytes clause)
{
    return bytes_equal(wanted, clause) ||
           (bytes_has_prefix(clause, wanted) && clause.data[wanted.size] == '.');
}

static bool judge(struct testing *t, const struct step *s, const struct rules_out *out)
{
    if (out->end == RULES_ACCEPTED) {
        memory_apply(&t->state, out, t->results);
    }
    if (s->rejected.size == 0) {
        return out->end == RULES_ACCEPTED || fail_end(t, s, "this was", out);
    }
    bool as_stated = out->end == RULES_REJECTED && clause_matches(s->rejected, out->clause);
    return as_stated || fail_end(t, s, "another end was stated; this was", out);
}

static bool happen(struct testing *t, struct machine *m, const struct step *s)
{
    const struct event *e = s->event;
    struct value *args = arena_new(m->arena, (size_t)e->arg_count + 1, sizeof *args);
    for (uint32_t i = 0; i < s->arg_count; i++) {
        args[s->arg_order[i]] = eval(m, s->args[i]);
    }
    if (s->value != NULL) {
        (void)set_now(t, m, s);
    }
    input_encode(&m->trace, e->args, args, e->arg_count);
    if (m->trace.overflow) {
        return fail(t, s, "the arguments are too large", bytes_text(""));
    }
    struct rules_event ev = {
        .name = e->name,
        .signers = s->by,
        .signer_count = s->by_count,
        .now = t->now,
        .args = buf_bytes(&m->trace),
        .timers_waiting = t->state.waiting,
    };
    struct rules_out out;
    t->results++;
    rules_apply(t->p, &ev, &t->state.store, m->arena, &out);
    return judge(t, s, &out);
}

static bool fire(struct testing *t, const struct step *s, const struct memory_timer *timer)
{
    struct rules_event ev = {
        .name = timer->event,
        .now = timer->at,
        .has_legal = true,
        .legal = timer->legal,
        .args = timer->args,
        .timer = true,
        .timers_waiting = t->state.waiting,
    };
    struct arena arena;
    struct rules_out out;
    arena_init(&arena, (size_t)RULES_APPLY_ARENA_MAX);
    t->results++;
    rules_apply(t->p, &ev, &t->state.store, &arena, &out);
    bool ok = out.end == RULES_ACCEPTED;
    if (ok) {
        memory_apply(&t->state, &out, t->results);
    } else {
        (void)fail_end(t, s, "a timer was", &out);
    }
    arena_done(&arena);
    return ok;
}

static bool run_step(struct testing *t, const struct step *s)
{
    switch (s->kind) {
    case STEP_GIVEN:
        return with_machine(t, s, give);
    case STEP_THEN:
        return with_machine(t, s, holds);
    case STEP_WHEN:
        return with_machine(t, s, happen);
    case STEP_WAIT:
        break;
    }
    if (!with_machine(t, s, set_now)) {
        return false;
    }
    for (;;) {
        const struct memory_timer *timer = memory_fire(&t->state, t->now);
        if (timer == NULL) {
            return true;
        }
        if (!fire(t, s, timer)) {
            return false;
        }
    }
}

void rules_test_run(const struct rules_program *program, size_t index,
                    struct rules_test_result *ret)
{
    require(program != NULL);
    require(index < program->test_count);
    require(ret != NULL);
    const struct test *test = program->tests[index];
    *ret = (struct rules_test_result){.name = test->name, .passed = true};
    struct testing t = {.p = program, .test = test, .result = ret};
    /* noon UTC of the effective day */
    t.now.seconds = (int64_t)program->facts.effective * 86400 + 43200;
    memory_init(&t.state);
    for (size_t i = 0; i < test->count && ret->passed; i++) {
        ret->passed = run_step(&t, test->steps[i]);
    }
    memory_done(&t.state);
}
