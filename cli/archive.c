#include "cli/archive.h"

#include <stdlib.h>

#include "base/cursor.h"
#include "base/limits.h"
#include "base/mem.h"
#include "proto/service.h"

struct archive {
    struct source source;
    struct session *session;
    struct arena blocks_arena, heads_arena, claims_arena; /* of the pages at hand */
    struct blocks_reply *blocks;
    uint64_t first_height; /* of the page */
    struct heads_reply *heads;
    uint64_t heads_from; /* what the page was asked for */
};

static struct archive *archive_of(struct source *s)
{
    return (struct archive *)s;
}

/* The answer is decoded into the arena, so that the session's memory can go. */
static err ask(struct archive *x, const char *path, struct bytes *ret, struct errtext *reterr)
{
    arena_reset(&x->session->arena);
    err e = session_ask(x->session, path, ret);
    if (failed(e) && reterr != NULL) {
        *reterr = x->session->why;
    }
    return e;
}

static err archive_genesis(struct source *s, struct buf *genesis, struct buf *signatures,
                           struct errtext *reterr)
{
    struct archive *x = archive_of(s);
    struct genesis_request q = {.local = true};
    struct genesis_reply *r = NULL;
    struct bytes wire;
    buf_clear(&x->session->request);
    genesis_request_encode(&q, &x->session->request);
    TRY(ask(x, METHOD_GENESIS, &wire, reterr));
    TRY(genesis_reply_decode(wire, &x->session->arena, &r, reterr));
    buf_put_bytes(genesis, r->genesis);
    buf_put_bytes(signatures, r->signatures);
    return r->signatures.size > 0
               ? err_ok()
               : err_fail(reterr, ERR_CORRUPT, "the node gives no signatures of the founders");
}

static err archive_begin(struct source *s, uint64_t position)
{
    (void)s;
    (void)position;
    return err_ok(); /* a node gives each block with its records */
}

/* ---- blocks ---- */

static err blocks_fetch(struct archive *x, uint64_t height, struct errtext *reterr)
{
    struct blocks_request q = {.from_height = height, .local = true};
    struct bytes wire;
    buf_clear(&x->session->request);
    blocks_request_encode(&q, &x->session->request);
    x->blocks = NULL;
    TRY(ask(x, METHOD_BLOCKS, &wire, reterr));
    arena_reset(&x->blocks_arena);
    TRY(blocks_reply_decode(wire, &x->blocks_arena, &x->blocks, reterr));
    x->first_height = height;
    return err_ok();
}

static err claims_make(struct archive *x, struct bytes records, struct archived *ret,
                       struct errtext *reterr)
{
    struct cursor c = cursor_of(records);
    size_t room = records.size / 2 + 1; /* each has a size of two octets */
    arena_reset(&x->claims_arena);
    struct claim *claims = arena_try(&x->claims_arena, room, sizeof(*claims));
    size_t count = 0;
    while (claims != NULL && cursor_ok(&c) && cursor_left(&c) > 0) {
        claims[count++].record = cursor_bytes(&c, cursor_u16(&c));
    }
    if (claims == NULL || !cursor_done(&c)) {
        return err_fail(reterr, ERR_CORRUPT, "the node's records are no bundle");
    }
    ret->claims = claims;
    ret->claim_count = count;
    return err_ok();
}

static err archive_block(struct source *s, uint64_t height, struct archived *ret,
                         struct errtext *reterr)
{
    struct archive *x = archive_of(s);
    if (x->blocks == NULL || height < x->first_height ||
        height - x->first_height >= x->blocks->block_count) {
        TRY(blocks_fetch(x, height, reterr));
    }
    if (x->blocks->block_count == 0) {
        return err_fail(reterr, ERR_NOT_FOUND, "the node has no block %llu",
                        (unsigned long long)height);
    }
    const struct archived_block *b = &x->blocks->blocks[height - x->first_height];
    *ret = (struct archived){.block = b->block};
    return claims_make(x, b->records, ret, reterr);
}

/* ---- heads ---- */

static err heads_fetch(struct archive *x, uint64_t size, struct errtext *reterr)
{
    struct heads_request q = {.from_size = size, .local = true};
    struct bytes wire;
    buf_clear(&x->session->request);
    heads_request_encode(&q, &x->session->request);
    x->heads = NULL;
    TRY(ask(x, METHOD_HEADS, &wire, reterr));
    arena_reset(&x->heads_arena);
    TRY(heads_reply_decode(wire, &x->heads_arena, &x->heads, reterr));
    x->heads_from = size;
    return err_ok();
}

static const struct signed_head *head_in_page(const struct archive *x, uint64_t size)
{
    if (x->heads == NULL || size < x->heads_from) {
        return NULL;
    }
    for (size_t i = 0; i < x->heads->head_count; i++) {
        if (x->heads->heads[i].size >= size) {
            return &x->heads->heads[i];
        }
    }
    return NULL;
}

static err archive_head(struct source *s, uint64_t size, struct buf *note, struct errtext *reterr)
{
    struct archive *x = archive_of(s);
    const struct signed_head *head = head_in_page(x, size);
    if (head == NULL) {
        TRY(heads_fetch(x, size, reterr));
        head = head_in_page(x, size);
    }
    if (head == NULL) {
        return err_fail(reterr, ERR_NOT_FOUND, "the node keeps no head of size %llu or more",
                        (unsigned long long)size);
    }
    buf_put_bytes(note, head->note);
    return err_ok();
}

static void archive_close(struct source *s)
{
    struct archive *x = archive_of(s);
    arena_done(&x->blocks_arena);
    arena_done(&x->heads_arena);
    arena_done(&x->claims_arena);
    free(x);
}

struct source *archive_source(struct session *s)
{
    struct archive *x = mem_new(1, sizeof(*x));
    x->source =
        (struct source){archive_genesis, archive_begin, archive_block, archive_head, archive_close};
    x->session = s;
    arena_init(&x->blocks_arena, (size_t)8 * GRPC_MESSAGE_BYTES_MAX);
    arena_init(&x->heads_arena, (size_t)8 * GRPC_MESSAGE_BYTES_MAX);
    arena_init(&x->claims_arena, (size_t)32 * GRPC_MESSAGE_BYTES_MAX);
    return &x->source;
}
