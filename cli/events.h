/* Events from the command line or a file of JSON lines, typed by the texts of their contracts,
 * which are fetched. */
#ifndef CLI_EVENTS_H
#define CLI_EVENTS_H

#include "cli/law.h"
#include "proto/envelope.h"

enum { EVENTS_CONTRACTS_MAX = 16 }; /* of one file of events */

/* For option tables of commands whose arguments are [CONTRACT [ACTION]]. */
#define EVENTS_OPTIONS                                                                             \
    {"arg", "NAME=VALUE", "one argument, a text as the contract writes it", true},                 \
    {"args", "FILE", "all arguments, a JSON object", false},                                       \
    {"events", "FILE", "many events, one JSON object a line:\n"                                    \
     "{\"contract\": C, \"action\": A, \"args\": {...}, \"legal\": DATE};\n"                      \
     "contract and action default to the arguments; - is standard input", false},                  \
    {"atomic", NULL, "all events are accepted, or none has an effect", false},                     \
    {                                                                                              \
        "legal-date", "DATE", "whose rules apply; default as the contract computes it", false      \
    }

struct events {
    struct session *s; /* not owned; its `why` says what is wrong */
    struct law laws[EVENTS_CONTRACTS_MAX];
    size_t law_count;
    struct arena arena;
    struct event *list;
    struct rules_bound *bounds; /* of each */
    size_t count, capacity;
};

void events_init(struct events *u, struct session *s);

/* Reads --events FILE, or the one event of CONTRACT ACTION with --arg or --args. Views in u. */
err events_read(struct events *u) ERR_MUST_USE;

void events_done(struct events *u);

#endif
