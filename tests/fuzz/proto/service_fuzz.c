/* Target: shape_decode of every message (the first byte says which). What it takes, written, read
 * and written again, is the same bytes. */
#include "base/limits.h"
#include "base/require.h"
#include "proto/shape.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct shape *shape = size == 0 ? NULL : service_shape(data[0]);
    if (shape == NULL) {
        return 0;
    }
    struct arena a;
    arena_init(&a, 64 << 20);
    struct buf one, two;
    buf_init(&one, 2 * GRPC_MESSAGE_BYTES_MAX);
    buf_init(&two, 2 * GRPC_MESSAGE_BYTES_MAX);
    void *message, *again;
    if (!failed(shape_decode(shape, bytes_of(data + 1, size - 1), &a, &message, NULL))) {
        shape_encode(shape, message, &one);
        require(!failed(shape_decode(shape, buf_bytes(&one), &a, &again, NULL)));
        shape_encode(shape, again, &two);
        require(bytes_equal(buf_bytes(&one), buf_bytes(&two)));
    }
    buf_done(&two);
    buf_done(&one);
    arena_done(&a);
    return 0;
}
