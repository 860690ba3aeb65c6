#include "server/verify.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/require.h"
#include "crypto/verifier.h"

struct verify {
    struct pool *pool;
    pthread_key_t verifier; /* each worker's own struct verifier */
};

static void free_verifier(void *v)
{
    verifier_free(v);
}

err verify_new(struct loop *loop, uint32_t threads, struct verify **ret, struct errtext *reterr)
{
    require(threads > 0);
    struct verify *v = mem_new(1, sizeof *v);
    if (pthread_key_create(&v->verifier, free_verifier) != 0) {
        free(v);
        return err_fail(reterr, ERR_IO, "no thread-specific storage is left");
    }
    err e = pool_new(loop, threads, VERIFY_JOBS_MAX, &v->pool, reterr);
    if (failed(e)) {
        pthread_key_delete(v->verifier);
        free(v);
        return e;
    }
    *ret = v;
    return err_ok();
}

void verify_free(struct verify *v)
{
    if (v == NULL) {
        return;
    }
    pool_free(v->pool);
    pthread_key_delete(v->verifier);
    free(v);
}

struct verify_job *verify_job_new(struct verify *v, size_t count)
{
    require(count <= EVENTS_MAX);
    struct verify_job *job = mem_new(1, sizeof *job + count * sizeof job->items[0]);
    job->owner = v;
    job->count = count;
    return job;
}

void verify_job_free(struct verify_job *job)
{
    free(job);
}

void verify_job_set(struct verify_job *job, size_t i, const struct ledger_admission *a)
{
    require(i < job->count);
    require(a->check_count <= SIGNATURES_MAX);
    struct verify_item *item = &job->items[i];
    memcpy(item->message, a->message, sizeof item->message);
    memcpy(item->checks, a->checks, sizeof item->checks);
    item->message_size = a->message_size;
    item->check_count = a->check_count;
}

/* Worker thread. About 115 us of CPU a signature. */
static void run_checks(struct pool_job *pj)
{
    struct verify_job *job = (struct verify_job *)pj;
    struct verifier *v = pthread_getspecific(job->owner->verifier);
    if (v == NULL) {
        v = verifier_new();
        pthread_setspecific(job->owner->verifier, v);
    }
    for (size_t i = 0; i < job->count; i++) {
        struct verify_item *item = &job->items[i];
        bool valid = item->check_count > 0;
        for (size_t k = 0; k < item->check_count && valid; k++) {
            valid = verifier_check(v, item->checks[k].public_key,
                                   bytes_of(item->message, item->message_size),
                                   item->checks[k].signature);
        }
        item->valid = valid;
    }
}

static void checks_done(struct pool_job *pj)
{
    struct verify_job *job = (struct verify_job *)pj;
    job->on_done(job);
}

err verify_submit(struct verify_job *job)
{
    require(job->on_done != NULL);
    job->job = (struct pool_job){.run = run_checks, .done = checks_done};
    return pool_submit(job->owner->pool, &job->job);
}

void verify_drain(struct verify *v)
{
    pool_drain(v->pool);
}
