/* Who is not let in as a peer, and why; and what a stranger on the wire can do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "net/conn.h"
#include "net/frame.h"
#include "peer_world.h"

static struct world w;

static int setup(void **state)
{
    (void)state;
    world_init(&w);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    world_done(&w);
    return 0;
}

/* ---- a node that is not what the table says ---- */

/* Node 2 runs with what it has now, while the others know `row` of it. Nobody is linked, both
 * directions name the reason, and the true node is let in afterwards. */
static void assert_refused(const struct peer_node *row, enum peer_reason accepted_reason,
                           enum peer_reason dialled_reason)
{
    struct peer_node rows[2] = {world_row(&w, 1), *row};
    world_start(&w, 1);
    world_start(&w, 2);
    struct peer_node told[2] = {world_row(&w, 1), world_row(&w, 2)};
    rows[0] = told[0];
    rows[1].address = w.nodes[2].address;
    assert_false(failed(peer_links_set_nodes(w.nodes[1].links, rows, 2, NULL)));
    assert_false(failed(peer_links_set_nodes(w.nodes[2].links, told, 2, NULL)));
    world_until(&w, peer_refused_count(w.nodes[1].links, accepted_reason) > 0);
    world_until(&w, world_status(&w, 1, 2).last_reason == dialled_reason);
    /* Refused by name, the impostor learns it; by a failed handshake, it sees TLS end. */
    world_until(&w, world_status(&w, 2, 1).dial_failures > 0);
    if (accepted_reason != PEER_REASON_TLS) {
        world_until(&w, world_status(&w, 2, 1).last_reason == accepted_reason);
        assert_non_null(strstr(world_status(&w, 2, 1).last_error, "the other side says"));
    }
    for (uint64_t id = 1; id <= 2; id++) {
        assert_int_equal(w.nodes[id].received_count, 0);
        struct bytes part = bytes_text("x");
        assert_true(err_is(peer_send(w.nodes[id].links, 3 - id, 1, &part, 1), ERR_AGAIN));
    }
    assert_int_equal(w.nodes[1].ups[0] + w.nodes[1].ups[1], 0);
    struct peer_status s = world_status(&w, 1, 2);
    assert_false(s.out_up || s.in_up);
    assert_true(s.dial_failures > 0);
    assert_true(s.last_error[0] != '\0');
}

static void a_foreign_ca_is_refused(void **state)
{
    (void)state;
    struct peer_node row = world_row(&w, 2);
    /* An institution that nobody knows certifies itself as energie's node. */
    struct institution foreign = {.name = "energie", .ca_key = cert_key_generate()};
    assert_false(failed(cert_make_ca("energie", foreign.ca_key, 0, 4000000000, &foreign.ca)));
    world_set_credentials(&w, 2, &foreign, "concordat://" WORLD_ORIGIN "/energie/node/n2");
    assert_refused(&row, PEER_REASON_TLS, PEER_REASON_TLS);
    cert_free(foreign.ca);
    cert_key_free(foreign.ca_key);
}

static void the_ca_of_another_institution_is_refused(void **state)
{
    (void)state;
    struct peer_node row = world_row(&w, 2);
    /* ville's CA is known, but it certifies for ville only, even with the right key named. */
    world_set_credentials(&w, 2, &w.institutions[0],
                          "concordat://" WORLD_ORIGIN "/energie/node/n2");
    memcpy(row.keys[0], w.nodes[2].credentials.key_sha256, SHA256_SIZE);
    assert_refused(&row, PEER_REASON_FOREIGN_CA, PEER_REASON_FOREIGN_CA);
}

static void the_right_ca_with_another_key_is_refused(void **state)
{
    (void)state;
    struct peer_node row = world_row(&w, 2);
    world_set_credentials(&w, 2, &w.institutions[1],
                          "concordat://" WORLD_ORIGIN "/energie/node/n2");
    assert_refused(&row, PEER_REASON_WRONG_KEY, PEER_REASON_WRONG_KEY);
}

static void an_unknown_node_is_refused(void **state)
{
    (void)state;
    struct peer_node row = world_row(&w, 2);
    world_set_credentials(&w, 2, &w.institutions[1],
                          "concordat://" WORLD_ORIGIN "/energie/node/n9");
    assert_refused(&row, PEER_REASON_UNKNOWN_NODE, PEER_REASON_WRONG_PEER);
}

static void another_node_of_the_ledger_is_not_this_one(void **state)
{
    (void)state;
    struct peer_node row = world_row(&w, 2);
    world_set_credentials(&w, 2, &w.institutions[0], "concordat://" WORLD_ORIGIN "/ville/node/n1");
    assert_refused(&row, PEER_REASON_WRONG_PEER, PEER_REASON_WRONG_PEER);
}

static void another_institution_is_not_this_one(void **state)
{
    (void)state;
    struct peer_node row = world_row(&w, 2);
    world_set_credentials(&w, 2, &w.institutions[1], "concordat://" WORLD_ORIGIN "/ville/node/n2");
    assert_refused(&row, PEER_REASON_UNKNOWN_NODE, PEER_REASON_WRONG_PEER);
}

/* A client's certificate is for dialling only: as a server it fails TLS's purpose check. */
static void a_client_certificate_is_refused(void **state)
{
    (void)state;
    struct peer_node row = world_row(&w, 2);
    world_set_credentials(&w, 2, &w.institutions[1],
                          "concordat://" WORLD_ORIGIN "/energie/client/n2");
    assert_refused(&row, PEER_REASON_NOT_A_NODE, PEER_REASON_TLS);
}

static void a_node_of_another_origin_is_refused(void **state)
{
    (void)state;
    struct peer_node row = world_row(&w, 2);
    world_set_credentials(&w, 2, &w.institutions[1],
                          "concordat://concordat.example/other/energie/node/n2");
    assert_refused(&row, PEER_REASON_OTHER_ORIGIN, PEER_REASON_OTHER_ORIGIN);
}

static void another_ledger_is_refused(void **state)
{
    (void)state;
    world_start(&w, 1);
    w.ledger_id[0] ^= 1;
    world_start(&w, 2);
    world_set_nodes(&w, 2);
    for (uint64_t id = 1; id <= 2; id++) {
        world_until(&w, peer_refused_count(w.nodes[id].links, PEER_REASON_WRONG_LEDGER) > 0);
        world_until(&w, world_status(&w, id, 3 - id).last_reason == PEER_REASON_WRONG_LEDGER);
        assert_int_equal(w.nodes[id].ups[0] + w.nodes[id].ups[1], 0);
    }
}

/* Certificates must not be able to stop consensus: expired is let in, and reported. */
static void an_expired_node_is_let_in(void **state)
{
    (void)state;
    struct credentials *c = &w.nodes[2].credentials;
    credentials_done(c);
    credentials_init(c, &w.institutions[1], "concordat://" WORLD_ORIGIN "/energie/node/n2", 100);
    world_start_two(&w);
    struct peer_status s = world_status(&w, 1, 2);
    assert_true(s.certificate_forgiven);
    assert_int_equal(s.certificate_not_after_s, 100);
    assert_false(world_status(&w, 2, 1).certificate_forgiven);
}

/* ---- the table changes ---- */

static void a_removed_node_is_cut_off(void **state)
{
    (void)state;
    world_start_two(&w);
    struct peer_node only = world_row(&w, 1);
    assert_false(failed(peer_links_set_nodes(w.nodes[1].links, &only, 1, NULL)));
    struct bytes part = bytes_text("x");
    assert_true(err_is(peer_send(w.nodes[1].links, 2, 1, &part, 1), ERR_NOT_FOUND));
    world_until(&w, w.nodes[2].downs[0] == 1 && w.nodes[2].downs[1] == 1);
    world_until(&w, world_status(&w, 2, 1).last_reason != PEER_REASON_CLOSED);
    assert_int_equal(w.nodes[1].downs[0] + w.nodes[1].downs[1], 0);
    world_set_nodes(&w, 2);
    world_until(&w, world_linked(&w, 1, 2));
}

static void keys_rotate_by_the_table(void **state)
{
    (void)state;
    struct credentials next;
    credentials_init(&next, &w.institutions[1], "concordat://" WORLD_ORIGIN "/energie/node/n2",
                     4000000000);
    world_start_two(&w);
    struct peer_node rows[2] = {world_row(&w, 1), world_row(&w, 2)};
    /* Next key announced: nothing changes. */
    memcpy(rows[1].keys[1], next.key_sha256, SHA256_SIZE);
    rows[1].key_count = 2;
    assert_false(failed(peer_links_set_nodes(w.nodes[1].links, rows, 2, NULL)));
    world_run(&w, 50 * NS_PER_MS);
    assert_true(world_linked(&w, 1, 2));
    assert_int_equal(w.nodes[1].downs[0] + w.nodes[1].downs[1], 0);
    /* The node takes its next key; open links stay. */
    struct errtext why = {""};
    assert_true(
        err_is(peer_links_set_credentials(w.nodes[2].links, buf_bytes(&next.certificate_pem),
                                          buf_bytes(&w.nodes[2].credentials.key_pem), &why),
               ERR_INVALID));
    assert_true(why.text[0] != '\0');
    assert_false(failed(peer_links_set_credentials(
        w.nodes[2].links, buf_bytes(&next.certificate_pem), buf_bytes(&next.key_pem), &why)));
    assert_true(world_linked(&w, 1, 2));
    /* The old key is withdrawn: links by it are cut, links by the new one come. */
    memcpy(rows[1].keys[0], next.key_sha256, SHA256_SIZE);
    rows[1].key_count = 1;
    assert_false(failed(peer_links_set_nodes(w.nodes[1].links, rows, 2, NULL)));
    assert_int_equal(w.nodes[1].downs[0] + w.nodes[1].downs[1], 0); /* not inside the call */
    world_until(&w, w.nodes[1].downs[0] == 1 && w.nodes[1].downs[1] == 1);
    assert_int_equal(w.nodes[1].down_reason, PEER_REASON_REMOVED);
    world_until(&w, world_linked(&w, 1, 2));
    credentials_done(&next);
}

static void bad_tables_change_nothing(void **state)
{
    (void)state;
    world_start_two(&w);
    struct peer_node good[2] = {world_row(&w, 1), world_row(&w, 2)};
    struct peer_node bad[9][2];
    for (size_t i = 0; i < 9; i++) {
        memcpy(bad[i], good, sizeof good);
    }
    bad[0][1].id = 0;
    bad[1][1].id = 1;
    bad[2][1].institution = "Energie";
    bad[3][1].name = "";
    bad[4][1].address = "nowhere";
    bad[5][1].key_count = 0;
    bad[6][1].ca_count = 0;
    bad[7][1].cas[0] = bytes_text("not a certificate");
    bad[8][1].key_count = PEER_KEYS_MAX + 1;
    for (size_t i = 0; i < 9; i++) {
        struct errtext why = {""};
        assert_true(err_is(peer_links_set_nodes(w.nodes[1].links, bad[i], 2, &why), ERR_INVALID));
        assert_true(why.text[0] != '\0');
    }
    struct peer_node many[NODES_MAX + 1];
    for (size_t i = 0; i <= NODES_MAX; i++) {
        many[i] = good[1];
        many[i].id = i + 1;
    }
    assert_true(
        err_is(peer_links_set_nodes(w.nodes[1].links, many, NODES_MAX + 1, NULL), ERR_LIMIT));
    world_run(&w, 50 * NS_PER_MS);
    assert_true(world_linked(&w, 1, 2));
    assert_int_equal(w.nodes[1].downs[0] + w.nodes[1].downs[1], 0);
}

static void without_a_table_nobody_is_heard(void **state)
{
    (void)state;
    world_start(&w, 1);
    world_start(&w, 2);
    struct peer_node rows[2] = {world_row(&w, 1), world_row(&w, 2)};
    assert_false(failed(peer_links_set_nodes(w.nodes[2].links, rows, 2, NULL)));
    world_until(&w, world_status(&w, 2, 1).dial_failures >= 2);
    assert_int_equal(w.nodes[2].ups[0], 0);
    assert_false(failed(peer_links_set_nodes(w.nodes[1].links, rows, 2, NULL)));
    world_until(&w, world_linked(&w, 1, 2));
}

static void a_node_must_be_configured_well(void **state)
{
    (void)state;
    world_start(&w, 1);
    struct node *n = &w.nodes[2];
    struct peer_host host = {n, NULL, NULL, NULL};
    struct peer_links *links = NULL;
    struct errtext why = {""};
    host.on_frame = (void (*)(void *, uint64_t, uint8_t, struct bytes))(uintptr_t)1;
    host.on_link = (void (*)(void *, uint64_t, enum peer_direction, enum peer_link_state,
                             enum peer_reason))(uintptr_t)1;
    struct peer_config config = {.id = 2, .origin = "Bad Origin", .listen = "127.0.0.1:0"};
    assert_true(err_is(peer_links_new(w.loop, &config, &host, &links, &why), ERR_INVALID));
    config.origin = WORLD_ORIGIN;
    config.listen = "127.0.0.1";
    assert_true(err_is(peer_links_new(w.loop, &config, &host, &links, &why), ERR_INVALID));
    config.listen = w.nodes[1].address;
    assert_true(err_is(peer_links_new(w.loop, &config, &host, &links, &why), ERR_IO));
    peer_links_free(NULL);
}

/* ---- a peer with node 2's true credentials that speaks by hand ---- */

struct raw {
    struct tls_ctx *tls;
    struct conn *conn;
    bool open, closed;
    struct buf received;
};

static void raw_on_open(struct conn *conn, void *ctx)
{
    (void)conn;
    ((struct raw *)ctx)->open = true;
}

static void raw_on_data(struct conn *conn, void *ctx, struct bytes data)
{
    (void)conn;
    buf_put_bytes(&((struct raw *)ctx)->received, data);
}

static void raw_on_close(struct conn *conn, void *ctx, const char *reason)
{
    (void)conn;
    (void)reason;
    struct raw *r = ctx;
    r->closed = true;
    r->conn = NULL;
}

static const struct conn_events raw_events = {raw_on_open, raw_on_data, NULL, raw_on_close};

static void raw_dial(struct raw *r, uint64_t as)
{
    static const char *const alpn[] = {"concordat-peer/1", NULL};
    const struct tls_ca ca = {buf_bytes(&w.institutions[0].ca_der), NULL};
    struct tls_options options = {
        .cas = &ca,
        .ca_count = 1,
        .chain = buf_bytes(&w.nodes[as].credentials.certificate_pem),
        .key = buf_bytes(&w.nodes[as].credentials.key_pem),
        .alpn = alpn,
        .need = TLS_CERT_REQUIRED,
    };
    memset(r, 0, sizeof *r);
    buf_init(&r->received, 4096);
    struct errtext why = {""};
    if (failed(tls_ctx_new(&options, &r->tls, &why))) {
        fail_msg("%s", why.text);
    }
    struct conn_options conn = {.loop = w.loop, .tls = r->tls, .events = &raw_events, .ctx = r};
    assert_false(failed(conn_dial(&conn, w.nodes[1].address, &r->conn, &why)));
    world_until(&w, r->open);
}

static void raw_done(struct raw *r)
{
    conn_free(r->conn);
    tls_ctx_free(r->tls);
    buf_done(&r->received);
}

static void raw_write(struct raw *r, const struct buf *b)
{
    assert_false(failed(conn_write(r->conn, buf_bytes(b))));
}

static void raw_hello(struct raw *r, uint16_t version, uint64_t from, uint64_t to)
{
    struct buf b;
    struct frame_hello hello = {.version = version, .from = from, .to = to};
    memcpy(hello.ledger_id, w.ledger_id, SHA256_SIZE);
    buf_init(&b, 4096);
    frame_put_hello(&b, &hello);
    raw_write(r, &b);
    buf_done(&b);
}

/* Node 1 runs and knows node 2, which is played by hand. */
static void start_one(void)
{
    world_start(&w, 1);
    strcpy(w.nodes[2].address, "127.0.0.1:1"); /* nobody listens there */
    world_set_nodes(&w, 2);
}

static void raw_expect_refusal(struct raw *r, enum peer_reason reason)
{
    world_until(&w, r->closed);
    assert_true(r->received.size > FRAME_HEADER_SIZE);
    assert_int_equal(r->received.data[4], FRAME_TYPE_REFUSAL);
    assert_int_equal(r->received.data[5], reason);
    assert_int_equal(peer_refused_count(w.nodes[1].links, reason), 1);
    assert_int_equal(w.nodes[1].ups[PEER_DIRECTION_IN], 0);
    raw_done(r);
}

static void hellos_must_be_true(void **state)
{
    (void)state;
    static const struct {
        uint16_t version;
        uint64_t from, to;
        enum peer_reason reason;
    } cases[] = {
        {FRAME_VERSION + 1, 2, 1, PEER_REASON_WRONG_VERSION},
        {FRAME_VERSION, 9, 1, PEER_REASON_UNKNOWN_NODE},
        {FRAME_VERSION, 2, 3, PEER_REASON_WRONG_PEER},
    };
    start_one();
    struct raw r;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        raw_dial(&r, 2);
        raw_hello(&r, cases[i].version, cases[i].from, cases[i].to);
        raw_expect_refusal(&r, cases[i].reason);
    }
}

/* The certificate says who speaks, not the hello: node 4 does not pass for node 2. */
static void a_hello_does_not_change_who_one_is(void **state)
{
    (void)state;
    world_start(&w, 1);
    strcpy(w.nodes[2].address, "127.0.0.1:1");
    strcpy(w.nodes[3].address, "127.0.0.1:1");
    strcpy(w.nodes[4].address, "127.0.0.1:1");
    world_set_nodes(&w, 4);
    struct raw r;
    raw_dial(&r, 4);
    raw_hello(&r, FRAME_VERSION, 2, 1);
    raw_expect_refusal(&r, PEER_REASON_WRONG_PEER);
}

static void the_first_frame_must_be_a_hello(void **state)
{
    (void)state;
    start_one();
    struct raw r;
    struct buf b;
    buf_init(&b, 4096);
    raw_dial(&r, 2);
    frame_put(&b, 1, NULL, 0);
    raw_write(&r, &b);
    raw_expect_refusal(&r, PEER_REASON_BAD_FRAME);
    raw_dial(&r, 2);
    buf_clear(&b);
    buf_put_u32(&b, FRAME_HELLO_SIZE + 1); /* before the hello frames are small */
    buf_put_u8(&b, FRAME_TYPE_HELLO);
    raw_write(&r, &b);
    raw_expect_refusal(&r, PEER_REASON_OVERSIZED);
    buf_done(&b);
}

static void raw_link(struct raw *r)
{
    unsigned ups = w.nodes[1].ups[PEER_DIRECTION_IN];
    raw_dial(r, 2);
    raw_hello(r, FRAME_VERSION, 2, 1);
    world_until(&w, w.nodes[1].ups[PEER_DIRECTION_IN] == ups + 1);
    world_until(&w, r->received.size == FRAME_HEADER_SIZE + 2);
    assert_int_equal(r->received.data[4], FRAME_TYPE_WELCOME);
}

static void expect_down(struct raw *r, enum peer_reason reason)
{
    world_until(&w, w.nodes[1].downs[PEER_DIRECTION_IN] == 1);
    assert_int_equal(w.nodes[1].down_reason, reason);
    world_until(&w, r->closed);
    raw_done(r);
}

static void an_oversized_frame_ends_the_link(void **state)
{
    (void)state;
    struct raw r;
    struct buf b;
    buf_init(&b, 4096);
    start_one();
    raw_link(&r);
    frame_put(&b, 1, NULL, 0);
    buf_put_u32(&b, PEER_FRAME_BYTES_MAX + 1);
    buf_put_u8(&b, 1);
    raw_write(&r, &b);
    expect_down(&r, PEER_REASON_OVERSIZED);
    assert_int_equal(w.nodes[1].received_count, 1);
    buf_done(&b);
}

static void a_second_hello_ends_the_link(void **state)
{
    (void)state;
    struct raw r;
    start_one();
    raw_link(&r);
    raw_hello(&r, FRAME_VERSION, 2, 1);
    expect_down(&r, PEER_REASON_BAD_FRAME);
}

static void a_silent_peer_is_given_up(void **state)
{
    (void)state;
    struct raw r;
    w.silence_ns = 200 * NS_PER_MS;
    start_one();
    raw_link(&r);
    expect_down(&r, PEER_REASON_TIMEOUT);
}

static void a_peer_must_say_hello(void **state)
{
    (void)state;
    struct raw r;
    w.silence_ns = 200 * NS_PER_MS;
    start_one();
    raw_dial(&r, 2);
    world_until(&w, r.closed);
    assert_int_equal(peer_refused_count(w.nodes[1].links, PEER_REASON_TIMEOUT), 1);
    raw_done(&r);
}

/* Half a frame of the old connection is dropped with it. */
static void a_newer_connection_replaces_the_older(void **state)
{
    (void)state;
    struct raw old, new;
    struct buf b;
    buf_init(&b, 4096);
    start_one();
    raw_link(&old);
    buf_put_u32(&b, 100);
    buf_put_u8(&b, 1);
    buf_put_text(&b, "half");
    raw_write(&old, &b);
    world_run(&w, 20 * NS_PER_MS);
    raw_link(&new);
    world_until(&w, old.closed);
    assert_int_equal(w.nodes[1].downs[PEER_DIRECTION_IN], 1);
    assert_int_equal(w.nodes[1].down_reason, PEER_REASON_REPLACED);
    buf_clear(&b);
    const struct bytes part = bytes_text("whole");
    frame_put(&b, 5, &part, 1);
    raw_write(&new, &b);
    world_until(&w, w.nodes[1].received_count == 1);
    assert_int_equal(w.nodes[1].received[0].size, 5);
    assert_false(new.closed);
    raw_done(&old);
    raw_done(&new);
    buf_done(&b);
}

static void strangers_get_nowhere(void **state)
{
    (void)state;
    start_one();
    struct raw r = {0};
    struct errtext why;
    struct buf b;
    buf_init(&b, 4096);
    buf_init(&r.received, 4096);
    struct conn_options plain = {.loop = w.loop, .events = &raw_events, .ctx = &r};
    assert_false(failed(conn_dial(&plain, w.nodes[1].address, &r.conn, &why)));
    world_until(&w, r.open);
    buf_put_text(&b, "GET / HTTP/1.1\r\nhost: node\r\n\r\n");
    raw_write(&r, &b);
    world_until(&w, r.closed);
    assert_int_equal(peer_refused_count(w.nodes[1].links, PEER_REASON_TLS), 1);
    raw_done(&r);
    buf_done(&b);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_foreign_ca_is_refused),
        TEST(the_ca_of_another_institution_is_refused),
        TEST(the_right_ca_with_another_key_is_refused),
        TEST(an_unknown_node_is_refused),
        TEST(another_node_of_the_ledger_is_not_this_one),
        TEST(another_institution_is_not_this_one),
        TEST(a_client_certificate_is_refused),
        TEST(a_node_of_another_origin_is_refused),
        TEST(another_ledger_is_refused),
        TEST(an_expired_node_is_let_in),
        TEST(a_removed_node_is_cut_off),
        TEST(keys_rotate_by_the_table),
        TEST(bad_tables_change_nothing),
        TEST(without_a_table_nobody_is_heard),
        TEST(a_node_must_be_configured_well),
        TEST(hellos_must_be_true),
        TEST(a_hello_does_not_change_who_one_is),
        TEST(the_first_frame_must_be_a_hello),
        TEST(an_oversized_frame_ends_the_link),
        TEST(a_second_hello_ends_the_link),
        TEST(a_silent_peer_is_given_up),
        TEST(a_peer_must_say_hello),
        TEST(a_newer_connection_replaces_the_older),
        TEST(strangers_get_nowhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
