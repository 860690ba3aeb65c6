/* Packets as frames between nodes. Big-endian; the link adds the length and proves who sends.
 *
 *   u8 frame version 1 | u8 kind | body
 *
 *   1 append         u8 v | u64 term | u64 prev | u64 prev term | u64 commit | u64 clock |
 *                    u32 count | count x { u64 term | u8 type | u32 size | bytes }
 *   2 append result  u8 v | u64 term | u64 rejected | u64 last | u16 features | u16 capacity |
 *                    u64 clock
 *   3 vote           u8 v | u64 term | u64 last | u64 last term | u8 flags (1 disrupt, 2 pre-vote)
 *   4 vote result    u8 v | u64 term | u8 flags (1 granted, 2 pre-vote) | u16 features |
 *                    u16 capacity
 *   5 install        u8 v | u64 term | u64 last | u64 last term | u64 conf index |
 *                    u32 size, configuration | u32 size, manifest
 *   6 timeout now    u8 v | u64 term | u64 last | u64 last term
 *  16 read           u64 term | u64 round        17 read ack: the same
 *
 * v is the version of libraft's message: every scalar of it travels, because the core takes a vote
 * result without version or pre-vote mark for another kind of vote (trap T1). Who sent a frame, and
 * who asks for a vote or holds a snapshot, is never read from it. */
#ifndef CONSENSUS_CODEC_H
#define CONSENSUS_CODEC_H

#include "base/err.h"
#include "consensus/packet.h"

/* Decodes and checks a frame from `from` (> 0). Everything that can be judged without the state of
 * the node is judged here: sizes, ranges, order of terms, configurations. On success the caller
 * owns *ret. INVALID: malformed; UNSUPPORTED: a version or kind we do not know. */
err packet_decode(struct bytes frame, uint64_t from, struct packet **ret,
                  struct errtext *reterr) ERR_MUST_USE;

/* Size of an entry within a frame. */
size_t codec_entry_bytes(const struct entry *e);

/* What the entries of one frame may weigh together. */
size_t codec_append_bytes_max(void);

/* Greatest number of entries in one frame out of count. */
uint32_t codec_append_room(uint64_t count);

#endif
