/* When this node signs which head of the tree, and when a head is complete: pure, without clock,
 * key, disk or link. heads.c asks and does.
 *
 *   head       size and root of the tree of records; size 0: none
 *   said       a head that a node has signed, as this node knows it; the last HEADS_KEPT of each
 *   judged     compared with this node's own root at that size, once it has reached it
 *   complete   said, with this node's root, by nodes of a majority of institutions
 *
 *   leader:  grown, interval over ------> sign own size --+
 *   others:  leader's size reached ----> sign that size --+--> all say the same size --> complete
 *            (leader silent for HEADS_PATIENCE intervals: any node's)
 *
 * Only the leader's sizes are signed by others, at most two an interval, so a hostile node cannot
 * make them sign for each record; a hostile leader can, until it is not the leader any more, for
 * two syncs an interval. A leader waits for its last head to become complete before it proposes the
 * next, for more and more intervals, so that nodes which are far behind can follow at all.
 *
 * A node signs its own root at a size, also if the others say another one: that is how they learn
 * that it differs. It signs only sizes larger than any it has signed. Loop thread. */
#ifndef SERVER_HEADS_PLAN_H
#define SERVER_HEADS_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/limits.h"
#include "crypto/merkle.h"

enum heads_judgement { HEADS_UNJUDGED, HEADS_EQUAL, HEADS_OTHER };

struct heads_said {
    struct merkle_head head; /* size 0: a free place */
    enum heads_judgement judgement;
    size_t lines_size;
    uint8_t lines[HEAD_LINES_BYTES_MAX]; /* its signature lines, verified */
};

struct heads_signer {
    uint64_t id;
    uint32_t institution; /* its number, below INSTITUTIONS_MAX */
    bool counts;          /* false: it was caught, or has no key that counts */
    struct heads_said said[HEADS_KEPT];
};

struct heads_plan {
    uint64_t self, interval_ns;
    uint32_t institutions; /* of the ledger */
    struct heads_signer signers[NODES_MAX]; /* ascending by id, with this node */
    size_t signer_count;
    uint64_t leader;       /* 0: none is known */
    uint64_t reached;      /* records applied */
    uint64_t signed_size;  /* the largest that was ever signed, or is being signed */
    uint64_t signed_ns;    /* when that began; 0: not since the start */
    uint64_t complete;     /* the largest complete size */
    uint64_t uncovered_ns; /* since when the tree is larger than what the leader proposed; 0: not */
    uint32_t patience;
    bool signing; /* the mark of signed_size is being written */
};

/* An empty plan. */
void heads_plan_init(struct heads_plan *p, uint64_t self, uint64_t interval_ns);

/* The nodes that may sign, ascending by id, at most NODES_MAX; what those that stay have said is
 * kept. `said` of the argument is not looked at. */
void heads_plan_signers(struct heads_plan *p, const struct heads_signer rows[], size_t count,
                        uint32_t institutions);

/* What this node had signed before it started, durably. Before anything else is asked. */
void heads_plan_resume(struct heads_plan *p, const struct merkle_head *head, struct bytes lines);

/* Who leads; 0: nobody known. */
void heads_plan_leader(struct heads_plan *p, uint64_t leader, uint64_t now_ns);

/* The tree has reached this size; less than before after a repair. */
void heads_plan_reached(struct heads_plan *p, uint64_t size, uint64_t now_ns);

enum heads_heard {
    HEADS_NEW,       /* kept */
    HEADS_KNOWN,     /* said before, or older than all that is kept of this node */
    HEADS_STRANGER,  /* no signer */
    HEADS_TWO_FACED, /* another root than the one it said of this size before: *ret_other */
};

/* A node says a head; its lines were verified and are at most HEAD_LINES_BYTES_MAX. */
struct heads_saying {
    uint64_t node;
    struct merkle_head head;
    struct bytes lines;
};
enum heads_heard heads_plan_hear(struct heads_plan *p, const struct heads_saying *s,
                                 uint64_t now_ns, const struct heads_said **ret_other);

/* The next head to compare with the own root at its size; false: there is none. */
bool heads_plan_judge(const struct heads_plan *p, uint64_t *ret_node, struct merkle_head *ret);
void heads_plan_judged(struct heads_plan *p, uint64_t node, uint64_t size, bool equal);

/* What a node has said of a size, or NULL; the view lasts until the next call that changes. */
const struct heads_said *heads_plan_said(const struct heads_plan *p, uint64_t node, uint64_t size);

/* The size to sign now, or 0 and when to ask again (UINT64_MAX: after the next event). */
uint64_t heads_plan_sign(const struct heads_plan *p, uint64_t now_ns, uint64_t *ret_again_ns);
/* It is being signed: its mark is on the way to the disk. */
void heads_plan_signing(struct heads_plan *p, uint64_t size, uint64_t now_ns);
/* The mark is durable: the lines may leave. */
void heads_plan_signed(struct heads_plan *p, const struct merkle_head *head, struct bytes lines,
                       uint64_t now_ns);

/* The largest size beyond `complete` that a majority of institutions has said with this node's
 * root; 0: none. */
uint64_t heads_plan_ripe(const struct heads_plan *p);
/* A complete checkpoint of this size is stored. */
void heads_plan_completed(struct heads_plan *p, uint64_t size);

/* How this node stands to the others, from all that is kept. */
enum heads_standing {
    HEADS_AT_ONE,   /* nobody who counts contradicts */
    HEADS_OUTVOTED_OTHERS, /* somebody does, and a majority of institutions agrees with this node */
    HEADS_DISPUTED, /* somebody does, and no majority is known for either */
    HEADS_ALONE,    /* a majority of institutions contradicts this node */
};
enum heads_standing heads_plan_standing(const struct heads_plan *p);

#endif
