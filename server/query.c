/* The services that read: Query, Contracts and Ledger.GetOutcome. Each decodes its request, waits
 * until its read is linearizable (or not, when the caller wants what this node has), and answers
 * with the state it speaks of. */
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "base/mem.h"
#include "base/require.h"
#include "proto/service.h"
#include "rules/rules.h"
#include "server/parts.h"
#include "server/query.h"

struct query {
    struct read_wait wait; /* first */
    struct node *node;
    const struct query_kind *kind;
    struct grpc_call_ref ref;
    struct arena arena;
    void *request;
};

void query_at(const struct node *n, struct at *ret)
{
    struct ledger_head head = ledger_head(n->ledger);
    *ret = (struct at){.height = head.height, .time_ns = head.time_ns, .size = head.position};
    memcpy(ret->digest, head.digest, 32);
}

err query_or_refuse(err e, struct refusal *no, const struct errtext *why)
{
    if (err_is(e, ERR_NOT_FOUND)) {
        *no = refusal_of(REASON_NOT_FOUND, "%s", why->text);
        return err_ok();
    }
    if (err_is(e, ERR_INVALID) || err_is(e, ERR_LIMIT)) {
        *no = refusal_of(REASON_BAD_REQUEST, "%s", why->text);
        return err_ok();
    }
    return e;
}

QUERY_DECODE(balance_request)
QUERY_DECODE(rows_request)
QUERY_DECODE(statement_request)
QUERY_DECODE(trial_balance_request)
QUERY_DECODE(list_contracts_request)
QUERY_DECODE(get_contract_request)
QUERY_DECODE(get_outcome_request)

static err serve_balance(struct node *n, const void *request, struct arena *a, struct buf *reply,
                         struct refusal *no, struct errtext *reterr)
{
    const struct balance_request *q = request;
    const struct ledger_place place = {q->account.contract, q->account.place};
    struct ledger_balance b;
    err e = ledger_query_balance(n->ledger, &place, a, &b, reterr);
    if (failed(e)) {
        return query_or_refuse(e, no, reterr);
    }
    struct balance_reply r = {
        .quanta = b.quanta, .amount = b.amount, .measure = b.measure, .postings = b.postings};
    query_at(n, &r.at);
    balance_reply_encode(&r, reply);
    return err_ok();
}

static err serve_rows(struct node *n, const void *request, struct arena *a, struct buf *reply,
                      struct refusal *no, struct errtext *reterr)
{
    const struct rows_request *q = request;
    struct ledger_rows_query query = {
        .place = {q->contract, q->place},
        .token = q->page_token,
        .limit = q->page_size,
    };
    struct ledger_rows rows;
    err e = ledger_query_rows(n->ledger, &query, a, &rows, reterr);
    if (failed(e)) {
        return query_or_refuse(e, no, reterr);
    }
    struct rows_reply r = {.next_page_token = rows.token, .row_count = rows.count};
    r.rows = arena_new(a, rows.count, sizeof *r.rows);
    for (size_t i = 0; i < rows.count; i++) {
        r.rows[i] = (struct row){rows.json[i]};
    }
    query_at(n, &r.at);
    rows_reply_encode(&r, reply);
    return err_ok();
}

static err serve_statement(struct node *n, const void *request, struct arena *a, struct buf *reply,
                           struct refusal *no, struct errtext *reterr)
{
    const struct statement_request *q = request;
    struct ledger_statement_query query = {
        .place = {q->account.contract, q->account.place},
        .from_position = q->from_position,
        .token = q->page_token,
        .limit = q->page_size,
    };
    struct ledger_statement s;
    err e = ledger_query_statement(n->ledger, &query, a, &s, reterr);
    if (failed(e)) {
        return query_or_refuse(e, no, reterr);
    }
    struct statement_reply r = {
        .measure = s.balance.measure,
        .posting_count = s.count,
        .next_page_token = s.token,
        .balance_quanta = s.balance.quanta,
        .balance = s.balance.amount,
    };
    r.postings = arena_new(a, s.count, sizeof *r.postings);
    for (size_t i = 0; i < s.count; i++) {
        const struct ledger_posting *p = &s.postings[i];
        r.postings[i] = (struct posting){
            .number = p->number,
            .position = p->position,
            .ordinal = p->ordinal,
            .time_ns = p->time_ns,
            .quanta = p->quanta,
            .balance_quanta = p->balance,
            .amount = p->amount,
            .balance = p->balance_amount,
            .counter = p->counter,
            .clause = p->clause,
        };
    }
    query_at(n, &r.at);
    statement_reply_encode(&r, reply);
    return err_ok();
}

static err serve_trial_balance(struct node *n, const void *request, struct arena *a,
                               struct buf *reply, struct refusal *no, struct errtext *reterr)
{
    const struct trial_balance_request *q = request;
    struct ledger_trial trial;
    size_t from = 0;
    err e = ledger_query_trial(n->ledger, a, &trial, reterr);
    if (failed(e)) {
        return query_or_refuse(e, no, reterr);
    }
    if (q->page_token.size == 8) {
        struct cursor c = cursor_of(q->page_token);
        uint64_t at = cursor_u64(&c);
        from = at < trial.count ? (size_t)at : trial.count;
    }
    size_t most = q->page_size == 0 || q->page_size > PAGE_SIZE_MAX ? PAGE_SIZE_MAX : q->page_size;
    struct trial_balance_reply r = {0};
    r.line_count = trial.count - from < most ? trial.count - from : most;
    r.lines = arena_new(a, r.line_count, sizeof *r.lines);
    for (size_t i = 0; i < r.line_count; i++) {
        const struct ledger_trial_line *l = &trial.lines[from + i];
        r.lines[i] = (struct trial_balance_line){
            .contract = l->contract,
            .family = l->family,
            .measure = l->measure,
            .accounts = l->accounts,
            .debit_quanta = l->debits,
            .credit_quanta = l->credits,
            .debit = l->debits_amount,
            .credit = l->credits_amount,
            .sum_quanta = l->debits + l->credits,
        };
    }
    struct buf token;
    buf_init(&token, 8);
    if (from + r.line_count < trial.count) {
        buf_put_u64(&token, from + r.line_count);
    }
    r.next_page_token = buf_bytes(&token);
    query_at(n, &r.at);
    trial_balance_reply_encode(&r, reply);
    buf_done(&token);
    return err_ok();
}

static void describe_contract(const struct ledger_contract *c, struct contract_info *ret)
{
    *ret = (struct contract_info){
        .name = c->name,
        .version = c->version,
        .effective_date = c->effective,
        .replaces = (uint64_t)rules_program_facts(c->program)->replaces,
        .title = c->title,
        .text_size = (uint32_t)c->text.size,
        .height = c->height,
    };
    memcpy(ret->text_hash, c->text_hash, 32);
    memcpy(ret->code_hash, c->code_hash, 32);
}

static err serve_list_contracts(struct node *n, const void *request, struct arena *a,
                                struct buf *reply, struct refusal *no, struct errtext *reterr)
{
    const struct list_contracts_request *q = request;
    size_t count = 0;
    size_t from = 0;
    const struct ledger_contract *all = ledger_contracts(n->ledger, a, &count);
    (void)no;
    (void)reterr;
    if (q->page_token.size == 8) {
        struct cursor c = cursor_of(q->page_token);
        uint64_t at = cursor_u64(&c);
        from = at < count ? (size_t)at : count;
    }
    size_t most = q->page_size == 0 || q->page_size > PAGE_SIZE_MAX ? PAGE_SIZE_MAX : q->page_size;
    struct list_contracts_reply r = {0};
    r.contract_count = count - from < most ? count - from : most;
    r.contracts = arena_new(a, r.contract_count, sizeof *r.contracts);
    for (size_t i = 0; i < r.contract_count; i++) {
        describe_contract(&all[from + i], &r.contracts[i]);
    }
    struct buf token;
    buf_init(&token, 8);
    if (from + r.contract_count < count) {
        buf_put_u64(&token, from + r.contract_count);
    }
    r.next_page_token = buf_bytes(&token);
    query_at(n, &r.at);
    list_contracts_reply_encode(&r, reply);
    buf_done(&token);
    return err_ok();
}

static err serve_get_contract(struct node *n, const void *request, struct arena *a,
                              struct buf *reply, struct refusal *no, struct errtext *reterr)
{
    const struct get_contract_request *q = request;
    struct ledger_contract c;
    (void)a;
    (void)reterr;
    if (!ledger_contract_find(n->ledger, q->name, q->version, &c)) {
        *no = refusal_of(REASON_NOT_FOUND, "no contract '%.*s'%s on this ledger",
                         (int)(q->name.size < 64 ? q->name.size : 64), (const char *)q->name.data,
                         q->version == 0 ? "" : " of that version");
        return err_ok();
    }
    struct get_contract_reply r = {.text = c.text};
    describe_contract(&c, &r.contract);
    query_at(n, &r.at);
    get_contract_reply_encode(&r, reply);
    return err_ok();
}

err query_answer(const struct node *n, const struct ledger_request_id *request, struct arena *a,
                 struct ledger_answer *ret, struct refusal *no, struct errtext *reterr)
{
    struct ledger_request_state s;
    TRY(ledger_query_request(n->ledger, request, a, &s, reterr));
    switch (s.found) {
    case LEDGER_FOUND_NOTHING:
        *no = refusal_of(REASON_NOT_FOUND, "no request of this party with this id is recorded");
        break;
    case LEDGER_FOUND_VOID:
        *no = refusal_of(s.reason, "the request was void in block %llu: %s",
                         (unsigned long long)s.height, reason_name(s.reason));
        break;
    case LEDGER_FOUND_ANSWER:
        *ret = s.answer;
        break;
    }
    return err_ok();
}

static err serve_get_outcome(struct node *n, const void *request, struct arena *a,
                             struct buf *reply, struct refusal *no, struct errtext *reterr)
{
    const struct get_outcome_request *q = request;
    struct ledger_request_id id = {.party = q->party};
    struct ledger_answer answer;
    memcpy(id.id, q->request_id, sizeof id.id);
    TRY(query_answer(n, &id, a, &answer, no, reterr));
    if (no->reason == REASON_NONE) {
        submit_encode_answer(&answer, true, bytes_of(NULL, 0), a, reply);
    }
    return err_ok();
}

static const struct query_kind KINDS[] = {
    {METHOD_BALANCE, decode_balance_request, serve_balance},
    {METHOD_ROWS, decode_rows_request, serve_rows},
    {METHOD_STATEMENT, decode_statement_request, serve_statement},
    {METHOD_TRIAL_BALANCE, decode_trial_balance_request, serve_trial_balance},
    {METHOD_LIST_CONTRACTS, decode_list_contracts_request, serve_list_contracts},
    {METHOD_GET_CONTRACT, decode_get_contract_request, serve_get_contract},
    {METHOD_GET_OUTCOME, decode_get_outcome_request, serve_get_outcome},
};

static const struct query_kind *kind_in(const struct query_kind *kinds, size_t count,
                                        const char *path)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(kinds[i].path, path) == 0) {
            return &kinds[i];
        }
    }
    return NULL;
}

static const struct query_kind *find_kind(const char *path)
{
    const struct query_kind *kind = kind_in(KINDS, sizeof KINDS / sizeof *KINDS, path);
    kind = kind == NULL ? kind_in(RECEIPT_KINDS, RECEIPT_KIND_COUNT, path) : kind;
    kind = kind == NULL ? kind_in(ARCHIVE_KINDS, ARCHIVE_KIND_COUNT, path) : kind;
    kind = kind == NULL ? kind_in(&STATEMENT_KIND, 1, path) : kind;
    if (kind != NULL) {
        return kind;
    }
    die("no query is called %s", path);
}

static void query_free(struct query *q)
{
    arena_done(&q->arena);
    free(q);
}

static void serve(struct query *q, struct grpc_call *call)
{
    struct buf reply;
    struct errtext why = {""};
    struct refusal no = {.reason = REASON_NONE};
    buf_init(&reply, GRPC_MESSAGE_BYTES_MAX);
    err e = q->kind->serve(q->node, q->request, &q->arena, &reply, &no, &why);
    if (failed(e)) {
        refusal_send_broken(call, &why);
    } else if (no.reason != REASON_NONE) {
        refusal_send(call, &no);
    } else if (reply.overflow) {
        no = refusal_of(REASON_TOO_LARGE, "the answer is over %d bytes; ask for a smaller page",
                        GRPC_MESSAGE_BYTES_MAX);
        refusal_send(call, &no);
    } else {
        grpc_call_reply(call, buf_bytes(&reply));
    }
    buf_done(&reply);
}

static void read_ready(struct read_wait *w, const struct refusal *refusal)
{
    struct query *q = (struct query *)w;
    struct grpc_call *call = grpc_server_find(q->node->grpc, q->ref);
    if (call != NULL && refusal != NULL) {
        refusal_send(call, refusal);
    } else if (call != NULL) {
        serve(q, call);
    }
    query_free(q);
}

void query_call(struct grpc_call *call, struct bytes message)
{
    struct node *n = grpc_call_server_ctx(call);
    struct errtext why;
    bool local = false;
    struct query *q = mem_new(1, sizeof *q);
    q->node = n;
    q->kind = find_kind(grpc_call_method(call)->path);
    q->ref = grpc_call_ref_of(call);
    q->wait.on_ready = read_ready;
    arena_init(&q->arena, LEDGER_QUERY_ARENA_MAX);
    err e = message.size > QUERY_BYTES_MAX
                ? err_fail(&why, ERR_LIMIT, "a query is at most %d bytes", QUERY_BYTES_MAX)
                : q->kind->decode(message, &q->arena, &q->request, &local, &why);
    if (failed(e)) {
        struct refusal no = refusal_of(REASON_BAD_REQUEST, "%s", why.text);
        refusal_send(call, &no);
        query_free(q);
    } else if (local) {
        serve(q, call);
        query_free(q);
    } else {
        grpc_call_set_user(call, q);
        reads_begin(n, &q->wait);
    }
}

void query_cancel(struct grpc_call *call)
{
    struct query *q = grpc_call_user(call);
    if (q != NULL) {
        reads_cancel(q->node, &q->wait);
        query_free(q);
    }
}
