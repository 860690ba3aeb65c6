/* Target: the file of disk ids. */
#include <stddef.h>
#include <stdint.h>

#include "base/require.h"
#include "server/identity.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct disk_identity id;
    struct errtext why;
    if (!failed(identity_decode(bytes_of(data, size), &id, &why))) {
        struct buf again;
        buf_init(&again, IDENTITY_BYTES_MAX);
        identity_encode(&id, &again);
        require(bytes_equal(buf_bytes(&again), bytes_of(data, size)));
        buf_done(&again);
    }
    return 0;
}
