/* The server side of one connection as a machine of bytes: frames built by hand go in, frames come
 * out, with random splits; and hostile peers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <nghttp2/nghttp2.h>

#include "base/clock.h"
#include "net/grpc_core.h"
#include "tests/unit/net/echo.h"

/* What came out for one stream. */
struct got {
    char status[8];        /* of HTTP */
    char grpc_status[8];   /* "" until it came */
    char grpc_message[256];
    bool ended, reset, ended_before_reset;
    uint32_t reset_code;
    size_t data_bytes;
};

enum { STREAMS = 2048 };
struct world {
    struct loop *loop;
    struct echo echo;
    struct grpc_session *session;
    struct buf in;               /* frames to send */
    struct buf out;              /* everything the session has sent */
    size_t parsed;
    nghttp2_hd_inflater *inflater;
    struct got got[STREAMS];     /* by stream id / 2 */
    bool goaway;
    uint32_t goaway_code, goaway_last, settings_max_streams;
    size_t goaways, pongs;
    err error;                   /* of the last feed */
    struct errtext why;
    uint64_t seed;
};

static uint64_t next_random(struct world *w)
{
    w->seed = w->seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return w->seed >> 33;
}

/* ---- frames by hand (RFC 9113 4.1, RFC 7541) ---- */

static void frame(struct world *w, uint8_t type, uint8_t flags, uint32_t id, struct bytes payload)
{
    buf_put_u8(&w->in, (uint8_t)(payload.size >> 16));
    buf_put_u16(&w->in, (uint16_t)payload.size);
    buf_put_u8(&w->in, type);
    buf_put_u8(&w->in, flags);
    buf_put_u32(&w->in, id);
    buf_put_bytes(&w->in, payload);
}

enum { DATA = 0, HEADERS = 1, RST = 3, SETTINGS = 4, PING = 6, GOAWAY_TYPE = 7, WINDOW = 8, CONT = 9 };
enum { END_STREAM = 1, ACK = 1, END_HEADERS = 4 };

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

static void put_field(struct buf *b, const char *name, const char *value)
{
    buf_put_u8(b, 0); /* literal without indexing, new name */
    put_hpack_int(b, strlen(name));
    buf_put_text(b, name);
    put_hpack_int(b, strlen(value));
    buf_put_text(b, value);
}

static void preface(struct world *w)
{
    buf_put_text(&w->in, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    frame(w, SETTINGS, 0, 0, bytes_of(NULL, 0));
}

struct ask {
    const char *method, *path, *type, *timeout, *extra_name, *extra_value;
};

static void put_request(struct buf *b, const struct ask *a)
{
    put_field(b, ":method", a->method != NULL ? a->method : "POST");
    put_field(b, ":scheme", "https");
    put_field(b, ":path", a->path != NULL ? a->path : "/test.Echo/Unary");
    put_field(b, ":authority", "localhost");
    put_field(b, "te", "trailers");
    if (a->type == NULL || a->type[0] != '\0') {
        put_field(b, "content-type", a->type != NULL ? a->type : "application/grpc");
    }
    if (a->timeout != NULL) {
        put_field(b, "grpc-timeout", a->timeout);
    }
    if (a->extra_name != NULL) {
        put_field(b, a->extra_name, a->extra_value);
    }
}

static void request(struct world *w, uint32_t id, uint8_t flags, const struct ask *a)
{
    struct buf b;
    buf_init(&b, 1 << 20);
    put_request(&b, a);
    frame(w, HEADERS, END_HEADERS | flags, id, buf_bytes(&b));
    buf_done(&b);
}

static void message(struct world *w, uint32_t id, uint8_t flags, const char *text)
{
    struct buf b;
    buf_init(&b, 1 << 20);
    uint8_t prefix[GRPC_PREFIX_SIZE];
    grpc_prefix_write(prefix, strlen(text));
    buf_put(&b, prefix, sizeof(prefix));
    buf_put_text(&b, text);
    frame(w, DATA, flags, id, buf_bytes(&b));
    buf_done(&b);
}

/* ---- what comes out ---- */

static void copy_text(char *to, size_t size, const nghttp2_nv *nv)
{
    size_t take = nv->valuelen < size ? nv->valuelen : size - 1;
    memcpy(to, nv->value, take);
    to[take] = '\0';
}

static void parse_headers(struct world *w, struct got *g, const uint8_t *data, size_t size)
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

static void parse_frame(struct world *w, const uint8_t *head, size_t size)
{
    const uint8_t *payload = head + 9;
    uint32_t id = u32_of(head + 5);
    struct got *g = &w->got[id / 2 % STREAMS];
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

static void collect(struct world *w)
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
static void feed(struct world *w, size_t piece_max)
{
    size_t at = 0;
    w->error = err_ok();
    while (at < w->in.size && !failed(w->error)) {
        size_t piece = 1 + next_random(w) % piece_max;
        piece = piece < w->in.size - at ? piece : w->in.size - at;
        w->error = grpc_session_in(w->session, bytes_of(w->in.data + at, piece), &w->why);
        at += piece;
        collect(w);
    }
    buf_clear(&w->in);
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
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

static int teardown(void **state)
{
    struct world *w = *state;
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

static struct got *stream(struct world *w, uint32_t id)
{
    return &w->got[id / 2];
}

static void expect_status(struct world *w, uint32_t id, const char *grpc_status)
{
    assert_false(failed(w->error));
    assert_string_equal(stream(w, id)->status, "200");
    assert_string_equal(stream(w, id)->grpc_status, grpc_status);
    assert_true(stream(w, id)->ended);
}

static const struct ask plain = {0};

static void test_call_with_random_splits(void **state)
{
    struct world *w = *state;
    for (uint32_t i = 0; i < 60; i++) {
        uint32_t id = 1 + 2 * i;
        request(w, id, 0, &plain);
        message(w, id, 0, "hello");
        frame(w, DATA, END_STREAM, id, bytes_of(NULL, 0));
        feed(w, 1 + i);
        expect_status(w, id, "0");
        assert_int_equal(stream(w, id)->data_bytes, 10);
        assert_false(stream(w, id)->reset);
    }
    assert_int_equal(w->settings_max_streams, GRPC_STREAMS_MAX);
    assert_int_equal(grpc_server_stats_of(w->echo.server).calls_ok, 60);
}

static void test_requests_that_are_not_grpc(void **state)
{
    struct world *w = *state;
    static const struct {
        struct ask ask;
        const char *status;
    } t[] = {
        {{.type = "text/plain"}, "415"},
        {{.type = ""}, "415"},
        {{.type = "application/grpc-web+proto"}, "415"},
        {{.type = "application/grpc+json"}, "415"},
        {{.type = "application/json"}, "415"},
        {{.method = "GET"}, "405"},
        {{.method = "PUT"}, "405"},
    };
    for (uint32_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        uint32_t id = 1 + 2 * i;
        request(w, id, 0, &t[i].ask);
        feed(w, 50);
        assert_string_equal(stream(w, id)->status, ""); /* answered at its end */
        message(w, id, END_STREAM, "x");
        feed(w, 50);
        assert_string_equal(stream(w, id)->status, t[i].status);
        assert_string_equal(stream(w, id)->grpc_status, "");
        assert_true(stream(w, id)->ended);
    }
    assert_int_equal(w->echo.begun, 0);
}

static void test_refusals_are_trailers_only(void **state)
{
    struct world *w = *state;
    static const struct {
        struct ask ask;
        const char *status, *says;
    } t[] = {
        {{.path = "/test.Echo/Nothing"}, "12", "unknown method"},
        {{.path = "/test.echo/Unary"}, "12", "unknown method"},
        {{.path = "/test.Echo/Unary/"}, "12", "unknown method"},
        {{.timeout = "abc"}, "13", "grpc-timeout"},
        {{.timeout = "123456789S"}, "13", "grpc-timeout"},
        {{.timeout = ""}, "13", "grpc-timeout"},
        {{.extra_name = "grpc-encoding", .extra_value = "gzip"}, "12", "compressed"},
        {{.extra_name = "x-refuse", .extra_value = "1"}, "7", "refused at the door"},
    };
    for (uint32_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        uint32_t id = 1 + 2 * i;
        request(w, id, 0, &t[i].ask); /* the body is still to come */
        feed(w, 50);
        expect_status(w, id, t[i].status);
        assert_non_null(strstr(stream(w, id)->grpc_message, t[i].says));
        /* The open request is reset, but only after the status has left. */
        assert_true(stream(w, id)->reset);
        assert_true(stream(w, id)->ended_before_reset);
        assert_int_equal(stream(w, id)->reset_code, 0);
        message(w, id, END_STREAM, "late"); /* it was on its way */
        feed(w, 50);
        assert_false(failed(w->error));
    }
}

static void test_bad_bodies(void **state)
{
    struct world *w = *state;
    uint32_t id = 1;
    request(w, id, END_STREAM, &plain); /* no message at all */
    feed(w, 100);
    expect_status(w, id, "12");
    id += 2;
    request(w, id, 0, &plain); /* two messages */
    message(w, id, 0, "a");
    message(w, id, END_STREAM, "b");
    feed(w, 100);
    expect_status(w, id, "12");
    static const struct {
        const char *bytes;
        size_t size;
        const char *status;
    } t[] = {
        {"\0\0\0\0\x05"
         "abc",
         8, "13"},                             /* cut off */
        {"\0\0\0", 3, "13"},                   /* cut off in the prefix */
        {"\x02\0\0\0\0", 5, "13"},             /* flag 2 */
        {"\x01\0\0\0\0", 5, "12"},             /* compressed */
        {"\0\0\x40\0\x01", 5, "8"},            /* 4 MiB + 1 announced */
        {"\0\xff\xff\xff\xff", 5, "8"},        /* 4 GiB announced */
    };
    for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        id += 2;
        request(w, id, 0, &plain);
        frame(w, DATA, END_STREAM, id, bytes_of(t[i].bytes, t[i].size));
        feed(w, 100);
        expect_status(w, id, t[i].status);
    }
    assert_int_equal(w->echo.server->in.used, 0);
}

static void test_over_limit_is_refused_on_the_prefix(void **state)
{
    struct world *w = *state;
    request(w, 1, 0, &plain);
    frame(w, DATA, 0, 1, bytes_of("\0\0\x40\0\x01", 5)); /* nothing follows yet */
    feed(w, 100);
    expect_status(w, 1, "8");
    assert_int_equal(stream(w, 1)->reset_code, 0);
}

static void test_announced_bytes_are_bounded(void **state)
{
    struct world *w = *state;
    size_t refused = 0;
    for (uint32_t id = 1; id < 1 + 2 * 20; id += 2) {
        request(w, id, 0, &plain);
        frame(w, DATA, 0, id, bytes_of("\0\0\x40\0\0", 5)); /* 4 MiB each */
        feed(w, 1000);
        refused += strcmp(stream(w, id)->grpc_status, "8") == 0;
    }
    assert_int_equal(refused, 20 - GRPC_CONN_IN_BYTES_MAX / (4 << 20));
    assert_true(w->echo.server->in.used <= GRPC_CONN_IN_BYTES_MAX);
}

static void put_large_request(struct world *w, uint32_t id, size_t fields, size_t size)
{
    struct buf b;
    buf_init(&b, 1 << 20);
    put_request(&b, &plain);
    char *value = calloc(1, size + 1);
    memset(value, 'v', size);
    for (size_t i = 0; i < fields; i++) {
        put_field(&b, "x-large", value);
    }
    free(value);
    size_t at = 0;
    for (bool first = true; first || at < b.size; first = false) {
        size_t part = b.size - at < 16384 ? b.size - at : 16384;
        bool last = at + part == b.size;
        frame(w, first ? HEADERS : CONT, last ? END_HEADERS : 0, id,
              bytes_of(b.data + at, part));
        at += part;
    }
    buf_done(&b);
}

static void test_large_headers(void **state)
{
    struct world *w = *state;
    put_large_request(w, 1, 3, 5000); /* under the limit */
    message(w, 1, END_STREAM, "x");
    feed(w, 5000);
    expect_status(w, 1, "0");
    put_large_request(w, 3, 4, 5000); /* over it */
    message(w, 3, END_STREAM, "x");
    feed(w, 5000);
    expect_status(w, 3, "8");
    put_large_request(w, 5, 120, 1); /* too many */
    message(w, 5, END_STREAM, "x");
    feed(w, 5000);
    expect_status(w, 5, "8");
    request(w, 7, 0, &plain); /* the connection is as good as before */
    message(w, 7, END_STREAM, "x");
    feed(w, 5000);
    expect_status(w, 7, "0");
}

static void test_continuation_flood(void **state)
{
    struct world *w = *state;
    struct buf b;
    buf_init(&b, 1 << 20);
    put_request(&b, &plain);
    frame(w, HEADERS, 0, 1, buf_bytes(&b));
    buf_clear(&b);
    put_field(&b, "x", "y");
    for (int i = 0; i < 1000; i++) {
        frame(w, CONT, 0, 1, buf_bytes(&b));
    }
    buf_done(&b);
    feed(w, 100);
    assert_true(failed(w->error));
    assert_int_equal(w->echo.begun, 0);
}

static void test_empty_data_flood(void **state)
{
    struct world *w = *state;
    request(w, 1, 0, &plain);
    for (int i = 0; i < H2_EMPTY_FRAMES_MAX; i++) {
        frame(w, DATA, 0, 1, bytes_of(NULL, 0));
    }
    message(w, 1, END_STREAM, "x");
    feed(w, 500);
    expect_status(w, 1, "0"); /* a hundred are borne */
    request(w, 3, 0, &plain);
    for (int i = 0; i < H2_EMPTY_FRAMES_MAX + 1; i++) {
        frame(w, DATA, 0, 3, bytes_of(NULL, 0));
    }
    feed(w, 500);
    assert_true(err_is(w->error, ERR_LIMIT));
    assert_non_null(strstr(w->why.text, "empty"));
    assert_true(w->goaway);
    assert_int_equal(w->goaway_code, H2_ENHANCE_YOUR_CALM);
}

static void test_rapid_reset(void **state)
{
    struct world *w = *state;
    size_t streams = 0;
    static const struct ask never = {.path = "/test.Echo/Never"};
    for (uint32_t id = 1; id < 2 * 3000 && !failed(w->error) && !w->goaway; id += 2) {
        request(w, id, 0, &never);
        message(w, id, END_STREAM, "x");
        frame(w, RST, 0, id, bytes_of("\0\0\0\x08", 4));
        feed(w, 1000);
        streams++;
    }
    assert_true(streams < 400);
    assert_true(w->goaway);
    assert_int_equal(w->echo.cancelled, w->echo.running); /* no work is left behind */
    assert_true(h2_is_done(w->session->h2));
}

static void test_pings_too_often(void **state)
{
    struct world *w = *state;
    for (int i = 0; i < 3; i++) {
        frame(w, PING, 0, 0, bytes_of("12345678", 8));
        feed(w, 1000);
        assert_false(failed(w->error));
    }
    assert_int_equal(w->pongs, 3);
    frame(w, PING, 0, 0, bytes_of("12345678", 8));
    feed(w, 1000);
    assert_true(err_is(w->error, ERR_LIMIT));
    assert_non_null(strstr(w->why.text, "too_many_pings"));
    assert_true(w->goaway);
}

static void test_pings_beside_answers_are_no_strikes(void **state)
{
    struct world *w = *state;
    for (uint32_t i = 0; i < 50; i++) {
        request(w, 1 + 2 * i, 0, &plain);
        message(w, 1 + 2 * i, END_STREAM, "x");
        frame(w, PING, 0, 0, bytes_of("12345678", 8));
        feed(w, 1000);
        expect_status(w, 1 + 2 * i, "0");
    }
    assert_int_equal(w->pongs, 50);
}

static void test_settings_flood(void **state)
{
    struct world *w = *state;
    for (int i = 0; i < 5000 && !failed(w->error); i++) {
        frame(w, SETTINGS, 0, 0, bytes_of(NULL, 0));
    }
    /* Fed in one piece: the answers cannot leave meanwhile. */
    w->error = grpc_session_in(w->session, buf_bytes(&w->in), &w->why);
    buf_clear(&w->in);
    collect(w);
    assert_true(failed(w->error));
}

static void test_window_update_flood(void **state)
{
    struct world *w = *state;
    for (int i = 0; i < H2_FRAMES_BURST + 10; i++) {
        frame(w, WINDOW, 0, 0, bytes_of("\0\0\0\x01", 4));
    }
    feed(w, 16384);
    assert_true(err_is(w->error, ERR_LIMIT));
}

static void test_client_with_window_zero(void **state)
{
    struct world *w = *state;
    buf_clear(&w->in);
    buf_put_text(&w->in, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    frame(w, SETTINGS, 0, 0, bytes_of("\0\x04\0\0\0\0", 6)); /* INITIAL_WINDOW_SIZE 0 */
    static const struct ask big = {.path = "/test.Echo/Big"};
    static const struct ask endless = {.path = "/test.Echo/Endless"};
    for (uint32_t id = 1; id < 2 * 50; id += 2) {
        request(w, id, 0, &big);
        uint8_t body[] = {0, 0, 0, 0, 4, 0, 0x10, 0, 0}; /* a MiB each */
        frame(w, DATA, END_STREAM, id, bytes_of(body, sizeof(body)));
    }
    for (uint32_t id = 101; id < 2 * 100; id += 2) {
        request(w, id, 0, &endless);
        message(w, id, END_STREAM, "");
    }
    feed(w, 4000);
    assert_false(failed(w->error));
    assert_true(w->echo.server->out.used <= GRPC_CONN_OUT_BYTES_MAX);
    size_t refused = 0;
    for (uint32_t id = 1; id < 2 * 50; id += 2) {
        refused += strcmp(stream(w, id)->grpc_status, "8") == 0;
    }
    assert_true(refused >= 50 - 8);
    assert_int_equal(stream(w, 1)->data_bytes, 0);
    frame(w, WINDOW, 0, 1, bytes_of("\0\x20\0\0", 4)); /* the first one may go on */
    frame(w, WINDOW, 0, 0, bytes_of("\0\x20\0\0", 4));
    feed(w, 4000);
    assert_int_equal(stream(w, 1)->data_bytes, (1 << 20) + 5);
    assert_string_equal(stream(w, 1)->grpc_status, "0");
}

static void test_streams_beyond_the_limit_are_refused(void **state)
{
    struct world *w = *state;
    static const struct ask never = {.path = "/test.Echo/Never"};
    for (uint32_t i = 0; i < GRPC_STREAMS_MAX + 20; i++) {
        request(w, 1 + 2 * i, 0, &never);
        message(w, 1 + 2 * i, END_STREAM, "x");
    }
    feed(w, 4000);
    size_t refused = 0;
    for (uint32_t i = 0; i < GRPC_STREAMS_MAX + 20; i++) {
        struct got *g = stream(w, 1 + 2 * i);
        refused += g->reset && g->reset_code == H2_REFUSED_STREAM;
    }
    assert_int_equal(refused, 20);
    assert_int_equal(w->echo.running, GRPC_STREAMS_MAX);
}

static void test_graceful_end_in_two_steps(void **state)
{
    struct world *w = *state;
    static const struct ask never = {.path = "/test.Echo/Never"};
    request(w, 1, 0, &never);
    message(w, 1, END_STREAM, "x");
    feed(w, 4000);
    h2_shutdown(w->session->h2);
    collect(w);
    assert_int_equal(w->goaways, 1);
    assert_int_equal(w->goaway_last, INT32_MAX);
    request(w, 3, 0, &plain); /* was on its way */
    message(w, 3, END_STREAM, "x");
    frame(w, PING, ACK, 0, bytes_of("shutdown", 8));
    feed(w, 4000);
    expect_status(w, 3, "0");
    assert_int_equal(w->goaways, 2);
    assert_int_equal(w->goaway_last, 3);
    assert_false(h2_is_done(w->session->h2)); /* stream 1 still runs */
    grpc_session_end_calls(w->session, GRPC_UNAVAILABLE, "stopping");
    collect(w);
    expect_status(w, 1, "14");
    assert_true(h2_is_done(w->session->h2));
}

static void test_connection_window_does_not_leak(void **state)
{
    struct world *w = *state;
    char *block = calloc(1, 16385);
    memset(block, 'x', 16000);
    block[16000] = '\0';
    /* 40 MiB through an 8 MiB window, on calls that end before their bodies are read. */
    static const struct ask unknown = {.path = "/nothing"};
    for (uint32_t i = 0; i < 900; i++) {
        uint32_t id = 1 + 2 * i;
        request(w, id, 0, &unknown);
        for (int k = 0; k < 3; k++) {
            message(w, id, k == 2 ? END_STREAM : 0, block);
        }
        feed(w, 60000);
        expect_status(w, id, "12");
    }
    free(block);
}

static void test_garbage(void **state)
{
    struct world *w = *state;
    buf_clear(&w->in);
    buf_put_text(&w->in, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    feed(w, 100);
    assert_true(err_is(w->error, ERR_INVALID));
}

static void test_session_ends_with_calls_running(void **state)
{
    struct world *w = *state;
    static const struct ask never = {.path = "/test.Echo/Never"};
    static const struct ask endless = {.path = "/test.Echo/Endless"};
    request(w, 1, 0, &never);
    message(w, 1, END_STREAM, "x");
    request(w, 3, 0, &endless);
    message(w, 3, END_STREAM, "x");
    request(w, 5, 0, &plain); /* half a request */
    frame(w, DATA, 0, 5, bytes_of("\0\0\0\x01\0half", 9));
    feed(w, 4000);
    assert_true(w->echo.server->in.used > 0);
    assert_true(w->echo.server->out.used > 0);
    grpc_session_free(w->session);
    assert_int_equal(w->echo.cancelled, 2);
    w->session = grpc_session_new(w->echo.server, NULL); /* for teardown */
    grpc_session_open(w->session, NULL, "memory");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_call_with_random_splits),
        T(test_requests_that_are_not_grpc),
        T(test_refusals_are_trailers_only),
        T(test_bad_bodies),
        T(test_over_limit_is_refused_on_the_prefix),
        T(test_announced_bytes_are_bounded),
        T(test_large_headers),
        T(test_continuation_flood),
        T(test_empty_data_flood),
        T(test_rapid_reset),
        T(test_pings_too_often),
        T(test_pings_beside_answers_are_no_strikes),
        T(test_settings_flood),
        T(test_window_update_flood),
        T(test_client_with_window_zero),
        T(test_streams_beyond_the_limit_are_refused),
        T(test_graceful_end_in_two_steps),
        T(test_connection_window_does_not_leak),
        T(test_garbage),
        T(test_session_ends_with_calls_running),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
