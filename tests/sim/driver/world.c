/* Random numbers, virtual time and the queue of events. */
#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"
#include "tests/sim/driver/sim.h"

/* SplitMix64 (Steele, Lea, Flood 2014). */
uint64_t sim_random(struct sim *s)
{
    uint64_t z = (s->random += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

uint64_t sim_between(struct sim *s, uint64_t lo, uint64_t hi)
{
    return lo + sim_random(s) % (hi - lo + 1);
}

bool sim_chance(struct sim *s, double p)
{
    return (double)(sim_random(s) >> 11) / 9007199254740992.0 < p;
}

uint64_t sim_mix(uint64_t h, uint64_t x)
{
    h ^= x + UINT64_C(0x9e3779b97f4a7c15) + (h << 6) + (h >> 2);
    h *= UINT64_C(0xff51afd7ed558ccd);
    return h ^ (h >> 33);
}

uint64_t sim_hash_entry(uint64_t h, const struct entry *e)
{
    h = sim_mix(sim_mix(sim_mix(h, e->term), (uint64_t)e->type), e->size);
    for (uint32_t i = 0; i < e->size; i++) {
        h = sim_mix(h, e->data[i]);
    }
    return h;
}

static bool before(const struct event *a, const struct event *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->order < b->order;
}

void sim_push(struct sim *s, struct event e)
{
    e.order = ++s->order;
    if (s->heap_count == s->heap_capacity) {
        s->heap_capacity = s->heap_capacity == 0 ? 1024 : 2 * s->heap_capacity;
        s->heap = mem_resize(s->heap, s->heap_capacity, sizeof *s->heap);
    }
    uint64_t i = s->heap_count++;
    for (; i > 0 && before(&e, &s->heap[(i - 1) / 2]); i = (i - 1) / 2) {
        s->heap[i] = s->heap[(i - 1) / 2];
    }
    s->heap[i] = e;
}

struct event sim_pop(struct sim *s)
{
    struct event top = s->heap[0];
    struct event e = s->heap[--s->heap_count];
    uint64_t i = 0;
    for (uint64_t child = 1; child < s->heap_count; child = 2 * i + 1) {
        if (child + 1 < s->heap_count && before(&s->heap[child + 1], &s->heap[child])) {
            child++;
        }
        if (!before(&s->heap[child], &e)) {
            break;
        }
        s->heap[i] = s->heap[child];
        i = child;
    }
    s->heap[i] = e;
    return top;
}

void sim_at(struct sim *s, uint64_t delay_us, enum event_kind kind, uint64_t id, uint64_t arg)
{
    sim_push(s, (struct event){.at_us = s->now_us + delay_us, .kind = kind, .id = id, .arg = arg});
}

void sim_say(struct sim *s, const char *fmt, ...)
{
    va_list ap;
    if (!s->trace) {
        return;
    }
    printf("[%10.3f] ", (double)s->now_us / 1e6);
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    putchar('\n');
}

void sim_violation(struct sim *s, const char *fmt, ...)
{
    va_list ap;
    if (s->violated) {
        return;
    }
    va_start(ap, fmt);
    (void)vsnprintf(s->violation, sizeof s->violation, fmt, ap);
    va_end(ap);
    s->violated = true;
}
