/* Canonical forms: JSON (section 13), stored keys and rows (section 11.4), hashes (section 13.4).
 */
#ifndef RULES_CANON_H
#define RULES_CANON_H

#include "base/cursor.h"
#include "rules/program.h"

/* ---- JSON ---- */
void canon_put_string(struct buf *out, struct bytes text); /* quoted and escaped */
void canon_put_uint(struct buf *out, uint64_t v);
void canon_put_day(struct buf *out, int32_t day);
void canon_put_time(struct buf *out, struct civil_time time);
void canon_put_value(struct buf *out, const struct rules_registry *registry, const struct type *t,
                     struct value v);
/* {"name":value,...} of some fields, absent ones left out. */
void canon_put_fields(struct buf *out, const struct rules_registry *registry,
                      const struct field *fields, const struct value *values, uint32_t count);
/* [value,...] of keys. */
void canon_put_keys(struct buf *out, const struct rules_registry *registry,
                    const struct field *fields, const struct value *values, uint32_t count);

/* ---- stored form ---- */
void canon_put_key(struct buf *out, const struct type *t, struct value v);

/* Reads one key component; false: malformed. Texts are unescaped into the arena. */
bool canon_read_key(struct cursor *c, const struct type *t, struct arena *arena, struct value *ret);

/* The non-key fields of a row; values has all fields, keys first. */
void canon_put_row(struct buf *out, const struct type *row, const struct value *values);

/* Reads a stored row that was written with `layout` into ret, which has want->field_count values:
 * the non-key fields that both know, by name; the others absent. False: malformed. */
bool canon_read_row(struct bytes row, const struct type *layout, const struct type *want,
                    struct arena *arena, struct value *ret);

/* ---- hashes ---- */
struct compile;
void canon_code_hash(const struct compile *c, uint8_t hash[RULES_HASH_SIZE]);

#endif
