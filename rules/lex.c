/* Text to tokens (section 1). */
#include "rules/lex.h"

#include <string.h>

#include "base/limits.h"
#include "base/require.h"
#include "base/utf8.h"
#include "rules/compile.h"

/* Where the lexer stands. */
struct lexer {
    struct compile *c;
    const uint8_t *text;
    size_t size, at;
    uint32_t line;
    size_t line_at;   /* octet at which the line begins */
    size_t column_at; /* octet up to which `column` has been counted */
    uint32_t column;
    uint8_t *decoded; /* the string being read; room for the whole text */
    size_t decoded_size;
};

enum { CEL_WORDS = 21 }; /* of the following, those that CEL reserves; they come first */

static const char *const reserved[] = {
    "true",      "false",    "null",     "in",    "as",       "break",   "const",     "continue",
    "else",      "for",      "function", "if",    "import",   "let",     "loop",      "package",
    "namespace", "return",   "var",      "void",  "while",    "rules",   "contract",  "version",
    "effective", "replaces", "measure",  "party", "term",     "record",  "table",     "uses",
    "account",   "on",       "signed",   "dated", "clause",   "require", "apportion", "over",
    "by",        "giving",   "transfer", "from",  "to",       "issue",   "into",      "retire",
    "set",       "add",      "remove",   "emit",  "schedule", "at",      "tally",     "clear",
    "test",      "given",    "when",     "then",  "rejected", "round",
};

bool lex_reserved(bool bare, struct bytes name)
{
    size_t count = bare ? CEL_WORDS : sizeof reserved / sizeof reserved[0];
    for (size_t i = 0; i < count; i++) {
        if (bytes_equal(name, bytes_text(reserved[i]))) {
            return true;
        }
    }
    return false;
}

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static bool is_name(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static int hex_digit(uint8_t c)
{
    if (is_digit(c)) {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static uint8_t peek(const struct lexer *x, size_t ahead)
{
    return x->at + ahead < x->size ? x->text[x->at + ahead] : 0;
}

/* The text is UTF-8 with line feeds and without any other control character. */
static void check_text(struct compile *c)
{
    if (c->text.size > CONTRACT_BYTES_MAX) {
        compile_fail_at(c, 0, "a contract has at most %d bytes", CONTRACT_BYTES_MAX);
    }
    const uint8_t *t = c->text.data;
    for (size_t i = 0; i < c->text.size && !c->bare; i++) {
        if ((t[i] < 0x20 && t[i] != '\n') || t[i] == 0x7F) {
            compile_fail_at(c, i,
                            "a contract has no tabs, carriage returns or other control "
                            "characters; this one is %02x",
                            t[i]);
        }
        if (i + 2 < c->text.size && memcmp(t + i, "\xEF\xBB\xBF", 3) == 0) {
            compile_fail_at(c, i, "a contract has no byte order mark");
        }
        if (t[i] == 0xC2 && i + 1 < c->text.size && t[i + 1] >= 0x80 && t[i + 1] <= 0x9F) {
            compile_fail_at(c, i, "a contract has no control characters");
        }
    }
    if (!utf8_valid(c->text)) {
        size_t good = 0; /* the longest valid beginning, by halves of what is left */
        for (size_t step = c->text.size; step > 0; step /= 2) {
            while (good + step <= c->text.size && utf8_valid(bytes_of(t, good + step))) {
                good += step;
            }
        }
        compile_fail_at(c, good, "the text is not UTF-8 here");
    }
}

/* Blanks, line ends and comments. */
static void skip_blank(struct lexer *x)
{
    for (; x->at < x->size; x->at++) {
        if (x->text[x->at] == '\n') {
            x->line++;
            x->line_at = x->at + 1;
            x->column_at = x->line_at;
            x->column = 1;
        } else if (x->text[x->at] == '/' && peek(x, 1) == '/') {
            while (x->at + 1 < x->size && x->text[x->at + 1] != '\n') {
                x->at++;
            }
        } else if (x->text[x->at] != ' ' &&
                   !(x->c->bare && memchr("\t\r\f", x->text[x->at], 3) != NULL)) {
            return;
        }
    }
}

/* The column of the present octet, counted on from the last token of the line. */
static uint32_t column(struct lexer *x)
{
    for (; x->column_at < x->at; x->column_at++) {
        x->column += (x->text[x->column_at] & 0xC0) != 0x80;
    }
    return x->column;
}

static void put_octet(struct lexer *x, uint32_t octet)
{
    require(octet <= 0xFF);
    x->decoded[x->decoded_size++] = (uint8_t)octet;
}

static void put_point(struct lexer *x, uint32_t v)
{
    if (v < 0x80) {
        put_octet(x, v);
    } else if (v < 0x800) {
        put_octet(x, 0xC0 | v >> 6);
        put_octet(x, 0x80 | (v & 0x3F));
    } else if (v < 0x10000) {
        put_octet(x, 0xE0 | v >> 12);
        put_octet(x, 0x80 | (v >> 6 & 0x3F));
        put_octet(x, 0x80 | (v & 0x3F));
    } else {
        put_octet(x, 0xF0 | v >> 18);
        put_octet(x, 0x80 | (v >> 12 & 0x3F));
        put_octet(x, 0x80 | (v >> 6 & 0x3F));
        put_octet(x, 0x80 | (v & 0x3F));
    }
}

/* count digits of a base, after the letter of an escape. */
static uint32_t escape_digits(struct lexer *x, size_t count, uint32_t base)
{
    uint32_t v = 0;
    for (size_t i = 0; i < count; i++, x->at++) {
        int d = x->at < x->size ? hex_digit(x->text[x->at]) : -1;
        if (d < 0 || (uint32_t)d >= base) {
            compile_fail_at(x->c, x->at, "this escape needs %zu %s digits", count,
                            base == 8 ? "octal" : "hexadecimal");
        }
        v = v * base + (uint32_t)d;
    }
    return v;
}

static void escape_number(struct lexer *x, uint8_t letter, bool octets)
{
    size_t start = x->at;
    uint32_t v = 0;
    if (letter >= '0' && letter <= '3') {
        x->at--;
        v = escape_digits(x, 3, 8);
    } else if (letter == 'x' || letter == 'X') {
        v = escape_digits(x, 2, 16);
    } else if ((letter == 'u' || letter == 'U') && !octets) {
        v = escape_digits(x, letter == 'u' ? 4 : 8, 16);
    } else {
        compile_fail_at(x->c, start - 1, "unknown escape \\%c", letter);
    }
    if (octets) {
        put_octet(x, v);
    } else if (v > 0x10FFFF || (v >= 0xD800 && v <= 0xDFFF)) {
        compile_fail_at(x->c, start, "this escape names no character");
    } else {
        put_point(x, v);
    }
}

/* x->at stands behind the backslash. */
static void escape(struct lexer *x, bool octets)
{
    static const char letters[] = "abfnrtv\\?\"'`";
    static const char values[] = "\a\b\f\n\r\t\v\\?\"'`";
    uint8_t letter = peek(x, 0);
    x->at++;
    const char *found = letter == 0 ? NULL : strchr(letters, letter);
    if (found != NULL) {
        put_octet(x, (uint8_t)values[found - letters]);
        return;
    }
    escape_number(x, letter, octets);
}

/* A string whose quote begins at x->at. */
static void lex_string(struct lexer *x, struct token *t, bool raw, bool octets)
{
    size_t start = x->at;
    uint8_t quote = x->text[x->at];
    bool triple = peek(x, 1) == quote && peek(x, 2) == quote;
    size_t width = triple ? 3 : 1;
    x->at += width;
    x->decoded_size = 0;
    for (;;) {
        if (x->at >= x->size || (!triple && x->text[x->at] == '\n')) {
            compile_fail_at(x->c, start, "this text is not closed");
        }
        uint8_t c = x->text[x->at];
        if (c == quote && (!triple || (peek(x, 1) == quote && peek(x, 2) == quote))) {
            break;
        }
        x->at++;
        if (c == '\\' && !raw) {
            escape(x, octets);
            continue;
        }
        if (c == '\n') {
            x->line++;
            x->line_at = x->at;
            x->column_at = x->at;
            x->column = 1;
        }
        put_octet(x, c);
    }
    x->at += width;
    t->kind = octets ? TOKEN_BYTES : TOKEN_STRING;
    uint8_t *text = compile_new(x->c, x->decoded_size + 1, 1);
    memcpy(text, x->decoded, x->decoded_size);
    t->text = bytes_of(text, x->decoded_size);
}

static void lex_number(struct lexer *x, struct token *t)
{
    size_t start = x->at;
    bool hex = peek(x, 0) == '0' && (peek(x, 1) == 'x' || peek(x, 1) == 'X');
    t->kind = TOKEN_INT;
    x->at += hex ? 2 : 0;
    size_t digits = x->at;
    bool large = false;
    for (; x->at < x->size; x->at++) {
        int d = hex_digit(x->text[x->at]);
        if (d < 0 || (!hex && d > 9)) {
            break;
        }
        large |= __builtin_mul_overflow(t->number, hex ? 16U : 10U, &t->number);
        large |= __builtin_add_overflow(t->number, (unsigned)d, &t->number);
    }
    if (x->at == digits) {
        compile_fail_at(x->c, start, "a hexadecimal number needs digits");
    }
    if (!hex && peek(x, 0) == '.' && is_digit(peek(x, 1))) {
        t->kind = TOKEN_DECIMAL;
        for (x->at++; is_digit(peek(x, 0)); x->at++) {
        }
    } else if (large || t->number > UINT64_C(1) << 63) {
        compile_fail_at(x->c, start, "this number is larger than 64 bits allow");
    }
    if (is_name(peek(x, 0))) {
        compile_fail_at(x->c, x->at, "a space must stand between a number and a word");
    }
    t->text = bytes_of(x->text + start, x->at - start);
}

static void lex_operator(struct lexer *x, struct token *t)
{
    static const char *const doubles[] = {"&&", "||", "==", "!=", "<=", ">="};
    size_t size = 1;
    for (size_t i = 0; i < sizeof doubles / sizeof doubles[0]; i++) {
        if (peek(x, 0) == (uint8_t)doubles[i][0] && peek(x, 1) == (uint8_t)doubles[i][1]) {
            size = 2;
        }
    }
    uint8_t c = x->text[x->at];
    if (size == 1 && (c >= 0x80 || strchr("{}[]()<>=!?:,.+-*/%|", c) == NULL)) {
        compile_fail_at(x->c, x->at, "this character has no meaning here");
    }
    t->kind = TOKEN_OPERATOR;
    t->text = bytes_of(x->text + x->at, size);
    x->at += size;
}

static void lex_one(struct lexer *x, struct token *t)
{
    uint8_t c = peek(x, 0);
    uint8_t d = peek(x, 1);
    uint8_t e = peek(x, 2);
    bool octets = c == 'b' || c == 'B';
    size_t prefix = octets ? 1 : 0;
    uint8_t after = octets ? d : c;
    bool raw = after == 'r' || after == 'R';
    prefix += raw ? 1 : 0;
    uint8_t quote = prefix == 0 ? c : prefix == 1 ? d : e;
    if (quote == '"' || quote == '\'') {
        x->at += prefix;
        lex_string(x, t, raw, octets);
    } else if (is_name(c)) {
        size_t start = x->at;
        while (is_name(peek(x, 0)) || is_digit(peek(x, 0))) {
            x->at++;
        }
        t->kind = TOKEN_NAME;
        t->text = bytes_of(x->text + start, x->at - start);
        if (t->text.size > RULES_NAME_MAX) {
            compile_fail_at(x->c, start, "a name has at most %d characters", RULES_NAME_MAX);
        }
    } else if (is_digit(c)) {
        lex_number(x, t);
    } else {
        lex_operator(x, t);
    }
}

void lex_run(struct compile *c)
{
    require(c->tokens == NULL);
    check_text(c);
    struct lexer x = {.c = c, .text = c->text.data, .size = c->text.size, .line = 1, .column = 1};
    x.decoded = compile_new(c, c->text.size + 1, 1); /* no escape is shorter than what it means */
    size_t capacity = 0;
    for (;;) {
        skip_blank(&x);
        if (c->token_count == capacity) {
            capacity = capacity == 0 ? 256 : capacity * 2;
            struct token *more = compile_new(c, capacity, sizeof *more);
            if (c->token_count > 0) {
                memcpy(more, c->tokens, c->token_count * sizeof *more);
            }
            c->tokens = more;
        }
        struct token *t = &c->tokens[c->token_count++];
        t->offset = (uint32_t)x.at;
        t->line = x.line;
        t->column = column(&x);
        if (x.at >= x.size) {
            return;
        }
        lex_one(&x, t);
        t->size = (uint32_t)x.at - t->offset;
    }
}
