/* A ledger computed again from its genesis: every signature verified, every contract evaluated,
 * every record, root and digest compared with what a source claims, every cosigned head with the
 * policy that the replayed ledger itself gives at that size.
 *
 *     source --block--> apply (ledger/) --records, root--> compare --> the first finding, or none
 *               heads, claims --------------------------^
 *
 * The work directory holds the state computed so far: an audit that is interrupted goes on from
 * there, and a later one with the same directory checks only what came since, and the last block
 * once more, so that what was found wrong is found again. One thread. */
#ifndef AUDIT_REPLAY_H
#define AUDIT_REPLAY_H

#include "audit/source.h"
#include "ledger/ledger.h"

struct kv;
struct replay; /* opaque */

/* What an audit can find wrong; the names are shown with --json. */
#define FINDINGS(X)                                                                                \
    X(NONE, "none")                                                                                \
    X(SOURCE, "source")     /* a container that is broken: a file, a database */                   \
    X(GENESIS, "genesis")   /* not the founding document, or not signed by all founders */         \
    X(BLOCK, "block")       /* no block, or it does not follow the one before */                   \
    X(REQUEST, "request")   /* recorded though it may not enter: signature, key, order, repeat */  \
    X(RECORD, "record")     /* another record than the contracts give */                           \
    X(DECISION, "decision") /* outcome or effects are not those of the record */                   \
    X(HEAD, "head")         /* a signed root that is not the ledger's */                           \
    X(COSIGNATURE, "cosignature") /* a head that too few have signed, or falsely */                \
    X(STATE, "state")             /* balances, rows, chains, tables, contract texts */             \
    X(EXPORT, "export")           /* a file of an exported directory */

enum finding_kind {
#define FINDING_ENUM(name, text) FINDING_##name,
    FINDINGS(FINDING_ENUM)
#undef FINDING_ENUM
};

/* Static text. */
const char *finding_name(enum finding_kind kind);

struct finding {
    enum finding_kind kind; /* NONE: nothing is wrong */
    bool has_height, has_position;
    uint64_t height, position; /* of the first thing that is wrong */
    char text[ERR_TEXT_MAX];
};

/* Sets the finding; the printf form of its text. */
void finding_set(struct finding *f, enum finding_kind kind, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

struct replay_options {
    const char *work;    /* directory, made if it is not there; the caller removes it */
    struct bytes policy; /* from elsewhere: the newest head must satisfy it, too; empty: none */
    uint64_t until_size; /* stop after the block that reaches it; 0: go to the end */
    bool has_ledger_id;  /* from elsewhere: the genesis must have this hash */
    uint8_t ledger_id[32];
    void (*progress)(void *ctx, const struct ledger_head *head); /* now and then; may be NULL */
    void *ctx;
};

/* Opens the state of the work directory, or makes it from the source's genesis. The source stays
 * the caller's and outlives the replay. A genesis that is wrong is a finding, not an err: then *ret
 * is NULL. CONFLICT: the work directory is of another ledger. IO, FULL: the work directory. */
err replay_open(const struct replay_options *options, struct source *source, struct replay **ret,
                struct finding *finding, struct errtext *reterr) ERR_MUST_USE;

/* Closes; the work directory stays. Accepts NULL. */
void replay_close(struct replay *r);

/* Applies and compares until the source ends, something is wrong, or *stop becomes true (NULL:
 * never). CANCELLED: stopped, all so far is kept. Errors are the source's and the work directory's.
 * Cost: what a node spends on the same blocks without TLS, log and peers. */
err replay_run(struct replay *r, const volatile bool *stop, struct finding *finding,
               struct errtext *reterr) ERR_MUST_USE;

struct replay_result {
    struct ledger_head head;
    uint64_t blocks, records, signatures; /* checked in this run */
    uint64_t heads;                       /* cosigned ones, in this run */
    uint64_t cosigned_size;               /* of the newest; 0: none */
    uint64_t claims;                      /* records that the source claimed, in this run */
};
struct replay_result replay_result(const struct replay *r);

/* The replayed ledger and its database: for comparing and exporting; NULL before open. */
struct ledger *replay_ledger(struct replay *r);
struct kv *replay_kv(struct replay *r);

#endif
