/* Packs of neighbours: a sequence family answers as if each value were stored by itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "storage/dir.h"
#include "storage/kv.h"
#include "storage/kv_pack.h"

enum { PLAIN, SEQUENCE, NUMBERS_MAX = 600, VALUE_MAX = 3 * KV_PACK_BYTES };
static const struct kv_family FAMILIES[] = {{.name = "plain"},
                                            {.name = "sequence", .sequence = true}};
static char dir[64];
static struct errtext why;
static uint64_t random_state = 1;

static uint32_t draw(uint32_t below)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(random_state >> 33) % below;
}

static int make_dir(void **state)
{
    snprintf(dir, sizeof dir, "/tmp/concordat-pack-XXXXXX");
    return mkdtemp(dir) == NULL;
}

static int drop_dir(void **state)
{
    return failed(dir_remove(dir, NULL));
}

static struct kv *open_kv(void)
{
    struct kv_options o = {.families = FAMILIES, .families_count = 2};
    struct kv *kv = NULL;
    assert_false(failed(kv_open(dir, &o, &kv, &why)));
    return kv;
}

/* Puts the same under a number into both families. */
static void put_both(struct kv_batch *b, const struct kv *kv, uint64_t number)
{
    static uint8_t value[VALUE_MAX];
    uint8_t key[KV_PACK_KEY_SIZE];
    uint32_t size = draw(20) == 0 ? draw(VALUE_MAX) : draw(300);
    memset(value, (int)draw(256), size);
    pack_key_put(number, key);
    kv_batch_put(b, kv, PLAIN, bytes_of(key, sizeof key), bytes_of(value, size));
    kv_batch_put(b, kv, SEQUENCE, bytes_of(key, sizeof key), bytes_of(value, size));
}

/* Numbers with gaps, in batches of any size; returns how far they go. */
static uint64_t fill(struct kv *kv, uint64_t from)
{
    struct kv_batch *b = kv_batch_new();
    uint64_t number = from;
    while (number < from + NUMBERS_MAX) {
        uint32_t count = 1 + draw(2 * KV_PACK_VALUES + 10);
        for (uint32_t i = 0; i < count; i++) {
            put_both(b, kv, number);
            number += draw(30) == 0 ? 1 + draw(5) : 1;
        }
        assert_false(failed(kv_commit(kv, b, false, &why)));
        kv_batch_clear(b);
    }
    kv_batch_free(b);
    return number;
}

static void assert_same_pair(bool more, struct kv_iter *a, struct kv_iter *b)
{
    struct bytes key[2];
    struct bytes value[2];
    assert_int_equal(kv_iter_next(a, &key[0], &value[0]), more);
    assert_int_equal(kv_iter_next(b, &key[1], &value[1]), more);
    if (more) {
        assert_true(bytes_equal(key[0], key[1]));
        assert_true(bytes_equal(value[0], value[1]));
    }
}

/* Both families give the same pairs in a range, with some seeks on the way. */
static void compare_range(struct kv *kv, uint64_t end)
{
    uint8_t bound[3][KV_PACK_KEY_SIZE];
    struct bytes key;
    struct bytes value;
    for (size_t i = 0; i < 3; i++) {
        pack_key_put(draw((uint32_t)end + 10), bound[i]);
    }
    struct kv_range range = {.family = PLAIN, .reverse = draw(2) == 1};
    if (draw(4) != 0) {
        range.lower = bytes_of(bound[0], KV_PACK_KEY_SIZE - draw(2));
    }
    if (draw(4) != 0) {
        range.upper = bytes_of(bound[1], KV_PACK_KEY_SIZE - draw(2));
    }
    struct kv_iter *count = kv_iter_open(kv, &range);
    struct kv_iter *plain = kv_iter_open(kv, &range);
    range.family = SEQUENCE;
    struct kv_iter *packed = kv_iter_open(kv, &range);
    if (draw(2) == 0) {
        kv_iter_seek(count, bytes_of(bound[2], KV_PACK_KEY_SIZE));
        kv_iter_seek(plain, bytes_of(bound[2], KV_PACK_KEY_SIZE));
        kv_iter_seek(packed, bytes_of(bound[2], KV_PACK_KEY_SIZE));
    }
    while (kv_iter_next(count, &key, &value)) {
        assert_same_pair(true, plain, packed);
    }
    assert_same_pair(false, plain, packed);
    assert_same_pair(false, plain, packed);
    assert_false(failed(kv_iter_close(count, &why)));
    assert_false(failed(kv_iter_close(plain, &why)));
    assert_false(failed(kv_iter_close(packed, &why)));
}

static void compare_gets(struct kv *kv, uint64_t end)
{
    struct buf a;
    struct buf b;
    uint8_t key[KV_PACK_KEY_SIZE];
    buf_init(&a, VALUE_MAX);
    buf_init(&b, VALUE_MAX);
    for (uint64_t i = 0; i < end + 3; i++) {
        pack_key_put(i, key);
        err e = kv_get(kv, PLAIN, bytes_of(key, sizeof key), &a, &why);
        err f = kv_get(kv, SEQUENCE, bytes_of(key, sizeof key), &b, &why);
        assert_int_equal(e.code, f.code);
        assert_true(bytes_equal(buf_bytes(&a), buf_bytes(&b)));
    }
    assert_true(err_is(kv_get(kv, SEQUENCE, bytes_text("short"), &b, &why), ERR_NOT_FOUND));
    buf_done(&a);
    buf_done(&b);
}

static void a_sequence_answers_as_if_unpacked(void **state)
{
    struct kv *kv = open_kv();
    compare_gets(kv, 2);
    compare_range(kv, 5);
    uint64_t end = fill(kv, 3);
    compare_gets(kv, end);
    for (size_t i = 0; i < 60; i++) {
        compare_range(kv, end);
    }
    assert_false(failed(kv_flush(kv, &why)));
    end = fill(kv, end);
    kv_close(kv);
    kv = open_kv();
    compare_gets(kv, end);
    for (size_t i = 0; i < 60; i++) {
        compare_range(kv, end);
    }
    struct kv_stats stats;
    kv_stats(kv, &stats);
    assert_true(stats.keys_estimate < 2 * end); /* they were stored together */
    assert_false(failed(kv_verify(kv, &why)));
    kv_close(kv);
}

static void a_range_can_be_deleted(void **state)
{
    struct kv *kv = open_kv();
    uint64_t end = fill(kv, 0);
    static const uint8_t LAST[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    struct kv_batch *b = kv_batch_new();
    put_both(b, kv, end);
    for (size_t family = 0; family < 2; family++) {
        kv_batch_delete_range(b, kv, family, bytes_of(LAST, 0), bytes_of(LAST, sizeof LAST));
    }
    put_both(b, kv, end + 1);
    assert_int_equal(kv_batch_count(b), 6);
    assert_false(failed(kv_commit(kv, b, false, &why)));
    kv_batch_free(b);
    compare_gets(kv, end + 3);
    compare_range(kv, end + 3);
    kv_close(kv);
}

/* Single values are taken out, and put again with something else. */
static void single_values_can_be_exchanged(void **state)
{
    struct kv *kv = open_kv();
    uint64_t end = fill(kv, 0);
    for (size_t i = 0; i < 200; i++) {
        uint8_t key[KV_PACK_KEY_SIZE];
        struct kv_batch *b = kv_batch_new();
        uint64_t number = draw((uint32_t)end);
        pack_key_put(number, key);
        kv_batch_delete(b, kv, PLAIN, bytes_of(key, sizeof key));
        kv_batch_delete(b, kv, SEQUENCE, bytes_of(key, sizeof key));
        if (draw(2) == 0) {
            put_both(b, kv, number);
        }
        assert_false(failed(kv_commit(kv, b, false, &why)));
        kv_batch_free(b);
        compare_range(kv, end);
    }
    compare_gets(kv, end);
    kv_close(kv);
}

static void a_limit_and_a_value_too_large(void **state)
{
    struct kv *kv = open_kv();
    struct kv_batch *b = kv_batch_new();
    uint8_t key[KV_PACK_KEY_SIZE];
    struct buf small;
    pack_key_put(7, key);
    kv_batch_put(b, kv, SEQUENCE, bytes_of(key, sizeof key), bytes_text("longer than four"));
    assert_false(failed(kv_commit(kv, b, true, &why)));
    kv_batch_free(b);
    buf_init(&small, 4);
    assert_true(err_is(kv_get(kv, SEQUENCE, bytes_of(key, sizeof key), &small, &why), ERR_LIMIT));
    assert_int_equal(small.size, 0);
    buf_done(&small);
    kv_close(kv);
}

/* What a damaged disk may hold: each is refused, none is read beyond its end. */
static void malformed_packs_are_refused(void **state)
{
    struct pack p;
    struct pack_view view;
    struct buf whole;
    uint8_t key[KV_PACK_KEY_SIZE];
    pack_init(&p);
    buf_init(&whole, 1 << 16);
    for (uint64_t i = 0; i < 3; i++) {
        assert_true(pack_takes(&p, 5 + i, 2));
        pack_add(&p, 5 + i, bytes_text("ab"));
    }
    assert_false(pack_takes(&p, 9, 2));
    assert_false(pack_takes(&p, 8, KV_PACK_BYTES));
    pack_seal(&p);
    buf_put_bytes(&whole, buf_bytes(&p.head));
    buf_put_bytes(&whole, buf_bytes(&p.values));
    pack_key_put(5, key);
    struct bytes k = bytes_of(key, sizeof key);
    assert_false(failed(pack_open(k, buf_bytes(&whole), &view)));
    assert_int_equal(view.count, 3);
    assert_true(bytes_equal(pack_value(&view, 2), bytes_text("ab")));
    for (size_t size = 0; size < whole.size; size++) {
        assert_true(err_is(pack_open(k, bytes_of(whole.data, size), &view), ERR_CORRUPT));
    }
    for (size_t at = 0; at < p.head.size; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            whole.data[at] ^= (uint8_t)(1U << bit);
            assert_true(err_is(pack_open(k, buf_bytes(&whole), &view), ERR_CORRUPT));
            whole.data[at] ^= (uint8_t)(1U << bit);
        }
    }
    assert_true(err_is(pack_open(bytes_text("k"), buf_bytes(&whole), &view), ERR_CORRUPT));
    pack_key_put(UINT64_MAX - 1, key);
    assert_true(err_is(pack_open(k, buf_bytes(&whole), &view), ERR_CORRUPT));
    pack_clear(&p);
    assert_true(pack_takes(&p, 100, VALUE_MAX));
    pack_done(&p);
    buf_done(&whole);
}

/* A value of a sequence that is no pack: told as damage, by reads and by iterators. */
static void a_damaged_pack_is_told(void **state)
{
    static const struct kv_family raw[] = {{.name = "plain"}, {.name = "sequence"}};
    struct kv_options o = {.families = raw, .families_count = 2};
    struct kv *kv = NULL;
    struct buf value;
    uint8_t key[KV_PACK_KEY_SIZE];
    assert_false(failed(kv_open(dir, &o, &kv, &why)));
    struct kv_batch *b = kv_batch_new();
    pack_key_put(1, key);
    kv_batch_put(b, kv, SEQUENCE, bytes_of(key, sizeof key), bytes_text("no pack"));
    assert_false(failed(kv_commit(kv, b, true, &why)));
    kv_batch_free(b);
    kv_close(kv);
    kv = open_kv();
    buf_init(&value, 100);
    pack_key_put(2, key);
    assert_true(err_is(kv_get(kv, SEQUENCE, bytes_of(key, sizeof key), &value, &why), ERR_CORRUPT));
    assert_true(err_is(kv_verify(kv, &why), ERR_CORRUPT));
    buf_done(&value);
    kv_close(kv);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_sequence_answers_as_if_unpacked, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(a_range_can_be_deleted, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(single_values_can_be_exchanged, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(a_limit_and_a_value_too_large, make_dir, drop_dir),
        cmocka_unit_test(malformed_packs_are_refused),
        cmocka_unit_test_setup_teardown(a_damaged_pack_is_told, make_dir, drop_dir),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
