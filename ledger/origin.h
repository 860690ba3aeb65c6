/* The request that a record goes back to. */
#ifndef LEDGER_ORIGIN_H
#define LEDGER_ORIGIN_H

#include "ledger/ledger.h"
#include "proto/envelope.h"

/* The envelope of an event's or a governance action's record, out of its block; in the arena.
 * CORRUPT: the block does not hold it; LIMIT, IO. */
err origin_envelope(const struct ledger *l, const struct record *record, struct arena *a,
                    struct envelope **ret, struct errtext *reterr) ERR_MUST_USE;

/* The salt of a record: that of its request's body; of a timer, that of the request that led to it,
 * over any number of timers. As above; LIMIT also for over TIMER_CHAIN_MAX timers in a row. */
err origin_salt(const struct ledger *l, const struct record *record, struct arena *a,
                uint8_t ret[32], struct errtext *reterr) ERR_MUST_USE;

#endif
