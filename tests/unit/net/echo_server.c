/* The echo service as a program, for foreign clients: writes its port and, into a directory, the
 * certificates to call it with. Ends on SIGTERM after a graceful drain.
 *
 *     echo_server DIR        makes DIR/{ca,client,client.key,foreign,foreign.key}.pem
 *     echo_server -          cleartext */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/require.h"
#include "tests/unit/net/echo.h"
#include "tests/unit/net/pki.h"

static void save(const char *dir, const char *name, const struct buf *b)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s.pem", dir, name);
    FILE *f = fopen(path, "w");
    if (f == NULL || fwrite(b->data, 1, b->size, f) != b->size || fclose(f) != 0) {
        die("cannot write %s", path);
    }
}

static struct tls_ctx *make_keys(const char *dir)
{
    struct pki_ca ca, foreign;
    struct pki_holder node, client, stranger;
    pki_ca_make(&ca, "ville");
    pki_ca_make(&foreign, "autre");
    pki_issue_plain(&ca, IDENTITY_NODE, "n1", &node);
    pki_issue_plain(&ca, IDENTITY_CLIENT, "c1", &client);
    pki_issue_plain(&foreign, IDENTITY_CLIENT, "c1", &stranger);
    save(dir, "ca", &ca.pem);
    save(dir, "client", &client.chain);
    save(dir, "client.key", &client.key);
    save(dir, "foreign", &stranger.chain);
    save(dir, "foreign.key", &stranger.key);
    struct tls_ctx *tls = pki_ctx(true, &ca, &node);
    pki_holder_done(&node);
    pki_holder_done(&client);
    pki_holder_done(&stranger);
    pki_ca_done(&ca);
    pki_ca_done(&foreign);
    return tls;
}

static void on_drained(void *ctx)
{
    loop_stop(ctx);
}

static void on_signal(void *ctx, int number)
{
    struct echo *echo = ctx;
    if (!grpc_server_is_draining(echo->server)) {
        grpc_server_drain(echo->server, 5 * NS_PER_S, on_drained, echo->loop);
    }
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s DIR|-\n", argv[0]);
        return 2;
    }
    struct echo echo = {0};
    struct errtext why = {""};
    uint16_t port = 0;
    struct tls_ctx *tls = strcmp(argv[1], "-") == 0 ? NULL : make_keys(argv[1]);
    if (failed(loop_new(&echo.loop, &why))) {
        die("%s", why.text);
    }
    struct grpc_server_options o = {
        .loop = echo.loop,
        .methods = echo_methods,
        .method_count = echo_method_count,
        .ctx = &echo,
        .on_begin = echo_begin,
    };
    if (failed(grpc_server_new(&o, &echo.server, &why)) ||
        failed(grpc_server_listen(echo.server, "127.0.0.1:0", tls, &port, &why))) {
        die("%s", why.text);
    }
    printf("%u\n", port);
    fflush(stdout);
    struct loop_signal *term = loop_signal_new(echo.loop, SIGTERM, on_signal, &echo);
    loop_run(echo.loop);
    struct grpc_server_stats s = grpc_server_stats_of(echo.server);
    printf("calls %llu ok %llu failed %llu cancelled %llu abused %llu\n",
           (unsigned long long)s.calls_started, (unsigned long long)s.calls_ok,
           (unsigned long long)s.calls_failed, (unsigned long long)s.calls_cancelled,
           (unsigned long long)s.conns_abused);
    loop_signal_free(term);
    grpc_server_free(echo.server);
    echo_done(&echo);
    tls_ctx_free(tls);
    loop_free(echo.loop);
    return 0;
}
