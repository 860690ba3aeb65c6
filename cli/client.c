#include "cli/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/require.h"
#include "crypto/keyfile.h"
#include "net/grpc.h"
#include "net/grpc_client.h"
#include "proto/reason.h"

enum { PAUSE_MIN_MS = 20, PAUSE_MAX_MS = 1000 };

/* The connection to one node. */
struct link {
    struct client *client;
    const struct profile_node *node;
    struct grpc_channel *channel;
    bool broken;          /* to be freed outside of its callbacks */
    uint64_t not_before_ns; /* a node that refuses connections is not asked all the time */
    char reason[CLIENT_TEXT_MAX];
};

enum op_state { OP_FREE, OP_WAITING, OP_SENT };

/* One call. */
struct op {
    struct client *client;
    enum op_state state;
    struct client_call call;
    struct link *link;    /* SENT: where */
    unsigned attempts;
    uint64_t started_ns, due_ns; /* WAITING: when to send */
    char last[CLIENT_TEXT_MAX]; /* why the last attempt failed */
};

struct client {
    const struct profile *profile;
    struct loop *loop;
    struct tls_ctx *tls;
    struct link links[PROFILE_NODES_MAX];
    size_t link_count, at; /* at: the node that calls go to */
    struct op ops[CLIENT_CALLS_MAX];
    size_t op_count;
    uint64_t deadline_ns, progress_ns, resent;
    bool once;
};

/* ---- opening ---- */

static bool accept_node(void *ctx, const struct tls_peer *peer, struct errtext *reterr)
{
    const struct client *c = ctx;
    if (!peer->has_identity || strcmp(peer->identity.origin, c->profile->origin) != 0) {
        (void)err_fail(reterr, ERR_DENIED, "its certificate is not of ledger %s",
                       c->profile->origin);
        return false;
    }
    return true;
}

static err read_pem(const char *path, bool secret, struct buf *ret, struct errtext *reterr)
{
    buf_init(ret, KEYFILE_BYTES_MAX);
    return secret ? keyfile_read_secret(path, ret, reterr) : keyfile_read_public(path, ret, reterr);
}

static err make_tls(struct client *c, struct errtext *reterr)
{
    const struct profile *p = c->profile;
    struct buf cas[PROFILE_CAS_MAX] = {0};
    struct tls_ca list[PROFILE_CAS_MAX];
    struct buf chain = {0};
    struct buf key = {0};
    err e = read_pem(p->cert, false, &chain, reterr);
    if (!failed(e)) {
        e = read_pem(p->key, true, &key, reterr);
    }
    for (size_t i = 0; i < p->ca_count && !failed(e); i++) {
        e = read_pem(p->cas[i], false, &cas[i], reterr);
        list[i] = (struct tls_ca){.cert = buf_bytes(&cas[i])};
    }
    if (!failed(e)) {
        struct tls_options o = {.cas = list,
                                .ca_count = p->ca_count,
                                .chain = buf_bytes(&chain),
                                .key = buf_bytes(&key),
                                .alpn = grpc_alpn,
                                .want_identity = true,
                                .accept = accept_node,
                                .accept_ctx = c};
        e = tls_ctx_new(&o, &c->tls, reterr);
    }
    for (size_t i = 0; i < p->ca_count; i++) {
        buf_done(&cas[i]);
    }
    buf_done(&chain);
    keyfile_wipe(&key);
    return e;
}

static err make_links(struct client *c, const char *only, struct errtext *reterr)
{
    for (size_t i = 0; i < c->profile->node_count; i++) {
        const struct profile_node *node = &c->profile->nodes[i];
        if (only == NULL || strcmp(only, node->name) == 0) {
            c->links[c->link_count++] = (struct link){.client = c, .node = node};
        }
    }
    return c->link_count > 0 ? err_ok()
                             : err_fail(reterr, ERR_INVALID, "%s: no node is called '%s'",
                                        c->profile->path, only);
}

err client_open(const struct client_options *options, struct client **ret, struct errtext *reterr)
{
    require(options->profile != NULL);
    struct client *c = mem_new(1, sizeof *c);
    c->profile = options->profile;
    c->once = options->once;
    c->deadline_ns = options->deadline_ns == 0 ? CLIENT_DEADLINE_NS : options->deadline_ns;
    err e = make_links(c, options->node, reterr);
    if (!failed(e)) {
        e = make_tls(c, reterr);
    }
    if (!failed(e)) {
        e = loop_new(&c->loop, reterr);
    }
    if (failed(e)) {
        client_free(c);
        return e;
    }
    for (size_t i = 0; i < CLIENT_CALLS_MAX; i++) {
        c->ops[i].client = c;
    }
    c->progress_ns = loop_update_now(c->loop);
    *ret = c;
    return err_ok();
}

void client_free(struct client *c)
{
    if (c == NULL) {
        return;
    }
    for (size_t i = 0; i < CLIENT_CALLS_MAX; i++) {
        c->ops[i].state = OP_FREE;
    }
    for (size_t i = 0; i < c->link_count; i++) {
        grpc_channel_free(c->links[i].channel);
    }
    tls_ctx_free(c->tls);
    loop_free(c->loop);
    free(c);
}

/* ---- the life of a call ---- */

static void op_end(struct op *op, const struct client_result *result)
{
    struct client_call call = op->call;
    require(op->state != OP_FREE);
    op->state = OP_FREE;
    op->client->op_count--;
    if (result->end != CLIENT_UNKNOWN) {
        op->client->progress_ns = loop_now_ns(op->client->loop);
    }
    if (call.on_done != NULL) {
        call.on_done(call.ctx, result);
    }
}

/* The attempt failed: the next node, after a pause that grows once every node was asked. */
static void op_again(struct op *op, const char *why)
{
    struct client *c = op->client;
    size_t index = (size_t)(op->link - c->links);
    uint64_t now = loop_now_ns(c->loop);
    snprintf(op->last, sizeof op->last, "%s", why);
    if (index == c->at) {
        c->at = (c->at + 1) % c->link_count;
    }
    op->attempts++;
    if (op->call.on_message != NULL || (c->once && op->attempts >= c->link_count)) {
        struct client_result r = {CLIENT_UNKNOWN, {NULL, 0}, "", op->last, op->link->node->name,
                                  op->attempts};
        op_end(op, &r);
        return;
    }
    uint64_t pause_ms = 0;
    if (op->attempts >= c->link_count) {
        unsigned steps = op->attempts - (unsigned)c->link_count;
        pause_ms = steps > 5 ? PAUSE_MAX_MS : (uint64_t)PAUSE_MIN_MS << steps;
    }
    op->state = OP_WAITING;
    op->due_ns = now + pause_ms * NS_PER_MS;
    c->resent++;
}

enum verdict { VERDICT_ANSWERED, VERDICT_REFUSED, VERDICT_AGAIN };

/* What a status and its reason ask of us (concordat/v1/ledger.proto, "Three kinds of answer"). */
static enum verdict judge(const struct grpc_result *r, enum reason reason, bool has_reason)
{
    if (r->status == GRPC_OK) {
        return VERDICT_ANSWERED;
    }
    if (has_reason) {
        bool final = reason == REASON_NOT_FOUND || reason == REASON_LEDGER_FORKED ||
                     reason == REASON_CHANGE_PENDING || reason == REASON_QUORUM_AT_RISK;
        return reason_retry(reason) == RETRY_NEVER || final ? VERDICT_REFUSED : VERDICT_AGAIN;
    }
    bool final = r->status == GRPC_UNIMPLEMENTED || r->status == GRPC_PERMISSION_DENIED ||
                 r->status == GRPC_UNAUTHENTICATED || r->status == GRPC_INVALID_ARGUMENT;
    return r->from_server && final ? VERDICT_REFUSED : VERDICT_AGAIN;
}

static void on_end(void *ctx, const struct grpc_result *r)
{
    struct op *op = ctx;
    struct bytes name = {NULL, 0};
    struct bytes retry = {NULL, 0};
    enum reason reason = REASON_NONE;
    char reason_text[64] = "";
    bool has_reason = false;
    if (op->state != OP_SENT) {
        return;
    }
    if (r->status != GRPC_OK && r->from_server &&
        !failed(grpc_client_trailer(r->call, "concordat-reason", &name))) {
        snprintf(reason_text, sizeof reason_text, "%.*s", (int)name.size, (const char *)name.data);
        has_reason = reason_parse(name, &reason);
        if (!has_reason && !failed(grpc_client_trailer(r->call, "concordat-retry", &retry))) {
            /* A newer node's reason: its retry says enough. */
            has_reason = true;
            reason = bytes_equal(retry, bytes_text("never")) ? REASON_BAD_REQUEST : REASON_BUSY;
        }
    }
    struct client_result result = {CLIENT_ANSWERED, r->message, reason_text, r->text,
                                   op->link->node->name, op->attempts + 1};
    char why[CLIENT_TEXT_MAX];
    switch (judge(r, reason, has_reason)) {
    case VERDICT_ANSWERED:
        op_end(op, &result);
        break;
    case VERDICT_REFUSED:
        result.end = CLIENT_REFUSED;
        op_end(op, &result);
        break;
    case VERDICT_AGAIN:
        snprintf(why, sizeof why, "%s: %s%s%.300s", op->link->node->name,
                 has_reason ? reason_text : "", has_reason ? ": " : "",
                 r->text[0] == '\0' ? grpc_status_name(r->status) : r->text);
        op_again(op, why);
        break;
    }
}

static void on_stream_message(void *ctx, struct grpc_client_call *call, struct bytes message)
{
    struct op *op = ctx;
    (void)call;
    op->client->progress_ns = loop_now_ns(op->client->loop);
    if (op->state == OP_SENT) {
        op->call.on_message(op->call.ctx, message);
    }
}

static void on_state(void *ctx, struct grpc_channel *channel, bool up, const char *reason)
{
    struct link *link = ctx;
    (void)channel;
    if (!up) {
        link->broken = true;
        snprintf(link->reason, sizeof link->reason, "%s", reason);
    }
}

/* ---- sending ---- */

static bool link_open(struct link *link, struct errtext *reterr)
{
    struct client *c = link->client;
    const char *slash = strchr(link->node->name, '/');
    uint64_t now = loop_now_ns(c->loop);
    if (link->channel != NULL) {
        return true;
    }
    if (now < link->not_before_ns) {
        (void)err_fail(reterr, ERR_AGAIN, "%s", link->reason);
        return false;
    }
    struct grpc_channel_options o = {.loop = c->loop,
                                     .address = link->node->address,
                                     .tls = c->tls,
                                     .expect_node = true,
                                     .name = slash == NULL ? link->node->name : slash + 1,
                                     .on_state = on_state,
                                     .ctx = link};
    link->not_before_ns = now + 200 * NS_PER_MS;
    if (failed(grpc_channel_open(&o, &link->channel, reterr))) {
        snprintf(link->reason, sizeof link->reason, "%.300s", reterr->text);
        link->channel = NULL;
        return false;
    }
    return true;
}

static void op_send(struct op *op)
{
    struct client *c = op->client;
    struct link *link = &c->links[c->at];
    struct errtext why = {""};
    char text[CLIENT_TEXT_MAX];
    op->link = link;
    if (link_open(link, &why)) {
        struct grpc_client_request q = {.path = op->call.path,
                                        .message = op->call.message,
                                        .timeout_ns = op->call.on_message == NULL
                                                          ? CLIENT_ATTEMPT_NS
                                                          : 0,
                                        .on_message = op->call.on_message == NULL
                                                          ? NULL
                                                          : on_stream_message,
                                        .on_end = on_end,
                                        .ctx = op};
        op->state = OP_SENT;
        if (!failed(grpc_client_call(link->channel, &q, NULL, &why))) {
            return;
        }
    }
    snprintf(text, sizeof text, "%s: %.300s", link->node->name, why.text);
    op_again(op, text);
}

static void expire(struct op *op)
{
    struct client *c = op->client;
    uint64_t since = op->started_ns > c->progress_ns ? op->started_ns : c->progress_ns;
    if (loop_now_ns(c->loop) - since > c->deadline_ns) {
        struct client_result r = {CLIENT_UNKNOWN, {NULL, 0}, "", op->last, "", op->attempts};
        op_end(op, &r);
    }
}

/* Sends what is due; tells how long there is nothing to do. */
static uint64_t pump(struct client *c)
{
    uint64_t now = loop_update_now(c->loop);
    uint64_t wait = 200 * NS_PER_MS;
    for (size_t i = 0; i < c->link_count; i++) {
        if (c->links[i].broken) {
            grpc_channel_free(c->links[i].channel);
            c->links[i].channel = NULL;
            c->links[i].broken = false;
        }
    }
    for (size_t i = 0; i < CLIENT_CALLS_MAX; i++) {
        struct op *op = &c->ops[i];
        if (op->state == OP_WAITING && op->due_ns <= now) {
            op_send(op);
        }
        if (op->state == OP_WAITING && op->attempts > 0) {
            expire(op);
        }
        if (op->state == OP_WAITING) {
            uint64_t left = op->due_ns <= now ? 0 : op->due_ns - now;
            wait = left < wait ? left : wait;
        }
    }
    return wait;
}

void client_start(struct client *c, const struct client_call *call)
{
    struct op *op = c->ops;
    require(c->op_count < CLIENT_CALLS_MAX);
    while (op->state != OP_FREE) {
        op++;
    }
    uint64_t now = loop_now_ns(c->loop);
    *op = (struct op){.client = c, .state = OP_WAITING, .call = *call, .started_ns = now,
                      .due_ns = now};
    c->op_count++;
}

size_t client_calls(const struct client *c)
{
    return c->op_count;
}

uint64_t client_resent(const struct client *c)
{
    return c->resent;
}

void client_rotate(struct client *c)
{
    c->at = (c->at + 1) % c->link_count;
}

void client_turn(struct client *c, uint64_t wait_ns)
{
    uint64_t wait = pump(c);
    loop_turn(c->loop, wait < wait_ns ? wait : wait_ns);
}

/* ---- blocking ---- */

struct asking {
    struct arena *arena;
    struct bytes message;
    bool done;
    err e;
    struct errtext *reterr;
};

static void on_asked(void *ctx, const struct client_result *r)
{
    struct asking *a = ctx;
    a->done = true;
    switch (r->end) {
    case CLIENT_ANSWERED:
        a->message = arena_copy(a->arena, r->message);
        break;
    case CLIENT_REFUSED:
        a->e = err_fail(a->reterr,
                        strcmp(r->reason, "BAD_REQUEST") == 0 ? ERR_INVALID : ERR_DENIED,
                        "refused by %s: %s%s%.300s", r->node, r->reason,
                        r->reason[0] == '\0' ? "" : ": ", r->text);
        break;
    case CLIENT_UNKNOWN:
        a->e = err_fail(a->reterr, ERR_TIMEOUT, "no node answers; the last one said: %.380s",
                        r->text);
        break;
    }
}

err client_ask(struct client *c, const char *path, const struct buf *message, struct arena *a,
               struct bytes *ret_message, struct errtext *reterr)
{
    struct asking asking = {.arena = a, .e = err_ok(), .reterr = reterr};
    require(!message->overflow);
    struct client_call call = {
        .path = path, .message = buf_bytes(message), .on_done = on_asked, .ctx = &asking};
    loop_update_now(c->loop);
    client_start(c, &call);
    while (!asking.done) {
        client_turn(c, NS_PER_S);
    }
    if (!failed(asking.e)) {
        *ret_message = asking.message;
    }
    return asking.e;
}
