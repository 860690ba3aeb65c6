#include "tests/unit/net/pki.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/require.h"
#include "net/grpc.h"

void pki_ca_make(struct pki_ca *ca, const char *institution)
{
    memset(ca, 0, sizeof(*ca));
    snprintf(ca->institution, sizeof(ca->institution), "%s", institution);
    ca->key = cert_key_generate();
    int64_t now = (int64_t)time(NULL);
    require(!failed(cert_make_ca(institution, ca->key, now - 1000000, now + 1000000, &ca->cert)));
    buf_init(&ca->pem, 1 << 16);
    cert_pem(ca->cert, &ca->pem);
}

void pki_ca_done(struct pki_ca *ca)
{
    cert_free(ca->cert);
    cert_key_free(ca->key);
    buf_done(&ca->pem);
}

void pki_issue(const struct pki_ca *ca, const struct pki_want *want, struct pki_holder *ret)
{
    struct identity id = {.kind = want->kind};
    snprintf(id.origin, sizeof(id.origin), "concordat.example/test");
    snprintf(id.institution, sizeof(id.institution), "%s", want->institution);
    snprintf(id.name, sizeof(id.name), "%s", want->name);
    static const char *const names[] = {"localhost"};
    static const char *const addresses[] = {"127.0.0.1", "::1"};
    int64_t now = (int64_t)time(NULL);
    struct cert_spec spec = {
        .identity = &id,
        .dns_names = names,
        .addresses = addresses,
        .dns_count = 1,
        .address_count = 2,
        .not_before_s = now + want->from_s,
        .not_after_s = now + want->until_s,
    };
    struct cert_key *key = cert_key_generate();
    struct cert *cert = NULL;
    struct errtext why = {""};
    err e = cert_issue(&spec, (struct cert_issuer){ca->cert, ca->key}, key, &cert, &why);
    if (failed(e)) {
        die("cert_issue: %s", why.text);
    }
    buf_init(&ret->chain, 1 << 16);
    buf_init(&ret->key, 1 << 16);
    cert_pem(cert, &ret->chain);
    cert_pem(ca->cert, &ret->chain);
    cert_key_pem(key, &ret->key);
    cert_free(cert);
    cert_key_free(key);
}

void pki_holder_done(struct pki_holder *holder)
{
    buf_done(&holder->chain);
    buf_done(&holder->key);
}

void pki_issue_plain(const struct pki_ca *ca, enum identity_kind kind, const char *name,
                     struct pki_holder *ret)
{
    struct pki_want want = {kind, ca->institution, name, -3600, 86400};
    pki_issue(ca, &want, ret);
}

struct tls_ctx *pki_ctx(bool server, const struct pki_ca *ca, const struct pki_holder *holder)
{
    struct tls_ca trust = {buf_bytes(&ca->pem), ca->institution};
    static const char *const alpn[] = {"h2", NULL};
    struct tls_options o = {
        .server = server,
        .cas = &trust,
        .ca_count = 1,
        .alpn = alpn,
        .want_identity = true,
    };
    if (holder != NULL) {
        o.chain = buf_bytes(&holder->chain);
        o.key = buf_bytes(&holder->key);
    }
    struct tls_ctx *ctx = NULL;
    struct errtext why = {""};
    if (failed(tls_ctx_new(&o, &ctx, &why))) {
        die("tls_ctx_new: %s", why.text);
    }
    return ctx;
}
