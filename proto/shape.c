#include "proto/shape.h"

#include "base/cursor.h"
#include "base/limits.h"
#include "base/require.h"
#include "proto/wire.h"

/* ---- checking the wire before protobuf-c sees it ----
 * protobuf-c takes invalid UTF-8, cuts texts at a NUL, and has no limit on depth. */

static const ProtobufCFieldDescriptor *field_find(const ProtobufCMessageDescriptor *m,
                                                  uint32_t number)
{
    for (unsigned i = 0; i < m->n_fields; i++) {
        if (m->fields[i].id == number) {
            return &m->fields[i];
        }
    }
    return NULL;
}

/* One message whose fields are being walked; inner ones wait on a stack, not in C's. */
struct walk {
    struct cursor c;
    const ProtobufCMessageDescriptor *message;
};

static err text_check(const struct walk *w, const ProtobufCFieldDescriptor *d, struct bytes text,
                      struct errtext *reterr)
{
    if (!wire_text_valid(text)) {
        return err_fail(reterr, ERR_INVALID, "%s.%s: not UTF-8 text", w->message->short_name,
                        d->name);
    }
    return err_ok();
}

static err shape_check(const ProtobufCMessageDescriptor *message, struct bytes wire,
                       struct errtext *reterr)
{
    struct walk stack[SHAPE_DEPTH_MAX] = {{cursor_of(wire), message}};
    unsigned depth = 1;
    while (depth > 0) {
        struct walk *w = &stack[depth - 1];
        struct wire_field f;
        if (!wire_next(&w->c, &f)) {
            if (!cursor_ok(&w->c)) {
                return err_fail(reterr, ERR_INVALID, "%s: not a protobuf message",
                                w->message->short_name);
            }
            depth--;
            continue;
        }
        const ProtobufCFieldDescriptor *d = field_find(w->message, f.number);
        if (d == NULL || f.type != WIRE_BYTES) {
            continue; /* unknown: for a later version; a wrong type fails when it is unpacked */
        }
        if (d->type == PROTOBUF_C_TYPE_STRING) {
            TRY(text_check(w, d, f.bytes, reterr));
        } else if (d->type == PROTOBUF_C_TYPE_MESSAGE) {
            require(depth < SHAPE_DEPTH_MAX);
            stack[depth++] = (struct walk){cursor_of(f.bytes), d->descriptor};
        }
    }
    return err_ok();
}

/* ---- memory for protobuf-c ---- */

/* 1 MiB of input of empty messages would take 52 MiB unpacked: so there is a hard limit. */
struct budget {
    struct arena *a;
    size_t left;
    bool exceeded;
};

static void *budget_alloc(void *ctx, size_t size)
{
    struct budget *b = ctx;
    void *memory = size > b->left ? NULL : arena_try(b->a, 1, size == 0 ? 1 : size);
    b->left -= memory == NULL ? 0 : size;
    b->exceeded = b->exceeded || memory == NULL;
    return memory;
}

static void budget_free(void *ctx, void *pointer)
{
    (void)ctx; /* everything goes with the arena */
    (void)pointer;
}

/* ---- from protobuf-c's struct to ours ---- */

struct copier {
    struct arena *a;
    struct errtext *reterr;
};

static void text_copy(const void *from, void *to)
{
    const char *text;
    memcpy(&text, from, sizeof(text));
    struct bytes view = bytes_text(text == NULL ? "" : text);
    memcpy(to, &view, sizeof(view));
}

static err bytes_copy(const struct copier *copier, const struct shape_field *f,
                      const ProtobufCBinaryData *from, void *to)
{
    if (f->kind == SHAPE_VALUE) {
        require(f->size == sizeof(struct bytes));
        struct bytes view = from->len == 0 ? bytes_of("", 0) : bytes_of(from->data, from->len);
        memcpy(to, &view, sizeof(view));
        return err_ok();
    }
    if (from->len == 0 && f->kind == SHAPE_FIXED) {
        return err_ok();
    }
    if (from->len != f->size) {
        return err_fail(copier->reterr, ERR_INVALID, "%zu bytes expected, %zu given", f->size,
                        from->len);
    }
    memcpy(to, from->data, f->size);
    return err_ok();
}

/* A number that the enum does not have comes from a later version: it reads as 0, unspecified. */
static void enum_copy(const ProtobufCFieldDescriptor *d, const void *from, void *to)
{
    int value;
    memcpy(&value, from, sizeof(value));
    if (protobuf_c_enum_descriptor_get_value(d->descriptor, value) == NULL) {
        value = 0;
    }
    memcpy(to, &value, sizeof(value));
}

/* Everything but messages. */
static err value_copy(const struct copier *copier, const ProtobufCFieldDescriptor *d,
                      const struct shape_field *f, const uint8_t *from, uint8_t *to)
{
    if (d->type == PROTOBUF_C_TYPE_BYTES) {
        return bytes_copy(copier, f, (const void *)from, to);
    }
    if (d->type == PROTOBUF_C_TYPE_STRING) {
        text_copy(from, to);
    } else if (d->type == PROTOBUF_C_TYPE_ENUM) {
        enum_copy(d, from, to);
    } else if (d->type == PROTOBUF_C_TYPE_BOOL) {
        protobuf_c_boolean flag;
        memcpy(&flag, from, sizeof(flag));
        *(bool *)to = flag != 0;
    } else {
        memcpy(to, from, f->size); /* a number of the same width: the unit test compares */
    }
    return err_ok();
}

static err message_copy(const struct copier *copier, const struct shape *shape, const uint8_t *from,
                        uint8_t *to);

static err list_copy(const struct copier *copier, const ProtobufCFieldDescriptor *d,
                     const struct shape_field *f, const uint8_t *from, uint8_t *to)
{
    size_t count;
    memcpy(&count, from + d->quantifier_offset, sizeof(count));
    if (count == 0) {
        return err_ok();
    }
    const uint8_t *const *items;
    memcpy(&items, from + d->offset, sizeof(items));
    uint8_t *list = arena_try(copier->a, count, f->sub->size);
    if (list == NULL) {
        return err_fail(copier->reterr, ERR_LIMIT, "no room for %zu items", count);
    }
    for (size_t i = 0; i < count; i++) {
        TRY(message_copy(copier, f->sub, items[i], list + i * f->sub->size));
    }
    memcpy(to + f->offset, &list, sizeof(list));
    memcpy(to + f->aux, &count, sizeof(count));
    return err_ok();
}

static err field_copy(const struct copier *copier, const ProtobufCFieldDescriptor *d,
                      const struct shape_field *f, const uint8_t *from, uint8_t *to)
{
    if (f->kind == SHAPE_LIST) {
        return list_copy(copier, d, f, from, to);
    }
    if (f->kind == SHAPE_OPTION) {
        uint32_t which;
        memcpy(&which, from + d->quantifier_offset, sizeof(which));
        *(bool *)(to + f->aux) = which == d->id;
        return which == d->id ? value_copy(copier, d, f, from + d->offset, to + f->offset)
                              : err_ok();
    }
    if (d->type != PROTOBUF_C_TYPE_MESSAGE) {
        return value_copy(copier, d, f, from + d->offset, to + f->offset);
    }
    const uint8_t *inner;
    memcpy(&inner, from + d->offset, sizeof(inner));
    return message_copy(copier, f->sub, inner, to + f->offset);
}

/* The depth of the calls is that of our own .proto files, which do not recurse: not of the input.
 * An absent inner message (from is NULL) reads as one with nothing in it, so that no text of ours
 * is ever a NULL. */
static err message_copy(const struct copier *copier, const struct shape *shape, const uint8_t *from,
                        uint8_t *to)
{
    enum { EMPTY_BYTES_MAX = 512 };
    _Alignas(max_align_t) uint8_t empty[EMPTY_BYTES_MAX];
    if (from == NULL) {
        require(shape->message->sizeof_message <= sizeof(empty));
        shape->message->message_init((ProtobufCMessage *)(void *)empty);
        from = empty;
    }
    for (unsigned i = 0; i < shape->count; i++) {
        const ProtobufCFieldDescriptor *d = &shape->message->fields[i];
        err e = field_copy(copier, d, &shape->fields[i], from, to);
        if (failed(e)) {
            return err_wrapf(copier->reterr, e, "%s", d->name);
        }
    }
    return err_ok();
}

err shape_decode(const struct shape *shape, struct bytes wire, struct arena *a, void **ret,
                 struct errtext *reterr)
{
    require(shape != NULL);
    require(a != NULL);
    require(ret != NULL);
    if (wire.size > GRPC_MESSAGE_BYTES_MAX) {
        return err_fail(reterr, ERR_LIMIT, "%s: longer than %d bytes", shape->message->short_name,
                        GRPC_MESSAGE_BYTES_MAX);
    }
    TRY(shape_check(shape->message, wire, reterr));
    struct budget budget = {a, UNPACK_BYTES_FACTOR * wire.size + UNPACK_BYTES_EXTRA, false};
    ProtobufCAllocator allocator = {budget_alloc, budget_free, &budget};
    static const uint8_t NOTHING[1];
    const ProtobufCMessage *message = protobuf_c_message_unpack(
        shape->message, &allocator, wire.size, wire.size == 0 ? NOTHING : wire.data);
    if (message == NULL) {
        return budget.exceeded
                   ? err_fail(reterr, ERR_LIMIT, "%s: takes too much memory",
                              shape->message->short_name)
                   : err_fail(reterr, ERR_INVALID, "%s: cannot parse", shape->message->short_name);
    }
    void *result = arena_try(a, 1, shape->size);
    if (result == NULL) {
        return err_fail(reterr, ERR_LIMIT, "%s: no room", shape->message->short_name);
    }
    const struct copier copier = {a, reterr};
    TRY(message_copy(&copier, shape, (const uint8_t *)message, result));
    *ret = result;
    return err_ok();
}

/* ---- encoding: straight from our struct, without a copy ---- */

static struct bytes view_at(const struct shape_field *f, const uint8_t *at)
{
    if (f->kind == SHAPE_FIXED || f->kind == SHAPE_EXACT) {
        return bytes_of(at, f->size);
    }
    struct bytes view;
    memcpy(&view, at, sizeof(view));
    return view;
}

/* A scalar as the wire has it, before the varint. */
static uint64_t number_at(const ProtobufCFieldDescriptor *d, const uint8_t *at)
{
    uint32_t narrow;
    uint64_t wide;
    switch (d->type) {
    case PROTOBUF_C_TYPE_BOOL:
        return *(const bool *)at;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_ENUM:
        memcpy(&narrow, at, sizeof(narrow));
        return narrow;
    case PROTOBUF_C_TYPE_SINT32:
        memcpy(&narrow, at, sizeof(narrow));
        return wire_zigzag((int32_t)narrow);
    case PROTOBUF_C_TYPE_SINT64:
        memcpy(&wide, at, sizeof(wide));
        return wire_zigzag((int64_t)wide);
    default:
        require(d->type == PROTOBUF_C_TYPE_UINT64 || d->type == PROTOBUF_C_TYPE_FIXED64);
        memcpy(&wide, at, sizeof(wide));
        return wide;
    }
}

static bool is_view(const ProtobufCFieldDescriptor *d)
{
    return d->type == PROTOBUF_C_TYPE_STRING || d->type == PROTOBUF_C_TYPE_BYTES;
}

/* Whether proto3 writes the field: its default is left out, except of a member of a oneof. */
static bool is_written(const ProtobufCFieldDescriptor *d, const struct shape_field *f,
                       const uint8_t *message)
{
    if (f->kind == SHAPE_OPTION) {
        return *(const bool *)(message + f->aux);
    }
    if (is_view(d)) {
        return view_at(f, message + f->offset).size > 0;
    }
    return number_at(d, message + f->offset) != 0;
}

static size_t list_at(const struct shape_field *f, const uint8_t *message, const uint8_t **ret)
{
    size_t count = 1;
    *ret = message + f->offset;
    if (f->kind == SHAPE_LIST) {
        memcpy(ret, message + f->offset, sizeof(*ret));
        memcpy(&count, message + f->aux, sizeof(count));
    }
    return count;
}

static size_t field_size(const ProtobufCFieldDescriptor *d, const struct shape_field *f,
                         const uint8_t *message);

static size_t message_size(const struct shape *shape, const uint8_t *message)
{
    size_t size = 0;
    for (unsigned i = 0; i < shape->count; i++) {
        size += field_size(&shape->message->fields[i], &shape->fields[i], message);
    }
    return size;
}

static size_t field_size(const ProtobufCFieldDescriptor *d, const struct shape_field *f,
                         const uint8_t *message)
{
    if (d->type == PROTOBUF_C_TYPE_MESSAGE) {
        const uint8_t *items;
        size_t count = list_at(f, message, &items);
        size_t size = 0;
        for (size_t i = 0; i < count; i++) {
            size += wire_bytes_size(d->id, message_size(f->sub, items + i * f->sub->size));
        }
        return size;
    }
    if (!is_written(d, f, message)) {
        return 0;
    }
    if (is_view(d)) {
        return wire_bytes_size(d->id, view_at(f, message + f->offset).size);
    }
    return wire_tag_size(d->id) + (d->type == PROTOBUF_C_TYPE_FIXED64
                                       ? 8
                                       : wire_varint_size(number_at(d, message + f->offset)));
}

static void message_put(const struct shape *shape, const uint8_t *message, struct buf *buf);

static void field_put(const ProtobufCFieldDescriptor *d, const struct shape_field *f,
                      const uint8_t *message, struct buf *buf)
{
    if (d->type == PROTOBUF_C_TYPE_MESSAGE) {
        const uint8_t *items;
        size_t count = list_at(f, message, &items);
        for (size_t i = 0; i < count; i++) {
            const uint8_t *item = items + i * f->sub->size;
            wire_put_tag(buf, d->id, WIRE_BYTES);
            wire_put_varint(buf, message_size(f->sub, item));
            message_put(f->sub, item, buf);
        }
        return;
    }
    if (!is_written(d, f, message)) {
        return;
    }
    if (is_view(d)) {
        wire_put_bytes(buf, d->id, view_at(f, message + f->offset));
    } else if (d->type == PROTOBUF_C_TYPE_FIXED64) {
        wire_put_fixed64(buf, d->id, number_at(d, message + f->offset));
    } else {
        wire_put_uint(buf, d->id, number_at(d, message + f->offset));
    }
}

static void message_put(const struct shape *shape, const uint8_t *message, struct buf *buf)
{
    for (unsigned i = 0; i < shape->count; i++) {
        field_put(&shape->message->fields[i], &shape->fields[i], message, buf);
    }
}

void shape_encode(const struct shape *shape, const void *message, struct buf *buf)
{
    require(shape != NULL);
    require(message != NULL);
    require(buf != NULL);
    message_put(shape, message, buf);
}
