/* Moves what an HTTP/2 session has to say into its connection. */
#ifndef NET_H2_PUMP_H
#define NET_H2_PUMP_H

#include "net/conn.h"

/* Takes chunks from next(ctx) while the connection has room; for on_fill. Frames are small: they
 * are gathered in block (LOOP_SCRATCH_BYTES) so that they share TLS records and one send. Returns
 * whether nothing is left; otherwise the connection is touched, or aborted. */
bool h2_pump(struct conn *conn, uint8_t *block, struct bytes (*next)(void *ctx), void *ctx);

#endif
