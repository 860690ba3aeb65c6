/* Receipts: the record, its place in the tree and the newest checkpoint that a majority has
 * cosigned (c2sp.org/tlog-proof); that the tree only grew; whom to believe. And Submit that waits
 * for it. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/require.h"
#include "crypto/consistency.h"
#include "crypto/proof.h"
#include "ledger/tree.h"
#include "server/parts.h"
#include "server/query.h"

QUERY_DECODE(get_receipt_request)
QUERY_DECODE(get_consistency_request)
QUERY_DECODE(get_policy_request)

static struct refusal not_cosigned(const struct node *n, uint64_t size)
{
    return refusal_of(REASON_NOT_COSIGNED,
                      "the newest checkpoint that a majority of institutions has cosigned covers "
                      "%llu records, not %llu; ask again",
                      (unsigned long long)n->heads.newest_size, (unsigned long long)size);
}

/* The receipt of a record that the newest complete checkpoint covers. */
static err make_receipt(struct node *n, uint64_t position, struct arena *a, struct buf *ret,
                        struct errtext *reterr)
{
    const struct ledger_records_query query = {.from = position, .limit = 1};
    struct ledger_records found;
    struct merkle_proof path;
    require(position < n->heads.newest_size);
    TRY(ledger_query_records(n->ledger, &query, a, &found, reterr));
    if (found.count != 1 || found.records[0].record.position != position) {
        return err_fail(reterr, ERR_CORRUPT, "record %llu is missing",
                        (unsigned long long)position);
    }
    TRY(ledger_tree_inclusion(n->ledger, position, n->heads.newest_size, &path, reterr));
    struct proof *proof = arena_new(a, 1, sizeof *proof);
    *proof = (struct proof){.extra = found.records[0].bytes,
                            .index = position,
                            .path_count = path.count,
                            .note = buf_bytes(&n->heads.newest)};
    memcpy(proof->path, path.hashes, path.count * sizeof path.hashes[0]);
    proof_print(proof, ret);
    return ret->overflow ? err_fail(reterr, ERR_CORRUPT, "a receipt over %d bytes", PROOF_BYTES_MAX)
                         : err_ok();
}

/* ---- GetReceipt ---- */

/* Which record of a request is meant, or the refusal. */
static err find_position(struct node *n, const struct get_receipt_request *q, struct arena *a,
                         uint64_t *ret, struct refusal *no)
{
    struct ledger_request_id id = {.party = q->party};
    struct ledger_answer answer = {.outcome_count = 0};
    if (q->request_id.size != sizeof id.id) {
        *no = refusal_of(REASON_BAD_REQUEST, "request_id: 16 bytes are expected");
        return err_ok();
    }
    memcpy(id.id, q->request_id.data, sizeof id.id);
    TRY(query_answer(n, &id, a, &answer, no, NULL));
    if (no->reason != REASON_NONE) {
        return err_ok();
    }
    if (q->index >= answer.outcome_count) {
        *no = refusal_of(REASON_BAD_REQUEST, "the request has %zu events, the last one is %zu",
                         answer.outcome_count, answer.outcome_count - 1);
        return err_ok();
    }
    *ret = answer.outcomes[q->index].position;
    return err_ok();
}

static err serve_get_receipt(struct node *n, const void *request, struct arena *a,
                             struct buf *reply, struct refusal *no, struct errtext *reterr)
{
    const struct get_receipt_request *q = request;
    struct get_receipt_reply r = {.size = n->heads.newest_size, .position = q->position};
    struct buf text;
    if (q->party.size > 0) {
        err e = find_position(n, q, a, &r.position, no);
        TRY(failed(e) ? err_fail(reterr, e.code, "the answer to a request") : e);
    } else if (!q->has_position) {
        *no = refusal_of(REASON_BAD_REQUEST,
                         "a receipt is asked for by party and request_id, or by position");
    }
    if (no->reason != REASON_NONE) {
        return err_ok();
    }
    if (r.position >= ledger_head(n->ledger).position) {
        *no = refusal_of(REASON_NOT_FOUND, "the ledger has no record %llu yet",
                         (unsigned long long)r.position);
        return err_ok();
    }
    if (r.position >= r.size) {
        *no = not_cosigned(n, r.position + 1);
        return err_ok();
    }
    buf_init(&text, PROOF_BYTES_MAX);
    err e = make_receipt(n, r.position, a, &text, reterr);
    if (!failed(e)) {
        r.receipt = buf_bytes(&text);
        query_at(n, &r.at);
        get_receipt_reply_encode(&r, reply);
    }
    buf_done(&text);
    return e;
}

/* ---- GetConsistency, GetPolicy ---- */

static err serve_get_consistency(struct node *n, const void *request, struct arena *a,
                                 struct buf *reply, struct refusal *no, struct errtext *reterr)
{
    const struct get_consistency_request *q = request;
    struct get_consistency_reply r = {.size = n->heads.newest_size};
    struct merkle_proof path;
    struct buf text;
    if (q->old_size > r.size || r.size == 0) {
        *no = not_cosigned(n, q->old_size);
        return err_ok();
    }
    TRY(ledger_tree_consistency(n->ledger, q->old_size, r.size, &path, reterr));
    struct consistency *c = arena_new(a, 1, sizeof *c);
    *c = (struct consistency){
        .old_size = q->old_size, .path_count = path.count, .note = buf_bytes(&n->heads.newest)};
    memcpy(c->path, path.hashes, path.count * sizeof path.hashes[0]);
    buf_init(&text, PROOF_BYTES_MAX);
    consistency_print(c, &text);
    require(!text.overflow);
    r.proof = buf_bytes(&text);
    query_at(n, &r.at);
    get_consistency_reply_encode(&r, reply);
    buf_done(&text);
    return err_ok();
}

static err serve_get_policy(struct node *n, const void *request, struct arena *a, struct buf *reply,
                            struct refusal *no, struct errtext *reterr)
{
    const struct get_policy_request *q = request;
    uint64_t now = ledger_head(n->ledger).position;
    struct get_policy_reply r = {.size = q->has_size ? q->size : now};
    struct buf text;
    (void)a;
    if (r.size > now) {
        *no = refusal_of(REASON_NOT_FOUND, "the ledger has %llu records yet",
                         (unsigned long long)now);
        return err_ok();
    }
    buf_init(&text, POLICY_BYTES_MAX);
    err e = ledger_policy(n->ledger, r.size, &text, reterr);
    if (!failed(e)) {
        r.policy = buf_bytes(&text);
        query_at(n, &r.at);
        get_policy_reply_encode(&r, reply);
    }
    buf_done(&text);
    return e;
}

const struct query_kind RECEIPT_KINDS[] = {
    {METHOD_GET_RECEIPT, decode_get_receipt_request, serve_get_receipt},
    {METHOD_GET_CONSISTENCY, decode_get_consistency_request, serve_get_consistency},
    {METHOD_GET_POLICY, decode_get_policy_request, serve_get_policy},
};
const size_t RECEIPT_KIND_COUNT = sizeof RECEIPT_KINDS / sizeof *RECEIPT_KINDS;

/* ---- Submit with WAIT_COSIGNED ---- */

/* A request that is recorded and waits for its checkpoint. */
struct cosigned {
    struct waiter waiter; /* first: the call's user pointer; its request is NULL */
    struct heads_wait wait;
    struct node *node;
    bool duplicate;
    struct ledger_request_id id; /* party: into the bytes below */
    uint8_t party[];
};

/* Answers with the receipt of the first event if the checkpoint is there, else without. */
static void answer(struct cosigned *c, struct grpc_call *call, bool covered)
{
    struct node *n = c->node;
    struct ledger_request_state s;
    struct errtext why;
    struct arena a;
    struct buf receipt;
    struct buf reply;
    arena_init(&a, LEDGER_QUERY_ARENA_MAX);
    buf_init(&receipt, PROOF_BYTES_MAX);
    buf_init(&reply, GRPC_MESSAGE_BYTES_MAX);
    err e = ledger_query_request(n->ledger, &c->id, &a, &s, &why);
    if (!failed(e) && s.found == LEDGER_FOUND_ANSWER && covered) {
        e = make_receipt(n, s.answer.outcomes[0].position, &a, &receipt, &why);
    }
    if (!failed(e) && s.found != LEDGER_FOUND_ANSWER) {
        e = err_fail(&why, ERR_CORRUPT, "an answer that was given is gone");
    }
    if (failed(e)) {
        refusal_send_broken(call, &why);
    } else {
        submit_encode_answer(&s.answer, c->duplicate, buf_bytes(&receipt), &a, &reply);
        require(!reply.overflow);
        grpc_call_reply(call, buf_bytes(&reply));
    }
    buf_done(&reply);
    buf_done(&receipt);
    arena_done(&a);
}

static void wait_done(struct heads_wait *w, bool covered)
{
    struct cosigned *c = (struct cosigned *)((char *)w - offsetof(struct cosigned, wait));
    struct grpc_call *call = grpc_server_find(c->node->grpc, c->waiter.call);
    if (call != NULL) {
        grpc_call_set_user(call, NULL);
        answer(c, call, covered);
    }
    free(c);
}

void receipts_wait(struct node *n, struct grpc_call *call, const struct ledger_request_id *id,
                   const struct ledger_answer *given, bool duplicate)
{
    require(given->outcome_count > 0);
    struct cosigned *c = mem_new(1, sizeof *c + id->party.size);
    c->node = n;
    c->duplicate = duplicate;
    c->waiter.call = grpc_call_ref_of(call);
    memcpy(c->party, id->party.data, id->party.size);
    c->id = *id;
    c->id.party = bytes_of(c->party, id->party.size);
    c->wait.size = given->outcomes[given->outcome_count - 1].position + 1;
    c->wait.on_done = wait_done;
    if (c->wait.size <= n->heads.newest_size) {
        answer(c, call, true);
        free(c);
        return;
    }
    grpc_call_set_user(call, &c->waiter);
    heads_wait(n, &c->wait);
}

void receipts_cancel(struct waiter *w)
{
    struct cosigned *c = (struct cosigned *)w;
    require(w->request == NULL);
    heads_wait_cancel(&c->wait);
    free(c);
}
