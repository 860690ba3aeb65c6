#include "audit/layout.h"

#include <stdio.h>
#include <string.h>

#include "base/require.h"

/* Appends N and, for what is not full, ".p/W". */
static void number_put(char path[LAYOUT_PATH_MAX], uint64_t index, size_t width)
{
    unsigned groups[7]; /* of three digits: 2^64 has 20 */
    size_t count = 0;
    do {
        groups[count++] = (unsigned)(index % 1000);
        index /= 1000;
    } while (index > 0);
    size_t used = strlen(path);
    for (size_t i = count; i > 0; i--) {
        used += (size_t)snprintf(path + used, LAYOUT_PATH_MAX - used, "/%s%03u", i > 1 ? "x" : "",
                                 groups[i - 1]);
    }
    if (width < LAYOUT_TILE_WIDTH) {
        used += (size_t)snprintf(path + used, LAYOUT_PATH_MAX - used, ".p/%zu", width);
    }
    require(used < LAYOUT_PATH_MAX);
}

void layout_tile(char ret[LAYOUT_PATH_MAX], unsigned level, uint64_t index, size_t width)
{
    snprintf(ret, LAYOUT_PATH_MAX, "tile/%u", level);
    number_put(ret, index, width);
}

void layout_entries(char ret[LAYOUT_PATH_MAX], uint64_t index, size_t width)
{
    snprintf(ret, LAYOUT_PATH_MAX, "tile/entries");
    number_put(ret, index, width);
}

void layout_blocks(char ret[LAYOUT_PATH_MAX], uint64_t height)
{
    snprintf(ret, LAYOUT_PATH_MAX, "blocks/%012llu", (unsigned long long)height);
}

void layout_shard(char ret[LAYOUT_PATH_MAX], const char *kind, unsigned shard)
{
    snprintf(ret, LAYOUT_PATH_MAX, "page/%s/%02x.js", kind, shard);
}

void layout_numbered(char ret[LAYOUT_PATH_MAX], const char *kind, uint64_t number)
{
    snprintf(ret, LAYOUT_PATH_MAX, "page/%s/%llu.js", kind, (unsigned long long)number);
}
