#include "tests/sim/product/officer.h"

#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "base/mem.h"
#include "base/require.h"
#include "proto/genesis.h"
#include "tests/sim/product/check.h"
#include "tests/sim/product/model.h"
#include "tests/sim/product/rpc.h"

enum {
    ATTEMPTS_MAX = 8,
    LIVE_MAX = 10,     /* nodes in the table: two fewer than the ledger allows */
    SERIALS_MAX = 200, /* the same question in one history */
    BOOTSTRAP_ROOM = 64 << 10,
    PACE_MS = 500,
};

/* A machine that was bought for a node which was added, until it starts. */
struct joiner {
    struct world *world;
    uint64_t id; /* 0: none */
    struct grpc_call *call;
    bool started;
};

struct sim_officer {
    struct world *world;
    bool scripted;
    enum ledger_wish wishes[SIM_NODES_MAX + 1];
    uint64_t successors[SIM_NODES_MAX + 1];
    uint32_t goal; /* voters that it wants */
    struct joiner joiners[SIM_NODES_MAX + 1];
    uint8_t serials[5][SIM_NODES_MAX + 1][SIM_NODES_MAX + 1];

    uint64_t request; /* 0: none is open */
    uint32_t attempts;
    bool transferring;
    struct machine *at;
    struct grpc_call *call;
};

struct officer_wait {
    struct happening event;
    struct sim_officer *officer;
    struct joiner *joiner; /* NULL: the officer itself */
};

static uint64_t random_below(struct sim_officer *o, uint64_t n)
{
    return draw_below(&o->world->random_member, n);
}

/* ---- the table ---- */

static uint32_t bit(uint64_t id)
{
    return UINT32_C(1) << (id - 1);
}

static uint32_t count_of(uint32_t set)
{
    return (uint32_t)__builtin_popcount(set);
}

enum ledger_wish officer_wish(const struct world *w, uint64_t id)
{
    return w->officer->wishes[id];
}

static uint32_t wished(const struct world *w, bool standbys)
{
    uint32_t set = 0;
    for (uint64_t id = 1; id <= w->nodes; id++) {
        enum ledger_wish wish = w->officer->wishes[id];
        bool in = wish == LEDGER_WISH_VOTER || (standbys && wish == LEDGER_WISH_STANDBY);
        set |= in ? bit(id) : 0;
    }
    return set;
}

uint32_t officer_voters(const struct world *w)
{
    return wished(w, false);
}

uint32_t officer_members(const struct world *w)
{
    return wished(w, true);
}

uint32_t officer_hurt(const struct world *w)
{
    uint32_t set = 0;
    for (uint32_t i = 0; i < w->nodes; i++) {
        const struct machine *m = w->machines[i];
        set |= m->rotten || m->wiped || m->ruined ? bit(m->id) : 0;
    }
    return set;
}

static bool has_quorum(uint32_t voters, uint32_t hurt)
{
    return 2 * count_of(voters & ~hurt) > count_of(voters);
}

static bool is_settled(const struct world *w)
{
    return check_voters(w) == officer_voters(w) && check_members(w) == officer_members(w);
}

bool officer_may_lose(const struct world *w, const struct machine *m)
{
    uint32_t hurt = officer_hurt(w) | bit(m->id);
    /* Whoever is far behind needs a checkpoint that a majority confirms: that majority must be
     * there without it. */
    for (uint64_t id = 1; id <= w->nodes; id++) {
        bool votes = ((officer_voters(w) & ~hurt) & bit(id)) != 0;
        if (votes && !check_is_near(w->machines[id - 1])) {
            return false;
        }
    }
    return is_settled(w) && w->officer->request == 0 && has_quorum(officer_voters(w), hurt);
}

/* ---- who joins ---- */

static void drop_wait(struct happening *event)
{
    free(event);
}

static void next_thing(struct sim_officer *o);
static void ask_for_table(struct joiner *j);

static void on_wait(struct happening *event)
{
    struct officer_wait *wait = (struct officer_wait *)event;
    struct sim_officer *o = wait->officer;
    struct joiner *j = wait->joiner;
    free(wait);
    if (j != NULL) {
        ask_for_table(j);
    } else {
        next_thing(o);
    }
}

static void wait_for(struct sim_officer *o, struct joiner *j, uint64_t ms)
{
    struct officer_wait *wait = mem_new(1, sizeof *wait);
    *wait = (struct officer_wait){
        .event = {.run = on_wait, .drop = drop_wait}, .officer = o, .joiner = j};
    world_after(o->world, &wait->event, ms * NS_PER_MS);
}

static void put_hex(struct buf *text, struct bytes b)
{
    char hex[2 * 256 + 1];
    require(b.size <= 256);
    hex_encode(b, hex);
    buf_printf(text, " %s", b.size == 0 ? "-" : hex);
}

/* As `concordat node list --bootstrap` prints it. False: the node is not in it. */
static bool put_table(const struct nodes_reply *r, uint64_t id, struct buf *text)
{
    char ledger[65];
    bool there = false;
    hex_encode(bytes_of(r->ledger_id, 32), ledger);
    buf_printf(text, "concordat-nodes 1\nledger %s\nheight %llu\n", ledger,
               (unsigned long long)r->at.height);
    for (size_t i = 0; i < r->node_count; i++) {
        const struct node_entry_shown *n = &r->nodes[i];
        bool leaves = n->wish == NODE_WISH_REMOVED;
        if (leaves && n->member == NODE_MEMBER_NONE) {
            continue;
        }
        there = there || (n->id == id && !leaves);
        buf_printf(text, "node %llu %s %.*s %.*s %.*s %.*s", (unsigned long long)n->id,
                   leaves                       ? "leaving"
                   : n->wish == NODE_WISH_VOTER ? "voter"
                                                : "standby",
                   (int)n->institution.size, (const char *)n->institution.data, (int)n->name.size,
                   (const char *)n->name.data, (int)n->peer_address.size,
                   (const char *)n->peer_address.data, (int)n->client_address.size,
                   (const char *)n->client_address.data);
        put_hex(text, n->transport_key);
        put_hex(text, n->next_transport_key);
        put_hex(text, n->head_key);
        put_hex(text, n->next_head_key);
        buf_put_u8(text, '\n');
    }
    return there;
}

static void on_table(void *ctx, struct bytes message)
{
    struct joiner *j = ctx;
    struct world *w = j->world;
    struct machine *m = w->machines[j->id - 1];
    struct nodes_reply *reply;
    struct errtext why = {""};
    struct arena a;
    struct buf text;
    arena_init(&a, 1 << 22);
    buf_init(&text, BOOTSTRAP_ROOM);
    err e = nodes_reply_decode(message, &a, &reply, &why);
    if (failed(e)) {
        violation(w, "a node table cannot be read: %s", why.text);
    }
    if (put_table(reply, j->id, &text)) {
        buf_put_u8(&text, '\0');
        require(!text.overflow);
        m->bootstrap = mem_text((const char *)text.data);
        j->started = true;
        machine_start_after(m, 0);
    }
    buf_done(&text);
    arena_done(&a);
}

static void on_table_end(void *ctx, const struct rpc_result *r)
{
    struct joiner *j = ctx;
    (void)r;
    j->call = NULL;
    if (!j->started && officer_wish(j->world, j->id) != LEDGER_WISH_REMOVED) {
        wait_for(j->world->officer, j, 20 + random_below(j->world->officer, 300));
    } else if (!j->started) {
        j->started = true; /* it was removed before it ever came */
        j->world->machines[j->id - 1]->gone = true;
    }
}

static void ask_for_table(struct joiner *j)
{
    struct world *w = j->world;
    const struct rpc_handler handler = {j, on_table, on_table_end, false};
    struct nodes_request form = {0};
    struct buf message;
    buf_init(&message, GRPC_MESSAGE_BYTES_MAX);
    nodes_request_encode(&form, &message);
    struct machine *at = w->machines[random_below(w->officer, w->nodes)];
    j->call = rpc_start(at, METHOD_NODES, buf_bytes(&message), &handler, 3 * NS_PER_S);
    buf_done(&message);
}

/* 3 of "inst3". */
static uint32_t number_of(struct bytes institution)
{
    require(institution.size == 5);
    return (uint32_t)(institution.data[4] - '0');
}

static void buy_machine(struct world *w, const struct ledger_node *row)
{
    struct sim_officer *o = w->officer;
    const struct node_entry *entry = fixture_node(w->fixture, row->id);
    if (row->id != w->nodes + 1 || !bytes_equal(row->name, entry->name)) {
        violation(w, "node %llu is called %.*s and follows node %u", (unsigned long long)row->id,
                  (int)row->name.size, (const char *)row->name.data, w->nodes);
    }
    struct machine *m = machine_new(w, (uint32_t)row->id - 1);
    m->joins = true;
    m->institution = number_of(row->institution);
    w->machines[w->nodes++] = m;
    w->counts.adds++;
    struct joiner *j = &o->joiners[row->id];
    *j = (struct joiner){.world = w, .id = row->id};
    trace(w, "node %llu joins", (unsigned long long)row->id);
    wait_for(o, j, 10 + random_below(o, random_below(o, 4) == 0 ? 8000 : 500));
}

void officer_table(struct machine *m)
{
    struct world *w = m->world;
    struct sim_officer *o = w->officer;
    size_t count = 0;
    const struct ledger_node *rows = ledger_nodes_ever(m->ledger, &count);
    for (size_t i = 0; i < count; i++) {
        const struct ledger_node *row = &rows[i];
        require(row->id <= SIM_NODES_MAX);
        if (row->id > w->nodes) {
            buy_machine(w, row);
        }
        o->wishes[row->id] = row->wish;
        o->successors[row->id] = row->successor;
    }
}

/* ---- what the officer wants ---- */

/* Whether the voters could still decide if the nodes that are hurt never came back. */
static bool is_safe(const struct sim_officer *o, enum member_what what, uint64_t node)
{
    const struct world *w = o->world;
    uint32_t voters = officer_voters(w);
    uint32_t hurt = officer_hurt(w);
    switch (what) {
    case MEMBER_ADD:
        return true;
    case MEMBER_PROMOTE:
        return (hurt & bit(node)) == 0 && has_quorum(voters | bit(node), hurt);
    case MEMBER_DEMOTE:
    case MEMBER_REMOVE:
        return has_quorum(voters & ~bit(node), hurt);
    case MEMBER_REPLACE:
        /* The fresh one is well. */
        return (voters & bit(node)) == 0 ||
               2 * (count_of(voters & ~bit(node) & ~hurt) + 1) > count_of(voters);
    }
    return false;
}

static bool needs_fresh(enum member_what what)
{
    return what == MEMBER_ADD || what == MEMBER_REPLACE;
}

/* A member of the set, which is not empty. */
static uint64_t one_of(struct sim_officer *o, uint32_t set)
{
    uint64_t skip = random_below(o, count_of(set));
    for (uint64_t id = 1;; id++) {
        if ((set & bit(id)) != 0 && skip-- == 0) {
            return id;
        }
    }
}

struct intent {
    bool any;
    enum member_what what;
    uint64_t node;
};

static struct intent towards_goal(struct sim_officer *o, uint32_t voters, uint32_t standbys)
{
    if (count_of(voters) == o->goal) {
        o->goal = 3 + 2 * (uint32_t)random_below(o, 3);
        bool clean = standbys != 0 && random_below(o, 2) == 0;
        return clean ? (struct intent){true, MEMBER_REMOVE, one_of(o, standbys)}
                     : (struct intent){.any = false};
    }
    if (count_of(voters) > o->goal) {
        bool goes = random_below(o, 2) == 0;
        return (struct intent){true, goes ? MEMBER_REMOVE : MEMBER_DEMOTE, one_of(o, voters)};
    }
    return standbys == 0 ? (struct intent){true, MEMBER_ADD, 0}
                         : (struct intent){true, MEMBER_PROMOTE, one_of(o, standbys)};
}

static struct intent choose(struct sim_officer *o)
{
    const struct world *w = o->world;
    uint32_t voters = officer_voters(w);
    uint32_t members = officer_members(w);
    uint32_t hurt = officer_hurt(w) & members;
    uint64_t what = random_below(o, 16);
    if (what == 0) { /* whatever comes to mind */
        return (struct intent){true, (enum member_what)random_below(o, 5), one_of(o, members)};
    }
    if (hurt != 0 && what < 9) {
        return (struct intent){true, MEMBER_REPLACE, one_of(o, hurt)};
    }
    if (what < 4) {
        return (struct intent){true, MEMBER_REPLACE, one_of(o, members)};
    }
    return towards_goal(o, voters, members & ~voters);
}

/* ---- asking ---- */

static void submit(struct sim_officer *o);

static void think(struct sim_officer *o)
{
    const struct world *w = o->world;
    uint64_t rare = w->chance[FAULT_MEMBER] > 0     ? 1000000 / w->chance[FAULT_MEMBER]
                    : w->chance[FAULT_TRANSFER] > 0 ? 1000000 / w->chance[FAULT_TRANSFER]
                                                    : 0;
    if (!o->scripted && rare > 0 && !w->healing) {
        wait_for(o, NULL, 1 + random_below(o, PACE_MS * rare));
    }
}

static void done(struct sim_officer *o)
{
    o->request = 0;
    o->attempts = 0;
    think(o);
}

static void elsewhere(struct sim_officer *o)
{
    o->at = o->world->machines[random_below(o, o->world->nodes)];
}

static void count_asked(struct world *w, enum member_what what)
{
    switch (what) {
    case MEMBER_ADD:
        break;
    case MEMBER_PROMOTE:
        w->counts.promotions++;
        break;
    case MEMBER_DEMOTE:
        w->counts.demotions++;
        break;
    case MEMBER_REMOVE:
        w->counts.removals++;
        break;
    case MEMBER_REPLACE:
        w->counts.replacements++;
        break;
    }
}

static void on_answer(void *ctx, struct bytes message)
{
    struct sim_officer *o = ctx;
    struct world *w = o->world;
    struct submit_reply *reply;
    struct errtext why = {""};
    struct arena a;
    arena_init(&a, 1 << 22);
    err e = submit_reply_decode(message, &a, &reply, &why);
    if (failed(e)) {
        violation(w, "an answer cannot be read: %s", why.text);
    }
    model_check_answer(w->model, o->request, reply);
    bool accepted = reply->outcomes[0].end == END_ACCEPTED;
    w->counts.change_rejected += !accepted;
    trace(w, "the officer's change is %s at height %llu", accepted ? "accepted" : "rejected",
          (unsigned long long)reply->height);
    if (accepted) {
        count_asked(w, member_deed_of(o->request).what);
    }
    arena_done(&a);
}

static bool is_reason(const struct rpc_result *r, enum reason reason)
{
    return strcmp(r->reason, reason_name(reason)) == 0;
}

/* True: the table or the quorum says no, and it would be said again. */
static bool count_refusal(struct world *w, const struct rpc_result *r)
{
    bool pends = is_reason(r, REASON_CHANGE_PENDING);
    bool risky = is_reason(r, REASON_QUORUM_AT_RISK);
    bool no = is_reason(r, REASON_CHANGE_REFUSED);
    w->counts.change_pending += pends;
    w->counts.change_risky += risky;
    w->counts.change_refused += no;
    return pends || risky || no;
}

static void on_end(void *ctx, const struct rpc_result *r)
{
    struct sim_officer *o = ctx;
    struct world *w = o->world;
    struct fate *fate = model_fate(w->model, o->request);
    bool unknown =
        r->end == RPC_LOST || (r->end == RPC_STATUS && is_reason(r, REASON_UNKNOWN_OUTCOME));
    o->call = NULL;
    require(fate->open > 0);
    fate->open--;
    if (r->end == RPC_ANSWERED) {
        fate->maybe = true; /* as in client.c */
        done(o);
        return;
    }
    trace(w, "the officer's change at %llu: %s %s %s", (unsigned long long)o->at->id,
          unknown ? "unknown" : "refused", r->reason, r->text);
    fate->maybe = fate->maybe || unknown;
    bool never = r->end == RPC_STATUS && strcmp(r->retry, "never") == 0;
    bool settled = r->end == RPC_STATUS && count_refusal(w, r);
    if (!unknown) {
        model_check_refusal(w->model, o->request, never);
    }
    /* A node that may have been added has its name and number: nobody else may take them. */
    bool must_know = fate->maybe && needs_fresh(member_deed_of(o->request).what);
    bool enough = settled || o->attempts >= ATTEMPTS_MAX || w->healing;
    if (never || (enough && !must_know && !(o->scripted && !settled))) {
        done(o);
        return;
    }
    elsewhere(o);
    wait_for(o, NULL, 20 + random_below(o, 400));
}

static void submit(struct sim_officer *o)
{
    struct world *w = o->world;
    const struct rpc_handler handler = {o, on_answer, on_end, true};
    const struct request *r = fixture_request(w->fixture, o->request);
    struct submit_request form = {.envelope = r->envelope};
    struct buf message;
    buf_init(&message, GRPC_MESSAGE_BYTES_MAX);
    submit_request_encode(&form, &message);
    model_fate(w->model, o->request)->open++;
    o->attempts++;
    o->call = rpc_start(o->at, METHOD_SUBMIT, buf_bytes(&message), &handler,
                        NS_PER_S + NS_PER_MS * random_below(o, 5000));
    buf_done(&message);
}

static void ask(struct sim_officer *o, enum member_what what, uint64_t node)
{
    struct world *w = o->world;
    struct member_deed deed = {.what = what, .node = what == MEMBER_ADD ? 0 : node};
    deed.fresh = needs_fresh(what) ? w->nodes + 1 : 0;
    if (deed.fresh > SIM_NODES_MAX) {
        think(o);
        return;
    }
    uint8_t *serial = &o->serials[what][deed.node][deed.fresh];
    deed.serial = *serial;
    if (*serial == SERIALS_MAX) {
        think(o);
        return;
    }
    ++*serial;
    o->request = member_number(deed);
    static const char *const NAMES[] = {"add", "promote", "demote", "remove", "replace"};
    trace(w, "the officer: %s %llu", NAMES[what], (unsigned long long)node);
    submit(o);
}

/* ---- leadership ---- */

static void on_transferred(void *ctx, struct bytes message)
{
    struct sim_officer *o = ctx;
    (void)message;
    o->world->counts.transfers++;
    trace(o->world, "the officer's transfer is done");
}

static void on_transfer_end(void *ctx, const struct rpc_result *r)
{
    struct sim_officer *o = ctx;
    o->call = NULL;
    o->transferring = false;
    if (r->end != RPC_ANSWERED) {
        o->world->counts.transfers_refused++;
        trace(o->world, "the officer's transfer: %s %s", r->reason, r->text);
    }
    if (r->end == RPC_STATUS && (r->status == GRPC_INTERNAL || r->status == GRPC_INVALID_ARGUMENT ||
                                 r->status == GRPC_PERMISSION_DENIED)) {
        violation(o->world, "a transfer is answered %d: %s", (int)r->status, r->text);
    }
    elsewhere(o);
    think(o);
}

static void transfer(struct sim_officer *o, uint64_t node)
{
    const struct rpc_handler handler = {o, on_transferred, on_transfer_end, true};
    struct transfer_request form = {.node = node};
    struct buf message;
    buf_init(&message, GRPC_MESSAGE_BYTES_MAX);
    transfer_request_encode(&form, &message);
    o->transferring = true;
    trace(o->world, "the officer: leadership to %llu", (unsigned long long)node);
    o->call = rpc_start(o->at, METHOD_TRANSFER, buf_bytes(&message), &handler, 8 * NS_PER_S);
    buf_done(&message);
}

static void next_thing(struct sim_officer *o)
{
    const struct world *w = o->world;
    if (o->request != 0) {
        submit(o);
        return;
    }
    if (w->healing || o->scripted) {
        return;
    }
    elsewhere(o);
    bool hands_over =
        w->chance[FAULT_TRANSFER] > 0 && (w->chance[FAULT_MEMBER] == 0 || random_below(o, 4) == 0);
    if (hands_over) {
        transfer(o, random_below(o, w->nodes + 1));
        return;
    }
    struct intent want = choose(o);
    bool room = count_of(officer_members(w)) < LIVE_MAX;
    bool fits = want.any && is_safe(o, want.what, want.node) && (want.what != MEMBER_ADD || room);
    if (fits) {
        ask(o, want.what, want.node);
    } else {
        think(o);
    }
}

/* ---- from outside ---- */

struct sim_officer *officer_new(struct world *w, bool scripted)
{
    struct sim_officer *o = mem_new(1, sizeof *o);
    o->world = w;
    o->scripted = scripted;
    o->goal = 3 + 2 * (uint32_t)draw_below(&w->random_member, 3);
    for (uint64_t id = 1; id <= SIM_NODES_MAX; id++) {
        o->wishes[id] = id <= w->founders ? LEDGER_WISH_VOTER : LEDGER_WISH_REMOVED;
    }
    elsewhere(o);
    think(o);
    return o;
}

void officer_free(struct sim_officer *o)
{
    free(o);
}

bool officer_is_idle(const struct world *w)
{
    const struct sim_officer *o = w->officer;
    for (uint64_t id = 1; id <= w->nodes; id++) {
        if (o->joiners[id].id != 0 && !o->joiners[id].started) {
            return false;
        }
    }
    return o->request == 0 && !o->transferring;
}

void officer_ask(struct world *w, enum member_what what, uint64_t node)
{
    require(officer_is_idle(w));
    elsewhere(w->officer);
    ask(w->officer, what, node);
}

void officer_transfer(struct world *w, uint64_t node)
{
    require(officer_is_idle(w));
    elsewhere(w->officer);
    transfer(w->officer, node);
}
