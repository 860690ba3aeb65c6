/* Signature checks in worker threads, before a block is proposed and when one arrives. A job is
 * immutable while a worker has it; its verdicts are facts about bytes, so they hold whatever
 * happens to the log meanwhile. */
#ifndef SERVER_VERIFY_H
#define SERVER_VERIFY_H

#include "ledger/ledger.h"
#include "net/pool.h"

struct verify;

/* What was signed, by whom, and whether all of it verifies. */
struct verify_item {
    uint8_t message[64];
    size_t message_size;
    struct ledger_check checks[SIGNATURES_MAX];
    size_t check_count; /* 0: nothing to verify, valid stays false */
    bool valid;         /* out */
};

struct verify_job {
    struct pool_job job; /* private */
    struct verify *owner;
    void (*on_done)(struct verify_job *job); /* loop thread; frees the job with verify_job_free */
    void *ctx;
    size_t count;
    struct verify_item items[];
};

/* Starts `threads` workers. Loop thread. */
err verify_new(struct loop *loop, uint32_t threads, struct verify **ret,
               struct errtext *reterr) ERR_MUST_USE;

/* Runs what is queued, ends the workers. Accepts NULL. */
void verify_free(struct verify *v);

/* A job with room for count items, all zero. */
struct verify_job *verify_job_new(struct verify *v, size_t count);
void verify_job_free(struct verify_job *job);

/* Copies the checks of an admission into item i. */
void verify_job_set(struct verify_job *job, size_t i, const struct ledger_admission *a);

/* Queues the job; on_done is called once. FULL: the queue is full, the caller keeps the job. */
err verify_submit(struct verify_job *job) ERR_MUST_USE;

/* Runs all queued jobs to their end. */
void verify_drain(struct verify *v);

#endif
