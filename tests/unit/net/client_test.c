/* The gRPC client against a server that answers as it likes: frames made by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "net/conn.h"
#include "net/grpc_client.h"
#include "net/listener.h"
#include "tests/unit/net/raw.h"

/* An answer: header fields, a body, trailer fields, and how the stream ends. */
struct answer {
    const char *name;
    const char *fields[8]; /* name, value, ..., NULL; first NULL: no headers */
    const char *body;
    size_t body_size;
    const char *trailers[8]; /* first NULL: none */
    int reset;               /* >= 0: RST_STREAM with this code; -1: none */
    bool end_on_data, cut;   /* cut: close the connection instead of an end */
    enum grpc_status status;
    bool from_server;
};

#define GOOD ":status", "200", "content-type", "application/grpc"
static const struct answer answers[] = {
    {"good", {GOOD}, "\0\0\0\0\2ok", 7, {"grpc-status", "0"}, -1, 0, 0, GRPC_OK, true},
    {"status only", {GOOD, "grpc-status", "5"}, "", 0, {NULL}, -1, 0, 0, GRPC_NOT_FOUND, true},
    {"interim answer is no answer",
     {":status", "103"},
     "",
     0,
     {NULL},
     2,
     0,
     0,
     GRPC_INTERNAL,
     false},
    {"odd status", {GOOD, "grpc-status", "99"}, "", 0, {NULL}, -1, 0, 0, GRPC_UNKNOWN, true},
    {"http 503", {":status", "503"}, "", 0, {NULL}, -1, 0, 0, GRPC_UNAVAILABLE, false},
    {"http 404", {":status", "404"}, "", 0, {NULL}, -1, 0, 0, GRPC_UNIMPLEMENTED, false},
    {"a web page",
     {":status", "200", "content-type", "text/html", "grpc-status", "0"},
     "",
     0,
     {NULL},
     -1,
     0,
     0,
     GRPC_UNKNOWN,
     false},
    {"no trailers", {GOOD}, "\0\0\0\0\2ok", 7, {NULL}, -1, true, 0, GRPC_INTERNAL, false},
    {"OK without message", {GOOD}, "", 0, {"grpc-status", "0"}, -1, 0, 0, GRPC_INTERNAL, false},
    {"two messages",
     {GOOD},
     "\0\0\0\0\0\0\0\0\0\0",
     10,
     {"grpc-status", "0"},
     -1,
     0,
     0,
     GRPC_INTERNAL,
     false},
    {"message cut off",
     {GOOD},
     "\0\0\0\0\2o",
     6,
     {"grpc-status", "0"},
     -1,
     0,
     0,
     GRPC_INTERNAL,
     false},
    {"message too large",
     {GOOD},
     "\0\0\x40\0\1",
     5,
     {"grpc-status", "0"},
     -1,
     0,
     0,
     GRPC_RESOURCE_EXHAUSTED,
     false},
    {"compressed",
     {GOOD},
     "\1\0\0\0\0",
     5,
     {"grpc-status", "0"},
     -1,
     0,
     0,
     GRPC_UNIMPLEMENTED,
     false},
    {"refused stream", {NULL}, "", 0, {NULL}, 7, 0, 0, GRPC_UNAVAILABLE, false},
    {"calm down", {GOOD}, "", 0, {NULL}, 11, 0, 0, GRPC_RESOURCE_EXHAUSTED, false},
    {"reset without error", {GOOD}, "", 0, {NULL}, 0, 0, 0, GRPC_INTERNAL, false},
    {"connection lost", {GOOD}, "\0\0\0\0\2o", 6, {NULL}, -1, 0, true, GRPC_UNAVAILABLE, false},
};

struct world {
    struct loop *loop;
    struct listener *listener;
    struct conn *accepted;
    struct raw_world raw; /* only its frame builder */
    const struct answer *answer;
    bool answered;
    struct grpc_channel *channel;
};

static void put_fields(struct world *w, const char *const *fields, bool end)
{
    struct buf b;
    buf_init(&b, 4096);
    for (; *fields != NULL; fields += 2) {
        raw_put_field(&b, fields[0], fields[1]);
    }
    raw_frame(&w->raw, HEADERS, (uint8_t)(END_HEADERS | (end ? END_STREAM : 0)), 1, buf_bytes(&b));
    buf_done(&b);
}

static void put_answer(struct world *w)
{
    const struct answer *a = w->answer;
    bool open = a->reset >= 0 || a->cut;
    bool more = a->body_size > 0 || a->trailers[0] != NULL;
    if (a->fields[0] != NULL) {
        put_fields(w, a->fields, !more && !open);
    }
    if (a->body_size > 0) {
        raw_frame(&w->raw, DATA, a->end_on_data ? END_STREAM : 0, 1,
                  bytes_of(a->body, a->body_size));
    }
    if (a->trailers[0] != NULL) {
        put_fields(w, a->trailers, true);
    }
    if (a->reset >= 0) {
        uint8_t code[4] = {0, 0, 0, (uint8_t)a->reset};
        raw_frame(&w->raw, RST, 0, 1, bytes_of(code, 4));
    }
}

static void send_frames(struct world *w)
{
    assert_false(failed(conn_write(w->accepted, buf_bytes(&w->raw.in))));
    buf_clear(&w->raw.in);
}

static void on_open(struct conn *conn, void *ctx)
{
    struct world *w = ctx;
    raw_frame(&w->raw, SETTINGS, 0, 0, bytes_of(NULL, 0));
    send_frames(w);
}

static void on_data(struct conn *conn, void *ctx, struct bytes data)
{
    struct world *w = ctx;
    if (!w->answered && memmem(data.data, data.size, "the question", 12) != NULL) {
        w->answered = true;
        put_answer(w);
        send_frames(w);
        if (w->answer->cut) {
            conn_close(conn);
        }
    }
}

static void on_close(struct conn *conn, void *ctx, const char *reason)
{
    ((struct world *)ctx)->accepted = NULL;
}

static const struct conn_events events = {
    .on_open = on_open, .on_data = on_data, .on_close = on_close};

static bool on_accept(void *ctx, struct conn *conn)
{
    struct world *w = ctx;
    w->accepted = conn;
    conn_set_events(conn, &events, w);
    return true;
}

static void run_answer(const struct answer *a)
{
    struct world w = {.answer = a};
    char address[32];
    assert_false(failed(loop_new(&w.loop, NULL)));
    buf_init(&w.raw.in, 1 << 16);
    struct listener_options lo = {.loop = w.loop,
                                  .address = "127.0.0.1:0",
                                  .on_accept = on_accept,
                                  .ctx = &w,
                                  .conn = {.events = &events}};
    assert_false(failed(listener_new(&lo, &w.listener, NULL)));
    snprintf(address, sizeof(address), "127.0.0.1:%u", listener_port(w.listener));
    struct grpc_channel_options co = {.loop = w.loop, .address = address};
    assert_false(failed(grpc_channel_open(&co, &w.channel, NULL)));
    assert_false(failed(grpc_channel_wait(w.channel, NULL)));
    struct grpc_reply r;
    grpc_client_unary(w.channel, "/x.Y/Z", bytes_text("the question"), 3 * NS_PER_S, &r);
    if (r.status != a->status || r.from_server != a->from_server) {
        fail_msg("%s: %s (%s), from server %d", a->name, grpc_status_name(r.status), r.text,
                 r.from_server);
    }
    grpc_reply_done(&r);
    grpc_channel_free(w.channel);
    conn_free(w.accepted);
    listener_free(w.listener);
    buf_done(&w.raw.in);
    loop_free(w.loop);
}

static void test_answers(void **state)
{
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        run_answer(&answers[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_answers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
