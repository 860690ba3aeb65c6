/* A state database as a source: blocks and records as its families hold them. */
#include <stdio.h>
#include <stdlib.h>

#include "audit/source.h"
#include "base/limits.h"
#include "base/mem.h"
#include "crypto/keyfile.h"
#include "ledger/stored.h"
#include "storage/kv.h"

enum { CLAIMS_PER_BLOCK_MAX = 4 * EVENTS_MAX }; /* its events, and timers that fire */

struct backup {
    struct source source;
    struct kv *kv;
    char dir[4096];
    struct buf block, value;
    struct arena arena; /* claims of one block */
    uint64_t position;  /* of the next block's first record */
};

static struct backup *backup_of(struct source *s)
{
    return (struct backup *)s;
}

/* The signatures are no part of the state; a node keeps them beside it. */
static err signatures_read(const struct backup *b, struct buf *ret, struct errtext *reterr)
{
    char path[sizeof(b->dir) + 32];
    static const char *const PLACES[] = {"%s/genesis.sig", "%s/../genesis.sig"};
    for (size_t i = 0; i < sizeof(PLACES) / sizeof(*PLACES); i++) {
        snprintf(path, sizeof(path), i == 0 ? "%s/genesis.sig" : "%s/../genesis.sig", b->dir);
        err e = keyfile_read_public(path, ret, reterr);
        if (!failed(e) || !err_is(e, ERR_NOT_FOUND)) {
            return e;
        }
        buf_clear(ret);
    }
    return err_ok();
}

static err backup_genesis(struct source *s, struct buf *genesis, struct buf *signatures,
                          struct errtext *reterr)
{
    struct backup *b = backup_of(s);
    err e = stored_genesis(b->kv, genesis, reterr);
    if (err_is(e, ERR_NOT_FOUND)) {
        return err_fail(reterr, ERR_CORRUPT, "%s: holds no genesis", b->dir);
    }
    return failed(e) ? e : signatures_read(b, signatures, reterr);
}

/* The records that say they are of this height, from the next position on. */
static err claims_read(struct backup *b, uint64_t height, struct archived *ret,
                       struct errtext *reterr)
{
    size_t room = CLAIMS_PER_BLOCK_MAX;
    struct claim *claims = arena_new(&b->arena, room, sizeof(*claims));
    size_t count = 0;
    while (count < room) {
        struct ledger_record record;
        buf_clear(&b->value);
        err e = stored_record(b->kv, b->position, &b->value, &record, reterr);
        if (err_is(e, ERR_NOT_FOUND)) {
            break;
        }
        TRY(e);
        if (record.record.height > height) {
            break;
        }
        claims[count++] = (struct claim){
            .record = arena_copy(&b->arena, record.bytes),
            .end = (uint32_t)record.outcome.end,
            .outcome = arena_copy(&b->arena, record.outcome_json),
            .effects = arena_copy(&b->arena, record.effects_json),
        };
        b->position++;
    }
    ret->claims = claims;
    ret->claim_count = count;
    return err_ok();
}

static err backup_block(struct source *s, uint64_t height, struct archived *ret,
                        struct errtext *reterr)
{
    struct backup *b = backup_of(s);
    arena_reset(&b->arena);
    buf_clear(&b->block);
    TRY(stored_block(b->kv, height, &b->block, reterr));
    *ret = (struct archived){.block = buf_bytes(&b->block)};
    return claims_read(b, height, ret, reterr);
}

static err backup_head(struct source *s, uint64_t size, struct buf *note, struct errtext *reterr)
{
    return stored_head(backup_of(s)->kv, size, note, reterr);
}

static err backup_begin(struct source *s, uint64_t position)
{
    backup_of(s)->position = position;
    return err_ok();
}

static void backup_close(struct source *s)
{
    struct backup *b = backup_of(s);
    kv_close(b->kv);
    buf_done(&b->block);
    buf_done(&b->value);
    arena_done(&b->arena);
    free(b);
}

err source_backup(const char *dir, struct source **ret, struct errtext *reterr)
{
    struct kv_options options = {.read_only = true};
    struct backup *b = mem_new(1, sizeof(*b));
    b->source =
        (struct source){backup_genesis, backup_begin, backup_block, backup_head, backup_close};
    snprintf(b->dir, sizeof(b->dir), "%s", dir);
    buf_init(&b->block, BLOCK_BYTES_MAX);
    buf_init(&b->value, ROW_BYTES_MAX);
    arena_init(&b->arena, (size_t)4 * ROW_BYTES_MAX);
    ledger_kv_families(&options);
    err e = kv_open(dir, &options, &b->kv, reterr);
    if (failed(e)) {
        backup_close(&b->source);
        return e;
    }
    *ret = &b->source;
    return err_ok();
}
