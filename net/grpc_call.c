#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/require.h"
#include "net/grpc_core.h"

enum {
    FREE_CALLS_MAX = 512,   /* kept by a server: 2 KiB each */
    KEPT_BODY_BYTES = 8192, /* a kept call holds no larger buffer */
    ANSWER_FIELDS_MAX = 5 + GRPC_TRAILERS_MAX,
};

static_assert((int)ANSWER_FIELDS_MAX <= (int)H2_TRAILERS_MAX, "all trailers of a call fit");

static uint64_t now_of(const struct grpc_call *c)
{
    return loop_now_ns(c->session->server->options.loop);
}

static void touch(struct grpc_session *s)
{
    if (s->conn != NULL) {
        conn_touch(s->conn);
    }
}

/* ---- memory ---- */

static void on_deadline(struct loop_timer *timer);

static struct grpc_call *call_make(struct grpc_session *s, struct h2_stream *stream)
{
    struct grpc_server *server = s->server;
    struct grpc_call *c = server->free_calls;
    struct buf body = {0};
    if (c != NULL) {
        server->free_calls = c->next;
        server->free_call_count--;
        body = c->in.body;
    } else {
        c = mem_new(1, sizeof(*c));
    }
    *c = (struct grpc_call){.session = s, .stream = stream, .deadline_ns = UINT64_MAX};
    grpc_deframer_init(&c->in, server->options.message_bytes_max, &s->in);
    if (body.data != NULL) {
        c->in.body = body;
        buf_clear(&c->in.body);
    }
    loop_timer_init(&c->deadline, on_deadline, c);
    c->moved_ns = now_of(c);
    server->stats.calls++;
    server->stats.calls_started++;
    h2_stream_set_user(stream, c);
    return c;
}

static void call_free(struct grpc_call *c)
{
    struct grpc_server *server = c->session->server;
    require(c->finished);
    require(server->stats.calls > 0);
    server->stats.calls--;
    loop_timer_stop(server->options.loop, &c->deadline);
    struct buf body = c->in.body;
    c->in.body = (struct buf){.size_max = body.size_max};
    grpc_deframer_done(&c->in);
    if (body.capacity > KEPT_BODY_BYTES) {
        buf_done(&body);
    }
    c->in.body = body;
    if (server->free_call_count >= FREE_CALLS_MAX) {
        buf_done(&c->in.body);
        free(c);
        return;
    }
    c->next = server->free_calls;
    server->free_calls = c;
    server->free_call_count++;
}

void grpc_calls_done(struct grpc_server *server)
{
    while (server->free_calls != NULL) {
        struct grpc_call *c = server->free_calls;
        server->free_calls = c->next;
        buf_done(&c->in.body);
        free(c);
    }
    server->free_call_count = 0;
}

/* ---- answers ---- */

static void respond(struct grpc_call *c)
{
    static const struct h2_field fields[] = {
        {":status", {(const uint8_t *)"200", 3}},
        {"content-type", {(const uint8_t *)"application/grpc", 16}},
        {"grpc-accept-encoding", {(const uint8_t *)"identity", 8}},
    };
    if (!c->responded) {
        c->responded = true;
        h2_respond(c->stream, fields, sizeof(fields) / sizeof(fields[0]), false);
    }
}

static void count_end(struct grpc_call *c, enum grpc_status status)
{
    struct grpc_server_stats *stats = &c->session->server->stats;
    stats->calls_ok += status == GRPC_OK;
    stats->calls_failed += status != GRPC_OK;
}

/* Sends the status: as trailers, or (nothing was sent yet) as headers that end the answer. */
static void finish(struct grpc_call *c, enum grpc_status status, const char *text)
{
    require(!c->finished);
    c->finished = true;
    loop_timer_stop(c->session->server->options.loop, &c->deadline);
    c->moved_ns = now_of(c);
    count_end(c, status);
    char number[4], message[GRPC_TEXT_BYTES_MAX + 1];
    struct h2_field fields[ANSWER_FIELDS_MAX];
    size_t count = 0;
    if (!c->responded) {
        fields[count++] = (struct h2_field){":status", bytes_text("200")};
        fields[count++] = (struct h2_field){"content-type", bytes_text("application/grpc")};
        fields[count++] = (struct h2_field){"grpc-accept-encoding", bytes_text("identity")};
    }
    snprintf(number, sizeof(number), "%u", (unsigned)status % 100);
    fields[count++] = (struct h2_field){"grpc-status", bytes_text(number)};
    if (text != NULL && grpc_text_encode(text, message, sizeof(message)) > 0) {
        fields[count++] = (struct h2_field){"grpc-message", bytes_text(message)};
    }
    for (size_t i = 0; i < c->trailer_count; i++) {
        fields[count++] = (struct h2_field){c->trailers[i].name, bytes_text(c->trailers[i].value)};
    }
    if (c->responded) {
        h2_stream_finish(c->stream, fields, count);
    } else {
        c->responded = true;
        h2_respond(c->stream, fields, count, true);
    }
    touch(c->session);
}

/* Ends a call that the handler may know of. */
static void cancel(struct grpc_call *c, enum grpc_status status, const char *text)
{
    bool running = c->running;
    c->session->server->stats.calls_cancelled++;
    finish(c, status, text);
    if (running && c->method->on_cancel != NULL) {
        c->method->on_cancel(c);
    }
}

static void on_deadline(struct loop_timer *timer)
{
    cancel(timer->ctx, GRPC_DEADLINE_EXCEEDED, "the deadline has passed");
}

/* ---- requests ---- */

static bool header_is(const struct h2_stream *stream, const char *name, const char *value)
{
    struct bytes got;
    return h2_stream_header(stream, name, &got) && bytes_equal(got, bytes_text(value));
}

/* What is not a gRPC request is told so in plain HTTP, so that no HTTP client reads a 200. */
static unsigned http_refusal(const struct h2_stream *stream)
{
    struct bytes type;
    if (!header_is(stream, ":method", "POST")) {
        return 405;
    }
    if (!h2_stream_header(stream, "content-type", &type)) {
        return h2_stream_headers_overflow(stream) ? 431 : 415;
    }
    return grpc_content_type_is_good(type) ? 0 : 415;
}

static bool begin_deadline(struct grpc_call *c)
{
    struct bytes text;
    if (!h2_stream_header(c->stream, "grpc-timeout", &text)) {
        return true;
    }
    uint64_t timeout_ns = 0;
    if (failed(grpc_timeout_parse(text, &timeout_ns))) {
        finish(c, GRPC_INTERNAL, "grpc-timeout is malformed");
        return false;
    }
    uint64_t now_ns = now_of(c);
    c->deadline_ns = timeout_ns > UINT64_MAX - now_ns ? UINT64_MAX : now_ns + timeout_ns;
    if (c->deadline_ns != UINT64_MAX) {
        loop_timer_start(c->session->server->options.loop, &c->deadline, timeout_ns, 0);
    }
    return true;
}

static void begin_call(struct grpc_call *c)
{
    struct grpc_server *server = c->session->server;
    struct bytes path;
    if (h2_stream_headers_overflow(c->stream)) {
        finish(c, GRPC_RESOURCE_EXHAUSTED, "request headers are larger than 16384 bytes");
        return;
    }
    if (!h2_stream_header(c->stream, ":path", &path)) {
        path = bytes_of("", 0);
    }
    const struct grpc_method *method = map_get(&server->methods, path);
    if (method == NULL) {
        char text[200];
        int shown = path.size < 128 ? (int)path.size : 128;
        snprintf(text, sizeof(text), "unknown method %.*s", shown, (const char *)path.data);
        finish(c, GRPC_UNIMPLEMENTED, text);
        return;
    }
    struct bytes encoding;
    if (h2_stream_header(c->stream, "grpc-encoding", &encoding) &&
        !bytes_equal(encoding, bytes_text("identity"))) {
        finish(c, GRPC_UNIMPLEMENTED, "compressed messages are not accepted");
        return;
    }
    if (!begin_deadline(c)) {
        return;
    }
    c->method = method;
    c->in.copy = method->kind != GRPC_BIDI;
    if (server->options.on_begin != NULL) {
        struct errtext text = {""};
        enum grpc_status status = server->options.on_begin(c, &text);
        if (status != GRPC_OK) {
            finish(c, status, text.text);
        }
    }
}

static void on_headers(void *ctx, struct h2_stream *stream)
{
    struct grpc_session *s = ctx;
    struct grpc_call *c = call_make(s, stream);
    s->busy_ns = now_of(c);
    c->http_status = http_refusal(stream);
    if (c->http_status == 0) {
        begin_call(c);
    }
}

/* The handler runs; it may finish the call, or answer later. */
static void run_method(struct grpc_call *c, struct bytes message)
{
    const struct grpc_method *method = c->method;
    struct grpc_session *s = c->session;
    c->running = true;
    method->on_message(c, message);
    if (!c->finished && method->kind != GRPC_UNARY && method->on_room != NULL) {
        h2_stream_want_room(c->stream);
    }
    touch(s);
}

static void take_message(struct grpc_call *c, struct bytes message)
{
    if (c->method->kind == GRPC_BIDI) {
        run_method(c, message);
    } else if (c->got_message) {
        finish(c, GRPC_UNIMPLEMENTED, "more than one request message");
    } else {
        c->got_message = true;
        c->message = message;
    }
}

static void on_data(void *ctx, struct h2_stream *stream, struct bytes data)
{
    struct grpc_call *c = h2_stream_user(stream);
    size_t size = data.size;
    if (c != NULL) {
        c->moved_ns = now_of(c);
    }
    while (c != NULL && data.size > 0 && !c->finished && c->http_status == 0) {
        if (c->got_message) { /* before the deframer gives the first one's memory away */
            finish(c, GRPC_UNIMPLEMENTED, "more than one request message");
            break;
        }
        struct bytes message;
        bool complete = false;
        struct errtext why = {""};
        enum grpc_status status = grpc_deframer_next(&c->in, &data, &message, &complete, &why);
        if (status != GRPC_OK && c->running) {
            cancel(c, status, why.text);
        } else if (status != GRPC_OK) {
            finish(c, status, why.text);
        } else if (complete) {
            take_message(c, message);
        }
    }
    h2_stream_consume(stream, size);
    touch(ctx);
}

static bool is_get(const struct grpc_call *c)
{
    return c->session->server->options.on_get != NULL && header_is(c->stream, ":method", "GET") &&
           !h2_stream_headers_overflow(c->stream);
}

/* A page is small and answered whole; one for which there is no room now is refused unprocessed
 * (RFC 9113 section 8.7), so that the client may ask again. */
static void answer_get(struct grpc_call *c)
{
    const struct grpc_server_options *o = &c->session->server->options;
    struct grpc_page page = {.status = 404, .type = "text/plain", .cache = "no-cache"};
    struct bytes path;
    char status[12], length[24];
    if (!h2_stream_header(c->stream, ":path", &path)) {
        path = bytes_of("", 0);
    }
    buf_init(&page.body, o->message_bytes_max);
    o->on_get(o->ctx, path, &page);
    require(!page.body.overflow);
    struct bytes body = buf_bytes(&page.body);
    snprintf(status, sizeof(status), "%u", page.status);
    snprintf(length, sizeof(length), "%zu", body.size);
    struct h2_field fields[] = {
        {":status", bytes_text(status)},
        {"content-type", bytes_text(page.type)},
        {"content-length", bytes_text(length)},
        {"cache-control", bytes_text(page.cache)},
    };
    c->finished = c->responded = true;
    c->moved_ns = now_of(c);
    count_end(c, page.status == 200 ? GRPC_OK : GRPC_UNKNOWN);
    h2_respond(c->stream, fields, sizeof(fields) / sizeof(fields[0]), body.size == 0);
    if (body.size > 0 && failed(h2_stream_write(c->stream, &body, 1))) {
        h2_stream_reset(c->stream, H2_REFUSED_STREAM);
    } else if (body.size > 0) {
        h2_stream_finish(c->stream, NULL, 0);
    }
    buf_done(&page.body);
    touch(c->session);
}

static void answer_http(struct grpc_call *c)
{
    if (is_get(c)) {
        answer_get(c);
        return;
    }
    char number[12];
    snprintf(number, sizeof(number), "%u", c->http_status);
    struct h2_field fields[] = {
        {":status", bytes_text(number)},
        {"content-length", bytes_text("0")},
    };
    c->finished = c->responded = true;
    count_end(c, GRPC_UNKNOWN);
    h2_respond(c->stream, fields, sizeof(fields) / sizeof(fields[0]), true);
    touch(c->session);
}

static void on_end(void *ctx, struct h2_stream *stream)
{
    struct grpc_call *c = h2_stream_user(stream);
    if (c == NULL || c->finished) {
        return;
    }
    if (c->http_status != 0) {
        answer_http(c);
    } else if (!grpc_deframer_is_empty(&c->in)) {
        bool running = c->running;
        if (running) {
            cancel(c, GRPC_INTERNAL, "the last message is cut off");
        } else {
            finish(c, GRPC_INTERNAL, "the request message is cut off");
        }
    } else if (c->method->kind == GRPC_BIDI) {
        c->running = true;
        if (c->method->on_half_close != NULL) {
            c->method->on_half_close(c);
        }
    } else if (!c->got_message) {
        finish(c, GRPC_UNIMPLEMENTED, "no request message");
    } else {
        run_method(c, c->message);
    }
}

static void on_room(void *ctx, struct h2_stream *stream)
{
    struct grpc_call *c = h2_stream_user(stream);
    if (c != NULL && !c->finished && c->running && c->method->on_room != NULL) {
        c->method->on_room(c);
    }
}

static void on_close(void *ctx, struct h2_stream *stream, uint32_t code)
{
    struct grpc_call *c = h2_stream_user(stream);
    if (c == NULL) {
        return;
    }
    c->session->busy_ns = now_of(c);
    if (!c->finished) {
        c->finished = true;
        c->session->server->stats.calls_cancelled++;
        if (c->running && c->method->on_cancel != NULL) {
            c->method->on_cancel(c);
        }
    }
    call_free(c);
}

static const struct h2_events session_events = {
    .on_headers = on_headers,
    .on_data = on_data,
    .on_end = on_end,
    .on_room = on_room,
    .on_close = on_close,
};

/* ---- the session ---- */

struct grpc_session *grpc_session_new(struct grpc_server *server, struct conn *conn)
{
    struct grpc_session *s = mem_new(1, sizeof(*s));
    s->server = server;
    s->conn = conn;
    s->address = "";
    s->id = ++server->next_id;
    s->in = (struct budget){0, GRPC_CONN_IN_BYTES_MAX, &server->in};
    s->out = (struct budget){0, GRPC_CONN_OUT_BYTES_MAX, &server->out};
    s->next = &server->sessions;
    s->prev = server->sessions.prev;
    s->prev->next = s;
    server->sessions.prev = s;
    server->stats.conns++;
    server->stats.conns_accepted++;
    map_put(&server->ids, bytes_of(&s->id, sizeof(s->id)), s);
    return s;
}

void grpc_session_open(struct grpc_session *s, const struct tls_peer *peer, const char *address)
{
    require(s->h2 == NULL);
    s->peer = peer;
    s->address = address;
    struct h2_options o = {
        .role = H2_SERVER,
        .events = &session_events,
        .ctx = s,
        .streams_max = s->server->options.streams_max,
        .budget = &s->out,
    };
    s->h2 = h2_new(&o);
    s->opened_ns = s->busy_ns = loop_now_ns(s->server->options.loop);
}

void grpc_session_free(struct grpc_session *s)
{
    struct grpc_server *server = s->server;
    s->conn = NULL; /* nothing is sent any more */
    h2_free(s->h2);
    s->h2 = NULL;
    require(s->in.used == 0);
    require(s->out.used == 0);
    map_remove(&server->ids, bytes_of(&s->id, sizeof(s->id)));
    s->prev->next = s->next;
    s->next->prev = s->prev;
    require(server->stats.conns > 0);
    server->stats.conns--;
    free(s);
}

err grpc_session_in(struct grpc_session *s, struct bytes data, struct errtext *reterr)
{
    require(s->h2 != NULL);
    return h2_recv(s->h2, data, loop_now_ns(s->server->options.loop), reterr);
}

struct bytes grpc_session_out(struct grpc_session *s)
{
    require(s->h2 != NULL);
    struct bytes chunk = h2_send(s->h2);
    if (chunk.size == 0 && h2_run_room(s->h2)) {
        chunk = h2_send(s->h2);
    }
    return chunk;
}

/* A request that does not grow, or a finished answer that nobody takes, ends here. */
static void sweep_call(struct grpc_call *c)
{
    uint64_t now_ns = now_of(c);
    size_t queued = h2_stream_queued(c->stream);
    if (queued != c->queued) {
        c->queued = queued;
        c->moved_ns = now_ns;
    }
    bool waits_for_body = !c->finished && !c->running;
    bool waits_for_reader = c->finished && queued > 0;
    if (now_ns - c->moved_ns >= GRPC_BODY_STALL_NS && (waits_for_body || waits_for_reader)) {
        if (!c->finished) {
            c->finished = true;
            c->session->server->stats.calls_cancelled++;
        }
        h2_stream_reset(c->stream, H2_CANCEL);
        touch(c->session);
    } else if (c->starved && !c->finished) {
        c->starved = false;
        h2_stream_want_room(c->stream);
        touch(c->session);
    }
}

void grpc_session_sweep(struct grpc_session *s)
{
    h2_tick(s->h2);
    for (struct h2_stream *at = h2_next_stream(s->h2, NULL); at != NULL;
         at = h2_next_stream(s->h2, at)) {
        if (h2_stream_user(at) != NULL) {
            sweep_call(h2_stream_user(at));
        }
    }
}

void grpc_session_end_calls(struct grpc_session *s, enum grpc_status status, const char *text)
{
    for (struct h2_stream *at = h2_next_stream(s->h2, NULL); at != NULL;
         at = h2_next_stream(s->h2, at)) {
        struct grpc_call *c = h2_stream_user(at);
        if (c != NULL && !c->finished && c->http_status == 0) {
            cancel(c, status, text);
        }
    }
}

/* ---- what handlers use ---- */

const struct grpc_method *grpc_call_method(const struct grpc_call *call)
{
    return call->method;
}

void *grpc_call_server_ctx(const struct grpc_call *call)
{
    return call->session->server->options.ctx;
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
    return (struct grpc_call_ref){call->session->id, h2_stream_id(call->stream)};
}

struct grpc_call *grpc_server_find(struct grpc_server *server, struct grpc_call_ref ref)
{
    struct grpc_session *s = map_get(&server->ids, bytes_of(&ref.conn_id, sizeof(ref.conn_id)));
    if (s == NULL || s->h2 == NULL) {
        return NULL;
    }
    struct h2_stream *stream = h2_find(s->h2, ref.stream_id);
    struct grpc_call *c = stream == NULL ? NULL : h2_stream_user(stream);
    return c == NULL || c->finished ? NULL : c;
}

uint64_t grpc_call_deadline_ns(const struct grpc_call *call)
{
    return call->deadline_ns;
}

const struct tls_peer *grpc_call_peer(const struct grpc_call *call)
{
    return call->session->peer;
}

const char *grpc_call_address(const struct grpc_call *call)
{
    return call->session->address;
}

err grpc_call_metadata(const struct grpc_call *call, const char *name, struct bytes *ret_value)
{
    bool found = h2_stream_header(call->stream, name, ret_value);
    return found ? err_ok() : (err){ERR_NOT_FOUND};
}

err grpc_call_metadata_bin(const struct grpc_call *call, const char *name, uint8_t *ret,
                           size_t size_max, size_t *ret_size)
{
    struct bytes text;
    TRY(grpc_call_metadata(call, name, &text));
    return grpc_bin_decode(text, ret, size_max, ret_size);
}

void grpc_call_trailer(struct grpc_call *call, const char *name, const char *value)
{
    require(name != NULL);
    require(value != NULL);
    size_t size = strlen(value);
    if (call->finished || call->trailer_count >= GRPC_TRAILERS_MAX ||
        size > GRPC_TRAILER_BYTES_MAX) {
        return;
    }
    for (size_t i = 0; i < size; i++) {
        if (value[i] < 0x20 || value[i] > 0x7e) {
            return;
        }
    }
    struct grpc_trailer *t = &call->trailers[call->trailer_count++];
    t->name = name;
    memcpy(t->value, value, size + 1);
}

size_t grpc_call_room(const struct grpc_call *call)
{
    size_t queued = h2_stream_queued(call->stream);
    bool more = !call->finished && queued < GRPC_STREAM_OUT_BYTES;
    return more ? GRPC_STREAM_OUT_BYTES - queued : 0;
}

err grpc_call_send(struct grpc_call *call, struct bytes message)
{
    if (call->finished) {
        return (err){ERR_CANCELLED};
    }
    if (message.size > GRPC_MESSAGE_BYTES_MAX) {
        return (err){ERR_LIMIT};
    }
    bool stream = call->method->kind != GRPC_UNARY;
    if (stream && grpc_call_room(call) == 0) {
        h2_stream_want_room(call->stream);
        return (err){ERR_FULL};
    }
    uint8_t prefix[GRPC_PREFIX_SIZE];
    grpc_prefix_write(prefix, message.size);
    struct bytes parts[] = {bytes_of(prefix, sizeof(prefix)), message};
    err e = h2_stream_write(call->stream, parts, 2);
    if (err_is(e, ERR_FULL)) {
        call->starved = stream; /* the sweep asks again: others hold the budget */
        return e;
    }
    respond(call); /* after that: a refusal then needs no DATA, which a closed window would hold */
    if (stream && grpc_call_room(call) == 0) {
        h2_stream_want_room(call->stream);
    }
    touch(call->session);
    return e;
}

void grpc_call_finish(struct grpc_call *call, enum grpc_status status, const char *text)
{
    if (!call->finished) {
        finish(call, status, text);
    }
}

void grpc_call_reply(struct grpc_call *call, struct bytes message)
{
    if (call->finished) {
        return;
    }
    err e = grpc_call_send(call, message);
    if (failed(e)) {
        finish(call, GRPC_RESOURCE_EXHAUSTED,
               err_is(e, ERR_LIMIT) ? "the answer is larger than a message may be"
                                    : "too many answers wait for this client");
        return;
    }
    finish(call, GRPC_OK, NULL);
}
