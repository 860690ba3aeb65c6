/* Writing what was decided, and reading it back. */
#ifndef LEDGER_RECORD_H
#define LEDGER_RECORD_H

#include "ledger/state.h"

/* What a record is about. */
struct recording {
    enum record_kind kind;
    uint8_t request_hash[32];   /* event, governance; zeros for a timer */
    uint64_t schedule_position; /* timer */
    uint32_t index;
    uint8_t salt[32];
    uint8_t event_hash[32];
    struct bytes contract, action;
    uint8_t text_hash[32]; /* zeros if no text was in force */
};

/* Writes the record at the block's next position into the batch: digest, account chains, postings,
 * outcome and effects. The caller has applied the effects. ret's views are in the block's arena. */
void record_write(struct ledger *l, const struct recording *what, const struct rules_out *out,
                  struct ledger_outcome *ret);

/* Reads a stored record; views point into value. CORRUPT. */
err record_read(struct bytes value, struct ledger_record *ret) ERR_MUST_USE;

/* The answer to a request: reads its records. LIMIT: larger than the arena; CORRUPT, IO. */
err answer_load(const struct ledger *l, const struct request_entry *entry, struct arena *a,
                struct ledger_answer *ret, struct errtext *reterr) ERR_MUST_USE;

/* The finished entry of (party, id); NOT_FOUND. */
err request_entry_load(const struct ledger *l, const struct ledger_request_id *request,
                       struct request_entry *ret, struct errtext *reterr) ERR_MUST_USE;

#endif
