/* What one evaluation read: kept by each node for itself, so that the decision can be evaluated
 * again later, on the state as it was, and its trace be told to those whom it concerns
 * (ledger_explain). The trace, which is larger, is not kept for accepted events.
 *
 *   value  u8 version | u8 flags | u64 timers waiting | [timer] | answers | u32 crc32c of all that
 *   timer  i64 seconds | u32 nanos | u32 legal day | 32 salt | sized arguments
 *   answer one an ask of the store, in the order of the asks:
 *            1                                  get: no row
 *            2 sized row                        get
 *            3                                  seek: no row
 *            4 sized key rest, sized row        seek
 *            5 { 6 sized key rest, sized row } 7  scan
 *            8 u64 count
 *            9 i64 balance
 *
 * Evaluation is a function of program, event and answers, so the same program asks in the same
 * order and the keys need not be kept: of those that an answer holds, only what follows the asked
 * prefix is. A timer's own inputs stand here because its waiting entry is removed when it fires.
 * These values never travel between nodes, since evaluation trusts the form of stored rows; the
 * checksum guards against a damaged disk, and what is evaluated counts only if its hashes are those
 * of the record. Loop only. */
#ifndef LEDGER_INPUTS_H
#define LEDGER_INPUTS_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/cursor.h"
#include "rules/rules.h"

/* The recorder: lies around a store. */
struct inputs {
    const struct rules_store *store; /* asked in truth; not owned */
    struct buf bytes;                /* the value so far; over its limit: nothing is kept */
    bool on;
};

struct inputs_head {
    bool timers_due, timer;
    uint64_t timers_waiting;
    /* timer only */
    struct rules_time at;
    int32_t legal;
    uint8_t salt[32];
    struct bytes args;
};

void inputs_init(struct inputs *in);

/* Frees; accepts an all-zero struct. */
void inputs_done(struct inputs *in);

/* Begins the value of one evaluation. ret asks `store` (which must live as long as it is used) and
 * notes each answer. */
void inputs_begin(struct inputs *in, const struct inputs_head *head,
                  const struct rules_store *store, struct rules_store *ret);

/* Ends it. The value, or an empty view if it is over INPUTS_BYTES_MAX; valid until the next begin.
 */
struct bytes inputs_end(struct inputs *in);

/* The other way round: a store that gives the noted answers again. */
struct inputs_replay {
    struct cursor answers;
    bool bad; /* an answer was of another kind than was asked, or none was left */
    const struct rules_program *(*owner)(void *ctx, struct bytes contract);
    void *owner_ctx;
    struct arena *arena; /* of keys put together again */
};

/* Reads the head of a value; what follows is for the replay. CORRUPT. */
err inputs_open(struct bytes value, struct inputs_head *ret_head,
                struct inputs_replay *ret) ERR_MUST_USE;

/* ret asks the replay, which must live as long. */
void inputs_store(struct inputs_replay *replay, struct rules_store *ret);

/* Whether every answer was asked for and none was missing. */
bool inputs_replayed(const struct inputs_replay *replay);

#endif
