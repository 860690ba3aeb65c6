/* Target: block_decode. What it takes is canonical: written again, it is the same bytes. */
#include "base/require.h"
#include "proto/block.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    arena_init(&a, BLOCK_ARENA_MAX);
    struct block *block;
    if (!failed(block_decode(bytes_of(data, size), &a, &block, NULL))) {
        struct buf out;
        buf_init(&out, BLOCK_BYTES_MAX);
        block_encode(block, &out);
        require(bytes_equal(buf_bytes(&out), bytes_of(data, size)));
        buf_done(&out);
    }
    arena_done(&a);
    return 0;
}
