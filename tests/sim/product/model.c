#include "tests/sim/product/model.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/require.h"
#include "tests/sim/product/officer.h"

#define NO_REQUEST UINT64_MAX
enum { MEMBERS_MAX = 1024 };

struct level {
    uint64_t raft_index, time_ns, positions; /* records up to and with this block */
    uint8_t digest[32], block_hash[32];
    int64_t balances[FIXTURE_WALLETS];
};

struct slot {                /* of a record */
    uint64_t height, number; /* NO_REQUEST: a timer */
    enum ledger_end end;
};

struct model {
    struct world *world;
    struct level *levels; /* by height; 0: genesis */
    size_t level_count, level_capacity;
    struct slot *slots; /* by position */
    size_t slot_count, slot_capacity;
    struct fate *fates;
    size_t fate_capacity;
    struct member_fate {
        uint64_t number;
        struct fate fate;
    } members[MEMBERS_MAX]; /* changes of the nodes that were asked for */
    size_t member_count;
    uint64_t next_request, floor;
};

struct model *model_new(struct world *w)
{
    struct model *model = mem_new(1, sizeof *model);
    model->world = w;
    model->level_capacity = 256;
    model->levels = mem_new(model->level_capacity, sizeof *model->levels);
    model->level_count = 1;
    return model;
}

void model_free(struct model *model)
{
    free(model->levels);
    free(model->slots);
    free(model->fates);
    free(model);
}

uint64_t model_next_request(struct model *model)
{
    return model->next_request++;
}

static struct fate *member_fate(struct model *model, uint64_t number)
{
    for (size_t i = model->member_count; i > 0; i--) {
        if (model->members[i - 1].number == number) {
            return &model->members[i - 1].fate;
        }
    }
    require(model->member_count < MEMBERS_MAX);
    struct member_fate *m = &model->members[model->member_count++];
    *m = (struct member_fate){.number = number};
    return &m->fate;
}

struct fate *model_fate(struct model *model, uint64_t number)
{
    if (number >= MEMBER_NUMBERS) {
        return member_fate(model, number);
    }
    if (number >= model->fate_capacity) {
        size_t capacity = (size_t)number + 1024;
        model->fates = mem_resize(model->fates, capacity, sizeof *model->fates);
        memset(model->fates + model->fate_capacity, 0,
               (capacity - model->fate_capacity) * sizeof *model->fates);
        model->fate_capacity = capacity;
    }
    return &model->fates[number];
}

uint64_t model_height(const struct model *model)
{
    return model->level_count - 1;
}

uint64_t model_floor(const struct model *model)
{
    return model->floor;
}

static void heard_of(struct model *model, uint64_t height)
{
    model->floor = height > model->floor ? height : model->floor;
}

/* ---- blocks ---- */

static void slot_set(struct model *model, uint64_t position, const struct slot *slot)
{
    while (position >= model->slot_capacity) {
        size_t capacity = model->slot_capacity == 0 ? 1024 : 2 * model->slot_capacity;
        model->slots = mem_resize(model->slots, capacity, sizeof *model->slots);
        model->slot_capacity = capacity;
    }
    model->slots[position] = *slot;
}

/* A request is recorded for the first time. */
static void record(struct model *model, uint64_t number, const struct ledger_applied *a,
                   struct level *level)
{
    struct world *w = model->world;
    const struct request *r = fixture_request(w->fixture, number);
    struct fate *fate = model_fate(model, number);
    const struct ledger_outcome *outcome = &a->answer.outcomes[0];
    uint64_t height = model->level_count;
    if (fate->height != 0) {
        violation(w, "request %llu is recorded at height %llu and again at %llu",
                  (unsigned long long)number, (unsigned long long)fate->height,
                  (unsigned long long)height);
    }
    if (fate->forbidden || (fate->open == 0 && !fate->maybe)) {
        violation(w, "request %llu is recorded at height %llu although each attempt was refused",
                  (unsigned long long)number, (unsigned long long)height);
    }
    if (memcmp(a->request_hash, r->hash, sizeof r->hash) != 0 || a->answer.outcome_count != 1) {
        violation(w, "request %llu is recorded as another one", (unsigned long long)number);
    }
    bool fine = r->kind != REQUEST_PAY || r->debtor != r->creditor;
    bool either = r->kind == REQUEST_MEMBER && outcome->end != LEDGER_FAULT;
    if (!either && outcome->end != (fine ? LEDGER_ACCEPTED : LEDGER_REJECTED)) {
        violation(w, "request %llu ended with outcome %d, clause %.*s", (unsigned long long)number,
                  (int)outcome->end, (int)outcome->clause.size, (const char *)outcome->clause.data);
    }
    fate->height = height;
    fate->position = outcome->position;
    fate->end = outcome->end;
    if (r->kind == REQUEST_PAY && fine) {
        level->balances[r->debtor] -= r->cents;
        level->balances[r->creditor] += r->cents;
    }
    slot_set(model, outcome->position, &(struct slot){height, number, outcome->end});
}

static void check_void(struct model *model, uint64_t number, const struct ledger_applied *a,
                       const struct ledger_result *r)
{
    struct world *w = model->world;
    const struct request *request = fixture_request(w->fixture, number);
    const struct fate *fate = model_fate(model, number);
    bool fine = a->reason == REASON_DUPLICATE ? fate->height != 0
                : a->reason == REASON_EXPIRED
                    ? request->not_after_ns != 0 && request->not_after_ns < r->head.time_ns
                    : false;
    if (!fine) {
        violation(w, "request %llu is void at height %llu: %s", (unsigned long long)number,
                  (unsigned long long)r->head.height, reason_name(a->reason));
    }
}

static void new_level(struct machine *m, const struct ledger_result *r, uint64_t raft_index)
{
    struct model *model = m->world->model;
    if (model->level_count == model->level_capacity) {
        model->level_capacity *= 2;
        model->levels = mem_resize(model->levels, model->level_capacity, sizeof *model->levels);
    }
    struct level *level = &model->levels[model->level_count];
    const struct level *last = level - 1;
    *level = *last;
    level->raft_index = raft_index;
    level->time_ns = r->head.time_ns;
    level->positions = r->head.position;
    memcpy(level->digest, r->head.digest, sizeof level->digest);
    memcpy(level->block_hash, r->head.block_hash, sizeof level->block_hash);
    if (level->time_ns <= last->time_ns || raft_index <= last->raft_index ||
        level->positions < last->positions || r->position_first != last->positions) {
        violation(model->world, "block %llu does not follow the one before",
                  (unsigned long long)r->head.height);
    }
    const struct slot timer = {model->level_count, NO_REQUEST, LEDGER_ACCEPTED};
    for (uint64_t p = r->position_first; p < r->head.position; p++) {
        slot_set(model, p, &timer);
    }
    model->slot_count = (size_t)r->head.position;
    for (size_t i = 0; i < r->applied_count; i++) {
        const struct ledger_applied *a = &r->applied[i];
        uint64_t number = request_number(a->request_id);
        if (a->reason == REASON_NONE) {
            record(model, number, a, level);
        } else {
            check_void(model, number, a, r);
        }
    }
    model->level_count++;
    if (r->nodes_changed) {
        officer_table(m);
    }
    model->world->counts.blocks++;
    model->world->counts.timers += r->timers;
}

void model_applied(struct machine *m, const struct ledger_result *r, uint64_t raft_index)
{
    struct model *model = m->world->model;
    uint64_t height = r->head.height;
    if (height == 0 || height > model->level_count) {
        violation(m->world, "node %llu applied height %llu after %zu", (unsigned long long)m->id,
                  (unsigned long long)height, model->level_count - 1);
    }
    if (height == model->level_count) {
        new_level(m, r, raft_index);
        return;
    }
    const struct level *level = &model->levels[height];
    if (level->raft_index != raft_index || level->time_ns != r->head.time_ns ||
        level->positions != r->head.position ||
        memcmp(level->block_hash, r->head.block_hash, sizeof level->block_hash) != 0 ||
        memcmp(level->digest, r->head.digest, sizeof level->digest) != 0) {
        violation(m->world,
                  "node %llu has another block or digest at height %llu (entry %llu, %llu)",
                  (unsigned long long)m->id, (unsigned long long)height,
                  (unsigned long long)raft_index, (unsigned long long)level->raft_index);
    }
}

/* ---- what clients are told ---- */

void model_check_answer(struct model *model, uint64_t number, const struct submit_reply *reply)
{
    const struct fate *fate = model_fate(model, number);
    const struct request *r = fixture_request(model->world->fixture, number);
    bool same =
        reply->outcome_count == 1 && fate->height != 0 && reply->height == fate->height &&
        reply->outcomes[0].position == fate->position &&
        memcmp(reply->request_hash, r->hash, sizeof r->hash) == 0 &&
        reply->outcomes[0].end == (fate->end == LEDGER_ACCEPTED ? END_ACCEPTED : END_REJECTED) &&
        reply->time_ns == model->levels[fate->height].time_ns;
    if (!same) {
        violation(model->world, "request %llu was answered for height %llu, the ledger says %llu",
                  (unsigned long long)number, (unsigned long long)reply->height,
                  (unsigned long long)fate->height);
    }
    if (fate->forbidden) {
        violation(model->world, "request %llu was answered after it was refused for ever",
                  (unsigned long long)number);
    }
    heard_of(model, reply->height);
}

void model_check_refusal(struct model *model, uint64_t number, bool never)
{
    struct fate *fate = model_fate(model, number);
    if (fate->height != 0 && (never || (fate->open == 0 && !fate->maybe))) {
        violation(model->world, "request %llu was refused%s and is recorded at height %llu",
                  (unsigned long long)number, never ? " for ever" : "",
                  (unsigned long long)fate->height);
    }
    fate->forbidden = fate->forbidden || never;
}

static void check_at(struct model *model, const struct at *at, uint64_t floor, const char *what)
{
    struct world *w = model->world;
    if (at->height >= model->level_count) {
        violation(w, "%s speaks of height %llu, which nobody has reached", what,
                  (unsigned long long)at->height);
    }
    if (at->height < floor) {
        violation(w, "%s is stale: height %llu, %llu was known before it was asked", what,
                  (unsigned long long)at->height, (unsigned long long)floor);
    }
    const struct level *level = &model->levels[at->height];
    if (at->height > 0 && (memcmp(at->digest, level->digest, sizeof level->digest) != 0 ||
                           at->size != level->positions)) {
        violation(w, "%s has another digest at height %llu", what, (unsigned long long)at->height);
    }
}

void model_check_balance(struct model *model, uint32_t wallet, const struct balance_reply *reply,
                         uint64_t floor)
{
    check_at(model, &reply->at, floor, floor == 0 ? "a local read" : "a read");
    int64_t right = model->levels[reply->at.height].balances[wallet];
    if (reply->quanta != right) {
        violation(model->world, "wallet %u stands at %lld at height %llu, a read says %lld", wallet,
                  (long long)right, (unsigned long long)reply->at.height, (long long)reply->quanta);
    }
    if (floor != 0) {
        heard_of(model, reply->at.height);
    }
}

void model_check_record(struct model *model, const struct watch_entry *entry)
{
    struct world *w = model->world;
    if (entry->position >= model->slot_count) {
        violation(w, "record %llu is shown, which nobody has", (unsigned long long)entry->position);
    }
    const struct slot *slot = &model->slots[entry->position];
    bool same = slot->height == entry->height &&
                entry->time_ns == model->levels[slot->height].time_ns &&
                entry->end == (slot->end == LEDGER_ACCEPTED ? END_ACCEPTED : END_REJECTED);
    if (same && slot->number != NO_REQUEST) {
        const struct request *r = fixture_request(w->fixture, slot->number);
        same = memcmp(r->hash, entry->request_hash, sizeof r->hash) == 0;
    }
    if (!same) {
        violation(w, "record %llu is shown as one of height %llu, which it is not",
                  (unsigned long long)entry->position, (unsigned long long)entry->height);
    }
}
