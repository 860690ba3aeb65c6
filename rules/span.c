/* From a line of a trace back to the words of the text. */
#include "rules/span.h"

#include "base/limits.h"
#include "base/require.h"

static bool opens(const struct token *t)
{
    return token_is(t, "(") || token_is(t, "[") || token_is(t, "{");
}

static bool closes(const struct token *t)
{
    return token_is(t, ")") || token_is(t, "]") || token_is(t, "}");
}

/* Does a statement's expression end before token i, which is outside all brackets? */
static bool ends_expression(const struct rules_program *p, size_t i)
{
    static const char *const words[] = {
        "clause", "let",    "require", "if",  "for",  "tally",    "apportion", "clear", "transfer",
        "issue",  "retire", "set",     "add", "emit", "schedule", "remove",    "else",
    };
    const struct token *t = &p->tokens[i];
    if (t->kind == TOKEN_END || t->role == ROLE_BLOCK || closes(t)) {
        return true;
    }
    for (size_t w = 0; w < sizeof words / sizeof words[0]; w++) {
        if (token_is(t, words[w]) && !token_is(t - 1, ".")) {
            return true;
        }
    }
    return false;
}

struct span span_condition(const struct rules_program *p, size_t i)
{
    require(i + 1 < p->token_count);
    size_t end = i + 1;
    for (size_t depth = 0; depth > 0 || !ends_expression(p, end); end++) {
        if (p->tokens[end].kind == TOKEN_END) {
            break;
        }
        depth += opens(&p->tokens[end]);
        depth -= closes(&p->tokens[end]);
    }
    return (struct span){i + 1, end};
}

/* The token behind the bracket that closes the one at `at`. */
static size_t behind_bracket(const struct rules_program *p, size_t at, size_t last)
{
    size_t depth = 0;
    for (; at < last; at++) {
        depth += opens(&p->tokens[at]);
        depth -= closes(&p->tokens[at]);
        if (depth == 0) {
            return at + 1;
        }
    }
    return last;
}

/* No || and no choice outside brackets: the && there are those of the condition. */
static bool is_conjunction(const struct rules_program *p, struct span s)
{
    for (size_t i = s.first; i < s.last; i++) {
        if (opens(&p->tokens[i])) {
            i = behind_bracket(p, i, s.last) - 1;
        } else if (token_is(&p->tokens[i], "||") || token_is(&p->tokens[i], "?")) {
            return false;
        }
    }
    return true;
}

/* Takes off parentheses around the whole. */
static struct span strip(const struct rules_program *p, struct span s)
{
    while (s.last > s.first + 2 && token_is(&p->tokens[s.first], "(") &&
           behind_bracket(p, s.first, s.last) == s.last) {
        s.first++;
        s.last--;
    }
    return s;
}

/* The end of the first conjunct outside brackets. */
static size_t first_end(const struct rules_program *p, struct span s)
{
    size_t i = s.first;
    while (i < s.last && !token_is(&p->tokens[i], "&&")) {
        i = opens(&p->tokens[i]) ? behind_bracket(p, i, s.last) : i + 1;
    }
    return i;
}

bool span_conjunct(const struct rules_program *p, struct span condition, uint32_t index,
                   struct span *ret)
{
    struct span open[RULES_NESTING_MAX + 1] = {condition}; /* what is left at each depth */
    size_t depth = 1;
    while (depth > 0) {
        struct span rest = open[depth - 1];
        if (rest.first >= rest.last) {
            depth--;
            continue;
        }
        struct span part = {rest.first, is_conjunction(p, rest) ? first_end(p, rest) : rest.last};
        open[depth - 1].first = part.last + 1;
        struct span inner = strip(p, part);
        bool nested = is_conjunction(p, inner) && first_end(p, inner) < inner.last;
        if (nested && depth <= RULES_NESTING_MAX) {
            open[depth++] = inner;
        } else if (index-- == 0) {
            *ret = part;
            return true;
        }
    }
    return false;
}

bool span_statement(const struct rules_program *p, uint32_t line, const char *word, size_t *ret)
{
    bool found = false;
    for (size_t i = 1; i + 1 < p->token_count; i++) {
        const struct token *t = &p->tokens[i];
        bool field = token_is(t - 1, ".") || token_is(t + 1, ":") || token_is(t + 1, "?");
        if (t->line != line || t->silent || field || !token_is(t, word)) {
            continue;
        }
        if (found) {
            return false;
        }
        found = true;
        *ret = i;
    }
    return found;
}

struct bytes span_clause_title(const struct rules_program *p, struct bytes number)
{
    for (size_t i = 0; i + 2 < p->token_count; i++) {
        const struct token *t = &p->tokens[i];
        if (!token_is(t, "clause") || t->silent) {
            continue;
        }
        size_t end = i + 1;
        while (p->tokens[end].kind == TOKEN_INT || p->tokens[end].kind == TOKEN_DECIMAL ||
               token_is(&p->tokens[end], ".")) {
            end++;
        }
        const struct token *last = &p->tokens[end - 1];
        size_t size = (size_t)last->offset + last->size - t[1].offset;
        struct bytes spelled = bytes_of(p->facts.text.data + t[1].offset, end > i + 1 ? size : 0);
        if (p->tokens[end].kind == TOKEN_STRING && bytes_equal(spelled, number)) {
            return p->tokens[end].text;
        }
    }
    return bytes_text("");
}

void span_print(const struct rules_program *p, struct span s, struct buf *out)
{
    require(s.last <= p->token_count);
    for (size_t i = s.first; i < s.last; i++) {
        const struct token *t = &p->tokens[i];
        bool joined = i > s.first && t[-1].offset + t[-1].size == t->offset;
        if (i > s.first && !joined) {
            buf_put_u8(out, ' ');
        }
        buf_put(out, p->facts.text.data + t->offset, t->size);
    }
}
