#include "net/tls.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/require.h"
#include "net/tls_ctx.h"

enum { PLAIN_BYTES = 16 << 10 }; /* one TLS record at most (RFC 8446 5.1) */

/* ---- the BIO: OpenSSL reads what was fed and writes to the output, no socket in between ---- */

static int bio_read(BIO *bio, char *ret, int size)
{
    struct tls *t = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (size <= 0) {
        return 0;
    }
    if (t->in.size == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    size_t take = t->in.size < (size_t)size ? t->in.size : (size_t)size;
    memcpy(ret, t->in.data, take);
    t->in.data += take;
    t->in.size -= take;
    return (int)take;
}

static int bio_write(BIO *bio, const char *data, int size)
{
    struct tls *t = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (size <= 0) {
        return 0;
    }
    buf_put(t->out, data, (size_t)size);
    return t->out->overflow ? -1 : size;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

static int bio_create(BIO *bio)
{
    BIO_set_init(bio, 1);
    return 1;
}

BIO_METHOD *tls_bio_method(void)
{
    BIO_METHOD *m = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "concordat");
    if (m != NULL) {
        BIO_meth_set_read(m, bio_read);
        BIO_meth_set_write(m, bio_write);
        BIO_meth_set_ctrl(m, bio_ctrl);
        BIO_meth_set_create(m, bio_create);
    }
    return m;
}

/* ---- the session ---- */

struct tls *tls_new(struct tls_ctx *ctx, const char *server_name, struct buf *out)
{
    require(ctx != NULL);
    require(out != NULL);
    struct tls *t = mem_new(1, sizeof(*t));
    t->ctx = tls_ctx_ref(ctx);
    t->out = out;
    t->ssl = SSL_new(ctx->ssl_ctx);
    BIO *bio = BIO_new(ctx->bio_method);
    require(t->ssl != NULL);
    require(bio != NULL);
    BIO_set_data(bio, t);
    SSL_set_bio(t->ssl, bio, bio);
    require(SSL_set_app_data(t->ssl, t) == 1);
    if (ctx->server) {
        SSL_set_accept_state(t->ssl);
    } else {
        SSL_set_connect_state(t->ssl);
        if (server_name != NULL && SSL_set_tlsext_host_name(t->ssl, server_name) != 1) {
            ERR_clear_error(); /* a name that SNI cannot carry: go without */
        }
    }
    return t;
}

void tls_free(struct tls *tls)
{
    if (tls == NULL) {
        return;
    }
    SSL_free(tls->ssl);
    OPENSSL_free(tls->leaf);
    OPENSSL_free(tls->spki);
    OPENSSL_free(tls->root);
    tls_ctx_free(tls->ctx);
    free(tls);
}

/* Turns the failure of an SSL call into an err; the session is broken from here on. */
static err fail_session(struct tls *t, int why, struct errtext *reterr)
{
    t->broken = true;
    unsigned long code = ERR_peek_error();
    ERR_clear_error();
    if (t->refusal.text[0] != '\0') {
        return err_fail(reterr, ERR_DENIED, "refused: %s", t->refusal.text);
    }
    if (why != SSL_ERROR_SSL) {
        return err_fail(reterr, ERR_INVALID, "TLS ended abruptly");
    }
    const char *reason = ERR_reason_error_string(code);
    int number = ERR_GET_REASON(code);
    const char *text = reason != NULL ? reason : "unknown reason";
    if (number >= SSL_AD_REASON_OFFSET) {
        return err_fail(reterr, ERR_DENIED, "the other side refused: %s", text);
    }
    if (number == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE) {
        return err_fail(reterr, ERR_DENIED, "refused: no certificate was shown");
    }
    return err_fail(reterr, ERR_INVALID, "TLS: %s", text);
}

static void take_alpn(struct tls *t)
{
    const unsigned char *name = NULL;
    unsigned size = 0;
    SSL_get0_alpn_selected(t->ssl, &name, &size);
    if (size < sizeof(t->alpn)) {
        memcpy(t->alpn, name == NULL ? (const unsigned char *)"" : name, size);
    }
}

static err step_handshake(struct tls *t, struct errtext *reterr)
{
    ERR_clear_error();
    int result = SSL_do_handshake(t->ssl);
    if (result == 1) {
        take_alpn(t);
        if (t->ctx->alpn_size > 0 && t->alpn[0] == '\0') {
            t->broken = true;
            return err_fail(reterr, ERR_INVALID, "no application protocol was agreed (ALPN)");
        }
        t->open = true;
        return err_ok();
    }
    int why = SSL_get_error(t->ssl, result);
    if (why == SSL_ERROR_WANT_READ) {
        return err_ok();
    }
    return fail_session(t, why, reterr);
}

err tls_start(struct tls *tls, struct errtext *reterr)
{
    require(!tls->broken);
    require(!tls->open);
    tls->in = bytes_of(NULL, 0);
    return tls->ctx->server ? err_ok() : step_handshake(tls, reterr);
}

static err read_plain(struct tls *t, void (*on_plain)(void *ctx, struct bytes plain), void *ctx,
                      struct errtext *reterr)
{
    uint8_t plain[PLAIN_BYTES];
    for (;;) {
        ERR_clear_error();
        int result = SSL_read(t->ssl, plain, sizeof(plain));
        if (result > 0) {
            on_plain(ctx, bytes_of(plain, (size_t)result));
            continue;
        }
        int why = SSL_get_error(t->ssl, result);
        if (why == SSL_ERROR_WANT_READ) {
            return err_ok();
        }
        if (why == SSL_ERROR_ZERO_RETURN) {
            t->ended = true;
            return err_ok();
        }
        return fail_session(t, why, reterr);
    }
}

err tls_feed(struct tls *tls, struct bytes cipher, void (*on_plain)(void *ctx, struct bytes plain),
             void *ctx, struct errtext *reterr)
{
    require(!tls->broken);
    require(on_plain != NULL);
    tls->in = cipher;
    err e = err_ok();
    if (!tls->open) {
        e = step_handshake(tls, reterr);
    }
    if (!failed(e) && tls->open && !tls->ended) {
        e = read_plain(tls, on_plain, ctx, reterr);
    }
    tls->in = bytes_of(NULL, 0);
    return e;
}

err tls_write(struct tls *tls, struct bytes plain)
{
    require(tls->open);
    if (tls->broken) {
        return (err){ERR_INVALID};
    }
    while (plain.size > 0) {
        int part = plain.size > INT32_MAX ? INT32_MAX : (int)plain.size;
        ERR_clear_error();
        int result = SSL_write(tls->ssl, plain.data, part);
        if (result <= 0) {
            tls->broken = true;
            ERR_clear_error();
            return (err){ERR_INVALID};
        }
        plain.data += result;
        plain.size -= (size_t)result;
    }
    return err_ok();
}

void tls_close(struct tls *tls)
{
    if (tls->open && !tls->broken) {
        ERR_clear_error();
        if (SSL_shutdown(tls->ssl) < 0) {
            ERR_clear_error();
        }
    }
}

bool tls_is_open(const struct tls *tls)
{
    return tls->open;
}

bool tls_is_ended(const struct tls *tls)
{
    return tls->ended;
}

const struct tls_peer *tls_peer_of(const struct tls *tls)
{
    return tls->open && tls->has_peer ? &tls->peer : NULL;
}

const char *tls_alpn(const struct tls *tls)
{
    return tls->alpn;
}
