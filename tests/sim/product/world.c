#include "world.h"

#include <stdarg.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/require.h"

/* ---- random ---- */

uint64_t draw(uint64_t *stream)
{
    uint64_t z = (*stream += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

uint64_t draw_below(uint64_t *stream, uint64_t n)
{
    require(n > 0);
    return draw(stream) % n;
}

bool draw_chance(uint64_t *stream, uint32_t ppm)
{
    return draw(stream) % 1000000 < ppm;
}

/* ---- events: a heap by time, then by order of making ---- */

static bool before(const struct happening *a, const struct happening *b)
{
    return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->sequence < b->sequence;
}

static void sift_up(struct world *w, size_t slot)
{
    struct happening *event = w->heap[slot];
    while (slot > 0 && before(event, w->heap[(slot - 1) / 2])) {
        w->heap[slot] = w->heap[(slot - 1) / 2];
        slot = (slot - 1) / 2;
    }
    w->heap[slot] = event;
}

static void sift_down(struct world *w)
{
    struct happening *event = w->heap[0];
    size_t slot = 0;
    for (size_t child = 1; child < w->heap_count; child = 2 * slot + 1) {
        if (child + 1 < w->heap_count && before(w->heap[child + 1], w->heap[child])) {
            child++;
        }
        if (!before(w->heap[child], event)) {
            break;
        }
        w->heap[slot] = w->heap[child];
        slot = child;
    }
    w->heap[slot] = event;
}

void world_after(struct world *w, struct happening *event, uint64_t after_ns)
{
    require(event->run != NULL);
    require(event->drop != NULL);
    if (w->heap_count == w->heap_capacity) {
        w->heap_capacity = w->heap_capacity == 0 ? 256 : 2 * w->heap_capacity;
        w->heap = mem_resize(w->heap, w->heap_capacity, sizeof *w->heap);
    }
    event->world = w;
    event->at_ns = w->now_ns + after_ns;
    event->sequence = w->sequence++;
    w->heap[w->heap_count++] = event;
    sift_up(w, w->heap_count - 1);
}

static struct happening *take_first(struct world *w)
{
    struct happening *first = w->heap[0];
    w->heap[0] = w->heap[--w->heap_count];
    if (w->heap_count > 0) {
        sift_down(w);
    }
    return first;
}

bool world_step(struct world *w)
{
    if (w->heap_count == 0) {
        return false;
    }
    struct happening *event = take_first(w);
    require(event->at_ns >= w->now_ns);
    w->now_ns = event->at_ns;
    w->steps++;
    event->run(event);
    return true;
}

void world_clear(struct world *w)
{
    while (w->heap_count > 0) {
        struct happening *event = take_first(w);
        event->drop(event);
    }
    free(w->heap);
    w->heap = NULL;
    w->heap_capacity = 0;
}

/* ---- telling ---- */

void trace(const struct world *w, const char *fmt, ...)
{
    if (!w->options.trace) {
        return;
    }
    va_list ap;
    printf("%10llu.%06llu %7llu ", (unsigned long long)(w->now_ns / NS_PER_MS),
           (unsigned long long)(w->now_ns % NS_PER_MS), (unsigned long long)w->steps);
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    putchar('\n');
}

void violation(const struct world *w, const char *fmt, ...)
{
    va_list ap;
    fflush(stdout);
    if (w->options.expected) {
        fprintf(stderr, "found by history %llu: ",
                (unsigned long long)(w->options.seed - w->options.first + 1));
    }
    fprintf(stderr, "VIOLATION seed %llu, step %llu, time %llu ms, %u nodes: ",
            (unsigned long long)w->options.seed, (unsigned long long)w->steps,
            (unsigned long long)(w->now_ns / NS_PER_MS), w->nodes);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    _Exit(w->options.expected ? 0 : 3);
}
