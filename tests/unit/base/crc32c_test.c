#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/crc32c.h"

/* The polynomial division itself, bit by bit. */
static uint32_t by_definition(uint32_t crc, const uint8_t *data, size_t size)
{
    crc = ~crc;
    for (size_t i = 0; i < size; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc & 1) != 0 ? crc >> 1 ^ UINT32_C(0x82f63b78) : crc >> 1;
        }
    }
    return ~crc;
}

/* RFC 3720, appendix B.4. */
static void standard_vectors(void **state)
{
    uint8_t data[32];
    static const uint8_t command[48] = {0x01, 0xc0, 0, 0,    0,    0, 0, 0,    0,    0, 0,    0,
                                        0,    0,    0, 0,    0x14, 0, 0, 0,    0,    0, 0x04, 0,
                                        0,    0,    0, 0x14, 0,    0, 0, 0x18, 0x28, 0, 0,    0,
                                        0,    0,    0, 0,    0x02, 0, 0, 0,    0,    0, 0,    0};
    for (size_t i = 0; i < 32; i++) {
        data[i] = 0;
    }
    assert_int_equal(crc32c(0, data, 32), 0x8a9136aa);
    for (size_t i = 0; i < 32; i++) {
        data[i] = 0xff;
    }
    assert_int_equal(crc32c(0, data, 32), 0x62a8ab43);
    for (size_t i = 0; i < 32; i++) {
        data[i] = (uint8_t)i;
    }
    assert_int_equal(crc32c(0, data, 32), 0x46dd794e);
    for (size_t i = 0; i < 32; i++) {
        data[i] = (uint8_t)(31 - i);
    }
    assert_int_equal(crc32c(0, data, 32), 0x113fdb5c);
    assert_int_equal(crc32c(0, command, 48), 0xd9963a56);
    assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
    assert_int_equal(crc32c(0, NULL, 0), 0);
}

/* Every size and alignment, every byte value: both ways agree with the definition, and a checksum
 * can be continued anywhere. */
static void agrees_with_the_definition(void **state)
{
    uint8_t data[600];
    uint32_t x = 1;
    for (size_t i = 0; i < sizeof data; i++) {
        x = x * 1664525 + 1013904223;
        data[i] = (uint8_t)(x >> 24);
    }
    for (size_t from = 0; from < 9; from++) {
        for (size_t size = 0; size + from <= sizeof data; size += 1 + size / 40) {
            uint32_t want = by_definition(x, data + from, size);
            assert_int_equal(crc32c(x, data + from, size), want);
            assert_int_equal(crc32c_portable(x, data + from, size), want);
            size_t half = size / 3;
            uint32_t first = crc32c(x, data + from, half);
            assert_int_equal(crc32c(first, data + from + half, size - half), want);
        }
    }
    for (int byte = 0; byte < 256; byte++) {
        for (size_t at = 0; at < 8; at++) {
            uint8_t one[8] = {0};
            one[at] = (uint8_t)byte;
            assert_int_equal(crc32c_portable(0, one, 8), by_definition(0, one, 8));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(standard_vectors),
        cmocka_unit_test(agrees_with_the_definition),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
