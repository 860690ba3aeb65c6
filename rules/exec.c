/* Statements that steer, and the trace. */
#include <string.h>

#include "base/require.h"
#include "rules/apportion.h"
#include "rules/canon.h"
#include "rules/clear.h"
#include "rules/eval.h"

/* ---- the trace ---- */

void trace_begin(struct machine *m, const char *kind)
{
    buf_put_text(&m->trace, m->first_trace ? "[" : ",[");
    m->first_trace = false;
    canon_put_string(&m->trace, m->clause);
    buf_put_u8(&m->trace, ',');
    canon_put_uint(&m->trace, m->line);
    buf_put_text(&m->trace, ",\"");
    buf_put_text(&m->trace, kind);
    buf_put_text(&m->trace, "\",");
}

void trace_end(struct machine *m)
{
    buf_put_u8(&m->trace, ']');
    require(!m->trace.overflow); /* the static bound says so */
}

static void put_value(struct machine *m, const struct type *t, struct value v)
{
    canon_put_value(&m->trace, m->p->env.registry, t, v);
}

/* ---- conditions ---- */

static void exec_let(struct machine *m, const struct stmt *s)
{
    struct value v = eval(m, s->value);
    m->frame[s->slot] = v;
    trace_begin(m, "let");
    canon_put_string(&m->trace, s->name);
    buf_put_u8(&m->trace, ',');
    put_value(m, s->value->type, v);
    trace_end(m);
}

static bool shows_sides(const struct node *n)
{
    bool comparison = n->kind == NODE_EQ || n->kind == NODE_NE || n->kind == NODE_LT ||
                      n->kind == NODE_LE || n->kind == NODE_GT || n->kind == NODE_GE;
    return comparison && n->a->type->kind != TYPE_LIST;
}

static void exec_require(struct machine *m, const struct stmt *s)
{
    struct conjunct c = {0};
    bool held = eval_conjuncts(m, s->value, &c);
    trace_begin(m, "require");
    if (held) {
        buf_put_text(&m->trace, "true");
        trace_end(m);
        return;
    }
    buf_printf(&m->trace, "false,%u", c.index);
    if (shows_sides(c.failed)) {
        buf_put_u8(&m->trace, ',');
        put_value(m, c.failed->a->type, c.left);
        buf_put_u8(&m->trace, ',');
        put_value(m, c.failed->b->type, c.right);
    }
    trace_end(m);
    m->end = RULES_REJECTED;
    m->why = s->reason;
    longjmp(m->stop, 1);
}

static void exec_if(struct machine *m, const struct stmt *s)
{
    bool truth = eval(m, s->value).as.truth;
    trace_begin(m, "if");
    buf_put_text(&m->trace, truth ? "true" : "false");
    trace_end(m);
    if (truth) {
        exec_block(m, s->body);
    } else if (s->other != NULL) {
        exec_block(m, s->other);
    }
}

static void exec_for(struct machine *m, const struct stmt *s)
{
    struct value list = eval(m, s->value);
    trace_begin(m, "for");
    canon_put_uint(&m->trace, list.as.list.count);
    trace_end(m);
    for (size_t i = 0; i < list.as.list.count; i++) {
        machine_charge(m, 1);
        m->frame[s->slot] = list.as.list.items[i];
        exec_block(m, s->body);
    }
}

/* ---- shares ---- */

/* The ceiling of the binary logarithm; 0 for 0 and 1. */
static int64_t log2_ceiling(size_t n)
{
    int64_t log = 0;
    for (size_t power = 1; power < n; power *= 2) {
        log++;
    }
    return log;
}

static int64_t sorting_steps(size_t n)
{
    return (int64_t)n * (8 + log2_ceiling(n));
}

static void put_numbers(struct machine *m, const struct type *t, const int128 *numbers,
                        size_t count)
{
    buf_put_u8(&m->trace, '[');
    for (size_t i = 0; i < count; i++) {
        if (i > 0) {
            buf_put_u8(&m->trace, ',');
        }
        put_value(m, t, (struct value){.as.number = numbers[i], .present = true});
    }
    buf_put_u8(&m->trace, ']');
}

void exec_apportion(struct machine *m, const struct stmt *s)
{
    struct value total = eval(m, s->value);
    struct value list = eval(m, s->list);
    size_t count = list.as.list.count;
    machine_charge(m, 20 + sorting_steps(count));
    int128 *weights = arena_new(m->arena, count + 1, sizeof *weights);
    int128 *shares = arena_new(m->arena, count + 1, sizeof *shares);
    struct apportion_scratch scratch = {
        arena_new(m->arena, count + 1, sizeof *scratch.remainders),
        arena_new(m->arena, count + 1, sizeof *scratch.heap),
    };
    for (size_t i = 0; i < count; i++) {
        m->frame[s->slot] = list.as.list.items[i];
        weights[i] = eval(m, s->weight).as.number;
    }
    machine_check(m, apportion(total.as.number, weights, count, scratch, shares));
    trace_begin(m, "apportion");
    put_value(m, s->value->type, total);
    buf_put_u8(&m->trace, ',');
    put_numbers(m, s->weight->type, weights, count);
    buf_put_u8(&m->trace, ',');
    put_numbers(m, s->value->type, shares, count);
    trace_end(m);
    for (size_t i = 0; i < count; i++) {
        m->frame[s->slot] = list.as.list.items[i];
        m->frame[s->share_slot] = (struct value){.as.number = shares[i], .present = true};
        exec_block(m, s->body);
    }
}

/* ---- clear ---- */

struct orders {
    struct value list;
    struct clear_order *orders;
    struct clear_side side;
};

static void make_orders(struct machine *m, struct value list, struct orders *ret)
{
    size_t count = list.as.list.count;
    ret->list = list;
    ret->orders = arena_new(m->arena, count + 1, sizeof *ret->orders);
    ret->side.orders = ret->orders;
    ret->side.count = count;
    ret->side.scratch = arena_new(m->arena, count + 1, sizeof *ret->side.scratch);
    ret->side.ret_shares = arena_new(m->arena, count + 1, sizeof *ret->side.ret_shares);
}

static void eval_orders(struct machine *m, const struct side *side, struct orders *o)
{
    for (size_t i = 0; i < o->side.count; i++) {
        m->frame[side->slot] = o->list.as.list.items[i];
        o->orders[i].quantity = eval(m, side->quantity).as.number;
        o->orders[i].price = eval(m, side->price).as.number;
    }
}

static void serve(struct machine *m, const struct stmt *s, const struct orders *o, size_t which)
{
    for (size_t i = 0; i < o->side.count; i++) {
        if (o->side.ret_shares[i] > 0) {
            m->frame[s->sides[which].slot] = o->list.as.list.items[i];
            m->frame[s->share_slot] =
                (struct value){.as.number = o->side.ret_shares[i], .present = true};
            exec_block(m, which == 0 ? s->body : s->other);
        }
    }
}

void exec_clear(struct machine *m, const struct stmt *s)
{
    struct orders bids;
    struct orders offers;
    struct value bid_list = eval(m, s->sides[0].list);
    struct value offer_list = eval(m, s->sides[1].list);
    make_orders(m, bid_list, &bids);
    make_orders(m, offer_list, &offers);
    machine_charge(m, 40 + sorting_steps(bids.side.count) + sorting_steps(offers.side.count));
    eval_orders(m, &s->sides[0], &bids);
    eval_orders(m, &s->sides[1], &offers);
    struct clear_price price = {0};
    machine_check(m, clear_auction(&bids.side, &offers.side, &price));
    struct value v = {.as.number = price.price, .present = true};
    trace_begin(m, "clear");
    if (price.traded) {
        put_value(m, s->sides[0].price->type, v);
    } else {
        buf_put_text(&m->trace, "null");
    }
    buf_put_u8(&m->trace, ',');
    put_numbers(m, s->sides[0].quantity->type, bids.side.ret_shares, bids.side.count);
    buf_put_u8(&m->trace, ',');
    put_numbers(m, s->sides[1].quantity->type, offers.side.ret_shares, offers.side.count);
    trace_end(m);
    if (price.traded) {
        m->frame[s->price_slot] = v;
        serve(m, s, &bids, 0);
        serve(m, s, &offers, 1);
    }
}

/* ---- blocks ---- */

static void exec_statement(struct machine *m, const struct stmt *s)
{
    m->clause = s->clause;
    m->line = s->line;
    machine_charge(m, 1);
    switch (s->kind) {
    case STMT_CLAUSE:
        return;
    case STMT_TALLY:
        return;
    case STMT_LET:
        exec_let(m, s);
        return;
    case STMT_REQUIRE:
        exec_require(m, s);
        return;
    case STMT_IF:
        exec_if(m, s);
        return;
    case STMT_FOR:
        exec_for(m, s);
        return;
    case STMT_APPORTION:
        exec_apportion(m, s);
        return;
    case STMT_CLEAR:
        exec_clear(m, s);
        return;
    case STMT_TRANSFER:
    case STMT_ISSUE:
    case STMT_RETIRE:
        exec_posting(m, s);
        return;
    case STMT_SET:
        exec_set(m, s);
        return;
    case STMT_ADD:
        exec_add(m, s);
        return;
    case STMT_REMOVE:
        exec_remove(m, s);
        return;
    case STMT_EMIT:
        exec_emit(m, s);
        return;
    case STMT_SCHEDULE:
        exec_schedule(m, s);
        return;
    }
}

void exec_block(struct machine *m, const struct block *block)
{
    for (size_t i = 0; i < block->count; i++) {
        exec_statement(m, block->at[i]);
    }
}
