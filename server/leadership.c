/* Handing leadership over: the target has to be level, which it never is while blocks are proposed
 * (trap T20). So the leader holds its blocks back, asks until the target is level, and goes on if
 * nothing came of it. Requests that wait in the queue meanwhile are refused as never proposed when
 * the leader has changed, and their clients send them again. */
#include <stdlib.h>

#include "base/log.h"
#include "base/require.h"
#include "proto/service.h"
#include "server/frames.h"
#include "server/parts.h"

enum {
    HANDOVER_ELECTIONS = 3, /* so many election timeouts may it take: blocks wait */
    SLOW_TIMES = 4,         /* an own disk so many times slower than the others' median ... */
    SLOW_SECONDS = 10,      /* ... for so long hands over, */
};
#define SLOW_SYNC_US_MIN UINT64_C(20000)           /* ... if it is slow at all, */
#define SLOW_PAUSE_NS (UINT64_C(600) * NS_PER_S)   /* ... and not again before */
#define HANDOVER_STEP_NS (UINT64_C(5) * NS_PER_MS) /* a level target is seen at once */

bool leadership_holds(const struct node *n)
{
    return n->leadership.target != 0;
}

uint64_t leadership_best(struct node *n)
{
    struct consensus_status s;
    consensus_status(n->consensus, &s);
    uint64_t best = 0;
    uint64_t match = 0;
    for (uint32_t i = 0; i < s.peer_count; i++) {
        const struct ledger_node *row = members_find(n, s.peers[i].id);
        struct peer_status link;
        bool up = !failed(peer_status(n->links, s.peers[i].id, &link)) && link.out_up;
        bool stays = row == NULL || row->wish == LEDGER_WISH_VOTER;
        const struct told *t = gossip_of(n, s.peers[i].id);
        bool slow = t != NULL && t->id == s.peers[i].id && t->disk_slow;
        bool fit = up && stays && !slow;
        if (fit && s.peers[i].member == CONSENSUS_VOTER && s.peers[i].match > match) {
            best = s.peers[i].id;
            match = s.peers[i].match;
        }
    }
    return best;
}

/* ---- the end ---- */

static void answer_peer(struct node *n, uint64_t peer, uint64_t token, const char *why)
{
    struct buf head;
    buf_init(&head, 32);
    buf_put_u64(&head, token);
    buf_put_u8(&head, why == NULL);
    buf_put_u64(&head, why == NULL ? host_leader(n) : n->id);
    struct bytes parts[] = {buf_bytes(&head), bytes_text(why == NULL ? "" : why)};
    err e = peer_send(n->links, peer, FRAME_TRANSFERRED, parts, 2);
    (void)e; /* The other node gives up by itself. */
    buf_done(&head);
}

static void answer_client(struct node *n, struct grpc_call_ref ref, uint64_t leader,
                          const struct refusal *no)
{
    struct grpc_call *call = grpc_server_find(n->grpc, ref);
    if (call == NULL) {
        return;
    }
    if (no != NULL) {
        refusal_send(call, no);
        return;
    }
    struct transfer_reply r = {.leader_id = leader};
    struct buf reply;
    buf_init(&reply, 64);
    transfer_reply_encode(&r, &reply);
    grpc_call_reply(call, buf_bytes(&reply));
    buf_done(&reply);
}

static void finish(struct node *n, const char *why)
{
    struct leadership h = n->leadership;
    loop_timer_stop(n->loop, &n->leadership.timer);
    n->leadership.target = 0;
    n->leadership.has_call = false;
    n->leadership.peer = 0;
    if (why == NULL) {
        log_info("node %llu leads now", (unsigned long long)host_leader(n));
    } else {
        log_warn("leadership stays here: %s", why);
    }
    if (h.peer != 0) {
        answer_peer(n, h.peer, h.token, why);
    }
    if (h.has_call) {
        struct refusal no = refusal_of(REASON_QUORUM_AT_RISK, "%s", why == NULL ? "" : why);
        answer_client(n, h.call, host_leader(n), why == NULL ? NULL : &no);
    }
    loop_post(n->loop, &n->pump_task);
    loop_post(n->loop, &n->members.task);
}

/* ---- steps ---- */

static void step(struct loop_timer *timer)
{
    struct node *n = timer->ctx;
    struct leadership *h = &n->leadership;
    uint64_t leader = host_leader(n);
    if (h->target == 0 || n->failure[0] != '\0') {
        loop_timer_stop(n->loop, &h->timer);
        return;
    }
    bool late = loop_now_ns(n->loop) >= h->until_ns;
    if (n->role != CONSENSUS_LEADER) {
        if (leader != 0 && leader != n->id) {
            finish(n, NULL);
        } else if (late) {
            finish(n, "no other node has taken the lead yet");
        }
        return;
    }
    if (late) {
        finish(n, "the other node did not become level, or did not stand for election, in time");
        return;
    }
    enum consensus_answer answer = consensus_transfer(n->consensus, h->target);
    if (answer == CONSENSUS_BAD_MEMBER || answer == CONSENSUS_NOT_LEADER) {
        finish(n, "it is not a voter");
    }
    /* OK and TRANSFERRING: it stands for election; BUSY: not level yet. */
}

bool leadership_begin(struct node *n, uint64_t target, const char *what, struct refusal *ret)
{
    struct leadership *h = &n->leadership;
    struct plan_view view;
    if (h->target != 0) {
        *ret = refusal_of(REASON_CHANGE_PENDING, "leadership is being handed to node %llu already",
                          (unsigned long long)h->target);
        return false;
    }
    if (!host_leads(n)) {
        *ret = refusal_of(REASON_NO_LEADER, "this node does not lead");
        return false;
    }
    uint64_t id = target == 0 ? leadership_best(n) : target;
    members_view(n, &view);
    const struct plan_node *p = plan_find(&view, id);
    if (id == n->id) {
        *ret = refusal_of(REASON_CHANGE_REFUSED, "node %llu leads already", (unsigned long long)id);
    } else if (id == 0) {
        *ret = refusal_of(REASON_QUORUM_AT_RISK, "no other voter answers");
    } else if (p == NULL || p->member != CONSENSUS_VOTER) {
        *ret = refusal_of(REASON_CHANGE_REFUSED, "node %llu is no voter", (unsigned long long)id);
    } else if (!p->answers) {
        *ret = refusal_of(REASON_QUORUM_AT_RISK, "%s does not answer", p->name);
    } else {
        h->target = id;
        h->until_ns = loop_now_ns(n->loop) +
                      HANDOVER_ELECTIONS * (uint64_t)n->config.election_timeout_ms * NS_PER_MS;
        log_info("handing leadership to %s: %s", p->name, what);
        loop_timer_start(n->loop, &h->timer, 0, HANDOVER_STEP_NS);
        return true;
    }
    return false;
}

void leadership_init(struct node *n)
{
    loop_timer_init(&n->leadership.timer, step, n);
}

void leadership_done(struct node *n)
{
    loop_timer_stop(n->loop, &n->leadership.timer);
}

/* ---- a slow disk ---- */

static int compare_u64(const void *a, const void *b)
{
    const uint64_t *x = a;
    const uint64_t *y = b;
    return (*x > *y) - (*x < *y);
}

/* The others' median of what they last said of their own disks; 0: too few say so. */
static uint64_t others_sync_us(const struct node *n)
{
    uint64_t list[NODES_MAX];
    size_t count = 0;
    for (size_t i = 0; i < NODES_MAX; i++) {
        const struct told *t = &n->told[i];
        bool fresh =
            t->id != 0 && t->id != n->id && loop_now_ns(n->loop) - t->received_ns < 5 * GOSSIP_NS;
        if (fresh && t->sync_p99_us > 0) {
            list[count++] = t->sync_p99_us;
        }
    }
    if (count == 0) {
        return 0;
    }
    qsort(list, count, sizeof list[0], compare_u64);
    return list[count / 2];
}

/* Judged in any role, for the others shall not choose this node, and its operators shall know. */
static bool is_slow(struct node *n)
{
    struct members *m = &n->members;
    struct logstore_stats log;
    uint64_t others = others_sync_us(n);
    logstore_stats(n->log, &log);
    uint64_t own = log.sync_recent_ns / NS_PER_US;
    bool slow = others > 0 && own > SLOW_SYNC_US_MIN && own > SLOW_TIMES * others;
    m->slow_seconds = slow ? m->slow_seconds + 1 : 0;
    slow = m->slow_seconds >= SLOW_SECONDS;
    if (slow && !m->disk_slow) {
        log_warn("the disk of this node is slow: %llu us to sync, %llu us elsewhere",
                 (unsigned long long)own, (unsigned long long)others);
    } else if (!slow && m->disk_slow) {
        log_info("the disk of this node is not slow any more: %llu us to sync",
                 (unsigned long long)own);
    }
    return slow;
}

static void check_disk(struct node *n)
{
    struct members *m = &n->members;
    struct refusal no;
    uint64_t now = loop_now_ns(n->loop);
    m->disk_slow = is_slow(n);
    bool rested = m->handed_over_ns == 0 || now - m->handed_over_ns > SLOW_PAUSE_NS;
    if (m->disk_slow && n->role == CONSENSUS_LEADER && rested && !n->draining &&
        leadership_begin(n, 0, "its disk is faster", &no)) {
        m->handed_over_ns = now;
    }
}

void leadership_second(struct node *n)
{
    struct leadership_asked *a = &n->leadership_asked;
    check_disk(n);
    if (a->token != 0 && loop_now_ns(n->loop) > a->until_ns) {
        struct refusal no = refusal_of(REASON_NO_LEADER, "the leader did not answer");
        a->token = 0;
        answer_client(n, a->call, 0, &no);
    }
}

/* ---- asked by an officer, here or at another node ---- */

static void ask_leader(struct node *n, struct grpc_call *call, uint64_t target)
{
    struct leadership_asked *a = &n->leadership_asked;
    struct refusal no;
    struct buf frame;
    uint64_t leader = host_leader(n);
    bool sent = false;
    if (a->token != 0) {
        no = refusal_of(REASON_CHANGE_PENDING, "another officer's transfer is under way");
        refusal_send(call, &no);
        return;
    }
    uint64_t token = ++n->inflight.token_last;
    buf_init(&frame, 16);
    buf_put_u64(&frame, token);
    buf_put_u64(&frame, target);
    struct bytes part = buf_bytes(&frame);
    if (leader != 0 && leader != n->id) {
        sent = !failed(peer_send(n->links, leader, FRAME_TRANSFER, &part, 1));
    }
    buf_done(&frame);
    if (!sent) {
        no = refusal_of(REASON_NO_LEADER, "there is no leader at present; try again");
        refusal_send(call, &no);
        return;
    }
    *a = (struct leadership_asked){
        .call = grpc_call_ref_of(call),
        .token = token,
        .leader = leader,
        .until_ns = loop_now_ns(n->loop) +
                    (HANDOVER_ELECTIONS + 2) * (uint64_t)n->config.election_timeout_ms * NS_PER_MS,
    };
}

void transfer_call(struct grpc_call *call, struct bytes message)
{
    struct node *n = grpc_call_server_ctx(call);
    struct transfer_request *q;
    struct errtext why;
    struct arena a;
    struct refusal no;
    uint64_t target = 0;
    const struct tls_peer *peer = grpc_call_peer(call);
    arena_init(&a, (1 << 20) + message.size * 4);
    err e = transfer_request_decode(message, &a, &q, &why);
    target = failed(e) ? 0 : q->node;
    arena_done(&a);
    if (peer == NULL || peer->identity.kind != IDENTITY_OFFICER) {
        no = refusal_of(REASON_DENIED, "handing leadership over needs an officer's certificate");
        refusal_send(call, &no);
    } else if (failed(e)) {
        no = refusal_of(REASON_BAD_REQUEST, "%s", why.text);
        refusal_send(call, &no);
    } else if (n->role != CONSENSUS_LEADER) {
        ask_leader(n, call, target);
    } else if (!leadership_begin(n, target, "an officer asked for it", &no)) {
        refusal_send(call, &no);
    } else {
        n->leadership.call = grpc_call_ref_of(call);
        n->leadership.has_call = true;
    }
}

void leadership_asked(struct node *n, uint64_t from, struct bytes frame)
{
    struct frame_transfer f;
    struct refusal no;
    if (!frame_transfer_read(frame, &f)) {
        host_frame_refused(n, from, "a malformed transfer");
    } else if (!leadership_begin(n, f.node, "an officer asked for it", &no)) {
        answer_peer(n, from, f.token, no.text);
    } else {
        n->leadership.peer = from;
        n->leadership.token = f.token;
    }
}

void leadership_answered(struct node *n, uint64_t from, struct bytes frame)
{
    struct leadership_asked *a = &n->leadership_asked;
    struct frame_transferred f;
    if (!frame_transferred_read(frame, &f)) {
        host_frame_refused(n, from, "a malformed answer to a transfer");
        return;
    }
    if (a->token == 0 || a->token != f.token || a->leader != from) {
        return;
    }
    struct refusal no =
        refusal_of(REASON_CHANGE_REFUSED, "%.*s", (int)f.text.size, (const char *)f.text.data);
    a->token = 0;
    answer_client(n, a->call, f.leader, f.ok ? NULL : &no);
}
