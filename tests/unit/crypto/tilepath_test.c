/* Names of tiles: each part has one, and nothing else is one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "crypto/tilepath.h"

static const struct {
    const char *name;
    struct tile_path path;
} NAMES[] = {
    {"checkpoint", {TILE_PATH_CHECKPOINT, 0, 0, 0}},
    {"tile/0/000", {TILE_PATH_HASHES, 0, 256, 0}},
    {"tile/0/999", {TILE_PATH_HASHES, 0, 256, 999}},
    {"tile/0/x001/000", {TILE_PATH_HASHES, 0, 256, 1000}},
    {"tile/3/x001/x234/067", {TILE_PATH_HASHES, 3, 256, 1234067}},
    {"tile/7/000.p/1", {TILE_PATH_HASHES, 7, 1, 0}},
    {"tile/1/x001/x000/000.p/255", {TILE_PATH_HASHES, 1, 255, 1000000}},
    {"tile/entries/012", {TILE_PATH_ENTRIES, 0, 256, 12}},
    {"tile/entries/x012/345.p/77", {TILE_PATH_ENTRIES, 0, 77, 12345}},
    {"tile/0/x036/x028/x797/x018/x963/967",
     {TILE_PATH_HASHES, 0, 256, (UINT64_C(1) << 55) - 1}},
};

static void names_are_read_and_printed(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        struct tile_path is;
        assert_false(failed(tile_path_parse(bytes_text(NAMES[i].name), &is)));
        assert_int_equal(is.kind, NAMES[i].path.kind);
        assert_int_equal(is.level, NAMES[i].path.level);
        assert_int_equal(is.width, NAMES[i].path.width);
        assert_true(is.index == NAMES[i].path.index);
        struct buf text;
        buf_init(&text, TILE_PATH_BYTES_MAX);
        tile_path_print(&is, &text);
        assert_false(text.overflow);
        assert_int_equal(text.size, strlen(NAMES[i].name));
        assert_memory_equal(text.data, NAMES[i].name, text.size);
        buf_done(&text);
    }
}

static void other_names_are_refused(void **state)
{
    static const char *const BAD[] = {
        "", "/checkpoint", "checkpoint/", "checkpoint\n", "Checkpoint", "tile", "tile/", "tile/0",
        "tile/0/", "tile/0/0", "tile/0/00", "tile/0/0000", "tile/00/000", "tile/8/000",
        "tile/-1/000", "tile/a/000", "tile/0/x000", "tile/0/x000/001", "tile/0/x001",
        "tile/0/x001/", "tile/0/x001/x002", "tile/0/001/002", "tile/0/x01/002", "tile/0/X001/002",
        "tile/0/000.p", "tile/0/000.p/", "tile/0/000.p/0", "tile/0/000.p/01", "tile/0/000.p/256",
        "tile/0/000.p/999", "tile/0/000.p/1000", "tile/0/000.p/1/", "tile/0/000.q/1",
        "tile/0/000.p/-1", "tile/0/000 ", "tile/0/../../checkpoint", "tile/entries/",
        "tile/entries",
        "tile/entry/000", "tile//000", "tile/0//000", "tile/0/x036/x028/x797/x018/x963/968",
        "tile/0/x001/x000/x000/x000/x000/x000/000", "tile/0/x999/x999/x999/x999/x999/999",
        "tile/0/%30%30%30", "tile/0/000?x=1",
    };
    (void)state;
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        struct tile_path is;
        if (!failed(tile_path_parse(bytes_text(BAD[i]), &is))) {
            fail_msg("'%s' is accepted", BAD[i]);
        }
    }
    struct tile_path is;
    assert_true(failed(tile_path_parse(bytes_of("tile/0/000\0", 11), &is)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_read_and_printed),
        cmocka_unit_test(other_names_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
