/* The archive service: the ledger as a whole, page by page. Everything is read from the state, as
 * it was applied; whoever asks computes it again. */
#include <string.h>

#include "crypto/keyfile.h"
#include "ledger/tree.h"
#include "proto/service.h"
#include "server/heads.h"
#include "server/parts.h"
#include "server/query.h"

QUERY_DECODE(genesis_request)
QUERY_DECODE(blocks_request)
QUERY_DECODE(heads_request)

static err serve_genesis(struct node *n, const void *request, struct arena *a, struct buf *reply,
                         struct refusal *no, struct errtext *reterr)
{
    struct genesis_reply r = {.genesis = n->genesis};
    struct buf signatures;
    (void)request;
    (void)a;
    (void)no;
    buf_init(&signatures, GENESIS_BYTES_MAX);
    err e = keyfile_read_public(n->config.genesis_signatures, &signatures, reterr);
    r.signatures = buf_bytes(&signatures);
    if (!failed(e)) {
        query_at(n, &r.at);
        genesis_reply_encode(&r, reply);
    }
    buf_done(&signatures);
    return e;
}

static err block_add(const struct node *n, uint64_t height, uint64_t *position, struct arena *a,
                     struct archived_block *ret, struct errtext *reterr)
{
    struct ledger_revelation block;
    struct buf records;
    TRY(ledger_reveal(n->ledger, height, *position, a, &block, reterr));
    buf_init_in(&records, a, REVEALED_MAX * (2 + RECORD_BYTES_MAX));
    for (size_t i = 0; i < block.count; i++) {
        struct bytes record = block.records[i].record.bytes;
        buf_put_u16(&records, (uint16_t)record.size);
        buf_put_bytes(&records, record);
    }
    *ret = (struct archived_block){.block = block.block, .records = buf_bytes(&records)};
    *position += block.count;
    return records.overflow ? err_fail(reterr, ERR_LIMIT, "block %llu made too many records",
                                       (unsigned long long)height)
                            : err_ok();
}

static err serve_blocks(struct node *n, const void *request, struct arena *a, struct buf *reply,
                        struct refusal *no, struct errtext *reterr)
{
    const struct blocks_request *q = request;
    struct blocks_reply r = {.blocks = arena_new(a, ARCHIVE_BLOCKS_MAX, sizeof(*r.blocks))};
    uint64_t last = ledger_head(n->ledger).height;
    uint64_t position = 0;
    size_t bytes = 0;
    if (q->from_height == 0) {
        *no = refusal_of(REASON_BAD_REQUEST, "from_height: heights count from 1");
        return err_ok();
    }
    if (q->from_height <= last) {
        TRY(ledger_size_at(n->ledger, q->from_height - 1, &position, reterr));
    }
    for (uint64_t height = q->from_height;
         height <= last && r.block_count < ARCHIVE_BLOCKS_MAX && bytes < ARCHIVE_ANSWER_BYTES_MAX;
         height++) {
        struct archived_block *next = &r.blocks[r.block_count++];
        TRY(block_add(n, height, &position, a, next, reterr));
        bytes += next->block.size + next->records.size;
    }
    query_at(n, &r.at);
    blocks_reply_encode(&r, reply);
    return err_ok();
}

static err serve_heads(struct node *n, const void *request, struct arena *a, struct buf *reply,
                       struct refusal *no, struct errtext *reterr)
{
    const struct heads_request *q = request;
    struct heads_reply r = {.heads = arena_new(a, ARCHIVE_HEADS_MAX, sizeof(*r.heads))};
    uint64_t from = q->from_size;
    (void)no;
    while (r.head_count < ARCHIVE_HEADS_MAX) {
        struct heads_stored head = {.size = 0};
        buf_init_in(&head.note, a, NOTE_BYTES_MAX);
        err e = heads_store_find(n->kv, from, &head, reterr);
        if (err_is(e, ERR_NOT_FOUND)) {
            break;
        }
        TRY(e);
        r.heads[r.head_count++] = (struct signed_head){head.size, buf_bytes(&head.note)};
        from = head.size + 1;
    }
    query_at(n, &r.at);
    heads_reply_encode(&r, reply);
    return err_ok();
}

const struct query_kind ARCHIVE_KINDS[] = {
    {METHOD_GENESIS, decode_genesis_request, serve_genesis},
    {METHOD_BLOCKS, decode_blocks_request, serve_blocks},
    {METHOD_HEADS, decode_heads_request, serve_heads},
};
const size_t ARCHIVE_KIND_COUNT = sizeof(ARCHIVE_KINDS) / sizeof(*ARCHIVE_KINDS);
