/* The small formats of gRPC over HTTP/2 (grpc/doc/PROTOCOL-HTTP2.md): message framing, timeouts,
 * percent-encoded texts. Pure functions over bytes.
 *
 *     message = flag (1: 0 or 1) | size (4, big-endian) | size bytes
 *
 * DATA frames may cut a message anywhere, also inside its prefix. */
#ifndef NET_GRPC_WIRE_H
#define NET_GRPC_WIRE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"
#include "net/budget.h"
#include "net/grpc_status.h"

enum {
    GRPC_PREFIX_SIZE = 5,
    GRPC_TIMEOUT_SIZE = 10, /* 8 digits, unit, NUL */
};

/* 1 to 8 digits and one of H M S m u n. Never overflows: 99999999H is UINT64_MAX ns. INVALID. */
err grpc_timeout_parse(struct bytes text, uint64_t *ret_ns) ERR_MUST_USE;

/* The same, rounded up to what 8 digits can say, with a NUL. */
void grpc_timeout_print(uint64_t ns, char ret[GRPC_TIMEOUT_SIZE]);

/* Percent-encodes all but 0x20 to 0x7e without '%'; stops before a character whose encoding would
 * pass the room of size bytes (with NUL). Returns the length. */
size_t grpc_text_encode(const char *text, char *ret, size_t size);

/* Decodes %XX; what is not valid stays as it is. Control characters become '?'. Cut at size - 1;
 * always ends in NUL. */
void grpc_text_decode(struct bytes text, char *ret, size_t size);

/* Decodes the first value of a "-bin" header. INVALID, LIMIT. */
err grpc_bin_decode(struct bytes text, uint8_t *ret, size_t size_max,
                    size_t *ret_size) ERR_MUST_USE;

/* "application/grpc", alone or followed by "+proto" or ";": not grpc-web, not +json. */
bool grpc_content_type_is_good(struct bytes value);

/* A decimal status; UNKNOWN for anything else. */
enum grpc_status grpc_status_parse(struct bytes text);

/* What a stream that ended by reset with this HTTP/2 code means to a client. */
enum grpc_status grpc_status_of_reset(uint32_t code);

/* What an answer with another :status than 200 means to a client. */
enum grpc_status grpc_status_of_http(unsigned status);

void grpc_prefix_write(uint8_t ret[GRPC_PREFIX_SIZE], size_t message_size);

/* Cuts a byte stream into messages. */
struct grpc_deframer {
    uint8_t prefix[GRPC_PREFIX_SIZE];
    unsigned prefix_size;
    size_t size, size_max; /* of the current message; the limit */
    struct budget *budget; /* holds `size` while a message is being gathered */
    size_t held;
    struct buf body;
    bool copy; /* gather even a message that arrives in one piece, so that it stays valid */
};

void grpc_deframer_init(struct grpc_deframer *d, size_t size_max, struct budget *budget);

/* Gives memory and budget back. */
void grpc_deframer_done(struct grpc_deframer *d);

/* Takes bytes from *in. GRPC_OK and *ret_complete: *ret_message is a whole message, valid until
 * the next call and the end of in's memory; call again. GRPC_OK and not complete: *in is used up.
 * RESOURCE_EXHAUSTED (too large, found on the prefix; or no budget), INTERNAL (bad flag),
 * UNIMPLEMENTED (compressed): the stream is over. */
enum grpc_status grpc_deframer_next(struct grpc_deframer *d, struct bytes *in,
                                    struct bytes *ret_message, bool *ret_complete,
                                    struct errtext *reterr);

/* Nothing of an unfinished message is held. */
bool grpc_deframer_is_empty(const struct grpc_deframer *d);

#endif
