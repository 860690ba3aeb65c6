/* One contract and a state in memory, for measuring evaluation alone: no ledger, no disk, no
 * signatures. */
#ifndef BENCH_LAW_H
#define BENCH_LAW_H

#include "rules/memory.h"
#include "rules/rules.h"

struct law_host {
    struct rules_registry *registry;
    struct rules_program *program;
    struct rules_run *run; /* the state */
    struct arena arena; /* of one evaluation; reserved, so that it does not grow */
    struct arena event_arena;
};

/* Compiles a text; dies if it does not compile. */
void law_host_init(struct law_host *h, struct bytes text);
void law_host_done(struct law_host *h);

/* The text of a file; the caller frees it. Dies if it cannot be read. */
char *law_read_file(const char *path, size_t *ret_size);

/* Makes an event of {"event":E,"by":[...],"now":T,"args":{...}}, its arguments encoded as in a
 * request; valid until the next one. False: it is a line of another kind. */
bool law_host_event(struct law_host *h, struct bytes line, struct rules_event *ret);

/* Evaluates without applying; ret is valid until the next evaluation. */
void law_host_try(struct law_host *h, const struct rules_event *ev, struct rules_out *ret);

/* Takes any line of an events file, and applies it. Dies if it is malformed. */
void law_host_do(struct law_host *h, struct bytes line);

/* Admits 20 producers and 150 members to solar.rules and makes the line of one quarter-hour in
 * which all are metered; the caller frees it. */
char *law_host_solar(struct law_host *h);

#endif
