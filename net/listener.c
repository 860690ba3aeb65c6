#include "net/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/require.h"
#include "crypto/random.h"
#include "net/address.h"

enum {
    ADMITS_A_TURN = 2, /* handshakes begun in a turn, 2 ms of CPU each */
    RETRY_MS = 100,    /* after running out of descriptors without a spare one */
};

struct origin { /* of one address */
    size_t conns;
};

/* One for each connection, for as long as it lives. */
struct slot {
    struct listener *listener; /* a reference */
    struct conn *conn;
    struct slot *next, *prev; /* in waiting */
    char host[ADDRESS_TEXT_SIZE];
    bool waiting, shaking;
};

struct listener {
    struct listener_options options;
    struct tls_ctx *tls; /* a reference */
    size_t refs;         /* the owner and each slot */
    int fd, spare_fd;    /* owned; -1: closed */
    struct loop_io *io;  /* owned */
    uint16_t port;
    struct loop_timer retry;
    struct loop_task admit;
    struct slot waiting; /* ring */
    struct map origins;  /* host text -> struct origin, owned */
    struct listener_stats stats;
};

/* ---- counts ---- */

static void unref(struct listener *l)
{
    require(l->refs > 0);
    if (--l->refs > 0) {
        return;
    }
    map_done(&l->origins);
    tls_ctx_free(l->tls);
    free(l);
}

static bool count_origin(struct listener *l, const char *host)
{
    struct bytes key = bytes_text(host);
    struct origin *o = map_get(&l->origins, key);
    if (o == NULL) {
        o = mem_new(1, sizeof(*o));
        map_put(&l->origins, key, o);
    }
    if (o->conns >= l->options.conns_per_address_max) {
        return false;
    }
    o->conns++;
    return true;
}

static void uncount_origin(struct listener *l, const char *host)
{
    struct bytes key = bytes_text(host);
    struct origin *o = map_get(&l->origins, key);
    require(o != NULL);
    require(o->conns > 0);
    if (--o->conns == 0) {
        map_remove(&l->origins, key);
        free(o);
    }
}

static void stop_waiting(struct slot *s)
{
    if (s->waiting) {
        s->waiting = false;
        s->prev->next = s->next;
        s->next->prev = s->prev;
        s->listener->stats.waiting--;
    }
}

static void post_admit(struct listener *l)
{
    if (l->fd >= 0 && l->waiting.next != &l->waiting &&
        l->stats.handshakes < l->options.handshakes_max) {
        loop_post(l->options.loop, &l->admit);
    }
}

static void on_release(void *ctx, struct conn *conn, bool handshake)
{
    struct slot *s = ctx;
    struct listener *l = s->listener;
    stop_waiting(s);
    if (s->shaking) {
        s->shaking = false;
        l->stats.handshakes--;
        post_admit(l);
    }
    if (!handshake) {
        l->stats.conns--;
        uncount_origin(l, s->host);
        free(s);
        unref(l);
    }
}

/* ---- admission ---- */

static void on_admit(struct loop_task *task)
{
    struct listener *l = task->ctx;
    for (int i = 0; i < ADMITS_A_TURN; i++) {
        if (l->waiting.next == &l->waiting || l->stats.handshakes >= l->options.handshakes_max) {
            return;
        }
        struct slot *s = l->waiting.next;
        stop_waiting(s);
        s->shaking = true;
        l->stats.handshakes++;
        conn_admit(s->conn);
    }
    post_admit(l);
}

static void host_of(const struct sockaddr_storage *from, socklen_t size,
                    char ret[ADDRESS_TEXT_SIZE])
{
    address_print((const struct sockaddr *)from, size, ret);
    char *colon = strrchr(ret, ':');
    if (colon != NULL) {
        *colon = '\0';
    }
}

static void take(struct listener *l, int fd, const struct sockaddr_storage *from, socklen_t size)
{
    char host[ADDRESS_TEXT_SIZE];
    host_of(from, size, host);
    if (l->stats.conns >= l->options.conns_max || l->stats.waiting >= LISTENER_WAITING_MAX) {
        l->stats.refused_total++;
        close(fd);
        return;
    }
    if (!count_origin(l, host)) {
        l->stats.refused_address++;
        close(fd);
        return;
    }
    struct slot *s = mem_new(1, sizeof(*s));
    memcpy(s->host, host, sizeof(host));
    s->listener = l;
    l->refs++;
    l->stats.conns++;
    l->stats.accepted++;
    struct conn_options o = l->options.conn;
    o.loop = l->options.loop;
    o.tls = l->tls;
    s->conn = conn_from_fd(&o, fd, true);
    s->waiting = true;
    s->next = &l->waiting;
    s->prev = l->waiting.prev;
    s->prev->next = s;
    l->waiting.prev = s;
    l->stats.waiting++;
    conn_set_release(s->conn, on_release, s);
    if (!l->options.on_accept(l->options.ctx, s->conn)) {
        conn_free(s->conn);
        return;
    }
    post_admit(l);
}

/* ---- accepting ---- */

static int open_spare(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* No descriptors are left: gives the spare one up to turn a client away, instead of spinning on
 * a socket that stays ready. */
static void turn_away(struct listener *l)
{
    l->stats.refused_fds++;
    if (l->spare_fd >= 0) {
        close(l->spare_fd);
        int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0) {
            close(fd);
        }
        l->spare_fd = open_spare();
    }
    if (l->spare_fd < 0) {
        loop_io_want(l->io, 0);
        loop_timer_start(l->options.loop, &l->retry, RETRY_MS * NS_PER_MS, 0);
    }
}

static void on_ready(void *ctx, int ready)
{
    struct listener *l = ctx;
    l->refs++; /* on_accept may free the listener */
    for (int i = 0; i < LISTENER_ACCEPTS_A_TURN && l->fd >= 0; i++) {
        struct sockaddr_storage from = {0};
        socklen_t size = sizeof(from);
        int fd = accept4(l->fd, (struct sockaddr *)&from, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            take(l, fd, &from, size);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE) {
            turn_away(l);
        } else if (errno == ECONNABORTED || errno == EINTR) {
            continue;
        }
        break;
    }
    unref(l);
}

static void on_retry(struct loop_timer *timer)
{
    struct listener *l = timer->ctx;
    l->spare_fd = l->spare_fd < 0 ? open_spare() : l->spare_fd;
    loop_io_want(l->io, LOOP_READ);
}

/* ---- life ---- */

static err bind_socket(const char *text, int *ret_fd, struct errtext *reterr)
{
    struct address a;
    TRY(address_parse(text, &a, reterr));
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    int code = getaddrinfo(a.host, a.port, &hints, &found);
    if (code != 0) {
        return err_fail(reterr, ERR_IO, "listen on %s: %s", text, address_lookup_error(code));
    }
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1;
    bool good = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
                bind(fd, found->ai_addr, found->ai_addrlen) == 0 &&
                listen(fd, LISTENER_BACKLOG) == 0;
    int why = errno;
    freeaddrinfo(found);
    if (!good) {
        if (fd >= 0) {
            close(fd);
        }
        return err_fail(reterr, ERR_IO, "listen on %s: %s", text, strerror(why));
    }
    *ret_fd = fd;
    return err_ok();
}

static uint16_t bound_port(int fd)
{
    struct sockaddr_storage at = {0};
    socklen_t size = sizeof(at);
    require(getsockname(fd, (struct sockaddr *)&at, &size) == 0);
    char text[ADDRESS_TEXT_SIZE];
    address_print((struct sockaddr *)&at, size, text);
    const char *colon = strrchr(text, ':');
    return colon == NULL ? 0 : (uint16_t)strtoul(colon + 1, NULL, 10);
}

static size_t or_default(size_t value, size_t standard)
{
    return value != 0 ? value : standard;
}

err listener_new(const struct listener_options *options, struct listener **ret_listener,
                 struct errtext *reterr)
{
    require(options->on_accept != NULL);
    require(options->conn.events != NULL);
    int fd = -1;
    TRY(bind_socket(options->address, &fd, reterr));
    struct listener *l = mem_new(1, sizeof(*l));
    l->options = *options;
    l->options.address = NULL; /* the caller's text may go */
    l->options.conns_max = or_default(options->conns_max, LISTENER_CONNS_MAX);
    l->options.conns_per_address_max =
        or_default(options->conns_per_address_max, LISTENER_CONNS_PER_ADDRESS_MAX);
    l->options.handshakes_max = or_default(options->handshakes_max, LISTENER_HANDSHAKES_MAX);
    l->tls = options->tls == NULL ? NULL : tls_ctx_ref(options->tls);
    l->refs = 1;
    l->fd = fd;
    l->port = bound_port(fd);
    l->spare_fd = open_spare();
    l->waiting.next = l->waiting.prev = &l->waiting;
    map_init(&l->origins, random_u64(), random_u64());
    loop_timer_init(&l->retry, on_retry, l);
    loop_task_init(&l->admit, on_admit, l);
    /* Newcomers wait for those who are in. */
    l->io = loop_io_new(options->loop, fd, LOOP_PRIORITY_LOW, on_ready, l);
    loop_io_want(l->io, LOOP_READ);
    *ret_listener = l;
    return err_ok();
}

uint16_t listener_port(const struct listener *listener)
{
    return listener->port;
}

void listener_set_tls(struct listener *listener, struct tls_ctx *tls)
{
    struct tls_ctx *before = listener->tls;
    listener->tls = tls == NULL ? NULL : tls_ctx_ref(tls);
    tls_ctx_free(before);
}

struct listener_stats listener_stats_of(const struct listener *listener)
{
    return listener->stats;
}

void listener_free(struct listener *listener)
{
    if (listener == NULL) {
        return;
    }
    require(listener->fd >= 0);
    loop_io_free(listener->io);
    listener->io = NULL;
    loop_timer_stop(listener->options.loop, &listener->retry);
    loop_unpost(listener->options.loop, &listener->admit);
    close(listener->fd);
    listener->fd = -1;
    if (listener->spare_fd >= 0) {
        close(listener->spare_fd);
        listener->spare_fd = -1;
    }
    for (struct slot *s = listener->waiting.next; s != &listener->waiting; s = s->next) {
        conn_abort(s->conn, "the listener was closed");
    }
    unref(listener);
}
