/* A gRPC client: one channel is one TLS connection to one node, with many calls in flight.
 * It does not reconnect: when the channel fails, every call on it ends with UNAVAILABLE and the
 * owner makes a new channel (to this node or another).
 *
 *     channel_open ---on_state(true)---> calls... ---on_state(false, reason)---> channel_free
 *
 * Thread: loop only, except the blocking functions, which run the loop themselves. */
#ifndef NET_GRPC_CLIENT_H
#define NET_GRPC_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "net/grpc_status.h"
#include "net/loop.h"
#include "net/pool.h"
#include "net/tls.h"

struct grpc_channel;
struct grpc_client_call;

struct grpc_channel_options {
    struct loop *loop;
    const char *address; /* "host:port" */
    struct tls_ctx *tls; /* client context with ALPN grpc_alpn; NULL: cleartext, tests only */
    /* Whom to expect. expect_node: the server's certificate must carry a SAN URI of kind node;
     * institution and name (NULL: any) must then match too. Else the CA list alone decides. */
    bool expect_node;
    const char *institution, *name;
    uint64_t connect_timeout_ns; /* 0: GRPC_CONNECT_NS */
    size_t message_bytes_max;    /* answers; 0: GRPC_MESSAGE_BYTES_MAX */
    struct pool *pool;           /* name lookups; NULL: in place (blocks) */
    /* May be NULL. up: the server has accepted us. Not up: it failed or ended, reason says why;
     * all calls were ended before. At most one of each, in this order. */
    void (*on_state)(void *ctx, struct grpc_channel *channel, bool up, const char *reason);
    void *ctx;
};

/* What a call ends with. Views until the callback returns. */
struct grpc_result {
    enum grpc_status status;
    const char *text;     /* grpc-message, decoded; "" when none */
    struct bytes message; /* unary: the answer when status is OK; empty otherwise */
    bool from_server;     /* false: made here (connection lost, deadline, protocol error) */
    const struct grpc_client_call *call; /* for grpc_client_trailer */
};

struct grpc_client_request {
    const char *path;            /* "/pkg.Service/Method"; copied */
    struct bytes message;        /* copied */
    uint64_t timeout_ns;         /* 0: none; sent to the server and kept here as well */
    const char *const *metadata; /* NULL, or name, value, name, value, ..., NULL; copied */
    /* Server streams: each message; may be NULL for unary calls (then on_end has the message).
     * Must not free the channel. */
    void (*on_message)(void *ctx, struct grpc_client_call *call, struct bytes message);
    /* Exactly once, the last call. Must not free the channel. */
    void (*on_end)(void *ctx, const struct grpc_result *result);
    void *ctx;
};

/* Starts to connect. INVALID for a malformed address. Calls may be started at once: they wait
 * for the connection. */
err grpc_channel_open(const struct grpc_channel_options *options, struct grpc_channel **ret_channel,
                      struct errtext *reterr) ERR_MUST_USE;

/* Ends all calls with CANCELLED and closes; accepts NULL. Not from inside a callback of it. */
void grpc_channel_free(struct grpc_channel *channel);

/* Ready for calls; and: it has failed or ended, for good. Before either it connects. */
bool grpc_channel_is_up(const struct grpc_channel *channel);
bool grpc_channel_is_down(const struct grpc_channel *channel);

struct loop *grpc_channel_loop(const struct grpc_channel *channel);

/* Why it is down ("" while it is not). */
const char *grpc_channel_reason(const struct grpc_channel *channel);

/* Calls started and not ended, also those that wait for room (streams the server allows). */
size_t grpc_channel_calls(const struct grpc_channel *channel);

/* The server's certificate; NULL before it is up, or without TLS. */
const struct tls_peer *grpc_channel_peer(const struct grpc_channel *channel);

/* Starts a call; on_end comes later, never from inside. LIMIT: message too large. INVALID: the
 * channel is down. *ret_call (may be NULL) is valid until on_end. */
err grpc_client_call(struct grpc_channel *channel, const struct grpc_client_request *request,
                     struct grpc_client_call **ret_call, struct errtext *reterr) ERR_MUST_USE;

/* Gives the call up: on_end(CANCELLED) comes in the next turn. */
void grpc_client_cancel(struct grpc_client_call *call);

/* A trailer (or, of a trailers-only answer, a header) by lower-case name; inside on_end.
 * NOT_FOUND. */
err grpc_client_trailer(const struct grpc_client_call *call, const char *name,
                        struct bytes *ret_value) ERR_MUST_USE;

/* ---- blocking, for commands and tests: runs the loop until the answer is there ---- */
enum { GRPC_REASON_BYTES_MAX = 128 };
struct grpc_reply {
    enum grpc_status status;
    bool from_server;
    char text[1024 + 1];
    char reason[GRPC_REASON_BYTES_MAX + 1]; /* trailer concordat-reason, "" when none */
    char retry[16];                         /* trailer concordat-retry, "" when none */
    uint8_t *message;                       /* owned by the reply; grpc_reply_done */
    size_t message_size;
};

/* Waits until the channel is up. TIMEOUT, IO or DENIED with the reason. */
err grpc_channel_wait(struct grpc_channel *channel, struct errtext *reterr) ERR_MUST_USE;

/* One unary call; ret is always filled (status UNAVAILABLE when the channel is down). */
void grpc_client_unary(struct grpc_channel *channel, const char *path, struct bytes message,
                       uint64_t timeout_ns, struct grpc_reply *ret);

void grpc_reply_done(struct grpc_reply *reply);

#endif
