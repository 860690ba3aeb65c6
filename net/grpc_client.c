#include "net/grpc_client.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/require.h"
#include "net/conn.h"
#include "net/grpc_wire.h"
#include "net/h2.h"
#include "net/h2_pump.h"

enum { METADATA_MAX = 16, REQUEST_FIELDS_MAX = 8 + METADATA_MAX };

struct ring {
    struct ring *next, *prev;
};

struct grpc_client_call {
    struct ring ring; /* first: in channel->waiting or ->running; both NULL: in none */
    struct grpc_channel *channel;
    struct h2_stream *stream;           /* NULL before it starts and after it closes */
    struct grpc_client_request request; /* path and message point into the copies */
    char *path;                         /* owned */
    uint8_t *message;                   /* owned; NULL once it is sent */
    char **metadata;                    /* owned texts, NULL-terminated; NULL: none */
    struct grpc_deframer in;
    struct bytes answer; /* unary: the message, when got_answer */
    struct loop_timer deadline;
    uint64_t deadline_ns;    /* UINT64_MAX: none */
    struct loop_task ending; /* on_end from outside of any callback */
    enum grpc_status status; /* when decided */
    char text[GRPC_TEXT_BYTES_MAX + 1];
    unsigned http_status;
    bool got_answer, decided, good_type;
};

struct grpc_channel {
    struct grpc_channel_options options;
    char *institution, *name, *authority; /* owned */
    struct conn *conn;                    /* NULL when it is gone */
    struct h2 *h2;                        /* owned; NULL before the handshake is done */
    struct ring waiting, running;
    size_t calls;
    struct loop_timer connecting, tick;
    char reason[256];
    bool up, down;
};

/* ---- lists ---- */

static void ring_init(struct ring *r)
{
    r->next = r->prev = r;
}

static void ring_add(struct ring *head, struct ring *r)
{
    r->next = head;
    r->prev = head->prev;
    head->prev->next = r;
    head->prev = r;
}

static void ring_remove(struct ring *r)
{
    if (r->next != NULL) {
        r->prev->next = r->next;
        r->next->prev = r->prev;
        r->next = r->prev = NULL;
    }
}

/* ---- the end of a call ---- */

static void call_free(struct grpc_client_call *c)
{
    struct loop *loop = c->channel->options.loop;
    ring_remove(&c->ring);
    loop_timer_stop(loop, &c->deadline);
    loop_unpost(loop, &c->ending);
    grpc_deframer_done(&c->in);
    for (char **m = c->metadata; m != NULL && *m != NULL; m++) {
        free(*m);
    }
    free(c->metadata);
    free(c->path);
    free(c->message);
    require(c->channel->calls > 0);
    c->channel->calls--;
    free(c);
}

static void deliver(struct grpc_client_call *c, bool from_server)
{
    if (c->stream != NULL && !from_server) {
        h2_stream_reset(c->stream, H2_CANCEL);
        if (c->channel->conn != NULL) {
            conn_touch(c->channel->conn);
        }
    }
    struct grpc_result result = {
        .status = c->status,
        .text = c->text,
        .message = c->status == GRPC_OK ? c->answer : bytes_of(NULL, 0),
        .from_server = from_server,
        .call = c,
    };
    c->request.on_end(c->request.ctx, &result);
    if (c->stream != NULL) {
        h2_stream_set_user(c->stream, NULL);
    }
    call_free(c);
}

/* Ends a call here, not by word of the server. */
static void fail(struct grpc_client_call *c, enum grpc_status status, const char *text)
{
    c->decided = true;
    c->status = status;
    snprintf(c->text, sizeof(c->text), "%s", text);
    deliver(c, false);
}

/* Decides now, tells later. */
static void fail_later(struct grpc_client_call *c, enum grpc_status status, const char *text)
{
    if (c->decided) {
        return;
    }
    c->decided = true;
    c->status = status;
    snprintf(c->text, sizeof(c->text), "%s", text);
    loop_post(c->channel->options.loop, &c->ending);
}

static void on_ending(struct loop_task *task)
{
    deliver(task->ctx, false);
}

static void on_deadline(struct loop_timer *timer)
{
    struct grpc_client_call *c = timer->ctx;
    if (!c->decided) {
        fail(c, GRPC_DEADLINE_EXCEEDED, "the deadline has passed");
    }
}

/* ---- starting ---- */

static size_t request_fields(struct grpc_client_call *c, struct h2_field *fields,
                             char timeout[GRPC_TIMEOUT_SIZE])
{
    struct grpc_channel *ch = c->channel;
    size_t count = 0;
    const char *scheme = ch->options.tls != NULL ? "https" : "http";
    fields[count++] = (struct h2_field){":method", bytes_text("POST")};
    fields[count++] = (struct h2_field){":scheme", bytes_text(scheme)};
    fields[count++] = (struct h2_field){":path", bytes_text(c->path)};
    fields[count++] = (struct h2_field){":authority", bytes_text(ch->authority)};
    fields[count++] = (struct h2_field){"te", bytes_text("trailers")};
    fields[count++] = (struct h2_field){"content-type", bytes_text("application/grpc")};
    fields[count++] = (struct h2_field){"user-agent", bytes_text("concordat")};
    if (c->deadline_ns != UINT64_MAX) {
        uint64_t now_ns = loop_now_ns(ch->options.loop);
        grpc_timeout_print(c->deadline_ns > now_ns ? c->deadline_ns - now_ns : 1, timeout);
        fields[count++] = (struct h2_field){"grpc-timeout", bytes_text(timeout)};
    }
    for (char **m = c->metadata; m != NULL && *m != NULL; m += 2) {
        fields[count++] = (struct h2_field){m[0], bytes_text(m[1])};
    }
    require(count <= REQUEST_FIELDS_MAX);
    return count;
}

/* FULL: wait for a stream. */
static err start_call(struct grpc_client_call *c)
{
    struct grpc_channel *ch = c->channel;
    struct h2_field fields[REQUEST_FIELDS_MAX];
    char timeout[GRPC_TIMEOUT_SIZE];
    size_t count = request_fields(c, fields, timeout);
    TRY(h2_request(ch->h2, fields, count, c, &c->stream));
    uint8_t prefix[GRPC_PREFIX_SIZE];
    grpc_prefix_write(prefix, c->request.message.size);
    struct bytes parts[] = {bytes_of(prefix, sizeof(prefix)), c->request.message};
    err e = h2_stream_write(c->stream, parts, 2);
    require(!failed(e)); /* no budget here, and a message fits */
    h2_stream_finish(c->stream, NULL, 0);
    free(c->message);
    c->message = NULL;
    ring_remove(&c->ring);
    ring_add(&ch->running, &c->ring);
    conn_touch(ch->conn);
    return e;
}

static void start_waiting(struct grpc_channel *ch)
{
    while (ch->up && ch->waiting.next != &ch->waiting) {
        struct grpc_client_call *c = (struct grpc_client_call *)ch->waiting.next;
        err e = c->decided ? (err){ERR_CANCELLED} : start_call(c);
        if (err_is(e, ERR_FULL)) {
            return;
        }
        if (failed(e)) { /* given up, or the server goes away: its task tells */
            ring_remove(&c->ring);
            ring_add(&ch->running, &c->ring);
            fail_later(c, GRPC_UNAVAILABLE, "the server is going away");
        }
    }
}

/* ---- answers ---- */

static void on_headers(void *ctx, struct h2_stream *stream)
{
    struct grpc_client_call *c = h2_stream_user(stream);
    struct bytes value;
    if (c == NULL) {
        return;
    }
    if (h2_stream_header(stream, ":status", &value)) {
        for (size_t i = 0; i < value.size && i < 3; i++) {
            c->http_status = c->http_status * 10 + (unsigned)(value.data[i] - '0') % 10;
        }
    }
    c->good_type =
        h2_stream_header(stream, "content-type", &value) && grpc_content_type_is_good(value);
}

static void take_message(struct grpc_client_call *c, struct bytes message)
{
    if (c->request.on_message != NULL) {
        c->request.on_message(c->request.ctx, c, message);
    } else if (c->got_answer) {
        fail(c, GRPC_INTERNAL, "more than one answer to a unary call");
    } else {
        c->got_answer = true;
        c->answer = message;
    }
}

static void on_data(void *ctx, struct h2_stream *stream, struct bytes data)
{
    struct grpc_client_call *c = h2_stream_user(stream);
    size_t size = data.size;
    while (c != NULL && data.size > 0 && !c->decided && c->http_status == 200) {
        if (c->got_answer) {
            fail(c, GRPC_INTERNAL, "more than one answer to a unary call");
            break;
        }
        struct bytes message;
        bool complete = false;
        struct errtext why = {""};
        enum grpc_status status = grpc_deframer_next(&c->in, &data, &message, &complete, &why);
        if (status != GRPC_OK) {
            fail(c, status, why.text);
        } else if (complete) {
            take_message(c, message);
        }
        c = h2_stream_user(stream);
    }
    h2_stream_consume(stream, size);
}

static void on_end(void *ctx, struct h2_stream *stream)
{
    /* The end is told when the stream closes, which follows: our side has ended long ago. */
}

static void decide(struct grpc_client_call *c, enum grpc_status status, const char *text)
{
    c->decided = true;
    c->status = status;
    snprintf(c->text, sizeof(c->text), "%s", text);
}

/* Reads the status from the trailers, or says what their absence means. */
static bool conclude(struct grpc_client_call *c, uint32_t code)
{
    struct bytes value;
    if (c->http_status != 0 && c->http_status != 200) {
        char text[64];
        snprintf(text, sizeof(text), "the server answered HTTP %u", c->http_status);
        decide(c, grpc_status_of_http(c->http_status), text);
        return false;
    }
    if (!h2_stream_header(c->stream, "grpc-status", &value)) {
        decide(c, code == H2_NO_ERROR ? GRPC_INTERNAL : grpc_status_of_reset(code),
               "the stream ended without a status");
        return false;
    }
    if (!c->good_type) {
        decide(c, GRPC_UNKNOWN, "the answer is not application/grpc");
        return false;
    }
    enum grpc_status status = grpc_status_parse(value);
    if (status == GRPC_OK && !grpc_deframer_is_empty(&c->in)) {
        decide(c, GRPC_INTERNAL, "the last message is cut off");
        return false;
    }
    if (status == GRPC_OK && c->request.on_message == NULL && !c->got_answer) {
        decide(c, GRPC_INTERNAL, "no answer to a unary call");
        return false;
    }
    c->decided = true;
    c->status = status;
    if (h2_stream_header(c->stream, "grpc-message", &value)) {
        grpc_text_decode(value, c->text, sizeof(c->text));
    }
    return true;
}

static void on_stream_close(void *ctx, struct h2_stream *stream, uint32_t code)
{
    struct grpc_channel *ch = ctx;
    struct grpc_client_call *c = h2_stream_user(stream);
    if (c == NULL) {
        return;
    }
    if (c->decided) { /* its task tells */
        c->stream = NULL;
        return;
    }
    if (ch->down) {
        c->stream = NULL;
        fail(c, GRPC_UNAVAILABLE, ch->reason);
        return;
    }
    bool from_server = conclude(c, code);
    h2_stream_set_user(stream, NULL);
    if (from_server) {
        deliver(c, true); /* the stream still has the trailers */
    } else {
        c->stream = NULL;
        deliver(c, false);
    }
}

static const struct h2_events client_events = {
    .on_headers = on_headers,
    .on_data = on_data,
    .on_end = on_end,
    .on_close = on_stream_close,
};

/* ---- the connection ---- */

static const char *judge_peer(const struct grpc_channel *ch, const struct tls_peer *peer)
{
    if (!ch->options.expect_node) {
        return NULL;
    }
    if (peer == NULL || !peer->has_identity || peer->identity.kind != IDENTITY_NODE) {
        return "the server's certificate is not a node's";
    }
    if (ch->institution != NULL && strcmp(ch->institution, peer->identity.institution) != 0) {
        return "the server is a node of another institution";
    }
    if (ch->name != NULL && strcmp(ch->name, peer->identity.name) != 0) {
        return "the server is another node";
    }
    return NULL;
}

static void on_conn_open(struct conn *conn, void *ctx)
{
    struct grpc_channel *ch = ctx;
    const char *refusal = judge_peer(ch, conn_peer(conn));
    if (refusal != NULL) {
        conn_abort(conn, refusal);
        return;
    }
    struct h2_options o = {.role = H2_CLIENT, .events = &client_events, .ctx = ch};
    ch->h2 = h2_new(&o);
}

/* The server's SETTINGS say that it has accepted our certificate too. */
static void came_up(struct grpc_channel *ch)
{
    ch->up = true;
    loop_timer_stop(ch->options.loop, &ch->connecting);
    if (ch->options.on_state != NULL) {
        ch->options.on_state(ch->options.ctx, ch, true, "");
    }
}

static void on_conn_data(struct conn *conn, void *ctx, struct bytes data)
{
    struct grpc_channel *ch = ctx;
    struct errtext why = {""};
    if (failed(h2_recv(ch->h2, data, loop_now_ns(ch->options.loop), &why))) {
        snprintf(ch->reason, sizeof(ch->reason), "%.200s", why.text);
        conn_close(conn);
        return;
    }
    if (!ch->up && h2_has_settings(ch->h2)) {
        came_up(ch);
    }
    start_waiting(ch);
    conn_touch(conn);
}

static struct bytes next_out(void *ctx)
{
    struct grpc_channel *ch = ctx;
    return h2_send(ch->h2);
}

static void on_conn_fill(struct conn *conn, void *ctx)
{
    struct grpc_channel *ch = ctx;
    start_waiting(ch);
    if (h2_pump(conn, loop_scratch(ch->options.loop), next_out, ch) && h2_is_done(ch->h2)) {
        snprintf(ch->reason, sizeof(ch->reason), "the server has ended the connection");
        conn_close(conn);
    }
}

/* Ends every call; the channel is down. */
static void fail_all(struct grpc_channel *ch, enum grpc_status status)
{
    struct ring *lists[] = {&ch->waiting, &ch->running};
    for (size_t i = 0; i < 2; i++) {
        while (lists[i]->next != lists[i]) {
            struct grpc_client_call *c = (struct grpc_client_call *)lists[i]->next;
            ring_remove(&c->ring);
            fail(c, status, ch->reason);
        }
    }
}

static void on_conn_close(struct conn *conn, void *ctx, const char *reason)
{
    struct grpc_channel *ch = ctx;
    if (ch->reason[0] == '\0') {
        snprintf(ch->reason, sizeof(ch->reason), "%s",
                 reason[0] != '\0' ? reason : "the connection was closed");
    }
    ch->conn = NULL;
    ch->up = false;
    ch->down = true;
    loop_timer_stop(ch->options.loop, &ch->connecting);
    loop_timer_stop(ch->options.loop, &ch->tick);
    fail_all(ch, GRPC_UNAVAILABLE);
    h2_free(ch->h2);
    ch->h2 = NULL;
    if (ch->options.on_state != NULL) {
        ch->options.on_state(ch->options.ctx, ch, false, ch->reason);
    }
}

static const struct conn_events channel_events = {
    .on_open = on_conn_open,
    .on_data = on_conn_data,
    .on_fill = on_conn_fill,
    .on_close = on_conn_close,
};

static void on_connecting(struct loop_timer *timer)
{
    struct grpc_channel *ch = timer->ctx;
    conn_abort(ch->conn, "connecting took too long");
}

static void on_tick(struct loop_timer *timer)
{
    struct grpc_channel *ch = timer->ctx;
    if (ch->h2 != NULL) {
        h2_tick(ch->h2);
    }
}

/* ---- the channel ---- */

static void channel_done(struct grpc_channel *ch)
{
    loop_timer_stop(ch->options.loop, &ch->connecting);
    loop_timer_stop(ch->options.loop, &ch->tick);
    tls_ctx_free(ch->options.tls);
    free(ch->institution);
    free(ch->name);
    free(ch->authority);
    free(ch);
}

err grpc_channel_open(const struct grpc_channel_options *options, struct grpc_channel **ret_channel,
                      struct errtext *reterr)
{
    require(options->loop != NULL);
    require(options->address != NULL);
    struct grpc_channel *ch = mem_new(1, sizeof(*ch));
    ch->options = *options;
    ch->options.tls = options->tls != NULL ? tls_ctx_ref(options->tls) : NULL;
    ch->institution = options->institution != NULL ? mem_text(options->institution) : NULL;
    ch->name = options->name != NULL ? mem_text(options->name) : NULL;
    ch->authority = mem_text(options->address);
    ch->options.address = ch->authority;
    ring_init(&ch->waiting);
    ring_init(&ch->running);
    loop_timer_init(&ch->connecting, on_connecting, ch);
    loop_timer_init(&ch->tick, on_tick, ch);
    uint64_t timeout_ns = options->connect_timeout_ns;
    timeout_ns = timeout_ns != 0 ? timeout_ns : GRPC_CONNECT_NS;
    struct conn_options o = {
        .loop = options->loop,
        .tls = options->tls,
        .events = &channel_events,
        .ctx = ch,
        .priority = LOOP_PRIORITY_NORMAL,
        .handshake_timeout_ns = timeout_ns,
        .keepalive = true,
        .pool = options->pool,
    };
    err e = conn_dial(&o, options->address, &ch->conn, reterr);
    if (failed(e)) {
        channel_done(ch);
        return e;
    }
    loop_timer_start(options->loop, &ch->connecting, timeout_ns, 0);
    loop_timer_start(options->loop, &ch->tick, NS_PER_S, NS_PER_S);
    *ret_channel = ch;
    return err_ok();
}

void grpc_channel_free(struct grpc_channel *channel)
{
    if (channel == NULL) {
        return;
    }
    channel->down = true;
    channel->up = false;
    if (channel->reason[0] == '\0') {
        snprintf(channel->reason, sizeof(channel->reason), "the channel was closed");
    }
    fail_all(channel, GRPC_CANCELLED);
    struct conn *conn = channel->conn;
    channel->conn = NULL;
    h2_free(channel->h2);
    conn_free(conn);
    require(channel->calls == 0);
    channel_done(channel);
}

bool grpc_channel_is_up(const struct grpc_channel *channel)
{
    return channel->up;
}

bool grpc_channel_is_down(const struct grpc_channel *channel)
{
    return channel->down;
}

struct loop *grpc_channel_loop(const struct grpc_channel *channel)
{
    return channel->options.loop;
}

const char *grpc_channel_reason(const struct grpc_channel *channel)
{
    return channel->down ? channel->reason : "";
}

size_t grpc_channel_calls(const struct grpc_channel *channel)
{
    return channel->calls;
}

const struct tls_peer *grpc_channel_peer(const struct grpc_channel *channel)
{
    return channel->up && channel->conn != NULL ? conn_peer(channel->conn) : NULL;
}

static void copy_metadata(struct grpc_client_call *c, const char *const *metadata)
{
    if (metadata == NULL) {
        return;
    }
    size_t count = 0;
    while (metadata[count] != NULL) {
        count++;
    }
    require(count % 2 == 0);
    require(count / 2 <= METADATA_MAX);
    c->metadata = mem_new(count + 1, sizeof(*c->metadata));
    for (size_t i = 0; i < count; i++) {
        c->metadata[i] = mem_text(metadata[i]);
    }
}

err grpc_client_call(struct grpc_channel *channel, const struct grpc_client_request *request,
                     struct grpc_client_call **ret_call, struct errtext *reterr)
{
    require(request->path != NULL);
    require(request->on_end != NULL);
    if (request->message.size > GRPC_MESSAGE_BYTES_MAX) {
        return err_fail(reterr, ERR_LIMIT, "a message of %zu bytes is too large",
                        request->message.size);
    }
    if (channel->down || (channel->h2 != NULL && h2_got_goaway(channel->h2))) {
        return err_fail(reterr, ERR_INVALID, "not connected: %s",
                        channel->down ? channel->reason : "the server is going away");
    }
    if (channel->calls >= GRPC_WAITING_CALLS_MAX) {
        return err_fail(reterr, ERR_LIMIT, "too many calls are waiting");
    }
    struct grpc_client_call *c = mem_new(1, sizeof(*c));
    struct loop *loop = channel->options.loop;
    c->channel = channel;
    c->request = *request;
    c->path = mem_text(request->path);
    c->message = mem_copy(request->message.data, request->message.size);
    c->request.message = bytes_of(c->message, request->message.size);
    copy_metadata(c, request->metadata);
    size_t max = channel->options.message_bytes_max;
    grpc_deframer_init(&c->in, max != 0 ? max : GRPC_MESSAGE_BYTES_MAX, NULL);
    c->in.copy = request->on_message == NULL;
    loop_timer_init(&c->deadline, on_deadline, c);
    loop_task_init(&c->ending, on_ending, c);
    c->deadline_ns = UINT64_MAX;
    if (request->timeout_ns != 0 && request->timeout_ns < UINT64_MAX - loop_now_ns(loop)) {
        c->deadline_ns = loop_now_ns(loop) + request->timeout_ns;
        loop_timer_start(loop, &c->deadline, request->timeout_ns, 0);
    }
    channel->calls++;
    ring_add(&channel->waiting, &c->ring);
    if (channel->up) {
        conn_touch(channel->conn); /* starts in on_fill, at the end of this turn */
    }
    if (ret_call != NULL) {
        *ret_call = c;
    }
    return err_ok();
}

void grpc_client_cancel(struct grpc_client_call *call)
{
    fail_later(call, GRPC_CANCELLED, "given up");
}

err grpc_client_trailer(const struct grpc_client_call *call, const char *name,
                        struct bytes *ret_value)
{
    bool found = call->stream != NULL && h2_stream_header(call->stream, name, ret_value);
    return found ? err_ok() : (err){ERR_NOT_FOUND};
}
