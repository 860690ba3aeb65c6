/* Worker threads for immutable jobs: signature checks, disk syncs, name lookups. A job goes
 * submit -> run (on a worker) -> done (on the loop); nothing is shared but the job itself, and
 * it belongs to one thread at a time.
 *
 * Jobs are started in the order of submission; with more than one thread they may finish in any
 * order. Workers block all signals. */
#ifndef NET_POOL_H
#define NET_POOL_H

#include <stddef.h>

#include "base/err.h"
#include "net/loop.h"

struct pool;

/* Embedded in its owner, which keeps it alive until done has run. */
struct pool_job {
    void (*run)(struct pool_job *job);  /* on a worker thread */
    void (*done)(struct pool_job *job); /* on the loop thread, exactly once; may free the job */
    struct pool_job *next;              /* private */
};

/* Starts the threads (1 to POOL_THREADS_MAX). At most queue_max jobs are submitted and not done.
 * IO when a thread cannot be made. Loop thread. */
err pool_new(struct loop *loop, size_t thread_count, size_t queue_max, struct pool **ret_pool,
             struct errtext *reterr) ERR_MUST_USE;

/* Before the first job: the threads of this pool come after all others of the machine when there is
 * less processor time than work (nice 5). For long work that nobody waits for. Loop thread. */
void pool_yields(struct pool *pool);

/* Gives the job to the pool; on FULL (queue_max jobs are in it, or the pool is draining) the
 * caller still owns it and done is not called. Loop thread. */
err pool_submit(struct pool *pool, struct pool_job *job) ERR_MUST_USE;

/* Jobs submitted and not done yet. Loop thread. */
size_t pool_busy(const struct pool *pool);

/* Waits for every submitted job and runs its done. Loop thread, outside of done. */
void pool_drain(struct pool *pool);

/* Drains, then ends the threads; accepts NULL. Loop thread. */
void pool_free(struct pool *pool);

#endif
