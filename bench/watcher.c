#include "bench/watcher.h"

#include <stdlib.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/mem.h"
#include "net/grpc_client.h"
#include "proto/service.h"

enum { REPLY_ARENA = 64 << 20, ENDED_BYTES_MAX = 300 };
#define TURN_NS (UINT64_C(10) * NS_PER_MS)
#define SILENCE_NS (UINT64_C(60) * NS_PER_S)

struct watching;

struct stream {
    struct watching *watching;
    struct grpc_channel *channel;
    uint64_t next, end; /* positions */
    bool cancelled;
};

struct watching {
    struct loop *loop;
    struct clock clock;
    struct stream *streams;
    uint32_t streams_count, open;
    uint64_t heard_ns;
    struct arena arena;
    struct watched *sum;
    struct errtext why; /* "" while all is well */
};

static void fail(struct watching *w, const char *what, unsigned long long position)
{
    if (w->why.text[0] == '\0') {
        (void)err_fail(&w->why, ERR_CORRUPT, "%s, position %llu", what, position);
    }
}

static void take_entry(struct stream *s, const struct watch_entry *entry)
{
    struct watching *w = s->watching;
    if (entry->position != s->next) {
        fail(w, "a position was left out or came twice", entry->position);
        return;
    }
    uint64_t now = clock_wall_ns(&w->clock);
    histogram_add(&w->sum->behind, now > entry->time_ns ? now - entry->time_ns : 0);
    s->next++;
    w->sum->records++;
}

static void on_message(void *ctx, struct grpc_client_call *call, struct bytes message)
{
    struct stream *s = ctx;
    struct watching *w = s->watching;
    struct watch_reply *reply = NULL;
    w->heard_ns = loop_update_now(w->loop);
    w->sum->bytes += message.size;
    arena_reset(&w->arena);
    if (failed(watch_reply_decode(message, &w->arena, &reply, NULL))) {
        fail(w, "an unreadable message", s->next);
        return;
    }
    for (size_t i = 0; i < reply->entry_count && s->next < s->end; i++) {
        take_entry(s, &reply->entries[i]);
    }
    if (s->next >= s->end && !s->cancelled) {
        s->cancelled = true;
        w->open--;
        grpc_client_cancel(call);
    }
}

static void on_end(void *ctx, const struct grpc_result *r)
{
    struct stream *s = ctx;
    if (!s->cancelled && s->watching->why.text[0] == '\0') {
        (void)err_fail(&s->watching->why, ERR_IO, "a stream ended: %s: %.*s",
                       grpc_status_name(r->status), ENDED_BYTES_MAX, r->text);
    }
}

static err stream_open(struct stream *s, const struct options *options, struct tls_ctx *tls,
                       struct errtext *reterr)
{
    struct grpc_channel_options o = {.loop = s->watching->loop,
                                     .address = options->addresses[0],
                                     .tls = tls,
                                     .expect_node = true};
    struct watch_request q = {.from_position = s->next};
    struct buf message;
    TRY(grpc_channel_open(&o, &s->channel, reterr));
    buf_init(&message, 4096);
    watch_request_encode(&q, &message);
    struct grpc_client_request request = {.path = METHOD_WATCH,
                                          .message = buf_bytes(&message),
                                          .on_message = on_message,
                                          .on_end = on_end,
                                          .ctx = s};
    err e = grpc_client_call(s->channel, &request, NULL, reterr);
    buf_done(&message);
    return e;
}

static err run(struct watching *w, const struct options *options, struct tls_ctx *tls,
               struct errtext *reterr)
{
    for (uint32_t i = 0; i < w->streams_count; i++) {
        w->streams[i] = (struct stream){
            .watching = w,
            .next = options->watch_from,
            .end = (uint64_t)options->watch_from + options->watch,
        };
        TRY(stream_open(&w->streams[i], options, tls, reterr));
    }
    uint64_t began = loop_update_now(w->loop);
    w->heard_ns = began;
    while (w->open > 0 && w->why.text[0] == '\0') {
        loop_turn(w->loop, TURN_NS);
        if (loop_update_now(w->loop) > w->heard_ns + SILENCE_NS) {
            return err_fail(reterr, ERR_TIMEOUT, "nothing came for a minute");
        }
    }
    w->sum->took_ns = w->heard_ns - began;
    return w->why.text[0] == '\0' ? err_ok() : err_fail(reterr, ERR_CORRUPT, "%s", w->why.text);
}

err watcher_run(const struct options *options, struct loop *loop, struct tls_ctx *tls,
                struct watched *ret, struct errtext *reterr)
{
    struct watching w = {.loop = loop,
                         .clock = clock_system(),
                         .streams_count = options->clients,
                         .open = options->clients,
                         .sum = ret};
    w.streams = mem_new(options->clients, sizeof *w.streams);
    arena_init(&w.arena, REPLY_ARENA);
    err e = run(&w, options, tls, reterr);
    for (uint32_t i = 0; i < w.streams_count; i++) {
        w.streams[i].cancelled = true;
        grpc_channel_free(w.streams[i].channel);
    }
    arena_done(&w.arena);
    free(w.streams);
    return e;
}
