#include "cli/csv.h"

#include "base/require.h"

void csv_init(struct csv *c, const char *file, struct bytes text)
{
    bool bom = bytes_has_prefix(text, bytes_of("\xef\xbb\xbf", 3));
    *c = (struct csv){.file = file, .text = text, .at = bom ? 3 : 0, .line = 0};
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

bool csv_next_line(struct csv *c)
{
    while (c->at < c->text.size) {
        const uint8_t *begin = c->text.data + c->at;
        const uint8_t *end = memchr(begin, '\n', c->text.size - c->at);
        size_t size = end == NULL ? c->text.size - c->at : (size_t)(end - begin);
        size_t blanks = 0;
        c->line++;
        c->line_begin = c->at;
        while (blanks < size && is_blank(begin[blanks])) {
            blanks++;
        }
        if (blanks < size) {
            return true;
        }
        c->at += size + (end != NULL);
    }
    return false;
}

static size_t line_end(const struct csv *c)
{
    const uint8_t *end = memchr(c->text.data + c->at, '\n', c->text.size - c->at);
    return end == NULL ? c->text.size : (size_t)(end - c->text.data);
}

err csv_next_field(struct csv *c, struct csv_field *ret, struct errtext *reterr)
{
    const uint8_t *t = c->text.data;
    size_t begin = c->at;
    size_t end = begin;
    size_t stop = line_end(c);
    require(c->line > 0);
    while (end < stop && t[end] != ',') {
        end++;
    }
    ret->last = end == stop;
    c->at = end < c->text.size ? end + 1 : end;
    while (begin < end && is_blank(t[begin])) {
        begin++;
    }
    while (end > begin && is_blank(t[end - 1])) {
        end--;
    }
    ret->column = begin - c->line_begin + 1;
    ret->text = bytes_of(t + begin, end - begin);
    if (ret->text.size > 0 && memchr(ret->text.data, '"', ret->text.size) != NULL) {
        bool whole = ret->text.size >= 2 && t[begin] == '"' && t[end - 1] == '"';
        ret->text = bytes_of(t + begin + 1, whole ? ret->text.size - 2 : 0);
        if (!whole || memchr(ret->text.data, '"', ret->text.size) != NULL) {
            return csv_fail(c, ret, reterr, "quotes stand around a whole field, without commas");
        }
    }
    return err_ok();
}

err csv_fail(const struct csv *c, const struct csv_field *f, struct errtext *reterr,
             const char *what)
{
    return err_fail(reterr, ERR_INVALID, "%s:%zu:%zu: %s", c->file, c->line, f->column, what);
}

err csv_fail_text(const struct csv *c, const struct csv_field *f, struct errtext *reterr,
                  const char *what)
{
    int size = f->text.size > 40 ? 40 : (int)f->text.size;
    return err_fail(reterr, ERR_INVALID, "%s:%zu:%zu: %s: '%.*s'", c->file, c->line, f->column,
                    what, size, (const char *)f->text.data);
}
