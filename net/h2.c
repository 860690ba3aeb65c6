#include "net/h2.h"

#include <nghttp2/nghttp2.h>
#include <stdlib.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/require.h"
#include "net/h2_stream.h"

enum {
    FRAMES_A_SECOND = 1000,        /* frames without content that a tick forgives */
    SHUTDOWN_TICKS = 2,            /* a client that does not answer our PING is not waited for */
    STREAMS_BEFORE_SETTINGS = 100, /* what a client may assume (RFC 9113 6.5.2 recommends it) */
};

static void abuse(struct h2 *h, const char *what)
{
    if (h->abuse == NULL) {
        h->abuse = what;
    }
}

/* ---- callbacks: receiving ---- */

static struct h2_stream *stream_of(nghttp2_session *session, int32_t id)
{
    return nghttp2_session_get_stream_user_data(session, id);
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *ctx)
{
    struct h2 *h = ctx;
    if (frame->hd.type != NGHTTP2_HEADERS) {
        return 0;
    }
    h->headers_since_ns = h->now_ns;
    struct h2_stream *s = stream_of(session, frame->hd.stream_id);
    if (s == NULL && h->role == H2_SERVER && frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
        s = h2_stream_make(h, NULL);
        s->id = (uint32_t)frame->hd.stream_id;
        nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, s);
    }
    if (s != NULL && (h->role == H2_CLIENT || frame->headers.cat == NGHTTP2_HCAT_REQUEST)) {
        h2_stream_clear_headers(s);
    }
    return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_size, const uint8_t *value, size_t value_size, uint8_t flags,
                     void *ctx)
{
    struct h2 *h = ctx;
    struct h2_stream *s = stream_of(session, frame->hd.stream_id);
    if (frame->hd.type != NGHTTP2_HEADERS || s == NULL) {
        return 0;
    }
    bool wanted = h->role == H2_CLIENT || frame->headers.cat == NGHTTP2_HCAT_REQUEST;
    h2_stream_add_header(s, bytes_of(name, name_size), bytes_of(value, value_size), wanted);
    return 0;
}

static void headers_complete(struct h2 *h, struct h2_stream *s, const nghttp2_frame *frame)
{
    h->headers_since_ns = 0;
    if (h->role == H2_SERVER) {
        if (frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
            h->events->on_headers(h->ctx, s);
        }
        return;
    }
    struct bytes status;
    if (!s->got_headers) {
        if (h2_stream_header(s, ":status", &status) && status.size > 0 && status.data[0] == '1') {
            return; /* an interim answer (RFC 9110 15.2) */
        }
        s->got_headers = true;
        h->events->on_headers(h->ctx, s);
    } else if (h->events->on_trailers != NULL) {
        h->events->on_trailers(h->ctx, s);
    }
}

static void remote_ended(struct h2 *h, struct h2_stream *s)
{
    s->remote_ended = true;
    h->events->on_end(h->ctx, s);
}

/* gRPC A8: pings closer than the smallest interval are strikes, forgotten when we send content. */
static void ping_received(struct h2 *h, const nghttp2_frame *frame)
{
    if (frame->hd.flags & NGHTTP2_FLAG_ACK) {
        h->pings_unanswered = 0;
        if (h->shutdown_ticks > 0) {
            h2_finish_shutdown(h);
        }
        return;
    }
    if (h->role != H2_SERVER) {
        return;
    }
    bool close = h->ping_ns != 0 && h->now_ns - h->ping_ns < GRPC_PING_BUSY_NS;
    h->ping_ns = h->now_ns;
    h->ping_strikes += close ? 1 : 0;
    if (h->ping_strikes > GRPC_PING_STRIKES_MAX) {
        abuse(h, "too_many_pings");
    }
}

static void count_idle_frame(struct h2 *h)
{
    if (++h->idle_frames > H2_FRAMES_BURST) {
        abuse(h, "too many frames without content");
    }
}

static int on_frame_recv(nghttp2_session *session, const nghttp2_frame *frame, void *ctx)
{
    struct h2 *h = ctx;
    struct h2_stream *s = stream_of(session, frame->hd.stream_id);
    bool end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    switch (frame->hd.type) {
    case NGHTTP2_DATA:
        if (frame->hd.length == frame->data.padlen && !end) {
            count_idle_frame(h);
            if (++h->empty_frames > H2_EMPTY_FRAMES_MAX) {
                abuse(h, "too many empty DATA frames");
            }
        } else {
            h->empty_frames = 0;
        }
        break;
    case NGHTTP2_HEADERS:
        if (s != NULL) {
            headers_complete(h, s, frame);
        }
        break;
    case NGHTTP2_SETTINGS:
        h->has_settings |= (frame->hd.flags & NGHTTP2_FLAG_ACK) == 0;
        count_idle_frame(h);
        return 0;
    case NGHTTP2_PING:
        ping_received(h, frame);
        count_idle_frame(h);
        return 0;
    case NGHTTP2_GOAWAY:
        h->got_goaway = true;
        return 0;
    default:
        count_idle_frame(h);
        return 0;
    }
    if (end && s != NULL && !s->remote_ended) {
        remote_ended(h, s);
    }
    return 0;
}

static int on_data_chunk(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                         size_t size, void *ctx)
{
    struct h2 *h = ctx;
    struct h2_stream *s = stream_of(session, id);
    if (s == NULL || s->reset) {
        return nghttp2_session_consume(session, id, size);
    }
    s->unconsumed += size;
    h->events->on_data(h->ctx, s, bytes_of(data, size));
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *ctx)
{
    struct h2 *h = ctx;
    struct h2_stream *s = stream_of(session, id);
    if (s == NULL) {
        return 0;
    }
    if (s->unconsumed > 0) {
        /* The connection's window must not leak away with streams that end early. */
        nghttp2_session_consume_connection(session, s->unconsumed);
        s->unconsumed = 0;
    }
    nghttp2_session_set_stream_user_data(session, id, NULL);
    h->events->on_close(h->ctx, s, code);
    h2_stream_drop(s);
    return 0;
}

/* ---- callbacks: sending ---- */

static int on_frame_send(nghttp2_session *session, const nghttp2_frame *frame, void *ctx)
{
    struct h2 *h = ctx;
    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
    case NGHTTP2_DATA:
        h->idle_frames = 0;
        h->ping_strikes = 0;
        break;
    case NGHTTP2_RST_STREAM:
        /* Resets that a peer provokes cost us the work behind them (CVE-2025-8671). */
        if (frame->rst_stream.error_code != NGHTTP2_NO_ERROR &&
            frame->rst_stream.error_code != NGHTTP2_REFUSED_STREAM && ++h->resets > H2_RESETS_MAX) {
            abuse(h, "too many stream resets");
        }
        return 0;
    default:
        return 0;
    }
    struct h2_stream *s = stream_of(session, frame->hd.stream_id);
    bool end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    if (end && h->role == H2_SERVER && s != NULL && !s->remote_ended) {
        /* Only now, so that the reset cannot overtake the trailers. */
        return nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                                         NGHTTP2_NO_ERROR);
    }
    return 0;
}

static ssize_t on_read(nghttp2_session *session, int32_t id, uint8_t *ret, size_t size,
                       uint32_t *flags, nghttp2_data_source *source, void *ctx)
{
    struct h2_stream *s = source->ptr;
    size_t taken = h2_stream_take_out(s, ret, size);
    if (h2_stream_queued(s) == 0) {
        if (s->finished) {
            *flags |= NGHTTP2_DATA_FLAG_EOF;
            if (s->trailer_count > 0) {
                /* Submitted earlier, the trailers would overtake what is still queued. */
                *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
                nghttp2_nv nv[H2_TRAILERS_MAX];
                h2_stream_trailers(s, nv);
                if (nghttp2_submit_trailer(session, id, nv, s->trailer_count) != 0) {
                    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
                }
            }
        } else if (taken == 0) {
            s->deferred = true;
            return NGHTTP2_ERR_DEFERRED;
        }
    }
    return (ssize_t)taken;
}

/* ---- the session ---- */

static nghttp2_option *make_option(void)
{
    nghttp2_option *o = NULL;
    require(nghttp2_option_new(&o) == 0);
    nghttp2_option_set_no_auto_window_update(o, 1);
    nghttp2_option_set_stream_reset_rate_limit(o, H2_RESETS_MAX, H2_RESETS_A_SECOND);
    nghttp2_option_set_max_continuations(o, H2_CONTINUATIONS_MAX);
    nghttp2_option_set_max_outbound_ack(o, H2_ACKS_MAX);
    nghttp2_option_set_max_settings(o, H2_SETTINGS_MAX);
    return o;
}

static nghttp2_session_callbacks *make_callbacks(void)
{
    nghttp2_session_callbacks *c = NULL;
    require(nghttp2_session_callbacks_new(&c) == 0);
    nghttp2_session_callbacks_set_on_begin_headers_callback(c, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(c, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(c, on_frame_recv);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, on_data_chunk);
    nghttp2_session_callbacks_set_on_stream_close_callback(c, on_stream_close);
    nghttp2_session_callbacks_set_on_frame_send_callback(c, on_frame_send);
    return c;
}

static void submit_settings(struct h2 *h, uint32_t streams_max)
{
    nghttp2_settings_entry list[6] = {
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, H2_STREAM_WINDOW},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, H2_HEADER_LIST_MAX},
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
    };
    size_t count = 3;
    if (h->role == H2_SERVER) {
        list[count++] =
            (nghttp2_settings_entry){NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, streams_max};
    } else {
        list[count++] = (nghttp2_settings_entry){NGHTTP2_SETTINGS_ENABLE_PUSH, 0};
        list[count++] = (nghttp2_settings_entry){NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 0};
    }
    require(nghttp2_submit_settings(h->session, NGHTTP2_FLAG_NONE, list, count) == 0);
    require(nghttp2_session_set_local_window_size(h->session, NGHTTP2_FLAG_NONE, 0,
                                                  H2_CONN_WINDOW) == 0);
}

struct h2 *h2_new(const struct h2_options *options)
{
    require(options->events != NULL);
    struct h2 *h = mem_new(1, sizeof(*h));
    h->role = options->role;
    h->events = options->events;
    h->ctx = options->ctx;
    h->budget = options->budget;
    h->streams.next = h->streams.prev = &h->streams;
    nghttp2_option *o = make_option();
    nghttp2_session_callbacks *c = make_callbacks();
    int result = h->role == H2_SERVER ? nghttp2_session_server_new2(&h->session, c, h, o)
                                      : nghttp2_session_client_new2(&h->session, c, h, o);
    require(result == 0);
    nghttp2_option_del(o);
    nghttp2_session_callbacks_del(c);
    submit_settings(h, options->streams_max != 0 ? options->streams_max : GRPC_STREAMS_MAX);
    return h;
}

void h2_free(struct h2 *h2)
{
    if (h2 == NULL) {
        return;
    }
    /* nghttp2_session_del does not close open streams. */
    while (h2->streams.next != &h2->streams) {
        struct h2_stream *s = h2->streams.next;
        s->reset = true;
        h2->events->on_close(h2->ctx, s, H2_CANCEL);
        h2_stream_drop(s);
    }
    nghttp2_session_del(h2->session);
    h2_streams_done(h2);
    free(h2);
}

err h2_recv(struct h2 *h2, struct bytes data, uint64_t now_ns, struct errtext *reterr)
{
    h2->now_ns = now_ns;
    if (h2->terminated) {
        return err_ok(); /* our GOAWAY is on its way; the rest is not looked at */
    }
    ssize_t taken = nghttp2_session_mem_recv(h2->session, data.data, data.size);
    if (taken < 0) {
        bool flood = taken == NGHTTP2_ERR_FLOODED;
        h2->terminated = true;
        return err_fail(reterr, flood ? ERR_LIMIT : ERR_INVALID, "HTTP/2: %s",
                        nghttp2_strerror((int)taken));
    }
    if (h2->abuse != NULL) {
        h2_terminate(h2, H2_ENHANCE_YOUR_CALM, h2->abuse);
        return err_fail(reterr, ERR_LIMIT, "HTTP/2: %s", h2->abuse);
    }
    return err_ok();
}

struct bytes h2_send(struct h2 *h2)
{
    const uint8_t *data = NULL;
    ssize_t size = nghttp2_session_mem_send(h2->session, &data);
    if (size < 0) {
        h2->terminated = h2->broken = true;
        return bytes_of(NULL, 0);
    }
    return bytes_of(data, (size_t)size);
}

bool h2_run_room(struct h2 *h2)
{
    if (h2->room_count == 0) {
        return false;
    }
    for (struct h2_stream *s = h2->streams.next; s != &h2->streams; s = s->next) {
        if (s->room_ready) {
            s->room_ready = false;
            require(h2->room_count > 0);
            h2->room_count--;
            h2->events->on_room(h2->ctx, s);
        }
    }
    return true;
}

bool h2_is_done(const struct h2 *h2)
{
    if (h2->broken) {
        return true;
    }
    bool read = nghttp2_session_want_read(h2->session) != 0 && !h2->terminated;
    return !read && nghttp2_session_want_write(h2->session) == 0;
}

void h2_shutdown(struct h2 *h2)
{
    if (h2->shutting_down || h2->terminated) {
        return;
    }
    h2->shutting_down = true;
    if (h2->role == H2_CLIENT) {
        h2_finish_shutdown(h2);
        return;
    }
    /* RFC 9113 6.8: first a GOAWAY that refuses nothing, so that requests on their way are still
     * answered; after a round trip the real one. */
    require(nghttp2_submit_shutdown_notice(h2->session) == 0);
    require(nghttp2_submit_ping(h2->session, NGHTTP2_FLAG_NONE, (const uint8_t *)"shutdown") == 0);
    h2->shutdown_ticks = SHUTDOWN_TICKS;
}

void h2_finish_shutdown(struct h2 *h)
{
    h->shutdown_ticks = 0;
    int32_t last = nghttp2_session_get_last_proc_stream_id(h->session);
    require(nghttp2_submit_goaway(h->session, NGHTTP2_FLAG_NONE, last, NGHTTP2_NO_ERROR, NULL, 0) ==
            0);
}

void h2_terminate(struct h2 *h2, uint32_t code, const char *text)
{
    if (h2->terminated) {
        return;
    }
    h2->terminated = true;
    int32_t last = nghttp2_session_get_last_proc_stream_id(h2->session);
    require(nghttp2_submit_goaway(h2->session, NGHTTP2_FLAG_NONE, last, code, (const uint8_t *)text,
                                  strlen(text)) == 0);
}

void h2_tick(struct h2 *h2)
{
    h2->idle_frames -= h2->idle_frames < FRAMES_A_SECOND ? h2->idle_frames : FRAMES_A_SECOND;
    h2->resets -= h2->resets < H2_RESETS_A_SECOND ? h2->resets : H2_RESETS_A_SECOND;
    if (h2->shutdown_ticks > 0 && --h2->shutdown_ticks == 0) {
        h2_finish_shutdown(h2);
    }
}

void h2_ping(struct h2 *h2)
{
    h2->pings_unanswered++;
    require(nghttp2_submit_ping(h2->session, NGHTTP2_FLAG_NONE, (const uint8_t *)"are you?") == 0);
}

unsigned h2_pings_unanswered(const struct h2 *h2)
{
    return h2->pings_unanswered;
}

size_t h2_stream_count(const struct h2 *h2)
{
    return h2->stream_count;
}

bool h2_has_settings(const struct h2 *h2)
{
    return h2->has_settings;
}

bool h2_is_shutting_down(const struct h2 *h2)
{
    return h2->shutting_down;
}

bool h2_got_goaway(const struct h2 *h2)
{
    return h2->got_goaway;
}

uint64_t h2_headers_since_ns(const struct h2 *h2)
{
    return h2->headers_since_ns;
}

/* ---- requests and answers ---- */

enum { FIELDS_MAX = 48 };

static void fill_fields(nghttp2_nv *nv, const struct h2_field *fields, size_t count)
{
    require(count <= FIELDS_MAX);
    for (size_t i = 0; i < count; i++) {
        nv[i] = (nghttp2_nv){
            .name = (uint8_t *)(uintptr_t)fields[i].name,
            .namelen = strlen(fields[i].name),
            .value = (uint8_t *)(uintptr_t)fields[i].value.data,
            .valuelen = fields[i].value.size,
        };
    }
}

err h2_request(struct h2 *h2, const struct h2_field *fields, size_t count, void *user,
               struct h2_stream **ret_stream)
{
    require(h2->role == H2_CLIENT);
    if (h2->terminated || h2->got_goaway || h2->shutting_down) {
        return (err){ERR_INVALID};
    }
    uint32_t allowed = STREAMS_BEFORE_SETTINGS;
    if (h2->has_settings) {
        allowed = nghttp2_session_get_remote_settings(h2->session,
                                                      NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
    }
    if (h2->stream_count >= allowed) {
        return (err){ERR_FULL};
    }
    nghttp2_nv nv[FIELDS_MAX];
    fill_fields(nv, fields, count);
    struct h2_stream *s = h2_stream_make(h2, user);
    s->responded = true;
    nghttp2_data_provider body = {.source.ptr = s, .read_callback = on_read};
    int32_t id = nghttp2_submit_request(h2->session, NULL, nv, count, &body, s);
    if (id < 0) {
        h2_stream_drop(s);
        return (err){ERR_INVALID};
    }
    s->id = (uint32_t)id;
    *ret_stream = s;
    return err_ok();
}

void h2_respond(struct h2_stream *stream, const struct h2_field *fields, size_t count, bool end)
{
    require(!stream->responded);
    require(stream->h2->role == H2_SERVER);
    stream->responded = true;
    stream->finished = end;
    if (stream->reset) {
        return;
    }
    nghttp2_nv nv[FIELDS_MAX];
    fill_fields(nv, fields, count);
    nghttp2_data_provider body = {.source.ptr = stream, .read_callback = on_read};
    int result = nghttp2_submit_response(stream->h2->session, (int32_t)stream->id, nv, count,
                                         end ? NULL : &body);
    if (result != 0) {
        h2_stream_reset(stream, H2_INTERNAL_ERROR);
    }
}

void h2_stream_resume(struct h2_stream *s)
{
    if (s->deferred) {
        s->deferred = false;
        /* Fails only when the stream is closing; then there is nothing to resume. */
        (void)nghttp2_session_resume_data(s->h2->session, (int32_t)s->id);
    }
}

void h2_stream_reset(struct h2_stream *stream, uint32_t code)
{
    if (!stream->reset) {
        stream->reset = stream->finished = true;
        (void)nghttp2_submit_rst_stream(stream->h2->session, NGHTTP2_FLAG_NONE, (int32_t)stream->id,
                                        code);
    }
}

void h2_stream_consume(struct h2_stream *stream, size_t size)
{
    require(size <= stream->unconsumed);
    stream->unconsumed -= size;
    /* Fails only without memory, or when the window is broken, which the next mem_recv reports. */
    (void)nghttp2_session_consume(stream->h2->session, (int32_t)stream->id, size);
}
