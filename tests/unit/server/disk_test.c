/* The level of a disk: each threshold, one byte below and above, and the way back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/parts.h"

enum { LOW = 800, STOP = 160 };

static void levels_fall_at_once_and_rise_an_eighth_later(void **state)
{
    static const struct {
        enum disk_level from;
        uint64_t free_bytes;
        enum disk_level to;
    } cases[] = {
        {DISK_ROOM, 800, DISK_ROOM}, {DISK_ROOM, 799, DISK_LOW},         {DISK_ROOM, 160, DISK_LOW},
        {DISK_ROOM, 159, DISK_STOP}, {DISK_ROOM, 0, DISK_STOP},          {DISK_LOW, 899, DISK_LOW},
        {DISK_LOW, 900, DISK_ROOM},  {DISK_LOW, 160, DISK_LOW},          {DISK_LOW, 159, DISK_STOP},
        {DISK_STOP, 179, DISK_STOP}, {DISK_STOP, 180, DISK_LOW},         {DISK_STOP, 899, DISK_LOW},
        {DISK_STOP, 900, DISK_ROOM}, {DISK_STOP, UINT64_MAX, DISK_ROOM},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(disk_level_next(cases[i].from, cases[i].free_bytes, LOW, STOP),
                         cases[i].to);
    }
}

static void a_threshold_of_zero_is_off(void **state)
{
    (void)state;
    assert_int_equal(disk_level_next(DISK_ROOM, 0, 0, 0), DISK_ROOM);
    assert_int_equal(disk_level_next(DISK_STOP, 0, 0, 0), DISK_ROOM);
    assert_int_equal(disk_level_next(DISK_ROOM, 0, LOW, 0), DISK_LOW);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(levels_fall_at_once_and_rise_an_eighth_later),
        cmocka_unit_test(a_threshold_of_zero_is_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
