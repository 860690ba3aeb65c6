/* Reads closed segments of the log again and checks everything in them, some bytes at a time, while
 * the store works: damage is found before the day on which the entry is wanted. Only segments that
 * nothing is appended to any more are read: all before the newest. */
#ifndef STORAGE_LOGSCRUB_H
#define STORAGE_LOGSCRUB_H

#include "storage/logstore.h"

struct logscrub;

/* The closed segments are those from *ret_first on that are below *ret_end. Loop thread. */
void logscrub_range(const struct logstore *ls, uint64_t *ret_first, uint64_t *ret_end);

/* Prepares to read one of them; the caller's: logscrub_free. It refers to no store, so it may
 * outlive it. Loop thread. */
struct logscrub *logscrub_new(const struct logstore *ls, uint64_t segment);
void logscrub_free(struct logscrub *s); /* accepts NULL */

struct logscrub_step {
    uint64_t bytes; /* read in this step */
    bool done;      /* the segment is read, and sound */
};

/* Reads on: at least one group (a write of up to LOG_JOB_BYTES_MAX), and no new one after
 * bytes_max. NOT_FOUND: the segment has been dropped meanwhile, which is fine. CORRUPT: damaged,
 * reterr names file and offset. IO. Any thread, one at a time. */
err logscrub_run(struct logscrub *s, uint64_t bytes_max, struct logscrub_step *ret,
                 struct errtext *reterr) ERR_MUST_USE;

#endif
