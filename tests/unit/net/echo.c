#include "tests/unit/net/echo.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/cursor.h"
#include "base/mem.h"
#include "base/require.h"

struct echo_later {
    struct loop_timer timer;
    struct echo *echo;
    struct grpc_call_ref ref;
    struct echo_later *next;
    size_t size;
    uint8_t message[];
};

struct streaming {
    uint32_t left, size;
};

static struct echo *echo_of(const struct grpc_call *call)
{
    return grpc_call_server_ctx(call);
}

enum grpc_status echo_begin(struct grpc_call *call, struct errtext *reterr)
{
    struct bytes value;
    echo_of(call)->begun++;
    if (!failed(grpc_call_metadata(call, "x-refuse", &value))) {
        err_fail(reterr, ERR_DENIED, "refused at the door");
        return GRPC_PERMISSION_DENIED;
    }
    return GRPC_OK;
}

static void on_cancel(struct grpc_call *call)
{
    echo_of(call)->cancelled++;
    free(grpc_call_user(call));
}

static void on_unary(struct grpc_call *call, struct bytes message)
{
    grpc_call_reply(call, message);
}

static void on_big(struct grpc_call *call, struct bytes message)
{
    struct cursor c = cursor_of(message);
    uint32_t size = cursor_u32(&c);
    uint8_t *block = mem_new(size > 0 ? size : 1, 1);
    grpc_call_reply(call, bytes_of(block, size));
    free(block);
}

static void unlink_later(struct echo_later *l)
{
    for (struct echo_later **at = &l->echo->later; *at != NULL; at = &(*at)->next) {
        if (*at == l) {
            *at = l->next;
            break;
        }
    }
    l->echo->later_count--;
}

static void on_later_due(struct loop_timer *timer)
{
    struct echo_later *l = timer->ctx;
    struct grpc_call *call = grpc_server_find(l->echo->server, l->ref);
    if (call != NULL) {
        grpc_call_reply(call, bytes_of(l->message, l->size));
    }
    unlink_later(l);
    free(l);
}

static void on_later(struct grpc_call *call, struct bytes message)
{
    struct cursor c = cursor_of(message);
    uint32_t ms = cursor_u32(&c);
    struct echo *echo = echo_of(call);
    struct echo_later *l = mem_new(1, sizeof(*l) + message.size);
    l->echo = echo;
    l->ref = grpc_call_ref_of(call);
    l->size = message.size;
    memcpy(l->message, message.data, message.size);
    l->next = echo->later;
    echo->later = l;
    echo->later_count++;
    loop_timer_init(&l->timer, on_later_due, l);
    loop_timer_start(echo->loop, &l->timer, ms * NS_PER_MS, 0);
}

void echo_done(struct echo *echo)
{
    while (echo->later != NULL) {
        struct echo_later *l = echo->later;
        echo->later = l->next;
        loop_timer_stop(echo->loop, &l->timer);
        free(l);
    }
    echo->later_count = 0;
}

static void on_never(struct grpc_call *call, struct bytes message)
{
    echo_of(call)->running++;
}

static void on_fail(struct grpc_call *call, struct bytes message)
{
    grpc_call_trailer(call, "concordat-reason", "TEST_REASON");
    grpc_call_trailer(call, "concordat-retry", "never");
    enum grpc_status status = message.size > 0 ? (enum grpc_status)message.data[0] : GRPC_UNKNOWN;
    grpc_call_finish(call, status, "100% \xc3\xa9t\xc3\xa9\n2");
}

static void on_who(struct grpc_call *call, struct bytes message)
{
    char text[512];
    const struct tls_peer *p = grpc_call_peer(call);
    struct bytes value = {(const uint8_t *)"", 0};
    if (failed(grpc_call_metadata(call, "x-test", &value))) {
        value = bytes_of("", 0);
    }
    snprintf(text, sizeof(text), "%s/%s/%s x-test %.*s", p != NULL ? p->identity.institution : "",
             p != NULL ? identity_kind_name(p->identity.kind) : "",
             p != NULL ? p->identity.name : "", (int)value.size, (const char *)value.data);
    grpc_call_reply(call, bytes_text(text));
}

static void on_stream(struct grpc_call *call, struct bytes message)
{
    struct cursor c = cursor_of(message);
    struct streaming *s = mem_new(1, sizeof(*s));
    s->left = cursor_u32(&c);
    s->size = cursor_u32(&c);
    grpc_call_set_user(call, s);
}

static void on_stream_room(struct grpc_call *call)
{
    struct streaming *s = grpc_call_user(call);
    uint8_t *block = mem_new((size_t)s->size + 1, 1);
    while (s->left > 0 && grpc_call_room(call) > 0) {
        memset(block, (int)(s->left & 0xff), s->size);
        if (failed(grpc_call_send(call, bytes_of(block, s->size)))) {
            break;
        }
        s->left--;
    }
    free(block);
    if (s->left == 0) {
        free(s);
        grpc_call_finish(call, GRPC_OK, NULL);
    }
}

static void on_endless(struct grpc_call *call, struct bytes message)
{
    struct streaming *s = mem_new(1, sizeof(*s));
    s->left = UINT32_MAX;
    s->size = 1000;
    grpc_call_set_user(call, s);
}

static void on_chat(struct grpc_call *call, struct bytes message)
{
    if (failed(grpc_call_send(call, message))) {
        grpc_call_finish(call, GRPC_RESOURCE_EXHAUSTED, "chat is faster than its reader");
    }
}

static void on_chat_end(struct grpc_call *call)
{
    grpc_call_finish(call, GRPC_OK, NULL);
}

const struct grpc_method echo_methods[] = {
    {.path = "/test.Echo/Unary", .kind = GRPC_UNARY, .on_message = on_unary},
    {.path = "/test.Echo/Big", .kind = GRPC_UNARY, .on_message = on_big},
    {.path = "/test.Echo/Later",
     .kind = GRPC_UNARY,
     .on_message = on_later,
     .on_cancel = on_cancel},
    {.path = "/test.Echo/Never",
     .kind = GRPC_UNARY,
     .on_message = on_never,
     .on_cancel = on_cancel},
    {.path = "/test.Echo/Fail", .kind = GRPC_UNARY, .on_message = on_fail},
    {.path = "/test.Echo/Who", .kind = GRPC_UNARY, .on_message = on_who},
    {.path = "/test.Echo/Stream",
     .kind = GRPC_SERVER_STREAM,
     .on_message = on_stream,
     .on_room = on_stream_room,
     .on_cancel = on_cancel},
    {.path = "/test.Echo/Endless",
     .kind = GRPC_SERVER_STREAM,
     .on_message = on_endless,
     .on_room = on_stream_room,
     .on_cancel = on_cancel},
    {.path = "/test.Echo/Chat",
     .kind = GRPC_BIDI,
     .on_message = on_chat,
     .on_half_close = on_chat_end,
     .on_cancel = on_cancel},
};
const size_t echo_method_count = sizeof(echo_methods) / sizeof(echo_methods[0]);
