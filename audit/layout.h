/* The names of the files of an exported directory (docs/formats/export.md). */
#ifndef AUDIT_LAYOUT_H
#define AUDIT_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

enum {
    LAYOUT_PATH_MAX = 128,
    LAYOUT_TILE_WIDTH = 256,       /* hashes of a full tile, records of a full bundle */
    LAYOUT_BLOCKS_BYTES = 1 << 20, /* a file of blocks ends with the one that reaches it */
    LAYOUT_SHARDS = 256,           /* files of the two indexes of the page */
};

#define LAYOUT_GENESIS "genesis"
#define LAYOUT_GENESIS_SIG "genesis.sig"
#define LAYOUT_CHECKPOINT "checkpoint" /* the newest cosigned head */
#define LAYOUT_HEADS "heads"           /* all that were kept: u32 size and note each, ascending */
#define LAYOUT_POLICY "policy"

/* tile/LEVEL/N as c2sp.org/tlog-tiles writes it: N in groups of three digits, all but the last
 * with an x before it; width below 256: a partial tile. */
void layout_tile(char ret[LAYOUT_PATH_MAX], unsigned level, uint64_t index, size_t width);

/* tile/entries/N likewise. */
void layout_entries(char ret[LAYOUT_PATH_MAX], uint64_t index, size_t width);

/* blocks/HEIGHT: the file that begins with the block of that height. */
void layout_blocks(char ret[LAYOUT_PATH_MAX], uint64_t height);

/* page/KIND/XX.js: one of LAYOUT_SHARDS; page/KIND/N.js: by number. */
void layout_shard(char ret[LAYOUT_PATH_MAX], const char *kind, unsigned shard);
void layout_numbered(char ret[LAYOUT_PATH_MAX], const char *kind, uint64_t number);

#endif
