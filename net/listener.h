/* A listening socket: accepts in batches, survives running out of descriptors (a spare one is
 * kept to accept and drop), limits connections in all and for each address, and admits
 * handshakes slowly (about 2 ms of CPU each), so that a crowd of newcomers does not delay
 * heartbeats. Thread: loop only. */
#ifndef NET_LISTENER_H
#define NET_LISTENER_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "net/conn.h"
#include "net/loop.h"
#include "net/tls.h"

struct listener;

struct listener_options {
    struct loop *loop;
    const char *address; /* "host:port", "[v6]:port"; port 0: any free one */
    struct tls_ctx *tls; /* a reference is taken; NULL: no TLS */
    /* A new connection, before its handshake; set the events in here with conn_set_events (or
     * give `conn` below). Return false to drop it. */
    bool (*on_accept)(void *ctx, struct conn *conn);
    void *ctx;
    size_t conns_max;             /* 0: LISTENER_CONNS_MAX */
    size_t conns_per_address_max; /* 0: LISTENER_CONNS_PER_ADDRESS_MAX */
    size_t handshakes_max;        /* 0: LISTENER_HANDSHAKES_MAX */
    struct conn_options conn;     /* events, timeouts, priority; loop, tls and ctx are filled in */
};

struct listener_stats {
    uint64_t accepted, refused_total, refused_address, refused_fds;
    size_t conns, handshakes, waiting;
};

/* Binds and listens. INVALID for a malformed address, IO when it cannot be bound. */
err listener_new(const struct listener_options *options, struct listener **ret_listener,
                 struct errtext *reterr) ERR_MUST_USE;

/* The port that is bound. */
uint16_t listener_port(const struct listener *listener);

/* New handshakes use this context from now on (certificate rotation); running ones keep theirs. */
void listener_set_tls(struct listener *listener, struct tls_ctx *tls);

struct listener_stats listener_stats_of(const struct listener *listener);

/* Closes the socket; its connections live on. Connections that wait for their handshake are
 * dropped. Accepts NULL. */
void listener_free(struct listener *listener);

#endif
