#include "base/utf8.h"

/* Length of the well-formed sequence at p, or 0 (RFC 3629 section 4). */
static size_t sequence_size(const uint8_t *p, size_t left)
{
    uint8_t first = p[0];
    if (first < 0x80) {
        return 1;
    }
    size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || size > left) {
        return 0;
    }
    for (size_t i = 1; i < size; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    bool overlong = (first == 0xe0 && p[1] < 0xa0) || (first == 0xf0 && p[1] < 0x90);
    bool surrogate = first == 0xed && p[1] > 0x9f;
    bool too_large = first == 0xf4 && p[1] > 0x8f;
    return overlong || surrogate || too_large ? 0 : size;
}

bool utf8_valid(struct bytes text)
{
    for (size_t at = 0; at < text.size;) {
        size_t size = sequence_size(text.data + at, text.size - at);
        if (size == 0) {
            return false;
        }
        at += size;
    }
    return true;
}

size_t utf8_count(struct bytes text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.size; i++) {
        count += (text.data[i] & 0xc0) != 0x80;
    }
    return count;
}
