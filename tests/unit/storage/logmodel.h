/* What a log should hold, kept beside a real one: random histories of jobs, the state after each,
 * and the comparison of a recovered log with it. */
#ifndef TESTS_UNIT_STORAGE_LOGMODEL_H
#define TESTS_UNIT_STORAGE_LOGMODEL_H

#include "storage/logstore.h"

enum {
    MODEL_ENTRIES_MAX = 256,
    MODEL_JOBS_MAX = 48,
    MODEL_JOB_ENTRIES_MAX = 5,
    MODEL_PAYLOAD_MAX = 160,
    MODEL_SEGMENT_BYTES = 1024,
};

struct model_entry {
    uint64_t term, tag; /* the tag makes the payload */
    uint8_t type;
    size_t size;
};

struct model {
    uint64_t term, vote, first, last;
    uint64_t snapshot_index, snapshot_term, log_first, manifest_tag;
    struct model_entry entries[MODEL_ENTRIES_MAX]; /* at index % MODEL_ENTRIES_MAX */
};

struct model_job {
    struct logstore_job job;
    struct logstore_entry entries[MODEL_JOB_ENTRIES_MAX];
    uint8_t payload[MODEL_JOB_ENTRIES_MAX][MODEL_PAYLOAD_MAX];
};

struct history {
    uint64_t random;
    struct logstore *ls;
    struct model states[MODEL_JOBS_MAX + 1]; /* states[n]: after n jobs */
    struct model_job jobs[MODEL_JOBS_MAX];
    size_t submitted, acked;
    bool failed;           /* a job came back with an error */
    bool after_fail_ok;    /* a job behind a failed one came back without: never right */
    enum err_code failure; /* of the first failed job */
};

void model_init(struct model *m);

/* Starts a history on an open log that holds state. */
void history_start(struct history *h, struct logstore *ls, const struct model *state,
                   uint64_t seed);
/* Submits count more random jobs, lets the log run at random times and fetches what is done. Stops
 * after a failure. */
void history_play(struct history *h, size_t count);

/* The recovered log is exactly m. */
bool model_matches(const struct model *m, struct logstore *ls, const struct logstore_recovered *r);

/* The number of the state, from h->acked to h->submitted, that the recovered log is; -1: none. */
int history_find(const struct history *h, struct logstore *ls, const struct logstore_recovered *r);

#endif
