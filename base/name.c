#include "base/name.h"

#include "base/limits.h"
#include "base/require.h"

static bool lower_or_digit(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* Every octet is a lower-case letter, a digit or one of `others`. */
static bool consists_of(struct bytes name, const char *others)
{
    require(others != NULL);
    for (size_t i = 0; i < name.size; i++) {
        uint8_t c = name.data[i];
        /* strchr finds the NUL at the end of `others`, which no name may hold. */
        if (!lower_or_digit(c) && (c == 0 || strchr(others, c) == NULL)) {
            return false;
        }
    }
    return true;
}

bool name_institution_valid(struct bytes name)
{
    require(name.data != NULL || name.size == 0);
    return name.size >= 1 && name.size <= NAME_BYTES_MAX && name.data[0] != '-' &&
           consists_of(name, "-");
}

bool name_party_valid(struct bytes name)
{
    require(name.data != NULL || name.size == 0);
    return name.size >= 1 && name.size <= NAME_BYTES_MAX && name.data[0] != '-' &&
           name.data[0] != '.' && consists_of(name, "._:-");
}

bool name_party_reserved(struct bytes name)
{
    return bytes_equal(name, bytes_text("clock")) || bytes_equal(name, bytes_text("ledger")) ||
           bytes_has_prefix(name, bytes_text("ledger."));
}

static bool origin_segment_valid(struct bytes segment)
{
    return segment.size > 0 && segment.data[0] != '.' && segment.data[0] != '-' &&
           consists_of(segment, "._-") && !bytes_equal(segment, bytes_text("node")) &&
           !bytes_equal(segment, bytes_text("client")) &&
           !bytes_equal(segment, bytes_text("officer"));
}

bool name_origin_valid(struct bytes origin)
{
    require(origin.data != NULL || origin.size == 0);
    if (origin.size < 1 || origin.size > ORIGIN_BYTES_MAX) {
        return false;
    }
    size_t start = 0;
    for (size_t i = 0; i <= origin.size; i++) {
        if (i == origin.size || origin.data[i] == '/') {
            if (!origin_segment_valid(bytes_of(origin.data + start, i - start))) {
                return false;
            }
            start = i + 1;
        }
    }
    return true;
}

static bool digits_port(struct bytes port)
{
    uint32_t value = 0;
    if (port.size == 0 || port.size > 5 || port.data[0] == '0') {
        return false;
    }
    for (size_t i = 0; i < port.size; i++) {
        if (port.data[i] < '0' || port.data[i] > '9') {
            return false;
        }
        value = value * 10 + (port.data[i] - '0');
    }
    return value <= UINT16_MAX;
}

bool name_address_valid(struct bytes address)
{
    size_t colon = address.size;
    while (colon > 0 && address.data[colon - 1] != ':') {
        colon--;
    }
    if (colon < 2 || address.size > ADDRESS_BYTES_MAX) {
        return false;
    }
    for (size_t i = 0; i + 1 < colon; i++) {
        uint8_t c = address.data[i];
        bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '.' || c == '-' || c == '[' || c == ']' || c == ':';
        if (!good) {
            return false;
        }
    }
    return digits_port(bytes_of(address.data + colon, address.size - colon));
}
