/* The server side of one connection as a machine of bytes, with random splits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/net/raw.h"

static void test_call_with_random_splits(void **state)
{
    struct raw_world *w = *state;
    for (uint32_t i = 0; i < 60; i++) {
        uint32_t id = 1 + 2 * i;
        raw_request(w, id, 0, &raw_plain);
        raw_message(w, id, 0, "hello");
        raw_frame(w, DATA, END_STREAM, id, bytes_of(NULL, 0));
        raw_feed(w, 1 + i);
        raw_expect_status(w, id, "0");
        assert_int_equal(raw_stream(w, id)->data_bytes, 10);
        assert_false(raw_stream(w, id)->reset);
    }
    assert_int_equal(w->settings_max_streams, GRPC_STREAMS_MAX);
    assert_int_equal(grpc_server_stats_of(w->echo.server).calls_ok, 60);
}

static void test_requests_that_are_not_grpc(void **state)
{
    struct raw_world *w = *state;
    static const struct {
        struct raw_ask ask;
        const char *status;
    } t[] = {
        {{.type = "text/raw_plain"}, "415"},
        {{.type = ""}, "415"},
        {{.type = "application/grpc-web+proto"}, "415"},
        {{.type = "application/grpc+json"}, "415"},
        {{.type = "application/json"}, "415"},
        {{.method = "GET"}, "405"},
        {{.method = "PUT"}, "405"},
    };
    for (uint32_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        uint32_t id = 1 + 2 * i;
        raw_request(w, id, 0, &t[i].ask);
        raw_feed(w, 50);
        assert_string_equal(raw_stream(w, id)->status, ""); /* answered at its end */
        raw_message(w, id, END_STREAM, "x");
        raw_feed(w, 50);
        assert_string_equal(raw_stream(w, id)->status, t[i].status);
        assert_string_equal(raw_stream(w, id)->grpc_status, "");
        assert_true(raw_stream(w, id)->ended);
    }
    assert_int_equal(w->echo.begun, 0);
}

static void test_refusals_are_trailers_only(void **state)
{
    struct raw_world *w = *state;
    static const struct {
        struct raw_ask ask;
        const char *status, *says;
    } t[] = {
        {{.path = "/test.Echo/Nothing"}, "12", "unknown method"},
        {{.path = "/test.echo/Unary"}, "12", "unknown method"},
        {{.path = "/test.Echo/Unary/"}, "12", "unknown method"},
        {{.timeout = "abc"}, "13", "grpc-timeout"},
        {{.timeout = "123456789S"}, "13", "grpc-timeout"},
        {{.timeout = ""}, "13", "grpc-timeout"},
        {{.extra_name = "grpc-encoding", .extra_value = "gzip"}, "12", "compressed"},
        {{.extra_name = "x-refuse", .extra_value = "1"}, "7", "refused at the door"},
    };
    for (uint32_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        uint32_t id = 1 + 2 * i;
        raw_request(w, id, 0, &t[i].ask); /* the body is still to come */
        raw_feed(w, 50);
        raw_expect_status(w, id, t[i].status);
        assert_non_null(strstr(raw_stream(w, id)->grpc_message, t[i].says));
        /* The open request is reset, but only after the status has left. */
        assert_true(raw_stream(w, id)->reset);
        assert_true(raw_stream(w, id)->ended_before_reset);
        assert_int_equal(raw_stream(w, id)->reset_code, 0);
        raw_message(w, id, END_STREAM, "late"); /* it was on its way */
        raw_feed(w, 50);
        assert_false(failed(w->error));
    }
}

static void test_bad_bodies(void **state)
{
    struct raw_world *w = *state;
    uint32_t id = 1;
    raw_request(w, id, END_STREAM, &raw_plain); /* no message at all */
    raw_feed(w, 100);
    raw_expect_status(w, id, "12");
    id += 2;
    raw_request(w, id, 0, &raw_plain); /* two messages */
    raw_message(w, id, 0, "a");
    raw_message(w, id, END_STREAM, "b");
    raw_feed(w, 100);
    raw_expect_status(w, id, "12");
    static const struct {
        const char *bytes;
        size_t size;
        const char *status;
    } t[] = {
        {"\0\0\0\0\x05"
         "abc",
         8, "13"},                      /* cut off */
        {"\0\0\0", 3, "13"},            /* cut off in the prefix */
        {"\x02\0\0\0\0", 5, "13"},      /* flag 2 */
        {"\x01\0\0\0\0", 5, "12"},      /* compressed */
        {"\0\0\x40\0\x01", 5, "8"},     /* 4 MiB + 1 announced */
        {"\0\xff\xff\xff\xff", 5, "8"}, /* 4 GiB announced */
    };
    for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        id += 2;
        raw_request(w, id, 0, &raw_plain);
        raw_frame(w, DATA, END_STREAM, id, bytes_of(t[i].bytes, t[i].size));
        raw_feed(w, 100);
        raw_expect_status(w, id, t[i].status);
    }
    assert_int_equal(w->echo.server->in.used, 0);
}

static void test_over_limit_is_refused_on_the_prefix(void **state)
{
    struct raw_world *w = *state;
    raw_request(w, 1, 0, &raw_plain);
    raw_frame(w, DATA, 0, 1, bytes_of("\0\0\x40\0\x01", 5)); /* nothing follows yet */
    raw_feed(w, 100);
    raw_expect_status(w, 1, "8");
    assert_int_equal(raw_stream(w, 1)->reset_code, 0);
}

static void test_graceful_end_in_two_steps(void **state)
{
    struct raw_world *w = *state;
    static const struct raw_ask never = {.path = "/test.Echo/Never"};
    raw_request(w, 1, 0, &never);
    raw_message(w, 1, END_STREAM, "x");
    raw_feed(w, 4000);
    h2_shutdown(w->session->h2);
    raw_collect(w);
    assert_int_equal(w->goaways, 1);
    assert_int_equal(w->goaway_last, INT32_MAX);
    raw_request(w, 3, 0, &raw_plain); /* was on its way */
    raw_message(w, 3, END_STREAM, "x");
    raw_frame(w, PING, ACK, 0, bytes_of("shutdown", 8));
    raw_feed(w, 4000);
    raw_expect_status(w, 3, "0");
    assert_int_equal(w->goaways, 2);
    assert_int_equal(w->goaway_last, 3);
    assert_false(h2_is_done(w->session->h2)); /* stream 1 still runs */
    grpc_session_end_calls(w->session, GRPC_UNAVAILABLE, "stopping");
    raw_collect(w);
    raw_expect_status(w, 1, "14");
    assert_true(h2_is_done(w->session->h2));
}

static void test_connection_window_does_not_leak(void **state)
{
    struct raw_world *w = *state;
    char *block = calloc(1, 16385);
    memset(block, 'x', 16000);
    block[16000] = '\0';
    /* 40 MiB through an 8 MiB window, on calls that end before their bodies are read. */
    static const struct raw_ask unknown = {.path = "/nothing"};
    for (uint32_t i = 0; i < 900; i++) {
        uint32_t id = 1 + 2 * i;
        raw_request(w, id, 0, &unknown);
        for (int k = 0; k < 3; k++) {
            raw_message(w, id, k == 2 ? END_STREAM : 0, block);
        }
        raw_feed(w, 60000);
        raw_expect_status(w, id, "12");
    }
    free(block);
}

static void test_session_ends_with_calls_running(void **state)
{
    struct raw_world *w = *state;
    static const struct raw_ask never = {.path = "/test.Echo/Never"};
    static const struct raw_ask endless = {.path = "/test.Echo/Endless"};
    raw_request(w, 1, 0, &never);
    raw_message(w, 1, END_STREAM, "x");
    raw_request(w, 3, 0, &endless);
    raw_message(w, 3, END_STREAM, "x");
    raw_request(w, 5, 0, &raw_plain); /* half a request */
    raw_frame(w, DATA, 0, 5, bytes_of("\0\0\0\x01\0half", 9));
    raw_feed(w, 4000);
    assert_true(w->echo.server->in.used > 0);
    assert_true(w->echo.server->out.used > 0);
    grpc_session_free(w->session);
    assert_int_equal(w->echo.cancelled, 2);
    w->session = grpc_session_new(w->echo.server, NULL); /* for teardown */
    grpc_session_open(w->session, NULL, "memory");
}

/* A page says the path back; some are larger than a window. */
static void page_of(void *ctx, struct bytes path, struct grpc_page *ret)
{
    (void)ctx;
    if (bytes_equal(path, bytes_text("/none"))) {
        return;
    }
    ret->status = 200;
    ret->type = "application/octet-stream";
    buf_put_bytes(&ret->body, path);
    if (bytes_equal(path, bytes_text("/large"))) {
        for (int i = 0; i < 15000; i++) {
            buf_put_text(&ret->body, "x");
        }
    }
}

static void test_pages(void **state)
{
    struct raw_world *w = *state;
    static const struct {
        struct raw_ask ask;
        const char *status;
        size_t bytes;
    } t[] = {
        {{.method = "GET", .path = "/a"}, "200", 2},
        {{.method = "GET", .path = "/large"}, "200", 15006},
        {{.method = "GET", .path = "/none"}, "404", 0},
        {{.method = "GET", .path = "/a", .type = ""}, "200", 2},
        {{.method = "HEAD", .path = "/a"}, "405", 0},
        {{.method = "PUT", .path = "/a"}, "405", 0},
        {{.method = "DELETE", .path = "/a"}, "405", 0},
    };
    w->echo.server->options.on_get = page_of;
    for (uint32_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        uint32_t id = 1 + 4 * i;
        raw_request(w, id, END_STREAM, &t[i].ask);
        raw_feed(w, 50);
        assert_string_equal(raw_stream(w, id)->status, t[i].status);
        assert_string_equal(raw_stream(w, id)->grpc_status, "");
        assert_int_equal(raw_stream(w, id)->data_bytes, t[i].bytes);
        assert_true(raw_stream(w, id)->ended);
        raw_request(w, id + 2, 0, &t[i].ask); /* one with a body, which nobody reads */
        raw_message(w, id + 2, END_STREAM, "body");
        raw_feed(w, 50);
        assert_string_equal(raw_stream(w, id + 2)->status, t[i].status);
        assert_int_equal(raw_stream(w, id + 2)->data_bytes, t[i].bytes);
    }
    assert_int_equal(w->echo.begun, 0);
    /* A call is one as before. */
    raw_request(w, 101, 0, &raw_plain);
    raw_message(w, 101, END_STREAM, "hello");
    raw_feed(w, 50);
    raw_expect_status(w, 101, "0");
}

/* A page for which there is no room in the budget of output is refused, not cut. */
static void test_a_page_without_room(void **state)
{
    struct raw_world *w = *state;
    struct raw_ask ask = {.method = "GET", .path = "/large"};
    w->echo.server->options.on_get = page_of;
    w->session->out.max = 1000;
    raw_request(w, 1, END_STREAM, &ask);
    raw_feed(w, 50);
    assert_true(raw_stream(w, 1)->reset);
    assert_int_equal(raw_stream(w, 1)->reset_code, H2_REFUSED_STREAM);
    assert_int_equal(raw_stream(w, 1)->data_bytes, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, raw_setup, raw_teardown)
    const struct CMUnitTest tests[] = {
        T(test_call_with_random_splits),
        T(test_requests_that_are_not_grpc),
        T(test_refusals_are_trailers_only),
        T(test_bad_bodies),
        T(test_pages),
        T(test_a_page_without_room),
        T(test_over_limit_is_refused_on_the_prefix),
        T(test_graceful_end_in_two_steps),
        T(test_connection_window_does_not_leak),
        T(test_session_ends_with_calls_running),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
