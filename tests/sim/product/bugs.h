/* Bugs that are planted on purpose, one at a time, to see that the simulation finds them. They are
 * linked around the product's functions in one test program, never into the product. */
#ifndef TESTS_SIM_PRODUCT_BUGS_H
#define TESTS_SIM_PRODUCT_BUGS_H

#include "consensus/consensus.h"
#include "tests/sim/product/world.h"

#define SIM_BUGS(X)                                                                                \
    X(NONE, "none")                                                                                \
    X(TERM_UNSYNCED, "term-unsynced")     /* term and vote are written, not synced */              \
    X(LOG_UNSYNCED, "log-unsynced")       /* entries are written, not synced */                    \
    X(VOTE_FORGOTTEN, "vote-forgotten")   /* the term is kept, the vote is not */                  \
    X(GATE, "gate")                       /* messages leave before term and vote are durable */    \
    X(ACK_EARLY, "ack-early")             /* entries are acknowledged before they are synced */    \
    X(OLD_TERM_COMMIT, "old-term-commit") /* entries of older terms are committed by counting */   \
    X(TRUNCATION, "truncation")           /* one entry too many stays in the log */                \
    X(TORN_TAIL, "torn-tail")             /* a group is taken without looking at its body */       \
    X(STALE_READ, "stale-read")           /* a read is served without asking a majority */         \
    X(STALE_HEIGHT, "stale-height")       /* the leader names too low a height to read at */       \
    X(DOUBLE_APPLY, "double-apply")       /* the applied index is not in the batch */              \
    X(HALF_BATCH, "half-batch")           /* a batch may be written in part */                     \
    X(SNAPSHOT_TAIL, "snapshot-tail")     /* the end of a checkpoint is not installed */           \
    X(APPLY_UNSTORED, "apply-unstored")   /* what is not on this disk is applied */                \
    X(TWO_BLOCKS, "two-blocks")           /* a new leader builds on the block it applied last */   \
    X(FORGOTTEN_REQUEST, "forgotten-request") /* answers before a restart are not looked up */     \
    X(EARLY_ANSWER, "early-answer")           /* an answer is given when the block is proposed */  \
    X(FALSE_REFUSAL, "false-refusal")         /* REFUSED is said where only UNKNOWN is true */     \
    X(LOST_UNKNOWN, "lost-unknown")           /* nobody is told when leadership is lost */         \
    X(PROMOTE_EARLY, "promote-early")         /* a standby gets its vote before it is level */     \
    X(OLD_QUORUM, "old-quorum")       /* a new configuration is committed by the old one */        \
    X(TWO_CHANGES, "two-changes")     /* a change is proposed while another is under way */        \
    X(SELF_DEMOTED, "self-demoted")   /* a leader takes its own vote instead of handing over */    \
    X(WIPED_VOTES, "wiped-votes")     /* a disk that is not the one it was is taken for it */      \
    X(REMOVED_STAYS, "removed-stays") /* a removed node goes on for ever */                        \
    X(JOINER_LOST, "joiner-lost")     /* one that joins waits for voters it does not know */       \
    X(STATE_ERROR, "state-error")     /* an error of the state database is passed over */         \
    X(HEAD_EARLY, "head-early")         /* a signed head leaves before its mark is durable */      \
    X(HEAD_FORGOTTEN, "head-forgotten") /* what was signed before a restart is not looked up */

enum sim_bug {
#define SIM_BUG_ENUM(name, text) BUG_##name,
    SIM_BUGS(SIM_BUG_ENUM)
#undef SIM_BUG_ENUM
        BUG_COUNT,
};

/* From now on in this process; BUG_COUNT: no such name. */
enum sim_bug bugs_plant(const char *name);

/* What the driver is told differently. */
void bugs_consensus(struct consensus_host *host, struct consensus_options *options);

#endif
