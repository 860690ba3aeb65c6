#include "base/require.h"
#include "verify/verify.h"

/* Where the check of a statement stands. */
struct walk {
    const struct verify_trust *trust;
    const struct verify_listing *listing;
    struct verify_statement *s;
    struct account_head head;  /* as it follows from the postings so far */
    struct checkpoint claimed; /* the signatures are checked last */
    struct errtext *why;
};

static bool zeros(const uint8_t chain[32])
{
    uint8_t sum = 0;
    for (int i = 0; i < 32; i++) {
        sum |= chain[i];
    }
    return sum == 0;
}

static err denied(struct walk *w, const struct record *r, const char *what)
{
    return err_fail(w->why, ERR_DENIED, "record %llu: %s", (unsigned long long)r->position, what);
}

/* Each balance must be the one before it and what was moved; the first one gives the opening. */
static err add_posting(struct walk *w, const struct record *r, const struct account_posting *p)
{
    struct verify_statement *s = w->s;
    int64_t balance = 0;
    if (!s->has_opening) {
        if (__builtin_sub_overflow(p->balance, p->quanta, &s->opening)) {
            return denied(w, r, "the balance cannot be");
        }
        s->closing = s->opening;
        s->has_opening = true;
    }
    if (__builtin_add_overflow(s->closing, p->quanta, &balance) || balance != p->balance) {
        return denied(w, r, "a balance is not the one before it and the amount");
    }
    s->closing = balance;
    account_chain_add(&w->head, p);
    s->postings++;
    if (w->listing != NULL) {
        w->listing->on_posting(w->listing->ctx, w->head.count, r, p);
    }
    return err_ok();
}

static err add_entry(struct walk *w, const struct statement_entry *e)
{
    struct verify_statement *s = w->s;
    const struct checkpoint *c = &w->claimed;
    struct record r;
    struct merkle_hash hash;
    TRY(record_decode(e->record, &r, w->why));
    if (s->records > 0 && r.position <= s->last.position) {
        return denied(w, &r, "it stands twice, or out of order");
    }
    merkle_leaf(e->record, &hash);
    if (!merkle_path_proves(&hash, r.position, c->size, e->path, e->path_count, &c->root)) {
        return denied(w, &r, "it does not stand at its position of the checkpoint's tree");
    }
    for (size_t i = 0; i < e->posting_count; i++) {
        struct account_posting p = e->postings[i];
        p.position = r.position;
        TRY(add_posting(w, &r, &p));
    }
    account_leaf(s->account, &w->head, &hash);
    statement_climb(&hash, e->steps, e->step_count, &hash);
    if (memcmp(hash.bytes, r.accounts_root, sizeof r.accounts_root) != 0) {
        return denied(w, &r,
                      "the account's postings do not lead to what it recorded of the account: "
                      "one was changed, left out, doubled or swapped, here or before");
    }
    r.contract = bytes_of(NULL, 0); /* it lives only as long as the entry */
    s->first = s->records == 0 ? r : s->first;
    s->last = r;
    s->records++;
    return err_ok();
}

/* Every mark must be a valid one of a witness of the policy, and they must be a quorum. */
static err check_marks(struct walk *w, const struct statement_end *end)
{
    struct verify_statement *s = w->s;
    const uint64_t size = w->claimed.size;
    const struct note_key *keys[STATEMENT_MARKS_MAX];
    struct buf message;
    err e = err_ok();
    buf_init(&message, STATEMENT_ACCOUNT_BYTES_MAX + 256);
    account_mark_put(end->ledger_id, size, s->account, &w->head, &message);
    require(!message.overflow);
    for (size_t i = 0; i < end->mark_count && !failed(e); i++) {
        const struct statement_mark *m = &end->marks[i];
        struct policy_voice *voice = &s->enders.list[i];
        keys[i] = policy_key(w->trust->policy, m->name, m->id, &voice->group);
        voice->key = keys[i];
        if (keys[i] == NULL || keys[i]->kind != NOTE_COSIGNATURE) {
            e = err_fail(w->why, ERR_DENIED, "end mark %zu is of no witness of the policy", i + 1);
        } else if (!verifier_check(w->trust->verifier, keys[i]->public, buf_bytes(&message),
                                   m->signature)) {
            e = err_fail(w->why, ERR_DENIED,
                         "the end mark of %s is forged, or is of another end than this one",
                         keys[i]->name);
        } else {
            voice->counts = policy_key_counts(w->trust->policy, keys[i], size);
            s->enders.count++;
        }
    }
    buf_done(&message);
    TRY(e);
    e = policy_quorum(w->trust->policy, size, keys, end->mark_count, w->why);
    return failed(e) ? err_wrapf(w->why, e, "end marks") : e;
}

/* The last part: the end of the text, and what it says of the end of the account. */
static err close_walk(struct walk *w, struct statement_reader *r)
{
    struct statement_end end;
    TRY(statement_close(r, &end, w->why));
    if (end.mark_count > 0) {
        TRY(check_marks(w, &end));
        w->s->ended = true;
        return err_ok();
    }
    return w->s->records > 0
               ? err_ok()
               : err_fail(w->why, ERR_DENIED, "it has neither a record nor an end mark");
}

err verify_statement(const struct verify_trust *t, struct bytes wire,
                     const struct verify_listing *listing, struct arena *a,
                     struct verify_statement *ret, struct errtext *reterr)
{
    struct statement_reader r;
    struct arena entries;
    struct walk w = {.trust = t, .listing = listing, .s = ret, .why = reterr};
    *ret = (struct verify_statement){0};
    TRY(statement_open(wire, a, &r, &ret->account, &w.head, reterr));
    TRY(verify_claimed(r.note, &w.claimed, reterr));
    ret->before = w.head.count;
    ret->has_opening = w.head.count == 0;
    if (w.head.count == 0 && !zeros(w.head.chain)) {
        return err_fail(reterr, ERR_DENIED, "an account without postings has no chain");
    }
    err e = err_ok();
    arena_init(&entries, STATEMENT_ENTRY_ARENA_MAX);
    for (bool more = true; more && !failed(e);) {
        struct statement_entry entry;
        e = statement_next(&r, &entries, &entry, &more, reterr);
        if (!failed(e) && more) {
            e = add_entry(&w, &entry);
        }
        arena_reset(&entries);
    }
    arena_done(&entries);
    TRY(e);
    TRY(close_walk(&w, &r));
    return verify_head(t, r.note, &ret->head, reterr);
}
