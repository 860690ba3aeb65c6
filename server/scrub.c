/* The scrub: reads everything on this node's disk again, log and state, with all checksums, in the
 * background at a fixed rate, so that damage is found while the other nodes still have the sound
 * copy. Slices go to a worker of its own, each second so many bytes; the loop only looks at the
 * result.
 *
 *   IDLE --(scrub_period_s over)--> LOG: closed segments --> STATE: family by family --> IDLE */
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/require.h"
#include "net/pool.h"
#include "server/parts.h"
#include "storage/logscrub.h"

enum scrub_phase { SCRUB_IDLE, SCRUB_LOG, SCRUB_STATE };

struct scrub {
    struct node *node;
    struct pool *pool;
    struct pool_job
        job; /* the slice; while busy everything below up to the figures is the worker's */
    bool busy;
    enum scrub_phase phase;
    struct logscrub *segment; /* being read; owned */
    uint64_t segment_next, segment_end;
    size_t family, family_count;
    struct buf key; /* in the family, to go on from; empty: from its start */
    uint64_t budget;
    err result;
    struct errtext why;
    struct logscrub_step step;
    struct scrub_facts facts;
    uint64_t due_ns; /* loop time of the next round */
    uint64_t round_bytes, log_findings, state_findings;
};

/* ---- worker ---- */

static err state_slice(struct scrub *s)
{
    struct kv_range range = {.family = s->family, .lower = buf_bytes(&s->key)};
    struct kv_iter *it = kv_iter_open(s->node->kv, &range);
    struct bytes key;
    struct bytes value;
    bool more = false;
    while (kv_iter_next(it, &key, &value)) {
        s->step.bytes += key.size + value.size;
        if (s->step.bytes >= s->budget) {
            buf_clear(&s->key);
            buf_put_bytes(&s->key, key);
            buf_put_u8(&s->key, 0); /* the least key after it */
            more = true;
            break;
        }
    }
    err e = kv_iter_close(it, &s->why);
    s->step.done = !more;
    return e;
}

static void run_slice(struct pool_job *job)
{
    struct scrub *s = (struct scrub *)((char *)job - offsetof(struct scrub, job));
    s->step = (struct logscrub_step){0};
    s->result = s->phase == SCRUB_LOG ? logscrub_run(s->segment, s->budget, &s->step, &s->why)
                                      : state_slice(s);
}

/* ---- loop ---- */

static void end_round(struct scrub *s)
{
    struct node *n = s->node;
    s->phase = SCRUB_IDLE;
    s->due_ns = loop_now_ns(n->loop) + (uint64_t)n->config.scrub_period_s * NS_PER_S;
    s->facts.last_ns = clock_wall_ns(&n->clock);
    s->facts.bytes = s->round_bytes;
    s->facts.findings = s->log_findings + s->state_findings;
    s->facts.running = false;
    if (s->log_findings == 0) {
        alarm_clear(n, ALARM_LOG_DAMAGED, n->id);
    }
    if (s->state_findings == 0) {
        alarm_clear(n, ALARM_STATE_DAMAGED, n->id);
    }
    log_info("scrub: %llu bytes read again, %llu damaged places",
             (unsigned long long)s->facts.bytes, (unsigned long long)s->facts.findings);
}

static void found_damage(struct scrub *s)
{
    bool log = s->phase == SCRUB_LOG;
    *(log ? &s->log_findings : &s->state_findings) += 1;
    alarm_raise(s->node, log ? ALARM_LOG_DAMAGED : ALARM_STATE_DAMAGED, s->node->id,
                "the scrub found damage in the %s of this node: %s", log ? "log" : "state",
                s->why.text);
    if (!log) {
        repair_wanted(s->node);
    }
}

static void next_segment(struct scrub *s)
{
    uint64_t first = 0;
    uint64_t end = 0;
    logscrub_free(s->segment);
    s->segment = NULL;
    logscrub_range(s->node->log, &first, &end);
    s->segment_next = s->segment_next > first ? s->segment_next : first;
    if (s->segment_next < end && s->segment_next < s->segment_end) {
        s->segment = logscrub_new(s->node->log, s->segment_next++);
    } else {
        s->phase = SCRUB_STATE;
        s->family = 0;
        buf_clear(&s->key);
    }
}

static void next_family(struct scrub *s)
{
    s->family++;
    buf_clear(&s->key);
    if (s->family == s->family_count) {
        end_round(s);
    }
}

/* What is left of this second's budget is for the next segment or family. */
static void go_on(struct scrub *s)
{
    if (s->phase != SCRUB_IDLE && s->budget > 0) {
        s->busy = !failed(pool_submit(s->pool, &s->job));
    }
}

static void account(struct scrub *s)
{
    s->round_bytes += s->step.bytes;
    s->budget -= s->step.bytes < s->budget ? s->step.bytes : s->budget;
    bool gone = err_is(s->result, ERR_NOT_FOUND); /* a segment that was cut meanwhile */
    if (failed(s->result) && !gone) {
        found_damage(s);
    }
    if (!failed(s->result) && !s->step.done) {
        return;
    }
    if (s->phase == SCRUB_LOG) {
        next_segment(s);
    } else {
        next_family(s);
    }
}

static void slice_done(struct pool_job *job)
{
    struct scrub *s = (struct scrub *)((char *)job - offsetof(struct scrub, job));
    s->busy = false;
    account(s);
    go_on(s);
}

static void begin_round(struct scrub *s)
{
    uint64_t first = 0;
    s->round_bytes = s->log_findings = s->state_findings = 0;
    s->facts.running = true;
    s->phase = SCRUB_LOG;
    s->segment_next = 0;
    logscrub_range(s->node->log, &first, &s->segment_end);
    next_segment(s);
}

void scrub_second(struct node *n)
{
    struct scrub *s = n->scrub;
    if (s->busy || n->config.scrub_period_s == 0 || n->failing[0] != '\0') {
        return;
    }
    if (s->phase == SCRUB_IDLE) {
        if (loop_now_ns(n->loop) < s->due_ns) {
            return;
        }
        begin_round(s);
    }
    s->budget = (uint64_t)n->config.scrub_rate_mib << 20;
    go_on(s);
}

void scrub_stop(struct node *n)
{
    struct scrub *s = n->scrub;
    if (s == NULL) {
        return;
    }
    s->budget = 0;
    pool_drain(s->pool);
    logscrub_free(s->segment);
    s->segment = NULL;
    s->phase = SCRUB_IDLE;
    s->facts.running = false;
}

struct scrub_facts scrub_facts(const struct node *n)
{
    return n->scrub->facts;
}

err scrub_open(struct node *n, struct errtext *reterr)
{
    struct kv_options options = {0};
    struct scrub *s = mem_new(1, sizeof *s);
    ledger_kv_families(&options);
    s->node = n;
    s->family_count = options.families_count;
    s->job.run = run_slice;
    s->job.done = slice_done;
    s->due_ns = loop_now_ns(n->loop) + (uint64_t)n->config.scrub_period_s * NS_PER_S;
    buf_init(&s->key, ROW_BYTES_MAX + 1);
    n->scrub = s;
    return pool_new(n->loop, 1, 1, &s->pool, reterr);
}

void scrub_close(struct node *n)
{
    struct scrub *s = n->scrub;
    if (s != NULL) {
        pool_free(s->pool);
        logscrub_free(s->segment);
        buf_done(&s->key);
        free(s);
        n->scrub = NULL;
    }
}
