/* The methods of a node, and who may call them. */
#include <stddef.h>

#include "proto/service.h"
#include "server/parts.h"

static const struct grpc_method METHODS[] = {
    {.path = METHOD_SUBMIT,
     .kind = GRPC_UNARY,
     .on_message = submit_call,
     .on_cancel = submit_cancel},
    {.path = METHOD_GET_OUTCOME,
     .kind = GRPC_UNARY,
     .on_message = query_call,
     .on_cancel = query_cancel},
    {.path = METHOD_GET_RECEIPT,
     .kind = GRPC_UNARY,
     .on_message = query_call,
     .on_cancel = query_cancel},
    {.path = METHOD_GET_CONSISTENCY,
     .kind = GRPC_UNARY,
     .on_message = query_call,
     .on_cancel = query_cancel},
    {.path = METHOD_GET_POLICY,
     .kind = GRPC_UNARY,
     .on_message = query_call,
     .on_cancel = query_cancel},
    {.path = METHOD_WATCH,
     .kind = GRPC_SERVER_STREAM,
     .on_message = watch_call,
     .on_room = watch_room,
     .on_cancel = watch_cancel},
    {.path = METHOD_BALANCE,
     .kind = GRPC_UNARY,
     .on_message = query_call,
     .on_cancel = query_cancel},
    {.path = METHOD_ROWS, .kind = GRPC_UNARY, .on_message = query_call, .on_cancel = query_cancel},
    {.path = METHOD_STATEMENT,
     .kind = GRPC_UNARY,
     .on_message = query_call,
     .on_cancel = query_cancel},
    {.path = METHOD_PROVE_STATEMENT,
     .kind = GRPC_UNARY,
     .on_message = query_call,
     .on_cancel = query_cancel},
    {.path = METHOD_TRIAL_BALANCE,
     .kind = GRPC_UNARY,
     .on_message = query_call,
     .on_cancel = query_cancel},
    {.path = METHOD_LIST_CONTRACTS,
     .kind = GRPC_UNARY,
     .on_message = query_call,
     .on_cancel = query_cancel},
    {.path = METHOD_GET_CONTRACT,
     .kind = GRPC_UNARY,
     .on_message = query_call,
     .on_cancel = query_cancel},
    {.path = METHOD_SIMULATE,
     .kind = GRPC_UNARY,
     .on_message = decide_call,
     .on_cancel = decide_cancel},
    {.path = METHOD_EXPLAIN,
     .kind = GRPC_UNARY,
     .on_message = decide_call,
     .on_cancel = decide_cancel},
    {.path = METHOD_GENESIS,
     .kind = GRPC_UNARY,
     .on_message = query_call,
     .on_cancel = query_cancel},
    {.path = METHOD_BLOCKS,
     .kind = GRPC_UNARY,
     .on_message = query_call,
     .on_cancel = query_cancel},
    {.path = METHOD_HEADS,
     .kind = GRPC_UNARY,
     .on_message = query_call,
     .on_cancel = query_cancel},
    {.path = METHOD_STATUS, .kind = GRPC_UNARY, .on_message = status_call},
    {.path = METHOD_NODES, .kind = GRPC_UNARY, .on_message = nodes_call},
    {.path = METHOD_TRANSFER, .kind = GRPC_UNARY, .on_message = transfer_call},
    {.path = METHOD_HEALTH_CHECK, .kind = GRPC_UNARY, .on_message = health_check_call},
    {.path = METHOD_HEALTH_WATCH,
     .kind = GRPC_SERVER_STREAM,
     .on_message = health_watch_call,
     .on_cancel = health_watch_cancel},
};

const struct grpc_method *services_methods(size_t *ret_count)
{
    *ret_count = sizeof METHODS / sizeof *METHODS;
    return METHODS;
}

/* The certificate has been checked against the CA of its own institution. It must speak for this
 * ledger, and a node's certificate is for links between nodes only: a stolen one opens no door
 * here. */
enum grpc_status services_admit(struct grpc_call *call, struct errtext *reterr)
{
    struct node *n = grpc_call_server_ctx(call);
    const struct tls_peer *peer = grpc_call_peer(call);
    const char *why = NULL;
    if (peer == NULL) {
        (void)err_fail(reterr, ERR_DENIED, "a client certificate is needed for calls");
        grpc_call_trailer(call, "concordat-reason", reason_name(REASON_DENIED));
        grpc_call_trailer(call, "concordat-retry", retry_name(RETRY_NEVER));
        return GRPC_UNAUTHENTICATED;
    }
    if (!peer->has_identity) {
        why = "a client certificate with an identity is needed";
    } else if (peer->identity.kind == IDENTITY_NODE) {
        why = "a node's certificate is not for clients; use a client's or an officer's";
    } else if (!bytes_equal(bytes_text(peer->identity.origin), ledger_origin(n->ledger))) {
        why = "the certificate is for another ledger";
    }
    if (why == NULL && n->failing[0] != '\0') {
        grpc_call_trailer(call, "concordat-reason", reason_name(REASON_DRAINING));
        grpc_call_trailer(call, "concordat-retry", retry_name(RETRY_YES));
        err e = err_fail(reterr, ERR_AGAIN, "this node is stopping; ask another one");
        (void)e;
        return GRPC_UNAVAILABLE;
    }
    if (why == NULL) {
        return GRPC_OK;
    }
    grpc_call_trailer(call, "concordat-reason", reason_name(REASON_DENIED));
    grpc_call_trailer(call, "concordat-retry", retry_name(RETRY_NEVER));
    err e = err_fail(reterr, ERR_DENIED, "%s", why);
    (void)e;
    return GRPC_PERMISSION_DENIED;
}

static enum end end_of(enum ledger_end end)
{
    switch (end) {
    case LEDGER_ACCEPTED:
        return END_ACCEPTED;
    case LEDGER_REJECTED:
        return END_REJECTED;
    case LEDGER_FAULT:
        return END_FAULT;
    }
    return END_UNSPECIFIED;
}

struct event_outcome services_outcome(const struct ledger_outcome *from)
{
    return (struct event_outcome){
        .position = from->position,
        .end = end_of(from->end),
        .contract = from->contract,
        .action = from->action,
        .contract_version = from->contract_version,
        .clause = from->clause,
        .text = from->text,
        .kind = from->kind,
        .line = from->line,
    };
}
