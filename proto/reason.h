/* Why a request was refused: the values of the trailers `concordat-reason` and `concordat-retry`,
 * and the reasons that a block's list of void requests keeps. What each means to a client is
 * written in concordat/v1/ledger.proto. Numbers up to 31 are those with which ledger/ stores void
 * requests; from 32 on they are the node's own. None is ever reused. */
#ifndef PROTO_REASON_H
#define PROTO_REASON_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

enum retry { RETRY_YES, RETRY_LATER, RETRY_NEVER };

/* name, number, gRPC status (a number of the gRPC specification), retry */
#define REASONS(X)                                                                                 \
    X(NONE, 0, 0, YES)                                                                             \
    X(MALFORMED, 1, 3, NEVER)                                                                      \
    X(TOO_LARGE, 2, 3, NEVER)                                                                      \
    X(WRONG_LEDGER, 3, 9, NEVER)                                                                   \
    X(UNSIGNED, 4, 16, NEVER)                                                                      \
    X(UNKNOWN_KEY, 5, 7, NEVER)                                                                    \
    X(KEY_REVOKED, 6, 7, NEVER)                                                                    \
    X(SIGNED_TWICE, 7, 3, NEVER)                                                                   \
    X(NOT_A_SIGNER, 8, 7, NEVER)                                                                   \
    X(BAD_SIGNATURE, 9, 7, NEVER)                                                                  \
    X(EXPIRED, 10, 9, NEVER)                                                                       \
    X(REQUEST_ID_REUSED, 11, 6, NEVER)                                                             \
    X(DUPLICATE, 12, 6, NEVER)                                                                     \
    X(TOO_COSTLY, 13, 3, NEVER)                                                                    \
    X(BLOCK_FULL, 14, 8, LATER)                                                                    \
    X(DENIED, 32, 7, NEVER)                                                                        \
    X(NOT_FOUND, 33, 5, LATER)                                                                     \
    X(BAD_REQUEST, 34, 3, NEVER)                                                                   \
    X(BUSY, 35, 8, LATER)                                                                          \
    X(RATE_LIMITED, 36, 8, LATER)                                                                  \
    X(NO_LEADER, 37, 14, YES)                                                                      \
    X(CATCHING_UP, 38, 14, YES)                                                                    \
    X(DRAINING, 39, 14, YES)                                                                       \
    X(LEDGER_FORKED, 40, 9, LATER)                                                                 \
    X(DISK_LOW, 41, 8, LATER)                                                                      \
    X(UNKNOWN_OUTCOME, 42, 10, YES)                                                                \
    X(CHANGE_PENDING, 43, 9, LATER)                                                                \
    X(QUORUM_AT_RISK, 44, 9, LATER)                                                                \
    X(CHANGE_REFUSED, 45, 9, NEVER)                                                                \
    X(NOT_COSIGNED, 46, 14, LATER)

enum reason {
#define REASON_ENUM(name, number, status, retry) REASON_##name = number,
    REASONS(REASON_ENUM)
#undef REASON_ENUM
};

/* A number may come from a newer node and be no reason of ours: all three functions take it.
 * "REQUEST_ID_REUSED": static text; "?" for such a number. */
const char *reason_name(enum reason r);

/* The number of the gRPC status to answer with; UNKNOWN (2) for such a number. */
uint32_t reason_grpc_status(enum reason r);

/* Whether the same bytes may succeed at another time or node; later for such a number. */
enum retry reason_retry(enum reason r);

/* "yes", "later" or "never": static text. */
const char *retry_name(enum retry r);

/* The reason of that name; false: no such name (a newer node's). */
bool reason_parse(struct bytes name, enum reason *ret);

#endif
