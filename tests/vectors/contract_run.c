#include "tests/vectors/contract_run.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "crypto/sha256.h"
#include "rules/rules.h"

enum { TEXT_MAX = 256 << 10 };

/* The date after "effective " gives way to the day; both have ten characters. */
static void set_effective(char *text, const char *since)
{
    char *date = strstr(text, "effective ");
    assert_non_null(date);
    memcpy(date + 10, since, 10);
}

void contract_run_open(struct contract_run *c, const char *path, const char *since)
{
    char *text = mem_new(1, TEXT_MAX);
    FILE *f = fopen(path, "rb");
    if (f == NULL) {
        fail_msg("%s: absent", path);
    }
    size_t size = fread(text, 1, TEXT_MAX - 1, f);
    assert_int_equal(fclose(f), 0);
    if (since != NULL) {
        set_effective(text, since);
    }
    struct rules_diag diag;
    *c = (struct contract_run){.registry = rules_registry_default()};
    struct rules_env env = {c->registry, sha256};
    if (failed(rules_compile(&env, bytes_of(text, size), &c->program, &diag))) {
        fail_msg("%s:%u:%u: %s", path, diag.line, diag.column, diag.message);
    }
    free(text);
    c->run = rules_run_new(c->program);
}

void contract_run_close(struct contract_run *c)
{
    json_decref(c->result);
    rules_run_free(c->run);
    rules_program_free(c->program);
    rules_registry_free(c->registry);
}

void contract_run_feed(struct contract_run *c, json_t *line)
{
    struct buf out;
    struct errtext why;
    assert_non_null(line);
    char *text = json_dumps(line, JSON_COMPACT);
    assert_non_null(text);
    buf_init(&out, (size_t)16 << 20);
    if (failed(rules_run_line(c->run, bytes_text(text), &out, &why))) {
        fail_msg("%s: %s", text, why.text);
    }
    json_decref(c->result);
    c->result = out.size == 0 ? NULL : json_loadb((const char *)out.data, out.size, 0, NULL);
    buf_done(&out);
    free(text);
    json_decref(line);
}

void contract_run_given(struct contract_run *c, const char *table, json_t *key, json_t *row)
{
    contract_run_feed(c, json_pack("{s:s, s:o, s:o}", "given", table, "key", key, "row", row));
}

void contract_run_raise(struct contract_run *c, const char *family, json_t *key, int64_t cents)
{
    contract_run_feed(c, json_pack("{s:s, s:o, s:o}", "given", family, "key", key, "amount",
                                   contract_run_amount(cents, "EUR")));
}

static const json_t *outcome(const struct contract_run *c)
{
    return vectors_get(c->result, "outcome");
}

bool contract_run_accepted(const struct contract_run *c)
{
    const char *end = vectors_text(outcome(c), "end");
    if (strcmp(end, "accepted") != 0 && strcmp(end, "rejected") != 0) {
        fail_msg("%s", json_dumps(outcome(c), 0));
    }
    return strcmp(end, "accepted") == 0;
}

const char *contract_run_why(const struct contract_run *c)
{
    const char *why = json_string_value(json_object_get(outcome(c), "why"));
    return why == NULL ? "" : why;
}

const json_t *contract_run_let(const struct contract_run *c, const char *name)
{
    size_t i;
    const json_t *e, *found = NULL;
    json_array_foreach(vectors_get(c->result, "trace"), i, e)
    {
        const char *kind = json_string_value(json_array_get(e, 2));
        const char *let = json_string_value(json_array_get(e, 3));
        if (kind != NULL && let != NULL && strcmp(kind, "let") == 0 && strcmp(let, name) == 0) {
            found = json_array_get(e, 4);
        }
    }
    return found;
}

const json_t *contract_run_row(const struct contract_run *c, const char *table, json_t *key)
{
    size_t i;
    const json_t *e, *found = NULL;
    json_array_foreach(vectors_get(c->result, "effects"), i, e)
    {
        const char *kind = json_string_value(json_array_get(e, 0));
        const char *where = json_string_value(json_array_get(e, 2));
        if (kind != NULL && where != NULL && strcmp(kind, "put") == 0 &&
            strcmp(where, table) == 0 && json_equal(json_array_get(e, 3), key)) {
            found = json_array_get(e, 4);
        }
    }
    json_decref(key);
    return found;
}

int64_t contract_run_cents(const json_t *amount)
{
    const char *text = json_string_value(amount);
    char whole[32] = {0}, rest[3] = {0}, unit[16] = {0};
    if (text == NULL || sscanf(text, "%31[-0-9].%2[0-9] %15s", whole, rest, unit) != 3) {
        fail_msg("%s: no amount", text == NULL ? "(nothing)" : text);
    }
    int64_t cents = (int64_t)strtoll(whole, NULL, 10) * 100;
    int64_t more = (int64_t)strtoll(rest, NULL, 10);
    return whole[0] == '-' ? cents - more : cents + more;
}

json_t *contract_run_amount(int64_t cents, const char *unit)
{
    uint64_t size = cents < 0 ? -(uint64_t)cents : (uint64_t)cents;
    char text[64];
    snprintf(text, sizeof text, "%s%" PRIu64 ".%02" PRIu64 " %s", cents < 0 ? "-" : "", size / 100,
             size % 100, unit);
    return json_string(text);
}
