/* The order in which the block builder takes verified requests, and how many one party may have
 * waiting, so that nobody can starve the others:
 *
 *   governance   g1 g2 g3                    first, but at most GOVERNANCE_FIRST_MAX a block
 *   parties      [enedis: a1 a2 a3]          in turns, one request each
 *                [pmo: b1] ...
 *
 * A party is proved by its signature before it gets a line here; governance means that every event
 * is of the contract `ledger` and that a governance key or an officer signed, so that no ordinary
 * party can call its flood governance. A request is *held* by its party from queue_add until it is
 * answered (queue_release). The queue owns no request. Loop thread only. */
#ifndef SERVER_QUEUE_H
#define SERVER_QUEUE_H

#include "base/map.h"
#include "server/inflight.h"

struct queue_party {
    struct queue_party *next, **prev; /* in turns */
    bool waits;                       /* is in turns: has queued requests */
    size_t held;                      /* queued and proposed */
    struct inflight *first, **last;
    size_t name_size;
    uint8_t name[];
};

struct block_queue {
    struct map parties; /* by name, those that hold something; owned */
    struct inflight *govern_first, **govern_last;
    struct queue_party *turn_first, **turn_last;
    size_t count;      /* queued */
    uint32_t governed; /* governance requests taken since queue_begin */
};

void queue_init(struct block_queue *q, uint64_t seed0, uint64_t seed1);

/* Forgets everything; requests must not be released any more. */
void queue_done(struct block_queue *q);

/* Whether the party may have one more request verified: it holds under INFLIGHT_PARTY_MAX. */
bool queue_has_share(const struct block_queue *q, struct bytes party);

/* Queues a request, which its party holds from now on. */
void queue_add(struct block_queue *q, struct inflight *r);

/* A new block is begun. */
void queue_begin(struct block_queue *q);

/* The request whose turn it is, or NULL; it stays queued. */
struct inflight *queue_peek(const struct block_queue *q);

/* Takes that one out. */
struct inflight *queue_pop(struct block_queue *q);

/* Puts requests back that were popped and could not be proposed, chained by queue_next in the order
 * of popping: they are the first again. */
void queue_return(struct block_queue *q, struct inflight *first);

/* Empties the queue; parties go on holding what was in it until it is released. */
void queue_clear(struct block_queue *q);

/* The request is answered: its party holds it no more. It must not be queued. Harmless for one that
 * never was. */
void queue_release(struct block_queue *q, struct inflight *r);

#endif
