/* The way out: bytes go straight into the connection while it has room, and wait in a bounded
 * queue otherwise. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/require.h"
#include "net/peer_core.h"

static size_t size_of(const struct bytes parts[], size_t count)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++) {
        size += parts[i].size < SIZE_MAX - size ? parts[i].size : SIZE_MAX - size;
    }
    return size;
}

static void write_header(uint8_t header[FRAME_HEADER_SIZE], uint8_t type, size_t size)
{
    require(size <= PEER_FRAME_BYTES_MAX);
    for (size_t i = 0; i < 4; i++) {
        header[i] = (uint8_t)(size >> (8 * (3 - i)));
    }
    header[4] = type;
}

static void enqueue(struct peer *peer, const struct bytes pieces[], size_t count)
{
    size_t size = size_of(pieces, count);
    struct queued *q = mem_resize(NULL, sizeof *q + size, 1);
    *q = (struct queued){.size = size};
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        if (pieces[i].size > 0) {
            memcpy(q->data + at, pieces[i].data, pieces[i].size);
            at += pieces[i].size;
        }
    }
    require(at == size);
    if (peer->last == NULL) {
        peer->first = q;
    } else {
        peer->last->next = q;
    }
    peer->last = q;
    peer->queued_bytes += size;
    conn_touch(peer->out->conn);
}

static struct queued *dequeue(struct peer *peer)
{
    struct queued *q = peer->first;
    require(q != NULL);
    require(q->sent <= q->size);
    peer->first = q->next;
    if (peer->first == NULL) {
        peer->last = NULL;
    }
    return q;
}

void peer_queue_drain(struct peer *peer)
{
    require(peer->out != NULL);
    struct conn *conn = peer->out->conn;
    while (peer->first != NULL) {
        struct queued *q = peer->first;
        size_t room = conn_room(conn);
        size_t left = q->size - q->sent;
        size_t take = left < room ? left : room;
        if (take == 0 || failed(conn_write(conn, bytes_of(q->data + q->sent, take)))) {
            return;
        }
        q->sent += take;
        peer->queued_bytes -= take;
        if (q->sent == q->size) {
            free(dequeue(peer));
        }
    }
    require(peer->queued_bytes == 0);
}

void peer_queue_clear(struct peer *peer)
{
    while (peer->first != NULL) {
        free(dequeue(peer));
        peer->status.dropped_frames++;
    }
    peer->queued_bytes = 0;
}

static err take_frame(struct peer *peer, const struct bytes pieces[], size_t count, size_t size)
{
    struct link *out = peer->out;
    if (out == NULL || out->state != LINK_UP || !conn_is_open(out->conn)) {
        return (err){ERR_AGAIN};
    }
    size_t waiting = conn_out_size(out->conn);
    if (peer->queued_bytes + waiting + size > PEER_QUEUE_BYTES_MAX) {
        return (err){ERR_FULL};
    }
    /* Straight ahead when nothing waits before it; a connection without backlog takes it whole. */
    if (peer->first == NULL && (waiting == 0 || size <= conn_room(out->conn))) {
        return failed(conn_write_parts(out->conn, pieces, count)) ? (err){ERR_AGAIN} : err_ok();
    }
    enqueue(peer, pieces, count);
    return err_ok();
}

err peer_send_now(struct peer *peer, uint8_t type, const struct bytes parts[], size_t count)
{
    require(count <= PEER_PARTS_MAX);
    struct bytes pieces[1 + PEER_PARTS_MAX];
    uint8_t header[FRAME_HEADER_SIZE];
    size_t size = size_of(parts, count);
    err e = (err){ERR_LIMIT};
    if (size <= PEER_FRAME_BYTES_MAX) {
        write_header(header, type, size);
        pieces[0] = bytes_of(header, sizeof header);
        for (size_t i = 0; i < count; i++) {
            pieces[1 + i] = parts[i];
        }
        e = take_frame(peer, pieces, 1 + count, sizeof header + size);
    }
    if (failed(e)) {
        peer->status.dropped_frames++;
    } else {
        peer->status.sent_frames++;
        peer->status.sent_bytes += sizeof header + size;
    }
    return e;
}

/* ---- faults that a test injects ---- */

static void delayed_free(struct delayed *d)
{
    d->next->prev = d->prev;
    d->prev->next = d->next;
    loop_timer_stop(d->links->loop, &d->timer);
    free((void *)(uintptr_t)d->bytes.data);
    free(d);
}

void peer_delayed_clear(struct peer_links *links)
{
    while (links->delayed.next != &links->delayed) {
        delayed_free(links->delayed.next);
    }
}

static void on_delayed(struct loop_timer *timer)
{
    struct delayed *d = timer->ctx;
    struct peer *peer = peer_find(d->links, d->to);
    if (peer != NULL) {
        /* A link that is down meanwhile loses it, as it loses every other frame. */
        err e = peer_send_now(peer, d->type, &d->bytes, 1);
        (void)e;
    }
    delayed_free(d);
}

/* Holds the frame back; a frame that is too large is not taken at all. */
static err delay(struct peer *peer, uint8_t type, const struct bytes parts[], size_t count,
                 uint64_t delay_ns)
{
    size_t size = size_of(parts, count);
    if (size > PEER_FRAME_BYTES_MAX) {
        return (err){ERR_LIMIT};
    }
    struct delayed *d = mem_new(1, sizeof *d);
    uint8_t *copy = mem_resize(NULL, size, 1);
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        if (parts[i].size > 0) {
            memcpy(copy + at, parts[i].data, parts[i].size);
            at += parts[i].size;
        }
    }
    *d = (struct delayed){.links = peer->links, .to = peer->row->id, .type = type};
    d->bytes = bytes_of(copy, size);
    d->prev = peer->links->delayed.prev;
    d->next = &peer->links->delayed;
    d->prev->next = d;
    d->next->prev = d;
    loop_timer_init(&d->timer, on_delayed, d);
    loop_timer_start(peer->links->loop, &d->timer, delay_ns, 0);
    return err_ok();
}

err peer_send(struct peer_links *links, uint64_t to, uint8_t type, const struct bytes parts[],
              size_t count)
{
    require(links != NULL);
    require(type <= PEER_TYPE_MAX);
    require(parts != NULL || count == 0);
    require(count <= PEER_PARTS_MAX);
    struct peer *peer = peer_find(links, to);
    if (peer == NULL) {
        return (err){ERR_NOT_FOUND};
    }
    uint64_t delay_ns = 0;
    enum peer_fault fault = links->host.fault == NULL
                                ? PEER_FAULT_NONE
                                : links->host.fault(links->host.ctx, to, type, &delay_ns);
    switch (fault) {
    case PEER_FAULT_NONE:
        break;
    case PEER_FAULT_DROP:
        peer->status.dropped_frames++;
        return err_ok(); /* the sender does not learn of it */
    case PEER_FAULT_DELAY:
        return delay(peer, type, parts, count, delay_ns);
    }
    return peer_send_now(peer, type, parts, count);
}
