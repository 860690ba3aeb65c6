#include "server/reads.h"

#include <stdlib.h>

#include "base/cursor.h"
#include "base/mem.h"
#include "base/require.h"
#include "crypto/random.h"
#include "server/frames.h"
#include "server/parts.h"

static void unlink_wait(struct node *n, struct read_wait *w)
{
    struct read_list *l = &n->reads;
    *(w->prev == NULL ? &l->oldest : &w->prev->next) = w->next;
    *(w->next == NULL ? &l->newest : &w->next->prev) = w->prev;
    w->next = w->prev = NULL;
    l->count--;
}

static void settle(struct node *n, struct read_wait *w, bool ok)
{
    w->state = ok ? READ_READY : READ_FAILED;
    loop_post(n->loop, &n->reads_task);
}

/* Calls those that are settled; each may begin or cancel others. A query may take milliseconds, and
 * thousands may be confirmed at once: what does not fit this slice is served in the next turn,
 * which the confirmation covers as well. */
static void call_settled(struct loop_task *task)
{
    struct node *n = task->ctx;
    uint64_t until_ns = clock_monotonic_ns(&n->clock) + APPLY_SLICE_NS;
    const struct refusal no =
        refusal_of(REASON_NO_LEADER, "no majority confirmed this read; try again, or read locally");
    struct read_wait *w = n->reads.oldest;
    while (w != NULL) {
        if (w->state == READ_READY || w->state == READ_FAILED) {
            bool ok = w->state == READ_READY;
            unlink_wait(n, w);
            w->on_ready(w, ok ? NULL : &no);
            if (clock_monotonic_ns(&n->clock) >= until_ns) {
                loop_post(n->loop, &n->reads_task);
                return;
            }
            w = n->reads.oldest;
        } else {
            w = w->next;
        }
    }
}

void reads_init(struct node *n)
{
    loop_task_init(&n->reads_task, call_settled, n);
    /* An answer that was on its way when this node stopped must not fit a read of its next life. */
    n->reads.token_last = random_u64() >> 1;
}

static struct read_wait *find_token(struct node *n, uint64_t token)
{
    struct read_wait *w = n->reads.oldest;
    while (w != NULL && w->token != token) {
        w = w->next;
    }
    return w;
}

static void ask_leader(struct node *n, struct read_wait *w)
{
    struct buf frame;
    uint64_t leader = host_leader(n);
    buf_init(&frame, 8);
    buf_put_u64(&frame, w->token);
    struct bytes part = buf_bytes(&frame);
    w->state = READ_ASKED;
    w->asked = leader;
    if (leader == 0 || leader == n->id ||
        failed(peer_send(n->links, leader, FRAME_READ, &part, 1))) {
        settle(n, w, false);
    }
    buf_done(&frame);
}

void reads_begin(struct node *n, struct read_wait *w)
{
    struct read_list *l = &n->reads;
    w->token = ++l->token_last;
    w->since_ns = loop_now_ns(n->loop);
    w->state = READ_CONFIRMING;
    w->next = NULL;
    w->prev = l->newest;
    *(l->newest == NULL ? &l->oldest : &l->newest->next) = w;
    l->newest = w;
    l->count++;
    if (l->count > READS_MAX) {
        settle(n, w, false);
    } else if (n->role == CONSENSUS_LEADER) {
        if (consensus_read(n->consensus, w->token) != CONSENSUS_OK) {
            settle(n, w, false);
        }
    } else if (w->peer != 0) {
        settle(n, w, false); /* Asked by another node, which thought that this one leads. */
    } else {
        ask_leader(n, w);
    }
}

void reads_cancel(struct node *n, struct read_wait *w)
{
    if (w->token != 0 && find_token(n, w->token) == w) {
        unlink_wait(n, w);
    }
}

void reads_confirmed(struct node *n, uint64_t token, bool ok)
{
    struct read_wait *w = find_token(n, token);
    if (w != NULL && w->state == READ_CONFIRMING) {
        settle(n, w, ok);
    }
}

/* A read on behalf of another node. */
struct peer_read {
    struct read_wait wait;
    struct node *node;
};

static void peer_read_ready(struct read_wait *w, const struct refusal *refusal)
{
    struct peer_read *r = (struct peer_read *)w;
    struct node *n = r->node;
    struct buf frame;
    buf_init(&frame, 17);
    buf_put_u64(&frame, w->peer_token);
    buf_put_u8(&frame, refusal == NULL);
    buf_put_u64(&frame, ledger_head(n->ledger).height);
    struct bytes part = buf_bytes(&frame);
    err e = peer_send(n->links, w->peer, FRAME_READY, &part, 1);
    (void)e; /* The other node gives up by itself. */
    buf_done(&frame);
    free(r);
}

void reads_asked(struct node *n, uint64_t from, struct bytes frame)
{
    uint64_t token = 0;
    if (!frame_read_read(frame, &token)) {
        host_frame_refused(n, from, "a malformed read");
        return;
    }
    struct peer_read *r = mem_new(1, sizeof *r);
    r->node = n;
    r->wait = (struct read_wait){.on_ready = peer_read_ready, .peer = from, .peer_token = token};
    reads_begin(n, &r->wait);
}

void reads_answered(struct node *n, uint64_t from, struct bytes frame)
{
    struct frame_ready f;
    if (!frame_ready_read(frame, &f)) {
        host_frame_refused(n, from, "a malformed answer to a read");
        return;
    }
    struct read_wait *w = find_token(n, f.token);
    if (w == NULL || w->state != READ_ASKED || w->asked != from) {
        return; /* Nobody but the leader that was asked may say what this read must see. */
    }
    w->height = f.height;
    w->state = READ_REACHING;
    if (!f.ok) {
        settle(n, w, false);
    } else if (ledger_head(n->ledger).height >= f.height) {
        settle(n, w, true);
    }
}

void reads_reached(struct node *n)
{
    uint64_t height = ledger_head(n->ledger).height;
    for (struct read_wait *w = n->reads.oldest; w != NULL; w = w->next) {
        if (w->state == READ_REACHING && height >= w->height) {
            settle(n, w, true);
        }
    }
}

void reads_fail_all(struct node *n)
{
    for (struct read_wait *w = n->reads.oldest; w != NULL; w = w->next) {
        if (w->state == READ_ASKED || w->state == READ_CONFIRMING) {
            settle(n, w, false);
        }
    }
}

void reads_link_lost(struct node *n, uint64_t peer)
{
    for (struct read_wait *w = n->reads.oldest; w != NULL; w = w->next) {
        if (w->state == READ_ASKED && w->asked == peer) {
            settle(n, w, false);
        }
    }
}

void reads_done(struct node *n)
{
    while (n->reads.oldest != NULL) {
        struct read_wait *w = n->reads.oldest;
        require(w->peer != 0);
        unlink_wait(n, w);
        free((struct peer_read *)w);
    }
}

void reads_sweep(struct node *n)
{
    uint64_t now = loop_now_ns(n->loop);
    for (struct read_wait *w = n->reads.oldest; w != NULL; w = w->next) {
        if (now - w->since_ns > READ_TIMEOUT_NS && w->state != READ_READY) {
            settle(n, w, false);
        }
    }
}
