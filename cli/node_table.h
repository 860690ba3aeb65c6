/* The node table as the nodes tell it. */
#ifndef CLI_NODE_TABLE_H
#define CLI_NODE_TABLE_H

#include "cli/session.h"
#include "proto/service.h"

/* Asks a node for its table, with the removed nodes if `ever`; *ret lives in the session's arena.
 */
err node_table_ask(struct session *s, bool ever, struct nodes_reply **ret) ERR_MUST_USE;

/* "4", "ville2" or "ville/ville2" as the number of a node. NOT_FOUND, INVALID: of several. Numbers
 * are not looked up. */
err node_table_resolve(struct session *s, const char *text, uint64_t *ret) ERR_MUST_USE;

#endif
