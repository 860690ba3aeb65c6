/* The frames between nodes that are not Raft's (docs/FORMATS.md), read from hostile bytes: pure,
 * bounded, nothing is copied; texts are views into the frame. Each answers false for a frame that
 * is not whole, too long or not valid, and then writes nothing. */
#ifndef SERVER_FRAMES_H
#define SERVER_FRAMES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/limits.h"
#include "proto/reason.h"

enum { DISK_FRAME_VERSION = 1, TRANSFER_TEXT_MAX = 400 };
enum { GOSSIP_VERSION = 2, GOSSIP_BYTES_MAX = 256, GOSSIP_TEXT_MAX = 31 };

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
    GOSSIP_DISK_SLOW = 1 << 3,
};

/* DISK and STRANGER: u8 version, 16 disk id. */
bool frame_disk_read(struct bytes frame, uint8_t ret_disk[16]);

struct frame_transfer {
    uint64_t token, node;
};
bool frame_transfer_read(struct bytes frame, struct frame_transfer *ret);

struct frame_transferred {
    uint64_t token, leader;
    bool ok;
    struct bytes text; /* UTF-8; why not, at most TRANSFER_TEXT_MAX */
};
bool frame_transferred_read(struct bytes frame, struct frame_transferred *ret);

struct frame_gossip {
    uint64_t term, height, position;
    uint8_t digest[32];
    uint8_t role; /* enum consensus_role, or a number that only a newer node knows */
    bool draining, disk_slow;
    enum disk_level disk_level;
    uint64_t disk_free_bytes, sync_p99_us;
    int64_t certificate_days_left;
    char version[GOSSIP_TEXT_MAX + 1]; /* printable ASCII, with a NUL */
    uint64_t cosigned_size, cosigned_ns; /* its newest complete checkpoint, and since when */
};
bool frame_gossip_read(struct bytes frame, struct frame_gossip *ret);

/* The newest checkpoints of a node, newest first. */
struct frame_checkpoint {
    uint64_t index, height;
    uint8_t digest[32], state_digest[32];
};
struct frame_checkpoints {
    uint64_t wants; /* index of the checkpoint it fetches, 0: none: tell of it and keep it */
    uint8_t count;
    struct frame_checkpoint items[CHECKPOINTS_TOLD_MAX];
};
enum { CHECKPOINTS_VERSION = 1 };
bool frame_checkpoints_read(struct bytes frame, struct frame_checkpoints *ret);

/* Please send these bytes of a checkpoint's file. */
#define FETCH_MANIFEST UINT32_MAX /* as a file: the manifest itself */
struct frame_fetch {
    uint64_t index; /* of the checkpoint */
    uint64_t offset;
    uint32_t file;   /* its place in the manifest, or FETCH_MANIFEST */
    uint32_t length; /* 1 to FETCH_CHUNK_BYTES */
};
bool frame_fetch_read(struct bytes frame, struct frame_fetch *ret);

/* The bytes, or why not. */
enum chunk_status { CHUNK_OK = 0, CHUNK_UNKNOWN = 1, CHUNK_UNREADABLE = 2 };
enum { CHUNK_HEAD_BYTES = 8 + 4 + 8 + 1 + 8 + 4 };
struct frame_chunk {
    uint64_t index, offset;
    uint64_t total; /* size of the whole file */
    uint32_t file;
    enum chunk_status status;
    struct bytes data; /* OK: 1 to FETCH_CHUNK_BYTES, checksum checked; else empty */
};
bool frame_chunk_read(struct bytes frame, struct frame_chunk *ret);
/* Its head, CHUNK_HEAD_BYTES; the data follow. */
void frame_chunk_head(const struct frame_chunk *chunk, struct buf *ret);

/* ---- heads of the tree (heads.h) ---- */
enum { HEAD_FRAME_VERSION = 1 };

/* A checkpoint with signature lines of one node or more: a note, not looked into. */
bool frame_head_read(struct bytes frame, struct bytes *ret_note);

/* Two notes of one size with different roots; not looked into. */
struct frame_evidence {
    struct bytes notes[2]; /* at most NOTE_BYTES_MAX each */
};
bool frame_evidence_read(struct bytes frame, struct frame_evidence *ret);

/* Which root has your tree at this size? */
struct frame_root_ask {
    uint64_t token, size;
};
bool frame_root_ask_read(struct bytes frame, struct frame_root_ask *ret);

struct frame_root_is {
    uint64_t token, size;
    bool ok; /* false: its tree is smaller */
    uint8_t root[32];
};
bool frame_root_is_read(struct bytes frame, struct frame_root_is *ret);

#endif
