/* The way of a request: admission, signatures, block, answer; on a follower: to the leader. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/require.h"
#include "base/utf8.h"
#include "crypto/random.h"
#include "proto/block.h"
#include "proto/envelope.h"
#include "proto/service.h"
#include "server/frames.h"
#include "server/parts.h"

/* ---- answers ---- */

void submit_encode_answer(const struct ledger_answer *a, bool duplicate, struct bytes receipt,
                          struct arena *arena, struct buf *ret)
{
    struct submit_reply reply = {
        .height = a->height,
        .time_ns = a->time_ns,
        .outcome_count = a->outcome_count,
        .outcomes = arena_new(arena, a->outcome_count, sizeof *reply.outcomes),
        .duplicate = duplicate,
        .receipt = receipt,
    };
    memcpy(reply.request_hash, a->request_hash, 32);
    memcpy(reply.digest, a->digest, 32);
    for (size_t i = 0; i < a->outcome_count; i++) {
        reply.outcomes[i] = services_outcome(&a->outcomes[i]);
    }
    submit_reply_encode(&reply, ret);
}

static void answer_call(struct node *n, const struct waiter *w, const struct ledger_request_id *id,
                        const struct ledger_answer *a, bool duplicate)
{
    struct grpc_call *call = grpc_server_find(n->grpc, w->call);
    if (call == NULL) {
        return;
    }
    if (w->cosigned) {
        receipts_wait(n, call, id, a, duplicate);
        return;
    }
    struct arena arena;
    struct buf reply;
    arena_init(&arena, GRPC_MESSAGE_BYTES_MAX);
    buf_init(&reply, GRPC_MESSAGE_BYTES_MAX);
    submit_encode_answer(a, duplicate, bytes_of(NULL, 0), &arena, &reply);
    require(!reply.overflow);
    grpc_call_reply(call, buf_bytes(&reply));
    buf_done(&reply);
    arena_done(&arena);
}

static void refuse_peer(struct node *n, uint64_t peer, uint64_t token, const struct refusal *r)
{
    struct buf head;
    buf_init(&head, 16);
    buf_put_u64(&head, token);
    buf_put_u16(&head, (uint16_t)r->reason);
    buf_put_u8(&head, (uint8_t)r->retry);
    struct bytes parts[] = {buf_bytes(&head), bytes_text(r->text)};
    err e = peer_send(n->links, peer, FRAME_REFUSED, parts, 2);
    (void)e; /* The other node then answers UNKNOWN, which is true. */
    buf_done(&head);
}

static void refuse_waiter(struct node *n, const struct waiter *w, const struct refusal *r)
{
    if (w->peer != 0) {
        refuse_peer(n, w->peer, w->token, r);
        return;
    }
    struct grpc_call *call = grpc_server_find(n->grpc, w->call);
    if (call != NULL) {
        refusal_send(call, r);
    }
}

static void take_out(struct node *n, struct inflight *r)
{
    queue_release(&n->queue, r);
    inflight_take(&n->inflight, r);
}

/* Ends a request with a refusal, or with UNKNOWN, for everybody who waits. */
static void end_refused(struct node *n, struct inflight *r, const struct refusal *refusal)
{
    take_out(n, r);
    for (struct waiter *w = r->waiters; w != NULL; w = w->next) {
        refuse_waiter(n, w, refusal);
    }
    inflight_free(r);
}

static struct refusal unknown_outcome(const char *why)
{
    return refusal_of(REASON_UNKNOWN_OUTCOME,
                      "%s; send the same request again, or ask GetOutcome with its id", why);
}

/* ---- the block builder ---- */

static void enqueue(struct node *n, struct inflight *r)
{
    inflight_move(r, INFLIGHT_QUEUED);
    queue_add(&n->queue, r);
    loop_post(n->loop, &n->pump_task);
}

/* Takes requests from the queue while they fit one block. They are chained by queue_next. */
static struct inflight *take_for_block(struct node *n, uint32_t *ret_count)
{
    struct inflight *first = NULL;
    struct inflight **end = &first;
    size_t bytes = BLOCK_HEADER_SIZE;
    struct ledger_cost sum = {0};
    uint32_t count = 0;
    queue_begin(&n->queue);
    for (struct inflight *r; (r = queue_peek(&n->queue)) != NULL; count++) {
        size_t more = r->envelope_size + BLOCK_ENVELOPE_OVERHEAD;
        bool room = count < BLOCK_REQUESTS_WANTED && bytes + more <= BLOCK_BYTES_MAX &&
                    ledger_cost_add(n->ledger, &sum, &r->cost);
        if (count > 0 && !room) {
            break;
        }
        bytes += more;
        *end = queue_pop(&n->queue);
        end = &r->queue_next;
    }
    *ret_count = count;
    return first;
}

/* The leader's clock, but not ahead of the voters' median by over 2 s. */
static uint64_t leader_clock(struct node *n)
{
    uint64_t own = clock_wall_ns(&n->clock);
    uint64_t most = consensus_median_clock(n->consensus, own) + CLOCK_AHEAD_NS_MAX;
    if (own > most) {
        alarm_raise(n, ALARM_CLOCK, n->id,
                    "this node's clock is over %u s ahead of the others' median",
                    (unsigned)(CLOCK_AHEAD_NS_MAX / NS_PER_S));
        own = most;
    }
    return own;
}

/* The leader's stamp: after the last block. */
static uint64_t block_stamp(struct node *n, uint64_t last_ns)
{
    uint64_t now = leader_clock(n);
    return now > last_ns ? now : last_ns + 1;
}

/* A timer of a contract is due, and nothing under way will fire it. By the clock that the block
 * will bear: by a clock that is ahead of it the block would come too early, and be proposed again
 * and again. */
static bool timer_due(struct node *n)
{
    struct refusal no;
    uint64_t next = ledger_timer_next_ns(n->ledger);
    return n->chain.count == 0 && !disk_refuses(n, true, &no) && next <= clock_wall_ns(&n->clock) &&
           next <= leader_clock(n);
}

/* What the next block builds on; remembered while this node goes on leading, so that a block is
 * hashed once. */
static err find_tail(struct node *n, struct errtext *reterr)
{
    struct chained *last = chain_last(&n->chain);
    uint64_t index = last == NULL ? ledger_applied_index(n->ledger) : last->index;
    if (n->tail.known && n->tail.index == index && n->tail.term == n->term) {
        return err_ok();
    }
    TRY(apply_tail(n, &n->tail.block, reterr));
    n->tail.index = index;
    n->tail.term = n->term;
    n->tail.known = true;
    return err_ok();
}

/* Encodes one block of these requests and proposes it. */
static enum consensus_answer propose(struct node *n, struct inflight *first, uint32_t count,
                                     struct consensus_position *ret)
{
    struct arena a;
    uint32_t i = 0;
    arena_init(&a, BLOCK_ARENA_MAX + EVENTS_MAX * 32 + ARENA_SLACK);
    struct bytes *envelopes = arena_new(&a, count, sizeof *envelopes);
    uint8_t(*hashes)[32] = arena_new(&a, count, sizeof *hashes);
    for (struct inflight *r = first; r != NULL; r = r->queue_next, i++) {
        envelopes[i] = bytes_of(r->envelope, r->envelope_size);
        memcpy(hashes[i], r->request_hash, 32);
    }
    struct block block = {
        .height = n->tail.block.height + 1,
        .time_ns = block_stamp(n, n->tail.block.time_ns),
        .envelopes = envelopes,
        .envelope_count = count,
    };
    memcpy(block.previous, n->tail.block.hash, 32);
    buf_clear(&n->block);
    block_encode(&block, &n->block);
    require(!n->block.overflow);
    n->proposing = true;
    enum consensus_answer answer = consensus_submit(n->consensus, buf_bytes(&n->block), ret);
    n->proposing = false;
    if (answer == CONSENSUS_OK) {
        n->tail = (struct tail){.known = true,
                                .index = ret->index,
                                .term = ret->term,
                                .block = {.height = block.height, .time_ns = block.time_ns}};
        block_hash(&block, (const uint8_t(*)[32])hashes, n->tail.block.hash);
        struct chained *own = chain_last(&n->chain);
        require(own != NULL && own->index == ret->index);
        own->judged = own->follows = true;
        own->facts = n->tail.block;
    }
    arena_done(&a);
    return answer;
}

/* Proposes while there is something and the pipeline has room: at once when idle. */
static void pump(struct loop_task *task)
{
    struct node *n = task->ctx;
    struct errtext why;
    while (host_leads(n) && n->failure[0] == '\0' && n->failing[0] == '\0' &&
           !leadership_holds(n)) {
        if (n->queue.count == 0 && !timer_due(n)) {
            return;
        }
        if (n->chain.count >= BLOCKS_PROPOSED_MAX) {
            return; /* The apply posts this task again. */
        }
        err e = find_tail(n, &why);
        if (err_is(e, ERR_NOT_FOUND)) {
            return; /* It is not on this disk yet; the next second asks again. */
        }
        if (failed(e)) {
            node_fail(n, "the last block of the log cannot be read: %s", why.text);
            return;
        }
        uint32_t count = 0;
        struct consensus_position at;
        struct inflight *first = take_for_block(n, &count);
        if (propose(n, first, count, &at) != CONSENSUS_OK) {
            queue_return(&n->queue, first);
            return; /* Role, transfer or window: each of them posts this task when it changes. */
        }
        for (struct inflight *r = first; r != NULL;) {
            struct inflight *next = r->queue_next;
            inflight_move(r, INFLIGHT_PROPOSED);
            r->term = at.term;
            r->queue_next = NULL;
            r = next;
        }
    }
}

/* ---- admission ---- */

/* A request whose signatures a worker has. It stays in the table until the verdict is in. */
struct request_check {
    struct node *node;
    struct inflight *request;
};

static void request_checked(struct verify_job *job)
{
    struct request_check *check = job->ctx;
    struct node *n = check->node;
    struct inflight *r = check->request;
    bool valid = job->items[0].valid;
    free(check);
    verify_job_free(job);
    require(r->state == INFLIGHT_VERIFYING);
    if (!valid) {
        struct refusal no = refusal_of(REASON_BAD_SIGNATURE, "a signature does not verify");
        end_refused(n, r, &no);
    } else if (n->role != CONSENSUS_LEADER) {
        struct refusal no = refusal_of(REASON_NO_LEADER, "this node stopped leading; ask again");
        end_refused(n, r, &no);
    } else {
        enqueue(n, r);
    }
}

static bool start_check(struct node *n, struct inflight *r, const struct ledger_admission *a)
{
    struct verify_job *job = verify_job_new(n->verify, 1);
    struct request_check *check = mem_new(1, sizeof *check);
    *check = (struct request_check){n, r};
    verify_job_set(job, 0, a);
    job->on_done = request_checked;
    job->ctx = check;
    if (failed(verify_submit(job))) {
        free(check);
        verify_job_free(job);
        return false;
    }
    return true;
}

/* Hands the request to the leader, once: the leader never forwards again. */
static bool forward(struct node *n, struct inflight *r, uint64_t leader)
{
    struct buf head;
    buf_init(&head, 8);
    buf_put_u64(&head, r->token);
    struct bytes parts[] = {buf_bytes(&head), bytes_of(r->envelope, r->envelope_size)};
    err e = peer_send(n->links, leader, FRAME_FORWARD, parts, 2);
    buf_done(&head);
    r->forwarded_to = leader;
    r->term = n->term;
    return !failed(e);
}

/* A node that forwards a request again has given up the first time: it waits once. */
static void add_waiter(struct node *n, struct inflight *r, struct waiter w)
{
    for (struct waiter *old = r->waiters; old != NULL && w.peer != 0; old = old->next) {
        if (old->peer == w.peer) {
            old->token = w.token;
            return;
        }
    }
    struct waiter *added = inflight_wait(r, w);
    struct grpc_call *call = w.peer == 0 ? grpc_server_find(n->grpc, w.call) : NULL;
    if (call != NULL) {
        grpc_call_set_user(call, added);
    }
}

/* Whose share of the table it takes: the client's identity, or the node that forwards. */
static struct bytes source_of(struct node *n, struct waiter w, char room[INFLIGHT_SOURCE_NAME_MAX])
{
    struct grpc_call *call = w.peer == 0 ? grpc_server_find(n->grpc, w.call) : NULL;
    const struct tls_peer *peer = call == NULL ? NULL : grpc_call_peer(call);
    int size =
        peer == NULL
            ? snprintf(room, INFLIGHT_SOURCE_NAME_MAX, "/%llu", (unsigned long long)w.peer)
            : snprintf(room, INFLIGHT_SOURCE_NAME_MAX, "%s/%d/%s", peer->identity.institution,
                       (int)peer->identity.kind, peer->identity.name);
    require(size > 0 && size < INFLIGHT_SOURCE_NAME_MAX);
    return bytes_of((const uint8_t *)room, (size_t)size);
}

/* Only a governance key or an officer makes a request governance, not its contract alone: what any
 * party may send must not overtake, nor pass a disk that is low. */
static bool is_governance(const struct ledger_admission *a)
{
    static const char PREFIX[] = "ledger.";
    return a->governance && a->on_behalf.size > sizeof PREFIX - 1 &&
           memcmp(a->on_behalf.data, PREFIX, sizeof PREFIX - 1) == 0;
}

static bool has_share(const struct node *n, const struct inflight_new *new, struct refusal *ret)
{
    if (!inflight_has_share(&n->inflight, new->source, new->envelope.size)) {
        *ret = refusal_of(REASON_RATE_LIMITED, "%u requests of this client are waiting already",
                          INFLIGHT_SOURCE_MAX);
        return false;
    }
    if (!queue_has_share(&n->queue, new->party)) {
        *ret = refusal_of(REASON_RATE_LIMITED, "%u requests of party '%.*s' are waiting already",
                          INFLIGHT_PARTY_MAX, (int)new->party.size, (const char *)new->party.data);
        return false;
    }
    return true;
}

/* A request that was admitted: to the workers when this node leads, else to the leader. */
static bool take_on(struct node *n, const struct ledger_admission *a, struct bytes envelope,
                    struct waiter w, struct refusal *ret)
{
    bool leads = n->role == CONSENSUS_LEADER;
    if (leads && a->governance && !members_admit(n, envelope, ret)) {
        return false;
    }
    uint64_t leader = leads || w.peer != 0 ? 0 : host_leader(n);
    if (!leads && (leader == 0 || leader == n->id)) {
        *ret = refusal_of(REASON_NO_LEADER, "there is no leader at present; try again");
        return false;
    }
    char room[INFLIGHT_SOURCE_NAME_MAX];
    struct inflight_new new = {
        .source = source_of(n, w, room),
        .governance = is_governance(a),
        .party = a->on_behalf,
        .envelope = envelope,
        .request_id = a->request_id,
        .request_hash = a->request_hash,
        .cost = a->cost,
        .state = leads ? INFLIGHT_VERIFYING : INFLIGHT_FORWARDED,
        .now_ns = loop_now_ns(n->loop),
    };
    if (!has_share(n, &new, ret)) {
        return false;
    }
    struct inflight *r = inflight_add(&n->inflight, &new);
    if (r == NULL) {
        *ret = refusal_of(REASON_BUSY, "%zu requests are waiting already", n->inflight.count);
        return false;
    }
    bool taken = leads ? start_check(n, r, a) : forward(n, r, leader);
    if (!taken) {
        inflight_take(&n->inflight, r);
        inflight_free(r);
        *ret = leads ? refusal_of(REASON_BUSY, "too many signatures are waiting")
                     : refusal_of(REASON_NO_LEADER, "the leader cannot be reached; try again");
        return false;
    }
    r->changes_nodes = leads && a->governance && members_is_change(n, envelope);
    add_waiter(n, r, w);
    return true;
}

/* May these bytes share the fate of a request that is on its way? Not while its signatures are
 * unproved, unless the bytes are the same: a forged request must not have the true one refused. */
static bool may_join(const struct inflight *r, const struct ledger_admission *a,
                     struct bytes envelope, struct refusal *ret)
{
    bool proved = r->state == INFLIGHT_QUEUED || r->state == INFLIGHT_PROPOSED;
    if (!proved && !bytes_equal(envelope, bytes_of(r->envelope, r->envelope_size))) {
        *ret = refusal_of(REASON_BUSY, "another request of this id is being verified");
        return false;
    }
    if (memcmp(r->request_hash, a->request_hash, 32) != 0) {
        *ret =
            refusal_of(REASON_REQUEST_ID_REUSED, "this request id is being used for another body");
        return false;
    }
    return true;
}

/* The request of this admission that is on its way, or NULL. One that has expired since it was
 * proposed may still be recorded: then EXPIRED would be a false answer. */
static struct inflight *under_way(const struct node *n, const struct ledger_admission *a)
{
    bool expired = a->end == LEDGER_ADMIT_REFUSED && a->refusal.reason == REASON_EXPIRED;
    if ((a->end != LEDGER_ADMIT_OK && !expired) || a->on_behalf.size == 0) {
        return NULL;
    }
    struct inflight *r = inflight_find(&n->inflight, a->on_behalf, a->request_id);
    bool same = r != NULL && memcmp(r->request_hash, a->request_hash, 32) == 0;
    return expired && !same ? NULL : r;
}

/* Admits one envelope for one waiter: answered, refused, or taken on. */
static void admit(struct node *n, struct bytes envelope, struct waiter w)
{
    struct arena a;
    struct ledger_admission admission;
    struct refusal no;
    if (n->draining || n->failing[0] != '\0') {
        no = refusal_of(REASON_DRAINING, "this node is stopping; ask another one");
        refuse_waiter(n, &w, &no);
        return;
    }
    arena_init(&a, LEDGER_QUERY_ARENA_MAX);
    /* Expiry is judged by the ledger's own time: a copy that is committed already and not applied
     * here must not be told that it never can be. */
    ledger_admit(n->ledger, envelope, ledger_head(n->ledger).time_ns, &a, &admission);
    struct inflight *r = under_way(n, &admission);
    if (r != NULL && may_join(r, &admission, envelope, &no)) {
        add_waiter(n, r, w);
    } else if (r != NULL) {
        refuse_waiter(n, &w, &no);
    } else if (admission.end == LEDGER_ADMIT_REFUSED) {
        no = refusal_of(admission.refusal.reason, "%s", admission.refusal.text);
        refuse_waiter(n, &w, &no);
    } else if (admission.end == LEDGER_ADMIT_ANSWERED) {
        /* A node that forwarded it has answered from its own ledger, or will when it gets there. */
        if (w.peer == 0) {
            struct ledger_request_id id = {.party = admission.on_behalf};
            memcpy(id.id, admission.request_id, sizeof id.id);
            answer_call(n, &w, &id, &admission.answer, true);
        }
    } else if ((n->role == CONSENSUS_LEADER && disk_refuses(n, is_governance(&admission), &no)) ||
               lies_refuse(n, is_governance(&admission), &no)) {
        refuse_waiter(n, &w, &no);
    } else if (!take_on(n, &admission, envelope, w, &no)) {
        refuse_waiter(n, &w, &no);
    }
    arena_done(&a);
}

void submit_call(struct grpc_call *call, struct bytes message)
{
    struct node *n = grpc_call_server_ctx(call);
    struct arena a;
    struct submit_request *request;
    struct errtext why;
    arena_init(&a, message.size * 4 + (1 << 20)); /* what proto/service.h may need */
    err e = submit_request_decode(message, &a, &request, &why);
    if (failed(e)) {
        struct refusal no = refusal_of(REASON_MALFORMED, "%s", why.text);
        refusal_send(call, &no);
    } else {
        admit(n, request->envelope,
              (struct waiter){.call = grpc_call_ref_of(call),
                              .cosigned = request->wait == WAIT_COSIGNED});
    }
    arena_done(&a);
}

void submit_cancel(struct grpc_call *call)
{
    struct waiter *w = grpc_call_user(call);
    if (w != NULL && w->request == NULL) {
        receipts_cancel(w);
    } else if (w != NULL) {
        inflight_forget(w);
    }
}

void submit_forwarded(struct node *n, uint64_t from, struct bytes frame)
{
    struct frame_forward f;
    if (!frame_forward_read(frame, &f)) {
        host_frame_refused(n, from, "a forward without an envelope");
        return;
    }
    admit(n, f.envelope, (struct waiter){.peer = from, .token = f.token});
}

/* At most so many bytes, and no half character at the end. */
static int shown_size(struct bytes text, size_t most)
{
    size_t size = text.size < most ? text.size : most;
    while (size < text.size && size > 0 && (text.data[size] & 0xc0) == 0x80) {
        size--;
    }
    return (int)size;
}

void submit_refused(struct node *n, uint64_t from, struct bytes frame)
{
    struct frame_refused f;
    if (!frame_refused_read(frame, &f)) {
        host_frame_refused(n, from, "a malformed refusal");
        return;
    }
    struct inflight *r = inflight_find_token(&n->inflight, f.token);
    if (r == NULL || r->forwarded_to != from) {
        return;
    }
    struct refusal no =
        refusal_of(f.reason, "%.*s", shown_size(f.text, 400), (const char *)f.text.data);
    no.retry = f.retry;
    end_refused(n, r, &no);
}

/* ---- ends ---- */

void submit_settle(struct node *n, const struct ledger_result *result)
{
    for (size_t i = 0; i < result->applied_count; i++) {
        const struct ledger_applied *a = &result->applied[i];
        struct inflight *r = a->on_behalf.size == 0
                                 ? NULL
                                 : inflight_find(&n->inflight, a->on_behalf, a->request_id);
        if (r == NULL || memcmp(r->request_hash, a->request_hash, 32) != 0 ||
            r->state == INFLIGHT_VERIFYING || r->state == INFLIGHT_QUEUED) {
            continue;
        }
        if (a->reason != REASON_NONE && a->answer.outcome_count == 0) {
            struct refusal no =
                refusal_of(a->reason, "the request was void in block %llu: %s",
                           (unsigned long long)result->head.height, reason_name(a->reason));
            end_refused(n, r, &no);
            continue;
        }
        take_out(n, r);
        struct ledger_request_id id = {.party = a->on_behalf};
        memcpy(id.id, a->request_id, sizeof id.id);
        for (struct waiter *w = r->waiters; w != NULL; w = w->next) {
            if (w->peer == 0) {
                answer_call(n, w, &id, &a->answer, a->reason != REASON_NONE);
            }
        }
        inflight_free(r);
    }
}

/* Ends all requests of which `lost` is true. QUEUED ones were never proposed: REFUSED is the truth
 * for them; for the others only UNKNOWN is. */
static void end_where(struct node *n,
                      bool (*lost)(const struct node *n, const struct inflight *r, uint64_t arg),
                      uint64_t arg, const char *why)
{
    for (struct inflight *r = n->inflight.oldest, *next; r != NULL; r = next) {
        next = r->next;
        if (r->state == INFLIGHT_VERIFYING || !lost(n, r, arg)) {
            continue;
        }
        struct refusal no = r->state == INFLIGHT_QUEUED
                                ? refusal_of(REASON_NO_LEADER, "%s; it was not proposed", why)
                                : unknown_outcome(why);
        end_refused(n, r, &no);
    }
}

/* A FORWARDED one is another node's business while that node's term lasts. */
static bool lost_with_leadership(const struct node *n, const struct inflight *r, uint64_t arg)
{
    bool leads = n->role == CONSENSUS_LEADER;
    (void)arg;
    switch (r->state) {
    case INFLIGHT_VERIFYING:
        return false;
    case INFLIGHT_QUEUED:
        return !leads;
    case INFLIGHT_PROPOSED:
        return !leads || r->term != n->term;
    case INFLIGHT_FORWARDED:
        return r->term != n->term;
    }
    return true;
}

void submit_leadership_lost(struct node *n)
{
    if (n->role != CONSENSUS_LEADER) {
        queue_clear(&n->queue);
    }
    end_where(n, lost_with_leadership, 0, "the leader changed");
}

static bool lost_with_state(const struct node *n, const struct inflight *r, uint64_t arg)
{
    (void)n;
    (void)arg;
    return r->state == INFLIGHT_PROPOSED || r->state == INFLIGHT_FORWARDED;
}

void submit_state_replaced(struct node *n)
{
    end_where(n, lost_with_state, 0, "this node went on from a checkpoint");
}

static bool lost_with_link(const struct node *n, const struct inflight *r, uint64_t peer)
{
    (void)n;
    return r->state == INFLIGHT_FORWARDED && r->forwarded_to == peer;
}

void submit_link_lost(struct node *n, uint64_t peer)
{
    end_where(n, lost_with_link, peer, "the link to the leader broke");
}

static bool waited_too_long(const struct node *n, const struct inflight *r, uint64_t arg)
{
    (void)arg;
    return r->state != INFLIGHT_QUEUED && loop_now_ns(n->loop) - r->since_ns > SUBMIT_TIMEOUT_NS;
}

void submit_sweep(struct node *n)
{
    end_where(n, waited_too_long, 0, "no majority answered in time");
}

void submit_init(struct node *n)
{
    uint64_t seeds[2];
    random_bytes(seeds, sizeof seeds);
    inflight_init(&n->inflight, seeds[0], seeds[1]);
    /* A refusal that was on its way when this node stopped must not fit a request of its next life.
     */
    n->inflight.token_last = random_u64() >> 1;
    queue_init(&n->queue, seeds[1], seeds[0]);
    loop_task_init(&n->pump_task, pump, n);
    buf_init(&n->block, BLOCK_BYTES_MAX);
}

void submit_done(struct node *n)
{
    queue_done(&n->queue);
    inflight_done(&n->inflight);
    buf_done(&n->block);
}
