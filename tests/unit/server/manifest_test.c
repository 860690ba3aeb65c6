/* What is written, sent and agreed of a checkpoint: the bytes, and every way to get them wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/crc32c.h"
#include "base/hex.h"
#include "base/mem.h"
#include "server/frames.h"
#include "server/manifest.h"

static struct manifest_file FILES[] = {
    {.name = "000012.sst", .size = 70000, .hash = {1, 2, 3}},
    {.name = "CURRENT", .size = 16, .hash = {4}},
    {.name = "MANIFEST-000011", .size = 0, .hash = {5}},
};

static struct manifest sample(void)
{
    struct manifest m = {
        .id = {.index = 100, .term = 3, .height = 97, .position = 1000},
        .conf_index = 1,
        .conf = bytes_text("conf"),
        .files = FILES,
        .file_count = 3,
    };
    memset(m.id.digest, 0xaa, 32);
    memset(m.id.state_digest, 0xbb, 32);
    return m;
}

static void encode(const struct manifest *m, struct buf *wire)
{
    buf_init(wire, MANIFEST_BYTES_MAX);
    manifest_encode(m, wire);
    assert_false(wire->overflow);
}

static void mend_checksum(struct buf *wire)
{
    uint32_t crc = crc32c(0, wire->data, wire->size - 4);
    for (int i = 0; i < 4; i++) {
        wire->data[wire->size - 4 + (size_t)i] = (uint8_t)(crc >> (24 - 8 * i));
    }
}

/* The example of docs/formats/checkpoint.md. */
#define GOLDEN                                                                                     \
    "4343434845434b50000000010100000000000000640000000000000003000000000000006100000000000003"     \
    "e8aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbbbbbbb"     \
    "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb000000000000000100000004636f6e6600000003000000"     \
    "0a3030303031322e737374000000000001117001020300000000000000000000000000000000000000000000"     \
    "000000000000000000000743555252454e540000000000000010040000000000000000000000000000000000"     \
    "00000000000000000000000000000000000f4d414e49464553542d3030303031310000000000000000050000"     \
    "0000000000000000000000000000000000000000000000000000000000"

static void a_manifest_comes_back(void **state)
{
    (void)state;
    struct manifest m = sample();
    struct manifest *back = NULL;
    struct buf wire;
    char hex[2048];
    encode(&m, &wire);
    assert_true(wire.size * 2 < sizeof hex);
    hex_encode(bytes_of(wire.data, wire.size - 4), hex);
    assert_string_equal(hex, GOLDEN);
    assert_false(failed(manifest_decode(buf_bytes(&wire), &back, NULL)));
    assert_true(checkpoint_id_equal(&back->id, &m.id));
    assert_int_equal(back->conf_index, 1);
    assert_true(bytes_equal(back->conf, m.conf));
    assert_int_equal(back->file_count, 3);
    assert_int_equal(back->total_bytes, 70016);
    for (uint32_t i = 0; i < 3; i++) {
        assert_string_equal(back->files[i].name, FILES[i].name);
        assert_int_equal(back->files[i].size, FILES[i].size);
        assert_memory_equal(back->files[i].hash, FILES[i].hash, 32);
    }
    assert_true(bytes_equal(back->wire, buf_bytes(&wire)));
    manifest_free(back);
    manifest_free(NULL);
    buf_done(&wire);
}

static void every_cut_and_every_flip_is_found(void **state)
{
    (void)state;
    struct manifest m = sample();
    struct manifest *back = NULL;
    struct buf wire;
    encode(&m, &wire);
    for (size_t size = 0; size < wire.size; size++) {
        assert_true(failed(manifest_decode(bytes_of(wire.data, size), &back, NULL)));
    }
    for (size_t i = 0; i < wire.size; i++) {
        wire.data[i] ^= 1;
        assert_true(failed(manifest_decode(buf_bytes(&wire), &back, NULL)));
        wire.data[i] ^= 1;
    }
    assert_null(back);
    buf_done(&wire);
}

/* Whole, sealed with a right checksum, and wrong. */
static void refused(struct manifest *m)
{
    struct manifest *back = NULL;
    struct buf wire;
    encode(m, &wire);
    assert_int_equal(manifest_decode(buf_bytes(&wire), &back, NULL).code, ERR_INVALID);
    assert_null(back);
    buf_done(&wire);
}

static void hostile_manifests_are_refused(void **state)
{
    (void)state;
    static const char *const names[] = {"", "..", ".hidden", "a/b", "../../state/CURRENT", "a b"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct manifest m = sample();
        struct manifest_file file = {.size = 1};
        memcpy(file.name, names[i], strlen(names[i]) + 1);
        m.files = &file;
        m.file_count = 1;
        refused(&m);
    }
    struct manifest m = sample();
    m.file_count = 0;
    refused(&m);
    m = sample();
    struct manifest_file twice[] = {FILES[0], FILES[0]};
    m.files = twice;
    m.file_count = 2;
    refused(&m);
    struct manifest_file huge[] = {FILES[0], FILES[1]};
    huge[0].size = UINT64_MAX;
    m.files = huge;
    refused(&m);
    huge[0].size = UINT64_C(1) << 50;
    huge[1].size = 1;
    refused(&m);
    m = sample();
    m.conf_index = 0;
    refused(&m);
    m.conf_index = 101;
    refused(&m);
    m = sample();
    m.conf.size = 0;
    refused(&m);
    m = sample();
    m.id.height = 101; /* every block has an entry of the log */
    refused(&m);
    m.id = (struct checkpoint_id){.index = 0, .term = 3, .height = 1};
    refused(&m);
    m.id = (struct checkpoint_id){.index = 5, .term = 0, .height = 1};
    refused(&m);
}

static void later_versions_are_told_apart(void **state)
{
    (void)state;
    struct manifest m = sample();
    struct manifest *back = NULL;
    struct buf wire;
    encode(&m, &wire);
    wire.data[11] = 2;
    mend_checksum(&wire);
    assert_int_equal(manifest_decode(buf_bytes(&wire), &back, NULL).code, ERR_UNSUPPORTED);
    buf_done(&wire);
}

static void a_manifest_has_a_limit(void **state)
{
    (void)state;
    uint32_t count = TREE_FILES_MAX;
    struct manifest m = sample();
    struct buf wire;
    m.files = mem_new(count, sizeof *m.files);
    m.file_count = count;
    for (uint32_t i = 0; i < count; i++) {
        snprintf(m.files[i].name, sizeof m.files[i].name, "%06u.sst", i);
    }
    buf_init(&wire, MANIFEST_BYTES_MAX);
    manifest_encode(&m, &wire);
    assert_true(wire.overflow);
    buf_clear(&wire);
    wire.overflow = false;
    m.file_count = 4000;
    manifest_encode(&m, &wire);
    assert_false(wire.overflow);
    struct manifest *back = NULL;
    assert_false(failed(manifest_decode(buf_bytes(&wire), &back, NULL)));
    assert_int_equal(back->file_count, 4000);
    manifest_free(back);
    free(m.files);
    buf_done(&wire);
}

static void ids_and_records_come_back(void **state)
{
    (void)state;
    struct manifest m = sample();
    struct checkpoint_id id;
    struct buf wire;
    buf_init(&wire, CHECKPOINT_ID_BYTES);
    checkpoint_id_encode(&m.id, &wire);
    assert_int_equal(wire.size, CHECKPOINT_ID_BYTES);
    assert_true(checkpoint_id_decode(buf_bytes(&wire), &id));
    assert_true(checkpoint_id_equal(&id, &m.id));
    for (size_t size = 0; size < wire.size; size++) {
        assert_false(checkpoint_id_decode(bytes_of(wire.data, size), &id));
    }
    struct checkpoint_record r = {true, 7, bytes_text("conf"), buf_bytes(&wire)};
    struct checkpoint_record back;
    struct buf record;
    buf_init(&record, CHECKPOINT_RECORD_BYTES_MAX);
    checkpoint_record_encode(&r, &record);
    assert_true(checkpoint_record_decode(buf_bytes(&record), &back));
    assert_true(back.installed);
    assert_int_equal(back.conf_index, 7);
    assert_true(bytes_equal(back.conf, r.conf));
    assert_true(bytes_equal(back.id, r.id));
    for (size_t size = 0; size < record.size; size++) {
        assert_false(checkpoint_record_decode(bytes_of(record.data, size), &back));
    }
    record.data[1] = 2;
    assert_false(checkpoint_record_decode(buf_bytes(&record), &back));
    buf_done(&record);
    buf_done(&wire);
}

/* ---- frames ---- */

static void chunks_are_bounded(void **state)
{
    (void)state;
    static uint8_t data[FETCH_CHUNK_BYTES + 1];
    struct frame_chunk c = {.index = 5, .file = 2, .offset = 100, .total = 200};
    struct frame_chunk back;
    struct buf wire;
    buf_init(&wire, CHUNK_HEAD_BYTES + sizeof data);
    const struct {
        size_t size;
        uint64_t total;
        enum chunk_status status;
        bool good;
    } cases[] = {
        {100, 200, CHUNK_OK, true},
        {101, 200, CHUNK_OK, false}, /* beyond the end of the file */
        {0, 200, CHUNK_OK, false},
        {1, 99, CHUNK_OK, false},
        {FETCH_CHUNK_BYTES, UINT64_MAX, CHUNK_OK, true},
        {FETCH_CHUNK_BYTES + 1, UINT64_MAX, CHUNK_OK, false},
        {0, 0, CHUNK_UNKNOWN, true},
        {1, 200, CHUNK_UNKNOWN, false},
        {0, 0, CHUNK_UNREADABLE, true},
        {0, 0, (enum chunk_status)3, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        c.data = bytes_of(data, cases[i].size);
        c.total = cases[i].total;
        c.status = cases[i].status;
        buf_clear(&wire);
        frame_chunk_head(&c, &wire);
        buf_put_bytes(&wire, c.data);
        assert_int_equal(frame_chunk_read(buf_bytes(&wire), &back), cases[i].good);
    }
    c.status = CHUNK_OK;
    c.data = bytes_of(data, 10);
    c.total = 200;
    buf_clear(&wire);
    frame_chunk_head(&c, &wire);
    buf_put_bytes(&wire, c.data);
    assert_true(frame_chunk_read(buf_bytes(&wire), &back));
    assert_int_equal(back.offset, 100);
    assert_int_equal(back.file, 2);
    wire.data[wire.size - 1] ^= 1; /* damaged on the way */
    assert_false(frame_chunk_read(buf_bytes(&wire), &back));
    buf_done(&wire);
}

static void requests_are_bounded(void **state)
{
    (void)state;
    const struct {
        uint64_t index;
        uint32_t length;
        bool good;
    } cases[] = {
        {5, 1, true},
        {5, FETCH_CHUNK_BYTES, true},
        {5, FETCH_CHUNK_BYTES + 1, false},
        {5, 0, false},
        {0, 1, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct frame_fetch f;
        struct buf wire;
        buf_init(&wire, 64);
        buf_put_u64(&wire, cases[i].index);
        buf_put_u32(&wire, FETCH_MANIFEST);
        buf_put_u64(&wire, UINT64_MAX);
        buf_put_u32(&wire, cases[i].length);
        assert_int_equal(frame_fetch_read(buf_bytes(&wire), &f), cases[i].good);
        assert_false(frame_fetch_read(bytes_of(wire.data, wire.size - 1), &f));
        buf_done(&wire);
    }
}

static void lists_of_checkpoints_descend(void **state)
{
    (void)state;
    struct frame_checkpoints f;
    struct buf wire;
    for (uint8_t count = 0; count <= CHECKPOINTS_TOLD_MAX + 1; count++) {
        for (int rising = 0; rising < 2; rising++) {
            buf_init(&wire, 1024);
            buf_put_u8(&wire, CHECKPOINTS_VERSION);
            buf_put_u64(&wire, 77);
            buf_put_u8(&wire, count);
            for (uint8_t i = 0; i < count; i++) {
                uint8_t digests[64] = {i};
                buf_put_u64(&wire, rising ? 100u + i : 100u - i);
                buf_put_u64(&wire, 50);
                buf_put(&wire, digests, sizeof digests);
            }
            bool good = count <= CHECKPOINTS_TOLD_MAX && (!rising || count < 2);
            assert_int_equal(frame_checkpoints_read(buf_bytes(&wire), &f), good);
            assert_false(frame_checkpoints_read(bytes_of(wire.data, wire.size - 1), &f));
            buf_done(&wire);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_manifest_comes_back),
        cmocka_unit_test(every_cut_and_every_flip_is_found),
        cmocka_unit_test(hostile_manifests_are_refused),
        cmocka_unit_test(later_versions_are_told_apart),
        cmocka_unit_test(a_manifest_has_a_limit),
        cmocka_unit_test(ids_and_records_come_back),
        cmocka_unit_test(chunks_are_bounded),
        cmocka_unit_test(requests_are_bounded),
        cmocka_unit_test(lists_of_checkpoints_descend),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
