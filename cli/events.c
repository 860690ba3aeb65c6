#include "cli/events.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/mem.h"
#include "base/require.h"

enum {
    EVENTS_FILE_MAX = 64 << 20,
    EVENTS_ARENA = 512 << 20,
    EVENTS_FILE_COUNT_MAX = 1 << 20,
};

/* The contract of that name, fetched when it is met first. */
static err find_law(struct events *u, struct bytes name, struct law **ret)
{
    if (bytes_equal(name, bytes_text("ledger"))) {
        return err_fail(&u->s->why, ERR_INVALID,
                        "governance has its own commands: contract deploy, party add, key add, "
                        "key revoke");
    }
    for (size_t i = 0; i < u->law_count; i++) {
        if (bytes_equal(name, bytes_text(u->laws[i].name))) {
            *ret = &u->laws[i];
            return err_ok();
        }
    }
    if (u->law_count == EVENTS_CONTRACTS_MAX) {
        return err_fail(&u->s->why, ERR_LIMIT, "more than %d contracts", EVENTS_CONTRACTS_MAX);
    }
    TRY(law_load(u->s, arena_text(&u->arena, name), &u->laws[u->law_count]));
    *ret = &u->laws[u->law_count++];
    return err_ok();
}

static err add_event(struct events *u, struct law *law, struct law_event *e)
{
    TRY(law_type_event(law, e, &u->arena));
    if (u->count == u->capacity) {
        u->capacity = u->capacity == 0 ? 64 : 2 * u->capacity;
        u->list = mem_resize(u->list, u->capacity, sizeof *u->list);
        u->bounds = mem_resize(u->bounds, u->capacity, sizeof *u->bounds);
    }
    u->list[u->count] = (struct event){.contract = bytes_text(law->name),
                                         .action = arena_copy(&u->arena, e->action),
                                         .args = e->args,
                                         .has_legal_date = e->has_legal,
                                         .legal_date = e->legal};
    u->bounds[u->count++] = e->bound;
    return err_ok();
}

static err take_legal(struct events *u, const char *text, struct law_event *e)
{
    if (text == NULL) {
        return err_ok();
    }
    e->has_legal = rules_day_parse(bytes_text(text), &e->legal);
    return e->has_legal
               ? err_ok()
               : err_fail(&u->s->why, ERR_INVALID, "'%s' is no date; YYYY-MM-DD is expected", text);
}

static err read_line(struct events *u, const char *text, size_t size)
{
    struct errtext *why = &u->s->why;
    const struct given *g = u->s->given;
    const char *key;
    json_t *value;
    json_error_t where;
    json_t *root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &where);
    if (!json_is_object(root)) {
        json_decref(root);
        return err_fail(why, ERR_INVALID, "%s",
                        root == NULL ? where.text : "a JSON object is expected");
    }
    struct law_event e = {.action = session_text(g->argument_count > 1 ? g->arguments[1] : NULL)};
    struct bytes contract = session_text(g->argument_count > 0 ? g->arguments[0] : NULL);
    const char *legal = given_value(g, "legal-date");
    struct law *law = NULL;
    char *args = NULL;
    err r = err_ok();
    json_object_foreach(root, key, value)
    {
        if (strcmp(key, "contract") == 0 && json_is_string(value)) {
            contract = bytes_text(json_string_value(value));
        } else if (strcmp(key, "action") == 0 && json_is_string(value)) {
            e.action = bytes_text(json_string_value(value));
        } else if (strcmp(key, "legal") == 0 && json_is_string(value)) {
            legal = json_string_value(value);
        } else if (strcmp(key, "args") == 0 && json_is_object(value)) {
            args = json_dumps(value, JSON_COMPACT);
        } else {
            r = err_fail(why, ERR_INVALID, "'%s': contract, action, args and legal are known",
                         key);
        }
    }
    e.json = bytes_text(args == NULL ? "{}" : args);
    if (!failed(r) && (e.action.size == 0 || contract.size == 0)) {
        r = err_fail(why, ERR_INVALID, "\"contract\" and \"action\" must be in the line");
    }
    if (!failed(r)) {
        r = find_law(u, contract, &law);
    }
    if (!failed(r)) {
        r = take_legal(u, legal, &e);
    }
    if (!failed(r)) {
        r = add_event(u, law, &e);
    }
    free(args);
    json_decref(root);
    return r;
}

static err read_all(const char *path, struct buf *ret, struct errtext *reterr)
{
    buf_init(ret, EVENTS_FILE_MAX);
    FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
    if (f == NULL) {
        return err_fail(reterr, ERR_NOT_FOUND, "%s: cannot be read", path);
    }
    for (;;) {
        uint8_t *room = buf_room(ret, 65536);
        size_t size = room == NULL ? 0 : fread(room, 1, 65536, f);
        if (size == 0) {
            break;
        }
        buf_added(ret, size);
    }
    bool bad = ferror(f) != 0;
    if (f != stdin) {
        fclose(f);
    }
    if (ret->overflow) {
        return err_fail(reterr, ERR_LIMIT, "%s: larger than %d bytes", path, EVENTS_FILE_MAX);
    }
    return bad ? err_fail(reterr, ERR_IO, "%s: cannot be read", path) : err_ok();
}

static err read_events(struct events *u, const char *path)
{
    struct buf text;
    size_t line = 0;
    err e = read_all(path, &text, &u->s->why);
    for (size_t at = 0; at < text.size && !failed(e); line++) {
        const uint8_t *begin = text.data + at;
        const uint8_t *end = memchr(begin, '\n', text.size - at);
        size_t size = end == NULL ? text.size - at : (size_t)(end - begin);
        at += size + 1;
        if (size > 0 && u->count == EVENTS_FILE_COUNT_MAX) {
            e = err_fail(&u->s->why, ERR_LIMIT, "more than %d events", EVENTS_FILE_COUNT_MAX);
        } else if (size > 0) {
            e = read_line(u, (const char *)begin, size);
        }
        if (failed(e)) {
            e = err_wrapf(&u->s->why, e, "%s:%zu", path, line + 1);
        }
    }
    buf_done(&text);
    return e;
}

static err read_one(struct events *u)
{
    const struct given *g = u->s->given;
    const char *file = given_value(g, "args");
    struct law_event e = {.action = bytes_text(g->arguments[1])};
    struct law *law;
    TRY(find_law(u, bytes_text(g->arguments[0]), &law));
    TRY(take_legal(u, given_value(g, "legal-date"), &e));
    if (file != NULL && given_has(g, "arg")) {
        return err_fail(&u->s->why, ERR_INVALID, "--args and --arg exclude each other");
    }
    if (file != NULL) {
        struct buf text;
        err r = read_all(file, &text, &u->s->why);
        if (!failed(r)) {
            e.json = arena_copy(&u->arena, buf_bytes(&text));
        }
        buf_done(&text);
        TRY(r);
    } else {
        TRY(law_args_json(law, e.action, g, &u->arena, &e.json));
    }
    return add_event(u, law, &e);
}

void events_init(struct events *u, struct session *s)
{
    require(u != NULL);
    *u = (struct events){.s = s};
    arena_init(&u->arena, EVENTS_ARENA);
}

err events_read(struct events *u)
{
    require(u != NULL);
    const char *path = given_value(u->s->given, "events");
    return path != NULL ? read_events(u, path) : read_one(u);
}

void events_done(struct events *u)
{
    require(u != NULL);
    free(u->list);
    free(u->bounds);
    for (size_t i = 0; i < u->law_count; i++) {
        law_done(&u->laws[i]);
    }
    arena_done(&u->arena);
}
