#include "tests/unit/net/raw.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint64_t next_random(struct raw_world *w)
{
    w->seed = w->seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return w->seed >> 33;
}

/* ---- frames by hand (RFC 9113 4.1, RFC 7541) ---- */

void raw_frame(struct raw_world *w, uint8_t type, uint8_t flags, uint32_t id, struct bytes payload)
{
    buf_put_u8(&w->in, (uint8_t)(payload.size >> 16));
    buf_put_u16(&w->in, (uint16_t)payload.size);
    buf_put_u8(&w->in, type);
    buf_put_u8(&w->in, flags);
    buf_put_u32(&w->in, id);
    buf_put_bytes(&w->in, payload);
}

static void put_hpack_int(struct buf *b, size_t value)
{
    if (value < 127) {
        buf_put_u8(b, (uint8_t)value);
        return;
    }
    buf_put_u8(b, 127);
    for (value -= 127; value >= 128; value >>= 7) {
        buf_put_u8(b, (uint8_t)(value % 128 + 128));
    }
    buf_put_u8(b, (uint8_t)value);
}

void raw_put_field(struct buf *b, const char *name, const char *value)
{
    buf_put_u8(b, 0); /* literal without indexing, new name */
    put_hpack_int(b, strlen(name));
    buf_put_text(b, name);
    put_hpack_int(b, strlen(value));
    buf_put_text(b, value);
}

static void preface(struct raw_world *w)
{
    buf_put_text(&w->in, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    raw_frame(w, SETTINGS, 0, 0, bytes_of(NULL, 0));
}

void raw_put_request(struct buf *b, const struct raw_ask *a)
{
    raw_put_field(b, ":method", a->method != NULL ? a->method : "POST");
    raw_put_field(b, ":scheme", "https");
    raw_put_field(b, ":path", a->path != NULL ? a->path : "/test.Echo/Unary");
    raw_put_field(b, ":authority", "localhost");
    raw_put_field(b, "te", "trailers");
    if (a->type == NULL || a->type[0] != '\0') {
        raw_put_field(b, "content-type", a->type != NULL ? a->type : "application/grpc");
    }
    if (a->timeout != NULL) {
        raw_put_field(b, "grpc-timeout", a->timeout);
    }
    if (a->extra_name != NULL) {
        raw_put_field(b, a->extra_name, a->extra_value);
    }
}

void raw_request(struct raw_world *w, uint32_t id, uint8_t flags, const struct raw_ask *a)
{
    struct buf b;
    buf_init(&b, 1 << 20);
    raw_put_request(&b, a);
    raw_frame(w, HEADERS, END_HEADERS | flags, id, buf_bytes(&b));
    buf_done(&b);
}

void raw_message(struct raw_world *w, uint32_t id, uint8_t flags, const char *text)
{
    struct buf b;
    buf_init(&b, 1 << 20);
    uint8_t prefix[GRPC_PREFIX_SIZE];
    grpc_prefix_write(prefix, strlen(text));
    buf_put(&b, prefix, sizeof(prefix));
    buf_put_text(&b, text);
    raw_frame(w, DATA, flags, id, buf_bytes(&b));
    buf_done(&b);
}

/* ---- what comes out ---- */

static void copy_text(char *to, size_t size, const nghttp2_nv *nv)
{
    size_t take = nv->valuelen < size ? nv->valuelen : size - 1;
    memcpy(to, nv->value, take);
    to[take] = '\0';
}

static void parse_headers(struct raw_world *w, struct raw_got *g, const uint8_t *data, size_t size)
{
    for (;;) {
        nghttp2_nv nv;
        int flags = 0;
        ssize_t used = nghttp2_hd_inflate_hd2(w->inflater, &nv, &flags, data, size, 1);
        assert_true(used >= 0);
        data += used;
        size -= (size_t)used;
        if (flags & NGHTTP2_HD_INFLATE_EMIT) {
            if (nv.namelen == 7 && memcmp(nv.name, ":status", 7) == 0) {
                copy_text(g->status, sizeof(g->status), &nv);
            } else if (nv.namelen == 11 && memcmp(nv.name, "grpc-status", 11) == 0) {
                copy_text(g->grpc_status, sizeof(g->grpc_status), &nv);
            } else if (nv.namelen == 12 && memcmp(nv.name, "grpc-message", 12) == 0) {
                copy_text(g->grpc_message, sizeof(g->grpc_message), &nv);
            }
        }
        if (flags & NGHTTP2_HD_INFLATE_FINAL) {
            nghttp2_hd_inflate_end_headers(w->inflater);
            return;
        }
    }
}

static uint32_t u32_of(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void parse_frame(struct raw_world *w, const uint8_t *head, size_t size)
{
    const uint8_t *payload = head + 9;
    uint32_t id = u32_of(head + 5);
    struct raw_got *g = &w->got[id / 2 % STREAMS];
    switch (head[3]) {
    case DATA:
        g->data_bytes += size;
        g->ended |= (head[4] & END_STREAM) != 0;
        break;
    case HEADERS:
        assert_true(head[4] & END_HEADERS);
        parse_headers(w, g, payload, size);
        g->ended |= (head[4] & END_STREAM) != 0;
        break;
    case RST:
        g->reset = true;
        g->ended_before_reset = g->ended;
        g->reset_code = u32_of(payload);
        break;
    case SETTINGS:
        for (size_t i = 0; i + 6 <= size; i += 6) {
            if (payload[i] == 0 && payload[i + 1] == 3) {
                w->settings_max_streams = u32_of(payload + i + 2);
            }
        }
        break;
    case PING:
        w->pongs += (head[4] & ACK) != 0;
        break;
    case GOAWAY_TYPE:
        w->goaway = true;
        w->goaways++;
        w->goaway_last = u32_of(payload);
        w->goaway_code = u32_of(payload + 4);
        break;
    default:
        break;
    }
}

void raw_collect(struct raw_world *w)
{
    for (struct bytes b = grpc_session_out(w->session); b.size > 0;
         b = grpc_session_out(w->session)) {
        buf_put_bytes(&w->out, b);
    }
    while (w->out.size - w->parsed >= 9) {
        const uint8_t *head = w->out.data + w->parsed;
        size_t size = (size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2];
        if (w->out.size - w->parsed < 9 + size) {
            break;
        }
        parse_frame(w, head, size);
        w->parsed += 9 + size;
    }
}

/* Feeds what was built, in pieces of random size up to piece_max, and collects answers. */
void raw_feed(struct raw_world *w, size_t piece_max)
{
    size_t at = 0;
    w->error = err_ok();
    while (at < w->in.size && !failed(w->error)) {
        size_t piece = 1 + next_random(w) % piece_max;
        piece = piece < w->in.size - at ? piece : w->in.size - at;
        w->error = grpc_session_in(w->session, bytes_of(w->in.data + at, piece), &w->why);
        at += piece;
        raw_collect(w);
    }
    buf_clear(&w->in);
}

int raw_setup(void **state)
{
    struct raw_world *w = calloc(1, sizeof(*w));
    assert_false(failed(loop_new(&w->loop, NULL)));
    w->echo.loop = w->loop;
    struct grpc_server_options o = {
        .loop = w->loop,
        .methods = echo_methods,
        .method_count = echo_method_count,
        .ctx = &w->echo,
        .on_begin = echo_begin,
    };
    assert_false(failed(grpc_server_new(&o, &w->echo.server, NULL)));
    w->session = grpc_session_new(w->echo.server, NULL);
    grpc_session_open(w->session, NULL, "memory");
    buf_init(&w->in, 64 << 20);
    buf_init(&w->out, 64 << 20);
    assert_int_equal(nghttp2_hd_inflate_new(&w->inflater), 0);
    w->seed = 1;
    preface(w);
    *state = w;
    return 0;
}

int raw_teardown(void **state)
{
    struct raw_world *w = *state;
    grpc_session_free(w->session);
    struct grpc_server_stats s = grpc_server_stats_of(w->echo.server);
    assert_int_equal(s.calls, 0);
    assert_int_equal(s.bytes_in, 0);
    assert_int_equal(s.bytes_out, 0);
    grpc_server_free(w->echo.server);
    echo_done(&w->echo);
    nghttp2_hd_inflate_del(w->inflater);
    buf_done(&w->in);
    buf_done(&w->out);
    loop_free(w->loop);
    free(w);
    return 0;
}

struct raw_got *raw_stream(struct raw_world *w, uint32_t id)
{
    return &w->got[id / 2];
}

void raw_expect_status(struct raw_world *w, uint32_t id, const char *grpc_status)
{
    assert_false(failed(w->error));
    assert_string_equal(raw_stream(w, id)->status, "200");
    assert_string_equal(raw_stream(w, id)->grpc_status, grpc_status);
    assert_true(raw_stream(w, id)->ended);
}

const struct raw_ask raw_plain = {0};
