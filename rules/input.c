/* Arguments against declared fields (section 11.3). */
#include "rules/input.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "base/require.h"
#include "base/utf8.h"

/* ---- validation ---- */

/* Where a value stands; printed only when it is refused. */
struct path {
    const struct path *outer; /* NULL: the root */
    struct bytes name;        /* of a field, or of the root */
    bool item;                /* an item of a list instead */
    size_t index;
};

struct validation {
    const struct rules_registry *registry;
    struct arena *arena;
};

static void put_path(const struct path *path, struct buf *out)
{
    /* from the root on: paths are as short as types are deep */
    if (path->outer != NULL) {
        put_path(path->outer, out);
    }
    if (path->item) {
        buf_printf(out, "[%zu]", path->index);
    } else {
        buf_put_text(out, path->outer != NULL ? "." : "");
        buf_put_bytes(out, path->name);
    }
}

/* "PATH: reason" in the arena. */
__attribute__((format(printf, 3, 4))) static const char *
refuse(struct validation *v, const struct path *path, const char *fmt, ...)
{
    struct buf out;
    va_list args;
    va_list again;
    require(fmt != NULL);
    va_start(args, fmt);
    va_copy(again, args);
    int size = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    require(size >= 0);
    char *reason = arena_new(v->arena, (size_t)size + 1, 1);
    (void)vsnprintf(reason, (size_t)size + 1, fmt, again);
    va_end(again);
    buf_init_in(&out, v->arena, 2 * RULES_JSON_BYTES_MAX); /* names come from the input */
    put_path(path, &out);
    buf_put_text(&out, ": ");
    buf_put_text(&out, reason);
    return arena_text(v->arena, buf_bytes(&out));
}

static const char *type_expected(struct validation *v, const struct type *t,
                                 const struct path *path)
{
    static const char *const names[] = {"bool",      "int",   "string", "bytes", "date", "duration",
                                        "timestamp", "party", "",       "",      "",     "list"};
    if (t->kind == TYPE_AMOUNT) {
        return refuse(v, path, "%.*s expected", (int)t->measure->name.size,
                      (const char *)t->measure->name.data);
    }
    if (t->kind == TYPE_RECORD) {
        return refuse(v, path, "%.*s expected", (int)t->name.size, (const char *)t->name.data);
    }
    require(t->kind != TYPE_RATIO);
    return refuse(v, path, "%s expected", names[t->kind]);
}

static const char *words_text(struct validation *v, const struct type *t)
{
    const char *text = "";
    for (uint32_t i = 0; i < t->word_count; i++) {
        text = arena_printf(v->arena, "%s%s%.*s", text, i == 0 ? "" : ", ", (int)t->words[i].size,
                            (const char *)t->words[i].data);
    }
    return text;
}

static const char *check_string(struct validation *v, const struct raw *raw, const struct type *t,
                                const struct path *path, struct value *ret)
{
    ret->as.text = raw->as.text;
    for (uint32_t i = 0; i < t->word_count; i++) {
        if (bytes_equal(t->words[i], raw->as.text)) {
            return NULL;
        }
    }
    if (t->words != NULL) {
        return refuse(v, path, "not one of %s", words_text(v, t));
    }
    if (raw->as.text.size > t->size_max) {
        return refuse(v, path, "longer than %u bytes", t->size_max);
    }
    return NULL;
}

static int hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool decode_hex(struct validation *v, struct bytes text, struct bytes *ret)
{
    if (text.size % 2 != 0) {
        return false;
    }
    uint8_t *octets = arena_new(v->arena, text.size / 2 + 1, 1);
    for (size_t i = 0; i < text.size; i += 2) {
        int high = hex_value(text.data[i]);
        int low = hex_value(text.data[i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        octets[i / 2] = (uint8_t)(high << 4 | low);
    }
    *ret = bytes_of(octets, text.size / 2);
    return true;
}

static const char *check_bytes(struct validation *v, const struct raw *raw, const struct type *t,
                               const struct path *path, struct value *ret)
{
    if (raw->kind == RAW_OCTETS) {
        ret->as.text = raw->as.text;
    } else if (raw->kind != RAW_TEXT || !raw->json || !decode_hex(v, raw->as.text, &ret->as.text)) {
        return type_expected(v, t, path);
    }
    if (ret->as.text.size > t->size_max) {
        return refuse(v, path, "longer than %u bytes", t->size_max);
    }
    return NULL;
}

/* Dates, times and durations: the tagged form, or a text of JSON. False: another type. */
static bool check_time(const struct raw *raw, const struct type *t, struct value *ret)
{
    bool text = raw->kind == RAW_TEXT && raw->json;
    if (t->kind == TYPE_DATE) {
        int32_t day = 0;
        if (raw->kind == RAW_DATE && civil_day_valid(raw->as.number)) {
            ret->as.number = raw->as.number;
            return true;
        }
        bool ok = text && civil_day_parse(raw->as.text, &day) == NUM_OK;
        ret->as.number = day;
        return ok;
    }
    if (t->kind == TYPE_TIMESTAMP) {
        struct civil_time time = {0};
        if (raw->kind == RAW_TIME && civil_time_valid(raw->as.time)) {
            ret->as.time = raw->as.time;
            return true;
        }
        bool ok = text && civil_time_parse(raw->as.text, &time) == NUM_OK;
        ret->as.time = time;
        return ok;
    }
    int64_t nanos = raw->kind == RAW_DURATION ? raw->as.number : 0;
    bool ok =
        raw->kind == RAW_DURATION || (text && civil_duration_parse(raw->as.text, &nanos) == NUM_OK);
    ret->as.number = nanos;
    return ok;
}

/* "A" or "A/B" of the registry. */
static bool parse_unit_text(const struct rules_registry *r, struct bytes text, struct unit *ret)
{
    const uint8_t *slash = text.size == 0 ? NULL : memchr(text.data, '/', text.size);
    if (slash == NULL) {
        return unit_find(r, text, ret);
    }
    size_t at = (size_t)(slash - text.data);
    struct unit below;
    return unit_find(r, bytes_of(text.data, at), ret) &&
           unit_find(r, bytes_of(slash + 1, text.size - at - 1), &below) &&
           unit_multiply(ret, &below, -1, ret);
}

struct amount {
    int128 count;
    unsigned decimals;
    struct unit unit;
};

static bool read_amount(struct validation *v, const struct raw *raw, struct amount *ret)
{
    if (raw->kind == RAW_AMOUNT) {
        ret->count = raw->as.amount.count;
        ret->decimals = raw->as.amount.decimals;
        return ret->decimals <= NUM_DECIMALS_MAX &&
               parse_unit_text(v->registry, raw->as.amount.unit, &ret->unit);
    }
    if (raw->kind != RAW_TEXT || !raw->json || raw->as.text.size == 0) {
        return false;
    }
    struct bytes text = raw->as.text;
    const uint8_t *space = memchr(text.data, ' ', text.size);
    if (space == NULL) {
        return false;
    }
    size_t at = (size_t)(space - text.data);
    return num_decimal_parse(bytes_of(text.data, at), &ret->count, &ret->decimals) == NUM_OK &&
           parse_unit_text(v->registry, bytes_of(space + 1, text.size - at - 1), &ret->unit);
}

static const char *check_amount(struct validation *v, const struct raw *raw, const struct type *t,
                                const struct path *path, struct value *ret)
{
    struct amount a = {0};
    int64_t narrow = 0;
    int128 quanta = 0;
    if (!read_amount(v, raw, &a) || !dim_equal(&a.unit.dim, &t->unit.dim)) {
        return type_expected(v, t, path);
    }
    if (num_narrow(a.count, &narrow) != NUM_OK) {
        return refuse(v, path, "out of range");
    }
    struct num_ratio scale;
    enum num_end e = num_scale_div(a.unit.scale, num_scale(num_power10(a.decimals), 1), &scale);
    if (e == NUM_OK) {
        e = num_convert(a.count, scale, t->unit.scale, &quanta);
    }
    if (e == NUM_INEXACT) {
        return refuse(v, path, "finer than %.*s is measured", (int)t->measure->name.size,
                      (const char *)t->measure->name.data);
    }
    if (e != NUM_OK || num_narrow(quanta, &narrow) != NUM_OK) {
        return refuse(v, path, "out of range");
    }
    ret->as.number = narrow;
    return NULL;
}

static const char *check_value(struct validation *v, const struct raw *raw, const struct type *t,
                               const struct path *path, struct value *ret);

static const char *check_items(struct validation *v, const struct raw *raw, const struct type *t,
                               const struct path *path, struct value *ret)
{
    if (raw->kind != RAW_LIST) {
        return type_expected(v, t, path);
    }
    size_t count = raw->as.list.count;
    if (count > t->list_max) {
        return refuse(v, path, "more than %u items", t->list_max);
    }
    struct value *items = arena_new(v->arena, count + 1, sizeof *items);
    for (size_t i = 0; i < count; i++) {
        struct path at = {.outer = path, .item = true, .index = i};
        const char *why = check_value(v, &raw->as.list.items[i], t->item, &at, &items[i]);
        if (why != NULL) {
            return why;
        }
        if (t->by < 0 || i == 0) {
            continue;
        }
        const struct field *by = &t->item->fields[t->by];
        if (value_compare(by->type, items[i - 1].as.fields[t->by], items[i].as.fields[t->by]) >=
            0) {
            return refuse(v, &at, "not in ascending order of %.*s", (int)by->name.size,
                          (const char *)by->name.data);
        }
    }
    ret->as.list.items = items;
    ret->as.list.count = count;
    return NULL;
}

static const struct raw *find_field(const struct raw *record, struct bytes name, bool *ret_twice)
{
    const struct raw *found = NULL;
    *ret_twice = false;
    for (size_t i = 0; i < record->as.record.count; i++) {
        if (bytes_equal(record->as.record.fields[i].name, name)) {
            *ret_twice = found != NULL;
            if (found != NULL) {
                return found;
            }
            found = &record->as.record.fields[i].value;
        }
    }
    return found;
}

static const char *find_undeclared(struct validation *v, const struct raw *record,
                                   const struct field *fields, uint32_t count,
                                   const struct path *path)
{
    for (size_t i = 0; i < record->as.record.count; i++) {
        struct bytes name = record->as.record.fields[i].name;
        uint32_t f = 0;
        while (f < count && !bytes_equal(fields[f].name, name)) {
            f++;
        }
        if (f == count) {
            struct path at = {.outer = path, .name = name};
            return refuse(v, &at, "not declared");
        }
    }
    return NULL;
}

static const char *check_fields(struct validation *v, const struct raw *record,
                                const struct field *fields, uint32_t count, const struct path *path,
                                struct value *ret)
{
    for (uint32_t f = 0; f < count; f++) {
        bool twice = false;
        const struct raw *raw = find_field(record, fields[f].name, &twice);
        if (raw == NULL && fields[f].optional) {
            continue;
        }
        struct path at = {.outer = path, .name = fields[f].name};
        if (raw == NULL || twice) {
            return refuse(v, &at, "%s", twice ? "given twice" : "missing");
        }
        const char *why = check_value(v, raw, fields[f].type, &at, &ret[f]);
        if (why != NULL) {
            return why;
        }
    }
    return find_undeclared(v, record, fields, count, path);
}

static const char *check_scalar(struct validation *v, const struct raw *raw, const struct type *t,
                                const struct path *path, struct value *ret)
{
    if (t->kind == TYPE_BOOL && raw->kind == RAW_BOOL) {
        ret->as.truth = raw->as.truth;
        return NULL;
    }
    if (t->kind == TYPE_INT && raw->kind == RAW_INT) {
        ret->as.number = raw->as.number;
        return NULL;
    }
    if (t->kind == TYPE_INT && raw->kind == RAW_BIG) {
        return refuse(v, path, "out of range");
    }
    if (t->kind == TYPE_STRING && raw->kind == RAW_TEXT) {
        return check_string(v, raw, t, path, ret);
    }
    if (t->kind == TYPE_PARTY && raw->kind == RAW_TEXT) {
        ret->as.text = raw->as.text;
        return value_party_valid(raw->as.text) ? NULL : refuse(v, path, "not a party name");
    }
    if (t->kind == TYPE_BYTES) {
        return check_bytes(v, raw, t, path, ret);
    }
    bool time = t->kind == TYPE_DATE || t->kind == TYPE_TIMESTAMP || t->kind == TYPE_DURATION;
    if (time && check_time(raw, t, ret)) {
        return NULL;
    }
    return type_expected(v, t, path);
}

/* Recursion follows the type, whose nesting the parser limits. */
static const char *check_value(struct validation *v, const struct raw *raw, const struct type *t,
                               const struct path *path, struct value *ret)
{
    *ret = (struct value){.present = true};
    if (t->kind == TYPE_AMOUNT) {
        return check_amount(v, raw, t, path, ret);
    }
    if (t->kind == TYPE_LIST) {
        return check_items(v, raw, t, path, ret);
    }
    if (t->kind == TYPE_RECORD) {
        if (raw->kind != RAW_RECORD) {
            return type_expected(v, t, path);
        }
        struct value *fields = arena_new(v->arena, (size_t)t->field_count + 1, sizeof *fields);
        ret->as.fields = fields;
        return check_fields(v, raw, t->fields, t->field_count, path, fields);
    }
    return check_scalar(v, raw, t, path, ret);
}

const char *input_validate(const struct raw *record, const struct field *fields, uint32_t count,
                           const struct rules_registry *registry, const char *path,
                           struct arena *arena, struct value *ret)
{
    require(record->kind == RAW_RECORD);
    struct validation v = {registry, arena};
    struct path root = {.name = bytes_text(path)};
    return check_fields(&v, record, fields, count, &root, ret);
}

const char *input_validate_one(const struct raw *raw, const struct type *type,
                               const struct rules_registry *registry, const char *path,
                               struct arena *arena, struct value *ret)
{
    struct validation v = {registry, arena};
    struct path root = {.name = bytes_text(path)};
    return check_value(&v, raw, type, &root, ret);
}
