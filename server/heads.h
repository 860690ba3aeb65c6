/* Heads of the tree of records: this node signs those it reached, hears those of the others, and
 * keeps the checkpoints that a majority of institutions has signed. What to sign when is decided in
 * heads_plan.h; this part owns the key, the mark on disk and the frames.
 *
 *   applied --+                      data/signed (worker, two syncs)
 *             +--> step --> sign ------------> durable --> FRAME_HEAD to all
 *   heard ----+      |
 *                    +--> a majority says it: complete --> family heads, receipts, who waits
 *                    +--> somebody says otherwise: lies.h
 *
 * Loop thread, but for the write of the mark. */
#ifndef SERVER_HEADS_H
#define SERVER_HEADS_H

#include "net/loop.h"
#include "net/pool.h"
#include "server/heads_note.h"
#include "server/heads_plan.h"
#include "server/heads_store.h"

struct node;
struct told;

/* What waits for a complete checkpoint; embedded in its owner. */
struct heads_wait {
    /* Once, from the loop: covered, or given up. The wait is out of the list. */
    void (*on_done)(struct heads_wait *w, bool covered);
    uint64_t size;                 /* records that must be covered */
    uint64_t since_ns;             /* private from here on */
    struct heads_wait *next, **prev; /* prev NULL: not in a list */
};

/* The head whose mark is being written: the worker's while busy. */
struct heads_writing {
    struct pool_job job;
    struct merkle_head head;
    struct buf note, lines;
    struct fileops files;
    const char *data;
    err result;
    struct errtext why;
};

struct heads {
    struct heads_plan plan;
    struct heads_store store;
    struct sign_key *key;       /* owned */
    struct heads_key own;       /* its names */
    bool able;                  /* the key is this node's in the ledger */
    struct heads_key keys[2 * NODES_MAX]; /* of all nodes in force: present and next ones */
    size_t key_count;
    bool stale; /* the node table has changed */
    struct verifier *verifier;
    struct merkle_head mark; /* as found at the start, to be compared when it is reached */
    uint64_t newest_size, newest_ns; /* the newest complete checkpoint and since when; 0: none */
    struct buf newest;
    uint64_t refused_size; /* a majority said it, the policy does not agree: until more is said */
    uint64_t uncovered_ns; /* loop time since when records are not covered; 0: all are */
    struct heads_wait *waits;
    struct pool *pool;
    struct heads_writing writing;
    struct loop_task task;
    struct loop_timer timer;
    struct {
        uint64_t id, frames; /* of this second */
    } heard[NODES_MAX];
};

void heads_init(struct node *n);

/* Reads key, mark and the newest checkpoint. The ledger is open, this node's id is known. CORRUPT:
 * the ledger has another root than this node once signed, or the mark is damaged: reterr has the
 * remedy. NOT_FOUND, DENIED, INVALID: the key file. IO. */
err heads_open(struct node *n, struct errtext *reterr) ERR_MUST_USE;
void heads_close(struct node *n);

/* The ledger has grown, or somebody else leads. */
void heads_wake(struct node *n);
/* The node table has changed. */
void heads_members(struct node *n);
/* The state is another one. */
void heads_state_replaced(struct node *n);
/* Frame HEAD. */
void heads_heard(struct node *n, uint64_t from, struct bytes frame);
/* Another node says how far it is: what it lacks is sent. */
void heads_told(struct node *n, const struct told *t);
void heads_second(struct node *n);

/* Waits until so many records are covered: on_done follows from the loop, never from inside. */
void heads_wait(struct node *n, struct heads_wait *w);
void heads_wait_cancel(struct heads_wait *w);

/* ---- for this folder ---- */

/* The root of this node's tree; stops the node if it cannot be read. */
bool heads_own_root(struct node *n, uint64_t size, struct merkle_hash *ret);

/* Whether another node has sent more about heads in this second than is looked into. */
bool heads_too_many(struct node *n, uint64_t from);

/* Takes what the nodes say in a note, unless it is known; wakes the step. */
void heads_hear(struct node *n, uint64_t from, const struct note *note,
                const struct merkle_head *head);

/* A frame to all other nodes. */
void heads_send_all(struct node *n, uint8_t type, const struct bytes parts[], size_t count);

#endif
