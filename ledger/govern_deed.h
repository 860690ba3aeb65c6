/* One action of the reserved contract `ledger` while it is decided; for govern*.c alone. */
#ifndef LEDGER_GOVERN_DEED_H
#define LEDGER_GOVERN_DEED_H

#include "ledger/govern.h"
#include "ledger/state.h"

enum govern_action {
    ACTION_NONE,
    ACTION_DEPLOY,
    ACTION_PARTY_ADD,
    ACTION_KEY_ADD,
    ACTION_KEY_REVOKE,
    ACTION_NODE_ADD,
    ACTION_NODE_PROMOTE,
    ACTION_NODE_DEMOTE,
    ACTION_NODE_REMOVE,
    ACTION_NODE_REPLACE,
    ACTION_NODE_UPDATE,
};

/* All arguments that an action may have; the number is that of the table in govern.c. */
enum govern_arg {
    ARG_TEXT,
    ARG_PARTY,
    ARG_KEY,
    ARG_NODE, /* in `node`; the view only says that it was given */
    ARG_INSTITUTION,
    ARG_NAME,
    ARG_PEER,
    ARG_CLIENT,
    ARG_TRANSPORT,
    ARG_TRANSPORT_NEXT,
    ARG_HEAD,
    ARG_HEAD_NEXT,
    ARGS_COUNT,
};

struct deed {
    struct ledger *l;
    const struct request *request; /* NULL while it is only asked what would be rejected */
    enum govern_action action;
    struct bytes args[ARGS_COUNT]; /* data NULL: not given */
    int64_t node;
    const char *institution; /* the one whose officer signs */
    const char *clause;      /* NULL: accepted */
    struct errtext why;
    struct buf effects;
};

/* The action of that name. */
enum govern_action deed_action(struct bytes name);

/* Reads the arguments; false: rejected by clause 0.1. */
bool deed_arguments(struct deed *d, struct bytes args);

/* Ends the decision with a clause and its reason. */
void deed_reject(struct deed *d, const char *clause, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Whether a party has or had this Ed25519 key. */
bool deed_key_taken(const struct deed *d, const uint8_t key[32]);

/* govern_parties.c */
void govern_party_add(struct deed *d);
void govern_key_add(struct deed *d);
void govern_key_revoke(struct deed *d);

/* govern_nodes.c: checks an action on the node table; then makes it, if no clause was set. */
void govern_node_check(struct deed *d);
void govern_node_make(struct deed *d);

#endif
