/* A block: one Raft command, the unit that is ordered, stamped with a time and committed. Canonical
 * big-endian bytes; docs/formats/records.md shows them.
 *
 *   u16 version | u64 height | 32 previous | u64 time_ns | u32 count | count x { u32 size | bytes }
 */
#ifndef PROTO_BLOCK_H
#define PROTO_BLOCK_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/limits.h"

#define BLOCK_TAG "concordat/block/v1\n"

enum {
    BLOCK_VERSION = 1,
    BLOCK_HEADER_SIZE = 2 + 8 + 32 + 8 + 4,
    BLOCK_ENVELOPE_OVERHEAD = 4, /* bytes a block spends on an envelope beside its own */
};

struct block {
    uint64_t height;      /* 1, 2, ... */
    uint8_t previous[32]; /* hash of the block before; zeros at height 1 */
    uint64_t time_ns;
    const struct bytes *envelopes; /* as received; may be none (a timer is due) */
    uint32_t envelope_count;       /* at most EVENTS_MAX: each holds an event at least */
};

/* Decodes a block; *ret and the list are in the arena, envelopes are views into wire. Envelopes are
 * not looked into: a bad one is void, not a bad block. INVALID, LIMIT, UNSUPPORTED (version).
 * The arena needs BLOCK_ARENA_MAX bytes at most. */
err block_decode(struct bytes wire, struct arena *a, struct block **ret,
                 struct errtext *reterr) ERR_MUST_USE;
#define BLOCK_ARENA_MAX (sizeof(struct block) + EVENTS_MAX * sizeof(struct bytes) + 64)

/* Appends the bytes of a block. */
void block_encode(const struct block *block, struct buf *buf);

/* SHA-256(BLOCK_TAG || header || request hash of each envelope), the header being the bytes up to
 * and including the count. request_hashes has envelope_count items (envelope_request_hash). */
void block_hash(const struct block *block, const uint8_t (*request_hashes)[32], uint8_t ret[32]);

#endif
