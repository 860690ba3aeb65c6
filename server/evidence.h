/* What proves that a node lied about the tree, kept in data/evidence: pairs of signed notes of one
 * size with different roots.
 *
 *   u8 version 1 | u8 count | count x { u64 node, u8 two_faced, u64 since (wall clock ns),
 *   u64 position, sized note, sized note } | u32 CRC-32C
 *
 * two_faced: both notes bear one key: nobody needs to believe anybody to see the lie. Otherwise the
 * first note is the accused node's, the second one another's with the root that this node has too.
 * position: of the first record that differs, as far as it was found out; UINT64_MAX: not. */
#ifndef SERVER_EVIDENCE_H
#define SERVER_EVIDENCE_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/limits.h"
#include "storage/fileops.h"

#define EVIDENCE_NO_POSITION UINT64_MAX

enum { EVIDENCE_BYTES_MAX = 8 + EVIDENCE_MAX * (25 + 2 * (4 + HEAD_NOTE_BYTES_MAX)) };

struct evidence {
    uint64_t node; /* the accused */
    bool two_faced;
    uint64_t since_ns, position;
    size_t sizes[2];
    uint8_t notes[2][HEAD_NOTE_BYTES_MAX];
};

struct evidence_list {
    struct evidence items[EVIDENCE_MAX]; /* one a node */
    size_t count;
};

/* About this node, or NULL. */
struct evidence *evidence_of(struct evidence_list *l, uint64_t node);

/* A place for evidence about a node: that of the older one if that is less (not two-faced), else a
 * new one; NULL: there is as good already, or the list is full. */
struct evidence *evidence_place(struct evidence_list *l, uint64_t node, bool two_faced);

void evidence_encode(const struct evidence_list *l, struct buf *ret);
/* Decodes strictly. CORRUPT, UNSUPPORTED; then ret is undefined. */
err evidence_decode(struct bytes wire, struct evidence_list *ret,
                    struct errtext *reterr) ERR_MUST_USE;

/* data/evidence; empty if there is none. CORRUPT with the remedy, UNSUPPORTED, IO. */
err evidence_read(const struct fileops *files, const char *data, struct evidence_list *ret,
                  struct errtext *reterr) ERR_MUST_USE;
/* Two syncs. FULL, IO. */
err evidence_write(const struct fileops *files, const char *data, const struct evidence_list *l,
                   struct errtext *reterr) ERR_MUST_USE;

#endif
