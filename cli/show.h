/* How answers are shown: JSON of the messages that nodes send, times, tables. */
#ifndef CLI_SHOW_H
#define CLI_SHOW_H

#include <jansson.h>

#include "base/bytes.h"
#include "proto/service.h"

enum { SHOW_TIME_SIZE = 40 };

/* A new JSON text; bytes that are no UTF-8 become "". */
json_t *show_text(struct bytes text);

/* A new JSON text in hex. */
json_t *show_hex(struct bytes bytes);

/* "2026-07-01T10:00:00.123Z". */
void show_time(uint64_t unix_ns, char ret[SHOW_TIME_SIZE]);
json_t *show_time_json(uint64_t unix_ns);

/* {"height":..,"time":..,"size":..,"digest":..}. */
json_t *show_at(const struct at *at);

/* "accepted", "rejected", "fault". */
const char *show_end(enum end end);

/* One outcome as JSON, and as a line for people. */
json_t *show_outcome(const struct event_outcome *o);
void show_outcome_line(const struct event_outcome *o);

/* Changes of the nodes that are under way. */
json_t *show_pending(const struct pending_change *list, size_t count);

/* A whole answer: one JSON document, or lines for people. */
void show_reply(const struct submit_reply *r, bool json);
json_t *show_reply_json(const struct submit_reply *r);

/* Prints a document on one line, or indented for people; takes the reference. */
void show_json(json_t *document);
void show_json_line(json_t *document);

#endif
