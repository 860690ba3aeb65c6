/* The inside of the log store, shared by its own files: logstore.c (loop side), logwriter.c (writer
 * thread), logrecover.c (open), logfiles.c (files). Not for other folders. */
#ifndef STORAGE_LOGSTORE_OWN_H
#define STORAGE_LOGSTORE_OWN_H

#include <pthread.h>

#include "storage/latency.h"
#include "storage/logformat.h"
#include "storage/logindex.h"
#include "storage/logstore.h"

enum { LOG_PATH_BYTES = 4096 };

/* The files of a log in one directory. Immutable after open. */
struct logdir {
    struct fileops ops;
    char path[LOG_PATH_BYTES - 64]; /* of the directory: room for a file name remains */
};

/* A file name in the directory. */
struct logpath {
    char text[LOG_PATH_BYTES];
};
#define LOG_NAME_LOCK "lock"
#define LOG_NAME_ROOT "term"
#define LOG_NAME_SNAPSHOT "snapshot"
#define LOG_NAME_SEGMENT_NEW "segment.new"
#define LOG_NAME_FILE_NEW "file.new"
struct logpath logdir_path(const struct logdir *d, const char *name);
struct logpath logdir_segment_path(const struct logdir *d, uint64_t number);

/* FULL for "no space" and "over quota", else IO; reterr says what failed with which file. */
err logdir_fail(struct errtext *reterr, const char *what, const char *path, int rc);

/* Replaces a small file as a whole: written beside it, synced, renamed, the directory synced. */
err logdir_replace(const struct logdir *d, const char *name, struct bytes content,
                   struct errtext *reterr) ERR_MUST_USE;

/* Reads a whole file of at most size_max bytes into ret (cleared first). NOT_FOUND, CORRUPT (too
 * large), IO. */
err logdir_read(const struct logdir *d, const char *path, struct buf *ret, size_t size_max,
                struct errtext *reterr) ERR_MUST_USE;

/* Reads a segment as far as it was written, with the zeros that may belong to its last group; what
 * is not in ret is zero up to the segment's size in *ret_size.
 * ret (cleared first) holds LOG_SEGMENT_BYTES_MAX. CORRUPT (too large), IO. */
err logdir_read_segment(const struct logdir *d, uint64_t number, struct buf *ret,
                        uint64_t *ret_size, struct errtext *reterr) ERR_MUST_USE;

/* Makes a segment of at least size bytes, durable under its name, and opens it for writing. On
 * failure nothing of it is left. */
err logdir_make_segment(const struct logdir *d, const struct log_segment *s, uint64_t size,
                        int *ret_fd, struct errtext *reterr) ERR_MUST_USE;

/* Opens a segment for reading and writing and reads its head. CORRUPT (missing too), UNSUPPORTED,
 * IO. */
err logdir_open_segment(const struct logdir *d, uint64_t number, int *ret_fd,
                        struct log_segment *ret, struct errtext *reterr) ERR_MUST_USE;

/* Belongs to the writer thread while it runs, to open and close before and after. */
struct logwriter {
    int root_fd;    /* -1: none */
    int segment_fd; /* -1: none */
    struct log_root root;
    uint64_t segment_number, segment_size, offset;
    uint32_t seed;
    uint64_t group_next;
    uint64_t last; /* index of the last entry written and synced */
    uint64_t segment_bytes;
    struct buf group; /* owned */
    err failed;       /* the first failure; everything after it fails the same way */
};

/* Filled by the writer, read by the loop: only under the lock of the queue. */
struct logfigures {
    struct latency sync;
    struct latency recent, before; /* of LOG_RECENT_SYNCS at most, and the full one before it */
    uint64_t groups_count, jobs_count, bytes_written;
};

struct logqueue {
    pthread_mutex_t lock;
    pthread_cond_t work, idle;
    struct logstore_job *waiting, **waiting_tail;
    struct logstore_job *done, **done_tail;
    uint64_t unfinished;   /* submitted and not in done */
    uint64_t unlink_below; /* segments that nobody needs any more; 0: none */
    bool stop;
    struct logfigures figures;
    struct errtext failure; /* written once, before the first failed job is done */
};

struct logstore {
    struct logdir dir;
    struct clock clock;
    int lock_fd;
    bool no_thread, thread_runs;
    pthread_t thread;
    void *done_ctx;
    void (*on_done)(void *done_ctx);
    /* loop only */
    struct logindex index;                        /* completed entries */
    struct logstore_snapshot snapshot;            /* completed; manifest is owned */
    uint64_t segment_first;                       /* oldest segment in use */
    uint64_t segment_newest;                      /* of completed jobs */
    uint64_t submitted_last, submitted_term_last; /* what the log ends with after all jobs */
    uint64_t submitted_term;                      /* of the last HARD job */
    uint64_t submitted_snapshot;                  /* index */
    int read_fd;                                  /* -1: none */
    uint64_t read_segment;
    uint32_t read_seed;
    /* writer only */
    struct logwriter writer;
    uint64_t unlinked_below; /* segments before it are gone */
    /* both */
    struct logqueue queue;
};

/* ---- logwriter.c ---- */

/* Writes term, vote and progress into both slots, each synced. */
err logwriter_root(struct logstore *ls, const struct log_root *root,
                   struct errtext *reterr) ERR_MUST_USE;

/* Starts a new segment; its first group is the next one. */
err logwriter_roll(struct logstore *ls, uint64_t size_min, struct errtext *reterr) ERR_MUST_USE;

/* Executes a list of jobs, hands them back and forgets segments that are not needed. */
void logwriter_execute(struct logstore *ls, struct logstore_job *jobs);

/* Takes everything that waits; NULL: nothing. */
struct logstore_job *logqueue_take(struct logqueue *q);

/* The thread. */
void *logwriter_main(void *ls);

/* ---- logrecover.c ---- */

/* Reads what is in the directory, mends a torn end and leaves the store ready to run. On failure
 * the caller closes what is open. */
err logrecover_run(struct logstore *ls, struct logstore_recovered *ret,
                   struct errtext *reterr) ERR_MUST_USE;

#endif
