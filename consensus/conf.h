/* Configurations: who takes part and who votes. The bytes are libraft's, so that the core reads
 * them, but they are decoded here first: the core's decoder checks no bounds.
 *
 *   u8 1 | u64le count | count x { u64le id | id in decimal, NUL | u8 role } | zeros to 8 bytes
 *
 * The address that libraft wants is the id in decimal: where a node is reached is not Raft's
 * business. There is exactly one encoding of a configuration; anything else is refused. */
#ifndef CONSENSUS_CONF_H
#define CONSENSUS_CONF_H

#include <raft.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/limits.h"
#include "consensus/consensus.h"

enum {
    CONF_SERVER_BYTES_MAX = 8 + 20 + 1 + 1,
    CONF_BYTES_MAX = (1 + 8 + NODES_MAX * CONF_SERVER_BYTES_MAX + 7) / 8 * 8,
    CONF_ADDRESS_BYTES = 21, /* a u64 in decimal and a NUL */
};

struct conf_server {
    uint64_t id;
    enum consensus_member member; /* STANDBY or VOTER */
};

struct conf {
    uint32_t count; /* at most NODES_MAX */
    struct conf_server servers[NODES_MAX];
};

/* Strict: INVALID unless conf_encode would write exactly these bytes for 1 to NODES_MAX servers,
 * one of them at least a voter. */
err conf_decode(struct bytes b, struct conf *ret) ERR_MUST_USE;

/* Appends the encoding, at most CONF_BYTES_MAX bytes. */
void conf_encode(const struct conf *conf, struct buf *ret);

/* The core's form; on success the caller (or the core) closes it. conf has come from conf_decode.
 */
err conf_to_core(const struct conf *conf, struct raft_configuration *ret) ERR_MUST_USE;

/* From the core's form; INVALID when it has servers that conf_decode would refuse. */
err conf_from_core(const struct raft_configuration *core, struct conf *ret) ERR_MUST_USE;

/* The role of id, STRANGER when it is not there. */
enum consensus_member conf_member(const struct conf *conf, uint64_t id);

/* Number of voters. */
uint32_t conf_voters(const struct conf *conf);

/* The id in decimal. */
void conf_address(uint64_t id, char ret[CONF_ADDRESS_BYTES]);

#endif
