/* Timers, tasks, hooks, wakes from other threads, and the worker pool. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <pthread.h>
#include <signal.h>

#include "base/clock.h"
#include "base/limits.h"
#include "net/loop.h"
#include "net/pool.h"

static int setup(void **state)
{
    struct loop *loop = NULL;
    assert_false(failed(loop_new(&loop, NULL)));
    *state = loop;
    return 0;
}

static int teardown(void **state)
{
    loop_free(*state);
    return 0;
}

enum { TIMERS = 200 };
struct timers {
    struct loop *loop;
    struct loop_timer list[TIMERS];
    uint64_t last_due_ns;
    size_t fired, out_of_order;
};

static void on_timer(struct loop_timer *timer)
{
    struct timers *t = timer->ctx;
    t->out_of_order += timer->due_ns < t->last_due_ns;
    t->last_due_ns = timer->due_ns;
    t->fired++;
    assert_false(loop_timer_armed(timer));
}

static void test_timers_fire_in_order(void **state)
{
    struct loop *loop = *state;
    struct timers t = {.loop = loop};
    for (size_t i = 0; i < TIMERS; i++) {
        loop_timer_init(&t.list[i], on_timer, &t);
        loop_timer_start(loop, &t.list[i], (i * 7919) % 53 * NS_PER_MS, 0);
    }
    for (size_t i = 0; i < TIMERS; i += 3) { /* some are taken back, some moved */
        loop_timer_stop(loop, &t.list[i]);
        loop_timer_stop(loop, &t.list[i]);
        if (i % 2 == 0) {
            loop_timer_start(loop, &t.list[i], 60 * NS_PER_MS, 0);
        }
    }
    uint64_t start_ns = loop_now_ns(loop);
    while (loop_now_ns(loop) - start_ns < 120 * NS_PER_MS) {
        loop_turn(loop, 10 * NS_PER_MS);
    }
    assert_int_equal(t.fired, TIMERS - 33);
    assert_int_equal(t.out_of_order, 0);
}

struct ticker {
    struct loop_timer timer;
    struct loop *loop;
    int count;
};

static void on_tick(struct loop_timer *timer)
{
    struct ticker *t = timer->ctx;
    if (++t->count == 3) {
        loop_timer_stop(t->loop, timer);
        loop_stop(t->loop);
    }
}

static void test_repeating_timer_until_stopped(void **state)
{
    struct ticker t = {.loop = *state};
    loop_timer_init(&t.timer, on_tick, &t);
    loop_timer_start(t.loop, &t.timer, 0, 2 * NS_PER_MS);
    loop_run(t.loop);
    assert_int_equal(t.count, 3);
    assert_false(loop_timer_armed(&t.timer));
}

struct repost {
    struct loop_task task, other;
    struct loop *loop;
    int runs, other_runs;
};

static void on_task(struct loop_task *task)
{
    struct repost *r = task->ctx;
    r->runs++;
    loop_unpost(r->loop, &r->other); /* taken back before it ran */
    loop_post(r->loop, task);
}

static void on_other(struct loop_task *task)
{
    struct repost *r = task->ctx;
    r->other_runs++;
}

static void test_task_reposts_into_next_turn(void **state)
{
    struct repost r = {.loop = *state};
    loop_task_init(&r.task, on_task, &r);
    loop_task_init(&r.other, on_other, &r);
    loop_post(r.loop, &r.task);
    loop_post(r.loop, &r.task); /* twice is once */
    loop_post(r.loop, &r.other);
    uint64_t start_ns = loop_update_now(r.loop);
    for (int i = 0; i < 5; i++) {
        loop_turn(r.loop, 5 * NS_PER_S); /* never waits: the task is posted again */
    }
    assert_int_equal(r.runs, 5);
    assert_int_equal(r.other_runs, 0);
    assert_true(loop_update_now(r.loop) - start_ns < NS_PER_S);
    loop_unpost(r.loop, &r.task);
}

struct hooked {
    struct loop_hook hook;
    struct loop *loop;
    int runs;
    bool leave;
};

static void on_hook(struct loop_hook *hook)
{
    struct hooked *h = hook->ctx;
    h->runs++;
    if (h->leave) {
        loop_hook_remove(h->loop, hook);
    }
}

static void test_hooks_run_each_turn(void **state)
{
    struct hooked a = {.loop = *state, .leave = true}, b = {.loop = *state};
    a.hook = (struct loop_hook){.run = on_hook, .ctx = &a};
    b.hook = (struct loop_hook){.run = on_hook, .ctx = &b};
    loop_hook_add(a.loop, &a.hook);
    loop_hook_add(b.loop, &b.hook);
    for (int i = 0; i < 3; i++) {
        loop_turn(a.loop, 0);
    }
    assert_int_equal(a.runs, 1);
    assert_int_equal(b.runs, 3);
    loop_hook_remove(b.loop, &b.hook);
}

struct woken {
    struct loop *loop;
    struct loop_wake *wake;
    pthread_mutex_t lock;
    uint64_t sent; /* guarded by lock */
    uint64_t seen;
};
enum { WAKES = 20000 };

static void *trigger_main(void *ctx)
{
    struct woken *w = ctx;
    for (int i = 0; i < WAKES; i++) {
        pthread_mutex_lock(&w->lock);
        w->sent++;
        pthread_mutex_unlock(&w->lock);
        loop_wake_trigger(w->wake);
    }
    return NULL;
}

static void on_wake(void *ctx)
{
    struct woken *w = ctx;
    pthread_mutex_lock(&w->lock);
    w->seen = w->sent;
    pthread_mutex_unlock(&w->lock);
    if (w->seen == 2 * WAKES) {
        loop_stop(w->loop);
    }
}

static void test_no_wake_is_lost(void **state)
{
    struct woken w = {.loop = *state};
    pthread_mutex_init(&w.lock, NULL);
    w.wake = loop_wake_new(w.loop, on_wake, &w);
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, trigger_main, &w), 0);
    }
    loop_run(w.loop);
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(w.seen, 2 * WAKES);
    loop_wake_free(w.wake);
    pthread_mutex_destroy(&w.lock);
}

static void on_signal(void *ctx, int number)
{
    *(int *)ctx = number;
}

static void test_signal_arrives_on_the_loop(void **state)
{
    int got = 0;
    struct loop_signal *s = loop_signal_new(*state, SIGUSR1, on_signal, &got);
    raise(SIGUSR1);
    for (int i = 0; i < 50 && got == 0; i++) {
        loop_turn(*state, 20 * NS_PER_MS);
    }
    assert_int_equal(got, SIGUSR1);
    loop_signal_free(s);
}

enum { JOBS = 5000 };
struct sum_job {
    struct pool_job job;
    uint64_t input, output;
    struct sum *sum;
};
struct sum {
    struct pool *pool;
    struct sum_job jobs[JOBS];
    uint64_t total;
    size_t done, submitted, full;
};

static void job_run(struct pool_job *job)
{
    struct sum_job *j = (struct sum_job *)job;
    j->output = j->input * j->input;
}

static void job_done(struct pool_job *job)
{
    struct sum_job *j = (struct sum_job *)job;
    j->sum->total += j->output;
    j->sum->done++;
}

static void test_pool_runs_every_job_once(void **state)
{
    struct sum *s = calloc(1, sizeof(*s));
    assert_false(failed(pool_new(*state, 3, 64, &s->pool, NULL)));
    uint64_t expected = 0;
    while (s->submitted < JOBS) {
        struct sum_job *j = &s->jobs[s->submitted];
        *j = (struct sum_job){{.run = job_run, .done = job_done}, s->submitted, 0, s};
        err e = pool_submit(s->pool, &j->job);
        if (err_is(e, ERR_FULL)) {
            s->full++;
            loop_turn(*state, NS_PER_MS);
            continue;
        }
        expected += s->submitted * s->submitted;
        s->submitted++;
    }
    assert_true(s->full > 0);
    assert_true(pool_busy(s->pool) <= 64);
    pool_free(s->pool); /* drains */
    assert_int_equal(s->done, JOBS);
    assert_true(s->total == expected);
    free(s);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_timers_fire_in_order),
        T(test_repeating_timer_until_stopped),
        T(test_task_reposts_into_next_turn),
        T(test_hooks_run_each_turn),
        T(test_no_wake_is_lost),
        T(test_signal_arrives_on_the_loop),
        T(test_pool_runs_every_job_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
