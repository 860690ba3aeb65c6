/* The tree as static pages, as c2sp.org/tlog-tiles says: GET /checkpoint, /tile/L/N[.p/W] and
 * /tile/entries/N[.p/W] on the clients' port. Read by anybody where the genesis allows it, else by
 * whoever has a client's certificate: the handshake has seen to that (server/credentials.c). */
#include "base/require.h"
#include "crypto/tilepath.h"
#include "ledger/tree.h"
#include "server/parts.h"

/* What was served never changes: the hashes of a partial tile are the first of the full one. */
#define CACHE_FOR_EVER "public, max-age=31536000, immutable"

static void page_text(struct grpc_page *ret, unsigned status, const char *text)
{
    ret->status = status;
    ret->type = "text/plain; charset=utf-8";
    ret->cache = "no-cache";
    buf_clear(&ret->body);
    buf_put_text(&ret->body, text);
}

static void page_checkpoint(const struct node *n, struct grpc_page *ret)
{
    if (n->heads.newest_size == 0) {
        page_text(ret, 404, "no checkpoint has been cosigned by a majority of institutions yet\n");
        return;
    }
    page_text(ret, 200, "");
    buf_put_bytes(&ret->body, buf_bytes(&n->heads.newest));
}

static void page_tile(const struct node *n, const struct tile_path *path, struct grpc_page *ret)
{
    struct errtext why = {""};
    const struct ledger_tile which = {path->level, path->width, path->index};
    err e = path->kind == TILE_PATH_HASHES
                ? ledger_tree_tile(n->ledger, &which, &ret->body, &why)
                : ledger_tree_entries(n->ledger, &which, &ret->body, &why);
    if (err_is(e, ERR_NOT_FOUND)) {
        page_text(ret, 404, "the tree does not reach so far yet\n");
    } else if (failed(e)) {
        page_text(ret, 500, "this node cannot read that tile; ask another one\n");
    } else {
        ret->status = 200;
        ret->type = "application/octet-stream";
        ret->cache = CACHE_FOR_EVER;
    }
}

void pages_get(void *ctx, struct bytes path, struct grpc_page *ret)
{
    const struct node *n = ctx;
    struct tile_path which;
    require(n != NULL);
    require(ret != NULL);
    if (path.size == 0 || path.data[0] != '/') {
        page_text(ret, 400, "a path begins with a slash\n");
        return;
    }
    if (failed(tile_path_parse(bytes_of(path.data + 1, path.size - 1), &which))) {
        bool tile = bytes_has_prefix(path, bytes_text("/tile/"));
        page_text(ret, tile ? 400 : 404,
                  tile ? "not the name of a tile: see c2sp.org/tlog-tiles\n"
                       : "here are /checkpoint and /tile/ only: see c2sp.org/tlog-tiles\n");
        return;
    }
    if (n->failing[0] != '\0' || n->ledger == NULL) {
        page_text(ret, 503, "this node is stopping; ask another one\n");
        return;
    }
    switch (which.kind) {
    case TILE_PATH_CHECKPOINT:
        page_checkpoint(n, ret);
        break;
    case TILE_PATH_HASHES:
    case TILE_PATH_ENTRIES:
        page_tile(n, &which, ret);
        break;
    }
}
