/* Every limit of Concordat, each with its reason. Relations between them are asserted below.
 * Sections are kept by layer, lowest first; a limit is used by name, never by value. */
#ifndef BASE_LIMITS_H
#define BASE_LIMITS_H

#include <assert.h>

/* ---- requests and blocks: sizes nest (docs/ARCHITECTURE.md, "Blocks and sizes") ---- */
enum {
    ARGS_BYTES_MAX = 256 << 10, /* arguments of one event: a day of readings of 150 members fits */
    BODY_BYTES_MAX = 1 << 20,   /* signed body: one leader round trip of a 1 Gbit/s link, 8 ms */
    ENVELOPE_BYTES_MAX = BODY_BYTES_MAX + 1024, /* plus 8 signatures and framing */
    BLOCK_BYTES_MAX = (1 << 20) + (64 << 10),   /* one envelope of the greatest size and a header */
    PEER_FRAME_BYTES_MAX = 2 << 20,             /* one block and the Raft message around it */
    GRPC_MESSAGE_BYTES_MAX = 4 << 20,           /* what stock clients accept by default */
    EVENTS_MAX = 4096,             /* of a request and of a block: apply stays under a second */
    SIGNATURES_MAX = 8,            /* of a request: rules 1 allows 8 signers of one event */
    PARTY_KEYS_MAX = 16,           /* keys one party may have registered, revoked ones included */
    NAME_BYTES_MAX = 64,           /* party, institution, node, contract: fits a label on paper */
    ORIGIN_BYTES_MAX = 128,        /* first line of every tree head */
    ADDRESS_BYTES_MAX = 128,       /* host:port; a DNS label sequence we are ready to print */
    CERT_BYTES_MAX = 8192,         /* one DER certificate */
    GENESIS_BYTES_MAX = 1 << 20,   /* contracts included */
    CONTRACT_BYTES_MAX = 262144,   /* rules 1, section 17 */
};
#define REQUEST_STEPS_MAX INT64_C(500000000) /* summed static bounds: some 4 s of evaluation */
#define REQUEST_EFFECTS_MAX INT64_C(4000000)
#define REQUEST_BYTES_MAX INT64_C(1073741824)

static_assert(ARGS_BYTES_MAX <= BODY_BYTES_MAX, "an event fits a body");
static_assert(BODY_BYTES_MAX < ENVELOPE_BYTES_MAX, "a body fits an envelope");
static_assert(ENVELOPE_BYTES_MAX < BLOCK_BYTES_MAX, "an envelope fits a block");
static_assert(BLOCK_BYTES_MAX < PEER_FRAME_BYTES_MAX, "a block fits a peer frame");
static_assert(PEER_FRAME_BYTES_MAX < GRPC_MESSAGE_BYTES_MAX, "and that a gRPC message");

/* ---- the network of institutions ---- */
enum {
    INSTITUTIONS_MIN = 3, /* founding needs three voters (docs/ARCHITECTURE.md, trap T14) */
    INSTITUTIONS_MAX = 7, /* more voters only cost latency */
    NODES_MAX = 16,       /* voters, standbys and the ones being replaced */
    BLOCKS_IN_FLIGHT_MAX = 8, /* to one follower: 8 MiB, under a heartbeat at 1 Gbit/s */
};

#endif
