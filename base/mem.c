#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

#include "base/require.h"

void *mem_new(size_t count, size_t size)
{
    void *p = calloc(count == 0 ? 1 : count, size == 0 ? 1 : size);
    if (p == NULL) {
        die("out of memory (%zu x %zu bytes)", count, size);
    }
    return p;
}

void *mem_resize(void *array, size_t count, size_t size)
{
    size_t bytes = 0;
    if (__builtin_mul_overflow(count, size, &bytes)) {
        die("size overflow (%zu x %zu bytes)", count, size);
    }
    void *p = realloc(array, bytes == 0 ? 1 : bytes);
    if (p == NULL) {
        die("out of memory (%zu bytes)", bytes);
    }
    return p;
}

void *mem_copy(const void *data, size_t size)
{
    require(data != NULL || size == 0);
    void *p = mem_resize(NULL, size, 1);
    if (size > 0) {
        memcpy(p, data, size);
    }
    return p;
}

char *mem_text(const char *text)
{
    require(text != NULL);
    return mem_copy(text, strlen(text) + 1);
}

void mem_wipe(void *secret, size_t size)
{
    require(secret != NULL || size == 0);
    if (size > 0) {
        explicit_bzero(secret, size);
    }
}
