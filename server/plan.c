#include "server/plan.h"

#include <stdio.h>
#include <string.h>

#include "base/require.h"

const struct plan_node *plan_find(const struct plan_view *v, uint64_t id)
{
    for (size_t i = 0; i < v->count; i++) {
        if (v->nodes[i].id == id) {
            return &v->nodes[i];
        }
    }
    return NULL;
}

/* ---- the quorum ---- */

/* Appends "energie (node 2) is silent for 12 s, " for each voter that does not answer. */
static void name_silent(const struct plan_view *v, uint64_t but, char why[PLAN_WHY_MAX])
{
    uint64_t first = 0;
    for (size_t i = 0; i < v->count; i++) {
        const struct plan_node *n = &v->nodes[i];
        size_t at = strlen(why);
        if (n->member != CONSENSUS_VOTER || n->answers || n->id == but) {
            continue;
        }
        first = first == 0 ? n->id : first;
        if (n->silent_ms == UINT64_MAX) {
            (void)snprintf(why + at, PLAN_WHY_MAX - at, "%s was never heard of; ", n->name);
        } else {
            (void)snprintf(why + at, PLAN_WHY_MAX - at, "%s is silent for %llu s; ", n->name,
                           (unsigned long long)(n->silent_ms / 1000));
        }
    }
    size_t at = strlen(why);
    if (first != 0) {
        (void)snprintf(why + at, PLAN_WHY_MAX - at,
                       "bring it back first, or `concordat node replace %llu`",
                       (unsigned long long)first);
    }
}

bool plan_quorum_holds(const struct plan_view *v, uint64_t id, bool becomes, char why[PLAN_WHY_MAX])
{
    uint32_t voters = becomes ? 1 : 0;
    uint32_t answering = 0;
    for (size_t i = 0; i < v->count; i++) {
        const struct plan_node *n = &v->nodes[i];
        if (n->member == CONSENSUS_VOTER && n->id != id) {
            voters++;
            answering += n->answers;
        }
    }
    uint32_t quorum = voters / 2 + 1;
    if (answering >= quorum) {
        return true;
    }
    (void)snprintf(why, PLAN_WHY_MAX,
                   "%u of the %u voters would have to answer and %u do: ", quorum, voters,
                   answering);
    name_silent(v, id, why);
    return false;
}

/* ---- what differs ---- */

enum difference { SAME, ADD, PROMOTE, DEMOTE, REMOVE };

static enum difference difference_of(const struct plan_node *n)
{
    bool there = n->member != CONSENSUS_STRANGER;
    switch (n->wish) {
    case LEDGER_WISH_REMOVED:
        return there ? REMOVE : SAME;
    case LEDGER_WISH_STANDBY:
        return !there ? ADD : n->member == CONSENSUS_VOTER ? DEMOTE : SAME;
    case LEDGER_WISH_VOTER:
        return !there ? ADD : n->member == CONSENSUS_STANDBY ? PROMOTE : SAME;
    }
    require(false);
    return SAME;
}

/* Who takes the place of n in the end: the successor, or the one that replaced that one before it
 * ever came. NULL: nobody. Successors have higher ids, so this ends. */
static const struct plan_node *heir_of(const struct plan_view *v, const struct plan_node *n)
{
    const struct plan_node *heir = n;
    while (heir != NULL && heir->wish == LEDGER_WISH_REMOVED) {
        heir = heir->successor <= heir->id ? NULL : plan_find(v, heir->successor);
    }
    return heir == n ? NULL : heir;
}

/* The voter whose place n takes and that does not answer, or NULL. */
static const struct plan_node *dead_before(const struct plan_view *v, const struct plan_node *n)
{
    for (size_t i = 0; i < v->count; i++) {
        const struct plan_node *old = &v->nodes[i];
        if (old->wish == LEDGER_WISH_REMOVED && old->member == CONSENSUS_VOTER && old->dead &&
            heir_of(v, old) == n) {
            return old;
        }
    }
    return NULL;
}

static uint32_t voters_of(const struct plan_view *v)
{
    uint32_t count = 0;
    for (size_t i = 0; i < v->count; i++) {
        count += v->nodes[i].member == CONSENSUS_VOTER;
    }
    return count;
}

static size_t members_of(const struct plan_view *v)
{
    size_t count = 0;
    for (size_t i = 0; i < v->count; i++) {
        count += v->nodes[i].member != CONSENSUS_STRANGER;
    }
    return count;
}

/* ---- one node: may its change be made now? If not, why. ---- */

#define WHY(...) (void)snprintf(why, PLAN_WHY_MAX, __VA_ARGS__)

static void tell_behind(const struct plan_node *n, char why[PLAN_WHY_MAX])
{
    if (!n->answers) {
        WHY("%s does not answer; start it", n->name);
    } else if (n->behind == UINT64_MAX) {
        WHY("%s begins to catch up", n->name);
    } else {
        WHY("%s is %llu entries behind", n->name, (unsigned long long)n->behind);
    }
}

static bool may_promote(const struct plan_view *v, const struct plan_node *n,
                        char why[PLAN_WHY_MAX])
{
    const struct plan_node *dead = dead_before(v, n);
    if (dead != NULL) {
        WHY("%s, which it replaces and which does not answer, goes first", dead->name);
        return false;
    }
    if (!n->answers) {
        tell_behind(n, why);
        return false;
    }
    if (!plan_quorum_holds(v, n->id, true, why)) {
        return false;
    }
    tell_behind(n, why); /* the driver waits until it is level */
    return true;
}

/* A voter that is not wished as one. */
static bool may_drop(const struct plan_view *v, const struct plan_node *n, char why[PLAN_WHY_MAX])
{
    const struct plan_node *heir = heir_of(v, n);
    bool waits = heir != NULL && heir->wish == LEDGER_WISH_VOTER && heir->member != CONSENSUS_VOTER;
    if (waits && !n->dead) {
        WHY("%s, which replaces it, gets its vote first", heir->name);
        return false;
    }
    if (waits &&
        (heir->member == CONSENSUS_STRANGER || !heir->answers || heir->behind > PLAN_NEAR)) {
        tell_behind(heir, why); /* the successor's, which must be near first */
        return false;
    }
    if (!waits && !n->dead && voters_of(v) <= VOTERS_MIN) {
        WHY("another voter comes first: %u must stay", (unsigned)VOTERS_MIN);
        return false;
    }
    return plan_quorum_holds(v, n->id, false, why);
}

/* The voter that leads instead of a leader that has to go: level if anybody is, and here to stay.
 */
static uint64_t next_leader(const struct plan_view *v)
{
    const struct plan_node *best = NULL;
    for (size_t i = 0; i < v->count; i++) {
        const struct plan_node *n = &v->nodes[i];
        bool fit = n->id != v->self && n->member == CONSENSUS_VOTER && n->answers &&
                   n->wish == LEDGER_WISH_VOTER;
        if (fit && (best == NULL || n->behind < best->behind)) {
            best = n;
        }
    }
    return best == NULL ? 0 : best->id;
}

/* ---- the plan ---- */

/* What comes first has the lower number; 0: not now. */
static int rank_of(const struct plan_view *v, const struct plan_node *n, char why[PLAN_WHY_MAX])
{
    switch (difference_of(n)) {
    case SAME:
        return 0;
    case ADD:
        if (members_of(v) >= NODES_MAX) {
            WHY("the configuration is full; a node has to leave first");
            return 0;
        }
        WHY("it comes in as a standby");
        return 1;
    case PROMOTE:
        return may_promote(v, n, why) ? 4 : 0;
    case REMOVE:
        if (n->member == CONSENSUS_STANDBY) {
            WHY("it is being taken out");
            return 2;
        }
        break;
    case DEMOTE:
        break;
    }
    if (!may_drop(v, n, why)) {
        return 0;
    }
    WHY("its vote is being taken");
    return n->dead ? 3 : 5;
}

static const char *what_of(enum difference d)
{
    switch (d) {
    case SAME:
        break;
    case ADD:
        return "add";
    case PROMOTE:
        return "promote";
    case DEMOTE:
        return "demote";
    case REMOVE:
        return "remove";
    }
    return "";
}

static void choose(const struct plan_view *v, const struct plan_node *n, struct plan *p)
{
    p->id = n->id;
    switch (difference_of(n)) {
    case SAME:
        require(false);
        break;
    case ADD:
        p->step = PLAN_ADD;
        break;
    case PROMOTE:
        p->step = PLAN_PROMOTE;
        break;
    case DEMOTE:
        p->step = PLAN_DEMOTE;
        break;
    case REMOVE:
        p->step = PLAN_REMOVE;
        break;
    }
    if (n->id == v->self && (p->step == PLAN_DEMOTE || p->step == PLAN_REMOVE)) {
        p->id = next_leader(v);
        p->step = p->id == 0 ? PLAN_NOTHING : PLAN_TRANSFER;
    }
}

void plan_make(const struct plan_view *v, struct plan *ret)
{
    int best = 0;
    require(v != NULL);
    require(v->count <= 2 * (size_t)NODES_MAX);
    *ret = (struct plan){.step = PLAN_NOTHING};
    for (size_t i = 0; i < v->count; i++) {
        const struct plan_node *n = &v->nodes[i];
        enum difference d = difference_of(n);
        if (d == SAME) {
            continue;
        }
        struct plan_pending *pending = &ret->pending[ret->pending_count++];
        *pending = (struct plan_pending){.id = n->id, .what = what_of(d)};
        int rank = rank_of(v, n, pending->why);
        if (rank != 0 && (best == 0 || rank < best)) {
            best = rank;
            choose(v, n, ret);
        }
    }
    for (size_t i = 0; v->changing && i < ret->pending_count; i++) {
        (void)snprintf(ret->pending[i].why, PLAN_WHY_MAX,
                       "a change of the configuration is being committed");
    }
    if (v->changing || !v->leads) {
        ret->step = PLAN_NOTHING;
        ret->id = 0;
    }
}
