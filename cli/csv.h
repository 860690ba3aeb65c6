/* Lines and fields of a CSV text, each with its place in the file (RFC 4180, without line feeds and
 * quotes inside of quoted fields). Nothing is copied. */
#ifndef CLI_CSV_H
#define CLI_CSV_H

#include "base/bytes.h"
#include "base/err.h"

struct csv {
    const char *file;
    struct bytes text;
    size_t at;   /* of the next byte */
    size_t line; /* from 1; of the line being read */
    size_t line_begin;
};

struct csv_field {
    struct bytes text; /* without quotes and blanks around it */
    size_t column;     /* from 1, in bytes */
    bool last;         /* of its line */
};

/* A byte order mark at the beginning is skipped. */
void csv_init(struct csv *c, const char *file, struct bytes text);

/* Goes to the next line that is not empty; false at the end of the text. */
bool csv_next_line(struct csv *c);

/* The next field of the line; the caller stops after the last one. INVALID: a bad quote. */
err csv_next_field(struct csv *c, struct csv_field *ret, struct errtext *reterr) ERR_MUST_USE;

/* INVALID with "FILE:LINE:COLUMN: ..." for a field of the current line. */
err csv_fail(const struct csv *c, const struct csv_field *f, struct errtext *reterr,
             const char *what);

/* The same with the field's text: "...: what: 'TEXT'". */
err csv_fail_text(const struct csv *c, const struct csv_field *f, struct errtext *reterr,
                  const char *what);

#endif
