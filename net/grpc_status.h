/* gRPC status codes (grpc/doc/statuscodes.md); the numbers are the protocol's. */
#ifndef NET_GRPC_STATUS_H
#define NET_GRPC_STATUS_H

#define GRPC_STATUSES(X)                                                                           \
    X(OK, 0)                                                                                       \
    X(CANCELLED, 1)                                                                                \
    X(UNKNOWN, 2)                                                                                  \
    X(INVALID_ARGUMENT, 3)                                                                         \
    X(DEADLINE_EXCEEDED, 4)                                                                        \
    X(NOT_FOUND, 5)                                                                                \
    X(ALREADY_EXISTS, 6)                                                                           \
    X(PERMISSION_DENIED, 7)                                                                        \
    X(RESOURCE_EXHAUSTED, 8)                                                                       \
    X(FAILED_PRECONDITION, 9)                                                                      \
    X(ABORTED, 10)                                                                                 \
    X(OUT_OF_RANGE, 11)                                                                            \
    X(UNIMPLEMENTED, 12)                                                                           \
    X(INTERNAL, 13)                                                                                \
    X(UNAVAILABLE, 14)                                                                             \
    X(DATA_LOSS, 15)                                                                               \
    X(UNAUTHENTICATED, 16)

enum grpc_status {
#define GRPC_STATUS_ENUM(name, number) GRPC_##name = number,
    GRPC_STATUSES(GRPC_STATUS_ENUM)
#undef GRPC_STATUS_ENUM
};

enum { GRPC_STATUS_MAX = 16 };

/* "UNAVAILABLE"; "UNKNOWN" for a number outside the protocol. Static text. */
const char *grpc_status_name(enum grpc_status status);

#endif
