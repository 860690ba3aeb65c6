/* Arguments from outside (section 11): the Args message and the JSON form become one raw tree,
 * which is then validated against the declared fields. Also the way back: values into Args. */
#ifndef RULES_INPUT_H
#define RULES_INPUT_H

#include "base/arena.h"
#include "base/buf.h"
#include "rules/program.h"

enum raw_kind {
    RAW_NONE, /* null, or a Value without a kind: no value of any type */
    RAW_BOOL,
    RAW_INT,
    RAW_BIG,      /* an integer outside 64 bits */
    RAW_FRACTION, /* a JSON number with point or exponent */
    RAW_TEXT,     /* from JSON it may also stand for dates, times, amounts, ... */
    RAW_OCTETS,
    RAW_DATE,
    RAW_TIME,
    RAW_DURATION,
    RAW_AMOUNT,
    RAW_LIST,
    RAW_RECORD,
};

struct raw {
    enum raw_kind kind;
    bool json; /* TEXT */
    union {
        bool truth;
        int64_t number;         /* INT, DATE, DURATION */
        struct bytes text;      /* TEXT, OCTETS */
        struct civil_time time; /* nanos may be out of range */
        struct {
            int64_t count;
            uint32_t decimals;
            struct bytes unit;
        } amount;
        struct {
            struct raw *items;
            size_t count;
        } list;
        struct {
            struct raw_field *fields;
            size_t count;
        } record;
    } as;
};

struct raw_field {
    struct bytes name;
    struct raw value;
};

/* Decodes an Args message into a RAW_RECORD; texts are views into it. False: malformed, too deep.
 */
bool input_decode(struct bytes args, struct arena *arena, struct raw *ret);

/* Validates a RAW_RECORD against declared fields into ret (one per field). NULL, or the reason of a
 * 0.1 rejection in the arena. `path` begins it: "args". */
const char *input_validate(const struct raw *record, const struct field *fields, uint32_t count,
                           const struct rules_registry *registry, const char *path,
                           struct arena *arena, struct value *ret);

/* Validates one value. NULL, or the reason. */
const char *input_validate_one(const struct raw *raw, const struct type *type,
                               const struct rules_registry *registry, const char *path,
                               struct arena *arena, struct value *ret);

/* Appends values as an Args message; absent ones are left out. Sets out->overflow if an amount's
 * count does not fit the message's 64 bits. */
void input_encode(struct buf *out, const struct field *fields, const struct value *values,
                  uint32_t count);

#endif
