#include "crypto/lines.h"

#include "base/hex.h"

bool lines_split(struct bytes text, char separator, struct bytes *ret_before,
                 struct bytes *ret_after)
{
    const uint8_t *at = text.size == 0 ? NULL : memchr(text.data, separator, text.size);
    if (at == NULL) {
        return false;
    }
    size_t before = (size_t)(at - text.data);
    *ret_before = bytes_of(text.data, before);
    *ret_after = bytes_of(at + 1, text.size - before - 1);
    return true;
}

bool lines_next(struct bytes *rest, struct bytes *ret)
{
    return lines_split(*rest, '\n', ret, rest);
}

bool lines_decimal(struct bytes text, uint64_t *ret)
{
    uint64_t n = 0;
    if (text.size == 0 || text.size > 19 || (text.data[0] == '0' && text.size > 1)) {
        return false;
    }
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return false;
        }
        n = n * 10 + (uint64_t)(text.data[i] - '0'); /* 19 digits fit 64 bits */
    }
    *ret = n;
    return n <= INT64_MAX;
}

/* Group by group, so that no room for the whole is needed to compare with what would be written. */
bool lines_base64(struct bytes text, uint8_t *ret, size_t size_max, size_t *ret_size)
{
    size_t at = 0;
    if (text.size % 4 != 0 || text.size > base64_length(size_max)) {
        return false;
    }
    for (size_t i = 0; i < text.size; i += 4) {
        struct bytes group = bytes_of(text.data + i, 4);
        uint8_t three[6];
        char again[5];
        size_t size = 0;
        if (failed(base64_decode(group, three, &size))) {
            return false;
        }
        base64_encode(bytes_of(three, size), again);
        if (!bytes_equal(group, bytes_text(again)) || (size < 3 && i + 4 < text.size)) {
            return false;
        }
        if (at + size > size_max) {
            return false;
        }
        memcpy(ret + at, three, size);
        at += size;
    }
    *ret_size = at;
    return true;
}

bool lines_hash(struct bytes text, struct merkle_hash *ret)
{
    size_t size = 0;
    return lines_base64(text, ret->bytes, MERKLE_HASH_SIZE, &size) && size == MERKLE_HASH_SIZE;
}

void lines_put_base64(struct bytes b, struct buf *ret)
{
    for (size_t i = 0; i < b.size; i += 3) {
        char group[5];
        base64_encode(bytes_of(b.data + i, b.size - i < 3 ? b.size - i : 3), group);
        buf_put_text(ret, group);
    }
    buf_put_u8(ret, '\n');
}
