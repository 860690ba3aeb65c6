/* Any bytes as a frame of a peer: refused, or taken and then encoded to the same bytes. */
#include <stddef.h>
#include <stdint.h>

#include "base/require.h"
#include "consensus/codec.h"
#include "consensus/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes frame = bytes_of(data, size);
    struct packet *p = NULL;
    struct conf conf;
    struct buf again;
    buf_init(&again, PEER_FRAME_BYTES_MAX);
    if (!failed(packet_decode(frame, 5, &p, NULL))) {
        packet_encode(p, &again);
        require(bytes_equal(buf_bytes(&again), frame));
        packet_free(p);
    }
    buf_clear(&again);
    if (!failed(conf_decode(frame, &conf))) {
        conf_encode(&conf, &again);
        require(bytes_equal(buf_bytes(&again), frame));
    }
    buf_done(&again);
    return 0;
}
