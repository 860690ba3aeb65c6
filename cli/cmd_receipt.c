/* concordat receipt, policy, consistency: what convinces others, fetched and checked. */
#include "cli/commands.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "cli/proofs.h"
#include "cli/session.h"
#include "cli/show.h"
#include "proto/envelope.h"
#include "verify/run.h"

/* ---- receipt get ---- */

static const struct option GET_OPTIONS[] = {
    {"position", "N", "of the record at this position, instead of a request's", false},
    {"index", "N", "which event of the request; default 0", false},
    {"out", "FILE", "write it there; default standard output", false},
    {"content", "PREFIX", "write PREFIX.outcome and PREFIX.effects too: what was decided", false},
    LOCAL_OPTION,
    SESSION_OPTIONS,
    {NULL, NULL, NULL, false},
};

/* Takes one record off the stream. */
struct content {
    struct session *s;
    const char *prefix;
    uint64_t position;
    bool done, written;
    err e;
};

static err write_content(struct content *c, const struct watch_entry *w)
{
    char path[4096];
    (void)snprintf(path, sizeof path, "%s.outcome", c->prefix);
    TRY(proofs_write(path, w->outcome, &c->s->why));
    (void)snprintf(path, sizeof path, "%s.effects", c->prefix);
    return proofs_write(path, w->effects, &c->s->why);
}

static void on_message(void *ctx, struct bytes message)
{
    struct content *c = ctx;
    struct watch_reply *r = NULL;
    if (failed(c->e) || c->written) {
        return;
    }
    c->e = watch_reply_decode(message, &c->s->arena, &r, &c->s->why);
    if (!failed(c->e) && r->entry_count > 0 && r->entries[0].position == c->position) {
        c->e = write_content(c, &r->entries[0]);
        c->written = true;
    }
}

static void on_done(void *ctx, const struct client_result *r)
{
    struct content *c = ctx;
    c->done = true;
    if (r->end != CLIENT_ANSWERED && !failed(c->e) && !c->written) {
        c->e = err_fail(&c->s->why, r->end == CLIENT_REFUSED ? ERR_DENIED : ERR_TIMEOUT,
                        "%s: %.300s", r->node, r->text);
    }
}

/* The record's outcome and effects: the stream is left after the first record. */
static err get_content(struct content *c)
{
    struct session *s = c->s;
    struct watch_request q = {.from_position = c->position, .until_now = true};
    buf_clear(&s->request);
    watch_request_encode(&q, &s->request);
    struct client_call call = {.path = METHOD_WATCH,
                               .message = buf_bytes(&s->request),
                               .on_message = on_message,
                               .on_done = on_done,
                               .ctx = c};
    client_start(s->client, &call);
    while (!c->done && !c->written && !failed(c->e)) {
        client_turn(s->client, NS_PER_S);
    }
    TRY(c->e);
    return c->written ? err_ok()
                      : err_fail(&s->why, ERR_NOT_FOUND, "the node does not show record %llu",
                                 (unsigned long long)c->position);
}

static bool read_get(const struct given *g, struct get_receipt_request *q, uint8_t id[])
{
    uint64_t index = 0;
    const char *position = given_value(g, "position");
    q->has_position = position != NULL;
    if (!given_number(g, "position", 0, INT64_MAX, &q->position) ||
        !given_number(g, "index", 0, EVENTS_MAX - 1, &index)) {
        return false;
    }
    q->index = (uint32_t)index;
    q->local = given_has(g, "local");
    if (q->has_position != (g->argument_count == 0) || g->argument_count == 1) {
        complain(EXIT_USAGE, "say PARTY and REQUEST_ID, or --position");
        return false;
    }
    if (q->has_position) {
        return true;
    }
    q->party = bytes_text(g->arguments[0]);
    q->request_id = bytes_of(id, REQUEST_ID_SIZE);
    if (failed(hex_decode(bytes_text(g->arguments[1]), id, REQUEST_ID_SIZE))) {
        complain(EXIT_USAGE, "a request id is 32 hexadecimal digits");
        return false;
    }
    return true;
}

static int run_get(const struct given *g)
{
    struct session s;
    struct bytes answer;
    struct get_receipt_reply *r = NULL;
    struct get_receipt_request q = {0};
    uint8_t id[REQUEST_ID_SIZE];
    if (!read_get(g, &q, id)) {
        return EXIT_USAGE;
    }
    int code = session_open(g, &s);
    if (code != EXIT_DONE) {
        return code;
    }
    get_receipt_request_encode(&q, &s.request);
    err e = session_ask(&s, METHOD_GET_RECEIPT, &answer);
    if (!failed(e)) {
        e = get_receipt_reply_decode(answer, &s.arena, &r, &s.why);
    }
    if (!failed(e)) {
        e = proofs_write(given_value(g, "out"), r->receipt, &s.why);
    }
    if (!failed(e) && given_value(g, "content") != NULL) {
        struct content c = {.s = &s, .prefix = given_value(g, "content"), .position = r->position};
        e = get_content(&c);
    }
    return failed(e) ? session_fail(&s, e) : session_close(&s, EXIT_DONE);
}

const struct command RECEIPT_GET = {
    "receipt get",
    "[PARTY REQUEST_ID]",
    0,
    2,
    "Fetches the receipt of a request\n\n"
    "A receipt proves for ever, without any node, what was recorded. It is there when a majority "
    "of\n"
    "institutions has cosigned the tree that holds the record: this command waits for it, up to\n"
    "--deadline. With --content it also writes what the receipt's hashes stand for, which no one\n"
    "can guess from it.",
    GET_OPTIONS,
    "  concordat receipt get enedis 00112233445566778899aabbccddeeff --out bill.receipt\n"
    "  concordat receipt get --position 73894 --out bill.receipt --content bill\n",
    run_get};

/* ---- receipt verify, show ---- */

#define POLICY_OPTIONS                                                                             \
    {"policy", "FILE", "whom you believe: the policy of the ledger (`concordat policy`)", false},  \
    {                                                                                              \
        "unsealed", NULL, "take a policy without its last line, the seal", false                   \
    }

static const struct option VERIFY_OPTIONS[] = {
    POLICY_OPTIONS,
    {"request", "FILE", "the request as it was sent: is the record the answer to it?", false},
    {"key", "KEY", "a public key (ed25519:...) that must have signed the request", true},
    {"outcome", "FILE", "is this what was decided? Needs --request, or of a timer --salt", false},
    {"effects", "FILE", "are these its effects?", false},
    {"trace", "FILE", "is this how it was computed?", false},
    {"salt", "HEX", "of the request that led to a timer", false},
    {NULL, NULL, NULL, false},
};

/* The options that all checks share; false: it was said what is wrong. */
static bool ask_of(const struct given *g, struct verify_ask *ask)
{
    *ask = (struct verify_ask){
        .file = g->arguments[0],
        .policy = given_value(g, "policy"),
        .unsealed = given_has(g, "unsealed"),
        .json = g->json,
    };
    if (ask->policy == NULL) {
        complain(EXIT_USAGE, "--policy is missing: whom do you believe?");
    }
    return ask->policy != NULL;
}

static int run_verify(const struct given *g)
{
    struct verify_ask ask;
    if (!ask_of(g, &ask)) {
        return EXIT_USAGE;
    }
    ask.request = given_value(g, "request");
    ask.outcome = given_value(g, "outcome");
    ask.effects = given_value(g, "effects");
    ask.trace = given_value(g, "trace");
    ask.salt = given_value(g, "salt");
    for (const char *key = NULL; (key = given_each(g, "key", ask.key_count)) != NULL;) {
        if (ask.key_count == VERIFY_KEYS_MAX) {
            return complain(EXIT_USAGE, "at most %d keys", VERIFY_KEYS_MAX);
        }
        ask.keys[ask.key_count++] = key;
    }
    return verify_run_receipt(&ask);
}

const struct command RECEIPT_VERIFY = {
    "receipt verify",
    "FILE",
    1,
    1,
    "Checks a receipt, without any node\n\n"
    "Exit 1 when it is not proved, with the reason. The separate program concordat-verify does "
    "the\n"
    "same and needs nothing else.",
    VERIFY_OPTIONS,
    "  concordat receipt verify bill.receipt --policy roquefort.policy\n"
    "  concordat receipt verify bill.receipt --policy roquefort.policy --request bill.request \\\n"
    "      --outcome bill.outcome --effects bill.effects\n",
    run_verify};

static const struct option NO_OPTIONS[] = {{NULL, NULL, NULL, false}};

static int run_show(const struct given *g)
{
    const struct verify_ask ask = {.file = g->arguments[0], .json = g->json};
    return verify_run_show(&ask);
}

const struct command RECEIPT_SHOW = {"receipt show",
                                     "FILE",
                                     1,
                                     1,
                                     "Shows what a receipt claims, and checks nothing",
                                     NO_OPTIONS,
                                     "  concordat receipt show bill.receipt\n",
                                     run_show};

/* ---- statement verify ---- */

static const struct option STATEMENT_OPTIONS[] = {
    POLICY_OPTIONS,
    {"from", "WHEN", "list from this position or day (UTC) on; it must be complete there", false},
    {"to", "WHEN", "list what is before this position or day; it must be complete there", false},
    {NULL, NULL, NULL, false},
};

static int run_statement_verify(const struct given *g)
{
    struct verify_ask ask;
    if (!ask_of(g, &ask)) {
        return EXIT_USAGE;
    }
    ask.from = given_value(g, "from");
    ask.to = given_value(g, "to");
    return verify_run_statement(&ask);
}

const struct command STATEMENT_VERIFY = {
    "statement verify",
    "FILE",
    1,
    1,
    "Checks a statement that proves itself, without any node\n\n"
    "Lists the postings, and says from where to where none is missing.",
    STATEMENT_OPTIONS,
    "  concordat statement verify june.statement --policy roquefort.policy \\\n"
    "      --from 2026-06-01 --to 2026-07-01\n",
    run_statement_verify};

/* ---- policy ---- */

static const struct option FETCH_POLICY_OPTIONS[] = {
    {"at", "SIZE", "as it was for a tree of this size; default now", false},
    {"out", "FILE", "write it there; default standard output", false},
    LOCAL_OPTION,
    SESSION_OPTIONS,
    {NULL, NULL, NULL, false},
};

static int run_policy(const struct given *g)
{
    struct session s;
    struct bytes answer;
    struct get_policy_reply *r = NULL;
    struct get_policy_request q = {.local = given_has(g, "local"),
                                   .has_size = given_value(g, "at") != NULL};
    if (!given_number(g, "at", 0, INT64_MAX, &q.size)) {
        return EXIT_USAGE;
    }
    int code = session_open(g, &s);
    if (code != EXIT_DONE) {
        return code;
    }
    get_policy_request_encode(&q, &s.request);
    err e = session_ask(&s, METHOD_GET_POLICY, &answer);
    if (!failed(e)) {
        e = get_policy_reply_decode(answer, &s.arena, &r, &s.why);
    }
    if (!failed(e)) {
        e = proofs_write(given_value(g, "out"), r->policy, &s.why);
    }
    return failed(e) ? session_fail(&s, e) : session_close(&s, EXIT_DONE);
}

const struct command POLICY = {
    "policy",
    "",
    0,
    0,
    "Fetches who the institutions are, for those who check receipts\n\n"
    "A policy is believed, not proved: compare its last line with what the institutions publish.",
    FETCH_POLICY_OPTIONS,
    "  concordat policy --out roquefort.policy\n"
    "  concordat policy --at 73894\n",
    run_policy};

/* ---- consistency ---- */

static const struct option CONSISTENCY_GET_OPTIONS[] = {
    {"out", "FILE", "write it there; default standard output", false},
    LOCAL_OPTION,
    SESSION_OPTIONS,
    {NULL, NULL, NULL, false},
};

static int run_consistency_get(const struct given *g)
{
    struct session s;
    struct bytes answer;
    struct get_consistency_reply *r = NULL;
    struct get_consistency_request q = {.local = given_has(g, "local")};
    char *end = NULL;
    errno = 0;
    q.old_size = strtoull(g->arguments[0], &end, 10);
    if (errno != 0 || g->arguments[0][0] < '0' || g->arguments[0][0] > '9' || *end != '\0') {
        return complain(EXIT_USAGE, "'%s' is no tree size", g->arguments[0]);
    }
    int code = session_open(g, &s);
    if (code != EXIT_DONE) {
        return code;
    }
    get_consistency_request_encode(&q, &s.request);
    err e = session_ask(&s, METHOD_GET_CONSISTENCY, &answer);
    if (!failed(e)) {
        e = get_consistency_reply_decode(answer, &s.arena, &r, &s.why);
    }
    if (!failed(e)) {
        e = proofs_write(given_value(g, "out"), r->proof, &s.why);
    }
    return failed(e) ? session_fail(&s, e) : session_close(&s, EXIT_DONE);
}

const struct command CONSISTENCY_GET = {
    "consistency get",
    "OLD_SIZE",
    1,
    1,
    "Fetches the proof that the ledger only grew since a size\n\n"
    "OLD_SIZE is the tree size of a receipt or checkpoint that you keep.",
    CONSISTENCY_GET_OPTIONS,
    "  concordat consistency get 73895 --out grown\n",
    run_consistency_get};

static const struct option CONSISTENCY_VERIFY_OPTIONS[] = {
    POLICY_OPTIONS,
    {"old", "FILE", "the older checkpoint, or a receipt with it", false},
    {NULL, NULL, NULL, false},
};

static int run_consistency_verify(const struct given *g)
{
    struct verify_ask ask;
    if (!ask_of(g, &ask)) {
        return EXIT_USAGE;
    }
    ask.old = given_value(g, "old");
    return ask.old == NULL ? complain(EXIT_USAGE, "--old is missing: what did you know before?")
                           : verify_run_consistency(&ask);
}

const struct command CONSISTENCY_VERIFY = {
    "consistency verify",
    "FILE",
    1,
    1,
    "Checks, without any node, that nothing before was rewritten",
    CONSISTENCY_VERIFY_OPTIONS,
    "  concordat consistency verify grown --old bill.receipt --policy roquefort.policy\n",
    run_consistency_verify};
