/* Outcomes that the ledger itself decides: of the reserved contract `ledger`, and of events of an
 * atomic request that fail because another one did. Same canonical JSON as rules 13. */
#ifndef LEDGER_OUTCOME_H
#define LEDGER_OUTCOME_H

#include "base/arena.h"
#include "base/buf.h"
#include "rules/rules.h"

/* Appends a JSON string with the escapes of rules 13.1. The text is UTF-8. */
void json_put_string(struct buf *out, struct bytes text);

/* Appends lower-case hex in quotes. */
void json_put_hex(struct buf *out, struct bytes octets);

struct outcome_form {
    struct bytes event;
    int64_t version;
    uint64_t now_ns;
    bool has_legal;
    int32_t legal;
    const char *clause;   /* NULL: accepted */
    struct bytes why;     /* rejected */
    struct bytes effects; /* canonical JSON array; empty: none */
};

/* Fills in ret with views in the arena. */
void outcome_make(const struct outcome_form *form, struct arena *a, struct rules_out *ret);

#endif
