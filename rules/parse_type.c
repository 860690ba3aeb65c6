/* Types and field lists. */
#include "rules/parse.h"

#include <string.h>

#include "base/limits.h"
#include "base/require.h"

struct type *parse_new_type(struct parser *x, enum type_kind kind, uint32_t size_max)
{
    struct type *t = compile_new(x->c, 1, sizeof *t);
    t->kind = kind;
    t->size_max = size_max;
    t->by = -1;
    return t;
}

static const struct type *parse_words(struct parser *x)
{
    struct pointers words = {0};
    struct type *t = parse_new_type(x, TYPE_STRING, 0);
    do {
        struct bytes *word = compile_new(x->c, 1, sizeof *word);
        *word = parse_string(x, "a word");
        for (size_t i = 0; i < words.count; i++) {
            if (bytes_equal(*(struct bytes *)words.at[i], *word)) {
                compile_fail(x->c, x->at - 1, "this word is there already");
            }
        }
        if (word->size > RULES_TEXT_MAX || words.count == RULES_FIELDS_MAX) {
            compile_fail(x->c, x->at - 1, "at most %d words of at most %d bytes", RULES_FIELDS_MAX,
                         RULES_TEXT_MAX);
        }
        compile_push(x->c, &words, word);
        t->size_max = word->size > t->size_max ? (uint32_t)word->size : t->size_max;
    } while (parse_take(x, "|"));
    struct bytes *list = compile_new(x->c, words.count, sizeof *list);
    for (size_t i = 0; i < words.count; i++) {
        list[i] = *(struct bytes *)words.at[i];
    }
    t->words = list;
    t->word_count = (uint32_t)words.count;
    return t;
}

static const struct type *parse_list_type(struct parser *x)
{
    struct type *t = parse_new_type(x, TYPE_LIST, 0);
    parse_expect(x, "<", "then the type of the items: list<party, max 20>");
    parse_mark(x, ROLE_JOINED);
    t->item = parse_type(x);
    if (parse_take(x, "by")) {
        uint32_t token = x->at;
        struct bytes by = parse_any_name(x, "a field of the items");
        for (uint32_t i = 0; t->item->kind == TYPE_RECORD && i < t->item->field_count; i++) {
            if (bytes_equal(t->item->fields[i].name, by)) {
                t->by = (int32_t)i;
            }
        }
        if (t->by < 0 || !type_is_key(t->item->fields[t->by].type) ||
            t->item->fields[t->by].optional) {
            compile_fail(x->c, token,
                         "'%.*s' is no field of the items by which they can be "
                         "ordered",
                         BYTES_ARG(by));
        }
    }
    parse_expect(x, ",", "then the greatest length: list<party, max 20>");
    parse_expect(x, "max", "then the greatest length: list<party, max 20>");
    t->list_max = (uint32_t)parse_int(x, "the greatest length", RULES_LIST_MAX);
    if (t->list_max == 0) {
        compile_fail(x->c, x->at - 1, "a list has room for one item at least");
    }
    parse_expect(x, ">", "after the greatest length");
    parse_mark(x, ROLE_CLOSING);
    return t;
}

static const struct type *measure_type(struct parser *x, const struct measure *m)
{
    struct type *t = parse_new_type(x, TYPE_AMOUNT, 0);
    t->unit = m->unit;
    t->measure = m;
    return t;
}

static const struct type *parse_unit_type(struct parser *x, uint32_t token)
{
    struct unit unit;
    struct bytes name;
    require(parse_unit(x, &unit, &name));
    for (size_t i = 0; i < x->p->measure_count; i++) {
        if (bytes_equal(x->p->measures[i]->name, name)) {
            return measure_type(x, x->p->measures[i]);
        }
    }
    compile_fail(x->c, token,
                 "%.*s is not a measure of this contract; add a line "
                 "'measure %.*s to …' above",
                 BYTES_ARG(name), BYTES_ARG(name));
}

static uint32_t parse_text_size(struct parser *x, uint32_t standard)
{
    if (!parse_take(x, "(")) {
        return standard;
    }
    uint32_t size = (uint32_t)parse_int(x, "the greatest length", RULES_TEXT_MAX);
    parse_expect(x, ")", "after the greatest length");
    return size;
}

const struct type *parse_type(struct parser *x)
{
    static const struct {
        const char *word;
        enum type_kind kind;
    } plain[] = {{"bool", TYPE_BOOL},           {"int", TYPE_INT},           {"date", TYPE_DATE},
                 {"timestamp", TYPE_TIMESTAMP}, {"duration", TYPE_DURATION}, {"party", TYPE_PARTY}};
    if (++x->nesting > RULES_NESTING_MAX) {
        compile_fail(x->c, x->at, "types nest at most %d deep", RULES_NESTING_MAX);
    }
    struct token *t = parse_peek(x);
    uint32_t token = x->at;
    const struct type *type = NULL;
    struct unit unit;
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++) {
        if (type == NULL && parse_take(x, plain[i].word)) {
            type =
                parse_new_type(x, plain[i].kind, plain[i].kind == TYPE_PARTY ? RULES_PARTY_MAX : 0);
        }
    }
    if (type != NULL) {
    } else if (t->kind == TOKEN_STRING) {
        type = parse_words(x);
    } else if (parse_take(x, "string")) {
        type = parse_new_type(x, TYPE_STRING, parse_text_size(x, 64));
    } else if (parse_take(x, "bytes")) {
        type = parse_new_type(x, TYPE_BYTES, parse_text_size(x, 32));
    } else if (parse_take(x, "list")) {
        type = parse_list_type(x);
    } else if (t->kind == TOKEN_NAME && unit_find(x->c->env->registry, t->text, &unit)) {
        type = parse_unit_type(x, token);
    } else {
        struct bytes name = parse_any_name(x, "a type");
        for (size_t i = 0; i < x->p->record_count; i++) {
            if (bytes_equal(x->p->records[i]->name, name)) {
                type = x->p->records[i]->type;
            }
        }
        if (type == NULL) {
            compile_fail(x->c, token,
                         "there is no type '%.*s'; records and measures are declared "
                         "before they are used",
                         BYTES_ARG(name));
        }
    }
    x->nesting--;
    return type;
}

struct field *parse_fields(struct parser *x, const char *open, const char *close, uint32_t *count)
{
    struct pointers list = {0};
    bool keys = open[0] == '[';
    parse_expect(x, open, keys ? "before the keys" : "before the fields");
    while (!parse_take(x, close)) {
        struct field *f = compile_new(x->c, 1, sizeof *f);
        f->token = x->at;
        f->name = parse_any_name(x, keys ? "the name of a key" : "the name of a field");
        if (f->name.data[0] < 'a' || f->name.data[0] > 'z') {
            compile_fail(x->c, f->token, "a field begins with a small letter");
        }
        if (token_is(&x->c->tokens[f->token], "true") ||
            token_is(&x->c->tokens[f->token], "false") ||
            token_is(&x->c->tokens[f->token], "null") || token_is(&x->c->tokens[f->token], "in")) {
            compile_fail(x->c, f->token, "'%.*s' cannot name a field", BYTES_ARG(f->name));
        }
        f->optional = parse_take(x, "?");
        if (f->optional) {
            parse_mark(x, ROLE_CLOSING);
        }
        if (f->optional && keys) {
            compile_fail(x->c, x->at - 1, "a key is always given; it cannot be optional");
        }
        parse_expect(x, ":", "then the type");
        f->type = parse_type(x);
        if (keys && !type_is_key(f->type)) {
            compile_fail(x->c, f->token,
                         "'%.*s' cannot be a key: amounts, lists and records have "
                         "no place in a key",
                         BYTES_ARG(f->name));
        }
        for (size_t i = 0; i < list.count; i++) {
            if (bytes_equal(((struct field *)list.at[i])->name, f->name)) {
                compile_fail(x->c, f->token, "'%.*s' is there already", BYTES_ARG(f->name));
            }
        }
        if (list.count == (keys ? RULES_KEYS_MAX : RULES_FIELDS_MAX)) {
            compile_fail(x->c, f->token, "at most %d %s", (int)list.count,
                         keys ? "keys" : "fields");
        }
        compile_push(x->c, &list, f);
        if (!token_is(parse_peek(x), close)) {
            parse_expect(x, ",", keys ? "between keys" : "between fields");
            if (open[0] != '{' && token_is(parse_peek(x), close)) {
                compile_fail(x->c, x->at, "another one is expected after the comma");
            }
        }
    }
    if (keys && list.count == 0) {
        compile_fail(x->c, x->at - 1, "a key is expected here");
    }
    struct field *fields = compile_new(x->c, list.count + 1, sizeof *fields);
    for (size_t i = 0; i < list.count; i++) {
        fields[i] = *(struct field *)list.at[i];
    }
    *count = (uint32_t)list.count;
    return fields;
}

/* Scalars, records and lists in a type. Small by induction: every record before was checked. */
uint32_t parse_type_nodes(const struct type *t)
{
    uint32_t nodes = 1;
    while (t->kind == TYPE_LIST) {
        t = t->item;
        nodes++;
    }
    for (uint32_t i = 0; t->kind == TYPE_RECORD && i < t->field_count; i++) {
        nodes += parse_type_nodes(t->fields[i].type);
    }
    return nodes;
}

uint32_t parse_type_depth(const struct type *t)
{
    uint32_t depth = 1;
    uint32_t most = 0;
    while (t->kind == TYPE_LIST) {
        t = t->item;
        depth++;
    }
    for (uint32_t i = 0; t->kind == TYPE_RECORD && i < t->field_count; i++) {
        uint32_t inner = parse_type_depth(t->fields[i].type);
        most = inner > most ? inner : most;
    }
    return depth + most;
}
