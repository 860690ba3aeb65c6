/* From text to program, and what a host asks about programs. */
#include "rules/program.h"

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/require.h"
#include "rules/canon.h"
#include "rules/check.h"
#include "rules/compile.h"
#include "rules/json.h"
#include "rules/parse.h"

static void compile_all(struct compile *c)
{
    lex_run(c);
    parse_contract(c);
    check_program(c);
    c->program->tokens = c->tokens;
    c->program->token_count = c->token_count;
    struct rules_facts *f = &c->program->facts;
    f->text = c->text;
    c->env->sha256(c->text.data, c->text.size, f->text_hash);
    canon_code_hash(c, f->code_hash);
}

err rules_compile(const struct rules_env *env, struct bytes text, struct rules_program **ret,
                  struct rules_diag *reterr)
{
    require(env != NULL);
    require(env->registry != NULL);
    require(env->sha256 != NULL);
    require(reterr != NULL);
    struct rules_program *p = mem_new(1, sizeof *p);
    arena_init(&p->arena, RULES_COMPILE_ARENA_MAX);
    p->env = *env;
    memset(reterr, 0, sizeof *reterr);
    /* in the arena, not in this frame: what changes after setjmp must be in memory */
    struct compile *c = arena_new(&p->arena, 1, sizeof *c);
    c->env = &p->env;
    c->arena = &p->arena;
    c->program = p;
    c->diag = reterr;
    c->code = ERR_OK;
    if (text.size > CONTRACT_BYTES_MAX) {
        text.size = CONTRACT_BYTES_MAX + 1; /* enough for the lexer to refuse it */
    }
    c->text = arena_copy(&p->arena, text);
    if (setjmp(c->fail) == 0) {
        compile_all(c);
        *ret = p;
        return err_ok();
    }
    err e = {c->code};
    rules_program_free(p);
    return e;
}

void rules_program_free(struct rules_program *p)
{
    if (p != NULL) {
        arena_done(&p->arena);
        free(p);
    }
}

/* ---- facts ---- */

const struct rules_facts *rules_program_facts(const struct rules_program *p)
{
    require(p != NULL);
    return &p->facts;
}

const struct rules_event_facts *rules_program_event(const struct rules_program *p, size_t index)
{
    require(p != NULL);
    require(index < p->event_count);
    return &p->events[index]->facts;
}

const struct rules_event_facts *rules_program_event_find(const struct rules_program *p,
                                                         struct bytes name)
{
    require(p != NULL);
    const struct event *e = program_event(p, name);
    return e == NULL ? NULL : &e->facts;
}

const struct rules_table_facts *rules_program_table(const struct rules_program *p, size_t index)
{
    require(p != NULL);
    require(index < p->table_count);
    return &p->tables[index]->facts;
}

const struct rules_family_facts *rules_program_family(const struct rules_program *p, size_t index)
{
    require(p != NULL);
    require(index < p->family_count);
    return &p->families[index]->facts;
}

/* ---- versions ---- */

const struct rules_program *rules_pick(const struct rules_program *const *versions, size_t count,
                                       int32_t day)
{
    const struct rules_program *best = NULL;
    for (size_t i = 0; i < count; i++) {
        const struct rules_facts *f = &versions[i]->facts;
        if (f->effective > day) {
            continue;
        }
        bool later = best == NULL || f->effective > best->facts.effective ||
                     (f->effective == best->facts.effective && f->version > best->facts.version);
        if (later) {
            best = versions[i];
        }
    }
    return best;
}

static err check_keys_same(const struct field *a, const struct field *b, uint32_t count,
                           const char *what, struct errtext *reterr)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!bytes_equal(a[i].name, b[i].name) || !type_equal(a[i].type, b[i].type)) {
            return err_fail(reterr, ERR_INVALID, "%s: the key '%.*s' is another one before", what,
                            BYTES_ARG(b[i].name));
        }
    }
    return err_ok();
}

static err successor_fields(const struct table *a, const struct table *b, struct errtext *reterr)
{
    const struct type *x = a->row;
    const struct type *y = b->row;
    for (uint32_t i = a->key_count; i < y->field_count; i++) {
        const struct field *f = &y->fields[i];
        if (i >= x->field_count) {
            if (!f->optional) {
                return err_fail(reterr, ERR_INVALID,
                                "table '%.*s': the new field '%.*s' must be "
                                "optional",
                                BYTES_ARG(b->name), BYTES_ARG(f->name));
            }
            continue;
        }
        if (!bytes_equal(x->fields[i].name, f->name) || x->fields[i].optional != f->optional ||
            !type_equal(x->fields[i].type, f->type)) {
            return err_fail(reterr, ERR_INVALID,
                            "table '%.*s': the field '%.*s' is changed; new "
                            "fields come last",
                            BYTES_ARG(b->name), BYTES_ARG(f->name));
        }
    }
    return err_ok();
}

static err successor_table(const struct table *a, const struct table *b, struct errtext *reterr)
{
    if (b == NULL || a->uses != b->uses || a->key_count != b->key_count) {
        return err_fail(reterr, ERR_INVALID, "table '%.*s' is dropped or has other keys",
                        BYTES_ARG(a->name));
    }
    if (a->uses) {
        return err_ok(); /* its rows belong to another contract */
    }
    TRY(check_keys_same(a->row->fields, b->row->fields, a->key_count, "table", reterr));
    if (b->row->field_count < a->row->field_count) {
        return err_fail(reterr, ERR_INVALID, "table '%.*s' drops a field", BYTES_ARG(a->name));
    }
    /* without max there is no limit at all */
    if (b->max != 0 && (a->max == 0 || b->max < a->max)) {
        return err_fail(reterr, ERR_INVALID, "table '%.*s': max is lowered", BYTES_ARG(a->name));
    }
    return successor_fields(a, b, reterr);
}

static err successor_family(const struct family *a, const struct family *b, struct errtext *reterr)
{
    if (b == NULL || a->key_count != b->key_count || !type_equal(a->type, b->type)) {
        return err_fail(reterr, ERR_INVALID, "account '%.*s' is dropped or changed",
                        BYTES_ARG(a->name));
    }
    return check_keys_same(a->keys, b->keys, a->key_count, "account", reterr);
}

err rules_successor_check(const struct rules_program *last, const struct rules_program *next,
                          struct errtext *reterr)
{
    require(last != NULL);
    require(next != NULL);
    if (!bytes_equal(last->facts.contract, next->facts.contract)) {
        return err_fail(reterr, ERR_INVALID, "this is another contract");
    }
    if (next->facts.version <= last->facts.version || next->facts.replaces != last->facts.version) {
        return err_fail(reterr, ERR_INVALID, "the next version is above %lld and replaces it",
                        (long long)last->facts.version);
    }
    for (size_t i = 0; i < last->table_count; i++) {
        const struct table *a = last->tables[i];
        if (!a->uses || program_table(next, a->name) != NULL) {
            TRY(successor_table(a, program_table(next, a->name), reterr));
        }
    }
    for (size_t i = 0; i < last->family_count; i++) {
        const struct family *a = last->families[i];
        TRY(successor_family(a, program_family(next, a->name), reterr));
    }
    return err_ok();
}

static err uses_table(const struct table *t, const struct table *own, struct errtext *reterr)
{
    if (own == NULL || own->uses) {
        return err_fail(reterr, ERR_INVALID, "%.*s has no table '%.*s'", BYTES_ARG(t->owner),
                        BYTES_ARG(t->name));
    }
    if (t->key_count != own->key_count) {
        return err_fail(reterr, ERR_INVALID, "table '%.*s' has %u keys", BYTES_ARG(t->name),
                        own->key_count);
    }
    TRY(check_keys_same(own->row->fields, t->row->fields, t->key_count, "uses", reterr));
    if (t->max != 0 && (own->max == 0 || t->max < own->max)) {
        return err_fail(reterr, ERR_INVALID, "table '%.*s' has more rows than max %u",
                        BYTES_ARG(t->name), t->max);
    }
    for (uint32_t i = t->key_count; i < t->row->field_count; i++) {
        const struct field *f = &t->row->fields[i];
        const struct field *found = NULL;
        for (uint32_t j = own->key_count; j < own->row->field_count; j++) {
            if (bytes_equal(own->row->fields[j].name, f->name)) {
                found = &own->row->fields[j];
            }
        }
        if (found == NULL || found->optional != f->optional || !type_equal(found->type, f->type)) {
            return err_fail(reterr, ERR_INVALID, "table '%.*s' of %.*s has no such field '%.*s'",
                            BYTES_ARG(t->name), BYTES_ARG(t->owner), BYTES_ARG(f->name));
        }
    }
    return err_ok();
}

err rules_uses_check(const struct rules_program *user, const struct rules_program *owner,
                     struct errtext *reterr)
{
    require(user != NULL);
    require(owner != NULL);
    for (size_t i = 0; i < user->table_count; i++) {
        const struct table *t = user->tables[i];
        if (t->uses && bytes_equal(t->owner, owner->facts.contract)) {
            TRY(uses_table(t, program_table(owner, t->name), reterr));
        }
    }
    return err_ok();
}

/* ---- time ---- */

struct rules_time rules_time_of_ns(uint64_t unix_ns)
{
    return (struct rules_time){(int64_t)(unix_ns / 1000000000), (uint32_t)(unix_ns % 1000000000)};
}

bool rules_time_to_ns(struct rules_time time, uint64_t *ret_ns)
{
    uint64_t ns = 0;
    if (time.seconds < 0 ||
        __builtin_mul_overflow((uint64_t)time.seconds, UINT64_C(1000000000), &ns) ||
        __builtin_add_overflow(ns, time.nanos, &ns)) {
        return false;
    }
    *ret_ns = ns;
    return true;
}

bool rules_day_parse(struct bytes text, int32_t *ret_day)
{
    return civil_day_parse(text, ret_day) == NUM_OK;
}

void rules_day_print(int32_t day, char text[11])
{
    require(civil_day_valid(day));
    (void)civil_day_print(day, text);
}

bool rules_day_in_zone(struct rules_time time, const char *zone, int32_t *ret_day)
{
    struct civil_zone z;
    struct civil_time t = {time.seconds, time.nanos};
    return civil_time_valid(t) && civil_zone_parse(bytes_text(zone), &z) == NUM_OK &&
           civil_time_day(t, z, ret_day) == NUM_OK;
}

/* ---- tools ---- */

err rules_args_from_json(const struct rules_program *program, struct bytes event, struct bytes json,
                         struct buf *ret_args, struct errtext *reterr)
{
    require(program != NULL);
    require(ret_args != NULL);
    const struct event *e = program_event(program, event);
    if (e == NULL) {
        return err_fail(reterr, ERR_INVALID, "event: '%.*s' is not declared", BYTES_ARG(event));
    }
    struct arena arena;
    struct raw raw;
    arena_init(&arena, (size_t)RULES_APPLY_ARENA_MAX);
    const char *why = json_parse(json, &arena, &raw);
    if (why == NULL && raw.kind != RAW_RECORD) {
        why = "an object is expected";
    }
    if (why == NULL) {
        struct value *values = arena_new(&arena, (size_t)e->arg_count + 1, sizeof *values);
        why = input_validate(&raw, e->args, e->arg_count, program->env.registry, "args", &arena,
                             values);
        if (why == NULL) {
            input_encode(ret_args, e->args, values, e->arg_count);
            why = ret_args->overflow ? "args: too large" : NULL;
        }
    }
    err result = why == NULL ? err_ok() : err_fail(reterr, ERR_INVALID, "%s", why);
    arena_done(&arena);
    return result;
}

static void put_hash(struct buf *out, const uint8_t hash[RULES_HASH_SIZE])
{
    for (size_t i = 0; i < RULES_HASH_SIZE; i++) {
        buf_printf(out, "%02x", hash[i]);
    }
}

void rules_check_print(const struct rules_program *p, struct buf *out)
{
    require(p != NULL);
    buf_put_text(out, "{\"contract\":");
    canon_put_string(out, p->facts.contract);
    buf_printf(out, ",\"version\":%lld,\"effective\":", (long long)p->facts.version);
    canon_put_day(out, p->facts.effective);
    buf_put_text(out, ",\"text\":\"");
    put_hash(out, p->facts.text_hash);
    buf_put_text(out, "\",\"code\":\"");
    put_hash(out, p->facts.code_hash);
    buf_put_text(out, "\"}\n");
    for (size_t i = 0; i < p->event_count; i++) {
        const struct rules_event_facts *f = &p->events[i]->facts;
        buf_put_text(out, "{\"event\":");
        canon_put_string(out, f->name);
        buf_printf(out, ",\"steps\":%lld,\"effects\":%lld,\"bytes\":%lld,\"arena\":%lld}\n",
                   (long long)f->bound.steps, (long long)f->bound.effects,
                   (long long)f->bound.bytes, (long long)f->bound.arena);
    }
}
