/* What every command that talks to nodes needs: the profile, a client, memory for answers. */
#ifndef CLI_SESSION_H
#define CLI_SESSION_H

#include "base/arena.h"
#include "base/buf.h"
#include "cli/client.h"
#include "cli/command.h"

/* Options of such commands: put them at the end of the table. */
#define SESSION_OPTIONS                                                                            \
    {"node", "NAME", "ask this node only; default: any node of the profile", false},               \
    {                                                                                              \
        "deadline", "SECONDS", "give up when nobody answers for so long; default 20", false        \
    }

/* Reads are linearizable unless --local. */
#define LOCAL_OPTION                                                                               \
    {                                                                                              \
        "local", NULL, "what the node has applied, also without a quorum", false                   \
    }

struct session {
    const struct given *given;
    struct profile profile;
    struct client *client;
    struct arena arena;   /* answers */
    struct buf request;   /* the message being sent */
    struct buf token;     /* of the next page */
    struct errtext why;   /* of the last failure */
};

/* Opens all. On failure it was said why, everything is freed, and the exit code is returned. */
int session_open(const struct given *g, struct session *ret);

/* Frees all and returns the code. */
int session_close(struct session *s, int code);

/* Says the failure, frees all, returns the exit code. */
int session_fail(struct session *s, err e);

/* Sends s->request and gives the answer's bytes; clears the request. */
err session_ask(struct session *s, const char *path, struct bytes *ret) ERR_MUST_USE;

/* Keeps the token of the next page and forgets the answers so far; false: there is none. */
bool session_next_page(struct session *s, struct bytes token);

/* A view of text, empty for NULL. */
struct bytes session_text(const char *text);

#endif
