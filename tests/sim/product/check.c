#include "tests/sim/product/check.h"

#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "base/mem.h"
#include "base/require.h"
#include "consensus/consensus.h"
#include "consensus/objects.h"
#include "consensus/packet.h"
#include "tests/sim/product/check_heads.h"
#include "tests/sim/product/model.h"
#include "tests/sim/product/officer.h"
#include "tests/sim/product/view.h"

enum { TRIAL_EVERY = 16, RAFT_FRAME = 1, NEAR = 8 };
#define BEHIND_NS (6 * NS_PER_S) /* a round of catching up takes less */

struct watched { /* a machine */
    struct view submitted, durable;
    struct view lost;     /* what was durable on the disk that was wiped */
    uint64_t term, vote;  /* durable */
    uint64_t led_term;    /* the last one in which it was seen leading */
    uint64_t commit;      /* as it said last, in this life */
    uint64_t height;      /* applied last, in this life; 0: not yet */
    uint64_t must_commit; /* it proposed a change while the one here was not committed */
    struct signed_heads heads; /* of all lives */
};

struct checker {
    struct world *world;
    struct watched machines[SIM_NODES_MAX];
    struct view committed;
    uint64_t *committed_by; /* term of the leader in whose time an index was known as committed */
    uint64_t *committed_ns; /* when */
    size_t by_capacity;
    uint64_t *leaders; /* by term: id */
    size_t leaders_capacity;
};

struct checker *checker_new(struct world *w)
{
    struct checker *c = mem_new(1, sizeof *c);
    c->world = w;
    view_init(&c->committed);
    for (size_t i = 0; i < SIM_NODES_MAX; i++) {
        view_init(&c->machines[i].submitted);
        view_init(&c->machines[i].durable);
    }
    return c;
}

void checker_free(struct checker *c)
{
    for (size_t i = 0; i < SIM_NODES_MAX; i++) {
        free(c->machines[i].submitted.links);
        free(c->machines[i].durable.links);
        free(c->machines[i].lost.links);
        heads_check_clear(&c->machines[i].heads);
    }
    free(c->committed.links);
    free(c->committed_by);
    free(c->committed_ns);
    free(c->leaders);
    free(c);
}

/* What a snapshot covers is committed, so the log before it is the committed one. */
static void view_cover(const struct machine *m, struct view *v, uint64_t index)
{
    const struct view *committed = &m->world->checker->committed;
    if (index >= committed->count) {
        violation(m->world, "node %llu has a snapshot at %llu, committed is %llu",
                  (unsigned long long)m->id, (unsigned long long)index,
                  (unsigned long long)view_last(committed));
    }
    view_reserve(v, (size_t)index + 1);
    memcpy(v->links, committed->links, ((size_t)index + 1) * sizeof *v->links);
    v->count = (size_t)index + 1;
}

static struct watched *watched_of(const struct machine *m)
{
    return &m->world->checker->machines[m->number];
}

uint32_t check_voters(const struct world *w)
{
    return view_end(&w->checker->committed)->voters;
}

uint32_t check_members(const struct world *w)
{
    return view_end(&w->checker->committed)->members;
}

bool check_is_near(const struct machine *m)
{
    uint64_t committed = view_last(&m->world->checker->committed);
    return view_last(&watched_of(m)->durable) + NEAR >= committed;
}

void check_wiped(struct machine *m)
{
    struct watched *t = watched_of(m);
    free(t->lost.links);
    t->lost = t->durable;
    heads_check_clear(&t->heads); /* its mark is gone, and nobody listens to it */
    t->durable = (struct view){0};
    view_init(&t->submitted);
    view_init(&t->durable);
    t->term = t->vote = 0;
}

/* ---- the log ---- */

/* The log is one that a write left which failed and is on the disk all the same: it had replaced
 * entries that were never committed, and nobody was told that it is there. */
static bool replaced_unheard(const struct watched *t, const struct view *before, uint64_t first)
{
    const struct view *now = &t->durable;
    uint64_t last = view_last(now);
    uint64_t both = last < view_last(before) ? last : view_last(before);
    return both >= first && last <= view_last(&t->submitted) &&
           t->submitted.links[last].chain == now->links[last].chain &&
           t->submitted.links[both].chain != before->links[both].chain;
}

/* What was durable must be there again, and what is committed must not be contradicted. */
static void check_kept(struct machine *m, const struct view *before, uint64_t first)
{
    const struct view *now = &watched_of(m)->durable;
    uint64_t last = view_last(before);
    if (replaced_unheard(watched_of(m), before, first)) {
        return;
    }
    if (view_last(now) < last || now->links[last].chain != before->links[last].chain) {
        violation(m->world,
                  "node %llu lost durable entries: %llu of them were known, %llu are left",
                  (unsigned long long)m->id, (unsigned long long)last,
                  (unsigned long long)view_last(now));
    }
}

void check_recovered(struct machine *m, struct logstore *log, const struct logstore_recovered *r)
{
    struct watched *t = watched_of(m);
    struct buf data;
    struct errtext why = {""};
    if (r->term < t->term || (r->term == t->term && t->vote != 0 && r->vote != t->vote)) {
        violation(m->world, "node %llu forgot term %llu, vote %llu: it has %llu, %llu",
                  (unsigned long long)m->id, (unsigned long long)t->term,
                  (unsigned long long)t->vote, (unsigned long long)r->term,
                  (unsigned long long)r->vote);
    }
    t->term = r->term;
    t->vote = r->vote;
    struct view before = t->durable;
    t->durable = (struct view){0};
    view_init(&t->durable);
    view_cover(m, &t->durable, r->first - 1);
    buf_init(&data, LOG_ENTRY_BYTES_MAX);
    for (uint64_t i = r->first; i <= r->last; i++) {
        struct logstore_info info;
        err e = logstore_peek(log, i, &info);
        require(!failed(e));
        e = logstore_read(log, i, &data, &why);
        if (failed(e) && !m->rotten) {
            violation(m->world, "node %llu cannot read entry %llu: %s", (unsigned long long)m->id,
                      (unsigned long long)i, why.text);
        }
        view_put(&t->durable, i, info.term, info.type, buf_bytes(&data));
    }
    buf_done(&data);
    if (!m->rotten) {
        check_kept(m, &before, r->first);
    }
    free(before.links);
    t->submitted.count = 1;
    view_reserve(&t->submitted, t->durable.count);
    memcpy(t->submitted.links, t->durable.links, t->durable.count * sizeof(struct link));
    t->submitted.count = t->durable.count;
}

static void put_job(struct view *v, const struct logstore_job *job)
{
    for (size_t i = 0; i < job->entries_count; i++) {
        const struct logstore_entry *e = &job->entries[i];
        view_put(v, job->first + i, e->term, e->type, e->data);
    }
}

/* Whoever gets a vote must have what was committed a while ago. */
static void check_caught_up(struct machine *m, uint32_t gained)
{
    struct world *w = m->world;
    const struct checker *c = w->checker;
    for (uint32_t i = 0; i < w->nodes; i++) {
        uint64_t lacks = view_last(&c->machines[i].durable) + 1;
        bool late =
            lacks <= view_last(&c->committed) && c->committed_ns[lacks] + BEHIND_NS < w->now_ns;
        if ((gained >> i & 1) != 0 && late) {
            violation(w, "node %u gets a vote and lacks entry %llu, committed %llu ms ago", i + 1,
                      (unsigned long long)lacks,
                      (unsigned long long)((w->now_ns - c->committed_ns[lacks]) / NS_PER_MS));
        }
    }
}

/* A configuration in the log: one server differs from the one before; a leader appends it only
 * when that one is committed. */
static void check_change(struct machine *m, uint64_t index)
{
    struct watched *t = watched_of(m);
    const struct link *now = &t->submitted.links[index];
    const struct link *before = now - 1;
    uint32_t differ = (now->voters ^ before->voters) | (now->members ^ before->members);
    if (__builtin_popcount(differ) > 1) {
        violation(m->world, "entry %llu of node %llu changes more than one node",
                  (unsigned long long)index, (unsigned long long)m->id);
    }
    if (t->led_term == now->term) {
        t->must_commit = before->changed;
        check_caught_up(m, now->voters & ~before->voters);
    }
}

void check_submitted(struct machine *m, const struct logstore_job *job)
{
    struct watched *t = watched_of(m);
    if (!m->dead && job->kind == LOGSTORE_INSTALL) {
        view_cover(m, &t->submitted, job->snapshot.index);
    }
    if (m->dead || job->kind != LOGSTORE_ENTRIES) {
        return;
    }
    uint64_t committed = view_last(&m->world->checker->committed);
    if (job->first <= committed && job->first <= t->commit) {
        violation(m->world, "node %llu overwrites entry %llu, committed there",
                  (unsigned long long)m->id, (unsigned long long)job->first);
    }
    put_job(&t->submitted, job);
    for (size_t i = 0; i < job->entries_count; i++) {
        if (job->entries[i].type == ENTRY_CHANGE && job->first + i > 1) {
            check_change(m, job->first + i);
        }
    }
}

void check_durable(struct machine *m, const struct logstore_job *job)
{
    struct watched *t = watched_of(m);
    switch (job->kind) {
    case LOGSTORE_HARD:
        if (job->term < t->term || (job->term == t->term && t->vote != 0 && job->vote != t->vote)) {
            violation(m->world, "node %llu votes twice in term %llu: %llu, then %llu",
                      (unsigned long long)m->id, (unsigned long long)job->term,
                      (unsigned long long)t->vote, (unsigned long long)job->vote);
        }
        t->term = job->term;
        t->vote = job->vote;
        break;
    case LOGSTORE_ENTRIES:
        put_job(&t->durable, job);
        break;
    case LOGSTORE_SNAPSHOT:
        m->world->counts.cuts++;
        break;
    case LOGSTORE_INSTALL:
        m->world->counts.installs++;
        if (m->joins && view_last(&t->durable) == 0) {
            m->world->counts.join_installs++;
        } else {
            m->world->counts.far_installs++;
        }
        trace(m->world, "%llu installs a snapshot at %llu", (unsigned long long)m->id,
              (unsigned long long)job->snapshot.index);
        view_cover(m, &t->durable, job->snapshot.index);
        break;
    }
}

/* ---- what leaves the node (Raft's promises at the door) ---- */

static void check_raft_frame(struct machine *m, uint64_t to, struct bytes frame)
{
    const struct watched *t = watched_of(m);
    struct cursor c = cursor_of(frame);
    (void)cursor_u8(&c); /* version of the frame */
    uint8_t kind = cursor_u8(&c);
    if (kind == PACKET_READ || kind == PACKET_READ_ACK) {
        return;
    }
    (void)cursor_u8(&c);
    uint64_t term = cursor_u64(&c);
    uint64_t a = cursor_u64(&c); /* of a result: what was rejected */
    uint64_t b = cursor_u64(&c); /* of a result: what it has */
    bool pre_vote = kind == PACKET_VOTE || kind == PACKET_VOTE_RESULT;
    if (term > t->term && !pre_vote) {
        violation(m->world, "node %llu speaks of term %llu, its disk of %llu",
                  (unsigned long long)m->id, (unsigned long long)term, (unsigned long long)t->term);
    }
    if (kind == PACKET_APPEND_RESULT && a == 0 && b > view_last(&t->durable)) {
        violation(m->world, "node %llu acknowledges entry %llu, its disk ends at %llu",
                  (unsigned long long)m->id, (unsigned long long)b,
                  (unsigned long long)view_last(&t->durable));
    }
    if (kind == PACKET_VOTE_RESULT) {
        struct cursor v = cursor_of(frame);
        (void)cursor_bytes(&v, 11);
        uint8_t flags = cursor_u8(&v);
        bool granted = (flags & 1) != 0 && (flags & 2) == 0;
        if (granted && (t->term != term || t->vote != to)) {
            violation(m->world, "node %llu votes for %llu in term %llu, its disk for %llu in %llu",
                      (unsigned long long)m->id, (unsigned long long)to, (unsigned long long)term,
                      (unsigned long long)t->vote, (unsigned long long)t->term);
        }
    }
}

void check_sent(struct machine *m, uint64_t to, uint8_t type, struct bytes frame)
{
    if (type == RAFT_FRAME) {
        check_raft_frame(m, to, frame);
    } else {
        heads_check_sent(m, &watched_of(m)->heads, type, frame);
    }
}

/* ---- roles and commits ---- */

static void check_leader(struct machine *m, uint64_t term)
{
    struct checker *c = m->world->checker;
    struct watched *t = watched_of(m);
    if (term >= c->leaders_capacity) {
        size_t capacity = (size_t)term + 256;
        c->leaders = mem_resize(c->leaders, capacity, sizeof *c->leaders);
        memset(c->leaders + c->leaders_capacity, 0,
               (capacity - c->leaders_capacity) * sizeof *c->leaders);
        c->leaders_capacity = capacity;
    }
    if (c->leaders[term] != 0 && c->leaders[term] != m->id) {
        violation(m->world, "nodes %llu and %llu both lead term %llu",
                  (unsigned long long)c->leaders[term], (unsigned long long)m->id,
                  (unsigned long long)term);
    }
    if (t->led_term == term) {
        return;
    }
    m->world->counts.elections++;
    trace(m->world, "%llu leads term %llu", (unsigned long long)m->id, (unsigned long long)term);
    c->leaders[term] = m->id;
    t->led_term = term;
    uint64_t index = view_last(&c->committed);
    while (index > 0 && c->committed_by[index] >= term) {
        index--;
    }
    if (view_last(&t->submitted) < index ||
        t->submitted.links[index].chain != c->committed.links[index].chain) {
        violation(m->world, "node %llu leads term %llu without entry %llu, committed before",
                  (unsigned long long)m->id, (unsigned long long)term, (unsigned long long)index);
    }
}

static bool has(const struct view *v, uint64_t index, uint64_t chain)
{
    return v->count > index && v->links[index].chain == chain;
}

/* What a disk had acknowledged before it was wiped may have been counted. */
static bool majority_has(const struct world *w, uint32_t voters, uint64_t index, uint64_t chain)
{
    uint32_t have = 0;
    for (uint32_t i = 0; i < w->nodes; i++) {
        const struct watched *t = &w->checker->machines[i];
        bool holds = has(&t->durable, index, chain) || has(&t->lost, index, chain);
        have += (voters >> i & 1) != 0 && holds;
    }
    return 2 * have > (uint32_t)__builtin_popcount(voters);
}

/* A leader counts by the last configuration of its log. Several of them may have been the last one
 * since it has the entry; who hears of the commit has one of them as well. */
static bool committed_in(const struct world *w, const struct view *v, uint64_t index)
{
    uint64_t chain = v->links[index].chain;
    for (uint64_t at = view_last(v); at >= index; at = v->links[at].changed - 1) {
        if (majority_has(w, v->links[at].voters, index, chain)) {
            return true;
        }
        if (v->links[at].changed <= index) {
            return false;
        }
    }
    return false;
}

static void check_majority(struct machine *m, uint64_t index, uint64_t term)
{
    struct world *w = m->world;
    const struct checker *c = w->checker;
    const struct view *own = &watched_of(m)->submitted;
    uint64_t leader = term < c->leaders_capacity ? c->leaders[term] : 0;
    const struct view *led = leader == 0 ? own : &c->machines[leader - 1].submitted;
    if (view_last(led) < index || led->links[index].chain != own->links[index].chain) {
        led = own; /* that leader is gone and has come back without */
    }
    /* Entry 1 is the same for all founders. */
    if (index > 1 && !committed_in(w, led, index)) {
        violation(w, "node %llu calls entry %llu committed, which no majority of %x holds",
                  (unsigned long long)m->id, (unsigned long long)index, view_end(led)->voters);
    }
}

static void count_change(struct world *w, const struct link *now)
{
    const struct link *before = now - 1;
    w->counts.votes_given += (now->voters & ~before->voters) != 0;
    w->counts.votes_taken += (before->voters & ~now->voters) != 0;
    w->counts.parted += (before->members & ~now->members) != 0;
    if (now->voters != before->voters || now->members != before->members) {
        trace(w, "the voters are %x, the nodes %x", now->voters, now->members);
    }
}

static void check_commit(struct machine *m, uint64_t commit, uint64_t term, bool leads)
{
    struct checker *c = m->world->checker;
    struct watched *t = watched_of(m);
    uint64_t known = view_last(&c->committed);
    t->commit = commit;
    if (commit > view_last(&t->submitted)) {
        violation(m->world, "node %llu calls entry %llu committed, which it does not have",
                  (unsigned long long)m->id, (unsigned long long)commit);
    }
    if (leads && commit > known && commit > 1 && t->submitted.links[commit].term != term) {
        violation(m->world, "node %llu commits entry %llu of term %llu by counting, in term %llu",
                  (unsigned long long)m->id, (unsigned long long)commit,
                  (unsigned long long)t->submitted.links[commit].term, (unsigned long long)term);
    }
    if (commit > known) {
        check_majority(m, commit, term);
        view_reserve(&c->committed, (size_t)commit + 1);
        c->by_capacity = c->committed.capacity;
        c->committed_by = mem_resize(c->committed_by, c->by_capacity, sizeof *c->committed_by);
        c->committed_ns = mem_resize(c->committed_ns, c->by_capacity, sizeof *c->committed_ns);
        for (uint64_t i = known + 1; i <= commit; i++) {
            c->committed.links[i] = t->submitted.links[i];
            c->committed_by[i] = term;
            c->committed_ns[i] = m->world->now_ns;
            if (i > 1) {
                count_change(m->world, &c->committed.links[i]);
            }
        }
        if (c->committed.links[known].chain != t->submitted.links[known].chain) {
            violation(m->world, "node %llu has another committed log at entry %llu",
                      (unsigned long long)m->id, (unsigned long long)known);
        }
        c->committed.count = (size_t)commit + 1;
    } else if (c->committed.links[commit].chain != t->submitted.links[commit].chain) {
        violation(m->world, "node %llu has another committed log at entry %llu",
                  (unsigned long long)m->id, (unsigned long long)commit);
    }
}

static void check_may_lead(struct machine *m, uint64_t term)
{
    uint32_t voters = view_end(&watched_of(m)->submitted)->voters;
    if ((voters >> m->number & 1) == 0) {
        violation(m->world, "node %llu leads term %llu and has no vote: the voters are %x",
                  (unsigned long long)m->id, (unsigned long long)term, voters);
    }
}

void check_turn(struct machine *m)
{
    struct watched *t = watched_of(m);
    struct consensus_status s;
    if (m->consensus == NULL) {
        return;
    }
    consensus_status(m->consensus, &s);
    if (s.role == CONSENSUS_LEADER) {
        check_leader(m, s.term);
        check_may_lead(m, s.term);
    }
    if (t->must_commit > s.commit) {
        violation(m->world, "node %llu proposes a change while that of entry %llu is not committed",
                  (unsigned long long)m->id, (unsigned long long)t->must_commit);
    }
    t->must_commit = 0;
    /* The core calls the end of a snapshot committed before it is there. */
    if (s.commit != t->commit && s.commit > 0 && !s.installing) {
        check_commit(m, s.commit, s.term, s.role == CONSENSUS_LEADER);
    }
}

void check_gone(struct machine *m)
{
    struct watched *t = watched_of(m);
    t->commit = 0;
    t->height = 0;
    t->led_term = 0;
    t->must_commit = 0;
}

/* ---- the ledger ---- */

void check_state_opened(struct machine *m)
{
    watched_of(m)->height = 0; /* it may be that of a checkpoint */
}

static void check_sums(struct machine *m)
{
    struct errtext why = {""};
    struct arena a;
    struct ledger_trial trial;
    arena_init(&a, LEDGER_QUERY_ARENA_MAX);
    uint64_t fault = m->kv_fault; /* it is for the node, not for this */
    m->kv_fault = 0;
    err e = ledger_query_trial(m->ledger, &a, &trial, &why);
    m->kv_fault = fault;
    if (failed(e)) {
        violation(m->world, "node %llu cannot sum up: %s", (unsigned long long)m->id, why.text);
    }
    for (size_t i = 0; i < trial.count; i++) {
        int64_t sum = 0;
        for (size_t k = 0; k < trial.count; k++) {
            bool same = bytes_equal(trial.lines[i].contract, trial.lines[k].contract);
            sum += same ? trial.lines[k].debits + trial.lines[k].credits : 0;
        }
        if (sum != 0) {
            violation(m->world, "the accounts of %.*s sum to %lld on node %llu",
                      (int)trial.lines[i].contract.size, (const char *)trial.lines[i].contract.data,
                      (long long)sum, (unsigned long long)m->id);
        }
    }
    arena_done(&a);
}

void check_applied(struct machine *m, const struct ledger_result *result)
{
    struct watched *t = watched_of(m);
    uint64_t index = ledger_applied_index(m->ledger);
    uint64_t height = result->head.height;
    if (index > view_last(&t->durable)) {
        violation(m->world, "node %llu applies entry %llu, its disk ends at %llu",
                  (unsigned long long)m->id, (unsigned long long)index,
                  (unsigned long long)view_last(&t->durable));
    }
    if (t->height != 0 && height != t->height + 1) {
        violation(m->world, "node %llu applies height %llu after %llu", (unsigned long long)m->id,
                  (unsigned long long)height, (unsigned long long)t->height);
    }
    t->height = height;
    trace(m->world, "%llu applied height %llu (entry %llu): %zu requests",
          (unsigned long long)m->id, (unsigned long long)height, (unsigned long long)index,
          result->applied_count);
    model_applied(m, result, index);
    if (m->joins && !m->joined && height == model_height(m->world->model)) {
        m->joined = true;
        m->world->counts.joins++;
    }
    if (height % TRIAL_EVERY == 0) {
        check_sums(m);
    }
}

struct final {
    struct ledger_head head;
    uint8_t digest[32];
};

static void read_final(struct machine *m, void *arg)
{
    struct final *f = arg;
    struct errtext why = {""};
    f->head = ledger_head(m->ledger);
    err e = ledger_state_digest(m->ledger, f->digest, &why);
    require(!failed(e));
    check_sums(m);
}

/* The machine takes part at the end. */
static bool takes_part(const struct machine *m)
{
    return !m->ruined && !m->wiped && officer_wish(m->world, m->id) != LEDGER_WISH_REMOVED;
}

/* A node that was removed, or whose disk was wiped, learns it from most of those whom it knows, if
 * they are still there; then it stops, at least once: somebody may start it again. */
static bool must_stop(const struct machine *m)
{
    const struct world *w = m->world;
    size_t count = 0;
    size_t there = 0;
    if (m->gone || !m->up || m->ledger == NULL) {
        return !m->gone;
    }
    const struct ledger_node *rows = ledger_nodes(m->ledger, &count);
    for (size_t i = 0; i < count; i++) {
        const struct machine *other = w->machines[rows[i].id - 1];
        there += other != m && other->up && takes_part(other);
    }
    return 2 * there > count;
}

/* Why this machine is not well, or NULL. */
static const char *unwell(const struct machine *m)
{
    if (m->ruined) {
        return NULL;
    }
    if (!takes_part(m)) {
        return must_stop(m) ? "has no part in it and does not stop" : NULL;
    }
    if (!m->up || m->node == NULL || m->ledger == NULL) {
        return "is down";
    }
    return ledger_head(m->ledger).height != model_height(m->world->model) ? "is behind" : NULL;
}

bool check_is_well(const struct world *w, struct errtext *ret)
{
    for (uint32_t i = 0; i < w->nodes; i++) {
        const char *why = unwell(w->machines[i]);
        if (why != NULL) {
            snprintf(ret->text, sizeof ret->text, "node %u %s", i + 1, why);
            return false;
        }
    }
    bool as_wished = check_voters(w) == officer_voters(w) && check_members(w) == officer_members(w);
    bool all_well = (officer_hurt(w) & (officer_members(w) | check_members(w))) == 0;
    snprintf(ret->text, sizeof ret->text, "%s",
             !officer_is_idle(w) ? "the officer waits"
                                 : "the configuration is not as the table wishes");
    return officer_is_idle(w) && (as_wished || !all_well);
}

void check_end(struct world *w)
{
    struct final first;
    const struct machine *of = NULL;
    for (uint32_t i = 0; i < w->nodes; i++) {
        struct machine *m = w->machines[i];
        struct final f;
        if (!takes_part(m)) {
            continue;
        }
        machine_call(m, read_final, &f);
        if (of == NULL) {
            of = m;
            first = f;
        }
        if (f.head.height != first.head.height || f.head.height != model_height(w->model) ||
            memcmp(f.head.digest, first.head.digest, 32) != 0 ||
            memcmp(f.digest, first.digest, 32) != 0) {
            violation(w, "at the end nodes %llu and %llu differ (heights %llu, %llu, of %llu)",
                      (unsigned long long)of->id, (unsigned long long)m->id,
                      (unsigned long long)first.head.height, (unsigned long long)f.head.height,
                      (unsigned long long)model_height(w->model));
        }
    }
}
