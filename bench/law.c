#include "bench/law.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/require.h"
#include "crypto/sha256.h"
#include "rules/json.h"

enum { SOLAR_PRODUCERS = 20, SOLAR_MEMBERS = 150, LINE_BYTES_MAX = 64 << 10 };

void law_host_init(struct law_host *h, struct bytes text)
{
    struct rules_diag diag;
    *h = (struct law_host){.registry = rules_registry_default()};
    struct rules_env env = {h->registry, sha256};
    if (failed(rules_compile(&env, text, &h->program, &diag))) {
        die("%u:%u: %s", diag.line, diag.column, diag.message);
    }
    h->run = rules_run_new(h->program);
    arena_init(&h->arena, (size_t)RULES_APPLY_ARENA_MAX);
    arena_init(&h->event_arena, (size_t)RULES_APPLY_ARENA_MAX);
    arena_reserve(&h->arena, RULES_ARENA_RESERVE);
}

void law_host_done(struct law_host *h)
{
    rules_run_free(h->run);
    arena_done(&h->arena);
    arena_done(&h->event_arena);
    rules_program_free(h->program);
    rules_registry_free(h->registry);
}

char *law_read_file(const char *path, size_t *ret_size)
{
    FILE *f = fopen(path, "rb");
    char *text = mem_new(1 << 20, 1);
    *ret_size = f == NULL ? 0 : fread(text, 1, (1 << 20) - 1, f);
    if (f == NULL || fclose(f) != 0 || *ret_size == 0) {
        die("%s cannot be read", path);
    }
    return text;
}

/* ---- events ---- */

static void take_signers(struct law_host *h, const struct raw *by, struct rules_event *ret)
{
    struct bytes *signers = arena_new(&h->event_arena, by->as.list.count + 1, sizeof *signers);
    for (size_t i = 0; i < by->as.list.count; i++) {
        signers[i] = by->as.list.items[i].as.text;
    }
    ret->signers = signers;
    ret->signer_count = by->as.list.count;
}

static void take_args(struct law_host *h, const struct raw *args, struct rules_event *ret)
{
    const struct event *e = program_event(h->program, ret->name);
    require(e != NULL);
    struct value *values = arena_new(&h->event_arena, (size_t)e->arg_count + 1, sizeof *values);
    struct buf encoded;
    if (input_validate(args, e->args, e->arg_count, h->registry, "args", &h->event_arena, values) !=
        NULL) {
        return; /* then they stay empty: a refusal is evaluated too */
    }
    buf_init_in(&encoded, &h->event_arena, ARGS_BYTES_MAX);
    input_encode(&encoded, e->args, values, e->arg_count);
    require(!encoded.overflow);
    ret->args = buf_bytes(&encoded);
}

bool law_host_event(struct law_host *h, struct bytes line, struct rules_event *ret)
{
    struct raw *object;
    struct civil_time now;
    arena_reset(&h->event_arena);
    object = arena_new(&h->event_arena, 1, sizeof *object);
    require(json_parse(line, &h->event_arena, object) == NULL);
    const struct raw *name = json_member(object, "event");
    if (name == NULL) {
        return false;
    }
    *ret = (struct rules_event){.name = name->as.text};
    require(civil_time_parse(json_member(object, "now")->as.text, &now) == NUM_OK);
    ret->now = (struct rules_time){now.seconds, now.nanos};
    take_signers(h, json_member(object, "by"), ret);
    take_args(h, json_member(object, "args"), ret);
    return true;
}

void law_host_try(struct law_host *h, const struct rules_event *ev, struct rules_out *ret)
{
    arena_reset(&h->arena);
    rules_apply(h->program, ev, &run_state(h->run)->store, &h->arena, ret);
}

void law_host_do(struct law_host *h, struct bytes line)
{
    struct buf out;
    struct errtext why;
    buf_init(&out, (size_t)64 << 20);
    if (failed(rules_run_line(h->run, line, &out, &why))) {
        die("%.*s: %s", line.size < 200 ? (int)line.size : 200, (const char *)line.data, why.text);
    }
    buf_done(&out);
}

/* ---- a full quarter-hour ---- */

static void admit(struct law_host *h, const char *kind, unsigned i, const char *price)
{
    char line[256];
    int size = snprintf(line, sizeof line,
                        "{\"event\":\"admit\",\"by\":[\"pmo.roquefort\"],"
                        "\"now\":\"2026-07-15T10:00:00Z\",\"args\":{\"meter\":\"%s%03u\"%s}}",
                        kind, i, price);
    law_host_do(h, bytes_of(line, (size_t)size));
}

static void put_readings(struct buf *out, const char *name, const char *kind, unsigned count)
{
    buf_printf(out, "\"%s\":[", name);
    for (unsigned i = 0; i < count; i++) {
        buf_printf(out, "%s{\"meter\":\"%s%03u\",\"energy\":\"%u.%03u Wh\"}", i == 0 ? "" : ",",
                   kind, i, 40 + 37 * i % 400, i * 7 % 1000);
    }
    buf_put_text(out, "]");
}

char *law_host_solar(struct law_host *h)
{
    struct buf line;
    for (unsigned i = 0; i < SOLAR_PRODUCERS; i++) {
        admit(h, "p", i, ",\"price\":\"0.12000 EUR/kWh\"");
    }
    for (unsigned i = 0; i < SOLAR_MEMBERS; i++) {
        admit(h, "c", i, "");
    }
    buf_init(&line, LINE_BYTES_MAX);
    buf_put_text(&line, "{\"event\":\"metering\",\"by\":[\"enedis\"],"
                        "\"now\":\"2026-07-15T10:20:00Z\",\"args\":{"
                        "\"start\":\"2026-07-15T10:00:00Z\",");
    put_readings(&line, "made", "p", SOLAR_PRODUCERS);
    buf_put_u8(&line, ',');
    put_readings(&line, "used", "c", SOLAR_MEMBERS);
    buf_put_text(&line, "}}");
    buf_put_u8(&line, 0);
    require(!line.overflow);
    return (char *)line.data;
}
