/* Keys and rows between people and the store. */
#include <string.h>

#include "base/limits.h"
#include "base/require.h"
#include "base/utf8.h"
#include "rules/canon.h"
#include "rules/compile.h"
#include "rules/input.h"

/* ---- names written by people: wallet[c01], supply[2026-07-01, hall] ---- */

struct words {
    struct bytes name;
    struct bytes keys[RULES_KEYS_MAX];
    uint32_t count;
};

static struct bytes trim(struct bytes b)
{
    while (b.size > 0 && b.data[0] == ' ') {
        b = bytes_of(b.data + 1, b.size - 1);
    }
    while (b.size > 0 && b.data[b.size - 1] == ' ') {
        b.size--;
    }
    if (b.size >= 2 && b.data[0] == '"' && b.data[b.size - 1] == '"') {
        b = bytes_of(b.data + 1, b.size - 2);
    }
    return b;
}

static bool split_keys(struct bytes inside, struct words *ret)
{
    size_t start = 0;
    bool quoted = false;
    for (size_t i = 0; i <= inside.size; i++) {
        bool end = i == inside.size;
        if (!end && inside.data[i] == '"') {
            quoted = !quoted;
        }
        if (!end && (quoted || inside.data[i] != ',')) {
            continue;
        }
        if (ret->count == RULES_KEYS_MAX) {
            return false;
        }
        ret->keys[ret->count++] = trim(bytes_of(inside.data + start, i - start));
        start = i + 1;
    }
    return !quoted;
}

static bool split_words(struct bytes text, struct words *ret)
{
    *ret = (struct words){.name = text};
    text = trim(text);
    const uint8_t *open = text.size == 0 ? NULL : memchr(text.data, '[', text.size);
    if (open == NULL) {
        ret->name = text;
        return text.size > 0;
    }
    size_t at = (size_t)(open - text.data);
    ret->name = trim(bytes_of(text.data, at));
    return text.data[text.size - 1] == ']' &&
           split_keys(bytes_of(text.data + at + 1, text.size - at - 2), ret);
}

/* A key component written as text: numbers and truths as such, the rest as in JSON. */
static bool read_word(struct bytes word, const struct type *t, struct arena *arena,
                      struct value *ret)
{
    struct raw raw = {.kind = RAW_TEXT, .json = true, .as.text = word};
    if (t->kind == TYPE_INT) {
        raw.kind = RAW_INT;
        if (num_int_parse(word, &raw.as.number) != NUM_OK) {
            return false;
        }
    } else if (t->kind == TYPE_BOOL) {
        raw.kind = RAW_BOOL;
        raw.as.truth = bytes_equal(word, bytes_text("true"));
        if (!raw.as.truth && !bytes_equal(word, bytes_text("false"))) {
            return false;
        }
    }
    return input_validate_one(&raw, t, NULL, "key", arena, ret) == NULL;
}

static err put_words(const struct words *w, const struct field *fields, struct buf *out,
                     struct errtext *reterr)
{
    for (uint32_t i = 0; i < w->count; i++) {
        struct arena arena;
        struct value v = {0};
        arena_init(&arena, 1 << 20);
        bool ok = w->keys[i].size <= RULES_TEXT_MAX && utf8_valid(w->keys[i]) &&
                  read_word(w->keys[i], fields[i].type, &arena, &v);
        if (ok) {
            canon_put_key(out, fields[i].type, v);
        }
        arena_done(&arena);
        if (!ok) {
            struct buf type;
            buf_init(&type, 4096);
            type_print(fields[i].type, NULL, &type);
            err e = err_fail(reterr, ERR_INVALID, "the key '%.*s' is %.*s; '%.*s' is not",
                             BYTES_ARG(fields[i].name), (int)type.size, (const char *)type.data,
                             (int)(w->keys[i].size < 80 ? w->keys[i].size : 80),
                             (const char *)w->keys[i].data);
            buf_done(&type);
            return e;
        }
    }
    return err_ok();
}

err rules_account_key(const struct rules_program *program, struct bytes text, struct buf *ret_key,
                      size_t *ret_family, struct errtext *reterr)
{
    require(program != NULL);
    require(ret_key != NULL);
    struct words w;
    if (!split_words(text, &w)) {
        return err_fail(reterr, ERR_INVALID, "an account is written as name[key, key]");
    }
    const struct family *f = program_family(program, w.name);
    if (f == NULL) {
        return err_fail(reterr, ERR_INVALID, "%.*s has no account '%.*s'",
                        BYTES_ARG(program->facts.contract), BYTES_ARG(w.name));
    }
    if (w.count != f->key_count) {
        return err_fail(reterr, ERR_INVALID, "the account '%.*s' has %u keys, not %u",
                        BYTES_ARG(f->name), f->key_count, w.count);
    }
    size_t start = ret_key->size;
    buf_put_bytes(ret_key, f->prefix);
    err e = put_words(&w, f->keys, ret_key, reterr);
    if (failed(e)) {
        ret_key->size = start;
        return e;
    }
    *ret_family = f->index;
    return e;
}

err rules_row_prefix(const struct rules_program *program, struct bytes text, struct buf *ret_prefix,
                     size_t *ret_table, struct errtext *reterr)
{
    require(program != NULL);
    require(ret_prefix != NULL);
    struct words w;
    if (!split_words(text, &w)) {
        return err_fail(reterr, ERR_INVALID, "rows are written as table or table[key, key]");
    }
    const struct table *t = program_table(program, w.name);
    if (t == NULL) {
        return err_fail(reterr, ERR_INVALID, "%.*s has no table '%.*s'",
                        BYTES_ARG(program->facts.contract), BYTES_ARG(w.name));
    }
    if (w.count > t->key_count) {
        return err_fail(reterr, ERR_INVALID, "the table '%.*s' has %u keys, not %u",
                        BYTES_ARG(t->name), t->key_count, w.count);
    }
    size_t start = ret_prefix->size;
    buf_put_bytes(ret_prefix, t->prefix);
    err e = put_words(&w, t->row->fields, ret_prefix, reterr);
    if (failed(e)) {
        ret_prefix->size = start;
        return e;
    }
    *ret_table = t->index;
    return e;
}

/* ---- from the store ---- */

struct shape {
    const struct field *fields;
    uint32_t count;
    struct bytes components;
};

/* The table or family to which a key belongs. */
static bool find_shape(const struct rules_program *p, struct bytes key, struct shape *ret,
                       const struct family **ret_family)
{
    for (size_t i = 0; i < p->family_count; i++) {
        const struct family *f = p->families[i];
        if (bytes_has_prefix(key, f->prefix)) {
            *ret_family = f;
            *ret = (struct shape){f->keys, f->key_count,
                                  bytes_of(key.data + f->prefix.size, key.size - f->prefix.size)};
            return true;
        }
    }
    for (size_t i = 0; i < p->table_count; i++) {
        const struct table *t = p->tables[i];
        if (bytes_has_prefix(key, t->prefix)) {
            *ret_family = NULL;
            *ret = (struct shape){t->row->fields, t->key_count,
                                  bytes_of(key.data + t->prefix.size, key.size - t->prefix.size)};
            return true;
        }
    }
    return false;
}

static bool read_components(const struct shape *s, struct arena *arena, struct value *ret)
{
    struct cursor c = cursor_of(s->components);
    for (uint32_t i = 0; i < s->count; i++) {
        if (!canon_read_key(&c, s->fields[i].type, arena, &ret[i])) {
            return false;
        }
    }
    return cursor_done(&c);
}

/* The key values as JSON, without quotes around texts. */
static void put_plain(struct buf *out, const struct rules_registry *r, const struct type *t,
                      struct value v)
{
    struct buf json;
    buf_init(&json, (size_t)8 * RULES_TEXT_MAX);
    canon_put_value(&json, r, t, v);
    bool quoted = json.size >= 2 && json.data[0] == '"';
    buf_put(out, json.data + quoted, json.size - 2 * (size_t)quoted);
    buf_done(&json);
}

static void put_account(const struct rules_program *p, const struct family *f,
                        const struct value *keys, struct buf *out)
{
    buf_put_bytes(out, f->name);
    for (uint32_t i = 0; i < f->key_count; i++) {
        buf_put_text(out, i == 0 ? "[" : ", ");
        put_plain(out, p->env.registry, f->keys[i].type, keys[i]);
    }
    buf_put_text(out, f->key_count > 0 ? "]" : "");
}

err rules_account_print(const struct rules_program *program, struct bytes key, struct buf *out,
                        size_t *ret_family)
{
    require(program != NULL);
    require(out != NULL);
    for (size_t i = 0; i < program->family_count; i++) {
        const struct family *f = program->families[i];
        if (bytes_equal(key, f->issuance)) {
            buf_put_bytes(out, f->name);
            buf_put_text(out, " (issued)");
            *ret_family = i;
            return err_ok();
        }
    }
    struct shape s;
    const struct family *f = NULL;
    struct value keys[RULES_KEYS_MAX];
    if (!find_shape(program, key, &s, &f) || f == NULL) {
        return (err){ERR_INVALID};
    }
    struct arena arena;
    arena_init(&arena, 1 << 20);
    bool ok = s.components.size < (64 << 10) && read_components(&s, &arena, keys);
    if (ok) {
        put_account(program, f, keys, out);
        *ret_family = f->index;
    }
    arena_done(&arena);
    return ok ? err_ok() : (err){ERR_INVALID};
}

err rules_key_print(const struct rules_program *program, struct bytes key, struct buf *out)
{
    require(program != NULL);
    require(out != NULL);
    struct shape s;
    const struct family *f = NULL;
    struct value keys[RULES_KEYS_MAX];
    if (!find_shape(program, key, &s, &f)) {
        return (err){ERR_INVALID};
    }
    struct arena arena;
    arena_init(&arena, 1 << 20);
    bool ok = s.components.size < (64 << 10) && read_components(&s, &arena, keys);
    if (ok) {
        canon_put_keys(out, program->env.registry, s.fields, keys, s.count);
    }
    arena_done(&arena);
    return ok ? err_ok() : (err){ERR_INVALID};
}

err rules_row_print(const struct rules_program *program, size_t table, struct bytes row,
                    struct buf *out)
{
    require(program != NULL);
    require(table < program->table_count);
    const struct type *t = program->tables[table]->row;
    struct arena arena;
    arena_init(&arena, (size_t)RULES_APPLY_ARENA_MAX);
    struct value *values = arena_new(&arena, t->field_count, sizeof *values);
    bool ok = canon_read_row(row, t, t, &arena, values);
    if (ok) {
        canon_put_fields(out, program->env.registry, t->fields + t->key_count,
                         values + t->key_count, t->field_count - t->key_count);
    }
    arena_done(&arena);
    return ok ? err_ok() : (err){ERR_INVALID};
}
