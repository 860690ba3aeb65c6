/* The small formats of gRPC: timeouts, texts, content types, statuses, message framing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "net/grpc_wire.h"

static void test_timeouts(void **state)
{
    static const struct {
        const char *text;
        uint64_t ns;
    } good[] = {
        {"0n", 0},
        {"1n", 1},
        {"99999999n", 99999999},
        {"7u", 7000},
        {"100m", 100000000},
        {"5S", UINT64_C(5000000000)},
        {"2M", UINT64_C(120000000000)},
        {"1H", UINT64_C(3600000000000)},
        {"99999999M", UINT64_C(99999999) * 60000000000},
        {"5124095H", UINT64_C(5124095) * 3600000000000},
        {"5124096H", UINT64_MAX}, /* just beyond 64 bits of ns */
        {"99999999H", UINT64_MAX},
        {"00000001S", UINT64_C(1000000000)},
    };
    static const char *const bad[] = {"",    "S",   "1",   "1s",   "1h",   "123456789n", "-1S",
                                      "+1S", " 1S", "1 S", "1.5S", "0x1S", "SS",         "1SS"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        uint64_t ns = 1;
        assert_false(failed(grpc_timeout_parse(bytes_text(good[i].text), &ns)));
        assert_true(ns == good[i].ns);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        uint64_t ns = 1;
        assert_true(err_is(grpc_timeout_parse(bytes_text(bad[i]), &ns), ERR_INVALID));
        assert_true(ns == 1);
    }
}

static void test_timeouts_print_rounded_up(void **state)
{
    static const struct {
        uint64_t ns;
        const char *text;
    } t[] = {
        {1, "1n"},
        {99999999, "99999999n"},
        {100000000, "100000u"},
        {100000001, "100001u"},
        {UINT64_C(99999999) * 1000, "99999999u"},
        {UINT64_C(5000000000), "5000000u"},
        {UINT64_MAX, "5124096H"},
    };
    for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        char text[GRPC_TIMEOUT_SIZE];
        uint64_t back = 0;
        grpc_timeout_print(t[i].ns, text);
        assert_string_equal(text, t[i].text);
        assert_false(failed(grpc_timeout_parse(bytes_text(text), &back)));
        assert_true(back >= t[i].ns);
    }
}

static void test_texts(void **state)
{
    char out[64], back[64];
    assert_int_equal(grpc_text_encode("a b~", out, sizeof(out)), 4);
    assert_string_equal(out, "a b~");
    grpc_text_encode("100%\xc3\xa9\n\x7f", out, sizeof(out));
    assert_string_equal(out, "100%25%C3%A9%0A%7F");
    grpc_text_decode(bytes_text(out), back, sizeof(back));
    assert_string_equal(back, "100%\xc3\xa9??");
    grpc_text_decode(bytes_text("a%zz%4"), back, sizeof(back));
    assert_string_equal(back, "a%zz%4");
    grpc_text_decode(bytes_text("a%00b%c3%A9%"), back, sizeof(back));
    assert_string_equal(back, "a?b\xc3\xa9%");
    /* An encoding is left out whole, not cut. */
    assert_int_equal(grpc_text_encode("ab\xc3", out, 5), 2);
    assert_int_equal(grpc_text_encode("ab\xc3", out, 6), 5);
    grpc_text_decode(bytes_text("abcdef"), back, 4);
    assert_string_equal(back, "abc");
    assert_int_equal(grpc_text_encode("", out, 1), 0);
}

static void test_binary_metadata(void **state)
{
    uint8_t out[32];
    size_t size = 0;
    assert_false(failed(grpc_bin_decode(bytes_text("AAEC"), out, sizeof(out), &size)));
    assert_int_equal(size, 3);
    assert_false(failed(grpc_bin_decode(bytes_text("AQ==,Ag=="), out, sizeof(out), &size)));
    assert_int_equal(size, 1);
    assert_int_equal(out[0], 1);
    assert_false(failed(grpc_bin_decode(bytes_text("AQ"), out, sizeof(out), &size)));
    assert_int_equal(size, 1);
    assert_true(err_is(grpc_bin_decode(bytes_text("A*=="), out, sizeof(out), &size), ERR_INVALID));
    assert_true(err_is(grpc_bin_decode(bytes_text("AAEC"), out, 5, &size), ERR_LIMIT));
}

static void test_content_types(void **state)
{
    static const char *const good[] = {"application/grpc", "application/grpc+proto",
                                       "application/grpc;charset=utf-8",
                                       "application/grpc+proto; x=y"};
    static const char *const bad[] = {"",
                                      "application/grp",
                                      "application/grpc-web",
                                      "application/grpc-web+proto",
                                      "application/grpc+json",
                                      "application/grpc+protobuf",
                                      "application/grpcx",
                                      "Application/grpc",
                                      "text/plain"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_true(grpc_content_type_is_good(bytes_text(good[i])));
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(grpc_content_type_is_good(bytes_text(bad[i])));
    }
}

static void test_statuses(void **state)
{
    assert_string_equal(grpc_status_name(GRPC_UNAUTHENTICATED), "UNAUTHENTICATED");
    assert_string_equal(grpc_status_name((enum grpc_status)17), "UNKNOWN");
    assert_int_equal(grpc_status_parse(bytes_text("0")), GRPC_OK);
    assert_int_equal(grpc_status_parse(bytes_text("16")), GRPC_UNAUTHENTICATED);
    static const char *const odd[] = {"", "17", "-1", "1x", "001"};
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        assert_int_equal(grpc_status_parse(bytes_text(odd[i])), GRPC_UNKNOWN);
    }
    assert_int_equal(grpc_status_of_reset(0x7), GRPC_UNAVAILABLE);
    assert_int_equal(grpc_status_of_reset(0x8), GRPC_CANCELLED);
    assert_int_equal(grpc_status_of_reset(0xb), GRPC_RESOURCE_EXHAUSTED);
    assert_int_equal(grpc_status_of_reset(0xc), GRPC_PERMISSION_DENIED);
    assert_int_equal(grpc_status_of_reset(0x1), GRPC_INTERNAL);
    assert_int_equal(grpc_status_of_http(404), GRPC_UNIMPLEMENTED);
    assert_int_equal(grpc_status_of_http(503), GRPC_UNAVAILABLE);
    assert_int_equal(grpc_status_of_http(418), GRPC_UNKNOWN);
}

/* Feeds three messages cut at every place, with and without copying. */
static void test_messages_cut_anywhere(void **state)
{
    static const size_t sizes[] = {3, 0, 300};
    struct buf wire;
    buf_init(&wire, 4096);
    for (size_t i = 0; i < 3; i++) {
        uint8_t prefix[GRPC_PREFIX_SIZE], byte = (uint8_t)('a' + i);
        grpc_prefix_write(prefix, sizes[i]);
        buf_put(&wire, prefix, sizeof(prefix));
        for (size_t k = 0; k < sizes[i]; k++) {
            buf_put_u8(&wire, byte);
        }
    }
    for (size_t step = 1; step <= wire.size; step++) {
        struct budget budget = {0, 1000, NULL};
        struct grpc_deframer d;
        grpc_deframer_init(&d, 300, &budget);
        d.copy = step % 2 == 0;
        size_t got = 0;
        for (size_t at = 0; at < wire.size; at += step) {
            size_t size = wire.size - at < step ? wire.size - at : step;
            struct bytes in = bytes_of(wire.data + at, size), message;
            bool complete = true;
            while (in.size > 0) {
                assert_int_equal(grpc_deframer_next(&d, &in, &message, &complete, NULL), GRPC_OK);
                if (complete) {
                    assert_true(got < 3);
                    assert_int_equal(message.size, sizes[got]);
                    for (size_t k = 0; k < message.size; k++) {
                        assert_int_equal(message.data[k], 'a' + got);
                    }
                    got++;
                }
            }
        }
        assert_int_equal(got, 3);
        assert_true(grpc_deframer_is_empty(&d));
        grpc_deframer_done(&d);
        assert_int_equal(budget.used, 0);
    }
    buf_done(&wire);
}

static enum grpc_status feed(struct grpc_deframer *d, const char *data, size_t size)
{
    struct bytes in = bytes_of(data, size), message;
    bool complete;
    struct errtext why;
    return grpc_deframer_next(d, &in, &message, &complete, &why);
}

static void test_bad_prefixes(void **state)
{
    struct budget parent = {0, 50, NULL}, budget = {0, 100, &parent};
    static const struct {
        const char *prefix;
        enum grpc_status status;
    } t[] = {
        {"\x02\0\0\0\x01", GRPC_INTERNAL},
        {"\xff\0\0\0\x01", GRPC_INTERNAL},
        {"\x01\0\0\0\x01", GRPC_UNIMPLEMENTED},
        {"\0\0\0\0\x28", GRPC_OK},                 /* 40: the limit */
        {"\0\0\0\0\x29", GRPC_RESOURCE_EXHAUSTED}, /* 41 */
        {"\0\xff\xff\xff\xff", GRPC_RESOURCE_EXHAUSTED},
    };
    for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        struct grpc_deframer d;
        grpc_deframer_init(&d, 40, &budget);
        assert_int_equal(feed(&d, t[i].prefix, 5), t[i].status);
        assert_null(d.body.data); /* nothing is allocated on a prefix */
        grpc_deframer_done(&d);
        assert_int_equal(budget.used, 0);
        assert_int_equal(parent.used, 0);
    }
}

static void test_budget_is_shared(void **state)
{
    struct budget parent = {0, 50, NULL}, one = {0, 100, &parent}, two = {0, 100, &parent};
    struct grpc_deframer a, b;
    grpc_deframer_init(&a, 40, &one);
    grpc_deframer_init(&b, 40, &two);
    assert_int_equal(feed(&a, "\0\0\0\0\x28", 5), GRPC_OK);
    assert_int_equal(feed(&b, "\0\0\0\0\x14", 5), GRPC_RESOURCE_EXHAUSTED);
    grpc_deframer_done(&a);
    grpc_deframer_done(&b);
    grpc_deframer_init(&b, 40, &two);
    assert_int_equal(feed(&b, "\0\0\0\0\x14", 5), GRPC_OK);
    grpc_deframer_done(&b);
    assert_int_equal(parent.used, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_timeouts),
        cmocka_unit_test(test_timeouts_print_rounded_up),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_binary_metadata),
        cmocka_unit_test(test_content_types),
        cmocka_unit_test(test_statuses),
        cmocka_unit_test(test_messages_cut_anywhere),
        cmocka_unit_test(test_bad_prefixes),
        cmocka_unit_test(test_budget_is_shared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
