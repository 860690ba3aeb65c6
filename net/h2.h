/* HTTP/2 (RFC 9113) as a machine of bytes, for both sides, over nghttp2: no sockets, no clock of
 * its own. It keeps the list of streams, bounds header lists, counts abuse, and lets output wait
 * in a queue for each stream.
 *
 * A stream lives from on_headers (server) or h2_request (client) to on_close. Nothing here may
 * destroy the session from inside a callback. Thread: loop only. */
#ifndef NET_H2_H
#define NET_H2_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "net/budget.h"

struct h2;
struct h2_stream;

enum h2_role { H2_SERVER, H2_CLIENT };

/* RFC 9113 section 7. */
enum h2_code {
    H2_NO_ERROR = 0x0,
    H2_PROTOCOL_ERROR = 0x1,
    H2_INTERNAL_ERROR = 0x2,
    H2_REFUSED_STREAM = 0x7,
    H2_CANCEL = 0x8,
    H2_ENHANCE_YOUR_CALM = 0xb,
};

struct h2_field {
    const char *name; /* lower-case */
    struct bytes value;
};

struct h2_events {
    /* Server: request headers. Client: final response headers. */
    void (*on_headers)(void *ctx, struct h2_stream *stream);
    /* Client: trailers (h2_stream_header now reads them). NULL: ignored. */
    void (*on_trailers)(void *ctx, struct h2_stream *stream);
    /* Content; give it back with h2_stream_consume when it is taken. */
    void (*on_data)(void *ctx, struct h2_stream *stream, struct bytes data);
    /* The other side has ended the stream. */
    void (*on_end)(void *ctx, struct h2_stream *stream);
    /* The output queue went below the low mark; only from h2_run_room. NULL: never asked. */
    void (*on_room)(void *ctx, struct h2_stream *stream);
    /* The last call of a stream; code: H2_NO_ERROR after an orderly end. */
    void (*on_close)(void *ctx, struct h2_stream *stream, uint32_t code);
};

struct h2_options {
    enum h2_role role;
    const struct h2_events *events; /* static */
    void *ctx;
    uint32_t streams_max;  /* server: of the client; 0: GRPC_STREAMS_MAX */
    struct budget *budget; /* of queued output; NULL: none */
};

/* Starts a session; its SETTINGS wait in h2_send. */
struct h2 *h2_new(const struct h2_options *options);

/* Closes every stream (on_close with H2_CANCEL), then frees. Accepts NULL. */
void h2_free(struct h2 *h2);

/* Takes received bytes. On an error the session is over: INVALID (not HTTP/2, or broken), LIMIT
 * (flood or abuse); what h2_send still has (GOAWAY) should be sent before closing. */
err h2_recv(struct h2 *h2, struct bytes data, uint64_t now_ns, struct errtext *reterr) ERR_MUST_USE;

/* The next bytes to send, valid until the next call; empty: nothing now. */
struct bytes h2_send(struct h2 *h2);

/* Calls on_room for the streams that have room; after h2_send answered nothing. Returns whether
 * it called any. */
bool h2_run_room(struct h2 *h2);

/* Both sides have said all: close the connection when h2_send is empty. */
bool h2_is_done(const struct h2 *h2);

/* Begins a graceful end: no new streams after a round trip; streams that run may finish. */
void h2_shutdown(struct h2 *h2);

/* Ends the session at once with this code and a text for people. */
void h2_terminate(struct h2 *h2, uint32_t code, const char *text);

/* To be called about once a second: refills the allowances against floods. */
void h2_tick(struct h2 *h2);

/* Sends a PING; h2_pings_unanswered counts down when the answer comes. */
void h2_ping(struct h2 *h2);
unsigned h2_pings_unanswered(const struct h2 *h2);

size_t h2_stream_count(const struct h2 *h2);
bool h2_has_settings(const struct h2 *h2); /* the other side's SETTINGS have come */
bool h2_is_shutting_down(const struct h2 *h2);
bool h2_got_goaway(const struct h2 *h2); /* the other side begins no more */

/* When the header block that is now being received began; 0: none is. ns */
uint64_t h2_headers_since_ns(const struct h2 *h2);

/* Client: begins a request; body and end follow by h2_stream_write and h2_stream_finish. FULL:
 * as many streams run as the server allows. INVALID: the session is ending. */
err h2_request(struct h2 *h2, const struct h2_field *fields, size_t count, void *user,
               struct h2_stream **ret_stream) ERR_MUST_USE;

/* Server: sends response headers; end: nothing follows. Once. */
void h2_respond(struct h2_stream *stream, const struct h2_field *fields, size_t count, bool end);

/* Queues content. FULL: the budget is used up; CANCELLED: our side was ended or reset. Then
 * nothing was taken. */
err h2_stream_write(struct h2_stream *stream, const struct bytes *parts, size_t count) ERR_MUST_USE;

/* Ends our side after what is queued, with trailers (count 0: none; at most H2_TRAILERS_MAX,
 * copied). A server then resets a request that is still open with NO_ERROR (RFC 9113 8.1). */
enum { H2_TRAILERS_MAX = 12 };
void h2_stream_finish(struct h2_stream *stream, const struct h2_field *trailers, size_t count);

/* Ends both sides now. */
void h2_stream_reset(struct h2_stream *stream, uint32_t code);

/* Gives the flow-control window of taken content back. */
void h2_stream_consume(struct h2_stream *stream, size_t size);

/* Asks for on_room when the queue is below the low mark. */
void h2_stream_want_room(struct h2_stream *stream);

/* Bytes queued and not yet framed. */
size_t h2_stream_queued(const struct h2_stream *stream);

/* First value of a received header; false when there is none. The view lives until on_close (or
 * the trailers). */
bool h2_stream_header(const struct h2_stream *stream, const char *name, struct bytes *ret_value);

/* The header list passed H2_HEADER_LIST_MAX or H2_HEADERS_MAX; the rest was dropped. */
bool h2_stream_headers_overflow(const struct h2_stream *stream);

void h2_stream_set_user(struct h2_stream *stream, void *user);
void *h2_stream_user(const struct h2_stream *stream);
uint32_t h2_stream_id(const struct h2_stream *stream);
bool h2_stream_remote_ended(const struct h2_stream *stream);

/* The first open stream after this one (NULL: the first), or NULL. */
struct h2_stream *h2_next_stream(struct h2 *h2, struct h2_stream *after);

/* The open stream of this id, or NULL. */
struct h2_stream *h2_find(struct h2 *h2, uint32_t id);

#endif
