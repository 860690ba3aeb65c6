/* Target: the manifest of a checkpoint, its id, and what the log keeps of it. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/crc32c.h"
#include "base/mem.h"
#include "base/require.h"
#include "server/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(struct bytes wire)
{
    struct manifest *m = NULL;
    struct errtext why;
    struct buf again;
    if (failed(manifest_decode(wire, &m, &why))) {
        return;
    }
    require(m->file_count > 0);
    buf_init(&again, MANIFEST_BYTES_MAX);
    manifest_encode(m, &again);
    require(bytes_equal(buf_bytes(&again), wire));
    buf_done(&again);
    manifest_free(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct checkpoint_record record;
    struct checkpoint_id id;
    check(bytes_of(data, size));
    if (size >= 4) { /* the same with a checksum that fits */
        uint8_t *sealed = mem_copy(data, size);
        uint32_t crc = crc32c(0, sealed, size - 4);
        for (size_t i = 0; i < 4; i++) {
            sealed[size - 4 + i] = (uint8_t)(crc >> (24 - 8 * i));
        }
        check(bytes_of(sealed, size));
        free(sealed);
    }
    if (checkpoint_record_decode(bytes_of(data, size), &record)) {
        require(record.conf.size > 0);
    }
    if (checkpoint_id_decode(bytes_of(data, size), &id)) {
        require(size == CHECKPOINT_ID_BYTES);
    }
    return 0;
}
