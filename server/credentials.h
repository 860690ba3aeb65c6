/* What a node shows of itself and whom it believes: its certificate and key, the CAs of the
 * ledger's institutions, and the node table of the peer links. */
#ifndef SERVER_CREDENTIALS_H
#define SERVER_CREDENTIALS_H

#include "net/peer.h"

struct node;
struct config;

/* Opens the links to the other nodes with this node's certificate, which must name this node and
 * carry a key of its row in the ledger. */
err credentials_open_links(struct node *n, const struct peer_host *host,
                           struct errtext *reterr) ERR_MUST_USE;

/* The links follow the rows of members. */
err credentials_set_nodes(struct node *n, struct errtext *reterr) ERR_MUST_USE;

/* Makes the gRPC server listen for clients of all institutions. */
err credentials_listen(struct node *n, struct errtext *reterr) ERR_MUST_USE;

/* Reads certificate and key again and uses them for new connections; on failure the old ones stay.
 */
err credentials_reload(struct node *n, struct errtext *reterr) ERR_MUST_USE;

#endif
