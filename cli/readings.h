/* Meter readings from a CSV file, whole and checked, before anything is made of them.
 *
 *   wide:  ts,c01,c02,...,p01,...      one line a quarter-hour; columns cNN consume, pNN produce;
 *          1664834400,235,,...,12.5    blank: no reading; other columns are not read
 *   long:  ts,point,wh                 one line a reading, in any order
 *
 * ts is Unix seconds or a time as RFC 3339 writes it; readings are Wh with at most three decimals,
 * kept as whole mWh. Fields may stand in double quotes, lines may end in CR LF. */
#ifndef CLI_READINGS_H
#define CLI_READINGS_H

#include "base/bytes.h"
#include "base/err.h"

enum {
    READINGS_FILE_MAX = 512 << 20,   /* some 25 years of a community of 150 */
    READINGS_POINTS_MAX = 2048,
    READINGS_COLUMNS_MAX = 8192,
    READINGS_MWH_DIGITS = 15,        /* before the point: 10^15 Wh, far inside 63 bits of mWh */
};

struct reading {
    uint32_t point; /* index */
    int64_t mwh;
};

/* One quarter-hour (or whatever the meters' interval is). */
struct slot {
    int64_t start_s; /* Unix seconds */
    size_t line;     /* of the file, for messages; of its first reading in a long file */
    size_t first, count; /* readings, ascending by the name of their point */
};

struct readings {
    char **points;      /* owned; names, ascending */
    size_t point_count;
    struct slot *slots; /* owned; ascending by time; none without readings */
    size_t slot_count, slot_room;
    struct reading *items; /* owned */
    size_t item_count, item_room;
    size_t blank_lines; /* of a wide file: without any reading, left out */
    char *ignored;      /* owned; names of the columns that were not read, or "" */
};

/* Reads a whole file's text. INVALID: "FILE:LINE:COLUMN: what is wrong", columns counted in bytes
 * from 1; LIMIT. On failure *ret is empty. */
err readings_parse(const char *file, struct bytes text, struct readings *ret,
                   struct errtext *reterr) ERR_MUST_USE;

/* Accepts an all-zero struct. */
void readings_done(struct readings *r);

/* pNN, as opposed to cNN. */
bool readings_is_producer(const char *point);

#endif
