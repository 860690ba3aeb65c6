/* gRPC calls over loopback TCP and real TLS, both sides ours. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/limits.h"
#include "net/grpc_client.h"
#include "tests/unit/net/echo.h"
#include "tests/unit/net/pki.h"

struct world {
    struct loop *loop;
    struct pki_ca ca, foreign;
    struct pki_holder node, client, stranger;
    struct tls_ctx *server_tls, *client_tls;
    struct echo echo;
    struct grpc_server_options options;
    uint16_t port;
    char address[32];
    struct grpc_channel *channel;
    char down_reason[256];
    int ups, downs;
    bool drained;
};

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    assert_false(failed(loop_new(&w->loop, NULL)));
    pki_ca_make(&w->ca, "ville");
    pki_ca_make(&w->foreign, "autre");
    pki_issue_plain(&w->ca, IDENTITY_NODE, "n1", &w->node);
    pki_issue_plain(&w->ca, IDENTITY_CLIENT, "c1", &w->client);
    pki_issue_plain(&w->foreign, IDENTITY_CLIENT, "c1", &w->stranger);
    w->server_tls = pki_ctx(true, &w->ca, &w->node);
    w->client_tls = pki_ctx(false, &w->ca, &w->client);
    w->echo.loop = w->loop;
    w->options = (struct grpc_server_options){
        .loop = w->loop,
        .methods = echo_methods,
        .method_count = echo_method_count,
        .ctx = &w->echo,
        .on_begin = echo_begin,
    };
    *state = w;
    return 0;
}

static void start_server(struct world *w)
{
    assert_false(failed(grpc_server_new(&w->options, &w->echo.server, NULL)));
    struct errtext why;
    assert_false(
        failed(grpc_server_listen(w->echo.server, "127.0.0.1:0", w->server_tls, &w->port, &why)));
    snprintf(w->address, sizeof(w->address), "127.0.0.1:%u", w->port);
}

static void on_state(void *ctx, struct grpc_channel *channel, bool up, const char *reason)
{
    struct world *w = ctx;
    w->ups += up;
    w->downs += !up;
    snprintf(w->down_reason, sizeof(w->down_reason), "%s", reason);
}

static struct grpc_channel_options channel_options(struct world *w)
{
    return (struct grpc_channel_options){
        .loop = w->loop,
        .address = w->address,
        .tls = w->client_tls,
        .expect_node = true,
        .on_state = on_state,
        .ctx = w,
    };
}

static void connect_channel(struct world *w)
{
    struct grpc_channel_options o = channel_options(w);
    struct errtext why = {""};
    assert_false(failed(grpc_channel_open(&o, &w->channel, &why)));
    assert_false(failed(grpc_channel_wait(w->channel, &why)));
}

static int setup_connected(void **state)
{
    setup(state);
    start_server(*state);
    connect_channel(*state);
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    grpc_channel_free(w->channel);
    grpc_server_free(w->echo.server);
    echo_done(&w->echo);
    tls_ctx_free(w->server_tls);
    tls_ctx_free(w->client_tls);
    pki_holder_done(&w->node);
    pki_holder_done(&w->client);
    pki_holder_done(&w->stranger);
    pki_ca_done(&w->ca);
    pki_ca_done(&w->foreign);
    loop_free(w->loop);
    free(w);
    return 0;
}

#define RUN_UNTIL(w, seconds, fact)                                                                \
    do {                                                                                           \
        uint64_t end_ns_ = loop_update_now((w)->loop) + (seconds)*NS_PER_S;                        \
        while (!(fact) && loop_update_now((w)->loop) < end_ns_) {                                  \
            loop_turn((w)->loop, 20 * NS_PER_MS);                                                  \
        }                                                                                          \
        assert_true(fact);                                                                         \
    } while (0)

static struct bytes u32s(uint8_t store[8], uint32_t a, uint32_t b)
{
    for (int i = 0; i < 4; i++) {
        store[i] = (uint8_t)(a >> (24 - 8 * i));
        store[4 + i] = (uint8_t)(b >> (24 - 8 * i));
    }
    return bytes_of(store, 8);
}

static void test_unary(void **state)
{
    struct world *w = *state;
    struct grpc_reply r;
    grpc_client_unary(w->channel, "/test.Echo/Unary", bytes_text("hello"), NS_PER_S, &r);
    assert_int_equal(r.status, GRPC_OK);
    assert_true(r.from_server);
    assert_int_equal(r.message_size, 5);
    assert_memory_equal(r.message, "hello", 5);
    grpc_reply_done(&r);
    grpc_client_unary(w->channel, "/test.Echo/Unary", bytes_of(NULL, 0), NS_PER_S, &r);
    assert_int_equal(r.status, GRPC_OK);
    assert_int_equal(r.message_size, 0);
    grpc_reply_done(&r);
    grpc_client_unary(w->channel, "/test.Echo/Who", bytes_of(NULL, 0), 0, &r);
    assert_int_equal(r.status, GRPC_OK);
    assert_memory_equal(r.message, "ville/client/c1", 15);
    grpc_reply_done(&r);
    assert_string_equal(grpc_channel_peer(w->channel)->identity.name, "n1");
}

static void test_sizes_around_the_limit(void **state)
{
    struct world *w = *state;
    struct grpc_reply r;
    uint8_t *block = calloc(1, GRPC_MESSAGE_BYTES_MAX + 1);
    uint8_t store[8];
    for (size_t less = 0; less < 2; less++) {
        size_t size = GRPC_MESSAGE_BYTES_MAX - less;
        grpc_client_unary(w->channel, "/test.Echo/Unary", bytes_of(block, size), 9 * NS_PER_S, &r);
        assert_int_equal(r.status, GRPC_OK);
        assert_int_equal(r.message_size, size);
        grpc_reply_done(&r);
    }
    struct bytes over = bytes_of(block, GRPC_MESSAGE_BYTES_MAX + 1);
    grpc_client_unary(w->channel, "/test.Echo/Unary", over, NS_PER_S, &r);
    assert_int_equal(r.status, GRPC_RESOURCE_EXHAUSTED);
    assert_false(r.from_server);
    grpc_reply_done(&r);
    struct bytes ask = u32s(store, GRPC_MESSAGE_BYTES_MAX + 1, 0);
    grpc_client_unary(w->channel, "/test.Echo/Big", ask, 9 * NS_PER_S, &r);
    assert_int_equal(r.status, GRPC_RESOURCE_EXHAUSTED);
    assert_true(r.from_server);
    grpc_reply_done(&r);
    free(block);
    struct grpc_server_stats s = grpc_server_stats_of(w->echo.server);
    assert_int_equal(s.bytes_in, 0);
    assert_int_equal(s.bytes_out, 0);
}

static void test_failures_carry_text_and_trailers(void **state)
{
    struct world *w = *state;
    struct grpc_reply r;
    grpc_client_unary(w->channel, "/test.Echo/Fail", bytes_text("\x0a"), NS_PER_S, &r);
    assert_int_equal(r.status, GRPC_ABORTED);
    assert_string_equal(r.text, "100% \xc3\xa9t\xc3\xa9?2");
    assert_string_equal(r.reason, "TEST_REASON");
    assert_string_equal(r.retry, "never");
    grpc_reply_done(&r);
    grpc_client_unary(w->channel, "/test.Echo/Nothing", bytes_text(""), NS_PER_S, &r);
    assert_int_equal(r.status, GRPC_UNIMPLEMENTED);
    assert_non_null(strstr(r.text, "/test.Echo/Nothing"));
    grpc_reply_done(&r);
}

struct many {
    struct world *w;
    size_t ok, other, wrong;
    enum grpc_status last;
};
struct one {
    struct many *many;
    uint8_t message[8];
};

static void on_many_end(void *ctx, const struct grpc_result *result)
{
    struct one *one = ctx;
    one->many->last = result->status;
    if (result->status != GRPC_OK) {
        one->many->other++;
    } else {
        one->many->ok++;
        one->many->wrong += !bytes_equal(result->message, bytes_of(one->message, 8));
    }
    free(one);
}

static void call_later(struct many *m, uint32_t ms, uint32_t tag, uint64_t timeout_ns)
{
    struct one *one = calloc(1, sizeof(*one));
    one->many = m;
    struct grpc_client_request request = {
        .path = "/test.Echo/Later",
        .message = u32s(one->message, ms, tag),
        .timeout_ns = timeout_ns,
        .on_end = on_many_end,
        .ctx = one,
    };
    assert_false(failed(grpc_client_call(m->w->channel, &request, NULL, NULL)));
}

static void test_thousand_calls_at_once(void **state)
{
    struct world *w = *state;
    struct many m = {.w = w};
    for (uint32_t i = 0; i < 1000; i++) {
        call_later(&m, 20, i, 20 * NS_PER_S);
    }
    assert_int_equal(grpc_channel_calls(w->channel), 1000);
    RUN_UNTIL(w, 10, m.ok + m.other == 1000);
    assert_int_equal(m.ok, 1000);
    assert_int_equal(m.wrong, 0);
    assert_int_equal(grpc_channel_calls(w->channel), 0);
    assert_int_equal(grpc_server_stats_of(w->echo.server).calls, 0);
}

static void test_deadline(void **state)
{
    struct world *w = *state;
    struct grpc_reply r;
    uint64_t start_ns = loop_update_now(w->loop);
    grpc_client_unary(w->channel, "/test.Echo/Never", bytes_text("x"), 150 * NS_PER_MS, &r);
    assert_int_equal(r.status, GRPC_DEADLINE_EXCEEDED);
    grpc_reply_done(&r);
    uint64_t took_ns = loop_update_now(w->loop) - start_ns;
    assert_true(took_ns >= 140 * NS_PER_MS && took_ns < 2 * NS_PER_S);
    /* The server gives the work up by itself. */
    RUN_UNTIL(w, 2, w->echo.cancelled == 1 && grpc_server_stats_of(w->echo.server).calls == 0);
}

static void test_cancel_reaches_the_handler(void **state)
{
    struct world *w = *state;
    struct many m = {.w = w};
    struct one *one = calloc(1, sizeof(*one));
    one->many = &m;
    struct grpc_client_request request = {
        .path = "/test.Echo/Never", .message = bytes_text("x"), .on_end = on_many_end, .ctx = one};
    struct grpc_client_call *call = NULL;
    assert_false(failed(grpc_client_call(w->channel, &request, &call, NULL)));
    RUN_UNTIL(w, 2, w->echo.running == 1);
    grpc_client_cancel(call);
    grpc_client_cancel(call);
    assert_int_equal(m.other, 0); /* not from inside */
    RUN_UNTIL(w, 2, m.other == 1 && w->echo.cancelled == 1);
    assert_int_equal(m.last, GRPC_CANCELLED);
}

static void test_late_answer_finds_no_call(void **state)
{
    struct world *w = *state;
    struct many m = {.w = w};
    call_later(&m, 300, 1, 50 * NS_PER_MS);
    RUN_UNTIL(w, 2, m.other == 1);
    RUN_UNTIL(w, 2, w->echo.later_count == 0); /* its timer fired into nothing */
    assert_int_equal(w->echo.cancelled, 1);
}

struct stream {
    size_t count, bytes, wrong;
    uint32_t total, size;
    bool ended, cancel_at_100;
    enum grpc_status status;
};

static void on_stream_message(void *ctx, struct grpc_client_call *call, struct bytes message)
{
    struct stream *s = ctx;
    s->wrong += s->size != 0 && (message.size != s->size ||
                                 message.data[s->size - 1] != ((s->total - s->count) & 0xff));
    s->count++;
    s->bytes += message.size;
    if (s->cancel_at_100 && s->count == 100) {
        grpc_client_cancel(call);
    }
}

static void on_stream_end(void *ctx, const struct grpc_result *result)
{
    struct stream *s = ctx;
    s->ended = true;
    s->status = result->status;
}

static void test_server_stream(void **state)
{
    struct world *w = *state;
    struct stream s = {.total = 20000, .size = 1000};
    uint8_t store[8];
    struct grpc_client_request request = {.path = "/test.Echo/Stream",
                                          .message = u32s(store, s.total, s.size),
                                          .on_message = on_stream_message,
                                          .on_end = on_stream_end,
                                          .ctx = &s};
    assert_false(failed(grpc_client_call(w->channel, &request, NULL, NULL)));
    RUN_UNTIL(w, 10, s.ended);
    assert_int_equal(s.status, GRPC_OK);
    assert_int_equal(s.count, 20000);
    assert_int_equal(s.wrong, 0);
}

static void test_endless_stream_is_cancelled(void **state)
{
    struct world *w = *state;
    struct stream s = {.cancel_at_100 = true};
    struct grpc_client_request request = {.path = "/test.Echo/Endless",
                                          .message = bytes_text(""),
                                          .on_message = on_stream_message,
                                          .on_end = on_stream_end,
                                          .ctx = &s};
    assert_false(failed(grpc_client_call(w->channel, &request, NULL, NULL)));
    RUN_UNTIL(w, 10, s.ended && w->echo.cancelled == 1);
    assert_int_equal(s.status, GRPC_CANCELLED);
    assert_true(grpc_channel_is_up(w->channel));
}

static void on_drained(void *ctx)
{
    ((struct world *)ctx)->drained = true;
}

static void test_drain_answers_all_in_flight(void **state)
{
    struct world *w = *state;
    struct many m = {.w = w};
    for (uint32_t i = 0; i < 100; i++) {
        call_later(&m, 400, i, 0);
    }
    RUN_UNTIL(w, 2, w->echo.later_count == 100);
    grpc_server_drain(w->echo.server, 5 * NS_PER_S, on_drained, w);
    RUN_UNTIL(w, 5, m.ok + m.other == 100 && w->drained && w->downs == 1);
    assert_int_equal(m.ok, 100);
    struct grpc_reply r;
    grpc_client_unary(w->channel, "/test.Echo/Unary", bytes_text(""), NS_PER_S, &r);
    assert_int_equal(r.status, GRPC_UNAVAILABLE);
    grpc_reply_done(&r);
}

static void test_drain_cuts_what_does_not_end(void **state)
{
    struct world *w = *state;
    struct many m = {.w = w};
    call_later(&m, 60000, 1, 0);
    struct stream s = {0};
    struct grpc_client_request request = {.path = "/test.Echo/Endless",
                                          .message = bytes_text(""),
                                          .on_message = on_stream_message,
                                          .on_end = on_stream_end,
                                          .ctx = &s};
    assert_false(failed(grpc_client_call(w->channel, &request, NULL, NULL)));
    RUN_UNTIL(w, 2, s.count > 10 && w->echo.later_count == 1);
    grpc_server_drain(w->echo.server, 200 * NS_PER_MS, on_drained, w);
    RUN_UNTIL(w, 5, w->drained && s.ended && m.other == 1);
    assert_int_equal(m.last, GRPC_UNAVAILABLE);
    assert_int_equal(s.status, GRPC_UNAVAILABLE);
    assert_int_equal(w->echo.cancelled, 2);
}

static void test_lost_server_ends_calls(void **state)
{
    struct world *w = *state;
    struct many m = {.w = w};
    call_later(&m, 60000, 1, 0);
    RUN_UNTIL(w, 2, w->echo.later_count == 1);
    grpc_server_free(w->echo.server);
    w->echo.server = NULL;
    assert_int_equal(w->echo.cancelled, 1);
    RUN_UNTIL(w, 2, m.other == 1 && w->downs == 1);
    assert_int_equal(m.last, GRPC_UNAVAILABLE);
    struct grpc_client_request request = {.path = "/x", .on_end = on_stream_end};
    assert_true(err_is(grpc_client_call(w->channel, &request, NULL, NULL), ERR_INVALID));
    echo_done(&w->echo);
}

static void test_freed_channel_cancels_calls(void **state)
{
    struct world *w = *state;
    struct many m = {.w = w};
    call_later(&m, 60000, 1, 0);
    RUN_UNTIL(w, 2, w->echo.later_count == 1);
    call_later(&m, 60000, 2, 0); /* not even started */
    grpc_channel_free(w->channel);
    w->channel = NULL;
    assert_int_equal(m.other, 2);
    assert_int_equal(m.last, GRPC_CANCELLED);
    RUN_UNTIL(w, 2, w->echo.cancelled == 1);
}

static void expect_no_channel(struct world *w, struct grpc_channel_options o, enum err_code code,
                              const char *says)
{
    struct errtext why = {""};
    struct grpc_channel *ch = NULL;
    assert_false(failed(grpc_channel_open(&o, &ch, &why)));
    err e = grpc_channel_wait(ch, &why);
    assert_true(err_is(e, code));
    assert_non_null(strstr(why.text, says));
    grpc_channel_free(ch);
}

static void test_wrong_identities(void **state)
{
    struct world *w = *state;
    start_server(w);
    struct grpc_channel_options o = channel_options(w);
    o.institution = "autre";
    expect_no_channel(w, o, ERR_DENIED, "another institution");
    o.institution = "ville";
    o.name = "n2";
    expect_no_channel(w, o, ERR_DENIED, "another node");
    o.name = NULL;
    struct tls_ctx *none = pki_ctx(false, &w->ca, NULL);
    o.tls = none;
    expect_no_channel(w, o, ERR_DENIED, "certificate required");
    struct tls_ctx *foreign = pki_ctx(false, &w->ca, &w->stranger);
    o.tls = foreign;
    expect_no_channel(w, o, ERR_DENIED, "unknown ca");
    struct tls_ctx *suspicious = pki_ctx(false, &w->foreign, &w->client);
    o.tls = suspicious;
    expect_no_channel(w, o, ERR_DENIED, "certificate");
    tls_ctx_free(none);
    tls_ctx_free(foreign);
    tls_ctx_free(suspicious);
    assert_int_equal(grpc_server_stats_of(w->echo.server).calls_started, 0);
}

static void test_closed_port_and_silent_port(void **state)
{
    struct world *w = *state;
    start_server(w);
    grpc_server_free(w->echo.server);
    w->echo.server = NULL;
    expect_no_channel(w, channel_options(w), ERR_IO, "refused");
    /* A TLS client at a cleartext server: neither says anything the other understands. */
    w->options.loop = w->loop;
    assert_false(failed(grpc_server_new(&w->options, &w->echo.server, NULL)));
    assert_false(failed(grpc_server_listen(w->echo.server, "127.0.0.1:0", NULL, &w->port, NULL)));
    snprintf(w->address, sizeof(w->address), "127.0.0.1:%u", w->port);
    struct grpc_channel_options o = channel_options(w);
    o.connect_timeout_ns = 300 * NS_PER_MS;
    struct errtext why;
    struct grpc_channel *ch = NULL;
    assert_false(failed(grpc_channel_open(&o, &ch, NULL)));
    assert_true(failed(grpc_channel_wait(ch, &why)));
    grpc_channel_free(ch);
}

static void test_certificate_is_replaced_under_load(void **state)
{
    struct world *w = *state;
    struct grpc_reply r;
    struct pki_holder node2;
    pki_issue_plain(&w->ca, IDENTITY_NODE, "n2", &node2);
    struct tls_ctx *next = pki_ctx(true, &w->ca, &node2);
    grpc_server_set_tls(w->echo.server, w->port, next);
    tls_ctx_free(next);
    grpc_client_unary(w->channel, "/test.Echo/Unary", bytes_text("x"), NS_PER_S, &r);
    assert_int_equal(r.status, GRPC_OK); /* the old connection lives on */
    grpc_reply_done(&r);
    grpc_channel_free(w->channel);
    connect_channel(w);
    assert_string_equal(grpc_channel_peer(w->channel)->identity.name, "n2");
    pki_holder_done(&node2);
}

static bool is_named(void *ctx, const struct tls_peer *peer)
{
    return strcmp(peer->identity.name, ctx) == 0;
}

static void test_revoked_client_is_dropped(void **state)
{
    struct world *w = *state;
    char other[] = "c2", name[] = "c1";
    grpc_server_drop(w->echo.server, is_named, other);
    loop_turn(w->loop, 50 * NS_PER_MS);
    assert_true(grpc_channel_is_up(w->channel));
    grpc_server_drop(w->echo.server, is_named, name);
    RUN_UNTIL(w, 2, w->downs == 1);
    assert_int_equal(grpc_server_stats_of(w->echo.server).conns, 0);
}

static void test_limit_of_connections_of_one_identity(void **state)
{
    struct world *w = *state;
    w->options.conns_per_peer_max = 1;
    start_server(w);
    connect_channel(w);
    struct grpc_channel_options o = channel_options(w);
    struct grpc_channel *second = NULL;
    assert_false(failed(grpc_channel_open(&o, &second, NULL)));
    RUN_UNTIL(w, 3, w->downs == 1);
    assert_true(grpc_channel_is_up(w->channel));
    grpc_channel_free(second);
}

static void test_idle_connection_is_ended(void **state)
{
    struct world *w = *state;
    w->options.idle_ns = 300 * NS_PER_MS;
    start_server(w);
    connect_channel(w);
    RUN_UNTIL(w, 5, w->downs == 1);
    assert_non_null(strstr(w->down_reason, "ended"));
    assert_int_equal(grpc_server_stats_of(w->echo.server).conns, 0);
}

static void test_method_twice_is_refused(void **state)
{
    struct world *w = *state;
    struct grpc_method twice[2] = {echo_methods[0], echo_methods[0]};
    w->options.methods = twice;
    w->options.method_count = 2;
    struct errtext why;
    assert_true(err_is(grpc_server_new(&w->options, &w->echo.server, &why), ERR_INVALID));
    w->echo.server = NULL;
}

int main(void)
{
#define ALONE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define T(f) cmocka_unit_test_setup_teardown(f, setup_connected, teardown)
    const struct CMUnitTest tests[] = {
        T(test_unary),
        T(test_sizes_around_the_limit),
        T(test_failures_carry_text_and_trailers),
        T(test_thousand_calls_at_once),
        T(test_deadline),
        T(test_cancel_reaches_the_handler),
        T(test_late_answer_finds_no_call),
        T(test_server_stream),
        T(test_endless_stream_is_cancelled),
        T(test_drain_answers_all_in_flight),
        T(test_drain_cuts_what_does_not_end),
        T(test_lost_server_ends_calls),
        T(test_freed_channel_cancels_calls),
        T(test_certificate_is_replaced_under_load),
        T(test_revoked_client_is_dropped),
        ALONE(test_wrong_identities),
        ALONE(test_closed_port_and_silent_port),
        ALONE(test_limit_of_connections_of_one_identity),
        ALONE(test_idle_connection_is_ended),
        ALONE(test_method_twice_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
