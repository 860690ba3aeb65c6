#include "verify/report.h"

#include <stdio.h>
#include <time.h>

#include "base/hex.h"
#include "base/require.h"

enum { REPORT_BYTES_MAX = 1 << 30, WORDS_MAX = 512 };

void report_init(struct report *r, bool json, bool proved)
{
    r->json = json;
    buf_init(&r->b, REPORT_BYTES_MAX);
    if (json) {
        buf_printf(&r->b, "{\"proved\":%s", proved ? "true" : "false");
    } else {
        buf_put_text(&r->b, proved ? "PROVED\n" : "NOT CHECKED: it only claims this\n");
    }
}

/* Text that came from outside, in quotes or for a terminal. */
static void put_safe(struct report *r, struct bytes value)
{
    for (size_t i = 0; i < value.size; i++) {
        uint8_t c = value.data[i];
        if (c < ' ' || c == 0x7f) {
            c = '?';
        }
        if (r->json && (c == '"' || c == '\\')) {
            buf_put_u8(&r->b, '\\');
        }
        buf_put_u8(&r->b, c);
    }
}

/* The key of a value, with the comma before it unless it is the first of its object. */
static void put_key(struct report *r, const char *key)
{
    require(r->b.size > 0);
    buf_printf(&r->b, "%s\"%s\":", r->b.data[r->b.size - 1] == '{' ? "" : ",", key);
}

void report_text(struct report *r, const char *label, const char *key, struct bytes value)
{
    if (r->json) {
        put_key(r, key);
        buf_put_u8(&r->b, '"');
        put_safe(r, value);
        buf_put_u8(&r->b, '"');
    } else if (label != NULL) {
        buf_printf(&r->b, "  %-14s ", label);
        put_safe(r, value);
        buf_put_u8(&r->b, '\n');
    }
}

void report_words(struct report *r, const char *label, const char *key, const char *fmt, ...)
{
    char words[WORDS_MAX];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(words, sizeof words, fmt, ap);
    va_end(ap);
    report_text(r, label, key, bytes_text(words));
}

void report_hex(struct report *r, const char *label, const char *key, const uint8_t value[32])
{
    char text[2 * 32 + 1];
    hex_encode(bytes_of(value, 32), text);
    report_text(r, label, key, bytes_text(text));
}

void report_number(struct report *r, const char *label, const char *key, int64_t value)
{
    if (r->json) {
        put_key(r, key);
        buf_printf(&r->b, "%lld", (long long)value);
    } else if (label != NULL) {
        buf_printf(&r->b, "  %-14s %lld\n", label, (long long)value);
    }
}

void report_fact(struct report *r, const char *key, bool value)
{
    if (r->json) {
        put_key(r, key);
        buf_put_text(&r->b, value ? "true" : "false");
    }
}

void report_list(struct report *r, const char *key)
{
    if (r->json) {
        put_key(r, key);
        buf_put_u8(&r->b, '[');
    }
}

void report_json(struct report *r, const char *text)
{
    if (r->json) {
        buf_put_text(&r->b, text);
    }
}

void report_line(struct report *r, const char *fmt, ...)
{
    char words[WORDS_MAX];
    va_list ap;
    if (!r->json) {
        va_start(ap, fmt);
        (void)vsnprintf(words, sizeof words, fmt, ap);
        va_end(ap);
        put_safe(r, bytes_text(words));
        buf_put_u8(&r->b, '\n');
    }
}

void report_voices(struct report *r, const char *label, const char *key,
                   const struct policy_voices *voices)
{
    bool first = true;
    report_list(r, key);
    for (size_t i = 0; i < voices->count; i++) {
        const struct policy_voice *v = &voices->list[i];
        char time[REPORT_TIME_SIZE] = "";
        if (v->key->kind != NOTE_COSIGNATURE) {
            continue; /* the log's own lines: an institution speaks by its cosignature */
        }
        if (v->time_s > 0 && v->time_s < UINT64_MAX / 1000000000) {
            report_time(v->time_s * 1000000000, time);
        }
        report_json(r, first ? "{" : ",{");
        report_text(r, NULL, "institution", v->group);
        report_text(r, NULL, "key", bytes_text(v->key->name));
        report_text(r, NULL, "time", bytes_text(time));
        report_fact(r, "counts", v->counts);
        report_json(r, "}");
        report_line(r, "  %-14s %.*s%s%s, key %s%s", first ? label : "", (int)v->group.size,
                    v->group.size > 0 ? (const char *)v->group.data : "", time[0] ? " at " : "",
                    time, v->key->name, v->counts ? "" : " (does not count at this size)");
        first = false;
    }
    report_json(r, "]");
}

void report_time(uint64_t unix_ns, char ret[REPORT_TIME_SIZE])
{
    struct tm tm;
    char day[24];
    time_t s = (time_t)(unix_ns / 1000000000);
    require(gmtime_r(&s, &tm) != NULL); /* years 1970 to 2554 */
    (void)strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &tm);
    (void)snprintf(ret, REPORT_TIME_SIZE, "%s.%03uZ", day,
                   (unsigned)(unix_ns % 1000000000 / 1000000));
}

bool report_write(struct report *r)
{
    buf_put_text(&r->b, r->json ? "}\n" : "");
    return !r->b.overflow && fwrite(r->b.data, 1, r->b.size, stdout) == r->b.size &&
           fflush(stdout) == 0;
}
