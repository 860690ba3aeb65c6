/* What the tests of proto/ share. */
#ifndef TESTS_UNIT_PROTO_LIB_H
#define TESTS_UNIT_PROTO_LIB_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/hex.h"
#include "base/mem.h"

/* The bytes of a hex text; the caller frees data. */
static inline struct bytes unhex(const char *text)
{
    size_t size = strlen(text) / 2;
    uint8_t *data = mem_new(size + 1, 1);
    assert_true(!failed(hex_decode(bytes_text(text), data, size)));
    return bytes_of(data, size);
}

static inline void unhex_done(struct bytes b)
{
    free((void *)(uintptr_t)b.data);
}

static inline void assert_hex(struct bytes b, const char *text)
{
    char *hex = mem_new(2 * b.size + 1, 1);
    hex_encode(b, hex);
    assert_string_equal(hex, text);
    free(hex);
}

#endif
