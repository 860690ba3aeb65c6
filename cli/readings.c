#include "cli/readings.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/require.h"
#include "cli/csv.h"
#include "rules/rules.h"

enum { IGNORED_TEXT_MAX = 200, NO_POINT = -1 };

struct parsing {
    struct csv csv;
    struct readings *r;
    struct errtext *reterr;
    /* Wide: what each column is: NO_POINT, or the index of its point. */
    int32_t *columns;
    size_t column_count;
};

/* ---- fields ---- */

bool readings_is_producer(const char *point)
{
    return point[0] == 'p';
}

/* cNN or pNN */
static bool is_point(struct bytes name)
{
    if (name.size < 2 || name.size > 20 || (name.data[0] != 'c' && name.data[0] != 'p')) {
        return false;
    }
    for (size_t i = 1; i < name.size; i++) {
        if (name.data[i] < '0' || name.data[i] > '9') {
            return false;
        }
    }
    return true;
}

/* Digits at *at; false when there is none or they are too many. */
static bool take_digits(struct bytes text, size_t *at, size_t least, size_t most, int64_t *value)
{
    size_t begin = *at;
    *value = 0;
    while (*at < text.size && text.data[*at] >= '0' && text.data[*at] <= '9' &&
           *at - begin <= most) {
        *value = *value * 10 + (text.data[(*at)++] - '0');
    }
    return *at - begin >= least && *at - begin <= most;
}

static bool take_char(struct bytes text, size_t *at, char c)
{
    if (*at < text.size && text.data[*at] == (uint8_t)c) {
        (*at)++;
        return true;
    }
    return false;
}

/* "Z" or "+02:00" */
static bool take_zone(struct bytes text, size_t *at, int64_t *offset_s)
{
    int64_t hours = 0;
    int64_t minutes = 0;
    *offset_s = 0;
    if (take_char(text, at, 'Z')) {
        return true;
    }
    bool east = take_char(text, at, '+');
    if (!east && !take_char(text, at, '-')) {
        return false;
    }
    if (!take_digits(text, at, 2, 2, &hours) || !take_char(text, at, ':') ||
        !take_digits(text, at, 2, 2, &minutes) || hours > 23 || minutes > 59) {
        return false;
    }
    *offset_s = (east ? 1 : -1) * (hours * 3600 + minutes * 60);
    return true;
}

static bool parse_rfc3339(struct bytes text, int64_t *ret_s)
{
    int32_t day;
    int64_t h = 0;
    int64_t m = 0;
    int64_t s = 0;
    int64_t offset = 0;
    size_t at = 10;
    if (text.size < 17 || !rules_day_parse(bytes_of(text.data, 10), &day) ||
        (!take_char(text, &at, 'T') && !take_char(text, &at, ' ')) ||
        !take_digits(text, &at, 2, 2, &h) || !take_char(text, &at, ':') ||
        !take_digits(text, &at, 2, 2, &m) || h > 23 || m > 59) {
        return false;
    }
    if (take_char(text, &at, ':') && (!take_digits(text, &at, 2, 2, &s) || s > 59)) {
        return false;
    }
    if (!take_zone(text, &at, &offset) || at != text.size) {
        return false;
    }
    *ret_s = (int64_t)day * 86400 + h * 3600 + m * 60 + s - offset;
    return *ret_s >= 0;
}

static err take_time(struct parsing *p, const struct csv_field *f, int64_t *ret_s)
{
    size_t at = 0;
    bool good = take_digits(f->text, &at, 1, 11, ret_s) && at == f->text.size;
    if (!good && !parse_rfc3339(f->text, ret_s)) {
        return csv_fail_text(&p->csv, f, p->reterr,
                             "no time: Unix seconds or 2026-07-01T10:00:00Z are expected");
    }
    return err_ok();
}

static err take_mwh(struct parsing *p, const struct csv_field *f, int64_t *ret_mwh)
{
    size_t at = 0;
    int64_t whole = 0;
    int64_t part = 0;
    bool good = take_digits(f->text, &at, 1, READINGS_MWH_DIGITS, &whole);
    if (good && take_char(f->text, &at, '.')) {
        size_t begin = at;
        good = take_digits(f->text, &at, 1, 3, &part);
        for (size_t digits = at - begin; digits < 3; digits++) {
            part *= 10;
        }
    }
    if (!good || at != f->text.size) {
        return csv_fail_text(&p->csv, f, p->reterr,
                             "no reading: Wh, not negative, with at most 3 decimals, are expected");
    }
    *ret_mwh = whole * 1000 + part;
    return err_ok();
}

/* ---- what is kept ---- */

static void add_item(struct readings *r, uint32_t point, int64_t mwh)
{
    if (r->item_count == r->item_room) {
        r->item_room = r->item_room == 0 ? 4096 : 2 * r->item_room;
        r->items = mem_resize(r->items, r->item_room, sizeof *r->items);
    }
    r->items[r->item_count++] = (struct reading){point, mwh};
}

static struct slot *add_slot(struct readings *r, int64_t start_s, size_t line)
{
    if (r->slot_count == r->slot_room) {
        r->slot_room = r->slot_room == 0 ? 1024 : 2 * r->slot_room;
        r->slots = mem_resize(r->slots, r->slot_room, sizeof *r->slots);
    }
    r->slots[r->slot_count] = (struct slot){.start_s = start_s, .line = line,
                                            .first = r->item_count};
    return &r->slots[r->slot_count++];
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int compare_slots(const void *a, const void *b)
{
    const struct slot *x = a;
    const struct slot *y = b;
    return x->start_s != y->start_s ? (x->start_s > y->start_s) - (x->start_s < y->start_s)
                                    : (x->line > y->line) - (x->line < y->line);
}

static int32_t find_point(const struct readings *r, struct bytes name)
{
    size_t low = 0;
    size_t high = r->point_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = bytes_compare(name, bytes_text(r->points[middle]));
        if (order == 0) {
            return (int32_t)middle;
        }
        if (order > 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NO_POINT;
}

static char *copy_name(struct bytes name)
{
    char *text = mem_new(1, name.size + 1);
    memcpy(text, name.data, name.size);
    return text;
}

static void note_ignored(struct readings *r, struct bytes name)
{
    size_t size = strlen(r->ignored);
    if (size + name.size + 3 < IGNORED_TEXT_MAX) {
        memcpy(r->ignored + size, size == 0 ? "" : " ", size == 0 ? 0 : 1);
        memcpy(r->ignored + size + (size > 0), name.data, name.size);
    } else if (size > 0 && r->ignored[size - 1] != '.') {
        memcpy(r->ignored + size, "...", 4);
    }
}

/* ---- wide ---- */

/* The header's fields after ts: names of points, sorted; the others are noted. */
static err take_names(struct parsing *p)
{
    struct readings *r = p->r;
    struct csv_field f;
    do {
        TRY(csv_next_field(&p->csv, &f, p->reterr));
        if (++p->column_count > READINGS_COLUMNS_MAX) {
            return csv_fail(&p->csv, &f, p->reterr, "too many columns");
        }
        if (!is_point(f.text)) {
            note_ignored(r, f.text);
        } else if (r->point_count == READINGS_POINTS_MAX) {
            return csv_fail(&p->csv, &f, p->reterr, "too many points");
        } else {
            r->points[r->point_count++] = copy_name(f.text);
        }
    } while (!f.last);
    qsort(r->points, r->point_count, sizeof *r->points, compare_names);
    return err_ok();
}

/* Reads the header once for the names and once for where they stand. */
static err take_header(struct parsing *p)
{
    struct csv_field f;
    struct csv again = p->csv;
    TRY(take_names(p));
    if (p->r->point_count == 0) {
        return err_fail(p->reterr, ERR_INVALID,
                        "%s:%zu:1: no column is called cNN (consumer) or pNN (producer)",
                        p->csv.file, p->csv.line);
    }
    p->columns = mem_new(p->column_count, sizeof *p->columns);
    uint8_t seen[READINGS_POINTS_MAX] = {0};
    p->csv = again;
    for (size_t i = 0; i < p->column_count; i++) {
        TRY(csv_next_field(&p->csv, &f, p->reterr));
        p->columns[i] = is_point(f.text) ? find_point(p->r, f.text) : NO_POINT;
        if (p->columns[i] != NO_POINT && seen[p->columns[i]]++ > 0) {
            return csv_fail_text(&p->csv, &f, p->reterr, "this column is there twice");
        }
    }
    return err_ok();
}

static err take_wide_line(struct parsing *p, int64_t *values, uint8_t *present)
{
    struct csv_field f;
    int64_t start_s = 0;
    TRY(csv_next_field(&p->csv, &f, p->reterr));
    TRY(take_time(p, &f, &start_s));
    memset(present, 0, p->r->point_count);
    for (size_t i = 0; i < p->column_count; i++) {
        if (f.last) {
            return csv_fail(&p->csv, &f, p->reterr, "the line has fewer fields than the header");
        }
        TRY(csv_next_field(&p->csv, &f, p->reterr));
        if (p->columns[i] != NO_POINT && f.text.size > 0) {
            TRY(take_mwh(p, &f, &values[p->columns[i]]));
            present[p->columns[i]] = 1;
        }
    }
    if (!f.last) {
        return csv_fail(&p->csv, &f, p->reterr, "the line has more fields than the header");
    }
    struct slot *slot = add_slot(p->r, start_s, p->csv.line);
    for (uint32_t i = 0; i < p->r->point_count; i++) {
        if (present[i] != 0) {
            add_item(p->r, i, values[i]);
        }
    }
    slot->count = p->r->item_count - slot->first;
    if (slot->count == 0) {
        p->r->slot_count--;
        p->r->blank_lines++;
    }
    return err_ok();
}

static err take_wide(struct parsing *p)
{
    TRY(take_header(p));
    int64_t *values = mem_new(READINGS_POINTS_MAX, sizeof *values);
    uint8_t *present = mem_new(READINGS_POINTS_MAX, 1);
    err e = err_ok();
    while (!failed(e) && csv_next_line(&p->csv)) {
        e = take_wide_line(p, values, present);
    }
    free(values);
    free(present);
    TRY(e);
    struct readings *r = p->r;
    if (r->slot_count > 0) {
        qsort(r->slots, r->slot_count, sizeof *r->slots, compare_slots);
    }
    for (size_t i = 1; i < r->slot_count; i++) {
        if (r->slots[i].start_s == r->slots[i - 1].start_s) {
            return err_fail(p->reterr, ERR_INVALID, "%s:%zu:1: the time of line %zu again",
                            p->csv.file, r->slots[i].line, r->slots[i - 1].line);
        }
    }
    return err_ok();
}

/* ---- long ---- */

struct long_line {
    int64_t start_s, mwh;
    const char *point;
    size_t line;
};

struct long_lines {
    struct long_line *list; /* owned */
    size_t count, room;
};

static int compare_long(const void *a, const void *b)
{
    const struct long_line *x = a;
    const struct long_line *y = b;
    if (x->start_s != y->start_s) {
        return (x->start_s > y->start_s) - (x->start_s < y->start_s);
    }
    int order = strcmp(x->point, y->point);
    return order != 0 ? order : (x->line > y->line) - (x->line < y->line);
}

/* The name's own copy, which is put in order when it is new. */
static err intern(struct parsing *p, const struct csv_field *f, const char **ret)
{
    struct readings *r = p->r;
    int32_t at = find_point(r, f->text);
    if (at != NO_POINT) {
        *ret = r->points[at];
        return err_ok();
    }
    if (!is_point(f->text)) {
        return csv_fail_text(&p->csv, f, p->reterr,
                             "no point: cNN (consumer) or pNN (producer) is expected");
    }
    if (r->point_count == READINGS_POINTS_MAX) {
        return csv_fail(&p->csv, f, p->reterr, "too many points");
    }
    char *name = copy_name(f->text);
    size_t i = r->point_count++;
    for (; i > 0 && strcmp(r->points[i - 1], name) > 0; i--) {
        r->points[i] = r->points[i - 1];
    }
    r->points[i] = name;
    *ret = name;
    return err_ok();
}

static err take_long_line(struct parsing *p, struct long_lines *lines)
{
    struct csv_field f;
    struct long_line one = {.line = p->csv.line};
    TRY(csv_next_field(&p->csv, &f, p->reterr));
    TRY(take_time(p, &f, &one.start_s));
    for (size_t i = 0; i < 2; i++) {
        if (f.last) {
            return csv_fail(&p->csv, &f, p->reterr, "ts,point,wh are expected");
        }
        TRY(csv_next_field(&p->csv, &f, p->reterr));
        TRY(i == 0 ? intern(p, &f, &one.point) : take_mwh(p, &f, &one.mwh));
    }
    if (!f.last) {
        return csv_fail(&p->csv, &f, p->reterr, "the line has more fields than the header");
    }
    if (lines->count == lines->room) {
        lines->room = lines->room == 0 ? 4096 : 2 * lines->room;
        lines->list = mem_resize(lines->list, lines->room, sizeof *lines->list);
    }
    lines->list[lines->count++] = one;
    return err_ok();
}

static err make_slots(struct parsing *p, const struct long_lines *lines)
{
    for (size_t i = 0; i < lines->count; i++) {
        const struct long_line *l = &lines->list[i];
        const struct long_line *before = i == 0 ? NULL : &lines->list[i - 1];
        bool same = before != NULL && before->start_s == l->start_s;
        if (same && before->point == l->point) {
            return err_fail(p->reterr, ERR_INVALID, "%s:%zu:1: the reading of line %zu again",
                            p->csv.file, l->line, before->line);
        }
        struct slot *slot = same ? &p->r->slots[p->r->slot_count - 1]
                                 : add_slot(p->r, l->start_s, l->line);
        int32_t point = find_point(p->r, bytes_text(l->point));
        require(point != NO_POINT);
        add_item(p->r, (uint32_t)point, l->mwh);
        slot->count++;
    }
    return err_ok();
}

static err take_long(struct parsing *p)
{
    struct long_lines lines = {0};
    err e = err_ok();
    while (!failed(e) && csv_next_line(&p->csv)) {
        e = take_long_line(p, &lines);
    }
    if (!failed(e) && lines.count > 0) {
        qsort(lines.list, lines.count, sizeof *lines.list, compare_long);
        e = make_slots(p, &lines);
    }
    free(lines.list);
    return e;
}

/* ---- all ---- */

/* The header decides: exactly ts,point,wh is long. */
static err take_file(struct parsing *p)
{
    struct csv_field f[3] = {0};
    size_t count = 0;
    if (!csv_next_line(&p->csv)) {
        return err_fail(p->reterr, ERR_INVALID, "%s:1:1: the file is empty", p->csv.file);
    }
    struct csv begin = p->csv;
    while (count < 3 && (count == 0 || !f[count - 1].last)) {
        TRY(csv_next_field(&p->csv, &f[count], p->reterr));
        count++;
    }
    if (!bytes_equal(f[0].text, bytes_text("ts"))) {
        return csv_fail_text(&p->csv, &f[0], p->reterr, "the first column must be 'ts'");
    }
    if (count < 2) {
        return csv_fail(&p->csv, &f[0], p->reterr, "there is no column beside 'ts'");
    }
    if (count == 3 && f[2].last && bytes_equal(f[1].text, bytes_text("point")) &&
        bytes_equal(f[2].text, bytes_text("wh"))) {
        return take_long(p);
    }
    p->csv = begin;
    TRY(csv_next_field(&p->csv, &f[0], p->reterr));
    return take_wide(p);
}

err readings_parse(const char *file, struct bytes text, struct readings *ret,
                   struct errtext *reterr)
{
    struct parsing p = {.r = ret, .reterr = reterr};
    require(file != NULL);
    *ret = (struct readings){0};
    ret->points = mem_new(READINGS_POINTS_MAX, sizeof *ret->points);
    ret->ignored = mem_new(1, IGNORED_TEXT_MAX + 8);
    csv_init(&p.csv, file, text);
    err e = take_file(&p);
    free(p.columns);
    if (failed(e)) {
        readings_done(ret);
    }
    return e;
}

void readings_done(struct readings *r)
{
    for (size_t i = 0; i < r->point_count; i++) {
        free(r->points[i]);
    }
    free(r->points);
    free(r->slots);
    free(r->items);
    free(r->ignored);
    *r = (struct readings){0};
}
