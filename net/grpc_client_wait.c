/* The blocking half of grpc_client.h: runs the loop until the answer is there. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "net/grpc_client.h"

enum { WAIT_NS = 100 * 1000 * 1000 };

err grpc_channel_wait(struct grpc_channel *channel, struct errtext *reterr)
{
    while (!grpc_channel_is_up(channel) && !grpc_channel_is_down(channel)) {
        loop_turn(grpc_channel_loop(channel), WAIT_NS);
    }
    if (grpc_channel_is_up(channel)) {
        return err_ok();
    }
    const char *reason = grpc_channel_reason(channel);
    enum err_code code = ERR_IO;
    bool wrong_server =
        strncmp(reason, "the server is ", 14) == 0 || strncmp(reason, "the server's ", 13) == 0;
    if (wrong_server || strstr(reason, "refused: ") != NULL) {
        code = ERR_DENIED;
    } else if (strstr(reason, "too long") != NULL) {
        code = ERR_TIMEOUT;
    }
    return err_fail(reterr, code, "%s", reason);
}

struct waiting_unary {
    struct grpc_reply *reply;
    bool done;
};

static void copy_trailer(const struct grpc_result *result, const char *name, char *ret, size_t size)
{
    struct bytes value;
    ret[0] = '\0';
    if (result->call != NULL && !failed(grpc_client_trailer(result->call, name, &value))) {
        size_t take = value.size < size ? value.size : size - 1;
        memcpy(ret, value.data, take);
        ret[take] = '\0';
    }
}

static void on_unary_end(void *ctx, const struct grpc_result *result)
{
    struct waiting_unary *w = ctx;
    struct grpc_reply *reply = w->reply;
    reply->status = result->status;
    reply->from_server = result->from_server;
    snprintf(reply->text, sizeof(reply->text), "%s", result->text);
    copy_trailer(result, "concordat-reason", reply->reason, sizeof(reply->reason));
    copy_trailer(result, "concordat-retry", reply->retry, sizeof(reply->retry));
    reply->message = mem_copy(result->message.data, result->message.size);
    reply->message_size = result->message.size;
    w->done = true;
}

void grpc_client_unary(struct grpc_channel *channel, const char *path, struct bytes message,
                       uint64_t timeout_ns, struct grpc_reply *ret)
{
    *ret = (struct grpc_reply){.status = GRPC_UNAVAILABLE};
    struct waiting_unary w = {ret, false};
    struct grpc_client_request request = {
        .path = path,
        .message = message,
        .timeout_ns = timeout_ns,
        .on_end = on_unary_end,
        .ctx = &w,
    };
    struct errtext why = {""};
    loop_update_now(grpc_channel_loop(channel)); /* the deadline counts from here */
    err e = grpc_client_call(channel, &request, NULL, &why);
    if (failed(e)) {
        ret->status = err_is(e, ERR_LIMIT) ? GRPC_RESOURCE_EXHAUSTED : GRPC_UNAVAILABLE;
        snprintf(ret->text, sizeof(ret->text), "%s", why.text);
        return;
    }
    while (!w.done) {
        loop_turn(grpc_channel_loop(channel), WAIT_NS);
    }
}

void grpc_reply_done(struct grpc_reply *reply)
{
    free(reply->message);
    *reply = (struct grpc_reply){.status = GRPC_UNKNOWN};
}
