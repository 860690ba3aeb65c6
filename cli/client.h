/* Calls to the nodes of a profile: mutual TLS, the node's certificate checked against its name, and
 * patience. A call is sent to one node; when that node does not answer, or answers that another one
 * may, the same bytes go to the next node, with growing pauses, until an answer comes or nothing
 * has been answered for the client's deadline. Requests have identities, so sending the same bytes
 * twice is safe.
 *
 *   start --> sent --> ANSWERED | REFUSED
 *               ^--- again, at the next node --- no answer, "yes", "later"
 *               '--> UNKNOWN after the deadline
 *
 * Thread: one; the functions run the client's loop themselves. */
#ifndef CLI_CLIENT_H
#define CLI_CLIENT_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "cli/profile.h"
#include "net/grpc_status.h"

enum { CLIENT_CALLS_MAX = 64, CLIENT_TEXT_MAX = 400 };
#define CLIENT_DEADLINE_NS (UINT64_C(20) * NS_PER_S) /* several elections */
#define CLIENT_ATTEMPT_NS (UINT64_C(10) * NS_PER_S)  /* then the node counts as hung */

struct client;

struct client_options {
    const struct profile *profile; /* outlives the client */
    const char *node;              /* only this one; NULL: any */
    uint64_t deadline_ns;          /* without any answer; 0: CLIENT_DEADLINE_NS */
    bool once;                     /* each node is asked at most once */
};

enum client_end { CLIENT_ANSWERED, CLIENT_REFUSED, CLIENT_UNKNOWN };

struct client_result {
    enum client_end end;
    struct bytes message; /* ANSWERED: view until on_done returns */
    const char *reason;   /* REFUSED: "EXPIRED"; "" when the node gave none */
    const char *text;     /* why not: of the node, or of the connection */
    const char *node;     /* who said it */
    unsigned attempts;    /* how often it was sent */
};

struct client_call {
    const char *path;     /* METHOD_... */
    struct bytes message; /* must stay as it is until on_done */
    /* Streams: each message; such a call is never sent again by itself. NULL: unary. */
    void (*on_message)(void *ctx, struct bytes message);
    /* Exactly once; may start the next call. */
    void (*on_done)(void *ctx, const struct client_result *result);
    void *ctx;
};

/* Reads certificates and keys; connects to nobody yet. NOT_FOUND (no such node), IO, INVALID,
 * DENIED with the reason. */
err client_open(const struct client_options *options, struct client **ret,
                struct errtext *reterr) ERR_MUST_USE;

/* Forgets calls under way without on_done; accepts NULL. */
void client_free(struct client *c);

/* Starts a call; at most CLIENT_CALLS_MAX at once. */
void client_start(struct client *c, const struct client_call *call);

/* Calls that have not ended. */
size_t client_calls(const struct client *c);

/* Waits at most wait_ns and delivers what came. */
void client_turn(struct client *c, uint64_t wait_ns);

/* The next call begins at the next node. */
void client_rotate(struct client *c);

/* How often a call had to be sent again. */
uint64_t client_resent(const struct client *c);

/* One unary call to its end; the answer is copied into the arena. TIMEOUT: no answer (the outcome
 * of a request is then not known). NOT_FOUND comes as DENIED, so that it exits as refused; INVALID:
 * BAD_REQUEST; DENIED: refused otherwise. */
err client_ask(struct client *c, const char *path, const struct buf *message, struct arena *a,
               struct bytes *ret_message, struct errtext *reterr) ERR_MUST_USE;

#endif
