/* TLS without sockets: two ends in memory, every split at random; revocation; protocols. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "net/tls.h"
#include "tests/unit/net/pki.h"

struct end {
    struct tls *tls;
    struct buf out, got;
    err error;
    struct errtext why;
};

struct world {
    struct pki_ca ca;
    struct pki_holder node, client, other;
    struct end server, client_end;
    uint64_t seed;
};

static uint64_t next_random(struct world *w)
{
    w->seed = w->seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return w->seed >> 33;
}

static void on_plain(void *ctx, struct bytes plain)
{
    struct end *e = ctx;
    buf_put_bytes(&e->got, plain);
}

static void end_init(struct end *e, struct tls_ctx *ctx)
{
    memset(e, 0, sizeof(*e));
    buf_init(&e->out, 8 << 20);
    buf_init(&e->got, 8 << 20);
    e->tls = tls_new(ctx, NULL, &e->out);
    e->error = tls_start(e->tls, &e->why);
    tls_ctx_free(ctx); /* the tls keeps its own reference */
}

static void end_done(struct end *e)
{
    tls_free(e->tls);
    buf_done(&e->out);
    buf_done(&e->got);
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    w->seed = 7;
    pki_ca_make(&w->ca, "ville");
    pki_issue_plain(&w->ca, IDENTITY_NODE, "n1", &w->node);
    pki_issue_plain(&w->ca, IDENTITY_CLIENT, "c1", &w->client);
    pki_issue_plain(&w->ca, IDENTITY_CLIENT, "c2", &w->other);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    end_done(&w->server);
    end_done(&w->client_end);
    pki_holder_done(&w->node);
    pki_holder_done(&w->client);
    pki_holder_done(&w->other);
    pki_ca_done(&w->ca);
    free(w);
    return 0;
}

/* Carries what one end has written to the other, in pieces of 1 to piece_max bytes. */
static void carry(struct world *w, struct end *from, struct end *to, size_t piece_max)
{
    while (from->out.size > 0 && !failed(to->error)) {
        size_t piece = 1 + next_random(w) % piece_max;
        piece = piece < from->out.size ? piece : from->out.size;
        to->error = tls_feed(to->tls, bytes_of(from->out.data, piece), on_plain, to, &to->why);
        buf_consume(&from->out, piece);
    }
    buf_clear(&from->out);
}

static void exchange(struct world *w, size_t piece_max)
{
    while (w->server.out.size + w->client_end.out.size > 0) {
        carry(w, &w->client_end, &w->server, piece_max);
        carry(w, &w->server, &w->client_end, piece_max);
    }
}

static void test_two_ends_with_random_splits(void **state)
{
    struct world *w = *state;
    for (size_t round = 0; round < 12; round++) {
        end_done(&w->server);
        end_done(&w->client_end);
        end_init(&w->server, pki_ctx(true, &w->ca, &w->node));
        end_init(&w->client_end, pki_ctx(false, &w->ca, &w->client));
        size_t piece_max = (size_t)1 << round;
        exchange(w, piece_max);
        assert_true(tls_is_open(w->server.tls) && tls_is_open(w->client_end.tls));
        assert_string_equal(tls_alpn(w->server.tls), "h2");
        assert_string_equal(tls_peer_of(w->server.tls)->identity.name, "c1");
        assert_string_equal(tls_peer_of(w->client_end.tls)->identity.name, "n1");
        struct buf block;
        buf_init(&block, 1 << 20);
        for (size_t i = 0; i < 50000; i++) {
            buf_put_u8(&block, (uint8_t)next_random(w));
        }
        assert_false(failed(tls_write(w->client_end.tls, buf_bytes(&block))));
        assert_false(failed(tls_write(w->server.tls, buf_bytes(&block))));
        exchange(w, piece_max);
        assert_true(bytes_equal(buf_bytes(&w->server.got), buf_bytes(&block)));
        assert_true(bytes_equal(buf_bytes(&w->client_end.got), buf_bytes(&block)));
        buf_done(&block);
        tls_close(w->client_end.tls);
        exchange(w, piece_max);
        assert_true(tls_is_ended(w->server.tls));
        assert_false(failed(w->server.error));
    }
}

static void test_damaged_record_is_refused(void **state)
{
    struct world *w = *state;
    end_init(&w->server, pki_ctx(true, &w->ca, &w->node));
    end_init(&w->client_end, pki_ctx(false, &w->ca, &w->client));
    exchange(w, 1000);
    assert_false(failed(tls_write(w->client_end.tls, bytes_text("hello"))));
    w->client_end.out.data[w->client_end.out.size - 1] ^= 1;
    carry(w, &w->client_end, &w->server, 1000);
    assert_true(err_is(w->server.error, ERR_INVALID));
    assert_int_equal(w->server.got.size, 0);
}

/* A revocation list of the CA, naming the certificate (NULL: nobody), that is good until now +
 * until_s. */
static void make_crl(const struct pki_ca *ca, const struct pki_holder *revoked, long until_s,
                     struct buf *ret)
{
    struct buf pem;
    buf_init(&pem, 1 << 16);
    cert_key_pem(ca->key, &pem);
    BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.size);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    BIO_free(bio);
    bio = BIO_new_mem_buf(ca->pem.data, (int)ca->pem.size);
    X509 *issuer = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    BIO_free(bio);
    X509_CRL *crl = X509_CRL_new();
    ASN1_TIME *last = X509_time_adj_ex(NULL, 0, -7200, NULL);
    ASN1_TIME *next = X509_time_adj_ex(NULL, 0, until_s, NULL);
    assert_int_equal(X509_CRL_set_version(crl, 1), 1);
    assert_int_equal(X509_CRL_set_issuer_name(crl, X509_get_subject_name(issuer)), 1);
    assert_int_equal(X509_CRL_set1_lastUpdate(crl, last), 1);
    assert_int_equal(X509_CRL_set1_nextUpdate(crl, next), 1);
    if (revoked != NULL) {
        bio = BIO_new_mem_buf(revoked->chain.data, (int)revoked->chain.size);
        X509 *leaf = PEM_read_bio_X509(bio, NULL, NULL, NULL);
        BIO_free(bio);
        X509_REVOKED *r = X509_REVOKED_new();
        X509_REVOKED_set_serialNumber(r, X509_get_serialNumber(leaf));
        X509_REVOKED_set_revocationDate(r, last);
        assert_int_equal(X509_CRL_add0_revoked(crl, r), 1);
        X509_free(leaf);
    }
    assert_true(X509_CRL_sign(crl, key, EVP_sha256()) > 0);
    bio = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_X509_CRL(bio, crl), 1);
    char *text = NULL;
    long size = BIO_get_mem_data(bio, &text);
    buf_init(ret, 1 << 16);
    buf_put(ret, text, (size_t)size);
    BIO_free(bio);
    ASN1_TIME_free(last);
    ASN1_TIME_free(next);
    X509_CRL_free(crl);
    X509_free(issuer);
    EVP_PKEY_free(key);
    buf_done(&pem);
}

static struct tls_ctx *server_with_crl(struct world *w, const struct buf *crl, bool forgive)
{
    struct tls_ca trust = {buf_bytes(&w->ca.pem), "ville"};
    static const char *const alpn[] = {"h2", NULL};
    struct tls_options o = {
        .server = true,
        .cas = &trust,
        .ca_count = 1,
        .chain = buf_bytes(&w->node.chain),
        .key = buf_bytes(&w->node.key),
        .crl = buf_bytes(crl),
        .alpn = alpn,
        .want_identity = true,
        .forgive_expiry = forgive,
    };
    struct tls_ctx *ctx = NULL;
    assert_false(failed(tls_ctx_new(&o, &ctx, NULL)));
    return ctx;
}

static void connect_with(struct world *w, struct tls_ctx *server, const struct pki_holder *client)
{
    end_done(&w->server);
    end_done(&w->client_end);
    end_init(&w->server, server);
    end_init(&w->client_end, pki_ctx(false, &w->ca, client));
    exchange(w, 500);
}

static void test_revocation(void **state)
{
    struct world *w = *state;
    struct buf crl, old;
    make_crl(&w->ca, &w->client, 3600, &crl);
    make_crl(&w->ca, NULL, -3600, &old);
    connect_with(w, server_with_crl(w, &crl, false), &w->client);
    assert_true(err_is(w->server.error, ERR_DENIED));
    assert_non_null(strstr(w->server.why.text, "revoked"));
    assert_true(err_is(w->client_end.error, ERR_DENIED));
    assert_non_null(strstr(w->client_end.why.text, "revoked")); /* the alert arrived */
    connect_with(w, server_with_crl(w, &crl, false), &w->other);
    assert_true(tls_is_open(w->server.tls));
    connect_with(w, server_with_crl(w, &old, false), &w->other); /* an old list: nobody */
    assert_true(err_is(w->server.error, ERR_DENIED));
    connect_with(w, server_with_crl(w, &old, true), &w->other); /* between nodes: an alarm */
    assert_true(tls_is_open(w->server.tls));
    assert_true(tls_peer_of(w->server.tls)->expiry_forgiven);
    connect_with(w, server_with_crl(w, &crl, true), &w->client); /* revoked is not expired */
    assert_true(err_is(w->server.error, ERR_DENIED));
    buf_done(&crl);
    buf_done(&old);
}

static void test_crl_that_is_garbage(void **state)
{
    struct world *w = *state;
    struct tls_ca trust = {buf_bytes(&w->ca.pem), "ville"};
    struct tls_options o = {.cas = &trust, .ca_count = 1, .crl = bytes_text("garbage")};
    struct tls_ctx *ctx = NULL;
    struct errtext why;
    assert_true(err_is(tls_ctx_new(&o, &ctx, &why), ERR_INVALID));
    assert_non_null(strstr(why.text, "revocation list"));
    /* Two empty ends, for teardown. */
}

static bool refuse_c2(void *ctx, const struct tls_peer *peer, struct errtext *reterr)
{
    if (strcmp(peer->identity.name, "c2") == 0) {
        err_fail(reterr, ERR_DENIED, "c2 is not on the list");
        return false;
    }
    return true;
}

static void test_last_word_on_a_certificate(void **state)
{
    struct world *w = *state;
    struct tls_ca trust = {buf_bytes(&w->ca.pem), "ville"};
    struct tls_options o = {
        .server = true,
        .cas = &trust,
        .ca_count = 1,
        .chain = buf_bytes(&w->node.chain),
        .key = buf_bytes(&w->node.key),
        .want_identity = true,
        .accept = refuse_c2,
    };
    struct tls_ctx *ctx = NULL;
    assert_false(failed(tls_ctx_new(&o, &ctx, NULL)));
    connect_with(w, tls_ctx_ref(ctx), &w->other);
    assert_true(err_is(w->server.error, ERR_DENIED));
    assert_non_null(strstr(w->server.why.text, "not on the list"));
    tls_ctx_free(ctx);
}

/* A client of OpenSSL's own, to say what ours never says. */
static err foreign_hello(struct world *w, int version, const char *alpn, struct errtext *why)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_max_proto_version(ctx, version);
    SSL *ssl = SSL_new(ctx);
    if (alpn != NULL) {
        SSL_set_alpn_protos(ssl, (const unsigned char *)alpn, (unsigned)strlen(alpn));
    }
    BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
    SSL_set_bio(ssl, in, out);
    SSL_set_connect_state(ssl);
    (void)SSL_do_handshake(ssl);
    char *hello = NULL;
    long size = BIO_get_mem_data(out, &hello);
    end_init(&w->server, pki_ctx(true, &w->ca, &w->node));
    err e = tls_feed(w->server.tls, bytes_of(hello, (size_t)size), on_plain, &w->server, why);
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    return e;
}

static void test_old_tls_is_refused_with_alert(void **state)
{
    struct world *w = *state;
    struct errtext why;
    assert_true(err_is(foreign_hello(w, TLS1_2_VERSION, "\x02h2", &why), ERR_INVALID));
    assert_int_equal(w->server.out.size, 7);
    assert_int_equal(w->server.out.data[0], 21); /* an alert */
    assert_int_equal(w->server.out.data[6], 70); /* protocol version (RFC 8446 6) */
}

static void test_other_protocol_is_refused_with_alert(void **state)
{
    struct world *w = *state;
    struct errtext why;
    err e = foreign_hello(w, TLS1_3_VERSION, "\x08http/1.1", &why);
    assert_true(err_is(e, ERR_INVALID));
    assert_true(w->server.out.size >= 7);
    assert_int_equal(w->server.out.data[w->server.out.size - 1], 120); /* no application protocol */
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_two_ends_with_random_splits),
        T(test_damaged_record_is_refused),
        T(test_revocation),
        T(test_crl_that_is_garbage),
        T(test_last_word_on_a_certificate),
        T(test_old_tls_is_refused_with_alert),
        T(test_other_protocol_is_refused_with_alert),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
