/* Units, dimensions and scales (section 4): what an amount is, apart from how much.
 *
 * Glossary. A *base* is a base dimension: one per currency of the registry, Wh, h, g; bases are
 * numbered in order of their names. A *dimension* is a product of powers of bases. A *unit* is a
 * dimension and a scale, the number of base units that 1 of it is. A *measure* is a unit with a
 * quantum; its own scale is that of one quantum. */
#ifndef RULES_UNIT_H
#define RULES_UNIT_H

#include "base/buf.h"
#include "rules/num.h"
#include "rules/rules.h"

enum { DIM_PARTS_MAX = 6 };

/* Powers in order of base, none zero. All-zero: no dimension. */
struct dim {
    uint32_t count;
    struct dim_part {
        uint32_t base;
        int32_t power;
    } parts[DIM_PARTS_MAX];
};

struct unit {
    struct dim dim;
    struct num_ratio scale;
};

struct measure {
    struct unit unit;         /* scale of one quantum */
    struct bytes name;        /* "EUR/kWh"; followed by a NUL */
    struct num_ratio quantum; /* in that unit */
    uint64_t multiple;        /* the quantum is multiple / 10^decimals */
    unsigned decimals;
};

struct rules_registry {
    char **bases; /* owned, in order */
    size_t base_count;
    struct measure *lines; /* owned; names owned */
    size_t count;
};

bool dim_equal(const struct dim *a, const struct dim *b);

/* a * b^sign, sign 1 or -1. False: more than DIM_PARTS_MAX bases or powers beyond 1,000. */
bool dim_multiply(const struct dim *a, const struct dim *b, int sign, struct dim *ret);

/* The unit without dimension and of scale 1: what an int is beside an amount. */
struct unit unit_one(void);

/* The plain unit of a word, or false. */
bool unit_find(const struct rules_registry *registry, struct bytes word, struct unit *ret);

/* a * b or a / b (sign -1). False: too many bases, or a scale beyond 128 bits. */
bool unit_multiply(const struct unit *a, const struct unit *b, int sign, struct unit *ret);

/* Appends the dimension: "EUR/Wh", "1/h", "" for none. */
void dim_print(const struct rules_registry *registry, const struct dim *dim, struct buf *out);

/* Appends what stands behind the integer of an amount that is no measure: "*1/400 EUR". */
void unit_print_suffix(const struct rules_registry *registry, const struct unit *unit,
                       struct buf *out);

/* The registry's measure of a dimension, or NULL. */
const struct measure *registry_of_dim(const struct rules_registry *registry, const struct dim *dim);

/* Appends "-7.85 EUR". */
void measure_print(const struct measure *measure, int128 quanta, struct buf *out);

/* Fills quantum, multiple, decimals and the scale of one quantum from a unit and the count and
 * decimals of the number after `to`. False: not positive, or not a decimal of at most 9 places. */
bool measure_make(const struct unit *unit, int128 count, unsigned decimals, struct measure *ret);

#endif
