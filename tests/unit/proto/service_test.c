/* The messages of the services: every shape agrees with its descriptor, and every field of every
 * message comes back as it was sent. */
#include "lib.h"

#include "base/limits.h"
#include "proto/service.h"
#include "proto/shape.h"
#include "proto/wire.h"

enum { MESSAGES = 43, PARENTS_MAX = 8 };

/* ---- shapes against descriptors ---- */

static size_t scalar_size(const ProtobufCFieldDescriptor *d)
{
    switch (d->type) {
    case PROTOBUF_C_TYPE_BOOL:
        return sizeof(bool);
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_ENUM:
        return 4;
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        return 8;
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(struct bytes);
    default:
        fail_msg("%s: a type that shapes do not know", d->name);
        return 0;
    }
}

static void field_compare(const ProtobufCFieldDescriptor *d, const struct shape_field *f)
{
    bool repeated = d->label == PROTOBUF_C_LABEL_REPEATED;
    bool one_of = (d->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0;
    assert_int_equal(repeated, f->kind == SHAPE_LIST);
    assert_int_equal(one_of, f->kind == SHAPE_OPTION);
    if (d->type == PROTOBUF_C_TYPE_MESSAGE) {
        assert_ptr_equal(f->sub->message, d->descriptor);
        assert_int_equal(f->size, repeated ? sizeof(void *) : f->sub->size);
    } else if (f->kind == SHAPE_FIXED || f->kind == SHAPE_EXACT) {
        assert_int_equal(d->type, PROTOBUF_C_TYPE_BYTES);
    } else {
        assert_false(repeated);
        assert_int_equal(f->size, scalar_size(d));
    }
}

static void shape_compare(const struct shape *shape, unsigned depth)
{
    assert_true(depth <= SHAPE_DEPTH_MAX); /* also fails if a message holds itself */
    assert_int_equal(shape->count, shape->message->n_fields);
    for (unsigned i = 0; i < shape->count; i++) {
        field_compare(&shape->message->fields[i], &shape->fields[i]);
        if (shape->fields[i].sub != NULL) {
            shape_compare(shape->fields[i].sub, depth + 1);
        }
    }
}

static void every_shape_agrees_with_its_descriptor(void **state)
{
    (void)state;
    for (unsigned i = 0; i < MESSAGES; i++) {
        assert_non_null(service_shape(i));
        shape_compare(service_shape(i), 1);
    }
    assert_null(service_shape(MESSAGES));
}

/* ---- every field there and back ---- */

/* Fills a struct with values that differ from field to field, two items a list. */
static void fill(const struct shape *shape, uint8_t *to, struct arena *a, uint64_t *seed)
{
    for (unsigned i = 0; i < shape->count; i++) {
        const ProtobufCFieldDescriptor *d = &shape->message->fields[i];
        const struct shape_field *f = &shape->fields[i];
        *seed += 1;
        if (f->kind == SHAPE_LIST) {
            uint8_t *items = arena_new(a, 2, f->sub->size);
            fill(f->sub, items, a, seed);
            fill(f->sub, items + f->sub->size, a, seed);
            const size_t count = 2;
            memcpy(to + f->offset, &items, sizeof(items));
            memcpy(to + f->aux, &count, sizeof(count));
        } else if (d->type == PROTOBUF_C_TYPE_MESSAGE) {
            fill(f->sub, to + f->offset, a, seed);
        } else if (f->kind == SHAPE_FIXED || f->kind == SHAPE_EXACT) {
            memset(to + f->offset, (int)(*seed % 251) + 1, f->size);
        } else if (d->type == PROTOBUF_C_TYPE_STRING || d->type == PROTOBUF_C_TYPE_BYTES) {
            struct bytes text =
                bytes_text(arena_printf(a, "text %llu é", (unsigned long long)*seed));
            memcpy(to + f->offset, &text, sizeof(text));
        } else if (d->type == PROTOBUF_C_TYPE_ENUM || d->type == PROTOBUF_C_TYPE_BOOL) {
            to[f->offset] = 1;
        } else {
            uint64_t value = (*seed % 2 == 0 ? *seed : UINT64_MAX - *seed) * 7;
            memcpy(to + f->offset, &value, f->size);
        }
        if (f->kind == SHAPE_OPTION) {
            to[f->aux] = *seed % 3 != 0;
        }
    }
}

static void compare(const struct shape *shape, const uint8_t *one, const uint8_t *two)
{
    for (unsigned i = 0; i < shape->count; i++) {
        const ProtobufCFieldDescriptor *d = &shape->message->fields[i];
        const struct shape_field *f = &shape->fields[i];
        if (f->kind == SHAPE_LIST) {
            const uint8_t *items[2];
            memcpy(&items[0], one + f->offset, sizeof(items[0]));
            memcpy(&items[1], two + f->offset, sizeof(items[1]));
            assert_memory_equal(one + f->aux, two + f->aux, sizeof(size_t));
            compare(f->sub, items[0], items[1]);
            compare(f->sub, items[0] + f->sub->size, items[1] + f->sub->size);
        } else if (d->type == PROTOBUF_C_TYPE_MESSAGE) {
            compare(f->sub, one + f->offset, two + f->offset);
        } else if (f->kind == SHAPE_VALUE && f->size == sizeof(struct bytes)) {
            struct bytes texts[2];
            memcpy(&texts[0], one + f->offset, sizeof(texts[0]));
            memcpy(&texts[1], two + f->offset, sizeof(texts[1]));
            assert_true(bytes_equal(texts[0], texts[1]));
            assert_int_equal(d->type == PROTOBUF_C_TYPE_STRING ? texts[1].data[texts[1].size] : 0,
                             0);
        } else if (f->kind != SHAPE_OPTION || one[f->aux]) {
            assert_memory_equal(one + f->offset, two + f->offset, f->size);
        }
        if (f->kind == SHAPE_OPTION) {
            assert_int_equal(one[f->aux], two[f->aux]);
        }
    }
}

static void every_field_comes_back(void **state)
{
    (void)state;
    for (unsigned i = 0; i < MESSAGES; i++) {
        for (uint64_t seed = 0; seed < 6; seed++) {
            const struct shape *shape = service_shape(i);
            struct arena a;
            arena_init(&a, 1 << 22);
            uint64_t running = seed;
            uint8_t *message = arena_new(&a, 1, shape->size);
            fill(shape, message, &a, &running);
            struct buf wire;
            buf_init(&wire, GRPC_MESSAGE_BYTES_MAX);
            shape_encode(shape, message, &wire);
            void *back;
            struct errtext text = {""};
            err e = shape_decode(shape, buf_bytes(&wire), &a, &back, &text);
            assert_string_equal(text.text, "");
            assert_true(!failed(e));
            compare(shape, message, back);
            buf_done(&wire);
            arena_done(&a);
        }
    }
}

/* protobuf-c's own writer must make the same bytes: unpack ours, pack again. */
static void what_we_write_is_what_protobuf_c_writes(void **state)
{
    (void)state;
    for (unsigned i = 0; i < MESSAGES; i++) {
        const struct shape *shape = service_shape(i);
        struct arena a;
        arena_init(&a, 1 << 22);
        uint64_t seed = i;
        uint8_t *message = arena_new(&a, 1, shape->size);
        fill(shape, message, &a, &seed);
        struct buf wire;
        buf_init(&wire, GRPC_MESSAGE_BYTES_MAX);
        shape_encode(shape, message, &wire);
        static const uint8_t NOTHING[1];
        ProtobufCMessage *unpacked = protobuf_c_message_unpack(
            shape->message, NULL, wire.size, wire.size == 0 ? NOTHING : wire.data);
        assert_non_null(unpacked);
        assert_int_equal(protobuf_c_message_get_packed_size(unpacked), wire.size);
        uint8_t *packed = mem_new(wire.size + 1, 1);
        (void)protobuf_c_message_pack(unpacked, packed);
        if (wire.size > 0) {
            assert_memory_equal(packed, wire.data, wire.size);
        }
        free(packed);
        protobuf_c_message_free_unpacked(unpacked, NULL);
        buf_done(&wire);
        arena_done(&a);
    }
}

/* ---- typed front, and what is refused ---- */

static void empty_messages_have_no_null_texts(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 1 << 21);
    struct balance_request *request;
    assert_true(!failed(balance_request_decode(bytes_of(NULL, 0), &a, &request, NULL)));
    assert_non_null(request->account.contract.data);
    assert_int_equal(request->account.place.size, 0);
    struct status_request *status;
    assert_true(!failed(status_request_decode(bytes_of(NULL, 0), &a, &status, NULL)));
    struct status_reply *reply;
    assert_true(!failed(status_reply_decode(bytes_of(NULL, 0), &a, &reply, NULL)));
    assert_int_equal(reply->node_count, 0);
    arena_done(&a);
}

static enum err_code outcome_decode(const char *hex, struct errtext *text)
{
    struct bytes wire = unhex(hex);
    struct arena a;
    arena_init(&a, 1 << 21);
    struct get_outcome_request *request = NULL;
    err e = get_outcome_request_decode(wire, &a, &request, text);
    assert_true(failed(e) == (request == NULL));
    arena_done(&a);
    unhex_done(wire);
    return e.code;
}

static void bad_fields_are_refused(void **state)
{
    (void)state;
    struct errtext text = {""};
    assert_int_equal(outcome_decode("0a01701210000102030405060708090a0b0c0d0e0f", &text), ERR_OK);
    /* unknown field 9 */
    assert_int_equal(outcome_decode("0a01701210000102030405060708090a0b0c0d0e0f4801", &text),
                     ERR_OK);
    assert_int_equal(outcome_decode("0a0170", &text), ERR_INVALID);
    assert_string_equal(text.text, "request_id: 16 bytes expected, 0 given");
    assert_int_equal(outcome_decode("0a01ff1210000102030405060708090a0b0c0d0e0f", &text),
                     ERR_INVALID);
    assert_string_equal(text.text, "GetOutcomeRequest.party: not UTF-8 text");
    assert_int_equal(outcome_decode("0a0261001210000102030405060708090a0b0c0d0e0f", &text),
                     ERR_INVALID);
    assert_int_equal(outcome_decode("0801", &text), ERR_INVALID); /* party as a number */
    assert_string_equal(text.text, "GetOutcomeRequest: cannot parse");
    assert_int_equal(outcome_decode("0aff", &text), ERR_INVALID);
    assert_string_equal(text.text, "GetOutcomeRequest: not a protobuf message");
}

static void texts_of_inner_messages_are_checked(void **state)
{
    (void)state;
    struct bytes wire = unhex("0a040a0261ff");
    struct arena a;
    arena_init(&a, 1 << 21);
    struct balance_request *request;
    struct errtext text;
    assert_int_equal(balance_request_decode(wire, &a, &request, &text).code, ERR_INVALID);
    assert_string_equal(text.text, "Account.contract: not UTF-8 text");
    arena_done(&a);
    unhex_done(wire);
}

/* 1 MiB of empty outcomes would unpack to some 50 MiB. */
static void amplification_ends_at_the_budget(void **state)
{
    (void)state;
    struct buf wire;
    buf_init(&wire, 1 << 20);
    while (wire.size + 2 <= 1 << 20) {
        wire_put_bytes(&wire, 4, bytes_of("", 0));
    }
    struct arena a;
    arena_init(&a, 64 << 20);
    struct submit_reply *reply;
    assert_int_equal(submit_reply_decode(buf_bytes(&wire), &a, &reply, NULL).code, ERR_LIMIT);
    assert_true(a.used < 6 << 20);
    arena_done(&a);
    buf_done(&wire);
}

static void sizes_have_a_limit(void **state)
{
    (void)state;
    uint8_t *big = mem_new(GRPC_MESSAGE_BYTES_MAX + 1, 1);
    struct arena a;
    arena_init(&a, 1 << 20);
    struct submit_request *request;
    assert_int_equal(
        submit_request_decode(bytes_of(big, GRPC_MESSAGE_BYTES_MAX + 1), &a, &request, NULL).code,
        ERR_LIMIT);
    arena_done(&a);
    arena_init(&a, 16);
    struct submit_request *small;
    assert_true(failed(submit_request_decode(bytes_of("\x0a\x01x", 3), &a, &small, NULL)));
    arena_done(&a);
    struct buf wire;
    buf_init(&wire, 8);
    const struct submit_request too_big = {.envelope = bytes_of(big, 9)};
    submit_request_encode(&too_big, &wire);
    assert_true(wire.overflow);
    buf_done(&wire);
    free(big);
}

static void a_later_enum_reads_as_unspecified(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 1 << 21);
    struct health_check_response *response;
    assert_true(
        !failed(health_check_response_decode(bytes_of("\x08\x63", 2), &a, &response, NULL)));
    assert_int_equal(response->status, SERVING_UNKNOWN);
    assert_true(
        !failed(health_check_response_decode(bytes_of("\x08\x01", 2), &a, &response, NULL)));
    assert_int_equal(response->status, SERVING);
    arena_done(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_shape_agrees_with_its_descriptor),
        cmocka_unit_test(every_field_comes_back),
        cmocka_unit_test(what_we_write_is_what_protobuf_c_writes),
        cmocka_unit_test(empty_messages_have_no_null_texts),
        cmocka_unit_test(bad_fields_are_refused),
        cmocka_unit_test(texts_of_inner_messages_are_checked),
        cmocka_unit_test(amplification_ends_at_the_budget),
        cmocka_unit_test(sizes_have_a_limit),
        cmocka_unit_test(a_later_enum_reads_as_unspecified),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
