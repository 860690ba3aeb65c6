/* Peers that flood, announce, reset, stall or send garbage at the session of a gRPC server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/net/raw.h"

static void test_announced_bytes_are_bounded(void **state)
{
    struct raw_world *w = *state;
    size_t refused = 0;
    for (uint32_t id = 1; id < 1 + 2 * 20; id += 2) {
        raw_request(w, id, 0, &raw_plain);
        raw_frame(w, DATA, 0, id, bytes_of("\0\0\x40\0\0", 5)); /* 4 MiB each */
        raw_feed(w, 1000);
        refused += strcmp(raw_stream(w, id)->grpc_status, "8") == 0;
    }
    assert_int_equal(refused, 20 - GRPC_CONN_IN_BYTES_MAX / (4 << 20));
    assert_true(w->echo.server->in.used <= GRPC_CONN_IN_BYTES_MAX);
}

static void put_large_request(struct raw_world *w, uint32_t id, size_t fields, size_t size)
{
    struct buf b;
    buf_init(&b, 1 << 20);
    raw_put_request(&b, &raw_plain);
    char *value = calloc(1, size + 1);
    memset(value, 'v', size);
    for (size_t i = 0; i < fields; i++) {
        raw_put_field(&b, "x-large", value);
    }
    free(value);
    size_t at = 0;
    for (bool first = true; first || at < b.size; first = false) {
        size_t part = b.size - at < 16384 ? b.size - at : 16384;
        bool last = at + part == b.size;
        raw_frame(w, first ? HEADERS : CONT, last ? END_HEADERS : 0, id,
                  bytes_of(b.data + at, part));
        at += part;
    }
    buf_done(&b);
}

static void test_large_headers(void **state)
{
    struct raw_world *w = *state;
    put_large_request(w, 1, 3, 5000); /* under the limit */
    raw_message(w, 1, END_STREAM, "x");
    raw_feed(w, 5000);
    raw_expect_status(w, 1, "0");
    put_large_request(w, 3, 4, 5000); /* over it */
    raw_message(w, 3, END_STREAM, "x");
    raw_feed(w, 5000);
    raw_expect_status(w, 3, "8");
    put_large_request(w, 5, 120, 1); /* too many */
    raw_message(w, 5, END_STREAM, "x");
    raw_feed(w, 5000);
    raw_expect_status(w, 5, "8");
    raw_request(w, 7, 0, &raw_plain); /* the connection is as good as before */
    raw_message(w, 7, END_STREAM, "x");
    raw_feed(w, 5000);
    raw_expect_status(w, 7, "0");
}

static void test_continuation_flood(void **state)
{
    struct raw_world *w = *state;
    struct buf b;
    buf_init(&b, 1 << 20);
    raw_put_request(&b, &raw_plain);
    raw_frame(w, HEADERS, 0, 1, buf_bytes(&b));
    buf_clear(&b);
    raw_put_field(&b, "x", "y");
    for (int i = 0; i < 1000; i++) {
        raw_frame(w, CONT, 0, 1, buf_bytes(&b));
    }
    buf_done(&b);
    raw_feed(w, 100);
    assert_true(failed(w->error));
    assert_int_equal(w->echo.begun, 0);
}

static void test_empty_data_flood(void **state)
{
    struct raw_world *w = *state;
    raw_request(w, 1, 0, &raw_plain);
    for (int i = 0; i < H2_EMPTY_FRAMES_MAX; i++) {
        raw_frame(w, DATA, 0, 1, bytes_of(NULL, 0));
    }
    raw_message(w, 1, END_STREAM, "x");
    raw_feed(w, 500);
    raw_expect_status(w, 1, "0"); /* a hundred are borne */
    raw_request(w, 3, 0, &raw_plain);
    for (int i = 0; i < H2_EMPTY_FRAMES_MAX + 1; i++) {
        raw_frame(w, DATA, 0, 3, bytes_of(NULL, 0));
    }
    raw_feed(w, 500);
    assert_true(err_is(w->error, ERR_LIMIT));
    assert_non_null(strstr(w->why.text, "empty"));
    assert_true(w->goaway);
    assert_int_equal(w->goaway_code, H2_ENHANCE_YOUR_CALM);
}

static void test_rapid_reset(void **state)
{
    struct raw_world *w = *state;
    size_t streams = 0;
    static const struct raw_ask never = {.path = "/test.Echo/Never"};
    for (uint32_t id = 1; id < 2 * 3000 && !failed(w->error) && !w->goaway; id += 2) {
        raw_request(w, id, 0, &never);
        raw_message(w, id, END_STREAM, "x");
        raw_frame(w, RST, 0, id, bytes_of("\0\0\0\x08", 4));
        raw_feed(w, 1000);
        streams++;
    }
    assert_true(streams < 400);
    assert_true(w->goaway);
    assert_int_equal(w->echo.cancelled, w->echo.running); /* no work is left behind */
    assert_true(h2_is_done(w->session->h2));
}

static void test_pings_too_often(void **state)
{
    struct raw_world *w = *state;
    for (int i = 0; i < 3; i++) {
        raw_frame(w, PING, 0, 0, bytes_of("12345678", 8));
        raw_feed(w, 1000);
        assert_false(failed(w->error));
    }
    assert_int_equal(w->pongs, 3);
    raw_frame(w, PING, 0, 0, bytes_of("12345678", 8));
    raw_feed(w, 1000);
    assert_true(err_is(w->error, ERR_LIMIT));
    assert_non_null(strstr(w->why.text, "too_many_pings"));
    assert_true(w->goaway);
}

static void test_pings_beside_answers_are_no_strikes(void **state)
{
    struct raw_world *w = *state;
    for (uint32_t i = 0; i < 50; i++) {
        raw_request(w, 1 + 2 * i, 0, &raw_plain);
        raw_message(w, 1 + 2 * i, END_STREAM, "x");
        raw_frame(w, PING, 0, 0, bytes_of("12345678", 8));
        raw_feed(w, 1000);
        raw_expect_status(w, 1 + 2 * i, "0");
    }
    assert_int_equal(w->pongs, 50);
}

static void test_settings_flood(void **state)
{
    struct raw_world *w = *state;
    for (int i = 0; i < 5000 && !failed(w->error); i++) {
        raw_frame(w, SETTINGS, 0, 0, bytes_of(NULL, 0));
    }
    /* Fed in one piece: the answers cannot leave meanwhile. */
    w->error = grpc_session_in(w->session, buf_bytes(&w->in), &w->why);
    buf_clear(&w->in);
    raw_collect(w);
    assert_true(failed(w->error));
}

static void test_window_update_flood(void **state)
{
    struct raw_world *w = *state;
    for (int i = 0; i < H2_FRAMES_BURST + 10; i++) {
        raw_frame(w, WINDOW, 0, 0, bytes_of("\0\0\0\x01", 4));
    }
    raw_feed(w, 16384);
    assert_true(err_is(w->error, ERR_LIMIT));
}

static void test_client_with_window_zero(void **state)
{
    struct raw_world *w = *state;
    buf_clear(&w->in);
    buf_put_text(&w->in, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    raw_frame(w, SETTINGS, 0, 0, bytes_of("\0\x04\0\0\0\0", 6)); /* INITIAL_WINDOW_SIZE 0 */
    static const struct raw_ask big = {.path = "/test.Echo/Big"};
    static const struct raw_ask endless = {.path = "/test.Echo/Endless"};
    for (uint32_t id = 1; id < 2 * 50; id += 2) {
        raw_request(w, id, 0, &big);
        uint8_t body[] = {0, 0, 0, 0, 4, 0, 0x10, 0, 0}; /* a MiB each */
        raw_frame(w, DATA, END_STREAM, id, bytes_of(body, sizeof(body)));
    }
    for (uint32_t id = 101; id < 2 * 100; id += 2) {
        raw_request(w, id, 0, &endless);
        raw_message(w, id, END_STREAM, "");
    }
    raw_feed(w, 4000);
    assert_false(failed(w->error));
    assert_true(w->echo.server->out.used <= GRPC_CONN_OUT_BYTES_MAX);
    size_t refused = 0;
    for (uint32_t id = 1; id < 2 * 50; id += 2) {
        refused += strcmp(raw_stream(w, id)->grpc_status, "8") == 0;
    }
    assert_true(refused >= 50 - 8);
    assert_int_equal(raw_stream(w, 1)->data_bytes, 0);
    raw_frame(w, WINDOW, 0, 1, bytes_of("\0\x20\0\0", 4)); /* the first one may go on */
    raw_frame(w, WINDOW, 0, 0, bytes_of("\0\x20\0\0", 4));
    raw_feed(w, 4000);
    assert_int_equal(raw_stream(w, 1)->data_bytes, (1 << 20) + 5);
    assert_string_equal(raw_stream(w, 1)->grpc_status, "0");
}

static void test_streams_beyond_the_limit_are_refused(void **state)
{
    struct raw_world *w = *state;
    static const struct raw_ask never = {.path = "/test.Echo/Never"};
    for (uint32_t i = 0; i < GRPC_STREAMS_MAX + 20; i++) {
        raw_request(w, 1 + 2 * i, 0, &never);
        raw_message(w, 1 + 2 * i, END_STREAM, "x");
    }
    raw_feed(w, 4000);
    size_t refused = 0;
    for (uint32_t i = 0; i < GRPC_STREAMS_MAX + 20; i++) {
        struct raw_got *g = raw_stream(w, 1 + 2 * i);
        refused += g->reset && g->reset_code == H2_REFUSED_STREAM;
    }
    assert_int_equal(refused, 20);
    assert_int_equal(w->echo.running, GRPC_STREAMS_MAX);
}

static void test_garbage(void **state)
{
    struct raw_world *w = *state;
    buf_clear(&w->in);
    buf_put_text(&w->in, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    raw_feed(w, 100);
    assert_true(err_is(w->error, ERR_INVALID));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, raw_setup, raw_teardown)
    const struct CMUnitTest tests[] = {
        T(test_announced_bytes_are_bounded),
        T(test_large_headers),
        T(test_continuation_flood),
        T(test_empty_data_flood),
        T(test_rapid_reset),
        T(test_pings_too_often),
        T(test_pings_beside_answers_are_no_strikes),
        T(test_settings_flood),
        T(test_window_update_flood),
        T(test_client_with_window_zero),
        T(test_streams_beyond_the_limit_are_refused),
        T(test_garbage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
