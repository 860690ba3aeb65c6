#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/require.h"
#include "crypto/random.h"
#include "net/grpc_core.h"
#include "net/h2_pump.h"

enum { SWEEP_S = 1, CUT_S = 2 /* after the grace: for the last statuses to leave */ };

const char *const grpc_alpn[] = {"h2", NULL};

struct peer_count {
    size_t conns;
};

/* ---- connections of one identity ---- */

static bool count_peer(struct grpc_session *s)
{
    struct grpc_server *server = s->server;
    if (s->peer == NULL || !s->peer->has_identity) {
        return true;
    }
    char uri[IDENTITY_URI_SIZE];
    identity_print(&s->peer->identity, uri);
    struct bytes key = bytes_text(uri);
    struct peer_count *p = map_get(&server->peers, key);
    if (p == NULL) {
        p = mem_new(1, sizeof(*p));
        map_put(&server->peers, key, p);
    }
    if (p->conns >= server->options.conns_per_peer_max) {
        return false;
    }
    p->conns++;
    s->peer_key = bytes_of(mem_copy(key.data, key.size), key.size);
    return true;
}

static void uncount_peer(struct grpc_server *server, struct bytes key)
{
    if (key.size == 0) {
        return;
    }
    struct peer_count *p = map_get(&server->peers, key);
    require(p != NULL);
    require(p->conns > 0);
    if (--p->conns == 0) {
        map_remove(&server->peers, key);
        free(p);
    }
    free((void *)(uintptr_t)key.data);
}

/* ---- connections ---- */

static void on_conn_open(struct conn *conn, void *ctx)
{
    struct grpc_session *s = ctx;
    struct grpc_server *server = s->server;
    grpc_session_open(s, conn_peer(conn), conn_address(conn));
    uint64_t age_ns = server->options.age_ns;
    if (age_ns > 0) { /* spread over +-10 %, so that clients do not come back all at once */
        s->retire_ns = s->opened_ns + age_ns - age_ns / 10 + random_u64() % (age_ns / 5 + 1);
    }
    if (!count_peer(s)) {
        h2_terminate(s->h2, H2_ENHANCE_YOUR_CALM, "too many connections of this identity");
        s->closing = true;
    } else if (server->draining) {
        h2_shutdown(s->h2);
    }
}

static void on_conn_data(struct conn *conn, void *ctx, struct bytes data)
{
    struct grpc_session *s = ctx;
    if (s->closing) {
        return;
    }
    if (failed(grpc_session_in(s, data, NULL))) {
        s->server->stats.conns_abused++;
        s->closing = true;
    }
    conn_touch(conn);
}

static struct bytes next_out(void *ctx)
{
    return grpc_session_out(ctx);
}

static void on_conn_fill(struct conn *conn, void *ctx)
{
    struct grpc_session *s = ctx;
    if (h2_pump(conn, loop_scratch(s->server->options.loop), next_out, s) &&
        (s->closing || h2_is_done(s->h2))) {
        conn_close(conn);
    }
}

static void post_drained(struct grpc_server *server)
{
    if (server->draining && server->stats.conns == 0 && server->on_drained != NULL) {
        loop_post(server->options.loop, &server->drained);
    }
}

static void on_conn_close(struct conn *conn, void *ctx, const char *reason)
{
    struct grpc_session *s = ctx;
    struct grpc_server *server = s->server;
    struct bytes key = s->peer_key;
    grpc_session_free(s);
    uncount_peer(server, key);
    post_drained(server);
}

static const struct conn_events server_events = {
    .on_open = on_conn_open,
    .on_data = on_conn_data,
    .on_fill = on_conn_fill,
    .on_close = on_conn_close,
};

static bool on_accept(void *ctx, struct conn *conn)
{
    struct grpc_server *server = ctx;
    struct grpc_session *s = grpc_session_new(server, conn);
    conn_set_events(conn, &server_events, s);
    return true;
}

/* ---- once a second ---- */

static void abandon(struct grpc_session *s, const char *reason)
{
    s->server->stats.conns_abused++;
    s->closing = true;
    conn_abort(s->conn, reason);
}

static void sweep_session(struct grpc_session *s, uint64_t now_ns)
{
    if (s->closing || s->h2 == NULL || s->conn == NULL) {
        return; /* the connection's own timers look after it */
    }
    const struct grpc_server_options *o = &s->server->options;
    uint64_t since_ns = h2_headers_since_ns(s->h2);
    if (!h2_has_settings(s->h2) && now_ns - s->opened_ns > H2_PREFACE_NS) {
        abandon(s, "no HTTP/2 preface");
        return;
    }
    if (since_ns != 0 && now_ns - since_ns > H2_PREFACE_NS) {
        abandon(s, "request headers took too long");
        return;
    }
    if (h2_pings_unanswered(s->h2) > 0 && s->pinged_ns != 0 &&
        now_ns - s->pinged_ns > GRPC_PING_TIMEOUT_NS) {
        abandon(s, "the client does not answer");
        return;
    }
    grpc_session_sweep(s);
    bool idle = h2_stream_count(s->h2) == 0 && now_ns - s->busy_ns > o->idle_ns;
    if (idle || (s->retire_ns != 0 && now_ns > s->retire_ns)) {
        h2_shutdown(s->h2);
    } else if (now_ns - conn_received_ns(s->conn) > GRPC_PING_NS &&
               h2_pings_unanswered(s->h2) == 0) {
        s->pinged_ns = now_ns;
        h2_ping(s->h2);
    }
    conn_touch(s->conn);
}

static void on_sweep(struct loop_timer *timer)
{
    struct grpc_server *server = timer->ctx;
    uint64_t now_ns = loop_now_ns(server->options.loop);
    for (struct grpc_session *s = server->sessions.next; s != &server->sessions; s = s->next) {
        sweep_session(s, now_ns);
    }
}

/* ---- draining ---- */

static void on_drained_task(struct loop_task *task)
{
    struct grpc_server *server = task->ctx;
    loop_timer_stop(server->options.loop, &server->grace);
    void (*on_drained)(void *ctx) = server->on_drained;
    server->on_drained = NULL;
    if (on_drained != NULL) {
        on_drained(server->on_drained_ctx);
    }
}

static void on_grace(struct loop_timer *timer)
{
    struct grpc_server *server = timer->ctx;
    bool cut = server->grace_over;
    server->grace_over = true;
    for (struct grpc_session *s = server->sessions.next; s != &server->sessions; s = s->next) {
        if (cut || s->h2 == NULL) {
            conn_abort(s->conn, "the server stops");
            continue;
        }
        grpc_session_end_calls(s, GRPC_UNAVAILABLE, "the node is stopping");
        h2_terminate(s->h2, H2_NO_ERROR, "the node is stopping");
        s->closing = true;
        conn_touch(s->conn);
    }
    if (!cut) {
        loop_timer_start(server->options.loop, &server->grace, CUT_S * NS_PER_S, 0);
    }
}

void grpc_server_drain(struct grpc_server *server, uint64_t grace_ns, void (*on_drained)(void *ctx),
                       void *ctx)
{
    require(!server->draining);
    server->draining = true;
    server->on_drained = on_drained;
    server->on_drained_ctx = ctx;
    for (size_t i = 0; i < server->listener_count; i++) {
        listener_free(server->listeners[i]);
    }
    server->listener_count = 0;
    for (struct grpc_session *s = server->sessions.next; s != &server->sessions; s = s->next) {
        if (s->h2 == NULL) {
            conn_abort(s->conn, "the server stops");
        } else {
            h2_shutdown(s->h2);
            conn_touch(s->conn);
        }
    }
    loop_timer_start(server->options.loop, &server->grace, grace_ns, 0);
    post_drained(server);
}

bool grpc_server_is_draining(const struct grpc_server *server)
{
    return server->draining;
}

/* ---- the server ---- */

static void set_defaults(struct grpc_server_options *o)
{
    o->message_bytes_max = o->message_bytes_max ? o->message_bytes_max : GRPC_MESSAGE_BYTES_MAX;
    o->streams_max = o->streams_max ? o->streams_max : GRPC_STREAMS_MAX;
    o->idle_ns = o->idle_ns ? o->idle_ns : GRPC_IDLE_NS;
    o->conns_per_peer_max = o->conns_per_peer_max ? o->conns_per_peer_max : GRPC_CONNS_PER_PEER_MAX;
}

err grpc_server_new(const struct grpc_server_options *options, struct grpc_server **ret_server,
                    struct errtext *reterr)
{
    require(options->loop != NULL);
    require(options->method_count <= GRPC_METHODS_MAX);
    struct grpc_server *server = mem_new(1, sizeof(*server));
    server->options = *options;
    set_defaults(&server->options);
    require(server->options.message_bytes_max <= GRPC_CONN_IN_BYTES_MAX);
    uint64_t seed[2] = {random_u64(), random_u64()};
    map_init(&server->methods, seed[0], seed[1]);
    map_init(&server->ids, seed[0], seed[1]);
    map_init(&server->peers, seed[0], seed[1]);
    server->sessions.next = server->sessions.prev = &server->sessions;
    server->in.max = GRPC_SERVER_IN_BYTES_MAX;
    server->out.max = GRPC_SERVER_OUT_BYTES_MAX;
    loop_timer_init(&server->sweep, on_sweep, server);
    loop_timer_init(&server->grace, on_grace, server);
    loop_task_init(&server->drained, on_drained_task, server);
    for (size_t i = 0; i < options->method_count; i++) {
        const struct grpc_method *m = &options->methods[i];
        require(m->on_message != NULL);
        if (map_put(&server->methods, bytes_text(m->path), (void *)(uintptr_t)m) != NULL) {
            err e = err_fail(reterr, ERR_INVALID, "method %s is listed twice", m->path);
            grpc_server_free(server);
            return e;
        }
    }
    loop_timer_start(options->loop, &server->sweep, SWEEP_S * NS_PER_S, SWEEP_S * NS_PER_S);
    *ret_server = server;
    return err_ok();
}

err grpc_server_listen(struct grpc_server *server, const char *address, struct tls_ctx *tls,
                       uint16_t *ret_port, struct errtext *reterr)
{
    require(!server->draining);
    if (server->listener_count >= GRPC_LISTENERS_MAX) {
        return err_fail(reterr, ERR_LIMIT, "more than %d addresses", GRPC_LISTENERS_MAX);
    }
    struct listener_options o = {
        .loop = server->options.loop,
        .address = address,
        .tls = tls,
        .on_accept = on_accept,
        .ctx = server,
        .conn = {.events = &server_events, .priority = LOOP_PRIORITY_NORMAL, .keepalive = true},
    };
    struct listener *l = NULL;
    TRY(listener_new(&o, &l, reterr));
    server->listeners[server->listener_count++] = l;
    if (ret_port != NULL) {
        *ret_port = listener_port(l);
    }
    return err_ok();
}

void grpc_server_set_tls(struct grpc_server *server, uint16_t port, struct tls_ctx *tls)
{
    for (size_t i = 0; i < server->listener_count; i++) {
        if (listener_port(server->listeners[i]) == port) {
            listener_set_tls(server->listeners[i], tls);
        }
    }
}

void grpc_server_drop(struct grpc_server *server,
                      bool (*drop)(void *ctx, const struct tls_peer *peer), void *ctx)
{
    require(drop != NULL);
    for (struct grpc_session *s = server->sessions.next; s != &server->sessions; s = s->next) {
        if (s->conn != NULL && s->peer != NULL && drop(ctx, s->peer)) {
            s->closing = true;
            conn_abort(s->conn, "the certificate is no longer accepted");
        }
    }
}

struct grpc_server_stats grpc_server_stats_of(const struct grpc_server *server)
{
    struct grpc_server_stats stats = server->stats;
    stats.bytes_in = server->in.used;
    stats.bytes_out = server->out.used;
    return stats;
}

void grpc_server_free(struct grpc_server *server)
{
    if (server == NULL) {
        return;
    }
    struct loop *loop = server->options.loop;
    server->on_drained = NULL;
    for (size_t i = 0; i < server->listener_count; i++) {
        listener_free(server->listeners[i]);
    }
    while (server->sessions.next != &server->sessions) {
        struct grpc_session *s = server->sessions.next;
        struct conn *conn = s->conn;
        struct bytes key = s->peer_key;
        grpc_session_free(s);
        uncount_peer(server, key);
        conn_free(conn);
    }
    loop_timer_stop(loop, &server->sweep);
    loop_timer_stop(loop, &server->grace);
    loop_unpost(loop, &server->drained);
    grpc_calls_done(server);
    map_done(&server->methods);
    map_done(&server->ids);
    map_done(&server->peers);
    free(server);
}
