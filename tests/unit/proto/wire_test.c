/* The wire format of protobuf: numbers at their edges, and bytes that are no protobuf. */
#include "lib.h"

#include "proto/wire.h"

static void varints_keep_their_value(void **state)
{
    (void)state;
    static const uint64_t VALUES[] = {0,     1,          127,       128,       16383,
                                      16384, UINT32_MAX, INT64_MAX, UINT64_MAX};
    for (size_t i = 0; i < sizeof(VALUES) / sizeof(VALUES[0]); i++) {
        struct buf b;
        buf_init(&b, 64);
        wire_put_uint(&b, 536870911, VALUES[i]);
        assert_int_equal(b.size, wire_tag_size(536870911) + wire_varint_size(VALUES[i]));
        struct cursor c = cursor_of(buf_bytes(&b));
        struct wire_field f;
        assert_true(wire_next(&c, &f));
        assert_int_equal(f.number, 536870911);
        assert_true(f.value == VALUES[i]);
        assert_false(wire_next(&c, &f));
        assert_true(cursor_ok(&c));
        buf_done(&b);
    }
}

static void zigzag_is_its_own_way_back(void **state)
{
    (void)state;
    static const int64_t VALUES[] = {0, -1, 1, INT32_MIN, INT32_MAX, INT64_MIN, INT64_MAX};
    for (size_t i = 0; i < sizeof(VALUES) / sizeof(VALUES[0]); i++) {
        assert_true(wire_unzigzag(wire_zigzag(VALUES[i])) == VALUES[i]);
    }
    assert_int_equal(wire_zigzag(-1), 1);
    assert_int_equal(wire_zigzag(1), 2);
}

static void bytes_that_are_no_protobuf_are_refused(void **state)
{
    (void)state;
    static const char *const BAD[] = {
        "00",                       /* field 0 */
        "8000",                     /* field 0, over-long */
        "08",                       /* no value */
        "0880",                     /* value cut short */
        "08ffffffffffffffffff02",   /* beyond 64 bits */
        "08ffffffffffffffffffff01", /* eleven bytes */
        "0901020304050607",         /* fixed64 cut short */
        "0d010203",                 /* fixed32 cut short */
        "0a0361",                   /* bytes cut short */
        "0affffffffffffffffff0161", /* length beyond everything */
        "0b",                       /* a group */
        "0e00",                     /* wire type 6 */
        "ffffffff7f00",             /* field number above 2^29 - 1 */
    };
    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
        struct bytes b = unhex(BAD[i]);
        struct cursor c = cursor_of(b);
        struct wire_field f;
        assert_false(wire_next(&c, &f));
        assert_false(cursor_ok(&c));
        unhex_done(b);
    }
}

static void texts_have_no_nul_and_are_utf8(void **state)
{
    (void)state;
    assert_true(wire_text_valid(bytes_of("", 0)));
    assert_true(wire_text_valid(bytes_text("é")));
    assert_false(wire_text_valid(bytes_of("a\0b", 3)));
    assert_false(wire_text_valid(bytes_text("\xff")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(varints_keep_their_value),
        cmocka_unit_test(zigzag_is_its_own_way_back),
        cmocka_unit_test(bytes_that_are_no_protobuf_are_refused),
        cmocka_unit_test(texts_have_no_nul_and_are_utf8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
