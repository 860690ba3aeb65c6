/* Peers that stop: each kind of silence has its end. Time is moved by hand, by setting the marks
 * back that the sweep compares with the clock. */
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
#include "net/h2_stream.h"
#include "tests/unit/net/raw.h"

/* ---- one session in memory ---- */

static struct grpc_call *call_of(struct raw_world *w, uint32_t id)
{
    struct h2_stream *s = h2_find(w->session->h2, id);
    return s == NULL ? NULL : h2_stream_user(s);
}

static void test_request_that_does_not_grow(void **state)
{
    struct raw_world *w = *state;
    raw_request(w, 1, 0, &raw_plain);
    raw_frame(w, DATA, 0, 1, bytes_of("\0\0\0\x01\0half", 9));
    raw_feed(w, 100);
    grpc_session_sweep(w->session);
    raw_collect(w);
    assert_false(raw_stream(w, 1)->reset); /* not yet */
    call_of(w, 1)->moved_ns -= GRPC_BODY_STALL_NS;
    grpc_session_sweep(w->session);
    raw_collect(w);
    assert_true(raw_stream(w, 1)->reset);
    assert_int_equal(raw_stream(w, 1)->reset_code, H2_CANCEL);
    assert_null(call_of(w, 1));
    assert_int_equal(w->echo.server->in.used, 0);
}

static void close_windows(struct raw_world *w)
{
    raw_frame(w, SETTINGS, 0, 0, bytes_of("\0\x04\0\0\0\0", 6));
}

static void ask_big(struct raw_world *w, uint32_t id)
{
    static const struct raw_ask big = {.path = "/test.Echo/Big"};
    uint8_t body[] = {0, 0, 0, 0, 4, 0, 0x10, 0, 0}; /* a MiB */
    raw_request(w, id, 0, &big);
    raw_frame(w, DATA, END_STREAM, id, bytes_of(body, sizeof(body)));
}

static void test_answer_that_nobody_takes(void **state)
{
    struct raw_world *w = *state;
    close_windows(w);
    ask_big(w, 1);
    raw_feed(w, 100);
    grpc_session_sweep(w->session);
    assert_non_null(call_of(w, 1));
    call_of(w, 1)->moved_ns -= GRPC_BODY_STALL_NS;
    grpc_session_sweep(w->session);
    raw_collect(w);
    assert_true(raw_stream(w, 1)->reset);
    assert_int_equal(w->echo.server->out.used, 0);
}

static void test_running_call_may_take_its_time(void **state)
{
    struct raw_world *w = *state;
    static const struct raw_ask never = {.path = "/test.Echo/Never"};
    raw_request(w, 1, 0, &never);
    raw_message(w, 1, END_STREAM, "x");
    raw_feed(w, 100);
    call_of(w, 1)->moved_ns -= 100 * GRPC_BODY_STALL_NS;
    grpc_session_sweep(w->session);
    raw_collect(w);
    assert_false(raw_stream(w, 1)->reset);
}

static void test_starved_stream_goes_on(void **state)
{
    struct raw_world *w = *state;
    static const struct raw_ask stream = {.path = "/test.Echo/Stream"};
    close_windows(w);
    for (uint32_t id = 1; id <= 13; id += 2) {
        ask_big(w, id); /* seven MiB of eight */
    }
    raw_feed(w, 1000);
    raw_request(w, 21, 0, &stream);
    uint8_t body[] = {0, 0, 0, 0, 8, 0, 0, 0, 2, 0, 0x10, 0, 0}; /* two messages of a MiB */
    raw_frame(w, DATA, END_STREAM, 21, bytes_of(body, sizeof(body)));
    raw_feed(w, 1000);
    assert_true(call_of(w, 21)->starved);
    for (uint32_t id = 1; id <= 13; id += 2) {
        raw_frame(w, RST, 0, id, bytes_of("\0\0\0\x08", 4));
    }
    raw_frame(w, WINDOW, 0, 21, bytes_of("\0\x40\0\0", 4));
    raw_frame(w, WINDOW, 0, 0, bytes_of("\0\x40\0\0", 4));
    raw_feed(w, 1000);
    grpc_session_sweep(w->session);
    raw_collect(w);
    raw_expect_status(w, 21, "0");
    assert_int_equal(raw_stream(w, 21)->data_bytes, 2 * ((1 << 20) + 5));
}

/* ---- connections, over loopback and without TLS ---- */

struct plain_client {
    struct conn *conn;
    bool opened, closed;
    size_t received;
};

static void on_open(struct conn *conn, void *ctx)
{
    ((struct plain_client *)ctx)->opened = true;
}

static void on_data(struct conn *conn, void *ctx, struct bytes data)
{
    ((struct plain_client *)ctx)->received += data.size;
}

static void on_close(struct conn *conn, void *ctx, const char *reason)
{
    ((struct plain_client *)ctx)->closed = true;
}

static const struct conn_events plain_events = {
    .on_open = on_open, .on_data = on_data, .on_close = on_close};

static void run_until(struct raw_world *w, const bool *fact)
{
    uint64_t end_ns = loop_update_now(w->loop) + 4 * NS_PER_S;
    while (!*fact && loop_update_now(w->loop) < end_ns) {
        loop_turn(w->loop, 20 * NS_PER_MS);
    }
    assert_true(*fact);
}

/* Connects; the session that answers is the newest of the server. */
static struct grpc_session *connect_plain(struct raw_world *w, struct plain_client *c)
{
    uint16_t port = 0;
    char address[32];
    assert_false(failed(grpc_server_listen(w->echo.server, "127.0.0.1:0", NULL, &port, NULL)));
    snprintf(address, sizeof(address), "127.0.0.1:%u", port);
    struct conn_options o = {.loop = w->loop, .events = &plain_events, .ctx = c};
    assert_false(failed(conn_dial(&o, address, &c->conn, NULL)));
    run_until(w, &c->opened);
    for (int i = 0; i < 100 && (w->echo.server->sessions.prev->conn == NULL ||
                                w->echo.server->sessions.prev->h2 == NULL);
         i++) {
        loop_turn(w->loop, 20 * NS_PER_MS);
    }
    return w->echo.server->sessions.prev;
}

static void test_client_without_preface(void **state)
{
    struct raw_world *w = *state;
    struct plain_client c = {0};
    struct grpc_session *s = connect_plain(w, &c);
    s->opened_ns -= H2_PREFACE_NS;
    run_until(w, &c.closed);
    assert_int_equal(grpc_server_stats_of(w->echo.server).conns_abused, 1);
}

static void test_headers_that_never_end(void **state)
{
    struct raw_world *w = *state;
    struct plain_client c = {0};
    struct grpc_session *s = connect_plain(w, &c);
    struct buf b;
    buf_init(&b, 4096);
    raw_put_request(&b, &raw_plain);
    raw_frame(w, HEADERS, 0, 1, buf_bytes(&b)); /* no END_HEADERS */
    buf_done(&b);
    assert_false(failed(conn_write(c.conn, buf_bytes(&w->in))));
    for (int i = 0; i < 100 && h2_headers_since_ns(s->h2) == 0; i++) {
        loop_turn(w->loop, 20 * NS_PER_MS);
    }
    assert_true(h2_headers_since_ns(s->h2) != 0);
    s->h2->headers_since_ns -= H2_PREFACE_NS;
    run_until(w, &c.closed);
    assert_int_equal(grpc_server_stats_of(w->echo.server).conns_abused, 1);
    buf_clear(&w->in);
}

static void test_client_that_does_not_answer_a_ping(void **state)
{
    struct raw_world *w = *state;
    struct plain_client c = {0};
    struct grpc_session *s = connect_plain(w, &c);
    assert_false(failed(conn_write(c.conn, buf_bytes(&w->in)))); /* its preface */
    buf_clear(&w->in);
    for (int i = 0; i < 100 && !h2_has_settings(s->h2); i++) {
        loop_turn(w->loop, 20 * NS_PER_MS);
    }
    h2_ping(s->h2);
    s->pinged_ns = loop_now_ns(w->loop) - 2 * GRPC_PING_TIMEOUT_NS;
    run_until(w, &c.closed);
    assert_int_equal(grpc_server_stats_of(w->echo.server).conns_abused, 1);
}

static void test_old_connection_is_retired(void **state)
{
    struct raw_world *w = *state;
    struct plain_client c = {0};
    struct grpc_session *s = connect_plain(w, &c);
    assert_false(failed(conn_write(c.conn, buf_bytes(&w->in))));
    buf_clear(&w->in);
    s->retire_ns = 1;
    run_until(w, &c.closed);
    assert_int_equal(grpc_server_stats_of(w->echo.server).conns_abused, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, raw_setup, raw_teardown)
    const struct CMUnitTest tests[] = {
        T(test_request_that_does_not_grow),
        T(test_answer_that_nobody_takes),
        T(test_running_call_may_take_its_time),
        T(test_starved_stream_goes_on),
        T(test_client_without_preface),
        T(test_headers_that_never_end),
        T(test_client_that_does_not_answer_a_ping),
        T(test_old_connection_is_retired),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
