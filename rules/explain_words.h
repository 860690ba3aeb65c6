/* The words of explanations in three languages, and values as people write them. */
#ifndef RULES_EXPLAIN_WORDS_H
#define RULES_EXPLAIN_WORDS_H

#include "rules/explain.h"
#include "rules/input.h"

enum phrase {
    PHRASE_CONTRACT,
    PHRASE_VERSION,
    PHRASE_EVENT,
    PHRASE_LAW_OF,
    PHRASE_ACCEPTED,
    PHRASE_REFUSED,
    PHRASE_FAULT,
    PHRASE_CLAUSE,
    PHRASE_LINE,
    PHRASE_LEDGER_RULE,
    PHRASE_REASON,
    PHRASE_MISSING,
    PHRASE_REQUIRED,
    PHRASE_FOUND,
    PHRASE_AGAINST,
    PHRASE_DIFFERENCE,
    PHRASE_DAYS,
    PHRASE_EXAMINED,
    PHRASE_HOLDS,
    PHRASE_FAILS,
    PHRASE_CONDITION,
    PHRASE_YES,
    PHRASE_NO,
    PHRASE_TIMES,
    PHRASE_ROUNDED,
    PHRASE_SHARED,
    PHRASE_WEIGHTS,
    PHRASE_SHARES,
    PHRASE_PRICE,
    PHRASE_NO_PRICE,
    PHRASE_BOUGHT,
    PHRASE_SOLD,
    PHRASE_CHANGED,
    PHRASE_UNCHANGED,
    PHRASE_FROM,
    PHRASE_TO,
    PHRASE_ISSUED,
    PHRASE_RETIRED,
    PHRASE_ANNOUNCED,
    PHRASE_SCHEDULED,
    PHRASE_WRITTEN,
    PHRASE_REMOVED,
    PHRASE_MORE,
    PHRASE_COUNT,
};

const char *explain_phrase(enum rules_language l, enum phrase phrase);

/* Appends a value of the canonical JSON: days and instants in words, amounts with the decimal sign
 * of the language, unrounded amounts as decimals, lists up to ten items. */
void explain_put_value(enum rules_language l, const struct raw *v, struct buf *out);

/* Appends "456,06 EUR", "5 avril 2026" or the text as it is. */
void explain_put_text(enum rules_language l, struct bytes text, struct buf *out);

/* Appends a reason of the ledger's own rules (clause 0) in the language. */
void explain_put_ledger_reason(enum rules_language l, struct bytes why, struct buf *out);

/* Appends what a fault kind means. */
void explain_put_fault(enum rules_language l, struct bytes kind, struct buf *out);

/* Appends the name of a way of rounding in words. */
void explain_put_mode(enum rules_language l, struct bytes mode, struct buf *out);

/* Appends how far apart two values are ("12.00 EUR", "3 days"); false: not comparable so. */
bool explain_put_difference(enum rules_language l, const struct raw *a, const struct raw *b,
                            struct buf *out);

#endif
