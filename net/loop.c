#include "net/loop.h"

#include <stdlib.h>

#define EV_COMPAT3 0
#include <ev.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/require.h"

/* Timers live in a binary heap of our own and one libev timer stands for the earliest: owners
 * embed a struct loop_timer without seeing libev, and time stays in integer nanoseconds. */
struct loop {
    struct ev_loop *ev; /* owned */
    ev_timer timer;     /* due when the first timer of the heap is */
    ev_timer limit;     /* bounds loop_turn */
    ev_prepare prepare;
    ev_check check;
    ev_idle idle; /* active while a posted task must not wait */
    struct clock clock;
    uint64_t now_ns, turn_ns;
    struct loop_timer **heap; /* owned; from index 1 */
    size_t timer_count, heap_capacity;
    struct loop_task tasks;      /* ring; itself is the sentinel */
    struct loop_hook hooks;      /* ring */
    struct loop_hook *hook_next; /* the one that runs after the current one */
    uint8_t *scratch;            /* owned */
    bool stopped;
};

struct loop_wake {
    ev_async async;
    struct loop *loop;
    void (*on_wake)(void *ctx);
    void *ctx;
};

struct loop_signal {
    ev_signal signal;
    struct loop *loop;
    void (*on_signal)(void *ctx, int number);
    void *ctx;
};

struct loop_io {
    ev_io io;
    struct loop *loop;
    void (*on_ready)(void *ctx, int ready);
    void *ctx;
};

/* libev counts time in floating seconds; this is the only place where we do. */
static ev_tstamp seconds_of(uint64_t ns)
{
    return (ev_tstamp)ns / 1e9;
}

/* ---- timers ---- */

static void heap_place(struct loop *l, size_t slot, struct loop_timer *t)
{
    l->heap[slot] = t;
    t->slot = slot;
}

static void heap_up(struct loop *l, size_t slot, struct loop_timer *t)
{
    while (slot > 1 && l->heap[slot / 2]->due_ns > t->due_ns) {
        heap_place(l, slot, l->heap[slot / 2]);
        slot /= 2;
    }
    heap_place(l, slot, t);
}

static void heap_down(struct loop *l, size_t slot, struct loop_timer *t)
{
    for (;;) {
        size_t child = slot * 2;
        if (child > l->timer_count) {
            break;
        }
        if (child < l->timer_count && l->heap[child + 1]->due_ns < l->heap[child]->due_ns) {
            child++;
        }
        if (l->heap[child]->due_ns >= t->due_ns) {
            break;
        }
        heap_place(l, slot, l->heap[child]);
        slot = child;
    }
    heap_place(l, slot, t);
}

void loop_timer_init(struct loop_timer *timer, void (*on_fire)(struct loop_timer *), void *ctx)
{
    require(timer != NULL);
    require(on_fire != NULL);
    *timer = (struct loop_timer){.on_fire = on_fire, .ctx = ctx};
}

void loop_timer_stop(struct loop *loop, struct loop_timer *timer)
{
    if (timer->slot == 0) {
        return;
    }
    size_t slot = timer->slot;
    require(loop->heap[slot] == timer);
    struct loop_timer *last = loop->heap[loop->timer_count--];
    timer->slot = 0;
    if (last != timer) {
        heap_up(loop, slot, last);
        heap_down(loop, last->slot, last);
    }
}

void loop_timer_start(struct loop *loop, struct loop_timer *timer, uint64_t after_ns,
                      uint64_t period_ns)
{
    require(timer->on_fire != NULL);
    loop_timer_stop(loop, timer);
    if (loop->timer_count + 2 > loop->heap_capacity) {
        loop->heap_capacity = loop->heap_capacity < 64 ? 64 : loop->heap_capacity * 2;
        loop->heap = mem_resize(loop->heap, loop->heap_capacity, sizeof(*loop->heap));
    }
    timer->due_ns = after_ns > UINT64_MAX - loop->now_ns ? UINT64_MAX : loop->now_ns + after_ns;
    timer->period_ns = period_ns;
    loop->timer_count++;
    heap_up(loop, loop->timer_count, timer);
}

bool loop_timer_armed(const struct loop_timer *timer)
{
    return timer->slot != 0;
}

/* Fires what is due now; a timer that is armed again by its own call waits for the next turn. */
static void run_timers(struct loop *l)
{
    uint64_t now_ns = l->now_ns;
    for (size_t budget = l->timer_count; budget > 0 && l->timer_count > 0; budget--) {
        struct loop_timer *t = l->heap[1];
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

static void on_ev_timer(struct ev_loop *ev, ev_timer *w, int revents)
{
    struct loop *l = w->data;
    loop_update_now(l);
    run_timers(l);
}

static void on_ev_limit(struct ev_loop *ev, ev_timer *w, int revents)
{
}

/* The libev timer stands for the earliest of ours. One that is due already must not wait. */
static void arm_ev_timer(struct loop *l)
{
    ev_timer_stop(l->ev, &l->timer);
    if (l->timer_count == 0) {
        return;
    }
    uint64_t now_ns = loop_update_now(l);
    uint64_t due_ns = l->heap[1]->due_ns;
    uint64_t after_ns = due_ns > now_ns ? due_ns - now_ns : 0;
    /* libev rounds its wait up to whole milliseconds of epoll; that is fine for timeouts. */
    ev_timer_set(&l->timer, seconds_of(after_ns), 0.);
    ev_now_update(l->ev);
    ev_timer_start(l->ev, &l->timer);
}

/* ---- tasks and hooks ---- */

void loop_task_init(struct loop_task *task, void (*run)(struct loop_task *), void *ctx)
{
    require(task != NULL);
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
    if (task->next == NULL) {
        return;
    }
    task->prev->next = task->next;
    task->next->prev = task->prev;
    task->next = task->prev = NULL;
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

/* Runs the tasks that were posted up to now; a marker bounds the round. */
static void run_tasks(struct loop *l)
{
    struct loop_task marker = {.run = NULL};
    if (l->tasks.next == &l->tasks) {
        return;
    }
    marker.prev = l->tasks.prev;
    marker.next = &l->tasks;
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
    struct loop_hook *hook = l->hooks.next;
    while (hook != &l->hooks) {
        l->hook_next = hook->next;
        hook->run(hook);
        hook = l->hook_next;
    }
    l->hook_next = NULL;
}

static void on_ev_prepare(struct ev_loop *ev, ev_prepare *w, int revents)
{
    struct loop *l = w->data;
    run_tasks(l);
    run_hooks(l);
    if (l->tasks.next != &l->tasks) {
        ev_idle_start(ev, &l->idle);
    } else {
        ev_idle_stop(ev, &l->idle);
    }
    arm_ev_timer(l);
}

static void on_ev_check(struct ev_loop *ev, ev_check *w, int revents)
{
    struct loop *l = w->data;
    l->turn_ns = loop_update_now(l);
}

static void on_ev_idle(struct ev_loop *ev, ev_idle *w, int revents)
{
}

/* ---- the loop ---- */

err loop_new(struct loop **ret_loop, struct errtext *reterr)
{
    struct ev_loop *ev = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
    if (ev == NULL) {
        return err_fail(reterr, ERR_IO, "cannot make an event loop (epoll)");
    }
    struct loop *l = mem_new(1, sizeof(*l));
    l->ev = ev;
    l->clock = clock_system();
    l->now_ns = l->turn_ns = clock_monotonic_ns(&l->clock);
    l->tasks.next = l->tasks.prev = &l->tasks;
    l->hooks.next = l->hooks.prev = &l->hooks;
    l->scratch = mem_new(LOOP_SCRATCH_BYTES, 1);
    ev_timer_init(&l->timer, on_ev_timer, 0., 0.);
    ev_timer_init(&l->limit, on_ev_limit, 0., 0.);
    ev_prepare_init(&l->prepare, on_ev_prepare);
    ev_check_init(&l->check, on_ev_check);
    ev_idle_init(&l->idle, on_ev_idle);
    l->timer.data = l->prepare.data = l->check.data = l;
    ev_set_priority(&l->check, EV_MAXPRI); /* the time is fresh before anything else runs */
    ev_prepare_start(ev, &l->prepare);
    ev_check_start(ev, &l->check);
    *ret_loop = l;
    return err_ok();
}

void loop_free(struct loop *loop)
{
    if (loop == NULL) {
        return;
    }
    ev_prepare_stop(loop->ev, &loop->prepare);
    ev_check_stop(loop->ev, &loop->check);
    ev_idle_stop(loop->ev, &loop->idle);
    ev_timer_stop(loop->ev, &loop->timer);
    ev_timer_stop(loop->ev, &loop->limit);
    ev_loop_destroy(loop->ev);
    free(loop->heap);
    free(loop->scratch);
    free(loop);
}

void loop_run(struct loop *loop)
{
    loop->turn_ns = loop_update_now(loop); /* what came before was no turn */
    loop->stopped = false;
    while (!loop->stopped) {
        ev_run(loop->ev, EVRUN_ONCE);
    }
}

void loop_turn(struct loop *loop, uint64_t wait_ns)
{
    if (wait_ns == 0) {
        ev_run(loop->ev, EVRUN_NOWAIT);
        return;
    }
    ev_now_update(loop->ev);
    ev_timer_set(&loop->limit, seconds_of(wait_ns), 0.);
    ev_timer_start(loop->ev, &loop->limit);
    ev_run(loop->ev, EVRUN_ONCE);
    ev_timer_stop(loop->ev, &loop->limit);
}

void loop_stop(struct loop *loop)
{
    loop->stopped = true;
    ev_break(loop->ev, EVBREAK_ONE);
}

uint64_t loop_now_ns(const struct loop *loop)
{
    return loop->now_ns;
}

uint64_t loop_turn_ns(const struct loop *loop)
{
    return loop->turn_ns;
}

uint64_t loop_update_now(struct loop *loop)
{
    loop->now_ns = clock_monotonic_ns(&loop->clock);
    return loop->now_ns;
}

uint8_t *loop_scratch(struct loop *loop)
{
    return loop->scratch;
}

/* ---- wakes, signals, descriptors ---- */

static void on_ev_async(struct ev_loop *ev, ev_async *w, int revents)
{
    struct loop_wake *wake = w->data;
    wake->on_wake(wake->ctx);
}

struct loop_wake *loop_wake_new(struct loop *loop, void (*on_wake)(void *ctx), void *ctx)
{
    require(loop != NULL);
    require(on_wake != NULL);
    struct loop_wake *wake = mem_new(1, sizeof(*wake));
    *wake = (struct loop_wake){.loop = loop, .on_wake = on_wake, .ctx = ctx};
    ev_async_init(&wake->async, on_ev_async);
    wake->async.data = wake;
    ev_async_start(loop->ev, &wake->async);
    return wake;
}

void loop_wake_trigger(struct loop_wake *wake)
{
    ev_async_send(wake->loop->ev, &wake->async);
}

void loop_wake_free(struct loop_wake *wake)
{
    if (wake != NULL) {
        ev_async_stop(wake->loop->ev, &wake->async);
        free(wake);
    }
}

static void on_ev_signal(struct ev_loop *ev, ev_signal *w, int revents)
{
    struct loop_signal *s = w->data;
    s->on_signal(s->ctx, w->signum);
}

struct loop_signal *loop_signal_new(struct loop *loop, int number,
                                    void (*on_signal)(void *ctx, int number), void *ctx)
{
    require(loop != NULL);
    require(on_signal != NULL);
    struct loop_signal *s = mem_new(1, sizeof(*s));
    *s = (struct loop_signal){.loop = loop, .on_signal = on_signal, .ctx = ctx};
    ev_signal_init(&s->signal, on_ev_signal, number);
    s->signal.data = s;
    ev_signal_start(loop->ev, &s->signal);
    return s;
}

void loop_signal_free(struct loop_signal *signal)
{
    if (signal != NULL) {
        ev_signal_stop(signal->loop->ev, &signal->signal);
        free(signal);
    }
}

static void on_ev_io(struct ev_loop *ev, ev_io *w, int revents)
{
    struct loop_io *io = w->data;
    int ready = (revents & EV_READ ? LOOP_READ : 0) | (revents & EV_WRITE ? LOOP_WRITE : 0);
    io->on_ready(io->ctx, ready);
}

struct loop_io *loop_io_new(struct loop *loop, int fd, enum loop_priority priority,
                            void (*on_ready)(void *ctx, int ready), void *ctx)
{
    require(loop != NULL);
    require(fd >= 0);
    struct loop_io *io = mem_new(1, sizeof(*io));
    *io = (struct loop_io){.loop = loop, .on_ready = on_ready, .ctx = ctx};
    ev_io_init(&io->io, on_ev_io, fd, 0);
    io->io.data = io;
    ev_set_priority(&io->io, (int)priority - (int)LOOP_PRIORITY_NORMAL);
    return io;
}

void loop_io_want(struct loop_io *io, int interest)
{
    int events = (interest & LOOP_READ ? EV_READ : 0) | (interest & LOOP_WRITE ? EV_WRITE : 0);
    int now = ev_is_active(&io->io) ? io->io.events & (EV_READ | EV_WRITE) : 0;
    if (events == now) {
        return;
    }
    ev_io_stop(io->loop->ev, &io->io);
    if (events != 0) {
        ev_io_set(&io->io, io->io.fd, events);
        ev_io_start(io->loop->ev, &io->io);
    }
}

void loop_io_free(struct loop_io *io)
{
    if (io != NULL) {
        ev_io_stop(io->loop->ev, &io->io);
        free(io);
    }
}
