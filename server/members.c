#include "server/members.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/require.h"
#include "crypto/keyfile.h"
#include "crypto/random.h"
#include "proto/envelope.h"
#include "server/credentials.h"
#include "server/parts.h"

enum {
    ROWS_ARENA = NODES_MAX * 2048,
    DEAD_ELECTIONS = 5,    /* silent for so many election timeouts: nobody waits for it */
    ANSWERS_ELECTIONS = 2, /* silent for less: it answers */
};

/* ---- rows ---- */

const struct ledger_node *members_find(const struct node *n, uint64_t id)
{
    for (size_t i = 0; i < n->members.count; i++) {
        if (n->members.rows[i].id == id) {
            return &n->members.rows[i];
        }
    }
    return NULL;
}

static struct ledger_node copy_of(struct arena *a, const struct ledger_node *from)
{
    struct ledger_node row = *from;
    row.institution = arena_copy(a, from->institution);
    row.name = arena_copy(a, from->name);
    row.peer_address = arena_copy(a, from->peer_address);
    row.client_address = arena_copy(a, from->client_address);
    row.transport_key = arena_copy(a, from->transport_key);
    row.transport_key_next = arena_copy(a, from->transport_key_next);
    row.head_key = arena_copy(a, from->head_key);
    row.head_key_next = arena_copy(a, from->head_key_next);
    return row;
}

static void add_row(struct node *n, const struct ledger_node *row)
{
    struct members *m = &n->members;
    if (row == NULL || m->count == NODES_MAX || members_find(n, row->id) != NULL) {
        return;
    }
    size_t at = m->count++;
    for (; at > 0 && m->rows[at - 1].id > row->id; at--) {
        m->rows[at] = m->rows[at - 1];
    }
    m->rows[at] = copy_of(&m->arena, row);
}

static bool joining(struct node *n)
{
    struct members *m = &n->members;
    if (m->bootstrap.count > 0 && ledger_head(n->ledger).height >= m->bootstrap.height) {
        log_info("the ledger has reached height %llu of the bootstrap table, which is not used "
                 "any more",
                 (unsigned long long)m->bootstrap.height);
        m->bootstrap.count = 0;
    }
    return m->bootstrap.count > 0;
}

void members_rows(struct node *n)
{
    struct members *m = &n->members;
    size_t count = 0;
    const struct ledger_node *table = ledger_nodes(n->ledger, &count);
    if (joining(n)) {
        table = m->bootstrap.nodes;
        count = m->bootstrap.count;
    }
    arena_reset(&m->arena);
    m->count = 0;
    for (size_t i = 0; i < count; i++) {
        add_row(n, &table[i]);
    }
    /* Its certificate is still judged by its row. */
    add_row(n, ledger_node_find(n->ledger, n->id));
    for (size_t i = 0; i < m->in_configuration_count; i++) {
        add_row(n, ledger_node_find(n->ledger, m->in_configuration[i]));
    }
}

/* ---- opening ---- */

static err read_bootstrap(struct node *n, struct errtext *reterr)
{
    struct members *m = &n->members;
    struct buf text;
    struct bootstrap b;
    buf_init(&text, BOOTSTRAP_BYTES_MAX);
    err e = keyfile_read_public(n->config.bootstrap, &text, reterr);
    if (!failed(e)) {
        struct bytes kept = arena_copy(&m->bootstrap_arena, buf_bytes(&text));
        e = bootstrap_decode(kept, &m->bootstrap_arena, &b, reterr);
        e = failed(e) ? err_wrapf(reterr, e, "%s", n->config.bootstrap) : e;
    }
    buf_done(&text);
    TRY(e);
    if (memcmp(b.ledger_id, ledger_id(n->ledger), sizeof b.ledger_id) != 0) {
        return err_fail(reterr, ERR_CONFLICT, "%s: of another ledger", n->config.bootstrap);
    }
    m->bootstrap = b;
    return err_ok();
}

static bool is_self(const struct node *n, const struct ledger_node *row)
{
    return row->wish != LEDGER_WISH_REMOVED &&
           bytes_equal(row->institution, bytes_text(n->config.institution)) &&
           bytes_equal(row->name, bytes_text(n->config.node));
}

/* This node's id by its name: in the table, or else the last that ever had the name. */
static uint64_t find_self(struct node *n)
{
    struct members *m = &n->members;
    size_t count = 0;
    for (size_t i = 0; i < m->count; i++) {
        if (is_self(n, &m->rows[i])) {
            return m->rows[i].id;
        }
    }
    const struct ledger_node *ever = ledger_nodes_ever(n->ledger, &count);
    for (size_t i = count; i > 0; i--) {
        struct ledger_node once = ever[i - 1];
        once.wish = LEDGER_WISH_STANDBY; /* whatever became of it */
        if (is_self(n, &once)) {
            return once.id;
        }
    }
    return 0;
}

err members_open(struct node *n, struct errtext *reterr)
{
    struct members *m = &n->members;
    uint8_t fresh[DISK_ID_SIZE];
    if (n->config.bootstrap != NULL) {
        TRY(read_bootstrap(n, reterr));
    }
    members_rows(n);
    n->id = find_self(n);
    if (n->id == 0) {
        return err_fail(reterr, ERR_NOT_FOUND,
                        "neither the ledger of this data directory nor the bootstrap table knows a "
                        "node '%s' of '%s'; add it (`concordat node add`), then name the output of "
                        "`concordat node list --bootstrap` as 'bootstrap:' in the configuration",
                        n->config.node, n->config.institution);
    }
    members_rows(n); /* with its own row, whatever became of it */
    random_bytes(fresh, sizeof fresh);
    return identity_open(n->config.data, n->id, fresh, &m->disk, reterr);
}

/* ---- the links follow ---- */

static void forget_peer(struct node *n, uint64_t id)
{
    /* Links that leave the table are not reported. */
    submit_link_lost(n, id);
    reads_link_lost(n, id);
    for (size_t i = 0; i < NODES_MAX; i++) {
        if (n->members.peers[i].id == id) {
            n->members.peers[i] = (struct member_peer){.id = 0};
        }
        if (n->told[i].id == id) {
            n->told[i] = (struct told){.id = 0};
        }
    }
    alarm_clear(n, ALARM_DISK, id);
}

static void follow_table(struct node *n)
{
    uint64_t before[NODES_MAX];
    size_t count = peer_ids(n->links, before);
    struct errtext why;
    members_rows(n);
    if (failed(credentials_set_nodes(n, &why))) {
        log_error("the links do not follow the node table: %s", why.text);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (members_find(n, before[i]) == NULL) {
            log_info("node %llu takes no part any more", (unsigned long long)before[i]);
            forget_peer(n, before[i]);
        }
    }
}

/* The ids of the configuration; true if they differ from the last look. */
static bool look_at_configuration(struct node *n, const struct consensus_status *s)
{
    struct members *m = &n->members;
    uint64_t ids[NODES_MAX];
    size_t count = 0;
    for (uint32_t i = 0; i < s->peer_count && count < NODES_MAX; i++) {
        ids[count++] = s->peers[i].id;
    }
    bool same = count == m->in_configuration_count &&
                memcmp(ids, m->in_configuration, count * sizeof ids[0]) == 0;
    memcpy(m->in_configuration, ids, count * sizeof ids[0]);
    m->in_configuration_count = count;
    return !same;
}

/* ---- the plan ---- */

static uint64_t height_behind(struct node *n, uint64_t id)
{
    uint64_t most = ledger_head(n->ledger).height;
    uint64_t own = UINT64_MAX;
    for (size_t i = 0; i < NODES_MAX; i++) {
        const struct told *t = &n->told[i];
        most = t->id != 0 && t->height > most ? t->height : most;
        own = t->id == id && id != 0 ? t->height : own;
    }
    return own == UINT64_MAX ? UINT64_MAX : most - own;
}

static void view_contact(struct node *n, const struct consensus_status *s, struct plan_node *p)
{
    uint64_t now_ms = clock_monotonic_ns(&n->clock) / NS_PER_MS;
    uint64_t election = n->config.election_timeout_ms;
    p->silent_ms = UINT64_MAX;
    p->behind = UINT64_MAX;
    if (p->id == n->id) {
        p->member = s->member;
        p->answers = true;
        p->silent_ms = 0;
        p->behind = 0;
        return;
    }
    for (uint32_t i = 0; i < s->peer_count; i++) {
        const struct consensus_peer *c = &s->peers[i];
        if (c->id != p->id) {
            continue;
        }
        p->member = c->member;
        if (c->contacted) {
            p->silent_ms = now_ms > c->last_contact_ms ? now_ms - c->last_contact_ms : 0;
        }
        if (s->role == CONSENSUS_LEADER && c->match > 0) {
            p->behind = s->last_index - c->match;
        } else if (s->role != CONSENSUS_LEADER) {
            p->behind = height_behind(n, p->id);
        }
    }
    if (s->role != CONSENSUS_LEADER) {
        /* Followers talk to the leader alone: the links tell who is there. */
        struct peer_status link;
        uint64_t now_ns = loop_now_ns(n->loop);
        bool heard = !failed(peer_status(n->links, p->id, &link)) && link.received_ns != 0;
        uint64_t since_ns = heard && now_ns > link.received_ns ? now_ns - link.received_ns : 0;
        p->silent_ms = heard ? since_ns / NS_PER_MS : UINT64_MAX;
        p->answers = heard && p->silent_ms <= ANSWERS_ELECTIONS * election + GOSSIP_NS / NS_PER_MS;
    } else {
        p->answers = p->silent_ms <= ANSWERS_ELECTIONS * election;
    }
    uint64_t up_ms = (loop_now_ns(n->loop) - n->started_ns) / NS_PER_MS;
    uint64_t silent_ms = p->silent_ms < up_ms ? p->silent_ms : up_ms;
    p->dead = !p->answers && silent_ms > DEAD_ELECTIONS * election;
}

void members_view(struct node *n, struct plan_view *ret)
{
    struct consensus_status s;
    consensus_status(n->consensus, &s);
    *ret = (struct plan_view){
        .self = n->id,
        .leads = s.ready && n->leadership.target == 0,
        .changing = s.changing,
        .count = n->members.count,
    };
    for (size_t i = 0; i < n->members.count; i++) {
        const struct ledger_node *row = &n->members.rows[i];
        struct plan_node *p = &ret->nodes[i];
        p->id = row->id;
        p->wish = row->wish;
        p->successor = row->successor;
        p->member = CONSENSUS_STRANGER;
        snprintf(p->name, sizeof p->name, "%.*s (node %llu)", (int)row->name.size,
                 (const char *)row->name.data, (unsigned long long)row->id);
        view_contact(n, &s, p);
    }
}

static void say_step(struct node *n, const char *what, uint64_t id, enum consensus_answer answer)
{
    const struct ledger_node *row = members_find(n, id);
    if (answer == CONSENSUS_OK) {
        log_info("node %llu (%.*s) %s", (unsigned long long)id,
                 row == NULL ? 0 : (int)row->name.size,
                 row == NULL ? "" : (const char *)row->name.data, what);
    }
}

/* Says in the plan why the driver does not do it now. */
static void say_why(struct plan *p, enum consensus_answer answer)
{
    for (size_t i = 0; i < p->pending_count; i++) {
        bool waits = answer != CONSENSUS_OK && answer != CONSENSUS_BUSY;
        if (p->pending[i].id == p->id && waits) {
            snprintf(p->pending[i].why, sizeof p->pending[i].why, "%s",
                     consensus_answer_name(answer));
        }
    }
}

static void take_step(struct node *n)
{
    struct plan *p = &n->members.plan;
    struct refusal no;
    enum consensus_answer answer = CONSENSUS_OK;
    switch (p->step) {
    case PLAN_NOTHING:
        return;
    case PLAN_ADD:
        answer = consensus_change(n->consensus, p->id, CONSENSUS_STANDBY);
        say_step(n, "comes in as a standby", p->id, answer);
        break;
    case PLAN_PROMOTE:
        answer = consensus_promote(n->consensus, p->id);
        say_step(n, "is level and gets a vote", p->id, answer);
        break;
    case PLAN_DEMOTE:
        answer = consensus_change(n->consensus, p->id, CONSENSUS_STANDBY);
        say_step(n, "gives its vote back", p->id, answer);
        break;
    case PLAN_REMOVE:
        answer = consensus_change(n->consensus, p->id, CONSENSUS_STRANGER);
        say_step(n, "is taken out", p->id, answer);
        break;
    case PLAN_TRANSFER:
        (void)leadership_begin(n, p->id, "this node is about to lose its vote", &no);
        break;
    }
    say_why(p, answer);
}

static void look(struct loop_task *task)
{
    struct node *n = task->ctx;
    struct members *m = &n->members;
    struct consensus_status s;
    struct plan_view view;
    if (n->failure[0] != '\0') {
        return;
    }
    consensus_status(n->consensus, &s);
    bool moved = look_at_configuration(n, &s);
    bool joined = m->bootstrap.count > 0 && !joining(n);
    if (moved || joined || m->stale) {
        m->stale = false;
        follow_table(n);
    }
    members_view(n, &view);
    plan_make(&view, &m->plan);
    if (view.leads) {
        take_step(n);
    }
    if (plan_is_settled(&m->plan) || s.role != CONSENSUS_LEADER) {
        loop_timer_stop(n->loop, &m->timer);
    } else {
        loop_timer_start(n->loop, &m->timer, n->config.heartbeat_ms * NS_PER_MS, 0);
    }
}

static void on_timer(struct loop_timer *timer)
{
    struct node *n = timer->ctx;
    loop_post(n->loop, &n->members.task);
}

void members_wake(struct node *n)
{
    n->members.stale = true;
    loop_post(n->loop, &n->members.task);
}

void members_init(struct node *n)
{
    struct members *m = &n->members;
    arena_init(&m->arena, ROWS_ARENA);
    arena_init(&m->bootstrap_arena, 4 * BOOTSTRAP_BYTES_MAX);
    loop_task_init(&m->task, look, n);
    loop_timer_init(&m->timer, on_timer, n);
}

void members_done(struct node *n)
{
    loop_timer_stop(n->loop, &n->members.timer);
    loop_unpost(n->loop, &n->members.task);
    arena_done(&n->members.arena);
    arena_done(&n->members.bootstrap_arena);
}

/* ---- admission ---- */

static bool other_change_queued(const struct node *n)
{
    for (const struct inflight *r = n->inflight.oldest; r != NULL; r = r->next) {
        if (r->changes_nodes) {
            return true;
        }
    }
    return false;
}

static bool nothing_else_pends(struct node *n, const struct ledger_node_ask *ask,
                               const struct plan *p, struct refusal *ret)
{
    if (other_change_queued(n)) {
        *ret = refusal_of(REASON_CHANGE_PENDING, "another change of the nodes is being decided");
        return false;
    }
    for (size_t i = 0; i < p->pending_count; i++) {
        const struct ledger_node *row = members_find(n, p->pending[i].id);
        bool takes_back = p->pending[i].id == ask->id || (row != NULL && row->successor == ask->id);
        if (ask->id == 0 || !takes_back) {
            *ret = refusal_of(REASON_CHANGE_PENDING, "node %llu is still to be done (%s): %s",
                              (unsigned long long)p->pending[i].id, p->pending[i].what,
                              p->pending[i].why);
            return false;
        }
    }
    return true;
}

/* Whether a quorum would answer after the change; of a replacement at each of its steps. */
static bool quorum_stays(struct node *n, const struct plan_view *v,
                         const struct ledger_node_ask *ask, struct refusal *ret)
{
    char why[PLAN_WHY_MAX] = "";
    const struct plan_node *p = plan_find(v, ask->id);
    bool votes = p != NULL && p->member == CONSENSUS_VOTER;
    bool holds = true;
    switch (ask->deed) {
    case LEDGER_NODE_PROMOTE:
        holds = votes || plan_quorum_holds(v, ask->id, true, why);
        break;
    case LEDGER_NODE_DEMOTE:
    case LEDGER_NODE_REMOVE:
        holds = !votes || plan_quorum_holds(v, ask->id, false, why);
        break;
    case LEDGER_NODE_REPLACE:
        /* A dead one goes first; a living one goes when its successor, of id 0 here, votes. */
        holds = !votes || (p->answers ? plan_quorum_holds(v, 0, true, why)
                                      : plan_quorum_holds(v, ask->id, false, why));
        break;
    case LEDGER_NODE_ADD:
    case LEDGER_NODE_UPDATE:
    case LEDGER_NODE_NOTHING:
    case LEDGER_NODE_SEVERAL:
        break;
    }
    (void)n;
    if (!holds) {
        *ret = refusal_of(REASON_QUORUM_AT_RISK, "%s", why);
    }
    return holds;
}

bool members_is_change(struct node *n, struct bytes envelope)
{
    struct ledger_node_ask ask;
    struct arena a;
    arena_init(&a, ENVELOPE_ARENA_MAX + ARENA_SLACK);
    ledger_node_asked(n->ledger, envelope, &a, &ask);
    arena_done(&a);
    return ask.deed != LEDGER_NODE_NOTHING && ask.deed != LEDGER_NODE_UPDATE;
}

bool members_admit(struct node *n, struct bytes envelope, struct refusal *ret)
{
    struct ledger_node_ask ask;
    struct plan_view view;
    struct plan plan;
    struct arena a;
    arena_init(&a, ENVELOPE_ARENA_MAX + ARENA_SLACK);
    ledger_node_asked(n->ledger, envelope, &a, &ask);
    arena_done(&a);
    if (ask.deed == LEDGER_NODE_NOTHING) {
        return true;
    }
    if (ask.deed == LEDGER_NODE_SEVERAL) {
        *ret = refusal_of(REASON_CHANGE_REFUSED, "one change of the nodes at a time");
        return false;
    }
    if (ask.refused) {
        *ret = refusal_of(REASON_CHANGE_REFUSED, "%s", ask.why);
        return false;
    }
    if (ask.deed == LEDGER_NODE_UPDATE) {
        return true;
    }
    members_view(n, &view);
    plan_make(&view, &plan);
    return nothing_else_pends(n, &ask, &plan, ret) && quorum_stays(n, &view, &ask, ret);
}
