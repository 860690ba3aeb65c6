/* Types and values. Types are static, so a value carries no tag; only whether it is present. */
#ifndef RULES_VALUE_H
#define RULES_VALUE_H

#include "rules/civil.h"
#include "rules/unit.h"

enum type_kind {
    TYPE_BOOL,
    TYPE_INT,
    TYPE_STRING,
    TYPE_BYTES,
    TYPE_DATE,
    TYPE_DURATION,
    TYPE_TIMESTAMP,
    TYPE_PARTY,
    TYPE_AMOUNT,
    TYPE_RATIO,
    TYPE_RECORD, /* also rows */
    TYPE_LIST,
};

struct type;

struct field {
    struct bytes name;
    const struct type *type;
    bool optional;
    uint32_t token;
};

struct type {
    enum type_kind kind;
    uint32_t size_max;         /* STRING, BYTES: octets of the longest value */
    const struct bytes *words; /* STRING: all values it can have, or NULL */
    uint32_t word_count;
    struct unit unit;              /* AMOUNT, RATIO */
    const struct measure *measure; /* AMOUNT: as which it prints, or NULL */
    struct bytes name;          /* RECORD: of the record or table; empty for an unnamed literal */
    const struct field *fields; /* RECORD */
    uint32_t field_count, key_count; /* RECORD: a row has its keys first */
    bool row;                        /* RECORD: of a table */
    const struct type *item;         /* LIST; NULL for a literal without items */
    uint32_t list_max;
    int32_t by; /* LIST: field that ascends, or -1 */
};

struct value {
    union {
        bool truth;
        int128 number; /* INT, DATE, DURATION, AMOUNT */
        struct civil_time time;
        struct bytes text; /* STRING, BYTES, PARTY */
        const struct num_ratio *ratio;
        const struct value *fields; /* RECORD: field_count of them */
        struct {
            const struct value *items;
            size_t count;
        } list;
    } as;
    bool present; /* false only for optional fields and arguments */
};

static inline bool type_is_text(const struct type *t)
{
    return t->kind == TYPE_STRING || t->kind == TYPE_BYTES || t->kind == TYPE_PARTY;
}

/* May stand in a key (section 6): scalars except measures. */
bool type_is_key(const struct type *t);

/* Same type for comparison of declarations: kinds, sizes, words, units, fields, lists. */
bool type_equal(const struct type *a, const struct type *b);

/* Appends a type as a contract writes it: "list<Reading by meter, max 20>". */
void type_print(const struct type *t, const struct rules_registry *registry, struct buf *out);

/* Order of two values of a type that can be a key; negative, zero or positive. */
int value_compare(const struct type *t, struct value a, struct value b);

/* Equal values of any type, lists and records included. Absent equals absent only. */
bool value_equal(const struct type *t, struct value a, struct value b);

/* `[a-z0-9._:-]`, 1 to 64 characters. */
bool value_party_valid(struct bytes text);

#endif
