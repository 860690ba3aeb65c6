/* The table of built-in functions, and the macros over lists. */
#include <string.h>

#include "base/require.h"
#include "base/utf8.h"
#include "rules/builtin.h"
#include "rules/eval.h"

#define NS_PER_SECOND INT64_C(1000000000)

/* ---- text ---- */

static void call_size(struct machine *m, const struct node *n, const struct value *args,
                      struct value *ret)
{
    const struct type *t = n->items[0]->type;
    if (t->kind == TYPE_LIST) {
        ret->as.number = (int128)args[0].as.list.count;
    } else if (t->kind == TYPE_BYTES) {
        ret->as.number = (int128)args[0].as.text.size;
    } else {
        ret->as.number = (int128)utf8_count(args[0].as.text);
    }
}

static void call_starts(struct machine *m, const struct node *n, const struct value *args,
                        struct value *ret)
{
    ret->as.truth = bytes_has_prefix(args[0].as.text, args[1].as.text);
}

static void call_ends(struct machine *m, const struct node *n, const struct value *args,
                      struct value *ret)
{
    struct bytes a = args[0].as.text;
    struct bytes b = args[1].as.text;
    ret->as.truth = a.size >= b.size &&
                    (b.size == 0 || bytes_equal(bytes_of(a.data + a.size - b.size, b.size), b));
}

static void call_contains(struct machine *m, const struct node *n, const struct value *args,
                          struct value *ret)
{
    struct bytes a = args[0].as.text;
    struct bytes b = args[1].as.text;
    machine_charge(m, eval_text_steps(a.size) * (int64_t)b.size);
    ret->as.truth =
        b.size == 0 || (a.size >= b.size && memmem(a.data, a.size, b.data, b.size) != NULL);
}

/* ---- conversions ---- */

static void call_same(struct machine *m, const struct node *n, const struct value *args,
                      struct value *ret)
{
    *ret = args[0];
}

static void call_int_of_string(struct machine *m, const struct node *n, const struct value *args,
                               struct value *ret)
{
    int64_t v = 0;
    machine_check(m, num_int_parse(args[0].as.text, &v));
    ret->as.number = v;
}

static void call_int_of_time(struct machine *m, const struct node *n, const struct value *args,
                             struct value *ret)
{
    ret->as.number = args[0].as.time.seconds;
}

static void call_string(struct machine *m, const struct node *n, const struct value *args,
                        struct value *ret)
{
    static_assert((int)NUM_TEXT_MAX >= (int)CIVIL_TIME_TEXT_MAX, "one buffer for all");
    static_assert((int)NUM_TEXT_MAX >= (int)CIVIL_DURATION_TEXT_MAX, "one buffer for all");
    char text[NUM_TEXT_MAX];
    size_t size = 0;
    enum type_kind kind = n->items[0]->type->kind;
    if (kind == TYPE_BOOL) {
        struct bytes word = bytes_text(args[0].as.truth ? "true" : "false");
        size = word.size;
        memcpy(text, word.data, size);
    } else if (kind == TYPE_INT) {
        size = num_print(args[0].as.number, text);
    } else if (kind == TYPE_TIMESTAMP) {
        size = civil_time_print(args[0].as.time, text);
    } else {
        require(kind == TYPE_DURATION);
        size = civil_duration_print((int64_t)args[0].as.number, text);
    }
    ret->as.text = arena_copy(m->arena, bytes_of(text, size));
}

static void call_string_of_bytes(struct machine *m, const struct node *n, const struct value *args,
                                 struct value *ret)
{
    if (!utf8_valid(args[0].as.text)) {
        machine_fault(m, RULES_FAULT_FORM);
    }
    *ret = args[0];
}

static void call_bool_of_string(struct machine *m, const struct node *n, const struct value *args,
                                struct value *ret)
{
    static const char *const words[] = {"true",  "True",  "TRUE",  "t", "T", "1",
                                        "false", "False", "FALSE", "f", "F", "0"};
    for (size_t i = 0; i < 12; i++) {
        if (bytes_equal(args[0].as.text, bytes_text(words[i]))) {
            ret->as.truth = i < 6;
            return;
        }
    }
    machine_fault(m, RULES_FAULT_FORM);
}

static void call_time_of_int(struct machine *m, const struct node *n, const struct value *args,
                             struct value *ret)
{
    struct civil_time t;
    machine_check(m, civil_time_make((int64_t)args[0].as.number, &t));
    ret->as.time = t;
}

static void call_time_of_string(struct machine *m, const struct node *n, const struct value *args,
                                struct value *ret)
{
    struct civil_time t;
    machine_check(m, civil_time_parse(args[0].as.text, &t));
    ret->as.time = t;
}

static void call_duration(struct machine *m, const struct node *n, const struct value *args,
                          struct value *ret)
{
    int64_t v = 0;
    machine_check(m, civil_duration_parse(args[0].as.text, &v));
    ret->as.number = v;
}

static void call_date(struct machine *m, const struct node *n, const struct value *args,
                      struct value *ret)
{
    int32_t v = 0;
    machine_check(m, civil_day_parse(args[0].as.text, &v));
    ret->as.number = v;
}

/* ---- civil time ---- */

enum getter {
    GET_YEAR,
    GET_MONTH,
    GET_DATE,
    GET_DAY_OF_MONTH,
    GET_DAY_OF_WEEK,
    GET_DAY_OF_YEAR,
    GET_HOURS,
    GET_MINUTES,
    GET_SECONDS,
    GET_MILLISECONDS,
};

static void call_getter(struct machine *m, const struct node *n, const struct value *args,
                        struct value *ret)
{
    struct civil_parts parts;
    machine_check(m, civil_time_split(args[0].as.time, n->zone, &parts));
    switch ((enum getter)n->choice) {
    case GET_YEAR:
        ret->as.number = parts.date.year;
        return;
    case GET_MONTH:
        ret->as.number = parts.date.month - 1;
        return;
    case GET_DATE:
        ret->as.number = parts.date.day;
        return;
    case GET_DAY_OF_MONTH:
        ret->as.number = parts.date.day - 1;
        return;
    case GET_DAY_OF_WEEK:
        ret->as.number = parts.weekday;
        return;
    case GET_DAY_OF_YEAR:
        ret->as.number = parts.day_of_year;
        return;
    case GET_HOURS:
        ret->as.number = parts.hour;
        return;
    case GET_MINUTES:
        ret->as.number = parts.minute;
        return;
    case GET_SECONDS:
        ret->as.number = parts.second;
        return;
    case GET_MILLISECONDS:
        ret->as.number = parts.milli;
        return;
    }
}

/* Whole hours, minutes and seconds of a duration; its milliseconds beyond the last second. */
static void call_duration_getter(struct machine *m, const struct node *n, const struct value *args,
                                 struct value *ret)
{
    int64_t nanos = (int64_t)args[0].as.number;
    if (n->choice == GET_HOURS) {
        ret->as.number = nanos / (3600 * NS_PER_SECOND);
    } else if (n->choice == GET_MINUTES) {
        ret->as.number = nanos / (60 * NS_PER_SECOND);
    } else if (n->choice == GET_SECONDS) {
        ret->as.number = nanos / NS_PER_SECOND;
    } else {
        ret->as.number = nanos % NS_PER_SECOND / 1000000;
    }
}

static void call_day(struct machine *m, const struct node *n, const struct value *args,
                     struct value *ret)
{
    int32_t day = 0;
    machine_check(m, civil_time_day(args[0].as.time, n->zone, &day));
    ret->as.number = day;
}

static void call_midnight(struct machine *m, const struct node *n, const struct value *args,
                          struct value *ret)
{
    struct civil_time t;
    machine_check(m, civil_day_midnight((int32_t)args[0].as.number, n->zone, &t));
    ret->as.time = t;
}

static void call_month(struct machine *m, const struct node *n, const struct value *args,
                       struct value *ret)
{
    ret->as.number = civil_day_month((int32_t)args[0].as.number);
}

static void call_monday(struct machine *m, const struct node *n, const struct value *args,
                        struct value *ret)
{
    int32_t day = 0;
    machine_check(m, civil_day_monday((int32_t)args[0].as.number, &day));
    ret->as.number = day;
}

static void call_year(struct machine *m, const struct node *n, const struct value *args,
                      struct value *ret)
{
    ret->as.number = civil_day_split((int32_t)args[0].as.number).year;
}

static void call_days(struct machine *m, const struct node *n, const struct value *args,
                      struct value *ret)
{
    ret->as.number = args[1].as.number - args[0].as.number;
}

static void call_add_days(struct machine *m, const struct node *n, const struct value *args,
                          struct value *ret)
{
    int32_t day = 0;
    machine_check(m, civil_day_add((int32_t)args[0].as.number, (int64_t)args[1].as.number, &day));
    ret->as.number = day;
}

static void call_add_months(struct machine *m, const struct node *n, const struct value *args,
                            struct value *ret)
{
    static const enum civil_missing modes[] = {CIVIL_MISSING_DOWN, CIVIL_MISSING_UP,
                                               CIVIL_MISSING_FAIL};
    int32_t day = 0;
    machine_check(m, civil_day_add_months((int32_t)args[0].as.number, (int64_t)args[1].as.number,
                                          modes[n->choice], &day));
    ret->as.number = day;
}

static void call_extreme(struct machine *m, const struct node *n, const struct value *args,
                         struct value *ret)
{
    bool greatest = n->choice == 1;
    *ret = args[0];
    for (uint32_t i = 1; i < n->count; i++) {
        int order = value_compare(n->type, args[i], *ret);
        if (greatest ? order > 0 : order < 0) {
            *ret = args[i];
        }
    }
}

static const struct builtin builtins[] = {
    {"size", false, "s", 'i', 0, call_size},
    {"size", false, "y", 'i', 0, call_size},
    {"size", false, "l", 'i', 0, call_size},
    {"size", true, "s", 'i', 0, call_size},
    {"size", true, "y", 'i', 0, call_size},
    {"size", true, "l", 'i', 0, call_size},
    {"startsWith", true, "ss", 'b', 0, call_starts},
    {"endsWith", true, "ss", 'b', 0, call_ends},
    {"contains", true, "ss", 'b', 0, call_contains},
    {"int", false, "i", 'i', 0, call_same},
    {"int", false, "s", 'i', 0, call_int_of_string},
    {"int", false, "t", 'i', 0, call_int_of_time},
    {"string", false, "s", 's', 0, call_same},
    {"string", false, "i", 's', 0, call_string},
    {"string", false, "b", 's', 0, call_string},
    {"string", false, "t", 's', 0, call_string},
    {"string", false, "u", 's', 0, call_string},
    {"string", false, "y", 's', 0, call_string_of_bytes},
    {"bytes", false, "y", 'y', 0, call_same},
    {"bytes", false, "s", 'y', 0, call_same},
    {"bool", false, "b", 'b', 0, call_same},
    {"bool", false, "s", 'b', 0, call_bool_of_string},
    {"timestamp", false, "t", 't', 0, call_same},
    {"timestamp", false, "i", 't', 0, call_time_of_int},
    {"timestamp", false, "s", 't', 0, call_time_of_string},
    {"duration", false, "u", 'u', 0, call_same},
    {"duration", false, "s", 'u', 0, call_duration},
    {"date", false, "s", 'd', 0, call_date},
    {"min", false, "*", '*', 0, call_extreme},
    {"max", false, "*", '*', 1, call_extreme},
    {"getFullYear", true, "t", 'i', GET_YEAR, call_getter},
    {"getFullYear", true, "tz", 'i', GET_YEAR, call_getter},
    {"getMonth", true, "t", 'i', GET_MONTH, call_getter},
    {"getMonth", true, "tz", 'i', GET_MONTH, call_getter},
    {"getDate", true, "t", 'i', GET_DATE, call_getter},
    {"getDate", true, "tz", 'i', GET_DATE, call_getter},
    {"getDayOfMonth", true, "t", 'i', GET_DAY_OF_MONTH, call_getter},
    {"getDayOfMonth", true, "tz", 'i', GET_DAY_OF_MONTH, call_getter},
    {"getDayOfWeek", true, "t", 'i', GET_DAY_OF_WEEK, call_getter},
    {"getDayOfWeek", true, "tz", 'i', GET_DAY_OF_WEEK, call_getter},
    {"getDayOfYear", true, "t", 'i', GET_DAY_OF_YEAR, call_getter},
    {"getDayOfYear", true, "tz", 'i', GET_DAY_OF_YEAR, call_getter},
    {"getHours", true, "t", 'i', GET_HOURS, call_getter},
    {"getHours", true, "tz", 'i', GET_HOURS, call_getter},
    {"getMinutes", true, "t", 'i', GET_MINUTES, call_getter},
    {"getMinutes", true, "tz", 'i', GET_MINUTES, call_getter},
    {"getSeconds", true, "t", 'i', GET_SECONDS, call_getter},
    {"getSeconds", true, "tz", 'i', GET_SECONDS, call_getter},
    {"getMilliseconds", true, "t", 'i', GET_MILLISECONDS, call_getter},
    {"getMilliseconds", true, "tz", 'i', GET_MILLISECONDS, call_getter},
    {"getHours", true, "u", 'i', GET_HOURS, call_duration_getter},
    {"getMinutes", true, "u", 'i', GET_MINUTES, call_duration_getter},
    {"getSeconds", true, "u", 'i', GET_SECONDS, call_duration_getter},
    {"getMilliseconds", true, "u", 'i', GET_MILLISECONDS, call_duration_getter},
    {"day", false, "tz", 'd', 0, call_day},
    {"midnight", false, "dz", 't', 0, call_midnight},
    {"month", false, "d", 'd', 0, call_month},
    {"monday", false, "d", 'd', 0, call_monday},
    {"year", false, "d", 'i', 0, call_year},
    {"days", false, "dd", 'i', 0, call_days},
    {"add_days", false, "di", 'd', 0, call_add_days},
    {"add_months", false, "dim", 'd', 0, call_add_months},
};

const struct builtin *builtin_at(size_t index)
{
    return index < sizeof builtins / sizeof builtins[0] ? &builtins[index] : NULL;
}

const char *builtin_name(const struct builtin *b)
{
    require(b != NULL);
    return b->name;
}

enum { CALL_ARGS_INLINE = 8 };

struct value eval_call(struct machine *m, const struct node *n)
{
    struct value few[CALL_ARGS_INLINE];
    struct value *args = few;
    if (n->count > CALL_ARGS_INLINE) {
        args = arena_new(m->arena, n->count, sizeof *args);
    }
    int64_t texts = 0;
    for (uint32_t i = 0; i < n->count; i++) {
        args[i] = eval(m, n->items[i]);
        enum type_kind kind = n->items[i]->type->kind;
        if (kind == TYPE_STRING || kind == TYPE_BYTES) {
            texts += eval_text_steps(args[i].as.text.size);
        }
    }
    machine_charge(m, n->ref.builtin->params[0] == '*' ? (int64_t)n->count : texts);
    struct value v = {.present = true};
    n->ref.builtin->apply(m, n, args, &v);
    return v;
}

/* ---- macros ---- */

static void add_to_sum(struct machine *m, const struct type *t, int128 v, int128 *sum)
{
    if (t->kind == TYPE_INT) {
        int64_t narrow = 0;
        machine_check(m, num_int_add((int64_t)*sum, (int64_t)v, &narrow));
        *sum = narrow;
    } else {
        machine_check(m, num_add(*sum, v, sum));
    }
}

/* all, exists: stop as soon as the value is decided. */
static struct value eval_quantifier(struct machine *m, const struct node *n, struct value list)
{
    bool wanted = n->ref.macro == MACRO_EXISTS;
    for (size_t i = 0; i < list.as.list.count; i++) {
        machine_charge(m, 1);
        m->frame[n->slot] = list.as.list.items[i];
        if (eval(m, n->b).as.truth == wanted) {
            return (struct value){.as.truth = wanted, .present = true};
        }
    }
    return (struct value){.as.truth = !wanted, .present = true};
}

struct value eval_macro(struct machine *m, const struct node *n)
{
    struct value list = eval(m, n->a);
    if (n->ref.macro == MACRO_ALL || n->ref.macro == MACRO_EXISTS) {
        return eval_quantifier(m, n, list);
    }
    bool makes_list = n->ref.macro == MACRO_MAP || n->ref.macro == MACRO_FILTER;
    struct value *items = NULL;
    size_t count = 0;
    int128 sum = 0;
    if (makes_list) {
        items = arena_new(m->arena, list.as.list.count + 1, sizeof *items);
    }
    for (size_t i = 0; i < list.as.list.count; i++) {
        machine_charge(m, 1);
        m->frame[n->slot] = list.as.list.items[i];
        if (n->b != NULL && !eval(m, n->b).as.truth) {
            continue;
        }
        if (n->ref.macro == MACRO_SUM) {
            add_to_sum(m, n->type, eval(m, n->c).as.number, &sum);
        } else if (n->ref.macro == MACRO_MAP) {
            items[count] = eval(m, n->c);
        } else if (makes_list) {
            items[count] = list.as.list.items[i];
        }
        count++;
    }
    struct value v = {.present = true};
    if (makes_list) {
        v.as.list.items = items;
        v.as.list.count = count;
    } else if (n->ref.macro == MACRO_SUM) {
        v.as.number = sum;
    } else {
        v.as.truth = count == 1; /* exists_one */
    }
    return v;
}
