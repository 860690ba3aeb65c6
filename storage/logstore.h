/* The durable Raft log of one node: entries, term and vote, and the manifest of the last snapshot.
 *
 * Everything that must survive is a *job*. Jobs are executed in the order of submission on a writer
 * thread; entries that wait together become one *group*: one write and one sync. A group takes
 * effect as a whole or not at all, truncation included. Finished jobs come back in the same order.
 *
 *   loop thread:  logstore_submit > ......................... > logstore_completed
 *   writer:                        group, pwrite, fdatasync, on_done (wakes the loop)
 *
 * Invariants: a completed job survives a power cut. After a failed write or sync every later job
 * fails too: what the disk holds is unknown, and only reopening can tell. Index i of the log is
 * present for first <= i <= last; terms do not fall. Formats: docs/formats/log.md.
 *
 * Threads: all functions are for one thread, the loop; only on_done is called from the writer. */
#ifndef STORAGE_LOGSTORE_H
#define STORAGE_LOGSTORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/err.h"
#include "storage/fileops.h"

enum logstore_kind {
    LOGSTORE_HARD,     /* term and vote */
    LOGSTORE_ENTRIES,  /* cut the log before `first`, then append */
    LOGSTORE_SNAPSHOT, /* a snapshot was taken: record it and drop entries before log_first */
    LOGSTORE_INSTALL,  /* a snapshot replaces the log: record it, the log is empty from index + 1 */
};

struct logstore_entry {
    uint64_t term;     /* >= 1 */
    uint8_t type;      /* 1 to LOG_ENTRY_TYPE_MAX; the meaning is the caller's */
    struct bytes data; /* at most LOG_ENTRY_BYTES_MAX; the caller's */
};

struct logstore_snapshot {
    uint64_t index, term;  /* of the last entry that the snapshot covers; index 0: there is none */
    uint64_t log_first;    /* entries from here on are kept; <= index + 1 (INSTALL: index + 1) */
    struct bytes manifest; /* opaque, at most LOG_MANIFEST_BYTES_MAX; intents of the caller too */
};

/* The job and all it points to belong to the caller, and must stay unchanged from submit until
 * logstore_completed returns it. */
struct logstore_job {
    enum logstore_kind kind;
    uint64_t term, vote;                  /* HARD: term never falls; vote 0: nobody */
    uint64_t first;                       /* ENTRIES: index of entries[0]; <= last + 1 */
    const struct logstore_entry *entries; /* ENTRIES: indexes follow from first */
    size_t entries_count;                 /* ENTRIES: >= 1; with data <= LOG_JOB_BYTES_MAX */
    struct logstore_snapshot snapshot;    /* SNAPSHOT, INSTALL */
    void *ctx;                            /* the caller's */
    err result;                           /* written before it comes back: OK, FULL, IO */
    struct {                              /* the store's own */
        struct logstore_job *next;
        uint64_t segment, offset; /* ENTRIES: where entries[0] is */
    } own;
};

struct logstore_options {
    struct fileops files;   /* zero: the operating system's */
    struct clock clock;     /* zero: the system's; measures syncs only */
    uint64_t segment_bytes; /* zero: LOG_SEGMENT_BYTES; tests use small ones */
    bool no_thread;         /* jobs are executed by logstore_run instead of a writer thread */
    void *done_ctx;
    void (*on_done)(void *done_ctx); /* writer thread: jobs are ready for logstore_completed */
};

struct logstore_recovered {
    bool fresh;                        /* the directory was empty: nothing was ever written */
    uint64_t term, vote;               /* 0, 0 when fresh */
    uint64_t first, last;              /* last = first - 1: no entries */
    struct logstore_snapshot snapshot; /* manifest lives until the next SNAPSHOT or INSTALL */
    uint64_t cut_bytes;                /* of a torn last group that was cut off; 0: none */
};

struct logstore_info {
    uint64_t term;
    uint32_t size; /* of the data */
    uint8_t type;
};

struct logstore_stats {
    uint64_t groups_count, jobs_count, bytes_written; /* since open; groups of entries */
    uint64_t syncs_count, sync_max_ns;                /* of groups and of term and vote */
    uint64_t sync_p50_ns, sync_p99_ns;                /* upper bounds, within 25 % */
    uint64_t sync_recent_ns; /* what nine of ten of the last LOG_RECENT_SYNCS stayed under */
    uint64_t jobs_waiting;                            /* submitted and not finished */
    uint64_t segments_count, disk_bytes;
};

struct logstore;

/* Opens the log in dir (must exist, mode 0700), recovers it, cuts a torn last group and starts the
 * writer. On failure nothing is left open.
 * AGAIN: another process has it open. CORRUPT: damage that is not a torn last write; reterr names
 * file and offset; nothing was changed. UNSUPPORTED: a newer format. FULL, IO. */
err logstore_open(const char *dir, const struct logstore_options *o, struct logstore **ret,
                  struct logstore_recovered *ret_recovered, struct errtext *reterr) ERR_MUST_USE;

/* Finishes all submitted jobs, records a clean end, stops the writer and frees everything; accepts
 * NULL. Jobs that were not fetched are no longer referred to. */
void logstore_close(struct logstore *ls);

/* Queues a job; on success it is the store's until it comes back from logstore_completed. A HARD
 * job with a term must precede the first entry of that term.
 * LIMIT: an entry, the job or the manifest is too large; nothing was queued. */
err logstore_submit(struct logstore *ls, struct logstore_job *job) ERR_MUST_USE;

/* The next finished job in order of submission, or NULL. Look at job->result. */
struct logstore_job *logstore_completed(struct logstore *ls);

/* Waits until no submitted job is unfinished; they still have to be fetched. */
void logstore_drain(struct logstore *ls);

/* With no_thread: executes everything that waits. */
void logstore_run(struct logstore *ls);

/* Why jobs fail, for people; "" while none has. Lives as long as the store. */
const char *logstore_failure(struct logstore *ls);

/* Term, type and size of a completed entry. NOT_FOUND: not in the log. */
err logstore_peek(const struct logstore *ls, uint64_t index,
                  struct logstore_info *ret) ERR_MUST_USE;

/* Reads the data of a completed entry from disk into ret (cleared first, the caller's) and checks
 * it. NOT_FOUND: not in the log. CORRUPT: damaged on disk, reterr names file and offset. LIMIT:
 * larger than ret may grow. IO. */
err logstore_read(struct logstore *ls, uint64_t index, struct buf *ret,
                  struct errtext *reterr) ERR_MUST_USE;

/* Figures for status. */
void logstore_stats(struct logstore *ls, struct logstore_stats *ret);

#endif
