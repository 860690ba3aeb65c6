#include "tests/sim/product/bugs.h"

#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/require.h"
#include "consensus/driver.h"
#include "ledger/families.h"
#include "proto/service.h"
#include "server/checkpoint.h"
#include "server/parts.h"
#include "server/refusal.h"
#include "storage/logformat.h"
#include "tests/sim/product/edge.h"

/* The product's functions, and ours around them. */
#define WRAP(type, name, ...)                                                                      \
    type __real_##name(__VA_ARGS__);                                                               \
    type __wrap_##name(__VA_ARGS__)

WRAP(struct fileops, seam_log_files, struct machine *m);
WRAP(err, peer_send, struct peer_links *links, uint64_t to, uint8_t type,
     const struct bytes parts[], size_t count);
WRAP(void, memlog_truncate, struct memlog *l, uint64_t from);
WRAP(bool, log_group_decode, struct bytes segment, size_t at, uint32_t seed, struct log_group *ret);
WRAP(enum consensus_answer, consensus_read, struct consensus *c, uint64_t cookie);
WRAP(void, kv_batch_put, struct kv_batch *b, const struct kv *kv, size_t family, struct bytes key,
     struct bytes value);
WRAP(err, kv_commit, struct kv *kv, const struct kv_batch *b, bool sync, struct errtext *reterr);
WRAP(err, kv_get, struct kv *kv, size_t family, struct bytes key, struct buf *ret,
     struct errtext *reterr);
WRAP(err, apply_tail, struct node *n, struct ledger_block_facts *ret, struct errtext *reterr);
WRAP(void, inflight_move, struct inflight *r, enum inflight_state to);
WRAP(void, refusal_send, struct grpc_call *call, const struct refusal *r);
WRAP(void, submit_leadership_lost, struct node *n);
WRAP(void, submit_sweep, struct node *n);
WRAP(err, heads_mark_read, const struct fileops *files, const char *data, struct buf *ret,
     struct errtext *reterr);
WRAP(err, heads_mark_write, const struct fileops *files, const char *data, struct bytes note,
     struct errtext *reterr);
WRAP(bool, seam_kv_takes, size_t offset, size_t size);
WRAP(enum consensus_answer, consensus_promote, struct consensus *c, uint64_t id);
WRAP(enum consensus_answer, consensus_change, struct consensus *c, uint64_t id,
     enum consensus_member wish);
WRAP(void, plan_make, const struct plan_view *v, struct plan *ret);
WRAP(enum identity_judgement, identity_judge, const struct disk_identity *id, uint64_t node,
     const uint8_t disk[DISK_ID_SIZE]);
WRAP(void, members_second, struct node *n);
WRAP(enum checkpoint_verdict, checkpoint_verdict, const struct node *n,
     const struct checkpoint_id *id);
WRAP(int, raft_step, struct raft *r, struct raft_event *event, struct raft_update *update);

/* The bug of this process: wrapped functions have no argument for it. */
static struct planted {
    enum sim_bug bug;
    struct consensus_host host; /* as the node gave it; the same functions for all */
    struct fileops files;       /* likewise */
} planted;

static bool is(enum sim_bug bug)
{
    return planted.bug == bug;
}

enum sim_bug bugs_plant(const char *name)
{
    static const char *const NAMES[] = {
#define BUG_NAME(symbol, text) text,
        SIM_BUGS(BUG_NAME)
#undef BUG_NAME
    };
    enum sim_bug bug = 0;
    while (bug < BUG_COUNT && strcmp(NAMES[bug], name) != 0) {
        bug++;
    }
    planted.bug = bug;
    return bug;
}

/* ---- the disk ---- */

enum { FDS_MAX = 64 };

static int files_open(void *ctx, const char *path, int flags)
{
    static char roots[SIM_NODES_MAX][FDS_MAX];
    struct machine *m = ctx;
    int fd = planted.files.open(ctx, path, flags);
    if (fd >= 0 && fd < FDS_MAX) {
        const char *name = strrchr(path, '/');
        roots[m->number][fd] = name != NULL && strcmp(name, "/term") == 0;
        m->bug_roots = roots[m->number];
    }
    return fd;
}

static int files_fdatasync(void *ctx, int fd)
{
    const struct machine *m = ctx;
    bool root = m->bug_roots != NULL && m->bug_roots[fd] != 0;
    bool skip = root ? is(BUG_TERM_UNSYNCED) : is(BUG_LOG_UNSYNCED);
    return skip ? 0 : planted.files.fdatasync(ctx, fd);
}

struct fileops __wrap_seam_log_files(struct machine *m)
{
    planted.files = __real_seam_log_files(m);
    struct fileops ops = planted.files;
    ops.open = files_open;
    ops.fdatasync = files_fdatasync;
    return ops;
}

bool __wrap_log_group_decode(struct bytes segment, size_t at, uint32_t seed, struct log_group *ret)
{
    return __real_log_group_decode(segment, at, seed, ret) ||
           (is(BUG_TORN_TAIL) && log_group_head_decode(segment, at, seed, ret) &&
            ret->body.size > 0);
}

/* ---- the driver ---- */

static void forget_vote(void *ctx, struct consensus_job *job)
{
    if (job->kind == CONSENSUS_JOB_HARD) {
        job->vote = 0;
    }
    planted.host.write(ctx, job);
}

void bugs_consensus(struct consensus_host *host, struct consensus_options *options)
{
    planted.host = *host;
    options->switches_off = is(BUG_GATE)             ? GUARD_GATE
                            : is(BUG_APPLY_UNSTORED) ? GUARD_STORED
                            : is(BUG_SELF_DEMOTED)   ? GUARD_SELF
                                                     : 0;
    if (is(BUG_VOTE_FORGOTTEN)) {
        host->write = forget_vote;
    }
}

void __wrap_memlog_truncate(struct memlog *l, uint64_t from)
{
    bool more = is(BUG_TRUNCATION) && from < memlog_last(l);
    __real_memlog_truncate(l, more ? from + 1 : from);
}

enum consensus_answer __wrap_consensus_read(struct consensus *c, uint64_t cookie)
{
    if (is(BUG_STALE_READ)) {
        planted.host.read(machine_running()->bug_ctx, cookie, true);
        return CONSENSUS_OK;
    }
    return __real_consensus_read(c, cookie);
}

/* The greatest index that a majority has, of whatever term: Figure 8 of the Raft paper. */
static uint64_t counted(const struct raft *r)
{
    uint64_t best = r->commit_index;
    for (uint64_t index = best + 1; index <= r->last_stored; index++) {
        uint32_t have = 1;
        for (unsigned i = 0; i < r->configuration.n; i++) {
            raft_index match = 0;
            bool other = r->configuration.servers[i].id != r->id;
            have += other && raft_match_index(r, r->configuration.servers[i].id, &match) == 0 &&
                    match >= index;
        }
        best = have > r->configuration.n / 2 ? index : best;
    }
    return best;
}

/* As counted, but a configuration that is not committed yet counts by the one before it: its newest
 * voter has no say. */
static uint64_t counted_before(const struct raft *r)
{
    uint64_t best = r->commit_index;
    for (uint64_t index = best + 1; index <= r->last_stored; index++) {
        uint32_t have = 1;
        uint32_t voters = 0;
        for (unsigned i = 0; i < r->configuration.n; i++) {
            raft_index match = 0;
            bool votes = r->configuration.servers[i].role == RAFT_VOTER;
            bool other = votes && r->configuration.servers[i].id != r->id;
            voters += votes;
            have += other && raft_match_index(r, r->configuration.servers[i].id, &match) == 0 &&
                    match >= index;
        }
        best = voters > 1 && have > (voters - 1) / 2 ? index : best;
    }
    return best;
}

int __wrap_raft_step(struct raft *r, struct raft_event *event, struct raft_update *update)
{
    int rc = __real_raft_step(r, event, update);
    if (rc == 0 && is(BUG_OLD_TERM_COMMIT) && r->state == RAFT_LEADER &&
        counted(r) > r->commit_index) {
        r->commit_index = counted(r);
        update->flags |= RAFT_UPDATE_COMMIT_INDEX;
    }
    bool old_quorum = rc == 0 && is(BUG_OLD_QUORUM) && r->state == RAFT_LEADER &&
                      r->configuration_uncommitted_index != 0;
    if (old_quorum && counted_before(r) > r->commit_index) {
        r->commit_index = counted_before(r);
        update->flags |= RAFT_UPDATE_COMMIT_INDEX;
    }
    return rc;
}

/* ---- who takes part ---- */

enum consensus_answer __wrap_consensus_promote(struct consensus *c, uint64_t id)
{
    return is(BUG_PROMOTE_EARLY) ? __real_consensus_change(c, id, CONSENSUS_VOTER)
                                 : __real_consensus_promote(c, id);
}

enum consensus_answer __wrap_consensus_change(struct consensus *c, uint64_t id,
                                              enum consensus_member wish)
{
    if (is(BUG_TWO_CHANGES)) {
        c->raft.configuration_uncommitted_index = 0;
    }
    return __real_consensus_change(c, id, wish);
}

void __wrap_plan_make(const struct plan_view *v, struct plan *ret)
{
    struct plan_view other = *v;
    other.changing = other.changing && !is(BUG_TWO_CHANGES);
    __real_plan_make(&other, ret);
    if (is(BUG_SELF_DEMOTED) && ret->step == PLAN_TRANSFER) {
        ret->step = PLAN_DEMOTE;
        ret->id = v->self;
    }
}

enum identity_judgement __wrap_identity_judge(const struct disk_identity *id, uint64_t node,
                                              const uint8_t disk[DISK_ID_SIZE])
{
    return is(BUG_WIPED_VOTES) ? IDENTITY_KNOWN : __real_identity_judge(id, node, disk);
}

void __wrap_members_second(struct node *n)
{
    if (!is(BUG_REMOVED_STAYS)) {
        __real_members_second(n);
    }
}

enum checkpoint_verdict __wrap_checkpoint_verdict(const struct node *n,
                                                  const struct checkpoint_id *id)
{
    struct consensus_status s;
    consensus_status(n->consensus, &s);
    return is(BUG_JOINER_LOST) && s.voters == 0 ? CHECKPOINT_UNDECIDED
                                                : __real_checkpoint_verdict(n, id);
}

/* ---- frames ---- */

static void put_u64(uint8_t *at, uint64_t value)
{
    for (size_t i = 0; i < 8; i++) {
        at[i] = (uint8_t)(value >> (8 * (7 - i)));
    }
}

enum { AT_KIND = 1, AT_RESULT_LAST = 2 + 1 + 8 + 8 };

static void change_frame(const struct machine *m, uint8_t type, uint8_t *frame)
{
    if (type == FRAME_READY && is(BUG_STALE_HEIGHT)) {
        put_u64(frame + 9, 0);
    } else if (type == FRAME_RAFT && is(BUG_ACK_EARLY) && frame[AT_KIND] == PACKET_APPEND_RESULT) {
        struct consensus_status s;
        consensus_status(m->consensus, &s);
        put_u64(frame + AT_RESULT_LAST, s.last_index);
    }
}

err __wrap_peer_send(struct peer_links *links, uint64_t to, uint8_t type,
                     const struct bytes parts[], size_t count)
{
    struct machine *m = machine_running();
    if (count != 1 || m->consensus == NULL) {
        return __real_peer_send(links, to, type, parts, count);
    }
    uint8_t *frame = mem_copy(parts[0].data, parts[0].size);
    change_frame(m, type, frame);
    struct bytes changed = bytes_of(frame, parts[0].size);
    err e = __real_peer_send(links, to, type, &changed, 1);
    free(frame);
    return e;
}

/* ---- the state ---- */

void __wrap_kv_batch_put(struct kv_batch *b, const struct kv *kv, size_t family, struct bytes key,
                         struct bytes value)
{
    bool again = family == FAMILY_LOCAL && seam_kv_age((struct kv *)(uintptr_t)kv, family, key) > 0;
    if (!again || !is(BUG_DOUBLE_APPLY)) {
        __real_kv_batch_put(b, kv, family, key, value);
    }
}

err __wrap_kv_commit(struct kv *kv, const struct kv_batch *b, bool sync, struct errtext *reterr)
{
    if (is(BUG_HALF_BATCH)) {
        return seam_kv_commit_parts(kv, b, sync, reterr);
    }
    err e = __real_kv_commit(kv, b, sync, reterr);
    return is(BUG_STATE_ERROR) ? err_ok() : e;
}

err __wrap_kv_get(struct kv *kv, size_t family, struct bytes key, struct buf *ret,
                  struct errtext *reterr)
{
    const struct machine *m = machine_running();
    err e = __real_kv_get(kv, family, key, ret, reterr);
    bool forgotten = is(BUG_FORGOTTEN_REQUEST) && family == FAMILY_REQUESTS && m->ledger != NULL &&
                     !failed(e) && seam_kv_age(kv, family, key) < m->life;
    return forgotten ? (err){ERR_NOT_FOUND} : e;
}

bool __wrap_seam_kv_takes(size_t offset, size_t size)
{
    return __real_seam_kv_takes(offset, size) &&
           !(is(BUG_SNAPSHOT_TAIL) && offset > size / 100 * 90);
}

/* ---- the server ---- */

err __wrap_apply_tail(struct node *n, struct ledger_block_facts *ret, struct errtext *reterr)
{
    if (is(BUG_TWO_BLOCKS)) {
        struct ledger_head head = ledger_head(n->ledger);
        *ret = (struct ledger_block_facts){.height = head.height, .time_ns = head.time_ns};
        memcpy(ret->hash, head.block_hash, sizeof ret->hash);
        return err_ok();
    }
    return __real_apply_tail(n, ret, reterr);
}

/* Tells everybody who waits that it is recorded, as the leader hopes it will be. */
static void answer_early(struct inflight *r)
{
    const struct machine *m = machine_running();
    const struct clock clock = clock_system();
    struct ledger_head head = ledger_head(m->ledger);
    struct event_outcome outcome = {.position = head.position, .end = END_ACCEPTED};
    struct submit_reply reply = {.height = head.height + 1,
                                 .time_ns = clock_wall_ns(&clock),
                                 .outcomes = &outcome,
                                 .outcome_count = 1};
    struct buf message;
    memcpy(reply.request_hash, r->request_hash, sizeof reply.request_hash);
    buf_init(&message, GRPC_MESSAGE_BYTES_MAX);
    submit_reply_encode(&reply, &message);
    for (struct waiter *w = r->waiters; w != NULL; w = w->next) {
        struct grpc_call *call = w->peer == 0 ? grpc_server_find(m->server, w->call) : NULL;
        if (call != NULL) {
            grpc_call_reply(call, buf_bytes(&message));
        }
    }
    buf_done(&message);
}

void __wrap_inflight_move(struct inflight *r, enum inflight_state to)
{
    __real_inflight_move(r, to);
    if (is(BUG_EARLY_ANSWER) && to == INFLIGHT_PROPOSED) {
        answer_early(r);
    }
}

void __wrap_refusal_send(struct grpc_call *call, const struct refusal *r)
{
    struct refusal other = *r;
    if (is(BUG_FALSE_REFUSAL) && r->reason == REASON_UNKNOWN_OUTCOME) {
        other = refusal_of(REASON_NO_LEADER, "the leader changed");
    }
    __real_refusal_send(call, &other);
}

void __wrap_submit_leadership_lost(struct node *n)
{
    if (!is(BUG_LOST_UNKNOWN)) {
        __real_submit_leadership_lost(n);
    }
}

void __wrap_submit_sweep(struct node *n)
{
    if (!is(BUG_LOST_UNKNOWN)) {
        __real_submit_sweep(n);
    }
}

/* ---- heads of the tree ---- */

err __wrap_heads_mark_read(const struct fileops *files, const char *data, struct buf *ret,
                           struct errtext *reterr)
{
    return is(BUG_HEAD_FORGOTTEN) ? err_ok() : __real_heads_mark_read(files, data, ret, reterr);
}

/* As if the lines left first: the mark of each second head comes too late. */
err __wrap_heads_mark_write(const struct fileops *files, const char *data, struct bytes note,
                            struct errtext *reterr)
{
    bool late = is(BUG_HEAD_EARLY) && note.data[note.size - 12] % 2 == 0;
    return late ? err_ok() : __real_heads_mark_write(files, data, note, reterr);
}
