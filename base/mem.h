/* Heap memory. Exhaustion dies: every size is bounded by limits.h, so it means a leak or a machine
 * that is too small, and a node that goes on half-built is worse than one that restarts. */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>

/* Zeroed memory of count * size bytes (overflow dies); the caller frees it with free(). */
void *mem_new(size_t count, size_t size);

/* Resizes an array; on return the old pointer is gone. New bytes are not initialised. */
void *mem_resize(void *array, size_t count, size_t size);

/* A heap copy of size bytes (of 1 byte when size is 0). */
void *mem_copy(const void *data, size_t size);

/* A heap copy of a text. */
char *mem_text(const char *text);

/* Wipes a secret in a way that the compiler may not leave out. */
void mem_wipe(void *secret, size_t size);

#endif
