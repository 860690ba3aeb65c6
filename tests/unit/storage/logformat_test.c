/* The bytes on disk, as docs/formats/log.md shows them, and what decoders refuse. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/hex.h"
#include "base/limits.h"
#include "base/mem.h"
#include "storage/logformat.h"

#define SALT UINT64_C(0x0102030405060708)

static const char golden_segment[] =
    "43434c4f47534547000000010000000000000000000000020102030405060708"
    "0000000000000005000000000000000000000000000000000000000017ba4252";
static const char golden_group[] =
    "000000102998856000000000000000090000000000000005800000003c000000"
    "02714107b100000000000000058218bdc4000000000000000a00000000000000"
    "030168656c6c6f0000000567140194000000000000000b000000000000000402"
    "776f726c64000000";
static const char golden_root[] =
    "43434c4f4754524d000000010000000000000007000000000000000400000000"
    "000000020000000000000003000000000000002a00000001000000007a3baf59";
static const char golden_snapshot[] =
    "43434c4f47534e50000000010000000000000064000000000000000300000000"
    "0000005b0000000000000002000000046d616e69f6d28b1e";

static void assert_golden(const char *what, struct bytes got, const char *want)
{
    char *text = mem_new(2 * got.size + 1, 1);
    hex_encode(got, text);
    if (strcmp(text, want) != 0) {
        print_error("%s is\n%s\nand not\n%s\n", what, text, want);
    }
    assert_string_equal(text, want);
    free(text);
}

static void put_example(struct buf *b)
{
    uint32_t seed = log_seed(SALT);
    struct log_record one = {10, 3, 1, bytes_text("hello")};
    struct log_record two = {11, 4, 2, bytes_text("world")};
    struct log_group g = {.number = 5, .index_synced = 9, .count = 2};
    size_t at = log_group_begin(b);
    log_record_put(b, &one, seed);
    log_record_put(b, &two, seed);
    log_group_end(b, at, &g, seed);
}

static void golden_bytes(void **state)
{
    uint8_t block[64];
    struct log_segment segment = {2, SALT, 5};
    log_segment_encode(&segment, block);
    assert_golden("a segment's head", bytes_of(block, 64), golden_segment);
    struct buf b;
    buf_init(&b, 1024);
    put_example(&b);
    assert_golden("a group", buf_bytes(&b), golden_group);
    struct log_root root = {7, 4, 2, 3, 42, 1, 0};
    log_root_encode(&root, block);
    assert_golden("a slot", bytes_of(block, 64), golden_root);
    buf_clear(&b);
    struct log_snapshot snapshot = {100, 3, 91, 2, bytes_text("mani")};
    log_snapshot_encode(&b, &snapshot);
    assert_golden("a snapshot", buf_bytes(&b), golden_snapshot);
    buf_done(&b);
}

static void round_trip(void **state)
{
    uint8_t block[64];
    struct log_segment segment = {2, SALT, 5};
    struct log_segment segment_back;
    log_segment_encode(&segment, block);
    assert_false(failed(log_segment_decode(bytes_of(block, 64), &segment_back)));
    assert_memory_equal(&segment, &segment_back, sizeof segment);
    struct buf b;
    buf_init(&b, 1024);
    put_example(&b);
    struct log_group g;
    assert_true(log_group_decode(buf_bytes(&b), 0, log_seed(SALT), &g));
    assert_int_equal(g.number, 5);
    assert_int_equal(g.index_synced, 9);
    assert_int_equal(g.count, 2);
    assert_int_equal(g.size, b.size);
    struct log_record r;
    bool bad = false;
    assert_true(log_record_next(&g.body, &r, &bad));
    assert_int_equal(r.index, 10);
    assert_true(bytes_equal(r.data, bytes_text("hello")));
    assert_true(log_record_next(&g.body, &r, &bad));
    assert_int_equal(r.term, 4);
    assert_int_equal(r.type, 2);
    assert_false(log_record_next(&g.body, &r, &bad));
    assert_false(bad);
    buf_clear(&b);
    struct log_snapshot s = {100, 3, 91, 2, bytes_text("mani")};
    log_snapshot_encode(&b, &s);
    struct log_snapshot s_back;
    assert_false(failed(log_snapshot_decode(buf_bytes(&b), &s_back)));
    assert_int_equal(s_back.log_first, 91);
    assert_true(bytes_equal(s_back.manifest, s.manifest));
    buf_done(&b);
}

/* Another salt, as of an older file or of bytes that a client chose, is not a group. */
static void foreign_salt_is_no_group(void **state)
{
    struct buf b;
    struct log_group g;
    buf_init(&b, 1024);
    put_example(&b);
    assert_false(log_group_head_decode(buf_bytes(&b), 0, log_seed(SALT + 1), &g));
    assert_false(log_group_decode(buf_bytes(&b), 0, log_seed(SALT + 1), &g));
    buf_done(&b);
}

/* Each byte of a group counts; cut anywhere it is no group. */
static void every_byte_of_a_group_counts(void **state)
{
    struct buf b;
    struct log_group g;
    uint32_t seed = log_seed(SALT);
    buf_init(&b, 1024);
    put_example(&b);
    for (size_t at = 0; at < b.size; at++) {
        for (int bit = 0; bit < 8; bit++) {
            b.data[at] ^= (uint8_t)(1 << bit);
            assert_false(log_group_decode(buf_bytes(&b), 0, seed, &g));
            b.data[at] ^= (uint8_t)(1 << bit);
        }
        assert_false(log_group_decode(bytes_of(b.data, at), 0, seed, &g));
    }
    assert_true(log_group_decode(buf_bytes(&b), 0, seed, &g));
    buf_done(&b);
}

static void root_slots(void **state)
{
    uint8_t file[LOG_ROOT_FILE_BYTES] = {0};
    struct log_root old = {7, 4, 2, 3, 42, 1, 0};
    struct log_root fresh = {8, 5, 1, 3, 43, 0, 0};
    struct log_root got;
    log_root_encode(&old, file);
    log_root_encode(&fresh, file + LOG_ROOT_SLOT_STRIDE);
    assert_false(failed(log_root_decode(bytes_of(file, sizeof file), &got)));
    assert_int_equal(got.term, 5);
    assert_int_equal(got.slot_durable, 0); /* the newer one may be in the page cache only */
    file[LOG_ROOT_SLOT_STRIDE + 20] ^= 1;
    assert_false(failed(log_root_decode(bytes_of(file, sizeof file), &got)));
    assert_int_equal(got.term, 4);
    assert_int_equal(got.slot_durable, 0);
    log_root_encode(&old, file + LOG_ROOT_SLOT_STRIDE);
    assert_false(failed(log_root_decode(bytes_of(file, sizeof file), &got)));
    assert_int_equal(got.slot_durable, 1); /* where it was written first */
    file[LOG_ROOT_SLOT_STRIDE + 20] ^= 1;
    file[20] ^= 1;
    assert_true(err_is(log_root_decode(bytes_of(file, sizeof file), &got), ERR_CORRUPT));
    assert_true(err_is(log_root_decode(bytes_of(file, 100), &got), ERR_CORRUPT));
}

static void snapshot_refusals(void **state)
{
    struct log_snapshot got;
    struct buf b;
    buf_init(&b, LOG_MANIFEST_BYTES_MAX + 100);
    /* log_first may be at most one behind the snapshot; nothing is zero. */
    const struct log_snapshot cases[] = {
        {0, 3, 1, 2, bytes_text("m")},    {100, 0, 91, 2, bytes_text("m")},
        {100, 3, 0, 2, bytes_text("m")},  {100, 3, 102, 2, bytes_text("m")},
        {100, 3, 91, 0, bytes_text("m")},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        buf_clear(&b);
        log_snapshot_encode(&b, &cases[i]);
        assert_true(err_is(log_snapshot_decode(buf_bytes(&b), &got), ERR_CORRUPT));
    }
    struct log_snapshot good = {100, 3, 101, 2, bytes_text("m")};
    buf_clear(&b);
    log_snapshot_encode(&b, &good);
    assert_false(failed(log_snapshot_decode(buf_bytes(&b), &got)));
    for (size_t size = 0; size < b.size; size++) {
        assert_true(failed(log_snapshot_decode(bytes_of(b.data, size), &got)));
    }
    buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_bytes),
        cmocka_unit_test(round_trip),
        cmocka_unit_test(foreign_salt_is_no_group),
        cmocka_unit_test(every_byte_of_a_group_counts),
        cmocka_unit_test(root_slots),
        cmocka_unit_test(snapshot_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
