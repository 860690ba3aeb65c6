/* The tree over the records: grown by blocks, opened at every size, proved, and damaged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/cursor.h"
#include "base/mem.h"
#include "crypto/sha256.h"
#include "ledger/families.h"
#include "ledger/tiles.h"
#include "world.h"

static const char *const CONTRACTS[] = {"tests/unit/ledger/bank.rules"};
enum { RECORDS = 1100 };

/* The ledger of these tests, made once: blocks of 1 to 16 records. */
struct grown {
    struct world w;
    struct merkle_hash leaves[RECORDS + 16];
    struct merkle_hash roots[RECORDS + 17]; /* roots[n]: over the first n leaves */
    uint64_t size_at[RECORDS + 17];         /* by height */
};

static const struct ledger_result *block_of(struct world *w, size_t events)
{
    struct plan plan = {
        .signers = {KEY_TELLER}, .on_behalf = "teller", .id = (uint8_t)w->head.height};
    for (size_t i = 0; i < events; i++) {
        plan.actions[i] = (struct action){"test.bank", "split", "{\"who\":\"anna\",\"parts\":3}"};
    }
    struct bytes envelope = world_envelope(w, &plan);
    return world_apply(w, &envelope, 1);
}

static void leaves_read(struct grown *g)
{
    struct arena a;
    struct errtext why;
    arena_init(&a, LEDGER_QUERY_ARENA_MAX);
    struct merkle m;
    merkle_init(&m);
    merkle_root(&m, &g->roots[0]);
    struct ledger_records_query query = {0};
    while (query.from < g->w.head.position) {
        struct ledger_records page;
        arena_reset(&a);
        assert_false(failed(ledger_query_records(g->w.ledger, &query, &a, &page, &why)));
        for (size_t i = 0; i < page.count; i++) {
            uint64_t at = page.records[i].record.position;
            merkle_leaf(page.records[i].bytes, &g->leaves[at]);
            merkle_add(&m, &g->leaves[at]);
            merkle_root(&m, &g->roots[at + 1]);
        }
        query.from = page.next;
    }
    arena_done(&a);
}

static int up(void **state)
{
    struct grown *g = mem_new(1, sizeof(*g));
    world_open(&g->w, CONTRACTS, 1);
    struct merkle_hash none;
    merkle_root_of(NULL, 0, &none);
    assert_memory_equal(ledger_head(g->w.ledger).root, none.bytes, 32);
    for (size_t i = 0; g->w.head.position < RECORDS; i++) {
        uint8_t root[32];
        g->size_at[g->w.head.height] = g->w.head.position;
        const struct ledger_result *r = block_of(&g->w, 1 + i % 16);
        assert_int_equal(r->applied[0].reason, REASON_NONE);
        memcpy(root, r->head.root, 32);
        struct merkle_hash is;
        assert_false(failed(ledger_tree_root(g->w.ledger, r->head.position, &is, NULL)));
        assert_memory_equal(is.bytes, root, 32);
    }
    g->size_at[g->w.head.height] = g->w.head.position;
    leaves_read(g);
    *state = g;
    return 0;
}

static int down(void **state)
{
    struct grown *g = *state;
    world_close(&g->w);
    free(g);
    return 0;
}

static struct ledger_head head_at(const struct grown *g, uint64_t size)
{
    struct ledger_head head = {.position = size};
    memcpy(head.root, g->roots[size].bytes, 32);
    return head;
}

static void roots_of_all_sizes(void **state)
{
    struct grown *g = *state;
    struct errtext why;
    assert_memory_equal(g->w.head.root, g->roots[g->w.head.position].bytes, 32);
    for (uint64_t size = 0; size <= g->w.head.position; size++) {
        struct merkle_hash root;
        assert_false(failed(ledger_tree_root(g->w.ledger, size, &root, &why)));
        assert_memory_equal(&root, &g->roots[size], sizeof(root));
    }
    struct merkle_hash root;
    assert_int_equal(ledger_tree_root(g->w.ledger, g->w.head.position + 1, &root, &why).code,
                     ERR_LIMIT);
}

/* A tree that is opened at any size has the same root, and grows to the same ones. */
static void opened_at_every_size(void **state)
{
    struct grown *g = *state;
    struct errtext why;
    struct kv_batch *scratch = kv_batch_new();
    for (uint64_t size = 0; size <= RECORDS; size++) {
        struct tiles *t = tiles_new(g->w.kv);
        struct ledger_head head = head_at(g, size);
        assert_false(failed(tiles_load(t, &head, &why)));
        assert_int_equal(tiles_size(t), size);
        for (uint64_t more = 1; more <= 3 && size + more <= RECORDS; more++) {
            struct merkle_hash root;
            struct buf record;
            struct ledger_record r;
            struct arena a;
            struct ledger_records page;
            arena_init(&a, LEDGER_QUERY_ARENA_MAX);
            struct ledger_records_query query = {.from = size + more - 1, .limit = 1};
            assert_false(failed(ledger_query_records(g->w.ledger, &query, &a, &page, &why)));
            r = page.records[0];
            buf_init(&record, RECORD_BYTES_MAX);
            buf_put_bytes(&record, r.bytes);
            tiles_add(t, buf_bytes(&record));
            tiles_grow(t, scratch);
            tiles_root(t, &root);
            assert_memory_equal(&root, &g->roots[size + more], sizeof(root));
            buf_done(&record);
            arena_done(&a);
        }
        tiles_free(t);
        kv_batch_clear(scratch);
    }
    kv_batch_free(scratch);
}

static bool size_is_checked(uint64_t size)
{
    return size <= 40 || size % 256 <= 1 || size % 256 == 255 || size == RECORDS || size % 97 == 0;
}

static void every_record_is_proved(void **state)
{
    struct grown *g = *state;
    struct merkle_proof proof;
    struct errtext why;
    for (uint64_t size = 1; size <= RECORDS; size++) {
        for (uint64_t i = 0; size_is_checked(size) && i < size; i++) {
            assert_false(failed(ledger_tree_inclusion(g->w.ledger, i, size, &proof, &why)));
            assert_true(merkle_path_proves(&g->leaves[i], i, size, proof.hashes, proof.count,
                                           &g->roots[size]));
        }
    }
    assert_int_equal(ledger_tree_inclusion(g->w.ledger, 7, 7, &proof, &why).code, ERR_INVALID);
    uint64_t beyond = g->w.head.position + 1;
    assert_int_equal(ledger_tree_inclusion(g->w.ledger, 7, beyond, &proof, &why).code, ERR_LIMIT);
}

static void every_size_continues_the_ones_before(void **state)
{
    struct grown *g = *state;
    struct merkle_proof proof;
    struct errtext why;
    for (uint64_t size = 0; size <= RECORDS; size++) {
        for (uint64_t old = 0; size_is_checked(size) && old <= size; old++) {
            struct merkle_head a = {old, g->roots[old]};
            struct merkle_head b = {size, g->roots[size]};
            assert_false(failed(ledger_tree_consistency(g->w.ledger, old, size, &proof, &why)));
            assert_true(merkle_consistency_proves(&a, &b, proof.hashes, proof.count));
        }
    }
    assert_int_equal(ledger_tree_consistency(g->w.ledger, 8, 7, &proof, &why).code, ERR_INVALID);
    uint64_t beyond = g->w.head.position + 1;
    assert_int_equal(ledger_tree_consistency(g->w.ledger, 7, beyond, &proof, &why).code,
                     ERR_LIMIT);
}

static err tile(struct grown *g, uint32_t level, uint64_t index, uint32_t width, struct buf *ret)
{
    struct ledger_tile which = {.level = level, .width = width, .index = index};
    struct errtext why;
    buf_clear(ret);
    return ledger_tree_tile(g->w.ledger, &which, ret, &why);
}

static void tiles_hold_the_hashes(void **state)
{
    struct grown *g = *state;
    struct buf b;
    buf_init(&b, 8192);
    for (uint64_t i = 0; i < RECORDS / 256; i++) {
        assert_false(failed(tile(g, 0, i, 256, &b)));
        assert_int_equal(b.size, 8192);
        assert_memory_equal(b.data, &g->leaves[256 * i], 8192);
        assert_false(failed(tile(g, 0, i, 77, &b)));
        assert_memory_equal(b.data, &g->leaves[256 * i], 77 * 32);
        struct merkle_hash root;
        merkle_root_of(&g->leaves[256 * i], 256, &root);
        assert_false(failed(tile(g, 1, 0, (uint32_t)i + 1, &b)));
        assert_memory_equal(b.data + 32 * i, &root, 32);
    }
    uint32_t rest = (uint32_t)(g->w.head.position % 256);
    uint64_t last = g->w.head.position / 256;
    assert_false(failed(tile(g, 0, last, rest, &b)));
    assert_memory_equal(b.data, &g->leaves[256 * last], rest * 32);
    assert_int_equal(tile(g, 0, last, rest + 1, &b).code, ERR_NOT_FOUND);
    assert_int_equal(tile(g, 0, last + 1, 1, &b).code, ERR_NOT_FOUND);
    assert_int_equal(tile(g, 0, UINT64_MAX, 1, &b).code, ERR_NOT_FOUND);
    assert_int_equal(tile(g, 1, 0, 5, &b).code, ERR_NOT_FOUND);
    assert_int_equal(tile(g, 2, 0, 1, &b).code, ERR_NOT_FOUND);
    assert_int_equal(tile(g, 8, 0, 1, &b).code, ERR_NOT_FOUND);
    assert_int_equal(tile(g, 0, 0, 0, &b).code, ERR_INVALID);
    assert_int_equal(tile(g, 0, 0, 257, &b).code, ERR_INVALID);
    buf_done(&b);
}

static void entries_are_the_records(void **state)
{
    struct grown *g = *state;
    struct errtext why;
    struct buf b;
    buf_init(&b, 1 << 20);
    for (uint64_t at = 0; at < g->w.head.position; at += 256) {
        uint64_t left = g->w.head.position - at;
        struct ledger_tile which = {.width = left < 256 ? (uint32_t)left : 256, .index = at / 256};
        buf_clear(&b);
        assert_false(failed(ledger_tree_entries(g->w.ledger, &which, &b, &why)));
        struct cursor c = cursor_of(buf_bytes(&b));
        for (uint64_t i = 0; i < which.width; i++) {
            struct merkle_hash leaf;
            struct bytes record = cursor_bytes(&c, cursor_u16(&c));
            merkle_leaf(record, &leaf);
            assert_memory_equal(&leaf, &g->leaves[at + i], sizeof(leaf));
        }
        assert_true(cursor_done(&c));
    }
    struct ledger_tile beyond = {.width = 256, .index = g->w.head.position / 256};
    assert_int_equal(ledger_tree_entries(g->w.ledger, &beyond, &b, &why).code, ERR_NOT_FOUND);
    buf_done(&b);
}

static void sizes_by_height(void **state)
{
    struct grown *g = *state;
    struct errtext why;
    uint64_t size = 0;
    for (uint64_t height = 0; height <= g->w.head.height; height++) {
        assert_false(failed(ledger_size_at(g->w.ledger, height, &size, &why)));
        assert_int_equal(size, g->size_at[height]);
    }
    assert_int_equal(ledger_size_at(g->w.ledger, g->w.head.height + 1, &size, &why).code,
                     ERR_NOT_FOUND);
}

static void restarted_and_crashed(void **state)
{
    struct grown *g = *state;
    world_restart(&g->w);
    roots_of_all_sizes(state);
    world_crash(&g->w);
    roots_of_all_sizes(state);
}

/* ---- damage ---- */

static void put(struct world *w, size_t family, struct bytes key, struct bytes value)
{
    struct kv_batch *batch = kv_batch_new();
    struct errtext why;
    kv_batch_delete(batch, w->kv, family, key);
    if (value.data != NULL) {
        kv_batch_put(batch, w->kv, family, key, value);
    }
    assert_false(failed(kv_commit(w->kv, batch, false, &why)));
    kv_batch_free(batch);
}

static struct bytes tile_key_of(uint8_t key[9], uint8_t level, uint8_t index)
{
    memset(key, 0, 9);
    key[0] = level;
    key[8] = index;
    return bytes_of(key, 9);
}

/* Opening with this tree, as the head says it is. */
static err load(struct grown *g, uint64_t size, struct errtext *why)
{
    struct tiles *t = tiles_new(g->w.kv);
    struct ledger_head head = head_at(g, size);
    err e = tiles_load(t, &head, why);
    if (!failed(e)) { /* reads each tile, the last one first */
        struct buf b;
        buf_init(&b, 8192);
        for (uint64_t i = size / 256; !failed(e) && i > 0; i--) {
            struct ledger_tile which = {.width = 256, .index = i - 1};
            buf_clear(&b);
            e = tiles_read(t, &which, &b, why);
        }
        buf_done(&b);
    }
    tiles_free(t);
    return e;
}

static void a_damaged_tile_is_named(void **state)
{
    struct grown *g = *state;
    static const char *const NAMES[] = {"tile/0/000", "tile/0/001", "tile/0/002", "tile/0/003"};
    struct errtext why;
    for (uint8_t i = 0; i < 4; i++) {
        uint8_t room[9];
        struct bytes key = tile_key_of(room, 0, i);
        struct buf value;
        char text[128];
        buf_init(&value, 1 << 14);
        assert_false(failed(kv_get(g->w.kv, FAMILY_TREE, key, &value, &why)));
        assert_int_equal(value.size, 8193);
        put(&g->w, FAMILY_TREE, key, bytes_of(NULL, 0));
        assert_int_equal(load(g, RECORDS, &why).code, ERR_CORRUPT);
        (void)snprintf(text, sizeof(text), "the tree of records: %s is missing", NAMES[i]);
        assert_string_equal(why.text, text);
        value.data[1 + 32 * 200 + 5] ^= 1;
        put(&g->w, FAMILY_TREE, key, buf_bytes(&value));
        assert_int_equal(load(g, RECORDS, &why).code, ERR_CORRUPT);
        (void)snprintf(text, sizeof(text), "the tree of records: %s was changed", NAMES[i]);
        assert_memory_equal(why.text, text, strlen(text));
        value.data[1 + 32 * 200 + 5] ^= 1;
        value.data[0] = 2;
        put(&g->w, FAMILY_TREE, key, buf_bytes(&value));
        assert_int_equal(load(g, RECORDS, &why).code, ERR_CORRUPT);
        value.data[0] = 1;
        put(&g->w, FAMILY_TREE, key, bytes_of(value.data, value.size - 1));
        assert_int_equal(load(g, RECORDS, &why).code, ERR_CORRUPT);
        put(&g->w, FAMILY_TREE, key, buf_bytes(&value));
        assert_false(failed(load(g, RECORDS, &why)));
        buf_done(&value);
    }
}

/* A tree that reads its tiles while it is open finds a changed one, too, and not the cached one. */
static void a_tile_changed_below_an_open_tree_is_found(void **state)
{
    struct grown *g = *state;
    uint8_t room[9];
    struct bytes key = tile_key_of(room, 0, 2);
    struct buf value, b;
    struct errtext why;
    buf_init(&value, 1 << 14);
    buf_init(&b, 8192);
    assert_false(failed(kv_get(g->w.kv, FAMILY_TREE, key, &value, &why)));
    world_restart(&g->w);
    value.data[8000] ^= 0x80;
    put(&g->w, FAMILY_TREE, key, buf_bytes(&value));
    struct merkle_proof proof;
    assert_false(failed(ledger_tree_inclusion(g->w.ledger, 3, RECORDS, &proof, &why)));
    assert_int_equal(ledger_tree_inclusion(g->w.ledger, 600, RECORDS, &proof, &why).code,
                     ERR_CORRUPT);
    assert_memory_equal(why.text, "the tree of records: tile/0/002 was changed", 43);
    value.data[8000] ^= 0x80;
    put(&g->w, FAMILY_TREE, key, buf_bytes(&value));
    assert_false(failed(ledger_tree_inclusion(g->w.ledger, 600, RECORDS, &proof, &why)));
    buf_done(&value);
    buf_done(&b);
}

static void a_changed_or_missing_record_of_the_edge_is_found(void **state)
{
    struct grown *g = *state;
    const uint64_t at = 1090; /* of the last, partial tile */
    uint8_t key[8] = {0};
    struct buf value;
    struct errtext why;
    buf_init(&value, 1 << 16);
    key[6] = (uint8_t)(at >> 8);
    key[7] = (uint8_t)at;
    assert_false(failed(kv_get(g->w.kv, FAMILY_RECORDS, bytes_of(key, 8), &value, &why)));
    put(&g->w, FAMILY_RECORDS, bytes_of(key, 8), bytes_of(NULL, 0));
    assert_int_equal(load(g, RECORDS, &why).code, ERR_CORRUPT);
    assert_string_equal(why.text, "record 1090 is missing");
    struct bytes record = {0};
    struct cursor c = cursor_of(buf_bytes(&value));
    (void)cursor_bytes(&c, 6);
    for (int i = 0; i < 4; i++) {
        (void)cursor_sized(&c, ROW_BYTES_MAX);
    }
    record = cursor_sized(&c, ROW_BYTES_MAX);
    size_t digest = (size_t)(record.data - value.data) + record.size - 40;
    value.data[digest] ^= 1;
    put(&g->w, FAMILY_RECORDS, bytes_of(key, 8), buf_bytes(&value));
    assert_int_equal(load(g, RECORDS, &why).code, ERR_CORRUPT);
    assert_string_equal(why.text,
                        "the tree of records: tiles and records do not give the root of the head");
    value.data[digest] ^= 1;
    put(&g->w, FAMILY_RECORDS, bytes_of(key, 8), buf_bytes(&value));
    assert_false(failed(load(g, RECORDS, &why)));
    buf_done(&value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(roots_of_all_sizes),
        cmocka_unit_test(opened_at_every_size),
        cmocka_unit_test(every_record_is_proved),
        cmocka_unit_test(every_size_continues_the_ones_before),
        cmocka_unit_test(tiles_hold_the_hashes),
        cmocka_unit_test(entries_are_the_records),
        cmocka_unit_test(sizes_by_height),
        cmocka_unit_test(restarted_and_crashed),
        cmocka_unit_test(a_damaged_tile_is_named),
        cmocka_unit_test(a_tile_changed_below_an_open_tree_is_found),
        cmocka_unit_test(a_changed_or_missing_record_of_the_edge_is_found),
    };
    return cmocka_run_group_tests(tests, up, down);
}
