/* What was proved, in words for people or as one JSON object. A report is gathered in memory and
 * written only when everything holds, so that nobody reads a fact that a later check denies. */
#ifndef VERIFY_REPORT_H
#define VERIFY_REPORT_H

#include "verify/verify.h"

enum { REPORT_TIME_SIZE = 40 };

struct report {
    bool json;
    struct buf b; /* owned */
};

/* Begins: whether what follows is proved, or only claimed. Freed with buf_done(&r->b). */
void report_init(struct report *r, bool json, bool proved);

/* A fact: its label for people, its key in JSON; controls become '?'. Of a NULL label nothing is
 * said to people. */
void report_text(struct report *r, const char *label, const char *key, struct bytes value);
void report_words(struct report *r, const char *label, const char *key, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void report_hex(struct report *r, const char *label, const char *key, const uint8_t value[32]);
void report_number(struct report *r, const char *label, const char *key, int64_t value);
void report_fact(struct report *r, const char *key, bool value); /* JSON only */

/* Who signed, and when. */
void report_voices(struct report *r, const char *label, const char *key,
                   const struct policy_voices *voices);

/* A JSON array of objects: report_list, then report_json "{", facts, "}" for each, then "]". People
 * get lines in the caller's words. */
void report_list(struct report *r, const char *key);
void report_json(struct report *r, const char *text);

/* A line for people only. */
void report_line(struct report *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* "2026-07-01T10:00:00.123Z" */
void report_time(uint64_t unix_ns, char ret[REPORT_TIME_SIZE]);

/* Ends the object and writes all of it to standard output; false: that failed. */
bool report_write(struct report *r);

#endif
