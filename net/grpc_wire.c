#include "net/grpc_wire.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/hex.h"
#include "base/limits.h"
#include "base/require.h"

const char *grpc_status_name(enum grpc_status status)
{
    static const char *const names[] = {
#define GRPC_STATUS_TEXT(name, number) [number] = #name,
        GRPC_STATUSES(GRPC_STATUS_TEXT)
#undef GRPC_STATUS_TEXT
    };
    return (unsigned)status <= GRPC_STATUS_MAX ? names[status] : "UNKNOWN";
}

/* ---- timeouts ---- */

struct unit {
    char letter;
    uint64_t ns;
};

static const struct unit units[] = {
    {'n', 1},        {'u', NS_PER_US},     {'m', NS_PER_MS},
    {'S', NS_PER_S}, {'M', 60 * NS_PER_S}, {'H', 3600 * NS_PER_S},
};
enum { UNIT_COUNT = sizeof(units) / sizeof(units[0]), TIMEOUT_DIGITS = 8 };

err grpc_timeout_parse(struct bytes text, uint64_t *ret_ns)
{
    require(ret_ns != NULL);
    if (text.size < 2 || text.size > TIMEOUT_DIGITS + 1) {
        return (err){ERR_INVALID};
    }
    uint64_t value = 0;
    for (size_t i = 0; i + 1 < text.size; i++) {
        uint8_t c = text.data[i];
        if (c < '0' || c > '9') {
            return (err){ERR_INVALID};
        }
        value = value * 10 + (uint64_t)(c - '0');
    }
    for (size_t i = 0; i < UNIT_COUNT; i++) {
        if ((uint8_t)units[i].letter == text.data[text.size - 1]) {
            bool fits = value <= UINT64_MAX / units[i].ns;
            *ret_ns = fits ? value * units[i].ns : UINT64_MAX;
            return err_ok();
        }
    }
    return (err){ERR_INVALID};
}

void grpc_timeout_print(uint64_t ns, char ret[GRPC_TIMEOUT_SIZE])
{
    uint64_t value = ns;
    size_t i = 0;
    while (value > 99999999 && i + 1 < UNIT_COUNT) {
        i++;
        value = ns / units[i].ns + (ns % units[i].ns != 0);
    }
    value = value > 99999999 ? 99999999 : value;
    snprintf(ret, GRPC_TIMEOUT_SIZE, "%u%c", (unsigned)(value % 100000000), units[i].letter);
}

/* ---- texts ---- */

size_t grpc_text_encode(const char *text, char *ret, size_t size)
{
    require(size > 0);
    static const char digits[] = "0123456789ABCDEF";
    size_t at = 0;
    for (const unsigned char *c = (const unsigned char *)text; *c != '\0'; c++) {
        bool plain = *c >= 0x20 && *c <= 0x7e && *c != '%';
        size_t need = plain ? 1 : 3;
        if (at + need >= size) {
            break;
        }
        if (plain) {
            ret[at] = (char)*c;
        } else {
            ret[at] = '%';
            ret[at + 1] = digits[*c >> 4];
            ret[at + 2] = digits[*c & 15];
        }
        at += need;
    }
    ret[at] = '\0';
    return at;
}

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

void grpc_text_decode(struct bytes text, char *ret, size_t size)
{
    require(size > 0);
    size_t at = 0;
    for (size_t i = 0; i < text.size && at + 1 < size; i++) {
        unsigned c = text.data[i];
        if (c == '%' && text.size - i > 2) {
            int high = hex_digit(text.data[i + 1]);
            int low = hex_digit(text.data[i + 2]);
            if (high >= 0 && low >= 0) {
                c = (unsigned)(high * 16 + low);
                i += 2;
            }
        }
        ret[at++] = c < 0x20 || c == 0x7f ? '?' : (char)c;
    }
    ret[at] = '\0';
}

err grpc_bin_decode(struct bytes text, uint8_t *ret, size_t size_max, size_t *ret_size)
{
    const uint8_t *comma = text.size == 0 ? NULL : memchr(text.data, ',', text.size);
    if (comma != NULL) {
        text.size = (size_t)(comma - text.data);
    }
    /* base64_decode may use up to this much room while it works. */
    if (text.size / 4 * 3 + 3 > size_max) {
        return (err){ERR_LIMIT};
    }
    return base64_decode(text, ret, ret_size);
}

bool grpc_content_type_is_good(struct bytes value)
{
    struct bytes base = bytes_text("application/grpc");
    if (!bytes_has_prefix(value, base)) {
        return false;
    }
    struct bytes rest = bytes_of(value.data + base.size, value.size - base.size);
    if (rest.size == 0 || rest.data[0] == ';') {
        return true;
    }
    struct bytes proto = bytes_text("+proto");
    return bytes_has_prefix(rest, proto) &&
           (rest.size == proto.size || rest.data[proto.size] == ';');
}

/* ---- statuses ---- */

enum grpc_status grpc_status_parse(struct bytes text)
{
    unsigned value = 0;
    if (text.size == 0 || text.size > 2) {
        return GRPC_UNKNOWN;
    }
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return GRPC_UNKNOWN;
        }
        value = value * 10 + (unsigned)(text.data[i] - '0');
    }
    return value <= GRPC_STATUS_MAX ? (enum grpc_status)value : GRPC_UNKNOWN;
}

enum grpc_status grpc_status_of_reset(uint32_t code)
{
    switch (code) {
    case 0x7: /* REFUSED_STREAM: nothing was executed */
        return GRPC_UNAVAILABLE;
    case 0x8: /* CANCEL */
        return GRPC_CANCELLED;
    case 0xb: /* ENHANCE_YOUR_CALM */
        return GRPC_RESOURCE_EXHAUSTED;
    case 0xc: /* INADEQUATE_SECURITY */
        return GRPC_PERMISSION_DENIED;
    default:
        return GRPC_INTERNAL;
    }
}

enum grpc_status grpc_status_of_http(unsigned status)
{
    switch (status) {
    case 400:
        return GRPC_INTERNAL;
    case 401:
        return GRPC_UNAUTHENTICATED;
    case 403:
        return GRPC_PERMISSION_DENIED;
    case 404:
        return GRPC_UNIMPLEMENTED;
    case 429:
    case 502:
    case 503:
    case 504:
        return GRPC_UNAVAILABLE;
    default:
        return GRPC_UNKNOWN;
    }
}

/* ---- messages ---- */

enum { FIRST_ROOM_BYTES = 16 << 10 };

void grpc_prefix_write(uint8_t ret[GRPC_PREFIX_SIZE], size_t message_size)
{
    require(message_size <= UINT32_MAX);
    ret[0] = 0;
    for (int i = 0; i < 4; i++) {
        ret[1 + i] = (uint8_t)(message_size >> (24 - 8 * i));
    }
}

void grpc_deframer_init(struct grpc_deframer *d, size_t size_max, struct budget *budget)
{
    require(size_max > 0);
    *d = (struct grpc_deframer){.size_max = size_max, .budget = budget};
    buf_init(&d->body, size_max);
}

static void give_budget(struct grpc_deframer *d)
{
    if (d->held > 0) {
        budget_give(d->budget, d->held);
        d->held = 0;
    }
}

void grpc_deframer_done(struct grpc_deframer *d)
{
    give_budget(d);
    buf_done(&d->body);
}

bool grpc_deframer_is_empty(const struct grpc_deframer *d)
{
    return d->prefix_size == 0;
}

/* Judges a complete prefix before anything is allocated. */
static enum grpc_status begin_message(struct grpc_deframer *d, struct errtext *reterr)
{
    if (d->prefix[0] > 1) {
        err_fail(reterr, ERR_INVALID, "message flag %u is neither 0 nor 1", d->prefix[0]);
        return GRPC_INTERNAL;
    }
    if (d->prefix[0] == 1) {
        err_fail(reterr, ERR_UNSUPPORTED, "compressed messages are not accepted");
        return GRPC_UNIMPLEMENTED;
    }
    d->size = (size_t)d->prefix[1] << 24 | (size_t)d->prefix[2] << 16 | (size_t)d->prefix[3] << 8 |
              d->prefix[4];
    if (d->size > d->size_max) {
        err_fail(reterr, ERR_LIMIT, "message of %zu bytes is larger than %zu", d->size,
                 d->size_max);
        return GRPC_RESOURCE_EXHAUSTED;
    }
    if (d->budget != NULL && !budget_take(d->budget, d->size)) {
        err_fail(reterr, ERR_FULL, "too many request bytes at once; try again later");
        return GRPC_RESOURCE_EXHAUSTED;
    }
    d->held = d->budget != NULL ? d->size : 0;
    return GRPC_OK;
}

static void take_prefix(struct grpc_deframer *d, struct bytes *in)
{
    size_t take = GRPC_PREFIX_SIZE - d->prefix_size;
    take = take < in->size ? take : in->size;
    if (take > 0) {
        memcpy(d->prefix + d->prefix_size, in->data, take);
        d->prefix_size += (unsigned)take;
        *in = bytes_of(in->data + take, in->size - take);
    }
}

enum grpc_status grpc_deframer_next(struct grpc_deframer *d, struct bytes *in,
                                    struct bytes *ret_message, bool *ret_complete,
                                    struct errtext *reterr)
{
    *ret_complete = false;
    if (d->prefix_size < GRPC_PREFIX_SIZE) {
        if (d->prefix_size == 0) {
            buf_clear(&d->body);
            give_budget(d); /* of the message before */
        }
        take_prefix(d, in);
        if (d->prefix_size < GRPC_PREFIX_SIZE) {
            return GRPC_OK;
        }
        enum grpc_status status = begin_message(d, reterr);
        if (status != GRPC_OK) {
            return status;
        }
    }
    if (in->size == 0 && d->size > 0) {
        return GRPC_OK;
    }
    require(d->body.size <= d->size);
    size_t take = d->size - d->body.size;
    if (!d->copy && d->body.size == 0 && in->size >= take) {
        *ret_message = bytes_of(in->data, take); /* in one piece: no copy */
    } else {
        take = take < in->size ? take : in->size;
        if (d->body.size == 0 && take > 0) {
            /* Room for a usual message at once; a larger one grows with what arrives, so that a
             * client that announces much and sends little costs little. */
            size_t room = d->size < FIRST_ROOM_BYTES ? d->size : FIRST_ROOM_BYTES;
            require(buf_room(&d->body, room) != NULL);
        }
        buf_put(&d->body, in->data, take);
        *ret_message = buf_bytes(&d->body);
    }
    *in = bytes_of(in->data + take, in->size - take);
    if (ret_message->size == d->size) {
        *ret_complete = true;
        d->prefix_size = 0;
    }
    return GRPC_OK;
}
