#include "tests/vectors/cel_textproto.h"

#include <string.h>

struct reader {
    struct bytes text;
    size_t at;
    unsigned line;
    struct arena *arena;
    struct errtext *reterr;
    uint8_t *decoded; /* room for the whole file: escapes only shrink */
};

static err refuse(struct reader *r, const char *why)
{
    return err_fail(r->reterr, ERR_INVALID, "line %u: %s", r->line, why);
}

static uint8_t peek(const struct reader *r)
{
    return r->at < r->text.size ? r->text.data[r->at] : 0;
}

static void skip_blank(struct reader *r)
{
    for (; r->at < r->text.size; r->at++) {
        uint8_t c = r->text.data[r->at];
        if (c == '#') {
            while (r->at + 1 < r->text.size && r->text.data[r->at + 1] != '\n') {
                r->at++;
            }
        } else if (c == '\n') {
            r->line++;
        } else if (c != ' ' && c != '\t' && c != '\r' && c != ',' && c != ';') {
            return;
        }
    }
}

static bool is_word(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '+' || c == '.';
}

static struct bytes take_word(struct reader *r)
{
    size_t start = r->at;
    while (is_word(peek(r))) {
        r->at++;
    }
    return bytes_of(r->text.data + start, r->at - start);
}

/* ---- texts ---- */

static int digit_of(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 16;
}

/* At most `most` digits of a base; false if there is none. */
static bool take_digits(struct reader *r, unsigned base, unsigned most, uint32_t *ret)
{
    unsigned count = 0;
    for (*ret = 0; count < most && digit_of(peek(r)) < (int)base; count++, r->at++) {
        *ret = *ret * base + (uint32_t)digit_of(peek(r));
    }
    return count > 0;
}

static size_t put_point(uint8_t *out, uint32_t v)
{
    if (v < 0x80) {
        out[0] = (uint8_t)v;
        return 1;
    }
    if (v < 0x800) {
        out[0] = (uint8_t)(0xC0 | v >> 6);
        out[1] = (uint8_t)(0x80 | (v & 0x3F));
        return 2;
    }
    size_t first = v < 0x10000 ? 0 : 1;
    if (first == 1) {
        out[0] = (uint8_t)(0xF0 | v >> 18);
    }
    out[first] = (uint8_t)(first == 0 ? 0xE0 | v >> 12 : 0x80 | (v >> 12 & 0x3F));
    out[first + 1] = (uint8_t)(0x80 | (v >> 6 & 0x3F));
    out[first + 2] = (uint8_t)(0x80 | (v & 0x3F));
    return first + 3;
}

/* Behind a backslash; appends what is meant. */
static bool take_escape(struct reader *r, uint8_t *out, size_t *size)
{
    static const char letters[] = "abfnrtv\\?\"'";
    static const char values[] = "\a\b\f\n\r\t\v\\?\"'";
    uint8_t c = peek(r);
    const char *found = c == 0 ? NULL : strchr(letters, c);
    uint32_t v = 0;
    if (found != NULL) {
        r->at++;
        out[(*size)++] = (uint8_t)values[found - letters];
        return true;
    }
    if (c >= '0' && c <= '7') {
        (void)take_digits(r, 8, 3, &v);
        out[(*size)++] = (uint8_t)v;
        return v <= 0xFF;
    }
    r->at++;
    if (c == 'x' || c == 'X') {
        bool ok = take_digits(r, 16, 2, &v);
        out[(*size)++] = (uint8_t)v;
        return ok;
    }
    if ((c == 'u' || c == 'U') && take_digits(r, 16, c == 'u' ? 4 : 8, &v) && v <= 0x10FFFF) {
        *size += put_point(out + *size, v);
        return true;
    }
    return false;
}

/* One or more quoted pieces, which belong together. */
static err take_text(struct reader *r, struct bytes *ret)
{
    uint8_t *out = r->decoded;
    size_t size = 0;
    while (peek(r) == '"' || peek(r) == '\'') {
        uint8_t quote = peek(r);
        for (r->at++; peek(r) != quote;) {
            uint8_t c = peek(r);
            if (r->at >= r->text.size || c == '\n') {
                return refuse(r, "a text is not closed");
            }
            r->at++;
            if (c != '\\') {
                out[size++] = c;
            } else if (!take_escape(r, out, &size)) {
                return refuse(r, "unknown escape");
            }
        }
        r->at++;
        skip_blank(r);
    }
    *ret = arena_copy(r->arena, bytes_of(out, size));
    return err_ok();
}

/* ---- fields ---- */

/* A field name, or the type of an Any in brackets. */
static err take_name(struct reader *r, struct bytes *ret)
{
    size_t start = r->at;
    if (peek(r) == '[') {
        while (r->at < r->text.size && peek(r) != ']' && peek(r) != '\n') {
            r->at++;
        }
        if (peek(r) != ']') {
            return refuse(r, "']' is expected");
        }
        r->at++;
        *ret = bytes_of(r->text.data + start, r->at - start);
        return err_ok();
    }
    *ret = take_word(r);
    return ret->size > 0 && ret->size <= PROTO_NAME_MAX ? err_ok()
                                                        : refuse(r, "a field is expected");
}

/* A value behind the name; *ret_open: it is a message, and its fields follow. */
static err take_value(struct reader *r, struct proto *field, bool *ret_open)
{
    skip_blank(r);
    bool colon = peek(r) == ':';
    r->at += colon ? 1 : 0;
    skip_blank(r);
    *ret_open = peek(r) == '{';
    if (*ret_open) {
        r->at++;
        field->kind = PROTO_MESSAGE;
        return err_ok();
    }
    if (!colon) {
        return refuse(r, "':' or '{' is expected");
    }
    if (peek(r) == '"' || peek(r) == '\'') {
        field->kind = PROTO_TEXT;
        return take_text(r, &field->text);
    }
    field->kind = PROTO_WORD;
    field->text = take_word(r);
    return field->text.size > 0 ? err_ok() : refuse(r, "a value is expected");
}

static err take_field(struct reader *r, struct proto *in, struct proto **ret, bool *ret_open)
{
    struct proto *field = arena_try(r->arena, 1, sizeof *field);
    if (field == NULL) {
        return refuse(r, "too many fields");
    }
    field->line = r->line;
    TRY(take_name(r, &field->name));
    TRY(take_value(r, field, ret_open));
    if (in->last == NULL) {
        in->first = field;
    } else {
        in->last->next = field;
    }
    in->last = field;
    *ret = field;
    return err_ok();
}

err proto_parse(struct bytes text, struct arena *arena, struct proto *ret, struct errtext *reterr)
{
    struct reader r = {.text = text, .line = 1, .arena = arena, .reterr = reterr};
    struct proto *open[PROTO_DEPTH_MAX] = {ret};
    size_t depth = 0;
    *ret = (struct proto){.kind = PROTO_MESSAGE};
    if (text.size > PROTO_BYTES_MAX) {
        return refuse(&r, "the file is too large");
    }
    r.decoded = arena_new(arena, text.size + 1, 1);
    for (skip_blank(&r); r.at < text.size; skip_blank(&r)) {
        struct proto *field = NULL;
        bool opened = false;
        if (peek(&r) == '}') {
            if (depth == 0) {
                return refuse(&r, "'}' closes nothing");
            }
            r.at++;
            depth--;
            continue;
        }
        TRY(take_field(&r, open[depth], &field, &opened));
        if (opened && ++depth == PROTO_DEPTH_MAX) {
            return refuse(&r, "messages nest too deep");
        }
        if (opened) {
            open[depth] = field;
        }
    }
    return depth == 0 ? err_ok() : refuse(&r, "a message is not closed");
}

const struct proto *proto_get(const struct proto *message, const char *name)
{
    for (const struct proto *f = message->first; f != NULL; f = f->next) {
        if (bytes_equal(f->name, bytes_text(name))) {
            return f;
        }
    }
    return NULL;
}

struct bytes proto_text(const struct proto *message, const char *name)
{
    const struct proto *f = proto_get(message, name);
    return f == NULL ? bytes_text("") : f->text;
}
