#include "base/hex.h"

#include "base/require.h"

static const char HEX_DIGITS[] = "0123456789abcdef";
static const char BASE64_DIGITS[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void hex_encode(struct bytes b, char *text)
{
    require(text != NULL);
    for (size_t i = 0; i < b.size; i++) {
        text[2 * i] = HEX_DIGITS[b.data[i] >> 4];
        text[2 * i + 1] = HEX_DIGITS[b.data[i] & 15];
    }
    text[2 * b.size] = '\0';
}

static int hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

err hex_decode(struct bytes text, uint8_t *ret, size_t size)
{
    require(ret != NULL);
    if (text.size != 2 * size) {
        return (err){ERR_INVALID};
    }
    for (size_t i = 0; i < text.size; i++) {
        if (hex_value(text.data[i]) < 0) {
            return (err){ERR_INVALID};
        }
    }
    for (size_t i = 0; i < size; i++) {
        ret[i] = (uint8_t)(hex_value(text.data[2 * i]) << 4 | hex_value(text.data[2 * i + 1]));
    }
    return err_ok();
}

void base64_encode(struct bytes b, char *text)
{
    require(text != NULL);
    size_t at = 0;
    for (size_t i = 0; i < b.size; i += 3) {
        size_t n = b.size - i < 3 ? b.size - i : 3;
        uint32_t v = (uint32_t)b.data[i] << 16;
        v |= n > 1 ? (uint32_t)b.data[i + 1] << 8 : 0;
        v |= n > 2 ? b.data[i + 2] : 0;
        text[at++] = BASE64_DIGITS[v >> 18];
        text[at++] = BASE64_DIGITS[v >> 12 & 63];
        text[at++] = n > 1 ? BASE64_DIGITS[v >> 6 & 63] : '=';
        text[at++] = n > 2 ? BASE64_DIGITS[v & 63] : '=';
    }
    text[at] = '\0';
}

static int base64_value(uint8_t c)
{
    const char *at = c == '\0' ? NULL : strchr(BASE64_DIGITS, c);
    return at == NULL ? -1 : (int)(at - BASE64_DIGITS);
}

err base64_decode(struct bytes text, uint8_t *ret, size_t *ret_size)
{
    size_t n = text.size;
    require(ret != NULL);
    require(ret_size != NULL);
    if (n > 0 && n % 4 == 0) {
        for (int pad = 0; pad < 2 && text.data[n - 1] == '='; pad++) {
            n--;
        }
    }
    if (n % 4 == 1) {
        return (err){ERR_INVALID};
    }
    size_t at = 0;
    uint32_t bits = 0;
    unsigned count = 0;
    for (size_t i = 0; i < n; i++) {
        int v = base64_value(text.data[i]);
        if (v < 0) {
            return (err){ERR_INVALID};
        }
        bits = bits << 6 | (uint32_t)v;
        count += 6;
        if (count >= 8) {
            count -= 8;
            ret[at++] = (uint8_t)(bits >> count);
            bits &= (1u << count) - 1;
        }
    }
    if (bits != 0) {
        return (err){ERR_INVALID};
    }
    *ret_size = at;
    return err_ok();
}
