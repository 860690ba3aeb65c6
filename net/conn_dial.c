#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/require.h"
#include "net/conn_core.h"

/* A name lookup on a worker. It outlives its conn when that is given up meanwhile. */
struct conn_lookup {
    struct pool_job job; /* first */
    struct conn *conn;   /* loop thread only; NULL when it is gone */
    struct address address;
    struct addrinfo *found; /* owned */
    int code;
};

static int look_up(const struct address *a, bool numeric, struct addrinfo **ret)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    hints.ai_flags = AI_NUMERICSERV | (numeric ? AI_NUMERICHOST : AI_ADDRCONFIG);
    *ret = NULL;
    return getaddrinfo(a->host, a->port, &hints, ret);
}

static void lookup_run(struct pool_job *job)
{
    struct conn_lookup *l = (struct conn_lookup *)job;
    l->code = look_up(&l->address, false, &l->found);
}

static void use_addresses(struct conn *c, int code, struct addrinfo *found)
{
    if (code != 0) {
        char reason[sizeof(c->reason)];
        snprintf(reason, sizeof(reason), "cannot look up %.100s: %s", c->host,
                 address_lookup_error(code));
        conn_abort(c, reason);
        return;
    }
    c->addresses = c->address_next = found;
    conn_dial_next(c);
}

static void lookup_done(struct pool_job *job)
{
    struct conn_lookup *l = (struct conn_lookup *)job;
    if (l->conn != NULL) {
        l->conn->lookup = NULL;
        use_addresses(l->conn, l->code, l->found);
    } else if (l->found != NULL) {
        freeaddrinfo(l->found);
    }
    free(l);
}

void conn_dial_done(struct conn *c)
{
    if (c->lookup != NULL) {
        c->lookup->conn = NULL;
        c->lookup = NULL;
    }
    if (c->addresses != NULL) {
        freeaddrinfo(c->addresses);
        c->addresses = c->address_next = NULL;
    }
}

static void drop_socket(struct conn *c)
{
    loop_io_free(c->io);
    c->io = NULL;
    if (c->fd >= 0) {
        close(c->fd);
        c->fd = -1;
    }
}

void conn_dial_next(struct conn *c)
{
    require(c->state == CONN_DIALING);
    drop_socket(c);
    while (c->address_next != NULL) {
        struct addrinfo *a = c->address_next;
        c->address_next = a->ai_next;
        address_print(a->ai_addr, a->ai_addrlen, c->address);
        int fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0) {
            snprintf(c->reason, sizeof(c->reason), "socket: %s", strerror(errno));
            continue;
        }
        if (connect(fd, a->ai_addr, a->ai_addrlen) != 0 && errno != EINPROGRESS) {
            snprintf(c->reason, sizeof(c->reason), "connect %.100s: %s", c->address,
                     strerror(errno));
            close(fd);
            continue;
        }
        conn_take_fd(c, fd);
        loop_io_want(c->io, LOOP_WRITE);
        return;
    }
    char reason[sizeof(c->reason)];
    snprintf(reason, sizeof(reason), "%s", c->reason[0] != '\0' ? c->reason : "no address");
    conn_abort(c, reason);
}

void conn_dial_ready(struct conn *c)
{
    int failure = 0;
    socklen_t size = sizeof(failure);
    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &failure, &size) != 0) {
        failure = errno;
    }
    if (failure != 0) {
        snprintf(c->reason, sizeof(c->reason), "connect %.100s: %s", c->address, strerror(failure));
        conn_dial_next(c);
        return;
    }
    c->reason[0] = '\0';
    conn_dial_done(c);
    conn_start(c);
}

static void start_lookup(struct conn *c, const struct address *a)
{
    struct addrinfo *found = NULL;
    if (look_up(a, true, &found) == 0) {
        use_addresses(c, 0, found);
        return;
    }
    if (c->options.pool == NULL) {
        int code = look_up(a, false, &found);
        use_addresses(c, code, found);
        return;
    }
    struct conn_lookup *l = mem_new(1, sizeof(*l));
    l->job = (struct pool_job){.run = lookup_run, .done = lookup_done};
    l->conn = c;
    l->address = *a;
    if (failed(pool_submit(c->options.pool, &l->job))) {
        free(l);
        conn_abort(c, "name lookup: too much work is waiting");
        return;
    }
    c->lookup = l;
}

err conn_dial(const struct conn_options *options, const char *address, struct conn **ret_conn,
              struct errtext *reterr)
{
    require(options != NULL);
    require(ret_conn != NULL);
    struct address a;
    TRY(address_parse(address, &a, reterr));
    struct conn *c = conn_make(options, CONN_DIALING);
    memcpy(c->host, a.host, sizeof(c->host));
    snprintf(c->address, sizeof(c->address), "%s", address);
    start_lookup(c, &a);
    *ret_conn = c;
    return err_ok();
}
