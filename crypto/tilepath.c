#include "crypto/tilepath.h"

#include "base/limits.h"
#include "base/require.h"

#define INDEX_END (UINT64_C(1) << 55) /* 2^63 leaves */

enum { GROUPS_MAX = 6 }; /* 10^18 > 2^55 */

static void index_print(uint64_t index, struct buf *ret)
{
    unsigned groups[GROUPS_MAX];
    size_t count = 0;
    do {
        groups[count++] = (unsigned)(index % 1000);
        index /= 1000;
    } while (index > 0);
    for (size_t i = count; i > 0; i--) {
        buf_printf(ret, "%s%03u%s", i > 1 ? "x" : "", groups[i - 1], i > 1 ? "/" : "");
    }
}

void tile_path_print(const struct tile_path *path, struct buf *ret)
{
    require(path != NULL);
    require(ret != NULL);
    switch (path->kind) {
    case TILE_PATH_CHECKPOINT:
        buf_put_text(ret, "checkpoint");
        return;
    case TILE_PATH_HASHES:
        buf_printf(ret, "tile/%u/", path->level);
        break;
    case TILE_PATH_ENTRIES:
        buf_put_text(ret, "tile/entries/");
        break;
    }
    require(path->index < INDEX_END);
    require(path->width > 0);
    require(path->width <= TILE_PATH_WIDTH);
    index_print(path->index, ret);
    if (path->width < TILE_PATH_WIDTH) {
        buf_printf(ret, ".p/%u", path->width);
    }
}

/* ---- reading ---- */

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static bool skip(struct bytes *rest, const char *word)
{
    struct bytes w = bytes_text(word);
    if (!bytes_has_prefix(*rest, w)) {
        return false;
    }
    *rest = bytes_of(rest->data + w.size, rest->size - w.size);
    return true;
}

/* The groups of an index. No group of zeros leads, so that each index has one name. */
static bool index_parse(struct bytes *rest, uint64_t *ret)
{
    uint64_t index = 0;
    for (size_t groups = 1; groups <= GROUPS_MAX; groups++) {
        bool more = skip(rest, "x");
        if (rest->size < 3 || !is_digit(rest->data[0]) || !is_digit(rest->data[1]) ||
            !is_digit(rest->data[2])) {
            return false;
        }
        for (size_t i = 0; i < 3; i++) {
            index = index * 10 + (uint64_t)(rest->data[i] - '0');
        }
        *rest = bytes_of(rest->data + 3, rest->size - 3);
        if (!more) {
            *ret = index;
            return index < INDEX_END;
        }
        if (index == 0 || !skip(rest, "/")) {
            return false;
        }
    }
    return false;
}

static bool width_parse(struct bytes rest, uint32_t *ret)
{
    uint32_t width = 0;
    if (rest.size == 0) {
        *ret = TILE_PATH_WIDTH;
        return true;
    }
    if (!skip(&rest, ".p/") || rest.size == 0 || rest.size > 3 || rest.data[0] == '0') {
        return false;
    }
    for (size_t i = 0; i < rest.size; i++) {
        if (!is_digit(rest.data[i])) {
            return false;
        }
        width = width * 10 + (uint32_t)(rest.data[i] - '0');
    }
    *ret = width;
    return width < TILE_PATH_WIDTH;
}

err tile_path_parse(struct bytes name, struct tile_path *ret)
{
    require(ret != NULL);
    struct tile_path path = {.kind = TILE_PATH_CHECKPOINT};
    const err invalid = {ERR_INVALID};
    if (bytes_equal(name, bytes_text("checkpoint"))) {
        *ret = path;
        return err_ok();
    }
    if (name.size > TILE_PATH_BYTES_MAX || !skip(&name, "tile/")) {
        return invalid;
    }
    if (skip(&name, "entries/")) {
        path.kind = TILE_PATH_ENTRIES;
    } else if (name.size >= 2 && name.data[0] >= '0' && name.data[0] <= '0' + TILE_PATH_LEVEL_MAX &&
               name.data[1] == '/') {
        path.kind = TILE_PATH_HASHES;
        path.level = (uint32_t)(name.data[0] - '0');
        name = bytes_of(name.data + 2, name.size - 2);
    } else {
        return invalid;
    }
    if (!index_parse(&name, &path.index) || !width_parse(name, &path.width)) {
        return invalid;
    }
    *ret = path;
    return err_ok();
}
