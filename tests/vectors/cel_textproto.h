/* A small reader of the text format of protocol buffers, as far as the conformance suite of CEL
 * uses it: fields with a text, a word or number, or a message. Bounded in size, depth and fields.
 */
#ifndef TESTS_VECTORS_CEL_TEXTPROTO_H
#define TESTS_VECTORS_CEL_TEXTPROTO_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/err.h"

enum { PROTO_DEPTH_MAX = 32, PROTO_BYTES_MAX = 1 << 20, PROTO_NAME_MAX = 100 };

enum proto_kind { PROTO_MESSAGE, PROTO_TEXT, PROTO_WORD };

/* A field; its message's fields are a list in order of the text. */
struct proto {
    struct bytes name; /* "[type.googleapis.com/...]" for an Any */
    enum proto_kind kind;
    struct bytes text;          /* TEXT: decoded; WORD: as written: 17, true, NULL_VALUE */
    struct proto *first, *last; /* MESSAGE */
    struct proto *next;
    unsigned line;
};

/* Parses a whole file as the message *ret, in the arena. INVALID names the line. */
err proto_parse(struct bytes text, struct arena *arena, struct proto *ret,
                struct errtext *reterr) ERR_MUST_USE;

/* The first field of that name, or NULL. */
const struct proto *proto_get(const struct proto *message, const char *name);

/* The text of that field, or an empty one. */
struct bytes proto_text(const struct proto *message, const char *name);

#endif
