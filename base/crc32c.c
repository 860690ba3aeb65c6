#include "base/crc32c.h"

#include <string.h>

#include "base/require.h"

/* Tables for eight bytes a step ("slicing by 8": Kounavis and Berry, 2005): table k holds the
 * effect of a byte that is followed by k zero bytes. A CRC is linear, so the effect of a byte is
 * the sum of the effects of its bits; only those are written down, the preprocessor does the rest.
 * The unit test compares them with the polynomial, bit by bit. */
#define BIT(b, i, effect) ((((b) >> (i)) & 1U) != 0 ? (effect##U) : 0U)
#define BYTE(b, e0, e1, e2, e3, e4, e5, e6, e7)                                                    \
    (BIT(b, 0, e0) ^ BIT(b, 1, e1) ^ BIT(b, 2, e2) ^ BIT(b, 3, e3) ^ BIT(b, 4, e4) ^               \
     BIT(b, 5, e5) ^ BIT(b, 6, e6) ^ BIT(b, 7, e7))
#define ROW4(b, ...)                                                                               \
    BYTE((b), __VA_ARGS__), BYTE((b) + 1U, __VA_ARGS__), BYTE((b) + 2U, __VA_ARGS__),              \
        BYTE((b) + 3U, __VA_ARGS__)
#define ROW16(b, ...)                                                                              \
    ROW4((b), __VA_ARGS__), ROW4((b) + 4U, __VA_ARGS__), ROW4((b) + 8U, __VA_ARGS__),              \
        ROW4((b) + 12U, __VA_ARGS__)
#define ROW64(b, ...)                                                                              \
    ROW16((b), __VA_ARGS__), ROW16((b) + 16U, __VA_ARGS__), ROW16((b) + 32U, __VA_ARGS__),         \
        ROW16((b) + 48U, __VA_ARGS__)
#define ROW256(...)                                                                                \
    ROW64(0U, __VA_ARGS__), ROW64(64U, __VA_ARGS__), ROW64(128U, __VA_ARGS__),                     \
        ROW64(192U, __VA_ARGS__)

static const uint32_t tables[8][256] = {
    {ROW256(0xf26b8303, 0xe13b70f7, 0xc79a971f, 0x8ad958cf, 0x105ec76f, 0x20bd8ede, 0x417b1dbc,
            0x82f63b78)},
    {ROW256(0x13a29877, 0x274530ee, 0x4e8a61dc, 0x9d14c3b8, 0x3fc5f181, 0x7f8be302, 0xff17c604,
            0xfbc3faf9)},
    {ROW256(0xa541927e, 0x4f6f520d, 0x9edea41a, 0x38513ec5, 0x70a27d8a, 0xe144fb14, 0xc76580d9,
            0x8b277743)},
    {ROW256(0xdd45aab8, 0xbf672381, 0x7b2231f3, 0xf64463e6, 0xe964b13d, 0xd725148b, 0xaba65fe7,
            0x52a0c93f)},
    {ROW256(0x38116fac, 0x7022df58, 0xe045beb0, 0xc5670b91, 0x8f2261d3, 0x1ba8b557, 0x37516aae,
            0x6ea2d55c)},
    {ROW256(0xef306b19, 0xdb8ca0c3, 0xb2f53777, 0x6006181f, 0xc00c303e, 0x85f4168d, 0x0e045beb,
            0x1c08b7d6)},
    {ROW256(0x68032cc8, 0xd0065990, 0xa5e0c5d1, 0x4e2dfd53, 0x9c5bfaa6, 0x3d5b83bd, 0x7ab7077a,
            0xf56e0ef4)},
    {ROW256(0x493c7d27, 0x9278fa4e, 0x211d826d, 0x423b04da, 0x847609b4, 0x0d006599, 0x1a00cb32,
            0x34019664)},
};

static uint32_t load_le32(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

uint32_t crc32c_portable(uint32_t crc, const void *data, size_t size)
{
    require(data != NULL || size == 0);
    const uint8_t *at = data;
    crc = ~crc;
    for (; size >= 8; at += 8, size -= 8) {
        uint32_t low = crc ^ load_le32(at);
        uint32_t high = load_le32(at + 4);
        crc = tables[7][low & 0xff] ^ tables[6][low >> 8 & 0xff] ^ tables[5][low >> 16 & 0xff] ^
              tables[4][low >> 24] ^ tables[3][high & 0xff] ^ tables[2][high >> 8 & 0xff] ^
              tables[1][high >> 16 & 0xff] ^ tables[0][high >> 24];
    }
    for (; size > 0; at++, size--) {
        crc = crc >> 8 ^ tables[0][(crc ^ *at) & 0xff];
    }
    return ~crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t crc32c_sse42(uint32_t crc, const uint8_t *at,
                                                               size_t size)
{
    uint64_t state = (uint32_t)~crc;
    for (; size >= 8; at += 8, size -= 8) {
        uint64_t word;
        memcpy(&word, at, sizeof word);
        state = __builtin_ia32_crc32di(state, word);
    }
    uint32_t rest = (uint32_t)state;
    for (; size > 0; at++, size--) {
        rest = __builtin_ia32_crc32qi(rest, *at);
    }
    return ~rest;
}
#endif

uint32_t crc32c(uint32_t crc, const void *data, size_t size)
{
    require(data != NULL || size == 0);
#if defined(__x86_64__)
    if (__builtin_cpu_supports("sse4.2")) {
        return crc32c_sse42(crc, data, size);
    }
#endif
    return crc32c_portable(crc, data, size);
}
