/* Checkpoints of one node: taken, agreed upon, offered, fetched, installed.
 *
 *   data/checkpoints/INDEX/          a checkpoint: manifest, and state/ while its files are kept
 *   data/checkpoints/new/            one being made; of no value after a crash
 *   data/staging/                    one being fetched: manifest, state/; resumed after a crash
 *   data/install/                    a fetched one that is complete and verified, to be switched to
 *   data/state/                      the state; state.old/ is removed once the new one is in place
 *
 * Taking.   All nodes do it at the same blocks: after the first block that passes a multiple of
 *           checkpoint_bytes of log, doubled until it is a CHECKPOINT_SHARE of all log that the
 *           ledger ever had, since each one reads the whole state through. Apply pauses for the
 *           copy alone (files are linked); digest and hashes are a worker's, from the copy.
 * Agreement. Each node tells the others the state digests of its newest checkpoints. Only one that
 *           a majority of the voters, this node included, has with the same digest is offered
 *           through Raft, served to others, and cuts the log.
 * Fetching. A node that is offered one pulls its files in chunks from whoever has it, checks every
 *           hash and the state digest itself, and installs it only if a majority of the voters has
 *           told that digest. What a leader says alone is not enough.
 *
 * Loop thread only, except what checkpoint_work.h says. */
#ifndef SERVER_CHECKPOINT_H
#define SERVER_CHECKPOINT_H

#include <stdatomic.h>

#include "consensus/consensus.h"
#include "net/loop.h"
#include "net/pool.h"
#include "server/frames.h"
#include "server/manifest.h"
#include "storage/fileops.h"
#include "storage/logstore.h"

struct node;
struct checkpoint_paths;

/* One of this node's checkpoints. */
struct checkpoint {
    struct checkpoint *next;   /* the next older one */
    struct manifest *manifest; /* owned */
    bool whole;                /* its files are kept; else it is known by name */
    bool refuted;              /* a majority has another digest: never offered */
    uint32_t readers;          /* chunks being read from it */
    uint64_t pulled_ns;        /* when a chunk was last asked for; 0: never */
};

/* What another node has told of its checkpoints. */
struct checkpoint_told {
    uint64_t id;       /* of the node; 0: free */
    uint64_t heard_ns; /* loop time */
    struct frame_checkpoints list;
};

enum taking { TAKING_NOTHING, TAKING_COPY, TAKING_EXAMINE };

struct serve_request {
    uint64_t peer;
    struct frame_fetch fetch;
};

struct serve {                                   /* checkpoint_serve.c */
    struct serve_request queue[SERVE_QUEUE_MAX]; /* a ring */
    size_t first, count;
    size_t reading;               /* chunks at the worker */
    uint64_t tokens, refilled_ns; /* bytes that may be sent now */
    struct loop_timer timer;
};

enum fetching {
    FETCH_IDLE,
    FETCH_LOOK,   /* which manifest is in staging/? */
    FETCH_ASK,    /* the source's manifest is on its way */
    FETCH_STAGE,  /* a worker prepares staging/ for it */
    FETCH_FILES,  /* files are on their way */
    FETCH_VERIFY, /* a worker checks hashes and state digest */
    FETCH_AGREE,  /* waits until a majority has told that digest */
    FETCH_READY,  /* a worker moves staging/ to install/ */
    FETCH_INSTALL /* the log records it; then the state is switched */
};

struct fetch_piece {
    uint32_t file, length;
    uint64_t offset;
};

struct fetch { /* checkpoint_fetch.c */
    enum fetching phase;
    struct checkpoint_id id;     /* what Raft offers */
    uint64_t source;             /* who is pulled from; 0: nobody yet */
    uint64_t refused[NODES_MAX]; /* nodes that do not have it, or sent what is not it */
    size_t refused_count;
    struct buf manifest_wire;  /* ASK: what has come of it */
    struct manifest *staged;   /* owned: what staging/ is for; NULL: nothing */
    struct manifest *manifest; /* owned: of the source, from STAGE on */
    uint64_t *have;            /* owned: bytes of each file in staging/, from STAGE on */
    uint32_t file;             /* the next piece to ask for ... */
    uint64_t offset;           /* ... begins here */
    struct fetch_piece window[FETCH_WINDOW]; /* asked for, in order: a ring */
    size_t window_first, window_count;
    size_t writing;        /* chunks at the worker */
    uint64_t bytes, total; /* in staging/; of all files */
    uint64_t told_tenth;   /* progress in the log */
    uint64_t began_ns, progress_ns;
    uint32_t rounds; /* verifications that found a damaged file */
    bool repair; /* of a damaged state: the driver knows nothing of it */
    bool waits_said;
    bool failed;           /* the driver has to be told */
    bool fresh;            /* what is in staging/ must not be used */
    uint64_t asked_ns;     /* when something was last asked for */
    struct loop_task task; /* begins or goes on, outside of the driver */
    bool working;          /* a job of the worker is under way */
    uint64_t generation;   /* chunks written for an earlier fetch do not count */
};

struct checkpoints {
    struct fileops files;
    struct pool *bulk;         /* one worker that yields: digest, verify, remove */
    struct pool *chunks;       /* one worker: chunks, in order; flush; the copy apply waits for */
    struct checkpoint *newest; /* owned list, newest first */
    enum taking taking;
    uint64_t described; /* index of the last one that was made from the open state; 0: none */
    bool flushing;
    struct consensus_mark mark; /* of the one being taken; conf is owned */
    struct checkpoint_told told[NODES_MAX];
    uint64_t cutting; /* index handed to the driver whose job is not done; 0: none */
    struct serve serve;
    struct fetch fetch;
    bool closing; /* no new work */
    atomic_bool stop; /* what the workers read through is given up */
};

/* ---- checkpoint.c ---- */

/* Starts the workers, finds the checkpoints on disk, removes what a crash left half-made. */
err checkpoint_open(struct node *n, struct errtext *reterr) ERR_MUST_USE;
/* Waits for the workers and their results; before the node is taken apart. Accepts one half open.
 */
void checkpoint_drain(struct node *n);
void checkpoint_close(struct node *n);

/* A block was applied; before it the ledger's blocks had that many bytes. May pause apply. */
void checkpoint_applied(struct node *n, uint64_t bytes_before);
/* Apply must wait: the state is being copied. */
bool checkpoint_pauses(const struct node *n);

/* Tells the others; each second, and when there is a new one. */
void checkpoint_tell(struct node *n);
void checkpoint_heard(struct node *n, uint64_t from, struct bytes frame);
/* Looks whether something is agreed now, cuts the log behind it, lets go of old files. */
void checkpoint_judge(struct node *n);
/* The driver's record of a checkpoint is durable: the log is cut. */
void checkpoint_recorded(struct node *n, uint64_t index, uint64_t log_first);

/* Does a majority of the voters tell this state (this node's own word counts if it has it)? */
enum checkpoint_verdict { CHECKPOINT_UNDECIDED, CHECKPOINT_AGREED, CHECKPOINT_REFUTED };
enum checkpoint_verdict checkpoint_verdict(const struct node *n, const struct checkpoint_id *id);

/* The checkpoint of that index, or NULL. */
struct checkpoint *checkpoint_find(const struct node *n, uint64_t index);
/* Where they are, for checkpoint_work.h. */
struct checkpoint_paths checkpoint_paths_of(const struct node *n);
/* Puts one into the list; takes the manifest. */
struct checkpoint *checkpoint_add(struct node *n, struct manifest *m, bool whole);

/* ---- checkpoint_serve.c ---- */
void serve_init(struct node *n);
void serve_asked(struct node *n, uint64_t from, struct bytes frame);

/* ---- checkpoint_fetch.c ---- */
void fetch_init(struct node *n);
void fetch_done(struct node *n);
/* Inside the driver: it wants this checkpoint. */
void fetch_wanted(struct node *n, const struct consensus_snapshot *s);
void fetch_chunk(struct node *n, uint64_t from, struct bytes frame);
/* Fetches the checkpoint with this id, whose position is not known yet, for repair.c. Nothing else
 * is being fetched. */
void fetch_repair(struct node *n, const struct checkpoint_id *id);
/* Each second: asks again, looks for another source, gives up. */
void fetch_watch(struct node *n);
/* The fetch is over: the state was switched (then the checkpoint's manifest is handed out), or the
 * driver was opened anew. */
struct manifest *fetch_end(struct node *n);

/* ---- checkpoint_install.c: host.c and node.c switch the state ---- */

/* The log recorded the install: closes the ledger, switches state/, opens it again. Dies if that
 * fails: the next start finishes it. Cost: that of opening a ledger. */
void install_switch(struct node *n);

/* At start, before the state is opened: finishes an install that the log has recorded, removes one
 * that it has not. */
err install_recover(struct node *n, const struct logstore_recovered *r,
                    struct errtext *reterr) ERR_MUST_USE;

/* Puts the newest sound checkpoint that the log can go on from in the place of a state that is lost
 * or damaged. The state must not be open. NOT_FOUND: there is none; nothing was changed. */
err install_restore(struct node *n, const struct logstore_recovered *r,
                    struct errtext *reterr) ERR_MUST_USE;

#endif
