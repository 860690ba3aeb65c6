#include "proto/envelope.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/cursor.h"
#include "base/require.h"
#include "crypto/sha256.h"
#include "proto/wire.h"

/* Field numbers of concordat/v1/ledger.proto. */
enum { ENVELOPE_BODY = 1, ENVELOPE_SIGNATURES = 2 };
enum { SIGNATURE_KEY_ID = 1, SIGNATURE_VALUE = 2 };
enum {
    BODY_LEDGER_ID = 1,
    BODY_REQUEST_ID = 2,
    BODY_NOT_AFTER = 3,
    BODY_ATOMIC = 4,
    BODY_EVENTS = 5,
    BODY_ON_BEHALF = 6,
    BODY_SALT = 7,
};
enum { EVENT_CONTRACT = 1, EVENT_ACTION = 2, EVENT_ARGS = 3, EVENT_LEGAL_DATE = 4 };

struct field_form {
    const char *name;
    enum wire_type type;
    bool repeated;
};

/* Indexed by field number; 0 is no field. */
static const struct field_form ENVELOPE_FORM[] = {
    {0},
    {"body", WIRE_BYTES, false},
    {"signatures", WIRE_BYTES, true},
};
static const struct field_form SIGNATURE_FORM[] = {
    {0},
    {"key_id", WIRE_BYTES, false},
    {"signature", WIRE_BYTES, false},
};
static const struct field_form BODY_FORM[] = {
    {0},
    {"ledger_id", WIRE_BYTES, false},
    {"request_id", WIRE_BYTES, false},
    {"not_after_ns", WIRE_FIXED64, false},
    {"atomic", WIRE_VARINT, false},
    {"events", WIRE_BYTES, true},
    {"on_behalf", WIRE_BYTES, false},
    {"salt", WIRE_BYTES, false},
};
static const struct field_form EVENT_FORM[] = {
    {0},
    {"contract", WIRE_BYTES, false},
    {"action", WIRE_BYTES, false},
    {"args", WIRE_BYTES, false},
    {"legal_date", WIRE_VARINT, false},
};
#define FORM_COUNT(form) (sizeof(form) / sizeof((form)[0]))

/* Reads the fields of one message and knows its place, for the message to the client. */
struct reader {
    struct cursor c;
    const struct field_form *form;
    size_t form_count;
    uint32_t seen; /* bit per field number */
    char path[40]; /* "body.events[12]." */
    struct errtext *reterr;
};

static struct reader reader_of(struct bytes wire, const struct field_form *form, size_t count,
                               struct errtext *reterr)
{
    require(count <= 32);
    return (struct reader){cursor_of(wire), form, count, 0, "", reterr};
}

static err reader_fail(const struct reader *r, enum err_code code, uint32_t field, const char *why)
{
    return err_fail(r->reterr, code, "%s%s: %s", r->path, r->form[field].name, why);
}

static err reader_garbage(const struct reader *r)
{
    size_t size = strlen(r->path);
    return size == 0 ? err_fail(r->reterr, ERR_INVALID, "envelope: not a protobuf message")
                     : err_fail(r->reterr, ERR_INVALID, "%.*s: not a protobuf message",
                                (int)(size - 1), r->path);
}

/* The next field, known, of its type and not given twice; *ret_end says there was none. */
static err reader_next(struct reader *r, struct wire_field *ret, bool *ret_end)
{
    *ret_end = !wire_next(&r->c, ret);
    if (*ret_end) {
        return cursor_ok(&r->c) ? err_ok() : reader_garbage(r);
    }
    if (ret->number >= r->form_count) {
        return err_fail(r->reterr, ERR_INVALID, "%sfield %u: not known", r->path, ret->number);
    }
    const struct field_form *form = &r->form[ret->number];
    if (ret->type != form->type) {
        return reader_fail(r, ERR_INVALID, ret->number, "wrong wire type");
    }
    if (!form->repeated && (r->seen >> ret->number & 1) != 0) {
        return reader_fail(r, ERR_INVALID, ret->number, "given twice");
    }
    r->seen |= UINT32_C(1) << ret->number;
    return err_ok();
}

static err reader_need(const struct reader *r, uint32_t field)
{
    return (r->seen >> field & 1) != 0 ? err_ok() : reader_fail(r, ERR_INVALID, field, "missing");
}

static err read_fixed(const struct reader *r, const struct wire_field *f, uint8_t *ret, size_t size)
{
    if (f->bytes.size != size) {
        return err_fail(r->reterr, ERR_INVALID, "%s%s: %zu bytes expected, %zu given", r->path,
                        r->form[f->number].name, size, f->bytes.size);
    }
    memcpy(ret, f->bytes.data, size);
    return err_ok();
}

static err read_name(const struct reader *r, const struct wire_field *f, struct bytes *ret)
{
    if (f->bytes.size == 0) {
        return reader_fail(r, ERR_INVALID, f->number, "empty");
    }
    if (f->bytes.size > NAME_BYTES_MAX) {
        return reader_fail(r, ERR_LIMIT, f->number, "longer than 64 bytes");
    }
    if (!wire_text_valid(f->bytes)) {
        return reader_fail(r, ERR_INVALID, f->number, "not UTF-8 text");
    }
    *ret = f->bytes;
    return err_ok();
}
static_assert(NAME_BYTES_MAX == 64, "the message above says so");

static err event_field(const struct reader *r, const struct wire_field *f, struct event *e)
{
    switch (f->number) {
    case EVENT_CONTRACT:
        return read_name(r, f, &e->contract);
    case EVENT_ACTION:
        return read_name(r, f, &e->action);
    case EVENT_ARGS:
        if (f->bytes.size > ARGS_BYTES_MAX) {
            return reader_fail(r, ERR_LIMIT, f->number, "longer than 262144 bytes");
        }
        e->args = f->bytes;
        return err_ok();
    default:
        require(f->number == EVENT_LEGAL_DATE);
        if (f->value > UINT32_MAX) {
            return reader_fail(r, ERR_INVALID, f->number, "out of range");
        }
        e->has_legal_date = true;
        e->legal_date = (int32_t)wire_unzigzag(f->value);
        return err_ok();
    }
}
static_assert(ARGS_BYTES_MAX == 262144, "the message above says so");

static err event_read(struct bytes wire, uint32_t index, struct event *ret, struct errtext *reterr)
{
    struct reader r = reader_of(wire, EVENT_FORM, FORM_COUNT(EVENT_FORM), reterr);
    (void)snprintf(r.path, sizeof(r.path), "body.events[%u].", index);
    struct event e = {.args = bytes_of("", 0)};
    struct wire_field f;
    for (bool end = false;;) {
        TRY(reader_next(&r, &f, &end));
        if (end) {
            break;
        }
        TRY(event_field(&r, &f, &e));
    }
    TRY(reader_need(&r, EVENT_CONTRACT));
    TRY(reader_need(&r, EVENT_ACTION));
    *ret = e;
    return err_ok();
}

static err body_field(const struct reader *r, const struct wire_field *f, struct body *body)
{
    switch (f->number) {
    case BODY_LEDGER_ID:
        return read_fixed(r, f, body->ledger_id, sizeof(body->ledger_id));
    case BODY_REQUEST_ID:
        return read_fixed(r, f, body->request_id, sizeof(body->request_id));
    case BODY_SALT:
        return read_fixed(r, f, body->salt, sizeof(body->salt));
    case BODY_ON_BEHALF:
        return read_name(r, f, &body->on_behalf);
    case BODY_NOT_AFTER:
        body->not_after_ns = f->value;
        return err_ok();
    case BODY_ATOMIC:
        if (f->value > 1) {
            return reader_fail(r, ERR_INVALID, f->number, "neither true nor false");
        }
        body->atomic = f->value == 1;
        return err_ok();
    default:
        require(f->number == BODY_EVENTS);
        if (body->event_count == EVENTS_MAX) {
            return reader_fail(r, ERR_LIMIT, f->number, "more than 4096");
        }
        body->event_count++;
        return err_ok();
    }
}
static_assert(EVENTS_MAX == 4096, "the message above says so");

/* Second pass: the first one counted and found every field well formed. */
static err events_read(struct bytes wire, struct body *body, struct errtext *reterr)
{
    struct cursor c = cursor_of(wire);
    struct wire_field f;
    uint32_t at = 0;
    while (wire_next(&c, &f)) {
        if (f.number == BODY_EVENTS) {
            TRY(event_read(f.bytes, at, &body->events[at], reterr));
            at++;
        }
    }
    require(at == body->event_count);
    return err_ok();
}

err body_decode(struct bytes wire, struct arena *a, struct body *ret, struct errtext *reterr)
{
    require(a != NULL);
    require(ret != NULL);
    if (wire.size > BODY_BYTES_MAX) {
        return err_fail(reterr, ERR_LIMIT, "body: longer than %d bytes", BODY_BYTES_MAX);
    }
    struct reader r = reader_of(wire, BODY_FORM, FORM_COUNT(BODY_FORM), reterr);
    (void)snprintf(r.path, sizeof(r.path), "body.");
    struct body body = {0};
    struct wire_field f;
    for (bool end = false;;) {
        TRY(reader_next(&r, &f, &end));
        if (end) {
            break;
        }
        TRY(body_field(&r, &f, &body));
    }
    static const uint32_t NEEDED[] = {BODY_LEDGER_ID, BODY_REQUEST_ID, BODY_EVENTS, BODY_ON_BEHALF,
                                      BODY_SALT};
    for (size_t i = 0; i < sizeof(NEEDED) / sizeof(NEEDED[0]); i++) {
        TRY(reader_need(&r, NEEDED[i]));
    }
    body.events = arena_try(a, body.event_count, sizeof(struct event));
    if (body.events == NULL) {
        return err_fail(reterr, ERR_LIMIT, "body.events: no room");
    }
    TRY(events_read(wire, &body, reterr));
    *ret = body;
    return err_ok();
}

static err signature_read(struct bytes wire, uint32_t index, struct signature *ret,
                          struct errtext *reterr)
{
    struct reader r = reader_of(wire, SIGNATURE_FORM, FORM_COUNT(SIGNATURE_FORM), reterr);
    (void)snprintf(r.path, sizeof(r.path), "signatures[%u].", index);
    struct signature s = {0};
    struct wire_field f;
    for (bool end = false;;) {
        TRY(reader_next(&r, &f, &end));
        if (end) {
            break;
        }
        if (f.number == SIGNATURE_KEY_ID) {
            TRY(read_fixed(&r, &f, s.key_id, sizeof(s.key_id)));
        } else {
            require(f.number == SIGNATURE_VALUE);
            TRY(read_fixed(&r, &f, s.value, sizeof(s.value)));
        }
    }
    TRY(reader_need(&r, SIGNATURE_KEY_ID));
    TRY(reader_need(&r, SIGNATURE_VALUE));
    *ret = s;
    return err_ok();
}

static err signature_add(const struct reader *r, const struct wire_field *f, struct envelope *e)
{
    uint32_t at = e->signature_count;
    if (at == SIGNATURES_MAX) {
        return reader_fail(r, ERR_LIMIT, f->number, "more than 8");
    }
    TRY(signature_read(f->bytes, at, &e->signatures[at], r->reterr));
    if (at > 0 && memcmp(e->signatures[at - 1].key_id, e->signatures[at].key_id, 32) >= 0) {
        return reader_fail(r, ERR_INVALID, f->number, "not in ascending order of key_id");
    }
    e->signature_count++;
    return err_ok();
}
static_assert(SIGNATURES_MAX == 8, "the message above says so");

/* The outer message alone: body as a view, and the signatures. */
static err envelope_read(struct bytes wire, struct envelope *ret, struct errtext *reterr)
{
    if (wire.size > ENVELOPE_BYTES_MAX) {
        return err_fail(reterr, ERR_LIMIT, "envelope: longer than %d bytes", ENVELOPE_BYTES_MAX);
    }
    struct reader r = reader_of(wire, ENVELOPE_FORM, FORM_COUNT(ENVELOPE_FORM), reterr);
    struct wire_field f;
    for (bool end = false;;) {
        TRY(reader_next(&r, &f, &end));
        if (end) {
            break;
        }
        if (f.number == ENVELOPE_BODY) {
            ret->body_bytes = f.bytes;
        } else {
            require(f.number == ENVELOPE_SIGNATURES);
            TRY(signature_add(&r, &f, ret));
        }
    }
    return reader_need(&r, ENVELOPE_BODY);
}

err envelope_decode(struct bytes wire, struct arena *a, struct envelope **ret,
                    struct errtext *reterr)
{
    require(a != NULL);
    require(ret != NULL);
    struct envelope *e = arena_try(a, 1, sizeof(*e));
    if (e == NULL) {
        return err_fail(reterr, ERR_LIMIT, "envelope: no room");
    }
    TRY(envelope_read(wire, e, reterr));
    if (e->signature_count == 0) {
        return err_fail(reterr, ERR_DENIED, "signatures: missing");
    }
    TRY(body_decode(e->body_bytes, a, &e->body, reterr));
    *ret = e;
    return err_ok();
}

static size_t event_inner_size(const struct event *e)
{
    size_t size = wire_bytes_size(EVENT_CONTRACT, e->contract.size) +
                  wire_bytes_size(EVENT_ACTION, e->action.size);
    if (e->args.size > 0) {
        size += wire_bytes_size(EVENT_ARGS, e->args.size);
    }
    if (e->has_legal_date) {
        size += wire_tag_size(EVENT_LEGAL_DATE) + wire_varint_size(wire_zigzag(e->legal_date));
    }
    return size;
}

size_t event_encoded_size(const struct event *event)
{
    require(event != NULL);
    return wire_bytes_size(BODY_EVENTS, event_inner_size(event));
}

static void event_encode(const struct event *e, struct buf *buf)
{
    wire_put_tag(buf, BODY_EVENTS, WIRE_BYTES);
    wire_put_varint(buf, event_inner_size(e));
    wire_put_bytes(buf, EVENT_CONTRACT, e->contract);
    wire_put_bytes(buf, EVENT_ACTION, e->action);
    if (e->args.size > 0) {
        wire_put_bytes(buf, EVENT_ARGS, e->args);
    }
    if (e->has_legal_date) {
        wire_put_uint(buf, EVENT_LEGAL_DATE, wire_zigzag(e->legal_date));
    }
}

void body_encode(const struct body *body, struct buf *buf)
{
    require(body != NULL);
    require(buf != NULL);
    wire_put_bytes(buf, BODY_LEDGER_ID, bytes_of(body->ledger_id, sizeof(body->ledger_id)));
    wire_put_bytes(buf, BODY_REQUEST_ID, bytes_of(body->request_id, sizeof(body->request_id)));
    if (body->not_after_ns != 0) {
        wire_put_fixed64(buf, BODY_NOT_AFTER, body->not_after_ns);
    }
    if (body->atomic) {
        wire_put_uint(buf, BODY_ATOMIC, 1);
    }
    for (uint32_t i = 0; i < body->event_count; i++) {
        event_encode(&body->events[i], buf);
    }
    wire_put_bytes(buf, BODY_ON_BEHALF, body->on_behalf);
    wire_put_bytes(buf, BODY_SALT, bytes_of(body->salt, sizeof(body->salt)));
}

void envelope_encode(struct bytes body_bytes, const struct signature *signatures, uint32_t count,
                     struct buf *buf)
{
    require(count == 0 || signatures != NULL);
    require(buf != NULL);
    wire_put_bytes(buf, ENVELOPE_BODY, body_bytes);
    for (uint32_t i = 0; i < count; i++) {
        const struct signature *s = &signatures[i];
        require(i == 0 || memcmp(s[-1].key_id, s->key_id, sizeof(s->key_id)) < 0);
        wire_put_tag(buf, ENVELOPE_SIGNATURES, WIRE_BYTES);
        wire_put_varint(buf, wire_bytes_size(SIGNATURE_KEY_ID, sizeof(s->key_id)) +
                                 wire_bytes_size(SIGNATURE_VALUE, sizeof(s->value)));
        wire_put_bytes(buf, SIGNATURE_KEY_ID, bytes_of(s->key_id, sizeof(s->key_id)));
        wire_put_bytes(buf, SIGNATURE_VALUE, bytes_of(s->value, sizeof(s->value)));
    }
}

static int signature_order(const void *a, const void *b)
{
    const struct signature *left = a;
    const struct signature *right = b;
    return memcmp(left->key_id, right->key_id, sizeof(left->key_id));
}

void signatures_sort(struct signature *signatures, uint32_t count)
{
    if (count > 1) {
        require(signatures != NULL);
        qsort(signatures, count, sizeof(signatures[0]), signature_order);
    }
}

void request_hash(struct bytes body_bytes, uint8_t ret[32])
{
    sha256_tagged(BODY_TAG, &body_bytes, 1, ret);
}

void request_signing_input(struct bytes body_bytes, uint8_t ret[SIGNING_INPUT_SIZE])
{
    const size_t tag_size = sizeof(REQUEST_TAG) - 1;
    memcpy(ret, REQUEST_TAG, tag_size);
    sha256(body_bytes.data, body_bytes.size, ret + tag_size);
}

void envelope_request_hash(struct bytes wire, uint8_t ret[32])
{
    struct envelope e = {0};
    bool readable = !failed(envelope_read(wire, &e, NULL));
    request_hash(readable ? e.body_bytes : wire, ret);
}

void event_hash(const uint8_t request_hash[32], uint32_t index, uint8_t ret[32])
{
    struct sha256 s;
    sha256_init(&s);
    sha256_add(&s, EVENT_TAG, sizeof(EVENT_TAG) - 1);
    sha256_add(&s, request_hash, 32);
    sha256_add_u32(&s, index);
    sha256_end(&s, ret);
}

void import_request_id(const struct event *events, uint32_t count, uint8_t ret[REQUEST_ID_SIZE])
{
    require(count == 0 || events != NULL);
    struct buf buf;
    buf_init(&buf, BODY_BYTES_MAX);
    for (uint32_t i = 0; i < count; i++) {
        event_encode(&events[i], &buf);
    }
    require(!buf.overflow);
    struct bytes bytes = buf_bytes(&buf);
    uint8_t digest[32];
    sha256_tagged(IMPORT_TAG, &bytes, 1, digest);
    memcpy(ret, digest, REQUEST_ID_SIZE);
    buf_done(&buf);
}
