/* The bounded reader and writer, the arena, and the text forms of bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/cursor.h"
#include "base/err.h"
#include "base/hex.h"
#include "base/utf8.h"

static void what_is_put_is_read(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 64);
    buf_put_u8(&b, 0x12);
    buf_put_u16(&b, 0x3456);
    buf_put_u32(&b, 0x789abcde);
    buf_put_u64(&b, UINT64_MAX - 1);
    buf_put_i64(&b, INT64_MIN);
    buf_put_sized(&b, bytes_text("node"));
    assert_int_equal(b.size, 1 + 2 + 4 + 8 + 8 + 4 + 4);
    struct cursor c = cursor_of(buf_bytes(&b));
    assert_int_equal(cursor_u8(&c), 0x12);
    assert_int_equal(cursor_u16(&c), 0x3456);
    assert_int_equal(cursor_u32(&c), 0x789abcde);
    assert_true(cursor_u64(&c) == UINT64_MAX - 1);
    assert_true(cursor_i64(&c) == INT64_MIN);
    assert_true(bytes_equal(cursor_sized(&c, 4), bytes_text("node")));
    assert_true(cursor_done(&c));
    buf_done(&b);
}

static void a_short_read_is_sticky(void **state)
{
    (void)state;
    const uint8_t data[] = {0, 0, 0, 9, 1, 2, 3};
    struct cursor c = cursor_of(bytes_of(data, sizeof data));
    assert_int_equal(cursor_sized(&c, 100).size, 0);
    assert_false(cursor_ok(&c));
    assert_int_equal(cursor_u8(&c), 0);
    assert_int_equal(cursor_left(&c), 0);
    c = cursor_of(bytes_of(data, sizeof data));
    assert_int_equal(cursor_sized(&c, 8).size, 0); /* longer than its limit */
    assert_false(cursor_ok(&c));
}

static void a_buffer_stops_at_its_limit(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 5);
    buf_put_u32(&b, 1);
    buf_put_u16(&b, 2);
    assert_true(b.overflow);
    assert_int_equal(b.size, 4);
    buf_put_u8(&b, 2); /* sticky */
    assert_int_equal(b.size, 4);
    buf_clear(&b);
    buf_put(&b, "12345", 5);
    assert_false(b.overflow);
    buf_consume(&b, 2);
    assert_memory_equal(b.data, "345", 3);
    buf_done(&b);
}

static void an_arena_stops_at_its_limit(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 1 << 20);
    assert_non_null(arena_try(&a, 1 << 19, 1));
    assert_null(arena_try(&a, (1 << 19) + 1, 1));
    assert_null(arena_try(&a, SIZE_MAX, 2));
    arena_reset(&a);
    assert_non_null(arena_try(&a, 1 << 20, 1));
    assert_string_equal((arena_reset(&a), arena_printf(&a, "%d-%s", 7, "x")), "7-x");
    arena_done(&a);
}

static void base64_and_hex_forms(void **state)
{
    (void)state;
    static const char *const cases[][2] = {/* RFC 4648 section 10 */
        {"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="}, {"foobar", "Zm9vYmFy"}};
    static const char *const bad[] = {"Z", "Zg=", "Zh==", "Zg==Zg==", "Z!==", "====", "Zm9vY"};
    uint8_t out[16];
    size_t size = 0;
    char text[32];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        base64_encode(bytes_text(cases[i][0]), text);
        assert_string_equal(text, cases[i][1]);
        assert_false(failed(base64_decode(bytes_text(text), out, &size)));
        assert_true(bytes_equal(bytes_of(out, size), bytes_text(cases[i][0])));
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_true(failed(base64_decode(bytes_text(bad[i]), out, &size)));
    }
    hex_encode(bytes_of("\x00\xff\x1a", 3), text);
    assert_string_equal(text, "00ff1a");
    assert_false(failed(hex_decode(bytes_text("00FF1a"), out, 3)));
    assert_memory_equal(out, "\x00\xff\x1a", 3);
    assert_true(failed(hex_decode(bytes_text("00ff1"), out, 3)));
    assert_true(failed(hex_decode(bytes_text("00ff1g"), out, 3)));
}

static void utf8_is_strict(void **state)
{
    (void)state;
    static const char *const good[] = {"", "abc", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x8c\x9e"};
    static const char *const bad[] = {"\x80", "\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80",
                                      "\xf4\x90\x80\x80", "\xc3", "\xff", "a\xe2\x82"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_true(utf8_valid(bytes_text(good[i])));
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(utf8_valid(bytes_text(bad[i])));
    }
    assert_int_equal(utf8_count(bytes_text("a\xe2\x82\xac")), 2);
}

static void context_comes_before_the_reason(void **state)
{
    (void)state;
    struct errtext t;
    err e = err_fail(&t, ERR_IO, "no %s", "room");
    e = err_wrapf(&t, e, "open %s", "/x");
    assert_true(err_is(e, ERR_IO));
    assert_string_equal(t.text, "open /x: no room");
    assert_string_equal(err_name(ERR_CORRUPT), "corrupt");
    assert_true(failed(err_fail(NULL, ERR_IO, "nobody asks")));
}

/* Later chunks are of 1 MiB, so a larger reserve is what stays. */
static void an_arena_keeps_what_was_reserved(void **state)
{
    struct arena a;
    arena_init(&a, 8 << 20);
    arena_reserve(&a, 3 << 20);
    struct arena_chunk *reserved = a.chunks;
    for (int round = 0; round < 3; round++) {
        (void)arena_new(&a, 3 << 20, 1);
        assert_ptr_equal(a.chunks, reserved); /* it fits */
        (void)arena_new(&a, 20000, 1);
        assert_ptr_not_equal(a.chunks, reserved); /* it grew */
        arena_reset(&a);
        assert_ptr_equal(a.chunks, reserved);
    }
    arena_done(&a);
}

static void a_buffer_lives_in_an_arena(void **state)
{
    struct arena a;
    struct buf b;
    arena_init(&a, 1 << 20);
    buf_init_in(&b, &a, 1000);
    for (int i = 0; i < 1000; i++) {
        buf_put_u8(&b, (uint8_t)i);
    }
    assert_false(b.overflow);
    for (size_t i = 0; i < 1000; i++) {
        assert_int_equal(b.data[i], (uint8_t)i);
    }
    buf_put_u8(&b, 0);
    assert_true(b.overflow);
    buf_done(&b); /* frees nothing: the arena does */
    buf_put_u8(&b, 7);
    assert_int_equal(b.data[0], 7);
    arena_done(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_put_is_read),
        cmocka_unit_test(a_short_read_is_sticky),
        cmocka_unit_test(a_buffer_stops_at_its_limit),
        cmocka_unit_test(an_arena_stops_at_its_limit),
        cmocka_unit_test(an_arena_keeps_what_was_reserved),
        cmocka_unit_test(a_buffer_lives_in_an_arena),
        cmocka_unit_test(base64_and_hex_forms),
        cmocka_unit_test(utf8_is_strict),
        cmocka_unit_test(context_comes_before_the_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
