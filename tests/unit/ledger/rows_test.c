/* Rows: overlay over cache over database, against a plain model, with blocks and roll-backs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ledger/families.h"
#include "ledger/ledger.h"
#include "ledger/rows.h"

enum { GROUPS = 6, ROWS = 16, STEPS = 6000 };

struct model {
    bool present[GROUPS][ROWS];
    uint8_t value[GROUPS][ROWS];
};

/* "t" 00 group 00 00 row: keys of which none is a prefix of another, as the language makes them. */
static size_t key_of(uint32_t group, uint32_t row, uint8_t key[16])
{
    key[0] = 't';
    key[1] = 0;
    memset(key + 2, (int)('a' + group), group % 3 + 1);
    size_t size = 2 + group % 3 + 1;
    key[size++] = 0;
    key[size++] = 0;
    if (row < ROWS) {
        key[size++] = (uint8_t)row;
    }
    return size;
}

struct seen {
    const struct model *model;
    uint32_t group, row;
    uint64_t count;
    uint64_t stop_after;
};

static bool see(void *to, struct bytes key, struct bytes row)
{
    struct seen *seen = to;
    while (seen->row < ROWS && !seen->model->present[seen->group][seen->row]) {
        seen->row++;
    }
    assert_true(seen->row < ROWS);
    uint8_t expected[16];
    size_t size = key_of(seen->group, seen->row, expected);
    assert_true(bytes_equal(key, bytes_of(expected, size)));
    assert_int_equal(row.size, 1 + seen->model->value[seen->group][seen->row] % 7);
    assert_int_equal(row.data[0], seen->model->value[seen->group][seen->row]);
    seen->row++;
    seen->count++;
    return seen->count < seen->stop_after;
}

static void check_group(struct rows *r, const struct model *m, uint32_t group)
{
    uint8_t prefix[16];
    size_t size = key_of(group, ROWS, prefix);
    uint64_t expected = 0;
    for (uint32_t i = 0; i < ROWS; i++) {
        expected += m->present[group][i];
    }
    struct seen seen = {m, group, 0, 0, UINT64_MAX};
    rows_scan(r, bytes_of(prefix, size), &seen, see);
    assert_int_equal(seen.count, expected);
    assert_int_equal(rows_count(r, bytes_of(prefix, size)), expected);
    if (expected > 1) {
        seen = (struct seen){m, group, 0, 0, 1};
        rows_scan(r, bytes_of(prefix, size), &seen, see);
        assert_int_equal(seen.count, 1);
    }
}

static void check_row(struct rows *r, const struct model *m, uint32_t group, uint32_t row)
{
    uint8_t key[16];
    uint8_t prefix[16];
    size_t size = key_of(group, row, key);
    size_t prefix_size = key_of(group, ROWS, prefix);
    struct bytes found;
    struct bytes found_key;
    assert_int_equal(rows_get(r, bytes_of(key, size), &found), m->present[group][row]);
    int at = (int)row;
    while (at >= 0 && !m->present[group][at]) {
        at--;
    }
    bool below = rows_seek_at_most(r, bytes_of(prefix, prefix_size), bytes_of(key, size),
                                   &found_key, &found);
    assert_int_equal(below, at >= 0);
    if (below) {
        assert_int_equal(found_key.data[found_key.size - 1], at);
        assert_int_equal(found.data[0], m->value[group][at]);
    }
}

static void change(struct rows *r, struct model *m, uint64_t random)
{
    uint32_t group = (uint32_t)(random >> 40) % GROUPS;
    uint32_t row = (uint32_t)(random >> 20) % ROWS;
    uint8_t key[16];
    size_t size = key_of(group, row, key);
    if ((random >> 60) < 10) {
        uint8_t value[8];
        uint8_t v = (uint8_t)(random >> 8);
        memset(value, v, sizeof(value));
        rows_put(r, bytes_of(key, size), bytes_of(value, 1 + v % 7));
        m->present[group][row] = true;
        m->value[group][row] = v;
    } else {
        rows_remove(r, bytes_of(key, size));
        m->present[group][row] = false;
    }
    check_row(r, m, group, row);
    check_group(r, m, (uint32_t)(random >> 33) % GROUPS);
}

static void rows_answer_like_a_model(void **state)
{
    char dir[] = "/tmp/concordat-rows-XXXXXX";
    assert_non_null(mkdtemp(dir));
    struct kv_options options = {0};
    ledger_kv_families(&options);
    struct kv *kv = NULL;
    struct errtext why;
    assert_false(failed(kv_open(dir, &options, &kv, &why)));
    struct rows r;
    const uint64_t seed[2] = {3, 4};
    rows_init(&r, kv, FAMILY_ROWS, seed);
    struct kv_batch *batch = kv_batch_new();
    struct model model = {0};
    struct model before = {0};
    bool marked = false;
    uint64_t random = 7;
    for (int step = 0; step < STEPS; step++) {
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
        uint32_t what = (uint32_t)(random >> 12) % 100;
        if (what < 4 && !marked) {
            rows_mark(&r);
            before = model;
            marked = true;
        } else if (what < 6 && marked) {
            rows_rollback(&r);
            model = before;
            marked = false;
        } else if (what < 8 && marked) {
            rows_keep(&r);
            marked = false;
        } else if (what < 10 && !marked) {
            rows_write(&r, batch);
            assert_false(failed(kv_commit(kv, batch, false, &why)));
            kv_batch_clear(batch);
        } else {
            change(&r, &model, random);
        }
    }
    if (marked) {
        rows_keep(&r);
    }
    for (uint32_t group = 0; group < GROUPS; group++) {
        check_group(&r, &model, group);
    }
    rows_done(&r);
    kv_batch_free(batch);
    kv_close(kv);
    char command[64];
    (void)snprintf(command, sizeof(command), "rm -rf %s", dir);
    assert_int_equal(system(command), 0);
}

static void an_ordered_map_is_in_order(void **state)
{
    struct arena a;
    arena_init(&a, 1 << 24);
    struct ordered o;
    ordered_init(&o, &a);
    for (uint32_t i = 0; i < 5000; i++) {
        uint32_t v = i * 2654435761u;
        uint8_t key[4] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};
        ordered_add(&o, bytes_of(key, sizeof(key)))->number = i;
        assert_int_equal(ordered_find(&o, bytes_of(key, sizeof(key)))->number, i);
    }
    uint64_t count = 0;
    const struct ordered_node *last = NULL;
    for (const struct ordered_node *n = ordered_first(&o); n != NULL; n = n->next[0]) {
        assert_true(last == NULL || bytes_compare(last->key, n->key) < 0);
        assert_ptr_equal(ordered_at_most(&o, n->key), n);
        assert_ptr_equal(ordered_at_least(&o, n->key), n);
        assert_ptr_equal(ordered_below(&o, n->key), last);
        last = n;
        count++;
    }
    assert_int_equal(count, 5000);
    assert_null(ordered_find(&o, bytes_text("none")));
    arena_done(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_ordered_map_is_in_order),
        cmocka_unit_test(rows_answer_like_a_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
