/* Target: the frames between nodes that are not Raft's. */
#include <stddef.h>
#include <stdint.h>

#include "base/require.h"
#include "base/utf8.h"
#include "server/frames.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void about_heads(struct bytes frame, size_t size)
{
    struct bytes note;
    if (frame_head_read(frame, &note)) {
        require(note.size == size - 1);
    }
    struct frame_evidence evidence;
    if (frame_evidence_read(frame, &evidence)) {
        require(evidence.notes[0].size + evidence.notes[1].size == size - 9);
    }
    struct frame_root_ask root_ask;
    struct frame_root_is root_is;
    if (frame_root_ask_read(frame, &root_ask)) {
        require(size == 16);
    }
    if (frame_root_is_read(frame, &root_is)) {
        require(size == 49);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes frame = bytes_of(data, size);
    struct frame_forward forward;
    struct frame_refused refused;
    struct frame_ready ready;
    struct frame_gossip gossip;
    uint64_t token = 0;
    if (frame_forward_read(frame, &forward)) {
        require(forward.envelope.size == size - 8);
    }
    if (frame_refused_read(frame, &refused)) {
        require(refused.reason != REASON_NONE);
        require(utf8_valid(refused.text));
    }
    if (frame_ready_read(frame, &ready)) {
        require(size == 17);
    }
    if (frame_read_read(frame, &token)) {
        require(size == 8);
    }
    uint8_t disk[16];
    struct frame_transfer transfer;
    struct frame_transferred transferred;
    if (frame_disk_read(frame, disk)) {
        require(size == 17);
    }
    if (frame_transfer_read(frame, &transfer)) {
        require(size == 16);
    }
    if (frame_transferred_read(frame, &transferred)) {
        require(utf8_valid(transferred.text));
    }
    if (frame_gossip_read(frame, &gossip)) {
        require(gossip.version[GOSSIP_TEXT_MAX] == '\0');
    }
    struct frame_checkpoints list;
    if (frame_checkpoints_read(frame, &list)) {
        require(list.count <= CHECKPOINTS_TOLD_MAX);
    }
    struct frame_fetch fetch;
    if (frame_fetch_read(frame, &fetch)) {
        require(fetch.length > 0 && fetch.length <= FETCH_CHUNK_BYTES);
    }
    struct frame_chunk chunk;
    if (frame_chunk_read(frame, &chunk)) {
        require(chunk.data.size <= FETCH_CHUNK_BYTES);
        require(chunk.status != CHUNK_OK || chunk.offset + chunk.data.size <= chunk.total);
    }
    about_heads(frame, size);
    return 0;
}
