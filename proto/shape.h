/* Shapes: how a plain struct lies beside its protobuf message. One table drives checking, decoding
 * and encoding of every message. Internal to proto/; only .c files of this folder include it.
 *
 *   wire --shape_check--> UTF-8, no NUL, known types --protobuf-c unpack--> message --copy-->
 * struct struct --sizes, then fields in order--> wire
 *
 * A shape lists its fields in the order of the message's descriptor (ascending numbers), so that
 * field i of one is field i of the other; a unit test compares every shape with its descriptor. */
#ifndef PROTO_SHAPE_H
#define PROTO_SHAPE_H

#include <protobuf-c/protobuf-c.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"

enum shape_kind {
    SHAPE_VALUE,  /* a scalar, a text or bytes (struct bytes), or a message in place */
    SHAPE_FIXED,  /* bytes of one size (uint8_t[size]); absent reads as zeros */
    SHAPE_EXACT,  /* the same, but absent is an error */
    SHAPE_LIST,   /* messages: pointer at offset, size_t count at aux */
    SHAPE_OPTION, /* a scalar in a one-member oneof: bool at aux says that it is there */
};

struct shape;
struct shape_field {
    enum shape_kind kind;
    size_t offset, size, aux;
    const struct shape *sub; /* of a message */
};

struct shape {
    const ProtobufCMessageDescriptor *message;
    const struct shape_field *fields;
    unsigned count;
    size_t size; /* of the struct */
};

#define SHAPE_SIZE(type, member) sizeof(((struct type *)0)->member)
#define F_VALUE(type, member)                                                                      \
    {                                                                                              \
        SHAPE_VALUE, offsetof(struct type, member), SHAPE_SIZE(type, member), 0, NULL              \
    }
#define F_FIXED(type, member)                                                                      \
    {                                                                                              \
        SHAPE_FIXED, offsetof(struct type, member), SHAPE_SIZE(type, member), 0, NULL              \
    }
#define F_EXACT(type, member)                                                                      \
    {                                                                                              \
        SHAPE_EXACT, offsetof(struct type, member), SHAPE_SIZE(type, member), 0, NULL              \
    }
#define F_INNER(type, member, shape)                                                               \
    {                                                                                              \
        SHAPE_VALUE, offsetof(struct type, member), SHAPE_SIZE(type, member), 0, shape             \
    }
#define F_LIST(type, member, count, shape)                                                         \
    {                                                                                              \
        SHAPE_LIST, offsetof(struct type, member), SHAPE_SIZE(type, member),                       \
            offsetof(struct type, count), shape                                                    \
    }
#define F_OPTION(type, member, has)                                                                \
    {                                                                                              \
        SHAPE_OPTION, offsetof(struct type, member), SHAPE_SIZE(type, member),                     \
            offsetof(struct type, has), NULL                                                       \
    }

/* Messages inside messages, at most: our own .proto files; the unit test computes the same. */
enum { SHAPE_DEPTH_MAX = 4 };

/* Decodes into a new struct of the arena. INVALID, LIMIT. *ret is written only on success. */
err shape_decode(const struct shape *shape, struct bytes wire, struct arena *a, void **ret,
                 struct errtext *reterr) ERR_MUST_USE;

/* Appends the message of a struct. */
void shape_encode(const struct shape *shape, const void *message, struct buf *buf);

/* The shape of message number index of SERVICE_MESSAGES, or NULL: for tests over all of them. */
const struct shape *service_shape(unsigned index);

#endif
