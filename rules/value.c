/* Values and types: comparison, equality, size, printing (section 3). */
#include "rules/value.h"

#include "base/limits.h"
#include "base/require.h"

bool type_is_key(const struct type *t)
{
    switch (t->kind) {
    case TYPE_BOOL:
    case TYPE_INT:
    case TYPE_STRING:
    case TYPE_BYTES:
    case TYPE_DATE:
    case TYPE_DURATION:
    case TYPE_TIMESTAMP:
    case TYPE_PARTY:
        return true;
    case TYPE_AMOUNT:
    case TYPE_RATIO:
    case TYPE_RECORD:
    case TYPE_LIST:
        return false;
    }
    return false;
}

static bool words_equal(const struct type *a, const struct type *b)
{
    if (a->word_count != b->word_count) {
        return false;
    }
    for (uint32_t i = 0; i < a->word_count; i++) {
        if (!bytes_equal(a->words[i], b->words[i])) {
            return false;
        }
    }
    return true;
}

static bool records_equal(const struct type *a, const struct type *b)
{
    if (a->field_count != b->field_count || a->key_count != b->key_count || a->row != b->row ||
        !bytes_equal(a->name, b->name)) {
        return false;
    }
    for (uint32_t i = 0; i < a->field_count; i++) {
        if (!bytes_equal(a->fields[i].name, b->fields[i].name) ||
            a->fields[i].optional != b->fields[i].optional ||
            !type_equal(a->fields[i].type, b->fields[i].type)) {
            return false;
        }
    }
    return true;
}

bool type_equal(const struct type *a, const struct type *b)
{
    if (a == b) {
        return true;
    }
    if (a == NULL || b == NULL || a->kind != b->kind) {
        return false;
    }
    switch (a->kind) {
    case TYPE_STRING:
        return a->size_max == b->size_max && words_equal(a, b);
    case TYPE_BYTES:
        return a->size_max == b->size_max;
    case TYPE_AMOUNT:
    case TYPE_RATIO:
        /* bases are numbered by each registry alike: a ledger has one */
        return dim_equal(&a->unit.dim, &b->unit.dim) &&
               num_scale_equal(a->unit.scale, b->unit.scale);
    case TYPE_RECORD:
        return records_equal(a, b);
    case TYPE_LIST:
        return a->list_max == b->list_max && a->by == b->by && type_equal(a->item, b->item);
    case TYPE_BOOL:
    case TYPE_INT:
    case TYPE_DATE:
    case TYPE_DURATION:
    case TYPE_TIMESTAMP:
    case TYPE_PARTY:
        return true;
    }
    return false;
}

static void print_words(const struct type *t, struct buf *out)
{
    for (uint32_t i = 0; i < t->word_count; i++) {
        buf_printf(out, "%s%.*s", i == 0 ? "" : ", ", (int)t->words[i].size,
                   (const char *)t->words[i].data);
    }
}

static void print_list(const struct type *t, const struct rules_registry *r, struct buf *out)
{
    if (t->item == NULL) {
        buf_put_text(out, "an empty list");
        return;
    }
    buf_put_text(out, "list<");
    type_print(t->item, r, out);
    if (t->by >= 0) {
        buf_put_text(out, " by ");
        buf_put_bytes(out, t->item->fields[t->by].name);
    }
    buf_printf(out, ", max %u>", t->list_max);
}

void type_print(const struct type *t, const struct rules_registry *r, struct buf *out)
{
    static const char *const names[] = {"bool", "int",      "string",    "bytes",
                                        "date", "duration", "timestamp", "party"};
    switch (t->kind) {
    case TYPE_STRING:
        if (t->words != NULL) {
            print_words(t, out);
            return;
        }
        buf_printf(out, "string(%u)", t->size_max);
        return;
    case TYPE_BYTES:
        buf_printf(out, "bytes(%u)", t->size_max);
        return;
    case TYPE_AMOUNT:
    case TYPE_RATIO:
        if (t->measure != NULL) {
            buf_put_bytes(out, t->measure->name);
        } else {
            dim_print(r, &t->unit.dim, out);
        }
        return;
    case TYPE_RECORD:
        buf_put_text(out, t->row ? "a row of " : "");
        buf_put_bytes(out, t->name.size > 0 ? t->name : bytes_text("a record"));
        return;
    case TYPE_LIST:
        print_list(t, r, out);
        return;
    case TYPE_BOOL:
    case TYPE_INT:
    case TYPE_DATE:
    case TYPE_DURATION:
    case TYPE_TIMESTAMP:
    case TYPE_PARTY:
        buf_put_text(out, names[t->kind]);
        return;
    }
}

int value_compare(const struct type *t, struct value a, struct value b)
{
    if (t->kind == TYPE_TIMESTAMP) {
        return civil_time_compare(a.as.time, b.as.time);
    }
    if (type_is_text(t)) {
        return bytes_compare(a.as.text, b.as.text);
    }
    if (t->kind == TYPE_BOOL) {
        return (int)a.as.truth - (int)b.as.truth;
    }
    require(t->kind != TYPE_RECORD);
    require(t->kind != TYPE_LIST);
    require(t->kind != TYPE_RATIO);
    return (a.as.number > b.as.number) - (a.as.number < b.as.number);
}

/* Recursion follows the type, whose nesting the parser limits. */
bool value_equal(const struct type *t, struct value a, struct value b)
{
    if (!a.present || !b.present) {
        return a.present == b.present;
    }
    if (t->kind == TYPE_RECORD) {
        for (uint32_t i = 0; i < t->field_count; i++) {
            if (!value_equal(t->fields[i].type, a.as.fields[i], b.as.fields[i])) {
                return false;
            }
        }
        return true;
    }
    if (t->kind == TYPE_LIST) {
        if (a.as.list.count != b.as.list.count) {
            return false;
        }
        for (size_t i = 0; i < a.as.list.count; i++) {
            if (!value_equal(t->item, a.as.list.items[i], b.as.list.items[i])) {
                return false;
            }
        }
        return true;
    }
    return value_compare(t, a, b) == 0;
}

bool value_party_valid(struct bytes text)
{
    if (text.size == 0 || text.size > RULES_PARTY_MAX) {
        return false;
    }
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        bool fine = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
                    c == ':' || c == '-';
        if (!fine) {
            return false;
        }
    }
    return true;
}
