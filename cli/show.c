#include "cli/show.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/hex.h"
#include "base/mem.h"

json_t *show_text(struct bytes text)
{
    json_t *value = text.size == 0 ? json_string("")
                                   : json_stringn((const char *)text.data, text.size);
    return value == NULL ? json_string("") : value;
}

json_t *show_hex(struct bytes bytes)
{
    char *text = mem_new(1, bytes.size * 2 + 1);
    hex_encode(bytes, text);
    json_t *value = json_string(text);
    free(text);
    return value;
}

void show_time(uint64_t unix_ns, char ret[SHOW_TIME_SIZE])
{
    time_t seconds = (time_t)(unix_ns / NS_PER_S);
    struct tm tm;
    char day[24] = "?";
    if (gmtime_r(&seconds, &tm) != NULL) {
        strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &tm);
    }
    snprintf(ret, SHOW_TIME_SIZE, "%s.%03uZ", day, (unsigned)(unix_ns % NS_PER_S / NS_PER_MS));
}

json_t *show_time_json(uint64_t unix_ns)
{
    char text[SHOW_TIME_SIZE];
    show_time(unix_ns, text);
    return json_string(text);
}

json_t *show_at(const struct at *at)
{
    return json_pack("{s:I,s:o,s:I,s:o}", "height", (json_int_t)at->height, "time",
                     show_time_json(at->time_ns), "size", (json_int_t)at->size, "digest",
                     show_hex(bytes_of(at->digest, sizeof at->digest)));
}

const char *show_end(enum end end)
{
    switch (end) {
    case END_ACCEPTED:
        return "accepted";
    case END_REJECTED:
        return "rejected";
    case END_FAULT:
        return "fault";
    case END_UNSPECIFIED:
        break;
    }
    return "unknown";
}

json_t *show_outcome(const struct event_outcome *o)
{
    json_t *j = json_pack("{s:I,s:s,s:o,s:o,s:I}", "position", (json_int_t)o->position, "end",
                          show_end(o->end), "contract", show_text(o->contract), "action",
                          show_text(o->action), "version", (json_int_t)o->contract_version);
    if (o->end != END_ACCEPTED) {
        json_object_set_new(j, "clause", show_text(o->clause));
        json_object_set_new(j, "line", json_integer(o->line));
    }
    if (o->end == END_REJECTED) {
        json_object_set_new(j, "why", show_text(o->text));
    }
    if (o->end == END_FAULT) {
        json_object_set_new(j, "fault", show_text(o->kind));
    }
    return j;
}

void show_outcome_line(const struct event_outcome *o)
{
    struct bytes why = o->end == END_FAULT ? o->kind : o->text;
    printf("%8llu  %-8s  %.*s.%.*s", (unsigned long long)o->position, show_end(o->end),
           (int)o->contract.size, (const char *)o->contract.data, (int)o->action.size,
           (const char *)o->action.data);
    if (o->end != END_ACCEPTED) {
        printf("  clause %.*s: %.*s", (int)o->clause.size, (const char *)o->clause.data,
               (int)why.size, (const char *)why.data);
    }
    if (o->end != END_ACCEPTED && o->line > 0) {
        printf(" (line %u)", o->line);
    }
    putchar('\n');
}

json_t *show_reply_json(const struct submit_reply *r)
{
    json_t *outcomes = json_array();
    for (size_t i = 0; i < r->outcome_count; i++) {
        json_array_append_new(outcomes, show_outcome(&r->outcomes[i]));
    }
    return json_pack("{s:I,s:o,s:o,s:o,s:b,s:o}", "height", (json_int_t)r->height, "time",
                     show_time_json(r->time_ns), "request_hash",
                     show_hex(bytes_of(r->request_hash, 32)), "digest",
                     show_hex(bytes_of(r->digest, 32)), "duplicate", r->duplicate, "outcomes",
                     outcomes);
}

void show_reply(const struct submit_reply *r, bool json)
{
    char time[SHOW_TIME_SIZE];
    if (json) {
        show_json_line(show_reply_json(r));
        return;
    }
    show_time(r->time_ns, time);
    printf("block %llu, %s%s\n", (unsigned long long)r->height, time,
           r->duplicate ? " (answered before: this is that answer)" : "");
    for (size_t i = 0; i < r->outcome_count; i++) {
        show_outcome_line(&r->outcomes[i]);
    }
}

void show_json(json_t *document)
{
    json_dumpf(document, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(document);
}

void show_json_line(json_t *document)
{
    json_dumpf(document, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(document);
}
