/* What peer.c, peer_link.c and peer_send.c share; nobody else includes it.
 *
 * A *link* is one connection of either direction; it lives until its connection's on_close. A
 * *peer* is another node of the table; it has at most one link a direction.
 *
 *     dialled:   OPENING -> HELLO (sent) -> UP (welcome came)  -> ENDING
 *     accepted:  OPENING -> HELLO (awaited) -> UP (hello good) -> ENDING
 *
 * Callbacks of the host may replace the node table and so free peers; a link stays, with its peer
 * NULL. So after a callback nothing is used but the link, and its peer is read again. */
#ifndef NET_PEER_CORE_H
#define NET_PEER_CORE_H

#include "net/conn.h"
#include "net/frame.h"
#include "net/listener.h"
#include "net/loop.h"
#include "net/peer.h"
#include "net/peer_table.h"

enum link_state { LINK_OPENING, LINK_HELLO, LINK_UP, LINK_ENDING };

struct peer;

struct link {
    struct peer_links *links;
    struct peer *peer; /* NULL: not known yet, or no longer */
    struct conn *conn; /* owns itself */
    enum peer_direction direction;
    enum link_state state;
    enum peer_reason end_reason; /* why this side ended it, when it did */
    struct frame_reader reader;
    uint64_t since_ns;        /* of the state */
    struct link *next, *prev; /* in links->all */
};

/* A frame that waits until the connection has room. */
struct queued {
    struct queued *next;
    size_t size, sent;
    uint8_t data[];
};

struct peer {
    struct peer_links *links;
    const struct peer_row *row; /* in the present table */
    struct link *out, *in;
    struct queued *first, *last; /* owned */
    size_t queued_bytes;
    struct loop_timer redial;
    unsigned attempts;         /* failed dials in a row */
    bool refused;              /* the last dial was refused by name: hurry does not help */
    struct peer_status status; /* what has to be remembered beyond a link */
};

/* A frame that a test's fault hook holds back. */
struct delayed {
    struct peer_links *links;
    struct loop_timer timer;
    uint64_t to;
    uint8_t type;
    struct bytes bytes; /* owned */
    struct delayed *next, *prev;
};

struct peer_links {
    struct loop *loop;
    struct pool *pool;
    struct peer_host host;
    uint64_t id;
    uint8_t ledger_id[SHA256_SIZE];
    char origin[ORIGIN_BYTES_MAX + 1];
    struct buf certificate, key;             /* PEM; the key is wiped */
    struct tls_ctx *server_tls, *client_tls; /* NULL until there is a table with CAs */
    struct listener *listener;
    struct peer_table *table;
    struct peer *peers[NODES_MAX]; /* owned, ascending by id */
    size_t peer_count;
    struct link all;        /* ring of all links */
    struct delayed delayed; /* ring */
    struct loop_timer tick;
    uint64_t silence_ns, tick_ns; /* tick_ns: when the last one ran */
    uint64_t jitter;
    uint64_t refused[PEER_REASON_COUNT];
};

/* The peer of an id, or NULL. */
struct peer *peer_find(const struct peer_links *links, uint64_t id);

/* Arms the redial timer after a failure, or soon. */
void peer_redial_later(struct peer *peer);
void peer_redial_soon(struct peer *peer);

/* Dials now; the peer has no outgoing link. */
void peer_dial(struct peer *peer);

/* What all connections between nodes have in common. */
void link_options(const struct peer_links *links, struct conn_options *options);

/* Listener callback: ctx is the peer_links. */
bool peer_accept(void *ctx, struct conn *conn);

/* Ends a link; calls on_link when it was up: use nothing but the link afterwards. */
void link_end(struct link *link, enum peer_reason reason, const char *detail);

/* Ends it from inside a call of the host: on_link comes later, from the loop. */
void link_end_later(struct link *link, enum peer_reason reason);

/* Takes the peer away, without a callback, because it leaves the table. */
void link_orphan(struct link *link);

/* Frees link and connection at once. */
void link_free(struct link *link);

/* What is due by the clock: pings, links that are too slow or silent. */
void peer_tick(struct peer_links *links, uint64_t now_ns);

/* Writes what is queued as far as there is room. */
void peer_queue_drain(struct peer *peer);

/* Forgets what is queued, counting it as dropped. */
void peer_queue_clear(struct peer *peer);

/* Queues a frame without asking the fault hook. As peer_send. */
err peer_send_now(struct peer *peer, uint8_t type, const struct bytes parts[], size_t count);

/* Forgets all delayed frames. */
void peer_delayed_clear(struct peer_links *links);

#endif
