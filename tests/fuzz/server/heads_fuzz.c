/* Target: what a node keeps of heads on its own disk: the mark, evidence; and notes of others. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/require.h"
#include "server/evidence.h"
#include "server/heads_note.h"
#include "server/heads_store.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct evidence_list list;
    struct bytes wire = bytes_of(data, size);
    struct bytes note;
    struct buf again;
    buf_init(&again, EVIDENCE_BYTES_MAX);
    if (!failed(heads_mark_decode(wire, &note, NULL))) {
        heads_mark_encode(note, &again);
        require(bytes_equal(buf_bytes(&again), wire));
    }
    buf_clear(&again);
    if (!failed(evidence_decode(wire, &list, NULL))) {
        evidence_encode(&list, &again);
        require(bytes_equal(buf_bytes(&again), wire));
    }
    buf_done(&again);
    struct note parsed;
    struct merkle_head head;
    if (heads_note_read(bytes_text("o"), wire, &parsed, &head)) {
        require(head.size > 0);
    }
    return 0;
}
