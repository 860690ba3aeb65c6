/* net/loop.h and net/pool.h in virtual time. A turn: what has come in, timers that are due, then
 * the tasks that were posted, then the hooks. Jobs run when they are done. */
#include <stdlib.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/require.h"
#include "net/loop.h"
#include "net/pool.h"
#include "tests/sim/product/machine.h"

enum { LOOP_TIMERS_MAX = 64, LOOP_SIGNALS_MAX = 8 };

struct loop_signal {
    struct loop *loop;
    int number;
    void (*on_signal)(void *ctx, int number);
    void *ctx;
};

struct loop_wake {
    struct machine *machine;
    void (*on_wake)(void *ctx);
    void *ctx;
    bool triggered;
};

struct loop {
    struct machine *machine;
    uint64_t now_ns;
    struct loop_timer *timers[LOOP_TIMERS_MAX + 1]; /* from slot 1, in no order */
    size_t timer_count;
    struct loop_task tasks; /* ring */
    struct loop_hook hooks; /* ring */
    struct loop_hook *hook_next;
    struct loop_signal *signals[LOOP_SIGNALS_MAX];
    uint8_t *scratch;
    bool stopped;
};

err loop_new(struct loop **ret_loop, struct errtext *reterr)
{
    struct machine *m = machine_running();
    (void)reterr;
    require(m != NULL);
    struct loop *l = mem_new(1, sizeof *l);
    l->machine = m;
    l->now_ns = machine_mono_ns(m);
    l->tasks.next = l->tasks.prev = &l->tasks;
    l->hooks.next = l->hooks.prev = &l->hooks;
    m->loop = l;
    *ret_loop = l;
    return err_ok();
}

void loop_free(struct loop *loop)
{
    if (loop != NULL) {
        loop->machine->loop = NULL;
        free(loop->scratch);
        free(loop);
    }
}

void loop_run(struct loop *loop)
{
    violation(loop->machine->world, "node %llu stopped its loop for no reason",
              (unsigned long long)loop->machine->id);
}

void loop_turn(struct loop *loop, uint64_t wait_ns)
{
    (void)loop;
    (void)wait_ns;
    die("a node has no turns of its own here");
}

void loop_stop(struct loop *loop)
{
    loop->stopped = true;
}

uint64_t loop_now_ns(const struct loop *loop)
{
    return loop->now_ns;
}

/* A turn takes no time of its own here. */
uint64_t loop_turn_ns(const struct loop *loop)
{
    return machine_mono_ns(loop->machine);
}

uint64_t loop_update_now(struct loop *loop)
{
    loop->now_ns = machine_mono_ns(loop->machine);
    return loop->now_ns;
}

/* ---- timers ---- */

void loop_timer_init(struct loop_timer *timer, void (*on_fire)(struct loop_timer *), void *ctx)
{
    require(on_fire != NULL);
    *timer = (struct loop_timer){.on_fire = on_fire, .ctx = ctx};
}

void loop_timer_stop(struct loop *loop, struct loop_timer *timer)
{
    size_t slot = timer->slot;
    if (slot == 0) {
        return;
    }
    require(loop->timers[slot] == timer);
    struct loop_timer *last = loop->timers[loop->timer_count--];
    loop->timers[slot] = last;
    last->slot = slot;
    timer->slot = 0;
}

void loop_timer_start(struct loop *loop, struct loop_timer *timer, uint64_t after_ns,
                      uint64_t period_ns)
{
    require(timer->on_fire != NULL);
    loop_timer_stop(loop, timer);
    require(loop->timer_count < LOOP_TIMERS_MAX);
    timer->due_ns = after_ns > UINT64_MAX - loop->now_ns ? UINT64_MAX : loop->now_ns + after_ns;
    timer->period_ns = period_ns;
    timer->slot = ++loop->timer_count;
    loop->timers[timer->slot] = timer;
}

bool loop_timer_armed(const struct loop_timer *timer)
{
    return timer->slot != 0;
}

static struct loop_timer *first_timer(const struct loop *l)
{
    struct loop_timer *first = NULL;
    for (size_t i = 1; i <= l->timer_count; i++) {
        if (first == NULL || l->timers[i]->due_ns < first->due_ns) {
            first = l->timers[i];
        }
    }
    return first;
}

static void run_timers(struct loop *l)
{
    uint64_t now_ns = l->now_ns;
    for (size_t budget = l->timer_count; budget > 0 && l->timer_count > 0; budget--) {
        struct loop_timer *t = first_timer(l);
        if (t->due_ns > now_ns) {
            break;
        }
        uint64_t period_ns = t->period_ns;
        loop_timer_stop(l, t);
        if (period_ns > 0) {
            loop_timer_start(l, t, period_ns, period_ns);
        }
        t->on_fire(t);
    }
}

/* ---- tasks and hooks ---- */

void loop_task_init(struct loop_task *task, void (*run)(struct loop_task *), void *ctx)
{
    require(run != NULL);
    *task = (struct loop_task){.run = run, .ctx = ctx};
}

void loop_post(struct loop *loop, struct loop_task *task)
{
    require(task->run != NULL);
    if (task->next != NULL) {
        return;
    }
    task->prev = loop->tasks.prev;
    task->next = &loop->tasks;
    task->prev->next = task;
    loop->tasks.prev = task;
}

void loop_unpost(struct loop *loop, struct loop_task *task)
{
    (void)loop;
    if (task->next != NULL) {
        task->prev->next = task->next;
        task->next->prev = task->prev;
        task->next = task->prev = NULL;
    }
}

void loop_hook_add(struct loop *loop, struct loop_hook *hook)
{
    require(hook->run != NULL);
    require(hook->next == NULL);
    hook->prev = loop->hooks.prev;
    hook->next = &loop->hooks;
    hook->prev->next = hook;
    loop->hooks.prev = hook;
}

void loop_hook_remove(struct loop *loop, struct loop_hook *hook)
{
    require(hook->next != NULL);
    if (loop->hook_next == hook) {
        loop->hook_next = hook->next;
    }
    hook->prev->next = hook->next;
    hook->next->prev = hook->prev;
    hook->next = hook->prev = NULL;
}

/* The tasks that were posted up to now; a marker bounds the round. */
static void run_tasks(struct loop *l)
{
    struct loop_task marker = {.prev = l->tasks.prev, .next = &l->tasks};
    marker.prev->next = &marker;
    l->tasks.prev = &marker;
    while (l->tasks.next != &marker) {
        struct loop_task *task = l->tasks.next;
        loop_unpost(l, task);
        task->run(task);
    }
    loop_unpost(l, &marker);
}

static void run_hooks(struct loop *l)
{
    for (struct loop_hook *hook = l->hooks.next; hook != &l->hooks; hook = l->hook_next) {
        l->hook_next = hook->next;
        hook->run(hook);
    }
    l->hook_next = NULL;
}

bool seam_loop_turn(struct machine *m)
{
    struct loop *l = m->loop;
    require(l != NULL);
    loop_update_now(l);
    struct arrival *input = m->inputs;
    m->inputs = NULL;
    m->inputs_tail = &m->inputs;
    while (input != NULL) {
        struct arrival *next = input->next;
        machine_input_run(m, input);
        input = next;
    }
    loop_update_now(l);
    run_timers(l);
    run_tasks(l);
    run_hooks(l);
    return l->stopped;
}

uint64_t seam_loop_next_ns(const struct loop *l)
{
    const struct loop_timer *first = first_timer(l);
    return l->tasks.next != &l->tasks ? 0 : first == NULL ? UINT64_MAX : first->due_ns;
}

/* ---- wakes and signals ---- */

struct loop_wake *loop_wake_new(struct loop *loop, void (*on_wake)(void *ctx), void *ctx)
{
    require(loop != NULL);
    require(on_wake != NULL);
    struct loop_wake *wake = mem_new(1, sizeof *wake);
    *wake = (struct loop_wake){.machine = loop->machine, .on_wake = on_wake, .ctx = ctx};
    return wake;
}

void loop_wake_trigger(struct loop_wake *wake)
{
    if (!wake->triggered) {
        wake->triggered = true;
        machine_input(wake->machine, &(struct arrival){.kind = INPUT_WAKE, .wake = wake});
    }
}

void seam_wake_run(struct loop_wake *wake)
{
    wake->triggered = false;
    wake->on_wake(wake->ctx);
}

void loop_wake_free(struct loop_wake *wake)
{
    if (wake != NULL) {
        machine_input_cancel(wake->machine, wake);
        free(wake);
    }
}

struct loop_signal *loop_signal_new(struct loop *loop, int number,
                                    void (*on_signal)(void *ctx, int number), void *ctx)
{
    struct loop_signal *s = mem_new(1, sizeof *s);
    *s = (struct loop_signal){loop, number, on_signal, ctx};
    for (size_t i = 0; i < LOOP_SIGNALS_MAX; i++) {
        if (loop->signals[i] == NULL) {
            loop->signals[i] = s;
            return s;
        }
    }
    die("too many signals");
}

void loop_signal_free(struct loop_signal *signal)
{
    for (size_t i = 0; signal != NULL && i < LOOP_SIGNALS_MAX; i++) {
        if (signal->loop->signals[i] == signal) {
            signal->loop->signals[i] = NULL;
        }
    }
    free(signal);
}

void seam_signal_run(struct loop *loop, int number)
{
    for (size_t i = 0; i < LOOP_SIGNALS_MAX; i++) {
        struct loop_signal *s = loop->signals[i];
        if (s != NULL && s->number == number) {
            s->on_signal(s->ctx, number);
        }
    }
}

uint8_t *loop_scratch(struct loop *loop)
{
    if (loop->scratch == NULL) {
        loop->scratch = mem_new(LOOP_SCRATCH_BYTES, 1);
    }
    return loop->scratch;
}

/* ---- net/pool.h ---- */

struct pool {
    struct machine *machine;
    size_t busy, queue_max;
    bool draining;
    struct pool_job *waiting, **waiting_tail; /* submitted, not run */
    struct pool_job *ran, **ran_tail;         /* run, not done */
};

/* Stands for one job of the pool; the pool may be gone when it comes. */
struct job_event {
    struct happening event;
    struct machine *machine;
    struct pool *pool;
    uint64_t life;
};

err pool_new(struct loop *loop, size_t thread_count, size_t queue_max, struct pool **ret_pool,
             struct errtext *reterr)
{
    (void)reterr;
    require(thread_count >= 1);
    require(queue_max >= 1);
    struct pool *p = mem_new(1, sizeof *p);
    p->machine = loop->machine;
    p->queue_max = queue_max;
    p->waiting_tail = &p->waiting;
    p->ran_tail = &p->ran;
    *ret_pool = p;
    return err_ok();
}

static void run_job(struct machine *m, void *arg)
{
    struct pool_job *job = arg;
    (void)m;
    job->run(job);
}

static void run_next(struct pool *p)
{
    struct pool_job *job = p->waiting;
    if (job == NULL) {
        return;
    }
    p->waiting = job->next;
    if (p->waiting == NULL) {
        p->waiting_tail = &p->waiting;
    }
    job->next = NULL;
    machine_call(p->machine, run_job, job);
    *p->ran_tail = job;
    p->ran_tail = &job->next;
    machine_input(p->machine, &(struct arrival){.kind = INPUT_JOB, .pool = p});
}

static void on_job(struct happening *event)
{
    struct job_event *e = (struct job_event *)event;
    struct machine *m = e->machine;
    if (m->up && m->life == e->life && !m->dead) {
        run_next(e->pool);
        machine_after_call(m);
    }
    free(e);
}

static void drop_job(struct happening *event)
{
    free(event);
}

void pool_yields(struct pool *pool)
{
    require(pool->busy == 0); /* there is one processor here */
}

err pool_submit(struct pool *pool, struct pool_job *job)
{
    struct machine *m = pool->machine;
    require(job->run != NULL);
    require(job->done != NULL);
    if (pool->draining || pool->busy >= pool->queue_max) {
        return (err){ERR_FULL};
    }
    pool->busy++;
    job->next = NULL;
    *pool->waiting_tail = job;
    pool->waiting_tail = &job->next;
    struct job_event *e = mem_new(1, sizeof *e);
    *e = (struct job_event){
        .event = {.run = on_job, .drop = drop_job}, .machine = m, .pool = pool, .life = m->life};
    world_after(m->world, &e->event, 20000 + draw_below(&m->world->random, 400000));
    return err_ok();
}

void seam_pool_done(struct pool *p)
{
    struct pool_job *job = p->ran;
    if (job == NULL) {
        return; /* a drain was faster */
    }
    p->ran = job->next;
    if (p->ran == NULL) {
        p->ran_tail = &p->ran;
    }
    job->next = NULL;
    require(p->busy > 0);
    p->busy--;
    job->done(job);
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
        if (pool->ran == NULL) {
            run_next(pool);
        }
        seam_pool_done(pool);
    }
    pool->draining = false;
}

void pool_free(struct pool *pool)
{
    if (pool != NULL) {
        pool_drain(pool);
        machine_input_cancel(pool->machine, pool);
        free(pool);
    }
}
