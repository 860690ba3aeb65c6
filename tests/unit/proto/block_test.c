/* Blocks: golden bytes and hash, and each way to be malformed. */
#include "lib.h"

#include "golden.h"
#include "proto/block.h"
#include "proto/envelope.h"

static void a_golden_block_is_read_written_and_hashed(void **state)
{
    (void)state;
    struct bytes wire = unhex(GOLDEN_BLOCK);
    struct arena a;
    arena_init(&a, BLOCK_ARENA_MAX);
    struct block *block;
    assert_true(!failed(block_decode(wire, &a, &block, NULL)));
    assert_int_equal(block->height, 7);
    assert_int_equal(block->previous[31], 0x11);
    assert_true(block->time_ns == UINT64_C(1785400000000000001));
    assert_int_equal(block->envelope_count, 2);
    assert_hex(block->envelopes[0], GOLDEN_ENVELOPE);
    struct buf out;
    buf_init(&out, BLOCK_BYTES_MAX);
    block_encode(block, &out);
    assert_hex(buf_bytes(&out), GOLDEN_BLOCK);
    uint8_t hashes[2][32], hash[32];
    envelope_request_hash(block->envelopes[0], hashes[0]);
    envelope_request_hash(block->envelopes[1], hashes[1]);
    block_hash(block, (const uint8_t(*)[32])hashes, hash);
    assert_hex(bytes_of(hash, 32), GOLDEN_BLOCK_HASH);
    assert_int_equal(BLOCK_HEADER_SIZE + 2 * BLOCK_ENVELOPE_OVERHEAD + block->envelopes[0].size +
                         block->envelopes[1].size,
                     wire.size);
    buf_done(&out);
    arena_done(&a);
    unhex_done(wire);
}

static enum err_code decode(struct bytes wire)
{
    struct arena a;
    arena_init(&a, BLOCK_ARENA_MAX);
    struct block *block = NULL;
    err e = block_decode(wire, &a, &block, NULL);
    assert_true(failed(e) == (block == NULL));
    arena_done(&a);
    return e.code;
}

static void an_empty_block_is_a_block(void **state)
{
    (void)state;
    const struct block empty = {.height = 1};
    struct buf out;
    buf_init(&out, BLOCK_BYTES_MAX);
    block_encode(&empty, &out);
    assert_int_equal(out.size, BLOCK_HEADER_SIZE);
    assert_int_equal(decode(buf_bytes(&out)), ERR_OK);
    uint8_t hash[32];
    block_hash(&empty, NULL, hash);
    buf_done(&out);
}

static void malformed_blocks_are_refused(void **state)
{
    (void)state;
    struct bytes wire = unhex(GOLDEN_BLOCK);
    uint8_t *bad = mem_copy(wire.data, wire.size);
    for (size_t size = 0; size < wire.size; size++) {
        assert_int_equal(decode(bytes_of(wire.data, size)), ERR_INVALID);
    }
    bad[1] = 2; /* version */
    assert_int_equal(decode(bytes_of(bad, wire.size)), ERR_UNSUPPORTED);
    bad[1] = 1;
    bad[9] = 0; /* height */
    assert_int_equal(decode(bytes_of(bad, wire.size)), ERR_INVALID);
    bad[9] = 7;
    bad[53] = 1; /* count: bytes are left over */
    assert_int_equal(decode(bytes_of(bad, wire.size)), ERR_INVALID);
    bad[52] = 0x10; /* 4097 */
    assert_int_equal(decode(bytes_of(bad, wire.size)), ERR_LIMIT);
    free(bad);
    bad = mem_new(BLOCK_BYTES_MAX + 1, 1);
    assert_int_equal(decode(bytes_of(bad, BLOCK_BYTES_MAX + 1)), ERR_LIMIT);
    free(bad);
    unhex_done(wire);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_golden_block_is_read_written_and_hashed),
        cmocka_unit_test(an_empty_block_is_a_block),
        cmocka_unit_test(malformed_blocks_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
