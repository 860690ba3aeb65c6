/* What `audit` and `export` share: a source by its name, a work directory, a replay with progress
 * that a signal may stop. */
#ifndef CLI_REPLAYING_H
#define CLI_REPLAYING_H

#include "audit/replay.h"
#include "cli/session.h"

/* Options of both; put them before SESSION_OPTIONS. */
#define REPLAYING_OPTIONS                                                                          \
    {"from", "DIR", "keep what is verified in DIR, and go on from there next time", false},        \
        {"policy", "FILE", "whom you believe, from elsewhere: the newest head must satisfy it",    \
         false},                                                                                   \
    {                                                                                              \
        "ledger-id", "HEX", "the ledger that you mean, from elsewhere", false                      \
    }

enum replaying_kind { REPLAYING_NODE, REPLAYING_BACKUP, REPLAYING_DIRECTORY };

struct replaying {
    const struct given *given;
    struct session session; /* of a node, if has_session */
    bool has_session;
    enum replaying_kind kind;
    const char *name; /* of the source, as shown */
    char state[4096]; /* of a backup: its database */
    struct source *source;
    char work[4096];
    bool temporary; /* the work directory goes away at the end */
    struct buf policy;
    uint64_t until_size;   /* where to stop; 0: at the end */
    struct replay *replay; /* NULL before replaying_run, or after a finding of the genesis */
    struct finding finding;
    struct errtext why;
};

/* Opens the source: an exported directory, the data directory of a stopped node or a state
 * database, else a node of the profile (NULL: any). On failure it was said why, and the exit code
 * is returned; the caller calls replaying_close in any case. */
int replaying_open(struct replaying *r, const struct given *g, const char *source);

/* Replays to r->until_size. EXIT_DONE: r->finding says whether something is wrong. */
int replaying_run(struct replaying *r);

/* Frees all, removes a temporary work directory, returns the code. */
int replaying_close(struct replaying *r, int code);

/* Says the finding, as text or JSON. */
void replaying_tell(const struct replaying *r);

#endif
