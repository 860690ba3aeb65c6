#include "base/require.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void require_failed(const char *fact, const char *file, int line)
{
    fprintf(stderr, "concordat: internal error at %s:%d: require(%s)\n", file, line, fact);
    abort();
}

void die(const char *fmt, ...)
{
    va_list ap;
    fputs("concordat: fatal: ", stderr);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    abort();
}
