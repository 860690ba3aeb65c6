/* One node of a ledger: the composition root. It opens the state, the log, the links to the other
 * nodes and the gRPC server, runs them on one loop, and takes them down again in order. */
#ifndef SERVER_NODE_H
#define SERVER_NODE_H

#include "base/err.h"
#include "server/config.h"

struct node;

/* Reads the genesis and its signatures, opens everything and starts to listen. The config is moved
 * into the node on success and stays the caller's on failure; *ret is freed by node_close.
 * Errors carry a sentence with file and remedy. */
err node_open(struct config *config, struct node **ret, struct errtext *reterr) ERR_MUST_USE;

/* Runs until SIGTERM or SIGINT (a graceful end) or a failure. OK: a graceful end. */
err node_run(struct node *n, struct errtext *reterr) ERR_MUST_USE;

/* Stops and frees everything; accepts NULL. What was acknowledged is on disk. */
void node_close(struct node *n);

/* Checks configuration, genesis, signatures, certificate and key without opening the state. */
err node_check(const struct config *config, struct errtext *reterr) ERR_MUST_USE;

#endif
