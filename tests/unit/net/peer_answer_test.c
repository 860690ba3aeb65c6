/* What the dialling side makes of answers: node 2 is played by hand with its true credentials. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "net/conn.h"
#include "net/frame.h"
#include "net/listener.h"
#include "peer_world.h"

static struct world w;
static struct listener *listener;
static struct tls_ctx *tls;
static struct bytes answer; /* to the first bytes of each connection */
static struct conn *conns[64];
static size_t conn_count;
static bool pause_reading;
static uint64_t received_bytes;

static void on_open(struct conn *conn, void *ctx)
{
    (void)conn;
    (void)ctx;
}

static void on_data(struct conn *conn, void *ctx, struct bytes data)
{
    (void)ctx;
    if (received_bytes == 0 && answer.size > 0) {
        assert_false(failed(conn_write(conn, answer)));
    }
    received_bytes += data.size;
    if (pause_reading) {
        conn_read_pause(conn);
    }
}

static void on_close(struct conn *conn, void *ctx, const char *reason)
{
    (void)ctx;
    (void)reason;
    for (size_t i = 0; i < conn_count; i++) {
        conns[i] = conns[i] == conn ? NULL : conns[i];
    }
}

static const struct conn_events events = {on_open, on_data, NULL, on_close};

static bool on_accept(void *ctx, struct conn *conn)
{
    (void)ctx;
    assert_true(conn_count < 64);
    conns[conn_count] = conn;
    conn_count++;
    received_bytes = 0;
    return true;
}

static int setup(void **state)
{
    (void)state;
    static const char *const alpn[] = {"concordat-peer/1", NULL};
    world_init(&w);
    w.silence_ns = 250 * NS_PER_MS;
    conn_count = 0;
    pause_reading = false;
    const struct tls_ca ca = {buf_bytes(&w.institutions[0].ca_der), NULL};
    struct tls_options options = {
        .server = true,
        .cas = &ca,
        .ca_count = 1,
        .chain = buf_bytes(&w.nodes[2].credentials.certificate_pem),
        .key = buf_bytes(&w.nodes[2].credentials.key_pem),
        .alpn = alpn,
        .need = TLS_CERT_REQUIRED,
    };
    assert_false(failed(tls_ctx_new(&options, &tls, NULL)));
    struct listener_options listen = {
        .loop = w.loop,
        .address = "127.0.0.1:0",
        .tls = tls,
        .on_accept = on_accept,
        .conn = {.events = &events},
    };
    assert_false(failed(listener_new(&listen, &listener, NULL)));
    snprintf(w.nodes[2].address, sizeof w.nodes[2].address, "127.0.0.1:%u",
             (unsigned)listener_port(listener));
    world_start(&w, 1);
    world_set_nodes(&w, 2);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    world_stop(&w, 1);
    for (size_t i = 0; i < conn_count; i++) {
        conn_free(conns[i]);
    }
    listener_free(listener);
    tls_ctx_free(tls);
    world_done(&w);
    return 0;
}

static void answer_with(const char *octets, size_t size)
{
    answer = bytes_of(octets, size);
}

#define ANSWER(text) answer_with(text, sizeof(text) - 1)

static void expect(enum peer_reason reason)
{
    world_until(&w, world_status(&w, 1, 2).last_reason == reason);
    assert_int_equal(w.nodes[1].ups[PEER_DIRECTION_OUT], 0);
    assert_true(world_status(&w, 1, 2).dial_failures > 0);
}

static void another_version_is_not_spoken(void **state)
{
    (void)state;
    ANSWER("\0\0\0\2\xf1\0\2");
    expect(PEER_REASON_WRONG_VERSION);
}

static void a_welcome_must_be_whole(void **state)
{
    (void)state;
    ANSWER("\0\0\0\1\xf1\1");
    expect(PEER_REASON_BAD_FRAME);
}

static void an_answer_is_small(void **state)
{
    (void)state;
    ANSWER("\0\0\1\0\xf1\1");
    expect(PEER_REASON_OVERSIZED);
}

static void a_refusal_must_have_a_known_reason(void **state)
{
    (void)state;
    ANSWER("\0\0\0\1\xf2\0");
    expect(PEER_REASON_BAD_FRAME);
    uint64_t before = world_status(&w, 1, 2).dial_failures;
    ANSWER("\0\0\0\2\xf2\xcc!");
    world_until(&w, world_status(&w, 1, 2).dial_failures >= before + 2);
    expect(PEER_REASON_BAD_FRAME);
}

static void a_refusal_is_told_to_people(void **state)
{
    (void)state;
    ANSWER("\0\0\0\7\xf2\x09secre\x1b");
    expect(PEER_REASON_WRONG_KEY);
    assert_string_equal(world_status(&w, 1, 2).last_error,
                        "public key is not the node's: the other side says: secre?");
}

static void the_accepting_side_sends_no_frames(void **state)
{
    (void)state;
    ANSWER("\0\0\0\0\1");
    expect(PEER_REASON_BAD_FRAME);
    assert_int_equal(w.nodes[1].received_count, 0);
}

static void an_answer_must_come(void **state)
{
    (void)state;
    ANSWER("");
    expect(PEER_REASON_TIMEOUT);
}

static void frames_after_the_welcome_end_the_link(void **state)
{
    (void)state;
    ANSWER("\0\0\0\2\xf1\0\1\0\0\0\1\1x");
    world_until(&w, w.nodes[1].downs[PEER_DIRECTION_OUT] > 0);
    assert_int_equal(w.nodes[1].down_reason, PEER_REASON_BAD_FRAME);
    assert_int_equal(w.nodes[1].received_count, 0);
}

/* It welcomes, and then its machine takes nothing more: the link ends, the queue with it. */
static void a_peer_that_takes_no_data_is_given_up(void **state)
{
    (void)state;
    enum { SIZE = 1 << 20 };
    pause_reading = true;
    ANSWER("\0\0\0\2\xf1\0\1");
    world_until(&w, w.nodes[1].ups[PEER_DIRECTION_OUT] == 1);
    uint8_t *data = mem_new(1, SIZE);
    struct bytes part = {data, SIZE};
    for (size_t i = 0; i < 15; i++) {
        assert_false(failed(peer_send(w.nodes[1].links, 2, 1, &part, 1)));
    }
    world_until(&w, w.nodes[1].downs[PEER_DIRECTION_OUT] == 1);
    struct peer_status s = world_status(&w, 1, 2);
    assert_non_null(strstr(s.last_error, "takes no data"));
    assert_int_equal(s.queued_bytes, 0);
    assert_true(s.dropped_frames > 0);
    free(data);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(another_version_is_not_spoken),
        TEST(a_welcome_must_be_whole),
        TEST(an_answer_is_small),
        TEST(a_refusal_must_have_a_known_reason),
        TEST(a_refusal_is_told_to_people),
        TEST(the_accepting_side_sends_no_frames),
        TEST(an_answer_must_come),
        TEST(frames_after_the_welcome_end_the_link),
        TEST(a_peer_that_takes_no_data_is_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
