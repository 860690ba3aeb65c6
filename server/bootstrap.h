/* The node table as a text file, for a node that joins: made by `concordat node list --bootstrap`,
 * used until the joiner's own ledger has reached the height that the file speaks of.
 *
 *   concordat-nodes 1
 *   ledger HEX
 *   height N
 *   node ID WISH INSTITUTION NAME PEER CLIENT TRANSPORT NEXT HEAD NEXT
 *
 * One space between words, one line a node, ids ascending; WISH is standby, voter, or leaving
 * (removed from the table and still in the configuration: it may lead); keys in hex, "-" for a next
 * key that is not there. */
#ifndef SERVER_BOOTSTRAP_H
#define SERVER_BOOTSTRAP_H

#include "base/arena.h"
#include "ledger/ledger.h"

struct bootstrap {
    uint8_t ledger_id[32];
    uint64_t height;
    struct ledger_node nodes[NODES_MAX]; /* views into the arena */
    size_t count;
};

enum { BOOTSTRAP_BYTES_MAX = 64 << 10 };

/* Decodes strictly; keys go into the arena, the rest are views of text. INVALID with the number of
 * the line; ret is written only on success. */
err bootstrap_decode(struct bytes text, struct arena *a, struct bootstrap *ret,
                     struct errtext *reterr) ERR_MUST_USE;

#endif
