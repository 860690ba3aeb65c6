/* Requests as clients sign them (concordat/v1/ledger.proto: Envelope, Body, Event, Signature).
 *
 * Decoding is part of what all nodes must agree on, so it is done by hand and strictly: unknown
 * fields, fields given twice, wrong wire types, wrong sizes and texts that are no UTF-8 or hold a
 * NUL are refused, and nothing depends on a library's version. Nothing is copied: views point into
 * the envelope's bytes. Signatures are not verified here, and names are not looked up. */
#ifndef PROTO_ENVELOPE_H
#define PROTO_ENVELOPE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/limits.h"

#define REQUEST_TAG "concordat/request/v1\n"
#define BODY_TAG "concordat/body/v1\n"
#define EVENT_TAG "concordat/event/v1\n"
#define IMPORT_TAG "concordat/import/v1\n"

enum {
    REQUEST_ID_SIZE = 16,
    REQUEST_SALT_SIZE = 32,
    SIGNING_INPUT_SIZE = sizeof(REQUEST_TAG) - 1 + 32, /* tag and hash */
};

struct signature {
    uint8_t key_id[32]; /* SHA-256 of the public key */
    uint8_t value[64];
};

struct event {
    struct bytes contract, action; /* 1 to NAME_BYTES_MAX octets of UTF-8 */
    struct bytes args;             /* at most ARGS_BYTES_MAX; not looked into */
    bool has_legal_date;
    int32_t legal_date; /* days since 1970-01-01; 0 when absent */
};

struct body {
    uint8_t ledger_id[32];
    uint8_t request_id[REQUEST_ID_SIZE];
    uint64_t not_after_ns; /* 0: never expires */
    bool atomic;
    struct event *events;
    uint32_t event_count;   /* 1 to EVENTS_MAX */
    struct bytes on_behalf; /* 1 to NAME_BYTES_MAX octets of UTF-8 */
    uint8_t salt[REQUEST_SALT_SIZE];
};

struct envelope {
    struct bytes body_bytes; /* as received: what is hashed, signed and stored */
    struct body body;
    struct signature signatures[SIGNATURES_MAX];
    uint32_t signature_count; /* 1 to SIGNATURES_MAX, strictly ascending by key_id */
};

/* Decodes and checks a whole envelope; *ret and its events are in the arena, views point into wire.
 * INVALID with the path of the bad field ("body.events[3].args: ..."); LIMIT for what is over a
 * limit of base/limits.h; DENIED if there is no signature at all. The arena needs
 * ENVELOPE_ARENA_MAX bytes at most. */
err envelope_decode(struct bytes wire, struct arena *a, struct envelope **ret,
                    struct errtext *reterr) ERR_MUST_USE;
#define ENVELOPE_ARENA_MAX (sizeof(struct envelope) + EVENTS_MAX * sizeof(struct event) + 64)

/* Decodes a body alone: for files that wait for further signatures. Same rules; ret is written only
 * on success. */
err body_decode(struct bytes wire, struct arena *a, struct body *ret,
                struct errtext *reterr) ERR_MUST_USE;

/* Appends the encoding of a body, in field order; checks nothing. */
void body_encode(const struct body *body, struct buf *buf);

/* Appends an envelope of body bytes and signatures, which must ascend by key_id. */
void envelope_encode(struct bytes body_bytes, const struct signature *signatures, uint32_t count,
                     struct buf *buf);

/* Orders signatures by key_id, as an envelope wants them. */
void signatures_sort(struct signature *signatures, uint32_t count);

/* request_hash = SHA-256(BODY_TAG || body). */
void request_hash(struct bytes body_bytes, uint8_t ret[32]);

/* What a request's signatures are over: REQUEST_TAG || SHA-256(body). */
void request_signing_input(struct bytes body_bytes, uint8_t ret[SIGNING_INPUT_SIZE]);

/* The request hash of any bytes that a block carries as an envelope: of its body if the outer
 * message can be read, else of all its bytes taken as a body. Total, so that every block has a
 * hash. */
void envelope_request_hash(struct bytes wire, uint8_t ret[32]);

/* event_hash = SHA-256(EVENT_TAG || request_hash || u32 index). */
void event_hash(const uint8_t request_hash[32], uint32_t index, uint8_t ret[32]);

/* The request id of an import: first 16 bytes of SHA-256(IMPORT_TAG || encoded events), so that a
 * second run makes the same requests. */
void import_request_id(const struct event *events, uint32_t count, uint8_t ret[REQUEST_ID_SIZE]);

/* Of an event encoded as a member of a body, tag and length included: what cutting by size needs.
 */
size_t event_encoded_size(const struct event *event);

#endif
