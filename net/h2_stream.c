#include "net/h2_stream.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/require.h"

enum {
    FREE_STREAMS_MAX = 32,    /* of a connection: kept for the next calls */
    KEPT_BYTES = 16 << 10,    /* a kept stream holds no larger buffers */
    TRAILER_BYTES_MAX = 8192, /* what stock clients take */
    FIELD_OVERHEAD = 32,      /* RFC 9113 6.5.2 */
};

struct h2_stream *h2_stream_make(struct h2 *h, void *user)
{
    struct h2_stream *s = h->free_list;
    if (s != NULL) {
        h->free_list = s->next;
        h->free_count--;
        struct buf headers = s->headers, out = s->out, trailers = s->trailers;
        memset(s, 0, sizeof(*s));
        s->headers = headers;
        s->out = out;
        s->trailers = trailers;
    } else {
        s = mem_new(1, sizeof(*s));
        buf_init(&s->headers, H2_HEADER_LIST_MAX);
        buf_init(&s->out, GRPC_CONN_OUT_BYTES_MAX);
        buf_init(&s->trailers, TRAILER_BYTES_MAX);
    }
    s->h2 = h;
    s->user = user;
    s->next = &h->streams;
    s->prev = h->streams.prev;
    s->prev->next = s;
    h->streams.prev = s;
    h->stream_count++;
    return s;
}

static void free_stream(struct h2_stream *s)
{
    buf_done(&s->headers);
    buf_done(&s->out);
    buf_done(&s->trailers);
    free(s);
}

void h2_stream_drop(struct h2_stream *s)
{
    struct h2 *h = s->h2;
    if (h->budget != NULL) {
        budget_give(h->budget, h2_stream_queued(s));
    }
    if (s->room_ready) {
        h->room_count--;
    }
    s->prev->next = s->next;
    s->next->prev = s->prev;
    require(h->stream_count > 0);
    h->stream_count--;
    if (h->free_count >= FREE_STREAMS_MAX || s->out.capacity > KEPT_BYTES) {
        free_stream(s);
        return;
    }
    buf_clear(&s->headers);
    buf_clear(&s->out);
    buf_clear(&s->trailers);
    s->next = h->free_list;
    h->free_list = s;
    h->free_count++;
}

void h2_streams_done(struct h2 *h)
{
    while (h->free_list != NULL) {
        struct h2_stream *s = h->free_list;
        h->free_list = s->next;
        free_stream(s);
    }
}

/* ---- headers ---- */

void h2_stream_clear_headers(struct h2_stream *s)
{
    buf_clear(&s->headers);
    s->piece_count = 0;
    s->header_bytes = 0;
    s->headers_overflow = false;
}

/* nghttp2 announces our limit but does not enforce it. */
void h2_stream_add_header(struct h2_stream *s, struct bytes name, struct bytes value, bool keep)
{
    s->header_bytes += name.size + value.size + FIELD_OVERHEAD;
    if (s->header_bytes > H2_HEADER_LIST_MAX || s->piece_count >= H2_HEADERS_MAX) {
        s->headers_overflow = true;
        return;
    }
    if (!keep) {
        return;
    }
    s->pieces[s->piece_count++] =
        (struct h2_piece){(uint32_t)s->headers.size, (uint32_t)name.size, (uint32_t)value.size};
    buf_put_bytes(&s->headers, name);
    buf_put_bytes(&s->headers, value);
    require(!s->headers.overflow);
}

bool h2_stream_header(const struct h2_stream *stream, const char *name, struct bytes *ret_value)
{
    struct bytes wanted = bytes_text(name);
    for (size_t i = 0; i < stream->piece_count; i++) {
        const struct h2_piece *p = &stream->pieces[i];
        const uint8_t *at = stream->headers.data + p->at;
        if (bytes_equal(bytes_of(at, p->name_size), wanted)) {
            *ret_value = bytes_of(at + p->name_size, p->value_size);
            return true;
        }
    }
    return false;
}

bool h2_stream_headers_overflow(const struct h2_stream *stream)
{
    return stream->headers_overflow;
}

/* ---- output ---- */

size_t h2_stream_queued(const struct h2_stream *stream)
{
    return stream->out.size - stream->out_at;
}

static void offer_room(struct h2_stream *s)
{
    if (s->want_room && !s->room_ready && h2_stream_queued(s) < GRPC_STREAM_OUT_BYTES) {
        s->want_room = false;
        s->room_ready = true;
        s->h2->room_count++;
    }
}

void h2_stream_want_room(struct h2_stream *stream)
{
    if (!stream->finished && stream->h2->events->on_room != NULL) {
        stream->want_room = true;
        offer_room(stream);
    }
}

err h2_stream_write(struct h2_stream *stream, const struct bytes *parts, size_t count)
{
    if (stream->finished || stream->reset) {
        return (err){ERR_CANCELLED};
    }
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        if (parts[i].size > GRPC_CONN_OUT_BYTES_MAX - total) {
            return (err){ERR_FULL};
        }
        total += parts[i].size;
    }
    if (stream->out_at > 0 && stream->out_at >= stream->out.size / 2) {
        buf_consume(&stream->out, stream->out_at);
        stream->out_at = 0;
    }
    if (total > stream->out.size_max - stream->out.size) {
        return (err){ERR_FULL};
    }
    if (stream->h2->budget != NULL && !budget_take(stream->h2->budget, total)) {
        return (err){ERR_FULL};
    }
    for (size_t i = 0; i < count; i++) {
        buf_put_bytes(&stream->out, parts[i]);
    }
    require(!stream->out.overflow);
    h2_stream_resume(stream);
    return err_ok();
}

size_t h2_stream_take_out(struct h2_stream *s, uint8_t *ret, size_t size)
{
    size_t take = h2_stream_queued(s);
    take = take < size ? take : size;
    if (take > 0) {
        memcpy(ret, s->out.data + s->out_at, take);
        s->out_at += take;
    }
    if (s->h2->budget != NULL) {
        budget_give(s->h2->budget, take);
    }
    if (s->out_at == s->out.size) {
        buf_clear(&s->out);
        s->out_at = 0;
        if (s->out.capacity > GRPC_STREAM_OUT_BYTES * 2) {
            buf_done(&s->out);
        }
    }
    offer_room(s);
    return take;
}

void h2_stream_finish(struct h2_stream *stream, const struct h2_field *trailers, size_t count)
{
    require(count <= H2_TRAILERS_MAX);
    if (stream->finished) {
        return;
    }
    require(stream->responded);
    stream->finished = true;
    stream->want_room = false;
    for (size_t i = 0; i < count; i++) {
        size_t name_size = strlen(trailers[i].name);
        if (name_size + trailers[i].value.size > TRAILER_BYTES_MAX - stream->trailers.size) {
            break;
        }
        stream->trailer_pieces[stream->trailer_count++] = (struct h2_piece){
            (uint32_t)stream->trailers.size, (uint32_t)name_size, (uint32_t)trailers[i].value.size};
        buf_put(&stream->trailers, trailers[i].name, name_size);
        buf_put_bytes(&stream->trailers, trailers[i].value);
    }
    h2_stream_resume(stream);
}

void h2_stream_trailers(struct h2_stream *s, nghttp2_nv *ret)
{
    for (size_t i = 0; i < s->trailer_count; i++) {
        const struct h2_piece *p = &s->trailer_pieces[i];
        ret[i] = (nghttp2_nv){
            .name = s->trailers.data + p->at,
            .namelen = p->name_size,
            .value = s->trailers.data + p->at + p->name_size,
            .valuelen = p->value_size,
        };
    }
}

/* ---- facts ---- */

void h2_stream_set_user(struct h2_stream *stream, void *user)
{
    stream->user = user;
}

void *h2_stream_user(const struct h2_stream *stream)
{
    return stream->user;
}

uint32_t h2_stream_id(const struct h2_stream *stream)
{
    return stream->id;
}

bool h2_stream_remote_ended(const struct h2_stream *stream)
{
    return stream->remote_ended;
}

struct h2_stream *h2_next_stream(struct h2 *h2, struct h2_stream *after)
{
    struct h2_stream *s = after == NULL ? h2->streams.next : after->next;
    return s == &h2->streams ? NULL : s;
}

struct h2_stream *h2_find(struct h2 *h2, uint32_t id)
{
    if (id == 0 || id > INT32_MAX) {
        return NULL;
    }
    return nghttp2_session_get_stream_user_data(h2->session, (int32_t)id);
}
