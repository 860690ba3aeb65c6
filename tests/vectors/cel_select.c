#include "tests/vectors/cel_select.h"

#include <string.h>

/* ---- the expression ---- */

struct scan {
    struct bytes text;
    size_t at;
};

static uint8_t ahead(const struct scan *s, size_t n)
{
    return s->at + n < s->text.size ? s->text.data[s->at + n] : 0;
}

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool one_of(struct bytes name, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (bytes_equal(name, bytes_text(words[i]))) {
            return true;
        }
    }
    return false;
}

/* Over a text whose quote is at s->at; an unclosed one ends the scan. */
static void skip_string(struct scan *s, bool raw)
{
    uint8_t quote = ahead(s, 0);
    bool triple = ahead(s, 1) == quote && ahead(s, 2) == quote;
    s->at += triple ? 3 : 1;
    while (s->at < s->text.size) {
        uint8_t c = ahead(s, 0);
        if (c == '\\' && !raw) {
            s->at += 2;
        } else if (c == quote && (!triple || (ahead(s, 1) == quote && ahead(s, 2) == quote))) {
            s->at += triple ? 3 : 1;
            return;
        } else {
            s->at++;
        }
    }
}

/* How many letters stand before a quote and say what text it is: r"", b'', Br''. */
static size_t string_prefix(const struct scan *s, bool *ret_raw)
{
    size_t n = 0;
    *ret_raw = false;
    for (; n < 2 && ahead(s, n) != 0 && strchr("rRbB", ahead(s, n)) != NULL; n++) {
        *ret_raw |= (ahead(s, n) | 0x20) == 'r';
    }
    return n;
}

/* An int; false: a float or an unsigned one. */
static bool scan_int(struct scan *s)
{
    bool hex = ahead(s, 0) == '0' && (ahead(s, 1) | 0x20) == 'x';
    s->at += hex ? 2 : 0;
    while (is_digit(ahead(s, 0)) ||
           (hex && is_letter(ahead(s, 0)) && (ahead(s, 0) | 0x20) <= 'f')) {
        s->at++;
    }
    uint8_t c = ahead(s, 0) | 0x20;
    bool fraction = ahead(s, 0) == '.' && is_digit(ahead(s, 1));
    return !fraction && c != 'e' && c != 'u';
}

static bool scan_name(struct scan *s)
{
    static const char *const banned[] = {"double", "uint", "matches",     "dyn",
                                         "type",   "null", "TestAllTypes"};
    size_t start = s->at;
    while (is_letter(ahead(s, 0)) || is_digit(ahead(s, 0))) {
        s->at++;
    }
    struct bytes name = bytes_of(s->text.data + start, s->at - start);
    return !one_of(name, banned, sizeof banned / sizeof banned[0]);
}

/* The next token; false: one that is not core. */
static bool scan_token(struct scan *s)
{
    bool raw = false;
    size_t prefix = string_prefix(s, &raw);
    uint8_t c = ahead(s, 0);
    if (ahead(s, prefix) == '"' || ahead(s, prefix) == '\'') {
        s->at += prefix;
        skip_string(s, raw);
        return true;
    }
    if (c == '/' && ahead(s, 1) == '/') {
        while (s->at < s->text.size && ahead(s, 0) != '\n') {
            s->at++;
        }
        return true;
    }
    if (is_letter(c)) {
        return scan_name(s);
    }
    if (is_digit(c)) {
        return scan_int(s);
    }
    if (c == '{' || c == '`' || (c == '.' && is_digit(ahead(s, 1)))) {
        return false;
    }
    s->at++;
    return true;
}

static bool starts(struct bytes text, size_t at, const char *what)
{
    return at <= text.size &&
           bytes_has_prefix(bytes_of(text.data + at, text.size - at), bytes_text(what));
}

/* `get\w+\('[A-Za-z]+/`: a getter that names a zone of the tz database. */
static bool asks_zone(struct bytes text, size_t at)
{
    if (!starts(text, at, "get")) {
        return false;
    }
    struct scan s = {text, at + 3};
    size_t name = s.at;
    while (is_letter(ahead(&s, 0)) || is_digit(ahead(&s, 0))) {
        s.at++;
    }
    if (s.at == name || ahead(&s, 0) != '(' || ahead(&s, 1) != '\'') {
        return false;
    }
    s.at += 2;
    size_t zone = s.at;
    while (is_letter(ahead(&s, 0)) && ahead(&s, 0) != '_') {
        s.at++;
    }
    return s.at > zone && ahead(&s, 0) == '/';
}

static bool expression_is_core(struct bytes text)
{
    static const char package[] = "google.protobuf.";
    for (struct scan s = {text, 0}; s.at < text.size;) {
        if (!scan_token(&s)) {
            return false;
        }
    }
    for (size_t i = 0; i < text.size; i++) {
        if (starts(text, i, package) && !starts(text, i + strlen(package), "Timestamp") &&
            !starts(text, i + strlen(package), "Duration")) {
            return false;
        }
        if (asks_zone(text, i)) {
            return false;
        }
    }
    return true;
}

/* ---- the other fields ---- */

static bool contains(struct bytes text, const char *what)
{
    for (size_t i = 0; i < text.size; i++) {
        if (starts(text, i, what)) {
            return true;
        }
    }
    return false;
}

static bool field_is_core(const struct proto *f)
{
    static const char *const banned[] = {"double_value",  "uint64_value", "type_value",
                                         "null_value",    "map_value",    "map_type",
                                         "disable_check", "container"};
    if (one_of(f->name, banned, sizeof banned / sizeof banned[0]) ||
        contains(f->name, "TestAllTypes") || contains(f->text, "TestAllTypes")) {
        return false;
    }
    if (!bytes_equal(f->name, bytes_text("object_value"))) {
        return true;
    }
    return f->first != NULL && (contains(f->first->name, "google.protobuf.Timestamp]") ||
                                contains(f->first->name, "google.protobuf.Duration]"));
}

/* All fields under the test but the expression, by an explicit stack. */
static bool fields_are_core(const struct proto *test)
{
    const struct proto *open[PROTO_DEPTH_MAX] = {test->first};
    size_t depth = 1;
    while (depth > 0) {
        const struct proto *f = open[depth - 1];
        if (f == NULL) {
            depth--;
            continue;
        }
        open[depth - 1] = f->next;
        bool expr = depth == 1 && bytes_equal(f->name, bytes_text("expr"));
        if (!expr && !field_is_core(f)) {
            return false;
        }
        if (f->first != NULL && depth < PROTO_DEPTH_MAX) {
            open[depth++] = f->first;
        }
    }
    return true;
}

bool cel_is_core(struct bytes section, const struct proto *test)
{
    return !contains(section, "qualified") && expression_is_core(proto_text(test, "expr")) &&
           fields_are_core(test);
}
