/* A gRPC server on one loop: unary calls, server streams and bidirectional streams over HTTP/2
 * and TLS. It knows nothing of protobuf: messages are bytes.
 *
 * A *call* lives from its request headers until on_cancel or grpc_call_finish; a handler may
 * answer at once or later. Who answers later keeps a grpc_call_ref and asks grpc_server_find,
 * because the call may be gone by then: its client left, or its deadline passed.
 *
 * Streams pull: a handler keeps a cursor and sends while grpc_call_room() > 0; on_room says when
 * there is room again. A slow reader so costs a cursor, not memory.
 *
 * Views (messages, metadata) live as long as the callback, or as said. Thread: loop only. */
#ifndef NET_GRPC_H
#define NET_GRPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"
#include "net/grpc_status.h"
#include "net/loop.h"
#include "net/tls.h"

struct grpc_server;
struct grpc_call;

/* Names a call for later; never used for another one; all zero names none. */
struct grpc_call_ref {
    uint64_t conn_id;
    uint32_t stream_id;
};

enum grpc_kind {
    GRPC_UNARY,         /* one message in, one out */
    GRPC_SERVER_STREAM, /* one message in, any number out */
    GRPC_BIDI,          /* any number each way (client streams too) */
};

struct grpc_method {
    const char *path; /* "/concordat.v1.Ledger/Submit": exact, case-sensitive; static */
    enum grpc_kind kind;
    /* UNARY, SERVER_STREAM: exactly once, with the whole request. BIDI: for each message. */
    void (*on_message)(struct grpc_call *call, struct bytes message);
    /* BIDI only: the client has sent its last message. May be NULL. */
    void (*on_half_close)(struct grpc_call *call);
    /* Streams: there is room again (grpc_call_room > 0). May be NULL. Also after the first
     * on_message, so that a handler can do all its sending here. */
    void (*on_room)(struct grpc_call *call);
    /* The call ends without grpc_call_finish: client gone, reset, or deadline passed. Only after
     * on_message was called. May be NULL. The call is invalid when it returns. */
    void (*on_cancel)(struct grpc_call *call);
    void *ctx;
};

/* The answer to a plain HTTP GET on the same port. */
struct grpc_page {
    unsigned status;   /* of HTTP: 200, 404, ... */
    const char *type;  /* content-type; static */
    const char *cache; /* cache-control; static */
    struct buf body;   /* initialised, at most message_bytes_max; empty at first */
};

struct grpc_server_options {
    struct loop *loop;
    const struct grpc_method *methods; /* not owned, outlives the server */
    size_t method_count;
    void *ctx; /* grpc_call_server_ctx */
    /* May be NULL. Admission on headers, before a body is read: GRPC_OK or the status to refuse
     * with, and its text. May add trailers. */
    enum grpc_status (*on_begin)(struct grpc_call *call, struct errtext *reterr);
    /* May be NULL: then a GET is answered 405, as every other method but POST is. Answers at once;
     * path is ":path" as it was sent, from anybody who got through the handshake. */
    void (*on_get)(void *ctx, struct bytes path, struct grpc_page *ret);
    size_t message_bytes_max;  /* 0: GRPC_MESSAGE_BYTES_MAX; larger requests: RESOURCE_EXHAUSTED */
    uint32_t streams_max;      /* calls at once on a connection; 0: GRPC_STREAMS_MAX */
    uint64_t idle_ns;          /* connection without calls; 0: GRPC_IDLE_NS */
    uint64_t age_ns;           /* oldest age of a connection +-10 %; 0: for ever */
    size_t conns_per_peer_max; /* of one identity; 0: GRPC_CONNS_PER_PEER_MAX */
};

struct grpc_server_stats {
    uint64_t conns_accepted, calls_started, calls_ok, calls_failed, calls_cancelled;
    uint64_t conns_abused;      /* closed for flooding, stalling or breaking the protocol */
    size_t conns, calls;        /* now */
    size_t bytes_in, bytes_out; /* message bytes held now, both directions */
};

/* Makes a server that listens nowhere yet. INVALID when a method is listed twice. */
err grpc_server_new(const struct grpc_server_options *options, struct grpc_server **ret_server,
                    struct errtext *reterr) ERR_MUST_USE;

/* Listens on "host:port" (port 0: any free one) with TLS; tls NULL is cleartext HTTP/2, for
 * benches behind loopback only. Up to GRPC_LISTENERS_MAX times. The context must be built with
 * ALPN grpc_alpn. INVALID, LIMIT, IO. */
err grpc_server_listen(struct grpc_server *server, const char *address, struct tls_ctx *tls,
                       uint16_t *ret_port, struct errtext *reterr) ERR_MUST_USE;

/* The ALPN list for tls_options: "h2". */
extern const char *const grpc_alpn[];

/* New connections of the listener on this port use this context. */
void grpc_server_set_tls(struct grpc_server *server, uint16_t port, struct tls_ctx *tls);

/* Ends the connections whose certificate drop() picks (revoked, or its CA is no longer trusted):
 * calls on them get on_cancel. A new context alone acts on new handshakes only. */
void grpc_server_drop(struct grpc_server *server,
                      bool (*drop)(void *ctx, const struct tls_peer *peer), void *ctx);

/* Graceful end: stops listening, tells clients (GOAWAY in two steps), lets calls in flight
 * finish for grace_ns, then ends the rest with UNAVAILABLE and closes. on_drained runs once, when
 * the last connection is gone. */
void grpc_server_drain(struct grpc_server *server, uint64_t grace_ns, void (*on_drained)(void *ctx),
                       void *ctx);

bool grpc_server_is_draining(const struct grpc_server *server);

struct grpc_server_stats grpc_server_stats_of(const struct grpc_server *server);

/* Cuts everything at once: calls get on_cancel. Accepts NULL. Not from inside a callback of it. */
void grpc_server_free(struct grpc_server *server);

/* ---- the call ---- */

const struct grpc_method *grpc_call_method(const struct grpc_call *call);
void *grpc_call_server_ctx(const struct grpc_call *call);

/* A pointer the handler may keep with the call (its own to free, in on_cancel or before finish). */
void grpc_call_set_user(struct grpc_call *call, void *user);
void *grpc_call_user(const struct grpc_call *call);

struct grpc_call_ref grpc_call_ref_of(const struct grpc_call *call);

/* The call, or NULL when it is over. */
struct grpc_call *grpc_server_find(struct grpc_server *server, struct grpc_call_ref ref);

/* Loop time in ns at which the client stops waiting; UINT64_MAX: never. */
uint64_t grpc_call_deadline_ns(const struct grpc_call *call);

/* The client's certificate, or NULL. Valid as long as the call. */
const struct tls_peer *grpc_call_peer(const struct grpc_call *call);

/* "host:port" of the client. Valid as long as the call. */
const char *grpc_call_address(const struct grpc_call *call);

/* First value of a request header, by its lower-case name. "-bin" values are as sent (base64).
 * NOT_FOUND. The view lives as long as the call. */
err grpc_call_metadata(const struct grpc_call *call, const char *name,
                       struct bytes *ret_value) ERR_MUST_USE;

/* The decoded bytes of a "-bin" header (the first when several are joined by commas) in ret, of
 * size_max bytes. NOT_FOUND, INVALID (not base64), LIMIT. */
err grpc_call_metadata_bin(const struct grpc_call *call, const char *name, uint8_t *ret,
                           size_t size_max, size_t *ret_size) ERR_MUST_USE;

/* Adds a trailer to the answer; name lower-case and static, value printable ASCII, copied. At
 * most GRPC_TRAILERS_MAX of GRPC_TRAILER_BYTES_MAX; beyond that it is left out. */
void grpc_call_trailer(struct grpc_call *call, const char *name, const char *value);

/* Sends one message (copied). LIMIT: larger than GRPC_MESSAGE_BYTES_MAX. FULL: the output budget
 * of stream, connection or server is used up; the message was not taken: wait for on_room, or
 * finish with RESOURCE_EXHAUSTED. */
err grpc_call_send(struct grpc_call *call, struct bytes message) ERR_MUST_USE;

/* Bytes a stream should send now; 0: wait for on_room. */
size_t grpc_call_room(const struct grpc_call *call);

/* Ends the call with a status; text (UTF-8, may be NULL or "") is for people, cut at
 * GRPC_TEXT_BYTES_MAX. What was sent before still leaves first. The call is invalid afterwards. */
void grpc_call_finish(struct grpc_call *call, enum grpc_status status, const char *text);

/* Unary: sends the message and finishes OK (or RESOURCE_EXHAUSTED when it cannot be taken). The
 * call is invalid afterwards. */
void grpc_call_reply(struct grpc_call *call, struct bytes message);

#endif
