#include "net/conn.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/require.h"
#include "net/conn_core.h"

enum {
    READS_A_TURN = 4,          /* of LOOP_SCRATCH_BYTES: 256 KiB, then others have their turn */
    RECORD_BYTES = 16 << 10,   /* one TLS record */
    OUT_KEPT_BYTES = 64 << 10, /* an idle connection keeps no larger buffer */
    OUT_LARGE_BYTES = 1 << 20, /* a busy one */
    OUT_OVERHEAD = (CONN_OUT_BYTES_MAX >> 8) + (64 << 10), /* TLS: 22 bytes of 16 KiB, alerts */
};

#define TRIM_NS (2 * NS_PER_S) /* after which a connection counts as idle here */

static void on_task(struct loop_task *task);
static void on_timer(struct loop_timer *timer);
static void on_ready(void *ctx, int ready);

/* ---- life ---- */

struct conn *conn_make(const struct conn_options *options, enum conn_state state)
{
    require(options->loop != NULL);
    require(options->events != NULL);
    struct conn *c = mem_new(1, sizeof(*c));
    c->options = *options;
    c->state = state;
    c->fd = -1;
    if (c->options.tls != NULL) {
        tls_ctx_ref(c->options.tls);
    }
    if (c->options.handshake_timeout_ns == 0) {
        c->options.handshake_timeout_ns = CONN_HANDSHAKE_NS;
    }
    if (c->options.stall_timeout_ns == 0) {
        c->options.stall_timeout_ns = CONN_STALL_NS;
    }
    /* Up to half of it may be bytes that were sent already. */
    buf_init(&c->out, 2 * ((size_t)CONN_OUT_BYTES_MAX + OUT_OVERHEAD));
    loop_timer_init(&c->timer, on_timer, c);
    loop_task_init(&c->task, on_task, c);
    c->received_ns = c->sent_ns = loop_now_ns(options->loop);
    if (state != CONN_HELD) {
        loop_timer_start(options->loop, &c->timer, c->options.handshake_timeout_ns, 0);
    }
    return c;
}

/* The handshake slot is given back once, and at the latest with the connection itself. */
static void release_handshake(struct conn *c)
{
    if (c->release != NULL && !c->handshake_released) {
        c->handshake_released = true;
        c->release(c->release_ctx, c, true);
    }
}

void conn_free(struct conn *conn)
{
    if (conn == NULL) {
        return;
    }
    struct loop *loop = conn->options.loop;
    release_handshake(conn);
    if (conn->release != NULL) {
        conn->release(conn->release_ctx, conn, false);
    }
    conn_dial_done(conn);
    loop_timer_stop(loop, &conn->timer);
    loop_unpost(loop, &conn->task);
    loop_io_free(conn->io);
    if (conn->fd >= 0) {
        close(conn->fd);
    }
    tls_free(conn->tls);
    tls_ctx_free(conn->options.tls);
    buf_done(&conn->out);
    free(conn);
}

static void end_now(struct conn *c)
{
    struct conn_options o = c->options;
    o.events->on_close(c, o.ctx, c->reason);
    conn_free(c);
}

static void set_reason(struct conn *c, const char *reason)
{
    if (c->reason[0] == '\0' && reason != c->reason) {
        snprintf(c->reason, sizeof(c->reason), "%s", reason);
    }
}

void conn_abort(struct conn *conn, const char *reason)
{
    require(reason != NULL);
    if (conn->state == CONN_DEAD) {
        return;
    }
    if (conn->state == CONN_DIALING) {
        conn->reason[0] = '\0'; /* a refused earlier address is in reason itself */
    }
    set_reason(conn, reason);
    conn->state = CONN_DEAD;
    if (conn->io != NULL) {
        loop_io_want(conn->io, 0);
    }
    loop_timer_stop(conn->options.loop, &conn->timer);
    loop_post(conn->options.loop, &conn->task);
}

static void update_interest(struct conn *c)
{
    if (c->io == NULL || c->state == CONN_DEAD || c->state == CONN_DIALING) {
        return;
    }
    bool read =
        !c->input_ended && c->state != CONN_HELD && (!c->read_paused || c->state == CONN_LINGER);
    loop_io_want(c->io, (read ? LOOP_READ : 0) | (c->write_blocked ? LOOP_WRITE : 0));
}

/* We say no more: the rest leaves, then our side is shut down and input discarded for a while. */
static void linger(struct conn *c)
{
    require(c->state == CONN_HANDSHAKE || c->state == CONN_OPEN);
    c->state = CONN_LINGER;
    loop_timer_start(c->options.loop, &c->timer, c->options.stall_timeout_ns, 0);
    update_interest(c);
    loop_post(c->options.loop, &c->task);
}

void conn_close(struct conn *conn)
{
    switch (conn->state) {
    case CONN_DIALING:
    case CONN_HELD:
    case CONN_HANDSHAKE:
        conn_abort(conn, "closed before it was open");
        break;
    case CONN_OPEN:
        if (conn->tls != NULL) {
            tls_close(conn->tls);
        }
        linger(conn);
        break;
    case CONN_LINGER:
    case CONN_DEAD:
        break;
    }
}

/* ---- opening ---- */

static void set_socket_options(struct conn *c)
{
    int on = 1;
    /* Best effort: a Unix socket of a test knows none of them. */
    (void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (c->options.user_timeout_ms > 0) {
        unsigned ms = c->options.user_timeout_ms;
        (void)setsockopt(c->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof(ms));
    }
    if (c->options.keepalive) {
        int idle_s = 10, apart_s = 5, count = 3;
        (void)setsockopt(c->fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
        (void)setsockopt(c->fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
        (void)setsockopt(c->fd, IPPROTO_TCP, TCP_KEEPINTVL, &apart_s, sizeof(apart_s));
        (void)setsockopt(c->fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
    }
}

void conn_take_fd(struct conn *c, int fd)
{
    require(c->fd < 0);
    require(fd >= 0);
    c->fd = fd;
    set_socket_options(c);
    c->io = loop_io_new(c->options.loop, fd, c->options.priority, on_ready, c);
}

static void became_open(struct conn *c)
{
    require(c->state == CONN_HANDSHAKE);
    c->state = CONN_OPEN;
    loop_timer_stop(c->options.loop, &c->timer);
    release_handshake(c);
    c->options.events->on_open(c, c->options.ctx);
    if (c->state == CONN_OPEN) {
        conn_touch(c);
    }
}

/* TLS said no: its alert leaves before the end. */
static void fail_tls(struct conn *c, const struct errtext *why)
{
    if (c->state == CONN_DEAD || c->state == CONN_LINGER) {
        return;
    }
    set_reason(c, why->text);
    linger(c);
}

void conn_start(struct conn *c)
{
    c->state = CONN_HANDSHAKE;
    if (c->options.tls == NULL) {
        update_interest(c);
        conn_touch(c); /* opens in the task, so that on_open never comes from inside a call */
        return;
    }
    c->tls = tls_new(c->options.tls, c->host[0] != '\0' ? c->host : NULL, &c->out);
    struct errtext why = {""};
    if (failed(tls_start(c->tls, &why))) {
        fail_tls(c, &why);
        return;
    }
    update_interest(c);
    conn_touch(c);
}

struct conn *conn_from_fd(const struct conn_options *options, int fd, bool held)
{
    struct conn *c = conn_make(options, held ? CONN_HELD : CONN_HANDSHAKE);
    struct sockaddr_storage from = {0};
    socklen_t size = sizeof(from);
    if (getpeername(fd, (struct sockaddr *)&from, &size) == 0) {
        address_print((struct sockaddr *)&from, size, c->address);
    }
    conn_take_fd(c, fd);
    if (!held) {
        conn_start(c);
    }
    return c;
}

void conn_admit(struct conn *conn)
{
    if (conn->state == CONN_HELD) {
        loop_timer_start(conn->options.loop, &conn->timer, conn->options.handshake_timeout_ns, 0);
        conn_start(conn);
    }
}

void conn_set_events(struct conn *conn, const struct conn_events *events, void *ctx)
{
    require(events != NULL);
    conn->options.events = events;
    conn->options.ctx = ctx;
}

void conn_set_release(struct conn *conn, conn_release *release, void *ctx)
{
    conn->release = release;
    conn->release_ctx = ctx;
}

/* ---- output ---- */

size_t conn_out_size(const struct conn *conn)
{
    return conn->out.size - conn->out_at;
}

size_t conn_room(const struct conn *conn)
{
    size_t used = conn_out_size(conn);
    return used < CONN_FILL_BYTES ? CONN_FILL_BYTES - used : 0;
}

void conn_touch(struct conn *conn)
{
    if (conn->state != CONN_DIALING && conn->state != CONN_HELD) {
        loop_post(conn->options.loop, &conn->task);
    }
}

static err put_out(struct conn *c, struct bytes data)
{
    if (c->tls != NULL) {
        return tls_write(c->tls, data);
    }
    buf_put_bytes(&c->out, data);
    return c->out.overflow ? (err){ERR_FULL} : err_ok();
}

/* Small pieces are joined into full records: each record costs 22 bytes and a cipher start. */
static err put_parts(struct conn *c, const struct bytes *parts, size_t count)
{
    uint8_t record[RECORD_BYTES];
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        struct bytes part = parts[i];
        while (part.size > 0) {
            if (used == 0 && part.size >= RECORD_BYTES) {
                size_t whole = part.size - part.size % RECORD_BYTES;
                TRY(put_out(c, bytes_of(part.data, whole)));
                part = bytes_of(part.data + whole, part.size - whole);
                continue;
            }
            size_t take = part.size < RECORD_BYTES - used ? part.size : RECORD_BYTES - used;
            memcpy(record + used, part.data, take);
            used += take;
            part = bytes_of(part.data + take, part.size - take);
            if (used == RECORD_BYTES) {
                TRY(put_out(c, bytes_of(record, used)));
                used = 0;
            }
        }
    }
    return used > 0 ? put_out(c, bytes_of(record, used)) : err_ok();
}

err conn_write_parts(struct conn *conn, const struct bytes *parts, size_t count)
{
    require(count == 0 || parts != NULL);
    if (conn->state != CONN_OPEN) {
        return (err){ERR_INVALID};
    }
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        if (parts[i].size > CONN_OUT_BYTES_MAX - total) {
            return (err){ERR_FULL};
        }
        total += parts[i].size;
    }
    if (total > CONN_OUT_BYTES_MAX || conn_out_size(conn) > CONN_OUT_BYTES_MAX - total) {
        return (err){ERR_FULL};
    }
    if (conn->out_at > 0 && conn->out_at >= conn->out.size / 2) {
        buf_consume(&conn->out, conn->out_at); /* moves less than was sent: linear in all */
        conn->out_at = 0;
    }
    err e = put_parts(conn, parts, count);
    if (failed(e)) {
        conn_abort(conn, "TLS output failed");
        return (err){ERR_INVALID};
    }
    conn_touch(conn);
    return err_ok();
}

err conn_write(struct conn *conn, struct bytes data)
{
    return conn_write_parts(conn, &data, 1);
}

static void all_sent(struct conn *c)
{
    buf_clear(&c->out);
    c->out_at = 0;
    if (c->out.capacity > OUT_LARGE_BYTES) {
        buf_done(&c->out);
    }
    if (c->state == CONN_OPEN && c->out.capacity > OUT_KEPT_BYTES) {
        loop_timer_start(c->options.loop, &c->timer, TRIM_NS, 0);
    } else if (c->state == CONN_OPEN) {
        loop_timer_stop(c->options.loop, &c->timer);
    }
    if (c->state == CONN_LINGER && !c->write_ended) {
        c->write_ended = true;
        shutdown(c->fd, SHUT_WR);
        if (c->input_ended) {
            conn_abort(c, c->reason);
        } else {
            loop_timer_start(c->options.loop, &c->timer, CONN_LINGER_NS, 0);
        }
    }
}

static void flush(struct conn *c)
{
    bool moved = false;
    bool blocked = false;
    while (conn_out_size(c) > 0 && !blocked) {
        ssize_t sent = send(c->fd, c->out.data + c->out_at, conn_out_size(c), MSG_NOSIGNAL);
        if (sent > 0) {
            c->out_at += (size_t)sent;
            c->sent_bytes += (uint64_t)sent;
            moved = true;
        } else if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            blocked = true;
        } else if (sent == 0 || errno != EINTR) {
            conn_abort(c, strerror(errno));
            return;
        }
    }
    struct loop *loop = c->options.loop;
    c->sent_ns = moved ? loop_now_ns(loop) : c->sent_ns;
    bool timed = c->state == CONN_OPEN || c->state == CONN_LINGER;
    if (blocked && timed && (moved || !c->write_blocked)) {
        loop_timer_start(loop, &c->timer, c->options.stall_timeout_ns, 0);
    }
    c->write_blocked = blocked;
    if (!blocked) {
        all_sent(c);
    }
    update_interest(c);
}

/* ---- turns ---- */

static void on_task(struct loop_task *task)
{
    struct conn *c = task->ctx;
    if (c->state == CONN_DEAD) {
        end_now(c);
        return;
    }
    if (c->state == CONN_HANDSHAKE && c->tls == NULL) {
        became_open(c);
    }
    if (c->state == CONN_OPEN && c->options.events->on_fill != NULL && conn_room(c) > 0) {
        c->options.events->on_fill(c, c->options.ctx);
    }
    if (c->state == CONN_DEAD) {
        return; /* posted again: ends in the next round */
    }
    bool filled = conn_room(c) == 0;
    flush(c);
    if (filled && c->state == CONN_OPEN && !c->write_blocked) {
        loop_post(c->options.loop, &c->task); /* there may be more to fill in */
    }
}

static void on_timer(struct loop_timer *timer)
{
    struct conn *c = timer->ctx;
    switch (c->state) {
    case CONN_DIALING:
        conn_abort(c, "connecting took too long");
        break;
    case CONN_HELD:
    case CONN_HANDSHAKE:
        conn_abort(c, "the TLS handshake took too long");
        break;
    case CONN_OPEN:
        if (conn_out_size(c) > 0) {
            conn_abort(c, "the other side takes no data");
        } else {
            buf_done(&c->out);
        }
        break;
    case CONN_LINGER:
        conn_abort(c, c->reason);
        break;
    case CONN_DEAD:
        break;
    }
}

/* ---- input ---- */

static void on_plain(void *ctx, struct bytes plain)
{
    struct conn *c = ctx;
    if (c->state == CONN_HANDSHAKE) {
        became_open(c);
    }
    if (c->state == CONN_OPEN) {
        c->options.events->on_data(c, c->options.ctx, plain);
    }
}

static void input_ended(struct conn *c, const char *reason)
{
    c->input_ended = true;
    if (c->state == CONN_HANDSHAKE) {
        conn_abort(c, reason[0] != '\0' ? reason : "closed during the handshake");
    } else if (c->state == CONN_OPEN) {
        set_reason(c, reason);
        conn_close(c);
    } else if (c->state == CONN_LINGER && c->write_ended) {
        conn_abort(c, c->reason);
    }
    update_interest(c);
}

static void feed_tls(struct conn *c, struct bytes cipher)
{
    struct errtext why = {""};
    err e = tls_feed(c->tls, cipher, on_plain, c, &why);
    if (failed(e)) {
        fail_tls(c, &why);
        return;
    }
    if (c->state == CONN_HANDSHAKE && tls_is_open(c->tls)) {
        became_open(c);
    }
    if (tls_is_ended(c->tls) && c->state == CONN_OPEN) {
        input_ended(c, "");
    }
    if (c->out.size > c->out_at) {
        conn_touch(c); /* handshake messages and alerts */
    }
}

static void feed(struct conn *c, struct bytes data)
{
    c->received_bytes += data.size;
    c->received_ns = loop_now_ns(c->options.loop);
    if (c->state != CONN_HANDSHAKE && c->state != CONN_OPEN) {
        return; /* lingering: discarded */
    }
    if (c->tls != NULL) {
        feed_tls(c, data);
    } else {
        on_plain(c, data);
    }
}

static void read_input(struct conn *c)
{
    uint8_t *scratch = loop_scratch(c->options.loop);
    for (int i = 0; i < READS_A_TURN; i++) {
        if (c->state == CONN_DEAD || c->input_ended ||
            (c->read_paused && c->state != CONN_LINGER)) {
            return;
        }
        ssize_t size = recv(c->fd, scratch, LOOP_SCRATCH_BYTES, 0);
        if (size < 0) {
            if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
                conn_abort(c, strerror(errno));
            }
            return;
        }
        if (size == 0) {
            input_ended(c, c->tls != NULL && !tls_is_ended(c->tls) ? "cut off" : "");
            return;
        }
        feed(c, bytes_of(scratch, (size_t)size));
        if (size < LOOP_SCRATCH_BYTES) {
            return; /* level triggered: the rest, if any, comes in the next turn */
        }
    }
}

static void on_ready(void *ctx, int ready)
{
    struct conn *c = ctx;
    if (c->state == CONN_DIALING) {
        conn_dial_ready(c);
        return;
    }
    if (ready & LOOP_WRITE) {
        c->write_blocked = false;
        conn_touch(c);
        update_interest(c);
    }
    if (ready & LOOP_READ) {
        read_input(c);
    }
}

void conn_read_pause(struct conn *conn)
{
    conn->read_paused = true;
    update_interest(conn);
}

void conn_read_resume(struct conn *conn)
{
    conn->read_paused = false;
    update_interest(conn);
}

/* ---- facts ---- */

const struct tls_peer *conn_peer(const struct conn *conn)
{
    return conn->tls == NULL ? NULL : tls_peer_of(conn->tls);
}

const char *conn_address(const struct conn *conn)
{
    return conn->address;
}

uint64_t conn_received_ns(const struct conn *conn)
{
    return conn->received_ns;
}

uint64_t conn_sent_ns(const struct conn *conn)
{
    return conn->sent_ns;
}

uint64_t conn_received_bytes(const struct conn *conn)
{
    return conn->received_bytes;
}

uint64_t conn_sent_bytes(const struct conn *conn)
{
    return conn->sent_bytes;
}

bool conn_is_open(const struct conn *conn)
{
    return conn->state == CONN_OPEN;
}
