#include "net/pool.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/require.h"

struct job_list {
    struct pool_job *head, *tail;
};

struct pool {
    struct loop_wake *wake; /* owned */
    size_t busy, queue_max; /* loop thread only */
    bool draining;          /* loop thread only */
    size_t thread_count;
    pthread_t threads[POOL_THREADS_MAX];
    pthread_mutex_t lock; /* guards everything below */
    pthread_cond_t work;  /* waiting is not empty, or stopping */
    pthread_cond_t news;  /* finished is not empty */
    struct job_list waiting, finished;
    bool stopping;
    bool yields;
};

enum { YIELDING_NICE = 5 }; /* a third of what another thread gets: it must end some day, too */

static void list_add(struct job_list *list, struct pool_job *job)
{
    job->next = NULL;
    if (list->tail != NULL) {
        list->tail->next = job;
    } else {
        list->head = job;
    }
    list->tail = job;
}

static struct pool_job *list_take(struct job_list *list)
{
    struct pool_job *job = list->head;
    if (job != NULL) {
        list->head = job->next;
        list->tail = list->head == NULL ? NULL : list->tail;
        job->next = NULL;
    }
    return job;
}

static void *worker_main(void *ctx)
{
    struct pool *p = ctx;
    bool yields = false;
    pthread_mutex_lock(&p->lock);
    for (;;) {
        struct pool_job *job = list_take(&p->waiting);
        if (job == NULL) {
            if (p->stopping) {
                break;
            }
            pthread_cond_wait(&p->work, &p->lock);
            continue;
        }
        bool lower = p->yields && !yields;
        pthread_mutex_unlock(&p->lock);
        if (lower) { /* Linux: of this thread alone; refused by nobody */
            yields = setpriority(PRIO_PROCESS, 0, YIELDING_NICE) == 0;
        }
        job->run(job);
        pthread_mutex_lock(&p->lock);
        bool first = p->finished.head == NULL;
        list_add(&p->finished, job);
        if (first) {
            pthread_cond_signal(&p->news);
            loop_wake_trigger(p->wake);
        }
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

/* Runs done for everything that has finished; on the loop. */
static void take_finished(struct pool *p)
{
    pthread_mutex_lock(&p->lock);
    struct job_list finished = p->finished;
    p->finished = (struct job_list){NULL, NULL};
    pthread_mutex_unlock(&p->lock);
    for (struct pool_job *job = list_take(&finished); job != NULL; job = list_take(&finished)) {
        require(p->busy > 0);
        p->busy--;
        job->done(job);
    }
}

static void on_wake(void *ctx)
{
    take_finished(ctx);
}

static void stop_threads(struct pool *p)
{
    pthread_mutex_lock(&p->lock);
    p->stopping = true;
    pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->lock);
    for (size_t i = 0; i < p->thread_count; i++) {
        pthread_join(p->threads[i], NULL);
    }
}

static void pool_destroy(struct pool *p)
{
    stop_threads(p);
    loop_wake_free(p->wake);
    pthread_cond_destroy(&p->news);
    pthread_cond_destroy(&p->work);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

err pool_new(struct loop *loop, size_t thread_count, size_t queue_max, struct pool **ret_pool,
             struct errtext *reterr)
{
    require(thread_count >= 1);
    require(thread_count <= POOL_THREADS_MAX);
    require(queue_max >= 1);
    struct pool *p = mem_new(1, sizeof(*p));
    p->queue_max = queue_max;
    p->wake = loop_wake_new(loop, on_wake, p);
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->work, NULL);
    pthread_cond_init(&p->news, NULL);
    /* Signals belong to the loop: a worker inherits a full mask. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failure = 0;
    while (failure == 0 && p->thread_count < thread_count) {
        failure = pthread_create(&p->threads[p->thread_count], NULL, worker_main, p);
        p->thread_count += failure == 0;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failure != 0) {
        pool_destroy(p);
        return err_fail(reterr, ERR_IO, "cannot start a worker thread: %s", strerror(failure));
    }
    *ret_pool = p;
    return err_ok();
}

void pool_yields(struct pool *pool)
{
    require(pool->busy == 0);
    pthread_mutex_lock(&pool->lock);
    pool->yields = true;
    pthread_mutex_unlock(&pool->lock);
}

err pool_submit(struct pool *pool, struct pool_job *job)
{
    require(job->run != NULL);
    require(job->done != NULL);
    if (pool->draining || pool->busy >= pool->queue_max) {
        return (err){ERR_FULL};
    }
    pool->busy++;
    pthread_mutex_lock(&pool->lock);
    list_add(&pool->waiting, job);
    pthread_cond_signal(&pool->work);
    pthread_mutex_unlock(&pool->lock);
    return err_ok();
}

size_t pool_busy(const struct pool *pool)
{
    return pool->busy;
}

void pool_drain(struct pool *pool)
{
    require(!pool->draining);
    pool->draining = true;
    while (pool->busy > 0) {
        pthread_mutex_lock(&pool->lock);
        while (pool->finished.head == NULL) {
            pthread_cond_wait(&pool->news, &pool->lock);
        }
        pthread_mutex_unlock(&pool->lock);
        take_finished(pool);
    }
    pool->draining = false;
}

void pool_free(struct pool *pool)
{
    if (pool != NULL) {
        pool_drain(pool);
        pool_destroy(pool);
    }
}
