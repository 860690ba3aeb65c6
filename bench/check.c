#include "bench/check.h"

#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/hex.h"
#include "bench/maker.h"
#include "net/grpc_client.h"
#include "proto/service.h"

enum { ID_LINE_SIZE = 2 * REQUEST_ID_SIZE + 1, IDS_BYTES_MAX = 512 << 20, ANSWER_ARENA = 32 << 20 };
#define ASK_NS (UINT64_C(10) * NS_PER_S)

struct checking {
    const struct options *options;
    struct grpc_channel *channel;
    struct buf ids, message;
    struct arena arena;
    struct check_counts counts;
    struct errtext last;
};

static void judge(struct checking *c, const struct grpc_reply *reply)
{
    struct submit_reply *answer = NULL;
    if (reply->status != GRPC_OK) {
        (void)err_fail(&c->last, ERR_NOT_FOUND, "%s %s: %.300s", grpc_status_name(reply->status),
                       reply->reason, reply->text);
        return;
    }
    arena_reset(&c->arena);
    if (failed(submit_reply_decode(bytes_of(reply->message, reply->message_size), &c->arena,
                                   &answer, &c->last))) {
        return;
    }
    bool accepted = answer->outcome_count > 0;
    for (size_t i = 0; i < answer->outcome_count; i++) {
        accepted = accepted && answer->outcomes[i].end == END_ACCEPTED;
    }
    c->counts.found++;
    c->counts.accepted += accepted ? 1 : 0;
}

static err ask_all(struct checking *c, struct errtext *reterr)
{
    struct get_outcome_request q = {.party = bytes_text(c->options->party),
                                    .local = c->options->local};
    for (size_t at = 0; at + ID_LINE_SIZE <= c->ids.size; at += ID_LINE_SIZE) {
        struct grpc_reply reply = {0};
        if (failed(hex_decode(bytes_of(c->ids.data + at, ID_LINE_SIZE - 1), q.request_id,
                              REQUEST_ID_SIZE)) ||
            c->ids.data[at + ID_LINE_SIZE - 1] != '\n') {
            return err_fail(reterr, ERR_INVALID, "%s: line %zu is no request id", c->options->check,
                            at / ID_LINE_SIZE + 1);
        }
        buf_clear(&c->message);
        get_outcome_request_encode(&q, &c->message);
        grpc_client_unary(c->channel, METHOD_GET_OUTCOME, buf_bytes(&c->message), ASK_NS, &reply);
        c->counts.asked++;
        judge(c, &reply);
        grpc_reply_done(&reply);
    }
    return err_ok();
}

err check_run(const struct options *options, struct loop *loop, struct tls_ctx *tls,
              struct check_counts *ret, struct errtext *reterr)
{
    struct checking c = {.options = options};
    struct grpc_channel_options o = {
        .loop = loop, .address = options->addresses[0], .tls = tls, .expect_node = true};
    buf_init(&c.ids, IDS_BYTES_MAX);
    buf_init(&c.message, 4096);
    arena_init(&c.arena, ANSWER_ARENA);
    err e = maker_read_file(options->check, &c.ids, reterr);
    if (!failed(e)) {
        e = grpc_channel_open(&o, &c.channel, reterr);
    }
    if (!failed(e)) {
        e = grpc_channel_wait(c.channel, reterr);
    }
    if (!failed(e)) {
        e = ask_all(&c, reterr);
    }
    if (!failed(e)) {
        *ret = c.counts;
        if (reterr != NULL) {
            *reterr = c.last;
        }
    }
    grpc_channel_free(c.channel);
    buf_done(&c.ids);
    buf_done(&c.message);
    arena_done(&c.arena);
    return e;
}
