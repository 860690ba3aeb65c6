#include "audit/export.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit/page.h"
#include "audit/script.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/require.h"
#include "crypto/checkpoint.h"
#include "crypto/note.h"
#include "crypto/sha256.h"
#include "ledger/tree.h"

enum { PROGRESS_BLOCKS = 256, LEVELS_MAX = 8, PAGE_LEVEL = 1, HEADS_BYTES_MAX = 64 << 20 };

struct exporting {
    const struct export_input *in;
    struct sink *sink;
    struct errtext *reterr;
    uint64_t size;           /* records */
    struct arena arena;      /* of one block, one page of accounts */
    struct buf line;         /* of a script */
    struct buf token;        /* of the next page of a statement */
    struct sink_file blocks; /* the file at hand */
    bool blocks_open;
    struct sink_file decisions; /* those of 256 records */
    bool decisions_open;
    struct sink_file *requests; /* LAYOUT_SHARDS, by the first octet of the request id */
    struct sink_file *accounts; /* LAYOUT_SHARDS, by that of the hash of the name */
};

/* ---- what is written as it is ---- */

static err documents_write(struct exporting *x)
{
    const struct export_input *in = x->in;
    struct buf heads;
    TRY(sink_write(x->sink, LAYOUT_GENESIS, in->genesis, x->reterr));
    TRY(sink_write(x->sink, LAYOUT_GENESIS_SIG, in->signatures, x->reterr));
    TRY(sink_write(x->sink, LAYOUT_CHECKPOINT, in->checkpoint, x->reterr));
    buf_init(&heads, HEADS_BYTES_MAX);
    for (size_t i = 0; i < in->head_count; i++) {
        buf_put_sized(&heads, in->heads[i]);
    }
    err e = heads.overflow ? err_fail(x->reterr, ERR_LIMIT, "the heads take more than %d bytes",
                                      HEADS_BYTES_MAX)
                           : sink_write(x->sink, LAYOUT_HEADS, buf_bytes(&heads), x->reterr);
    buf_done(&heads);
    return e;
}

static err contracts_write(struct exporting *x)
{
    size_t count = 0;
    arena_reset(&x->arena);
    const struct ledger_contract *list = ledger_contracts(x->in->ledger, &x->arena, &count);
    for (size_t i = 0; i < count; i++) {
        char path[LAYOUT_PATH_MAX];
        snprintf(path, sizeof(path), "contracts/%.*s-%llu.rules", (int)list[i].name.size,
                 (const char *)list[i].name.data, (unsigned long long)list[i].version);
        TRY(sink_write(x->sink, path, list[i].text, x->reterr));
    }
    return err_ok();
}

/* ---- the tree ---- */

static err tile_write(struct exporting *x, unsigned level, uint64_t index, size_t width)
{
    char path[LAYOUT_PATH_MAX];
    struct ledger_tile which = {.level = level, .index = index, .width = (uint32_t)width};
    struct buf tile;
    buf_init(&tile, LAYOUT_TILE_WIDTH * (2 + RECORD_BYTES_MAX));
    x->sink->has_position = level == 0;
    x->sink->position = index * LAYOUT_TILE_WIDTH;
    layout_tile(path, level, index, width);
    err e = ledger_tree_tile(x->in->ledger, &which, &tile, x->reterr);
    if (!failed(e)) {
        e = sink_write(x->sink, path, buf_bytes(&tile), x->reterr);
    }
    if (!failed(e) && level == 0) {
        layout_entries(path, index, width);
        buf_clear(&tile);
        e = ledger_tree_entries(x->in->ledger, &which, &tile, x->reterr);
        e = failed(e) ? e : sink_write(x->sink, path, buf_bytes(&tile), x->reterr);
    } else if (!failed(e) && level == PAGE_LEVEL) {
        layout_numbered(path, "tree", index);
        script_tile(&x->line, index, buf_bytes(&tile));
        e = sink_write(x->sink, path, buf_bytes(&x->line), x->reterr);
    }
    buf_done(&tile);
    x->sink->has_position = false;
    return e;
}

static err tiles_write(struct exporting *x)
{
    uint64_t hashes = x->size;
    for (unsigned level = 0; level < LEVELS_MAX && hashes > 0; level++) {
        for (uint64_t index = 0; index * LAYOUT_TILE_WIDTH < hashes; index++) {
            uint64_t left = hashes - index * LAYOUT_TILE_WIDTH;
            TRY(tile_write(x, level, index,
                           left < LAYOUT_TILE_WIDTH ? (size_t)left : LAYOUT_TILE_WIDTH));
        }
        hashes /= LAYOUT_TILE_WIDTH;
    }
    return err_ok();
}

/* ---- blocks, and what they decided ---- */

static err block_write(struct exporting *x, uint64_t height, struct bytes block)
{
    char path[LAYOUT_PATH_MAX];
    uint8_t size[4] = {(uint8_t)(block.size >> 24), (uint8_t)(block.size >> 16),
                       (uint8_t)(block.size >> 8), (uint8_t)block.size};
    if (!x->blocks_open) {
        layout_blocks(path, height);
        sink_begin(&x->blocks, path);
        x->blocks_open = true;
    }
    TRY(sink_put(x->sink, &x->blocks, bytes_of(size, sizeof(size)), x->reterr));
    TRY(sink_put(x->sink, &x->blocks, block, x->reterr));
    if (x->blocks.written + x->blocks.buffer.size < LAYOUT_BLOCKS_BYTES) {
        return err_ok();
    }
    x->blocks_open = false;
    return sink_close(x->sink, &x->blocks, x->reterr);
}

static err decision_write(struct exporting *x, const struct ledger_revealed *r)
{
    uint64_t position = r->record.record.position;
    char path[LAYOUT_PATH_MAX];
    x->sink->has_position = true;
    x->sink->position = position;
    if (!x->decisions_open) {
        layout_numbered(path, "decisions", position / LAYOUT_TILE_WIDTH);
        sink_begin(&x->decisions, path);
        x->decisions_open = true;
    }
    script_decision(&x->line, r);
    TRY(sink_put(x->sink, &x->decisions, buf_bytes(&x->line), x->reterr));
    if (r->on_behalf.size > 0 && r->record.record.index == 0) {
        script_request(&x->line, r);
        TRY(sink_put(x->sink, &x->requests[r->request_id[0]], buf_bytes(&x->line), x->reterr));
    }
    x->sink->has_position = false;
    if ((position + 1) % LAYOUT_TILE_WIDTH != 0) {
        return err_ok();
    }
    x->decisions_open = false;
    return sink_close(x->sink, &x->decisions, x->reterr);
}

static err blocks_write(struct exporting *x)
{
    uint64_t last = ledger_head(x->in->ledger).height;
    uint64_t position = 0;
    for (uint64_t height = 1; height <= last && x->sink->finding.kind == FINDING_NONE; height++) {
        struct ledger_revelation block;
        arena_reset(&x->arena);
        TRY(ledger_reveal(x->in->ledger, height, position, &x->arena, &block, x->reterr));
        TRY(block_write(x, height, block.block));
        for (size_t i = 0; i < block.count; i++) {
            TRY(decision_write(x, &block.records[i]));
        }
        position += block.count;
        if (x->in->progress != NULL && height % PROGRESS_BLOCKS == 0) {
            x->in->progress(x->in->ctx, height);
        }
    }
    if (x->blocks_open) {
        x->blocks_open = false;
        TRY(sink_close(x->sink, &x->blocks, x->reterr));
    }
    if (x->decisions_open) {
        x->decisions_open = false;
        TRY(sink_close(x->sink, &x->decisions, x->reterr));
    }
    return err_ok();
}

/* ---- accounts ---- */

static err account_write(struct exporting *x, const struct ledger_account_name *account,
                         struct arena *a)
{
    struct ledger_statement_query query = {.place = account->place};
    struct ledger_statement page;
    uint8_t shard[32];
    script_account_begin(&x->line, account, shard);
    struct sink_file *file = &x->accounts[shard[0]];
    bool first = true;
    do {
        TRY(sink_put(x->sink, file, buf_bytes(&x->line), x->reterr));
        arena_reset(a);
        TRY(ledger_query_statement(x->in->ledger, &query, a, &page, x->reterr));
        buf_clear(&x->line);
        for (size_t i = 0; i < page.count; i++) {
            script_account_position(&x->line, page.postings[i].position, first);
            first = false;
        }
        buf_clear(&x->token);
        buf_put_bytes(&x->token, page.token);
        query.token = buf_bytes(&x->token);
    } while (page.token.size > 0);
    script_account_end(&x->line);
    return sink_put(x->sink, file, buf_bytes(&x->line), x->reterr);
}

static err accounts_write(struct exporting *x)
{
    struct ledger_accounts_query query = {0};
    struct ledger_accounts page;
    struct arena statement;
    struct buf token;
    err e = err_ok();
    arena_init(&statement, LEDGER_QUERY_ARENA_MAX);
    buf_init(&token, ROW_BYTES_MAX);
    do {
        arena_reset(&x->arena);
        e = ledger_query_accounts(x->in->ledger, &query, &x->arena, &page, x->reterr);
        for (size_t i = 0; !failed(e) && i < page.count; i++) {
            e = page.accounts[i].issuance ? e : account_write(x, &page.accounts[i], &statement);
        }
        if (!failed(e)) {
            buf_clear(&token);
            buf_put_bytes(&token, page.token);
            query.token = buf_bytes(&token);
        }
    } while (!failed(e) && query.token.size > 0 && x->sink->finding.kind == FINDING_NONE);
    arena_done(&statement);
    buf_done(&token);
    return e;
}

/* ---- all ---- */

static struct sink_file *shards_begin(const char *kind)
{
    struct sink_file *files = mem_new(LAYOUT_SHARDS, sizeof(*files));
    for (unsigned i = 0; i < LAYOUT_SHARDS; i++) {
        char path[LAYOUT_PATH_MAX];
        layout_shard(path, kind, i);
        sink_begin(&files[i], path);
    }
    return files;
}

static err shards_close(struct exporting *x, struct sink_file *files, err e)
{
    for (unsigned i = 0; i < LAYOUT_SHARDS; i++) {
        if (failed(e)) {
            sink_drop(&files[i]);
        } else {
            e = sink_close(x->sink, &files[i], x->reterr);
        }
    }
    free(files);
    return e;
}

static err page_write(struct exporting *x, struct bytes policy)
{
    struct script_facts facts = {
        .origin = ledger_origin(x->in->ledger),
        .ledger_id = ledger_id(x->in->ledger),
        .head = ledger_head(x->in->ledger),
        .checkpoint = x->in->checkpoint,
        .policy = policy,
    };
    script_facts(&x->line, &facts);
    TRY(sink_write(x->sink, "page/facts.js", buf_bytes(&x->line), x->reterr));
    for (size_t i = 0; i < PAGE_FILE_COUNT; i++) {
        const struct page_file *f = &PAGE_FILES[i];
        char path[LAYOUT_PATH_MAX];
        bool script = strstr(f->name, ".js") != NULL;
        snprintf(path, sizeof(path), "%s%s", script ? "page/" : "", f->name);
        TRY(sink_write(x->sink, path, bytes_of(f->data, f->size), x->reterr));
    }
    return err_ok();
}

static err policy_write(struct exporting *x)
{
    struct buf policy;
    buf_init(&policy, POLICY_BYTES_MAX);
    err e = ledger_policy(x->in->ledger, x->size, &policy, x->reterr);
    if (!failed(e)) {
        e = sink_write(x->sink, LAYOUT_POLICY, buf_bytes(&policy), x->reterr);
    }
    if (!failed(e)) {
        e = page_write(x, buf_bytes(&policy));
    }
    buf_done(&policy);
    return e;
}

static err checkpoint_check(const struct exporting *x)
{
    struct note note;
    struct checkpoint told;
    TRY(note_parse(x->in->checkpoint, &note, x->reterr));
    TRY(checkpoint_parse(note.text, &told, x->reterr));
    if (told.size != x->size) {
        return err_fail(x->reterr, ERR_CONFLICT,
                        "the head is of size %llu, the ledger has %llu records",
                        (unsigned long long)told.size, (unsigned long long)x->size);
    }
    return err_ok();
}

err export_run(const struct export_input *in, struct sink *sink, struct errtext *reterr)
{
    require(in != NULL);
    require(sink != NULL);
    struct exporting x = {.in = in, .sink = sink, .reterr = reterr};
    x.size = ledger_head(in->ledger).position;
    arena_init(&x.arena, LEDGER_QUERY_ARENA_MAX);
    buf_init(&x.line, SCRIPT_LINE_MAX);
    buf_init(&x.token, ROW_BYTES_MAX);
    x.requests = shards_begin("requests");
    x.accounts = shards_begin("accounts");
    err e = checkpoint_check(&x);
    e = failed(e) ? e : documents_write(&x);
    e = failed(e) ? e : contracts_write(&x);
    e = failed(e) ? e : policy_write(&x);
    e = failed(e) ? e : tiles_write(&x);
    e = failed(e) ? e : blocks_write(&x);
    e = failed(e) ? e : accounts_write(&x);
    e = shards_close(&x, x.requests, e);
    e = shards_close(&x, x.accounts, e);
    if (x.blocks_open) {
        sink_drop(&x.blocks);
    }
    if (x.decisions_open) {
        sink_drop(&x.decisions);
    }
    arena_done(&x.arena);
    buf_done(&x.line);
    buf_done(&x.token);
    return e;
}
