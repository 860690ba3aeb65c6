/* Which optional fields and arguments are known to be present (section 5.4). A fact is the path of
 * a place as text; two expressions with one path are one place as long as no row in it was written.
 */
#include "rules/check.h"

#include "base/require.h"
#include "rules/builtin.h"

static bool put_path(struct checker *k, const struct node *n, struct buf *out);

static bool put_items(struct checker *k, const struct node *n, struct buf *out)
{
    for (uint32_t i = 0; i < n->count; i++) {
        if (!put_path(k, n->items[i], out)) {
            return false;
        }
        buf_put_text(out, ",");
    }
    return true;
}

static void put_literal(const struct node *n, struct buf *out)
{
    char text[NUM_TEXT_MAX];
    buf_printf(out, "L%d:", n->type->kind);
    if (type_is_text(n->type)) {
        buf_put_sized(out, n->constant.as.text);
    } else if (n->type->kind == TYPE_BOOL) {
        buf_put_u8(out, n->constant.as.truth);
    } else {
        (void)num_print(n->constant.as.number, text);
        buf_put_text(out, text);
        (void)num_print(n->type->unit.scale.den, text);
        buf_printf(out, "/%s", text);
    }
}

static bool put_row(struct checker *k, const struct node *n, struct buf *out)
{
    buf_printf(out, "%c%u[", n->kind == NODE_ROW ? 'r' : 'k', n->ref.table->index);
    bool ok = put_items(k, n, out);
    buf_put_text(out, "]");
    return ok;
}

static bool put_part(struct checker *k, const struct node *n, struct buf *out)
{
    if (n->kind == NODE_FIELD) {
        bool ok = put_path(k, n->a, out);
        buf_printf(out, ".%u", n->index);
        return ok;
    }
    require(n->kind == NODE_ITEM);
    bool ok = put_path(k, n->a, out);
    buf_put_text(out, "#");
    return ok && put_path(k, n->b, out);
}

static bool put_call(struct checker *k, const struct node *n, struct buf *out)
{
    buf_printf(out, "%s%u(", builtin_name(n->ref.builtin), n->choice);
    buf_printf(out, "%d,%d", n->zone.offset_s, n->zone.summer);
    bool ok = put_items(k, n, out);
    buf_put_text(out, ")");
    return ok;
}

static bool put_term(struct checker *k, const struct node *n, struct buf *out)
{
    buf_put_bytes(out, n->ref.term->name);
    buf_put_text(out, "@");
    return n->a == NULL || put_path(k, n->a, out);
}

/* Names, fields, keys, literals and plain calls; other expressions are no paths. */
static bool put_path(struct checker *k, const struct node *n, struct buf *out)
{
    while (n->kind == NODE_CONVERT) {
        n = n->a;
    }
    if (n->kind == NODE_SLOT) {
        buf_printf(out, "s%u", n->slot);
        return true;
    }
    if (n->kind == NODE_NOW) {
        buf_put_text(out, "now");
        return true;
    }
    if (n->kind == NODE_LITERAL) {
        put_literal(n, out);
        return true;
    }
    if (n->kind == NODE_TERM) {
        return put_term(k, n, out);
    }
    if (n->kind == NODE_FIELD || n->kind == NODE_ITEM) {
        return put_part(k, n, out);
    }
    if (n->kind == NODE_ROW || n->kind == NODE_SEEK) {
        return put_row(k, n, out);
    }
    return n->kind == NODE_CALL && put_call(k, n, out);
}

struct bytes presence_path(struct checker *k, const struct node *n)
{
    struct buf out;
    struct bytes path = {NULL, 0};
    buf_init(&out, 64 << 10);
    if (put_path(k, n, &out) && !out.overflow) {
        uint8_t *copy = NULL;
        size_t size = out.size;
        copy = arena_try(k->c->arena, size + 1, 1);
        if (copy != NULL) {
            memcpy(copy, out.data, size);
            path = bytes_of(copy, size);
        }
    }
    buf_done(&out);
    return path;
}

bool presence_known(struct checker *k, const struct node *n)
{
    struct bytes path = presence_path(k, n);
    if (path.size == 0) {
        return false;
    }
    for (const struct fact *f = k->facts; f != NULL; f = f->next) {
        if (bytes_equal(f->path, path)) {
            return true;
        }
    }
    return false;
}

static void add_fact(struct checker *k, const struct node *n)
{
    /* the place that was asked for, as a read of it would look */
    struct node read = *n;
    read.kind = n->kind == NODE_HAS_FIELD ? NODE_FIELD : NODE_SLOT;
    struct bytes path = presence_path(k, &read);
    if (path.size == 0) {
        return;
    }
    struct fact *f = compile_new(k->c, 1, sizeof *f);
    *f = (struct fact){k->facts, path, n};
    k->facts = f;
}

void presence_assume(struct checker *k, const struct node *n, bool truth)
{
    /* conjuncts of a true condition, disjuncts of a false one */
    while (n->kind == (truth ? NODE_AND : NODE_OR)) {
        presence_assume(k, n->b, truth);
        n = n->a;
    }
    if (!truth && n->kind == NODE_NOT) {
        n = n->a;
    } else if (!truth) {
        return;
    }
    if (n->kind == NODE_HAS_FIELD || n->kind == NODE_HAS_SLOT) {
        add_fact(k, n);
    }
}

/* Does the path of the node read a row of the table? */
static bool reads_table(const struct node *n, const struct table *table)
{
    if (n == NULL) {
        return false;
    }
    if ((n->kind == NODE_ROW || n->kind == NODE_SEEK) && n->ref.table == table) {
        return true;
    }
    for (uint32_t i = 0; i < n->count; i++) {
        if (reads_table(n->items[i], table)) {
            return true;
        }
    }
    return reads_table(n->a, table) || reads_table(n->b, table);
}

void presence_forget(struct checker *k, const struct table *table)
{
    const struct fact *kept = NULL;
    for (const struct fact *f = k->facts; f != NULL; f = f->next) {
        if (!reads_table(f->node, table)) {
            struct fact *copy = compile_new(k->c, 1, sizeof *copy);
            *copy = (struct fact){kept, f->path, f->node};
            kept = copy;
        }
    }
    k->facts = kept;
}

static void forget_place(struct checker *k, const struct place *place)
{
    const struct table *t = program_table(k->p, place->name);
    if (t != NULL) {
        presence_forget(k, t);
    }
}

void presence_forget_writes(struct checker *k, const struct block *block)
{
    for (size_t i = 0; block != NULL && i < block->count; i++) {
        const struct stmt *s = block->at[i];
        if (s->kind == STMT_SET || s->kind == STMT_ADD || s->kind == STMT_REMOVE) {
            forget_place(k, &s->to);
        }
        presence_forget_writes(k, s->body);
        presence_forget_writes(k, s->other);
    }
}
