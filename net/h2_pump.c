#include "net/h2_pump.h"

#include "base/require.h"

static bool put(struct conn *conn, const uint8_t *block, size_t size)
{
    if (size > 0 && failed(conn_write(conn, bytes_of(block, size)))) {
        conn_abort(conn, "output failed");
        return false;
    }
    return true;
}

bool h2_pump(struct conn *conn, uint8_t *block, struct bytes (*next)(void *ctx), void *ctx)
{
    require(block != NULL);
    require(next != NULL);
    size_t used = 0;
    while (conn_room(conn) > used) {
        struct bytes chunk = next(ctx);
        require(chunk.size <= LOOP_SCRATCH_BYTES);
        if (chunk.size == 0) {
            return put(conn, block, used);
        }
        if (used + chunk.size > LOOP_SCRATCH_BYTES) {
            if (!put(conn, block, used)) {
                return false;
            }
            used = 0;
        }
        memcpy(block + used, chunk.data, chunk.size);
        used += chunk.size;
    }
    if (put(conn, block, used)) {
        conn_touch(conn);
    }
    return false;
}
