/* The reserved contract `ledger`: actions by which institutions change who may sign and which texts
 * are law, and which nodes take part. Until proposals are voted in the ledger, a request carries
 * the signatures itself:
 *
 *   contract_deploy {text: text}             governance keys of a majority of institutions
 *   party_add  {party: text, key: octets}    an officer (or a governance key) of the institution
 *   key_add    {party: text, key: octets}    likewise, of the party's institution
 *   key_revoke {party: text, key: octets}    likewise
 *
 *   node_add     {institution, name, peer, client: text, transport_key, head_key: octets}
 *   node_promote {node: int}, node_demote, node_remove: likewise
 *   node_replace {node: int, name, peer, client: text, transport_key, head_key: octets}
 *   node_update  {node: int [, peer, client: text, next_transport_key, next_head_key: octets]}
 *                                            governance keys of a majority of institutions
 *
 * Clauses of rejections, stable: 0.1 arguments, 0.2 signers, 0.3 legal date; 1.N see enum
 * deploy_end; 2.1 the party exists, 2.2 the name is reserved or no party name, 3.1 there is no such
 * party, 3.2 it belongs to another institution, 3.3 it has PARTY_KEYS_MAX keys, 3.4 the key is a
 * party's already (also for party_add), 4.1 the party has no such key, 4.2 it is revoked already.
 * 2.3: no room for more parties. Nodes: 5.1 no such institution, 5.2 not a node's name, 5.3 the
 * institution has a node of that name, 5.4 not an address, 5.5 not a key, 5.6 the key is somebody's
 * already, 5.7 NODES_LIVE_MAX nodes, 5.8 NODES_EVER_MAX ids; 6.1 no such node, 6.2 it was removed,
 * 6.3 it is that already, 6.4 fewer than VOTERS_MIN voters would be left, 6.5 VOTERS_MAX voters,
 * 6.6 nothing to update. The contract's version is 1; it has no text, so its hash is zero.
 */
#ifndef LEDGER_GOVERN_H
#define LEDGER_GOVERN_H

#include "ledger/request.h"
#include "rules/rules.h"

enum { GOVERNANCE_VERSION = 1 };

/* What an action counts in steps. */
int64_t govern_cost(struct bytes action);

/* Decides one action of a request and makes its changes (they count from the next block on). ret's
 * views are in the arena. */
void govern_apply(struct ledger *l, const struct request *request, const struct event *event,
                  struct arena *a, struct rules_out *ret);

#endif
