#include "server/queue.h"

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/require.h"

void queue_init(struct block_queue *q, uint64_t seed0, uint64_t seed1)
{
    *q = (struct block_queue){0};
    map_init(&q->parties, seed0, seed1);
    q->govern_last = &q->govern_first;
    q->turn_last = &q->turn_first;
}

void queue_done(struct block_queue *q)
{
    size_t at = 0;
    struct bytes name;
    void *party;
    while (map_next(&q->parties, &at, &name, &party)) {
        free(party);
    }
    map_done(&q->parties);
    *q = (struct block_queue){0};
}

bool queue_has_share(const struct block_queue *q, struct bytes party)
{
    const struct queue_party *p = map_get(&q->parties, party);
    return p == NULL || p->held < INFLIGHT_PARTY_MAX;
}

static struct queue_party *party_of(struct block_queue *q, struct bytes name)
{
    struct queue_party *p = map_get(&q->parties, name);
    if (p != NULL) {
        return p;
    }
    p = mem_new(1, sizeof *p + name.size);
    p->last = &p->first;
    p->name_size = name.size;
    memcpy(p->name, name.data, name.size);
    void *old = map_put(&q->parties, name, p);
    require(old == NULL);
    return p;
}

static void wait_turn(struct block_queue *q, struct queue_party *p)
{
    p->waits = true;
    p->next = NULL;
    p->prev = q->turn_last;
    *q->turn_last = p;
    q->turn_last = &p->next;
}

static void leave_turns(struct block_queue *q, struct queue_party *p)
{
    require(p->waits);
    *p->prev = p->next;
    *(p->next == NULL ? &q->turn_last : &p->next->prev) = p->prev;
    p->next = NULL;
    p->waits = false;
}

void queue_add(struct block_queue *q, struct inflight *r)
{
    require(r->state == INFLIGHT_QUEUED);
    require(r->party == NULL);
    struct queue_party *p = party_of(q, inflight_party(r));
    r->party = p;
    r->queue_next = NULL;
    p->held++;
    q->count++;
    if (r->governance) {
        *q->govern_last = r;
        q->govern_last = &r->queue_next;
        return;
    }
    *p->last = r;
    p->last = &r->queue_next;
    if (!p->waits) {
        wait_turn(q, p);
    }
}

void queue_begin(struct block_queue *q)
{
    q->governed = 0;
}

static bool governance_first(const struct block_queue *q)
{
    return q->govern_first != NULL && (q->turn_first == NULL || q->governed < GOVERNANCE_FIRST_MAX);
}

struct inflight *queue_peek(const struct block_queue *q)
{
    if (governance_first(q)) {
        return q->govern_first;
    }
    return q->turn_first == NULL ? NULL : q->turn_first->first;
}

/* Takes the first off a line. */
static struct inflight *shift(struct inflight **first, struct inflight ***last)
{
    struct inflight *r = *first;
    require(r != NULL);
    *first = r->queue_next;
    if (r->queue_next == NULL) {
        *last = first;
    }
    r->queue_next = NULL;
    return r;
}

struct inflight *queue_pop(struct block_queue *q)
{
    require(q->count > 0);
    q->count--;
    if (governance_first(q)) {
        q->governed++;
        return shift(&q->govern_first, &q->govern_last);
    }
    struct queue_party *p = q->turn_first;
    require(p != NULL);
    struct inflight *r = shift(&p->first, &p->last);
    leave_turns(q, p);
    if (p->first != NULL) {
        wait_turn(q, p);
    }
    return r;
}

static void unshift(struct inflight **first, struct inflight ***last, struct inflight *r)
{
    r->queue_next = *first;
    if (*first == NULL) {
        *last = &r->queue_next;
    }
    *first = r;
}

/* Undoes a pop: its party's turn is the first. */
static void first_again(struct block_queue *q, struct inflight *r)
{
    struct queue_party *p = r->party;
    q->count++;
    if (r->governance) {
        unshift(&q->govern_first, &q->govern_last, r);
        return;
    }
    unshift(&p->first, &p->last, r);
    if (p->waits) {
        leave_turns(q, p);
    }
    p->waits = true;
    p->next = q->turn_first;
    p->prev = &q->turn_first;
    *(p->next == NULL ? &q->turn_last : &p->next->prev) = &p->next;
    q->turn_first = p;
}

void queue_return(struct block_queue *q, struct inflight *first)
{
    struct inflight *reversed = NULL;
    while (first != NULL) {
        struct inflight *next = first->queue_next;
        first->queue_next = reversed;
        reversed = first;
        first = next;
    }
    while (reversed != NULL) {
        struct inflight *next = reversed->queue_next;
        first_again(q, reversed);
        reversed = next;
    }
}

void queue_clear(struct block_queue *q)
{
    queue_begin(q);
    while (q->count > 0) {
        (void)queue_pop(q);
    }
}

void queue_release(struct block_queue *q, struct inflight *r)
{
    struct queue_party *p = r->party;
    if (p == NULL) {
        return;
    }
    require(p->held > 0);
    r->party = NULL;
    p->held--;
    if (p->held == 0) {
        require(!p->waits);
        void *old = map_remove(&q->parties, bytes_of(p->name, p->name_size));
        require(old == p);
        free(p);
    }
}
