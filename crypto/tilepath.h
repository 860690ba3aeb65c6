/* Names of the parts of a tree that is served or exported as files (c2sp.org/tlog-tiles):
 *
 *     checkpoint
 *     tile/<L>/<N>                 256 hashes of level L
 *     tile/<L>/<N>.p/<W>           the first W of them, 1 to 255
 *     tile/entries/<N>[.p/<W>]     the records below a tile of level 0
 *
 * L is 0 to 7 without leading zeros; N is in groups of three digits, all but the last of which
 * begin with an x: tile 1234067 is x001/x234/067. Each part has exactly one name. */
#ifndef CRYPTO_TILEPATH_H
#define CRYPTO_TILEPATH_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"

enum {
    TILE_PATH_WIDTH = 256,
    TILE_PATH_LEVEL_MAX = 7, /* 2^64 leaves have no more */
};

enum tile_path_kind { TILE_PATH_CHECKPOINT, TILE_PATH_HASHES, TILE_PATH_ENTRIES };

struct tile_path {
    enum tile_path_kind kind;
    uint32_t level; /* HASHES */
    uint32_t width; /* 1 to 256; 256: full */
    uint64_t index; /* below 2^55 */
};

/* Appends the name; at most TILE_PATH_BYTES_MAX. Any thread. */
void tile_path_print(const struct tile_path *path, struct buf *ret);

/* Reads a name; it may come from anybody. INVALID: it names no part of a tree. Any thread. */
err tile_path_parse(struct bytes name, struct tile_path *ret) ERR_MUST_USE;

#endif
