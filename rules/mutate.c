/* What no test in a text depends on: one change at a time. */
#include "rules/mutate.h"

#include <string.h>

#include "base/limits.h"
#include "base/require.h"
#include "rules/compile.h"
#include "rules/program.h"
#include "rules/span.h"

/* One walk over the tokens. */
struct mutation {
    const struct rules_env *env;
    const struct rules_program *p;
    void *to;
    void (*on_mutant)(void *to, const struct rules_mutant *m);
    struct rules_mutation *totals;
    struct buf text; /* the changed contract */
    struct bytes clause;
};

const char *rules_change_name(enum rules_change change)
{
    static const char *const names[] = {"rounding", "comparison", "sign", "require"};
    require((size_t)change < sizeof names / sizeof names[0]);
    return names[change];
}

uint32_t rules_mutation_percent(const struct rules_mutation *m)
{
    uint32_t all = m->killed + m->survived;
    return all == 0 ? 100 : (uint32_t)((uint64_t)m->killed * 100 / all);
}

/* ---- one change ---- */

/* Runs the tests of a changed text. */
static enum rules_fate judge(struct mutation *x, struct bytes *ret_test)
{
    struct rules_program *changed = NULL;
    struct rules_diag diag;
    if (failed(rules_compile(x->env, buf_bytes(&x->text), &changed, &diag))) {
        return RULES_GUARDED;
    }
    enum rules_fate fate = RULES_SURVIVED;
    for (size_t i = 0; i < changed->test_count && fate == RULES_SURVIVED; i++) {
        struct rules_test_result r;
        rules_test_run(changed, i, &r);
        if (!r.passed) {
            fate = RULES_KILLED;
            *ret_test = x->p->tests[i]->name; /* the same text, in the program that stays */
        }
    }
    rules_program_free(changed);
    return fate;
}

/* Tokens first to last become `now`; line feeds are kept so that lines keep their numbers. */
static void change(struct mutation *x, enum rules_change what, size_t first, size_t last,
                   const char *now)
{
    const struct token *a = &x->p->tokens[first];
    const struct token *b = &x->p->tokens[last];
    struct bytes text = x->p->facts.text;
    size_t end = (size_t)b->offset + b->size;
    struct rules_mutant m = {
        .change = what,
        .line = a->line,
        .column = a->column,
        .clause = x->clause,
        .was = bytes_of(text.data + a->offset, end - a->offset),
        .now = bytes_text(now),
    };
    buf_clear(&x->text);
    buf_put(&x->text, text.data, a->offset);
    buf_put_bytes(&x->text, m.now);
    for (size_t i = a->offset; i < end; i++) {
        if (text.data[i] == '\n') {
            buf_put_u8(&x->text, '\n');
        }
    }
    buf_put(&x->text, text.data + end, text.size - end);
    m.fate = judge(x, &m.test);
    x->totals->killed += m.fate == RULES_KILLED;
    x->totals->survived += m.fate == RULES_SURVIVED;
    x->totals->guarded += m.fate == RULES_GUARDED;
    x->on_mutant(x->to, &m);
}

/* ---- single tokens ---- */

struct swap {
    const char *was, *now;
};

/* The least change that a test at the edge would notice. */
static const char *swapped(const struct token *t, const struct swap *swaps, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (token_is(t, swaps[i].was)) {
            return swaps[i].now;
        }
    }
    return NULL;
}

static void change_token(struct mutation *x, size_t i)
{
    static const struct swap modes[] = {{"half_up", "down"},  {"half_even", "down"},
                                        {"down", "up"},       {"up", "down"},
                                        {"floor", "ceiling"}, {"ceiling", "floor"}};
    static const struct swap comparisons[] = {{"==", "!="}, {"!=", "=="}, {"<", "<="},
                                              {"<=", "<"},  {">", ">="},  {">=", ">"}};
    static const struct swap signs[] = {{"+", "-"}, {"-", "+"}};
    const struct token *t = &x->p->tokens[i];
    if (t->role == ROLE_MODE) {
        change(x, RULES_CHANGE_MODE, i, i, swapped(t, modes, sizeof modes / sizeof modes[0]));
    } else if (t->role == ROLE_SIGN && token_is(t, "-")) {
        change(x, RULES_CHANGE_SIGN, i, i, " ");
    } else if (t->role == ROLE_PLAIN && t->kind == TOKEN_OPERATOR) {
        const char *now = swapped(t, comparisons, sizeof comparisons / sizeof comparisons[0]);
        if (now != NULL) {
            change(x, RULES_CHANGE_COMPARISON, i, i, now);
        }
        now = swapped(t, signs, sizeof signs / sizeof signs[0]);
        if (now != NULL) {
            change(x, RULES_CHANGE_SIGN, i, i, now);
        }
    }
}

/* ---- requires ---- */

/* Each conjunct of the condition behind 'require' (token i) in turn becomes true. */
static void change_require(struct mutation *x, size_t i)
{
    struct span condition = span_condition(x->p, i);
    struct span part;
    for (uint32_t n = 0; span_conjunct(x->p, condition, n, &part); n++) {
        change(x, RULES_CHANGE_REQUIRE, part.first, part.last - 1, "true");
    }
}

/* ---- the walk ---- */

static err check_tests(const struct rules_program *p, struct errtext *reterr)
{
    for (size_t i = 0; i < p->test_count; i++) {
        struct rules_test_result r;
        rules_test_run(p, i, &r);
        if (!r.passed) {
            return err_fail(reterr, ERR_INVALID, "test \"%.*s\" fails at line %u: %s",
                            BYTES_ARG(r.name), r.line, r.message);
        }
    }
    return err_ok();
}

/* Before an event and before the first clause there is none; a block's end is not seen, which is
 * right for all but statements behind a nested block with clauses of its own. */
static void note_clause(struct mutation *x, size_t i)
{
    const struct token *t = &x->p->tokens[i];
    size_t end = i + 1;
    if (token_is(t, "on") || token_is(t, "test")) {
        x->clause = bytes_text("");
    }
    if (!token_is(t, "clause") || (i > 0 && token_is(t - 1, ".")) ||
        (t[1].kind != TOKEN_INT && t[1].kind != TOKEN_DECIMAL)) {
        return;
    }
    while (x->p->tokens[end].kind != TOKEN_STRING && x->p->tokens[end].kind != TOKEN_END) {
        end++;
    }
    const struct token *last = &x->p->tokens[end - 1];
    x->clause = bytes_of(x->p->facts.text.data + t[1].offset,
                         (size_t)last->offset + last->size - t[1].offset);
}

err rules_mutate(const struct rules_env *env, const struct rules_program *program, void *to,
                 void (*on_mutant)(void *to, const struct rules_mutant *m),
                 struct rules_mutation *ret, struct errtext *reterr)
{
    require(env != NULL);
    require(program != NULL);
    require(on_mutant != NULL);
    struct mutation x = {.env = env, .p = program, .to = to, .on_mutant = on_mutant, .totals = ret};
    *ret = (struct rules_mutation){0};
    TRY(check_tests(program, reterr));
    buf_init(&x.text, 2 * CONTRACT_BYTES_MAX);
    for (size_t i = 0; i < program->token_count; i++) {
        const struct token *t = &program->tokens[i];
        note_clause(&x, i);
        if (t->kind == TOKEN_END || (t->silent && t->kind != TOKEN_STRING)) {
            continue; /* a test */
        }
        if (token_is(t, "require") && (i == 0 || !token_is(t - 1, ".")) && !token_is(t + 1, ":") &&
            !token_is(t + 1, "?")) {
            change_require(&x, i);
        }
        change_token(&x, i);
    }
    buf_done(&x.text);
    return err_ok();
}
