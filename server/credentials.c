#include "server/credentials.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/require.h"
#include "crypto/cert.h"
#include "crypto/keyfile.h"
#include "crypto/random.h"
#include "ledger/tree.h"
#include "net/tls.h"
#include "server/parts.h"

/* Certificate and key as read from their files. */
struct pair {
    struct buf certificate, key;
    struct cert_facts facts;
};

static void pair_done(struct pair *p)
{
    buf_done(&p->certificate);
    keyfile_wipe(&p->key);
}

/* The certificate must name this node, and its key be one of the node's keys in the ledger. */
static err check_pair(const struct node *n, const struct pair *p, struct errtext *reterr)
{
    const struct identity *id = &p->facts.identity;
    const struct ledger_node *row = node_row(n, n->id);
    uint8_t current[SHA256_SIZE];
    uint8_t next[SHA256_SIZE];
    require(row != NULL);
    bool named = p->facts.has_identity && id->kind == IDENTITY_NODE &&
                 strcmp(id->institution, n->config.institution) == 0 &&
                 strcmp(id->name, n->config.node) == 0 &&
                 bytes_equal(bytes_text(id->origin), ledger_origin(n->ledger));
    if (!named) {
        return err_fail(reterr, ERR_INVALID, "%s does not name node %s of %s",
                        n->config.certificate, n->config.node, n->config.institution);
    }
    sha256(row->transport_key.data, row->transport_key.size, current);
    sha256(row->transport_key_next.data, row->transport_key_next.size, next);
    bool known =
        memcmp(p->facts.spki_sha256, current, SHA256_SIZE) == 0 ||
        (row->transport_key_next.size > 0 && memcmp(p->facts.spki_sha256, next, SHA256_SIZE) == 0);
    if (!known) {
        return err_fail(reterr, ERR_INVALID,
                        "the public key of %s is not this node's in the ledger",
                        n->config.certificate);
    }
    return err_ok();
}

static err read_pair(const struct node *n, struct pair *p, struct errtext *reterr)
{
    struct cert *cert = NULL;
    buf_init(&p->certificate, 64 << 10);
    buf_init(&p->key, 64 << 10);
    err e = keyfile_read_public(n->config.certificate, &p->certificate, reterr);
    if (!failed(e)) {
        e = keyfile_read_secret(n->config.private_key, &p->key, reterr);
    }
    if (!failed(e)) {
        e = cert_from_pem(buf_bytes(&p->certificate), &cert, reterr);
    }
    if (!failed(e)) {
        cert_read_facts(cert, &p->facts, NULL);
        e = check_pair(n, p, reterr);
    }
    cert_free(cert);
    if (failed(e)) {
        pair_done(p);
    }
    return e;
}

static const struct ledger_institution *institution_of(const struct node *n, struct bytes name)
{
    size_t count = 0;
    const struct ledger_institution *all = ledger_institutions(n->ledger, &count);
    for (size_t i = 0; i < count; i++) {
        if (bytes_equal(all[i].name, name)) {
            return &all[i];
        }
    }
    return NULL;
}

static err describe_peer(const struct node *n, const struct ledger_node *row, struct arena *a,
                         struct peer_node *ret, struct errtext *reterr)
{
    const struct ledger_institution *owner = institution_of(n, row->institution);
    if (owner == NULL || owner->certificate_count > PEER_CAS_MAX) {
        return err_fail(reterr, ERR_INVALID, "node %llu has no institution with 1 to %d CAs",
                        (unsigned long long)row->id, PEER_CAS_MAX);
    }
    *ret = (struct peer_node){
        .id = row->id,
        .institution = arena_text(a, row->institution),
        .name = arena_text(a, row->name),
        .address = arena_text(a, row->peer_address),
        .key_count = row->transport_key_next.size > 0 ? 2 : 1,
        .ca_count = owner->certificate_count,
    };
    sha256(row->transport_key.data, row->transport_key.size, ret->keys[0]);
    sha256(row->transport_key_next.data, row->transport_key_next.size, ret->keys[1]);
    for (size_t i = 0; i < owner->certificate_count; i++) {
        ret->cas[i] = owner->certificates[i];
    }
    return err_ok();
}

err credentials_set_nodes(struct node *n, struct errtext *reterr)
{
    struct peer_node table[NODES_MAX];
    struct arena a;
    size_t count = n->members.count;
    const struct ledger_node *rows = n->members.rows;
    err e = err_ok();
    require(count <= NODES_MAX);
    arena_init(&a, NODES_MAX * 4096);
    for (size_t i = 0; i < count && !failed(e); i++) {
        e = describe_peer(n, &rows[i], &a, &table[i], reterr);
    }
    if (!failed(e)) {
        e = peer_links_set_nodes(n->links, table, count, reterr);
    }
    arena_done(&a);
    return e;
}

err credentials_open_links(struct node *n, const struct peer_host *host, struct errtext *reterr)
{
    struct pair p;
    TRY(read_pair(n, &p, reterr));
    struct bytes origin = ledger_origin(n->ledger);
    char *origin_text = mem_new(origin.size + 1, 1);
    memcpy(origin_text, origin.data, origin.size);
    struct peer_config config = {
        .id = n->id,
        .origin = origin_text,
        .listen = n->config.listen_peer,
        .certificate_pem = buf_bytes(&p.certificate),
        .key_pem = buf_bytes(&p.key),
        .jitter_seed = random_u64(),
        .pool = n->names,
    };
    memcpy(config.ledger_id, ledger_id(n->ledger), SHA256_SIZE);
    n->certificate_not_after_s = p.facts.not_after_s;
    err e = peer_links_new(n->loop, &config, host, &n->links, reterr);
    if (!failed(e)) {
        e = credentials_set_nodes(n, reterr);
    }
    free(origin_text);
    pair_done(&p);
    return e;
}

/* Trust for clients: each institution's CA certifies its own people and nobody else's. */
static err client_tls(struct node *n, const struct pair *p, struct tls_ctx **ret,
                      struct errtext *reterr)
{
    struct tls_ca cas[TLS_CERTS_MAX];
    size_t ca_count = 0;
    size_t count = 0;
    struct arena a;
    const struct ledger_institution *all = ledger_institutions(n->ledger, &count);
    arena_init(&a, 64 << 10);
    for (size_t i = 0; i < count; i++) {
        const char *name = arena_text(&a, all[i].name);
        for (size_t k = 0; k < all[i].certificate_count && ca_count < TLS_CERTS_MAX; k++) {
            cas[ca_count++] = (struct tls_ca){all[i].certificates[k], name};
        }
    }
    const struct tls_options options = {
        .server = true,
        .cas = cas,
        .ca_count = ca_count,
        .chain = buf_bytes(&p->certificate),
        .key = buf_bytes(&p->key),
        .alpn = grpc_alpn,
        /* Where the genesis lets anybody read the tree, the certificate is asked for and may be
         * missing; services_admit refuses every call without one. */
        .need = ledger_public_reading(n->ledger) ? TLS_CERT_OPTIONAL : TLS_CERT_REQUIRED,
        .want_identity = true,
    };
    err e = tls_ctx_new(&options, ret, reterr);
    arena_done(&a);
    return e;
}

err credentials_listen(struct node *n, struct errtext *reterr)
{
    struct pair p;
    struct tls_ctx *tls = NULL;
    TRY(read_pair(n, &p, reterr));
    err e = client_tls(n, &p, &tls, reterr);
    if (!failed(e)) {
        e = grpc_server_listen(n->grpc, n->config.listen_client, tls, &n->client_port, reterr);
    }
    tls_ctx_free(tls);
    pair_done(&p);
    return e;
}

err credentials_reload(struct node *n, struct errtext *reterr)
{
    struct pair p;
    struct tls_ctx *tls = NULL;
    TRY(read_pair(n, &p, reterr));
    err e = client_tls(n, &p, &tls, reterr);
    if (!failed(e)) {
        e = peer_links_set_credentials(n->links, buf_bytes(&p.certificate), buf_bytes(&p.key),
                                       reterr);
    }
    if (!failed(e)) {
        grpc_server_set_tls(n->grpc, n->client_port, tls);
        n->certificate_not_after_s = p.facts.not_after_s;
    }
    tls_ctx_free(tls);
    pair_done(&p);
    return e;
}
