/* One compilation: its arena, its lists, its one error (section 15). */
#include "rules/compile.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "base/require.h"
#include "base/utf8.h"

/* The line around an octet, and its number and column. */
static void locate(struct compile *c, size_t offset, struct rules_diag *d)
{
    require(offset <= c->text.size);
    size_t begin = 0;
    d->line = 1;
    for (size_t i = 0; i < offset; i++) {
        if (c->text.data[i] == '\n') {
            begin = i + 1;
            d->line++;
        }
    }
    size_t end = offset;
    while (end < c->text.size && c->text.data[end] != '\n') {
        end++;
    }
    d->column = 1;
    for (size_t i = begin; i < offset; i++) {
        d->column += (c->text.data[i] & 0xC0) != 0x80; /* continuation octets of UTF-8 */
    }
    size_t size = end - begin;
    size_t room = sizeof d->source - 1;
    if (size > room) {
        size = room;
        while (size > 0 && (c->text.data[begin + size] & 0xC0) == 0x80) {
            size--;
        }
    }
    memcpy(d->source, c->text.data + begin, size);
    d->source[size] = '\0';
}

static _Noreturn void stop(struct compile *c, size_t offset, enum err_code code)
{
    locate(c, offset, c->diag);
    c->code = code;
    longjmp(c->fail, 1);
}

void compile_fail(struct compile *c, uint32_t token, const char *fmt, ...)
{
    require(token < c->token_count);
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(c->diag->message, sizeof c->diag->message, fmt, args);
    va_end(args);
    stop(c, c->tokens[token].offset, ERR_INVALID);
}

void compile_fail_at(struct compile *c, size_t offset, const char *fmt, ...)
{
    require(c != NULL);
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(c->diag->message, sizeof c->diag->message, fmt, args);
    va_end(args);
    stop(c, offset, ERR_INVALID);
}

void *compile_new(struct compile *c, size_t count, size_t size)
{
    void *memory = arena_try(c->arena, count, size);
    if (memory == NULL) {
        (void)snprintf(c->diag->message, sizeof c->diag->message,
                       "the contract is too large to be compiled");
        stop(c, 0, ERR_LIMIT);
    }
    return memory;
}

struct bytes compile_printf(struct compile *c, const char *fmt, ...)
{
    require(fmt != NULL);
    va_list args;
    va_start(args, fmt);
    va_list again;
    va_copy(again, args);
    int size = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    require(size >= 0);
    char *text = compile_new(c, (size_t)size + 1, 1);
    (void)vsnprintf(text, (size_t)size + 1, fmt, again);
    va_end(again);
    return bytes_of(text, (size_t)size);
}

void compile_push(struct compile *c, struct pointers *list, void *item)
{
    require(list->count <= list->capacity);
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? 4 : list->capacity * 2;
        void **at = compile_new(c, capacity, sizeof *at);
        if (list->count > 0) {
            memcpy(at, list->at, list->count * sizeof *at);
        }
        list->at = at;
        list->capacity = capacity;
    }
    list->at[list->count++] = item;
}

void rules_diag_print(const struct rules_diag *diag, const char *file, struct buf *out)
{
    require(diag != NULL);
    require(file != NULL);
    buf_printf(out, "%s:%u:%u: %s\n%5u | %s\n      | ", file, diag->line, diag->column,
               diag->message, diag->line, diag->source);
    for (uint32_t i = 1; i < diag->column && i < sizeof diag->source; i++) {
        buf_put_u8(out, ' ');
    }
    buf_put_text(out, "^\n");
}
