/* What conn.c and conn_dial.c share; nobody else includes it. */
#ifndef NET_CONN_CORE_H
#define NET_CONN_CORE_H

#include <netdb.h>

#include "base/buf.h"
#include "net/address.h"
#include "net/conn.h"

enum conn_state {
    CONN_DIALING,   /* looks up, connects */
    CONN_HELD,      /* accepted, waits for conn_admit */
    CONN_HANDSHAKE, /* TLS */
    CONN_OPEN,
    CONN_LINGER, /* we are done: the rest leaves, then input is discarded until the end */
    CONN_DEAD,   /* the task will say on_close and free */
};

struct conn_lookup;

struct conn {
    struct conn_options options; /* events and ctx are current; tls is a reference */
    enum conn_state state;
    int fd;             /* owned; -1: none yet */
    struct loop_io *io; /* owned */
    struct tls *tls;    /* owned */
    struct buf out;     /* owned; [out_at, size) is not sent yet */
    size_t out_at;
    struct loop_timer timer; /* handshake, stall or linger, by state */
    struct loop_task task;   /* fill and flush; the end */
    conn_release *release;
    void *release_ctx;
    struct conn_lookup *lookup;                /* running; points back */
    struct addrinfo *addresses, *address_next; /* owned list of a dial; where to go on */
    char host[ADDRESS_BYTES_MAX + 1];
    char address[ADDRESS_TEXT_SIZE];
    char reason[256];
    uint64_t received_ns, sent_ns, received_bytes, sent_bytes;
    bool read_paused, write_blocked, write_ended, input_ended, handshake_released;
};

/* Makes a conn without socket. */
struct conn *conn_make(const struct conn_options *options, enum conn_state state);

/* Takes a socket that is connected, or (dial) connecting. */
void conn_take_fd(struct conn *c, int fd);

/* The TCP connection stands: starts TLS, or opens. */
void conn_start(struct conn *c);

/* The next address of a dial, or the end. */
void conn_dial_next(struct conn *c);

/* A socket of a dial became writable: connected or refused. */
void conn_dial_ready(struct conn *c);

/* Forgets a lookup that is running, and the addresses. */
void conn_dial_done(struct conn *c);

#endif
