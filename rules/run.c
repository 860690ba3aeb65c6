/* A stream of events against a state in memory (section 18): the bytes on which nodes agree. */
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/require.h"
#include "rules/canon.h"
#include "rules/compile.h"
#include "rules/json.h"
#include "rules/memory.h"

struct rules_run {
    const struct rules_program *program;
    struct memory state;
    uint64_t results; /* printed so far */
    uint8_t digest[RULES_HASH_SIZE];
};

struct rules_run *rules_run_new(const struct rules_program *program)
{
    require(program != NULL);
    struct rules_run *run = mem_new(1, sizeof *run);
    run->program = program;
    memory_init(&run->state);
    return run;
}

void rules_run_free(struct rules_run *run)
{
    if (run != NULL) {
        memory_done(&run->state);
        free(run);
    }
}

struct memory *run_state(struct rules_run *run)
{
    require(run != NULL);
    return &run->state;
}

/* Applies one event or timer and prints its line. */
static void run_event(struct rules_run *run, const struct rules_event *ev, struct arena *arena,
                      struct buf *out)
{
    struct rules_out result;
    rules_apply(run->program, ev, &run->state.store, arena, &result);
    run->results++;
    rules_digest(run->program->env.sha256, run->digest, ev->hash, run->program->facts.text_hash,
                 &result);
    buf_printf(out, "{\"n\":%llu,\"outcome\":", (unsigned long long)run->results);
    buf_put_bytes(out, result.outcome);
    buf_put_text(out, ",\"effects\":");
    buf_put_bytes(out, result.effects);
    buf_put_text(out, ",\"trace\":");
    buf_put_bytes(out, result.trace);
    buf_put_text(out, ",\"digest\":\"");
    for (size_t i = 0; i < RULES_HASH_SIZE; i++) {
        buf_printf(out, "%02x", run->digest[i]);
    }
    buf_put_text(out, "\"}\n");
    if (result.end == RULES_ACCEPTED) {
        memory_apply(&run->state, &result, run->results);
    }
}

/* Fires what is due, at most RULES_TIMERS_MAX; false: more is due. */
static bool run_timers(struct rules_run *run, struct rules_time now, struct buf *out)
{
    for (size_t fired = 0; fired < RULES_TIMERS_MAX; fired++) {
        const struct memory_timer *t = memory_fire(&run->state, now);
        if (t == NULL) {
            return true;
        }
        struct arena arena;
        arena_init(&arena, (size_t)RULES_APPLY_ARENA_MAX);
        struct rules_event ev = {
            .name = t->event,
            .now = t->at,
            .has_legal = true,
            .legal = t->legal,
            .args = t->args,
            .timer = true,
            .timers_waiting = run->state.waiting,
        };
        memcpy(ev.hash, t->hash, RULES_HASH_SIZE);
        run_event(run, &ev, &arena, out);
        arena_done(&arena);
    }
    return !memory_due(&run->state, now);
}

/* ---- lines ---- */

static err read_time(const struct raw *raw, struct rules_time *ret, struct errtext *reterr)
{
    struct civil_time t;
    if (raw == NULL || raw->kind != RAW_TEXT || civil_time_parse(raw->as.text, &t) != NUM_OK) {
        return err_fail(reterr, ERR_INVALID, "a timestamp is expected");
    }
    *ret = (struct rules_time){t.seconds, t.nanos};
    return err_ok();
}

static err read_signers(const struct raw *raw, struct arena *arena, struct rules_event *ev,
                        struct errtext *reterr)
{
    if (raw == NULL) {
        return err_ok();
    }
    if (raw->kind != RAW_LIST) {
        return err_fail(reterr, ERR_INVALID, "'by' is a list of parties");
    }
    struct bytes *signers = arena_new(arena, raw->as.list.count + 1, sizeof *signers);
    for (size_t i = 0; i < raw->as.list.count; i++) {
        if (raw->as.list.items[i].kind != RAW_TEXT ||
            raw->as.list.items[i].as.text.size > RULES_TEXT_MAX) {
            return err_fail(reterr, ERR_INVALID, "'by' is a list of parties");
        }
        signers[i] = raw->as.list.items[i].as.text;
    }
    ev->signers = signers;
    ev->signer_count = raw->as.list.count;
    return err_ok();
}

static err line_event(struct rules_run *run, const struct raw *object, struct bytes line,
                      struct arena *arena, struct buf *out, struct errtext *reterr);

static err read_event(const struct raw *object, struct arena *arena, struct rules_event *ev,
                      struct errtext *reterr)
{
    static const struct raw no_args = {.kind = RAW_RECORD};
    const struct raw *name = json_member(object, "event");
    const struct raw *legal = json_member(object, "legal");
    const struct raw *args = json_member(object, "args");
    if (name->kind != RAW_TEXT) {
        return err_fail(reterr, ERR_INVALID, "'event' is the name of an event");
    }
    ev->name = name->as.text;
    TRY(read_signers(json_member(object, "by"), arena, ev, reterr));
    err e = read_time(json_member(object, "now"), &ev->now, reterr);
    if (failed(e)) {
        return err_wrapf(reterr, e, "'now'");
    }
    if (legal != NULL) {
        ev->has_legal = true;
        if (legal->kind != RAW_TEXT || civil_day_parse(legal->as.text, &ev->legal) != NUM_OK) {
            return err_fail(reterr, ERR_INVALID, "'legal' is a date");
        }
    }
    ev->parsed = args == NULL ? &no_args : args;
    if (ev->parsed->kind != RAW_RECORD) {
        return err_fail(reterr, ERR_INVALID, "'args' is an object");
    }
    return err_ok();
}

static err line_event(struct rules_run *run, const struct raw *object, struct bytes line,
                      struct arena *arena, struct buf *out, struct errtext *reterr)
{
    struct rules_event ev = {0};
    TRY(read_event(object, arena, &ev, reterr));
    run->program->env.sha256(line.data, line.size, ev.hash);
    ev.timers_due = !run_timers(run, ev.now, out);
    ev.timers_waiting = run->state.waiting;
    run_event(run, &ev, arena, out);
    return err_ok();
}

/* ---- given ---- */

static err put_keys(const struct raw *key, const struct field *fields, uint32_t count,
                    struct arena *arena, struct buf *out)
{
    size_t given = key == NULL ? 0 : key->as.list.count;
    if (key != NULL && key->kind != RAW_LIST) {
        return (err){ERR_INVALID};
    }
    if (given != count) {
        return (err){ERR_INVALID};
    }
    for (uint32_t i = 0; i < count; i++) {
        struct value v;
        if (input_validate_one(&key->as.list.items[i], fields[i].type, NULL, "key", arena, &v) !=
            NULL) {
            return (err){ERR_INVALID};
        }
        canon_put_key(out, fields[i].type, v);
    }
    return err_ok();
}

static err given_row(struct rules_run *run, const struct table *t, const struct raw *object,
                     struct arena *arena, struct errtext *reterr)
{
    const struct raw *row = json_member(object, "row");
    if (row == NULL || row->kind != RAW_RECORD) {
        return err_fail(reterr, ERR_INVALID, "'row' is an object");
    }
    struct value *values = arena_new(arena, t->row->field_count, sizeof *values);
    const char *why =
        input_validate(row, t->row->fields + t->key_count, t->row->field_count - t->key_count,
                       run->program->env.registry, "row", arena, values + t->key_count);
    if (why != NULL) {
        return err_fail(reterr, ERR_INVALID, "%s", why);
    }
    struct buf key;
    struct buf stored;
    buf_init(&key, RULES_JSON_BYTES_MAX);
    buf_init(&stored, (size_t)4 * RULES_JSON_BYTES_MAX);
    buf_put_bytes(&key, t->prefix);
    err e = put_keys(json_member(object, "key"), t->row->fields, t->key_count, arena, &key);
    if (failed(e)) {
        e = err_fail(reterr, ERR_INVALID, "'key' does not fit %.*s", BYTES_ARG(t->name));
    } else {
        canon_put_row(&stored, t->row, values);
        memory_put(&run->state, buf_bytes(&key), buf_bytes(&stored));
    }
    buf_done(&key);
    buf_done(&stored);
    return e;
}

static err given_amount(struct rules_run *run, const struct family *f, const struct raw *object,
                        struct arena *arena, struct errtext *reterr)
{
    const struct raw *amount = json_member(object, "amount");
    struct value v;
    if (amount == NULL) {
        return err_fail(reterr, ERR_INVALID, "'amount' is missing");
    }
    const char *why =
        input_validate_one(amount, f->type, run->program->env.registry, "amount", arena, &v);
    if (why != NULL) {
        return err_fail(reterr, ERR_INVALID, "%s", why);
    }
    struct buf key;
    buf_init(&key, RULES_JSON_BYTES_MAX);
    buf_put_bytes(&key, f->prefix);
    err e = put_keys(json_member(object, "key"), f->keys, f->key_count, arena, &key);
    int64_t quanta = (int64_t)v.as.number;
    if (failed(e)) {
        e = err_fail(reterr, ERR_INVALID, "'key' does not fit %.*s", BYTES_ARG(f->name));
    } else if (quanta == INT64_MIN || !memory_add(&run->state, buf_bytes(&key), quanta) ||
               !memory_add(&run->state, f->issuance, -quanta)) {
        e = err_fail(reterr, ERR_INVALID, "'amount' leaves 64 bits");
    }
    buf_done(&key);
    return e;
}

static err line_given(struct rules_run *run, const struct raw *object, struct arena *arena,
                      struct errtext *reterr)
{
    const struct raw *name = json_member(object, "given");
    if (name->kind != RAW_TEXT) {
        return err_fail(reterr, ERR_INVALID, "'given' is the name of a table or account");
    }
    const struct table *t = program_table(run->program, name->as.text);
    const struct family *f = program_family(run->program, name->as.text);
    if (t != NULL) {
        return given_row(run, t, object, arena, reterr);
    }
    if (f != NULL) {
        return given_amount(run, f, object, arena, reterr);
    }
    return err_fail(reterr, ERR_INVALID, "there is no table or account '%.*s'",
                    (int)(name->as.text.size < 80 ? name->as.text.size : 80),
                    (const char *)name->as.text.data);
}

static err read_line(struct rules_run *run, struct bytes line, struct arena *arena, struct buf *out,
                     struct errtext *reterr)
{
    struct raw object;
    const char *why = json_parse(line, arena, &object);
    if (why != NULL) {
        return err_fail(reterr, ERR_INVALID, "%s", why);
    }
    if (object.kind != RAW_RECORD) {
        return err_fail(reterr, ERR_INVALID, "an object is expected");
    }
    if (json_member(&object, "event") != NULL) {
        return line_event(run, &object, line, arena, out, reterr);
    }
    if (json_member(&object, "tick") != NULL) {
        struct rules_time now;
        err e = read_time(json_member(&object, "tick"), &now, reterr);
        if (!failed(e)) {
            (void)run_timers(run, now, out);
        }
        return e;
    }
    if (json_member(&object, "given") != NULL) {
        return line_given(run, &object, arena, reterr);
    }
    return err_fail(reterr, ERR_INVALID, "'event', 'tick' or 'given' is expected");
}

err rules_run_line(struct rules_run *run, struct bytes line, struct buf *out,
                   struct errtext *reterr)
{
    require(run != NULL);
    require(out != NULL);
    if (line.size == 0) {
        return err_ok();
    }
    struct arena arena;
    arena_init(&arena, (size_t)RULES_APPLY_ARENA_MAX);
    err e = read_line(run, line, &arena, out, reterr);
    arena_done(&arena);
    return e;
}
