/* The log store is the product's own, without its thread: what waits for it is executed some time
 * later, as an event, on the machine's disk in memory. */
#include <errno.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/require.h"
#include "tests/sim/product/check.h"
#include "tests/sim/product/edge.h"

enum { SEGMENT_BYTES = 32 << 10 }; /* small: segments end often */

err __real_logstore_open(const char *dir, const struct logstore_options *o, struct logstore **ret,
                         struct logstore_recovered *ret_recovered, struct errtext *reterr);
err __wrap_logstore_open(const char *dir, const struct logstore_options *o, struct logstore **ret,
                         struct logstore_recovered *ret_recovered, struct errtext *reterr);
err __real_logstore_submit(struct logstore *ls, struct logstore_job *job);
err __wrap_logstore_submit(struct logstore *ls, struct logstore_job *job);
struct logstore_job *__real_logstore_completed(struct logstore *ls);
struct logstore_job *__wrap_logstore_completed(struct logstore *ls);
void __real_logstore_close(struct logstore *ls);
void __wrap_logstore_close(struct logstore *ls);

/* ---- the disk acts while the process lives ---- */

/* The process may die in this call: then it takes effect in part, and no later one does. */
static void disk_call(struct machine *m)
{
    bool dead = m->dead;
    if (!machine_acts(m)) {
        if (dead) {
            m->disk.dead = true;
        } else {
            disk_arm(&m->disk, DISK_FAULT_CUT, 1);
        }
    }
}

static struct fileops disk_of(void *ctx)
{
    struct machine *m = ctx;
    return disk_ops(&m->disk);
}

static int log_open(void *ctx, const char *path, int flags)
{
    disk_call(ctx);
    struct fileops ops = disk_of(ctx);
    return ops.open(ops.ctx, path, flags);
}

static void log_close(void *ctx, int fd)
{
    struct machine *m = ctx;
    if (!m->disk.dead) {
        struct fileops ops = disk_of(ctx);
        ops.close(ops.ctx, fd);
    }
}

static int64_t log_pread(void *ctx, int fd, void *ret, size_t size, uint64_t offset)
{
    struct fileops ops = disk_of(ctx);
    return ops.pread(ops.ctx, fd, ret, size, offset);
}

static int log_pwrite(void *ctx, int fd, const void *data, size_t size, uint64_t offset)
{
    disk_call(ctx);
    struct fileops ops = disk_of(ctx);
    return ops.pwrite(ops.ctx, fd, data, size, offset);
}

static int log_fdatasync(void *ctx, int fd)
{
    disk_call(ctx);
    struct fileops ops = disk_of(ctx);
    return ops.fdatasync(ops.ctx, fd);
}

static int log_fallocate(void *ctx, int fd, uint64_t size)
{
    struct machine *m = ctx;
    disk_call(ctx);
    if (m->full_until_ns > m->world->now_ns) {
        m->disk_hurt = true;
        return -ENOSPC;
    }
    struct fileops ops = disk_of(ctx);
    return ops.fallocate(ops.ctx, fd, size);
}

static int64_t log_size(void *ctx, int fd)
{
    struct fileops ops = disk_of(ctx);
    return ops.size(ops.ctx, fd);
}

static int64_t log_data_end(void *ctx, int fd)
{
    struct fileops ops = disk_of(ctx);
    return ops.data_end(ops.ctx, fd);
}

static int log_rename(void *ctx, const char *from, const char *to)
{
    disk_call(ctx);
    struct fileops ops = disk_of(ctx);
    return ops.rename(ops.ctx, from, to);
}

static int log_unlink(void *ctx, const char *path)
{
    disk_call(ctx);
    struct fileops ops = disk_of(ctx);
    return ops.unlink(ops.ctx, path);
}

static int log_mkdir(void *ctx, const char *path)
{
    disk_call(ctx);
    struct fileops ops = disk_of(ctx);
    return ops.mkdir(ops.ctx, path);
}

static int log_rmdir(void *ctx, const char *path)
{
    disk_call(ctx);
    struct fileops ops = disk_of(ctx);
    return ops.rmdir(ops.ctx, path);
}

static int log_link(void *ctx, const char *from, const char *to)
{
    disk_call(ctx);
    struct fileops ops = disk_of(ctx);
    return ops.link(ops.ctx, from, to);
}

static int log_dirsync(void *ctx, const char *path)
{
    disk_call(ctx);
    struct fileops ops = disk_of(ctx);
    return ops.dirsync(ops.ctx, path);
}

static int log_list(void *ctx, const char *path, void *arg, void (*on_name)(void *, const char *))
{
    struct fileops ops = disk_of(ctx);
    return ops.list(ops.ctx, path, arg, on_name);
}

static int log_lock(void *ctx, int fd)
{
    struct fileops ops = disk_of(ctx);
    return ops.lock(ops.ctx, fd);
}

static uint64_t log_random(void *ctx)
{
    struct fileops ops = disk_of(ctx);
    return ops.random(ops.ctx);
}

struct fileops seam_log_files(struct machine *m)
{
    return (struct fileops){
        .ctx = m,
        .open = log_open,
        .close = log_close,
        .pread = log_pread,
        .pwrite = log_pwrite,
        .fdatasync = log_fdatasync,
        .fallocate = log_fallocate,
        .size = log_size,
        .data_end = log_data_end,
        .rename = log_rename,
        .unlink = log_unlink,
        .mkdir = log_mkdir,
        .rmdir = log_rmdir,
        .link = log_link,
        .dirsync = log_dirsync,
        .list = log_list,
        .lock = log_lock,
        .random = log_random,
    };
}

/* ---- the store ---- */

struct log_event {
    struct happening event;
    struct machine *machine;
    uint64_t life;
};

static void drop_log(struct happening *event)
{
    free(event);
}

static void run_log(struct machine *m, void *arg)
{
    (void)arg;
    logstore_run(m->log);
}

static void on_log(struct happening *event)
{
    struct log_event *e = (struct log_event *)event;
    struct machine *m = e->machine;
    struct world *w = m->world;
    if (!m->up || m->life != e->life || m->log == NULL) {
        free(e);
        return;
    }
    if (m->stalled_until_ns > w->now_ns) {
        world_after(w, event, m->stalled_until_ns - w->now_ns);
        return;
    }
    free(e);
    m->log_event = false;
    machine_call(m, run_log, NULL);
    machine_after_call(m);
}

err __wrap_logstore_open(const char *dir, const struct logstore_options *o, struct logstore **ret,
                         struct logstore_recovered *ret_recovered, struct errtext *reterr)
{
    struct machine *m = machine_running();
    struct logstore_options mine = *o;
    mine.no_thread = true;
    mine.segment_bytes = SEGMENT_BYTES;
    TRY(__real_logstore_open(dir, &mine, ret, ret_recovered, reterr));
    m->log = *ret;
    m->log_event = false;
    if (!m->dead) {
        check_recovered(m, *ret, ret_recovered);
    }
    return err_ok();
}

err __wrap_logstore_submit(struct logstore *ls, struct logstore_job *job)
{
    struct machine *m = machine_running();
    struct world *w = m->world;
    TRY(__real_logstore_submit(ls, job));
    check_submitted(m, job);
    if (!m->log_event) {
        struct log_event *e = mem_new(1, sizeof *e);
        *e = (struct log_event){
            .event = {.run = on_log, .drop = drop_log}, .machine = m, .life = m->life};
        m->log_event = true;
        world_after(w, &e->event, m->sync_ns / 2 + draw_below(&w->random, m->sync_ns));
    }
    return err_ok();
}

struct logstore_job *__wrap_logstore_completed(struct logstore *ls)
{
    struct machine *m = machine_running();
    struct logstore_job *job = __real_logstore_completed(ls);
    if (job != NULL && !failed(job->result) && !m->dead) {
        check_durable(m, job);
    }
    return job;
}

void __wrap_logstore_close(struct logstore *ls)
{
    struct machine *m = machine_running();
    m->log = NULL;
    __real_logstore_close(ls);
}
