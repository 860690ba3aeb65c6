#include "ledger/tiles.h"

#include <stdlib.h>

#include "base/cursor.h"
#include "base/mem.h"
#include "base/require.h"
#include "crypto/tilepath.h"
#include "ledger/families.h"
#include "ledger/read.h"
#include "ledger/record.h"

enum {
    TILE_VERSION = 1,
    TILE_BYTES = TILE_WIDTH * MERKLE_HASH_SIZE,
    TILE_KEY_BYTES = 9,
    TILE_NODES = 2 * TILE_WIDTH - 2, /* heights 0 to 7 of the subtree */
};

/* A tile with the hashes inside: those of height h begin at 512 - 512 / 2^h. */
struct grove {
    struct merkle_hash nodes[TILE_NODES];
};

struct cached {
    bool used;
    uint32_t level;
    uint64_t index, turn; /* of its last use */
    struct grove grove;
};

struct tiles {
    struct kv *kv; /* not owned */
    uint64_t size;
    struct grove edge[TILE_LEVELS];
    struct merkle_hash *pending; /* leaves of the block */
    size_t pending_count, pending_capacity;
    struct cached *cache; /* TILES_CACHED_MAX */
    uint64_t turn;
    struct buf value;
};

static size_t node_at(unsigned height, uint64_t slot)
{
    require(height < TILE_HEIGHT);
    require(slot < (uint64_t)TILE_WIDTH >> height);
    return 2 * TILE_WIDTH - ((size_t)2 * TILE_WIDTH >> height) + (size_t)slot;
}

/* Hashes of the tree's height 8 * level; full tiles of the level. */
static uint64_t row_count(uint64_t size, uint32_t level)
{
    return level < TILE_LEVELS ? size >> (TILE_HEIGHT * level) : 0;
}

static uint64_t tile_count(uint64_t size, uint32_t level)
{
    return row_count(size, level) / TILE_WIDTH;
}

struct tiles *tiles_new(struct kv *kv)
{
    require(kv != NULL);
    struct tiles *t = mem_new(1, sizeof(*t));
    t->kv = kv;
    t->cache = mem_new(TILES_CACHED_MAX, sizeof(*t->cache));
    buf_init(&t->value, ROW_BYTES_MAX);
    return t;
}

void tiles_free(struct tiles *t)
{
    if (t == NULL) {
        return;
    }
    free(t->pending);
    free(t->cache);
    buf_done(&t->value);
    free(t);
}

uint64_t tiles_size(const struct tiles *t)
{
    require(t != NULL);
    return t->size;
}

/* ---- growing ---- */

void tiles_add(struct tiles *t, struct bytes record)
{
    require(t != NULL);
    require(record.size > 0);
    if (t->pending_count == t->pending_capacity) {
        t->pending_capacity = t->pending_capacity * 2 + 64;
        t->pending = mem_resize(t->pending, t->pending_capacity, sizeof(*t->pending));
    }
    merkle_leaf(record, &t->pending[t->pending_count++]);
}

static void tile_key(uint32_t level, uint64_t index, struct buf *key)
{
    require(level < TILE_LEVELS);
    buf_clear(key);
    buf_put_u8(key, (uint8_t)level);
    buf_put_u64(key, index);
}

/* u8 version | 256 hashes */
static void tile_put(struct tiles *t, uint32_t level, uint64_t index, struct kv_batch *batch)
{
    struct buf key;
    buf_init(&key, TILE_KEY_BYTES);
    tile_key(level, index, &key);
    buf_clear(&t->value);
    buf_put_u8(&t->value, TILE_VERSION);
    buf_put(&t->value, t->edge[level].nodes, TILE_BYTES);
    require(!key.overflow);
    kv_batch_put(batch, t->kv, FAMILY_TREE, buf_bytes(&key), buf_bytes(&t->value));
    buf_done(&key);
}

static struct merkle_hash *edge_node(struct tiles *t, unsigned height, uint64_t index)
{
    unsigned within = height % TILE_HEIGHT;
    uint64_t slot = index & (((uint64_t)TILE_WIDTH >> within) - 1);
    return &t->edge[height / TILE_HEIGHT].nodes[node_at(within, slot)];
}

/* Adds a leaf and every inner hash that it completes. */
static void leaf_add(struct tiles *t, const struct merkle_hash *leaf, struct kv_batch *batch)
{
    require(t->size < (UINT64_C(1) << 63) - 1);
    struct merkle_hash hash = *leaf;
    for (unsigned height = 0;; height++) {
        uint64_t index = t->size >> height;
        *edge_node(t, height, index) = hash;
        if (height % TILE_HEIGHT == 0 && index % TILE_WIDTH == TILE_WIDTH - 1) {
            tile_put(t, height / TILE_HEIGHT, index / TILE_WIDTH, batch);
        }
        if ((index & 1) == 0) {
            break;
        }
        merkle_node(edge_node(t, height, index - 1), &hash, &hash);
    }
    t->size++;
}

void tiles_grow(struct tiles *t, struct kv_batch *batch)
{
    require(t != NULL);
    require(batch != NULL);
    for (size_t i = 0; i < t->pending_count; i++) {
        leaf_add(t, &t->pending[i], batch);
    }
    t->pending_count = 0;
}

/* ---- reading ---- */

/* Fills in the inner hashes over the first `count` ones. */
static void grove_complete(struct grove *g, size_t count)
{
    require(count <= TILE_WIDTH);
    for (unsigned height = 1; height < TILE_HEIGHT; height++) {
        for (size_t i = 0; i < count >> height; i++) {
            merkle_node(&g->nodes[node_at(height - 1, 2 * i)],
                        &g->nodes[node_at(height - 1, 2 * i + 1)], &g->nodes[node_at(height, i)]);
        }
    }
}

static void grove_root(const struct grove *g, struct merkle_hash *ret)
{
    merkle_node(&g->nodes[node_at(TILE_HEIGHT - 1, 0)], &g->nodes[node_at(TILE_HEIGHT - 1, 1)],
                ret);
}

/* Names the tile as an auditor would ask for it. */
static err tile_wrong(uint32_t level, uint64_t index, const char *what, struct errtext *reterr)
{
    struct buf name;
    char text[TILE_PATH_BYTES_MAX + 1] = "";
    buf_init(&name, TILE_PATH_BYTES_MAX);
    struct tile_path path = {TILE_PATH_HASHES, level, TILE_WIDTH, index};
    tile_path_print(&path, &name);
    memcpy(text, name.data, name.size);
    buf_done(&name);
    return err_fail(reterr, ERR_CORRUPT, "the tree of records: %s %s", text, what);
}

static err grove_read(struct tiles *t, uint32_t level, uint64_t index, struct grove *ret,
                      struct errtext *reterr)
{
    struct buf key;
    buf_init(&key, TILE_KEY_BYTES);
    tile_key(level, index, &key);
    buf_clear(&t->value);
    err e = kv_get(t->kv, FAMILY_TREE, buf_bytes(&key), &t->value, reterr);
    buf_done(&key);
    if (err_is(e, ERR_NOT_FOUND)) {
        return tile_wrong(level, index, "is missing", reterr);
    }
    TRY(e);
    struct cursor c = cursor_of(buf_bytes(&t->value));
    uint8_t version = cursor_u8(&c);
    cursor_copy(&c, ret->nodes, TILE_BYTES);
    if (!cursor_done(&c) || version != TILE_VERSION) {
        return tile_wrong(level, index, "does not decode", reterr);
    }
    grove_complete(ret, TILE_WIDTH);
    return err_ok();
}

static struct cached *cache_find(struct tiles *t, uint32_t level, uint64_t index)
{
    for (size_t i = 0; i < TILES_CACHED_MAX; i++) {
        struct cached *c = &t->cache[i];
        if (c->used && c->level == level && c->index == index) {
            c->turn = ++t->turn;
            return c;
        }
    }
    return NULL;
}

static struct cached *cache_oldest(struct tiles *t)
{
    struct cached *oldest = &t->cache[0];
    for (size_t i = 1; i < TILES_CACHED_MAX && oldest->used; i++) {
        if (!t->cache[i].used || t->cache[i].turn < oldest->turn) {
            oldest = &t->cache[i];
        }
    }
    return oldest;
}

/* Reads one full tile whose root is known from the tile above. */
static err cache_fill(struct tiles *t, uint32_t level, uint64_t index,
                      const struct merkle_hash *root, struct errtext *reterr)
{
    struct cached *c = cache_oldest(t);
    struct merkle_hash is;
    c->used = false;
    TRY(grove_read(t, level, index, &c->grove, reterr));
    grove_root(&c->grove, &is);
    if (memcmp(is.bytes, root->bytes, sizeof(is.bytes)) != 0) {
        return tile_wrong(level, index, "was changed: its hashes do not give the one above",
                          reterr);
    }
    c->level = level;
    c->index = index;
    c->turn = ++t->turn;
    c->used = true;
    return err_ok();
}

/* A full tile or the edge of a level. A full one is checked, and those above it before it, from the
 * first that is known. The view lasts until the next call. */
static err grove_find(struct tiles *t, uint32_t level, uint64_t index, const struct grove **ret,
                      struct errtext *reterr)
{
    uint32_t top = level;
    const struct grove *known = NULL;
    for (;; top++) {
        require(top < TILE_LEVELS);
        uint64_t at = index >> (TILE_HEIGHT * (top - level));
        if (at == tile_count(t->size, top)) {
            known = &t->edge[top];
            break;
        }
        const struct cached *c = cache_find(t, top, at);
        if (c != NULL) {
            known = &c->grove;
            break;
        }
    }
    for (; top > level; top--) {
        uint64_t at = index >> (TILE_HEIGHT * (top - 1 - level));
        struct merkle_hash root = known->nodes[node_at(0, at % TILE_WIDTH)];
        TRY(cache_fill(t, top - 1, at, &root, reterr));
        known = &cache_find(t, top - 1, at)->grove;
    }
    *ret = known;
    return err_ok();
}

static err source_hash(void *ctx, unsigned height, uint64_t index, struct merkle_hash *ret,
                       struct errtext *reterr)
{
    struct tiles *t = ctx;
    uint32_t level = height / TILE_HEIGHT;
    unsigned within = height % TILE_HEIGHT;
    require((index + 1) << height <= t->size);
    uint64_t first = index << within;
    const struct grove *g = NULL;
    TRY(grove_find(t, level, first / TILE_WIDTH, &g, reterr));
    *ret = g->nodes[node_at(within, (first % TILE_WIDTH) >> within)];
    return err_ok();
}

struct merkle_source tiles_source(struct tiles *t)
{
    require(t != NULL);
    return (struct merkle_source){t, source_hash};
}

void tiles_root(struct tiles *t, struct merkle_hash *ret)
{
    struct merkle_source source = tiles_source(t);
    struct errtext why;
    /* The last full subtrees of a tree are all in its edge. */
    err e = merkle_root_from(&source, t->size, ret, &why);
    require(!failed(e));
}

err tiles_read(struct tiles *t, const struct ledger_tile *which, struct buf *ret,
               struct errtext *reterr)
{
    require(t != NULL);
    require(which->width > 0);
    require(which->width <= TILE_WIDTH);
    uint64_t count = row_count(t->size, which->level);
    if (which->index > count / TILE_WIDTH ||
        which->index * TILE_WIDTH + which->width > count) {
        return err_fail(reterr, ERR_NOT_FOUND, "the tree does not reach to this tile yet");
    }
    const struct grove *g = NULL;
    TRY(grove_find(t, which->level, which->index, &g, reterr));
    buf_put(ret, g->nodes, (size_t)which->width * MERKLE_HASH_SIZE);
    return ret->overflow ? no_room(reterr) : err_ok();
}

/* ---- opening ---- */

static err leaf_of(struct tiles *t, uint64_t position, struct merkle_hash *ret,
                   struct errtext *reterr)
{
    struct buf key;
    struct ledger_record record;
    buf_init(&key, sizeof(uint64_t));
    buf_put_u64(&key, position);
    buf_clear(&t->value);
    err e = kv_get(t->kv, FAMILY_RECORDS, buf_bytes(&key), &t->value, reterr);
    buf_done(&key);
    if (err_is(e, ERR_NOT_FOUND)) {
        return err_fail(reterr, ERR_CORRUPT, "record %llu is missing",
                        (unsigned long long)position);
    }
    TRY(e);
    if (failed(record_read(buf_bytes(&t->value), &record))) {
        return err_fail(reterr, ERR_CORRUPT, "record %llu does not decode",
                        (unsigned long long)position);
    }
    merkle_leaf(record.bytes, ret);
    return err_ok();
}

/* Hash number `index` of a level, from what lies below: a record, or a tile. */
static err hash_below(struct tiles *t, uint32_t level, uint64_t index, struct merkle_hash *ret,
                      struct errtext *reterr)
{
    if (level == 0) {
        return leaf_of(t, index, ret, reterr);
    }
    struct grove *below = mem_new(1, sizeof(*below));
    err e = grove_read(t, level - 1, index, below, reterr);
    grove_root(below, ret);
    free(below);
    return e;
}

static err edge_load(struct tiles *t, uint32_t level, struct errtext *reterr)
{
    uint64_t first = tile_count(t->size, level) * TILE_WIDTH;
    size_t count = (size_t)(row_count(t->size, level) - first);
    for (size_t i = 0; i < count; i++) {
        TRY(hash_below(t, level, first + i, &t->edge[level].nodes[node_at(0, i)], reterr));
    }
    grove_complete(&t->edge[level], count);
    return err_ok();
}

/* Which tile below an edge does not hold what lies below it? Only asked when the root is wrong. */
static err tile_blame(struct tiles *t, uint32_t level, uint64_t index, struct errtext *reterr)
{
    struct grove *g = mem_new(1, sizeof(*g));
    err e = grove_read(t, level, index, g, reterr);
    for (uint64_t i = 0; !failed(e) && i < TILE_WIDTH; i++) {
        struct merkle_hash below;
        e = hash_below(t, level, index * TILE_WIDTH + i, &below, reterr);
        if (!failed(e) &&
            memcmp(below.bytes, g->nodes[node_at(0, i)].bytes, sizeof(below.bytes)) != 0) {
            e = tile_wrong(level, index, "was changed: its hashes are not those of what it covers",
                           reterr);
        }
    }
    free(g);
    return e;
}

static err root_blame(struct tiles *t, struct errtext *reterr)
{
    for (uint32_t level = 0; level + 1 < TILE_LEVELS; level++) {
        uint64_t end = tile_count(t->size, level);
        for (uint64_t i = end / TILE_WIDTH * TILE_WIDTH; i < end; i++) {
            TRY(tile_blame(t, level, i, reterr));
        }
    }
    return err_fail(reterr, ERR_CORRUPT,
                    "the tree of records: tiles and records do not give the root of the head");
}

err tiles_load(struct tiles *t, const struct ledger_head *head, struct errtext *reterr)
{
    require(t != NULL);
    require(t->pending_count == 0);
    if (head->position >= UINT64_C(1) << 62) {
        return err_fail(reterr, ERR_CORRUPT, "the head of the state does not decode");
    }
    t->size = head->position;
    for (uint32_t level = 0; level < TILE_LEVELS; level++) {
        TRY(edge_load(t, level, reterr));
    }
    struct merkle_hash root;
    tiles_root(t, &root);
    if (memcmp(root.bytes, head->root, sizeof(root.bytes)) != 0) {
        return root_blame(t, reterr);
    }
    return err_ok();
}
