/* concordat submit: events of a contract, typed by its text, signed, entered, answered. */
#include "cli/commands.h"

#include <stdio.h>
#include <string.h>

#include "base/hex.h"
#include "cli/events.h"
#include "cli/proofs.h"
#include "cli/request.h"
#include "cli/session.h"
#include "cli/show.h"
#include "crypto/keyfile.h"
#include "crypto/random.h"

static const struct option OPTIONS[] = {
    {"as", "PARTY", "who signs; the first one is whose request it is", true},
    EVENTS_OPTIONS,
    {"request-id", "HEX", "16 bytes; the same command then is the same request", false},
    {"save", "FILE", "keep the request as it is sent: who checks the receipt wants it", false},
    {"receipt", "FILE", "wait until a majority has cosigned, and write the receipt there", false},
    REGISTRY_OPTION,
    SESSION_OPTIONS,
    {NULL, NULL, NULL, false},
};

struct submitting {
    struct session *s;
    struct signers signers;
    struct events events;
    int code; /* worst answer so far */
};

/* ---- sending ---- */

/* The receipt of the first event, if it is there in time; the request is recorded all the same. */
static err keep_receipt(struct session *s, const struct submit_reply *r)
{
    const char *path = given_value(s->given, "receipt");
    if (path == NULL) {
        return err_ok();
    }
    if (r->receipt.size > 0) {
        return proofs_write(path, r->receipt, &s->why);
    }
    fprintf(stderr,
            "concordat: recorded, and not cosigned yet; ask later: concordat receipt get\n");
    return err_ok();
}

static err send_envelope(struct session *s, struct bytes envelope, const struct body *body,
                         int *code)
{
    struct submit_request q = {.envelope = envelope};
    const char *save = given_value(s->given, "save");
    struct submit_reply *r;
    struct bytes answer;
    char id[2 * REQUEST_ID_SIZE + 1];
    hex_encode(bytes_of(body->request_id, REQUEST_ID_SIZE), id);
    q.wait = given_has(s->given, "receipt") ? WAIT_COSIGNED : WAIT_COMMITTED;
    if (save != NULL) {
        TRY(proofs_write(save, envelope, &s->why));
    }
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
    TRY(keep_receipt(s, r));
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
                        .events = u->events.list + from,
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
    for (size_t from = 0; from < u->events.count;) {
        struct request_fill fill = {0};
        size_t end = from;
        while (end < u->events.count &&
               request_fill_add(&fill, &u->events.list[end], &u->events.bounds[end])) {
            end++;
        }
        bool one = id_text != NULL || given_has(u->s->given, "atomic") ||
                   given_has(u->s->given, "save") || given_has(u->s->given, "receipt");
        if (end < u->events.count && one) {
            return err_fail(&u->s->why, ERR_LIMIT,
                            "%zu events are more than one request holds (%zu fit)", u->events.count,
                            end);
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
    for (size_t i = 0; (party = given_each(g, "as", i)) != NULL; i++) {
        TRY(signers_add_party(&u->signers, &u->s->profile, party, &u->s->why));
    }
    if (u->signers.count == 0) {
        return err_fail(&u->s->why, ERR_INVALID, "who signs? Give --as PARTY");
    }
    TRY(events_read(&u->events));
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
        r = envelope_decode(buf_bytes(&wire), &u->events.arena, &e, &u->s->why);
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
    events_init(&u.events, &s);
    err e = file ? submit_file(&u) : submit_events(&u);
    signers_done(&u.signers);
    events_done(&u.events);
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
    "  concordat submit solar.roquefort admit --as pmo.roquefort --arg meter=c01 \\\n"
    "      --save admit.request --receipt admit.receipt\n"
    "  concordat submit deploy.request\n",
    run};
