/* Requests: what protoc writes is what we read and write, and every way to be wrong is named. */
#include "lib.h"

#include "golden.h"
#include "proto/envelope.h"
#include "proto/wire.h"

static struct arena fresh(void)
{
    struct arena a;
    arena_init(&a, ENVELOPE_ARENA_MAX);
    return a;
}

static void a_golden_envelope_is_read(void **state)
{
    (void)state;
    struct bytes wire = unhex(GOLDEN_ENVELOPE);
    struct arena a = fresh();
    struct envelope *e;
    assert_true(!failed(envelope_decode(wire, &a, &e, NULL)));
    assert_int_equal(e->signature_count, 2);
    assert_int_equal(e->signatures[1].key_id[0], '2');
    assert_int_equal(e->signatures[1].value[63], 't');
    assert_int_equal(e->body.ledger_id[31], 31);
    assert_int_equal(e->body.request_id[15], 0xaf);
    assert_true(e->body.not_after_ns == UINT64_C(1785400000000000000));
    assert_true(e->body.atomic);
    assert_int_equal(e->body.event_count, 3);
    assert_true(bytes_equal(e->body.events[0].contract, bytes_text("solar.roquefort")));
    assert_true(bytes_equal(e->body.events[1].action, bytes_text("close")));
    assert_int_equal(e->body.events[0].legal_date, 20635);
    assert_int_equal(e->body.events[1].legal_date, -1);
    assert_false(e->body.events[2].has_legal_date);
    assert_true(bytes_equal(e->body.events[2].args, bytes_text("z")));
    assert_true(bytes_equal(e->body.on_behalf, bytes_text("enedis")));
    assert_int_equal(e->body.salt[31], 0x5a);
    assert_hex(e->body_bytes, GOLDEN_BODY);
    arena_done(&a);
    unhex_done(wire);
}

static void what_we_write_is_what_protoc_writes(void **state)
{
    (void)state;
    struct bytes wire = unhex(GOLDEN_ENVELOPE);
    struct arena a = fresh();
    struct envelope *e;
    assert_true(!failed(envelope_decode(wire, &a, &e, NULL)));
    struct buf body, whole;
    buf_init(&body, BODY_BYTES_MAX);
    buf_init(&whole, ENVELOPE_BYTES_MAX);
    body_encode(&e->body, &body);
    assert_hex(buf_bytes(&body), GOLDEN_BODY);
    struct signature swapped[2] = {e->signatures[1], e->signatures[0]};
    signatures_sort(swapped, 2);
    envelope_encode(buf_bytes(&body), swapped, 2, &whole);
    assert_hex(buf_bytes(&whole), GOLDEN_ENVELOPE);
    size_t sum = 0;
    for (uint32_t i = 0; i < e->body.event_count; i++) {
        sum += event_encoded_size(&e->body.events[i]);
    }
    e->body.event_count = 0;
    size_t with_events = body.size;
    buf_clear(&body);
    body_encode(&e->body, &body);
    assert_int_equal(sum, with_events - body.size);
    buf_done(&whole);
    buf_done(&body);
    arena_done(&a);
    unhex_done(wire);
}

static void hashes_are_the_golden_ones(void **state)
{
    (void)state;
    struct bytes body = unhex(GOLDEN_BODY);
    struct bytes wire = unhex(GOLDEN_ENVELOPE);
    uint8_t hash[32], event[32], input[SIGNING_INPUT_SIZE];
    request_hash(body, hash);
    assert_hex(bytes_of(hash, 32), GOLDEN_REQUEST_HASH);
    request_signing_input(body, input);
    assert_hex(bytes_of(input, sizeof(input)), GOLDEN_SIGNING_INPUT);
    event_hash(hash, 2, event);
    assert_hex(bytes_of(event, 32), GOLDEN_EVENT_HASH_2);
    uint8_t whole[32], other[32];
    envelope_request_hash(wire, whole);
    assert_memory_equal(whole, hash, 32);
    request_hash(bytes_text("no envelope"), hash);
    envelope_request_hash(bytes_text("no envelope"), other);
    assert_memory_equal(other, hash, 32);
    unhex_done(wire);
    unhex_done(body);
}

static void an_import_has_the_same_id_twice(void **state)
{
    (void)state;
    struct event events[2] = {{.contract = bytes_text("c"), .action = bytes_text("a")},
                              {.contract = bytes_text("c"), .action = bytes_text("b")}};
    uint8_t one[REQUEST_ID_SIZE], two[REQUEST_ID_SIZE];
    import_request_id(events, 2, one);
    import_request_id(events, 2, two);
    assert_memory_equal(one, two, sizeof(one));
    import_request_id(events, 1, two);
    assert_memory_not_equal(one, two, sizeof(one));
}

/* ---- envelopes that are wrong in one place ---- */

enum fault {
    GOOD,
    NO_LEDGER,
    SHORT_LEDGER,
    LONG_REQUEST_ID,
    NO_SALT,
    NO_PARTY,
    EMPTY_PARTY,
    LONG_PARTY,
    NUL_PARTY,
    BAD_UTF8_PARTY,
    TWO_PARTIES,
    BAD_ATOMIC,
    BAD_NOT_AFTER,
    UNKNOWN_FIELD,
    NO_EVENTS,
    EVENT_NO_CONTRACT,
    EVENT_NO_ACTION,
    EVENT_LONG_ARGS,
    EVENT_BAD_DATE,
    EVENT_UNKNOWN_FIELD,
    BODY_GARBAGE,
    NO_BODY,
    NO_SIGNATURE,
    NINE_SIGNATURES,
    SIGNATURES_UNORDERED,
    SIGNATURES_EQUAL,
    SIGNATURE_SHORT,
    SIGNATURE_NO_KEY,
    ENVELOPE_UNKNOWN_FIELD,
};

static void event_put(struct buf *body, enum fault fault)
{
    struct buf e;
    buf_init(&e, BODY_BYTES_MAX);
    if (fault != EVENT_NO_CONTRACT) {
        wire_put_bytes(&e, 1, bytes_text("solar"));
    }
    if (fault != EVENT_NO_ACTION) {
        wire_put_bytes(&e, 2, bytes_text("close"));
    }
    if (fault == EVENT_LONG_ARGS) {
        uint8_t *args = mem_new(ARGS_BYTES_MAX + 1, 1);
        wire_put_bytes(&e, 3, bytes_of(args, ARGS_BYTES_MAX + 1));
        free(args);
    }
    if (fault == EVENT_BAD_DATE) {
        wire_put_uint(&e, 4, UINT64_C(1) << 32);
    }
    if (fault == EVENT_UNKNOWN_FIELD) {
        wire_put_uint(&e, 5, 1);
    }
    wire_put_bytes(body, 5, buf_bytes(&e));
    buf_done(&e);
}

static void party_put(struct buf *body, enum fault fault)
{
    static const char LONG[] = "0123456789012345678901234567890123456789012345678901234567890123x";
    static_assert(sizeof(LONG) - 1 == NAME_BYTES_MAX + 1, "one too long");
    struct bytes party = bytes_text("enedis");
    if (fault == EMPTY_PARTY) {
        party = bytes_of("", 0);
    } else if (fault == LONG_PARTY) {
        party = bytes_text(LONG);
    } else if (fault == NUL_PARTY) {
        party = bytes_of("a\0b", 3);
    } else if (fault == BAD_UTF8_PARTY) {
        party = bytes_text("\xc3");
    }
    if (fault != NO_PARTY) {
        wire_put_bytes(body, 6, party);
    }
    if (fault == TWO_PARTIES) {
        wire_put_bytes(body, 6, party);
    }
}

static void faulty_body(struct buf *body, enum fault fault)
{
    static const uint8_t ZEROS[40];
    if (fault == BODY_GARBAGE) {
        buf_put_u8(body, 0xff);
        return;
    }
    if (fault != NO_LEDGER) {
        wire_put_bytes(body, 1, bytes_of(ZEROS, fault == SHORT_LEDGER ? 31 : 32));
    }
    wire_put_bytes(body, 2, bytes_of(ZEROS, fault == LONG_REQUEST_ID ? 17 : 16));
    if (fault == BAD_NOT_AFTER) {
        wire_put_uint(body, 3, 5);
    }
    if (fault == BAD_ATOMIC) {
        wire_put_uint(body, 4, 2);
    }
    if (fault != NO_EVENTS) {
        event_put(body, fault);
    }
    party_put(body, fault);
    if (fault != NO_SALT) {
        wire_put_bytes(body, 7, bytes_of(ZEROS, 32));
    }
    if (fault == UNKNOWN_FIELD) {
        wire_put_uint(body, 8, 1);
    }
}

static void signature_put(struct buf *whole, uint8_t key, enum fault fault)
{
    uint8_t key_id[32], value[64] = {0};
    memset(key_id, key, sizeof(key_id));
    struct buf s;
    buf_init(&s, 256);
    if (fault != SIGNATURE_NO_KEY) {
        wire_put_bytes(&s, 1, bytes_of(key_id, 32));
    }
    wire_put_bytes(&s, 2, bytes_of(value, fault == SIGNATURE_SHORT ? 63 : 64));
    wire_put_bytes(whole, 2, buf_bytes(&s));
    buf_done(&s);
}

static void faulty_envelope(struct buf *whole, enum fault fault)
{
    struct buf body;
    buf_init(&body, BODY_BYTES_MAX);
    faulty_body(&body, fault);
    if (fault != NO_BODY) {
        wire_put_bytes(whole, 1, buf_bytes(&body));
    }
    uint8_t count = fault == NO_SIGNATURE ? 0 : fault == NINE_SIGNATURES ? 9 : 2;
    for (uint8_t i = 0; i < count; i++) {
        uint8_t key = fault == SIGNATURES_UNORDERED ? (uint8_t)(9 - i)
                      : fault == SIGNATURES_EQUAL   ? 1
                                                    : (uint8_t)(i + 1);
        signature_put(whole, key, fault);
    }
    if (fault == ENVELOPE_UNKNOWN_FIELD) {
        wire_put_uint(whole, 3, 1);
    }
    buf_done(&body);
}

static void each_fault_has_its_text(void **state)
{
    (void)state;
    static const struct {
        enum fault fault;
        enum err_code code;
        const char *text;
    } CASES[] = {
        {GOOD, ERR_OK, NULL},
        {NO_LEDGER, ERR_INVALID, "body.ledger_id: missing"},
        {SHORT_LEDGER, ERR_INVALID, "body.ledger_id: 32 bytes expected, 31 given"},
        {LONG_REQUEST_ID, ERR_INVALID, "body.request_id: 16 bytes expected, 17 given"},
        {NO_SALT, ERR_INVALID, "body.salt: missing"},
        {NO_PARTY, ERR_INVALID, "body.on_behalf: missing"},
        {EMPTY_PARTY, ERR_INVALID, "body.on_behalf: empty"},
        {LONG_PARTY, ERR_LIMIT, "body.on_behalf: longer than 64 bytes"},
        {NUL_PARTY, ERR_INVALID, "body.on_behalf: not UTF-8 text"},
        {BAD_UTF8_PARTY, ERR_INVALID, "body.on_behalf: not UTF-8 text"},
        {TWO_PARTIES, ERR_INVALID, "body.on_behalf: given twice"},
        {BAD_ATOMIC, ERR_INVALID, "body.atomic: neither true nor false"},
        {BAD_NOT_AFTER, ERR_INVALID, "body.not_after_ns: wrong wire type"},
        {UNKNOWN_FIELD, ERR_INVALID, "body.field 8: not known"},
        {NO_EVENTS, ERR_INVALID, "body.events: missing"},
        {EVENT_NO_CONTRACT, ERR_INVALID, "body.events[0].contract: missing"},
        {EVENT_NO_ACTION, ERR_INVALID, "body.events[0].action: missing"},
        {EVENT_LONG_ARGS, ERR_LIMIT, "body.events[0].args: longer than 262144 bytes"},
        {EVENT_BAD_DATE, ERR_INVALID, "body.events[0].legal_date: out of range"},
        {EVENT_UNKNOWN_FIELD, ERR_INVALID, "body.events[0].field 5: not known"},
        {BODY_GARBAGE, ERR_INVALID, "body: not a protobuf message"},
        {NO_BODY, ERR_INVALID, "body: missing"},
        {NO_SIGNATURE, ERR_DENIED, "signatures: missing"},
        {NINE_SIGNATURES, ERR_LIMIT, "signatures: more than 8"},
        {SIGNATURES_UNORDERED, ERR_INVALID, "signatures: not in ascending order of key_id"},
        {SIGNATURES_EQUAL, ERR_INVALID, "signatures: not in ascending order of key_id"},
        {SIGNATURE_SHORT, ERR_INVALID, "signatures[0].signature: 64 bytes expected, 63 given"},
        {SIGNATURE_NO_KEY, ERR_INVALID, "signatures[0].key_id: missing"},
        {ENVELOPE_UNKNOWN_FIELD, ERR_INVALID, "field 3: not known"},
    };
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct buf whole;
        buf_init(&whole, ENVELOPE_BYTES_MAX);
        faulty_envelope(&whole, CASES[i].fault);
        struct arena a = fresh();
        struct envelope *e = NULL;
        struct errtext text = {""};
        err got = envelope_decode(buf_bytes(&whole), &a, &e, &text);
        assert_int_equal(got.code, CASES[i].code);
        assert_true((e != NULL) == (CASES[i].code == ERR_OK));
        assert_string_equal(text.text, CASES[i].text == NULL ? "" : CASES[i].text);
        arena_done(&a);
        buf_done(&whole);
    }
}

static err decode_events(uint32_t count, size_t args_size)
{
    struct event *events = mem_new(count, sizeof(*events));
    uint8_t *args = mem_new(args_size + 1, 1);
    for (uint32_t i = 0; i < count; i++) {
        events[i] = (struct event){.contract = bytes_text("c"), .action = bytes_text("a")};
    }
    events[0].args = bytes_of(args, args_size);
    struct body body = {.events = events, .event_count = count, .on_behalf = bytes_text("p")};
    struct buf wire;
    buf_init(&wire, 4 << 20);
    body_encode(&body, &wire);
    struct arena a = fresh();
    struct body ret;
    err e = body_decode(buf_bytes(&wire), &a, &ret, NULL);
    arena_done(&a);
    buf_done(&wire);
    free(args);
    free(events);
    return e;
}

static void limits_hold_at_their_edge(void **state)
{
    (void)state;
    assert_int_equal(decode_events(EVENTS_MAX, 1).code, ERR_OK);
    assert_int_equal(decode_events(EVENTS_MAX + 1, 1).code, ERR_LIMIT);
    assert_int_equal(decode_events(1, ARGS_BYTES_MAX).code, ERR_OK);
    assert_int_equal(decode_events(1, ARGS_BYTES_MAX + 1).code, ERR_LIMIT);
    assert_int_equal(decode_events(1, BODY_BYTES_MAX).code, ERR_LIMIT);
    struct arena tiny;
    arena_init(&tiny, 64);
    struct bytes wire = unhex(GOLDEN_ENVELOPE);
    struct envelope *e = NULL;
    assert_int_equal(envelope_decode(wire, &tiny, &e, NULL).code, ERR_LIMIT);
    assert_null(e);
    arena_done(&tiny);
    unhex_done(wire);
}

static void every_shorter_envelope_is_refused(void **state)
{
    (void)state;
    struct bytes wire = unhex(GOLDEN_ENVELOPE);
    /* The last signature may be missing as a whole: 104 bytes. */
    for (size_t size = 0; size < wire.size; size++) {
        struct arena a = fresh();
        struct envelope *e;
        bool good = !failed(envelope_decode(bytes_of(wire.data, size), &a, &e, NULL));
        assert_true(good == (size == wire.size - 102));
        arena_done(&a);
    }
    unhex_done(wire);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_golden_envelope_is_read),
        cmocka_unit_test(what_we_write_is_what_protoc_writes),
        cmocka_unit_test(hashes_are_the_golden_ones),
        cmocka_unit_test(an_import_has_the_same_id_twice),
        cmocka_unit_test(each_fault_has_its_text),
        cmocka_unit_test(limits_hold_at_their_edge),
        cmocka_unit_test(every_shorter_envelope_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
