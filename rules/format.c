/* The common layout of texts; tokens and so the code hash stay (13.4). */
#include "rules/format.h"

#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/require.h"
#include "base/utf8.h"
#include "rules/compile.h"
#include "rules/program.h"

enum {
    BLOCK_INDENT = 2,
    CONTINUED_INDENT = 4,
    COMMENT_GAP = 2,      /* at least, before a comment behind code */
    COMMENT_PAD_MAX = 40, /* a longer line beside short ones does not push their comments away */
    OPEN_MAX = 256,       /* brackets: nesting of blocks and of expressions together */
};

/* A line of the new text. */
struct line {
    size_t first, last;   /* tokens [first, last); none: a comment alone, or an empty line */
    struct bytes comment; /* from "//" on; empty if none */
    size_t indent;
    size_t anchor;     /* token before which a declaration is padded; 0: none */
    size_t pad, width; /* blanks before the anchor; characters of the code */
    size_t gap;        /* blanks before the comment behind code */
    bool starts;       /* a statement or declaration begins here */
};

struct format {
    const struct rules_program *p;
    const struct token *tokens;
    struct bytes text;
    struct arena arena;
    struct line *lines;
    size_t count, capacity;
    struct buf *out;
};

/* ---- lines: what stood on one line stays on one ---- */

static struct line *add_line(struct format *f, size_t first)
{
    if (f->count == f->capacity) {
        size_t capacity = f->capacity == 0 ? 256 : f->capacity * 2;
        struct line *lines = arena_new(&f->arena, capacity, sizeof *lines);
        if (f->count > 0) {
            memcpy(lines, f->lines, f->count * sizeof *lines);
        }
        f->lines = lines;
        f->capacity = capacity;
    }
    struct line *l = &f->lines[f->count++];
    *l = (struct line){.first = first, .last = first};
    return l;
}

static struct bytes comment_at(const struct format *f, size_t at)
{
    size_t end = at;
    while (end < f->text.size && f->text.data[end] != '\n') {
        end++;
    }
    while (end > at && f->text.data[end - 1] == ' ') {
        end--;
    }
    return bytes_of(f->text.data + at, end - at);
}

/* Blanks, line ends and comments from `at` up to token i. */
static void split_gap(struct format *f, size_t at, size_t i)
{
    struct line *l = f->count == 0 ? add_line(f, 0) : &f->lines[f->count - 1];
    while (at < f->tokens[i].offset) {
        if (f->text.data[at] == '\n') {
            l = add_line(f, i);
            at++;
        } else if (f->text.data[at] == '/') {
            l->comment = comment_at(f, at);
            while (at < f->text.size && f->text.data[at] != '\n') {
                at++;
            }
        } else {
            at++;
        }
    }
}

static void split_lines(struct format *f)
{
    size_t at = 0;
    for (size_t i = 0; i < f->p->token_count; i++) {
        split_gap(f, at, i);
        at = (size_t)f->tokens[i].offset + f->tokens[i].size;
        if (f->tokens[i].kind != TOKEN_END) {
            f->lines[f->count - 1].last = i + 1;
        }
    }
}

/* ---- blanks between two words ---- */

static bool word_in(const struct token *t, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (token_is(t, words[i])) {
            return true;
        }
    }
    return false;
}

/* 'table', 'uses' or 'account' before the name before the bracket: a declaration. */
static bool declares_keys(const struct format *f, size_t bracket)
{
    static const char *const words[] = {"table", "uses", "account"};
    return bracket >= 2 && word_in(&f->tokens[bracket - 2], words, 3) &&
           (bracket < 3 || !token_is(&f->tokens[bracket - 3], "."));
}

static bool is_reserved(const struct token *t)
{
    return t->kind == TOKEN_NAME && lex_reserved(false, t->text) && !token_is(t, "round");
}

/* A bracket behind a name or another bracket: of a call, of keys. */
static bool belongs_to(const struct format *f, size_t i)
{
    const struct token *a = &f->tokens[i - 1];
    bool of_name =
        a->kind == TOKEN_NAME && (!is_reserved(a) || (i >= 2 && token_is(&f->tokens[i - 2], ".")));
    if (token_is(&f->tokens[i], "(")) {
        return of_name;
    }
    return (of_name && !declares_keys(f, i)) || token_is(a, ")") || token_is(a, "]");
}

/* Does a blank stand between token i - 1 and token i? */
static bool blank_before(const struct format *f, size_t i)
{
    static const char *const no_blank_before[] = {",", ")", "]", "."};
    static const char *const no_blank_after[] = {"(", "[", "."};
    const struct token *a = &f->tokens[i - 1];
    const struct token *b = &f->tokens[i];
    if (a->role == ROLE_SIGN || a->role == ROLE_JOINED || b->role == ROLE_JOINED ||
        b->role == ROLE_CLOSING || b->role == ROLE_NAMED) {
        return false;
    }
    if (a->role == ROLE_NAMED && token_is(a, "{")) {
        return false;
    }
    if (word_in(b, no_blank_before, 4) || word_in(a, no_blank_after, 3)) {
        return false;
    }
    if (token_is(b, ":")) {
        return b->role == ROLE_CHOICE;
    }
    if (token_is(b, "(") || token_is(b, "[")) {
        return !belongs_to(f, i);
    }
    return !(token_is(a, "{") && token_is(b, "}"));
}

/* ---- indentation ---- */

struct open {
    size_t indent; /* of the statement it stands in */
    bool block;    /* lines inside begin statements or fields */
};

struct nesting {
    struct open at[OPEN_MAX];
    size_t depth;
    size_t base; /* indentation of the present statement */
};

/* Which words begin a statement, a step or a declaration. */
static bool starts_statement(const struct format *f, size_t i)
{
    static const char *const words[] = {
        "rules",   "contract",  "measure",  "party",    "term",  "record",  "table", "uses",
        "account", "on",        "test",     "clause",   "let",   "require", "if",    "for",
        "tally",   "apportion", "clear",    "transfer", "issue", "retire",  "set",   "add",
        "remove",  "emit",      "schedule", "given",    "when",  "then"};
    const struct token *t = &f->tokens[i];
    if (token_is(t, "wait")) {
        return t[1].kind == TOKEN_NAME && !token_is(&t[1], "in");
    }
    return word_in(t, words, sizeof words / sizeof words[0]);
}

/* A part that stands as deep as the statement to which it belongs. */
static bool stands_level(const struct format *f, size_t i, bool outside)
{
    const struct token *t = &f->tokens[i];
    if (token_is(t, "else")) {
        return t[1].kind != TOKEN_STRING;
    }
    bool title = outside && t->kind == TOKEN_STRING && i >= 3 && t->silent &&
                 !token_is(&f->tokens[i - 1], "test") && !token_is(&f->tokens[i - 2], "clause");
    return title || ((token_is(t, "buyers") || token_is(t, "sellers")) && t[1].role == ROLE_BLOCK);
}

static void indent_line(const struct format *f, struct nesting *n, struct line *l)
{
    const struct open *in = n->depth == 0 ? NULL : &n->at[n->depth - 1];
    size_t inside = in == NULL ? 0 : in->indent + (in->block ? BLOCK_INDENT : CONTINUED_INDENT);
    bool level = in == NULL || in->block;
    if (l->first == l->last) {
        l->indent = inside;
    } else if (token_is(&f->tokens[l->first], "}") && level) {
        l->indent = in == NULL ? 0 : in->indent;
    } else if (!level) {
        l->indent = inside;
    } else if (starts_statement(f, l->first)) {
        l->indent = inside;
        l->starts = true;
        n->base = inside;
    } else {
        bool field = in != NULL && f->tokens[l->first].kind == TOKEN_NAME &&
                     (token_is(&f->tokens[l->first + 1], ":") ||
                      f->tokens[l->first + 1].role == ROLE_CLOSING);
        l->indent =
            field || stands_level(f, l->first, in == NULL) ? inside : inside + CONTINUED_INDENT;
    }
}

static void follow_brackets(const struct format *f, struct nesting *n, const struct line *l)
{
    for (size_t i = l->first; i < l->last; i++) {
        const struct token *t = &f->tokens[i];
        if (i > l->first && starts_statement(f, i) && !token_is(&f->tokens[i - 1], ".") &&
            (n->depth == 0 || n->at[n->depth - 1].block)) {
            n->base = n->depth == 0 ? 0 : n->at[n->depth - 1].indent + BLOCK_INDENT;
        }
        if (token_is(t, "(") || token_is(t, "[") || token_is(t, "{")) {
            require(n->depth < OPEN_MAX);
            bool block = t->role == ROLE_BLOCK || (token_is(t, "{") && i + 1 == l->last);
            n->at[n->depth++] = (struct open){n->base, block};
        } else if ((token_is(t, ")") || token_is(t, "]") || token_is(t, "}")) && n->depth > 0) {
            n->depth--;
            n->base = n->at[n->depth].indent;
        }
    }
}

/* ---- columns ---- */

static size_t points(struct bytes text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.size; i++) {
        count += (text.data[i] & 0xC0) != 0x80;
    }
    return count;
}

static struct bytes token_text(const struct format *f, size_t i)
{
    return bytes_of(f->text.data + f->tokens[i].offset, f->tokens[i].size);
}

/* Characters of tokens [first, last) and the blanks between them; of a text over several lines
 * those after its last line feed would count, but such a line carries no columns. */
static size_t width_of(const struct format *f, size_t first, size_t last)
{
    size_t width = 0;
    for (size_t i = first; i < last; i++) {
        width += (i > first && blank_before(f, i)) + points(token_text(f, i));
    }
    return width;
}

/* The token of a declaration that stands in a column with those of its neighbours; 0: none. */
static size_t find_anchor(const struct format *f, const struct line *l)
{
    const struct token *t = &f->tokens[l->first];
    const char *what = token_is(t, "measure") ? "to" : "=";
    bool assigned = token_is(t, "measure") || token_is(t, "party") || token_is(t, "term");
    if (l->indent > 0 || !l->starts) {
        return 0;
    }
    if (declares_keys(f, l->first + 2) && l->first + 2 < l->last) {
        return token_is(&t[2], "[") ? l->first + 2 : 0;
    }
    for (size_t i = l->first; assigned && i < l->last; i++) {
        if (token_is(&f->tokens[i], what)) {
            return i;
        }
    }
    return 0;
}

static bool is_empty(const struct line *l)
{
    return l->first == l->last;
}

/* Pads the declarations of one word that follow each other; returns the first line behind. */
static size_t align_declarations(struct format *f, size_t from)
{
    size_t widest = 0;
    size_t end = from;
    for (; end < f->count && !is_empty(&f->lines[end]); end++) {
        struct line *l = &f->lines[end];
        if (l->starts &&
            !bytes_equal(f->tokens[l->first].text, f->tokens[f->lines[from].first].text)) {
            break;
        }
        l->anchor = find_anchor(f, l);
        size_t width = l->anchor == 0 ? 0 : width_of(f, l->first, l->anchor);
        widest = width > widest ? width : widest;
    }
    for (size_t i = from; i < end; i++) {
        struct line *l = &f->lines[i];
        l->pad = l->anchor == 0 ? 0 : widest - width_of(f, l->first, l->anchor);
        l->width = l->indent + width_of(f, l->first, l->last) + l->pad;
    }
    return end > from ? end : from + 1;
}

/* Comments behind lines that follow each other stand in one column. */
static size_t align_comments(struct format *f, size_t from)
{
    size_t widest = 0;
    size_t end = from;
    for (; end < f->count && !is_empty(&f->lines[end]) && f->lines[end].comment.size > 0; end++) {
        size_t width = f->lines[end].width;
        widest = width > widest ? width : widest;
    }
    for (size_t i = from; i < end; i++) {
        size_t pad = widest - f->lines[i].width;
        f->lines[i].gap = COMMENT_GAP + (pad > COMMENT_PAD_MAX ? 0 : pad);
    }
    return end > from ? end : from + 1;
}

/* ---- writing ---- */

static void put_blanks(struct buf *out, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        buf_put_u8(out, ' ');
    }
}

static void put_line(struct format *f, const struct line *l)
{
    put_blanks(f->out, l->indent);
    for (size_t i = l->first; i < l->last; i++) {
        put_blanks(f->out, i > l->first && blank_before(f, i) ? 1 : 0);
        put_blanks(f->out, i == l->anchor ? l->pad : 0);
        buf_put_bytes(f->out, token_text(f, i));
    }
    if (l->comment.size > 0) {
        put_blanks(f->out, is_empty(l) ? 0 : l->gap);
        buf_put_bytes(f->out, l->comment);
    }
    buf_put_u8(f->out, '\n');
}

/* All lines; of empty ones at most one in a row, none at either end. */
static void put_lines(struct format *f)
{
    bool wanted = false;
    bool any = false;
    for (size_t i = 0; i < f->count; i++) {
        const struct line *l = &f->lines[i];
        if (is_empty(l) && l->comment.size == 0) {
            wanted = any;
            continue;
        }
        if (wanted) {
            buf_put_u8(f->out, '\n');
        }
        wanted = false;
        any = true;
        put_line(f, l);
    }
}

err rules_format(const struct rules_program *program, struct buf *out, struct errtext *reterr)
{
    require(program != NULL);
    require(out != NULL);
    struct format f = {
        .p = program, .tokens = program->tokens, .text = program->facts.text, .out = out};
    struct nesting n = {.depth = 0};
    size_t before = out->size;
    arena_init(&f.arena, RULES_COMPILE_ARENA_MAX);
    split_lines(&f);
    for (size_t i = 0; i < f.count; i++) {
        indent_line(&f, &n, &f.lines[i]);
        follow_brackets(&f, &n, &f.lines[i]);
    }
    for (size_t i = 0; i < f.count; i = align_declarations(&f, i)) {
    }
    for (size_t i = 0; i < f.count; i = align_comments(&f, i)) {
    }
    put_lines(&f);
    arena_done(&f.arena);
    return !out->overflow && out->size - before <= CONTRACT_BYTES_MAX
               ? err_ok()
               : err_fail(reterr, ERR_LIMIT, "the text would be longer than %d bytes",
                          CONTRACT_BYTES_MAX);
}
