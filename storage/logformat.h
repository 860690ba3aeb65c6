/* The bytes of the log on disk: encoders and bounded decoders, pure functions. Everything is
 * big-endian; tables are in docs/formats/log.md.
 *
 * Glossary: a *record* is {u32 size, u32 crc, u64 index, u64 term, u8 type, data}; a *group* is a
 * record of type LOG_TYPE_GROUP, which counts and checks the records behind it; a *segment* is a
 * file of groups behind a head; the *root* holds term and vote.
 *
 * Checksums of a segment start from its salt, a random number, so that neither bytes of an older
 * file nor bytes that a client chose (a block is data of a record) look like records. */
#ifndef STORAGE_LOGFORMAT_H
#define STORAGE_LOGFORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"

enum {
    LOG_FORMAT_VERSION = 1,
    LOG_SEGMENT_HEAD_BYTES = 64,
    LOG_RECORD_HEAD_BYTES = 25,
    LOG_GROUP_HEAD_BYTES = LOG_RECORD_HEAD_BYTES + 16,
    LOG_GROUP_ALIGN = 8, /* where groups start: bounds what a search has to look at */
    LOG_ROOT_SLOT_BYTES = 64,
    LOG_ROOT_SLOT_STRIDE = 4096, /* slots lie in sectors of their own */
    LOG_ROOT_FILE_BYTES = 2 * LOG_ROOT_SLOT_STRIDE,
    LOG_SNAPSHOT_HEAD_BYTES = 48,
    LOG_TYPE_GROUP = 0x80,
};

struct log_segment {
    uint64_t number; /* the first is 1 */
    uint64_t salt;
    uint64_t group_first; /* number of the first group; all before it were synced earlier */
};

/* LOG_SEGMENT_HEAD_BYTES. */
void log_segment_encode(const struct log_segment *s, uint8_t *ret);
/* CORRUPT; UNSUPPORTED: sound, but of another version. */
err log_segment_decode(struct bytes head, struct log_segment *ret) ERR_MUST_USE;

/* What checksums of a segment start from. */
uint32_t log_seed(uint64_t salt);

struct log_record {
    uint64_t index, term;
    uint8_t type;
    struct bytes data; /* a view */
};

/* Appends a record. */
void log_record_put(struct buf *b, const struct log_record *r, uint32_t seed);

struct log_record_head {
    uint32_t size, crc;
    uint64_t index, term;
    uint8_t type;
};

/* LOG_RECORD_HEAD_BYTES, unchecked: the caller bounds size and checks the crc. */
void log_record_head_decode(const uint8_t *head, struct log_record_head *ret);
/* The crc that a record with this head and data should have. */
uint32_t log_record_crc(const uint8_t *head, struct bytes data, uint32_t seed);

struct log_group {
    uint64_t number;       /* 1, 2, 3, ... over all segments */
    uint64_t index_synced; /* last index of the log when the group before was synced */
    uint32_t count;        /* records */
    struct bytes body;     /* the records, without padding; a view */
    size_t size;           /* head, records and padding */
};

/* Bytes of a group with records of body_size bytes. */
size_t log_group_size(size_t body_size);

/* Starts a group at the end of b (its offset is returned); records follow with log_record_put. */
size_t log_group_begin(struct buf *b);
/* Pads the group and writes its head; number, index_synced and count are taken from g. */
void log_group_end(struct buf *b, size_t at, const struct log_group *g, uint32_t seed);

/* The head at offset at of a segment is sound: body is set if the file is long enough for it, else
 * empty with size 0. */
bool log_group_head_decode(struct bytes segment, size_t at, uint32_t seed, struct log_group *ret);
/* Head and body are sound. */
bool log_group_decode(struct bytes segment, size_t at, uint32_t seed, struct log_group *ret);

/* Takes the next record off body: false at its end or on malformed records (*ret_bad). */
bool log_record_next(struct bytes *body, struct log_record *ret, bool *ret_bad);

/* The two slots of the root are written one after the other, each synced; so at least one is sound
 * and not older than what was last acknowledged. */
struct log_root {
    uint64_t sequence; /* of this writing; the first is 1 */
    uint64_t term, vote;
    uint64_t segment_last; /* a segment with this number was made; 0: none yet */
    uint64_t group_synced; /* groups up to this one were synced */
    uint32_t slot_first;   /* the slot that this was written to first, 0 or 1 */
    uint32_t slot_durable; /* decoded: a slot that is surely on the disk, whatever the page cache
                              shows of the other; it is overwritten last */
};

/* LOG_ROOT_SLOT_BYTES. */
void log_root_encode(const struct log_root *r, uint8_t *ret);
/* Of both slots (LOG_ROOT_FILE_BYTES) the newest sound one, which may be in the page cache only.
 * CORRUPT; UNSUPPORTED. */
err log_root_decode(struct bytes file, struct log_root *ret) ERR_MUST_USE;

struct log_snapshot {
    uint64_t index, term, log_first;
    uint64_t segment_first; /* older segments are void */
    struct bytes manifest;  /* a view */
};

void log_snapshot_encode(struct buf *b, const struct log_snapshot *s);
/* CORRUPT; UNSUPPORTED. */
err log_snapshot_decode(struct bytes file, struct log_snapshot *ret) ERR_MUST_USE;

/* One pass over the groups of a segment. */
enum log_scan_end {
    LOG_SCAN_CLEAN,   /* nothing but zeros behind the last group, or group_limit reached */
    LOG_SCAN_TORN,    /* something unsound behind it, and nothing that proves that it was synced */
    LOG_SCAN_DAMAGED, /* damage in what was synced */
};

struct log_scan {
    struct bytes segment; /* the whole file */
    uint32_t seed;
    uint64_t group_next;  /* in: the first group; out: the one after the last sound one */
    uint64_t group_limit; /* groups below it were synced; the scan ends there. 0: unknown, go on */
    size_t at;            /* in: where to start; out: behind the last sound group */
    size_t dirty_end;     /* out: all bytes from here on are zero; >= at */
    const char *reason;   /* out, DAMAGED: why; static */
    void *ctx;
    /* Called for each sound group; false: its records contradict the log. */
    bool (*on_group)(void *ctx, const struct log_group *g, size_t at);
};

enum log_scan_end log_scan_run(struct log_scan *s);

#endif
