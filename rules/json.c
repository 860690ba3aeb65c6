/* The JSON form of input (section 11.2). */
#include "rules/json.h"

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/require.h"
#include "base/utf8.h"

struct reader {
    const uint8_t *text;
    size_t size, at;
    unsigned depth;
    struct arena *arena;
    const char *why; /* the first reason */
};

static bool fail(struct reader *r, const char *why)
{
    if (r->why == NULL) {
        r->why = why;
    }
    return false;
}

static void skip_blank(struct reader *r)
{
    while (r->at < r->size && (r->text[r->at] == ' ' || r->text[r->at] == '\t' ||
                               r->text[r->at] == '\n' || r->text[r->at] == '\r')) {
        r->at++;
    }
}

static bool take(struct reader *r, uint8_t c)
{
    if (r->at < r->size && r->text[r->at] == c) {
        r->at++;
        return true;
    }
    return false;
}

static bool take_word(struct reader *r, const char *word)
{
    struct bytes rest = bytes_of(r->text + r->at, r->size - r->at);
    if (!bytes_has_prefix(rest, bytes_text(word))) {
        return fail(r, "a value is expected");
    }
    r->at += strlen(word);
    return true;
}

/* ---- strings ---- */

static bool read_unit(struct reader *r, uint32_t *ret)
{
    uint32_t v = 0;
    for (int i = 0; i < 4; i++) {
        uint8_t c = r->at < r->size ? r->text[r->at] : 0;
        uint32_t d = 16;
        if (c >= '0' && c <= '9') {
            d = (uint32_t)(c - '0');
        } else if (c >= 'a' && c <= 'f') {
            d = (uint32_t)(c - 'a' + 10);
        } else if (c >= 'A' && c <= 'F') {
            d = (uint32_t)(c - 'A' + 10);
        }
        if (d == 16) {
            return fail(r, "an escape needs four hexadecimal digits");
        }
        v = v * 16 + d;
        r->at++;
    }
    *ret = v;
    return true;
}

static size_t put_point(uint8_t *to, uint32_t v)
{
    if (v < 0x80) {
        to[0] = (uint8_t)v;
        return 1;
    }
    if (v < 0x800) {
        to[0] = (uint8_t)(0xC0 | v >> 6);
        to[1] = (uint8_t)(0x80 | (v & 0x3F));
        return 2;
    }
    if (v < 0x10000) {
        to[0] = (uint8_t)(0xE0 | v >> 12);
        to[1] = (uint8_t)(0x80 | (v >> 6 & 0x3F));
        to[2] = (uint8_t)(0x80 | (v & 0x3F));
        return 3;
    }
    to[0] = (uint8_t)(0xF0 | v >> 18);
    to[1] = (uint8_t)(0x80 | (v >> 12 & 0x3F));
    to[2] = (uint8_t)(0x80 | (v >> 6 & 0x3F));
    to[3] = (uint8_t)(0x80 | (v & 0x3F));
    return 4;
}

/* Behind a backslash; an escape is never shorter than what it means. */
static bool read_escape(struct reader *r, uint8_t *to, size_t *size)
{
    static const char letters[] = "\"\\/bfnrt";
    static const char values[] = "\"\\/\b\f\n\r\t";
    uint8_t c = r->at < r->size ? r->text[r->at++] : 0;
    const char *found = c == 0 ? NULL : strchr(letters, c);
    if (found != NULL) {
        to[(*size)++] = (uint8_t)values[found - letters];
        return true;
    }
    uint32_t v = 0;
    uint32_t low = 0;
    if (c != 'u') {
        return fail(r, "unknown escape");
    }
    if (!read_unit(r, &v)) {
        return false;
    }
    if (v >= 0xD800 && v <= 0xDBFF) {
        if (!take(r, '\\') || !take(r, 'u') || !read_unit(r, &low) || low < 0xDC00 ||
            low > 0xDFFF) {
            return fail(r, "a lone surrogate");
        }
        v = 0x10000 + ((v - 0xD800) << 10) + (low - 0xDC00);
    } else if (v >= 0xDC00 && v <= 0xDFFF) {
        return fail(r, "a lone surrogate");
    }
    *size += put_point(to + *size, v);
    return true;
}

/* Behind the opening quote. */
static bool read_string(struct reader *r, struct bytes *ret)
{
    size_t end = r->at;
    while (end < r->size && r->text[end] != '"') {
        end += r->text[end] == '\\' ? 2 : 1;
    }
    if (end >= r->size) {
        return fail(r, "a text is not closed");
    }
    uint8_t *to = arena_try(r->arena, end - r->at + 1, 1);
    if (to == NULL) {
        return fail(r, "too large");
    }
    size_t size = 0;
    while (r->at < end) {
        uint8_t c = r->text[r->at++];
        if (c == '\\') {
            if (!read_escape(r, to, &size)) {
                return false;
            }
        } else if (c < 0x20) {
            return fail(r, "a control character in a text");
        } else {
            to[size++] = c;
        }
    }
    r->at = end + 1;
    *ret = bytes_of(to, size);
    return true;
}

/* ---- numbers ---- */

static size_t take_digits(struct reader *r)
{
    size_t start = r->at;
    while (r->at < r->size && r->text[r->at] >= '0' && r->text[r->at] <= '9') {
        r->at++;
    }
    return r->at - start;
}

static bool read_number(struct reader *r, struct raw *ret)
{
    size_t start = r->at;
    (void)take(r, '-');
    size_t first = r->at;
    size_t digits = take_digits(r);
    if (digits == 0 || (digits > 1 && r->text[first] == '0')) {
        return fail(r, "a value is expected");
    }
    struct bytes whole = bytes_of(r->text + start, r->at - start);
    bool fraction = false;
    if (take(r, '.')) {
        fraction = true;
        if (take_digits(r) == 0) {
            return fail(r, "digits are expected after the point");
        }
    }
    if (take(r, 'e') || take(r, 'E')) {
        fraction = true;
        if (!take(r, '+')) {
            (void)take(r, '-');
        }
        if (take_digits(r) == 0) {
            return fail(r, "digits are expected in the exponent");
        }
    }
    *ret = (struct raw){.kind = RAW_FRACTION};
    if (!fraction) {
        ret->kind = num_int_parse(whole, &ret->as.number) == NUM_OK ? RAW_INT : RAW_BIG;
    }
    return true;
}

/* ---- arrays and objects ---- */

static bool read_value(struct reader *r, struct raw *ret);

/* Room for one more element of an array that doubles in the arena. */
static void *grow(struct reader *r, void *at, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity) {
        return at;
    }
    size_t more = *capacity == 0 ? 4 : *capacity * 2;
    void *copy = arena_try(r->arena, more, size);
    if (copy == NULL) {
        (void)fail(r, "too large");
        return NULL;
    }
    if (count > 0) {
        memcpy(copy, at, count * size);
    }
    *capacity = more;
    return copy;
}

static bool read_array(struct reader *r, struct raw *ret)
{
    struct raw *items = NULL;
    size_t count = 0;
    size_t capacity = 0;
    skip_blank(r);
    if (!take(r, ']')) {
        do {
            items = grow(r, items, count, &capacity, sizeof *items);
            if (items == NULL || !read_value(r, &items[count])) {
                return false;
            }
            count++;
            skip_blank(r);
        } while (take(r, ','));
        if (!take(r, ']')) {
            return fail(r, "',' or ']' is expected");
        }
    }
    *ret = (struct raw){.kind = RAW_LIST};
    ret->as.list.items = items;
    ret->as.list.count = count;
    return true;
}

static int compare_names(const void *a, const void *b)
{
    return bytes_compare(**(const struct bytes *const *)a, **(const struct bytes *const *)b);
}

static bool unique_members(struct reader *r, const struct raw_field *fields, size_t count)
{
    if (count < 2) {
        return true;
    }
    const struct bytes **names = arena_try(r->arena, count, sizeof(struct bytes *));
    if (names == NULL) {
        return fail(r, "too large");
    }
    for (size_t i = 0; i < count; i++) {
        names[i] = &fields[i].name;
    }
    qsort(names, count, sizeof(struct bytes *), compare_names);
    for (size_t i = 1; i < count; i++) {
        if (bytes_equal(*names[i - 1], *names[i])) {
            return fail(r, "a member is given twice");
        }
    }
    return true;
}

static bool read_member(struct reader *r, struct raw_field *ret)
{
    skip_blank(r);
    if (!take(r, '"')) {
        return fail(r, "the name of a member is expected");
    }
    if (!read_string(r, &ret->name)) {
        return false;
    }
    skip_blank(r);
    if (!take(r, ':')) {
        return fail(r, "':' is expected");
    }
    return read_value(r, &ret->value);
}

static bool read_object(struct reader *r, struct raw *ret)
{
    struct raw_field *fields = NULL;
    size_t count = 0;
    size_t capacity = 0;
    skip_blank(r);
    if (!take(r, '}')) {
        do {
            fields = grow(r, fields, count, &capacity, sizeof *fields);
            if (fields == NULL || !read_member(r, &fields[count])) {
                return false;
            }
            count++;
            skip_blank(r);
        } while (take(r, ','));
        if (!take(r, '}')) {
            return fail(r, "',' or '}' is expected");
        }
    }
    *ret = (struct raw){.kind = RAW_RECORD};
    ret->as.record.fields = fields;
    ret->as.record.count = count;
    return unique_members(r, fields, count);
}

static bool read_word(struct reader *r, struct raw *ret)
{
    uint8_t c = r->text[r->at];
    *ret = (struct raw){.kind = c == 'n' ? RAW_NONE : RAW_BOOL, .as.truth = c == 't'};
    return take_word(r, c == 'n' ? "null" : c == 't' ? "true" : "false");
}

/* Recursion goes at most RULES_JSON_DEPTH_MAX deep. */
static bool read_value(struct reader *r, struct raw *ret)
{
    skip_blank(r);
    if (r->at >= r->size) {
        return fail(r, "a value is expected");
    }
    if (++r->depth > RULES_JSON_DEPTH_MAX) {
        return fail(r, "nested too deep");
    }
    bool ok = false;
    uint8_t c = r->text[r->at];
    if (take(r, '"')) {
        *ret = (struct raw){.kind = RAW_TEXT, .json = true};
        ok = read_string(r, &ret->as.text);
    } else if (take(r, '[')) {
        ok = read_array(r, ret);
    } else if (take(r, '{')) {
        ok = read_object(r, ret);
    } else if (c == 'n' || c == 't' || c == 'f') {
        ok = read_word(r, ret);
    } else {
        ok = read_number(r, ret);
    }
    r->depth--;
    return ok;
}

const char *json_parse(struct bytes text, struct arena *arena, struct raw *ret)
{
    require(arena != NULL);
    require(ret != NULL);
    if (text.size > RULES_JSON_BYTES_MAX) {
        return "longer than 4 MiB";
    }
    if (!utf8_valid(text)) {
        return "not UTF-8";
    }
    struct reader r = {.text = text.data, .size = text.size, .arena = arena};
    if (!read_value(&r, ret)) {
        require(r.why != NULL);
        return r.why;
    }
    skip_blank(&r);
    return r.at == r.size ? NULL : "text after the value";
}

const struct raw *json_member(const struct raw *object, const char *name)
{
    require(object->kind == RAW_RECORD);
    for (size_t i = 0; i < object->as.record.count; i++) {
        if (bytes_equal(object->as.record.fields[i].name, bytes_text(name))) {
            return &object->as.record.fields[i].value;
        }
    }
    return NULL;
}
