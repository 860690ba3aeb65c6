/* Targets: genesis_decode, genesis_sig_decode. What they take is canonical. */
#include "base/require.h"
#include "proto/genesis.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    arena_init(&a, GENESIS_ARENA_MAX);
    struct buf out;
    buf_init(&out, GENESIS_BYTES_MAX);
    struct genesis *g;
    if (!failed(genesis_decode(bytes_of(data, size), &a, &g, NULL))) {
        genesis_sort(g); /* already in order: changes nothing */
        genesis_encode(g, &out);
        require(bytes_equal(buf_bytes(&out), bytes_of(data, size)));
    }
    struct genesis_sig sig;
    if (!failed(genesis_sig_decode(bytes_of(data, size), &sig, NULL))) {
        buf_clear(&out);
        genesis_sig_encode(&sig, &out);
        require(bytes_equal(buf_bytes(&out), bytes_of(data, size)));
    }
    buf_done(&out);
    arena_done(&a);
    return 0;
}
