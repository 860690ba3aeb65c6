/* The configuration of one node: a YAML file of flat keys.
 *
 *   institution: ville                # who runs this node (as in the ledger)
 *   node: ville                       # its name in the ledger's node table
 *   data: data                        # directory of log/ and state/, made if absent
 *   genesis: ../genesis.bin           # the founding document
 *   genesis_signatures: ../genesis.sig
 *   listen_client: 127.0.0.1:7101     # gRPC for clients and operators
 *   listen_peer: 127.0.0.1:7102       # the other nodes
 *   certificate: node.crt             # PEM, of the institution's CA
 *   private_key: node.key             # PEM, mode 0600
 *   head_key: head.key                # the same, Ed25519; default: beside private_key
 *   bootstrap: nodes.txt              # optional: the node table, for a node that joins
 *   election_timeout_ms: 1000         # optional from here on; these are the defaults
 *   heartbeat_ms: 100
 *   workers: 2                        # threads that verify signatures
 *   disk_low_mib: 512                 # below: no new business requests; 0: never
 *   disk_stop_mib: 192                # below: no new requests at all; 0: never
 *   scrub_period_s: 86400             # between two scrubs of log and state; 0: never
 *   scrub_rate_mib: 8                 # what a scrub reads a second
 *   checkpoint_bytes: 268435456       # log between two checkpoints; equal on all nodes
 *   log_tail_bytes: 67108864          # log kept behind a checkpoint for slow followers
 *   log_segment_bytes: 67108864       # size of the log's files
 *   snapshot_rate: 67108864           # bytes a second sent to nodes that are far behind
 *   log_level: info                   # debug, info, warn, error
 *
 * Relative paths are relative to the folder of the file. */
#ifndef SERVER_CONFIG_H
#define SERVER_CONFIG_H

#include <stdint.h>

#include "base/err.h"
#include "base/log.h"

struct config {
    char *institution, *node;                  /* owned, as all texts here */
    char *data, *genesis, *genesis_signatures; /* absolute or relative to the process */
    char *listen_client, *listen_peer;         /* host:port */
    char *certificate, *private_key;
    char *head_key;  /* signs heads of the tree; never NULL */
    char *bootstrap; /* NULL: none */
    uint32_t election_timeout_ms, heartbeat_ms;
    uint32_t workers;
    uint32_t disk_low_mib, disk_stop_mib;
    uint32_t scrub_period_s, scrub_rate_mib;
    uint64_t checkpoint_bytes, log_tail_bytes, log_segment_bytes, snapshot_rate;
    enum log_level log_level;
};

/* Reads the file. On failure *ret is empty and reterr says FILE:LINE: what is wrong and which keys
 * there are. Errors: IO, INVALID (unknown, missing or repeated key, bad value), LIMIT. */
err config_load(const char *path, struct config *ret, struct errtext *reterr) ERR_MUST_USE;

/* Frees the texts; accepts an all-zero struct. */
void config_done(struct config *c);

#endif
