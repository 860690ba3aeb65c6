#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "crypto/keyfile.h"
#include "peer_world.h"

uint64_t world_now_ns(void)
{
    struct clock clock = clock_system();
    return clock_monotonic_ns(&clock);
}

static void institution_init(struct institution *i, const char *name)
{
    i->name = name;
    i->ca_key = cert_key_generate();
    assert_false(failed(cert_make_ca(name, i->ca_key, 0, 4000000000, &i->ca)));
    buf_init(&i->ca_der, CERT_BYTES_MAX);
    cert_der(i->ca, &i->ca_der);
}

void credentials_init(struct credentials *c, const struct institution *by, const char *uri,
                      int64_t not_after_s)
{
    struct identity id;
    struct cert *cert = NULL;
    struct errtext why = {""};
    uint8_t spki[CERT_SPKI_SIZE];
    assert_false(failed(identity_parse(bytes_text(uri), &id, NULL)));
    c->key = cert_key_generate();
    struct cert_spec spec = {.identity = &id, .not_before_s = 0, .not_after_s = not_after_s};
    struct cert_issuer issuer = {by->ca, by->ca_key};
    if (failed(cert_issue(&spec, issuer, c->key, &cert, &why))) {
        fail_msg("%s", why.text);
    }
    buf_init(&c->certificate_pem, KEYFILE_BYTES_MAX);
    buf_init(&c->key_pem, KEYFILE_BYTES_MAX);
    cert_pem(cert, &c->certificate_pem);
    cert_key_pem(c->key, &c->key_pem);
    cert_key_spki(c->key, spki);
    sha256(spki, sizeof spki, c->key_sha256);
    cert_free(cert);
}

void credentials_done(struct credentials *c)
{
    buf_done(&c->certificate_pem);
    keyfile_wipe(&c->key_pem);
    cert_key_free(c->key);
}

const struct institution *world_institution_of(const struct world *w, uint64_t id)
{
    return &w->institutions[(id - 1) % 3];
}

void world_init(struct world *w)
{
    memset(w, 0, sizeof *w);
    struct errtext why = {""};
    assert_false(failed(loop_new(&w->loop, &why)));
    memset(w->ledger_id, 7, sizeof w->ledger_id);
    institution_init(&w->institutions[0], "ville");
    institution_init(&w->institutions[1], "energie");
    institution_init(&w->institutions[2], "social");
    for (uint64_t id = 1; id <= WORLD_NODES; id++) {
        struct node *n = &w->nodes[id];
        char uri[IDENTITY_URI_SIZE];
        n->world = w;
        n->id = id;
        snprintf(n->address, sizeof n->address, "127.0.0.1:0");
        snprintf(uri, sizeof uri, "concordat://" WORLD_ORIGIN "/%s/node/n%u",
                 world_institution_of(w, id)->name, (unsigned)id);
        credentials_init(&n->credentials, world_institution_of(w, id), uri, 4000000000);
    }
}

void world_done(struct world *w)
{
    for (uint64_t id = 1; id <= WORLD_NODES; id++) {
        world_stop(w, id);
        credentials_done(&w->nodes[id].credentials);
    }
    for (size_t i = 0; i < 3; i++) {
        cert_free(w->institutions[i].ca);
        cert_key_free(w->institutions[i].ca_key);
        buf_done(&w->institutions[i].ca_der);
    }
    loop_free(w->loop);
}

void world_set_credentials(struct world *w, uint64_t id, const struct institution *by,
                           const char *uri)
{
    credentials_done(&w->nodes[id].credentials);
    credentials_init(&w->nodes[id].credentials, by, uri, 4000000000);
}

static void on_frame(void *ctx, uint64_t from, uint8_t type, struct bytes bytes)
{
    struct node *n = ctx;
    assert_non_null(n->links);
    if (n->received_count < WORLD_RECEIVED_MAX) {
        struct received *r = &n->received[n->received_count];
        *r = (struct received){.from = from, .type = type, .size = bytes.size};
        sha256(bytes.data, bytes.size, r->digest);
    }
    n->received_count++;
    if (n->on_event != NULL) {
        n->on_event(n, true);
    }
}

static void on_link(void *ctx, uint64_t id, enum peer_direction direction,
                    enum peer_link_state state, enum peer_reason reason)
{
    struct node *n = ctx;
    assert_int_not_equal(id, n->id);
    if (state == PEER_LINK_UP) {
        n->ups[direction]++;
        assert_int_equal(reason, PEER_REASON_NONE);
    } else {
        n->downs[direction]++;
        n->down_reason = reason;
        assert_int_not_equal(reason, PEER_REASON_NONE);
    }
    assert_true(n->downs[direction] <= n->ups[direction]);
    if (n->on_event != NULL) {
        n->on_event(n, false);
    }
}

static enum peer_fault on_fault(void *ctx, uint64_t to, uint8_t type, uint64_t *ret_delay_ns)
{
    struct node *n = ctx;
    *ret_delay_ns = n->fault_delay_ns;
    return n->fault;
}

void world_start(struct world *w, uint64_t id)
{
    struct node *n = &w->nodes[id];
    assert_null(n->links);
    struct peer_config config = {
        .id = id,
        .origin = WORLD_ORIGIN,
        .listen = n->address,
        .certificate_pem = buf_bytes(&n->credentials.certificate_pem),
        .key_pem = buf_bytes(&n->credentials.key_pem),
        .jitter_seed = id,
        .silence_ns = w->silence_ns,
    };
    memcpy(config.ledger_id, w->ledger_id, sizeof config.ledger_id);
    struct peer_host host = {n, on_frame, on_link, on_fault};
    struct errtext why = {""};
    if (failed(peer_links_new(w->loop, &config, &host, &n->links, &why))) {
        fail_msg("%s", why.text);
    }
    snprintf(n->address, sizeof n->address, "127.0.0.1:%u", (unsigned)peer_port(n->links));
}

void world_stop(struct world *w, uint64_t id)
{
    peer_links_free(w->nodes[id].links);
    w->nodes[id].links = NULL;
}

struct peer_node world_row(const struct world *w, uint64_t id)
{
    static const char *const names[] = {"", "n1", "n2", "n3", "n4"};
    const struct institution *i = world_institution_of(w, id);
    struct peer_node row = {
        .id = id,
        .institution = i->name,
        .name = names[id],
        .address = w->nodes[id].address,
        .key_count = 1,
        .cas = {buf_bytes(&i->ca_der)},
        .ca_count = 1,
    };
    memcpy(row.keys[0], w->nodes[id].credentials.key_sha256, SHA256_SIZE);
    return row;
}

void world_set_nodes(struct world *w, size_t count)
{
    struct peer_node rows[WORLD_NODES];
    for (size_t i = 0; i < count; i++) {
        rows[i] = world_row(w, i + 1);
    }
    for (uint64_t id = 1; id <= WORLD_NODES; id++) {
        struct errtext why = {""};
        if (w->nodes[id].links != NULL &&
            failed(peer_links_set_nodes(w->nodes[id].links, rows, count, &why))) {
            fail_msg("%s", why.text);
        }
    }
}

void world_run(struct world *w, uint64_t duration_ns)
{
    uint64_t end_ns = world_now_ns() + duration_ns;
    while (world_now_ns() < end_ns) {
        loop_turn(w->loop, 5 * NS_PER_MS);
    }
}

struct peer_status world_status(const struct world *w, uint64_t at, uint64_t of)
{
    struct peer_status s;
    assert_false(failed(peer_status(w->nodes[at].links, of, &s)));
    return s;
}

bool world_linked(const struct world *w, uint64_t a, uint64_t b)
{
    struct peer_status s = world_status(w, a, b), t = world_status(w, b, a);
    return s.out_up && s.in_up && t.out_up && t.in_up;
}

void world_start_two(struct world *w)
{
    world_start(w, 1);
    world_start(w, 2);
    world_set_nodes(w, 2);
    world_until(w, world_linked(w, 1, 2));
}
