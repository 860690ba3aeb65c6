/* A service for tests of the gRPC server: every kind of call, and calls that end badly. */
#ifndef TESTS_UNIT_NET_ECHO_H
#define TESTS_UNIT_NET_ECHO_H

#include <stddef.h>
#include <stdint.h>

#include "net/grpc.h"

struct echo {
    struct loop *loop;
    struct grpc_server *server;
    size_t cancelled, begun, running;
    struct echo_later *later; /* answers that wait */
    size_t later_count;
};

/* Unary     the message
 * Big       u32 n: n bytes
 * Later     u32 ms: the message, after that time
 * Never     nothing
 * Fail      u8 status: with text and trailers
 * Who       "institution/kind/name x-test <metadata>"
 * Stream    u32 count, u32 size: that many messages of that size
 * Endless   messages of 1000 bytes for ever
 * Chat      every message back; OK when the client ends                                       */
extern const struct grpc_method echo_methods[];
extern const size_t echo_method_count;

/* on_begin of the server: counts; refuses calls with metadata "x-refuse". */
enum grpc_status echo_begin(struct grpc_call *call, struct errtext *reterr);

/* Forgets answers that still wait. */
void echo_done(struct echo *echo);

#endif
