/* ProveStatement: an account's postings as a text that proves itself (crypto/statement.h), page by
 * page at one complete checkpoint. The first page has the head of the text, the last one its
 * checkpoint; a token says at which size the pages are and from which posting they go on, so any
 * node that keeps that checkpoint can give the next one.
 *
 *   token = u64 size | u64 number of the next posting */
#include "crypto/statement.h"
#include "base/cursor.h"
#include "base/require.h"
#include "ledger/tree.h"
#include "server/parts.h"
#include "server/query.h"

QUERY_DECODE(prove_statement_request)

enum { TOKEN_SIZE = 16 };

/* Where a page stands. */
struct page {
    uint64_t size, number; /* number 0: the first one */
    struct buf text, token;
};

static bool token_read(struct bytes token, struct page *ret)
{
    struct cursor c = cursor_of(token);
    ret->size = cursor_u64(&c);
    ret->number = cursor_u64(&c);
    return cursor_done(&c) && ret->number > 0;
}

/* The checkpoint of exactly that size, or a refusal: others keep it perhaps, or it was thinned. */
static err put_checkpoint(struct node *n, struct page *p, struct refusal *no,
                          struct errtext *reterr)
{
    struct heads_stored head = {0};
    if (p->size == n->heads.newest_size) {
        statement_put_note(buf_bytes(&n->heads.newest), &p->text);
        return err_ok();
    }
    buf_init(&head.note, NOTE_BYTES_MAX);
    err e = heads_store_find(n->kv, p->size, &head, reterr);
    if (err_is(e, ERR_NOT_FOUND) || (!failed(e) && head.size != p->size)) {
        *no = refusal_of(REASON_NOT_COSIGNED,
                         "this node has no checkpoint of %llu records: ask again from the start",
                         (unsigned long long)p->size);
        e = err_ok();
    } else if (!failed(e)) {
        statement_put_note(buf_bytes(&head.note), &p->text);
    }
    buf_done(&head.note);
    return e;
}

/* Entries as many as fit a message; the rest is for the next page. */
static void put_entries(struct page *p, const struct ledger_account_proof *proof)
{
    if (p->number == 0) {
        statement_put_head(proof->account, &proof->before, &p->text);
    }
    for (size_t i = 0; i < proof->count; i++) {
        statement_put_entry(&proof->entries[i], &p->text);
    }
    if (proof->next > 0) {
        buf_put_u64(&p->token, p->size);
        buf_put_u64(&p->token, proof->next);
    }
}

static err make_page(struct node *n, const struct prove_statement_request *q, struct page *p,
                     struct arena *a, struct refusal *no, struct errtext *reterr)
{
    struct ledger_account_proof proof;
    const struct ledger_prove_query query = {.place = {q->account.contract, q->account.place},
                                             .from = q->from_position,
                                             .to = q->to_position,
                                             .size = p->size,
                                             .number = p->number,
                                             .limit = q->page_size};
    err e = ledger_prove_account(n->ledger, &query, a, &proof, reterr);
    if (failed(e)) {
        return query_or_refuse(e, no, reterr);
    }
    if (p->number == 0 && proof.count == 0) {
        *no = refusal_of(REASON_NOT_FOUND, "no record up to size %llu has touched this account",
                         (unsigned long long)p->size);
        return err_ok();
    }
    put_entries(p, &proof);
    return proof.next == 0 ? put_checkpoint(n, p, no, reterr) : err_ok();
}

static err serve_prove_statement(struct node *n, const void *request, struct arena *a,
                                 struct buf *reply, struct refusal *no, struct errtext *reterr)
{
    const struct prove_statement_request *q = request;
    struct page p = {.size = n->heads.newest_size};
    struct prove_statement_reply r = {0};
    if (q->page_token.size > 0 && !token_read(q->page_token, &p)) {
        *no = refusal_of(REASON_BAD_REQUEST, "page_token: it is none of this call");
        return err_ok();
    }
    if (p.size == 0 || p.size > ledger_head(n->ledger).position) {
        *no = refusal_of(REASON_NOT_COSIGNED, "no checkpoint of this size is cosigned yet");
        return err_ok();
    }
    buf_init(&p.text, GRPC_MESSAGE_BYTES_MAX - ARENA_SLACK);
    buf_init(&p.token, TOKEN_SIZE);
    err e = make_page(n, q, &p, a, no, reterr);
    if (!failed(e) && no->reason == REASON_NONE) {
        if (p.text.overflow) {
            *no = refusal_of(REASON_BAD_REQUEST, "the page is too large: ask for fewer records");
        } else {
            r.size = p.size;
            r.text = buf_bytes(&p.text);
            r.next_page_token = buf_bytes(&p.token);
            query_at(n, &r.at);
            prove_statement_reply_encode(&r, reply);
        }
    }
    buf_done(&p.text);
    buf_done(&p.token);
    return e;
}

const struct query_kind STATEMENT_KIND = {METHOD_PROVE_STATEMENT, decode_prove_statement_request,
                                          serve_prove_statement};
