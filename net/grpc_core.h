/* What the parts of the gRPC server share: a session is the server side of one connection as a
 * machine of bytes, without a socket; grpc_server.c puts it on connections. Tests and fuzzers
 * drive a session directly; nobody else includes this. */
#ifndef NET_GRPC_CORE_H
#define NET_GRPC_CORE_H

#include "base/limits.h"
#include "base/map.h"
#include "net/budget.h"
#include "net/conn.h"
#include "net/grpc.h"
#include "net/grpc_wire.h"
#include "net/h2.h"
#include "net/listener.h"

struct grpc_session;

struct grpc_trailer {
    const char *name; /* static */
    char value[GRPC_TRAILER_BYTES_MAX + 1];
};

/*  NEW --headers--> OPEN --whole request--> RUNNING --finish--> FINISHED --stream closed--> freed
 *                     \______refused, reset, deadline___________/                            */
struct grpc_call {
    struct grpc_session *session;
    struct grpc_call *next; /* in the free list of the server */
    struct h2_stream *stream;
    const struct grpc_method *method; /* NULL: refused */
    struct loop_timer deadline;
    uint64_t deadline_ns; /* UINT64_MAX: none */
    uint64_t moved_ns;    /* when the request last grew, or the answer last shrank */
    size_t queued;        /* of the answer, at the last look */
    struct grpc_deframer in;
    struct bytes message; /* unary kinds: the request, when got_message */
    void *user;
    unsigned http_status; /* not gRPC: answer with this at the end of the request; 0: gRPC */
    bool responded, got_message, running, finished, starved;
    size_t trailer_count;
    struct grpc_trailer trailers[GRPC_TRAILERS_MAX];
};

struct grpc_session {
    struct grpc_server *server;
    struct grpc_session *next, *prev; /* ring of server->sessions */
    struct conn *conn;                /* NULL: none (tests) */
    struct h2 *h2;                    /* owned; NULL before the handshake is done */
    const struct tls_peer *peer;
    const char *address;
    uint64_t id;
    uint64_t opened_ns, busy_ns, retire_ns, pinged_ns;
    struct budget in, out;
    struct bytes peer_key; /* in server->peers; owned */
    bool closing;
};

struct grpc_server {
    struct grpc_server_options options;
    struct map methods;           /* path -> struct grpc_method */
    struct map ids;               /* session id -> struct grpc_session */
    struct map peers;             /* identity -> struct peer_count, owned */
    struct grpc_session sessions; /* ring; itself is the sentinel */
    struct grpc_call *free_calls; /* owned */
    size_t free_call_count;
    struct budget in, out;
    uint64_t next_id;
    struct grpc_server_stats stats;
    struct listener *listeners[GRPC_LISTENERS_MAX]; /* owned */
    size_t listener_count;
    struct loop_timer sweep, grace;
    struct loop_task drained;
    bool draining, grace_over;
    void (*on_drained)(void *ctx);
    void *on_drained_ctx;
};

/* A session of the server; conn may be NULL. h2 is started by grpc_session_open. */
struct grpc_session *grpc_session_new(struct grpc_server *server, struct conn *conn);
void grpc_session_open(struct grpc_session *s, const struct tls_peer *peer, const char *address);

/* Ends every call with on_cancel and frees. */
void grpc_session_free(struct grpc_session *s);

/* Takes received bytes; errors as h2_recv. */
err grpc_session_in(struct grpc_session *s, struct bytes data, struct errtext *reterr) ERR_MUST_USE;

/* The next bytes to send, valid until the next call; empty: nothing now. */
struct bytes grpc_session_out(struct grpc_session *s);

/* Once a second: stalled requests and answers, starved streams. */
void grpc_session_sweep(struct grpc_session *s);

/* Ends every call that runs with this status. */
void grpc_session_end_calls(struct grpc_session *s, enum grpc_status status, const char *text);

/* Frees the calls that are kept for later. */
void grpc_calls_done(struct grpc_server *server);

#endif
