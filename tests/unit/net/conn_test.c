/* Connections over loopback with real TLS, and the loop and pool under them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/limits.h"
#include "net/conn.h"
#include "net/listener.h"
#include "net/loop.h"
#include "tests/unit/net/pki.h"

/* One end: counts what happens, and checks that bytes come in order (they are i % 251). */
struct end {
    struct conn *conn;
    bool opened, closed, data_before_open, damaged, echo, ignore;
    uint64_t got, to_send, sent;
    char reason[256];
    char peer_name[160];
};

struct world {
    struct loop *loop;
    struct pki_ca ca, foreign;
    struct pki_holder node, client, stranger;
    struct tls_ctx *server, *dialler;
    struct listener *listener;
    struct end accepted[4];
    size_t accepted_count;
    char address[32];
};

static void on_open(struct conn *conn, void *ctx)
{
    struct end *e = ctx;
    e->opened = true;
    const struct tls_peer *p = conn_peer(conn);
    if (p != NULL) {
        snprintf(e->peer_name, sizeof(e->peer_name), "%s/%s", p->identity.institution,
                 p->identity.name);
        assert_true(p->leaf.size > 0);
        assert_int_equal(p->spki.size, CERT_SPKI_SIZE);
    }
}

static void on_data(struct conn *conn, void *ctx, struct bytes data)
{
    struct end *e = ctx;
    e->data_before_open |= !e->opened;
    for (size_t i = 0; i < data.size; i++) {
        e->damaged |= data.data[i] != (e->got + i) % 251;
    }
    e->got += data.size;
    if (e->echo) {
        assert_false(failed(conn_write(conn, data)));
    }
}

static void on_fill(struct conn *conn, void *ctx)
{
    struct end *e = ctx;
    uint8_t block[5000];
    while (e->sent < e->to_send && conn_room(conn) > 0) {
        size_t size = e->to_send - e->sent < sizeof(block) ? e->to_send - e->sent : sizeof(block);
        for (size_t i = 0; i < size; i++) {
            block[i] = (uint8_t)((e->sent + i) % 251);
        }
        assert_false(failed(conn_write(conn, bytes_of(block, size))));
        e->sent += size;
    }
}

static void on_close(struct conn *conn, void *ctx, const char *reason)
{
    struct end *e = ctx;
    e->closed = true;
    e->conn = NULL;
    snprintf(e->reason, sizeof(e->reason), "%s", reason);
}

static const struct conn_events events = {on_open, on_data, on_fill, on_close};

static bool on_accept(void *ctx, struct conn *conn)
{
    struct world *w = ctx;
    if (w->accepted_count >= 4) {
        return false;
    }
    struct end *e = &w->accepted[w->accepted_count++];
    e->conn = conn;
    conn_set_events(conn, &events, e);
    return true;
}

static void start_listener(struct world *w, struct listener_options o)
{
    o.loop = w->loop;
    o.address = "127.0.0.1:0";
    o.tls = w->server;
    o.on_accept = on_accept;
    o.ctx = w;
    o.conn.events = &events;
    struct errtext why;
    assert_false(failed(listener_new(&o, &w->listener, &why)));
    snprintf(w->address, sizeof(w->address), "127.0.0.1:%u", listener_port(w->listener));
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    assert_false(failed(loop_new(&w->loop, NULL)));
    pki_ca_make(&w->ca, "ville");
    pki_ca_make(&w->foreign, "autre");
    pki_issue_plain(&w->ca, IDENTITY_NODE, "n1", &w->node);
    pki_issue_plain(&w->ca, IDENTITY_CLIENT, "c1", &w->client);
    pki_issue_plain(&w->foreign, IDENTITY_CLIENT, "c1", &w->stranger);
    w->server = pki_ctx(true, &w->ca, &w->node);
    w->dialler = pki_ctx(false, &w->ca, &w->client);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    for (size_t i = 0; i < w->accepted_count; i++) {
        conn_free(w->accepted[i].conn);
    }
    listener_free(w->listener);
    tls_ctx_free(w->server);
    tls_ctx_free(w->dialler);
    pki_holder_done(&w->node);
    pki_holder_done(&w->client);
    pki_holder_done(&w->stranger);
    pki_ca_done(&w->ca);
    pki_ca_done(&w->foreign);
    loop_free(w->loop);
    free(w);
    return 0;
}

static struct conn *dial(struct world *w, struct tls_ctx *tls, struct end *e)
{
    struct conn_options o = {.loop = w->loop, .tls = tls, .events = &events, .ctx = e};
    assert_false(failed(conn_dial(&o, w->address, &e->conn, NULL)));
    return e->conn;
}

/* Runs until the fact holds, at most seconds. */
#define RUN_UNTIL(w, seconds, fact)                                                                \
    do {                                                                                           \
        uint64_t end_ns_ = loop_update_now((w)->loop) + (seconds)*NS_PER_S;                        \
        while (!(fact) && loop_update_now((w)->loop) < end_ns_) {                                  \
            loop_turn((w)->loop, 20 * NS_PER_MS);                                                  \
        }                                                                                          \
        assert_true(fact);                                                                         \
    } while (0)

static void test_bytes_cross_both_ways(void **state)
{
    struct world *w = *state;
    start_listener(w, (struct listener_options){0});
    struct end e = {.to_send = 20 << 20};
    dial(w, w->dialler, &e);
    RUN_UNTIL(w, 5, w->accepted_count == 1);
    w->accepted[0].to_send = 10 << 20;
    RUN_UNTIL(w, 20, w->accepted[0].got == 20 << 20 && e.got == 10 << 20);
    assert_false(e.damaged || w->accepted[0].damaged || e.data_before_open);
    assert_string_equal(e.peer_name, "ville/n1");
    assert_string_equal(w->accepted[0].peer_name, "ville/c1");
    assert_int_equal(listener_stats_of(w->listener).handshakes, 0);
    conn_close(e.conn);
    RUN_UNTIL(w, 5, e.closed && w->accepted[0].closed);
    assert_string_equal(e.reason, "");
    assert_string_equal(w->accepted[0].reason, "");
    assert_int_equal(listener_stats_of(w->listener).conns, 0);
}

static void test_last_bytes_arrive_before_the_end(void **state)
{
    struct world *w = *state;
    start_listener(w, (struct listener_options){0});
    struct end e = {0};
    dial(w, w->dialler, &e);
    RUN_UNTIL(w, 5, e.opened && w->accepted[0].opened);
    static uint8_t block[5 << 20];
    for (size_t i = 0; i < sizeof(block); i++) {
        block[i] = (uint8_t)(i % 251);
    }
    assert_false(failed(conn_write(e.conn, bytes_of(block, sizeof(block)))));
    assert_true(err_is(conn_write(e.conn, bytes_of(block, 2 << 20)), ERR_FULL));
    conn_close(e.conn);
    assert_true(err_is(conn_write(e.conn, bytes_of(block, 1)), ERR_INVALID));
    RUN_UNTIL(w, 5, e.closed && w->accepted[0].closed);
    assert_int_equal(w->accepted[0].got, sizeof(block));
    assert_false(w->accepted[0].damaged);
}

static void expect_refused(struct world *w, struct tls_ctx *tls, const char *server_says,
                           const char *client_says)
{
    struct end e = {0};
    size_t at = w->accepted_count;
    dial(w, tls, &e);
    RUN_UNTIL(w, 5, e.closed && w->accepted_count == at + 1 && w->accepted[at].closed);
    assert_false(w->accepted[at].opened);
    assert_non_null(strstr(w->accepted[at].reason, server_says));
    assert_non_null(strstr(e.reason, client_says));
    tls_ctx_free(tls);
}

static void test_bad_certificates_are_refused_with_alert(void **state)
{
    struct world *w = *state;
    start_listener(w, (struct listener_options){0});
    expect_refused(w, pki_ctx(false, &w->ca, NULL), "no certificate", "certificate required");
    expect_refused(w, pki_ctx(false, &w->ca, &w->stranger), "certificate", "unknown ca");
    struct pki_holder expired, borrowed;
    struct pki_want old = {IDENTITY_CLIENT, "ville", "c1", -7200, -3600};
    pki_issue(&w->ca, &old, &expired);
    expect_refused(w, pki_ctx(false, &w->ca, &expired), "expired", "expired");
    struct pki_want other = {IDENTITY_CLIENT, "autre", "c1", -3600, 3600};
    pki_issue(&w->ca, &other, &borrowed);
    expect_refused(w, pki_ctx(false, &w->ca, &borrowed), "may not certify", "bad certificate");
    pki_holder_done(&expired);
    pki_holder_done(&borrowed);
}

static void test_client_refuses_a_foreign_server(void **state)
{
    struct world *w = *state;
    start_listener(w, (struct listener_options){0});
    struct tls_ctx *tls = pki_ctx(false, &w->foreign, &w->client);
    struct end e = {0};
    dial(w, tls, &e);
    RUN_UNTIL(w, 5, e.closed);
    assert_non_null(strstr(e.reason, "refused: certificate"));
    RUN_UNTIL(w, 5, w->accepted[0].closed);
    assert_non_null(strstr(w->accepted[0].reason, "unknown ca"));
    tls_ctx_free(tls);
}

static void test_expiry_is_forgiven_where_policy_says(void **state)
{
    struct world *w = *state;
    struct tls_ca trust = {buf_bytes(&w->ca.pem), "ville"};
    struct pki_holder expired;
    struct pki_want old = {IDENTITY_NODE, "ville", "n2", -7200, -3600};
    pki_issue(&w->ca, &old, &expired);
    struct tls_options o = {.server = true, .cas = &trust, .ca_count = 1};
    o.chain = buf_bytes(&expired.chain);
    o.key = buf_bytes(&expired.key);
    o.want_identity = o.forgive_expiry = true;
    tls_ctx_free(w->server);
    assert_false(failed(tls_ctx_new(&o, &w->server, NULL)));
    o.server = false;
    struct tls_ctx *tls = NULL;
    assert_false(failed(tls_ctx_new(&o, &tls, NULL)));
    start_listener(w, (struct listener_options){0});
    struct end e = {0};
    dial(w, tls, &e);
    RUN_UNTIL(w, 5, e.opened && w->accepted[0].opened);
    assert_true(conn_peer(e.conn)->expiry_forgiven);
    assert_true(conn_peer(w->accepted[0].conn)->expiry_forgiven);
    conn_free(e.conn);
    RUN_UNTIL(w, 5, w->accepted[0].closed);
    tls_ctx_free(tls);
    pki_holder_done(&expired);
}

static void test_bad_contexts_are_named(void **state)
{
    struct world *w = *state;
    struct tls_ctx *ctx = NULL;
    struct errtext why;
    struct tls_ca trust = {buf_bytes(&w->ca.pem), NULL};
    struct tls_options o = {.server = true};
    assert_true(err_is(tls_ctx_new(&o, &ctx, &why), ERR_INVALID));
    assert_non_null(strstr(why.text, "no CA"));
    o.cas = &trust;
    o.ca_count = 1;
    assert_true(err_is(tls_ctx_new(&o, &ctx, &why), ERR_INVALID));
    assert_non_null(strstr(why.text, "own certificate"));
    o.chain = buf_bytes(&w->node.chain);
    o.key = buf_bytes(&w->client.key);
    assert_true(err_is(tls_ctx_new(&o, &ctx, &why), ERR_INVALID));
    assert_non_null(strstr(why.text, "does not fit"));
    o.key = bytes_text("garbage");
    assert_true(err_is(tls_ctx_new(&o, &ctx, &why), ERR_INVALID));
    assert_non_null(strstr(why.text, "own private key"));
    trust.cert = bytes_text("garbage");
    assert_true(err_is(tls_ctx_new(&o, &ctx, &why), ERR_INVALID));
}

static void test_dial_failures_come_as_close(void **state)
{
    struct world *w = *state;
    start_listener(w, (struct listener_options){0});
    listener_free(w->listener); /* the port is closed now */
    w->listener = NULL;
    struct end e = {0};
    dial(w, w->dialler, &e);
    RUN_UNTIL(w, 5, e.closed);
    assert_non_null(strstr(e.reason, "refused"));
    struct conn_options o = {.loop = w->loop, .events = &events, .ctx = &e};
    static const char *const bad[] = {"", "host", "host:", ":1", "h:65536", "h:x", "a:b:1", "h:-1"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_true(err_is(conn_dial(&o, bad[i], &e.conn, NULL), ERR_INVALID));
    }
}

static void test_silent_newcomer_times_out(void **state)
{
    struct world *w = *state;
    struct listener_options o = {0};
    o.conn.handshake_timeout_ns = 100 * NS_PER_MS;
    start_listener(w, o);
    struct end e = {0};
    dial(w, NULL, &e); /* says nothing */
    RUN_UNTIL(w, 5, w->accepted_count == 1 && w->accepted[0].closed);
    assert_non_null(strstr(w->accepted[0].reason, "too long"));
    RUN_UNTIL(w, 5, e.closed);
}

static void test_reader_that_takes_nothing_is_cut(void **state)
{
    struct world *w = *state;
    struct listener_options o = {0};
    o.conn.stall_timeout_ns = 200 * NS_PER_MS;
    start_listener(w, o);
    struct end e = {0};
    dial(w, w->dialler, &e);
    RUN_UNTIL(w, 5, e.opened && w->accepted[0].opened);
    conn_read_pause(e.conn);
    w->accepted[0].to_send = UINT64_C(1) << 30;
    conn_touch(w->accepted[0].conn);
    RUN_UNTIL(w, 5, w->accepted[0].closed);
    assert_non_null(strstr(w->accepted[0].reason, "takes no data"));
    assert_true(w->accepted[0].sent < 32 << 20);
    conn_read_resume(e.conn);
    RUN_UNTIL(w, 5, e.closed);
}

static void test_listener_limits(void **state)
{
    struct world *w = *state;
    struct listener_options o = {.conns_max = 2, .conns_per_address_max = 3};
    start_listener(w, o);
    struct end e[3] = {{0}, {0}, {0}};
    for (size_t i = 0; i < 3; i++) {
        dial(w, w->dialler, &e[i]);
    }
    RUN_UNTIL(w, 5,
              e[0].closed + e[1].closed + e[2].closed == 1 &&
                  e[0].opened + e[1].opened + e[2].opened == 2);
    assert_int_equal(listener_stats_of(w->listener).refused_total, 1);
    for (size_t i = 0; i < 3; i++) {
        conn_free(e[i].conn);
    }
    RUN_UNTIL(w, 5, listener_stats_of(w->listener).conns == 0);
}

static void test_limit_for_one_address(void **state)
{
    struct world *w = *state;
    start_listener(w, (struct listener_options){.conns_per_address_max = 1});
    struct end e[2] = {{0}, {0}};
    dial(w, w->dialler, &e[0]);
    RUN_UNTIL(w, 5, e[0].opened);
    dial(w, w->dialler, &e[1]);
    RUN_UNTIL(w, 5, e[1].closed);
    assert_int_equal(listener_stats_of(w->listener).refused_address, 1);
    conn_free(e[0].conn);
    RUN_UNTIL(w, 5, w->accepted[0].closed);
}

static void test_garbage_is_not_tls(void **state)
{
    struct world *w = *state;
    start_listener(w, (struct listener_options){0});
    struct end e = {.to_send = 5000}; /* plain bytes */
    dial(w, NULL, &e);
    RUN_UNTIL(w, 5, e.closed && w->accepted_count == 1 && w->accepted[0].closed);
    assert_non_null(strstr(w->accepted[0].reason, "TLS"));
    assert_false(w->accepted[0].opened);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_bytes_cross_both_ways),
        T(test_last_bytes_arrive_before_the_end),
        T(test_bad_certificates_are_refused_with_alert),
        T(test_client_refuses_a_foreign_server),
        T(test_expiry_is_forgiven_where_policy_says),
        T(test_bad_contexts_are_named),
        T(test_dial_failures_come_as_close),
        T(test_silent_newcomer_times_out),
        T(test_reader_that_takes_nothing_is_cut),
        T(test_listener_limits),
        T(test_limit_for_one_address),
        T(test_garbage_is_not_tls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
