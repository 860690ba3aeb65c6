/* The log in memory: what it gives back, and which payloads it drops. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "consensus/memlog.h"

static void push(struct memlog *l, uint64_t term, enum entry_type type, size_t size)
{
    static const uint8_t zeros[100] = {0};
    struct entry *e = entry_new(term, type, bytes_of(zeros, size));
    memlog_push(l, term, type, e);
    entry_unref(e);
}

static bool in_memory(const struct memlog *l, uint64_t index)
{
    return memlog_at(l, index)->entry != NULL;
}

static void items_stand_at_their_index(void **state)
{
    (void)state;
    struct memlog l;
    memlog_init(&l, 5);
    assert_int_equal(memlog_last(&l), 4);
    assert_null(memlog_at(&l, 5));
    for (uint64_t i = 0; i < 200; i++) {
        push(&l, 1 + i / 10, ENTRY_COMMAND, 10);
    }
    assert_int_equal(memlog_last(&l), 204);
    assert_null(memlog_at(&l, 4));
    assert_null(memlog_at(&l, 205));
    assert_null(memlog_at(&l, UINT64_MAX));
    assert_int_equal(memlog_at(&l, 5)->term, 1);
    assert_int_equal(memlog_at(&l, 204)->term, 20);
    memlog_trim(&l, 105);
    memlog_trim(&l, 50);
    assert_null(memlog_at(&l, 104));
    assert_int_equal(memlog_at(&l, 105)->term, 11);
    memlog_truncate(&l, 150);
    assert_int_equal(memlog_last(&l), 149);
    assert_int_equal(l.bytes, 45 * 10);
    memlog_trim(&l, 300); /* beyond its end */
    assert_int_equal(l.count, 0);
    assert_int_equal(memlog_last(&l), 299);
    push(&l, 30, ENTRY_COMMAND, 10);
    memlog_restart(&l, 7);
    assert_int_equal(memlog_last(&l), 6);
    assert_int_equal(l.bytes, 0);
    memlog_done(&l);
}

static void the_oldest_payloads_go_first(void **state)
{
    (void)state;
    struct memlog l;
    memlog_init(&l, 1);
    push(&l, 1, ENTRY_CHANGE, 24);
    for (int i = 0; i < 9; i++) {
        push(&l, 1, ENTRY_COMMAND, 10);
    }
    assert_int_equal(l.bytes, 90);
    memlog_shed(&l, 90, 10);
    assert_true(in_memory(&l, 2));
    memlog_shed(&l, 65, 10);
    assert_true(in_memory(&l, 1)); /* configurations stay */
    assert_false(in_memory(&l, 4));
    assert_true(in_memory(&l, 5));
    assert_int_equal(l.bytes, 60);
    memlog_shed(&l, 0, 7); /* what lies above is not stored or not applied */
    assert_false(in_memory(&l, 7));
    assert_true(in_memory(&l, 8));
    memlog_shed(&l, 0, 7);
    assert_int_equal(l.bytes, 30);
    memlog_truncate(&l, 4); /* new entries at old places count again */
    push(&l, 2, ENTRY_COMMAND, 50);
    assert_true(in_memory(&l, 4));
    memlog_shed(&l, 0, 100);
    assert_false(in_memory(&l, 4));
    assert_int_equal(l.bytes, 0);
    memlog_done(&l);
}

static void entries_may_be_on_disk_only(void **state)
{
    (void)state;
    struct memlog l;
    memlog_init(&l, 1);
    memlog_push(&l, 3, ENTRY_COMMAND, NULL);
    push(&l, 3, ENTRY_COMMAND, 10);
    assert_int_equal(memlog_at(&l, 1)->term, 3);
    assert_int_equal(l.bytes, 10);
    memlog_shed(&l, 0, 2);
    assert_int_equal(l.bytes, 0);
    memlog_done(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_stand_at_their_index),
        cmocka_unit_test(the_oldest_payloads_go_first),
        cmocka_unit_test(entries_may_be_on_disk_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
