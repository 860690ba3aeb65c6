/* The state as the event sees it: the store, and its own effects laid over it. */
#include <string.h>

#include "base/require.h"
#include "rules/canon.h"
#include "rules/eval.h"

/* Builds u16 index and key components in the scratch buffer. */
static struct bytes make_key(struct machine *m, uint32_t index, const struct field *fields,
                             const struct value *keys, uint32_t count)
{
    require(index <= UINT16_MAX);
    buf_clear(&m->key);
    buf_put_u16(&m->key, (uint16_t)index);
    for (uint32_t i = 0; i < count; i++) {
        canon_put_key(&m->key, fields[i].type, keys[i]);
    }
    require(!m->key.overflow);
    return buf_bytes(&m->key);
}

static struct bytes components(struct bytes key)
{
    require(key.size >= 2);
    return bytes_of(key.data + 2, key.size - 2);
}

/* prefix and components as one text, in the arena. */
static struct bytes join(struct machine *m, struct bytes prefix, struct bytes rest)
{
    uint8_t *text = arena_new(m->arena, prefix.size + rest.size + 1, 1);
    memcpy(text, prefix.data, prefix.size);
    if (rest.size > 0) {
        memcpy(text + prefix.size, rest.data, rest.size);
    }
    return bytes_of(text, prefix.size + rest.size);
}

/* The same in a second scratch buffer, valid until its next use. */
static struct bytes full_key(struct machine *m, struct bytes prefix, struct bytes rest)
{
    buf_clear(&m->full);
    buf_put_bytes(&m->full, prefix);
    if (rest.size > 0) {
        buf_put_bytes(&m->full, rest);
    }
    require(!m->full.overflow);
    return buf_bytes(&m->full);
}

/* ---- rows ---- */

/* Finds out how the rows of a table were written; before any view into the store is held, because
 * it may ask the store. */
static void find_layout(struct machine *m, const struct table *t)
{
    if (m->layouts[t->index] != NULL) {
        return;
    }
    m->layouts[t->index] = t->row;
    if (!t->uses || m->store->owner == NULL) {
        return;
    }
    const struct rules_program *owner = m->store->owner(m->store->ctx, t->owner);
    if (owner != NULL) {
        const struct table *own = program_table(owner, t->name);
        require(own != NULL); /* rules_uses_check saw it */
        m->layouts[t->index] = own->row;
    }
}

/* The values of a stored row: keys from its components, fields from its bytes. */
static const struct value *decode_row(struct machine *m, const struct table *t,
                                      struct bytes key_components, struct bytes row)
{
    struct value *values = arena_new(m->arena, t->row->field_count, sizeof *values);
    struct cursor c = cursor_of(key_components);
    for (uint32_t i = 0; i < t->key_count; i++) {
        require(canon_read_key(&c, t->row->fields[i].type, m->arena, &values[i]));
    }
    require(cursor_done(&c));
    require(canon_read_row(row, m->layouts[t->index], t->row, m->arena, values));
    return values;
}

static struct row_entry *add_entry(struct machine *m, const struct table *t, struct bytes key,
                                   const struct value *values)
{
    struct tree_node *n = tree_add(&m->rows, key, sizeof(struct row_entry));
    struct row_entry *e = n->value;
    e->table = t;
    e->components = components(n->key);
    e->before = values;
    e->now = values;
    return e;
}

struct row_entry *overlay_row(struct machine *m, const struct table *t, const struct value *keys)
{
    find_layout(m, t);
    struct bytes key = make_key(m, t->index, t->row->fields, keys, t->key_count);
    struct row_entry *e = tree_get(&m->rows, key);
    if (e != NULL) {
        return e;
    }
    struct bytes row;
    const struct value *values = NULL;
    if (m->store->get(m->store->ctx, full_key(m, t->prefix, components(key)), &row)) {
        values = decode_row(m, t, components(key), row);
    }
    return add_entry(m, t, key, values);
}

/* Takes a row of the store into the overlay, unless it is there already. */
static struct row_entry *take_row(struct machine *m, const struct table *t,
                                  struct bytes key_components, struct bytes row)
{
    buf_clear(&m->key);
    buf_put_u16(&m->key, (uint16_t)t->index);
    buf_put_bytes(&m->key, key_components);
    struct row_entry *e = tree_get(&m->rows, buf_bytes(&m->key));
    if (e != NULL) {
        return e;
    }
    return add_entry(m, t, buf_bytes(&m->key), decode_row(m, t, key_components, row));
}

/* Lowers a number at the end of a key by one; false: it was the least. The last key component of
 * such tables is an int, date or timestamp, whose octets order as it does. */
static bool step_below(uint8_t *key, size_t size, size_t first)
{
    for (size_t i = size; i > first; i--) {
        if (key[i - 1]-- != 0) {
            return true;
        }
    }
    return false;
}

/* The nearest row of the store at or below the key that the event has not removed. */
static struct row_entry *seek_store(struct machine *m, const struct table *t, struct bytes prefix,
                                    struct bytes key)
{
    uint8_t *at = arena_new(m->arena, key.size, 1);
    memcpy(at, key.data, key.size);
    for (;;) {
        struct bytes found;
        struct bytes row;
        if (!m->store->seek_at_most(m->store->ctx, prefix, bytes_of(at, key.size), &found, &row)) {
            return NULL;
        }
        require(found.size == key.size);
        require(bytes_has_prefix(found, prefix));
        memcpy(at, found.data, key.size);
        struct bytes rest = bytes_of(at + t->prefix.size, key.size - t->prefix.size);
        struct row_entry *e = take_row(m, t, rest, row);
        if (e->now != NULL) {
            return e;
        }
        if (!step_below(at, key.size, prefix.size)) {
            return NULL;
        }
    }
}

struct row_entry *overlay_seek(struct machine *m, const struct table *t, const struct value *keys)
{
    find_layout(m, t);
    struct bytes first = make_key(m, t->index, t->row->fields, keys, t->key_count - 1);
    struct bytes prefix = arena_copy(m->arena, first);
    struct bytes made = make_key(m, t->index, t->row->fields, keys, t->key_count);
    struct bytes key = arena_copy(m->arena, made);
    struct row_entry *stored = seek_store(m, t, join(m, t->prefix, components(prefix)),
                                          join(m, t->prefix, components(key)));
    const struct tree_node *n = tree_below(&m->rows, key, true);
    while (n != NULL && bytes_has_prefix(n->key, prefix)) {
        struct row_entry *e = n->value;
        if (e->now != NULL) {
            bool nearer = stored == NULL || bytes_compare(e->components, stored->components) > 0;
            return nearer ? e : stored;
        }
        n = tree_below(&m->rows, n->key, false);
    }
    return stored;
}

struct scan {
    struct machine *m;
    const struct table *table;
};

static bool scan_row(void *to, struct bytes key, struct bytes row)
{
    struct scan *s = to;
    size_t prefix = s->table->prefix.size;
    require(key.size >= prefix);
    (void)take_row(s->m, s->table, bytes_of(key.data + prefix, key.size - prefix), row);
    return true;
}

struct value overlay_scan(struct machine *m, const struct table *t, const struct value *keys,
                          uint32_t count)
{
    find_layout(m, t);
    struct bytes made = make_key(m, t->index, t->row->fields, keys, count);
    struct bytes prefix = arena_copy(m->arena, made);
    struct scan s = {m, t};
    m->store->scan(m->store->ctx, full_key(m, t->prefix, components(prefix)), &s, scan_row);
    struct vector rows = {0};
    const struct tree_node *n = tree_above(&m->rows, prefix, true);
    for (; n != NULL && bytes_has_prefix(n->key, prefix); n = tree_above(&m->rows, n->key, false)) {
        const struct row_entry *e = n->value;
        if (e->now != NULL) {
            struct value *v = machine_push(m, &rows, sizeof *v);
            *v = (struct value){.as.fields = e->now, .present = true};
        }
    }
    require(rows.count <= t->max);
    return (struct value){.as.list = {rows.at, rows.count}, .present = true};
}

/* Clause 0.5 counts rows per first key; a table of one key has at most one of them. */
static struct count_entry *rows_beside(struct machine *m, const struct row_entry *e,
                                       const struct value *keys)
{
    const struct table *t = e->table;
    struct bytes key = make_key(m, t->index, t->row->fields, keys, 1);
    struct count_entry *count = tree_get(&m->counts, key);
    if (count == NULL) {
        struct bytes full = full_key(m, t->prefix, components(key));
        uint64_t stored = m->store->count(m->store->ctx, full);
        count = tree_add(&m->counts, key, sizeof *count)->value;
        count->count = (int64_t)stored;
        /* rows that the event wrote before the first count of this key */
        struct bytes prefix = arena_copy(m->arena, key);
        const struct tree_node *n = tree_above(&m->rows, prefix, true);
        for (; n != NULL && bytes_has_prefix(n->key, prefix);
             n = tree_above(&m->rows, n->key, false)) {
            const struct row_entry *other = n->value;
            count->count += (other->now != NULL) - (other->before != NULL);
        }
    }
    return count;
}

void overlay_write(struct machine *m, struct row_entry *e, const struct value *now)
{
    const struct table *t = e->table;
    require(!t->uses || m->in_test);
    if (t->max > 0 && t->key_count > 1 && (e->now == NULL) != (now == NULL)) {
        struct count_entry *count = rows_beside(m, e, now != NULL ? now : e->now);
        if (now != NULL && count->count >= (int64_t)t->max) {
            char *why = arena_printf(m->arena, "%.*s is full (at most %u rows)", (int)t->name.size,
                                     (const char *)t->name.data, t->max);
            machine_reject(m, "0.5", m->line, bytes_text(why));
        }
        count->count += now != NULL ? 1 : -1;
    }
    e->now = now;
    e->line = m->line;
    e->written = true;
}

/* ---- accounts ---- */

struct account_entry *overlay_account(struct machine *m, const struct family *f,
                                      const struct value *keys)
{
    struct bytes key = make_key(m, f->index, f->keys, keys, f->key_count);
    struct account_entry *e = tree_get(&m->accounts, key);
    if (e != NULL) {
        return e;
    }
    e = tree_add(&m->accounts, key, sizeof *e)->value;
    struct value *kept = arena_new(m->arena, (size_t)f->key_count + 1, sizeof *kept);
    if (f->key_count > 0) {
        memcpy(kept, keys, f->key_count * sizeof *kept);
    }
    e->family = f;
    e->keys = kept;
    e->key = join(m, f->prefix, components(key));
    e->before = m->store->balance(m->store->ctx, e->key);
    e->now = e->before;
    return e;
}

struct issuance_entry *overlay_issuance(struct machine *m, const struct family *f)
{
    require(f->index < m->p->family_count);
    struct issuance_entry *e = &m->issuances[f->index];
    if (!e->loaded) {
        e->now = m->store->balance(m->store->ctx, f->issuance);
        e->loaded = true;
    }
    return e;
}

struct tally_entry *overlay_tally(struct machine *m, const struct tally *t,
                                  const struct value *keys)
{
    struct bytes key = make_key(m, t->index, t->keys, keys, t->key_count);
    struct tally_entry *e = tree_get(&m->tallies, key);
    return e != NULL ? e : tree_add(&m->tallies, key, sizeof *e)->value;
}
