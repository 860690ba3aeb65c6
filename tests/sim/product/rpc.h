/* A client's side of calls: what a program far away sees of a node's gRPC server. */
#ifndef TESTS_SIM_PRODUCT_RPC_H
#define TESTS_SIM_PRODUCT_RPC_H

#include "net/grpc_status.h"
#include "tests/sim/product/machine.h"

struct grpc_call;

enum rpc_end {
    RPC_ANSWERED, /* unary: status OK, one message. Stream: ended with a status */
    RPC_STATUS,   /* ended with another status */
    RPC_UNSENT,   /* nobody was there to take it */
    RPC_LOST,     /* the connection broke, or the client gave up waiting */
};

struct rpc_result {
    enum rpc_end end;
    enum grpc_status status;
    const char *reason, *retry; /* trailers; "" when absent */
    const char *text;
};

struct rpc_handler {
    void *ctx;
    void (*on_message)(void *ctx, struct bytes message);
    /* Once, and last; the call is gone afterwards. */
    void (*on_end)(void *ctx, const struct rpc_result *result);
    bool officer; /* by an officer's certificate, else by a client's */
};

/* Calls a method of the machine's node; the message is copied. The client gives up after
 * timeout_ns. */
struct grpc_call *rpc_start(struct machine *m, const char *path, struct bytes message,
                            const struct rpc_handler *handler, uint64_t timeout_ns);

/* The client has lost interest: on_end is not called any more. */
void rpc_forget(struct grpc_call *call);

#endif
