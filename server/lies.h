/* What happens when a node signs a head that contradicts this node's tree, or itself.
 *
 *   heard, judged OTHER --> evidence (both notes), to all, alarm --> search: the first record that
 *                                                                    differs, by asking for roots
 *   two roots of one size under one key ("two-faced"): its key counts no more, business requests
 *   are refused (LEDGER_FORKED) until it is removed or replaced; governance and reads go on
 *   no majority for either root: business requests are refused until there is one
 *   a majority contradicts this node: it looks for the position and stops
 *
 * Evidence is in data/evidence before it is told. Loop thread. */
#ifndef SERVER_LIES_H
#define SERVER_LIES_H

#include "server/evidence.h"
#include "server/heads_plan.h"
#include "server/refusal.h"

struct node;
struct note;
struct heads_key;

/* Looks for the smallest tree size at which another node has another root. */
struct lies_search {
    uint64_t node;      /* 0: none is under way */
    uint64_t token;
    uint64_t low, high; /* the roots are equal at low, differ at high */
    uint64_t asked_ns;
};

struct lies {
    struct evidence_list kept;
    struct lies_search search;
    enum heads_standing standing;
    uint64_t alone_ns; /* loop time since when a majority contradicts this node; 0: none does */
    uint64_t alone_size;
};

/* Reads data/evidence and raises the alarms again. CORRUPT, UNSUPPORTED, IO. */
err lies_open(struct node *n, struct errtext *reterr) ERR_MUST_USE;

/* After each step of the heads: is there somebody who contradicts? */
void lies_look(struct node *n);

/* A node said another root of this size before: `before` is what it said then. */
void lies_two_faced(struct node *n, const struct heads_saying *now,
                    const struct heads_said *before);

/* Whether the key of this node counts no more. */
bool lies_by(struct node *n, uint64_t node);

/* Must this request be refused? */
bool lies_refuse(struct node *n, bool governance, struct refusal *ret);

/* Frames EVIDENCE, ROOT_ASK, ROOT_IS. */
void lies_evidence(struct node *n, uint64_t from, struct bytes frame);
void lies_root_asked(struct node *n, uint64_t from, struct bytes frame);
void lies_root_told(struct node *n, uint64_t from, struct bytes frame);

/* A link to a node came up: it gets the evidence. */
void lies_link(struct node *n, uint64_t peer);
void lies_second(struct node *n);

#endif
