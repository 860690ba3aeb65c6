/* The server side of net/grpc.h, and the clients' side of the same calls (rpc.h). One object is
 * both ends of a call; it lives until both are done with it and no event holds it. */
#include "net/grpc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/require.h"
#include "tests/sim/product/fixture.h"
#include "tests/sim/product/rpc.h"

enum call_input { CALL_BEGIN, CALL_CANCEL, CALL_ROOM };
enum { STREAM_ROOM = 16 << 10 };
#define STREAM_DELAY_NS                                                                            \
    UINT64_C(500000) /* the same for all: messages of a stream keep their order */

struct grpc_call {
    uint32_t references;
    uint64_t id;
    struct machine *machine;
    const char *path;
    struct bytes request; /* owned */
    struct rpc_handler handler;

    /* the server's end */
    struct grpc_server *server; /* NULL: not begun, or over */
    struct grpc_call *next, *prev;
    const struct grpc_method *method;
    void *user;
    uint64_t deadline_ns; /* of the node's clock */
    uint64_t begun_ns;    /* likewise */
    struct tls_peer peer;
    char reason[64], retry[16];
    size_t unread; /* bytes of a stream that the client has not taken */

    /* the client's end */
    uint64_t timeout_ns;
    bool ended;
};

struct grpc_server {
    struct machine *machine;
    struct grpc_server_options options;
    struct grpc_call *calls;
    size_t call_count;
    uint64_t id_last;
    bool draining;
    void (*on_drained)(void *ctx);
    void *drained_ctx;
    struct loop_task drained_task;
    struct loop_timer grace_timer;
};

const char *const grpc_alpn[] = {"h2", NULL};

static struct grpc_call *hold(struct grpc_call *call)
{
    call->references++;
    return call;
}

static void release(struct grpc_call *call)
{
    require(call->references > 0);
    if (--call->references == 0) {
        free((void *)(uintptr_t)call->request.data);
        free(call);
    }
}

void seam_grpc_release(struct sim_call *call)
{
    release((struct grpc_call *)call);
}

/* ---- what is on its way to the client ---- */

enum to_client { CLIENT_MESSAGE, CLIENT_END, CLIENT_TIMEOUT };

struct client_event {
    struct happening event;
    struct grpc_call *call;
    enum to_client what;
    struct bytes message; /* owned */
    enum rpc_end end;
    enum grpc_status status;
    char text[160];
};

static void call_input(struct grpc_call *call, enum call_input what)
{
    struct arrival input = {
        .kind = INPUT_CALL, .call = (struct sim_call *)call, .what = (uint8_t)what};
    if (call->machine->up) {
        hold(call);
        machine_input(call->machine, &input);
    }
}

static void end_client(struct grpc_call *call, const struct rpc_result *result)
{
    if (!call->ended) {
        call->ended = true;
        call->handler.on_end(call->handler.ctx, result);
        release(call);
    }
}

static void take_message(struct grpc_call *call, struct bytes message)
{
    if (!call->ended) {
        call->handler.on_message(call->handler.ctx, message);
    }
    call->unread -= message.size < call->unread ? message.size : call->unread;
    if (call->server != NULL && call->method->on_room != NULL) {
        call_input(call, CALL_ROOM);
    }
}

static void free_client_event(struct happening *event)
{
    struct client_event *e = (struct client_event *)event;
    free((void *)(uintptr_t)e->message.data);
    release(e->call);
    free(e);
}

static void drop_client_event(struct happening *event)
{
    struct client_event *e = (struct client_event *)event;
    struct grpc_call *call = e->call;
    if (!call->ended) { /* the history is over: the client's hold goes with the first event */
        call->ended = true;
        release(call);
    }
    free_client_event(event);
}

/* A node that runs may not keep a caller waiting for ever: after a time UNKNOWN is due. */
static void check_held(const struct grpc_call *call)
{
    const struct machine *m = call->machine;
    uint64_t held_ns = loop_now_ns(m->loop) - call->begun_ns;
    if (call->method->kind == GRPC_UNARY && held_ns > SUBMIT_TIMEOUT_NS + 3 * NS_PER_S) {
        violation(m->world, "node %llu has left a call without an answer for %llu s",
                  (unsigned long long)m->id, (unsigned long long)(held_ns / NS_PER_S));
    }
}

static void on_client_event(struct happening *event)
{
    struct client_event *e = (struct client_event *)event;
    struct grpc_call *call = e->call;
    struct rpc_result result = {
        .end = e->end,
        .status = e->status,
        .reason = call->reason,
        .retry = call->retry,
        .text = e->text,
    };
    switch (e->what) {
    case CLIENT_MESSAGE:
        take_message(call, e->message);
        break;
    case CLIENT_TIMEOUT:
        if (!call->ended && call->server != NULL) {
            check_held(call);
            call_input(call, CALL_CANCEL);
        }
        end_client(call, &result);
        break;
    case CLIENT_END:
        end_client(call, &result);
        break;
    }
    free_client_event(event);
}

static void to_client(struct grpc_call *call, const struct client_event *form, uint64_t after_ns)
{
    struct client_event *e = mem_copy(form, sizeof *form);
    e->event = (struct happening){.run = on_client_event, .drop = drop_client_event};
    e->call = hold(call);
    world_after(call->machine->world, &e->event, after_ns);
}

static uint64_t way_ns(struct world *w)
{
    return 100000 + draw_below(&w->random_net, 900000);
}

static bool is_lost(struct world *w)
{
    return !w->healing && draw_chance(&w->random_net, w->chance[FAULT_LOST_CALL]);
}

static void tell_end(struct grpc_call *call, enum rpc_end end, enum grpc_status status,
                     const char *text)
{
    struct client_event e = {.what = CLIENT_END, .end = end, .status = status};
    snprintf(e.text, sizeof e.text, "%s", text == NULL ? "" : text);
    bool stream = call->method != NULL && call->method->kind != GRPC_UNARY;
    uint64_t after_ns = stream ? STREAM_DELAY_NS : way_ns(call->machine->world);
    to_client(call, &e, after_ns + call->machine->lag_ns);
}

/* ---- the way in ---- */

struct begin_event {
    struct happening event;
    struct grpc_call *call;
};

static void drop_begin(struct happening *event)
{
    struct begin_event *e = (struct begin_event *)event;
    release(e->call);
    free(e);
}

static void on_begin_event(struct happening *event)
{
    struct begin_event *e = (struct begin_event *)event;
    struct grpc_call *call = e->call;
    if (!call->machine->up || call->machine->server == NULL) {
        tell_end(call, RPC_UNSENT, GRPC_UNAVAILABLE, "nobody there");
    } else if (!is_lost(call->machine->world)) {
        call_input(call, CALL_BEGIN);
    }
    drop_begin(event);
}

struct grpc_call *rpc_start(struct machine *m, const char *path, struct bytes message,
                            const struct rpc_handler *handler, uint64_t timeout_ns)
{
    struct world *w = m->world;
    struct grpc_call *call = mem_new(1, sizeof *call);
    *call = (struct grpc_call){
        .references = 1, /* the client's, until it hears the end */
        .machine = m,
        .path = path,
        .request = bytes_of(mem_copy(message.data, message.size), message.size),
        .handler = *handler,
        .timeout_ns = timeout_ns,
    };
    call->peer.has_identity = true;
    call->peer.identity.kind = handler->officer ? IDENTITY_OFFICER : IDENTITY_CLIENT;
    snprintf(call->peer.identity.origin, sizeof call->peer.identity.origin, "%s", FIXTURE_ORIGIN);
    snprintf(call->peer.identity.institution, sizeof call->peer.identity.institution, "inst1");
    snprintf(call->peer.identity.name, sizeof call->peer.identity.name,
             handler->officer ? "anne" : "client");
    struct begin_event *e = mem_new(1, sizeof *e);
    *e = (struct begin_event){.event = {.run = on_begin_event, .drop = drop_begin},
                              .call = hold(call)};
    w->counts.calls++;
    world_after(w, &e->event, way_ns(w));
    to_client(call, &(struct client_event){.what = CLIENT_TIMEOUT, .end = RPC_LOST}, timeout_ns);
    return call;
}

void rpc_forget(struct grpc_call *call)
{
    if (!call->ended) {
        call->ended = true;
        if (call->server != NULL) {
            call_input(call, CALL_CANCEL);
        }
        release(call);
    }
}

/* ---- the server ---- */

static void drained_if_empty(struct grpc_server *s)
{
    if (s->draining && s->call_count == 0) {
        loop_post(s->options.loop, &s->drained_task);
    }
}

/* Takes the call out of the server; the reference that the server had is given back. */
static void take_out(struct grpc_call *call)
{
    struct grpc_server *s = call->server;
    *(call->prev == NULL ? &s->calls : &call->prev->next) = call->next;
    if (call->next != NULL) {
        call->next->prev = call->prev;
    }
    call->next = call->prev = NULL;
    call->server = NULL;
    s->call_count--;
    drained_if_empty(s);
    release(call);
}

static void cancel(struct grpc_call *call)
{
    if (call->method->on_cancel != NULL) {
        call->method->on_cancel(call);
    }
    take_out(call);
}

static void begin(struct grpc_server *s, struct grpc_call *call)
{
    struct errtext why = {""};
    for (size_t i = 0; i < s->options.method_count; i++) {
        if (strcmp(s->options.methods[i].path, call->path) == 0) {
            call->method = &s->options.methods[i];
        }
    }
    require(call->method != NULL);
    if (s->draining) {
        tell_end(call, RPC_STATUS, GRPC_UNAVAILABLE, "draining");
        return;
    }
    hold(call);
    call->server = s;
    call->id = ++s->id_last;
    call->next = s->calls;
    if (call->next != NULL) {
        call->next->prev = call;
    }
    s->calls = call;
    s->call_count++;
    call->begun_ns = loop_now_ns(s->options.loop);
    call->deadline_ns = loop_now_ns(s->options.loop) + call->timeout_ns;
    enum grpc_status status = s->options.on_begin(call, &why);
    if (status != GRPC_OK) {
        grpc_call_finish(call, status, why.text);
        return;
    }
    hold(call);
    call->method->on_message(call, call->request);
    if (call->server != NULL && call->method->on_room != NULL) {
        call->method->on_room(call);
    }
    release(call);
}

void seam_grpc_input(struct machine *m, const struct arrival *input)
{
    struct grpc_call *call = (struct grpc_call *)input->call;
    switch ((enum call_input)input->what) {
    case CALL_BEGIN:
        if (m->server != NULL) {
            begin(m->server, call);
        }
        break;
    case CALL_CANCEL:
        if (call->server != NULL) {
            cancel(call);
        }
        break;
    case CALL_ROOM:
        if (call->server != NULL) {
            call->method->on_room(call);
        }
        break;
    }
}

static void drained(struct loop_task *task)
{
    struct grpc_server *s = task->ctx;
    loop_timer_stop(s->options.loop, &s->grace_timer);
    s->on_drained(s->drained_ctx);
}

static void cut(struct grpc_server *s)
{
    while (s->calls != NULL) {
        tell_end(s->calls, RPC_LOST, GRPC_UNAVAILABLE, "connection closed");
        cancel(s->calls);
    }
}

static void grace_over(struct loop_timer *timer)
{
    struct grpc_server *s = timer->ctx;
    cut(s);
    drained_if_empty(s);
}

err grpc_server_new(const struct grpc_server_options *options, struct grpc_server **ret_server,
                    struct errtext *reterr)
{
    struct machine *m = machine_running();
    (void)reterr;
    struct grpc_server *s = mem_new(1, sizeof *s);
    s->machine = m;
    s->options = *options;
    loop_task_init(&s->drained_task, drained, s);
    loop_timer_init(&s->grace_timer, grace_over, s);
    m->server = s;
    *ret_server = s;
    return err_ok();
}

err grpc_server_listen(struct grpc_server *server, const char *address, struct tls_ctx *tls,
                       uint16_t *ret_port, struct errtext *reterr)
{
    (void)server;
    (void)address;
    (void)reterr;
    require(tls != NULL);
    *ret_port = 1;
    return err_ok();
}

void grpc_server_set_tls(struct grpc_server *server, uint16_t port, struct tls_ctx *tls)
{
    (void)server;
    (void)port;
    (void)tls;
}

void grpc_server_drain(struct grpc_server *server, uint64_t grace_ns, void (*on_drained)(void *ctx),
                       void *ctx)
{
    server->draining = true;
    server->on_drained = on_drained;
    server->drained_ctx = ctx;
    loop_timer_start(server->options.loop, &server->grace_timer, grace_ns, 0);
    drained_if_empty(server);
}

bool grpc_server_is_draining(const struct grpc_server *server)
{
    return server->draining;
}

struct grpc_server_stats grpc_server_stats_of(const struct grpc_server *server)
{
    return (struct grpc_server_stats){.calls = server->call_count};
}

void grpc_server_free(struct grpc_server *server)
{
    if (server == NULL) {
        return;
    }
    cut(server);
    loop_timer_stop(server->options.loop, &server->grace_timer);
    loop_unpost(server->options.loop, &server->drained_task);
    server->machine->server = NULL;
    free(server);
}

/* ---- the call ---- */

const struct grpc_method *grpc_call_method(const struct grpc_call *call)
{
    return call->method;
}

void *grpc_call_server_ctx(const struct grpc_call *call)
{
    return call->server->options.ctx;
}

void grpc_call_set_user(struct grpc_call *call, void *user)
{
    call->user = user;
}

void *grpc_call_user(const struct grpc_call *call)
{
    return call->user;
}

struct grpc_call_ref grpc_call_ref_of(const struct grpc_call *call)
{
    return (struct grpc_call_ref){.conn_id = call->id, .stream_id = 1};
}

struct grpc_call *grpc_server_find(struct grpc_server *server, struct grpc_call_ref ref)
{
    struct grpc_call *call = server->calls;
    while (call != NULL && call->id != ref.conn_id) {
        call = call->next;
    }
    return call;
}

uint64_t grpc_call_deadline_ns(const struct grpc_call *call)
{
    return call->deadline_ns;
}

const struct tls_peer *grpc_call_peer(const struct grpc_call *call)
{
    return &call->peer;
}

const char *grpc_call_address(const struct grpc_call *call)
{
    (void)call;
    return "192.0.2.1:1";
}

err grpc_call_metadata(const struct grpc_call *call, const char *name, struct bytes *ret_value)
{
    (void)call;
    (void)name;
    (void)ret_value;
    return (err){ERR_NOT_FOUND};
}

void grpc_call_trailer(struct grpc_call *call, const char *name, const char *value)
{
    if (strcmp(name, "concordat-reason") == 0) {
        snprintf(call->reason, sizeof call->reason, "%s", value);
    } else if (strcmp(name, "concordat-retry") == 0) {
        snprintf(call->retry, sizeof call->retry, "%s", value);
    }
}

err grpc_call_send(struct grpc_call *call, struct bytes message)
{
    struct machine *m = call->machine;
    if (message.size > GRPC_MESSAGE_BYTES_MAX) {
        return (err){ERR_LIMIT};
    }
    if (machine_acts(m)) {
        struct client_event e = {.what = CLIENT_MESSAGE,
                                 .message =
                                     bytes_of(mem_copy(message.data, message.size), message.size)};
        call->unread += message.size;
        to_client(call, &e, STREAM_DELAY_NS + m->lag_ns);
    }
    return err_ok();
}

size_t grpc_call_room(const struct grpc_call *call)
{
    return call->unread < STREAM_ROOM ? STREAM_ROOM - call->unread : 0;
}

static void finish(struct grpc_call *call, enum rpc_end end, enum grpc_status status,
                   const char *text)
{
    if (machine_acts(call->machine)) {
        tell_end(call, end, status, text);
    }
    take_out(call);
}

void grpc_call_finish(struct grpc_call *call, enum grpc_status status, const char *text)
{
    finish(call, status == GRPC_OK ? RPC_ANSWERED : RPC_STATUS, status, text);
}

void grpc_call_reply(struct grpc_call *call, struct bytes message)
{
    struct machine *m = call->machine;
    bool lost = is_lost(m->world);
    if (lost || !machine_acts(m)) {
        take_out(call); /* the client waits until it gives up */
        return;
    }
    struct client_event e = {.what = CLIENT_MESSAGE,
                             .message =
                                 bytes_of(mem_copy(message.data, message.size), message.size)};
    uint64_t after_ns = way_ns(m->world) + m->lag_ns;
    to_client(call, &e, after_ns);
    to_client(call, &(struct client_event){.what = CLIENT_END, .end = RPC_ANSWERED}, after_ns);
    take_out(call);
}
