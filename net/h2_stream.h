/* What h2.c and h2_stream.c share; nobody else includes it. */
#ifndef NET_H2_STREAM_H
#define NET_H2_STREAM_H

#include <nghttp2/nghttp2.h>

#include "base/buf.h"
#include "base/limits.h"
#include "net/h2.h"

struct h2_piece { /* of stream->headers: a field */
    uint32_t at, name_size, value_size;
};

struct h2_stream {
    struct h2 *h2;
    struct h2_stream *next, *prev; /* ring of h2->streams; the free list uses next */
    void *user;
    uint32_t id;
    struct buf headers; /* names and values, one after the other */
    struct h2_piece pieces[H2_HEADERS_MAX];
    size_t piece_count;
    size_t header_bytes; /* as RFC 9113 6.5.2 counts */
    struct buf out;      /* [out_at, size) is not framed yet */
    size_t out_at;
    struct buf trailers; /* as headers */
    struct h2_piece trailer_pieces[H2_TRAILERS_MAX];
    size_t trailer_count;
    size_t unconsumed; /* received content whose window was not given back */
    bool headers_overflow, got_headers, remote_ended;
    bool responded, finished, reset, deferred, want_room, room_ready;
};

struct h2 {
    nghttp2_session *session; /* owned */
    enum h2_role role;
    const struct h2_events *events;
    void *ctx;
    struct budget *budget;
    struct h2_stream streams;    /* ring; itself is the sentinel */
    struct h2_stream *free_list; /* owned */
    size_t stream_count, free_count, room_count;
    uint64_t now_ns, headers_since_ns, ping_ns;
    const char *abuse; /* static; NULL: none */
    unsigned empty_frames, idle_frames, resets, ping_strikes, pings_unanswered, shutdown_ticks;
    bool has_settings, got_goaway, shutting_down, terminated, broken;
};

struct h2_stream *h2_stream_make(struct h2 *h, void *user);

/* Takes the stream off the list; its memory is kept for the next one. */
void h2_stream_drop(struct h2_stream *s);

/* Frees what is kept. */
void h2_streams_done(struct h2 *h);

void h2_stream_clear_headers(struct h2_stream *s);
void h2_stream_add_header(struct h2_stream *s, struct bytes name, struct bytes value, bool keep);

/* Moves up to size queued bytes to ret. */
size_t h2_stream_take_out(struct h2_stream *s, uint8_t *ret, size_t size);

/* Fills trailer_count fields; the values live as long as the stream. */
void h2_stream_trailers(struct h2_stream *s, nghttp2_nv *ret);

/* Tells nghttp2 that there is output again. */
void h2_stream_resume(struct h2_stream *s);

/* Sends the GOAWAY that names the last stream. */
void h2_finish_shutdown(struct h2 *h);

#endif
