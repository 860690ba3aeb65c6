/* Expressions alone, as the conformance tests of CEL ask them (section 16). */
#include "rules/expr.h"

#include <string.h>

#include "base/require.h"
#include "rules/check.h"
#include "rules/eval.h"
#include "rules/parse.h"

/* Checks the expression with the names bound to slots 0, 1, ... */
static struct node *compile_expr(struct compile *c, const struct expr_name *names, size_t count,
                                 uint32_t *ret_slots)
{
    lex_run(c);
    struct node *n = parse_only_expr(c);
    struct checker k = {.c = c, .p = c->program, .mode = CHECK_CONSTANT};
    k.slots = compile_new(c, RULES_SLOTS_MAX, sizeof *k.slots);
    for (size_t i = 0; i < count; i++) {
        struct local *l = check_bind(&k, names[i].name, 0, names[i].type);
        require(l->slot == i);
    }
    n = check_expr(&k, n, NULL);
    *ret_slots = k.slot_count;
    return n;
}

static void evaluate(const struct rules_program *p, const struct node *n, struct value *frame,
                     struct arena *arena, struct expr_result *ret)
{
    static const struct rules_store nothing = {0};
    struct machine *m = arena_new(arena, 1, sizeof *m);
    machine_init(m, p, &nothing, arena);
    m->frame = frame;
    if (setjmp(m->stop) == 0) {
        ret->value = eval(m, n);
        ret->type = n->type;
        ret->end = EXPR_VALUE;
    } else {
        require(m->end == RULES_FAULT); /* there is nothing here that could refuse */
        ret->fault = m->fault;
        ret->end = EXPR_FAULT;
    }
}

void expr_evaluate(const struct rules_env *env, struct bytes text, const struct expr_name *names,
                   size_t count, struct arena *arena, struct expr_result *ret)
{
    require(env != NULL);
    require(arena != NULL);
    require(ret != NULL);
    *ret = (struct expr_result){.end = EXPR_REFUSED};
    /* in the arena, not in this frame: what changes after setjmp must be in memory */
    struct rules_program *p = arena_new(arena, 1, sizeof *p);
    struct compile *c = arena_new(arena, 1, sizeof *c);
    p->env = *env;
    c->env = &p->env;
    c->arena = arena;
    c->program = p;
    c->diag = &ret->diag;
    c->bare = true;
    c->text = arena_copy(arena, text);
    if (setjmp(c->fail) == 0) {
        uint32_t slots = 0;
        const struct node *n = compile_expr(c, names, count, &slots);
        struct value *frame = arena_new(arena, (size_t)slots + 1, sizeof *frame);
        for (size_t i = 0; i < count; i++) {
            frame[i] = names[i].value;
        }
        evaluate(p, n, frame, arena, ret);
    }
}
