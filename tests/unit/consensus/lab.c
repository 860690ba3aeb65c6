#include "tests/unit/consensus/lab.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/require.h"

/* ---- the host ---- */

static uint64_t host_now(void *ctx)
{
    struct lab_node *x = ctx;
    return x->lab->now_ms;
}

static uint64_t host_wall(void *ctx)
{
    struct lab_node *x = ctx;
    return x->clock_ns;
}

static void host_write(void *ctx, struct consensus_job *job)
{
    struct lab_node *x = ctx;
    require(x->job_count < LAB_NET_MAX);
    x->jobs[x->job_count++] = job;
}

static void host_send(void *ctx, uint64_t to, struct packet *p)
{
    struct lab_node *x = ctx;
    struct lab *l = x->lab;
    require(p->to == to && p->from == x->id && l->net_count < LAB_NET_MAX);
    l->net[l->net_count++] = p;
}

static void host_committed(void *ctx)
{
    struct lab_node *x = ctx;
    x->committed_calls++;
}

static struct entry *host_load(void *ctx, uint64_t index)
{
    struct lab_node *x = ctx;
    require(index >= x->first && index - x->first < x->count);
    x->loads++;
    switch (x->load) {
    case LAB_LOAD_WELL:
        return entry_ref(x->entries[index - x->first]);
    case LAB_LOAD_NOTHING:
        return NULL;
    case LAB_LOAD_ANOTHER:
        return entry_new(999, ENTRY_COMMAND, bytes_text("another"));
    }
    return NULL;
}

static void host_state(void *ctx, enum consensus_role role, uint64_t term)
{
    (void)ctx;
    (void)role;
    (void)term;
}

static void host_read(void *ctx, uint64_t cookie, bool ok)
{
    struct lab_node *x = ctx;
    require(x->read_count < LAB_READS_MAX);
    x->reads[x->read_count++] = (struct lab_read){cookie, ok};
}

static void host_fetch(void *ctx, const struct consensus_snapshot *s)
{
    struct lab_node *x = ctx;
    require(s->source > 0 && s->source <= LAB_NODES_MAX);
    x->fetches++;
}

static void host_restored(void *ctx, const struct consensus_snapshot *s)
{
    struct lab_node *x = ctx;
    x->applied = s->index;
    x->restores++;
}

/* ---- disk and state ---- */

static void disk_append(struct lab_node *x, const struct consensus_job *job)
{
    while (x->count > 0 && x->first + x->count - 1 >= job->first) {
        entry_unref(x->entries[--x->count]);
    }
    require(x->first + x->count == job->first);
    for (uint32_t i = 0; i < job->count; i++) {
        require(x->count < LAB_LOG_MAX);
        x->entries[x->count++] = entry_ref(job->entries[i]);
    }
}

static void disk_snapshot(struct lab_node *x, const struct consensus_job *job)
{
    struct consensus_snapshot snapshot = consensus_snapshot_ref(&job->snapshot);
    uint64_t drop = job->kind == CONSENSUS_JOB_INSTALL ? x->count : job->log_first - x->first;
    consensus_snapshot_unref(&x->snapshot);
    x->snapshot = snapshot;
    for (uint64_t i = 0; i < drop; i++) {
        entry_unref(x->entries[i]);
    }
    memmove(x->entries, x->entries + drop, (x->count - drop) * sizeof(struct entry *));
    x->count -= drop;
    x->first = job->kind == CONSENSUS_JOB_INSTALL ? snapshot.index + 1 : x->first + drop;
}

void lab_sync_one(struct lab *l, uint64_t id)
{
    struct lab_node *x = &l->nodes[id];
    require(x->job_count > 0);
    struct consensus_job *job = x->jobs[0];
    x->job_count--;
    memmove(x->jobs, x->jobs + 1, x->job_count * sizeof(struct consensus_job *));
    switch (job->kind) {
    case CONSENSUS_JOB_HARD:
        x->term = job->term;
        x->vote = job->vote;
        break;
    case CONSENSUS_JOB_ENTRIES:
        disk_append(x, job);
        break;
    case CONSENSUS_JOB_SNAPSHOT:
    case CONSENSUS_JOB_INSTALL:
        disk_snapshot(x, job);
        break;
    }
    consensus_done(x->c, job);
}

void lab_apply(struct lab *l, uint64_t id)
{
    struct lab_node *x = &l->nodes[id];
    struct consensus_next next;
    while (!failed(consensus_next(x->c, &next))) {
        require(next.index == x->applied + 1 && next.index < LAB_LOG_MAX);
        uint64_t *decided = &l->decided[next.index];
        l->contradictions += *decided != 0 && *decided != next.term;
        *decided = next.term;
        x->applied = next.index;
        entry_unref(next.entry);
        consensus_applied(x->c, next.index);
    }
}

void lab_sync(struct lab *l, uint64_t id)
{
    do {
        while (l->nodes[id].job_count > 0) {
            lab_sync_one(l, id);
        }
        lab_apply(l, id);
    } while (l->nodes[id].job_count > 0);
}

void lab_sync_all(struct lab *l)
{
    for (uint64_t id = 1; id <= l->size; id++) {
        if (l->nodes[id].up) {
            lab_sync(l, id);
        }
    }
}

/* ---- life ---- */

void lab_up(struct lab *l, uint64_t id)
{
    struct lab_node *x = &l->nodes[id];
    const struct consensus_host host = {
        .ctx = x,
        .now_ms = host_now,
        .wall_ns = host_wall,
        .write = host_write,
        .send = host_send,
        .committed = host_committed,
        .load = host_load,
        .state = host_state,
        .read = host_read,
        .fetch = host_fetch,
        .restored = host_restored,
    };
    const struct consensus_options options = {
        .id = id,
        .seed = (uint32_t)id * 7 + 1,
        .election_ms = 1000,
        .heartbeat_ms = 100,
        .install_ms = 30000,
        .pin_ms = 20000,
        .inflight = l->inflight,
        .cache_bytes_max = l->cache_bytes,
        .pre_vote = l->pre_vote,
        .snapshots = true,
#ifdef CONSENSUS_TEST_SWITCHES
        .switches_off = l->switches_off,
#endif
    };
    static struct consensus_stored stored[LAB_LOG_MAX];
    for (uint64_t i = 0; i < x->count; i++) {
        struct entry *e = x->entries[i];
        stored[i] = (struct consensus_stored){.term = e->term, .type = e->type};
        stored[i].entry = e->type == ENTRY_CHANGE ? e : NULL;
    }
    if (!l->keeps_state || x->applied < x->snapshot.index) {
        x->applied = x->snapshot.index;
    }
    const struct consensus_disk disk = {.term = x->term,
                                        .vote = x->vote,
                                        .snapshot = x->snapshot,
                                        .first = x->first,
                                        .applied = x->applied,
                                        .count = x->count,
                                        .stored = stored};
    err e = consensus_open(&host, &options, &disk, &x->c, NULL);
    require(!failed(e));
    x->up = true;
    lab_sync(l, id);
}

void lab_down(struct lab *l, uint64_t id)
{
    struct lab_node *x = &l->nodes[id];
    consensus_close(x->c);
    x->c = NULL;
    x->up = false;
    for (uint32_t i = 0; i < x->job_count; i++) {
        consensus_job_free(x->jobs[i]);
    }
    x->job_count = 0;
}

void lab_init(struct lab *l, const char *roles)
{
    struct conf conf = {.count = (uint32_t)strlen(roles)};
    struct buf bytes;
    require(conf.count > 0 && conf.count <= LAB_NODES_MAX);
    l->now_ms = 1000;
    l->size = conf.count;
    for (uint32_t i = 0; i < conf.count; i++) {
        conf.servers[i].id = i + 1;
        conf.servers[i].member = roles[i] == 'v' ? CONSENSUS_VOTER : CONSENSUS_STANDBY;
    }
    buf_init(&bytes, CONF_BYTES_MAX);
    conf_encode(&conf, &bytes);
    for (uint64_t id = 1; id <= l->size; id++) {
        struct lab_node *x = &l->nodes[id];
        x->lab = l;
        x->id = id;
        x->term = 1;
        x->first = 1;
        x->entries[x->count++] = entry_new(1, ENTRY_CHANGE, buf_bytes(&bytes));
        lab_up(l, id);
    }
    buf_done(&bytes);
}

void lab_done(struct lab *l)
{
    for (uint64_t id = 1; id <= l->size; id++) {
        struct lab_node *x = &l->nodes[id];
        if (x->up) {
            lab_down(l, id);
        }
        for (uint64_t i = 0; i < x->count; i++) {
            entry_unref(x->entries[i]);
        }
        consensus_snapshot_unref(&x->snapshot);
    }
    lab_lose_all(l);
}

/* ---- the network ---- */

err lab_receive(struct lab *l, uint64_t from, uint64_t to, struct packet *p)
{
    struct buf frame;
    buf_init(&frame, PEER_FRAME_BYTES_MAX);
    packet_encode(p, &frame);
    l->frame_bytes_max = frame.size > l->frame_bytes_max ? frame.size : l->frame_bytes_max;
    err e = consensus_receive(l->nodes[to].c, from, buf_bytes(&frame), NULL);
    buf_done(&frame);
    if (failed(e)) {
        l->last_err = e;
    }
    return e;
}

static void hand_over(struct lab *l, struct packet *p)
{
    if (l->nodes[p->to].up) {
        err e = lab_receive(l, p->from, p->to, p);
        require(!failed(e) || failed(consensus_check(l->nodes[p->to].c, NULL)));
    }
    packet_free(p);
}

static bool within(const struct packet *p, uint32_t set)
{
    return (set & LAB_BIT(p->from)) != 0 && (set & LAB_BIT(p->to)) != 0;
}

void lab_lose_all(struct lab *l)
{
    for (uint32_t i = 0; i < l->net_count; i++) {
        packet_free(l->net[i]);
    }
    l->net_count = 0;
}

/* Takes what is under way out of the net. */
static uint32_t take_net(struct lab *l, struct packet **ret)
{
    uint32_t count = l->net_count;
    memcpy(ret, l->net, count * sizeof(struct packet *));
    l->net_count = 0;
    return count;
}

void lab_deliver(struct lab *l, uint32_t set, int rounds)
{
    static struct packet *batch[LAB_NET_MAX];
    lab_sync_all(l);
    for (; rounds > 0 && l->net_count > 0; rounds--) {
        uint32_t count = take_net(l, batch);
        for (uint32_t i = 0; i < count; i++) {
            if (within(batch[i], set)) {
                hand_over(l, batch[i]);
            } else {
                packet_free(batch[i]);
            }
        }
        lab_sync_all(l);
    }
    lab_lose_all(l);
}

void lab_carry(struct lab *l, uint64_t a, uint64_t b)
{
    static struct packet *batch[LAB_NET_MAX];
    uint32_t count = take_net(l, batch);
    for (uint32_t i = 0; i < count; i++) {
        if (batch[i]->from == a && batch[i]->to == b) {
            hand_over(l, batch[i]);
        } else {
            l->net[l->net_count++] = batch[i];
        }
    }
}

void lab_deliver_link(struct lab *l, uint64_t a, uint64_t b)
{
    lab_sync_all(l);
    lab_carry(l, a, b);
    lab_sync_all(l);
}

/* ---- steering ---- */

void lab_timeout(struct lab *l, uint64_t id)
{
    uint64_t at = consensus_timeout_ms(l->nodes[id].c);
    l->now_ms = at > l->now_ms ? at : l->now_ms;
    consensus_tick(l->nodes[id].c);
}

bool lab_leads(const struct lab *l, uint64_t id)
{
    return l->nodes[id].up && core_role(l->nodes[id].c) == CONSENSUS_LEADER;
}

void lab_campaign(struct lab *l, uint64_t id, uint32_t set)
{
    /* Nobody votes while it thinks it has a leader: the others time out first. */
    for (uint64_t k = 1; k <= l->size; k++) {
        if (k != id && (set & LAB_BIT(k)) != 0 && l->nodes[k].up &&
            core_role(l->nodes[k].c) == CONSENSUS_FOLLOWER) {
            lab_timeout(l, k);
            lab_deliver(l, 0, 1);
        }
    }
    for (int i = 0; i < 8 && !lab_leads(l, id); i++) {
        lab_timeout(l, id);
        lab_deliver(l, set, l->pre_vote ? 4 : 2);
    }
}

void lab_settle(struct lab *l, uint64_t leader, uint32_t set)
{
    lab_deliver(l, set, 20);
    for (int i = 0; i < 4; i++) {
        lab_timeout(l, leader);
        lab_deliver(l, set, 20);
    }
}

enum consensus_answer lab_snapshot(struct lab *l, uint64_t id, uint32_t trailing,
                                   struct bytes manifest)
{
    struct consensus_mark mark;
    enum consensus_answer answer = consensus_mark(l->nodes[id].c, &mark);
    if (answer == CONSENSUS_OK) {
        answer = consensus_snapshot(l->nodes[id].c, &mark, trailing, manifest);
        entry_unref(mark.conf);
    }
    return answer;
}

enum consensus_answer lab_command(struct lab *l, uint64_t id, size_t size)
{
    struct consensus_position at;
    uint8_t *data = mem_new(size, 1);
    memset(data, 'x', size);
    enum consensus_answer answer = consensus_submit(l->nodes[id].c, bytes_of(data, size), &at);
    free(data);
    return answer;
}
