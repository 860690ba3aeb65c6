/* Target: grpc_session_in with everything behind it: HTTP/2, headers, calls, messages. The first
 * byte says how the rest is cut, and whether it is sent as it is after the preface or read as a
 * program that sends frames. */
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "base/require.h"
#include "net/grpc_core.h"
#include "tests/unit/net/echo.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void drain_out(struct grpc_session *s)
{
    size_t total = 0;
    for (struct bytes b = grpc_session_out(s); b.size > 0 && total < 1 << 20;
         b = grpc_session_out(s)) {
        total += b.size;
    }
}

enum { DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY_TYPE, WINDOW, CONT };

static void put_frame(struct buf *b, uint8_t type, uint8_t flags, uint32_t id, struct bytes payload)
{
    buf_put_u8(b, 0);
    buf_put_u16(b, (uint16_t)payload.size);
    buf_put_u8(b, type);
    buf_put_u8(b, flags);
    buf_put_u32(b, id);
    buf_put_bytes(b, payload);
}

static void put_field(struct buf *b, const char *name, struct bytes value)
{
    buf_put_u8(b, 0); /* RFC 7541 6.2.2, both texts shorter than 127 */
    buf_put_u8(b, (uint8_t)strlen(name));
    buf_put_text(b, name);
    buf_put_u8(b, (uint8_t)value.size);
    buf_put_bytes(b, value);
}

static void put_request(struct buf *out, struct cursor *c, uint32_t id, uint8_t flags)
{
    struct buf b;
    buf_init(&b, 4096);
    uint8_t which = cursor_u8(c);
    put_field(&b, ":method", bytes_text(which & 64 ? "GET" : "POST"));
    put_field(&b, ":scheme", bytes_text("https"));
    put_field(&b, ":path", bytes_text(echo_methods[which % echo_method_count].path));
    put_field(&b, "content-type", bytes_text("application/grpc"));
    if (which & 128) {
        put_field(&b, "grpc-timeout", cursor_bytes(c, cursor_u8(c) % 12));
    }
    put_frame(out, HEADERS, (uint8_t)(4 | (flags & 1)), id, buf_bytes(&b));
    buf_done(&b);
}

/* One instruction: what, stream, flags, and for most a payload from the input. */
static void put_step(struct buf *out, struct cursor *c)
{
    uint8_t what = cursor_u8(c);
    uint8_t where = cursor_u8(c);
    uint8_t flags = where & 128 ? 1 : 0;
    uint32_t id = (where & 31) * 2u + 1;
    if (what < 80) {
        put_request(out, c, id, flags);
    } else if (what < 160) {
        struct bytes body = cursor_bytes(c, cursor_u8(c));
        struct buf b;
        buf_init(&b, 4096);
        if (what < 130) { /* a whole message; else the input's own framing */
            buf_put_u8(&b, 0);
            buf_put_u32(&b, (uint32_t)body.size);
        }
        buf_put_bytes(&b, body);
        put_frame(out, DATA, flags, id, buf_bytes(&b));
        buf_done(&b);
    } else if (what < 180) {
        put_frame(out, RST, 0, id, bytes_of("\0\0\0\x08", 4));
    } else if (what < 200) {
        put_frame(out, WINDOW, 0, where & 64 ? 0 : id, cursor_bytes(c, 4));
    } else if (what < 220) {
        put_frame(out, SETTINGS, flags, 0, cursor_bytes(c, flags ? 0 : where % 4 * 6u));
    } else {
        uint8_t type = cursor_u8(c);
        uint8_t any = cursor_u8(c);
        put_frame(out, type % 11, any, where & 64 ? 0 : id, cursor_bytes(c, cursor_u8(c)));
    }
}

static void run(struct grpc_session *s, struct bytes in, size_t step)
{
    err e = err_ok();
    while (in.size > 0 && !failed(e)) {
        size_t take = in.size < step ? in.size : step;
        e = grpc_session_in(s, bytes_of(in.data, take), NULL);
        in = bytes_of(in.data + take, in.size - take);
        drain_out(s);
    }
    drain_out(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    if (size < 1) {
        return 0;
    }
    size_t step = (size_t)(data[0] & 127) + 1;
    struct buf program;
    buf_init(&program, 1 << 20);
    struct bytes in = bytes_of(data + 1, size - 1);
    struct echo echo = {0};
    require(!failed(loop_new(&echo.loop, NULL)));
    struct grpc_server_options o = {
        .loop = echo.loop,
        .methods = echo_methods,
        .method_count = echo_method_count,
        .ctx = &echo,
        .on_begin = echo_begin,
        .message_bytes_max = 4096,
    };
    require(!failed(grpc_server_new(&o, &echo.server, NULL)));
    struct grpc_session *s = grpc_session_new(echo.server, NULL);
    grpc_session_open(s, NULL, "fuzz");
    buf_put(&program, preface, sizeof(preface) - 1);
    if (data[0] & 128) {
        buf_put_bytes(&program, in);
    } else {
        put_frame(&program, SETTINGS, 0, 0, bytes_of(NULL, 0));
        struct cursor c = cursor_of(in);
        while (cursor_ok(&c) && cursor_left(&c) > 0) {
            put_step(&program, &c);
        }
    }
    run(s, buf_bytes(&program), step);
    buf_done(&program);
    grpc_session_sweep(s);
    grpc_session_free(s);
    struct grpc_server_stats stats = grpc_server_stats_of(echo.server);
    require(stats.calls == 0);
    require(stats.bytes_in == 0);
    require(stats.bytes_out == 0);
    grpc_server_free(echo.server);
    echo_done(&echo);
    loop_free(echo.loop);
    return 0;
}
