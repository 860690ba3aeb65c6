/* The framing of peer links, and the messages that belong to the link itself. Pure: bytes in,
 * frames out.
 *
 *     frame    0        4      5
 *              | u32 n  | type | n bytes ...        n <= size_max, checked before allocation
 *
 *     hello    u16 version | 32 bytes ledger id | u64 from | u64 to
 *     welcome  u16 version
 *     refusal  u8 reason | text of at most FRAME_REFUSAL_TEXT_MAX bytes
 *
 * The dialling side sends a hello first; the accepting side answers welcome or refusal and nothing
 * else. From then on frames flow from the dialling side only. Numbers are big-endian. */
#ifndef NET_FRAME_H
#define NET_FRAME_H

#include "base/buf.h"
#include "base/err.h"
#include "crypto/sha256.h"

enum {
    FRAME_HEADER_SIZE = 5,
    FRAME_VERSION = 1,
    FRAME_HELLO_SIZE = 2 + SHA256_SIZE + 8 + 8,
    FRAME_REFUSAL_TEXT_MAX = 120,
    /* Types of the link itself; the host's are PEER_TYPE_MAX and below. */
    FRAME_TYPE_HELLO = 240,
    FRAME_TYPE_WELCOME = 241,
    FRAME_TYPE_REFUSAL = 242,
    FRAME_TYPE_PING = 243, /* empty: tells the accepting side that this one lives */
};

struct frame {
    uint8_t type;
    struct bytes bytes; /* a view into what was fed; valid until the next frame_* call */
};

/* Cuts a stream of bytes into frames, whatever pieces it comes in. */
struct frame_reader {
    struct buf partial; /* owned: the beginning of a frame whose end has not come yet */
    size_t size_max;    /* of a frame's bytes */
    bool delivered;     /* partial was handed out whole; the next call clears it */
};

/* size_max is the greatest number of bytes of one frame (without header). */
void frame_reader_init(struct frame_reader *r, size_t size_max);
void frame_reader_done(struct frame_reader *r);

/* Takes the next frame from *input, which moves past the bytes used. *ret_there tells whether a
 * frame was complete; if not, all input is used up and more is needed. LIMIT as soon as a length
 * above size_max is seen: nothing was allocated for it, and the reader is of no more use. */
err frame_next(struct frame_reader *r, struct bytes *input, struct frame *ret,
               bool *ret_there) ERR_MUST_USE;

/* Appends header and parts to ret. The sum of the parts fits 32 bits. */
void frame_put(struct buf *ret, uint8_t type, const struct bytes parts[], size_t count);

struct frame_hello {
    uint16_t version;
    uint8_t ledger_id[SHA256_SIZE];
    uint64_t from, to;
};

void frame_put_hello(struct buf *ret, const struct frame_hello *hello);
void frame_put_welcome(struct buf *ret);
void frame_put_refusal(struct buf *ret, uint8_t reason, const char *text);

/* Decode the bytes of such frames. INVALID when they are malformed; of a hello with another
 * version only the version is read. */
err frame_read_hello(struct bytes bytes, struct frame_hello *ret) ERR_MUST_USE;
err frame_read_welcome(struct bytes bytes, uint16_t *ret_version) ERR_MUST_USE;

/* The text is made printable and has room for FRAME_REFUSAL_TEXT_MAX + 1. */
err frame_read_refusal(struct bytes bytes, uint8_t *ret_reason, char *ret_text) ERR_MUST_USE;

#endif
