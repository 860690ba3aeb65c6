/* Bump allocation for what lives as long as one request, one block or one compile. Everything is
 * freed together. An arena has a limit; at the limit arena_try answers NULL, arena_new dies. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>

#include "base/bytes.h"

struct arena_chunk;
struct arena {
    struct arena_chunk *chunks; /* owned, newest first */
    size_t used, size_max;      /* bytes handed out; the limit */
};

/* Allocates nothing until the first use. */
void arena_init(struct arena *a, size_t size_max);

/* Frees everything; accepts an all-zero struct. */
void arena_done(struct arena *a);

/* Takes size bytes at once, of an arena that holds nothing: what is then allocated up to that size
 * asks the system for nothing, round after round. Dies beyond the limit. */
void arena_reserve(struct arena *a, size_t size);

/* Forgets everything, keeps the largest chunk for the next round. */
void arena_reset(struct arena *a);

/* Zeroed, 16-byte aligned memory of count * size bytes, or NULL beyond the limit. Sizes that come
 * from input use this one. */
void *arena_try(struct arena *a, size_t count, size_t size);

/* The same for sizes that a limit proves: beyond the limit it dies. */
void *arena_new(struct arena *a, size_t count, size_t size);

/* A copy of the bytes, followed by a NUL that size does not count. Dies beyond the limit. */
struct bytes arena_copy(struct arena *a, struct bytes b);

/* A copy as a C text. Dies beyond the limit. */
char *arena_text(struct arena *a, struct bytes b);

/* printf into the arena. Dies beyond the limit. */
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
