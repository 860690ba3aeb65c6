/* Days, times, zones, durations (section 9; forms of text: 21.9), without libc and without tzdata.
 * */
#include "rules/civil.h"

#include <string.h>

#include "base/limits.h"
#include "base/require.h"

enum {
    DAY_S = 86400,
    HOUR_S = 3600,
    DAY_1997 = 9862, /* 1997-01-01, from when the EU rule is the law of all its zones */
    DAYS_400Y = 146097,
    DAYS_100Y = 36524,
    DAYS_4Y = 1461,
    DAYS_1Y = 365,
};
#define NANOS_PER_S INT64_C(1000000000)

/* Days of a year before the first of each month, common and leap; [12] is the whole year. */
static const int32_t days_before[2][13] = {
    {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365},
    {0, 31, 60, 91, 121, 152, 182, 213, 244, 274, 305, 335, 366},
};

/* ---- days ---- */

static int leap(int32_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 1 : 0;
}

/* 1 January of a year from 1 on. */
static int32_t year_start(int32_t year)
{
    int32_t y = year - 1;
    return CIVIL_DAY_MIN + y * DAYS_1Y + y / 4 - y / 100 + y / 400;
}

static int32_t month_length(int32_t year, int32_t month)
{
    const int32_t *before = days_before[leap(year)];
    return before[month] - before[month - 1];
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0 ? 1 : 0);
}

bool civil_day_valid(int64_t day)
{
    return day >= CIVIL_DAY_MIN && day <= CIVIL_DAY_MAX;
}

enum num_end civil_day_make(struct civil_date d, int32_t *ret)
{
    require(ret != NULL);
    if (d.year < 1 || d.year > 9999 || d.month < 1 || d.month > 12 || d.day < 1 ||
        d.day > month_length(d.year, d.month)) {
        return NUM_FORM;
    }
    *ret = year_start(d.year) + days_before[leap(d.year)][d.month - 1] + d.day - 1;
    require(civil_day_valid(*ret));
    return NUM_OK;
}

struct civil_date civil_day_split(int32_t day)
{
    require(civil_day_valid(day));
    int32_t n = day - CIVIL_DAY_MIN; /* cycles of 400, 100, 4 and 1 years, from year 1 */
    int32_t year = 1 + n / DAYS_400Y * 400;
    n %= DAYS_400Y;
    int32_t centuries = n / DAYS_100Y < 3 ? n / DAYS_100Y : 3; /* the 4th has a day more */
    n -= centuries * DAYS_100Y;
    int32_t fours = n / DAYS_4Y;
    n %= DAYS_4Y;
    int32_t ones = n / DAYS_1Y < 3 ? n / DAYS_1Y : 3; /* and so has each 4th year */
    n -= ones * DAYS_1Y;
    year += centuries * 100 + fours * 4 + ones;
    const int32_t *before = days_before[leap(year)];
    int32_t month = n / 31 + 1; /* never too large, at most one too small */
    month += n >= before[month] ? 1 : 0;
    return (struct civil_date){year, month, n - before[month - 1] + 1};
}

int32_t civil_day_weekday(int32_t day)
{
    require(civil_day_valid(day));
    return (day - CIVIL_DAY_MIN) % 7 + 1; /* 0001-01-01 is a Monday */
}

int32_t civil_day_of_year(int32_t day)
{
    return day - year_start(civil_day_split(day).year) + 1;
}

int32_t civil_day_iso_week(int32_t day, int32_t *ret_year)
{
    require(civil_day_valid(day));
    require(ret_year != NULL);
    /* ISO 8601: a week belongs to the year that has its Thursday. */
    int32_t thursday = day - civil_day_weekday(day) + 4;
    int32_t year = civil_day_split(thursday).year; /* 9999-12-31 is a Friday: always valid */
    *ret_year = year;
    return (thursday - year_start(year)) / 7 + 1;
}

int32_t civil_day_month(int32_t day)
{
    return day - civil_day_split(day).day + 1;
}

enum num_end civil_day_monday(int32_t day, int32_t *ret)
{
    return civil_day_add(day, 1 - civil_day_weekday(day), ret);
}

enum num_end civil_day_add(int32_t day, int64_t n, int32_t *ret)
{
    require(civil_day_valid(day));
    require(ret != NULL);
    int64_t sum;
    if (__builtin_add_overflow((int64_t)day, n, &sum) || !civil_day_valid(sum)) {
        return NUM_RANGE;
    }
    *ret = (int32_t)sum;
    return NUM_OK;
}

enum num_end civil_day_add_months(int32_t day, int64_t n, enum civil_missing missing, int32_t *ret)
{
    require(ret != NULL);
    struct civil_date d = civil_day_split(day);
    int64_t months;
    if (__builtin_add_overflow((int64_t)d.year * 12 + d.month - 1, n, &months) || months < 12 ||
        months >= 10000 * 12) {
        return NUM_RANGE;
    }
    d.year = (int32_t)(months / 12);
    d.month = (int32_t)(months % 12) + 1;
    int32_t length = month_length(d.year, d.month);
    int32_t beyond = 0; /* December has 31 days, so the next month is never year 10000 */
    if (d.day > length) {
        switch (missing) {
        case CIVIL_MISSING_DOWN:
            break;
        case CIVIL_MISSING_UP:
            beyond = 1;
            break;
        case CIVIL_MISSING_FAIL:
            return NUM_CIVIL;
        }
        d.day = length;
    }
    int32_t base;
    enum num_end end = civil_day_make(d, &base);
    require(end == NUM_OK);
    *ret = base + beyond;
    return NUM_OK;
}

/* ---- text ---- */

/* A position in a text; every read that does not fit sets bad and answers 0. */
struct scan {
    struct bytes text;
    size_t at;
    bool bad;
};

static uint8_t scan_peek(const struct scan *s)
{
    return s->at < s->text.size ? s->text.data[s->at] : 0;
}

static bool scan_digit(const struct scan *s)
{
    return scan_peek(s) >= '0' && scan_peek(s) <= '9';
}

/* Exactly count digits. */
static int32_t scan_number(struct scan *s, unsigned count)
{
    int32_t v = 0;
    for (unsigned i = 0; i < count; i++) {
        if (!scan_digit(s)) {
            s->bad = true;
            return 0;
        }
        v = v * 10 + (s->text.data[s->at++] - '0');
    }
    return v;
}

static bool scan_skip(struct scan *s, char c)
{
    bool there = s->at < s->text.size && s->text.data[s->at] == (uint8_t)c;
    s->at += there ? 1 : 0;
    return there;
}

static void scan_expect(struct scan *s, char c)
{
    s->bad = !scan_skip(s, c) || s->bad;
}

static bool scan_done(const struct scan *s)
{
    return !s->bad && s->at == s->text.size;
}

/* YYYY-MM-DD; a date that does not exist is bad. */
static int32_t scan_day(struct scan *s)
{
    struct civil_date d;
    d.year = scan_number(s, 4);
    scan_expect(s, '-');
    d.month = scan_number(s, 2);
    scan_expect(s, '-');
    d.day = scan_number(s, 2);
    int32_t day = 0;
    s->bad = s->bad || civil_day_make(d, &day) != NUM_OK;
    return day;
}

/* hh:mm up to 23:59, in seconds. */
static int32_t scan_hour_minute(struct scan *s)
{
    int32_t hour = scan_number(s, 2);
    scan_expect(s, ':');
    int32_t minute = scan_number(s, 2);
    s->bad = s->bad || hour > 23 || minute > 59;
    return hour * HOUR_S + minute * 60;
}

enum num_end civil_day_parse(struct bytes text, int32_t *ret)
{
    require(ret != NULL);
    struct scan s = {.text = text};
    int32_t day = scan_day(&s);
    if (!scan_done(&s)) {
        return NUM_FORM;
    }
    *ret = day;
    return NUM_OK;
}

/* Writes v with exactly count digits; returns the position after them. */
static char *put_number(char *at, uint32_t v, unsigned count)
{
    for (unsigned i = count; i > 0; i--) {
        at[i - 1] = (char)('0' + v % 10);
        v /= 10;
    }
    require(v == 0);
    return at + count;
}

/* Writes a point and the nanoseconds without trailing zeros; nothing for 0. */
static char *put_fraction(char *at, uint32_t nanos)
{
    require(nanos < NANOS_PER_S);
    if (nanos == 0) {
        return at;
    }
    *at++ = '.';
    char *end = put_number(at, nanos, 9);
    while (end[-1] == '0') {
        end--;
    }
    return end;
}

size_t civil_day_print(int32_t day, char *text)
{
    require(text != NULL);
    struct civil_date d = civil_day_split(day);
    char *at = put_number(text, (uint32_t)d.year, 4);
    *at++ = '-';
    at = put_number(at, (uint32_t)d.month, 2);
    *at++ = '-';
    at = put_number(at, (uint32_t)d.day, 2);
    *at = 0;
    return (size_t)(at - text);
}

/* ---- zones ---- */

enum num_end civil_zone_parse(struct bytes text, struct civil_zone *ret)
{
    /* Central European Time, all under the EU rule. */
    static const char *const central[] = {"Europe/Paris",  "Europe/Amsterdam", "Europe/Brussels",
                                          "Europe/Berlin", "Europe/Madrid",    "Europe/Rome"};
    require(ret != NULL);
    if (bytes_equal(text, bytes_text("UTC"))) {
        *ret = (struct civil_zone){0, false};
        return NUM_OK;
    }
    for (size_t i = 0; i < sizeof central / sizeof central[0]; i++) {
        if (bytes_equal(text, bytes_text(central[i]))) {
            *ret = (struct civil_zone){HOUR_S, true};
            return NUM_OK;
        }
    }
    struct scan s = {.text = text};
    bool west = scan_skip(&s, '-');
    if (!west) {
        (void)scan_skip(&s, '+');
    }
    int32_t offset = scan_hour_minute(&s);
    if (!scan_done(&s)) {
        return NUM_CIVIL;
    }
    *ret = (struct civil_zone){west ? -offset : offset, false};
    return NUM_OK;
}

/* 01:00 UTC on the last Sunday of a month of 31 days. */
static int64_t last_sunday(int32_t year, int32_t month)
{
    int32_t last = year_start(year) + days_before[leap(year)][month] - 1;
    return (int64_t)(last - civil_day_weekday(last) % 7) * DAY_S + HOUR_S;
}

/* Whether the EU rule's summer time is in force. */
static bool summer_at(int64_t seconds)
{
    int32_t year = civil_day_split((int32_t)floor_div(seconds, DAY_S)).year;
    return seconds >= last_sunday(year, 3) && seconds < last_sunday(year, 10);
}

enum num_end civil_zone_offset(struct civil_zone zone, int64_t seconds, int32_t *ret)
{
    require(seconds >= CIVIL_SECONDS_MIN);
    require(seconds <= CIVIL_SECONDS_MAX);
    require(ret != NULL);
    if (!zone.summer) {
        *ret = zone.offset_s;
        return NUM_OK;
    }
    if (seconds + zone.offset_s < (int64_t)DAY_1997 * DAY_S) {
        return NUM_CIVIL;
    }
    *ret = zone.offset_s + (summer_at(seconds) ? HOUR_S : 0);
    return NUM_OK;
}

/* Local seconds of an instant, within the years 1 to 9999. */
static enum num_end local_seconds(struct civil_time t, struct civil_zone zone, int64_t *ret)
{
    require(civil_time_valid(t));
    int32_t offset;
    enum num_end end = civil_zone_offset(zone, t.seconds, &offset);
    if (end != NUM_OK) {
        return end;
    }
    int64_t local = t.seconds + offset;
    if (local < CIVIL_SECONDS_MIN || local > CIVIL_SECONDS_MAX) {
        return NUM_RANGE;
    }
    *ret = local;
    return NUM_OK;
}

enum num_end civil_time_day(struct civil_time t, struct civil_zone zone, int32_t *ret)
{
    int64_t local;
    enum num_end end = local_seconds(t, zone, &local);
    if (end == NUM_OK) {
        *ret = (int32_t)floor_div(local, DAY_S);
    }
    return end;
}

enum num_end civil_day_midnight(int32_t day, struct civil_zone zone, struct civil_time *ret)
{
    require(civil_day_valid(day));
    if (zone.summer && day < DAY_1997) {
        return NUM_CIVIL;
    }
    int64_t standard = (int64_t)day * DAY_S - zone.offset_s;
    /* 00:00 by summer time comes first if it exists; if the clock jumps over it, 00:00 by standard
     * time is the instant of the jump. */
    if (zone.summer && summer_at(standard - HOUR_S)) {
        standard -= HOUR_S;
    }
    return civil_time_make(standard, ret);
}

enum num_end civil_time_split(struct civil_time t, struct civil_zone zone, struct civil_parts *ret)
{
    require(ret != NULL);
    int64_t local;
    enum num_end end = local_seconds(t, zone, &local);
    if (end != NUM_OK) {
        return end;
    }
    int32_t day = (int32_t)floor_div(local, DAY_S);
    int32_t second = (int32_t)(local - (int64_t)day * DAY_S);
    *ret = (struct civil_parts){
        .date = civil_day_split(day),
        .hour = second / HOUR_S,
        .minute = second / 60 % 60,
        .second = second % 60,
        .milli = (int32_t)(t.nanos / 1000000),
        .weekday = civil_day_weekday(day) % 7,
        .day_of_year = civil_day_of_year(day) - 1,
    };
    return NUM_OK;
}

/* ---- instants ---- */

bool civil_time_valid(struct civil_time t)
{
    return t.seconds >= CIVIL_SECONDS_MIN && t.seconds <= CIVIL_SECONDS_MAX &&
           t.nanos < NANOS_PER_S;
}

enum num_end civil_time_make(int64_t seconds, struct civil_time *ret)
{
    require(ret != NULL);
    struct civil_time t = {.seconds = seconds};
    if (!civil_time_valid(t)) {
        return NUM_RANGE;
    }
    *ret = t;
    return NUM_OK;
}

/* Nanoseconds since 1970: below 2^69 in magnitude. */
static int128 total_nanos(struct civil_time t)
{
    require(civil_time_valid(t));
    return (int128)t.seconds * NANOS_PER_S + t.nanos;
}

enum num_end civil_time_add(struct civil_time t, int128 nanos, struct civil_time *ret)
{
    require(ret != NULL);
    int128 sum;
    if (num_add(total_nanos(t), nanos, &sum) != NUM_OK) {
        return NUM_RANGE;
    }
    int128 rest = sum % NANOS_PER_S;
    rest += rest < 0 ? NANOS_PER_S : 0;
    int128 seconds = (sum - rest) / NANOS_PER_S;
    if (seconds < CIVIL_SECONDS_MIN || seconds > CIVIL_SECONDS_MAX) {
        return NUM_RANGE;
    }
    *ret = (struct civil_time){(int64_t)seconds, (uint32_t)rest};
    return NUM_OK;
}

enum num_end civil_time_sub(struct civil_time a, struct civil_time b, int64_t *ret)
{
    return num_narrow(total_nanos(a) - total_nanos(b), ret);
}

int civil_time_compare(struct civil_time a, struct civil_time b)
{
    if (a.seconds != b.seconds) {
        return a.seconds < b.seconds ? -1 : 1;
    }
    return (a.nanos > b.nanos) - (a.nanos < b.nanos);
}

/* `.` and 1 to 9 digits, as nanoseconds; 0 if there is no point. */
static uint32_t scan_fraction(struct scan *s)
{
    if (!scan_skip(s, '.')) {
        return 0;
    }
    uint32_t nanos = 0, digits = 0;
    for (; digits < 9 && scan_digit(s); digits++) {
        nanos = nanos * 10 + (uint32_t)(s->text.data[s->at++] - '0');
    }
    s->bad = s->bad || digits == 0;
    for (; digits < 9; digits++) {
        nanos *= 10;
    }
    return nanos;
}

/* Z or ±hh:mm, in seconds. */
static int32_t scan_offset(struct scan *s)
{
    if (scan_skip(s, 'Z')) {
        return 0;
    }
    bool west = scan_skip(s, '-');
    if (!west) {
        scan_expect(s, '+');
    }
    int32_t offset = scan_hour_minute(s);
    return west ? -offset : offset;
}

enum num_end civil_time_parse(struct bytes text, struct civil_time *ret)
{
    require(ret != NULL);
    struct scan s = {.text = text};
    int32_t day = scan_day(&s);
    if (!scan_skip(&s, 'T')) {
        scan_expect(&s, 't');
    }
    int32_t second = scan_hour_minute(&s);
    scan_expect(&s, ':');
    int32_t last = scan_number(&s, 2);
    uint32_t nanos = scan_fraction(&s);
    int32_t offset = scan_offset(&s);
    if (!scan_done(&s) || last > 59) {
        return NUM_FORM;
    }
    struct civil_time t = {(int64_t)day * DAY_S + second + last - offset, nanos};
    if (!civil_time_valid(t)) {
        return NUM_RANGE;
    }
    *ret = t;
    return NUM_OK;
}

size_t civil_time_print(struct civil_time t, char *text)
{
    require(civil_time_valid(t));
    int32_t day = (int32_t)floor_div(t.seconds, DAY_S);
    uint32_t second = (uint32_t)(t.seconds - (int64_t)day * DAY_S);
    char *at = text + civil_day_print(day, text);
    *at++ = 'T';
    at = put_number(at, second / HOUR_S, 2);
    *at++ = ':';
    at = put_number(at, second / 60 % 60, 2);
    *at++ = ':';
    at = put_number(at, second % 60, 2);
    at = put_fraction(at, t.nanos);
    *at++ = 'Z';
    *at = 0;
    require(at - text < CIVIL_TIME_TEXT_MAX);
    return (size_t)(at - text);
}

/* ---- durations ---- */

/* A sum of decimal numbers of any length: whole nanoseconds, and per decimal below them the sum of
 * what the components have there, carried once at the end. A digit adds at most 9 * 36 and there
 * are fewer components than bytes, so neither can wrap. */
struct duration_sum {
    uint128 whole;
    uint32_t below[DURATION_TEXT_BYTES_MAX];
};

/* A unit is factor * 10^shift nanoseconds. */
struct duration_unit {
    uint32_t factor;
    size_t shift;
};

static struct duration_unit scan_unit(struct scan *s)
{
    if (scan_skip(s, 'h')) {
        return (struct duration_unit){36, 11};
    }
    if (scan_skip(s, 'm')) {
        return scan_skip(s, 's') ? (struct duration_unit){1, 6} : (struct duration_unit){6, 10};
    }
    if (scan_skip(s, 's')) {
        return (struct duration_unit){1, 9};
    }
    if (scan_skip(s, 'u')) {
        scan_expect(s, 's');
        return (struct duration_unit){1, 3};
    }
    scan_expect(s, 'n');
    scan_expect(s, 's');
    return (struct duration_unit){1, 0};
}

/* The digits at the position, as a view. */
static struct bytes scan_digits(struct scan *s)
{
    size_t start = s->at;
    while (scan_digit(s)) {
        s->at++;
    }
    return bytes_of(s->text.data + start, s->at - start);
}

/* One more digit of a whole number; far above int64 it stays where it is. */
static uint128 whole_digit(uint128 whole, uint8_t digit)
{
    const uint128 enough = (uint128)1 << 100;
    return whole > enough ? whole : whole * 10 + digit;
}

static void scan_component(struct scan *s, struct duration_sum *sum)
{
    struct bytes digits = scan_digits(s), decimals = {0};
    if (scan_skip(s, '.')) {
        decimals = scan_digits(s);
    }
    s->bad = s->bad || digits.size + decimals.size == 0;
    struct duration_unit unit = scan_unit(s);
    if (s->bad) {
        return;
    }
    uint128 whole = 0;
    for (size_t i = 0; i < digits.size; i++) {
        whole = whole_digit(whole, (uint8_t)(digits.data[i] - '0'));
    }
    for (size_t i = 0; i < unit.shift; i++) {
        whole = whole_digit(whole, i < decimals.size ? (uint8_t)(decimals.data[i] - '0') : 0);
    }
    sum->whole += whole * unit.factor;
    for (size_t i = unit.shift; i < decimals.size; i++) {
        sum->below[i - unit.shift] += unit.factor * (uint32_t)(decimals.data[i] - '0');
    }
}

enum num_end civil_duration_parse(struct bytes text, int64_t *ret)
{
    require(ret != NULL);
    if (text.size > DURATION_TEXT_BYTES_MAX) {
        return NUM_FORM;
    }
    struct scan s = {.text = text};
    bool negative = scan_skip(&s, '-');
    if (!negative) {
        (void)scan_skip(&s, '+');
    }
    if (scan_peek(&s) == '0' && s.at + 1 == text.size) { /* the only number without a unit */
        *ret = 0;
        return NUM_OK;
    }
    struct duration_sum sum = {0};
    do {
        scan_component(&s, &sum);
    } while (!s.bad && s.at < text.size);
    if (s.bad) {
        return NUM_FORM;
    }
    uint32_t carry = 0;
    for (size_t i = DURATION_TEXT_BYTES_MAX; i > 0; i--) {
        carry = (sum.below[i - 1] + carry) / 10;
    }
    uint128 magnitude = sum.whole + carry;
    if (magnitude > (uint128)INT64_MAX + (negative ? 1 : 0)) {
        return NUM_OVERFLOW;
    }
    return num_narrow(negative ? -(int128)magnitude : (int128)magnitude, ret);
}

size_t civil_duration_print(int64_t nanos, char *text)
{
    require(text != NULL);
    uint128 magnitude = num_abs(nanos);
    char *at = text;
    if (nanos < 0) {
        *at++ = '-';
    }
    at += num_print((int128)(magnitude / NANOS_PER_S), at);
    at = put_fraction(at, (uint32_t)(magnitude % NANOS_PER_S));
    *at++ = 's';
    *at = 0;
    require(at - text < CIVIL_DURATION_TEXT_MAX);
    return (size_t)(at - text);
}
