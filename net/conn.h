/* One TCP connection with TLS 1.3 on it (or none, in tests and benches): descriptor, buffers,
 * budgets and timers. It knows no protocol: bytes in, bytes out.
 *
 *      dial/accept -> CONNECTING -> HANDSHAKE -> OPEN -> LINGER -> (on_close) freed
 *                          \____________\__________\_______abort______/
 *
 * Output gathers during a turn and leaves in one send at its end. A closing connection first
 * sends what it holds and its TLS close, shuts down its side and reads on for a moment: closing
 * with unread input makes the kernel reset the connection, and the other side would lose the
 * alert or the last answer.
 *
 * Ownership: a conn belongs to itself; it frees itself right after on_close, which comes exactly
 * once and never from inside a conn_* call. Thread: loop only. */
#ifndef NET_CONN_H
#define NET_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "net/loop.h"
#include "net/pool.h"
#include "net/tls.h"

struct conn;

struct conn_events {
    /* The handshake is done (without TLS: the TCP connection stands): may write from now on. */
    void (*on_open)(struct conn *conn, void *ctx);
    /* Received bytes, a view until it returns. */
    void (*on_data)(struct conn *conn, void *ctx, struct bytes data);
    /* May be NULL. The connection is about to send and has room (conn_room() > 0): write more
     * now, up to the room. Runs once a turn when the connection was touched or has drained. */
    void (*on_fill)(struct conn *conn, void *ctx);
    /* The last call. reason: static or owned by conn; "" after an orderly end of both sides. */
    void (*on_close)(struct conn *conn, void *ctx, const char *reason);
};

struct conn_options {
    struct loop *loop;                /* outlives the connection */
    struct tls_ctx *tls;              /* NULL: no TLS; a reference is taken */
    const struct conn_events *events; /* static */
    void *ctx;
    enum loop_priority priority;
    uint64_t handshake_timeout_ns; /* TCP connect and TLS together; 0: CONN_HANDSHAKE_NS */
    uint64_t stall_timeout_ns;     /* output that does not move; 0: CONN_STALL_NS */
    uint32_t user_timeout_ms;      /* TCP_USER_TIMEOUT; 0: the system's */
    bool keepalive;                /* TCP keepalive, 10 s idle, 5 s apart, 3 probes */
    struct pool *pool;             /* dial: looks names up on a worker; NULL: in place (blocks) */
};

/* Dials "host:port" or "[v6]:port". INVALID for a malformed address (nothing is made); every
 * later failure comes through on_close. *ret_conn is owned by itself. */
err conn_dial(const struct conn_options *options, const char *address, struct conn **ret_conn,
              struct errtext *reterr) ERR_MUST_USE;

/* Takes a connected socket (owned from here on, also on failure). Reading starts at once, or at
 * conn_admit when held. Used by listener and tests. */
struct conn *conn_from_fd(const struct conn_options *options, int fd, bool held);

/* Starts the handshake of a held connection. */
void conn_admit(struct conn *conn);

/* Changes who listens; events static. The new owner gets everything from now on. */
void conn_set_events(struct conn *conn, const struct conn_events *events, void *ctx);

/* Queues the bytes. FULL when more than CONN_OUT_BYTES_MAX would be queued: nothing is taken.
 * INVALID before on_open or after conn_close. */
err conn_write(struct conn *conn, struct bytes data) ERR_MUST_USE;

/* Queues several pieces as one; all or nothing, as conn_write. */
err conn_write_parts(struct conn *conn, const struct bytes *parts, size_t count) ERR_MUST_USE;

/* Bytes that may be written until the fill mark (CONN_FILL_BYTES) is reached; 0: wait for
 * on_fill. Writing beyond it is allowed up to CONN_OUT_BYTES_MAX. */
size_t conn_room(const struct conn *conn);

/* Bytes queued and not yet taken by the kernel. */
size_t conn_out_size(const struct conn *conn);

/* Asks for on_fill and a send at the end of this turn. */
void conn_touch(struct conn *conn);

/* Stops and starts taking input from the socket (back-pressure); what was read is delivered. */
void conn_read_pause(struct conn *conn);
void conn_read_resume(struct conn *conn);

/* Orderly end: no more on_data or on_fill; sends what is queued, lingers, then on_close(""). */
void conn_close(struct conn *conn);

/* Ends at the end of this turn without sending the rest; on_close(reason). reason is copied. */
void conn_abort(struct conn *conn, const char *reason);

/* Frees the connection at once without on_close; not from inside its own callbacks. For owners
 * that are being torn down. */
void conn_free(struct conn *conn);

/* The other side's certificate, verified by the TLS context; NULL without TLS or certificate.
 * Valid from on_open to on_close. */
const struct tls_peer *conn_peer(const struct conn *conn);

/* "host:port" of the other side, numeric; valid as long as the connection. */
const char *conn_address(const struct conn *conn);

/* Loop time of the last received and the last sent byte, ns. */
uint64_t conn_received_ns(const struct conn *conn);
uint64_t conn_sent_ns(const struct conn *conn);

/* Bytes over the wire since the beginning. */
uint64_t conn_received_bytes(const struct conn *conn);
uint64_t conn_sent_bytes(const struct conn *conn);

bool conn_is_open(const struct conn *conn);

/* For the listener: release(ctx) runs once, when the handshake is done or failed (handshake =
 * true), and once when the connection goes away (handshake = false). */
typedef void conn_release(void *ctx, struct conn *conn, bool handshake);
void conn_set_release(struct conn *conn, conn_release *release, void *ctx);

#endif
