#include "net/peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/name.h"
#include "base/require.h"
#include "crypto/keyfile.h"
#include "net/peer_core.h"

static const char *const alpn[] = {"concordat-peer/1", NULL};

const char *peer_reason_text(enum peer_reason reason)
{
    switch (reason) {
#define REASON_CASE(name, number, text)                                                            \
    case PEER_REASON_##name:                                                                       \
        return text;
        PEER_REASONS(REASON_CASE)
#undef REASON_CASE
    }
    return "unknown";
}

struct peer *peer_find(const struct peer_links *links, uint64_t id)
{
    for (size_t i = 0; i < links->peer_count; i++) {
        if (links->peers[i]->row->id == id) {
            return links->peers[i];
        }
    }
    return NULL;
}

/* ---- dialling again ---- */

/* SplitMix64 (Steele, Lea, Flood 2014): spreading redials needs no more. */
static uint64_t next_random(struct peer_links *links)
{
    links->jitter += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = links->jitter;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static void on_redial(struct loop_timer *timer)
{
    peer_dial(timer->ctx);
}

/* Half of a doubling pause, and a random part of the other half. */
void peer_redial_later(struct peer *peer)
{
    require(peer->out == NULL);
    unsigned doublings = peer->attempts < 8 ? peer->attempts : 8;
    uint64_t pause_ns = PEER_REDIAL_MIN_NS << doublings;
    if (peer->refused || pause_ns > PEER_REDIAL_MAX_NS) {
        pause_ns = PEER_REDIAL_MAX_NS;
    }
    peer->attempts++;
    pause_ns = pause_ns / 2 + next_random(peer->links) % (pause_ns / 2);
    loop_timer_start(peer->links->loop, &peer->redial, pause_ns, 0);
}

void peer_redial_soon(struct peer *peer)
{
    require(peer->out == NULL);
    uint64_t pause_ns = next_random(peer->links) % (PEER_REDIAL_MIN_NS / 10);
    loop_timer_start(peer->links->loop, &peer->redial, pause_ns, 0);
}

/* ---- peers come and go with the table ---- */

static void add_peer(struct peer_links *links, const struct peer_row *row)
{
    require(links->peer_count < NODES_MAX);
    struct peer *peer = mem_new(1, sizeof *peer);
    peer->links = links;
    peer->row = row;
    peer->status.id = row->id;
    loop_timer_init(&peer->redial, on_redial, peer);
    size_t at = links->peer_count;
    while (at > 0 && links->peers[at - 1]->row->id > row->id) {
        links->peers[at] = links->peers[at - 1];
        at--;
    }
    links->peers[at] = peer;
    links->peer_count++;
    peer_redial_soon(peer);
}

static void free_peer(struct peer *peer)
{
    require(peer->out == NULL);
    require(peer->in == NULL);
    loop_timer_stop(peer->links->loop, &peer->redial);
    peer_queue_clear(peer);
    free(peer);
}

static void remove_peer(struct peer_links *links, size_t at)
{
    struct peer *peer = links->peers[at];
    if (peer->out != NULL) {
        link_orphan(peer->out);
    }
    if (peer->in != NULL) {
        link_orphan(peer->in);
    }
    links->peer_count--;
    for (size_t i = at; i < links->peer_count; i++) {
        links->peers[i] = links->peers[i + 1];
    }
    free_peer(peer);
}

/* An open link stays only if its certificate would be admitted today. */
static void judge_again(struct peer *peer, struct link *link)
{
    if (link == NULL || link->state == LINK_OPENING) {
        return; /* judged when it opens */
    }
    const struct tls_peer *certificate = conn_peer(link->conn);
    if (peer_row_judge(peer->row, peer->links->origin, certificate) != PEER_REASON_NONE) {
        link_end_later(link, PEER_REASON_REMOVED);
    }
}

static void use_table(struct peer_links *links, struct peer_table *table)
{
    for (size_t i = links->peer_count; i > 0; i--) {
        struct peer *peer = links->peers[i - 1];
        const struct peer_row *row = peer_table_find(table, peer->row->id);
        if (row == NULL || row->id == links->id) {
            remove_peer(links, i - 1);
            continue;
        }
        bool moved = strcmp(row->address, peer->row->address) != 0;
        peer->row = row;
        judge_again(peer, peer->out);
        judge_again(peer, peer->in);
        if (peer->out == NULL && (moved || peer->refused)) {
            peer->refused = false; /* what was refused before may be right now */
            peer_redial_soon(peer);
        }
    }
    for (size_t i = 0; i < table->count; i++) {
        const struct peer_row *row = &table->rows[i];
        if (row->id != links->id && peer_find(links, row->id) == NULL) {
            add_peer(links, row);
        }
    }
    peer_table_free(links->table);
    links->table = table;
}

/* ---- TLS contexts ---- */

static err build_tls(const struct peer_table *table, struct bytes certificate, struct bytes key,
                     struct tls_ctx *ret[2], struct errtext *reterr)
{
    struct tls_ca cas[NODES_MAX * PEER_CAS_MAX];
    struct tls_options options = {
        .cas = cas,
        .ca_count = peer_table_cas(table, cas),
        .chain = certificate,
        .key = key,
        .alpn = alpn,
        .need = TLS_CERT_REQUIRED,
        .want_identity = false, /* refused after the handshake, with its own reason */
        .forgive_expiry = true,
    };
    ret[0] = ret[1] = NULL;
    if (options.ca_count == 0) {
        return err_ok(); /* an empty table: nobody is admitted */
    }
    options.server = true;
    TRY(tls_ctx_new(&options, &ret[0], reterr));
    options.server = false;
    err e = tls_ctx_new(&options, &ret[1], reterr);
    if (failed(e)) {
        tls_ctx_free(ret[0]);
    }
    return e;
}

static void use_tls(struct peer_links *links, struct tls_ctx *contexts[2])
{
    tls_ctx_free(links->server_tls);
    tls_ctx_free(links->client_tls);
    links->server_tls = contexts[0];
    links->client_tls = contexts[1];
    listener_set_tls(links->listener, links->server_tls);
}

err peer_links_set_nodes(struct peer_links *links, const struct peer_node nodes[], size_t count,
                         struct errtext *reterr)
{
    require(links != NULL);
    struct peer_table *table = NULL;
    struct tls_ctx *contexts[2];
    TRY(peer_table_new(nodes, count, &table, reterr));
    err e =
        build_tls(table, buf_bytes(&links->certificate), buf_bytes(&links->key), contexts, reterr);
    if (failed(e)) {
        peer_table_free(table);
        return err_wrapf(reterr, e, "peer links");
    }
    use_tls(links, contexts);
    use_table(links, table);
    return err_ok();
}

static void keep(struct buf *b, struct bytes content)
{
    keyfile_wipe(b);
    buf_put_bytes(b, content);
}

err peer_links_set_credentials(struct peer_links *links, struct bytes certificate_pem,
                               struct bytes key_pem, struct errtext *reterr)
{
    require(links != NULL);
    if (certificate_pem.size > KEYFILE_BYTES_MAX || key_pem.size > KEYFILE_BYTES_MAX) {
        return err_fail(reterr, ERR_INVALID, "certificate or key file is too large");
    }
    struct tls_ctx *contexts[2];
    TRY(build_tls(links->table, certificate_pem, key_pem, contexts, reterr));
    use_tls(links, contexts);
    keep(&links->certificate, certificate_pem);
    keep(&links->key, key_pem);
    return err_ok();
}

/* ---- life ---- */

static void on_tick(struct loop_timer *timer)
{
    struct peer_links *links = timer->ctx;
    peer_tick(links, loop_now_ns(links->loop));
}

static struct peer_links *make_links(struct loop *loop, const struct peer_config *config,
                                     const struct peer_host *host)
{
    struct peer_links *links = mem_new(1, sizeof *links);
    links->loop = loop;
    links->pool = config->pool;
    links->host = *host;
    links->id = config->id;
    links->jitter = config->jitter_seed;
    links->silence_ns = config->silence_ns == 0 ? PEER_SILENCE_NS : config->silence_ns;
    memcpy(links->ledger_id, config->ledger_id, SHA256_SIZE);
    snprintf(links->origin, sizeof links->origin, "%s", config->origin);
    buf_init(&links->certificate, KEYFILE_BYTES_MAX);
    buf_init(&links->key, KEYFILE_BYTES_MAX);
    keep(&links->certificate, config->certificate_pem);
    keep(&links->key, config->key_pem);
    links->all.next = links->all.prev = &links->all;
    links->delayed.next = links->delayed.prev = &links->delayed;
    links->table = mem_new(1, sizeof *links->table);
    loop_timer_init(&links->tick, on_tick, links);
    return links;
}

err peer_links_new(struct loop *loop, const struct peer_config *config,
                   const struct peer_host *host, struct peer_links **ret, struct errtext *reterr)
{
    require(loop != NULL);
    require(config->id != 0);
    require(host->on_frame != NULL);
    require(host->on_link != NULL);
    if (!name_origin_valid(bytes_text(config->origin))) {
        return err_fail(reterr, ERR_INVALID, "the origin of the ledger is not valid");
    }
    if (config->certificate_pem.size > KEYFILE_BYTES_MAX ||
        config->key_pem.size > KEYFILE_BYTES_MAX) {
        return err_fail(reterr, ERR_INVALID, "certificate or key file is too large");
    }
    struct peer_links *links = make_links(loop, config, host);
    struct listener_options options = {
        .loop = loop,
        .address = config->listen,
        .on_accept = peer_accept,
        .ctx = links,
        .conns_max = PEER_CONNS_MAX,
        .conns_per_address_max = PEER_CONNS_PER_ADDRESS_MAX,
    };
    link_options(links, &options.conn);
    err e = listener_new(&options, &links->listener, reterr);
    if (failed(e)) {
        peer_links_free(links);
        return e;
    }
    links->tick_ns = loop_now_ns(loop);
    loop_timer_start(loop, &links->tick, links->silence_ns / 5, links->silence_ns / 5);
    *ret = links;
    return err_ok();
}

void peer_links_free(struct peer_links *links)
{
    if (links == NULL) {
        return;
    }
    loop_timer_stop(links->loop, &links->tick);
    peer_delayed_clear(links);
    for (size_t i = 0; i < links->peer_count; i++) {
        links->peers[i]->out = NULL;
        links->peers[i]->in = NULL;
        free_peer(links->peers[i]);
    }
    listener_free(links->listener);
    while (links->all.next != &links->all) {
        link_free(links->all.next);
    }
    tls_ctx_free(links->server_tls);
    tls_ctx_free(links->client_tls);
    peer_table_free(links->table);
    keyfile_wipe(&links->key);
    buf_done(&links->certificate);
    free(links);
}

err peer_drop(struct peer_links *links, uint64_t id, enum peer_reason reason)
{
    require(links != NULL);
    require(reason != PEER_REASON_NONE);
    struct peer *peer = peer_find(links, id);
    if (peer == NULL) {
        return (err){ERR_NOT_FOUND};
    }
    if (peer->in == NULL || peer->in->state != LINK_UP || !conn_is_open(peer->in->conn)) {
        return (err){ERR_AGAIN};
    }
    link_end_later(peer->in, reason);
    return err_ok();
}

/* ---- facts ---- */

err peer_status(const struct peer_links *links, uint64_t id, struct peer_status *ret)
{
    require(links != NULL);
    require(ret != NULL);
    const struct peer *peer = peer_find(links, id);
    if (peer == NULL) {
        return (err){ERR_NOT_FOUND};
    }
    *ret = peer->status;
    ret->out_up = peer->out != NULL && peer->out->state == LINK_UP;
    ret->in_up = peer->in != NULL;
    if (peer->in != NULL) {
        ret->received_ns = conn_received_ns(peer->in->conn);
    }
    ret->queued_bytes = peer->queued_bytes;
    ret->queued_bytes += ret->out_up ? conn_out_size(peer->out->conn) : 0;
    return err_ok();
}

size_t peer_ids(const struct peer_links *links, uint64_t ret[])
{
    require(links != NULL);
    require(ret != NULL);
    for (size_t i = 0; i < links->peer_count; i++) {
        ret[i] = links->peers[i]->row->id;
    }
    return links->peer_count;
}

uint64_t peer_refused_count(const struct peer_links *links, enum peer_reason reason)
{
    require(links != NULL);
    require((int)reason < (int)PEER_REASON_COUNT);
    return links->refused[reason];
}

uint16_t peer_port(const struct peer_links *links)
{
    require(links != NULL);
    return listener_port(links->listener);
}
