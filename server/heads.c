#include "server/heads.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/require.h"
#include "ledger/tree.h"
#include "server/parts.h"

enum {
    FRAMES_A_SECOND_MAX = 64, /* of one node: honest ones send a few */
};

/* ---- keys ---- */

static uint32_t institution_number(const struct node *n, struct bytes name)
{
    size_t count = 0;
    const struct ledger_institution *list = ledger_institutions(n->ledger, &count);
    for (size_t i = 0; i < count; i++) {
        if (bytes_equal(list[i].name, name)) {
            return (uint32_t)i;
        }
    }
    return INSTITUTIONS_MAX; /* none */
}

static void add_keys(struct node *n, const struct ledger_node *row, struct heads_signer *signer)
{
    struct heads *h = &n->heads;
    uint8_t own[SIGN_PUBLIC_SIZE];
    struct errtext why;
    const struct bytes keys[] = {row->head_key, row->head_key_next};
    const struct heads_name name = {ledger_origin(n->ledger), row->institution, row->id};
    sign_key_public(h->key, own);
    signer->counts = false;
    for (size_t i = 0; i < 2; i++) {
        struct heads_key *k = &h->keys[h->key_count];
        if (keys[i].size != SIGN_PUBLIC_SIZE ||
            failed(heads_key_make(&name, keys[i].data, k, &why))) {
            continue;
        }
        h->key_count++;
        bool mine = row->id == n->id;
        bool fits = memcmp(own, keys[i].data, sizeof own) == 0;
        signer->counts = signer->counts || !mine || fits;
        if (mine && fits) {
            h->own = *k;
            h->able = true;
        }
    }
}

/* The node table has changed: whose lines count from now on. */
static void read_table(struct node *n)
{
    struct heads *h = &n->heads;
    struct heads_signer *rows = mem_new(NODES_MAX, sizeof *rows);
    size_t count = 0;
    size_t signers = 0;
    size_t institutions = 0;
    const struct ledger_node *table = ledger_nodes(n->ledger, &count);
    (void)ledger_institutions(n->ledger, &institutions);
    h->key_count = 0;
    h->able = false;
    h->stale = false;
    for (size_t i = 0; i < count && signers < NODES_MAX; i++) {
        uint32_t number = institution_number(n, table[i].institution);
        if (number < INSTITUTIONS_MAX) {
            struct heads_signer *s = &rows[signers++];
            *s = (struct heads_signer){.id = table[i].id, .institution = number};
            add_keys(n, &table[i], s);
            s->counts = s->counts && !lies_by(n, s->id);
        }
    }
    heads_plan_signers(&h->plan, rows, signers, (uint32_t)institutions);
    free(rows);
}

/* ---- notes ---- */

bool heads_own_root(struct node *n, uint64_t size, struct merkle_hash *ret)
{
    struct errtext why;
    err e = ledger_tree_root(n->ledger, size, ret, &why);
    if (failed(e)) {
        node_fail(n, "the tree of records cannot be read: %s", why.text);
    }
    return !failed(e);
}

void heads_send_all(struct node *n, uint8_t type, const struct bytes parts[], size_t count)
{
    uint64_t ids[NODES_MAX];
    size_t ids_count = peer_ids(n->links, ids);
    for (size_t i = 0; i < ids_count; i++) {
        err e = peer_send(n->links, ids[i], type, parts, count);
        (void)e; /* A node that is down gets what it lacks when it is back. */
    }
}

static void send_note(struct node *n, uint64_t to, struct bytes note)
{
    static const uint8_t VERSION = HEAD_FRAME_VERSION;
    const struct bytes parts[] = {bytes_of(&VERSION, 1), note};
    if (to == 0) {
        heads_send_all(n, FRAME_HEAD, parts, 2);
    } else {
        err e = peer_send(n->links, to, FRAME_HEAD, parts, 2);
        (void)e; /* said again when it tells that it still lacks it */
    }
}

/* ---- signing ---- */

static void write_mark(struct pool_job *job) /* worker */
{
    struct heads_writing *w = (struct heads_writing *)((char *)job -
                                                       offsetof(struct heads_writing, job));
    w->result = heads_mark_write(&w->files, w->data, buf_bytes(&w->note), &w->why);
}

/* The mark is durable: from now on the head may be known. */
static void mark_written(struct pool_job *job)
{
    struct heads_writing *w = (struct heads_writing *)((char *)job -
                                                       offsetof(struct heads_writing, job));
    struct node *n = (struct node *)((char *)w - offsetof(struct node, heads.writing));
    if (failed(w->result)) {
        node_fail_as_leader(n, "the mark of the heads it signs cannot be written: %s",
                            w->why.text);
        return;
    }
    heads_plan_signed(&n->heads.plan, &w->head, buf_bytes(&w->lines), loop_now_ns(n->loop));
    send_note(n, 0, buf_bytes(&w->note));
    heads_wake(n);
}

/* Signs the root this node has at that size; nothing leaves before the mark is durable. */
static void begin_signing(struct node *n, uint64_t size)
{
    struct heads *h = &n->heads;
    struct heads_writing *w = &h->writing;
    struct buf text;
    w->head.size = size;
    if (!heads_own_root(n, size, &w->head.root)) {
        return;
    }
    buf_init(&text, HEAD_NOTE_BYTES_MAX);
    heads_text(ledger_origin(n->ledger), &w->head, &text);
    buf_clear(&w->lines);
    buf_clear(&w->note);
    heads_sign(&h->own, h->key, buf_bytes(&text), clock_wall_ns(&n->clock) / NS_PER_S, &w->lines);
    heads_note(ledger_origin(n->ledger), &w->head, buf_bytes(&w->lines), &w->note);
    require(!w->note.overflow && !w->lines.overflow);
    buf_done(&text);
    heads_plan_signing(&h->plan, size, loop_now_ns(n->loop));
    err e = pool_submit(h->pool, &w->job);
    require(!failed(e)); /* one at a time */
}

/* ---- complete checkpoints ---- */

static void put_lines_of(const struct heads_plan *p, uint64_t node, uint64_t size, struct buf *ret)
{
    const struct heads_said *said = heads_plan_said(p, node, size);
    if (said != NULL && said->judgement == HEADS_EQUAL) {
        buf_put(ret, said->lines, said->lines_size);
    }
}

/* Whether the policy of that size agrees, which is what everybody else will judge by. */
static err check_policy(struct node *n, uint64_t size, struct bytes note, struct errtext *reterr)
{
    struct buf policy;
    buf_init(&policy, POLICY_BYTES_MAX);
    err e = ledger_policy(n->ledger, size, &policy, reterr);
    if (!failed(e)) {
        e = heads_accepted(buf_bytes(&policy), note, n->heads.verifier, reterr);
    }
    buf_done(&policy);
    return e;
}

static void finish_waits(struct node *n)
{
    struct heads *h = &n->heads;
    for (struct heads_wait *w = h->waits, *next; w != NULL; w = next) {
        next = w->next;
        if (w->size <= h->newest_size) {
            heads_wait_cancel(w);
            w->on_done(w, true);
        }
    }
}

static void store(struct node *n, const struct heads_stored *stored)
{
    struct heads *h = &n->heads;
    struct errtext why;
    if (failed(heads_store_put(&h->store, n->kv, stored, &why))) {
        node_fail_as_leader(n, "the state cannot be written: %s", why.text);
        return;
    }
    buf_clear(&h->newest);
    buf_put_bytes(&h->newest, buf_bytes(&stored->note));
    h->newest_size = stored->size;
    h->newest_ns = stored->time_ns;
}

/* A majority says the same as this node. */
static void complete(struct node *n, uint64_t size)
{
    struct heads *h = &n->heads;
    struct heads_stored stored = {.size = size, .time_ns = clock_wall_ns(&n->clock)};
    struct merkle_head head = {.size = size};
    struct errtext why;
    struct buf lines;
    if (size == h->refused_size || !heads_own_root(n, size, &head.root)) {
        return;
    }
    buf_init(&lines, NOTE_BYTES_MAX);
    buf_init(&stored.note, NOTE_BYTES_MAX);
    for (size_t i = 0; i < h->plan.signer_count; i++) {
        if (h->plan.signers[i].counts) {
            put_lines_of(&h->plan, h->plan.signers[i].id, size, &lines);
        }
    }
    heads_note(ledger_origin(n->ledger), &head, buf_bytes(&lines), &stored.note);
    err e = check_policy(n, size, buf_bytes(&stored.note), &why);
    if (failed(e)) {
        h->refused_size = size;
        log_warn("the checkpoint of %llu records is not complete: %s", (unsigned long long)size,
                 why.text);
    } else {
        heads_plan_completed(&h->plan, size);
        store(n, &stored);
    }
    buf_done(&stored.note);
    buf_done(&lines);
}

/* ---- the step ---- */

/* What was signed before the start must be what the ledger says now. */
static err check_mark(struct node *n, struct errtext *reterr)
{
    struct heads *h = &n->heads;
    struct merkle_hash root;
    if (h->mark.size == 0 || ledger_head(n->ledger).position < h->mark.size) {
        return err_ok(); /* later */
    }
    TRY(ledger_tree_root(n->ledger, h->mark.size, &root, reterr));
    if (memcmp(&root, &h->mark.root, sizeof root) != 0) {
        return err_fail(reterr, ERR_CORRUPT,
                        "the ledger of this node has another root at %llu records than the one it "
                        "signed: its state was changed; replace this node "
                        "(`concordat node replace`), and keep its data directory as evidence",
                        (unsigned long long)h->mark.size);
    }
    h->mark.size = 0;
    return err_ok();
}

static void judge(struct node *n)
{
    struct heads *h = &n->heads;
    struct merkle_head head;
    struct merkle_hash root;
    uint64_t node = 0;
    while (heads_plan_judge(&h->plan, &node, &head) && heads_own_root(n, head.size, &root)) {
        bool equal = memcmp(&root, &head.root, sizeof root) == 0;
        heads_plan_judged(&h->plan, node, head.size, equal);
    }
}

static void track_cover(struct node *n)
{
    struct heads *h = &n->heads;
    if (h->plan.reached <= h->newest_size) {
        h->uncovered_ns = 0;
    } else if (h->uncovered_ns == 0) {
        h->uncovered_ns = loop_now_ns(n->loop);
    }
}

static void step(struct loop_task *task)
{
    struct node *n = task->ctx;
    struct heads *h = &n->heads;
    struct errtext why;
    uint64_t now = loop_now_ns(n->loop);
    uint64_t again = UINT64_MAX;
    if (n->failure[0] != '\0' || n->failing[0] != '\0') {
        return;
    }
    if (failed(check_mark(n, &why))) {
        node_fail(n, "%s", why.text);
        return;
    }
    if (h->stale) {
        read_table(n);
    }
    heads_plan_leader(&h->plan, n->role == CONSENSUS_LEADER ? n->id : host_leader(n), now);
    heads_plan_reached(&h->plan, ledger_head(n->ledger).position, now);
    judge(n);
    lies_look(n);
    uint64_t ripe = heads_plan_ripe(&h->plan);
    if (ripe > 0) {
        complete(n, ripe);
        finish_waits(n);
    }
    track_cover(n);
    uint64_t size = h->mark.size != 0 ? 0 : heads_plan_sign(&h->plan, now, &again);
    if (size > 0) {
        begin_signing(n, size);
    } else if (again != UINT64_MAX) {
        loop_timer_start(n->loop, &h->timer, again > now ? again - now : 0, 0);
    }
}

static void timer_due(struct loop_timer *timer)
{
    heads_wake(timer->ctx);
}

void heads_wake(struct node *n)
{
    loop_post(n->loop, &n->heads.task);
}

void heads_members(struct node *n)
{
    n->heads.stale = true;
    heads_wake(n);
}

/* ---- hearing ---- */

/* At most so many frames a second are looked into. */
bool heads_too_many(struct node *n, uint64_t from)
{
    struct heads *h = &n->heads;
    for (size_t i = 0; i < NODES_MAX; i++) {
        if (h->heard[i].id == from || h->heard[i].id == 0) {
            h->heard[i].id = from;
            return ++h->heard[i].frames > FRAMES_A_SECOND_MAX;
        }
    }
    return true;
}

/* What one node says in this note, unless it is known. False: a forged line. */
static bool hear_one(struct node *n, const struct note *note, const struct merkle_head *head,
                     const struct heads_key *key)
{
    struct heads *h = &n->heads;
    const struct heads_said *said = heads_plan_said(&h->plan, key->node, head->size);
    struct buf lines;
    if (said != NULL && memcmp(&said->head.root, &head->root, sizeof head->root) == 0) {
        return true;
    }
    buf_init(&lines, HEAD_LINES_BYTES_MAX);
    enum note_verdict verdict = heads_lines_of(note, key, h->verifier, &lines);
    if (verdict == NOTE_SIGNED && !lines.overflow) {
        const struct heads_saying saying = {key->node, *head, buf_bytes(&lines)};
        switch (heads_plan_hear(&h->plan, &saying, loop_now_ns(n->loop), &said)) {
        case HEADS_NEW:
            h->refused_size = 0;
            break;
        case HEADS_TWO_FACED:
            lies_two_faced(n, &saying, said);
            break;
        case HEADS_KNOWN:
        case HEADS_STRANGER:
            break;
        }
    }
    buf_done(&lines);
    return verdict != NOTE_FORGED;
}

void heads_hear(struct node *n, uint64_t from, const struct note *note,
                const struct merkle_head *head)
{
    struct heads *h = &n->heads;
    if (h->stale) {
        read_table(n);
    }
    for (size_t i = 0; i < h->key_count; i++) {
        if (!hear_one(n, note, head, &h->keys[i])) {
            host_frame_refused(n, from, "a head with a forged signature");
            return;
        }
    }
    heads_wake(n);
}

void heads_heard(struct node *n, uint64_t from, struct bytes frame)
{
    struct bytes origin = ledger_origin(n->ledger);
    struct merkle_head head;
    struct bytes wire;
    struct note note;
    if (heads_too_many(n, from)) {
        return;
    }
    if (!frame_head_read(frame, &wire) || !heads_note_read(origin, wire, &note, &head)) {
        host_frame_refused(n, from, "a head that is no checkpoint of this ledger");
        return;
    }
    heads_hear(n, from, &note, &head);
}

void heads_told(struct node *n, const struct told *t)
{
    struct heads *h = &n->heads;
    if (t->cosigned_size < h->newest_size && t->position >= h->newest_size) {
        send_note(n, t->id, buf_bytes(&h->newest));
    }
}

/* ---- each second ---- */

/* Said again until it is complete: the others may not have heard it. */
static void say_again(struct node *n)
{
    struct heads *h = &n->heads;
    const struct heads_said *own = heads_plan_said(&h->plan, n->id, h->plan.signed_size);
    struct buf note;
    if (own == NULL || h->plan.complete >= h->plan.signed_size || h->plan.signing) {
        return;
    }
    buf_init(&note, HEAD_NOTE_BYTES_MAX);
    heads_note(ledger_origin(n->ledger), &own->head, bytes_of(own->lines, own->lines_size), &note);
    send_note(n, 0, buf_bytes(&note));
    buf_done(&note);
}

static void give_up_waits(struct node *n)
{
    uint64_t now = loop_now_ns(n->loop);
    for (struct heads_wait *w = n->heads.waits, *next; w != NULL; w = next) {
        next = w->next;
        if (now - w->since_ns > SUBMIT_TIMEOUT_NS) {
            heads_wait_cancel(w);
            w->on_done(w, false);
        }
    }
}

void heads_second(struct node *n)
{
    memset(n->heads.heard, 0, sizeof n->heads.heard);
    say_again(n);
    give_up_waits(n);
    lies_second(n);
    if (n->heads.plan.reached > n->heads.newest_size) {
        heads_wake(n);
    }
}

void heads_wait(struct node *n, struct heads_wait *w)
{
    struct heads *h = &n->heads;
    w->since_ns = loop_now_ns(n->loop);
    w->next = h->waits;
    w->prev = &h->waits;
    if (w->next != NULL) {
        w->next->prev = &w->next;
    }
    h->waits = w;
}

void heads_wait_cancel(struct heads_wait *w)
{
    require(w->prev != NULL);
    *w->prev = w->next;
    if (w->next != NULL) {
        w->next->prev = w->prev;
    }
    w->prev = NULL;
}

/* ---- opening ---- */

static err resume(struct node *n, struct errtext *reterr)
{
    struct heads *h = &n->heads;
    struct buf wire;
    struct note note;
    buf_init(&wire, HEAD_NOTE_BYTES_MAX);
    err e = heads_mark_read(&h->writing.files, n->config.data, &wire, reterr);
    if (!failed(e) && wire.size > 0) {
        if (!heads_note_read(ledger_origin(n->ledger), buf_bytes(&wire), &note, &h->mark)) {
            e = err_fail(reterr, ERR_CORRUPT, "%s/signed is of another ledger", n->config.data);
        } else {
            size_t start = note.text.size + 1;
            heads_plan_resume(&h->plan, &h->mark, bytes_of(wire.data + start, wire.size - start));
        }
    }
    buf_done(&wire);
    return e;
}

/* The newest complete checkpoint of the state. */
static err load(struct node *n, struct errtext *reterr)
{
    struct heads *h = &n->heads;
    struct heads_stored newest;
    buf_init(&newest.note, NOTE_BYTES_MAX);
    err e = heads_store_load(&h->store, n->kv, &newest, reterr);
    if (!failed(e) && newest.size > h->newest_size) {
        buf_clear(&h->newest);
        buf_put_bytes(&h->newest, buf_bytes(&newest.note));
        h->newest_size = newest.size;
        h->newest_ns = newest.time_ns;
        heads_plan_completed(&h->plan, newest.size);
    }
    buf_done(&newest.note);
    return e;
}

void heads_init(struct node *n)
{
    struct heads *h = &n->heads;
    loop_task_init(&h->task, step, n);
    loop_timer_init(&h->timer, timer_due, n);
    buf_init(&h->newest, NOTE_BYTES_MAX);
    buf_init(&h->writing.note, HEAD_NOTE_BYTES_MAX);
    buf_init(&h->writing.lines, HEAD_LINES_BYTES_MAX);
    h->writing.job = (struct pool_job){.run = write_mark, .done = mark_written};
}

err heads_open(struct node *n, struct errtext *reterr)
{
    struct heads *h = &n->heads;
    err e = sign_key_read(n->config.head_key, &h->key, reterr);
    if (failed(e)) {
        return err_wrapf(reterr, e, "the key for heads of the tree ('head_key:')");
    }
    h->verifier = verifier_new();
    h->writing.data = n->config.data;
    h->writing.files = fileops_system();
    TRY(lies_open(n, reterr));
    heads_plan_init(&h->plan, n->id, ledger_head_interval_ns(n->ledger));
    read_table(n);
    if (!h->able && ledger_node_find(n->ledger, n->id) != NULL) { /* else it is still joining */
        log_warn("%s is not this node's key for heads in the ledger: it signs none",
                 n->config.head_key);
    }
    TRY(resume(n, reterr));
    TRY(load(n, reterr));
    TRY(check_mark(n, reterr));
    TRY(pool_new(n->loop, 1, 1, &h->pool, reterr));
    heads_wake(n);
    return err_ok();
}

void heads_state_replaced(struct node *n)
{
    struct heads *h = &n->heads;
    struct errtext why;
    struct heads_stored newest = {.size = h->newest_size, .time_ns = h->newest_ns};
    h->stale = true;
    if (failed(load(n, &why))) {
        node_fail(n, "the stored checkpoints cannot be read: %s", why.text);
        return;
    }
    /* The new state has none yet, and this node need not wait for the next one. */
    if (h->store.count == 0 && newest.size > 0) {
        buf_init(&newest.note, NOTE_BYTES_MAX);
        buf_put_bytes(&newest.note, buf_bytes(&h->newest));
        store(n, &newest);
        buf_done(&newest.note);
    }
    heads_wake(n);
}

void heads_close(struct node *n)
{
    struct heads *h = &n->heads;
    if (n->loop != NULL) {
        loop_timer_stop(n->loop, &h->timer);
    }
    pool_free(h->pool);
    verifier_free(h->verifier);
    sign_key_free(h->key);
    buf_done(&h->newest);
    buf_done(&h->writing.note);
    buf_done(&h->writing.lines);
}
