/* Canonical JSON (13.1, 13.2), stored keys and rows (11.4), and the hash of tokens (13.4): the
 * bytes that nodes agree on. */
#include "rules/canon.h"

#include <string.h>

#include "base/limits.h"
#include "base/require.h"
#include "rules/compile.h"

/* ---- JSON ---- */

/* Octets from..to of a text, which may be empty and then without address. */
static void put_span(struct buf *out, struct bytes text, size_t from, size_t to)
{
    require(from <= to);
    if (from < to) {
        buf_put(out, text.data + from, to - from);
    }
}

void canon_put_string(struct buf *out, struct bytes text)
{
    buf_put_u8(out, '"');
    size_t plain = 0;
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        if (c >= 0x20 && c != '"' && c != '\\') {
            continue;
        }
        put_span(out, text, plain, i);
        plain = i + 1;
        if (c < 0x20) {
            buf_printf(out, "\\u%04x", c);
        } else {
            buf_put_u8(out, '\\');
            buf_put_u8(out, c);
        }
    }
    put_span(out, text, plain, text.size);
    buf_put_u8(out, '"');
}

void canon_put_uint(struct buf *out, uint64_t v)
{
    char text[20];
    size_t at = sizeof text;
    do {
        text[--at] = (char)('0' + v % 10);
        v /= 10;
    } while (v > 0);
    buf_put(out, text + at, sizeof text - at);
}

void canon_put_day(struct buf *out, int32_t day)
{
    char text[CIVIL_DATE_TEXT_MAX + 2] = "\"";
    size_t size = civil_day_print(day, text + 1);
    text[size + 1] = '"';
    buf_put(out, text, size + 2);
}

void canon_put_time(struct buf *out, struct civil_time time)
{
    char text[CIVIL_TIME_TEXT_MAX + 2] = "\"";
    size_t size = civil_time_print(time, text + 1);
    text[size + 1] = '"';
    buf_put(out, text, size + 2);
}

static void put_number(struct buf *out, int128 v)
{
    char text[NUM_TEXT_MAX];
    size_t size = num_print(v, text);
    buf_put(out, text, size);
}

static void put_amount(struct buf *out, const struct rules_registry *r, const struct type *t,
                       int128 v)
{
    buf_put_u8(out, '"');
    if (t->measure != NULL) {
        measure_print(t->measure, v, out);
    } else {
        put_number(out, v);
        unit_print_suffix(r, &t->unit, out);
    }
    buf_put_u8(out, '"');
}

static void put_ratio(struct buf *out, const struct rules_registry *r, const struct type *t,
                      const struct num_ratio *v)
{
    buf_put_text(out, "\"(");
    put_number(out, v->num);
    buf_put_u8(out, '/');
    put_number(out, v->den);
    buf_put_u8(out, ')');
    unit_print_suffix(r, &t->unit, out);
    buf_put_u8(out, '"');
}

static void put_octets(struct buf *out, struct bytes octets)
{
    static const char digits[] = "0123456789abcdef";
    buf_put_u8(out, '"');
    for (size_t i = 0; i < octets.size; i++) {
        buf_put_u8(out, (uint8_t)digits[octets.data[i] >> 4]);
        buf_put_u8(out, (uint8_t)digits[octets.data[i] & 15]);
    }
    buf_put_u8(out, '"');
}

static void put_duration(struct buf *out, int128 nanos)
{
    char text[CIVIL_DURATION_TEXT_MAX];
    size_t size = civil_duration_print((int64_t)nanos, text);
    canon_put_string(out, bytes_of(text, size));
}

void canon_put_keys(struct buf *out, const struct rules_registry *r, const struct field *fields,
                    const struct value *values, uint32_t count)
{
    buf_put_u8(out, '[');
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0) {
            buf_put_u8(out, ',');
        }
        canon_put_value(out, r, fields[i].type, values[i]);
    }
    buf_put_u8(out, ']');
}

void canon_put_fields(struct buf *out, const struct rules_registry *r, const struct field *fields,
                      const struct value *values, uint32_t count)
{
    bool first = true;
    buf_put_u8(out, '{');
    for (uint32_t i = 0; i < count; i++) {
        if (!values[i].present) {
            continue;
        }
        if (!first) {
            buf_put_u8(out, ',');
        }
        first = false;
        canon_put_string(out, fields[i].name);
        buf_put_u8(out, ':');
        canon_put_value(out, r, fields[i].type, values[i]);
    }
    buf_put_u8(out, '}');
}

/* Recursion follows the type, whose nesting the parser limits. */
void canon_put_value(struct buf *out, const struct rules_registry *r, const struct type *t,
                     struct value v)
{
    switch (t->kind) {
    case TYPE_BOOL:
        buf_put_text(out, v.as.truth ? "true" : "false");
        return;
    case TYPE_INT:
        put_number(out, v.as.number);
        return;
    case TYPE_STRING:
    case TYPE_PARTY:
        canon_put_string(out, v.as.text);
        return;
    case TYPE_BYTES:
        put_octets(out, v.as.text);
        return;
    case TYPE_DATE:
        canon_put_day(out, (int32_t)v.as.number);
        return;
    case TYPE_DURATION:
        put_duration(out, v.as.number);
        return;
    case TYPE_TIMESTAMP:
        canon_put_time(out, v.as.time);
        return;
    case TYPE_AMOUNT:
        put_amount(out, r, t, v.as.number);
        return;
    case TYPE_RATIO:
        put_ratio(out, r, t, v.as.ratio);
        return;
    case TYPE_RECORD:
        canon_put_fields(out, r, t->fields, v.as.fields, t->field_count);
        return;
    case TYPE_LIST:
        buf_put_u8(out, '[');
        for (size_t i = 0; i < v.as.list.count; i++) {
            if (i > 0) {
                buf_put_u8(out, ',');
            }
            canon_put_value(out, r, t->item, v.as.list.items[i]);
        }
        buf_put_u8(out, ']');
        return;
    }
}

/* ---- stored form ---- */

/* Numbers with the sign bit flipped, so that their octets order as they do. */
static void put_int(struct buf *out, int64_t v)
{
    buf_put_u64(out, (uint64_t)v ^ UINT64_C(1) << 63);
}

static int64_t read_int(struct cursor *c)
{
    return (int64_t)(cursor_u64(c) ^ UINT64_C(1) << 63);
}

void canon_put_key(struct buf *out, const struct type *t, struct value v)
{
    require(type_is_key(t));
    if (t->kind == TYPE_INT || t->kind == TYPE_DURATION) {
        put_int(out, (int64_t)v.as.number);
    } else if (t->kind == TYPE_DATE) {
        buf_put_u32(out, (uint32_t)(int32_t)v.as.number ^ UINT32_C(1) << 31);
    } else if (t->kind == TYPE_TIMESTAMP) {
        put_int(out, v.as.time.seconds);
        buf_put_u32(out, v.as.time.nanos);
    } else if (t->kind == TYPE_BOOL) {
        buf_put_u8(out, v.as.truth ? 1 : 0);
    } else {
        struct bytes text = v.as.text;
        size_t plain = 0;
        for (size_t i = 0; i < text.size; i++) {
            if (text.data[i] == 0) {
                put_span(out, text, plain, i + 1);
                buf_put_u8(out, 0xFF);
                plain = i + 1;
            }
        }
        put_span(out, text, plain, text.size);
        buf_put_u16(out, 0);
    }
}

static bool read_key_text(struct cursor *c, struct arena *arena, struct bytes *ret)
{
    size_t start = c->at;
    uint8_t *text = arena_new(arena, cursor_left(c) + 1, 1);
    size_t size = 0;
    for (;;) {
        uint8_t octet = cursor_u8(c);
        if (octet == 0) {
            uint8_t next = cursor_u8(c);
            if (!cursor_ok(c) || (next != 0 && next != 0xFF)) {
                return false;
            }
            if (next == 0) {
                *ret = bytes_of(text, size);
                return true;
            }
        }
        text[size++] = octet;
        require(size <= c->size - start);
    }
}

/* A date, bool or time of a key or row; false: out of range. */
static bool read_scalar(struct cursor *c, const struct type *t, struct value *ret)
{
    ret->present = true;
    if (t->kind == TYPE_BOOL) {
        uint8_t truth = cursor_u8(c);
        ret->as.truth = truth == 1;
        return cursor_ok(c) && truth <= 1;
    }
    if (t->kind == TYPE_DATE) {
        ret->as.number = (int32_t)(cursor_u32(c) ^ UINT32_C(1) << 31);
        return cursor_ok(c) && civil_day_valid((int64_t)ret->as.number);
    }
    if (t->kind == TYPE_TIMESTAMP) {
        struct civil_time time = {.seconds = read_int(c)};
        time.nanos = cursor_u32(c);
        ret->as.time = time;
        return cursor_ok(c) && civil_time_valid(time);
    }
    require(t->kind == TYPE_INT || t->kind == TYPE_DURATION || t->kind == TYPE_AMOUNT);
    ret->as.number = read_int(c);
    return cursor_ok(c);
}

bool canon_read_key(struct cursor *c, const struct type *t, struct arena *arena, struct value *ret)
{
    if (type_is_text(t)) {
        ret->present = true;
        return read_key_text(c, arena, &ret->as.text);
    }
    return read_scalar(c, t, ret);
}

/* Recursion follows the type, whose nesting the parser limits. */
static void put_stored(struct buf *out, const struct type *t, struct value v)
{
    if (t->kind == TYPE_RECORD) {
        for (uint32_t i = 0; i < t->field_count; i++) {
            buf_put_u8(out, v.as.fields[i].present ? 1 : 0);
            if (v.as.fields[i].present) {
                put_stored(out, t->fields[i].type, v.as.fields[i]);
            }
        }
    } else if (t->kind == TYPE_LIST) {
        buf_put_u32(out, (uint32_t)v.as.list.count);
        for (size_t i = 0; i < v.as.list.count; i++) {
            put_stored(out, t->item, v.as.list.items[i]);
        }
    } else if (type_is_text(t)) {
        buf_put_sized(out, v.as.text);
    } else if (t->kind == TYPE_AMOUNT) {
        put_int(out, (int64_t)v.as.number);
    } else {
        canon_put_key(out, t, v);
    }
}

void canon_put_row(struct buf *out, const struct type *row, const struct value *values)
{
    for (uint32_t i = row->key_count; i < row->field_count; i++) {
        buf_put_u8(out, values[i].present ? 1 : 0);
        if (values[i].present) {
            put_stored(out, row->fields[i].type, values[i]);
        }
    }
}

static bool read_stored(struct cursor *c, const struct type *t, struct arena *arena,
                        struct value *ret);

static bool read_record(struct cursor *c, const struct type *t, struct arena *arena,
                        struct value *ret)
{
    struct value *fields = arena_new(arena, t->field_count + 1, sizeof *fields);
    for (uint32_t i = 0; i < t->field_count; i++) {
        uint8_t there = cursor_u8(c);
        if (!cursor_ok(c) || there > 1 || (there == 0 && !t->fields[i].optional) ||
            (there == 1 && !read_stored(c, t->fields[i].type, arena, &fields[i]))) {
            return false;
        }
    }
    *ret = (struct value){.as.fields = fields, .present = true};
    return true;
}

static bool read_list(struct cursor *c, const struct type *t, struct arena *arena,
                      struct value *ret)
{
    uint32_t count = cursor_u32(c);
    if (!cursor_ok(c) || count > t->list_max) {
        return false;
    }
    struct value *items = arena_new(arena, (size_t)count + 1, sizeof *items);
    for (uint32_t i = 0; i < count; i++) {
        if (!read_stored(c, t->item, arena, &items[i])) {
            return false;
        }
    }
    *ret = (struct value){.as.list = {items, count}, .present = true};
    return true;
}

static bool read_stored(struct cursor *c, const struct type *t, struct arena *arena,
                        struct value *ret)
{
    if (t->kind == TYPE_RECORD) {
        return read_record(c, t, arena, ret);
    }
    if (t->kind == TYPE_LIST) {
        return read_list(c, t, arena, ret);
    }
    if (type_is_text(t)) {
        struct bytes text = cursor_sized(c, RULES_TEXT_MAX);
        if (!cursor_ok(c)) {
            return false;
        }
        *ret = (struct value){.as.text = arena_copy(arena, text), .present = true};
        return true;
    }
    return read_scalar(c, t, ret);
}

bool canon_read_row(struct bytes row, const struct type *layout, const struct type *want,
                    struct arena *arena, struct value *ret)
{
    struct cursor c = cursor_of(row);
    for (uint32_t i = layout->key_count; i < layout->field_count; i++) {
        struct value v = {0};
        /* a row written by an earlier version ends before the fields that were added later */
        uint8_t there = cursor_left(&c) == 0 ? 0 : cursor_u8(&c);
        if (there > 1 || (there == 0 && !layout->fields[i].optional) ||
            (there == 1 && !read_stored(&c, layout->fields[i].type, arena, &v))) {
            return false;
        }
        if (layout == want) {
            ret[i] = v;
            continue;
        }
        for (uint32_t j = want->key_count; j < want->field_count; j++) {
            if (bytes_equal(want->fields[j].name, layout->fields[i].name)) {
                ret[j] = v;
            }
        }
    }
    return cursor_done(&c);
}

/* ---- hashes ---- */

static struct bytes skip_zeros(struct bytes digits)
{
    while (digits.size > 1 && digits.data[0] == '0' && digits.data[1] != '.') {
        digits = bytes_of(digits.data + 1, digits.size - 1);
    }
    return digits;
}

/* Per token: u8 kind, u32 length, content; titles, comments and tests left out. */
void canon_code_hash(const struct compile *c, uint8_t hash[RULES_HASH_SIZE])
{
    struct buf code;
    buf_init(&code, (size_t)16 * CONTRACT_BYTES_MAX);
    for (size_t i = 0; i < c->token_count; i++) {
        const struct token *t = &c->tokens[i];
        if (t->silent || t->kind == TOKEN_END) {
            continue;
        }
        buf_put_u8(&code, (uint8_t)t->kind);
        if (t->kind == TOKEN_INT) {
            char text[NUM_TEXT_MAX];
            size_t size = num_print((int128)t->number, text);
            buf_put_sized(&code, bytes_of(text, size));
        } else if (t->kind == TOKEN_DECIMAL) {
            buf_put_sized(&code, skip_zeros(t->text));
        } else {
            buf_put_sized(&code, t->text);
        }
    }
    require(!code.overflow);
    c->env->sha256(code.data, code.size, hash);
    buf_done(&code);
}
