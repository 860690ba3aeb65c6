/* Which disk is whose. Raft forbids that a node comes back under its number without what it had on
 * disk: it could vote twice in a term, and what it had acknowledged would be gone. So each data
 * directory gets a random id at its first start, before anything is sent, and each node keeps the
 * disk id that it first saw of every other node, for ever. A node that shows another one is not
 * listened to.
 *
 *   data/identity   u8 version 1 | u64 node id | 16 disk id | u32 count | count x { u64 node id,
 *                   16 disk id }, ascending | u32 CRC-32C of all that
 *
 * The file is this node's own: not replicated, not in the state, kept when a snapshot is installed.
 * Loop thread. */
#ifndef SERVER_IDENTITY_H
#define SERVER_IDENTITY_H

#include "base/buf.h"
#include "base/err.h"
#include "base/limits.h"

enum { DISK_ID_SIZE = 16, IDENTITY_BYTES_MAX = 64 + NODES_EVER_MAX * (8 + DISK_ID_SIZE) };

struct seen_disk {
    uint64_t node;
    uint8_t disk[DISK_ID_SIZE];
};

struct disk_identity {
    uint64_t node; /* whose directory this is */
    uint8_t disk[DISK_ID_SIZE];
    struct seen_disk seen[NODES_EVER_MAX]; /* ascending by node */
    size_t seen_count;
};

enum identity_judgement { IDENTITY_KNOWN, IDENTITY_NEW, IDENTITY_OTHER };

/* Decodes strictly; ret is written only on success. CORRUPT, UNSUPPORTED. */
err identity_decode(struct bytes wire, struct disk_identity *ret,
                    struct errtext *reterr) ERR_MUST_USE;

/* Appends the bytes. */
void identity_encode(const struct disk_identity *id, struct buf *ret);

/* What this disk id of another node is. */
enum identity_judgement identity_judge(const struct disk_identity *id, uint64_t node,
                                       const uint8_t disk[DISK_ID_SIZE]);

/* Remembers the first disk id of a node that was not seen. FULL at NODES_EVER_MAX. Not durable
 * before identity_save. */
err identity_add(struct disk_identity *id, uint64_t node,
                 const uint8_t disk[DISK_ID_SIZE]) ERR_MUST_USE;

/* Reads data/identity, or makes it, durably, for this node with the random disk id. CONFLICT: the
 * directory belongs to another node. CORRUPT, UNSUPPORTED, FULL, IO. */
err identity_open(const char *data, uint64_t node, const uint8_t fresh[DISK_ID_SIZE],
                  struct disk_identity *ret, struct errtext *reterr) ERR_MUST_USE;

/* Makes what was added durable: two syncs. FULL, IO. */
err identity_save(const char *data, const struct disk_identity *id,
                  struct errtext *reterr) ERR_MUST_USE;

#endif
