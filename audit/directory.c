/* An exported directory as a source. Only what an audit needs is read here: blocks, the bundles of
 * records, the heads; every other file is computed again and compared (export.h). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit/heads.h"
#include "audit/layout.h"
#include "audit/source.h"
#include "base/cursor.h"
#include "base/limits.h"
#include "base/mem.h"
#include "proto/record.h"
#include "storage/fileops.h"
#include "storage/tree.h"

enum {
    HEADS_BYTES_MAX = 64 << 20,
    BUNDLE_BYTES_MAX = LAYOUT_TILE_WIDTH * (2 + RECORD_BYTES_MAX),
    BLOCKS_FILE_BYTES_MAX = LAYOUT_BLOCKS_BYTES + BLOCK_BYTES_MAX + 4,
    CLAIMS_PER_BLOCK_MAX = 4 * EVENTS_MAX, /* its events, and timers that fire */
};

struct directory {
    struct source source;
    struct fileops files;
    char dir[4000];
    uint64_t size;        /* records, as the newest head says */
    struct buf blocks;    /* the file at hand */
    struct cursor block;  /* the next one in it */
    uint64_t height;      /* of that */
    struct buf bundle;    /* records at hand */
    struct cursor record; /* the next one in it */
    uint64_t position;    /* of that */
    struct buf heads;
    struct arena arena; /* claims of one block */
};

static struct directory *directory_of(struct source *s)
{
    return (struct directory *)s;
}

static err file_read(const struct directory *d, const char *name, size_t most, struct buf *ret,
                     struct errtext *reterr)
{
    char path[sizeof(d->dir) + LAYOUT_PATH_MAX];
    snprintf(path, sizeof(path), "%s/%s", d->dir, name);
    return tree_read(&d->files, path, most, ret, reterr);
}

static err broken(const struct directory *d, const char *name, const char *how,
                  struct errtext *reterr)
{
    return err_fail(reterr, ERR_CORRUPT, "%s/%s: %s", d->dir, name, how);
}

/* A file that an export always has. */
static err file_need(const struct directory *d, const char *name, size_t most, struct buf *ret,
                     struct errtext *reterr)
{
    err e = file_read(d, name, most, ret, reterr);
    return err_is(e, ERR_NOT_FOUND) ? broken(d, name, "is missing", reterr)
           : err_is(e, ERR_LIMIT)   ? broken(d, name, "is longer than it can be", reterr)
                                    : e;
}

static err directory_genesis(struct source *s, struct buf *genesis, struct buf *signatures,
                             struct errtext *reterr)
{
    struct directory *d = directory_of(s);
    TRY(file_need(d, LAYOUT_GENESIS, GENESIS_BYTES_MAX, genesis, reterr));
    return file_need(d, LAYOUT_GENESIS_SIG, GENESIS_BYTES_MAX, signatures, reterr);
}

/* ---- blocks ---- */

/* The file that holds a height: files are named by their first block, so when an audit goes on
 * they are opened one after the other from the first. */
static err blocks_open(struct directory *d, uint64_t height, struct errtext *reterr)
{
    char name[LAYOUT_PATH_MAX];
    layout_blocks(name, height);
    buf_clear(&d->blocks);
    err e = file_read(d, name, BLOCKS_FILE_BYTES_MAX, &d->blocks, reterr);
    if (err_is(e, ERR_LIMIT)) {
        return broken(d, name, "is longer than it can be", reterr);
    }
    d->block = cursor_of(buf_bytes(&d->blocks));
    d->height = height;
    return failed(e) ? e : d->blocks.size == 0 ? broken(d, name, "is empty", reterr) : e;
}

static err block_next(struct directory *d, struct bytes *ret, struct errtext *reterr)
{
    if (d->height == 0 || cursor_left(&d->block) == 0) {
        TRY(blocks_open(d, d->height == 0 ? 1 : d->height, reterr));
    }
    *ret = cursor_sized(&d->block, BLOCK_BYTES_MAX);
    d->height++;
    if (!cursor_ok(&d->block)) {
        return err_fail(reterr, ERR_CORRUPT, "%s: the file of block %llu ends inside it", d->dir,
                        (unsigned long long)(d->height - 1));
    }
    return err_ok();
}

/* ---- records ---- */

static err bundle_open(struct directory *d, uint64_t index, struct errtext *reterr)
{
    char name[LAYOUT_PATH_MAX];
    uint64_t left = d->size - index * LAYOUT_TILE_WIDTH;
    size_t width = left < LAYOUT_TILE_WIDTH ? (size_t)left : LAYOUT_TILE_WIDTH;
    layout_entries(name, index, width);
    buf_clear(&d->bundle);
    TRY(file_need(d, name, BUNDLE_BYTES_MAX, &d->bundle, reterr));
    struct cursor c = cursor_of(buf_bytes(&d->bundle));
    for (size_t i = 0; i < width; i++) {
        (void)cursor_bytes(&c, cursor_u16(&c));
    }
    if (!cursor_done(&c)) {
        return broken(d, name, "is no bundle of records", reterr);
    }
    d->record = cursor_of(buf_bytes(&d->bundle));
    return err_ok();
}

/* The record at d->position, which is below d->size; does not move on. */
static err record_peek(struct directory *d, struct bytes *ret, struct errtext *reterr)
{
    size_t at = (size_t)(d->position % LAYOUT_TILE_WIDTH);
    if (at == 0 || d->bundle.size == 0) {
        TRY(bundle_open(d, d->position / LAYOUT_TILE_WIDTH, reterr));
        for (size_t i = 0; i < at; i++) {
            (void)cursor_bytes(&d->record, cursor_u16(&d->record));
        }
    }
    struct cursor c = d->record;
    *ret = cursor_bytes(&c, cursor_u16(&c));
    return err_ok();
}

static err claims_read(struct directory *d, uint64_t height, struct archived *ret,
                       struct errtext *reterr)
{
    struct claim *claims = arena_new(&d->arena, CLAIMS_PER_BLOCK_MAX, sizeof(*claims));
    size_t count = 0;
    while (count < CLAIMS_PER_BLOCK_MAX && d->position < d->size) {
        struct bytes wire;
        struct record record;
        TRY(record_peek(d, &wire, reterr));
        if (!failed(record_decode(wire, &record, NULL)) && record.height > height) {
            break; /* one that does not decode is claimed here, and found */
        }
        claims[count++] = (struct claim){.record = arena_copy(&d->arena, wire)};
        (void)cursor_bytes(&d->record, cursor_u16(&d->record));
        d->position++;
    }
    ret->claims = claims;
    ret->claim_count = count;
    return err_ok();
}

static err directory_begin(struct source *s, uint64_t position)
{
    struct directory *d = directory_of(s);
    d->position = position;
    d->height = 0;
    buf_clear(&d->bundle);
    return err_ok();
}

static err directory_block(struct source *s, uint64_t height, struct archived *ret,
                           struct errtext *reterr)
{
    struct directory *d = directory_of(s);
    arena_reset(&d->arena);
    *ret = (struct archived){0};
    do {
        TRY(block_next(d, &ret->block, reterr));
    } while (d->height <= height);
    return claims_read(d, height, ret, reterr);
}

/* ---- heads ---- */

static err directory_head(struct source *s, uint64_t size, struct buf *note, struct errtext *reterr)
{
    struct directory *d = directory_of(s);
    struct cursor c = cursor_of(buf_bytes(&d->heads));
    while (cursor_left(&c) > 0) {
        uint64_t told = 0;
        struct bytes wire = cursor_sized(&c, NOTE_BYTES_MAX);
        if (!cursor_ok(&c) || !head_size(wire, &told)) {
            return broken(d, LAYOUT_HEADS, "holds something that is no signed head", reterr);
        }
        if (told >= size) {
            buf_put_bytes(note, wire);
            return err_ok();
        }
    }
    return err_fail(reterr, ERR_NOT_FOUND, "no head of size %llu or more",
                    (unsigned long long)size);
}

/* ---- opening ---- */

static void directory_close(struct source *s)
{
    struct directory *d = directory_of(s);
    buf_done(&d->blocks);
    buf_done(&d->bundle);
    buf_done(&d->heads);
    arena_done(&d->arena);
    free(d);
}

static err heads_open(struct directory *d, struct errtext *reterr)
{
    struct buf newest;
    TRY(file_need(d, LAYOUT_HEADS, HEADS_BYTES_MAX, &d->heads, reterr));
    buf_init(&newest, NOTE_BYTES_MAX);
    err e = file_need(d, LAYOUT_CHECKPOINT, NOTE_BYTES_MAX, &newest, reterr);
    if (!failed(e) && !head_size(buf_bytes(&newest), &d->size)) {
        e = broken(d, LAYOUT_CHECKPOINT, "is no signed head", reterr);
    }
    buf_done(&newest);
    return e;
}

err source_directory(const char *dir, struct source **ret, struct errtext *reterr)
{
    struct directory *d = mem_new(1, sizeof(*d));
    d->source = (struct source){directory_genesis, directory_begin, directory_block, directory_head,
                                directory_close};
    d->files = fileops_system();
    snprintf(d->dir, sizeof(d->dir), "%s", dir);
    buf_init(&d->blocks, BLOCKS_FILE_BYTES_MAX);
    buf_init(&d->bundle, BUNDLE_BYTES_MAX);
    buf_init(&d->heads, HEADS_BYTES_MAX);
    arena_init(&d->arena, CLAIMS_PER_BLOCK_MAX * (sizeof(struct claim) + RECORD_BYTES_MAX + 32));
    err e = heads_open(d, reterr);
    if (failed(e)) {
        directory_close(&d->source);
        return e;
    }
    *ret = &d->source;
    return err_ok();
}
