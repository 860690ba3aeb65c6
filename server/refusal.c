#include "server/refusal.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/require.h"

struct refusal refusal_of(enum reason reason, const char *fmt, ...)
{
    struct refusal r = {.reason = reason, .retry = reason_retry(reason)};
    va_list ap;
    require(reason != REASON_NONE);
    va_start(ap, fmt);
    vsnprintf(r.text, sizeof r.text, fmt, ap);
    va_end(ap);
    return r;
}

void refusal_send(struct grpc_call *call, const struct refusal *r)
{
    require(call != NULL);
    require(r->reason != REASON_NONE);
    grpc_call_trailer(call, "concordat-reason", reason_name(r->reason));
    grpc_call_trailer(call, "concordat-retry", retry_name(r->retry));
    if (r->reason == REASON_BUSY || r->reason == REASON_RATE_LIMITED) {
        grpc_call_trailer(call, "grpc-retry-pushback-ms", "200");
    }
    grpc_call_finish(call, (enum grpc_status)reason_grpc_status(r->reason), r->text);
}

void refusal_send_broken(struct grpc_call *call, const struct errtext *why)
{
    require(call != NULL);
    grpc_call_finish(call, GRPC_DATA_LOSS, why->text);
}
