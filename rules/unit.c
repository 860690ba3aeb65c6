/* Units, dimensions, the registry, measures (section 4). */
#include "rules/unit.h"

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/require.h"

enum { CURRENCY_MIN = 3, CURRENCY_MAX = 8, POWER_MAX = 1000 };

bool dim_equal(const struct dim *a, const struct dim *b)
{
    if (a->count != b->count) {
        return false;
    }
    for (uint32_t i = 0; i < a->count; i++) {
        if (a->parts[i].base != b->parts[i].base || a->parts[i].power != b->parts[i].power) {
            return false;
        }
    }
    return true;
}

/* Appends a power unless it is zero. */
static bool add_part(struct dim *d, uint32_t base, int32_t power)
{
    if (power == 0) {
        return true;
    }
    if (d->count == DIM_PARTS_MAX || power > POWER_MAX || power < -POWER_MAX) {
        return false;
    }
    d->parts[d->count++] = (struct dim_part){base, power};
    return true;
}

bool dim_multiply(const struct dim *a, const struct dim *b, int sign, struct dim *ret)
{
    require(sign == 1 || sign == -1);
    struct dim d = {0};
    uint32_t i = 0;
    uint32_t j = 0;
    bool fits = true;
    while (i < a->count || j < b->count) {
        uint32_t x = i < a->count ? a->parts[i].base : UINT32_MAX;
        uint32_t y = j < b->count ? b->parts[j].base : UINT32_MAX;
        int32_t power = 0;
        if (x <= y) {
            power += a->parts[i++].power;
        }
        if (y <= x) {
            power += sign * b->parts[j++].power;
        }
        fits = fits && add_part(&d, x < y ? x : y, power);
    }
    if (fits) {
        *ret = d;
    }
    return fits;
}

struct unit unit_one(void)
{
    return (struct unit){{0}, {1, 1}};
}

static bool find_base(const struct rules_registry *r, struct bytes word, uint32_t *ret)
{
    for (size_t i = 0; i < r->base_count; i++) {
        if (bytes_equal(bytes_text(r->bases[i]), word)) {
            *ret = (uint32_t)i;
            return true;
        }
    }
    return false;
}

/* Units that are not their own base. */
static const struct {
    const char *word, *base;
    int num, den;
} derived[] = {
    {"kWh", "Wh", 1000, 1}, {"MWh", "Wh", 1000000, 1}, {"min", "h", 1, 60},
    {"kg", "g", 1000, 1},   {"pct", NULL, 1, 100},
};

bool unit_find(const struct rules_registry *r, struct bytes word, struct unit *ret)
{
    struct unit u = unit_one();
    struct bytes base = word;
    for (size_t i = 0; i < sizeof derived / sizeof derived[0]; i++) {
        if (bytes_equal(word, bytes_text(derived[i].word))) {
            u.scale = (struct num_ratio){derived[i].num, derived[i].den};
            if (derived[i].base == NULL) {
                *ret = u;
                return true;
            }
            base = bytes_text(derived[i].base);
        }
    }
    uint32_t index = 0;
    if (!find_base(r, base, &index)) {
        return false;
    }
    u.dim.count = 1;
    u.dim.parts[0] = (struct dim_part){index, 1};
    *ret = u;
    return true;
}

bool unit_multiply(const struct unit *a, const struct unit *b, int sign, struct unit *ret)
{
    struct unit u = {0};
    enum num_end e = sign > 0 ? num_scale_mul(a->scale, b->scale, &u.scale)
                              : num_scale_div(a->scale, b->scale, &u.scale);
    if (e != NUM_OK || !dim_multiply(&a->dim, &b->dim, sign, &u.dim)) {
        return false;
    }
    *ret = u;
    return true;
}

static void print_powers(const struct rules_registry *r, const struct dim *d, bool positive,
                         struct buf *out)
{
    bool first = true;
    for (uint32_t i = 0; i < d->count; i++) {
        int32_t power = positive ? d->parts[i].power : -d->parts[i].power;
        if (power <= 0) {
            continue;
        }
        buf_put_text(out, first ? "" : "*");
        buf_put_text(out, r->bases[d->parts[i].base]);
        if (power > 1) {
            buf_printf(out, "^%d", power);
        }
        first = false;
    }
}

void dim_print(const struct rules_registry *r, const struct dim *d, struct buf *out)
{
    bool above = false;
    bool below = false;
    for (uint32_t i = 0; i < d->count; i++) {
        above |= d->parts[i].power > 0;
        below |= d->parts[i].power < 0;
    }
    print_powers(r, d, true, out);
    if (below) {
        buf_put_text(out, above ? "/" : "1/");
        print_powers(r, d, false, out);
    }
}

void unit_print_suffix(const struct rules_registry *r, const struct unit *u, struct buf *out)
{
    char text[NUM_TEXT_MAX];
    if (u->scale.num != 1 || u->scale.den != 1) {
        (void)num_print(u->scale.num, text);
        buf_put_text(out, "*");
        buf_put_text(out, text);
    }
    if (u->scale.den != 1) {
        (void)num_print(u->scale.den, text);
        buf_put_text(out, "/");
        buf_put_text(out, text);
    }
    if (u->dim.count > 0) {
        buf_put_text(out, " ");
        dim_print(r, &u->dim, out);
    }
}

const struct measure *registry_of_dim(const struct rules_registry *r, const struct dim *dim)
{
    for (size_t i = 0; i < r->count; i++) {
        if (dim_equal(&r->lines[i].unit.dim, dim)) {
            return &r->lines[i];
        }
    }
    return NULL;
}

void measure_print(const struct measure *m, int128 quanta, struct buf *out)
{
    char text[NUM_TEXT_MAX];
    size_t size = num_print_decimal(quanta, m->multiple, m->decimals, text);
    buf_put(out, text, size);
    buf_put_text(out, " ");
    buf_put_bytes(out, m->name);
}

bool measure_make(const struct unit *unit, int128 count, unsigned decimals, struct measure *ret)
{
    if (count <= 0 || decimals > NUM_DECIMALS_MAX) {
        return false;
    }
    struct measure m = *ret;
    m.quantum = num_scale(count, num_power10(decimals));
    m.unit.dim = unit->dim;
    if (num_quantum_decimals(m.quantum, &m.multiple, &m.decimals) != NUM_OK ||
        num_scale_mul(m.quantum, unit->scale, &m.unit.scale) != NUM_OK ||
        m.quantum.num > INT64_MAX) {
        return false;
    }
    *ret = m;
    return true;
}

/* ---- the registry ---- */

static bool is_currency(struct bytes word)
{
    if (word.size < CURRENCY_MIN || word.size > CURRENCY_MAX) {
        return false;
    }
    for (size_t i = 0; i < word.size; i++) {
        if (word.data[i] < 'A' || word.data[i] > 'Z') {
            return false;
        }
    }
    return true;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void add_base(struct rules_registry *r, struct bytes word)
{
    uint32_t index = 0;
    if (find_base(r, word, &index)) {
        return;
    }
    char *name = mem_new(word.size + 1, 1);
    memcpy(name, word.data, word.size);
    r->bases = mem_resize(r->bases, r->base_count + 1, sizeof *r->bases);
    r->bases[r->base_count++] = name;
    qsort(r->bases, r->base_count, sizeof *r->bases, compare_names);
}

/* The next word of a line, or an empty view. */
static struct bytes next_word(struct bytes *line)
{
    size_t i = 0;
    while (i < line->size && line->data[i] == ' ') {
        i++;
    }
    size_t start = i;
    while (i < line->size && line->data[i] != ' ') {
        i++;
    }
    struct bytes word = bytes_of(line->data + start, i - start);
    *line = bytes_of(line->data + i, line->size - i);
    return word;
}

struct line {
    struct bytes unit, number; /* unit is empty on a line that says nothing */
};

static bool split_line(struct bytes text, struct line *ret)
{
    for (size_t i = 0; i + 1 < text.size; i++) {
        if (text.data[i] == '/' && text.data[i + 1] == '/') {
            text.size = i;
        }
    }
    *ret = (struct line){{NULL, 0}, {NULL, 0}};
    struct bytes first = next_word(&text);
    if (first.size == 0) {
        return true;
    }
    ret->unit = next_word(&text);
    struct bytes to = next_word(&text);
    ret->number = next_word(&text);
    return bytes_equal(first, bytes_text("measure")) && ret->unit.size > 0 &&
           bytes_equal(to, bytes_text("to")) && ret->number.size > 0 && next_word(&text).size == 0;
}

static err add_line(struct rules_registry *r, const struct line *l, struct errtext *reterr)
{
    struct unit unit = {0};
    if (!unit_find(r, l->unit, &unit)) {
        return err_fail(reterr, ERR_INVALID, "%.*s is no unit", (int)l->unit.size,
                        (const char *)l->unit.data);
    }
    if (registry_of_dim(r, &unit.dim) != NULL) {
        return err_fail(reterr, ERR_INVALID, "there is a measure of this dimension already");
    }
    int128 count = 0;
    unsigned decimals = 0;
    struct measure m = {0};
    if (num_decimal_parse(l->number, &count, &decimals) != NUM_OK ||
        !measure_make(&unit, count, decimals, &m)) {
        return err_fail(reterr, ERR_INVALID, "%.*s is no quantum: a positive decimal is needed",
                        (int)l->number.size, (const char *)l->number.data);
    }
    char *name = mem_new(l->unit.size + 1, 1);
    memcpy(name, l->unit.data, l->unit.size);
    m.name = bytes_of(name, l->unit.size);
    r->lines = mem_resize(r->lines, r->count + 1, sizeof *r->lines);
    r->lines[r->count++] = m;
    return err_ok();
}

/* Calls add_base or, the second time, add_line for every line. */
static err walk_lines(struct rules_registry *r, struct bytes text, bool units,
                      struct errtext *reterr)
{
    size_t number = 0;
    for (size_t at = 0; at < text.size;) {
        size_t end = at;
        while (end < text.size && text.data[end] != '\n') {
            end++;
        }
        number++;
        struct line l;
        if (!split_line(bytes_of(text.data + at, end - at), &l)) {
            return err_fail(reterr, ERR_INVALID, "line %zu: measure UNIT to NUMBER expected",
                            number);
        }
        at = end + 1;
        if (l.unit.size == 0) {
            continue;
        }
        if (units && r->count == RULES_REGISTRY_LINES_MAX) {
            return err_fail(reterr, ERR_LIMIT, "line %zu: more than %d measures", number,
                            RULES_REGISTRY_LINES_MAX);
        }
        if (units) {
            err e = add_line(r, &l, reterr);
            if (failed(e)) {
                return err_wrapf(reterr, e, "line %zu", number);
            }
        } else if (is_currency(l.unit)) {
            add_base(r, l.unit);
        }
    }
    return err_ok();
}

err rules_registry_parse(struct bytes text, struct rules_registry **ret, struct errtext *reterr)
{
    require(ret != NULL);
    if (text.size > RULES_REGISTRY_BYTES_MAX) {
        return err_fail(reterr, ERR_LIMIT, "the registry is longer than %d bytes",
                        RULES_REGISTRY_BYTES_MAX);
    }
    struct rules_registry *r = mem_new(1, sizeof *r);
    add_base(r, bytes_text("Wh"));
    add_base(r, bytes_text("h"));
    add_base(r, bytes_text("g"));
    err e = walk_lines(r, text, false, reterr);
    if (!failed(e)) {
        e = walk_lines(r, text, true, reterr);
    }
    if (failed(e)) {
        rules_registry_free(r);
        return e;
    }
    *ret = r;
    return e;
}

struct rules_registry *rules_registry_default(void)
{
    struct rules_registry *r = NULL;
    err e = rules_registry_parse(bytes_text("measure EUR to 0.01\nmeasure Wh to 0.001\n"
                                            "measure h to 0.25\nmeasure g to 1\n"
                                            "measure pct to 0.0001\nmeasure CIG to 0.01\n"),
                                 &r, NULL);
    require(!failed(e));
    require(r != NULL);
    return r;
}

void rules_registry_free(struct rules_registry *r)
{
    if (r == NULL) {
        return;
    }
    for (size_t i = 0; i < r->base_count; i++) {
        free(r->bases[i]);
    }
    for (size_t i = 0; i < r->count; i++) {
        free((void *)(uintptr_t)r->lines[i].name.data);
    }
    free(r->bases);
    free(r->lines);
    free(r);
}

size_t rules_registry_count(const struct rules_registry *r)
{
    require(r != NULL);
    return r->count;
}

static struct rules_measure public_measure(const struct measure *m)
{
    return (struct rules_measure){(const char *)m->name.data, (uint64_t)m->quantum.num,
                                  (uint64_t)m->quantum.den, (uint8_t)m->decimals};
}

struct rules_measure rules_registry_at(const struct rules_registry *r, size_t index)
{
    require(r != NULL);
    require(index < r->count);
    return public_measure(&r->lines[index]);
}

bool rules_registry_find(const struct rules_registry *r, struct bytes unit,
                         struct rules_measure *ret)
{
    require(r != NULL);
    for (size_t i = 0; i < r->count; i++) {
        if (bytes_equal(r->lines[i].name, unit)) {
            *ret = public_measure(&r->lines[i]);
            return true;
        }
    }
    return false;
}

void rules_amount_print(struct rules_measure measure, int64_t quanta, struct buf *out)
{
    require(measure.unit != NULL);
    require(measure.quantum_den > 0);
    struct num_ratio q = num_scale((int128)measure.quantum_num, (int128)measure.quantum_den);
    uint64_t multiple = 0;
    unsigned decimals = 0;
    require(num_quantum_decimals(q, &multiple, &decimals) == NUM_OK);
    char text[NUM_TEXT_MAX];
    size_t size = num_print_decimal(quanta, multiple, decimals, text);
    buf_put(out, text, size);
    buf_put_text(out, " ");
    buf_put_text(out, measure.unit);
}
