/* Civil time without libc and without tzdata: every node computes the same answer for ever.
 *
 * Glossary. A *day* is the number of days since 1970-01-01 in the proleptic Gregorian calendar,
 * years 1 to 9999. A *time* is an instant: seconds since 1970-01-01T00:00:00Z, rounded down, and
 * nanoseconds (0 to 999,999,999); years 1 to 9999 UTC. A *duration* is an int64 of nanoseconds. A
 * *zone* is UTC, a fixed offset, or one of the zones that follow the EU rule: one hour ahead of
 * standard time from the last Sunday of March 01:00 UTC to the last Sunday of October 01:00 UTC
 * (Directive 2000/84/EC; 97/44/EC for 1998 to 2001; the same dates applied in 1997), from the local
 * year 1997 on; earlier is NUM_CIVIL. Functions are pure; any thread; `ret` written on NUM_OK
 * only. Days and times passed in must be valid (required); those that come out are. */
#ifndef RULES_CIVIL_H
#define RULES_CIVIL_H

#include "rules/num.h"

enum {
    CIVIL_DAY_MIN = -719162,      /* 0001-01-01 */
    CIVIL_DAY_MAX = 2932896,      /* 9999-12-31 */
    CIVIL_DATE_TEXT_MAX = 11,     /* YYYY-MM-DD and NUL */
    CIVIL_TIME_TEXT_MAX = 31,     /* YYYY-MM-DDThh:mm:ss.nnnnnnnnnZ and NUL */
    CIVIL_DURATION_TEXT_MAX = 23, /* -9223372036.854775808s and NUL */
};
#define CIVIL_SECONDS_MIN (INT64_C(86400) * CIVIL_DAY_MIN)
#define CIVIL_SECONDS_MAX (INT64_C(86400) * CIVIL_DAY_MAX + 86399)

struct civil_date {
    int32_t year;       /* 1 to 9999 */
    int32_t month, day; /* 1 to 12, 1 to 31 */
};

struct civil_time {
    int64_t seconds;
    uint32_t nanos;
};

struct civil_zone {
    int32_t offset_s; /* standard time minus UTC */
    bool summer;      /* follows the EU rule */
};

/* ---- days ---- */

/* The day is within the years 1 to 9999. */
bool civil_day_valid(int64_t day);

/* The day of a calendar date. FORM if there is no such date within years 1 to 9999. */
enum num_end civil_day_make(struct civil_date date, int32_t *ret) NUM_MUST_USE;

/* The calendar date of a day. */
struct civil_date civil_day_split(int32_t day);

/* `YYYY-MM-DD`. FORM. */
enum num_end civil_day_parse(struct bytes text, int32_t *ret) NUM_MUST_USE;

/* `YYYY-MM-DD` with a NUL; returns its length. text has room for CIVIL_DATE_TEXT_MAX. */
size_t civil_day_print(int32_t day, char *text);

/* Day of the week, Monday 1 to Sunday 7 (ISO 8601). */
int32_t civil_day_weekday(int32_t day);

/* Day of the year, 1 January is 1. */
int32_t civil_day_of_year(int32_t day);

/* ISO 8601 week, 1 to 53, of the ISO year *ret_year. */
int32_t civil_day_iso_week(int32_t day, int32_t *ret_year);

/* First day of the month of the day. */
int32_t civil_day_month(int32_t day);

/* Monday of the ISO week of the day. RANGE. */
enum num_end civil_day_monday(int32_t day, int32_t *ret) NUM_MUST_USE;

/* day + n days. RANGE. */
enum num_end civil_day_add(int32_t day, int64_t n, int32_t *ret) NUM_MUST_USE;

/* What to do when the target month has no such day. */
enum civil_missing {
    CIVIL_MISSING_DOWN, /* last day of that month */
    CIVIL_MISSING_UP,   /* first day of the next */
    CIVIL_MISSING_FAIL, /* NUM_CIVIL */
};

/* The same day of the month, n months later. RANGE, CIVIL. */
enum num_end civil_day_add_months(int32_t day, int64_t n, enum civil_missing missing,
                                  int32_t *ret) NUM_MUST_USE;

/* ---- zones ---- */

/* `UTC`, `+hh:mm`, `-hh:mm`, `hh:mm` (as CEL) up to 23:59, and Europe/Paris, Amsterdam, Brussels,
 * Berlin, Madrid, Rome. CIVIL otherwise. */
enum num_end civil_zone_parse(struct bytes text, struct civil_zone *ret) NUM_MUST_USE;

/* Seconds that local time is ahead of UTC at the instant. CIVIL before the local year 1997 in a
 * zone with summer time. */
enum num_end civil_zone_offset(struct civil_zone zone, int64_t seconds, int32_t *ret) NUM_MUST_USE;

/* The local day of an instant: `day(t, zone)`. CIVIL, RANGE. */
enum num_end civil_time_day(struct civil_time t, struct civil_zone zone, int32_t *ret) NUM_MUST_USE;

/* The first instant of a local day: `midnight(d, zone)`. CIVIL, RANGE. */
enum num_end civil_day_midnight(int32_t day, struct civil_zone zone,
                                struct civil_time *ret) NUM_MUST_USE;

/* An instant on the clocks of a zone, for CEL's ten getters (which count the month, the day of
 * the month of getDayOfMonth, and the day of the year from 0, and the weekday from Sunday 0). */
struct civil_parts {
    struct civil_date date;
    int32_t hour, minute, second, milli;
    int32_t weekday;     /* Sunday 0 to Saturday 6 */
    int32_t day_of_year; /* 1 January is 0 */
};

/* Splits an instant. CIVIL, RANGE. */
enum num_end civil_time_split(struct civil_time t, struct civil_zone zone,
                              struct civil_parts *ret) NUM_MUST_USE;

/* ---- instants and durations ---- */

/* Within the years 1 to 9999 and nanos below one second. */
bool civil_time_valid(struct civil_time t);

/* The instant of whole seconds: `timestamp(int)`. RANGE. */
enum num_end civil_time_make(int64_t seconds, struct civil_time *ret) NUM_MUST_USE;

/* t + nanos. RANGE. The delta is 128 bits so that t - d is t + -(int128)d for every duration. */
enum num_end civil_time_add(struct civil_time t, int128 nanos, struct civil_time *ret) NUM_MUST_USE;

/* a - b in nanoseconds. OVERFLOW. */
enum num_end civil_time_sub(struct civil_time a, struct civil_time b, int64_t *ret) NUM_MUST_USE;

/* Negative, zero or positive. */
int civil_time_compare(struct civil_time a, struct civil_time b);

/* RFC 3339: `YYYY-MM-DD(T|t)hh:mm:ss[.1-9 digits](Z|±hh:mm)`; seconds at most 59, year at least
 * 1, offsets at most 23:59. FORM; RANGE when the offset moves it out of the years 1 to 9999. */
enum num_end civil_time_parse(struct bytes text, struct civil_time *ret) NUM_MUST_USE;

/* RFC 3339 with Z and the fraction without trailing zeros; NUL; returns the length. text has room
 * for CIVIL_TIME_TEXT_MAX. */
size_t civil_time_print(struct civil_time t, char *text);

/* `[+-]?` then one or more of `(digits[.digits*]|.digits)(h|m|s|ms|us|ns)`, or `0`, `+0`, `-0`:
 * the sum, exact, truncated once towards zero. FORM (also longer than DURATION_TEXT_BYTES_MAX),
 * OVERFLOW beyond int64 nanoseconds. */
enum num_end civil_duration_parse(struct bytes text, int64_t *ret) NUM_MUST_USE;

/* Seconds, the fraction without trailing zeros, `s`: `-1.5s`; NUL; returns the length. text has
 * room for CIVIL_DURATION_TEXT_MAX. */
size_t civil_duration_print(int64_t nanos, char *text);

#endif
