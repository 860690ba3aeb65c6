/* The requests that wait for their answer, by (party, request id), each with those who wait.
 *
 *            submit                 verified             proposed              applied
 *   (new) ---------> VERIFYING ---------> QUEUED ---------> PROPOSED ---------> answered
 *     |                  | bad signature     | not leader      | leadership lost: UNKNOWN
 *     |                  v                   v                 v
 *     |               refused             refused           UNKNOWN
 *     +------------> FORWARDED ---- refused by the leader, applied here, or UNKNOWN
 *
 * Answered, refused and UNKNOWN are ends: the request leaves the table. The table decides nothing:
 * the ledger does. Loop thread only. */
#ifndef SERVER_INFLIGHT_H
#define SERVER_INFLIGHT_H

#include "base/bytes.h"
#include "base/map.h"
#include "ledger/ledger.h"
#include "net/grpc.h"

enum inflight_state { INFLIGHT_VERIFYING, INFLIGHT_QUEUED, INFLIGHT_PROPOSED, INFLIGHT_FORWARDED };

/* Who waits: a call of a client, or the node that forwarded the request. */
struct waiter {
    struct waiter *next;
    struct inflight *request; /* NULL: it is recorded and waits for its receipt (receipts.c) */
    bool cosigned;            /* the client wants the receipt */
    struct grpc_call_ref call; /* peer == 0 */
    uint64_t peer, token;      /* peer != 0: node id and its token */
};

struct queue_party;

/* Whose share of the table a request takes: a client's identity or a node, by name. */
struct inflight_source {
    size_t count, bytes; /* that it has in the table */
    size_t name_size;
    uint8_t name[];
};

struct inflight {
    struct inflight *next, *prev; /* all of a table, oldest first */
    struct inflight *queue_next;  /* QUEUED: in the order of the block builder */
    enum inflight_state state;
    uint8_t request_hash[32];
    uint8_t *key; /* owned: party, 00, request id */
    size_t key_size;
    uint8_t *envelope; /* owned */
    size_t envelope_size;
    struct ledger_cost cost;      /* what a block must have room for */
    uint64_t term;                /* PROPOSED, FORWARDED */
    uint64_t forwarded_to, token; /* FORWARDED */
    uint64_t since_ns;            /* loop time */
    bool changes_nodes;           /* its action is about the node table */
    struct waiter *waiters;       /* owned */
    bool governance;              /* goes before business */
    struct queue_party *party;    /* queue.h: QUEUED, PROPOSED */
    struct inflight_source *source;
};

struct inflight_table {
    struct map by_key;
    struct map sources; /* by name, those that have something in the table; owned */
    struct inflight *oldest, *newest;
    size_t count, bytes; /* requests; bytes of their envelopes */
    uint64_t token_last;
};

void inflight_init(struct inflight_table *t, uint64_t seed0, uint64_t seed1);

/* Frees all requests without answering anybody. */
void inflight_done(struct inflight_table *t);

/* The request of a party, or NULL. */
struct inflight *inflight_find(const struct inflight_table *t, struct bytes party,
                               const uint8_t request_id[16]);

/* The forwarded request with this token, or NULL. Cost: a walk; refusals are rare. */
struct inflight *inflight_find_token(const struct inflight_table *t, uint64_t token);

/* What a new request is made of; views are copied. */
struct inflight_new {
    struct bytes party, envelope;
    const uint8_t *request_id, *request_hash; /* 16, 32 bytes */
    struct bytes source; /* who brought it: at most INFLIGHT_SOURCE_NAME_MAX bytes */
    bool governance;
    struct ledger_cost cost;
    enum inflight_state state; /* VERIFYING or FORWARDED */
    uint64_t now_ns;
};

/* Whether this source may bring one more of so many bytes: it has its share of the table, so that
 * no client and no node can fill it alone. */
bool inflight_has_share(const struct inflight_table *t, struct bytes source, size_t bytes);

/* The party of a request: a view. */
struct bytes inflight_party(const struct inflight *r);

/* Adds a request that is not there, or answers NULL at INFLIGHT_MAX or INFLIGHT_BYTES_MAX. */
struct inflight *inflight_add(struct inflight_table *t, const struct inflight_new *n);

/* Moves a request on; a move that the picture does not show dies. */
void inflight_move(struct inflight *r, enum inflight_state to);

/* Adds a waiter, which the request owns from now on. */
struct waiter *inflight_wait(struct inflight *r, struct waiter w);

/* Takes a waiter out and frees it: its client is gone. */
void inflight_forget(struct waiter *w);

/* Takes the request out of the table and gives its source's share back; the caller answers its
 * waiters and calls inflight_free. */
void inflight_take(struct inflight_table *t, struct inflight *r);
void inflight_free(struct inflight *r);

#endif
