/* Why a call is not answered as asked: a reason for programs and a sentence for people. */
#ifndef SERVER_REFUSAL_H
#define SERVER_REFUSAL_H

#include "base/err.h"
#include "net/grpc.h"
#include "proto/reason.h"

struct refusal {
    enum reason reason;
    enum retry retry;
    char text[ERR_TEXT_MAX];
};

/* The refusal of a reason with its usual retry. */
struct refusal refusal_of(enum reason reason, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Ends the call with the status of the reason and the trailers concordat-reason, concordat-retry.
 * Loop thread. */
void refusal_send(struct grpc_call *call, const struct refusal *r);

/* The request or query that a database error stopped: DATA_LOSS without a reason, because nothing
 * is known. */
void refusal_send_broken(struct grpc_call *call, const struct errtext *why);

#endif
