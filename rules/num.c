/* Checked 64- and 128-bit arithmetic, rounding in one step, scales (sections 4.3, 5.2, 21.1). */
#include "rules/num.h"

#include <string.h>

#include "base/require.h"

static const char *const end_names[] = {
    [NUM_OK] = "ok",           [NUM_OVERFLOW] = "overflow", [NUM_DIVIDE] = "divide",
    [NUM_FORM] = "form",       [NUM_RANGE] = "range",       [NUM_NEGATIVE] = "negative",
    [NUM_WEIGHTS] = "weights", [NUM_CIVIL] = "civil",       [NUM_INEXACT] = "inexact",
};

static const char *const mode_names[] = {
    [NUM_HALF_UP] = "half_up", [NUM_HALF_EVEN] = "half_even", [NUM_DOWN] = "down",
    [NUM_UP] = "up",           [NUM_FLOOR] = "floor",         [NUM_CEILING] = "ceiling",
};

enum {
    MODE_COUNT = sizeof mode_names / sizeof mode_names[0],
    END_COUNT = sizeof end_names / sizeof end_names[0],
    CHUNK_DIGITS = 18, /* the largest power of ten a 64-bit division takes off at once */
};
#define CHUNK UINT64_C(1000000000000000000)

const char *num_end_name(enum num_end end)
{
    require((unsigned)end < END_COUNT);
    return end_names[end];
}

/* ---- 128 bits ---- */

enum num_end num_add(int128 a, int128 b, int128 *ret)
{
    int128 r;
    if (__builtin_add_overflow(a, b, &r)) {
        return NUM_OVERFLOW;
    }
    *ret = r;
    return NUM_OK;
}

enum num_end num_sub(int128 a, int128 b, int128 *ret)
{
    int128 r;
    if (__builtin_sub_overflow(a, b, &r)) {
        return NUM_OVERFLOW;
    }
    *ret = r;
    return NUM_OK;
}

enum num_end num_mul(int128 a, int128 b, int128 *ret)
{
    /* Most products have factors of 64 bits; the compiler's general check costs a library call. */
    if (a == (int64_t)a && b == (int64_t)b) {
        *ret = (int128)(int64_t)a * (int64_t)b;
        return NUM_OK;
    }
    int128 r;
    if (__builtin_mul_overflow(a, b, &r)) {
        return NUM_OVERFLOW;
    }
    *ret = r;
    return NUM_OK;
}

enum num_end num_neg(int128 a, int128 *ret)
{
    return num_sub(0, a, ret);
}

enum num_end num_narrow(int128 a, int64_t *ret)
{
    if (a < INT64_MIN || a > INT64_MAX) {
        return NUM_OVERFLOW;
    }
    *ret = (int64_t)a;
    return NUM_OK;
}

/* ---- 64 bits ---- */

enum num_end num_int_add(int64_t a, int64_t b, int64_t *ret)
{
    return num_narrow((int128)a + b, ret);
}

enum num_end num_int_sub(int64_t a, int64_t b, int64_t *ret)
{
    return num_narrow((int128)a - b, ret);
}

enum num_end num_int_mul(int64_t a, int64_t b, int64_t *ret)
{
    return num_narrow((int128)a * b, ret);
}

enum num_end num_int_div(int64_t a, int64_t b, int64_t *ret)
{
    if (b == 0) {
        return NUM_DIVIDE;
    }
    if (b == -1) {
        return num_int_neg(a, ret); /* min / -1 does not fit */
    }
    *ret = a / b;
    return NUM_OK;
}

enum num_end num_int_mod(int64_t a, int64_t b, int64_t *ret)
{
    if (b == 0) {
        return NUM_DIVIDE;
    }
    if (b == -1 && a == INT64_MIN) {
        return NUM_OVERFLOW;
    }
    *ret = b == -1 ? 0 : a % b;
    return NUM_OK;
}

enum num_end num_int_neg(int64_t a, int64_t *ret)
{
    return num_narrow(-(int128)a, ret);
}

/* ---- ratios and scales ---- */

uint128 num_abs(int128 a)
{
    return a < 0 ? -(uint128)a : (uint128)a;
}

uint128 num_gcd(uint128 a, uint128 b)
{
    while (b != 0) {
        uint128 r = a % b;
        a = b;
        b = r;
    }
    return a;
}

/* gcd of two positive numbers, of which it is a divisor, so it fits the signed type. */
static int128 gcd_positive(int128 a, int128 b)
{
    require(a > 0);
    require(b > 0);
    return (int128)num_gcd((uint128)a, (uint128)b);
}

struct num_ratio num_scale(int128 num, int128 den)
{
    int128 g = gcd_positive(num, den);
    return (struct num_ratio){num / g, den / g};
}

bool num_scale_equal(struct num_ratio a, struct num_ratio b)
{
    return a.num == b.num && a.den == b.den;
}

enum num_end num_scale_mul(struct num_ratio a, struct num_ratio b, struct num_ratio *ret)
{
    /* Reduced crosswise first, so that only results that really are too large overflow. */
    int128 g = gcd_positive(a.num, b.den);
    int128 h = gcd_positive(b.num, a.den);
    struct num_ratio r;
    enum num_end end = num_mul(a.num / g, b.num / h, &r.num);
    if (end == NUM_OK) {
        end = num_mul(a.den / h, b.den / g, &r.den);
    }
    if (end == NUM_OK) {
        *ret = r;
    }
    return end;
}

enum num_end num_scale_div(struct num_ratio a, struct num_ratio b, struct num_ratio *ret)
{
    return num_scale_mul(a, (struct num_ratio){b.den, b.num}, ret);
}

enum num_end num_scale_gcd(struct num_ratio a, struct num_ratio b, struct num_ratio *ret)
{
    /* gcd(a/b, c/d) = gcd(a, c) / lcm(b, d) for fractions in lowest terms; the result is too. */
    struct num_ratio r = {.num = gcd_positive(a.num, b.num)};
    int128 g = gcd_positive(a.den, b.den);
    enum num_end end = num_mul(a.den / g, b.den, &r.den);
    if (end == NUM_OK) {
        *ret = r;
    }
    return end;
}

enum num_end num_scale_factor(struct num_ratio from, struct num_ratio to, int128 *ret)
{
    struct num_ratio f;
    enum num_end end = num_scale_div(from, to, &f);
    if (end != NUM_OK) {
        return end;
    }
    if (f.den != 1) {
        return NUM_INEXACT;
    }
    *ret = f.num;
    return NUM_OK;
}

enum num_end num_convert(int128 count, struct num_ratio from, struct num_ratio to, int128 *ret)
{
    struct num_ratio f;
    enum num_end end = num_scale_div(from, to, &f);
    if (end != NUM_OK) {
        return end;
    }
    if (count % f.den != 0) { /* f is in lowest terms, so f.num cannot help */
        return NUM_INEXACT;
    }
    return num_mul(count / f.den, f.num, ret);
}

enum num_end num_ratio_make(int128 a, int128 b, struct num_ratio *ret)
{
    if (b == 0) {
        return NUM_DIVIDE;
    }
    *ret = (struct num_ratio){a, b};
    return NUM_OK;
}

enum num_end num_ratio_mul(struct num_ratio r, int128 x, struct num_ratio *ret)
{
    int128 num;
    enum num_end end = num_mul(r.num, x, &num);
    if (end == NUM_OK) {
        *ret = (struct num_ratio){num, r.den};
    }
    return end;
}

enum num_end num_ratio_div(struct num_ratio r, int128 x, struct num_ratio *ret)
{
    int128 den;
    enum num_end end = num_mul(r.den, x, &den);
    return end == NUM_OK ? num_ratio_make(r.num, den, ret) : end;
}

/* ---- rounding ---- */

bool num_mode_parse(struct bytes word, enum num_mode *ret)
{
    require(ret != NULL);
    for (unsigned i = 0; i < MODE_COUNT; i++) {
        if (bytes_equal(word, bytes_text(mode_names[i]))) {
            *ret = (enum num_mode)i;
            return true;
        }
    }
    return false;
}

const char *num_mode_name(enum num_mode mode)
{
    require((unsigned)mode < MODE_COUNT);
    return mode_names[mode];
}

/* Whether the magnitude whole + rest / den becomes whole + 1; 0 <= rest < den. */
static bool rounds_away(enum num_mode mode, bool negative, uint128 whole, uint128 rest, uint128 den)
{
    require(rest < den);
    uint128 lacking = den - rest; /* compared with rest instead of 2 * rest, which may not fit */
    switch (mode) {
    case NUM_HALF_UP:
        return rest >= lacking;
    case NUM_HALF_EVEN:
        return rest > lacking || (rest == lacking && whole % 2 == 1);
    case NUM_DOWN:
        return false;
    case NUM_UP:
        return rest != 0;
    case NUM_FLOOR:
        return negative && rest != 0;
    case NUM_CEILING:
        return !negative && rest != 0;
    }
    require(false);
    return false;
}

enum num_end num_round_wide(struct num_ratio x, struct num_ratio factor, enum num_mode mode,
                            int128 *ret)
{
    require(factor.num > 0);
    require(factor.den > 0);
    int128 num, den;
    if (num_mul(x.num, factor.num, &num) != NUM_OK || num_mul(x.den, factor.den, &den) != NUM_OK) {
        return NUM_OVERFLOW;
    }
    if (den == 0) {
        return NUM_DIVIDE;
    }
    bool negative = (num < 0) != (den < 0);
    uint128 n = num_abs(num), d = num_abs(den);
    uint128 whole = n / d, rest = n % d;
    /* Only d >= 2 leaves a rest, so whole + 1 never wraps. */
    whole += rounds_away(mode, negative, whole, rest, d) ? 1 : 0;
    if (whole > (uint128)INT128_MAX + (negative ? 1 : 0)) {
        return NUM_OVERFLOW;
    }
    *ret = negative ? (int128)-whole : (int128)whole;
    return NUM_OK;
}

enum num_end num_round(struct num_ratio x, struct num_ratio factor, enum num_mode mode,
                       int64_t *ret)
{
    int128 wide;
    enum num_end end = num_round_wide(x, factor, mode, &wide);
    return end == NUM_OK ? num_narrow(wide, ret) : end;
}

/* ---- decimal text ---- */

/* 192 bits, least limb first. */
struct wide {
    uint64_t limb[3];
};

static struct wide wide_mul(uint128 a, uint64_t b)
{
    uint128 low = (uint128)(uint64_t)a * b;
    uint128 high = (uint128)(uint64_t)(a >> 64) * b + (uint64_t)(low >> 64);
    return (struct wide){{(uint64_t)low, (uint64_t)high, (uint64_t)(high >> 64)}};
}

/* Divides in place, returns the remainder. */
static uint64_t wide_div(struct wide *w, uint64_t d)
{
    uint128 rest = 0;
    for (int i = 2; i >= 0; i--) {
        uint128 part = rest << 64 | w->limb[i];
        w->limb[i] = (uint64_t)(part / d);
        rest = part % d;
    }
    return (uint64_t)rest;
}

/* Writes the digits of v ending before `end`, at least `least` of them; returns their start. */
static char *put_digits(uint64_t v, unsigned least, char *end)
{
    char *at = end;
    while (v != 0 || end - at < (ptrdiff_t)least) {
        *--at = (char)('0' + v % 10);
        v /= 10;
    }
    return at;
}

size_t num_print_decimal(int128 count, uint64_t multiple, unsigned decimals, char *text)
{
    require(decimals <= NUM_DECIMALS_MAX);
    require(text != NULL);
    char digits[NUM_TEXT_MAX];
    char *end = digits + sizeof digits, *at = end;
    struct wide w = wide_mul(num_abs(count), multiple);
    while (w.limb[1] != 0 || w.limb[2] != 0) {
        at = put_digits(wide_div(&w, CHUNK), CHUNK_DIGITS, at);
    }
    unsigned placed = (unsigned)(end - at);
    at = put_digits(w.limb[0], placed > decimals ? 0 : decimals + 1 - placed, at);

    size_t size = (size_t)(end - at), whole = size - decimals, length = 0;
    if (count < 0 && multiple != 0) {
        text[length++] = '-';
    }
    memcpy(text + length, at, whole);
    length += whole;
    if (decimals > 0) {
        text[length++] = '.';
        memcpy(text + length, at + whole, decimals);
        length += decimals;
    }
    require(length < NUM_TEXT_MAX);
    text[length] = 0;
    return length;
}

size_t num_print(int128 v, char *text)
{
    return num_print_decimal(v, 1, 0, text);
}

int128 num_power10(unsigned n)
{
    require(n <= 37);
    int128 r = 1;
    for (unsigned i = 0; i < n; i++) {
        r *= 10;
    }
    return r;
}

enum num_end num_quantum_decimals(struct num_ratio quantum, uint64_t *ret_multiple,
                                  unsigned *ret_decimals)
{
    require(quantum.num > 0);
    require(quantum.den > 0);
    unsigned decimals = 0;
    while (decimals <= NUM_DECIMALS_MAX && num_power10(decimals) % quantum.den != 0) {
        decimals++;
    }
    if (decimals > NUM_DECIMALS_MAX) {
        return NUM_INEXACT;
    }
    int128 multiple;
    if (num_mul(quantum.num, num_power10(decimals) / quantum.den, &multiple) != NUM_OK ||
        multiple > UINT64_MAX) {
        return NUM_OVERFLOW;
    }
    *ret_multiple = (uint64_t)multiple;
    *ret_decimals = decimals;
    return NUM_OK;
}

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

enum num_end num_int_parse(struct bytes text, int64_t *ret)
{
    require(ret != NULL);
    bool negative = text.size > 0 && text.data[0] == '-';
    size_t start = negative ? 1 : 0;
    if (text.size == start) {
        return NUM_FORM;
    }
    uint64_t magnitude = 0;
    bool overflow = false;
    for (size_t i = start; i < text.size; i++) {
        if (!is_digit(text.data[i])) {
            return NUM_FORM;
        }
        overflow = overflow || __builtin_mul_overflow(magnitude, (uint64_t)10, &magnitude);
        overflow = overflow ||
                   __builtin_add_overflow(magnitude, (uint64_t)(text.data[i] - '0'), &magnitude);
    }
    if (overflow) {
        return NUM_OVERFLOW;
    }
    return num_narrow(negative ? -(int128)magnitude : (int128)magnitude, ret);
}

/* Appends the digits at *at to *count; returns how many there are. */
static size_t take_digits(struct bytes text, size_t *at, size_t digits_max, int128 *count)
{
    size_t taken = 0;
    while (taken < digits_max && *at < text.size && is_digit(text.data[*at])) {
        *count = *count * 10 + (text.data[(*at)++] - '0');
        taken++;
    }
    return taken;
}

enum num_end num_decimal_parse(struct bytes text, int128 *ret_count, unsigned *ret_decimals)
{
    require(ret_count != NULL);
    require(ret_decimals != NULL);
    enum { WHOLE_DIGITS_MAX = 19 }; /* as many as int64 has */
    bool negative = text.size > 0 && text.data[0] == '-';
    size_t at = negative ? 1 : 0, decimals = 0;
    int128 count = 0; /* at most 28 digits: 94 bits */
    if (take_digits(text, &at, WHOLE_DIGITS_MAX, &count) == 0) {
        return NUM_FORM;
    }
    if (at < text.size && text.data[at] == '.') {
        at++;
        decimals = take_digits(text, &at, NUM_DECIMALS_MAX, &count);
        if (decimals == 0) {
            return NUM_FORM;
        }
    }
    if (at != text.size) {
        return NUM_FORM;
    }
    *ret_count = negative ? -count : count;
    *ret_decimals = (unsigned)decimals;
    return NUM_OK;
}
