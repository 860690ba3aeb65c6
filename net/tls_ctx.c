#include "net/tls_ctx.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <time.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/require.h"

static err fail_ssl(struct errtext *reterr, const char *what)
{
    unsigned long code = ERR_peek_last_error();
    const char *reason = code == 0 ? NULL : ERR_reason_error_string(code);
    return err_fail(reterr, ERR_INVALID, "%s%s%s", what, reason != NULL ? ": " : "",
                    reason != NULL ? reason : "");
}

/* An encrypted key must not ask for its password on a terminal. */
static int no_password(char *text, int size, int writing, void *ctx)
{
    return -1;
}

static uint64_t seconds_of_time(const ASN1_TIME *t)
{
    struct tm tm;
    if (t == NULL || ASN1_TIME_to_tm(t, &tm) != 1) {
        return 0;
    }
    time_t s = timegm(&tm);
    return s < 0 ? 0 : (uint64_t)s;
}

/* ---- who certified whom ---- */

static err trust_add(struct tls_ctx *c, X509 *cert, const char *institution, struct errtext *reterr)
{
    if (c->trust_count >= TLS_CERTS_MAX) {
        X509_free(cert);
        return err_fail(reterr, ERR_LIMIT, "more than %d CA certificates", TLS_CERTS_MAX);
    }
    char *label = institution == NULL ? NULL : mem_text(institution);
    c->trust[c->trust_count++] = (struct tls_trust){cert, label};
    X509_STORE *store = SSL_CTX_get_cert_store(c->ssl_ctx);
    if (X509_STORE_add_cert(store, cert) != 1) {
        return fail_ssl(reterr, "CA certificate");
    }
    if (c->server && SSL_CTX_add_client_CA(c->ssl_ctx, cert) != 1) {
        return fail_ssl(reterr, "CA certificate");
    }
    return err_ok();
}

static err trust_add_pem(struct tls_ctx *c, const struct tls_ca *ca, struct errtext *reterr)
{
    BIO *bio = BIO_new_mem_buf(ca->cert.data, (int)ca->cert.size);
    require(bio != NULL);
    err e = err_ok();
    size_t found = 0;
    for (X509 *x; !failed(e) && (x = PEM_read_bio_X509(bio, NULL, no_password, NULL)) != NULL;) {
        e = trust_add(c, x, ca->institution, reterr);
        found++;
    }
    BIO_free(bio);
    ERR_clear_error();
    if (!failed(e) && found == 0) {
        return err_fail(reterr, ERR_INVALID, "CA certificate is neither PEM nor DER");
    }
    return e;
}

static err add_trust(struct tls_ctx *c, const struct tls_options *o, struct errtext *reterr)
{
    if (o->ca_count == 0) {
        return err_fail(reterr, ERR_INVALID, "no CA certificate is given");
    }
    c->trust = mem_new(TLS_CERTS_MAX, sizeof(*c->trust));
    for (size_t i = 0; i < o->ca_count; i++) {
        struct bytes cert = o->cas[i].cert;
        if (cert.size == 0 || cert.size > (size_t)CERT_BYTES_MAX * TLS_CERTS_MAX) {
            return err_fail(reterr, ERR_INVALID, "CA certificate %zu is empty or too large", i + 1);
        }
        const unsigned char *at = cert.data;
        X509 *x = cert.data[0] == 0x30 ? d2i_X509(NULL, &at, (long)cert.size) : NULL;
        if (x != NULL && at != cert.data + cert.size) {
            X509_free(x);
            return err_fail(reterr, ERR_INVALID, "bytes after CA certificate %zu", i + 1);
        }
        ERR_clear_error();
        if (x != NULL) {
            TRY(trust_add(c, x, o->cas[i].institution, reterr));
        } else {
            TRY(trust_add_pem(c, &o->cas[i], reterr));
        }
    }
    return err_ok();
}

static err add_crls(struct tls_ctx *c, struct bytes crl, struct errtext *reterr)
{
    if (crl.size == 0) {
        return err_ok();
    }
    if (crl.size > INT32_MAX) {
        return err_fail(reterr, ERR_LIMIT, "revocation list is too large");
    }
    X509_STORE *store = SSL_CTX_get_cert_store(c->ssl_ctx);
    BIO *bio = BIO_new_mem_buf(crl.data, (int)crl.size);
    require(bio != NULL);
    size_t found = 0;
    bool good = true;
    for (X509_CRL *x; good && (x = PEM_read_bio_X509_CRL(bio, NULL, no_password, NULL)) != NULL;) {
        good = X509_STORE_add_crl(store, x) == 1;
        X509_CRL_free(x);
        found++;
    }
    BIO_free(bio);
    if (!good || found == 0) {
        return fail_ssl(reterr, "revocation list");
    }
    ERR_clear_error();
    X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK);
    return err_ok();
}

/* ---- who we are ---- */

static err use_chain(struct tls_ctx *c, struct bytes chain, struct errtext *reterr)
{
    if (chain.size == 0 || chain.size > INT32_MAX) {
        return err_fail(reterr, ERR_INVALID, "own certificate is missing");
    }
    BIO *bio = BIO_new_mem_buf(chain.data, (int)chain.size);
    require(bio != NULL);
    size_t count = 0;
    bool good = true;
    for (X509 *x; good && (x = PEM_read_bio_X509(bio, NULL, no_password, NULL)) != NULL; count++) {
        if (count == 0) {
            good = SSL_CTX_use_certificate(c->ssl_ctx, x) == 1;
            c->not_after_s = seconds_of_time(X509_get0_notAfter(x));
        } else {
            good = count < TLS_CERTS_MAX && SSL_CTX_add1_chain_cert(c->ssl_ctx, x) == 1;
        }
        X509_free(x);
    }
    BIO_free(bio);
    if (!good || count == 0) {
        return fail_ssl(reterr, "own certificate");
    }
    ERR_clear_error();
    return err_ok();
}

static err use_key(struct tls_ctx *c, const struct tls_options *o, struct errtext *reterr)
{
    if (o->key.size == 0 && !o->server) {
        return err_ok();
    }
    TRY(use_chain(c, o->chain, reterr));
    if (o->key.size == 0 || o->key.size > INT32_MAX) {
        return err_fail(reterr, ERR_INVALID, "own private key is missing");
    }
    BIO *bio = BIO_new_mem_buf(o->key.data, (int)o->key.size);
    require(bio != NULL);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);
    BIO_free(bio);
    if (key == NULL) {
        return fail_ssl(reterr, "own private key");
    }
    bool good =
        SSL_CTX_use_PrivateKey(c->ssl_ctx, key) == 1 && SSL_CTX_check_private_key(c->ssl_ctx) == 1;
    EVP_PKEY_free(key);
    return good ? err_ok() : fail_ssl(reterr, "own private key does not fit the certificate");
}

/* ---- ALPN (RFC 7301) ---- */

static int on_alpn(SSL *ssl, const unsigned char **ret, unsigned char *ret_size,
                   const unsigned char *in, unsigned in_size, void *arg)
{
    struct tls_ctx *c = arg;
    unsigned char *chosen = NULL;
    if (SSL_select_next_proto(&chosen, ret_size, c->alpn, c->alpn_size, in, in_size) !=
        OPENSSL_NPN_NEGOTIATED) {
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    }
    *ret = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static void use_alpn(struct tls_ctx *c, const char *const *alpn)
{
    if (alpn == NULL) {
        return;
    }
    for (; *alpn != NULL; alpn++) {
        size_t size = strlen(*alpn);
        require(size > 0);
        require(c->alpn_size + 1 + size <= TLS_ALPN_WIRE_MAX);
        c->alpn[c->alpn_size++] = (uint8_t)size;
        memcpy(c->alpn + c->alpn_size, *alpn, size);
        c->alpn_size += (unsigned)size;
    }
    if (c->server) {
        SSL_CTX_set_alpn_select_cb(c->ssl_ctx, on_alpn, c);
    } else {
        require(SSL_CTX_set_alpn_protos(c->ssl_ctx, c->alpn, c->alpn_size) == 0);
    }
}

/* ---- the context ---- */

static void set_policy(struct tls_ctx *c, const struct tls_options *o)
{
    SSL_CTX *s = c->ssl_ctx;
    require(SSL_CTX_set_min_proto_version(s, TLS1_3_VERSION) == 1);
    require(SSL_CTX_set_max_proto_version(s, TLS1_3_VERSION) == 1);
    SSL_CTX_set_options(s, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET);
    SSL_CTX_set_session_cache_mode(s, SSL_SESS_CACHE_OFF);
    require(SSL_CTX_set_num_tickets(s, 0) == 1);
    SSL_CTX_set_mode(s, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                            SSL_MODE_RELEASE_BUFFERS);
    int mode = SSL_VERIFY_PEER;
    mode |= c->server && o->need == TLS_CERT_REQUIRED ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0;
    SSL_CTX_set_verify(s, mode, tls_forgive);
    SSL_CTX_set_verify_depth(s, 3);
    SSL_CTX_set_cert_verify_callback(s, tls_verify, c);
}

err tls_ctx_new(const struct tls_options *options, struct tls_ctx **ret_ctx, struct errtext *reterr)
{
    require(options != NULL);
    require(ret_ctx != NULL);
    struct tls_ctx *c = mem_new(1, sizeof(*c));
    c->refs = 1;
    c->server = options->server;
    c->want_identity = options->want_identity;
    c->forgive_expiry = options->forgive_expiry;
    c->accept = options->accept;
    c->accept_ctx = options->accept_ctx;
    ERR_clear_error();
    c->bio_method = tls_bio_method();
    c->ssl_ctx = SSL_CTX_new(options->server ? TLS_server_method() : TLS_client_method());
    require(c->bio_method != NULL);
    require(c->ssl_ctx != NULL);
    set_policy(c, options);
    use_alpn(c, options->alpn);
    err e;
    TRY_GOTO(e, out, add_trust(c, options, reterr));
    TRY_GOTO(e, out, add_crls(c, options->crl, reterr));
    TRY_GOTO(e, out, use_key(c, options, reterr));
    *ret_ctx = c;
    return err_ok();
out:
    tls_ctx_free(c);
    ERR_clear_error();
    return e;
}

struct tls_ctx *tls_ctx_ref(struct tls_ctx *ctx)
{
    require(ctx->refs > 0);
    ctx->refs++;
    return ctx;
}

void tls_ctx_free(struct tls_ctx *ctx)
{
    if (ctx == NULL) {
        return;
    }
    require(ctx->refs > 0);
    if (--ctx->refs > 0) {
        return;
    }
    for (size_t i = 0; i < ctx->trust_count; i++) {
        X509_free(ctx->trust[i].cert);
        free(ctx->trust[i].institution);
    }
    free(ctx->trust);
    SSL_CTX_free(ctx->ssl_ctx);
    BIO_meth_free(ctx->bio_method);
    free(ctx);
}

uint64_t tls_ctx_not_after_s(const struct tls_ctx *ctx)
{
    return ctx->not_after_s;
}

/* ---- the other side's certificate ---- */

int tls_forgive(int ok, X509_STORE_CTX *store)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct tls *t = SSL_get_app_data(ssl);
    if (ok == 1) {
        return 1;
    }
    int why = X509_STORE_CTX_get_error(store);
    if (why == X509_V_ERR_UNABLE_TO_GET_CRL) {
        return 1; /* this CA publishes no list */
    }
    bool expiry = why == X509_V_ERR_CERT_HAS_EXPIRED || why == X509_V_ERR_CERT_NOT_YET_VALID ||
                  why == X509_V_ERR_CRL_HAS_EXPIRED;
    if (expiry && t->ctx->forgive_expiry) {
        t->peer.expiry_forgiven = true;
        return 1;
    }
    return 0;
}

static bool institution_may_certify(const struct tls_ctx *c, const X509 *root, const char *name)
{
    for (size_t i = 0; i < c->trust_count; i++) {
        const struct tls_trust *trust = &c->trust[i];
        bool fits =
            trust->institution == NULL || (name != NULL && strcmp(trust->institution, name) == 0);
        if (fits && X509_cmp(trust->cert, root) == 0) {
            return true;
        }
    }
    return false;
}

static bool take_facts(struct tls *t, X509 *leaf, X509 *root)
{
    struct tls_peer *p = &t->peer;
    int leaf_size = i2d_X509(leaf, &t->leaf);
    int spki_size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(leaf), &t->spki);
    int root_size = i2d_X509(root, &t->root);
    if (leaf_size <= 0 || spki_size <= 0 || root_size <= 0) {
        return false;
    }
    p->leaf = bytes_of(t->leaf, (size_t)leaf_size);
    p->spki = bytes_of(t->spki, (size_t)spki_size);
    p->root = bytes_of(t->root, (size_t)root_size);
    p->not_before_s = seconds_of_time(X509_get0_notBefore(leaf));
    p->not_after_s = seconds_of_time(X509_get0_notAfter(leaf));
    return true;
}

/* Whether a certificate whose chain holds is one we want; the reason otherwise. */
static bool judge(struct tls *t, X509_STORE_CTX *store)
{
    const struct tls_ctx *c = t->ctx;
    struct errtext *why = &t->refusal;
    STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(store);
    if (t->has_peer || chain == NULL || sk_X509_num(chain) < 1) {
        err_fail(why, ERR_DENIED, "certificate was shown twice or not at all");
        return false;
    }
    X509 *leaf = sk_X509_value(chain, 0);
    X509 *root = sk_X509_value(chain, sk_X509_num(chain) - 1);
    struct errtext reason = {""};
    t->peer.has_identity = !failed(identity_of_x509(leaf, &t->peer.identity, &reason));
    if (!t->peer.has_identity && c->want_identity) {
        err_fail(why, ERR_DENIED, "certificate: %s", reason.text);
        return false;
    }
    const char *institution = t->peer.has_identity ? t->peer.identity.institution : NULL;
    if (!institution_may_certify(c, root, institution)) {
        err_fail(why, ERR_DENIED, "certificate: its CA may not certify for institution %s",
                 institution != NULL ? institution : "(none)");
        return false;
    }
    if (!take_facts(t, leaf, root)) {
        err_fail(why, ERR_DENIED, "certificate cannot be read");
        return false;
    }
    t->has_peer = true;
    if (c->accept != NULL && !c->accept(c->accept_ctx, &t->peer, &reason)) {
        err_fail(why, ERR_DENIED, "certificate: %s", reason.text);
        return false;
    }
    return true;
}

int tls_verify(X509_STORE_CTX *store, void *arg)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct tls *t = SSL_get_app_data(ssl);
    require(t->ctx == arg);
    if (X509_verify_cert(store) != 1) {
        int why = X509_STORE_CTX_get_error(store);
        err_fail(&t->refusal, ERR_DENIED, "certificate: %s", X509_verify_cert_error_string(why));
        return 0;
    }
    if (!judge(t, store)) {
        X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_REJECTED);
        return 0;
    }
    X509_STORE_CTX_set_error(store, X509_V_OK); /* what was forgiven is in peer.expiry_forgiven */
    return 1;
}
