/* The event loop of a process: one thread, one loop, owning all state. It hides libev.
 *
 * A *turn* is: wait, deliver what is ready, run due timers, then run posted tasks and hooks just
 * before the next wait. Output that piles up during a turn is flushed by tasks, so a connection
 * makes one send a turn.
 *
 * Thread: everything here is loop only, except loop_wake_trigger. A loop belongs to the thread
 * that runs it. */
#ifndef NET_LOOP_H
#define NET_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct loop;

/* Makes a loop with an epoll backend. IO when the system has no descriptors left. */
err loop_new(struct loop **ret_loop, struct errtext *reterr) ERR_MUST_USE;

/* Frees the loop; accepts NULL. Every io, wake and signal made from it must be freed before;
 * armed timers and posted tasks are forgotten without a call. */
void loop_free(struct loop *loop);

/* Runs turns until loop_stop. */
void loop_run(struct loop *loop);

/* Runs one turn; waits at most wait_ns for something to happen (0: does not wait). */
void loop_turn(struct loop *loop, uint64_t wait_ns);

/* Makes loop_run return at the end of this turn. From another thread: trigger a wake whose
 * callback calls this. */
void loop_stop(struct loop *loop);

/* Monotonic time of this turn in ns (cached; see loop_update_now). */
uint64_t loop_now_ns(const struct loop *loop);

/* Reads the clock again after long work and returns it. */
uint64_t loop_update_now(struct loop *loop);

/* Monotonic time in ns at which the wait before this turn ended. */
uint64_t loop_turn_ns(const struct loop *loop);

/* ---- timers: embedded in their owner, which must stop them before it goes away ---- */
struct loop_timer {
    void (*on_fire)(struct loop_timer *timer);
    void *ctx;          /* the owner's */
    uint64_t due_ns;    /* private from here on */
    uint64_t period_ns; /* 0: once */
    size_t slot;        /* place in the heap, from 1; 0: not armed */
};

/* Prepares a timer that is not armed. */
void loop_timer_init(struct loop_timer *timer, void (*on_fire)(struct loop_timer *), void *ctx);

/* Arms (or re-arms) the timer to fire after_ns from this turn's time, then every period_ns
 * (0: once). A once timer is disarmed before on_fire runs, so on_fire may free its owner. */
void loop_timer_start(struct loop *loop, struct loop_timer *timer, uint64_t after_ns,
                      uint64_t period_ns);

/* Disarms; harmless when not armed. */
void loop_timer_stop(struct loop *loop, struct loop_timer *timer);

bool loop_timer_armed(const struct loop_timer *timer);

/* ---- tasks: run once, before the loop waits again; embedded in their owner ---- */
struct loop_task {
    void (*run)(struct loop_task *task);
    void *ctx;
    struct loop_task *next, *prev; /* private; NULL when not posted */
};

/* Prepares a task that is not posted. */
void loop_task_init(struct loop_task *task, void (*run)(struct loop_task *), void *ctx);

/* Posts the task for the end of this turn; harmless when it is posted already. A task posted by
 * a task or a hook runs in the next turn, which then does not wait. */
void loop_post(struct loop *loop, struct loop_task *task);

/* Takes a posted task back; harmless when it is not posted. */
void loop_unpost(struct loop *loop, struct loop_task *task);

/* ---- hooks: run every turn after the tasks; for what gathers work over a turn ---- */
struct loop_hook {
    void (*run)(struct loop_hook *hook); /* may post tasks; must not remove other hooks */
    void *ctx;
    struct loop_hook *next, *prev; /* private */
};

/* Adds a hook; hooks run in the order they were added. The owner removes it before it goes away. */
void loop_hook_add(struct loop *loop, struct loop_hook *hook);

/* Removes an added hook; also from inside its own run. */
void loop_hook_remove(struct loop *loop, struct loop_hook *hook);

/* ---- wakes: the only way in from other threads ---- */
struct loop_wake;

/* Makes a wake; on_wake(ctx) runs on the loop some time after one or more triggers. */
struct loop_wake *loop_wake_new(struct loop *loop, void (*on_wake)(void *ctx), void *ctx);

/* Any thread, async-signal-safe. Triggers coalesce: drain everything in on_wake. */
void loop_wake_trigger(struct loop_wake *wake);

/* Frees the wake; no thread may trigger it any more. Accepts NULL. */
void loop_wake_free(struct loop_wake *wake);

/* ---- signals ---- */
struct loop_signal;

/* on_signal(ctx, number) runs on the loop when the process receives the signal. One watcher for
 * each signal number in the process. */
struct loop_signal *loop_signal_new(struct loop *loop, int number,
                                    void (*on_signal)(void *ctx, int number), void *ctx);

/* Stops watching; accepts NULL. */
void loop_signal_free(struct loop_signal *signal);

/* ---- descriptors: for conn, listener and others that own an fd ---- */
enum { LOOP_READ = 1, LOOP_WRITE = 2 };
enum loop_priority { LOOP_PRIORITY_LOW, LOOP_PRIORITY_NORMAL, LOOP_PRIORITY_HIGH };
struct loop_io;

/* Watches fd (not owned) with no interest yet. on_ready(ctx, LOOP_READ | LOOP_WRITE) is level
 * triggered. Free it before the fd is closed. */
struct loop_io *loop_io_new(struct loop *loop, int fd, enum loop_priority priority,
                            void (*on_ready)(void *ctx, int ready), void *ctx);

/* Sets the interest: 0, LOOP_READ, LOOP_WRITE or both. */
void loop_io_want(struct loop_io *io, int interest);

/* Stops watching; accepts NULL; also from inside on_ready. */
void loop_io_free(struct loop_io *io);

/* Scratch memory of the loop, LOOP_SCRATCH_BYTES big: valid until the callback that took it
 * returns, never across callbacks that read sockets. For conn. */
enum { LOOP_SCRATCH_BYTES = 64 << 10 };
uint8_t *loop_scratch(struct loop *loop);

#endif
