/* Target: tile_path_parse. What is accepted is printed again and must be the same bytes. */
#include "base/limits.h"
#include "base/require.h"
#include "crypto/tilepath.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tile_path path;
    struct buf text;
    if (failed(tile_path_parse(bytes_of(data, size), &path))) {
        return 0;
    }
    buf_init(&text, TILE_PATH_BYTES_MAX);
    tile_path_print(&path, &text);
    require(!text.overflow);
    require(bytes_equal(buf_bytes(&text), bytes_of(data, size)));
    buf_done(&text);
    return 0;
}
