#include "server/lies.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/require.h"
#include "crypto/random.h"
#include "server/parts.h"

enum {
    SEARCH_STEP_SECONDS = 2,  /* no answer for so long: the position stays unknown */
    ALONE_SECONDS = 5,        /* then this node stops without knowing it */
};

/* ---- keeping and telling ---- */

static struct bytes note_of(const struct evidence *e, size_t i)
{
    return bytes_of(e->notes[i], e->sizes[i]);
}

static void raise_alarm(struct node *n, const struct evidence *e)
{
    const struct ledger_node *row = node_row(n, e->node);
    struct bytes institution = row == NULL ? bytes_text("?") : row->institution;
    struct bytes name = row == NULL ? bytes_text("?") : row->name;
    char where[80] = "; the position is not known yet";
    if (e->position != EVIDENCE_NO_POSITION) {
        snprintf(where, sizeof where, "; the first record that differs is at position %llu",
                 (unsigned long long)e->position);
    }
    if (e->two_faced) {
        alarm_raise(n, ALARM_TWO_HEADS, e->node,
                    "node %.*s of %.*s signed two different heads of one size: its key counts no "
                    "more%s",
                    (int)name.size, (const char *)name.data, (int)institution.size,
                    (const char *)institution.data,
                    e->position == EVIDENCE_NO_POSITION ? "" : where);
    } else {
        alarm_raise(n, ALARM_HEAD_DIFFERS, e->node,
                    "node %.*s of %.*s signed another root than this node%s", (int)name.size,
                    (const char *)name.data, (int)institution.size,
                    (const char *)institution.data, where);
    }
}

static void save(struct node *n)
{
    struct errtext why;
    if (failed(evidence_write(&n->heads.writing.files, n->config.data, &n->lies.kept, &why))) {
        log_error("the evidence was not kept on disk: %s", why.text);
    }
}

static void tell(struct node *n, uint64_t to, const struct evidence *e)
{
    struct buf frame;
    buf_init(&frame, 1 + 2 * (4 + HEAD_NOTE_BYTES_MAX));
    buf_put_u8(&frame, HEAD_FRAME_VERSION);
    buf_put_sized(&frame, note_of(e, 0));
    buf_put_sized(&frame, note_of(e, 1));
    require(!frame.overflow);
    struct bytes part = buf_bytes(&frame);
    if (to == 0) {
        heads_send_all(n, FRAME_EVIDENCE, &part, 1);
    } else {
        err sent = peer_send(n->links, to, FRAME_EVIDENCE, &part, 1);
        (void)sent; /* again when the link is up again */
    }
    buf_done(&frame);
}

/* Two notes against a node. */
struct accusation {
    uint64_t node;
    bool two_faced;
    struct bytes notes[2];
};

static void keep(struct node *n, const struct accusation *a)
{
    struct evidence *e = evidence_place(&n->lies.kept, a->node, a->two_faced);
    if (e == NULL || a->notes[0].size > HEAD_NOTE_BYTES_MAX ||
        a->notes[1].size > HEAD_NOTE_BYTES_MAX) {
        return;
    }
    *e = (struct evidence){.node = a->node,
                           .two_faced = a->two_faced,
                           .since_ns = clock_wall_ns(&n->clock),
                           .position = EVIDENCE_NO_POSITION};
    for (size_t i = 0; i < 2; i++) {
        e->sizes[i] = a->notes[i].size;
        memcpy(e->notes[i], a->notes[i].data, a->notes[i].size);
    }
    save(n);
    raise_alarm(n, e);
    tell(n, 0, e);
    if (a->two_faced) {
        heads_members(n); /* its key counts no more */
    }
}

static void make_note(struct node *n, const struct heads_said *said, struct buf *ret)
{
    buf_init(ret, HEAD_NOTE_BYTES_MAX);
    heads_note(ledger_origin(n->ledger), &said->head, bytes_of(said->lines, said->lines_size), ret);
}

static void accuse(struct node *n, uint64_t node, bool two_faced, const struct heads_said *first,
                   const struct heads_said *second)
{
    struct buf notes[2];
    make_note(n, first, &notes[0]);
    make_note(n, second, &notes[1]);
    const struct accusation a = {node, two_faced, {buf_bytes(&notes[0]), buf_bytes(&notes[1])}};
    keep(n, &a);
    buf_done(&notes[0]);
    buf_done(&notes[1]);
}

void lies_two_faced(struct node *n, const struct heads_saying *now,
                    const struct heads_said *before)
{
    struct heads_said said = {.head = now->head, .lines_size = now->lines.size};
    require(now->lines.size <= sizeof said.lines);
    memcpy(said.lines, now->lines.data, now->lines.size);
    accuse(n, now->node, true, &said, before);
}

bool lies_by(struct node *n, uint64_t node)
{
    const struct evidence *e = evidence_of(&n->lies.kept, node);
    return e != NULL && e->two_faced;
}

/* ---- where ---- */

static void ask_root(struct node *n)
{
    struct lies_search *s = &n->lies.search;
    struct buf frame;
    s->asked_ns = loop_now_ns(n->loop);
    buf_init(&frame, 16);
    buf_put_u64(&frame, s->token);
    buf_put_u64(&frame, s->low + (s->high - s->low) / 2);
    struct bytes part = buf_bytes(&frame);
    err e = peer_send(n->links, s->node, FRAME_ROOT_ASK, &part, 1);
    (void)e; /* the search ends when no answer comes */
    buf_done(&frame);
}

static void stop_alone(struct node *n, uint64_t position)
{
    char where[80] = "a position that was not found in time";
    if (position != EVIDENCE_NO_POSITION) {
        snprintf(where, sizeof where, "position %llu", (unsigned long long)position);
    }
    node_fail_as_leader(n,
                        "the ledger of this node differs from that of a majority of institutions "
                        "from %s on: keep its data directory as evidence and replace it "
                        "(`concordat node replace`)",
                        where);
}

/* The search is over; position may be unknown. */
static void found(struct node *n, uint64_t position)
{
    struct lies_search *s = &n->lies.search;
    struct evidence *e = evidence_of(&n->lies.kept, s->node);
    s->node = 0;
    if (e != NULL && e->position != position) {
        e->position = position;
        save(n);
        raise_alarm(n, e);
        log_error("node %llu: the first record that differs is at position %llu",
                  (unsigned long long)e->node, (unsigned long long)position);
    }
    if (n->lies.alone_ns != 0) {
        stop_alone(n, position);
    }
}

static void advance(struct node *n)
{
    struct lies_search *s = &n->lies.search;
    if (s->high - s->low <= 1) {
        found(n, s->low); /* the tree of low records is the same, the next record is not */
    } else {
        ask_root(n);
    }
}

static void search(struct node *n, uint64_t node, uint64_t size)
{
    if (n->lies.search.node == 0) {
        n->lies.search = (struct lies_search){
            .node = node, .token = random_u64(), .low = 0, .high = size};
        advance(n);
    }
}

void lies_root_asked(struct node *n, uint64_t from, struct bytes frame)
{
    struct frame_root_ask f;
    struct merkle_hash root = {{0}};
    struct buf reply;
    if (!frame_root_ask_read(frame, &f)) {
        host_frame_refused(n, from, "a malformed question for a root");
        return;
    }
    if (heads_too_many(n, from)) {
        return;
    }
    bool ok = f.size <= ledger_head(n->ledger).position && heads_own_root(n, f.size, &root);
    buf_init(&reply, 64);
    buf_put_u64(&reply, f.token);
    buf_put_u64(&reply, f.size);
    buf_put_u8(&reply, ok);
    buf_put(&reply, root.bytes, sizeof root.bytes);
    struct bytes part = buf_bytes(&reply);
    err e = peer_send(n->links, from, FRAME_ROOT_IS, &part, 1);
    (void)e; /* it asks again, or goes without */
    buf_done(&reply);
}

void lies_root_told(struct node *n, uint64_t from, struct bytes frame)
{
    struct lies_search *s = &n->lies.search;
    struct frame_root_is f;
    struct merkle_hash own;
    if (!frame_root_is_read(frame, &f)) {
        host_frame_refused(n, from, "a malformed root");
        return;
    }
    uint64_t middle = s->low + (s->high - s->low) / 2;
    if (s->node != from || f.token != s->token || f.size != middle) {
        return;
    }
    if (!f.ok || !heads_own_root(n, middle, &own)) {
        s->node = 0;
        return;
    }
    bool equal = memcmp(own.bytes, f.root, sizeof f.root) == 0;
    *(equal ? &s->low : &s->high) = middle;
    s->token = random_u64();
    advance(n);
}

/* ---- judging ---- */

/* Somebody, this node included, who says the same as this node at that size. */
static const struct heads_said *agreeing(const struct heads_plan *p, uint64_t size)
{
    for (size_t i = 0; i < p->signer_count; i++) {
        const struct heads_said *said = heads_plan_said(p, p->signers[i].id, size);
        if (said != NULL && said->judgement == HEADS_EQUAL) {
            return said;
        }
    }
    return NULL;
}

static void look_at(struct node *n, uint64_t node, const struct heads_said *said)
{
    const struct heads_said *with = agreeing(&n->heads.plan, said->head.size);
    struct evidence *e = evidence_of(&n->lies.kept, node);
    if (e == NULL && with != NULL) {
        accuse(n, node, false, said, with);
        e = evidence_of(&n->lies.kept, node);
    }
    if (e != NULL && e->position == EVIDENCE_NO_POSITION) {
        search(n, node, said->head.size);
    }
}

void lies_look(struct node *n)
{
    struct lies *l = &n->lies;
    const struct heads_plan *p = &n->heads.plan;
    for (size_t i = 0; i < p->signer_count; i++) {
        for (size_t k = 0; k < HEADS_KEPT; k++) {
            const struct heads_said *said = &p->signers[i].said[k];
            if (said->head.size != 0 && said->judgement == HEADS_OTHER) {
                look_at(n, p->signers[i].id, said);
                l->alone_size = said->head.size;
            }
        }
    }
    l->standing = heads_plan_standing(p);
    if (l->standing == HEADS_ALONE && l->alone_ns == 0) {
        l->alone_ns = loop_now_ns(n->loop);
        log_error("a majority of institutions has another root than this node");
        const struct evidence *e = l->kept.count == 0 ? NULL : &l->kept.items[0];
        if (e != NULL && e->position != EVIDENCE_NO_POSITION) {
            stop_alone(n, e->position);
        }
    }
}

bool lies_refuse(struct node *n, bool governance, struct refusal *ret)
{
    const struct lies *l = &n->lies;
    uint64_t liar = 0;
    for (size_t i = 0; i < l->kept.count; i++) {
        const struct ledger_node *row = ledger_node_find(n->ledger, l->kept.items[i].node);
        bool in_force = row != NULL && row->wish != LEDGER_WISH_REMOVED;
        liar = l->kept.items[i].two_faced && in_force ? l->kept.items[i].node : liar;
    }
    bool open = liar != 0 || l->standing == HEADS_DISPUTED || l->standing == HEADS_ALONE;
    if (governance || !open) {
        return false;
    }
    *ret = liar != 0 ? refusal_of(REASON_LEDGER_FORKED,
                                  "node %llu signed two different heads of one size; the "
                                  "institutions have to remove or replace it first",
                                  (unsigned long long)liar)
                     : refusal_of(REASON_LEDGER_FORKED,
                                  "the nodes have different roots and no majority is known yet");
    return true;
}

/* ---- frames and time ---- */

/* The node whose key has signed both notes; 0: none. */
static uint64_t signer_of_both(struct node *n, const struct note notes[2])
{
    struct heads *h = &n->heads;
    struct buf lines;
    uint64_t node = 0;
    buf_init(&lines, 2 * HEAD_LINES_BYTES_MAX);
    for (size_t i = 0; i < h->key_count && node == 0; i++) {
        bool both = heads_lines_of(&notes[0], &h->keys[i], h->verifier, &lines) == NOTE_SIGNED &&
                    heads_lines_of(&notes[1], &h->keys[i], h->verifier, &lines) == NOTE_SIGNED;
        node = both ? h->keys[i].node : 0;
        buf_clear(&lines);
    }
    buf_done(&lines);
    return node;
}

void lies_evidence(struct node *n, uint64_t from, struct bytes frame)
{
    struct frame_evidence f;
    struct note notes[2];
    struct merkle_head heads[2];
    struct bytes origin = ledger_origin(n->ledger);
    if (heads_too_many(n, from)) {
        return;
    }
    if (!frame_evidence_read(frame, &f) ||
        !heads_note_read(origin, f.notes[0], &notes[0], &heads[0]) ||
        !heads_note_read(origin, f.notes[1], &notes[1], &heads[1]) ||
        heads[0].size != heads[1].size ||
        memcmp(&heads[0].root, &heads[1].root, sizeof heads[0].root) == 0) {
        host_frame_refused(n, from, "evidence that is none");
        return;
    }
    uint64_t node = signer_of_both(n, notes);
    if (node != 0) {
        const struct accusation a = {node, true, {f.notes[0], f.notes[1]}};
        keep(n, &a);
        return;
    }
    /* Otherwise it is two sayings like any others: this node judges for itself. */
    for (size_t i = 0; i < 2; i++) {
        heads_hear(n, from, &notes[i], &heads[i]);
    }
}

static bool is_removed(const struct node *n, uint64_t id)
{
    const struct ledger_node *row = ledger_node_find(n->ledger, id);
    return row != NULL && row->wish == LEDGER_WISH_REMOVED;
}

void lies_link(struct node *n, uint64_t peer)
{
    for (size_t i = 0; i < n->lies.kept.count; i++) {
        if (!is_removed(n, n->lies.kept.items[i].node)) {
            tell(n, peer, &n->lies.kept.items[i]);
        }
    }
}

/* Evidence about nodes that the institutions have removed is history: it stays in data/evidence,
 * raises no alarm, and is not told any more. */
static void forget_removed(struct node *n)
{
    struct evidence_list *l = &n->lies.kept;
    for (size_t i = l->count; i > 0; i--) {
        if (is_removed(n, l->items[i - 1].node)) {
            alarm_clear(n, ALARM_TWO_HEADS, l->items[i - 1].node);
            alarm_clear(n, ALARM_HEAD_DIFFERS, l->items[i - 1].node);
        }
    }
}

void lies_second(struct node *n)
{
    struct lies *l = &n->lies;
    uint64_t now = loop_now_ns(n->loop);
    if (l->search.node != 0 && now - l->search.asked_ns > SEARCH_STEP_SECONDS * NS_PER_S) {
        l->search.node = 0; /* begun again while it goes on to say so */
    }
    if (l->alone_ns != 0 && now - l->alone_ns > ALONE_SECONDS * NS_PER_S) {
        stop_alone(n, EVIDENCE_NO_POSITION);
    }
    forget_removed(n);
}

err lies_open(struct node *n, struct errtext *reterr)
{
    TRY(evidence_read(&n->heads.writing.files, n->config.data, &n->lies.kept, reterr));
    for (size_t i = 0; i < n->lies.kept.count; i++) {
        raise_alarm(n, &n->lies.kept.items[i]);
    }
    return err_ok();
}
