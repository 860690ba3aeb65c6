/* A decision in plain language, from its outcome, effects and trace (section 13). */
#include "rules/explain.h"

#include <string.h>

#include "base/limits.h"
#include "base/require.h"
#include "rules/compile.h"
#include "rules/explain_words.h"
#include "rules/json.h"
#include "rules/span.h"

enum { ENTRIES_MAX = 200 }; /* of trace or effects: a person reads no more */

struct telling {
    const struct rules_program *p; /* NULL: none was in force; then there is no trace */
    enum rules_language l;
    struct buf *out;
    struct bytes clause; /* of the last entry told */
};

/* ---- reading entries ---- */

static const struct raw *item(const struct raw *list, size_t i)
{
    static const struct raw none = {.kind = RAW_NONE};
    return list->kind == RAW_LIST && i < list->as.list.count ? &list->as.list.items[i] : &none;
}

static struct bytes text_of(const struct raw *v)
{
    return v->kind == RAW_TEXT ? v->as.text : bytes_text("");
}

static struct bytes member_text(const struct raw *object, const char *name)
{
    const struct raw *v = json_member(object, name);
    return v == NULL ? bytes_text("") : text_of(v);
}

static uint32_t line_of(const struct raw *v)
{
    return v->kind == RAW_INT && v->as.number >= 0 && v->as.number <= CONTRACT_BYTES_MAX
               ? (uint32_t)v->as.number
               : 0;
}

static bool is(struct bytes text, const char *what)
{
    return bytes_equal(text, bytes_text(what));
}

static void say(struct telling *t, enum phrase phrase)
{
    buf_put_text(t->out, explain_phrase(t->l, phrase));
}

static void put(struct telling *t, const char *text)
{
    buf_put_text(t->out, text);
}

/* French sets a blank before a colon. */
static void colon(struct telling *t)
{
    put(t, t->l == RULES_FRENCH ? " : " : ": ");
}

/* A heading on a line of its own. */
static void heading(struct telling *t, enum phrase phrase)
{
    put(t, "\n");
    say(t, phrase);
    put(t, t->l == RULES_FRENCH ? " :\n" : ":\n");
}

/* clause 5 "title" */
static void put_clause(struct telling *t, struct bytes clause)
{
    struct bytes title = t->p == NULL ? bytes_text("") : span_clause_title(t->p, clause);
    say(t, PHRASE_CLAUSE);
    put(t, " ");
    buf_put_bytes(t->out, clause);
    if (title.size > 0) {
        put(t, t->l == RULES_FRENCH ? " « " : " “");
        buf_put_bytes(t->out, title);
        put(t, t->l == RULES_FRENCH ? " »" : "”");
    }
}

/* wallet[anna, 2026] */
static void put_keys(struct telling *t, struct bytes name, const struct raw *keys)
{
    buf_put_bytes(t->out, name);
    if (keys->kind == RAW_LIST && keys->as.list.count > 0) {
        explain_put_value(t->l, keys, t->out);
    }
}

/* ---- the condition of a statement, as the contract says it ---- */

/* Conjunct `index`, or all of it; false: the line does not tell which statement it was. */
static bool put_condition(struct telling *t, uint32_t line, const char *word, int64_t index)
{
    size_t at = 0;
    if (t->p == NULL || !span_statement(t->p, line, word, &at)) {
        return false;
    }
    struct span s = span_condition(t->p, at);
    if (index >= 0 && !span_conjunct(t->p, s, (uint32_t)index, &s)) {
        return false;
    }
    span_print(t->p, s, t->out);
    return true;
}

/* ---- what was examined ---- */

static void tell_require(struct telling *t, const struct raw *e, uint32_t line)
{
    bool held = item(e, 3)->kind == RAW_BOOL && item(e, 3)->as.truth;
    say(t, held ? PHRASE_HOLDS : PHRASE_FAILS);
    colon(t);
    int64_t index = !held && item(e, 4)->kind == RAW_INT ? item(e, 4)->as.number : -1;
    if (!put_condition(t, line, "require", index)) {
        put(t, "require");
    }
    if (!held && item(e, 5)->kind != RAW_NONE) {
        put(t, " (");
        explain_put_value(t->l, item(e, 5), t->out);
        put(t, " ");
        say(t, PHRASE_AGAINST);
        put(t, " ");
        explain_put_value(t->l, item(e, 6), t->out);
        put(t, ")");
    }
}

static void tell_if(struct telling *t, const struct raw *e, uint32_t line)
{
    say(t, PHRASE_CONDITION);
    put(t, " ");
    if (!put_condition(t, line, "if", -1)) {
        put(t, "…");
    }
    put(t, "? ");
    explain_put_value(t->l, item(e, 3), t->out);
}

static void tell_round(struct telling *t, const struct raw *e)
{
    explain_put_value(t->l, item(e, 3), t->out);
    put(t, " ");
    say(t, PHRASE_ROUNDED);
    put(t, " ");
    explain_put_value(t->l, item(e, 4), t->out);
    put(t, " (");
    explain_put_mode(t->l, text_of(item(e, 5)), t->out);
    put(t, ")");
}

static void tell_apportion(struct telling *t, const struct raw *e)
{
    explain_put_value(t->l, item(e, 3), t->out);
    put(t, " ");
    say(t, PHRASE_SHARED);
    put(t, " ");
    say(t, PHRASE_WEIGHTS);
    put(t, " ");
    explain_put_value(t->l, item(e, 4), t->out);
    put(t, "; ");
    say(t, PHRASE_SHARES);
    put(t, " ");
    explain_put_value(t->l, item(e, 5), t->out);
}

static void tell_clear(struct telling *t, const struct raw *e)
{
    if (item(e, 3)->kind == RAW_NONE) {
        say(t, PHRASE_NO_PRICE);
        return;
    }
    say(t, PHRASE_PRICE);
    put(t, " ");
    explain_put_value(t->l, item(e, 3), t->out);
    put(t, "; ");
    say(t, PHRASE_BOUGHT);
    put(t, " ");
    explain_put_value(t->l, item(e, 4), t->out);
    put(t, "; ");
    say(t, PHRASE_SOLD);
    put(t, " ");
    explain_put_value(t->l, item(e, 5), t->out);
}

static void tell_entry(struct telling *t, const struct raw *e)
{
    struct bytes clause = text_of(item(e, 0));
    uint32_t line = line_of(item(e, 1));
    struct bytes kind = text_of(item(e, 2));
    if (!bytes_equal(clause, t->clause)) {
        put(t, "  ");
        put_clause(t, clause);
        put(t, "\n");
        t->clause = clause;
    }
    put(t, "    ");
    say(t, PHRASE_LINE);
    buf_printf(t->out, " %u", line);
    colon(t);
    if (is(kind, "let")) {
        buf_put_bytes(t->out, text_of(item(e, 3)));
        put(t, " = ");
        explain_put_value(t->l, item(e, 4), t->out);
    } else if (is(kind, "require")) {
        tell_require(t, e, line);
    } else if (is(kind, "if")) {
        tell_if(t, e, line);
    } else if (is(kind, "for")) {
        say(t, PHRASE_TIMES);
        colon(t);
        explain_put_value(t->l, item(e, 3), t->out);
    } else if (is(kind, "round")) {
        tell_round(t, e);
    } else if (is(kind, "apportion")) {
        tell_apportion(t, e);
    } else if (is(kind, "clear")) {
        tell_clear(t, e);
    }
    put(t, "\n");
}

static void tell_list(struct telling *t, const struct raw *list, enum phrase head,
                      void (*tell)(struct telling *t, const struct raw *e))
{
    if (list->as.list.count == 0) {
        return;
    }
    heading(t, head);
    t->clause = bytes_text("");
    for (size_t i = 0; i < list->as.list.count && i < ENTRIES_MAX; i++) {
        tell(t, item(list, i));
    }
    if (list->as.list.count > ENTRIES_MAX) {
        buf_printf(t->out, "    … %zu %s\n", list->as.list.count - ENTRIES_MAX,
                   explain_phrase(t->l, PHRASE_MORE));
    }
}

/* ---- what changed ---- */

static void tell_posting(struct telling *t, const struct raw *e, struct bytes kind)
{
    bool transfer = is(kind, "transfer");
    explain_put_value(t->l, item(e, transfer ? 7 : 5), t->out);
    put(t, " ");
    say(t, transfer ? PHRASE_FROM : is(kind, "issue") ? PHRASE_ISSUED : PHRASE_RETIRED);
    put(t, " ");
    put_keys(t, text_of(item(e, 3)), item(e, 4));
    if (transfer) {
        put(t, " ");
        say(t, PHRASE_TO);
        put(t, " ");
        put_keys(t, text_of(item(e, 5)), item(e, 6));
    }
}

static void tell_effect(struct telling *t, const struct raw *e)
{
    struct bytes kind = text_of(item(e, 0));
    put(t, "    ");
    if (is(kind, "put") || is(kind, "del")) {
        say(t, is(kind, "put") ? PHRASE_WRITTEN : PHRASE_REMOVED);
        colon(t);
        put_keys(t, text_of(item(e, 2)), item(e, 3));
        if (is(kind, "put")) {
            put(t, " ");
            explain_put_value(t->l, item(e, 4), t->out);
        }
        put(t, "\n");
        return;
    }
    if (is(kind, "emit") || is(kind, "schedule")) {
        bool emit = is(kind, "emit");
        say(t, emit ? PHRASE_ANNOUNCED : PHRASE_SCHEDULED);
        if (!emit) {
            put(t, " ");
            explain_put_value(t->l, item(e, 5), t->out);
        }
        colon(t);
        buf_put_bytes(t->out, text_of(item(e, 3)));
        put(t, " ");
        explain_put_value(t->l, item(e, 4), t->out);
    } else {
        tell_posting(t, e, kind);
    }
    put(t, " (");
    say(t, PHRASE_CLAUSE);
    put(t, " ");
    buf_put_bytes(t->out, text_of(item(e, 1)));
    put(t, ")\n");
}

/* ---- the decision ---- */

static void tell_contract(struct telling *t)
{
    const struct rules_facts *f = &t->p->facts;
    say(t, PHRASE_CONTRACT);
    put(t, " ");
    buf_put_bytes(t->out, f->contract);
    put(t, ", ");
    say(t, PHRASE_VERSION);
    buf_printf(t->out, " %lld", (long long)f->version);
    if (f->title.size > 0) {
        colon(t);
        buf_put_bytes(t->out, f->title);
    }
    put(t, "\n");
}

static void tell_head(struct telling *t, const struct raw *outcome)
{
    if (t->p != NULL) {
        tell_contract(t);
    }
    say(t, PHRASE_EVENT);
    put(t, " ");
    buf_put_bytes(t->out, member_text(outcome, "event"));
    put(t, ", ");
    explain_put_text(t->l, member_text(outcome, "now"), t->out);
    struct bytes legal = member_text(outcome, "legal");
    if (legal.size > 0) {
        put(t, ", ");
        say(t, PHRASE_LAW_OF);
        put(t, " ");
        explain_put_text(t->l, legal, t->out);
    }
    put(t, "\n\n");
}

static bool of_ledger(struct bytes clause)
{
    return bytes_has_prefix(clause, bytes_text("0."));
}

static void tell_end(struct telling *t, const struct raw *outcome)
{
    struct bytes end = member_text(outcome, "end");
    struct bytes clause = member_text(outcome, "clause");
    struct bytes why = member_text(outcome, "why");
    if (is(end, "accepted")) {
        say(t, PHRASE_ACCEPTED);
        put(t, "\n");
        return;
    }
    say(t, is(end, "rejected") ? PHRASE_REFUSED : PHRASE_FAULT);
    put(t, is(end, "rejected") ? " " : ", ");
    if (of_ledger(clause)) {
        say(t, PHRASE_LEDGER_RULE);
        put(t, " (");
        buf_put_bytes(t->out, clause);
        put(t, ")");
    } else {
        put_clause(t, clause);
    }
    put(t, ".\n");
    if (is(end, "fault")) {
        why = member_text(outcome, "kind");
    }
    if (why.size > 0) {
        say(t, PHRASE_REASON);
        colon(t);
        if (is(end, "fault")) {
            explain_put_fault(t->l, why, t->out);
        } else if (of_ledger(clause)) {
            explain_put_ledger_reason(t->l, why, t->out);
        } else {
            buf_put_bytes(t->out, why);
        }
        put(t, "\n");
    }
}

/* The require on which the event ended: the last entry of the trace. */
static void tell_missing(struct telling *t, const struct raw *trace)
{
    const struct raw *e = item(trace, trace->as.list.count - 1);
    const struct raw *left = item(e, 5);
    const struct raw *right = item(e, 6);
    bool failed_require = is(text_of(item(e, 2)), "require") && item(e, 3)->kind == RAW_BOOL &&
                          !item(e, 3)->as.truth && item(e, 4)->kind == RAW_INT;
    if (!failed_require) {
        return;
    }
    heading(t, PHRASE_MISSING);
    put(t, "    ");
    say(t, PHRASE_REQUIRED);
    colon(t);
    if (!put_condition(t, line_of(item(e, 1)), "require", item(e, 4)->as.number)) {
        say(t, PHRASE_LINE);
        buf_printf(t->out, " %u", line_of(item(e, 1)));
    }
    put(t, "\n");
    if (left->kind == RAW_NONE) {
        return;
    }
    put(t, "    ");
    say(t, PHRASE_FOUND);
    colon(t);
    explain_put_value(t->l, left, t->out);
    put(t, " ");
    say(t, PHRASE_AGAINST);
    put(t, " ");
    explain_put_value(t->l, right, t->out);
    size_t before = t->out->size;
    put(t, "; ");
    say(t, PHRASE_DIFFERENCE);
    put(t, " ");
    if (!explain_put_difference(t->l, left, right, t->out)) {
        t->out->size = before;
    }
    put(t, "\n");
}

static err tell(struct telling *t, const struct raw *outcome, const struct raw *effects,
                const struct raw *trace, struct errtext *reterr)
{
    if (outcome == NULL || outcome->kind != RAW_RECORD || effects == NULL ||
        effects->kind != RAW_LIST || trace == NULL || trace->kind != RAW_LIST) {
        return err_fail(reterr, ERR_INVALID, "this is no result of a contract");
    }
    tell_head(t, outcome);
    tell_end(t, outcome);
    bool accepted = is(member_text(outcome, "end"), "accepted");
    if (is(member_text(outcome, "end"), "rejected") && trace->as.list.count > 0) {
        tell_missing(t, trace);
    }
    tell_list(t, effects, PHRASE_CHANGED, tell_effect);
    if (!accepted || effects->as.list.count == 0) {
        put(t, "\n");
        say(t, PHRASE_UNCHANGED);
        put(t, "\n");
    }
    tell_list(t, trace, PHRASE_EXAMINED, tell_entry);
    return t->out->overflow ? err_fail(reterr, ERR_LIMIT, "the explanation is too long") : err_ok();
}

err rules_explain(const struct rules_program *program, const struct rules_decision *decision,
                  enum rules_language language, struct buf *out, struct errtext *reterr)
{
    require(decision != NULL);
    require(out != NULL);
    const struct bytes parts[3] = {decision->outcome, decision->effects, decision->trace};
    struct raw read[3];
    struct telling t = {.p = program, .l = language, .out = out};
    struct arena arena;
    const char *why = NULL;
    arena_init(&arena, (size_t)RULES_APPLY_ARENA_MAX);
    for (size_t i = 0; i < 3 && why == NULL; i++) {
        why = json_parse(parts[i], &arena, &read[i]);
    }
    err e = why != NULL ? err_fail(reterr, ERR_INVALID, "%s", why)
                        : tell(&t, &read[0], &read[1], &read[2], reterr);
    arena_done(&arena);
    return e;
}

err rules_explain_line(const struct rules_program *program, struct bytes line,
                       enum rules_language language, struct buf *out, struct errtext *reterr)
{
    require(program != NULL);
    require(out != NULL);
    struct raw result;
    struct telling t = {.p = program, .l = language, .out = out};
    struct arena arena;
    arena_init(&arena, (size_t)RULES_APPLY_ARENA_MAX);
    const char *why = json_parse(line, &arena, &result);
    if (why == NULL && result.kind != RAW_RECORD) {
        why = "an object is expected";
    }
    err e = why != NULL ? err_fail(reterr, ERR_INVALID, "%s", why)
                        : tell(&t, json_member(&result, "outcome"), json_member(&result, "effects"),
                               json_member(&result, "trace"), reterr);
    arena_done(&arena);
    return e;
}
