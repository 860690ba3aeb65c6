/* A client made by hand for the session of a gRPC server: builds frames (RFC 9113, RFC 7541),
 * feeds them in pieces of random size, and reads what comes out. Independent of net/grpc_client. */
#ifndef TESTS_UNIT_NET_RAW_H
#define TESTS_UNIT_NET_RAW_H

#include <nghttp2/nghttp2.h>

#include "net/grpc_core.h"
#include "tests/unit/net/echo.h"

/* What came out for one stream. */
struct raw_got {
    char status[8];      /* of HTTP */
    char grpc_status[8]; /* "" until it came */
    char grpc_message[256];
    bool ended, reset, ended_before_reset;
    uint32_t reset_code;
    size_t data_bytes;
};

enum { STREAMS = 2048 };
struct raw_world {
    struct loop *loop;
    struct echo echo;
    struct grpc_session *session;
    struct buf in;  /* frames to send */
    struct buf out; /* everything the session has sent */
    size_t parsed;
    nghttp2_hd_inflater *inflater;
    struct raw_got got[STREAMS]; /* by stream id / 2 */
    bool goaway;
    uint32_t goaway_code, goaway_last, settings_max_streams;
    size_t goaways, pongs;
    err error; /* of the last feed */
    struct errtext why;
    uint64_t seed;
};

enum {
    DATA = 0,
    HEADERS = 1,
    RST = 3,
    SETTINGS = 4,
    PING = 6,
    GOAWAY_TYPE = 7,
    WINDOW = 8,
    CONT = 9,
};
enum { END_STREAM = 1, ACK = 1, END_HEADERS = 4 };

struct raw_ask {
    const char *method, *path, *type, *timeout, *extra_name, *extra_value;
};
extern const struct raw_ask raw_plain; /* a good unary call of the echo service */

/* cmocka's: a server with one session in memory, and a client that has sent its preface. */
int raw_setup(void **state);
int raw_teardown(void **state);

/* Each appends to w->in. */
void raw_frame(struct raw_world *w, uint8_t type, uint8_t flags, uint32_t id, struct bytes payload);
void raw_request(struct raw_world *w, uint32_t id, uint8_t flags, const struct raw_ask *a);
void raw_message(struct raw_world *w, uint32_t id, uint8_t flags, const char *text);

/* Header fields as HPACK literals. */
void raw_put_field(struct buf *b, const char *name, const char *value);
void raw_put_request(struct buf *b, const struct raw_ask *a);

/* Feeds w->in in pieces of random size up to piece_max, and collects the answers. */
void raw_feed(struct raw_world *w, size_t piece_max);
void raw_collect(struct raw_world *w);

struct raw_got *raw_stream(struct raw_world *w, uint32_t id);

/* The stream has ended well as HTTP, with this gRPC status. */
void raw_expect_status(struct raw_world *w, uint32_t id, const char *grpc_status);

#endif
