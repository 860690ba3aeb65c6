/* One connection between two nodes: handshake, hello, frames, end. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/require.h"
#include "net/peer_core.h"

enum {
    HELLO_BYTES_MAX = FRAME_HELLO_SIZE,            /* before a peer is admitted */
    ANSWER_BYTES_MAX = 1 + FRAME_REFUSAL_TEXT_MAX, /* welcome and refusal */
    /* What link_end's caller may say of why. */
    DETAIL_BYTES_MAX = sizeof(((struct peer_status *)0)->last_error) - 48,
};

static const struct conn_events out_events, in_events;

static uint64_t now_of(const struct link *link)
{
    return loop_now_ns(link->links->loop);
}

static void enter(struct link *link, enum link_state state)
{
    require(state > link->state);
    link->state = state;
    link->since_ns = now_of(link);
}

static struct link *link_new(struct peer_links *links, enum peer_direction direction)
{
    struct link *link = mem_new(1, sizeof *link);
    link->links = links;
    link->direction = direction;
    link->since_ns = loop_now_ns(links->loop);
    frame_reader_init(&link->reader,
                      direction == PEER_DIRECTION_OUT ? ANSWER_BYTES_MAX : HELLO_BYTES_MAX);
    link->prev = links->all.prev;
    link->next = &links->all;
    link->prev->next = link;
    link->next->prev = link;
    return link;
}

/* Frees the link alone; its connection is gone or about to go. */
static void forget(struct link *link)
{
    link->next->prev = link->prev;
    link->prev->next = link->next;
    frame_reader_done(&link->reader);
    free(link);
}

void link_free(struct link *link)
{
    require(link->conn != NULL);
    conn_free(link->conn);
    forget(link);
}

/* ---- the end ---- */

static void remember_failure(struct peer *peer, enum peer_reason reason, const char *detail)
{
    struct peer_status *s = &peer->status;
    s->last_reason = reason;
    snprintf(s->last_error, sizeof s->last_error, "%s%s%.*s", peer_reason_text(reason),
             detail[0] != '\0' ? ": " : "", (int)DETAIL_BYTES_MAX, detail);
}

/* Takes the link off its peer. Returns whether it was the peer's present one. */
static bool detach(struct link *link)
{
    struct peer *peer = link->peer;
    link->peer = NULL;
    if (peer == NULL) {
        return false;
    }
    if (link->direction == PEER_DIRECTION_OUT) {
        require(peer->out == link);
        peer->out = NULL;
        peer->status.out_up_ns = 0;
        peer_queue_clear(peer);
        return true;
    }
    require(peer->in == link);
    peer->in = NULL;
    peer->status.received_ns = conn_received_ns(link->conn);
    return true;
}

/* Refused by name: the other side will say the same until somebody changes something. */
static bool is_refusal(enum peer_reason reason)
{
    return reason >= PEER_REASON_NO_IDENTITY && reason <= PEER_REASON_WRONG_PEER;
}

void link_end(struct link *link, enum peer_reason reason, const char *detail)
{
    require(reason != PEER_REASON_NONE);
    require(detail != NULL);
    if (link->state == LINK_ENDING) {
        return;
    }
    struct peer_links *links = link->links;
    struct peer *peer = link->peer;
    bool was_up = link->state == LINK_UP;
    uint64_t up_ns = was_up ? now_of(link) - link->since_ns : 0;
    enter(link, LINK_ENDING);
    if (link->direction == PEER_DIRECTION_IN && !was_up) {
        links->refused[reason]++;
    }
    if (detach(link)) {
        remember_failure(peer, reason, detail);
        if (link->direction == PEER_DIRECTION_OUT) {
            peer->refused = is_refusal(reason);
            peer->attempts = up_ns >= PEER_REDIAL_MAX_NS ? 0 : peer->attempts;
            peer->status.dial_failures += !was_up;
            peer_redial_later(peer);
        }
    }
    conn_abort(link->conn, peer_reason_text(reason));
    if (was_up && peer != NULL) {
        links->host.on_link(links->host.ctx, peer->row->id, link->direction, PEER_LINK_DOWN,
                            reason);
    }
}

void link_end_later(struct link *link, enum peer_reason reason)
{
    require(reason != PEER_REASON_NONE);
    link->end_reason = reason;
    conn_abort(link->conn, peer_reason_text(reason));
}

void link_orphan(struct link *link)
{
    if (link->state != LINK_ENDING) {
        enter(link, LINK_ENDING);
        detach(link);
        conn_abort(link->conn, peer_reason_text(PEER_REASON_REMOVED));
    }
}

/* Says why, and lets that arrive before the connection ends. */
static void refuse(struct link *link, enum peer_reason reason)
{
    require(link->direction == PEER_DIRECTION_IN);
    require(link->state == LINK_HELLO);
    struct buf answer;
    buf_init(&answer, FRAME_HEADER_SIZE + ANSWER_BYTES_MAX);
    frame_put_refusal(&answer, (uint8_t)reason, peer_reason_text(reason));
    err e = conn_write(link->conn, buf_bytes(&answer));
    buf_done(&answer);
    link->links->refused[reason]++;
    enter(link, LINK_ENDING);
    detach(link);
    if (failed(e)) {
        conn_abort(link->conn, peer_reason_text(reason));
    } else {
        conn_close(link->conn);
    }
}

/* Why a connection ended that nobody here wanted to end. */
static enum peer_reason reason_of_close(const struct link *link, const char *text)
{
    if (link->end_reason != PEER_REASON_NONE) {
        return link->end_reason;
    }
    switch (link->state) {
    case LINK_OPENING:
        return link->direction == PEER_DIRECTION_OUT && conn_received_bytes(link->conn) == 0
                   ? PEER_REASON_UNREACHABLE
                   : PEER_REASON_TLS;
    case LINK_HELLO: /* TLS 1.3: a refused client certificate shows only now (RFC 8446 E.1.2) */
        return text[0] != '\0' ? PEER_REASON_TLS : PEER_REASON_CLOSED;
    case LINK_UP:
    case LINK_ENDING:
        return PEER_REASON_CLOSED;
    }
    return PEER_REASON_CLOSED;
}

static void on_close(struct conn *conn, void *ctx, const char *text)
{
    struct link *link = ctx;
    require(link->conn == conn);
    enum peer_reason reason = reason_of_close(link, text);
    link_end(link, reason, link->end_reason == PEER_REASON_NONE ? text : "");
    forget(link);
}

/* ---- dialling ---- */

void link_options(const struct peer_links *links, struct conn_options *options)
{
    options->events = &in_events; /* the dialling side sets its own */
    options->priority = LOOP_PRIORITY_HIGH;
    options->stall_timeout_ns = links->silence_ns;
    options->user_timeout_ms = PEER_SEND_TIMEOUT_MS;
    options->keepalive = true;
}

void peer_dial(struct peer *peer)
{
    require(peer->out == NULL);
    struct peer_links *links = peer->links;
    require(links->client_tls != NULL);
    struct link *link = link_new(links, PEER_DIRECTION_OUT);
    struct conn_options options = {
        .loop = links->loop,
        .tls = links->client_tls,
        .ctx = link,
        .pool = links->pool,
    };
    link_options(links, &options);
    options.events = &out_events;
    struct errtext why = {""};
    if (failed(conn_dial(&options, peer->row->address, &link->conn, &why))) {
        forget(link);
        remember_failure(peer, PEER_REASON_UNREACHABLE, why.text);
        peer->status.dial_failures++;
        peer_redial_later(peer);
        return;
    }
    link->peer = peer;
    peer->out = link;
}

static void note_certificate(struct peer *peer, const struct tls_peer *certificate)
{
    peer->status.certificate_not_after_s = certificate->not_after_s;
    peer->status.certificate_forgiven = certificate->expiry_forgiven;
}

static void out_on_open(struct conn *conn, void *ctx)
{
    struct link *link = ctx;
    struct peer *peer = link->peer;
    if (link->state != LINK_OPENING) {
        return;
    }
    const struct tls_peer *certificate = conn_peer(conn);
    enum peer_reason reason = peer_row_judge(peer->row, link->links->origin, certificate);
    if (reason != PEER_REASON_NONE) {
        link_end(link, reason, conn_address(conn));
        return;
    }
    note_certificate(peer, certificate);
    struct frame_hello hello = {
        .version = FRAME_VERSION,
        .from = link->links->id,
        .to = peer->row->id,
    };
    memcpy(hello.ledger_id, link->links->ledger_id, SHA256_SIZE);
    struct buf bytes;
    buf_init(&bytes, FRAME_HEADER_SIZE + FRAME_HELLO_SIZE);
    frame_put_hello(&bytes, &hello);
    err e = conn_write(conn, buf_bytes(&bytes));
    buf_done(&bytes);
    if (failed(e)) {
        link_end(link, PEER_REASON_CLOSED, "");
        return;
    }
    enter(link, LINK_HELLO);
}

static void out_welcomed(struct link *link, struct bytes bytes)
{
    uint16_t version = 0;
    if (failed(frame_read_welcome(bytes, &version))) {
        link_end(link, PEER_REASON_BAD_FRAME, "welcome");
        return;
    }
    if (version != FRAME_VERSION) {
        link_end(link, PEER_REASON_WRONG_VERSION, "");
        return;
    }
    struct peer *peer = link->peer;
    struct peer_links *links = link->links;
    enter(link, LINK_UP);
    peer->status.out_up_ns = link->since_ns;
    peer->status.dial_failures = 0;
    peer->refused = false;
    links->host.on_link(links->host.ctx, peer->row->id, PEER_DIRECTION_OUT, PEER_LINK_UP,
                        PEER_REASON_NONE);
}

static void out_refused(struct link *link, struct bytes bytes)
{
    uint8_t number = 0;
    char text[FRAME_REFUSAL_TEXT_MAX + 1];
    if (failed(frame_read_refusal(bytes, &number, text)) || number == PEER_REASON_NONE ||
        number >= PEER_REASON_COUNT) {
        link_end(link, PEER_REASON_BAD_FRAME, "refusal");
        return;
    }
    char detail[FRAME_REFUSAL_TEXT_MAX + 32];
    snprintf(detail, sizeof detail, "the other side says: %s", text);
    link_end(link, (enum peer_reason)number, detail);
}

static void out_on_frame(struct link *link, const struct frame *frame)
{
    if (frame->type == FRAME_TYPE_WELCOME && link->state == LINK_HELLO) {
        out_welcomed(link, frame->bytes);
    } else if (frame->type == FRAME_TYPE_REFUSAL) {
        out_refused(link, frame->bytes);
    } else {
        link_end(link, PEER_REASON_BAD_FRAME, "unexpected type");
    }
}

static void out_on_fill(struct conn *conn, void *ctx)
{
    struct link *link = ctx;
    require(link->conn == conn);
    if (link->state == LINK_UP && link->peer != NULL) {
        peer_queue_drain(link->peer);
    }
}

/* ---- accepting ---- */

bool peer_accept(void *ctx, struct conn *conn)
{
    struct peer_links *links = ctx;
    if (links->server_tls == NULL) {
        return false; /* no table yet: nobody can be known, and nothing is said in plain text */
    }
    struct link *link = link_new(links, PEER_DIRECTION_IN);
    link->conn = conn;
    conn_set_events(conn, &in_events, link);
    return true;
}

static void in_on_open(struct conn *conn, void *ctx)
{
    struct link *link = ctx;
    if (link->state != LINK_OPENING) {
        return;
    }
    enter(link, LINK_HELLO);
    enum peer_reason reason =
        peer_table_judge(link->links->table, link->links->origin, conn_peer(conn));
    if (reason != PEER_REASON_NONE) {
        refuse(link, reason);
    }
}

/* Who says hello must be who the certificate names, and mean us and our ledger. */
static enum peer_reason judge_hello(const struct link *link, const struct frame_hello *hello)
{
    const struct peer_links *links = link->links;
    if (hello->version != FRAME_VERSION) {
        return PEER_REASON_WRONG_VERSION;
    }
    if (memcmp(hello->ledger_id, links->ledger_id, SHA256_SIZE) != 0) {
        return PEER_REASON_WRONG_LEDGER;
    }
    if (hello->to != links->id || hello->from == links->id) {
        return PEER_REASON_WRONG_PEER;
    }
    const struct peer *peer = peer_find(links, hello->from);
    return peer == NULL ? PEER_REASON_UNKNOWN_NODE
                        : peer_row_judge(peer->row, links->origin, conn_peer(link->conn));
}

static void in_admit(struct link *link, struct peer *peer)
{
    struct peer_links *links = link->links;
    uint64_t id = peer->row->id;
    struct link *old = peer->in;
    link->peer = peer;
    /* From now on frames may be large. */
    frame_reader_done(&link->reader);
    frame_reader_init(&link->reader, PEER_FRAME_BYTES_MAX);
    enter(link, LINK_UP);
    note_certificate(peer, conn_peer(link->conn));
    if (old != NULL) {
        peer->in = NULL;
        old->peer = NULL;
        enter(old, LINK_ENDING);
        conn_abort(old->conn, peer_reason_text(PEER_REASON_REPLACED));
    }
    peer->in = link;
    if (peer->out == NULL && !peer->refused) {
        peer_redial_soon(peer); /* who dials us can be dialled */
    }
    if (old != NULL) {
        links->host.on_link(links->host.ctx, id, PEER_DIRECTION_IN, PEER_LINK_DOWN,
                            PEER_REASON_REPLACED);
    }
    if (link->peer != NULL) {
        links->host.on_link(links->host.ctx, id, PEER_DIRECTION_IN, PEER_LINK_UP, PEER_REASON_NONE);
    }
}

static void in_on_hello(struct link *link, const struct frame *frame)
{
    struct frame_hello hello;
    enum peer_reason reason = PEER_REASON_BAD_FRAME;
    if (frame->type == FRAME_TYPE_HELLO && !failed(frame_read_hello(frame->bytes, &hello))) {
        reason = judge_hello(link, &hello);
    }
    if (reason != PEER_REASON_NONE) {
        refuse(link, reason);
        return;
    }
    struct buf answer;
    buf_init(&answer, FRAME_HEADER_SIZE + ANSWER_BYTES_MAX);
    frame_put_welcome(&answer);
    err e = conn_write(link->conn, buf_bytes(&answer));
    buf_done(&answer);
    if (failed(e)) {
        link_end(link, PEER_REASON_CLOSED, "");
        return;
    }
    in_admit(link, peer_find(link->links, hello.from));
}

static void in_on_frame(struct link *link, const struct frame *frame)
{
    if (link->state == LINK_HELLO) {
        in_on_hello(link, frame);
        return;
    }
    struct peer *peer = link->peer;
    if (frame->type == FRAME_TYPE_PING && frame->bytes.size == 0) {
        return;
    }
    if (frame->type > PEER_TYPE_MAX) {
        link_end(link, PEER_REASON_BAD_FRAME, "unexpected type");
        return;
    }
    peer->status.received_frames++;
    peer->status.received_bytes += FRAME_HEADER_SIZE + frame->bytes.size;
    const struct peer_host *host = &link->links->host;
    host->on_frame(host->ctx, peer->row->id, frame->type, frame->bytes);
}

/* ---- bytes of either direction ---- */

static void oversized(struct link *link)
{
    if (link->direction == PEER_DIRECTION_IN && link->state == LINK_HELLO) {
        refuse(link, PEER_REASON_OVERSIZED);
    } else {
        link_end(link, PEER_REASON_OVERSIZED, conn_address(link->conn));
    }
}

static void on_data(struct conn *conn, void *ctx, struct bytes data)
{
    struct link *link = ctx;
    require(link->conn == conn);
    bool more = true;
    /* A callback may end the link or have it ended: conn_is_open says so as well. */
    while (more && (link->state == LINK_HELLO || link->state == LINK_UP) && conn_is_open(conn)) {
        struct frame frame;
        if (failed(frame_next(&link->reader, &data, &frame, &more))) {
            oversized(link);
            return;
        }
        if (more && link->direction == PEER_DIRECTION_OUT) {
            out_on_frame(link, &frame);
        } else if (more) {
            in_on_frame(link, &frame);
        }
    }
}

static const struct conn_events out_events = {out_on_open, on_data, out_on_fill, on_close};
static const struct conn_events in_events = {in_on_open, on_data, NULL, on_close};

/* ---- the clock ---- */

static bool is_late(const struct link *link, uint64_t now_ns)
{
    switch (link->state) {
    case LINK_OPENING: /* the connection has its own timer for this */
    case LINK_ENDING:
        return false;
    case LINK_HELLO: {
        uint64_t silence_ns = link->links->silence_ns;
        return now_ns - link->since_ns > (silence_ns < PEER_HELLO_NS ? silence_ns : PEER_HELLO_NS);
    }
    case LINK_UP:
        return link->direction == PEER_DIRECTION_IN &&
               now_ns > conn_received_ns(link->conn) + link->links->silence_ns;
    }
    return false;
}

/* Each end may call the host and change the list, so the search begins anew; ended links are not
 * late any more, so it ends. */
static void end_late(struct peer_links *links, uint64_t now_ns)
{
    bool found = true;
    while (found) {
        found = false;
        for (struct link *link = links->all.next; link != &links->all && !found;
             link = link->next) {
            if (is_late(link, now_ns)) {
                found = true;
                link_end(link, PEER_REASON_TIMEOUT,
                         link->state == LINK_UP ? "silent" : "no answer to the hello");
            }
        }
    }
}

void peer_tick(struct peer_links *links, uint64_t now_ns)
{
    uint64_t period_ns = links->silence_ns / 5;
    /* After a stall of our own the bytes that came meanwhile are read first. */
    bool stalled = now_ns - links->tick_ns > 3 * period_ns;
    links->tick_ns = now_ns;
    for (size_t i = 0; i < links->peer_count; i++) {
        struct peer *peer = links->peers[i];
        struct link *out = peer->out;
        if (out != NULL && out->state == LINK_UP && peer->first == NULL &&
            now_ns - conn_sent_ns(out->conn) >= period_ns / 2) {
            struct buf ping;
            buf_init(&ping, FRAME_HEADER_SIZE);
            frame_put(&ping, FRAME_TYPE_PING, NULL, 0);
            /* If it cannot be written, the connection is ending and on_close follows. */
            err e = conn_write(out->conn, buf_bytes(&ping));
            (void)e;
            buf_done(&ping);
        }
    }
    if (!stalled) {
        end_late(links, now_ns);
    }
}
