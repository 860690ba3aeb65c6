/* Linearizable reads: a query waits until it is certain that this node's state holds everything
 * that was committed before the query came (docs/ARCHITECTURE.md, "Reads"). The leader confirms its
 * term with a majority; another node asks the leader for its height and waits to reach it. */
#ifndef SERVER_READS_H
#define SERVER_READS_H

#include "server/refusal.h"

struct node;

/* Embedded in the query that waits. */
struct read_wait {
    /* Once: refusal NULL: serve it now. The wait is out of the list. Loop thread, never from
     * inside reads_begin. */
    void (*on_ready)(struct read_wait *w, const struct refusal *refusal);
    struct read_wait *next, *prev; /* private from here on */
    uint64_t token;
    uint64_t peer, peer_token; /* peer != 0: another node asked */
    uint64_t asked;            /* ASKED: the leader */
    uint64_t height;           /* wait for the ledger to be here; 0: not known yet */
    uint64_t since_ns;
    enum { READ_CONFIRMING, READ_ASKED, READ_REACHING, READ_READY, READ_FAILED } state;
};

struct read_list {
    struct read_wait *oldest, *newest;
    size_t count;
    uint64_t token_last;
};

void reads_init(struct node *n);
/* Forgets what other nodes asked; the queries of clients are gone already. */
void reads_done(struct node *n);
void reads_begin(struct node *n, struct read_wait *w);
/* Takes a wait back: its client is gone. */
void reads_cancel(struct node *n, struct read_wait *w);

/* host.c: the driver settled this token. */
void reads_confirmed(struct node *n, uint64_t token, bool ok);
/* Another node asks; the leader answered. */
void reads_asked(struct node *n, uint64_t from, struct bytes frame);
void reads_answered(struct node *n, uint64_t from, struct bytes frame);
/* The ledger has grown. */
void reads_reached(struct node *n);
/* Leadership is gone. */
void reads_fail_all(struct node *n);
/* The link to a node is gone: what it was asked stays without an answer. */
void reads_link_lost(struct node *n, uint64_t peer);
void reads_sweep(struct node *n);

#endif
