/* Exact numbers: checked 128-bit integers, ratios, the one rounding step, and decimal text.
 *
 * Glossary. A *ratio* is numerator over denominator, never reduced and its sign never moved, so
 * that what is printed in a trace is what was computed. A *scale* is a positive ratio in lowest
 * terms: how many base units one count of an amount is. A *quantum* is the scale of a measure.
 * All functions are pure, allocate nothing and may be called from any thread. `ret` is written on
 * NUM_OK only. No floating point anywhere. */
#ifndef RULES_NUM_H
#define RULES_NUM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

/* Scalars need a name here because ISO C has none for them. */
__extension__ typedef __int128 int128;
__extension__ typedef unsigned __int128 uint128;

#define INT128_MAX ((int128)(~(uint128)0 >> 1))
#define INT128_MIN (-INT128_MAX - 1)

/* How a function of num, apportion, clear or civil ended. The names are those of the language's
 * fault kinds, except INEXACT, which a caller turns into its own refusal. */
enum num_end {
    NUM_OK = 0,
    NUM_OVERFLOW, /* does not fit 128 bits, or the 64 bits of the target */
    NUM_DIVIDE,   /* division by zero */
    NUM_FORM,     /* text that does not convert */
    NUM_RANGE,    /* date or timestamp outside the years 1 to 9999 */
    NUM_NEGATIVE, /* a total, weight or quantity below zero */
    NUM_WEIGHTS,  /* a positive total over weights that sum to zero */
    NUM_CIVIL,    /* unknown zone, year before 1997, no such day of the month */
    NUM_INEXACT,  /* an exact conversion would lose something */
};

/* The kind as the language prints it ("overflow", "divide", ...): static text; "ok" for NUM_OK. */
const char *num_end_name(enum num_end end);

#define NUM_MUST_USE __attribute__((warn_unused_result))

/* ---- 128 bits, for amounts: OVERFLOW when the exact result does not fit ---- */
enum num_end num_add(int128 a, int128 b, int128 *ret) NUM_MUST_USE;
enum num_end num_sub(int128 a, int128 b, int128 *ret) NUM_MUST_USE;
enum num_end num_mul(int128 a, int128 b, int128 *ret) NUM_MUST_USE;
enum num_end num_neg(int128 a, int128 *ret) NUM_MUST_USE;

/* The value as 64 bits, for a place of a measure. OVERFLOW. */
enum num_end num_narrow(int128 a, int64_t *ret) NUM_MUST_USE;

/* ---- 64 bits, the language's `int` ----
 * Division truncates towards zero, the remainder has the sign of the dividend; min / -1 and
 * min % -1 are OVERFLOW, a zero divisor is DIVIDE. */
enum num_end num_int_add(int64_t a, int64_t b, int64_t *ret) NUM_MUST_USE;
enum num_end num_int_sub(int64_t a, int64_t b, int64_t *ret) NUM_MUST_USE;
enum num_end num_int_mul(int64_t a, int64_t b, int64_t *ret) NUM_MUST_USE;
enum num_end num_int_div(int64_t a, int64_t b, int64_t *ret) NUM_MUST_USE;
enum num_end num_int_mod(int64_t a, int64_t b, int64_t *ret) NUM_MUST_USE;
enum num_end num_int_neg(int64_t a, int64_t *ret) NUM_MUST_USE;

/* ---- ratios and scales ---- */
struct num_ratio {
    int128 num, den;
};

/* |a| as an unsigned number; total, also for INT128_MIN. */
uint128 num_abs(int128 a);

/* Greatest common divisor; num_gcd(0, x) is x. */
uint128 num_gcd(uint128 a, uint128 b);

/* The scale num / den in lowest terms; both must be positive (required). */
struct num_ratio num_scale(int128 num, int128 den);

/* Same scale (both in lowest terms). */
bool num_scale_equal(struct num_ratio a, struct num_ratio b);

/* Product of two scales in lowest terms. OVERFLOW. */
enum num_end num_scale_mul(struct num_ratio a, struct num_ratio b,
                           struct num_ratio *ret) NUM_MUST_USE;

/* Quotient a / b of two scales in lowest terms. OVERFLOW. */
enum num_end num_scale_div(struct num_ratio a, struct num_ratio b,
                           struct num_ratio *ret) NUM_MUST_USE;

/* The greatest scale of which both are whole multiples. OVERFLOW. */
enum num_end num_scale_gcd(struct num_ratio a, struct num_ratio b,
                           struct num_ratio *ret) NUM_MUST_USE;

/* The whole number f with from = f * to, by which a count is multiplied when it is converted.
 * INEXACT if there is none (`to` is coarser or crosses), OVERFLOW. */
enum num_end num_scale_factor(struct num_ratio from, struct num_ratio to, int128 *ret) NUM_MUST_USE;

/* A count at scale `from` as a count at scale `to`, exactly; unlike the factor, this also goes to a
 * coarser scale when the value permits (amounts of input). INEXACT, OVERFLOW. */
enum num_end num_convert(int128 count, struct num_ratio from, struct num_ratio to,
                         int128 *ret) NUM_MUST_USE;

/* a / b as a ratio. DIVIDE if b is zero. */
enum num_end num_ratio_make(int128 a, int128 b, struct num_ratio *ret) NUM_MUST_USE;

/* (N/D) * x = N*x / D. OVERFLOW. */
enum num_end num_ratio_mul(struct num_ratio r, int128 x, struct num_ratio *ret) NUM_MUST_USE;

/* (N/D) / x = N / (D*x). OVERFLOW first, then DIVIDE. */
enum num_end num_ratio_div(struct num_ratio r, int128 x, struct num_ratio *ret) NUM_MUST_USE;

/* ---- rounding ---- */
enum num_mode {
    NUM_HALF_UP,   /* ties away from zero */
    NUM_HALF_EVEN, /* ties to even */
    NUM_DOWN,      /* towards zero */
    NUM_UP,        /* away from zero */
    NUM_FLOOR,     /* towards minus infinity */
    NUM_CEILING,   /* towards plus infinity */
};

/* The mode of the word `half_up`, `half_even`, `down`, `up`, `floor`, `ceiling`; false otherwise.
 */
bool num_mode_parse(struct bytes word, enum num_mode *ret);

/* The word of a mode: static text. */
const char *num_mode_name(enum num_mode mode);

/* x * factor as a whole number, rounded once from the exact value. factor is scale / quantum in
 * lowest terms, positive. For an amount n that is no ratio, x = {n, 1}. OVERFLOW when x.num *
 * factor.num or x.den * factor.den does not fit 128 bits or the result 64; DIVIDE if x.den is 0.*/
enum num_end num_round(struct num_ratio x, struct num_ratio factor, enum num_mode mode,
                       int64_t *ret) NUM_MUST_USE;

/* The same with a 128-bit result (its magnitude below 2^127). */
enum num_end num_round_wide(struct num_ratio x, struct num_ratio factor, enum num_mode mode,
                            int128 *ret) NUM_MUST_USE;

/* ---- decimal text ---- */
enum {
    NUM_TEXT_MAX = 80,    /* room, NUL included, for every text printed here: 192 bits have 58
                             digits, or 0, a point and NUM_DECIMALS_MAX decimals */
    NUM_DECIMALS_MAX = 9, /* decimals of an amount in input and of a quantum */
};

/* Shortest decimal of v with a NUL; returns its length. text has room for NUM_TEXT_MAX. */
size_t num_print(int128 v, char *text);

/* count * multiple with a decimal point before the last `decimals` digits: exactly that many
 * decimals (no point if 0), at least one digit before it. Never overflows: the product has 192
 * bits. decimals <= NUM_DECIMALS_MAX. Returns the length; text has room for NUM_TEXT_MAX. */
size_t num_print_decimal(int128 count, uint64_t multiple, unsigned decimals, char *text);

/* A quantum as multiple / 10^decimals with the fewest decimals, for num_print_decimal:
 * 1/100 is {1, 2}, 1/4 is {25, 2}. INEXACT if its decimals do not end within NUM_DECIMALS_MAX,
 * OVERFLOW if the multiple does not fit. */
enum num_end num_quantum_decimals(struct num_ratio quantum, uint64_t *ret_multiple,
                                  unsigned *ret_decimals) NUM_MUST_USE;

/* `-?[0-9]+` of any length as an int. FORM, OVERFLOW. */
enum num_end num_int_parse(struct bytes text, int64_t *ret) NUM_MUST_USE;

/* `-?[0-9]{1,19}(\.[0-9]{1,9})?`: the number is *ret_count / 10^*ret_decimals, decimals as
 * written. Fits 128 bits always; the caller checks the count against int64. FORM. */
enum num_end num_decimal_parse(struct bytes text, int128 *ret_count,
                               unsigned *ret_decimals) NUM_MUST_USE;

/* 10^n for n <= 37. */
int128 num_power10(unsigned n);

#endif
