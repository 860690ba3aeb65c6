/* Target: record_decode. What it takes is canonical: written again, it is the same bytes. */
#include "base/require.h"
#include "proto/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct record r;
    if (!failed(record_decode(bytes_of(data, size), &r, NULL))) {
        struct buf out;
        buf_init(&out, RECORD_BYTES_MAX);
        record_encode(&r, &out);
        require(bytes_equal(buf_bytes(&out), bytes_of(data, size)));
        buf_done(&out);
    }
    return 0;
}
