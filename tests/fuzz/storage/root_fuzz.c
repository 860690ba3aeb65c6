/* log_root_decode and log_snapshot_decode on arbitrary bytes; a checksum is mended when the first
 * byte says so. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/require.h"
#include "storage/logformat.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void mend(uint8_t *data, size_t size)
{
    uint32_t crc = crc32c(0, data, size - 4);
    for (size_t i = 0; i < 4; i++) {
        data[size - 4 + i] = (uint8_t)(crc >> (24 - 8 * i));
    }
}

static void try_root(const uint8_t *data, size_t size, bool mended)
{
    uint8_t file[LOG_ROOT_FILE_BYTES] = {0};
    size_t first = size < LOG_ROOT_SLOT_BYTES ? size : LOG_ROOT_SLOT_BYTES;
    size_t second = size - first < LOG_ROOT_SLOT_BYTES ? size - first : LOG_ROOT_SLOT_BYTES;
    memcpy(file, data, first);
    memcpy(file + LOG_ROOT_SLOT_STRIDE, data + first, second);
    if (mended) {
        mend(file, LOG_ROOT_SLOT_BYTES);
        mend(file + LOG_ROOT_SLOT_STRIDE, LOG_ROOT_SLOT_BYTES);
    }
    struct log_root root;
    if (!failed(log_root_decode(bytes_of(file, sizeof file), &root))) {
        uint8_t again[LOG_ROOT_SLOT_BYTES];
        log_root_encode(&root, again);
        require(memcmp(again, file, sizeof again) == 0 ||
                memcmp(again, file + LOG_ROOT_SLOT_STRIDE, sizeof again) == 0);
        require(root.slot_durable <= 1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 5) {
        return 0;
    }
    bool mended = data[0] % 2 == 1;
    size--;
    uint8_t *copy = malloc(size);
    require(copy != NULL);
    memcpy(copy, data + 1, size);
    try_root(copy, size, mended);
    if (mended) {
        mend(copy, size);
    }
    struct log_snapshot s;
    if (!failed(log_snapshot_decode(bytes_of(copy, size), &s))) {
        struct buf b;
        buf_init(&b, size);
        log_snapshot_encode(&b, &s);
        require(bytes_equal(buf_bytes(&b), bytes_of(copy, size)));
        buf_done(&b);
    }
    free(copy);
    return 0;
}
