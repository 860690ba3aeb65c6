/* concordat submit: events of a contract, typed by its text, signed, entered, answered. */
#include "cli/commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "base/mem.h"
#include "base/require.h"
#include "cli/law.h"
#include "cli/request.h"
#include "cli/session.h"
#include "cli/show.h"
#include "crypto/keyfile.h"
#include "crypto/random.h"

enum {
    EVENTS_FILE_MAX = 64 << 20,
    SUBMIT_ARENA = 512 << 20,
    SUBMIT_EVENTS_MAX = 1 << 20,
    SUBMIT_CONTRACTS_MAX = 16, /* of one file of events */
};

static const struct option OPTIONS[] = {
    {"as", "PARTY", "who signs; the first one is whose request it is", true},
    {"arg", "NAME=VALUE", "one argument, a text as the contract writes it", true},
    {"args", "FILE", "all arguments, a JSON object", false},
    {"events", "FILE", "many events, one JSON object a line:\n"
     "{\"contract\": C, \"action\": A, \"args\": {...}, \"legal\": DATE};\n"
     "contract and action default to the arguments; - is standard input", false},
    {"atomic", NULL, "all events are accepted, or none has an effect", false},
    {"legal-date", "DATE", "whose rules apply; default as the contract computes it", false},
    {"request-id", "HEX", "16 bytes; the same command then is the same request", false},
    REGISTRY_OPTION,
    SESSION_OPTIONS,
    {NULL, NULL, NULL, false},
};

struct submitting {
    struct session *s;
    struct signers signers;
    struct law laws[SUBMIT_CONTRACTS_MAX];
    size_t law_count;
    struct arena arena; /* events */
    struct event *events;
    struct rules_bound *bounds;
    size_t count, capacity;
    int code;           /* worst answer so far */
};

/* ---- events ---- */

/* The contract of that name, fetched when it is met first. */
static err find_law(struct submitting *u, struct bytes name, struct law **ret)
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
    if (u->law_count == SUBMIT_CONTRACTS_MAX) {
        return err_fail(&u->s->why, ERR_LIMIT, "more than %d contracts", SUBMIT_CONTRACTS_MAX);
    }
    TRY(law_load(u->s, arena_text(&u->arena, name), &u->laws[u->law_count]));
    *ret = &u->laws[u->law_count++];
    return err_ok();
}

static err add_event(struct submitting *u, struct law *law, struct law_event *e)
{
    TRY(law_type_event(law, e, &u->arena));
    if (u->count == u->capacity) {
        u->capacity = u->capacity == 0 ? 64 : 2 * u->capacity;
        u->events = mem_resize(u->events, u->capacity, sizeof *u->events);
        u->bounds = mem_resize(u->bounds, u->capacity, sizeof *u->bounds);
    }
    u->events[u->count] = (struct event){.contract = bytes_text(law->name),
                                         .action = arena_copy(&u->arena, e->action),
                                         .args = e->args,
                                         .has_legal_date = e->has_legal,
                                         .legal_date = e->legal};
    u->bounds[u->count++] = e->bound;
    return err_ok();
}

static err take_legal(struct submitting *u, const char *text, struct law_event *e)
{
    if (text == NULL) {
        return err_ok();
    }
    e->has_legal = rules_day_parse(bytes_text(text), &e->legal);
    return e->has_legal
               ? err_ok()
               : err_fail(&u->s->why, ERR_INVALID, "'%s' is no date; YYYY-MM-DD is expected", text);
}

static err read_line(struct submitting *u, const char *text, size_t size)
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

static err read_events(struct submitting *u, const char *path)
{
    struct buf text;
    size_t line = 0;
    err e = read_all(path, &text, &u->s->why);
    for (size_t at = 0; at < text.size && !failed(e); line++) {
        const uint8_t *begin = text.data + at;
        const uint8_t *end = memchr(begin, '\n', text.size - at);
        size_t size = end == NULL ? text.size - at : (size_t)(end - begin);
        at += size + 1;
        if (size > 0 && u->count == SUBMIT_EVENTS_MAX) {
            e = err_fail(&u->s->why, ERR_LIMIT, "more than %d events", SUBMIT_EVENTS_MAX);
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

static err read_one(struct submitting *u)
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

/* ---- sending ---- */

static err send_envelope(struct session *s, struct bytes envelope, const struct body *body,
                         int *code)
{
    struct submit_request q = {.envelope = envelope};
    struct submit_reply *r;
    struct bytes answer;
    char id[2 * REQUEST_ID_SIZE + 1];
    hex_encode(bytes_of(body->request_id, REQUEST_ID_SIZE), id);
    submit_request_encode(&q, &s->request);
    err e = session_ask(s, METHOD_SUBMIT, &answer);
    if (err_is(e, ERR_TIMEOUT)) {
        struct errtext last = s->why;
        return err_fail(&s->why, ERR_TIMEOUT,
                        "it is not known what became of the request; ask `concordat outcome %.*s "
                        "%s` (%.200s)",
                        (int)body->on_behalf.size, (const char *)body->on_behalf.data, id,
                        last.text);
    }
    TRY(e);
    TRY(submit_reply_decode(answer, &s->arena, &r, &s->why));
    if (s->given->json) {
        json_t *j = show_reply_json(r);
        json_object_set_new(j, "party", show_text(body->on_behalf));
        json_object_set_new(j, "request_id", json_string(id));
        show_json_line(j);
    } else {
        printf("request %s of %.*s: ", id, (int)body->on_behalf.size,
               (const char *)body->on_behalf.data);
        show_reply(r, false);
    }
    int outcome = request_code(r);
    *code = outcome > *code ? outcome : *code;
    arena_reset(&s->arena);
    return err_ok();
}

static err send_body(struct submitting *u, size_t from, size_t count, const uint8_t *id)
{
    struct buf wire;
    struct body body = {.atomic = given_has(u->s->given, "atomic"),
                        .events = u->events + from,
                        .event_count = (uint32_t)count,
                        .on_behalf = bytes_text(u->signers.list[0].party)};
    memcpy(body.ledger_id, u->s->profile.ledger_id, sizeof body.ledger_id);
    if (id != NULL) {
        memcpy(body.request_id, id, sizeof body.request_id);
        request_salt(u->signers.list[0].key, &body);
    } else {
        random_bytes(body.request_id, sizeof body.request_id);
        random_bytes(body.salt, sizeof body.salt);
    }
    buf_init(&wire, GRPC_MESSAGE_BYTES_MAX);
    request_sign(&body, &u->signers, &wire);
    err e = send_envelope(u->s, buf_bytes(&wire), &body, &u->code);
    buf_done(&wire);
    return e;
}

static err send_all(struct submitting *u)
{
    const char *id_text = given_value(u->s->given, "request-id");
    uint8_t id[REQUEST_ID_SIZE];
    if (id_text != NULL && failed(hex_decode(bytes_text(id_text), id, sizeof id))) {
        return err_fail(&u->s->why, ERR_INVALID, "--request-id: 32 hexadecimal digits");
    }
    for (size_t from = 0; from < u->count;) {
        struct request_fill fill = {0};
        size_t end = from;
        while (end < u->count && request_fill_add(&fill, &u->events[end], &u->bounds[end])) {
            end++;
        }
        if (end < u->count && (id_text != NULL || given_has(u->s->given, "atomic"))) {
            return err_fail(&u->s->why, ERR_LIMIT,
                            "%zu events are more than one request holds (%zu fit)", u->count, end);
        }
        TRY(send_body(u, from, end - from, id_text == NULL ? NULL : id));
        from = end;
    }
    return err_ok();
}

static err submit_events(struct submitting *u)
{
    const struct given *g = u->s->given;
    const char *party;
    const char *events = given_value(g, "events");
    for (size_t i = 0; (party = given_each(g, "as", i)) != NULL; i++) {
        TRY(signers_add_party(&u->signers, &u->s->profile, party, &u->s->why));
    }
    if (u->signers.count == 0) {
        return err_fail(&u->s->why, ERR_INVALID, "who signs? Give --as PARTY");
    }
    TRY(events != NULL ? read_events(u, events) : read_one(u));
    return send_all(u);
}

static err submit_file(struct submitting *u)
{
    struct buf wire;
    struct envelope *e;
    const char *path = u->s->given->arguments[0];
    buf_init(&wire, ENVELOPE_BYTES_MAX);
    err r = keyfile_read_public(path, &wire, &u->s->why);
    if (!failed(r)) {
        r = envelope_decode(buf_bytes(&wire), &u->arena, &e, &u->s->why);
        r = err_is(r, ERR_DENIED) || err_is(r, ERR_INVALID)
                ? err_fail(&u->s->why, ERR_INVALID,
                           "%s: no signed request; `concordat sign` adds a signature", path)
                : r;
    }
    if (!failed(r)) {
        r = send_envelope(u->s, buf_bytes(&wire), &e->body, &u->code);
    }
    buf_done(&wire);
    return r;
}

static int run(const struct given *g)
{
    struct session s;
    struct submitting u = {.s = &s};
    bool file = g->argument_count == 1 && !given_has(g, "events");
    if (g->argument_count == 0 && !given_has(g, "events")) {
        return complain(EXIT_USAGE, "usage: concordat submit %s; see --help",
                        g->command->arguments);
    }
    int code = session_open(g, &s);
    if (code != EXIT_DONE) {
        return code;
    }
    arena_init(&u.arena, SUBMIT_ARENA);
    err e = file ? submit_file(&u) : submit_events(&u);
    free(u.events);
    free(u.bounds);
    signers_done(&u.signers);
    for (size_t i = 0; i < u.law_count; i++) {
        law_done(&u.laws[i]);
    }
    arena_done(&u.arena);
    return failed(e) ? session_fail(&s, e) : session_close(&s, u.code);
}

const struct command SUBMIT = {
    "submit",
    "CONTRACT ACTION | [CONTRACT [ACTION]] --events FILE | REQUEST_FILE",
    0,
    2,
    "Enters events into the ledger and prints their outcomes\n\n"
    "Arguments are typed by the contract's own text, which is fetched. Exit 1 when an event was\n"
    "rejected; 3 when it is not known what became of the request.",
    OPTIONS,
    "  concordat submit solar.roquefort admit --as pmo.roquefort --arg meter=c01\n"
    "  concordat submit solar.roquefort admit --as pmo.roquefort --arg meter=p01 \\\n"
    "      --arg 'price=0.12 EUR/kWh'\n"
    "  concordat submit solar.roquefort close --as pmo.roquefort --arg period=2026-07-01\n"
    "  concordat submit solar.roquefort --events members.jsonl --as pmo.roquefort\n"
    "  concordat submit deploy.request\n",
    run};
