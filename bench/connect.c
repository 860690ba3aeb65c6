#include "bench/connect.h"

#include <string.h>

#include "base/limits.h"
#include "base/require.h"
#include "crypto/keyfile.h"
#include "net/grpc.h"

static bool accept_node(void *ctx, const struct tls_peer *peer, struct errtext *reterr)
{
    const char *origin = ctx;
    if (!peer->has_identity || strcmp(peer->identity.origin, origin) != 0) {
        (void)err_fail(reterr, ERR_DENIED, "its certificate is not of ledger %s", origin);
        return false;
    }
    return true;
}

err connect_tls(const struct options *options, struct tls_ctx **ret, struct errtext *reterr)
{
    struct buf cas[OPTIONS_CAS_MAX] = {0};
    struct tls_ca list[OPTIONS_CAS_MAX] = {0};
    struct buf chain;
    struct buf key;
    require(options->ca_count > 0);
    buf_init(&chain, KEYFILE_BYTES_MAX);
    buf_init(&key, KEYFILE_BYTES_MAX);
    err e = keyfile_read_public(options->cert, &chain, reterr);
    if (!failed(e)) {
        e = keyfile_read_secret(options->key, &key, reterr);
    }
    for (size_t i = 0; i < options->ca_count && !failed(e); i++) {
        buf_init(&cas[i], KEYFILE_BYTES_MAX);
        e = keyfile_read_public(options->cas[i], &cas[i], reterr);
        list[i].cert = buf_bytes(&cas[i]);
    }
    if (!failed(e)) {
        struct tls_options o = {.cas = list,
                                .ca_count = options->ca_count,
                                .chain = buf_bytes(&chain),
                                .key = buf_bytes(&key),
                                .alpn = grpc_alpn,
                                .want_identity = true,
                                .accept = accept_node,
                                .accept_ctx = (void *)(uintptr_t)options->origin};
        e = tls_ctx_new(&o, ret, reterr);
    }
    for (size_t i = 0; i < options->ca_count; i++) {
        buf_done(&cas[i]);
    }
    buf_done(&chain);
    keyfile_wipe(&key);
    return e;
}
