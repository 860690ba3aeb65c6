/* Target: the bootstrap table of a node that joins. */
#include <stddef.h>
#include <stdint.h>

#include "base/require.h"
#include "server/bootstrap.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bootstrap b;
    struct errtext why;
    struct arena a;
    arena_init(&a, 2 * (size_t)BOOTSTRAP_BYTES_MAX);
    if (!failed(bootstrap_decode(bytes_of(data, size), &a, &b, &why))) {
        require(b.count > 0 && b.count <= NODES_MAX);
        require(b.nodes[0].id > 0);
    }
    arena_done(&a);
    return 0;
}
