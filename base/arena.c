#include "base/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/require.h"

enum { ARENA_ALIGN = 16, ARENA_CHUNK_MIN = 4096, ARENA_CHUNK_MAX = 1 << 20 };

struct arena_chunk {
    struct arena_chunk *next;
    size_t at, capacity;
    _Alignas(ARENA_ALIGN) uint8_t data[];
};

void arena_init(struct arena *a, size_t size_max)
{
    require(a != NULL);
    require(size_max > 0);
    *a = (struct arena){NULL, 0, size_max};
}

static void free_chunks(struct arena_chunk *c)
{
    while (c != NULL) {
        struct arena_chunk *next = c->next;
        free(c);
        c = next;
    }
}

void arena_done(struct arena *a)
{
    require(a != NULL);
    free_chunks(a->chunks);
    a->chunks = NULL;
    a->used = 0;
}

void arena_reset(struct arena *a)
{
    require(a != NULL);
    struct arena_chunk *largest = a->chunks;
    for (struct arena_chunk *c = a->chunks; c != NULL; c = c->next) {
        largest = c->capacity > largest->capacity ? c : largest;
    }
    struct arena_chunk *c = a->chunks;
    while (c != NULL) {
        struct arena_chunk *next = c->next;
        if (c != largest) {
            free(c);
        }
        c = next;
    }
    a->chunks = largest;
    if (largest != NULL) {
        largest->next = NULL;
        largest->at = 0;
    }
    a->used = 0;
}

/* Chunks double in size so that a large arena needs few of them. */
static struct arena_chunk *add_chunk(struct arena *a, size_t need)
{
    size_t capacity = a->chunks == NULL ? ARENA_CHUNK_MIN : a->chunks->capacity * 2;
    if (capacity > ARENA_CHUNK_MAX) {
        capacity = ARENA_CHUNK_MAX;
    }
    if (capacity < need) {
        capacity = need;
    }
    struct arena_chunk *c = mem_resize(NULL, sizeof *c + capacity, 1);
    c->next = a->chunks;
    c->at = 0;
    c->capacity = capacity;
    a->chunks = c;
    return c;
}

void arena_reserve(struct arena *a, size_t size)
{
    require(a != NULL);
    require(a->used == 0);
    require(size <= a->size_max);
    arena_done(a);
    (void)add_chunk(a, size);
}

void *arena_try(struct arena *a, size_t count, size_t size)
{
    size_t bytes = 0;
    require(a->size_max > 0);
    if (__builtin_mul_overflow(count, size, &bytes) || bytes > a->size_max - a->used) {
        return NULL;
    }
    bytes = (bytes + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN;
    struct arena_chunk *c = a->chunks;
    if (c == NULL || bytes > c->capacity - c->at) {
        c = add_chunk(a, bytes);
    }
    void *p = c->data + c->at;
    c->at += bytes;
    a->used += bytes < a->size_max - a->used ? bytes : a->size_max - a->used;
    memset(p, 0, bytes);
    return p;
}

void *arena_new(struct arena *a, size_t count, size_t size)
{
    void *p = arena_try(a, count, size);
    if (p == NULL) {
        die("an arena of %zu bytes is too small for %zu x %zu more", a->size_max, count, size);
    }
    return p;
}

struct bytes arena_copy(struct arena *a, struct bytes b)
{
    uint8_t *p = arena_new(a, b.size + 1, 1);
    if (b.size > 0) {
        memcpy(p, b.data, b.size);
    }
    return bytes_of(p, b.size);
}

char *arena_text(struct arena *a, struct bytes b)
{
    char *p = arena_new(a, b.size + 1, 1);
    if (b.size > 0) {
        memcpy(p, b.data, b.size);
    }
    return p;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
    require(fmt != NULL);
    va_list ap;
    va_start(ap, fmt);
    va_list again;
    va_copy(again, ap);
    int size = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    require(size >= 0);
    char *text = arena_new(a, (size_t)size + 1, 1);
    vsnprintf(text, (size_t)size + 1, fmt, again);
    va_end(again);
    return text;
}
