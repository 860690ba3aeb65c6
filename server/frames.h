/* The frames between nodes that are not Raft's (docs/FORMATS.md), read from hostile bytes: pure,
 * bounded, nothing is copied; texts are views into the frame. Each answers false for a frame that
 * is not whole, too long or not valid, and then writes nothing. */
#ifndef SERVER_FRAMES_H
#define SERVER_FRAMES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "proto/reason.h"

enum { GOSSIP_VERSION = 1, GOSSIP_BYTES_MAX = 256, GOSSIP_TEXT_MAX = 31 };

struct frame_forward {
    uint64_t token;
    struct bytes envelope; /* at least one byte; not looked into */
};
bool frame_forward_read(struct bytes frame, struct frame_forward *ret);

struct frame_refused {
    uint64_t token;
    enum reason reason; /* not NONE; may be one that only a newer node knows */
    enum retry retry;
    struct bytes text; /* UTF-8 */
};
bool frame_refused_read(struct bytes frame, struct frame_refused *ret);

bool frame_read_read(struct bytes frame, uint64_t *ret_token);

struct frame_ready {
    uint64_t token, height;
    bool ok;
};
bool frame_ready_read(struct bytes frame, struct frame_ready *ret);

/* How much room a node's data directory has (disk.c). */
enum disk_level { DISK_ROOM, DISK_LOW, DISK_STOP };

/* The flags of a gossip frame; others are a newer node's. */
enum {
    GOSSIP_DRAINING = 1 << 0,
    GOSSIP_DISK_LOW = 1 << 1,
    GOSSIP_DISK_STOP = 1 << 2,
};

struct frame_gossip {
    uint64_t term, height, position;
    uint8_t digest[32];
    uint8_t role; /* enum consensus_role, or a number that only a newer node knows */
    bool draining;
    enum disk_level disk_level;
    uint64_t disk_free_bytes, sync_p99_us;
    int64_t certificate_days_left;
    char version[GOSSIP_TEXT_MAX + 1]; /* printable ASCII, with a NUL */
};
bool frame_gossip_read(struct bytes frame, struct frame_gossip *ret);

#endif
