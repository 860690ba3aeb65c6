#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/require.h"

enum { LOG_LINE_MAX = 1024 };

static enum log_level least = LOG_LEVEL_INFO;

void log_set_level(enum log_level level)
{
    least = level;
}

void log_line(enum log_level level, const char *fmt, ...)
{
    static const char *const names[] = {"DEBUG", "INFO ", "WARN ", "ERROR"};
    char line[LOG_LINE_MAX];
    struct timespec now;
    struct tm tm;
    if (level < least) {
        return;
    }
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    size_t at = strftime(line, sizeof line, "%Y-%m-%dT%H:%M:%S", &tm);
    at += (size_t)snprintf(line + at, sizeof line - at, ".%03ldZ %s ", now.tv_nsec / 1000000,
                           names[level]);
    va_list ap;
    va_start(ap, fmt);
    int more = vsnprintf(line + at, sizeof line - at - 1, fmt, ap);
    va_end(ap);
    require(more >= 0);
    size_t size = at + (size_t)more < sizeof line - 2 ? at + (size_t)more : sizeof line - 2;
    for (size_t i = at; i < size; i++) {
        line[i] = (unsigned char)line[i] < ' ' ? '?' : line[i];
    }
    line[size++] = '\n';
    if (write(STDERR_FILENO, line, size) < 0) {
        return; /* Nobody is left to tell. */
    }
}
