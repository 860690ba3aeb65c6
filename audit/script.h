/* The lines of the scripts that the exported page loads: a page from disk may not fetch files, but
 * it may load scripts. Each function sets ret to one line; texts are JavaScript string literals.
 *
 *     F({...})                                     facts: origin, ledger, head, policy
 *     T(index,"base64")                            a tile of level 1
 *     D(position,"record","seal",end,"outcome","effects","party","request id")
 *     R("request id",position)                     of its first event
 *     A("contract","wallet[c01]",postings,[positions])  */
#ifndef AUDIT_SCRIPT_H
#define AUDIT_SCRIPT_H

#include "base/buf.h"
#include "ledger/ledger.h"

enum { SCRIPT_LINE_MAX = 256 << 20 };

struct script_facts {
    struct bytes origin;
    const uint8_t *ledger_id;
    struct ledger_head head;
    struct bytes checkpoint, policy;
};

void script_facts(struct buf *ret, const struct script_facts *facts);
void script_tile(struct buf *ret, uint64_t index, struct bytes tile);
void script_decision(struct buf *ret, const struct ledger_revealed *r);
void script_request(struct buf *ret, const struct ledger_revealed *r);

/* The line of an account in three pieces; shard is the hash that places it: SHA-256 of contract, a
 * space and the place. */
void script_account_begin(struct buf *ret, const struct ledger_account_name *account,
                          uint8_t shard[32]);
void script_account_position(struct buf *ret, uint64_t position, bool first);
void script_account_end(struct buf *ret);

#endif
