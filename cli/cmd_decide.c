/* concordat simulate, explain: what would be decided, and why it was. */
#include "cli/commands.h"

#include <stdio.h>
#include <string.h>

#include "base/hex.h"
#include "base/require.h"
#include "cli/events.h"
#include "cli/request.h"
#include "cli/session.h"
#include "cli/show.h"
#include "crypto/keyfile.h"
#include "crypto/random.h"
#include "rules/civil.h"

#define LANGUAGE_OPTION                                                                            \
    {                                                                                              \
        "lang", "LANG", "words in en, fr or nl; default en", false                                 \
    }

/* A JSON text of the ledger as a value, so that it is read and not quoted again. */
static json_t *parsed(struct bytes json)
{
    json_error_t error;
    json_t *value = json.size == 0
                        ? json_null()
                        : json_loadb((const char *)json.data, json.size, JSON_DECODE_ANY, &error);
    return value == NULL ? json_null() : value;
}

static void print_words(struct bytes words)
{
    if (words.size > 0) {
        fwrite(words.data, 1, words.size, stdout);
    }
}

/* ---- simulate ---- */

static const struct option SIMULATE_OPTIONS[] = {
    {"as", "PARTY", "who is assumed to sign, without a key; on behalf of the first", true},
    EVENTS_OPTIONS,
    {"time", "TIME", "block time to assume, as 2026-07-01T10:00:00Z; default now", false},
    LANGUAGE_OPTION,
    REGISTRY_OPTION,
    LOCAL_OPTION,
    SESSION_OPTIONS,
    {NULL, NULL, NULL, false},
};

struct simulating {
    struct session *s;
    struct events events;
    struct buf wire; /* the file, or the body made of events */
    struct assumed_signer signers[SIGNATURES_MAX];
    struct simulate_request q;
};

static err take_options(struct simulating *u)
{
    const struct given *g = u->s->given;
    const char *time = given_value(g, "time");
    const char *party;
    u->q.local = given_has(g, "local");
    u->q.language = bytes_text(given_value(g, "lang") == NULL ? "en" : given_value(g, "lang"));
    u->q.signers = u->signers;
    for (size_t i = 0; (party = given_each(g, "as", i)) != NULL; i++) {
        if (i == SIGNATURES_MAX) {
            return err_fail(&u->s->why, ERR_LIMIT, "at most %d parties sign", SIGNATURES_MAX);
        }
        u->signers[i].party = bytes_text(party);
        u->q.signer_count = i + 1;
    }
    struct civil_time at;
    if (time != NULL) {
        u->q.has_now = civil_time_parse(bytes_text(time), &at) == NUM_OK &&
                       rules_time_to_ns((struct rules_time){at.seconds, at.nanos}, &u->q.now_ns);
        if (!u->q.has_now) {
            return err_fail(&u->s->why, ERR_INVALID,
                            "--time: '%s' is no time; 2026-07-01T10:00:00Z is expected", time);
        }
    }
    return err_ok();
}

/* A request that goes around, signed by some or by nobody yet. */
static err take_file(struct simulating *u)
{
    struct session *s = u->s;
    const char *path = s->given->arguments[0];
    struct envelope *e;
    struct body body;
    TRY(keyfile_read_public(path, &u->wire, &s->why));
    struct bytes wire = buf_bytes(&u->wire);
    if (!failed(envelope_decode(wire, &u->events.arena, &e, &s->why))) {
        u->q.envelope = wire;
        return err_ok();
    }
    u->q.body = wire;
    err r = body_decode(wire, &u->events.arena, &body, &s->why);
    return failed(r) ? err_wrapf(&s->why, r, "%s: no request", path) : r;
}

static err take_events(struct simulating *u)
{
    struct session *s = u->s;
    if (u->q.signer_count == 0) {
        return err_fail(&s->why, ERR_INVALID, "who would sign? Give --as PARTY");
    }
    TRY(events_read(&u->events));
    if (u->events.count == 0 || u->events.count > EVENTS_MAX) {
        return err_fail(&s->why, ERR_LIMIT, "%zu events; one request has 1 to %d", u->events.count,
                        EVENTS_MAX);
    }
    struct body body = {.atomic = given_has(s->given, "atomic"),
                        .events = u->events.list,
                        .event_count = (uint32_t)u->events.count,
                        .on_behalf = u->signers[0].party};
    memcpy(body.ledger_id, s->profile.ledger_id, sizeof body.ledger_id);
    random_bytes(body.request_id, sizeof body.request_id);
    random_bytes(body.salt, sizeof body.salt);
    body_encode(&body, &u->wire);
    if (u->wire.overflow || u->wire.size > BODY_BYTES_MAX) {
        return err_fail(&s->why, ERR_LIMIT, "the events are over %d bytes", BODY_BYTES_MAX);
    }
    u->q.body = buf_bytes(&u->wire);
    return err_ok();
}

static json_t *simulated_json(const struct simulated *e)
{
    json_t *j = show_outcome(&e->outcome);
    json_object_set_new(j, "timer", json_boolean(e->timer));
    json_object_set_new(j, "effects", parsed(e->effects));
    json_object_set_new(j, "trace", parsed(e->trace));
    json_object_set_new(j, "words", show_text(e->words));
    return j;
}

static void show_simulation(const struct simulate_reply *r, bool json)
{
    json_t *events = json_array();
    for (size_t i = 0; i < r->event_count; i++) {
        const struct simulated *e = &r->events[i];
        if (json) {
            json_array_append_new(events, simulated_json(e));
            continue;
        }
        if (e->timer) {
            printf("%sa timer would fire first:\n", i == 0 ? "" : "\n");
        } else if (i > 0) {
            putchar('\n');
        }
        print_words(e->words);
    }
    if (json) {
        show_json_line(json_pack("{s:o,s:o,s:b,s:o}", "at", show_at(&r->at), "now",
                                 show_time_json(r->now_ns), "accepted", r->accepted, "events",
                                 events));
        return;
    }
    json_decref(events);
    printf("\n%s; nothing was recorded\n",
           r->accepted ? "all of it would be accepted" : "not all of it would be accepted");
}

static err ask_simulate(struct simulating *u, bool file, bool *ret_accepted)
{
    struct session *s = u->s;
    struct bytes answer;
    struct simulate_reply *r;
    TRY(take_options(u));
    TRY(file ? take_file(u) : take_events(u));
    simulate_request_encode(&u->q, &s->request);
    TRY(session_ask(s, METHOD_SIMULATE, &answer));
    TRY(simulate_reply_decode(answer, &s->arena, &r, &s->why));
    show_simulation(r, s->given->json);
    *ret_accepted = r->accepted;
    return err_ok();
}

static int run_simulate(const struct given *g)
{
    struct session s;
    struct simulating u = {.s = &s};
    bool accepted = false;
    bool file = g->argument_count == 1 && !given_has(g, "events");
    if (g->argument_count == 0 && !given_has(g, "events")) {
        return complain(EXIT_USAGE, "usage: concordat simulate %s; see --help",
                        g->command->arguments);
    }
    int code = session_open(g, &s);
    if (code != EXIT_DONE) {
        return code;
    }
    events_init(&u.events, &s);
    buf_init(&u.wire, ENVELOPE_BYTES_MAX);
    err e = ask_simulate(&u, file, &accepted);
    buf_done(&u.wire);
    events_done(&u.events);
    return failed(e) ? session_fail(&s, e)
                     : session_close(&s, accepted ? EXIT_DONE : EXIT_REFUSED);
}

const struct command SIMULATE = {
    "simulate",
    "FILE | CONTRACT ACTION | [CONTRACT [ACTION]] --events FILE",
    0,
    2,
    "Tries a request on the current state and tells what would be decided\n\n"
    "FILE is a request as `sign` and `submit` take it, signed or not. Nothing is recorded, no\n"
    "request id is used up, and no key is needed. At most 256 events and 1.5 million steps by\n"
    "static bound. Exit 1 when not everything would be accepted.",
    SIMULATE_OPTIONS,
    "  concordat simulate claim.request --lang nl\n"
    "  concordat simulate solar.roquefort admit --as pmo.roquefort --arg meter=c01\n"
    "  concordat simulate care.budget --events claims.jsonl --as svb --time 2026-09-01T08:00:00Z\n",
    run_simulate};

/* ---- explain ---- */

static const struct option EXPLAIN_OPTIONS[] = {
    {"event", "N", "which event of the request, from 0; default 0", false},
    LANGUAGE_OPTION,
    LOCAL_OPTION,
    SESSION_OPTIONS,
    {NULL, NULL, NULL, false},
};

static bool take_decision(const struct given *g, uint8_t id[REQUEST_ID_SIZE],
                          struct explain_request *q)
{
    uint64_t event = 0;
    if (!given_number(g, "event", 0, EVENTS_MAX - 1, &event)) {
        return false;
    }
    q->event_index = (uint32_t)event;
    if (g->argument_count == 1) {
        char more;
        unsigned long long position;
        if (strspn(g->arguments[0], "0123456789") != strlen(g->arguments[0]) ||
            sscanf(g->arguments[0], "%19llu%c", &position, &more) != 1) {
            complain(EXIT_USAGE, "a position, or a party and a request id are expected");
            return false;
        }
        q->has_position = true;
        q->position = position;
        return true;
    }
    if (failed(hex_decode(bytes_text(g->arguments[1]), id, REQUEST_ID_SIZE))) {
        complain(EXIT_USAGE, "a request id is 32 hexadecimal digits");
        return false;
    }
    q->party = bytes_text(g->arguments[0]);
    q->request_id = bytes_of(id, REQUEST_ID_SIZE);
    return true;
}

static void show_explained(const struct explain_reply *r, bool json)
{
    if (!json) {
        char time[SHOW_TIME_SIZE];
        show_time(r->time_ns, time);
        print_words(r->words);
        printf("\nrecord %llu, block %llu of %s: %s\n", (unsigned long long)r->outcome.position,
               (unsigned long long)r->height, time,
               r->recomputed ? "evaluated again, and the hashes are the recorded ones"
                             : "its trace was kept, and its hash is the recorded one");
        return;
    }
    json_t *j = show_outcome(&r->outcome);
    json_object_set_new(j, "height", json_integer((json_int_t)r->height));
    json_object_set_new(j, "time", show_time_json(r->time_ns));
    json_object_set_new(j, "recomputed", json_boolean(r->recomputed));
    json_object_set_new(j, "outcome", parsed(r->outcome_json));
    json_object_set_new(j, "effects", parsed(r->effects));
    json_object_set_new(j, "trace", parsed(r->trace));
    json_object_set_new(j, "words", show_text(r->words));
    show_json_line(j);
}

static int run_explain(const struct given *g)
{
    struct session s;
    struct bytes answer;
    struct explain_reply *r = NULL;
    uint8_t id[REQUEST_ID_SIZE];
    const char *lang = given_value(g, "lang");
    struct explain_request q = {.local = given_has(g, "local"),
                                .language = bytes_text(lang == NULL ? "en" : lang)};
    if (!take_decision(g, id, &q)) {
        return EXIT_USAGE;
    }
    int code = session_open(g, &s);
    if (code != EXIT_DONE) {
        return code;
    }
    explain_request_encode(&q, &s.request);
    err e = session_ask(&s, METHOD_EXPLAIN, &answer);
    if (!failed(e)) {
        e = explain_reply_decode(answer, &s.arena, &r, &s.why);
    }
    if (failed(e)) {
        return session_fail(&s, e);
    }
    show_explained(r, g->json);
    return session_close(&s, EXIT_DONE);
}

const struct command EXPLAIN = {
    "explain",
    "POSITION | PARTY REQUEST_ID",
    1,
    2,
    "Tells a recorded decision to the person whom it concerns\n\n"
    "What was decided, under which clause and why, what was missing, what was examined and what\n"
    "changed. The node evaluates the event again on what it had read and checks the result\n"
    "against the record. For clients of the node's own institution and of those whose parties\n"
    "signed.",
    EXPLAIN_OPTIONS,
    "  concordat explain 4711 --lang nl\n"
    "  concordat explain svb 00112233445566778899aabbccddeeff --event 2 --json\n",
    run_explain};
